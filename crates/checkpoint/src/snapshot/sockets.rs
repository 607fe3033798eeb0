//! What `floe-state.json` says of sockets, and how the kernel takes it.

use super::side::hex;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SocketSide {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<SocketOption>,
    /// The multicast groups that it has joined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub memberships: Vec<Membership>,
}

/// An option as setsockopt(2) takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketOption {
    pub level: i32,
    pub name: i32,
    #[serde(with = "hex")]
    pub value: Vec<u8>,
}

/// A multicast group on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    pub device: String,
    pub group: IpAddr,
    /// Packets of all but the sources are received; else those of the sources alone.
    pub excludes: bool,
    pub sources: Vec<IpAddr>,
}

/// An option that is dumped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownOption {
    pub(crate) level: i32,
    pub(crate) name: i32,
    /// Bytes at most.
    pub(crate) len: usize,
    pub(crate) of: Of,
}

/// Of which sockets an option is dumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    All,
    /// On a connection it is the kernel's, or cannot be set any more.
    Unconnected,
    /// Images have it for ip(7).
    Ipv6,
    /// On a stream it is the kernel's.
    Messages,
}

const fn number(level: i32, name: i32) -> KnownOption {
    bytes(level, name, 4)
}

const fn bytes(level: i32, name: i32, len: usize) -> KnownOption {
    KnownOption { level, name, len, of: Of::All }
}

const fn of(of: Of, level: i32, name: i32) -> KnownOption {
    KnownOption { of, ..number(level, name) }
}

