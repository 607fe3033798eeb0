//! Where things are while tasks are built: addresses that are free in all of them, places in the nursery, numbers of
//! descriptors that none of them has.

use crate::error::{Error, Result};
use crate::snapshot::{Snapshot, vma};
use std::collections::BTreeMap;
use std::ops::Range;

/// The highest address that a program can map.
pub(super) const LAST: u64 = 0x7fff_ffff_f000;
/// Where the search begins: above what programs are linked to, below the kernel's own choices.
const SEARCH: u64 = 0x1000_0000_0000;
/// For processes that exist only to make others.
const HELPERS: usize = 16;

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) nursery: u64,
    pub(super) mailboxes: usize,
    /// The place in the nursery of each task's first thread.
    pub(super) first: Vec<usize>,
    /// Places for helpers.
    pub(super) helpers: Range<usize>,
    /// Shared memory by its id, while there are no tasks that have it.
    pub(super) shared: BTreeMap<u64, Range<u64>>,
    /// All of it.
    pub(super) shared_all: Range<u64>,
    /// The descriptor of the first file; the others follow.
    pub(super) files: i32,
}

impl Layout {
    pub(super) fn new(snapshot: &Snapshot) -> Result<Layout> {
        let mut first = Vec::new();
        let mut mailboxes = 0;
        for task in &snapshot.tasks {
            first.push(mailboxes);
            mailboxes += task.threads.len().max(1);
        }
        let helpers = mailboxes..mailboxes + HELPERS;
        let mailboxes = helpers.end;

        let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
        for mapping in snapshot.tasks.iter().filter_map(|task| task.mm.as_ref()).flat_map(|mm| &mm.vmas) {
            if mapping.status & vma::ANON_SHARED != 0 && mapping.status & vma::SYSVIPC == 0 {
                let end = mapping.pgoff.saturating_add(mapping.end - mapping.start);
                let size = sizes.entry(mapping.shmid).or_default();
                *size = end.max(*size);
            }
        }
        let nursery_size = inject::Nursery::size(mailboxes) as u64;
        // A hole on both sides: neighbours would merge with mappings of ours.
        let total = nursery_size + sizes.values().sum::<u64>() + (2 + sizes.len() as u64) * 0x1000;
        let nursery = hole(snapshot, total)?;
        let mut at = nursery + nursery_size + 0x1000;
        let start = at;
        let mut shared = BTreeMap::new();
        for (id, size) in sizes {
            shared.insert(id, at..at + size);
            at += size + 0x1000;
        }
        let numbers = snapshot.tables.values().flatten().map(|entry| entry.fd as i32);
        // Above the descriptors of the nursery, too.
        let files = numbers.max().unwrap_or(0).max(255) + 1;
        Ok(Layout { nursery, mailboxes, first, helpers, shared, shared_all: start..at, files })
    }
}

/// A range of addresses that no task has anything in, nor we.
fn hole(snapshot: &Snapshot, size: u64) -> Result<u64> {
    let mut taken: Vec<Range<u64>> = Vec::new();
    for mapping in snapshot.tasks.iter().filter_map(|task| task.mm.as_ref()).flat_map(|mm| &mm.vmas) {
        taken.push(mapping.start..mapping.end);
    }
    taken.extend(own_mappings());
    taken.sort_by_key(|range| range.start);
    let mut at = SEARCH;
    for range in taken {
        if range.start.saturating_sub(0x1000) >= at.saturating_add(size) {
            break;
        }
        at = at.max(range.end + 0x1000);
    }
    match at.checked_add(size) {
        Some(end) if end < LAST => Ok(at),
        _ => Err(Error::new(format!("memory: no {size} bytes of addresses are free in all tasks"))),
    }
}

fn own_mappings() -> Vec<Range<u64>> {
    mappings(std::process::id() as i32).unwrap_or_default()
}

/// What a process has mapped.
pub(super) fn mappings(pid: i32) -> std::io::Result<Vec<Range<u64>>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let range = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        Some(u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?)
    };
    Ok(text.lines().filter_map(range).collect())
}
