//! `/dev`: default nodes and links, `linux.devices`, and the eBPF program made of `resources.devices`.

use crate::cases;
use crate::harness::*;
use std::os::unix::fs::PermissionsExt as _;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        link_ptmx,
        link_fd_works,
        node_with_mode_and_owner,
        node_mode_ignores_umask,
        node_default_mode,
        node_block,
        node_fifo,
        node_unbuffered,
        node_in_new_directory,
        node_of_bad_type,
        default_nodes_in_a_user_namespace,
        rule_denies_opening,
        rule_allows_opening,
        rule_allows_reading_only,
        rule_wildcard_minor,
        rule_allow_all,
        rule_later_wins,
        rule_denies_mknod,
        rule_allows_mknod,
        rule_of_block_type,
        defaults_stay_allowed,
        no_rules_still_denies,
        dev_bind_is_left_alone,
    ];
    for (name, major, minor) in
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)]
    {
        cases.push(Case::new(format!("devices::default_{name}"), move |t| {
            let mut bundle = t.bundle();
            let text = t.sh(&mut bundle, &format!("stat -c '%F %a %u %g %t %T' /dev/{name}"));
            assert_eq!(text, format!("character special file 666 0 0 {major:x} {minor:x}"));
        }));
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        cases.push(Case::new(format!("devices::link_{name}"), move |t| {
            let mut bundle = t.bundle();
            assert_eq!(t.sh(&mut bundle, &format!("readlink /dev/{name}")), target);
        }));
    }
    cases
}

/// /dev/fuse's numbers: never among the defaults.
const MAJOR: u32 = 10;
const MINOR: u32 = 229;

/// A container with the node /dev/mine, the capability to make others, and these rules after a general denial.
fn with_rules(t: &mut Test, kind: &str, rules: &[Value]) -> Bundle {
    let mut bundle = t.bundle();
    bundle.capabilities(&["CAP_MKNOD"]);
    bundle.push("/linux/devices", json!({"path": "/dev/mine", "type": kind, "major": MAJOR, "minor": MINOR}));
    bundle.set("/linux/resources/devices", json!([{"allow": false, "access": "rwm"}]));
    for rule in rules {
        bundle.push("/linux/resources/devices", rule.clone());
    }
    bundle
}

/// Whether the cgroup lets the container open /dev/mine: the program answers EPERM before the driver is asked.
fn can_open(t: &mut Test, bundle: &mut Bundle, mode: &str) -> bool {
    bundle.args(["/bin/floe-probe", "open", "/dev/mine", mode]);
    let output = t.run_bundle(bundle).ok();
    bundle.id = t.id();
    output.text() != "errno=1"
}

fn rule(allow: bool, access: &str) -> Value {
    json!({"allow": allow, "type": "c", "major": MAJOR, "minor": MINOR, "access": access})
}

fn link_ptmx(t: &mut Test) {
    let mut bundle = t.bundle();
    assert_eq!(t.sh(&mut bundle, "readlink /dev/ptmx"), "pts/ptmx");
}

fn link_fd_works(t: &mut Test) {
    let mut bundle = t.bundle();
    assert_eq!(
        t.sh(
            &mut bundle,
            "echo one | cat /dev/stdin; echo two > /dev/stdout | cat; echo three | cat /dev/fd/0"
        ),
        "one\ntwo\nthree"
    );
}

