//! Whether a snapshot is consistent in itself: what CRIU checks when it restores, and bounds. The same for one that was
//! read, where a failure is the image's, and one that is to be written, where it is ours.
//!
//! Not here: what depends on the host or on what is allowed.

use super::*;
use images::messages::{CgSetEntry, FdTypes, SeccompFilter, SeccompMode};
use images::{Error, INVENTORY, Result};
use std::collections::BTreeSet;
use std::fmt::Display;

fn refused<T>(file: &str, why: impl Display) -> Result<T> {
    Err(Error::refused(file, why))
}

impl Snapshot {
    pub(super) fn check(&self) -> Result<()> {
        self.check_inventory()?;
        self.check_tree()?;
        self.check_threads()?;
        let files = self.check_files()?;
        for task in &self.tasks {
            self.check_task(task, &files)?;
        }
        for (files_id, table) in &self.tables {
            check_table(&names::fdinfo(*files_id), table, &files)?;
        }
        self.check_remaps(&files)?;
        self.check_ttys()?;
        self.check_content()?;
        for shmid in self.shmem_ids() {
            match self.shmem.get(&shmid) {
                Some(map) => check_page_map(&names::shmem(shmid), map)?,
                None => return refused(&names::shmem(shmid), "missing"),
            }
        }
        self.check_seccomp()?;
        self.check_cgroups()?;
        self.side.check(self)
    }

    pub(super) fn check_inventory(&self) -> Result<()> {
        let InventoryEntry { img_version, fdinfo_per_id, root_cg_set, .. } = self.inventory;
        if ![1, 2].contains(&img_version) {
            return refused(
                INVENTORY,
                format!("inventory_entry.img_version: {img_version} is not known, only 1 and 2"),
            );
        }
        if fdinfo_per_id != Some(true) {
            return refused(INVENTORY, "inventory_entry.fdinfo_per_id: not set: an image too old to be read");
        }
        if root_cg_set == Some(0) {
            return refused(INVENTORY, "inventory_entry.root_cg_set: 0 is no set");
        }
        Ok(())
    }

    /// The tree alone, before anything is known of its tasks.
    pub(super) fn check_tree(&self) -> Result<()> {
        let mut pids = BTreeSet::new();
        for PstreeEntry { pid, ppid, pgid, sid, .. } in self.tasks.iter().map(|task| &task.entry) {
            if [pgid, sid].into_iter().any(|id| i32::try_from(*id).is_err()) {
                return refused(
                    names::PSTREE,
                    format!("pstree_entry: task {pid}: group {pgid} or session {sid} is no id"),
                );
            }
            if pids.is_empty() && *ppid != 0 {
                return refused(
                    names::PSTREE,
                    format!("pstree_entry.ppid: the first task, {pid}, has a parent, {ppid}"),
                );
            }
            if !pids.is_empty() && !pids.contains(ppid) {
                return refused(
                    names::PSTREE,
                    format!("pstree_entry.ppid: {ppid} does not come before its child {pid}"),
                );
            }
            check_id("pstree_entry.pid", *pid, &mut pids)?;
        }
        if pids.is_empty() { refused(names::PSTREE, "pstree_entry: missing") } else { Ok(()) }
    }

    /// The leaders, and which threads they lead.
    pub(super) fn check_threads(&self) -> Result<()> {
        let mut ids: BTreeSet<u32> = self.tasks.iter().map(|task| task.entry.pid).collect();
        for task in &self.tasks {
            let PstreeEntry { pid, threads, .. } = &task.entry;
            let name = names::core(*pid);
            let Some(leader) = task.threads.first() else { return refused(&name, "missing") };
            let Some(tc) = &leader.tc else { return refused(&name, "core_entry.tc: missing in a leader") };
            let Some(state) = task.state() else {
                let state = tc.task_state;
                return refused(&name, format!("task_core_entry.task_state: {state} is not known"));
            };
            // CRIU sets no threads of a zombie: the number is any.
            if state == TaskState::Zombie {
                continue;
            }
            let Some((_, others)) = threads.split_first().filter(|(first, _)| *first == pid) else {
                return refused(
                    names::PSTREE,
                    format!("pstree_entry.threads: {pid} is not the first of its threads"),
                );
            };
            others.iter().try_for_each(|tid| check_id("pstree_entry.threads", *tid, &mut ids))?;
        }
        Ok(())
    }

