//! The address space of a process: its mappings, and the content of those that are its own.

use crate::aio;
use crate::error::{At, Error, Result};
use crate::files::Files;
use crate::proc::Mapping;
use crate::snapshot::vma::{
    self, AIO_RING, ANON_PRIVATE, HEAP, MEMFD, REGULAR, SOCKET, VDSO, VSYSCALL, VVAR,
};
use crate::snapshot::{PAGE_SIZE, PageMap, pagemap, run_end};
use crate::task::Answers;
use crate::tree::Member;
use images::messages::{MmEntry, PagemapEntry, VmaEntry};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use sys::inspect::{PageRegion, PageScan, page, pagemap_scan};
use sys::userfault::{self, Mode};

/// What a mapping is called of shared memory in huge pages that has been restored: a file of memfd_create(2), as what the
/// kernel makes for mmap(2) has no descriptor.
const HUGE_PAGES: &str = "/memfd:/anon_hugepage (deleted)";

/// Where the content of shared memory can be read, by the inode of its file.
pub(crate) type SharedMemory = BTreeMap<u64, File>;

/// The mappings of a process, those of the stub left out, and what it has asked mlockall(2) for memory to come, which only
/// new memory shows: the stub's.
pub(crate) fn mappings(pid: i32, of_ours: &[Range<u64>]) -> Result<(Vec<Mapping>, Option<u32>)> {
    let mut mappings: Vec<Mapping> = Vec::new();
    let mut locks_memory = None;
    for mapping in Mapping::of(pid)? {
        if of_ours.iter().any(|ours| ours.contains(&mapping.start)) {
            let on_fault = if mapping.is_locked_on_fault() { libc::MCL_ONFAULT } else { 0 };
            let flags = (libc::MCL_FUTURE | on_fault) as u32;
            locks_memory = mapping.has("lo").then_some(flags).or(locks_memory);
            continue;
        }
        // Since 6.13 the clocks of virtual machines are a mapping of their own; images have one.
        if mapping.name == b"[vvar_vclock]"
            && let Some(last) = mappings.last_mut().filter(|last| last.end == mapping.start)
        {
            last.end = mapping.end;
            continue;
        }
        mappings.push(mapping);
    }
    Ok((mappings, locks_memory))
}

/// The address space without its content. Files that are mapped get ids in `files`, shared memory is noted there.
pub(crate) fn address_space(
    member: &Member,
    mappings: &[Mapping],
    answers: &Answers,
    files: &mut Files<'_>,
) -> Result<MmEntry> {
    let (pid, stat) = (member.pid, &member.stat);
    let exe_file_id = files.place(&format!("/proc/{pid}/exe"))?;
    let vmas: Result<Vec<VmaEntry>> = mappings.iter().map(|mapping| vma_entry(pid, mapping, files)).collect();
    let vmas = vmas?;
    let auxv = std::fs::read(format!("/proc/{pid}/auxv")).at(|| format!("read /proc/{pid}/auxv"))?;
    let mut auxv: Vec<u64> =
        auxv.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect();
    // The pair of zeros at the end is not part of it.
    while auxv.last() == Some(&0) && auxv.len() > 2 && auxv[auxv.len() - 2] == 0 {
        auxv.truncate(auxv.len() - 2);
    }
    Ok(MmEntry {
        mm_start_code: stat.code.0,
        mm_end_code: stat.code.1,
        mm_start_data: stat.data.0,
        mm_end_data: stat.data.1,
        mm_start_stack: stat.start_stack,
        mm_start_brk: stat.start_brk,
        mm_brk: answers.brk,
        mm_arg_start: stat.arg.0,
        mm_arg_end: stat.arg.1,
        mm_env_start: stat.env.0,
        mm_env_end: stat.env.1,
        exe_file_id,
        mm_saved_auxv: auxv,
        aios: aio::entries(&vmas),
        vmas,
        dumpable: Some(answers.dumpable),
        thp_disabled: Some(member.status.is_thp_disabled),
    })
}

fn vma_entry(pid: i32, mapping: &Mapping, files: &mut Files<'_>) -> Result<VmaEntry> {
    let mut entry = bare_entry(mapping);
    let link = format!("/proc/{pid}/map_files/{:x}-{:x}", mapping.start, mapping.end);
    if entry.status & vma::ANON_SHARED != 0 {
        entry.shmid = mapping.ino;
        if let Entry::Vacant(vacant) = files.shared.entry(mapping.ino) {
            vacant.insert(File::open(&link).at(|| format!("open {link}"))?);
        }
    } else if entry.status & (vma::FILE_PRIVATE | vma::FILE_SHARED) != 0 {
        entry.shmid = files.place(&link)?.into();
        entry.fdflags = Some(open_flags(&link)?);
    }
    Ok(entry)
}

