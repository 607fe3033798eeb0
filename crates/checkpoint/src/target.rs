//! What is to be dumped, told by those who know what a container is.

use cgroup::Cgroup;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// The container to dump.
#[derive(Debug)]
pub struct Target<'a> {
    /// Its first process, in our pid namespace.
    pub init: i32,
    /// The same process, which cannot be mistaken for a later one.
    pub pidfd: BorrowedFd<'a>,
    /// Where its processes are, and nobody else's; `None` when it has no cgroup of its own.
    pub cgroup: Option<&'a Cgroup>,
    /// Its cgroup was frozen by somebody else and stays so: the tasks are dumped as they are, and left frozen when they
    /// are left running.
    pub is_paused: bool,
    /// A file of the container's state, to be made by a pre-dump: it says who keeps track of what is written since then.
    pub tracking: &'a Path,
    pub externals: Externals,
}

/// What a container has that is not its own. It is named in the images and not dumped; a restore gets it from outside.
#[derive(Debug)]
pub struct Externals {
    pub mounts: Vec<ExternalMount>,
    /// Each of the eight kinds once.
    pub namespaces: Vec<(NamespaceKind, Origin)>,
    /// Files that its first process was given as standard descriptors.
    pub files: Vec<ExternalFile>,
    /// Its terminal is from its own devpts, but the master end is outside.
    pub has_console: bool,
}

impl Externals {
    /// The file with this device and inode.
    pub(crate) fn file(&self, dev: u64, ino: u64) -> Option<&ExternalFile> {
        self.files.iter().find(|file| (file.dev, file.ino) == (dev, ino))
    }
}

/// A mount that was made for the container: a bind mount, a mask, a device.
#[derive(Debug, PartialEq, Eq)]
pub struct ExternalMount {
    /// In the mount namespace of the container (proc_pid_mountinfo(5), field 1).
    pub id: u64,
    /// The destination that asked for it, for messages. Links in it are not resolved.
    pub destination: PathBuf,
    /// Mounts below it were there before and came with it.
    pub is_recursive: bool,
}

/// A file that is outside of the container, but open in it.
#[derive(Debug, PartialEq, Eq)]
pub struct ExternalFile {
    /// `st_dev` and `st_ino` of fstat(2).
    pub dev: u64,
    pub ino: u64,
    /// What it is called in the images, as CRIU's `--inherit-fd` has it: `pipe:[17]`, `tty[8803:18]`.
    pub key: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceKind {
    User,
    Ipc,
    Uts,
    Net,
    Pid,
    Cgroup,
    Time,
    Mnt,
}

/// Where a namespace of the container comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Made for the container: what is in it is the container's.
    Own,
    /// Joined by path: somebody else's.
    Joined,
    /// That of the process which made the container.
    Host,
}

/// What may be dumped although its other end is outside, and how.
#[derive(Clone, Debug, Default)]
pub struct DumpOptions<'a> {
    pub leave_running: bool,
    /// Memory only, of running tasks, for a later dump that names this directory as its parent.
    pub pre_dump: bool,
    /// The directory of an earlier dump, relative to that of the images: pages that were not written since then stay there.
    pub parent: Option<&'a Path>,
    pub tcp_established: bool,
    /// Connections that are not established yet are left out.
    pub tcp_skip_in_flight: bool,
    /// Established connections are dumped as closed.
    pub tcp_close: bool,
    pub ext_unix_sk: bool,
    /// Terminals and sessions whose leader is outside.
    pub shell_job: bool,
    pub file_locks: bool,
    /// Unlinked files that have another name somewhere are linked to a temporary one.
    pub link_remap: bool,
}

/// Something that keeps a container from being dumped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// What it is, with its owner: `task 41 fd 7`.
    pub object: String,
    pub reason: String,
    /// What to do about it; empty when there is nothing.
    pub remedy: String,
    /// Most often it is over in a moment.
    pub is_momentary: bool,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.reason)?;
        match self.remedy.as_str() {
            "" => Ok(()),
            remedy => write!(f, "; {remedy}"),
        }
    }
}
