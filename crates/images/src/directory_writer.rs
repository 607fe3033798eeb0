//! Writes a dump into a directory. Nothing is a dump until `inventory.img` is there, and that comes last and at once.

use crate::digest::Digest;
use crate::directory::{Directory, INVENTORY, PARENT, STATE, create, is_link, names, open};
use crate::error::{Error, Result};
use crate::format::{self, Type};
use crate::manifest::{Content, Digester, MANIFEST, Manifest};
use crate::messages::InventoryEntry;
use crate::page_server::{PageServer, PagesSender};
use crate::pages::PagesWriter;
use crate::reader::{has_magic, is_without_magics};
use crate::writer::Writer;
use nix::fcntl::renameat;
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{Gid, UnlinkatFlags, fchown, symlinkat, unlinkat};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// `inventory.img` before it is whole. Not an image by its name.
const INVENTORY_PART: &str = "inventory.img.part";

const GROUP_READS: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR).union(Mode::S_IRGRP);

/// A dump that is being written.
///
/// Every file is made anew, with mode 0600 unless a group may read it, and is in the manifest in the end. Dropped before
/// `commit`, it removes what it wrote.
///
/// Nothing is synchronized, as CRIU does not either: it would take as long as the disk does, while tasks wait. What a
/// crash of the machine, not of floe, can do within seconds of a dump is that files have lost their end or content
/// although `inventory.img` is there. The manifest then tells that, and they are not restored. A caller to whom the dump
/// is worth the time calls syncfs(2) after `commit`.
#[derive(Debug)]
pub struct DirectoryWriter {
    dir: OwnedFd,
    /// Who may read the files beside their owner.
    group: Option<Gid>,
    /// Those that are whole.
    files: BTreeMap<String, Content>,
    parent: Option<Digest>,
    /// Where pages and their maps go instead.
    page_server: Option<PagesSender>,
    /// All that were made, for removal.
    made: Vec<String>,
    is_complete: bool,
}

/// A file on its way to the disk and, hashed, into the manifest.
#[derive(Debug)]
pub struct Output(BufWriter<Digested>);

#[derive(Debug)]
struct Digested {
    file: File,
    digester: Digester,
}

impl DirectoryWriter {
    /// Begins a dump in an existing directory. If there is one already, also one that was not finished, all its images
    /// are removed, because CRIU, which has no manifest, would take what is left of the old one for part of the new one.
    /// A file that is named like an image and is none is an error; others stay.
    pub fn new(dir: OwnedFd) -> Result<DirectoryWriter> {
        let (files, made) = (BTreeMap::new(), Vec::new());
        let (parent, page_server) = (None, None);
        let writer =
            DirectoryWriter { dir, group: None, files, parent, page_server, made, is_complete: false };
        // First, because from here on the old dump is not complete.
        writer.unlink(INVENTORY)?;
        writer.unlink(MANIFEST)?;
        writer.unlink(STATE)?;
        writer.unlink(INVENTORY_PART)?;
        for name in names(writer.dir.as_fd())?.iter().filter(|name| name.ends_with(".img")) {
            if !writer.is_of_a_dump(name)? {
                return Err(Error::refused(name, "in the way: named like an image, but none"));
            }
            writer.unlink(name)?;
        }
        if is_link(writer.dir.as_fd(), PARENT) {
            writer.unlink(PARENT)?;
        }
        Ok(writer)
    }

    /// Lets a group read all files that are made from now on.
    pub fn readable_by(&mut self, gid: u32) {
        self.group = Some(Gid::from_raw(gid));
    }

    /// Has pages and their maps go to a page server.
    pub fn send_pages_to(&mut self, server: &PageServer) -> Result<()> {
        self.page_server = Some(server.sender()?);
        Ok(())
    }

    /// Where pages and their maps go, if not here.
    pub fn page_server(&mut self) -> Option<&mut PagesSender> {
        self.page_server.as_mut()
    }

    /// Writes the image `name` of the type `image`; `write` adds its entries.
    pub fn image(
        &mut self,
        name: &str,
        image: &'static Type,
        write: impl FnOnce(&mut Writer<Output>) -> io::Result<()>,
    ) -> Result<()> {
        self.file(name, name, |output| {
            let mut writer = Writer::new(output, image)?;
            write(&mut writer)?;
            writer.finish()
        })
    }

    /// Writes the file `name` as bytes.
    pub fn raw(&mut self, name: &str, write: impl FnOnce(&mut Output) -> io::Result<()>) -> Result<()> {
        self.file(name, name, |mut output| {
            write(&mut output)?;
            Ok(output)
        })
    }

    /// Begins the file `name`; `finish` takes it back.
    pub fn begin(&mut self, name: &str) -> Result<Output> {
        let file = self.create(name)?;
        Ok(Output(BufWriter::new(Digested { file, digester: Digester::default() })))
    }

    /// Takes a file that is written.
    pub fn finish(&mut self, name: &str, output: Output) -> Result<()> {
        let written =
            output.0.into_inner().map_err(|error| Error::of_io(format!("write {name}"), error.error()))?;
        self.files.insert(name.to_owned(), written.digester.content());
        Ok(())
    }

    /// Makes `pages-ID.img` of `size` bytes; `finish_pages` takes it back.
    pub fn pages(&mut self, pages_id: u32, size: u64) -> Result<PagesWriter> {
        let name = format!("pages-{pages_id}.img");
        let file = self.create(&name)?;
        Ok(PagesWriter::new(name, file, size))
    }

