//! The processes of a cgroup's tree: listing, signalling, killing.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::fstat;
use nix::unistd::Pid;

use crate::error::{At, Result};
use crate::{Cgroup, files};

/// A signal is worth a short wait for a consistent list, not a long one.
const FREEZE_FOR_SIGNAL: Duration = Duration::from_millis(500);

impl Cgroup {
    /// Every process of the tree, in ascending order, each once. Processes that our pid namespace does not
    /// show are left out. A cgroup that does not exist has none.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        match files::open_dir(&self.dir) {
            Ok(dir) => {
                collect(dir.as_fd(), &mut pids).at(|| format!("list processes of {}", self.dir.display()))?;
            }
            Err(errno) if is_gone(errno) => {}
            Err(errno) => return Err(errno).at(|| format!("open cgroup {}", self.dir.display())),
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// SIGKILL to the whole tree, frozen or not, without a gap for forks (`cgroup.kill`). Returns before the
    /// processes are gone.
    pub fn kill(&self) -> Result<()> {
        // To die takes time on a processor, of which these limits may leave next to none. Nothing else will run here.
        for (file, unlimited) in [("cpu.idle", "0"), ("cpu.max", "max")] {
            let _ = files::write_path(&self.file(file), unlimited);
        }
        match files::write_path(&self.file("cgroup.kill"), "1") {
            Ok(()) => Ok(()),
            // ENODEV: it was removed while the file was open.
            Err(errno) if errno.raw() == Errno::ENODEV as i32 || !self.exists() => Ok(()),
            // A threaded cgroup has no such file, or refuses: a kill is for whole processes.
            Err(errno) if [Errno::ENOENT as i32, Errno::EOPNOTSUPP as i32].contains(&errno.raw()) => {
                self.signal_each(Signal::SIGKILL)
            }
            Err(errno) => Err(errno).at(|| format!("kill the processes of {}", self.dir.display())),
        }
    }

    /// Sends `signal` to every process of the tree. The tree is frozen meanwhile, as far as it can be, so
    /// that no process forks away or leaves its pid to another.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        if signal == Signal::SIGKILL {
            return self.kill();
        }
        let frozen_here = !self.is_frozen()? && self.freeze_within(FREEZE_FOR_SIGNAL).is_ok();
        let result = self.signal_each(signal);
        if frozen_here {
            self.thaw()?;
        }
        result
    }

    fn signal_each(&self, signal: Signal) -> Result<()> {
        for pid in self.processes()? {
            match kill(Pid::from_raw(pid), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(errno).at(|| format!("send {signal} to process {pid}")),
            }
        }
        Ok(())
    }
}

fn collect(dir: BorrowedFd<'_>, pids: &mut Vec<i32>) -> sys::Result<()> {
    match files::read_at(dir, "cgroup.procs") {
        Ok(text) => pids.extend(numbers(&text)),
        // A threaded cgroup lists threads only.
        Err(errno) if errno.raw() == Errno::EOPNOTSUPP as i32 => {
            pids.extend(numbers(&files::read_at(dir, "cgroup.threads")?).filter_map(process_of_thread));
        }
        Err(errno) if is_gone(errno) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    for name in children(dir)? {
        match files::open_dir_at(dir, &name) {
            Ok(child) => collect(child.as_fd(), pids)?,
            Err(errno) if is_gone(errno) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Names of the cgroups directly below.
pub(crate) fn children(dir: BorrowedFd<'_>) -> sys::Result<Vec<std::ffi::OsString>> {
    // kernfs counts subdirectories in the links, which saves listing some sixty files.
    if fstat(dir)?.st_nlink == 2 {
        return Ok(Vec::new());
    }
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name());
        }
    }
    Ok(names)
}

/// The directory was removed under us (ENODEV: while it was open).
pub(crate) fn is_gone(errno: sys::Errno) -> bool {
    [Errno::ENOENT as i32, Errno::ENODEV as i32].contains(&errno.raw())
}

/// 0 stands for a process of another pid namespace, and kill(2) would take it for all of ours.
fn numbers(text: &str) -> impl Iterator<Item = i32> {
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0)
}

fn process_of_thread(tid: i32) -> Option<i32> {
    let status = files::read_path(OsStr::new(&format!("/proc/{tid}/status")).as_ref()).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_leave_out_the_invisible() {
        assert_eq!(numbers("12\n0\n7\n").collect::<Vec<_>>(), [12, 7]);
    }
}
