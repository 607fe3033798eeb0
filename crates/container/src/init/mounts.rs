//! The container's mount tree: opened as detached mounts, attached by descriptor, in config.json's order.
//!
//! A target is always a descriptor from a walk that cannot leave the root (`paths`), a source is opened once
//! and everything about it is set before anybody can see it. Bind sources are opened before clone3 when floe
//! is privileged, because root in a new user namespace may not be able to reach them; otherwise by init.

use super::paths::{Kind, clean, is_device, kind_of, open_or_create};
use super::protocol::{During, Failure, InitResult, Step};
use crate::config::{Config, CopySource, FsOption, Mount, MountKind};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat, mkdirat, mknodat};
use nix::unistd::{Gid, Uid, fchown, fchownat};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use sys::mount::{
    FsContext, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, MountAttr, attach,
    clone_tree, set_attr, set_idmap,
};
use sys::path::{openat2, resolve_in_root};
use sys::process::filesystem_type;
use sys::{Errno, Result};

/// statfs(2), `f_type` of procfs.
pub(crate) const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// Files that a container may have its own version of, such as LXCFS gives; everything else below /proc
/// belongs to the kernel (runc's list).
const MOUNTABLE_IN_PROC: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
    "/proc/net/dev",
];

/// A detached copy of the root file system's mounts. Nothing that happens to it is seen on the host.
pub(crate) fn open_rootfs(config: &Config) -> Result<OwnedFd> {
    let tree = clone_tree(AT_FDCWD, &config.rootfs, true)?;
    let slave = MountAttr { propagation: libc::MS_SLAVE, ..MountAttr::default() };
    set_attr(tree.as_fd(), true, &slave)?;
    Ok(tree)
}

/// A detached copy of a bind mount's source with all its attributes; `None` for other kinds of mounts.
/// `userns` holds the mappings of an idmapped mount.
pub(crate) fn open_bind(
    mount: &Mount,
    config: &Config,
    userns: Option<BorrowedFd<'_>>,
) -> InitResult<Option<OwnedFd>> {
    let MountKind::Bind { source, recursive } = &mount.kind else { return Ok(None) };
    let what = || format!("{} for {}", source.display(), mount.destination);
    let tree = if mount.source_nofollow {
        openat2(AT_FDCWD, source, libc::O_PATH | libc::O_NOFOLLOW, 0, 0)
            .and_then(|file| clone_tree(file.as_fd(), "", *recursive))
    } else {
        clone_tree(AT_FDCWD, source, *recursive)
    };
    let tree = tree.during(Step::MountSource, what)?;
    if let (Some(idmap), Some(userns)) = (&mount.idmap, userns) {
        set_idmap(tree.as_fd(), idmap.recursive, userns).during(Step::MountAttributes, || {
            format!("idmap of {} (does its file system have idmapped mounts?)", what())
        })?;
    }
    set_bind_attributes(tree.as_fd(), mount, *recursive, default_propagation(config))
        .during(Step::MountAttributes, what)?;
    Ok(Some(tree))
}

/// What a bind mount inherits from the host's tree when it does not say: rootfsPropagation, or slave.
fn default_propagation(config: &Config) -> u64 {
    match config.rootfs_propagation {
        Some(propagation) if propagation.flag == libc::MS_UNBINDABLE => libc::MS_PRIVATE,
        Some(propagation) => propagation.flag,
        None => libc::MS_SLAVE,
    }
}

fn set_bind_attributes(tree: BorrowedFd<'_>, mount: &Mount, recursive: bool, propagation: u64) -> Result<()> {
    let whole = MountAttr { propagation, ..mount.recursive_attr };
    set_attr(tree, recursive, &whole)?;
    // A tree's attributes count for the mount itself too, whatever the order of the words.
    if !mount.attr.is_empty() {
        set_attr(tree, false, &mount.attr)?;
    }
    for propagation in &mount.propagation {
        let attr = MountAttr { propagation: propagation.flag, ..MountAttr::default() };
        set_attr(tree, propagation.recursive, &attr)?;
    }
    Ok(())
}

/// Where mounts go and what they need to know about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) root: BorrowedFd<'a>,
    pub(crate) config: &'a Config,
    /// The container's cgroup, in the host's view.
    pub(crate) cgroup: Option<&'a std::path::Path>,
    /// Whose processes /proc shows, when it is not init's own pid namespace.
    pub(crate) pid_namespace: Option<BorrowedFd<'a>>,
}

