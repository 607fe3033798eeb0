//! The daemon that fills the memory of a restore which does not wait for it (`lazy.rs`), for floe and for CRIU: what tasks
//! want at once, and everything else once all of them run.
//!
//! While memory is moved, given up or inherited by a child, the kernel has who does that wait until the event was read, and
//! refuses to let us put pages anywhere meanwhile (EAGAIN). So events are read before anything else, and what we know of
//! addresses is right whenever a page is taken.

use super::lazy::{self, CHILD, COMPLETE, LAZY_PAGES_SOCKET, RUNNING};
use super::pages::{PageFiles, Pages};
use crate::error::{At, Error, Result};
use crate::snapshot::{Ancestors, PAGE_SIZE, Snapshot};
use images::page_server::PageServer;
use images::{Digest, PagesReader};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use sys::userfault::{self, Event};

/// Bytes that are supplied at a time, and those behind a page that a task waits for.
const CHUNK: u64 = 256 << 10;
const AROUND: u64 = 64 << 10;

/// The pages of a dump.
#[derive(Debug)]
pub struct Pager {
    snapshot: Snapshot,
    pages: PageFiles,
    dump: Option<Digest>,
}

impl Pager {
    /// Reads and verifies the images, pages included.
    pub fn open(images: BorrowedFd<'_>) -> Result<Pager> {
        let images = super::verified(images)?;
        let snapshot = Snapshot::read(&images)?;
        let ancestors = Ancestors::read(&images, &snapshot)?;
        let pages = PageFiles::open(&snapshot, &images, &ancestors)?;
        pages.verify([&images].into_iter().chain(ancestors.directories()))?;
        Ok(Pager { snapshot, pages, dump: images.digest() })
    }

    /// Whether the dump has left memory, which it serves.
    pub fn needs_source(&self) -> bool {
        self.snapshot.tasks.iter().any(|task| !lazy::left(task).is_empty())
    }

    /// Listens for a restore in the working directory.
    pub fn listen() -> Result<UnixListener> {
        // One that was left behind is replaced, as with CRIU.
        let listening = match fs::remove_file(LAZY_PAGES_SOCKET) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => UnixListener::bind(LAZY_PAGES_SOCKET),
        };
        // Who connects gets the memory.
        let own = Permissions::from_mode(0o600);
        let listening = listening.and_then(|it| fs::set_permissions(LAZY_PAGES_SOCKET, own).map(|()| it));
        listening.at(|| format!("listen at {LAZY_PAGES_SOCKET}"))
    }

    /// Fills the memory of one restore; what the dump has left comes from `source`, which is told when that is all.
    ///
    /// # Errors
    /// Some of it is missing for ever: the restore has failed, or pages cannot be read.
    pub fn serve(&self, listener: UnixListener, mut source: Option<PageServer>) -> Result<()> {
        let (mut restore, _) = listener.accept().at(|| "accept a restore".to_owned())?;
        drop(listener);
        // Who is not floe does not read it.
        let greeted = restore.write_all(&lazy::greeting(self.dump));
        greeted.at(|| "greet the restore".to_owned())?;
        let memories = self.receive(&mut restore)?;
        let source_of = source.as_mut();
        Service { restore: &restore, source: source_of, memories, are_running: false, is_gone: false }
            .serve()?;
        // Before the guard gives up: what is left of the dump may end now.
        if let Some(source) = source {
            source.finish()?;
        }
        // Who is not floe has closed it.
        let _ = send(restore.as_raw_fd(), &[COMPLETE], MsgFlags::MSG_NOSIGNAL);
        Ok(())
    }

    fn receive(&self, restore: &mut UnixStream) -> Result<Vec<Memory<'_>>> {
        let failed = || "hear of the tasks from the restore".to_owned();
        let mut memories = Vec::new();
        for _ in &self.snapshot.tasks {
            let mut pid = [0; 4];
            restore.read_exact(&mut pid).at(failed)?;
            let pid = i32::from_le_bytes(pid);
            if pid < 0 {
                continue;
            }
            let task = self.snapshot.tasks.iter().find(|task| task.entry.pid as i32 == pid);
            let task = task.ok_or_else(|| Error::new(format!("{}: {pid} is none of the dump", failed())))?;
            let userfaultfd = lazy::receive(restore).at(failed)?.and_then(|(_, userfaultfd)| userfaultfd);
            let userfaultfd = userfaultfd
                .ok_or_else(|| Error::new(format!("{}: no userfaultfd of task {pid}", failed())))?;
            let missing = Missing::new(&self.pages.of_task(task), &lazy::ranges(task), &lazy::left(task));
            memories.push(Memory { pid, userfaultfd, missing, faults: Vec::new() });
        }
        Ok(memories)
    }
}

