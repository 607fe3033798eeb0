//! Message queues of POSIX, by descriptor (mq_overview(7)). That the C library's descriptors are the kernel's is Linux's.
#![allow(unsafe_code)] // Calls with memory of the caller's.

use crate::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd};

/// What a queue can hold, and has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    pub max_messages: u32,
    /// Bytes of a message.
    pub max_size: u32,
    pub messages: u32,
}

/// # Errors
/// `EBADF`: it is no message queue.
pub fn attributes(queue: BorrowedFd<'_>) -> Result<Attributes> {
    // SAFETY: a structure of integers, for which zero is a value.
    let mut found: libc::mq_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one such structure, which outlives the call.
    Errno::check(unsafe { libc::mq_getattr(queue.as_raw_fd(), &raw mut found) }.into())?;
    Ok(Attributes {
        max_messages: found.mq_maxmsg as u32,
        max_size: found.mq_msgsize as u32,
        messages: found.mq_curmsgs as u32,
    })
}

/// Takes the oldest message of the highest priority: its priority and its bytes, of which there may be `max_size`.
///
/// # Errors
/// `EAGAIN`: there is none, and the descriptor does not wait.
pub fn receive(queue: BorrowedFd<'_>, max_size: u32) -> Result<(u32, Vec<u8>)> {
    let mut bytes = vec![0u8; max_size as usize];
    let mut priority = 0;
    let at = bytes.as_mut_ptr().cast();
    // SAFETY: the kernel writes as many bytes as there are at most, and the priority; both outlive the call.
    let received =
        Errno::check(unsafe { libc::mq_receive(queue.as_raw_fd(), at, bytes.len(), &raw mut priority) }
            as libc::c_long)?;
    bytes.truncate(received as usize);
    Ok((priority, bytes))
}

/// # Errors
/// `EAGAIN`: it is full, and the descriptor does not wait.
pub fn send(queue: BorrowedFd<'_>, priority: u32, bytes: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads `bytes`, which outlive the call.
    let result = unsafe { libc::mq_send(queue.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), priority) };
    Errno::check(result.into())?;
    Ok(())
}
