//! Ids, pids and cgroups that somebody else has, had, or wants at the same time.

use crate::cases;
use crate::harness::*;
use nix::fcntl::{Flock, FlockArg};
use std::process::Command;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        pid_of_another_process,
        pid_that_is_gone,
        same_id_at_the_same_time,
        cgroup_in_use_by_a_process,
        cgroup_in_use_by_a_container,
        cgroup_that_is_frozen,
        list_while_others_come_and_go,
        delete_at_the_same_time,
        checkpoint_at_the_same_time,
    ];
    for name in ["state.json", "init.json"] {
        for (how, text) in [("damaged", "not json"), ("truncated", "")] {
            let file = name.replace('.', "_");
            cases.push(Case::new(format!("races::{how}_{file}"), move |t| damaged(t, name, text)));
        }
    }
    cases
}

/// `floe` keeps its state in a form of its own.
fn need_floe() {
    if environment::get().peer {
        skip("the state files are floe's");
    }
}

/// Gives the container another pid in floe's notes, with the start time of the old.
fn set_pid(t: &Test, id: &str, pid: u32) {
    let file = t.root.join(id).join("init.json");
    let mut made: Value = serde_json::from_str(&read(&file)).expect("json");
    let old = made.pointer_mut("/pid").expect("init.json holds the pid");
    *old = json!(pid);
    std::fs::write(&file, made.to_string()).expect("write");
}

/// The pid has been given to another process since.
fn pid_of_another_process(t: &mut Test) {
    need_floe();
    let bundle = t.bundle();
    let container = t.start(&bundle);
    t.wait_status(&container.id, "stopped");
    // Start times are told apart by clock ticks.
    std::thread::sleep(std::time::Duration::from_millis(30));
    let mut command = Command::new("sleep");
    command.arg("1000");
    let other = t.helper(command);
    set_pid(t, &container.id, other);
    let state = t.call(["state", &container.id]).ok().json();
    assert_eq!((&state["status"], &state["pid"]), (&json!("stopped"), &json!(0)));
    t.call(["kill", &container.id, "KILL"]).exits(1).refused(&["container not running"]);
    t.call(["exec", &container.id, "true"]).exits(255).refused(&["stopped"]);
    t.call(["delete", &container.id]).ok();
    assert!(std::path::Path::new(&format!("/proc/{other}/exe")).exists(), "the other process was killed");
    assert_eq!(read(format!("/proc/{other}/comm")).trim(), "sleep");
}

fn pid_that_is_gone(t: &mut Test) {
    need_floe();
    let bundle = t.bundle();
    let container = t.start(&bundle);
    t.wait_status(&container.id, "stopped");
    set_pid(t, &container.id, 4_000_000);
    assert_eq!(t.status(&container.id), "stopped");
    t.call(["delete", &container.id]).ok();
}

fn same_id_at_the_same_time(t: &mut Test) {
    for _ in 0..10 {
        let mut bundle = t.bundle();
        bundle.args(["sleep", "1000"]).write();
        let attempts: Vec<Running> = (0..4)
            .map(|_| {
                let mut command = t.floe();
                command.arg("create").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
                t.spawn(command)
            })
            .collect();
        let outputs: Vec<Output> = attempts.into_iter().map(Running::wait).collect();
        let winners = outputs.iter().filter(|output| output.code == 0).count();
        assert_eq!(winners, 1, "{outputs:?}");
        for output in outputs.into_iter().filter(|output| output.code != 0) {
            output.exits(1).refused(&["container with given ID already exists"]);
        }
        assert_eq!(t.status(&bundle.id), "created");
        t.call(["delete", "--force", &bundle.id]).ok();
        assert_eq!(t.leftovers(), [""; 0]);
    }
}

