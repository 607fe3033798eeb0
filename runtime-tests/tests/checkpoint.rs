//! What surrounds the processes at a checkpoint and a restore: streams, terminals, hooks, mounts, namespaces, cgroup, exit
//! status, and what is left when it fails. The state of processes themselves is in programs.rs.
//!
//! With `FLOE_CRIU` each case runs a second time as `checkpoint::from_criu::NAME`, where runc and CRIU run and dump the
//! container that floe restores; but for those that are about floe's own dump.

use crate::harness::sockets::{FdSocket, Terminal, open_pty};
use crate::harness::subject::{criu_directory, runc};
use crate::harness::*;
use crate::programs::{self, Program};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Dumper {
    Floe,
    Criu,
}

type Body = fn(&mut Scene<'_>);

pub(crate) fn cases() -> Vec<Case> {
    let any: [(&str, Body); 12] = [
        ("goes_on", goes_on),
        ("attached", attached),
        ("streams", streams),
        ("terminal", terminal),
        ("hooks", hooks),
        ("mounts_are_those_of_config", mounts_are_those_of_config),
        ("cgroup_is_that_of_config", cgroup_is_that_of_config),
        ("restored_twice", restored_twice),
        ("pid_file_and_images_are_needed", pid_file_and_images_are_needed),
        ("missing_program", missing_program),
        ("killed_restore", killed_restore),
        ("killed_at_any_instant", killed_at_any_instant),
    ];
    let own: [(&str, Body); 13] = [
        ("no_start", no_start),
        ("no_start_takes_a_cgroup", no_start_takes_a_cgroup),
        ("no_start_killed_at_any_instant", no_start_killed_at_any_instant),
        ("start_killed_at_any_instant", start_killed_at_any_instant),
        ("notify_socket", notify_socket),
        ("paused", paused),
        ("pre_dumps_that_are_no_parents", pre_dumps_that_are_no_parents),
        ("processes_of_exec_are_named", processes_of_exec_are_named),
        ("processes_of_exec_are_waited_for", processes_of_exec_are_waited_for),
        ("attached_run_ends", attached_run_ends),
        ("pid_namespace_of_others", pid_namespace_of_others),
        ("pids_of_the_host", pids_of_the_host),
        ("user_namespace", user_namespace),
    ];
    let case =
        |name: &str, dumper: Dumper, body: Body| Case::new(name, move |t| Scene::play(t, dumper, body));
    let mut cases: Vec<Case> = any
        .iter()
        .chain(&own)
        .map(|(name, body)| case(&format!("checkpoint::{name}"), Dumper::Floe, *body))
        .collect();
    if criu_directory().is_some() {
        let from_criu = |(name, body): &(&str, Body)| {
            case(&format!("checkpoint::from_criu::{name}"), Dumper::Criu, *body)
        };
        cases.extend(any.iter().map(from_criu));
    }
    cases.push(Case::new("checkpoint::progress_is_shown", progress_is_shown));
    cases
}

/// Counts in /state/count, of which only a restored one goes on, and says so on standard output. SIGTERM ends it with 5.
/// The count is a link's target: a file that is open when it is dumped must be there again whenever it is restored.
const COUNTER: &str = "
    echo started >> /state/started
    trap 'echo end; exit 5' TERM
    i=0
    while true; do
        i=$((i + 1))
        ln -sf $i /state/new && mv /state/new /state/count
        echo count $i
        sleep 0.05
    done";

/// A container, what it writes to, and who has it.
pub(crate) struct Scene<'a> {
    pub(crate) t: &'a mut Test,
    pub(crate) bundle: Bundle,
    dumper: Dumper,
    /// The container's /state.
    state: PathBuf,
    pub(crate) images: PathBuf,
}

