//! Programs that hold one kind of state each (`programs/*.c`) and find out for themselves whether it is still there,
//! each in as many ways as there are: only run, dumped and left running, dumped and restored, and with CRIU on the
//! other side.
//!
//! A case is `programs::WAY::PROGRAM`. The ways with CRIU need `FLOE_CRIU`, a directory with runc and criu (`make
//! test-criu`). What one of the two tools cannot do is in `programs/unsupported.txt`, with the reason; `--ignored` runs
//! those cases all the same.

use crate::harness::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

const UNSUPPORTED: &str = include_str!("../programs/unsupported.txt");

#[derive(Clone, Copy, PartialEq)]
enum Runtime {
    Floe,
    /// runc with CRIU.
    Criu,
}

struct Way {
    name: &'static str,
    /// Who runs the container, and dumps it.
    first: Runtime,
    then: Then,
}

enum Then {
    GoOn,
    DumpAndGoOn,
    DumpAndRestore(Runtime),
}

const WAYS: [Way; 6] = [
    Way { name: "plain", first: Runtime::Floe, then: Then::GoOn },
    Way { name: "leave_running", first: Runtime::Floe, then: Then::DumpAndGoOn },
    Way { name: "restore", first: Runtime::Floe, then: Then::DumpAndRestore(Runtime::Floe) },
    Way { name: "to_criu", first: Runtime::Floe, then: Then::DumpAndRestore(Runtime::Criu) },
    Way { name: "from_criu", first: Runtime::Criu, then: Then::DumpAndRestore(Runtime::Floe) },
    // Says nothing about floe: whether the program is right.
    Way { name: "criu", first: Runtime::Criu, then: Then::DumpAndRestore(Runtime::Criu) },
];

impl Way {
    fn needs_criu(&self) -> bool {
        self.first == Runtime::Criu || matches!(self.then, Then::DumpAndRestore(Runtime::Criu))
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let mut programs: Vec<String> = fs::read_dir(&directory)
        .unwrap_or_else(|e| panic!("{}: {e}", directory.display()))
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "c"))
        .map(|path| path.file_stem().expect("stem").to_string_lossy().into_owned())
        .collect();
    programs.sort();
    let criu = criu_directory().is_some();
    let mut cases = Vec::new();
    for way in WAYS.iter().filter(|way| criu || !way.needs_criu()) {
        for program in &programs {
            let program = program.clone();
            let name = format!("programs::{}::{program}", way.name);
            let mut case = Case::new(name.clone(), move |t| run(t, way, &program));
            case.ignored = unsupported(&name);
            cases.push(case);
        }
    }
    cases
}

/// Where runc and criu are, absolute.
pub(crate) fn criu_directory() -> Option<PathBuf> {
    let directory = std::env::var_os("FLOE_CRIU")?;
    Some(fs::canonicalize(&directory).unwrap_or_else(|e| panic!("FLOE_CRIU={}: {e}", directory.display())))
}

/// Why a case is not run.
fn unsupported(name: &str) -> Option<String> {
    let lines = UNSUPPORTED.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut reasons = lines.filter_map(|line| {
        let (pattern, reason) = line.split_once(": ").unwrap_or_else(|| panic!("unsupported.txt: {line}"));
        matches(pattern, name.strip_prefix("programs::")?).then(|| reason.to_owned())
    });
    reasons.next()
}

/// `*` at either end of a pattern stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    if let Some(end) = pattern.strip_prefix('*') {
        name.ends_with(end)
    } else if let Some(start) = pattern.strip_suffix('*') {
        name.starts_with(start)
    } else {
        name == pattern
    }
}

