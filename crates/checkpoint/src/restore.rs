//! The restore: images to tasks. This file is the order; what each step does is in the module of its name.
//!
//! Everything is built in tasks that have nothing of their own but the nursery (`inject::Nursery`): the first is made by
//! the caller with its namespaces, mounts and cgroup, and all others are its descendants. What they share, open files and
//! shared memory, the first one makes before it has children; so it comes to each of them as it did in life, by clone3(2).

mod aio;
mod build;
mod cgroups;
mod copy;
mod credentials;
mod fanotify;
mod files;
mod keys;
mod layout;
mod lazy;
mod locks;
mod memory;
mod mounts;
mod nested;
mod packets;
mod pager;
mod pages;
mod privileges;
mod queues;
mod registers;
mod socket_options;
mod sockets;
mod state;
mod sysv;
mod tcp;
mod threads;
mod tmpfs;
mod tree;
mod ttys;
mod vdso;

use crate::Log;
use crate::error::{At, Error, Result};
use crate::namespaces;
use crate::network::Network;
use crate::network_lock::LockName;
use crate::policy::{OwnCgroup, Policy};
use crate::snapshot::{Ancestors, Snapshot, Task};
use crate::target::NamespaceKind;
use build::Build;
use cgroup::Cgroup;
use images::Directory;
use images::messages::{RestoreStatsEntry, Timespec};
use inject::{Entrance, Supervisor, Thread};
use layout::Layout;
use lazy::Guarded;
pub use lazy::LazyPages;
pub(crate) use mounts::attributes;
pub use pager::Pager;
use pages::PageFiles;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::thread;
use std::time::Instant;
use sys::netlink::Socket;
use tcp::Connections;
pub(crate) use ttys::is_master;

const NANOSECONDS: i128 = 1_000_000_000;

/// A restore that has been read and verified, then one that is being built. Dropped before `resume`, it leaves the nursery
/// to whoever made it, to be killed; when this process ends, the tasks end too.
#[derive(Debug)]
pub struct Restore {
    snapshot: Snapshot,
    images: Directory,
    policy: Policy,
    network: Option<Network>,
    // Before the supervisor: it is on its list.
    nursery: inject::Nursery,
    _supervisor: Supervisor,
    layout: Layout,
    ancestors: Ancestors,
    /// The tasks have its files under the same numbers.
    pages: Rc<PageFiles>,
    /// Every thread, attached, by its place in the nursery.
    threads: Vec<Thread>,
    connections: Connections,
    /// The master of a terminal that the tasks had from outside.
    console: Option<OwnedFd>,
    /// Who fills memory late.
    lazy: Option<LazyPages>,
    /// The first task in our pid namespace, once there is one.
    init: i32,
    began: Instant,
}

impl Restore {
    /// Reads and verifies the images. Nothing has happened after it.
    pub fn open(images: BorrowedFd<'_>, policy: Policy, log: &mut Log<'_>) -> Result<Restore> {
        let began = Instant::now();
        let images = verified(images)?;
        let mut snapshot = Snapshot::read(&images)?;
        log(&format!("{} tasks, {} open files", snapshot.tasks.len(), snapshot.files.len()));
        credentials::check(&snapshot, &policy)?;
        memory::check(&snapshot, &policy)?;
        aio::check(&snapshot)?;
        state::check(&snapshot)?;
        registers::check(&snapshot)?;
        nested::check(&snapshot, &policy)?;
        let network = match &policy.network {
            Some(links) => Network::of(&snapshot, links)?,
            None => None,
        };
        let ancestors = Ancestors::read(&images, &snapshot)?;
        let pages = Rc::new(PageFiles::open(&snapshot, &images, &ancestors)?);
        let jumps = vdso::adopt(&mut snapshot, &pages)?;
        if !jumps.is_empty() {
            log("vdso: that of another kernel");
        }
        let layout = Layout::new(&snapshot, jumps)?;
        let supervisor = Supervisor::new().at(|| "robust list of the supervisor".to_owned())?;
        let nursery = inject::Nursery::new(&supervisor, layout.nursery, layout.mailboxes)?;
        Ok(Restore {
            snapshot,
            images,
            policy,
            network,
            nursery,
            _supervisor: supervisor,
            layout,
            ancestors,
            pages,
            threads: Vec::new(),
            connections: Connections::default(),
            console: None,
            lazy: None,
            init: 0,
            began,
        })
    }

    /// Has a daemon fill private memory while the tasks run.
    pub fn fill_lazily(&mut self, daemon: LazyPages) {
        self.lazy = Some(daemon);
    }

    /// The first task's pid in its pid namespace. In one of its own it is 1; in another, whoever clones the task must give
    /// it that pid.
    pub fn pid(&self) -> i32 {
        self.snapshot.tasks[0].entry.pid as i32
    }

