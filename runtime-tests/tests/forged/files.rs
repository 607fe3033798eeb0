//! Names that lead elsewhere, files that are not what they are said to be, archives of tmpfs, sockets, terminals.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use images::format::{GHOST_FILE, IPCNS_MSG, TTY_INFO};
use images::messages::{
    FanotifyFileEntry, FanotifyMarkEntry, FanotifyMountMarkEntry, FileLockEntry, FsEntry, GhostFileEntry,
    InetSkEntry, IpcDescEntry, IpcMsgEntry, MemfdInodeEntry, MmEntry, MntEntry, NsFileEntry, PacketMclist,
    PacketSockEntry, PipeDataEntry, RemapFilePathEntry, RemapType, TaskKobjIdsEntry, TcpStreamEntry,
    TtyFileEntry, TtyInfoEntry, UnixSkEntry,
};
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use tar::{EntryType, Header};

/// A ring of a packet socket, in `vma_entry.status`.
const SOCKET: u32 = 1 << 11;

/// Links in the root file system, to what the container may see and to what it may not.
fn with_links(bundle: &mut Bundle) {
    for (name, target) in [
        ("absolute", "/etc/passwd"),
        ("etc", "/etc"),
        ("above", "../../../../../etc/passwd"),
        ("own", "/proc/self/fd"),
    ] {
        symlink(target, bundle.rootfs("data").join(name)).expect("symlink");
    }
}

const fn named(name: &'static str, forge: fn(&Images), then: Then) -> Forgery {
    Forgery { name, program: "idle", adapt: with_links, forge, then }
}

/// What was added is /etc/passwd of the container, and of nobody else.
fn has_passwd(process: &Path) {
    let found = fs::metadata(process.join(format!("fd/{ADDED}"))).expect("the added file");
    let own = fs::metadata(process.join("root/etc/passwd")).expect("a file");
    let outside = fs::metadata("/etc/passwd").expect("a file");
    assert_eq!((found.dev(), found.ino()), (own.dev(), own.ino()));
    assert_ne!((found.dev(), found.ino()), (outside.dev(), outside.ino()));
}

fn rename_program(images: &Images, name: &[u8]) {
    let mut id = 0;
    images.edit("mm-1.img", |mm: &mut MmEntry| id = mm.exe_file_id);
    images.edit_files(|file| {
        if let Some(reg) = file.reg.as_mut().filter(|reg| reg.id == id) {
            reg.name = name.to_vec();
        }
    });
}

/// The first task in the directory `name`, or with it as its root.
fn enter(images: &Images, name: &[u8], change: fn(&mut FsEntry)) {
    images.add_name(name, libc::O_PATH);
    images.edit("fs-1.img", change);
}

/// Replaces all archives by one with these entries: name, kind, target of a link, bytes.
fn archive(images: &Images, entries: &[(&str, EntryType, &str, usize)]) {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, kind, target, size) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        header.set_size(*size as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_device_major(1).and_then(|()| header.set_device_minor(1)).expect("a header");
        // Not by the methods that see to it that names are harmless.
        let fields = header.as_gnu_mut().expect("a header");
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        archive.append(&header, vec![b'x'; *size].as_slice()).expect("an archive");
    }
    let bytes = archive.into_inner().and_then(GzEncoder::finish).expect("an archive");
    for name in images.names("tmpfs-") {
        fs::write(images.dir.join(name), &bytes).expect("write");
    }
}

const fn archived(name: &'static str, forge: fn(&Images), then: Then) -> Forgery {
    let adapt = |bundle: &mut Bundle| {
        as_docker_does(bundle);
        bundle.mount("/tmp", "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=1777", "size=4m"]);
        bundle.mount("/run", "tmpfs", "tmpfs", &["nosuid", "nodev", "size=4m"]);
    };
    Forgery { name, program: "tmpfs", adapt, forge, then }
}

fn edit_sockets(images: &Images, mut change: impl FnMut(&mut UnixSkEntry)) {
    images.edit_files(|file| {
        if let Some(socket) = &mut file.usk {
            change(socket);
        }
    });
}

fn edit_inet(images: &Images, change: fn(&mut InetSkEntry)) {
    images.edit_files(|file| {
        if let Some(socket) = &mut file.isk {
            change(socket);
        }
    });
}

