//! unix(7) sockets: who is whose peer is told by sock_diag(7), what they have received by peeking.

use super::sockets::{Socket, options};
use super::{Descriptor, Files, Open, entry};
use crate::error::{At, Error, Result};
use crate::namespaces;
use crate::proc::Fdinfo;
use crate::snapshot::{Sender, USK_EXTERN};
use crate::target::{NamespaceKind, OuterUnixSockets};
use crate::tree::Tree;
use images::messages::{
    FdTypes, FileEntry, FilePermsEntry, ScmEntry, SkPacketEntry, SkShutdown, UnixSkEntry,
};
use inject::Batch;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, UnixAddr, getpeername, recv, send, socket,
};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use sys::socket::{Peeked, option_number, peek, received_bytes, sent_bytes, set_option_number, unix_file};

/// States of sockets (net/tcp_states.h).
const LISTEN: u8 = 10;

/// What one look at a queue takes at first, and at most: a datagram may be as large as the buffer of who sent it.
const LOOK: usize = 1 << 18;
const LARGEST: usize = 1 << 28;

/// All unix sockets of a network namespace, by their inodes.
#[derive(Debug, Default)]
pub(crate) struct UnixSockets {
    sockets: BTreeMap<u32, UnixSocket>,
    /// Of those that wait to be accepted: the socket that listens.
    waiting: BTreeMap<u32, u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct UnixSocket {
    kind: u8,
    state: u8,
    name: Vec<u8>,
    peer: u32,
    /// Inodes of those that wait to be accepted; 0 for one that was closed.
    waiting: Vec<u32>,
    /// Of one that listens, how many may wait.
    backlog: u32,
    shutdown: u8,
}

impl UnixSockets {
    /// Those in the network namespace of a process.
    pub(crate) fn of(pid: i32) -> Result<UnixSockets> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let make = || socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkSockDiag);
        let diag = namespaces::inside(pid, NamespaceKind::Net, || {
            make().at(|| "make a socket for sock_diag".to_owned())
        })?;
        let mut unix = UnixSockets::default();
        for (inode, socket) in ask(&diag).at(|| "ask for unix sockets".to_owned())? {
            unix.waiting.extend(socket.waiting.iter().map(|waiting| (*waiting, inode)));
            unix.sockets.insert(inode, socket);
        }
        Ok(unix)
    }
}

impl UnixSockets {
    pub(crate) fn has(&self, inode: u32) -> bool {
        self.sockets.contains_key(&inode)
    }

    /// The peer of a socket, as long as it is there, in whichever network namespace; of one that waits to be accepted, the
    /// socket that listens.
    pub(crate) fn peer(&self, inode: u32) -> Option<u32> {
        let peer = self.waiting.get(&inode).copied().or_else(|| Some(self.sockets.get(&inode)?.peer));
        peer.filter(|peer| *peer != 0)
    }

    /// Whether it is connected to nobody in the namespace: it waits to be accepted by one in another. One whose peer has
    /// ended is shut down.
    pub(crate) fn waits_outside(&self, inode: u32) -> bool {
        const ESTABLISHED: u8 = 1;
        let is_alone = |socket: &&UnixSocket| {
            let is_stream = i32::from(socket.kind) != libc::SOCK_DGRAM;
            is_stream && socket.state == ESTABLISHED && (socket.peer, socket.shutdown) == (0, 0)
        };
        self.sockets.get(&inode).filter(is_alone).is_some() && !self.waiting.contains_key(&inode)
    }

