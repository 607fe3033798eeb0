//! `make bench`: start-up time and peak memory of several runtimes, side by side.
//!
//! Rounds are interleaved, so that a busy moment hits all alike; medians are printed, and the first runtime's share
//! of each other's. The bundle is each runtime's own `spec`, without a terminal, running /bin/true. Times are from
//! before the spawn to after wait4 of the runtime's process. Memory is measured in rounds of its own: the ru_maxrss
//! that wait4 reports, which is the largest of the runtime and all descendants it has waited for, and for a created
//! container the peak of the init that waits for its start. The floor is floor.c: the same namespaces and mounts
//! without a runtime.
//!
//! `floe-bench memory RUNTIME…` searches the smallest memory.max with which /bin/true runs. That takes a host whose
//! memory controller is on cgroup v2. `floe-bench systemd RUNTIME…` compares `--systemd-cgroup run`, where systemd is
//! process 1 (`make test-vm SET=bench`). `floe-bench checkpoint DIRECTORY FLOE RUNC` is about checkpoints (dumps.rs), with
//! images on tmpfs and in a directory on a disk. `floe-bench move FLOE RUNC` is about a connection (moves.rs).
//! `floe-bench order FLOE MAP` is for the linker (order.rs).
#![allow(
    unsafe_code,
    reason = "wait4, whose resource usage std's wait does not give, and a fork without vfork"
)]

mod dumps;
mod hosts;
mod moves;
#[cfg(target_arch = "x86_64")]
mod order;

use serde_json::{Value, json};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const ROUNDS: usize = 100;
const MEMORY_ROUNDS: usize = 10;
const SCOPE_ROUNDS: usize = 40;
/// A fleet is this many containers, so many of them at a time.
const FLEET_ROUNDS: usize = 9;
const FLEET: usize = 100;
const AT_A_TIME: usize = 8;

/// As Docker and containerd make it for a container without privileges: the bundle of a fixture.
const DEFAULT_SECCOMP: &str = include_str!("../fixtures/containerd-hardened.json");

const RUN: &str = "run";
const LIFE: &str = "create + start + delete";
const EXEC: &str = "exec";
const SECCOMP: &str = "run, Docker's seccomp";
const RUNS: &str = "100 runs, 8 at a time";
const INIT: &str = "init of a created one";
const ROWS: [&str; 6] = [RUN, LIFE, EXEC, SECCOMP, RUNS, INIT];

const FLOOR: &str = "floor";

/// What the first runtime may take of another's time and memory.
const TARGETS: [(&str, &str, f64, Option<f64>); 4] = [
    (RUN, "crun", 0.6, Some(0.7)),
    (RUN, FLOOR, 2.0, None),
    (EXEC, "crun", 0.8, None),
    (RUNS, "crun", 0.6, None),
];
/// Bytes that the first runtime's binary may have.
const LARGEST_BINARY: u64 = 6 << 20;

/// A runtime, or the floor.
struct Contender {
    name: String,
    program: PathBuf,
    bundle: PathBuf,
    /// The same with DEFAULT_SECCOMP.
    hardened: PathBuf,
    root: PathBuf,
    /// Ids of the container that stays and of those that come and go; no two runtimes share a cgroup.
    long: String,
    short: String,
    /// One of each of ROWS.
    samples: [Samples; ROWS.len()],
}

#[derive(Clone, Default)]
struct Samples {
    milliseconds: Vec<f64>,
    kilobytes: Vec<f64>,
}

/// What a call is for. Forking costs time that vfork does not; vfork costs the truth about memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    Time,
    Memory,
}

