//! Mounts. config.json has made those that are its; what is left of the images are those that the container has made itself,
//! and where it may mount (CAP_SYS_ADMIN, no label of a security module), it gets them again: file systems without a device,
//! and what is bound from elsewhere in the container. The first task mounts them, whose root is the container's.
//!
//! Without a config.json all of them are made so, and those from outside are attached where the images have them. Mount
//! namespaces that tasks have made are built of these, `nested`.

use super::build::Build;
use super::{tmpfs, ttys};
use crate::check::CAP_SYS_ADMIN;
use crate::error::{Error, Result};
use crate::mounts::{MS_NOSYMFOLLOW, external_key, path_at, point};
use crate::proc::Mountinfo;
use crate::snapshot::Snapshot;
use images::messages::{Fstype, MntEntry};
use inject::{Arg, Batch, Call};
use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What of a file system's settings is its own; others, like `seclabel`, are the host's.
const TMPFS_OPTIONS: &[&[u8]] =
    &[b"size", b"nr_blocks", b"nr_inodes", b"mode", b"uid", b"gid", b"huge", b"inode64", b"inode32"];
const DEVPTS_OPTIONS: &[&[u8]] = &[b"mode", b"uid", b"gid", b"ptmxmode", b"max"];
const PROC_OPTIONS: &[&[u8]] = &[b"hidepid", b"gid", b"subset"];

/// Makes the container's own mounts, and gives every tmpfs its content.
pub(super) fn restore(build: &mut Build<'_>) -> Result<()> {
    let Some(id) = build.snapshot.tasks[0].ids().and_then(|ids| ids.mnt_ns_id) else { return Ok(()) };
    let Some(mounts) = build.snapshot.namespaces.mnt.get(&id) else { return Ok(()) };
    // The youngest come first in images.
    let mounts: Vec<&MntEntry> = mounts.iter().rev().collect();
    if let Some(external) = &build.policy.mounts {
        return make_all(build, &mounts, external);
    }
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
        mount_again(build, mount, &mounts[..at]).map_err(named)?;
    }
    Ok(())
}

/// Makes a mount that is the container's own, after those before it.
fn mount_again(build: &mut Build<'_>, mount: &MntEntry, before: &[&MntEntry]) -> Result<()> {
    if let Some((source, path)) = source(mount, before) {
        return bind(build, mount, source, &path);
    }
    let mut batch = Batch::new();
    let tree = make(&mut batch, build, mount)?;
    attach(&mut batch, tree.into(), mount);
    build.run(0, &batch)?;
    // Now, because others may be mounted on its directories.
    tmpfs::fill(build, mount, &[point(mount).to_owned()])?;
    close(build, mount)
}

/// Makes all mounts below the root.
fn make_all(build: &mut Build<'_>, mounts: &[&MntEntry], external: &[(Vec<u8>, RawFd)]) -> Result<()> {
    let mounts = in_order(mounts, |_| false);
    // Mounts that came with one from outside.
    let mut there: Vec<PathBuf> = Vec::new();
    for (at, mount) in mounts.iter().enumerate().skip(1) {
        let named = |error: Error| Error::new(format!("mount at {}: {error}", point(mount).display()));
        let Some(key) = external_key(mount) else {
            mount_again(build, mount, &mounts[..at]).map_err(named)?;
            if build.policy.has_console && mount.fstype == Fstype::Devpts as u32 {
                // Its slave may be mounted, too.
                ttys::make_console(build, point(mount)).map_err(named)?;
            }
            continue;
        };
        if there.iter().any(|place| place == point(mount)) {
            continue;
        }
        let same = mounts[..at].iter().find(|other| external_key(other).as_ref() == Some(&key));
        match (same, external.iter().find(|(name, _)| *name == key)) {
            (Some(same), _) => bind(build, mount, same, point(same)).map_err(named)?,
            (None, Some((_, tree))) => {
                let before = Mountinfo::of(build.init)?;
                let mut batch = Batch::new();
                attach(&mut batch, (*tree).into(), mount);
                build.run(0, &batch).map_err(named)?;
                let mut after = Mountinfo::of(build.init)?;
                after.retain(|mount| before.iter().all(|other| other.id != mount.id));
                there.extend(after.iter().map(|mount| PathBuf::from(OsStr::from_bytes(&mount.mountpoint))));
            }
            (None, None) => {
                let key = String::from_utf8_lossy(&key).escape_debug().to_string();
                return Err(named(Error::new(format!("it is from outside, and nothing is given for {key}"))));
            }
        }
    }
    leave_host(build)?;
    mounts.first().map_or(Ok(()), |root| close(build, root))
}

