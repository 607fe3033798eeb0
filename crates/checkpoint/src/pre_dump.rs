//! A pre-dump: memory only, of tasks that run on. The dump that follows writes what was written to since then, so its pause
//! follows that and not the size of memory.
//!
//! Tasks are stopped for as long as it takes to see which pages they have and to have writes to them tracked
//! (`tracking.rs`). They run while the pages are copied: what they write to meanwhile is in the next dump anyway. Shared
//! memory is left out: a write through another mapping of it, or to its file, is not seen.

use crate::Log;
use crate::collect::{Written, write_pages};
use crate::dump::{Clock, begin, statistics};
use crate::error::{At, Error, Result};
use crate::memory::{self, OwnPages};
use crate::pages;
use crate::snapshot::{self, PageMap, TaskState, names, pagemap, run_end};
use crate::target::{DumpOptions, Target};
use crate::tracking::{self, Tracking};
use crate::tree::{Member, Tree};
use images::Directory;
use images::messages::{DumpStatsEntry, InventoryEntry};
use images::page_server::{Memory, PageServer};
use inject::Supervisor;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;
use sys::userfault::{self, Mode, USERFAULTFD};

/// The dump before this one, since which writes were tracked.
#[derive(Debug)]
pub(crate) struct Parent<'a> {
    /// Relative to this one's.
    pub(crate) path: &'a Path,
    pub(crate) directory: Directory,
    /// The pages that can stay there, of processes by their pid in their pid namespace.
    maps: BTreeMap<u32, PageMap>,
}

impl Parent<'_> {
    /// `None` where nobody has kept track of writes since then.
    pub(crate) fn open<'a>(
        images: BorrowedFd<'_>,
        target: &Target<'_>,
        options: &DumpOptions<'a>,
    ) -> Result<Option<Parent<'a>>> {
        let Some(path) = options.parent else { return Ok(None) };
        let directory = images::open_parent(images, path)?;
        let Some(tracking) = Tracking::find(target.tracking) else { return Ok(None) };
        if !tracking.is_since(directory.digest()) {
            return Ok(None);
        }
        let maps = maps_of_parent(&directory, options.page_server)?;
        Ok(Some(Parent { path, directory, maps }))
    }

    pub(crate) fn map(&self, pid: u32) -> Option<&PageMap> {
        self.maps.get(&pid)
    }
}

/// Pages that are sent stay out where the server has a parent with such a map: it is asked before anybody waits. Those
/// that were sent are nowhere else.
fn maps_of_parent(directory: &Directory, server: Option<&PageServer>) -> Result<BTreeMap<u32, PageMap>> {
    let were_sent = directory.has_pages_elsewhere();
    let prefix = if were_sent { "sent-" } else { "pagemap-" };
    let mut maps = BTreeMap::new();
    for name in directory.names()? {
        let pid = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".img")?.parse().ok());
        let Some(pid) = pid else { continue };
        let are_there = match server {
            Some(server) => server.has_parent(Memory::OfTask(pid))?,
            None => !were_sent,
        };
        if are_there && let Some(map) = snapshot::page_map(directory, &name)? {
            maps.insert(pid, map);
        }
    }
    Ok(maps)
}

/// A process of which pages are to be written.
pub(crate) struct Source {
    /// In its pid namespace, and in ours.
    pub(crate) pid: u32,
    pub(crate) host_pid: i32,
    start_time: u64,
    pub(crate) own: OwnPages,
    pub(crate) memory: File,
    pub(crate) userfaultfd: OwnedFd,
}

/// Stops the container for as long as it takes to see which pages its processes have, and to have writes to them tracked
/// from then on.
pub(crate) fn track(
    target: &Target<'_>,
    supervisor: &Supervisor,
    parent: Option<&Parent<'_>>,
    earlier: Option<&Tracking>,
    clock: &mut Clock,
) -> Result<Vec<Source>> {
    let start = Instant::now();
    let mut tree = Tree::stop(target)?;
    clock.freezing += start.elapsed();
    tree.enter(supervisor)?;
    let mut sources = Vec::new();
    for member in tree.members.iter_mut().filter(|member| member.state != TaskState::Zombie) {
        sources.push(Source::of(member, parent, earlier)?);
    }
    tree.resume()?;
    clock.frozen += start.elapsed();
    Ok(sources)
}

