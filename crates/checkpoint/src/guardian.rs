//! A process that outlives us: when we are killed while the freezer is not as the container's owner left it, it puts that
//! right. What is in the tasks finds its own way home (crate `inject`).

use crate::error::{At, Result};
use cgroup::Cgroup;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use sys::clone::{Child, CloneArgs};

/// Dropping it tells it that all is well.
#[derive(Debug)]
pub(crate) struct Guardian {
    child: Child,
    pipe: std::io::PipeWriter,
}

/// What it hears before we leave on our own.
const WELL: u8 = b'.';

impl Guardian {
    /// Begins to guard `cgroup`, which is to be frozen when we die if `is_paused`, and thawed otherwise.
    pub(crate) fn new(cgroup: &Cgroup, is_paused: bool) -> Result<Guardian> {
        let (mut reader, pipe) = std::io::pipe().at(|| "make a pipe for the guardian".to_owned())?;
        let guard = || {
            // What is sent to our terminal's processes is not for it, and no file of ours is kept open by it.
            let _ = nix::unistd::setsid();
            let _ = sys::process::close_all_but(&[reader.as_raw_fd()]);
            let mut heard = [0];
            if !matches!(reader.read(&mut heard), Ok(1)) {
                // Nobody is left to be told.
                let _ = if is_paused { cgroup.freeze() } else { cgroup.thaw() };
            }
            0
        };
        let child = sys::clone::spawn(&CloneArgs::default(), guard).at(|| "start the guardian".to_owned())?;
        Ok(Guardian { child, pipe })
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        use std::os::fd::AsFd;
        // It ends either way; this says which.
        let _ = self.pipe.write_all(&[WELL]);
        let _ = sys::process::wait_pidfd(self.child.pidfd.as_fd(), true);
    }
}
