//! Containers that are dumped and restored, by floe, by runc with CRIU, and by runc and crun with floe in CRIU's place: the
//! ways to do so, and the container on its way.
//!
//! The ways with others need `FLOE_CRIU`, a directory with runc, crun and criu (`make test-criu`); without it their cases
//! do not exist. What one of the two tools cannot do is in a list with its reason, and not run unless asked for (`--ignored`).

use super::other_kernel::change_vdsos;
use super::{Bundle, Case, Output, Test, need_kernel, read, wait_until};
use std::fs::{self, File};
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Runtime {
    Floe,
    /// runc with CRIU.
    Criu,
    /// runc and crun, whose `criu` is floe.
    Runc,
    Crun,
}

/// What happens to a container between two looks at it.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// Who runs the container, and dumps it first.
    pub(crate) first: Runtime,
    pub(crate) then: Then,
}

pub(crate) enum Then {
    GoOn,
    DumpAndGoOn,
    /// One after the other; each dumps what it has restored for the next.
    DumpAndRestore(&'static [Runtime]),
    /// The dump is the last of three, each with the one before it as its parent.
    PreDumpAndRestore(Runtime),
    /// With images of another kernel; what was restored is dumped and restored once more.
    DumpElsewhereAndRestore,
    /// By `by` with memory that `daemon` fills while it runs.
    DumpAndRestoreLazily {
        by: Runtime,
        daemon: Runtime,
    },
    /// The same with memory that the dump has left where it is, and serves.
    ServeAndRestore {
        by: Runtime,
        daemon: Runtime,
    },
    /// The same after a pre-dump, which has what was not written since then.
    PreDumpServeAndRestore,
    /// Left running by the dump, and killed.
    DumpLiveAndRestore(Runtime),
    KillDumps,
}

impl Way {
    fn needs_others(&self) -> bool {
        self.first != Runtime::Floe
            || match self.then {
                Then::DumpAndRestore(runtimes) => runtimes.iter().any(|runtime| *runtime != Runtime::Floe),
                Then::DumpAndRestoreLazily { by, daemon } | Then::ServeAndRestore { by, daemon } => {
                    (by, daemon) != (Runtime::Floe, Runtime::Floe)
                }
                Then::PreDumpAndRestore(runtime) | Then::DumpLiveAndRestore(runtime) => {
                    runtime != Runtime::Floe
                }
                _ => false,
            }
    }
}

const fn way(name: &'static str, first: Runtime, then: Then) -> Way {
    Way { name, first, then }
}

use Runtime::{Criu, Crun, Floe, Runc};

pub(crate) const PLAIN: Way = way("plain", Floe, Then::GoOn);
pub(crate) const LEAVE_RUNNING: Way = way("leave_running", Floe, Then::DumpAndGoOn);
pub(crate) const RESTORE: Way = way("restore", Floe, Then::DumpAndRestore(&[Floe]));
/// A restored container is as good as any.
pub(crate) const TWICE: Way = way("twice", Floe, Then::DumpAndRestore(&[Floe, Floe]));
pub(crate) const TWENTY_TIMES: Way = way("twenty_times", Floe, Then::DumpAndRestore(&[Floe; 20]));
pub(crate) const PRE_DUMPED: Way = way("pre_dumped", Floe, Then::PreDumpAndRestore(Floe));
pub(crate) const PRE_DUMPED_TO_CRIU: Way = way("pre_dumped_to_criu", Floe, Then::PreDumpAndRestore(Criu));
pub(crate) const PRE_DUMPED_SERVED: Way = way("pre_dumped_served", Floe, Then::PreDumpServeAndRestore);
pub(crate) const LIVE: Way = way("live", Floe, Then::DumpLiveAndRestore(Floe));
pub(crate) const LIVE_TO_CRIU: Way = way("live_to_criu", Floe, Then::DumpLiveAndRestore(Criu));
pub(crate) const LAZY: Way = way("lazy", Floe, Then::DumpAndRestoreLazily { by: Floe, daemon: Floe });
pub(crate) const LAZY_BY_CRIU: Way =
    way("lazy_by_criu", Floe, Then::DumpAndRestoreLazily { by: Criu, daemon: Floe });
pub(crate) const LAZY_WITH_CRIU: Way =
    way("lazy_with_criu", Floe, Then::DumpAndRestoreLazily { by: Floe, daemon: Criu });
pub(crate) const LAZY_FROM_CRIU: Way =
    way("lazy_from_criu", Criu, Then::DumpAndRestoreLazily { by: Floe, daemon: Floe });
pub(crate) const LAZY_RUNC: Way =
    way("lazy_runc", Runc, Then::DumpAndRestoreLazily { by: Runc, daemon: Floe });
pub(crate) const SERVED: Way = way("served", Floe, Then::ServeAndRestore { by: Floe, daemon: Floe });
pub(crate) const SERVED_BY_CRIU: Way =
    way("served_by_criu", Criu, Then::ServeAndRestore { by: Floe, daemon: Floe });
pub(crate) const SERVED_CRIU: Way =
    way("served_criu", Criu, Then::ServeAndRestore { by: Criu, daemon: Criu });
pub(crate) const SERVED_WITH_CRIU: Way =
    way("served_with_criu", Floe, Then::ServeAndRestore { by: Floe, daemon: Criu });
pub(crate) const SERVED_TO_CRIU: Way =
    way("served_to_criu", Floe, Then::ServeAndRestore { by: Criu, daemon: Criu });
pub(crate) const SERVED_RUNC: Way =
    way("served_runc", Runc, Then::ServeAndRestore { by: Runc, daemon: Floe });
pub(crate) const OTHER_KERNEL: Way = way("other_kernel", Floe, Then::DumpElsewhereAndRestore);
/// Dumped by a floe that is killed at any moment, `FLOE_KILLS` times (60).
pub(crate) const KILLED: Way = way("killed", Floe, Then::KillDumps);
pub(crate) const TO_CRIU: Way = way("to_criu", Floe, Then::DumpAndRestore(&[Criu]));
pub(crate) const FROM_CRIU: Way = way("from_criu", Criu, Then::DumpAndRestore(&[Floe]));
/// Says nothing about floe: whether the test is right.
pub(crate) const CRIU: Way = way("criu", Criu, Then::DumpAndRestore(&[Criu]));

pub(crate) const RUNC: Way = way("runc", Runc, Then::DumpAndRestore(&[Runc, Runc]));
pub(crate) const CRUN: Way = way("crun", Crun, Then::DumpAndRestore(&[Crun, Crun]));
pub(crate) const RUNC_LEAVE_RUNNING: Way = way("runc_leave_running", Runc, Then::DumpAndGoOn);
pub(crate) const RUNC_PRE_DUMPED: Way = way("runc_pre_dumped", Runc, Then::PreDumpAndRestore(Runc));
pub(crate) const CRUN_PRE_DUMPED: Way = way("crun_pre_dumped", Crun, Then::PreDumpAndRestore(Crun));
pub(crate) const RUNC_TO_CRIU: Way = way("runc_to_criu", Runc, Then::DumpAndRestore(&[Criu]));
pub(crate) const RUNC_FROM_CRIU: Way = way("runc_from_criu", Criu, Then::DumpAndRestore(&[Runc]));
/// From one runtime to the other.
pub(crate) const RUNC_TO_FLOE: Way = way("runc_to_floe", Runc, Then::DumpAndRestore(&[Floe, Runc]));

/// A case `MODULE::WAY::NAME` per way and name, without those that need what is not there.
pub(crate) fn cases(
    module: &str,
    ways: &'static [Way],
    names: &[String],
    unsupported: &str,
    run: fn(&mut Test, &Way, &str),
) -> Vec<Case> {
    let criu = criu_directory().is_some();
    let mut cases = Vec::new();
    for way in ways.iter().filter(|way| criu || !way.needs_others()) {
        for name in names {
            let own = name.clone();
            let name = format!("{}::{name}", way.name);
            let mut case = Case::new(format!("{module}::{name}"), move |t| run(t, way, &own));
            case.ignored = reason(unsupported, &name);
            cases.push(case);
        }
    }
    cases
}

/// The names of the files of a directory of the tests with this extension, sorted.
pub(crate) fn names(directory: &str, extension: &str) -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut names: Vec<String> = fs::read_dir(&directory)
        .unwrap_or_else(|e| panic!("{}: {e}", directory.display()))
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .map(|path| path.file_stem().expect("stem").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Why a case is not run, from lines `PATTERN: REASON`.
fn reason(unsupported: &str, name: &str) -> Option<String> {
    let lines = unsupported.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut reasons = lines.filter_map(|line| {
        let (pattern, reason) = line.split_once(": ").unwrap_or_else(|| panic!("unsupported: {line}"));
        matches(pattern, name).then(|| reason.to_owned())
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

/// Where runc and criu are, absolute.
pub(crate) fn criu_directory() -> Option<PathBuf> {
    let directory = std::env::var_os("FLOE_CRIU")?;
    Some(fs::canonicalize(&directory).unwrap_or_else(|e| panic!("FLOE_CRIU={}: {e}", directory.display())))
}

/// runc with CRIU, with its own --root and an empty environment.
pub(crate) fn runc(t: &Test) -> Command {
    other(t, "runc", &criu_directory().expect("FLOE_CRIU is set"))
}

/// runc or crun, whose `criu` is floe.
pub(crate) fn with_floe(t: &Test, name: &str) -> Command {
    other(t, name, &floe_as_criu(t))
}

/// runc or crun, with what is called criu in a directory.
fn other(t: &Test, name: &str, criu: &Path) -> Command {
    let directory = criu_directory().expect("FLOE_CRIU is set");
    let mut command = Command::new(directory.join(name));
    // The network is the engine's; CRIU would lock it with iptables. crun has no option for links.
    let options = t.path("criu.conf");
    fs::write(&options, "network-lock skip\nlink-remap\n").expect("write");
    command.env_clear().env("PATH", search_path(criu)).env("CRIU_CONFIG_FILE", options);
    command.current_dir(&t.dir);
    match name {
        // It asks for its masks at a restore below --root, at a checkpoint only here.
        "crun" => command.env("XDG_RUNTIME_DIR", &t.dir),
        _ => command.arg("--root").arg(t.path(name)),
    };
    command
}

/// A directory where floe is called criu.
fn floe_as_criu(t: &Test) -> PathBuf {
    let directory = t.path("floe-criu");
    let link = directory.join("criu");
    if !link.exists() {
        fs::create_dir(&directory).expect("mkdir");
        symlink(&super::environment::get().floe, link).expect("symlink");
    }
    directory
}

/// A container and who has it now.
pub(crate) struct Subject<'a> {
    t: &'a mut Test,
    bundle: Bundle,
    runtime: Runtime,
    dumps: u32,
    /// Who fills its memory.
    pub(crate) daemon: Option<Child>,
}

impl<'a> Subject<'a> {
    /// Starts the container.
    pub(crate) fn start(t: &'a mut Test, bundle: Bundle, runtime: Runtime) -> Subject<'a> {
        bundle.write();
        let mut subject = Subject { t, bundle, runtime, dumps: 0, daemon: None };
        subject.call_detached("run", &[]);
        subject
    }

    /// Goes the way from beginning to end, with a look after every restore.
    pub(crate) fn go(&mut self, way: &Way, mut look: impl FnMut(&mut Subject)) {
        if matches!(
            way.then,
            Then::PreDumpAndRestore(_) | Then::PreDumpServeAndRestore | Then::DumpLiveAndRestore(_)
        ) {
            need_kernel(6, 7, "userfaultfd with WP_ASYNC");
        }
        match way.then {
            Then::GoOn => {}
            Then::DumpAndGoOn => {
                self.dump(&["--leave-running"]);
                assert_eq!(self.call(&["state"]).ok().json()["status"], "running");
                look(self);
            }
            Then::KillDumps => {
                let count = std::env::var("FLOE_KILLS").map_or(60, |count| count.parse().expect("a number"));
                self.kill_dumps(count);
                look(self);
            }
            Then::PreDumpAndRestore(runtime) => {
                self.dump(&["--pre-dump"]);
                for last in [&["--pre-dump"][..], &[]] {
                    let parent = format!("../images-{}", self.dumps);
                    // Time to change what was dumped.
                    std::thread::sleep(Duration::from_millis(50));
                    self.dump(&[last, &["--parent-path", &parent]].concat());
                    let link = fs::read_link(self.images().join("parent")).expect("pages in the parent");
                    assert_eq!(link, Path::new(&parent));
                }
                self.runtime = runtime;
                self.restore();
                for number in 1..self.dumps {
                    fs::remove_dir_all(self.t.path(format!("images-{number}"))).expect("remove images");
                }
                look(self);
            }
            Then::DumpLiveAndRestore(runtime) => {
                self.dump(&["--leave-running"]);
                let log = read(self.images().join("dump.log"));
                assert!(log.contains("put memory together"), "not copied before the pause: {log}");
                self.call(&["delete", "--force"]).ok();
                self.runtime = runtime;
                self.restore();
                look(self);
            }
            Then::DumpAndRestoreLazily { by, daemon } => {
                // As in a restore by CRIU that is not lazy.
                let is_foreign = (self.runtime, by) == (Floe, Criu);
                self.dump(if is_foreign { &["--network-lock", "skip"] } else { &[] });
                self.runtime = by;
                self.restore_lazily(daemon, &[]);
                look(self);
            }
            Then::ServeAndRestore { by, daemon } => {
                let is_foreign = (self.runtime, by) == (Floe, Criu);
                let options: &[&str] = if is_foreign { &["--network-lock", "skip"] } else { &[] };
                self.serve_and_restore(by, daemon, options);
                look(self);
            }
            Then::PreDumpServeAndRestore => {
                self.dump(&["--pre-dump"]);
                let parent = format!("../images-{}", self.dumps);
                std::thread::sleep(Duration::from_millis(50));
                self.serve_and_restore(Floe, Floe, &["--parent-path", &parent]);
                look(self);
            }
            Then::DumpElsewhereAndRestore => {
                self.dump(&[]);
                assert!(change_vdsos(&self.images()) > 4, "not so many functions");
                self.restore();
                look(self);
                self.dump(&[]);
                self.restore();
                look(self);
            }
            Then::DumpAndRestore(runtimes) => {
                for &runtime in runtimes {
                    // CRIU is told not to lock, and then does not unlock what floe has left locked either.
                    let is_foreign = (self.runtime, runtime) == (Floe, Criu);
                    self.dump(if is_foreign { &["--network-lock", "skip"] } else { &[] });
                    if self.runtime != Criu && runtime == Criu {
                        self.check_with_crit();
                    }
                    let deleted = self.call(&["state"]);
                    assert!(deleted.code != 0, "the container is still there: {}", deleted.stdout);
                    self.runtime = runtime;
                    self.restore();
                    look(self);
                }
            }
        }
    }

    /// crit reads the images and writes the same again.
    fn check_with_crit(&mut self) {
        let tree = criu_directory().expect("FLOE_CRIU").with_file_name("sid");
        let mut crit = Command::new("unshare");
        crit.args([
            "--mount",
            "sh",
            "-c",
            "mount --bind \"$1\" \"$2\"/mnt && exec chroot \"$2\" python3 -c \"$3\"",
            "sh",
        ]);
        crit.arg(self.images()).arg(tree).arg(include_str!("crit.py"));
        self.t.run(crit).ok();
    }

    /// The runtime that has the container now, with its own --root and an empty environment.
    fn command(&self) -> Command {
        match self.runtime {
            Floe => {
                let mut command = self.t.floe();
                if let Some(directory) = criu_directory() {
                    command.env("PATH", search_path(&directory));
                }
                command
            }
            Criu => runc(self.t),
            Runc => with_floe(self.t, "runc"),
            Crun => with_floe(self.t, "crun"),
        }
    }

    /// Runs `RUNTIME ARGUMENTS... ID`.
    pub(crate) fn call(&mut self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments).arg(&self.bundle.id);
        self.t.run(command)
    }

    /// Runs `RUNTIME exec ID COMMAND...`.
    pub(crate) fn exec(&mut self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.arg("exec").arg(&self.bundle.id).args(arguments);
        self.t.run(command)
    }

    /// Ends with the container: it stops by itself, and is deleted.
    pub(crate) fn finish(&mut self) {
        self.await_daemon();
        wait_until("the program has ended", || self.call(&["state"]).json()["status"] == "stopped");
        self.call(&["delete"]).ok();
    }

    /// Until no memory is missing.
    pub(crate) fn await_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let status = daemon.wait().expect("wait");
            assert!(status.success(), "the daemon: {status}\n{}", read(self.images().join("lazy-pages.log")));
        }
    }

    /// Dumps with memory that is served to whoever restores it, under another name because this one is still there.
    pub(crate) fn serve(&mut self, arguments: &[&str]) -> Served {
        self.dumps += 1;
        let images = self.images();
        fs::create_dir(&images).expect("mkdir");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|any| any.local_addr()).expect("a port").port();
        let mut command = self.command();
        command.args(["checkpoint", "--lazy-pages", "--page-server", &format!("127.0.0.1:{port}")]);
        command.args([
            "--status-fd",
            "1",
            "--tcp-established",
            "--file-locks",
            "--link-remap",
            "--image-path",
        ]);
        command.arg(&images).arg("--work-path").arg(&images).args(arguments).arg(&self.bundle.id);
        let log = File::create(self.t.path("serve.log")).expect("create");
        let mut dump =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("spawn");
        let mut ready = [1];
        let told = dump.stdout.take().expect("a pipe").read(&mut ready).expect("read");
        assert_eq!((told, ready), (1, [0]), "{}\n{}", read(self.t.path("serve.log")), self.engine_log());
        let (id, path) = (&self.bundle.id, self.bundle.spec["linux"]["cgroupsPath"].as_str());
        let (id, path) = (format!("{id}-moved"), format!("{}-moved", path.expect("a path")));
        self.bundle.set("/linux/cgroupsPath", path.into());
        self.bundle.write();
        self.rename(&id);
        Served { dump, port }
    }

    fn serve_and_restore(&mut self, by: Runtime, daemon: Runtime, options: &[&str]) {
        let mut source = self.serve(options);
        self.runtime = by;
        self.restore_lazily(daemon, &source.server());
        self.await_daemon();
        source.ends_well();
    }

    /// What is said from now on is said to another container.
    pub(crate) fn rename(&mut self, id: &str) {
        id.clone_into(&mut self.bundle.id);
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

    pub(crate) fn images(&self) -> PathBuf {
        self.t.path(format!("images-{}", self.dumps))
    }

    fn dump(&mut self, arguments: &[&str]) {
        self.dumps += 1;
        let images = self.images();
        let path = images.to_str().expect("utf-8");
        let options = ["--image-path", path, "--work-path", path, "--tcp-established", "--file-locks"];
        let link_remap = if self.runtime == Crun { &[][..] } else { &["--link-remap"] };
        let arguments = [&["checkpoint"], &options[..], link_remap, arguments].concat();
        for tries_left in (0..3).rev() {
            fs::create_dir(&images).expect("mkdir");
            let output = self.call(&arguments);
            if output.code == 0 {
                break;
            }
            let (number, code, stderr, log) = (self.dumps, output.code, output.stderr, self.engine_log());
            // CRIU cannot seize a task that waits for its vfork child to execute, as shells often do.
            let again =
                self.runtime == Runtime::Criu && log.contains("Unseizable non-zombie") && tries_left > 0;
            assert!(again, "checkpoint {number}: exit {code}\n{stderr}\n{log}");
            fs::remove_dir_all(&images).expect("remove images");
        }
        assert!(images.join("inventory.img").exists(), "no inventory");
    }

    /// Restores the last dump, which is not needed any more then.
    fn restore(&mut self) {
        let images = self.images();
        let path = images.to_str().expect("utf-8");
        let options = ["--image-path", path, "--work-path", path, "--tcp-established", "--file-locks"];
        self.call_detached("restore", &options);
        fs::remove_dir_all(&images).expect("remove images");
    }

    /// Restores the last dump with memory that a daemon fills, which may not be done yet.
    /// `server` is where the daemon gets what the dump has left.
    pub(crate) fn restore_lazily(&mut self, daemon: Runtime, server: &[String]) {
        let images = self.images();
        let mut command = match daemon {
            Criu => {
                need_kernel(6, 15, "PIDFD_INFO_EXIT");
                Command::new(criu_directory().expect("FLOE_CRIU").join("criu"))
            }
            _ => {
                let mut command = Command::new(self.t.floe().get_program());
                command.arg("criu");
                command
            }
        };
        command.args(["lazy-pages", "--no-default-config", "--log-file", "lazy-pages.log", "--images-dir"]);
        command
            .arg(&images)
            .args(server)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.daemon = Some(command.spawn().expect("spawn"));
        wait_until("the daemon listens", || images.join("lazy-pages.socket").exists());
        let path = images.to_str().expect("utf-8");
        let options = ["--image-path", path, "--work-path", path, "--tcp-established", "--file-locks"];
        self.call_detached("restore", &[&options[..], &["--lazy-pages"]].concat());
    }

    /// Begins dumps that leave the container running, and kills floe at moments from the first to the last of one.
    fn kill_dumps(&mut self, count: u32) {
        let began = Instant::now();
        self.dump(&["--leave-running"]);
        let whole = began.elapsed();
        let images = self.t.path("killed");
        for instant in 0..count {
            let mut command = self.command();
            command
                .arg("checkpoint")
                .args(["--leave-running", "--link-remap", "--tcp-established"])
                .arg("--image-path")
                .arg(&images)
                .arg(&self.bundle.id);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut floe = command.spawn().expect("spawn");
            std::thread::sleep(whole * instant / count);
            let _ = floe.kill();
            floe.wait().expect("wait");
            // Whoever has to thaw it needs a moment.
            let mut status = String::new();
            for _ in 0..500 {
                status = self.call(&["state"]).ok().json()["status"].as_str().expect("text").to_owned();
                if status == "running" {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            assert_eq!(status, "running", "after instant {instant}: {}", read(self.t.path("program/result")));
            let _ = fs::remove_dir_all(&images);
        }
    }

    /// What the engine has noted: its errors, each with a few lines before it.
    fn engine_log(&self) -> String {
        let mut text = String::new();
        for name in ["dump.log", "restore.log"] {
            let log = read(self.images().join(name));
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
        if self.runtime != Floe {
            let _ =
                self.command().args(["delete", "--force", &self.bundle.id]).stderr(Stdio::null()).status();
        }
    }
}

fn search_path(first: &Path) -> String {
    format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", first.display())
}

/// A dump that serves memory.
pub(crate) struct Served {
    pub(crate) dump: Child,
    port: u16,
}

impl Served {
    /// Options of the daemon.
    pub(crate) fn server(&self) -> [String; 5] {
        ["--page-server", "--address", "127.0.0.1", "--port", &self.port.to_string()].map(str::to_owned)
    }

    /// The container has gone to the other side.
    fn ends_well(&mut self) {
        let status = self.dump.wait().expect("wait");
        assert!(status.success(), "the dump: {status}");
    }
}
