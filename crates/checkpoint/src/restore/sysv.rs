//! System V IPC: shared memory, message queues, semaphores, each with the id that it had.

use super::build::Build;
use super::memory::read_pages;
use crate::error::{Error, Result};
use crate::snapshot::{PAGE_SIZE, Snapshot, Undo, names};
use crate::target::NamespaceKind;
use crate::undo::{self, Operation};
use images::messages::{IpcDescEntry, VmaEntry};
use inject::Batch;

const IPC_CREATE: i32 = libc::IPC_CREAT | libc::IPC_EXCL;

/// Makes what the namespace had, in the first task, whose namespace it is.
pub(super) fn make(build: &mut Build<'_>) -> Result<()> {
    let Some(id) = build.snapshot.tasks[0].ids().and_then(|ids| ids.ipc_ns_id) else { return Ok(()) };
    let Some(ipc) = build.snapshot.namespaces.ipc.get(&id) else { return Ok(()) };
    if ipc.shm.is_empty() && ipc.msg.is_empty() && ipc.sem.is_empty() {
        return Ok(());
    }
    if !build.policy.owns(NamespaceKind::Ipc) {
        return Err(Error::new(format!(
            "ipcns-{id}: System V objects of somebody else's namespace are not made"
        )));
    }
    let procfs = private_procfs(build)?;
    for (segment, content) in &ipc.shm {
        let desc = &segment.desc;
        let named = |error: Error| Error::new(format!("System V shared memory {}: {error}", desc.id));
        let mut batch = Batch::new();
        next_id(&mut batch, procfs, "shm", desc.id);
        let flags = IPC_CREATE
            | (desc.mode & 0o777) as i32
            | segment.hugetlb_flag.map_or(0, |flag| flag as i32 | libc::SHM_HUGETLB);
        let made =
            batch.call("shmget", libc::SYS_shmget, &[desc.key.into(), segment.size.into(), flags.into()]);
        let at = batch.call("shmat", libc::SYS_shmat, &[made.into(), 0.into(), 0.into()]);
        let owner = owner(&mut batch, desc);
        batch.call("shmctl", libc::SYS_shmctl, &[made.into(), libc::IPC_SET.into(), owner.into()]);
        let outcome = build.run(0, &batch).map_err(named)?;
        same_id(outcome.result(made), desc.id).map_err(named)?;
        let at = outcome.result(at).unwrap_or(0);
        if segment.in_pagemaps == Some(true) {
            let pages = build.pages.of(&names::shmem(desc.id.into()));
            let runs = pages.at(at, segment.size.next_multiple_of(PAGE_SIZE));
            read_pages(build, 0, &runs).map_err(named)?;
        } else {
            write_memory(build, at, content).map_err(named)?;
        }
        let mut batch = Batch::new();
        batch.call("shmdt", libc::SYS_shmdt, &[at.into()]);
        build.run(0, &batch)?;
    }
    for queue in &ipc.msg {
        let desc = &queue.entry.desc;
        let named = |error: Error| Error::new(format!("System V message queue {}: {error}", desc.id));
        let mut batch = Batch::new();
        next_id(&mut batch, procfs, "msg", desc.id);
        let made = batch.call(
            "msgget",
            libc::SYS_msgget,
            &[desc.key.into(), (IPC_CREATE | (desc.mode & 0o777) as i32).into()],
        );
        for (message, text) in &queue.messages {
            let bytes = [&message.mtype.to_le_bytes()[..], text].concat();
            let place = batch.bytes(&bytes);
            batch.call(
                "msgsnd",
                libc::SYS_msgsnd,
                &[made.into(), place.into(), text.len().into(), libc::IPC_NOWAIT.into()],
            );
        }
        let owner = owner(&mut batch, desc);
        // struct msqid64_ds: msg_qbytes after ipc64_perm, three times and the number of bytes and messages.
        batch.set(owner.plus(48 + 24 + 16), queue.entry.qbytes.into());
        batch.call("msgctl", libc::SYS_msgctl, &[made.into(), libc::IPC_SET.into(), owner.into()]);
        let outcome = build.run(0, &batch).map_err(named)?;
        same_id(outcome.result(made), desc.id).map_err(named)?;
    }
    for (set, values) in &ipc.sem {
        let desc = &set.desc;
        let named = |error: Error| Error::new(format!("System V semaphores {}: {error}", desc.id));
        let mut batch = Batch::new();
        next_id(&mut batch, procfs, "sem", desc.id);
        let flags = IPC_CREATE | (desc.mode & 0o777) as i32;
        let made = batch.call("semget", libc::SYS_semget, &[desc.key.into(), set.nsems.into(), flags.into()]);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let place = batch.bytes(&bytes);
        const SETALL: i32 = 17;
        batch.call("semctl", libc::SYS_semctl, &[made.into(), 0.into(), SETALL.into(), place.into()]);
        let owner = owner(&mut batch, desc);
        batch.call("semctl", libc::SYS_semctl, &[made.into(), 0.into(), libc::IPC_SET.into(), owner.into()]);
        let outcome = build.run(0, &batch).map_err(named)?;
        same_id(outcome.result(made), desc.id).map_err(named)?;
    }
    let mut batch = Batch::new();
    batch.call("close", libc::SYS_close, &[procfs.into()]);
    build.run(0, &batch)?;
    Ok(())
}

/// The sysctls of the container's namespace.
fn private_procfs(build: &mut Build<'_>) -> Result<u64> {
    let mut batch = Batch::new();
    let mount = super::build::open_procfs(&mut batch);
    let outcome = build.run(0, &batch)?;
    Ok(outcome.result(mount).unwrap_or(0))
}

