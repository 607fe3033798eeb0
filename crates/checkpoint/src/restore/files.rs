//! Open files. The first task opens each of them once, under a number that no task uses; its descendants inherit them,
//! and put each one where they had it. So what was one open file for many is one again, its offset included.

use super::build::Build;
use super::{fanotify, packets, queues, socket_options, sockets, ttys};
use crate::error::{Error, Result};
use crate::links::PREFIX;
use crate::policy;
use crate::snapshot::{Snapshot, names, vma};
use images::messages::{
    FdTypes, FdinfoEntry, FileEntry, FownEntry, NsFileEntry, PidfdEntry, PipeEntry, PstreeEntry,
    RegFileEntry, RemapType, VmaEntry,
};
use inject::{Arg, Batch, Call, Place};
use std::collections::{BTreeMap, BTreeSet};
use sys::path::RESOLVE_NO_MAGICLINKS;

const O_PATH: u32 = libc::O_PATH as u32;
/// Flags of an open file that F_SETFL can change, without `O_ASYNC`: the kernel notes the descriptor with which that one is
/// set, for `si_fd`, so it has to wait for the file's final number (`watch`).
const CHANGEABLE: u32 = (libc::O_APPEND | libc::O_DIRECT | libc::O_NOATIME | libc::O_NONBLOCK) as u32;
const NAMELESS: u32 = libc::O_TMPFILE as u32;
const ACCESS: u32 = libc::O_ACCMODE as u32;
/// Flags that a file can be opened with once more. None of them makes or empties a file.
pub(super) const OPENING: u32 =
    ACCESS | CHANGEABLE | (libc::O_SYNC | libc::O_DSYNC | libc::O_DIRECTORY | libc::O_NOFOLLOW) as u32;
const OPENING_PATH: u32 = O_PATH | (libc::O_DIRECTORY | libc::O_NOFOLLOW) as u32;
/// Bytes of the largest pipe that takes no capability: /proc/sys/fs/pipe-max-size as it is by default.
const PIPE_SIZE: u32 = 1 << 20;
/// Pipes of a user are limited together, and the tasks are not the user's yet.
const OF_PIPES: u64 = 1 << policy::SYS_RESOURCE;

/// Where st_mode is in struct stat.
const ST_MODE: usize = 24;

/// Opens all files in the first task.
pub(super) fn open_all(build: &mut Build<'_>) -> Result<()> {
    let mut pipes: BTreeMap<u32, Vec<&PipeEntry>> = BTreeMap::new();
    for file in &build.snapshot.files {
        if let Some(pipe) = &file.pipe {
            pipes.entry(pipe.pipe_id).or_default().push(pipe);
        }
    }
    for (id, ends) in pipes {
        open_pipe(build, id, &ends).map_err(|error| within(&format!("pipe {id}"), &error))?;
    }
    sockets::open_all(build)?;
    packets::open_all(build)?;
    ttys::open_all(build)?;
    open_memfds(build)?;
    queues::open_all(build)?;
    for file in &build.snapshot.files {
        if !build.open.contains_key(&file.id) && !sockets::is_outside(file) {
            build.enter_mounts_of(mount_of(build.snapshot, file))?;
            open(build, file).map_err(|error| within(&describe(file), &error))?;
        }
    }
    build.enter_mounts_of(None)?;
    sockets::deliver_all(build)?;
    socket_options::set_all(build)?;
    packets::bind_all(build)?;
    open_mapped(build)?;
    // What is opened before, nobody is told of.
    fanotify::mark_all(build)
}

/// The mount that the name of a file is on.
fn mount_of(snapshot: &Snapshot, file: &FileEntry) -> Option<u32> {
    let name = file.fifo.as_ref().and_then(|fifo| fifo.regf_id);
    let of_fifo = name.and_then(|id| snapshot.files.iter().find(|file| file.id == id));
    of_fifo.unwrap_or(file).reg.as_ref().and_then(|reg| reg.mnt_id).map(|id| id as u32)
}

/// Opens files once more that are mapped with other access than they are open with, `vma_entry.fdflags`.
fn open_mapped(build: &mut Build<'_>) -> Result<()> {
    let snapshot = build.snapshot;
    for mapping in snapshot.tasks.iter().filter_map(|task| task.mm.as_ref()).flat_map(|mm| &mm.vmas) {
        if mapping.status & (vma::FILE_PRIVATE | vma::FILE_SHARED) == 0 {
            continue;
        }
        let key = (mapping.shmid as u32, access_of(mapping));
        let Some(number) = build.open.get(&key.0).copied() else { continue };
        let file = snapshot.files.iter().find(|file| file.id == key.0);
        let access = file.and_then(|file| match (&file.reg, &file.memfd) {
            (Some(reg), _) => Some(reg.flags & ACCESS),
            (_, Some(memfd)) => Some(memfd.flags & ACCESS),
            _ => None,
        });
        if access == Some(key.1) || build.mapped.contains_key(&key) {
            continue;
        }
        let next = build.next_number();
        let mut batch = Batch::new();
        let fd = reopen(&mut batch, number, key.1);
        batch.call("dup3", libc::SYS_dup3, &[fd.into(), next.into(), 0.into()]);
        batch.call("close", libc::SYS_close, &[fd.into()]);
        build.run(0, &batch).map_err(|error| within(&file.map(describe).unwrap_or_default(), &error))?;
        build.mapped.insert(key, next);
    }
    Ok(())
}

/// How a mapped file is opened: O_RDONLY, O_RDWR.
pub(super) fn access_of(mapping: &VmaEntry) -> u32 {
    let is_written = mapping.status & vma::FILE_SHARED != 0 && mapping.prot & libc::PROT_WRITE as u32 != 0;
    let needed = if is_written { libc::O_RDWR } else { libc::O_RDONLY };
    mapping.fdflags.map_or(needed as u32, |flags| flags & ACCESS)
}

fn within(what: &str, error: &Error) -> Error {
    Error::new(format!("files: {what}: {error}"))
}

