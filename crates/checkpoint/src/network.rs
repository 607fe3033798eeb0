//! What is in a network namespace: devices, addresses, routes, rules and the sysctls of devices, both directions, by
//! rtnetlink(7). Whoever calls is in the namespace.
//!
//! Addresses, routes and rules are images as `ip address|route|rule save` writes them: a magic, and then the messages of
//! the kernel as they came. Of devices `netdev-ID.img` has what CRIU knows, and `floe-state.json` the rest. Devices keep
//! their index, so that all messages mean the same again.
//!
//! A device may lead to another network namespace, which images do not have: a veth whose peer is there, a macvlan on top
//! of a device. Whoever restores says what they lead to in its own ([`OuterLink`]).
//!
//! The order of a restore: sysctls for all devices → devices, those that others are on top of first → addresses → sysctls
//! of devices → up → routes, which need devices that are up → rules.

use crate::check::PATIENCE;
use crate::error::{At, Error, Result};
use crate::policy::OuterLink;
use crate::snapshot::{LinkSide, Net, Saved, Snapshot};
use images::messages::{MacvlanLinkEntry, NdType, NetDeviceEntry, SysctlEntry, SysctlType};
use nix::net::if_::if_nametoindex;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use sys::Errno;
use sys::netlink::{
    MALFORMED, Reply, Socket, array, put_attribute, read_attributes, read_message, write_message,
};

/// Sysctls of devices in the order of CRIU's images (criu/net.c, `devconfs4`).
const IPV4: [&str; 30] = [
    "accept_local",
    "accept_redirects",
    "accept_source_route",
    "arp_accept",
    "arp_announce",
    "arp_filter",
    "arp_ignore",
    "arp_notify",
    "bootp_relay",
    "disable_policy",
    "disable_xfrm",
    "force_igmp_version",
    "forwarding",
    "igmpv2_unsolicited_report_interval",
    "igmpv3_unsolicited_report_interval",
    "log_martians",
    "medium_id",
    "promote_secondaries",
    "proxy_arp",
    "proxy_arp_pvlan",
    "route_localnet",
    "rp_filter",
    "secure_redirects",
    "send_redirects",
    "shared_media",
    "src_valid_mark",
    "tag",
    "ignore_routes_with_linkdown",
    "drop_gratuitous_arp",
    "drop_unicast_in_l2_multicast",
];

/// The same for IPv6 (`devconfs6`).
const IPV6: [&str; 42] = [
    "accept_dad",
    "accept_ra",
    "accept_ra_defrtr",
    "accept_ra_from_local",
    "accept_ra_min_hop_limit",
    "accept_ra_mtu",
    "accept_ra_pinfo",
    "accept_ra_rt_info_max_plen",
    "accept_ra_rtr_pref",
    "accept_redirects",
    "accept_source_route",
    "autoconf",
    "dad_transmits",
    "disable_ipv6",
    "drop_unicast_in_l2_multicast",
    "drop_unsolicited_na",
    "force_mld_version",
    "force_tllao",
    "forwarding",
    "hop_limit",
    "ignore_routes_with_linkdown",
    "keep_addr_on_down",
    "max_addresses",
    "max_desync_factor",
    "mldv1_unsolicited_report_interval",
    "mldv2_unsolicited_report_interval",
    "mtu",
    "ndisc_notify",
    "optimistic_dad",
    "proxy_ndp",
    "regen_max_retry",
    "router_probe_interval",
    "router_solicitation_delay",
    "router_solicitation_interval",
    "router_solicitations",
    STABLE_SECRET,
    "suppress_frag_ndisc",
    "temp_prefered_lft",
    "temp_valid_lft",
    "use_oif_addrs_only",
    "use_optimistic",
    "use_tempaddr",
];

const STABLE_SECRET: &str = "stable_secret";

/// Of the namespace as a whole (`unix_conf_entries`, `ipv4_sysctl_entries`).
const UNIX: [&str; 1] = ["max_dgram_qlen"];
const IPV4_ALONE: [&str; 1] = ["ping_group_range"];

/// Those that are text.
const TEXTS: [&str; 2] = [STABLE_SECRET, IPV4_ALONE[0]];

/// Kinds of devices: what images call them, and the attributes of `IFLA_INFO_DATA` that can be set (linux/if_link.h).
/// `Extlink` are those that CRIU does not know; it refuses them without a plugin.
const KINDS: [(&str, NdType, &[u16]); 6] = [
    ("veth", NdType::Veth, &[]),
    ("bridge", NdType::Bridge, &[1, 2, 3, 4, 5, 6]),
    ("macvlan", NdType::Macvlan, &[MACVLAN_MODE, MACVLAN_FLAGS]),
    ("dummy", NdType::Extlink, &[]),
    ("vlan", NdType::Extlink, &[1, 2, 3, 4, 5]),
    ("ipvlan", NdType::Extlink, &[1, 2]),
];
const BRIDGE_VLAN_FILTERING: u16 = 7;
const MACVLAN_MODE: u16 = 1;
const MACVLAN_FLAGS: u16 = 2;
/// linux/veth.h
const VETH_INFO_PEER: u16 = 1;

