//! A user namespace together with everything else: what root of it can no longer reach or do must still be set up.

use crate::cases;
use crate::harness::*;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const FIRST: u32 = 100_000;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        bind_below_a_private_directory,
        bundle_below_a_private_directory,
        tmpfs,
        device_node,
        device_in_a_new_directory,
        cgroup_mount_read_only,
        cgroup_mount_is_delegated,
        volume_with_the_containers_mapping,
        volume_with_its_own_mapping,
        volume_tree_with_the_containers_mapping,
        network_sysctl,
        ipc_sysctl,
        masked_and_read_only_paths,
        read_only_root,
        terminal,
        time_offsets,
        user_of_the_namespace,
        exec_user,
        hooks,
        joined_pid_namespace,
    ]
}

fn bundle(t: &mut Test) -> Bundle {
    let mut bundle = t.bundle();
    bundle.user_namespace(FIRST, 65536);
    bundle
}

/// A directory with a file, owned by the host's root.
fn volume(t: &Test) -> PathBuf {
    let dir = t.path("volume");
    std::fs::create_dir(&dir).expect("mkdir");
    std::fs::write(dir.join("seed"), "seed\n").expect("write");
    dir
}

fn bind_below_a_private_directory(t: &mut Test) {
    let private = t.path("private");
    std::fs::create_dir_all(private.join("source")).expect("mkdir");
    std::fs::write(private.join("source/file"), "reached\n").expect("write");
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o700)).expect("chmod");
    let mut bundle = bundle(t);
    bundle.bind(&private.join("source"), "/data", &["bind"]);
    bundle.bind(&private.join("source/file"), "/etc/one", &["bind", "ro"]);
    assert_eq!(t.sh(&mut bundle, "cat /data/file /etc/one"), "reached\nreached");
}

fn bundle_below_a_private_directory(t: &mut Test) {
    let mut bundle = t.bundle_named("private/bundle");
    bundle.user_namespace(FIRST, 65536);
    let private = t.path("private");
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o700)).expect("chmod");
    assert_eq!(t.sh(&mut bundle, "echo up"), "up");
}

fn tmpfs(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.mount("/data", "tmpfs", "tmpfs", &["nosuid", "mode=1777", "uid=5", "gid=6", "size=64k"]);
    assert_eq!(t.sh(&mut bundle, "stat -c '%a %u %g' /data; touch /data/x; ls /data"), "1777 5 6\nx");
}

fn device_node(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.push("/linux/devices", json!({"path": "/dev/zero", "type": "c", "major": 1, "minor": 5}));
    assert_eq!(t.sh(&mut bundle, "head -c 3 /dev/zero | wc -c; stat -c '%t %T' /dev/zero"), "3\n1 5");
}

