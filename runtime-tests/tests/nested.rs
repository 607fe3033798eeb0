//! A container in a container: the runtime works with what a privileged one has.

use crate::cases;
use crate::harness::*;

pub(crate) fn cases() -> Vec<Case> {
    cases![run, create_start_exec_delete, with_a_user_namespace, in_a_user_namespace]
}

/// An outer container with every capability and a writable cgroup, in which the runtime and a bundle are at hand.
fn outer(t: &mut Test, change_inner: impl Fn(&mut Bundle)) -> Bundle {
    let mut inner = t.bundle_named("inner");
    inner.set("/linux/cgroupsPath", json!("/inner"));
    change_inner(&mut inner);
    inner.write();
    let mut outer = t.bundle_named("outer");
    outer.remove_mount("/sys").mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "rw"]);
    outer.mount("/run", "tmpfs", "tmpfs", &["mode=755"]);
    equip(&mut outer, &inner);
    outer
}

/// Gives `outer` every capability and a writable cgroup, and puts the runtime at /bin/floe and the bundle `inner` at
/// /inner.
pub(crate) fn equip(outer: &mut Bundle, inner: &Bundle) {
    let status = read("/proc/self/status");
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("field").trim();
    let bounding = u64::from_str_radix(bounding, 16).expect("hexadecimal");
    let names: Vec<&str> = crate::capabilities::NAMES
        .iter()
        .enumerate()
        .filter(|(number, _)| bounding & 1 << number != 0)
        .map(|(_, name)| *name)
        .collect();
    outer.capabilities(&names);
    outer.set("/process/noNewPrivileges", json!(false));
    outer.set("/linux/resources/devices", json!([{"allow": true, "access": "rwm"}]));
    outer.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    outer.remove_mount("/sys/fs/cgroup");
    outer.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "rw"]);
    outer.bind(&inner.dir, "/inner", &["bind"]);
    outer.bind(&environment::get().floe, "/bin/floe", &["bind", "ro"]);
}

fn run(t: &mut Test) {
    let mut outer = outer(t, |inner| {
        inner.args(["sh", "-c", "echo pid $$; hostname; mount | grep -c ' / '"]);
    });
    let text = t.sh(
        &mut outer,
        "floe --root /run/floe run --bundle /inner one; ls /run/floe; ls -d /sys/fs/cgroup/inner 2>/dev/null || true",
    );
    assert_eq!(text, "pid 1\nfloe-test\n1");
}

fn create_start_exec_delete(t: &mut Test) {
    let mut outer = outer(t, |inner| {
        inner.args(["sleep", "1000"]);
    });
    let script = "f='floe --root /run/floe'; $f create --bundle /inner one && $f start one && $f exec one echo inside \
        && $f kill one KILL && while ! $f state one | grep -q stopped; do sleep 0.01; done; $f delete one && echo gone";
    assert_eq!(t.sh(&mut outer, script), "inside\ngone");
}

fn with_a_user_namespace(t: &mut Test) {
    let mut outer = outer(t, |inner| {
        inner.user_namespace(200_000, 1000).args(["sh", "-c", "id -u; cat /proc/self/uid_map | tr -s ' '"]);
    });
    let text = t.sh(&mut outer, "floe --root /run/floe run --bundle /inner one");
    assert_eq!(text, "0\n 0 200000 1000");
}

/// The outer one has the user namespace: no device program, no mknod, cgroups only below its own.
fn in_a_user_namespace(t: &mut Test) {
    let mut outer = outer(t, |inner| {
        inner.remove("/linux/resources").args(["echo", "up"]);
    });
    outer.user_namespace(100_000, 65536);
    let inner = t.path("inner/rootfs");
    for name in ["", "bin", "dev", "etc", "proc", "run", "sys", "tmp", "var", "data"] {
        std::os::unix::fs::chown(inner.join(name), Some(100_000), Some(100_000)).expect("chown");
    }
    assert_eq!(t.sh(&mut outer, "floe --root /run/floe run --bundle /inner one"), "up");
}
