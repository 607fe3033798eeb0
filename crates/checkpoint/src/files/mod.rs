//! Open files. Every open file has an id; descriptors of any task that refer to the same one have the same.
//!
//! A file is looked at through a copy of its descriptor (pidfd_getfd(2)), so what is asked of it is asked by us, not by the
//! task. Each kind has a module; `kind.rs` tells them apart, for a dump and for what is to be known before one.

mod anonymous;
mod fanotify;
mod inet;
mod kind;
mod locks;
mod memfds;
mod packets;
mod pipes;
mod queues;
mod regular;
mod socket_options;
mod sockets;
mod terminals;
mod unix;
mod watches;

pub(crate) use anonymous::{Eventfd, look_at_eventfd};
pub(crate) use fanotify::{DECIDES, fanotify_refused};
pub(crate) use inet::icmp_filter;
pub(crate) use kind::Kind;
pub(crate) use locks::has_breaking_lease;
pub(crate) use sockets::{SocketRefused, filter_of_kernel, keeps_connection, socket_refused};
pub(crate) use terminals::{Controlling, OTHER_DEVPTS};
pub(crate) use unix::{Signed, UnixSockets, senders};

use crate::credentials::IdMaps;
use crate::error::{At, Error, Result};
use crate::guardian::Guardian;
use crate::links::Links;
use crate::memory::SharedMemory;
use crate::message_queues::{Queue, QueueFiles};
use crate::mounts::MountNamespaces;
use crate::namespaces::Ids;
use crate::proc::{self, Fdinfo};
use crate::shared::Sorted;
use crate::snapshot::{Ghost, Side};
use crate::target::{DumpOptions, Externals};
use crate::task::Numbers;
use crate::tcp::Connection;
use crate::tree::Member;
use images::messages::{
    FdTypes, FdinfoEntry, FileEntry, FileLockEntry, FownEntry, MemfdInodeEntry, PipeDataEntry,
    RemapFilePathEntry, SkPacketEntry, TtyDataEntry, TtyInfoEntry,
};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, Metadata};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use sys::inspect::{Shared, kcmp};

/// All open files of a container, as far as they were looked at.
#[derive(Debug)]
pub(crate) struct Files<'a> {
    /// By their ids.
    pub(crate) entries: BTreeMap<u32, FileEntry>,
    pub(crate) remaps: Vec<RemapFilePathEntry>,
    /// Deleted files by the id of their remap, with what can be read of them.
    pub(crate) ghosts: BTreeMap<u32, (Ghost, File)>,
    pub(crate) memfds: Vec<MemfdInodeEntry>,
    pub(crate) pipes: Vec<(PipeDataEntry, Vec<u8>)>,
    pub(crate) fifos: Vec<(PipeDataEntry, Vec<u8>)>,
    /// With device and inode of their files.
    pub(crate) locks: Vec<((u64, u64), FileLockEntry)>,
    /// What unix sockets have received, by the ids of the sockets.
    pub(crate) queues: Vec<(SkPacketEntry, Vec<u8>)>,
    /// Those of them with credentials.
    pub(crate) signed: Vec<Signed>,
    /// What those that send datagrams to another one are connected to, by their inodes.
    outer_names: BTreeMap<u32, Vec<u8>>,
    /// Sockets outside of which there is a name. CRIU looks for those that it has read already.
    pub(crate) outer: Vec<FileEntry>,
    /// Message queues, those that have no name any more behind the others. Their content is looked at last.
    pub(crate) message_queues: Vec<Queue>,
    /// Connections of TCP, of which the same is true.
    pub(crate) connections: Vec<Connection>,
    /// Those that may be semaphores, looked at last too.
    pub(crate) eventfds: Vec<Eventfd>,
    pub(crate) terminals: Vec<TtyInfoEntry>,
    pub(crate) terminal_data: Vec<TtyDataEntry>,
    /// Whether we may put back what we take from terminals; not known before there is one.
    can_put: Option<bool>,
    /// Names that files have got for the dump.
    pub(crate) links: Links,
    /// What images have no place for.
    pub(crate) side: Side,
    /// Sockets to compare others with, once there is one.
    references: Option<socket_options::References>,
    /// Those of packet sockets, by the inodes of these.
    rings: BTreeMap<u64, packets::Rings>,
    /// Shared memory of mappings and memfds.
    pub(crate) shared: SharedMemory,
    last_id: u32,
    /// Descriptors that were on their way through sockets; open as long as others are compared with them.
    in_flight: Vec<OwnedFd>,
    surroundings: Surroundings<'a>,
    /// Descriptors by device and inode of what they refer to.
    descriptors: HashMap<(u64, u64), Sorted<Descriptor>>,
    /// Files that were linked to another name, by device and inode, and the id of that name.
    linked: HashMap<(u64, u64), u32>,
    /// Files that are in use without a descriptor: by device, inode and mount.
    places: HashMap<(u64, u64, u32), u32>,
}

