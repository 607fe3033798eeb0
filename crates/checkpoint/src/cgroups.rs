//! The cgroups that tasks are in, and those that the container has made below its own. What is set in its own belongs to
//! whoever makes the container.

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

/// Paths below the mount of cgroup v2, each with the id of its set in images; the first is that of the first process.
#[derive(Debug, Default)]
pub(crate) struct Sets(Vec<String>);

impl Sets {
    /// The id of the set of a thread.
    pub(crate) fn id(&mut self, tid: i32) -> Result<u32> {
        let path = format!("/proc/{tid}/cgroup");
        let text = proc::read(&path)?;
        let unified = text.lines().find_map(|line| line.strip_prefix("0::"));
        let unified = unified.ok_or_else(|| Error::new(format!("{path}: no cgroup v2")))?;
        let at = self.0.iter().position(|known| known == unified).unwrap_or_else(|| {
            self.0.push(unified.to_owned());
            self.0.len() - 1
        });
        Ok(at as u32 + 1)
    }

    /// The image. Without one, a restore leaves all tasks in the cgroup of the first: nothing else is needed for a container
    /// that has made none.
    pub(crate) fn into_entry(
        self,
        own: Option<&Cgroup>,
        is_namespace_own: bool,
    ) -> Result<Option<CgroupEntry>> {
        let Some(own) = own else { return Ok(None) };
        let top = directory(own.path(), true)?;
        if top.children.is_empty() && self.0.len() < 2 {
            return Ok(None);
        }
        let path = own.path().strip_prefix(cgroup::MOUNT).unwrap_or(own.path());
        let name = path.as_os_str().as_bytes().to_vec();
        // What the container does not see of its path, the slash in front included.
        let prefix = is_namespace_own.then_some(name.len() as u32 + 1);
        let member = |path: &String| CgMemberEntry {
            name: Vec::new(),
            path: path.clone().into(),
            cgns_prefix: prefix,
        };
        let set = |(at, path): (usize, &String)| CgSetEntry { id: at as u32 + 1, ctls: vec![member(path)] };
        Ok(Some(CgroupEntry {
            sets: self.0.iter().enumerate().map(set).collect(),
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

/// A cgroup with all below it. Of the container's own, only what divides it among its children.
fn directory(path: &Path, is_own: bool) -> Result<CgroupDirEntry> {
    let what = || format!("cgroup {}: read", path.display());
    let metadata = std::fs::metadata(path).at(what)?;
    let child = |path: PathBuf| {
        let dir_name = path.file_name().unwrap_or_default().as_bytes().to_vec();
        Ok(CgroupDirEntry { dir_name, ..directory(&path, false)? })
    };
    let children = self::children(path)?.into_iter().map(child).collect::<Result<_>>()?;
    let names = if is_own { &PROPERTIES[..1] } else { &PROPERTIES[..] };
    // A controller that is not enabled has no files.
    let property = |name: &&str| {
        let file = path.join(name);
        let value = std::fs::read_to_string(&file).ok()?.trim_end().to_owned();
        let perms = perms(&std::fs::metadata(&file).ok()?);
        Some(CgroupPropEntry { name: name.as_bytes().to_vec(), value: value.into(), perms: Some(perms) })
    };
    let is_threaded = |entry: &CgroupPropEntry| entry.value == b"threaded";
    let threaded = property(&TYPE).filter(|entry| !is_own && is_threaded(entry));
    let properties = threaded.into_iter().chain(names.iter().filter_map(property)).collect();
    Ok(CgroupDirEntry { dir_name: Vec::new(), children, properties, dir_perms: Some(perms(&metadata)) })
}

fn perms(metadata: &Metadata) -> CgroupPerms {
    CgroupPerms { mode: metadata.mode(), uid: metadata.uid(), gid: metadata.gid() }
}