struct Service<'a> {
    restore: &'a UnixStream,
    /// Who has memory that the dump has left.
    source: Option<&'a mut PageServer>,
    /// Of the tasks, and of children that they have made.
    memories: Vec<Memory<'a>>,
    /// The restore has succeeded.
    are_running: bool,
    is_gone: bool,
}

/// How a page, or more, came to where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supplied {
    Done,
    /// An event is to be read first.
    Later,
    /// The process has ended, or executes another program.
    Ended,
}

impl Service<'_> {
    fn serve(&mut self) -> Result<()> {
        let mut buffer = vec![0; CHUNK as usize];
        let mut waits_for_events = false;
        while !(self.are_running && self.memories.iter().all(Memory::is_complete)) {
            // What is to be done without being asked is done when nobody asks.
            let is_busy = self.are_running || self.memories.iter().any(|memory| !memory.faults.is_empty());
            let timeout = match (waits_for_events, is_busy) {
                (true, _) => PollTimeout::from(1_u8),
                (false, true) => PollTimeout::ZERO,
                (false, false) => PollTimeout::NONE,
            };
            self.wait(timeout)?;
            self.read_events()?;
            waits_for_events = false;
            let mut ended = Vec::new();
            for (nth, memory) in self.memories.iter_mut().enumerate() {
                match memory.supply_faults(self.source.as_deref_mut(), &mut buffer)? {
                    Supplied::Done => {}
                    Supplied::Later => waits_for_events = true,
                    Supplied::Ended => ended.push(nth),
                }
            }
            if self.are_running
                && let Some((nth, memory)) =
                    self.memories.iter_mut().enumerate().find(|(_, memory)| !memory.missing.0.is_empty())
            {
                match memory.supply_next(self.source.as_deref_mut(), &mut buffer)? {
                    Supplied::Done => {}
                    Supplied::Later => waits_for_events = true,
                    Supplied::Ended => ended.push(nth),
                }
            }
            ended.sort_unstable();
            ended.dedup();
            for nth in ended.into_iter().rev() {
                self.memories.remove(nth);
            }
        }
        Ok(())
    }

    /// Waits for events and for the restore.
    fn wait(&mut self, timeout: PollTimeout) -> Result<()> {
        let fds = self.memories.iter().map(|memory| memory.userfaultfd.as_fd());
        let restore = (!self.is_gone).then_some(self.restore.as_fd());
        let mut polled: Vec<PollFd<'_>> =
            fds.chain(restore).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut polled, timeout) {
            Err(nix::Error::EINTR) => return Ok(()),
            polled => polled.at(|| "wait for faults".to_owned())?,
        };
        if self.is_gone || polled.last().and_then(PollFd::any) != Some(true) {
            return Ok(());
        }
        let mut word = [0; 4];
        match self.restore.read_exact(&mut word) {
            Ok(()) if u32::from_le_bytes(word) == RUNNING => self.are_running = true,
            // CRIU closes it then, and has not read what we said.
            Err(_) if self.are_running => self.is_gone = true,
            Ok(()) => return Err(Error::new("hear from the restore: not what was expected")),
            Err(error) => return Err(error).at(|| "the restore has ended before its tasks run".to_owned()),
        }
        Ok(())
    }

    /// Takes note of all that has happened.
    fn read_events(&mut self) -> Result<()> {
        let mut nth = 0;
        // Children join at the end.
        while nth < self.memories.len() {
            while let Some(event) = self.memories[nth].read()? {
                let memory = &mut self.memories[nth];
                match event {
                    Event::Fault { address } => memory.faults.push(address & !(PAGE_SIZE - 1)),
                    Event::Remove { start, end } => drop(memory.missing.take(start..end)),
                    Event::Remap { from, to, len } => memory.missing.shift(from, to, len),
                    Event::Fork { userfaultfd } => {
                        // A guard that is no floe's, or is gone, does not matter here.
                        let _ = lazy::send(self.restore, CHILD, userfaultfd.as_fd());
                        let missing = memory.missing.clone();
                        let pid = memory.pid;
                        self.memories.push(Memory { pid, userfaultfd, missing, faults: Vec::new() });
                    }
                }
            }
            nth += 1;
        }
        Ok(())
    }
}

