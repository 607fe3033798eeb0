//! Removing a cgroup with everything that the container made below it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::error::{At, Error, Result};
use crate::events::Events;
use crate::processes::{children, is_gone};
use crate::{Cgroup, files};

/// A killed process with much memory takes a while to die.
const EMPTY_DEADLINE: Duration = Duration::from_secs(5);

impl Cgroup {
    /// Removes it if it has neither processes nor children, which is what nearly every container leaves. The kernel
    /// looks at that and removes it in one step.
    pub fn remove_empty(&self) -> bool {
        std::fs::remove_dir(&self.dir).is_ok()
    }

    /// Removes the tree, waiting for processes that are dying. Kill them first. One that does not exist is
    /// removed.
    pub fn delete(&self) -> Result<()> {
        // What nearly every container leaves: a leaf without processes.
        match std::fs::remove_dir(&self.dir).map_err(sys::Errno::from) {
            Ok(()) => return Ok(()),
            Err(errno) if is_gone(errno) => return Ok(()),
            Err(errno) if errno.raw() == Errno::EBUSY as i32 => {}
            Err(errno) => return Err(errno).at(|| self.action()),
        }
        match self.delete_when_empty(Instant::now() + EMPTY_DEADLINE) {
            Err(errno) if is_gone(errno) => Ok(()),
            Ok(true) => Ok(()),
            Ok(false) => {
                let count = self.processes()?.len();
                Err(Error::new(format!("{}: {count} of its processes did not exit", self.action())))
            }
            Err(errno) => Err(errno).at(|| self.action()),
        }
    }

    fn delete_when_empty(&self, deadline: Instant) -> sys::Result<bool> {
        let dir = files::open_dir(&self.dir)?;
        let events = Events::open_at(dir.as_fd())?;
        loop {
            if !events.wait_until(deadline, |flags| !flags.populated)? {
                return Ok(false);
            }
            match remove_children(dir.as_fd()).and_then(|()| Ok(std::fs::remove_dir(&self.dir)?)) {
                Ok(()) => return Ok(true),
                // Somebody has joined, or made another child: as long as there is time, once more.
                Err(errno) if errno.raw() == Errno::EBUSY as i32 && Instant::now() < deadline => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn action(&self) -> String {
        format!("remove cgroup {}", self.dir.display())
    }
}

fn remove_children(dir: BorrowedFd<'_>) -> sys::Result<()> {
    for name in children(dir)? {
        remove(dir, &name).or_else(|errno| if is_gone(errno) { Ok(()) } else { Err(errno) })?;
    }
    Ok(())
}

fn remove(parent: BorrowedFd<'_>, name: &OsStr) -> sys::Result<()> {
    remove_children(files::open_dir_at(parent, name)?.as_fd())?;
    Ok(unlinkat(parent, name, UnlinkatFlags::RemoveDir)?)
}
