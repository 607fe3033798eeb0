//! Memory that is filled while the tasks run: private anonymous memory stays empty, is registered with userfaultfd(2), and a
//! daemon supplies its pages (`pager.rs`, or CRIU's `criu lazy-pages`) when a task wants one, and all others meanwhile.
//!
//! What is missing must never read as zeros, which it does when nobody has the userfaultfds any more. So a *guard*, a process
//! of ours, has them too until the daemon is done: tasks wait then, and the guard kills them when the daemon is gone.
//!
//! What is said to the daemon is CRIU's: of each task in their order its pid and its userfaultfd, or -1 where it has none, and
//! in the end that all run. What a daemon of floe's answers is below.

use super::build::{Build, host_tids};
use super::{memory, state};
use crate::error::{At, Error, Result};
use crate::memory::bits;
use crate::proc::Stat;
use crate::snapshot::{PAGE_SIZE, Snapshot, Task, is_left, may_be_late, pagemap, run_end};
use crate::target::NamespaceKind;
use crate::work::{LogFile, WorkDirectory};
use cgroup::Cgroup;
use images::Digest;
use images::messages::{PagemapEntry, VmaEntry};
use inject::Batch;
use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, getsockopt, recvmsg, sendmsg};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use sys::clone::CloneArgs;
use sys::userfault::{self, Mode, USERFAULTFD_OF_ALL_FAULTS};

/// Where the daemon listens, in the work directory.
pub(super) const LAZY_PAGES_SOCKET: &str = "lazy-pages.socket";

/// `LAZY_PAGES_RESTORE_FINISHED` of CRIU: the tasks run.
pub(super) const RUNNING: u32 = 0x5253_5446;
/// In place of a pid, as any number below zero: nothing of this task is missing.
const NOTHING: i32 = -1;

/// What a daemon of floe's says first, followed by the digest of the dump's manifest, whose pages it has verified.
const GREETING: &[u8] = b"floe ";
const GREETING_LENGTH: usize = GREETING.len() + 32;
/// The userfaultfd of a child that a task has made, for the guard to hold as well.
pub(super) const CHILD: u8 = b'c';
/// Nothing is missing any more.
pub(super) const COMPLETE: u8 = b'.';

/// How long a daemon of floe's has for its greeting. CRIU's says nothing.
const PATIENCE_MS: u16 = 1000;

/// A daemon that is to fill memory.
#[derive(Debug)]
pub struct LazyPages {
    socket: UnixStream,
    /// That of the dump whose pages it has verified.
    verified: Option<String>,
    end: End,
    log: LogFile,
}

/// How it is known whether the daemon was done when it ended.
#[derive(Debug)]
enum End {
    /// It says so.
    IsSaid,
    /// By its exit status.
    Status { pid: i32, pidfd: OwnedFd },
}

impl LazyPages {
    /// Connects to the daemon that listens in a work directory. `log` is told when it was lost.
    ///
    /// # Errors
    /// Nobody listens, or nobody could tell whether it was done when it has ended.
    pub fn connect(work: &WorkDirectory, log: &LogFile) -> Result<LazyPages> {
        let failed = || format!("lazy pages: connect to {LAZY_PAGES_SOCKET}");
        // The path of a socket has 107 bytes at most.
        let path = format!("/proc/self/fd/{}/{LAZY_PAGES_SOCKET}", work.as_fd().as_raw_fd());
        let mut socket = UnixStream::connect(path).at(failed)?;
        let verified = read_greeting(&mut socket).at(failed)?;
        let end = if verified.is_some() { End::IsSaid } else { End::of_stranger(&socket)? };
        Ok(LazyPages { socket, verified, end, log: log.try_clone().at(failed)? })
    }

    /// Whether it has verified all pages of the dump with this digest.
    pub(super) fn has_verified(&self, dump: Option<Digest>) -> bool {
        dump.is_some_and(|dump| self.verified == Some(dump.to_string()))
    }

    /// Says that all tasks run.
    pub(super) fn are_running(&mut self) {
        // Where it is gone, the guard knows what to do.
        let _ = self.socket.write_all(&RUNNING.to_le_bytes());
    }
}

