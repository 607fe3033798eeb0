//! Contexts of io_setup(2), each with its ring at the address that it had.

use super::build::Build;
use super::pages::PageFiles;
use crate::aio::{EVENT, HEADER, requests, ring_len};
use crate::error::{At, Error, Result};
use crate::snapshot::vma::AIO_RING;
use crate::snapshot::{Snapshot, Task};
use images::messages::VmaEntry;
use inject::Batch;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

/// `struct iocb` of io_submit(2), in bytes.
const REQUEST: usize = 64;

fn rings(task: &Task) -> impl Iterator<Item = &VmaEntry> {
    let vmas = task.mm.iter().flat_map(|mm| &mm.vmas);
    vmas.filter(|mapping| mapping.status & AIO_RING != 0)
}

/// Refuses rings that the kernel would make larger here.
pub(super) fn check(snapshot: &Snapshot) -> Result<()> {
    for task in &snapshot.tasks {
        for mapping in rings(task) {
            let len = mapping.end - mapping.start;
            if ring_len(requests(len), possible_processors()?) != len {
                return Err(Error::new(format!(
                    "mm-{}.img: mapping at {:#x}: a ring of io_setup(2) of {len} bytes does not exist on a machine with \
                     so many processors",
                    task.entry.pid, mapping.start
                )));
            }
        }
    }
    Ok(())
}

fn possible_processors() -> Result<u32> {
    let file = "/sys/devices/system/cpu/possible";
    let text = std::fs::read_to_string(file).at(|| format!("read {file}"))?;
    // "0-3", "0", or several of these.
    let last = text.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<u32>().ok());
    last.map(|last| last + 1).ok_or_else(|| Error::new(format!("{file}: {} is no list", text.trim())))
}

/// Makes the contexts of a task.
pub(super) fn make(build: &mut Build<'_>, index: usize) -> Result<()> {
    for mapping in rings(&build.snapshot.tasks[index]) {
        let (start, len) = (mapping.start, mapping.end - mapping.start);
        let mut batch = Batch::new();
        let context = batch.words(&[0]);
        batch.call("io_setup", libc::SYS_io_setup, &[requests(len).into(), context.into()]);
        let made = build.run(index, &batch)?.u64(context);
        let mut batch = Batch::new();
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let arguments = [made.into(), len.into(), len.into(), flags.into(), start.into()];
        batch.call("move the ring of io_setup", libc::SYS_mremap, &arguments);
        build.run(index, &batch)?;
        let events = events(&build.snapshot.tasks[index], build.pages, mapping)?;
        if !events.is_empty() {
            complete(build, index, start, &events)?;
        }
    }
    Ok(())
}

/// The results in a ring that nobody has fetched, the oldest first.
fn events(task: &Task, pages: &PageFiles, mapping: &VmaEntry) -> Result<Vec<u8>> {
    let pid = task.entry.pid;
    let (ring, _) = pages.of_task(task).content(&(mapping.start..mapping.end))?;
    let word = |nth: usize| {
        let bytes = ring[4 * nth..4 * nth + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes) as usize
    };
    // struct aio_ring: id, nr, head, tail.
    let (count, head, tail) = (word(1), word(2), word(3));
    if count != (ring.len() - HEADER) / EVENT || head >= count || tail >= count {
        return Err(Error::new(format!(
            "task {pid}: memory at {:#x}: no ring of io_setup(2)",
            mapping.start
        )));
    }
    let event = |nth: usize| &ring[HEADER + nth * EVENT..][..EVENT];
    let waiting = (tail + count - head) % count;
    Ok((0..waiting).flat_map(|nth| event((head + nth) % count)).copied().collect())
}

/// Puts results into a new ring. Only the kernel can say how many there are, so it gets as many requests for nothing.
fn complete(build: &mut Build<'_>, index: usize, start: u64, events: &[u8]) -> Result<()> {
    let (pid, count) = (build.snapshot.tasks[index].entry.pid, events.len() / EVENT);
    let mut batch = Batch::new();
    let name = batch.string(b"nothing");
    let fd = batch.call("memfd_create", libc::SYS_memfd_create, &[name.into(), 0.into()]);
    // A read of no bytes (IOCB_CMD_PREAD is 0).
    let request = batch.space(REQUEST);
    const DESCRIPTOR: usize = 20;
    batch.store_u32(fd, request.plus(DESCRIPTOR));
    let requests = batch.space(8 * count);
    for nth in 0..count {
        batch.point(requests.plus(8 * nth), request);
    }
    let arguments = [start.into(), count.into(), requests.into()];
    let submitted = batch.call("io_submit", libc::SYS_io_submit, &arguments);
    batch.call("close", libc::SYS_close, &[fd.into()]);
    let submitted = build.run(index, &batch)?.result(submitted).unwrap_or(0);
    if submitted != count as u64 {
        return Err(Error::new(format!("task {pid}: io_submit took {submitted} requests of {count}")));
    }
    let memory = OpenOptions::new().write(true).open(format!("/proc/{}/mem", build.host_pid(index)?));
    let memory = memory.at(|| format!("task {pid}: open its memory"))?;
    memory
        .write_all_at(events, start + HEADER as u64)
        .at(|| format!("task {pid}: write results of io_submit"))
}
