//! Credentials, capabilities and seccomp filters: never more than the policy gives.
//!
//! The image is a stranger's. Ids are those of the container's user unless something in the container may change them,
//! capabilities are cut to what the policy has, no_new_privs is set where the policy sets it, and the policy's filter comes
//! before those of the image.

use super::build::{Build, open_procfs};
use super::privileges;
use crate::error::{Error, Result};
use crate::policy::{self, Capabilities, Policy};
use crate::snapshot::{Snapshot, Task};
use crate::target::{NamespaceKind, Origin};
use images::messages::{CoreEntry, CredsEntry};
use inject::{Batch, Call};
use std::ffi::CStr;

pub(super) const SECBIT_NO_SETUID_FIXUP: u32 = 1 << 2;
/// The one that takes no capability (PR_SET_KEEPCAPS).
const SECBIT_KEEP_CAPS: u32 = 1 << 4;
const SECCOMP_SET_MODE_STRICT: u32 = 0;
const SECCOMP_SET_MODE_FILTER: u32 = 1;
const SECCOMP_FILTER_FLAG_TSYNC: u64 = 1 << 0;
const SECCOMP_FILTER_FLAG_NEW_LISTENER: u64 = 1 << 3;
/// Most instructions that the kernel takes, BPF_MAXINSNS.
const INSTRUCTIONS: usize = 4096;

/// What the kernel shows for an id that has no place in a user namespace.
const OVERFLOW_ID: u32 = 65534;

/// Refuses images whose filters cannot be what the kernel had, and ids that nobody in the container can have.
pub(super) fn check(snapshot: &Snapshot, policy: &Policy) -> Result<()> {
    for task in snapshot.tasks.iter().filter(|task| !task.is_zombie()) {
        for (tid, core) in task.entry.threads.iter().zip(&task.threads) {
            chain(snapshot, core)?;
            let creds = core.thread_core.as_ref().and_then(|state| state.creds.as_ref());
            let refused = |why: &str| Error::new(format!("core-{tid}.img: creds_entry: {why}"));
            check_ids(creds.ok_or_else(|| refused("missing"))?, policy).map_err(|why| refused(&why))?;
        }
    }
    if policy.seccomp.as_ref().is_some_and(|filter| filter.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER != 0) {
        return Err(Error::new("seccomp: a filter with a listener is not supported"));
    }
    Ok(())
}

fn check_ids(creds: &CredsEntry, policy: &Policy) -> std::result::Result<(), String> {
    let user = &policy.user;
    let uids = [creds.uid, creds.euid, creds.suid, creds.fsuid];
    let gids = [creds.gid, creds.egid, creds.sgid, creds.fsgid];
    // To set it is to leave the id as it is: root's.
    if uids.iter().chain(&gids).any(|id| *id == u32::MAX) {
        return Err(format!("{} is no id", u32::MAX));
    }
    if let Some(uid) = uids.into_iter().find(|uid| *uid != user.uid && !policy.may_change_uid()) {
        return Err(format!("uid {uid}: the container's user is {}, and cannot become another", user.uid));
    }
    let has_unmapped = !policy.namespaces.contains(&(NamespaceKind::User, Origin::Host));
    let is_own =
        |gid: u32| gid == user.gid || user.groups.contains(&gid) || has_unmapped && gid == OVERFLOW_ID;
    let mut gids = gids.iter().chain(&creds.groups);
    if let Some(gid) = gids.find(|gid| !is_own(**gid) && !policy.may_change_gid()) {
        return Err(format!(
            "gid {gid}: the container's user is not in this group, and cannot become a member"
        ));
    }
    let bits = creds.secbits & !SECBIT_KEEP_CAPS;
    if bits != 0 && !policy.can_have(policy::SETPCAP) {
        return Err(format!("securebits {bits:#x}: nobody in the container has CAP_SETPCAP to set them"));
    }
    Ok(())
}

/// Programs of a thread, the oldest first. What the images call a filter's predecessor was installed after it.
fn chain<'a>(snapshot: &'a Snapshot, core: &CoreEntry) -> Result<Vec<(&'a [u8], u64)>> {
    let damaged = |why: String| Error::new(format!("seccomp.img: {why}"));
    let Some(state) = core.thread_core.as_ref().filter(|state| state.seccomp_mode == Some(2)) else {
        return Ok(Vec::new());
    };
    let filters = snapshot.seccomp.as_ref().map(|all| all.seccomp_filters.as_slice()).unwrap_or_default();
    let mut programs = Vec::new();
    let mut next = state.seccomp_filter;
    while let Some(index) = next {
        let filter =
            filters.get(index as usize).ok_or_else(|| damaged(format!("filter {index} is missing")))?;
        let count = filter.filter.len() / 8;
        if !filter.filter.len().is_multiple_of(8) || count == 0 || count > INSTRUCTIONS {
            return Err(damaged(format!("filter {index} has {} bytes", filter.filter.len())));
        }
        if programs.len() > filters.len() {
            return Err(damaged(format!("filter {index} is its own predecessor")));
        }
        programs.push((filter.filter.as_slice(), u64::from(filter.flags.unwrap_or(0))));
        next = filter.prev;
    }
    Ok(programs)
}

