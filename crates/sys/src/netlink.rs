//! Messages of netlink(7), as rtnetlink(7) and the netfilter have them, and a socket for them.
//!
//! A general netlink library is more code than what is said here: a request, the answers to it, their attributes.
//!
//! ```text
//! nlmsghdr   length u32 | type u16 | flags u16 | sequence u32 | port u32      then, in native byte order, a header of
//!            the type's own, and after it: rtattr  length u16 | type u16 | value, padded to 4
//! nlmsgerr   -errno i32 | ...
//! ```

use crate::{Errno, Result};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send, socket,
};
use std::os::fd::{AsRawFd, OwnedFd};

/// A socket that talks to the kernel, of the network namespace in which it was opened.
#[derive(Debug)]
pub struct Socket {
    socket: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Opens one of rtnetlink(7).
    pub fn route() -> Result<Socket> {
        Socket::open(SockProtocol::NetlinkRoute)
    }

    /// Opens one of the netfilter's.
    pub fn netfilter() -> Result<Socket> {
        Socket::open(SockProtocol::NetlinkNetFilter)
    }

    /// Opens one of sock_diag(7).
    pub fn diagnosis() -> Result<Socket> {
        Socket::open(SockProtocol::NetlinkSockDiag)
    }

    fn open(protocol: SockProtocol) -> Result<Socket> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        // Connected to the kernel, the socket takes messages from nobody else.
        connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Socket { socket, sequence: 0 })
    }

    /// All that the kernel has of a kind. What changes while it is listed is listed again, ten times at most.
    pub fn list(&mut self, kind: u16, body: &[u8]) -> Result<Vec<Reply>> {
        let mut attempts = 10;
        loop {
            match self.request(kind, libc::NLM_F_DUMP, body) {
                Err(errno) if errno == INTERRUPTED && attempts > 0 => attempts -= 1,
                result => return result,
            }
        }
    }

    /// Sends one request and collects the answers up to the one that ends them, which `flags` must ask for:
    /// NLM_F_ACK or NLM_F_DUMP.
    pub fn request(&mut self, kind: u16, flags: i32, body: &[u8]) -> Result<Vec<Reply>> {
        self.sequence += 1;
        let request = write_message(kind, libc::NLM_F_REQUEST | flags, self.sequence, body);
        send(self.socket.as_raw_fd(), &request, MsgFlags::empty())?;

        // The kernel fills at most 32 KiB of a dump at a time; a single link can say more.
        let mut buffer = vec![0; 128 * 1024];
        let mut replies = Vec::new();
        let mut interrupted = false;
        loop {
            let length = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC) {
                Err(nix::errno::Errno::EINTR) => continue,
                result => result?,
            };
            let mut datagram = buffer.get(..length).ok_or(Errno::from_raw(libc::EMSGSIZE))?;
            while !datagram.is_empty() {
                let (message, rest) = read_message(datagram).ok_or(MALFORMED)?;
                datagram = rest;
                if message.sequence != self.sequence {
                    continue;
                }
                interrupted |= i32::from(message.flags) & libc::NLM_F_DUMP_INTR != 0;
                if !matches!(i32::from(message.kind), libc::NLMSG_ERROR | libc::NLMSG_DONE) {
                    replies.push(Reply { kind: message.kind, body: message.body.to_vec() });
                    continue;
                }
                return match i32::from_ne_bytes(array(message.body, 0).ok_or(MALFORMED)?) {
                    0 if interrupted => Err(INTERRUPTED),
                    0 => Ok(replies),
                    error => Err(Errno::from_raw(error.saturating_neg())),
                };
            }
        }
    }
}

/// An answer that is not laid out as it has to be.
pub const MALFORMED: Errno = Errno::from_raw(libc::EBADMSG);
const INTERRUPTED: Errno = Errno::from_raw(libc::EINTR);

/// An answer: its type, and all behind the `nlmsghdr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub kind: u16,
    pub body: Vec<u8>,
}

/// A message as it lies in a datagram or a file.
#[derive(Debug, PartialEq)]
pub struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub body: &'a [u8],
}

const MESSAGE_HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;

/// A message with its header; `flags` are `NLM_F_`.
pub fn write_message(kind: u16, flags: i32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(MESSAGE_HEADER + body.len());
    message.extend(((MESSAGE_HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((flags as u16).to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(body);
    message
}

/// Appends an attribute to a message.
pub fn put_attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend(((ATTRIBUTE_HEADER + value.len()) as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// The first message of a datagram, and what follows it.
pub fn read_message(datagram: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = u32::from_ne_bytes(array(datagram, 0)?) as usize;
    let message = Message {
        kind: u16::from_ne_bytes(array(datagram, 4)?),
        flags: u16::from_ne_bytes(array(datagram, 6)?),
        sequence: u32::from_ne_bytes(array(datagram, 8)?),
        body: datagram.get(MESSAGE_HEADER..length)?,
    };
    Some((message, datagram.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The attributes of a message or of a nested attribute, without the bits beside the type; none where a length lies.
pub fn read_attributes(mut bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut attributes = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_ne_bytes(array(bytes, 0)?));
        let kind = u16::from_ne_bytes(array(bytes, 2)?) & libc::NLA_TYPE_MASK as u16;
        attributes.push((kind, bytes.get(ATTRIBUTE_HEADER..length)?));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(attributes)
}

/// So many bytes at an offset.
pub fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}
