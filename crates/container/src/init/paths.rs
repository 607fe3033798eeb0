//! Opening and creating paths inside a root that belongs to a stranger.
//!
//! Every walk is the kernel's own (`RESOLVE_IN_ROOT`), every creation is relative to a directory that such
//! a walk has opened: a symbolic link or a racing rename can lead elsewhere in the root, never out of it.

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat, mknodat};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use sys::path::{RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, openat2, resolve_in_root};
use sys::{Errno, Result};

/// What a mount point must be for the mount to go onto it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
}

/// Removes `.`, `..` and doubled slashes as if `/` were its own parent. Links are not looked at.
pub(crate) fn clean(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

/// Opens `path` in `root` with `O_PATH`, making what is missing: directories with mode 0755, and at the end
/// a directory or an empty file. A dangling link is followed and what it names is made, in the root.
pub(crate) fn open_or_create(root: BorrowedFd<'_>, path: &str, kind: Kind) -> Result<OwnedFd> {
    let parts = clean(path);
    match resolve_in_root(root, if parts.is_empty() { "/".to_owned() } else { parts.join("/") }, 0) {
        Err(e) if e.raw() == libc::ENOENT => {}
        other => return other,
    }
    create(root, parts.into_iter().map(str::to_owned).collect(), kind)
}

fn create(root: BorrowedFd<'_>, parts: Vec<String>, kind: Kind) -> Result<OwnedFd> {
    /// As many as the kernel follows in one walk (path_resolution(7)).
    const LINK_LIMIT: usize = 40;
    let mut links = 0;
    let mut todo: Vec<String> = parts.into_iter().rev().collect();
    let mut done: Vec<String> = Vec::new();
    let mut directory = openat2(root, ".", libc::O_PATH | libc::O_DIRECTORY, 0, 0)?;
    while let Some(name) = todo.pop() {
        if name == ".." {
            done.pop();
            directory = resolve_in_root(root, format!("/{}", done.join("/")), libc::O_DIRECTORY)?;
            continue;
        }
        let path = format!("{}/{name}", done.join("/"));
        let next = match resolve_in_root(root, &path, 0) {
            Ok(next) => next,
            Err(e) if e.raw() == libc::ENOENT => {
                match make(directory.as_fd(), &name, if todo.is_empty() { kind } else { Kind::Directory }) {
                    Ok(next) => next,
                    // It exists but does not resolve: a dangling link. Go where it points.
                    Err(e) if e.raw() == libc::EEXIST && links < LINK_LIMIT => {
                        links += 1;
                        let target = nix::fcntl::readlinkat(&directory, name.as_str())?;
                        let target = target.to_string_lossy().into_owned();
                        if target.starts_with('/') {
                            done.clear();
                            directory = resolve_in_root(root, "/", libc::O_DIRECTORY)?;
                        }
                        let parts = target.split('/').filter(|part| !matches!(*part, "" | "."));
                        todo.extend(parts.rev().map(str::to_owned));
                        continue;
                    }
                    Err(e) => return Err(e),
                }
            }
            Err(e) => return Err(e),
        };
        directory = next;
        done.push(name);
    }
    Ok(directory)
}

fn make(directory: BorrowedFd<'_>, name: &str, kind: Kind) -> Result<OwnedFd> {
    match kind {
        Kind::Directory => mkdirat(directory, name, Mode::from_bits_truncate(0o755))?,
        Kind::File => mknodat(directory, name, SFlag::S_IFREG, Mode::from_bits_truncate(0o644), 0)?,
    }
    // Whatever is there now must be what was made: links are refused.
    openat2(
        directory,
        name,
        libc::O_PATH | libc::O_NOFOLLOW,
        0,
        RESOLVE_BENEATH | sys::path::RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    )
}

/// Opens the directory that a path's last name is in, and gives the name.
pub(crate) fn open_parent<'a>(root: BorrowedFd<'_>, path: &'a str) -> Result<(OwnedFd, &'a str)> {
    let mut parts = clean(path);
    let name = parts.pop().ok_or(Errno::from_raw(libc::EISDIR))?;
    let parent = open_or_create(root, &parts.join("/"), Kind::Directory)?;
    if kind_of(parent.as_fd())? != Kind::Directory {
        return Err(Errno::from_raw(libc::ENOTDIR));
    }
    Ok((parent, name))
}

/// Opens what an `O_PATH` descriptor refers to, once it is known to be harmless: opening may already act, as it does
/// for many devices. `procfs` is the host's.
pub(crate) fn reopen(procfs: BorrowedFd<'_>, file: BorrowedFd<'_>, flags: OFlag) -> Result<OwnedFd> {
    let link = format!("self/fd/{}", file.as_raw_fd());
    Ok(openat(procfs, link.as_str(), flags | OFlag::O_CLOEXEC, Mode::empty())?)
}

pub(crate) fn kind_of(fd: BorrowedFd<'_>) -> Result<Kind> {
    let mode = fstat(fd)?.st_mode;
    Ok(if mode & libc::S_IFMT == libc::S_IFDIR { Kind::Directory } else { Kind::File })
}

/// Whether a file is this character device: a name such as /dev/null proves nothing in a stranger's root.
pub(crate) fn is_device(fd: BorrowedFd<'_>, major: u64, minor: u64) -> bool {
    fstat(fd).is_ok_and(|stat| {
        stat.st_mode & libc::S_IFMT == libc::S_IFCHR
            && stat.st_rdev == libc::makedev(major as u32, minor as u32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn root() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let fd = std::fs::File::open(dir.path()).unwrap().into();
        (dir, fd)
    }

    #[test]
    fn dots_never_leave() {
        assert_eq!(clean("/a/../../b/./c//"), ["b", "c"]);
        assert_eq!(clean("/../.."), [""; 0]);
    }

    #[test]
    fn links_stay_inside() {
        let (dir, root) = root();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        symlink("/etc", dir.path().join("abs")).unwrap();
        symlink("../../../../etc", dir.path().join("up")).unwrap();
        symlink("/var/lib/made", dir.path().join("dangling")).unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();

        open_or_create(root.as_fd(), "/abs/x", Kind::File).unwrap();
        open_or_create(root.as_fd(), "/up/y", Kind::Directory).unwrap();
        open_or_create(root.as_fd(), "/dangling/z", Kind::File).unwrap();
        for made in ["etc/x", "etc/y", "var/lib/made/z"] {
            assert!(dir.path().join(made).exists(), "{made}");
        }
        let error = open_or_create(root.as_fd(), "/loop/a", Kind::File).unwrap_err();
        assert_eq!(error.raw(), libc::ELOOP);
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let (dir, root) = root();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let error = open_or_create(root.as_fd(), "/file/x", Kind::File).unwrap_err();
        assert_eq!(error.raw(), libc::ENOTDIR);
    }
}
