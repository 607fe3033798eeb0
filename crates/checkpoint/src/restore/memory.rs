//! Mappings and their content.
//!
//! A task maps everything at its final address and reads its pages from the image itself. A child begins with what it has
//! from its parent: where the images say the same for both, it stays shared with the parent, page by page.

use super::build::Build;
use super::layout::LAST;
use crate::error::{At, Error, Result};
use crate::snapshot::vma::{self, AIO_RING, REGULAR, SHADOW_STACK, SOCKET, VDSO, VSYSCALL, VVAR};
use crate::snapshot::{PAGE_SIZE, PageMap, Snapshot, Task, is_present, pagemap, run_size};
use images::Directory;
use images::messages::VmaEntry;
use inject::{Batch, Call};
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// Values of mmap(2) as they are in the images.
const MAP_SHARED: u32 = libc::MAP_SHARED as u32;
const PROT_WRITE: u32 = libc::PROT_WRITE as u32;

/// Most that one preadv(2) is asked for, in bytes. Pages that were just made are in the cache.
const READ: u64 = 1 << 20;
const IOVECS: usize = 1024;
/// Operations in one batch.
const CALLS: usize = 4000;

const ARCH_MAP_VDSO_64: u64 = 0x2003;
const MADV_GUARD_INSTALL: i32 = 102;

/// Advice that children do not inherit the mapping with, so that it is given when there are no more to come.
const AFTER_CHILDREN: [i32; 2] = [libc::MADV_DONTFORK, libc::MADV_WIPEONFORK];
/// Advice that decides how pages are made, so that it is given before them.
const BEFORE_PAGES: [i32; 2] = [libc::MADV_HUGEPAGE, libc::MADV_NOHUGEPAGE];

/// Refuses what cannot be mapped.
pub(super) fn check(snapshot: &Snapshot) -> Result<()> {
    for task in &snapshot.tasks {
        let refuse = |mapping: &VmaEntry, why: &str| {
            Err(Error::new(format!("mm-{}.img: mapping at {:#x}: {why}", task.entry.pid, mapping.start)))
        };
        for mapping in task.mm.iter().flat_map(|mm| &mm.vmas) {
            let has = |bits: u32| mapping.status & bits != 0;
            if !mapping.start.is_multiple_of(PAGE_SIZE) || !mapping.end.is_multiple_of(PAGE_SIZE) {
                return refuse(mapping, "not on the boundary of a page");
            }
            if !has(VSYSCALL) && mapping.end > LAST + PAGE_SIZE {
                return refuse(mapping, "beyond the addresses of a program");
            }
            if has(SOCKET) {
                return refuse(mapping, "rings of packet sockets are not supported");
            }
            if has(AIO_RING) {
                return refuse(mapping, "rings of io_setup(2) are not supported");
            }
            if has(SHADOW_STACK) {
                return refuse(mapping, "shadow stacks are not supported");
            }
            if has(vma::EXT_PLUGIN) {
                return refuse(mapping, "plugins are not supported");
            }
        }
        for run in task.pages.iter().flat_map(|pages| &pages.runs) {
            if run.flags.unwrap_or(0) & pagemap::PARENT != 0 || run.in_parent == Some(true) {
                let pid = task.entry.pid;
                return Err(Error::new(format!(
                    "pagemap-{pid}.img: pages in a parent directory are not supported"
                )));
            }
        }
    }
    Ok(())
}

/// Opens the files with pages, for us and for the tasks.
pub(super) fn pages_files(snapshot: &Snapshot, images: &Directory) -> Result<BTreeMap<u32, File>> {
    let mut files = BTreeMap::new();
    let maps = snapshot.tasks.iter().filter_map(|task| task.pages.as_ref()).chain(snapshot.shmem.values());
    for map in maps {
        if map.size() == Some(0) {
            continue;
        }
        let name = format!("pages-{}.img", map.pages_id);
        let file = images.raw(&name)?.ok_or_else(|| Error::new(format!("{name}: missing")))?;
        files.insert(map.pages_id, file);
    }
    Ok(files)
}

/// Where the present pages of a map are.
pub(super) struct Pages<'a> {
    pub(super) file: &'a File,
    /// First address, bytes, place in the file; by ascending address.
    pub(super) runs: Vec<(u64, u64, u64)>,
}

