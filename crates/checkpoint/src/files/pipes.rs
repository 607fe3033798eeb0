//! Pipes, with and without a name. Their content is copied with tee(2), which leaves it where it is.

use super::{Files, Open, entry};
use crate::error::{At, Result};
use images::messages::{FdTypes, FifoEntry, FileEntry, PipeDataEntry, PipeEntry};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

impl Files<'_> {
    pub(super) fn pipe(&mut self, open: &Open) -> Result<FileEntry> {
        let pipe_id = pipe_id(open);
        let pipe = PipeEntry { id: open.id, pipe_id, flags: open.info.flags, fown: self.owner(open)? };
        if !self.is_external(open) && !self.pipes.iter().any(|(known, _)| known.pipe_id == pipe_id) {
            self.pipes.push(content(open)?);
        }
        Ok(FileEntry { pipe: Some(Box::new(pipe)), ..entry(FdTypes::Pipe, open.id) })
    }

    /// A named pipe has an entry for its name, too.
    pub(super) fn fifo(&mut self, open: &Open) -> Result<FileEntry> {
        let pipe_id = pipe_id(open);
        let regf_id = self.new_id();
        let named = self.named(open, regf_id)?;
        self.entries.insert(regf_id, named);
        let fifo = FifoEntry { id: open.id, pipe_id, regf_id: Some(regf_id) };
        if !self.fifos.iter().any(|(known, _)| known.pipe_id == pipe_id) {
            self.fifos.push(content(open)?);
        }
        Ok(FileEntry { fifo: Some(Box::new(fifo)), ..entry(FdTypes::Fifo, open.id) })
    }

    /// Whether a file was given to the container from outside.
    pub(super) fn is_external(&self, open: &Open) -> bool {
        self.surroundings.externals.file(open.metadata.dev(), open.metadata.ino()).is_some()
    }
}

/// Images have 32 bits for it; inodes of pipes are numbered from a counter of 32 bits.
fn pipe_id(open: &Open) -> u32 {
    open.metadata.ino() as u32
}

fn content(open: &Open) -> Result<(PipeDataEntry, Vec<u8>)> {
    let size = nix::fcntl::fcntl(open.file.as_fd(), nix::fcntl::FcntlArg::F_GETPIPE_SZ);
    let size = size.at(|| format!("{}: its capacity", open.owner))? as u32;
    // A copy of either end, opened anew for reading, sees what is in the pipe.
    let path = format!("/proc/self/fd/{}", open.file.as_raw_fd());
    let reader = std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let reader = reader.at(|| format!("{}: open for reading", open.owner))?;
    let content = peek(&reader, size).at(|| format!("{}: copy its content", open.owner))?;
    let data = PipeDataEntry { pipe_id: pipe_id(open), bytes: content.len() as u32, size: Some(size) };
    Ok((data, content))
}

fn peek(reader: &std::fs::File, size: u32) -> sys::Result<Vec<u8>> {
    use nix::fcntl::{SpliceFFlags, tee};
    let (mut out, into) = std::io::pipe()?;
    nix::fcntl::fcntl(into.as_fd(), nix::fcntl::FcntlArg::F_SETPIPE_SZ(size as i32))?;
    let copied = match tee(reader.as_fd(), into.as_fd(), size as usize, SpliceFFlags::SPLICE_F_NONBLOCK) {
        Ok(copied) => copied,
        Err(nix::Error::EAGAIN) => 0,
        Err(errno) => return Err(errno.into()),
    };
    drop(into);
    let mut content = Vec::with_capacity(copied);
    out.read_to_end(&mut content)?;
    Ok(content)
}
