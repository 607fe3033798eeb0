//! The tree of processes: who is born from whom, in which session and group.
//!
//! A process is born in the session of the one that makes it. So a task whose session is not its parent's is made by its
//! parent before that leads a session of its own, or by the session's leader, as its sibling (CLONE_PARENT) or as an orphan
//! that falls to the next subreaper; where the leader has ended, a helper is leader for as long as that takes.

use super::build::Build;
use super::memory;
use crate::error::{Error, Result};
use crate::snapshot::Snapshot;
use crate::target::{NamespaceKind, Origin};
use inject::Batch;

/// The kernel's struct clone_args, as far as it is used.
const CLONE_ARGS: usize = 88;
const CLONE_PARENT: u64 = libc::CLONE_PARENT as u64;
const CLONE_FILES: u64 = libc::CLONE_FILES as u64;

/// How a task comes into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Birth {
    /// From its parent.
    Child,
    /// From its parent, which does not lead its session yet.
    Early,
    /// From another child of its parent, which leads its session.
    Sibling { leader: usize },
    /// From a helper that the leader makes and that ends: it falls to the next subreaper, or to the first task.
    Orphan { leader: usize },
    /// From a helper that leads the session and ends.
    Bereaved,
}

fn parent_of(snapshot: &Snapshot, index: usize) -> Option<usize> {
    let parent = snapshot.tasks[index].entry.ppid;
    snapshot.tasks.iter().position(|task| index != 0 && task.entry.pid == parent)
}

fn birth(snapshot: &Snapshot, index: usize) -> Birth {
    let entry = &snapshot.tasks[index].entry;
    let Some(parent) = parent_of(snapshot, index) else { return Birth::Child };
    if entry.sid == entry.pid || entry.sid == snapshot.tasks[parent].entry.sid {
        return Birth::Child;
    }
    let parents = &snapshot.tasks[parent].entry;
    let grandparent = parent_of(snapshot, parent).map(|grandparent| &snapshot.tasks[grandparent].entry);
    if parents.sid == parents.pid && grandparent.is_some_and(|grandparent| grandparent.sid == entry.sid) {
        return Birth::Early;
    }
    let leader = snapshot.tasks.iter().position(|task| task.entry.pid == entry.sid && !task.is_zombie());
    // Where it has ended, its number is taken for as long as there is another in its session: the first one leads.
    let first = || snapshot.tasks.iter().position(|task| task.entry.sid == entry.sid && !task.is_zombie());
    match leader.or_else(first).filter(|leader| *leader != index) {
        Some(leader) if parent_of(snapshot, leader) == Some(parent) => Birth::Sibling { leader },
        Some(leader) => Birth::Orphan { leader },
        None => Birth::Bereaved,
    }
}

/// The task whose memory another one begins with.
pub(super) fn born_from(snapshot: &Snapshot, index: usize) -> Option<usize> {
    match birth(snapshot, index) {
        Birth::Child | Birth::Early | Birth::Bereaved => parent_of(snapshot, index),
        Birth::Sibling { leader } | Birth::Orphan { leader } => Some(leader),
    }
}

/// Who gets the children of a task that ends, when a child of the task at `index` is meant: the next subreaper (prctl(2),
/// `PR_SET_CHILD_SUBREAPER`), or the first task.
fn reaper(snapshot: &Snapshot, index: usize) -> usize {
    let is_subreaper = |index: usize| {
        let core = snapshot.tasks[index].threads[0].tc.as_ref();
        core.is_some_and(|core| core.child_subreaper == Some(true))
    };
    let mut at = Some(index);
    while let Some(index) = at.filter(|index| !is_subreaper(*index)) {
        at = parent_of(snapshot, index);
    }
    at.unwrap_or(0)
}

/// Makes all tasks, each with its memory before it has children.
pub(super) fn make(build: &mut Build<'_>) -> Result<()> {
    let snapshot = build.snapshot;
    let root = &snapshot.tasks[0].entry;
    if root.pid != 1 && build.policy.namespaces.contains(&(NamespaceKind::Pid, Origin::Own)) {
        return Err(Error::new(format!(
            "pstree.img: the first task is {}, not 1 of its own pid namespace",
            root.pid
        )));
    }
    lead(build, 0)?;
    memory::make(build, 0, None)?;
    let births: Vec<Birth> = (0..snapshot.tasks.len()).map(|index| birth(snapshot, index)).collect();
    let mut made = vec![false; births.len()];
    let mut leads = made.clone();
    (made[0], leads[0]) = (true, true);
    // Parents come before children, but a leader may come after those of its session.
    while made.contains(&false) {
        let before = made.clone();
        for index in 1..made.len() {
            let (Some(parent), Some(from)) = (parent_of(snapshot, index), born_from(snapshot, index)) else {
                continue;
            };
            let is_early = births[index] == Birth::Early;
            if !made[index] && made[parent] && made[from] && (leads[from] || is_early) {
                make_one(build, index)?;
                made[index] = true;
            }
        }
        for index in (0..made.len()).filter(|index| made[*index]) {
            let is_awaited = |child: usize| {
                !made[child] && births[child] == Birth::Early && parent_of(snapshot, child) == Some(index)
            };
            if !leads[index] && !(0..made.len()).any(is_awaited) {
                lead(build, index)?;
                leads[index] = true;
            }
        }
        if before == made {
            let index = made.iter().position(|made| !made).unwrap_or(0);
            let entry = &snapshot.tasks[index].entry;
            return Err(Error::new(format!("task {}: its session {} cannot be made", entry.pid, entry.sid)));
        }
    }
    Ok(())
}

