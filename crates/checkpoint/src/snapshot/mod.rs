//! What a dump says, as plain data: the waist between the kernel and the images. The messages of CRIU's images are its
//! leaves. What is large stays outside: pages in `pages-N.img`, the content of deleted files in `ghost-file-ID.img`.
//!
//! Not here: what the kernel thinks of it, and what a restore may do. Archives of tmpfs, netlink dumps, rules of packet
//! filters, autofs, binfmt_misc and BPF maps are not modelled; whoever restores them opens their files.

mod ancestors;
mod check;
pub(crate) mod names;
mod read;
mod side;
mod sockets;
mod write;

pub(crate) use ancestors::MOST_ANCESTORS;
pub use ancestors::{Ancestors, Location};
pub(crate) use check::check_page_map;
pub(crate) use read::page_map;
pub use side::{
    LinkSide, PosixMessage, PosixQueue, ProcessSide, Protected, QueueFile, Sender, Side, ThreadSide, Tiles,
    Undo,
};
pub(crate) use sockets::{KnownOption, Of};
pub use sockets::{Membership, SocketOption, SocketSide};
pub use write::write_ghost;
pub(crate) use write::write_page_map;

use images::messages::{
    ApparmorEntry, CgroupEntry, CoreEntry, CpuinfoEntry, FdinfoEntry, FileEntry, FileLockEntry, FsEntry,
    GhostFileEntry, InventoryEntry, IpcMsg, IpcMsgEntry, IpcSemEntry, IpcShmEntry, IpcVarEntry,
    MemfdInodeEntry, MmEntry, MntEntry, NetDeviceEntry, NetnsEntry, PagemapEntry, PidnsEntry, PipeDataEntry,
    PstreeEntry, RemapFilePathEntry, RemapType, SeccompEntry, SkPacketEntry, TaskKobjIdsEntry,
    TcpStreamEntry, TimensEntry, TtyDataEntry, TtyInfoEntry, UsernsEntry, UtsnsEntry,
};
use std::collections::BTreeMap;

/// Bytes of a page in `pages-N.img`.
pub const PAGE_SIZE: u64 = 4096;

/// A dump. `read` and `write` check that it is consistent in itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub inventory: InventoryEntry,
    /// Parents before children; the first is the root.
    pub tasks: Vec<Task>,
    /// Descriptors by `task_kobj_ids_entry.files_id`.
    pub tables: BTreeMap<u32, Vec<FdinfoEntry>>,
    pub files: Vec<FileEntry>,
    pub remaps: Vec<RemapFilePathEntry>,
    /// Deleted files by the id of their remap.
    pub ghosts: BTreeMap<u32, Ghost>,
    pub memfds: Vec<MemfdInodeEntry>,
    pub locks: Vec<FileLockEntry>,
    /// Content of pipes.
    pub pipes: Vec<(PipeDataEntry, Vec<u8>)>,
    /// Content of named pipes.
    pub fifos: Vec<(PipeDataEntry, Vec<u8>)>,
    /// What unix sockets have received, in order.
    pub queues: Vec<(SkPacketEntry, Vec<u8>)>,
    /// Established connections by `inet_sk_entry.ino`.
    pub streams: BTreeMap<u32, TcpStream>,
    pub ttys: Vec<TtyInfoEntry>,
    pub tty_data: Vec<TtyDataEntry>,
    /// Shared memory by `shmid`: anonymous, of memfds, of System V segments.
    pub shmem: BTreeMap<u64, PageMap>,
    pub seccomp: Option<SeccompEntry>,
    pub cgroup: Option<CgroupEntry>,
    pub apparmor: Option<ApparmorEntry>,
    pub cpuinfo: Option<CpuinfoEntry>,
    pub namespaces: Namespaces,
    pub side: Side,
}

/// A process. A zombie has one core, that of its leader, and nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    pub entry: PstreeEntry,
    pub ids: Option<TaskKobjIdsEntry>,
    /// The leader first, in the order of `entry.threads`.
    pub threads: Vec<CoreEntry>,
    pub mm: Option<MmEntry>,
    pub fs: Option<FsEntry>,
    pub pages: Option<PageMap>,
}