    fn check_task(&self, task: &Task, files: &Files) -> Result<()> {
        let pid = task.entry.pid;
        if task.threads[0].mtype != self.tasks[0].threads[0].mtype {
            return refused(&names::core(pid), "core_entry.mtype: not that of the root task");
        }
        if task.state() == Some(TaskState::Zombie) {
            return Ok(());
        }
        check_cores(task)?;

        let Some(ids) = task.ids() else { return refused(&names::ids(pid), "missing") };
        if !self.tables.contains_key(&ids.files_id) {
            return refused(&names::fdinfo(ids.files_id), "missing");
        }
        let Some(mm) = &task.mm else { return refused(&names::mm(pid), "missing") };
        check_mm(&names::mm(pid), mm, files)?;
        let Some(fs) = &task.fs else { return refused(&names::fs(pid), "missing") };
        files.find(&names::fs(pid), "fs_entry.cwd_id", fs.cwd_id)?;
        files.find(&names::fs(pid), "fs_entry.root_id", fs.root_id)?;
        let Some(pages) = &task.pages else { return refused(&names::pagemap(pid), "missing") };
        check_page_map(&names::pagemap(pid), pages)
    }

    /// All files, and what they refer to besides each other.
    fn check_files(&self) -> Result<Files> {
        let mut files = Files(BTreeMap::new());
        for file in &self.files {
            let (id, kind) = (file.id, file.r#type().as_str_name());
            let Some(member) = member_id(file) else {
                return refused(
                    names::FILES,
                    format!("file_entry: file {id} is not what its type, {kind}, says"),
                );
            };
            if member != id {
                return refused(names::FILES, format!("file_entry.id: file {id} is {member} within"));
            }
            if files.0.insert(id.into(), file.r#type).is_some() {
                return refused(names::FILES, format!("file_entry.id: {id} is there twice"));
            }
        }
        for reg in self.files.iter().filter_map(|file| file.reg.as_ref()) {
            if reg.name.contains(&0) {
                return refused(
                    names::FILES,
                    format!("reg_file_entry.name: file {}: a name has no NUL", reg.id),
                );
            }
        }
        let mut inodes = BTreeSet::new();
        for MemfdInodeEntry { inode_id, .. } in &self.memfds {
            if !inodes.insert(*inode_id) {
                return refused(
                    names::MEMFD,
                    format!("memfd_inode_entry.inode_id: {inode_id} is there twice"),
                );
            }
        }
        for memfd in self.files.iter().filter_map(|file| file.memfd.as_ref()) {
            let inode = memfd.inode_id;
            if !inodes.contains(&inode.into()) {
                return refused(
                    names::FILES,
                    format!("memfd_file_entry.inode_id: {} has no {inode}", names::MEMFD),
                );
            }
        }
        for (field, id) in self.files.iter().filter_map(reg_file_id) {
            files.find(names::FILES, field, id)?;
        }
        Ok(files)
    }

    fn check_remaps(&self, files: &Files) -> Result<()> {
        for remap in &self.remaps {
            files.find(names::REMAP_FPATH, "remap_file_path_entry.orig_id", remap.orig_id)?;
            match ghost_id(remap) {
                Some(id) if !self.ghosts.contains_key(&id) => return refused(&names::ghost(id), "missing"),
                None if remap.remap_type() == RemapType::Linked => {
                    files.find(names::REMAP_FPATH, "remap_file_path_entry.remap_id", remap.remap_id)?;
                }
                _ => {}
            }
        }
        for (id, ghost) in &self.ghosts {
            let mut end = 0;
            for chunk in &ghost.chunks {
                let next = chunk.offset.checked_add(chunk.len).filter(|end| i64::try_from(*end).is_ok());
                let Some(next) = next.filter(|_| chunk.offset >= end) else {
                    let at = chunk.offset;
                    return refused(
                        &names::ghost(*id),
                        format!("ghost_chunk_entry.off: {at} is not after the last chunk"),
                    );
                };
                end = next;
            }
        }
        Ok(())
    }

    fn check_ttys(&self) -> Result<()> {
        let ids: BTreeSet<u32> = self.ttys.iter().map(|tty| tty.id).collect();
        let check = |name, field, id: u32| {
            let missing = || refused(name, format!("{field}: {} has no terminal {id}", names::TTY_INFO));
            if ids.contains(&id) { Ok(()) } else { missing() }
        };
        for file in self.files.iter().filter_map(|file| file.tty.as_ref()) {
            check(names::FILES, "tty_file_entry.tty_info_id", file.tty_info_id)?;
        }
        self.tty_data.iter().try_for_each(|data| check(names::TTY_DATA, "tty_data_entry.tty_id", data.tty_id))
    }

    /// Whether messages say as many bytes as follow them. What was read does by its format.
    fn check_content(&self) -> Result<()> {
        let check = |name: &str, field, said: u64, there: usize| {
            if said == there as u64 {
                return Ok(());
            }
            refused(name, format!("{field}: {said}, but {there} follow"))
        };
        for (pipe, content) in &self.pipes {
            check(names::PIPES_DATA, "pipe_data_entry.bytes", pipe.bytes.into(), content.len())?;
        }
        for (pipe, content) in &self.fifos {
            check(names::FIFO_DATA, "pipe_data_entry.bytes", pipe.bytes.into(), content.len())?;
        }
        for (packet, content) in &self.queues {
            check(names::SK_QUEUES, "sk_packet_entry.length", packet.length.into(), content.len())?;
        }
        for (ino, TcpStream { entry, received, sent }) in &self.streams {
            let name = names::stream(*ino);
            check(&name, "tcp_stream_entry.inq_len", entry.inq_len.into(), received.len())?;
            check(&name, "tcp_stream_entry.outq_len", entry.outq_len.into(), sent.len())?;
        }
        for (id, ipc) in &self.namespaces.ipc {
            for (segment, content) in &ipc.shm {
                let size = if segment.in_pagemaps == Some(true) { 0 } else { segment.size };
                check(&names::ipc_shm(*id), "ipc_shm_entry.size", size, content.len())?;
            }
            for MessageQueue { entry, messages } in &ipc.msg {
                check(&names::ipc_msg(*id), "ipc_msg_entry.qnum", entry.qnum.into(), messages.len())?;
                for (message, content) in messages {
                    check(&names::ipc_msg(*id), "ipc_msg.msize", message.msize.into(), content.len())?;
                }
            }
            for (set, values) in &ipc.sem {
                check(&names::ipc_sem(*id), "ipc_sem_entry.nsems", set.nsems.into(), values.len())?;
            }
        }
        Ok(())
    }

    /// Filters are chained backwards, and threads have one of them.
    fn check_seccomp(&self) -> Result<()> {
        let filters = self.seccomp.as_ref().map_or(&[][..], |seccomp| &seccomp.seccomp_filters);
        for (index, SeccompFilter { filter, prev, .. }) in filters.iter().enumerate() {
            if prev.is_some_and(|prev| prev as usize >= index) {
                return refused(
                    names::SECCOMP,
                    format!("seccomp_filter.prev: filter {index} does not follow its predecessor"),
                );
            }
            // struct sock_filter, and BPF_MAXINSNS of them.
            if filter.is_empty() || filter.len() % 8 != 0 || filter.len() > 4096 * 8 {
                let len = filter.len();
                return refused(
                    names::SECCOMP,
                    format!("seccomp_filter.filter: filter {index}: {len} bytes are no program"),
                );
            }
        }
        for (tid, core) in self.living_threads() {
            let Some(thread) = &core.thread_core else { continue };
            let mode = thread.seccomp_mode.map(|_| thread.seccomp_mode());
            let index = thread.seccomp_filter.unwrap_or(0);
            if mode == Some(SeccompMode::Filter) && index as usize >= filters.len() {
                let why =
                    format!("thread_core_entry.seccomp_filter: {} has no filter {index}", names::SECCOMP);
                return refused(&names::core(tid), why);
            }
        }
        Ok(())
    }

    /// Without `cgroup.img`, or sets in it, cgroups were not dumped, whatever sets are named. The root set is that of the
    /// dumper, which need not be there.
    fn check_cgroups(&self) -> Result<()> {
        let Some(cgroup) = self.cgroup.as_ref().filter(|cgroup| !cgroup.sets.is_empty()) else {
            return Ok(());
        };
        let sets: BTreeSet<u32> = cgroup.sets.iter().map(|CgSetEntry { id, .. }| *id).collect();
        let check = |name: &str, field, set: Option<u32>| match set {
            Some(set) if !sets.contains(&set) => {
                refused(name, format!("{field}: {} has no set {set}", names::CGROUP))
            }
            _ => Ok(()),
        };
        for (tid, core) in self.living_threads() {
            let name = names::core(tid);
            check(&name, "task_core_entry.cg_set", core.tc.as_ref().and_then(|tc| tc.cg_set))?;
            check(
                &name,
                "thread_core_entry.cg_set",
                core.thread_core.as_ref().and_then(|thread| thread.cg_set),
            )?;
        }
        Ok(())
    }

    /// All but zombies.
    pub(super) fn living(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| !task.is_zombie())
    }

