//! linux.netDevices: moves a network device of the host into the container's network namespace.
//!
//! All or nothing: when a step fails, the device goes back where it was, with its addresses; only its routes are
//! lost. What the caller needs in order: the namespace exists, nobody in it has started, and this process has
//! one thread, because the second netlink socket is opened by stepping into the namespace and back.
//!
//! The few messages of rtnetlink(7) are written and read here, over `sys::netlink`.
//!
//! ```text
//! ifinfomsg  family u8 | - u8 | type u16 | index i32 | flags u32 | change u32
//! ifaddrmsg  family u8 | prefix u8 | flags u8 | scope u8 | index u32
//! ```

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, fstat};
use sys::Errno;
use sys::netlink::{MALFORMED, Socket, array, put_attribute, read_attributes};
use sys::process::setns;

use crate::{At, Error, Result};

/// Moves our network device `from` into `netns`, where it is called `to`, keeps its permanent global addresses
/// and is up. A `%d` in `to` stands for the lowest number that makes the name a free one.
pub(crate) fn move_into(netns: BorrowedFd<'_>, from: &str, to: &str) -> Result<()> {
    carry(netns, from, to).at(|| format!("net device {from}"))
}

/// The cause, below the name of the device.
type Cause = Box<dyn std::error::Error + Send + Sync>;

fn carry(netns: BorrowedFd<'_>, from: &str, to: &str) -> std::result::Result<(), Cause> {
    check_name(from)?;
    check_name(to)?;
    let host_ns = own_namespace().at(|| "open our network namespace")?;
    let same = |a: FileStat, b: FileStat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
    if same(fstat(netns).map_err(Errno::from)?, fstat(&host_ns).map_err(Errno::from)?) {
        return Err("the container has no network namespace of its own".into());
    }
    let mut host = Netlink::open().at(|| "open a netlink socket")?;
    let mut container = Netlink::open_in(netns, host_ns.as_fd())?;

    let device = host.link(from)?;
    // `from` may be an alternative name of the device: "no new name" then means its first name.
    let name = free_name(&mut container, if to == from { &device.name } else { to })?;
    let addresses = host.addresses(device.index).at(|| "list its addresses")?;

    // The kernel takes the device down on its way. Doing that before, as a step of its own, would cost the host
    // the addresses and routes of a device that turns out not to be movable.
    if let Err(errno) = host.move_link(device.index, netns, &name) {
        let error: Cause = Box::new(moving(errno, &name));
        // The kernel moves first and renames then, so a name taken since `free_name` fails with the device gone.
        if !matches!(host.link(&device.name), Err(errno) if errno.raw() == libc::ENODEV) {
            return Err(error);
        }
        let undone = put_back(&mut container, &mut host, host_ns.as_fd(), &device, &device.name, &addresses);
        return Err(with_undo(error, undone));
    }
    settle(&mut container, &device.name, &name, &addresses).map_err(|error| {
        let undone = put_back(&mut container, &mut host, host_ns.as_fd(), &device, &name, &addresses);
        with_undo(error, undone)
    })
}

