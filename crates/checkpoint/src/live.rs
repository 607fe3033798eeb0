//! A dump that leaves the container running does not keep it waiting for its memory: pages are copied while the tasks run
//! and the kernel keeps track of writes, so the pause is for those that were written meanwhile.
//!
//! Both copies go to files without a name. When the tasks run again they become the one that the images have, so that
//! nobody sees how it was made. It takes the room of the memory twice for that long.
//!
//! Not here: shared memory and files, which are copied in the pause.

use crate::collect::write_pages;
use crate::dump::Clock;
use crate::error::{At, Result};
use crate::memory;
use crate::pages::{self, Stretch, stretches};
use crate::pre_dump::{self, Source};
use crate::proc::Status;
use crate::snapshot::vma::GUARD;
use crate::snapshot::{PageMap, Task, is_present, pagemap, run_end, run_size};
use crate::target::{Afterwards, DumpOptions, Target};
use crate::tracking::{self, Tracking};
use crate::tree;
use images::DirectoryWriter;
use images::messages::PagemapEntry;
use images::page_server::Memory;
use inject::Supervisor;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// Bytes of memory that are worth stopping twice.
const LARGE: u64 = 64 << 20;

/// Memory that was copied before the pause.
#[derive(Debug)]
pub(crate) struct Live {
    processes: Vec<Copied>,
    directory: OwnedFd,
}

#[derive(Debug)]
struct Copied {
    /// In its pid namespace.
    pid: u32,
    map: PageMap,
    file: File,
    /// What was written since then, once it is copied.
    written: Option<File>,
    /// Writes are tracked for as long as it is there.
    userfaultfd: Option<OwnedFd>,
}

impl Live {
    /// Copies memory of running tasks, if that is worth it and possible.
    pub(crate) fn begin(
        target: &Target<'_>,
        options: &DumpOptions<'_>,
        images: BorrowedFd<'_>,
        supervisor: &Supervisor,
        clock: &mut Clock,
    ) -> Result<Option<Live>> {
        let is_copied = options.parent.is_none() && options.page_source.is_none();
        let is_wanted = options.afterwards == Afterwards::Running && is_copied && !target.is_paused;
        // Two cannot keep track of the same memory.
        if !is_wanted || Tracking::find(target.tracking).is_some() || anonymous_memory(target.init) < LARGE {
            return Ok(None);
        }
        tracking::check()?;
        let directory = images.try_clone_to_owned().at(|| "open the directory of images".to_owned())?;
        let mut live = Live { processes: Vec::new(), directory };
        // Before anything is stopped.
        drop(live.scratch()?);
        for Source { pid, host_pid, own, memory, userfaultfd, .. } in
            pre_dump::track(target, supervisor, None, None, clock)?
        {
            let file = live.scratch()?;
            let source = pages::Source::Running(&memory, userfaultfd.as_fd());
            copy(&stretches(source, &own.runs), &file, &mut |_| {})
                .at(|| format!("task {host_pid}: copy its memory while it runs"))?;
            let map = PageMap { pages_id: 0, runs: own.runs };
            live.processes.push(Copied { pid, map, file, written: None, userfaultfd: Some(userfaultfd) });
        }
        Ok(Some(live))
    }

    /// The pages of a process that were copied.
    pub(crate) fn map(&self, pid: u32) -> Option<&PageMap> {
        self.processes.iter().find(|copied| copied.pid == pid).map(|copied| &copied.map)
    }

    /// Copies what a process has written since; false where nothing was copied before.
    pub(crate) fn copy_written(
        &mut self,
        pid: u32,
        stretches: &[Stretch<'_>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<bool> {
        let Some(at) = self.processes.iter().position(|copied| copied.pid == pid) else { return Ok(false) };
        let scratch = self.scratch()?;
        copy(stretches, &scratch, progress).at(|| format!("task {pid}: copy what it has written"))?;
        let copied = &mut self.processes[at];
        copied.written = Some(scratch);
        copied.userfaultfd = None;
        Ok(true)
    }

    /// Writes the pages of a task of which both are there, so that its map has all of them present.
    pub(crate) fn merge(
        &self,
        task: &mut Task,
        pages_id: &mut u32,
        directory: &mut DirectoryWriter,
    ) -> Result<()> {
        let pid = task.entry.pid;
        let copied = self.processes.iter().find(|copied| copied.pid == pid);
        let (Some(copied), Some(pages), Some(mm)) = (copied, &mut task.pages, &task.mm) else {
            return Ok(());
        };
        let Some(written) = &copied.written else { return Ok(()) };
        let (mut all, mut runs) = (Vec::new(), Vec::new());
        let offsets = offsets(&copied.map.runs);
        let mut at = 0;
        for run in &pages.runs {
            let size = run_size(run).unwrap_or(0);
            if is_present(run) {
                all.push(Stretch { source: pages::Source::Still(written), start: at, size });
                at += size;
                memory::add(&mut runs, run.vaddr, run_end(run), run.flags.unwrap_or(pagemap::PRESENT));
                continue;
            }
            let first = copied.map.first_beyond(run.vaddr);
            for (earlier, offset) in copied.map.runs[first..].iter().zip(&offsets[first..]) {
                let (from, to) = (earlier.vaddr.max(run.vaddr), run_end(earlier).min(run_end(run)));
                if from >= to {
                    break;
                }
                let start = offset + (from - earlier.vaddr);
                all.push(Stretch { source: pages::Source::Still(&copied.file), start, size: to - from });
            }
            // One run may lie in several mappings.
            let first = mm.vmas.partition_point(|vma| vma.status & GUARD == 0 && vma.end <= run.vaddr);
            for vma in
                mm.vmas[first..].iter().take_while(|vma| vma.status & GUARD == 0 && vma.start < run_end(run))
            {
                let (from, to) = (vma.start.max(run.vaddr), vma.end.min(run_end(run)));
                memory::add(&mut runs, from, to, memory::bits(vma));
            }
        }
        let what = || format!("task {pid}: put its memory together");
        *pages = write_pages(pages_id, Memory::OfTask(pid), &all, runs, directory, &mut |_| {}, what)?;
        Ok(())
    }

    /// A file without a name, where the images are.
    fn scratch(&self) -> Result<File> {
        use nix::fcntl::{OFlag, openat};
        use nix::sys::stat::Mode;
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let made = openat(&self.directory, ".", flags, Mode::S_IRUSR | Mode::S_IWUSR);
        Ok(File::from(made.at(|| "make a file without a name beside the images".to_owned())?))
    }
}

/// Where each run begins in the file.
fn offsets(runs: &[PagemapEntry]) -> Vec<u64> {
    let next = |at: &mut u64, run: &PagemapEntry| {
        let start = *at;
        *at += run_size(run).unwrap_or(0);
        Some(start)
    };
    runs.iter().scan(0, next).collect()
}

fn copy(stretches: &[Stretch<'_>], to: &File, progress: &mut dyn FnMut(usize)) -> sys::Result<()> {
    let write = |nth: usize, bytes: &[u8]| to.write_all_at(bytes, nth as u64 * images::PIECE);
    pages::copy(stretches, write, progress)
}

/// Bytes that all processes have, as far as they can be asked.
fn anonymous_memory(init: i32) -> u64 {
    let of = |pid: i32| Status::of(pid).map_or(0, |status| status.anonymous_kb << 10);
    tree::processes(init).into_iter().map(of).sum()
}
