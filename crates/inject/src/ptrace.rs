//! A thread under ptrace(2), and what the kernel tells about it while it is stopped.
#![allow(unsafe_code)] // ptrace(2): each request passes a pointer whose meaning only the request knows.

use crate::arch::{self, Registers};
use crate::error::{At, Error, Result};
use crate::process::Signals;
use std::ffi::c_void;
use std::time::{Duration, Instant};
use sys::Errno;

/// Why a thread stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was interrupted. The signal is SIGTRAP, or the one that has stopped its thread group.
    Interrupted { signal: i32 },
    /// At the entry or the exit of a system call.
    Call,
    /// This signal is about to be delivered.
    Signal(i32),
    /// Another event of ptrace(2).
    Event(i32),
}

/// A thread that is traced by us. Dropping it does nothing: the kernel detaches when we end.
#[derive(Debug)]
pub struct Thread {
    tid: i32,
}

/// `PTRACE_GET_RSEQ_CONFIGURATION`: the area that the thread has registered with rseq(2); `address` is 0 for none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct RseqConfiguration {
    pub address: u64,
    pub size: u32,
    pub signature: u32,
    flags: u32,
    pad: u32,
}

#[repr(C)]
struct PeekSiginfo {
    offset: u64,
    flags: u32,
    count: i32,
}

const NT_PRSTATUS: usize = 1;
const NT_X86_XSTATE: usize = 0x202;
const PTRACE_PEEKSIGINFO_SHARED: u32 = 1;
const PTRACE_GET_RSEQ_CONFIGURATION: libc::c_uint = 0x420f;
const PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: libc::c_uint = 0x4211;
const PTRACE_SECCOMP_GET_FILTER: libc::c_uint = 0x420c;
const PTRACE_SECCOMP_GET_METADATA: libc::c_uint = 0x420d;
const PTRACE_O_SUSPEND_SECCOMP: usize = 1 << 21;
/// Bytes of the largest state that XSAVE can have, with room for what comes: AMX makes it 11 KiB.
const XSTATE_LIMIT: usize = 32 << 10;

impl Thread {
    /// Attaches without stopping the thread. Its seccomp filters are suspended while it is attached, where we may do
    /// that (CAP_SYS_ADMIN in the initial user namespace, no filter of our own).
    ///
    /// # Errors
    /// `EPERM`: it is traced already, or we may not trace it. `ESRCH`: it has ended.
    pub fn seize(tid: i32) -> Result<Thread> {
        Thread::attach(tid, 0)
    }

    /// The same, but the thread is killed when we end: for tasks that nobody misses yet.
    pub fn seize_for_life(tid: i32) -> Result<Thread> {
        Thread::attach(tid, libc::PTRACE_O_EXITKILL as usize)
    }

    fn attach(tid: i32, options: usize) -> Result<Thread> {
        let thread = Thread { tid };
        let options = options | libc::PTRACE_O_TRACESYSGOOD as usize;
        let seize = |options| thread.request(libc::PTRACE_SEIZE, 0, options);
        let seized = seize(options | PTRACE_O_SUSPEND_SECCOMP).or_else(|_| seize(options));
        seized.at(|| format!("task {tid}: ptrace seize"))?;
        Ok(thread)
    }

    /// A stopped thread of `seize_for_life` is no longer killed when we end.
    pub fn release(&self) -> Result<()> {
        let options = libc::PTRACE_O_TRACESYSGOOD as usize;
        let set = |options| self.request(libc::PTRACE_SETOPTIONS, 0, options);
        let changed = set(options | PTRACE_O_SUSPEND_SECCOMP).or_else(|_| set(options));
        changed.at(|| format!("task {}: ptrace options", self.tid))?;
        Ok(())
    }

    /// The thread's id in our pid namespace.
    pub fn tid(&self) -> i32 {
        self.tid
    }

    /// Asks the thread to stop; `wait` tells when it has.
    pub fn interrupt(&self) -> Result<()> {
        self.call("interrupt", libc::PTRACE_INTERRUPT, 0, 0)
    }

