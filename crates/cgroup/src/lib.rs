//! cgroup v2: create, limit, freeze, kill, measure and remove one container's cgroup.
//!
//! Directories and files below /sys/fs/cgroup. `Resources` decides in plain values what is to be written;
//! everything else acts. A cgroup is named by its directory, so that another process finds it again from
//! state.json; nothing is kept open between calls. With the fs driver that is all; with the other one the
//! cgroup itself is made and removed by systemd (`systemd::Scope`), which also hears of every limit.
//!
//! Order on start: `resolve`, `create`, clone3 into the created directory, `limit` and `set_devices` on it. On
//! the way out: `kill`, wait for the processes, `Scope::stop` where there is one, `delete`.

mod apply;
mod create;
mod devices;
mod error;
mod events;
mod files;
mod freezer;
mod oom;
mod processes;
mod remove;
mod resources;
mod stats;
pub mod systemd;
#[cfg(test)]
mod tests;

/// Readers of the kernel's files and the resolver of resources, with what must hold of them for any input: the
/// targets in `fuzz/` call these.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    pub use crate::resources::fuzz as resources;

    pub fn files(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        crate::stats::fuzz(&text);
        crate::events::fuzz(bytes);
        crate::fuzz_paths(&text);
        crate::systemd::fuzz(bytes);
    }
}

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::sys::statfs::{self, CGROUP2_SUPER_MAGIC, FsType};
use nix::unistd::{AccessFlags, access};

pub use create::Created;
pub use devices::{Access, DeviceRule, DeviceType, default_device_rules, with_default_rules};
pub use error::{Error, Kind, Result};
pub use nix::sys::signal::Signal;
pub use oom::{OomEvent, OomWatch};
pub use resources::Resources;
pub use stats::Stats;

use error::At;

/// Where systemd, and by now everybody, mounts cgroup v2.
pub const MOUNT: &str = "/sys/fs/cgroup";

/// A cgroup by its directory, which need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// Resolves `linux.cgroupsPath` as runc's fs driver does (config-linux.md, "Cgroups Path"): absolute is
    /// below the mount, relative below the parent of our own cgroup, none is `id` below that parent. `..`
    /// never leads above the place where the path starts.
    ///
    /// `Kind::Unsupported` when /sys/fs/cgroup is not cgroup2.
    pub fn resolve(cgroups_path: Option<&Path>, id: &str) -> Result<Cgroup> {
        require_cgroup2()?;
        let path = cgroups_path.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(id));
        let below_mount = if path.is_absolute() {
            clean(path)
        } else {
            let text =
                files::read_path(Path::new("/proc/self/cgroup")).at(|| "read /proc/self/cgroup".into())?;
            own_parent(&text)?.join(clean(path))
        };
        if below_mount.as_os_str().is_empty() {
            return Err(Error::new(format!("cgroup path {} is the root of all cgroups", path.display())));
        }
        Ok(Cgroup { dir: Path::new(MOUNT).join(below_mount) })
    }

    /// A cgroup by the directory that `path` gave earlier.
    pub fn open(dir: &Path) -> Result<Cgroup> {
        match dir.strip_prefix(MOUNT) {
            Ok(below) if !below.as_os_str().is_empty() && clean(below) == below => {
                Ok(Cgroup { dir: dir.to_path_buf() })
            }
            _ => Err(Error::new(format!("{} is not a cgroup below {MOUNT}", dir.display()))),
        }
    }

    /// The cgroup that process `pid` is in, which the container may have moved to a child of its own.
    pub fn of_process(pid: i32) -> Result<Cgroup> {
        let file = format!("/proc/{pid}/cgroup");
        let text = files::read_path(Path::new(&file)).at(|| format!("read {file}"))?;
        let below_mount = clean(unified_path(&text)?);
        if below_mount.as_os_str().is_empty() {
            return Err(Error::new(format!("process {pid} is in the root of all cgroups")));
        }
        Ok(Cgroup { dir: Path::new(MOUNT).join(below_mount) })
    }

    /// A cgroup below this one, for `exec --cgroup`. `..` never leads out of this one.
    pub fn child(&self, path: &Path) -> Cgroup {
        let below = clean(path);
        let dir = if below.as_os_str().is_empty() { self.dir.clone() } else { self.dir.join(below) };
        Cgroup { dir }
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Whether we may make processes in it, and move ours there: the common ancestor of two cgroups must be ours to write.
    pub fn takes_our_processes(&self) -> bool {
        let Ok(own) = Cgroup::of_process(std::process::id() as i32) else { return true };
        let common = self.dir.ancestors().find(|ancestor| own.dir.starts_with(ancestor));
        let procs = common.unwrap_or(Path::new(MOUNT)).join("cgroup.procs");
        access(&procs, AccessFlags::W_OK).is_ok()
    }

    pub fn exists(&self) -> bool {
        self.dir.is_dir()
    }

    /// Opens the directory, for CLONE_INTO_CGROUP, `apply` and `set_devices`.
    pub fn dirfd(&self) -> Result<OwnedFd> {
        files::open_dir(&self.dir).at(|| format!("open cgroup {}", self.dir.display()))
    }

    /// Allows exactly what `rules` allow, in place of what an earlier call allowed. An empty list denies
    /// everything; a runtime uses `with_default_rules`.
    ///
    /// `Kind::Permission` in a user namespace, where no device programs can be loaded.
    pub fn set_devices(&self, dir: BorrowedFd<'_>, rules: &[DeviceRule]) -> Result<()> {
        devices::set(dir, rules)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn require_cgroup2() -> Result<()> {
    let found = statfs::statfs(MOUNT).at(|| format!("look at {MOUNT}"))?.filesystem_type();
    if found == CGROUP2_SUPER_MAGIC {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "{MOUNT} is {}, not cgroup2 (a cgroup v1 or hybrid host); mount cgroup2 at {MOUNT}",
        filesystem_name(found)
    )))
}

