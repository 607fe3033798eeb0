//! userfaultfd(2): to keep track of writes to memory, and to put pages into another process.
#![allow(unsafe_code)] // The calls have no wrapper in nix.

use crate::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The number and the argument of userfaultfd(2) with `UFFD_USER_MODE_ONLY`, which everybody may call.
pub const USERFAULTFD: (libc::c_long, u64) = (libc::SYS_userfaultfd, libc::O_CLOEXEC as u64 | 1);

const UFFDIO_API: libc::Ioctl = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::Ioctl = 0xc020_aa00;
const UFFDIO_COPY: libc::Ioctl = 0xc028_aa03;
const UFFDIO_WRITEPROTECT: libc::Ioctl = 0xc018_aa06;

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
    // SAFETY: no pointers are passed.
    let fd = Errno::check(unsafe { libc::syscall(USERFAULTFD.0, USERFAULTFD.1) })?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `UFFDIO_API`: says what a new userfaultfd is for.
///
/// # Errors
/// `EINVAL`: a kernel before 6.7 cannot track writes.
pub fn begin(userfaultfd: BorrowedFd<'_>, mode: Mode) -> Result<()> {
    const UFFD_API: u64 = 0xaa;
    const WP_ASYNC: u64 = 1 << 15;
    let features = if mode == Mode::TrackWrites { WP_ASYNC } else { 0 };
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

/// `UFFDIO_COPY`: makes pages in the process of a userfaultfd, at `to`, with these bytes, which are whole pages.
///
/// # Errors
/// `EEXIST`: there is a page. `ENOENT`: the range is not registered. `ESRCH`: the process has ended.
pub fn copy(userfaultfd: BorrowedFd<'_>, to: u64, bytes: &[u8]) -> Result<()> {
    const DONT_WAKE: u64 = 1;
    let mut done = 0;
    while done < bytes.len() as u64 {
        let rest = &bytes[done as usize..];
        let mut copy = [to + done, rest.as_ptr() as u64, rest.len() as u64, DONT_WAKE, 0];
        // SAFETY: `copy` is a uffdio_copy (four u64 and one i64) that outlives the call; the source is `rest`, which the
        // kernel only reads.
        let result = unsafe { libc::ioctl(userfaultfd.as_raw_fd(), UFFDIO_COPY, copy.as_mut_ptr()) };
        match Errno::check(result.into()) {
            Ok(_) => break,
            // Interrupted; it says how far it has come.
            Err(errno) if errno.raw() == libc::EAGAIN && copy[4] as i64 > 0 => done += copy[4],
            Err(errno) if errno.raw() == libc::EAGAIN => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