impl Scene<'_> {
    pub(crate) fn play(t: &mut Test, dumper: Dumper, body: Body) {
        needs_floe();
        let mut bundle = t.bundle();
        let (state, images) = (t.path("container"), t.path("images"));
        fs::create_dir(&state).expect("mkdir");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("chmod");
        bundle.bind(&state, "/state", &["rbind", "rw"]).args(["sh", "-c", COUNTER]);
        let mut scene = Scene { t, bundle, dumper, state, images };
        body(&mut scene);
        if dumper == Dumper::Criu {
            // A test ends its own runtime's containers, not the peer's.
            let _ =
                scene.runtime().args(["delete", "--force", &scene.bundle.id]).stderr(Stdio::null()).status();
        }
    }

    /// Who runs the container before the restore.
    fn runtime(&self) -> Command {
        match self.dumper {
            Dumper::Floe => self.t.floe(),
            Dumper::Criu => runc(self.t),
        }
    }

    fn script(&mut self, script: &str) -> &mut Bundle {
        self.bundle.args(["sh", "-c", script])
    }

    /// `VERB --detach --bundle BUNDLE OPTIONS... ID`, of whichever runtime `command` is, without streams.
    fn detached(&mut self, mut command: Command, verb: &str, options: &[&str]) {
        self.bundle.write();
        let log = self.t.path(format!("{verb}.log"));
        let mut line = Command::new(command.get_program());
        line.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        line.arg("--log").arg(&log).args(command.get_args()).current_dir(&self.t.dir);
        line.args([verb, "--detach", "--bundle"]).arg(&self.bundle.dir).args(options).arg(&self.bundle.id);
        command = line;
        let code = self.t.run_silent(command);
        assert!(code == 0, "{verb}: exit {code}\n{}\n{}", read(&log), self.engine_log());
    }

    pub(crate) fn run(&mut self) {
        let command = self.runtime();
        self.detached(command, "run", &[]);
    }

    fn dump(&mut self, options: &[&str]) {
        let mut command = self.runtime();
        command.arg("checkpoint").arg("--image-path").arg(&self.images).args(options).arg(&self.bundle.id);
        let output = self.t.run(command);
        assert!(output.code == 0, "checkpoint: {}\n{}", output.stderr, self.engine_log());
    }

    /// `run`, until the counter has counted, and `dump`. The result is the last number.
    fn count_and_dump(&mut self) -> u64 {
        self.run();
        self.wait_for_count(3);
        self.dump(&[]);
        self.count()
    }

    /// The line `floe restore`, without the id.
    fn restoring(&self, options: &[&str]) -> Command {
        let mut command = self.t.floe();
        command
            .arg("restore")
            .arg("--image-path")
            .arg(&self.images)
            .arg("--work-path")
            .arg(self.t.path("work"));
        command.arg("--bundle").arg(&self.bundle.dir).args(options);
        command
    }

    pub(crate) fn restore(&mut self, options: &[&str]) {
        let (images, work) = (self.images.clone(), self.t.path("work"));
        let paths = ["--image-path", path(&images), "--work-path", path(&work)];
        let command = self.t.floe();
        self.detached(command, "restore", &[&paths[..], options].concat());
    }

    pub(crate) fn call(&mut self, verb: &str, rest: &[&str]) -> Output {
        let id = self.bundle.id.clone();
        self.t.call([&[verb, &id], rest].concat())
    }

    pub(crate) fn count(&self) -> u64 {
        let count = fs::read_link(self.state.join("count")).ok();
        count.and_then(|count| count.to_str()?.parse().ok()).unwrap_or(0)
    }

    /// While it does not run: what the next one is to go on from.
    fn set_count(&self, count: u64) {
        let link = self.state.join("count");
        fs::remove_file(&link).expect("remove");
        symlink(count.to_string(), link).expect("symlink");
    }

    #[track_caller]
    pub(crate) fn wait_for_count(&self, least: u64) {
        wait_until(&format!("count {least}"), || self.count() >= least);
    }

    /// It is the same process, which has counted on.
    #[track_caller]
    pub(crate) fn expect_to_go_on(&self, from: u64) {
        self.wait_for_count(from + 3);
        assert_eq!(read(self.state.join("started")), "started\n", "it was started again");
    }

    #[track_caller]
    pub(crate) fn expect_gone(&mut self) {
        self.call("state", &[]).exits(1).refused(&["does not exist"]);
        assert_eq!(self.t.leftovers(), [""; 0]);
    }

    fn engine_log(&self) -> String {
        let logs = [self.images.join("dump.log"), self.t.path("work/restore.log")];
        logs.iter().map(|log| format!("{}:\n{}", log.display(), read(log))).collect()
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("utf-8")
}

/// What conmon and containerd rely on when `restore --detach` returns.
fn goes_on(scene: &mut Scene<'_>) {
    let count = scene.count_and_dump();
    if scene.dumper == Dumper::Floe {
        scene.expect_gone();
        assert!(scene.images.join("dump.log").exists() && scene.images.join("stats-dump").exists());
    }
    let pid_file = scene.t.path("pid");
    scene.restore(&["--pid-file", path(&pid_file)]);
    let pid = read(&pid_file);
    let state = scene.call("state", &[]).ok().json();
    assert_eq!((&state["status"], state["pid"].to_string()), (&json!("running"), pid.clone()));
    assert!(read(format!("/proc/{pid}/cgroup")).contains(&scene.bundle.id), "{pid} is elsewhere");
    for file in ["restore.log", "stats-restore"] {
        assert!(scene.t.path("work").join(file).exists(), "{file}");
    }
    scene.expect_to_go_on(count);
    let seen = scene.call("exec", &["cat", "/state/started"]).ok();
    assert_eq!(seen.text(), "started");
    scene.call("pause", &[]).quiet();
    scene.call("resume", &[]).quiet();
    scene.call("kill", &["TERM"]).quiet();
    let id = scene.bundle.id.clone();
    scene.t.wait_status(&id, "stopped");
    scene.call("delete", &[]).quiet();
    scene.expect_gone();
}

