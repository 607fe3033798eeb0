//! Containers with cgroups of their own below theirs, and containers below a cgroup that is not an ordinary one.

use crate::cases;
use crate::harness::*;
use std::fs;
use std::path::PathBuf;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        init_in_a_leaf,
        threaded_parent,
        domain_invalid_parent,
        domain_controller_below_a_threaded_parent,
        resume_leaves_nested_frozen,
        deep_tree_is_deleted,
    ];
    for (name, options) in [
        ("kill_nested_frozen", &["kill", "ID", "KILL"][..]),
        ("kill_all_nested_frozen", &["kill", "--all", "ID", "TERM"]),
        ("delete_nested_frozen", &["delete", "--force", "ID"]),
    ] {
        cases.push(Case::new(format!("delegation::{name}"), |t| ends_nested_frozen(t, options)));
    }
    cases
}

/// A container that may make cgroups, and runs `script` in the directory of its own.
fn delegated(t: &mut Test, script: &str) -> Container {
    let mut bundle = t.bundle();
    bundle.remove_mount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw"]);
    bundle.args(["sh", "-ec", &format!("cd /sys/fs/cgroup; {script}; sleep 1000 & echo up; wait")]);
    let container = t.start(&bundle);
    container.wait_for_output("up");
    container
}

/// As systemd does: its own cgroup must be without processes before it can give controllers to those below.
fn init_in_a_leaf(t: &mut Test) {
    need_controller("pids");
    let script = "mkdir leaf; echo 1 >leaf/cgroup.procs; echo +pids >cgroup.subtree_control";
    let container = delegated(t, script);
    let output = t.call(["exec", &container.id, "grep", "^0:", "/proc/self/cgroup"]).ok();
    assert_eq!(output.text(), "0::/leaf");
    // There is no place for a process in the cgroup itself.
    t.call(["exec", "--cgroup", "/", &container.id, "true"]).exits(255).refused(&["resource busy"]);
    t.call(["exec", "--cgroup", "leaf", &container.id, "true"]).ok();

    t.call(["update", "--pids-limit", "50", &container.id]).quiet();
    assert_eq!(read(container.cgroup().join("pids.max")).trim(), "50");
    let listed = t.call(["ps", "--format", "json", &container.id]).ok().json();
    assert_eq!(listed.as_array().expect("list").len(), 2, "{listed}");
    let stats = t.call(["events", "--stats", &container.id]).ok().json();
    assert_eq!(stats["data"]["pids"], json!({"current": 2, "limit": 50}));
    t.call(["pause", &container.id]).ok();
    assert_eq!(t.status(&container.id), "paused");
    t.call(["resume", &container.id]).ok();
    assert_eq!(t.status(&container.id), "running");
}

/// A place for a container, beside a cgroup that is `threaded`: `domain invalid` until it is that too.
fn beside_threads(t: &mut Test) -> (Bundle, PathBuf) {
    let mut bundle = t.bundle();
    let parent = cgroup_dir(&bundle.id);
    fs::create_dir_all(parent.join("threads")).expect("mkdir");
    fs::write(parent.join("threads/cgroup.type"), "threaded").expect("write");
    let path = format!("/{}/{}/container", environment::get().cgroup, bundle.id);
    bundle.set("/linux/cgroupsPath", json!(path));
    (bundle, parent)
}

fn domain_invalid_parent(t: &mut Test) {
    let (mut bundle, parent) = beside_threads(t);
    below_threads(t, &mut bundle);
    fs::remove_dir(parent.join("threads")).and_then(|()| fs::remove_dir(parent)).expect("rmdir");
}

fn threaded_parent(t: &mut Test) {
    let (mut bundle, parent) = beside_threads(t);
    let path = format!("/{}/{}/threads/container", environment::get().cgroup, bundle.id);
    bundle.set("/linux/cgroupsPath", json!(path));
    below_threads(t, &mut bundle);
    fs::remove_dir(parent.join("threads")).and_then(|()| fs::remove_dir(parent)).expect("rmdir");
}

/// A life in a cgroup that is threaded.
fn below_threads(t: &mut Test, bundle: &mut Bundle) {
    let container = t.start_holding(bundle);
    let pid = t.pid(&container.id);
    let path = bundle.spec["linux"]["cgroupsPath"].as_str().expect("path").to_owned();
    let own = read(format!("/proc/{pid}/cgroup"));
    assert!(own.trim_end().ends_with(&path), "{own}");
    assert_eq!(read(format!("/sys/fs/cgroup{path}/cgroup.type")).trim(), "threaded");
    t.call(["exec", &container.id, "true"]).ok();
    t.call(["ps", &container.id]).ok();
    t.call(["events", "--stats", &container.id]).ok();
    t.call(["delete", "--force", &container.id]).ok();
    assert!(!PathBuf::from(format!("/sys/fs/cgroup{path}")).exists());
}

fn domain_controller_below_a_threaded_parent(t: &mut Test) {
    need_controller("memory");
    let (mut bundle, parent) = beside_threads(t);
    bundle.set("/linux/resources/memory", json!({"limit": 64 << 20}));
    t.run_bundle(&bundle).exits(1).refused(&["domain invalid", "memory"]);
    assert!(!parent.join("container").exists());
    fs::remove_dir(parent.join("threads")).and_then(|()| fs::remove_dir(parent)).expect("rmdir");
}

/// A container that has frozen one of its processes, in a cgroup below another one that is frozen as well.
fn nested_frozen(t: &mut Test) -> Container {
    let script = "mkdir -p a/b; sleep 1000 & echo $! >a/b/cgroup.procs; echo 1 >a/b/cgroup.freeze; echo 1 >a/cgroup.freeze";
    let container = delegated(t, script);
    wait_until("it is frozen", || read(container.cgroup().join("a/b/cgroup.events")).contains("frozen 1"));
    container
}

fn ends_nested_frozen(t: &mut Test, command: &[&str]) {
    let container = nested_frozen(t);
    t.call(command.iter().map(|word| if *word == "ID" { &container.id } else { *word })).ok();
    if command[0] == "kill" {
        t.wait_status(&container.id, "stopped");
        t.call(["delete", &container.id]).ok();
    }
    assert_eq!(t.leftovers(), [""; 0]);
}

fn resume_leaves_nested_frozen(t: &mut Test) {
    let container = nested_frozen(t);
    t.call(["pause", &container.id]).ok();
    t.call(["resume", &container.id]).ok();
    assert_eq!(t.status(&container.id), "running");
    assert_eq!(t.call(["exec", &container.id, "echo", "there"]).ok().text(), "there");
    assert!(read(container.cgroup().join("a/b/cgroup.events")).contains("frozen 1"));
}

/// More levels and more cgroups than a container has by chance, each with a process that is frozen.
fn deep_tree_is_deleted(t: &mut Test) {
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do mkdir d; cd d; sleep 1000 & echo $! >cgroup.procs; \
                  echo 1 >cgroup.freeze; mkdir 1 2 3 4 5 6 7 8; done";
    let container = delegated(t, script);
    t.call(["delete", "--force", &container.id]).ok();
    assert_eq!(t.leftovers(), [""; 0]);
}
