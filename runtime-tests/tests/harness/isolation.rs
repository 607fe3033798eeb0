//! Namespaces around a run, so that a crash leaves nothing behind.
//!
//! Three processes: the outer one waits; pid 1 of the new namespace makes the world and reaps what detached
//! containers leave; the runner is its child. When any of them dies, the kernel ends the rest.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "fork, prctl and close_range have no safe form; no thread exists yet"
)]

use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Enters `namespaces`, of which one is a pid namespace, calls `set_up` as its pid 1, and returns the exit code of
/// `body` after every process in it is gone.
pub(crate) fn within(
    namespaces: CloneFlags,
    set_up: impl FnOnce(),
    body: impl FnOnce() -> ExitCode,
) -> ExitCode {
    // Descriptors that our caller leaked must not count as leaks of the binary under test.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    unshare(namespaces).expect("unshare namespaces");
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => ExitCode::from(wait_for(child)),
        ForkResult::Child => {
            die_with_parent();
            set_up();
            match unsafe { fork() }.expect("fork") {
                ForkResult::Parent { child } => std::process::exit(wait_for(child).into()),
                ForkResult::Child => {
                    die_with_parent();
                    // Not by returning: what the outer process has on its stack is its own to clean up.
                    let code = body();
                    std::process::exit(if code == ExitCode::SUCCESS { 0 } else { 1 })
                }
            }
        }
    }
}

fn die_with_parent() {
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Reaps every child until `child` ends; its exit status in shell's form.
fn wait_for(child: Pid) -> u8 {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return code as u8,
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => return 128 + signal as u8,
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => panic!("waitpid: {error}"),
        }
    }
}

/// Removes a cgroup and those below, which the last processes may still be leaving.
pub(crate) fn remove_cgroup(path: &Path) -> Result<(), String> {
    for _ in 0..50 {
        remove_cgroup_tree(path);
        if !path.exists() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!("cgroup {} cannot be removed", path.display()))
}

pub(crate) fn remove_cgroup_tree(path: &Path) {
    if let Ok(entries) = fs::read_dir(path) {
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir())) {
            remove_cgroup_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}
