//! Cgroups by systemd: transient scopes of the systemd that is process 1, and of a user's own. Skipped where there is none.

use crate::cases;
use crate::harness::*;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        scope_of_a_container,
        default_path,
        slices_nest,
        path_of_another_form_is_refused,
        limits_are_properties_and_files,
        what_systemd_does_not_know_is_in_the_files,
        tight_limits,
        update_outlives_a_reload,
        devices_outlive_a_reload,
        updated_devices_outlive_a_reload,
        annotations,
        annotations_that_are_refused,
        later_commands_ask_nobody,
        bus_where_there_is_no_socket,
        without_systemd_it_is_refused,
        name_of_another_unit_is_refused,
        failed_unit_is_replaced,
        deleted_while_it_runs,
        killed_for_memory,
        restored,
    ];
    for (name, body) in [
        ("killed_creates", killed_creates as fn(&mut Test)),
        ("hundred_at_once", hundred_at_once),
        ("users_manager", users_manager),
        ("users_manager_that_hangs", users_manager_that_hangs),
        ("manager_that_executes_itself_anew", manager_that_executes_itself_anew),
    ] {
        let mut case = Case::new(format!("systemd::{name}"), body);
        case.alone = true;
        cases.push(case);
    }
    cases
}

/// A bundle for the scope `floe-ID.scope` in `slice`.
fn bundle_in(t: &mut Test, slice: &str) -> Bundle {
    let mut bundle = t.bundle();
    bundle.in_scope(slice);
    bundle
}

fn bundle(t: &mut Test) -> Bundle {
    bundle_in(t, "")
}

fn floe(t: &Test) -> Command {
    let mut command = t.floe();
    command.arg("--systemd-cgroup");
    command
}