/// As `run` does: streams, signals, exit status, and nothing is left.
fn attached(scene: &mut Scene<'_>) {
    let count = scene.count_and_dump();
    scene.bundle.write();
    let mut command = scene.restoring(&[]);
    command.arg(&scene.bundle.id);
    let restored = scene.t.spawn(command);
    scene.expect_to_go_on(count);
    restored.signal(libc::SIGTERM);
    restored.wait().exits(5);
    scene.expect_gone();
}

/// Standard streams are the caller's: pipes of the first are replaced by pipes of the second.
fn streams(scene: &mut Scene<'_>) {
    scene.script("while read word; do echo error $word >&2; echo got $word; done; echo end").set(
        // CRIU takes no console from a container that has none, and pipes are all that runc gives back.
        "/process/terminal",
        json!(false),
    );
    scene.bundle.write();
    let talk = |mut command: Command, word: &str, out: &Path| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(fs::File::create(out).expect("a file for errors"));
        let mut child = command.spawn().expect("spawn");
        let (mut input, output) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
        let status = child.wait().expect("wait");
        assert!(status.success(), "{command:?}: {status}\n{}", read(out));
        writeln!(input, "{word}").expect("write");
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).expect("read");
        assert_eq!(line, format!("got {word}\n"));
        (input, output)
    };
    let errors = scene.t.path("errors");
    let mut command = scene.runtime();
    // CRIU cannot dump a file from outside.
    let merged = if scene.dumper == Dumper::Criu { "2>&1" } else { "" };
    if scene.dumper == Dumper::Criu {
        scene.script("while read word; do echo got $word; done; echo end");
        scene.bundle.write();
        let mut shell = Command::new("/bin/sh");
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(&scene.t.dir).args(["-c", &format!("exec \"$@\" {merged}"), "sh"]);
        shell.arg(command.get_program()).args(command.get_args());
        command = shell;
    }
    command.args(["run", "--detach", "--bundle"]).arg(&scene.bundle.dir).arg(&scene.bundle.id);
    let first = talk(command, "one", &errors);
    scene.dump(&[]);
    drop(first);

    let mut command = scene.restoring(&["--detach"]);
    command.arg(&scene.bundle.id);
    let (input, mut output) = talk(command, "two", &scene.t.path("errors.2"));
    drop(input);
    let mut rest = String::new();
    while output.read_line(&mut rest).expect("read") > 0 {}
    assert_eq!(rest, "end\n");
    if scene.dumper == Dumper::Floe {
        assert_eq!(
            (read(&errors), read(scene.t.path("errors.2"))),
            ("error one\n".to_owned(), "error two\n".to_owned())
        );
    }
    scene.call("delete", &["--force"]).quiet();
}

/// A new terminal takes the place of the old one, whose size and settings it gets.
fn terminal(scene: &mut Scene<'_>) {
    scene.script("stty -echo; echo ready; while read word; do echo got $word; done");
    scene.bundle.set("/process/terminal", json!(true));
    let console = |scene: &mut Scene<'_>, command: Command, verb: &str, options: &[&str]| {
        let socket = FdSocket::new(scene.t.path(format!("console.{verb}")));
        let name = socket.path().to_owned();
        scene.detached(command, verb, &[&["--console-socket", &name], options].concat());
        Terminal::new(socket.receive_fd())
    };
    let command = scene.runtime();
    let mut first = console(scene, command, "run", &[]);
    first.expect("ready");
    first.resize(33, 77);
    first.write("one\n");
    first.expect("got one");
    scene.dump(&[]);
    drop(first);
    let (command, images) = (scene.t.floe(), scene.images.clone());
    let mut second = console(scene, command, "restore", &["--image-path", path(&images)]);
    second.write("two\n");
    let seen = second.expect("got two");
    assert!(!seen.contains("\ntwo"), "it echoes: {seen}");
    assert_eq!(second.size(), [33, 77]);
    let inside = scene.call("exec", &["readlink", "/proc/1/fd/0"]).ok();
    assert_eq!(inside.text(), "/dev/pts/0");
    scene.call("delete", &["--force"]).quiet();
}