pub(crate) fn pre_dump(
    target: &Target<'_>,
    images: BorrowedFd<'_>,
    options: &DumpOptions<'_>,
    log: &mut Log<'_>,
) -> Result<DumpStatsEntry> {
    tracking::check().map_err(|error| Error::new(format!("pre-dump: {error}")))?;
    let parent = Parent::open(images, target, options)?;
    let earlier = Tracking::find(target.tracking);
    let mut directory = begin(target, images, options)?;
    let supervisor = Supervisor::new().at(|| "set a robust list".to_owned())?;
    // From here on it says nothing any more: pages count as not written that the dump which it names has not.
    match std::fs::remove_file(target.tracking) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).at(|| format!("remove {}", target.tracking.display()));
        }
        _ => {}
    }

    let mut clock = Clock::default();
    let mut sources = track(target, &supervisor, parent.as_ref(), earlier.as_ref(), &mut clock)?;
    log(&format!("{} tasks: writes are tracked", sources.len()));

    let start = Instant::now();
    let mut written = Written::default();
    let mut pages_id = 0;
    for source in &mut sources {
        written.pages.add(source.own.count);
        let pid = source.host_pid;
        let what = || format!("task {pid}: copy its memory");
        let runs = std::mem::take(&mut source.own.runs);
        let of = Memory::OfTask(source.pid);
        let running = pages::Source::Running(&source.memory, source.userfaultfd.as_fd());
        let stretches = pages::stretches(running, &runs);
        let map = write_pages(&mut pages_id, of, &stretches, runs, &mut directory, &mut |_| {}, what)?;
        // Where pages go to a server, the next dump is to know which its parent has.
        let (name, map) = match directory.page_server() {
            Some(_) => (names::sent(source.pid), of_parent(&map)),
            None => (names::pagemap(source.pid), map),
        };
        snapshot::write_page_map(&mut directory, &name, &map)?;
    }
    clock.content = start.elapsed();
    if let Some(parent) = &parent {
        directory.link_parent(parent.path, &parent.directory)?;
    }
    let digest = directory.commit(&InventoryEntry { img_version: 2, ..InventoryEntry::default() })?;
    let userfaultfds: Vec<(i32, u64, OwnedFd)> =
        sources.into_iter().map(|source| (source.host_pid, source.start_time, source.userfaultfd)).collect();
    tracking::hold(target.tracking, digest, target.pidfd, &userfaultfds)?;
    if let Some(earlier) = earlier {
        earlier.end();
    }
    Ok(statistics(&clock, &written))
}

/// The same pages, which are not here.
fn of_parent(map: &PageMap) -> PageMap {
    let mut elsewhere = PageMap::default();
    for run in &map.runs {
        memory::add(&mut elsewhere.runs, run.vaddr, run_end(run), pagemap::PARENT);
    }
    elsewhere
}

impl Source {
    fn of(member: &mut Member, parent: Option<&Parent<'_>>, earlier: Option<&Tracking>) -> Result<Source> {
        let host_pid = member.pid;
        let start_time = member.stat.start_time;
        let pid = member.status.pid;
        let (mappings, _) = memory::mappings(host_pid, &member.of_ours())?;
        let vmas: Vec<_> = mappings.iter().map(memory::bare_entry).collect();
        let map = parent.and_then(|parent| parent.map(pid));
        // The rest is for the dump in which it is stopped.
        let readable: Vec<_> =
            vmas.iter().filter(|vma| vma.prot & libc::PROT_READ as u32 != 0).cloned().collect();
        let own = memory::own_pages(host_pid, &readable, map)?;
        let userfaultfd = match earlier.and_then(|earlier| earlier.of(host_pid, start_time)) {
            Some(userfaultfd) => userfaultfd,
            None => new_userfaultfd(member)?,
        };
        memory::track(host_pid, &vmas, userfaultfd.as_fd())?;
        let memory = member.process().memory().try_clone().at(|| format!("task {host_pid}: its memory"))?;
        Ok(Source { pid, host_pid, start_time, own, memory, userfaultfd })
    }
}

fn new_userfaultfd(member: &mut Member) -> Result<OwnedFd> {
    let pid = member.pid;
    let pidfd = member.pidfd.try_clone().at(|| format!("task {pid}: its pidfd"))?;
    let (number, argument) = USERFAULTFD;
    let userfaultfd = member.process().lend(pidfd.as_fd(), "userfaultfd", number, &[argument.into()])?;
    userfault::begin(userfaultfd.as_fd(), Mode::TrackWrites).at(|| format!("task {pid}: track writes"))?;
    Ok(userfaultfd)
}