/// What a daemon says who has verified a dump.
pub(super) fn greeting(dump: Option<Digest>) -> Vec<u8> {
    let dump = dump.map_or("-".repeat(32), |dump| dump.to_string());
    [GREETING, dump.as_bytes()].concat()
}

fn read_greeting(socket: &mut UnixStream) -> std::io::Result<Option<String>> {
    let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    if poll(&mut ready, PollTimeout::from(PATIENCE_MS))? == 0 {
        return Ok(None);
    }
    let mut greeting = [0; GREETING_LENGTH];
    socket.read_exact(&mut greeting)?;
    let dump = greeting.strip_prefix(GREETING).and_then(|dump| std::str::from_utf8(dump).ok());
    dump.map(|dump| Some(dump.to_owned())).ok_or_else(|| ErrorKind::InvalidData.into())
}

impl End {
    /// CRIU's daemon says nothing at the end.
    fn of_stranger(socket: &UnixStream) -> Result<End> {
        const SO_PEERPIDFD: i32 = 77;
        let refused = |why: &str| {
            Err(Error::new(format!("lazy pages: {LAZY_PAGES_SOCKET}: the daemon is not floe's, and {why}")))
        };
        let credentials = getsockopt(socket, PeerCredentials);
        let pid = credentials.at(|| "lazy pages: who listens".to_owned())?.pid();
        let pidfd = match sys::socket::option_number(socket.as_fd(), libc::SOL_SOCKET, SO_PEERPIDFD) {
            Ok(number) => sys::process::received_fd(number),
            Err(_) => return refused("who began to listen has ended; start it without --daemon"),
        };
        if !matches!(sys::process::pidfd_is_running(pidfd.as_fd()), Ok(true)) {
            return refused("who began to listen has ended; start it without --daemon");
        }
        let ended = sys::clone::spawn(&CloneArgs::default(), || 0).and_then(|child| {
            sys::process::wait_pidfd(child.pidfd.as_fd(), true)?;
            sys::process::pidfd_exit_code(child.pidfd.as_fd())
        });
        match ended {
            Ok(Some(0)) => Ok(End::Status { pid, pidfd }),
            _ => refused("this kernel does not tell how it ends (Linux 6.15)"),
        }
    }

