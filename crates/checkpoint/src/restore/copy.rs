//! Large memory is put into a task from outside, through userfaultfd(2): by several threads of ours, and without zeros that
//! the kernel writes first. A task that read its own pages would be one thread, and would make each page empty before.

use super::build::Build;
use super::pages::Run;
use crate::error::{At, Result};
use crate::parallel;
use inject::Batch;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use sys::userfault::{self, Mode, USERFAULTFD};

/// Bytes that are worth a userfaultfd.
const LARGE: u64 = 8 << 20;

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
    let mut parts: Vec<Part<'_>> = runs.iter().copied().flat_map(Part::of).collect();
    parts.sort_by_key(|part| (part.run.file.file().as_raw_fd(), part.piece));
    let is_together = |a: &Part<'_>, b: &Part<'_>| a.piece == b.piece && std::ptr::eq(a.run.file, b.run.file);
    let pieces: Vec<&[Part<'_>]> = parts.chunk_by(is_together).collect();
    let work = |nth: usize, buffer: &mut Vec<u8>| {
        let (file, piece) = (pieces[nth][0].run.file, pieces[nth][0].piece);
        let bytes = file.read(piece, buffer)?;
        let begin = file.piece(piece).start;
        for Run { start, size, at, .. } in pieces[nth].iter().map(|part| part.run) {
            let copied =
                userfault::copy(userfaultfd, start, &bytes[(at - begin) as usize..][..size as usize]);
            copied.at(|| format!("copy {size} bytes of pages to {start:#x}"))?;
        }
        Result::Ok(())
    };
    build.pages.copying(|| parallel::for_each(pieces.len(), work, &mut || ()))?;
    Ok(true)
}

/// What lies in one piece of a file.
struct Part<'a> {
    piece: usize,
    run: Run<'a>,
}

impl<'a> Part<'a> {
    fn of(run: Run<'a>) -> impl Iterator<Item = Part<'a>> {
        let end = run.at + run.size;
        run.file.pieces_of(&(run.at..end)).map(move |piece| {
            let whole = run.file.piece(piece);
            let (from, to) = (run.at.max(whole.start), end.min(whole.end));
            Part { piece, run: Run { start: run.start + (from - run.at), size: to - from, at: from, ..run } }
        })
    }
}
