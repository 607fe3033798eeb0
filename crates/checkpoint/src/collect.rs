//! What a stopped container is, as a snapshot. Its content, which is large, follows in `Collection::write_content`.

use crate::Progress;
use crate::cgroups::{self, SET_OF_DUMPER, Sets};
use crate::credentials::{self, IdMaps};
use crate::error::{At, Error, Result};
use crate::files::{self, Controlling, Eventfd, Files, Surroundings, UnixSockets};
use crate::lazy_dump;
use crate::links::Links;
use crate::live::Live;
use crate::memory::{self, PageCount, SharedMemory};
use crate::message_queues::{Queue, QueueFiles};
use crate::mounts::{MountNamespaces, Mounts};
use crate::namespaces::{self, Ids, Known};
use crate::pages::{self, Source, Stretch, stretches};
use crate::pre_dump::Parent;
use crate::seccomp::Filters;
use crate::shared::Sorted;
use crate::snapshot::{
    Ghost, PAGE_SIZE, PageMap, ProcessSide, Snapshot, Task, TaskState, ThreadSide, write_ghost,
};
use crate::target::{DumpOptions, NamespaceKind, Target};
use crate::task::{self, Answers, Context, Numbers, Questions};
use crate::tcp::{Connection, Held};
use crate::timers::without_late;
use crate::tmpfs;
use crate::tree::{Member, Tree};
use crate::undo;
use images::DirectoryWriter;
use images::messages::{
    CoreEntry, FdinfoEntry, FsEntry, InventoryEntry, Lsmtype, MmEntry, PagemapEntry, PluginsEntry,
    PstreeEntry, TaskKobjIdsEntry,
};
use images::page_server::Memory;
use inject::{Outcome, Signals};
use std::collections::BTreeMap;
use std::fs::File;
use std::time::Instant;
use sys::inspect::{Shared, kcmp};

/// A snapshot, and where the content is that does not pass through it.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) snapshot: Snapshot,
    ghosts: BTreeMap<u32, (Ghost, File)>,
    pub(crate) links: Links,
    shared: SharedMemory,
    mounts: MountNamespaces,
    maps: IdMaps,
    last_pages_id: u32,
    message_queues: Vec<Queue>,
    connections: Vec<Connection>,
    eventfds: Vec<Eventfd>,
}

/// Pages of processes and of shared memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) pages: PageCount,
    pub(crate) shared: PageCount,
    /// Pages that are served.
    pub(crate) left: u64,
}

