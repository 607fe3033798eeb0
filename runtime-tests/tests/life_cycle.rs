//! create, start, state, kill, delete, run, ps, list, pause, resume, events, spec, features, version, options.

use crate::cases;
use crate::harness::*;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        config_option,
        config_option_that_is_missing,
        pause_created,
        start_paused_is_refused,
        kill_frozen_with_term,
        notify_socket_passes_readiness_only,
        notify_socket_at_start,
        create_start_delete,
        state_fields,
        state_of_unknown_container,
        annotations_are_shown,
        created_program_has_not_run,
        config_is_read_at_create,
        start_twice,
        start_stopped,
        stopped_by_itself,
        pid_file,
        run_detached,
        run_keep,
        run_removes_the_container,
        run_proxies_signals,
        run_reports_signal_death,
        kill_by_name_and_number,
        kill_default_is_term,
        kill_unknown_signal,
        kill_stopped,
        kill_created,
        kill_all,
        kill_without_pid_namespace_all,
        delete_running_is_refused,
        delete_force,
        delete_force_unknown,
        delete_unknown,
        delete_created,
        delete_kills_what_init_left,
        pause_and_resume,
        pause_twice,
        resume_running,
        kill_paused_with_sigkill,
        ps_json_and_table,
        list_table_json_quiet,
        list_empty,
        events_stats,
        spec_runs,
        spec_does_not_overwrite,
        spec_rootless,
        features,
        version,
        help,
        unknown_command,
        unknown_flag,
        flags_with_one_dash,
        repeated_flags,
        global_root_is_separate,
        log_json,
        log_appends,
        log_text,
        bundle_is_the_working_directory,
        pidfd_socket,
        pidfd_receiver,
        preserve_fds,
        listen_fds,
        notify_socket,
        success_is_silent,
        working_without_environment,
        id_characters,
    ]
}

fn create_start_delete(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "hold"]);
    let container = t.create(&bundle);
    assert_eq!(t.status(&container.id), "created");
    t.call(["start", &container.id]).quiet();
    assert_eq!(t.status(&container.id), "running");
    container.wait_for_output("ready");
    t.call(["kill", &container.id, "KILL"]).quiet();
    t.wait_status(&container.id, "stopped");
    t.call(["delete", &container.id]).quiet();
    t.call(["state", &container.id]).refused(&["does not exist"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn state_fields(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let state = t.call(["state", &container.id]).quiet().json();
    assert_eq!(state["id"], container.id.as_str());
    assert_eq!(state["status"], "running");
    assert_eq!(state["bundle"], bundle.dir.to_str().expect("utf-8"));
    assert_eq!(state["rootfs"], bundle.rootfs("").to_str().expect("utf-8").trim_end_matches('/'));
    // runc fills it in for `list` only.
    assert!(state["owner"] == "" || state["owner"] == "root", "{state}");
    assert!(state["ociVersion"].as_str().is_some_and(|v| v.starts_with("1.")), "{state}");
    assert!(state["created"].as_str().is_some_and(|v| v.len() > 20 && v.contains('T')), "{state}");
    let pid = state["pid"].as_i64().expect("pid");
    assert!(read(format!("/proc/{pid}/cmdline")).starts_with("/bin/floe-probe\0hold"));
    t.call(["kill", &container.id, "KILL"]).ok();
    t.wait_status(&container.id, "stopped");
    assert_eq!(t.call(["state", &container.id]).ok().json()["pid"], 0);
}

fn state_of_unknown_container(t: &mut Test) {
    t.call(["state", "nobody"]).exits(1).refused(&["does not exist"]);
}

fn annotations_are_shown(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/annotations", json!({"org.example.key": "value"}));
    let container = t.create(&bundle);
    let state = t.call(["state", &container.id]).ok().json();
    assert_eq!(state["annotations"]["org.example.key"], "value");
}

fn created_program_has_not_run(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "touch /ran; sleep 100"]);
    let container = t.create(&bundle);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!bundle.rootfs("ran").exists());
    t.call(["start", &container.id]).ok();
    wait_until("the program ran", || bundle.rootfs("ran").exists());
}

