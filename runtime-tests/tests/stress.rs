//! Many containers and sudden deaths: nothing may be left. These run alone, after all other tests.

use crate::cases;
use crate::harness::*;
use std::time::{Duration, Instant};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        two_hundred_cycles,
        twenty_four_at_once,
        one_thousand_alive,
        killed_creates,
        killed_runs,
        killed_deletes,
        killed_execs,
        exec_storm,
        detached_swarm
    ];
    for case in &mut cases {
        case.alone = true;
    }
    cases
}

fn two_hundred_cycles(t: &mut Test) {
    cycles(t, 8, 25);
}

fn twenty_four_at_once(t: &mut Test) {
    cycles(t, 24, 6);
}

/// Whole lives, `rounds` in a row by each of `workers`.
fn cycles(t: &mut Test, workers: u32, rounds: u32) {
    let bundles: Vec<Bundle> = (0..workers)
        .map(|_| {
            let mut bundle = t.bundle();
            bundle.args(["sleep", "1000"]).write();
            bundle
        })
        .collect();
    let count = |dir: &str| std::fs::read_dir(dir).expect("directory").count();
    let mounts = read("/proc/self/mountinfo").lines().count();
    let (files, descriptors) = (count(t.dir.to_str().expect("utf-8")), count("/proc/self/fd"));
    let test: &Test = t;
    std::thread::scope(|scope| {
        for bundle in &bundles {
            scope.spawn(move || {
                for _ in 0..rounds {
                    let dir = bundle.dir.to_str().expect("utf-8");
                    for args in [
                        &["create", "--bundle", dir, &bundle.id][..],
                        &["start", &bundle.id],
                        &["kill", &bundle.id, "KILL"],
                    ] {
                        silent(test, args);
                    }
                    let deadline = Instant::now() + timeout();
                    while !state(test, &bundle.id).contains("stopped") {
                        assert!(Instant::now() < deadline, "{} does not stop", bundle.id);
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    silent(test, &["delete", &bundle.id]);
                }
            });
        }
    });
    assert_eq!(t.leftovers(), [""; 0]);
    assert_eq!(read("/proc/self/mountinfo").lines().count(), mounts);
    assert_eq!(count(t.dir.to_str().expect("utf-8")), files);
    assert_eq!(count("/proc/self/fd"), descriptors);
    wait_until("the last process", || !processes().iter().any(|p| p.contains("sleep\x001000")));
}

/// 24 at a time are created and started until a thousand live, then deleted the same way.
fn one_thousand_alive(t: &mut Test) {
    const COUNT: usize = 1000;
    const WORKERS: usize = 24;
    /// Several times what two busy cores need.
    const LIMIT: Duration = Duration::from_secs(120);
    let mut bundle = t.bundle();
    let rootfs = bundle.rootfs("");
    bundle.args(["sleep", "4000"]).set("/root/path", json!(rootfs));
    let ids: Vec<String> = (0..COUNT).map(|_| t.id()).collect();
    for id in &ids {
        // One root file system for all: what is tested is not the tmpfs below it.
        bundle.dir = t.path(id);
        std::fs::create_dir(&bundle.dir).expect("mkdir");
        bundle.set("/linux/cgroupsPath", json!(format!("/{}/{id}", environment::get().cgroup))).write();
    }
    let count = |dir: &str| std::fs::read_dir(dir).expect("directory").count();
    let mounts = read("/proc/self/mountinfo").lines().count();
    let (files, descriptors) = (count(t.dir.to_str().expect("utf-8")), count("/proc/self/fd"));
    let sleepers = || processes().iter().filter(|command| command.contains("sleep\x004000")).count();
    let test: &Test = t;
    let for_each = |work: &(dyn Fn(&str) + Sync)| {
        let work_of = |worker: usize| ids.iter().skip(worker).step_by(WORKERS).for_each(|id| work(id));
        std::thread::scope(|scope| {
            (0..WORKERS).for_each(|worker| drop(scope.spawn(move || work_of(worker))))
        });
    };

    let begin = Instant::now();
    for_each(&|id| {
        silent(test, &["create", "--bundle", test.path(id).to_str().expect("utf-8"), id]);
        silent(test, &["start", id]);
    });
    let output = test.floe().args(["list", "--format", "json"]).output().expect("spawn");
    let list: Value = serde_json::from_slice(&output.stdout).expect("json");
    let running = list.as_array().expect("array").iter().filter(|state| state["status"] == "running").count();
    assert_eq!((running, sleepers()), (COUNT, COUNT));
    for_each(&|id| silent(test, &["delete", "--force", id]));
    let took = begin.elapsed();

    assert_eq!(t.leftovers(), [""; 0]);
    wait_until("the last process", || sleepers() == 0);
    assert_eq!(read("/proc/self/mountinfo").lines().count(), mounts);
    assert_eq!(count(t.dir.to_str().expect("utf-8")), files);
    assert_eq!(count("/proc/self/fd"), descriptors);
    assert!(took < LIMIT, "{COUNT} containers took {took:?}");
}

/// `floe ARGS` whose output nobody reads; it must succeed.
fn silent(t: &Test, args: &[&str]) {
    let mut command = t.floe();
    command.args(args).stdin(std::process::Stdio::null());
    // Not pipes: `create` leaves them to the container.
    let error = tempfile::tempfile_in(&t.dir).expect("temporary file");
    command.stdout(std::process::Stdio::null()).stderr(error.try_clone().expect("dup"));
    let status = command.status().expect("spawn");
    if !status.success() {
        use std::io::{Read as _, Seek as _};
        let (mut error, mut text) = (error, String::new());
        error.rewind().expect("seek");
        error.read_to_string(&mut text).expect("read");
        panic!("{args:?}: {status}: {text}");
    }
}

fn state(t: &Test, id: &str) -> String {
    let output = t.floe().args(["state", id]).output().expect("spawn");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Kills `floe VERB` at a hundred moments spread over the time that one takes; then `delete --force` must clean all.
fn killed_at_random(t: &mut Test, verb: &str) {
    let mut bundle = t.bundle();
    bundle.args(["sleep", "0.05"]).write();
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    let begin = Instant::now();
    let mut command = t.floe();
    command.args([verb, "--bundle", &dir, &bundle.id]);
    t.run(command).ok();
    let whole = begin.elapsed();
    t.call(["delete", "--force", &bundle.id]).ok();
    for moment in 0..100u32 {
        let id = t.id();
        bundle.set("/linux/cgroupsPath", json!(format!("/{}/{id}", environment::get().cgroup))).write();
        let mut command = t.floe();
        command.args([verb, "--bundle", &dir, &id]);
        kill_after(t, command, whole, moment);
        t.call(["delete", "--force", &id]).ok();
    }
    assert_eq!(t.leftovers(), [""; 0]);
    let own = bundle.dir.display().to_string();
    wait_until("the last process", || {
        !processes().iter().any(|p| p.contains("sleep\x000.05") || p.contains(&own))
    });
}

/// Starts `command` and kills it at one of a hundred moments of the time that it takes.
fn kill_after(t: &mut Test, command: std::process::Command, whole: Duration, moment: u32) {
    let running = t.spawn(command);
    // Not evenly: 37 is prime to 100, so neighbours in time are not neighbours in order.
    std::thread::sleep(whole * (moment * 37 % 100) / 100);
    // It may have ended already.
    let _ =
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(running.pid()), nix::sys::signal::Signal::SIGKILL);
    running.wait();
}

/// A `delete --force` that was killed is finished by the next one.
fn killed_deletes(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sleep", "1000"]).write();
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    let mut whole = Duration::ZERO;
    for moment in 0..100u32 {
        silent(t, &["run", "--detach", "--bundle", &dir, &bundle.id]);
        let mut command = t.floe();
        command.args(["delete", "--force", &bundle.id]);
        if whole.is_zero() {
            let begin = Instant::now();
            t.run(command).ok();
            whole = begin.elapsed();
            continue;
        }
        kill_after(t, command, whole, moment);
        t.call(["delete", "--force", &bundle.id]).ok();
    }
    assert_eq!(t.leftovers(), [""; 0]);
    wait_until("the last process", || !processes().iter().any(|p| p.contains("sleep\x001000")));
}

/// An `exec` that was killed leaves its program running or has not started it, never something between.
fn killed_execs(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let words = ["exec", &container.id, "sleep", "0.05"];
    let begin = Instant::now();
    t.call(words).ok();
    let whole = begin.elapsed();
    for moment in 0..100u32 {
        let mut command = t.floe();
        command.args(words);
        kill_after(t, command, whole, moment);
    }
    let mut alone = || {
        let pids = t.call(["ps", "--format", "json", &container.id]).ok().json();
        pids.as_array().map(Vec::len) == Some(1)
    };
    wait_until("the last process", &mut alone);
    t.call(["exec", &container.id, "true"]).ok();
}

fn processes() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.map(|e| e.file_name().to_string_lossy().into_owned());
    pids.filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
        .map(|pid| read(format!("/proc/{pid}/cmdline")))
        .collect()
}

fn killed_creates(t: &mut Test) {
    killed_at_random(t, "create");
}

fn killed_runs(t: &mut Test) {
    killed_at_random(t, "run");
}

fn exec_storm(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let test: &Test = t;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..12).for_each(|_| silent(test, &["exec", &container.id, "true"])));
        }
    });
    let pids = t.call(["ps", "--format", "json", &container.id]).ok().json();
    assert_eq!(pids.as_array().map(Vec::len), Some(1), "{pids}");
}

fn detached_swarm(t: &mut Test) {
    let bundles: Vec<Bundle> = (0..20)
        .map(|_| {
            let mut bundle = t.bundle();
            bundle.args(["sleep", "1000"]).write();
            bundle
        })
        .collect();
    for bundle in &bundles {
        silent(t, &["run", "--detach", "--bundle", bundle.dir.to_str().expect("utf-8"), &bundle.id]);
    }
    let ids = t.call(["list", "-q"]).ok().stdout;
    assert_eq!(ids.lines().count(), bundles.len());
    for bundle in &bundles {
        silent(t, &["delete", "--force", &bundle.id]);
    }
    assert_eq!(t.leftovers(), [""; 0]);
}
