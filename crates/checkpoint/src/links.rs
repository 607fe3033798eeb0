//! Names that files get for a dump, because the one that they were opened by is gone while they have others: a restore opens
//! them by these, and removes them. As CRIU calls them: `link_remap.N`, in the directory of the name that is gone.

use crate::error::{At, Error, Result};
use crate::guardian::Guardian;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{fstat, fstatat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What all of them begin with.
pub(crate) const PREFIX: &str = "link_remap.";

/// How many names that others have are tried.
const TRIES: u32 = 1000;

/// Removes them all when it is dropped, unless they are to be kept.
#[derive(Debug, Default)]
pub(crate) struct Links(Vec<(OwnedFd, OsString)>);

impl Links {
    /// Links an open file into the directory of `path`, which is resolved below `root`; its new path.
    pub(crate) fn make(
        &mut self,
        root: BorrowedFd<'_>,
        path: &[u8],
        file: BorrowedFd<'_>,
        guardian: &Guardian,
    ) -> Result<Vec<u8>> {
        let path = Path::new(OsStr::from_bytes(path));
        let what = || format!("link {} to a name in its directory", path.display());
        let parent = path.parent().unwrap_or(Path::new("/"));
        let directory = sys::path::resolve_in_root(root, parent, libc::O_DIRECTORY).at(what)?;
        let source = format!("/proc/self/fd/{}", file.as_raw_fd());
        let inode = fstat(file).at(what)?.st_ino;
        for number in (1..).take(self.0.len() + TRIES as usize) {
            let name = OsString::from(format!("{PREFIX}{number}"));
            if fstatat(&directory, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok() {
                continue;
            }
            // Before it is there: between the two we may die.
            guardian.note_link(directory.as_fd(), &name, inode)?;
            match linkat(AT_FDCWD, source.as_str(), &directory, name.as_os_str(), AtFlags::AT_SYMLINK_FOLLOW)
            {
                Ok(()) => {
                    self.0.push((directory, name.clone()));
                    return Ok(parent.join(name).as_os_str().as_bytes().to_vec());
                }
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(Error::of_kernel(what(), errno)),
            }
        }
        Err(Error::of_kernel(what(), Errno::EEXIST))
    }

    pub(crate) fn remove(&mut self) {
        for (directory, name) in self.0.drain(..) {
            // One that is gone is nobody's loss.
            let _ = unlinkat(directory, name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }

    pub(crate) fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.remove();
    }
}
