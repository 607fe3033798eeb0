//! A snapshot becomes images. One without entries is not made, as CRIU does not either.

use super::*;
use images::format::{self, Type};
use images::messages::{GhostChunkEntry, PagemapHead};
use images::schema::Schema;
use images::{DirectoryWriter, Output, Result, Source, Writer};
use std::io::{self, Write};

impl Snapshot {
    /// Writes all images but the inventory, which `DirectoryWriter::commit` writes last, and those whose content does
    /// not pass through here: pages and deleted files (`write_ghost`). A snapshot that would be refused when it is read
    /// is an error.
    pub fn write(&self, directory: &mut DirectoryWriter) -> Result<()> {
        self.check()?;
        let mut images = Images { directory };
        images.all(names::PSTREE, &format::PSTREE, self.tasks.iter().map(|task| &task.entry))?;
        for task in &self.tasks {
            images.task(task)?;
        }
        for (files_id, table) in &self.tables {
            images.all(&names::fdinfo(*files_id), &format::FDINFO, table)?;
        }
        images.all(names::FILES, &format::FILES, &self.files)?;
        images.all(names::REMAP_FPATH, &format::REMAP_FPATH, &self.remaps)?;
        images.all(names::MEMFD, &format::MEMFD_INODE, &self.memfds)?;
        images.all(names::FILE_LOCKS, &format::FILE_LOCKS, &self.locks)?;
        images.with_content(names::PIPES_DATA, &format::PIPES_DATA, &self.pipes, 1)?;
        images.with_content(names::FIFO_DATA, &format::FIFO_DATA, &self.fifos, 1)?;
        images.with_content(names::SK_QUEUES, &format::SK_QUEUES, &self.queues, 1)?;
        images.all(names::TTY_INFO, &format::TTY_INFO, &self.ttys)?;
        images.all(names::TTY_DATA, &format::TTY_DATA, &self.tty_data)?;
        for (ino, stream) in &self.streams {
            images.stream(&names::stream(*ino), stream)?;
        }
        for (shmid, map) in &self.shmem {
            images.page_map(&names::shmem(*shmid), Some(map))?;
        }
        images.all(names::SECCOMP, &format::SECCOMP, &self.seccomp)?;
        images.all(names::CGROUP, &format::CGROUP, &self.cgroup)?;
        images.all(names::APPARMOR, &format::APPARMOR, &self.apparmor)?;
        images.all(names::CPUINFO, &format::CPUINFO, &self.cpuinfo)?;
        images.namespaces(&self.namespaces)?;
        self.side.write(directory)
    }
}

/// Writes `ghost-file-ID.img`. The chunks' content is in `source`, for a dump the deleted file itself.
pub fn write_ghost(
    directory: &mut DirectoryWriter,
    id: u32,
    ghost: &Ghost,
    source: &impl Source,
) -> Result<()> {
    directory.image(&names::ghost(id), &format::GHOST_FILE, |image| {
        image.entry(&ghost.entry)?;
        for chunk in &ghost.chunks {
            if ghost.entry.chunks == Some(true) {
                image.entry(&GhostChunkEntry { len: chunk.len, off: chunk.offset })?;
            }
            copy(image, source, chunk)?;
        }
        Ok(())
    })
}

pub(crate) fn write_page_map(directory: &mut DirectoryWriter, name: &str, map: &PageMap) -> Result<()> {
    directory.image(name, &format::PAGEMAP, |image| {
        image.entry(&PagemapHead { pages_id: map.pages_id })?;
        map.runs.iter().try_for_each(|run| image.entry(run))
    })
}

fn copy(image: &mut Writer<Output>, source: &impl Source, chunk: &GhostChunk) -> io::Result<()> {
    let mut buffer = vec![0; chunk.len.min(64 << 10) as usize];
    let mut done = 0;
    while done < chunk.len {
        let len = (chunk.len - done).min(buffer.len() as u64) as usize;
        source.read_at(&mut buffer[..len], chunk.at + done)?;
        image.payload(&buffer[..len])?;
        done += len as u64;
    }
    Ok(())
}

/// A directory of images that is being written.
struct Images<'a> {
    directory: &'a mut DirectoryWriter,
}

