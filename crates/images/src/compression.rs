//! Streams in the format of zstd (RFC 8878): frames one behind the other, as zstd(1) reads and writes them. One that nobody
//! has compressed is read as well, so a reader need not be told.

use crate::error::{Error, Result};
use std::io::{self, Chain, Cursor, Read, Write};
use std::num::NonZero;
use std::{fmt, thread};
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::{DCtx, DParameter};

/// What every frame begins with, and no archive.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The fastest that zstd(1) has a number for: a network is to wait for the disk or the memory behind it, not for us.
/// Another one needs its search, which .cargo/config.toml leaves out.
const LEVEL: i32 = 1;

/// With these it is faster than 10 gigabits per second.
const MOST_THREADS: usize = 4;

/// How far back a frame may refer, and so how much of it a reader keeps: 8 MiB, as RFC 8878 recommends. Ours say 512 KiB.
const WINDOW_LOG: u32 = 23;

/// Has `write` write what becomes a frame. Threads that compress end before it returns.
pub(crate) fn write_frame<W: Write>(
    out: W,
    write: impl FnOnce(&mut zstd::Encoder<'static, W>) -> Result<()>,
) -> Result<()> {
    let failed = |error| Error::of_io("compress", &error);
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    let mut frame = zstd::Encoder::new(out, LEVEL).map_err(failed)?;
    frame.multithread(threads as u32).map_err(failed)?;
    write(&mut frame)?;
    frame.finish().map(drop).map_err(|error| Error::of_io("send", &error))
}

/// What is in a stream, whether it is compressed or not.
pub(crate) enum Content<R> {
    Plain(Chain<Cursor<[u8; 4]>, R>),
    Compressed(Frames<R>),
}

impl<R: Read> Content<R> {
    pub(crate) fn of(mut from: R) -> io::Result<Content<R>> {
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic)?;
        Ok(match magic {
            MAGIC => Content::Compressed(Frames::new(from)?),
            begin => Content::Plain(Cursor::new(begin).chain(from)),
        })
    }
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::Plain(from) => from.read(buffer),
            Content::Compressed(frames) => frames.read(buffer),
        }
    }
}

impl<R> fmt::Debug for Content<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Content::Plain(_) => "Plain",
            Content::Compressed(_) => "Compressed",
        })
    }
}

/// Frames of a stream that does not end before its reader: where it does, that is an error. Nothing is read from behind the
/// frame that has what was asked for.
pub(crate) struct Frames<R> {
    from: R,
    decoder: Decoder<'static>,
    /// What was read, and how much of it is decompressed.
    input: Vec<u8>,
    taken: usize,
}

impl<R: Read> Frames<R> {
    /// `from` is behind the magic.
    fn new(from: R) -> io::Result<Frames<R>> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
        Ok(Frames { from, decoder, input: MAGIC.to_vec(), taken: 0 })
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let mut input = InBuffer::around(&self.input[self.taken..]);
            let mut output = OutBuffer::around(buffer);
            // How much of the frame can be taken next: never more than it has left (zstd.h, ZSTD_decompressStream). At its
            // end that is nothing, and the next call tells of the next frame.
            let wanted = self.decoder.run(&mut input, &mut output)?;
            self.taken += input.pos();
            if output.pos() > 0 {
                return Ok(output.pos());
            }
            if self.taken == self.input.len() {
                // What a frame has only to be skipped may be of any length.
                self.input.resize(wanted.min(DCtx::in_size()), 0);
                self.taken = 0;
                self.from.read_exact(&mut self.input)?;
            }
        }
    }
}

/// Whatever comes, no more than a piece of it is kept.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(Content::Compressed(mut frames)) = Content::of(bytes) else { return };
    let mut buffer = [0; 4096];
    // A little can become a lot.
    for _ in 0..1000 {
        let Ok(read) = frames.read(&mut buffer) else { break };
        assert!((1..=buffer.len()).contains(&read), "{read}");
        assert!(frames.input.len() <= DCtx::in_size(), "{}", frames.input.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(content: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let write = |to: &mut zstd::Encoder<'_, _>| {
            to.write_all(content).map_err(|error| Error::of_io("write", &error))
        };
        write_frame(&mut frame, write).expect("compress");
        frame
    }

    /// Every byte another one than before.
    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * at / 7) as u8).collect()
    }

    #[test]
    fn what_was_written_and_nothing_from_behind_it() {
        for len in [1, 511, 4096, 1 << 17, (1 << 22) + 1] {
            let stream = [frame(&content(len)), frame(b"end"), b"behind".to_vec()].concat();
            let mut rest = &stream[..];
            let mut read = Content::of(&mut rest).expect("a stream");
            let mut whole = vec![0; len];
            read.read_exact(&mut whole).expect("the first frame");
            assert!(whole == content(len), "{len}");
            let mut end = [0; 3];
            read.read_exact(&mut end).expect("the second frame");
            assert_eq!(&end, b"end");
            drop(read);
            assert_eq!(rest, b"behind");
        }
    }

    #[test]
    fn what_is_not_compressed() {
        let mut text = String::new();
        Content::of(&b"plain"[..]).expect("a stream").read_to_string(&mut text).expect("all of it");
        assert_eq!(text, "plain");
    }

    #[test]
    fn cut_off_at_every_byte() {
        let stream = frame(&content(3000));
        for len in 0..stream.len() {
            let read = Content::of(&stream[..len]).and_then(|mut read| read.read_exact(&mut [0; 3000]));
            let kind = read.map_err(|error| error.kind());
            assert!(len + 4 > stream.len() || kind == Err(io::ErrorKind::UnexpectedEof), "{len}: {kind:?}");
        }
    }

    #[test]
    fn a_window_that_takes_too_much_memory() {
        // Magic, no checksum and no size, a window of 16 MiB.
        let stream = [&MAGIC[..], &[0, 14 << 3], &[0; 100]].concat();
        let error = Content::of(&stream[..]).and_then(|mut read| read.read(&mut [0; 10]));
        let error = error.expect_err("refused").to_string();
        assert!(error.contains("too much memory"), "{error}");
    }

    #[test]
    fn what_is_to_be_skipped_is_not_kept() {
        // A skippable frame of 4 GiB less a byte, behind an ordinary one.
        let stream =
            [frame(b"begin"), vec![0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff], vec![0; 1 << 20]];
        let stream = stream.concat();
        let Content::Compressed(mut frames) = Content::of(&stream[..]).expect("a stream") else {
            panic!("it has the magic");
        };
        frames.read_exact(&mut [0; 5]).expect("the first frame");
        let error = frames.read(&mut [0]).expect_err("it ends early");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(frames.input.capacity() < 1 << 19, "{}", frames.input.capacity());
    }
}