/// A dump takes over pages only from the dump since which writes were tracked. Where that is another, or nobody has
/// tracked them, it is whole.
fn pre_dumps_that_are_no_parents(scene: &mut Scene<'_>) {
    need_kernel(6, 7, "userfaultfd with WP_ASYNC");
    scene.run();
    scene.wait_for_count(3);
    let pre_dump = |scene: &mut Scene<'_>, name: &str| {
        scene.images = scene.t.path(name);
        scene.dump(&["--pre-dump"]);
        fs::read(scene.t.path(format!("state/{}/pre-dump.json", scene.bundle.id))).expect("the record")
    };
    let dump = |scene: &mut Scene<'_>, name: &str, parent: &str, has_parent: bool| {
        scene.images = scene.t.path(name);
        scene.dump(&["--leave-running", "--parent-path", parent]);
        assert_eq!(scene.images.join("parent").exists(), has_parent, "{name}");
    };
    let first: Value = serde_json::from_slice(&pre_dump(scene, "one")).expect("JSON");
    dump(scene, "a", "../one", true);
    let second: Value = serde_json::from_slice(&pre_dump(scene, "two")).expect("JSON");
    let is_there = |record: &Value| Path::new(&format!("/proc/{}", record["holder"])).exists();
    wait_until("the first holder has ended", || !is_there(&first));
    dump(scene, "b", "../one", false);
    dump(scene, "c", "../two", true);
    // Somebody ends the holder of the second.
    let holder = second["holder"].as_i64().expect("a pid");
    let holder = nix::unistd::Pid::from_raw(holder as i32);
    nix::sys::signal::kill(holder, nix::sys::signal::Signal::SIGKILL).expect("it is there");
    wait_until("the second holder has ended", || !is_there(&second));
    dump(scene, "d", "../two", false);
    let third: Value = serde_json::from_slice(&pre_dump(scene, "three")).expect("JSON");
    dump(scene, "e", "../three", true);
    scene.call("delete", &["--force"]).quiet();
    wait_until("the third holder has ended", || !is_there(&third));
    // Another dump at the place of the parent.
    fs::rename(scene.t.path("two"), scene.t.path("three.new")).expect("rename");
    fs::remove_dir_all(scene.t.path("three")).expect("remove");
    fs::rename(scene.t.path("three.new"), scene.t.path("three")).expect("rename");
    let mut command = scene.restoring(&["--detach"]);
    command.arg(&scene.bundle.id);
    scene.t.run(command).exits(1).refused(&["parent: ../three is not the dump that was there"]);
    scene.expect_gone();
}

/// Those of `create` run again, those of `start` do not, and poststop hooks run after each of the two lives.
fn hooks(scene: &mut Scene<'_>) {
    const KINDS: [&str; 5] = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    let order = scene.t.path("order");
    let count = scene.count_and_dump();
    for kind in KINDS {
        let script = format!("echo {kind} >> {}", order.display());
        let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", script]});
        scene.bundle.push(&format!("/hooks/{kind}"), hook);
    }
    let inside = json!({"path": "/bin/touch", "args": ["touch", "/state/startContainer"]});
    scene.bundle.push("/hooks/startContainer", inside);
    scene.restore(&[]);
    scene.expect_to_go_on(count);
    assert_eq!(read(&order), "prestart\ncreateRuntime\ncreateContainer\n");
    assert!(!scene.state.join("startContainer").exists());
    scene.call("delete", &["--force"]).quiet();
    assert!(read(&order).ends_with("createContainer\npoststop\n"), "{}", read(&order));
}

/// Of a mount from outside the images have a name only: what is there is what config.json says now.
fn mounts_are_those_of_config(scene: &mut Scene<'_>) {
    for name in ["before", "after"] {
        fs::create_dir(scene.t.path(name)).expect("mkdir");
        fs::write(scene.t.path(name).join("name"), name).expect("write");
    }
    let before = scene.t.path("before");
    scene.bundle.bind(&before, "/data", &["bind", "rw"]);
    let count = scene.count_and_dump();
    scene.bundle.remove_mount("/data");
    let after = scene.t.path("after");
    scene.bundle.bind(&after, "/data", &["bind", "ro"]);
    scene.restore(&[]);
    scene.expect_to_go_on(count);
    assert_eq!(scene.call("exec", &["cat", "/data/name"]).ok().text(), "after");
    let refused = scene.call("exec", &["touch", "/data/new"]);
    assert!(refused.code != 0 && refused.stderr.contains("Read-only"), "{}", refused.stderr);
    scene.call("delete", &["--force"]).quiet();
}

fn cgroup_is_that_of_config(scene: &mut Scene<'_>) {
    let count = scene.count_and_dump();
    let other = scene.t.id();
    let cgroup = format!("/{}/{other}", environment::get().cgroup);
    scene.bundle.set("/linux/cgroupsPath", json!(cgroup));
    scene.restore(&[]);
    scene.expect_to_go_on(count);
    let processes = read(cgroup_dir(&other).join("cgroup.procs"));
    assert!(processes.lines().count() >= 1, "nobody is in {cgroup}");
    scene.call("delete", &["--force"]).quiet();
}

