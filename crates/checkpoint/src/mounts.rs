//! The mounts of a container, as images have them. What came from outside is there by name only.

use crate::credentials::IdMaps;
use crate::error::{At, Result};
use crate::proc::Mountinfo;
use crate::target::Externals;
use images::messages::{Fstype, MntEntry};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// The mount namespace of a container.
#[derive(Debug)]
pub(crate) struct Mounts {
    root: OwnedFd,
    pub(crate) list: Vec<Mountinfo>,
    /// The key of each mount that is from outside.
    keys: Vec<Option<Vec<u8>>>,
}

impl Mounts {
    /// `init` is the first process of the container.
    pub(crate) fn of(init: i32, externals: &Externals) -> Result<Mounts> {
        let path = format!("/proc/{init}/root");
        let root = open(path.as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .at(|| format!("open {path}"))?;
        let list = Mountinfo::of(init)?;
        let mut mounts = Mounts { root, keys: vec![None; list.len()], list };
        for external in &externals.mounts {
            let Some(at) = mounts.list.iter().position(|mount| u64::from(mount.id) == external.id) else {
                continue;
            };
            let key = match mounts.is_null_device(at) {
                // As runc names what it masks.
                true => b"/dev/null".to_vec(),
                false => external.destination.as_os_str().as_bytes().to_vec(),
            };
            if external.is_recursive {
                mounts.mark_below(at, &key);
            }
            mounts.keys[at] = Some(key);
        }
        Ok(mounts)
    }

    /// The container's root directory.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The id in images of the mount with this id in /proc: the same, when the container has it.
    pub(crate) fn find(&self, id: u32) -> Option<u32> {
        self.list.iter().any(|mount| mount.id == id).then_some(id)
    }

    /// Mounts of tmpfs whose content is the container's, one for each file system.
    pub(crate) fn own_tmpfs(&self) -> Vec<&Mountinfo> {
        let mut own: Vec<&Mountinfo> = Vec::new();
        for (mount, key) in self.list.iter().zip(&self.keys) {
            let is_own =
                mount.fstype == "tmpfs" && mount.is_whole() && key.is_none() && mount.mountpoint != b"/";
            if is_own && own.iter().all(|known| known.dev != mount.dev) {
                own.push(mount);
            }
        }
        own
    }

    /// File systems that the container has mounted, and that a restore could not mount again: by place and kind.
    pub(crate) fn unsupported(&self) -> Vec<(&[u8], &str)> {
        const WHOLE: [&str; 6] = ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "devtmpfs"];
        let is_unsupported = |at: &usize| {
            let mount = &self.list[*at];
            let root = |mount: &'_ Mountinfo| Path::new(OsStr::from_bytes(&mount.root)).to_owned();
            let mut before = self.list[..*at].iter().filter(|other| other.dev == mount.dev);
            let is_bound = before.any(|other| root(mount).starts_with(root(other)));
            let is_made = WHOLE.contains(&mount.fstype.as_str()) && mount.is_whole()
                || mount.fstype.starts_with("cgroup");
            self.keys[*at].is_none() && mount.mountpoint != b"/" && !is_bound && !is_made
        };
        let all = (0..self.list.len()).filter(is_unsupported);
        all.map(|at| (self.list[at].mountpoint.as_slice(), self.list[at].fstype.as_str())).collect()
    }

    /// The youngest first, as CRIU has them. In a cgroup namespace of its own, a container sees its cgroup as the root.
    pub(crate) fn entries(&self, maps: &IdMaps, has_own_cgroups: bool) -> Vec<MntEntry> {
        let entry = |(mount, key): (&Mountinfo, &Option<Vec<u8>>)| {
            let mut entry = entry(mount, maps, key.clone());
            if has_own_cgroups && mount.fstype.starts_with("cgroup") {
                entry.root = b"/".to_vec();
            }
            entry
        };
        self.list.iter().zip(&self.keys).rev().map(entry).collect()
    }

    fn is_null_device(&self, at: usize) -> bool {
        let path = OsStr::from_bytes(&self.list[at].mountpoint);
        let file = sys::path::resolve_in_root(self.root(), path, libc::O_NOFOLLOW);
        let metadata = file.and_then(|file| Ok(std::fs::File::from(file).metadata()?));
        metadata.is_ok_and(|found| found.file_type().is_char_device() && found.rdev() == libc::makedev(1, 3))
    }

    /// Names all mounts below one by where they are.
    fn mark_below(&mut self, at: usize, key: &[u8]) {
        let parent = self.list[at].clone();
        for below in 0..self.list.len() {
            if self.list[below].parent == parent.id {
                let rest = self.list[below]
                    .mountpoint
                    .strip_prefix(parent.mountpoint.as_slice())
                    .unwrap_or_default();
                let key = [key, rest].concat();
                self.mark_below(below, &key);
                self.keys[below].get_or_insert(key);
            }
        }
    }
}

