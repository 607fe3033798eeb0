//! A process with the stub in it, all its threads waiting for batches.

use crate::arch::{self, Home, RawCall, Registers, SLOT};
use crate::batch::{Arg, Batch, HOME, MAILBOX, Outcome};
use crate::error::{At, Error, Result};
use crate::ptrace::{Stop, Thread};
use crate::region::Region;
use crate::supervisor::{self, Life, Supervisor};
use crate::vdso::{self, Place};
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use sys::Errno;

/// For a stop after which a thread has nothing to wait for.
const STOP: Duration = Duration::from_secs(10);
/// Between looks at whether a thread that works on a batch still exists.
const LOOK: Duration = Duration::from_millis(20);

/// The first bytes of both regions of a task, so that a later visitor knows them: "floestub".
const MARK: u64 = u64::from_le_bytes(*b"floestub");

/// Places in the code region: the mark and the other region, the stub, the slots.
const STUB: usize = 64;
const SLOTS: usize = 1024;
/// In the data region: the word of the supervisor's life with its link, the mark and the number of threads, then
/// mailboxes, then batches.
const LIFE: usize = 0;
const DATA_MARK: usize = 32;
const MAILBOXES: usize = 4096;

const PAGE: usize = 4096;
/// Room for the batches of the first thread, and of each other thread.
const ROOM_FIRST: usize = 1 << 20;
const ROOM: usize = 16 << 10;

const ALL_SIGNALS: u64 = u64::MAX;

/// Signals that wait, as the kernel's siginfo_t of 128 bytes each.
pub type Signals = Vec<[u8; 128]>;

/// What a thread was doing when it was stopped.
#[derive(Clone, Copy, Debug)]
pub struct ThreadState {
    /// As ptrace(2) shows them: an interrupted call is in `orig_rax` and `rax`. A critical section of rseq(2) is
    /// aborted already, as the kernel does when it takes a thread off the processor.
    pub registers: Registers,
    pub signal_mask: u64,
}

/// The process. Dropping it leaves the task to find its own way home when we end; `leave` does better.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    threads: Vec<(Thread, ThreadState)>,
    memory: File,
    code: Region,
    // Before `data`: it points into it.
    _life: Life,
    data: Region,
    /// Where the regions are in the task.
    code_at: u64,
    data_at: u64,
    /// In which a slot lies while there is no other place for it.
    place: Place,
    /// The batch that each thread has got last.
    numbers: Vec<u32>,
}

impl Process {
    /// Puts the stub into a process whose threads are all in `threads`, stopped by `Thread::interrupt`. They run nothing
    /// but batches from then on.
    ///
    /// # Errors
    /// The process is left as it was.
    pub fn enter(supervisor: &Supervisor, pid: i32, threads: Vec<Thread>) -> Result<Process> {
        let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem"));
        let memory = memory.at(|| format!("task {pid}: open its memory"))?;
        let maps = Maps::read(pid)?;
        let stale = maps.stale(&memory);
        let mut of_ours: Vec<Range<u64>> = stale.iter().map(|stale| stale.range.clone()).collect();
        of_ours.extend(maps.vdso.iter().flat_map(vdso::places));
        let mut states = Vec::new();
        for thread in threads {
            let state = state_of(&thread, &memory, &of_ours)?;
            states.push((thread, state));
        }
        let threads = states;
        let place = maps.vdso.as_ref().and_then(|vdso| vdso::place(vdso, &memory));
        let place = place
            .ok_or_else(|| Error::new(format!("task {pid}: its vdso is missing or not this kernel's")))?;

        let slots = SLOTS + threads.len() * SLOT;
        let code_len = slots.next_multiple_of(PAGE);
        let rooms = (MAILBOXES + threads.len() * MAILBOX).next_multiple_of(PAGE);
        let data_len = rooms + ROOM_FIRST + (threads.len() - 1) * ROOM;
        let map = |len: usize, prot: i32| -> RawCall {
            let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
            [libc::SYS_mmap as u64, 0, len as u64, prot as u64, flags as u64, u64::MAX, 0]
        };
        let calls = [
            map(code_len, libc::PROT_READ | libc::PROT_EXEC),
            map(data_len, libc::PROT_READ | libc::PROT_WRITE),
        ];
        let (first, state) = &threads[0];
        let errand = Errand::begin(first, state, &memory, &place)?;
        let map = |nth: usize, what: &str| {
            let result = errand.call(nth, calls[nth])?;
            let address = u64::try_from(result).map_err(|_| Errno::from_raw(-result as i32));
            address.at(|| format!("task {pid}: map {what}"))
        };
        let mapped = map(0, "the stub").and_then(|code| Ok((code, map(1, "the stub's mailbox")?)));
        let (code_at, data_at) = match mapped {
            Ok(mapped) => mapped,
            Err(error) => {
                // The first mapping may be there; the next visitor removes it, as after the death of a supervisor.
                errand.end()?;
                return Err(error);
            }
        };
        let code = share(pid, code_at, code_len)?;
        let data = share(pid, data_at, data_len)?;
        let life = supervisor.watch(&data);
        let numbers = vec![0; threads.len()];
        let mut process =
            Process { pid, threads, memory, code, _life: life, data, code_at, data_at, place, numbers };
        process.furnish();
        for nth in 0..process.threads.len() {
            process.admit(nth)?;
        }
        process.unmap(&stale)?;
        let given_back = process.memory.write_all_at(&process.place.image, process.place.at);
        given_back.at(|| format!("task {pid}: write behind the vdso"))?;
        Ok(process)
    }

