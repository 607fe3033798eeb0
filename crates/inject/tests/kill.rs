//! A task survives its supervisor: a program that checks itself all the time is entered again and again by supervisors
//! that are killed at random moments, and must notice nothing.
//!
//! `ROUNDS` in the environment says how many supervisors die (200). Needs root.
#![allow(unsafe_code)] // The program keeps values in registers and waits in raw system calls.

use inject::{Batch, Process, Stop, Supervisor, Thread};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("program") => program(),
        Some("supervise") => {
            supervise(arguments[2].parse().expect("a pid"), arguments[3].parse().expect("a number"))
        }
        // What a test runner passes.
        _ => tests(),
    }
}

fn tests() {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        println!("skip: inject::kill: needs root for ptrace and map_files");
        return;
    }
    let rounds: u32 =
        std::env::var("ROUNDS").map_or(200, |rounds| rounds.parse().expect("ROUNDS is a number"));
    // A program that waits for a lost signal would wait for ever.
    // SAFETY: no pointers; the default action ends us.
    unsafe { libc::alarm(600) };
    supervised_and_left();
    println!("test supervised_and_left ... ok");
    killed(rounds);
    println!("test killed ({rounds} times) ... ok");
}

fn myself(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("our path"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

struct Program {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Program {
    fn start() -> Program {
        let mut child = myself(&["program"]).spawn().expect("the program starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        Program { child, output }
    }

    /// Lets the program check itself for the last time.
    fn end(mut self) {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        let status = self.child.wait().expect("an end");
        assert!(status.success() && line == "pass\n", "{status}: {line}");
    }
}

/// Visits that end as they should leave no trace.
fn supervised_and_left() {
    let program = Program::start();
    let before = (mappings(program.child.id()), vdso(program.child.id()));
    let pid = program.child.id().to_string();
    let status = myself(&["supervise", &pid, "50"]).status().expect("the supervisor starts");
    assert!(status.success());
    assert!(before == (mappings(program.child.id()), vdso(program.child.id())), "not as before");
    program.end();
}

fn killed(rounds: u32) {
    let mut program = Program::start();
    let pid = program.child.id().to_string();
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    for round in 0..rounds {
        let mut supervisor = myself(&["supervise", &pid, "1000000"]).spawn().expect("the supervisor starts");
        let mut output = BufReader::new(supervisor.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n", "round {round}");
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_micros((random >> 33) % 20_000));
        supervisor.kill().expect("it can be killed");
        let _ = supervisor.wait();
        let ended = program.child.try_wait().expect("a child");
        assert!(ended.is_none(), "round {round}: {ended:?}");
    }
    // The last visit cleans up after the dead. What may stay: mappings whose supervisor died between two instructions, so
    // that nobody can know whether a thread still needs them. On a busy machine more of them die so.
    let status = myself(&["supervise", &pid, "1"]).status().expect("the supervisor starts");
    assert!(status.success());
    let left: Vec<String> = mappings(program.child.id());
    let left: Vec<&String> = left.iter().filter(|line| line.contains("/dev/zero")).collect();
    assert!(left.len() <= 2 + rounds as usize / 5, "{} mappings are left", left.len());
    program.end();
}

/// Mappings that are shared or executable: the others change with the program's own threads.
fn mappings(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("maps");
    let permissions = |line: &str| line.split(' ').nth(1).is_some_and(|flags| flags.contains(['s', 'x']));
    text.lines().filter(|line| permissions(line)).map(str::to_owned).collect()
}

/// The bytes of the vdso.
fn vdso(pid: u32) -> Vec<u8> {
    let mappings = mappings(pid);
    let line = mappings.iter().find(|line| line.ends_with("[vdso]")).expect("a vdso");
    let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
    let number = |text| u64::from_str_radix(text, 16).expect("an address");
    let mut bytes = vec![0; (number(end) - number(start)) as usize];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("its memory");
    memory.read_exact_at(&mut bytes, number(start)).expect("its vdso");
    bytes
}

/// Enters the process so many times, with a batch in each thread.
fn supervise(pid: i32, times: u32) {
    let supervisor = Supervisor::new().expect("a robust list");
    println!("ready");
    std::io::stdout().flush().expect("a pipe");
    for _ in 0..times {
        let mut process = Process::enter(&supervisor, pid, stop(pid)).expect("enter");
        let count = process.threads().len();
        let mut batches = Vec::new();
        for nth in 0..count {
            let mut batch = Batch::new();
            for _ in 0..20 {
                batch.call("gettid", libc::SYS_gettid, &[]);
            }
            let path = batch.string(b"/");
            let fd = batch.call("open", libc::SYS_open, &[path.into(), libc::O_PATH.into()]);
            batch.call("close", libc::SYS_close, &[fd.into()]);
            batches.push(batch);
            process.start(nth, &batches[nth]).expect("start");
        }
        for (nth, batch) in batches.iter().enumerate() {
            process.finish(nth, batch).expect("finish");
        }
        let pidfd = sys::process::pidfd_open(pid).expect("a pidfd");
        let event = process.lend(pidfd.as_fd(), "eventfd2", libc::SYS_eventfd2, &[7.into(), 0.into()]);
        let mut counter = [0; 8];
        std::fs::File::from(event.expect("a descriptor")).read_exact(&mut counter).expect("a counter");
        assert_eq!(u64::from_le_bytes(counter), 7);
        for thread in process.leave().expect("leave") {
            thread.detach().expect("detach");
        }
    }
}

/// Stops all threads of a process, except those that end meanwhile.
fn stop(pid: i32) -> Vec<Thread> {
    let mut threads: Vec<Thread> = Vec::new();
    loop {
        let before = threads.len();
        for entry in std::fs::read_dir(format!("/proc/{pid}/task")).expect("the program lives") {
            let tid: i32 =
                entry.expect("an entry").file_name().to_str().expect("text").parse().expect("a number");
            if threads.iter().any(|thread| thread.tid() == tid) {
                continue;
            }
            if let Some(thread) = seize(tid) {
                thread.interrupt().expect("interrupt");
                loop {
                    match thread.wait(Duration::from_secs(10)) {
                        Ok(Stop::Interrupted { .. }) => threads.push(thread),
                        // It was on its way when we came, and nobody else will deliver it.
                        Ok(Stop::Signal(signal)) => {
                            thread.deliver(signal).expect("deliver");
                            continue;
                        }
                        Ok(stop) => panic!("task {tid}: {stop:?}"),
                        Err(error) => assert!(error.has_ended(), "{error}"),
                    }
                    break;
                }
            }
        }
        if threads.len() == before {
            return threads;
        }
    }
}

/// The kernel needs a moment to detach what a dead supervisor has held.
fn seize(tid: i32) -> Option<Thread> {
    let start = Instant::now();
    loop {
        match Thread::seize(tid) {
            Ok(thread) => return Some(thread),
            Err(error) if error.has_ended() => return None,
            Err(error) if start.elapsed() > Duration::from_secs(5) => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_micros(100)),
        }
    }
}

static STOP: AtomicBool = AtomicBool::new(false);
static SIGNALS: AtomicU64 = AtomicU64::new(0);
static SUSPENDED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: i32) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn suspended(_: i32) {
    SUSPENDED.fetch_add(1, Ordering::Relaxed);
}

/// Threads that check what a stop could change, until standard input ends.
fn program() {
    handle(libc::SIGALRM, count, libc::SA_RESTART);
    handle(libc::SIGUSR2, suspended, 0);
    let descriptors = descriptors();
    let mut threads = Vec::new();
    for nth in 0..3 {
        threads.push(std::thread::spawn(move || within_signals_blocked(|| registers(nth))));
    }
    threads.push(std::thread::spawn(|| within_signals_blocked(sleeps)));
    threads.push(std::thread::spawn(|| within_signals_blocked(polls)));
    threads.push(std::thread::spawn(|| within_signals_blocked(waits_for_futex)));
    threads.push(std::thread::spawn(suspends));
    let (near, far) = pipes();
    threads.push(std::thread::spawn(move || within_signals_blocked(move || ping(near))));
    threads.push(std::thread::spawn(move || within_signals_blocked(move || pong(far))));
    let every = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 1000 },
        it_value: libc::timeval { tv_sec: 0, tv_usec: 1000 },
    };
    // SAFETY: `every` is a value, the former timer is not wanted.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const every, std::ptr::null_mut()) };
    println!("ready");
    std::io::stdout().flush().expect("a pipe");
    // Restarted after each of the signals.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("standard input");
    STOP.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().expect("a thread that found nothing");
    }
    assert!(SIGNALS.load(Ordering::SeqCst) > 10, "no signals came");
    assert_eq!(mask() & !(1 << (libc::SIGUSR2 - 1)), 0, "signals are blocked");
    // The pipes are closed by now.
    assert_eq!(descriptors, self::descriptors());
    println!("pass");
}

