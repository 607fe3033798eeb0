//! Making the directory of a container's cgroup, with the controllers it needs.
//!
//! The start of every container waits for this, so the usual case (the parent is there and has its
//! controllers enabled) is a handful of system calls; the walk from the root is for the first container below
//! a new parent.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};

use crate::error::{At, Error, Result};
use crate::events::Events;
use crate::resources::Resources;
use crate::systemd::Started;
use crate::{Cgroup, MOUNT, files};

const DELEGATE: &str = "/sys/kernel/cgroup/delegate";

/// A cgroup that was made, or found empty, for one container.
#[derive(Debug)]
pub struct Created {
    /// The directory, for CLONE_INTO_CGROUP and `set_devices`.
    pub dir: OwnedFd,
    maker: Maker,
}

#[derive(Debug)]
enum Maker {
    Files(Made),
    Systemd(Started),
}

impl Created {
    pub(crate) fn in_scope(dir: OwnedFd, started: Started) -> Created {
        Created { dir, maker: Maker::Systemd(started) }
    }

    /// Applies the limits to `cgroup`, which this is.
    pub fn limit(&self, cgroup: &Cgroup, resources: &Resources) -> Result<()> {
        if let Maker::Systemd(started) = &self.maker {
            started.set_late()?;
        }
        cgroup.apply(self.dir.as_fd(), resources)
    }

    /// The container's first process is in the cgroup, and keeps it.
    pub fn release(&mut self) {
        if let Maker::Systemd(started) = &mut self.maker {
            started.release();
        }
    }

    /// Removes the directories that `create` made and no others, for a start that failed later. Its
    /// processes must be dead or dying.
    pub fn undo(self) -> Result<()> {
        drop(self.dir);
        match self.maker {
            Maker::Files(made) => made.undo(),
            Maker::Systemd(started) => started.undo(),
        }
    }
}

/// The directories that we made.
#[derive(Debug, Default)]
struct Made {
    /// Outermost first.
    parents: Vec<PathBuf>,
    leaf: Option<PathBuf>,
}

impl Made {
    fn undo(self) -> Result<()> {
        if let Some(dir) = self.leaf {
            Cgroup { dir }.delete()?;
        }
        for dir in self.parents.iter().rev() {
            // Not `delete`: another container may have started below it meanwhile.
            let _ = std::fs::remove_dir(dir);
        }
        Ok(())
    }
}

impl Cgroup {
    /// Makes the directory and its missing parents, and enables in the parents the controllers that they
    /// have; that one of them is missing which `resources` needs is for `apply` to say. Refuses a cgroup
    /// that has processes or is frozen: it is somebody else's.
    pub fn create(&self, resources: &Resources) -> Result<Created> {
        let mut made = Made::default();
        match self.make(resources, &mut made) {
            Ok(dir) => Ok(Created { dir, maker: Maker::Files(made) }),
            Err(error) => {
                // The first error is the one to tell.
                let _ = made.undo();
                Err(error)
            }
        }
    }