/// Images are only read, and containers that come from them have nothing in common.
fn restored_twice(scene: &mut Scene<'_>) {
    let count = scene.count_and_dump();
    let images = scene.images.clone();
    for turn in 0..2 {
        if turn == 1 {
            scene.bundle.id = scene.t.id();
            let cgroup = format!("/{}/{}", environment::get().cgroup, scene.bundle.id);
            let state = scene.t.path("container.2");
            fs::create_dir(&state).expect("mkdir");
            scene.bundle.remove_mount("/state").bind(&state, "/state", &["rbind", "rw"]);
            scene.bundle.set("/linux/cgroupsPath", json!(cgroup));
            scene.state = state;
        }
        scene.restore(&[]);
        scene.wait_for_count(count + 3);
    }
    assert!(images.join("inventory.img").exists());
    let ids = scene.t.call(["list", "-q"]).ok();
    assert_eq!(ids.stdout.lines().count(), 2, "{}", ids.stdout);
}

fn pid_file_and_images_are_needed(scene: &mut Scene<'_>) {
    scene.count_and_dump();
    let gone = scene.t.path("nothing/pid");
    let mut command = scene.restoring(&["--detach", "--pid-file", path(&gone)]);
    command.arg(&scene.bundle.id);
    scene.t.run(command).exits(1).refused(&["--pid-file", "no such file or directory"]);
    scene.expect_gone();
    fs::remove_file(scene.images.join("pstree.img")).expect("remove");
    let mut command = scene.restoring(&["--detach"]);
    command.arg(&scene.bundle.id);
    scene.t.run(command).exits(1).refused(&["pstree.img"]);
    scene.expect_gone();
}

/// A failure when processes are there already: they end, and so does everything else that was made for them.
fn missing_program(scene: &mut Scene<'_>) {
    let count = scene.count_and_dump();
    let (busybox, away) = (scene.bundle.rootfs("bin/busybox"), scene.t.path("busybox"));
    fs::rename(&busybox, &away).expect("rename");
    let pid_file = scene.t.path("pid");
    let mut command = scene.restoring(&["--detach", "--pid-file", path(&pid_file)]);
    command.arg(&scene.bundle.id);
    scene.t.run(command).exits(1).refused(&["busybox"]);
    assert!(read(scene.t.path("work/restore.log")).contains("Error: "), "{}", scene.engine_log());
    assert!(!pid_file.exists());
    scene.expect_gone();
    fs::rename(&away, &busybox).expect("rename");
    scene.restore(&[]);
    scene.expect_to_go_on(count);
    scene.call("delete", &["--force"]).quiet();
}

/// floe dies half-way: no process of the container outlives it, and the rest can be deleted.
fn killed_restore(scene: &mut Scene<'_>) {
    scene.count_and_dump();
    let hook = json!({"path": "/bin/sleep", "args": ["sleep", "1000"]});
    scene.bundle.push("/hooks/createRuntime", hook).write();
    let mut command = scene.restoring(&["--detach"]);
    command.arg(&scene.bundle.id);
    let restore = scene.t.spawn(command);
    let (pid, cgroup) = (restore.pid(), cgroup_dir(&scene.bundle.id).join("cgroup.procs"));
    let children = format!("/proc/{pid}/task/{pid}/children");
    let find_hook = || {
        let is_hook = |pid: &i32| read(format!("/proc/{pid}/comm")) == "sleep\n";
        read(&children).split_whitespace().filter_map(|pid| pid.parse().ok()).find(is_hook)
    };
    wait_until("the hook", || find_hook().is_some());
    let hook = find_hook().expect("the hook");
    restore.signal(libc::SIGKILL);
    restore.wait().exits(137);
    wait_until("the end of init", || read(&cgroup).is_empty());
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(hook), nix::sys::signal::Signal::SIGKILL)
        .expect("kill");
    scene.call("delete", &["--force"]).quiet();
    scene.expect_gone();
}

/// Whenever floe dies: either the container runs, or none of its processes does.
fn killed_at_any_instant(scene: &mut Scene<'_>) {
    const INSTANTS: u32 = 40;
    let count = scene.count_and_dump();
    let began = Instant::now();
    scene.restore(&[]);
    let whole = began.elapsed();
    scene.call("delete", &["--force"]).quiet();
    let mut lived = 0;
    for instant in 0..INSTANTS {
        scene.set_count(count);
        let mut command = scene.restoring(&["--detach"]);
        command.arg(&scene.bundle.id).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut restore = command.spawn().expect("spawn");
        std::thread::sleep(whole * instant / INSTANTS);
        let _ = restore.kill();
        restore.wait().expect("wait");
        let processes = || read(cgroup_dir(&scene.bundle.id).join("cgroup.procs")).lines().count();
        wait_until(&format!("instant {instant}: a whole container or none"), || {
            processes() == 0 || scene.count() > count + 1
        });
        lived += u32::from(processes() > 0);
        scene.call("delete", &["--force"]).quiet();
        scene.expect_gone();
    }
    assert!(lived < INSTANTS, "it never died in time");
}