/// Devices that every network namespace has where the kernel makes them by itself (`net.core.fb_tunnels_only_for_init_net`).
const MADE_BY_THE_KERNEL: [&str; 9] =
    ["sit0", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0"];

/// Queueing disciplines that devices have by themselves.
const DEFAULT_QDISCS: [&str; 6] = ["noqueue", "noop", "pfifo_fast", "fq_codel", "fq", "mq"];

// What begins the files of iproute2: ip/ipaddress.c, ip/iproute.c, ip/iprule.c.
const ADDRESSES: u32 = 0x4736_1222;
const ROUTES: u32 = 0x4531_1224;
const RULES: u32 = 0x7170_6986;

/// Reads what is in the namespace, which has the number `id` in images. What would not come back is an error.
pub(crate) fn collect(id: u32) -> Result<(Net, BTreeMap<u32, LinkSide>)> {
    refuse_filters()?;
    let mut socket = Socket::route().at(|| "network: open a netlink socket".to_owned())?;
    let links = list(&mut socket, libc::RTM_GETLINK, &[0; LINK_HEADER])?;
    let (mut net, mut sides) = (Net::default(), BTreeMap::new());
    for link in &links {
        let link = Link::read(&link.body).ok_or(MALFORMED).at(|| "network: list devices".to_owned())?;
        let collected = link.collect(id).map_err(|why| refused(&link.name, &why))?;
        let Some((device, side)) = collected else { continue };
        sides.extend(side.map(|side| (device.ifindex, side)));
        net.devices.push(device);
    }
    check_peers(&net.devices, &sides)?;
    refuse_neighbours(&mut socket, &net.devices)?;
    net.entry.all_conf4 = sysctls(&IPV4, "ipv4/conf/all");
    net.entry.def_conf4 = sysctls(&IPV4, "ipv4/conf/default");
    net.entry.all_conf6 = sysctls(&IPV6, "ipv6/conf/all");
    net.entry.def_conf6 = sysctls(&IPV6, "ipv6/conf/default");
    net.entry.unix_conf = sysctls(&UNIX, "unix");
    net.entry.ipv4_sysctl = sysctls(&IPV4_ALONE, "ipv4");
    net.saved.addresses = save(ADDRESSES, &list(&mut socket, libc::RTM_GETADDR, &[0; ADDRESS_HEADER])?);
    let mut of_family = |magic, kind, family: i32| -> Result<Vec<Reply>> {
        let mut header = [0; ROUTE_HEADER];
        header[0] = family as u8;
        let mut replies = list(&mut socket, kind, &header)?;
        replies.retain(|reply| magic != ROUTES || is_kept(&reply.body));
        Ok(replies)
    };
    net.saved.routes = save(ROUTES, &of_family(ROUTES, libc::RTM_GETROUTE, libc::AF_INET)?);
    net.saved.routes6 = save(ROUTES, &of_family(ROUTES, libc::RTM_GETROUTE, libc::AF_INET6)?);
    let mut rules = of_family(RULES, libc::RTM_GETRULE, libc::AF_INET)?;
    rules.extend(of_family(RULES, libc::RTM_GETRULE, libc::AF_INET6)?);
    net.saved.rules = save(RULES, &rules);
    Ok((net, sides))
}

fn refused(device: &str, why: &str) -> Error {
    Error::new(format!(
        "network device {device}: {why}; use --empty-ns net where somebody makes the network anew"
    ))
}

fn list(socket: &mut Socket, kind: u16, header: &[u8]) -> Result<Vec<Reply>> {
    match socket.list(kind, header) {
        // A kernel without IPv6, or without rules.
        Err(errno) if [libc::EOPNOTSUPP, libc::EAFNOSUPPORT].contains(&errno.raw()) => Ok(Vec::new()),
        listed => listed.at(|| format!("network: list by message {kind}")),
    }
}

/// Rules for packets and nexthop objects are not dumped. The table of a lock of ours or CRIU's is nobody's.
fn refuse_filters() -> Result<()> {
    const GET_TABLE: u16 = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | 1;
    const GET_NEXTHOP: u16 = 106;
    // A kernel without them has none.
    let ask = |socket: sys::Result<Socket>, kind, header: &[u8]| {
        socket.and_then(|mut socket| socket.list(kind, header)).unwrap_or_default()
    };
    for table in ask(Socket::netfilter(), GET_TABLE, &[0; 4]) {
        let attributes = table.body.get(4..).and_then(read_attributes).unwrap_or_default();
        let name = attributes.iter().find(|(kind, _)| *kind == 1).map_or("", |(_, name)| text(name));
        if !name.starts_with("CRIU-") {
            return Err(Error::new(format!("network: the nftables table {name} is not supported")));
        }
    }
    for file in ["ip_tables_names", "ip6_tables_names", "arp_tables_names"] {
        let names = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
        if let Some(name) = names.split_whitespace().next() {
            return Err(Error::new(format!("network: the iptables table {name} is not supported")));
        }
    }
    match ask(Socket::route(), GET_NEXTHOP, &[0; 8]).is_empty() {
        true => Ok(()),
        false => Err(Error::new("network: nexthop objects are not supported")),
    }
}

fn refuse_neighbours(socket: &mut Socket, devices: &[NetDeviceEntry]) -> Result<()> {
    const PERMANENT: u16 = 0x80;
    for neighbour in list(socket, libc::RTM_GETNEIGH, &[0; 12])? {
        let body = &neighbour.body;
        let read = || Some((u32::from_ne_bytes(array(body, 4)?), u16::from_ne_bytes(array(body, 8)?)));
        let (index, state) = read().ok_or(MALFORMED).at(|| "network: list neighbours".to_owned())?;
        if state & PERMANENT == 0 {
            continue;
        }
        if let Some(device) = devices.iter().find(|device| device.ifindex == index) {
            return Err(refused(text(&device.name), "permanent neighbours are not supported"));
        }
    }
    Ok(())
}

/// Without those that belong to a device or an address that is there, and those that were learned on the way.
fn is_kept(route: &[u8]) -> bool {
    const CLONED: u32 = 0x200;
    let Some([_, _, _, _, table, protocol, _, _]) = array(route, 0) else { return true };
    let is_local = table == libc::RT_TABLE_LOCAL && protocol == libc::RTPROT_KERNEL;
    let flags = array(route, 8).map_or(0, u32::from_ne_bytes);
    !is_local && flags & CLONED == 0 && protocol != libc::RTPROT_REDIRECT
}

fn save(magic: u32, messages: &[Reply]) -> Vec<u8> {
    let mut bytes = magic.to_ne_bytes().to_vec();
    for Reply { kind, body } in messages {
        let mut message = write_message(*kind, libc::NLM_F_MULTI, 0, body);
        message.resize(message.len().next_multiple_of(4), 0);
        bytes.extend(message);
    }
    bytes
}

/// The bodies of the messages of a file; one that is not there has none.
fn load(magic: u32, bytes: &[u8]) -> Option<Vec<&[u8]>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut rest = bytes.get(4..).filter(|_| bytes[..4] == magic.to_ne_bytes())?;
    let mut bodies = Vec::new();
    while !rest.is_empty() {
        let (message, behind) = read_message(rest)?;
        let is_end = message.kind == libc::NLMSG_DONE as u16;
        bodies.extend((!is_end).then_some(message.body));
        rest = behind;
    }
    Some(bodies)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes.strip_suffix(&[0]).unwrap_or(bytes)).unwrap_or("?")
}

