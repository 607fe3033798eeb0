//! What one process may ask about another, about its memory and about its open files.
#![allow(unsafe_code)] // The calls have no wrapper in nix.

use crate::{Errno, Result};
use std::cmp::Ordering;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What kcmp(2) compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// The open files behind two descriptors.
    File(i32, i32),
    Memory,
    Descriptors,
    FileSystem,
    SignalActions,
}

/// kcmp(2): `Equal` when the processes share the object; otherwise an order that stays the same until the next boot.
///
/// # Errors
/// `EPERM`: we may not trace both. `EBADF`: no such descriptor.
pub fn kcmp(one: i32, other: i32, what: Shared) -> Result<Ordering> {
    let (kind, a, b) = match what {
        Shared::File(a, b) => (0, a, b),
        Shared::Memory => (1, 0, 0),
        Shared::Descriptors => (2, 0, 0),
        Shared::FileSystem => (3, 0, 0),
        Shared::SignalActions => (4, 0, 0),
    };
    // SAFETY: no pointers are passed.
    let order =
        Errno::check(unsafe { libc::syscall(libc::SYS_kcmp, one, other, kind, i64::from(a), i64::from(b)) })?;
    match order {
        0 => Ok(Ordering::Equal),
        1 => Ok(Ordering::Less),
        2 => Ok(Ordering::Greater),
        // Not comparable, which no kernel says of these.
        _ => Err(Errno::from_raw(libc::EINVAL)),
    }
}

/// Whether an epoll(7) instance of a process watches what a descriptor of it refers to (`KCMP_EPOLL_TFD`).
/// `nth` counts registrations of the same number in the instance.
///
/// # Errors
/// `ENOENT`: the instance has no such registration.
pub fn epoll_watches(pid: i32, fd: i32, epoll: u32, target: u32, nth: u32) -> Result<bool> {
    const KCMP_EPOLL_TFD: i32 = 7;
    let slot = [epoll, target, nth];
    // SAFETY: `slot` is a kcmp_epoll_slot (three u32) that outlives the call.
    let order =
        unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_EPOLL_TFD, i64::from(fd), slot.as_ptr()) };
    Ok(Errno::check(order)? == 0)
}

/// What a read of an eventfd(2) takes from it.
///
/// # Errors
/// `EAGAIN`: there is nothing; it does not wait, even if the descriptor does.
pub fn take_events(eventfd: BorrowedFd<'_>) -> Result<u64> {
    let mut taken = [0; 8];
    let into = libc::iovec { iov_base: taken.as_mut_ptr().cast(), iov_len: taken.len() };
    // SAFETY: the kernel writes as many bytes as there are, which outlive the call.
    let read = unsafe { libc::preadv2(eventfd.as_raw_fd(), &raw const into, 1, -1, libc::RWF_NOWAIT) };
    Errno::check(read as libc::c_long)?;
    Ok(u64::from_ne_bytes(taken))
}

/// Bits of a page in `PAGEMAP_SCAN` (linux/fs.h, 6.7).
pub mod page {
    /// userfaultfd(2) keeps track of writes to it.
    pub const TRACKED: u64 = 1 << 0;
    /// Written since the last scan that `protects`; of a page that is not tracked it says nothing.
    pub const WRITTEN: u64 = 1 << 1;
    pub const FILE: u64 = 1 << 2;
    pub const PRESENT: u64 = 1 << 3;
    pub const SWAPPED: u64 = 1 << 4;
    /// Mapped, but the page of zeros that everybody shares.
    pub const ZERO: u64 = 1 << 5;
    pub const HUGE: u64 = 1 << 6;
    /// A guard region of madvise(2) (6.14).
    pub const GUARD: u64 = 1 << 8;
}

/// Which pages `pagemap_scan` is to find.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageScan {
    pub start: u64,
    pub end: u64,
    /// Bits that count as set when they are not.
    pub inverted: u64,
    /// All of these.
    pub all: u64,
    /// One of these, unless it is 0.
    pub any: u64,
    /// Bits that are told of each region: pages whose bits differ are different regions.
    pub told: u64,
    /// What is found counts as not written from now on (`PM_SCAN_WP_MATCHING`).
    pub protects: bool,
}

/// A stretch of memory whose pages have the same `bits`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageRegion {
    pub start: u64,
    pub end: u64,
    pub bits: u64,
}

#[repr(C)]
struct PmScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `PAGEMAP_SCAN` of an open /proc/PID/pagemap: fills `found` as far as there is room and returns how many it found, and
/// the address up to which it has looked.
///
/// # Errors
/// `ENOTTY`: a kernel before 6.7.
pub fn pagemap_scan(
    pagemap: BorrowedFd<'_>,
    scan: &PageScan,
    found: &mut [PageRegion],
) -> Result<(usize, u64)> {
    const PAGEMAP_SCAN: libc::Ioctl = 0xc060_6610;
    const PM_SCAN_WP_MATCHING: u64 = 1;
    let mut arg = PmScanArg {
        size: size_of::<PmScanArg>() as u64,
        flags: if scan.protects { PM_SCAN_WP_MATCHING } else { 0 },
        start: scan.start,
        end: scan.end,
        walk_end: 0,
        vec: found.as_mut_ptr() as u64,
        vec_len: found.len() as u64,
        max_pages: 0,
        category_inverted: scan.inverted,
        category_mask: scan.all,
        category_anyof_mask: scan.any,
        return_mask: scan.told,
    };
    // SAFETY: `arg` is a pm_scan_arg whose vector is `found`; both outlive the call.
    let count = Errno::check(unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) }.into())?;
    Ok((count as usize, arg.walk_end))
}

/// Who gets signals about an open file (fcntl(2), `F_SETOWN_EX`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileOwner {
    /// `F_OWNER_TID`, `F_OWNER_PID`, `F_OWNER_PGRP`.
    pub kind: u32,
    /// In our pid namespace; 0 for nobody.
    pub pid: i32,
    /// 0 for SIGIO.
    pub signal: u32,
    /// Real and effective, of the process that has set it.
    pub uids: [u32; 2],
}

/// # Errors
/// `EBADF`: a descriptor of `O_PATH`, which has no owner.
pub fn file_owner(fd: BorrowedFd<'_>) -> Result<FileOwner> {
    const F_GETSIG: i32 = 11;
    const F_GETOWN_EX: i32 = 16;
    const F_GETOWNER_UIDS: i32 = 17;
    let mut owner = [0i32; 2];
    // SAFETY: `owner` is a f_owner_ex (two ints) that outlives the call.
    Errno::check(unsafe { libc::fcntl(fd.as_raw_fd(), F_GETOWN_EX, owner.as_mut_ptr()) }.into())?;
    // SAFETY: no pointers are passed.
    let signal = Errno::check(unsafe { libc::fcntl(fd.as_raw_fd(), F_GETSIG) }.into())?;
    let mut uids = [0u32; 2];
    // SAFETY: the kernel writes two uid_t.
    Errno::check(unsafe { libc::fcntl(fd.as_raw_fd(), F_GETOWNER_UIDS, uids.as_mut_ptr()) }.into())?;
    Ok(FileOwner { kind: owner[0] as u32, pid: owner[1], signal: signal as u32, uids })
}
