//! Reading and writing the small files of a cgroup, relative to its directory or by path.
//!
//! std's readers ask for the file's size first, which means nothing in cgroupfs; here a file is open, read,
//! close.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::{read, write};
use sys::{Errno, Result};

pub(crate) fn open_dir(path: &Path) -> Result<OwnedFd> {
    Ok(open(path, DIRECTORY, Mode::empty())?)
}

pub(crate) fn open_dir_at(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    Ok(openat(dir, name, DIRECTORY, Mode::empty())?)
}

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

pub(crate) fn open_file(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    Ok(openat(dir, name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?)
}

pub(crate) fn read_at(dir: BorrowedFd<'_>, name: &str) -> Result<String> {
    read_to_end(open_file(dir, name)?.as_fd())
}

pub(crate) fn read_path(path: &Path) -> Result<String> {
    read_to_end(open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?.as_fd())
}

pub(crate) fn write_at(dir: BorrowedFd<'_>, name: &str, value: &str) -> Result<()> {
    write_all(
        openat(dir, name, OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?,
        value,
    )
}

pub(crate) fn write_path(path: &Path, value: &str) -> Result<()> {
    write_all(open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?, value)
}

/// A cgroup file takes each write as one value, so a short write cannot be continued.
fn write_all(file: OwnedFd, value: &str) -> Result<()> {
    match write(&file, value.as_bytes())? {
        written if written == value.len() => Ok(()),
        _ => Err(Errno::from_raw(nix::errno::Errno::EIO as i32)),
    }
}

fn read_to_end(file: BorrowedFd<'_>) -> Result<String> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match read(file, &mut buffer)? {
            0 => break,
            count => text.extend_from_slice(&buffer[..count]),
        }
    }
    // Device names in rdma files are the only text that is not ours or the kernel's.
    Ok(String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