/// What a file is, for errors.
pub(super) fn describe(file: &FileEntry) -> String {
    match &file.reg {
        Some(reg) => String::from_utf8_lossy(&reg.name).into_owned(),
        None => format!("file {} ({})", file.id, file.r#type().as_str_name().to_lowercase()),
    }
}

/// The path of a file, from the root of the container.
pub(super) fn path(name: &[u8]) -> Vec<u8> {
    match name.first() {
        Some(b'/') => name.to_vec(),
        _ => [b"/", name].concat(),
    }
}

impl Build<'_> {
    /// The descriptor that a file has in the first task.
    pub(super) fn number(&self, id: u32) -> i32 {
        let index = self.snapshot.files.iter().position(|file| file.id == id).unwrap_or(0);
        self.layout.files + index as i32
    }

    /// Moves what a call has opened to where the file `id` belongs.
    pub(super) fn settle(&mut self, batch: &mut Batch, opened: Call, id: u32) {
        let number = self.number(id);
        batch.call("dup3", libc::SYS_dup3, &[opened.into(), number.into(), 0.into()]);
        batch.call("close", libc::SYS_close, &[opened.into()]);
        self.open.insert(id, number);
    }

    /// The descriptor of the nursery that a name of the images stands for.
    pub(super) fn inherited(&self, key: &str) -> Option<i32> {
        self.policy.inherited.iter().find(|(name, _)| name == key).map(|(_, number)| *number)
    }

    /// Gives a file that came from outside its number.
    pub(super) fn settle_inherited(&mut self, batch: &mut Batch, from: i32, id: u32) {
        let number = self.number(id);
        batch.call("dup3", libc::SYS_dup3, &[from.into(), number.into(), 0.into()]);
        self.open.insert(id, number);
    }
}

/// Opens a name of the images. It does not wait for anybody, as it would for the other end of a pipe; and no link of
/// procfs is followed, because those lead to whatever this task has open, and out of its root.
pub(super) fn open_name(batch: &mut Batch, name: Place, flags: u32) -> Call {
    let is_path = flags & O_PATH != 0;
    // What was opened without a name is marked like a directory, which it is not.
    let flags = if flags & NAMELESS == NAMELESS { flags & !NAMELESS } else { flags };
    let opening = match is_path {
        true => flags & OPENING_PATH,
        false => flags & OPENING | (libc::O_NONBLOCK | libc::O_NOCTTY) as u32,
    };
    // struct open_how: flags, mode, resolve
    let how = batch.words(&[opening.into(), 0, RESOLVE_NO_MAGICLINKS]);
    let fd =
        batch.call("open", libc::SYS_openat2, &[libc::AT_FDCWD.into(), name.into(), how.into(), 24.into()]);
    if !is_path && flags & libc::O_NONBLOCK as u32 == 0 {
        let flags = flags & CHANGEABLE;
        batch.call("F_SETFL", libc::SYS_fcntl, &[fd.into(), libc::F_SETFL.into(), flags.into()]);
    }
    fd
}

/// Adds fstat(2): where the answer will be.
fn look(batch: &mut Batch, fd: Call) -> Place {
    let found = batch.space(144);
    batch.call("fstat", libc::SYS_fstat, &[fd.into(), found.into()]);
    found
}

fn open(build: &mut Build<'_>, file: &FileEntry) -> Result<()> {
    let mut batch = Batch::new();
    let opened = match file.r#type() {
        FdTypes::Reg => {
            let reg = file.reg.as_deref().ok_or_else(|| Error::new("reg: missing"))?;
            // Those that tasks open themselves, and those that only name a pipe, which is opened by it.
            return match is_of_task(reg) || names_fifo(build.snapshot, reg) {
                true => Ok(()),
                false => open_path(build, reg),
            };
        }
        FdTypes::Fifo => return open_fifo(build, file),
        FdTypes::Eventfd => {
            let Some(entry) = &file.efd else { return Err(Error::new("efd: missing")) };
            let initial = u32::try_from(entry.counter).unwrap_or(0);
            let is_semaphore = build.snapshot.side.semaphores.contains(&file.id);
            let flags = entry.flags & libc::O_NONBLOCK as u32
                | if is_semaphore { libc::EFD_SEMAPHORE as u32 } else { 0 };
            let fd = batch.call("eventfd2", libc::SYS_eventfd2, &[initial.into(), flags.into()]);
            if u64::from(initial) != entry.counter {
                let counter = batch.words(&[entry.counter]);
                batch.call("write", libc::SYS_write, &[fd.into(), counter.into(), 8.into()]);
            }
            fd
        }
        FdTypes::Eventpoll => batch.call("epoll_create1", libc::SYS_epoll_create1, &[0.into()]),
        FdTypes::Signalfd => {
            let Some(entry) = &file.sgfd else { return Err(Error::new("sgfd: missing")) };
            let mask = batch.words(&[entry.sigmask]);
            let flags = entry.flags & libc::O_NONBLOCK as u32;
            batch.call("signalfd4", libc::SYS_signalfd4, &[(-1).into(), mask.into(), 8.into(), flags.into()])
        }
        FdTypes::Timerfd => {
            let Some(entry) = &file.tfd else { return Err(Error::new("tfd: missing")) };
            let flags = entry.flags & libc::O_NONBLOCK as u32;
            batch.call("timerfd_create", libc::SYS_timerfd_create, &[entry.clockid.into(), flags.into()])
        }
        FdTypes::Inotify => {
            let Some(entry) = &file.ify else { return Err(Error::new("ify: missing")) };
            let fd = batch.call(
                "inotify_init1",
                libc::SYS_inotify_init1,
                &[(entry.flags & libc::O_NONBLOCK as u32).into()],
            );
            for watch in &entry.wd {
                let Some(name) = &watch.f_handle.path else {
                    return Err(Error::new(
                        "what it watches is known by a file handle only, which is not supported",
                    ));
                };
                build.enter_in(&mut batch, watch.f_handle.mnt_id);
                // inotify_add_watch(2) follows links of procfs.
                let place = batch.string(&path(name));
                let found = open_name(&mut batch, place, O_PATH);
                batch.call("close", libc::SYS_close, &[found.into()]);
                const INOTIFY_IOC_SETNEXTWD: u32 = 0x4004_4900;
                batch.call_may_fail(
                    "INOTIFY_IOC_SETNEXTWD",
                    libc::SYS_ioctl,
                    &[fd.into(), INOTIFY_IOC_SETNEXTWD.into(), watch.wd.into()],
                );
                batch.call(
                    "inotify_add_watch",
                    libc::SYS_inotify_add_watch,
                    &[fd.into(), place.into(), watch.mask.into()],
                );
            }
            fd
        }
        FdTypes::Fanotify => {
            let Some(entry) = &file.ffy else { return Err(Error::new("ffy: missing")) };
            fanotify::open(&mut batch, entry)
        }
        FdTypes::Ns => {
            let Some(entry) = &file.nsf else { return Err(Error::new("nsf: missing")) };
            let name = namespace(build, entry)?;
            let name = batch.string(format!("/proc/self/ns/{name}").as_bytes());
            let arguments = [libc::AT_FDCWD.into(), name.into(), libc::O_RDONLY.into(), 0.into()];
            batch.call("open", libc::SYS_openat, &arguments)
        }
        FdTypes::Pidfd => {
            // When all tasks exist: `complete`.
            return Ok(());
        }
        _ => return Err(Error::new("not supported")),
    };
    build.settle(&mut batch, opened, file.id);
    build.run(0, &batch)?;
    Ok(())
}

