//! clone3(2): a child in new namespaces and in its cgroup from its first instruction.
#![allow(unsafe_code)] // clone3 returns twice and has no wrapper in libc.

use crate::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What the child gets; flags are `CLONE_NEW*` of clone(2).
#[derive(Debug, Default)]
pub struct CloneArgs<'a> {
    pub flags: u64,
    /// `CLONE_INTO_CGROUP`: a directory of cgroup2.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// `CLONE_PARENT`: the child becomes our sibling. The exit signal is then our own.
    pub sibling: bool,
    /// The child's pid in its innermost pid namespace (Linux 5.5).
    pub pid: Option<i32>,
}

/// A child process, held by its pidfd so that its pid cannot be mistaken for a later process's.
#[derive(Debug)]
pub struct Child {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

#[repr(C)]
#[derive(Default)]
struct RawCloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Runs `child` in a new process and exits it with the value returned (a panic exits 101).
///
/// The calling process must have one thread only: the child sees the memory of all threads, but only the
/// caller runs on in it, so a lock held by another thread would never be released.
///
/// # Errors
/// Those of clone(2): `EPERM`, `ENOSPC` (namespace limits), `EAGAIN` (pids limit), `EBUSY` (the cgroup has
/// domain controllers and children), `EINVAL` (the kernel lacks a namespace), `EEXIST` (another has the pid).
pub fn spawn(args: &CloneArgs<'_>, child: impl FnOnce() -> i32) -> Result<Child> {
    let mut pidfd: i32 = -1;
    let mut raw = RawCloneArgs {
        flags: args.flags | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..RawCloneArgs::default()
    };
    if args.sibling {
        raw.flags |= libc::CLONE_PARENT as u64;
        raw.exit_signal = 0;
    }
    if let Some(cgroup) = args.cgroup {
        raw.flags |= CLONE_INTO_CGROUP;
        raw.cgroup = cgroup.as_raw_fd() as u64;
    }
    if let Some(pid) = &args.pid {
        raw.set_tid = std::ptr::from_ref(pid) as u64;
        raw.set_tid_size = 1;
    }
    // SAFETY: `raw` is a complete clone_args (64 + 24 bytes, v2) that outlives the call, as what it points to does:
    // a valid place for the descriptor and, if given, one pid; and without CLONE_VM the child has a copy of our memory and its own stack.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const raw, size_of::<RawCloneArgs>()) };
    if pid == 0 {
        let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(101);
        // SAFETY: _exit never returns and runs no handlers that belong to the parent.
        unsafe { libc::_exit(status) }
    }
    let pid = Errno::check(pid)? as i32;
    // SAFETY: clone3 succeeded with CLONE_PIDFD, so `pidfd` is a new descriptor that nobody else owns.
    Ok(Child { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}
