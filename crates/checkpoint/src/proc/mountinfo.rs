//! /proc/PID/mountinfo (proc_pid_mountinfo(5)).

use super::{read, unescape};
use crate::error::{Error, Result};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mountinfo {
    pub(crate) id: u32,
    pub(crate) parent: u32,
    pub(crate) dev: (u32, u32),
    /// The directory of the file system that is mounted.
    pub(crate) root: Vec<u8>,
    /// Below the root of the process.
    pub(crate) mountpoint: Vec<u8>,
    pub(crate) options: String,
    pub(crate) shared: u32,
    pub(crate) master: u32,
    pub(crate) fstype: String,
    pub(crate) source: Vec<u8>,
    pub(crate) super_options: Vec<u8>,
}

impl Mountinfo {
    /// All mounts in the mount namespace of a process that its root reaches.
    pub(crate) fn of(pid: i32) -> Result<Vec<Mountinfo>> {
        let path = format!("/proc/{pid}/mountinfo");
        let mounts: Option<Vec<Mountinfo>> = read(&path)?.lines().map(Mountinfo::parse).collect();
        mounts.ok_or_else(|| Error::new(format!("{path}: not as expected")))
    }

    fn parse(line: &str) -> Option<Mountinfo> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut words = mount.split(' ');
        let mut mounted = Mountinfo { id: words.next()?.parse().ok()?, ..Mountinfo::default() };
        mounted.parent = words.next()?.parse().ok()?;
        let (major, minor) = words.next()?.split_once(':')?;
        mounted.dev = (major.parse().ok()?, minor.parse().ok()?);
        mounted.root = unescape(words.next()?);
        mounted.mountpoint = unescape(words.next()?);
        mounted.options = words.next()?.to_owned();
        for tag in words {
            match tag.split_once(':') {
                Some(("shared", group)) => mounted.shared = group.parse().ok()?,
                Some(("master", group)) => mounted.master = group.parse().ok()?,
                _ => {}
            }
        }
        let mut words = file_system.split(' ');
        mounted.fstype = words.next()?.to_owned();
        mounted.source = unescape(words.next()?);
        mounted.super_options = unescape(words.next().unwrap_or_default());
        Some(mounted)
    }

    /// Whether it shows its file system from the root on, not a directory or file of it.
    pub(crate) fn is_whole(&self) -> bool {
        self.root == b"/"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_tags() {
        let line =
            "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue";
        let mount = Mountinfo::parse(line).expect("a mount");
        assert_eq!((mount.id, mount.parent, mount.dev, mount.shared, mount.master), (36, 35, (98, 0), 7, 1));
        assert_eq!((mount.mountpoint.as_slice(), mount.fstype.as_str()), (b"/mnt 2".as_slice(), "ext3"));
        assert_eq!(mount.super_options, b"rw,errors=continue");
        assert!(!mount.is_whole());
    }
}
