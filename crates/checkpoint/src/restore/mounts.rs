//! Mounts. config.json has made those that are its; what is left of the images are those that the container has made itself,
//! and where it may mount (CAP_SYS_ADMIN, no label of a security module), it gets them again: file systems without a device,
//! and what is bound from elsewhere in the container. The first task mounts them, whose root is the container's.

use super::build::Build;
use super::tmpfs;
use crate::check::CAP_SYS_ADMIN;
use crate::error::{Error, Result};
use crate::proc::Mountinfo;
use images::messages::{Fstype, MntEntry};
use inject::Batch;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What of a tmpfs's settings is its own; others, like `seclabel`, are the host's.
const TMPFS_OPTIONS: [&[u8]; 9] =
    [b"size", b"nr_blocks", b"nr_inodes", b"mode", b"uid", b"gid", b"huge", b"inode64", b"inode32"];

/// Makes the container's own mounts, and gives every tmpfs its content.
pub(super) fn restore(build: &mut Build<'_>) -> Result<()> {
    let Some(id) = build.snapshot.tasks[0].ids().and_then(|ids| ids.mnt_ns_id) else { return Ok(()) };
    let Some(mounts) = build.snapshot.namespaces.mnt.get(&id) else { return Ok(()) };
    // The youngest come first in images.
    let mounts: Vec<&MntEntry> = mounts.iter().rev().collect();
    let own = own(&mounts, &Mountinfo::of(build.init)?);
    // Without the right to mount, config.json has had other mounts when it was dumped; an archive has no place then.
    let may_mount = build.policy.capabilities.bounding & 1 << CAP_SYS_ADMIN != 0;
    for (mount, is_own) in mounts.iter().zip(&own) {
        if !is_own || !may_mount {
            tmpfs::fill(build, mount, &build.policy.tmpfs)?;
        }
    }
    for (at, mount) in mounts.iter().enumerate().filter(|(at, _)| own[*at] && may_mount) {
        let named = |error: Error| Error::new(format!("mount at {}: {error}", point(mount).display()));
        if build.policy.apparmor_profile.is_some() || build.policy.selinux_label.is_some() {
            return Err(named(Error::new("it is not config.json's, whose label decides what is mounted")));
        }
        match source(mount, &mounts[..at]) {
            Some((source, path)) => bind(build, mount, source, &path).map_err(named)?,
            None => {
                make(build, mount).map_err(named)?;
                // Now, because others may be mounted on its directories.
                tmpfs::fill(build, mount, &[point(mount).to_owned()])?;
                close(build, mount).map_err(named)?;
            }
        }
    }
    Ok(())
}

/// Which mounts of the images are not there, and not from outside. Several may be at one place.
fn own(mounts: &[&MntEntry], there: &[Mountinfo]) -> Vec<bool> {
    let mut there: Vec<&Path> =
        there.iter().map(|mount| Path::new(OsStr::from_bytes(&mount.mountpoint))).collect();
    let is_own = |mount: &&MntEntry| match there.iter().position(|place| *place == point(mount)) {
        Some(at) => {
            there.swap_remove(at);
            false
        }
        None => mount.ext_key.is_none(),
    };
    mounts.iter().map(is_own).collect()
}

/// Where a mount is; CRIU writes `./path`.
fn point(mount: &MntEntry) -> &Path {
    Path::new(OsStr::from_bytes(mount.mountpoint.strip_prefix(b".").unwrap_or(&mount.mountpoint)))
}

/// Where the file system of a mount is mounted already, and the path there of what this mount shows.
fn source<'a>(mount: &MntEntry, before: &[&'a MntEntry]) -> Option<(&'a MntEntry, PathBuf)> {
    let root = Path::new(OsStr::from_bytes(&mount.root));
    let path = |other: &&'a MntEntry| {
        let rest = root.strip_prefix(OsStr::from_bytes(&other.root)).ok()?;
        Some((
            *other,
            if rest.as_os_str().is_empty() { point(other).to_owned() } else { point(other).join(rest) },
        ))
    };
    before.iter().filter(|other| other.root_dev == mount.root_dev).find_map(path)
}

