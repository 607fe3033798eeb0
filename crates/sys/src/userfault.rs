//! userfaultfd(2): to keep track of writes to memory, and to put pages into another process.
#![allow(unsafe_code)] // The calls have no wrapper in nix.

use crate::{Errno, Result};
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The number and the argument of userfaultfd(2) with `UFFD_USER_MODE_ONLY`, which everybody may call.
pub const USERFAULTFD: (libc::c_long, u64) = (libc::SYS_userfaultfd, libc::O_CLOEXEC as u64 | 1);

const UFFDIO_API: libc::Ioctl = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::Ioctl = 0xc020_aa00;
const UFFDIO_COPY: libc::Ioctl = 0xc028_aa03;

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

/// All of a file, mapped for others to copy from; we never look at it, so it may become shorter meanwhile.
#[derive(Debug)]
pub struct View {
    start: *mut libc::c_void,
    len: usize,
}

// SAFETY: nobody reads or writes through the pointer; the kernel copies from the range, from any thread.
unsafe impl Sync for View {}

impl View {
    pub fn of(file: &File) -> Result<View> {
        let len = file.metadata()?.len() as usize;
        let fd = file.as_raw_fd();
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        Ok(View { start, len })
    }

    /// `UFFDIO_COPY`: makes pages in the process of a userfaultfd, at `to`, with `len` bytes of the file from `at` on.
    ///
    /// # Errors
    /// `EEXIST`: there is a page. `EFAULT`: the file ends before that. `ENOENT`: the range is not registered.
    pub fn copy(&self, userfaultfd: BorrowedFd<'_>, to: u64, at: u64, len: u64) -> Result<()> {
        const DONT_WAKE: u64 = 1;
        if at.checked_add(len).is_none_or(|end| end > self.len as u64) {
            return Err(Errno::from_raw(libc::EFAULT));
        }
        let from = self.start as u64 + at;
        // One fault for all instead of one for every few pages. Before 5.14 it is not known, and not needed.
        // SAFETY: the range is in the mapping, which it does not change.
        unsafe { libc::madvise(from as *mut libc::c_void, len as usize, libc::MADV_POPULATE_READ) };
        let mut done = 0;
        while done < len {
            let mut copy = [to + done, from + done, len - done, DONT_WAKE, 0];
            // SAFETY: `copy` is a uffdio_copy (four u64 and one i64) that outlives the call; the source is in the mapping.
            let result = unsafe { libc::ioctl(userfaultfd.as_raw_fd(), UFFDIO_COPY, copy.as_mut_ptr()) };
            match Errno::check(result.into()) {
                Ok(_) => done = len,
                // Interrupted; it says how far it has come.
                Err(errno) if errno.raw() == libc::EAGAIN && copy[4] as i64 > 0 => done += copy[4],
                Err(errno) if errno.raw() == libc::EAGAIN => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody else has its address.
        unsafe { libc::munmap(self.start, self.len) };
    }
}
