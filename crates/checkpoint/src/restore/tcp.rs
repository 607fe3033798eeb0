//! Connections of TCP. A task makes the socket, binds and connects it, so the kernel decides what its user may; in between we
//! give it its numbers, and then its queues, with our capabilities, in repair mode (`crate::tcp`). Nothing of that is sent.
//!
//! Until the tasks run, the network drops what comes for the connections: with no socket for it the kernel would answer
//! that there is no connection.

use super::build::Build;
use super::sockets::{inet_address, set, set_up, sockaddr};
use crate::error::{At, Error, Result};
use crate::namespaces;
use crate::network_lock::{Ends, LockName, MARK, NetworkLock};
use crate::snapshot::{TcpStream, names};
use crate::target::NamespaceKind;
use crate::tcp::{self, Queue, TCP_REPAIR_WINDOW};
use images::messages::{InetSkEntry, TcpStreamEntry};
use inject::Batch;
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, send,
    sendto, setsockopt, shutdown, socket, sockopt,
};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::socket::{set_option, set_option_number};

/// Connections in repair mode. When they are dropped without `resume`, their sockets end with the tasks, and say nothing.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// With names for errors, and their own SO_REUSEADDR.
    sockets: Vec<(String, OwnedFd, bool)>,
    // After the sockets.
    lock: Option<NetworkLock>,
    ends: Vec<Ends>,
}

impl Connections {
    /// Whether their packets are dropped.
    pub(super) fn are_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// Locks them in a way that outlives us. `init` is the first task.
    pub(super) fn lock_for_later(&self, init: i32, name: LockName) -> Result<()> {
        namespaces::inside(init, NamespaceKind::Net, || name.lock(&self.ends))
    }

    /// Lets them go on.
    pub(super) fn resume(&mut self) -> Result<()> {
        // What a socket sends when it goes on is to arrive.
        self.lock = None;
        for (name, socket, reuses_address) in self.sockets.drain(..) {
            tcp::end_repair(socket.as_fd(), reuses_address).at(|| format!("{name}: let it go on"))?;
        }
        Ok(())
    }
}

/// Whether a socket comes back connected, as far as TCP goes: to nobody else, when the connection has ended.
pub(super) fn is_restored(build: &Build<'_>, entry: &InetSkEntry) -> bool {
    let is_tcp = entry.proto == libc::IPPROTO_TCP as u32 && entry.r#type == libc::SOCK_STREAM as u32;
    is_tcp
        && build.policy.tcp_established
        && !build.policy.tcp_close
        && build.snapshot.streams.contains_key(&entry.ino)
}

/// Before anything of the network is made.
pub(super) fn lock(build: &mut Build<'_>) -> Result<()> {
    let sockets = build.snapshot.files.iter().filter_map(|file| file.isk.as_deref());
    let connections: Result<Vec<Ends>> =
        sockets.filter(|entry| is_restored(build, entry)).map(ends).collect();
    let connections = connections?;
    if !connections.is_empty() && build.policy.lock_network {
        let lock = || NetworkLock::take(&connections);
        build.connections.lock = Some(namespaces::inside(build.init, NamespaceKind::Net, lock)?);
        build.connections.ends = connections;
    }
    Ok(())
}

fn ends(entry: &InetSkEntry) -> Result<Ends> {
    let address = |words: &[u32], port: u32| {
        tcp::socket_address(&sockaddr(entry.family, words, port)?)
            .ok_or_else(|| Error::new("its address is none"))
    };
    let ends =
        Ends::new(address(&entry.src_addr, entry.src_port)?, address(&entry.dst_addr, entry.dst_port)?);
    match ends.own.is_ipv4() == ends.peer.is_ipv4() {
        true => Ok(ends),
        false => Err(Error::new(format!("TCP connection {} to {}: of two families", ends.own, ends.peer))),
    }
}

