//! A task as its images have it: everything of a process and its threads but memory and files.

use crate::arch;
use crate::credentials::{self, IdMaps};
use crate::error::Result;
use crate::keys::KeysQuestion;
use crate::prctl::{self, SettingsQuestion};
use crate::proc::{self, Mapping, Stat};
use crate::scheduling::SchedulingQuestion;
use crate::signals::{self, ActionsQuestion, AltstackQuestion};
use crate::snapshot::{ProcessSide, TaskState, ThreadSide};
use crate::timers::TimersQuestion;
use crate::tree::{Member, Stopped};
use images::messages::{
    CoreEntry, Lsmtype, RlimitEntry, RseqEntry, SeccompMode, TaskCoreEntry, TaskRlimitsEntry,
    TaskTimersEntry, ThreadCoreEntry,
};
use inject::{Batch, Call, Outcome, Place, ThreadState};
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

/// Numbers of threads in the container by those in our pid namespace.
pub(crate) type Numbers = BTreeMap<i32, u32>;

/// The one batch that a thread gets, and where its answers will be.
#[derive(Debug)]
pub(crate) struct Questions {
    pub(crate) batch: Batch,
    altstack: AltstackQuestion,
    tid_address: Place,
    pdeath_signal: Place,
    robust_list: Place,
    securebits: Call,
    timer_slack: Call,
    io_priority: Call,
    settings: SettingsQuestion,
    scheduling: SchedulingQuestion,
    /// Of the leader.
    process: Option<ProcessQuestions>,
}

/// What is asked once in a process.
#[derive(Debug)]
struct ProcessQuestions {
    actions: ActionsQuestion,
    timers: TimersQuestion,
    subreaper: Place,
    dumpable: Call,
    brk: Call,
    membarrier: MembarrierQuestion,
    keys: KeysQuestion,
    permitted_components: Place,
    settings: SettingsQuestion,
    names: Place,
    clocks: Place,
}

/// Answers that belong to others than the core.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) brk: u64,
    pub(crate) dumpable: i32,
    pub(crate) host_name: Vec<u8>,
    pub(crate) domain_name: Vec<u8>,
    /// CLOCK_MONOTONIC and CLOCK_BOOTTIME: seconds and nanoseconds.
    pub(crate) clocks: [[u64; 2]; 2],
}

/// ioprio_get(2)
const IOPRIO_WHO_PROCESS: i32 = 1;

/// Bytes of a member of struct utsname.
const NAME: usize = 65;

impl Questions {
    pub(crate) fn of_thread() -> Questions {
        let mut batch = Batch::new();
        let ask = |batch: &mut Batch, name, option: i32| {
            let place = batch.space(8);
            batch.call(name, libc::SYS_prctl, &[option.into(), place.into(), 0.into(), 0.into(), 0.into()]);
            place
        };
        let altstack = AltstackQuestion::ask(&mut batch);
        let tid_address = ask(&mut batch, "prctl PR_GET_TID_ADDRESS", libc::PR_GET_TID_ADDRESS);
        let pdeath_signal = ask(&mut batch, "prctl PR_GET_PDEATHSIG", libc::PR_GET_PDEATHSIG);
        let robust_list = batch.space(16);
        let arguments = [0.into(), robust_list.into(), robust_list.plus(8).into()];
        batch.call("get_robust_list", libc::SYS_get_robust_list, &arguments);
        let securebits =
            batch.call("prctl PR_GET_SECUREBITS", libc::SYS_prctl, &[libc::PR_GET_SECUREBITS.into()]);
        let timer_slack =
            batch.call("prctl PR_GET_TIMERSLACK", libc::SYS_prctl, &[libc::PR_GET_TIMERSLACK.into()]);
        let io_priority =
            batch.call_may_fail("ioprio_get", libc::SYS_ioprio_get, &[IOPRIO_WHO_PROCESS.into(), 0.into()]);
        let settings = SettingsQuestion::ask(&mut batch, &prctl::OF_THREAD);
        let scheduling = SchedulingQuestion::ask(&mut batch);
        Questions {
            batch,
            altstack,
            tid_address,
            pdeath_signal,
            robust_list,
            securebits,
            timer_slack,
            io_priority,
            settings,
            scheduling,
            process: None,
        }
    }

