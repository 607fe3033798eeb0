//! ip(7) and netlink(7) sockets, by their own options: TCP that listens, UDP, raw.

use super::sockets::{Socket, options};
use super::{Files, Open, entry};
use crate::error::{At, Error, Result};
use crate::target::NamespaceKind;
use images::messages::{
    FdTypes, FileEntry, InetSkEntry, IpOptsEntry, IpOptsRawEntry, NetlinkSkEntry, TcpOptsEntry,
};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use sys::socket::{address, option, option_number};

/// States of sockets (net/tcp_states.h).
const ESTABLISHED: u8 = 1;
const SYN_RECV: u8 = 3;
pub(super) const CLOSE: u8 = 7;
const LISTEN: u8 = 10;

/// An address of a socket: words in network order, and the port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Address {
    words: Vec<u32>,
    port: u16,
}

impl Address {
    /// `bytes` are a sockaddr_in or a sockaddr_in6.
    fn parse(bytes: &[u8], family: i32) -> Address {
        let (start, len) = if family == libc::AF_INET { (4, 4) } else { (8, 16) };
        let word = |at: usize| {
            bytes.get(at..at + 4).map_or(0, |word| u32::from_le_bytes(word.try_into().expect("four bytes")))
        };
        Address {
            words: (start..start + len).step_by(4).map(word).collect(),
            port: bytes.get(2..4).map_or(0, |port| u16::from_be_bytes([port[0], port[1]])),
        }
    }
}

/// The state of a TCP socket and how many connections may wait at it; both are in struct tcp_info.
pub(super) fn tcp_state(fd: BorrowedFd<'_>) -> sys::Result<(u8, u32)> {
    // tcpi_sacked is sk_max_ack_backlog of a socket that listens.
    const SACKED: usize = 28;
    let info = option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, 104)?;
    let backlog = info
        .get(SACKED..SACKED + 4)
        .map_or(0, |word| u32::from_le_bytes(word.try_into().expect("four bytes")));
    Ok((info.first().copied().unwrap_or(CLOSE), backlog))
}

/// Whether TCP holds a connection that others know of.
pub(super) fn is_connection(state: u8) -> bool {
    ![CLOSE, LISTEN].contains(&state)
}

/// Whether one side has said that it is done.
pub(super) fn is_closing(state: u8) -> bool {
    state > SYN_RECV && is_connection(state)
}

impl Files<'_> {
    pub(super) fn inet_socket(&mut self, open: &Open, socket: Socket) -> Result<FileEntry> {
        let fd = open.file.as_fd();
        let what = || format!("{}: its state", open.owner);
        let own = Address::parse(&address(fd, false).at(what)?, socket.family);
        let peer = address(fd, true).ok().map(|bytes| Address::parse(&bytes, socket.family));
        let is_tcp = socket.is_tcp();
        let (state, backlog) = match is_tcp {
            true => tcp_state(fd).at(what)?,
            false => (if peer.is_some() { ESTABLISHED } else { CLOSE }, 0),
        };
        if is_tcp && is_connection(state) && !self.surroundings.tcp_close {
            return Err(Error::new(format!(
                "{}: an established TCP connection is not supported; use --tcp-close",
                open.owner
            )));
        }
        let nowhere = Address { words: vec![0; own.words.len()], port: 0 };
        let peer = peer.unwrap_or(nowhere);
        let isk = InetSkEntry {
            id: open.id,
            ino: open.metadata.ino() as u32,
            family: socket.family as u32,
            r#type: socket.kind as u32,
            proto: socket.protocol as u32,
            state: state.into(),
            src_port: own.port.into(),
            dst_port: peer.port.into(),
            flags: open.info.flags,
            backlog: if state == LISTEN { backlog } else { 0 },
            src_addr: own.words,
            dst_addr: peer.words,
            fown: self.owner(open)?,
            opts: options(open, socket)?,
            v6only: match socket.family {
                libc::AF_INET6 => {
                    Some(option_number(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY).at(what)? != 0)
                }
                _ => None,
            },
            ip_opts: Some(ip_options(fd, socket).at(what)?),
            ns_id: Some(self.surroundings.namespaces.id(NamespaceKind::Net)),
            tcp_opts: Some(if is_tcp { tcp_options(fd).at(what)? } else { TcpOptsEntry::default() }),
            ..InetSkEntry::default()
        };
        Ok(FileEntry { isk: Some(Box::new(isk)), ..entry(FdTypes::Inetsk, open.id) })
    }

    pub(super) fn netlink_socket(&mut self, open: &Open, socket: Socket) -> Result<FileEntry> {
        let fd = open.file.as_fd();
        let what = || format!("{}: its state", open.owner);
        if sys::socket::peek(fd, 1).is_ok_and(|message| message.is_none()) {
            let (own, peer) = (address(fd, false).at(what)?, address(fd, true).at(what)?);
            // struct sockaddr_nl: nl_pid at 4, nl_groups at 8.
            let word = |bytes: &[u8], at: usize| {
                bytes
                    .get(at..at + 4)
                    .map_or(0, |word| u32::from_le_bytes(word.try_into().expect("four bytes")))
            };
            let groups = option(fd, libc::SOL_NETLINK, libc::NETLINK_LIST_MEMBERSHIPS, 64).at(what)?;
            let mut groups: Vec<u32> = (0..groups.len() / 4).map(|nth| word(&groups, nth * 4)).collect();
            groups.truncate(groups.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1));
            let nlsk = NetlinkSkEntry {
                id: open.id,
                ino: open.metadata.ino() as u32,
                protocol: socket.protocol as u32,
                state: 0,
                flags: open.info.flags,
                portid: word(&own, 4),
                groups,
                dst_portid: word(&peer, 4),
                dst_group: word(&peer, 8),
                fown: self.owner(open)?,
                opts: options(open, socket)?,
                ns_id: Some(self.surroundings.namespaces.id(NamespaceKind::Net)),
            };
            return Ok(FileEntry { nlsk: Some(Box::new(nlsk)), ..entry(FdTypes::Netlinksk, open.id) });
        }
        Err(Error::new(format!(
            "{}: a netlink socket with messages that were not read is not supported",
            open.owner
        )))
    }
}

