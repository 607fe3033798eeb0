//! The kernel's clocks.
#![allow(unsafe_code)] // nix hides the clocks behind a feature that brings more.

use crate::{Errno, Result};

/// What a clock says, in nanoseconds: `CLOCK_MONOTONIC`, `CLOCK_BOOTTIME` (clock_gettime(2)).
pub fn now(clock: libc::clockid_t) -> Result<i128> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result.
    Errno::check(unsafe { libc::clock_gettime(clock, &raw mut time) }.into())?;
    Ok(i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec))
}