fn go_on() -> bool {
    !STOP.load(Ordering::SeqCst)
}

fn handle(signal: i32, handler: extern "C" fn(i32), flags: i32) {
    // SAFETY: zero is a value for all fields.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = flags;
    // SAFETY: the handlers only add to an atomic number.
    unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
}

fn mask() -> u64 {
    let mut mask = 0u64;
    // SAFETY: `mask` has the 8 bytes that the kernel writes.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, 0, std::ptr::null::<u64>(), &raw mut mask, 8) };
    mask
}

fn within_signals_blocked(work: impl FnOnce()) {
    let blocked = (1u64 << (libc::SIGALRM - 1)) | 1 << (libc::SIGUSR2 - 1) | 1 << (libc::SIGUSR1 - 1);
    // SAFETY: `blocked` has the 8 bytes that the kernel reads.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, 0, &raw const blocked, std::ptr::null::<u64>(), 8) };
    work();
    assert_eq!(mask(), blocked, "the signal mask has changed");
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Keeps values in general and vector registers through a long loop.
fn registers(seed: u64) {
    while go_on() {
        let mut found = [0u64; 8];
        let values: [u64; 8] = std::array::from_fn(|nth| (seed + 1) * 0x0101_0101_0101_0101 + nth as u64);
        // SAFETY: the loop only counts; all registers it uses are named.
        unsafe {
            std::arch::asm!(
                "movq xmm5, {a}", "movq xmm15, {b}", "stc",
                "mov rcx, 2000000",
                "2:", "lea rcx, [rcx - 1]", "jrcxz 3f", "jmp 2b",
                "3:", "setc {carry}", "movq {a}, xmm5", "movq {b}, xmm15",
                a = inout(reg) values[0] => found[0], b = inout(reg) values[1] => found[1],
                inout("rsi") values[2] => found[2], inout("r8") values[3] => found[3],
                inout("r9") values[4] => found[4], inout("r10") values[5] => found[5],
                inout("r14") values[6] => found[6], inout("r15") values[7] => found[7],
                carry = out(reg_byte) _, out("rcx") _, out("xmm5") _, out("xmm15") _,
            );
        }
        assert_eq!(found, values, "registers have changed");
    }
}

fn sleeps() {
    while go_on() {
        let start = Instant::now();
        let time = libc::timespec { tv_sec: 0, tv_nsec: 60_000_000 };
        // SAFETY: the kernel reads `time`; the rest is not wanted.
        let result = unsafe { libc::syscall(libc::SYS_nanosleep, &raw const time, std::ptr::null::<u8>()) };
        assert_eq!(result, 0, "nanosleep: {}", std::io::Error::last_os_error());
        assert!(start.elapsed() >= Duration::from_millis(60), "slept {:?}", start.elapsed());
    }
}

fn polls() {
    while go_on() {
        let start = Instant::now();
        // SAFETY: no descriptors.
        let result = unsafe { libc::poll(std::ptr::null_mut(), 0, 60) };
        assert_eq!(result, 0, "poll: {}", std::io::Error::last_os_error());
        assert!(start.elapsed() >= Duration::from_millis(60), "polled {:?}", start.elapsed());
    }
}

fn waits_for_futex() {
    let word = 7u32;
    while go_on() {
        let start = Instant::now();
        let time = libc::timespec { tv_sec: 0, tv_nsec: 60_000_000 };
        // SAFETY: the kernel reads both values.
        let result =
            unsafe { libc::syscall(libc::SYS_futex, &raw const word, libc::FUTEX_WAIT, 7, &raw const time) };
        let error = std::io::Error::last_os_error();
        assert_eq!((result, error.raw_os_error()), (-1, Some(libc::ETIMEDOUT)), "futex: {error}");
        assert!(start.elapsed() >= Duration::from_millis(60), "waited {:?}", start.elapsed());
    }
}

/// Waits for a signal that is blocked outside of the wait; each one sent must come.
fn suspends() {
    within_signals_blocked(|| {
        // SAFETY: no arguments.
        let (pid, tid) = unsafe { (libc::getpid(), libc::gettid()) };
        while go_on() {
            let before = SUSPENDED.load(Ordering::SeqCst);
            let sender = std::thread::spawn(move || {
                within_signals_blocked(|| {
                    std::thread::sleep(Duration::from_millis(15));
                    // SAFETY: no pointers.
                    unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, libc::SIGUSR2) };
                });
            });
            let open = !(1u64 << (libc::SIGUSR2 - 1));
            // SAFETY: the kernel reads `open`.
            unsafe { libc::syscall(libc::SYS_rt_sigsuspend, &raw const open, 8) };
            assert_eq!(
                SUSPENDED.load(Ordering::SeqCst),
                before + 1,
                "sigsuspend returned without its signal"
            );
            sender.join().expect("the sender");
        }
    });
}

type Ends = (std::io::PipeReader, std::io::PipeWriter);

fn pipes() -> (Ends, Ends) {
    let (a, b) = std::io::pipe().expect("a pipe");
    let (c, d) = std::io::pipe().expect("a pipe");
    ((a, d), (c, b))
}

fn ping((mut from, mut to): Ends) {
    use std::io::Read;
    let mut number = 0u64;
    while go_on() {
        number += 1;
        to.write_all(&number.to_le_bytes()).expect("write");
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes).expect("read");
        assert_eq!(u64::from_le_bytes(bytes), number + 1, "the pipe has lost something");
    }
}

fn pong((mut from, mut to): Ends) {
    use std::io::Read;
    let mut bytes = [0; 8];
    while from.read_exact(&mut bytes).is_ok() {
        let number = u64::from_le_bytes(bytes) + 1;
        to.write_all(&number.to_le_bytes()).expect("write");
    }
}