/// Runs a container that holds, detached.
fn start(t: &mut Test, bundle: &mut Bundle) {
    bundle.args(["/bin/floe-probe", "hold"]).write();
    let mut command = floe(t);
    command.args(["run", "--detach", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    t.run(command).quiet();
}

fn delete(t: &mut Test, bundle: &Bundle) {
    t.call(["delete", "--force", &bundle.id]).quiet();
    assert_eq!(property(&bundle.unit(), "LoadState"), "not-found");
}

/// A property as `systemctl show` prints it.
fn property(unit: &str, name: &str) -> String {
    systemctl(&["show", "--value", "--property", name, unit])
}

fn systemctl(arguments: &[&str]) -> String {
    let mut command = Command::new("systemctl");
    // Its own way to systemd does not work in another pid namespace.
    let output = command.args(arguments).env("SYSTEMCTL_FORCE_BUS", "1").output().expect("systemctl");
    assert!(output.status.success(), "systemctl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("utf-8").trim().to_owned()
}

/// `SCRIPT` in a mount namespace where systemd's own socket is another file, then floe.
fn behind(t: &Test, script: &str, arguments: &[&str]) -> Command {
    let floe = floe(t);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("{script} && exec \"$@\"")]).arg("sh");
    command.arg(floe.get_program()).args(floe.get_args()).args(arguments);
    command.current_dir(&t.dir);
    command
}

const NO_SOCKETS: &str = "mount -t tmpfs none /run/systemd && mount -t tmpfs none /run/dbus";

fn scope_of_a_container(t: &mut Test) {
    let mut bundle = bundle(t);
    start(t, &mut bundle);
    let (unit, pid) = (bundle.unit(), t.pid(&bundle.id));
    assert_eq!(read(bundle.cgroup().join("cgroup.procs")).trim(), pid.to_string());
    for (name, value) in [
        ("ActiveState", "active"),
        ("Slice", "system.slice"),
        ("Delegate", "yes"),
        ("DefaultDependencies", "no"),
        ("CollectMode", "inactive-or-failed"),
        ("Transient", "yes"),
    ] {
        assert_eq!(property(&unit, name), value, "{name}");
    }
    t.call(["kill", &bundle.id, "KILL"]).quiet();
    t.wait_status(&bundle.id, "stopped");
    t.call(["delete", &bundle.id]).quiet();
    assert!(!bundle.cgroup().exists());
    assert_eq!(property(&unit, "LoadState"), "not-found");
}

fn default_path(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.remove("/linux/cgroupsPath");
    start(t, &mut bundle);
    let unit = format!("runc-{}.scope", bundle.id);
    assert_eq!(property(&unit, "ControlGroup"), format!("/system.slice/{unit}"));
    delete(t, &bundle);
}

fn slices_nest(t: &mut Test) {
    let mut bundle = bundle_in(t, "floetest-a-b.slice");
    start(t, &mut bundle);
    let path = format!("/floetest.slice/floetest-a.slice/floetest-a-b.slice/{}", bundle.unit());
    assert_eq!(property(&bundle.unit(), "ControlGroup"), path);
    let pid = t.pid(&bundle.id);
    assert_eq!(
        read(Path::new("/sys/fs/cgroup").join(&path[1..]).join("cgroup.procs")).trim(),
        pid.to_string()
    );
    delete(t, &bundle);
    systemctl(&["stop", "floetest.slice"]);
}

fn path_of_another_form_is_refused(t: &mut Test) {
    for path in ["/a/b", "a.slice:b", "a:b:c", "a--b.slice:c:d", ":a:b.slice", ":a:b/c"] {
        let mut bundle = bundle(t);
        bundle.set("/linux/cgroupsPath", json!(path));
        t.run_bundle(&bundle).exits(1).refused(&["cgroupsPath"]);
        assert_eq!(t.leftovers(), [""; 0]);
    }
}

fn limits_are_properties_and_files(t: &mut Test) {
    let mut bundle = bundle(t);
    let resources = json!({
        "memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20},
        "cpu": {"shares": 512, "quota": 50_000, "period": 200_000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 77},
        "unified": {"memory.high": "60000000"},
    });
    bundle.set("/linux/resources", resources);
    start(t, &mut bundle);
    for (name, value, file, text) in [
        ("MemoryMax", "67108864", "memory.max", "67108864"),
        ("MemorySwapMax", "33554432", "memory.swap.max", "33554432"),
        ("MemoryLow", "33554432", "memory.low", "33554432"),
        ("MemoryHigh", "60000000", "memory.high", "59998208"),
        ("CPUWeight", "59", "cpu.weight", "59"),
        ("CPUQuotaPerSecUSec", "250ms", "cpu.max", "50000 200000"),
        ("CPUQuotaPeriodUSec", "200ms", "cpu.max", "50000 200000"),
        ("AllowedCPUs", "0", "cpuset.cpus", "0"),
        ("AllowedMemoryNodes", "0", "cpuset.mems", "0"),
        ("TasksMax", "77", "pids.max", "77"),
    ] {
        assert_eq!(property(&bundle.unit(), name), value, "{name}");
        assert_eq!(read(bundle.cgroup().join(file)).trim(), text, "{file}");
    }
    delete(t, &bundle);
}

fn what_systemd_does_not_know_is_in_the_files(t: &mut Test) {
    let mut bundle = bundle(t);
    let resources = json!({
        "cpu": {"quota": 50_000, "period": 100_000, "burst": 20_000},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}],
        "unified": {"cgroup.max.descendants": "3"},
    });
    bundle.set("/linux/resources", resources);
    start(t, &mut bundle);
    for (file, text) in
        [("cpu.max.burst", "20000"), ("hugetlb.2MB.max", "4194304"), ("cgroup.max.descendants", "3")]
    {
        assert_eq!(read(bundle.cgroup().join(file)).trim(), text, "{file}");
    }
    delete(t, &bundle);
}

fn tight_limits(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.set(
        "/linux/resources",
        json!({"pids": {"limit": 1}, "memory": {"limit": 4 << 20, "swap": 4 << 20}}),
    );
    start(t, &mut bundle);
    assert_eq!(property(&bundle.unit(), "TasksMax"), "1");
    assert_eq!(property(&bundle.unit(), "MemoryMax"), "4194304");
    assert_eq!(read(bundle.cgroup().join("pids.max")).trim(), "1");
    delete(t, &bundle);
}