fn device_in_a_new_directory(t: &mut Test) {
    // Only what the host has can be shown.
    let mut bundle = bundle(t);
    bundle
        .push("/linux/devices", json!({"path": "/dev/no/such/device", "type": "c", "major": 1, "minor": 3}));
    t.run_bundle(&bundle).exits(1).refused(&["/dev/no/such/device"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn cgroup_mount_read_only(t: &mut Test) {
    let mut bundle = bundle(t);
    let script = "test -e /sys/fs/cgroup/cgroup.procs && echo there; mkdir /sys/fs/cgroup/x 2>/dev/null || echo refused";
    assert_eq!(t.sh(&mut bundle, script), "there\nrefused");
}

fn cgroup_mount_is_delegated(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.remove_mount("/sys/fs/cgroup");
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "rw"]);
    let script = "mkdir /sys/fs/cgroup/mine && echo $$ > /sys/fs/cgroup/mine/cgroup.procs && grep ^0: /proc/self/cgroup";
    assert_eq!(t.sh(&mut bundle, script), "0::/mine");
    assert_eq!(t.leftovers(), [""; 0]);
}

fn volume_with_the_containers_mapping(t: &mut Test) {
    need_idmapped_tmpfs();
    let volume = volume(t);
    let mut bundle = bundle(t);
    bundle.bind(&volume, "/data", &["bind", "idmap"]);
    assert_eq!(
        t.sh(&mut bundle, "stat -c %u:%g /data/seed; echo more >> /data/seed && echo written"),
        "0:0\nwritten"
    );
}

fn volume_with_its_own_mapping(t: &mut Test) {
    need_idmapped_tmpfs();
    let volume = volume(t);
    std::os::unix::fs::chown(volume.join("seed"), Some(1000), Some(1000)).expect("chown");
    let mut bundle = bundle(t);
    // The host's 1000 is the container's 7.
    let mapping = json!([{"containerID": 1000, "hostID": FIRST + 7, "size": 1}]);
    bundle.push(
        "/mounts",
        json!({"destination": "/data", "type": "bind", "source": volume, "options": ["bind", "idmap"],
            "uidMappings": mapping, "gidMappings": mapping}),
    );
    assert_eq!(t.sh(&mut bundle, "stat -c %u:%g /data/seed"), "7:7");
}

fn volume_tree_with_the_containers_mapping(t: &mut Test) {
    need_idmapped_tmpfs();
    let volume = volume(t);
    t.mount_tmpfs(&volume.join("sub"), MsFlags::empty());
    std::fs::write(volume.join("sub/seed"), "").expect("write");
    let mut bundle = bundle(t);
    bundle.bind(&volume, "/data", &["rbind", "ridmap"]);
    assert_eq!(t.sh(&mut bundle, "stat -c %u /data/seed /data/sub/seed"), "0\n0");
}

fn network_sysctl(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_unprivileged_port_start": "81"}));
    let script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ip link show lo | grep -c LOOPBACK,UP";
    assert_eq!(t.sh(&mut bundle, script), "81\n1");
}

fn ipc_sysctl(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.set("/linux/sysctl", json!({"kernel.msgmax": "4242", "fs.mqueue.msg_max": "11"}));
    assert_eq!(t.sh(&mut bundle, "cat /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max"), "4242\n11");
}

fn masked_and_read_only_paths(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.set("/linux/maskedPaths", json!(["/proc/keys", "/sys/firmware", "/etc/passwd"]));
    bundle.set("/linux/readonlyPaths", json!(["/proc/sys", "/var"]));
    let script = "wc -c < /proc/keys; wc -c < /etc/passwd; touch /var/x 2>/dev/null || echo refused";
    assert_eq!(t.sh(&mut bundle, script), "0\n0\nrefused");
}

fn read_only_root(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.set("/root/readonly", json!(true));
    assert_eq!(
        t.sh(&mut bundle, "touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo written"),
        "refused\nwritten"
    );
}

fn terminal(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.set("/process/terminal", json!(true));
    bundle.args(["sh", "-c", "stat -L -c %u:%F /proc/self/fd/0; echo x > /dev/console; sleep 100"]);
    let socket = sockets::FdSocket::new(t.path("console"));
    let path = socket.path().to_owned();
    let container = t.create_with(&bundle, &["--console-socket", &path]);
    let mut terminal = sockets::Terminal::new(socket.receive_fd());
    t.call(["start", &container.id]).ok();
    terminal.expect("0:character special file");
    terminal.expect("x\r\n");
}

fn time_offsets(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.namespace("time", None).set("/linux/timeOffsets", json!({"boottime": {"secs": 1_000_000}}));
    let text = t.sh(&mut bundle, "sed 's/[.].*//' /proc/uptime");
    assert!(text.parse::<u64>().is_ok_and(|seconds| seconds >= 1_000_000), "{text}");
}

fn user_of_the_namespace(t: &mut Test) {
    let mut bundle = bundle(t);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [5]}));
    let container = t.start_holding(&mut bundle);
    let pid = t.pid(&container.id);
    let status = read(format!("/proc/{pid}/status"));
    let host = FIRST + 1000;
    assert!(status.contains(&format!("Uid:\t{host}\t{host}\t{host}\t{host}")), "{status}");
    assert!(status.contains(&format!("Groups:\t{} ", FIRST + 5)), "{status}");
}

fn exec_user(t: &mut Test) {
    let mut bundle = bundle(t);
    let container = t.start_holding(&mut bundle);
    let output = t.call([
        "exec",
        "--user",
        "7:8",
        "--additional-gids",
        "9",
        &container.id,
        "/bin/floe-probe",
        "facts",
    ]);
    let facts = output.ok().json();
    assert_eq!((&facts["uid"], &facts["gid"], &facts["groups"]), (&json!(7), &json!(8), &json!([9])));
}

/// prestart runs with the caller's ids, startContainer with those of the container's root.
fn hooks(t: &mut Test) {
    let dir = t.path("hooks");
    std::fs::create_dir(&dir).expect("mkdir");
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).expect("chmod");
    let mut bundle = bundle(t);
    bundle.bind(&dir, "/data", &["bind"]);
    let outside = format!("cat /proc/self/uid_map > {}/outside", dir.display());
    bundle.push("/hooks/createRuntime", json!({"path": "/bin/sh", "args": ["sh", "-c", outside]}));
    let inside = "cat /proc/self/uid_map > /data/inside";
    bundle.push(
        "/hooks/startContainer",
        json!({"path": "/bin/sh", "args": ["sh", "-c", inside], "env": ["PATH=/bin"]}),
    );
    t.sh(&mut bundle, "true");
    assert_eq!(read(dir.join("outside")), read("/proc/self/uid_map"));
    assert!(read(dir.join("inside")).contains(&FIRST.to_string()), "{}", read(dir.join("inside")));
}

/// Kubernetes: the pod's pid namespace belongs to the same user namespace, which is joined too.
fn joined_pid_namespace(t: &mut Test) {
    let mut first = bundle(t);
    let container = t.start_holding(&mut first);
    let pid = t.pid(&container.id);
    let mut second = bundle(t);
    second.remove("/linux/uidMappings").remove("/linux/gidMappings");
    for (kind, file) in [("user", "user"), ("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")]
    {
        second.namespace(kind, Some(&PathBuf::from(format!("/proc/{pid}/ns/{file}"))));
    }
    second.remove("/hostname");
    let text = t.sh(&mut second, "tr '\\0' ' ' < /proc/1/cmdline; echo; hostname");
    assert_eq!(text, "/bin/floe-probe hold \nfloe-test");
}
