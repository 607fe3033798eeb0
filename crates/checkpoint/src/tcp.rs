//! Connections of TCP: their sequence numbers, queues, windows and options (tcp(7) lacks all of it; CRIU's soccr is where it
//! is described). The kernel shows and takes them while a socket is in repair mode (`TCP_REPAIR`).
//!
//! A socket in repair mode sends nothing, not even when it is closed, and its program can neither read nor write. So it is
//! the last thing that a dump does: the tasks are frozen, the guardian knows the socket, and what the network would bring
//! meanwhile is dropped (`network_lock.rs`) and comes again later.

use crate::error::{At, Error, Result};
use crate::guardian::Guardian;
use crate::namespaces;
use crate::network_lock::{Ends, LockName, NetworkLock};
use crate::snapshot::TcpStream;
use images::messages::TcpStreamEntry;
use nix::sys::socket::{MsgFlags, recv};
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use sys::socket::{option, option_number, received_bytes, sent_bytes, set_option_number, unsent_bytes};

/// States (net/tcp_states.h), those of TCP for all sockets.
pub(crate) const ESTABLISHED: u8 = 1;
pub(crate) const SYN_SENT: u8 = 2;
const SYN_RECV: u8 = 3;
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
pub(crate) const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
pub(crate) const LISTEN: u8 = 10;
const CLOSING: u8 = 11;

/// Whether TCP holds a connection that others know of.
pub(crate) fn is_connection(state: u8) -> bool {
    ![CLOSE, LISTEN].contains(&state)
}

/// Whether one side has said that it is done.
pub(crate) fn is_closing(state: u8) -> bool {
    state > SYN_RECV && is_connection(state)
}

/// Whether this side has said so.
pub(crate) fn has_sent_fin(state: u8) -> bool {
    [FIN_WAIT1, FIN_WAIT2, CLOSING, LAST_ACK, CLOSE].contains(&state)
}

/// Whether the peer knows of that.
pub(crate) fn is_fin_acknowledged(state: u8) -> bool {
    [FIN_WAIT2, CLOSE].contains(&state)
}

/// Whether the peer has said so.
pub(crate) fn has_received_fin(state: u8) -> bool {
    [CLOSE_WAIT, LAST_ACK, CLOSING, CLOSE].contains(&state)
}

/// Whether this side has ended its direction after the peer had.
pub(crate) fn is_last(state: u8) -> bool {
    [LAST_ACK, CLOSE].contains(&state)
}

/// Whether a connection may be in this state while a program has it open.
pub(crate) fn is_known(state: u32) -> bool {
    let known =
        [ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING].map(u32::from);
    known.contains(&state)
}

/// Bits of `Info::options` and `tcp_stream_entry.opt_mask` (linux/tcp.h, `TCPI_OPT_`).
pub(crate) const WITH_TIMESTAMPS: u8 = 1;
pub(crate) const WITH_SACK: u8 = 2;
pub(crate) const WITH_SCALES: u8 = 4;

/// What is of interest in struct tcp_info.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    pub(crate) state: u8,
    options: u8,
    send_scale: u8,
    receive_scale: u8,
    /// Connections that wait to be accepted, of one that listens, and how many may.
    pub(crate) waiting: u32,
    pub(crate) backlog: u32,
}

pub(crate) fn info(fd: BorrowedFd<'_>) -> sys::Result<Info> {
    const UNACKED: usize = 24;
    const SACKED: usize = 28;
    let mut info = option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, 104)?;
    info.resize(104, 0);
    let word = |at: usize| u32::from_ne_bytes(info[at..at + 4].try_into().expect("four bytes"));
    Ok(Info {
        state: info[0],
        options: info[5],
        send_scale: info[6] & 15,
        receive_scale: info[6] >> 4,
        waiting: word(UNACKED),
        backlog: word(SACKED),
    })
}

/// An address out of a struct sockaddr_in or sockaddr_in6.
pub(crate) fn socket_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (family, port) = (u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]), bytes.get(2..4)?);
    let ip = match i32::from(family) {
        libc::AF_INET => IpAddr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?),
        libc::AF_INET6 => IpAddr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes([port[0], port[1]])))
}

/// The queue that calls on a socket in repair mode are about (linux/tcp.h).
#[derive(Clone, Copy)]
pub(crate) enum Queue {
    None = 0,
    Received = 1,
    Sent = 2,
}

pub(crate) fn begin_repair(fd: BorrowedFd<'_>) -> sys::Result<()> {
    const ON: i32 = 1;
    set_option_number(fd, libc::IPPROTO_TCP, libc::TCP_REPAIR, ON)
}