/// `MOUNT_ATTR_` of mount_setattr(2) for `MS_` flags.
fn attributes(flags: u32) -> u64 {
    use sys::mount::*;
    let bits = [
        (libc::MS_RDONLY, MOUNT_ATTR_RDONLY),
        (libc::MS_NOSUID, MOUNT_ATTR_NOSUID),
        (libc::MS_NODEV, MOUNT_ATTR_NODEV),
        (libc::MS_NOEXEC, MOUNT_ATTR_NOEXEC),
        (libc::MS_NODIRATIME, MOUNT_ATTR_NODIRATIME),
        (libc::MS_NOATIME, MOUNT_ATTR_NOATIME),
        (libc::MS_STRICTATIME, MOUNT_ATTR_STRICTATIME),
    ];
    bits.iter().filter(|(flag, _)| u64::from(flags) & flag != 0).map(|(_, attribute)| attribute).sum()
}

fn bind(build: &mut Build<'_>, mount: &MntEntry, source: &MntEntry, path: &Path) -> Result<()> {
    const OPEN_TREE_CLONE: i32 = 1;
    let (now, then) = (attributes(source.flags), attributes(mount.flags));
    let mut batch = Batch::new();
    let name = batch.string(path.as_os_str().as_bytes());
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC;
    let tree =
        batch.call("open_tree", libc::SYS_open_tree, &[libc::AT_FDCWD.into(), name.into(), flags.into()]);
    if now != then {
        // Only what differs: in a user namespace the rest may be locked.
        let mut cleared = now & !then;
        if (now ^ then) & sys::mount::MOUNT_ATTR_ATIME != 0 {
            cleared |= sys::mount::MOUNT_ATTR_ATIME;
        }
        // struct mount_attr: what to set, what to clear, propagation, a user namespace.
        let change = batch.words(&[then & !now, cleared, 0, 0]);
        let nothing = batch.string(b"");
        let arguments = [tree.into(), nothing.into(), libc::AT_EMPTY_PATH.into(), change.into(), 32.into()];
        batch.call("mount_setattr", libc::SYS_mount_setattr, &arguments);
    }
    attach(&mut batch, tree, mount);
    build.run(0, &batch)?;
    Ok(())
}

fn attach(batch: &mut Batch, tree: inject::Call, mount: &MntEntry) {
    const MOVE_MOUNT_F_EMPTY_PATH: i32 = 4;
    let nothing = batch.string(b"");
    let place = batch.string(point(mount).as_os_str().as_bytes());
    let from = libc::AT_FDCWD;
    let arguments = [tree.into(), nothing.into(), from.into(), place.into(), MOVE_MOUNT_F_EMPTY_PATH.into()];
    batch.call("move_mount", libc::SYS_move_mount, &arguments);
    batch.call("close", libc::SYS_close, &[tree.into()]);
}

