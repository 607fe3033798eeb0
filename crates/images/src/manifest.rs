//! `floe-manifest.json`: which files a dump has, how long each is, and its digest. It tells a dump that was
//! changed, cut off or mixed with another from a whole one, which CRIU's format cannot. It is no signature: whoever can
//! write the images can write it too.
//!
//! JSON, because people and other tools read it, and nothing in it is large or read often. The text is canonical: one
//! content has one text, and its last field is the digest of all that comes before. So no byte of it changes unnoticed.

use crate::digest::{Digest, PIECE};
use crate::error::{Error, Result};
use crate::reader::Source;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

/// The manifest's name in the directory.
pub const MANIFEST: &str = "floe-manifest.json";

const VERSION: u32 = 1;

/// Bytes: more than hundreds of thousands of files need, and little enough to read.
const SIZE_LIMIT: u64 = 64 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    version: u32,
    /// Version of the floe that wrote it; for people.
    floe: String,
    pub(crate) files: BTreeMap<String, Content>,
    /// Pages and their maps went to a page server: they are not in `files`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) page_server: bool,
    /// `xxh3` of the manifest in the parent directory, where some pages are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Digest>,
    /// `xxh3` of the manifest before pages were given up: later dumps know this one by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) original: Option<Digest>,
    /// Of the text without this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    xxh3: Option<Digest>,
}

/// What a file contains, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Content {
    /// Bytes.
    pub(crate) size: u64,
    xxh3: Digest,
}

impl Manifest {
    pub(crate) fn new(files: BTreeMap<String, Content>, parent: Option<Digest>) -> Manifest {
        let floe = env!("CARGO_PKG_VERSION").to_owned();
        Manifest { version: VERSION, floe, files, page_server: false, parent, original: None, xxh3: None }
    }

    /// The canonical text, and the digest in it.
    pub(crate) fn text(&mut self) -> (String, Digest) {
        self.xxh3 = None;
        let digest = Digest::of(self.json().as_bytes());
        self.xxh3 = Some(digest);
        (self.json(), digest)
    }

    /// Whether a file of this name may belong to the dump.
    pub(crate) fn allows(&self, name: &str) -> bool {
        let is_of_pages = name.starts_with("pages-") || name.starts_with("pagemap-");
        self.files.contains_key(name) || (self.page_server && is_of_pages)
    }

    /// What tells this dump from every other.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.original.or(self.xxh3)
    }

    /// Takes in what becomes of files with pages that are given up; `false` where it has that already.
    pub(crate) fn give_up(&mut self, contents: Vec<(String, Content)>) -> bool {
        if contents.iter().all(|(name, content)| self.files.get(name) == Some(content)) {
            return false;
        }
        self.original = self.digest();
        self.files.extend(contents);
        true
    }

    fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("names are strings") + "\n"
    }

    pub(crate) fn read(source: &impl Source) -> Result<Manifest> {
        let failed = |error| Error::of_io(format!("read {MANIFEST}"), &error);
        let size = source.size().map_err(failed)?;
        if size > SIZE_LIMIT {
            return Err(Error::refused(MANIFEST, format!("of {size} bytes; {SIZE_LIMIT} are the limit")));
        }
        let mut text = vec![0; size as usize];
        source.read_at(&mut text, 0).map_err(failed)?;
        Manifest::parse(&text)
    }

    fn parse(text: &[u8]) -> Result<Manifest> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let refused = |why: serde_json::Error| Error::refused(MANIFEST, why);
        // First, because another version may have other fields.
        let Version { version } = serde_json::from_slice(text).map_err(refused)?;
        if version != VERSION {
            return Err(Error::refused(MANIFEST, format!("version {version} is not known, only {VERSION}")));
        }
        let mut manifest: Manifest = serde_json::from_slice(text).map_err(refused)?;
        let digest = manifest.xxh3.take();
        let body = manifest.json();
        if digest != Some(Digest::of(body.as_bytes())) {
            return Err(Error::refused(MANIFEST, "not the content that was written: its digest is another"));
        }
        manifest.xxh3 = digest;
        if manifest.json().as_bytes() != text {
            return Err(Error::refused(MANIFEST, "its text is not as floe writes it"));
        }
        Ok(manifest)
    }
}

/// Makes a `Content` of bytes in their order.
#[derive(Debug, Default)]
pub(crate) struct Digester {
    /// Of the pieces behind which there are more bytes.
    pieces: Vec<Digest>,
    piece: Vec<u8>,
}

impl Digester {
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.piece.len() as u64 == PIECE {
                self.pieces.push(Digest::of(&self.piece));
                self.piece.clear();
            }
            let room = PIECE as usize - self.piece.len();
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.piece.extend_from_slice(now);
            bytes = rest;
        }
    }

    fn size(&self) -> u64 {
        self.pieces.len() as u64 * PIECE + self.piece.len() as u64
    }

    /// Goes on with what `source` has between what was hashed and its byte `end`.
    pub(crate) fn read(&mut self, source: &impl Source, end: u64) -> io::Result<()> {
        let mut buffer = vec![0; end.saturating_sub(self.size()).min(PIECE) as usize];
        while self.size() < end {
            let len = (end - self.size()).min(buffer.len() as u64) as usize;
            source.read_at(&mut buffer[..len], self.size())?;
            self.update(&buffer[..len]);
        }
        Ok(())
    }

    pub(crate) fn content(mut self) -> Content {
        let size = self.size();
        self.pieces.push(Digest::of(&self.piece));
        Content::new(size, Digest::of_pieces(&self.pieces))
    }
}

impl Content {
    pub(crate) fn new(size: u64, xxh3: Digest) -> Content {
        Content { size, xxh3 }
    }

    /// Refuses a `file` that is not of this size.
    pub(crate) fn check_size(&self, file: &str, size: u64) -> Result<()> {
        if size < self.size {
            return Err(Error::damaged(file, size, format!("cut off: {} bytes were written", self.size)));
        }
        if size > self.size {
            return Err(Error::damaged(
                file,
                self.size,
                format!("goes on: {size} bytes, but {} were written", self.size),
            ));
        }
        Ok(())
    }

    /// Refuses a `file` whose bytes are others than were written.
    pub(crate) fn check(&self, file: &str, source: &impl Source) -> Result<()> {
        let failed = |error| Error::of_io(format!("read {file}"), &error);
        self.check_size(file, source.size().map_err(failed)?)?;
        let mut digester = Digester::default();
        digester.read(source, self.size).map_err(failed)?;
        self.check_digest(file, Some(digester.content()))
    }

    /// The same of bytes that were hashed elsewhere.
    pub(crate) fn check_digest(&self, file: &str, found: Option<Content>) -> Result<()> {
        match found == Some(*self) {
            true => Ok(()),
            false => Err(Error::refused(file, "not the content that was written: its digest is another")),
        }
    }
}
