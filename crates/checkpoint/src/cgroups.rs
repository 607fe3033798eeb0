//! The cgroups that tasks are in, and those that the container has made below its own. What is set in its own is written
//! down, too, for a restore that is told to make it so: most often that is for whoever makes the container.

use crate::error::{At, Error, Result};
use crate::proc;
use cgroup::Cgroup;
use images::messages::{
    CgControllerEntry, CgMemberEntry, CgSetEntry, CgroupDirEntry, CgroupEntry, CgroupPerms, CgroupPropEntry,
};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The id that images have for the set of the dumper, which is not among them. CRIU leaves a first task with this id where
/// it is, and makes no cgroup namespace for it.
pub(crate) const SET_OF_DUMPER: u32 = 1;

/// Paths below the mount of cgroup v2, each with the id of its set in images; the first is that of the first process.
#[derive(Debug)]
pub(crate) struct Sets<'a> {
    /// The container's cgroup; without one its tasks are in the dumper's set.
    own: Option<&'a Cgroup>,
    paths: Vec<String>,
}

impl<'a> Sets<'a> {
    pub(crate) fn new(own: Option<&'a Cgroup>) -> Sets<'a> {
        Sets { own, paths: Vec::new() }
    }

    /// The id of the set of a thread.
    pub(crate) fn id(&mut self, tid: i32) -> Result<u32> {
        if self.own.is_none() {
            return Ok(SET_OF_DUMPER);
        }
        let path = format!("/proc/{tid}/cgroup");
        let text = proc::read(&path)?;
        let unified = text.lines().find_map(|line| line.strip_prefix("0::"));
        let unified = unified.ok_or_else(|| Error::new(format!("{path}: no cgroup v2")))?;
        let at = self.paths.iter().position(|known| known == unified).unwrap_or_else(|| {
            self.paths.push(unified.to_owned());
            self.paths.len() - 1
        });
        Ok(id_at(at))
    }

    /// The image; none for a container without a cgroup of its own.
    pub(crate) fn into_entry(self, is_namespace_own: bool) -> Result<Option<CgroupEntry>> {
        let Some(own) = self.own else { return Ok(None) };
        let top = directory(own.path(), true)?;
        let path = own.path().strip_prefix(cgroup::MOUNT).unwrap_or(own.path());
        let name = path.as_os_str().as_bytes().to_vec();
        // What the container does not see of its path, the slash in front included.
        let prefix = is_namespace_own.then_some(name.len() as u32 + 1);
        let member = |path: &String| CgMemberEntry {
            name: Vec::new(),
            path: path.clone().into(),
            cgns_prefix: prefix,
        };
        let set = |(at, path): (usize, &String)| CgSetEntry { id: id_at(at), ctls: vec![member(path)] };
        Ok(Some(CgroupEntry {
            sets: self.paths.iter().enumerate().map(set).collect(),
            controllers: vec![CgControllerEntry {
                // The name of cgroup v2.
                cnames: vec![Vec::new()],
                dirs: vec![CgroupDirEntry { dir_name: name, ..top }],
                is_threaded: None,
            }],
        }))
    }
}

/// CPUs that tasks of a cgroup run on when they choose none: `0-3,7`.
pub(crate) fn cpus(own: Option<&Cgroup>) -> Result<String> {
    // Where the controller is not enabled, it is that of the next cgroup above.
    let above = own.map(|own| own.path().ancestors().take_while(|path| path.starts_with(cgroup::MOUNT)));
    let effective = above.into_iter().flatten().find_map(|path| {
        let cpus = std::fs::read_to_string(path.join("cpuset.cpus.effective")).ok()?;
        Some(cpus).filter(|cpus| !cpus.trim().is_empty())
    });
    let cpus = effective.map_or_else(|| proc::read("/sys/devices/system/cpu/online"), Ok)?;
    Ok(cpus.trim().to_owned())
}

/// The id of the set at an index.
fn id_at(at: usize) -> u32 {
    SET_OF_DUMPER + 1 + at as u32
}

/// What may be set in a cgroup that a container has made, beside its children.
pub(crate) const PROPERTIES: [&str; 15] = [
    "cgroup.subtree_control",
    "cgroup.max.descendants",
    "cgroup.max.depth",
    "memory.min",
    "memory.low",
    "memory.high",
    "memory.max",
    "memory.swap.max",
    "memory.oom.group",
    "pids.max",
    "cpu.weight",
    "cpu.max",
    "cpuset.cpus",
    "cpuset.mems",
    "io.weight",
];

/// Cgroups below one whose tasks are frozen by the container itself.
pub(crate) fn frozen_below(own: &Cgroup) -> Result<Vec<PathBuf>> {
    let mut frozen = Vec::new();
    let mut paths = vec![own.path().to_owned()];
    while let Some(path) = paths.pop() {
        for child in children(&path)? {
            let state = std::fs::read_to_string(child.join("cgroup.freeze")).unwrap_or_default();
            frozen.extend((state.trim() == "1").then(|| child.clone()));
            paths.push(child);
        }
    }
    Ok(frozen)
}

/// The cgroups directly below one.
fn children(path: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("cgroup {}: read", path.display());
    let mut children = Vec::new();
    for entry in std::fs::read_dir(path).at(what)? {
        let entry = entry.at(what)?;
        if entry.file_type().at(what)?.is_dir() {
            children.push(entry.path());
        }
    }
    Ok(children)
}

/// The file that says whether a cgroup's threads can be apart (`threaded`).
pub(crate) const TYPE: &str = "cgroup.type";

/// A cgroup with all below it.
fn directory(path: &Path, is_own: bool) -> Result<CgroupDirEntry> {
    let what = || format!("cgroup {}: read", path.display());
    let metadata = std::fs::metadata(path).at(what)?;
    let child = |path: PathBuf| {
        let dir_name = path.file_name().unwrap_or_default().as_bytes().to_vec();
        Ok(CgroupDirEntry { dir_name, ..directory(&path, false)? })
    };
    let children = self::children(path)?.into_iter().map(child).collect::<Result<_>>()?;
    // A controller that is not enabled has no files.
    let property = |name: &&str| {
        let file = path.join(name);
        let value = std::fs::read_to_string(&file).ok()?.trim_end().to_owned();
        let perms = perms(&std::fs::metadata(&file).ok()?);
        Some(CgroupPropEntry { name: name.as_bytes().to_vec(), value: value.into(), perms: Some(perms) })
    };
    let is_threaded = |entry: &CgroupPropEntry| entry.value == b"threaded";
    let threaded = property(&TYPE).filter(|entry| !is_own && is_threaded(entry));
    let properties = threaded.into_iter().chain(PROPERTIES.iter().filter_map(property)).collect();
    Ok(CgroupDirEntry { dir_name: Vec::new(), children, properties, dir_perms: Some(perms(&metadata)) })
}

fn perms(metadata: &Metadata) -> CgroupPerms {
    CgroupPerms { mode: metadata.mode(), uid: metadata.uid(), gid: metadata.gid() }
}