fn config_is_read_at_create(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "echo first"]);
    let container = t.create(&bundle);
    bundle.args(["sh", "-c", "echo second"]).write();
    t.call(["start", &container.id]).ok();
    container.wait_for_output("first");
}

fn start_twice(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["start", &container.id]).exits(1).refused(&["running"]);
    assert_eq!(t.status(&container.id), "running");
}

fn start_stopped(t: &mut Test) {
    let bundle = t.bundle();
    let container = t.start(&bundle);
    t.wait_status(&container.id, "stopped");
    t.call(["start", &container.id]).exits(1).refused(&["stopped"]);
}

fn stopped_by_itself(t: &mut Test) {
    let bundle = t.bundle();
    let container = t.start(&bundle);
    t.wait_status(&container.id, "stopped");
    t.call(["delete", &container.id]).quiet();
}

fn pid_file(t: &mut Test) {
    let bundle = t.bundle();
    let file = t.path("pid");
    let container = t.create_with(&bundle, &["--pid-file", file.to_str().expect("utf-8")]);
    assert_eq!(read(&file), t.pid(&container.id).to_string(), "decimal, no line feed");
}

fn run_detached(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "hold"]).write();
    let mut command = t.floe();
    command.args(["run", "--detach", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    t.run(command).quiet();
    assert_eq!(t.status(&bundle.id), "running");
}

fn run_keep(t: &mut Test) {
    let bundle = t.bundle();
    bundle.write();
    let mut command = t.floe();
    command.args(["run", "--keep", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    t.run(command).ok();
    assert_eq!(t.status(&bundle.id), "stopped");
    t.call(["delete", &bundle.id]).ok();
}

fn run_removes_the_container(t: &mut Test) {
    let bundle = t.bundle();
    t.run_bundle(&bundle).quiet();
    t.call(["state", &bundle.id]).refused(&["does not exist"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn spawn_run(t: &mut Test, bundle: &Bundle) -> Running {
    bundle.write();
    let mut command = t.floe();
    command.arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    t.spawn(command)
}

fn run_proxies_signals(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "hold"]);
    let running = spawn_run(t, &bundle);
    running.wait_for_output("ready");
    for (signal, line) in [(10, "sig 10"), (1, "sig 01"), (2, "sig 02")] {
        running.signal(signal);
        running.wait_for_output(line);
    }
    running.signal(15);
    let output = running.wait().ok();
    assert!(output.stdout.ends_with("sig 15\n"), "{}", output.stdout);
}

fn run_reports_signal_death(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sleep", "100"]);
    let running = spawn_run(t, &bundle);
    wait_until("running", || t.call(["state", &bundle.id]).stdout.contains("\"running\""));
    t.call(["kill", &bundle.id, "9"]).ok();
    running.wait().exits(137);
}

fn kill_by_name_and_number(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    for (signal, line) in [("10", "sig 10"), ("USR2", "sig 12"), ("SIGHUP", "sig 01"), ("winch", "sig 28")] {
        t.call(["kill", &container.id, signal]).quiet();
        container.wait_for_output(line);
    }
}

fn kill_default_is_term(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["kill", &container.id]).quiet();
    container.wait_for_output("sig 15");
    t.wait_status(&container.id, "stopped");
}

fn kill_unknown_signal(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["kill", &container.id, "SIGNOSUCH"]).exits(1).refused(&["SIGNOSUCH"]);
    t.call(["kill", &container.id, "999"]).exits(1).refused(&["999"]);
    assert_eq!(t.status(&container.id), "running");
}

fn kill_stopped(t: &mut Test) {
    let bundle = t.bundle();
    let container = t.start(&bundle);
    t.wait_status(&container.id, "stopped");
    t.call(["kill", &container.id, "TERM"]).exits(1).refused(&["container not running"]);
    // runc: with --all there is nothing left to kill, which is what was wanted.
    t.call(["kill", "--all", &container.id, "KILL"]).ok();
}

fn kill_created(t: &mut Test) {
    let bundle = t.bundle();
    let container = t.create(&bundle);
    t.call(["kill", &container.id, "KILL"]).quiet();
    t.wait_status(&container.id, "stopped");
}

fn kill_all(t: &mut Test) {
    // crun's reading; runc leaves all but init out when there is a pid namespace.
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "family", "3"]);
    let container = t.start(&bundle);
    wait_until("four processes", || container.output().matches("ready").count() == 4);
    t.call(["kill", "--all", &container.id, "USR1"]).ok();
    wait_until("four signals", || container.output().matches("sig 10").count() == 4);
}