/// The memory of a process.
struct Memory<'a> {
    /// As in the images; a child's is that of the task it comes from.
    pid: i32,
    userfaultfd: OwnedFd,
    missing: Missing<'a>,
    /// Pages that somebody waits for.
    faults: Vec<u64>,
}

impl Memory<'_> {
    fn is_complete(&self) -> bool {
        self.missing.0.is_empty() && self.faults.is_empty()
    }

    fn read(&self) -> Result<Option<Event>> {
        userfault::read(self.userfaultfd.as_fd()).at(|| format!("task {}: read its faults", self.pid))
    }

    /// Supplies what is waited for.
    fn supply_faults(&mut self, mut source: Option<&mut PageServer>, buffer: &mut [u8]) -> Result<Supplied> {
        while let Some(&address) = self.faults.last() {
            let supplied = match self.missing.from(address, AROUND) {
                Some(run) => self.supply(run, source.as_deref_mut(), buffer)?,
                None => self.supply_zeros(address)?,
            };
            if supplied != Supplied::Done {
                return Ok(supplied);
            }
            self.faults.pop();
            // Where there was a page, or no mapping any more, nobody has been woken.
            let woken = userfault::wake(self.userfaultfd.as_fd(), address, PAGE_SIZE);
            woken.at(|| format!("task {}: wake it", self.pid))?;
        }
        Ok(Supplied::Done)
    }

    /// Supplies what nobody has asked for yet.
    fn supply_next(&mut self, source: Option<&mut PageServer>, buffer: &mut [u8]) -> Result<Supplied> {
        let next = self.missing.0.keys().next().and_then(|address| self.missing.from(*address, CHUNK));
        next.map_or(Ok(Supplied::Done), |run| self.supply(run, source, buffer))
    }

    /// Supplies the beginning of a run, a page at least, and notes that it is missing no more.
    fn supply(
        &mut self,
        run: Run<'_>,
        source: Option<&mut PageServer>,
        buffer: &mut [u8],
    ) -> Result<Supplied> {
        let bytes = &mut buffer[..run.size as usize];
        let mut size = run.size;
        match (run.file, source) {
            (Some(file), _) => {
                file.file().read_exact_at(bytes, run.at).at(|| format!("read {}", file.name()))?;
            }
            (None, Some(source)) => size = source.get(self.pid as u32, run.at, bytes)? as u64,
            (None, None) => {
                return Err(Error::new(format!("task {}: the dump has left its memory", self.pid)));
            }
        }
        let mut is_second_try = false;
        let done = loop {
            let supplied = userfault::supply(self.userfaultfd.as_fd(), run.start, &bytes[..size as usize]);
            match supplied.map_err(|errno| errno.raw()) {
                Ok(done) => break done,
                // It is there: somebody was faster, as a huge page was made of others.
                Err(libc::EEXIST) => break PAGE_SIZE,
                // More than one mapping; or none, which counts only where no event is about to say where it is.
                Err(libc::ENOENT) if size > PAGE_SIZE => size = (size / 2).next_multiple_of(PAGE_SIZE),
                Err(libc::ENOENT) if !is_second_try => is_second_try = true,
                Err(libc::ENOENT) => break PAGE_SIZE,
                Err(libc::EAGAIN) => return Ok(Supplied::Later),
                Err(libc::ESRCH) => return Ok(Supplied::Ended),
                Err(errno) => {
                    let what = format!("task {}: supply {size} bytes at {:#x}", self.pid, run.start);
                    return Err(Error::of_kernel(what, sys::Errno::from_raw(errno)));
                }
            }
        };
        self.missing.take(run.start..run.start + done);
        Ok(Supplied::Done)
    }

    /// Supplies a page that the images do not have.
    fn supply_zeros(&self, address: u64) -> Result<Supplied> {
        let supplied = userfault::supply_zeros(self.userfaultfd.as_fd(), address, PAGE_SIZE);
        match supplied.map_err(|errno| errno.raw()) {
            Ok(()) | Err(libc::EEXIST | libc::ENOENT) => Ok(Supplied::Done),
            Err(libc::EAGAIN) => Ok(Supplied::Later),
            Err(libc::ESRCH) => Ok(Supplied::Ended),
            Err(errno) => {
                let what = format!("task {}: supply zeros at {address:#x}", self.pid);
                Err(Error::of_kernel(what, sys::Errno::from_raw(errno)))
            }
        }
    }
}

