//! `exec`: a second process in a running container, with all its options.

use crate::cases;
use crate::harness::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        process_label_without_selinux,
        user_with_ambient_capabilities,
        user_without_capabilities,
        user_in_process_file,
        time_namespace,
        arguments,
        exit_code,
        exit_code_of_a_signal,
        command_not_found,
        not_executable,
        process_file,
        process_file_that_is_missing,
        process_file_that_is_broken,
        cwd,
        cwd_of_the_container,
        environment_of_the_container,
        environment_added,
        user,
        user_and_group,
        user_that_is_no_number,
        additional_gids,
        capability_added,
        capabilities_of_the_container,
        capabilities_are_not_inherited,
        no_new_privileges_added,
        no_new_privileges_of_the_container,
        rlimits_of_the_container,
        umask_of_the_container,
        oom_score_of_the_container,
        scheduler_that_is_not_inherited,
        detach,
        pid_file,
        pidfd_socket,
        preserve_fds,
        cgroup_is_the_containers,
        cgroup_below,
        cgroup_escape_is_refused,
        cgroup_of_a_sibling_is_refused,
        paused_is_refused,
        paused_with_ignore_paused,
        created_container,
        stopped_is_refused,
        unknown_container,
        standard_streams,
        only_stdio_is_open,
        in_a_user_namespace,
        unknown_apparmor_profile,
        proxies_signals,
        same_root,
        many_at_once,
    ];
    for kind in ["pid", "net", "ipc", "uts", "mnt", "cgroup"] {
        cases.push(Case::new(format!("exec::namespace_{kind}"), move |t| {
            let (container, _) = holding(t);
            let pid = t.pid(&container.id);
            let facts = facts(t, &container, &[]);
            assert_eq!(facts["namespaces"][kind], namespace_of(pid, kind).as_str());
        }));
    }
    cases
}

fn holding(t: &mut Test) -> (Container, Bundle) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    (container, bundle)
}

fn exec(t: &mut Test, container: &Container, options: &[&str], args: &[&str]) -> Output {
    let mut command = t.floe();
    command.arg("exec").args(options).arg(&container.id).args(args);
    t.run(command)
}

#[track_caller]
fn facts(t: &mut Test, container: &Container, options: &[&str]) -> Value {
    exec(t, container, options, &["/bin/floe-probe", "facts"]).ok().json()
}

fn capability(facts: &Value, field: &str) -> u64 {
    u64::from_str_radix(facts["status"][field].as_str().expect("field"), 16).expect("hexadecimal")
}

fn arguments(t: &mut Test) {
    let (container, _) = holding(t);
    let output = exec(t, &container, &[], &["sh", "-c", "echo $0 $1", "one two", "-x"]).quiet();
    assert_eq!(output.text(), "one two -x");
}

fn exit_code(t: &mut Test) {
    let (container, _) = holding(t);
    exec(t, &container, &[], &["sh", "-c", "exit 42"]).exits(42);
}

fn exit_code_of_a_signal(t: &mut Test) {
    let (container, _) = holding(t);
    exec(t, &container, &[], &["sh", "-c", "kill -9 $$"]).exits(137);
}

fn command_not_found(t: &mut Test) {
    let (container, _) = holding(t);
    exec(t, &container, &[], &["no-such-program"]).exits(255).refused(&["no-such-program"]);
    assert_eq!(t.status(&container.id), "running");
}

fn not_executable(t: &mut Test) {
    let (container, _) = holding(t);
    exec(t, &container, &[], &["/etc/passwd"]).exits(255).refused(&["/etc/passwd"]);
}