/// A mapping without what it is a mapping of.
pub(crate) fn bare_entry(mapping: &Mapping) -> VmaEntry {
    let mut entry = VmaEntry {
        start: mapping.start,
        end: mapping.end,
        pgoff: mapping.offset,
        prot: mapping.prot,
        flags: flags(mapping),
        status: REGULAR,
        fd: -1,
        madv: Some(advice(mapping)).filter(|advice| *advice != 0),
        ..VmaEntry::default()
    };
    let name = mapping.name.as_slice();
    // Huge pages have a file of the kernel's.
    let has_file =
        (mapping.ino != 0 || name.starts_with(b"/")) && (mapping.is_shared || !is_shared_memory(name));
    if !has_file {
        entry.pgoff = 0;
        entry.flags |= libc::MAP_ANONYMOUS as u32;
        entry.status |= ANON_PRIVATE;
        match name {
            b"[vsyscall]" => entry.status = VSYSCALL | ANON_PRIVATE,
            b"[vdso]" => entry.status |= VDSO,
            b"[vvar]" => entry.status |= VVAR,
            b"[heap]" => entry.status |= HEAP,
            _ => {}
        }
    } else if name.starts_with(b"/[aio]") {
        entry.status |= AIO_RING;
    } else if name.starts_with(b"socket:") {
        // Until all files are known: `Files::find_rings`.
        entry.shmid = mapping.ino;
        entry.status |= SOCKET;
    } else if mapping.is_shared && is_shared_memory(name) {
        entry.flags |= libc::MAP_ANONYMOUS as u32;
        entry.status |= vma::ANON_SHARED;
        if name.starts_with(b"/SYSV") {
            entry.status |= vma::SYSVIPC;
        }
    } else {
        entry.status |= if mapping.is_shared { vma::FILE_SHARED } else { vma::FILE_PRIVATE };
        if name.starts_with(b"/memfd:") {
            entry.status |= MEMFD;
        }
    }
    entry
}

/// Whether a mapping with this name is anonymous memory that is shared, or could be.
fn is_shared_memory(name: &[u8]) -> bool {
    let names = [&b"/dev/zero (deleted)"[..], b"/SYSV", b"/anon_hugepage (deleted)", HUGE_PAGES.as_bytes()];
    names.iter().any(|known| name.starts_with(known))
}

/// How the file of a mapping was opened: the permissions of its link say it.
fn open_flags(link: &str) -> Result<u32> {
    let mode = std::fs::symlink_metadata(link).at(|| format!("look at {link}"))?.permissions().mode();
    Ok(match mode & 0o600 {
        0o600 => libc::O_RDWR,
        0o200 => libc::O_WRONLY,
        _ => libc::O_RDONLY,
    } as u32)
}

/// `MAP_` flags of mmap(2), with the size of huge pages.
fn flags(mapping: &Mapping) -> u32 {
    const MAP_DROPPABLE: i32 = 0x08;
    let mut flags = match () {
        () if mapping.has("dp") => MAP_DROPPABLE,
        () if mapping.is_shared => libc::MAP_SHARED,
        () => libc::MAP_PRIVATE,
    };
    for (flag, bit) in [
        ("gd", libc::MAP_GROWSDOWN),
        ("lo", libc::MAP_LOCKED),
        ("nr", libc::MAP_NORESERVE),
        ("ht", libc::MAP_HUGETLB),
    ] {
        if mapping.has(flag) {
            flags |= bit;
        }
    }
    if mapping.has("ht") {
        flags |= (mapping.page_size.trailing_zeros() as i32) << libc::MAP_HUGE_SHIFT;
    }
    flags as u32
}

/// Bit N for the advice N of madvise(2).
fn advice(mapping: &Mapping) -> u64 {
    let advice = [
        ("rr", libc::MADV_RANDOM),
        ("sr", libc::MADV_SEQUENTIAL),
        ("dc", libc::MADV_DONTFORK),
        ("mg", libc::MADV_MERGEABLE),
        ("hg", libc::MADV_HUGEPAGE),
        ("nh", libc::MADV_NOHUGEPAGE),
        ("dd", libc::MADV_DONTDUMP),
        ("wf", libc::MADV_WIPEONFORK),
    ];
    advice.iter().filter(|(flag, _)| mapping.has(flag)).map(|(_, advice)| 1 << advice).sum()
}

/// What a dump of pages has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PageCount {
    pub(crate) scanned: u64,
    pub(crate) written: u64,
    /// Left in the parent directory.
    pub(crate) skipped: u64,
}

