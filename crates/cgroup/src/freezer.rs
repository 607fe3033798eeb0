//! Stopping and resuming all processes of a cgroup through `cgroup.freeze`.

use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::error::{At, Error, Result};
use crate::events::Events;
use crate::{Cgroup, files};

/// Long enough for a task that sits in an uninterruptible read from a slow disk.
const FREEZE_DEADLINE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Freezes the whole tree and waits until every task in it has stopped. On an error nothing stays
    /// frozen that was not frozen before.
    pub fn freeze(&self) -> Result<()> {
        self.freeze_within(FREEZE_DEADLINE)
    }

    pub(crate) fn freeze_within(&self, limit: Duration) -> Result<()> {
        let action = || format!("freeze {}", self.dir.display());
        let deadline = Instant::now() + limit;
        let events = Events::open(&self.dir).at(action)?;
        let was_asked = self.is_frozen()?;
        files::write_path(&self.file("cgroup.freeze"), "1").at(action)?;
        match events.wait_until(deadline, |flags| flags.frozen) {
            Ok(true) => return Ok(()),
            result => {
                if !was_asked {
                    self.thaw()?;
                }
                result.at(action)?;
            }
        }
        Err(Error::new(format!("{}: a task did not stop within {} s", action(), limit.as_secs())))
    }

    /// Lets the tasks run again. Does not wait: the kernel has woken them when the write returns, and with a
    /// frozen ancestor they would never run.
    pub fn thaw(&self) -> Result<()> {
        files::write_path(&self.file("cgroup.freeze"), "0").at(|| format!("thaw {}", self.dir.display()))
    }

    /// Whether this cgroup was asked to be frozen, by us or by another; not whether an ancestor was. A
    /// cgroup that does not exist is not.
    pub fn is_frozen(&self) -> Result<bool> {
        match files::read_path(&self.file("cgroup.freeze")) {
            Ok(text) => Ok(text.trim_end() == "1"),
            Err(errno) if [Errno::ENOENT as i32, Errno::ENODEV as i32].contains(&errno.raw()) => Ok(false),
            Err(errno) => Err(errno).at(|| format!("read {}", self.file("cgroup.freeze").display())),
        }
    }
}