fn make_one(build: &mut Build<'_>, index: usize) -> Result<()> {
    let snapshot = build.snapshot;
    let task = &snapshot.tasks[index];
    let entry = &task.entry;
    let place = build.layout.first[index];
    let from = born_from(snapshot, index).unwrap_or(0);
    let shared = if shares_files(snapshot, index, from) { CLONE_FILES } else { 0 };
    match birth(snapshot, index) {
        Birth::Child | Birth::Early => {
            clone(build, build.layout.first[from], entry.pid, place, shared)?;
        }
        Birth::Sibling { leader } => {
            clone(build, build.layout.first[leader], entry.pid, place, CLONE_PARENT | shared)?;
        }
        Birth::Orphan { leader } => {
            if parent_of(snapshot, index) != Some(reaper(snapshot, leader)) {
                let (pid, sid) = (entry.pid, entry.sid);
                return Err(Error::new(format!(
                    "task {pid}: its parent is not in its session {sid}, nor who gets the orphans of it"
                )));
            }
            let helper = build.helper()?;
            let free = build.free_pid();
            let pid = clone(build, build.layout.first[leader], free, helper, shared)?;
            clone(build, helper, entry.pid, place, shared)?;
            end(build, helper, build.layout.first[leader], pid)?;
        }
        Birth::Bereaved => {
            let helper = build.helper()?;
            let parent = build.layout.first[from];
            clone(build, parent, entry.sid, helper, shared)?;
            let mut batch = Batch::new();
            batch.call("setsid", libc::SYS_setsid, &[]);
            build.run_in(helper, &batch)?;
            clone(build, helper, entry.pid, place, CLONE_PARENT | shared)?;
            end(build, helper, parent, u64::from(entry.sid))?;
        }
    }
    adopt(build, index)?;
    match task.is_zombie() {
        true => Ok(()),
        false => memory::make(build, index, Some(from)),
    }
}

/// Whether a task and the one that it is made by have one table of descriptors.
fn shares_files(snapshot: &Snapshot, index: usize, from: usize) -> bool {
    let table = |index: usize| snapshot.tasks[index].ids().map(|ids| ids.files_id);
    table(index).is_some() && table(index) == table(from)
}

/// Lets the task at a place of the nursery make a process at another.
fn clone(build: &mut Build<'_>, from: usize, pid: u32, to: usize, flags: u64) -> Result<u64> {
    let mut batch = Batch::new();
    let child = clone3(&mut batch, flags, libc::SIGCHLD as u64, pid, build.mailbox(to));
    let outcome = build.run_in(from, &batch);
    let outcome = outcome.map_err(|error| Error::new(format!("make task {pid}: {error}")))?;
    Ok(outcome.result(child).unwrap_or(0))
}

/// Adds clone3(2); `exit_signal` is 0 for a thread.
pub(super) fn clone3(batch: &mut Batch, flags: u64, exit_signal: u64, id: u32, mailbox: u64) -> inject::Call {
    // CLONE_PARENT takes the signal of the one that calls.
    let exit_signal = if flags & CLONE_PARENT != 0 { 0 } else { exit_signal };
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup
    let arguments = batch.words(&[flags, 0, 0, 0, exit_signal, 0, 0, 0, 0, 1, 0]);
    let ids = batch.bytes(&id.to_le_bytes());
    batch.point(arguments.plus(64), ids);
    batch.clone3(arguments, CLONE_ARGS, mailbox)
}

/// Makes a process that is not of the snapshot as a child of a task: its place and its pid.
pub(super) fn make_helper(build: &mut Build<'_>, index: usize, pid: u32) -> Result<(usize, u64)> {
    let helper = build.helper()?;
    let pid = clone(build, build.layout.first[index], pid, helper, 0)?;
    Ok((helper, pid))
}

