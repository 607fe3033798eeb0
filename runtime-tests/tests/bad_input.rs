//! Wrong configurations, ids and orders: one line that names object and cause, status 1, and nothing left behind.

use crate::cases;
use crate::harness::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        intel_rdt_without_resctrl,
        config_missing,
        config_empty,
        config_truncated,
        config_is_a_directory,
        config_is_binary,
        config_is_huge,
        bundle_missing,
        bundle_without_rootfs,
        rootfs_is_a_file,
        rootfs_is_a_symlink_loop,
        id_in_use,
        id_too_long,
        id_missing,
        error_is_logged_as_json,
        create_killed_in_the_middle,
        create_into_unwritable_root,
        pid_file_in_missing_directory,
        wrong_state_operations,
        root_option_is_a_file,
    ];
    for (name, id) in [
        ("slash", "a/b"),
        ("parent", ".."),
        ("dot", "."),
        ("empty", ""),
        ("space", "a b"),
        ("newline", "a\nb"),
        ("absolute", "/etc"),
        ("escape", "../escape"),
        ("unicode", "größe"),
    ] {
        cases.push(Case::new(format!("bad_input::id_{name}"), move |t| {
            let mut bundle = t.bundle();
            bundle.id = id.to_owned();
            let output = t.run_bundle(&bundle);
            assert!(output.code != 0 && !output.stderr.is_empty(), "{output:?}");
            for command in ["state", "kill", "start", "pause"] {
                let output = t.call([command, id]);
                assert!(output.code != 0, "{command}: {output:?}");
            }
            assert!(!t.path("escape").exists());
        }));
    }
    // Where, what, and a word of the error. Each of these is refused before anything is made.
    for (name, pointer, value, word) in [
        ("args_empty", "/process/args", json!([]), "args"),
        ("args_missing", "/process/args", Value::Null, "args"),
        ("args_wrong_type", "/process/args", json!("sh"), "args"),
        ("process_wrong_type", "/process", json!(7), "process"),
        ("cwd_empty", "/process/cwd", json!(""), "cwd"),
        ("env_wrong_type", "/process/env", json!({"A": "b"}), "env"),
        ("uid_negative", "/process/user/uid", json!(-1), "uid"),
        ("uid_string", "/process/user/uid", json!("root"), "uid"),
        ("mounts_wrong_type", "/mounts", json!({}), "mounts"),
        ("mount_destination_missing", "/mounts/0", json!({"type": "proc"}), "destination"),
        ("namespace_unknown", "/linux/namespaces/0/type", json!("galaxy"), "galaxy"),
        (
            "rlimit_unknown",
            "/process/rlimits",
            json!([{"type": "RLIMIT_LUCK", "soft": 1, "hard": 1}]),
            "RLIMIT_LUCK",
        ),
        (
            "rlimit_soft_above_hard",
            "/process/rlimits",
            json!([{"type": "RLIMIT_NOFILE", "soft": 9, "hard": 5}]),
            "RLIMIT_NOFILE",
        ),
        (
            "rlimit_twice",
            "/process/rlimits",
            json!([{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}, {"type": "RLIMIT_CORE", "soft": 2, "hard": 2}]),
            "RLIMIT_CORE",
        ),
        ("oom_score_out_of_range", "/process/oomScoreAdj", json!(2000), "oom"),
        ("propagation_unknown", "/linux/rootfsPropagation", json!("sideways"), "sideways"),
        ("personality_unknown", "/linux/personality", json!({"domain": "VMS"}), "VMS"),
        ("scheduler_unknown", "/process/scheduler", json!({"policy": "SCHED_LUCK"}), "SCHED_LUCK"),
        (
            "scheduler_flag_unknown",
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_LUCK"]}),
            "SCHED_FLAG_LUCK",
        ),
        (
            "ioprio_unknown",
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_LUCK", "priority": 1}),
            "IOPRIO_CLASS_LUCK",
        ),
        ("masked_wrong_type", "/linux/maskedPaths", json!("/proc/keys"), "maskedPaths"),
        (
            "device_rule_access_unknown",
            "/linux/resources/devices",
            json!([{"allow": true, "access": "xyz"}]),
            "xyz",
        ),
        ("device_without_path", "/linux/devices", json!([{"type": "c", "major": 1, "minor": 3}]), "path"),
        ("unified_value_wrong_type", "/linux/resources/unified", json!({"a": 1}), "unified"),
        ("hooks_wrong_type", "/hooks", json!("none"), "hooks"),
        ("hook_without_path", "/hooks", json!({"createRuntime": [{"args": ["x"]}]}), "path"),
        ("root_missing", "/root", Value::Null, "root"),
        ("root_path_missing", "/root", json!({"readonly": true}), "path"),
        ("version_missing", "/ociVersion", Value::Null, "ociVersion"),
        ("version_too_new", "/ociVersion", json!("2.0.0"), "2.0.0"),
        ("version_is_no_version", "/ociVersion", json!("newest"), "newest"),
        (
            "mappings_overlap",
            "/linux/uidMappings",
            json!([{"containerID": 0, "hostID": 1, "size": 10}, {"containerID": 5, "hostID": 100, "size": 10}]),
            "apping",
        ),
        ("string_with_nul", "/process/args", json!(["a\u{0}b"]), "args"),
    ] {
        cases.push(Case::new(format!("bad_input::{name}"), move |t| {
            let mut bundle = t.bundle();
            if name == "mappings_overlap" {
                bundle.user_namespace(100_000, 10);
            }
            match &value {
                Value::Null => bundle.remove(pointer),
                value => bundle.set(pointer, value.clone()),
            };
            t.run_bundle(&bundle).exits(1).refused(&[word]);
            assert_eq!(t.leftovers(), [""; 0]);
        }));
    }
    cases
}