/// A file system that needs no device.
fn make(build: &mut Build<'_>, mount: &MntEntry) -> Result<()> {
    // fsconfig(2)
    const SET_FLAG: i32 = 0;
    const SET_STRING: i32 = 1;
    const CREATE: i32 = 6;
    let kinds = [
        (Fstype::Tmpfs, &b"tmpfs"[..]),
        (Fstype::Proc, b"proc"),
        (Fstype::Sysfs, b"sysfs"),
        (Fstype::Devpts, b"devpts"),
        (Fstype::Mqueue, b"mqueue"),
        (Fstype::Cgroup2, b"cgroup2"),
    ];
    let kind = kinds.iter().find(|(kind, _)| *kind as u32 == mount.fstype && mount.root == b"/");
    let Some((kind, name)) = kind else {
        return Err(Error::new("the container has mounted a file system that is not supported"));
    };
    let mut batch = Batch::new();
    let name = batch.string(name);
    let context = batch.call("fsopen", libc::SYS_fsopen, &[name.into(), 0.into()]);
    let set = |batch: &mut Batch, command: i32, key: &[u8], value: &[u8]| {
        let (key, value) = (batch.string(key), batch.string(value));
        let value = if command == SET_STRING { value.into() } else { 0.into() };
        batch.call(
            "fsconfig",
            libc::SYS_fsconfig,
            &[context.into(), command.into(), key.into(), value, 0.into()],
        );
    };
    set(&mut batch, SET_STRING, b"source", &mount.source);
    let options = mount.options.split(|byte| *byte == b',').filter(|_| *kind == Fstype::Tmpfs);
    for option in options {
        let mut parts = option.splitn(2, |byte| *byte == b'=');
        let (key, value) = (parts.next().unwrap_or_default(), parts.next());
        if TMPFS_OPTIONS.contains(&key) {
            set(
                &mut batch,
                if value.is_some() { SET_STRING } else { SET_FLAG },
                key,
                value.unwrap_or_default(),
            );
        }
    }
    batch.call(
        "fsconfig",
        libc::SYS_fsconfig,
        &[context.into(), CREATE.into(), 0.into(), 0.into(), 0.into()],
    );
    // It has to be filled first.
    let attributes = attributes(mount.flags) & !sys::mount::MOUNT_ATTR_RDONLY;
    let tree = batch.call("fsmount", libc::SYS_fsmount, &[context.into(), 0.into(), attributes.into()]);
    batch.call("close", libc::SYS_close, &[context.into()]);
    attach(&mut batch, tree, mount);
    build.run(0, &batch)?;
    Ok(())
}

/// Makes a mount read-only that was.
fn close(build: &mut Build<'_>, mount: &MntEntry) -> Result<()> {
    let flags = mount.flags | mount.sb_flags.unwrap_or(0);
    if flags & libc::MS_RDONLY as u32 == 0 {
        return Ok(());
    }
    let mut batch = Batch::new();
    let place = batch.string(point(mount).as_os_str().as_bytes());
    let change = batch.words(&[sys::mount::MOUNT_ATTR_RDONLY, 0, 0, 0]);
    let arguments = [libc::AT_FDCWD.into(), place.into(), 0.into(), change.into(), 32.into()];
    batch.call("mount_setattr", libc::SYS_mount_setattr, &arguments);
    build.run(0, &batch)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(mountpoint: &str, root: &str, root_dev: u32) -> MntEntry {
        let (mountpoint, root) = (mountpoint.into(), root.into());
        MntEntry { mountpoint, root, root_dev, ..MntEntry::default() }
    }

    #[test]
    fn what_is_there_is_not_own() {
        let there = ["/", "/proc", "/run"];
        let there: Vec<Mountinfo> =
            there.iter().map(|at| Mountinfo { mountpoint: (*at).into(), ..Mountinfo::default() }).collect();
        let external = MntEntry { ext_key: Some(b"/data".to_vec()), ..mount("./data", "/", 1) };
        let all = [mount("./", "/", 1), mount("./run", "/", 2), mount("./run", "/", 3), external];
        assert_eq!(own(&all.iter().collect::<Vec<_>>(), &there), [false, false, true, false]);
    }

    #[test]
    fn sources() {
        let rootfs = mount("/", "/srv/rootfs", 1);
        let run = mount("/run", "/", 2);
        let before = [&rootfs, &run];
        let source = |root, dev| source(&mount("/x", root, dev), &before).map(|(_, path)| path);
        assert_eq!(source("/srv/rootfs/a", 1), Some("/a".into()));
        assert_eq!(source("/", 2), Some("/run".into()));
        assert_eq!(source("/elsewhere", 1), None);
        assert_eq!(source("/", 3), None);
    }

    #[test]
    fn flags() {
        assert_eq!(attributes((libc::MS_RDONLY | libc::MS_NODEV | libc::MS_RELATIME) as u32), 5);
    }
}
