//! `process.*`: who the program is, where it starts, what it may use.

use crate::cases;
use crate::harness::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        exec_cpu_affinity_initial,
        exec_cpu_affinity_is_not_for_init,
        keep_original_groups,
        exit_status,
        killed_by_signal,
        arguments,
        environment_is_exact,
        path_comes_from_the_containers_environment,
        cwd,
        cwd_is_created,
        cwd_relative_is_refused,
        user_and_group,
        additional_gids,
        umask,
        umask_default,
        no_new_privileges,
        no_new_privileges_off,
        oom_score_adj,
        personality,
        scheduler_batch,
        scheduler_nice,
        scheduler_fifo,
        exec_cpu_affinity_final,
        memory_policy,
        only_stdio_is_open,
        keyring_is_new,
        keyring_is_kept,
        standard_input,
        command_not_found,
        not_executable,
        apparmor_without_the_module,
        selinux_without_the_module,
        signal_state_is_clean,
        session_leader,
        unknown_fields_are_ignored,
    ];
    let limits = [
        ("RLIMIT_NOFILE", 100u64, 200u64),
        ("RLIMIT_CORE", 0, 4096),
        ("RLIMIT_CPU", 500, 600),
        ("RLIMIT_FSIZE", 1 << 20, 1 << 21),
        ("RLIMIT_STACK", 4 << 20, 8 << 20),
        ("RLIMIT_NPROC", 500, 600),
        ("RLIMIT_MEMLOCK", 32768, 32768),
        ("RLIMIT_AS", 1 << 32, 1 << 33),
        ("RLIMIT_DATA", 1 << 30, 1 << 31),
        ("RLIMIT_RSS", 1 << 30, 1 << 31),
        ("RLIMIT_LOCKS", 10, 20),
        ("RLIMIT_SIGPENDING", 10, 20),
        ("RLIMIT_MSGQUEUE", 1024, 2048),
        ("RLIMIT_NICE", 0, 0),
        ("RLIMIT_RTPRIO", 0, 0),
        ("RLIMIT_RTTIME", 1000, 2000),
    ];
    for (name, soft, hard) in limits {
        cases.push(Case::new(format!("process::rlimit_{}", name[7..].to_lowercase()), move |t| {
            let mut bundle = t.bundle();
            bundle.push("/process/rlimits", json!({"type": name, "soft": soft, "hard": hard}));
            let facts = t.facts(&mut bundle);
            assert_eq!(facts["rlimits"][name], json!([soft, hard]));
        }));
    }
    for (class, number) in [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)] {
        cases.push(Case::new(format!("process::io_priority_{}", class[13..].to_lowercase()), move |t| {
            let level = if number == 3 { 0 } else { 5 };
            let mut bundle = t.bundle();
            bundle.set("/process/ioPriority", json!({"class": class, "priority": level}));
            assert_eq!(t.facts(&mut bundle)["ioprio"], number << 13 | level);
        }));
    }
    cases
}

fn exit_status(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "exit 42"]);
    t.run_bundle(&bundle).exits(42);
}

fn killed_by_signal(t: &mut Test) {
    let mut bundle = t.bundle();
    // Init of a pid namespace is not killed by its own signals, so the shell is its child.
    bundle.args(["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]);
    t.run_bundle(&bundle).exits(137);
    let mut bundle = t.bundle();
    bundle.without_namespace("pid").args(["sh", "-c", "kill -9 $$"]);
    t.run_bundle(&bundle).exits(137);
}

fn arguments(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "facts"]);
    let facts = t.run_bundle(&bundle).quiet().json();
    assert_eq!(facts["args"], json!(["/bin/floe-probe", "facts"]));
}

fn environment_is_exact(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/env", json!(["PATH=/bin", "EMPTY=", "A=b=c", "SPACE=x y"]));
    let facts = t.facts(&mut bundle);
    let mut env: Vec<&str> =
        facts["env"].as_array().expect("list").iter().map(|v| v.as_str().expect("string")).collect();
    // HOME may be added from /etc/passwd, as runc does; nothing of the caller's environment may appear.
    env.retain(|e| !e.starts_with("HOME="));
    env.sort();
    assert_eq!(env, ["A=b=c", "EMPTY=", "PATH=/bin", "SPACE=x y"]);
}

fn path_comes_from_the_containers_environment(t: &mut Test) {
    let mut bundle = t.bundle();
    std::fs::rename(bundle.rootfs("bin/floe-probe"), bundle.rootfs("var/floe-probe")).expect("rename");
    bundle.set("/process/env", json!(["PATH=/nowhere:/var"]));
    bundle.args(["floe-probe", "facts"]);
    t.run_bundle(&bundle).ok();
    bundle.id = t.id();
    bundle.set("/process/env", json!(["PATH=/bin"]));
    t.run_bundle(&bundle).exits(1);
}

