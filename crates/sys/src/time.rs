//! The kernel's clocks.
#![allow(unsafe_code)] // nix hides the clocks behind a feature that brings more.

use crate::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd};

/// What a clock says, in nanoseconds: `CLOCK_MONOTONIC`, `CLOCK_BOOTTIME` (clock_gettime(2)).
pub fn now(clock: libc::clockid_t) -> Result<i128> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result.
    Errno::check(unsafe { libc::clock_gettime(clock, &raw mut time) }.into())?;
    Ok(i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec))
}

/// Lets a timerfd count the expirations that it has missed since it was read last, so that /proc/PID/fdinfo shows all of
/// them and when the next one comes. The kernel does it for whoever asks for the time (timerfd_gettime(2)); a reader does
/// not notice.
pub fn count_expirations(timerfd: BorrowedFd<'_>) -> Result<()> {
    let mut time = std::mem::MaybeUninit::<libc::itimerspec>::uninit();
    // SAFETY: `time` is a valid place for the result, which nobody reads.
    Errno::check(unsafe { libc::timerfd_gettime(timerfd.as_raw_fd(), time.as_mut_ptr()) }.into())?;
    Ok(())
}