/// Attaches everything in `mounts`. `sources` are what `open_bind` gave before clone3.
pub(crate) fn mount_all(place: &Place<'_>, sources: Vec<Option<OwnedFd>>) -> InitResult<()> {
    for (mount, source) in place.config.mounts.iter().zip(sources) {
        mount_one(place, mount, source)?;
    }
    Ok(())
}

fn mount_one(place: &Place<'_>, mount: &Mount, source: Option<OwnedFd>) -> InitResult<()> {
    let Place { root, config, cgroup, .. } = *place;
    if mount.kind == MountKind::Remount {
        return remount(root, mount);
    }
    let kind = match (&mount.kind, &source) {
        (MountKind::Bind { .. }, Some(tree)) => {
            kind_of(tree.as_fd()).during(Step::MountSource, || mount.destination.clone())?
        }
        _ => Kind::Directory,
    };
    // Before the mount point is made.
    let mode = inherited_mode(root, mount);
    let target = open_target(root, mount, kind)?;
    let (tree, recursive) = match &mount.kind {
        MountKind::Bind { recursive, .. } => {
            let tree = match source {
                Some(tree) => tree,
                None => open_bind(mount, config, None)?.expect("it is a bind mount"),
            };
            (tree, *recursive)
        }
        MountKind::Filesystem { .. } => (new_filesystem(place, mount, mode, target.as_fd())?, false),
        MountKind::Remount => unreachable!("it has no tree of its own"),
        MountKind::Cgroup => (cgroup_tree(mount, config, cgroup)?, false),
    };
    check_proc(mount, tree.as_fd(), target.as_fd())?;
    attach(tree.as_fd(), target.as_fd()).during(Step::Mount, || describe(mount))?;
    if !matches!(mount.kind, MountKind::Bind { .. }) {
        let attributes = || -> Result<()> {
            if !mount.recursive_attr.is_empty() {
                set_attr(tree.as_fd(), true, &mount.recursive_attr)?;
            }
            for propagation in &mount.propagation {
                let attr = MountAttr { propagation: propagation.flag, ..MountAttr::default() };
                set_attr(tree.as_fd(), propagation.recursive || recursive, &attr)?;
            }
            Ok(())
        };
        attributes().during(Step::MountAttributes, || describe(mount))?;
    }
    Ok(())
}

fn remount(root: BorrowedFd<'_>, mount: &Mount) -> InitResult<()> {
    let change = || -> Result<()> {
        let target = resolve_in_root(root, &mount.destination, 0)?;
        set_attr(target.as_fd(), false, &mount.attr)?;
        if !mount.recursive_attr.is_empty() {
            set_attr(target.as_fd(), true, &mount.recursive_attr)?;
        }
        for propagation in &mount.propagation {
            let attr = MountAttr { propagation: propagation.flag, ..MountAttr::default() };
            set_attr(target.as_fd(), propagation.recursive, &attr)?;
        }
        Ok(())
    };
    change().during(Step::MountAttributes, || describe(mount))
}

fn describe(mount: &Mount) -> String {
    let what = match &mount.kind {
        MountKind::Bind { source, .. } => source.display().to_string(),
        MountKind::Filesystem { fstype, .. } => fstype.clone(),
        MountKind::Remount => "remount".to_owned(),
        MountKind::Cgroup => "cgroup2".to_owned(),
    };
    format!("{what} at {}", mount.destination)
}

fn open_target(root: BorrowedFd<'_>, mount: &Mount, kind: Kind) -> InitResult<OwnedFd> {
    let at = || format!("{} for {}", mount.destination, describe(mount));
    // A link at /proc or /sys would put the kernel's files elsewhere and leave the real path unmasked.
    if let MountKind::Filesystem { fstype, .. } = &mount.kind
        && ["proc", "sysfs"].contains(&fstype.as_str())
    {
        let path = clean(&mount.destination).join("/");
        match resolve_in_root(root, &path, libc::O_NOFOLLOW | libc::O_DIRECTORY) {
            Ok(target) => return Ok(target),
            Err(e) if e.raw() == libc::ENOENT => {}
            Err(e) => {
                return Err(Failure::new(
                    Step::MountPoint,
                    e.raw(),
                    format!("{}: it must be an ordinary directory", at()),
                ));
            }
        }
    }
    open_or_create(root, &mount.destination, kind).during(Step::MountPoint, at)
}

/// As runc: a tmpfs takes over the permissions of the directory it covers, unless told others. One that was not
/// there has none to give: the tmpfs is everybody's then, like /tmp.
fn inherited_mode(root: BorrowedFd<'_>, mount: &Mount) -> Option<u32> {
    let MountKind::Filesystem { fstype, options, .. } = &mount.kind else { return None };
    if fstype != "tmpfs" || value_of(options, "mode").is_some() {
        return None;
    }
    let directory = resolve_in_root(root, format!("/{}", clean(&mount.destination).join("/")), 0).ok()?;
    fstat(directory).ok().map(|stat| stat.st_mode & 0o7777)
}