    /// Waits until the thread stops.
    ///
    /// # Errors
    /// It ended, or it did not stop within `limit`: the error then says where in the kernel it is.
    pub fn wait(&self, limit: Duration) -> Result<Stop> {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_micros(20);
        loop {
            if let Some(stop) = self.poll()? {
                return Ok(stop);
            }
            if Instant::now() > deadline {
                let place = std::fs::read_to_string(format!("/proc/{}/wchan", self.tid)).unwrap_or_default();
                let place = if place.is_empty() { "?" } else { place.trim() };
                return Err(Error::new(format!(
                    "task {}: it did not stop within {} s, waiting in {place}",
                    self.tid,
                    limit.as_secs()
                )));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(2));
        }
    }

    /// The thread's stop, if it has one that was not told yet.
    pub fn poll(&self) -> Result<Option<Stop>> {
        let mut status = 0;
        // SAFETY: `status` is a valid place for an int.
        let waited = unsafe { libc::waitpid(self.tid, &raw mut status, libc::__WALL | libc::WNOHANG) };
        match Errno::check(waited.into()).at(|| format!("task {}: wait", self.tid))? {
            0 => Ok(None),
            _ if libc::WIFSTOPPED(status) => {
                let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
                Ok(Some(match event {
                    0 if signal == libc::SIGTRAP | 0x80 => Stop::Call,
                    0 => Stop::Signal(signal),
                    libc::PTRACE_EVENT_STOP => Stop::Interrupted { signal },
                    event => Stop::Event(event),
                }))
            }
            _ if libc::WIFSIGNALED(status) => {
                Err(Error::ended(format!("task {}: killed by signal {}", self.tid, libc::WTERMSIG(status))))
            }
            _ => Err(Error::ended(format!("task {}: it has ended", self.tid))),
        }
    }

    /// Lets a stopped thread make one system call at `instruction`, the address of the instruction that does that, and
    /// returns what the call has returned. The thread is stopped again, where its registers may be written.
    ///
    /// Should we die meanwhile, the thread runs on with registers that are not its own: this is for tasks that nobody
    /// misses yet (`seize_for_life`).
    pub fn call_at(&self, instruction: u64, call: [u64; 7]) -> Result<i64> {
        const STOP: Duration = Duration::from_secs(60);
        self.set_registers(&arch::calling(&self.registers()?, instruction, call))?;
        for _ in ["entry", "exit"] {
            loop {
                self.resume_to_call()?;
                if self.wait(STOP)? == Stop::Call {
                    break;
                }
            }
        }
        let result = arch::call_result(&self.registers()?);
        // Another kind of stop, at which the kernel looks at registers for a restart.
        self.interrupt()?;
        self.resume()?;
        while !matches!(self.wait(STOP)?, Stop::Interrupted { .. }) {
            self.resume()?;
        }
        Ok(result)
    }

    /// Lets the thread run.
    pub fn resume(&self) -> Result<()> {
        self.call("resume", libc::PTRACE_CONT, 0, 0)
    }

    /// Lets the thread run, and gives it the signal at whose delivery it was stopped.
    pub fn deliver(&self, signal: i32) -> Result<()> {
        self.call("deliver a signal", libc::PTRACE_CONT, 0, signal as usize)
    }

    /// Lets the thread run to the next entry or exit of a system call.
    pub fn resume_to_call(&self) -> Result<()> {
        self.call("resume to the next call", libc::PTRACE_SYSCALL, 0, 0)
    }

    /// The same as `resume`, and the thread is traced no longer.
    pub fn detach(&self) -> Result<()> {
        self.call("detach", libc::PTRACE_DETACH, 0, 0)
    }

    pub fn registers(&self) -> Result<Registers> {
        // SAFETY: the structure consists of integers, for which zero is a value.
        let mut registers: Registers = unsafe { std::mem::zeroed() };
        let mut iov = iovec((&raw mut registers).cast(), size_of::<Registers>());
        self.call("read registers", libc::PTRACE_GETREGSET, NT_PRSTATUS, &raw mut iov as usize)?;
        Ok(registers)
    }

    pub fn set_registers(&self, registers: &Registers) -> Result<()> {
        let mut iov = iovec((&raw const *registers).cast_mut().cast(), size_of::<Registers>());
        self.call("write registers", libc::PTRACE_SETREGSET, NT_PRSTATUS, &raw mut iov as usize)
    }

