//! What is to be dumped, told by those who know what a container is.

use crate::lazy_dump::PageSource;
use cgroup::Cgroup;
use images::messages::CpuinfoEntry;
use images::page_server::PageServer;
use std::fmt;
use std::fs::Metadata;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
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
    /// The cgroup that the images have its processes in, with all below it: `cgroup`, or one where others are, too. `None`
    /// when it is of no importance where they are.
    pub recorded: Option<&'a Cgroup>,
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
    pub other_mounts: OtherMounts,
    /// Each of the eight kinds once.
    pub namespaces: Vec<(NamespaceKind, Origin)>,
    /// What is in a network namespace of its own comes back, or is in the way. Otherwise somebody makes it anew.
    pub has_network: bool,
    /// Open files, most often those that its first process was given as standard descriptors.
    pub files: Vec<ExternalFile>,
    /// Its terminal is from its own devpts, but the master end is outside.
    pub has_console: bool,
}

impl Externals {
    /// Whether a namespace was made for the container.
    pub(crate) fn owns(&self, kind: NamespaceKind) -> bool {
        self.namespaces.contains(&(kind, Origin::Own))
    }

    /// Whether the content of its network namespace is dumped.
    pub(crate) fn keeps_network(&self) -> bool {
        self.has_network && self.owns(NamespaceKind::Net)
    }

    /// The file from outside that has this metadata and is open on this mount.
    pub(crate) fn file(&self, metadata: &Metadata, mount: u32) -> Option<&ExternalFile> {
        self.files.iter().find(|file| match file.identity {
            FileIdentity::Inode { dev, ino } => (metadata.dev(), metadata.ino()) == (dev, ino),
            FileIdentity::Terminal { rdev, dev } => (metadata.rdev(), metadata.dev()) == (rdev, dev),
            FileIdentity::Mounted { mount: its, ino } => (mount, metadata.ino()) == (its, ino),
        })
    }
}

/// A mount that was made for the container: a bind mount, a mask, a device.
#[derive(Debug, PartialEq, Eq)]
pub struct ExternalMount {
    /// In the mount namespace of the container (proc_pid_mountinfo(5), field 1).
    pub id: u64,
    /// What it is called in the images.
    pub key: Vec<u8>,
    /// Mounts below it were there before and came with it.
    pub is_recursive: bool,
}

/// What becomes of mounts that are not named as external.
#[derive(Debug, Default)]
pub struct OtherMounts {
    /// A restore makes them as the images say. Otherwise it does so only where the container may mount.
    pub are_made: bool,
    /// What is mounted of a file system that our own mount namespace has, too, is from outside: a restore finds it under
    /// the path that it has here.
    pub are_found_here: bool,
    /// Places in the container whose mounts are left out, with those below them.
    pub skipped: Vec<PathBuf>,
    /// Kinds of file systems that a restore can mount anew, whatever is in them: `tracefs`.
    pub mounted_anew: Vec<String>,
}

/// A file that is outside of the container, but open in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalFile {
    pub identity: FileIdentity,
    /// What it is called in the images, as CRIU's `--inherit-fd` has it: `pipe:[17]`, `tty[8803:18]`.
    pub key: String,
}

/// How a file is known, by `st_dev`, `st_ino` and `st_rdev` of fstat(2) and its mount (proc_pid_mountinfo(5), field 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileIdentity {
    /// One that the container has no path to.
    Inode { dev: u64, ino: u64 },
    /// A terminal, whatever path leads to it.
    Terminal { rdev: u64, dev: u64 },
    /// A file on a mount, whatever path leads to it.
    Mounted { mount: u32, ino: u64 },
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

/// What becomes of the tasks when their images are complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Afterwards {
    #[default]
    Killed,
    Running,
    /// By SIGSTOP.
    Stopped,
}

/// What may be dumped although its other end is outside, and how.
#[derive(Clone, Debug, Default)]
pub struct DumpOptions<'a> {
    pub afterwards: Afterwards,
    /// Memory only, of running tasks, for a later dump that names this directory as its parent.
    pub pre_dump: bool,
    /// The directory of an earlier dump, relative to that of the images: pages that were not written since then stay there.
    pub parent: Option<&'a Path>,
    /// Where pages and their maps go, instead of the directory of the images.
    pub page_server: Option<&'a PageServer>,
    /// Private memory stays where it is and is served here, and only then is the dump complete. Not with a pre-dump or a page
    /// server.
    pub page_source: Option<&'a PageSource>,
    /// Established connections are dumped with what is on its way in them.
    pub tcp_established: bool,
    /// Connections that wait to be accepted are left out.
    pub tcp_skip_in_flight: bool,
    /// Established connections are dumped as closed.
    pub tcp_close: bool,
    /// Packets of established connections are dropped while their sockets are looked at.
    pub lock_network: bool,
    pub outer_unix_sockets: OuterUnixSockets,
    /// Terminals and sessions whose leader is outside.
    pub shell_job: bool,
    pub file_locks: bool,
    /// Unlinked files that have another name somewhere are linked to a temporary one.
    pub link_remap: bool,
    /// The processor, for images that are compared with that of the restore.
    pub processor: Option<&'a CpuinfoEntry>,
}

/// Which unix sockets that are outside may be the peers of those inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OuterUnixSockets {
    /// By their inodes.
    Named(Vec<u32>),
    All,
}

impl Default for OuterUnixSockets {
    fn default() -> OuterUnixSockets {
        OuterUnixSockets::Named(Vec::new())
    }
}

impl OuterUnixSockets {
    pub(crate) fn allow(&self, inode: u32) -> bool {
        match self {
            OuterUnixSockets::Named(inodes) => inodes.contains(&inode),
            OuterUnixSockets::All => true,
        }
    }
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
