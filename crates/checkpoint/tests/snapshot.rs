//! Snapshots of what CRIU 4.2 wrote (`crates/images/fixtures`): reading and writing gives the same bytes, and what is
//! not consistent is refused with the image and the field.

mod fixture;

use checkpoint::snapshot::{GhostChunk, PageMap, Snapshot, Task, pagemap, vma, write_ghost};
use fixture::{FIXTURES, fd, fixture, read, temporary, write, write_pages};
use images::messages::{
    CgroupEntry, FdTypes, PagemapEntry, PstreeEntry, RemapFilePathEntry, SeccompEntry, SeccompFilter,
    SeccompMode,
};
use images::schema::Schema;
use images::{DirectoryWriter, Kind, Writer, format};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// All images in a directory.
fn images(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(path).expect("a directory").map(|file| file.expect("a file").path());
    let images = files.filter(|path| path.extension().is_some_and(|extension| extension == "img"));
    images.map(|path| (path.file_name().expect("a name").into(), fs::read(&path).expect("a file"))).collect()
}

#[test]
fn reading_and_writing_gives_the_same_images() {
    for name in FIXTURES {
        let (from, to) = (fixture(name), temporary());
        let snapshot = read(from.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        write(&snapshot, from.path(), to.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (expected, found) = (images(from.path()), images(to.path()));
        assert!(expected.len() > 20, "{} images", expected.len());
        assert!(expected.keys().eq(found.keys()), "{name}: {:?}, not {:?}", found.keys(), expected.keys());
        for (image, bytes) in &expected {
            assert!(found[image] == *bytes, "{name}: {}", image.display());
        }
        assert_eq!(read(to.path()).expect("with a manifest"), snapshot, "{name}");
    }
}

/// The expected error, and the edit that causes it.
type Case<'a> = (&'a str, &'a dyn Fn(&mut Snapshot));

/// What an edited snapshot of a fixture is refused for. What is refused when it is written is refused when it is read.
fn check(name: &str, cases: &[Case<'_>]) {
    let from = fixture(name);
    let whole = read(from.path()).unwrap_or_else(|error| panic!("{error}"));
    for (expected, edit) in cases {
        let mut snapshot = whole.clone();
        edit(&mut snapshot);
        let to = temporary();
        let mut writer = DirectoryWriter::new(fd(to.path())).expect("a directory");
        match snapshot.write(&mut writer) {
            Ok(()) => panic!("accepted: {expected}"),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Damaged, "{error}");
                assert_eq!(error.to_string(), *expected);
            }
        }
    }
}

/// The task with this process id.
fn task(snapshot: &mut Snapshot, pid: u32) -> &mut Task {
    snapshot.tasks.iter_mut().find(|task| task.entry.pid == pid).expect("a task")
}

#[test]
fn a_tree_is_one() {
    check(
        "states",
        &[
            ("inventory.img: inventory_entry.img_version: 3 is not known, only 1 and 2", &|s| {
                s.inventory.img_version = 3
            }),
            ("inventory.img: inventory_entry.fdinfo_per_id: not set: an image too old to be read", &|s| {
                s.inventory.fdinfo_per_id = None;
            }),
            ("inventory.img: inventory_entry.root_cg_set: 0 is no set", &|s| {
                s.inventory.root_cg_set = Some(0)
            }),
            ("pstree.img: pstree_entry: missing", &|s| s.tasks.clear()),
            ("pstree.img: pstree_entry.ppid: the first task, 22, has a parent, 19", &|s| s.tasks.swap(0, 1)),
            ("pstree.img: pstree_entry.ppid: 24 does not come before its child 22", &|s| {
                task(s, 22).entry.ppid = 24
            }),
            ("pstree.img: pstree_entry.ppid: 0 does not come before its child 22", &|s| {
                task(s, 22).entry.ppid = 0
            }),
            ("pstree.img: pstree_entry.pid: 22 is there twice", &|s| task(s, 24).entry.pid = 22),
            ("pstree.img: pstree_entry.pid: 0 is no process id", &|s| task(s, 24).entry.pid = 0),
            ("pstree.img: pstree_entry.pid: 2147483648 is no process id", &|s| {
                task(s, 24).entry.pid = 1 << 31
            }),
            ("pstree.img: pstree_entry.threads: 22 is not the first of its threads", &|s| {
                task(s, 22).entry.threads.clear()
            }),
            ("pstree.img: pstree_entry.threads: 24 is there twice", &|s| task(s, 19).entry.threads[1] = 24),
        ],
    );
}

#[test]
fn tasks_are_whole() {
    check(
        "states",
        &[
            ("core-23.img: missing", &|s| task(s, 23).threads.clear()),
            ("core-25.img: missing", &|s| drop(task(s, 19).threads.pop())),
            ("core-22.img: core_entry.tc: missing in a leader", &|s| task(s, 22).threads[0].tc = None),
            ("core-22.img: task_core_entry.task_state: 6 is not known", &|s| {
                task(s, 22).threads[0].tc.as_mut().expect("a leader").task_state = 6;
            }),
            ("core-22.img: core_entry.mtype: not that of the root task", &|s| {
                task(s, 22).threads[0].mtype = 3
            }),
            ("core-25.img: core_entry.mtype: not that of the leader", &|s| task(s, 19).threads[1].mtype = 3),
            ("core-25.img: core_entry.thread_info: missing in a living task", &|s| {
                task(s, 19).threads[1].thread_info = None
            }),
            ("ids-22.img: missing", &|s| task(s, 22).ids = None),
            ("fdinfo-7.img: missing", &|s| task(s, 22).ids.as_mut().expect("ids").files_id = 7),
            ("mm-22.img: missing", &|s| task(s, 22).mm = None),
            ("fs-22.img: missing", &|s| task(s, 22).fs = None),
            ("fs-22.img: fs_entry.root_id: files.img has no file 99", &|s| {
                task(s, 22).fs.as_mut().expect("a task").root_id = 99;
            }),
            ("pagemap-22.img: missing", &|s| task(s, 22).pages = None),
        ],
    );
}

#[test]
fn memory_is_in_order() {
    fn vmas(snapshot: &mut Snapshot) -> &mut Vec<images::messages::VmaEntry> {
        &mut task(snapshot, 22).mm.as_mut().expect("a task").vmas
    }
    fn runs(snapshot: &mut Snapshot) -> &mut Vec<PagemapEntry> {
        &mut task(snapshot, 22).pages.as_mut().expect("a task").runs
    }
    check(
        "states",
        &[
            ("mm-22.img: mm_entry.exe_file_id: files.img has no file 99", &|s| {
                task(s, 22).mm.as_mut().expect("a task").exe_file_id = 99;
            }),
            ("mm-22.img: vma_entry: 0x2000 to 0x2000 is no range of pages", &|s| {
                (vmas(s)[0].start, vmas(s)[0].end) = (0x2000, 0x2000);
            }),
            ("mm-22.img: vma_entry: 0x2000 to 0x3001 is no range of pages", &|s| {
                (vmas(s)[0].start, vmas(s)[0].end) = (0x2000, 0x3001);
            }),
            ("mm-22.img: vma_entry.start: 0x2000 is not after the mapping before", &|s| {
                (vmas(s)[1].start, vmas(s)[1].end) = (0x2000, 0x3000);
            }),
            ("mm-22.img: vma_entry.shmid: files.img has no file 4294967297", &|s| {
                vmas(s).iter_mut().find(|vma| vma.status & vma::FILE_PRIVATE != 0).expect("one").shmid =
                    1 << 32 | 1;
            }),
            ("pagemap-shmem-77.img: missing", &|s| {
                (vmas(s)[0].status, vmas(s)[0].shmid) = (vma::ANON_SHARED, 77)
            }),
            ("pagemap-22.img: pagemap_entry.vaddr: 0x1000 is not after the run before", &|s| {
                runs(s)[1].vaddr = 0x1000
            }),
            ("pagemap-22.img: pagemap_entry: what begins at 0x1001 is no range of pages", &|s| {
                runs(s)[0].vaddr = 0x1001
            }),
            ("pagemap-22.img: pagemap_entry: what begins at 0x1000 is no range of pages", &|s| {
                (runs(s)[0].vaddr, runs(s)[0].nr_pages) = (0x1000, Some(u64::MAX / 4096));
            }),
            ("pagemap-22.img: pagemap_entry: what begins at 0x1000 is no range of pages", &|s| {
                (runs(s)[0].vaddr, runs(s)[0].nr_pages) = (0x1000, Some(0));
            }),
            ("pagemap-shmem-840958.img: missing", &|s| s.shmem.clear()),
        ],
    );
}

#[test]
fn files_that_are_referred_to_are_there() {
    check(
        "states",
        &[
            ("fdinfo-2.img: fdinfo_entry.id: files.img has no file 99", &|s| {
                s.tables.get_mut(&2).expect("one")[0].id = 99
            }),
            ("fdinfo-2.img: fdinfo_entry.type: file 13 is not of type PIPE", &|s| {
                s.tables.get_mut(&2).expect("one")[0].set_type(FdTypes::Pipe);
            }),
            ("fdinfo-2.img: fdinfo_entry.fd: 0 is there twice", &|s| {
                s.tables.get_mut(&2).expect("one")[1].fd = 0
            }),
            ("fdinfo-2.img: fdinfo_entry.fd: 2147483648 is no descriptor", &|s| {
                s.tables.get_mut(&2).expect("one")[1].fd = 1 << 31;
            }),
            ("files.img: file_entry.id: 3 is there twice", &|s| s.files[0] = s.files[2].clone()),
            ("files.img: file_entry.id: file 99 is 1 within", &|s| s.files[0].id = 99),
            ("files.img: file_entry: file 1 is not what its type, PIPE, says", &|s| {
                s.files[0].set_type(FdTypes::Pipe)
            }),
            ("files.img: file_entry: file 1 is not what its type, UND, says", &|s| s.files[0].r#type = 77),
            ("files.img: memfd_file_entry.inode_id: memfd.img has no 1", &|s| drop(s.memfds.remove(0))),
            ("memfd.img: memfd_inode_entry.inode_id: 2 is there twice", &|s| s.memfds[0].inode_id = 2),
            ("files.img: tty_file_entry.tty_info_id: tty-info.img has no terminal 0", &|s| {
                drop(s.ttys.remove(1))
            }),
            ("tty-data.img: tty_data_entry.tty_id: tty-info.img has no terminal 9", &|s| {
                s.tty_data[0].tty_id = 9
            }),
            ("files.img: tty_file_entry.regf_id: files.img has no file 99", &|s| {
                let tty = s.files.iter_mut().find_map(|file| file.tty.as_mut());
                tty.expect("a terminal").regf_id = Some(99);
            }),
            ("files.img: fifo_entry.regf_id: files.img has no file 99", &|s| {
                let fifo = s.files.iter_mut().find_map(|file| file.fifo.as_mut());
                fifo.expect("a FIFO").regf_id = Some(99);
            }),
            ("remap-fpath.img: remap_file_path_entry.orig_id: files.img has no file 99", &|s| {
                s.remaps[0].orig_id = 99
            }),
            ("ghost-file-1.img: missing", &|s| s.ghosts.clear()),
            ("remap-fpath.img: remap_file_path_entry.remap_id: files.img has no file 99", &|s| {
                s.remaps[0] = RemapFilePathEntry { orig_id: 1, remap_id: 99, remap_type: None };
            }),
            ("ghost-file-5.img: missing", &|s| {
                s.remaps[0] = RemapFilePathEntry { orig_id: 1, remap_id: 1 << 31 | 5, remap_type: None };
            }),
            (
                "ghost-file-1.img: ghost_chunk_entry.off: 18446744073709551615 is not after the last chunk",
                &|s| {
                    s.ghosts.get_mut(&1).expect("one").chunks[0].offset = u64::MAX;
                },
            ),
        ],
    );
}

#[test]
fn content_is_as_long_as_is_said() {
    check(
        "states",
        &[
            ("pipes-data.img: pipe_data_entry.bytes: 11, but 10 follow", &|s| s.pipes[0].1.truncate(10)),
            ("fifo-data.img: pipe_data_entry.bytes: 11, but 10 follow", &|s| s.fifos[0].1.truncate(10)),
            ("sk-queues.img: sk_packet_entry.length: 10, but 0 follow", &|s| s.queues[0].1.clear()),
            ("tcp-stream-96514d.img: tcp_stream_entry.inq_len: 18, but 19 follow", &|s| {
                s.streams.get_mut(&0x96_514d).expect("one").received.push(0);
            }),
            ("tcp-stream-96514d.img: tcp_stream_entry.outq_len: 0, but 1 follow", &|s| {
                s.streams.get_mut(&0x96_514d).expect("one").sent.push(0);
            }),
        ],
    );
    check(
        "namespaces",
        &[
            ("ipcns-shm-11.img: ipc_shm_entry.size: 4096, but 0 follow", &|s| {
                s.namespaces.ipc.get_mut(&11).expect("one").shm[0].0.in_pagemaps = None;
            }),
            ("ipcns-msg-11.img: ipc_msg_entry.qnum: 2, but 1 follow", &|s| {
                drop(s.namespaces.ipc.get_mut(&11).expect("one").msg[0].messages.pop());
            }),
            ("ipcns-msg-11.img: ipc_msg.msize: 5, but 4 follow", &|s| {
                s.namespaces.ipc.get_mut(&11).expect("one").msg[0].messages[0].1.truncate(4);
            }),
            ("ipcns-sem-11.img: ipc_sem_entry.nsems: 3, but 2 follow", &|s| {
                s.namespaces.ipc.get_mut(&11).expect("one").sem[0].1.truncate(2);
            }),
            ("pagemap-shmem-0.img: missing", &|s| drop(s.shmem.remove(&0))),
        ],
    );
}

#[test]
fn filters_and_sets_are_there() {
    fn filter(snapshot: &mut Snapshot, prev: Option<u32>, bytes: usize) {
        let filter = SeccompFilter { filter: vec![0; bytes], prev, flags: None };
        snapshot.seccomp = Some(SeccompEntry { seccomp_filters: vec![filter] });
    }
    check(
        "states",
        &[
            ("seccomp.img: seccomp_filter.prev: filter 0 does not follow its predecessor", &|s| {
                filter(s, Some(0), 8)
            }),
            ("seccomp.img: seccomp_filter.filter: filter 0: 0 bytes are no program", &|s| filter(s, None, 0)),
            ("seccomp.img: seccomp_filter.filter: filter 0: 9 bytes are no program", &|s| filter(s, None, 9)),
            ("seccomp.img: seccomp_filter.filter: filter 0: 32776 bytes are no program", &|s| {
                filter(s, None, 32776)
            }),
            ("core-25.img: thread_core_entry.seccomp_filter: seccomp.img has no filter 1", &|s| {
                filter(s, None, 8);
                let thread = task(s, 19).threads[1].thread_core.as_mut().expect("a thread");
                thread.set_seccomp_mode(SeccompMode::Filter);
                thread.seccomp_filter = Some(1);
            }),
            ("core-25.img: thread_core_entry.cg_set: cgroup.img has no set 5", &|s| {
                let set = |id| images::messages::CgSetEntry { id, ..Default::default() };
                s.cgroup = Some(CgroupEntry { sets: (1..5).map(set).collect(), ..CgroupEntry::default() });
                task(s, 19).threads[1].thread_core.as_mut().expect("a thread").cg_set = Some(5);
            }),
        ],
    );
}

/// Puts an image with these entries in place of one.
fn replace<M: Schema>(path: &Path, image: &'static format::Type, entries: &[M]) {
    let mut writer = Writer::new(Vec::new(), image).expect("memory");
    entries.iter().try_for_each(|entry| writer.entry(entry)).expect("memory");
    fs::write(path, writer.finish().expect("memory")).expect("a file");
}

/// The path of an image in the copy of a fixture.
type At<'a> = &'a dyn Fn(&str) -> PathBuf;

#[test]
fn what_only_a_reader_can_see() {
    let check = |name: &str, expected: Option<&str>, change: &dyn Fn(At<'_>)| {
        let dir = fixture(name);
        change(&|name| dir.path().join(name));
        match (read(dir.path()), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                assert_eq!(error.kind(), Kind::Damaged, "{error}");
                assert_eq!(error.to_string(), expected);
            }
            (Ok(_), Some(expected)) => panic!("accepted: {expected}"),
            (Err(error), None) => panic!("{error}"),
        }
    };
    let remove = |path: PathBuf| fs::remove_file(path).expect("a file");
    let empty =
        |path: PathBuf| fs::write(path, [0x19, 0x43, 0x56, 0x54, 0x25, 0x40, 0x08, 0x56]).expect("a file");

    check("states", Some("inventory.img: missing: the dump was not finished"), &|at| {
        remove(at("inventory.img"))
    });
    check("states", Some("core-25.img: missing"), &|at| remove(at("core-25.img")));
    check("states", Some("pagemap-22.img: pagemap_head: missing"), &|at| empty(at("pagemap-22.img")));
    check("states", Some("pstree.img: pstree_entry.threads: 1 is there twice"), &|at| {
        let threads = vec![19, 1, 1];
        let entry = PstreeEntry { pid: 19, pgid: 19, sid: 19, threads, ..PstreeEntry::default() };
        replace(&at("pstree.img"), &format::PSTREE, &[entry]);
    });
    check(
        "states",
        Some("pages-2.img: byte 4095: cut off: pagemap-shmem-840958.img has 4096 bytes of pages"),
        &|at| {
            File::options()
                .write(true)
                .open(at("pages-2.img"))
                .expect("a file")
                .set_len(4095)
                .expect("a size");
        },
    );
    check(
        "states",
        Some("pages-2.img: byte 0: cut off: pagemap-shmem-840958.img has 4096 bytes of pages"),
        &|at| {
            remove(at("pages-2.img"));
        },
    );
    check("namespaces", Some("inventory.img: byte 10: inventory_entry.img_version: missing"), &|at| {
        fs::write(at("inventory.img"), [0x16, 0x31, 0x31, 0x58, 2, 0, 0, 0, 0x10, 1]).expect("a file");
    });
    check("namespaces", Some("mm-1.img: byte 0: an image of type FS, not MM"), &|at| {
        fs::copy(at("fs-1.img"), at("mm-1.img")).map(drop).expect("a copy");
    });
    // Without entries is as not there.
    check("states", None, &|at| remove(at("filelocks.img")));
    // Of another dump, whatever it has.
    check("states", None, &|at| fs::write(at("core-77.img"), "no image").expect("a file"));
}

/// One that is not read into memory, and has holes.
#[test]
fn large_deleted_files() {
    let (from, to) = (fixture("states"), temporary());
    let mut snapshot = read(from.path()).expect("a dump");
    let deleted = File::options().read(true).write(true).create_new(true).open(to.path().join("deleted"));
    let deleted = deleted.expect("a file");
    let ghost = snapshot.ghosts.get_mut(&1).expect("one");
    ghost.entry.chunks = Some(true);
    ghost.chunks = [0, 4 << 20].map(|at| GhostChunk { offset: at, len: 3 << 19, at }).to_vec();
    for (byte, chunk) in [b'a', b'b'].into_iter().zip(&ghost.chunks) {
        deleted.write_all_at(&vec![byte; chunk.len as usize], chunk.at).expect("written");
    }
    let written = ghost.clone();

    let mut writer = DirectoryWriter::new(fd(to.path())).expect("a directory");
    snapshot.write(&mut writer).expect("written");
    write_ghost(&mut writer, 1, &written, &deleted).expect("written");
    write_pages(&mut writer, &snapshot, from.path()).expect("written");
    writer.commit(&snapshot.inventory).expect("complete");

    let image =
        File::options().read(true).write(true).open(to.path().join("ghost-file-1.img")).expect("an image");
    let ghost = read(to.path()).expect("a dump").ghosts.remove(&1).expect("one");
    assert_eq!(ghost.entry, written.entry);
    for (byte, (found, chunk)) in [b'a', b'b'].into_iter().zip(ghost.chunks.iter().zip(&written.chunks)) {
        assert_eq!((found.offset, found.len), (chunk.offset, chunk.len));
        let mut content = vec![0; found.len as usize];
        image.read_exact_at(&mut content, found.at).expect("its content");
        assert!(content.iter().all(|found| *found == byte));
    }
    image.write_all_at(b"c", ghost.chunks[1].at).expect("written");
    let error = read(to.path()).expect_err("changed");
    assert_eq!(
        error.to_string(),
        "ghost-file-1.img: not the content that was written: its digest is another"
    );
}

#[test]
fn pages_of_old_images() {
    let run = |flags, in_parent, nr_pages| PagemapEntry {
        compat_nr_pages: 2,
        in_parent,
        flags,
        nr_pages,
        ..Default::default()
    };
    let size = |run| PageMap { pages_id: 1, runs: vec![run] }.size();
    assert_eq!(size(run(None, None, None)), Some(8192));
    assert_eq!(size(run(None, Some(true), None)), Some(0));
    assert_eq!(size(run(Some(pagemap::PARENT), None, Some(1))), Some(0));
    assert_eq!(size(run(Some(pagemap::LAZY), None, Some(1))), Some(0));
    assert_eq!(size(run(Some(pagemap::PRESENT), None, Some(1))), Some(4096));
    assert_eq!(size(run(Some(pagemap::PRESENT), None, Some(u64::MAX))), None);
}

#[test]
fn ids_of_old_images() {
    let dir = fixture("namespaces");
    let mut snapshot = read(dir.path()).expect("a dump");
    let task = &mut snapshot.tasks[0];
    task.threads[0].ids = task.ids.take();
    assert_eq!(task.ids().expect("ids").files_id, 2);
    let to = temporary();
    write(&snapshot, dir.path(), to.path()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!to.path().join("ids-1.img").exists());
    assert_eq!(read(to.path()).expect("a dump"), snapshot);
}
