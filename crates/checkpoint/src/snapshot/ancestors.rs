//! The directories of earlier dumps that have the pages which a dump lacks. Each is that of the dump before the one that
//! links to it.

use super::check::check_page_map;
use super::read::page_map;
use super::{PageMap, Snapshot, is_left, is_of_parent, is_present, names, run_end, run_size};
use images::{Directory, Error, Result};
use std::collections::BTreeMap;

/// More than this many directories are a loop.
pub(crate) const MOST_ANCESTORS: usize = 256;

/// Where pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Address of the first, and bytes.
    pub start: u64,
    pub size: u64,
    /// 0 is the dump itself, 1 the one before it.
    pub generation: usize,
    pub pages_id: u32,
    /// Offset in `pages-N.img` of that directory.
    pub at: u64,
}

/// The dumps before a dump, as far as it needs them; the latest first.
#[derive(Debug, Default)]
pub struct Ancestors {
    directories: Vec<Directory>,
    /// Of each, by their names.
    maps: Vec<BTreeMap<String, PageMap>>,
}

impl Ancestors {
    /// # Errors
    /// A directory that is not there, is another than it was, or has not the pages.
    pub fn read(directory: &Directory, snapshot: &Snapshot) -> Result<Ancestors> {
        let mut ancestors = Ancestors::default();
        let mut wanted: Vec<String> =
            snapshot.page_maps().filter(|(_, map)| has_parent(map)).map(|(name, _)| name).collect();
        while !wanted.is_empty() {
            if ancestors.directories.len() == MOST_ANCESTORS {
                return Err(Error::refused("parent", format!("leads through {MOST_ANCESTORS} directories")));
            }
            let parent = ancestors.directories.last().unwrap_or(directory).parent()?;
            let name = wanted[0].as_str();
            let parent =
                parent.ok_or_else(|| Error::refused("parent", format!("missing: {name} names it")))?;
            parent.verify()?;
            let mut maps = BTreeMap::new();
            for name in &wanted {
                if let Some(map) = page_map(&parent, name)? {
                    check_page_map(name, &map)?;
                    maps.insert(name.clone(), map);
                }
            }
            wanted.retain(|name| maps.get(name).is_some_and(has_parent));
            ancestors.directories.push(parent);
            ancestors.maps.push(maps);
        }
        Ok(ancestors)
    }

    pub fn directories(&self) -> &[Directory] {
        &self.directories
    }

    /// Where the pages of a map are, by ascending address.
    pub fn locate(&self, name: &str, map: &PageMap) -> Result<Vec<Location>> {
        let mut found = Vec::new();
        let everything = (0, u64::MAX);
        self.locate_in(name, 0, map, everything, &mut found)?;
        Ok(found)
    }

    /// The same of those within `range` that a map has, `generation` dumps before.
    fn locate_in(
        &self,
        name: &str,
        generation: usize,
        map: &PageMap,
        range: (u64, u64),
        found: &mut Vec<Location>,
    ) -> Result<()> {
        let first = map.first_beyond(range.0);
        let mut at: u64 = map.runs[..first].iter().filter(|run| is_present(run)).filter_map(run_size).sum();
        let mut covered = range.0;
        for run in map.runs[first..].iter().take_while(|run| run.vaddr < range.1) {
            let (from, to) = (run.vaddr.max(range.0), run_end(run).min(range.1));
            if generation > 0 && from != covered {
                break;
            }
            if is_present(run) {
                let (size, at) = (to - from, at + (from - run.vaddr));
                found.push(Location { start: from, size, generation, pages_id: map.pages_id, at });
            } else if !(generation == 0 && is_left(run)) {
                match self.maps.get(generation).and_then(|maps| maps.get(name)) {
                    Some(parent) => self.locate_in(name, generation + 1, parent, (from, to), found)?,
                    None => return Err(missing(name, from)),
                }
            }
            covered = to;
            at += if is_present(run) { run_size(run).unwrap_or(0) } else { 0 };
        }
        match generation {
            0 => Ok(()),
            _ if covered == range.1 => Ok(()),
            _ => Err(missing(name, covered)),
        }
    }
}

fn missing(name: &str, address: u64) -> Error {
    Error::refused(name, format!("pagemap_entry: {address:#x} is not in the parent directory"))
}

/// Whether pages of it are in the directory before.
fn has_parent(map: &PageMap) -> bool {
    map.runs.iter().any(is_of_parent)
}

impl Snapshot {
    /// All maps of pages with the names of their images.
    pub fn page_maps(&self) -> impl Iterator<Item = (String, &PageMap)> {
        let tasks = self.tasks.iter();
        let of_tasks = tasks.filter_map(|task| Some((names::pagemap(task.entry.pid), task.pages.as_ref()?)));
        of_tasks.chain(self.shmem.iter().map(|(id, map)| (names::shmem(*id), map)))
    }
}
