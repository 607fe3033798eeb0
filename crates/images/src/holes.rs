//! Pages of a dump that are given up, because a later dump has them too: their space is freed, and zeros are read in their
//! place. The files keep their sizes, so everything else stays where it is.
//!
//! A manifest says what there is now, and first: it is replaced at once, and then the holes are made. Where that is cut off,
//! the dump is refused until the same holes are made again, which is possible: nothing but what was written, or what is to
//! become of it, is taken for a file's content.

use crate::digest::PIECE;
use crate::directory::{Directory, open};
use crate::directory_writer::replace;
use crate::error::{Error, Result};
use crate::manifest::{Content, Digester, MANIFEST};
use crate::reader::Source;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use sys::path::{RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2};

impl Directory {
    /// Gives up ranges of files with pages, in bytes and ascending, by the names of the files. Those who know this dump as
    /// their parent know it still, but it cannot be restored by itself any more (`has_holes`).
    ///
    /// # Errors
    /// A file is not what was written, or is on a file system without holes (`EOPNOTSUPP`): nothing has happened then.
    pub fn give_up(&mut self, holes: &BTreeMap<String, Vec<Range<u64>>>) -> Result<()> {
        let (mut files, mut contents) = (Vec::new(), Vec::new());
        for (name, ranges) in holes {
            let failed = |error: io::Error| Error::of_io(format!("read {name}"), &error);
            // What is opened for reading is a regular file.
            let (file, size) = open(self.fd(), name)?.ok_or_else(|| Error::refused(name, "missing"))?;
            if let Some(listed) = self.content(name) {
                listed.check_size(name, size)?;
                let now = content(&file, size, &[]).map_err(failed)?;
                let then = content(&file, size, ranges).map_err(failed)?;
                listed.check_digest(name, Some(if then == *listed { then } else { now }))?;
                contents.push((name.clone(), then));
            }
            let flags = libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
            let file = openat2(self.fd(), name, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
            let file = File::from(file.map_err(|errno| Error::of_kernel(format!("open {name}"), errno))?);
            // Behind the end nothing happens, but who cannot do it says so.
            free(&file, name, &(size..size + 1))?;
            files.push((file, name, ranges));
        }
        if let Some(manifest) = self.manifest_mut()
            && manifest.give_up(contents)
        {
            let (text, _) = manifest.text();
            replace(self.fd(), MANIFEST, text.as_bytes())?;
        }
        for (file, name, ranges) in files {
            ranges.iter().try_for_each(|range| free(&file, name, range))?;
        }
        Ok(())
    }

    /// Whether pages of it were given up. Of CRIU's dumps nobody knows.
    pub fn has_holes(&self) -> bool {
        self.manifest().is_some_and(|manifest| manifest.original.is_some())
    }
}

/// What is in a file, or would be with these holes.
fn content(file: &File, size: u64, holes: &[Range<u64>]) -> io::Result<Content> {
    let (mut digester, mut buffer) = (Digester::default(), vec![0; PIECE as usize]);
    for start in (0..size).step_by(PIECE as usize) {
        let end = (start + PIECE).min(size);
        let piece = &mut buffer[..(end - start) as usize];
        file.read_at(piece, start)?;
        let first = holes.partition_point(|hole| hole.end <= start);
        for hole in holes[first..].iter().take_while(|hole| hole.start < end) {
            piece[(hole.start.max(start) - start) as usize..(hole.end.min(end) - start) as usize].fill(0);
        }
        digester.update(piece);
    }
    Ok(digester.content())
}

fn free(file: &File, name: &str, range: &Range<u64>) -> Result<()> {
    let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let freed = fallocate(file.as_fd(), mode, range.start as i64, (range.end - range.start) as i64);
    freed.map_err(|errno| Error::of_kernel(format!("{name}: free its space"), errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory_writer::DirectoryWriter;
    use crate::messages::InventoryEntry;
    use std::fs;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::FileExt;

    const SIZE: u64 = PIECE + (64 << 10);
    const HOLES: [Range<u64>; 2] = [4096..8192, PIECE - 4096..PIECE + 8192];

    fn open_at(path: &std::path::Path) -> OwnedFd {
        File::open(path).expect("open").into()
    }

    fn dump() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = DirectoryWriter::new(open_at(dir.path())).expect("begun");
        let pages = writer.pages(1, SIZE).expect("made");
        let bytes = vec![7; SIZE as usize];
        bytes.chunks(PIECE as usize).enumerate().for_each(|(nth, piece)| pages.write(nth, piece).unwrap());
        writer.finish_pages(pages).expect("finished");
        writer.commit(&InventoryEntry { img_version: 2, ..Default::default() }).expect("committed");
        dir
    }

    fn give_up(dir: &tempfile::TempDir) -> Result<()> {
        let holes = BTreeMap::from([("pages-1.img".to_owned(), HOLES.to_vec())]);
        Directory::new(open_at(dir.path()))?.give_up(&holes)
    }

    #[test]
    fn zeros_that_the_manifest_has() {
        let dir = dump();
        let before = Directory::new(open_at(dir.path())).expect("a dump");
        assert!(!before.has_holes());
        for _ in 0..2 {
            give_up(&dir).expect("given up");
            let after = Directory::new(open_at(dir.path())).expect("a dump");
            assert!(after.has_holes());
            assert_eq!(after.digest(), before.digest(), "children know it no more");
            after.verify_pages(|_| false).expect("what the manifest says");
        }
        let bytes = fs::read(dir.path().join("pages-1.img")).expect("read");
        let expected = |at: &u64| if HOLES.iter().any(|hole| hole.contains(at)) { 0 } else { 7 };
        assert!((0..SIZE).all(|at| bytes[at as usize] == expected(&at)));
    }

    /// Cut off between the manifest and the holes, it is refused until it is done again.
    #[test]
    fn cut_off_and_begun_anew() {
        let dir = dump();
        let path = dir.path().join("pages-1.img");
        let whole = fs::read(&path).expect("read");
        give_up(&dir).expect("given up");
        File::options().write(true).open(&path).expect("open").write_all_at(&whole, 0).expect("write");
        let verify = || Directory::new(open_at(dir.path())).expect("a dump").verify_pages(|_| false);
        verify().expect_err("the holes are not there");
        give_up(&dir).expect("given up");
        verify().expect("what the manifest says");
    }

    #[test]
    fn changed_content_is_not_made_good() {
        let dir = dump();
        let file = File::options().write(true).open(dir.path().join("pages-1.img")).expect("open");
        file.write_all_at(b"other", SIZE - 5).expect("write");
        let error = give_up(&dir).expect_err("changed").to_string();
        assert_eq!(error, "pages-1.img: not the content that was written: its digest is another");
        assert!(!Directory::new(open_at(dir.path())).expect("a dump").has_holes());
    }
}
