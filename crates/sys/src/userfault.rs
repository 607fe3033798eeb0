//! userfaultfd(2): to keep track of writes to memory, to put pages into another process, and to hear which it misses.
#![allow(unsafe_code)] // The calls have no wrapper in nix.

use crate::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The number and the argument of userfaultfd(2) with `UFFD_USER_MODE_ONLY`, which everybody may call.
pub const USERFAULTFD: (libc::c_long, u64) = (libc::SYS_userfaultfd, libc::O_CLOEXEC as u64 | 1);

/// The same for faults of the kernel, too, as in read(2): CAP_SYS_PTRACE is needed. Reading never waits.
pub const USERFAULTFD_OF_ALL_FAULTS: (libc::c_long, u64) =
    (libc::SYS_userfaultfd, (libc::O_CLOEXEC | libc::O_NONBLOCK) as u64);

const UFFDIO_API: libc::Ioctl = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::Ioctl = 0xc020_aa00;
const UFFDIO_COPY: libc::Ioctl = 0xc028_aa03;
const UFFDIO_ZEROPAGE: libc::Ioctl = 0xc020_aa04;
const UFFDIO_WAKE: libc::Ioctl = 0x8010_aa02;
const UFFDIO_WRITEPROTECT: libc::Ioctl = 0xc018_aa06;

/// `UFFD_FEATURE_EVENT_` FORK, REMAP, REMOVE and UNMAP.
pub const EVENTS: u64 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6;

/// What is done with a range of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Pages are put where there are none.
    Missing = 1,
    /// The kernel keeps track of writes, and nobody handles faults (`UFFD_FEATURE_WP_ASYNC`).
    TrackWrites = 2,
}

/// A userfaultfd for our own memory.
///
/// # Errors
/// `ENOSYS`: a kernel without it.
pub fn userfaultfd() -> Result<OwnedFd> {
    open(USERFAULTFD)
}

/// The same for faults of the kernel, too.
///
/// # Errors
/// `EPERM`: without CAP_SYS_PTRACE.
pub fn userfaultfd_of_all_faults() -> Result<OwnedFd> {
    open(USERFAULTFD_OF_ALL_FAULTS)
}

fn open((number, flags): (libc::c_long, u64)) -> Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = Errno::check(unsafe { libc::syscall(number, flags) })?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `UFFDIO_API`: says what a new userfaultfd is for.
///
/// # Errors
/// `EINVAL`: a kernel before 6.7 cannot track writes.
pub fn begin(userfaultfd: BorrowedFd<'_>, mode: Mode) -> Result<()> {
    const WP_ASYNC: u64 = 1 << 15;
    say(userfaultfd, if mode == Mode::TrackWrites { WP_ASYNC } else { 0 })
}

/// The same for memory whose faults and changes are read (`read`). Whoever changes its memory, or makes a child, waits until
/// it was read.
///
/// # Errors
/// `EPERM`: without CAP_SYS_PTRACE.
pub fn begin_with_events(userfaultfd: BorrowedFd<'_>) -> Result<()> {
    say(userfaultfd, EVENTS)
}

fn say(userfaultfd: BorrowedFd<'_>, features: u64) -> Result<()> {
    const UFFD_API: u64 = 0xaa;
    let mut api = [UFFD_API, features, 0];
    // SAFETY: `api` is a uffdio_api (three u64) that outlives the call.
    Errno::check(unsafe { libc::ioctl(userfaultfd.as_raw_fd(), UFFDIO_API, api.as_mut_ptr()) }.into())?;
    Ok(())
}

/// `UFFDIO_REGISTER`: a range is in this mode for as long as the userfaultfd is open. Writes are tracked from the next scan
/// on that protects (`inspect::pagemap_scan`).
///
/// # Errors
/// `EBUSY`: another userfaultfd has it. `EINVAL`: memory that cannot be in this mode.
pub fn register(userfaultfd: BorrowedFd<'_>, mode: Mode, start: u64, len: u64) -> Result<()> {
    let mut register = [start, len, mode as u64, 0];
    let fd = userfaultfd.as_raw_fd();
    // SAFETY: `register` is a uffdio_register (four u64) that outlives the call.
    Errno::check(unsafe { libc::ioctl(fd, UFFDIO_REGISTER, register.as_mut_ptr()) }.into())?;
    Ok(())
}

/// `UFFDIO_WRITEPROTECT`: has tracked memory count as written.
///
/// # Errors
/// `ENOENT`: writes to it are not tracked.
pub fn count_as_written(userfaultfd: BorrowedFd<'_>, start: u64, len: u64) -> Result<()> {
    let mut unprotect = [start, len, 0];
    let fd = userfaultfd.as_raw_fd();
    // SAFETY: `unprotect` is a uffdio_writeprotect (three u64) that outlives the call.
    Errno::check(unsafe { libc::ioctl(fd, UFFDIO_WRITEPROTECT, unprotect.as_mut_ptr()) }.into())?;
    Ok(())
}