fn process(args: &[&str]) -> Value {
    json!({"args": args, "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]})
}

fn with_process(t: &mut Test, container: &Container, process: &Value) -> Output {
    let file = t.path("process.json");
    std::fs::write(&file, process.to_string()).expect("write");
    exec(t, container, &["--process", file.to_str().expect("utf-8")], &[])
}

fn process_file(t: &mut Test) {
    let (container, _) = holding(t);
    let mut process = process(&["/bin/floe-probe", "facts"]);
    process["cwd"] = json!("/var");
    process["user"] = json!({"uid": 7, "gid": 8, "additionalGids": [9], "umask": 0o077});
    process["env"] = json!(["PATH=/bin", "A=b"]);
    process["noNewPrivileges"] = json!(true);
    process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}]);
    process["oomScoreAdj"] = json!(300);
    process["capabilities"] = json!({"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"]});
    let facts = with_process(t, &container, &process).ok().json();
    assert_eq!(facts["cwd"], "/var");
    assert_eq!((&facts["uid"], &facts["gid"], &facts["groups"]), (&json!(7), &json!(8), &json!([9])));
    assert_eq!(facts["umask"], 0o077);
    assert!(facts["env"].as_array().expect("env").contains(&json!("A=b")));
    assert_eq!(facts["status"]["NoNewPrivs"], "1");
    assert_eq!(facts["rlimits"]["RLIMIT_NOFILE"], json!([50, 60]));
    assert_eq!(facts["oom_score_adj"], "300");
    assert_eq!(capability(&facts, "CapBnd"), 1 << 5);
}

fn process_file_that_is_missing(t: &mut Test) {
    let (container, _) = holding(t);
    exec(t, &container, &["--process", "/no/such/file"], &[]).exits(255).refused(&["/no/such/file"]);
}

fn process_file_that_is_broken(t: &mut Test) {
    let (container, _) = holding(t);
    with_process(t, &container, &json!({"args": 7})).exits(255).refused(&[]);
    with_process(t, &container, &json!({"args": [], "cwd": "/"})).exits(255).refused(&["args"]);
}

fn cwd(t: &mut Test) {
    let (container, _) = holding(t);
    assert_eq!(facts(t, &container, &["--cwd", "/var"])["cwd"], "/var");
}

fn cwd_of_the_container(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/cwd", json!("/data"));
    let container = t.start_holding(&mut bundle);
    assert_eq!(facts(t, &container, &[])["cwd"], "/data");
}

fn environment_of_the_container(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/process/env", json!("OF=container"));
    let container = t.start_holding(&mut bundle);
    assert_eq!(exec(t, &container, &[], &["sh", "-c", "echo $OF"]).ok().text(), "container");
}

fn environment_added(t: &mut Test) {
    let (container, _) = holding(t);
    let options = ["--env", "A=1", "--env", "B=2 3", "--env=PATH=/bin:/x"];
    assert_eq!(exec(t, &container, &options, &["sh", "-c", "echo $A $B $PATH"]).ok().text(), "1 2 3 /bin:/x");
}

fn user(t: &mut Test) {
    let (container, _) = holding(t);
    let facts = facts(t, &container, &["--user", "1000"]);
    assert_eq!((&facts["uid"], &facts["gid"]), (&json!(1000), &json!(0)));
}

fn user_and_group(t: &mut Test) {
    let (container, _) = holding(t);
    let facts = facts(t, &container, &["-u", "1000:1001"]);
    assert_eq!((&facts["uid"], &facts["gid"]), (&json!(1000), &json!(1001)));
}

fn user_that_is_no_number(t: &mut Test) {
    // crun once ran such a command as root (CVE-2026-30892).
    let (container, _) = holding(t);
    for user in ["user", "12x", "1000:x", "-1", ":5", "4294967296", "99999999999999999999"] {
        let output = exec(t, &container, &["--user", user], &["id", "-u"]);
        assert!(output.code != 0 && output.stdout.is_empty(), "--user {user}: {output:?}");
    }
}

fn additional_gids(t: &mut Test) {
    let (container, _) = holding(t);
    assert_eq!(
        facts(t, &container, &["--additional-gids", "5", "--additional-gids", "77"])["groups"],
        json!([5, 77])
    );
}

fn capability_added(t: &mut Test) {
    let (container, _) = holding(t);
    let facts = facts(t, &container, &["--cap", "CAP_NET_RAW", "--cap", "CAP_SYS_CHROOT"]);
    let added = 1 << 13 | 1 << 18;
    for field in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(capability(&facts, field) & added, added, "{field}");
    }
}