/// What a file is looked at with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) mounts: &'a MountNamespaces,
    pub(crate) externals: &'a Externals,
    pub(crate) numbers: &'a Numbers,
    pub(crate) namespaces: &'a Ids,
    /// Removes what is made for the dump when we cannot.
    pub(crate) guardian: &'a Guardian,
    pub(crate) options: &'a DumpOptions<'a>,
    /// Where the container's message queues are.
    pub(crate) queues: Option<&'a QueueFiles>,
    /// The unix sockets of the container's network namespace.
    pub(crate) unix: &'a UnixSockets,
    /// Of processes: a terminal, its session and its foreground process group.
    pub(crate) terminals: &'a [Controlling],
    /// Of the container's user namespace.
    pub(crate) maps: &'a IdMaps,
}

#[derive(Clone, Copy, Debug)]
struct Descriptor {
    pid: i32,
    fd: i32,
}

/// An open file that is being looked at.
#[derive(Debug)]
pub(crate) struct Open {
    /// Who has it, for errors: `task 41 fd 7`.
    owner: String,
    descriptor: Descriptor,
    id: u32,
    file: File,
    metadata: Metadata,
    info: Fdinfo,
    /// What its link in /proc says.
    link: PathBuf,
}

impl<'a> Files<'a> {
    pub(crate) fn new(surroundings: Surroundings<'a>, message_queues: Vec<Queue>) -> Files<'a> {
        Files {
            entries: BTreeMap::new(),
            last_id: 0,
            remaps: Vec::new(),
            ghosts: BTreeMap::new(),
            memfds: Vec::new(),
            pipes: Vec::new(),
            fifos: Vec::new(),
            locks: Vec::new(),
            queues: Vec::new(),
            signed: Vec::new(),
            outer_names: BTreeMap::new(),
            outer: Vec::new(),
            message_queues,
            connections: Vec::new(),
            eventfds: Vec::new(),
            terminals: Vec::new(),
            terminal_data: Vec::new(),
            can_put: None,
            links: Links::default(),
            side: Side::default(),
            references: None,
            rings: BTreeMap::new(),
            shared: SharedMemory::new(),
            in_flight: Vec::new(),
            surroundings,
            descriptors: HashMap::new(),
            linked: HashMap::new(),
            places: HashMap::new(),
        }
    }

    /// The descriptors of a process.
    pub(crate) fn table(&mut self, member: &Member) -> Result<Vec<FdinfoEntry>> {
        let numbers = proc::numbers(format!("/proc/{}/fd", member.pid))?;
        numbers.into_iter().map(|fd| self.descriptor(member, fd)).collect()
    }

    fn descriptor(&mut self, member: &Member, fd: i32) -> Result<FdinfoEntry> {
        let copy = member.descriptor(fd)?;
        let descriptor = Descriptor { pid: member.pid, fd };
        let (open, is_new) = self.open(descriptor, copy)?;
        self.locks(&open, member.status.pid, fd, is_new)?;
        let kind = self.entries[&open.id].r#type;
        Ok(FdinfoEntry {
            id: open.id,
            flags: open.info.is_cloexec.into(),
            r#type: kind,
            fd: fd as u32,
            xattr_security_selinux: None,
        })
    }

    /// Looks at what a descriptor refers to, unless another has led to it; `copy` is one of ours. Also says whether it was
    /// new.
    fn open(&mut self, descriptor: Descriptor, copy: OwnedFd) -> Result<(Open, bool)> {
        let Descriptor { pid, fd } = descriptor;
        let owner = format!("task {pid} fd {fd}");
        let file = File::from(copy);
        let metadata = file.metadata().at(|| owner.clone())?;
        let info = Fdinfo::of(pid, fd)?;
        let link = proc::link(format!("/proc/{pid}/fd/{fd}"))?;
        let next = self.last_id + 1;
        let compare = |a: &Descriptor, b: &Descriptor| kcmp(a.pid, b.pid, Shared::File(a.fd, b.fd));
        let known = self.descriptors.entry((metadata.dev(), metadata.ino())).or_default();
        let (id, is_new) =
            known.id(descriptor, compare, || next).at(|| format!("{owner}: compare with others"))?;
        let open = Open { owner, descriptor, id, file, metadata, info, link };
        if is_new {
            self.last_id = next;
            let kind = match self.surroundings.queues {
                Some(queues) if queues.has(&open.metadata) => Ok(Kind::MessageQueue),
                _ => Kind::of(&open.link, &open.metadata),
            };
            let kind = kind.map_err(|reason| Error::new(format!("{}: {reason}", open.owner)))?;
            let entry = self.entry(kind, &open)?;
            self.entries.insert(id, entry);
        }
        Ok((open, is_new))
    }

    /// The id of an open file that we were given by a socket.
    fn in_flight(&mut self, copy: OwnedFd) -> Result<u32> {
        use std::os::fd::AsRawFd;
        let descriptor = Descriptor { pid: std::process::id() as i32, fd: copy.as_raw_fd() };
        let ours = copy.try_clone().at(|| "copy a descriptor of ours".to_owned())?;
        self.in_flight.push(copy);
        Ok(self.open(descriptor, ours)?.0.id)
    }

    fn new_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    fn entry(&mut self, kind: Kind, open: &Open) -> Result<FileEntry> {
        match kind {
            Kind::Named => self.named(open, open.id),
            Kind::Pipe => self.pipe(open),
            Kind::Fifo => self.fifo(open),
            Kind::EventFd => self.eventfd(open),
            Kind::Epoll => self.epoll(open),
            Kind::SignalFd => self.signalfd(open),
            Kind::TimerFd => self.timerfd(open),
            Kind::Inotify => self.inotify(open),
            Kind::Fanotify => self.fanotify(open),
            Kind::PidFd => self.pidfd(open),
            Kind::Namespace => self.namespace(open),
            Kind::MemFd => self.memfd(open, open.id),
            Kind::Socket => self.socket(open),
            Kind::Terminal => self.terminal(open),
            Kind::MessageQueue => self.message_queue(open),
        }
    }

    /// The id of a file that is in use without a descriptor of the task: what a link in its /proc leads to.
    pub(crate) fn place(&mut self, link: &str) -> Result<u32> {
        let file = nix::fcntl::open(link, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
        let file = file.at(|| format!("open {link}"))?;
        let path = proc::link(link)?;
        self.placed(link, file, path)
    }

    /// The same for a file that was opened with `O_PATH`.
    pub(crate) fn placed(&mut self, owner: &str, file: OwnedFd, link: PathBuf) -> Result<u32> {
        use std::os::fd::AsRawFd;
        let descriptor = Descriptor { pid: std::process::id() as i32, fd: file.as_raw_fd() };
        let mut info = Fdinfo::of(descriptor.pid, descriptor.fd)?;
        info.flags = 0;
        let file = File::from(file);
        let metadata = file.metadata().at(|| owner.to_owned())?;
        let key = (metadata.dev(), metadata.ino(), info.mnt_id);
        if let Some(id) = self.places.get(&key) {
            return Ok(*id);
        }
        let id = self.new_id();
        let open = Open { owner: owner.to_owned(), descriptor, id, file, metadata, info, link };
        let entry = match open.link.to_string_lossy().starts_with("/memfd:") {
            true => self.memfd(&open, id)?,
            false => self.named(&open, id)?,
        };
        self.entries.insert(id, entry);
        self.places.insert(key, id);
        Ok(id)
    }

    /// User and group of a file as the container sees them.
    fn ids(&self, metadata: &Metadata) -> (u32, u32) {
        let maps = self.surroundings.maps;
        (maps.uid(metadata.uid()), maps.gid(metadata.gid()))
    }

    /// Who gets signals about a file.
    fn owner(&self, open: &Open) -> Result<FownEntry> {
        const F_OWNER_PGRP: u32 = 2;
        if open.info.flags & libc::O_PATH as u32 != 0 || open.info.flags == 0 {
            return Ok(no_owner());
        }
        let owner = match sys::inspect::file_owner(open.file.as_fd()) {
            Ok(owner) => owner,
            // Opened with `O_PATH`, by us.
            Err(errno) if errno.raw() == libc::EBADF => return Ok(no_owner()),
            Err(errno) => return Err(Error::of_kernel(format!("{}: its owner", open.owner), errno)),
        };
        if owner.pid == 0 {
            return Ok(FownEntry { signum: owner.signal, ..no_owner() });
        }
        let Some(pid) = self.surroundings.numbers.get(&owner.pid) else {
            let what = if owner.kind == F_OWNER_PGRP { "group" } else { "process" };
            return Err(Error::new(format!(
                "{}: its signals go to {what} {}, which is outside",
                open.owner, owner.pid
            )));
        };
        let [uid, euid] = owner.uids.map(|uid| self.surroundings.maps.uid(uid));
        Ok(FownEntry { uid, euid, signum: owner.signal, pid_type: owner.kind, pid: *pid })
    }
}

fn no_owner() -> FownEntry {
    FownEntry { uid: 0, euid: 0, signum: 0, pid_type: 0, pid: 0 }
}

/// An entry without its one member.
fn entry(kind: FdTypes, id: u32) -> FileEntry {
    FileEntry { r#type: kind as i32, id, ..FileEntry::default() }
}