    pub(crate) fn of_leader(member: &Member) -> Result<Questions> {
        let mut questions = Questions::of_thread();
        let batch = &mut questions.batch;
        let actions = ActionsQuestion::ask(batch);
        let leader = &member.threads[0];
        let pending = [leader.pending_of_process.as_slice(), leader.pending.as_slice()];
        let timers = TimersQuestion::ask(batch, proc::posix_timers(member.pid)?, pending);
        let subreaper = batch.space(8);
        let arguments = [libc::PR_GET_CHILD_SUBREAPER.into(), subreaper.into()];
        batch.call("prctl PR_GET_CHILD_SUBREAPER", libc::SYS_prctl, &arguments);
        let dumpable = batch.call("prctl PR_GET_DUMPABLE", libc::SYS_prctl, &[libc::PR_GET_DUMPABLE.into()]);
        let brk = batch.call("brk", libc::SYS_brk, &[0.into()]);
        let membarrier = MembarrierQuestion::ask(batch);
        let keys = KeysQuestion::ask(batch);
        let permitted_components = arch::ask_for_permitted_components(batch);
        let settings = SettingsQuestion::ask(batch, &prctl::OF_PROCESS);
        let names = batch.space(6 * NAME);
        batch.call("uname", libc::SYS_uname, &[names.into()]);
        let clocks = batch.space(32);
        for (nth, clock) in [libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME].into_iter().enumerate() {
            let to = clocks.plus(nth * 16);
            batch.call("clock_gettime", libc::SYS_clock_gettime, &[clock.into(), to.into()]);
        }
        questions.process = Some(ProcessQuestions {
            actions,
            timers,
            subreaper,
            dumpable,
            brk,
            membarrier,
            keys,
            permitted_components,
            settings,
            names,
            clocks,
        });
        Ok(questions)
    }

    /// What images have no place for. `cpus` are those that a thread of this container gets when it does not choose.
    pub(crate) fn thread_side(&self, thread: &Stopped, outcome: &Outcome, cpus: &str) -> ThreadSide {
        /// Of every thread that did not ask for another, in nanoseconds (init_task); one of realtime has none.
        const TIMER_SLACKS: [u64; 2] = [0, 50_000];
        /// IOPRIO_CLASS_NONE: by its nice value.
        const NO_CLASS: u64 = 0;
        let timer_slack = outcome.result(self.timer_slack).ok();
        let io_priority = outcome.result(self.io_priority).ok();
        ThreadSide {
            cpus: (thread.status.cpus != cpus).then(|| thread.status.cpus.clone()),
            timer_slack_ns: timer_slack.filter(|slack| !TIMER_SLACKS.contains(slack)),
            io_priority: io_priority.filter(|it| it >> 13 != NO_CLASS).map(|priority| priority as u32),
            tiles: arch::tiles(&thread.extended_state),
            scheduling: self.scheduling.attributes(outcome),
            memory_policy: self.scheduling.memory_policy(outcome),
            prctl: self.settings.answer(outcome),
        }
    }

    /// The same of a leader.
    pub(crate) fn process_side(&self, mappings: &[Mapping], outcome: &Outcome) -> ProcessSide {
        let process = self.process.as_ref().expect("asked of the leader");
        let (protection_keys, protected) = process.keys.answer(mappings, outcome);
        let on_fault = mappings.iter().filter(|mapping| mapping.is_locked_on_fault());
        ProcessSide {
            permitted_components: arch::asked_for(outcome.u64(process.permitted_components)),
            protection_keys,
            protected,
            undo: Vec::new(),
            locked_on_fault: on_fault.map(|mapping| mapping.start).collect(),
            locks_memory: None,
            prctl: process.settings.answer(outcome),
        }
    }