fn capabilities_of_the_container(t: &mut Test) {
    let (container, _) = holding(t);
    // CAP_KILL, CAP_NET_BIND_SERVICE, CAP_AUDIT_WRITE.
    let facts = facts(t, &container, &[]);
    for field in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(capability(&facts, field), 1 << 5 | 1 << 10 | 1 << 29, "{field}");
    }
}

fn capabilities_are_not_inherited(t: &mut Test) {
    let (container, _) = holding(t);
    let facts = facts(t, &container, &["--cap", "CAP_NET_RAW", "--user", "1000"]);
    assert_eq!(capability(&facts, "CapInh"), 0);
}

fn no_new_privileges_added(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/noNewPrivileges", json!(false));
    let container = t.start_holding(&mut bundle);
    assert_eq!(facts(t, &container, &[])["status"]["NoNewPrivs"], "0");
    assert_eq!(facts(t, &container, &["--no-new-privs"])["status"]["NoNewPrivs"], "1");
}

fn no_new_privileges_of_the_container(t: &mut Test) {
    let (container, _) = holding(t);
    assert_eq!(facts(t, &container, &[])["status"]["NoNewPrivs"], "1");
}

fn rlimits_of_the_container(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/process/rlimits", json!({"type": "RLIMIT_NOFILE", "soft": 33, "hard": 44}));
    let container = t.start_holding(&mut bundle);
    assert_eq!(facts(t, &container, &[])["rlimits"]["RLIMIT_NOFILE"], json!([33, 44]));
}

fn umask_of_the_container(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/user/umask", json!(0o027));
    let container = t.start_holding(&mut bundle);
    assert_eq!(facts(t, &container, &[])["umask"], 0o027);
}

fn oom_score_of_the_container(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/oomScoreAdj", json!(250));
    let container = t.start_holding(&mut bundle);
    assert_eq!(facts(t, &container, &[])["oom_score_adj"], "250");
}

