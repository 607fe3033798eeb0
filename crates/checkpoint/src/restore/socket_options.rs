//! What `floe-state.json` says of sockets. They have their names and peers, and what they had received.

use super::build::Build;
use crate::error::{At, Error, Result};
use crate::namespaces::inside;
use crate::snapshot::{Membership, SocketOption, SocketSide};
use crate::target::NamespaceKind;
use inject::Batch;
use nix::net::if_::if_nametoindex;
use sys::Errno;

/// With the capabilities that the container could have come to: the file is as trustworthy as an image.
pub(super) fn set_all(build: &mut Build<'_>) -> Result<()> {
    for (id, SocketSide { options, memberships }) in &build.snapshot.side.sockets {
        for SocketOption { level, name, value } in options {
            let set = set(build, *id, *level, *name, value);
            set.map_err(|error| Error::new(format!("socket {id}: option {name} of level {level}: {error}")))?;
        }
        let indices = indices(build.init, memberships)?;
        for (membership, index) in memberships.iter().zip(indices) {
            let Membership { device, group, .. } = membership;
            join(build, *id, membership, index)
                .map_err(|error| Error::new(format!("socket {id}: group {group} on {device}: {error}")))?;
        }
    }
    Ok(())
}

fn set(build: &mut Build<'_>, id: u32, level: i32, name: i32, value: &[u8]) -> Result<()> {
    let mut batch = Batch::new();
    let fd = build.number(id);
    let capabilities = build.policy.ceiling() & build.capabilities;
    build.with_only(&mut batch, capabilities, |batch| {
        let at = batch.bytes(value);
        let arguments = [fd.into(), level.into(), name.into(), at.into(), value.len().into()];
        batch.call("setsockopt", libc::SYS_setsockopt, &arguments);
    });
    build.run(0, &batch)?;
    Ok(())
}

fn join(build: &mut Build<'_>, id: u32, membership: &Membership, index: u32) -> Result<()> {
    let level = Membership::level(membership.group);
    set(build, id, level, Membership::MCAST_JOIN_GROUP, &Membership::request(index, membership.group))?;
    if !membership.excludes || !membership.sources.is_empty() {
        set(build, id, level, Membership::MCAST_MSFILTER, &membership.filter(index))?;
    }
    Ok(())
}

/// Of the devices of memberships, in their order.
fn indices(init: i32, memberships: &[Membership]) -> Result<Vec<u32>> {
    if memberships.is_empty() {
        return Ok(Vec::new());
    }
    let index = |Membership { device, group, .. }: &Membership| {
        if_nametoindex(device.as_str())
            .map_err(Errno::from)
            .at(|| format!("multicast group {group}: device {device}"))
    };
    inside(init, NamespaceKind::Net, || memberships.iter().map(index).collect())
}