    /// Offsets that a time namespace of its own must have for its clocks to go on from where they were, at this moment.
    pub fn clock_offsets(&self) -> Vec<ClockOffset> {
        let id = self.snapshot.tasks[0].ids().and_then(|ids| ids.time_ns_id);
        let namespaces = &self.snapshot.namespaces.time;
        let Some(then) = id.and_then(|id| namespaces.get(&id)).or(namespaces.get(&0)) else {
            return Vec::new();
        };
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
        lazy::check(&self.snapshot, self.lazy.is_some())?;
        // First: sockets are bound to its addresses.
        if let Some(network) = &self.network {
            let mut outside = Socket::route().at(|| "network: open a netlink socket".to_owned())?;
            let skips = self.policy.skips_missing_sysctls;
            namespaces::inside(init, NamespaceKind::Net, || network.make(&mut outside, skips))?;
        }
        let (snapshot, policy, images) = (&self.snapshot, &self.policy, &self.images);
        let (pages, directories) = (&*self.pages, [images].into_iter().chain(self.ancestors.directories()));
        let mut build =
            Build::new(snapshot, policy, images, &mut self.nursery, &self.layout, &self.pages, init)?;
        build.is_lazy = self.lazy.is_some();
        let lazy = self.lazy.as_ref();
        let is_verified = lazy.is_some_and(|daemon| daemon.has_verified(images.digest()));
        let (threads, guarded) = thread::scope(|scope| {
            let verify = || if is_verified { Ok(()) } else { pages.verify(directories) };
            let verified = scope.spawn(verify);
            let made = make(&mut build, cgroup, lazy, log);
            verified.join().expect("the verification does not panic")?;
            made
        })?;
        self.threads = threads;
        self.connections = build.connections;
        self.console = build.console;
        if let (Some(daemon), Some(guarded)) = (&mut self.lazy, guarded) {
            guarded.guard(daemon)?;
        }
        self.init = init;
        log("tasks: complete");
        Ok(())
    }

    /// The master of the terminal that was made for the tasks together with the mounts.
    pub fn console(&self) -> Option<BorrowedFd<'_>> {
        self.console.as_ref().map(AsFd::as_fd)
    }

    /// Lets all tasks run. From here on there is no way back.
    pub fn resume(mut self, log: &mut Log<'_>) -> Result<RestoreStatsEntry> {
        self.complete(|_| false)?;
        self.release()?;
        log("tasks: resumed");
        Ok(self.statistics())
    }

    /// The same for tasks that are to run when they get SIGCONT.
    pub fn leave_stopped(mut self, log: &mut Log<'_>) -> Result<RestoreStatsEntry> {
        self.complete(|_| true)?;
        self.release()?;
        log("tasks: stopped");
        Ok(self.statistics())
    }

    /// A name for the lock that keeps connections from their peers until tasks run that `resume_frozen` leaves; `None` when
    /// there is nothing to lock.
    pub fn lock_name(&self) -> Result<Option<LockName>> {
        self.connections.are_locked().then(LockName::new).transpose()
    }

    /// The same for tasks that are to run when `cgroup`, in which they are, is thawed. They need us no longer. Their
    /// connections stay locked under the name `lock`, until `unlock` or for a quarter of an hour.
    pub fn resume_frozen(
        mut self,
        cgroup: &Cgroup,
        lock: Option<LockName>,
        log: &mut Log<'_>,
    ) -> Result<RestoreStatsEntry> {
        if let Some(name) = lock {
            self.connections.lock_for_later(self.init, name)?;
        }
        self.complete(|_| false)?;
        // Not before: frozen tasks would not do what is left to do. Stopped ones count as frozen, and stay where they are.
        cgroup.freeze()?;
        self.release()?;
        log("tasks: frozen");
        Ok(self.statistics())
    }

    fn complete(&mut self, stops: fn(&Task) -> bool) -> Result<()> {
        registers::restore(&self.snapshot, &self.nursery, &self.threads, stops)?;
        // They have been in other hands since the dump.
        let run = self.snapshot.inventory.dump_criu_run_id.as_deref();
        if let Some(name) = run.and_then(LockName::parse) {
            namespaces::inside(self.init, NamespaceKind::Net, || name.unlock())?;
        }
        // Nobody can use one before.
        self.connections.resume()
    }

    /// The commit. The first task comes last: as long as it dies with us, all others die with it.
    fn release(&mut self) -> Result<()> {
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
        if let Some(daemon) = &mut self.lazy {
            daemon.are_running();
        }
        Ok(())
    }

    fn statistics(&self) -> RestoreStatsEntry {
        let time = self.began.elapsed().as_micros() as u32;
        RestoreStatsEntry {
            pages_compared: 0,
            pages_skipped_cow: 0,
            forking_time: time,
            restore_time: time,
            pages_restored: Some(
                self.snapshot.tasks.iter().filter_map(|task| task.pages.as_ref()?.size()).sum::<u64>() / 4096,
            ),
        }
    }
}

/// The directory of a whole dump. Pages and those of the dumps before are not verified yet.
fn verified(images: BorrowedFd<'_>) -> Result<Directory> {
    let images = images.try_clone_to_owned().at(|| "images: duplicate the descriptor".to_owned())?;
    let images = Directory::new(images)?;
    images.verify()?;
    match images.has_holes() {
        true => Err(Error::new("images: pages were given up to a later dump, or after a restore")),
        false => Ok(images),
    }
}

/// All steps up to the last; all threads of all tasks.
fn make<'a>(
    build: &mut Build<'_>,
    cgroup: Option<&'a Cgroup>,
    lazy: Option<&LazyPages>,
    log: &mut Log<'_>,
) -> Result<(Vec<Thread>, Option<Guarded<'a>>)> {
    // Before anybody could answer that there is no connection.
    tcp::lock(build)?;
    build.take_over()?;
    log("nursery: entered");
    // Before there are files to be opened in them.
    mounts::restore(build)?;
    nested::restore(build)?;
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
    // Before there are threads, which have one root together.
    nested::join(build)?;
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
    // No task has children from here on; and who is attached may write to any memory.
    let guarded = lazy
        .map(|daemon| {
            // Others may be in one that was there before.
            let ends = cgroup.filter(|_| build.policy.cgroups.own != OwnCgroup::Found);
            lazy::hand_over(build, daemon, ends)
        })
        .transpose()?;
    credentials::restore(build)?;
    files::open_of_tasks(build)?;
    state::arm(build)?;
    Ok((threads, guarded))
}

/// Takes the lock away that `Restore::resume_frozen` has left, in the network of task `init`.
pub fn unlock(init: i32, name: LockName) -> Result<()> {
    namespaces::inside(init, NamespaceKind::Net, || name.unlock())
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
