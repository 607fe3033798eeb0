//! packet(7) sockets. Most of what they have only sock_diag(7) tells.
//!
//! What a socket has received and its program has not read is lost, in its rings too: they are as new ones.

use super::sockets::{Socket, options};
use super::{Files, Open, entry};
use crate::error::{At, Error};
use crate::namespaces::inside_network;
use crate::target::NamespaceKind;
use images::messages::{FdTypes, FileEntry, MmEntry, PacketMclist, PacketRing, PacketSockEntry};
use nix::sys::stat::fstat;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use sys::netlink::{self, MALFORMED, array, read_attributes};
use sys::socket::{network_namespace, option_number};

/// What sock_diag(7) tells of a socket (linux/packet_diag.h).
#[derive(Debug, Default, PartialEq, Eq)]
struct Packets {
    /// In network order, as socket(2) takes it.
    protocol: u16,
    ifindex: i32,
    version: u32,
    reserve: u32,
    copy_threshold: u32,
    timestamp: u32,
    /// `PDI_`
    flags: u32,
    memberships: Vec<Membership>,
    rx_ring: Option<PacketRing>,
    tx_ring: Option<PacketRing>,
    /// As PACKET_FANOUT has it.
    fanout: Option<u32>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Membership {
    index: u32,
    /// How often it was asked for.
    count: u32,
    kind: u16,
    address: Vec<u8>,
}

/// The rings of a socket, which its mappings show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rings {
    id: u32,
    size_bytes: u64,
}

/// Why a packet socket cannot be dumped.
pub(super) fn refused(fd: BorrowedFd<'_>) -> sys::Result<Option<String>> {
    Ok(look_at(fd)?.err())
}

/// What a socket has, or why it cannot be dumped.
fn look_at(fd: BorrowedFd<'_>) -> sys::Result<Result<Packets, String>> {
    // Deprecated in favour of AF_PACKET, packet(7).
    const SOCK_PACKET: i32 = 10;
    let refuse = |reason: &str| Ok(Err(reason.to_owned()));
    if Socket::of(fd)?.kind == SOCK_PACKET {
        return refuse("a packet socket of the type SOCK_PACKET is not supported");
    }
    // Unlike sock_diag's, with its flags.
    let fanout = option_number(fd, libc::SOL_PACKET, libc::PACKET_FANOUT)? as u32;
    if [libc::PACKET_FANOUT_CBPF, libc::PACKET_FANOUT_EBPF].contains(&(fanout >> 16 & 0xff)) {
        return refuse(
            "a packet socket whose group shares its packets by a program (PACKET_FANOUT_DATA) is not supported",
        );
    }
    let network = File::from(network_namespace(fd)?);
    let inode = fstat(fd)?.st_ino as u32;
    let what = || "ask sock_diag for packet sockets (af_packet_diag)".to_owned();
    let mut found = match inside_network(&network, || ask(inode).at(what)) {
        Ok(Some(found)) => found,
        Ok(None) => return refuse("sock_diag does not know this packet socket"),
        Err(error) => return Ok(Err(error.to_string())),
    };
    if found.ifindex < 0 {
        return refuse("a packet socket whose device is gone is not supported");
    }
    if found.memberships.iter().any(|membership| membership.count != 1) {
        return refuse("a packet socket that has joined a group more than once is not supported");
    }
    found.fanout = found.fanout.map(|_| fanout);
    Ok(Ok(found))
}

