//! Content of pages on its way to `pages-N.img`: read, written, hashed.
//!
//! Each takes a good part of the time, so large ones go from thread to thread. There is one writer, because two that write
//! to one file wait for each other. It is we who write and not the task itself: that is as fast with two processors, and
//! asks nothing of the task, not its memory limit, nor its descriptors, nor its security module.

use crate::snapshot::{PAGE_SIZE, is_present, run_size};
use images::Pages;
use images::messages::PagemapEntry;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::thread;

/// Bytes that are read at a time: what is written and hashed is still in the cache.
const CHUNK: usize = 256 << 10;
/// How many of them are on their way.
const CHUNKS: usize = 16;
/// Bytes that are worth threads.
const LARGE: u64 = 8 << 20;

/// Where pages are read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// What does not change meanwhile.
    Still(&'a File),
    /// Memory of a process that runs: where it has given some up, nobody needs to know what was there.
    Running(&'a File),
}

/// Copies runs of pages from a source to the pages file, one behind the other. Where the source ends within a page, zeros
/// follow. `progress` gets the bytes of every chunk that is read.
pub(crate) fn copy(
    source: Source<'_>,
    runs: &[PagemapEntry],
    pages: &mut Pages,
    progress: &mut dyn FnMut(usize),
) -> sys::Result<()> {
    let runs: Vec<(u64, u64)> = runs
        .iter()
        .filter(|run| is_present(run))
        .filter_map(|run| Some((run.vaddr, run_size(run)?)))
        .collect();
    let size: u64 = runs.iter().map(|(_, size)| size).sum();
    let mut reader = Reader { source, runs: &runs, done: 0 };
    let mut writer = Writer { file: pages.file().try_clone()?, at: 0 };
    if size < LARGE {
        let mut chunk = Vec::with_capacity(CHUNK);
        while reader.fill(&mut chunk)? {
            progress(chunk.len());
            writer.write(&chunk)?;
            pages.digest(&chunk);
        }
        return Ok(());
    }
    let (filled, to_write) = mpsc::sync_channel::<Vec<u8>>(CHUNKS);
    let (written, to_digest) = mpsc::sync_channel(CHUNKS);
    let (done, empty) = mpsc::sync_channel(CHUNKS);
    for _ in 0..CHUNKS {
        done.send(Vec::with_capacity(CHUNK)).expect("there is room for all");
    }
    // Each ends when the one before it has ended, or the one behind it.
    let read = || -> sys::Result<()> {
        for mut chunk in empty {
            let is_more = reader.fill(&mut chunk)?;
            progress(chunk.len());
            if !is_more || filled.send(chunk).is_err() {
                break;
            }
        }
        drop(filled);
        Ok(())
    };
    let write = move || -> sys::Result<()> {
        for chunk in to_write {
            writer.write(&chunk)?;
            if written.send(chunk).is_err() {
                break;
            }
        }
        Ok(())
    };
    let digest = move || {
        for chunk in to_digest {
            pages.digest(&chunk);
            // Nobody takes the last ones.
            let _ = done.send(chunk);
        }
    };
    thread::scope(|scope| {
        let writer = scope.spawn(write);
        scope.spawn(digest);
        let read = read();
        writer.join().expect("the writer does not panic").and(read)
    })
}

struct Reader<'a> {
    source: Source<'a>,
    /// Start and bytes of what is left.
    runs: &'a [(u64, u64)],
    /// Bytes of the first run that are done.
    done: u64,
}

impl Reader<'_> {
    /// Reads what comes next into a chunk; false when nothing is left.
    fn fill(&mut self, chunk: &mut Vec<u8>) -> sys::Result<bool> {
        chunk.clear();
        while let Some((&(start, size), rest)) = self.runs.split_first()
            && chunk.len() < CHUNK
        {
            let left = size - self.done;
            let (from, len) = (chunk.len(), left.min((CHUNK - chunk.len()) as u64));
            chunk.resize(from + len as usize, 0);
            read_or_zeros(self.source, &mut chunk[from..], start + self.done)?;
            self.done += len;
            if len == left {
                (self.runs, self.done) = (rest, 0);
            }
        }
        Ok(!chunk.is_empty())
    }
}

fn read_or_zeros(source: Source<'_>, buffer: &mut [u8], at: u64) -> sys::Result<()> {
    let (Source::Still(file) | Source::Running(file)) = source;
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], at + done as u64) {
            Ok(0) => {
                buffer[done..].fill(0);
                break;
            }
            Ok(read) => done += read,
            Err(error) if matches!(source, Source::Running(_)) && error.raw_os_error() == Some(libc::EIO) => {
                let end = buffer.len().min(done + PAGE_SIZE as usize);
                buffer[done..end].fill(0);
                done = end;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

struct Writer {
    file: File,
    at: u64,
}

impl Writer {
    fn write(&mut self, chunk: &[u8]) -> sys::Result<()> {
        self.file.write_all_at(chunk, self.at)?;
        self.at += chunk.len() as u64;
        Ok(())
    }
}
