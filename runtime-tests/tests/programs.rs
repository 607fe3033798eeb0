//! Programs that hold one kind of state each (`programs/*.c`) and find out for themselves whether it is still there,
//! each in every way of harness/subject.rs: `programs::WAY::PROGRAM`.

use crate::harness::subject::{self, Subject, Way};
use crate::harness::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const UNSUPPORTED: &str = include_str!("../programs/unsupported.txt");

const WAYS: [Way; 12] = [
    subject::PLAIN,
    subject::LEAVE_RUNNING,
    subject::RESTORE,
    subject::TWICE,
    subject::TO_CRIU,
    subject::FROM_CRIU,
    subject::CRIU,
    subject::RUNC,
    subject::CRUN,
    subject::RUNC_TO_CRIU,
    subject::RUNC_FROM_CRIU,
    subject::RUNC_TO_FLOE,
];

/// For memory, which is all that a pre-dump dumps, and for calls that are interrupted more than once.
const PRE_DUMP_WAYS: [Way; 5] = [
    subject::PRE_DUMPED,
    subject::PRE_DUMPED_SERVED,
    subject::PRE_DUMPED_TO_CRIU,
    subject::RUNC_PRE_DUMPED,
    subject::CRUN_PRE_DUMPED,
];
/// For memory that is large enough to be copied before the pause.
const LIVE_WAYS: [Way; 2] = [subject::LIVE, subject::LIVE_TO_CRIU];

/// For memory, and for what has it in common.
const LAZY_WAYS: [Way; 2] = [subject::LAZY, subject::SERVED];
/// For memory of many pages, of which some are wanted at once.
const LAZY_WAYS_OF_OTHERS: [Way; 9] = [
    subject::SERVED_CRIU,
    subject::LAZY_BY_CRIU,
    subject::LAZY_WITH_CRIU,
    subject::LAZY_FROM_CRIU,
    subject::LAZY_RUNC,
    subject::SERVED_BY_CRIU,
    subject::SERVED_WITH_CRIU,
    subject::SERVED_TO_CRIU,
    subject::SERVED_RUNC,
];

/// For programs that look at the clock, that know where the vdso was, and that have inherited it.
const ELSEWHERE: [&str; 5] = ["clocks", "memory_copy_on_write", "memory_layout", "threads", "tree"];

/// For programs that never rest.
const HARD: [&str; 4] = ["busy", "memory_written", "timers_often", "vfork_often"];
/// For programs that are touched by a dump elsewhere than in their memory: a link, a limit, a queue, a connection.
const TOUCHED: [&str; 6] = [
    "file_deleted_linked",
    "posix_queue",
    "pty_queued",
    "rlimit_memory",
    "tcp_established",
    "tcp_half_closed",
];
/// For programs whose state is taken out of the kernel and given back to it piece by piece.
const AGAIN: [&str; 5] =
    ["posix_queue", "tcp_established", "tcp_half_closed", "tcp_queues", "tcp_unacknowledged"];
const HARD_WAYS: [Way; 2] = [subject::KILLED, subject::TWENTY_TIMES];

pub(crate) fn cases() -> Vec<Case> {
    let mut names = subject::names("programs", "c");
    let mut cases = subject::cases("programs", &WAYS, &names, UNSUPPORTED, run);
    names.retain(|name| ["memory", "blocked", "busy", "tree"].iter().any(|part| name.starts_with(part)));
    cases.extend(subject::cases("programs", &PRE_DUMP_WAYS, &names, UNSUPPORTED, run));
    let is_memory = |name: &&String| ["memory", "busy", "tree"].iter().any(|part| name.starts_with(part));
    let lazy: Vec<String> = names.iter().filter(is_memory).cloned().chain(["threads".to_owned()]).collect();
    cases.extend(subject::cases("programs", &LAZY_WAYS, &lazy, UNSUPPORTED, run));
    let moved = ["memory_changed", "memory_large", "tree"].map(str::to_owned);
    cases.extend(subject::cases("programs", &LAZY_WAYS_OF_OTHERS, &moved, UNSUPPORTED, run));
    cases.push(Case::new("programs::lazy::daemon_is_killed", daemon_is_killed));
    cases.push(Case::new("programs::served::daemon_is_killed", daemon_of_a_dump_is_killed));
    let large = names.iter().filter(|name| ["memory_large", "memory_written"].contains(&name.as_str()));
    let large: Vec<String> = large.cloned().collect();
    cases.extend(subject::cases("programs", &LIVE_WAYS, &large, UNSUPPORTED, run));
    cases.extend(subject::cases("programs", &HARD_WAYS, &HARD.map(str::to_owned), UNSUPPORTED, run));
    let elsewhere = ELSEWHERE.map(str::to_owned);
    cases.extend(subject::cases("programs", &[subject::OTHER_KERNEL], &elsewhere, UNSUPPORTED, run));
    let again = AGAIN.map(str::to_owned);
    cases.extend(subject::cases("programs", &[subject::TWENTY_TIMES], &again, UNSUPPORTED, run));
    cases.extend(subject::cases(
        "programs",
        &[subject::KILLED],
        &TOUCHED.map(str::to_owned),
        UNSUPPORTED,
        run,
    ));
    cases
}

