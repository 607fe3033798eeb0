//! What kind of file a descriptor refers to, by what /proc says without opening it.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Regular files, directories, symbolic links, block devices, and devices without a state: they are opened by their
    /// path.
    Named,
    Pipe,
    Fifo,
    Socket,
    EventFd,
    Epoll,
    SignalFd,
    TimerFd,
    Inotify,
    Fanotify,
    PidFd,
    MemFd,
    Terminal,
    Namespace,
    /// Only the device of its file system tells it from others that are named: `QueueFiles::has`.
    MessageQueue,
}

/// Devices by their major number (Documentation/admin-guide/devices.txt).
const MEM: u64 = 1;
const TTY: u64 = 5;
const PTY_MASTERS: std::ops::RangeInclusive<u64> = 128..=135;
const PTY_SLAVES: std::ops::RangeInclusive<u64> = 136..=143;

impl Kind {
    /// `link` is that of /proc/PID/fd/FD, `metadata` what it leads to. The error is why such a file cannot be dumped.
    pub(crate) fn of(link: &Path, metadata: &Metadata) -> Result<Kind, String> {
        let text = link.to_string_lossy();
        if let Some(name) = text.strip_prefix("anon_inode:") {
            return anonymous(name.trim_start_matches('[').trim_end_matches(']'));
        }
        let kind = metadata.file_type();
        if text.starts_with("/memfd:") {
            return Ok(Kind::MemFd);
        }
        if let Some((name, _)) = text.split_once(":[") {
            return match name {
                "pipe" => Ok(Kind::Pipe),
                "socket" => Ok(Kind::Socket),
                "pidfd" => Ok(Kind::PidFd),
                "net" | "mnt" | "uts" | "ipc" | "pid" | "user" | "cgroup" | "time" | "pid_for_children"
                | "time_for_children" => Ok(Kind::Namespace),
                _ if !text.starts_with('/') => Err(format!("{text} is not supported")),
                _ => Kind::of_type(kind, metadata, &text),
            };
        }
        Kind::of_type(kind, metadata, &text)
    }

    fn of_type(kind: std::fs::FileType, metadata: &Metadata, text: &str) -> Result<Kind, String> {
        if kind.is_fifo() {
            return Ok(Kind::Fifo);
        }
        if kind.is_socket() {
            return Ok(Kind::Socket);
        }
        if kind.is_char_device() {
            let (major, minor) = (libc::major(metadata.rdev()), libc::minor(metadata.rdev()));
            return device(major.into(), minor.into(), text);
        }
        Ok(Kind::Named)
    }
}

fn anonymous(name: &str) -> Result<Kind, String> {
    match name {
        "eventfd" => Ok(Kind::EventFd),
        "eventpoll" => Ok(Kind::Epoll),
        "signalfd" => Ok(Kind::SignalFd),
        "timerfd" => Ok(Kind::TimerFd),
        "inotify" => Ok(Kind::Inotify),
        "fanotify" => Ok(Kind::Fanotify),
        "pidfd" => Ok(Kind::PidFd),
        "io_uring" | "userfaultfd" | "perf_event" => Err(format!("{name} is not supported")),
        "seccomp notify" => Err("the listener of a seccomp filter is not supported".to_owned()),
        name if name.starts_with("bpf") => Err(format!("{name} is not supported")),
        name if name.starts_with("kvm") => Err("KVM is not supported".to_owned()),
        name => Err(format!("anonymous files of the kind {name} are not supported")),
    }
}

fn device(major: u64, minor: u64, text: &str) -> Result<Kind, String> {
    // null, zero, full, random, urandom, kmsg
    const STATELESS: [u64; 6] = [3, 5, 7, 8, 9, 11];
    match (major, minor) {
        (MEM, minor) if STATELESS.contains(&minor) => Ok(Kind::Named),
        // tty, console, ptmx
        (TTY, 0..=2) => Ok(Kind::Terminal),
        (major, _) if PTY_SLAVES.contains(&major) || PTY_MASTERS.contains(&major) => Ok(Kind::Terminal),
        _ => Err(format!("device {major}:{minor} ({text}) is not supported")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        let metadata = std::fs::metadata("/").expect("the root");
        let kind = |link: &str| Kind::of(Path::new(link), &metadata);
        assert_eq!(kind("anon_inode:[eventpoll]"), Ok(Kind::Epoll));
        assert_eq!(kind("anon_inode:inotify"), Ok(Kind::Inotify));
        assert_eq!(kind("pipe:[17]"), Ok(Kind::Pipe));
        assert_eq!(kind("net:[4026531840]"), Ok(Kind::Namespace));
        assert_eq!(kind("/memfd:a (deleted)"), Ok(Kind::MemFd));
        assert_eq!(kind("/a:[b]"), Ok(Kind::Named));
        assert_eq!(kind("anon_inode:[io_uring]"), Err("io_uring is not supported".to_owned()));
        assert_eq!(kind("dmabuf:[3]"), Err("dmabuf:[3] is not supported".to_owned()));
        let null = std::fs::metadata("/dev/null").expect("/dev/null");
        assert_eq!(Kind::of(Path::new("/dev/null"), &null), Ok(Kind::Named));
        assert!(device(10, 232, "/dev/kvm").is_err());
        assert_eq!(device(136, 4, "/dev/pts/4"), Ok(Kind::Terminal));
    }
}