fn kill_without_pid_namespace_all(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.without_namespace("pid").args(["/bin/floe-probe", "family", "3"]);
    let container = t.start(&bundle);
    wait_until("four processes", || container.output().matches("ready").count() == 4);
    t.call(["kill", "--all", &container.id, "KILL"]).ok();
    wait_until("an empty cgroup", || read(container.cgroup().join("cgroup.procs")).is_empty());
    t.wait_status(&container.id, "stopped");
}

fn delete_running_is_refused(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["delete", &container.id]).exits(1).refused(&["not stopped"]);
    assert_eq!(t.status(&container.id), "running");
}

fn delete_force(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["delete", "--force", &container.id]).quiet();
    assert_eq!(t.leftovers(), [""; 0]);
}

fn delete_force_unknown(t: &mut Test) {
    t.call(["delete", "--force", "nobody"]).ok();
}

fn delete_unknown(t: &mut Test) {
    t.call(["delete", "nobody"]).exits(1).refused(&["does not exist"]);
}

fn delete_created(t: &mut Test) {
    // runc deletes a created container without --force: nothing of the user has run.
    let bundle = t.bundle();
    let container = t.create(&bundle);
    t.call(["delete", &container.id]).quiet();
    assert_eq!(t.leftovers(), [""; 0]);
}

fn delete_kills_what_init_left(t: &mut Test) {
    // Without a pid namespace the kernel does not end the others with init.
    let mut bundle = t.bundle();
    bundle.without_namespace("pid").args(["sh", "-c", "sleep 1000 & exit 0"]);
    let container = t.start(&bundle);
    t.wait_status(&container.id, "stopped");
    t.call(["delete", "--force", &container.id]).ok();
    assert_eq!(t.leftovers(), [""; 0]);
}

fn pause_and_resume(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["pause", &container.id]).quiet();
    assert_eq!(t.status(&container.id), "paused");
    assert!(read(container.cgroup().join("cgroup.events")).contains("frozen 1"));
    t.call(["resume", &container.id]).quiet();
    assert_eq!(t.status(&container.id), "running");
    assert!(read(container.cgroup().join("cgroup.events")).contains("frozen 0"));
}

fn pause_twice(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["pause", &container.id]).ok();
    t.call(["pause", &container.id]).exits(1).refused(&["container"]);
}

fn resume_running(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["resume", &container.id]).exits(1).refused(&["not paused"]);
}

fn kill_paused_with_sigkill(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["pause", &container.id]).ok();
    t.call(["kill", &container.id, "KILL"]).ok();
    t.wait_status(&container.id, "stopped");
}