/// `task_core_entry.task_state`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    Alive = 1,
    Zombie = 2,
    Stopped = 3,
}

/// Which pages are where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageMap {
    pub pages_id: u32,
    /// By ascending address; those that are present lie in `pages-N.img` in this order, without gaps.
    pub runs: Vec<PagemapEntry>,
}

/// The bit of `unix_sk_entry.uflags` that a socket has which is outside, and is there for its name.
pub(crate) const USK_EXTERN: u32 = 1 << 0;

/// Bits of `pagemap_entry.flags`.
pub mod pagemap {
    /// In the directory of the dump before this one.
    pub const PARENT: u32 = 1;
    /// May be restored late.
    pub const LAZY: u32 = 2;
    /// In the pages file.
    pub const PRESENT: u32 = 4;
}

/// Bits of `vma_entry.status`.
pub mod vma {
    /// All but what only marks a range: the vsyscall page, guard pages.
    pub const REGULAR: u32 = 1 << 0;
    /// The page at a fixed address that every process has.
    pub const VSYSCALL: u32 = 1 << 2;
    pub const VDSO: u32 = 1 << 3;
    pub const HEAP: u32 = 1 << 5;
    /// A private mapping of a file.
    pub const FILE_PRIVATE: u32 = 1 << 6;
    /// A shared mapping of a file.
    pub const FILE_SHARED: u32 = 1 << 7;
    /// Anonymous shared memory.
    pub const ANON_SHARED: u32 = 1 << 8;
    pub const ANON_PRIVATE: u32 = 1 << 9;
    /// A System V segment; its content belongs to the namespace.
    pub const SYSVIPC: u32 = 1 << 10;
    /// A ring of a packet socket.
    pub const SOCKET: u32 = 1 << 11;
    /// The data of the vdso.
    pub const VVAR: u32 = 1 << 12;
    /// A ring of io_setup(2).
    pub const AIO_RING: u32 = 1 << 13;
    /// A file of memfd_create(2).
    pub const MEMFD: u32 = 1 << 14;
    pub const SHADOW_STACK: u32 = 1 << 15;
    /// Guard pages within other mappings. These stand behind all others in the list.
    pub const GUARD: u32 = 1 << 16;
    /// A plugin makes it.
    pub const EXT_PLUGIN: u32 = 1 << 27;
}

/// A deleted file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ghost {
    pub entry: GhostFileEntry,
    /// Ascending. What lies between them are holes.
    pub chunks: Vec<GhostChunk>,
}

/// A stretch of a deleted file, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GhostChunk {
    /// Where it belongs in the file.
    pub offset: u64,
    pub len: u64,
    /// Where its content is: in `ghost-file-ID.img` after `read`, in the source that `write_ghost` is given.
    pub at: u64,
}

/// The queues of a connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpStream {
    pub entry: TcpStreamEntry,
    pub received: Vec<u8>,
    pub sent: Vec<u8>,
}

/// Namespaces by the ids in `task_kobj_ids_entry`, kind by kind. Those of the host are not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Namespaces {
    pub mnt: BTreeMap<u32, Vec<MntEntry>>,
    pub uts: BTreeMap<u32, UtsnsEntry>,
    pub ipc: BTreeMap<u32, Ipc>,
    /// 0 has the clocks of a dump whose tasks had no time namespace of their own.
    pub time: BTreeMap<u32, TimensEntry>,
    pub user: BTreeMap<u32, UsernsEntry>,
    pub pid: BTreeMap<u32, PidnsEntry>,
    pub net: BTreeMap<u32, Net>,
}

/// An IPC namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ipc {
    pub variables: Option<IpcVarEntry>,
    /// Segments, with their content where it is not in `Snapshot::shmem`.
    pub shm: Vec<(IpcShmEntry, Vec<u8>)>,
    pub msg: Vec<MessageQueue>,
    /// Sets of semaphores, with their values.
    pub sem: Vec<(IpcSemEntry, Vec<u16>)>,
}

/// A System V message queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessageQueue {
    pub entry: IpcMsgEntry,
    pub messages: Vec<(IpcMsg, Vec<u8>)>,
}

