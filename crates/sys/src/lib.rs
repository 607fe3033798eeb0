//! The system calls that nix lacks, one thin safe function each, and the kernel's error numbers.
//!
//! Nothing here decides anything: a function is one call (or the few that make one sense together), its
//! arguments are typed so that a wrong one does not compile, and its error is the kernel's. Callers name
//! the object; this crate does not know it.

pub mod bpf;
pub mod clone;
mod errno;
pub mod exe;
pub mod inspect;
pub mod mount;
pub mod mqueue;
pub mod netlink;
pub mod path;
pub mod probe;
pub mod process;
pub mod sched;
pub mod security;
pub mod socket;
pub mod sysv;
pub mod terminal;
pub mod time;
pub mod userfault;

pub use errno::{Errno, Result};

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

/// A path or string as the kernel takes it; one with a NUL byte inside is `EINVAL`.
pub fn cstr(text: impl AsRef<std::ffi::OsStr>) -> Result<CString> {
    CString::new(text.as_ref().as_bytes()).map_err(|_| Errno::from_raw(libc::EINVAL))
}
