//! Packets of connections are dropped while their sockets are not as their peers know them: by nf_tables, in a table of
//! our own with a rule for each direction, which looks the connection up in a set.
//!
//! The table belongs to the netlink socket that has made it (`NFT_TABLE_F_OWNER`): the kernel removes it when we end,
//! whatever ends us. Nothing else is touched, and other connections of the same network go on.
//!
//! A lock that is to outlive us, until somebody has the connections again, has a name instead (`LockName`). Nobody may ever
//! ask for it, so the kernel forgets its connections after a while; what is left then is a table that drops nothing.

use crate::error::{At, Result};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket, sockopt,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// How long a lock lasts that outlives us: about as long as a peer tries by default (sysctl net.ipv4.tcp_retries2).
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ends {
    pub(crate) own: SocketAddr,
    pub(crate) peer: SocketAddr,
}

impl Ends {
    /// As its packets have them: what an IPv6 socket calls ::ffff:1.2.3.4 is IPv4.
    pub(crate) fn new(own: SocketAddr, peer: SocketAddr) -> Ends {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Ends { own: canonical(own), peer: canonical(peer) }
    }

    fn is_v4(&self) -> bool {
        self.own.is_ipv4()
    }
}

/// Packets with this mark pass. CRIU's has the same (soccr/soccr.h, `SOCCR_MARK`).
pub(crate) const MARK: u32 = 0xc114;

/// Connections are locked for as long as it is there.
#[derive(Debug)]
pub(crate) struct NetworkLock {
    _owner: OwnedFd,
}

impl NetworkLock {
    /// Locks connections of the network namespace that we are in. A packet that has passed the rules already may still
    /// arrive.
    pub(crate) fn take(connections: &[Ends]) -> Result<NetworkLock> {
        let name = LockName::new()?;
        Ok(NetworkLock { _owner: make(name, Life::Ours, connections).at(|| LOCK.to_owned())? })
    }
}

const LOCK: &str = "lock the network with nf_tables";

/// The name of a lock that outlives us, which nobody guesses: whoever has it can unlock. As a text it is a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LockName(u128);

impl LockName {
    pub(crate) fn new() -> Result<LockName> {
        let mut bytes = [0; 16];
        let read = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes));
        read.at(|| "read /dev/urandom".to_owned())?;
        Ok(LockName(u128::from_ne_bytes(bytes)))
    }

    pub(crate) fn parse(text: &[u8]) -> Option<LockName> {
        let text = std::str::from_utf8(text).ok()?;
        let name = LockName(u128::from_str_radix(&text.replace('-', ""), 16).ok()?);
        (name.to_string() == text).then_some(name)
    }

    /// CRIU looks for a table with this name when it restores (criu/netfilter.c).
    fn table(self) -> String {
        format!("CRIU-{self}")
    }

    /// Locks connections of the network namespace that we are in, until `unlock` or the end of their time.
    pub(crate) fn lock(self, connections: &[Ends]) -> Result<()> {
        make(self, Life::Limited, connections).map(drop).at(|| LOCK.to_owned())
    }

    /// Takes such a lock away, if it is in the network namespace that we are in.
    pub(crate) fn unlock(self) -> Result<()> {
        let ask = || {
            let socket = open()?;
            let (none, nf_tables) = (FAMILY_NONE, libc::NFNL_SUBSYS_NFTABLES as u16);
            let mut batch = Vec::new();
            message(&mut batch, BATCH_BEGIN, REQUEST, none, nf_tables, |_| {});
            message(&mut batch, DELETE_TABLE, REQUEST | ACKNOWLEDGE, FAMILY_BOTH, 0, |body| {
                body.text(1, &self.table());
            });
            message(&mut batch, BATCH_END, REQUEST, none, nf_tables, |_| {});
            send(socket.as_raw_fd(), &batch, MsgFlags::empty())?;
            acknowledged(&socket)
        };
        match ask() {
            Err(nix::Error::ENOENT) => Ok(()),
            asked => asked.at(|| "unlock the network with nf_tables".to_owned()),
        }
    }
}

