//! `floe-bench checkpoint DIRECTORY FLOE RUNC`: checkpoints and restores of the same containers by floe and by runc with CRIU, whose
//! programs are in one directory.
//!
//! Rounds are interleaved; each runs a container, checkpoints, restores and deletes it. The freeze is what the engine
//! itself says, in stats-dump. `dd` writes as many zeros to the same directory.

use crate::{Contender, Measure, call, median, ok};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const MEBIBYTES: usize = 1024;

/// A container, where its images go, and what the first runtime may take of the others' time.
struct Scene {
    title: &'static str,
    args: &'static [&'static str],
    /// Shows images.
    floe: PathBuf,
    images: PathBuf,
    rounds: usize,
    target: f64,
    is_large: bool,
}

#[derive(Default)]
struct Results {
    checkpoint: Vec<f64>,
    restore: Vec<f64>,
    freeze: Vec<f64>,
}

/// `disk` is a directory on a disk.
pub(crate) fn compare(programs: &[PathBuf], work: &Path, disk: &Path) -> io::Result<()> {
    let contenders = contenders(programs, work)?;
    for contender in &contenders {
        let bin = contender.bundle.join("rootfs/bin");
        fs::copy(std::env::current_exe()?.with_file_name("floe-bench-memory"), bin.join("memory"))?;
        std::os::unix::fs::symlink("busybox", bin.join("sh"))?;
    }
    let disk = fs::canonicalize(disk)?.join(format!("floe-bench-{}", std::process::id()));
    fs::create_dir(&disk)?;
    let idle: &[&str] = &["sh", "-c", "touch /ready; sleep 100000; true"];
    let large: &[&str] = &["/bin/memory", "1024", "/ready"];
    let scene = |title, args, images: &Path, rounds, target, is_large| {
        let images = images.join("images");
        let floe = contenders[0].program.clone();
        Scene { title, args, floe, images, rounds, target, is_large }
    };
    let scenes = [
        scene("idle, two processes, tmpfs", idle, work, 30, 0.15, false),
        scene("1 GiB of 4 KiB pages, tmpfs", large, work, 7, 0.6, true),
        scene("1 GiB of 4 KiB pages, disk", large, &disk, 7, 0.6, true),
    ];
    let result = scenes.iter().try_for_each(|scene| scene.play(&contenders, work));
    fs::remove_dir_all(&disk)?;
    result
}

/// The runtimes, and the file that `command` has CRIU read: there need not be an iptables.
pub(crate) fn contenders(programs: &[PathBuf], work: &Path) -> io::Result<Vec<Contender>> {
    fs::write(work.join("criu.conf"), "network-lock skip\n")?;
    programs.iter().map(|program| Contender::new(program, work)).collect()
}

/// `CONTENDER --root …`, with the CRIU that is beside it.
pub(crate) fn command(contender: &Contender, work: &Path) -> Command {
    let mut command = contender.command();
    let beside = contender.program.parent().expect("a program is in a directory");
    command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", beside.display()));
    if beside.join("criu").exists() {
        command.env("CRIU_CONFIG_FILE", work.join("criu.conf"));
    }
    command.stderr(Stdio::null());
    command
}

