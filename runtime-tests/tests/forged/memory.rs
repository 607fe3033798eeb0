//! Mappings that no program can have, sizes that nothing has, registers that no processor takes.

use super::*;
use images::DirectoryWriter;
use images::format::PAGEMAP;
use images::messages::{
    CoreEntry, InventoryEntry, MmEntry, PagemapEntry, PagemapHead, RseqEntry, ThreadCoreEntry, ThreadInfoX86,
    VmaEntry,
};

/// Bits of `vma_entry.status`, as CRIU has them.
const REGULAR: u32 = 1 << 0;
const VSYSCALL: u32 = 1 << 2;
const VDSO: u32 = 1 << 3;
const ANON_SHARED: u32 = 1 << 8;
const ANON_PRIVATE: u32 = 1 << 9;
const SYSVIPC: u32 = 1 << 10;
const GUARD: u32 = 1 << 16;
const PRIVATE: u32 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u32;
const READ_WRITE: u32 = (libc::PROT_READ | libc::PROT_WRITE) as u32;

/// The pages before and after all that a program of the tests has.
const LOW: u64 = 0x10_0000;
const LAST: u64 = 0x7fff_ffff_f000;

const fn of_idle(name: &'static str, forge: fn(&Images), then: Then) -> Forgery {
    Forgery { name, program: "idle", adapt: as_it_is, forge, then }
}

fn mm(images: &Images, change: impl FnOnce(&mut MmEntry)) {
    images.edit("mm-1.img", change);
}

/// Adds a mapping where it belongs in the order.
fn map(images: &Images, start: u64, end: u64, status: u32, change: fn(&mut VmaEntry)) {
    let mut mapping =
        VmaEntry { start, end, prot: READ_WRITE, flags: PRIVATE, status, fd: -1, ..VmaEntry::default() };
    change(&mut mapping);
    mm(images, |mm| {
        let at = mm.vmas.iter().position(|other| other.start > start).unwrap_or(mm.vmas.len());
        mm.vmas.insert(at, mapping);
    });
}

fn vdso(images: &Images, change: impl FnOnce(&mut VmaEntry)) {
    mm(images, |mm| change(mm.vmas.iter_mut().find(|vma| vma.status & VDSO != 0).expect("a vdso")));
}

fn registers(images: &Images, change: impl FnOnce(&mut ThreadInfoX86)) {
    images.edit("core-1.img", |core: &mut CoreEntry| change(core.thread_info.as_mut().expect("registers")));
}

fn thread(images: &Images, change: impl FnOnce(&mut ThreadCoreEntry)) {
    images.edit("core-1.img", |core: &mut CoreEntry| change(core.thread_core.as_mut().expect("a thread")));
}

fn rseq(images: &Images, pointer: u64, size: u32) {
    let entry = RseqEntry { rseq_abi_pointer: pointer, rseq_abi_size: size, ..RseqEntry::default() };
    thread(images, |thread| thread.rseq_entry = Some(entry));
}

/// Shared memory without pages.
fn add_shared(images: &Images, id: u64) {
    images.add(&format!("pagemap-shmem-{id}.img"), &PAGEMAP, &PagemapHead { pages_id: 999 });
}

/// Adds pages to the first task.
fn add_pages(images: &Images, vaddr: u64, pages: u64) {
    const PRESENT: u32 = 4;
    add_pages_of(images, vaddr, pages, PRESENT);
}

/// Memory of the first task whose pages are in the directory that `parent` leads to.
fn take_pages(images: &Images, parent: &str) {
    const PARENT: u32 = 1;
    map(images, LOW, LOW + 0x1000, REGULAR | ANON_PRIVATE, |_| {});
    add_pages_of(images, LOW, 1, PARENT);
    std::os::unix::fs::symlink(parent, images.dir.join("parent")).expect("a link");
}

