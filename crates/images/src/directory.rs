//! Opens the files of a dump. The directory is a stranger's: it is flat, only regular files are opened, and no link is
//! followed.

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::format::Type;
use crate::manifest::{Content, MANIFEST, Manifest};
use crate::pages::PagesReader;
use crate::reader::{Reader, Source};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::libc;
use nix::sys::stat::Mode;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use sys::path::{RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2};

/// The image that is written last: where it is not, there is no dump.
pub const INVENTORY: &str = "inventory.img";

/// What CRIU's images have no place for; text that only floe writes and reads.
pub const STATE: &str = "floe-state.json";
/// The link to the directory of an earlier dump, which has the pages that this one lacks.
pub(crate) const PARENT: &str = "parent";

/// A directory with a dump, floe's or CRIU's.
///
/// With a manifest (`floe-manifest.json`, which CRIU does not write) only the files that it names can be opened, they have
/// the sizes that it says, and images the content that was written. For all others, `verify` and `verify_pages` tell.
#[derive(Debug)]
pub struct Directory {
    dir: OwnedFd,
    manifest: Option<Manifest>,
}

/// The bytes of an image: a small one is read at once, as most of them are, and a large one, like that of a deleted file,
/// stays where it is.
#[derive(Debug)]
pub enum ImageFile {
    Small(Vec<u8>),
    Large(File),
}

/// Bytes up to which an image is small.
const SMALL: u64 = 1 << 20;

impl Source for ImageFile {
    fn size(&self) -> io::Result<u64> {
        match self {
            ImageFile::Small(bytes) => Ok(bytes.len() as u64),
            ImageFile::Large(file) => file.size(),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            ImageFile::Small(bytes) => bytes.as_slice().read_at(buffer, offset),
            ImageFile::Large(file) => file.read_exact_at(buffer, offset),
        }
    }
}

impl Directory {
    /// Reads the manifest, if there is one. A damaged one is refused.
    pub fn new(dir: OwnedFd) -> Result<Directory> {
        let manifest = open(dir.as_fd(), MANIFEST)?.map(|(file, _)| Manifest::read(&file)).transpose()?;
        Ok(Directory { dir, manifest })
    }

    /// False for what CRIU wrote: it can be read, but not verified.
    pub fn has_manifest(&self) -> bool {
        self.manifest.is_some()
    }

    /// What tells this dump from every other; `None` where there is no manifest.
    pub fn digest(&self) -> Option<Digest> {
        self.manifest.as_ref()?.digest()
    }

    /// Whether pages and their maps went to a page server.
    pub fn has_pages_elsewhere(&self) -> bool {
        self.manifest.as_ref().is_some_and(|manifest| manifest.page_server)
    }

    /// The directory that the link `parent` leads to, if there is one: that of the dump before this one. It lies beside or
    /// below this one, and is the dump that was there: one with a manifest is the parent only of dumps that know its
    /// digest, so that a stranger's images cannot have the pages of somebody else's. What a page server has written has no
    /// manifest, unless the other images of that dump were put beside it.
    pub fn parent(&self) -> Result<Option<Directory>> {
        let target = match readlinkat(&self.dir, PARENT) {
            Ok(target) => PathBuf::from(target),
            Err(Errno::EINVAL) => PathBuf::from(PARENT),
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(Error::of_kernel("read the link parent", errno)),
        };
        let parent = open_parent(self.dir.as_fd(), &target)?;
        let expected = self.manifest.as_ref().and_then(|manifest| manifest.parent);
        let is_of_server = self.has_pages_elsewhere() && !parent.has_manifest();
        if expected != parent.digest() && !is_of_server {
            return Err(Error::refused(
                PARENT,
                format!("{} is not the dump that was there", target.display()),
            ));
        }
        Ok(Some(parent))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The names of the files that the manifest has, sorted.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &str> {
        self.manifest.iter().flat_map(|manifest| manifest.files.keys().map(String::as_str))
    }

    /// All names in the directory, sorted, whatever they are the names of. One that is not UTF-8 gets replacement
    /// characters; no file of a dump has such a name.
    pub fn names(&self) -> Result<Vec<String>> {
        names(self.dir.as_fd())
    }

    /// The image `name`, which must be of the type `image`, or `None` where there is none: in CRIU's format that is an
    /// image without entries.
    pub fn image(&self, name: &str, image: &Type) -> Result<Option<Reader<ImageFile>>> {
        let Some((file, size)) = self.open(name)? else { return Ok(None) };
        let file = if size <= SMALL {
            let mut bytes = vec![0; size as usize];
            let read = file.read_exact_at(&mut bytes, 0);
            read.map_err(|error| Error::of_io(format!("read {name}"), &error))?;
            ImageFile::Small(bytes)
        } else {
            ImageFile::Large(file)
        };
        if let Some(content) = self.content(name) {
            content.check(name, &file)?;
        }
        Reader::new(name, file)?.expect(image).map(Some)
    }

    /// The file `name` as bytes: pages, a netlink dump, an archive.
    pub fn raw(&self, name: &str) -> Result<Option<File>> {
        Ok(self.open(name)?.map(|(file, _)| file))
    }

    /// The pages in the file `name`.
    pub fn pages(&self, name: &str) -> Result<Option<PagesReader>> {
        let file = self.open(name)?;
        Ok(file.map(|(file, size)| PagesReader::new(name, file, size, self.content(name).copied())))
    }

    /// The content of the file `name`, which is refused when it is longer than `limit` bytes.
    pub fn bytes(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some((file, size)) = self.open(name)? else { return Ok(None) };
        if size > limit {
            return Err(Error::refused(name, format!("of {size} bytes; {limit} are the limit")));
        }
        let mut bytes = vec![0; size as usize];
        let read = file.read_exact_at(&mut bytes, 0);
        read.map_err(|error| Error::of_io(format!("read {name}"), &error))?;
        if let Some(content) = self.content(name) {
            content.check(name, &bytes.as_slice())?;
        }
        Ok(Some(bytes))
    }

    /// Bytes of the file `name`.
    pub fn size(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.open(name)?.map(|(_, size)| size))
    }