impl Images<'_> {
    /// Of an `Option` its one entry.
    fn all<'m, M: Schema + 'm>(
        &mut self,
        name: &str,
        image: &'static Type,
        entries: impl IntoIterator<Item = &'m M>,
    ) -> Result<()> {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_none() {
            return Ok(());
        }
        self.directory.image(name, image, |image| entries.try_for_each(|entry| image.entry(entry)))
    }

    /// Entries with bytes after each, padded to a multiple of `pad` bytes.
    fn with_content<M: Schema>(
        &mut self,
        name: &str,
        image: &'static Type,
        entries: &[(M, Vec<u8>)],
        pad: usize,
    ) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.directory.image(name, image, |image| {
            entries.iter().try_for_each(|entry| write_with_content(image, entry, pad))
        })
    }

    fn task(&mut self, task: &Task) -> Result<()> {
        let pid = task.entry.pid;
        // The leader's is named by its process: of a zombie, `threads` says nothing.
        let tids = [pid].into_iter().chain(task.entry.threads.iter().skip(1).copied());
        for (tid, core) in tids.zip(&task.threads) {
            self.all(&names::core(tid), &format::CORE, [core])?;
        }
        self.all(&names::ids(pid), &format::IDS, &task.ids)?;
        self.all(&names::mm(pid), &format::MM, &task.mm)?;
        self.all(&names::fs(pid), &format::FS, &task.fs)?;
        self.page_map(&names::pagemap(pid), task.pages.as_ref())
    }

    fn page_map(&mut self, name: &str, map: Option<&PageMap>) -> Result<()> {
        let Some(map) = map.filter(|_| self.directory.page_server().is_none()) else { return Ok(()) };
        write_page_map(self.directory, name, map)
    }

    fn stream(&mut self, name: &str, stream: &TcpStream) -> Result<()> {
        self.directory.image(name, &format::TCP_STREAM, |image| {
            image.entry(&stream.entry)?;
            image.payload(&stream.received)?;
            image.payload(&stream.sent)
        })
    }

    fn namespaces(&mut self, namespaces: &Namespaces) -> Result<()> {
        for (id, mounts) in &namespaces.mnt {
            self.all(&names::mnt(*id), &format::MNTS, mounts)?;
        }
        for (id, uts) in &namespaces.uts {
            self.all(&names::uts(*id), &format::UTSNS, [uts])?;
        }
        for (id, ipc) in &namespaces.ipc {
            self.ipc(*id, ipc)?;
        }
        for (id, time) in &namespaces.time {
            self.all(&names::time(*id), &format::TIMENS, [time])?;
        }
        for (id, user) in &namespaces.user {
            self.all(&names::user(*id), &format::USERNS, [user])?;
        }
        for (id, pid) in &namespaces.pid {
            self.all(&names::pid(*id), &format::PIDNS, [pid])?;
        }
        for (id, net) in &namespaces.net {
            self.all(&names::net(*id), &format::NETNS, [&net.entry])?;
            self.all(&names::net_devices(*id), &format::NETDEV, &net.devices)?;
            for (name, bytes) in [
                (names::addresses(*id), &net.saved.addresses),
                (names::routes(*id), &net.saved.routes),
                (names::routes6(*id), &net.saved.routes6),
                (names::rules(*id), &net.saved.rules),
            ] {
                if !bytes.is_empty() {
                    self.directory.raw(&name, |output| output.write_all(bytes))?;
                }
            }
        }
        Ok(())
    }

    fn ipc(&mut self, id: u32, ipc: &Ipc) -> Result<()> {
        self.all(&names::ipc_variables(id), &format::IPC_VAR, &ipc.variables)?;
        self.with_content(&names::ipc_shm(id), &format::IPCNS_SHM, &ipc.shm, 4)?;
        if !ipc.msg.is_empty() {
            self.directory.image(&names::ipc_msg(id), &format::IPCNS_MSG, |image| {
                ipc.msg.iter().try_for_each(|queue| {
                    image.entry(&queue.entry)?;
                    queue.messages.iter().try_for_each(|message| write_with_content(image, message, 8))
                })
            })?;
        }
        let bytes = |values: &Vec<u16>| values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let sets: Vec<_> = ipc.sem.iter().map(|(set, values)| (*set, bytes(values))).collect();
        self.with_content(&names::ipc_sem(id), &format::IPCNS_SEM, &sets, 8)
    }
}

fn write_with_content<M: Schema>(
    image: &mut Writer<Output>,
    (entry, content): &(M, Vec<u8>),
    pad: usize,
) -> io::Result<()> {
    image.entry(entry)?;
    image.payload(content)?;
    image.payload(&vec![0; content.len().next_multiple_of(pad) - content.len()])
}