fn run_with(t: &mut Test, text: impl AsRef<[u8]>) -> Output {
    let bundle = t.bundle();
    std::fs::write(bundle.dir.join("config.json"), text).expect("write");
    run(t, &bundle)
}

fn run(t: &mut Test, bundle: &Bundle) -> Output {
    let mut command = t.floe();
    command.arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    let output = t.run(command);
    assert_eq!(t.leftovers(), [""; 0]);
    output
}

fn config_missing(t: &mut Test) {
    let bundle = t.bundle();
    run(t, &bundle).exits(1).refused(&["config.json"]);
}

fn config_empty(t: &mut Test) {
    run_with(t, "").exits(1).refused(&[]);
}

fn config_truncated(t: &mut Test) {
    let bundle = t.bundle();
    let text = bundle.spec.to_string();
    run_with(t, &text[..text.len() / 2]).exits(1).refused(&[]);
}

fn config_is_a_directory(t: &mut Test) {
    let bundle = t.bundle();
    std::fs::create_dir(bundle.dir.join("config.json")).expect("mkdir");
    run(t, &bundle).exits(1).refused(&["config.json"]);
}

fn config_is_binary(t: &mut Test) {
    run_with(t, [0u8, 159, 146, 150, 255]).exits(1).refused(&[]);
}

fn config_is_huge(t: &mut Test) {
    // Deep nesting must be an error, not a stack overflow.
    let text = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    run_with(t, text).exits(1).refused(&[]);
}

fn bundle_missing(t: &mut Test) {
    t.call(["run", "--bundle", "/no/such/bundle", "x"]).exits(1).refused(&["/no/such/bundle"]);
}

fn bundle_without_rootfs(t: &mut Test) {
    let bundle = t.bundle();
    bundle.write();
    std::fs::remove_dir_all(bundle.rootfs("")).expect("remove");
    run(t, &bundle).exits(1).refused(&["rootfs"]);
}

fn rootfs_is_a_file(t: &mut Test) {
    let bundle = t.bundle();
    bundle.write();
    std::fs::remove_dir_all(bundle.rootfs("")).expect("remove");
    std::fs::write(bundle.dir.join("rootfs"), "").expect("write");
    run(t, &bundle).exits(1).refused(&["rootfs"]);
}