/// Lets a socket go on, and its peer know how much it takes. `reuses_address` is its own SO_REUSEADDR, which repair mode
/// changes.
pub(crate) fn end_repair(fd: BorrowedFd<'_>, reuses_address: bool) -> sys::Result<()> {
    const OFF: i32 = 0;
    set_option_number(fd, libc::IPPROTO_TCP, libc::TCP_REPAIR, OFF)?;
    set_option_number(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, reuses_address.into())
}

/// Lets a socket send as others do, for a moment.
pub(crate) fn pause_repair(fd: BorrowedFd<'_>) -> sys::Result<()> {
    /// Without a probe of the peer's window.
    const OFF_IN_SILENCE: i32 = -1;
    set_option_number(fd, libc::IPPROTO_TCP, libc::TCP_REPAIR, OFF_IN_SILENCE)
}

pub(crate) fn choose_queue(fd: BorrowedFd<'_>, queue: Queue) -> sys::Result<()> {
    set_option_number(fd, libc::IPPROTO_TCP, libc::TCP_REPAIR_QUEUE, queue as i32)
}

/// A connection of a container that is being dumped.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Who has it, for errors.
    pub(crate) owner: String,
    /// Of its file, and of its socket.
    pub(crate) id: u32,
    pub(crate) ino: u32,
    pub(crate) socket: OwnedFd,
    pub(crate) ends: Ends,
}

/// Connections in repair mode, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    /// With their own SO_REUSEADDR.
    connections: Vec<(Connection, bool)>,
    lock: Option<NetworkLock>,
    /// Stays when we end, unless it is dropped.
    lock_for_later: Option<LockName>,
    /// Of the tasks.
    network: File,
}

impl Held {
    /// Holds connections of the network of task `init`, whose tasks are frozen.
    pub(crate) fn hold(
        connections: Vec<Connection>,
        init: i32,
        guardian: &Guardian,
        locks_network: bool,
    ) -> Result<Held> {
        let path = format!("/proc/{init}/ns/net");
        let network = File::open(&path).at(|| format!("open {path}"))?;
        let mut held = Held { connections: Vec::new(), lock: None, lock_for_later: None, network };
        if locks_network {
            let ends: Vec<Ends> = connections.iter().map(|connection| connection.ends).collect();
            held.lock = Some(namespaces::inside_network(&held.network, || NetworkLock::take(&ends))?);
        }
        for connection in connections {
            let what = || format!("{}: hold its connection", connection.owner);
            let socket = connection.socket.as_fd();
            let reuses_address = option_number(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR).at(what)? != 0;
            guardian.note_connection(socket, reuses_address)?;
            begin_repair(socket).at(what)?;
            held.connections.push((connection, reuses_address));
        }
        Ok(held)
    }

    /// All connections with their states.
    pub(crate) fn read(&self) -> Result<Vec<(&Connection, u8, TcpStream)>> {
        let connections = self.connections.iter().map(|(connection, _)| connection);
        connections
            .map(|connection| {
                let (state, stream) = read(connection)?;
                Ok((connection, state, stream))
            })
            .collect()
    }

    /// Locks them in a way that outlives us, if they are locked, and tells by which name.
    pub(crate) fn lock_for_later(&mut self, guardian: &Guardian) -> Result<Option<LockName>> {
        if self.lock.is_some() {
            let name = LockName::new()?;
            let ends: Vec<Ends> = self.connections.iter().map(|(connection, _)| connection.ends).collect();
            guardian.note_lock(self.network.as_fd(), name)?;
            namespaces::inside_network(&self.network, || name.lock(&ends))?;
            self.lock_for_later = Some(name);
        }
        Ok(self.lock_for_later)
    }

    /// Ends connections without a word to their peers, when nobody else has them any more.
    pub(crate) fn close(mut self) {
        self.connections.clear();
        self.lock_for_later = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What a socket sends when it goes on is to arrive.
        self.lock = None;
        if let Some(name) = self.lock_for_later {
            let _ = namespaces::inside_network(&self.network, || name.unlock());
        }
        for (connection, reuses_address) in &self.connections {
            // The kernel has no reason to refuse it.
            let _ = end_repair(connection.socket.as_fd(), *reuses_address);
        }
    }
}