/// Makes the socket of a connection.
pub(super) fn open(build: &mut Build<'_>, entry: &InetSkEntry) -> Result<()> {
    let snapshot = build.snapshot;
    let stream = snapshot.streams.get(&entry.ino);
    let stream = stream.ok_or_else(|| Error::new(format!("{}: missing", names::stream(entry.ino))))?;
    let connection = Connection { state: entry.state as u8, ends: ends(entry)?, stream };
    connection.check(entry)?;
    let mut batch = Batch::new();
    let kind = entry.r#type | libc::SOCK_NONBLOCK as u32;
    let fd = batch.call("socket", libc::SYS_socket, &[entry.family.into(), kind.into(), entry.proto.into()]);
    if let Some(only) = entry.v6only.filter(|_| entry.family == libc::AF_INET6 as u32) {
        set(&mut batch, fd.into(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only.into());
    }
    if entry.ip_opts.as_ref().and_then(|options| options.freebind) == Some(true) {
        set(&mut batch, fd.into(), libc::IPPROTO_IP, libc::IP_FREEBIND, 1);
    }
    build.settle(&mut batch, fd, entry.id);
    build.run(0, &batch)?;
    let number = build.number(entry.id);
    let socket = build.descriptor(number)?;
    let fd = socket.as_fd();
    connection.begin(fd).at(|| "begin to restore it".to_owned())?;
    let mut batch = Batch::new();
    let (own, len) = inet_address(&mut batch, entry.family, &entry.src_addr, entry.src_port)?;
    batch.call("bind", libc::SYS_bind, &[number.into(), own, len.into()]);
    let (peer, len) = inet_address(&mut batch, entry.family, &entry.dst_addr, entry.dst_port)?;
    let arguments = [number.into(), peer, len.into()];
    let connected = batch.call_may_fail("connect", libc::SYS_connect, &arguments);
    match build.run(0, &batch)?.result(connected) {
        Err(errno) if connection.state == tcp::SYN_SENT && errno.raw() == libc::EINPROGRESS => {}
        connected => _ = connected.at(|| "connect".to_owned())?,
    }
    connection.complete(fd, build.init)?;
    let mut batch = Batch::new();
    set_up(&mut batch, number.into(), entry);
    let flags = entry.flags & libc::O_NONBLOCK as u32;
    batch.call("F_SETFL", libc::SYS_fcntl, &[number.into(), libc::F_SETFL.into(), flags.into()]);
    build.run(0, &batch)?;
    let name = format!("TCP connection {} to {}", connection.ends.own, connection.ends.peer);
    build.connections.sockets.push((name, socket, entry.opts.reuseaddr == Some(true)));
    Ok(())
}

struct Connection<'a> {
    state: u8,
    ends: Ends,
    stream: &'a TcpStream,
}

