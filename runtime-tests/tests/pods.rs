//! Containers that belong together: checkpointed as of one moment, restored one after the other. Two of them share a network,
//! and one asks the other all the time, by a connection that no peer outside keeps alive.

use crate::connections::tables_of;
use crate::harness::*;
use crate::programs::{Program, wait_for};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn cases() -> Vec<Case> {
    crate::cases![
        restored,
        restored_elsewhere,
        left_running,
        one_has_a_blocker,
        one_fails,
        killed_at_any_instant,
        in_steps_only_alone
    ]
}

struct Pod<'a> {
    t: &'a mut Test,
    /// Who answers, who asks.
    bundles: [Bundle; 2],
    states: [PathBuf; 2],
    network: PathBuf,
    images: PathBuf,
}

impl Pod<'_> {
    fn start(t: &mut Test) -> Pod<'_> {
        needs_floe();
        let network = t.network();
        let echo = Program::prepare_in(t, "network/tcp_echo", "echo", &network);
        let ask = Program::prepare_in(t, "network/tcp_ask", "ask", &network);
        let images = t.path("images");
        let (bundles, states) = ([echo.bundle, ask.bundle], [echo.state, ask.state]);
        let mut pod = Pod { t, bundles, states, network, images };
        for nth in 0..2 {
            pod.detached(nth, "run", &[]);
            wait_for(&pod.states[nth], "ready");
        }
        pod.expect_progress();
        pod
    }

    fn ids(&self) -> [String; 2] {
        self.bundles.each_ref().map(|bundle| bundle.id.clone())
    }

    fn detached(&mut self, nth: usize, verb: &str, options: &[&str]) {
        let bundle = &self.bundles[nth];
        bundle.write();
        let log = self.t.path("log");
        let mut command = self.t.floe();
        command.arg("--log").arg(&log).args([verb, "--detach", "--bundle"]).arg(&bundle.dir);
        command.args(options).arg(&bundle.id);
        let code = self.t.run_silent(command);
        assert!(code == 0, "{verb}: exit {code}\n{}", read(&log));
    }

    fn checkpoint(&mut self, options: &[&str]) -> Output {
        let mut command = self.t.floe();
        command.args(["checkpoint", "--tcp-established", "--image-path"]).arg(&self.images);
        command.args(options).args(self.ids());
        self.t.run(command)
    }

    fn restore(&mut self, nth: usize, options: &[&str]) {
        let images = self.images.join(&self.bundles[nth].id);
        let paths = ["--tcp-established", "--image-path", images.to_str().expect("utf-8")];
        self.detached(nth, "restore", &[&paths[..], options].concat());
    }

    fn count(&self) -> u64 {
        read(self.states[1].join("count")).parse().unwrap_or(0)
    }

    #[track_caller]
    fn expect_progress(&self) {
        let before = self.count();
        let result = |state: &PathBuf| read(state.join("result"));
        wait_until("answers", || {
            self.count() > before + 100 || self.states.iter().any(|state| !result(state).is_empty())
        });
        assert_eq!(self.states.each_ref().map(result), ["", ""], "after {} answers", self.count());
    }

    #[track_caller]
    fn expect_running(&mut self) {
        for id in self.ids() {
            assert_eq!(self.t.status(&id), "running", "{id}");
        }
        self.expect_progress();
        assert_eq!(tables_of(&self.network), 0, "locks");
    }

    fn finish(self) {
        self.expect_progress();
        let [echo, ask] = self.ids();
        self.t.call(["kill", &ask, "TERM"]).quiet();
        for (state, id) in self.states.iter().zip([&echo, &ask]) {
            wait_for(state, "result");
            self.t.wait_status(id, "stopped");
            self.t.call(["delete", id]).quiet();
        }
        assert_eq!(tables_of(&self.network), 0, "locks");
    }
}

/// In between nobody answers for the one that is still missing.
fn restored(t: &mut Test) {
    let mut pod = Pod::start(t);
    for order in [[0, 1], [1, 0]] {
        pod.checkpoint(&[]).quiet();
        for id in pod.ids() {
            pod.t.call(["state", &id]).exits(1).refused(&["does not exist"]);
            assert!(pod.images.join(id).join("inventory.img").exists());
        }
        assert_eq!(tables_of(&pod.network), 2, "locks");
        let count = pod.count();
        pod.restore(order[0], &[]);
        std::thread::sleep(Duration::from_millis(300));
        assert!(pod.count() <= count + 1);
        pod.restore(order[1], &[]);
        pod.expect_running();
    }
    pod.finish();
}

