//! Where the pages of a dump are, and whether they are what was written.

use crate::error::{At, Error, Result};
use crate::snapshot::{Ancestors, Location, Snapshot, Task, names};
use images::{Directory, PagesReader};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Where all pages of a dump are, in files that are open for us and for the tasks.
#[derive(Debug)]
pub(super) struct PageFiles {
    /// By the generation of their directory and their number.
    files: BTreeMap<(usize, u32), PagesReader>,
    /// By the names of their maps.
    locations: BTreeMap<String, Vec<Location>>,
    reading: Reading,
}

/// How many read pages to copy them. While somebody does, nobody reads them only to verify them: what is copied is hashed
/// with it, for less.
#[derive(Debug, Default)]
struct Reading {
    count: Mutex<usize>,
    none: Condvar,
}

impl PageFiles {
    pub(super) fn open(snapshot: &Snapshot, images: &Directory, ancestors: &Ancestors) -> Result<PageFiles> {
        let (mut files, mut locations) = (BTreeMap::new(), BTreeMap::new());
        for (name, map) in snapshot.page_maps() {
            let found = ancestors.locate(&name, map)?;
            for Location { generation, pages_id, at, size, .. } in &found {
                let file = match files.entry((*generation, *pages_id)) {
                    Entry::Occupied(occupied) => occupied.into_mut(),
                    Entry::Vacant(vacant) => {
                        let directory = match generation.checked_sub(1) {
                            None => images,
                            Some(nth) => &ancestors.directories()[nth],
                        };
                        let name = names::pages(*pages_id);
                        let file = directory.pages(&name)?;
                        vacant.insert(file.ok_or_else(|| Error::new(format!("{name}: missing")))?)
                    }
                };
                if at + size > file.size() {
                    return Err(Error::new(format!("{}: it has become shorter", file.name())));
                }
            }
            locations.insert(name, found);
        }
        Ok(PageFiles { files, locations, reading: Reading::default() })
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values().map(PagesReader::file)
    }

    /// The pages of a map by the name of its image; none where there is no such map.
    pub(super) fn of(&self, map: &str) -> Pages<'_> {
        let run = |location: &Location| Run {
            start: location.start,
            size: location.size,
            file: &self.files[&(location.generation, location.pages_id)],
            at: location.at,
        };
        Pages { runs: self.locations.get(map).into_iter().flatten().map(run).collect() }
    }

    pub(super) fn of_task(&self, task: &Task) -> Pages<'_> {
        self.of(&names::pagemap(task.entry.pid))
    }

    /// Verifies all pages of the directories, the dump's own first, while `copying` does not read them itself.
    pub(super) fn verify<'a>(&self, directories: impl Iterator<Item = &'a Directory>) -> Result<()> {
        let mut buffer = Vec::new();
        for (generation, directory) in directories.enumerate() {
            let own = || self.files.range((generation, 0)..=(generation, u32::MAX)).map(|(_, file)| file);
            for file in own() {
                for nth in 0..file.pieces() {
                    self.reading.wait_for_none();
                    if !file.is_hashed(nth) {
                        file.read(nth, &mut buffer)?;
                    }
                }
                file.verify()?;
            }
            directory.verify_pages(|name| own().any(|file| file.name() == name))?;
        }
        Ok(())
    }

    /// Does what reads pages.
    pub(super) fn copying<T>(&self, copy: impl FnOnce() -> T) -> T {
        *self.reading.count() += 1;
        let copied = copy();
        *self.reading.count() -= 1;
        self.reading.none.notify_all();
        copied
    }
}

impl Reading {
    fn count(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_none(&self) {
        let waited = self.none.wait_while(self.count(), |count| *count > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Pages that lie one behind the other, in memory and in a file. All in bytes.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) file: &'a PagesReader,
    /// Where they begin in the file.
    pub(super) at: u64,
}

impl Run<'_> {
    /// Whether `other` goes on where this one ends.
    pub(super) fn is_before(&self, other: &Run<'_>) -> bool {
        std::ptr::eq(self.file, other.file) && self.at + self.size == other.at
    }
}

/// By ascending address.
pub(super) struct Pages<'a> {
    pub(super) runs: Vec<Run<'a>>,
}

impl<'a> Pages<'a> {
    /// Of memory whose addresses are offsets: what lies in its first `len` bytes, when it is mapped at `address`.
    pub(super) fn at(&self, address: u64, len: u64) -> Vec<Run<'a>> {
        self.within(&(0..len)).map(|run| Run { start: address + run.start, ..run }).collect()
    }

    /// What is in a range, with zeros where there are no pages, and how many bytes are of pages.
    pub(super) fn content(&self, range: &Range<u64>) -> Result<(Vec<u8>, usize)> {
        let mut content = vec![0; (range.end - range.start) as usize];
        let mut found = 0;
        for run in self.within(range) {
            let from = (run.start - range.start) as usize;
            let part = &mut content[from..from + run.size as usize];
            run.file.file().read_exact_at(part, run.at).at(|| format!("read {}", run.file.name()))?;
            found += part.len();
        }
        Ok((content, found))
    }

    /// Those that lie in none of these ranges, which come by ascending address.
    pub(super) fn without(&self, ranges: &[Range<u64>]) -> Pages<'a> {
        let starts = [0].into_iter().chain(ranges.iter().map(|range| range.end));
        let ends = ranges.iter().map(|range| range.start).chain([u64::MAX]);
        let gaps: Vec<Range<u64>> = starts.zip(ends).map(|(start, end)| start..end).collect();
        Pages { runs: gaps.iter().flat_map(|gap| self.within(gap)).collect() }
    }

    /// The runs, or parts of them, that lie in a range.
    pub(super) fn within(&self, range: &Range<u64>) -> impl Iterator<Item = Run<'a>> {
        let first = self.runs.partition_point(|run| run.start + run.size <= range.start);
        let (start, end) = (range.start, range.end);
        self.runs[first..].iter().take_while(move |run| run.start < end).map(move |run| {
            let (from, to) = (run.start.max(start), (run.start + run.size).min(end));
            Run { start: from, size: to - from, at: run.at + (from - run.start), ..*run }
        })
    }
}
