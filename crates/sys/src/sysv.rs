//! System V IPC of the namespace that we are in: content that /proc/sysvipc does not show.
#![allow(unsafe_code)] // msgrcv(2), semctl(2) and shmat(2) take memory whose size only the caller knows.

use crate::{Errno, Result};
use std::fs::File;

/// How many bytes a message queue may hold.
pub fn queue_limit(id: i32) -> Result<u64> {
    let mut ds = std::mem::MaybeUninit::<libc::msqid_ds>::zeroed();
    // SAFETY: `ds` is a valid place for a msqid_ds.
    Errno::check(unsafe { libc::msgctl(id, libc::IPC_STAT, ds.as_mut_ptr()) }.into())?;
    // SAFETY: the call succeeded and filled the zeroed structure.
    Ok(unsafe { ds.assume_init() }.msg_qbytes)
}

/// A copy of the nth message of a queue: its type and its content. `None` behind the last.
pub fn queued(id: i32, nth: usize, limit: usize) -> Result<Option<(i64, Vec<u8>)>> {
    const MSG_COPY: i32 = 0o40000;
    let mut buffer = vec![0u64; 1 + limit.div_ceil(8)];
    let flags = MSG_COPY | libc::IPC_NOWAIT;
    // SAFETY: behind the type there are at least `limit` bytes.
    let read = unsafe { libc::msgrcv(id, buffer.as_mut_ptr().cast(), limit, nth as libc::c_long, flags) };
    match Errno::check(read as libc::c_long) {
        Ok(len) => {
            let bytes = buffer[1..].iter().flat_map(|word| word.to_ne_bytes());
            Ok(Some((buffer[0] as i64, bytes.take(len as usize).collect())))
        }
        Err(errno) if errno.raw() == libc::ENOMSG => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The values of a set of semaphores.
pub fn semaphores(id: i32, count: usize) -> Result<Vec<u16>> {
    let mut ds = std::mem::MaybeUninit::<libc::semid_ds>::zeroed();
    // SAFETY: `ds` is a valid place for a semid_ds.
    Errno::check(unsafe { libc::semctl(id, 0, libc::IPC_STAT, ds.as_mut_ptr()) }.into())?;
    // SAFETY: the call succeeded and filled the zeroed structure.
    let there = unsafe { ds.assume_init() }.sem_nsems as usize;
    let mut values = vec![0u16; there.max(count)];
    // SAFETY: the set has `there` values; their number does not change.
    Errno::check(unsafe { libc::semctl(id, 0, libc::GETALL, values.as_mut_ptr()) }.into())?;
    values.truncate(there);
    Ok(values)
}

/// The file behind a segment of shared memory, for reading. `len` is the segment's size in bytes.
pub fn segment(id: i32, len: u64) -> Result<File> {
    const PAGE: u64 = 4096;
    // SAFETY: a new mapping at an address of the kernel's choice, which nothing points into.
    let at = unsafe { libc::shmat(id, std::ptr::null(), libc::SHM_RDONLY) };
    if at as isize == -1 {
        return Err(Errno::last());
    }
    let start = at as u64;
    let file = File::open(format!("/proc/self/map_files/{start:x}-{:x}", start + len.next_multiple_of(PAGE)));
    // SAFETY: the mapping was just made, and nobody has learned of it.
    unsafe { libc::shmdt(at) };
    Ok(file?)
}