impl PageCount {
    pub(crate) fn add(&mut self, other: PageCount) {
        self.scanned += other.scanned;
        self.written += other.written;
        self.skipped += other.skipped;
    }
}

/// What a process has in memory that is its own.
#[derive(Debug, Default)]
pub(crate) struct OwnPages {
    pub(crate) runs: Vec<PagemapEntry>,
    /// Guard pages, which have no content.
    pub(crate) guards: Vec<VmaEntry>,
    pub(crate) count: PageCount,
}

/// Which pages of a process go into the images: those that are neither the file's nor zeros. Those that `parent` has, from
/// a dump since which writes are tracked, stay where they are if nobody has written to them.
pub(crate) fn own_pages(pid: i32, vmas: &[VmaEntry], parent: Option<&PageMap>) -> Result<OwnPages> {
    let path = format!("/proc/{pid}/pagemap");
    let pagemap = File::open(&path).at(|| format!("open {path}"))?;
    let mut own = OwnPages::default();
    for vma in vmas {
        own.count.scanned += (vma.end - vma.start) / PAGE_SIZE;
        if vma.status & (VDSO | AIO_RING) != 0 {
            // The kernel's, which may differ where it is restored.
            add(&mut own.runs, vma.start, vma.end, pagemap::PRESENT);
            continue;
        }
        if !has_own_pages(vma) {
            continue;
        }
        let bits = bits(vma);
        let found = |region: &PageRegion| {
            let is_written = region.bits & (page::TRACKED | page::WRITTEN) != page::TRACKED;
            match parent {
                _ if region.bits & page::GUARD != 0 => own.guards.push(guard(region)),
                Some(parent) if !is_written => {
                    for (start, end, is_there) in parts(parent, region.start, region.end) {
                        add(&mut own.runs, start, end, if is_there { pagemap::PARENT } else { bits });
                    }
                }
                _ => add(&mut own.runs, region.start, region.end, bits),
            }
        };
        scan(&pagemap, vma.start, vma.end, parent.is_some(), found).at(|| format!("scan {path}"))?;
    }
    let pages = |flag: u32| {
        let with = own.runs.iter().filter(|run| run.flags.unwrap_or(0) & flag != 0);
        with.filter_map(|run| run.nr_pages).sum()
    };
    own.count.written = pages(pagemap::PRESENT);
    own.count.skipped = pages(pagemap::PARENT);
    Ok(own)
}

/// The flags of pages in the images.
pub(crate) fn bits(vma: &VmaEntry) -> u32 {
    let is_anonymous = vma.status & ANON_PRIVATE != 0 && vma.status & VDSO == 0;
    let can_wait = is_anonymous && vma.flags & (libc::MAP_LOCKED | libc::MAP_HUGETLB) as u32 == 0;
    if can_wait { pagemap::PRESENT | pagemap::LAZY } else { pagemap::PRESENT }
}

/// A range in parts that a map has, and that it has not.
fn parts(map: &PageMap, start: u64, end: u64) -> Vec<(u64, u64, bool)> {
    let first = map.first_beyond(start);
    let mut parts = Vec::new();
    let mut at = start;
    for run in map.runs[first..].iter().take_while(|run| run.vaddr < end) {
        let (from, to) = (run.vaddr.max(at), run_end(run).min(end));
        if from > at {
            parts.push((at, from, false));
        }
        parts.push((from, to, true));
        at = to;
    }
    if at < end {
        parts.push((at, end, false));
    }
    parts
}

/// Has writes to own pages tracked from now on, as far as they can be.
pub(crate) fn track(pid: i32, vmas: &[VmaEntry], userfaultfd: BorrowedFd<'_>) -> Result<()> {
    let path = format!("/proc/{pid}/pagemap");
    let pagemap = File::open(&path).at(|| format!("open {path}"))?;
    for vma in vmas.iter().filter(|vma| vma.status & VDSO == 0 && has_own_pages(vma)) {
        match userfault::register(userfaultfd, Mode::TrackWrites, vma.start, vma.end - vma.start) {
            // Not tracked, so it counts as written.
            Err(errno) if [libc::EINVAL, libc::EBUSY, libc::EPERM].contains(&errno.raw()) => continue,
            tracked => tracked.at(|| format!("task {pid}: track writes to {:#x}", vma.start))?,
        }
        let mut protect = PageScan {
            start: vma.start,
            end: vma.end,
            all: page::TRACKED | page::WRITTEN,
            // Those that are not there yet will count as written.
            any: page::PRESENT | page::SWAPPED,
            protects: true,
            ..PageScan::default()
        };
        // Nobody asks for the regions; but without room for them the kernel protects what is not there, too.
        let mut regions = [PageRegion::default(); 64];
        while protect.start < protect.end {
            let scanned = pagemap_scan(pagemap.as_fd(), &protect, &mut regions);
            (_, protect.start) = scanned.at(|| format!("scan {path}"))?;
        }
    }
    Ok(())
}