/// The name in /proc of a namespace that the container has.
fn namespace(build: &Build<'_>, entry: &NsFileEntry) -> Result<&'static str> {
    let ids = build.snapshot.tasks[0].ids();
    let kinds = [
        (libc::CLONE_NEWNS, "mnt", ids.and_then(|ids| ids.mnt_ns_id)),
        (libc::CLONE_NEWPID, "pid", ids.and_then(|ids| ids.pid_ns_id)),
        (libc::CLONE_NEWNET, "net", ids.and_then(|ids| ids.net_ns_id)),
        (libc::CLONE_NEWIPC, "ipc", ids.and_then(|ids| ids.ipc_ns_id)),
        (libc::CLONE_NEWUTS, "uts", ids.and_then(|ids| ids.uts_ns_id)),
        (libc::CLONE_NEWUSER, "user", ids.and_then(|ids| ids.user_ns_id)),
        (libc::CLONE_NEWCGROUP, "cgroup", ids.and_then(|ids| ids.cgroup_ns_id)),
        (libc::CLONE_NEWTIME, "time", ids.and_then(|ids| ids.time_ns_id)),
    ];
    let found = kinds.iter().find(|(flag, _, id)| *flag as u32 == entry.ns_cflag && *id == Some(entry.ns_id));
    let missing = || Error::new("a namespace that is not the container's is not supported");
    found.map(|(_, name, _)| *name).ok_or_else(missing)
}

/// Whether a file is there only as long as a task is: /proc/PID/…
fn is_of_task(reg: &RegFileEntry) -> bool {
    let name = path(&reg.name);
    let pid = name.strip_prefix(b"/proc/").and_then(|rest| rest.split(|byte| *byte == b'/').next());
    pid.is_some_and(|pid| !pid.is_empty() && pid.iter().all(u8::is_ascii_digit))
}

/// Whether a file is executed or mapped, and not for writing.
fn is_program(snapshot: &Snapshot, reg: &RegFileEntry) -> bool {
    let is_mapped = |vma: &VmaEntry| {
        vma.status & (vma::FILE_PRIVATE | vma::FILE_SHARED) != 0 && vma.shmid == u64::from(reg.id)
    };
    let mut mms = snapshot.tasks.iter().filter_map(|task| task.mm.as_ref());
    reg.flags & (ACCESS | O_PATH) == libc::O_RDONLY as u32
        && mms.any(|mm| mm.exe_file_id == reg.id || mm.vmas.iter().any(is_mapped))
}

/// Opens a program that the container's user may execute and not read.
fn open_program(batch: &mut Batch, build: &Build<'_>, name: Place, reg: &RegFileEntry) -> Call {
    let arguments = [libc::AT_FDCWD.into(), name.into(), libc::X_OK.into(), libc::AT_EACCESS.into()];
    batch.call("execute", libc::SYS_faccessat2, &arguments);
    let capabilities = build.policy.file_capabilities() | 1 << policy::DAC_READ_SEARCH;
    build.with_only(batch, capabilities, |batch| open_name(batch, name, reg.flags))
}

fn names_fifo(snapshot: &Snapshot, reg: &RegFileEntry) -> bool {
    snapshot.files.iter().filter_map(|file| file.fifo.as_ref()).any(|fifo| fifo.regf_id == Some(reg.id))
}

/// A file with a name. All names are resolved by the first task, whose root is the container's.
fn open_path(build: &mut Build<'_>, reg: &RegFileEntry) -> Result<()> {
    let mut batch = Batch::new();
    let name = String::from_utf8_lossy(&reg.name).into_owned();
    if reg.ext == Some(true) || build.inherited(&name).is_some() {
        let Some(from) = build.inherited(&name) else {
            return Err(Error::new("it comes from outside, and was not passed in"));
        };
        build.settle_inherited(&mut batch, from, reg.id);
        build.run(0, &batch)?;
        return Ok(());
    }
    if build.snapshot.remaps.iter().any(|remap| remap.orig_id == reg.id) {
        return open_deleted(build, reg);
    }
    let open = |build: &mut Build<'_>, as_program: bool| {
        let mut batch = Batch::new();
        let place = batch.string(&path(&reg.name));
        let fd = match as_program {
            true => open_program(&mut batch, build, place, reg),
            false => open_name(&mut batch, place, reg.flags),
        };
        let found = look(&mut batch, fd);
        seek(&mut batch, fd, reg);
        build.settle(&mut batch, fd, reg.id);
        build.run(0, &batch).map(|outcome| (outcome, found))
    };
    let (outcome, found) = match open(build, false) {
        Err(error) if is_program(build.snapshot, reg) => open(build, true).map_err(|_| error)?,
        opened => opened?,
    };
    // struct stat: st_size at 48.
    let (mode, size) = (outcome.u32(found.plus(ST_MODE)), outcome.u64(found.plus(48)));
    if let Some(expected) = reg.mode.filter(|expected| expected & libc::S_IFMT != mode & libc::S_IFMT) {
        return Err(Error::new(format!("its mode was {expected:o} and is {mode:o}")));
    }
    if mode & libc::S_IFMT == libc::S_IFIFO && reg.flags & O_PATH == 0 {
        return Err(Error::new("it is a named pipe, which the images do not say"));
    }
    let is_file = mode & libc::S_IFMT == libc::S_IFREG;
    if let Some(expected) = reg.size.filter(|expected| is_file && *expected != size) {
        return Err(Error::new(format!(
            "it had {expected} bytes and has {size}; what is open cannot have changed"
        )));
    }
    Ok(())
}