/// Reads a connection twice, if need be: a packet may have come through just before the network was locked.
fn read(connection: &Connection) -> Result<(u8, TcpStream)> {
    const TRIES: usize = 100;
    let what = || format!("{}: its connection", connection.owner);
    let fd = connection.socket.as_fd();
    for _ in 0..TRIES {
        let before = Marks::of(fd).at(what)?;
        let stream = before.stream(fd).at(what)?;
        if let Some(stream) = stream.filter(|_| Marks::of(fd).is_ok_and(|marks| marks == before)) {
            return Ok((before.info.state, stream));
        }
    }
    Err(Error::new(format!("{}: it does not come to rest", what())))
}

/// Where a connection is.
#[derive(Debug, PartialEq, Eq)]
struct Marks {
    info: Info,
    received: usize,
    sent: usize,
    unsent: usize,
    /// The numbers of the bytes behind the queues, FIN counted.
    receive_sequence: u32,
    send_sequence: u32,
}

impl Marks {
    fn of(fd: BorrowedFd<'_>) -> sys::Result<Marks> {
        let sequence = |queue| {
            choose_queue(fd, queue)?;
            Ok::<_, sys::Errno>(option_number(fd, libc::IPPROTO_TCP, libc::TCP_QUEUE_SEQ)? as u32)
        };
        let info = info(fd)?;
        let fin = usize::from(has_sent_fin(info.state));
        // What was not sent of a connection that was reset is nobody's any more.
        let is_over = info.state == CLOSE;
        let of_sent = |bytes: usize| if is_over { 0 } else { bytes.saturating_sub(fin) };
        Ok(Marks {
            info,
            received: received_bytes(fd)?,
            sent: of_sent(sent_bytes(fd)?),
            unsent: of_sent(unsent_bytes(fd)?),
            receive_sequence: sequence(Queue::Received)?,
            send_sequence: sequence(Queue::Sent)?,
        })
    }

    /// `None` when the queues are not as long as they were.
    fn stream(&self, fd: BorrowedFd<'_>) -> sys::Result<Option<TcpStream>> {
        let option = |name| option_number(fd, libc::IPPROTO_TCP, name);
        let (Some(received), Some(sent)) =
            (look(fd, Queue::Received, self.received)?, look(fd, Queue::Sent, self.sent)?)
        else {
            return Ok(None);
        };
        let has = |bit: u8| self.info.options & bit != 0;
        let window = sys::socket::option(fd, libc::IPPROTO_TCP, TCP_REPAIR_WINDOW, 20)?;
        let word = |nth: usize| {
            window
                .get(nth * 4..nth * 4 + 4)
                .map(|word| u32::from_ne_bytes(word.try_into().expect("four bytes")))
        };
        let is_set = |name| Ok::<_, sys::Errno>(Some(option(name)? != 0).filter(|is_set| *is_set));
        let entry = TcpStreamEntry {
            inq_len: received.len() as u32,
            inq_seq: self.receive_sequence,
            outq_len: sent.len() as u32,
            outq_seq: self.send_sequence,
            opt_mask: self.info.options.into(),
            snd_wscale: if has(WITH_SCALES) { self.info.send_scale.into() } else { 0 },
            mss_clamp: option(libc::TCP_MAXSEG)? as u32,
            rcv_wscale: has(WITH_SCALES).then_some(self.info.receive_scale.into()),
            timestamp: if has(WITH_TIMESTAMPS) { Some(option(libc::TCP_TIMESTAMP)? as u32) } else { None },
            cork: is_set(libc::TCP_CORK)?,
            nodelay: is_set(libc::TCP_NODELAY)?,
            unsq_len: Some(self.unsent as u32),
            snd_wl1: word(0),
            snd_wnd: word(1),
            max_window: word(2),
            rcv_wnd: word(3),
            rcv_wup: word(4),
        };
        Ok(Some(TcpStream { entry, received, sent }))
    }
}

/// struct tcp_repair_window: snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup
pub(crate) const TCP_REPAIR_WINDOW: i32 = 29;

/// What is in a queue, which stays there; `None` unless these are `len` bytes.
fn look(fd: BorrowedFd<'_>, queue: Queue, len: usize) -> sys::Result<Option<Vec<u8>>> {
    if len == 0 {
        return Ok(Some(Vec::new()));
    }
    choose_queue(fd, queue)?;
    // From its start, wherever the program looks at the moment. Older kernels do not have it for TCP.
    let own = option_number(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF).unwrap_or(-1);
    let look_from = |offset| set_option_number(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF, offset);
    if own >= 0 {
        look_from(-1)?;
    }
    let mut bytes = vec![0; len + 1];
    let found = recv(fd.as_raw_fd(), &mut bytes, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
    if own >= 0 {
        look_from(own)?;
    }
    bytes.truncate(found?);
    Ok(Some(bytes).filter(|bytes| bytes.len() == len))
}
