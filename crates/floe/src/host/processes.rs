//! The kernel itself: making, holding and protecting processes.

use super::{Finding, Outcome, Status, setting};
use std::fs::File;
use std::os::fd::AsFd;
use sys::path::{RESOLVE_IN_ROOT, openat2};
use sys::probe;

const GROUP: &str = "kernel";

pub(super) fn look() -> Vec<Finding> {
    use Status::{Limited, Missing};
    let release = setting("/proc/sys/kernel/osrelease").unwrap_or_default();
    let newer = "use Linux 6.1 or newer, without a seccomp filter around floe";
    let of = |name, outcome, found| Finding::of(GROUP, name, outcome, Missing, found, newer);
    vec![
        Finding::new(GROUP, "release", Status::Ok, format!("{release} {}", std::env::consts::ARCH)),
        of("clone3 and pidfds", clone3(), "processes are held by descriptors").require(),
        of("CLONE_INTO_CGROUP", with_root(probe::clone_into_cgroup), "processes start in their cgroup")
            .require(),
        of(
            "openat2",
            with_root(|root| openat2(root, ".", libc::O_PATH, 0, RESOLVE_IN_ROOT).map(drop)),
            "paths cannot leave the container",
        )
        .require(),
        // No descriptor has this number.
        of("close_range", sys::process::cloexec_from(u32::MAX), "no descriptor leaks").require(),
        Finding::of(
            GROUP,
            "PR_SET_MM_MAP",
            probe::set_mm_map(),
            Limited,
            "containers cannot reach the floe binary",
            "a kernel with CONFIG_CHECKPOINT_RESTORE protects the floe binary from containers",
        ),
        Finding::of(
            GROUP,
            "keyrings",
            probe::session_keyring(),
            Limited,
            "containers get a session keyring of their own",
            "containers share the session keyring of their caller",
        ),
        Finding::of(
            GROUP,
            "memory policy",
            probe::memory_policy(),
            Missing,
            format!(
                "NUMA nodes: {}",
                setting("/sys/devices/system/node/online").unwrap_or_else(|| "0".into())
            ),
            "needed for linux.memoryPolicy only: a kernel with CONFIG_NUMA",
        ),
    ]
}

fn clone3() -> Outcome {
    let [outcome] = super::in_child(0, || [sys::process::pidfd_open(std::process::id() as i32).map(drop)])?;
    outcome
}

fn with_root(ask: impl FnOnce(std::os::fd::BorrowedFd<'_>) -> Outcome) -> Outcome {
    ask(File::open("/")?.as_fd())
}
