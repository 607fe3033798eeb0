//! Content of pages on its way to a file.
//!
//! Several threads take a piece of the file each: read, hash and write it while it is in the cache of their processor. Only
//! their writes wait for each other. It is we who write and not the task itself: that asks nothing of the task, not its
//! memory limit, nor its descriptors, nor its security module.

use crate::error::{At, Error, Result};
use crate::parallel;
use crate::snapshot::{PAGE_SIZE, is_of_parent, is_present, run_size};
use images::PIECE;
use images::messages::PagemapEntry;
use images::page_server::{Memory, PagesSender};
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use sys::userfault;

/// Where pages are read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// What does not change meanwhile.
    Still(&'a File),
    /// Memory of a process that runs, and who keeps track of writes to it. What cannot be read counts as written: it was given
    /// up, or the process may not read it itself any more.
    Running(&'a File, BorrowedFd<'a>),
}

/// Pages that lie one behind the other in a source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) start: u64,
    /// Bytes.
    pub(crate) size: u64,
}

/// The runs of a page map that are present, in memory that has its addresses.
pub(crate) fn stretches<'a>(source: Source<'a>, runs: &[PagemapEntry]) -> Vec<Stretch<'a>> {
    let present = runs.iter().filter(|run| is_present(run));
    let stretch = |run: &PagemapEntry| Some(Stretch { source, start: run.vaddr, size: run_size(run)? });
    present.filter_map(stretch).collect()
}

/// Copies stretches, one behind the other. Where a source ends within a page, zeros follow. `write` gets the pieces of the
/// file, each once, and its number. `progress` gets the bytes that were written since the last time.
pub(crate) fn copy(
    stretches: &[Stretch<'_>],
    write: impl Fn(usize, &[u8]) -> io::Result<()> + Sync,
    progress: &mut dyn FnMut(usize),
) -> sys::Result<()> {
    let ends = ends(stretches);
    let size = ends.last().copied().unwrap_or(0);
    let (written, mut told) = (AtomicU64::new(0), 0);
    // A kernel may let nobody but the thread that traces a task read what the task itself cannot
    // (CONFIG_PROC_MEM_FORCE_PTRACE). That is the caller's.
    let (tracer, left) = (thread::current().id(), Mutex::new(Vec::new()));
    let work = |nth: usize, buffer: &mut Vec<u8>| {
        let at = nth as u64 * PIECE;
        buffer.resize(PIECE as usize, 0);
        let piece = &mut buffer[..(size - at).min(PIECE) as usize];
        match read(stretches, &ends, at, piece) {
            Err(errno) if errno.raw() == libc::EIO && thread::current().id() != tracer => {
                left.lock().unwrap_or_else(PoisonError::into_inner).push(nth);
                return Ok(());
            }
            read => read?,
        }
        write(nth, piece)?;
        written.fetch_add(piece.len() as u64, Ordering::Relaxed);
        sys::Result::Ok(())
    };
    let mut tell = || {
        let written = written.load(Ordering::Relaxed);
        progress((written - told) as usize);
        told = written;
    };
    parallel::for_each(size.div_ceil(PIECE) as usize, work, &mut tell)?;
    let left = std::mem::take(&mut *left.lock().unwrap_or_else(PoisonError::into_inner));
    let mut buffer = Vec::new();
    for nth in left {
        work(nth, &mut buffer)?;
        tell();
    }
    Ok(())
}

/// Sends a map of pages, whose pages lie in the stretches one behind the other, to a page server: in their order, as it takes
/// them.
pub(crate) fn send(
    stretches: &[Stretch<'_>],
    of: Memory,
    runs: &[PagemapEntry],
    server: &mut PagesSender,
    progress: &mut dyn FnMut(usize),
    what: impl Fn() -> String,
) -> Result<()> {
    let ends = ends(stretches);
    let mut buffer = vec![0; PIECE as usize];
    let mut at = 0;
    let has_parent = server.open(of)?;
    if !has_parent && runs.iter().any(is_of_parent) {
        return Err(Error::new(format!("{}: the page server has no parent any more", what())));
    }
    for run in runs {
        let size = run_size(run).ok_or_else(|| Error::new(format!("{}: it is too large", what())))?;
        server.run(of, run.flags.unwrap_or_default(), run.vaddr, size / PAGE_SIZE)?;
        let end = if is_present(run) { at + size } else { at };
        while at < end {
            let piece = &mut buffer[..(end - at).min(PIECE) as usize];
            read(stretches, &ends, at, piece).at(&what)?;
            server.pages(piece)?;
            at += piece.len() as u64;
            progress(piece.len());
        }
    }
    Ok(())
}

/// Where each stretch ends in the file.
fn ends(stretches: &[Stretch<'_>]) -> Vec<u64> {
    let next = |end: &mut u64, stretch: &Stretch<'_>| {
        *end += stretch.size;
        Some(*end)
    };
    stretches.iter().scan(0, next).collect()
}

/// Reads what belongs into the file from its byte `at` on.
fn read(stretches: &[Stretch<'_>], ends: &[u64], mut at: u64, mut buffer: &mut [u8]) -> sys::Result<()> {
    let first = ends.partition_point(|end| *end <= at);
    for (stretch, end) in stretches[first..].iter().zip(&ends[first..]) {
        let len = (end - at).min(buffer.len() as u64);
        if len == 0 {
            break;
        }
        let (now, rest) = buffer.split_at_mut(len as usize);
        read_or_zeros(stretch.source, now, stretch.start + stretch.size - (end - at))?;
        at += len;
        buffer = rest;
    }
    Ok(())
}

fn read_or_zeros(source: Source<'_>, buffer: &mut [u8], at: u64) -> sys::Result<()> {
    let (Source::Still(file) | Source::Running(file, _)) = source;
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], at + done as u64) {
            Ok(0) => {
                buffer[done..].fill(0);
                break;
            }
            Ok(read) => done += read,
            Err(error) => match source {
                Source::Running(_, userfaultfd) if error.raw_os_error() == Some(libc::EIO) => {
                    match userfault::count_as_written(userfaultfd, at + done as u64, PAGE_SIZE) {
                        // What is there now is not tracked.
                        Err(errno) if errno.raw() == libc::ENOENT => {}
                        counted => counted?,
                    }
                    let end = buffer.len().min(done + PAGE_SIZE as usize);
                    buffer[done..end].fill(0);
                    done = end;
                }
                _ => return Err(error.into()),
            },
        }
    }
    Ok(())
}