fn ps_json_and_table(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "family", "2"]);
    let container = t.start(&bundle);
    wait_until("three processes", || container.output().matches("ready").count() == 3);
    let pids = t.call(["ps", "--format", "json", &container.id]).quiet().json();
    let pids: Vec<i64> = pids.as_array().expect("array").iter().map(|p| p.as_i64().expect("pid")).collect();
    assert_eq!(pids.len(), 3);
    assert!(pids.contains(&i64::from(t.pid(&container.id))));
    let table = t.call(["ps", &container.id]).quiet().stdout;
    assert!(table.lines().next().is_some_and(|line| line.contains("PID")), "{table}");
    assert_eq!(table.lines().count(), 4, "{table}");
    let table = t.call(["ps", &container.id, "-eo", "pid,comm"]).quiet().stdout;
    assert_eq!(table.matches("floe-probe").count(), 3, "{table}");
}

fn list_table_json_quiet(t: &mut Test) {
    let mut first = t.bundle();
    let running = t.start_holding(&mut first);
    let second = t.bundle();
    let created = t.create(&second);
    let list = t.call(["list", "--format", "json"]).quiet().json();
    let mut states: Vec<(&str, &str)> = list
        .as_array()
        .expect("array")
        .iter()
        .map(|s| (s["id"].as_str().expect("id"), s["status"].as_str().expect("status")))
        .collect();
    states.sort();
    assert_eq!(states, [(running.id.as_str(), "running"), (created.id.as_str(), "created")]);
    let table = t.call(["list"]).quiet().stdout;
    let head: Vec<&str> = table.lines().next().expect("head").split_whitespace().collect();
    assert_eq!(head, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    assert_eq!(table.lines().count(), 3);
    let quiet = t.call(["list", "-q"]).quiet().stdout;
    assert_eq!(quiet, format!("{}\n{}\n", running.id, created.id));
}

fn list_empty(t: &mut Test) {
    assert_eq!(t.call(["list", "-f", "json"]).quiet().text(), "null");
    assert_eq!(t.call(["list", "-q"]).quiet().text(), "");
}

fn events_stats(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let event = t.call(["events", "--stats", &container.id]).ok().json();
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(container.id)));
    assert!(event["data"]["cpu"].is_object(), "{event}");
}

fn spec_runs(t: &mut Test) {
    let bundle = t.bundle();
    t.call(["spec", "--bundle", bundle.dir.to_str().expect("utf-8")]).quiet();
    let mut spec: Value = serde_json::from_str(&read(bundle.dir.join("config.json"))).expect("json");
    assert_eq!(spec["process"]["args"], json!(["sh"]));
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["echo", "up"]);
    spec["linux"]["cgroupsPath"] = json!(format!("/{}/{}", environment::get().cgroup, bundle.id));
    std::fs::write(bundle.dir.join("config.json"), spec.to_string()).expect("write");
    let mut command = t.floe();
    command.arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    assert_eq!(t.run(command).quiet().text(), "up");
}

fn spec_does_not_overwrite(t: &mut Test) {
    let bundle = t.bundle();
    bundle.write();
    let before = read(bundle.dir.join("config.json"));
    t.call(["spec", "--bundle", bundle.dir.to_str().expect("utf-8")]).exits(1).refused(&["config.json"]);
    assert_eq!(read(bundle.dir.join("config.json")), before);
}

fn spec_rootless(t: &mut Test) {
    let bundle = t.bundle();
    t.call(["spec", "--rootless", "--bundle", bundle.dir.to_str().expect("utf-8")]).quiet();
    let spec: Value = serde_json::from_str(&read(bundle.dir.join("config.json"))).expect("json");
    assert_eq!(spec["linux"]["uidMappings"][0]["size"], 1);
    let namespaces = spec["linux"]["namespaces"].as_array().expect("namespaces");
    assert!(
        namespaces.contains(&json!({"type": "user"})) && !namespaces.contains(&json!({"type": "network"}))
    );
}