/// It waits for its start as a created container does: nothing of it runs, and it is there for everybody.
fn no_start(scene: &mut Scene<'_>) {
    let order = scene.t.path("order");
    let count = scene.count_and_dump();
    for kind in ["createRuntime", "poststart", "poststop"] {
        let script = format!("echo {kind} >> {}", order.display());
        scene
            .bundle
            .push(&format!("/hooks/{kind}"), json!({"path": "/bin/sh", "args": ["sh", "-c", script]}));
    }
    let (id, pid_file) = (scene.bundle.id.clone(), scene.t.path("pid"));
    let restore = |scene: &mut Scene<'_>| {
        scene.restore(&["--no-start", "--pid-file", path(&pid_file)]);
        let state = scene.call("state", &[]).ok().json();
        assert_eq!((&state["status"], state["pid"].to_string()), (&json!("created"), read(&pid_file)));
    };
    restore(scene);
    assert!(scene.t.call(["list"]).ok().stdout.contains(" created "));
    scene.call("exec", &["true"]).exits(255).refused(&["frozen until its start"]);
    scene.call("pause", &[]).exits(1).refused(&["frozen until its start"]);
    scene.call("resume", &[]).exits(1).refused(&["container not paused"]);
    let images = scene.t.path("again");
    let arguments = ["checkpoint", "--image-path", path(&images), &id];
    scene.t.call(arguments).exits(1).refused(&["cannot be checkpointed in created state"]);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((scene.count(), read(&order)), (count, "createRuntime\n".to_owned()));

    scene.call("start", &[]).quiet();
    assert_eq!(scene.t.status(&id), "running");
    scene.expect_to_go_on(count);
    assert_eq!(read(&order), "createRuntime\npoststart\n");
    scene.call("start", &[]).exits(1).refused(&["cannot start an already running container"]);
    scene.call("exec", &["true"]).quiet();
    // What is paused from now on is no created one.
    scene.call("pause", &[]).quiet();
    assert_eq!(scene.t.status(&id), "paused");
    scene.call("start", &[]).exits(1).refused(&["cannot start a paused container"]);
    scene.call("resume", &[]).quiet();
    scene.call("kill", &["TERM"]).quiet();
    scene.t.wait_status(&id, "stopped");
    scene.call("delete", &[]).quiet();
    scene.expect_gone();

    for force in [&[][..], &["--force"]] {
        restore(scene);
        scene.call("delete", force).quiet();
        scene.expect_gone();
    }
    restore(scene);
    scene.call("kill", &["KILL"]).quiet();
    scene.t.wait_status(&id, "stopped");
    scene.call("start", &[]).exits(1).refused(&["cannot start a container that has stopped"]);
    scene.call("delete", &[]).quiet();
    scene.expect_gone();
}

fn no_start_takes_a_cgroup(scene: &mut Scene<'_>) {
    scene.count_and_dump();
    let mut command = scene.t.floe();
    command
        .args(["--cgroup-manager", "disabled", "restore", "--no-start", "--image-path"])
        .arg(&scene.images);
    command.arg("--bundle").arg(&scene.bundle.dir).arg(&scene.bundle.id);
    scene.t.run(command).exits(1).refused(&["--no-start: it takes a cgroup of the container's own"]);
    scene.expect_gone();
}

/// Whenever `restore --no-start` dies: either the container can be started, or none of its processes is left.
fn no_start_killed_at_any_instant(scene: &mut Scene<'_>) {
    const INSTANTS: u32 = 40;
    let count = scene.count_and_dump();
    let id = scene.bundle.id.clone();
    let began = Instant::now();
    scene.restore(&["--no-start"]);
    let whole = began.elapsed();
    scene.call("delete", &[]).quiet();
    let mut whole_ones = 0;
    for instant in 0..INSTANTS {
        let mut command = scene.restoring(&["--no-start"]);
        command.arg(&id).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut restore = command.spawn().expect("spawn");
        std::thread::sleep(whole * instant / INSTANTS);
        let _ = restore.kill();
        restore.wait().expect("wait");
        let processes = || read(cgroup_dir(&id).join("cgroup.procs")).lines().count();
        let is_created = |t: &mut Test| processes() > 0 && t.status(&id) == "created";
        wait_until(&format!("instant {instant}: a whole container or none"), || {
            processes() == 0 || is_created(scene.t)
        });
        assert_eq!(scene.count(), count, "instant {instant}: it ran");
        if is_created(scene.t) {
            whole_ones += 1;
            scene.call("start", &[]).quiet();
            scene.expect_to_go_on(count);
            scene.set_count(count);
        }
        scene.call("delete", &["--force"]).quiet();
        scene.expect_gone();
        scene.set_count(count);
    }
    assert!(whole_ones < INSTANTS, "it never died in time");
}