fn seek(batch: &mut Batch, fd: Call, reg: &RegFileEntry) {
    if reg.flags & O_PATH == 0 && reg.pos != 0 {
        batch.call("lseek", libc::SYS_lseek, &[fd.into(), reg.pos.into(), libc::SEEK_SET.into()]);
    }
}

/// A file whose name is gone: it is made again under that name, and the name goes when the file is open.
fn open_deleted(build: &mut Build<'_>, reg: &RegFileEntry) -> Result<()> {
    let remap = build.snapshot.remaps.iter().find(|remap| remap.orig_id == reg.id);
    let remap_id = remap.map_or(0, |remap| remap.remap_id);
    if remap.is_some_and(|remap| remap.remap_type() == RemapType::Linked) {
        return open_linked(build, reg, remap_id);
    }
    let Some(ghost) = build.snapshot.ghosts.get(&remap_id) else {
        return Err(Error::new("its name is gone, and how to find it otherwise is not supported"));
    };
    let file = build.images.raw(&format!("ghost-file-{remap_id:x}.img"))?;
    let file = file.ok_or_else(|| Error::new(format!("ghost-file-{remap_id:x}.img: missing")))?;
    // Files that share one ghost are opened at once, before the name goes.
    let remaps = &build.snapshot.remaps;
    let shares = |id: u32| remaps.iter().any(|remap| remap.orig_id == id && remap.remap_id == remap_id);
    let all: Vec<&RegFileEntry> = build
        .snapshot
        .files
        .iter()
        .filter_map(|file| file.reg.as_deref())
        .filter(|reg| shares(reg.id))
        .collect();

    let mut name = path(&reg.name);
    if let Some(stripped) = name.strip_suffix(b" (deleted)") {
        name = stripped.to_vec();
    }
    let temporary = [&name[..], b".floe-ghost"].concat();
    let mut batch = Batch::new();
    let place = batch.string(&temporary);
    let mode = ghost.entry.mode & 0o7777;
    let maker = match ghost.entry.mode & libc::S_IFMT {
        libc::S_IFDIR => {
            batch.call("mkdir", libc::SYS_mkdirat, &[libc::AT_FDCWD.into(), place.into(), mode.into()]);
            None
        }
        libc::S_IFREG => {
            let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
            let arguments = [libc::AT_FDCWD.into(), place.into(), flags.into(), mode.into()];
            Some(batch.call("open", libc::SYS_openat, &arguments))
        }
        libc::S_IFIFO | libc::S_IFSOCK => {
            let arguments = [libc::AT_FDCWD.into(), place.into(), ghost.entry.mode.into(), 0.into()];
            batch.call("mknod", libc::SYS_mknodat, &arguments);
            None
        }
        // Which devices there are is not the image's to say.
        _ => {
            return Err(Error::new(format!(
                "its mode was {:o}: such a file is not made again",
                ghost.entry.mode
            )));
        }
    };
    if let Some(fd) = maker {
        let size = ghost
            .entry
            .size
            .unwrap_or_else(|| ghost.chunks.iter().map(|chunk| chunk.offset + chunk.len).max().unwrap_or(0));
        for chunk in &ghost.chunks {
            let content = super::state::read(&file, chunk.at, chunk.len)?;
            for (nth, part) in content.chunks(1 << 20).enumerate() {
                // A batch holds a little more than this.
                let bytes = batch.bytes(part);
                let offset = chunk.offset + ((nth as u64) << 20);
                let arguments = [fd.into(), bytes.into(), part.len().into(), offset.into()];
                batch.call("pwrite", libc::SYS_pwrite64, &arguments);
            }
        }
        batch.call("ftruncate", libc::SYS_ftruncate, &[fd.into(), size.into()]);
        batch.call("close", libc::SYS_close, &[fd.into()]);
    }
    let (uid, gid) = (ghost.entry.uid, ghost.entry.gid);
    let arguments =
        [libc::AT_FDCWD.into(), place.into(), uid.into(), gid.into(), libc::AT_SYMLINK_NOFOLLOW.into()];
    batch.call("chown", libc::SYS_fchownat, &arguments);
    if ghost.entry.mode & libc::S_IFMT != libc::S_IFLNK {
        batch.call("chmod", libc::SYS_fchmodat, &[libc::AT_FDCWD.into(), place.into(), mode.into()]);
    }
    for reg in all {
        let fd = open_name(&mut batch, place, reg.flags);
        seek(&mut batch, fd, reg);
        build.settle(&mut batch, fd, reg.id);
    }
    let flag = if ghost.entry.mode & libc::S_IFMT == libc::S_IFDIR { libc::AT_REMOVEDIR } else { 0 };
    batch.call("unlink", libc::SYS_unlinkat, &[libc::AT_FDCWD.into(), place.into(), flag.into()]);
    let Err(error) = build.run(0, &batch) else { return Ok(()) };
    // The name is ours, if it was made: nothing else is called so, or it would not have been made.
    let mut batch = Batch::new();
    let place = batch.string(&temporary);
    batch.call_may_fail("unlink", libc::SYS_unlinkat, &[libc::AT_FDCWD.into(), place.into(), flag.into()]);
    build.run(0, &batch)?;
    Err(error)
}

