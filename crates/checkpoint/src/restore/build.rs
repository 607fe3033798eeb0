//! What all steps of a restore work with: the snapshot, and tasks that do what they are told.

use super::layout::{Layout, mappings};
use super::pages::{PageFiles, Pages};
use super::tcp::Connections;
use super::{credentials, lazy, nested, privileges};
use crate::error::{At, Error, Result};
use crate::policy::Policy;
use crate::snapshot::{Snapshot, Task};
use images::Directory;
use inject::{Batch, Call, Outcome, Thread};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a batch takes before we look whether its task still works on it, and how often it may be found asleep in a row,
/// every 20 ms: then something made it wait.
const PATIENCE: Duration = Duration::from_secs(1);
const SLEEPS: u32 = 500;

pub(super) struct Build<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) policy: &'a Policy,
    pub(super) images: &'a Directory,
    pub(super) layout: &'a Layout,
    pub(super) pages: &'a PageFiles,
    /// Pages that can come late are left to a daemon.
    pub(super) is_lazy: bool,
    nursery: &'a mut inject::Nursery,
    /// The first task in our pid namespace.
    pub(super) init: i32,
    pidfd: OwnedFd,
    /// Files that are open in the first task, by their id, and as which descriptor.
    pub(super) open: BTreeMap<u32, i32>,
    /// The same for what is mapped with other access, `O_ACCMODE`.
    pub(super) mapped: BTreeMap<(u32, u32), i32>,
    /// Shared memory in huge pages by its id: files, and as which descriptors.
    pub(super) huge: BTreeMap<u64, i32>,
    /// Namespaces that are not all tasks', and those of the first one beside them, by flag of setns(2) and id: descriptors.
    pub(super) namespaces: BTreeMap<(i32, u32), i32>,
    /// The mount namespace that the first task is in, when it has been in others.
    pub(super) mounts_of: Option<u32>,
    /// Other ends of unix sockets that nobody has, by the id of the socket.
    pub(super) lost: BTreeMap<u32, i32>,
    /// Connections of TCP that wait for the tasks to run.
    pub(super) connections: Connections,
    /// The master of a new terminal for the tasks.
    pub(super) console: Option<OwnedFd>,
    /// Places in use by processes that are not of the snapshot.
    helpers: BTreeSet<usize>,
    /// What the tasks may have while they are built, a bit for each capability.
    pub(super) capabilities: u64,
    /// What the first one is held to at the moment.
    pub(super) lowered: Option<u64>,
}