/// How one command went.
struct Call {
    milliseconds: f64,
    kilobytes: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let Some(first) = arguments.first() else {
        eprintln!(
            "usage: floe-bench [memory|systemd] RUNTIME… (the first is what the others are compared with)"
        );
        return ExitCode::from(2);
    };
    if std::env::var_os("FLOE_BENCH_INSIDE").is_none() {
        // A crash leaves nothing, and /sys/fs/cgroup can be cgroup v2 whatever the host has there. systemd must know the
        // pids that runtimes tell it.
        let flags: &[&str] = match first.to_str() {
            Some("systemd") => &["--mount", "--propagation", "private"],
            _ => &["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation", "private"],
        };
        let error = Command::new("unshare")
            .args(flags)
            .args(std::env::args_os())
            .env("FLOE_BENCH_INSIDE", "1")
            .exec();
        eprintln!("floe-bench: unshare: {error}");
        return ExitCode::FAILURE;
    }
    let job = |work: &Path| match first.to_str() {
        Some("memory") => search_memory(&arguments[1..], work),
        Some("systemd") => compare_scopes(&arguments[1..], work),
        Some("checkpoint") if arguments.len() > 2 => dumps::compare(&arguments[2..], work, &arguments[1]),
        Some("move") if arguments.len() > 1 => moves::compare(&arguments[1..], work),
        #[cfg(target_arch = "x86_64")]
        Some("order") if arguments.len() == 3 => {
            print!("{}", order::script(&Contender::new(&arguments[1], work)?, &arguments[2])?);
            Ok(())
        }
        _ => compare(&arguments, work),
    };
    match in_work_dir(job) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floe-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// With cgroup v2 and an empty tmpfs.
fn in_work_dir(then: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        ok(Command::new("mount").args(["-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"]))?;
    }
    let work = PathBuf::from(format!("/tmp/floe-bench-{}", std::process::id()));
    fs::create_dir(&work)?;
    ok(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&work))?;
    let result = then(&work);
    ok(Command::new("umount").arg("--lazy").arg(&work))?;
    fs::remove_dir(&work)?;
    result
}

fn compare(programs: &[PathBuf], work: &Path) -> io::Result<()> {
    let mut contenders = programs.iter().map(|p| Contender::new(p, work)).collect::<io::Result<Vec<_>>>()?;
    contenders.push(Contender::floor(work)?);
    same_mounts(&contenders[0], &contenders[contenders.len() - 1])?;
    let least = call(Command::new("/usr/bin/busybox").arg("true"), Measure::Memory)?.kilobytes;
    let result = measure(&mut contenders);
    for contender in contenders.iter().filter(|contender| !contender.is_floor()) {
        let _ = contender.call(Measure::Time, &["delete", "--force", &contender.long]);
    }
    result?;
    report(&contenders, least);
    Ok(())
}

fn measure(contenders: &mut [Contender]) -> io::Result<()> {
    for contender in contenders.iter().filter(|contender| !contender.is_floor()) {
        contender.configure(&["sleep", "100000"])?;
        let bundle = contender.bundle.display().to_string();
        contender.call(Measure::Time, &["run", "--detach", "--bundle", &bundle, &contender.long])?;
        contender.configure(&["/bin/true"])?;
    }
    // The first rounds fill caches.
    for round in 0..ROUNDS + 5 {
        for contender in contenders.iter_mut() {
            contender.round(Measure::Time, round >= 5)?;
        }
    }
    for _ in 0..MEMORY_ROUNDS {
        for contender in contenders.iter_mut() {
            contender.round(Measure::Memory, true)?;
        }
    }
    for _ in 0..FLEET_ROUNDS {
        for contender in contenders.iter_mut() {
            contender.fleet()?;
        }
    }
    Ok(())
}

/// The floor is one only as long as it makes what the runtime makes.
fn same_mounts(runtime: &Contender, floor: &Contender) -> io::Result<()> {
    let list = |mut command: Command| -> io::Result<Vec<String>> {
        let output = command.stdout(Stdio::piped()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let places = text.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned);
        let mut places: Vec<String> = places.collect();
        places.sort();
        Ok(places)
    };
    let args = ["/bin/cat", "/proc/self/mountinfo"];
    runtime.configure(&args)?;
    let mut command = runtime.command();
    command.args(["run", "--bundle"]).arg(&runtime.bundle).arg(&runtime.short);
    let (theirs, own) = (list(command)?, list(floor.floor_command(&args))?);
    if theirs.is_empty() || theirs != own {
        return Err(io::Error::other(format!("{} mounts {theirs:?}, the floor {own:?}", runtime.name)));
    }
    Ok(())
}

