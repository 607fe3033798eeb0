//! `make bench`: start-up time and peak memory of several runtimes, side by side.
//!
//! Rounds are interleaved, so that a busy moment hits all alike; medians are printed, and the first runtime's share
//! of each other's. The bundle is each runtime's own `spec`, without a terminal, running /bin/true. Times are from
//! before the spawn to after wait4 of the runtime's process. Memory is measured in rounds of its own: the ru_maxrss
//! that wait4 reports, which is the largest of the runtime and all descendants it has waited for, and for a created
//! container the peak of the init that waits for its start.
#![allow(
    unsafe_code,
    reason = "wait4, whose resource usage std's wait does not give, and a fork without vfork"
)]

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

const ROUNDS: usize = 100;
const MEMORY_ROUNDS: usize = 10;

/// What the first runtime may take of crun's time and memory.
const TARGETS: [(&str, f64, f64); 1] = [("run", 0.8, 1.0)];

struct Runtime {
    name: String,
    program: PathBuf,
    bundle: PathBuf,
    root: PathBuf,
    /// Ids of the container that stays and of those that come and go; no two runtimes share a cgroup.
    long: String,
    short: String,
    run: Samples,
    life: Samples,
    exec: Samples,
    /// Only memory.
    init: Samples,
}

#[derive(Default)]
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
    let programs: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if programs.is_empty() {
        eprintln!("usage: floe-bench RUNTIME… (the first is what the others are compared with)");
        return ExitCode::from(2);
    }
    if std::env::var_os("FLOE_BENCH_INSIDE").is_none() {
        // A crash leaves nothing, and /sys/fs/cgroup can be cgroup v2 whatever the host has there.
        let flags =
            ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation", "private"];
        let error = Command::new("unshare")
            .args(flags)
            .args(std::env::args_os())
            .env("FLOE_BENCH_INSIDE", "1")
            .exec();
        eprintln!("floe-bench: unshare: {error}");
        return ExitCode::FAILURE;
    }
    match compare(&programs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floe-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(programs: &[PathBuf]) -> io::Result<()> {
    if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        ok(Command::new("mount").args(["-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"]))?;
    }
    let work = PathBuf::from(format!("/tmp/floe-bench-{}", std::process::id()));
    fs::create_dir(&work)?;
    ok(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&work))?;
    let mut runtimes = programs.iter().map(|p| Runtime::new(p, &work)).collect::<io::Result<Vec<_>>>()?;
    let floor = call(Command::new("/usr/bin/busybox").arg("true"), Measure::Memory)?.kilobytes;
    let result = measure(&mut runtimes);
    for runtime in &runtimes {
        let _ = runtime.call(Measure::Time, &["delete", "--force", &runtime.long]);
    }
    ok(Command::new("umount").arg("--lazy").arg(&work))?;
    fs::remove_dir(&work)?;
    result?;
    report(&runtimes, floor);
    Ok(())
}

fn measure(runtimes: &mut [Runtime]) -> io::Result<()> {
    for runtime in runtimes.iter() {
        runtime.configure("\"sleep\", \"100000\"")?;
        let bundle = runtime.bundle.display().to_string();
        runtime.call(Measure::Time, &["run", "--detach", "--bundle", &bundle, &runtime.long])?;
        runtime.configure("\"/bin/true\"")?;
    }
    // The first rounds fill caches.
    for round in 0..ROUNDS + 5 {
        for runtime in runtimes.iter_mut() {
            runtime.round(Measure::Time, round >= 5)?;
        }
    }
    for _ in 0..MEMORY_ROUNDS {
        for runtime in runtimes.iter_mut() {
            runtime.round(Measure::Memory, true)?;
        }
    }
    Ok(())
}