fn value_of<'a>(options: &'a [FsOption], name: &str) -> Option<&'a str> {
    options.iter().find_map(|option| match option {
        FsOption::Value(key, value) if key == name => Some(value.as_str()),
        _ => None,
    })
}

/// Refuses to cover the kernel's files below /proc, however the path leads there.
fn check_proc(mount: &Mount, tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> InitResult<()> {
    let is_proc = |fd| Ok(filesystem_type(fd).during(Step::Mount, || describe(mount))? == PROC_SUPER_MAGIC);
    let path = format!("/{}", clean(&mount.destination).join("/"));
    let refuse = |why: &str| Err(Failure::new(Step::Mount, 0, format!("{}: {why}", describe(mount))));
    if path == "/proc" {
        return if is_proc(tree)? { Ok(()) } else { refuse("only proc may be mounted there") };
    }
    if MOUNTABLE_IN_PROC.contains(&path.as_str()) || !is_proc(target)? {
        return Ok(());
    }
    refuse("it is inside /proc")
}

fn new_filesystem(
    place: &Place<'_>,
    mount: &Mount,
    mode: Option<u32>,
    target: BorrowedFd<'_>,
) -> InitResult<OwnedFd> {
    let MountKind::Filesystem { fstype, source, options, copy } = &mount.kind else {
        unreachable!("only called for file systems")
    };
    let context = match FsContext::open(fstype) {
        Ok(context) => context,
        Err(e) if e.raw() == libc::ENODEV => {
            return Err(Failure::new(
                Step::Mount,
                e.raw(),
                format!("{}: unknown file system type \"{fstype}\"", describe(mount)),
            ));
        }
        Err(e) => return Err(Failure::new(Step::Mount, e.raw(), describe(mount))),
    };
    let set = || -> Result<()> {
        context.set_string("source", source)?;
        if let Some(namespace) = place.pid_namespace.filter(|_| fstype == "proc") {
            context.set_pid_namespace(namespace)?;
        }
        if let Some(mode) = mode {
            context.set_string("mode", format!("{mode:o}"))?;
        }
        for option in options {
            match option {
                FsOption::Flag(key) => context.set_flag(key)?,
                FsOption::Value(key, value) => context.set_string(key, value)?,
            }
        }
        context.create()
    };
    match set() {
        Ok(()) => {}
        // sysfs belongs to the network namespace's owner: without one of our own the host's is shown.
        Err(e) if fstype == "sysfs" && e.raw() == libc::EPERM => return bind_sys(mount),
        Err(e) => {
            let said = context.message().map_or_else(String::new, |message| format!(" ({message})"));
            return Err(Failure::new(Step::Mount, e.raw(), format!("{}{said}", describe(mount))));
        }
    }
    let mut attributes = mount.attr.set;
    let is_dev = clean(&mount.destination) == ["dev"];
    if *copy != CopySource::Nothing || is_dev {
        // Filled first; made read-only afterwards.
        attributes &= !MOUNT_ATTR_RDONLY;
    }
    let tree = match context.mount(attributes) {
        Ok(tree) => tree,
        Err(e) if fstype == "sysfs" && e.raw() == libc::EPERM => return bind_sys(mount),
        Err(e) => return Err(Failure::new(Step::Mount, e.raw(), describe(mount))),
    };
    if *copy == CopySource::Destination {
        let copy_up = || -> Result<()> {
            let stat = fstat(target)?;
            copy_tree(openat2(target, ".", libc::O_RDONLY | libc::O_DIRECTORY, 0, 0)?, tree.as_fd())?;
            let top = openat2(tree.as_fd(), ".", libc::O_RDONLY | libc::O_DIRECTORY, 0, 0)?;
            // Options of the mount, such as Podman makes of its `U`, have the last word on the top directory.
            let uid = value_of(options, "uid").is_none().then(|| Uid::from_raw(stat.st_uid));
            let gid = value_of(options, "gid").is_none().then(|| Gid::from_raw(stat.st_gid));
            Ok(fchown(top, uid, gid)?)
        };
        copy_up().during(Step::CopyUp, || mount.destination.clone())?;
        if mount.is_readonly() && !is_dev {
            let attr = MountAttr { set: MOUNT_ATTR_RDONLY, ..MountAttr::default() };
            set_attr(tree.as_fd(), false, &attr).during(Step::MountAttributes, || describe(mount))?;
        }
    }
    Ok(tree)
}

fn bind_sys(mount: &Mount) -> InitResult<OwnedFd> {
    let bind = || -> Result<OwnedFd> {
        let tree = clone_tree(AT_FDCWD, "/sys", true)?;
        set_attr(tree.as_fd(), true, &MountAttr { propagation: libc::MS_SLAVE, ..mount.attr })?;
        Ok(tree)
    };
    bind().during(Step::Mount, || describe(mount))
}

/// The container's cgroups. A cgroup namespace of its own shows just them; without one the host's tree is
/// shown by a bind mount, as a new mount would also reset the flags of the host's (`nsdelegate`).
fn cgroup_tree(mount: &Mount, config: &Config, cgroup: Option<&std::path::Path>) -> InitResult<OwnedFd> {
    let namespaced = config.creates(libc::CLONE_NEWCGROUP) || config.joins(libc::CLONE_NEWCGROUP);
    let tree = || -> Result<OwnedFd> {
        if namespaced {
            let mounted = FsContext::open("cgroup2").and_then(|context| {
                context.set_string("source", "cgroup")?;
                context.create()?;
                context.mount(mount.attr.set)
            });
            match (mounted, cgroup) {
                // The kernel wants a fully visible cgroup2 mount in our user namespace's parent.
                (Err(e), Some(cgroup)) if [libc::EPERM, libc::EBUSY].contains(&e.raw()) => {
                    let tree = clone_tree(AT_FDCWD, cgroup, false)?;
                    set_attr(tree.as_fd(), false, &mount.attr)?;
                    return Ok(tree);
                }
                (mounted, _) => return mounted,
            }
        }
        let mut attr = mount.attr;
        if config.has_user_namespace() {
            // The user that the container's root is on the host owns delegated cgroups besides ours
            // (CVE-2023-25809).
            attr.set |= MOUNT_ATTR_RDONLY;
            attr.clear &= !MOUNT_ATTR_RDONLY;
        }
        let tree = clone_tree(AT_FDCWD, "/sys/fs/cgroup", true)?;
        set_attr(tree.as_fd(), true, &MountAttr { propagation: libc::MS_PRIVATE, ..attr })?;
        Ok(tree)
    };
    tree().during(Step::Mount, || describe(mount))
}

/// Copies a directory's contents with owner and mode; devices only where mknod(2) is allowed.
fn copy_tree(from: OwnedFd, to: BorrowedFd<'_>) -> Result<()> {
    let to = openat2(to, ".", libc::O_RDONLY | libc::O_DIRECTORY, 0, 0)?;
    let copy_owner_and_mode = |to: &OwnedFd, stat: &libc::stat| -> Result<()> {
        fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
        fchmod(to, Mode::from_bits_truncate(stat.st_mode & 0o7777))?;
        Ok(())
    };
    let mut dir = nix::dir::Dir::from_fd(from).map_err(Errno::from)?;
    let mut names = Vec::new();
    for entry in dir.iter() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    for name in names {
        let name = name.as_c_str();
        let stat = fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let mode = Mode::from_bits_truncate(stat.st_mode & 0o7777);
        match stat.st_mode & libc::S_IFMT {
            libc::S_IFDIR => {
                mkdirat(&to, name, mode)?;
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let from = openat(&dir, name, flags, Mode::empty())?;
                let into = openat(&to, name, flags, Mode::empty())?;
                copy_tree(from, into.as_fd())?;
                copy_owner_and_mode(&into, &stat)?;
            }
            libc::S_IFREG => {
                let from = openat(
                    &dir,
                    name,
                    OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK,
                    Mode::empty(),
                )?;
                // A racing rename may have put a device there, which nobody may read yet.
                let stat = fstat(&from)?;
                if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
                    return Err(Errno::from_raw(libc::EAGAIN));
                }
                let create = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
                let into = openat(&to, name, create, Mode::from_bits_truncate(0o600))?;
                let (mut from, mut into) = (File::from(from), File::from(into));
                std::io::copy(&mut from, &mut into)?;
                copy_owner_and_mode(&into.into(), &stat)?;
            }
            libc::S_IFLNK => {
                let target = nix::fcntl::readlinkat(&dir, name)?;
                nix::unistd::symlinkat(target.as_bytes(), &to, name)?;
                let owner = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
                fchownat(&to, name, Some(owner.0), Some(owner.1), AtFlags::AT_SYMLINK_NOFOLLOW)?;
            }
            kind => match mknodat(&to, name, SFlag::from_bits_truncate(kind), mode, stat.st_rdev) {
                Err(nix::Error::EPERM) => {}
                other => other?,
            },
        }
    }
    Ok(())
}