    fn living_threads(&self) -> impl Iterator<Item = (u32, &CoreEntry)> {
        self.living().flat_map(|task| task.entry.threads.iter().copied().zip(&task.threads))
    }

    /// Ids of shared memory whose content must be there.
    pub(super) fn shmem_ids(&self) -> BTreeSet<u64> {
        let vmas = self.tasks.iter().filter_map(|task| task.mm.as_ref()).flat_map(|mm| &mm.vmas);
        let mapped = vmas.filter(|vma| vma.status & (vma::ANON_SHARED | vma::SYSVIPC) == vma::ANON_SHARED);
        let memfds = self.memfds.iter().filter(|memfd| memfd.size != 0);
        let segments = self.namespaces.ipc.values().flat_map(|ipc| &ipc.shm);
        let segments = segments.filter(|(segment, _)| segment.in_pagemaps == Some(true));
        let mut ids: BTreeSet<u64> = mapped.map(|vma| vma.shmid).collect();
        ids.extend(memfds.map(|memfd| u64::from(memfd.shmid)));
        ids.extend(segments.map(|(segment, _)| u64::from(segment.desc.id)));
        ids
    }
}

/// The types of all files by their ids.
struct Files(BTreeMap<u64, i32>);

impl Files {
    /// Ids have 32 bits, but one of the fields with an id has 64.
    fn find(&self, name: &str, field: &str, id: impl Into<u64>) -> Result<i32> {
        let id = id.into();
        let found = self.0.get(&id).copied();
        found.ok_or_else(|| Error::refused(name, format!("{field}: {} has no file {id}", names::FILES)))
    }
}

