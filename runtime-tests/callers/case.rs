//! A case: a script as a user of the engine would type it, and what must come of it.

use crate::outcome;
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Seconds, far beyond what any case needs, even on a busy machine, or on one that is emulated.
fn timeout() -> &'static str {
    if std::env::var_os("FLOE_VM").is_some() { "600" } else { "90" }
}

/// A program that calls the runtime, as one user has it.
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    /// Debian's packages that are tested.
    pub(crate) packages: &'static str,
    /// Run once, before the cases: daemons, images.
    pub(crate) start: &'static [&'static str],
    /// Variables and functions of every case.
    pub(crate) prelude: &'static str,
    /// Prints what the cases have left behind, when everything is well nothing.
    pub(crate) leftovers: &'static str,
    pub(crate) cases: Vec<Case>,
}

pub(crate) struct Case {
    pub(crate) name: String,
    script: String,
    status: i32,
    stdout: String,
    stderr: Option<String>,
    controller: Option<&'static str>,
}

/// A case that ends with status 0 and prints nothing on standard output, unless it says otherwise. `script` is bash;
/// `$N` is a name of its own, its directory is fresh.
pub(crate) fn case(name: &str, script: &str) -> Case {
    Case {
        name: name.to_owned(),
        script: script.to_owned(),
        status: 0,
        stdout: String::new(),
        stderr: None,
        controller: None,
    }
}

impl Case {
    pub(crate) fn exits(mut self, status: i32) -> Case {
        self.status = status;
        self
    }

    /// The whole of standard output but for the last line feed; `*` stands for any text.
    pub(crate) fn prints(mut self, pattern: &str) -> Case {
        self.stdout = pattern.to_owned();
        self
    }

    /// A part of standard error; `*` stands for any text.
    pub(crate) fn complains(mut self, pattern: &str) -> Case {
        self.stderr = Some(format!("*{pattern}*"));
        self
    }

    /// Skipped where cgroup v2 does not have this controller.
    pub(crate) fn needs(mut self, controller: &'static str) -> Case {
        self.controller.get_or_insert(controller);
        self
    }

    fn run(&self, prelude: &str) {
        if let Some(controller) = self.controller {
            let there = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").expect("cgroup.controllers");
            if !there.split_whitespace().any(|name| name == controller) {
                outcome::skip(format!("the host has no {controller} controller on cgroup v2"));
            }
        }
        let own = self.name.replace("::", "-").replace('_', "-");
        let dir = Path::new("/tmp/cases").join(&own);
        // When it is run again.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("directory of the case");
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
        let script = format!("set -o pipefail; N={own}\n{prelude}\n{}", self.script);
        let (status, stdout, stderr) = bash(&script, &dir);
        let wrong = if status != self.status {
            format!("exit {status}, not {}", self.status)
        } else if !matches(&self.stdout, stdout.trim_end()) {
            format!("does not print\n{}", self.stdout)
        } else if self.stderr.as_ref().is_some_and(|pattern| !matches(pattern, &stderr)) {
            format!("does not say {}", self.stderr.as_deref().unwrap_or_default())
        } else {
            return;
        };
        panic!("{wrong}\n  {}\nstdout:\n{stdout}\nstderr:\n{stderr}", self.script.trim());
    }
}

impl Caller {
    pub(crate) fn start(&self) {
        let (status, stdout, stderr) = bash(&format!("set -e\n{}", self.start.concat()), Path::new("/tmp"));
        assert!(status == 0, "{} does not start: {stdout}{stderr}", self.name);
    }

    pub(crate) fn into_trials(self) -> Vec<Trial> {
        let prelude = self.prelude;
        let trial = move |case: Case| {
            Trial::ignorable_test(case.name.clone(), move || {
                outcome::with_second_chance(&case.name, || outcome::of(&case.name, || case.run(prelude)))
            })
        };
        self.cases.into_iter().map(trial).collect()
    }
}

/// Names the cases after the caller.
pub(crate) fn named(caller: &str, mut cases: Vec<Case>) -> Vec<Case> {
    for case in &mut cases {
        case.name = format!("{caller}::{}", case.name);
    }
    cases
}

/// `podman 5.8.6+ds1-3, conmon 2.1.13+ds1-2`
pub(crate) fn versions(packages: &str) -> String {
    let list = stdout_of(&format!("dpkg-query --show --showformat='${{Package}} ${{Version}}\n' {packages}"));
    list.trim().replace('\n', ", ")
}

fn stdout_of(script: &str) -> String {
    let (status, stdout, stderr) = bash(script, Path::new("/tmp"));
    assert!(status == 0, "{script}: {stderr}");
    stdout
}

/// What is still there after a moment: engines remove some things behind our back.
pub(crate) fn leftovers(script: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let left = stdout_of(script).trim().replace('\n', ", ");
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Output goes to files: a pipe would stay open as long as any process that inherited it.
fn bash(script: &str, dir: &Path) -> (i32, String, String) {
    let capture = |name: &str| -> PathBuf {
        Path::new("/tmp/cases").join(format!("{name}.{:?}", std::thread::current().id()))
    };
    let (stdout, stderr) = (capture("stdout"), capture("stderr"));
    let create = |path: &Path| fs::File::create(path).expect("create");
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", timeout(), "bash", "-c", script]);
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", crate::world::PATH)
        .env("HOME", "/srv")
        .env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(create(&stdout)).stderr(create(&stderr));
    let status = command.status().expect("timeout runs");
    let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("read")).into_owned();
    (status.code().unwrap_or(-1), text(&stdout), text(&stderr))
}

/// Whether all of `text` is what `pattern` says, with `*` for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.any(|at| matches(rest, &text[at..]))
        }),
    }
}
