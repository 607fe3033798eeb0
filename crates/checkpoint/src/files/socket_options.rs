//! What programs ask of sockets and images have no place for: options of socket(7), ip(7), ipv6(7), tcp(7), udp(7),
//! netlink(7) and packet(7), and the multicast groups that a socket is a member of. They are in `floe-state.json`, where they are not as
//! a new socket has them.

use super::inet::peer_address;
use super::sockets::Socket;
use super::{Files, Open};
use crate::error::{At, Result};
use crate::namespaces::inside_network;
use crate::proc;
use crate::snapshot::{KnownOption, Membership, Of, SocketOption, SocketSide};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use sys::socket::{network_namespace, option, option_with};

/// An option as a new socket has it.
type Usual = (KnownOption, Vec<u8>);

/// What there is in a network namespace.
#[derive(Debug)]
pub(super) struct References {
    /// The options that each kind of socket has, as they are there by themselves.
    sockets: Vec<(Socket, Vec<Usual>)>,
    /// The groups that somebody is a member of, with the device and its index.
    groups: Vec<(u32, String, IpAddr)>,
}

impl Files<'_> {
    /// Notes what a socket has that a new one has not.
    pub(super) fn socket_side(&mut self, open: &Open, socket: Socket) -> Result<()> {
        let fd = open.file.as_fd();
        let what = || format!("{}: its options", open.owner);
        let known = self.references.as_ref();
        if !known.is_some_and(|known| known.sockets.iter().any(|(kind, _)| *kind == socket)) {
            let network = File::from(network_namespace(fd).at(what)?);
            let is_first = known.is_none();
            let (usual, groups) = inside_network(&network, || {
                let new = sys::socket::open(socket.family, socket.kind, socket.protocol).at(what)?;
                Ok((usual(new.as_fd(), socket), if is_first { groups()? } else { Vec::new() }))
            })?;
            let known = self.references.get_or_insert(References { sockets: Vec::new(), groups });
            known.sockets.push((socket, usual));
        }
        let known = self.references.as_ref().expect("it was just made");
        let (_, usual) = known.sockets.iter().find(|(kind, _)| *kind == socket).expect("likewise");
        let is_connected = socket.is_tcp() && peer_address(fd, socket.family).is_some();
        let options = usual.iter().filter(|(known, _)| known.of != Of::Unconnected || !is_connected);
        let options = options.filter_map(|(known, usual)| {
            let value = option(fd, known.level, known.name, known.len).ok()?;
            let option = SocketOption { level: known.level, name: known.name, value };
            (option.value != *usual).then_some(option)
        });
        let mut side = SocketSide { options: options.collect(), memberships: Vec::new() };
        let is_internet = [libc::AF_INET, libc::AF_INET6].contains(&socket.family);
        if is_internet && socket.kind != libc::SOCK_STREAM {
            for (index, device, group) in &known.groups {
                side.memberships.extend(membership(fd, *index, device, *group).at(what)?);
            }
        }
        if side != SocketSide::default() {
            self.side.sockets.insert(open.id, side);
        }
        Ok(())
    }
}

/// Without those that this kind of socket or this kernel does not have.
fn usual(new: BorrowedFd<'_>, socket: Socket) -> Vec<Usual> {
    let is_of = |known: &&KnownOption| match known.of {
        Of::All | Of::Unconnected => true,
        Of::Ipv6 => socket.family == libc::AF_INET6,
        Of::Messages => socket.kind != libc::SOCK_STREAM,
    };
    let value = |known: &KnownOption| Some((*known, option(new, known.level, known.name, known.len).ok()?));
    SocketOption::ALL.iter().filter(is_of).filter_map(value).collect()
}

/// Those of all sockets of the network namespace that we are in.
fn groups() -> Result<Vec<(u32, String, IpAddr)>> {
    // Without IPv6 there is no such file.
    let v6 = proc::read("/proc/thread-self/net/igmp6").unwrap_or_default();
    Ok([parse_igmp(&proc::read("/proc/thread-self/net/igmp")?), parse_igmp6(&v6)].concat())
}

/// A line for each device, `1 lo : 1 V3`, and behind it one for each of its groups, `010000E0 1 0:00000000 0`: the address
/// as the word that is in network order (net/ipv4/igmp.c).
fn parse_igmp(text: &str) -> Vec<(u32, String, IpAddr)> {
    let mut device = None;
    let mut groups = Vec::new();
    for line in text.lines().skip(1) {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if !line.starts_with(char::is_whitespace) {
            device = first.parse().ok().zip(words.next().map(str::to_owned));
        } else if let (Some((index, name)), Ok(word)) = (&device, u32::from_str_radix(first, 16)) {
            groups.push((*index, name.clone(), Ipv4Addr::from(word.to_ne_bytes()).into()));
        }
    }
    groups
}

/// `1 lo ff020000000000000000000000000001 1 0000000C 0` (net/ipv6/mcast.c)
fn parse_igmp6(text: &str) -> Vec<(u32, String, IpAddr)> {
    let group = |line: &str| {
        let mut words = line.split_whitespace();
        let (index, name) = (words.next()?.parse().ok()?, words.next()?.to_owned());
        let address = u128::from_str_radix(words.next()?, 16).ok()?;
        Some((index, name, Ipv6Addr::from(address).into()))
    };
    text.lines().filter_map(group).collect()
}

/// Whether a socket is a member, and whose packets it wants.
fn membership(
    fd: BorrowedFd<'_>,
    index: u32,
    device: &str,
    group: IpAddr,
) -> sys::Result<Option<Membership>> {
    let mut filter = Membership::question(index, group);
    match option_with(fd, Membership::level(group), Membership::MCAST_MSFILTER, &mut filter) {
        Ok(()) => Ok(Membership::of_answer(device, group, &filter)),
        // It is no member, or of a family that cannot be.
        Err(errno)
            if [libc::EADDRNOTAVAIL, libc::ENOPROTOOPT, libc::EOPNOTSUPP, libc::EINVAL]
                .contains(&errno.raw()) =>
        {
            Ok(None)
        }
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_the_kernel() {
        let v4 = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
            1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
            2\teth0      :     2      V3\n\t\t\t\t070809EF     1 0:00000000\t\t1\n\t\t\t\t010000E0     1 0:00000000\t\t0\n";
        let of =
            |index, device: &str, group: &str| (index, device.to_owned(), group.parse().expect("a group"));
        let expected = [of(1, "lo", "224.0.0.1"), of(2, "eth0", "239.9.8.7"), of(2, "eth0", "224.0.0.1")];
        assert_eq!(parse_igmp(v4), expected);
        let v6 = "2    eth0            ff020000000000000000000000000001     1 0000000C 0\n";
        assert_eq!(parse_igmp6(v6), [of(2, "eth0", "ff02::1")]);
    }
}