/// SCHED_FLAG_RESET_ON_FORK: a policy that floe cannot leave to inheritance.
fn scheduler_that_is_not_inherited(t: &mut Test) {
    let (container, _) = holding(t);
    let mut process = process(&["/bin/floe-probe", "facts"]);
    let flags = json!(["SCHED_FLAG_RESET_ON_FORK"]);
    process["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 3, "flags": flags});
    let facts = with_process(t, &container, &process).ok().json();
    let scheduler = &facts["scheduler"];
    assert_eq!(
        (&scheduler["policy"], &scheduler["nice"], &scheduler["flags"]),
        (&json!(3), &json!(3), &json!(1))
    );
}

fn detach(t: &mut Test) {
    let (container, bundle) = holding(t);
    let script = "until test -e /go; do sleep 0.1; done; touch /later";
    // It would wait until its deadline.
    exec(t, &container, &["--detach"], &["sh", "-c", script]).quiet();
    std::fs::write(bundle.rootfs("go"), "").expect("write");
    wait_until("the detached process", || bundle.rootfs("later").exists());
}

fn pid_file(t: &mut Test) {
    let (container, _) = holding(t);
    let file = t.path("pid");
    exec(t, &container, &["--detach", "--pid-file", file.to_str().expect("utf-8")], &["sleep", "100"]).ok();
    let pid = read(&file);
    assert!(pid.bytes().all(|b| b.is_ascii_digit()), "{pid:?}");
    wait_until("the program", || read(format!("/proc/{pid}/cmdline")) == "sleep\x00100\x00");
}

fn pidfd_socket(t: &mut Test) {
    let (container, _) = holding(t);
    let socket = sockets::FdSocket::new(t.path("pidfd"));
    let mut command = t.floe();
    command.args(["exec", "--pidfd-socket", socket.path(), &container.id, "/bin/floe-probe", "hold"]);
    let running = t.spawn(command);
    let pidfd = socket.receive_fd();
    running.wait_for_output("ready");
    assert!(sockets::pidfd_signal(&pidfd, 15));
    running.wait().ok();
}

fn preserve_fds(t: &mut Test) {
    let (container, _) = holding(t);
    let mut command = t.floe();
    command.args(["exec", "--preserve-fds", "1", &container.id]);
    command.args(["sh", "-c", "floe-probe touch-fd 3 three; floe-probe touch-fd 4 four"]);
    let files = ["a", "b"].map(|name| std::fs::File::create(t.path(name)).expect("create").into());
    sockets::pass_fds(&mut command, files.into());
    assert_eq!(t.run(command).ok().text(), "ok\nerrno=9");
    assert_eq!(read(t.path("a")), "three");
}

fn cgroup_is_the_containers(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.without_namespace("cgroup");
    let container = t.start_holding(&mut bundle);
    let expected = format!("0::/{}/{}", environment::get().cgroup, container.id);
    assert_eq!(exec(t, &container, &[], &["grep", "^0:", "/proc/self/cgroup"]).ok().text(), expected);
}

fn cgroup_below(t: &mut Test) {
    let (container, _) = holding(t);
    std::fs::create_dir(container.cgroup().join("sub")).expect("mkdir");
    let output = exec(t, &container, &["--cgroup", "sub"], &["grep", "^0:", "/proc/self/cgroup"]).ok();
    assert_eq!(output.text(), "0::/sub");
}

fn cgroup_escape_is_refused(t: &mut Test) {
    let (container, _) = holding(t);
    for path in ["..", "../..", "sub/../.."] {
        exec(t, &container, &["--cgroup", path], &["true"]).exits(255);
    }
}

fn cgroup_of_a_sibling_is_refused(t: &mut Test) {
    // A sibling whose name begins with ours must not count as below us (fixed in runc 1.5.2).
    let (container, _) = holding(t);
    let sibling = container.cgroup().with_file_name(format!("{}-x", container.id));
    std::fs::create_dir(&sibling).expect("mkdir");
    let path = format!("../{}-x", container.id);
    let output = exec(t, &container, &["--cgroup", &path], &["true"]);
    std::fs::remove_dir(&sibling).expect("rmdir");
    output.exits(255);
}

fn paused_is_refused(t: &mut Test) {
    let (container, _) = holding(t);
    t.call(["pause", &container.id]).ok();
    exec(t, &container, &[], &["true"]).exits(255).refused(&["paused"]);
}

fn paused_with_ignore_paused(t: &mut Test) {
    let (container, _) = holding(t);
    t.call(["pause", &container.id]).ok();
    let mut command = t.floe();
    command.args(["exec", "--ignore-paused", &container.id, "echo", "up"]);
    let running = t.spawn(command);
    std::thread::sleep(std::time::Duration::from_millis(200));
    t.call(["resume", &container.id]).ok();
    assert_eq!(running.wait().ok().text(), "up");
}

fn created_container(t: &mut Test) {
    // runc and crun allow it: the namespaces are there.
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "hold"]);
    let container = t.create(&bundle);
    assert_eq!(exec(t, &container, &[], &["echo", "up"]).ok().text(), "up");
}

fn stopped_is_refused(t: &mut Test) {
    let bundle = t.bundle();
    let container = t.start(&bundle);
    t.wait_status(&container.id, "stopped");
    exec(t, &container, &[], &["true"]).exits(255).refused(&["stopped"]);
}

fn unknown_container(t: &mut Test) {
    t.call(["exec", "nobody", "true"]).exits(255).refused(&["does not exist"]);
}

fn standard_streams(t: &mut Test) {
    let (container, _) = holding(t);
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(r#"echo words | "$0" --root "$1" exec "$2" sh -c 'cat; echo err >&2'"#);
    shell.arg(&environment::get().floe).arg(&t.root).arg(&container.id);
    let output = t.run(shell).ok();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("words\n", "err\n"));
}

fn only_stdio_is_open(t: &mut Test) {
    let (container, _) = holding(t);
    let facts = facts(t, &container, &[]);
    let fds: Vec<&String> = facts["fds"].as_object().expect("fds").keys().collect();
    assert_eq!(fds, ["0", "1", "2"], "{}", facts["fds"]);
}