fn filesystem_name(found: FsType) -> &'static str {
    match found {
        statfs::TMPFS_MAGIC => "tmpfs",
        statfs::CGROUP_SUPER_MAGIC => "cgroup v1",
        statfs::SYSFS_MAGIC => "an empty directory of sysfs",
        _ => "another filesystem",
    }
}

/// The path without `.`, `..` and leading slash; `..` at the start is dropped, as at the root of a tree.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

/// The parent of our own cgroup, relative to the mount: our own has processes, so that no controllers can be
/// enabled below it (cgroup-v2.rst, "No Internal Process Constraint").
fn own_parent(proc_cgroup: &str) -> Result<PathBuf> {
    let mut own = clean(unified_path(proc_cgroup)?);
    own.pop();
    Ok(own)
}

/// The path in the `0::` line of a /proc/PID/cgroup file (cgroups(7)).
fn unified_path(proc_cgroup: &str) -> Result<&Path> {
    proc_cgroup
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        // The process was killed and its cgroup removed, but it has not been waited for.
        .map(|path| Path::new(path.strip_suffix(" (deleted)").unwrap_or(path)))
        .ok_or_else(|| Error::unsupported("this process is in no cgroup v2"))
}

/// No path that a file or a caller gives leads out of the mount.
#[cfg(fuzzing)]
fn fuzz_paths(text: &str) {
    let cleaned = clean(Path::new(text));
    assert!(cleaned.components().all(|component| matches!(component, Component::Normal(_))));
    assert_eq!(clean(&cleaned), cleaned);
    if let Ok(parent) = own_parent(text) {
        assert!(parent.is_relative() && Path::new(MOUNT).join(&parent).starts_with(MOUNT));
    }
    let cgroup = Cgroup { dir: Path::new(MOUNT).join("a") };
    assert!(cgroup.child(Path::new(text)).dir.starts_with(&cgroup.dir));
    if let Ok(opened) = Cgroup::open(Path::new(text)) {
        assert!(opened.dir.starts_with(MOUNT) && opened.dir != Path::new(MOUNT));
    }
}
