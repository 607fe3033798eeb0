//! What processes and threads have beside memory, files and credentials: names, signals, timers, scheduling, limits.

use super::NANOSECONDS;
use super::build::{Build, host_tid};
use super::lazy;
use crate::arch;
use crate::error::{At, Error, Result};
use crate::policy::{self, Policy};
use crate::scheduling::SCHED_DEADLINE;
use crate::snapshot::{Snapshot, Task};
use crate::target::NamespaceKind;
use crate::timers;
use images::messages::{CoreEntry, ItimerEntry, PosixTimerEntry, RlimitEntry, SignalQueueEntry, UtsnsEntry};
use inject::Batch;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

const PR_SET_MM: i32 = 35;
const PR_SET_MM_MAP: i32 = 14;
/// How many there are for setrlimit(2).
const RESOURCES: u32 = 16;
/// Bytes of a siginfo_t.
const SIGINFO: usize = 128;
const PR_TIMER_CREATE_RESTORE_IDS: i32 = 77;
/// Where the kernel must count up to a timer's number: as many as fit into a batch.
const TIMER_NUMBERS: u32 = 10_000;

/// Everything that does not need to wait for credentials.
pub(super) fn restore(build: &mut Build<'_>) -> Result<()> {
    let tids = build.host_tids()?;
    for (index, task) in build.living() {
        process(build, index, task)?;
        for (nth, core) in task.threads.iter().enumerate() {
            thread(build, index, nth, core)?;
        }
        adjust_oom_score(build, task, &tids)?;
    }
    Ok(())
}

/// The names of the container's host, as far as they are its own.
pub(super) fn name_host(build: &mut Build<'_>) -> Result<()> {
    let id = build.snapshot.tasks[0].ids().and_then(|ids| ids.uts_ns_id);
    let Some(uts) = id.and_then(|id| build.snapshot.namespaces.uts.get(&id)) else { return Ok(()) };
    // Those of the policy are the container's, unless it could have changed them.
    let may_change = build.policy.can_have(policy::SYS_ADMIN) || !build.policy.has_names;
    if !build.policy.owns(NamespaceKind::Uts) || !may_change {
        return Ok(());
    }
    let mut batch = Batch::new();
    set_names(&mut batch, uts);
    build.run(0, &batch)?;
    Ok(())
}

/// Adds the naming of the host.
pub(super) fn set_names(batch: &mut Batch, uts: &UtsnsEntry) {
    let calls = [
        ("sethostname", libc::SYS_sethostname, &uts.nodename),
        ("setdomainname", libc::SYS_setdomainname, &uts.domainname),
    ];
    for (name, number, text) in calls {
        let place = batch.bytes(text);
        batch.call(name, number, &[place.into(), text.len().into()]);
    }
}

fn process(build: &mut Build<'_>, index: usize, task: &Task) -> Result<()> {
    let Some(core) = task.threads[0].tc.as_ref() else { return Ok(()) };
    let mut batch = Batch::new();
    batch.call("personality", libc::SYS_personality, &[core.personality.into()]);
    let subreaper = core.child_subreaper == Some(true);
    let arguments =
        [libc::PR_SET_CHILD_SUBREAPER.into(), i32::from(subreaper).into(), 0.into(), 0.into(), 0.into()];
    batch.call("PR_SET_CHILD_SUBREAPER", libc::SYS_prctl, &arguments);
    if task.mm.as_ref().is_some_and(|mm| mm.thp_disabled == Some(true)) {
        let arguments = [libc::PR_SET_THP_DISABLE.into(), 1.into(), 0.into(), 0.into(), 0.into()];
        batch.call("PR_SET_THP_DISABLE", libc::SYS_prctl, &arguments);
    }
    if let Some(side) = build.snapshot.side.process(task.entry.pid) {
        arch::permit_components(&mut batch, side.permitted_components);
        super::sysv::adjust(&mut batch, &side.undo, build.snapshot);
    }
    let registrations = core.membarrier_registration_mask.unwrap_or(0);
    for bit in (0..32).filter(|bit| registrations & 1 << bit != 0) {
        batch.call("membarrier", libc::SYS_membarrier, &[(1u32 << bit).into(), 0.into(), 0.into()]);
    }
    let signals = (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal));
    for (signal, action) in signals.zip(&core.sigactions) {
        // struct kernel_sigaction: handler, flags, restorer, mask
        let place = batch.words(&[action.sigaction, action.flags, action.restorer, action.mask]);
        batch.call("sigaction", libc::SYS_rt_sigaction, &[signal.into(), place.into(), 0.into(), 8.into()]);
    }
    build.run(index, &batch)?;
    let mut batch = Batch::new();
    if let Some(queue) = &core.signals_s {
        for info in signals_to_send(queue, task) {
            let place = batch.bytes(info);
            let signal = u32::from_le_bytes(info[..4].try_into().expect("four bytes"));
            let arguments = [task.entry.pid.into(), signal.into(), place.into()];
            batch.call("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, &arguments);
        }
    }
    build.run(index, &batch)?;
    Ok(())
}