fn guard(region: &PageRegion) -> VmaEntry {
    VmaEntry { start: region.start, end: region.end, status: vma::GUARD, fd: -1, ..VmaEntry::default() }
}

/// Whether a mapping has pages that are its process's alone.
fn has_own_pages(vma: &VmaEntry) -> bool {
    const MAP_DROPPABLE: u32 = 0x08;
    let is_private = vma.status & (ANON_PRIVATE | vma::FILE_PRIVATE) != 0;
    is_private && vma.status & (VVAR | VSYSCALL) == 0 && vma.flags & libc::MAP_TYPE as u32 != MAP_DROPPABLE
}

/// `found` gets stretches of own pages and of guard pages; if `is_tracked`, with what is known about writes.
fn scan(
    pagemap: &File,
    start: u64,
    end: u64,
    is_tracked: bool,
    mut found: impl FnMut(&PageRegion),
) -> sys::Result<()> {
    let unwanted = page::FILE | page::ZERO;
    let told = if is_tracked { page::TRACKED | page::WRITTEN } else { 0 };
    let mut scan = PageScan {
        start,
        end,
        inverted: unwanted,
        all: unwanted,
        any: page::PRESENT | page::SWAPPED | page::GUARD,
        told: told | page::GUARD,
        protects: false,
    };
    let mut regions = [PageRegion::default(); 512];
    while scan.start < end {
        let (count, up_to) = match pagemap_scan(pagemap.as_fd(), &scan, &mut regions) {
            // FIXME: remove when 6.15 is the oldest supported kernel.
            Err(errno) if errno.raw() == libc::EINVAL && scan.told & page::GUARD != 0 => {
                scan.any &= !page::GUARD;
                scan.told &= !page::GUARD;
                continue;
            }
            // FIXME: remove when 6.7 is the oldest supported kernel.
            Err(errno) if errno.raw() == libc::ENOTTY => return scan_entries(pagemap, start, end, found),
            result => result?,
        };
        regions[..count].iter().for_each(&mut found);
        scan.start = up_to;
    }
    Ok(())
}

/// The same by the entries of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst), which do not tell the page of
/// zeros from others.
fn scan_entries(pagemap: &File, start: u64, end: u64, mut found: impl FnMut(&PageRegion)) -> sys::Result<()> {
    const PRESENT_OR_SWAPPED: u64 = 3 << 62;
    const FILE_OR_SHARED: u64 = 1 << 61;
    /// Bytes that are read at a time.
    const ENTRIES: usize = 1 << 20;
    let mut buffer = vec![0; ENTRIES];
    let mut at = start;
    while at < end {
        let len = (((end - at) / PAGE_SIZE) as usize * 8).min(buffer.len());
        pagemap.read_exact_at(&mut buffer[..len], at / PAGE_SIZE * 8)?;
        for entry in buffer[..len].chunks_exact(8) {
            let entry = u64::from_le_bytes(entry.try_into().expect("eight bytes"));
            if entry & PRESENT_OR_SWAPPED != 0 && entry & FILE_OR_SHARED == 0 {
                found(&PageRegion { start: at, end: at + PAGE_SIZE, bits: 0 });
            }
            at += PAGE_SIZE;
        }
    }
    Ok(())
}

/// Adds a run, or makes the last one longer.
pub(crate) fn add(runs: &mut Vec<PagemapEntry>, start: u64, end: u64, flags: u32) {
    let pages = (end - start) / PAGE_SIZE;
    if let Some(last) = runs.last_mut() {
        let last_pages = last.nr_pages.unwrap_or(0);
        if last.vaddr + last_pages * PAGE_SIZE == start && last.flags == Some(flags) {
            set_size(last, last_pages + pages);
            return;
        }
    }
    let mut run = PagemapEntry {
        vaddr: start,
        compat_nr_pages: 0,
        in_parent: None,
        flags: Some(flags),
        nr_pages: None,
    };
    set_size(&mut run, pages);
    runs.push(run);
}

/// Readers that do not know `nr_pages`, checkpointctl 1.3 among them, look at the field that was there before it.
fn set_size(run: &mut PagemapEntry, pages: u64) {
    run.nr_pages = Some(pages);
    run.compat_nr_pages = pages.try_into().unwrap_or(0);
}