fn node_with_mode_and_owner(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push(
        "/linux/devices",
        json!({"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 5, "gid": 6}),
    );
    let text = t.sh(&mut bundle, "stat -c '%F %a %u %g %t %T' /dev/mine");
    assert_eq!(text, "character special file 640 5 6 1 3");
}

fn node_mode_ignores_umask(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/user/umask", json!(0o077));
    bundle.push(
        "/linux/devices",
        json!({"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}),
    );
    assert_eq!(t.sh(&mut bundle, "stat -c %a /dev/mine /dev/null"), "666\n666");
}

fn node_default_mode(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/linux/devices", json!({"path": "/dev/mine", "type": "c", "major": 1, "minor": 3}));
    let text = t.sh(&mut bundle, "stat -c '%F %u %g' /dev/mine");
    assert_eq!(text, "character special file 0 0");
}

fn node_block(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push(
        "/linux/devices",
        json!({"path": "/dev/loop7", "type": "b", "major": 7, "minor": 7, "fileMode": 0o600}),
    );
    assert_eq!(t.sh(&mut bundle, "stat -c '%F %a %t %T' /dev/loop7"), "block special file 600 7 7");
}

fn node_fifo(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/linux/devices", json!({"path": "/dev/queue", "type": "p", "fileMode": 0o622}));
    assert_eq!(t.sh(&mut bundle, "stat -c '%F %a' /dev/queue"), "fifo 622");
}

fn node_unbuffered(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/linux/devices", json!({"path": "/dev/mine", "type": "u", "major": 1, "minor": 3}));
    assert_eq!(t.sh(&mut bundle, "stat -c '%F %t %T' /dev/mine"), "character special file 1 3");
}

fn node_in_new_directory(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/linux/devices", json!({"path": "/dev/a/b/mine", "type": "c", "major": 1, "minor": 3}));
    assert_eq!(t.sh(&mut bundle, "stat -c '%F' /dev/a/b/mine"), "character special file");
}

fn node_of_bad_type(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/linux/devices", json!({"path": "/dev/mine", "type": "x", "major": 1, "minor": 3}));
    t.run_bundle(&bundle).exits(1).refused(&[]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn default_nodes_in_a_user_namespace(t: &mut Test) {
    // mknod is not possible there; the host's nodes are bound instead.
    let mut bundle = t.bundle();
    bundle.user_namespace(100_000, 65536);
    let script = "echo x > /dev/null && head -c 4 /dev/zero | wc -c; stat -c '%F %t %T' /dev/null";
    assert_eq!(t.sh(&mut bundle, script), "4\ncharacter special file 1 3");
}

fn rule_denies_opening(t: &mut Test) {
    let mut bundle = with_rules(t, "c", &[]);
    assert!(!can_open(t, &mut bundle, "r"));
}

fn rule_allows_opening(t: &mut Test) {
    let mut bundle = with_rules(t, "c", &[rule(true, "rw")]);
    assert!(can_open(t, &mut bundle, "r"));
    assert!(can_open(t, &mut bundle, "rw"));
}

fn rule_allows_reading_only(t: &mut Test) {
    let mut bundle = with_rules(t, "c", &[rule(true, "r")]);
    assert!(can_open(t, &mut bundle, "r"));
    assert!(!can_open(t, &mut bundle, "w"));
    assert!(!can_open(t, &mut bundle, "rw"));
}

fn rule_wildcard_minor(t: &mut Test) {
    let any = json!({"allow": true, "type": "c", "major": MAJOR, "access": "rw"});
    let mut bundle = with_rules(t, "c", &[any]);
    assert!(can_open(t, &mut bundle, "rw"));
    let other = json!({"allow": true, "type": "c", "major": MAJOR + 1, "access": "rw"});
    let mut bundle = with_rules(t, "c", &[other]);
    assert!(!can_open(t, &mut bundle, "r"));
}

fn rule_allow_all(t: &mut Test) {
    let mut bundle = with_rules(t, "c", &[json!({"allow": true, "access": "rwm"})]);
    assert!(can_open(t, &mut bundle, "rw"));
}

fn rule_later_wins(t: &mut Test) {
    let mut bundle = with_rules(t, "c", &[json!({"allow": true, "access": "rwm"}), rule(false, "rw")]);
    assert!(!can_open(t, &mut bundle, "r"));
    let mut bundle = with_rules(t, "c", &[rule(false, "rw"), rule(true, "rw")]);
    assert!(can_open(t, &mut bundle, "r"));
}

fn rule_denies_mknod(t: &mut Test) {
    let mut bundle = with_rules(t, "c", &[json!({"allow": true, "access": "rwm"}), rule(false, "m")]);
    bundle.remove("/linux/devices");
    let script = format!("mknod /data/x c {MAJOR} {MINOR} 2>/dev/null || echo refused");
    assert_eq!(t.sh(&mut bundle, &script), "refused");
}

fn rule_allows_mknod(t: &mut Test) {
    // runc's defaults let every node be made; opening it is another matter.
    let mut bundle = with_rules(t, "c", &[]);
    let script = format!("mknod /dev/x c {MAJOR} {MINOR} && floe-probe open /dev/x r");
    assert_eq!(t.sh(&mut bundle, &script), "errno=1");
}

fn rule_of_block_type(t: &mut Test) {
    let mut bundle = with_rules(t, "b", &[rule(true, "rw")]);
    assert!(!can_open(t, &mut bundle, "r"), "a rule for character devices is none for block devices");
    let block = json!({"allow": true, "type": "b", "major": MAJOR, "minor": MINOR, "access": "rw"});
    let mut bundle = with_rules(t, "b", &[block]);
    assert!(can_open(t, &mut bundle, "r"));
}

fn defaults_stay_allowed(t: &mut Test) {
    let mut bundle = t.bundle();
    let script = "echo x >/dev/null && head -c 1 /dev/zero >/dev/null && head -c 1 /dev/random >/dev/null \
        && head -c 1 /dev/urandom >/dev/null && head -c 1 /dev/full >/dev/null && echo fine";
    assert_eq!(t.sh(&mut bundle, script), "fine");
}

fn no_rules_still_denies(t: &mut Test) {
    // Without a resources object the runtime's own list applies.
    let mut bundle = with_rules(t, "c", &[]);
    bundle.remove("/linux/resources").remove("/linux/devices").capabilities(&["CAP_MKNOD"]);
    let script = format!("mknod /dev/x c {MAJOR} {MINOR}; floe-probe open /dev/x r");
    assert_eq!(t.sh(&mut bundle, &script), "errno=1");
}

fn dev_bind_is_left_alone(t: &mut Test) {
    // With a bind mount at /dev the runtime creates neither nodes nor links: it is the host's directory.
    let dev = t.path("dev");
    std::fs::create_dir(&dev).expect("mkdir");
    std::fs::set_permissions(&dev, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let mut bundle = t.bundle();
    for mount in ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"] {
        bundle.remove_mount(mount);
    }
    bundle.remove("/linux/maskedPaths");
    bundle.bind(&dev, "/dev", &["rbind"]).args(["true"]);
    t.run_bundle(&bundle).ok();
    assert_eq!(std::fs::read_dir(&dev).expect("dir").count(), 0);
}
