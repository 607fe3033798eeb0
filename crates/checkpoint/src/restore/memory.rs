//! Mappings and their content.
//!
//! A task maps everything at its final address and reads its pages from the image itself. A child begins with what it has
//! from its parent: where the images say the same for both, it stays shared with the parent, page by page.

use super::build::Build;
use super::layout::{HugePages, LAST};
use super::pages::{Pages, Run};
use crate::error::{At, Error, Result};
use crate::policy::{self, Policy};
use crate::snapshot::vma::{self, AIO_RING, REGULAR, SHADOW_STACK, SOCKET, SYSVIPC, VDSO, VSYSCALL, VVAR};
use crate::snapshot::{PAGE_SIZE, Snapshot, Task, names, run_size};
use crate::target::NamespaceKind;
use images::messages::VmaEntry;
use inject::{Batch, Call};
use std::collections::BTreeMap;
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

/// The page that every process has.
const VSYSCALL_PAGE: Range<u64> = 0xffff_ffff_ff60_0000..0xffff_ffff_ff60_1000;
/// Bytes of the largest vdso, and of it with its data, with room for those of later kernels.
const VDSO_SIZE: u64 = 64 << 10;
const VDSO_AND_DATA: u64 = 1 << 20;

/// Refuses what cannot be mapped, and what the container's user could not map.
pub(super) fn check(snapshot: &Snapshot, policy: &Policy) -> Result<()> {
    let lowest = match policy.can_have(policy::SYS_RAWIO) {
        true => 0,
        false => lowest_address()?,
    };
    for task in &snapshot.tasks {
        let refuse = |mapping: &VmaEntry, why: &str| {
            Err(Error::new(format!("mm-{}.img: mapping at {:#x}: {why}", task.entry.pid, mapping.start)))
        };
        for mapping in task.mm.iter().flat_map(|mm| &mm.vmas) {
            let has = |bits: u32| mapping.status & bits != 0;
            if !mapping.start.is_multiple_of(PAGE_SIZE) || !mapping.end.is_multiple_of(PAGE_SIZE) {
                return refuse(mapping, "not on the boundary of a page");
            }
            let is_vsyscall = has(VSYSCALL) && (mapping.start..mapping.end) == VSYSCALL_PAGE;
            if !is_vsyscall && (mapping.end > LAST + PAGE_SIZE || mapping.start < lowest) {
                return refuse(mapping, "beyond the addresses of a program");
            }
            if mapping.pgoff.checked_add(mapping.end - mapping.start).is_none_or(|end| end > i64::MAX as u64)
            {
                return refuse(mapping, "beyond what a file can have");
            }
            if has(SYSVIPC) && !policy.owns(NamespaceKind::Ipc) {
                return refuse(
                    mapping,
                    "System V shared memory of somebody else's namespace is not supported",
                );
            }
            if has(SHADOW_STACK) {
                return refuse(mapping, "shadow stacks are not supported");
            }
            if has(vma::EXT_PLUGIN) {
                return refuse(mapping, "plugins are not supported");
            }
        }
        let is_large =
            |range: Option<Range<u64>>, most| range.is_some_and(|range| range.end - range.start > most);
        if is_large(vdso_code(task), VDSO_SIZE) || is_large(vdso(task), VDSO_AND_DATA) {
            let pid = task.entry.pid;
            return Err(Error::new(format!("mm-{pid}.img: its vdso is larger than any")));
        }
        check_pages(task)?;
    }
    Ok(())
}

/// Refuses pages that would go nowhere.
fn check_pages(task: &Task) -> Result<()> {
    let mappings = task.mm.iter().flat_map(|mm| &mm.vmas).filter(|mapping| mapping.status & vma::GUARD == 0);
    let mut mappings = mappings.peekable();
    for run in task.pages.iter().flat_map(|pages| &pages.runs) {
        let (mut at, end) = (run.vaddr, run.vaddr + run_size(run).unwrap_or(0));
        while at < end {
            while mappings.next_if(|mapping| mapping.end <= at).is_some() {}
            match mappings.peek() {
                Some(mapping) if mapping.start <= at => at = mapping.end,
                _ => {
                    let pid = task.entry.pid;
                    return Err(Error::new(format!("pagemap-{pid}.img: pages at {at:#x} are in no mapping")));
                }
            }
        }
    }
    Ok(())
}