/// A file that has lost the name it was opened by, and got another one for the dump, which goes now.
fn open_linked(build: &mut Build<'_>, reg: &RegFileEntry, link: u32) -> Result<()> {
    let of = build.snapshot.files.iter().filter_map(|file| file.reg.as_deref()).find(|file| file.id == link);
    let Some(of) = of else { return Err(Error::new(format!("file {link}, a link to it, is missing"))) };
    // It is removed: the image has no say about other names.
    if !of.name.rsplit(|byte| *byte == b'/').next().is_some_and(|last| last.starts_with(PREFIX.as_bytes())) {
        let name = String::from_utf8_lossy(&of.name);
        return Err(Error::new(format!("{name} is not a link that was made for a dump")));
    }
    let remaps = &build.snapshot.remaps;
    let shares = |id: u32| remaps.iter().any(|remap| remap.orig_id == id && remap.remap_id == link);
    let all: Vec<&RegFileEntry> =
        build.snapshot.files.iter().filter_map(|file| file.reg.as_deref()).collect();
    let mut batch = Batch::new();
    let name = batch.string(&path(&of.name));
    for reg in all.into_iter().filter(|file| file.id == reg.id || shares(file.id)) {
        let fd = open_name(&mut batch, name, reg.flags);
        seek(&mut batch, fd, reg);
        build.settle(&mut batch, fd, reg.id);
    }
    // The dump has put it there, whoever the directory belongs to.
    build.with_only(&mut batch, build.capabilities, |batch| {
        batch.call("unlink", libc::SYS_unlinkat, &[libc::AT_FDCWD.into(), name.into(), 0.into()]);
    });
    // The link is in the list of files, too.
    build.open.entry(link).or_insert(-1);
    build.run(0, &batch)?;
    Ok(())
}

/// Both ends of a pipe with what is in it. An end that nobody has is closed.
fn open_pipe(build: &mut Build<'_>, id: u32, ends: &[&PipeEntry]) -> Result<()> {
    let mut batch = Batch::new();
    if let Some(from) = build.inherited(&format!("pipe:[{id}]")) {
        for end in ends {
            build.settle_inherited(&mut batch, from, end.id);
        }
        build.run(0, &batch)?;
        return Ok(());
    }
    let both = batch.space(8);
    build.with_only(&mut batch, OF_PIPES, |batch| {
        batch.call("pipe2", libc::SYS_pipe2, &[both.into(), libc::O_NONBLOCK.into()])
    });
    build.run(0, &batch).map(|outcome| (outcome.u32(both), outcome.u32(both.plus(4)))).and_then(
        |(read, write)| {
            fill_pipe(build, write as i32, id, false)?;
            let mut batch = Batch::new();
            let mut used = BTreeSet::new();
            for end in ends {
                let from = if end.flags & ACCESS == libc::O_WRONLY as u32 { write } else { read };
                let flags = end.flags & CHANGEABLE;
                let fd = if used.insert(from) {
                    batch.call("dup", libc::SYS_dup, &[from.into()])
                } else {
                    // The same end again, but another open file.
                    reopen(&mut batch, from as i32, end.flags & (ACCESS | CHANGEABLE))
                };
                batch.call("F_SETFL", libc::SYS_fcntl, &[fd.into(), libc::F_SETFL.into(), flags.into()]);
                build.settle(&mut batch, fd, end.id);
            }
            for end in [read, write] {
                batch.call("close", libc::SYS_close, &[end.into()]);
            }
            build.run(0, &batch)?;
            Ok(())
        },
    )
}

/// Opens what a descriptor of the first task is open on anew.
pub(super) fn reopen(batch: &mut Batch, fd: i32, flags: u32) -> Call {
    let name = batch.string(format!("/proc/self/fd/{fd}").as_bytes());
    batch.call("open", libc::SYS_openat, &[libc::AT_FDCWD.into(), name.into(), flags.into(), 0.into()])
}

/// Gives a pipe its size and its content. `write` is an end that does not wait.
fn fill_pipe(build: &mut Build<'_>, write: i32, id: u32, is_fifo: bool) -> Result<()> {
    let (snapshot, side) = (build.snapshot, &build.snapshot.side);
    let (content, packets) = match is_fifo {
        true => (&snapshot.fifos, &side.fifo_packets),
        false => (&snapshot.pipes, &side.pipe_packets),
    };
    let Some((entry, bytes)) = content.iter().find(|(entry, _)| entry.pipe_id == id) else { return Ok(()) };
    let set_flags = |batch: &mut Batch, flags: i32| {
        let arguments = [write.into(), libc::F_SETFL.into(), (flags | libc::O_NONBLOCK).into()];
        batch.call("F_SETFL", libc::SYS_fcntl, &arguments);
    };
    let mut batch = Batch::new();
    if let Some(size) = entry.size {
        if size > PIPE_SIZE && !build.policy.can_have(policy::SYS_RESOURCE) {
            return Err(Error::new(format!("a size of {size} bytes takes CAP_SYS_RESOURCE")));
        }
        let arguments = [write.into(), libc::F_SETPIPE_SZ.into(), size.into()];
        build
            .with_only(&mut batch, OF_PIPES, |batch| batch.call("F_SETPIPE_SZ", libc::SYS_fcntl, &arguments));
    }
    let place = batch.bytes(bytes);
    let packets = packets.get(&id);
    if packets.is_some() {
        set_flags(&mut batch, libc::O_DIRECT);
    }
    let sizes = packets.cloned().unwrap_or_else(|| vec![bytes.len() as u32]);
    let (mut at, mut calls) = (0, Vec::new());
    for size in sizes.into_iter().filter(|size| *size != 0) {
        let arguments = [write.into(), place.plus(at).into(), size.into()];
        calls.push(batch.call("write", libc::SYS_write, &arguments));
        at += size as usize;
    }
    if packets.is_some() {
        set_flags(&mut batch, 0);
    }
    let outcome = build.run(0, &batch)?;
    let done: u64 = calls.into_iter().map(|call| outcome.result(call).unwrap_or(0)).sum();
    if done != bytes.len() as u64 {
        return Err(Error::new(format!("{done} of {} bytes fit into it", bytes.len())));
    }
    Ok(())
}

