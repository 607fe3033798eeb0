//! Namespaces that tasks have made for themselves. The first task makes each of them and goes back to its own; the tasks
//! join them by descriptors, before they have threads, and files are opened in the one that has their mount.
//!
//! A mount namespace is built from nothing: its root, and then each mount on it, is bound from where another namespace shows
//! the same, or made anew. It holds nothing that the container could not mount: that takes CAP_SYS_ADMIN, as making it does.

use super::build::{Build, open_procfs};
use super::mounts::{attach, close, copy, in_order, make, set_attributes, source};
use super::tmpfs;
use crate::error::{Error, Result};
use crate::mounts::{is_made_anew, point, seen_at};
use crate::policy::{self, Policy};
use crate::proc::Mountinfo;
use crate::snapshot::Snapshot;
use crate::target::NamespaceKind;
use images::messages::{MntEntry, TaskKobjIdsEntry};
use inject::Batch;
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

type Id = fn(&TaskKobjIdsEntry) -> Option<u32>;

/// Kinds that are made: their flags of setns(2), and names in /proc/PID/ns.
const KINDS: [(i32, &str, Id); 2] =
    [(libc::CLONE_NEWUTS, "uts", |ids| ids.uts_ns_id), (libc::CLONE_NEWNS, "mnt", |ids| ids.mnt_ns_id)];

/// Kinds of which all tasks have the same one.
const COMMON: [(&str, Id); 6] = [
    ("pid", |ids| ids.pid_ns_id),
    ("net", |ids| ids.net_ns_id),
    ("ipc", |ids| ids.ipc_ns_id),
    ("user", |ids| ids.user_ns_id),
    ("cgroup", |ids| ids.cgroup_ns_id),
    ("time", |ids| ids.time_ns_id),
];

/// A mount namespace that is there: the first task's descriptor of it, and its mounts, the oldest first.
struct Space<'a> {
    descriptor: i32,
    mounts: Vec<&'a MntEntry>,
}

/// Whether all namespaces of the tasks can be made, before anything is.
pub(super) fn check(snapshot: &Snapshot, policy: &Policy) -> Result<()> {
    let Some(first) = snapshot.tasks[0].ids() else { return Ok(()) };
    for task in &snapshot.tasks {
        let Some(ids) = task.ids() else { continue };
        let named = |reason: &str| Err(Error::new(format!("task {}: {reason}", task.entry.pid)));
        if let Some((kind, _)) = COMMON.iter().find(|(_, id)| id(ids) != id(first)) {
            return named(&format!("a {kind} namespace other than the first task's is not supported"));
        }
        if KINDS.iter().all(|(_, _, id)| id(ids) == id(first)) {
            continue;
        }
        if !policy.can_have(policy::SYS_ADMIN) {
            return named("namespaces of its own take CAP_SYS_ADMIN, which the container cannot have");
        }
        if ids.mnt_ns_id != first.mnt_ns_id && !policy.owns(NamespaceKind::Mnt) {
            return named("a mount namespace of its own is made of the first task's, which has none");
        }
    }
    Ok(())
}

/// How many there are that only some tasks have.
pub(super) fn count(snapshot: &Snapshot) -> usize {
    KINDS.iter().map(|(_, _, id)| others(snapshot, *id).len()).sum()
}

/// Ids of one kind that are not the first task's.
fn others(snapshot: &Snapshot, id: Id) -> BTreeSet<u32> {
    let first = snapshot.tasks[0].ids().and_then(id);
    let all = snapshot.tasks.iter().filter_map(|task| id(task.ids()?));
    all.filter(|id| Some(*id) != first).collect()
}