/// The signals of a queue, each a siginfo_t (`check`).
fn signals_of(queue: &SignalQueueEntry) -> impl Iterator<Item = &[u8]> {
    queue.signals.iter().map(|signal| signal.siginfo.as_slice())
}

/// The same without those that timers send again when they are armed.
fn signals_to_send<'a>(queue: &'a SignalQueueEntry, task: &'a Task) -> impl Iterator<Item = &'a [u8]> {
    signals_of(queue).filter(|info| !posix_timers(task).any(|timer| waits(timer, info).is_some()))
}

fn posix_timers(task: &Task) -> impl Iterator<Item = &PosixTimerEntry> {
    let core = task.threads[0].tc.as_ref();
    core.and_then(|core| core.timers.as_ref()).into_iter().flat_map(|timers| &timers.posix)
}

/// The overruns of a periodic timer whose signal this is. Other clocks than these cannot be set to a time that has passed.
fn waits(timer: &PosixTimerEntry, info: &[u8]) -> Option<u32> {
    let clocks = [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME];
    let is_periodic = interval(timer) > 0 && clocks.contains(&(timer.clock_id as i32));
    let (id, overruns) = timers::of_timer(info).filter(|_| is_periodic)?;
    (id == timer.it_id).then_some(overruns)
}

/// In nanoseconds.
fn interval(timer: &PosixTimerEntry) -> i128 {
    i128::from(timer.isec) * NANOSECONDS + i128::from(timer.insec)
}

/// The overruns of a timer whose signal waits somewhere.
fn overruns(timer: &PosixTimerEntry, task: &Task) -> Option<u32> {
    let of_process = task.threads[0].tc.as_ref().and_then(|core| core.signals_s.as_ref());
    let of_threads = task.threads.iter().filter_map(|core| core.thread_core.as_ref()?.signals_p.as_ref());
    let mut infos = of_process.into_iter().chain(of_threads).flat_map(|queue| &queue.signals);
    infos.find_map(|signal| waits(timer, &signal.siginfo))
}

/// Refuses what would end or stop a task that is being built, and what would not end one that has ended.
pub(super) fn check(snapshot: &Snapshot) -> Result<()> {
    let first = &snapshot.tasks[0];
    if first.is_zombie() {
        return Err(Error::new(format!("core-{}.img: the first task has ended", first.entry.pid)));
    }
    for task in &snapshot.tasks {
        for (tid, core) in task.entry.threads.iter().zip(&task.threads) {
            let refused = |why: String| Err(Error::new(format!("core-{tid}.img: {why}")));
            let shared = core.tc.as_ref().and_then(|task| task.signals_s.as_ref());
            let own = core.thread_core.as_ref().and_then(|thread| thread.signals_p.as_ref());
            for info in shared.into_iter().chain(own).flat_map(signals_of) {
                let signal = info.first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes));
                let is_signal = info.len() == SIGINFO && (1..=64).contains(&signal);
                if !is_signal || [libc::SIGKILL, libc::SIGSTOP].contains(&signal) {
                    let len = info.len();
                    return refused(format!(
                        "siginfo_entry: {len} bytes of signal {signal} cannot be pending"
                    ));
                }
            }
        }
        let code = task.threads[0].tc.as_ref().map_or(0, |core| core.exit_code);
        if task.is_zombie() && code & 0x7f != 0 && !is_fatal(code & 0x7f) {
            let (pid, signal) = (task.entry.pid, code & 0x7f);
            return Err(Error::new(format!(
                "core-{pid}.img: task_core_entry.exit_code: signal {signal} ends nobody"
            )));
        }
    }
    Ok(())
}