/// A named pipe. One that is open in both directions keeps the others from waiting for their other end.
fn open_fifo(build: &mut Build<'_>, file: &FileEntry) -> Result<()> {
    let Some(fifo) = &file.fifo else { return Err(Error::new("fifo: missing")) };
    let all: Vec<(u32, RegFileEntry)> = build
        .snapshot
        .files
        .iter()
        .filter_map(|file| file.fifo.as_deref())
        .filter(|other| other.pipe_id == fifo.pipe_id)
        .filter_map(|other| {
            let id = other.regf_id.unwrap_or(other.id);
            let of = |file: &&FileEntry| file.reg.as_ref().is_some_and(|reg| reg.id == id);
            let reg = build.snapshot.files.iter().find(of).and_then(|file| file.reg.as_deref().cloned());
            reg.map(|reg| (other.id, reg))
        })
        .collect();
    let Some((_, first)) = all.first() else { return Err(Error::new("its name is missing")) };
    let mut batch = Batch::new();
    let name = batch.string(&path(&first.name));
    let keeper = open_name(&mut batch, name, (libc::O_RDWR | libc::O_NONBLOCK) as u32);
    let found = look(&mut batch, keeper);
    let outcome = build.run(0, &batch)?;
    let mode = outcome.u32(found.plus(ST_MODE));
    if mode & libc::S_IFMT != libc::S_IFIFO {
        let name = String::from_utf8_lossy(&first.name);
        return Err(Error::new(format!("{name} is no named pipe: its mode is {mode:o}")));
    }
    let keeper = outcome.result(keeper).unwrap_or(0) as i32;
    fill_pipe(build, keeper, fifo.pipe_id, true)?;
    let mut batch = Batch::new();
    for (id, reg) in &all {
        let name = batch.string(&path(&reg.name));
        let fd = open_name(&mut batch, name, reg.flags);
        build.settle(&mut batch, fd, *id);
    }
    batch.call("close", libc::SYS_close, &[keeper.into()]);
    build.run(0, &batch)?;
    Ok(())
}

/// Files of memfd_create(2). Seals come last: `complete`.
fn open_memfds(build: &mut Build<'_>) -> Result<()> {
    for inode in &build.snapshot.memfds {
        let named = |error: Error| within(&format!("memfd {}", String::from_utf8_lossy(&inode.name)), &error);
        let entries = build.snapshot.files.iter().filter_map(|file| file.memfd.as_deref());
        let entries: Vec<_> =
            entries.filter(|entry| u64::from(entry.inode_id) == inode.inode_id).cloned().collect();
        let mut batch = Batch::new();
        let name = inode.name.strip_prefix(b"/memfd:").unwrap_or(&inode.name);
        let name = batch.string(name.strip_suffix(b" (deleted)").unwrap_or(name));
        const NO_SEALS: u32 = libc::F_SEAL_SEAL as u32;
        let sealing = if inode.seals == NO_SEALS { 0 } else { libc::MFD_ALLOW_SEALING };
        let flags = sealing | inode.hugetlb_flag.map_or(0, |huge| huge | libc::MFD_HUGETLB);
        let fd = batch.call("memfd_create", libc::SYS_memfd_create, &[name.into(), flags.into()]);
        batch.call("ftruncate", libc::SYS_ftruncate, &[fd.into(), inode.size.into()]);
        batch.call("fchown", libc::SYS_fchown, &[fd.into(), inode.uid.into(), inode.gid.into()]);
        if let Some(mode) = inode.mode {
            batch.call("fchmod", libc::SYS_fchmod, &[fd.into(), (mode & 0o7777).into()]);
        }
        let fd = build.run(0, &batch).map_err(named)?.result(fd).unwrap_or(0) as i32;
        let id = u64::from(inode.shmid);
        let filled = match inode.hugetlb_flag {
            Some(_) if inode.size > 0 => super::memory::fill_huge_file(build, fd, inode.size, id),
            _ => fill_file(build, fd, id),
        };
        filled.map_err(named)?;
        let mut batch = Batch::new();
        // Pages are whole.
        batch.call("ftruncate", libc::SYS_ftruncate, &[fd.into(), inode.size.into()]);
        for (nth, entry) in entries.iter().enumerate() {
            let number = match nth {
                0 if entry.flags & ACCESS == libc::O_RDWR as u32 => {
                    batch.call("dup", libc::SYS_dup, &[fd.into()])
                }
                _ => reopen(&mut batch, fd, entry.flags & (ACCESS | CHANGEABLE)),
            };
            batch.call("lseek", libc::SYS_lseek, &[number.into(), entry.pos.into(), libc::SEEK_SET.into()]);
            batch.call(
                "F_SETFL",
                libc::SYS_fcntl,
                &[number.into(), libc::F_SETFL.into(), (entry.flags & CHANGEABLE).into()],
            );
            build.settle(&mut batch, number, entry.id);
        }
        batch.call("close", libc::SYS_close, &[fd.into()]);
        build.run(0, &batch).map_err(named)?;
    }
    Ok(())
}

