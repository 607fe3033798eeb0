//! The processes of a container: found, stopped, and let go again.
//!
//! The order is freeze, seize, thaw: frozen tasks cannot fork while they are being seized, but they do stop for ptrace(2);
//! once they are stopped, the freezer would keep them from running the stub. Whatever ends a dump early, `Tree` undoes:
//! the stub is taken out, the tasks go on, and a container that was paused is paused again.

use crate::check::{PATIENCE, strangers};
use crate::error::{At, Error, Result};
use crate::guardian::{Guardian, Limit};
use crate::proc::{self, Stat, Status};
use crate::release::Half;
use crate::shared::Sorted;
use crate::snapshot::TaskState;
use crate::target::Target;
use cgroup::Cgroup;
use images::messages::SeccompMode;
use inject::{Process, RseqConfiguration, Signals, Stop, Supervisor, Thread, ThreadState};
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::inspect::{Shared, kcmp};

/// For a task that sits in an uninterruptible read from a slow disk.
const STOP: Duration = Duration::from_secs(10);

/// A stopped container.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    /// Parents before children.
    pub(crate) members: Vec<Member>,
    cgroup: Option<&'a Cgroup>,
    is_paused: bool,
    /// The tasks are frozen beside being stopped.
    is_still: bool,
    guardian: Option<Guardian>,
    is_done: bool,
}

/// A process.
#[derive(Debug)]
pub(crate) struct Member {
    /// In our pid namespace, as all ids of this crate are where it says nothing else.
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    /// Where its parent is in the tree; the first has none.
    pub(crate) parent: Option<usize>,
    pub(crate) stat: Stat,
    /// Of its leader, before it was seized.
    pub(crate) status: Status,
    pub(crate) state: TaskState,
    /// The signal that has stopped it, for one that is.
    pub(crate) stop_signal: i32,
    /// The leader first; none of a zombie.
    pub(crate) threads: Vec<Stopped>,
    /// Seized, but not entered yet.
    seized: Vec<Thread>,
    process: Option<Process>,
}

/// What only a thread that is stopped shows.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) tid: i32,
    pub(crate) status: Status,
    pub(crate) extended_state: Vec<u8>,
    pub(crate) pending: Signals,
    /// Pending for the process; of the leader only.
    pub(crate) pending_of_process: Signals,
    pub(crate) rseq: RseqConfiguration,
    /// Programs and flags, the oldest first.
    pub(crate) filters: Vec<(Vec<u8>, u64)>,
}