    /// Writes what the threads are to find.
    fn furnish(&self) {
        self.data.write(DATA_MARK + 8, &(self.threads.len() as u64).to_le_bytes());
        self.data.write(DATA_MARK, &MARK.to_le_bytes());
        self.code.write(8, &self.data_at.to_le_bytes());
        self.code.write(0, &MARK.to_le_bytes());
        self.code.write(STUB, arch::stub());
        for (nth, (_, state)) in self.threads.iter().enumerate() {
            let home = Home::new(&state.registers, state.signal_mask);
            let slot = self.code_at + (SLOTS + nth * SLOT) as u64;
            let mark = self.data_at + (mailbox(nth) + HOME) as u64;
            self.code.write(SLOTS + nth * SLOT, &arch::slot(slot, &home, Some(mark)));
            let home = slot + arch::slot_home() as u64;
            let life = supervisor::life_word(&self.data);
            self.data.write(mailbox(nth), &new_mailbox(self.data_at, mailbox(nth), home, life));
        }
    }

    /// Sends a stopped thread into the stub.
    fn admit(&self, nth: usize) -> Result<()> {
        let (thread, state) = &self.threads[nth];
        let registers =
            arch::running(&state.registers, self.code_at + STUB as u64, self.data_at + mailbox(nth) as u64);
        self.data.word(mailbox(nth) + HOME).store(0, Ordering::SeqCst);
        // Registers first: should we die between the two, the stub sets the mask that the thread had.
        thread.set_registers(&registers)?;
        thread.set_signal_mask(ALL_SIGNALS)?;
        thread.resume()
    }