/// Pages that lie one behind the other, in memory and where they come from.
#[derive(Clone, Copy)]
struct Run<'a> {
    start: u64,
    /// Bytes.
    size: u64,
    /// `None` for what the dump has left.
    file: Option<&'a PagesReader>,
    /// Where they begin in the file, or in the memory of the dumped task.
    at: u64,
}

/// What is still to be supplied, by its address at the moment.
#[derive(Clone, Default)]
struct Missing<'a>(BTreeMap<u64, Run<'a>>);

impl<'a> Missing<'a> {
    fn new(pages: &Pages<'a>, ranges: &[Range<u64>], left: &[Range<u64>]) -> Missing<'a> {
        let here = ranges.iter().flat_map(|range| pages.within(range));
        let here = here.map(|run| Run { start: run.start, size: run.size, file: Some(run.file), at: run.at });
        let left = left.iter().map(|range| {
            let (start, size) = (range.start, range.end - range.start);
            Run { start, size, file: None, at: start }
        });
        Missing(here.chain(left).map(|run| (run.start, run)).collect())
    }

    /// What there is from an address on, at most `len` bytes in one file.
    fn from(&self, address: u64, len: u64) -> Option<Run<'a>> {
        let (_, run) = self.0.range(..=address).next_back()?;
        let skipped = address - run.start;
        let left = run.size.checked_sub(skipped).filter(|left| *left > 0)?;
        Some(Run { start: address, size: left.min(len), at: run.at + skipped, ..*run })
    }

