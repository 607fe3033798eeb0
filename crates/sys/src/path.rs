//! openat2(2): opening a path under a root that the path cannot leave.
#![allow(unsafe_code)] // The call has no wrapper in nix that takes all flags.

use crate::{Errno, Result, cstr};
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub use libc::{
    RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV,
};

/// openat2(2) with `O_CLOEXEC`. `EAGAIN` (a rename raced with the walk) is retried a bounded number of times.
pub fn openat2(
    dir: BorrowedFd<'_>,
    path: impl AsRef<OsStr>,
    flags: i32,
    mode: u32,
    resolve: u64,
) -> Result<OwnedFd> {
    let path = cstr(path)?;
    let how = [(flags | libc::O_CLOEXEC) as u32 as u64, u64::from(mode), resolve];
    let mut tries = 0;
    loop {
        // SAFETY: `how` is an open_how (three u64, v0) and `path` NUL-terminated; both outlive the call.
        let result = Errno::check(unsafe {
            libc::syscall(libc::SYS_openat2, dir.as_raw_fd(), path.as_ptr(), how.as_ptr(), size_of_val(&how))
        });
        match result {
            // SAFETY: the call succeeded, so the value is a new descriptor that nobody else owns.
            Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
            Err(e) if e.raw() == libc::EAGAIN && tries < 128 => tries += 1,
            Err(e) => return Err(e),
        }
    }
}

/// Opens `path` with `O_PATH` as if `root` were `/`; symbolic links stay inside.
pub fn resolve_in_root(root: BorrowedFd<'_>, path: impl AsRef<OsStr>, flags: i32) -> Result<OwnedFd> {
    openat2(root, path, libc::O_PATH | flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
}

/// Opens the file with this handle (open_by_handle_at(2)) with `O_PATH`; `mount` is any file of its file system.
///
/// # Errors
/// `ESTALE`: there is no such file any more. `EOPNOTSUPP`: the file system has no handles.
pub fn open_by_handle(mount: BorrowedFd<'_>, kind: i32, handle: &[u8]) -> Result<OwnedFd> {
    let mut bytes = Vec::with_capacity(8 + handle.len());
    bytes.extend_from_slice(&(handle.len() as u32).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(handle);
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: `bytes` is a file_handle with as many bytes as it says, and outlives the call.
    let result =
        unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), bytes.as_ptr(), flags) };
    // SAFETY: the call succeeded, so the value is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(Errno::check(result)? as i32) })
}

/// Whether a file has an extended attribute (lgetxattr(2)).
pub fn has_attribute(path: impl AsRef<OsStr>, name: &CStr) -> bool {
    let Ok(path) = cstr(path) else { return false };
    // SAFETY: both are NUL-terminated and outlive the call; size 0 asks for the length alone.
    unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) >= 0 }
}
