//! What `checkpoint` and `restore` use. No container needs it to run.

use super::{Finding, Outcome, Status, setting};
use std::fs::File;
use std::os::fd::AsFd;
use sys::probe;

const GROUP: &str = "checkpoint";

/// linux/magic.h; pidfds are a file system of their own since 6.9.
const PIDFS_MAGIC: i64 = 0x5049_4446;
/// linux/userfaultfd.h.
const UFFD_FEATURE_WP_ASYNC: u64 = 1 << 15;
/// For what has a slower way around it.
const FASTER: &str = "a newer kernel makes checkpoints faster";

const CAP_CHECKPOINT_RESTORE: u64 = 1 << 40;

pub fn look() -> Vec<Finding> {
    use Status::{Limited, Missing};
    let faster = |name, outcome, found| Finding::of(GROUP, name, outcome, Limited, found, FASTER);
    vec![
        faster("PAGEMAP_SCAN", on("/proc/self/pagemap", probe::pagemap_scan), "since Linux 6.7"),
        faster("userfaultfd WP_ASYNC", write_protection(), "since Linux 6.7"),
        faster("PROCMAP_QUERY", on("/proc/self/maps", probe::procmap_query), "since Linux 6.11"),
        faster("pidfs", pidfs(), "since Linux 6.9"),
        Finding::of(
            GROUP,
            "CAP_CHECKPOINT_RESTORE",
            capability(),
            Missing,
            "effective",
            "checkpoint and restore containers as root",
        ),
        ptrace(),
    ]
}

/// What a pre-dump needs.
pub fn tracks_writes() -> bool {
    on("/proc/self/pagemap", probe::pagemap_scan).and_then(|()| write_protection()).is_ok()
}

/// What `--lazy-pages` needs: to hear of all faults, and of what becomes of memory.
pub fn fills_lazily() -> bool {
    let begun = sys::userfault::userfaultfd_of_all_faults()
        .and_then(|userfaultfd| sys::userfault::begin_with_events(userfaultfd.as_fd()));
    begun.is_ok()
}

fn on(file: &str, ask: fn(std::os::fd::BorrowedFd<'_>) -> Outcome) -> Outcome {
    ask(File::open(file)?.as_fd())
}

fn there(is_there: bool, otherwise: i32) -> Outcome {
    if is_there { Ok(()) } else { Err(sys::Errno::from_raw(otherwise)) }
}

fn write_protection() -> Outcome {
    there(probe::userfaultfd_features()? & UFFD_FEATURE_WP_ASYNC != 0, libc::EOPNOTSUPP)
}

fn pidfs() -> Outcome {
    let pidfd = sys::process::pidfd_open(std::process::id() as i32)?;
    there(sys::process::filesystem_type(pidfd.as_fd())? == PIDFS_MAGIC, libc::EOPNOTSUPP)
}

fn capability() -> Outcome {
    there(sys::process::capget()?.effective & CAP_CHECKPOINT_RESTORE != 0, libc::EPERM)
}

/// Yama (Documentation/admin-guide/LSM/Yama.rst).
fn ptrace() -> Finding {
    let scope = setting("/proc/sys/kernel/yama/ptrace_scope");
    match scope.as_deref() {
        None => Finding::new(GROUP, "ptrace", Status::Ok, "no Yama"),
        Some("0") => Finding::new(GROUP, "ptrace", Status::Ok, "scope 0: a user's own processes"),
        Some("3") => Finding::new(GROUP, "ptrace", Status::Missing, "scope 3: nobody")
            .advise("start with kernel.yama.ptrace_scope below 3 to checkpoint containers"),
        Some(scope) => Finding::new(
            GROUP,
            "ptrace",
            Status::Limited,
            format!("scope {scope}: children, or CAP_SYS_PTRACE"),
        )
        .advise("checkpoint containers as root"),
    }
}
