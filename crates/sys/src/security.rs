//! seccomp(2).
#![allow(unsafe_code)] // The call has no wrapper in libc.

use crate::{Errno, Result};
use std::os::fd::{FromRawFd, OwnedFd};

/// One classic BPF instruction, `struct sock_filter` of linux/filter.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockFilter {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

#[repr(C)]
struct SockFprog {
    len: u16,
    filter: *const SockFilter,
}

pub const SECCOMP_FILTER_FLAG_TSYNC: u64 = 1;
pub const SECCOMP_FILTER_FLAG_LOG: u64 = 2;
pub const SECCOMP_FILTER_FLAG_SPEC_ALLOW: u64 = 4;
pub const SECCOMP_FILTER_FLAG_NEW_LISTENER: u64 = 8;
pub const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: u64 = 32;

/// Installs a filter (`SECCOMP_SET_MODE_FILTER`). With `SECCOMP_FILTER_FLAG_NEW_LISTENER` the result is the
/// notification descriptor.
///
/// # Errors
/// `EACCES`: neither `CAP_SYS_ADMIN` nor no_new_privs. `EINVAL`: bad program or flags. `E2BIG`/`ENOMEM`: too long.
pub fn install_filter(program: &[SockFilter], flags: u64) -> Result<Option<OwnedFd>> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::from_raw(libc::E2BIG))?;
    let fprog = SockFprog { len, filter: program.as_ptr() };
    // SAFETY: `fprog` describes `program`; both outlive the call, and the kernel copies the program.
    let result = Errno::check(unsafe {
        libc::syscall(libc::SYS_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, flags, &raw const fprog)
    })?;
    if flags & SECCOMP_FILTER_FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with the flag a successful call returns a new descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(result as i32) }))
}