/// Whether a signal that is not handled ends a task (signal(7)).
fn is_fatal(signal: u32) -> bool {
    const OTHERS: [i32; 8] = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        libc::SIGWINCH,
    ];
    (1..=64).contains(&signal) && !OTHERS.contains(&(signal as i32))
}

/// What /proc shows of processes' memory: PR_SET_MM_MAP of prctl(2). While the programs are open in the first task's
/// numbers.
pub(super) fn describe_memory(build: &mut Build<'_>) -> Result<()> {
    for (index, task) in build.living() {
        describe_memory_of(build, index, task)?;
    }
    Ok(())
}

fn describe_memory_of(build: &mut Build<'_>, index: usize, task: &Task) -> Result<()> {
    let Some(mm) = &task.mm else { return Ok(()) };
    let exe = build.open.get(&mm.exe_file_id);
    let exe =
        *exe.ok_or_else(|| Error::new(format!("mm-{}.img: exe_file_id: no such file", task.entry.pid)))?;
    let mut batch = Batch::new();
    let auxv = batch.words(&mm.mm_saved_auxv);
    let bounds = [
        mm.mm_start_code,
        mm.mm_end_code,
        mm.mm_start_data,
        mm.mm_end_data,
        mm.mm_start_brk,
        mm.mm_brk,
        mm.mm_start_stack,
        mm.mm_arg_start,
        mm.mm_arg_end,
        mm.mm_env_start,
        mm.mm_env_end,
    ];
    // struct prctl_mm_map: the bounds, the auxiliary vector and its bytes, the program.
    let mut bytes: Vec<u8> = bounds.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend_from_slice(&0u64.to_le_bytes());
    bytes.extend_from_slice(&((mm.mm_saved_auxv.len() * 8) as u32).to_le_bytes());
    bytes.extend_from_slice(&exe.to_le_bytes());
    let map = batch.bytes(&bytes);
    batch.point(map.plus(bounds.len() * 8), auxv);
    batch.call(
        "PR_SET_MM_MAP",
        libc::SYS_prctl,
        &[PR_SET_MM.into(), PR_SET_MM_MAP.into(), map.into(), 104.into(), 0.into()],
    );
    build.run(index, &batch)?;
    Ok(())
}

fn thread(build: &mut Build<'_>, index: usize, nth: usize, core: &CoreEntry) -> Result<()> {
    let tid = build.snapshot.tasks[index].entry.threads[nth];
    let (Some(info), Some(state)) = (&core.thread_info, &core.thread_core) else { return Ok(()) };
    let mut batch = Batch::new();
    let leaders = core.tc.as_ref().map(|tc| &tc.comm);
    if let Some(name) = state.comm.as_ref().or(leaders) {
        let name = batch.string(name.strip_suffix(b"\0").unwrap_or(name));
        batch.call(
            "PR_SET_NAME",
            libc::SYS_prctl,
            &[libc::PR_SET_NAME.into(), name.into(), 0.into(), 0.into(), 0.into()],
        );
    }
    batch.call("set_tid_address", libc::SYS_set_tid_address, &[info.clear_tid_addr.into()]);
    if state.futex_rla_len != 0 {
        let arguments = [state.futex_rla.into(), state.futex_rla_len.into()];
        batch.call("set_robust_list", libc::SYS_set_robust_list, &arguments);
    }
    if let Some(sas) = state.sas.as_ref().filter(|sas| sas.ss_size != 0) {
        const SS_AUTODISARM: u32 = 1 << 31;
        let flags = if sas.ss_flags & libc::SS_DISABLE as u32 != 0 {
            libc::SS_DISABLE as u32
        } else {
            sas.ss_flags & SS_AUTODISARM
        };
        let stack = batch.words(&[sas.ss_sp, flags.into(), sas.ss_size]);
        batch.call("sigaltstack", libc::SYS_sigaltstack, &[stack.into(), 0.into()]);
    }
    if !lazy::has_left_rseq(&build.snapshot.tasks[index], nth) {
        register_rseq(&mut batch, core);
    }
    // What the container's user may not do: more than it began with, unless its limits or capabilities allow it.
    build.with_only(&mut batch, build.policy.ceiling(), |batch| {
        if let Some(nice) = state.sched_nice {
            batch.call_may_fail("setpriority", libc::SYS_setpriority, &[0.into(), 0.into(), nice.into()]);
        }
        let policy = state.sched_policy.filter(|policy| ![0, SCHED_DEADLINE].contains(policy));
        if let Some(policy) = policy {
            let priority = batch.words(&[state.sched_prio.unwrap_or(0).into()]);
            batch.call(
                "sched_setscheduler",
                libc::SYS_sched_setscheduler,
                &[0.into(), policy.into(), priority.into()],
            );
        }
    });
    if let Some(queue) = &state.signals_p {
        let task = &build.snapshot.tasks[index];
        let pid = task.entry.pid;
        for info in signals_to_send(queue, task) {
            let place = batch.bytes(info);
            let signal = u32::from_le_bytes(info[..4].try_into().expect("four bytes"));
            let arguments = [pid.into(), tid.into(), signal.into(), place.into()];
            batch.call("rt_tgsigqueueinfo", libc::SYS_rt_tgsigqueueinfo, &arguments);
        }
    }
    build.run_thread(index, nth, &batch)?;
    Ok(())
}