/// What is asked for is not there yet.
const MAKE: i32 = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;

const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
/// That of rules, too.
const ROUTE_HEADER: usize = 12;

/// A device as the kernel lists it.
struct Link<'a> {
    index: u32,
    flags: u32,
    name: String,
    attributes: Vec<(u16, &'a [u8])>,
}

impl Link<'_> {
    fn read(body: &[u8]) -> Option<Link<'_>> {
        let attributes = read_attributes(body.get(LINK_HEADER..)?)?;
        let (_, name) = attributes.iter().find(|(kind, _)| *kind == libc::IFLA_IFNAME)?;
        Some(Link {
            index: u32::from_ne_bytes(array(body, 4)?),
            flags: u32::from_ne_bytes(array(body, 8)?),
            name: text(name).to_owned(),
            attributes,
        })
    }

    fn attribute(&self, kind: u16) -> Option<&[u8]> {
        self.attributes.iter().find(|(known, _)| *known == kind).map(|(_, value)| *value)
    }

    fn number(&self, kind: u16) -> Option<u32> {
        array(self.attribute(kind)?, 0).map(u32::from_ne_bytes)
    }

    /// None of a device that the kernel makes by itself. The error is why it would not come back.
    fn collect(&self, id: u32) -> std::result::Result<Option<(NetDeviceEntry, Option<LinkSide>)>, String> {
        let is_up = self.flags & libc::IFF_UP as u32 != 0;
        if MADE_BY_THE_KERNEL.contains(&self.name.as_str()) {
            return if is_up { Err("it is up, which is not supported".to_owned()) } else { Ok(None) };
        }
        let linkinfo = self.attribute(libc::IFLA_LINKINFO).and_then(read_attributes).unwrap_or_default();
        let linkinfo = |wanted| linkinfo.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
        let kind = linkinfo(libc::IFLA_INFO_KIND).map(text);
        let is_loopback = self.flags & libc::IFF_LOOPBACK as u32 != 0;
        let (r#type, settable) = match kind {
            None if is_loopback => (NdType::Loopback, &[][..]),
            None => return Err("a device of hardware would not come back".to_owned()),
            Some(kind) => match KINDS.iter().find(|(known, ..)| *known == kind) {
                Some((_, r#type, settable)) => (*r#type, *settable),
                None => return Err(format!("the kind {kind} is not supported")),
            },
        };
        let is_outside = self.attribute(libc::IFLA_LINK_NETNSID).is_some();
        if is_outside && !can_lead_outside(r#type) {
            return Err("it leads to another network namespace, which is not supported".to_owned());
        }
        let qdisc = self.attribute(libc::IFLA_QDISC).map_or("noop", text);
        if !DEFAULT_QDISCS.contains(&qdisc) {
            return Err(format!("the queueing discipline {qdisc} is not supported"));
        }
        /// linux/if_link.h
        const XDP_ATTACHED: u16 = 2;
        let xdp = self.attribute(libc::IFLA_XDP).and_then(read_attributes).unwrap_or_default();
        if xdp.iter().any(|(kind, value)| *kind == XDP_ATTACHED && *value != [0]) {
            return Err("an XDP program is not supported".to_owned());
        }
        let data = linkinfo(libc::IFLA_INFO_DATA).and_then(read_attributes).unwrap_or_default();
        let value = |wanted| data.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
        if r#type == NdType::Bridge && value(BRIDGE_VLAN_FILTERING).is_some_and(|on| on != [0]) {
            return Err("a bridge with vlan_filtering is not supported".to_owned());
        }
        let macvlan = match r#type {
            NdType::Macvlan => {
                const SOURCE: u32 = 16;
                let mode =
                    value(MACVLAN_MODE).and_then(|value| array(value, 0)).map_or(0, u32::from_ne_bytes);
                let flags = value(MACVLAN_FLAGS).and_then(|value| array(value, 0)).map(u16::from_ne_bytes);
                if mode == SOURCE {
                    return Err("a macvlan of mode source is not supported".to_owned());
                }
                Some(MacvlanLinkEntry { mode, flags: flags.map(u32::from) })
            }
            _ => None,
        };
        let mut side = LinkSide {
            kind: kind.filter(|_| r#type == NdType::Extlink).map(str::to_owned),
            alias: self.attribute(libc::IFLA_IFALIAS).map(|alias| text(alias).to_owned()),
            queue_length: self.number(libc::IFLA_TXQLEN),
            data: Vec::new(),
        };
        for (kind, value) in data.iter().filter(|(kind, _)| settable.contains(kind)) {
            put_attribute(&mut side.data, *kind, value);
        }
        let device = NetDeviceEntry {
            r#type: r#type.into(),
            ifindex: self.index,
            mtu: self.number(libc::IFLA_MTU).unwrap_or_default(),
            flags: self.flags,
            name: self.name.clone().into_bytes(),
            address: self.attribute(libc::IFLA_ADDRESS).filter(|_| !is_loopback).map(<[u8]>::to_vec),
            conf4: sysctls(&IPV4, &format!("ipv4/conf/{}", self.name)),
            conf6: sysctls(&IPV6, &format!("ipv6/conf/{}", self.name)),
            macvlan,
            peer_ifindex: Some(self.number(libc::IFLA_LINK).filter(|link| *link != 0).unwrap_or(self.index)),
            peer_nsid: Some(id).filter(|_| !is_outside),
            master: self.number(libc::IFLA_MASTER),
            ..NetDeviceEntry::default()
        };
        Ok(Some((device, Some(side).filter(|side| *side != LinkSide::default()))))
    }
}