    /// The XSAVE area in its standard format, as the kernel has it for ptrace(2).
    pub fn extended_state(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0u8; XSTATE_LIMIT];
        let mut iov = iovec(bytes.as_mut_ptr().cast(), bytes.len());
        self.call("read the extended state", libc::PTRACE_GETREGSET, NT_X86_XSTATE, &raw mut iov as usize)?;
        bytes.truncate(iov.iov_len);
        Ok(bytes)
    }

    pub fn set_extended_state(&self, bytes: &[u8]) -> Result<()> {
        let mut iov = iovec(bytes.as_ptr().cast_mut().cast(), bytes.len());
        self.call("write the extended state", libc::PTRACE_SETREGSET, NT_X86_XSTATE, &raw mut iov as usize)
    }

    /// The blocked signals; within sigsuspend(2) and the like those that return with it.
    pub fn signal_mask(&self) -> Result<u64> {
        let mut mask = 0u64;
        self.call("read the signal mask", libc::PTRACE_GETSIGMASK, 8, &raw mut mask as usize)?;
        Ok(mask)
    }

    pub fn set_signal_mask(&self, mask: u64) -> Result<()> {
        self.call("write the signal mask", libc::PTRACE_SETSIGMASK, 8, &raw const mask as usize)
    }

    /// Signals that wait for the thread, or for its process.
    pub fn pending_signals(&self, of_process: bool) -> Result<Signals> {
        let mut all = Vec::new();
        loop {
            let flags = if of_process { PTRACE_PEEKSIGINFO_SHARED } else { 0 };
            let ask = PeekSiginfo { offset: all.len() as u64, flags, count: 32 };
            let mut found = [[0u8; 128]; 32];
            let asked =
                self.request(libc::PTRACE_PEEKSIGINFO, &raw const ask as usize, found.as_mut_ptr() as usize);
            let count = asked.at(|| format!("task {}: read pending signals", self.tid))? as usize;
            all.extend_from_slice(&found[..count]);
            if count < found.len() {
                return Ok(all);
            }
        }
    }

    pub fn rseq(&self) -> Result<RseqConfiguration> {
        let mut rseq = RseqConfiguration::default();
        let size = size_of::<RseqConfiguration>();
        self.call("read the rseq area", PTRACE_GET_RSEQ_CONFIGURATION, size, &raw mut rseq as usize)?;
        Ok(rseq)
    }

    /// Whether its system calls are signals to itself (PR_SET_SYSCALL_USER_DISPATCH). Before Linux 6.4 nobody can tell.
    pub fn dispatches_calls(&self) -> bool {
        // struct ptrace_sud_config: mode, selector, offset, length.
        let mut configuration = [0u64; 4];
        let size = size_of_val(&configuration);
        let asked =
            self.request(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, size, configuration.as_mut_ptr() as usize);
        asked.is_ok() && configuration[0] != 0
    }

    /// The seccomp filter with this number, 0 being the newest, as an array of sock_filter, and its flags.
    /// `None` after the last.
    ///
    /// # Errors
    /// `EACCES`: without CAP_SYS_ADMIN in the initial user namespace, or under a filter ourselves.
    pub fn seccomp_filter(&self, number: usize) -> Result<Option<(Vec<u8>, u64)>> {
        let what = || format!("task {}: read its seccomp filter {number}", self.tid);
        let count = match self.request(PTRACE_SECCOMP_GET_FILTER, number, 0) {
            Ok(count) => count as usize,
            Err(errno) if errno.raw() == libc::ENOENT => return Ok(None),
            Err(errno) => return Err(Error::of_kernel(what(), errno)),
        };
        let mut program = vec![0u8; count * 8];
        self.request(PTRACE_SECCOMP_GET_FILTER, number, program.as_mut_ptr() as usize).at(what)?;
        let mut metadata = [number as u64, 0];
        self.request(PTRACE_SECCOMP_GET_METADATA, size_of_val(&metadata), metadata.as_mut_ptr() as usize)
            .at(what)?;
        Ok(Some((program, metadata[1])))
    }

    fn call(&self, what: &str, request: libc::c_uint, address: usize, data: usize) -> Result<()> {
        self.request(request, address, data).at(|| format!("task {}: {what}", self.tid))?;
        Ok(())
    }

    fn request(&self, request: libc::c_uint, address: usize, data: usize) -> sys::Result<i64> {
        // SAFETY: each caller passes what the request takes: numbers, or the address of a live object of its size.
        Errno::check(unsafe { libc::ptrace(request, self.tid, address as *mut c_void, data as *mut c_void) })
    }
}

fn iovec(base: *mut c_void, len: usize) -> libc::iovec {
    libc::iovec { iov_base: base, iov_len: len }
}