    /// Removes regions of a supervisor that died here, when all threads have come home from them.
    fn unmap(&mut self, stale: &[Stale]) -> Result<()> {
        let mut batch = Batch::new();
        for Stale { range, .. } in stale.iter().filter(|stale| stale.is_left(&self.memory)) {
            batch.call("munmap", libc::SYS_munmap, &[range.start.into(), (range.end - range.start).into()]);
        }
        if !batch.is_empty() {
            self.run(0, &batch)?;
        }
        Ok(())
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The threads in the order in which they were given.
    pub fn threads(&self) -> impl ExactSizeIterator<Item = (&Thread, &ThreadState)> {
        self.threads.iter().map(|(thread, state)| (thread, state))
    }

    /// The process's memory, as pread(2) and pwrite(2) take it.
    pub fn memory(&self) -> &File {
        &self.memory
    }

    /// Ranges of addresses that are ours, not the program's.
    pub fn regions(&self) -> [Range<u64>; 2] {
        let range = |at: u64, region: &Region| at..at + region.len() as u64;
        [range(self.code_at, &self.code), range(self.data_at, &self.data)]
    }

    /// Runs a batch in a thread and waits for its end.
    ///
    /// # Errors
    /// The first call that failed and must not, or the end of the task.
    pub fn run(&mut self, nth: usize, batch: &Batch) -> Result<Outcome> {
        self.start(nth, batch)?;
        self.finish(nth, batch)
    }

    /// Gives a thread a batch. Until `finish` it works on it, beside others and us.
    pub fn start(&mut self, nth: usize, batch: &Batch) -> Result<()> {
        let room = self.room(nth);
        if batch.size() > room.len() {
            let tid = self.threads[nth].0.tid();
            return Err(Error::new(format!("task {tid}: a batch of {} bytes has no room", batch.size())));
        }
        let base = self.data_at + room.start as u64;
        self.data.write(room.start, &batch.encode(base));
        self.data.write(mailbox(nth) + 8, &base.to_le_bytes());
        self.numbers[nth] = self.numbers[nth].wrapping_add(1);
        self.data.word(mailbox(nth)).store(self.numbers[nth], Ordering::SeqCst);
        self.data.wake(mailbox(nth));
        Ok(())
    }

    /// Waits for the end of the batch that the thread has got.
    pub fn finish(&mut self, nth: usize, batch: &Batch) -> Result<Outcome> {
        let done = mailbox(nth) + 4;
        let thread = &self.threads[nth].0;
        loop {
            let found = self.data.word(done).load(Ordering::SeqCst);
            if found == self.numbers[nth] {
                break;
            }
            self.data.wait(done, found, LOOK);
            match thread.poll()? {
                None => {}
                // SIGSTOP stops its thread group even here; the group stop is taken up again when we detach.
                Some(Stop::Interrupted { .. }) => thread.resume()?,
                Some(stop) => {
                    return Err(Error::new(format!("task {}: stopped in a batch: {stop:?}", thread.tid())));
                }
            }
        }
        batch.outcome(thread.tid(), self.data.read(self.room(nth).start, batch.size()))
    }

    /// Has the first thread make a descriptor for us: `number` makes it, we copy it through `pidfd`, the task closes it,
    /// also when we are gone meanwhile. `name` is for errors.
    pub fn lend(
        &mut self,
        pidfd: BorrowedFd<'_>,
        name: &'static str,
        number: libc::c_long,
        arguments: &[Arg],
    ) -> Result<OwnedFd> {
        const FUTEX_WAKE: u32 = 1;
        const NONE: u32 = u32::MAX;
        let mut batch = Batch::new();
        let made = batch.call(name, number, arguments);
        // Its number, and whether we have it.
        let words = batch.words(&[NONE.into(), 0]);
        batch.store_u32(made, words);
        batch.call_may_fail("futex", libc::SYS_futex, &[words.into(), FUTEX_WAKE.into(), 1.into()]);
        let waiters = batch.bytes(&waiters(self.data_at, supervisor::life_word(&self.data), 0));
        batch.point(waiters.plus(WAITER + 8), words.plus(8));
        let wait = [waiters.into(), 2.into(), 0.into(), 0.into(), 0.into()];
        batch.call_may_fail("futex_waitv", libc::SYS_futex_waitv, &wait);
        batch.call("close", libc::SYS_close, &[made.into()]);

        self.start(0, &batch)?;
        let words = self.room(0).start + batch.data_at() + words.0;
        let is_done = |process: &Process| {
            process.data.word(mailbox(0) + 4).load(Ordering::SeqCst) == process.numbers[0]
        };
        while self.data.word(words).load(Ordering::SeqCst) == NONE && !is_done(self) {
            self.data.wait(words, NONE, LOOK);
        }
        let number = self.data.word(words).load(Ordering::SeqCst);
        let copy = sys::process::pidfd_getfd(pidfd, number as i32);
        self.data.word(words + 8).store(1, Ordering::SeqCst);
        self.data.wake(words + 8);
        self.finish(0, &batch)?;
        copy.at(|| format!("task {}: copy the descriptor of {name}", self.pid))
    }

    /// The signals that wait for each thread, and for the process. No thread may have a batch.
    pub fn pending_signals(&self) -> Result<(Vec<Signals>, Signals)> {
        for (thread, _) in &self.threads {
            thread.interrupt()?;
        }
        for (thread, _) in &self.threads {
            wait_interrupted(thread)?;
        }
        let own =
            self.threads.iter().map(|(thread, _)| thread.pending_signals(false)).collect::<Result<_>>()?;
        let of_process = self.threads[0].0.pending_signals(true)?;
        for (thread, _) in &self.threads {
            thread.resume()?;
        }
        Ok((own, of_process))
    }

    fn room(&self, nth: usize) -> Range<usize> {
        let first = (MAILBOXES + self.threads.len() * MAILBOX).next_multiple_of(PAGE);
        match nth {
            0 => first..first + ROOM_FIRST,
            _ => {
                let start = first + ROOM_FIRST + (nth - 1) * ROOM;
                start..start + ROOM
            }
        }
    }

    /// Takes the stub out. The threads stay stopped, as they were before `enter`; what they run next is what they would
    /// have run then.
    pub fn leave(self) -> Result<Vec<Thread>> {
        for (thread, _) in &self.threads {
            thread.interrupt()?;
        }
        for (thread, _) in &self.threads {
            wait_interrupted(thread)?;
        }
        for (nth, (thread, state)) in self.threads.iter().enumerate().skip(1) {
            // The mask first: should we die between the two, the stub leads home.
            thread.set_signal_mask(state.signal_mask)?;
            thread.set_registers(&state.registers)?;
            self.data.word(mailbox(nth) + HOME).store(1, Ordering::SeqCst);
        }
        let unmap = |at: u64, region: &Region| [libc::SYS_munmap as u64, at, region.len() as u64, 0, 0, 0, 0];
        let calls = [unmap(self.code_at, &self.code), unmap(self.data_at, &self.data)];
        let (first, state) = &self.threads[0];
        let errand = Errand::begin(first, state, &self.memory, &self.place)?;
        self.data.word(mailbox(0) + HOME).store(1, Ordering::SeqCst);
        let results = [errand.call(0, calls[0])?, errand.call(1, calls[1])?];
        errand.end()?;
        if results != [0, 0] {
            return Err(Error::new(format!("task {}: the stub could not be unmapped", self.pid)));
        }
        Ok(self.threads.into_iter().map(|(thread, _)| thread).collect())
    }
}

fn mailbox(nth: usize) -> usize {
    MAILBOXES + nth * MAILBOX
}

/// The bytes of a mailbox whose thread is at home, at offset `at` of the region that the task has at `region`.
pub(crate) fn new_mailbox(region: u64, at: usize, home: u64, life: u32) -> [u8; MAILBOX] {
    let life_at = region + LIFE as u64;
    let wanted_at = region + at as u64;
    let mut bytes = [0; MAILBOX];
    for (nth, word) in [home, life_at].iter().enumerate() {
        bytes[16 + nth * 8..][..8].copy_from_slice(&word.to_le_bytes());
    }
    bytes[32..][..2 * WAITER].copy_from_slice(&waiters(region, life, wanted_at));
    bytes[HOME] = 1;
    bytes
}

/// Bytes of the kernel's struct futex_waitv: value, address, flags.
const WAITER: usize = 24;

/// Two futex_waitv: for the end of the supervisor, and for the word at an address to be another than 0.
fn waiters(region: u64, life: u32, word: u64) -> [u8; 2 * WAITER] {
    const FUTEX2_SIZE_U32: u64 = 2;
    let words = [life.into(), region + LIFE as u64, FUTEX2_SIZE_U32, 0, word, FUTEX2_SIZE_U32];
    let mut bytes = [0; 2 * WAITER];
    for (nth, word) in words.iter().enumerate() {
        bytes[nth * 8..][..8].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Our view of shared memory that a task has just mapped.
fn share(pid: i32, at: u64, len: usize) -> Result<Region> {
    let link = format!("/proc/{pid}/map_files/{at:x}-{:x}", at + len as u64);
    let file = File::options().read(true).write(true).open(&link).at(|| format!("open {link}"))?;
    Region::of_file(file.as_fd(), len).at(|| format!("map {link}"))
}

/// Waits for a stop at which registers may be given back: one where the kernel still decides about a restart.
fn wait_interrupted(thread: &Thread) -> Result<()> {
    loop {
        match thread.wait(STOP)? {
            Stop::Interrupted { .. } => return Ok(()),
            _ => {
                thread.interrupt()?;
                thread.resume()?;
            }
        }
    }
}

/// The first thread at the slot in the vdso, where it makes calls that need nothing else in the task. Should we die, it
/// goes home from there.
struct Errand<'a> {
    thread: &'a Thread,
    state: &'a ThreadState,
    memory: &'a File,
    place: &'a Place,
}

impl<'a> Errand<'a> {
    /// Sends a stopped thread there.
    fn begin(
        thread: &'a Thread,
        state: &'a ThreadState,
        memory: &'a File,
        place: &'a Place,
    ) -> Result<Errand<'a>> {
        let home = Home::new(&state.registers, state.signal_mask);
        let errand = Errand { thread, state, memory, place };
        errand.write(&arch::slot(place.at, &home, None), 0)?;
        thread.set_registers(&arch::running(&state.registers, place.at + arch::slot_home() as u64, 0))?;
        thread.set_signal_mask(ALL_SIGNALS)?;
        Ok(errand)
    }

    /// Has it make its call number `nth`, 0 or 1, and stops it again on the way home.
    fn call(&self, nth: usize, call: RawCall) -> Result<i64> {
        let tid = self.thread.tid();
        self.thread.set_registers(&arch::calling(&self.state.registers, self.place.at, call))?;
        for _ in ["entry", "exit"] {
            loop {
                self.thread.resume_to_call()?;
                match self.thread.wait(STOP)? {
                    Stop::Call => break,
                    Stop::Interrupted { .. } => {}
                    other => return Err(Error::new(format!("task {tid}: stopped in the stub: {other:?}"))),
                }
            }
        }
        let result = arch::call_result(&self.thread.registers()?);
        self.write(&result.to_le_bytes(), arch::SLOT_RESULTS + nth * 8)?;
        Ok(result)
    }

    /// Gives the thread its own registers, and the vdso what was at the place.
    fn end(self) -> Result<()> {
        // Another kind of stop: after it the kernel decides about the restart of a call.
        self.thread.interrupt()?;
        self.thread.resume()?;
        wait_interrupted(self.thread)?;
        self.thread.set_signal_mask(self.state.signal_mask)?;
        self.thread.set_registers(&self.state.registers)?;
        self.write(&self.place.image, 0)
    }

    fn write(&self, bytes: &[u8], at: usize) -> Result<()> {
        let written = self.memory.write_all_at(bytes, self.place.at + at as u64);
        written.at(|| format!("task {}: write behind the vdso", self.thread.tid()))
    }
}

/// `of_ours` is where code of an earlier visit lies, whose supervisor may have died a moment ago: a thread that is there
/// is let go on until it is home.
fn state_of(thread: &Thread, memory: &File, of_ours: &[Range<u64>]) -> Result<ThreadState> {
    let deadline = Instant::now() + STOP;
    let mut registers = thread.registers()?;
    while of_ours.iter().any(|range| range.contains(arch::instruction_pointer(&mut registers))) {
        if Instant::now() > deadline {
            return Err(Error::new(format!(
                "task {}: it does not come home from an earlier visit",
                thread.tid()
            )));
        }
        thread.resume()?;
        std::thread::sleep(Duration::from_micros(50));
        thread.interrupt()?;
        wait_interrupted(thread)?;
        registers = thread.registers()?;
    }
    if !arch::is_64_bit(&registers) {
        return Err(Error::new(format!("task {}: 32-bit programs are not supported", thread.tid())));
    }
    abort_critical_section(thread, memory, &mut registers)?;
    let signal_mask = thread.signal_mask()?;
    if arch::is_interrupted(&registers) && !has_signals(thread, signal_mask)? {
        arch::make_again(&mut registers);
    }
    Ok(ThreadState { registers, signal_mask })
}

/// Whether a signal waits that the thread does not block.
fn has_signals(thread: &Thread, mask: u64) -> Result<bool> {
    let mut pending = thread.pending_signals(false)?;
    pending.extend(thread.pending_signals(true)?);
    let number = |info: &[u8; 128]| u32::from_le_bytes(info[..4].try_into().expect("four bytes"));
    Ok(pending.iter().map(number).any(|signal| (1..=64).contains(&signal) && mask & 1 << (signal - 1) == 0))
}

/// A thread that is taken off the processor within a critical section of rseq(2) goes on at the section's abort address.
/// The kernel sees to that on its way to user mode; but it would look at the address of our code then.
fn abort_critical_section(thread: &Thread, memory: &File, registers: &mut Registers) -> Result<()> {
    let rseq = thread.rseq()?;
    if rseq.address == 0 {
        return Ok(());
    }
    let word = |at: u64| read_word(memory, at);
    // struct rseq: rseq_cs at 8. struct rseq_cs: start_ip at 8, post_commit_offset at 16, abort_ip at 24.
    let Some(section) = word(rseq.address + 8).filter(|section| *section != 0) else { return Ok(()) };
    let fields = (word(section + 8), word(section + 16), word(section + 24));
    let (Some(start), Some(len), Some(abort)) = fields else { return Ok(()) };
    let ip = arch::instruction_pointer(registers);
    if ip.wrapping_sub(start) < len {
        *ip = abort;
    }
    Ok(())
}

/// What `enter` wants to know of a task's mappings.
struct Maps {
    vdso: Option<Range<u64>>,
    shared_anonymous: Vec<Range<u64>>,
}

impl Maps {
    fn read(pid: i32) -> Result<Maps> {
        let file = format!("/proc/{pid}/maps");
        let text = std::fs::read_to_string(&file).at(|| format!("read {file}"))?;
        let mut maps = Maps { vdso: None, shared_anonymous: Vec::new() };
        for line in text.lines() {
            let Some((start, end)) = line.split_whitespace().next().and_then(|range| range.split_once('-'))
            else {
                continue;
            };
            let (Ok(start), Ok(end)) = (u64::from_str_radix(start, 16), u64::from_str_radix(end, 16)) else {
                continue;
            };
            if line.ends_with("[vdso]") {
                maps.vdso = Some(start..end);
            } else if line.ends_with("/dev/zero (deleted)") {
                maps.shared_anonymous.push(start..end);
            }
        }
        Ok(maps)
    }