/// `UFFDIO_COPY`: makes pages in the process of a userfaultfd, at `to`, with these bytes, which are whole pages. Nobody
/// waits for them.
///
/// # Errors
/// `EEXIST`: there is a page. `ENOENT`: the range is not registered. `ESRCH`: the process has ended.
pub fn copy(userfaultfd: BorrowedFd<'_>, to: u64, bytes: &[u8]) -> Result<()> {
    const DONT_WAKE: u64 = 1;
    let mut done = 0;
    while done < bytes.len() as u64 {
        match copy_some(userfaultfd, to + done, &bytes[done as usize..], DONT_WAKE) {
            Ok(copied) => done += copied,
            Err(errno) if errno.raw() == libc::EAGAIN => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// `UFFDIO_COPY` of what a process may be waiting for, and how many bytes of it were copied: whole pages, one at least.
///
/// # Errors
/// `EAGAIN`: the process changes its memory, and what it does waits to be read. `EEXIST`: there is a page. `ENOENT`: not one
/// mapping that is registered. `ESRCH`: the process has ended.
pub fn supply(userfaultfd: BorrowedFd<'_>, to: u64, bytes: &[u8]) -> Result<u64> {
    copy_some(userfaultfd, to, bytes, 0)
}

fn copy_some(userfaultfd: BorrowedFd<'_>, to: u64, bytes: &[u8], mode: u64) -> Result<u64> {
    let mut copy = [to, bytes.as_ptr() as u64, bytes.len() as u64, mode, 0];
    // SAFETY: `copy` is a uffdio_copy (four u64 and one i64) that outlives the call; the source is `bytes`, which the kernel
    // only reads.
    let result = unsafe { libc::ioctl(userfaultfd.as_raw_fd(), UFFDIO_COPY, copy.as_mut_ptr()) };
    match Errno::check(result.into()) {
        Ok(_) => Ok(bytes.len() as u64),
        // Interrupted; it says how far it has come.
        Err(errno) if errno.raw() == libc::EAGAIN && copy[4] as i64 > 0 => Ok(copy[4]),
        Err(errno) => Err(errno),
    }
}

/// `UFFDIO_ZEROPAGE`: makes a range that a process may be waiting for zeros.
///
/// # Errors
/// Those of `supply`.
pub fn supply_zeros(userfaultfd: BorrowedFd<'_>, start: u64, len: u64) -> Result<()> {
    let mut zero = [start, len, 0, 0];
    // SAFETY: `zero` is a uffdio_zeropage (three u64 and one i64) that outlives the call.
    let result = unsafe { libc::ioctl(userfaultfd.as_raw_fd(), UFFDIO_ZEROPAGE, zero.as_mut_ptr()) };
    Errno::check(result.into())?;
    Ok(())
}

/// `UFFDIO_WAKE`: has those try again that wait for pages of a range.
pub fn wake(userfaultfd: BorrowedFd<'_>, start: u64, len: u64) -> Result<()> {
    let range = [start, len];
    // SAFETY: `range` is a uffdio_range (two u64) that outlives the call.
    Errno::check(unsafe { libc::ioctl(userfaultfd.as_raw_fd(), UFFDIO_WAKE, range.as_ptr()) }.into())?;
    Ok(())
}

/// What a process does with its registered memory.
#[derive(Debug)]
pub enum Event {
    /// It waits for the page of this address.
    Fault { address: u64 },
    /// It has a child whose memory is registered with this userfaultfd.
    Fork { userfaultfd: OwnedFd },
    /// mremap(2) has moved `len` bytes.
    Remap { from: u64, to: u64, len: u64 },
    /// What was there is given up (madvise(2)), or the mapping is.
    Remove { start: u64, end: u64 },
}

/// Reads the next event; `None` when there is none.
///
/// # Errors
/// `EMFILE`: no room for the descriptor of a child. `EIO`: an event that was not asked for.
pub fn read(userfaultfd: BorrowedFd<'_>) -> Result<Option<Event>> {
    const PAGEFAULT: u64 = 0x12;
    const FORK: u64 = 0x13;
    const REMAP: u64 = 0x14;
    const REMOVE: u64 = 0x15;
    const UNMAP: u64 = 0x16;
    let mut message = [0_u64; 4];
    let size = size_of_val(&message);
    // SAFETY: `message` has the 32 bytes of a uffd_msg, and the kernel writes no more.
    let length = unsafe { libc::read(userfaultfd.as_raw_fd(), message.as_mut_ptr().cast(), size) };
    match Errno::check(length as libc::c_long) {
        Err(errno) if errno.raw() == libc::EAGAIN => return Ok(None),
        length => length?,
    };
    let [kind, first, second, third] = message;
    Ok(Some(match kind & 0xff {
        PAGEFAULT => Event::Fault { address: second },
        // SAFETY: the kernel has made this descriptor for who reads the event, so nobody else owns it.
        FORK => Event::Fork { userfaultfd: unsafe { OwnedFd::from_raw_fd(first as u32 as i32) } },
        REMAP => Event::Remap { from: first, to: second, len: third },
        REMOVE | UNMAP => Event::Remove { start: first, end: second },
        _ => return Err(Errno::from_raw(libc::EIO)),
    }))
}