fn cwd(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/cwd", json!("/var"));
    assert_eq!(t.facts(&mut bundle)["cwd"], "/var");
}

fn cwd_is_created(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/cwd", json!("/new/deep/dir"));
    assert_eq!(t.facts(&mut bundle)["cwd"], "/new/deep/dir");
}

fn cwd_relative_is_refused(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/cwd", json!("var"));
    t.run_bundle(&bundle).exits(1).refused(&["cwd"]);
}

fn user_and_group(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1001}));
    let facts = t.facts(&mut bundle);
    assert_eq!(facts["status"]["Uid"], "1000\t1000\t1000\t1000");
    assert_eq!(facts["status"]["Gid"], "1001\t1001\t1001\t1001");
    // A change of uid drops the effective set unless the runtime keeps what the config asks for.
    assert_eq!(facts["groups"], json!([]));
}

fn additional_gids(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [5, 77]}));
    assert_eq!(t.facts(&mut bundle)["groups"], json!([5, 77]));
}

fn umask(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/user/umask", json!(0o027));
    assert_eq!(t.facts(&mut bundle)["umask"], 0o027);
}

fn umask_default(t: &mut Test) {
    let mut bundle = t.bundle();
    assert_eq!(t.facts(&mut bundle)["umask"], 0o022);
}

fn no_new_privileges(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/noNewPrivileges", json!(true));
    assert_eq!(t.facts(&mut bundle)["status"]["NoNewPrivs"], "1");
}

fn no_new_privileges_off(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/noNewPrivileges", json!(false));
    assert_eq!(t.facts(&mut bundle)["status"]["NoNewPrivs"], "0");
}

fn oom_score_adj(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/oomScoreAdj", json!(321));
    assert_eq!(t.facts(&mut bundle)["oom_score_adj"], "321");
}

fn personality(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/linux/personality", json!({"domain": "LINUX32"}));
    assert_eq!(t.facts(&mut bundle)["personality"], 8);
}

fn scheduler_batch(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 7}));
    let facts = t.facts(&mut bundle);
    assert_eq!((&facts["scheduler"]["policy"], &facts["scheduler"]["nice"]), (&json!(3), &json!(7)));
}

fn scheduler_nice(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": 11}));
    let facts = t.facts(&mut bundle);
    assert_eq!((&facts["scheduler"]["policy"], &facts["scheduler"]["nice"]), (&json!(0), &json!(11)));
}

fn scheduler_fifo(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/scheduler", json!({"policy": "SCHED_FIFO", "priority": 3}));
    bundle.set("/process/scheduler/flags", json!(["SCHED_FLAG_RESET_ON_FORK"]));
    let facts = t.facts(&mut bundle);
    assert_eq!((&facts["scheduler"]["policy"], &facts["scheduler"]["priority"]), (&json!(1), &json!(3)));
    assert_eq!(facts["scheduler"]["flags"], 1);
}

fn exec_cpu_affinity_final(t: &mut Test) {
    let cpus = std::thread::available_parallelism().map(usize::from).unwrap_or(1);
    if cpus < 2 {
        skip("one processor only");
    }
    let mut bundle = t.bundle();
    bundle.set("/process/execCPUAffinity", json!({"initial": "0", "final": "1"}));
    let container = t.start_holding(&mut bundle);
    let facts = t.call(["exec", &container.id, "/bin/floe-probe", "facts"]).ok().json();
    assert_eq!(facts["affinity"], json!([1]));
}

fn memory_policy(t: &mut Test) {
    if !std::path::Path::new("/sys/devices/system/node/node0").exists() {
        skip("the kernel has no NUMA");
    }
    let mut bundle = t.bundle();
    bundle.set(
        "/linux/memoryPolicy",
        json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}),
    );
    let facts = t.facts(&mut bundle);
    assert_eq!(facts["mempolicy"], json!({"mode": 2 | 1 << 15, "nodes": 1}));
}

fn only_stdio_is_open(t: &mut Test) {
    let mut bundle = t.bundle();
    let facts = t.facts(&mut bundle);
    let fds: Vec<&String> = facts["fds"].as_object().expect("fds").keys().collect();
    assert_eq!(fds, ["0", "1", "2"], "{}", facts["fds"]);
}

fn keyring_is_new(t: &mut Test) {
    let mut bundle = t.bundle();
    let (first, id) = (t.facts(&mut bundle), bundle.id.clone());
    let keyring = first["keyring"].as_str().expect("keyring");
    assert!(keyring.contains(&id), "session keyring is {keyring}");
}