    /// Why a socket cannot be dumped now: what was sent on a connection that waits to be accepted cannot be looked at.
    pub(crate) fn refused(&self, inode: u32, fd: BorrowedFd<'_>) -> sys::Result<Option<&'static str>> {
        let Some(socket) = self.sockets.get(&inode) else { return Ok(None) };
        if socket.waiting.contains(&0) {
            return Ok(Some("a connection that waits to be accepted was closed by who made it"));
        }
        let has_sent = self.waiting.contains_key(&inode) && sent_bytes(fd)? != 0;
        Ok(has_sent.then_some("it has sent something on a connection that waits to be accepted"))
    }
}

/// All of them, by SOCK_DIAG_BY_FAMILY (sock_diag(7)).
fn ask(diag: &OwnedFd) -> sys::Result<Vec<(u32, UnixSocket)>> {
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const REQUEST_DUMP: u16 = 0x301;
    const SHOW_NAME_PEER_ICONS_RQLEN: u32 = 0x1d;
    const ALL_STATES: u32 = u32::MAX;
    const HEADER: usize = 16;
    let mut request = Vec::new();
    request.extend_from_slice(&40u32.to_le_bytes());
    request.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_le_bytes());
    request.extend_from_slice(&REQUEST_DUMP.to_le_bytes());
    request.extend_from_slice(&[0; 8]);
    request.extend_from_slice(&[libc::AF_UNIX as u8, 0, 0, 0]);
    request.extend_from_slice(&ALL_STATES.to_le_bytes());
    request.extend_from_slice(&[0; 4]);
    request.extend_from_slice(&SHOW_NAME_PEER_ICONS_RQLEN.to_le_bytes());
    request.extend_from_slice(&[0; 8]);
    send(diag.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut sockets = Vec::new();
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        let len = recv(diag.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..len];
        while rest.len() >= HEADER {
            let size = (word(rest, 0) as usize).clamp(HEADER, rest.len());
            match u16::from_le_bytes([rest[4], rest[5]]) as i32 {
                libc::NLMSG_DONE => return Ok(sockets),
                libc::NLMSG_ERROR => {
                    return Err(sys::Errno::from_raw((word(rest, HEADER) as i32).wrapping_neg()));
                }
                _ => sockets.extend(parse(&rest[HEADER..size])),
            }
            rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// A struct unix_diag_msg and its attributes.
fn parse(message: &[u8]) -> Option<(u32, UnixSocket)> {
    const MESSAGE: usize = 16;
    const NAME: u16 = 0;
    const PEER: u16 = 2;
    const ICONS: u16 = 3;
    const RQLEN: u16 = 4;
    const SHUTDOWN: u16 = 6;
    if message.len() < MESSAGE {
        return None;
    }
    let mut socket = UnixSocket { kind: message[1], state: message[2], ..UnixSocket::default() };
    let mut rest = &message[MESSAGE..];
    while rest.len() >= 4 {
        let size = usize::from(u16::from_le_bytes([rest[0], rest[1]])).clamp(4, rest.len());
        let value = &rest[4..size];
        match u16::from_le_bytes([rest[2], rest[3]]) {
            NAME => socket.name = value.to_vec(),
            PEER => socket.peer = word(value, 0),
            ICONS => socket.waiting = (0..value.len() / 4).map(|nth| word(value, nth * 4)).collect(),
            // Of one that listens, how many wait and how many may.
            RQLEN if socket.state == LISTEN => socket.backlog = word(value, 4),
            SHUTDOWN => socket.shutdown = value.first().copied().unwrap_or(0),
            _ => {}
        }
        rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
    }
    Some((word(message, 4), socket))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |word| u32::from_le_bytes(word.try_into().expect("four bytes")))
}

impl Files<'_> {
    pub(super) fn unix_socket(&mut self, open: &Open) -> Result<FileEntry> {
        let ino = open.metadata.ino() as u32;
        let unix = self.surroundings.unix;
        let Some(socket) = unix.sockets.get(&ino) else {
            return Err(Error::new(format!("{}: its network namespace is not the container's", open.owner)));
        };
        let made = Socket::of(open.file.as_fd()).at(|| format!("{}: its kind", open.owner))?;
        if let Some(reason) = unix.refused(ino, open.file.as_fd()).at(|| open.owner.clone())? {
            return Err(Error::new(format!("{}: {reason}", open.owner)));
        }
        // A connection that nobody has accepted is made again.
        let peer = unix.waiting.get(&ino).copied().unwrap_or(socket.peer);
        let shutdown = match socket.shutdown {
            0 => None,
            1 => Some(SkShutdown::Read as i32),
            2 => Some(SkShutdown::Write as i32),
            _ => Some(SkShutdown::Both as i32),
        };
        let mut usk = UnixSkEntry {
            id: open.id,
            ino,
            r#type: socket.kind.into(),
            state: socket.state.into(),
            flags: open.info.flags,
            uflags: 0,
            backlog: socket.backlog,
            peer,
            fown: self.owner(open)?,
            opts: options(open, made)?,
            name: socket.name.clone(),
            shutdown,
            ns_id: Some(self.surroundings.namespaces.id(NamespaceKind::Net)),
            ..UnixSkEntry::default()
        };
        if socket.name.first().is_some_and(|first| *first != 0) {
            self.bound(open, &mut usk)?;
        }
        if socket.state != LISTEN {
            self.received(open, made)?;
        }
        if peer != 0 && i32::from(socket.kind) == libc::SOCK_DGRAM {
            self.outer_names.extend(peer_name(open.file.as_fd()).map(|name| (ino, name)));
        }
        Ok(FileEntry { usk: Some(Box::new(usk)), ..entry(FdTypes::Unixsk, open.id) })
    }

    /// The file that a socket is bound to.
    fn bound(&self, open: &Open, usk: &mut UnixSkEntry) -> Result<()> {
        let file = unix_file(open.file.as_fd()).at(|| format!("{}: the file of its name", open.owner))?;
        let info = Fdinfo::of(std::process::id() as i32, file.as_raw_fd())?;
        let link = crate::proc::link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let metadata = File::from(file).metadata().at(|| format!("{}: the file of its name", open.owner))?;
        let (uid, gid) = self.ids(&metadata);
        usk.file_perms = Some(FilePermsEntry { mode: metadata.mode(), uid, gid });
        let mounts = self.surroundings.mounts;
        usk.mnt_id = mounts.of_mount(info.mnt_id).is_some().then_some(info.mnt_id as i32);
        let path = link.as_os_str().as_bytes();
        let root = mounts.root_of(info.mnt_id);
        let found = sys::path::resolve_in_root(root, OsStr::from_bytes(path), libc::O_NOFOLLOW);
        let found = found.ok().and_then(|file| File::from(file).metadata().ok());
        let is_there =
            found.is_some_and(|found| (found.dev(), found.ino()) == (metadata.dev(), metadata.ino()));
        usk.deleted = (!is_there).then_some(true);
        // A relative name: where it began.
        let name: Vec<u8> = usk.name.iter().copied().take_while(|byte| *byte != 0).collect();
        if !name.starts_with(b"/") {
            let path = path.strip_suffix(b" (deleted)".as_slice()).unwrap_or(path);
            usk.name_dir = path.strip_suffix(name.as_slice()).map(<[u8]>::to_vec);
        }
        Ok(())
    }

    /// What it has received, with descriptors that are on their way.
    fn received(&mut self, open: &Open, socket: Socket) -> Result<()> {
        let fd = open.file.as_fd();
        let what = || format!("{}: look at what it has received", open.owner);
        // Of datagrams it says only how long the first is, which may have no bytes.
        let is_datagram = socket.kind == libc::SOCK_DGRAM;
        let expected = received_bytes(fd).at(what)?;
        if expected == 0 && !is_datagram {
            return Ok(());
        }
        let before = option_number(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF).at(what)?;
        let messages = peek_all(fd, is_datagram);
        set_option_number(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF, before).at(what)?;
        let messages = messages.at(what)?;
        let found: usize = messages.iter().map(|message| message.bytes.len()).sum();
        // Behind a message of no bytes, a stream of packets seems to end.
        if !is_datagram && found != expected {
            return Err(Error::new(format!("{}: {found} of {expected} bytes are there", what())));
        }
        let mut at = 0;
        for message in messages {
            if message.has_more {
                return Err(Error::new(format!(
                    "{}: its queue has control messages that are not supported",
                    open.owner
                )));
            }
            if message.has_credentials {
                let (owner, descriptor) = (open.owner.clone(), open.descriptor);
                let (packet, len) = (self.queues.len() as u32, message.bytes.len());
                self.signed.push(Signed { owner, descriptor, at, len, packet });
            }
            at += message.bytes.len() as i32;
            let rights: Result<Vec<u32>> =
                message.files.into_iter().map(|file| self.in_flight(file)).collect();
            let rights = rights?;
            let scm = if rights.is_empty() { Vec::new() } else { vec![ScmEntry { r#type: 1, rights }] };
            let packet = SkPacketEntry { id_for: open.id, length: message.bytes.len() as u32, scm };
            self.queues.push((packet, message.bytes));
        }
        Ok(())
    }

    /// All that are connected must be there at both ends, but those that are allowed to lead outside. A peer there to which
    /// datagrams are sent gets an entry, as in CRIU's images: whoever restores connects to its name.
    pub(crate) fn outer_peers(&mut self, allowed: &OuterUnixSockets) -> Result<()> {
        let sockets = || self.entries.values().filter_map(|entry| entry.usk.as_ref());
        let waits = sockets().find(|socket| self.surroundings.unix.waits_outside(socket.ino));
        if let Some(socket) = waits.filter(|_| *allowed != OuterUnixSockets::All) {
            return Err(Error::new(format!(
                "unix socket {}: its peer is outside of the container; use --ext-unix-sk",
                socket.ino
            )));
        }
        let is_inside = |inode: u32| sockets().any(|other| other.ino == inode);
        let outside = sockets().filter(|socket| socket.peer != 0 && !is_inside(socket.peer));
        let mut named = BTreeMap::new();
        for socket in outside {
            if !allowed.allow(socket.peer) {
                return Err(Error::new(format!(
                    "unix socket {}: its peer {} is outside of the container; use --ext-unix-sk",
                    socket.ino, socket.peer
                )));
            }
            if let Some(name) = self.outer_names.get(&socket.ino) {
                named.insert(socket.peer, name.clone());
            }
        }
        for (ino, name) in named {
            let id = self.new_id();
            let usk = UnixSkEntry {
                id,
                ino,
                r#type: libc::SOCK_DGRAM as u32,
                state: LISTEN.into(),
                uflags: USK_EXTERN,
                name,
                ..UnixSkEntry::default()
            };
            self.outer.push(FileEntry { usk: Some(Box::new(usk)), ..entry(FdTypes::Unixsk, id) });
        }
        Ok(())
    }
}

/// The name of the socket that another one sends datagrams to, as images have it. A relative one says nothing to anybody else.
fn peer_name(fd: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let address: UnixAddr = getpeername(fd.as_raw_fd()).ok()?;
    match (address.path(), address.as_abstract()) {
        (Some(path), _) if path.is_absolute() => Some([path.as_os_str().as_bytes(), b"\0"].concat()),
        (_, Some(name)) => Some([b"\0", name].concat()),
        _ => None,
    }
}

/// A message in a queue with the credentials of who has sent it. What they are depends on who reads them.
#[derive(Debug)]
pub(crate) struct Signed {
    /// Who has the socket, for errors.
    owner: String,
    descriptor: Descriptor,
    /// Bytes in the queue before it, and its own.
    at: i32,
    len: usize,
    /// Its place among all messages.
    packet: u32,
}

/// Lets tasks look at messages as they would receive them, and leave them there.
pub(crate) fn senders(signed: &[Signed], tree: &mut Tree<'_>) -> Result<BTreeMap<u32, Sender>> {
    let mut senders = BTreeMap::new();
    for message in signed {
        let Descriptor { pid, fd } = message.descriptor;
        let failed = |what: &str| Error::new(format!("{}: credentials in its queue: {what}", message.owner));
        let member = tree.members.iter_mut().find(|member| member.pid == pid);
        let member = member.ok_or_else(|| failed("no task has the socket open"))?;
        let mut batch = Batch::new();
        let option = |batch: &mut Batch, offset: i32| {
            let value = batch.bytes(&offset.to_le_bytes());
            let (level, name) = (libc::SOL_SOCKET, libc::SO_PEEK_OFF);
            let arguments = [fd.into(), level.into(), name.into(), value.into(), 4.into()];
            batch.call("setsockopt", libc::SYS_setsockopt, &arguments);
        };
        let before = member.descriptor(fd)?;
        let before = option_number(before.as_fd(), libc::SOL_SOCKET, libc::SO_PEEK_OFF);
        let before = before.at(|| message.owner.clone())?;
        option(&mut batch, message.at);
        // One byte of it; and, behind its credentials, no room for descriptors, which the task would get.
        let byte = batch.space(1);
        let vector = batch.words(&[0, 1]);
        batch.point(vector, byte);
        let control = batch.space(CONTROL);
        let header = batch.words(&[0, 0, 0, 1, 0, CONTROL as u64, 0]);
        batch.point(header.plus(16), vector);
        batch.point(header.plus(32), control);
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        let read =
            batch.call_may_fail("recvmsg", libc::SYS_recvmsg, &[fd.into(), header.into(), flags.into()]);
        option(&mut batch, before);
        let outcome = member.process().run(0, &batch)?;
        let read = outcome.result(read).at(|| message.owner.clone())? as usize;
        // Of a stream it gets the one byte.
        if read != message.len && read != 1 {
            return Err(failed("it is another message"));
        }
        let word = |nth: usize| outcome.u32(control.plus(16 + nth * 4));
        let sender = Sender { pid: word(0), uid: word(1), gid: word(2) };
        if outcome.u32(control.plus(12)) != libc::SCM_CREDENTIALS as u32 || sender.pid == 0 {
            return Err(failed("the sender is outside of the container"));
        }
        senders.insert(message.packet, sender);
    }
    Ok(senders)
}

/// Bytes of a control message with a ucred: level, type and length before it, and what aligns it.
const CONTROL: usize = 32;

fn peek_all(fd: BorrowedFd<'_>, is_datagram: bool) -> sys::Result<Vec<Peeked>> {
    let (mut messages, mut at, mut len) = (Vec::new(), 0, LOOK);
    loop {
        set_option_number(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF, at)?;
        let message = match peek(fd, len) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(messages),
            Err(errno) if errno.raw() == libc::EMSGSIZE && len < LARGEST => {
                len *= 2;
                continue;
            }
            Err(errno) => return Err(errno),
        };
        // The end of a stream. A datagram may have no bytes; the kernel does not show it a second time.
        if message.bytes.is_empty() && message.files.is_empty() && !is_datagram {
            return Ok(messages);
        }
        at += message.bytes.len() as i32;
        messages.push(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_this_process() {
        let (one, other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let inode = |fd: &std::os::unix::net::UnixStream| {
            File::from(fd.as_fd().try_clone_to_owned().expect("a copy")).metadata().expect("metadata").ino()
                as u32
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let diag = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkSockDiag)
            .expect("a socket");
        let sockets: BTreeMap<u32, UnixSocket> = ask(&diag).expect("answers").into_iter().collect();
        let found = &sockets[&inode(&one)];
        assert_eq!((found.kind, found.state, found.peer), (1, 1, inode(&other)));
    }

    #[test]
    fn datagrams_are_looked_at_and_left() {
        let (one, other) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
        let sent = [&b""[..], b"one", b"", b"", &[7; 100_000], b"last"];
        for message in sent {
            one.send(message).expect("sent");
        }
        let looked = peek_all(other.as_fd(), true).expect("messages");
        let looked: Vec<&[u8]> = looked.iter().map(|message| message.bytes.as_slice()).collect();
        assert_eq!(looked, sent);
        set_option_number(other.as_fd(), libc::SOL_SOCKET, libc::SO_PEEK_OFF, -1).expect("as before");
        let mut buffer = [0; 8];
        assert_eq!(other.recv(&mut buffer).expect("the first"), 0);
        assert_eq!(other.recv(&mut buffer).expect("the second"), 3);
    }
}