fn update_outlives_a_reload(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.set("/linux/resources", json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 77}}));
    start(t, &mut bundle);
    let update = [
        "update",
        "--memory",
        "50331648",
        "--pids-limit",
        "55",
        "--cpu-quota",
        "30000",
        "--cpu-period",
        "100000",
        "--cpu-share",
        "512",
        "--cpuset-cpus",
        "0",
    ];
    t.call(update.iter().copied().chain([bundle.id.as_str()])).quiet();
    let check = |when: &str| {
        for (file, text) in [
            ("memory.max", "50331648"),
            ("pids.max", "55"),
            ("cpu.max", "30000 100000"),
            ("cpu.weight", "59"),
            ("cpuset.cpus", "0"),
        ] {
            assert_eq!(read(bundle.cgroup().join(file)).trim(), text, "{file} {when}");
        }
    };
    check("after the update");
    systemctl(&["daemon-reload"]);
    // systemd writes a unit's limits again when any of them changes.
    systemctl(&["set-property", "--runtime", &bundle.unit(), "MemoryMin=4096"]);
    check("after the reload");
    delete(t, &bundle);
}

fn devices_outlive_a_reload(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.push("/linux/devices", json!({"path": "/dev/mine", "type": "c", "major": 10, "minor": 229}));
    start(t, &mut bundle);
    assert_eq!(property(&bundle.unit(), "DevicePolicy"), "strict");
    assert!(property(&bundle.unit(), "DeviceAllow").contains("/dev/char/1:3 rwm"));
    for when in ["at first", "after a reload"] {
        let id = bundle.id.clone();
        let mut open =
            |path, access| t.call(["exec", &id, "floe-probe", "open", path, access]).ok().text().to_owned();
        assert_eq!(open("/dev/mine", "r"), "errno=1", "{when}");
        assert_eq!(open("/dev/null", "w"), "ok", "{when}");
        systemctl(&["daemon-reload"]);
        systemctl(&["set-property", "--runtime", &bundle.unit(), "MemoryMin=4096"]);
    }
    delete(t, &bundle);
}

/// Rules that systemd has words for, and an exception, for which it has none.
fn updated_devices_outlive_a_reload(t: &mut Test) {
    needs_floe();
    let mut bundle = bundle(t);
    bundle.push("/linux/devices", json!({"path": "/dev/mine", "type": "c", "major": 10, "minor": 229}));
    start(t, &mut bundle);
    let none = json!({"allow": false, "access": "rwm"});
    let one = json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"});
    let all = json!({"allow": true, "type": "c", "major": 10, "access": "rwm"});
    let but_one = json!({"allow": false, "type": "c", "major": 10, "minor": 229, "access": "w"});
    for (rules, policy) in [(json!([none, one]), "strict"), (json!([none, all, but_one]), "auto")] {
        let document = t.path("resources.json");
        std::fs::write(&document, json!({ "devices": rules }).to_string()).expect("write");
        t.call(["update", "--resources", document.to_str().expect("utf-8"), &bundle.id]).quiet();
        assert_eq!(property(&bundle.unit(), "DevicePolicy"), policy);
        for when in ["at first", "after a reload"] {
            let id = bundle.id.clone();
            let mut open = |access| {
                t.call(["exec", &id, "floe-probe", "open", "/dev/mine", access]).ok().text().to_owned()
            };
            // Without a driver behind the node it is ENXIO or ENODEV, not EPERM.
            assert_ne!(open("r"), "errno=1", "{policy} {when}");
            assert_eq!(open("w"), "errno=1", "{policy} {when}");
            systemctl(&["daemon-reload"]);
            systemctl(&["set-property", "--runtime", &bundle.unit(), "MemoryMin=4096"]);
        }
    }
    delete(t, &bundle);
}

fn annotations(t: &mut Test) {
    let mut bundle = bundle(t);
    let annotations = json!({
        "org.systemd.property.TimeoutStopSec": "7",
        "org.systemd.property.KillSignal": "10",
        "org.systemd.property.Description": "'what it is'",
        "org.systemd.property.After": "['sysinit.target']",
        "org.systemd.property.MemoryMin": "uint64 8192",
    });
    bundle.set("/annotations", annotations);
    start(t, &mut bundle);
    for (name, value) in [
        ("TimeoutStopUSec", "7s"),
        ("KillSignal", "10"),
        ("Description", "what it is"),
        ("MemoryMin", "8192"),
    ] {
        assert_eq!(property(&bundle.unit(), name), value);
    }
    assert!(property(&bundle.unit(), "After").contains("sysinit.target"));
    delete(t, &bundle);
}

