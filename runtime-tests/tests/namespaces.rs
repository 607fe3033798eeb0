//! `linux.namespaces`: new, shared and joined; user namespaces and their maps; time offsets; host and domain name.

use crate::cases;
use crate::harness::*;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Name in config.json, name in /proc/PID/ns, flag of unshare(1).
const KINDS: [(&str, &str, &str); 7] = [
    ("pid", "pid", "--pid"),
    ("network", "net", "--net"),
    ("ipc", "ipc", "--ipc"),
    ("uts", "uts", "--uts"),
    ("mount", "mnt", "--mount"),
    ("cgroup", "cgroup", "--cgroup"),
    ("time", "time", "--time"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        hostname,
        hostname_needs_a_uts_namespace,
        domainname,
        user_new,
        user_maps_several_ranges,
        user_joined,
        user_without_mappings_is_refused,
        mappings_without_user_are_ignored,
        user_root_owns_the_other_namespaces,
        setgroups_is_allowed_for_root,
        time_offsets,
        time_offsets_without_namespace_are_refused,
        network_has_loopback_up,
        pid_joined_sees_the_others,
        cgroup_namespace_hides_the_path,
        wrong_kind_of_path_is_refused,
        missing_path_is_refused,
        twice_is_refused,
        joined_network_and_new_user,
    ];
    for (name, proc_name, flag) in KINDS {
        cases.push(Case::new(format!("namespaces::{name}_new"), move |t| {
            let mut bundle = t.bundle();
            bundle.namespace(name, None);
            let facts = t.facts(&mut bundle);
            let inside = facts["namespaces"][proc_name].as_str().expect("namespace");
            assert_ne!(inside, namespace_of("self", proc_name));
        }));
        if name != "mount" {
            cases.push(Case::new(format!("namespaces::{name}_of_the_caller"), move |t| {
                let mut bundle = t.bundle();
                bundle.without_namespace(name);
                match name {
                    "uts" => bundle.remove("/hostname"),
                    "network" => bundle.remove_mount("/sys").remove_mount("/sys/fs/cgroup"),
                    "ipc" => bundle.remove_mount("/dev/mqueue"),
                    _ => &mut bundle,
                };
                let facts = t.facts(&mut bundle);
                assert_eq!(facts["namespaces"][proc_name], namespace_of("self", proc_name).as_str());
            }));
        }
        if name != "mount" {
            cases.push(Case::new(format!("namespaces::{name}_joined"), move |t| {
                let path = holder(t, &[flag], proc_name);
                let expected = std::fs::read_link(&path).expect("namespace").display().to_string();
                let mut bundle = t.bundle();
                bundle.namespace(name, Some(&path));
                let facts = t.facts(&mut bundle);
                assert_eq!(facts["namespaces"][proc_name], expected.as_str());
            }));
        }
    }
    cases
}

/// A process in new namespaces, for as long as the test runs; the path of one of them.
fn holder(t: &mut Test, flags: &[&str], proc_name: &str) -> PathBuf {
    let mut command = Command::new("unshare");
    command.args(flags).args(["--fork", "--kill-child", "sleep", "1000"]);
    let parent = t.helper(command);
    let children = format!("/proc/{parent}/task/{parent}/children");
    wait_until("the holder's child", || {
        let child = read(&children);
        let child = child.trim();
        !child.is_empty() && read(format!("/proc/{child}/comm")).trim() == "sleep"
    });
    PathBuf::from(format!("/proc/{}/ns/{proc_name}", read(&children).trim()))
}

fn hostname(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/hostname", json!("snow"));
    assert_eq!(t.sh(&mut bundle, "hostname"), "snow");
}

fn hostname_needs_a_uts_namespace(t: &mut Test) {
    let before = read("/proc/sys/kernel/hostname");
    let mut bundle = t.bundle();
    bundle.without_namespace("uts").set("/hostname", json!("snow"));
    t.run_bundle(&bundle).exits(1).refused(&["hostname"]);
    assert_eq!(read("/proc/sys/kernel/hostname"), before);
}

fn domainname(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/domainname", json!("ice.example"));
    assert_eq!(t.facts(&mut bundle)["domainname"], "ice.example");
}

fn words(text: &Value) -> Vec<Vec<u64>> {
    let numbers = |line: &str| line.split_whitespace().map(|w| w.parse().expect("number")).collect();
    text.as_str().expect("text").lines().map(numbers).collect()
}

fn user_new(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.user_namespace(100_000, 65536);
    let facts = t.facts(&mut bundle);
    assert_ne!(facts["namespaces"]["user"], namespace_of("self", "user").as_str());
    assert_eq!(words(&facts["uid_map"]), [[0, 100_000, 65536]]);
    assert_eq!(words(&facts["gid_map"]), [[0, 100_000, 65536]]);
    assert_eq!((&facts["uid"], &facts["gid"]), (&json!(0), &json!(0)));
}

fn user_maps_several_ranges(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.user_namespace(100_000, 10);
    bundle.push("/linux/uidMappings", json!({"containerID": 1000, "hostID": 5000, "size": 3}));
    bundle.push("/linux/gidMappings", json!({"containerID": 2000, "hostID": 6000, "size": 4}));
    bundle.set("/process/user", json!({"uid": 1001, "gid": 2003}));
    let facts = t.facts(&mut bundle);
    assert_eq!(words(&facts["uid_map"]), [[0, 100_000, 10], [1000, 5000, 3]]);
    assert_eq!(words(&facts["gid_map"]), [[0, 100_000, 10], [2000, 6000, 4]]);
    assert_eq!((&facts["uid"], &facts["gid"]), (&json!(1001), &json!(2003)));
}

