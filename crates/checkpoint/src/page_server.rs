//! The other end of a dump that sends its pages: a directory gets `pages-N.img` and the maps, which belong to the images
//! that the dump has written elsewhere. What comes is a stranger's, and only as large as what is sent.

use crate::error::{At, Error, Result};
use crate::memory;
use crate::snapshot::{PAGE_SIZE, PageMap, check_page_map, names, page_map, pagemap, run_end};
use images::messages::PagemapHead;
use images::page_server::{Command, Memory};
use images::{Directory, DirectoryWriter, Output, PIECE, Writer, format};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// As CRIU numbers them, so that those of a dump beside it are others.
const FIRST_PAGES_ID: u32 = 0x1_0001;

/// Takes the pages of one dump. What it has of one that is cut off is removed.
#[derive(Debug)]
pub struct PageReceiver {
    directory: DirectoryWriter,
    parent: Option<Directory>,
    next_pages_id: u32,
    /// What has been sent.
    known: BTreeSet<Memory>,
}

/// A map of pages that is being received.
struct Receiving {
    of: Memory,
    name: String,
    map: Writer<Output>,
    pages_name: String,
    pages: Output,
    /// Behind the last run.
    end: u64,
    parent: Option<PageMap>,
}

impl PageReceiver {
    /// Begins in the directory `images`, whose old dump is removed. `parent` is the directory with the pages of the dump
    /// before, relative to it.
    pub fn new(images: OwnedFd, parent: Option<&Path>) -> Result<PageReceiver> {
        let opened = parent.map(|path| images::open_parent(images.as_fd(), path)).transpose()?;
        let mut directory = DirectoryWriter::new(images)?;
        if let (Some(path), Some(opened)) = (parent, &opened) {
            directory.link_parent(path, opened)?;
        }
        Ok(PageReceiver { directory, parent: opened, next_pages_id: FIRST_PAGES_ID, known: BTreeSet::new() })
    }

    /// Takes what comes, until all has.
    ///
    /// # Errors
    /// The stream is cut off, or what it says makes no sense. Nothing is left then.
    pub fn receive(mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        let mut receiving: Option<Receiving> = None;
        loop {
            let command = Command::read(stream).map_err(|error| lost(&error))?;
            match command.ok_or_else(|| Error::new("the stream of pages ends before it is closed"))? {
                Command::Open(of) => receiving = Some(self.open(receiving, of)?),
                Command::OpenAndTell(of) => {
                    let opened = self.open(receiving, of)?;
                    let has_parent = u8::from(opened.parent.is_some());
                    receiving = Some(opened);
                    stream.write_all(&[has_parent]).map_err(|error| lost(&error))?;
                }
                Command::HasParent(of) => {
                    let has_parent = i32::from(self.parent_map(of)?.is_some());
                    stream.write_all(&has_parent.to_le_bytes()).map_err(|error| lost(&error))?;
                }
                Command::Add { of, flags, vaddr, nr_pages } => match &mut receiving {
                    Some(receiving) if receiving.of == of => receiving.add(flags, vaddr, nr_pages, stream)?,
                    _ => return Err(Error::new(format!("{of}: pages of what was not opened"))),
                },
                Command::Get { pid, .. } => {
                    return Err(Error::new(format!("task {pid}: asked for its pages, which are sent here")));
                }
                Command::Close => {
                    self.finish(receiving)?;
                    self.directory.keep();
                    return stream.write_all(&0_i32.to_le_bytes()).map_err(|error| lost(&error));
                }
            }
        }
    }

    fn open(&mut self, last: Option<Receiving>, of: Memory) -> Result<Receiving> {
        self.finish(last)?;
        if !self.known.insert(of) {
            return Err(Error::new(format!("{of}: its pages are sent twice")));
        }
        let parent = self.parent_map(of)?;
        let pages_id = self.next_pages_id;
        self.next_pages_id += 1;
        let (name, pages_name) = (map_name(of), names::pages(pages_id));
        let map = Writer::new(self.directory.begin(&name)?, &format::PAGEMAP);
        let map = map.and_then(|mut map| map.entry(&PagemapHead { pages_id }).map(|()| map));
        let map = map.at(|| format!("write {name}"))?;
        let pages = self.directory.begin(&pages_name)?;
        Ok(Receiving { of, name, map, pages_name, pages, end: 0, parent })
    }