/// Below it, who has no CAP_SYS_RAWIO maps nothing.
fn lowest_address() -> Result<u64> {
    let file = "/proc/sys/vm/mmap_min_addr";
    let text = std::fs::read_to_string(file).at(|| format!("read {file}"))?;
    text.trim().parse().map_err(|_| Error::new(format!("{file}: {text} is no number")))
}

/// Makes shared anonymous memory in the first task, each at its own address, and fills it. Whoever has it in the images
/// gets it from there.
pub(super) fn make_shared(build: &mut Build<'_>) -> Result<()> {
    for (id, HugePages { flags, size }) in build.layout.huge.clone() {
        let mut batch = Batch::new();
        let name = batch.string(b"/anon_hugepage");
        let flags = flags | libc::MFD_HUGETLB;
        let fd = batch.call("memfd_create", libc::SYS_memfd_create, &[name.into(), flags.into()]);
        batch.call("ftruncate", libc::SYS_ftruncate, &[fd.into(), size.into()]);
        let number = build.next_number();
        batch.call("dup3", libc::SYS_dup3, &[fd.into(), number.into(), 0.into()]);
        batch.call("close", libc::SYS_close, &[fd.into()]);
        build.run(0, &batch)?;
        fill_huge_file(build, number, size, id)?;
        build.huge.insert(id, number);
    }
    for (id, range) in &build.layout.shared.clone() {
        let mut batch = Batch::new();
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE | libc::MAP_NORESERVE;
        let len = range.end - range.start;
        let arguments = [range.start.into(), len.into(), prot.into(), flags.into(), (-1).into(), 0.into()];
        batch.call("map shared memory", libc::SYS_mmap, &arguments);
        build.run(0, &batch)?;
        let pages = build.pages.of(&names::shmem(*id));
        read_pages(build, 0, &pages.at(range.start, len))?;
    }
    Ok(())
}