impl fmt::Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &digits[range]);
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

impl From<LockName> for String {
    fn from(name: LockName) -> String {
        name.to_string()
    }
}

impl TryFrom<String> for LockName {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<LockName, &'static str> {
        LockName::parse(text.as_bytes()).ok_or("not the name of a lock")
    }
}

/// How long a table is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// As long as the socket that has made it.
    Ours,
    /// Until it is removed, but what it locks no longer than `LIFETIME`.
    Limited,
}

fn make(name: LockName, life: Life, connections: &[Ends]) -> nix::Result<OwnedFd> {
    let owner = open()?;
    let batch = lock(&name.table(), life, connections);
    // All of it is one message.
    setsockopt(&owner, sockopt::SndBufForce, &(2 * batch.len() + 4096))?;
    send(owner.as_raw_fd(), &batch, MsgFlags::empty())?;
    acknowledged(&owner)?;
    Ok(owner)
}

/// Whether the kernel can lock connections of the network namespace that we are in.
pub(crate) fn is_possible() -> bool {
    const GET_GENERATION: u16 = 16;
    let ask = || {
        let socket = open()?;
        let mut question = Vec::new();
        message(&mut question, NF_TABLES | GET_GENERATION, REQUEST | ACKNOWLEDGE, FAMILY_NONE, 0, |_| {});
        send(socket.as_raw_fd(), &question, MsgFlags::empty())?;
        acknowledged(&socket)
    };
    ask().is_ok()
}

fn open() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)
}