/// Compiles a program unless what is there is newer than its source.
fn build(program: &str) -> PathBuf {
    static COMPILER: Mutex<()> = Mutex::new(());
    let one_at_a_time = COMPILER.lock();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    fs::create_dir_all(&directory).expect("mkdir");
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

fn run(t: &mut Test, way: &Way, program: &str) {
    let mut bundle = t.bundle();
    fs::copy(build(program), bundle.rootfs("bin").join(program)).expect("copy the program");
    let state = t.path("program");
    fs::create_dir(&state).expect("mkdir");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("chmod");
    fs::create_dir(bundle.rootfs("state")).expect("mkdir");
    bundle.args([&format!("/bin/{program}")]).bind(&state, "/state", &["rbind", "rw"]);
    // As engines do it, the network is made before the container and belongs to the engine.
    let mut holder = Command::new("unshare");
    holder.args(["--net", "sh", "-c", "ip link set lo up && exec sleep 1000"]);
    let holder = t.helper(holder);
    wait_until("a network namespace", || read(format!("/proc/{holder}/comm")) == "sleep\n");
    bundle.namespace("network", Some(Path::new(&format!("/proc/{holder}/ns/net"))));
    adapt(program, &mut bundle);

    let mut subject = Subject { t, bundle, state, runtime: way.first };
    subject.start();
    match way.then {
        Then::GoOn => {}
        Then::DumpAndGoOn => {
            subject.dump(&["--leave-running"]);
            assert_eq!(subject.call(&["state"]).ok().json()["status"], "running");
        }
        Then::DumpAndRestore(runtime) => {
            subject.dump(&[]);
            let deleted = subject.call(&["state"]);
            assert!(deleted.code != 0, "the container is still there: {}", deleted.stdout);
            subject.runtime = runtime;
            subject.restore();
        }
    }
    subject.finish();
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
        "ns_user" => {
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

/// A container with a program in it.
struct Subject<'a> {
    t: &'a mut Test,
    bundle: Bundle,
    /// The container's /state.
    state: PathBuf,
    runtime: Runtime,
}

impl Subject<'_> {
    /// The runtime that has the container now, with its own --root and an empty environment.
    fn command(&self) -> Command {
        if self.runtime == Runtime::Floe {
            let mut command = self.t.floe();
            if let Some(directory) = criu_directory() {
                command.env("PATH", search_path(&directory));
            }
            return command;
        }
        runc(self.t)
    }

    /// Runs `RUNTIME ARGUMENTS... ID`.
    fn call(&mut self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments).arg(&self.bundle.id);
        self.t.run(command)
    }

    /// Runs `RUNTIME VERB --detach --bundle BUNDLE ... ID`. What it says goes to a log, because the container has its
    /// standard streams.
    fn call_detached(&mut self, verb: &str, arguments: &[&str]) {
        let log = self.t.path(format!("{verb}.log"));
        let mut command = self.command();
        command.arg("--log").arg(&log).arg(verb).arg("--detach").arg("--bundle").arg(&self.bundle.dir);
        command.args(arguments).arg(&self.bundle.id);
        let code = self.t.run_silent(command);
        assert!(code == 0, "{verb}: exit {code}\n{}\n{}", read(&log), self.engine_log());
    }

    fn start(&mut self) {
        self.bundle.write();
        self.call_detached("run", &[]);
        self.wait_for("ready");
    }

    fn dump(&mut self, arguments: &[&str]) {
        let images = self.t.path("images");
        fs::create_dir(&images).expect("mkdir");
        let path = images.to_str().expect("utf-8");
        let options = ["--image-path", path, "--work-path", path, "--tcp-established", "--file-locks"];
        // floe needs no permission to link a file back.
        let link_remap: &[&str] = if self.runtime == Runtime::Criu { &["--link-remap"] } else { &[] };
        let output = self.call(&[&["checkpoint"], &options[..], link_remap, arguments].concat());
        assert!(
            output.code == 0,
            "checkpoint: exit {}\n{}\n{}",
            output.code,
            output.stderr,
            self.engine_log()
        );
        assert!(images.join("inventory.img").exists(), "no inventory");
    }

    fn restore(&mut self) {
        let images = self.t.path("images");
        let path = images.to_str().expect("utf-8");
        let options = ["--image-path", path, "--work-path", path, "--tcp-established", "--file-locks"];
        self.call_detached("restore", &options);
    }

    /// Lets the program go on, and reads what it says.
    fn finish(&mut self) {
        if let Some(early) = self.result() {
            panic!("before it was asked: {early}");
        }
        self.call(&["kill"]).ok();
        self.wait_for("result");
        let result = self.result().expect("result");
        assert!(result == "pass", "{result}");
        let stopped = |subject: &mut Self| subject.call(&["state"]).json()["status"] == "stopped";
        wait_until("the program has ended", || stopped(self));
        self.call(&["delete"]).ok();
    }

    fn wait_for(&mut self, name: &str) {
        let file = self.state.join(name);
        wait_until(name, || file.exists() || self.result().is_some_and(|result| result != "pass"));
        if let Some(result) = self.result().filter(|result| result != "pass") {
            panic!("{result}");
        }
    }

    fn result(&self) -> Option<String> {
        fs::read_to_string(self.state.join("result")).ok()
    }

    /// What the engine has noted: its errors, each with a few lines before it.
    fn engine_log(&self) -> String {
        let mut text = String::new();
        for name in ["dump.log", "restore.log"] {
            let log = read(self.t.path("images").join(name));
            let lines: Vec<&str> = log.lines().collect();
            let is_error = |line: &&str| line.to_lowercase().contains("error");
            text += &format!("{name}:\n");
            for (at, line) in lines.iter().enumerate() {
                if lines[at..lines.len().min(at + 5)].iter().any(is_error) {
                    text += &format!("  {line}\n");
                }
            }
        }
        text
    }
}

impl Drop for Subject<'_> {
    /// A test ends its own runtime's containers, not the peer's.
    fn drop(&mut self) {
        if self.runtime == Runtime::Criu {
            let _ =
                self.command().args(["delete", "--force", &self.bundle.id]).stderr(Stdio::null()).status();
        }
    }
}

/// runc with CRIU, with its own --root and an empty environment.
pub(crate) fn runc(t: &Test) -> Command {
    let directory = criu_directory().expect("FLOE_CRIU is set");
    let mut command = Command::new(directory.join("runc"));
    // The network is the engine's; CRIU would lock it with iptables.
    let options = t.path("criu.conf");
    fs::write(&options, "network-lock skip\n").expect("write");
    command.env_clear().env("PATH", search_path(&directory)).env("CRIU_CONFIG_FILE", options);
    command.current_dir(&t.dir).arg("--root").arg(t.path("runc"));
    command
}

fn search_path(first: &Path) -> String {
    format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", first.display())
}