/// Adds a group of fanotify with a mark on a mount.
fn add_fanotify(images: &Images, faflags: u32) {
    let me = FanotifyMountMarkEntry { mnt_id: 0, path: Some(b"/data".to_vec()) };
    let mark =
        FanotifyMarkEntry { mask: libc::FAN_OPEN as u32, me: Some(me), ..FanotifyMarkEntry::default() };
    let ffy = FanotifyFileEntry { id: ADDED_ID, faflags, mark: vec![mark], ..FanotifyFileEntry::default() };
    let kind = FdTypes::Fanotify as i32;
    images.add_file(FileEntry {
        r#type: kind,
        id: ADDED_ID,
        ffy: Some(Box::new(ffy)),
        ..FileEntry::default()
    });
}

fn edit_marks(images: &Images, change: fn(&mut FanotifyMarkEntry)) {
    images.edit_files(|file| file.ffy.iter_mut().flat_map(|ffy| &mut ffy.mark).for_each(change));
}

fn with_sys_admin(bundle: &mut Bundle) {
    bundle.capabilities(&["CAP_SYS_ADMIN"]).set("/process/user", json!({"uid": 0, "gid": 0}));
}

fn edit_packets(images: &Images, change: fn(&mut PacketSockEntry)) {
    images.edit_files(|file| {
        if let Some(socket) = &mut file.psk {
            change(socket);
        }
    });
}

fn edit_streams(images: &Images, change: fn(&mut TcpStreamEntry)) {
    for name in images.names("tcp-stream-") {
        images.edit(&name, change);
    }
}

/// Changes floe-state.json.
fn edit_state(images: &Images, change: impl Fn(&mut Value)) {
    let path = images.dir.join(images::STATE);
    let mut state: Value = serde_json::from_slice(&fs::read(&path).expect("state")).expect("JSON");
    change(&mut state["state"]);
    fs::write(path, state.to_string()).expect("write");
}

/// Changes all message queues.
fn edit_queues(images: &Images, change: fn(&mut Value)) {
    edit_state(images, |state| {
        state["message_queues"].as_array_mut().expect("queues").iter_mut().for_each(change);
    });
}

const fn queued(name: &'static str, forge: fn(&Images), then: Then) -> Forgery {
    Forgery { name, program: "posix_queue", adapt: as_it_is, forge, then }
}

const fn connected(name: &'static str, forge: fn(&Images), then: Then) -> Forgery {
    Forgery { name, program: "tcp_established", adapt: as_it_is, forge, then }
}

/// The deleted file `file` in place of the first one that there is.
fn ghost(images: &Images, file: &GhostFileEntry) {
    let name = images.names("ghost-file-").into_iter().next().expect("a deleted file");
    images.add(&name, &GHOST_FILE, file);
}

fn as_it_is_named(bundle: &mut Bundle) {
    let data = bundle.rootfs("data");
    chown(&data, Some(1000), Some(1000)).expect("chown");
    fs::write(data.join("mine"), "content").expect("write");
    chown(data.join("mine"), Some(1000), Some(1000)).expect("chown");
    fs::write(data.join("secret"), "secret").expect("write");
    fs::set_permissions(data.join("secret"), fs::Permissions::from_mode(0o600)).expect("chmod");
    let fifo = data.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o666)).expect("mkfifo");
    chown(&fifo, Some(1000), Some(1000)).expect("chown");
}

const fn opened(name: &'static str, forge: fn(&Images), then: Then) -> Forgery {
    Forgery { name, program: "idle", adapt: as_it_is_named, forge, then }
}