impl Connection<'_> {
    /// What the kernel does not check, or would take for something else.
    fn check(&self, entry: &InetSkEntry) -> Result<()> {
        // Of a segment: what every network takes, what an IP packet holds.
        const SEGMENT: std::ops::RangeInclusive<u32> = 48..=65535;
        let name = names::stream(entry.ino);
        let TcpStreamEntry { mss_clamp, outq_len, unsq_len, .. } = self.stream.entry;
        if !tcp::is_known(entry.state) {
            return Err(Error::new(format!("state {} is no connection's", entry.state)));
        }
        if self.state != tcp::SYN_SENT && !SEGMENT.contains(&mss_clamp) {
            return Err(Error::new(format!(
                "{name}: tcp_stream_entry.mss_clamp: {mss_clamp} bytes are no segment"
            )));
        }
        if unsq_len.is_some_and(|unsent| unsent > outq_len) {
            return Err(Error::new(format!("{name}: tcp_stream_entry.unsq_len: more than outq_len")));
        }
        Ok(())
    }

    /// The numbers of the first bytes of its queues. A FIN that was sent or received is behind the last.
    fn sequences(&self) -> (u32, u32) {
        let TcpStreamEntry { inq_seq, inq_len, outq_seq, outq_len, .. } = self.stream.entry;
        let fin = |has_fin: bool| u32::from(has_fin);
        let received = inq_seq.wrapping_sub(inq_len).wrapping_sub(fin(tcp::has_received_fin(self.state)));
        let sent = outq_seq.wrapping_sub(outq_len).wrapping_sub(fin(tcp::has_sent_fin(self.state)));
        (received, sent)
    }

    /// A socket that is not connected yet gets its numbers.
    fn begin(&self, fd: BorrowedFd<'_>) -> sys::Result<()> {
        tcp::begin_repair(fd)?;
        let (received, sent) = self.sequences();
        // A SYN counts.
        let sent = if self.state == tcp::SYN_SENT { sent.wrapping_sub(1) } else { sent };
        for (queue, sequence) in [(Queue::Received, received), (Queue::Sent, sent)] {
            tcp::choose_queue(fd, queue)?;
            set_option_number(fd, libc::IPPROTO_TCP, libc::TCP_QUEUE_SEQ, sequence as i32)?;
        }
        if self.state == tcp::SYN_SENT {
            // It says once more that it would like to be connected.
            tcp::pause_repair(fd)?;
            set_option_number(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        }
        Ok(())
    }

    /// A socket that is connected gets everything else.
    fn complete(&self, fd: BorrowedFd<'_>, init: i32) -> Result<()> {
        if self.state == tcp::SYN_SENT {
            return tcp::begin_repair(fd).at(|| "hold it".to_owned());
        }
        self.give_options(fd).at(|| "its options".to_owned())?;
        self.fill(fd).at(|| "its queues".to_owned())?;
        self.give_window(fd).at(|| "its window".to_owned())?;
        self.end(fd, init)
    }

    fn give_options(&self, fd: BorrowedFd<'_>) -> sys::Result<()> {
        // tcp(7): kinds of options
        const SEGMENT_SIZE: u32 = 2;
        const SCALES: u32 = 3;
        const SACK_PERMITTED: u32 = 4;
        const TIMESTAMPS: u32 = 8;
        let entry = &self.stream.entry;
        let has = |bit: u8| entry.opt_mask & u32::from(bit) != 0;
        let scales = entry.snd_wscale & 0xff | (entry.rcv_wscale.unwrap_or(0) & 0xff) << 16;
        let options = [
            (has(tcp::WITH_SACK), SACK_PERMITTED, 0),
            (has(tcp::WITH_SCALES), SCALES, scales),
            (has(tcp::WITH_TIMESTAMPS), TIMESTAMPS, 0),
            (true, SEGMENT_SIZE, entry.mss_clamp),
        ];
        let given = options.iter().filter(|(is_given, ..)| *is_given);
        let bytes: Vec<u8> =
            given.flat_map(|(_, kind, value)| [kind.to_ne_bytes(), value.to_ne_bytes()].concat()).collect();
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_REPAIR_OPTIONS, &bytes)?;
        match entry.timestamp.filter(|_| has(tcp::WITH_TIMESTAMPS)) {
            Some(timestamp) => {
                set_option_number(fd, libc::IPPROTO_TCP, libc::TCP_TIMESTAMP, timestamp as i32)
            }
            None => Ok(()),
        }
    }

    /// What it has received and not read, sent and not acknowledged, and what it has yet to send.
    fn fill(&self, fd: BorrowedFd<'_>) -> sys::Result<()> {
        const SO_SNDBUFFORCE: i32 = 32;
        const SO_RCVBUFFORCE: i32 = 33;
        let TcpStream { entry, received, sent } = self.stream;
        // Each byte was there before. The kernel counts what it takes against the container's memory.
        for option in [SO_SNDBUFFORCE, SO_RCVBUFFORCE] {
            set_option_number(fd, libc::SOL_SOCKET, option, i32::MAX / 2)?;
        }
        tcp::choose_queue(fd, Queue::Received)?;
        put(fd, received)?;
        let (sent, unsent) = sent.split_at(sent.len() - entry.unsq_len.unwrap_or(0) as usize);
        tcp::choose_queue(fd, Queue::Sent)?;
        put(fd, sent)?;
        if !unsent.is_empty() {
            tcp::pause_repair(fd)?;
            put(fd, unsent)?;
            tcp::begin_repair(fd)?;
        }
        Ok(())
    }

    fn give_window(&self, fd: BorrowedFd<'_>) -> sys::Result<()> {
        let entry = &self.stream.entry;
        let window = [entry.snd_wl1, entry.snd_wnd, entry.max_window, entry.rcv_wnd, entry.rcv_wup];
        let Some([snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup]) = window
            .into_iter()
            .collect::<Option<Vec<u32>>>()
            .and_then(|window| <[u32; 5]>::try_from(window).ok())
        else {
            return Ok(());
        };
        // A FIN that is still to come takes a place.
        let fin = u32::from(tcp::has_received_fin(self.state));
        let window = [snd_wl1, snd_wnd, max_window, rcv_wnd.wrapping_add(fin), rcv_wup.wrapping_sub(fin)];
        let bytes: Vec<u8> = window.iter().flat_map(|word| word.to_ne_bytes()).collect();
        set_option(fd, libc::IPPROTO_TCP, TCP_REPAIR_WINDOW, &bytes)
    }

    /// Ends one direction or both. Nothing but a packet tells a socket that its peer has ended one.
    fn end(&self, fd: BorrowedFd<'_>, init: i32) -> Result<()> {
        const FIN: u8 = 1;
        const ACK: u8 = 16;
        let (state, entry) = (self.state, &self.stream.entry);
        let (has_sent, has_received) = (tcp::has_sent_fin(state), tcp::has_received_fin(state));
        let shut = || {
            tcp::choose_queue(fd, Queue::Sent)?;
            shutdown(fd.as_raw_fd(), Shutdown::Write)?;
            tcp::choose_queue(fd, Queue::None)
        };
        // It has ended its own direction first, or not at all.
        let is_first = has_sent && !tcp::is_last(state);
        let (received, sent) = self.sequences();
        let next = received.wrapping_add(entry.inq_len);
        let window = entry.rcv_wnd.unwrap_or(0) as u16;
        if is_first {
            shut().at(|| "end its own direction".to_owned())?;
        }
        if has_received {
            self.inject(init, FIN | ACK, next, sent, window)?;
            // Before that it would be another state that it goes to.
            wait_for(fd, tcp::has_received_fin)?;
        }
        if has_sent && !is_first {
            shut().at(|| "end its own direction".to_owned())?;
        }
        if tcp::is_fin_acknowledged(state) {
            let next = next.wrapping_add(u32::from(has_received));
            let acknowledged = sent.wrapping_add(entry.outq_len).wrapping_add(1);
            self.inject(init, ACK, next, acknowledged, window)?;
        }
        wait_for(fd, |found| found == state)
    }

    /// Sends a packet as its peer would.
    fn inject(&self, init: i32, flags: u8, sequence: u32, acknowledged: u32, window: u16) -> Result<()> {
        let what = || "tell it that its peer has ended".to_owned();
        let Ends { own, peer } = self.ends;
        let packet = packet(peer, own, flags, sequence, acknowledged, window);
        let family = if own.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        namespaces::inside(init, NamespaceKind::Net, || {
            // The packet has its own header.
            let raw = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw).at(what)?;
            setsockopt(&raw, sockopt::Mark, &MARK).at(what)?;
            let sent = match own.ip() {
                IpAddr::V4(ip) => {
                    let to = SockaddrIn::from(SocketAddrV4::new(ip, 0));
                    sendto(raw.as_raw_fd(), &packet, &to, MsgFlags::empty())
                }
                IpAddr::V6(ip) => {
                    let to = SockaddrIn6::from(SocketAddrV6::new(ip, 0, 0, 0));
                    sendto(raw.as_raw_fd(), &packet, &to, MsgFlags::empty())
                }
            };
            sent.at(what).map(drop)
        })
    }
}

