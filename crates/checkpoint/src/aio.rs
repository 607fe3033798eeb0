//! Contexts of io_setup(2). All that a program knows of one is its ring, memory that has the results which nobody has
//! fetched, and whose address is the context's name.

use crate::snapshot::{PAGE_SIZE, vma};
use images::messages::{AioRingEntry, VmaEntry};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of `struct aio_ring`, and of an `io_event` behind it.
pub(crate) const HEADER: usize = 32;
pub(crate) const EVENT: usize = 32;

/// How long devices may take for what they were asked.
const PATIENCE: Duration = Duration::from_millis(250);

/// The contexts of an address space.
pub(crate) fn entries(vmas: &[VmaEntry]) -> Vec<AioRingEntry> {
    let rings = vmas.iter().filter(|mapping| mapping.status & vma::AIO_RING != 0);
    let entry = |mapping: &VmaEntry| {
        let len = mapping.end - mapping.start;
        AioRingEntry { id: mapping.start, nr_req: requests(len), ring_len: len as u32 }
    };
    rings.map(entry).collect()
}

/// What io_setup(2) is asked for when it makes a ring of `len` bytes, whole pages: it doubles it and adds two
/// (`aio_setup_ring` in fs/aio.c).
pub(crate) fn requests(len: u64) -> u32 {
    let events = (len as usize).saturating_sub(HEADER) / EVENT;
    (events.saturating_sub(2) / 2) as u32
}

/// Bytes of the ring that io_setup(2) makes on a machine with so many possible processors, for each of which there are
/// four requests at least.
pub(crate) fn ring_len(requests: u32, processors: u32) -> u64 {
    let requests = u64::from(requests.max(processors.saturating_mul(4)));
    (HEADER as u64 + EVENT as u64 * (2 * requests + 2)).next_multiple_of(PAGE_SIZE)
}

/// Waits until stopped tasks, if they have contexts, have the results of all that they have asked for. Nobody tells what is
/// under way, only whether any disk has something to do; so on a machine whose disks are never idle it is a matter of time.
pub(crate) fn settle(mut pids: impl Iterator<Item = i32>) {
    // Contexts of all processes, in requests.
    let is_unused = fs::read_to_string("/proc/sys/fs/aio-nr").is_ok_and(|count| count.trim() == "0");
    let has_ring =
        |pid| fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains("/[aio]"));
    if is_unused || !pids.any(has_ring) {
        return;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        // The last step of a request is made after its disk's.
        thread::sleep(Duration::from_millis(2));
        if are_disks_idle() || Instant::now() > deadline {
            break;
        }
    }
}

fn are_disks_idle() -> bool {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let mut counts = disks.filter_map(|disk| fs::read_to_string(disk.path().join("inflight")).ok());
    counts.all(|counts| counts.split_whitespace().all(|count| count == "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_as_large_as_it_was() {
        for pages in [1, 2, 5, 129] {
            assert_eq!(ring_len(requests(pages * PAGE_SIZE), 1), pages * PAGE_SIZE);
        }
        // What the kernel makes for eight requests and two processors.
        assert_eq!(ring_len(8, 2), PAGE_SIZE);
        assert_eq!(ring_len(8, 64), 5 * PAGE_SIZE);
    }
}
