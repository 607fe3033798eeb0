//! Learning of out-of-memory kills from `memory.events`.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::error::{At, Error, Result};
use crate::events::{Events, wait_for_change};
use crate::processes::is_gone;
use crate::stats::value_of;
use crate::{Cgroup, files};

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomEvent {
    /// The kernel killed processes for lack of memory, this many in all so far.
    Killed { total: u64 },
    /// The last process has exited, or the cgroup is removed.
    Empty,
    /// Nothing happened in time.
    Timeout,
}

/// Watches a cgroup for out-of-memory kills in its tree.
#[derive(Debug)]
pub struct OomWatch {
    memory: File,
    events: Events,
    seen: u64,
}

impl Cgroup {
    /// Number of processes that the kernel killed for lack of memory, 0 without the memory controller.
    pub fn oom_kills(&self) -> Result<u64> {
        match files::read_path(&self.file("memory.events")) {
            Ok(text) => Ok(value_of(&text, "oom_kill")),
            Err(errno) if is_gone(errno) => Ok(0),
            Err(errno) => Err(errno).at(|| format!("read {}", self.file("memory.events").display())),
        }
    }

    /// `Kind::Unsupported` without the memory controller.
    pub fn watch_oom(&self) -> Result<OomWatch> {
        let dir = self.dirfd()?;
        let memory: OwnedFd = match files::open_file(dir.as_fd(), "memory.events") {
            Ok(file) => file,
            Err(errno) if errno.raw() == Errno::ENOENT as i32 => {
                return Err(Error::unsupported(format!(
                    "watch {} for lack of memory: memory controller is not available",
                    self.dir.display()
                )));
            }
            Err(errno) => {
                return Err(errno).at(|| format!("open {}", self.file("memory.events").display()));
            }
        };
        let events =
            Events::open_at(dir.as_fd()).at(|| format!("open {}", self.file("cgroup.events").display()))?;
        let mut watch = OomWatch { memory: memory.into(), events, seen: 0 };
        watch.seen = watch.kills().at(|| format!("read {}", self.file("memory.events").display()))?;
        Ok(watch)
    }
}

impl OomWatch {
    /// Waits for the next kill, the end of the last process, or the timeout.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<OomEvent> {
        self.next(timeout).or_else(|errno| {
            if is_gone(errno) {
                Ok(OomEvent::Empty)
            } else {
                Err(errno).at(|| "watch for lack of memory".into())
            }
        })
    }

    fn next(&mut self, timeout: Option<Duration>) -> sys::Result<OomEvent> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            // Before `populated`: a kill of the last process is both.
            let total = self.kills()?;
            if total > self.seen {
                self.seen = total;
                return Ok(OomEvent::Killed { total });
            }
            if !self.events.read()?.populated {
                return Ok(OomEvent::Empty);
            }
            if !wait_for_change(&mut [self.memory.as_fd(), self.events.as_fd()], deadline)? {
                return Ok(OomEvent::Timeout);
            }
        }
    }

    fn kills(&self) -> sys::Result<u64> {
        let mut buffer = [0; 512];
        let count = self.memory.read_at(&mut buffer, 0)?;
        Ok(value_of(&String::from_utf8_lossy(&buffer[..count]), "oom_kill"))
    }
}
