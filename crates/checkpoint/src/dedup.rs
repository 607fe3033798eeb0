//! Pages that a dump has, given up in the dumps before it, where they are no longer what a restore would read.
//!
//! A dump that has lost pages cannot be restored by itself; with a manifest that is known, and refused.

use crate::error::{At, Error, Result};
use crate::snapshot::{
    MOST_ANCESTORS, PageMap, check_page_map, is_of_parent, is_present, names, page_map, run_end, run_size,
};
use images::Directory;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// Ascending, with gaps between them.
type Ranges = Vec<Range<u64>>;

/// Frees the space of pages in all dumps before the one in `images` that it, or one in between, has anew. What was cut off
/// is completed by another call.
///
/// # Errors
/// An ancestor is not the dump that was there, or its file system knows no holes; dumps before it may have lost theirs.
pub fn dedup(images: BorrowedFd<'_>) -> Result<()> {
    let newest = open(images)?;
    let mut covered: BTreeMap<String, Ranges> = BTreeMap::new();
    cover(&mut covered, &page_maps(&newest)?);
    for_each_ancestor(newest, |ancestor| {
        let maps = page_maps(ancestor)?;
        let mut holes: BTreeMap<String, Ranges> = BTreeMap::new();
        for (name, map) in &maps {
            let Some(covered) = covered.get(name) else { continue };
            let lost = superseded(map, covered);
            if !lost.is_empty() {
                holes.insert(names::pages(map.pages_id), lost);
            }
        }
        cover(&mut covered, &maps);
        Ok(ancestor.give_up(&holes)?)
    })
}

/// Frees the space of all pages of the dump in `images` and those before it: they are in memory.
///
/// # Errors
/// As for `dedup`.
pub fn give_up_pages(images: BorrowedFd<'_>) -> Result<()> {
    let give_up = |directory: &mut Directory| -> Result<()> {
        let maps = page_maps(directory)?;
        let mut holes: BTreeMap<String, Ranges> = BTreeMap::new();
        for map in maps.values() {
            let whole = map.size().filter(|size| *size > 0).map(|size| 0..size);
            holes.entry(names::pages(map.pages_id)).or_default().extend(whole);
        }
        holes.retain(|_, ranges| !ranges.is_empty());
        Ok(directory.give_up(&holes)?)
    };
    // From the last on, as those before it are found through it.
    let mut newest = open(images)?;
    give_up(&mut newest)?;
    for_each_ancestor(newest, give_up)
}

fn open(images: BorrowedFd<'_>) -> Result<Directory> {
    let images = images.try_clone_to_owned().at(|| "images: duplicate the descriptor".to_owned())?;
    Ok(Directory::new(images)?)
}

fn for_each_ancestor(newest: Directory, mut each: impl FnMut(&mut Directory) -> Result<()>) -> Result<()> {
    let (mut ancestor, mut count) = (newest.parent()?, 0);
    while let Some(mut directory) = ancestor {
        if count == MOST_ANCESTORS {
            return Err(Error::new(format!("parent: leads through {MOST_ANCESTORS} directories")));
        }
        each(&mut directory)?;
        (ancestor, count) = (directory.parent()?, count + 1);
    }
    Ok(())
}

/// All of a directory, by their names. None shares its file with another: what one has no use for, the other may have.
fn page_maps(directory: &Directory) -> Result<BTreeMap<String, PageMap>> {
    let (mut maps, mut taken) = (BTreeMap::new(), BTreeSet::new());
    for name in directory.names()? {
        if !name.starts_with("pagemap-") || !name.ends_with(".img") {
            continue;
        }
        let Some(map) = page_map(directory, &name)? else { continue };
        check_page_map(&name, &map)?;
        if map.size() != Some(0) && !taken.insert(map.pages_id) {
            return Err(Error::new(format!("{name}: {} is another's, too", names::pages(map.pages_id))));
        }
        maps.insert(name, map);
    }
    Ok(maps)
}

/// Adds what maps have that is not their parents'.
fn cover(covered: &mut BTreeMap<String, Ranges>, maps: &BTreeMap<String, PageMap>) {
    for (name, map) in maps {
        let own = map.runs.iter().filter(|run| !is_of_parent(run));
        let ranges = covered.entry(name.clone()).or_default();
        ranges.extend(own.map(|run| run.vaddr..run_end(run)));
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
    }
}

/// Where the file of a map has pages whose addresses are covered, in bytes.
fn superseded(map: &PageMap, covered: &[Range<u64>]) -> Ranges {
    let (mut lost, mut at) = (Ranges::new(), 0);
    for run in map.runs.iter().filter(|run| is_present(run)) {
        let (start, end) = (run.vaddr, run_end(run));
        let first = covered.partition_point(|range| range.end <= start);
        for range in covered[first..].iter().take_while(|range| range.start < end) {
            lost.push(at + range.start.max(start) - start..at + range.end.min(end) - start);
        }
        at += run_size(run).unwrap_or(0);
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::pagemap;
    use images::messages::PagemapEntry;

    const P: u64 = 4096;

    fn map(runs: &[(u64, u64, u32)]) -> PageMap {
        let run = |(page, pages, flags): &(u64, u64, u32)| PagemapEntry {
            vaddr: page * P,
            nr_pages: Some(*pages),
            flags: Some(*flags),
            ..Default::default()
        };
        PageMap { pages_id: 1, runs: runs.iter().map(run).collect() }
    }

    #[test]
    fn what_a_later_dump_has_is_lost() {
        let check = |later: &[(u64, u64, u32)], earlier: &[(u64, u64, u32)], lost: &[(u64, u64)]| {
            let mut covered = BTreeMap::new();
            cover(&mut covered, &BTreeMap::from([("map".to_owned(), map(later))]));
            let found = superseded(&map(earlier), &covered["map"]);
            let found: Vec<_> = found.iter().map(|range| (range.start / P, range.end / P)).collect();
            assert_eq!(found, lost);
        };
        let (parent, present) = (pagemap::PARENT, pagemap::PRESENT);
        check(&[(10, 4, parent)], &[(10, 4, present)], &[]);
        check(&[(10, 1, parent), (11, 2, present)], &[(10, 4, present)], &[(1, 3)]);
        // Runs that touch are one hole; what the earlier one has from its own parent is not in its file.
        check(&[(8, 3, present), (11, 2, present)], &[(5, 4, parent), (9, 9, present)], &[(0, 4)]);
        check(&[(1, 2, present), (20, 9, present)], &[(2, 1, present), (25, 9, present)], &[(0, 1), (1, 5)]);
        // Zeros, as old dumps have them.
        check(&[(10, 1, 0)], &[(10, 2, present)], &[(0, 1)]);
    }
}
