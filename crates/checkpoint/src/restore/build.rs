//! What all steps of a restore work with: the snapshot, and tasks that do what they are told.

use super::layout::{Layout, mappings};
use super::memory::PageFiles;
use crate::error::{At, Error, Result};
use crate::policy::Policy;
use crate::snapshot::{Snapshot, Task};
use images::Directory;
use inject::{Batch, Outcome, Thread};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

pub(super) struct Build<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) policy: &'a Policy,
    pub(super) images: &'a Directory,
    pub(super) layout: &'a Layout,
    pub(super) pages: &'a PageFiles,
    nursery: &'a mut inject::Nursery,
    /// The first task in our pid namespace.
    pub(super) init: i32,
    pidfd: OwnedFd,
    /// Files that are open in the first task, by their id, and as which descriptor.
    pub(super) open: BTreeMap<u32, i32>,
    /// The same for what is mapped with other access, `O_ACCMODE`.
    pub(super) mapped: BTreeMap<(u32, u32), i32>,
    /// Other ends of unix sockets that nobody has, by the id of the socket.
    pub(super) lost: BTreeMap<u32, i32>,
    helpers: usize,
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
            nursery,
            init,
            pidfd,
            open,
            mapped,
            lost,
            helpers: 0,
        })
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
        Ok(self.nursery.run(place, batch, &is_alive)?)
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
        let place = self.layout.helpers.start + self.helpers;
        if !self.layout.helpers.contains(&place) {
            return Err(Error::new("tree: too many sessions or groups whose leader has ended"));
        }
        self.helpers += 1;
        Ok(place)
    }

    /// A pid that nothing in the snapshot is called by.
    pub(super) fn free_pid(&self) -> u32 {
        let ids = self.snapshot.tasks.iter().flat_map(|task| {
            let entry = &task.entry;
            entry.threads.iter().chain([&entry.pid, &entry.pgid, &entry.sid])
        });
        ids.max().copied().unwrap_or(1) + self.helpers as u32
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
        let max = self.run(0, &batch)?.u64(limit.plus(8));
        let needed = self.layout.files as u64 + 2 * self.snapshot.files.len() as u64 + 16;
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
        let mut found = BTreeMap::new();
        let mut processes = vec![self.init];
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
                processes
                    .extend(read("children")?.split_whitespace().filter_map(|id| id.parse::<i32>().ok()));
            }
        }
        Ok(found)
    }
}

/// The id in our pid namespace of a thread, out of `Build::host_tids`.
pub(super) fn host_tid(tids: &BTreeMap<u32, i32>, tid: u32) -> Result<i32> {
    tids.get(&tid).copied().ok_or_else(|| Error::new(format!("task {tid}: it is not there")))
}