/// Ends a helper and reaps it. Its place is free again.
pub(super) fn end(build: &mut Build<'_>, helper: usize, parent: usize, pid: u64) -> Result<()> {
    let mut batch = Batch::new();
    batch.call_may_fail("exit_group", libc::SYS_exit_group, &[0.into()]);
    build.start_in(helper, &batch)?;
    let mut batch = Batch::new();
    // None is left where the first task ignores SIGCHLD.
    batch.call_may_fail("wait4", libc::SYS_wait4, &[pid.into(), 0.into(), 0.into(), 0.into()]);
    build.run_in(parent, &batch)?;
    build.vacate(helper);
    Ok(())
}

/// Lets a task get the orphans of its descendants, when it does.
fn adopt(build: &mut Build<'_>, index: usize) -> Result<()> {
    let core = build.snapshot.tasks[index].threads[0].tc.as_ref();
    if core.is_some_and(|core| core.child_subreaper == Some(true)) {
        let mut batch = Batch::new();
        let arguments = [libc::PR_SET_CHILD_SUBREAPER.into(), 1.into(), 0.into(), 0.into(), 0.into()];
        batch.call("PR_SET_CHILD_SUBREAPER", libc::SYS_prctl, &arguments);
        build.run(index, &batch)?;
    }
    Ok(())
}

/// Makes a task the leader of its session or its group, when it is one.
fn lead(build: &mut Build<'_>, index: usize) -> Result<()> {
    let entry = &build.snapshot.tasks[index].entry;
    let mut batch = Batch::new();
    if entry.sid == entry.pid {
        // The first task may be one already.
        batch.call_may_fail("setsid", libc::SYS_setsid, &[]);
    } else if entry.pgid == entry.pid {
        batch.call("setpgid", libc::SYS_setpgid, &[0.into(), 0.into()]);
    }
    build.run(index, &batch)?;
    Ok(())
}

/// Puts every task into its group. Where the group's leader has ended, a helper leads it until the others are in it.
pub(super) fn join_groups(build: &mut Build<'_>) -> Result<()> {
    let mut helpers: Vec<(u32, usize, usize)> = Vec::new();
    for (index, task) in build.tasks() {
        let entry = &task.entry;
        if [entry.pid, 0].contains(&entry.pgid) || entry.sid == entry.pid {
            continue;
        }
        let mut batch = Batch::new();
        let arguments = [0.into(), entry.pgid.into()];
        let joined = batch.call_may_fail("setpgid", libc::SYS_setpgid, &arguments);
        if build.run(index, &batch)?.result(joined).is_ok() {
            continue;
        }
        // There is no such group yet.
        let helper = build.helper()?;
        clone(build, build.layout.first[index], entry.pgid, helper, 0)?;
        let mut batch = Batch::new();
        batch.call("setpgid", libc::SYS_setpgid, &[0.into(), 0.into()]);
        build.run_in(helper, &batch)?;
        helpers.push((entry.pgid, helper, index));
        let mut batch = Batch::new();
        batch.call("setpgid", libc::SYS_setpgid, &arguments);
        build.run(index, &batch)?;
    }
    for (group, helper, index) in helpers {
        end(build, helper, build.layout.first[index], group.into())?;
    }
    Ok(())
}

/// Ends the tasks that were zombies, the way they did.
pub(super) fn end_zombies(build: &mut Build<'_>) -> Result<()> {
    for (index, task) in build.tasks().filter(|(_, task)| task.is_zombie()) {
        let code = task.threads[0].tc.as_ref().map_or(0, |core| core.exit_code);
        let mut batch = Batch::new();
        match code & 0x7f {
            0 => {
                batch.call_may_fail("exit_group", libc::SYS_exit_group, &[(code >> 8 & 0xff).into()]);
            }
            signal => {
                let none = batch.words(&[0, 0]);
                let limit = libc::RLIMIT_CORE;
                batch.call("prlimit", libc::SYS_prlimit64, &[0.into(), limit.into(), none.into(), 0.into()]);
                let unblocked = batch.words(&[0]);
                batch.call("kill", libc::SYS_kill, &[task.entry.pid.into(), signal.into()]);
                let default = batch.space(32);
                batch.call_may_fail(
                    "sigaction",
                    libc::SYS_rt_sigaction,
                    &[signal.into(), default.into(), 0.into(), 8.into()],
                );
                batch.call_may_fail(
                    "unblock",
                    libc::SYS_rt_sigprocmask,
                    &[2.into(), unblocked.into(), 0.into(), 8.into()],
                );
            }
        }
        build.start_in(build.layout.first[index], &batch)?;
    }
    Ok(())
}
