//! A whole system in a container: systemd as its first process; and engines with containers of their own in it.

use crate::cases;
use crate::harness::sockets::{FdSocket, Terminal};
use crate::harness::*;
use crate::nested::equip;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::{Path, PathBuf};

pub(crate) fn cases() -> Vec<Case> {
    cases![debian, debian_in_a_user_namespace, engines_in_a_container]
}

const UUID: &str = "5f0c19d2-7a6b-4d15-9c39-3e0f6a1f8b27";

/// The host's id of the user namespace's root.
const FIRST: u32 = 100_000;

const MEMORY_LIMIT: u64 = 64 << 20;

/// Gives the bundle the Debian of the virtual machine, which `lower` is, without what vm-image.sh has changed.
fn put_debian(t: &mut Test, bundle: &mut Bundle, lower: &Path) {
    let rootfs = bundle.rootfs("");
    t.mount_overlay(lower, &rootfs);
    let units = rootfs.join("etc/systemd/system");
    for entry in fs::read_dir(&units).expect("units").flatten() {
        if fs::read_link(entry.path()).is_ok_and(|target| target == Path::new("/dev/null")) {
            fs::remove_file(entry.path()).expect("unmask");
        }
    }
    for unit in ["tests.service", "multi-user.target.wants/tests.service"] {
        fs::remove_file(units.join(unit)).expect("remove the unit of the virtual machine");
    }
    // Images have none: the container manager's word decides.
    fs::write(rootfs.join("etc/machine-id"), "").expect("write");
    fs::remove_file(rootfs.join("var/lib/dbus/machine-id")).expect("remove D-Bus's copy");

    bundle.args(["/sbin/init"]).capabilities(&CAPABILITIES);
    bundle.set("/process/noNewPrivileges", json!(false)).set("/process/terminal", json!(true));
    let path = "PATH=/usr/sbin:/usr/bin";
    bundle.set("/process/env", json!([path, "container=floe", format!("container_uuid={UUID}")]));
    bundle.remove_mount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw", "nosuid"]);
    for directory in ["/run", "/run/lock", "/tmp"] {
        bundle.mount(directory, "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=1777"]);
    }
}

fn need_debian() {
    if !environment::get().emulated {
        skip("the host's root file system can be any; a virtual machine's is a Debian with systemd");
    }
}

/// Starts it, and waits until every unit of the system runs.
fn boot(t: &mut Test, bundle: &Bundle) -> (Container, Terminal) {
    let socket = FdSocket::new(t.path("console"));
    let path = socket.path().to_owned();
    let container = t.create_with(bundle, &["--console-socket", &path]);
    let mut terminal = Terminal::new(socket.receive_fd());
    t.call(["start", &container.id]).ok();
    terminal.expect("Welcome to");
    terminal.expect("Reached target");
    let output = t.call(["exec", &container.id, "systemctl", "is-system-running", "--wait"]);
    let failed = t.call(["exec", &container.id, "systemctl", "--failed", "--no-legend"]).ok();
    assert_eq!(output.text(), "running", "{}", failed.stdout);
    (container, terminal)
}

/// Its `last_words` tell whether systemd has called reboot(2) (CAP_SYS_BOOT) or ended.
fn shut_down(t: &mut Test, container: &Container, mut terminal: Terminal, last_words: &str) {
    t.call(["kill", &container.id, "RTMIN+3"]).ok();
    terminal.expect(last_words);
    t.wait_status(&container.id, "stopped");
    t.call(["delete", &container.id]).ok();
    assert_eq!(t.leftovers(), [""; 0]);
}

fn debian(t: &mut Test) {
    need_debian();
    let mut bundle = t.bundle();
    put_debian(t, &mut bundle, Path::new("/"));
    let (container, terminal) = boot(t, &bundle);
    assert_eq!(t.call(["exec", &container.id, "cat", "/etc/machine-id"]).ok().text(), UUID.replace('-', ""));
    assert_eq!(
        t.call(["exec", &container.id, "systemctl", "is-active", "multi-user.target"]).ok().text(),
        "active"
    );
    // It gives limits to cgroups of its own.
    let limited =
        ["exec", &container.id, "systemd-run", "--wait", "--pipe", "--property=MemoryMax=64M", "sh", "-c"];
    let script = "cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/memory.max";
    assert_eq!(t.call(limited.iter().chain([&script])).ok().text(), MEMORY_LIMIT.to_string());
    shut_down(t, &container, terminal, "Exiting container");
}