impl<'a> Tree<'a> {
    /// Stops all processes of a container.
    ///
    /// # Errors
    /// Everything is as it was before.
    pub(crate) fn stop(target: &Target<'a>) -> Result<Tree<'a>> {
        let guardian = Some(Guardian::new(target.cgroup, target.is_paused)?);
        let mut tree = Tree {
            members: Vec::new(),
            cgroup: target.cgroup,
            is_paused: target.is_paused,
            is_still: false,
            guardian,
            is_done: false,
        };
        tree.freeze(target.init)?;
        tree.seize(target.init)?;
        if let Some(cgroup) = tree.cgroup {
            let is_known = |pid| tree.members.iter().any(|member| member.pid == pid);
            if let Some(stranger) = strangers(cgroup, is_known)?.first() {
                return Err(Error::new(stranger.to_string()));
            }
            cgroup.thaw()?;
        }
        Ok(tree)
    }

    /// Puts the stub into every process.
    pub(crate) fn enter(&mut self, supervisor: &Supervisor) -> Result<()> {
        for member in self.members.iter_mut().filter(|member| member.state != TaskState::Zombie) {
            let guardian = self.guardian.as_ref().expect("until it is let go");
            let raised = raise_limits(member, guardian)?;
            let threads = std::mem::take(&mut member.seized);
            let entered = Process::enter(supervisor, member.pid, threads);
            put_back(&raised)?;
            member.process = Some(entered?);
        }
        Ok(())
    }

    /// Freezes the tasks, which are stopped: should we die, they stay where they are until the guardian has put right what it
    /// was told of. They work on no batch any more.
    pub(crate) fn keep_still(&mut self) -> Result<()> {
        if let Some(cgroup) = self.cgroup {
            self.is_still = true;
            cgroup.freeze()?;
        }
        Ok(())
    }

    /// Lets the container go on as if nothing had happened.
    pub(crate) fn resume(mut self) -> Result<()> {
        self.let_go(None)
    }

    /// Lets the container go on, but leaves each of its processes stopped by SIGSTOP.
    pub(crate) fn leave_stopped(mut self) -> Result<()> {
        self.let_go(Some(libc::SIGSTOP))
    }

    /// Has the guardian complete a kill. Links are part of the dump from now on, and that nobody runs who could use its
    /// connections.
    pub(crate) fn condemn(&self, target: &Target<'_>) -> Result<()> {
        self.guardian().note_kill(target.pidfd)?;
        self.descendants().try_for_each(|member| self.guardian().note_kill(member.pidfd.as_fd()))
    }

    /// Those that nothing ends together with the first, if they are in no pid namespace of their own.
    fn descendants(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().skip(1).filter(|_| self.cgroup.is_none())
    }

    /// Ends all processes of a tree that is condemned. None of them runs again. `half` is what one of them gives up itself.
    pub(crate) fn kill(mut self, target: &Target<'_>, half: Option<&Half>) -> Result<()> {
        self.is_done = true;
        if let Some(half) = half {
            half.begin(&mut self.members);
        }
        let killed = match self.cgroup {
            Some(cgroup) => cgroup.kill().map_err(Error::from),
            None => sys::process::pidfd_send_signal(target.pidfd, libc::SIGKILL)
                .at(|| format!("kill task {}", target.init)),
        };
        for member in self.descendants() {
            // They may have ended with the first.
            let _ = sys::process::pidfd_send_signal(member.pidfd.as_fd(), libc::SIGKILL);
        }
        drop(self.guardian.take());
        killed?;
        if let Some(half) = half {
            half.complete(&self.members);
        }
        self.wait_for_the_dead();
        Ok(())
    }

    /// A tracer is told of the death of each thread that it has traced; only then do others get to reap it. In which order
    /// they die is the kernel's: the last thread of a pid namespace's first process waits for all the others.
    fn wait_for_the_dead(&self) {
        let processes = self.members.iter().filter_map(|member| member.process.as_ref());
        let mut threads: Vec<&Thread> =
            processes.flat_map(Process::threads).map(|(thread, _)| thread).collect();
        let deadline = Instant::now() + STOP;
        while !threads.is_empty() && Instant::now() < deadline {
            threads.retain(|thread| thread.poll().is_ok());
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    pub(crate) fn guardian(&self) -> &Guardian {
        self.guardian.as_ref().expect("until it is let go")
    }

    /// Freezes the cgroup, at a moment in which no child of vfork(2) shares its parent's memory: such a parent cannot be
    /// stopped.
    fn freeze(&self, init: i32) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause_ms = 1;
        loop {
            if let Some(cgroup) = self.cgroup.filter(|_| !self.is_paused) {
                cgroup.freeze()?;
            }
            let Some((pid, other)) = sharing_memory(init) else { return Ok(()) };
            if self.is_paused || Instant::now() > deadline {
                return Err(Error::new(format!("task {pid}: it shares its memory with task {other}")));
            }
            if let Some(cgroup) = self.cgroup {
                cgroup.thaw()?;
            }
            std::thread::sleep(Duration::from_millis(pause_ms));
            // Not in step with who makes such children all the time.
            pause_ms = 1 + (pause_ms + 6) % 20;
        }
    }

    /// Seizes until nothing new is found: without a cgroup of its own, a container forks meanwhile.
    fn seize(&mut self, init: i32) -> Result<()> {
        while self.seize_new(init)? {}
        for member in self.members.iter_mut().filter(|member| member.state != TaskState::Zombie) {
            member.look()?;
        }
        Ok(())
    }

    fn seize_new(&mut self, init: i32) -> Result<bool> {
        let mut is_new = false;
        let mut found = vec![(init, None)];
        while let Some((pid, parent)) = found.pop() {
            let known = self.members.iter().position(|member| member.pid == pid);
            let at = match known {
                Some(at) => at,
                None => {
                    is_new = true;
                    // Gone, or a zombie at the next look.
                    let Some(member) = Member::find(pid, parent)? else { continue };
                    self.members.push(member);
                    self.members.len() - 1
                }
            };
            if self.members[at].state == TaskState::Zombie {
                continue;
            }
            match self.members[at].seize_new_threads() {
                // It has ended before it was stopped.
                Err(_) if known.is_none() && parent.is_some() && self.members[at].has_ended() => {
                    self.members.pop();
                    continue;
                }
                seized => is_new |= seized?,
            }
            // The last is taken first, so that the tree is in the order of births.
            found.extend(proc::children(pid)?.into_iter().rev().map(|child| (child, Some(at))));
        }
        Ok(is_new)
    }

    /// `signal` is what every process gets before it runs anything of its own.
    fn let_go(&mut self, signal: Option<i32>) -> Result<()> {
        self.is_done = true;
        let mut result = Ok(());
        if let Some(cgroup) = self.cgroup.filter(|_| self.is_still) {
            cgroup.thaw()?;
        }
        let mut threads = Vec::new();
        for member in &mut self.members {
            threads.append(&mut member.seized);
            match member.process.take().map(Process::leave) {
                Some(Ok(left)) => threads.extend(left),
                // It finds its way home when we end.
                Some(Err(error)) => result = Err(error.into()),
                None => {}
            }
        }
        if let Some(signal) = signal {
            for member in self.members.iter().filter(|member| member.state != TaskState::Zombie) {
                let sent = sys::process::pidfd_send_signal(member.pidfd.as_fd(), signal);
                result = result.and(sent.at(|| format!("task {}: send signal {signal}", member.pid)));
            }
        }
        // Before they run: tasks that are stopped for us count as frozen.
        let freezer = match self.cgroup {
            Some(cgroup) if self.is_paused => cgroup.freeze(),
            Some(cgroup) => cgroup.thaw(),
            None => Ok(()),
        };
        for thread in threads {
            if let Err(error) = thread.detach()
                && !error.has_ended()
            {
                result = Err(error.into());
            }
        }
        freezer?;
        drop(self.guardian.take());
        result
    }
}

impl Drop for Tree<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            // What has brought us here is told; a second error would hide it.
            let _ = self.let_go(None);
        }
    }
}

