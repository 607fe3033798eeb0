//! Mounts by file descriptor: fsopen(2), fsconfig(2), fsmount(2), open_tree(2), mount_setattr(2), move_mount(2).
#![allow(unsafe_code)] // The calls have no wrapper in libc.

use crate::{Errno, Result, cstr};
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub const MOUNT_ATTR_RDONLY: u64 = 0x1;
pub const MOUNT_ATTR_NOSUID: u64 = 0x2;
pub const MOUNT_ATTR_NODEV: u64 = 0x4;
pub const MOUNT_ATTR_NOEXEC: u64 = 0x8;
/// The three atime modes are one field: clear it before setting another.
pub const MOUNT_ATTR_ATIME: u64 = 0x70;
pub const MOUNT_ATTR_RELATIME: u64 = 0x0;
pub const MOUNT_ATTR_NOATIME: u64 = 0x10;
pub const MOUNT_ATTR_STRICTATIME: u64 = 0x20;
pub const MOUNT_ATTR_NODIRATIME: u64 = 0x80;
pub const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;
pub const MOUNT_ATTR_NOSYMFOLLOW: u64 = 0x20_0000;

const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_SET_FD: u32 = 5;
const FSCONFIG_CMD_CREATE: u32 = 6;

const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;

/// What mount_setattr(2) is to change: `MOUNT_ATTR_*` to set and to clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountAttr {
    pub set: u64,
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, `MS_UNBINDABLE`, or 0 to leave it.
    pub propagation: u64,
}

impl MountAttr {
    pub fn is_empty(&self) -> bool {
        self.set == 0 && self.clear == 0 && self.propagation == 0
    }
}

fn fd(result: libc::c_long) -> Result<OwnedFd> {
    let fd = Errno::check(result)? as i32;
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A file system context, from fsopen(2) to fsmount(2).
#[derive(Debug)]
pub struct FsContext(OwnedFd);

impl FsContext {
    /// # Errors
    /// `ENODEV`: no such file system type.
    pub fn open(fstype: &str) -> Result<FsContext> {
        let name = cstr(fstype)?;
        // SAFETY: `name` is NUL-terminated and outlives the call.
        fd(unsafe {
            libc::syscall(libc::SYS_fsopen, name.as_ptr(), 1 /* FSOPEN_CLOEXEC */)
        })
        .map(FsContext)
    }

    fn config(&self, command: u32, key: Option<&CStr>, value: Option<&CStr>) -> Result<()> {
        let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: key and value are NUL-terminated or null as the command wants, and outlive the call.
        Errno::check(unsafe {
            libc::syscall(libc::SYS_fsconfig, self.0.as_raw_fd(), command, pointer(key), pointer(value), 0)
        })?;
        Ok(())
    }

    pub fn set_flag(&self, key: &str) -> Result<()> {
        self.config(FSCONFIG_SET_FLAG, Some(&cstr(key)?), None)
    }

    pub fn set_string(&self, key: &str, value: impl AsRef<OsStr>) -> Result<()> {
        self.config(FSCONFIG_SET_STRING, Some(&cstr(key)?), Some(&cstr(value)?))
    }

    /// procfs of a pid namespace that we are not in (`pidns=`, Linux 6.17).
    ///
    /// # Errors
    /// `EINVAL`: the kernel does not know the option.
    pub fn set_pid_namespace(&self, namespace: BorrowedFd<'_>) -> Result<()> {
        // SAFETY: the key is a C string, and the command takes no value but the descriptor.
        Errno::check(unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                self.0.as_raw_fd(),
                FSCONFIG_SET_FD,
                c"pidns".as_ptr(),
                std::ptr::null::<u8>(),
                namespace.as_raw_fd(),
            )
        })?;
        Ok(())
    }

    /// Makes the superblock; the context's options end here.
    pub fn create(&self) -> Result<()> {
        self.config(FSCONFIG_CMD_CREATE, None, None)
    }

    /// A detached mount with the given `MOUNT_ATTR_*`.
    pub fn mount(&self, attributes: u64) -> Result<OwnedFd> {
        // SAFETY: no pointers are passed.
        fd(unsafe {
            libc::syscall(libc::SYS_fsmount, self.0.as_raw_fd(), 1 /* FSMOUNT_CLOEXEC */, attributes)
        })
    }

    /// The last message that the kernel left about this context, such as which option it did not know.
    pub fn message(&self) -> Option<String> {
        let mut buffer = [0u8; 512];
        let length = nix::unistd::read(&self.0, &mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        // Messages carry a class: "e " error, "w " warning, "i " info.
        Some(text.trim_end().trim_start_matches(['e', 'w', 'i']).trim_start().to_owned())
    }
}