fn keyring_is_kept(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "facts"]).write();
    let mut command = t.floe();
    command.args(["run", "--no-new-keyring", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    let facts = t.run(command).ok().json();
    let keyring = facts["keyring"].as_str().expect("keyring");
    assert!(!keyring.contains(&bundle.id), "session keyring is {keyring}");
}

fn standard_input(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["cat"]).write();
    let file = t.path("input");
    std::fs::write(&file, "some words").expect("write");
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(r#"exec "$0" --root "$1" run --bundle "$2" "$3" < "$4""#);
    shell.arg(&environment::get().floe).arg(&t.root).arg(&bundle.dir).arg(&bundle.id).arg(&file);
    assert_eq!(t.run(shell).ok().stdout, "some words");
}

fn command_not_found(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["no-such-program"]);
    t.run_bundle(&bundle).exits(1).refused(&["no-such-program"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn not_executable(t: &mut Test) {
    let mut bundle = t.bundle();
    std::fs::write(bundle.rootfs("bin/plain"), "text").expect("write");
    bundle.args(["/bin/plain"]);
    t.run_bundle(&bundle).exits(1).refused(&["/bin/plain"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn apparmor_without_the_module(t: &mut Test) {
    if std::path::Path::new("/sys/kernel/security/apparmor").exists() {
        skip("the kernel has AppArmor");
    }
    let mut bundle = t.bundle();
    bundle.set("/process/apparmorProfile", json!("some-profile"));
    t.run_bundle(&bundle).exits(1).refused(&["apparmor"]);
}

fn selinux_without_the_module(t: &mut Test) {
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        skip("the kernel has SELinux");
    }
    let mut bundle = t.bundle();
    bundle.set("/process/selinuxLabel", json!("system_u:system_r:container_t:s0"));
    t.run_bundle(&bundle).exits(1).refused(&["selinux"]);
}

fn signal_state_is_clean(t: &mut Test) {
    let mut bundle = t.bundle();
    let facts = t.facts(&mut bundle);
    assert_eq!(facts["signals_blocked"], "0000000000000000");
    // Rust's own start-up ignores SIGPIPE (bit 12).
    assert_eq!(facts["signals_ignored"], "0000000000001000");
}

fn session_leader(t: &mut Test) {
    let mut bundle = t.bundle();
    let facts = t.facts(&mut bundle);
    assert_eq!((&facts["pid"], &facts["sid"]), (&json!(1), &json!(1)));
}

fn unknown_fields_are_ignored(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/linux/somethingNew", json!({"a": 1})).set("/windows", json!({"layerFolders": ["x"]}));
    bundle.set("/process/future", json!([1]));
    assert_eq!(t.sh(&mut bundle, "echo fine"), "fine");
}

fn need_two_processors() {
    if std::thread::available_parallelism().map(usize::from).unwrap_or(1) < 2 {
        skip("one processor only");
    }
}

fn exec_cpu_affinity_initial(t: &mut Test) {
    need_two_processors();
    need_kernel(6, 2, "before, whoever enters a cpuset has all of its processors");
    let mut bundle = t.bundle();
    bundle.set("/process/execCPUAffinity", json!({"initial": "1"}));
    let container = t.start_holding(&mut bundle);
    let facts = t.call(["exec", &container.id, "/bin/floe-probe", "facts"]).ok().json();
    assert_eq!(facts["affinity"], json!([1]));
}

fn exec_cpu_affinity_is_not_for_init(t: &mut Test) {
    need_two_processors();
    let mut bundle = t.bundle();
    let usual = t.facts(&mut bundle)["affinity"].clone();
    bundle.set("/process/execCPUAffinity", json!({"initial": "1", "final": "1"}));
    assert_eq!(t.facts_again(&mut bundle)["affinity"], usual);
}

/// Podman's `--group-add keep-groups`.
fn keep_original_groups(t: &mut Test) {
    for (annotation, groups) in [("1", json!([7, 8])), ("0", json!([9]))] {
        let mut bundle = t.bundle();
        bundle.set("/annotations", json!({"run.oci.keep_original_groups": annotation}));
        bundle.set("/process/user/additionalGids", json!([9]));
        bundle.args(["/bin/floe-probe", "facts"]).write();
        let mut command = std::process::Command::new("setpriv");
        command.args(["--groups", "7,8", "--"]).arg(&environment::get().floe).arg("--root").arg(&t.root);
        command.args(["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
        assert_eq!(t.run(command).ok().json()["groups"], groups);
    }
}
