//! Images become a snapshot. Which are read follows from what others say, from the inventory and the tree on: an image
//! that nothing refers to is not part of the dump. One that does not exist is one without entries.

use super::*;
use images::format::{self, Payload, Type};
use images::messages::{PagemapHead, VmaEntry};
use images::schema::Schema;
use images::{Directory, Entry, Error, INVENTORY, ImageFile, Reader, Result};
use std::collections::BTreeSet;

/// Bytes of the routes of a network namespace, or its addresses: more than a million, and little enough to read.
const NETWORK_LIMIT: u64 = 256 << 20;

impl Snapshot {
    /// Reads a dump and checks that it is consistent in itself: what refers to something finds it, numbers are within
    /// their bounds, pages are within their files. The error names the image and the field.
    ///
    /// Memory follows the size of the images that are read, never a number that is in them.
    pub fn read(directory: &Directory) -> Result<Snapshot> {
        let images = Images { directory };
        let Some(inventory) = images.one(INVENTORY, &format::INVENTORY)? else {
            return Err(Error::refused(INVENTORY, "missing: the dump was not finished"));
        };
        let mut snapshot = Snapshot { inventory, ..Snapshot::default() };
        snapshot.check_inventory()?;
        snapshot.read_tasks(&images)?;
        snapshot.read_files(&images)?;
        snapshot.read_namespaces(&images)?;
        snapshot.read_shmem(&images)?;
        snapshot.seccomp = images.one(names::SECCOMP, &format::SECCOMP)?;
        snapshot.cgroup = images.one(names::CGROUP, &format::CGROUP)?;
        snapshot.apparmor = images.one(names::APPARMOR, &format::APPARMOR)?;
        snapshot.cpuinfo = images.one(names::CPUINFO, &format::CPUINFO)?;
        snapshot.side = Side::read(directory)?;
        snapshot.check()?;
        Ok(snapshot)
    }

    fn read_tasks(&mut self, images: &Images<'_>) -> Result<()> {
        self.tasks = images.all(names::PSTREE, &format::PSTREE)?.into_iter().map(Task::of).collect();
        // Before images are opened by the numbers in it: each is opened once.
        self.check_tree()?;
        for task in &mut self.tasks {
            task.threads.push(images.core(task.entry.pid)?);
            task.ids = images.one(&names::ids(task.entry.pid), &format::IDS)?;
        }
        self.check_threads()?;
        // A zombie has nothing else.
        for task in self.tasks.iter_mut().filter(|task| task.state() != Some(TaskState::Zombie)) {
            let pid = task.entry.pid;
            for tid in task.entry.threads.iter().skip(1) {
                task.threads.push(images.core(*tid)?);
            }
            task.mm = images.one(&names::mm(pid), &format::MM)?;
            task.fs = images.one(&names::fs(pid), &format::FS)?;
            task.pages = images.page_map(&names::pagemap(pid))?;
            if let Some(mm) = task.mm.as_mut().filter(|mm| mm.vmas.is_empty()) {
                // Where old images have them.
                mm.vmas = images.all::<VmaEntry>(&names::vmas(pid), &format::VMAS)?;
            }
        }
        Ok(())
    }

    fn read_files(&mut self, images: &Images<'_>) -> Result<()> {
        for files_id in self.ids_of(|ids| Some(ids.files_id)) {
            self.tables.insert(files_id, images.all(&names::fdinfo(files_id), &format::FDINFO)?);
        }
        self.files = images.all(names::FILES, &format::FILES)?;
        self.remaps = images.all(names::REMAP_FPATH, &format::REMAP_FPATH)?;
        for id in self.remaps.iter().filter_map(ghost_id).collect::<BTreeSet<_>>() {
            self.ghosts.extend(images.ghost(&names::ghost(id))?.map(|ghost| (id, ghost)));
        }
        self.memfds = images.all(names::MEMFD, &format::MEMFD_INODE)?;
        self.locks = images.all(names::FILE_LOCKS, &format::FILE_LOCKS)?;
        self.pipes = images.with_content(names::PIPES_DATA, &format::PIPES_DATA)?;
        self.fifos = images.with_content(names::FIFO_DATA, &format::FIFO_DATA)?;
        self.queues = images.with_content(names::SK_QUEUES, &format::SK_QUEUES)?;
        self.ttys = images.all(names::TTY_INFO, &format::TTY_INFO)?;
        self.tty_data = images.all(names::TTY_DATA, &format::TTY_DATA)?;
        for ino in self.files.iter().filter_map(|file| Some(file.isk.as_ref()?.ino)).collect::<BTreeSet<_>>()
        {
            self.streams.extend(images.stream(&names::stream(ino))?.map(|stream| (ino, stream)));
        }
        Ok(())
    }