    fn finish(&mut self, received: Option<Receiving>) -> Result<()> {
        let Some(Receiving { name, map, pages_name, pages, .. }) = received else { return Ok(()) };
        let map = map.finish().at(|| format!("write {name}"))?;
        self.directory.finish(&name, map)?;
        Ok(self.directory.finish(&pages_name, pages)?)
    }

    fn parent_map(&self, of: Memory) -> Result<Option<PageMap>> {
        let Some(parent) = &self.parent else { return Ok(None) };
        let name = map_name(of);
        let map = page_map(parent, &name)?;
        map.iter().try_for_each(|map| check_page_map(&name, map))?;
        Ok(map)
    }
}

impl Receiving {
    fn add(&mut self, flags: u32, vaddr: u64, nr_pages: u64, stream: &mut impl Read) -> Result<()> {
        let of = self.of;
        let refused = |why: &str| Err(Error::new(format!("{of}: {nr_pages} pages at {vaddr:#x}: {why}")));
        let end = nr_pages.checked_mul(PAGE_SIZE).and_then(|size| vaddr.checked_add(size));
        let Some(end) = end.filter(|_| nr_pages > 0 && vaddr.is_multiple_of(PAGE_SIZE)) else {
            return refused("no range of pages");
        };
        if vaddr < self.end {
            return refused("not after those before");
        }
        match flags & !pagemap::LAZY {
            pagemap::PRESENT => {}
            pagemap::PARENT if self.parent.as_ref().is_some_and(|map| covers(map, vaddr, end)) => {}
            pagemap::PARENT => return refused("the parent has not all of them"),
            _ => return refused(&format!("flags {flags:#x} are not known")),
        }
        self.end = end;
        let mut run = Vec::new();
        memory::add(&mut run, vaddr, end, flags);
        run.iter().try_for_each(|run| self.map.entry(run)).at(|| format!("write {}", self.name))?;
        if flags & pagemap::PRESENT == 0 {
            return Ok(());
        }
        let mut buffer = vec![0; PIECE.min(end - vaddr) as usize];
        let mut left = end - vaddr;
        while left > 0 {
            let piece = &mut buffer[..left.min(PIECE) as usize];
            stream.read_exact(piece).map_err(|error| lost(&error))?;
            self.pages.write_all(piece).at(|| format!("write {}", self.pages_name))?;
            left -= piece.len() as u64;
        }
        Ok(())
    }
}

fn map_name(of: Memory) -> String {
    match of {
        Memory::OfTask(pid) => names::pagemap(pid),
        Memory::Shared(id) => names::shmem(id),
    }
}

/// Whether a map has all pages of a range.
fn covers(map: &PageMap, start: u64, end: u64) -> bool {
    let mut at = start;
    for run in &map.runs[map.first_beyond(start)..] {
        if run.vaddr > at {
            return false;
        }
        at = run_end(run);
        if at >= end {
            return true;
        }
    }
    false
}