/// Asks everything of every task. They answer at the same time.
pub(crate) fn collect(
    target: &Target<'_>,
    options: &DumpOptions<'_>,
    tree: &mut Tree<'_>,
) -> Result<Collection> {
    let mut mounts = MountNamespaces::new(Mounts::of(target.init, &target.externals)?);
    let numbers = numbers(tree);
    let maps = IdMaps::of(target.init)?;
    let module = credentials::security_module();
    let asked = Instant::now();
    let answered = ask(tree)?;
    for (member, answered) in tree.members.iter_mut().zip(&answered).filter(|(_, it)| !it.outcomes.is_empty())
    {
        answered.look_for_signals(member, asked)?;
    }

    let mut known = Known::default();
    let host = known.of("self")?;
    let ids = known.of(&target.init.to_string())?;
    let living = tree.members.iter().filter(|member| member.state != TaskState::Zombie);
    let all_ids = living.map(|member| Ok((member.pid, known.of(&member.pid.to_string())?)));
    let all_ids: BTreeMap<i32, Ids> = all_ids.collect::<Result<_>>()?;
    for (pid, own) in &all_ids {
        if let Some(reason) = namespaces::nested_refused(*pid, own, &ids, &target.externals)? {
            return Err(Error::new(format!("task {pid}: {reason}")));
        }
    }
    let spaces = all_ids.iter().map(|(pid, own)| (*pid, own.id(NamespaceKind::Mnt)));
    if let Some(refused) = mounts.add(ids.id(NamespaceKind::Mnt), spaces)? {
        return Err(Error::new(refused));
    }
    let unix = UnixSockets::of(target.init)?;
    let terminals = controlling(tree, &numbers);
    let queues = QueueFiles::of(target.init)?;
    let owns_queues = target.externals.owns(NamespaceKind::Ipc);
    let named = queues.as_ref().filter(|_| owns_queues).map(|queues| queues.named(&maps)).transpose()?;
    let surroundings = Surroundings {
        mounts: &mounts,
        externals: &target.externals,
        numbers: &numbers,
        namespaces: &ids,
        guardian: tree.guardian(),
        options,
        queues: queues.as_ref(),
        unix: &unix,
        terminals: &terminals,
        maps: &maps,
    };
    let mut collector = Collector {
        context: Context { numbers: &numbers, maps: &maps, security_module: module },
        ids: &all_ids,
        files: Files::new(surroundings, named.unwrap_or_default()),
        filters: Filters::default(),
        sets: Sets::new(target.recorded),
        objects: Objects::default(),
        tables: BTreeMap::new(),
        cpus: cgroups::cpus(target.recorded)?,
    };
    let mut tasks = Vec::new();
    for (at, answered) in answered.iter().enumerate() {
        tasks.push(collector.task(&tree.members, at, answered)?);
    }
    for task in &mut tasks {
        if let Some(mm) = &mut task.mm {
            collector.files.find_rings(task.entry.pid, mm)?;
        }
    }
    collector.files.outer_peers(&options.outer_unix_sockets)?;
    let all_answers: Vec<Answers> = answered.iter().map(Answered::answers).collect();
    let Collector { files, filters, tables, sets, .. } = collector;
    let Files {
        entries,
        outer,
        remaps,
        ghosts,
        memfds,
        pipes,
        fifos,
        locks,
        queues,
        signed,
        message_queues,
        connections,
        eventfds,
        terminals,
        terminal_data,
        links,
        mut side,
        mut shared,
        ..
    } = files;
    let mut namespaces;
    let first = &all_answers[0];
    (namespaces, side.links) =
        namespaces::collect(target.init, &ids, &host, first, &maps, &target.externals, &mut shared)?;
    for (member, answers) in tree.members.iter().zip(&all_answers) {
        let nested = all_ids.get(&member.pid).and_then(|own| own.own(NamespaceKind::Uts, &ids));
        namespaces.uts.extend(nested.map(|id| (id, namespaces::uts(answers))));
    }
    let mut snapshot = Snapshot {
        inventory: inventory(&host, module, options),
        tasks,
        tables,
        files: outer.into_iter().chain(entries.into_values()).collect(),
        remaps,
        ghosts: ghosts.iter().map(|(id, (ghost, _))| (*id, ghost.clone())).collect(),
        memfds,
        locks: locks.into_iter().map(|(_, lock)| lock).collect(),
        pipes,
        fifos,
        queues,
        ttys: terminals,
        tty_data: terminal_data,
        seccomp: Some(filters.into_entry()),
        cgroup: sets.into_entry(ids.own(NamespaceKind::Cgroup, &host).is_some())?,
        cpuinfo: options.processor.cloned(),
        namespaces,
        side,
        ..Snapshot::default()
    };
    snapshot.side.senders = files::senders(&signed, tree)?;
    undo::collect(tree, &mut snapshot)?;
    if let Some(id) = ids.own(NamespaceKind::Mnt, &host) {
        let has_own_cgroups = ids.own(NamespaceKind::Cgroup, &host).is_some();
        snapshot.namespaces.mnt.insert(id, mounts.first.entries(&maps, has_own_cgroups));
        snapshot.namespaces.mnt.extend(mounts.nested_entries(&maps, has_own_cgroups));
    }
    Ok(Collection {
        snapshot,
        ghosts,
        links,
        shared,
        mounts,
        maps,
        last_pages_id: 0,
        message_queues,
        connections,
        eventfds,
    })
}

