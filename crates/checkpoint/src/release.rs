//! Gives back the memory of a process that is condemned, by two processors.
//!
//! The kernel does it when the last thread ends, page by page from the lowest address on: most of the time that a kill
//! takes. process_mrelease(2) can help, but from the same end, where the two only wait for each other. So the process gives
//! up the upper half itself, before it is killed, and the lower one is taken from it.
//!
//! Nothing depends on it: what is not given back in this way the kernel gives back in its own.

use crate::snapshot::{PAGE_SIZE, Task, is_present, run_end};
use crate::tree::Member;
use images::messages::PagemapEntry;
use inject::Batch;
use std::ops::Range;
use std::os::fd::AsFd;
use std::time::Duration;

/// Bytes of memory that are worth it.
const WORTH: u64 = 64 << 20;
/// More stretches of memory than these have no room in a batch.
const MOST: usize = 64;
/// Enough for a thread that waits to begin.
const BEGIN: Duration = Duration::from_micros(200);

/// The upper half of the largest process's memory.
#[derive(Debug)]
pub(crate) struct Half {
    /// Its process is this one of the tree.
    nth: usize,
    ranges: Vec<Range<u64>>,
}

impl Half {
    /// `None` where nobody has much memory: processes that end together do so on several processors anyway.
    pub(crate) fn of(tasks: &[Task]) -> Option<Half> {
        let size = |task: &Task| task.pages.as_ref().and_then(|pages| pages.size()).unwrap_or(0);
        let (nth, largest) = tasks.iter().enumerate().max_by_key(|(_, task)| size(task))?;
        let size = size(largest);
        let runs = &largest.pages.as_ref()?.runs;
        (size >= WORTH).then(|| Half { nth, ranges: upper_half(runs, size) })
    }

    /// Has the process begin, which runs nothing else any more.
    pub(crate) fn begin(&self, members: &mut [Member]) {
        let mut batch = Batch::new();
        for Range { start, end } in &self.ranges {
            let arguments = [(*start).into(), (end - start).into(), (libc::MADV_DONTNEED as u64).into()];
            batch.call_may_fail("madvise", libc::SYS_madvise, &arguments);
        }
        if members[self.nth].process().start(0, &batch).is_ok() {
            std::thread::sleep(BEGIN);
        }
    }

    /// Takes the other half, when the process is killed.
    pub(crate) fn complete(&self, members: &[Member]) {
        // It may have ended already.
        let _ = sys::process::process_mrelease(members[self.nth].pidfd.as_fd());
    }
}

/// What lies behind the first half of the pages that are present, `size` bytes in all.
fn upper_half(runs: &[PagemapEntry], size: u64) -> Vec<Range<u64>> {
    let mut left = size / 2 / PAGE_SIZE * PAGE_SIZE;
    let behind = |run: &PagemapEntry| {
        let start = run.vaddr + left.min(run_end(run) - run.vaddr);
        left -= start - run.vaddr;
        (start < run_end(run)).then(|| start..run_end(run))
    };
    runs.iter().filter(|run| is_present(run)).filter_map(behind).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::pagemap;

    #[test]
    fn halves() {
        let run = |vaddr, pages, flags| PagemapEntry {
            vaddr: vaddr * PAGE_SIZE,
            nr_pages: Some(pages),
            flags: Some(flags),
            ..PagemapEntry::default()
        };
        let upper = |runs: &[PagemapEntry], pages: u64| -> Vec<(u64, u64)> {
            let ranges = upper_half(runs, pages * PAGE_SIZE).into_iter();
            ranges.map(|range| (range.start / PAGE_SIZE, range.end / PAGE_SIZE)).collect()
        };
        let several = [
            run(1, 2, pagemap::PRESENT),
            run(3, 50, pagemap::PARENT),
            run(60, 1, pagemap::PRESENT),
            run(70, 3, pagemap::PRESENT),
        ];
        assert_eq!(upper(&several, 6), [(70, 73)]);
        assert_eq!(upper(&several[..1], 2), [(2, 3)]);
    }
}