impl Files<'_> {
    pub(super) fn packet_socket(&mut self, open: &Open, socket: Socket) -> crate::error::Result<FileEntry> {
        // AUXDATA, ORIGDEV, VNETHDR, LOSS
        const PDI_FLAGS: [u32; 4] = [1 << 1, 1 << 2, 1 << 3, 1 << 4];
        let fd = open.file.as_fd();
        let what = || format!("{}: its state", open.owner);
        let refuse = |reason: &str| Err(Error::new(format!("{}: {reason}", open.owner)));
        let namespace = File::from(network_namespace(fd).at(what)?).metadata().at(what)?.ino();
        let ns_id = self.surroundings.namespaces.id(NamespaceKind::Net);
        if self.surroundings.namespaces.id_of(namespace) != Some(ns_id) {
            return refuse("its network namespace is not the container's");
        }
        let found = match look_at(fd).at(what)? {
            Ok(found) => found,
            Err(reason) => return refuse(&reason),
        };
        let [aux_data, orig_dev, vnet_hdr, loss] = PDI_FLAGS.map(|flag| found.flags & flag != 0);
        let size_bytes = [found.rx_ring, found.tx_ring].into_iter().flatten().map(size_bytes).sum();
        if size_bytes > 0 {
            self.rings.insert(open.metadata.ino(), Rings { id: open.id, size_bytes });
        }
        let psk = PacketSockEntry {
            id: open.id,
            r#type: socket.kind as u32,
            protocol: found.protocol.into(),
            flags: open.info.flags,
            ifindex: found.ifindex as u32,
            fown: self.owner(open)?,
            opts: options(open, socket)?,
            version: found.version,
            reserve: found.reserve,
            aux_data,
            orig_dev,
            vnet_hdr,
            loss,
            timestamp: found.timestamp,
            copy_thresh: found.copy_threshold,
            mclist: found.memberships.into_iter().map(Membership::into_entry).collect(),
            fanout: found.fanout,
            rx_ring: found.rx_ring,
            tx_ring: found.tx_ring,
            ns_id: Some(ns_id),
        };
        Ok(FileEntry { psk: Some(Box::new(psk)), ..entry(FdTypes::Packetsk, open.id) })
    }

    /// Tells mappings of rings, which have the inode of a socket, the id that this one has among the files.
    pub(crate) fn find_rings(&self, pid: u32, mm: &mut MmEntry) -> crate::error::Result<()> {
        use crate::snapshot::vma::SOCKET;
        for vma in mm.vmas.iter_mut().filter(|vma| vma.status & SOCKET != 0) {
            let refuse =
                |reason: &str| Err(Error::new(format!("task {pid} memory at {:#x}: {reason}", vma.start)));
            let Some(rings) = self.rings.get(&vma.shmid) else {
                return refuse("a mapping of a socket that no task has open, or that has no rings");
            };
            if vma.end - vma.start != rings.size_bytes {
                return refuse("a part of the rings of a packet socket is not supported");
            }
            vma.shmid = rings.id.into();
        }
        Ok(())
    }
}