impl Scene {
    fn play(&self, contenders: &[Contender], work: &Path) -> io::Result<()> {
        let mut results: Vec<Results> = contenders.iter().map(|_| Results::default()).collect();
        let mut writes = Vec::new();
        let (mut pre_dumped, mut left_running) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            for (contender, results) in contenders.iter().zip(&mut results) {
                self.round(contender, work, results)?;
            }
            if self.is_large {
                writes.push(self.write_zeros()?);
                pre_dumped.push(self.pre_dumped(&contenders[0], work)?);
                left_running.push(self.left_running(&contenders[0], work)?);
            }
        }
        println!("{}, medians of {} interleaved rounds, ms", self.title, self.rounds);
        println!("{:10}{:>12}{:>10}{:>10}", "", "checkpoint", "restore", "freeze");
        let medians = |results: &Results| {
            [&results.checkpoint, &results.restore, &results.freeze].map(|values| median(values))
        };
        for (contender, results) in contenders.iter().zip(&results) {
            let [checkpoint, restore, freeze] = medians(results);
            println!("{:10}{checkpoint:>12.1}{restore:>10.1}{freeze:>10.1}", contender.name);
        }
        let own = medians(&results[0]);
        for (contender, theirs) in contenders.iter().zip(&results).skip(1) {
            let theirs = medians(theirs);
            let ratios: Vec<String> =
                own.iter().zip(theirs).map(|(own, theirs)| format!("{:.2}", own / theirs)).collect();
            println!("/{:9}{:>12}{:>10}{:>10}", contender.name, ratios[0], ratios[1], ratios[2]);
            for (what, at) in [("checkpoint", 0), ("restore", 1)] {
                let ratio = own[at] / theirs[at];
                let verdict = if ratio <= self.target { "met" } else { "missed" };
                let (name, target) = (&contender.name, self.target);
                println!("{what}: {ratio:.2} of {name}'s, target {target:.2}: {verdict}");
            }
        }
        if self.is_large {
            let gigabytes = |milliseconds: f64| MEBIBYTES as f64 * 1.048_576 / milliseconds;
            let (checkpoint, restore, dd) =
                (gigabytes(own[0]), gigabytes(own[1]), gigabytes(median(&writes)));
            println!("GB/s: checkpoint {checkpoint:.2}, restore {restore:.2}, dd {dd:.2}");
            println!("freeze of a pre-dump and of the dump after it: {:.1} ms", median(&pre_dumped));
            println!("freeze of a dump that leaves it running: {:.1} ms", median(&left_running));
        }
        println!();
        Ok(())
    }

    fn start(&self, contender: &Contender, work: &Path) -> io::Result<()> {
        let mut spec = contender.spec(self.args)?;
        spec["root"]["readonly"] = false.into();
        if let Some(namespaces) = spec["linux"]["namespaces"].as_array_mut() {
            namespaces.retain(|namespace| namespace["type"] != "network");
        }
        fs::write(contender.bundle.join("config.json"), spec.to_string())?;
        let ready = contender.bundle.join("rootfs/ready");
        let _ = fs::remove_file(&ready);
        let _ = fs::remove_dir_all(&self.images);
        let mut run = command(contender, work);
        run.args(["run", "--detach", "--bundle"]).arg(&contender.bundle).arg(&contender.short);
        ok(&mut run)?;
        while !ready.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        // What its start has left to be done.
        std::thread::sleep(Duration::from_millis(50));
        Ok(())
    }

    fn round(&self, contender: &Contender, work: &Path, results: &mut Results) -> io::Result<()> {
        self.start(contender, work)?;
        let timed = |verb: &str, options: &[&str]| -> io::Result<f64> {
            let mut command = command(contender, work);
            command.arg(verb).args(options).arg("--image-path").arg(&self.images);
            command.arg("--work-path").arg(&self.images).arg(&contender.short);
            Ok(call(&mut command, Measure::Time)?.milliseconds)
        };
        results.checkpoint.push(timed("checkpoint", &[])?);
        results.freeze.push(self.freeze(&self.images)?);
        let bundle = contender.bundle.display().to_string();
        results.restore.push(timed("restore", &["--detach", "--bundle", &bundle])?);
        self.delete(contender, work)
    }

    /// Milliseconds that a container stood still twice: in a pre-dump, and in the dump that follows.
    fn pre_dumped(&self, contender: &Contender, work: &Path) -> io::Result<f64> {
        self.start(contender, work)?;
        let before = self.images.with_file_name("before");
        let _ = fs::remove_dir_all(&before);
        let dump = |images: &Path, options: &[&str]| -> io::Result<f64> {
            let mut command = command(contender, work);
            command.arg("checkpoint").args(options).arg("--image-path").arg(images).arg(&contender.short);
            ok(&mut command)?;
            self.freeze(images)
        };
        let first = dump(&before, &["--pre-dump"])?;
        let second = dump(&self.images, &["--parent-path", "../before"])?;
        fs::remove_dir_all(&before)?;
        Ok(first + second)
    }

    /// Milliseconds that a container stood still in a dump that leaves it running.
    fn left_running(&self, contender: &Contender, work: &Path) -> io::Result<f64> {
        self.start(contender, work)?;
        let mut command = command(contender, work);
        command
            .args(["checkpoint", "--leave-running", "--image-path"])
            .arg(&self.images)
            .arg(&contender.short);
        ok(&mut command)?;
        self.delete(contender, work)?;
        self.freeze(&self.images)
    }

    fn delete(&self, contender: &Contender, work: &Path) -> io::Result<()> {
        let mut delete = command(contender, work);
        ok(delete.args(["delete", "--force"]).arg(&contender.short))
    }

    /// Milliseconds, out of stats-dump.
    fn freeze(&self, images: &Path) -> io::Result<f64> {
        let mut show = Command::new(&self.floe);
        let shown = show.args(["images", "show"]).arg(images.join("stats-dump")).output()?;
        let stats: Value = serde_json::from_slice(&shown.stdout)?;
        let micros = &stats["entries"][0]["dump"]["frozen_time"];
        micros
            .as_f64()
            .map(|micros| micros / 1000.0)
            .ok_or_else(|| io::Error::other("stats-dump: no frozen_time"))
    }

    fn write_zeros(&self) -> io::Result<f64> {
        let _ = fs::remove_dir_all(&self.images);
        fs::create_dir(&self.images)?;
        let mut dd = Command::new("dd");
        dd.arg("if=/dev/zero").arg(format!("of={}", self.images.join("zeros").display()));
        dd.args(["bs=1M", &format!("count={MEBIBYTES}")]).stderr(Stdio::null());
        Ok(call(&mut dd, Measure::Time)?.milliseconds)
    }
}
