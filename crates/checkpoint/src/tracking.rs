//! Which memory was written since a pre-dump.
//!
//! The kernel keeps track of it (userfaultfd(2) with `UFFD_FEATURE_WP_ASYNC`) for as long as the userfaultfds are open, so
//! a process of ours holds them: the *holder*. It ends with the container, whose record it removes then. Whatever becomes
//! of it, no dump is wrong: memory that nobody has kept track of counts as written. The record says which dump it all
//! began with, because pages that were not written since then are in no other.

use crate::error::{At, Error, Result};
use crate::proc::Stat;
use images::Digest;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use sys::clone::CloneArgs;
use sys::userfault::{self, Mode, userfaultfd};

/// Which process of ours holds what, in the state of the container.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    holder: i32,
    /// When it started, so that it is not mistaken for another (proc_pid_stat(5), field 22).
    start_time: u64,
    /// The pre-dump since which writes are tracked.
    dump: Digest,
    tracked: Vec<Tracked>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Tracked {
    pid: i32,
    start_time: u64,
    /// The number of its userfaultfd in the holder.
    fd: i32,
}

/// Tracking that was found.
#[derive(Debug)]
pub(crate) struct Tracking {
    record: Record,
    holder: OwnedFd,
}

impl Tracking {
    /// What an earlier pre-dump has begun, as far as its holder is there. `record` is the path of the record.
    pub(crate) fn find(record: &Path) -> Option<Tracking> {
        let record: Record = serde_json::from_slice(&std::fs::read(record).ok()?).ok()?;
        let holder = sys::process::pidfd_open(record.holder).ok()?;
        let is_it = Stat::of(record.holder).is_ok_and(|stat| stat.start_time == record.start_time);
        is_it.then_some(Tracking { record, holder })
    }

    /// Whether it began with this dump.
    pub(crate) fn is_since(&self, dump: Option<Digest>) -> bool {
        dump == Some(self.record.dump)
    }

    /// Whether writes of a process are tracked.
    pub(crate) fn has(&self, pid: i32, start_time: u64) -> bool {
        self.find_process(pid, start_time).is_some()
    }

    /// The userfaultfd of a process.
    pub(crate) fn of(&self, pid: i32, start_time: u64) -> Option<OwnedFd> {
        let tracked = self.find_process(pid, start_time)?;
        sys::process::pidfd_getfd(self.holder.as_fd(), tracked.fd).ok()
    }

    fn find_process(&self, pid: i32, start_time: u64) -> Option<&Tracked> {
        self.record.tracked.iter().find(|tracked| tracked.pid == pid && tracked.start_time == start_time)
    }

    /// Ends the holder. What was taken from it goes on.
    pub(crate) fn end(self) {
        // It may have ended with its container.
        let _ = sys::process::pidfd_send_signal(self.holder.as_fd(), libc::SIGKILL);
    }
}

/// Refuses kernels that cannot keep track.
pub(crate) fn check() -> Result<()> {
    userfaultfd().and_then(|fd| userfault::begin(fd.as_fd(), Mode::TrackWrites)).map_err(|errno| {
        Error::new(format!(
            "this kernel does not keep track of writes ({errno}; userfaultfd with WP_ASYNC came with 6.7)"
        ))
    })
}

/// Starts the holder of `userfaultfds`, each with the pid and the start time of its process, and records it.
/// `pidfd` is the container's first process.
pub(crate) fn hold(
    record: &Path,
    dump: Digest,
    pidfd: BorrowedFd<'_>,
    userfaultfds: &[(i32, u64, OwnedFd)],
) -> Result<()> {
    let tracked = userfaultfds.iter();
    let tracked = tracked.map(|(pid, start_time, fd)| Tracked {
        pid: *pid,
        start_time: *start_time,
        fd: fd.as_raw_fd(),
    });
    let tracked: Vec<Tracked> = tracked.collect();
    let keep: Vec<i32> = tracked.iter().map(|tracked| tracked.fd).chain([pidfd.as_raw_fd()]).collect();
    let wait = || {
        // What is sent to our terminal's processes is not for it, and no file of ours is kept open by it.
        let _ = nix::unistd::setsid();
        let _ = sys::process::close_all_but(&keep);
        let mut ended = [PollFd::new(pidfd, PollFlags::POLLIN)];
        while poll(&mut ended, PollTimeout::NONE) == Err(nix::Error::EINTR) {}
        // It says nothing any more. Where it lies in the state of a container, that may have gone first.
        let _ = nix::unistd::unlink(record);
        0
    };
    let holder = sys::clone::spawn(&CloneArgs::default(), wait).at(|| "start the holder".to_owned())?;
    let start_time = Stat::of(holder.pid)?.start_time;
    let text = Record { holder: holder.pid, start_time, dump, tracked };
    let text = serde_json::to_vec(&text).expect("numbers and text");
    std::fs::write(record, text).at(|| format!("write {}", record.display()))
}