fn annotations_that_are_refused(t: &mut Test) {
    // What no scope has, what is no value, and what would take processes or a place of somebody else's.
    for (name, value) in [
        ("ExecStartPre", "'/bin/true'"),
        ("NoSuchProperty", "1"),
        ("KillSignal", "no value"),
        ("PIDs", "[uint32 1]"),
        ("Slice", "'init.scope'"),
    ] {
        let mut bundle = bundle(t);
        bundle.set("/annotations", json!({format!("org.systemd.property.{name}"): value}));
        t.run_bundle(&bundle).exits(1).refused(&[name]);
        assert_eq!(t.leftovers(), [""; 0], "{name}");
        assert!(!bundle.cgroup().exists());
    }
}

fn later_commands_ask_nobody(t: &mut Test) {
    let mut bundle = bundle(t);
    start(t, &mut bundle);
    let id = bundle.id.clone();
    for arguments in [
        &["state", &id][..],
        &["ps", &id],
        &["exec", &id, "true"],
        &["pause", &id],
        &["resume", &id],
        &["events", "--stats", &id],
        &["kill", &id, "0"],
        &["list"],
    ] {
        let command = behind(t, NO_SOCKETS, arguments);
        t.run(command).ok();
    }
    let command = behind(t, NO_SOCKETS, &["update", "--pids-limit", "9", &id]);
    t.run(command).exits(1).refused(&["SetUnitProperties", "systemd cannot be reached"]);
    delete(t, &bundle);
}

fn bus_where_there_is_no_socket(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.args(["true"]).write();
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    let command = behind(t, "mount -t tmpfs none /run/systemd", &["run", "--bundle", &dir, &bundle.id]);
    t.run(command).quiet();
    assert_eq!(property(&bundle.unit(), "LoadState"), "not-found");
}