/// Asks for the id of the object that is made next: kernel.shm_next_id and its like.
fn next_id(batch: &mut Batch, procfs: u64, kind: &str, id: u32) {
    let name = batch.string(format!("sys/kernel/{kind}_next_id").as_bytes());
    let arguments = [procfs.into(), name.into(), libc::O_WRONLY.into(), 0.into()];
    let file = batch.call("open a sysctl", libc::SYS_openat, &arguments);
    let text = id.to_string();
    let value = batch.bytes(text.as_bytes());
    batch.call("write a sysctl", libc::SYS_write, &[file.into(), value.into(), text.len().into()]);
    batch.call("close", libc::SYS_close, &[file.into()]);
}

fn same_id(made: sys::Result<u64>, id: u32) -> Result<()> {
    match made {
        Ok(made) if made == u64::from(id) => Ok(()),
        made => Err(Error::new(format!("it got the id {}", made.unwrap_or(0)))),
    }
}

/// Memory for IPC_SET: struct ipc64_perm with owner and mode, and room for what follows.
fn owner(batch: &mut Batch, desc: &IpcDescEntry) -> inject::Place {
    let words = [desc.key, desc.uid, desc.gid, desc.cuid, desc.cgid, desc.mode];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.resize(160, 0);
    batch.bytes(&bytes)
}

/// Writes bytes into memory of the first task, through a pipe of its own.
fn write_memory(build: &mut Build<'_>, at: u64, bytes: &[u8]) -> Result<()> {
    const CHUNK: usize = 64 << 10;
    for (nth, chunk) in bytes.chunks(CHUNK).enumerate() {
        let mut batch = Batch::new();
        let ends = batch.space(8);
        batch.call("pipe", libc::SYS_pipe2, &[ends.into(), libc::O_NONBLOCK.into()]);
        let outcome = build.run(0, &batch)?;
        let (read, write) = (outcome.u32(ends), outcome.u32(ends.plus(4)));
        let mut batch = Batch::new();
        let place = batch.bytes(chunk);
        batch.call("write", libc::SYS_write, &[write.into(), place.into(), chunk.len().into()]);
        let to = at + (nth * CHUNK) as u64;
        batch.call("read", libc::SYS_read, &[read.into(), to.into(), chunk.len().into()]);
        for end in [read, write] {
            batch.call("close", libc::SYS_close, &[end.into()]);
        }
        build.run(0, &batch)?;
    }
    Ok(())
}

/// Removes segments that were removed and live only as long as they are attached, and locks those that were locked. After
/// the tree: until then nobody has them.
pub(super) fn complete(build: &mut Build<'_>) -> Result<()> {
    // include/linux/shm.h, in `mode`: SHM_DEST, SHM_LOCKED
    const REMOVED: u32 = 0o1000;
    const LOCKED: u32 = 0o2000;
    const SHM_LOCK: i32 = 11;
    let Some(id) = build.snapshot.tasks[0].ids().and_then(|ids| ids.ipc_ns_id) else { return Ok(()) };
    let Some(ipc) = build.snapshot.namespaces.ipc.get(&id) else { return Ok(()) };
    let mut batch = Batch::new();
    for (segment, _) in &ipc.shm {
        let desc = &segment.desc;
        if desc.mode & LOCKED != 0 {
            // Without CAP_IPC_LOCK and room in the limit it stays unlocked, and has its content all the same.
            let arguments = [desc.id.into(), SHM_LOCK.into(), 0.into()];
            batch.call_may_fail("shmctl SHM_LOCK", libc::SYS_shmctl, &arguments);
        }
        if desc.mode & REMOVED != 0 {
            let arguments = [desc.id.into(), libc::IPC_RMID.into(), 0.into()];
            batch.call("shmctl IPC_RMID", libc::SYS_shmctl, &arguments);
        }
    }
    build.run(0, &batch)?;
    Ok(())
}

/// Adds operations after which the kernel will adjust semaphores when the process ends, and which leave their values. In
/// the process, when the semaphores have theirs.
pub(super) fn adjust(batch: &mut Batch, undo: &[Undo], snapshot: &Snapshot) {
    let sets = || snapshot.namespaces.ipc.values().flat_map(|ipc| &ipc.sem);
    for Undo { set, semaphore, adjustment } in undo {
        let values = sets().find(|(entry, _)| entry.desc.id == *set).map(|(_, values)| values);
        let value = values.and_then(|values| values.get(usize::from(*semaphore)));
        let value = value.map_or(0, |value| i32::from(*value));
        let mut rest = adjustment.abs();
        while rest > 0 {
            // In between, the value stays within its range.
            let most = undo::LARGEST - value;
            let is_taken_first = rest <= value || most <= value;
            let by = rest.min(if is_taken_first { value } else { most });
            let (take, give) = if *adjustment > 0 { (libc::SEM_UNDO, 0) } else { (0, libc::SEM_UNDO) };
            let take = Operation { semaphore: *semaphore, by: -by, flags: take }.bytes();
            let give = Operation { semaphore: *semaphore, by, flags: give }.bytes();
            let operations = if is_taken_first { [take, give] } else { [give, take] };
            let place = batch.bytes(&operations.concat());
            batch.call("semop", libc::SYS_semop, &[(*set).into(), place.into(), 2.into()]);
            rest -= by;
        }
    }
}

/// Attaches a segment where a task had it. In the images `shmid` is the segment's id.
pub(super) fn attach(batch: &mut Batch, mapping: &VmaEntry) {
    const SHM_REMAP: i32 = 0o40000;
    let is_written = mapping.prot & libc::PROT_WRITE as u32 != 0;
    let flags = SHM_REMAP | if is_written { 0 } else { libc::SHM_RDONLY };
    batch.call("shmat", libc::SYS_shmat, &[mapping.shmid.into(), mapping.start.into(), flags.into()]);
}
