//! The mount API and, file system by file system, idmapped mounts.

use super::{Finding, Outcome, Status, in_namespaces, is_root};
use nix::sys::statfs::statfs;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::clone::{CloneArgs, spawn};
use sys::mount::{
    FsContext, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY, MountAttr, clone_tree, set_attr, set_idmap,
};
use sys::{Errno, probe};

const GROUP: &str = "mounts";

pub(super) fn look(paths: &[PathBuf]) -> Vec<Finding> {
    let newer = "use Linux 6.1 or newer, without a seccomp filter around floe";
    let outcomes = in_namespaces(namespaces(), || {
        let tmpfs = tmpfs();
        let with =
            |use_it: &dyn Fn(&OwnedFd) -> Outcome| tmpfs.as_ref().map_err(|errno| *errno).and_then(use_it);
        let attr = |set| MountAttr { set, ..MountAttr::default() };
        [
            with(&|_| {
                clone(Path::new("/"))?;
                probe::move_mount()
            }),
            with(&|tmpfs| set_attr(tmpfs.as_fd(), true, &attr(MOUNT_ATTR_RDONLY))),
            with(&|tmpfs| set_attr(tmpfs.as_fd(), true, &attr(MOUNT_ATTR_NOSYMFOLLOW))),
            with(&|tmpfs| idmap(tmpfs)),
            foreign_procfs(),
        ]
    });
    let [by_descriptor, attributes, nosymfollow, tmpfs, pidns] =
        outcomes.unwrap_or_else(|errno| [Err(errno); 5]);
    let mut findings = vec![
        Finding::of(
            GROUP,
            "mounts by descriptor",
            by_descriptor,
            Status::Missing,
            "fsopen, open_tree, move_mount",
            newer,
        )
        .require(),
        Finding::of(
            GROUP,
            "mount attributes",
            attributes,
            Status::Missing,
            "mount_setattr, recursive too",
            newer,
        )
        .require(),
        Finding::of(GROUP, "nosymfollow", nosymfollow, Status::Missing, "", newer),
        Finding::of(
            GROUP,
            "procfs of another pid namespace",
            pidns,
            Status::Limited,
            "a joined pid namespace is entered last",
            "Linux 6.17 has it; before, a tracer in a joined pid namespace can see init's mounts being made",
        ),
        idmapped("idmapped tmpfs".to_owned(), "", tmpfs),
    ];
    findings.extend(file_systems(paths).into_iter().map(|(path, name)| {
        let [outcome] = in_namespaces(namespaces(), || [clone(&path).and_then(|tree| idmap(&tree))])
            .unwrap_or_else(|errno| [Err(errno)]);
        idmapped(format!("idmapped {}", path.display()), name, outcome)
    }));
    findings
}

/// Those that let a user mount things; root needs none, but its mounts are to be nobody else's.
fn namespaces() -> i32 {
    libc::CLONE_NEWNS | if is_root() { 0 } else { libc::CLONE_NEWUSER }
}

fn tmpfs() -> sys::Result<OwnedFd> {
    let context = FsContext::open("tmpfs")?;
    context.create()?;
    context.mount(0)
}

/// A copy of the mount at `path` with all below it: in a user namespace they are locked together.
fn clone(path: &Path) -> sys::Result<OwnedFd> {
    clone_tree(nix::fcntl::AT_FDCWD, path, true)
}

/// The option `pidns` of procfs. That the namespace is not ours to look into says that it is known.
fn foreign_procfs() -> Outcome {
    let procfs = FsContext::open("proc")?;
    match procfs.set_pid_namespace(File::open("/proc/self/ns/pid")?.as_fd()) {
        Err(errno) if errno.raw() == libc::EPERM => Ok(()),
        other => other,
    }
}

fn idmapped(name: String, file_system: &str, outcome: Outcome) -> Finding {
    let refused = matches!(outcome, Err(errno) if errno.raw() == libc::EPERM);
    match (outcome, is_root()) {
        (Err(_), false) if refused => {
            Finding::new(GROUP, name, Status::Limited, format!("{file_system} only for root"))
        }
        _ => Finding::of(
            GROUP,
            name,
            outcome,
            Status::Missing,
            file_system,
            "engines copy or chown files there instead (docs/kernels.md lists file systems)",
        ),
    }
}

/// The paths to ask about, one for each file system, with its name.
fn file_systems(paths: &[PathBuf]) -> Vec<(PathBuf, &'static str)> {
    let usual = ["/", "/var/lib"].map(PathBuf::from);
    let mut seen = Vec::new();
    let mut list = Vec::new();
    for path in if paths.is_empty() { &usual[..] } else { paths } {
        let device = path.metadata().map(|metadata| metadata.dev()).ok();
        // What is not there is an answer too, but only to a question.
        let skipped = if device.is_none() { paths.is_empty() } else { seen.contains(&device) };
        if !skipped {
            seen.push(device);
            list.push((path.clone(), file_system(path)));
        }
    }
    list
}

/// The name of a file system by its magic number (statfs(2)).
fn file_system(path: &Path) -> &'static str {
    match statfs(path).map(|found| found.filesystem_type().0 as u32).unwrap_or(0) {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlay",
        0xf2f5_2010 => "f2fs",
        0x2fc1_2fc1 => "zfs",
        0x6969 => "nfs",
        0x6573_5546 => "fuse",
        0xe0f5_e1e2 => "erofs",
        0x7371_7368 => "squashfs",
        0xca45_1a4e => "bcachefs",
        _ => "",
    }
}

/// Maps a detached mount by a user namespace that exists for this alone.
fn idmap(mount: &OwnedFd) -> Outcome {
    let (mut held, hold) = std::io::pipe()?;
    let holder = spawn(&CloneArgs { flags: libc::CLONE_NEWUSER as u64, ..CloneArgs::default() }, || {
        // Until our parent has closed its end, which it does in any case.
        drop(held.read(&mut [0]));
        0
    });
    let holder = holder?;
    let map = || -> sys::Result<File> {
        let proc = format!("/proc/{}", holder.pid);
        for file in ["uid_map", "gid_map"] {
            File::options().write(true).open(format!("{proc}/{file}"))?.write_all(b"0 0 1")?;
        }
        Ok(File::open(format!("{proc}/ns/user"))?)
    };
    let namespace = map();
    sys::process::pidfd_send_signal(holder.pidfd.as_fd(), libc::SIGKILL)?;
    sys::process::wait_pidfd(holder.pidfd.as_fd(), true)?;
    drop(hold);
    set_idmap(mount.as_fd(), false, namespace.map_err(|errno: Errno| errno)?.as_fd())
}