impl<'a> Build<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        policy: &'a Policy,
        images: &'a Directory,
        nursery: &'a mut inject::Nursery,
        layout: &'a Layout,
        pages: &'a PageFiles,
        init: i32,
    ) -> Result<Build<'a>> {
        let pidfd = sys::process::pidfd_open(init).at(|| format!("task {init}: pidfd"))?;
        let (open, mapped, lost) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Build {
            snapshot,
            policy,
            images,
            layout,
            pages,
            is_lazy: false,
            nursery,
            init,
            pidfd,
            open,
            mapped,
            huge: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            mounts_of: None,
            lost,
            connections: Connections::default(),
            console: None,
            helpers: BTreeSet::new(),
            capabilities: 0,
            lowered: None,
        })
    }

    /// A descriptor of the first task behind those of the image's files.
    pub(super) fn next_number(&self) -> i32 {
        let others = self.mapped.len() + self.huge.len() + self.namespaces.len();
        self.layout.files + (self.snapshot.files.len() + others) as i32
    }

    /// The pages of a task that it has before it runs.
    pub(super) fn pages_at_once(&self, task: &Task) -> Pages<'a> {
        let all = self.pages.of_task(task);
        if self.is_lazy { all.without(&lazy::ranges(task)) } else { all }
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = (usize, &'a Task)> + use<'a> {
        self.snapshot.tasks.iter().enumerate()
    }

    /// All but zombies.
    pub(super) fn living(&self) -> impl Iterator<Item = (usize, &'a Task)> + use<'a> {
        self.tasks().filter(|(_, task)| !task.is_zombie())
    }

    /// The index of the task with this pid.
    pub(super) fn index_of(&self, pid: u32) -> Option<usize> {
        self.snapshot.tasks.iter().position(|task| task.entry.pid == pid)
    }

    /// Runs a batch in the first thread of a task.
    pub(super) fn run(&mut self, task: usize, batch: &Batch) -> Result<Outcome> {
        self.run_in(self.layout.first[task], batch)
            .map_err(|error| Error::new(format!("task {}: {error}", self.snapshot.tasks[task].entry.pid)))
    }

    /// The same in one of its threads.
    pub(super) fn run_thread(&mut self, task: usize, nth: usize, batch: &Batch) -> Result<Outcome> {
        self.run_in(self.layout.first[task] + nth, batch).map_err(|error| {
            Error::new(format!("task {}: {error}", self.snapshot.tasks[task].entry.threads[nth]))
        })
    }

    /// The same at any place of the nursery.
    pub(super) fn run_in(&mut self, place: usize, batch: &Batch) -> Result<Outcome> {
        let pidfd = self.pidfd.as_fd();
        let is_alive = || matches!(sys::process::pidfd_is_running(pidfd), Ok(true));
        let (init, tid, began) = (self.init, self.layout.tid(self.snapshot, place), Instant::now());
        let sleeps = Cell::new(0);
        let is_working = || {
            let state = tid.filter(|_| began.elapsed() > PATIENCE).and_then(|tid| state_of(init, tid));
            // Reading and computing is none of these.
            sleeps.set(if state == Some('S') { sleeps.get() + 1 } else { 0 });
            is_alive() && sleeps.get() < SLEEPS && !matches!(state, Some('T' | 't' | 'Z' | 'X'))
        };
        match self.nursery.run(place, batch, &is_working) {
            Err(error) if error.has_ended() && is_alive() => {
                Err(Error::new("it has ended, was stopped, or waits for somebody"))
            }
            result => Ok(result?),
        }
    }

    /// A copy of a descriptor of the first task.
    pub(super) fn descriptor(&self, number: i32) -> Result<OwnedFd> {
        let copy = sys::process::pidfd_getfd(self.pidfd.as_fd(), number);
        copy.at(|| format!("task {}: copy its descriptor {number}", self.init))
    }

    /// Gives a batch to a place of the nursery whose end nobody waits for.
    pub(super) fn start_in(&mut self, place: usize, batch: &Batch) -> Result<()> {
        Ok(self.nursery.start(place, batch)?)
    }

    /// The address of a place's mailbox.
    pub(super) fn mailbox(&self, place: usize) -> u64 {
        self.nursery.mailbox(place)
    }

    pub(super) fn nursery_range(&self) -> std::ops::Range<u64> {
        self.nursery.range()
    }

    /// A place for a process that is not of the snapshot.
    pub(super) fn helper(&mut self) -> Result<usize> {
        let place = self.layout.helpers.clone().find(|place| !self.helpers.contains(place));
        let place =
            place.ok_or_else(|| Error::new("tree: too many sessions or groups whose leader has ended"))?;
        self.helpers.insert(place);
        Ok(place)
    }

    pub(super) fn has_room_for_helpers(&self) -> bool {
        self.helpers.len() < self.layout.helpers.len()
    }

    /// Frees the place of a process that has ended.
    pub(super) fn vacate(&mut self, place: usize) {
        self.nursery.vacate(place);
        self.helpers.remove(&place);
    }

    /// A pid that nothing in the snapshot is called by.
    pub(super) fn free_pid(&self) -> u32 {
        let ids = self.snapshot.tasks.iter().flat_map(|task| {
            let entry = &task.entry;
            entry.threads.iter().chain([&entry.pid, &entry.pgid, &entry.sid])
        });
        ids.max().copied().unwrap_or(1) + 1 + self.helpers.len() as u32
    }

    /// Makes the process that has entered the nursery an empty one: no rseq area, no mappings, no blocked or handled
    /// signal that would stop it, as many descriptors as it may have.
    pub(super) fn take_over(&mut self) -> Result<()> {
        let mut batch = Batch::new();
        batch.call("getpid", libc::SYS_getpid, &[]);
        self.run(0, &batch)?;
        let thread = Thread::seize(self.init)?;
        thread.interrupt()?;
        thread.wait(Duration::from_secs(10))?;
        let rseq = thread.rseq();
        thread.detach()?;

        let mut batch = Batch::new();
        let all = batch.words(&[u64::MAX]);
        batch.call("block signals", libc::SYS_rt_sigprocmask, &[2.into(), all.into(), 0.into(), 8.into()]);
        if let Ok(rseq) = rseq
            && rseq.address != 0
        {
            const UNREGISTER: i32 = 1;
            let arguments = [rseq.address.into(), rseq.size.into(), UNREGISTER.into(), rseq.signature.into()];
            batch.call("rseq", libc::SYS_rseq, &arguments);
        }
        batch.call("set_tid_address", libc::SYS_set_tid_address, &[0.into()]);
        self.become_user(&mut batch);
        self.limit(&mut batch);
        let capabilities = privileges::get(&mut batch);
        let nursery = self.nursery.range();
        let own = mappings(self.init).at(|| format!("task {}: read its mappings", self.init))?;
        // The last is the vsyscall page, which is not the process's.
        for range in own.iter().filter(|range| range.end < super::layout::LAST + 0x1000) {
            if range.start < nursery.start || range.start >= nursery.end {
                batch.call(
                    "munmap",
                    libc::SYS_munmap,
                    &[range.start.into(), (range.end - range.start).into()],
                );
            }
        }
        // As many as it may have: the files of all tasks are open in this one.
        let limit = batch.space(16);
        batch.call(
            "prlimit",
            libc::SYS_prlimit64,
            &[0.into(), libc::RLIMIT_NOFILE.into(), 0.into(), limit.into()],
        );
        let outcome = self.run(0, &batch)?;
        self.capabilities = privileges::permitted(&outcome, capabilities);
        let max = outcome.u64(limit.plus(8));
        let needed = self.layout.files as u64
            + 2 * (self.snapshot.files.len() + nested::count(self.snapshot)) as u64
            + 16;
        if max < needed {
            return Err(Error::new(format!("files: {needed} descriptors are needed, the limit is {max}")));
        }
        let mut batch = Batch::new();
        let limit = batch.words(&[max, max]);
        batch.call(
            "prlimit",
            libc::SYS_prlimit64,
            &[0.into(), libc::RLIMIT_NOFILE.into(), limit.into(), 0.into()],
        );
        self.run(0, &batch)?;
        Ok(())
    }

    /// Lets files be the container's user's: what is opened is opened by it, what is made is its own.
    fn become_user(&self, batch: &mut Batch) {
        let user = &self.policy.user;
        let groups: Vec<u8> = user.groups.iter().flat_map(|group| group.to_le_bytes()).collect();
        let place = batch.bytes(&groups);
        // In a user namespace that denies it there are no groups to set.
        batch.call_may_fail("setgroups", libc::SYS_setgroups, &[user.groups.len().into(), place.into()]);
        // Capabilities are taken and given one by one, `privileges`.
        let bits = credentials::SECBIT_NO_SETUID_FIXUP;
        let arguments = [libc::PR_SET_SECUREBITS.into(), bits.into(), 0.into(), 0.into(), 0.into()];
        batch.call("PR_SET_SECUREBITS", libc::SYS_prctl, &arguments);
        batch.call("setfsgid", libc::SYS_setfsgid, &[user.gid.into()]);
        batch.call("setfsuid", libc::SYS_setfsuid, &[user.uid.into()]);
    }

    /// Limits by which the kernel decides what the container's user may ask for; the others come last.
    fn limit(&self, batch: &mut Batch) {
        const DECIDING: [u32; 4] =
            [libc::RLIMIT_MEMLOCK, libc::RLIMIT_NICE, libc::RLIMIT_RTPRIO, libc::RLIMIT_MSGQUEUE];
        for (resource, most) in self.policy.rlimits.iter().filter(|(which, _)| DECIDING.contains(which)) {
            let limit = batch.words(&[*most, *most]);
            batch.call_may_fail("setrlimit", libc::SYS_setrlimit, &[(*resource).into(), limit.into()]);
        }
    }

    /// Attaches to all threads, in the order of their places.
    pub(super) fn attach(&self) -> Result<Vec<Thread>> {
        let tids = self.host_tids()?;
        let mut threads = Vec::new();
        for (_, task) in self.living() {
            for tid in &task.entry.threads {
                threads.push(Thread::seize_for_life(host_tid(&tids, *tid)?)?);
            }
        }
        Ok(threads)
    }

    /// The process id of a task in our pid namespace.
    pub(super) fn host_pid(&self, index: usize) -> Result<i32> {
        host_tid(&self.host_tids()?, self.snapshot.tasks[index].entry.pid)
    }

    /// The ids in our pid namespace of all threads, by those in theirs.
    pub(super) fn host_tids(&self) -> Result<BTreeMap<u32, i32>> {
        host_tids(self.init)
    }
}

/// Opens a procfs of the task's own. That of the container is not to be written through, and mostly cannot be.
pub(super) fn open_procfs(batch: &mut Batch) -> Call {
    const FSCONFIG_CMD_CREATE: i32 = 6;
    let kind = batch.string(b"proc");
    let context = batch.call("fsopen proc", libc::SYS_fsopen, &[kind.into(), 0.into()]);
    let arguments = [context.into(), FSCONFIG_CMD_CREATE.into(), 0.into(), 0.into(), 0.into()];
    batch.call("fsconfig", libc::SYS_fsconfig, &arguments);
    let mount = batch.call("fsmount", libc::SYS_fsmount, &[context.into(), 0.into(), 0.into()]);
    batch.call("close", libc::SYS_close, &[context.into()]);
    mount
}

/// `Build::host_tids` of the descendants of a process.
pub(super) fn host_tids(init: i32) -> Result<BTreeMap<u32, i32>> {
    let mut found = BTreeMap::new();
    let mut processes = vec![init];
    while let Some(pid) = processes.pop() {
        let directory = format!("/proc/{pid}/task");
        for entry in std::fs::read_dir(&directory).at(|| format!("read {directory}"))? {
            let entry = entry.at(|| format!("read {directory}"))?;
            let path = entry.path();
            let read = |name: &str| {
                let file = path.join(name);
                std::fs::read_to_string(&file).at(|| format!("read {}", file.display()))
            };
            let status = read("status")?;
            let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
            let ids: Vec<i32> = line.split_whitespace().filter_map(|id| id.parse().ok()).collect();
            if let (Some(host), Some(own)) = (ids.first(), ids.last()) {
                found.insert(*own as u32, *host);
            }
            processes.extend(read("children")?.split_whitespace().filter_map(|id| id.parse::<i32>().ok()));
        }
    }
    Ok(found)
}

/// The state of a thread as proc_pid_stat(5) has it; `X` where there is none, `None` where it cannot be told now.
fn state_of(init: i32, tid: u32) -> Option<char> {
    let Some(host) = host_tids(init).ok()?.get(&tid).copied() else { return Some('X') };
    let stat = std::fs::read_to_string(format!("/proc/{host}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// The id in our pid namespace of a thread, out of `Build::host_tids`.
pub(super) fn host_tid(tids: &BTreeMap<u32, i32>, tid: u32) -> Result<i32> {
    tids.get(&tid).copied().ok_or_else(|| Error::new(format!("task {tid}: it is not there")))
}