/// Whenever `start` dies: the container waits for its start, is paused, or runs.
fn start_killed_at_any_instant(scene: &mut Scene<'_>) {
    const INSTANTS: u32 = 20;
    let count = scene.count_and_dump();
    let id = scene.bundle.id.clone();
    let began = Instant::now();
    scene.t.call(["state", "nobody"]).exits(1);
    let whole = 2 * began.elapsed();
    for instant in 0..INSTANTS {
        scene.restore(&["--no-start"]);
        let mut command = scene.t.floe();
        command.args(["start", &id]).stderr(Stdio::null());
        let mut start = command.spawn().expect("spawn");
        std::thread::sleep(whole * instant / INSTANTS);
        let _ = start.kill();
        start.wait().expect("wait");
        match scene.t.status(&id).as_str() {
            "created" => scene.call("start", &[]).quiet(),
            "paused" => scene.call("resume", &[]).quiet(),
            status => {
                assert_eq!(status, "running", "instant {instant}");
                scene.call("exec", &["true"]).quiet()
            }
        };
        scene.expect_to_go_on(count);
        scene.call("delete", &["--force"]).quiet();
        scene.set_count(count);
    }
}

/// containerd, CRI-O and Docker pause first: it is left so, and killed all the same.
fn paused(scene: &mut Scene<'_>) {
    scene.run();
    scene.wait_for_count(3);
    scene.call("pause", &[]).quiet();
    scene.dump(&["--leave-running"]);
    let id = scene.bundle.id.clone();
    assert_eq!(scene.t.status(&id), "paused");
    let count = scene.count();
    scene.call("resume", &[]).quiet();
    scene.expect_to_go_on(count);
    scene.call("pause", &[]).quiet();
    let count = scene.count();
    scene.dump(&[]);
    scene.expect_gone();
    scene.restore(&[]);
    scene.expect_to_go_on(count);
    scene.call("delete", &["--force"]).quiet();
}

/// A restored program does not say a second time that it is ready.
fn notify_socket(scene: &mut Scene<'_>) {
    let host = scene.t.path("notify");
    let socket = UnixDatagram::bind(&host).expect("bind");
    socket.set_read_timeout(Some(timeout())).expect("timeout");
    let ready = || {
        let mut text = [0; 256];
        let size = socket.recv(&mut text).expect("a message");
        String::from_utf8_lossy(&text[..size]).into_owned()
    };
    scene.script(&format!("floe-probe notify READY=1; {COUNTER}"));
    let mut command = scene.t.floe();
    command.env("NOTIFY_SOCKET", &host);
    scene.detached(command, "run", &[]);
    assert!(ready().starts_with("READY=1\n"));
    scene.wait_for_count(3);
    scene.dump(&[]);
    let count = scene.count();
    let mut command = scene.t.floe();
    command.env("NOTIFY_SOCKET", &host);
    let images = scene.images.clone();
    scene.detached(command, "restore", &["--image-path", path(&images)]);
    let id = scene.bundle.id.clone();
    assert_eq!(ready(), format!("READY=1\nMAINPID={}", scene.t.pid(&id)));
    scene.expect_to_go_on(count);
    scene.call("delete", &["--force"]).quiet();
}

/// They have no parent that could be restored.
fn processes_of_exec_are_named(scene: &mut Scene<'_>) {
    scene.run();
    scene.wait_for_count(3);
    let mut command = scene.t.floe();
    let script = "echo $$ > /state/pid; exec sleep 1000";
    command.args(["exec", "--detach", &scene.bundle.id, "sh", "-c", script]);
    assert_eq!(scene.t.run_silent(command), 0);
    let pid = scene.state.join("pid");
    wait_until("the process of exec", || !read(&pid).is_empty());
    let line = "sleep is no descendant of the container's first process";
    let check = scene.t.call(["checkpoint", "--check", &scene.bundle.id]).exits(1);
    assert!(check.stdout.contains(line), "{}", check.stdout);
    let images = scene.images.clone();
    let arguments = ["checkpoint", "--image-path", path(&images), &scene.bundle.id];
    scene.t.call(arguments).exits(1).refused(&[line, "end it first"]);
    scene.expect_to_go_on(scene.count());
    scene.call("exec", &["sh", "-c", "kill -9 $(cat /state/pid)"]).ok();
    scene.dump(&[]);
    scene.expect_gone();
}