/// Copies shared memory of the images into a file of the first task.
fn fill_file(build: &mut Build<'_>, fd: i32, id: u64) -> Result<()> {
    use std::os::fd::AsRawFd;
    for run in build.pages.of(&names::shmem(id)).runs {
        let mut done = 0;
        while done < run.size {
            let mut batch = Batch::new();
            let offset = batch.words(&[run.at + done]);
            let to = run.start + done;
            batch.call("lseek", libc::SYS_lseek, &[fd.into(), to.into(), libc::SEEK_SET.into()]);
            let len = (run.size - done).min(1 << 30);
            let arguments = [fd.into(), run.file.file().as_raw_fd().into(), offset.into(), len.into()];
            let sent = batch.call("sendfile", libc::SYS_sendfile, &arguments);
            match build.run(0, &batch)?.result(sent) {
                Ok(0) | Err(_) => return Err(Error::new("its pages end early")),
                Ok(sent) => done += sent,
            }
        }
    }
    Ok(())
}

/// Puts the files of each table of descriptors where they belong, and closes all others.
pub(super) fn install(build: &mut Build<'_>) -> Result<()> {
    let mut done = BTreeSet::new();
    for (index, task) in build.living() {
        let Some(id) = task.ids().map(|ids| ids.files_id) else { continue };
        if !done.insert(id) {
            continue;
        }
        let entries = build.snapshot.tables.get(&id).map(Vec::as_slice).unwrap_or_default();
        let mut batch = Batch::new();
        batch.call(
            "close_range",
            libc::SYS_close_range,
            &[0.into(), (build.layout.files - 1).into(), 0.into()],
        );
        for entry in entries {
            let Some(from) = build.open.get(&entry.id) else { continue };
            // FD_CLOEXEC in the images.
            let flags = if entry.flags & 1 != 0 { libc::O_CLOEXEC } else { 0 };
            batch.call("dup3", libc::SYS_dup3, &[(*from).into(), entry.fd.into(), flags.into()]);
        }
        build.run(index, &batch)?;
    }
    Ok(())
}

/// What needs all tasks and descriptors in their places: epoll, owners, pidfds, directories of tasks, seals. Then the
/// numbers of the first task's files go.
pub(super) fn complete(build: &mut Build<'_>) -> Result<()> {
    open_pidfds(build)?;
    for (index, task) in build.living() {
        let mut batch = Batch::new();
        let entries = task.ids().and_then(|ids| build.snapshot.tables.get(&ids.files_id));
        for entry in entries.into_iter().flatten() {
            let Some(file) = build.snapshot.files.iter().find(|file| file.id == entry.id) else { continue };
            watch(build.snapshot, &mut batch, file, entry.fd, entries.map(Vec::as_slice).unwrap_or_default());
        }
        if let Some(fs) = &task.fs {
            enter_directories(build, &mut batch, fs.root_id, fs.cwd_id)?;
            batch.call("umask", libc::SYS_umask, &[fs.umask.unwrap_or(0o22).into()]);
        }
        build.run(index, &batch)?;
    }
    let mut batch = Batch::new();
    for inode in build.snapshot.memfds.iter().filter(|inode| inode.seals & !(libc::F_SEAL_SEAL as u32) != 0) {
        let entry = build.snapshot.files.iter().filter_map(|file| file.memfd.as_deref());
        let mut numbers =
            entry.filter(|entry| u64::from(entry.inode_id) == inode.inode_id && entry.flags & ACCESS != 0);
        if let Some(number) = numbers.find_map(|entry| build.open.get(&entry.id)) {
            batch.call(
                "F_ADD_SEALS",
                libc::SYS_fcntl,
                &[(*number).into(), libc::F_ADD_SEALS.into(), inode.seals.into()],
            );
        }
    }
    build.run(0, &batch)?;
    for (index, _) in build.living() {
        let mut batch = Batch::new();
        batch.call(
            "close_range",
            libc::SYS_close_range,
            &[build.layout.files.into(), u32::MAX.into(), 0.into()],
        );
        build.run(index, &batch)?;
    }
    Ok(())
}

/// Adds the targets of an epoll file, by the numbers that this task has them under. What cannot be added here is added
/// by a task that has it.
fn watch(
    snapshot: &Snapshot,
    batch: &mut Batch,
    file: &FileEntry,
    fd: u32,
    table: &[images::messages::FdinfoEntry],
) {
    for target in file.epfd.iter().flat_map(|epoll| &epoll.tfd) {
        if table.iter().any(|entry| entry.fd == target.tfd) {
            let mut event = target.events.to_le_bytes().to_vec();
            event.extend_from_slice(&target.data.to_le_bytes());
            let event = batch.bytes(&event);
            let arguments = [fd.into(), libc::EPOLL_CTL_ADD.into(), target.tfd.into(), event.into()];
            batch.call_may_fail("epoll_ctl", libc::SYS_epoll_ctl, &arguments);
        }
    }
    let Some(owner) = owner(file) else { return };
    // One that is not there may be somebody else's now.
    let is_there = snapshot.tasks.iter().any(|task| {
        let PstreeEntry { pid, pgid, sid, threads, .. } = &task.entry;
        [pid, pgid, sid].into_iter().chain(threads).any(|id| *id == owner.pid)
    });
    if owner.signum != 0 {
        const F_SETSIG: i32 = 10;
        batch.call("F_SETSIG", libc::SYS_fcntl, &[fd.into(), F_SETSIG.into(), owner.signum.into()]);
    }
    if is_there {
        const F_SETOWN_EX: i32 = 15;
        // F_OWNER_ of the images are the kernel's pid types: a process, its group.
        let kind: u32 = match owner.pid_type {
            0 => 0,
            1 => 1,
            _ => 2,
        };
        let mut who = kind.to_le_bytes().to_vec();
        who.extend_from_slice(&owner.pid.to_le_bytes());
        let who = batch.bytes(&who);
        batch.call_may_fail("F_SETOWN_EX", libc::SYS_fcntl, &[fd.into(), F_SETOWN_EX.into(), who.into()]);
    }
    if let Some(flags) = asynchronous(file) {
        let flags = flags & (CHANGEABLE | libc::O_ASYNC as u32);
        batch.call("F_SETFL", libc::SYS_fcntl, &[fd.into(), libc::F_SETFL.into(), flags.into()]);
    }
}