/// Adds rseq(2), which lets the kernel write to its area.
pub(super) fn register_rseq(batch: &mut Batch, core: &CoreEntry) {
    let rseq = core.thread_core.as_ref().and_then(|state| state.rseq_entry.as_ref());
    if let Some(rseq) = rseq.filter(|rseq| rseq.rseq_abi_pointer != 0) {
        let arguments =
            [rseq.rseq_abi_pointer.into(), rseq.rseq_abi_size.into(), 0.into(), rseq.signature.into()];
        batch.call("rseq", libc::SYS_rseq, &arguments);
    }
}

/// From outside: the container's /proc is not to be written through. What the first task was made with is the least,
/// unless the container may go below it.
fn adjust_oom_score(build: &Build<'_>, task: &Task, tids: &BTreeMap<u32, i32>) -> Result<()> {
    let Some(score) = task.threads[0].tc.as_ref().and_then(|core| core.oom_score_adj) else { return Ok(()) };
    let file = format!("/proc/{}/oom_score_adj", host_tid(tids, task.entry.pid)?);
    let now = std::fs::read_to_string(&file).at(|| format!("read {file}"))?;
    let least = now.trim().parse().unwrap_or(0);
    if score == least || score < least && !build.policy.can_have(policy::SYS_RESOURCE) {
        return Ok(());
    }
    match std::fs::write(&file, score.to_string()) {
        // Lowering it wants CAP_SYS_RESOURCE, which we may lack, as whoever made the container.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        result => result.at(|| format!("write {score} to {file}")),
    }
}

/// Bytes of a file of the images.
pub(super) fn read(file: &File, at: u64, len: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, at).at(|| "read an image".to_owned())?;
    Ok(bytes)
}

/// Where and how eagerly a thread runs. After credentials: what its own do not allow, like the realtime class of I/O, stays
/// as it was given to the container.
fn schedule(build: &mut Build<'_>, index: usize, task: &Task) -> Result<()> {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    for (nth, tid) in task.entry.threads.iter().enumerate() {
        let Some(side) = build.snapshot.side.thread(*tid) else { continue };
        let mut batch = Batch::new();
        if let Some(mask) = side.cpu_mask() {
            // None of them may be there, or in the new cgroup.
            let mask_at = batch.words(&mask);
            let arguments = [0.into(), (mask.len() * 8).into(), mask_at.into()];
            batch.call_may_fail("sched_setaffinity", libc::SYS_sched_setaffinity, &arguments);
        }
        if let Some(slack) = side.timer_slack_ns {
            let arguments = [libc::PR_SET_TIMERSLACK.into(), slack.into(), 0.into(), 0.into(), 0.into()];
            batch.call("PR_SET_TIMERSLACK", libc::SYS_prctl, &arguments);
        }
        if let Some(priority) = side.io_priority {
            let arguments = [IOPRIO_WHO_PROCESS.into(), 0.into(), priority.into()];
            batch.call_may_fail("ioprio_set", libc::SYS_ioprio_set, &arguments);
        }
        let core = task.threads.get(nth).and_then(|core| core.thread_core.as_ref());
        if let (Some(attributes), Some(core)) = (&side.scheduling, core) {
            let (policy, nice) = (core.sched_policy.unwrap_or(0), core.sched_nice.unwrap_or(0));
            attributes.set(&mut batch, policy, nice, core.sched_prio.unwrap_or(0));
        }
        if let Some(policy) = &side.memory_policy {
            policy.set(&mut batch);
        }
        for (setting, value) in &side.prctl {
            setting.set(&mut batch, *value);
        }
        build.run_thread(index, nth, &batch)?;
    }
    Ok(())
}