fn own_namespace() -> sys::Result<OwnedFd> {
    Ok(open("/proc/thread-self/ns/net", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// Gives the device, which has just arrived under `name`, its addresses again and sets it up.
fn settle(
    container: &mut Netlink,
    old_name: &str,
    name: &str,
    addresses: &[Address],
) -> std::result::Result<(), Cause> {
    // The index is the same as before only if it was free here.
    let index = container.link(name)?.index;
    for address in addresses {
        let address = address.relabel(old_name, name);
        container.add_address(index, &address).at(|| format!("add address {}", address.text()))?;
    }
    container.set_up(index).at(|| "set up")?;
    Ok(())
}

/// Undoes the move of `device`, which is in the container as `name` now.
fn put_back(
    container: &mut Netlink,
    host: &mut Netlink,
    host_ns: BorrowedFd<'_>,
    device: &Link,
    name: &str,
    addresses: &[Address],
) -> sys::Result<()> {
    let index = container.link(name)?.index;
    container.move_link(index, host_ns, &device.name)?;
    let index = host.link(&device.name)?.index;
    for address in addresses {
        host.add_address(index, address)?;
    }
    if device.flags & libc::IFF_UP as u32 != 0 { host.set_up(index) } else { Ok(()) }
}

fn with_undo(error: Cause, undone: sys::Result<()>) -> Cause {
    match undone {
        Ok(()) => error,
        Err(errno) => format!("{error}; moving it back: {errno}").into(),
    }
}

fn moving(errno: Errno, name: &str) -> Error {
    Error::new(format!("move into the container as {name}: {errno}"))
}

/// The kernel's rules (`dev_valid_name`, and `%` only as `%d`), so that a bad name is found before anything moves.
fn check_name(name: &str) -> Result<()> {
    let literal = name.replacen("%d", "0", 1);
    let bad = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0b | b'/' | b':' | b'%');
    match name.len() {
        1..libc::IFNAMSIZ if !matches!(name, "." | "..") && !literal.bytes().any(bad) => Ok(()),
        _ => Err(Error::new(format!("{name:?} is not a name for a network device"))),
    }
}

/// `wanted` with its `%d` filled in, when no device of the container has that name.
fn free_name(container: &mut Netlink, wanted: &str) -> Result<String> {
    let mut is_free = |name: &str| match container.link(name) {
        Ok(_) => Ok(false),
        Err(errno) if errno.raw() == libc::ENODEV => Ok(true),
        Err(errno) => Err(moving(errno, name)),
    };
    let Some((before, after)) = wanted.split_once("%d") else {
        let error = || moving(Errno::from_raw(libc::EEXIST), wanted);
        return if is_free(wanted)? { Ok(wanted.to_owned()) } else { Err(error()) };
    };
    // The bound is the kernel's own for a template.
    for number in 0..8 * 4096 {
        let name = format!("{before}{number}{after}");
        if name.len() < libc::IFNAMSIZ && is_free(&name)? {
            return Ok(name);
        }
    }
    Err(moving(Errno::from_raw(libc::ENFILE), wanted))
}

#[derive(Debug, PartialEq)]
struct Link {
    index: i32,
    flags: u32,
    name: String,
}

/// An address as it is read, and written again on another device.
#[derive(Clone, Debug, PartialEq)]
struct Address {
    family: u8,
    prefix_length: u8,
    flags: u32,
    attributes: Vec<(u16, Vec<u8>)>,
}

// Of <linux/if_addr.h>; not in libc.
const IFA_FLAGS: u16 = 8;
const IFA_RT_PRIORITY: u16 = 9;
const IFA_PROTO: u16 = 11;

impl Address {
    /// What the container gets: the permanent addresses of global scope.
    fn is_kept(&self, scope: u8) -> bool {
        // The bit says "privacy address" for IPv6. For IPv4 it is only a second address of the same network.
        let is_temporary = self.family == libc::AF_INET6 as u8 && self.flags & libc::IFA_F_TEMPORARY != 0;
        scope == libc::RT_SCOPE_UNIVERSE && self.flags & libc::IFA_F_PERMANENT != 0 && !is_temporary
    }

    /// A label is the name of the device, optionally with `:` and a suffix.
    fn relabel(&self, old_name: &str, name: &str) -> Address {
        let mut address = self.clone();
        address.attributes.retain_mut(|(kind, value)| {
            if *kind != libc::IFA_LABEL {
                return true;
            }
            let label = value.strip_suffix(&[0]).unwrap_or(value);
            match label.strip_prefix(old_name.as_bytes()) {
                Some(suffix) if suffix.is_empty() || suffix.starts_with(b":") => {
                    *value = [name.as_bytes(), suffix, &[0]].concat();
                }
                _ => {}
            }
            // Without one the kernel takes the name of the device.
            value.len() <= libc::IFNAMSIZ
        });
        address
    }

    fn text(&self) -> String {
        let value = |wanted| self.attributes.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        let bytes = value(libc::IFA_LOCAL).or(value(libc::IFA_ADDRESS)).map_or(&[][..], Vec::as_slice);
        let ip = <[u8; 4]>::try_from(bytes)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
        match ip {
            Ok(ip) => format!("{ip}/{}", self.prefix_length),
            Err(_) => format!("{bytes:02x?}/{}", self.prefix_length),
        }
    }
}

/// A socket of rtnetlink(7), of the network namespace in which it was opened.
struct Netlink {
    socket: Socket,
}

impl Netlink {
    fn open() -> sys::Result<Netlink> {
        Ok(Netlink { socket: Socket::route()? })
    }

    /// A socket of `netns`; this thread is back in `own`, its own namespace, afterwards.
    fn open_in(netns: BorrowedFd<'_>, own: BorrowedFd<'_>) -> Result<Netlink> {
        setns(netns, libc::CLONE_NEWNET).at(|| "enter the container's network namespace")?;
        let opened = Netlink::open();
        setns(own, libc::CLONE_NEWNET).at(|| "return from the container's network namespace")?;
        opened.at(|| "open a netlink socket in the container's network namespace")
    }

    fn link(&mut self, name: &str) -> sys::Result<Link> {
        let mut body = link_header(0, 0, 0);
        put_attribute(&mut body, libc::IFLA_IFNAME, &[name.as_bytes(), &[0]].concat());
        let replies = self.socket.request(libc::RTM_GETLINK, libc::NLM_F_ACK, &body)?;
        let reply = replies.iter().find(|reply| reply.kind == libc::RTM_NEWLINK).ok_or(MALFORMED)?;
        read_link(&reply.body).ok_or(MALFORMED)
    }

    /// The addresses of a device that move with it, in the order in which to add them: an IPv4 address is primary
    /// only when it comes before the others of its network, and the kernel lists the last IPv6 address first.
    fn addresses(&mut self, index: i32) -> sys::Result<Vec<Address>> {
        let replies = self.socket.list(libc::RTM_GETADDR, &address_header(0, 0, 0, 0))?;
        let mut addresses = Vec::new();
        for reply in replies.iter().filter(|reply| reply.kind == libc::RTM_NEWADDR) {
            let (of, scope, address) = read_address(&reply.body).ok_or(MALFORMED)?;
            if of != index || !address.is_kept(scope) {
                continue;
            }
            match i32::from(address.family) {
                libc::AF_INET6 => addresses.insert(0, address),
                _ => addresses.push(address),
            }
        }
        Ok(addresses)
    }

    fn add_address(&mut self, index: i32, address: &Address) -> sys::Result<()> {
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.socket.request(libc::RTM_NEWADDR, flags, &write_address(index, address)).map(drop)
    }

    fn move_link(&mut self, index: i32, netns: BorrowedFd<'_>, name: &str) -> sys::Result<()> {
        let mut body = link_header(index, 0, 0);
        put_attribute(&mut body, libc::IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
        put_attribute(&mut body, libc::IFLA_IFNAME, &[name.as_bytes(), &[0]].concat());
        self.socket.request(libc::RTM_NEWLINK, libc::NLM_F_ACK, &body).map(drop)
    }

    fn set_up(&mut self, index: i32) -> sys::Result<()> {
        let up = libc::IFF_UP as u32;
        self.socket.request(libc::RTM_NEWLINK, libc::NLM_F_ACK, &link_header(index, up, up)).map(drop)
    }
}

const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;

fn link_header(index: i32, flags: u32, change: u32) -> Vec<u8> {
    let mut body = vec![libc::AF_UNSPEC as u8, 0, 0, 0];
    body.extend(index.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend(change.to_ne_bytes());
    body
}

fn address_header(family: u8, prefix_length: u8, flags: u8, index: i32) -> Vec<u8> {
    let mut body = vec![family, prefix_length, flags, libc::RT_SCOPE_UNIVERSE];
    body.extend(index.to_ne_bytes());
    body
}

fn write_address(index: i32, address: &Address) -> Vec<u8> {
    // The header has room for the old eight flags, the attribute for all.
    let mut body = address_header(address.family, address.prefix_length, address.flags as u8, index);
    put_attribute(&mut body, IFA_FLAGS, &address.flags.to_ne_bytes());
    for (kind, value) in &address.attributes {
        put_attribute(&mut body, *kind, value);
    }
    body
}

fn read_link(body: &[u8]) -> Option<Link> {
    let attributes = read_attributes(body.get(LINK_HEADER..)?)?;
    let (_, name) = attributes.into_iter().find(|(kind, _)| *kind == libc::IFLA_IFNAME)?;
    Some(Link {
        index: i32::from_ne_bytes(array(body, 4)?),
        flags: u32::from_ne_bytes(array(body, 8)?),
        name: std::str::from_utf8(name.strip_suffix(&[0]).unwrap_or(name)).ok()?.to_owned(),
    })
}

/// An address with the index of its device and its scope.
fn read_address(body: &[u8]) -> Option<(i32, u8, Address)> {
    let [family, prefix_length, flags, scope] = array(body, 0)?;
    let mut address = Address { family, prefix_length, flags: flags.into(), attributes: Vec::new() };
    for (kind, value) in read_attributes(body.get(ADDRESS_HEADER..)?)? {
        match kind {
            IFA_FLAGS => address.flags = u32::from_ne_bytes(array(value, 0)?),
            // The lifetimes, without the times at which the address was made and changed.
            libc::IFA_CACHEINFO => {
                let lifetimes: [u8; 8] = array(value, 0)?;
                address.attributes.push((kind, [lifetimes, [0; 8]].concat()));
            }
            libc::IFA_ADDRESS
            | libc::IFA_LOCAL
            | libc::IFA_BROADCAST
            | libc::IFA_LABEL
            | IFA_RT_PRIORITY
            | IFA_PROTO => address.attributes.push((kind, value.to_vec())),
            _ => {}
        }
    }
    // What the kernel works out by itself on the device where the address is.
    if family == libc::AF_INET6 as u8 {
        let derived = libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED | libc::IFA_F_DEPRECATED;
        // Optimistic is how the detection of duplicates went here; a namespace without it refuses the flag.
        address.flags &= !(derived | libc::IFA_F_OPTIMISTIC);
    } else {
        address.flags &= !libc::IFA_F_SECONDARY;
    }
    Some((i32::from_ne_bytes(array(body, 4)?), scope, address))
}

/// Any answer of the kernel is read to its end, and an address means the same after it was written.
#[cfg(fuzzing)]
pub fn fuzz(mut datagram: &[u8]) {
    while !datagram.is_empty() {
        let Some((message, rest)) = sys::netlink::read_message(datagram) else { return };
        assert!(rest.len() < datagram.len(), "no end");
        let _ = read_link(message.body);
        if let Some((index, _, address)) = read_address(message.body) {
            let written = read_address(&write_address(index, &address));
            assert_eq!(written, Some((index, libc::RT_SCOPE_UNIVERSE, address.clone())));
            let renamed = address.relabel("eth0", "lan0");
            assert!(renamed.attributes.len() <= address.attributes.len() && renamed.text() == address.text());
        }
        datagram = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use sys::netlink::{Message, read_message, write_message};
    use sys::process::unshare;

    #[test]
    fn messages_are_laid_out_as_the_kernel_reads_them() {
        let mut body = link_header(7, 1, 1);
        put_attribute(&mut body, libc::IFLA_IFNAME, b"eth7\0");
        let bytes = write_message(libc::RTM_NEWLINK, 5, 9, &body);
        assert_eq!(bytes.len(), 16 + 16 + 12);
        assert_eq!(bytes[..4], 44u32.to_ne_bytes());
        assert_eq!(bytes[32..36], [9u16.to_ne_bytes(), 3u16.to_ne_bytes()].concat());
        assert_eq!(bytes[36..], *b"eth7\0\0\0\0");

        let (message, rest) = read_message(&bytes).unwrap();
        assert_eq!(message, Message { kind: 16, flags: 5, sequence: 9, body: &body });
        assert_eq!(rest, b"");
        assert_eq!(read_link(message.body), Some(Link { index: 7, flags: 1, name: "eth7".into() }));
    }

    #[test]
    fn addresses_survive_writing_and_reading() {
        let address = Address {
            family: libc::AF_INET as u8,
            prefix_length: 24,
            flags: libc::IFA_F_PERMANENT | 0x200,
            attributes: vec![
                (libc::IFA_ADDRESS, vec![192, 0, 2, 1]),
                (libc::IFA_LOCAL, vec![192, 0, 2, 1]),
                (libc::IFA_LABEL, b"eth0:x\0".to_vec()),
            ],
        };
        assert_eq!(read_address(&write_address(3, &address)), Some((3, 0, address.clone())));
        assert_eq!(address.text(), "192.0.2.1/24");
        assert_eq!(address.relabel("eth0", "lan").attributes[2].1, b"lan:x\0");
        assert_eq!(address.relabel("eth", "lan").attributes[2].1, b"eth0:x\0");
        // Too long together: the kernel chooses.
        assert_eq!(address.relabel("eth0", "abcdefghijklmn").attributes.len(), 2);
    }

    #[test]
    fn cut_and_lying_messages_are_refused() {
        let mut body = link_header(7, 0, 0);
        put_attribute(&mut body, libc::IFLA_IFNAME, b"eth7\0");
        let bytes = write_message(libc::RTM_NEWLINK, 0, 1, &body);
        for end in 0..bytes.len() {
            assert_eq!(read_message(&bytes[..end]), None);
        }
        for end in 0..body.len() {
            // Padding may be missing; the value may not.
            assert_eq!(read_link(&body[..end]).is_some(), end >= body.len() - 3, "{end}");
            let _ = read_address(&body[..end]);
        }
        // A length smaller than its own header would never advance.
        assert_eq!(read_attributes(&[0, 0, 0, 0]), None);
        for length in [0, 3, 15, 17, u32::MAX] {
            let mut bytes = write_message(0, 0, 0, &[]);
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(read_message(&bytes), None, "{length}");
        }
    }

    #[test]
    fn names_are_checked() {
        for good in ["eth0", "veth%d", "a", "fifteen-letters", "ü"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a:1", "a b", "%s", "a%d%d", "sixteen--letters", "a\0"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    /// Runs `test` in a network namespace of its own, with another one beside it; prints why where it cannot.
    fn in_network_namespace(test: fn(&mut Netlink, &mut Netlink, BorrowedFd<'_>)) {
        let new_namespace = || {
            unshare(libc::CLONE_NEWNET)?;
            own_namespace()
        };
        let run = move || {
            let container_ns = std::thread::spawn(new_namespace).join().unwrap();
            match (new_namespace(), container_ns) {
                (Ok(own), Ok(netns)) => {
                    let mut container = Netlink::open_in(netns.as_fd(), own.as_fd()).unwrap();
                    test(&mut Netlink::open().unwrap(), &mut container, netns.as_fd());
                }
                (Err(errno), _) | (_, Err(errno)) => println!("skip: new network namespace: {errno}"),
            }
        };
        std::thread::spawn(run).join().unwrap();
    }

    /// `None`, with the reason printed, where the kernel has no kind of device that can be made like this.
    fn add_device(host: &mut Netlink, name: &str) -> Option<Link> {
        for kind in ["dummy", "veth", "ifb"] {
            let mut kind_attribute = Vec::new();
            put_attribute(&mut kind_attribute, libc::IFLA_INFO_KIND, kind.as_bytes());
            let mut body = link_header(0, 0, 0);
            put_attribute(&mut body, libc::IFLA_IFNAME, &[name.as_bytes(), &[0]].concat());
            put_attribute(&mut body, libc::IFLA_LINKINFO, &kind_attribute);
            let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
            match host.socket.request(libc::RTM_NEWLINK, flags, &body) {
                Ok(_) => return Some(host.link(name).unwrap()),
                Err(errno) if errno.raw() == libc::EOPNOTSUPP => {}
                Err(errno) => panic!("add {kind}: {errno}"),
            }
        }
        println!("skip: the kernel has neither dummy nor veth nor ifb devices");
        None
    }

    fn ipv4(local: [u8; 4], prefix_length: u8, label: &str) -> Address {
        Address {
            family: libc::AF_INET as u8,
            prefix_length,
            flags: libc::IFA_F_PERMANENT,
            attributes: vec![
                (libc::IFA_ADDRESS, local.to_vec()),
                (libc::IFA_LOCAL, local.to_vec()),
                (libc::IFA_BROADCAST, Ipv4Addr::new(192, 0, 2, 255).octets().to_vec()),
                (libc::IFA_LABEL, [label.as_bytes(), &[0]].concat()),
            ],
        }
    }

    fn ipv6(address: &str, flags: u32) -> Address {
        let address: Ipv6Addr = address.parse().unwrap();
        Address {
            family: libc::AF_INET6 as u8,
            prefix_length: 64,
            flags,
            attributes: vec![(libc::IFA_ADDRESS, address.octets().to_vec())],
        }
    }

    fn add_addresses(host: &mut Netlink, device: &Link) {
        let label = format!("{}:x", device.name);
        let mut peer = ipv4([203, 0, 113, 1], 32, &device.name);
        peer.attributes[0].1 = vec![203, 0, 113, 2];
        let mut brief = ipv4([192, 0, 2, 9], 24, &device.name);
        brief.flags = 0;
        brief.attributes.push((
            libc::IFA_CACHEINFO,
            [1000u32.to_ne_bytes(), 1000u32.to_ne_bytes(), [0; 4], [0; 4]].concat(),
        ));
        for address in [ipv4([192, 0, 2, 1], 24, &device.name), ipv4([192, 0, 2, 2], 24, &label), peer, brief]
        {
            host.add_address(device.index, &address).unwrap();
        }
        for address in
            [ipv6("2001:db8::1", libc::IFA_F_NODAD), ipv6("2001:db8::2", libc::IFA_F_NODAD | 0x200)]
        {
            match host.add_address(device.index, &address) {
                Ok(()) => {}
                Err(errno) => println!("without IPv6: {errno}"),
            }
        }
        // Scope link: the kernel's own choice is not asked for an address that is written here.
        let mut body = write_address(device.index, &ipv4([198, 51, 100, 1], 24, &device.name));
        body[3] = libc::RT_SCOPE_LINK;
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        host.socket.request(libc::RTM_NEWADDR, flags, &body).unwrap();
    }

    #[test]
    fn a_device_moves_with_its_name_and_addresses() {
        in_network_namespace(|host, container, netns| {
            let Some(device) = add_device(host, "floe0") else { return };
            add_addresses(host, &device);
            host.set_up(device.index).unwrap();
            let before = host.addresses(device.index).unwrap();
            let mut texts: Vec<String> = before.iter().map(Address::text).collect();
            texts.retain(|text| text.contains('.'));
            assert_eq!(texts, ["192.0.2.1/24", "203.0.113.1/32", "192.0.2.2/24"]);

            move_into(netns, "floe0", "inside").unwrap();
            assert_eq!(host.link("floe0").unwrap_err().raw(), libc::ENODEV);
            let moved = container.link("inside").unwrap();
            assert_ne!(moved.flags & libc::IFF_UP as u32, 0);
            let expected: Vec<Address> = before.iter().map(|a| a.relabel("floe0", "inside")).collect();
            assert_eq!(container.addresses(moved.index).unwrap(), expected);

            // This thread is still in its own namespace, and `%d` counts in the other one.
            let second = add_device(host, "floe0").unwrap();
            assert_eq!(host.link("floe0").unwrap(), second);
            move_into(netns, "floe0", "inside%d").unwrap();
            container.link("inside0").unwrap();
            add_device(host, "floe0").unwrap();
            move_into(netns, "floe0", "inside%d").unwrap();
            container.link("inside1").unwrap();
            add_device(host, "floe0").unwrap();
            move_into(netns, "floe0", "floe0").unwrap();
            container.link("floe0").unwrap();
        });
    }

    #[test]
    fn a_device_that_cannot_move_stays_as_it_is() {
        in_network_namespace(|host, container, netns| {
            let Some(device) = add_device(host, "floe0") else { return };
            add_device(container, "inside").unwrap();
            add_addresses(host, &device);
            host.set_up(device.index).unwrap();
            let up = host.link("floe0").unwrap();
            let addresses = host.addresses(device.index).unwrap();
            let check = |host: &mut Netlink, to: &str, expected: &str| {
                assert_eq!(move_into(netns, "floe0", to).unwrap_err().to_string(), expected);
                assert_eq!(host.link("floe0").unwrap(), up);
                assert_eq!(host.addresses(up.index).unwrap(), addresses);
            };
            check(
                host,
                "inside",
                "net device floe0: move into the container as inside: file exists (EEXIST)",
            );
            check(host, "in/side", "net device floe0: \"in/side\" is not a name for a network device");

            let error = move_into(netns, "floe7", "inside7").unwrap_err();
            assert_eq!(error.to_string(), "net device floe7: no such device (ENODEV)");
            let error = move_into(own_namespace().unwrap().as_fd(), "floe0", "floe1").unwrap_err();
            assert_eq!(
                error.to_string(),
                "net device floe0: the container has no network namespace of its own"
            );
            let error = move_into(netns, "lo", "loop").unwrap_err();
            assert_eq!(
                error.to_string(),
                "net device lo: move into the container as loop: invalid argument (EINVAL)"
            );
        });
    }

    #[test]
    fn a_device_that_has_moved_is_put_back() {
        in_network_namespace(|host, container, netns| {
            let Some(device) = add_device(host, "floe0") else { return };
            add_addresses(host, &device);
            host.set_up(device.index).unwrap();
            let device = host.link("floe0").unwrap();
            let addresses = host.addresses(device.index).unwrap();
            let check = |host: &mut Netlink| {
                let back = host.link("floe0").unwrap();
                assert_ne!(back.flags & libc::IFF_UP as u32, 0);
                assert_eq!(host.addresses(back.index).unwrap(), addresses);
            };
            let host_ns = own_namespace().unwrap();

            // What a lost race for the name leaves behind: moved, and not renamed.
            add_device(container, "inside").unwrap();
            assert_eq!(host.move_link(device.index, netns, "inside").unwrap_err().raw(), libc::EEXIST);
            if host.link("floe0").is_err() {
                put_back(container, host, host_ns.as_fd(), &device, "floe0", &addresses).unwrap();
            }
            check(host);

            // An address that the container's namespace does not take.
            if addresses.iter().all(|address| address.family != libc::AF_INET6 as u8) {
                println!("skip: the kernel has no IPv6");
                return;
            }
            setns(netns, libc::CLONE_NEWNET).unwrap();
            let written = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
            setns(host_ns.as_fd(), libc::CLONE_NEWNET).unwrap();
            if let Err(error) = written {
                println!("skip: disable IPv6: {error}");
                return;
            }
            let error = move_into(netns, "floe0", "floe1").unwrap_err();
            assert_eq!(
                error.to_string(),
                "net device floe0: add address 2001:db8::1/64: permission denied (EACCES)"
            );
            assert_eq!(container.link("floe1").unwrap_err().raw(), libc::ENODEV);
            check(host);
        });
    }
}