/// Who gets signals about a file.
fn owner(file: &FileEntry) -> Option<&FownEntry> {
    let kinds = [
        file.reg.as_ref().map(|file| &file.fown),
        file.pipe.as_ref().map(|file| &file.fown),
        file.usk.as_ref().map(|file| &file.fown),
        file.isk.as_ref().map(|file| &file.fown),
        file.psk.as_ref().map(|file| &file.fown),
        file.tty.as_ref().map(|file| &file.fown),
        file.efd.as_ref().map(|file| &file.fown),
        file.tfd.as_ref().map(|file| &file.fown),
        file.ify.as_ref().map(|file| &file.fown),
        file.ffy.as_ref().map(|file| &file.fown),
        file.memfd.as_ref().map(|file| &file.fown),
        file.ext.as_ref().map(|file| &file.fown),
    ];
    kinds.into_iter().flatten().next()
}

/// Flags of an open file whose signals want an owner first.
fn asynchronous(file: &FileEntry) -> Option<u32> {
    let flags = [
        file.reg.as_ref().map(|file| file.flags),
        file.pipe.as_ref().map(|file| file.flags),
        file.usk.as_ref().map(|file| file.flags),
        file.isk.as_ref().map(|file| file.flags),
        file.psk.as_ref().map(|file| file.flags),
        file.tty.as_ref().map(|file| file.flags),
    ];
    flags.into_iter().flatten().next().filter(|flags| flags & libc::O_ASYNC as u32 != 0)
}

fn enter_directories(build: &Build<'_>, batch: &mut Batch, root: u32, cwd: u32) -> Result<()> {
    let name = |id: u32| {
        let file = build.snapshot.files.iter().find(|file| file.id == id);
        file.and_then(|file| file.reg.as_deref()).map(|reg| path(&reg.name)).unwrap_or_default()
    };
    let number = |id: u32| {
        let number = build.open.get(&id).copied();
        number.ok_or_else(|| Error::new(format!("fs: directory {id} is not there")))
    };
    let cwd = number(cwd)?;
    if ![&b"/"[..], b""].contains(&&name(root)[..]) {
        let here = batch.string(b".");
        batch.call("fchdir", libc::SYS_fchdir, &[number(root)?.into()]);
        batch.call("chroot", libc::SYS_chroot, &[here.into()]);
    }
    batch.call("fchdir", libc::SYS_fchdir, &[cwd.into()]);
    Ok(())
}

/// Pidfds, of tasks that exist and of some that do not.
fn open_pidfds(build: &mut Build<'_>) -> Result<()> {
    for (index, entry, file) in in_tables(build.snapshot) {
        let Some(pidfd) = &file.pidfd else { continue };
        let opened = open_pidfd(build, index, pidfd)?;
        let mut batch = Batch::new();
        put(&mut batch, opened.into(), entry);
        build.run(index, &batch)?;
    }
    Ok(())
}

/// Files below /proc/PID. Who has one open opens it, when it has its own credentials and nothing more: what they are of
/// may be no task of the container, where it shares its pid namespace.
pub(super) fn open_of_tasks(build: &mut Build<'_>) -> Result<()> {
    for (index, entry, file) in in_tables(build.snapshot) {
        let Some(reg) = file.reg.as_deref().filter(|reg| is_of_task(reg)) else { continue };
        let mut batch = Batch::new();
        let name = batch.string(&path(&reg.name));
        let fd = open_name(&mut batch, name, reg.flags);
        seek(&mut batch, fd, reg);
        put(&mut batch, fd.into(), entry);
        build.run(index, &batch).map_err(|error| within(&describe(file), &error))?;
    }
    Ok(())
}

/// What is in each table of descriptors, with the index of the first task that has it.
fn in_tables(snapshot: &Snapshot) -> Vec<(usize, &FdinfoEntry, &FileEntry)> {
    let mut seen = BTreeSet::new();
    let tasks = snapshot.tasks.iter().enumerate().filter(|(_, task)| !task.is_zombie());
    let tables = tasks.filter_map(|(index, task)| Some((index, task.ids()?.files_id)));
    tables
        .filter(|(_, id)| seen.insert(*id))
        .flat_map(|(index, id)| {
            snapshot.tables.get(&id).into_iter().flatten().map(move |entry| (index, entry))
        })
        .filter_map(|(index, entry)| {
            Some((index, entry, snapshot.files.iter().find(|file| file.id == entry.id)?))
        })
        .collect()
}

/// Gives what was opened in a task the number that it had there.
fn put(batch: &mut Batch, opened: Arg, entry: &FdinfoEntry) {
    let flags = if entry.flags & 1 != 0 { libc::O_CLOEXEC } else { 0 };
    // To the same number it is no change, but for dup3(2), which refuses it.
    let beside = batch.call("fcntl", libc::SYS_fcntl, &[opened, libc::F_DUPFD.into(), (entry.fd + 1).into()]);
    batch.call("close", libc::SYS_close, &[opened]);
    batch.call("dup3", libc::SYS_dup3, &[beside.into(), entry.fd.into(), flags.into()]);
    batch.call("close", libc::SYS_close, &[beside.into()]);
}

fn open_pidfd(build: &mut Build<'_>, index: usize, pidfd: &PidfdEntry) -> Result<u64> {
    let is_alive = pidfd.nspid > 0 && build.index_of(pidfd.nspid as u32).is_some();
    // One that has ended is made for the moment in which it is opened.
    let free = build.free_pid();
    let helper = if is_alive { None } else { Some(super::tree::make_helper(build, index, free)?) };
    let pid = helper.map_or(pidfd.nspid as u64, |(_, pid)| pid);
    let mut batch = Batch::new();
    let flags = pidfd.flags & libc::O_NONBLOCK as u32;
    let fd = batch.call("pidfd_open", libc::SYS_pidfd_open, &[pid.into(), flags.into()]);
    let opened = build.run(index, &batch)?.result(fd).unwrap_or(0);
    if let Some((helper, pid)) = helper {
        super::tree::end(build, helper, build.layout.first[index], pid)?;
    }
    Ok(opened)
}