/// Somebody else's dump, beside ours.
fn dump_beside(images: &Images) {
    let beside = images.dir.with_file_name("beside");
    fs::create_dir(&beside).expect("mkdir");
    let dir = fs::File::open(&beside).expect("a directory");
    let mut writer = DirectoryWriter::new(dir.into()).expect("a dump");
    let head = PagemapHead { pages_id: 1 };
    let run = PagemapEntry { vaddr: LOW, nr_pages: Some(1), flags: Some(4), ..PagemapEntry::default() };
    let written = writer.image("pagemap-1.img", &PAGEMAP, |image| {
        image.entry(&head)?;
        image.entry(&run)
    });
    written.expect("an image");
    let pages = writer.pages(1, 4096).expect("pages");
    pages.write(0, &[7; 4096]).expect("pages");
    writer.finish_pages(pages).expect("pages");
    writer.commit(&InventoryEntry { img_version: 2, ..InventoryEntry::default() }).expect("a dump");
}

fn add_pages_of(images: &Images, vaddr: u64, pages: u64, flags: u32) {
    let path = images.dir.join("pagemap-1.img");
    let bytes = fs::read(&path).expect("a page map");
    let mut reader = Reader::new("pagemap-1.img", bytes.as_slice()).expect("an image");
    let head: PagemapHead = reader.entry().expect("an entry").expect("a head").decode("").expect("a head");
    let mut runs: Vec<PagemapEntry> = Vec::new();
    while let Some(entry) = reader.entry().expect("an entry") {
        runs.push(entry.decode("").expect("a run"));
    }
    runs.push(PagemapEntry { vaddr, nr_pages: Some(pages), flags: Some(flags), ..PagemapEntry::default() });
    runs.sort_by_key(|run| run.vaddr);
    let mut writer = Writer::new(Vec::new(), &PAGEMAP).expect("memory");
    writer.entry(&head).expect("memory");
    runs.iter().try_for_each(|run| writer.entry(run)).expect("memory");
    fs::write(path, writer.finish().expect("memory")).expect("write");
}

/// Pages before all others, `nop` by `nop`.
fn fill_pages(images: &Images, bytes: usize) {
    for name in images.names("pages-") {
        let path = images.dir.join(name);
        let content = [vec![0x90; bytes], fs::read(&path).expect("pages")].concat();
        fs::write(path, content).expect("write");
    }
}