/// Gives every thread its filters and its credentials. They are attached: their filters are suspended.
pub(super) fn restore(build: &mut Build<'_>) -> Result<()> {
    for (index, task) in build.living() {
        for (nth, core) in task.threads.iter().enumerate() {
            let mut batch = Batch::new();
            filters(build, &mut batch, core)?;
            let profile = build.policy.apparmor_profile.as_deref();
            let procfs = profile.map(|profile| (open_procfs(&mut batch), profile));
            identity(build, &mut batch, core);
            if let Some((procfs, profile)) = procfs {
                // By what it is from now on (proc_pid_attr(5)): no step that takes a capability comes after it.
                label(
                    &mut batch,
                    procfs,
                    c"thread-self/attr/apparmor/current",
                    &format!("changeprofile {profile}"),
                );
            }
            lock(build.policy, &mut batch, core);
            build.run_thread(index, nth, &batch)?;
        }
        complete(build, index, task)?;
    }
    Ok(())
}

/// While the thread may still install filters without no_new_privs.
fn filters(build: &Build<'_>, batch: &mut Batch, core: &CoreEntry) -> Result<()> {
    let mut programs = chain(build.snapshot, core)?;
    let own: Vec<u8>;
    if let Some(filter) = &build.policy.seccomp {
        own = filter
            .program
            .iter()
            .flat_map(|each| {
                let [a, b] = each.code.to_le_bytes();
                let [c, d, e, f] = each.k.to_le_bytes();
                [a, b, each.jt, each.jf, c, d, e, f]
            })
            .collect();
        if programs.first().is_some_and(|(first, _)| *first == own) {
            programs.remove(0);
        }
        programs.insert(0, (&own, filter.flags));
    }
    for (program, flags) in programs {
        let instructions = batch.bytes(program);
        // struct sock_fprog: count, program
        let header = batch.words(&[(program.len() / 8) as u64, 0]);
        batch.point(header.plus(8), instructions);
        let flags = flags & !(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER);
        let arguments = [SECCOMP_SET_MODE_FILTER.into(), flags.into(), header.into()];
        batch.call("install a seccomp filter", libc::SYS_seccomp, &arguments);
    }
    if core.thread_core.as_ref().is_some_and(|state| state.seccomp_mode == Some(1)) {
        batch.call(
            "seccomp strict mode",
            libc::SYS_seccomp,
            &[SECCOMP_SET_MODE_STRICT.into(), 0.into(), 0.into()],
        );
    }
    Ok(())
}

fn set(words: &[u32]) -> u64 {
    u64::from(words.first().copied().unwrap_or(0)) | u64::from(words.get(1).copied().unwrap_or(0)) << 32
}

/// What the images say, cut to what the policy has, and to what there is to give.
fn allowed(creds: &CredsEntry, policy: &Policy, own: u64) -> Capabilities {
    let ceiling = policy.ceiling() & own;
    let bounding = set(&creds.cap_bnd) & policy.capabilities.bounding;
    let permitted = set(&creds.cap_prm) & ceiling;
    // Who has a capability may let it be inherited (capset(2)).
    let inheritable = set(&creds.cap_inh) & (ceiling | policy.capabilities.inheritable & own);
    Capabilities {
        bounding,
        effective: set(&creds.cap_eff) & permitted,
        permitted,
        inheritable,
        ambient: set(&creds.cap_amb) & permitted & inheritable,
    }
}

