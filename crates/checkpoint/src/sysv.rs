//! System V IPC: segments of shared memory, message queues, sets of semaphores.

use crate::credentials::IdMaps;
use crate::error::{At, Error, Result};
use crate::memory::SharedMemory;
use crate::proc;
use crate::snapshot::{Ipc, MessageQueue};
use images::messages::{IpcDescEntry, IpcMsg, IpcMsgEntry, IpcSemEntry, IpcShmEntry};

/// What the IPC namespace that we are in has; files of segments that no task has mapped are added to `shared`.
pub(crate) fn collect(maps: &IdMaps, shared: &mut SharedMemory) -> Result<Ipc> {
    let mut ipc = Ipc::default();
    // "key shmid perms size cpid lpid nattch uid gid cuid cgid …"
    for line in lines("shm", 11)? {
        let (desc, size) = (desc(&line, 7, maps), line[3] as u64);
        if let std::collections::btree_map::Entry::Vacant(vacant) = shared.entry(desc.id.into()) {
            let file = sys::sysv::segment(desc.id as i32, size);
            vacant.insert(file.at(|| format!("shared memory segment {}: attach", desc.id))?);
        }
        ipc.shm.push((IpcShmEntry { desc, size, in_pagemaps: Some(true), hugetlb_flag: None }, Vec::new()));
    }
    // "key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid …"
    for line in lines("msg", 11)? {
        ipc.msg.push(queue(desc(&line, 7, maps), line[3] as usize)?);
    }
    // "key semid perms nsems uid gid cuid cgid …"
    for line in lines("sem", 8)? {
        let desc = desc(&line, 4, maps);
        let values = sys::sysv::semaphores(desc.id as i32, line[3] as usize);
        let values = values.at(|| format!("semaphores {}: read", desc.id))?;
        ipc.sem.push((IpcSemEntry { desc, nsems: values.len() as u32 }, values));
    }
    Ok(ipc)
}

fn queue(desc: IpcDescEntry, bytes: usize) -> Result<MessageQueue> {
    let id = desc.id as i32;
    let what = || format!("message queue {id}: read");
    let qbytes = sys::sysv::queue_limit(id).at(what)?;
    let mut messages = Vec::new();
    while let Some((mtype, content)) = sys::sysv::queued(id, messages.len(), bytes).at(what)? {
        messages.push((IpcMsg { mtype: mtype as u64, msize: content.len() as u32 }, content));
    }
    let entry = IpcMsgEntry { desc, qbytes: qbytes as u32, qnum: messages.len() as u32 };
    Ok(MessageQueue { entry, messages })
}

/// The numbers of each line of a file in /proc/sysvipc (proc_sysvipc(5)).
fn lines(name: &str, columns: usize) -> Result<Vec<Vec<i64>>> {
    let path = format!("/proc/sysvipc/{name}");
    let text = proc::read(&path)?;
    let numbers = |line: &str| {
        let numbers: Vec<i64> = line
            .split_whitespace()
            .enumerate()
            // Permissions are octal.
            .filter_map(|(column, word)| i64::from_str_radix(word, if column == 2 { 8 } else { 10 }).ok())
            .collect();
        Some(numbers).filter(|numbers| numbers.len() >= columns)
    };
    let lines: Option<Vec<Vec<i64>>> = text.lines().skip(1).map(numbers).collect();
    lines.ok_or_else(|| Error::new(format!("{path}: not as expected")))
}

/// `owner` is the column of the uid; gid and the creator's ids follow.
fn desc(line: &[i64], owner: usize, maps: &IdMaps) -> IpcDescEntry {
    IpcDescEntry {
        key: line[0] as u32,
        uid: maps.uid(line[owner] as u32),
        gid: maps.gid(line[owner + 1] as u32),
        cuid: maps.uid(line[owner + 2] as u32),
        cgid: maps.gid(line[owner + 3] as u32),
        mode: line[2] as u32,
        id: line[1] as u32,
    }
}
