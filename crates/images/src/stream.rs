//! A dump as a stream: a tar archive (POSIX.1-1988, ustar) of the files that the manifest has, then those that the caller
//! names, and the manifest last. Regular files in one directory, nothing else; what tar(1) makes of the same files is read
//! as well, and what zstd(1) makes of that.
//!
//! Two blocks of zeros end an archive. The reader of a stream leaves the second where it is until `take_end`: as long as it
//! is in a pipe, whoever has written it knows that the other side has not got so far. In a compressed stream it is a frame of
//! its own.

use crate::compression::{Content, write_frame};
use crate::directory::{Directory, create, open};
use crate::error::{Error, Result};
use crate::manifest::MANIFEST;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

const BLOCK: usize = 512;

/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;

/// Where fields of a header are.
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..263;
const PREFIX: std::ops::Range<usize> = 345..500;

/// Writes the complete dump in `dir`, and of `others` the files that are there.
pub fn write_stream(dir: OwnedFd, others: &[&str], out: &mut impl Write) -> Result<()> {
    write_files(dir, others, out)?;
    write_block(out)?;
    out.flush().map_err(of_end)
}

/// The same, compressed by zstd, with several threads that end before it returns.
pub fn write_compressed_stream(dir: OwnedFd, others: &[&str], out: &mut impl Write) -> Result<()> {
    write_frame(&mut *out, |frame| write_files(dir, others, frame))?;
    write_frame(&mut *out, write_block)?;
    out.flush().map_err(of_end)
}

/// All but the last block.
fn write_files(dir: OwnedFd, others: &[&str], out: &mut impl Write) -> Result<()> {
    let directory = Directory::new(dir)?;
    let names = directory.listed().chain(others.iter().copied()).chain([MANIFEST]);
    for name in names {
        let Some((file, size)) = open(directory.fd(), name)? else { continue };
        let failed = |error| Error::of_io(format!("send {name}"), &error);
        out.write_all(&header(name, size)).map_err(failed)?;
        send(&file, size, out).map_err(failed)?;
        let padding = (BLOCK - size as usize % BLOCK) % BLOCK;
        out.write_all(&[0; BLOCK][..padding]).map_err(failed)?;
    }
    write_block(out)
}

/// One of zeros.
fn write_block(out: &mut impl Write) -> Result<()> {
    out.write_all(&[0; BLOCK]).map_err(of_end)
}

fn of_end(error: io::Error) -> Error {
    Error::of_io("send the end", &error)
}

/// A stream that comes from elsewhere, compressed or not.
#[derive(Debug)]
pub struct StreamReader<R> {
    content: Content<R>,
}

impl<R: Read> StreamReader<R> {
    /// Waits for the beginning.
    pub fn new(from: R) -> Result<StreamReader<R>> {
        let content = Content::of(from).map_err(|error| Error::of_io("receive", &error))?;
        Ok(StreamReader { content })
    }

    /// Makes the files of the stream in the directory `dir`, which is empty. They are a stranger's: `Directory` says what
    /// they are worth.
    pub fn read_files(&mut self, dir: impl AsFd) -> Result<()> {
        let from = &mut self.content;
        let mut block = [0; BLOCK];
        loop {
            from.read_exact(&mut block).map_err(|error| Error::of_io("receive", &error))?;
            if block == [0; BLOCK] {
                return Ok(());
            }
            let (name, size) = parse(&block)?;
            let failed = |error| Error::of_io(format!("receive {name}"), &error);
            let mut file = create(dir.as_fd(), &name)?;
            receive(size, from, &mut file).map_err(failed)?;
            let padding = (BLOCK - (size % BLOCK as u64) as usize) % BLOCK;
            from.read_exact(&mut block[..padding]).map_err(failed)?;
        }
    }

    /// Reads what `read_files` has left.
    pub fn take_end(mut self) -> Result<()> {
        let mut block = [0; BLOCK];
        self.content.read_exact(&mut block).map_err(|error| Error::of_io("receive the end", &error))?;
        if block == [0; BLOCK] { Ok(()) } else { Err(Error::refused("stream", "something behind the end")) }
    }
}

fn header(name: &str, size: u64) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    assert!(name.len() <= NAME.len(), "names of images are short");
    put(NAME.start, name.as_bytes());
    // Mode, owner and group.
    put(100, b"0000600\x000000000\x000000000\0");
    // As GNU tar writes what is too large for eleven octal digits: a number in base 256.
    match size >> 33 {
        0 => put(SIZE.start, format!("{size:011o}\0").as_bytes()),
        _ => {
            put(SIZE.start, &[0x80]);
            put(SIZE.end - 8, &size.to_be_bytes());
        }
    }
    put(136, b"00000000000\0");
    put(KIND, b"0");
    put(MAGIC.start, b"ustar\x0000");
    let sum = checksum(&header);
    header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Of a header whose own field counts as spaces.