fn features(t: &mut Test) {
    let features = t.call(["features"]).quiet().json();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    let has = |list: &Value, word: &str| list.as_array().expect("list").iter().any(|v| v == word);
    for hook in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        assert!(has(&features["hooks"], hook), "{hook}");
    }
    for option in ["ro", "rro", "rbind", "rprivate", "nosymfollow", "tmpcopyup", "idmap"] {
        assert!(has(&features["mountOptions"], option) || environment::get().peer, "{option}");
    }
    for kind in ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"] {
        assert!(has(&features["linux"]["namespaces"], kind), "{kind}");
    }
    assert!(has(&features["linux"]["capabilities"], "CAP_SYS_ADMIN"));
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert!(has(&features["linux"]["seccomp"]["actions"], "SCMP_ACT_NOTIFY"));
    assert!(has(&features["linux"]["seccomp"]["operators"], "SCMP_CMP_MASKED_EQ"));
    assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true);
}

fn version(t: &mut Test) {
    for flag in ["--version", "-v"] {
        let output = t.call([flag]).quiet().stdout;
        let lines: Vec<&str> = output.lines().collect();
        assert!(lines[0].contains(" version "), "{output}");
        assert!(lines.iter().any(|l| l.starts_with("commit: ")), "{output}");
        assert!(lines.iter().any(|l| l.starts_with("spec: 1.")), "{output}");
    }
}

fn help(t: &mut Test) {
    assert!(t.call(["--help"]).quiet().stdout.contains("create"));
    assert!(t.call(["create", "--help"]).quiet().stdout.contains("console-socket"));
}

fn unknown_command(t: &mut Test) {
    let output = t.call(["no-such-command"]);
    assert!(output.code != 0 && output.stderr.contains("no-such-command"), "{output:?}");
}

fn unknown_flag(t: &mut Test) {
    let output = t.call(["state", "--no-such-flag", "x"]);
    assert!(output.code != 0 && output.stderr.contains("no-such-flag"), "{output:?}");
}

fn flags_with_one_dash(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["echo", "up"]).write();
    let mut command = t.floe();
    command.args(["run", "-no-subreaper", "-bundle"]).arg(&bundle.dir).arg(&bundle.id);
    assert_eq!(t.run(command).ok().text(), "up");
}

fn repeated_flags(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["echo", "up"]).write();
    let mut command = t.floe();
    command.args(["run", "--no-pivot=false", "--no-subreaper", "--no-subreaper", "--bundle", "/nowhere"]);
    command.arg(format!("--bundle={}", bundle.dir.display())).arg(&bundle.id);
    assert_eq!(t.run(command).ok().text(), "up");
}

fn global_root_is_separate(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let mut command = t.floe();
    command.args(["--root", t.path("other").to_str().expect("utf-8"), "state", &container.id]);
    t.run(command).exits(1).refused(&["does not exist"]);
}

fn with_log(t: &mut Test, format: &str, args: &[&str]) -> (Output, std::path::PathBuf) {
    let log = t.path("log");
    let mut command = t.floe();
    command.args(["--log", log.to_str().expect("utf-8"), "--log-format", format]).args(args);
    (t.run(command), log)
}

fn log_json(t: &mut Test) {
    let (output, log) = with_log(t, "json", &["state", "nobody"]);
    output.exits(1).refused(&["does not exist"]);
    let text = read(log);
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("json line")).collect();
    let errors: Vec<&Value> = lines.iter().filter(|line| line["level"] == "error").collect();
    assert_eq!(errors.len(), 1, "{text}");
    assert!(errors[0]["msg"].as_str().is_some_and(|m| m.contains("does not exist")), "{text}");
    assert!(errors[0]["time"].as_str().is_some_and(|m| m.contains('T')), "{text}");
}

fn log_appends(t: &mut Test) {
    with_log(t, "json", &["state", "first"]);
    let (_, log) = with_log(t, "json", &["state", "second"]);
    assert_eq!(read(log).lines().filter(|l| l.contains("\"error\"")).count(), 2);
}

fn log_text(t: &mut Test) {
    let (_, log) = with_log(t, "text", &["state", "nobody"]);
    assert!(read(log).contains("does not exist"));
}

