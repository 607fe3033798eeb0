//! Reads an image, entry by entry. The file is a stranger's: a size is believed when the file is as long as it says.

use crate::error::{Error, Result};
use crate::format::{self, Frame, INNER, Payload, Type};
use crate::schema::{Message, Schema};
use crate::wire;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where an image's bytes are.
pub trait Source {
    /// Bytes in all.
    fn size(&self) -> io::Result<u64>;
    /// Fills `buffer` with what is at `offset`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Source for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl Source for &[u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.checked_add(buffer.len());
        let bytes = end.and_then(|end| self.get(start..end)).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// An image that is being read.
#[derive(Debug)]
pub struct Reader<S> {
    name: String,
    source: S,
    size: u64,
    /// Where the next entry begins.
    at: u64,
    image: &'static Type,
    /// Whether img_version 2's magic stands before the type's own.
    is_framed: bool,
    is_first: bool,
    /// Entries that still belong to the last one.
    inner: u32,
}

/// An entry, whose message is well-formed.
#[derive(Debug)]
pub struct Entry {
    /// Byte of the file at which its message begins.
    offset: u64,
    message: &'static Message,
    bytes: Vec<u8>,
    payload: Payload,
    payload_at: u64,
}

/// The first eight bytes say what a file is: the type, and whether a frame's magic comes first. `None` where it is no
/// image of messages.
fn identify(source: &impl Source, size: u64) -> io::Result<Option<(&'static Type, bool)>> {
    let mut magics = [0; 8];
    let there = size.min(8) as usize;
    source.read_at(&mut magics[..there], 0)?;
    let word = |at: usize| u32::from_le_bytes(magics[at..at + 4].try_into().expect("four bytes"));
    Ok(match (there, word(0)) {
        (8, frame @ (format::COMMON | format::SERVICE)) => {
            let expected = if frame == format::COMMON { Frame::Common } else { Frame::Service };
            Type::of_magic(word(4)).filter(|image| image.frame == expected).map(|image| (image, true))
        }
        (4..=8, magic) => Type::of_magic(magic).map(|image| (image, false)),
        _ => None,
    })
}

/// What CRIU writes without magics.
const WITHOUT_MAGICS: [&str; 11] = [
    "pages-",
    "ifaddr-",
    "route-",
    "route6-",
    "rule-",
    "iptables-",
    "ip6tables-",
    "nftables-",
    "netns-ct-",
    "netns-exp-",
    "tmpfs-",
];

/// Whether a file in a directory of images is one of messages: all whose names end with `.img` are, but those that CRIU
/// writes without magics. Of others, `stats-dump` and the like, the first bytes tell.
pub fn is_image(name: &str, source: &impl Source) -> io::Result<bool> {
    Ok((name.ends_with(".img") && !is_without_magics(name)) || has_magic(source)?)
}

/// Whether a name that ends with `.img` is one of raw bytes.
pub(crate) fn is_without_magics(name: &str) -> bool {
    WITHOUT_MAGICS.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a file begins as an image of messages does.
pub(crate) fn has_magic(source: &impl Source) -> io::Result<bool> {
    Ok(identify(source, source.size()?)?.is_some())
}

impl<S: Source> Reader<S> {
    /// `name` is the file's, for errors.
    pub fn new(name: &str, source: S) -> Result<Reader<S>> {
        let failed = |error| Error::of_io(format!("read {name}"), &error);
        let size = source.size().map_err(failed)?;
        let Some((image, is_framed)) = identify(&source, size).map_err(failed)? else {
            let why = if size < 4 { "cut off before the type of image" } else { "no known type of image" };
            return Err(Error::damaged(name, size.min(4), why));
        };
        let at = if is_framed { 8 } else { 4 };
        Ok(Reader { name: name.to_owned(), source, size, at, image, is_framed, is_first: true, inner: 0 })
    }

    /// The type that the file says it has.
    pub fn image(&self) -> &'static Type {
        self.image
    }

    /// False for images of img_version 1, which have the type's magic only, and for inventory.img.
    pub fn is_framed(&self) -> bool {
        self.is_framed
    }

    /// Refuses a file of another type.
    pub fn expect(self, image: &Type) -> Result<Reader<S>> {
        if self.image.magic != image.magic {
            let (found, expected) = (self.image.name, image.name);
            return Err(Error::damaged(&self.name, 0, format!("an image of type {found}, not {expected}")));
        }
        Ok(self)
    }

    /// The next entry, or `None` at the end of the file.
    pub fn entry(&mut self) -> Result<Option<Entry>> {
        if self.at == self.size {
            return match self.inner {
                0 => Ok(None),
                missing => Err(self.damaged(format!("cut off: {missing} messages of a queue are missing"))),
            };
        }
        let message = match self.inner {
            0 => self.image.messages[usize::from(!self.is_first)],
            _ => INNER,
        };
        let rest = self.size - self.at;
        if rest < 4 {
            return Err(self.damaged("cut off in the size of an entry"));
        }
        let size = u32::from_le_bytes(self.bytes(self.at, 4)?.try_into().expect("four bytes"));
        if u64::from(size) > rest - 4 {
            return Err(self.damaged(format!("an entry of {size} bytes, but only {} are left", rest - 4)));
        }
        let offset = self.at + 4;
        let bytes = self.bytes(offset, u64::from(size))?;
        wire::check(message, &bytes)
            .map_err(|fault| Error::damaged(&self.name, offset + fault.at as u64, fault.why))?;
        let payload = Payload::after(message, &bytes)?;
        let payload_at = offset + u64::from(size);
        let left = self.size - payload_at;
        let payload_size = payload.size(left);
        if payload_size > left {
            let why = format!("{}: {payload_size} bytes follow, but only {left} are left", message.name);
            return Err(Error::damaged(&self.name, payload_at, why));
        }
        self.at = payload_at + payload_size;
        self.is_first = false;
        self.inner = match payload {
            Payload::Messages { count } => count,
            _ => self.inner.saturating_sub(1),
        };
        Ok(Some(Entry { offset, message, bytes, payload, payload_at }))
    }

    /// Byte of the file at which the next entry begins.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// All entries as messages. Where the type has two kinds of messages or a payload, `entry` is what to use.
    pub fn messages<M: Schema>(mut self) -> Result<Vec<M>> {
        let mut all = Vec::new();
        while let Some(entry) = self.entry()? {
            all.push(entry.decode(&self.name)?);
        }
        Ok(all)
    }

    /// The only entry.
    pub fn message<M: Schema>(mut self) -> Result<M> {
        let Some(entry) = self.entry()? else { return Err(self.damaged("cut off before the only entry")) };
        if self.at != self.size {
            return Err(self.damaged("more than one entry"));
        }
        entry.decode(&self.name)
    }

    /// `len` bytes of the payload of `entry`, from its byte `from` on; both are within what `Payload` says.
    pub fn payload(&self, entry: &Entry, from: u64, len: u64) -> Result<Vec<u8>> {
        self.bytes(entry.payload_at + from, len)
    }

    /// Bytes of the payload of `entry`, without padding.
    pub fn payload_len(&self, entry: &Entry) -> u64 {
        match entry.payload {
            Payload::Bytes { len, .. } => len,
            Payload::Semaphores { count } => count * 2,
            other => other.size(self.size - entry.payload_at),
        }
    }

    fn bytes(&self, at: u64, len: u64) -> Result<Vec<u8>> {
        if at.checked_add(len).is_none_or(|end| end > self.size) {
            return Err(Error::damaged(&self.name, self.size, "cut off"));
        }
        let mut bytes = vec![0; len as usize];
        let read = self.source.read_at(&mut bytes, at);
        read.map_err(|error| Error::of_io(format!("read {} at byte {at}", self.name), &error))?;
        Ok(bytes)
    }

    fn damaged(&self, why: impl std::fmt::Display) -> Error {
        Error::damaged(&self.name, self.at, why)
    }
}

impl Entry {
    /// The table of the message that it is.
    pub fn schema(&self) -> &'static Message {
        self.message
    }

    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// Byte of the file at which the payload begins.
    pub fn payload_offset(&self) -> u64 {
        self.payload_at
    }

    /// The message as it is in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The message; `file` is named in errors. Asking for another message than `schema` is a mistake of the caller's.
    pub fn decode<M: Schema>(&self, file: &str) -> Result<M> {
        assert!(std::ptr::eq(M::SCHEMA, self.message), "{} is not {}", self.message.name, M::SCHEMA.name);
        M::decode(self.bytes.as_slice()).map_err(|error| Error::damaged(file, self.offset, error))
    }
}