/// What begins to act at once, and what would hinder the steps before: timers, limits.
pub(super) fn arm(build: &mut Build<'_>) -> Result<()> {
    for (index, task) in build.living() {
        schedule(build, index, task)?;
        let Some(core) = task.threads[0].tc.as_ref() else { continue };
        let mut batch = Batch::new();
        if let Some(timers) = &core.timers {
            for (which, timer) in [(0, &timers.real), (1, &timers.virt), (2, &timers.prof)] {
                arm_interval_timer(&mut batch, which, timer);
            }
            if !timers.posix.is_empty() {
                make_timers(build, index, task, &timers.posix)?;
            }
        }
        let entries = task.ids().and_then(|ids| build.snapshot.tables.get(&ids.files_id));
        for entry in entries.into_iter().flatten() {
            let file = build.snapshot.files.iter().find(|file| file.id == entry.id);
            let Some(timer) = file.and_then(|file| file.tfd.as_deref()) else { continue };
            let times = batch.words(&[timer.isec, timer.insec, timer.vsec, timer.vnsec]);
            batch.call(
                "timerfd_settime",
                libc::SYS_timerfd_settime,
                &[entry.fd.into(), 0.into(), times.into(), 0.into()],
            );
            if timer.ticks != 0 {
                const TFD_IOC_SET_TICKS: u64 = 0x4008_5400;
                let ticks = batch.words(&[timer.ticks]);
                batch.call(
                    "TFD_IOC_SET_TICKS",
                    libc::SYS_ioctl,
                    &[entry.fd.into(), TFD_IOC_SET_TICKS.into(), ticks.into()],
                );
            }
        }
        limit(build.policy, &mut batch, core.rlimits.as_ref().map_or(&[], |limits| &limits.rlimits));
        // Its memory is complete: they can forbid what was done to it.
        let side = build.snapshot.side.process(task.entry.pid);
        for (setting, value) in side.iter().flat_map(|side| &side.prctl) {
            setting.set(&mut batch, *value);
        }
        if let Some(flags) = side.and_then(|side| side.locks_memory) {
            batch.call("mlockall", libc::SYS_mlockall, &[flags.into()]);
        }
        build.run(index, &batch)?;
    }
    Ok(())
}

/// When a timer must have expired for the first time, to have as many overruns by now and to expire next when it would have:
/// seconds and nanoseconds of its clock. So it sends its signal at once, and goes on counting as it did.
fn first_expiry(
    build: &mut Build<'_>,
    index: usize,
    timer: &PosixTimerEntry,
    overruns: u32,
) -> Result<[u64; 2]> {
    let mut batch = Batch::new();
    let place = batch.space(16);
    batch.call("clock_gettime", libc::SYS_clock_gettime, &[timer.clock_id.into(), place.into()]);
    let outcome = build.run(index, &batch)?;
    let time = |seconds: u64, nanoseconds: u64| i128::from(seconds) * NANOSECONDS + i128::from(nanoseconds);
    let now = time(outcome.u64(place), outcome.u64(place.plus(8)));
    let next = now + time(timer.vsec, timer.vnsec);
    // A clock that began later than that has fewer.
    let first = (next - interval(timer) * (i128::from(overruns) + 1)).min(now).max(1);
    Ok([(first / NANOSECONDS) as u64, (first % NANOSECONDS) as u64])
}