fn without_systemd_it_is_refused(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.remove("/linux/cgroupsPath").args(["true"]).write();
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    let command = behind(t, "mount -t tmpfs none /run", &["run", "--bundle", &dir, &bundle.id]);
    t.run(command).exits(1).refused(&[
        "StartTransientUnit",
        "systemd cannot be reached",
        "/run/systemd/private",
    ]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn name_of_another_unit_is_refused(t: &mut Test) {
    let mut first = bundle(t);
    start(t, &mut first);
    let mut second = bundle(t);
    second.set("/linux/cgroupsPath", json!(format!(":floe:{}", first.id)));
    t.run_bundle(&second).exits(1).refused(&[&first.unit(), "UnitExists"]);
    t.call(["delete", "--force", &second.id]).quiet();
    assert_eq!(t.status(&first.id), "running");
    delete(t, &first);
}

fn failed_unit_is_replaced(t: &mut Test) {
    let mut bundle = bundle(t);
    let annotations = json!({
        "org.systemd.property.CollectMode": "'inactive'",
        "org.systemd.property.RuntimeMaxSec": "1",
        "org.systemd.property.TimeoutStopSec": "1",
    });
    bundle.set("/annotations", annotations);
    start(t, &mut bundle);
    wait_until("the failure", || property(&bundle.unit(), "ActiveState") == "failed");
    t.wait_status(&bundle.id, "stopped");
    t.call(["delete", &bundle.id]).quiet();
    bundle.set("/annotations", json!({}));
    start(t, &mut bundle);
    delete(t, &bundle);
}

fn deleted_while_it_runs(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.remove_mount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw"]);
    start(t, &mut bundle);
    let script = "mkdir -p /sys/fs/cgroup/a/b && echo $$ >/sys/fs/cgroup/a/b/cgroup.procs && echo 1 \
        >/sys/fs/cgroup/a/b/cgroup.freeze";
    let mut nested = t.floe();
    nested.args(["exec", "--detach", &bundle.id, "sh", "-c", script]);
    t.run(nested).ok();
    wait_until("a frozen cgroup", || read(bundle.cgroup().join("a/b/cgroup.freeze")).trim() == "1");
    delete(t, &bundle);
    assert!(!bundle.cgroup().exists());
}

fn killed_for_memory(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.set("/linux/resources/memory", json!({"limit": 32 << 20, "swap": 32 << 20}));
    bundle.mount("/data", "tmpfs", "tmpfs", &["size=512m"]);
    bundle.args(["dd", "if=/dev/zero", "of=/data/big", "bs=1M"]);
    t.run_bundle(&bundle).exits(137);
    assert_eq!(property(&bundle.unit(), "LoadState"), "not-found");
}

fn restored(t: &mut Test) {
    needs_floe();
    let mut bundle = bundle(t);
    bundle.set("/linux/resources/pids", json!({"limit": 77}));
    bundle.args(["sleep", "1000"]).write();
    let mut command = floe(t);
    command.args(["run", "--detach", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    assert_eq!(t.run_silent(command), 0);
    let images = t.path("images");
    t.call(["checkpoint", "--image-path", images.to_str().expect("utf-8"), &bundle.id]).quiet();
    assert_eq!(property(&bundle.unit(), "LoadState"), "not-found");
    let mut command = floe(t);
    command.args(["restore", "--detach", "--image-path"]).arg(&images).arg("--bundle").arg(&bundle.dir);
    command.arg(&bundle.id);
    assert_eq!(t.run_silent(command), 0);
    let pid = t.pid(&bundle.id);
    assert_eq!(read(bundle.cgroup().join("cgroup.procs")).trim(), pid.to_string());
    assert_eq!(property(&bundle.unit(), "TasksMax"), "77");
    assert_eq!(t.status(&bundle.id), "running");
    delete(t, &bundle);
}

/// Whenever `create` is killed, `delete --force` leaves nothing of it.
fn killed_creates(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.args(["sleep", "1000"]).write();
    for round in 0..30 {
        let mut command = floe(t);
        command.arg("create").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
        let running = t.spawn(command);
        std::thread::sleep(Duration::from_millis(10 * round));
        running.signal(libc::SIGKILL);
        drop(running);
        t.call(["delete", "--force", &bundle.id]).quiet();
        wait_until("systemd has forgotten it", || property(&bundle.unit(), "LoadState") == "not-found");
        assert_eq!(t.leftovers(), [""; 0], "round {round}");
    }
}

fn hundred_at_once(t: &mut Test) {
    let bundles: Vec<Bundle> = (0..100)
        .map(|_| {
            let mut bundle = bundle(t);
            bundle.args(["true"]).write();
            bundle
        })
        .collect();
    let mut running: Vec<Running> = Vec::new();
    for bundle in &bundles {
        let mut command = floe(t);
        command.arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
        running.push(t.spawn(command));
    }
    for running in running {
        running.wait().quiet();
    }
    for bundle in &bundles {
        assert!(!bundle.cgroup().exists());
    }
}

fn manager_that_executes_itself_anew(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.args(["true"]).write();
    for _ in 0..3 {
        let mut reexec = Command::new("systemctl");
        reexec.arg("daemon-reexec").env("SYSTEMCTL_FORCE_BUS", "1");
        let reexec = t.spawn(reexec);
        for _ in 0..3 {
            t.run_bundle(&bundle).quiet();
        }
        drop(reexec.wait());
    }
    assert_eq!(property(&bundle.unit(), "LoadState"), "not-found");
}

/// `bin`, which every system has and nobody uses.
const USER: u32 = 2;

/// A systemd of `USER`, as a service of the system's.
struct UsersManager {
    unit: String,
    runtime_dir: PathBuf,
}

impl UsersManager {
    fn start(t: &mut Test) -> UsersManager {
        need_systemd();
        let name = format!("floe-users-manager-{}", t.dir.file_name().expect("name").display());
        // Where the service sees it, too.
        let manager =
            UsersManager { unit: format!("{name}.service"), runtime_dir: Path::new("/run").join(name) };
        std::fs::create_dir(&manager.runtime_dir).expect("mkdir");
        for path in [&manager.runtime_dir, &t.root] {
            lchown(path, Some(USER), Some(USER)).expect("chown");
        }
        let service = format!(
            "[Service]\nUser={USER}\nDelegate=yes\nTimeoutStopSec=2\nEnvironment=XDG_RUNTIME_DIR={}\n\
             ExecStart=/usr/lib/systemd/systemd --user\n",
            manager.runtime_dir.display()
        );
        std::fs::write(manager.unit_file(), service).expect("write");
        systemctl(&["daemon-reload"]);
        systemctl(&["start", &manager.unit]);
        wait_until("the user's systemd", || manager.runtime_dir.join("systemd/private").exists());
        manager
    }

    fn unit_file(&self) -> PathBuf {
        Path::new("/run/systemd/system").join(&self.unit)
    }

    fn cgroup(&self) -> PathBuf {
        Path::new("/sys/fs/cgroup/system.slice").join(&self.unit)
    }

    /// floe as the user, from a cgroup of the user's or from one where the user may do nothing.
    fn floe(&self, t: &Test, from_within: bool, arguments: &[&str]) -> Command {
        let id = USER.to_string();
        let script = match from_within {
            true => format!("echo $$ >{}/init.scope/cgroup.procs && exec \"$@\"", self.cgroup().display()),
            false => "exec \"$@\"".to_owned(),
        };
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh", "setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"]);
        command.args(["--bounding-set", "-all", "--inh-caps", "-all", "--"]);
        command
            .arg(&environment::get().floe)
            .arg("--root")
            .arg(&t.root)
            .arg("--systemd-cgroup")
            .args(arguments);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("XDG_RUNTIME_DIR", &self.runtime_dir).current_dir("/");
        command
    }

    fn bundle(t: &mut Test) -> Bundle {
        let mut bundle = bundle(t);
        bundle.namespace("user", None);
        let map = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
        bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
        bundle.set("/linux/resources", json!({"pids": {"limit": 77}})).remove_mount("/sys/fs/cgroup");
        bundle.args(["sleep", "1000"]).write();
        bundle
    }
}

impl Drop for UsersManager {
    fn drop(&mut self) {
        for arguments in [&["kill", "--signal=CONT", &self.unit][..], &["stop", &self.unit]] {
            let _ = Command::new("systemctl").args(arguments).env("SYSTEMCTL_FORCE_BUS", "1").status();
        }
        let _ = std::fs::remove_file(self.unit_file());
        let _ = std::fs::remove_dir_all(&self.runtime_dir);
    }
}

fn users_manager(t: &mut Test) {
    let manager = UsersManager::start(t);
    for from_within in [true, false] {
        let bundle = UsersManager::bundle(t);
        let dir = bundle.dir.to_str().expect("utf-8").to_owned();
        let command = manager.floe(t, from_within, &["run", "--detach", "--bundle", &dir, &bundle.id]);
        t.run(command).quiet();
        let scope = manager.cgroup().join("user.slice").join(bundle.unit());
        let pid = t.pid(&bundle.id).to_string();
        assert_eq!(read(scope.join("cgroup.procs")).trim(), pid, "from within: {from_within}");
        assert_eq!(read(scope.join("pids.max")).trim(), "77");
        for arguments in [
            &["update", "--pids-limit", "66", &bundle.id][..],
            &["pause", &bundle.id],
            &["resume", &bundle.id],
        ] {
            let command = manager.floe(t, from_within, arguments);
            t.run(command).quiet();
        }
        assert_eq!(read(scope.join("pids.max")).trim(), "66");
        if from_within {
            let command = manager.floe(t, true, &["exec", &bundle.id, "true"]);
            t.run(command).quiet();
        }
        let command = manager.floe(t, from_within, &["delete", "--force", &bundle.id]);
        t.run(command).quiet();
        assert!(!scope.exists());
    }
}

fn users_manager_that_hangs(t: &mut Test) {
    let manager = UsersManager::start(t);
    systemctl(&["kill", "--signal=STOP", "--kill-whom=main", &manager.unit]);
    let bundle = UsersManager::bundle(t);
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    let mut command = manager.floe(t, true, &["run", "--detach", "--bundle", &dir, &bundle.id]);
    let began = Instant::now();
    // Longer than the harness waits for a command.
    let output = command.output().expect("floe runs");
    assert!(began.elapsed() < Duration::from_secs(100), "{:?}", began.elapsed());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = format!("ControlGroup {}: no answer from systemd within 90 s", bundle.unit());
    assert!(said.contains(&expected), "{said}");
    assert_eq!(t.leftovers(), [""; 0]);
    systemctl(&["kill", "--signal=CONT", "--kill-whom=main", &manager.unit]);
    for arguments in
        [&["run", "--detach", "--bundle", &dir, &bundle.id][..], &["delete", "--force", &bundle.id]]
    {
        let command = manager.floe(t, true, arguments);
        t.run(command).quiet();
    }
}