/// Makes them, and lets mounts be shared as they were, those of the first task too.
pub(super) fn restore(build: &mut Build<'_>) -> Result<()> {
    let snapshot = build.snapshot;
    let first = snapshot.tasks[0].ids().and_then(|ids| ids.mnt_ns_id).unwrap_or(0);
    let mounts = |id| -> Vec<&MntEntry> {
        // The youngest come first in images.
        snapshot.namespaces.mnt.get(&id).into_iter().flatten().rev().collect()
    };
    let are_shared = mounts(first).iter().any(|mount| is_shared(mount));
    if !build.policy.can_have(policy::SYS_ADMIN) || !are_shared && count(snapshot) == 0 {
        return Ok(());
    }
    // In a user namespace it cannot be mounted where none is seen.
    let mut batch = Batch::new();
    let procfs = open_procfs(&mut batch);
    let procfs = build.run(0, &batch)?.result(procfs).unwrap_or(0);
    for id in others(snapshot, |ids| ids.uts_ns_id) {
        make_uts(build, procfs, id).map_err(|error| Error::new(format!("uts namespace {id}: {error}")))?;
    }
    let descriptor = keep(build, procfs, libc::CLONE_NEWNS, "mnt", first)?;
    let mut spaces = vec![Space { descriptor, mounts: mounts(first) }];
    for id in others(snapshot, |ids| ids.mnt_ns_id) {
        let named = |error: Error| Error::new(format!("mount namespace {id}: {error}"));
        let is_elsewhere =
            |mount: &MntEntry| spaces.iter().any(|space| seen_at(mount, &space.mounts).is_some());
        let mounts = in_order(&mounts(id), is_elsewhere);
        let space = make_mounts(build, procfs, &spaces, id, mounts).map_err(named)?;
        spaces.push(space);
    }
    share(build, &spaces)?;
    let mut batch = Batch::new();
    batch.call("close", libc::SYS_close, &[procfs.into()]);
    build.run(0, &batch)?;
    Ok(())
}

/// Lets the tasks join what was made.
pub(super) fn join(build: &mut Build<'_>) -> Result<()> {
    let first = build.snapshot.tasks[0].ids();
    for (index, task) in build.living() {
        let mut batch = Batch::new();
        for (flag, name, id) in KINDS {
            let own = task.ids().and_then(id).filter(|own| Some(*own) != first.and_then(id));
            if let Some(own) = own {
                let missing =
                    || Error::new(format!("task {}: its {name} namespace is missing", task.entry.pid));
                let descriptor = *build.namespaces.get(&(flag, own)).ok_or_else(missing)?;
                batch.call(name, libc::SYS_setns, &[descriptor.into(), flag.into()]);
            }
        }
        if !batch.is_empty() {
            build.run(index, &batch)?;
        }
    }
    Ok(())
}

impl Build<'_> {
    /// Lets the first task look names up where a mount of the images is.
    pub(super) fn enter_mounts_of(&mut self, mount: Option<u32>) -> Result<()> {
        let mut batch = Batch::new();
        self.enter_in(&mut batch, mount);
        if !batch.is_empty() {
            self.run(0, &batch)?;
        }
        Ok(())
    }

    /// Adds that to a batch of the first task.
    pub(super) fn enter_in(&mut self, batch: &mut Batch, mount: Option<u32>) {
        let first = self.snapshot.tasks[0].ids().and_then(|ids| ids.mnt_ns_id).unwrap_or(0);
        let has = |mounts: &[MntEntry]| mounts.iter().any(|entry| Some(entry.mnt_id) == mount);
        let mut all = self.snapshot.namespaces.mnt.iter();
        let of = all.find(|(id, mounts)| **id != first && has(mounts)).map_or(first, |(id, _)| *id);
        let wanted = self.namespaces.get(&(libc::CLONE_NEWNS, of)).copied();
        let Some(wanted) = wanted.filter(|_| of != self.mounts_of.unwrap_or(first)) else { return };
        self.with_only(batch, self.capabilities, |batch| enter(batch, wanted));
        self.mounts_of = Some(of);
    }
}

/// Adds setns(2) to a mount namespace, whose root is root and working directory then.
fn enter(batch: &mut Batch, descriptor: i32) {
    batch.call("setns", libc::SYS_setns, &[descriptor.into(), libc::CLONE_NEWNS.into()]);
}

