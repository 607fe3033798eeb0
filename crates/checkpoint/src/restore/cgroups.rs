//! Cgroups that the container has made below its own, with their settings, owners and members; its own gets settings only
//! where the policy says so.
//!
//! The image names them, and it is a stranger's: every name is one component, looked up beneath the container's own cgroup,
//! and only what a container may set itself is set. Memory that tasks have got so far stays charged to the container's own.

use super::build::{Build, host_tid};
use crate::cgroups::{PROPERTIES, TYPE};
use crate::credentials::IdMaps;
use crate::error::{At, Error, Result};
use crate::policy::{CgroupMode, CgroupPolicy, OwnCgroup};
use cgroup::Cgroup;
use images::messages::{CgroupDirEntry, CgroupEntry, CgroupPerms, CgroupPropEntry, CoreEntry};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, mkdirat};
use nix::unistd::{Gid, Uid, fchownat};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::path::{RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2};

/// Makes them and moves the tasks into them. `own` is the container's cgroup, where all tasks are.
pub(super) fn restore(build: &Build<'_>, own: &Cgroup) -> Result<()> {
    let Some(image) = &build.snapshot.cgroup else { return Ok(()) };
    // The one without a name is cgroup v2.
    let is_unified = |names: &[Vec<u8>]| matches!(names, [name] if name.is_empty());
    let unified = image.controllers.iter().find(|controller| is_unified(&controller.cnames));
    let Some(top) = unified.and_then(|controller| controller.dirs.first()) else { return Ok(()) };
    let directory = openat(AT_FDCWD, own.path(), OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let directory = directory.at(|| format!("open cgroup {}", own.path().display()))?;
    let CgroupPolicy { mode, own: origin } = build.policy.cgroups;
    let mut found = BTreeSet::new();
    make_children(directory.as_fd(), top, Path::new(""), mode, &mut found)?;
    // Controllers are for cgroups whose parent has no processes of its own: first these leave.
    move_tasks(build, directory.as_fd(), image, &top.dir_name)?;
    if mode == CgroupMode::None {
        return Ok(());
    }
    let settable = match origin {
        OwnCgroup::Made => &PROPERTIES[..],
        OwnCgroup::Found if mode.sets_found() => &PROPERTIES[..],
        // Without what divides it, those below it could not have theirs.
        OwnCgroup::Found | OwnCgroup::Configured => &PROPERTIES[..1],
    };
    let setter = Setter {
        ids: IdMaps::of(build.init)?,
        left_alone: if mode.sets_found() { BTreeSet::new() } else { found },
    };
    setter.set(directory.as_fd(), top, settable, Path::new(""))
}

/// `found` gets the paths of those that were there before.
fn make_children(
    directory: BorrowedFd<'_>,
    entry: &CgroupDirEntry,
    path: &Path,
    mode: CgroupMode,
    found: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    for child in &entry.children {
        let path = path.join(component(&child.dir_name)?);
        let what = || format!("make cgroup {}", path.display());
        let made = match mode.makes_missing() {
            true => mkdirat(directory, component(&child.dir_name)?, Mode::from_bits_truncate(0o755)),
            false => Err(Errno::EEXIST),
        };
        match made {
            Ok(()) => {}
            Err(Errno::EEXIST) if mode != CgroupMode::Strict => _ = found.insert(path.clone()),
            Err(errno) => return Err(Error::of_kernel(what(), errno)),
        }
        let what = || format!("open cgroup {}", path.display());
        let made = below(directory, &child.dir_name).at(what)?;
        let is_threaded = |entry: &CgroupPropEntry| {
            entry.name == TYPE.as_bytes() && entry.value.trim_ascii_end() == b"threaded"
        };
        if child.properties.iter().any(is_threaded) && !found.contains(&path) {
            write(made.as_fd(), TYPE, b"threaded").at(what)?;
        }
        make_children(made.as_fd(), child, &path, mode, found)?;
    }
    Ok(())
}

/// A name of the images, which must be one in a directory.
fn component(name: &[u8]) -> Result<&OsStr> {
    let is_one = !name.is_empty()
        && ![&b"."[..], b".."].contains(&name)
        && !name.contains(&b'/')
        && !name.contains(&0);
    match is_one {
        true => Ok(OsStr::from_bytes(name)),
        false => Err(Error::new(format!(
            "cgroup.img: cgroup_dir_entry.dir_name: {} is no name",
            String::from_utf8_lossy(name).escape_debug()
        ))),
    }
}

fn below(directory: BorrowedFd<'_>, path: &[u8]) -> sys::Result<OwnedFd> {
    let flags = libc::O_DIRECTORY | libc::O_CLOEXEC;
    openat2(directory, OsStr::from_bytes(path), flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
}

fn write(directory: BorrowedFd<'_>, name: &str, value: &[u8]) -> sys::Result<()> {
    let file = openat2(directory, name, libc::O_WRONLY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)?;
    Ok(File::from(file).write_all(value)?)
}

fn read(directory: BorrowedFd<'_>, name: &str) -> sys::Result<Vec<u8>> {
    let file = openat2(directory, name, libc::O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)?;
    let mut value = Vec::new();
    File::from(file).read_to_end(&mut value)?;
    Ok(value.trim_ascii_end().to_vec())
}

fn move_tasks(build: &Build<'_>, directory: BorrowedFd<'_>, image: &CgroupEntry, own: &[u8]) -> Result<()> {
    let tids = build.host_tids()?;
    for (_, task) in build.living() {
        let leaders = set_of(&task.threads[0]);
        for ((nth, tid), core) in task.entry.threads.iter().enumerate().zip(&task.threads) {
            let set = set_of(core);
            if nth > 0 && set == leaders {
                continue;
            }
            let path = image.sets.iter().find(|known| Some(known.id) == set).and_then(|set| {
                let unified = set.ctls.iter().find(|member| member.name.is_empty())?;
                path_below(&unified.path, own)
            });
            // It stays where it is; for a thread, that is where its leader has taken it.
            let Some(path) = path.filter(|path| nth > 0 || !path.is_empty()) else { continue };
            let place = if path.is_empty() { b"." } else { path };
            let file = if nth == 0 { "cgroup.procs" } else { "cgroup.threads" };
            let host_tid = host_tid(&tids, *tid)?.to_string();
            let moved =
                below(directory, place).and_then(|place| write(place.as_fd(), file, host_tid.as_bytes()));
            moved.at(|| format!("task {tid}: move to cgroup {}", String::from_utf8_lossy(path)))?;
        }
    }
    Ok(())
}

fn set_of(core: &CoreEntry) -> Option<u32> {
    let of_thread = core.thread_core.as_ref().and_then(|thread| thread.cg_set);
    of_thread.or_else(|| core.tc.as_ref()?.cg_set)
}

/// Where a cgroup is below the container's own: `/a/own/x` below `a/own`. `None` for one that is not.
fn path_below<'a>(path: &'a [u8], own: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(b"/")?.strip_prefix(own)?;
    match rest {
        [] => Some(rest),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// What settings are given with, and to which cgroups none are.
struct Setter {
    ids: IdMaps,
    left_alone: BTreeSet<PathBuf>,
}

impl Setter {
    /// Gives a cgroup and all below it their settings and owners, from the top: a controller that is enabled above brings the
    /// files of those below.
    fn set(
        &self,
        directory: BorrowedFd<'_>,
        entry: &CgroupDirEntry,
        settable: &[&str],
        path: &Path,
    ) -> Result<()> {
        for name in settable {
            let Some(property) = entry.properties.iter().find(|property| property.name == name.as_bytes())
            else {
                continue;
            };
            set_property(directory, name, property)
                .at(|| format!("cgroup {}: set {name}", path.display()))?;
        }
        for child in &entry.children {
            let path = path.join(component(&child.dir_name)?);
            let what = || format!("cgroup {}: owners", path.display());
            let made = below(directory, &child.dir_name).at(what)?;
            if self.left_alone.contains(&path) {
                self.set(made.as_fd(), child, &[], &path)?;
                continue;
            }
            self.set(made.as_fd(), child, &PROPERTIES, &path)?;
            let properties = child.properties.iter().filter_map(|property| {
                let name = PROPERTIES.iter().find(|name| name.as_bytes() == property.name)?;
                Some((*name, property.perms.as_ref()?))
            });
            let directories = child.dir_perms.iter().map(|perms| (".", perms));
            for (name, perms) in properties.chain(directories) {
                give(made.as_fd(), name, perms, &self.ids).at(what)?;
            }
        }
        Ok(())
    }
}

/// Whether a new cgroup has this value (cgroup-v2.rst).
fn is_default(name: &str, value: &[u8]) -> bool {
    let default = match name {
        "memory.min" | "memory.low" | "memory.oom.group" => "0",
        "memory.high" | "memory.max" | "memory.swap.max" | "pids.max" => "max",
        "cpu.weight" => "100",
        "cpu.max" => "max 100000",
        "io.weight" => "default 100",
        _ => "",
    };
    value == default.as_bytes()
}

fn set_property(directory: BorrowedFd<'_>, name: &str, property: &CgroupPropEntry) -> sys::Result<()> {
    let now = match read(directory, name) {
        Ok(now) => now,
        // Without its controller nothing is limited.
        Err(errno) if errno.raw() == libc::ENOENT && is_default(name, &property.value) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    if now == property.value {
        return Ok(());
    }
    if name == PROPERTIES[0] {
        // "cpu memory" is set by "+cpu +memory".
        let words = property.value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let words: Vec<Vec<u8>> = words.map(|word| [b"+", word].concat()).collect();
        return write(directory, name, &words.join(&b' '));
    }
    // A device each.
    property.value.split(|byte| *byte == b'\n').try_for_each(|line| write(directory, name, line))
}

/// Only to users that the container can have.
fn give(directory: BorrowedFd<'_>, name: &str, perms: &CgroupPerms, ids: &IdMaps) -> sys::Result<()> {
    let file = match below_file(directory, name) {
        Ok(file) => File::from(file),
        Err(errno) if errno.raw() == libc::ENOENT => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let metadata = file.metadata()?;
    let is_other = (metadata.uid(), metadata.gid()) != (perms.uid, perms.gid);
    if is_other && ids.has_uid(perms.uid) && ids.has_gid(perms.gid) {
        let (uid, gid) = (Uid::from_raw(perms.uid), Gid::from_raw(perms.gid));
        fchownat(directory, name, Some(uid), Some(gid), nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    let mode = perms.mode & 0o777;
    if metadata.mode() & 0o777 != mode {
        fchmodat(directory, name, Mode::from_bits_truncate(mode), FchmodatFlags::FollowSymlink)?;
    }
    Ok(())
}

fn below_file(directory: BorrowedFd<'_>, name: &str) -> sys::Result<OwnedFd> {
    openat2(directory, name, libc::O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(component(b"user.slice").expect("a name"), "user.slice");
        for wrong in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0"] {
            assert!(component(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn settings_of_controllers_that_are_not_there() {
        let unset =
            [("memory.max", "max"), ("memory.low", "0"), ("cpu.max", "max 100000"), ("cpuset.cpus", "")];
        assert!(unset.iter().all(|(name, value)| is_default(name, value.as_bytes())));
        let set = [
            ("memory.max", "0"),
            ("pids.max", "7"),
            ("cpuset.cpus", "0-1"),
            ("cgroup.subtree_control", "cpu"),
        ];
        assert!(!set.iter().any(|(name, value)| is_default(name, value.as_bytes())));
    }

    #[test]
    fn paths() {
        let below = |path: &'static str| path_below(path.as_bytes(), b"a/own").map(|rest| rest.to_vec());
        assert_eq!(below("/a/own").as_deref(), Some(&b""[..]));
        assert_eq!(below("/a/own/x/y").as_deref(), Some(&b"x/y"[..]));
        assert_eq!(below("/a/owner"), None);
        assert_eq!(below("/b"), None);
    }
}