impl<'a> Pages<'a> {
    pub(super) fn new(map: Option<&PageMap>, files: &'a BTreeMap<u32, File>) -> Option<Pages<'a>> {
        let map = map?;
        let file = files.get(&map.pages_id)?;
        let mut at = 0;
        let mut runs = Vec::new();
        for run in map.runs.iter().filter(|run| is_present(run)) {
            let size = run_size(run)?;
            runs.push((run.vaddr, size, at));
            at += size;
        }
        Some(Pages { file, runs })
    }

    /// The runs, or parts of them, that lie in a range.
    fn within(&self, range: &Range<u64>) -> Vec<(u64, u64, u64)> {
        let part = |&(start, size, at): &(u64, u64, u64)| {
            let (from, to) = (start.max(range.start), (start + size).min(range.end));
            (from < to).then(|| (from, to - from, at + (from - start)))
        };
        self.runs.iter().filter_map(part).collect()
    }
}

/// Makes shared anonymous memory in the first task, each at its own address, and fills it. Whoever has it in the images
/// gets it from there.
pub(super) fn make_shared(build: &mut Build<'_>) -> Result<()> {
    for (id, range) in &build.layout.shared.clone() {
        let mut batch = Batch::new();
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE | libc::MAP_NORESERVE;
        let len = range.end - range.start;
        let arguments = [range.start.into(), len.into(), prot.into(), flags.into(), (-1).into(), 0.into()];
        batch.call("map shared memory", libc::SYS_mmap, &arguments);
        build.run(0, &batch)?;
        if let Some(pages) = Pages::new(build.snapshot.shmem.get(id), build.pages) {
            // Addresses of its pages are offsets in it.
            let runs = pages.runs.iter().filter(|(offset, size, _)| offset + size <= len);
            let runs: Vec<_> = runs.map(|(offset, size, at)| (range.start + offset, *size, *at)).collect();
            read_pages(build, 0, pages.file, &runs)?;
        }
    }
    Ok(())
}

/// Makes the address space of a task that is a copy of its parent, or of the first.
pub(super) fn make(build: &mut Build<'_>, index: usize, parent: Option<usize>) -> Result<()> {
    let task = &build.snapshot.tasks[index];
    let Some(mm) = &task.mm else { return Ok(()) };
    let inherited: &[VmaEntry] = match parent.and_then(|parent| build.snapshot.tasks[parent].mm.as_ref()) {
        Some(mm) => &mm.vmas,
        None => &[],
    };
    let kept: Vec<Kept> = mm.vmas.iter().flat_map(|mapping| keep(mapping, inherited)).collect();
    clear(build, index, &kept)?;

    let mut batch = Batch::new();
    let mut calls = 0;
    for mapping in mm.vmas.iter().filter(|mapping| mapping.status & (VSYSCALL | vma::GUARD) == 0) {
        for range in without(mapping.start..mapping.end, &kept) {
            map(build, &mut batch, index, mapping, range)?;
            calls += 1;
        }
        if calls >= CALLS {
            build.run(index, &std::mem::take(&mut batch))?;
            calls = 0;
        }
    }
    build.run(index, &batch)?;
    if vdso(task).is_some() && parent.is_none_or(|parent| vdso(&build.snapshot.tasks[parent]) != vdso(task)) {
        map_vdso(build, index)?;
    }
    fill(build, index, parent, &kept)
}

/// A range that a child keeps from its parent.
struct Kept {
    range: Range<u64>,
    is_private: bool,
}

/// The parts of a mapping that the parent has in the same way.
fn keep(mapping: &VmaEntry, inherited: &[VmaEntry]) -> Vec<Kept> {
    const OF_KIND: u32 = !(1 << 1 | 1 << 5);
    let is_private = mapping.flags & MAP_SHARED == 0;
    if mapping.status & (VSYSCALL | VDSO | VVAR | vma::GUARD | vma::SYSVIPC) != 0 {
        return Vec::new();
    }
    let is_same = |other: &&VmaEntry| {
        let at = |each: &VmaEntry| each.pgoff.wrapping_sub(each.start);
        mapping.prot == other.prot
            && mapping.flags == other.flags
            && mapping.status & OF_KIND == other.status & OF_KIND
            && mapping.shmid == other.shmid
            && (mapping.shmid == 0 || at(mapping) == at(other))
            // What a child does not inherit, or not with its content.
            && AFTER_CHILDREN.iter().all(|advice| other.madv.unwrap_or(0) & 1 << advice == 0)
    };
    let common = inherited.iter().filter(is_same).filter_map(|other| {
        let range = mapping.start.max(other.start)..mapping.end.min(other.end);
        (range.start < range.end).then_some(Kept { range, is_private })
    });
    common.collect()
}

/// What is left of a range.
fn without(range: Range<u64>, kept: &[Kept]) -> Vec<Range<u64>> {
    let mut rest = Vec::new();
    let mut at = range.start;
    for part in
        kept.iter().map(|kept| &kept.range).filter(|part| part.start < range.end && part.end > range.start)
    {
        if part.start > at {
            rest.push(at..part.start);
        }
        at = part.end;
    }
    if at < range.end {
        rest.push(at..range.end);
    }
    rest
}

/// Unmaps everything but the nursery, shared memory, and what is kept. A vdso that is the parent's stays when the task has
/// the same.
fn clear(build: &mut Build<'_>, index: usize, kept: &[Kept]) -> Result<()> {
    let nursery = build.nursery_range();
    let mut stay: Vec<Range<u64>> = kept.iter().map(|kept| kept.range.clone()).collect();
    stay.push(nursery.start..nursery.end);
    stay.push(build.layout.shared_all.clone());
    if let (Some(own), Some(parent)) =
        (vdso(&build.snapshot.tasks[index]), super::tree::born_from(build.snapshot, index))
        && vdso(&build.snapshot.tasks[parent]) == Some(own.clone())
    {
        stay.push(own);
    }
    stay.sort_by_key(|range| range.start);
    let mut batch = Batch::new();
    let mut at = 0;
    stay.push(LAST..LAST);
    for range in stay {
        if range.start > at {
            batch.call("munmap", libc::SYS_munmap, &[at.into(), (range.start - at).into()]);
        }
        at = at.max(range.end);
    }
    build.run(index, &batch)?;
    Ok(())
}

/// Maps one range of a mapping, writable as long as it has to be filled.
fn map(
    build: &Build<'_>,
    batch: &mut Batch,
    index: usize,
    mapping: &VmaEntry,
    range: Range<u64>,
) -> Result<()> {
    let has = |bits: u32| mapping.status & bits != 0;
    let (start, len) = (range.start, range.end - range.start);
    let offset = mapping.pgoff + (range.start - mapping.start);
    if has(VDSO | VVAR) {
        return Ok(());
    }
    let fixed = libc::MAP_FIXED_NOREPLACE as u32;
    let keep =
        mapping.flags & !(libc::MAP_FIXED as u32 | libc::MAP_LOCKED as u32 | libc::MAP_POPULATE as u32);
    if has(vma::SYSVIPC) {
        // shmat(2) maps it all.
        super::sysv::attach(batch, mapping);
        return Ok(());
    }
    if has(vma::ANON_SHARED) {
        let shared = build.layout.shared.get(&mapping.shmid);
        let shared = shared.ok_or_else(|| Error::new(format!("shared memory {}: missing", mapping.shmid)))?;
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        // An old size of 0 makes a second mapping of the same memory, mremap(2).
        let arguments = [(shared.start + offset).into(), 0.into(), len.into(), flags.into(), start.into()];
        batch.call("map shared memory", libc::SYS_mremap, &arguments);
        protect(batch, &range, mapping.prot);
        return Ok(());
    }
    let is_file = has(vma::FILE_PRIVATE | vma::FILE_SHARED);
    let fd = match is_file {
        true => {
            let pid = build.snapshot.tasks[index].entry.pid;
            let id = mapping.shmid as u32;
            let fd =
                build.mapped.get(&(id, super::files::access_of(mapping))).or_else(|| build.open.get(&id));
            *fd.ok_or_else(|| {
                Error::new(format!("mm-{pid}.img: mapping at {start:#x}: file {id} is not there"))
            })?
        }
        false => -1,
    };
    let is_shared = mapping.flags & MAP_SHARED != 0;
    let prot = if is_shared { mapping.prot } else { mapping.prot | PROT_WRITE };
    let flags = (keep | fixed) & !if is_file { libc::MAP_ANONYMOUS as u32 } else { 0 };
    let offset = if is_file { offset } else { 0 };
    let arguments = [start.into(), len.into(), prot.into(), flags.into(), fd.into(), offset.into()];
    batch.call("mmap", libc::SYS_mmap, &arguments);
    for advice in BEFORE_PAGES.iter().filter(|advice| mapping.madv.unwrap_or(0) & 1 << **advice != 0) {
        batch.call("madvise", libc::SYS_madvise, &[start.into(), len.into(), (*advice).into()]);
    }
    Ok(())
}

fn protect(batch: &mut Batch, range: &Range<u64>, prot: u32) {
    let len = range.end - range.start;
    batch.call("mprotect", libc::SYS_mprotect, &[range.start.into(), len.into(), prot.into()]);
}

/// Reads pages into private mappings, and protects them as they were.
fn fill(build: &mut Build<'_>, index: usize, parent: Option<usize>, kept: &[Kept]) -> Result<()> {
    let task = &build.snapshot.tasks[index];
    let Some(mm) = &task.mm else { return Ok(()) };
    let own = Pages::new(task.pages.as_ref(), build.pages);
    let parents = parent.map(|parent| &build.snapshot.tasks[parent]);
    let theirs = parents.and_then(|parent| Pages::new(parent.pages.as_ref(), build.pages));
    let mut runs = Vec::new();
    let mut dropped = Vec::new();
    for mapping in mm.vmas.iter().filter(|mapping| is_filled(mapping)) {
        let range = mapping.start..mapping.end;
        for rest in without(range.clone(), kept) {
            runs.extend(own.iter().flat_map(|own| own.within(&rest)));
        }
        for kept in kept.iter().filter(|kept| kept.is_private) {
            if kept.range.start >= range.start && kept.range.end <= range.end {
                compare(own.as_ref(), theirs.as_ref(), &kept.range, &mut runs, &mut dropped)?;
            }
        }
    }
    let is_writable = |at: u64| {
        let mapping = mm.vmas.iter().find(|mapping| mapping.start <= at && at < mapping.end);
        mapping.is_none_or(|mapping| mapping.prot & PROT_WRITE != 0)
    };
    // What is kept has its final protection already.
    let closed: Vec<&Kept> =
        kept.iter().filter(|kept| kept.is_private && !is_writable(kept.range.start)).collect();
    let is_changed = |kept: &Kept| runs.iter().any(|(at, ..)| kept.range.contains(at));
    let mut batch = Batch::new();
    for kept in closed.iter().filter(|kept| is_changed(kept)) {
        protect(&mut batch, &kept.range, (libc::PROT_READ | libc::PROT_WRITE) as u32);
    }
    for (start, len) in dropped {
        batch.call("madvise", libc::SYS_madvise, &[start.into(), len.into(), libc::MADV_DONTNEED.into()]);
    }
    build.run(index, &batch)?;
    if let Some(own) = &own {
        read_pages(build, index, own.file, &runs)?;
    }
    let mut batch = Batch::new();
    let mut calls = 0;
    for mapping in mm.vmas.iter().filter(|mapping| is_filled(mapping)) {
        if mapping.prot & PROT_WRITE == 0 {
            protect(&mut batch, &(mapping.start..mapping.end), mapping.prot);
            calls += 1;
        }
        if calls >= CALLS {
            build.run(index, &std::mem::take(&mut batch))?;
            calls = 0;
        }
    }
    build.run(index, &batch)?;
    Ok(())
}

/// Whether a mapping has pages of its own in the images.
fn is_filled(mapping: &VmaEntry) -> bool {
    let others = VSYSCALL | VDSO | VVAR | vma::GUARD | vma::SYSVIPC | vma::ANON_SHARED;
    mapping.status & REGULAR != 0 && mapping.status & others == 0 && mapping.flags & MAP_SHARED == 0
}

/// Compares a range of a child with that of its parent: pages that differ are to be read, pages that only the parent has
/// are to be dropped.
fn compare(
    own: Option<&Pages<'_>>,
    theirs: Option<&Pages<'_>>,
    range: &Range<u64>,
    runs: &mut Vec<(u64, u64, u64)>,
    dropped: &mut Vec<(u64, u64)>,
) -> Result<()> {
    let pages = |of: Option<&Pages<'_>>| -> BTreeMap<u64, u64> {
        let runs = of.map(|of| of.within(range)).unwrap_or_default();
        let split = |(start, size, at): (u64, u64, u64)| {
            (0..size / PAGE_SIZE).map(move |n| (start + n * PAGE_SIZE, at + n * PAGE_SIZE))
        };
        runs.into_iter().flat_map(split).collect()
    };
    let (own_pages, their_pages) = (pages(own), pages(theirs));
    let mut buffers = [[0; PAGE_SIZE as usize]; 2];
    for (address, at) in &own_pages {
        let is_equal = match (their_pages.get(address), own, theirs) {
            (Some(their), Some(own), Some(theirs)) => {
                let read = |file: &File, buffer: &mut [u8], at| {
                    file.read_exact_at(buffer, at).at(|| "read pages".to_owned())
                };
                let [first, second] = &mut buffers;
                read(own.file, first, *at)?;
                read(theirs.file, second, *their)?;
                first == second
            }
            _ => false,
        };
        if !is_equal {
            match runs.last_mut() {
                Some((start, size, from)) if *start + *size == *address && *from + *size == *at => {
                    *size += PAGE_SIZE
                }
                _ => runs.push((*address, PAGE_SIZE, *at)),
            }
        }
    }
    for address in their_pages.keys().filter(|address| !own_pages.contains_key(address)) {
        match dropped.last_mut() {
            Some((start, size)) if *start + *size == *address => *size += PAGE_SIZE,
            _ => dropped.push((*address, PAGE_SIZE)),
        }
    }
    Ok(())
}