fn lost(error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => Error::new("the stream of pages is cut off"),
        _ => Error::new(format!("the stream of pages: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    /// What one sends, and what is answered.
    struct Session<'a> {
        sent: &'a [u8],
        answers: Vec<u8>,
    }

    impl Read for Session<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.sent.read(buffer)
        }
    }

    impl Write for Session<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.answers.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record(command: u32, nr_pages: u64, vaddr: u64, dst_id: u64) -> Vec<u8> {
        let words = [u64::from(command), nr_pages, vaddr, dst_id];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    const OPEN: u32 = 4;
    const PAGES: u32 = 4 << 16 | 6;
    const OF_PARENT: u32 = 1 << 16 | 6;
    const CLOSE: u32 = 0x1023;
    const TASK: u64 = 1 << 8 | 1;

    /// The answers, or why not, and which files are left.
    fn receive(
        dir: &Path,
        parent: Option<&str>,
        sent: &[u8],
    ) -> (std::result::Result<Vec<u8>, String>, Vec<String>) {
        let images = File::open(dir).expect("a directory").into();
        let receiver = PageReceiver::new(images, parent.map(Path::new)).expect("begun");
        let mut session = Session { sent, answers: Vec::new() };
        let received = receiver.receive(&mut session).map(|()| session.answers);
        let entries = fs::read_dir(dir).expect("read").map(|entry| entry.expect("read").file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().expect("text")).collect();
        names.sort();
        (received.map_err(|error| error.to_string()), names)
    }

    #[test]
    fn two_dumps_of_which_one_is_the_parent() {
        let dir = tempfile::tempdir().expect("a directory");
        let (first, second) = (dir.path().join("1"), dir.path().join("2"));
        [&first, &second].iter().for_each(|dir| fs::create_dir(dir).expect("mkdir"));
        let bytes = [7; 2 * 4096];
        let sent = [record(OPEN, 0, 0, TASK), record(PAGES, 2, 0x1000, TASK), bytes.to_vec()].concat();
        let close = record(CLOSE, 0, 0, 0);
        let (answers, names) = receive(&first, None, &[sent, close.clone()].concat());
        assert_eq!(answers, Ok(vec![0, 0, 0, 0, 0]));
        assert_eq!(names, ["pagemap-1.img", "pages-65537.img"]);
        assert_eq!(fs::read(first.join("pages-65537.img")).expect("read"), bytes);
        let sent = [record(OPEN, 0, 0, TASK), record(OF_PARENT, 2, 0x1000, TASK), close].concat();
        let (answers, names) = receive(&second, Some("../1"), &sent);
        assert_eq!(answers, Ok(vec![1, 0, 0, 0, 0]));
        assert_eq!(names, ["pagemap-1.img", "pages-65537.img", "parent"]);
        let beyond = [record(OPEN, 0, 0, TASK), record(OF_PARENT, 3, 0x1000, TASK)].concat();
        let (refused, names) = receive(&second, Some("../1"), &beyond);
        assert_eq!(refused, Err("task 1: 3 pages at 0x1000: the parent has not all of them".to_owned()));
        assert!(names.is_empty(), "{names:?}");
    }

    #[test]
    fn what_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let check = |records: &[Vec<u8>], why: &str| {
            let (refused, names) = receive(dir.path(), None, &records.concat());
            assert_eq!(refused, Err(why.to_owned()));
            assert!(names.is_empty(), "{names:?}");
        };
        let open = || record(OPEN, 0, 0, TASK);
        let page = || [record(PAGES, 1, 0x1000, TASK), vec![1; 4096]].concat();
        check(&[], "the stream of pages ends before it is closed");
        check(&[open(), page()], "the stream of pages ends before it is closed");
        check(&[open(), page()[..4000].to_vec()], "the stream of pages is cut off");
        check(&[open(), page()[..20].to_vec()], "the stream of pages is cut off");
        check(&[page()], "task 1: pages of what was not opened");
        check(&[open(), open()], "task 1: its pages are sent twice");
        check(&[open(), page(), page()], "task 1: 1 pages at 0x1000: not after those before");
        let run = |nr_pages, vaddr| record(PAGES, nr_pages, vaddr, TASK);
        check(&[open(), run(0, 0x1000)], "task 1: 0 pages at 0x1000: no range of pages");
        check(&[open(), run(1, 0x1001)], "task 1: 1 pages at 0x1001: no range of pages");
        check(&[open(), run(1 << 60, 0)], "task 1: 1152921504606846976 pages at 0x0: no range of pages");
        let last = u64::MAX - 4095;
        check(&[open(), run(1, last)], "task 1: 1 pages at 0xfffffffffffff000: no range of pages");
        check(&[open(), run(1 << 40, 0)], "the stream of pages is cut off");
        let flags = record(7 << 16 | 6, 1, 0, TASK);
        check(&[open(), flags], "task 1: 1 pages at 0x0: flags 0x7 are not known");
        let parent = record(OF_PARENT, 1, 0, TASK);
        check(&[open(), parent], "task 1: 1 pages at 0x0: the parent has not all of them");
        check(&[record(9, 0, 0, TASK)], "the stream of pages: 0x9 is no command of a page server");
    }
}
