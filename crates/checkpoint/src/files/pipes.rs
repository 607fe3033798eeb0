//! Pipes, with and without a name. Their content is copied with tee(2), which leaves it where it is.

use super::{Files, Open, entry};
use crate::error::{At, Result};
use images::messages::{FdTypes, FifoEntry, FileEntry, PipeDataEntry, PipeEntry};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

impl Files<'_> {
    pub(super) fn pipe(&mut self, open: &Open) -> Result<FileEntry> {
        let pipe_id = pipe_id(open);
        let pipe = PipeEntry { id: open.id, pipe_id, flags: open.info.flags, fown: self.owner(open)? };
        if !self.is_external(open) && !self.pipes.iter().any(|(known, _)| known.pipe_id == pipe_id) {
            let (data, content, packets) = content(open)?;
            self.side.pipe_packets.extend(packets.map(|packets| (pipe_id, packets)));
            self.pipes.push((data, content));
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
            let (data, content, packets) = content(open)?;
            self.side.fifo_packets.extend(packets.map(|packets| (pipe_id, packets)));
            self.fifos.push((data, content));
        }
        Ok(FileEntry { fifo: Some(Box::new(fifo)), ..entry(FdTypes::Fifo, open.id) })
    }

    /// Whether a file was given to the container from outside.
    pub(super) fn is_external(&self, open: &Open) -> bool {
        self.surroundings.externals.file(&open.metadata, open.info.mnt_id).is_some()
    }
}

/// Images have 32 bits for it; inodes of pipes are numbered from a counter of 32 bits.
fn pipe_id(open: &Open) -> u32 {
    open.metadata.ino() as u32
}

/// What is in a pipe, and how long its packets are, if it has such.
fn content(open: &Open) -> Result<(PipeDataEntry, Vec<u8>, Option<Vec<u32>>)> {
    let size = nix::fcntl::fcntl(open.file.as_fd(), nix::fcntl::FcntlArg::F_GETPIPE_SZ);
    let size = size.at(|| format!("{}: its capacity", open.owner))? as u32;
    // A copy of either end, opened anew for reading, sees what is in the pipe.
    let path = format!("/proc/self/fd/{}", open.file.as_raw_fd());
    let reader = std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let reader = reader.at(|| format!("{}: open for reading", open.owner))?;
    let what = || format!("{}: copy its content", open.owner);
    let copy = Copy::of(reader.as_fd(), size).at(what)?;
    let is_packets = copy.begins_with_packet(size).at(what)?;
    let (content, packets) = copy.read(size).at(what)?;
    let data = PipeDataEntry { pipe_id: pipe_id(open), bytes: content.len() as u32, size: Some(size) };
    // A byte alone is read alone, whether it is a packet or not.
    let packets = Some(packets).filter(|packets| is_packets || packets.len() > 1);
    Ok((data, content, packets))
}

/// A pipe that nobody writes to any more, with what is in another.
struct Copy {
    reader: std::io::PipeReader,
    bytes: usize,
}

impl Copy {
    fn of(pipe: BorrowedFd<'_>, size: u32) -> sys::Result<Copy> {
        use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, tee};
        let (reader, writer) = std::io::pipe()?;
        fcntl(writer.as_fd(), FcntlArg::F_SETPIPE_SZ(size as i32))?;
        let bytes = match tee(pipe, writer.as_fd(), size as usize, SpliceFFlags::SPLICE_F_NONBLOCK) {
            Ok(bytes) => bytes,
            Err(nix::Error::EAGAIN) => 0,
            Err(errno) => return Err(errno.into()),
        };
        Ok(Copy { reader, bytes })
    }

    /// Of a packet, the kernel drops what does not fit into the reader's memory (pipe(2), `O_DIRECT`).
    fn begins_with_packet(&self, size: u32) -> sys::Result<bool> {
        if self.bytes < 2 {
            return Ok(false);
        }
        let mut copy = Copy::of(self.reader.as_fd(), size)?;
        copy.reader.read_exact(&mut [0])?;
        Ok(sys::socket::received_bytes(copy.reader.as_fd())? != copy.bytes - 1)
    }

    /// All bytes, and how many of them each read got: one packet, or everything up to the next.
    fn read(mut self, size: u32) -> sys::Result<(Vec<u8>, Vec<u32>)> {
        let mut content = vec![0; size as usize];
        let (mut at, mut packets) = (0, Vec::new());
        while at < self.bytes {
            let read = self.reader.read(&mut content[at..])?;
            packets.push(read as u32);
            at += read;
        }
        content.truncate(at);
        Ok((content, packets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::pipe2;

    /// The content of a pipe after these writes, twice: it is still there.
    fn peek(flags: OFlag, writes: &[&[u8]]) -> (Vec<u8>, Vec<u32>, bool) {
        const SIZE: u32 = 1 << 16;
        let (reader, writer) = pipe2(flags).expect("a pipe");
        for bytes in writes {
            assert_eq!(nix::unistd::write(&writer, bytes).expect("written"), bytes.len());
        }
        let look = || {
            let copy = Copy::of(reader.as_fd(), SIZE).expect("a copy");
            let is_packets = copy.begins_with_packet(SIZE).expect("a look");
            let (content, packets) = copy.read(SIZE).expect("a look");
            (content, packets, is_packets)
        };
        let first = look();
        assert_eq!(first, look());
        first
    }

    #[test]
    fn packets_and_streams() {
        let plain = OFlag::empty();
        assert_eq!(peek(plain, &[]), (Vec::new(), Vec::new(), false));
        assert_eq!(peek(plain, &[b"one", b"two"]), (b"onetwo".to_vec(), vec![6], false));
        let large = vec![7; 10_000];
        assert_eq!(peek(plain, &[&large]), (large, vec![10_000], false));
        assert_eq!(peek(OFlag::O_DIRECT, &[b"one", b"two"]), (b"onetwo".to_vec(), vec![3, 3], true));
        assert_eq!(peek(OFlag::O_DIRECT, &[b"alone"]), (b"alone".to_vec(), vec![5], true));
    }
}
