//! What CRIU's page server is told: memory goes to another place as it is dumped, the other images do not.
//!
//! ```text
//! session := { record [ pages ] }      answers: has_parent:8 (OPEN2), 32 bits (PARENT, CLOSE, FORCE_CLOSE),
//!                                               record pages (GET)
//! record  := command:16 flags:16 0:32 nr_pages:64 vaddr:64 dst_id:64
//! dst_id  := id << 8 | type
//! ```
//!
//! Numbers are little-endian (criu/page-xfer.c, `struct page_server_iov`). Pages follow an ADD_F whose flags say that they
//! are present. With GET it is the other way round: a dump serves the memory of tasks that are stopped, `dst_id` is a pid
//! alone, and the answer, an ADD_F, may have fewer pages. Not here: what becomes of them at the other end, which is the engine's.

use crate::error::{Error, Result};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::fmt;
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Bytes.
const RECORD: usize = 32;
const PAGE: u64 = 4096;

/// Tasks are stopped meanwhile, so nobody is waited for longer than that.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whose pages they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Memory {
    /// By its pid.
    OfTask(u32),
    /// By its id, which is less than 2^56.
    Shared(u64),
}

/// What a record asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin a map of pages.
    Open(Memory),
    /// The same, and tell whether the parent has such a map.
    OpenAndTell(Memory),
    /// Tell whether the parent has a map of these pages.
    HasParent(Memory),
    /// Take a run of pages, whose flags are those of `pagemap_entry`.
    Add { of: Memory, flags: u32, vaddr: u64, nr_pages: u64 },
    /// Send pages of a task.
    Get { pid: u32, vaddr: u64, nr_pages: u64 },
    /// All is sent. The answer says that all has arrived.
    Close,
}

const ADD: u16 = 1;
const HOLE: u16 = 2;
const OPEN: u16 = 3;
const OPEN2: u16 = 4;
const PARENT: u16 = 5;
const ADD_F: u16 = 6;
const GET: u16 = 7;
const CLOSE: u16 = 0x1023;
/// Of a socket that others have open, too.
const FORCE_CLOSE: u16 = 0x1024;

/// Flags of `pagemap_entry` that ADD and HOLE stand for.
const PE_PARENT: u32 = 1;
const PE_PRESENT: u32 = 4;

impl Memory {
    fn dst_id(self) -> u64 {
        match self {
            Memory::OfTask(pid) => u64::from(pid) << 8 | 1,
            Memory::Shared(id) => id << 8 | 2,
        }
    }

    fn of(dst_id: u64) -> Option<Memory> {
        let id = dst_id >> 8;
        match dst_id & 0xff {
            1 => u32::try_from(id).ok().filter(|pid| *pid > 0).map(Memory::OfTask),
            2 => Some(Memory::Shared(id)),
            _ => None,
        }
    }
}

impl Command {
    /// Reads a record; `None` where the stream ends instead.
    ///
    /// # Errors
    /// It is cut off, or no record.
    pub fn read(stream: &mut impl Read) -> io::Result<Option<Command>> {
        let mut record = [0; RECORD];
        match stream.read(&mut record[..1])? {
            0 => return Ok(None),
            _ => stream.read_exact(&mut record[1..])?,
        }
        let invalid = |why: String| io::Error::new(ErrorKind::InvalidData, why);
        let half = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
        let word = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().expect("8 bytes"));
        let (number, flags) = (half(0), half(2));
        let of = || {
            let dst_id = word(24);
            Memory::of(dst_id).ok_or_else(|| invalid(format!("{dst_id:#x} is no id of memory")))
        };
        let add = |flags: u32| {
            Ok::<_, io::Error>(Command::Add { of: of()?, flags, vaddr: word(16), nr_pages: word(8) })
        };
        Ok(Some(match number {
            ADD => add(PE_PRESENT)?,
            HOLE => add(PE_PARENT)?,
            ADD_F => add(flags.into())?,
            OPEN => Command::Open(of()?),
            OPEN2 => Command::OpenAndTell(of()?),
            PARENT => Command::HasParent(of()?),
            GET => {
                let pid = word(24);
                let pid = u32::try_from(pid).map_err(|_| invalid(format!("{pid:#x} is no pid")))?;
                Command::Get { pid, vaddr: word(16), nr_pages: word(8) }
            }
            CLOSE | FORCE_CLOSE => Command::Close,
            _ => return Err(invalid(format!("{number:#x} is no command of a page server"))),
        }))
    }
}