    fn read_namespaces(&mut self, images: &Images<'_>) -> Result<()> {
        let mut namespaces = Namespaces::default();
        for id in self.ids_of(|ids| ids.mnt_ns_id) {
            let mounts = images.all(&names::mnt(id), &format::MNTS)?;
            namespaces.mnt.extend((!mounts.is_empty()).then_some((id, mounts)));
        }
        for id in self.ids_of(|ids| ids.uts_ns_id) {
            namespaces.uts.extend(images.one(&names::uts(id), &format::UTSNS)?.map(|uts| (id, uts)));
        }
        for id in self.ids_of(|ids| ids.ipc_ns_id) {
            namespaces.ipc.extend(images.ipc(id)?.map(|ipc| (id, ipc)));
        }
        for id in self.ids_of(|ids| ids.time_ns_id).into_iter().chain([0]) {
            namespaces.time.extend(images.one(&names::time(id), &format::TIMENS)?.map(|time| (id, time)));
        }
        for id in self.ids_of(|ids| ids.user_ns_id) {
            namespaces.user.extend(images.one(&names::user(id), &format::USERNS)?.map(|user| (id, user)));
        }
        for id in self.ids_of(|ids| ids.pid_ns_id) {
            namespaces.pid.extend(images.one(&names::pid(id), &format::PIDNS)?.map(|pid| (id, pid)));
        }
        let mut ids = self.ids_of(|ids| ids.net_ns_id);
        ids.extend(self.files.iter().filter_map(net_ns_id));
        while let Some(id) = ids.pop_first() {
            let Some(entry) = images.one::<NetnsEntry>(&names::net(id), &format::NETNS)? else { continue };
            // Namespaces without tasks, which others know by a number of their own.
            let others = entry.nsids.iter().map(|nsid| nsid.target_ns_id);
            ids.extend(others.filter(|other| *other != id && !namespaces.net.contains_key(other)));
            let devices = images.all(&names::net_devices(id), &format::NETDEV)?;
            let raw = |name: String| -> Result<Vec<u8>> {
                Ok(images.directory.bytes(&name, NETWORK_LIMIT)?.unwrap_or_default())
            };
            let saved = Saved {
                addresses: raw(names::addresses(id))?,
                routes: raw(names::routes(id))?,
                routes6: raw(names::routes6(id))?,
                rules: raw(names::rules(id))?,
            };
            // What iptables-save writes has comments and policies where there is no rule.
            let (nftables, iptables) = (names::nftables(id), [names::iptables(id), names::ip6tables(id)]);
            let mut packet_filter = (!raw(nftables.clone())?.is_empty()).then_some(nftables);
            for name in iptables {
                if raw(name.clone())?.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"-A ")) {
                    packet_filter = Some(name);
                }
            }
            namespaces.net.insert(id, Net { entry, devices, saved, packet_filter });
        }
        self.namespaces = namespaces;
        Ok(())
    }

    fn read_shmem(&mut self, images: &Images<'_>) -> Result<()> {
        for shmid in self.shmem_ids() {
            self.shmem.extend(images.page_map(&names::shmem(shmid))?.map(|map| (shmid, map)));
        }
        Ok(())
    }

    /// All ids of one kind that tasks have.
    fn ids_of(&self, id: impl Fn(&TaskKobjIdsEntry) -> Option<u32>) -> BTreeSet<u32> {
        self.living().filter_map(|task| id(task.ids()?)).collect()
    }
}

impl Task {
    fn of(entry: PstreeEntry) -> Task {
        Task { entry, ..Task::default() }
    }
}

/// The network namespace that an open file belongs to, or is.
fn net_ns_id(file: &FileEntry) -> Option<u32> {
    None.or_else(|| file.isk.as_ref()?.ns_id)
        .or_else(|| file.usk.as_ref()?.ns_id)
        .or_else(|| file.nlsk.as_ref()?.ns_id)
        .or_else(|| file.psk.as_ref()?.ns_id)
        .or_else(|| file.tunf.as_ref()?.ns_id)
        .or_else(|| Some(file.nsf.as_ref()?.ns_id))
}

/// A directory of images that is being read.
struct Images<'a> {
    directory: &'a Directory,
}