/// The cores of a living task.
fn check_cores(task: &Task) -> Result<()> {
    for (index, tid) in task.entry.threads.iter().enumerate() {
        let name = names::core(*tid);
        let Some(core) = task.threads.get(index) else { return refused(&name, "missing") };
        if core.mtype != task.threads[0].mtype {
            return refused(&name, "core_entry.mtype: not that of the leader");
        }
        if core.thread_info.is_none() && core.ti_aarch64.is_none() {
            return refused(&name, "core_entry.thread_info: missing in a living task");
        }
    }
    Ok(())
}

fn check_table(name: &str, table: &[FdinfoEntry], files: &Files) -> Result<()> {
    let mut fds = BTreeSet::new();
    for entry in table {
        let fd = entry.fd;
        if i32::try_from(fd).is_err() {
            return refused(name, format!("fdinfo_entry.fd: {fd} is no descriptor"));
        }
        if !fds.insert(fd) {
            return refused(name, format!("fdinfo_entry.fd: {fd} is there twice"));
        }
        if files.find(name, "fdinfo_entry.id", entry.id)? != entry.r#type {
            let kind = entry.r#type().as_str_name();
            return refused(name, format!("fdinfo_entry.type: file {} is not of type {kind}", entry.id));
        }
    }
    Ok(())
}