/// Only now: the kernel mounts proc and sysfs in a user namespace where others are seen already (mount_too_revealing).
fn leave_host(build: &mut Build<'_>) -> Result<()> {
    let mut batch = Batch::new();
    let (here, root) = (batch.string(b"."), batch.string(b"/"));
    batch.call("umount2", libc::SYS_umount2, &[here.into(), libc::MNT_DETACH.into()]);
    batch.call("chdir", libc::SYS_chdir, &[root.into()]);
    build.run(0, &batch)?;
    Ok(())
}

/// The root first, and each mount after the one that it is on and, if it shows a part of a file system, after one that
/// shows all of it, unless that `is_elsewhere`. Since Linux 6.8 /proc has them by the age of the mounts, which may be older
/// than their place.
pub(super) fn in_order<'a>(
    mounts: &[&'a MntEntry],
    is_elsewhere: impl Fn(&MntEntry) -> bool,
) -> Vec<&'a MntEntry> {
    let mut left = mounts.to_vec();
    let mut ordered: Vec<&MntEntry> = Vec::new();
    while !left.is_empty() {
        let is_below = |mount: &MntEntry| ordered.iter().any(|other| other.mnt_id == mount.parent_mnt_id);
        let is_whole = |mount: &MntEntry| {
            mount.ext_key.is_some()
                || mount.root == b"/"
                || source(mount, &ordered).is_some()
                || is_elsewhere(mount)
        };
        let is_outermost = |mount: &MntEntry| left.iter().all(|other| other.mnt_id != mount.parent_mnt_id);
        let next = left.iter().position(|mount| is_below(mount) && is_whole(mount));
        let next = next.or_else(|| left.iter().position(|mount| is_outermost(mount)));
        ordered.push(left.remove(next.unwrap_or(0)));
    }
    ordered
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

/// Where the mount is that has this id in the images.
pub(super) fn mountpoint(snapshot: &Snapshot, mnt_id: u32) -> Option<Vec<u8>> {
    let mut mounts = snapshot.namespaces.mnt.values().flatten();
    mounts.find(|mount| mount.mnt_id == mnt_id).map(|mount| point(mount).as_os_str().as_bytes().to_vec())
}

/// Where the file system of a mount is mounted already, and the path there of what this mount shows.
pub(super) fn source<'a>(mount: &MntEntry, before: &[&'a MntEntry]) -> Option<(&'a MntEntry, PathBuf)> {
    before.iter().find_map(|other| Some((*other, path_at(mount, other)?)))
}

/// `MOUNT_ATTR_` of mount_setattr(2) for `MS_` flags.
pub(crate) fn attributes(flags: u32) -> u64 {
    use sys::mount::*;
    let bits = [
        (libc::MS_RDONLY, MOUNT_ATTR_RDONLY),
        (libc::MS_NOSUID, MOUNT_ATTR_NOSUID),
        (libc::MS_NODEV, MOUNT_ATTR_NODEV),
        (libc::MS_NOEXEC, MOUNT_ATTR_NOEXEC),
        (MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW),
        (libc::MS_NODIRATIME, MOUNT_ATTR_NODIRATIME),
        (libc::MS_NOATIME, MOUNT_ATTR_NOATIME),
        (libc::MS_STRICTATIME, MOUNT_ATTR_STRICTATIME),
    ];
    bits.iter().filter(|(flag, _)| u64::from(flags) & flag != 0).map(|(_, attribute)| attribute).sum()
}

fn bind(build: &mut Build<'_>, mount: &MntEntry, source: &MntEntry, path: &Path) -> Result<()> {
    let mut batch = Batch::new();
    let tree = copy(&mut batch, path);
    set_attributes(&mut batch, tree, source, mount);
    attach(&mut batch, tree.into(), mount);
    build.run(0, &batch)?;
    Ok(())
}

/// Adds a mount of what is seen at a path, which is nowhere yet.
pub(super) fn copy(batch: &mut Batch, path: &Path) -> Call {
    const OPEN_TREE_CLONE: i32 = 1;
    let name = batch.string(path.as_os_str().as_bytes());
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC;
    batch.call("open_tree", libc::SYS_open_tree, &[libc::AT_FDCWD.into(), name.into(), flags.into()])
}

/// Gives a copy of the mount `source` the attributes of `mount`.
pub(super) fn set_attributes(batch: &mut Batch, copy: Call, source: &MntEntry, mount: &MntEntry) {
    let (now, then) = (attributes(source.flags), attributes(mount.flags));
    if now != then {
        // Only what differs: in a user namespace the rest may be locked.
        let mut cleared = now & !then;
        if (now ^ then) & sys::mount::MOUNT_ATTR_ATIME != 0 {
            cleared |= sys::mount::MOUNT_ATTR_ATIME;
        }
        // struct mount_attr: what to set, what to clear, propagation, a user namespace.
        let change = batch.words(&[then & !now, cleared, 0, 0]);
        let nothing = batch.string(b"");
        let arguments = [copy.into(), nothing.into(), libc::AT_EMPTY_PATH.into(), change.into(), 32.into()];
        batch.call("mount_setattr", libc::SYS_mount_setattr, &arguments);
    }
}