    /// Takes pages that are written.
    pub fn finish_pages(&mut self, pages: PagesWriter) -> Result<()> {
        let (name, content) = pages.finish()?;
        self.files.insert(name, content);
        Ok(())
    }

    /// Names the directory that has the pages which this dump lacks: `path`, relative to this one, is where `parent` was
    /// opened.
    pub fn link_parent(&mut self, path: &Path, parent: &Directory) -> Result<()> {
        let failed = |errno| Error::of_kernel(format!("link {PARENT} to {}", path.display()), errno);
        symlinkat(path, &self.dir, PARENT).map_err(failed)?;
        self.made.push(PARENT.to_owned());
        self.parent = parent.digest();
        Ok(())
    }

    /// Leaves the files for a dump whose inventory is another's to write.
    pub fn keep(mut self) {
        self.is_complete = true;
    }

    /// Writes the manifest and then, at once, `inventory.img`: the dump is complete. A page server has all pages before that.
    /// Returns what tells it from others.
    pub fn commit(mut self, inventory: &InventoryEntry) -> Result<Digest> {
        let is_missing = |name: &&String| *name != PARENT && !self.files.contains_key(*name);
        if let Some(name) = self.made.iter().find(is_missing) {
            return Err(Error::refused(name, "not finished"));
        }
        let page_server = self.page_server.take();
        let has_pages_elsewhere = page_server.is_some();
        page_server.map(PagesSender::close).transpose()?;
        self.file(INVENTORY, INVENTORY_PART, |output| {
            let mut writer = Writer::new(output, &format::INVENTORY)?;
            writer.entry(inventory)?;
            writer.finish()
        })?;
        let mut manifest = Manifest::new(std::mem::take(&mut self.files), self.parent);
        manifest.page_server = has_pages_elsewhere;
        let (manifest, digest) = manifest.text();
        let mut file = self.create(MANIFEST)?;
        file.write_all(manifest.as_bytes())
            .map_err(|error| Error::of_io(format!("write {MANIFEST}"), &error))?;
        renameat(&self.dir, INVENTORY_PART, &self.dir, INVENTORY)
            .map_err(|errno| Error::of_kernel(format!("rename {INVENTORY_PART} to {INVENTORY}"), errno))?;
        self.is_complete = true;
        Ok(digest)
    }

    /// Whether a file that is named like an image is one, or was to become one when floe was killed.
    fn is_of_a_dump(&self, name: &str) -> Result<bool> {
        let Some((file, size)) = open(self.dir.as_fd(), name)? else { return Ok(true) };
        let failed = |error| Error::of_io(format!("read {name}"), &error);
        Ok(is_without_magics(name) || size == 0 || has_magic(&file).map_err(failed)?)
    }

    /// Writes a file under the name `path` that is `name` in the manifest.
    fn file(
        &mut self,
        name: &str,
        path: &str,
        write: impl FnOnce(Output) -> io::Result<Output>,
    ) -> Result<()> {
        let output = self.begin(path)?;
        let output = write(output).map_err(|error| Error::of_io(format!("write {name}"), &error))?;
        self.finish(name, output)
    }

    /// Makes an empty file in place of what has its name.
    fn create(&mut self, name: &str) -> Result<File> {
        assert!(!name.contains('/'), "{name} is not a name in a directory of images");
        self.unlink(name)?;
        let file = create(self.dir.as_fd(), name)?;
        self.made.push(name.to_owned());
        if let Some(gid) = self.group {
            let readable = fchown(&file, None, Some(gid)).and_then(|()| fchmod(&file, GROUP_READS));
            readable.map_err(|errno| Error::of_kernel(format!("let group {gid} read {name}"), errno))?;
        }
        Ok(file)
    }

    fn unlink(&self, name: &str) -> Result<()> {
        match unlinkat(&self.dir, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
            Err(errno) => Err(Error::of_kernel(format!("remove {name}"), errno)),
        }
    }
}

/// Writes a file anew, with the mode and the group of the one that it replaces, at once.
pub(crate) fn replace(dir: BorrowedFd<'_>, name: &str, content: &[u8]) -> Result<()> {
    let part = format!("{name}.part");
    let of_kernel = |errno| Error::of_kernel(format!("replace {name}"), errno);
    match unlinkat(dir, part.as_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(nix::Error::ENOENT) => {}
        Err(errno) => return Err(of_kernel(errno)),
    }
    let old = open(dir, name)?.ok_or_else(|| Error::refused(name, "missing"))?.0;
    let old = fstat(&old).map_err(of_kernel)?;
    let mut file = create(dir, &part)?;
    fchown(&file, None, Some(Gid::from_raw(old.st_gid)))
        .and_then(|()| fchmod(&file, Mode::from_bits_truncate(old.st_mode)))
        .map_err(of_kernel)?;
    file.write_all(content).map_err(|error| Error::of_io(format!("write {part}"), &error))?;
    renameat(dir, part.as_str(), dir, name).map_err(of_kernel)
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Write for Digested {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digester.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for DirectoryWriter {
    fn drop(&mut self) {
        if self.is_complete {
            return;
        }
        for name in &self.made {
            // Nobody is left to be told; without an inventory it is no dump anyway.
            let _ = self.unlink(name);
        }
    }
}