/// Waits for the answer to the one message that asked for it, or the first that failed.
fn acknowledged(socket: &OwnedFd) -> nix::Result<()> {
    const HEADER: usize = 16;
    let mut buffer = [0u8; 8192];
    loop {
        let len = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..len];
        while rest.len() >= HEADER + 4 {
            let word = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().expect("four bytes"));
            if u16::from_ne_bytes([rest[4], rest[5]]) == libc::NLMSG_ERROR as u16 {
                return match word(HEADER) as i32 {
                    0 => Ok(()),
                    error => Err(nix::Error::from_raw(-error)),
                };
            }
            let size = (word(0) as usize).max(HEADER);
            rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

// linux/netlink.h, linux/netfilter/nfnetlink.h
const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACKNOWLEDGE: u16 = libc::NLM_F_ACK as u16;
const CREATE: u16 = libc::NLM_F_CREATE as u16;
const NF_TABLES: u16 = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const FAMILY_NONE: u8 = 0;
/// IPv4 and IPv6 (`NFPROTO_INET`).
const FAMILY_BOTH: u8 = 1;

// linux/netfilter/nf_tables.h: messages
const NEW_TABLE: u16 = NF_TABLES;
const DELETE_TABLE: u16 = NF_TABLES | 2;
const NEW_CHAIN: u16 = NF_TABLES | 3;
const NEW_RULE: u16 = NF_TABLES | 6;
const NEW_SET: u16 = NF_TABLES | 9;
const NEW_ELEMENTS: u16 = NF_TABLES | 12;

/// The first of sixteen registers of four bytes.
const REGISTER: u32 = 8;

/// Where packets are looked at: a name, the hook (linux/netfilter.h), the priority. Addresses are those that the socket
/// knows: on the way in after, on the way out before they are translated.
const CHAINS: [(&str, u32, i32); 2] = [("input", 1, 300), ("output", 3, -300)];

/// A protocol: a name, `NFPROTO_`, bytes of an address, and where the source's and the destination's are in the header.
const PROTOCOLS: [(&str, u8, u32, u32, u32); 2] = [("v4", 2, 4, 12, 16), ("v6", 10, 16, 8, 24)];

/// A batch that makes the table.
fn lock(table: &str, life: Life, connections: &[Ends]) -> Vec<u8> {
    /// Elements in one message, whose lists have 64 KiB at most.
    const CHUNK: usize = 500;
    let mut batch = Vec::new();
    let used = PROTOCOLS.iter().enumerate().filter(|(nth, _)| {
        let is_v4 = *nth == 0;
        connections.iter().any(|ends| ends.is_v4() == is_v4)
    });
    let used: Vec<_> = used.map(|(nth, protocol)| (nth as u32, protocol)).collect();
    let all = FAMILY_BOTH;
    message(&mut batch, BATCH_BEGIN, REQUEST, FAMILY_NONE, libc::NFNL_SUBSYS_NFTABLES as u16, |_| {});
    message(&mut batch, NEW_TABLE, REQUEST | CREATE, all, 0, |body| {
        const OWNED: u32 = 2;
        body.text(1, table);
        body.number(2, if life == Life::Ours { OWNED } else { 0 });
    });
    for (name, hook, priority) in CHAINS {
        message(&mut batch, NEW_CHAIN, REQUEST | CREATE, all, 0, |body| {
            body.text(1, table);
            body.text(3, name);
            body.nested(4, |body| {
                body.number(1, hook);
                body.number(2, priority as u32);
            });
            body.text(7, "filter");
        });
    }
    for (id, (name, _, width, ..)) in &used {
        message(&mut batch, NEW_SET, REQUEST | CREATE, all, 0, |body| {
            body.text(1, table);
            body.text(2, name);
            const WITH_TIMEOUT: u32 = 16;
            body.number(3, if life == Life::Limited { WITH_TIMEOUT } else { 0 });
            body.number(5, 2 * (width + 4));
            body.number(10, *id);
            if life == Life::Limited {
                body.bytes(11, &(LIFETIME.as_millis() as u64).to_be_bytes());
            }
        });
        let mut keys: Vec<Vec<u8>> =
            connections.iter().filter(|ends| ends.is_v4() == (*id == 0)).map(key).collect();
        keys.sort();
        keys.dedup();
        for keys in keys.chunks(CHUNK) {
            message(&mut batch, NEW_ELEMENTS, REQUEST | CREATE, all, 0, |body| {
                body.text(1, table);
                body.text(2, name);
                body.nested(3, |body| {
                    for key in keys {
                        body.nested(1, |element| element.nested(1, |data| data.bytes(1, key)));
                    }
                });
                body.number(4, *id);
            });
        }
    }
    let rules = CHAINS.iter().flat_map(|(chain, ..)| used.iter().map(move |protocol| (*chain, protocol)));
    let mut rules = rules.peekable();
    while let Some((chain, (id, (name, protocol, width, source, destination)))) = rules.next() {
        let (own, peer) = if chain == "input" { (*destination, *source) } else { (*source, *destination) };
        let (own_port, peer_port) = if chain == "input" { (2, 0) } else { (0, 2) };
        // The kernel does all of it or nothing. It says what has failed, or that the last was done.
        let acknowledge = if rules.peek().is_none() { ACKNOWLEDGE } else { 0 };
        message(&mut batch, NEW_RULE, REQUEST | CREATE | acknowledge, all, 0, |body| {
            body.text(1, table);
            body.text(2, chain);
            body.nested(4, |rule| {
                const PROTOCOL: u32 = 15;
                const TRANSPORT: u32 = 16;
                const MARK_OF_PACKET: u32 = 3;
                compare(rule, PROTOCOL, EQUAL, &[*protocol]);
                compare(rule, TRANSPORT, EQUAL, &[libc::IPPROTO_TCP as u8]);
                compare(rule, MARK_OF_PACKET, DIFFERENT, &MARK.to_ne_bytes());
                let words = width / 4;
                load(rule, NETWORK, own, *width, REGISTER);
                load(rule, PORTS, own_port, 2, REGISTER + words);
                load(rule, NETWORK, peer, *width, REGISTER + words + 1);
                load(rule, PORTS, peer_port, 2, REGISTER + 2 * words + 1);
                expression(rule, "lookup", |lookup| {
                    lookup.text(1, name);
                    lookup.number(2, REGISTER);
                    lookup.number(4, *id);
                });
                expression(rule, "immediate", |immediate| {
                    const VERDICT: u32 = 0;
                    const DROP: u32 = 0;
                    immediate.number(1, VERDICT);
                    immediate.nested(2, |data| data.nested(2, |verdict| verdict.number(1, DROP)));
                });
            });
        });
    }
    message(&mut batch, BATCH_END, REQUEST, FAMILY_NONE, libc::NFNL_SUBSYS_NFTABLES as u16, |_| {});
    batch
}

/// An element of a set: own address and port, the peer's, each beginning at a register of its own.
fn key(ends: &Ends) -> Vec<u8> {
    let mut key = Vec::new();
    for address in [ends.own, ends.peer] {
        match address.ip() {
            IpAddr::V4(ip) => key.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => key.extend_from_slice(&ip.octets()),
        }
        key.extend_from_slice(&address.port().to_be_bytes());
        key.extend_from_slice(&[0; 2]);
    }
    key
}

const EQUAL: u32 = 0;
const DIFFERENT: u32 = 1;
/// Headers that are loaded from: that of the network, that of the transport.
const NETWORK: u32 = 1;
const PORTS: u32 = 2;

fn expression(rule: &mut Attributes<'_>, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
    rule.nested(1, |element| {
        element.text(1, name);
        element.nested(2, data);
    });
}

/// Ends the rule unless what the packet has (`NFT_META_`) is equal to, or different from, a value.
fn compare(rule: &mut Attributes<'_>, what: u32, how: u32, value: &[u8]) {
    expression(rule, "meta", |meta| {
        meta.number(1, REGISTER);
        meta.number(2, what);
    });
    expression(rule, "cmp", |compare| {
        compare.number(1, REGISTER);
        compare.number(2, how);
        compare.nested(3, |data| data.bytes(1, value));
    });
}

fn load(rule: &mut Attributes<'_>, header: u32, offset: u32, len: u32, register: u32) {
    expression(rule, "payload", |payload| {
        payload.number(1, register);
        payload.number(2, header);
        payload.number(3, offset);
        payload.number(4, len);
    });
}

/// Adds a struct nlmsghdr, a struct nfgenmsg, and attributes.
fn message(
    batch: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    family: u8,
    resource: u16,
    fill: impl FnOnce(&mut Attributes<'_>),
) {
    let start = batch.len();
    batch.extend_from_slice(&[0; 4]);
    batch.extend_from_slice(&kind.to_ne_bytes());
    batch.extend_from_slice(&flags.to_ne_bytes());
    batch.extend_from_slice(&[0; 8]);
    batch.extend_from_slice(&[family, 0]);
    batch.extend_from_slice(&resource.to_be_bytes());
    fill(&mut Attributes(batch));
    let len = (batch.len() - start) as u32;
    batch[start..start + 4].copy_from_slice(&len.to_ne_bytes());
}

/// Attributes as nf_tables has them: numbers in network order.
struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    fn bytes(&mut self, kind: u16, bytes: &[u8]) {
        self.add(kind, |all| all.extend_from_slice(bytes));
    }

    fn text(&mut self, kind: u16, text: &str) {
        self.add(kind, |all| {
            all.extend_from_slice(text.as_bytes());
            all.push(0);
        });
    }

    fn number(&mut self, kind: u16, number: u32) {
        self.bytes(kind, &number.to_be_bytes());
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes<'_>)) {
        self.add(kind | libc::NLA_F_NESTED as u16, |all| fill(&mut Attributes(all)));
    }

    fn add(&mut self, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        fill(self.0);
        let len = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    /// One after the other in a network of its own.
    fn in_a_network(test: fn()) {
        let thread = std::thread::spawn(move || {
            if let Err(errno) = sys::process::unshare(libc::CLONE_NEWNET) {
                eprintln!("skipped: a network namespace: {errno}");
                return;
            }
            let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
            assert!(up.is_ok_and(|status| status.success()), "ip link set lo up");
            test();
        });
        thread.join().expect("the test passes");
    }

    fn pair(address: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(address).expect("a listener");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        (client, listener.accept().expect("accepted").0)
    }

    fn ends(socket: &TcpStream) -> Ends {
        Ends::new(socket.local_addr().expect("an address"), socket.peer_addr().expect("an address"))
    }

    fn arrives(from: &mut TcpStream, to: &mut TcpStream, timeout: Duration) -> bool {
        from.write_all(b"a").expect("written");
        to.set_read_timeout(Some(timeout)).expect("a timeout");
        to.read(&mut [0; 8]).is_ok_and(|read| read > 0)
    }

    #[test]
    fn locked_connections_and_no_others_come_to_a_halt() {
        in_a_network(|| {
            const SOON: Duration = Duration::from_millis(100);
            const LATER: Duration = Duration::from_secs(30);
            assert!(is_possible());
            for address in ["127.0.0.1:0", "[::1]:0"] {
                let (mut locked, mut other_end) = pair(address);
                let (mut free, mut of_free) = pair(address);
                // The end that is locked neither hears nor is heard.
                let lock = NetworkLock::take(&[ends(&locked)]).expect("a lock");
                assert!(!arrives(&mut locked, &mut other_end, SOON), "{address}: out");
                assert!(!arrives(&mut other_end, &mut locked, SOON), "{address}: in");
                assert!(arrives(&mut free, &mut of_free, LATER), "{address}: another");
                drop(lock);
                assert!(arrives(&mut locked, &mut other_end, LATER), "{address}: out, unlocked");
                assert!(arrives(&mut other_end, &mut locked, LATER), "{address}: in, unlocked");
            }
        });
    }

    #[test]
    fn names_of_locks() {
        let name = LockName(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        let text = "01234567-89ab-cdef-0011-223344556677";
        assert_eq!(name.to_string(), text);
        assert_eq!(LockName::parse(text.as_bytes()), Some(name));
        for other in
            ["", "0", "0123456789abcdef0011223344556677", "01234567-89AB-cdef-0011-223344556677", "x"]
        {
            assert_eq!(LockName::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_lock_with_a_name_stays_until_it_is_taken_away() {
        in_a_network(|| {
            const SOON: Duration = Duration::from_millis(100);
            const LATER: Duration = Duration::from_secs(30);
            for address in ["127.0.0.1:0", "[::1]:0"] {
                let (mut locked, mut other_end) = pair(address);
                let (name, other) = (LockName::new().expect("a name"), LockName::new().expect("a name"));
                name.lock(&[ends(&locked)]).expect("a lock");
                // Another of the same connection goes, and one that is not there.
                drop(NetworkLock::take(&[ends(&locked)]).expect("a lock"));
                other.unlock().expect("nothing to do");
                assert!(!arrives(&mut locked, &mut other_end, SOON), "{address}: out");
                name.unlock().expect("unlocked");
                assert!(arrives(&mut locked, &mut other_end, LATER), "{address}: out, unlocked");
                name.unlock().expect("nothing to do");
            }
        });
    }

    #[test]
    fn many_connections_are_locked_at_once() {
        in_a_network(|| {
            let peer = |nth: u32| SocketAddr::from((nth.to_be_bytes(), 80));
            let own = SocketAddr::from(([127, 0, 0, 1], 4000));
            let many: Vec<Ends> = (1..20_000).map(|nth| Ends::new(own, peer(nth))).collect();
            NetworkLock::take(&many).expect("a lock");
        });
    }
}