/// The program, compiled if it has not been.
fn build(program: &str) -> PathBuf {
    static COMPILER: Mutex<()> = Mutex::new(());
    let one_at_a_time = COMPILER.lock();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    let mut compiler = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/programs/compile.sh"));
    let output = compiler.arg(&directory).arg(program).output().expect("compile.sh runs");
    assert!(output.status.success(), "{program}.c: {}", String::from_utf8_lossy(&output.stderr));
    drop(one_at_a_time);
    directory.join(program)
}

/// Copies a program that is to be executed at once, by another process: a child that another thread of ours makes meanwhile
/// would have a descriptor of it that is open for writing, and such files the kernel does not execute (ETXTBSY).
pub(crate) fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().expect("cp runs");
    assert!(copied.success(), "copy {}", from.display());
}

/// A container for a program, not yet started.
pub(crate) struct Program {
    pub(crate) bundle: Bundle,
    /// The container's /state.
    pub(crate) state: PathBuf,
}

impl Program {
    /// `program` is its source's path in `programs`, without the extension.
    pub(crate) fn prepare(t: &mut Test, program: &str) -> Program {
        // As engines do it, the network is made before the container and belongs to somebody else.
        let network = t.network();
        Program::prepare_in(t, program, "program", &network)
    }

    /// One of several: with a name of its own, in a network that it may share.
    pub(crate) fn prepare_in(t: &mut Test, program: &str, name: &str, network: &Path) -> Program {
        let mut bundle = t.bundle();
        let built = build(program);
        let program = built.file_name().expect("name").to_str().expect("utf-8");
        copy_program(&built, &bundle.rootfs("bin").join(program));
        let state = t.path(name);
        fs::create_dir(&state).expect("mkdir");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("chmod");
        fs::create_dir(bundle.rootfs("state")).expect("mkdir");
        bundle.args([&format!("/bin/{program}")]).bind(&state, "/state", &["rbind", "rw"]);
        bundle.namespace("network", Some(network));
        Program { bundle, state }
    }
}

fn run(t: &mut Test, way: &Way, program: &str) {
    /// Two of these at a time leave floe so little of two processors that its patience may end.
    static HARD_AT_WORK: Mutex<()> = Mutex::new(());
    let _alone = HARD.contains(&program).then(|| HARD_AT_WORK.lock().unwrap_or_else(PoisonError::into_inner));
    let Program { mut bundle, state } = Program::prepare(t, program);
    adapt(program, &mut bundle);
    let _reserved = (program == "memory_hugetlb").then(HugePages::reserve);

    let mut subject = Subject::start(t, bundle, way.first);
    wait_for(&state, "ready");
    subject.go(way, |_| {});
    if program == "memory_flags" {
        // Where memory is still missing, the kernel shows that as a flag.
        subject.await_daemon();
    }
    if let Some(early) = result(&state) {
        panic!("before it was asked: {early}");
    }
    subject.call(&["kill"]).ok();
    wait_for(&state, "result");
    subject.finish();
}

/// What is missing then never reads as zeros: the container is killed, and the log says why.
fn daemon_is_killed(t: &mut Test) {
    let Program { bundle, state } = Program::prepare(t, "memory_large");
    let mut subject = Subject::start(t, bundle, subject::LAZY.first);
    wait_for(&state, "ready");
    subject.go(&subject::LAZY, |_| {});
    let mut daemon = subject.daemon.take().expect("a daemon");
    daemon.kill().expect("kill");
    assert!(!daemon.wait().expect("wait").success(), "it was done already");
    wait_until("the container has ended", || subject.call(&["state"]).json()["status"] == "stopped");
    let log = read(subject.images().join("restore.log"));
    assert!(log.contains("Error: lazy pages: the daemon ended before all memory was there"), "{log}");
    assert_eq!(result(&state), None);
    subject.finish();
}

/// The dump cannot be completed then: what was restored is killed, and the tasks go on where they were.
fn daemon_of_a_dump_is_killed(t: &mut Test) {
    let Program { bundle, state } = Program::prepare(t, "memory_large");
    let id = bundle.id.clone();
    let mut subject = Subject::start(t, bundle, subject::SERVED.first);
    wait_for(&state, "ready");
    let mut source = subject.serve(&[]);
    subject.restore_lazily(subject::SERVED.first, &source.server());
    let mut daemon = subject.daemon.take().expect("a daemon");
    daemon.kill().expect("kill");
    assert!(!daemon.wait().expect("wait").success(), "it was done already");
    assert_eq!(source.dump.wait().expect("wait").code(), Some(1));
    wait_until("what was restored has ended", || subject.call(&["state"]).json()["status"] == "stopped");
    subject.call(&["delete"]).ok();
    assert!(!subject.images().join("inventory.img").exists(), "there is a dump");
    assert_eq!(result(&state), None);
    subject.rename(&id);
    assert_eq!(subject.call(&["state"]).ok().json()["status"], "running");
    subject.call(&["kill"]).ok();
    wait_for(&state, "result");
    subject.finish();
}

