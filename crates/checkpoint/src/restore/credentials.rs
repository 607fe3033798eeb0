//! Credentials, capabilities and seccomp filters: never more than the policy gives.
//!
//! The image is a stranger's. Capabilities are cut to what the policy has, no_new_privs is set where the policy sets it,
//! and the policy's filter comes before those of the image.

use super::build::Build;
use crate::error::{Error, Result};
use crate::policy::{Capabilities, Policy};
use crate::snapshot::{Snapshot, Task};
use images::messages::{CoreEntry, CredsEntry};
use inject::Batch;

const SECBIT_NO_SETUID_FIXUP: u32 = 1 << 2;
const SECBIT_NO_CAP_AMBIENT_RAISE: u32 = 1 << 6;
const SECCOMP_SET_MODE_STRICT: u32 = 0;
const SECCOMP_SET_MODE_FILTER: u32 = 1;
const SECCOMP_FILTER_FLAG_TSYNC: u64 = 1 << 0;
const SECCOMP_FILTER_FLAG_NEW_LISTENER: u64 = 1 << 3;
/// Most instructions that the kernel takes, BPF_MAXINSNS.
const INSTRUCTIONS: usize = 4096;

/// Refuses images whose filters cannot be what the kernel had.
pub(super) fn check(snapshot: &Snapshot, policy: &Policy) -> Result<()> {
    for core in snapshot.tasks.iter().flat_map(|task| &task.threads) {
        chain(snapshot, core)?;
    }
    if policy.seccomp.as_ref().is_some_and(|filter| filter.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER != 0) {
        return Err(Error::new("seccomp: a filter with a listener is not supported"));
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
            identity(build.policy, &mut batch, core);
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
        if programs.first().is_none_or(|(first, _)| *first != own) {
            programs.insert(0, (&own, filter.flags));
        }
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

/// What the images say, cut to what the policy has.
fn allowed(creds: &CredsEntry, policy: &Capabilities) -> Capabilities {
    let bounding = set(&creds.cap_bnd) & policy.bounding;
    // A process may have got from a program file what the bounding set has.
    let permitted = set(&creds.cap_prm) & (policy.bounding | policy.permitted);
    let inheritable = set(&creds.cap_inh) & (policy.bounding | policy.inheritable);
    Capabilities {
        bounding,
        effective: set(&creds.cap_eff) & permitted,
        permitted,
        inheritable,
        ambient: set(&creds.cap_amb) & permitted & inheritable,
    }
}

fn identity(policy: &Policy, batch: &mut Batch, core: &CoreEntry) {
    let Some(creds) = core.thread_core.as_ref().and_then(|state| state.creds.as_ref()) else { return };
    let prctl = |batch: &mut Batch, name, option: i32, value: u64, more: u64| {
        batch.call(name, libc::SYS_prctl, &[option.into(), value.into(), more.into(), 0.into(), 0.into()]);
    };
    let sets = allowed(creds, &policy.capabilities);
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
    // Securebits want CAP_SETPCAP: before the last set.
    let bits = creds.secbits & !SECBIT_NO_CAP_AMBIENT_RAISE;
    prctl(batch, "PR_SET_SECUREBITS", libc::PR_SET_SECUREBITS, bits.into(), 0);
    let header = batch.words(&[0x2008_0522]);
    let halves =
        |shift: u32| [sets.effective, sets.permitted, sets.inheritable].map(|set| (set >> shift) as u32);
    let words: Vec<u8> =
        [halves(0), halves(32)].iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
    let data = batch.bytes(&words);
    batch.call("capset", libc::SYS_capset, &[header.into(), data.into()]);
    for capability in (0..64).filter(|capability| sets.ambient & 1 << capability != 0) {
        prctl(batch, "PR_CAP_AMBIENT", libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, capability);
    }
    if policy.no_new_privileges || creds.no_new_privs == Some(1) {
        prctl(batch, "PR_SET_NO_NEW_PRIVS", libc::PR_SET_NO_NEW_PRIVS, 1, 0);
    }
    // After the ids, whose change clears it.
    let signal = core.thread_core.as_ref().and_then(|state| state.pdeath_sig).unwrap_or(0);
    prctl(batch, "PR_SET_PDEATHSIG", libc::PR_SET_PDEATHSIG, signal.into(), 0);
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