/// Lets a task read runs of pages: address, bytes, place in the file.
pub(super) fn read_pages(
    build: &mut Build<'_>,
    index: usize,
    file: &File,
    runs: &[(u64, u64, u64)],
) -> Result<()> {
    let mut reads = Reads::default();
    for &(start, len, at) in runs {
        for done in (0..len).step_by(READ as usize) {
            let len = (len - done).min(READ);
            if !reads.add(start + done, len, at + done) {
                reads.finish_call(file);
                reads.add(start + done, len, at + done);
            }
            if reads.is_full() {
                reads.run(build, index, file)?;
            }
        }
    }
    reads.run(build, index, file)
}

/// Calls of preadv(2) that a task is going to make.
#[derive(Default)]
struct Reads {
    batch: Batch,
    /// Each with the bytes that it must read.
    calls: Vec<(Call, u64)>,
    /// Of all calls.
    vectors: usize,
    /// Of the call that is not complete yet: addresses and bytes, the first place in the file, bytes in all.
    parts: Vec<(u64, u64)>,
    from: u64,
    size: u64,
}

impl Reads {
    /// Bytes that are worth a call which makes all their pages at once: a fault for each takes longer.
    const MANY: u64 = 16 * PAGE_SIZE;

    /// Adds what lies behind the rest in the file; false where it does not.
    fn add(&mut self, start: u64, len: u64, at: u64) -> bool {
        if self.parts.is_empty() {
            (self.from, self.size) = (at, 0);
        }
        if at != self.from + self.size || self.size + len > READ || self.parts.len() == IOVECS {
            return false;
        }
        self.parts.push((start, len));
        self.size += len;
        true
    }