/// Fills a file of huge pages, which cannot be written to, in the first task.
pub(super) fn fill_huge_file(build: &mut Build<'_>, fd: i32, size: u64, id: u64) -> Result<()> {
    let mut batch = Batch::new();
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    let arguments = [0.into(), size.into(), prot.into(), flags.into(), fd.into(), 0.into()];
    let mapped = batch.call("mmap", libc::SYS_mmap, &arguments);
    let address = build.run(0, &batch)?.result(mapped).at(|| format!("shared memory {id}: map it"))?;
    let pages = build.pages.of(&names::shmem(id));
    read_pages(build, 0, &pages.at(address, size))?;
    let mut batch = Batch::new();
    batch.call("munmap", libc::SYS_munmap, &[address.into(), size.into()]);
    build.run(0, &batch)?;
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
    super::aio::make(build, index)?;
    fill(build, index, parent, &kept)?;
    super::vdso::redirect(build, index)
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
    if mapping.status & (VSYSCALL | VDSO | VVAR | AIO_RING | vma::GUARD | vma::SYSVIPC) != 0 {
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
    if has(VDSO | VVAR | AIO_RING) {
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
    if has(vma::ANON_SHARED) && mapping.flags & libc::MAP_HUGETLB as u32 != 0 {
        // mremap(2) makes no second mapping of huge pages.
        let fd = build.huge.get(&mapping.shmid);
        let fd = *fd.ok_or_else(|| Error::new(format!("shared memory {}: missing", mapping.shmid)))?;
        let flags = MAP_SHARED | fixed | mapping.flags & libc::MAP_NORESERVE as u32;
        let arguments =
            [start.into(), len.into(), mapping.prot.into(), flags.into(), fd.into(), offset.into()];
        batch.call("mmap", libc::SYS_mmap, &arguments);
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
    let is_file = has(vma::FILE_PRIVATE | vma::FILE_SHARED | SOCKET);
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
    let own = build.pages_at_once(task);
    let theirs = parent.map(|parent| build.pages_at_once(&build.snapshot.tasks[parent]));
    let mut runs = Vec::new();
    let mut dropped = Vec::new();
    let huge_pages = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    let is_always = huge_pages.is_ok_and(|huge_pages| huge_pages.contains("[always]"));
    // What we copy ourselves if it is much.
    let (mut new, mut new_runs) = (Vec::new(), Vec::new());
    for mapping in mm.vmas.iter().filter(|mapping| is_filled(mapping)) {
        let range = mapping.start..mapping.end;
        for rest in without(range.clone(), kept) {
            if mapping.status & vma::ANON_PRIVATE != 0 && !gets_huge_pages(mapping, is_always) {
                new_runs.extend(own.within(&rest));
                new.push(rest);
            } else {
                runs.extend(own.within(&rest));
            }
        }
        for kept in kept.iter().filter(|kept| kept.is_private) {
            if kept.range.start >= range.start && kept.range.end <= range.end {
                compare(&own, theirs.as_ref(), &kept.range, &mut runs, &mut dropped)?;
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
    let is_changed = |kept: &Kept| runs.iter().any(|run| kept.range.contains(&run.start));
    let mut batch = Batch::new();
    for kept in closed.iter().filter(|kept| is_changed(kept)) {
        protect(&mut batch, &kept.range, (libc::PROT_READ | libc::PROT_WRITE) as u32);
    }
    for (start, len) in dropped {
        batch.call("madvise", libc::SYS_madvise, &[start.into(), len.into(), libc::MADV_DONTNEED.into()]);
    }
    build.run(index, &batch)?;
    if !super::copy::copy(build, index, &new, &new_runs)? {
        runs.extend(new_runs);
    }
    read_pages(build, index, &runs)?;
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

/// Whether the kernel makes huge pages in a mapping for a task that reads, where copying from outside makes small ones.
/// `is_always` is whether it makes them unless told otherwise.
fn gets_huge_pages(mapping: &VmaEntry, is_always: bool) -> bool {
    let has = |advice: i32| mapping.madv.unwrap_or(0) & 1 << advice != 0;
    mapping.flags & libc::MAP_HUGETLB as u32 != 0
        || has(libc::MADV_HUGEPAGE)
        || is_always && !has(libc::MADV_NOHUGEPAGE)
}

/// Whether a mapping has pages of its own in the images.
pub(super) fn is_filled(mapping: &VmaEntry) -> bool {
    let others = VSYSCALL | VDSO | VVAR | AIO_RING | vma::GUARD | vma::SYSVIPC | vma::ANON_SHARED;
    mapping.status & REGULAR != 0 && mapping.status & others == 0 && mapping.flags & MAP_SHARED == 0
}

/// Compares a range of a child with that of its parent: pages that differ are to be read, pages that only the parent has
/// are to be dropped.
fn compare<'a>(
    own: &Pages<'a>,
    theirs: Option<&Pages<'_>>,
    range: &Range<u64>,
    runs: &mut Vec<Run<'a>>,
    dropped: &mut Vec<(u64, u64)>,
) -> Result<()> {
    fn pages<'a>(of: &Pages<'a>, range: &Range<u64>) -> BTreeMap<u64, Run<'a>> {
        let split = |run: Run<'a>| {
            (0..run.size).step_by(PAGE_SIZE as usize).map(move |n| {
                (run.start + n, Run { start: run.start + n, size: PAGE_SIZE, at: run.at + n, ..run })
            })
        };
        of.within(range).flat_map(split).collect()
    }
    let own_pages = pages(own, range);
    let their_pages = theirs.map(|theirs| pages(theirs, range)).unwrap_or_default();
    let mut buffers = [[0; PAGE_SIZE as usize]; 2];
    for (address, page) in &own_pages {
        if let Some(their) = their_pages.get(address) {
            for (buffer, page) in buffers.iter_mut().zip([page, their]) {
                page.file.file().read_exact_at(buffer, page.at).at(|| "read pages".to_owned())?;
            }
            if buffers[0] == buffers[1] {
                continue;
            }
        }
        match runs.last_mut() {
            Some(run) if run.start + run.size == *address && run.is_before(page) => run.size += PAGE_SIZE,
            _ => runs.push(*page),
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

/// Lets a task read runs of pages.
pub(super) fn read_pages(build: &mut Build<'_>, index: usize, runs: &[Run<'_>]) -> Result<()> {
    let mut reads = Reads::default();
    for run in runs {
        for done in (0..run.size).step_by(READ as usize) {
            let size = (run.size - done).min(READ);
            reads.add(Run { start: run.start + done, size, file: run.file, at: run.at + done });
            if reads.is_full() {
                reads.run(build, index)?;
            }
        }
    }
    reads.run(build, index)
}

/// Calls of preadv(2) that a task is going to make.
#[derive(Default)]
struct Reads<'a> {
    batch: Batch,
    /// Each with the first address, and the bytes that it must read.
    calls: Vec<(Call, u64, u64)>,
    /// Of all calls.
    vectors: usize,
    /// Of the call that is not complete yet: what lies one behind the other in a file.
    parts: Vec<Run<'a>>,
}

impl<'a> Reads<'a> {
    /// Bytes that are worth a call which makes all their pages at once: a fault for each takes longer.
    const MANY: u64 = 16 * PAGE_SIZE;

    fn add(&mut self, run: Run<'a>) {
        let size = self.size();
        let is_next = self.parts.last().is_none_or(|last| last.is_before(&run));
        if !is_next || size + run.size > READ || self.parts.len() == IOVECS {
            self.finish_call();
        }
        self.parts.push(run);
    }

    fn size(&self) -> u64 {
        self.parts.iter().map(|run| run.size).sum()
    }

    fn finish_call(&mut self) {
        let (Some(first), size) = (self.parts.first().copied(), self.size()) else { return };
        for run in self.parts.iter().filter(|run| run.size >= Reads::MANY) {
            // FIXME: must not fail when 5.14 is the oldest supported kernel.
            let arguments = [run.start.into(), run.size.into(), libc::MADV_POPULATE_WRITE.into()];
            self.batch.call_may_fail("madvise", libc::SYS_madvise, &arguments);
        }
        let words: Vec<u64> = self.parts.iter().flat_map(|run| [run.start, run.size]).collect();
        let place = self.batch.words(&words);
        let count = self.parts.len();
        let fd = first.file.file().as_raw_fd();
        let arguments = [fd.into(), place.into(), count.into(), first.at.into(), 0.into()];
        self.calls.push((
            self.batch.call_may_fail("read pages", libc::SYS_preadv, &arguments),
            first.start,
            size,
        ));
        self.vectors += count;
        self.parts.clear();
    }

    /// Whether the batch must be run before it has no room.
    fn is_full(&self) -> bool {
        self.calls.len() >= CALLS / 2 || self.vectors >= 32 * IOVECS
    }

    fn run(&mut self, build: &mut Build<'_>, index: usize) -> Result<()> {
        self.finish_call();
        let outcome = build.run(index, &self.batch)?;
        for &(call, start, size) in &self.calls {
            let what = || {
                let pid = build.snapshot.tasks[index].entry.pid;
                format!("task {pid}: read {size} bytes of pages to {start:#x}")
            };
            let done = outcome.result(call).at(what)?;
            if done != size {
                return Err(Error::new(format!("{}: ended after {done} bytes", what())));
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

/// Lets the kernel map its vdso where the task has one, which is as large (`vdso::adopt`).
fn map_vdso(build: &mut Build<'_>, index: usize) -> Result<()> {
    let Some(range) = vdso(&build.snapshot.tasks[index]) else { return Ok(()) };
    let mut batch = Batch::new();
    let arguments = [ARCH_MAP_VDSO_64.into(), range.start.into()];
    batch.call("arch_prctl ARCH_MAP_VDSO_64", libc::SYS_arch_prctl, &arguments);
    build.run(index, &batch)?;
    Ok(())
}

/// What is done when there are no more children to come: advice, locks, guard pages; the shared memory goes.
pub(super) fn complete(build: &mut Build<'_>) -> Result<()> {
    for (index, task) in build.tasks() {
        let Some(mm) = &task.mm else { continue };
        let side = build.snapshot.side.process(task.entry.pid);
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
                let is_on_fault = side.is_some_and(|side| side.locked_on_fault.contains(&start));
                let flags = if is_on_fault { libc::MLOCK_ONFAULT } else { 0 };
                // As much as the container's user may.
                build.with_only(&mut batch, build.policy.ceiling(), |batch| {
                    batch.call("mlock2", libc::SYS_mlock2, &[start.into(), len.into(), flags.into()])
                });
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
