//! What images say was around the tasks: for those who make it again from the images alone.

use crate::error::Result;
use crate::mounts::{FOUND_HERE, external_key};
use crate::snapshot::Snapshot;
use crate::target::{NamespaceKind, Origin};
use images::Directory;
use images::messages::{Lsmtype, MntEntry, TaskKobjIdsEntry, UsernsEntry};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What was around the tasks of a dump. The images are trusted with it: names are not looked up here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Each of the eight kinds once, by where it came from; `Joined` are those that the dump was told are from outside.
    pub namespaces: Vec<(NamespaceKind, Origin)>,
    /// Of the user namespace: first id in it, first id outside, count.
    pub uid_maps: Vec<(u32, u32, u32)>,
    pub gid_maps: Vec<(u32, u32, u32)>,
    pub mounts: Vec<SettingMount>,
    /// That of the root, which has no key.
    pub root: Option<SettingMount>,
    /// The cgroup of the tasks, below the mount of cgroup v2.
    pub cgroup: Option<PathBuf>,
    /// They have a terminal whose other end is outside.
    pub has_console: bool,
    /// Label of the first task, where a security module has given it one.
    pub selinux_label: Option<String>,
    pub apparmor_profile: Option<String>,
}

/// A mount from outside.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingMount {
    /// What it is called; several may be the same.
    pub key: Vec<u8>,
    /// Where it was on the host, of one that nobody has named (`OtherMounts::are_found_here`).
    pub path: Option<PathBuf>,
    /// `MOUNT_ATTR_` of mount_setattr(2).
    pub attributes: u64,
    /// Mounts of its source come to be in it, too (mount_namespaces(7)).
    pub is_slave: bool,
}

impl Setting {
    /// Reads what the images have of it.
    pub fn read(images: BorrowedFd<'_>) -> Result<Setting> {
        let images = images
            .try_clone_to_owned()
            .map_err(|e| crate::Error::of_kernel("images", sys::Errno::from(e)))?;
        Ok(Setting::of(&Snapshot::read(&Directory::new(images)?)?))
    }

    fn of(snapshot: &Snapshot) -> Setting {
        let (Some(host), Some(ids)) = (&snapshot.inventory.root_ids, snapshot.tasks[0].ids()) else {
            // Nothing but their memory and files.
            return Setting {
                namespaces: KINDS.map(|(kind, _)| (kind, Origin::Host)).to_vec(),
                ..Setting::default()
            };
        };
        let origin = |kind, id: fn(&TaskKobjIdsEntry) -> Option<u32>| match id(ids) {
            own if own.is_none() || own == id(host) => Origin::Host,
            Some(id) if is_external(snapshot, kind, id) => Origin::Joined,
            _ => Origin::Own,
        };
        let maps = ids.user_ns_id.and_then(|id| snapshot.namespaces.user.get(&id));
        let maps = maps.cloned().unwrap_or_default();
        let UsernsEntry { uid_map, gid_map } = maps;
        let triples = |maps: Vec<images::messages::UidGidExtent>| {
            maps.into_iter().map(|map| (map.first, map.lower_first, map.count)).collect()
        };
        let mounts = ids.mnt_ns_id.and_then(|id| snapshot.namespaces.mnt.get(&id));
        let label = label(snapshot);
        let is_of = |module: Lsmtype| snapshot.inventory.lsmtype == Some(module as i32);
        Setting {
            namespaces: KINDS.iter().map(|(kind, id)| (*kind, origin(*kind, *id))).collect(),
            uid_maps: triples(uid_map),
            gid_maps: triples(gid_map),
            root: mounts.into_iter().flatten().find(is_root).map(|root| mount(root, Vec::new())),
            mounts: mounts.into_iter().flatten().rev().filter_map(external).collect(),
            cgroup: cgroup(snapshot),
            has_console: has_console(snapshot),
            selinux_label: label.clone().filter(|_| is_of(Lsmtype::Selinux)),
            apparmor_profile: label.filter(|_| is_of(Lsmtype::Apparmor)),
        }
    }
}

type Id = fn(&TaskKobjIdsEntry) -> Option<u32>;

const KINDS: [(NamespaceKind, Id); 8] = [
    (NamespaceKind::User, |ids| ids.user_ns_id),
    (NamespaceKind::Ipc, |ids| ids.ipc_ns_id),
    (NamespaceKind::Uts, |ids| ids.uts_ns_id),
    (NamespaceKind::Net, |ids| ids.net_ns_id),
    (NamespaceKind::Pid, |ids| ids.pid_ns_id),
    (NamespaceKind::Cgroup, |ids| ids.cgroup_ns_id),
    (NamespaceKind::Time, |ids| ids.time_ns_id),
    (NamespaceKind::Mnt, |ids| ids.mnt_ns_id),
];

fn is_external(snapshot: &Snapshot, kind: NamespaceKind, id: u32) -> bool {
    let namespaces = &snapshot.namespaces;
    match kind {
        NamespaceKind::Net => namespaces.net.get(&id).is_some_and(|net| net.entry.ext_key.is_some()),
        NamespaceKind::Pid => namespaces.pid.get(&id).is_some_and(|pid| pid.ext_key.is_some()),
        _ => false,
    }
}

fn external(entry: &MntEntry) -> Option<SettingMount> {
    let path = (entry.ext_key.as_deref() == Some(FOUND_HERE))
        .then(|| PathBuf::from(OsStr::from_bytes(&entry.source)));
    Some(SettingMount { path, ..mount(entry, external_key(entry)?) })
}

fn mount(entry: &MntEntry, key: Vec<u8>) -> SettingMount {
    let attributes = crate::restore::attributes(entry.flags);
    SettingMount { key, path: None, attributes, is_slave: entry.master_id.is_some_and(|group| group != 0) }
}

/// CRIU writes `./`.
fn is_root(mount: &&MntEntry) -> bool {
    [&b"/"[..], b"./"].contains(&mount.mountpoint.as_slice())
}

/// The one that cgroup.img has of cgroup v2, which has no name there.
fn cgroup(snapshot: &Snapshot) -> Option<PathBuf> {
    let mut controllers = snapshot.cgroup.as_ref()?.controllers.iter();
    let unified = controllers.find(|controller| controller.cnames.iter().all(Vec::is_empty))?;
    Some(PathBuf::from(OsStr::from_bytes(&unified.dirs.first()?.dir_name)))
}

/// Whether there is a slave without its master.
fn has_console(snapshot: &Snapshot) -> bool {
    let index = |info: &images::messages::TtyInfoEntry| info.pty.as_ref().map(|pty| pty.index);
    let (masters, slaves): (Vec<_>, Vec<_>) =
        snapshot.ttys.iter().partition(|info| crate::restore::is_master(info));
    let masters: BTreeSet<_> = masters.into_iter().map(index).collect();
    slaves.into_iter().any(|slave| !masters.contains(&index(slave)))
}

fn label(snapshot: &Snapshot) -> Option<String> {
    let thread = snapshot.tasks[0].threads.first()?.thread_core.as_ref()?;
    let label = thread.creds.as_ref()?.lsm_profile.as_ref()?;
    // AppArmor tells the mode beside it.
    let label = String::from_utf8_lossy(label).split(" (").next()?.to_owned();
    Some(label).filter(|label| !label.is_empty() && label != "unconfined")
}