/// Opens the namespace that the first task is in, for as long as it is built.
fn keep(build: &mut Build<'_>, procfs: u64, flag: i32, name: &str, id: u32) -> Result<i32> {
    let number = build.next_number();
    let mut batch = Batch::new();
    let path = batch.string(format!("self/ns/{name}").as_bytes());
    let arguments = [procfs.into(), path.into(), libc::O_RDONLY.into(), 0.into()];
    let opened = batch.call("open", libc::SYS_openat, &arguments);
    batch.call("dup3", libc::SYS_dup3, &[opened.into(), number.into(), 0.into()]);
    batch.call("close", libc::SYS_close, &[opened.into()]);
    build.run(0, &batch)?;
    build.namespaces.insert((flag, id), number);
    Ok(number)
}

fn make_uts(build: &mut Build<'_>, procfs: u64, id: u32) -> Result<()> {
    const FLAG: i32 = libc::CLONE_NEWUTS;
    let snapshot = build.snapshot;
    let Some(uts) = snapshot.namespaces.uts.get(&id) else { return Err(Error::new("its image is missing")) };
    let first = snapshot.tasks[0].ids().and_then(|ids| ids.uts_ns_id).unwrap_or(0);
    let back = match build.namespaces.get(&(FLAG, first)) {
        Some(back) => *back,
        None => keep(build, procfs, FLAG, "uts", first)?,
    };
    let mut batch = Batch::new();
    batch.call("unshare", libc::SYS_unshare, &[FLAG.into()]);
    super::state::set_names(&mut batch, uts);
    build.run(0, &batch)?;
    keep(build, procfs, FLAG, "uts", id)?;
    let mut batch = Batch::new();
    batch.call("setns", libc::SYS_setns, &[back.into(), FLAG.into()]);
    build.run(0, &batch)?;
    Ok(())
}