/// Puts bytes into the queue of a socket that was chosen.
fn put(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> sys::Result<()> {
    // The kernel takes less than it could, but not more than it has in one piece.
    const CHUNK: usize = 64 << 10;
    while !bytes.is_empty() {
        let chunk = &bytes[..bytes.len().min(CHUNK)];
        bytes = &bytes[send(fd.as_raw_fd(), chunk, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)?..];
    }
    Ok(())
}

/// Packets to ourselves take as long as the kernel has other things to do.
fn wait_for(fd: BorrowedFd<'_>, is_expected: impl Fn(u8) -> bool) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let began = Instant::now();
    loop {
        let state = tcp::info(fd).at(|| "its state".to_owned())?.state;
        if is_expected(state) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(Error::new(format!("its state stays {state}")));
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// A packet without content and without options.
fn packet(
    from: SocketAddr,
    to: SocketAddr,
    flags: u8,
    sequence: u32,
    acknowledged: u32,
    window: u16,
) -> Vec<u8> {
    const LEN: u16 = 20;
    const TCP: u8 = libc::IPPROTO_TCP as u8;
    const TTL: u8 = 64;
    let mut segment = Vec::new();
    segment.extend_from_slice(&from.port().to_be_bytes());
    segment.extend_from_slice(&to.port().to_be_bytes());
    segment.extend_from_slice(&sequence.to_be_bytes());
    segment.extend_from_slice(&acknowledged.to_be_bytes());
    // Words of the header, flags, window; checksum and urgent pointer.
    segment.extend_from_slice(&[5 << 4, flags]);
    segment.extend_from_slice(&window.to_be_bytes());
    segment.extend_from_slice(&[0; 4]);
    let mut header = Vec::new();
    let mut addresses = Vec::new();
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            addresses.extend_from_slice(&from.octets());
            addresses.extend_from_slice(&to.octets());
            header.extend_from_slice(&[0x45, 0]);
            header.extend_from_slice(&(LEN + 20).to_be_bytes());
            // The kernel fills in the rest and its checksum.
            header.extend_from_slice(&[0, 0, 0, 0, TTL, TCP, 0, 0]);
        }
        (from, to) => {
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            addresses.extend_from_slice(&octets(from));
            addresses.extend_from_slice(&octets(to));
            header.extend_from_slice(&[6 << 4, 0, 0, 0]);
            header.extend_from_slice(&LEN.to_be_bytes());
            header.extend_from_slice(&[TCP, TTL]);
        }
    }
    let pseudo = [&addresses[..], &[0, TCP], &LEN.to_be_bytes()].concat();
    let sum = checksum(&[&pseudo[..], &segment].concat());
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    [header, addresses, segment].concat()
}

/// RFC 1071, of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_add_up() {
        for (from, to, len) in [("1.2.3.4:80", "5.6.7.8:90", 40), ("[fd00::1]:80", "[fd00::2]:90", 60)] {
            let packet =
                packet(from.parse().expect("an address"), to.parse().expect("an address"), 17, 1, 2, 3);
            assert_eq!(packet.len(), len);
            let addresses = len - 20 - if len == 40 { 8 } else { 32 };
            let pseudo = [&packet[addresses..], &[0, 6, 0, 20]].concat();
            assert_eq!(checksum(&pseudo), 0);
        }
    }
}