    /// Checks all that the manifest says but the content of pages: every file is there and has its size, all but pages
    /// have the content that was written, and there is no other image. Other files, like `dump.log` and `stats-dump`, may
    /// be there. Without a manifest there is nothing to check.
    pub fn verify(&self) -> Result<()> {
        let Some(manifest) = &self.manifest else { return Ok(()) };
        let is_unlisted = |name: &String| name.ends_with(".img") && !manifest.allows(name);
        if let Some(name) = self.names()?.iter().find(|name| is_unlisted(name)) {
            return Err(unlisted(name));
        }
        for (name, content) in &manifest.files {
            let file = self.raw(name)?;
            if let Some(file) = file.filter(|_| !is_pages(name)) {
                content.check(name, &file)?;
            }
        }
        Ok(())
    }

    /// Checks the content of pages but of those that somebody else verifies. That takes as long as to read them, and may be
    /// done while tasks read them too, as long as none of them runs before.
    pub fn verify_pages(&self, is_elsewhere: impl Fn(&str) -> bool) -> Result<()> {
        let names = self.manifest.iter().flat_map(|manifest| manifest.files.keys());
        for name in names.filter(|name| is_pages(name) && !is_elsewhere(name)) {
            if let Some(pages) = self.pages(name)? {
                pages.verify()?;
            }
        }
        Ok(())
    }

    /// Opens a file and tells its size. One that the manifest has is there.
    fn open(&self, name: &str) -> Result<Option<(File, u64)>> {
        let file = open(self.dir.as_fd(), name)?;
        match (&self.manifest, self.content(name), &file) {
            (_, Some(content), Some((_, size))) => content.check_size(name, *size)?,
            (_, Some(_), None) => return Err(Error::refused(name, "missing")),
            (Some(manifest), None, Some(_)) if !manifest.allows(name) => return Err(unlisted(name)),
            _ => {}
        }
        Ok(file)
    }

    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    pub(crate) fn manifest_mut(&mut self) -> Option<&mut Manifest> {
        self.manifest.as_mut()
    }

    pub(crate) fn content(&self, name: &str) -> Option<&Content> {
        self.manifest.as_ref()?.files.get(name)
    }
}

/// The directory of a dump at `path`, which is relative to `dir` and leads to one beside or below it.
pub fn open_parent(dir: BorrowedFd<'_>, path: &Path) -> Result<Directory> {
    let failed = |errno| Error::of_kernel(format!("{PARENT}: open {}", path.display()), errno);
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let path = path.strip_prefix(".").unwrap_or(path);
    let opened = match path.strip_prefix("..") {
        Ok(beside) => {
            let above = openat(dir, "..", OFlag::from_bits_retain(flags), Mode::empty());
            openat2(above.map_err(|errno| failed(errno.into()))?.as_fd(), beside, flags, 0, RESOLVE_BENEATH)
        }
        Err(_) => openat2(dir, path, flags, 0, RESOLVE_BENEATH),
    };
    match opened {
        Ok(fd) => Directory::new(fd),
        Err(errno) if errno.raw() == libc::EXDEV => {
            let why = format!("{} leads elsewhere than beside the images", path.display());
            Err(Error::refused(PARENT, why))
        }
        Err(errno) => Err(failed(errno)),
    }
}

/// Makes an empty file where there is none.
pub(crate) fn create(dir: BorrowedFd<'_>, name: &str) -> Result<File> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let made = openat2(dir, name, flags, 0o600, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    Ok(File::from(made.map_err(|errno| Error::of_kernel(format!("create {name}"), errno))?))
}

pub(crate) fn is_link(dir: BorrowedFd<'_>, name: &str) -> bool {
    readlinkat(dir, name).is_ok()
}

fn unlisted(name: &str) -> Error {
    Error::refused(name, format!("not one of the files that {MANIFEST} has"))
}

fn is_pages(name: &str) -> bool {
    name.starts_with("pages-")
}

pub(crate) fn names(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    let failed = |errno| Error::of_kernel("read the directory of images", errno);
    // Opened again, because the position in a directory belongs to the open file.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut entries = Dir::openat(dir, ".", flags, Mode::empty()).map_err(failed)?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Opens a regular file for reading, and tells its size in bytes.
pub(crate) fn open(dir: BorrowedFd<'_>, name: &str) -> Result<Option<(File, u64)>> {
    if name.contains('/') {
        return Err(Error::refused(name, "not a name in a directory of images"));
    }
    let irregular = || Error::refused(name, "not a regular file");
    // Opening a FIFO would wait, opening a terminal would make it ours.
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = match openat2(dir, name, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS) {
        Ok(fd) => File::from(fd),
        Err(errno) if errno.raw() == libc::ENOENT => return Ok(None),
        // A symbolic link, a socket.
        Err(errno) if [libc::ELOOP, libc::ENXIO].contains(&errno.raw()) => return Err(irregular()),
        Err(errno) => return Err(Error::of_kernel(format!("open {name}"), errno)),
    };
    let metadata = file.metadata().map_err(|error| Error::of_io(format!("open {name}"), &error))?;
    if metadata.is_file() { Ok(Some((file, metadata.len()))) } else { Err(irregular()) }
}