fn rootfs_is_a_symlink_loop(t: &mut Test) {
    let bundle = t.bundle();
    bundle.write();
    std::fs::remove_dir_all(bundle.rootfs("")).expect("remove");
    std::os::unix::fs::symlink("rootfs", bundle.dir.join("rootfs")).expect("symlink");
    run(t, &bundle).exits(1).refused(&["rootfs"]);
}

fn id_in_use(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.run_bundle(&bundle).exits(1).refused(&["already exists"]);
    assert_eq!(t.status(&container.id), "running");
}

fn id_too_long(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.id = "x".repeat(1025);
    t.run_bundle(&bundle).exits(1).refused(&[]);
}

fn id_missing(t: &mut Test) {
    for command in ["state", "start", "kill", "delete", "create", "run", "exec", "pause"] {
        let output = t.call([command]);
        assert!(output.code != 0 && !output.stderr.is_empty(), "{command}: {output:?}");
    }
}

fn error_is_logged_as_json(t: &mut Test) {
    // Also when the container's own process fails, long after the clone.
    let mut bundle = t.bundle();
    bundle.args(["no-such-program"]).write();
    let log = t.path("log");
    let mut command = t.floe();
    command.args(["--log", log.to_str().expect("utf-8"), "--log-format", "json", "run", "--bundle"]);
    command.arg(&bundle.dir).arg(&bundle.id);
    t.run(command).exits(1).refused(&["no-such-program"]);
    let lines: Vec<Value> = read(&log).lines().map(|l| serde_json::from_str(l).expect("json")).collect();
    let errors: Vec<&Value> = lines.iter().filter(|l| l["level"] == "error").collect();
    assert_eq!(errors.len(), 1, "{lines:?}");
    assert!(errors[0]["msg"].as_str().is_some_and(|m| m.contains("no-such-program")));
}

fn create_killed_in_the_middle(t: &mut Test) {
    // The hook takes two seconds, so create is certainly in the middle when it is killed.
    let mut bundle = t.bundle();
    bundle.push("/hooks/createRuntime", json!({"path": "/bin/sleep", "args": ["sleep", "2"]}));
    bundle.write();
    let mut command = t.floe();
    command.arg("create").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    let running = t.spawn(command);
    std::thread::sleep(std::time::Duration::from_millis(200));
    running.signal(9);
    running.wait().exits(137);
    t.call(["delete", "--force", &bundle.id]).ok();
    assert_eq!(t.leftovers(), [""; 0]);
}

fn create_into_unwritable_root(t: &mut Test) {
    let bundle = t.bundle();
    bundle.write();
    let mut command = t.floe();
    command.args(["--root", "/proc/floe", "run", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    t.run(command).exits(1).refused(&["/proc/floe"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn pid_file_in_missing_directory(t: &mut Test) {
    let bundle = t.bundle();
    bundle.write();
    let mut command = t.floe();
    command.args(["create", "--pid-file", "/no/such/dir/pid", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    t.run(command).exits(1).refused(&["/no/such/dir"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn wrong_state_operations(t: &mut Test) {
    let bundle = t.bundle();
    let container = t.start(&bundle);
    t.wait_status(&container.id, "stopped");
    for command in ["pause", "resume", "start"] {
        t.call([command, &container.id]).exits(1).refused(&[]);
    }
    assert_eq!(t.status(&container.id), "stopped");
}

fn root_option_is_a_file(t: &mut Test) {
    let file = t.path("file");
    std::fs::write(&file, "").expect("write");
    let bundle = t.bundle();
    bundle.write();
    let mut command = t.floe();
    command.arg("--root").arg(&file).arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    t.run(command).exits(1).refused(&[file.to_str().expect("utf-8")]);
}

fn intel_rdt_without_resctrl(t: &mut Test) {
    if read("/proc/filesystems").contains("resctrl") {
        skip("the kernel has resctrl");
    }
    for rdt in [
        json!({"closID": "guaranteed"}),
        json!({"l3CacheSchema": "L3:0=f"}),
        json!({"enableMonitoring": true}),
    ] {
        let mut bundle = t.bundle();
        bundle.set("/linux/intelRdt", rdt);
        t.run_bundle(&bundle).exits(1).refused(&["resctrl"]);
        assert_eq!(t.leftovers(), [""; 0]);
    }
}
