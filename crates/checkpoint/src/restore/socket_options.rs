//! What `floe-state.json` says of sockets. They have their names and peers, and what they had received.

use super::build::Build;
use crate::error::{At, Error, Result};
use crate::namespaces::inside;
use crate::snapshot::{Membership, SocketSide};
use crate::target::NamespaceKind;
use inject::{Arg, Batch};
use nix::net::if_::if_nametoindex;
use sys::Errno;

/// With the capabilities that the container could have come to: the file is as trustworthy as an image.
pub(super) fn set_all(build: &mut Build<'_>) -> Result<()> {
    for (id, side) in &build.snapshot.side.sockets {
        let mut batch = Batch::new();
        let indices = indices(build.init, side)?;
        let fd = build.number(*id);
        let capabilities = build.policy.ceiling() & build.capabilities;
        build.with_only(&mut batch, capabilities, |batch| set(batch, fd.into(), side, &indices));
        build.run(0, &batch).map_err(|error| Error::new(format!("socket {id}: {error}")))?;
    }
    Ok(())
}

/// Of the devices of memberships, in their order.
fn indices(init: i32, side: &SocketSide) -> Result<Vec<u32>> {
    if side.memberships.is_empty() {
        return Ok(Vec::new());
    }
    let index = |Membership { device, group, .. }: &Membership| {
        if_nametoindex(device.as_str())
            .map_err(Errno::from)
            .at(|| format!("multicast group {group}: device {device}"))
    };
    inside(init, NamespaceKind::Net, || side.memberships.iter().map(index).collect())
}

fn set(batch: &mut Batch, fd: Arg, side: &SocketSide, indices: &[u32]) {
    let mut set = |level: i32, name: i32, bytes: &[u8]| {
        let value = batch.bytes(bytes);
        let arguments = [fd, level.into(), name.into(), value.into(), bytes.len().into()];
        batch.call("setsockopt", libc::SYS_setsockopt, &arguments);
    };
    for option in &side.options {
        set(option.level, option.name, &option.value);
    }
    for (membership, index) in side.memberships.iter().zip(indices) {
        let level = Membership::level(membership.group);
        set(level, Membership::MCAST_JOIN_GROUP, &Membership::request(*index, membership.group));
        if !membership.excludes || !membership.sources.is_empty() {
            set(level, Membership::MCAST_MSFILTER, &membership.filter(*index));
        }
    }
}
