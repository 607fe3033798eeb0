//! The restore: images to tasks. This file is the order; what each step does is in the module of its name.
//!
//! Everything is built in tasks that have nothing of their own but the nursery (`inject::Nursery`): the first is made by
//! the caller with its namespaces, mounts and cgroup, and all others are its descendants. What they share, open files and
//! shared memory, the first one makes before it has children; so it comes to each of them as it did in life, by clone3(2).

mod build;
mod cgroups;
mod copy;
mod credentials;
mod files;
mod keys;
mod layout;
mod locks;
mod memory;
mod mounts;
mod privileges;
mod registers;
mod sockets;
mod state;
mod sysv;
mod threads;
mod tmpfs;
mod tree;
mod ttys;

use crate::Log;
use crate::error::{At, Error, Result};
use crate::policy::Policy;
use crate::snapshot::{Ancestors, Snapshot};
use build::Build;
use cgroup::Cgroup;
use images::Directory;
use images::messages::{RestoreStatsEntry, Timespec};
use inject::{Entrance, Supervisor, Thread};
use layout::Layout;
use memory::PageFiles;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::thread;
use std::time::Instant;

const NANOSECONDS: i128 = 1_000_000_000;

/// A restore that has been read and verified, then one that is being built. Dropped before `resume`, it leaves the nursery
/// to whoever made it, to be killed; when this process ends, the tasks end too.
#[derive(Debug)]
pub struct Restore {
    snapshot: Snapshot,
    images: Directory,
    policy: Policy,
    // Before the supervisor: it is on its list.
    nursery: inject::Nursery,
    _supervisor: Supervisor,
    layout: Layout,
    ancestors: Ancestors,
    /// The tasks have its files under the same numbers.
    pages: Rc<PageFiles>,
    /// Every thread, attached, by its place in the nursery.
    threads: Vec<Thread>,
    began: Instant,
}

impl Restore {
    /// Reads and verifies the images. Nothing has happened after it.
    pub fn open(images: BorrowedFd<'_>, policy: Policy, log: &mut Log<'_>) -> Result<Restore> {
        let began = Instant::now();
        let images = images.try_clone_to_owned().at(|| "images: duplicate the descriptor".to_owned())?;
        let images = Directory::new(images)?;
        images.verify()?;
        let snapshot = Snapshot::read(&images)?;
        log(&format!("{} tasks, {} open files", snapshot.tasks.len(), snapshot.files.len()));
        credentials::check(&snapshot, &policy)?;
        memory::check(&snapshot, &policy)?;
        state::check(&snapshot)?;
        let layout = Layout::new(&snapshot)?;
        let supervisor = Supervisor::new().at(|| "robust list of the supervisor".to_owned())?;
        let nursery = inject::Nursery::new(&supervisor, layout.nursery, layout.mailboxes)?;
        let ancestors = Ancestors::read(&images, &snapshot)?;
        let pages = Rc::new(PageFiles::open(&snapshot, &images, &ancestors)?);
        Ok(Restore {
            snapshot,
            images,
            policy,
            nursery,
            _supervisor: supervisor,
            layout,
            ancestors,
            pages,
            threads: Vec::new(),
            began,
        })
    }

    /// The first task's pid in its pid namespace. In one of its own it is 1; in another, whoever clones the task must give
    /// it that pid.
    pub fn pid(&self) -> i32 {
        self.snapshot.tasks[0].entry.pid as i32
    }

    /// Offsets that a time namespace of its own must have for its clocks to go on from where they were, at this moment.
    pub fn clock_offsets(&self) -> Vec<ClockOffset> {
        let id = self.snapshot.tasks[0].ids().and_then(|ids| ids.time_ns_id);
        let Some(then) = id.and_then(|id| self.snapshot.namespaces.time.get(&id)) else { return Vec::new() };
        let offset = |clock, then: &Timespec, id| {
            let then = i128::from(then.tv_sec) * NANOSECONDS + i128::from(then.tv_nsec);
            let offset = then - sys::time::now(id).ok()?;
            let (seconds, nanoseconds) = (offset.div_euclid(NANOSECONDS), offset.rem_euclid(NANOSECONDS));
            Some(ClockOffset {
                clock,
                seconds: i64::try_from(seconds).ok()?,
                nanoseconds: nanoseconds as u32,
            })
        };
        let monotonic = offset("monotonic", &then.monotonic, libc::CLOCK_MONOTONIC);
        let boottime = offset("boottime", &then.boottime, libc::CLOCK_BOOTTIME);
        [monotonic, boottime].into_iter().flatten().collect()
    }