impl SocketOption {
    /// All that are dumped, in the order in which they are set. Their numbers are the kernel's (asm-generic/socket.h,
    /// linux/in.h, in6.h, tcp.h, udp.h, netlink.h, if_packet.h), whether libc has names for them or not. Images have others.
    pub(crate) const ALL: &[KnownOption] = {
        const SOCKET: i32 = libc::SOL_SOCKET;
        const IP: i32 = libc::IPPROTO_IP;
        const IPV6: i32 = libc::IPPROTO_IPV6;
        const TCP: i32 = libc::IPPROTO_TCP;
        const UDP: i32 = libc::IPPROTO_UDP;
        const NETLINK: i32 = libc::SOL_NETLINK;
        const PACKET: i32 = libc::SOL_PACKET;
        &[
            number(SOCKET, libc::SO_TIMESTAMP),
            number(SOCKET, libc::SO_TIMESTAMPNS),
            number(SOCKET, libc::SO_TIMESTAMPING),
            number(SOCKET, libc::SO_RXQ_OVFL),
            number(SOCKET, libc::SO_PEEK_OFF),
            number(SOCKET, libc::SO_SELECT_ERR_QUEUE),
            number(SOCKET, libc::SO_BUSY_POLL),
            number(SOCKET, 47), // SO_MAX_PACING_RATE
            number(SOCKET, libc::SO_ZEROCOPY),
            number(SOCKET, 69), // SO_PREFER_BUSY_POLL
            number(SOCKET, 76), // SO_PASSPIDFD
            number(SOCKET, 83), // SO_PASSRIGHTS
            of(Of::Ipv6, IP, libc::IP_TOS),
            of(Of::Ipv6, IP, libc::IP_TTL),
            of(Of::Ipv6, IP, libc::IP_PKTINFO),
            bytes(IP, libc::IP_OPTIONS, 40),
            number(IP, libc::IP_RECVOPTS),
            number(IP, libc::IP_RETOPTS),
            number(IP, libc::IP_MTU_DISCOVER),
            number(IP, libc::IP_RECVERR),
            number(IP, libc::IP_RECVTTL),
            number(IP, libc::IP_RECVTOS),
            number(IP, libc::IP_PASSSEC),
            number(IP, libc::IP_TRANSPARENT),
            number(IP, libc::IP_RECVORIGDSTADDR),
            number(IP, libc::IP_MINTTL),
            number(IP, 23), // IP_CHECKSUM
            number(IP, libc::IP_BIND_ADDRESS_NO_PORT),
            number(IP, 25), // IP_RECVFRAGSIZE
            number(IP, 26), // IP_RECVERR_RFC4884
            of(Of::Messages, IP, libc::IP_MULTICAST_IF),
            of(Of::Messages, IP, libc::IP_MULTICAST_TTL),
            of(Of::Messages, IP, libc::IP_MULTICAST_LOOP),
            of(Of::Messages, IP, 49), // IP_MULTICAST_ALL
            number(IP, 50),           // IP_UNICAST_IF
            number(IP, 51),           // IP_LOCAL_PORT_RANGE
            number(IPV6, libc::IPV6_TCLASS),
            number(IPV6, libc::IPV6_UNICAST_HOPS),
            of(Of::Messages, IPV6, libc::IPV6_MULTICAST_IF),
            of(Of::Messages, IPV6, libc::IPV6_MULTICAST_HOPS),
            of(Of::Messages, IPV6, libc::IPV6_MULTICAST_LOOP),
            of(Of::Messages, IPV6, 29), // IPV6_MULTICAST_ALL
            number(IPV6, libc::IPV6_MTU_DISCOVER),
            number(IPV6, libc::IPV6_RECVERR),
            number(IPV6, 31), // IPV6_RECVERR_RFC4884
            number(IPV6, 33), // IPV6_FLOWINFO_SEND
            number(IPV6, libc::IPV6_RECVHOPLIMIT),
            number(IPV6, libc::IPV6_RECVHOPOPTS),
            number(IPV6, libc::IPV6_RECVRTHDR),
            number(IPV6, libc::IPV6_RECVDSTOPTS),
            number(IPV6, 60), // IPV6_RECVPATHMTU
            number(IPV6, 62), // IPV6_DONTFRAG
            number(IPV6, libc::IPV6_RECVTCLASS),
            number(IPV6, 70), // IPV6_AUTOFLOWLABEL
            number(IPV6, 72), // IPV6_ADDR_PREFERENCES
            number(IPV6, 73), // IPV6_MINHOPCOUNT
            number(IPV6, 74), // IPV6_RECVORIGDSTADDR
            number(IPV6, libc::IPV6_TRANSPARENT),
            number(IPV6, 76), // IPV6_UNICAST_IF
            number(IPV6, 77), // IPV6_RECVFRAGSIZE
            of(Of::Unconnected, TCP, libc::TCP_MAXSEG),
            number(TCP, libc::TCP_SYNCNT),
            number(TCP, libc::TCP_LINGER2),
            number(TCP, libc::TCP_DEFER_ACCEPT),
            of(Of::Unconnected, TCP, libc::TCP_WINDOW_CLAMP),
            bytes(TCP, libc::TCP_CONGESTION, 16),
            number(TCP, libc::TCP_THIN_LINEAR_TIMEOUTS),
            number(TCP, libc::TCP_USER_TIMEOUT),
            of(Of::Unconnected, TCP, libc::TCP_FASTOPEN),
            number(TCP, libc::TCP_NOTSENT_LOWAT),
            of(Of::Unconnected, TCP, 27), // TCP_SAVE_SYN
            of(Of::Unconnected, TCP, libc::TCP_FASTOPEN_CONNECT),
            of(Of::Unconnected, TCP, 34), // TCP_FASTOPEN_NO_COOKIE
            number(TCP, 36),              // TCP_INQ
            number(UDP, libc::UDP_CORK),
            number(UDP, 100), // UDP_ENCAP
            number(UDP, 101), // UDP_NO_CHECK6_TX
            number(UDP, 102), // UDP_NO_CHECK6_RX
            number(UDP, libc::UDP_SEGMENT),
            number(UDP, libc::UDP_GRO),
            number(NETLINK, libc::NETLINK_PKTINFO),
            number(NETLINK, libc::NETLINK_BROADCAST_ERROR),
            number(NETLINK, libc::NETLINK_NO_ENOBUFS),
            number(NETLINK, libc::NETLINK_LISTEN_ALL_NSID),
            number(NETLINK, libc::NETLINK_CAP_ACK),
            number(NETLINK, libc::NETLINK_EXT_ACK),
            number(NETLINK, 12), // NETLINK_GET_STRICT_CHK
            number(PACKET, libc::PACKET_TX_HAS_OFF),
            number(PACKET, libc::PACKET_QDISC_BYPASS),
            number(PACKET, libc::PACKET_IGNORE_OUTGOING),
            number(PACKET, libc::PACKET_VNET_HDR_SZ),
            number(SOCKET, libc::SO_LOCK_FILTER),
        ]
    };
}

impl SocketSide {
    /// The error is why it cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        for SocketOption { level, name, value } in &self.options {
            let known = SocketOption::ALL.iter().find(|known| (known.level, known.name) == (*level, *name));
            if known.is_none_or(|known| value.len() > known.len) {
                return Err(format!(
                    "option {name} of level {level} is not known, or of {} bytes",
                    value.len()
                ));
            }
        }
        for Membership { group, sources, .. } in &self.memberships {
            let is_source = |source: &IpAddr| source.is_ipv4() == group.is_ipv4();
            if !group.is_multicast()
                || sources.len() > Membership::MOST_SOURCES
                || !sources.iter().all(is_source)
            {
                return Err(format!("{group} is no group, or one with other sources"));
            }
        }
        Ok(())
    }
}