impl Contender {
    fn new(program: &Path, work: &Path) -> io::Result<Contender> {
        let program = fs::canonicalize(program)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", program.display())))?;
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let contender = Contender {
            bundle: work.join(&name),
            hardened: work.join(format!("{name}-hardened")),
            root: work.join(format!("{name}-state")),
            long: format!("{name}-long"),
            short: format!("{name}-short"),
            samples: Default::default(),
            name,
            program,
        };
        make_rootfs(&contender.bundle)?;
        ok(contender.command().arg("spec").current_dir(&contender.bundle))?;
        let mut spec = contender.spec(&["/bin/true"])?;
        let fixture: Value = serde_json::from_str(DEFAULT_SECCOMP)?;
        spec["linux"]["seccomp"] = fixture["linux"]["seccomp"].clone();
        spec["root"]["path"] = contender.bundle.join("rootfs").to_string_lossy().into();
        fs::create_dir(&contender.hardened)?;
        fs::write(contender.hardened.join("config.json"), spec.to_string())?;
        Ok(contender)
    }

    /// floor.c beside this program.
    fn floor(work: &Path) -> io::Result<Contender> {
        let name = FLOOR.to_owned();
        let nothing = PathBuf::new;
        let bundle = work.join(&name);
        make_rootfs(&bundle)?;
        let program = std::env::current_exe()?.with_file_name("floe-bench-floor");
        let (hardened, root, long, short) = (nothing(), nothing(), String::new(), String::new());
        let samples = Default::default();
        Ok(Contender { name, program, bundle, hardened, root, long, short, samples })
    }

    fn is_floor(&self) -> bool {
        self.name == FLOOR
    }

    fn floor_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(self.bundle.join("rootfs")).args(args).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// The runtime's own config.json with other arguments and no terminal.
    fn spec(&self, args: &[&str]) -> io::Result<Value> {
        let mut spec: Value = serde_json::from_slice(&fs::read(self.bundle.join("config.json"))?)?;
        spec["process"]["terminal"] = false.into();
        spec["process"]["args"] = json!(args);
        Ok(spec)
    }

    fn configure(&self, args: &[&str]) -> io::Result<()> {
        fs::write(self.bundle.join("config.json"), self.spec(args)?.to_string())
    }

    /// Every operation once.
    fn round(&mut self, measure: Measure, keep: bool) -> io::Result<()> {
        let mut calls = Vec::new();
        if self.is_floor() {
            calls.push((RUN, call(&mut self.floor_command(&["/bin/true"]), measure)?));
        } else {
            self.commands(measure, &mut calls)?;
        }
        for (row, call) in calls.into_iter().filter(|_| keep) {
            let samples = self.row_mut(row);
            match measure {
                Measure::Time => samples.milliseconds.push(call.milliseconds),
                Measure::Memory => samples.kilobytes.push(call.kilobytes),
            }
        }
        Ok(())
    }

    fn commands(&self, measure: Measure, calls: &mut Vec<(&str, Call)>) -> io::Result<()> {
        let [bundle, hardened, pid_file] =
            [&self.bundle, &self.hardened, &self.bundle.join("pid")].map(|path| path.display().to_string());
        let short = self.short.as_str();
        calls.push((RUN, self.call(measure, &["run", "--bundle", &bundle, short])?));
        calls.push((SECCOMP, self.call(measure, &["run", "--bundle", &hardened, short])?));
        calls.push((EXEC, self.call(measure, &["exec", &self.long, "/bin/true"])?));
        let create = self.call(measure, &["create", "--bundle", &bundle, "--pid-file", &pid_file, short])?;
        if measure == Measure::Memory {
            let kilobytes = peak_of(&fs::read_to_string(&pid_file)?)?;
            calls.push((INIT, Call { milliseconds: 0.0, kilobytes }));
        }
        let start = self.call(measure, &["start", short])?;
        self.wait_stopped(short)?;
        let delete = self.call(measure, &["delete", short])?;
        let life = [create, start, delete];
        let milliseconds = life.iter().map(|call| call.milliseconds).sum();
        let kilobytes = life.iter().map(|call| call.kilobytes).fold(0.0, f64::max);
        calls.push((LIFE, Call { milliseconds, kilobytes }));
        Ok(())
    }

