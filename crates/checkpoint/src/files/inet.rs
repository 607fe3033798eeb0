//! ip(7) and netlink(7) sockets, by their own options: TCP that listens, UDP, raw.

use super::sockets::{Socket, options, socket_refused};
use super::{Files, Open, entry};
use crate::error::{At, Error, Result};
use crate::network_lock::Ends;
use crate::target::NamespaceKind;
use crate::tcp::{self, CLOSE, Connection, ESTABLISHED, LISTEN};
use images::messages::{
    FdTypes, FileEntry, InetSkEntry, IpOptsEntry, IpOptsRawEntry, NetlinkSkEntry, TcpOptsEntry,
};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use sys::socket::{address, network_namespace, option, option_number};

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

impl Files<'_> {
    pub(super) fn inet_socket(&mut self, open: &Open, socket: Socket) -> Result<FileEntry> {
        let fd = open.file.as_fd();
        let what = || format!("{}: its state", open.owner);
        let own = Address::parse(&address(fd, false).at(what)?, socket.family);
        let is_tcp = socket.is_tcp();
        if let Some(refused) = socket_refused(fd, self.surroundings.options).at(what)? {
            return Err(Error::new(format!("{}: {}; {}", open.owner, refused.reason, refused.remedy)));
        }
        let (state, backlog) = match is_tcp {
            true => tcp::info(fd).map(|info| (info.state, info.backlog)).at(what)?,
            false => (if address(fd, true).is_ok() { ESTABLISHED } else { CLOSE }, 0),
        };
        // One that has ended may have something to be read.
        let is_kept = is_tcp && state != LISTEN && self.connection(open, socket)?;
        let peer = if state == CLOSE && !is_kept { None } else { peer_address(fd, socket.family) };
        let peer = peer.map(|bytes| Address::parse(&bytes, socket.family));
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

    /// Notes a connection, which is looked at last (`tcp.rs`), if it is to be kept.
    fn connection(&mut self, open: &Open, socket: Socket) -> Result<bool> {
        let options = self.surroundings.options;
        let fd = open.file.as_fd();
        let peer = peer_address(fd, socket.family).filter(|_| options.tcp_established && !options.tcp_close);
        let Some(peer) = peer else { return Ok(false) };
        let what = || format!("{}: its connection", open.owner);
        let own = tcp::socket_address(&address(fd, false).at(what)?);
        let (Some(own), Some(peer)) = (own, tcp::socket_address(&peer)) else {
            return Err(Error::new(format!("{}: its addresses are unknown", what())));
        };
        let namespace = File::from(network_namespace(fd).at(what)?).metadata().at(what)?.ino();
        if self.surroundings.namespaces.id_of(namespace)
            != Some(self.surroundings.namespaces.id(NamespaceKind::Net))
        {
            return Err(Error::new(format!("{}: its network namespace is not the container's", what())));
        }
        self.connections.push(Connection {
            owner: open.owner.clone(),
            id: open.id,
            ino: open.metadata.ino() as u32,
            socket: fd.try_clone_to_owned().at(what)?,
            ends: Ends::new(own, peer),
        });
        Ok(true)
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

/// Whom a socket is or was connected to; getpeername(2) tells only the first.
pub(super) fn peer_address(fd: BorrowedFd<'_>, family: i32) -> Option<Vec<u8>> {
    // The kernel takes no more than the address has.
    let len = match family {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        _ => size_of::<libc::sockaddr_in6>(),
    };
    option(fd, libc::SOL_SOCKET, libc::SO_PEERNAME, len).ok()
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
    let raw = match (socket.kind, socket.protocol) {
        (libc::SOCK_RAW, protocol) => {
            let filter = icmp_filter(socket.family, protocol);
            let filter =
                filter.map_or(Ok(Vec::new()), |(level, name, words)| option(fd, level, name, words * 4))?;
            let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
            let filter = filter.chunks_exact(4).map(word).collect();
            let header = if is_v4 { libc::IP_HDRINCL } else { libc::IPV6_HDRINCL };
            let nodefrag = if is_v4 { is_set(libc::IP_NODEFRAG)? } else { None };
            Some(IpOptsRawEntry {
                hdrincl: is_set(header)?,
                nodefrag,
                icmpv_filter: filter,
                ..IpOptsRawEntry::default()
            })
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

/// The level and the name of the option that says which messages of ICMP a raw socket takes, and its words (raw(7)).
pub(crate) fn icmp_filter(family: i32, protocol: i32) -> Option<(i32, i32, usize)> {
    match (family, protocol) {
        (libc::AF_INET, libc::IPPROTO_ICMP) => Some((libc::SOL_RAW, 1, 1)),
        (libc::AF_INET6, libc::IPPROTO_ICMPV6) => Some((libc::IPPROTO_ICMPV6, 1, 8)),
        _ => None,
    }
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
        let info = tcp::info(listener.as_fd()).expect("a state");
        assert!(info.state == LISTEN && info.backlog > 0 && info.waiting == 0, "{info:?}");
        let _client =
            std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        assert_eq!(tcp::info(listener.as_fd()).expect("a state").waiting, 1);
    }
}