impl Collection {
    /// Writes pages, deleted files and the content of tmpfs. Pages that `live` has are only complete after `merge`.
    pub(crate) fn write_content(
        &mut self,
        tree: &mut Tree<'_>,
        directory: &mut DirectoryWriter,
        parent: Option<&Parent<'_>>,
        mut live: Option<&mut Live>,
        leaves_memory: bool,
        progress: &mut Progress<'_>,
    ) -> Result<Written> {
        let mut written = Written::default();
        let mut of_tasks = Vec::new();
        for (member, task) in tree.members.iter_mut().zip(&mut self.snapshot.tasks) {
            let Some(mm) = &mut task.mm else { continue };
            let pid = task.entry.pid;
            let of_parent = parent.and_then(|parent| parent.map(pid));
            let earlier = of_parent.or_else(|| live.as_deref()?.map(pid));
            let mut own = memory::own_pages(member.pid, &mm.vmas, earlier)?;
            mm.vmas.append(&mut own.guards);
            if leaves_memory {
                let left = lazy_dump::leave(&mut own.runs);
                own.count.written -= left;
                written.left += left;
            }
            written.pages.add(own.count);
            of_tasks.push((member, task, own.runs));
        }
        let mut of_shared = Vec::new();
        for (id, file) in &self.shared {
            let (runs, count) = memory::shared_pages(*id, file)?;
            written.shared.add(count);
            of_shared.push((*id, file, runs));
        }
        let total = (written.pages.written + written.shared.written) * PAGE_SIZE;
        let mut done = 0;
        let mut progress = |bytes: usize| {
            done += bytes as u64;
            progress(done, total);
        };
        let pages_id = &mut self.last_pages_id;
        for (member, task, runs) in of_tasks {
            let pid = member.pid;
            let what = || format!("task {pid}: copy its memory");
            let of = Memory::OfTask(task.entry.pid);
            let stretches = stretches(Source::Still(member.process().memory()), &runs);
            if let Some(live) = &mut live
                && live.copy_written(task.entry.pid, &stretches, &mut progress)?
            {
                task.pages = Some(PageMap { pages_id: 0, runs });
                continue;
            }
            task.pages = Some(write_pages(pages_id, of, &stretches, runs, directory, &mut progress, what)?);
        }
        for (id, file, runs) in of_shared {
            let what = || format!("shared memory {id}: copy");
            let stretches = stretches(Source::Still(file), &runs);
            let of = Memory::Shared(id);
            let map = write_pages(pages_id, of, &stretches, runs, directory, &mut progress, what)?;
            self.snapshot.shmem.insert(id, map);
        }
        for (id, (ghost, file)) in &self.ghosts {
            write_ghost(directory, *id, ghost, file)?;
        }
        // Of mounts that are not the tasks' own nothing is theirs.
        if !self.snapshot.namespaces.mnt.is_empty() {
            tmpfs::write(&self.mounts, &self.maps, directory)?;
        }
        Ok(written)
    }

    /// Completes the pages that `live` has.
    pub(crate) fn merge(&mut self, live: &Live, directory: &mut DirectoryWriter) -> Result<()> {
        for task in &mut self.snapshot.tasks {
            live.merge(task, &mut self.last_pages_id, directory)?;
        }
        Ok(())
    }

    /// Notes which eventfds are semaphores, what is in message queues, and what is on its way in connections of TCP, which are
    /// held from then on. The tasks can do nothing for us any more.
    pub(crate) fn look_at_last(&mut self, tree: &mut Tree<'_>, lock_network: bool) -> Result<Option<Held>> {
        let are_looked_at = !self.connections.is_empty() || !self.eventfds.is_empty();
        if are_looked_at || self.message_queues.iter().any(Queue::has_messages) {
            tree.keep_still()?;
        }
        for eventfd in &self.eventfds {
            if eventfd.is_semaphore(tree.guardian())? {
                self.snapshot.side.semaphores.insert(eventfd.id);
            }
        }
        let queues = self.message_queues.iter().map(|queue| queue.read(tree.guardian()));
        self.snapshot.side.message_queues = queues.collect::<Result<_>>()?;
        let connections = std::mem::take(&mut self.connections);
        let Some(init) = tree.members.first().map(|member| member.pid).filter(|_| !connections.is_empty())
        else {
            return Ok(None);
        };
        let held = Held::hold(connections, init, tree.guardian(), lock_network)?;
        for (connection, state, stream) in held.read()? {
            let socket = self.snapshot.files.iter_mut().find(|file| file.id == connection.id);
            if let Some(socket) = socket.and_then(|file| file.isk.as_mut()) {
                socket.state = state.into();
            }
            self.snapshot.streams.insert(connection.ino, stream);
        }
        Ok(Some(held))
    }
}