/// Health checks come and go.
fn processes_of_exec_are_waited_for(scene: &mut Scene<'_>) {
    scene.run();
    scene.wait_for_count(3);
    let mut command = scene.t.floe();
    command.args(["exec", &scene.bundle.id, "sh", "-c", "touch /state/here; sleep 0.3"]);
    let exec = scene.t.spawn(command);
    let here = scene.state.join("here");
    wait_until("the process of exec", || here.exists());
    scene.dump(&[]);
    exec.wait().ok();
    scene.expect_gone();
}

/// On a terminal, and gone in the end.
fn progress_is_shown(t: &mut Test) {
    needs_floe();
    let Program { bundle, state } = Program::prepare(t, "memory_large");
    bundle.write();
    let mut command = t.floe();
    command.args(["run", "--detach", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    assert_eq!(t.run_silent(command), 0);
    programs::wait_for(&state, "ready");
    let (mut terminal, inner) = open_pty(24, 80);
    let mut command = t.floe();
    command.arg("checkpoint").arg("--image-path").arg(t.path("images")).arg(&bundle.id);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(inner);
    let mut floe = command.spawn().expect("spawn");
    // The terminal is closed when the last one ends that has it open.
    drop(command);
    let shown = terminal.expect("\x1b[K");
    assert!(floe.wait().expect("wait").success(), "{shown}");
    assert!(shown.contains(" % of 384 MiB\r") && shown.ends_with("\x1b[K"), "{shown}");
}

/// The container of an attached `run` ends under its hands. Two want to delete it, one does.
fn attached_run_ends(scene: &mut Scene<'_>) {
    let order = scene.t.path("order");
    let script = format!("echo poststop >> {}", order.display());
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", script]});
    scene.bundle.push("/hooks/poststop", hook).write();
    let mut command = scene.t.floe();
    command.args(["run", "--bundle"]).arg(&scene.bundle.dir).arg(&scene.bundle.id);
    let attached = scene.t.spawn(command);
    scene.wait_for_count(3);
    scene.dump(&[]);
    let ended = attached.wait().exits(137);
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    scene.expect_gone();
    assert_eq!(read(&order), "poststop\n");
}

/// In a pid namespace of a pod the first process has its pid again; where somebody else has it, that is said.
fn pid_namespace_of_others(scene: &mut Scene<'_>) {
    let mut pod = Command::new("unshare");
    // It reaps what is left to it, as the first process of a pod does.
    pod.args(["--pid", "--fork", "--kill-child", "sh", "-c", "sleep 1000 & wait"]);
    let pod = scene.t.helper(pod);
    let children = format!("/proc/{pod}/task/{pod}/children");
    wait_until("the pod's first process", || {
        let child = read(&children).trim().to_owned();
        !child.is_empty() && read(format!("/proc/{child}/comm")) == "sh\n"
    });
    let namespace = format!("/proc/{}/ns/pid", read(&children).trim());
    scene.bundle.namespace("pid", Some(Path::new(&namespace)));
    scene.script(&format!("echo $$ > /state/pid; {COUNTER}"));
    let count = scene.count_and_dump();
    let pid = read(scene.state.join("pid"));
    scene.restore(&[]);
    scene.expect_to_go_on(count);
    let now = scene.call("exec", &["sh", "-c", "echo $PPID; cat /proc/[0-9]*/comm || true"]).ok();
    assert!(read(scene.state.join("pid")) == pid && !now.stdout.is_empty(), "{}", now.stdout);
    let second = scene.t.id();
    let first = std::mem::replace(&mut scene.bundle.id, second);
    let cgroup = format!("/{}/{}", environment::get().cgroup, scene.bundle.id);
    scene.bundle.set("/linux/cgroupsPath", json!(cgroup)).write();
    let mut command = scene.restoring(&["--detach"]);
    command.arg(&scene.bundle.id);
    scene.t.run(command).exits(1).refused(&["with pid", pid.trim(), "EEXIST"]);
    scene.t.call(["delete", "--force", &first]).quiet();
}

fn pids_of_the_host(scene: &mut Scene<'_>) {
    scene.bundle.without_namespace("pid");
    scene.script(&format!("echo $$ > /state/pid; {COUNTER}"));
    let count = scene.count_and_dump();
    scene.restore(&[]);
    scene.expect_to_go_on(count);
    let id = scene.bundle.id.clone();
    // The runner has a pid namespace of its own: this one.
    assert_eq!(scene.t.pid(&id).to_string(), read(scene.state.join("pid")).trim());
    scene.call("delete", &["--force"]).quiet();
}

fn user_namespace(scene: &mut Scene<'_>) {
    scene.bundle.user_namespace(100_000, 65_536);
    let count = scene.count_and_dump();
    scene.restore(&[]);
    scene.expect_to_go_on(count);
    let id = scene.bundle.id.clone();
    let pid = scene.t.pid(&id);
    let map = read(format!("/proc/{pid}/uid_map"));
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
    scene.call("delete", &["--force"]).quiet();
}