    /// Whether the daemon was done. It has closed its socket.
    fn was_complete(&self) -> bool {
        let End::Status { pid, pidfd } = self else { return false };
        let mut ended = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        while poll(&mut ended, PollTimeout::NONE) == Err(nix::Error::EINTR) {}
        // Until somebody has waited for it, its status is that of a zombie. In between one may just have done so.
        for _ in 0..100 {
            match sys::process::pidfd_exit_code(pidfd.as_fd()) {
                Ok(Some(code)) => return code == 0,
                Ok(None) => {}
                Err(_) => return false,
            }
            if let Some(stat) = Stat::of(*pid).ok().filter(|stat| stat.state == 'Z') {
                return stat.exit_code == 0;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

/// Whether pages of a mapping can come late.
fn can_wait(mapping: &VmaEntry) -> bool {
    memory::is_filled(mapping) && bits(mapping) & pagemap::LAZY != 0
}

/// Where the pages of a task are that come late, by ascending address, and within one mapping each. Those that only an
/// earlier dump has are not among them, as with CRIU.
pub(super) fn ranges(task: &Task) -> Vec<Range<u64>> {
    parts(task, |run| may_be_late(run) || is_left(run))
}

/// Those of them that are with the dump which has left them there.
pub(super) fn left(task: &Task) -> Vec<Range<u64>> {
    parts(task, is_left)
}

fn parts(task: &Task, is_wanted: impl Fn(&PagemapEntry) -> bool) -> Vec<Range<u64>> {
    let (Some(mm), Some(pages)) = (&task.mm, &task.pages) else { return Vec::new() };
    let within = |mapping: &VmaEntry| {
        let (start, end) = (mapping.start, mapping.end);
        let runs = pages.runs[pages.first_beyond(start)..].iter().take_while(move |run| run.vaddr < end);
        let wanted = runs.filter(|run| is_wanted(run));
        wanted.map(move |run| run.vaddr.max(start)..run_end(run).min(end)).collect::<Vec<_>>()
    };
    mm.vmas.iter().filter(|mapping| can_wait(mapping)).flat_map(within).collect()
}

/// Whether a thread's area of rseq(2) is in memory that a dump has left: the kernel writes to it, so somebody must supply it.
pub(super) fn has_left_rseq(task: &Task, nth: usize) -> bool {
    let state = task.threads[nth].thread_core.as_ref();
    let area = state.and_then(|state| state.rseq_entry.as_ref()).map_or(0, |rseq| rseq.rseq_abi_pointer);
    area != 0 && task.pages.as_ref().is_some_and(|map| map.left_at(area).is_some())
}

/// Whether all memory that a dump has left can come, before anything happens.
pub(super) fn check(snapshot: &Snapshot, is_lazy: bool) -> Result<()> {
    for task in &snapshot.tasks {
        let runs = task.pages.iter().flat_map(|map| &map.runs).filter(|run| is_left(run));
        let expected: u64 = runs.map(|run| run_end(run) - run.vaddr).sum();
        if expected == 0 {
            continue;
        }
        let found: u64 = left(task).iter().map(|range| range.end - range.start).sum();
        let refused = |why: &str| Err(Error::new(format!("task {}: {why}", task.entry.pid)));
        if !is_lazy {
            return refused("the dump has left its memory where it was; --lazy-pages is needed");
        }
        if expected != found {
            return refused("the dump has left memory that cannot come late");
        }
    }
    Ok(())
}

/// Gives the empty memory of all tasks to the daemon, and the userfaultfds to who guards them. No task has children after
/// that, and none has run.
pub(super) fn hand_over<'a>(
    build: &mut Build<'_>,
    daemon: &LazyPages,
    cgroup: Option<&'a Cgroup>,
) -> Result<Guarded<'a>> {
    let mut userfaultfds = Vec::new();
    for (index, task) in build.tasks() {
        let told = || format!("task {}: tell the daemon of lazy pages", task.entry.pid);
        let ranges = ranges(task);
        if task.is_zombie() || ranges.is_empty() {
            (&daemon.socket).write_all(&NOTHING.to_le_bytes()).at(told)?;
            continue;
        }
        forget(build, index)?;
        let userfaultfd = register(build, index, &ranges)?;
        fill_present(build, index, &ranges)?;
        let pid = task.entry.pid as i32;
        (&daemon.socket).write_all(&pid.to_le_bytes()).at(told)?;
        send(&daemon.socket, 0, userfaultfd.as_fd()).at(told)?;
        userfaultfds.push(userfaultfd);
    }
    // The daemon supplies what they are in: all that it was to be told has been said.
    for (index, task) in build.living() {
        for nth in (0..task.threads.len()).filter(|nth| has_left_rseq(task, *nth)) {
            let mut batch = Batch::new();
            state::register_rseq(&mut batch, &task.threads[nth]);
            build.run_thread(index, nth, &batch)?;
        }
    }
    let is_own_pid = build.policy.owns(NamespaceKind::Pid);
    let count = if is_own_pid { 1 } else { usize::MAX };
    let pids: Result<Vec<i32>> = build.living().take(count).map(|(index, _)| build.host_pid(index)).collect();
    let tasks = pids?.into_iter().map(|pid| Ok((pid, sys::process::pidfd_open(pid)?)));
    let tasks: sys::Result<_> = tasks.collect();
    Ok(Guarded { userfaultfds, tasks: tasks.at(|| "guard of lazy pages: pidfd".to_owned())?, cgroup })
}

/// Gives up what is there of memory that nobody here has: a huge page that was made for a page beside it.
fn forget(build: &mut Build<'_>, index: usize) -> Result<()> {
    let left = left(&build.snapshot.tasks[index]);
    // More do not fit into a batch.
    for ranges in left.chunks(256) {
        let mut batch = Batch::new();
        for range in ranges {
            let arguments =
                [range.start.into(), (range.end - range.start).into(), libc::MADV_DONTNEED.into()];
            batch.call("MADV_DONTNEED", libc::SYS_madvise, &arguments);
        }
        build.run(index, &batch)?;
    }
    Ok(())
}

fn register(build: &mut Build<'_>, index: usize, ranges: &[Range<u64>]) -> Result<OwnedFd> {
    let task = &build.snapshot.tasks[index];
    let failed = |what: &str| format!("task {}: {what} for lazy pages", task.entry.pid);
    let mut batch = Batch::new();
    let (number, argument) = USERFAULTFD_OF_ALL_FAULTS;
    let made = batch.call_may_fail("userfaultfd", number, &[argument.into()]);
    let number = build.run(index, &batch)?.result(made).at(|| failed("userfaultfd"))? as i32;
    let pidfd = sys::process::pidfd_open(build.host_pid(index)?);
    let copy = pidfd.and_then(|pidfd| sys::process::pidfd_getfd(pidfd.as_fd(), number));
    let userfaultfd = copy.at(|| failed("copy the userfaultfd"))?;
    let mut batch = Batch::new();
    batch.call("close", libc::SYS_close, &[number.into()]);
    build.run(index, &batch)?;
    userfault::begin_with_events(userfaultfd.as_fd()).at(|| failed("begin to hear of faults"))?;
    let vmas = task.mm.iter().flat_map(|mm| &mm.vmas).filter(|mapping| can_wait(mapping));
    for mapping in vmas {
        let next = ranges.partition_point(|range| range.end <= mapping.start);
        if ranges.get(next).is_some_and(|range| range.start < mapping.end) {
            let len = mapping.end - mapping.start;
            let registered = userfault::register(userfaultfd.as_fd(), Mode::Missing, mapping.start, len);
            registered.at(|| failed(&format!("register memory at {:#x}", mapping.start)))?;
        }
    }
    Ok(userfaultfd)
}

/// Fills the pages that are there all the same, as none would be supplied for them: a huge page that was made for one of
/// them has others, and the kernel has looked at areas of rseq(2). Pages of zeros count, too.
fn fill_present(build: &Build<'_>, index: usize, ranges: &[Range<u64>]) -> Result<()> {
    const PRESENT_OR_SWAPPED: u64 = 3 << 62;
    /// Bytes of memory that are looked at together, eight bytes for a page.
    const STEP: u64 = 128 << 20;
    let (task, pid) = (&build.snapshot.tasks[index], build.host_pid(index)?);
    let open = |name: &str, options: &OpenOptions| {
        let path = format!("/proc/{pid}/{name}");
        options.open(&path).at(|| format!("open {path}"))
    };
    let pagemap = open("pagemap", OpenOptions::new().read(true))?;
    let memory = open("mem", OpenOptions::new().write(true))?;
    let own = build.pages.of_task(task);
    let mut entries = Vec::new();
    for range in ranges {
        for start in range.clone().step_by(STEP as usize) {
            let end = range.end.min(start + STEP);
            entries.resize(((end - start) / PAGE_SIZE * 8) as usize, 0);
            let read = pagemap.read_exact_at(&mut entries, start / PAGE_SIZE * 8);
            read.at(|| format!("task {pid}: read its pagemap"))?;
            for (address, entry) in (start..end).step_by(PAGE_SIZE as usize).zip(entries.chunks_exact(8)) {
                let entry = u64::from_le_bytes(entry.try_into().expect("eight bytes"));
                if entry & PRESENT_OR_SWAPPED != 0 {
                    let (content, found) = own.content(&(address..address + PAGE_SIZE))?;
                    if found == 0 {
                        return Err(Error::new(format!(
                            "task {pid}: the page at {address:#x}, which the dump has left, is in use; try again"
                        )));
                    }
                    let written = memory.write_all_at(&content, address);
                    written.at(|| format!("task {pid}: fill the page at {address:#x}"))?;
                }
            }
        }
    }
    Ok(())
}

/// Sends a byte and a descriptor, as CRIU has it.
pub(super) fn send(socket: &UnixStream, byte: u8, fd: BorrowedFd<'_>) -> nix::Result<()> {
    let (bytes, fds) = ([byte], [fd.as_raw_fd()]);
    let (vector, rights) = ([IoSlice::new(&bytes)], [ControlMessage::ScmRights(&fds)]);
    sendmsg::<()>(socket.as_raw_fd(), &vector, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives a byte, and the descriptor that came with it. `None` at the end.
pub(super) fn receive(socket: &UnixStream) -> nix::Result<Option<(u8, Option<OwnedFd>)>> {
    let mut byte = [0];
    let mut space = cmsg_space!([i32; 1]);
    let mut vector = [IoSliceMut::new(&mut byte)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut vector, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let fds = message.cmsgs()?.filter_map(|control| match control {
        ControlMessageOwned::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let fd = fds.flatten().map(sys::process::received_fd).last();
    Ok((message.bytes > 0).then_some((byte[0], fd)))
}

/// What the guard has.
pub(super) struct Guarded<'a> {
    userfaultfds: Vec<OwnedFd>,
    /// The first task of their pid namespace, or all, with their pids in ours.
    tasks: Vec<(i32, OwnedFd)>,
    cgroup: Option<&'a Cgroup>,
}

impl Guarded<'_> {
    /// Starts the guard. It ends with the tasks, or when nothing is missing any more.
    pub(super) fn guard(mut self, daemon: &mut LazyPages) -> Result<()> {
        let guard = || {
            // What is sent to our terminal's processes is not for it, and no file of ours is kept open by it.
            let _ = nix::unistd::setsid();
            let own = [daemon.socket.as_raw_fd(), daemon.log.as_fd().as_raw_fd()];
            let tasks = self.tasks.iter().map(|(_, task)| task);
            let fds = self.userfaultfds.iter().chain(tasks).map(AsRawFd::as_raw_fd);
            let end = match &daemon.end {
                End::IsSaid => None,
                End::Status { pidfd, .. } => Some(pidfd.as_raw_fd()),
            };
            let keep: Vec<i32> = own.into_iter().chain(fds).chain(end).collect();
            let _ = sys::process::close_all_but(&keep);
            if !self.watch(&daemon.socket, &daemon.end) {
                daemon.log.error(&format_args!(
                    "lazy pages: the daemon ended before all memory was there; the tasks are killed"
                ));
                self.kill();
            }
            0
        };
        sys::clone::spawn(&CloneArgs::default(), guard).at(|| "start the guard of lazy pages".to_owned())?;
        Ok(())
    }

    /// Returns when there is nothing to guard any more; `false` when memory is missing and nobody has it.
    fn watch(&mut self, daemon: &UnixStream, end: &End) -> bool {
        loop {
            let fds = [daemon.as_fd()].into_iter().chain(self.tasks.iter().map(|(_, task)| task.as_fd()));
            let mut polled: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            match poll(&mut polled, PollTimeout::NONE) {
                Err(nix::Error::EINTR) => continue,
                Err(_) => return false,
                Ok(_) => {}
            }
            let is_told = polled[0].any() == Some(true);
            self.tasks.retain(|(_, task)| matches!(sys::process::pidfd_is_running(task.as_fd()), Ok(true)));
            if self.tasks.is_empty() {
                return true;
            }
            if is_told {
                match receive(daemon) {
                    Ok(Some((COMPLETE, _))) => return true,
                    Ok(Some((CHILD, Some(userfaultfd)))) => self.userfaultfds.push(userfaultfd),
                    Err(nix::Error::EINTR) => {}
                    Ok(Some(_)) => return false,
                    Ok(None) | Err(_) => return end.was_complete(),
                }
            }
        }
    }

    fn kill(&self) {
        for (pid, _) in &self.tasks {
            // With their descendants, where neither a pid namespace nor a cgroup ends with them. They may have ended.
            for tid in host_tids(*pid).unwrap_or_default().into_values() {
                let _ = kill(Pid::from_raw(tid), Signal::SIGKILL);
            }
        }
        let _ = self.cgroup.map(Cgroup::kill);
    }
}