/// open_tree(2) of `path` below `dir` with `OPEN_TREE_CLONE`: a detached copy of the mount (with
/// `recursive`, of the tree). An empty path copies the mount that `dir` itself is on, from `dir` down.
pub fn clone_tree(dir: BorrowedFd<'_>, path: impl AsRef<OsStr>, recursive: bool) -> Result<OwnedFd> {
    let path = cstr(path)?;
    let mut flags = 1 /* OPEN_TREE_CLONE */ | libc::O_CLOEXEC as u32 | libc::AT_EMPTY_PATH as u32;
    if recursive {
        flags |= libc::AT_RECURSIVE as u32;
    }
    // SAFETY: `path` is NUL-terminated and outlives the call.
    fd(unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), path.as_ptr(), flags) })
}

/// mount_setattr(2) on the mount whose root `mount` is.
pub fn set_attr(mount: BorrowedFd<'_>, recursive: bool, attr: &MountAttr) -> Result<()> {
    mount_setattr(mount, recursive, [attr.set, attr.clear, attr.propagation, 0])
}

fn mount_setattr(mount: BorrowedFd<'_>, recursive: bool, attr: [u64; 4]) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: `attr` is a mount_attr (four u64, v0) that outlives the call, the path an empty C string.
    Errno::check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            attr.as_ptr(),
            size_of_val(&attr),
        )
    })?;
    Ok(())
}

/// Makes a detached mount idmapped by the mappings of a user namespace.
///
/// # Errors
/// `EINVAL`: the file system does not support it, or the mount is not detached.
pub fn set_idmap(mount: BorrowedFd<'_>, recursive: bool, userns: BorrowedFd<'_>) -> Result<()> {
    mount_setattr(mount, recursive, [MOUNT_ATTR_IDMAP, 0, 0, userns.as_raw_fd() as u64])
}

/// move_mount(2): attaches a detached mount onto the object that `target` refers to.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: both paths are empty C strings.
    Errno::check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    })?;
    Ok(())
}

/// The mount that a file is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// Field 1 of its line in mountinfo (proc_pid_mountinfo(5)).
    pub id: u64,
    /// The file is the root of the mount.
    pub is_root: bool,
}

/// statx(2) with `STATX_MNT_ID` (Linux 5.8).
pub fn mount_point(file: BorrowedFd<'_>) -> Result<MountPoint> {
    let mut stat = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // By its number: the standard library refers to statx weakly, and in a static binary that is what is left of it.
    // SAFETY: `stat` is a valid place for a statx that outlives the call, the path an empty C string.
    Errno::check(unsafe {
        libc::syscall(
            libc::SYS_statx,
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_NO_AUTOMOUNT,
            libc::STATX_MNT_ID,
            stat.as_mut_ptr(),
        )
    })?;
    // SAFETY: all zeros is a valid statx, whatever of it the kernel has filled in.
    let stat = unsafe { stat.assume_init() };
    Ok(MountPoint {
        id: stat.stx_mnt_id,
        is_root: stat.stx_attributes & libc::STATX_ATTR_MOUNT_ROOT as u64 != 0,
    })
}

/// pivot_root(2) with new root and old root both the current directory, which stacks the old root on top
/// of the new one at `/` so that no directory for it is needed (pivot_root(2), NOTES).
pub fn pivot_root_to_cwd() -> Result<()> {
    // SAFETY: both paths are C strings.
    Errno::check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    Ok(())
}