fn bundle_is_the_working_directory(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["echo", "up"]).write();
    let mut command = t.floe();
    command.arg("run").arg(&bundle.id).current_dir(&bundle.dir);
    assert_eq!(t.run(command).ok().text(), "up");
}

fn pidfd_socket(t: &mut Test) {
    let socket = sockets::FdSocket::new(t.path("pidfd"));
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "hold"]);
    let path = socket.path().to_owned();
    let container = t.create_with(&bundle, &["--pidfd-socket", &path]);
    let pidfd = socket.receive_fd();
    t.call(["start", &container.id]).ok();
    container.wait_for_output("ready");
    assert!(sockets::pidfd_signal(&pidfd, 10));
    container.wait_for_output("sig 10");
    assert!(sockets::pidfd_signal(&pidfd, 9));
    assert!(sockets::pidfd_ended(&pidfd));
}

/// crun's annotation; an option has the last word.
fn pidfd_receiver(t: &mut Test) {
    needs_floe();
    let socket = sockets::FdSocket::new(t.path("pidfd"));
    for (annotation, options) in
        [(socket.path(), vec![]), ("/nowhere", vec!["--pidfd-socket", socket.path()])]
    {
        let mut bundle = t.bundle();
        bundle.set("/annotations", json!({"run.oci.pidfd_receiver": annotation}));
        let container = t.create_with(&bundle, &options);
        let pidfd = socket.receive_fd();
        assert!(sockets::pidfd_signal(&pidfd, 9));
        assert!(sockets::pidfd_ended(&pidfd));
        t.wait_status(&container.id, "stopped");
    }
}

fn passed_files(t: &Test, names: &[&str]) -> Vec<std::os::fd::OwnedFd> {
    names.iter().map(|name| std::fs::File::create(t.path(name)).expect("create").into()).collect()
}

fn preserve_fds(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args([
        "sh",
        "-c",
        "floe-probe touch-fd 3 three; floe-probe touch-fd 4 four; floe-probe touch-fd 5 five",
    ]);
    bundle.write();
    let mut command = t.floe();
    command.args(["run", "--preserve-fds", "2", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    sockets::pass_fds(&mut command, passed_files(t, &["a", "b", "c"]));
    assert_eq!(t.run(command).ok().text(), "ok\nok\nerrno=9");
    assert_eq!(
        (read(t.path("a")), read(t.path("b")), read(t.path("c"))),
        ("three".into(), "four".into(), "".into())
    );
}

fn listen_fds(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "echo $LISTEN_FDS $LISTEN_PID; floe-probe touch-fd 3 three"]).write();
    // systemd's protocol names the process that the descriptors are for.
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(r#"LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" --root "$1" run --bundle "$2" "$3""#);
    command.arg(&environment::get().floe).arg(&t.root).arg(&bundle.dir).arg(&bundle.id);
    sockets::pass_fds(&mut command, passed_files(t, &["a"]));
    assert_eq!(t.run(command).ok().text(), "1 1\nok");
    assert_eq!(read(t.path("a")), "three");
}

fn notify_socket(t: &mut Test) {
    let path = t.path("notify");
    let socket = sockets::datagram_socket(&path);
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "floe-probe notify READY=1; sleep 100"]).write();
    let mut command = t.floe();
    command
        .args(["run", "--detach", "--bundle"])
        .arg(&bundle.dir)
        .arg(&bundle.id)
        .env("NOTIFY_SOCKET", &path);
    let running = t.spawn(command);
    let mut text = String::new();
    let mut bytes = [0u8; 256];
    while !text.contains("READY=1") {
        let size = socket.recv(&mut bytes).expect("notification");
        text += &format!("{}\n", String::from_utf8_lossy(&bytes[..size]));
    }
    running.wait().ok();
}