fn in_a_user_namespace(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.user_namespace(100_000, 65536);
    let container = t.start_holding(&mut bundle);
    let pid = t.pid(&container.id);
    let facts = facts(t, &container, &["--user", "5:6", "--additional-gids", "9"]);
    assert_eq!(facts["namespaces"]["user"], namespace_of(pid, "user").as_str());
    assert_eq!((&facts["uid"], &facts["gid"], &facts["groups"]), (&json!(5), &json!(6), &json!([9])));
}

fn unknown_apparmor_profile(t: &mut Test) {
    let (container, _) = holding(t);
    exec(t, &container, &["--apparmor", "no-such-profile"], &["true"]).exits(255).refused(&["apparmor"]);
}

fn proxies_signals(t: &mut Test) {
    let (container, _) = holding(t);
    let mut command = t.floe();
    command.args(["exec", &container.id, "/bin/floe-probe", "hold"]);
    let running = t.spawn(command);
    running.wait_for_output("ready");
    running.signal(10);
    running.wait_for_output("sig 10");
    running.signal(15);
    running.wait().ok();
}

fn same_root(t: &mut Test) {
    let (container, _) = holding(t);
    let output =
        exec(t, &container, &[], &["sh", "-c", "touch /seen; readlink /proc/1/root; ls /proc/1/root/"]).ok();
    assert!(output.stdout.contains("seen"), "{}", output.stdout);
}

fn many_at_once(t: &mut Test) {
    let (container, _) = holding(t);
    let running: Vec<Running> = (0..8)
        .map(|number| {
            let mut command = t.floe();
            command.args(["exec", &container.id, "sh", "-c", &format!("exit {number}")]);
            t.spawn(command)
        })
        .collect();
    for (number, running) in running.into_iter().enumerate() {
        running.wait().exits(number as i32);
    }
}

fn process_label_without_selinux(t: &mut Test) {
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        skip("the kernel has SELinux");
    }
    let (container, _) = holding(t);
    let label = "system_u:system_r:container_t:s0";
    exec(t, &container, &["--process-label", label], &["true"]).exits(255).refused(&["SELinux", label]);
}

fn user_with_ambient_capabilities(t: &mut Test) {
    let (container, _) = holding(t);
    let mut process = process(&["/bin/floe-probe", "facts"]);
    process["user"] = json!({"uid": 1000, "gid": 1000});
    let set = json!(["CAP_KILL"]);
    process["capabilities"] =
        json!({"bounding": set, "permitted": set, "effective": set, "inheritable": set, "ambient": set});
    let facts = with_process(t, &container, &process).ok().json();
    for field in ["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(capability(&facts, field), 1 << 5, "{field}");
    }
}

fn user_without_capabilities(t: &mut Test) {
    let (container, _) = holding(t);
    let facts = facts(t, &container, &["--user", "1000:1000"]);
    for field in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(capability(&facts, field), 0, "{field}");
    }
}

fn user_in_process_file(t: &mut Test) {
    let (container, _) = holding(t);
    let mut process = process(&["/bin/floe-probe", "facts"]);
    process["user"] = json!({"uid": 1000, "gid": 1000});
    let facts = with_process(t, &container, &process).ok().json();
    assert_eq!((&facts["uid"], &facts["gid"], &facts["groups"]), (&json!(1000), &json!(1000), &json!([])));
    assert!(facts["env"].as_array().expect("env").contains(&json!("HOME=/")), "{}", facts["env"]);
}

fn time_namespace(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.namespace("time", None);
    bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": 1_000_000}}));
    let container = t.start_holding(&mut bundle);
    let first = facts(t, &container, &[]);
    assert!(first["boottime"].as_i64().expect("seconds") > 1_000_000, "{}", first["boottime"]);
    // Joined by path, it has the same offsets.
    let pid = t.pid(&container.id);
    let mut second = t.bundle();
    second.namespace("time", Some(std::path::Path::new(&format!("/proc/{pid}/ns/time"))));
    let second = t.facts(&mut second);
    assert_eq!(second["timens_offsets"], first["timens_offsets"]);
    assert_eq!(second["namespaces"]["time"], first["namespaces"]["time"]);
}
