//! Open files. The first task opens each of them once, under a number that no task uses; its descendants inherit them,
//! and put each one where they had it. So what was one open file for many is one again, its offset included.

use super::build::Build;
use super::{sockets, ttys};
use crate::error::{Error, Result};
use crate::snapshot::{names, vma};
use images::messages::{
    FdTypes, FileEntry, FownEntry, NsFileEntry, PidfdEntry, PipeEntry, RegFileEntry, RemapType, VmaEntry,
};
use inject::{Batch, Call};
use std::collections::{BTreeMap, BTreeSet};

const O_PATH: u32 = libc::O_PATH as u32;
/// Flags of an open file that F_SETFL can change.
const CHANGEABLE: u32 =
    (libc::O_APPEND | libc::O_ASYNC | libc::O_DIRECT | libc::O_NOATIME | libc::O_NONBLOCK) as u32;
const ACCESS: u32 = libc::O_ACCMODE as u32;

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
    ttys::open_all(build)?;
    open_memfds(build)?;
    for file in &build.snapshot.files {
        if !build.open.contains_key(&file.id) {
            open(build, file).map_err(|error| within(&describe(file), &error))?;
        }
    }
    sockets::deliver_all(build)?;
    open_mapped(build)
}

/// Opens files once more that are mapped with other access than they are open with, `vma_entry.fdflags`.
fn open_mapped(build: &mut Build<'_>) -> Result<()> {
    let snapshot = build.snapshot;
    let mut next = build.layout.files + snapshot.files.len() as i32;
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
        let mut batch = Batch::new();
        let fd = reopen(&mut batch, number, key.1);
        batch.call("dup3", libc::SYS_dup3, &[fd.into(), next.into(), 0.into()]);
        batch.call("close", libc::SYS_close, &[fd.into()]);
        build.run(0, &batch).map_err(|error| within(&file.map(describe).unwrap_or_default(), &error))?;
        build.mapped.insert(key, next);
        next += 1;
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

fn open(build: &mut Build<'_>, file: &FileEntry) -> Result<()> {
    let mut batch = Batch::new();
    let opened = match file.r#type() {
        FdTypes::Reg => {
            let reg = file.reg.as_deref().ok_or_else(|| Error::new("reg: missing"))?;
            // When all tasks exist: `complete`.
            return if is_of_task(reg) { Ok(()) } else { open_path(build, reg) };
        }
        FdTypes::Fifo => return open_fifo(build, file),
        FdTypes::Eventfd => {
            let Some(entry) = &file.efd else { return Err(Error::new("efd: missing")) };
            let initial = u32::try_from(entry.counter).unwrap_or(0);
            let fd = batch.call(
                "eventfd2",
                libc::SYS_eventfd2,
                &[initial.into(), (entry.flags & libc::O_NONBLOCK as u32).into()],
            );
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
                let name = batch.string(&path(name));
                const INOTIFY_IOC_SETNEXTWD: u32 = 0x4004_4900;
                batch.call_may_fail(
                    "INOTIFY_IOC_SETNEXTWD",
                    libc::SYS_ioctl,
                    &[fd.into(), INOTIFY_IOC_SETNEXTWD.into(), watch.wd.into()],
                );
                batch.call(
                    "inotify_add_watch",
                    libc::SYS_inotify_add_watch,
                    &[fd.into(), name.into(), watch.mask.into()],
                );
            }
            fd
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
    let at = path(&reg.name);
    let place = batch.string(&at);
    let flags = reg.flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC) as u32 | libc::O_NOCTTY as u32;
    let arguments = [libc::AT_FDCWD.into(), place.into(), flags.into(), 0.into()];
    let fd = batch.call("open", libc::SYS_openat, &arguments);
    let found = batch.space(144);
    batch.call("fstat", libc::SYS_fstat, &[fd.into(), found.into()]);
    seek(&mut batch, fd, reg);
    build.settle(&mut batch, fd, reg.id);
    let outcome = build.run(0, &batch)?;
    // struct stat: st_mode at 24, st_size at 48.
    let (mode, size) = (outcome.u32(found.plus(24)), outcome.u64(found.plus(48)));
    if let Some(expected) = reg.mode.filter(|expected| expected & libc::S_IFMT != mode & libc::S_IFMT) {
        return Err(Error::new(format!("its mode was {expected:o} and is {mode:o}")));
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
        _ => {
            let device = ghost.entry.rdev.unwrap_or(0);
            let arguments = [libc::AT_FDCWD.into(), place.into(), ghost.entry.mode.into(), device.into()];
            batch.call("mknod", libc::SYS_mknodat, &arguments);
            None
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
        let flags =
            reg.flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC) as u32 | libc::O_NOCTTY as u32;
        let arguments = [libc::AT_FDCWD.into(), place.into(), flags.into(), 0.into()];
        let fd = batch.call("open", libc::SYS_openat, &arguments);
        seek(&mut batch, fd, reg);
        build.settle(&mut batch, fd, reg.id);
    }
    let flag = if ghost.entry.mode & libc::S_IFMT == libc::S_IFDIR { libc::AT_REMOVEDIR } else { 0 };
    batch.call("unlink", libc::SYS_unlinkat, &[libc::AT_FDCWD.into(), place.into(), flag.into()]);
    build.run(0, &batch)?;
    Ok(())
}

