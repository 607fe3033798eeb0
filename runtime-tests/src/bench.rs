//! `make bench`: start-up time and peak memory of several runtimes, side by side.
//!
//! Rounds are interleaved, so that a busy moment hits all alike; medians are printed with their ratio to the first
//! runtime. The bundle is each runtime's own `spec`, without a terminal, running /bin/true. Times are from before
//! fork to after wait4 of the runtime's process; memory is the ru_maxrss that the same wait4 reports.
#![allow(unsafe_code, reason = "wait4, whose resource usage std's wait does not give")]

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

const ROUNDS: usize = 100;

struct Runtime {
    name: String,
    program: PathBuf,
    bundle: PathBuf,
    root: PathBuf,
    /// Ids of the container that stays and of those that come and go; no two runtimes share a cgroup.
    long: String,
    short: String,
    /// Milliseconds per operation, and kilobytes.
    run: Vec<(f64, i64)>,
    life: Vec<(f64, i64)>,
    exec: Vec<(f64, i64)>,
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
    let result = measure(&mut runtimes);
    for runtime in &runtimes {
        let _ = runtime.call(&["delete", "--force", &runtime.long]);
    }
    ok(Command::new("umount").arg("--lazy").arg(&work))?;
    fs::remove_dir(&work)?;
    result?;
    report(&runtimes);
    Ok(())
}

fn measure(runtimes: &mut [Runtime]) -> io::Result<()> {
    for runtime in runtimes.iter() {
        runtime.configure("\"sleep\", \"100000\"")?;
        runtime.call(&[
            "run",
            "--detach",
            "--bundle",
            &runtime.bundle.display().to_string(),
            &runtime.long,
        ])?;
        runtime.configure("\"/bin/true\"")?;
    }
    for round in 0..ROUNDS + 5 {
        for runtime in runtimes.iter_mut() {
            let short = runtime.short.clone();
            let bundle = runtime.bundle.display().to_string();
            let run = runtime.call(&["run", "--bundle", &bundle, &short])?;
            let exec = runtime.call(&["exec", &runtime.long, "/bin/true"])?;
            let create = runtime.call(&["create", "--bundle", &bundle, &short])?;
            let start = runtime.call(&["start", &short])?;
            runtime.wait_stopped(&short)?;
            let delete = runtime.call(&["delete", &short])?;
            // The first rounds fill caches.
            if round >= 5 {
                runtime.run.push(run);
                runtime.exec.push(exec);
                let memory = create.1.max(start.1).max(delete.1);
                runtime.life.push((create.0 + start.0 + delete.0, memory));
            }
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
        let runtime =
            Runtime { name, program, bundle, root, long, short, run: vec![], life: vec![], exec: vec![] };
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

    /// Runs a command to its end: milliseconds and peak kilobytes.
    fn call(&self, args: &[&str]) -> io::Result<(f64, i64)> {
        let mut command = self.command();
        command.args(args);
        let begin = Instant::now();
        let child = command.spawn()?;
        let mut status = 0;
        // SAFETY: rusage is plain integers, for which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live locals; the pid is of a child that nothing else waits for.
        let pid = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
        let elapsed = begin.elapsed().as_secs_f64() * 1000.0;
        if pid == -1 || status != 0 {
            let error = format!("{} {}: wait status {status:#x}", self.name, args.join(" "));
            return Err(io::Error::other(error));
        }
        Ok((elapsed, usage.ru_maxrss))
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

fn ok(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}

fn median(values: &[(f64, i64)]) -> f64 {
    let mut times: Vec<f64> = values.iter().map(|v| v.0).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn report(runtimes: &[Runtime]) {
    println!("{ROUNDS} interleaved rounds of /bin/true; medians, ratio to {}, peak memory", runtimes[0].name);
    println!("{:24}{:10}{:>10}{:>8}{:>11}", "", "", "ms", "ratio", "KiB");
    type Pick = fn(&Runtime) -> &Vec<(f64, i64)>;
    let rows: [(&str, Pick); 3] =
        [("run", |r| &r.run), ("create + start + delete", |r| &r.life), ("exec", |r| &r.exec)];
    for (title, pick) in rows {
        let first = median(pick(&runtimes[0]));
        for (index, runtime) in runtimes.iter().enumerate() {
            let values = pick(runtime);
            let time = median(values);
            let memory = values.iter().map(|v| v.1).max().unwrap_or(0);
            let title = if index == 0 { title } else { "" };
            println!("{title:24}{:10}{time:>10.2}{:>7.2}x{memory:>11}", runtime.name, time / first);
        }
    }
}
