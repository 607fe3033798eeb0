//! `linux.seccomp`: every action and operator, architectures, flags, and the listener that gets the notifications.
//!
//! The filtered call is munlockall: harmless, ignores its arguments, and no runtime or shell needs it.

use crate::cases;
use crate::harness::sockets::{FdSocket, answer_notifications};
use crate::harness::*;
use std::process::Command;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        filter_is_installed,
        no_filter_without_the_field,
        errno_default_is_eperm,
        allow_list,
        default_errno,
        unknown_syscall_is_skipped,
        unknown_action,
        unknown_operator,
        unknown_architecture,
        unknown_flag,
        two_conditions_must_both_hold,
        two_rules_either_holds,
        architectures_cover_the_32_bit_entry,
        other_architecture_is_killed,
        works_without_no_new_privileges,
        works_for_a_user,
        applies_to_exec,
        notify,
        notify_annotated_receiver,
        notify_metadata,
        notify_continue,
        notify_in_exec,
        notify_without_listener,
        notify_with_dead_listener,
        notify_default_action_is_refused,
    ];
    // Action and what the shell then reports: munlockall's own line or the status of a process that was killed.
    for (action, errno, expected) in [
        ("SCMP_ACT_ERRNO", Some(77), "ret=-1 errno=77\n0"),
        ("SCMP_ACT_KILL", None, "159"),
        ("SCMP_ACT_KILL_THREAD", None, "159"),
        ("SCMP_ACT_KILL_PROCESS", None, "159"),
        ("SCMP_ACT_TRAP", None, "159"),
        ("SCMP_ACT_TRACE", None, "ret=-1 errno=38\n0"),
        ("SCMP_ACT_LOG", None, "ret=0 errno=0\n0"),
        ("SCMP_ACT_ALLOW", None, "ret=0 errno=0\n0"),
    ] {
        let name = format!(
            "seccomp::action_{}{}",
            action[9..].to_lowercase(),
            errno.map_or(String::new(), |e| format!("_{e}"))
        );
        cases.push(Case::new(name, move |t| {
            let mut rule = json!({"names": ["munlockall"], "action": action});
            if let Some(errno) = errno {
                rule["errnoRet"] = json!(errno);
            }
            let default = if action == "SCMP_ACT_ALLOW" { "SCMP_ACT_LOG" } else { "SCMP_ACT_ALLOW" };
            let mut bundle = filtered(t, &[rule]);
            bundle.set("/linux/seccomp/defaultAction", json!(default));
            assert_eq!(t.sh(&mut bundle, "floe-probe syscall munlockall 2>/dev/null; echo $?"), expected);
        }));
    }
    // Operator, its value, then arguments that match and that do not.
    for (operator, value, two, matching, other) in [
        ("SCMP_CMP_EQ", 5u64, 0u64, &[5u64][..], &[4u64, 6, 5 << 32][..]),
        ("SCMP_CMP_NE", 5, 0, &[4, 6, 5 << 32], &[5]),
        ("SCMP_CMP_LT", 5, 0, &[0, 4], &[5, 6, u64::MAX]),
        ("SCMP_CMP_LE", 5, 0, &[4, 5], &[6, 1 << 40]),
        ("SCMP_CMP_GT", 5, 0, &[6, 1 << 40], &[5, 4]),
        ("SCMP_CMP_GE", 5, 0, &[5, 6, u64::MAX], &[4, 0]),
        ("SCMP_CMP_MASKED_EQ", 0xf0, 0x30, &[0x30, 0x3f, 0xf30], &[0x20, 0x70]),
        ("SCMP_CMP_EQ", 7 << 33, 0, &[7 << 33], &[7, 0]),
    ] {
        for index in [0usize, 5] {
            let name = format!("seccomp::operator_{}_{value}_arg{index}", operator[9..].to_lowercase());
            cases.push(Case::new(name, move |t| {
                let condition = json!({"index": index, "value": value, "valueTwo": two, "op": operator});
                let mut bundle = filtered(t, &[errno_rule(json!([condition]))]);
                let mut script = String::new();
                for argument in matching.iter().chain(other) {
                    script += &format!("floe-probe syscall munlockall {}0x{argument:x};", "0 ".repeat(index));
                }
                let output = t.sh(&mut bundle, &script);
                let results: Vec<bool> = output.lines().map(|line| line == "ret=-1 errno=77").collect();
                let expected: Vec<bool> =
                    matching.iter().map(|_| true).chain(other.iter().map(|_| false)).collect();
                assert_eq!(results, expected, "{output}");
            }));
        }
    }
    for flag in ["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"] {
        cases.push(Case::new(format!("seccomp::flag_{}", flag.to_lowercase()), move |t| {
            let mut bundle = filtered(t, &[errno_rule(json!([]))]);
            bundle.set("/linux/seccomp/flags", json!([format!("SECCOMP_FILTER_FLAG_{flag}")]));
            let socket = FdSocket::new(t.path("s"));
            if flag == "WAIT_KILLABLE_RECV" {
                // The kernel takes this flag only together with a listener.
                bundle.set("/linux/seccomp/listenerPath", json!(socket.path()));
                bundle.push(
                    "/linux/seccomp/syscalls",
                    json!({"names": ["getpgrp"], "action": "SCMP_ACT_NOTIFY"}),
                );
            }
            assert_eq!(t.sh(&mut bundle, "floe-probe syscall munlockall"), "ret=-1 errno=77");
        }));
    }
    cases
}