fn checksum(header: &[u8; BLOCK]) -> u64 {
    let byte = |(at, byte): (usize, &u8)| if CHECKSUM.contains(&at) { b' ' } else { *byte };
    header.iter().enumerate().map(|each| u64::from(byte(each))).sum()
}

/// The name and the size of a regular file.
fn parse(header: &[u8; BLOCK]) -> Result<(String, u64)> {
    let refused = |why: &str| Err(Error::refused("stream", why));
    if number(&header[CHECKSUM]) != Some(checksum(header)) || !header[MAGIC].starts_with(b"ustar") {
        return refused("not a header of a tar archive");
    }
    let name = header[NAME].split(|byte| *byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name.strip_prefix(b"./").unwrap_or(name)).into_owned();
    let is_file = matches!(header[KIND], b'0' | 0) && header[PREFIX.start] == 0;
    if !is_file || name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return refused(&format!("{name:?} is not a file in a directory of images"));
    }
    match number(&header[SIZE]) {
        Some(size) => Ok((name, size)),
        None => refused(&format!("{name}: its size is no number")),
    }
}

/// Octal digits, or in base 256.
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, rest @ ..] = field {
        let (high, low) = rest.split_at(rest.len().checked_sub(8)?);
        let size = u64::from_be_bytes(low.try_into().ok()?);
        return Some(size).filter(|_| high.iter().all(|byte| *byte == 0));
    }
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

fn send(file: &File, size: u64, out: &mut impl Write) -> io::Result<()> {
    let mut left = file.take(size);
    let mut buffer = vec![0; CHUNK.min(size as usize)];
    while left.limit() > 0 {
        let read = left.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.write_all(&buffer[..read])?;
    }
    Ok(())
}

fn receive(size: u64, from: &mut impl Read, file: &mut File) -> io::Result<()> {
    let mut left = size;
    let mut buffer = vec![0; CHUNK.min(usize::try_from(size).unwrap_or(CHUNK))];
    while left > 0 {
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(CHUNK));
        let read = match from.read(&mut buffer[..wanted]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        file.write_all(&buffer[..read])?;
        left -= read as u64;
    }
    Ok(())
}

/// Whatever a header says, it is a name in a directory that comes out. The checksum is put right first. What begins as a
/// compressed stream does is read as one.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    crate::compression::fuzz(bytes);
    let Some(Ok(mut block)) = bytes.get(..BLOCK).map(<[u8; BLOCK]>::try_from) else { return };
    let sum = checksum(&block);
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let Ok((name, size)) = parse(&block) else { return };
    assert!(!name.contains('/') && !["", ".", ".."].contains(&name.as_str()), "{name}");
    if name.len() <= NAME.len() {
        assert_eq!(parse(&header(&name, size)).expect("a header"), (name, size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_are_written() {
        for (name, size) in [("inventory.img", 0), ("pages-1.img", (1 << 33) - 1), ("pages-2.img", 1 << 40)] {
            assert_eq!(parse(&header(name, size)).expect("a header"), (name.to_owned(), size));
        }
    }

    #[test]
    fn nothing_but_files_of_the_directory() {
        for name in ["../x", "a/b", "/x", ".", "..", "", "./a/b"] {
            let error = parse(&header(name, 0)).expect_err("no name of an image").to_string();
            assert!(error.contains("is not a file in a directory of images"), "{error}");
        }
        for kind in *b"1235gxLK" {
            let mut link = header("core-1.img", 0);
            link[KIND] = kind;
            let sum = checksum(&link);
            link[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            parse(&link).expect_err("not a regular file");
        }
        let mut changed = header("core-1.img", 7);
        changed[0] = b'd';
        parse(&changed).expect_err("another checksum");
    }

    #[test]
    fn cut_off_at_every_byte() {
        let mut stream = header("a.img", 700).to_vec();
        stream.resize(512 + 1024, 1);
        stream.resize(512 + 1024 + 512, 0);
        let receive = |bytes: &[u8]| {
            let dir = tempfile::tempdir().expect("a directory");
            let opened = File::open(dir.path()).expect("open");
            let mut reader = StreamReader::new(bytes)?;
            reader.read_files(&opened)?;
            Ok::<_, Error>(dir.path().join("a.img").metadata().expect("a file").len())
        };
        assert_eq!(receive(&stream).expect("whole"), 700);
        for len in 0..stream.len() {
            receive(&stream[..len]).expect_err("cut off");
        }
    }
}
