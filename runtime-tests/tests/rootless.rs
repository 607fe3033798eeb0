//! Without any privilege: the runtime runs as a user, in a user namespace of its own making.

use crate::cases;
use crate::harness::*;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::Path;
use std::process::Command;

/// A uid that no container of the other tests is mapped to.
const USER: u32 = 54321;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        run,
        exit_status,
        create_start_state_kill_delete,
        exec,
        masked_and_read_only_paths,
        default_devices,
        hostname_and_network,
        bind_mount,
        spec_rootless_runs,
        two_ids_are_refused_without_helpers,
        newuidmap_maps_many_ids,
        pause_is_refused_or_works,
        no_setgroups,
    ]
}

/// A bundle that belongs to the user, with the mapping of the one id that needs nobody's permission.
fn bundle(t: &mut Test) -> Bundle {
    let mut bundle = t.bundle();
    bundle.namespace("user", None);
    bundle.set("/linux/uidMappings", json!([{"containerID": 0, "hostID": USER, "size": 1}]));
    bundle.set("/linux/gidMappings", json!([{"containerID": 0, "hostID": USER, "size": 1}]));
    // A user has no cgroup to write to, and the devices program needs privilege.
    bundle.remove("/linux/cgroupsPath").remove("/linux/resources").remove_mount("/sys/fs/cgroup");
    own(&bundle.dir);
    own(&t.root.clone());
    bundle
}

fn own(path: &Path) {
    lchown(path, Some(USER), Some(USER)).expect("chown");
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).expect("dir").flatten() {
            // The programs in bin are shared with all tests.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                own(&entry.path());
            }
        }
    }
}

/// `floe --root … ARGS` as the user, without groups and capabilities.
fn as_user(t: &Test, args: &[&str]) -> Command {
    let id = USER.to_string();
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        &id,
        "--regid",
        &id,
        "--clear-groups",
        "--bounding-set",
        "-all",
        "--inh-caps",
        "-all",
    ]);
    command.arg("--").arg(&environment::get().floe).arg("--root").arg(&t.root).args(args);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("XDG_RUNTIME_DIR", &t.dir);
    command.current_dir("/");
    command
}

fn run_as_user(t: &mut Test, bundle: &Bundle) -> Output {
    bundle.write();
    let command = as_user(t, &["run", "--bundle", bundle.dir.to_str().expect("utf-8"), &bundle.id]);
    t.run(command)
}

#[track_caller]
fn sh(t: &mut Test, bundle: &mut Bundle, script: &str) -> String {
    bundle.args(["sh", "-c", script]);
    run_as_user(t, bundle).ok().text().to_owned()
}

fn call(t: &mut Test, args: &[&str]) -> Output {
    let command = as_user(t, args);
    t.run(command)
}

fn run(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.args(["/bin/floe-probe", "facts"]);
    let facts = run_as_user(t, &bundle).ok().json();
    assert_eq!((&facts["uid"], &facts["gid"], &facts["pid"]), (&json!(0), &json!(0), &json!(1)));
    let map: Vec<&str> = facts["uid_map"].as_str().expect("text").split_whitespace().collect();
    assert_eq!(map, ["0", &USER.to_string(), "1"]);
}

fn exit_status(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.args(["sh", "-c", "exit 42"]);
    run_as_user(t, &bundle).exits(42);
}

fn create_start_state_kill_delete(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.args(["/bin/floe-probe", "hold"]).write();
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    call(t, &["create", "--bundle", &dir, &bundle.id]).ok();
    call(t, &["start", &bundle.id]).ok();
    assert_eq!(call(t, &["state", &bundle.id]).ok().json()["status"], "running");
    call(t, &["kill", &bundle.id, "KILL"]).ok();
    wait_until("the end", || call(t, &["state", &bundle.id]).stdout.contains("stopped"));
    call(t, &["delete", &bundle.id]).ok();
    assert_eq!(t.leftovers(), [""; 0]);
}

fn exec(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.args(["/bin/floe-probe", "hold"]).write();
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    call(t, &["run", "--detach", "--bundle", &dir, &bundle.id]).ok();
    assert_eq!(
        call(t, &["exec", &bundle.id, "sh", "-c", "echo $(id -u) $$"]).ok().text().split(' ').next(),
        Some("0")
    );
    call(t, &["delete", "--force", &bundle.id]).ok();
}

fn masked_and_read_only_paths(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.push("/linux/maskedPaths", json!("/data"));
    let script = "cat /proc/keys; ls /data; echo 1 2>/dev/null > /proc/sys/kernel/msgmax || echo refused";
    assert_eq!(sh(t, &mut bundle, script), "refused");
}

fn default_devices(t: &mut Test) {
    let mut bundle = bundle(t);
    let script = "echo x > /dev/null && head -c 4 /dev/urandom | wc -c; stat -c '%t %T' /dev/null";
    assert_eq!(sh(t, &mut bundle, script), "4\n1 3");
}

fn hostname_and_network(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.set("/hostname", json!("mine"));
    assert_eq!(sh(t, &mut bundle, "hostname; ls /sys/class/net"), "mine\nlo");
}