fn entry(mount: &Mountinfo, maps: &IdMaps, key: Option<Vec<u8>>) -> MntEntry {
    let fstype = match mount.fstype.as_str() {
        "proc" => Fstype::Proc,
        "sysfs" => Fstype::Sysfs,
        "devtmpfs" => Fstype::Devtmpfs,
        "tmpfs" => Fstype::Tmpfs,
        "devpts" => Fstype::Devpts,
        "cgroup" => Fstype::Cgroup,
        "cgroup2" => Fstype::Cgroup2,
        "mqueue" => Fstype::Mqueue,
        "overlay" => Fstype::Overlayfs,
        _ => Fstype::Unsupported,
    };
    let (sb_flags, options) = super_options(&mount.super_options, maps, fstype);
    MntEntry {
        fstype: fstype as u32,
        mnt_id: mount.id,
        root_dev: device(mount.dev),
        parent_mnt_id: mount.parent,
        flags: flags(&mount.options),
        root: mount.root.clone(),
        mountpoint: mount.mountpoint.clone(),
        source: mount.source.clone(),
        options,
        shared_id: Some(mount.shared),
        master_id: Some(mount.master),
        sb_flags: Some(sb_flags),
        ext_key: key,
        ..MntEntry::default()
    }
}

/// A device number as the kernel keeps it (kdev_t.h, MKDEV).
fn device((major, minor): (u32, u32)) -> u32 {
    major << 20 | minor
}

/// `MS_` flags of a mount.
fn flags(options: &str) -> u32 {
    let mut flags = 0;
    for option in options.split(',') {
        flags |= match option {
            "ro" => libc::MS_RDONLY,
            "nosuid" => libc::MS_NOSUID,
            "nodev" => libc::MS_NODEV,
            "noexec" => libc::MS_NOEXEC,
            "noatime" => libc::MS_NOATIME,
            "nodiratime" => libc::MS_NODIRATIME,
            "relatime" => libc::MS_RELATIME,
            _ => 0,
        };
    }
    if flags & (libc::MS_RELATIME | libc::MS_NOATIME) == 0 {
        flags |= libc::MS_STRICTATIME;
    }
    flags as u32
}

/// `MS_` flags of a file system, and its other options, with ids as the container has them.
fn super_options(options: &[u8], maps: &IdMaps, fstype: Fstype) -> (u32, Vec<u8>) {
    let mut flags = 0;
    let mut others: Vec<Vec<u8>> = Vec::new();
    for option in options.split(|byte| *byte == b',') {
        match option {
            b"rw" | b"" => {}
            b"ro" => flags |= libc::MS_RDONLY,
            b"sync" => flags |= libc::MS_SYNCHRONOUS,
            b"dirsync" => flags |= libc::MS_DIRSYNC,
            b"mand" => flags |= libc::MS_MANDLOCK,
            // These are the whole hierarchy's: who mounts it again cannot set them.
            _ if fstype == Fstype::Cgroup2 => {}
            other => others.push(match id_option(other) {
                Some(("uid", uid)) => format!("uid={}", maps.uid(uid)).into(),
                Some((name, gid)) => format!("{name}={}", maps.gid(gid)).into(),
                None => other.to_vec(),
            }),
        }
    }
    if fstype == Fstype::Devpts {
        others.push(b"newinstance".to_vec());
    }
    (flags as u32, others.join(&b','))
}

/// `uid=N` and `gid=N`.
fn id_option(option: &[u8]) -> Option<(&str, u32)> {
    let (name, id) = std::str::from_utf8(option).ok()?.split_once('=')?;
    Some((name, id.parse().ok()?)).filter(|(name, _)| ["uid", "gid"].contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use images::messages::UidGidExtent;

    #[test]
    fn flags_and_options() {
        assert_eq!(flags("rw,nosuid"), 0x1000002);
        assert_eq!(flags("ro,nosuid,nodev,noexec,relatime"), 0x20000f);
        let map = vec![UidGidExtent { first: 0, lower_first: 1000, count: 10 }];
        let maps = IdMaps { uids: map.clone(), gids: map };
        let options = |text: &str, fstype| {
            let (flags, others) = super_options(text.as_bytes(), &maps, fstype);
            (flags, String::from_utf8(others).expect("utf-8"))
        };
        assert_eq!(
            options("ro,size=4k,nr_inodes=1,uid=1000,gid=1005", Fstype::Tmpfs),
            (1, "size=4k,nr_inodes=1,uid=0,gid=5".to_owned())
        );
        assert_eq!(options("rw,mode=620", Fstype::Devpts), (0, "mode=620,newinstance".to_owned()));
        assert_eq!(options("rw,nsdelegate", Fstype::Cgroup2), (0, String::new()));
        assert_eq!(device((254, 3)), 254 << 20 | 3);
    }
}