pub(super) fn attach(batch: &mut Batch, tree: Arg, mount: &MntEntry) {
    const MOVE_MOUNT_F_EMPTY_PATH: i32 = 4;
    let nothing = batch.string(b"");
    let place = batch.string(point(mount).as_os_str().as_bytes());
    let from = libc::AT_FDCWD;
    let arguments = [tree, nothing.into(), from.into(), place.into(), MOVE_MOUNT_F_EMPTY_PATH.into()];
    batch.call("move_mount", libc::SYS_move_mount, &arguments);
    batch.call("close", libc::SYS_close, &[tree]);
}

/// Adds a mount of a new file system that needs no device, which is nowhere yet.
pub(super) fn make(batch: &mut Batch, build: &Build<'_>, mount: &MntEntry) -> Result<Call> {
    // fsconfig(2)
    const SET_FLAG: i32 = 0;
    const SET_STRING: i32 = 1;
    const CREATE: i32 = 6;
    let kinds = [
        (Fstype::Tmpfs, &b"tmpfs"[..]),
        (Fstype::Tracefs, b"tracefs"),
        (Fstype::Proc, b"proc"),
        (Fstype::Sysfs, b"sysfs"),
        (Fstype::Devpts, b"devpts"),
        (Fstype::Mqueue, b"mqueue"),
        (Fstype::Cgroup2, b"cgroup2"),
        (Fstype::Auto, mount.fsname.as_deref().unwrap_or_default()),
    ];
    let kind = kinds.iter().find(|(kind, _)| *kind as u32 == mount.fstype && mount.root == b"/");
    // Those that only a dump takes in that was told so, and that has no config.json.
    let is_told = |kind: &Fstype| [Fstype::Tracefs, Fstype::Auto].contains(kind);
    let kind = kind.filter(|(kind, _)| !is_told(kind) || build.policy.mounts.is_some());
    let Some((kind, name)) = kind else {
        return Err(Error::new("the container has mounted a file system that is not supported"));
    };
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
    set(batch, SET_STRING, b"source", &mount.source);
    let known = match kind {
        Fstype::Tmpfs => TMPFS_OPTIONS,
        Fstype::Devpts => DEVPTS_OPTIONS,
        Fstype::Proc => PROC_OPTIONS,
        _ => &[],
    };
    let options = mount.options.split(|byte| *byte == b',');
    for option in options {
        let mut parts = option.splitn(2, |byte| *byte == b'=');
        let (key, value) = (parts.next().unwrap_or_default(), parts.next());
        if known.contains(&key) {
            set(batch, if value.is_some() { SET_STRING } else { SET_FLAG }, key, value.unwrap_or_default());
        }
    }
    if *kind != Fstype::Tmpfs && mount.sb_flags.unwrap_or(0) & libc::MS_RDONLY as u32 != 0 {
        set(batch, SET_FLAG, b"ro", b"");
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
    Ok(tree)
}

/// Makes a mount read-only that was.
pub(super) fn close(build: &mut Build<'_>, mount: &MntEntry) -> Result<()> {
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
    fn parents_come_first() {
        let entry = |mnt_id, parent_mnt_id, at, root, root_dev| MntEntry {
            mnt_id,
            parent_mnt_id,
            ..mount(at, root, root_dev)
        };
        let external =
            MntEntry { ext_key: Some(b"/dev/null".to_vec()), ..entry(1, 5, "/proc/keys", "/null", 9) };
        let all = [
            external,
            entry(2, 4, "/dev/console", "/0", 8),
            entry(3, 0, "/", "/srv", 1),
            entry(4, 3, "/dev", "/", 7),
            entry(5, 3, "/proc", "/", 6),
            entry(6, 4, "/dev/pts", "/", 8),
        ];
        let ordered = in_order(&all.iter().collect::<Vec<_>>(), |_| false);
        assert_eq!(ordered.iter().map(|mount| mount.mnt_id).collect::<Vec<_>>(), [3, 4, 5, 1, 6, 2]);
        // Nonsense ends, too.
        let circle = [entry(1, 2, "/a", "/", 1), entry(2, 1, "/b", "/", 2)];
        assert_eq!(in_order(&circle.iter().collect::<Vec<_>>(), |_| false).len(), 2);
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