fn identity(build: &Build<'_>, batch: &mut Batch, core: &CoreEntry) {
    // `check` has found them.
    let Some(creds) = core.thread_core.as_ref().and_then(|state| state.creds.as_ref()) else { return };
    let prctl = |batch: &mut Batch, name, option: i32, value: u64, more: u64| {
        batch.call(name, libc::SYS_prctl, &[option.into(), value.into(), more.into(), 0.into(), 0.into()]);
    };
    let (policy, own) = (build.policy, build.capabilities);
    let sets = allowed(creds, policy, own);
    let groups: Vec<u8> = creds.groups.iter().flat_map(|group| group.to_le_bytes()).collect();
    let place = batch.bytes(&groups);
    // In a user namespace that denies it there are no groups to set.
    batch.call_may_fail("setgroups", libc::SYS_setgroups, &[creds.groups.len().into(), place.into()]);
    // Ids that change must not take capabilities along; the sets follow.
    prctl(batch, "PR_SET_SECUREBITS", libc::PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP.into(), 0);
    let (rgid, egid, sgid) = (creds.gid, creds.egid, creds.sgid);
    batch.call("setresgid", libc::SYS_setresgid, &[rgid.into(), egid.into(), sgid.into()]);
    batch.call("setfsgid", libc::SYS_setfsgid, &[creds.fsgid.into()]);
    let (ruid, euid, suid) = (creds.uid, creds.euid, creds.suid);
    batch.call("setresuid", libc::SYS_setresuid, &[ruid.into(), euid.into(), suid.into()]);
    batch.call("setfsuid", libc::SYS_setfsuid, &[creds.fsuid.into()]);
    for capability in (0..64).filter(|capability| sets.bounding & 1 << capability == 0) {
        // Beyond the last capability there is none to drop.
        let arguments = [libc::PR_CAPBSET_DROP.into(), capability.into(), 0.into(), 0.into(), 0.into()];
        batch.call_may_fail("PR_CAPBSET_DROP", libc::SYS_prctl, &arguments);
    }
    prctl(batch, "PR_CAP_AMBIENT", libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0);
    // What is ambient must be permitted and inheritable, and securebits may forbid to raise it.
    let all = Capabilities { effective: own, permitted: own, ..sets };
    privileges::set(batch, all);
    for capability in (0..64).filter(|capability| sets.ambient & 1 << capability != 0) {
        prctl(batch, "PR_CAP_AMBIENT", libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, capability);
    }
    // They want CAP_SETPCAP: before the last set.
    prctl(batch, "PR_SET_SECUREBITS", libc::PR_SET_SECUREBITS, creds.secbits.into(), 0);
    privileges::set(batch, sets);
}

/// Gives every process the policy's SELinux label, while it has one thread: one that has several cannot change it.
pub(super) fn relabel(build: &mut Build<'_>) -> Result<()> {
    let Some(context) = &build.policy.selinux_label else { return Ok(()) };
    for (index, _) in build.living() {
        let mut batch = Batch::new();
        let procfs = open_procfs(&mut batch);
        label(&mut batch, procfs, c"thread-self/attr/current", context);
        build.run(index, &batch)?;
    }
    Ok(())
}

/// Writes the calling thread's label. What the images say of labels is not asked.
fn label(batch: &mut Batch, procfs: Call, file: &CStr, text: &str) {
    let name = batch.bytes(file.to_bytes_with_nul());
    let place = batch.bytes(text.as_bytes());
    let file = batch.call(
        "open attr",
        libc::SYS_openat,
        &[procfs.into(), name.into(), libc::O_WRONLY.into(), 0.into()],
    );
    batch.call("set its security label", libc::SYS_write, &[file.into(), place.into(), text.len().into()]);
    for fd in [file, procfs] {
        batch.call("close", libc::SYS_close, &[fd.into()]);
    }
}

/// What nobody takes back.
fn lock(policy: &Policy, batch: &mut Batch, core: &CoreEntry) {
    let Some(state) = &core.thread_core else { return };
    let prctl = |batch: &mut Batch, name, option: i32, value: u64| {
        batch.call(name, libc::SYS_prctl, &[option.into(), value.into(), 0.into(), 0.into(), 0.into()]);
    };
    if policy.no_new_privileges || state.creds.as_ref().is_some_and(|creds| creds.no_new_privs == Some(1)) {
        prctl(batch, "PR_SET_NO_NEW_PRIVS", libc::PR_SET_NO_NEW_PRIVS, 1);
    }
    // After ids and label, whose change clears it.
    let signal = state.pdeath_sig.unwrap_or(0);
    prctl(batch, "PR_SET_PDEATHSIG", libc::PR_SET_PDEATHSIG, signal.into());
}

/// What a change of credentials resets.
fn complete(build: &mut Build<'_>, index: usize, task: &Task) -> Result<()> {
    let dumpable = task.mm.as_ref().and_then(|mm| mm.dumpable).unwrap_or(1);
    let mut batch = Batch::new();
    // 2 is what the kernel itself has left there.
    if [0, 1].contains(&dumpable) {
        let arguments = [libc::PR_SET_DUMPABLE.into(), dumpable.into(), 0.into(), 0.into(), 0.into()];
        batch.call("PR_SET_DUMPABLE", libc::SYS_prctl, &arguments);
    }
    build.run(index, &batch)?;
    Ok(())
}