/// The last word on attributes: the root and /dev become read-only only when everything is in them.
pub(crate) fn finish(root: BorrowedFd<'_>, config: &Config) -> InitResult<()> {
    let readonly = MountAttr { set: MOUNT_ATTR_RDONLY, ..MountAttr::default() };
    for mount in &config.mounts {
        let filled =
            matches!(mount.kind, MountKind::Filesystem { .. }) && clean(&mount.destination) == ["dev"];
        if filled && mount.is_readonly() {
            resolve_in_root(root, "dev", libc::O_DIRECTORY)
                .and_then(|dev| set_attr(dev.as_fd(), false, &readonly))
                .during(Step::MountAttributes, || describe(mount))?;
        }
    }
    if let Some(propagation) = config.rootfs_propagation {
        let attr = MountAttr { propagation: propagation.flag, ..MountAttr::default() };
        set_attr(root, propagation.recursive, &attr).during(Step::Propagation, || "/")?;
    }
    if config.rootfs_readonly {
        set_attr(root, false, &readonly).during(Step::MountAttributes, || "rootfs")?;
    }
    Ok(())
}

/// linux.readonlyPaths; a path that does not exist is not made.
pub(crate) fn make_readonly(root: BorrowedFd<'_>, paths: &[String]) -> InitResult<()> {
    for path in paths {
        let bind = || -> Result<()> {
            let Some(target) = existing(root, path)? else { return Ok(()) };
            let tree = clone_tree(target.as_fd(), "", true)?;
            let attr = MountAttr { set: MOUNT_ATTR_RDONLY, ..MountAttr::default() };
            set_attr(tree.as_fd(), true, &attr)?;
            attach(tree.as_fd(), target.as_fd())
        };
        bind().during(Step::ReadonlyPath, || path.as_str())?;
    }
    Ok(())
}