fn cgroup_in_use_by_a_process(t: &mut Test) {
    let bundle = t.bundle();
    let dir = cgroup_dir(&bundle.id);
    std::fs::create_dir(&dir).expect("mkdir");
    let mut command = Command::new("sleep");
    command.arg("1000");
    let other = t.helper(command);
    std::fs::write(dir.join("cgroup.procs"), other.to_string()).expect("write");
    t.run_bundle(&bundle).exits(1).refused(&["cgroup", &bundle.id]);
    assert_eq!(read(dir.join("cgroup.procs")).trim(), other.to_string(), "it is not ours to empty");
    assert_eq!(t.call(["list", "-q"]).ok().stdout, "");
    std::fs::write("/sys/fs/cgroup/cgroup.procs", other.to_string()).expect("write");
    std::fs::remove_dir(&dir).expect("rmdir");
}

fn cgroup_in_use_by_a_container(t: &mut Test) {
    let mut first = t.bundle();
    let container = t.start_holding(&mut first);
    let mut second = t.bundle();
    second.set("/linux/cgroupsPath", first.spec["linux"]["cgroupsPath"].clone());
    t.run_bundle(&second).exits(1).refused(&["cgroup"]);
    assert_eq!(t.status(&container.id), "running");
    assert_eq!(t.call(["list", "-q"]).ok().text(), container.id);
}

fn cgroup_that_is_frozen(t: &mut Test) {
    let mut bundle = t.bundle();
    let dir = cgroup_dir(&bundle.id);
    std::fs::create_dir(&dir).expect("mkdir");
    std::fs::write(dir.join("cgroup.freeze"), "1").expect("freeze");
    bundle.args(["true"]).write();
    let mut command = t.floe();
    command.args(["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    // Refused or thawed, but it may not hang.
    let output = t.run(command);
    assert!(output.code <= 1, "{output:?}");
    let _ = std::fs::remove_dir(&dir);
}

fn list_while_others_come_and_go(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["true"]).write();
    let test: &Test = t;
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                let run = test.floe().arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id).output();
                assert!(run.expect("spawn").status.success());
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let list = test.floe().args(["list", "--format", "json"]).output().expect("spawn");
            let said = String::from_utf8_lossy(&list.stderr);
            assert!(list.status.success() && said.is_empty(), "{said}");
        }
    });
}

fn delete_at_the_same_time(t: &mut Test) {
    for _ in 0..5 {
        let mut bundle = t.bundle();
        t.start_holding(&mut bundle);
        let attempts: Vec<Running> = (0..4)
            .map(|_| {
                let mut command = t.floe();
                command.args(["delete", "--force", &bundle.id]);
                t.spawn(command)
            })
            .collect();
        let outputs: Vec<Output> = attempts.into_iter().map(Running::wait).collect();
        assert!(outputs.iter().any(|output| output.code == 0), "{outputs:?}");
        assert_eq!(t.leftovers(), [""; 0]);
    }
}

/// A dump freezes the container for a moment: another one must not take it for a paused one.
fn checkpoint_at_the_same_time(t: &mut Test) {
    need_floe();
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let other = std::fs::File::open(t.root.join(&container.id)).expect("state directory");
    let other = Flock::lock(other, FlockArg::LockExclusiveNonblock).expect("lock");
    let images = t.path("images");
    t.call(["checkpoint", "--image-path", images.to_str().expect("UTF-8"), &container.id])
        .exits(1)
        .refused(&["another checkpoint of the container is being made"]);
    t.call(["checkpoint", "--check", &container.id]).exits(1).refused(&["another checkpoint"]);
    assert!(!images.exists(), "made for nothing");
    drop(other);
    assert_eq!(t.status(&container.id), "running");
}

fn damaged(t: &mut Test, name: &str, text: &str) {
    need_floe();
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let mut other = t.bundle();
    let healthy = t.start_holding(&mut other);
    let file = t.root.join(&container.id).join(name);
    let good = read(&file);
    std::fs::write(&file, text).expect("write");
    for verb in ["state", "kill", "pause", "delete"] {
        t.call([verb, &container.id]).exits(1).refused(&[&container.id]);
    }
    assert_eq!(t.call(["list", "-q"]).ok().text(), healthy.id);
    std::fs::write(&file, good).expect("write");
}