/// The pages of shared memory that have content; addresses are offsets in it.
pub(crate) fn shared_pages(id: u64, file: &File) -> Result<(Vec<PagemapEntry>, PageCount)> {
    use nix::unistd::{Whence, lseek};
    let what = || format!("shared memory {id}");
    let size = file.metadata().at(what)?.size();
    let mut runs = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match lseek(file.as_fd(), at as i64, Whence::SeekData) {
            Ok(start) => start as u64,
            // Nothing but a hole is left.
            Err(nix::Error::ENXIO) => break,
            Err(errno) => return Err(Error::of_kernel(what(), errno)),
        };
        let end = lseek(file.as_fd(), start as i64, Whence::SeekHole).at(what)? as u64;
        add(&mut runs, start, end.next_multiple_of(PAGE_SIZE), pagemap::PRESENT);
        at = end;
    }
    let written = runs.iter().filter_map(|run| run.nr_pages).sum();
    Ok((runs, PageCount { scanned: size.div_ceil(PAGE_SIZE), written, skipped: 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_grow() {
        let mut runs = Vec::new();
        add(&mut runs, 0x1000, 0x3000, pagemap::PRESENT);
        add(&mut runs, 0x3000, 0x4000, pagemap::PRESENT);
        add(&mut runs, 0x4000, 0x5000, pagemap::PRESENT | pagemap::LAZY);
        add(&mut runs, 0x6000, 0x7000, pagemap::PRESENT | pagemap::LAZY);
        let found: Vec<(u64, u64)> =
            runs.iter().map(|run| (run.vaddr, run.nr_pages.expect("a number"))).collect();
        assert_eq!(found, [(0x1000, 3), (0x4000, 1), (0x6000, 1)]);
    }

    #[test]
    fn flags_of_mappings() {
        let mapping = |flags: &str| Mapping {
            flags: flags.split(' ').map(str::to_owned).collect(),
            ..Mapping::default()
        };
        assert_eq!(flags(&mapping("rd wr gd")), (libc::MAP_PRIVATE | libc::MAP_GROWSDOWN) as u32);
        assert_eq!(flags(&mapping("rd wr dp")), 8);
        assert_eq!(advice(&mapping("rd dd hg")), 1 << 16 | 1 << 14);
    }

    #[test]
    fn what_counts_as_written() {
        let userfaultfd = userfault::userfaultfd().expect("a userfaultfd");
        // FIXME: an error when 6.7 is the oldest supported kernel.
        if userfault::begin(userfaultfd.as_fd(), Mode::TrackWrites).is_err() {
            return println!("skip: the kernel does not track writes");
        }
        let pages = vec![1u8; 4 * PAGE_SIZE as usize];
        let start = (pages.as_ptr() as u64).next_multiple_of(PAGE_SIZE);
        let page = |nth: u64| start + nth * PAGE_SIZE;
        let vma = VmaEntry { start, end: page(3), status: ANON_PRIVATE, ..VmaEntry::default() };
        let vmas = [VmaEntry { flags: libc::MAP_PRIVATE as u32, ..vma }];
        let pid = std::process::id() as i32;
        track(pid, &vmas, userfaultfd.as_fd()).expect("writes are tracked");
        userfault::count_as_written(userfaultfd.as_fd(), page(1), PAGE_SIZE).expect("it is tracked");

        let mut earlier = PageMap::default();
        add(&mut earlier.runs, start, page(3), pagemap::PRESENT);
        let own = own_pages(pid, &vmas, Some(&earlier)).expect("a scan");
        let runs: Vec<_> = own.runs.iter().map(|run| (run.vaddr, run.flags.expect("flags"))).collect();
        let (of_parent, present) = (pagemap::PARENT, bits(&vmas[0]));
        assert_eq!(runs, [(page(0), of_parent), (page(1), present), (page(2), of_parent)]);
        drop(pages);
    }

    #[test]
    fn pages_of_this_process() {
        let pagemap = File::open("/proc/self/pagemap").expect("pagemap");
        let page = vec![1u8; 3 * PAGE_SIZE as usize];
        let start = (page.as_ptr() as u64).next_multiple_of(PAGE_SIZE);
        let end = start + 2 * PAGE_SIZE;
        let (mut found, mut found_by_entries) = (0, 0);
        scan(&pagemap, start, end, false, |region| found += region.end - region.start).expect("a scan");
        scan_entries(&pagemap, start, end, |region| found_by_entries += region.end - region.start)
            .expect("a scan");
        assert_eq!((found, found_by_entries), (2 * PAGE_SIZE, 2 * PAGE_SIZE));
    }
}