    /// Timers of a leader, whose signals for threads have no receivers yet.
    pub(crate) fn timers(&self, outcome: &Outcome) -> TaskTimersEntry {
        self.process.as_ref().expect("asked of the leader").timers.answer(outcome, |_| None)
    }

    /// Of a leader.
    pub(crate) fn answers(&self, outcome: &Outcome) -> Answers {
        let process = self.process.as_ref().expect("asked of the leader");
        let name = |nth: usize| {
            let bytes = outcome.bytes(process.names.plus(nth * NAME), NAME);
            bytes.iter().copied().take_while(|byte| *byte != 0).collect()
        };
        let word = |word: usize| outcome.u64(process.clocks.plus(word * 8));
        Answers {
            brk: outcome.result(process.brk).unwrap_or_default(),
            dumpable: outcome.result(process.dumpable).unwrap_or_default() as i32,
            host_name: name(1),
            domain_name: name(5),
            clocks: [[word(0), word(1)], [word(2), word(3)]],
        }
    }
}

/// What is the same for all tasks of a dump.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) numbers: &'a Numbers,
    pub(crate) maps: &'a IdMaps,
    pub(crate) security_module: Lsmtype,
}

/// The core of a thread, which is the nth of `member`. What is numbered over all tasks, its filter and its cgroup, is not
/// in it.
pub(crate) fn core(
    member: &Member,
    nth: usize,
    questions: &Questions,
    outcome: &Outcome,
    context: &Context<'_>,
) -> Result<CoreEntry> {
    let (thread, state) = (&member.threads[nth], &member.state_of(nth));
    let memory = |at: u64, bytes: &mut [u8]| member.memory().read_exact_at(bytes, at).is_ok();
    let tid_address = outcome.u64(questions.tid_address);
    let info = arch::thread_info(&state.registers, &thread.extended_state, tid_address, &memory);
    let tc = match &questions.process {
        Some(process) => Some(task_core(member, state, process, outcome, context)?),
        None => None,
    };
    Ok(CoreEntry {
        mtype: arch::MARCH as i32,
        thread_info: Some(info),
        tc,
        thread_core: Some(thread_core(thread, state, questions, outcome, context)?),
        ..CoreEntry::default()
    })
}

fn thread_core(
    thread: &Stopped,
    state: &ThreadState,
    questions: &Questions,
    outcome: &Outcome,
    context: &Context<'_>,
) -> Result<ThreadCoreEntry> {
    let stat = Stat::of(thread.tid)?;
    let securebits = outcome.result(questions.securebits).unwrap_or_default() as u32;
    let label = credentials::label(thread.tid, context.security_module);
    let is_realtime = [libc::SCHED_FIFO, libc::SCHED_RR].contains(&(stat.policy as i32));
    let pdeath_signal = outcome.u32(questions.pdeath_signal);
    let seccomp = Some(thread.status.seccomp as i32).filter(|mode| *mode != SeccompMode::Disabled as i32);
    Ok(ThreadCoreEntry {
        futex_rla: outcome.u64(questions.robust_list),
        futex_rla_len: outcome.u32(questions.robust_list.plus(8)),
        sched_nice: Some(stat.nice),
        sched_policy: Some(stat.policy),
        sched_prio: is_realtime.then_some(stat.rt_priority),
        blk_sigset: Some(state.signal_mask),
        sas: Some(questions.altstack.answer(outcome)),
        pdeath_sig: (pdeath_signal != 0).then_some(pdeath_signal),
        signals_p: Some(signals::queue(&thread.pending)),
        creds: Some(credentials::credentials(&thread.status, securebits, context.maps, label)),
        seccomp_mode: seccomp,
        comm: Some(comm(thread.tid)?),
        rseq_entry: (thread.rseq.address != 0).then_some(RseqEntry {
            rseq_abi_pointer: thread.rseq.address,
            rseq_abi_size: thread.rseq.size,
            signature: thread.rseq.signature,
            // The section was aborted when the thread was stopped.
            rseq_cs_pointer: None,
        }),
        ..ThreadCoreEntry::default()
    })
}

