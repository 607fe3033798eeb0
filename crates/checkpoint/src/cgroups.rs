//! The cgroups that tasks are in. What is set in them belongs to whoever makes the container.

use crate::error::{Error, Result};
use crate::proc;

/// Paths below the mount of cgroup v2, each with the id of its set in images; the first is that of the first process.
#[derive(Debug, Default)]
pub(crate) struct Sets(Vec<String>);

impl Sets {
    /// The id of the set of a thread.
    pub(crate) fn id(&mut self, tid: i32) -> Result<u32> {
        let path = format!("/proc/{tid}/cgroup");
        let text = proc::read(&path)?;
        let unified = text.lines().find_map(|line| line.strip_prefix("0::"));
        let unified = unified.ok_or_else(|| Error::new(format!("{path}: no cgroup v2")))?;
        let at = self.0.iter().position(|known| known == unified).unwrap_or_else(|| {
            self.0.push(unified.to_owned());
            self.0.len() - 1
        });
        Ok(at as u32 + 1)
    }
}