/// linux.maskedPaths: an empty read-only directory, or `null` (the host's /dev/null, opened by init before
/// the root changed), over what exists.
pub(crate) fn mask(root: BorrowedFd<'_>, paths: &[String], null: BorrowedFd<'_>) -> InitResult<()> {
    if !is_device(null, 1, 3) {
        return Err(Failure::new(Step::MaskedPath, libc::ENODEV, "with /dev/null"));
    }
    // One file system serves all directories.
    let mut empty: Option<OwnedFd> = None;
    for path in paths {
        let mut cover = || -> Result<()> {
            let Some(target) = existing(root, path)? else { return Ok(()) };
            let tree = match (kind_of(target.as_fd())?, &empty) {
                (Kind::File, _) => clone_tree(null, "", false)?,
                (Kind::Directory, Some(empty)) => clone_tree(empty.as_fd(), "", false)?,
                (Kind::Directory, None) => {
                    let context = FsContext::open("tmpfs")?;
                    context.set_string("source", "tmpfs")?;
                    context.set_string("size", "0")?;
                    context.set_string("nr_inodes", "2")?;
                    context.set_string("mode", "755")?;
                    context.create()?;
                    context
                        .mount(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)?
                }
            };
            attach(tree.as_fd(), target.as_fd())?;
            if empty.is_none() && kind_of(tree.as_fd())? == Kind::Directory {
                empty = Some(tree);
            }
            Ok(())
        };
        cover().during(Step::MaskedPath, || path.as_str())?;
    }
    Ok(())
}

fn existing(root: BorrowedFd<'_>, path: &str) -> Result<Option<OwnedFd>> {
    match resolve_in_root(root, path, 0) {
        Ok(target) => Ok(Some(target)),
        // Not there, or a file on the way that the kernel does not give this process.
        Err(e) if [libc::ENOENT, libc::ENOTDIR, libc::EACCES].contains(&e.raw()) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Makes `root`, attached over `/`, the root directory and drops the host's tree.
pub(crate) fn enter(root: BorrowedFd<'_>, no_pivot: bool) -> InitResult<()> {
    let change = || -> Result<()> {
        nix::unistd::fchdir(root)?;
        if no_pivot {
            nix::unistd::chroot(".")?;
        } else {
            sys::mount::pivot_root_to_cwd()?;
            // The current directory is now the old root, stacked over the new one.
            nix::mount::umount2(".", nix::mount::MntFlags::MNT_DETACH)?;
        }
        nix::unistd::chdir("/")?;
        Ok(())
    };
    change().during(Step::PivotRoot, || "rootfs")
}
