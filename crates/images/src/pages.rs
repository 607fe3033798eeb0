//! `pages-N.img`, which is large: it is written, read and hashed in pieces, each while it is in a processor's cache, in any
//! order and by any number of threads.

use crate::digest::{Digest, PIECE};
use crate::error::{Error, Result};
use crate::manifest::Content;
use crate::reader::Source;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// `pages-N.img` on its way to the disk and, hashed, into the manifest.
#[derive(Debug)]
pub struct PagesWriter {
    name: String,
    file: File,
    pieces: Pieces,
}

/// `pages-N.img` of a dump. What is read of it is verified in the end.
#[derive(Debug)]
pub struct PagesReader {
    name: String,
    file: File,
    pieces: Pieces,
    /// What was written, as far as that is known: CRIU does not say.
    content: Option<Content>,
}

/// What was hashed of a file.
#[derive(Debug)]
struct Pieces {
    size: u64,
    /// Of each piece, once it is hashed.
    digests: Vec<OnceLock<Digest>>,
}

impl PagesWriter {
    pub(crate) fn new(name: String, file: File, size: u64) -> PagesWriter {
        PagesWriter { name, file, pieces: Pieces::new(size) }
    }

    /// Writes and hashes all of a piece.
    pub fn write(&self, nth: usize, bytes: &[u8]) -> io::Result<()> {
        self.pieces.hash(nth, bytes);
        self.file.write_all_at(bytes, self.pieces.range(nth).start)
    }

    /// The name and what was written; every piece must have been.
    pub(crate) fn finish(self) -> Result<(String, Content)> {
        match self.pieces.content() {
            Some(content) => Ok((self.name, content)),
            None => Err(Error::refused(&self.name, "not all of it was written")),
        }
    }
}

impl PagesReader {
    pub(crate) fn new(name: &str, file: File, size: u64, content: Option<Content>) -> PagesReader {
        PagesReader { name: name.to_owned(), file, pieces: Pieces::new(size), content }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Bytes of the file when it was opened.
    pub fn size(&self) -> u64 {
        self.pieces.size
    }

    /// The number of pieces.
    pub fn pieces(&self) -> usize {
        self.pieces.digests.len()
    }

    /// Which pieces have these bytes of the file.
    pub fn pieces_of(&self, range: &Range<u64>) -> Range<usize> {
        (range.start / PIECE) as usize..range.end.div_ceil(PIECE) as usize
    }

    /// Which bytes of the file are the piece `nth`.
    pub fn piece(&self, nth: usize) -> Range<u64> {
        self.pieces.range(nth)
    }

    /// Whether nothing is left to do with a piece before `verify`.
    pub fn is_hashed(&self, nth: usize) -> bool {
        self.content.is_none() || self.pieces.digests[nth].get().is_some()
    }

    /// Reads a piece into the beginning of `buffer`, and hashes it if that was not done.
    pub fn read<'a>(&self, nth: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let range = self.piece(nth);
        buffer.resize(PIECE as usize, 0);
        let bytes = &mut buffer[..(range.end - range.start) as usize];
        let read = self.file.read_exact_at(bytes, range.start);
        read.map_err(|error| Error::of_io(format!("read {}", self.name), &error))?;
        if !self.is_hashed(nth) {
            self.pieces.hash(nth, bytes);
        }
        Ok(bytes)
    }

    /// Refuses content that is not what was written. Reads what was not read before.
    pub fn verify(&self) -> Result<()> {
        let Some(content) = &self.content else { return Ok(()) };
        let mut buffer = Vec::new();
        for nth in (0..self.pieces()).filter(|nth| !self.is_hashed(*nth)) {
            self.read(nth, &mut buffer)?;
        }
        let size = self.file.size().map_err(|error| Error::of_io(format!("read {}", self.name), &error))?;
        content.check_size(&self.name, size)?;
        content.check_digest(&self.name, self.pieces.content())
    }
}

impl Pieces {
    fn new(size: u64) -> Pieces {
        Pieces { size, digests: (0..size.div_ceil(PIECE)).map(|_| OnceLock::new()).collect() }
    }

    fn range(&self, nth: usize) -> Range<u64> {
        let start = nth as u64 * PIECE;
        start..(start + PIECE).min(self.size)
    }

    fn hash(&self, nth: usize, bytes: &[u8]) {
        let range = self.range(nth);
        assert_eq!(bytes.len() as u64, range.end - range.start, "not a piece");
        // Another thread may have been first, with the same.
        let _ = self.digests[nth].set(Digest::of(bytes));
    }

    /// `None` while a piece is not hashed.
    fn content(&self) -> Option<Content> {
        let digests: Option<Vec<Digest>> = self.digests.iter().map(|digest| digest.get().copied()).collect();
        Some(Content::new(self.size, Digest::of_pieces(&digests?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Digester;

    #[test]
    fn pieces_in_any_order_make_the_digest_of_the_file() {
        let bytes: Vec<u8> = (0..9 * PIECE + 4096).map(|n| (n % 251) as u8).collect();
        for pages in [0, 1, 63, 64, 65, 128, 129, 192, 320, 448, 513, 577] {
            let bytes = &bytes[..pages * 4096];
            let pieces = Pieces::new(bytes.len() as u64);
            for nth in (0..pieces.digests.len()).rev() {
                assert_eq!(pieces.content(), None);
                let range = pieces.range(nth);
                pieces.hash(nth, &bytes[range.start as usize..range.end as usize]);
            }
            let mut in_order = Digester::default();
            bytes.chunks(10_000).for_each(|chunk| in_order.update(chunk));
            assert_eq!(pieces.content(), Some(in_order.content()), "{pages} pages");
        }
    }
}