/// Huge pages of the machine's, for one test at a time.
struct HugePages {
    before: String,
    _alone: MutexGuard<'static, ()>,
}

impl HugePages {
    const FILE: &str = "/proc/sys/vm/nr_hugepages";

    /// As many as the program and a restore of it need.
    fn reserve() -> HugePages {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let reserved = HugePages { before: read(Self::FILE), _alone: alone };
        // The kernel takes what it finds, which is less where memory is in pieces.
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            fs::write(Self::FILE, "24").expect("reserve huge pages");
            match read(Self::FILE).trim() {
                "24" => return reserved,
                found if Instant::now() > deadline => {
                    skip(format!("the kernel finds {found} of 24 huge pages"))
                }
                _ => fs::write("/proc/sys/vm/compact_memory", "1").expect("compact memory"),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        let _ = fs::write(Self::FILE, self.before.trim());
    }
}

/// Waits for a file that the program makes; panics when the program says that it has failed.
pub(crate) fn wait_for(state: &Path, name: &str) {
    let failure = || result(state).filter(|result| result != "pass");
    wait_until(name, || state.join(name).exists() || failure().is_some());
    if let Some(failure) = failure() {
        panic!("{failure}");
    }
}

fn result(state: &Path) -> Option<String> {
    fs::read_to_string(state.join("result")).ok()
}

/// What a program's container has that is not the default.
fn adapt(program: &str, bundle: &mut Bundle) {
    match program {
        "credentials" => {
            bundle.capabilities(&["CAP_SETUID", "CAP_SETGID", "CAP_KILL"]);
        }
        "capabilities" => {
            bundle.capabilities(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETPCAP"]);
        }
        "groups" => {
            bundle.capabilities(&["CAP_SETGID"]);
        }
        "no_new_privs" | "seccomp_filters" => {
            bundle.set("/process/noNewPrivileges", json!(false));
        }
        "seccomp_privileged" => {
            bundle.set("/process/noNewPrivileges", json!(false)).capabilities(&["CAP_SYS_ADMIN"]);
        }
        "chroot" => {
            bundle.capabilities(&["CAP_SYS_CHROOT"]);
        }
        "tcp_connecting" | "tcp_unacknowledged" => {
            // For a filter of a TCP socket.
            bundle.capabilities(&["CAP_NET_ADMIN"]);
        }
        "packets" | "packet_options" => {
            bundle.capabilities(&["CAP_NET_RAW"]);
        }
        "fanotify" => {
            bundle.capabilities(&["CAP_SYS_ADMIN"]);
        }
        "ns_uts" | "nested_uts" => {
            bundle.capabilities(&["CAP_SYS_ADMIN"]);
        }
        "mounts_own" | "nested_mounts" => {
            bundle.capabilities(&["CAP_SYS_ADMIN"]).set("/process/noNewPrivileges", json!(false));
        }
        "nested_user" => {
            // Who mounts sysfs must own the network.
            bundle.namespace("network", None);
            bundle.user_namespace(100_000, 65536).capabilities(&["CAP_SYS_ADMIN"]);
            bundle.set("/process/noNewPrivileges", json!(false));
        }
        "ns_user" | "ns_user_files" => {
            // Who mounts sysfs must own the network.
            bundle.namespace("network", None);
            bundle.user_namespace(100_000, 65536).capabilities(&[
                "CAP_SETUID",
                "CAP_SETGID",
                "CAP_CHOWN",
                "CAP_KILL",
            ]);
        }
        "cgroups" => {
            bundle.remove_mount("/sys/fs/cgroup");
            bundle.mount(
                "/sys/fs/cgroup",
                "cgroup",
                "cgroup",
                &["nosuid", "noexec", "nodev", "relatime", "rw"],
            );
        }
        "ns_time" => {
            bundle.namespace("time", None);
            bundle.set("/linux/timeOffsets/monotonic", json!({"secs": 1_000_000}));
            bundle.set("/linux/timeOffsets/boottime", json!({"secs": 2_000_000}));
        }
        "tmpfs" => {
            bundle.capabilities(&["CAP_CHOWN", "CAP_FOWNER", "CAP_FSETID"]);
            bundle.mount("/tmp", "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=1777"]);
            bundle.mount("/run", "tmpfs", "tmpfs", &["nosuid", "nodev", "size=16m"]);
        }
        "mounts" => {
            let state =
                bundle.spec["mounts"].as_array().expect("mounts").last().expect("state")["source"].clone();
            bundle.bind(Path::new(state.as_str().expect("path")), "/data/read-only", &["rbind", "ro"]);
        }
        _ => {}
    }
}