    /// Takes what is in a range out.
    fn take(&mut self, range: Range<u64>) -> Vec<Run<'a>> {
        if range.is_empty() {
            return Vec::new();
        }
        self.split(range.start);
        self.split(range.end);
        let found: Vec<u64> = self.0.range(range).map(|(start, _)| *start).collect();
        found.into_iter().filter_map(|start| self.0.remove(&start)).collect()
    }

    /// Has a run end, and another begin, at an address that lies in it.
    fn split(&mut self, address: u64) {
        let Some((_, run)) = self.0.range_mut(..address).next_back() else { return };
        let head = address - run.start;
        if head < run.size {
            let tail = Run { start: address, size: run.size - head, at: run.at + head, ..*run };
            run.size = head;
            self.0.insert(address, tail);
        }
    }

    /// Moves what is in `len` bytes at `from`.
    fn shift(&mut self, from: u64, to: u64, len: u64) {
        for run in self.take(from..from.saturating_add(len)) {
            let start = to + (run.start - from);
            self.0.insert(start, Run { start, ..run });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::pages;
    use std::fs::File;

    /// Of a file of 16 pages: the first eight, and the last four.
    fn check(change: impl Fn(&mut Missing<'_>), expected: &[(u64, u64, u64)]) {
        let path = tempfile::tempdir().expect("a directory");
        std::fs::write(path.path().join("pages-1.img"), vec![0; 16 * PAGE_SIZE as usize]).expect("write");
        let directory =
            images::Directory::new(File::open(path.path()).expect("open").into()).expect("images");
        let file = directory.pages("pages-1.img").expect("open").expect("pages");
        let run = |start, pages, at| pages::Run {
            start: start * PAGE_SIZE,
            size: pages * PAGE_SIZE,
            file: &file,
            at: at * PAGE_SIZE,
        };
        let pages = Pages { runs: vec![run(0x100, 8, 0), run(0x200, 4, 12)] };
        let all = 0x100 * PAGE_SIZE..0x300 * PAGE_SIZE;
        let mut missing = Missing::new(&pages, &[all], &[]);
        change(&mut missing);
        let left = missing.0.iter().map(|(start, run)| {
            assert_eq!(*start, run.start);
            (start / PAGE_SIZE, run.size / PAGE_SIZE, run.at / PAGE_SIZE)
        });
        assert_eq!(left.collect::<Vec<_>>(), expected);
    }

    fn pages(range: Range<u64>) -> Range<u64> {
        range.start * PAGE_SIZE..range.end * PAGE_SIZE
    }

    #[test]
    fn what_is_given_up_is_missing_no_more() {
        check(|_| {}, &[(0x100, 8, 0), (0x200, 4, 12)]);
        check(
            |missing| drop(missing.take(pages(0x102..0x103))),
            &[(0x100, 2, 0), (0x103, 5, 3), (0x200, 4, 12)],
        );
        check(|missing| drop(missing.take(pages(0x107..0x203))), &[(0x100, 7, 0), (0x203, 1, 15)]);
        check(|missing| drop(missing.take(pages(0..0x1000))), &[]);
        check(|missing| drop(missing.take(5..5)), &[(0x100, 8, 0), (0x200, 4, 12)]);
    }

    #[test]
    fn what_is_moved_keeps_its_content() {
        let shift = |from: u64, to: u64, count: u64| {
            move |missing: &mut Missing<'_>| {
                missing.shift(from * PAGE_SIZE, to * PAGE_SIZE, count * PAGE_SIZE);
            }
        };
        check(shift(0x104, 0x180, 0x100), &[(0x100, 4, 0), (0x180, 4, 4), (0x27c, 4, 12)]);
        check(shift(0x200, 0x50, 2), &[(0x50, 2, 12), (0x100, 8, 0), (0x202, 2, 14)]);
    }

    #[test]
    fn pages_around_an_address() {
        let find = |address: u64, pages: u64, expected: Option<(u64, u64)>| {
            let look = |missing: &mut Missing<'_>| {
                let found = missing.from(address * PAGE_SIZE, pages * PAGE_SIZE);
                assert_eq!(found.map(|run| (run.size / PAGE_SIZE, run.at / PAGE_SIZE)), expected);
                assert!(found.is_none_or(|run| run.start == address * PAGE_SIZE));
            };
            check(look, &[(0x100, 8, 0), (0x200, 4, 12)]);
        };
        find(0xff, 4, None);
        find(0x100, 4, Some((4, 0)));
        find(0x106, 4, Some((2, 6)));
        find(0x108, 4, None);
        find(0x203, 4, Some((1, 15)));
    }
}