impl Runtime {
    fn new(program: &Path, work: &Path) -> io::Result<Runtime> {
        let program = fs::canonicalize(program)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", program.display())))?;
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bundle = work.join(&name);
        for dir in ["bin", "proc", "sys", "dev"] {
            fs::create_dir_all(bundle.join("rootfs").join(dir))?;
        }
        fs::copy("/usr/bin/busybox", bundle.join("rootfs/bin/busybox"))?;
        for applet in ["true", "sleep"] {
            std::os::unix::fs::symlink("busybox", bundle.join("rootfs/bin").join(applet))?;
        }
        let root = work.join(format!("{name}-state"));
        let (long, short) = (format!("{name}-long"), format!("{name}-short"));
        let none = Samples::default;
        let (run, life, exec, init) = (none(), none(), none(), none());
        let runtime = Runtime { name, program, bundle, root, long, short, run, life, exec, init };
        ok(runtime.command().arg("spec").current_dir(&runtime.bundle))?;
        Ok(runtime)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// The runtime's own config.json with other arguments and no terminal.
    fn configure(&self, args: &str) -> io::Result<()> {
        let path = self.bundle.join("config.json");
        let mut spec: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
        spec["process"]["terminal"] = false.into();
        spec["process"]["args"] = serde_json::from_str(&format!("[{args}]"))?;
        fs::write(path, spec.to_string())
    }

    /// Every operation once.
    fn round(&mut self, measure: Measure, keep: bool) -> io::Result<()> {
        let bundle = self.bundle.display().to_string();
        let pid_file = self.bundle.join("pid");
        let short = self.short.clone();
        let run = self.call(measure, &["run", "--bundle", &bundle, &short])?;
        let exec = self.call(measure, &["exec", &self.long, "/bin/true"])?;
        let pid_option = pid_file.display().to_string();
        let create =
            self.call(measure, &["create", "--bundle", &bundle, "--pid-file", &pid_option, &short])?;
        let init = if measure == Measure::Memory { peak_of(&fs::read_to_string(&pid_file)?)? } else { 0.0 };
        let start = self.call(measure, &["start", &short])?;
        self.wait_stopped(&short)?;
        let delete = self.call(measure, &["delete", &short])?;
        if !keep {
            return Ok(());
        }
        let life = [create, start, delete];
        match measure {
            Measure::Time => {
                self.run.milliseconds.push(run.milliseconds);
                self.exec.milliseconds.push(exec.milliseconds);
                self.life.milliseconds.push(life.iter().map(|call| call.milliseconds).sum());
            }
            Measure::Memory => {
                self.run.kilobytes.push(run.kilobytes);
                self.exec.kilobytes.push(exec.kilobytes);
                self.life.kilobytes.push(life.iter().map(|call| call.kilobytes).fold(0.0, f64::max));
                self.init.kilobytes.push(init);
            }
        }
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

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(runtimes: &[Runtime], floor: f64) {
    let first = &runtimes[0];
    let share = format!("{}/it", first.name);
    println!("/bin/true in a container, medians of {ROUNDS} interleaved rounds, of memory {MEMORY_ROUNDS}");
    println!("{:26}{:8}{:>8}{share:>10}{:>12}{share:>10}", "", "", "ms", "peak KiB");
    type Pick = fn(&Runtime) -> &Samples;
    let rows: [(&str, Pick); 4] = [
        ("run", |r| &r.run),
        ("create + start + delete", |r| &r.life),
        ("exec", |r| &r.exec),
        ("init of a created one", |r| &r.init),
    ];
    let mut verdicts = Vec::new();
    for (title, pick) in rows {
        let own = [median(&pick(first).milliseconds), median(&pick(first).kilobytes)];
        for (index, runtime) in runtimes.iter().enumerate() {
            let samples = pick(runtime);
            let theirs = [median(&samples.milliseconds), median(&samples.kilobytes)];
            let ratio = [own[0] / theirs[0], own[1] / theirs[1]];
            let show = |value: f64, decimals| {
                if value.is_nan() { "-".to_owned() } else { format!("{value:.decimals$}") }
            };
            let compare = |ratio: f64| if index == 0 { String::new() } else { show(ratio, 2) };
            println!(
                "{:26}{:8}{:>8}{:>10}{:>12}{:>10}",
                if index == 0 { title } else { "" },
                runtime.name,
                show(theirs[0], 2),
                compare(ratio[0]),
                show(theirs[1], 0),
                compare(ratio[1]),
            );
            for (_, time, memory) in
                TARGETS.iter().filter(|target| target.0 == title && runtime.name == "crun")
            {
                for (what, is, limit) in [("time", ratio[0], time), ("memory", ratio[1], memory)] {
                    let verdict = if is <= *limit { "met" } else { "missed" };
                    verdicts.push(format!(
                        "{title}: {what} {is:.2} of {}'s, target {limit:.2}: {verdict}",
                        runtime.name
                    ));
                }
            }
        }
    }
    println!("a static busybox `true`, by the same measure: {floor:.0} KiB");
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
}
