//! The content of a container's tmpfs, as an archive of tar, compressed with gzip: what CRIU lets tar(1) make of it.

use crate::error::{At, Error, Result};
use crate::mounts::Mounts;
use crate::proc::Mountinfo;
use flate2::Compression;
use flate2::write::GzEncoder;
use images::DirectoryWriter;
use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use sys::path::{RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2};
use tar::{Builder, EntryType, Header};

/// Writes the content of all tmpfs that are the container's own.
pub(crate) fn write(mounts: &Mounts, directory: &mut DirectoryWriter) -> Result<()> {
    for mount in mounts.own_tmpfs() {
        archive(mounts.root(), mount, directory)?;
    }
    Ok(())
}

fn archive(root: BorrowedFd<'_>, mount: &Mountinfo, directory: &mut DirectoryWriter) -> Result<()> {
    let path = OsStr::from_bytes(&mount.mountpoint);
    let place = || format!("tmpfs at {}", path.display());
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let top = openat2(root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS).at(place)?;
    // CRIU's number: the kernel's device number in decimal.
    let name = format!("tmpfs-dev-{}.tar.gz.img", mount.dev.0 << 20 | mount.dev.1);
    let mut failed = None;
    let written = directory.raw(&name, |output| {
        let mut archive = Archive {
            tar: Builder::new(GzEncoder::new(output, Compression::fast())),
            dev: libc::makedev(mount.dev.0, mount.dev.1),
            links: HashMap::new(),
        };
        archive.directory(top, Path::new(".")).map_err(|error| {
            failed = Some(Error::new(format!("{}: {error}", place())));
            io::Error::from(io::ErrorKind::Other)
        })?;
        archive.tar.into_inner()?.finish()?.flush()
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(written?),
    }
}

struct Archive<W: Write> {
    tar: Builder<W>,
    dev: u64,
    /// The first name of files that have several, by their inode.
    links: HashMap<u64, PathBuf>,
}

impl<W: Write> Archive<W> {
    fn directory(&mut self, dir: OwnedFd, path: &Path) -> io::Result<()> {
        let metadata = File::from(dir.try_clone()?).metadata()?;
        self.entry(path, &metadata, EntryType::Directory, io::empty())?;
        // What is mounted here is another file system's; this has the place.
        if metadata.dev() != self.dev {
            return Ok(());
        }
        let mut listing = Dir::from_fd(dir)?;
        let mut names: Vec<CString> = Vec::new();
        for entry in listing.iter() {
            let name = entry?.file_name().to_owned();
            names.extend(Some(name).filter(|name| ![c".", c".."].contains(&name.as_c_str())));
        }
        for name in names {
            let name = OsStr::from_bytes(name.as_bytes());
            self.file(listing.as_fd(), name, &path.join(name)).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.join(name).display()))
            })?;
        }
        Ok(())
    }

    fn file(&mut self, dir: BorrowedFd<'_>, name: &OsStr, path: &Path) -> io::Result<()> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = nix::fcntl::openat(dir, name, flags, Mode::empty())?;
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        let file = File::from(file);
        let metadata = file.metadata()?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            return self.directory(nix::fcntl::open(link.as_str(), flags, Mode::empty())?, path);
        }
        if kind.is_socket() {
            // tar(1) leaves them out, too: who binds a socket makes its file.
            return Ok(());
        }
        if metadata.dev() != self.dev {
            // A file that is mounted over one of ours.
            let mut header = header(&metadata, EntryType::Regular);
            header.set_size(0);
            return self.tar.append_data(&mut header, path, io::empty());
        }
        if metadata.nlink() > 1 {
            if let Some(first) = self.links.get(&metadata.ino()) {
                let mut header = header(&metadata, EntryType::Link);
                return self.tar.append_link(&mut header, path, first);
            }
            self.links.insert(metadata.ino(), path.to_owned());
        }
        if kind.is_symlink() {
            let target = nix::fcntl::readlinkat(file.as_fd(), "")?;
            self.time(&metadata)?;
            let mut header = header(&metadata, EntryType::Symlink);
            return self.tar.append_link(&mut header, path, target);
        }
        if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() {
            let entry = match () {
                () if kind.is_fifo() => EntryType::Fifo,
                () if kind.is_block_device() => EntryType::Block,
                () => EntryType::Char,
            };
            return self.entry(path, &metadata, entry, io::empty());
        }
        self.entry(path, &metadata, EntryType::Regular, File::open(link)?)
    }

    /// The time of the next entry's last change with what is smaller than a second, which its header has no place for.
    fn time(&mut self, metadata: &Metadata) -> io::Result<()> {
        let time = format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec());
        self.tar.append_pax_extensions([("mtime", time.as_bytes())])
    }

    fn entry(
        &mut self,
        path: &Path,
        metadata: &Metadata,
        kind: EntryType,
        content: impl io::Read,
    ) -> io::Result<()> {
        self.time(metadata)?;
        let mut header = header(metadata, kind);
        if kind == EntryType::Regular {
            header.set_size(metadata.size());
        }
        if [EntryType::Char, EntryType::Block].contains(&kind) {
            header.set_device_major(libc::major(metadata.rdev()))?;
            header.set_device_minor(libc::minor(metadata.rdev()))?;
        }
        self.tar.append_data(&mut header, path, content)
    }
}

fn header(metadata: &Metadata, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(metadata.mode() & 0o7777);
    header.set_uid(metadata.uid().into());
    header.set_gid(metadata.gid().into());
    header.set_mtime(metadata.mtime().max(0) as u64);
    header.set_size(0);
    header
}
