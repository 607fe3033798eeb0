//! packet(7) sockets. They take CAP_NET_RAW, and the kernel asks whether the container could have it.

use super::build::Build;
use super::sockets::{options, set, settings, status};
use crate::error::{Error, Result};
use images::messages::{PacketMclist, PacketRing, PacketSockEntry};
use inject::{Arg, Batch};

/// What an image has for no group; with it PACKET_FANOUT would have flags that there are not.
const NO_FANOUT: u32 = u32::MAX;

/// Makes the sockets. They receive nothing yet.
pub(super) fn open_all(build: &mut Build<'_>) -> Result<()> {
    for_each(build, |build, entry| {
        let mut batch = Batch::new();
        let arguments = [libc::AF_PACKET.into(), entry.r#type.into(), 0.into()];
        let fd = batch.call("socket", libc::SYS_socket, &arguments);
        options(&mut batch, fd.into(), &entry.opts);
        settings(&mut batch, fd.into(), &entry.opts);
        for (name, value) in [
            (libc::PACKET_VERSION, entry.version),
            (libc::PACKET_RESERVE, entry.reserve),
            (libc::PACKET_TIMESTAMP, entry.timestamp),
            (libc::PACKET_COPY_THRESH, entry.copy_thresh),
            (libc::PACKET_AUXDATA, entry.aux_data.into()),
            (libc::PACKET_ORIGDEV, entry.orig_dev.into()),
            (libc::PACKET_LOSS, entry.loss.into()),
            (libc::PACKET_VNET_HDR, entry.vnet_hdr.into()),
        ] {
            // As they are otherwise; not all kinds have all of them.
            if value != 0 {
                set(&mut batch, fd.into(), libc::SOL_PACKET, name, value);
            }
        }
        status(&mut batch, fd.into(), entry.flags);
        build.settle(&mut batch, fd, entry.id);
        build.run(0, &batch)?;
        Ok(())
    })
}

/// Has them receive, when they have all their options: rings follow from some, and a filter keeps packets out.
pub(super) fn bind_all(build: &mut Build<'_>) -> Result<()> {
    for_each(build, |build, entry| {
        let mut batch = Batch::new();
        bind(&mut batch, build.number(entry.id).into(), entry)?;
        build.run(0, &batch)?;
        Ok(())
    })
}

fn for_each(
    build: &mut Build<'_>,
    action: impl Fn(&mut Build<'_>, &PacketSockEntry) -> Result<()>,
) -> Result<()> {
    for entry in build.snapshot.files.iter().filter_map(|file| file.psk.as_deref()) {
        action(build, entry)
            .map_err(|error| Error::new(format!("files: packet socket {}: {error}", entry.id)))?;
    }
    Ok(())
}

fn bind(batch: &mut Batch, fd: Arg, entry: &PacketSockEntry) -> Result<()> {
    for (name, ring) in [(libc::PACKET_RX_RING, &entry.rx_ring), (libc::PACKET_TX_RING, &entry.tx_ring)] {
        if let Some(ring) = ring {
            let value = batch.bytes(&ring_request(ring));
            let arguments = [fd, libc::SOL_PACKET.into(), name.into(), value.into(), 28.into()];
            batch.call("make a ring", libc::SYS_setsockopt, &arguments);
        }
    }
    for membership in &entry.mclist {
        let value = batch.bytes(&membership_request(membership)?);
        let name = libc::PACKET_ADD_MEMBERSHIP.into();
        let arguments = [fd, libc::SOL_PACKET.into(), name, value.into(), 40.into()];
        batch.call("PACKET_ADD_MEMBERSHIP", libc::SYS_setsockopt, &arguments);
    }
    let address = batch.bytes(&address(entry)?);
    batch.call("bind", libc::SYS_bind, &[fd, address.into(), 20.into()]);
    if let Some(fanout) = entry.fanout.filter(|fanout| *fanout != NO_FANOUT) {
        set(batch, fd, libc::SOL_PACKET, libc::PACKET_FANOUT, fanout);
    }
    Ok(())
}

/// A struct sockaddr_ll.
fn address(entry: &PacketSockEntry) -> Result<Vec<u8>> {
    let protocol = u16::try_from(entry.protocol)
        .map_err(|_| Error::new(format!("protocol {:#x} is none", entry.protocol)))?;
    let mut bytes = (libc::AF_PACKET as u16).to_ne_bytes().to_vec();
    bytes.extend(protocol.to_ne_bytes());
    bytes.extend(entry.ifindex.to_ne_bytes());
    bytes.resize(20, 0);
    Ok(bytes)
}

/// A struct tpacket_req3; of other versions the kernel reads the beginning.
fn ring_request(ring: &PacketRing) -> Vec<u8> {
    let PacketRing { block_size, block_nr, frame_size, frame_nr, retire_tmo, sizeof_priv, features } = *ring;
    let words = [block_size, block_nr, frame_size, frame_nr, retire_tmo, sizeof_priv, features];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// A struct packet_mreq with as long an address as any device has.
fn membership_request(membership: &PacketMclist) -> Result<Vec<u8>> {
    const LONGEST: usize = 32;
    let PacketMclist { index, r#type, addr } = membership;
    let kind = u16::try_from(*r#type).map_err(|_| Error::new(format!("membership of type {type}")))?;
    if addr.len() > LONGEST {
        return Err(Error::new(format!("membership with an address of {} bytes", addr.len())));
    }
    let mut bytes = index.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((addr.len() as u16).to_ne_bytes());
    bytes.extend(addr);
    bytes.resize(8 + LONGEST, 0);
    Ok(bytes)
}