impl Member {
    /// `None` when it has ended meanwhile.
    fn find(pid: i32, parent: Option<usize>) -> Result<Option<Member>> {
        let pidfd = match sys::process::pidfd_open(pid) {
            Ok(pidfd) => pidfd,
            Err(errno) if errno.raw() == libc::ESRCH && parent.is_some() => return Ok(None),
            Err(errno) => return Err(Error::of_kernel(format!("task {pid}: open"), errno)),
        };
        let (stat, status) = match (Stat::of(pid), Status::of(pid)) {
            (Err(_), _) | (_, Err(_)) if parent.is_some() && has_ended(&pidfd) => return Ok(None),
            (stat, status) => (stat?, status?),
        };
        let state = if stat.state == 'Z' { TaskState::Zombie } else { TaskState::Alive };
        let (threads, seized) = (Vec::new(), Vec::new());
        Ok(Some(Member {
            pid,
            pidfd,
            parent,
            stat,
            status,
            state,
            stop_signal: 0,
            threads,
            seized,
            process: None,
        }))
    }

    fn has_ended(&self) -> bool {
        has_ended(&self.pidfd)
    }

    fn seize_new_threads(&mut self) -> Result<bool> {
        let mut new = Vec::new();
        // The leader has the lowest number unless numbers have wrapped around.
        let mut tids = proc::numbers(format!("/proc/{}/task", self.pid))?;
        tids.sort_by_key(|tid| (*tid != self.pid, *tid));
        for tid in tids {
            if self.seized.iter().any(|thread| thread.tid() == tid) {
                continue;
            }
            let seized = Thread::seize(tid).and_then(|thread| thread.interrupt().map(|()| thread));
            match seized {
                Ok(thread) => new.push(thread),
                Err(error) if error.has_ended() && tid != self.pid => {}
                Err(error) => {
                    self.seized.append(&mut new);
                    return Err(error.into());
                }
            }
        }
        let is_new = !new.is_empty();
        let from = self.seized.len();
        self.seized.append(&mut new);
        for thread in &self.seized[from..] {
            let signal = stopped(thread)?;
            if signal != libc::SIGTRAP {
                self.state = TaskState::Stopped;
                self.stop_signal = signal;
            }
        }
        Ok(is_new)
    }

    /// Reads what is only to be had before the process is entered.
    fn look(&mut self) -> Result<()> {
        for (nth, thread) in self.seized.iter().enumerate() {
            let status = Status::of(thread.tid())?;
            if thread.dispatches_calls() {
                // Ours would be such signals, too.
                let tid = thread.tid();
                return Err(Error::new(format!(
                    "task {tid}: system calls that are dispatched to it (PR_SET_SYSCALL_USER_DISPATCH) are not supported"
                )));
            }
            let mut filters = Vec::new();
            if status.seccomp == SeccompMode::Filter as u32 {
                while let Some(filter) = thread.seccomp_filter(filters.len())? {
                    filters.push(filter);
                }
            }
            self.threads.push(Stopped {
                tid: thread.tid(),
                status,
                extended_state: thread.extended_state()?,
                pending: thread.pending_signals(false)?,
                pending_of_process: if nth == 0 { thread.pending_signals(true)? } else { Vec::new() },
                rseq: thread.rseq()?,
                filters,
            });
        }
        Ok(())
    }