    /// Many containers, some at a time.
    fn fleet(&mut self) -> io::Result<()> {
        let next = AtomicUsize::new(0);
        let bundle = self.bundle.display().to_string();
        let begin = Instant::now();
        let work = || -> io::Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= FLEET {
                    return Ok(());
                }
                if self.is_floor() {
                    call(&mut self.floor_command(&["/bin/true"]), Measure::Time)?;
                } else {
                    let id = format!("{}-{number}", self.short);
                    self.call(Measure::Time, &["run", "--bundle", &bundle, &id])?;
                }
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
        })?;
        let milliseconds = begin.elapsed().as_secs_f64() * 1000.0;
        self.row_mut(RUNS).milliseconds.push(milliseconds);
        Ok(())
    }

    /// Runs a command of the runtime to its end.
    fn call(&self, measure: Measure, args: &[&str]) -> io::Result<Call> {
        let mut command = self.command();
        command.args(args);
        call(&mut command, measure)
    }

    fn wait_stopped(&self, id: &str) -> io::Result<()> {
        for _ in 0..1000 {
            let output = self.command().args(["state", id]).stdout(Stdio::piped()).output()?;
            if String::from_utf8_lossy(&output.stdout).contains("stopped") {
                return Ok(());
            }
        }
        Err(io::Error::other(format!("{} {id}: does not stop", self.name)))
    }

    fn row(&self, title: &str) -> &Samples {
        &self.samples[ROWS.iter().position(|row| *row == title).expect("a title of ROWS")]
    }

    fn row_mut(&mut self, title: &str) -> &mut Samples {
        &mut self.samples[ROWS.iter().position(|row| *row == title).expect("a title of ROWS")]
    }
}

fn make_rootfs(bundle: &Path) -> io::Result<()> {
    for dir in ["bin", "proc", "sys", "dev"] {
        fs::create_dir_all(bundle.join("rootfs").join(dir))?;
    }
    fs::copy("/usr/bin/busybox", bundle.join("rootfs/bin/busybox"))?;
    for applet in ["true", "sleep", "cat"] {
        std::os::unix::fs::symlink("busybox", bundle.join("rootfs/bin").join(applet))?;
    }
    Ok(())
}

fn call(command: &mut Command, measure: Measure) -> io::Result<Call> {
    if measure == Measure::Memory {
        // execve counts the peak of the memory that it replaces as the new program's own. After vfork, which std
        // uses where it can, that is all of ours; after fork only the few pages that a fork copies.
        // SAFETY: the closure does nothing.
        unsafe { command.pre_exec(|| Ok(())) };
    }
    let begin = Instant::now();
    let child = command.spawn()?;
    let mut status = 0;
    // SAFETY: rusage is plain integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live locals; the pid is of a child that nothing else waits for.
    let pid = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
    let milliseconds = begin.elapsed().as_secs_f64() * 1000.0;
    if pid == -1 || status != 0 {
        return Err(io::Error::other(format!("{command:?}: wait status {status:#x}")));
    }
    Ok(Call { milliseconds, kilobytes: usage.ru_maxrss as f64 })
}

/// Peak kilobytes of a process so far.
fn peak_of(pid: &str) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().map_err(|_| io::Error::other(format!("VmHWM of {pid}")))
}

fn ok(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}