fn task_core(
    member: &Member,
    state: &ThreadState,
    questions: &ProcessQuestions,
    outcome: &Outcome,
    context: &Context<'_>,
) -> Result<TaskCoreEntry> {
    let pid = member.pid;
    let number = |file: &str| -> Option<String> {
        Some(std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?.trim().to_owned())
    };
    let personality = number("personality").and_then(|text| u32::from_str_radix(&text, 16).ok()).unwrap_or(0);
    let limits = proc::limits(pid)?.into_iter().map(|(cur, max)| RlimitEntry { cur, max }).collect();
    let leader = &member.threads[0];
    Ok(TaskCoreEntry {
        task_state: member.state as u32,
        exit_code: 0,
        personality,
        flags: member.stat.flags,
        blk_sigset: state.signal_mask,
        comm: comm(pid)?,
        timers: Some(questions.timers.answer(outcome, |tid| context.numbers.get(&tid).copied())),
        rlimits: Some(TaskRlimitsEntry { rlimits: limits }),
        signals_s: Some(signals::queue(&questions.timers.complete(outcome, &leader.pending_of_process))),
        // A kernel without auditing has no such file.
        loginuid: number("loginuid").and_then(|text| text.parse().ok()),
        oom_score_adj: number("oom_score_adj").and_then(|text| text.parse().ok()),
        sigactions: questions.actions.answer(outcome),
        child_subreaper: Some(outcome.u32(questions.subreaper) != 0),
        stop_signo: (member.state == TaskState::Stopped).then_some(member.stop_signal as u32),
        membarrier_registration_mask: Some(questions.membarrier.answer(outcome)).filter(|mask| *mask != 0),
        ..TaskCoreEntry::default()
    })
}

/// What a process has registered for with membarrier(2).
#[derive(Debug)]
struct MembarrierQuestion {
    registrations: Call,
    /// Each by its command, which EPERM answers where it is not registered.
    probes: [(u32, Call); 3],
}

impl MembarrierQuestion {
    const REGISTER_GLOBAL_EXPEDITED: u32 = 1 << 2;
    /// PRIVATE_EXPEDITED, its SYNC_CORE, its RSEQ. The command to register is the next bit.
    const PRIVATE: [u32; 3] = [1 << 3, 1 << 5, 1 << 7];
    const GET_REGISTRATIONS: u32 = 1 << 9;

    fn ask(batch: &mut Batch) -> MembarrierQuestion {
        let mut call = |command: u32| {
            batch.call_may_fail("membarrier", libc::SYS_membarrier, &[command.into(), 0.into(), 0.into()])
        };
        MembarrierQuestion {
            registrations: call(Self::GET_REGISTRATIONS),
            probes: Self::PRIVATE.map(|command| (command << 1, call(command))),
        }
    }

    fn answer(&self, outcome: &Outcome) -> u32 {
        if let Ok(registrations) = outcome.result(self.registrations) {
            return registrations as u32;
        }
        // FIXME: remove when 6.3 is the oldest supported kernel. Nothing tells about GLOBAL_EXPEDITED before; who is
        // registered without need only takes part in barriers.
        let is_registered = |(_, probe): &&(u32, Call)| outcome.result(*probe).is_ok();
        let private = self.probes.iter().filter(is_registered).map(|(register, _)| register);
        private.fold(Self::REGISTER_GLOBAL_EXPEDITED, |mask, register| mask | register)
    }
}

/// The core of a process that has ended and was not waited for.
pub(crate) fn zombie(member: &Member) -> Result<CoreEntry> {
    let tc = TaskCoreEntry {
        task_state: TaskState::Zombie as u32,
        exit_code: member.stat.exit_code,
        flags: member.stat.flags,
        comm: comm(member.pid)?,
        ..TaskCoreEntry::default()
    };
    Ok(CoreEntry { mtype: arch::MARCH as i32, tc: Some(tc), ..CoreEntry::default() })
}

fn comm(pid: i32) -> Result<Vec<u8>> {
    let mut name = proc::read(format!("/proc/{pid}/comm"))?.into_bytes();
    name.pop();
    Ok(name)
}