fn user_joined(t: &mut Test) {
    let mut first = t.bundle();
    first.user_namespace(100_000, 65536);
    let container = t.start_holding(&mut first);
    let pid = t.pid(&container.id);
    let mut bundle = t.bundle();
    bundle.user_namespace(100_000, 65536);
    bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
    bundle.namespace("user", Some(Path::new(&format!("/proc/{pid}/ns/user"))));
    let facts = t.facts(&mut bundle);
    assert_eq!(facts["namespaces"]["user"], namespace_of(pid, "user").as_str());
    assert_eq!(facts["uid"], 0);
}

fn user_without_mappings_is_refused(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.namespace("user", None);
    t.run_bundle(&bundle).exits(1).refused(&["mapping"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn mappings_without_user_are_ignored(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.user_namespace(100_000, 10).without_namespace("user");
    assert_eq!(t.facts(&mut bundle)["uid_map"], read("/proc/self/uid_map"));
}

fn user_root_owns_the_other_namespaces(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.user_namespace(100_000, 65536).capabilities(&["CAP_SYS_ADMIN", "CAP_NET_ADMIN"]);
    bundle.set("/process/noNewPrivileges", json!(false));
    let script =
        "hostname other && hostname && mount -t tmpfs none /data && ip link set lo down && echo done";
    assert_eq!(t.sh(&mut bundle, script), "other\ndone");
}

fn setgroups_is_allowed_for_root(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.user_namespace(100_000, 65536);
    bundle.set("/process/user", json!({"uid": 7, "gid": 7, "additionalGids": [8, 9]}));
    let facts = t.facts(&mut bundle);
    assert_eq!(facts["groups"], json!([8, 9]));
    assert_eq!(facts["setgroups"], "allow");
}

fn time_offsets(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.namespace("time", None);
    bundle.set(
        "/linux/timeOffsets",
        json!({"boottime": {"secs": 1_000_000}, "monotonic": {"secs": 2_000_000}}),
    );
    let facts = t.facts(&mut bundle);
    let seconds = |name: &str| facts[name].as_i64().expect("seconds");
    let uptime: f64 = read("/proc/uptime").split(' ').next().expect("uptime").parse().expect("number");
    assert!((seconds("boottime") - uptime as i64 - 1_000_000).abs() < 60, "{}", facts["boottime"]);
    assert!((seconds("monotonic") - uptime as i64 - 2_000_000).abs() < 100_000, "{}", facts["monotonic"]);
}

fn time_offsets_without_namespace_are_refused(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": 1000}}));
    t.run_bundle(&bundle).exits(1).refused(&["time"]);
}

fn network_has_loopback_up(t: &mut Test) {
    let mut bundle = t.bundle();
    let text = t.sh(&mut bundle, "ip link show lo");
    assert!(text.contains("LOOPBACK,UP"), "{text}");
}

fn pid_joined_sees_the_others(t: &mut Test) {
    let mut first = t.bundle();
    let container = t.start_holding(&mut first);
    let pid = t.pid(&container.id);
    let mut bundle = t.bundle();
    bundle.namespace("pid", Some(Path::new(&format!("/proc/{pid}/ns/pid"))));
    let text = t.sh(&mut bundle, "cat /proc/1/cmdline | tr '\\0' ' '; echo; echo $$");
    assert!(text.starts_with("/bin/floe-probe hold"), "{text}");
    assert_ne!(text.lines().last(), Some("1"));
}

fn cgroup_namespace_hides_the_path(t: &mut Test) {
    let mut bundle = t.bundle();
    assert_eq!(t.sh(&mut bundle, "grep ^0: /proc/self/cgroup"), "0::/");
    let mut bundle = t.bundle();
    bundle.without_namespace("cgroup");
    let text = t.sh(&mut bundle, "grep ^0: /proc/self/cgroup");
    assert_eq!(text, format!("0::/{}/{}", environment::get().cgroup, bundle.id));
}

fn wrong_kind_of_path_is_refused(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.namespace("uts", Some(Path::new("/proc/self/ns/net"))).remove("/hostname");
    t.run_bundle(&bundle).exits(1).refused(&["/proc/self/ns/net"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn missing_path_is_refused(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.namespace("ipc", Some(Path::new("/no/such/namespace")));
    t.run_bundle(&bundle).exits(1).refused(&["/no/such/namespace"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn twice_is_refused(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/linux/namespaces", json!({"type": "pid"}));
    t.run_bundle(&bundle).exits(1).refused(&["pid"]);
}

fn joined_network_and_new_user(t: &mut Test) {
    // The network belongs to the outer user namespace: sysfs cannot be mounted, everything else works.
    let path = holder(t, &["--net"], "net");
    let mut bundle = t.bundle();
    bundle.user_namespace(100_000, 65536).namespace("network", Some(&path));
    bundle.remove_mount("/sys").remove_mount("/sys/fs/cgroup");
    let expected = std::fs::read_link(&path).expect("namespace").display().to_string();
    assert_eq!(t.facts(&mut bundle)["namespaces"]["net"], expected.as_str());
}
