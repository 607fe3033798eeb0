//! Large memory is put into a task from outside, through userfaultfd(2): by several threads of ours, and without zeros that
//! the kernel writes first. A task that read its own pages would be one thread, and would make each page empty before.

use super::build::Build;
use super::memory::Run;
use crate::error::{At, Error, Result};
use inject::Batch;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::num::NonZero;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use sys::userfault::{self, Mode, USERFAULTFD, View};

/// Bytes that are copied at a time.
const CHUNK: u64 = 1 << 20;
/// Bytes that are worth threads.
const LARGE: u64 = 8 << 20;
/// More threads than these only wait for memory.
const MOST_THREADS: usize = 4;

/// Copies runs of pages into new anonymous memory of a task, which lies in `ranges`. False where that is not worth it, or
/// not possible; nothing has changed then.
pub(super) fn copy(
    build: &mut Build<'_>,
    index: usize,
    ranges: &[Range<u64>],
    runs: &[Run<'_>],
) -> Result<bool> {
    if runs.iter().map(|run| run.size).sum::<u64>() < LARGE {
        return Ok(false);
    }
    let mut batch = Batch::new();
    let (number, argument) = USERFAULTFD;
    let made = batch.call_may_fail("userfaultfd", number, &[argument.into()]);
    let Ok(fd) = build.run(index, &batch)?.result(made) else { return Ok(false) };
    let copied = copy_through(build, index, fd as i32, ranges, runs);
    let mut batch = Batch::new();
    batch.call("close", libc::SYS_close, &[fd.into()]);
    build.run(index, &batch)?;
    copied
}

fn copy_through(
    build: &Build<'_>,
    index: usize,
    fd: i32,
    ranges: &[Range<u64>],
    runs: &[Run<'_>],
) -> Result<bool> {
    let task = build.host_pid(index)?;
    let userfaultfd =
        sys::process::pidfd_open(task).and_then(|pidfd| sys::process::pidfd_getfd(pidfd.as_fd(), fd));
    let userfaultfd = userfaultfd.at(|| format!("task {task}: copy its userfaultfd"))?;
    let userfaultfd = userfaultfd.as_fd();
    let register = |range: &Range<u64>| {
        userfault::register(userfaultfd, Mode::Missing, range.start, range.end - range.start)
    };
    let begun = userfault::begin(userfaultfd, Mode::Missing);
    if begun.and_then(|()| ranges.iter().try_for_each(register)).is_err() {
        return Ok(false);
    }
    let mut views = BTreeMap::new();
    for run in runs {
        if let Entry::Vacant(vacant) = views.entry(run.file.as_raw_fd()) {
            vacant.insert(View::of(run.file).at(|| "map pages".to_owned())?);
        }
    }
    let chunks: Vec<Run<'_>> = runs.iter().copied().flat_map(in_chunks).collect();
    let copies =
        Copies { userfaultfd, views, chunks, next: AtomicUsize::new(0), has_failed: AtomicBool::new(false) };
    let count = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    thread::scope(|scope| {
        let others: Vec<_> = (1..count).map(|_| scope.spawn(|| copies.work())).collect();
        let own = copies.work();
        others.into_iter().fold(own, |result, other| result.and(other.join().expect("a copy does not panic")))
    })?;
    Ok(true)
}

fn in_chunks(run: Run<'_>) -> impl Iterator<Item = Run<'_>> {
    (0..run.size).step_by(CHUNK as usize).map(move |done| Run {
        start: run.start + done,
        size: (run.size - done).min(CHUNK),
        at: run.at + done,
        ..run
    })
}

/// What several threads do.
struct Copies<'a> {
    userfaultfd: BorrowedFd<'a>,
    /// By the numbers of their files.
    views: BTreeMap<i32, View>,
    chunks: Vec<Run<'a>>,
    next: AtomicUsize,
    has_failed: AtomicBool,
}

impl Copies<'_> {
    fn work(&self) -> Result<()> {
        while let Some(chunk) = self.chunks.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if self.has_failed.load(Ordering::Relaxed) {
                break;
            }
            let view = &self.views[&chunk.file.as_raw_fd()];
            view.copy(self.userfaultfd, chunk.start, chunk.at, chunk.size).map_err(|errno| {
                self.has_failed.store(true, Ordering::Relaxed);
                Error::of_kernel(format!("copy {} bytes of pages to {:#x}", chunk.size, chunk.start), errno)
            })?;
        }
        Ok(())
    }
}
