//! What an engine sends, word for word: argv of conmon and go-runc, and parts of config.json that only engines write.

use crate::cases;
use crate::harness::*;
use std::os::unix::fs::PermissionsExt;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        conmon_exec_in_a_missing_directory,
        program_that_is_a_directory,
        program_that_the_kernel_refuses,
        conmon_preserves_descriptors_with_holes,
        conmon_counts_listen_fds_twice,
        podman_tmpfs_of_the_user,
        podman_tmpfs_without_a_directory,
        cgroup_mount_names_its_source,
        podman_sysctl_in_the_hosts_network,
        cgroup_that_was_killed_before,
        caller_in_a_cgroup_that_was_killed_before,
    ]
}

/// `create` as conmon calls it; the container's output is conmon's.
fn conmon_create(t: &Test, bundle: &Bundle, options: &[&str]) -> std::process::Command {
    let mut command = t.floe();
    command.arg("--log-format=json").arg("--log").arg(t.path("oci-log"));
    command.arg("create").arg("--bundle").arg(&bundle.dir).arg("--pid-file").arg(t.path("pidfile"));
    command.args(options).arg(&bundle.id);
    command
}

/// `podman exec -w /nosuch`: 127 for the user, and nothing is made in the container.
fn conmon_exec_in_a_missing_directory(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let process = json!({
        "terminal": false, "user": {"uid": 0, "gid": 0, "umask": 18}, "args": ["pwd"],
        "env": ["PATH=/bin"], "cwd": "/nosuch",
    });
    std::fs::write(t.path("process"), process.to_string()).expect("write");
    let mut command = t.floe();
    command.arg("exec").arg("--pid-file").arg(t.path("exec-pid")).arg("--process").arg(t.path("process"));
    command.args(["--detach", &container.id]);
    t.run(command).exits(255).refused(&["/nosuch", "no such file or directory"]);
    assert!(!bundle.rootfs("nosuch").exists());
    assert!(!t.path("exec-pid").exists());
}

/// 126 for users of Podman and Docker, which look for `permission denied` and `is a directory`.
fn program_that_is_a_directory(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin"]);
    t.run_bundle(&bundle).exits(1).refused(&["exec \"/bin\": is a directory: permission denied"]);
    let container = t.start_holding(&mut bundle);
    t.call(["exec", &container.id, "/bin"]).exits(255).refused(&["is a directory: permission denied"]);
}

/// Another architecture's: the container starts, says so where `docker logs` shows it, and ends with 255.
fn program_that_the_kernel_refuses(t: &mut Test) {
    let mut bundle = t.bundle();
    std::fs::write(bundle.rootfs("bin/garbage"), b"\x01\x02\x03").expect("write");
    std::fs::set_permissions(bundle.rootfs("bin/garbage"), PermissionsExt::from_mode(0o755)).expect("chmod");
    let said = "exec /bin/garbage: exec format error (ENOEXEC)";
    bundle.args(["/bin/garbage"]);
    t.run_bundle(&bundle).exits(255).refused(&[said]);
    let container = t.create(&bundle);
    t.call(["start", &container.id]).quiet();
    t.wait_status(&container.id, "stopped");
    t.call(["delete", &container.id]).ok();
    let container = t.start_holding(&mut bundle);
    t.call(["exec", &container.id, "/bin/garbage"]).exits(255).refused(&[said]);
}

/// `podman run --preserve-fd 4`: the numbers below that nobody opened are no mistake.
fn conmon_preserves_descriptors_with_holes(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "touch-fd", "3", "three"]).write();
    let mut command = conmon_create(t, &bundle, &["--preserve-fds", "50"]);
    sockets::pass_fds(&mut command, vec![std::fs::File::create(t.path("a")).expect("create").into()]);
    let mut running = t.spawn(command);
    running.finish().ok();
    t.call(["start", &bundle.id]).ok();
    t.wait_status(&bundle.id, "stopped");
    assert_eq!(read(&running.stdout), "ok\n");
    assert_eq!(read(t.path("a")), "three");
}

/// Podman hands on LISTEN_FDS and says `--preserve-fds` with the same count.
fn conmon_counts_listen_fds_twice(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; floe-probe touch-fd 3 three"]);
    bundle.write();
    let mut command = conmon_create(t, &bundle, &["--preserve-fds", "1"]);
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "web");
    sockets::pass_fds(&mut command, vec![std::fs::File::create(t.path("a")).expect("create").into()]);
    let mut running = t.spawn(command);
    running.finish().ok();
    t.call(["start", &bundle.id]).ok();
    t.wait_status(&bundle.id, "stopped");
    assert_eq!(read(&running.stdout), "1 1 web\nok\n");
    assert_eq!(read(t.path("a")), "three");
}