fn success_is_silent(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "hold"]);
    let container = t.create(&bundle);
    for args in [&["start"][..], &["pause"], &["resume"], &["kill", "KILL"]] {
        let mut words = vec![args[0], &container.id];
        words.extend(&args[1..]);
        assert_eq!(t.call(words).quiet().stdout, "");
    }
    t.wait_status(&container.id, "stopped");
    assert_eq!(t.call(["delete", &container.id]).quiet().stdout, "");
}

fn working_without_environment(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["echo", "up"]).write();
    let mut command = t.floe();
    command.env_clear().arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    assert_eq!(t.run(command).quiet().text(), "up");
}

fn id_characters(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.id = format!("{}_A.b+c-d", t.id());
    bundle.args(["echo", "up"]);
    assert_eq!(t.run_bundle(&bundle).ok().text(), "up");
}

fn config_option(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["echo", "up"]);
    let file = t.path("elsewhere.json");
    std::fs::write(&file, bundle.spec.to_string()).expect("write");
    for option in ["--config", "-f"] {
        let mut command = t.floe();
        command.arg("run").arg(option).arg(&file).arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
        // Paths in it are still relative to the bundle.
        assert_eq!(t.run(command).quiet().text(), "up");
    }
}

fn config_option_that_is_missing(t: &mut Test) {
    let bundle = t.bundle();
    bundle.write();
    let mut command = t.floe();
    command.args(["run", "--config", "/no/such/file", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    t.run(command).exits(1).refused(&["/no/such/file"]);
}

fn pause_created(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["echo", "up"]);
    let container = t.create(&bundle);
    t.call(["pause", &container.id]).ok();
    assert_eq!(t.status(&container.id), "paused");
    t.call(["resume", &container.id]).ok();
    assert_eq!(t.status(&container.id), "created");
    t.call(["start", &container.id]).ok();
    container.wait_for_output("up");
}

fn start_paused_is_refused(t: &mut Test) {
    let bundle = t.bundle();
    let container = t.create(&bundle);
    t.call(["pause", &container.id]).ok();
    t.call(["start", &container.id]).exits(1).refused(&["paused"]);
    t.call(["delete", "--force", &container.id]).ok();
    assert_eq!(t.leftovers(), [""; 0]);
}

/// The signal waits for the thaw.
fn kill_frozen_with_term(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["pause", &container.id]).ok();
    t.call(["kill", &container.id, "TERM"]).ok();
    assert_eq!(t.status(&container.id), "paused");
    t.call(["resume", &container.id]).ok();
    container.wait_for_output("sig 15");
    t.wait_status(&container.id, "stopped");
}

fn receive(socket: &std::os::unix::net::UnixDatagram) -> String {
    let mut bytes = [0u8; 256];
    let size = socket.recv(&mut bytes).expect("notification");
    String::from_utf8_lossy(&bytes[..size]).into_owned()
}

fn notify_socket_passes_readiness_only(t: &mut Test) {
    let path = t.path("notify");
    let socket = sockets::datagram_socket(&path);
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "floe-probe notify STOPPING=1; floe-probe notify READY=1; sleep 100"]).write();
    let mut command = t.floe();
    command.args(["run", "--detach", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    command.env("NOTIFY_SOCKET", &path);
    t.run(command).ok();
    let pid = t.pid(&bundle.id);
    let text = receive(&socket);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, ["READY=1", &format!("MAINPID={pid}")]);
}

fn notify_socket_at_start(t: &mut Test) {
    let path = t.path("notify");
    let socket = sockets::datagram_socket(&path);
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "floe-probe notify READY=1; sleep 100"]).write();
    for verb in ["create", "start"] {
        let mut command = t.floe();
        command.arg(verb).env("NOTIFY_SOCKET", &path);
        if verb == "create" {
            command.arg("--bundle").arg(&bundle.dir);
        }
        command.arg(&bundle.id);
        t.run(command).ok();
    }
    assert!(receive(&socket).starts_with("READY=1"));
}