/// Answers a `Get`: the pages follow.
pub fn announce(stream: &mut impl Write, pid: u32, vaddr: u64, nr_pages: u64) -> io::Result<()> {
    stream.write_all(&record(ADD_F, PE_PRESENT as u16, nr_pages, vaddr, pid.into()))
}

fn record(command: u16, flags: u16, nr_pages: u64, vaddr: u64, dst_id: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..2].copy_from_slice(&command.to_le_bytes());
    record[2..4].copy_from_slice(&flags.to_le_bytes());
    for (at, word) in [(8, nr_pages), (16, vaddr), (24, dst_id)] {
        record[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    record
}

/// A page server at the other end of a connection.
#[derive(Debug)]
pub struct PageServer {
    /// For errors.
    name: String,
    stream: TcpStream,
    close: u16,
}

/// A dump's pages on their way to a page server.
#[derive(Debug)]
pub struct PagesSender {
    name: String,
    stream: BufWriter<TcpStream>,
    close: u16,
}

impl PageServer {
    pub fn connect(address: SocketAddr) -> Result<PageServer> {
        let name = format!("page server {address}");
        let stream = TcpStream::connect_timeout(&address, PATIENCE);
        // Answers are waited for.
        let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        PageServer::new(stream.map_err(|error| Error::of_io(&name, &error))?, name, CLOSE)
    }

    /// One that is connected already, by any kind of socket that is a stream.
    pub fn connected(socket: OwnedFd, name: String) -> Result<PageServer> {
        PageServer::new(socket.into(), name, FORCE_CLOSE)
    }

    fn new(stream: TcpStream, name: String, close: u16) -> Result<PageServer> {
        let patience = TimeVal::seconds(PATIENCE.as_secs() as i64);
        setsockopt(&stream, sockopt::ReceiveTimeout, &patience)
            .and_then(|()| setsockopt(&stream, sockopt::SendTimeout, &patience))
            .map_err(|errno| Error::of_kernel(&name, errno))?;
        Ok(PageServer { name, stream, close })
    }

    /// Whether the parent directory of the server's has a map of these pages.
    pub fn has_parent(&self, of: Memory) -> Result<bool> {
        match i32::from_le_bytes(self.ask(record(PARENT, 0, 0, 0, of.dst_id()))?) {
            0 => Ok(false),
            1 => Ok(true),
            status => {
                Err(Error::refused(&self.name, format!("{of}: it cannot look for a parent ({status})")))
            }
        }
    }

    /// Asks a dump for memory of a stopped task, as much as fits, and tells how many bytes it has sent.
    pub fn get(&mut self, pid: u32, vaddr: u64, buffer: &mut [u8]) -> Result<usize> {
        let nr_pages = buffer.len() as u64 / PAGE;
        let answer: [u8; RECORD] = self.ask(record(GET, 0, nr_pages, vaddr, pid.into()))?;
        let word = |at: usize| u64::from_le_bytes(answer[at..at + 8].try_into().expect("8 bytes"));
        let count = word(8);
        if answer[..2] != ADD_F.to_le_bytes() || [word(16), word(24)] != [vaddr, pid.into()] {
            return Err(Error::refused(&self.name, format!("no answer about task {pid} at {vaddr:#x}")));
        }
        if count == 0 || count > nr_pages {
            return Err(Error::refused(&self.name, format!("{count} pages in place of {nr_pages}")));
        }
        let bytes = &mut buffer[..(count * PAGE) as usize];
        self.stream.read_exact(bytes).map_err(|error| failed(&self.name, &error))?;
        Ok(bytes.len())
    }

    /// Ends a session: the server has everything, or the dump may end its tasks.
    pub fn finish(self) -> Result<()> {
        match i32::from_le_bytes(self.ask(record(self.close, 0, 0, 0, 0))?) {
            0 => Ok(()),
            status => Err(Error::refused(&self.name, format!("it says that it has failed ({status})"))),
        }
    }

    fn ask<const N: usize>(&self, command: [u8; RECORD]) -> Result<[u8; N]> {
        let (mut stream, mut answer) = (&self.stream, [0; N]);
        let answered = stream.write_all(&command).and_then(|()| stream.read_exact(&mut answer));
        answered.map_err(|error| failed(&self.name, &error)).map(|()| answer)
    }

    pub(crate) fn sender(&self) -> Result<PagesSender> {
        let stream = self.stream.try_clone().map_err(|error| Error::of_io(&self.name, &error))?;
        Ok(PagesSender { name: self.name.clone(), stream: BufWriter::new(stream), close: self.close })
    }
}

impl PagesSender {
    /// Begins a map of pages, and tells whether the server's parent has such a map.
    pub fn open(&mut self, of: Memory) -> Result<bool> {
        let mut has_parent = [0];
        let command = record(OPEN2, 0, 0, 0, of.dst_id());
        let sent = self.stream.write_all(&command).and_then(|()| self.stream.flush());
        let answered = sent.and_then(|()| self.stream.get_ref().read_exact(&mut has_parent));
        answered.map_err(|error| self.failed(&error)).map(|()| has_parent != [0])
    }

    /// Announces a run of pages. If `flags` say that they are present, `pages` follows.
    pub fn run(&mut self, of: Memory, flags: u32, vaddr: u64, nr_pages: u64) -> Result<()> {
        let flags = u16::try_from(flags).map_err(|_| Error::refused(&self.name, "unknown flags of pages"))?;
        let command = record(ADD_F, flags, nr_pages, vaddr, of.dst_id());
        self.stream.write_all(&command).map_err(|error| self.failed(&error))
    }

    /// Sends bytes of the pages that were announced last.
    pub fn pages(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).map_err(|error| self.failed(&error))
    }

    /// Ends the session: everything has arrived then.
    pub(crate) fn close(self) -> Result<()> {
        let PagesSender { name, stream, close } = self;
        let stream = stream.into_inner().map_err(|error| failed(&name, error.error()))?;
        PageServer { name, stream, close }.finish()
    }

    fn failed(&self, error: &io::Error) -> Error {
        failed(&self.name, error)
    }
}