    /// Regions of earlier visits.
    fn stale(&self, memory: &File) -> Vec<Stale> {
        let word = |at: u64| read_word(memory, at);
        // Mapped by a visit that ended before it could mark them.
        let left = self.vdso.iter().flat_map(vdso::places);
        let left = left.filter(|place| word(place.end - 8) == Some(arch::SLOT_MARK));
        let results = left.map(|place| place.start + arch::SLOT_RESULTS as u64);
        let mapped: Vec<u64> = results.flat_map(|at| [word(at), word(at + 8)]).flatten().collect();
        let stale = |range: &Range<u64>| {
            let data = if word(range.start) == Some(MARK) {
                word(range.start + 8)
            } else if word(range.start + DATA_MARK as u64) == Some(MARK) {
                Some(range.start)
            } else if mapped.contains(&range.start) {
                None
            } else {
                return None;
            };
            Some(Stale { range: range.clone(), data })
        };
        self.shared_anonymous.iter().filter_map(stale).collect()
    }
}

/// A region that a supervisor left who died.
struct Stale {
    range: Range<u64>,
    /// Where the data region is that belongs to it, unless it died before any thread was sent there.
    data: Option<u64>,
}

impl Stale {
    /// Whether all threads are home.
    fn is_left(&self, memory: &File) -> bool {
        let Some(data) = self.data else { return true };
        let threads = read_word(memory, data + DATA_MARK as u64 + 8).unwrap_or(0);
        let flag = |nth: u64| data + (MAILBOXES + HOME) as u64 + nth * MAILBOX as u64;
        (0..threads).all(|nth| read_word(memory, flag(nth)).is_none_or(|word| word & 1 == 1))
    }
}

fn read_word(memory: &File, at: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    memory.read_exact_at(&mut bytes, at).ok()?;
    Some(u64::from_le_bytes(bytes))
}