pub(super) const FORGERIES: &[Forgery] = &[
    of_idle(
        "registers_of_another_size",
        |images| {
            registers(images, |info| {
                let xsave = info.fpregs.xsave.as_mut().expect("a processor with XSAVE");
                xsave.xstate_bv |= 1 << 2;
                xsave.ymmh_space = vec![1; 100];
            });
        },
        Then::Refused(&["core-1.img", "state 2 of XSAVE has another size"]),
    ),
    of_idle(
        "memory_at_zero",
        |images| map(images, 0, 0x1000, REGULAR | ANON_PRIVATE, |_| {}),
        Then::Refused(&["mm-1.img", "0x0"]),
    ),
    of_idle(
        "memory_of_the_kernel",
        |images| map(images, 0xffff_8000_0000_0000, 0xffff_8000_0000_1000, REGULAR | ANON_PRIVATE, |_| {}),
        Then::Refused(&["mm-1.img", "0xffff800000000000"]),
    ),
    of_idle(
        "memory_at_no_address",
        |images| map(images, 0x8000_0000_0000, 0x8000_0000_1000, REGULAR | ANON_PRIVATE, |_| {}),
        Then::Refused(&["mm-1.img", "0x800000000000"]),
    ),
    of_idle(
        "memory_that_is_called_vsyscall",
        |images| {
            mm(images, |mm| {
                mm.vmas.retain(|vma| vma.start < LAST);
                let status = VSYSCALL;
                mm.vmas.push(VmaEntry { start: 0xffff << 48, end: !0xfff, status, ..VmaEntry::default() });
            })
        },
        Then::Refused(&["mm-1.img", "0xffff000000000000"]),
    ),
    of_idle(
        "pages_of_the_dump_beside",
        |images| {
            dump_beside(images);
            take_pages(images, "../beside");
        },
        Then::Refused(&["parent", "is not the dump that was there"]),
    ),
    of_idle(
        "pages_from_elsewhere",
        |images| take_pages(images, "../../elsewhere"),
        Then::Refused(&["parent", "beside the images"]),
    ),
    of_idle("pages_of_an_absolute_parent", |images| take_pages(images, "/"), Then::Refused(&["parent"])),
    of_idle(
        "pages_of_itself",
        |images| {
            let name = images.dir.file_name().expect("a name").to_str().expect("UTF-8");
            take_pages(images, &format!("../{name}"));
        },
        Then::Refused(&["parent", "256 directories"]),
    ),
    of_idle("pages_of_no_parent", |images| take_pages(images, "../nothing"), Then::Refused(&["parent"])),
    of_idle(
        "memory_twice",
        |images| mm(images, |mm| mm.vmas.insert(1, mm.vmas[0])),
        Then::Refused(&["mm-1.img", "not after"]),
    ),
    of_idle(
        "memory_everywhere",
        |images| {
            mm(images, |mm| {
                let mut end = LOW;
                let own = std::mem::take(&mut mm.vmas);
                for mapping in own {
                    if mapping.start.min(LAST) > end {
                        mm.vmas.push(VmaEntry {
                            start: end,
                            end: mapping.start.min(LAST),
                            prot: 0,
                            flags: PRIVATE | libc::MAP_NORESERVE as u32,
                            status: REGULAR | ANON_PRIVATE,
                            fd: -1,
                            ..VmaEntry::default()
                        });
                    }
                    end = mapping.end;
                    mm.vmas.push(mapping);
                }
            });
        },
        Then::Refused(&["memory", "addresses are free"]),
    ),
    of_idle(
        "vdso_that_is_huge",
        |images| vdso(images, |vdso| vdso.end += 1 << 20),
        Then::Refused(&["mm-1.img", "vdso"]),
    ),
    of_idle(
        "vdso_missing",
        |images| vdso(images, |vdso| vdso.status = REGULAR),
        Then::Refused(&["task 1", "vdso"]),
    ),
    of_idle(
        "vdso_elsewhere",
        |images| {
            vdso(images, |vdso| vdso.status = REGULAR | ANON_PRIVATE);
            map(images, LOW, LOW + 0x2000, REGULAR | VDSO, |_| {});
        },
        Then::Refused(&["vdso"]),
    ),
    of_idle(
        "guard_pages_of_nothing",
        |images| {
            mm(images, |mm| {
                let guard =
                    VmaEntry { start: LOW, end: LOW + 0x1000, status: GUARD, fd: -1, ..VmaEntry::default() };
                mm.vmas.push(guard);
            })
        },
        Then::Refused(&["madvise"]),
    ),
    of_idle(
        "guard_pages_everywhere",
        |images| {
            mm(images, |mm| {
                let guard =
                    VmaEntry { start: 0x1000, end: LAST, status: GUARD, fd: -1, ..VmaEntry::default() };
                mm.vmas.push(guard);
            })
        },
        Then::Refused(&[]),
    ),
    of_idle(
        "shared_memory_missing",
        |images| map(images, LOW, LOW + 0x1000, REGULAR | ANON_SHARED, |vma| vma.shmid = 99),
        Then::Refused(&["pagemap-shmem-99.img", "missing"]),
    ),
    of_idle(
        "shared_memory_that_is_huge",
        |images| {
            add_shared(images, 99);
            map(images, LOW, LOW + 0x1000, REGULAR | ANON_SHARED, |vma| {
                (vma.shmid, vma.pgoff) = (99, 1 << 47)
            });
        },
        Then::Refused(&["memory", "addresses are free"]),
    ),
    of_idle(
        "shared_memory_beyond_all_files",
        |images| {
            add_shared(images, 99);
            map(images, LOW, LOW + 0x1000, REGULAR | ANON_SHARED, |vma| {
                (vma.shmid, vma.pgoff) = (99, u64::MAX - 0xfff)
            });
        },
        Then::Refused(&["mm-1.img", "beyond"]),
    ),
    Forgery {
        name: "shared_memory_of_the_host",
        program: "idle",
        adapt: |bundle| {
            bundle.without_namespace("ipc");
        },
        forge: |images| map(images, LOW, LOW + 0x1000, REGULAR | ANON_SHARED | SYSVIPC, |vma| vma.shmid = 0),
        then: Then::Refused(&["mm-1.img", "somebody else's"]),
    },
    Forgery {
        name: "locked_memory",
        program: "idle",
        adapt: |bundle| {
            bundle.push("/process/rlimits", json!({"type": "RLIMIT_MEMLOCK", "soft": 65536, "hard": 65536}));
        },
        forge: |images| {
            map(images, LOW, LOW + (1 << 20), REGULAR | ANON_PRIVATE, |vma| {
                vma.flags |= libc::MAP_LOCKED as u32
            });
        },
        then: Then::Refused(&["task 1", "mlock"]),
    },
    of_idle(
        "file_that_is_not_there",
        |images| map(images, LOW, LOW + 0x1000, REGULAR | 1 << 6, |vma| vma.shmid = 12345),
        Then::Refused(&["mm-1.img", "12345"]),
    ),
    of_idle(
        "pages_without_end",
        |images| add_pages(images, LOW, u64::MAX),
        Then::Refused(&["pagemap-1.img"]),
    ),
    of_idle(
        "pages_that_are_not_there",
        |images| add_pages(images, LOW, 1 << 30),
        Then::Refused(&["pages-", "cut off"]),
    ),
    of_idle(
        "pages_in_no_mapping",
        |images| {
            add_pages(images, LOW, 4);
            fill_pages(images, 4 * 4096);
        },
        Then::Refused(&["pagemap-1.img", "0x100000"]),
    ),
    of_idle(
        "brk_beyond_memory",
        |images| mm(images, |mm| mm.mm_brk = u64::MAX),
        Then::Refused(&["PR_SET_MM_MAP"]),
    ),
    of_idle(
        "auxiliary_vector_that_is_huge",
        |images| mm(images, |mm| mm.mm_saved_auxv = vec![6; 100_000]),
        Then::Refused(&["PR_SET_MM_MAP"]),
    ),
    of_idle(
        "selectors_of_the_kernel",
        |images| registers(images, |info| (info.gpregs.cs, info.gpregs.ss) = (0x10, 0x18)),
        Then::Refused(&["task 1"]),
    ),
    of_idle(
        "base_at_no_address",
        |images| registers(images, |info| info.gpregs.fs_base = 0x8000_0000_0000_0000),
        Then::Refused(&["task 1"]),
    ),
    of_idle(
        "instruction_at_no_address",
        |images| {
            registers(images, |info| (info.gpregs.ip, info.gpregs.flags) = (0x8000_0000_0000_0000, u64::MAX))
        },
        Then::Either,
    ),
    of_idle(
        "mxcsr_reserved",
        |images| registers(images, |info| info.fpregs.mxcsr = u32::MAX),
        Then::Refused(&["task 1"]),
    ),
    of_idle(
        "xsave_that_has_everything",
        |images| {
            registers(images, |info| {
                if let Some(xsave) = &mut info.fpregs.xsave {
                    xsave.xstate_bv = u64::MAX;
                }
            })
        },
        Then::Either,
    ),
    of_idle(
        "xsave_that_is_long",
        |images| {
            registers(images, |info| {
                let xsave = info.fpregs.xsave.as_mut().expect("extended state");
                (xsave.xstate_bv, xsave.ymmh_space) = (7, vec![1; 100_000]);
            })
        },
        Then::Refused(&["XSAVE"]),
    ),
    of_idle(
        "rseq_of_the_kernel",
        |images| rseq(images, 0xffff_8000_0000_0000, 32),
        Then::Refused(&["task 1"]),
    ),
    of_idle("rseq_in_no_mapping", |images| rseq(images, LOW, 32), Then::Refused(&["task 1"])),
    of_idle("rseq_of_no_size", |images| rseq(images, LOW, 0), Then::Refused(&["task 1", "rseq"])),
    of_idle(
        "pointers_to_nothing",
        |images| {
            thread(images, |thread| (thread.futex_rla, thread.futex_rla_len) = (u64::MAX, 24));
            registers(images, |info| info.clear_tid_addr = u64::MAX);
        },
        Then::Either,
    ),
    of_idle(
        "robust_list_of_no_size",
        |images| thread(images, |thread| thread.futex_rla_len = 7),
        Then::Refused(&["set_robust_list"]),
    ),
];
