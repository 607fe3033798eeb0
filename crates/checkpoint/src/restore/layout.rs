//! Where things are while tasks are built: addresses that are free in all of them, places in the nursery, numbers of
//! descriptors that none of them has.

use super::vdso::Jumps;
use crate::error::{Error, Result};
use crate::snapshot::{Snapshot, vma};
use std::collections::BTreeMap;
use std::ops::Range;

/// The highest address that a program can map.
pub(super) const LAST: u64 = 0x7fff_ffff_f000;
/// Where the search begins: above what programs are linked to, below the kernel's own choices.
const SEARCH: u64 = 0x1000_0000_0000;
/// The most that /proc/sys/fs/nr_open can be.
const DESCRIPTORS: u32 = 1 << 30;
/// The size of huge pages in flags of mmap(2) and memfd_create(2).
const HUGE_PAGE_SIZE: u32 = (libc::MAP_HUGE_MASK as u32) << libc::MAP_HUGE_SHIFT;
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
    /// Shared memory in huge pages by its id.
    pub(super) huge: BTreeMap<u64, HugePages>,
    /// All of it.
    pub(super) shared_all: Range<u64>,
    /// The descriptor of the first file; the others follow.
    pub(super) files: i32,
    pub(super) jumps: Jumps,
}

/// Shared memory in huge pages: their size as a flag of memfd_create(2), and how many bytes it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct HugePages {
    pub(super) flags: u32,
    pub(super) size: u64,
}

impl Layout {
    pub(super) fn new(snapshot: &Snapshot, jumps: Jumps) -> Result<Layout> {
        let mut first = Vec::new();
        let mut mailboxes = 0;
        for task in &snapshot.tasks {
            first.push(mailboxes);
            mailboxes += task.threads.len().max(1);
        }
        let helpers = mailboxes..mailboxes + HELPERS;
        let mailboxes = helpers.end;

        let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
        let mut huge: BTreeMap<u64, HugePages> = BTreeMap::new();
        for mapping in snapshot.tasks.iter().filter_map(|task| task.mm.as_ref()).flat_map(|mm| &mm.vmas) {
            if mapping.status & vma::ANON_SHARED != 0 && mapping.status & vma::SYSVIPC == 0 {
                // Not beyond what a file can have, `memory::check`.
                let end = mapping.pgoff + (mapping.end - mapping.start);
                if mapping.flags & libc::MAP_HUGETLB as u32 != 0 {
                    let flags = mapping.flags & HUGE_PAGE_SIZE;
                    let size = end.max(huge.get(&mapping.shmid).map_or(0, |huge| huge.size));
                    huge.insert(mapping.shmid, HugePages { flags, size });
                    continue;
                }
                let size = sizes.entry(mapping.shmid).or_default();
                *size = end.max(*size);
            }
        }
        let nursery_size = inject::Nursery::size(mailboxes) as u64;
        // A hole on both sides: neighbours would merge with mappings of ours.
        let shared = sizes.values().try_fold(0u64, |sum, size| sum.checked_add(*size)?.checked_add(0x1000));
        let total = shared.and_then(|shared| shared.checked_add(nursery_size + 2 * 0x1000));
        let nursery = hole(snapshot, total.unwrap_or(u64::MAX))?;
        let mut at = nursery + nursery_size + 0x1000;
        let start = at;
        let mut shared = BTreeMap::new();
        for (id, size) in sizes {
            shared.insert(id, at..at + size);
            at += size + 0x1000;
        }
        let numbers = snapshot.tables.values().flatten().map(|entry| entry.fd);
        let last = numbers.max().unwrap_or(0);
        if last >= DESCRIPTORS {
            return Err(Error::new(format!("fdinfo: descriptor {last}: no process can have so many")));
        }
        // Above the descriptors of the nursery, too.
        let files = last.max(255) as i32 + 1;
        Ok(Layout { nursery, mailboxes, first, helpers, shared, huge, shared_all: start..at, files, jumps })
    }

    /// The thread at a place of the nursery, by its id in the images; `None` for a helper.
    pub(super) fn tid(&self, snapshot: &Snapshot, place: usize) -> Option<u32> {
        let index = self.first.partition_point(|first| *first <= place).checked_sub(1)?;
        let entry = &snapshot.tasks[index].entry;
        match place - self.first[index] {
            0 => Some(entry.pid),
            nth => entry.threads.get(nth).copied(),
        }
    }
}

/// A range of addresses that no task has anything in, nor we.
pub(super) fn hole(snapshot: &Snapshot, size: u64) -> Result<u64> {
    let mut taken: Vec<Range<u64>> = Vec::new();
    for mapping in snapshot.tasks.iter().filter_map(|task| task.mm.as_ref()).flat_map(|mm| &mm.vmas) {
        taken.push(mapping.start..mapping.end.min(LAST));
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
    Ok(text.lines().filter_map(addresses).collect())
}

/// Those of a line of /proc/PID/maps.
pub(super) fn addresses(line: &str) -> Option<Range<u64>> {
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    Some(u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?)
}