/// What a device leads to or belongs to is there, too. An end of a pair without the other is on its way to its end.
fn check_peers(devices: &[NetDeviceEntry], sides: &BTreeMap<u32, LinkSide>) -> Result<()> {
    let is_there = |index: u32| devices.iter().any(|device| device.ifindex == index);
    for device in devices {
        let needed = [device.peer_ifindex.filter(|_| !is_outside(device)), device.master];
        if let Some(missing) = needed.into_iter().flatten().find(|index| !is_there(*index)) {
            return Err(refused(
                text(&device.name),
                &format!("the device {missing} that it needs is not there"),
            ));
        }
        if kind(device, sides).is_some_and(|kind| needs_other(&kind))
            && !is_outside(device)
            && device.peer_ifindex == Some(device.ifindex)
        {
            return Err(refused(text(&device.name), "the device that it needs is not there"));
        }
    }
    Ok(())
}

fn needs_other(kind: &str) -> bool {
    ["veth", "macvlan", "vlan", "ipvlan"].contains(&kind)
}

fn can_lead_outside(r#type: NdType) -> bool {
    matches!(r#type, NdType::Veth | NdType::Macvlan)
}

/// Whether what it leads to is in a network namespace that images do not have; they do not say in which, then.
fn is_outside(device: &NetDeviceEntry) -> bool {
    can_lead_outside(device.r#type()) && device.peer_nsid.is_none()
}

/// As `IFLA_INFO_KIND`; none of `lo` and of what no one here can make.
fn kind(device: &NetDeviceEntry, sides: &BTreeMap<u32, LinkSide>) -> Option<String> {
    let of_side = || sides.get(&device.ifindex)?.kind.clone();
    match device.r#type() {
        NdType::Extlink => of_side().filter(|kind| KINDS.iter().any(|(known, ..)| known == kind)),
        of_image => {
            KINDS.iter().find(|(_, known, _)| *known == of_image).map(|(kind, ..)| (*kind).to_owned())
        }
    }
}

/// Sysctls in a directory below net.
fn sysctls(names: &[&str], directory: &str) -> Vec<SysctlEntry> {
    let read = |name: &&str| {
        let text = fs::read_to_string(format!("/proc/sys/net/{directory}/{name}")).ok();
        let text = text.as_ref().map(|text| text.trim());
        match TEXTS.contains(name) {
            true => SysctlEntry {
                r#type: SysctlType::CtlStr.into(),
                sarg: text.map(|text| text.as_bytes().to_vec()),
                ..SysctlEntry::default()
            },
            false => SysctlEntry {
                r#type: SysctlType::Ctl32.into(),
                iarg: text.and_then(|text| text.parse().ok()),
                ..SysctlEntry::default()
            },
        }
    };
    names.iter().map(read).collect()
}

/// What a restore makes of an image: resolved, before anything is made.
#[derive(Debug)]
pub(crate) struct Network {
    net: Net,
    sides: BTreeMap<u32, LinkSide>,
    /// Places of devices in `net`, in the order in which they can be made. A pair is made with its first end.
    order: Vec<usize>,
    /// Of those that lead outside, by their index.
    outer: BTreeMap<u32, Outer>,
}

/// What a device leads to in the network of whoever restores, with the indices that it has there.
#[derive(Debug)]
enum Outer {
    Peer { name: String, bridge: Option<u32> },
    Lower(u32),
}

impl Outer {
    fn find(device: &str, r#type: NdType, links: &[(String, OuterLink)]) -> Result<Outer> {
        let index =
            |name: &str| if_nametoindex(name).map_err(Errno::from).at(|| format!("network device {name}"));
        let mut given = links.iter().filter(|(inner, _)| inner == device).map(|(_, link)| link);
        let found = given.find_map(|link| match (link, r#type) {
            (OuterLink::Veth { peer, bridge }, NdType::Veth) => {
                let bridge = bridge.as_deref().map(index).transpose();
                Some(bridge.map(|bridge| Outer::Peer { name: peer.clone(), bridge }))
            }
            (OuterLink::Macvlan { lower }, NdType::Macvlan) => Some(index(lower).map(Outer::Lower)),
            _ => None,
        });
        let option = if r#type == NdType::Veth { "veth[{}]:PEER@BRIDGE" } else { "macvlan[{}]:DEVICE" };
        found.unwrap_or_else(|| {
            Err(Error::new(format!(
                "network device {device}: it leads outside; say to what with --external {}",
                option.replace("{}", device)
            )))
        })
    }
}

impl Network {
    /// That of the first task; none of images without devices, not even `lo`. The error names the device that cannot be
    /// made. `links` are what devices lead to, by their names.
    pub(crate) fn of(snapshot: &Snapshot, links: &[(String, OuterLink)]) -> Result<Option<Network>> {
        let id = snapshot.tasks.first().and_then(|task| task.ids()?.net_ns_id);
        let net = id.and_then(|id| snapshot.namespaces.net.get(&id)).filter(|net| !net.devices.is_empty());
        net.map(|net| Network::resolve(net, &snapshot.side.links, links)).transpose()
    }

    fn resolve(net: &Net, sides: &BTreeMap<u32, LinkSide>, links: &[(String, OuterLink)]) -> Result<Network> {
        let mut outer = BTreeMap::new();
        if let Some(name) = &net.packet_filter {
            return Err(Error::new(format!("{name}: rules of nftables and iptables are not supported")));
        }
        for device in &net.devices {
            let (name, number) = (text(&device.name), device.r#type);
            // It becomes a part of a path. The kernel refuses such a name, too, but only for devices that it makes.
            if name.contains('/') || [".", ".."].contains(&name) {
                return Err(Error::new(format!("network device {name}: not a name of one")));
            }
            if device.r#type() != NdType::Loopback && kind(device, sides).is_none() {
                return Err(Error::new(format!(
                    "network device {name}: type {number} of images is not supported"
                )));
            }
            if is_outside(device) {
                outer.insert(device.ifindex, Outer::find(name, device.r#type(), links)?);
            }
        }
        let Saved { addresses, routes, routes6, rules } = &net.saved;
        for (magic, bytes, minimum) in [
            (ADDRESSES, addresses, ADDRESS_HEADER),
            (ROUTES, routes, ROUTE_HEADER),
            (ROUTES, routes6, ROUTE_HEADER),
            (RULES, rules, ROUTE_HEADER),
        ] {
            let whole = |body: &&[u8]| body.get(minimum..).and_then(read_attributes).is_some();
            if !load(magic, bytes).is_some_and(|bodies| bodies.iter().all(whole)) {
                return Err(Error::new("network: addresses, routes or rules are damaged"));
            }
        }
        check_peers(&net.devices, sides)?;
        let mut order: Vec<usize> = Vec::new();
        while order.len() < net.devices.len() {
            let is_made = |index| order.iter().any(|at| net.devices[*at].ifindex == index);
            let next = (0..net.devices.len()).find(|at| {
                let device = &net.devices[*at];
                let lower =
                    device.peer_ifindex.filter(|lower| *lower != device.ifindex && !is_outside(device));
                let waits = lower.is_some_and(|lower| !is_made(lower)) && device.r#type() != NdType::Veth;
                !waits && !order.contains(at)
            });
            order.push(next.ok_or_else(|| Error::new("network: devices are on top of each other"))?);
        }
        Ok(Network { net: net.clone(), sides: sides.clone(), order, outer })
    }

    /// Makes all of it in the namespace that we are in, in which there is nothing but `lo`; `outside` is of the namespace that
    /// devices lead to. Sysctls that this kernel does not have may be left out.
    pub(crate) fn make(&self, outside: &mut Socket, skips_missing_sysctls: bool) -> Result<()> {
        let write_sysctls =
            |names, directory: &str, values| write_sysctls(names, directory, values, skips_missing_sysctls);
        let entry = &self.net.entry;
        for (names, directory, values) in [
            (&IPV4[..], "ipv4/conf/default", &entry.def_conf4),
            (&IPV4[..], "ipv4/conf/all", &entry.all_conf4),
            (&IPV6[..], "ipv6/conf/default", &entry.def_conf6),
            (&IPV6[..], "ipv6/conf/all", &entry.all_conf6),
            (&UNIX[..], "unix", &entry.unix_conf),
            (&IPV4_ALONE[..], "ipv4", &entry.ipv4_sysctl),
        ] {
            write_sysctls(names, directory, values)?;
        }
        let mut socket = Socket::route().at(|| "network: open a netlink socket".to_owned())?;
        let devices = || self.order.iter().map(|at| &self.net.devices[*at]);
        let mut made = Vec::new();
        for device in devices() {
            let what = || format!("network device {}: make", text(&device.name));
            if let Some(outer) = self.outer.get(&device.ifindex) {
                self.make_outside(device, outer, outside)?;
            } else if device.r#type() != NdType::Loopback && !made.contains(&device.ifindex) {
                socket.request(libc::RTM_NEWLINK, MAKE, &self.creation(device)).at(what)?;
                made.extend(device.peer_ifindex.filter(|_| device.r#type() == NdType::Veth));
            }
        }
        self.make_addresses(&mut socket)?;
        for device in devices() {
            let name = text(&device.name);
            write_sysctls(&IPV4, &format!("ipv4/conf/{name}"), &device.conf4)?;
            write_sysctls(&IPV6, &format!("ipv6/conf/{name}"), &device.conf6)?;
            let set = || format!("network device {name}: set flags and master");
            socket.request(libc::RTM_NEWLINK, libc::NLM_F_ACK, &self.settings(device)).at(set)?;
        }
        for device in devices() {
            let up = || format!("network device {}: set up or down", text(&device.name));
            let change = libc::IFF_UP as u32;
            let header = link_header(device.ifindex, device.flags & change, change);
            socket.request(libc::RTM_NEWLINK, libc::NLM_F_ACK, &header).at(up)?;
        }
        self.make_routes(&mut socket)?;
        self.make_rules(&mut socket)
    }

    /// From outside, where the other end is or gets made.
    fn make_outside(&self, device: &NetDeviceEntry, outer: &Outer, outside: &mut Socket) -> Result<()> {
        /// linux/if_link.h
        const IFLA_NET_NS_FD: u16 = 28;
        let path = "/proc/thread-self/ns/net";
        let namespace = File::open(path).at(|| format!("open {path}"))?;
        let (mut body, mut data) = (own_attributes(device, ""), self.data(device));
        put_attribute(&mut body, IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
        match outer {
            Outer::Peer { name, .. } => put_attribute(&mut data, VETH_INFO_PEER, &named(name, 0)),
            Outer::Lower(lower) => put_attribute(&mut body, libc::IFLA_LINK, &lower.to_ne_bytes()),
        }
        let kind = kind(device, &self.sides).expect("all devices were checked");
        put_kind(&mut body, &kind, &data);
        // The end of a namespace takes the devices of the dumped tasks a moment later.
        let deadline = Instant::now() + PATIENCE;
        let made = loop {
            match outside.request(libc::RTM_NEWLINK, MAKE, &body) {
                Err(errno) if errno.raw() == libc::EEXIST && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                made => break made,
            }
        };
        made.at(|| format!("network device {}: make", text(&device.name)))?;
        if let Outer::Peer { name, bridge: Some(bridge) } = outer {
            let mut body = named(name, libc::IFF_UP as u32);
            put_attribute(&mut body, libc::IFLA_MASTER, &bridge.to_ne_bytes());
            let join = || format!("network device {name}: add to the bridge");
            outside.request(libc::RTM_NEWLINK, libc::NLM_F_ACK, &body).at(join)?;
        }
        Ok(())
    }

    fn device(&self, index: u32) -> Option<&NetDeviceEntry> {
        self.net.devices.iter().find(|device| device.ifindex == index)
    }

    fn creation(&self, device: &NetDeviceEntry) -> Vec<u8> {
        let kind = kind(device, &self.sides).expect("all devices were checked");
        let mut body = own_attributes(device, &kind);
        let peer = device.peer_ifindex.filter(|_| needs_other(&kind));
        let mut data = self.data(device);
        match peer.and_then(|peer| self.device(peer)) {
            Some(peer) if kind == "veth" => {
                put_attribute(&mut data, VETH_INFO_PEER, &own_attributes(peer, &kind))
            }
            Some(lower) => put_attribute(&mut body, libc::IFLA_LINK, &lower.ifindex.to_ne_bytes()),
            None => {}
        }
        put_kind(&mut body, &kind, &data);
        body
    }

    /// Of `IFLA_INFO_DATA`: what floe has written, or what CRIU has.
    fn data(&self, device: &NetDeviceEntry) -> Vec<u8> {
        match (self.sides.get(&device.ifindex), &device.macvlan) {
            (Some(side), _) if !side.data.is_empty() => side.data.clone(),
            (_, Some(macvlan)) => {
                let mut data = Vec::new();
                put_attribute(&mut data, MACVLAN_MODE, &macvlan.mode.to_ne_bytes());
                if let Some(flags) = macvlan.flags {
                    put_attribute(&mut data, MACVLAN_FLAGS, &(flags as u16).to_ne_bytes());
                }
                data
            }
            _ => Vec::new(),
        }
    }

    /// What is set once all devices are there. Who is in a bridge has to be there before it is up.
    fn settings(&self, device: &NetDeviceEntry) -> Vec<u8> {
        // Those of netdevice(7) that can be set and are no answer of the device.
        let change = libc::IFF_NOARP | libc::IFF_PROMISC | libc::IFF_ALLMULTI | libc::IFF_MULTICAST;
        let mut body = link_header(device.ifindex, device.flags & change as u32, change as u32);
        put_attribute(&mut body, libc::IFLA_MTU, &device.mtu.to_ne_bytes());
        if let Some(master) = device.master {
            put_attribute(&mut body, libc::IFLA_MASTER, &master.to_ne_bytes());
        }
        if let Some(alias) = self.sides.get(&device.ifindex).and_then(|side| side.alias.as_ref()) {
            put_attribute(&mut body, libc::IFLA_IFALIAS, alias.as_bytes());
        }
        if let Some(length) = self.sides.get(&device.ifindex).and_then(|side| side.queue_length) {
            put_attribute(&mut body, libc::IFLA_TXQLEN, &length.to_ne_bytes());
        }
        body
    }

    /// Devices have those of the image and no others: `lo` is up already, and has its own.
    fn make_addresses(&self, socket: &mut Socket) -> Result<()> {
        let saved = load(ADDRESSES, &self.net.saved.addresses).expect("addresses were checked");
        let key = |body: &[u8]| -> Option<(u8, u8, u32, Vec<u8>)> {
            let attributes = read_attributes(body.get(ADDRESS_HEADER..)?)?;
            let of =
                |wanted| attributes.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value.to_vec());
            let address = of(libc::IFA_LOCAL).or_else(|| of(libc::IFA_ADDRESS))?;
            Some((body[0], body[1], u32::from_ne_bytes(array(body, 4)?), address))
        };
        let wanted: Vec<_> = saved.iter().map(|body| key(body)).collect();
        for present in list(socket, libc::RTM_GETADDR, &[0; ADDRESS_HEADER])? {
            if !wanted.contains(&key(&present.body)) {
                let remove = socket.request(libc::RTM_DELADDR, libc::NLM_F_ACK, &present.body);
                remove.at(|| "network: remove an address".to_owned())?;
            }
        }
        // The kernel lists the last IPv6 address first.
        let (v6, v4): (Vec<&[u8]>, Vec<_>) = saved.iter().partition(|body| body[0] == libc::AF_INET6 as u8);
        for body in v4.into_iter().chain(v6.into_iter().rev()) {
            let added = socket.request(libc::RTM_NEWADDR, MAKE, &address(body));
            unless_there(added).at(|| "network: add an address".to_owned())?;
        }
        Ok(())
    }

    /// A route may need another for its gateway, so those that fail are tried again while others succeed.
    fn make_routes(&self, socket: &mut Socket) -> Result<()> {
        for saved in [&self.net.saved.routes, &self.net.saved.routes6] {
            let mut left = load(ROUTES, saved).expect("routes were checked");
            while !left.is_empty() {
                let (before, mut last) = (left.len(), Ok(()));
                left.retain(|body| {
                    let added = unless_there(socket.request(libc::RTM_NEWROUTE, MAKE, &route(body)));
                    let failed = added.is_err();
                    last = if failed { added } else { Ok(()) };
                    failed
                });
                if left.len() == before {
                    return last.at(|| "network: add a route".to_owned());
                }
            }
        }
        Ok(())
    }

    /// A namespace has three rules of each family from the beginning, which the image may lack.
    fn make_rules(&self, socket: &mut Socket) -> Result<()> {
        if self.net.saved.rules.is_empty() {
            return Ok(());
        }
        let wanted = load(RULES, &self.net.saved.rules).expect("rules were checked");
        for family in [libc::AF_INET, libc::AF_INET6] {
            let mut header = [0; ROUTE_HEADER];
            header[0] = family as u8;
            let present = list(socket, libc::RTM_GETRULE, &header)?;
            let is_present = |body: &&[u8]| present.iter().any(|rule| rule.body == **body);
            let of_family = wanted.iter().filter(|body| body[0] == family as u8);
            for body in of_family.filter(|body| !is_present(body)) {
                let added = socket.request(libc::RTM_NEWRULE, MAKE, body);
                unless_there(added).at(|| "network: add a rule".to_owned())?;
            }
            for rule in present.iter().filter(|rule| !wanted.contains(&rule.body.as_slice())) {
                let removed = socket.request(libc::RTM_DELRULE, libc::NLM_F_ACK, &rule.body);
                removed.at(|| "network: remove a rule".to_owned())?;
            }
        }
        Ok(())
    }
}

fn unless_there(asked: sys::Result<Vec<Reply>>) -> sys::Result<()> {
    match asked {
        Err(errno) if errno.raw() == libc::EEXIST => Ok(()),
        asked => asked.map(drop),
    }
}

fn link_header(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    for word in [index, flags, change] {
        body.extend(word.to_ne_bytes());
    }
    body
}

/// `IFLA_LINKINFO`
fn put_kind(body: &mut Vec<u8>, kind: &str, data: &[u8]) {
    let mut info = Vec::new();
    put_attribute(&mut info, libc::IFLA_INFO_KIND, kind.as_bytes());
    put_attribute(&mut info, libc::IFLA_INFO_DATA, data);
    put_attribute(body, libc::IFLA_LINKINFO, &info);
}

/// A device by its name alone, with flags that it gets.
fn named(name: &str, flags: u32) -> Vec<u8> {
    let mut body = link_header(0, flags, flags);
    put_attribute(&mut body, libc::IFLA_IFNAME, &[name.as_bytes(), &[0]].concat());
    body
}

/// What a device or the other end of a pair is made with.
fn own_attributes(device: &NetDeviceEntry, kind: &str) -> Vec<u8> {
    let mut body = link_header(device.ifindex, 0, 0);
    put_attribute(&mut body, libc::IFLA_IFNAME, &[&device.name[..], &[0]].concat());
    put_attribute(&mut body, libc::IFLA_MTU, &device.mtu.to_ne_bytes());
    // An ipvlan has that of the device below.
    if let Some(address) = device.address.as_ref().filter(|_| kind != "ipvlan") {
        put_attribute(&mut body, libc::IFLA_ADDRESS, address);
    }
    body
}

/// An address to be added, from one that was listed. Nobody looks for duplicates again: sockets are bound to it at once.
fn address(listed: &[u8]) -> Vec<u8> {
    const IFA_FLAGS: u16 = 8;
    let is_v6 = listed[0] == libc::AF_INET6 as u8;
    let derived =
        libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED | libc::IFA_F_DEPRECATED | libc::IFA_F_OPTIMISTIC;
    let adjust = |flags: u32| {
        if is_v6 { flags & !derived | libc::IFA_F_NODAD } else { flags & !libc::IFA_F_SECONDARY }
    };
    let mut body = listed[..ADDRESS_HEADER].to_vec();
    body[2] = adjust(body[2].into()) as u8;
    for (kind, value) in read_attributes(&listed[ADDRESS_HEADER..]).unwrap_or_default() {
        match (kind, array(value, 0)) {
            (IFA_FLAGS, Some(flags)) => {
                put_attribute(&mut body, kind, &adjust(u32::from_ne_bytes(flags)).to_ne_bytes());
            }
            _ => put_attribute(&mut body, kind, value),
        }
    }
    body
}

/// A route to be added, from one that was listed, without what the kernel works out by itself.
fn route(listed: &[u8]) -> Vec<u8> {
    // linux/rtnetlink.h: RTNH_F_DEAD, OFFLOAD, LINKDOWN, UNRESOLVED, TRAP
    const DERIVED: u8 = 1 | 8 | 16 | 32 | 64;
    let mut body = listed[..ROUTE_HEADER].to_vec();
    body[8] &= !DERIVED;
    for (kind, value) in read_attributes(&listed[ROUTE_HEADER..]).unwrap_or_default() {
        match kind {
            libc::RTA_CACHEINFO => {}
            libc::RTA_MULTIPATH => {
                let mut hops = value.to_vec();
                let mut at = 0;
                // rtnexthop: length u16, flags u8
                while let Some([low, high, _]) = array(&hops, at) {
                    let length = u16::from_ne_bytes([low, high]);
                    if length < 8 {
                        break;
                    }
                    hops[at + 2] &= !DERIVED;
                    at += usize::from(length).next_multiple_of(4);
                }
                put_attribute(&mut body, kind, &hops);
            }
            _ => put_attribute(&mut body, kind, value),
        }
    }
    body
}

/// Writes those that differ. Redirects are accepted or not by whether packets are forwarded, unless they are set after.
fn write_sysctls(names: &[&str], directory: &str, values: &[SysctlEntry], skips_missing: bool) -> Result<()> {
    let is_last = |name: &str| name == "accept_redirects";
    let all = || names.iter().zip(values);
    for (name, value) in
        all().filter(|(name, _)| !is_last(name)).chain(all().filter(|(name, _)| is_last(name)))
    {
        let wanted = match (&value.sarg, value.iarg) {
            (Some(text), _) => String::from_utf8_lossy(text).trim_end_matches('\0').to_owned(),
            (None, Some(number)) => number.to_string(),
            (None, None) => continue,
        };
        let path = format!("/proc/sys/net/{directory}/{name}");
        if fs::read_to_string(&path).is_ok_and(|present| present.trim() == wanted) {
            continue;
        }
        match fs::write(&path, &wanted) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && skips_missing => {}
            written => written.map_err(Errno::from).at(|| format!("write {wanted} to {path}"))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_lose_what_the_kernel_works_out() {
        let with = |hops: &[u8]| {
            let mut body = vec![0; ROUTE_HEADER];
            put_attribute(&mut body, libc::RTA_MULTIPATH, hops);
            body
        };
        // Two, of which one is dead and both are onlink; what is no hop stays as it is.
        let hop = |flags| [8, 0, flags, 0, 3, 0, 0, 0];
        let listed = [hop(4), hop(5)].concat();
        assert_eq!(route(&with(&listed)), with(&[hop(4), hop(4)].concat()));
        for cut in [&listed[..10], &[8, 0], &[0, 0, 0xff, 0]] {
            assert_eq!(route(&with(cut)), with(cut));
        }
    }

    #[test]
    fn saved_messages() {
        let replies = [Reply { kind: libc::RTM_NEWROUTE, body: vec![7; 13] }];
        let bytes = save(ROUTES, &replies);
        assert_eq!(load(ROUTES, &bytes), Some(vec![&[7; 13][..]]));
        assert_eq!(load(ROUTES, &[]), Some(Vec::new()));
        assert_eq!(load(RULES, &bytes), None);
        assert_eq!(load(ROUTES, &bytes[..bytes.len() - 4]), None);
    }
}