fn filtered(t: &mut Test, rules: &[Value]) -> Bundle {
    let mut bundle = t.bundle();
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}));
    bundle
}

fn errno_rule(conditions: Value) -> Value {
    json!({"names": ["munlockall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "args": conditions})
}

fn munlockall(t: &mut Test, bundle: &mut Bundle) -> String {
    t.sh(bundle, "floe-probe syscall munlockall")
}

fn filter_is_installed(t: &mut Test) {
    let mut bundle = filtered(t, &[errno_rule(json!([]))]);
    assert_eq!(t.facts(&mut bundle)["status"]["Seccomp"], "2");
}

fn no_filter_without_the_field(t: &mut Test) {
    let mut bundle = t.bundle();
    assert_eq!(t.facts(&mut bundle)["status"]["Seccomp"], "0");
}

fn errno_default_is_eperm(t: &mut Test) {
    let mut bundle = filtered(t, &[json!({"names": ["munlockall"], "action": "SCMP_ACT_ERRNO"})]);
    assert_eq!(munlockall(t, &mut bundle), "ret=-1 errno=1");
}

/// What a runtime needs after the filter, a static program and a shell.
const BASICS: &str = "read write writev open openat openat2 close close_range fstat newfstatat stat lstat lseek mmap \
    mprotect munmap mremap brk rt_sigaction rt_sigprocmask rt_sigreturn ioctl pread64 access faccessat faccessat2 \
    pipe pipe2 dup dup2 dup3 fcntl getpid execve execveat exit exit_group uname arch_prctl set_tid_address \
    set_robust_list rseq prlimit64 getrandom sigaltstack poll ppoll futex sched_getaffinity sched_yield gettid \
    tgkill kill readlink readlinkat prctl capget capset setuid setgid setgroups setresuid setresgid getdents64 \
    statx getuid geteuid getgid getegid getcwd chdir fchdir umask wait4 waitid clone clone3 vfork fork madvise \
    nanosleep clock_nanosleep clock_gettime getsid setsid recvmsg sendmsg recvfrom sendto socket connect \
    statfs fstatfs epoll_create1 epoll_ctl epoll_pwait eventfd2 tkill rt_sigtimedwait sched_getattr getpgid \
    getpgrp sysinfo time gettimeofday restart_syscall flock fchdir fchmod fchown keyctl ioprio_set seccomp";

fn allow_list(t: &mut Test) {
    let names: Vec<&str> = BASICS.split_whitespace().chain(["munlockall"]).collect();
    let mut bundle = filtered(t, &[json!({"names": names, "action": "SCMP_ACT_ALLOW"})]);
    bundle.set("/linux/seccomp/defaultAction", json!("SCMP_ACT_ERRNO"));
    let script = "floe-probe syscall munlockall; floe-probe syscall personality 0xffffffff";
    assert_eq!(t.sh(&mut bundle, script), "ret=0 errno=0\nret=-1 errno=1");
}

fn default_errno(t: &mut Test) {
    let names: Vec<&str> = BASICS.split_whitespace().collect();
    let mut bundle = filtered(t, &[json!({"names": names, "action": "SCMP_ACT_ALLOW"})]);
    bundle.set("/linux/seccomp/defaultAction", json!("SCMP_ACT_ERRNO"));
    bundle.set("/linux/seccomp/defaultErrnoRet", json!(99));
    assert_eq!(munlockall(t, &mut bundle), "ret=-1 errno=99");
}

fn unknown_syscall_is_skipped(t: &mut Test) {
    let rule = json!({"names": ["of_tomorrow", "munlockall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77});
    let mut bundle = filtered(t, &[rule]);
    assert_eq!(munlockall(t, &mut bundle), "ret=-1 errno=77");
}

fn refused_profile(t: &mut Test, pointer: &str, value: Value, word: &str) {
    let mut bundle = filtered(t, &[errno_rule(json!([{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]))]);
    bundle.set(pointer, value);
    t.run_bundle(&bundle).exits(1).refused(&[word]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn unknown_action(t: &mut Test) {
    refused_profile(t, "/linux/seccomp/syscalls/0/action", json!("SCMP_ACT_SHRUG"), "SCMP_ACT_SHRUG");
}

fn unknown_operator(t: &mut Test) {
    refused_profile(t, "/linux/seccomp/syscalls/0/args/0/op", json!("SCMP_CMP_ODD"), "SCMP_CMP_ODD");
}

fn unknown_architecture(t: &mut Test) {
    refused_profile(t, "/linux/seccomp/architectures", json!(["SCMP_ARCH_PDP11"]), "SCMP_ARCH_PDP11");
}

fn unknown_flag(t: &mut Test) {
    refused_profile(t, "/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_ODD"]), "SECCOMP_FILTER_FLAG_ODD");
}

fn two_conditions_must_both_hold(t: &mut Test) {
    let conditions = json!([
        {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
        {"index": 1, "value": 10, "op": "SCMP_CMP_GE"},
    ]);
    let mut bundle = filtered(t, &[errno_rule(conditions)]);
    let script = "floe-probe syscall munlockall 1 10; floe-probe syscall munlockall 1 9; floe-probe syscall munlockall 2 10";
    assert_eq!(t.sh(&mut bundle, script), "ret=-1 errno=77\nret=0 errno=0\nret=0 errno=0");
}

fn two_rules_either_holds(t: &mut Test) {
    let condition = |value: u64| json!([{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}]);
    let mut bundle = filtered(t, &[errno_rule(condition(1)), errno_rule(condition(2))]);
    let script =
        "floe-probe syscall munlockall 1; floe-probe syscall munlockall 2; floe-probe syscall munlockall 3";
    assert_eq!(t.sh(&mut bundle, script), "ret=-1 errno=77\nret=-1 errno=77\nret=0 errno=0");
}

fn need_32_bit() {
    let output = Command::new(&environment::get().probe).args(["int80", "20"]).output().expect("probe");
    if !cfg!(target_arch = "x86_64") || !output.status.success() || output.stdout.starts_with(b"ret=-") {
        skip("the kernel has no 32-bit entry");
    }
}

fn architectures_cover_the_32_bit_entry(t: &mut Test) {
    need_32_bit();
    let mut bundle = filtered(t, &[errno_rule(json!([]))]);
    bundle.set("/linux/seccomp/architectures", json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]));
    // 153 is munlockall, 20 getpid in the 32-bit table.
    let text = t.sh(
        &mut bundle,
        "floe-probe int80 153; floe-probe int80 20 | grep -c ret=-; floe-probe syscall munlockall",
    );
    assert_eq!(text, "ret=-77\n0\nret=-1 errno=77");
}

fn other_architecture_is_killed(t: &mut Test) {
    need_32_bit();
    let mut bundle = filtered(t, &[errno_rule(json!([]))]);
    bundle.set("/linux/seccomp/architectures", json!(["SCMP_ARCH_X86_64"]));
    assert_eq!(t.sh(&mut bundle, "floe-probe int80 20 2>/dev/null; echo $?"), "159");
}

fn works_without_no_new_privileges(t: &mut Test) {
    let mut bundle = filtered(t, &[errno_rule(json!([]))]);
    bundle.set("/process/noNewPrivileges", json!(false));
    assert_eq!(munlockall(t, &mut bundle), "ret=-1 errno=77");
}

fn works_for_a_user(t: &mut Test) {
    for no_new_privileges in [true, false] {
        let mut bundle = filtered(t, &[errno_rule(json!([]))]);
        bundle.set("/process/noNewPrivileges", json!(no_new_privileges)).capabilities(&[]);
        bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
        assert_eq!(munlockall(t, &mut bundle), "ret=-1 errno=77");
    }
}

fn applies_to_exec(t: &mut Test) {
    let mut bundle = filtered(t, &[errno_rule(json!([]))]);
    let container = t.start_holding(&mut bundle);
    let output = t.call(["exec", &container.id, "floe-probe", "syscall", "munlockall"]).ok();
    assert_eq!(output.text(), "ret=-1 errno=77");
}

fn notifying(t: &mut Test) -> (Bundle, FdSocket) {
    let socket = FdSocket::new(t.path("s"));
    let mut bundle = filtered(t, &[json!({"names": ["munlockall"], "action": "SCMP_ACT_NOTIFY"})]);
    bundle.set("/linux/seccomp/listenerPath", json!(socket.path()));
    bundle.args(["/bin/floe-probe", "syscall", "munlockall"]);
    (bundle, socket)
}

fn spawn_run(t: &mut Test, bundle: &Bundle) -> Running {
    bundle.write();
    let mut command = t.floe();
    command.arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    t.spawn(command)
}

fn notify(t: &mut Test) {
    let (bundle, socket) = notifying(t);
    let running = spawn_run(t, &bundle);
    let listener = socket.receive_fd();
    let numbers = answer_notifications(&listener, 55, 1);
    assert_eq!(numbers, [nix::libc::SYS_munlockall as i32]);
    assert_eq!(running.wait().ok().text(), "ret=-1 errno=55");
}

/// crun's annotation, for the time before listenerPath.
fn notify_annotated_receiver(t: &mut Test) {
    needs_floe();
    let (mut bundle, socket) = notifying(t);
    bundle.remove("/linux/seccomp/listenerPath");
    bundle.set("/annotations", json!({"run.oci.seccomp.receiver": socket.path()}));
    let running = spawn_run(t, &bundle);
    answer_notifications(&socket.receive_fd(), 55, 1);
    assert_eq!(running.wait().ok().text(), "ret=-1 errno=55");
    // Without a rule that notifies there is nothing to receive.
    let mut bundle = filtered(t, &[]);
    bundle.set("/annotations", json!({"run.oci.seccomp.receiver": "/no/such/socket"}));
    t.run_bundle(&bundle).quiet();
}

fn notify_metadata(t: &mut Test) {
    let (mut bundle, socket) = notifying(t);
    bundle.set("/linux/seccomp/listenerMetadata", json!("some metadata"));
    let running = spawn_run(t, &bundle);
    let (bytes, fds) = socket.receive();
    let state: Value = serde_json::from_slice(&bytes).expect("container process state");
    assert_eq!(state["metadata"], "some metadata");
    assert_eq!(state["fds"], json!(["seccompFd"]));
    assert_eq!(state["state"]["id"], bundle.id.as_str());
    assert_eq!(state["state"]["bundle"], bundle.dir.to_str().expect("utf-8"));
    assert!(state["pid"].as_i64().expect("pid") > 1, "{state}");
    assert!(state["ociVersion"].is_string(), "{state}");
    answer_notifications(&fds[0], 55, 1);
    running.wait().ok();
}

fn notify_continue(t: &mut Test) {
    let (bundle, socket) = notifying(t);
    let running = spawn_run(t, &bundle);
    assert_eq!(answer_notifications(&socket.receive_fd(), -1, 1).len(), 1);
    assert_eq!(running.wait().ok().text(), "ret=0 errno=0");
}

fn notify_in_exec(t: &mut Test) {
    let (mut bundle, socket) = notifying(t);
    bundle.args(["/bin/floe-probe", "hold"]);
    let container = t.start(&bundle);
    let first = socket.receive_fd();
    let mut command = t.floe();
    command.args(["exec", &container.id, "/bin/floe-probe", "syscall", "munlockall"]);
    let running = t.spawn(command);
    answer_notifications(&socket.receive_fd(), 56, 1);
    assert_eq!(running.wait().ok().text(), "ret=-1 errno=56");
    drop(first);
}

fn notify_without_listener(t: &mut Test) {
    let (mut bundle, _socket) = notifying(t);
    bundle.remove("/linux/seccomp/listenerPath");
    t.run_bundle(&bundle).exits(1).refused(&["listenerPath"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn notify_with_dead_listener(t: &mut Test) {
    let (mut bundle, _socket) = notifying(t);
    bundle.set("/linux/seccomp/listenerPath", json!("/no/such/socket"));
    t.run_bundle(&bundle).exits(1).refused(&["/no/such/socket"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn notify_default_action_is_refused(t: &mut Test) {
    let (mut bundle, _socket) = notifying(t);
    bundle.set("/linux/seccomp/defaultAction", json!("SCMP_ACT_NOTIFY"));
    t.run_bundle(&bundle).exits(1).refused(&["SCMP_ACT_NOTIFY"]);
    assert_eq!(t.leftovers(), [""; 0]);
}