    /// The process with the stub in it; every one that is no zombie has it once the tree is entered.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the tree is entered")
    }

    /// What the nth thread was doing.
    pub(crate) fn state_of(&self, nth: usize) -> ThreadState {
        let process = self.process.as_ref().expect("the tree is entered");
        *process.threads().nth(nth).expect("a thread that was seized").1
    }

    /// Its memory, to be read at its addresses.
    pub(crate) fn memory(&self) -> &File {
        self.process.as_ref().expect("the tree is entered").memory()
    }

    /// Mappings that are ours.
    pub(crate) fn of_ours(&self) -> [Range<u64>; 2] {
        self.process.as_ref().expect("the tree is entered").regions()
    }

    /// A copy of one of its descriptors.
    pub(crate) fn descriptor(&self, fd: i32) -> Result<OwnedFd> {
        let copy = sys::process::pidfd_getfd(self.pidfd.as_fd(), fd);
        copy.at(|| format!("task {} fd {fd}: copy", self.pid))
    }
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    matches!(sys::process::pidfd_is_running(pidfd.as_fd()), Ok(false))
}

/// Two processes that share their memory.
fn sharing_memory(init: i32) -> Option<(i32, i32)> {
    let mut known = Sorted::default();
    processes(init).into_iter().find_map(|pid| {
        let compare = |a: &i32, b: &i32| kcmp(*a, *b, Shared::Memory);
        let (other, is_new) = known.id(pid, compare, || pid as u32).ok()?;
        // Zombies have none, which is the same.
        let is_zombie = || Stat::of(pid).is_ok_and(|stat| stat.state == 'Z');
        (!is_new && !is_zombie()).then_some((pid, other as i32))
    })
}

/// Takes the limits away that leave no room for the stub, for as long as it is being mapped. What they were before.
fn raise_limits(member: &Member, guardian: &Guardian) -> Result<Vec<Limit>> {
    // The second counts for processes that lock all that they map (mlockall(2), `MCL_FUTURE`).
    const IN_THE_WAY: [u32; 2] = [libc::RLIMIT_AS, libc::RLIMIT_MEMLOCK];
    let limits = proc::limits(member.pid)?;
    let limit = |resource: u32| {
        let (soft, hard) = limits[resource as usize];
        Limit { pid: member.pid, resource, soft, hard }
    };
    let before: Vec<Limit> =
        IN_THE_WAY.into_iter().map(limit).filter(|limit| limit.soft != u64::MAX).collect();
    for limit in &before {
        guardian.note_limit(member.pidfd.as_fd(), limit)?;
    }
    for Limit { pid, resource, hard, .. } in &before {
        // Without CAP_SYS_RESOURCE only as far as it may be. If that is too little, mapping the stub tells.
        let _ = sys::process::set_rlimit(*pid, *resource, u64::MAX, u64::MAX)
            .or_else(|_| sys::process::set_rlimit(*pid, *resource, *hard, *hard));
    }
    Ok(before)
}

fn put_back(limits: &[Limit]) -> Result<()> {
    for Limit { pid, resource, soft, hard } in limits {
        match sys::process::set_rlimit(*pid, *resource, *soft, *hard) {
            // Nor could it be raised.
            Err(errno) if errno.raw() == libc::EPERM => {}
            result => result.at(|| format!("task {pid}: put its limits back"))?,
        }
    }
    Ok(())
}

/// Waits until a thread is where it can be entered; what has stopped its process, or SIGTRAP.
fn stopped(thread: &Thread) -> Result<i32> {
    loop {
        match thread.wait(STOP)? {
            Stop::Interrupted { signal } => return Ok(signal),
            // A signal that was on its way when we came; it goes on, and the interruption is next.
            Stop::Signal(signal) => thread.deliver(signal)?,
            _ => thread.resume()?,
        }
    }
}

/// All processes of a container, the first one first, as far as they do not end meanwhile.
pub(crate) fn processes(init: i32) -> Vec<i32> {
    let mut found = vec![init];
    let mut at = 0;
    while at < found.len() {
        // One that has ended has no children any more.
        found.extend(proc::children(found[at]).unwrap_or_default());
        at += 1;
    }
    found
}