    fn finish_call(&mut self, file: &File) {
        for (start, len) in self.parts.iter().filter(|(_, len)| *len >= Reads::MANY) {
            // FIXME: must not fail when 5.14 is the oldest supported kernel.
            let arguments = [(*start).into(), (*len).into(), libc::MADV_POPULATE_WRITE.into()];
            self.batch.call_may_fail("madvise", libc::SYS_madvise, &arguments);
        }
        let words: Vec<u64> = self.parts.iter().flat_map(|&(start, len)| [start, len]).collect();
        let place = self.batch.words(&words);
        let count = self.parts.len();
        let arguments = [file.as_raw_fd().into(), place.into(), count.into(), self.from.into(), 0.into()];
        let call = self.batch.call("read pages", libc::SYS_preadv, &arguments);
        self.calls.push((call, self.size));
        self.vectors += count;
        self.parts.clear();
    }

    /// Whether the batch must be run before it has no room.
    fn is_full(&self) -> bool {
        self.calls.len() >= CALLS / 2 || self.vectors >= 32 * IOVECS
    }

    fn run(&mut self, build: &mut Build<'_>, index: usize, file: &File) -> Result<()> {
        if !self.parts.is_empty() {
            self.finish_call(file);
        }
        let outcome = build.run(index, &self.batch)?;
        for (call, size) in &self.calls {
            let done = outcome.result(*call).unwrap_or(0);
            if done != *size {
                let pid = build.snapshot.tasks[index].entry.pid;
                return Err(Error::new(format!("task {pid}: read pages: {done} of {size} bytes")));
            }
        }
        *self = Reads::default();
        Ok(())
    }
}