    /// Gives the cgroup to user `uid` of the host, for a container that manages cgroups below its own: the
    /// directory and the files that the kernel says a delegate needs (cgroup-v2.rst, "Model of Delegation").
    pub fn delegate(&self, uid: u32) -> Result<()> {
        let chown = |path: &Path| std::os::unix::fs::lchown(path, Some(uid), None);
        chown(&self.dir).at(|| format!("give cgroup {} to user {uid}", self.dir.display()))?;
        let list = files::read_path(Path::new(DELEGATE)).at(|| format!("read {DELEGATE}"))?;
        // memory.oom.group and the like are listed, but not there without their controller.
        for file in list.lines().map(|name| self.file(name)) {
            match chown(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).at(|| format!("give {} to user {uid}", file.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Opens the directory that systemd has made, with the controllers that it does not know enabled.
    pub(crate) fn prepare(&self, resources: &Resources) -> Result<OwnedFd> {
        let needed = resources.controllers();
        open_parent(self.dir.parent().unwrap_or(Path::new(MOUNT)), &needed, &mut Made::default())?;
        let dir = self.dirfd()?;
        self.require_domain(dir.as_fd(), &needed)?;
        Ok(dir)
    }

    fn make(&self, resources: &Resources, made: &mut Made) -> Result<OwnedFd> {
        let here = || format!("create cgroup {}", self.dir.display());
        let (Some(parent_path), Some(name)) = (self.dir.parent(), self.dir.file_name()) else {
            return Err(Error::new(format!("{} is not a cgroup", self.dir.display())));
        };
        let needed = resources.controllers();
        let mut attempts = 0..3;
        loop {
            let parent = open_parent(parent_path, &needed, made)?;
            match mkdirat(&parent, name, Mode::from_bits_truncate(0o755)) {
                Ok(()) => {
                    made.leaf = Some(self.dir.clone());
                    let dir = files::open_dir_at(parent.as_fd(), name).at(here)?;
                    self.require_domain(dir.as_fd(), &needed)?;
                    return Ok(dir);
                }
                Err(Errno::EEXIST) => {
                    let dir = files::open_dir_at(parent.as_fd(), name).at(here)?;
                    self.require_unused(dir.as_fd())?;
                    self.require_domain(dir.as_fd(), &needed)?;
                    return Ok(dir);
                }
                // The last container below this parent was just removed, and the parent with it.
                Err(Errno::ENOENT) if attempts.next().is_some() => {}
                Err(errno) => return Err(errno).at(here),
            }
        }
    }

    fn require_unused(&self, dir: BorrowedFd<'_>) -> Result<()> {
        let flags = Events::open_at(dir)
            .and_then(|events| events.read())
            .at(|| format!("read {}", self.file("cgroup.events").display()))?;
        if flags.populated {
            let count = self.processes()?.len();
            return Err(Error::new(format!(
                "container's cgroup {} is not empty: it has {count} process{}",
                self.dir.display(),
                if count == 1 { "" } else { "es" }
            )));
        }
        if flags.frozen {
            return Err(Error::new(format!("container's cgroup {} is frozen", self.dir.display())));
        }
        Ok(())
    }

    /// Below a threaded cgroup only the controllers that know threads work (cgroup-v2.rst, "Threads").
    fn require_domain(&self, dir: BorrowedFd<'_>, needed: &[&str]) -> Result<()> {
        let text = files::read_at(dir, "cgroup.type")
            .at(|| format!("read {}", self.file("cgroup.type").display()))?;
        let kind = text.trim_end();
        if kind == "domain" {
            return Ok(());
        }
        if let Some(controller) =
            needed.iter().find(|controller| !["cpu", "cpuset", "perf_event", "pids"].contains(controller))
        {
            return Err(Error::unsupported(format!(
                "cgroup {} is {kind} and cannot have the {controller} controller",
                self.dir.display()
            )));
        }
        if kind == "domain invalid" {
            files::write_at(dir, "cgroup.type", "threaded")
                .at(|| format!("write threaded to {}", self.file("cgroup.type").display()))?;
        }
        Ok(())
    }
}

/// Opens the parent, with its controllers enabled for its children.
fn open_parent(path: &Path, needed: &[&str], made: &mut Made) -> Result<OwnedFd> {
    match files::open_dir(path) {
        Ok(parent) => {
            let available = enable_controllers(parent.as_fd());
            if !needed.iter().all(|controller| has(&available, controller)) {
                return walk(path, made);
            }
            Ok(parent)
        }
        Err(errno) if errno.raw() == Errno::ENOENT as i32 => walk(path, made),
        Err(errno) => Err(errno).at(|| format!("open cgroup {}", path.display())),
    }
}

/// Makes `path` where it is missing and enables controllers on every step from the root to it.
fn walk(path: &Path, made: &mut Made) -> Result<OwnedFd> {
    let mut current = PathBuf::from(MOUNT);
    let below = path.strip_prefix(MOUNT).unwrap_or(Path::new(""));
    let mut dir = files::open_dir(&current).at(|| format!("open cgroup {}", current.display()))?;
    enable_controllers(dir.as_fd());
    for name in below {
        current.push(name);
        match mkdirat(&dir, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) => made.parents.push(current.clone()),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno).at(|| format!("create cgroup {}", current.display())),
        }
        dir = files::open_dir_at(dir.as_fd(), name).at(|| format!("open cgroup {}", current.display()))?;
        enable_controllers(dir.as_fd());
    }
    Ok(dir)
}

/// Enables for the children every controller that the cgroup has, as runc does: limits may come later by
/// `update`, and statistics need them too. Returns those it has (`cgroup.controllers`).
///
/// Failures do not count here: a rootless caller may not write, a cgroup with processes cannot enable domain
/// controllers, and in both cases a container without limits is none the worse.
fn enable_controllers(dir: BorrowedFd<'_>) -> String {
    let available = files::read_at(dir, "cgroup.controllers").unwrap_or_default();
    let enabled = files::read_at(dir, "cgroup.subtree_control").unwrap_or_default();
    let missing: Vec<String> = available
        .split_whitespace()
        .filter(|controller| !has(&enabled, controller))
        .map(|controller| format!("+{controller}"))
        .collect();
    // One refused controller refuses the whole write.
    if !missing.is_empty()
        && files::write_at(dir, "cgroup.subtree_control", &missing.join(" ")).is_err()
        && missing.len() > 1
    {
        for controller in &missing {
            let _ = files::write_at(dir, "cgroup.subtree_control", controller);
        }
    }
    available
}

pub(crate) fn has(controllers: &str, controller: &str) -> bool {
    controllers.split_whitespace().any(|known| known == controller)
}