/// Of the kernel's structures here only struct sockaddr_storage is of any size, 128 bytes, aligned to 8.
const ADDRESS: usize = size_of::<libc::sockaddr_storage>();

impl Membership {
    /// linux/in.h
    pub(crate) const MCAST_JOIN_GROUP: i32 = 42;
    pub(crate) const MCAST_MSFILTER: i32 = 48;
    /// net.ipv4.igmp_max_msf and net.ipv6.mld_max_msf are 10 and 64; whoever has more has set them higher.
    const MOST_SOURCES: usize = 1024;

    pub(crate) fn level(group: IpAddr) -> i32 {
        if group.is_ipv4() { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 }
    }

    /// struct group_req: to join the group with all its sources.
    pub(crate) fn request(index: u32, group: IpAddr) -> Vec<u8> {
        let mut bytes = vec![0; 8];
        bytes[..4].copy_from_slice(&index.to_ne_bytes());
        bytes.extend(address(group));
        bytes
    }

    /// struct group_filter: the request, the mode, the number of sources, and these.
    pub(crate) fn filter(&self, index: u32) -> Vec<u8> {
        let mut bytes = Membership::request(index, self.group);
        // MCAST_EXCLUDE, MCAST_INCLUDE
        bytes.extend(u32::from(!self.excludes).to_ne_bytes());
        bytes.extend((self.sources.len() as u32).to_ne_bytes());
        bytes.extend(self.sources.iter().flat_map(|source| address(*source)));
        bytes
    }

    /// A struct group_filter that asks the kernel.
    pub(crate) fn question(index: u32, group: IpAddr) -> Vec<u8> {
        let mut bytes = Membership::request(index, group);
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend((Membership::MOST_SOURCES as u32).to_ne_bytes());
        bytes.resize(bytes.len() + Membership::MOST_SOURCES * ADDRESS, 0);
        bytes
    }

    /// Its answer.
    pub(crate) fn of_answer(device: &str, group: IpAddr, answer: &[u8]) -> Option<Membership> {
        let word = |at| Some(u32::from_ne_bytes(*answer.get(at..)?.first_chunk()?));
        let (mode, count) = (word(8 + ADDRESS)?, word(12 + ADDRESS)?);
        let sources = answer.get(16 + ADDRESS..)?.chunks_exact(ADDRESS).take(count as usize);
        let source = |bytes: &[u8]| -> Option<IpAddr> {
            Some(match group {
                IpAddr::V4(_) => Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?).into(),
                IpAddr::V6(_) => Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?).into(),
            })
        };
        let sources: Vec<IpAddr> = sources.map(source).collect::<Option<_>>()?;
        let is_whole = sources.len() == count as usize;
        is_whole.then(|| Membership { device: device.to_owned(), group, excludes: mode == 0, sources })
    }
}

/// A struct sockaddr_storage with a struct sockaddr_in or sockaddr_in6.
fn address(address: IpAddr) -> [u8; ADDRESS] {
    let mut bytes = [0; ADDRESS];
    let (family, at, octets) = match &address {
        IpAddr::V4(v4) => (libc::AF_INET, 4, &v4.octets()[..]),
        IpAddr::V6(v6) => (libc::AF_INET6, 8, &v6.octets()[..]),
    };
    bytes[..2].copy_from_slice(&(family as u16).to_ne_bytes());
    bytes[at..at + octets.len()].copy_from_slice(octets);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for (group, source) in [("239.1.2.3", "192.0.2.1"), ("ff02::7", "2001:db8::1")] {
            let membership = Membership {
                device: "eth0".to_owned(),
                group: group.parse().expect("an address"),
                excludes: false,
                sources: vec![source.parse().expect("an address")],
            };
            let filter = membership.filter(3);
            assert_eq!(Membership::of_answer("eth0", membership.group, &filter), Some(membership.clone()));
            assert_eq!(Membership::of_answer("eth0", membership.group, &filter[..filter.len() - 1]), None);
            let side = |group: &str| SocketSide {
                memberships: vec![Membership {
                    group: group.parse().expect("an address"),
                    ..membership.clone()
                }],
                ..SocketSide::default()
            };
            assert!(side(group).check().is_ok() && side(source).check().is_err());
        }
    }

    #[test]
    fn options_that_are_known() {
        let with = |level, value: &[u8]| {
            let option = SocketOption { level, name: libc::TCP_USER_TIMEOUT, value: value.to_vec() };
            SocketSide { options: vec![option], ..SocketSide::default() }.check()
        };
        assert!(with(libc::IPPROTO_TCP, &[0; 4]).is_ok());
        assert!(with(libc::IPPROTO_TCP, &[0; 5]).is_err() && with(libc::SOL_SOCKET, &[0; 4]).is_err());
    }
}
