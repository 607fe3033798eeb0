//! Programs that hold one kind of state each (`programs/*.c`) and find out for themselves whether it is still there,
//! each in every way of harness/subject.rs: `programs::WAY::PROGRAM`.

use crate::harness::subject::{self, Subject, Way};
use crate::harness::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

const UNSUPPORTED: &str = include_str!("../programs/unsupported.txt");

const WAYS: [Way; 7] = [
    subject::PLAIN,
    subject::LEAVE_RUNNING,
    subject::RESTORE,
    subject::TWICE,
    subject::TO_CRIU,
    subject::FROM_CRIU,
    subject::CRIU,
];

/// For memory, which is all that a pre-dump dumps, and for calls that are interrupted more than once.
const PRE_DUMP_WAYS: [Way; 2] = [subject::PRE_DUMPED, subject::PRE_DUMPED_TO_CRIU];

/// For programs that never rest.
const HARD: [&str; 2] = ["busy", "vfork_often"];
/// For programs that are touched by a dump elsewhere than in their memory: a link, a limit, a queue.
const TOUCHED: [&str; 3] = ["file_deleted_linked", "pty_queued", "rlimit_memory"];
const HARD_WAYS: [Way; 2] = [subject::KILLED, subject::TWENTY_TIMES];

pub(crate) fn cases() -> Vec<Case> {
    let mut names = subject::names("programs", "c");
    let mut cases = subject::cases("programs", &WAYS, &names, UNSUPPORTED, run);
    names.retain(|name| ["memory", "blocked", "busy", "tree"].iter().any(|part| name.starts_with(part)));
    cases.extend(subject::cases("programs", &PRE_DUMP_WAYS, &names, UNSUPPORTED, run));
    cases.extend(subject::cases("programs", &HARD_WAYS, &HARD.map(str::to_owned), UNSUPPORTED, run));
    cases.extend(subject::cases(
        "programs",
        &[subject::KILLED],
        &TOUCHED.map(str::to_owned),
        UNSUPPORTED,
        run,
    ));
    cases
}

/// Compiles a program unless what is there is newer than its source.
fn build(program: &str) -> PathBuf {
    static COMPILER: Mutex<()> = Mutex::new(());
    let one_at_a_time = COMPILER.lock();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    fs::create_dir_all(directory.join("refused")).expect("mkdir");
    let (source, built) = (sources.join(format!("{program}.c")), directory.join(program));
    let time = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    let headers = ["program.h", "seccomp.h"].map(|name| time(&sources.join(name)));
    let newest = headers.into_iter().fold(time(&source), Option::max);
    if time(&built) <= newest {
        let new = directory.join(format!("{program}.{}", std::process::id()));
        let mut compiler = Command::new("cc");
        compiler.args([
            "-std=gnu11",
            "-O1",
            "-g",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-static",
            "-pthread",
            "-o",
        ]);
        let output = compiler.arg(&new).arg(&source).output().expect("cc runs");
        assert!(output.status.success(), "cc {program}.c: {}", String::from_utf8_lossy(&output.stderr));
        fs::rename(&new, &built).expect("rename");
    }
    drop(one_at_a_time);
    built
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
        let mut bundle = t.bundle();
        let built = build(program);
        let name = built.file_name().expect("name").to_str().expect("utf-8");
        fs::copy(&built, bundle.rootfs("bin").join(name)).expect("copy the program");
        let state = t.path("program");
        fs::create_dir(&state).expect("mkdir");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("chmod");
        fs::create_dir(bundle.rootfs("state")).expect("mkdir");
        bundle.args([&format!("/bin/{name}")]).bind(&state, "/state", &["rbind", "rw"]);
        // As engines do it, the network is made before the container and belongs to somebody else.
        let network = t.network();
        bundle.namespace("network", Some(&network));
        Program { bundle, state }
    }
}

fn run(t: &mut Test, way: &Way, program: &str) {
    let Program { mut bundle, state } = Program::prepare(t, program);
    adapt(program, &mut bundle);

    let mut subject = Subject::start(t, bundle, way.first);
    wait_for(&state, "ready");
    subject.go(way, |_| {});
    if let Some(early) = result(&state) {
        panic!("before it was asked: {early}");
    }
    subject.call(&["kill"]).ok();
    wait_for(&state, "result");
    subject.finish();
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
        "ns_uts" => {
            bundle.capabilities(&["CAP_SYS_ADMIN"]);
        }
        "mounts_own" => {
            bundle.capabilities(&["CAP_SYS_ADMIN"]).set("/process/noNewPrivileges", json!(false));
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