    /// For the process that becomes the first task, before it is cloned.
    pub fn nursery(&self) -> Nursery {
        Nursery { entrance: self.nursery.entrance(), pages: self.pages.clone() }
    }

    /// Makes all tasks of the process `init`, in our pid namespace, which has entered the nursery or is about to. None of
    /// them runs afterwards. `cgroup` is theirs alone, where there is such a one, and `init` is in it.
    pub fn build(&mut self, init: i32, cgroup: Option<&Cgroup>, log: &mut Log<'_>) -> Result<()> {
        let (snapshot, policy, images) = (&self.snapshot, &self.policy, &self.images);
        let all = || [images].into_iter().chain(self.ancestors.directories());
        let mut build =
            Build::new(snapshot, policy, images, &mut self.nursery, &self.layout, &self.pages, init)?;
        self.threads = thread::scope(|scope| {
            // Takes as long as to fill the tasks with them.
            let verified = scope.spawn(|| all().try_for_each(Directory::verify_pages));
            let made = make(&mut build, cgroup, log);
            verified.join().expect("the verification does not panic")?;
            made
        })?;
        log("tasks: complete");
        Ok(())
    }

    /// Lets all tasks run. From here on there is no way back.
    pub fn resume(self, log: &mut Log<'_>) -> Result<RestoreStatsEntry> {
        registers::restore(&self.snapshot, &self.nursery, &self.threads)?;
        // The commit. The first task comes last: as long as it dies with us, all others die with it.
        for thread in self.threads.iter().rev() {
            thread.release()?;
        }
        for thread in &self.threads {
            match thread.detach() {
                // Those that run already may have ended it.
                Err(error) if error.has_ended() => {}
                detached => detached?,
            }
        }
        log("tasks: resumed");
        let time = self.began.elapsed().as_micros() as u32;
        Ok(RestoreStatsEntry {
            pages_compared: 0,
            pages_skipped_cow: 0,
            forking_time: time,
            restore_time: time,
            pages_restored: Some(
                self.snapshot.tasks.iter().filter_map(|task| task.pages.as_ref()?.size()).sum::<u64>() / 4096,
            ),
        })
    }
}

/// All steps up to the last; all threads of all tasks.
fn make(build: &mut Build<'_>, cgroup: Option<&Cgroup>, log: &mut Log<'_>) -> Result<Vec<Thread>> {
    build.take_over()?;
    log("nursery: entered");
    // Before there are files to be opened in them.
    mounts::restore(build)?;
    // Before there are children: they inherit both.
    // Names and kinds of files are the image's: what follows from them is the container's user's to do.
    build.lower(build.policy.file_capabilities())?;
    files::open_all(build)?;
    build.raise()?;
    memory::make_shared(build)?;
    sysv::make(build)?;
    state::name_host(build)?;
    log("files: opened");
    tree::make(build)?;
    sysv::complete(build)?;
    log("tree: made");
    // While all of them exist, and before zombies end: a group may be led by one.
    tree::join_groups(build)?;
    files::install(build)?;
    credentials::relabel(build)?;
    threads::make(build)?;
    ttys::attach(build)?;
    state::describe_memory(build)?;
    files::complete(build)?;
    locks::restore(build)?;
    if let Some(cgroup) = cgroup {
        cgroups::restore(build, cgroup)?;
    }
    log("files: in place");
    tree::end_zombies(build)?;
    state::restore(build)?;
    memory::complete(build)?;
    keys::restore(build)?;
    // Attached before the filters come: they are suspended for as long.
    let threads = build.attach()?;
    credentials::restore(build)?;
    files::open_of_tasks(build)?;
    state::arm(build)?;
    Ok(threads)
}

/// A line of /proc/PID/timens_offsets (time_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// `monotonic` or `boottime`.
    pub clock: &'static str,
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// Where a process waits for the engine, to become the first task.
#[derive(Debug)]
pub struct Nursery {
    entrance: Entrance,
    pages: Rc<PageFiles>,
}

impl Nursery {
    /// Descriptors that `enter` needs, under the numbers that they have.
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.pages.files().map(File::as_fd).collect()
    }

    /// Waits for the engine. The process has all capabilities in its user namespace, its namespaces, its root and its
    /// mounts; it dies with the process that made it (PR_SET_PDEATHSIG), is not dumpable, and has no descriptors but
    /// standard ones, those of the policy and those of the nursery. All of that but mounts and namespaces is the engine's
    /// to change.
    ///
    /// # Errors
    /// It does not return unless the memory has no room at its place.
    pub fn enter(&self) -> Error {
        Error::of_kernel("enter the nursery", self.entrance.enter())
    }
}
