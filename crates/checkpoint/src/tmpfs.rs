//! The content of a container's tmpfs, as an archive of tar, compressed with gzip: what CRIU lets tar(1) make of it.

use crate::credentials::IdMaps;
use crate::error::{At, Error, Result};
use crate::mounts::MountNamespaces;
use crate::proc::Mountinfo;
use flate2::Compression;
use flate2::write::GzEncoder;
use images::DirectoryWriter;
use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{Whence, lseek};
use std::collections::{HashMap, VecDeque};
use std::ffi::{CString, OsStr};
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use sys::path::{RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2};
use tar::{Builder, EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

/// Writes the content of all tmpfs that are the container's own.
pub(crate) fn write(mounts: &MountNamespaces, maps: &IdMaps, directory: &mut DirectoryWriter) -> Result<()> {
    for (root, mount) in mounts.own_tmpfs() {
        archive(root, mount, maps, directory)?;
    }
    Ok(())
}

fn archive(
    root: BorrowedFd<'_>,
    mount: &Mountinfo,
    maps: &IdMaps,
    directory: &mut DirectoryWriter,
) -> Result<()> {
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
            maps,
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

struct Archive<'a, W: Write> {
    tar: Builder<W>,
    dev: u64,
    maps: &'a IdMaps,
    /// The first name of files that have several, by their inode.
    links: HashMap<u64, PathBuf>,
}

impl<W: Write> Archive<'_, W> {
    fn directory(&mut self, dir: OwnedFd, path: &Path) -> io::Result<()> {
        let metadata = File::from(dir.try_clone()?).metadata()?;
        self.entry(path, &metadata, EntryType::Directory)?;
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
            let mut header = self.header(&metadata, EntryType::Regular);
            header.set_size(0);
            return self.tar.append_data(&mut header, path, io::empty());
        }
        if metadata.nlink() > 1 {
            if let Some(first) = self.links.get(&metadata.ino()) {
                let mut header = self.header(&metadata, EntryType::Link);
                return self.tar.append_link(&mut header, path, first);
            }
            self.links.insert(metadata.ino(), path.to_owned());
        }
        if kind.is_symlink() {
            let target = nix::fcntl::readlinkat(file.as_fd(), "")?;
            self.time(&metadata)?;
            let mut header = self.header(&metadata, EntryType::Symlink);
            return self.tar.append_link(&mut header, path, target);
        }
        if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() {
            let entry = match () {
                () if kind.is_fifo() => EntryType::Fifo,
                () if kind.is_block_device() => EntryType::Block,
                () => EntryType::Char,
            };
            return self.entry(path, &metadata, entry);
        }
        self.content(path, &metadata, &File::open(link)?)
    }

    /// The time of the next entry's last change with what is smaller than a second, which its header has no place for.
    fn time(&mut self, metadata: &Metadata) -> io::Result<()> {
        let time = format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec());
        self.tar.append_pax_extensions([("mtime", time.as_bytes())])
    }

    /// Adds what has no content of its own.
    fn entry(&mut self, path: &Path, metadata: &Metadata, kind: EntryType) -> io::Result<()> {
        self.time(metadata)?;
        let mut header = self.header(metadata, kind);
        if [EntryType::Char, EntryType::Block].contains(&kind) {
            header.set_device_major(libc::major(metadata.rdev()))?;
            header.set_device_minor(libc::minor(metadata.rdev()))?;
        }
        self.tar.append_data(&mut header, path, io::empty())
    }

    /// Adds a regular file. Its holes are left out, as tar(1) does with `--sparse`, in the format of GNU tar.
    fn content(&mut self, path: &Path, metadata: &Metadata, file: &File) -> io::Result<()> {
        self.time(metadata)?;
        let mut header = self.header(metadata, EntryType::Regular);
        let size = metadata.size();
        let parts = parts(file, size)?;
        let content_size = parts.iter().map(|part| part.end - part.start).sum();
        if content_size == size {
            header.set_size(size);
            return self.tar.append_data(&mut header, path, file);
        }
        header.set_entry_type(EntryType::GNUSparse);
        header.set_size(content_size);
        let gnu = header.as_gnu_mut().ok_or(io::ErrorKind::InvalidInput)?;
        gnu.set_real_size(size);
        let (first, rest) = parts.split_at(parts.len().min(gnu.sparse.len()));
        set_parts(&mut gnu.sparse, first);
        gnu.set_is_extended(!rest.is_empty());
        let mut more = Vec::new();
        let mut left = rest.chunks(GnuExtSparseHeader::new().sparse.len()).peekable();
        while let Some(chunk) = left.next() {
            let mut extension = GnuExtSparseHeader::new();
            set_parts(&mut extension.sparse, chunk);
            extension.set_is_extended(left.peek().is_some());
            more.extend_from_slice(extension.as_bytes());
        }
        let content = Parts { file, left: parts.into() };
        self.tar.append_data(&mut header, path, more.as_slice().chain(content))
    }

    fn header(&self, metadata: &Metadata, kind: EntryType) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(self.maps.uid(metadata.uid()).into());
        header.set_gid(self.maps.gid(metadata.gid()).into());
        header.set_mtime(metadata.mtime().max(0) as u64);
        header.set_size(0);
        header
    }
}

/// Where a file has content, by `SEEK_DATA` and `SEEK_HOLE` of lseek(2). A hole at the end is followed by an empty part, so
/// that the last one says where the file ends.
fn parts(file: &File, size: u64) -> io::Result<Vec<Range<u64>>> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match lseek(file, at as i64, Whence::SeekData) {
            Ok(start) => start as u64,
            Err(nix::Error::ENXIO) => {
                parts.push(size..size);
                break;
            }
            Err(errno) => return Err(errno.into()),
        };
        at = lseek(file, start as i64, Whence::SeekHole)? as u64;
        parts.push(start..at);
    }
    lseek(file, 0, Whence::SeekSet)?;
    Ok(parts)
}

fn set_parts(places: &mut [GnuSparseHeader], parts: &[Range<u64>]) {
    for (place, part) in places.iter_mut().zip(parts) {
        place.set_offset(part.start);
        place.set_length(part.end - part.start);
    }
}

/// Parts of a file, one behind the other.
struct Parts<'a> {
    file: &'a File,
    left: VecDeque<Range<u64>>,
}

impl Read for Parts<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.front().is_some_and(Range::is_empty) {
            self.left.pop_front();
        }
        let Some(part) = self.left.front_mut() else { return Ok(0) };
        let len = (part.end - part.start).min(buffer.len() as u64) as usize;
        let read = self.file.read_at(&mut buffer[..len], part.start)?;
        part.start += read as u64;
        Ok(read)
    }
}