fn bind_mount(t: &mut Test) {
    let source = t.path("source");
    std::fs::create_dir(&source).expect("mkdir");
    std::fs::write(source.join("seed"), "seed").expect("write");
    let mut bundle = bundle(t);
    bundle.bind(&source, "/data", &["rbind", "ro"]);
    assert_eq!(
        sh(t, &mut bundle, "cat /data/seed; touch /data/x 2>/dev/null || echo refused"),
        "seedrefused"
    );
}

fn spec_rootless_runs(t: &mut Test) {
    let bundle = bundle(t);
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    call(t, &["spec", "--rootless", "--bundle", &dir]).ok();
    let mut spec: Value = serde_json::from_str(&read(bundle.dir.join("config.json"))).expect("json");
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["id", "-u"]);
    let path = bundle.dir.join("config.json");
    std::fs::write(&path, spec.to_string()).expect("write");
    assert_eq!(call(t, &["run", "--bundle", &dir, &bundle.id]).ok().text(), "0");
}

fn two_ids_are_refused_without_helpers(t: &mut Test) {
    let mut bundle = bundle(t);
    // Nothing in /etc/subuid allows it; the message must come from newuidmap or name the mapping.
    bundle.set("/linux/uidMappings", json!([{"containerID": 0, "hostID": USER, "size": 2}]));
    let output = run_as_user(t, &bundle);
    assert!(output.code == 1 && !output.stderr.is_empty(), "{output:?}");
    assert_eq!(t.leftovers(), [""; 0]);
}

fn newuidmap_maps_many_ids(t: &mut Test) {
    if !Path::new("/usr/bin/newuidmap").exists() {
        skip("newuidmap is not installed");
    }
    // /etc/passwd and /etc/subuid of this mount namespace; the host's stay as they are.
    let mut bundle = bundle(t);
    bundle.set(
        "/linux/uidMappings",
        json!([{"containerID": 0, "hostID": USER, "size": 1}, {"containerID": 1, "hostID": 700_000, "size": 65535}]),
    );
    let mappings = bundle.spec["linux"]["uidMappings"].clone();
    bundle.set("/linux/gidMappings", mappings).set("/process/user", json!({"uid": 33, "gid": 44}));
    bundle.args(["/bin/floe-probe", "facts"]).write();
    let etc = t.path("etc");
    std::fs::create_dir(&etc).expect("mkdir");
    let passwd = format!("{}floeuser:x:{USER}:{USER}::/:/bin/sh\n", read("/etc/passwd"));
    std::fs::write(etc.join("passwd"), passwd).expect("write");
    std::fs::write(etc.join("group"), format!("{}floeuser:x:{USER}:\n", read("/etc/group"))).expect("write");
    for name in ["subuid", "subgid"] {
        std::fs::write(etc.join(name), "floeuser:700000:65536\n").expect("write");
        std::fs::set_permissions(etc.join(name), std::fs::Permissions::from_mode(0o644)).expect("chmod");
    }
    let inner = as_user(t, &["run", "--bundle", bundle.dir.to_str().expect("utf-8"), &bundle.id]);
    let mut script =
        String::from("set -e\nfor f in passwd group subuid subgid; do touch /etc/$f; mount --bind ");
    script += &format!("{}/$f /etc/$f; done\nexec \"$@\"", etc.display());
    let mut command = Command::new("unshare");
    // setpriv drops the bounding set, which would keep newuidmap's file capabilities from working.
    let args: Vec<&std::ffi::OsStr> = inner.get_args().filter(|a| *a != "--bounding-set").collect();
    let first = args.iter().position(|a| *a == "-all").expect("-all");
    let args = args.iter().enumerate().filter(|(i, _)| *i != first).map(|(_, a)| *a);
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(inner.get_program()).args(args);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("XDG_RUNTIME_DIR", &t.dir);
    let facts = t.run(command).ok().json();
    assert_eq!((&facts["uid"], &facts["gid"]), (&json!(33), &json!(44)));
    let map: Vec<&str> = facts["uid_map"].as_str().expect("text").split_whitespace().collect();
    assert_eq!(map, ["0", &USER.to_string(), "1", "1", "700000", "65535"]);
}

fn pause_is_refused_or_works(t: &mut Test) {
    // Without a cgroup there is nothing to freeze: a clear error, and the container runs on.
    let mut bundle = bundle(t);
    bundle.args(["/bin/floe-probe", "hold"]).write();
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    call(t, &["run", "--detach", "--bundle", &dir, &bundle.id]).ok();
    let output = call(t, &["pause", &bundle.id]);
    if output.code != 0 {
        output.refused(&[]);
        assert_eq!(call(t, &["state", &bundle.id]).ok().json()["status"], "running");
    }
    call(t, &["delete", "--force", &bundle.id]).ok();
}

fn no_setgroups(t: &mut Test) {
    // The kernel allows a single-id map only after setgroups is denied.
    let mut bundle = bundle(t);
    bundle.args(["/bin/floe-probe", "facts"]);
    assert_eq!(run_as_user(t, &bundle).ok().json()["setgroups"], "deny");
    bundle.id = t.id();
    bundle.set("/process/user/additionalGids", json!([5]));
    let output = run_as_user(t, &bundle);
    assert!(output.code == 1 && !output.stderr.is_empty(), "{output:?}");
}