/// Writes the pages of a map, which are found in `stretches`.
pub(crate) fn write_pages(
    pages_id: &mut u32,
    of: Memory,
    stretches: &[Stretch<'_>],
    runs: Vec<PagemapEntry>,
    directory: &mut DirectoryWriter,
    progress: &mut dyn FnMut(usize),
    what: impl Fn() -> String,
) -> Result<PageMap> {
    *pages_id += 1;
    let map = PageMap { pages_id: *pages_id, runs };
    if let Some(server) = directory.page_server() {
        pages::send(stretches, of, &map.runs, server, progress, what)?;
        return Ok(map);
    }
    let size = map.size().ok_or_else(|| Error::new(format!("{}: it is too large", what())))?;
    let writer = directory.pages(*pages_id, size)?;
    pages::copy(stretches, |nth, bytes| writer.write(nth, bytes), progress).at(what)?;
    directory.finish_pages(writer)?;
    Ok(map)
}

/// What the threads of a process have said.
#[derive(Debug)]
struct Answered {
    questions: Vec<Questions>,
    outcomes: Vec<Outcome>,
}

impl Answered {
    fn answers(&self) -> Answers {
        self.questions.first().map(|leader| leader.answers(&self.outcomes[0])).unwrap_or_default()
    }

    /// Looks again for signals that wait: with those that came before the timers were asked, none is lost between the
    /// two. Those that come later meet a container that is as good as dead, or that goes on.
    fn look_for_signals(&self, member: &mut Member, asked: Instant) -> Result<()> {
        let (own, of_process) = member.process().pending_signals()?;
        let timers = self.questions[0].timers(&self.outcomes[0]);
        let update = |then: &mut Signals, now| *then = without_late(&timers, then, now, asked.elapsed());
        for (thread, now) in member.threads.iter_mut().zip(own) {
            update(&mut thread.pending, now);
        }
        update(&mut member.threads[0].pending_of_process, of_process);
        Ok(())
    }
}

/// Gives all threads their questions before the first answer is waited for.
fn ask(tree: &mut Tree<'_>) -> Result<Vec<Answered>> {
    let mut all = Vec::new();
    for member in &mut tree.members {
        let mut questions = Vec::new();
        for nth in 0..member.threads.len() {
            let asked = if nth == 0 { Questions::of_leader(member)? } else { Questions::of_thread() };
            member.process().start(nth, &asked.batch)?;
            questions.push(asked);
        }
        all.push(questions);
    }
    let mut answered = Vec::new();
    for (member, questions) in tree.members.iter_mut().zip(all) {
        let outcomes: inject::Result<Vec<Outcome>> = questions
            .iter()
            .enumerate()
            .map(|(nth, asked)| member.process().finish(nth, &asked.batch))
            .collect();
        answered.push(Answered { questions, outcomes: outcomes? });
    }
    Ok(answered)
}

/// Numbers in the container's pid namespace of all its processes and threads.
fn numbers(tree: &Tree<'_>) -> Numbers {
    let processes = tree.members.iter().map(|member| (member.pid, member.status.pid));
    let threads = tree.members.iter().flat_map(|member| &member.threads);
    processes.chain(threads.map(|thread| (thread.tid, thread.status.pid))).collect()
}

/// The controlling terminals of the container's sessions.
fn controlling(tree: &Tree<'_>, numbers: &Numbers) -> Vec<Controlling> {
    let living = tree.members.iter().filter(|member| member.stat.terminal != 0);
    let terminal = |member: &Member| {
        let dev = member.stat.terminal;
        Controlling {
            // The kernel's new_encode_dev: the minor number is on both sides of the major.
            dev: libc::makedev(dev >> 8 & 0xfff, dev & 0xff | dev >> 12 & 0xfff00),
            session: member.status.sid,
            foreground: numbers.get(&member.stat.foreground).copied().unwrap_or(0),
        }
    };
    living.map(terminal).collect()
}

fn inventory(host: &Ids, module: Lsmtype, options: &DumpOptions<'_>) -> InventoryEntry {
    /// CRIU's `NETWORK_LOCK_SKIP`: nothing is locked, so nothing is to be unlocked.
    const NO_LOCK: u32 = 2;
    // Of the dumper, so that CRIU knows which namespaces are the container's own.
    let mut root_ids =
        TaskKobjIdsEntry { vm_id: 1, files_id: 1, fs_id: 1, sighand_id: 1, ..Default::default() };
    host.write(&mut root_ids);
    InventoryEntry {
        img_version: 2,
        fdinfo_per_id: Some(true),
        root_ids: Some(root_ids),
        ns_per_id: Some(true),
        root_cg_set: Some(SET_OF_DUMPER),
        lsmtype: Some(module as i32),
        tcp_close: options.tcp_close.then_some(true),
        network_lock_method: Some(NO_LOCK),
        // Without it CRIU asks for all plugins that it has.
        plugins_entry: Some(PluginsEntry::default()),
        ..InventoryEntry::default()
    }
}

/// Ids of what tasks share.
#[derive(Debug, Default)]
struct Objects {
    memory: Sorted<i32>,
    descriptors: Sorted<i32>,
    file_system: Sorted<i32>,
    signal_actions: Sorted<i32>,
    last: [u32; 4],
}

impl Objects {
    fn ids(&mut self, pid: i32) -> Result<TaskKobjIdsEntry> {
        let [vm, files, fs, sighand] = &mut self.last;
        Ok(TaskKobjIdsEntry {
            vm_id: object(&mut self.memory, pid, Shared::Memory, vm)?,
            files_id: object(&mut self.descriptors, pid, Shared::Descriptors, files)?,
            fs_id: object(&mut self.file_system, pid, Shared::FileSystem, fs)?,
            sighand_id: object(&mut self.signal_actions, pid, Shared::SignalActions, sighand)?,
            ..TaskKobjIdsEntry::default()
        })
    }
}

fn object(sorted: &mut Sorted<i32>, pid: i32, what: Shared, last: &mut u32) -> Result<u32> {
    let new_id = || {
        *last += 1;
        // The first is the dumper's.
        *last + 1
    };
    let (id, _) = sorted
        .id(pid, |a, b| kcmp(*a, *b, what), new_id)
        .at(|| format!("task {pid}: compare with others ({what:?})"))?;
    Ok(id)
}

struct Collector<'a> {
    context: Context<'a>,
    /// Of all processes that live.
    ids: &'a BTreeMap<i32, Ids>,
    files: Files<'a>,
    filters: Filters,
    sets: Sets<'a>,
    objects: Objects,
    tables: BTreeMap<u32, Vec<FdinfoEntry>>,
    /// Those that the container's threads run on when they do not choose.
    cpus: String,
}