/// A file that has lost the name it was opened by, and got another one for the dump, which goes now.
fn open_linked(build: &mut Build<'_>, reg: &RegFileEntry, link: u32) -> Result<()> {
    let of = build.snapshot.files.iter().filter_map(|file| file.reg.as_deref()).find(|file| file.id == link);
    let Some(of) = of else { return Err(Error::new(format!("file {link}, a link to it, is missing"))) };
    let remaps = &build.snapshot.remaps;
    let shares = |id: u32| remaps.iter().any(|remap| remap.orig_id == id && remap.remap_id == link);
    let all: Vec<&RegFileEntry> =
        build.snapshot.files.iter().filter_map(|file| file.reg.as_deref()).collect();
    let mut batch = Batch::new();
    let name = batch.string(&path(&of.name));
    for reg in all.into_iter().filter(|file| file.id == reg.id || shares(file.id)) {
        let flags = reg.flags | libc::O_NOCTTY as u32;
        let arguments = [libc::AT_FDCWD.into(), name.into(), flags.into(), 0.into()];
        let fd = batch.call("open", libc::SYS_openat, &arguments);
        seek(&mut batch, fd, reg);
        build.settle(&mut batch, fd, reg.id);
    }
    batch.call("unlink", libc::SYS_unlinkat, &[libc::AT_FDCWD.into(), name.into(), 0.into()]);
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
    batch.call("pipe2", libc::SYS_pipe2, &[both.into(), libc::O_NONBLOCK.into()]);
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
fn reopen(batch: &mut Batch, fd: i32, flags: u32) -> Call {
    let name = batch.string(format!("/proc/self/fd/{fd}").as_bytes());
    batch.call("open", libc::SYS_openat, &[libc::AT_FDCWD.into(), name.into(), flags.into(), 0.into()])
}

/// Gives a pipe its size and its content.
fn fill_pipe(build: &mut Build<'_>, write: i32, id: u32, is_fifo: bool) -> Result<()> {
    let content = if is_fifo { &build.snapshot.fifos } else { &build.snapshot.pipes };
    let Some((entry, bytes)) = content.iter().find(|(entry, _)| entry.pipe_id == id) else { return Ok(()) };
    let mut batch = Batch::new();
    if let Some(size) = entry.size {
        batch.call("F_SETPIPE_SZ", libc::SYS_fcntl, &[write.into(), libc::F_SETPIPE_SZ.into(), size.into()]);
    }
    if !bytes.is_empty() {
        let place = batch.bytes(bytes);
        let written = batch.call("write", libc::SYS_write, &[write.into(), place.into(), bytes.len().into()]);
        let outcome = build.run(0, &batch)?;
        let done = outcome.result(written).unwrap_or(0);
        if done != bytes.len() as u64 {
            return Err(Error::new(format!("{done} of {} bytes fit into it", bytes.len())));
        }
        return Ok(());
    }
    build.run(0, &batch)?;
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
    let flags = libc::O_RDWR | libc::O_NONBLOCK;
    let keeper =
        batch.call("open", libc::SYS_openat, &[libc::AT_FDCWD.into(), name.into(), flags.into(), 0.into()]);
    let keeper = build.run(0, &batch)?.result(keeper).unwrap_or(0) as i32;
    fill_pipe(build, keeper, fifo.pipe_id, true)?;
    let mut batch = Batch::new();
    for (id, reg) in &all {
        let name = batch.string(&path(&reg.name));
        let fd = batch.call(
            "open",
            libc::SYS_openat,
            &[libc::AT_FDCWD.into(), name.into(), reg.flags.into(), 0.into()],
        );
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
        fill_file(build, fd, u64::from(inode.shmid)).map_err(named)?;
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
            let arguments = [fd.into(), run.file.as_raw_fd().into(), offset.into(), len.into()];
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
    open_of_tasks(build)?;
    for (index, task) in build.living() {
        let mut batch = Batch::new();
        let entries = task.ids().and_then(|ids| build.snapshot.tables.get(&ids.files_id));
        for entry in entries.into_iter().flatten() {
            let Some(file) = build.snapshot.files.iter().find(|file| file.id == entry.id) else { continue };
            watch(&mut batch, file, entry.fd, entries.map(Vec::as_slice).unwrap_or_default());
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
fn watch(batch: &mut Batch, file: &FileEntry, fd: u32, table: &[images::messages::FdinfoEntry]) {
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
    if owner.signum != 0 {
        const F_SETSIG: i32 = 10;
        batch.call("F_SETSIG", libc::SYS_fcntl, &[fd.into(), F_SETSIG.into(), owner.signum.into()]);
    }
    if owner.pid != 0 {
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
        file.tty.as_ref().map(|file| &file.fown),
        file.efd.as_ref().map(|file| &file.fown),
        file.tfd.as_ref().map(|file| &file.fown),
        file.ify.as_ref().map(|file| &file.fown),
        file.memfd.as_ref().map(|file| &file.fown),
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

/// Files that exist only beside tasks: pidfds, of tasks that exist and of some that do not, and those of /proc/PID.
fn open_of_tasks(build: &mut Build<'_>) -> Result<()> {
    for (index, task) in build.living() {
        let entries = task.ids().and_then(|ids| build.snapshot.tables.get(&ids.files_id));
        for entry in entries.into_iter().flatten() {
            let file = build.snapshot.files.iter().find(|file| file.id == entry.id);
            let opened = match file {
                Some(FileEntry { pidfd: Some(pidfd), .. }) => open_pidfd(build, index, pidfd)?,
                Some(FileEntry { reg: Some(reg), .. }) if is_of_task(reg) => {
                    let mut batch = Batch::new();
                    let name = batch.string(&path(&reg.name));
                    let arguments = [libc::AT_FDCWD.into(), name.into(), reg.flags.into(), 0.into()];
                    let fd = batch.call("open", libc::SYS_openat, &arguments);
                    seek(&mut batch, fd, reg);
                    let outcome = build.run(index, &batch);
                    let outcome =
                        outcome.map_err(|error| within(&String::from_utf8_lossy(&reg.name), &error))?;
                    outcome.result(fd).unwrap_or(0)
                }
                _ => continue,
            };
            let mut batch = Batch::new();
            let cloexec = entry.flags & 1;
            if opened != u64::from(entry.fd) {
                let flags = if cloexec != 0 { libc::O_CLOEXEC } else { 0 };
                batch.call("dup3", libc::SYS_dup3, &[opened.into(), entry.fd.into(), flags.into()]);
                batch.call("close", libc::SYS_close, &[opened.into()]);
            } else {
                batch.call(
                    "F_SETFD",
                    libc::SYS_fcntl,
                    &[entry.fd.into(), libc::F_SETFD.into(), cloexec.into()],
                );
            }
            build.run(index, &batch)?;
        }
    }
    Ok(())
}

fn open_pidfd(build: &mut Build<'_>, index: usize, pidfd: &PidfdEntry) -> Result<u64> {
    let is_alive = pidfd.nspid > 0 && build.index_of(pidfd.nspid as u32).is_some();
    // One that has ended is made for the moment in which it is opened.
    let helper = if is_alive { None } else { Some(super::tree::make_helper(build, index)?) };
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