/// Makes a mount namespace of the images, whose mounts come parents first. The first task is back in its own afterwards.
fn make_mounts<'a>(
    build: &mut Build<'_>,
    procfs: u64,
    spaces: &[Space<'_>],
    id: u32,
    mounts: Vec<&'a MntEntry>,
) -> Result<Space<'a>> {
    let named =
        |mount: &MntEntry, error: Error| Error::new(format!("mount at {}: {error}", point(mount).display()));
    let Some((root, others)) = mounts.split_first().filter(|(root, _)| point(root) == Path::new("/")) else {
        return Err(Error::new("it has no root"));
    };
    let seen = |mount: &MntEntry| {
        spaces.iter().find_map(|space| Some((space.descriptor, seen_at(mount, &space.mounts)?)))
    };
    let mut batch = Batch::new();
    let first = spaces[0].descriptor;
    let tree = match seen(root) {
        Some((descriptor, (source, path))) => {
            enter(&mut batch, descriptor);
            let tree = copy(&mut batch, &path);
            set_attributes(&mut batch, tree, source, root);
            enter(&mut batch, first);
            tree
        }
        None => make_anew(&mut batch, build, root).map_err(|error| named(root, error))?,
    };
    batch.call("unshare", libc::SYS_unshare, &[libc::CLONE_NEWNS.into()]);
    let (here, top, nothing) = (batch.string(b"."), batch.string(b"/"), batch.string(b""));
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let arguments = [nothing.into(), top.into(), nothing.into(), private.into(), 0.into()];
    batch.call("mount", libc::SYS_mount, &arguments);
    // On the root that is there, which goes with all that is on it (pivot_root(2), "pivot_root(\".\", \".\")").
    const MOVE_MOUNT_F_EMPTY_PATH: i32 = 4;
    let arguments =
        [tree.into(), nothing.into(), libc::AT_FDCWD.into(), top.into(), MOVE_MOUNT_F_EMPTY_PATH.into()];
    batch.call("move_mount", libc::SYS_move_mount, &arguments);
    batch.call("fchdir", libc::SYS_fchdir, &[tree.into()]);
    batch.call("pivot_root", libc::SYS_pivot_root, &[here.into(), here.into()]);
    batch.call("umount2", libc::SYS_umount2, &[here.into(), libc::MNT_DETACH.into()]);
    batch.call("chdir", libc::SYS_chdir, &[top.into()]);
    batch.call("close", libc::SYS_close, &[tree.into()]);
    build.run(0, &batch).map_err(|error| named(root, error))?;
    let descriptor = keep(build, procfs, libc::CLONE_NEWNS, "mnt", id)?;
    let fill = |build: &mut Build<'_>, mount: &MntEntry| {
        // Now, because others may be mounted on its directories.
        tmpfs::fill(build, mount, &[point(mount).to_owned()])
    };
    if seen(root).is_none() {
        fill(build, root).map_err(|error| named(root, error))?;
    }
    for (at, mount) in others.iter().enumerate() {
        let mut batch = Batch::new();
        let is_new = match (source(mount, &mounts[..=at]), seen(mount)) {
            (Some((source, path)), _) => {
                let tree = copy(&mut batch, &path);
                set_attributes(&mut batch, tree, source, mount);
                attach(&mut batch, tree.into(), mount);
                false
            }
            (None, Some((elsewhere, (source, path)))) => {
                enter(&mut batch, elsewhere);
                let tree = copy(&mut batch, &path);
                enter(&mut batch, descriptor);
                set_attributes(&mut batch, tree, source, mount);
                attach(&mut batch, tree.into(), mount);
                false
            }
            (None, None) => {
                enter(&mut batch, first);
                let tree = make_anew(&mut batch, build, mount).map_err(|error| named(mount, error))?;
                enter(&mut batch, descriptor);
                attach(&mut batch, tree.into(), mount);
                true
            }
        };
        build.run(0, &batch).map_err(|error| named(mount, error))?;
        if is_new {
            fill(build, mount).and_then(|()| close(build, mount)).map_err(|error| named(mount, error))?;
        }
    }
    if seen(root).is_none() {
        close(build, root).map_err(|error| named(root, error))?;
    }
    let mut batch = Batch::new();
    enter(&mut batch, first);
    build.run(0, &batch)?;
    Ok(Space { descriptor, mounts })
}

/// Adds a mount of a new file system. The kernel makes some of them, in a user namespace, only where such are seen already
/// (mount_too_revealing), as they are in the first task's namespace.
fn make_anew(batch: &mut Batch, build: &Build<'_>, mount: &MntEntry) -> Result<inject::Call> {
    if !is_made_anew(mount) {
        return Err(Error::new("no mount of the container shows what it shows"));
    }
    if build.policy.apparmor_profile.is_some() || build.policy.selinux_label.is_some() {
        return Err(Error::new("it is not config.json's, whose label decides what is mounted"));
    }
    make(batch, build, mount)
}

/// Whether a mount gives others what is mounted on it, or gets it from them (mount_namespaces(7)).
fn is_shared(mount: &MntEntry) -> bool {
    mount.shared_id.is_some_and(|id| id != 0) || mount.master_id.is_some_and(|id| id != 0)
}

/// A mount that is shared.
struct Member {
    /// The namespace that it is in, and the first task's descriptor of the mount.
    namespace: i32,
    mount: u64,
    /// Peer group and that of its masters in the images; 0 for none.
    group: u32,
    master: u32,
    dev: u32,
    root: PathBuf,
}