pub(super) const FORGERIES: &[Forgery] = &[
    named("dots", |images| images.add_name(b"/../../../../../../etc/passwd", 0), Then::Runs(has_passwd)),
    named("link", |images| images.add_name(b"/data/absolute", 0), Then::Runs(has_passwd)),
    named("link_in_the_middle", |images| images.add_name(b"/data/etc/passwd", 0), Then::Runs(has_passwd)),
    named("link_upwards", |images| images.add_name(b"/data/above", 0), Then::Runs(has_passwd)),
    named("relative_name", |images| images.add_name(b"etc/passwd", 0), Then::Runs(has_passwd)),
    named(
        "link_of_procfs",
        // As any number there, also those of the pages, which are outside.
        |images| images.add_name(b"/proc/self/fd/0", libc::O_RDWR),
        Then::Refused(&["/proc/self/fd/0", "ELOOP"]),
    ),
    named(
        "link_of_procfs_behind_a_link",
        |images| images.add_name(b"/data/own/0", libc::O_RDWR),
        Then::Refused(&["/data/own/0", "ELOOP"]),
    ),
    named(
        "root_in_procfs",
        |images| images.add_name(b"/proc/1/root/etc/passwd", 0),
        Then::Refused(&["/proc/1/root/etc/passwd"]),
    ),
    named(
        "memory_in_procfs",
        |images| images.add_name(b"/proc/1/../sys/kernel/core_pattern", libc::O_RDWR),
        Then::Refused(&["core_pattern"]),
    ),
    Forgery {
        name: "memory_of_another_process",
        program: "idle",
        adapt: |bundle| {
            bundle.without_namespace("pid");
        },
        forge: |images| images.add_name(b"/proc/1/environ", 0),
        then: Then::Refused(&["/proc/1/environ", "EACCES"]),
    },
    named(
        "name_with_control_characters",
        |images| images.add_name(b"/data/]:\n\x1b[2J", 0),
        Then::Refused(&["/data/]:\\n"]),
    ),
    named(
        "name_with_nul",
        |images| images.add_name(b"/etc/passwd\0x", 0),
        Then::Refused(&["files.img", "name"]),
    ),
    named("name_that_is_long", |images| images.add_name(&[b'/'; 5000], 0), Then::Refused(&["ENAMETOOLONG"])),
    named(
        "program_of_floe",
        |images| rename_program(images, b"/proc/self/exe"),
        Then::Refused(&["/proc/self/exe"]),
    ),
    named(
        "program_outside",
        |images| rename_program(images, b"/../../../../../../bin/ls/"),
        Then::Refused(&["/../../../../../../bin/ls/"]),
    ),
    named(
        "program_without_permission",
        |images| rename_program(images, b"/etc/passwd"),
        Then::Refused(&["/etc/passwd"]),
    ),
    Forgery {
        name: "program_that_is_only_executed",
        program: "idle",
        adapt: |bundle| {
            let program = bundle.rootfs("bin/idle");
            fs::set_permissions(program, fs::Permissions::from_mode(0o711)).expect("chmod");
        },
        forge: |_| {},
        then: Then::Runs(|process| {
            assert_eq!(fs::read_link(process.join("exe")).expect("a program"), Path::new("/bin/idle"));
        }),
    },
    named(
        "directory_outside",
        |images| enter(images, b"/proc/1/root", |fs| fs.cwd_id = ADDED_ID),
        Then::Refused(&["fs", "4000"]),
    ),
    named(
        "directory_above",
        |images| enter(images, b"/../..", |fs| fs.cwd_id = ADDED_ID),
        Then::Runs(|process| assert_eq!(fs::read_link(process.join("cwd")).expect("a link"), Path::new("/"))),
    ),
    named(
        "directory_that_is_a_file",
        |images| enter(images, b"/etc/passwd", |fs| fs.cwd_id = ADDED_ID),
        Then::Refused(&["ENOTDIR"]),
    ),
    named(
        "root_outside",
        |images| enter(images, b"/proc/self/root/..", |fs| fs.root_id = ADDED_ID),
        Then::Refused(&["/proc/self/root/.."]),
    ),
    named(
        "root_inside",
        |images| enter(images, b"/data", |fs| fs.root_id = ADDED_ID),
        Then::Runs(|process| {
            let found = fs::metadata(process.join("root")).expect("a root");
            assert!(fs::symlink_metadata(process.join("root/absolute")).is_ok(), "{found:?}");
        }),
    ),
    named(
        "file_from_outside",
        |images| {
            images.add_name(b"file[1:2]", 0);
            images.edit_files(|file| file.reg.iter_mut().for_each(|reg| reg.ext = Some(reg.id == ADDED_ID)));
        },
        Then::Refused(&["file[1:2]", "outside"]),
    ),
    opened(
        "file_of_root",
        |images| images.add_name(b"/data/secret", 0),
        Then::Refused(&["/data/secret", "EACCES"]),
    ),
    opened(
        "file_that_is_made",
        |images| images.add_name(b"/data/new", libc::O_CREAT | libc::O_RDWR),
        Then::Refused(&["/data/new", "ENOENT"]),
    ),
    opened(
        "file_that_is_emptied",
        |images| images.add_name(b"/data/mine", libc::O_TRUNC | libc::O_RDWR),
        Then::Runs(|process| assert_eq!(read(process.join("root/data/mine")), "content")),
    ),
    opened(
        "pipe_that_nobody_writes_to",
        |images| images.add_name(b"/data/fifo", 0),
        Then::Refused(&["/data/fifo", "named pipe"]),
    ),
    opened(
        "directory_for_writing",
        |images| images.add_name(b"/data", libc::O_RDWR),
        Then::Refused(&["/data", "EISDIR"]),
    ),
    Forgery {
        name: "device_that_is_not_allowed",
        program: "idle",
        adapt: |bundle| {
            as_docker_does(bundle);
            let device =
                json!({"path": "/dev/memory", "type": "c", "major": 1, "minor": 1, "fileMode": 0o666});
            bundle.push("/linux/devices", device);
        },
        forge: |images| images.add_name(b"/dev/memory", libc::O_RDWR),
        then: Then::Refused(&["/dev/memory", "EPERM"]),
    },
    Forgery {
        name: "privileged_file_of_procfs",
        program: "idle",
        adapt: as_docker_does,
        // Whoever has opened it reads the host's log.
        forge: |images| images.add_name(b"/proc/kmsg", 0),
        then: Then::Refused(&["/proc/kmsg", "EPERM"]),
    },
    Forgery {
        name: "deleted_device",
        program: "file_deleted",
        adapt: as_docker_does,
        forge: |images| {
            let mode = libc::S_IFCHR | 0o666;
            ghost(images, &GhostFileEntry { mode, rdev: Some(0x101), ..GhostFileEntry::default() });
        },
        then: Then::Refused(&["not made again"]),
    },
    Forgery {
        name: "deleted_link",
        program: "file_deleted",
        adapt: as_docker_does,
        forge: |images| {
            let mode = libc::S_IFLNK | 0o777;
            let symlnk_target = Some(b"/etc/passwd".to_vec());
            ghost(images, &GhostFileEntry { mode, symlnk_target, ..GhostFileEntry::default() });
        },
        then: Then::Refused(&["not made again"]),
    },
    Forgery {
        name: "deleted_file_that_is_huge",
        program: "file_deleted",
        adapt: as_docker_does,
        forge: |images| {
            let mode = libc::S_IFREG | 0o666;
            ghost(images, &GhostFileEntry { mode, size: Some(u64::MAX), ..GhostFileEntry::default() });
        },
        then: Then::Refused(&["ftruncate"]),
    },
    Forgery {
        name: "link_that_removes_a_file",
        program: "file_deleted",
        adapt: as_docker_does,
        forge: |images| {
            images.add_name(b"/etc/passwd", 0);
            images.edit("remap-fpath.img", |remap: &mut RemapFilePathEntry| {
                remap.remap_type = Some(RemapType::Linked as i32);
                remap.remap_id = ADDED_ID;
            });
        },
        then: Then::Refused(&["/etc/passwd", "link"]),
    },
    Forgery {
        name: "named_pipe_that_is_a_file",
        program: "fifo",
        adapt: as_docker_does,
        forge: |images| {
            images.edit_files(|file| {
                let pipe = file
                    .reg
                    .as_mut()
                    .filter(|reg| reg.mode.is_some_and(|mode| mode & libc::S_IFMT == libc::S_IFIFO));
                pipe.into_iter().for_each(|reg| reg.name = b"/etc/passwd".to_vec());
            });
        },
        then: Then::Refused(&["/etc/passwd", "no named pipe"]),
    },
    Forgery {
        name: "watch_of_what_floe_has_open",
        program: "inotify",
        adapt: as_docker_does,
        forge: |images| {
            images.edit_files(|file| {
                for watch in file.ify.iter_mut().flat_map(|inotify| &mut inotify.wd) {
                    watch.f_handle.path = Some(b"/proc/self/fd/3".to_vec());
                }
            });
        },
        then: Then::Refused(&["files", "inotify"]),
    },
    Forgery {
        name: "lock_of_nobody",
        program: "locks",
        adapt: as_docker_does,
        forge: |images| {
            images.edit("filelocks.img", |lock: &mut FileLockEntry| lock.pid = 77_777);
        },
        then: Then::Refused(&["lock of task 77777", "no such task"]),
    },
    Forgery {
        name: "lock_of_a_kind_that_is_none",
        program: "locks",
        adapt: as_docker_does,
        forge: |images| {
            images.edit("filelocks.img", |lock: &mut FileLockEntry| lock.flag = 77);
        },
        then: Then::Refused(&["lock of task", "kind 77"]),
    },
    Forgery {
        name: "memory_file_without_memory",
        program: "memfd",
        adapt: as_it_is,
        forge: |images| {
            images.edit("memfd.img", |memfd: &mut MemfdInodeEntry| memfd.shmid = 77_777);
        },
        then: Then::Refused(&["pagemap-shmem-77777.img", "missing"]),
    },
    Forgery {
        name: "memory_file_that_is_huge",
        program: "memfd",
        adapt: as_it_is,
        forge: |images| {
            images.edit("memfd.img", |memfd: &mut MemfdInodeEntry| memfd.size = u64::MAX);
        },
        then: Then::Refused(&["memfd", "ftruncate"]),
    },
    Forgery {
        name: "pipe_that_is_huge",
        program: "pipes",
        adapt: as_it_is,
        forge: |images| {
            images.edit_all("pipes-data.img", |pipes: &mut Vec<(PipeDataEntry, Vec<u8>)>| {
                pipes.iter_mut().for_each(|(pipe, _)| pipe.size = Some(1 << 30));
            });
        },
        then: Then::Refused(&["pipe", "CAP_SYS_RESOURCE"]),
    },
    archived(
        "archive_with_dots",
        |images| archive(images, &[("../evil", EntryType::Regular, "", 4)]),
        Then::Refused(&["tmpfs-", "../evil"]),
    ),
    archived(
        "archive_with_an_absolute_name",
        |images| archive(images, &[("/etc/evil", EntryType::Regular, "", 4)]),
        Then::Refused(&["tmpfs-", "/etc/evil"]),
    ),
    archived(
        "archive_with_a_file_behind_a_link",
        |images| {
            archive(
                images,
                &[("way", EntryType::Symlink, "/etc", 0), ("way/evil", EntryType::Regular, "", 4)],
            )
        },
        Then::Refused(&["tmpfs-", "way/evil"]),
    ),
    archived(
        "archive_with_a_link_to_outside",
        |images| archive(images, &[("passwd", EntryType::Link, "../etc/passwd", 0)]),
        Then::Refused(&["tmpfs-", "passwd"]),
    ),
    archived(
        "archive_with_a_device",
        |images| archive(images, &[("memory", EntryType::Char, "", 0)]),
        Then::Runs(|process| assert!(!process.join("root/tmp/memory").exists())),
    ),
    archived(
        "archive_that_grows",
        |images| archive(images, &[("large", EntryType::Regular, "", 64 << 20)]),
        Then::Refused(&["tmpfs-", "large"]),
    ),
    archived(
        "archive_for_another_place",
        |images| {
            let name = images.names("mountpoints-").into_iter().next().expect("mounts");
            images.edit_all(&name, |mounts: &mut Vec<(MntEntry, Vec<u8>)>| {
                for (mount, _) in mounts.iter_mut().filter(|(mount, _)| mount.mountpoint.ends_with(b"/tmp")) {
                    mount.mountpoint = b"./etc".to_vec();
                }
            });
        },
        Then::Refused(&["tmpfs-", "/etc", "no tmpfs"]),
    ),
    named(
        "mounts_that_config_has_not",
        |images| {
            let name = images.names("mountpoints-").into_iter().next().expect("mounts");
            images.edit_all(&name, |mounts: &mut Vec<(MntEntry, Vec<u8>)>| {
                let mut mount = mounts[0].0.clone();
                (mount.mnt_id, mount.root_dev, mount.mountpoint) = (1 << 20, 1, b"./data".to_vec());
                (mount.source, mount.ext_key) = (b"/".to_vec(), Some(b"/".to_vec()));
                mounts.push((mount, Vec::new()));
            });
        },
        Then::Runs(|process| {
            let mounts = read(process.join("mountinfo"));
            assert!(!mounts.lines().any(|line| line.split(' ').nth(4) == Some("/data")), "{mounts}");
        }),
    ),
    named(
        "namespace_that_the_container_has_not",
        |images| {
            let nsf =
                NsFileEntry { id: ADDED_ID, ns_id: 4_000_000, ns_cflag: libc::CLONE_NEWNET as u32, flags: 0 };
            let kind = FdTypes::Ns as i32;
            images.add_file(FileEntry {
                r#type: kind,
                id: ADDED_ID,
                nsf: Some(Box::new(nsf)),
                ..FileEntry::default()
            });
        },
        Then::Refused(&["files", "4000", "namespace"]),
    ),
    Forgery {
        name: "ipc_objects_of_the_host",
        program: "idle",
        adapt: |bundle| {
            bundle.without_namespace("ipc");
        },
        forge: |images| {
            images.edit("ids-1.img", |ids: &mut TaskKobjIdsEntry| ids.ipc_ns_id = Some(77));
            let desc = IpcDescEntry { key: 77, mode: 0o777, ..IpcDescEntry::default() };
            images.add("ipcns-msg-77.img", &IPCNS_MSG, &IpcMsgEntry { desc, ..IpcMsgEntry::default() });
        },
        then: Then::Refused(&["ipcns-77", "somebody else's"]),
    },
    named(
        "terminal_of_the_host",
        |images| {
            let info = TtyInfoEntry { id: 1, r#type: 5, rdev: 0x8800, ..TtyInfoEntry::default() };
            images.add("tty-info.img", &TTY_INFO, &info);
            let tty = TtyFileEntry { id: ADDED_ID, tty_info_id: 1, flags: 2, ..TtyFileEntry::default() };
            let kind = FdTypes::Tty as i32;
            images.add_file(FileEntry {
                r#type: kind,
                id: ADDED_ID,
                tty: Some(Box::new(tty)),
                ..FileEntry::default()
            });
        },
        Then::Refused(&["terminal 4000", "outside"]),
    ),
    Forgery {
        name: "socket_of_somebody_else",
        program: "unix_named",
        adapt: |bundle| {
            as_docker_does(bundle);
            // As a socket of the host's that is bound into the container.
            UnixListener::bind(bundle.rootfs("data/outside")).expect("a socket");
        },
        forge: |images| {
            // Who has a peer that has it as its peer is not bound: its name is only where the others connect to.
            let mut idle = None;
            edit_sockets(images, |socket| {
                if socket.name.is_empty() && socket.peer == 0 {
                    idle = Some(socket.ino);
                }
            });
            let idle = idle.expect("a socket without a peer");
            let mut receiver = None;
            edit_sockets(images, |socket| {
                if socket.name == b"/data/datagrams\0" {
                    (socket.name, socket.peer) = (b"/data/outside\0".to_vec(), idle);
                    receiver = Some(socket.ino);
                }
            });
            edit_sockets(images, |socket| {
                if socket.ino == idle {
                    socket.peer = receiver.expect("a bound socket");
                }
            });
        },
        then: Then::Refused(&["unix socket", "nobody is bound"]),
    },
    Forgery {
        name: "socket_over_a_file",
        program: "unix_named",
        adapt: as_docker_does,
        forge: |images| {
            edit_sockets(images, |socket| {
                if socket.name == b"/data/datagrams\0" {
                    socket.name = b"/etc/passwd\0".to_vec();
                }
            });
        },
        then: Then::Refused(&["unix socket", "/etc/passwd", "EADDRINUSE"]),
    },
    Forgery {
        name: "socket_with_a_long_name",
        program: "unix_named",
        adapt: as_docker_does,
        forge: |images| {
            edit_sockets(images, |socket| socket.name = [b"/data/".as_slice(), &[b'x'; 4000]].concat())
        },
        then: Then::Refused(&["unix socket"]),
    },
    Forgery {
        name: "raw_socket",
        program: "udp",
        adapt: as_it_is,
        forge: |images| {
            edit_inet(images, |socket| (socket.r#type, socket.proto) = (libc::SOCK_RAW as u32, 1))
        },
        then: Then::Refused(&["socket", "EPERM"]),
    },
    named("fanotify", |images| add_fanotify(images, 0), Then::Refused(&["fanotify", "init", "EPERM"])),
    named(
        "fanotify_of_a_mount",
        // Which takes no capability for files and directories.
        |images| add_fanotify(images, libc::FAN_REPORT_FID),
        Then::Refused(&["fanotify", "mark", "EPERM"]),
    ),
    Forgery {
        name: "fanotify_that_decides",
        program: "fanotify",
        adapt: with_sys_admin,
        forge: |images| {
            images.edit_files(|file| {
                if let Some(ffy) = &mut file.ffy {
                    ffy.faflags |= libc::FAN_CLASS_CONTENT;
                }
            });
            edit_marks(images, |mark| mark.mask |= libc::FAN_OPEN_PERM as u32);
        },
        then: Then::Refused(&["fanotify", "decides"]),
    },
    Forgery {
        name: "fanotify_of_a_link_of_procfs",
        program: "fanotify",
        adapt: with_sys_admin,
        forge: |images| {
            edit_marks(images, |mark| {
                if let Some(inode) = &mut mark.ie {
                    inode.f_handle.path = Some(b"/proc/self/root/data".to_vec());
                }
            })
        },
        then: Then::Refused(&["fanotify", "ELOOP"]),
    },
    named(
        "packet_socket",
        |images| {
            let psk =
                PacketSockEntry { id: ADDED_ID, r#type: libc::SOCK_RAW as u32, ..PacketSockEntry::default() };
            let kind = FdTypes::Packetsk as i32;
            images.add_file(FileEntry {
                r#type: kind,
                id: ADDED_ID,
                psk: Some(Box::new(psk)),
                ..FileEntry::default()
            });
        },
        Then::Refused(&["packet socket 4000", "EPERM"]),
    ),
    Forgery {
        name: "packet_rings_that_are_huge",
        program: "packets",
        adapt: as_docker_does,
        forge: |images| {
            edit_packets(images, |socket| {
                if let Some(ring) = &mut socket.rx_ring {
                    (ring.block_nr, ring.frame_nr) = (u32::MAX, u32::MAX);
                }
            })
        },
        then: Then::Refused(&["packet socket", "make a ring"]),
    },
    Forgery {
        name: "packet_membership_with_a_long_address",
        program: "packets",
        adapt: as_docker_does,
        forge: |images| {
            edit_packets(images, |socket| {
                socket.mclist = vec![PacketMclist { addr: vec![1; 33], ..PacketMclist::default() }];
            })
        },
        then: Then::Refused(&["packet socket", "33 bytes"]),
    },
    Forgery {
        name: "packet_rings_of_a_file",
        program: "packets",
        adapt: as_docker_does,
        forge: |images| {
            images.edit("mm-1.img", |mm: &mut MmEntry| {
                let file = mm.exe_file_id.into();
                mm.vmas.iter_mut().filter(|vma| vma.status & SOCKET != 0).for_each(|vma| vma.shmid = file);
            })
        },
        then: Then::Refused(&["mm-1.img", "no packet socket"]),
    },
    Forgery {
        name: "connection_to_somebody",
        program: "udp",
        adapt: as_it_is,
        forge: |images| {
            edit_inet(images, |socket| {
                (socket.r#type, socket.proto, socket.state) = (libc::SOCK_STREAM as u32, 0, 1);
                (socket.dst_addr, socket.dst_port) = (vec![0x0100_007f; socket.src_addr.len()], 9);
            });
        },
        then: Then::Refused(&["established TCP"]),
    },
    Forgery {
        name: "queues_of_the_host",
        program: "idle",
        adapt: |bundle| {
            bundle.without_namespace("ipc");
        },
        forge: |images| {
            let queue = json!({"name": "floe-forged", "mode": 0o666, "uid": 0, "gid": 0, "max_messages": 1,
                "max_size": 1, "messages": []});
            let state = json!({"version": 1, "state": {"message_queues": [queue]}});
            fs::write(images.dir.join(images::STATE), state.to_string()).expect("write");
        },
        then: Then::Refused(&["message queues", "somebody else's"]),
    },
    queued(
        "queue_elsewhere",
        |images| edit_queues(images, |queue| queue["name"] = json!("../elsewhere")),
        Then::Refused(&["floe-state.json", "name"]),
    ),
    queued(
        "queue_that_is_huge",
        |images| edit_queues(images, |queue| queue["max_messages"] = json!(u32::MAX)),
        Then::Refused(&["floe-state.json", "so large"]),
    ),
    queued(
        "queue_beyond_the_limit",
        |images| edit_queues(images, |queue| queue["max_messages"] = json!(60000)),
        Then::Refused(&["message queue", "mq_open", "EINVAL"]),
    ),
    queued(
        "queue_with_a_message_too_long",
        |images| {
            edit_queues(images, |queue| {
                queue["messages"] = json!([{"priority": 1, "content": "00".repeat(9000)}])
            })
        },
        Then::Refused(&["floe-state.json", "message"]),
    ),
    queued(
        "queue_with_a_priority_too_high",
        |images| {
            edit_queues(images, |queue| queue["messages"] = json!([{"priority": 32768, "content": "00"}]))
        },
        Then::Refused(&["floe-state.json", "message"]),
    ),
    queued(
        "queue_that_is_not_there",
        |images| {
            edit_state(images, |state| {
                for (_, file) in state["queue_files"].as_object_mut().expect("files") {
                    file["queue"] = json!(4000);
                }
            });
        },
        Then::Refused(&["floe-state.json", "no such queue"]),
    ),
    connected(
        "connection_of_another_address",
        |images| {
            edit_inet(images, |socket| {
                if socket.family == libc::AF_INET as u32 {
                    socket.src_addr = vec![0x0808_0808];
                }
            });
        },
        Then::Refused(&["bind", "EADDRNOTAVAIL"]),
    ),
    connected(
        "connection_of_two_families",
        |images| edit_inet(images, |socket| socket.src_addr[0] = 0x0808_0808),
        Then::Refused(&["two families"]),
    ),
    connected(
        "connection_of_a_port_of_root",
        |images| edit_inet(images, |socket| socket.src_port = 22),
        Then::Refused(&["bind", "EACCES"]),
    ),
    connected(
        "connection_in_no_state",
        |images| {
            edit_inet(images, |socket| socket.state = if socket.dst_port == 0 { socket.state } else { 12 })
        },
        Then::Refused(&["state 12"]),
    ),
    connected(
        "connection_without_numbers",
        |images| {
            images
                .names("tcp-stream-")
                .iter()
                .for_each(|name| fs::remove_file(images.dir.join(name)).expect("remove"))
        },
        Then::Refused(&["established TCP"]),
    ),
    connected(
        "connection_of_segments_of_no_bytes",
        |images| edit_streams(images, |stream| stream.mss_clamp = 0),
        Then::Refused(&["tcp-stream-", "mss_clamp"]),
    ),
    connected(
        "connection_with_more_to_send_than_it_has",
        |images| edit_streams(images, |stream| stream.unsq_len = Some(u32::MAX)),
        Then::Refused(&["tcp-stream-", "unsq_len"]),
    ),
    connected(
        "connection_with_scales_of_the_kernel",
        |images| edit_streams(images, |stream| (stream.snd_wscale, stream.rcv_wscale) = (200, Some(200))),
        Then::Refused(&["options", "EFBIG"]),
    ),
    connected(
        "connection_with_a_window_elsewhere",
        |images| edit_streams(images, |stream| stream.rcv_wup = Some(stream.inq_seq.wrapping_add(1 << 20))),
        Then::Refused(&["window", "EINVAL"]),
    ),
    connected(
        "connection_with_other_numbers",
        |images| edit_streams(images, |stream| stream.outq_seq = stream.outq_seq.wrapping_add(1 << 30)),
        Then::Either,
    ),
    Forgery {
        name: "socket_of_another_family",
        program: "udp",
        adapt: as_docker_does,
        forge: |images| edit_inet(images, |socket| socket.family = libc::AF_PACKET as u32),
        then: Then::Refused(&["family 17"]),
    },
];