fn check_mm(name: &str, mm: &MmEntry, files: &Files) -> Result<()> {
    files.find(name, "mm_entry.exe_file_id", mm.exe_file_id)?;
    let mut end = 0;
    for vma in &mm.vmas {
        if vma.start >= vma.end || (vma.start | vma.end) % PAGE_SIZE != 0 {
            return refused(
                name,
                format!("vma_entry: {:#x} to {:#x} is no range of pages", vma.start, vma.end),
            );
        }
        if vma.status & vma::GUARD == 0 {
            if vma.start < end {
                return refused(
                    name,
                    format!("vma_entry.start: {:#x} is not after the mapping before", vma.start),
                );
            }
            end = vma.end;
        }
        let is_of_file = vma.status & (vma::FILE_PRIVATE | vma::FILE_SHARED) != 0;
        if is_of_file && vma.status & vma::EXT_PLUGIN == 0 {
            files.find(name, "vma_entry.shmid", vma.shmid)?;
        }
        if vma.status & vma::SOCKET != 0
            && files.find(name, "vma_entry.shmid", vma.shmid)? != FdTypes::Packetsk as i32
        {
            return refused(name, format!("vma_entry.shmid: {} is no packet socket", vma.shmid));
        }
    }
    Ok(())
}

pub(crate) fn check_page_map(name: &str, map: &PageMap) -> Result<()> {
    let mut end = 0;
    for run in &map.runs {
        let start = run.vaddr;
        let next = run_size(run).filter(|size| *size != 0).and_then(|size| start.checked_add(size));
        let Some(next) = next.filter(|_| start % PAGE_SIZE == 0) else {
            return refused(name, format!("pagemap_entry: what begins at {start:#x} is no range of pages"));
        };
        if start < end {
            return refused(name, format!("pagemap_entry.vaddr: {start:#x} is not after the run before"));
        }
        end = next;
    }
    Ok(())
}

/// Adds the id of a process or thread to those that are taken.
fn check_id(field: &str, id: u32, taken: &mut BTreeSet<u32>) -> Result<()> {
    if id == 0 || i32::try_from(id).is_err() {
        return refused(names::PSTREE, format!("{field}: {id} is no process id"));
    }
    if !taken.insert(id) {
        return refused(names::PSTREE, format!("{field}: {id} is there twice"));
    }
    Ok(())
}

/// The id that the member has which the type of a file names, if it is there.
fn member_id(file: &FileEntry) -> Option<u32> {
    macro_rules! id {
        ($member:ident) => {
            Some(file.$member.as_ref()?.id)
        };
    }
    match file.r#type() {
        FdTypes::Reg => id!(reg),
        FdTypes::Pipe => id!(pipe),
        FdTypes::Fifo => id!(fifo),
        FdTypes::Inetsk => id!(isk),
        FdTypes::Unixsk => id!(usk),
        FdTypes::Eventfd => id!(efd),
        FdTypes::Eventpoll => id!(epfd),
        FdTypes::Inotify => id!(ify),
        FdTypes::Signalfd => id!(sgfd),
        FdTypes::Packetsk => id!(psk),
        FdTypes::Tty => id!(tty),
        FdTypes::Fanotify => id!(ffy),
        FdTypes::Netlinksk => id!(nlsk),
        FdTypes::Ns => id!(nsf),
        FdTypes::Tunf => id!(tunf),
        FdTypes::Ext => id!(ext),
        FdTypes::Timerfd => id!(tfd),
        FdTypes::Memfd => id!(memfd),
        FdTypes::Bpfmap => id!(bpf),
        FdTypes::Pidfd => id!(pidfd),
        FdTypes::Und | FdTypes::CtlTty | FdTypes::AutofsPipe => None,
    }
}

/// The regular file that another file is opened by, with the field that says so.
fn reg_file_id(file: &FileEntry) -> Option<(&'static str, u32)> {
    let fifo = || Some(("fifo_entry.regf_id", file.fifo.as_ref()?.regf_id?));
    let tty = || Some(("tty_file_entry.regf_id", file.tty.as_ref()?.regf_id?));
    fifo().or_else(tty)
}
