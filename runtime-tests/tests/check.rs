//! `check`: its verdict is what then happens to a container, and it leaves nothing behind.

use crate::cases;
use crate::harness::*;
use std::path::Path;
use std::process::Command;

const USER: &str = "54322";

pub(crate) fn cases() -> Vec<Case> {
    cases![
        says_yes_to_root,
        says_yes_to_a_user,
        one_line_each,
        refuses_a_format,
        without_cgroup2,
        without_user_namespaces,
        paths_by_name,
        controllers_are_those_of_the_host,
        leaves_nothing_behind,
    ]
}

/// `floe check` with `args`, after `prefix` has changed what there is to see.
fn check_after(t: &mut Test, prefix: &str, floe_args: &str) -> Output {
    let mut command = Command::new("unshare");
    let script = format!("{prefix}\nexec \"$0\" --root \"$1\" {floe_args}");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
    command.arg(&environment::get().floe).arg(&t.root);
    t.run(command)
}

fn as_user() -> String {
    format!("--reuid {USER} --regid {USER} --clear-groups --bounding-set -all --inh-caps -all")
}

fn finding<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let checks = answer["checks"].as_array().expect("a list");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {answer}"))
}

fn says_yes_to_root(t: &mut Test) {
    let answer = t.call(["check", "--format", "json"]).quiet().json();
    assert_eq!(answer["usable"], true);
    let keys = ["group", "name", "status", "required", "found"];
    for check in answer["checks"].as_array().expect("a list") {
        assert!(keys.iter().all(|key| !check[*key].is_null()), "{check}");
        let advised = check["advice"].as_str().is_some_and(|advice| !advice.is_empty());
        assert_eq!(advised, check["status"] != "ok", "advice where something is to be done: {check}");
    }
    assert_eq!(finding(&answer, "cgroup v2")["status"], "ok");
    assert_eq!(finding(&answer, "device programs (eBPF)")["status"], "ok");
    let mut bundle = t.bundle();
    assert_eq!(t.sh(&mut bundle, "echo yes"), "yes");
}

fn says_yes_to_a_user(t: &mut Test) {
    let script = format!("exec setpriv {} -- \"$0\" --root \"$1\" check --format json", as_user());
    let answer = check_after(t, &script, "").quiet().json();
    assert_eq!(answer["usable"], true);
    assert_eq!(finding(&answer, "user")["status"], "ok");
    assert_eq!(finding(&answer, "delegation")["status"], "limited");
    assert_eq!(finding(&answer, "device programs (eBPF)")["status"], "limited");
    assert_eq!(finding(&answer, "idmapped /")["status"], "limited", "the host's file systems are root's");
}

fn one_line_each(t: &mut Test) {
    let table = t.call(["check"]).quiet().stdout;
    let answer = t.call(["check", "-f", "json"]).quiet().json();
    for check in answer["checks"].as_array().expect("a list") {
        // One space would find "mount attributes" for "mount".
        let start = format!("  {}  ", check["name"].as_str().expect("a name"));
        let lines: Vec<&str> = table.lines().filter(|line| line.starts_with(&start)).collect();
        assert_eq!(lines.len(), 1, "{start}: {table}");
        let rest = lines[0][start.len()..].trim_start();
        assert!(rest.starts_with(check["status"].as_str().expect("a status")), "{table}");
    }
}

fn refuses_a_format(t: &mut Test) {
    t.call(["check", "--format", "yaml"]).refused(&["invalid format option"]);
}

/// As on a hybrid host: an error for root, unless cgroups are not wanted, and none for a user.
fn without_cgroup2(t: &mut Test) {
    let hide = "mount -t tmpfs none /sys/fs/cgroup";
    let output = check_after(t, hide, "check --format json");
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    assert!(output.stderr.starts_with("floe: check: no container can run: cgroup v2 ("), "{}", output.stderr);
    let answer = output.exits(1).json();
    assert_eq!(
        (&answer["usable"], &finding(&answer, "cgroup v2")["status"]),
        (&json!(false), &json!("missing"))
    );
    let mut bundle = t.bundle();
    bundle.args(["true"]).write();
    let run = format!("run --bundle {} {}", bundle.dir.display(), bundle.id);
    check_after(t, hide, &run).refused(&["mount cgroup2 at /sys/fs/cgroup"]);

    check_after(t, hide, "--cgroup-manager disabled check").exits(0);
    bundle.remove("/linux/resources").write();
    check_after(t, hide, &format!("--cgroup-manager disabled {run}")).ok();

    let script = format!("{hide}\nexec setpriv {} -- \"$0\" --root \"$1\" check --format json", as_user());
    let answer = check_after(t, &script, "").ok().json();
    assert_eq!(
        (&answer["usable"], &finding(&answer, "cgroup v2")["status"]),
        (&json!(true), &json!("limited"))
    );
}

/// The limit is one of the namespace in which it is set, so nobody else notices.
fn without_user_namespaces(t: &mut Test) {
    let mut command = Command::new("unshare");
    let script = format!(
        "echo 1 > /proc/sys/user/max_user_namespaces; exec unshare --user --map-root-user sh -c '\
         exec setpriv --bounding-set -all --inh-caps -all -- \"$0\" --root \"$1\" check -f json' {} {}",
        environment::get().floe.display(),
        t.root.display()
    );
    command.args(["--user", "--map-root-user", "sh", "-c", &script]);
    let answer = t.run(command).json();
    let user = finding(&answer, "user");
    assert_eq!(user["status"], "missing", "{user}");
    assert!(user["found"].as_str().is_some_and(|found| found.contains("ENOSPC")), "{user}");
}

fn paths_by_name(t: &mut Test) {
    let dir = t.dir.display().to_string();
    let answer = t.call(["check", "--format", "json", &dir, "/proc", "/nonexistent"]).quiet().json();
    let of = |path: &str| &finding(&answer, &format!("idmapped {path}"))["status"];
    // The directory is on a tmpfs, like the one that the other line tried.
    assert_eq!(of(&dir), &finding(&answer, "idmapped tmpfs")["status"]);
    assert_eq!((of("/proc"), of("/nonexistent")), (&json!("missing"), &json!("missing")));
    let names = answer["checks"].as_array().expect("a list").iter();
    assert_eq!(names.filter(|check| check["name"] == "idmapped /").count(), 0, "only what was asked");
}

fn controllers_are_those_of_the_host(t: &mut Test) {
    let answer = t.call(["check", "--format", "json"]).quiet().json();
    let found = finding(&answer, "controllers")["found"].as_str().expect("text").to_owned();
    for controller in read("/sys/fs/cgroup/cgroup.controllers").split_whitespace() {
        assert!(found.split([' ', ';']).any(|word| word == controller), "{controller} in {found}");
    }
}

fn leaves_nothing_behind(t: &mut Test) {
    let look = || {
        let cgroups = std::fs::read_dir("/sys/fs/cgroup").expect("cgroup2").flatten();
        let mut names: Vec<_> = cgroups.map(|entry| entry.file_name()).collect();
        names.sort();
        (read("/proc/self/mountinfo"), names)
    };
    let before = look();
    t.call(["check"]).quiet();
    // Other tests come and go beside this one.
    wait_until("the same mounts", || look().0 == before.0);
    assert!(look().1.iter().all(|name| !name.to_string_lossy().starts_with("floe-check")));
    assert!(!Path::new(&t.root).exists() || std::fs::read_dir(&t.root).expect("root").next().is_none());
}