impl Images<'_> {
    fn one<M: Schema>(&self, name: &str, image: &Type) -> Result<Option<M>> {
        self.directory.image(name, image)?.map(Reader::message).transpose()
    }

    fn all<M: Schema>(&self, name: &str, image: &Type) -> Result<Vec<M>> {
        Ok(self.directory.image(name, image)?.map(Reader::messages).transpose()?.unwrap_or_default())
    }

    /// Entries with the bytes that follow each.
    fn with_content<M: Schema>(&self, name: &str, image: &Type) -> Result<Vec<(M, Vec<u8>)>> {
        let mut all = Vec::new();
        let Some(mut reader) = self.directory.image(name, image)? else { return Ok(all) };
        while let Some(entry) = reader.entry()? {
            all.push((entry.decode(name)?, content(&reader, &entry)?));
        }
        Ok(all)
    }

    fn core(&self, tid: u32) -> Result<CoreEntry> {
        let name = names::core(tid);
        self.one(&name, &format::CORE)?.ok_or_else(|| Error::refused(&name, "missing"))
    }

    /// A page map, whose pages are all within their file.
    fn page_map(&self, name: &str) -> Result<Option<PageMap>> {
        page_map(self.directory, name)
    }

    fn ghost(&self, name: &str) -> Result<Option<Ghost>> {
        let Some(mut reader) = self.directory.image(name, &format::GHOST_FILE)? else { return Ok(None) };
        let Some(entry) = reader.entry()? else {
            return Err(Error::refused(name, "ghost_file_entry: missing"));
        };
        let mut ghost = Ghost { entry: entry.decode(name)?, chunks: Vec::new() };
        let mut chunk = |entry: &Entry, reader: &Reader<ImageFile>, offset| {
            let len = reader.payload_len(entry);
            ghost.chunks.push(GhostChunk { offset, len, at: entry.payload_offset() });
        };
        if entry.payload() == Payload::Rest {
            chunk(&entry, &reader, 0);
        }
        while let Some(entry) = reader.entry()? {
            let offset = entry.decode::<images::messages::GhostChunkEntry>(name)?.off;
            chunk(&entry, &reader, offset);
        }
        Ok(Some(ghost))
    }

    fn stream(&self, name: &str) -> Result<Option<TcpStream>> {
        let Some(mut reader) = self.directory.image(name, &format::TCP_STREAM)? else { return Ok(None) };
        let Some(entry) = reader.entry()? else {
            return Err(Error::refused(name, "tcp_stream_entry: missing"));
        };
        let stream: TcpStreamEntry = entry.decode(name)?;
        Ok(Some(TcpStream {
            received: reader.payload(&entry, 0, stream.inq_len.into())?,
            sent: reader.payload(&entry, stream.inq_len.into(), stream.outq_len.into())?,
            entry: stream,
        }))
    }

    fn ipc(&self, id: u32) -> Result<Option<Ipc>> {
        let ipc = Ipc {
            variables: self.one(&names::ipc_variables(id), &format::IPC_VAR)?,
            shm: self.with_content(&names::ipc_shm(id), &format::IPCNS_SHM)?,
            msg: self.message_queues(&names::ipc_msg(id))?,
            sem: self.semaphores(&names::ipc_sem(id))?,
        };
        Ok(Some(ipc).filter(|ipc| *ipc != Ipc::default()))
    }

    fn message_queues(&self, name: &str) -> Result<Vec<MessageQueue>> {
        let mut queues: Vec<MessageQueue> = Vec::new();
        let Some(mut reader) = self.directory.image(name, &format::IPCNS_MSG)? else { return Ok(queues) };
        while let Some(entry) = reader.entry()? {
            match entry.payload() {
                Payload::Messages { .. } => {
                    queues.push(MessageQueue { entry: entry.decode(name)?, messages: Vec::new() });
                }
                _ => {
                    let queue = queues.last_mut().expect("messages follow their queue");
                    queue.messages.push((entry.decode(name)?, content(&reader, &entry)?));
                }
            }
        }
        Ok(queues)
    }

    fn semaphores(&self, name: &str) -> Result<Vec<(IpcSemEntry, Vec<u16>)>> {
        let sets = self.with_content::<IpcSemEntry>(name, &format::IPCNS_SEM)?;
        let values = |bytes: Vec<u8>| {
            bytes.chunks_exact(2).map(|value| u16::from_le_bytes([value[0], value[1]])).collect()
        };
        Ok(sets.into_iter().map(|(set, bytes)| (set, values(bytes))).collect())
    }
}

/// Reads a map of pages. The pages that it has are there.
pub(crate) fn page_map(directory: &Directory, name: &str) -> Result<Option<PageMap>> {
    let Some(mut reader) = directory.image(name, &format::PAGEMAP)? else { return Ok(None) };
    let Some(head) = reader.entry()? else { return Err(Error::refused(name, "pagemap_head: missing")) };
    let PagemapHead { pages_id } = head.decode(name)?;
    let mut map = PageMap { pages_id, runs: Vec::new() };
    while let Some(entry) = reader.entry()? {
        map.runs.push(entry.decode(name)?);
    }
    let size = map.size().ok_or_else(|| Error::refused(name, "pagemap_entry.nr_pages: too many pages"))?;
    let pages = names::pages(pages_id);
    let there = directory.size(&pages)?.unwrap_or(0);
    if there < size {
        return Err(Error::damaged(&pages, there, format!("cut off: {name} has {size} bytes of pages")));
    }
    Ok(Some(map))
}

/// What follows an entry, without padding.
fn content(reader: &Reader<ImageFile>, entry: &Entry) -> Result<Vec<u8>> {
    reader.payload(entry, 0, reader.payload_len(entry))
}
