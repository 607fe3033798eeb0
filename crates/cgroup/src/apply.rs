//! Writing resolved limits to the files of a cgroup, at creation and at update.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use crate::create::has;
use crate::error::{Error, Result};
use crate::resources::{Otherwise, Resources, UsageCheck, Write, controller_of};
use crate::{Cgroup, files};

impl Cgroup {
    /// Applies the limits, not the device rules, in the directory `dir` of this cgroup. Stops at the first
    /// one that the kernel refuses: what was written before it stays.
    ///
    /// `Kind::Unsupported` names a controller that is missing.
    pub fn apply(&self, dir: BorrowedFd<'_>, resources: &Resources) -> Result<()> {
        resources.check_usage(dir)?;
        for write in &resources.writes {
            self.apply_one(dir, write)?;
        }
        Ok(())
    }

    fn apply_one(&self, dir: BorrowedFd<'_>, write: &Write) -> Result<()> {
        let Err(errno) = files::write_at(dir, &write.file, &write.value) else { return Ok(()) };
        match (&write.otherwise, Errno::from_raw(errno.raw())) {
            (Otherwise::SkipIfAbsent, Errno::ENOENT) | (Otherwise::SkipIfInvalid, Errno::EINVAL) => Ok(()),
            (Otherwise::IfAbsent { file, value }, Errno::ENOENT) => {
                files::write_at(dir, file, value).map_err(|errno| self.refused(dir, file, value, errno))
            }
            _ => Err(self.refused(dir, &write.file, &write.value, errno)),
        }
    }

    fn refused(&self, dir: BorrowedFd<'_>, file: &str, value: &str, errno: sys::Errno) -> Error {
        let what = format!("write {value} to {file}");
        let controller = controller_of(file);
        if errno.raw() == Errno::ENOENT as i32 && controller != "cgroup" {
            let dir_path = self.dir.display();
            let Ok(available) = files::read_at(dir, "cgroup.controllers") else {
                return Error::new(format!("{what}: the cgroup {dir_path} is gone"));
            };
            if !has(&available, controller) {
                let available = available.trim_end();
                return Error::unsupported(format!(
                    "{what}: {controller} controller is not available (cgroup.controllers of {dir_path} has: {})",
                    if available.is_empty() { "none" } else { available }
                ));
            }
        }
        Error::of_kernel(what, errno)
    }
}

impl Resources {
    /// Refuses limits that are to be above the present usage and are not.
    pub(crate) fn check_usage(&self, dir: BorrowedFd<'_>) -> Result<()> {
        self.usage_check.map_or(Ok(()), |check| check.against(dir))
    }
}

impl UsageCheck {
    /// The check is a courtesy (config-linux.md, `checkBeforeUpdate`): without a number there is nothing to
    /// compare with, and the kernel decides.
    fn against(self, dir: BorrowedFd<'_>) -> Result<()> {
        let Some(usage) =
            files::read_at(dir, "memory.current").ok().and_then(|text| text.trim_end().parse::<u64>().ok())
        else {
            return Ok(());
        };
        for (name, limit) in [("memory+swap", self.memory_and_swap), ("memory", self.memory)] {
            if let Some(limit) = limit.filter(|limit| *limit <= usage) {
                return Err(Error::new(format!(
                    "{name} limit {limit} is not above the present usage {usage}"
                )));
            }
        }
        Ok(())
    }
}