/// A network namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Net {
    pub entry: NetnsEntry,
    pub devices: Vec<NetDeviceEntry>,
    pub saved: Saved,
    /// The name of an image that has rules for packets: of CRIU's dumps only.
    pub packet_filter: Option<String>,
}

/// Files that `ip address|route|rule save` writes. A dump that leaves the network out has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    pub addresses: Vec<u8>,
    /// Of IPv4.
    pub routes: Vec<u8>,
    /// Of IPv6.
    pub routes6: Vec<u8>,
    pub rules: Vec<u8>,
}

impl Task {
    pub fn is_zombie(&self) -> bool {
        self.state() == Some(TaskState::Zombie)
    }

    /// `None` where the leader's core does not say it, which no snapshot that was read or written has.
    pub fn state(&self) -> Option<TaskState> {
        let state = self.threads.first()?.tc.as_ref()?.task_state;
        [TaskState::Alive, TaskState::Zombie, TaskState::Stopped]
            .into_iter()
            .find(|known| *known as u32 == state)
    }

    /// What it shares with others. Old images have it in the leader's core.
    pub fn ids(&self) -> Option<&TaskKobjIdsEntry> {
        self.ids.as_ref().or_else(|| self.threads.first()?.ids.as_ref())
    }
}

impl PageMap {
    /// Bytes of the pages that are present; `None` where there are more than any file can have.
    pub fn size(&self) -> Option<u64> {
        let present = self.runs.iter().filter(|run| is_present(run));
        present.map(run_size).try_fold(0_u64, |sum, size| sum.checked_add(size?))
    }
}

impl PageMap {
    /// The index of the first run that reaches beyond an address.
    pub(crate) fn first_beyond(&self, address: u64) -> usize {
        self.runs.partition_point(|run| run_end(run) <= address)
    }

    /// The run with the page at an address, if the dump has left it where it was.
    pub(crate) fn left_at(&self, address: u64) -> Option<&PagemapEntry> {
        self.runs.get(self.first_beyond(address)).filter(|run| is_left(run) && run.vaddr <= address)
    }
}

/// The address behind a run of a map that was checked.
pub(crate) fn run_end(run: &PagemapEntry) -> u64 {
    run.vaddr + run_size(run).unwrap_or(0)
}

/// Bytes of a run of pages; `None` where no address space has so many. Old images have the number in another field.
pub fn run_size(run: &PagemapEntry) -> Option<u64> {
    run.nr_pages.unwrap_or_else(|| run.compat_nr_pages.into()).checked_mul(PAGE_SIZE)
}

/// Whether the pages of a run are in the pages file. Old images have no flags.
pub fn is_present(run: &PagemapEntry) -> bool {
    match run.flags {
        Some(flags) => flags & pagemap::PRESENT != 0,
        None => run.in_parent != Some(true),
    }
}

/// Whether pages are in the directory before.
pub(crate) fn is_of_parent(run: &PagemapEntry) -> bool {
    !is_present(run) && run.flags.unwrap_or(pagemap::PARENT) & pagemap::PARENT != 0
}

/// Whether pages that are present may be restored late.
pub(crate) fn may_be_late(run: &PagemapEntry) -> bool {
    const LATE: u32 = pagemap::LAZY | pagemap::PRESENT;
    run.flags.unwrap_or(0) & LATE == LATE
}

/// Whether pages are with the dump that has left them there, to be served.
pub fn is_left(run: &PagemapEntry) -> bool {
    let flags = run.flags.unwrap_or(0);
    flags & pagemap::LAZY != 0 && flags & (pagemap::PRESENT | pagemap::PARENT) == 0
}

/// The id of the ghost file that a remap leads to. Old images have no type, but a bit in the id.
fn ghost_id(remap: &RemapFilePathEntry) -> Option<u32> {
    const IS_GHOST: u32 = 1 << 31;
    match remap.remap_type {
        Some(_) if remap.remap_type() == RemapType::Ghost => Some(remap.remap_id),
        None if remap.remap_id & IS_GHOST != 0 => Some(remap.remap_id & !IS_GHOST),
        _ => None,
    }
}