fn ip_options(fd: BorrowedFd<'_>, socket: Socket) -> sys::Result<IpOptsEntry> {
    const IPV6_FREEBIND: i32 = 78;
    let is_v4 = socket.family == libc::AF_INET;
    let (level, freebind, pktinfo) = match is_v4 {
        true => (libc::IPPROTO_IP, libc::IP_FREEBIND, libc::IP_PKTINFO),
        false => (libc::IPPROTO_IPV6, IPV6_FREEBIND, libc::IPV6_RECVPKTINFO),
    };
    let is_set =
        |name| Ok::<_, sys::Errno>(Some(option_number(fd, level, name)? != 0).filter(|is_set| *is_set));
    let number = |name| Ok::<_, sys::Errno>(Some(option_number(fd, level, name)? as u32));
    let raw = match socket.kind {
        libc::SOCK_RAW if is_v4 => {
            Some(IpOptsRawEntry { hdrincl: is_set(libc::IP_HDRINCL)?, ..IpOptsRawEntry::default() })
        }
        _ => None,
    };
    Ok(IpOptsEntry {
        freebind: is_set(freebind)?,
        raw,
        pktinfo: is_set(pktinfo)?,
        tos: if is_v4 { number(libc::IP_TOS)?.filter(|tos| *tos != 0) } else { None },
        ttl: if is_v4 { number(libc::IP_TTL)? } else { None },
    })
}

fn tcp_options(fd: BorrowedFd<'_>) -> sys::Result<TcpOptsEntry> {
    let number = |name| option_number(fd, libc::IPPROTO_TCP, name);
    let is_set = |name| Ok::<_, sys::Errno>(Some(number(name)? != 0).filter(|is_set| *is_set));
    Ok(TcpOptsEntry {
        cork: is_set(libc::TCP_CORK)?,
        nodelay: is_set(libc::TCP_NODELAY)?,
        keepcnt: Some(number(libc::TCP_KEEPCNT)? as u32),
        keepidle: Some(number(libc::TCP_KEEPIDLE)? as u32),
        keepintvl: Some(number(libc::TCP_KEEPINTVL)? as u32),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let v4 = [2, 0, 0x1b, 0x59, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Address::parse(&v4, libc::AF_INET), Address { words: vec![0x0100007f], port: 7001 });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (state, backlog) = tcp_state(listener.as_fd()).expect("a state");
        assert!(state == LISTEN && backlog > 0, "{state} {backlog}");
        assert!(!is_connection(state));
    }
}
