//! A checkpoint that passes through no disk: images are made in memory, go as one stream from a `checkpoint` to a `restore`,
//! and are in memory there. Here is also how the one learns that the other has built the container, before which it does
//! not end its own: docs/cli.md has what is promised.

use crate::descriptors;
use crate::error::{At, Error, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::Errno;
use sys::mount::FsContext;

/// What a restore says when all is there and nothing of it has run yet.
const TAKEN: &[u8] = b".";

/// One end of a stream.
#[derive(Debug)]
pub struct Stream {
    data: File,
    acknowledgement: Option<File>,
    is_compressed: bool,
}

impl Stream {
    /// The acknowledgement goes the other way, by a descriptor of its own, or by `data` where that is a socket.
    pub fn new(data: OwnedFd, acknowledgement: Option<OwnedFd>) -> Stream {
        Stream { data: data.into(), acknowledgement: acknowledgement.map(File::from), is_compressed: false }
    }

    /// What is sent is compressed by zstd. What is received tells by itself.
    #[must_use]
    pub fn compressed(self) -> Stream {
        Stream { is_compressed: true, ..self }
    }

    /// Sends a dump.
    pub(crate) fn send(&self, images: BorrowedFd<'_>) -> Result<()> {
        let images = images.try_clone_to_owned().map_err(Errno::from).at(|| "images")?;
        let mut out = &self.data;
        let sent = match self.is_compressed {
            true => images::write_compressed_stream(images, &[descriptors::FILE], &mut out),
            false => images::write_stream(images, &[descriptors::FILE], &mut out),
        };
        sent.map_err(of_images)
    }

    /// Waits until the other side has taken all of it.
    pub(crate) fn await_acknowledgement(&self) -> Result<()> {
        let not_taken = || Error::new("stream: the other side has not taken it");
        if let Some(mut back) = self.way_back()? {
            let mut said = [0; TAKEN.len()];
            let heard = back.read_exact(&mut said);
            return if heard.is_ok() && said == TAKEN { Ok(()) } else { Err(not_taken()) };
        }
        if kind(&self.data)? != SFlag::S_IFIFO {
            return Ok(());
        }
        // An error is what a pipe has that nobody reads from.
        let pipe = self.data.as_fd();
        while let Err(nix::Error::EINTR) =
            poll(&mut [PollFd::new(pipe, PollFlags::empty())], PollTimeout::NONE)
        {}
        match sys::socket::received_bytes(pipe).at(|| "stream")? {
            0 => Ok(()),
            _ => Err(not_taken()),
        }
    }

    pub(crate) fn receive(self, images: BorrowedFd<'_>) -> Result<Received> {
        let back = self.way_back()?.map(File::try_clone).transpose().map_err(Errno::from).at(|| "stream")?;
        let mut reader = images::StreamReader::new(self.data).map_err(of_images)?;
        reader.read_files(images).map_err(of_images)?;
        Ok(Received { reader, back })
    }

    fn way_back(&self) -> Result<Option<&File>> {
        Ok(match &self.acknowledgement {
            Some(back) => Some(back),
            None if kind(&self.data)? == SFlag::S_IFSOCK => Some(&self.data),
            None => None,
        })
    }
}

/// A stream of which the end is still to be read.
#[derive(Debug)]
pub(crate) struct Received {
    reader: images::StreamReader<File>,
    back: Option<File>,
}

impl Received {
    /// Tells the other side that it is all here.
    pub(crate) fn acknowledge(self) -> Result<()> {
        self.reader.take_end().map_err(of_images)?;
        match self.back {
            Some(mut back) => back.write_all(TAKEN).map_err(Errno::from).at(|| "acknowledge the stream"),
            None => Ok(()),
        }
    }
}

fn of_images(error: images::Error) -> Error {
    Error::new(format!("stream: {error}"))
}

fn kind(file: &File) -> Result<SFlag> {
    let mode = fstat(file).map_err(Errno::from).at(|| "stream")?.st_mode;
    Ok(SFlag::from_bits_truncate(mode) & SFlag::S_IFMT)
}

/// A directory in memory, which nobody else can see and which ends with its descriptor.
pub(crate) fn directory() -> Result<OwnedFd> {
    let make = || {
        let tmpfs = FsContext::open("tmpfs")?;
        tmpfs.set_string("mode", "0700")?;
        tmpfs.create()?;
        let mount = tmpfs.mount(0)?;
        sys::path::openat2(mount.as_fd(), ".", libc::O_RDONLY | libc::O_DIRECTORY, 0, 0)
    };
    make().at(|| "make a directory in memory for the images")
}