/// `podman run --user 1000 --tmpfs /data:U,mode=700`
fn podman_tmpfs_of_the_user(t: &mut Test) {
    let mut bundle = t.bundle();
    std::fs::write(bundle.rootfs("data/seed"), "seed").expect("write");
    let options = ["uid=1000", "gid=1000", "mode=700", "rprivate", "nosuid", "nodev", "tmpcopyup"];
    bundle.mount("/data", "tmpfs", "tmpfs", &options);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(
        t.sh(&mut bundle, "touch /data/new; stat -c %u:%g:%a /data; cat /data/seed"),
        "1000:1000:700\nseed"
    );
}

/// `podman run --user 1000 --tmpfs /scratch`, and Docker's without `tmpcopyup`: everybody may write.
fn podman_tmpfs_without_a_directory(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.mount("/scratch", "tmpfs", "tmpfs", &["rprivate", "nosuid", "nodev", "tmpcopyup"]);
    bundle.mount("/docker", "tmpfs", "tmpfs", &["noexec", "nosuid", "nodev"]);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let script = "touch /scratch/new /docker/new; stat -c %u:%a /scratch /docker";
    assert_eq!(t.sh(&mut bundle, script), "0:1777\n0:1777");
}

/// runc's word; `none` is what a parser of /proc/self/mounts skips.
fn cgroup_mount_names_its_source(t: &mut Test) {
    let mut bundle = t.bundle();
    let facts = t.facts(&mut bundle);
    let line = mount_line(&facts, "/sys/fs/cgroup");
    assert!(line.contains(" - cgroup2 cgroup "), "{line}");
}

/// `podman run --network ns:/proc/1/ns/net`: Podman's default sysctls would be written to the host.
fn podman_sysctl_in_the_hosts_network(t: &mut Test) {
    let key = "/proc/sys/net/ipv4/ping_group_range";
    let before = read(key);
    let mut bundle = t.bundle();
    bundle.without_namespace("network").namespace("network", Some("/proc/self/ns/net".as_ref()));
    bundle.set("/linux/sysctl", json!({"net.ipv4.ping_group_range": "5 6"}));
    t.run_bundle(&bundle).exits(1).refused(&["net/ipv4/ping_group_range", "the host's"]);
    assert_eq!(read(key), before);
    assert_eq!(t.leftovers(), [""; 0]);
}

/// A cgroup that is used again after `cgroup.kill`, as one that the engine made, or a failed `create` left, may be.
fn cgroup_that_was_killed_before(t: &mut Test) {
    for user_namespace in [false, true] {
        let mut bundle = t.bundle();
        if user_namespace {
            bundle.user_namespace(100_000, 65536);
        }
        kill_cgroup(&cgroup_dir(&bundle.id));
        bundle.args(["sh", "-c", "grep ^0: /proc/self/cgroup; echo up"]);
        assert_eq!(t.run_bundle(&bundle).ok().text(), "0::/\nup");
        // One that was there before stays; tests leave none.
        remove_cgroup_tree(&cgroup_dir(&bundle.id));
    }
}

fn caller_in_a_cgroup_that_was_killed_before(t: &mut Test) {
    let own = cgroup_dir(&t.id());
    kill_cgroup(&own);
    let mut bundle = t.bundle();
    bundle.without_namespace("cgroup").args(["/bin/floe-probe", "hold"]).write();
    let expected = format!("0::/{}/{}", environment::get().cgroup, bundle.id);
    let within = |t: &Test, args: &[&str]| {
        let mut command = std::process::Command::new("sh");
        command.arg("-c").arg(r#"echo 0 >"$0/cgroup.procs" && exec "$@""#).arg(&own);
        command.arg(&environment::get().floe).arg("--root").arg(&t.root).args(args);
        command
    };
    let create = within(t, &["create", "--bundle", bundle.dir.to_str().expect("UTF-8"), &bundle.id]);
    let mut running = t.spawn(create);
    running.finish().ok();
    t.call(["start", &bundle.id]).ok();
    let pid = t.pid(&bundle.id);
    assert_eq!(
        read(format!("/proc/{pid}/cgroup")).lines().find(|line| line.starts_with("0:")),
        Some(&*expected)
    );
    let exec = within(t, &["exec", &bundle.id, "grep", "^0:", "/proc/self/cgroup"]);
    assert_eq!(t.run(exec).ok().text(), expected);
    t.call(["delete", "--force", &bundle.id]).ok();
    remove_cgroup_tree(&own);
}

fn kill_cgroup(path: &std::path::Path) {
    std::fs::create_dir_all(path).expect("mkdir");
    std::fs::write(path.join("cgroup.kill"), "1").expect("cgroup.kill");
}