/// Puts mounts into peer groups. Groups that begin outside are those that config.json's mounts have.
fn share(build: &mut Build<'_>, spaces: &[Space<'_>]) -> Result<()> {
    let now = Mountinfo::of(build.init)?;
    let (mut waiting, mut done): (Vec<Member>, Vec<Member>) = (Vec::new(), Vec::new());
    for (nth, space) in spaces.iter().enumerate() {
        for (at, mount) in space.mounts.iter().enumerate().filter(|(_, mount)| is_shared(mount)) {
            // No path leads to it.
            if space.mounts[at + 1..].iter().any(|later| point(later) == point(mount)) {
                continue;
            }
            let mut batch = Batch::new();
            enter(&mut batch, space.descriptor);
            let path = batch.string(point(mount).as_os_str().as_bytes());
            let arguments =
                [libc::AT_FDCWD.into(), path.into(), (libc::O_PATH | libc::O_NOFOLLOW).into(), 0.into()];
            let opened = batch.call("open", libc::SYS_openat, &arguments);
            let opened = build.run(0, &batch)?.result(opened).unwrap_or(0);
            let member = Member {
                namespace: space.descriptor,
                mount: opened,
                group: mount.shared_id.unwrap_or(0),
                master: mount.master_id.unwrap_or(0),
                dev: mount.root_dev,
                root: Path::new(std::ffi::OsStr::from_bytes(&mount.root)).to_owned(),
            };
            let there = now.iter().rfind(|there| there.mountpoint == point(mount).as_os_str().as_bytes());
            let is_done = there.is_some_and(|there| {
                nth == 0 && (there.shared != 0 || there.master != 0 && member.group == 0)
            });
            if is_done { &mut done } else { &mut waiting }.push(member);
        }
    }
    // Widest first: the kernel lets a mount join only one that shows more.
    waiting.sort_by_key(|member| member.root.components().count());
    while let Some(at) = waiting.iter().position(|member| is_next(member, &waiting)) {
        let member = waiting.remove(at);
        join_group(build, &member, &done)?;
        done.push(member);
    }
    let mut batch = Batch::new();
    for member in done.iter().chain(&waiting) {
        batch.call("close", libc::SYS_close, &[member.mount.into()]);
    }
    enter(&mut batch, spaces[0].descriptor);
    build.run(0, &batch)?;
    Ok(())
}

/// Whether a mount's masters do not wait.
fn is_next(member: &Member, waiting: &[Member]) -> bool {
    member.master == 0
        || member.master == member.group
        || waiting.iter().all(|other| other.group != member.master)
}

fn join_group(build: &mut Build<'_>, member: &Member, done: &[Member]) -> Result<()> {
    const MOVE_MOUNT_SET_GROUP: i32 = 0x100;
    const EMPTY_PATHS: i32 = 0x4 | 0x40;
    let mut batch = Batch::new();
    let nothing = batch.string(b"");
    let join = |batch: &mut Batch, other: &Member| {
        let flags = MOVE_MOUNT_SET_GROUP | EMPTY_PATHS;
        let arguments =
            [other.mount.into(), nothing.into(), member.mount.into(), nothing.into(), flags.into()];
        batch.call("MOVE_MOUNT_SET_GROUP", libc::SYS_move_mount, &arguments);
    };
    let propagate = |batch: &mut Batch, propagation: u64| {
        // struct mount_attr: what to set, what to clear, propagation, a user namespace.
        let change = batch.words(&[0, 0, propagation, 0]);
        let arguments =
            [member.mount.into(), nothing.into(), libc::AT_EMPTY_PATH.into(), change.into(), 32.into()];
        batch.call("mount_setattr", libc::SYS_mount_setattr, &arguments);
    };
    let shows = |other: &&Member| other.dev == member.dev && member.root.starts_with(&other.root);
    let is_peer = |other: &&Member| match member.group {
        0 => other.group == 0 && other.master == member.master,
        group => other.group == group,
    };
    enter(&mut batch, member.namespace);
    if let Some(peer) = done.iter().find(|other| is_peer(other) && shows(other)) {
        join(&mut batch, peer);
    } else {
        let masters = |other: &&Member| member.master != 0 && other.group == member.master;
        if let Some(master) = done.iter().find(|other| masters(other) && shows(other)) {
            join(&mut batch, master);
            propagate(&mut batch, libc::MS_SLAVE);
        }
        if member.group != 0 {
            propagate(&mut batch, libc::MS_SHARED);
        }
    }
    build.run(0, &batch)?;
    Ok(())
}