impl Collector<'_> {
    fn task(&mut self, members: &[Member], at: usize, answered: &Answered) -> Result<Task> {
        let member = &members[at];
        let threads = match member.state {
            TaskState::Zombie => vec![member.status.pid],
            _ => member.threads.iter().map(|thread| thread.status.pid).collect(),
        };
        let entry = PstreeEntry {
            pid: member.status.pid,
            ppid: member.parent.map_or(0, |parent| members[parent].status.pid),
            pgid: member.status.pgid,
            sid: member.status.sid,
            threads,
        };
        if member.state == TaskState::Zombie {
            return Ok(Task { entry, threads: vec![task::zombie(member)?], ..Task::default() });
        }
        let pid = member.pid;
        let mut ids = self.objects.ids(pid)?;
        self.ids[&pid].write(&mut ids);
        let cores = self.cores(member, answered)?;
        let mm = self.address_space(member, answered)?;
        if !self.tables.contains_key(&ids.files_id) {
            let table = self.files.table(member)?;
            self.tables.insert(ids.files_id, table);
        }
        let fs = FsEntry {
            cwd_id: self.files.place(&format!("/proc/{pid}/cwd"))?,
            root_id: self.files.place(&format!("/proc/{pid}/root"))?,
            umask: Some(member.status.umask),
        };
        Ok(Task { entry, ids: Some(ids), threads: cores, mm: Some(mm), fs: Some(fs), pages: None })
    }

    fn cores(&mut self, member: &Member, answered: &Answered) -> Result<Vec<CoreEntry>> {
        let mut cores = Vec::new();
        for (nth, (questions, outcome)) in answered.questions.iter().zip(&answered.outcomes).enumerate() {
            let set = self.sets.id(member.threads[nth].tid)?;
            let mut core = task::core(member, nth, questions, outcome, &self.context)?;
            let side = questions.thread_side(&member.threads[nth], outcome, &self.cpus);
            if side != ThreadSide::default() {
                self.files.side.threads.insert(member.threads[nth].status.pid, side);
            }
            let thread = core.thread_core.as_mut().expect("every thread has one");
            thread.cg_set = Some(set);
            thread.seccomp_filter = self.filters.add(&member.threads[nth].filters);
            cores.push(core);
        }
        Ok(cores)
    }

    fn address_space(&mut self, member: &Member, answered: &Answered) -> Result<MmEntry> {
        let (mappings, locks_memory) = memory::mappings(member.pid, &member.of_ours())?;
        let side = answered.questions[0].process_side(&mappings, &answered.outcomes[0]);
        let side = ProcessSide { locks_memory, ..side };
        if side != ProcessSide::default() {
            self.files.side.processes.insert(member.status.pid, side);
        }
        memory::address_space(member, &mappings, &answered.answers(), &mut self.files)
    }
}
