//! Questions to the kernel that change nothing: whether it has a call, a flag, a request.
//!
//! Each is asked with an argument that is refused *after* the kernel has recognised what is meant, so that the errno
//! tells apart "never heard of it" from "not like this". `Ok` means that the feature is there.
#![allow(unsafe_code)] // The calls have no wrapper in libc, or only one that wants valid arguments.

use crate::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `Ok` for success and for `expected`, which is what a kernel says that knows the feature.
fn known(result: libc::c_long, expected: i32) -> Result<()> {
    match Errno::check(result) {
        Err(errno) if errno.raw() != expected => Err(errno),
        _ => Ok(()),
    }
}

/// `CLONE_INTO_CGROUP` (5.7), asked with a directory that is no cgroup: no child is made.
pub fn clone_into_cgroup(no_cgroup: BorrowedFd<'_>) -> Result<()> {
    let mut args = [0u64; 11];
    args[0] = 0x2_0000_0000;
    args[4] = libc::SIGCHLD as u64;
    args[10] = no_cgroup.as_raw_fd() as u64;
    // SAFETY: `args` is a complete clone_args (v2) and outlives the call, which fails for the descriptor's sake:
    // there is no child that would run on with our memory.
    known(unsafe { libc::syscall(libc::SYS_clone3, args.as_ptr(), size_of_val(&args)) }, libc::EBADF)
}

/// move_mount(2) (5.2), asked with descriptors that are not open.
pub fn move_mount() -> Result<()> {
    // SAFETY: both paths are empty C strings.
    known(
        unsafe { libc::syscall(libc::SYS_move_mount, -1, c"".as_ptr(), -1, c"".as_ptr(), 0x44) },
        libc::EBADF,
    )
}

/// `PR_SET_MM_MAP` (3.18, CONFIG_CHECKPOINT_RESTORE), by way of `PR_SET_MM_MAP_SIZE`.
pub fn set_mm_map() -> Result<()> {
    let mut size = 0u32;
    // SAFETY: PR_SET_MM_MAP_SIZE writes one unsigned int.
    known(unsafe { libc::prctl(libc::PR_SET_MM, libc::PR_SET_MM_MAP_SIZE, &raw mut size, 0, 0) }.into(), 0)
}

/// A seccomp action, `SECCOMP_RET_*`, by `SECCOMP_GET_ACTION_AVAIL` (4.14).
pub fn seccomp_action(action: u32) -> Result<()> {
    // SAFETY: the operation reads one u32, which outlives the call.
    known(unsafe { libc::syscall(libc::SYS_seccomp, 2, 0, &raw const action) }, 0)
}

/// A flag of `SECCOMP_SET_MODE_FILTER`, asked without a filter.
pub fn seccomp_flag(flag: u64) -> Result<()> {
    // SAFETY: the kernel checks the flags, then fails to read the null program.
    known(unsafe { libc::syscall(libc::SYS_seccomp, 1, flag, std::ptr::null::<u8>()) }, libc::EFAULT)
}

/// NUMA memory policies (CONFIG_NUMA), by get_mempolicy(2).
pub fn memory_policy() -> Result<()> {
    // SAFETY: null pointers ask for nothing to be written.
    known(unsafe { libc::syscall(libc::SYS_get_mempolicy, 0, 0, 0, 0, 0) }, 0)
}

/// Kernel keyrings (CONFIG_KEYS): the id of our session keyring, which is not made when there is none.
pub fn session_keyring() -> Result<()> {
    const KEY_SPEC_SESSION_KEYRING: i32 = -3;
    let operation = libc::KEYCTL_GET_KEYRING_ID as libc::c_long;
    // SAFETY: no pointers are passed.
    known(unsafe { libc::syscall(libc::SYS_keyctl, operation, KEY_SPEC_SESSION_KEYRING, 0) }, libc::ENOKEY)
}

/// `PAGEMAP_SCAN` (6.7) of an open /proc/PID/pagemap, over no memory.
pub fn pagemap_scan(pagemap: BorrowedFd<'_>) -> Result<()> {
    const PAGEMAP_SCAN: libc::Ioctl = 0xc060_6610;
    let mut scan = [0u64; 12];
    scan[0] = size_of_val(&scan) as u64;
    // SAFETY: `scan` is a pm_scan_arg (twelve u64) that outlives the call; its range and its vector are empty.
    known(unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, scan.as_mut_ptr()) }.into(), libc::EINVAL)
}

/// `PROCMAP_QUERY` (6.11) of an open /proc/PID/maps: the first mapping.
pub fn procmap_query(maps: BorrowedFd<'_>) -> Result<()> {
    const PROCMAP_QUERY: libc::Ioctl = 0xc068_6611;
    const COVERING_OR_NEXT_VMA: u64 = 0x10;
    let mut query = [0u64; 13];
    query[0] = size_of_val(&query) as u64;
    query[1] = COVERING_OR_NEXT_VMA;
    // SAFETY: `query` is a procmap_query (104 bytes) that outlives the call and asks for no names.
    known(unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY, query.as_mut_ptr()) }.into(), 0)
}

/// The `UFFD_FEATURE_*` bits of userfaultfd(2) for faults in user mode, which need no privilege.
///
/// # Errors
/// `ENOSYS`: CONFIG_USERFAULTFD is off.
pub fn userfaultfd_features() -> Result<u64> {
    const UFFD_USER_MODE_ONLY: i32 = 1;
    const UFFDIO_API: libc::Ioctl = 0xc018_aa3f;
    let flags = libc::O_CLOEXEC | UFFD_USER_MODE_ONLY;
    // SAFETY: no pointers are passed.
    let fd = Errno::check(unsafe { libc::syscall(libc::SYS_userfaultfd, flags) })?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let mut api = [0xaau64, 0, 0];
    // SAFETY: `api` is a uffdio_api (three u64) that outlives the call.
    Errno::check(unsafe { libc::ioctl(fd.as_raw_fd(), UFFDIO_API, api.as_mut_ptr()) }.into())?;
    Ok(api[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn what_every_supported_kernel_has() {
        assert_eq!(clone_into_cgroup(File::open("/").unwrap().as_fd()), Ok(()));
        assert_eq!(move_mount(), Ok(()));
        assert_eq!(seccomp_action(0x7fff_0000), Ok(()), "SECCOMP_RET_ALLOW");
        assert_eq!(seccomp_flag(2), Ok(()), "SECCOMP_FILTER_FLAG_LOG");
    }

    #[test]
    fn what_no_kernel_has() {
        assert_eq!(seccomp_action(0x1234_0000).unwrap_err().raw(), libc::EOPNOTSUPP);
        assert_eq!(seccomp_flag(1 << 31).unwrap_err().raw(), libc::EINVAL);
        let file = File::open("/proc/self/stat").unwrap();
        assert_eq!(pagemap_scan(file.as_fd()).unwrap_err().raw(), libc::ENOTTY);
        assert_eq!(procmap_query(file.as_fd()).unwrap_err().raw(), libc::ENOTTY);
    }
}