fn failed(name: &str, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => Error::refused(name, "it has closed the connection"),
        ErrorKind::WouldBlock => Error::refused(name, format!("no answer within {} s", PATIENCE.as_secs())),
        _ => Error::of_io(name, error),
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Memory::OfTask(pid) => write!(f, "task {pid}"),
            Memory::Shared(id) => write!(f, "shared memory {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Option<Command>> {
        Command::read(&mut &*bytes)
    }

    #[test]
    fn records_as_criu_sends_them() {
        let mut bytes = vec![6, 0, 4, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x40, 0, 0, 0, 0, 0];
        bytes.extend([1, 0x2a, 0, 0, 0, 0, 0, 0]);
        let expected = Command::Add { of: Memory::OfTask(42), flags: 4, vaddr: 0x40_1000, nr_pages: 3 };
        assert_eq!(read(&bytes).expect("a record"), Some(expected));
        assert_eq!(record(ADD_F, 4, 3, 0x40_1000, Memory::OfTask(42).dst_id()), *bytes);
        let of = Memory::Shared(7);
        assert_eq!(read(&record(OPEN2, 0, 0, 0, 0x702)).expect("a record"), Some(Command::OpenAndTell(of)));
        assert_eq!(read(&record(CLOSE, 0, 0, 0, 0)).expect("a record"), Some(Command::Close));
        assert_eq!(read(&record(FORCE_CLOSE, 0, 0, 0, 0)).expect("a record"), Some(Command::Close));
        assert_eq!(read(&[]).expect("the end"), None);
    }

    #[test]
    fn what_is_no_record() {
        let check = |bytes: &[u8], why: &str| assert_eq!(read(bytes).expect_err(why).to_string(), why);
        check(&record(7, 0, 1, 0, 1 << 32), "0x100000000 is no pid");
        check(&record(8, 0, 1, 0, 0x101), "0x8 is no command of a page server");
        check(&record(OPEN, 0, 0, 0, 0x103), "0x103 is no id of memory");
        check(&record(OPEN, 0, 0, 0, 1), "0x1 is no id of memory");
        check(&record(ADD_F, 4, 1, 0, u64::MAX << 8 | 1), "0xffffffffffffff01 is no id of memory");
        let cut = read(&record(CLOSE, 0, 0, 0, 0)[..31]).expect_err("cut off");
        assert_eq!(cut.kind(), ErrorKind::UnexpectedEof);
    }
}