/// For each runtime the smallest limit, in steps of 4 KiB, with which ten runs in a row work.
fn search_memory(programs: &[PathBuf], work: &Path) -> io::Result<()> {
    const STEP: u64 = 4096;
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")?;
    if !controllers.split_whitespace().any(|controller| controller == "memory") {
        return Err(io::Error::other("the memory controller of this host is not on cgroup v2"));
    }
    for program in programs {
        let contender = Contender::new(program, work)?;
        let mut spec = contender.spec(&["/bin/true"])?;
        let mut works = |pages: u64| -> io::Result<bool> {
            spec["linux"]["resources"]["memory"] = json!({ "limit": pages * STEP });
            fs::write(contender.bundle.join("config.json"), spec.to_string())?;
            for _ in 0..10 {
                let mut command = contender.command();
                command.args(["run", "--bundle"]).arg(&contender.bundle).arg(&contender.short);
                if !command.stderr(Stdio::null()).status()?.success() {
                    let mut delete = contender.command();
                    delete.args(["delete", "--force", &contender.short]).stderr(Stdio::null()).status()?;
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let (mut fails, mut enough) = (0, 32 * 1024);
        if !works(enough)? {
            return Err(io::Error::other(format!("{}: no run with 128 MiB", contender.name)));
        }
        while enough - fails > 1 {
            let middle = fails.midpoint(enough);
            *(if works(middle)? { &mut enough } else { &mut fails }) = middle;
        }
        println!("{}: /bin/true runs with memory.max of {} KiB", contender.name, enough * STEP / 1024);
    }
    Ok(())
}

/// `run` in a scope of systemd's: medians, and of the first runtime's share of each other's in the same round.
fn compare_scopes(programs: &[PathBuf], work: &Path) -> io::Result<()> {
    let contenders = programs.iter().map(|p| Contender::new(p, work)).collect::<io::Result<Vec<_>>>()?;
    for contender in &contenders {
        contender.configure(&["/bin/true"])?;
    }
    let mut times = vec![Vec::new(); contenders.len()];
    // The first rounds fill caches.
    for round in 0..SCOPE_ROUNDS + 5 {
        for (contender, times) in contenders.iter().zip(&mut times) {
            let (bundle, id) =
                (contender.bundle.display().to_string(), format!("{}-{round}", contender.short));
            let run = ["--systemd-cgroup", "run", "--bundle", &bundle, &id];
            times.push(contender.call(Measure::Time, &run)?.milliseconds);
        }
    }
    println!(
        "/bin/true in a container with a scope of systemd's, medians of {SCOPE_ROUNDS} interleaved rounds"
    );
    for (contender, own) in contenders.iter().zip(&times) {
        let ratios: Vec<f64> = times[0].iter().zip(own).skip(5).map(|(first, own)| first / own).collect();
        let (name, first) = (&contender.name, &contenders[0].name);
        println!("{name:8}{:>8.2} ms  {first}/it {:.2}", median(&own[5..]), median(&ratios));
    }
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(contenders: &[Contender], least: f64) {
    let first = &contenders[0];
    let share = format!("{}/it", first.name);
    println!("/bin/true in a container, medians of {ROUNDS} interleaved rounds, of memory {MEMORY_ROUNDS},");
    println!("of many at a time {FLEET_ROUNDS}; the floor is the kernel alone, without a cgroup");
    println!("{:26}{:8}{:>8}{share:>10}{:>12}{share:>10}", "", "", "ms", "peak KiB");
    let medians = |contender: &Contender, row| {
        let samples = contender.row(row);
        [median(&samples.milliseconds), median(&samples.kilobytes)]
    };
    let show = |value: f64, decimals| {
        if value.is_nan() { "-".to_owned() } else { format!("{value:.decimals$}") }
    };
    let mut verdicts = Vec::new();
    for row in ROWS {
        let own = medians(first, row);
        for (index, contender) in contenders.iter().enumerate() {
            let theirs = medians(contender, row);
            if theirs.iter().all(|value| value.is_nan()) {
                continue;
            }
            let ratio = [own[0] / theirs[0], own[1] / theirs[1]];
            let compare = |ratio: f64| if index == 0 { String::new() } else { show(ratio, 2) };
            println!(
                "{:26}{:8}{:>8}{:>10}{:>12}{:>10}",
                if index == 0 { row } else { "" },
                contender.name,
                show(theirs[0], 2),
                compare(ratio[0]),
                show(theirs[1], 0),
                compare(ratio[1]),
            );
            for (_, name, time, memory) in
                TARGETS.iter().filter(|(title, name, ..)| *title == row && *name == contender.name)
            {
                let limits = [("time", ratio[0], Some(*time)), ("memory", ratio[1], *memory)];
                for (what, is, limit) in limits {
                    let Some(limit) = limit else { continue };
                    let verdict = if is <= limit { "met" } else { "missed" };
                    verdicts.push(format!("{row}: {what} {is:.2} of {name}'s, target {limit:.2}: {verdict}"));
                }
            }
        }
    }
    println!("a static busybox `true`, by the same measure: {least:.0} KiB");
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    let bytes = fs::metadata(&first.program).map_or(0, |file| file.len());
    let verdict = if bytes <= LARGEST_BINARY { "met" } else { "missed" };
    println!("binary: {bytes} bytes, target {LARGEST_BINARY}: {verdict}");
}
