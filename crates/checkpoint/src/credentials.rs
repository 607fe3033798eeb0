//! Credentials of a thread: ids, capabilities, no_new_privs, labels of security modules.

use crate::proc::{self, Status};
use images::messages::{CredsEntry, Lsmtype, UidGidExtent};

/// Maps of a user namespace, as its owner's parent sees them.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdMaps {
    pub(crate) uids: Vec<UidGidExtent>,
    pub(crate) gids: Vec<UidGidExtent>,
}

impl IdMaps {
    pub(crate) fn of(pid: i32) -> crate::Result<IdMaps> {
        let extents = |file: &str| -> crate::Result<Vec<UidGidExtent>> {
            let text = proc::read(format!("/proc/{pid}/{file}"))?;
            Ok(text.lines().filter_map(extent).collect())
        };
        Ok(IdMaps { uids: extents("uid_map")?, gids: extents("gid_map")? })
    }

    /// An id of our user namespace in that of the task.
    pub(crate) fn uid(&self, uid: u32) -> u32 {
        inside(&self.uids, uid)
    }

    pub(crate) fn gid(&self, gid: u32) -> u32 {
        inside(&self.gids, gid)
    }

    /// Whether an id of our user namespace is one in that of the task.
    pub(crate) fn has_uid(&self, uid: u32) -> bool {
        has(&self.uids, uid)
    }

    pub(crate) fn has_gid(&self, gid: u32) -> bool {
        has(&self.gids, gid)
    }

    /// An id of the task in our user namespace; `None` for one that is not mapped.
    pub(crate) fn outer_uid(&self, uid: u32) -> Option<u32> {
        outside(&self.uids, uid)
    }

    pub(crate) fn outer_gid(&self, gid: u32) -> Option<u32> {
        outside(&self.gids, gid)
    }
}

fn has(map: &[UidGidExtent], id: u32) -> bool {
    map.iter().any(|extent| id.checked_sub(extent.lower_first).is_some_and(|at| at < extent.count))
}

fn extent(line: &str) -> Option<UidGidExtent> {
    let numbers: Vec<u32> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [first, lower_first, count] = numbers[..] else { return None };
    Some(UidGidExtent { first, lower_first, count })
}

/// The overflow id (65534) for one that is not mapped, as the kernel shows it.
fn inside(map: &[UidGidExtent], id: u32) -> u32 {
    const OVERFLOW: u32 = 65534;
    let within =
        |extent: &&UidGidExtent| id.checked_sub(extent.lower_first).is_some_and(|at| at < extent.count);
    map.iter().find(within).map_or(OVERFLOW, |extent| extent.first + (id - extent.lower_first))
}

fn outside(map: &[UidGidExtent], id: u32) -> Option<u32> {
    let within = |extent: &&UidGidExtent| id.checked_sub(extent.first).is_some_and(|at| at < extent.count);
    map.iter().find(within).map(|extent| extent.lower_first + (id - extent.first))
}

pub(crate) fn credentials(
    status: &Status,
    securebits: u32,
    maps: &IdMaps,
    label: Option<Vec<u8>>,
) -> CredsEntry {
    let [uid, euid, suid, fsuid] = status.uids.map(|uid| maps.uid(uid));
    let [gid, egid, sgid, fsgid] = status.gids.map(|gid| maps.gid(gid));
    let words = |set: u64| vec![set as u32, (set >> 32) as u32];
    CredsEntry {
        uid,
        gid,
        euid,
        egid,
        suid,
        sgid,
        fsuid,
        fsgid,
        cap_inh: words(status.inheritable),
        cap_prm: words(status.permitted),
        cap_eff: words(status.effective),
        cap_bnd: words(status.bounding),
        secbits: securebits,
        groups: status.groups.iter().map(|gid| maps.gid(*gid)).collect(),
        lsm_profile: label,
        lsm_sockcreate: None,
        apparmor_data: None,
        no_new_privs: status.no_new_privs.then_some(1),
        cap_amb: words(status.ambient),
    }
}

/// The security module whose labels tasks have: the one that sets /proc/PID/attr/current.
pub(crate) fn security_module() -> Lsmtype {
    let active = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    let has = |name: &str| active.trim().split(',').any(|module| module == name);
    match (has("selinux"), has("apparmor")) {
        (true, _) => Lsmtype::Selinux,
        (_, true) => Lsmtype::Apparmor,
        _ => Lsmtype::NoLsm,
    }
}

/// The label of a thread; `None` when it is not confined.
pub(crate) fn label(tid: i32, module: Lsmtype) -> Option<Vec<u8>> {
    if module == Lsmtype::NoLsm {
        return None;
    }
    let text = std::fs::read(format!("/proc/{tid}/attr/current")).ok()?;
    let label: Vec<u8> = text.into_iter().take_while(|byte| ![0, b'\n'].contains(byte)).collect();
    // "docker-default (enforce)": AppArmor's mode is the host's to say.
    let end = label.iter().position(|byte| *byte == b' ').filter(|_| module == Lsmtype::Apparmor);
    let label = label[..end.unwrap_or(label.len())].to_vec();
    (!label.is_empty() && label != b"unconfined").then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_inside() {
        let map = vec![
            UidGidExtent { first: 0, lower_first: 1000, count: 1 },
            UidGidExtent { first: 1, lower_first: 100_000, count: 65536 },
        ];
        let ids = [1000, 1001, 100_000, 165_535, 165_536].map(|id| inside(&map, id));
        assert_eq!(ids, [0, 65534, 1, 65536, 65534]);
    }
}