/// The files are the host root's, as is a volume: both are mounted with the ids of the user namespace.
fn debian_in_a_user_namespace(t: &mut Test) {
    need_debian();
    let inner = inner(t, FIRST);
    let lower = t.path("lower");
    t.mount_idmapped(Path::new("/"), &lower, FIRST);
    let mut bundle = t.bundle();
    bundle.user_namespace(FIRST, 65536);
    put_debian(t, &mut bundle, &lower);
    lchown(bundle.rootfs(""), Some(FIRST), Some(FIRST)).expect("chown");
    equip(&mut bundle, &inner);
    // With this one systemd thinks that it may mount debugfs, tracefs and configfs.
    for set in ["bounding", "effective", "permitted"] {
        let names = bundle.spec["process"]["capabilities"][set].as_array_mut().expect("list");
        names.retain(|name| name != "CAP_SYS_RAWIO");
    }
    let volume = Volume::new(t);
    bundle.bind(&volume.0, "/volume", &["bind", "idmap"]);
    let (container, terminal) = boot(t, &bundle);

    let script = "stat -c %u / /etc/passwd /volume; touch /volume/made";
    assert_eq!(t.call(["exec", &container.id, "sh", "-c", script]).ok().text(), "0\n0\n0");
    assert_eq!(fs::metadata(volume.0.join("made")).expect("made in the container").uid(), 0);
    for engine in [
        "floe --root /run/floe run --bundle /inner a",
        "floe --root /run/floe --systemd-cgroup run --bundle /inner b",
        "runc --root /run/runc run --bundle /inner c",
        "runc --root /run/runc --systemd-cgroup run --bundle /inner d",
        &podman("systemd", "/bin/floe"),
        &podman("systemd", "/usr/bin/crun"),
    ] {
        run_inner(t, &container, engine);
    }
    shut_down(t, &container, terminal, "Halting system");
}

fn engines_in_a_container(t: &mut Test) {
    need_debian();
    let inner = inner(t, 0);
    let mut bundle = t.bundle();
    put_debian(t, &mut bundle, Path::new("/"));
    equip(&mut bundle, &inner);
    // A cgroup with processes can give no controllers to those below it.
    let script =
        "mkdir /sys/fs/cgroup/leaf && echo 1 >/sys/fs/cgroup/leaf/cgroup.procs && echo up && exec sleep 1000";
    bundle.set("/process/terminal", json!(false)).args(["sh", "-c", script]);
    let container = t.start(&bundle);
    container.wait_for_output("up");
    for engine in [
        "floe --root /run/floe run --bundle /inner a",
        "runc --root /run/runc run --bundle /inner b",
        "crun --root /run/crun run --bundle /inner c",
        &podman("cgroupfs", "/bin/floe"),
        &podman("cgroupfs", "/usr/bin/crun"),
    ] {
        run_inner(t, &container, engine);
    }
}

/// The bundle of a container that says what its limit is, with a root file system of user `owner`.
fn inner(t: &mut Test, owner: u32) -> Bundle {
    let mut inner = t.bundle_named("inner");
    inner.remove("/linux/cgroupsPath").set("/linux/resources", json!({"memory": {"limit": MEMORY_LIMIT}}));
    inner.args(["cat", "/sys/fs/cgroup/memory.max"]).write();
    for name in ["", "bin", "dev", "etc", "proc", "run", "sys", "tmp", "var", "data"] {
        lchown(inner.rootfs(name), Some(owner), Some(owner)).expect("chown");
    }
    inner
}

/// Podman with that cgroup manager and runtime, and the root file system of the inner bundle.
fn podman(manager: &str, runtime: &str) -> String {
    format!(
        "podman --root /tmp/podman --runroot /run/podman --storage-driver vfs --events-backend none \
         --cgroup-manager {manager} --runtime {runtime} run --rm --network none --ulimit host --log-driver none \
         --memory {MEMORY_LIMIT} --rootfs /inner/rootfs cat /sys/fs/cgroup/memory.max"
    )
}

fn run_inner(t: &mut Test, outer: &Container, engine: &str) {
    let output = t.call(["exec", &outer.id, "sh", "-c", engine]).ok();
    assert_eq!(output.text(), MEMORY_LIMIT.to_string(), "{engine}: {}", output.stderr);
}

/// A directory of root's on the virtual machine's disk, for as long as the test runs.
struct Volume(PathBuf);

impl Volume {
    fn new(t: &Test) -> Volume {
        let name = t.dir.file_name().expect("name");
        let volume = Volume(Path::new("/srv").join(name));
        fs::create_dir(&volume.0).expect("mkdir");
        volume
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