impl Membership {
    fn into_entry(self) -> PacketMclist {
        // Those of all packets have no address.
        let has_address = [libc::PACKET_MR_MULTICAST, libc::PACKET_MR_UNICAST].contains(&self.kind.into());
        let addr = if has_address { self.address } else { Vec::new() };
        PacketMclist { index: self.index, r#type: self.kind.into(), addr }
    }
}

fn size_bytes(ring: PacketRing) -> u64 {
    u64::from(ring.block_size) * u64::from(ring.block_nr)
}

/// Asks for the socket of the network namespace that we are in which has this inode.
fn ask(inode: u32) -> sys::Result<Option<Packets>> {
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const SHOW_INFO_MEMBERSHIPS_RINGS_FANOUT: u32 = 0xf;
    // struct packet_diag_req: family, protocol, inode (which the kernel does not look at), what to show, cookie
    let mut request = vec![libc::AF_PACKET as u8, 0, 0, 0];
    request.extend(0u32.to_ne_bytes());
    request.extend(SHOW_INFO_MEMBERSHIPS_RINGS_FANOUT.to_ne_bytes());
    request.extend([0; 8]);
    for reply in netlink::Socket::diagnosis()?.list(SOCK_DIAG_BY_FAMILY, &request)? {
        if array(&reply.body, 4).map(u32::from_ne_bytes) == Some(inode) {
            return parse(&reply.body).map(Some).ok_or(MALFORMED);
        }
    }
    Ok(None)
}

/// A struct packet_diag_msg and its attributes.
fn parse(message: &[u8]) -> Option<Packets> {
    const MESSAGE: usize = 16;
    const INFO: u16 = 0;
    const MEMBERSHIPS: u16 = 1;
    const RX_RING: u16 = 2;
    const TX_RING: u16 = 3;
    const FANOUT: u16 = 4;
    let protocol = u16::from_ne_bytes(array(message, 2)?).to_be();
    let mut packets = Packets { protocol, ..Packets::default() };
    for (kind, value) in read_attributes(message.get(MESSAGE..)?)? {
        let word = |nth: usize| Some(u32::from_ne_bytes(array(value, nth * 4)?));
        match kind {
            INFO => {
                packets.ifindex = word(0)? as i32;
                packets.version = word(1)?;
                packets.reserve = word(2)?;
                packets.copy_threshold = word(3)?;
                packets.timestamp = word(4)?;
                packets.flags = word(5)?;
            }
            MEMBERSHIPS => packets.memberships = memberships(value)?,
            RX_RING => packets.rx_ring = Some(ring(value)?),
            TX_RING => packets.tx_ring = Some(ring(value)?),
            FANOUT => packets.fanout = Some(word(0)?),
            _ => {}
        }
    }
    Some(packets)
}

/// Of struct packet_diag_mclist: index, count, type, bytes of the address, and room for one.
fn memberships(bytes: &[u8]) -> Option<Vec<Membership>> {
    const ADDRESS: usize = 12;
    let membership = |bytes: &[u8]| {
        let len = u16::from_ne_bytes(array(bytes, 10)?);
        Some(Membership {
            index: u32::from_ne_bytes(array(bytes, 0)?),
            count: u32::from_ne_bytes(array(bytes, 4)?),
            kind: u16::from_ne_bytes(array(bytes, 8)?),
            address: bytes.get(ADDRESS..ADDRESS + usize::from(len))?.to_vec(),
        })
    };
    bytes.chunks(ADDRESS + 32).map(membership).collect()
}

/// A struct packet_diag_ring.
fn ring(bytes: &[u8]) -> Option<PacketRing> {
    let word = |nth: usize| Some(u32::from_ne_bytes(array(bytes, nth * 4)?));
    Some(PacketRing {
        block_size: word(0)?,
        block_nr: word(1)?,
        frame_size: word(2)?,
        frame_nr: word(3)?,
        retire_tmo: word(4)?,
        sizeof_priv: word(5)?,
        features: word(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::netlink::put_attribute;

    #[test]
    fn what_the_kernel_tells() {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
        let mut message = vec![libc::AF_PACKET as u8, 3];
        message.extend((libc::ETH_P_ARP as u16).to_ne_bytes());
        message.extend(words(&[77, 0, 0]));
        put_attribute(&mut message, 0, &words(&[1, 2, 16, 100, 0, 0b11111]));
        let mut group = words(&[1, 1, 6 << 16]);
        group.extend([[1; 8], [0; 8], [0; 8], [0; 8]].concat());
        put_attribute(&mut message, 1, &group);
        put_attribute(&mut message, 2, &words(&[4096, 4, 2048, 8, 0, 0, 0]));
        put_attribute(&mut message, 4, &words(&[7]));
        let packets = parse(&message).expect("a socket");
        let ring =
            PacketRing { block_size: 4096, block_nr: 4, frame_size: 2048, frame_nr: 8, ..Default::default() };
        let membership = Membership { index: 1, count: 1, kind: 0, address: vec![1; 6] };
        assert_eq!(packets.protocol, (libc::ETH_P_ARP as u16).to_be());
        assert_eq!(
            (packets.ifindex, packets.version, packets.reserve, packets.copy_threshold),
            (1, 2, 16, 100)
        );
        assert_eq!(
            (packets.memberships, packets.rx_ring, packets.fanout),
            (vec![membership], Some(ring), Some(7))
        );
        assert_eq!(parse(&message[..message.len() - 1]), None);
    }
}