/// Where the vdso and its data are: they are one object to the kernel.
pub(super) fn vdso(task: &Task) -> Option<Range<u64>> {
    let vmas = &task.mm.as_ref()?.vmas;
    let parts = || vmas.iter().filter(|mapping| mapping.status & (VDSO | VVAR) != 0);
    Some(parts().map(|mapping| mapping.start).min()?..parts().map(|mapping| mapping.end).max()?)
}

/// The vdso's code alone.
pub(super) fn vdso_code(task: &Task) -> Option<Range<u64>> {
    let vmas = &task.mm.as_ref()?.vmas;
    vmas.iter().find(|mapping| mapping.status & VDSO != 0).map(|mapping| mapping.start..mapping.end)
}

/// Lets the kernel map its vdso where the task had one. It must be the same: programs know the addresses in it.
fn map_vdso(build: &mut Build<'_>, index: usize) -> Result<()> {
    let task = &build.snapshot.tasks[index];
    let (pid, Some(range), Some(code)) = (task.entry.pid, vdso(task), vdso_code(task)) else { return Ok(()) };
    let mut batch = Batch::new();
    batch.call(
        "arch_prctl ARCH_MAP_VDSO_64",
        libc::SYS_arch_prctl,
        &[ARCH_MAP_VDSO_64.into(), range.start.into()],
    );
    build.run(index, &batch)?;
    let len = code.end - code.start;
    let memory = File::open(format!("/proc/{}/mem", build.host_pid(index)?));
    let memory = memory.at(|| format!("task {pid}: open its memory"))?;
    let mut now = vec![0; len as usize];
    let read = memory.read_exact_at(&mut now, code.start);
    read.map_err(|_| {
        Error::new(format!("task {pid}: the kernel's vdso does not fit at {:#x}", range.start))
    })?;
    if let Some(pages) = Pages::new(task.pages.as_ref(), build.pages) {
        for (start, size, at) in pages.within(&code) {
            let mut then = vec![0; size as usize];
            pages.file.read_exact_at(&mut then, at).at(|| "read pages".to_owned())?;
            let from = (start - code.start) as usize;
            if then != now[from..from + then.len()] {
                return Err(Error::new(format!(
                    "task {pid}: its vdso is that of another kernel; restore it on the same"
                )));
            }
        }
    }
    Ok(())
}