/// Makes timers of timer_create(2) with the numbers that they had, and arms them.
fn make_timers(build: &mut Build<'_>, index: usize, task: &Task, timers: &[PosixTimerEntry]) -> Result<()> {
    let by_number = |on: u32| [PR_TIMER_CREATE_RESTORE_IDS.into(), on.into(), 0.into(), 0.into(), 0.into()];
    let mut batch = Batch::new();
    let asked = batch.call_may_fail("PR_TIMER_CREATE_RESTORE_IDS", libc::SYS_prctl, &by_number(1));
    let is_by_number = build.run(index, &batch)?.result(asked).is_ok();

    let mut timers: Vec<&PosixTimerEntry> = timers.iter().collect();
    timers.sort_by_key(|timer| timer.it_id);
    let last = timers.last().map_or(0, |timer| timer.it_id);
    if !is_by_number && last >= TIMER_NUMBERS {
        return Err(Error::new(format!(
            "task {}: timer {last}: a number of {TIMER_NUMBERS} or more needs Linux 6.15",
            task.entry.pid
        )));
    }
    let mut batch = Batch::new();
    let mut next = 0;
    for timer in timers {
        // FIXME: remove when 6.15 is the oldest supported kernel. Older ones count a process's timers from 0.
        for number in next..if is_by_number { 0 } else { timer.it_id } {
            create_timer(&mut batch, timer, number);
            batch.call("timer_delete", libc::SYS_timer_delete, &[number.into()]);
        }
        next = timer.it_id.saturating_add(1);
        create_timer(&mut batch, timer, timer.it_id);
        let (flags, [vsec, vnsec]) = match overruns(timer, task) {
            Some(overruns) => (libc::TIMER_ABSTIME, first_expiry(build, index, timer, overruns)?),
            None => (0, [timer.vsec, timer.vnsec]),
        };
        let times = batch.words(&[timer.isec, timer.insec, vsec, vnsec]);
        let arguments = [timer.it_id.into(), flags.into(), times.into(), 0.into()];
        batch.call("timer_settime", libc::SYS_timer_settime, &arguments);
    }
    if is_by_number {
        // Or timer_create(2) would take what it finds in the program's variable for a number.
        batch.call("PR_TIMER_CREATE_RESTORE_IDS", libc::SYS_prctl, &by_number(0));
    }
    build.run(index, &batch)?;
    Ok(())
}

fn create_timer(batch: &mut Batch, timer: &PosixTimerEntry, number: u32) {
    // struct sigevent: value, signal, how, thread
    let mut event = timer.sival_ptr.to_le_bytes().to_vec();
    event.extend_from_slice(&timer.si_signo.to_le_bytes());
    event.extend_from_slice(&timer.it_sigev_notify.to_le_bytes());
    event.extend_from_slice(&timer.notify_thread_id.unwrap_or(0).to_le_bytes());
    event.resize(64, 0);
    let event = batch.bytes(&event);
    let id = batch.bytes(&number.to_le_bytes());
    batch.call("timer_create", libc::SYS_timer_create, &[timer.clock_id.into(), event.into(), id.into()]);
}

/// Limits of the images, cut to those of the policy, which are there in any case.
fn limit(policy: &Policy, batch: &mut Batch, limits: &[RlimitEntry]) {
    for resource in 0..RESOURCES {
        let own = limits.get(resource as usize).map(|limit| (limit.cur, limit.max));
        let most = policy.rlimits.iter().find(|(which, _)| *which == resource).map(|(_, most)| *most);
        let (cur, max) = match (own, most) {
            (Some((cur, max)), most) => (cur, most.map_or(max, |most| most.min(max))),
            (None, Some(most)) => (most, most),
            (None, None) => continue,
        };
        let place = batch.words(&[cur.min(max), max]);
        let arguments = [resource.into(), place.into()];
        // A hard limit is not raised without CAP_SYS_RESOURCE; then the one that the container was given stays. But that
        // of the policy is one that it must get.
        match most {
            Some(_) => batch.call("setrlimit", libc::SYS_setrlimit, &arguments),
            None => batch.call_may_fail("setrlimit", libc::SYS_setrlimit, &arguments),
        };
    }
}

fn arm_interval_timer(batch: &mut Batch, which: i32, timer: &ItimerEntry) {
    if timer.vsec != 0 || timer.vusec != 0 {
        let times = batch.words(&[timer.isec, timer.iusec, timer.vsec, timer.vusec]);
        batch.call("setitimer", libc::SYS_setitimer, &[which.into(), times.into(), 0.into()]);
    }
}