/// Where nothing was left locked for them: each waits until the other is there too.
fn restored_elsewhere(t: &mut Test) {
    let mut pod = Pod::start(t);
    pod.checkpoint(&[]).quiet();
    pod.network = pod.t.network();
    for nth in 0..2 {
        let network = pod.network.clone();
        pod.bundles[nth].namespace("network", Some(&network));
        pod.restore(nth, &["--no-start"]);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(tables_of(&pod.network), 2, "locks");
    for id in pod.ids() {
        pod.t.call(["start", &id]).quiet();
    }
    pod.expect_running();
    pod.finish();
}

fn left_running(t: &mut Test) {
    let mut pod = Pod::start(t);
    for _ in 0..3 {
        pod.checkpoint(&["--leave-running"]).quiet();
        pod.expect_running();
    }
    pod.finish();
}

/// Which is said of it by its name, before anything is frozen.
fn one_has_a_blocker(t: &mut Test) {
    let mut pod = Pod::start(t);
    let [_, ask] = pod.ids();
    let mut exec = pod.t.floe();
    exec.args(["exec", "--detach", &ask, "/bin/sleep", "1000"]);
    assert_eq!(pod.t.run_silent(exec), 0);
    let words = [&ask, "sleep is no descendant", "end it first"];
    pod.checkpoint(&[]).exits(1).refused(&words);
    let mut check = pod.t.floe();
    check.args(["checkpoint", "--check", "--tcp-established"]).args(pod.ids());
    let said = pod.t.run(check).exits(1).stdout;
    assert!(said.starts_with(&format!("{ask}: ")) && said.lines().count() == 1, "{said}");
    pod.expect_running();
    for id in pod.ids() {
        assert!(!pod.images.join(&id).join("inventory.img").exists());
        pod.t.call(["delete", "--force", &id]).quiet();
    }
}

/// When the other is already in images: all run on, and none has images.
fn one_fails(t: &mut Test) {
    let mut pod = Pod::start(t);
    let [echo, ask] = pod.ids();
    let full = pod.images.join(&ask);
    fs::create_dir_all(&full).expect("mkdir");
    let mount = |command: &mut Command| assert!(command.status().expect("it runs").success(), "{command:?}");
    mount(Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"]).arg(&full));
    let failed = pod.checkpoint(&[]);
    let dumped: Vec<String> = fs::read_dir(pod.images.join(&echo))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    mount(Command::new("umount").arg(&full));
    failed.exits(1).refused(&[&ask, "no space left on device"]);
    assert_eq!(dumped, ["dump.log"]);
    pod.expect_running();
    pod.checkpoint(&[]).quiet();
    for nth in 0..2 {
        pod.restore(nth, &[]);
    }
    pod.finish();
}

/// Both run on whenever floe dies.
fn killed_at_any_instant(t: &mut Test) {
    const INSTANTS: u32 = 20;
    let mut pod = Pod::start(t);
    let began = Instant::now();
    pod.checkpoint(&["--leave-running"]).quiet();
    let whole = began.elapsed();
    for instant in 0..INSTANTS {
        let mut command = pod.t.floe();
        command.args(["checkpoint", "--leave-running", "--tcp-established", "--image-path"]);
        command.arg(pod.t.path("killed")).args(pod.ids());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut floe = command.spawn().expect("spawn");
        std::thread::sleep(whole * instant / INSTANTS);
        let _ = floe.kill();
        floe.wait().expect("wait");
        for id in pod.ids() {
            pod.t.wait_status(&id, "running");
        }
        pod.expect_running();
    }
    pod.finish();
}

fn in_steps_only_alone(t: &mut Test) {
    let mut pod = Pod::start(t);
    pod.checkpoint(&["--pre-dump"]).exits(1).refused(&["--pre-dump is for one container alone"]);
    fs::create_dir_all(Path::new(&pod.images).with_file_name("earlier")).expect("mkdir");
    let parent = ["--parent-path", "../earlier"];
    pod.checkpoint(&parent).exits(1).refused(&["--parent-path is for one container alone"]);
    let [echo, _] = pod.ids();
    pod.t.call(["checkpoint", &echo, &echo]).exits(1).refused(&["another checkpoint"]);
    pod.expect_running();
    pod.finish();
}