/// What is done when there are no more children to come: advice, locks, guard pages; the shared memory goes.
pub(super) fn complete(build: &mut Build<'_>) -> Result<()> {
    for (index, task) in build.tasks() {
        let Some(mm) = &task.mm else { continue };
        let mut batch = Batch::new();
        for mapping in &mm.vmas {
            let (start, len) = (mapping.start, mapping.end - mapping.start);
            if mapping.status & vma::GUARD != 0 {
                batch.call(
                    "madvise",
                    libc::SYS_madvise,
                    &[start.into(), len.into(), MADV_GUARD_INSTALL.into()],
                );
                continue;
            }
            let advice = mapping.madv.unwrap_or(0);
            for bit in (0..64).filter(|bit| advice & 1 << bit != 0 && !BEFORE_PAGES.contains(bit)) {
                batch.call("madvise", libc::SYS_madvise, &[start.into(), len.into(), bit.into()]);
            }
            if mapping.flags & libc::MAP_LOCKED as u32 != 0 {
                batch.call("mlock", libc::SYS_mlock, &[start.into(), len.into()]);
            }
        }
        let shared = &build.layout.shared_all;
        if shared.start < shared.end {
            batch.call(
                "munmap",
                libc::SYS_munmap,
                &[shared.start.into(), (shared.end - shared.start).into()],
            );
        }
        build.run(index, &batch)?;
    }
    Ok(())
}
