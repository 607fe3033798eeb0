//! Memory that we share with a task.
#![allow(unsafe_code)] // Another process writes here: everything goes through raw pointers and atomics.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::time::Duration;
use sys::Errno;

/// A shared mapping of ours. Its content is the task's claim: read it, check it, never point into it.
#[derive(Debug)]
pub(crate) struct Region {
    start: *mut u8,
    len: usize,
}

impl Region {
    /// Maps all of a shared memory file.
    pub(crate) fn of_file(file: BorrowedFd<'_>, len: usize) -> sys::Result<Region> {
        Region::map(file.as_raw_fd(), len, libc::MAP_SHARED)
    }

    /// New memory that children inherit.
    pub(crate) fn anonymous(len: usize) -> sys::Result<Region> {
        Region::map(-1, len, libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE)
    }

    fn map(fd: i32, len: usize, flags: i32) -> sys::Result<Region> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        Ok(Region { start: start.cast(), len })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn address(&self) -> usize {
        self.start as usize
    }

    fn at(&self, at: usize, len: usize) -> *mut u8 {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "{at} + {len} of {}", self.len);
        self.start.wrapping_add(at)
    }

    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        let to = self.at(at, bytes.len());
        // SAFETY: `at` has checked the range; nobody holds a reference into the mapping.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    pub(crate) fn read(&self, at: usize, len: usize) -> Vec<u8> {
        let from = self.at(at, len);
        let mut bytes = vec![0; len];
        // SAFETY: as in `write`. A task that writes meanwhile makes the bytes arbitrary, which they are anyway.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), len) };
        fence(Ordering::Acquire);
        bytes
    }

    pub(crate) fn word(&self, at: usize) -> &AtomicU32 {
        assert!(at.is_multiple_of(4));
        // SAFETY: the range is checked, aligned and mapped as long as `self` is; atomics may be shared.
        unsafe { AtomicU32::from_ptr(self.at(at, 4).cast()) }
    }

    /// Wakes everyone who waits for this word to change.
    pub(crate) fn wake(&self, at: usize) {
        let word = self.word(at).as_ptr();
        // SAFETY: the word is mapped; FUTEX_WAKE only uses its address.
        unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, i32::MAX) };
    }

    /// Waits until somebody wakes us, while the word is `value`; at most `limit`.
    pub(crate) fn wait(&self, at: usize, value: u32, limit: Duration) {
        let limit = libc::timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
        let word = self.word(at).as_ptr();
        // SAFETY: the word is mapped and `limit` lives on.
        unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, value, &raw const limit) };
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and references into it (`word`) do not outlive `self`.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}
