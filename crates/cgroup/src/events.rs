//! `cgroup.events`: whether the tree has processes and is frozen, and waiting for that to change.
//!
//! The kernel raises POLLPRI on the file when a value changes after it was last read (cgroup-v2.rst), so
//! waiting is read, compare, poll, without a race and without sleeping.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::files;

#[derive(Debug)]
pub(crate) struct Events(File);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    /// A process that is not a zombie is in the cgroup or below it.
    pub(crate) populated: bool,
    pub(crate) frozen: bool,
}

impl Events {
    pub(crate) fn open(dir: &Path) -> sys::Result<Events> {
        Ok(Events(File::open(dir.join("cgroup.events"))?))
    }

    pub(crate) fn open_at(dir: BorrowedFd<'_>) -> sys::Result<Events> {
        Ok(Events(files::open_file(dir, "cgroup.events")?.into()))
    }

    pub(crate) fn read(&self) -> sys::Result<Flags> {
        let mut buffer = [0; 128];
        let count = self.0.read_at(&mut buffer, 0)?;
        Ok(parse(&buffer[..count]))
    }

    /// Waits until the flags satisfy `condition`; `false` when the deadline comes first.
    pub(crate) fn wait_until(
        &self,
        deadline: Instant,
        condition: impl Fn(Flags) -> bool,
    ) -> sys::Result<bool> {
        loop {
            if condition(self.read()?) {
                return Ok(true);
            }
            if !wait_for_change(&mut [self.0.as_fd()], Some(deadline))? {
                return Ok(false);
            }
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until one of the files has changed since it was last read; `false` when the deadline comes first.
pub(crate) fn wait_for_change(files: &mut [BorrowedFd<'_>], deadline: Option<Instant>) -> sys::Result<bool> {
    let mut fds: Vec<PollFd<'_>> = files.iter().map(|file| PollFd::new(*file, PollFlags::POLLPRI)).collect();
    loop {
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some(deadline) => {
                // Rounded up: a rest below a millisecond would spin.
                let left_ms = deadline.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
                PollTimeout::try_from(left_ms).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut fds, timeout) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn parse(text: &[u8]) -> Flags {
    let has = |line: &[u8]| text.split(|byte| *byte == b'\n').any(|candidate| candidate == line);
    Flags { populated: has(b"populated 1"), frozen: has(b"frozen 1") }
}

/// A flag is a whole line.
#[cfg(fuzzing)]
pub(crate) fn fuzz(text: &[u8]) {
    let flags = parse(text);
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    assert_eq!(flags.populated, lines.contains(&&b"populated 1"[..]));
    assert_eq!(flags.frozen, lines.contains(&&b"frozen 1"[..]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        assert_eq!(parse(b"populated 1\nfrozen 0\n"), Flags { populated: true, frozen: false });
        assert_eq!(parse(b"populated 0\nfrozen 1\n"), Flags { populated: false, frozen: true });
        assert_eq!(parse(b""), Flags { populated: false, frozen: false });
    }
}
