//! What runc's callers rely on without it being written down anywhere: their command lines word for word, and how each
//! reads output, errors, logs and files. Every test names its caller.
//!
//! Parts of the contract are pinned elsewhere: checkpoints in contract_of_checkpoints.rs, whole life cycles in
//! life_cycle.rs, odd parts of config.json in callers.rs, what `features` promises in features.rs, terminals in
//! terminal.rs, descriptors in descriptors.rs, damaged input in bad_input.rs, users without privileges in rootless.rs,
//! and what needs no container in crates/floe/tests/cli.rs.

use crate::cases;
use crate::harness::sockets::{FdSocket, Terminal};
use crate::harness::*;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        podman_and_conmon,
        conmon_rs,
        crio,
        containerd,
        go_runc_clients,
        buildkit,
        success_is_silent,
        answers_are_clean_with_stderr_mixed_in,
        environment_of_podman_kill,
        default_root_without_privileges,
        switches_are_repeated,
        values_are_repeated,
        dashes_and_equals_signs,
        misuse_goes_to_stderr,
        help_of_every_command,
        words_for_an_unknown_container,
        words_for_an_id,
        words_for_a_wrong_state,
        words_for_a_checkpoint,
        failed_restore_leaves_nothing,
        podman_maps_errors_to_126_and_127,
        docker_maps_errors_to_126_and_127,
        containerd_and_crio_know_what_has_gone,
        log_has_one_object_for_each_failure,
        log_is_appended_to,
        log_of_a_success_is_empty,
        pid_file_is_never_half_written,
        pid_file_is_replaced,
        pid_is_in_its_cgroup_when_create_returns,
        console_socket_of_create,
        console_socket_of_exec,
        state_fields,
        state_words,
        lists_in_json,
        statistics,
        update_from_everywhere,
        exit_status_of_run,
        exit_status_of_exec,
        run_passes_signals_on,
        exec_passes_signals_on,
        kill_in_every_form,
        delete_in_every_form,
        features_for_kubernetes,
        version_for_docker,
    ]
}

/// One container of a caller, and the words that its command lines have placeholders for: `$ROOT`, `$BUNDLE`, `$DIR`
/// (the caller's own directory), `$ID`.
pub(crate) struct Caller<'a> {
    pub(crate) t: &'a mut Test,
    pub(crate) bundle: Bundle,
    environment: &'static [&'static str],
}

/// conmon's and containerd's children.
const PATH: &[&str] = &["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR=/run/user/0"];
/// All that Podman gives to `kill`, `delete`, `pause` and `resume`: no PATH, no HOME.
const RUNTIME_DIR: &[&str] = &["XDG_RUNTIME_DIR=/run/user/0"];

impl<'a> Caller<'a> {
    /// A caller with a bundle whose program waits for signals.
    pub(crate) fn new(t: &'a mut Test) -> Caller<'a> {
        let mut bundle = t.bundle();
        bundle.args(["/bin/floe-probe", "hold"]).write();
        Caller { t, bundle, environment: PATH }
    }

    /// The same caller's next container.
    fn again(&mut self) {
        self.bundle.id = self.t.id();
        let path = format!("/{}/{}", environment::get().cgroup, self.bundle.id);
        self.bundle.set("/linux/cgroupsPath", json!(path)).write();
    }

    fn words(&self, line: &str) -> Vec<String> {
        let (root, dir) = (self.t.root.display().to_string(), self.t.dir.display().to_string());
        let bundle = self.bundle.dir.display().to_string();
        let fill = |word: &str| {
            let word = word.replace("$ROOT", &root).replace("$DIR", &dir);
            word.replace("$BUNDLE", &bundle).replace("$ID", &self.bundle.id)
        };
        line.split_whitespace().map(fill).collect()
    }

    /// The command `floe LINE`, in this environment and no other.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&environment::get().floe);
        command.args(self.words(line)).env_clear().current_dir(&self.t.dir);
        command.envs(self.environment.iter().filter_map(|variable| variable.split_once('=')));
        command
    }

    pub(crate) fn call(&mut self, line: &str) -> Output {
        let command = self.command(line);
        self.t.run(command)
    }

    /// `floe LINE` with `input` on standard input.
    fn call_with(&mut self, line: &str, input: &str) -> Output {
        std::fs::write(self.t.path("input"), input).expect("write");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"exec "$@" <input"#, "sh"]).arg(&environment::get().floe);
        command.args(self.words(line)).current_dir(&self.t.dir);
        self.t.run(command)
    }

    /// Go's `CombinedOutput`: both streams as one text.
    fn combined(&mut self, line: &str) -> String {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"exec "$@" 2>&1"#, "sh"]).arg(&environment::get().floe);
        command.args(self.words(line)).current_dir(&self.t.dir);
        self.t.run(command).ok().stdout
    }

    pub(crate) fn status(&mut self) -> String {
        self.t.status(&self.bundle.id.clone())
    }

    #[track_caller]
    pub(crate) fn wait_status(&mut self, status: &str) {
        self.t.wait_status(&self.bundle.id.clone(), status);
    }

    /// A running container, made without ceremony.
    pub(crate) fn start(&mut self) {
        self.call("--root $ROOT create --bundle $BUNDLE --pid-file $DIR/pid $ID").ok();
        self.call("--root $ROOT start $ID").ok();
    }

    /// A container whose program has ended.
    fn stopped(&mut self) {
        self.start();
        self.call("--root $ROOT kill $ID KILL").ok();
        self.wait_status("stopped");
    }

    pub(crate) fn delete(&mut self) {
        self.call("--root $ROOT delete --force $ID").ok();
    }

    /// The number in a pid file, read as Go's `strconv.Atoi` reads it: the whole file.
    pub(crate) fn pid(&self, file: &str) -> i32 {
        let text = read(self.t.path(file));
        text.parse().unwrap_or_else(|e| panic!("{file}: {e}: {text:?}"))
    }

    /// A limit that needs no controller.
    fn write_resources(&self) {
        let resources = r#"{"unified":{"cgroup.max.depth":"7"}}"#;
        std::fs::write(self.t.path("resources"), resources).expect("write");
    }

    pub(crate) fn write_process(&self, args: &[&str]) {
        let process = json!({"args": args, "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]});
        std::fs::write(self.t.path("process"), process.to_string()).expect("write");
    }
}

/// Podman's own calls and those that conmon makes for it. Podman's `runtime_flags` stand before the command.
fn podman_and_conmon(t: &mut Test) {
    let mut podman = Caller::new(t);
    podman.write_process(&["true"]);
    let log = "--log-format=json --log $DIR/oci-log --root=$ROOT";
    podman
        .call(&format!("{log} create --bundle $BUNDLE --pid-file $DIR/pidfile --no-new-keyring $ID"))
        .quiet();
    assert_eq!(podman.pid("pidfile"), podman.t.pid(&podman.bundle.id.clone()));
    podman.call("--root=$ROOT start $ID").quiet();
    podman.call(&format!("{log} exec --pid-file $DIR/exec-pid --process $DIR/process --detach $ID")).quiet();
    assert!(podman.pid("exec-pid") > 0);
    podman.write_resources();
    podman.call("--root=$ROOT update --resources=$DIR/resources $ID").quiet();
    assert_eq!(read(cgroup_dir(&podman.bundle.id).join("cgroup.max.depth")).trim(), "7");
    podman.environment = RUNTIME_DIR;
    for line in ["pause $ID", "resume $ID", "kill $ID 15"] {
        assert_eq!(podman.call(&format!("--root=$ROOT {line}")).quiet().stdout, "", "{line}");
    }
    podman.wait_status("stopped");
    podman.call("--root=$ROOT delete --force $ID").quiet();
    assert_eq!(read(podman.t.path("oci-log")), "");
    assert_eq!(t.leftovers(), [""; 0]);
}

/// conmon-rs (CRI-O with `runtime_type = "pod"`) says its global options twice, and `exec` without `--process`.
fn conmon_rs(t: &mut Test) {
    let mut conmon = Caller::new(t);
    conmon.call("--root=$ROOT --root=$ROOT create --bundle $BUNDLE --pid-file $DIR/pid $ID").quiet();
    conmon.call("--root=$ROOT --systemd-cgroup --root=$ROOT --systemd-cgroup start $ID").quiet();
    let exec =
        "--root=$ROOT --systemd-cgroup --root=$ROOT --systemd-cgroup exec -d --pid-file=$DIR/exec-pid $ID";
    conmon.call(&format!("{exec} sh -c true")).quiet();
    assert!(conmon.pid("exec-pid") > 0);
    conmon.delete();
}

fn crio(t: &mut Test) {
    let mut crio = Caller::new(t);
    crio.write_process(&["sh", "-c", "exit 42"]);
    crio.call("--root=$ROOT create --bundle $BUNDLE --pid-file $DIR/pidfile $ID").quiet();
    crio.call("--root $ROOT --systemd-cgroup start $ID").quiet();
    let state = crio.call("--root $ROOT --systemd-cgroup state $ID").quiet().json();
    assert_eq!(state["status"], "running");
    // The streaming exec: the runtime's exit status is the process's.
    crio.call("--root $ROOT exec --process $DIR/process $ID").exits(42);
    // ExecSync.
    crio.call("--root=$ROOT exec --pid-file $DIR/exec-pid --process $DIR/process --detach $ID").quiet();
    let resources = r#"{"unified":{"cgroup.max.depth":"8"}}"#;
    crio.call_with("--root $ROOT --systemd-cgroup update --resources - $ID", resources).quiet();
    assert_eq!(read(cgroup_dir(&crio.bundle.id).join("cgroup.max.depth")).trim(), "8");
    for line in ["pause $ID", "resume $ID", "kill -a $ID USR1", "kill $ID 10", "kill $ID KILL"] {
        crio.call(&format!("--root $ROOT --systemd-cgroup {line}")).quiet();
    }
    crio.wait_status("stopped");
    crio.call("--root $ROOT --systemd-cgroup delete --force $ID").quiet();
    // The container is gone for it when this fails, whatever the words.
    crio.call("--root $ROOT --systemd-cgroup state $ID").exits(1);
    assert_eq!(t.leftovers(), [""; 0]);
}

/// containerd's shim through go-runc.
fn containerd(t: &mut Test) {
    let mut shim = Caller::new(t);
    shim.write_process(&["/bin/floe-probe", "hold"]);
    let prefix = "--root $ROOT --log $BUNDLE/log.json --log-format json";
    let call = |shim: &mut Caller<'_>, line: &str| shim.call(&format!("{prefix} {line}"));
    call(&mut shim, "create --bundle $BUNDLE --pid-file $BUNDLE/init.pid --no-new-keyring $ID").quiet();
    let pid = shim.pid("bundle-1/init.pid");
    call(&mut shim, "start $ID").quiet();
    call(&mut shim, "exec --process $DIR/process --detach --pid-file $BUNDLE/exec.pid $ID").quiet();
    let other = shim.pid("bundle-1/exec.pid");
    // `State` and `Ps` read both streams.
    let state: Value = serde_json::from_str(&shim.combined(&format!("{prefix} state $ID"))).expect("state");
    assert_eq!((&state["pid"], &state["status"]), (&json!(pid), &json!("running")));
    let mut pids: Vec<i32> =
        serde_json::from_str(&shim.combined(&format!("{prefix} ps --format json $ID"))).expect("pids");
    pids.sort_unstable();
    let mut expected = [pid, other];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    let resources = r#"{"unified":{"cgroup.max.depth":"9"}}"#;
    shim.call_with(&format!("{prefix} update --resources=- $ID"), resources).quiet();
    assert_eq!(read(cgroup_dir(&shim.bundle.id).join("cgroup.max.depth")).trim(), "9");
    for line in ["pause $ID", "resume $ID", "kill $ID 10", "kill --all $ID 9"] {
        call(&mut shim, line).quiet();
    }
    shim.wait_status("stopped");
    call(&mut shim, "delete $ID").quiet();
    assert_eq!(read(shim.bundle.dir.join("log.json")), "");
    assert_eq!(t.leftovers(), [""; 0]);
}

/// What go-runc has for others than the shim.
fn go_runc_clients(t: &mut Test) {
    let mut client = Caller::new(t);
    client
        .call("--root $ROOT --rootless=false run --bundle $BUNDLE --detach --no-subreaper --keep $ID")
        .quiet();
    let list = client.call("--root $ROOT list --format=json").quiet().json();
    assert_eq!(list[0]["id"], client.bundle.id.as_str());
    client.call("--root $ROOT --debug=false ps --format table $ID").quiet();
    let event = client.call("--root $ROOT events --stats $ID").quiet().json();
    assert_eq!(event["type"], "stats");
    // runc cannot watch a container without the memory controller.
    let events = (!environment::get().peer).then(|| {
        let command = client.command("--root $ROOT events --interval=1s $ID");
        let events = client.t.spawn(command);
        events.wait_for_output(r#""type":"stats""#);
        events
    });
    client.call("--root $ROOT kill $ID 9").quiet();
    client.wait_status("stopped");
    // They end with the container.
    events.map(|events| events.wait().quiet());
    client.call("--root $ROOT delete $ID").quiet();
}

/// BuildKit runs attached, asks for the state, and kills and deletes itself.
fn buildkit(t: &mut Test) {
    let mut worker = Caller::new(t);
    worker.write_process(&["sh", "-c", "exit 3"]);
    let log = "--log $DIR/runc-log.json --log-format json --root $ROOT";
    let command = worker.command(&format!("{log} run --bundle $BUNDLE --keep $ID"));
    let running = worker.t.spawn(command);
    running.wait_for_output("ready");
    let state = worker.call(&format!("{log} state $ID")).quiet().json();
    assert_eq!(state["status"], "running");
    // It is no container of BuildKit's without these two.
    assert_eq!(state["bundle"], worker.bundle.dir.to_str().expect("UTF-8"));
    assert_eq!(state["rootfs"], worker.bundle.dir.join("rootfs").to_str().expect("UTF-8"));
    worker.call(&format!("{log} exec --process $DIR/process --pid-file $DIR/exec-pid $ID")).exits(3);
    worker.call(&format!("{log} kill $ID 9")).quiet();
    running.wait().exits(137);
    worker.call(&format!("{log} delete $ID")).quiet();
    assert_eq!(t.leftovers(), [""; 0]);
}

/// Podman's calls have the user's terminal for stderr; containerd reads it as a part of the answer.
fn success_is_silent(t: &mut Test) {
    let mut caller = Caller::new(t);
    caller.write_process(&["true"]);
    caller.write_resources();
    std::fs::create_dir(caller.t.path("spec")).expect("mkdir");
    for (line, answers) in [
        ("--version", true),
        ("--help", true),
        ("features", true),
        ("spec --bundle $DIR/spec", false),
        ("--root $ROOT list", true),
        ("--root $ROOT list -q", false),
        ("--root $ROOT create --bundle $BUNDLE --pid-file $DIR/pid $ID", false),
        ("--root $ROOT state $ID", true),
        ("--root $ROOT start $ID", false),
        ("--root $ROOT list", true),
        ("--root $ROOT ps $ID", true),
        ("--root $ROOT ps -f json $ID", true),
        ("--root $ROOT events --stats $ID", true),
        ("--root $ROOT exec $ID true", false),
        ("--root $ROOT exec --process $DIR/process $ID", false),
        ("--root $ROOT exec --detach --process $DIR/process $ID", false),
        ("--root $ROOT update --resources $DIR/resources $ID", false),
        ("--root $ROOT pause $ID", false),
        ("--root $ROOT resume $ID", false),
        ("--root $ROOT kill $ID USR1", false),
        ("--root $ROOT kill --all $ID KILL", false),
        ("--root $ROOT delete --force $ID", false),
        ("--root $ROOT delete --force $ID", false),
    ] {
        let output = caller.call(line).quiet();
        assert_eq!(!output.stdout.is_empty(), answers, "{line}: {}", output.stdout);
    }
}

/// go-runc and CRI-O: `State`, `Ps`, `List`, and `features` and `--version` of CRI-O.
fn answers_are_clean_with_stderr_mixed_in(t: &mut Test) {
    let mut caller = Caller::new(t);
    caller.start();
    for line in [
        "--root $ROOT state $ID",
        "--root $ROOT --log $DIR/log --log-format json state $ID",
        "--root $ROOT list --format=json",
        "--root $ROOT ps --format json $ID",
        "--root $ROOT events --stats $ID",
        "features",
    ] {
        let text = caller.combined(line);
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{line}: {text}");
    }
    assert!(caller.combined("--version").lines().next().is_some_and(|line| line.contains(" version ")));
}

/// A whole life with nothing but `XDG_RUNTIME_DIR`, and with nothing at all.
fn environment_of_podman_kill(t: &mut Test) {
    let mut podman = Caller::new(t);
    podman.write_resources();
    for environment in [RUNTIME_DIR, &[]] {
        podman.environment = environment;
        for line in [
            "create --bundle $BUNDLE --pid-file $DIR/pid $ID",
            "start $ID",
            "state $ID",
            "exec $ID true",
            "pause $ID",
            "resume $ID",
            "update --resources $DIR/resources $ID",
            "ps --format json $ID",
            "kill $ID 9",
        ] {
            podman.call(&format!("--root $ROOT {line}")).quiet();
        }
        podman.wait_status("stopped");
        podman.call("--root $ROOT delete $ID").quiet();
        podman.again();
    }
}

/// Podman names no `--root`; without privileges the state is below `XDG_RUNTIME_DIR`.
fn default_root_without_privileges(t: &mut Test) {
    const USER: &str = "1000";
    let own = |path: &Path| std::os::unix::fs::chown(path, Some(1000), Some(1000)).expect("chown");
    let mut bundle = t.bundle();
    let mapping = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
    bundle.namespace("user", None).set("/linux/uidMappings", mapping.clone());
    bundle.set("/linux/gidMappings", mapping).remove("/linux/cgroupsPath").remove("/linux/resources");
    bundle.remove_mount("/sys/fs/cgroup").args(["sleep", "1000"]).write();
    own(&bundle.dir);
    for name in ["", "bin", "dev", "etc", "proc", "run", "sys", "tmp"] {
        own(&bundle.rootfs(name));
    }
    let runtime_dir = t.path("xdg");
    std::fs::create_dir(&runtime_dir).expect("mkdir");
    own(&runtime_dir);
    let (dir, id) = (bundle.dir.to_str().expect("UTF-8").to_owned(), bundle.id.clone());
    let mut call = |args: &[&str]| {
        let mut command = Command::new("/usr/bin/setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--inh-caps=-all"]);
        command.args(["--bounding-set=-all", "--"]).arg(&environment::get().floe).args(args);
        command.env_clear().env("XDG_RUNTIME_DIR", &runtime_dir).current_dir("/");
        t.run(command)
    };
    call(&["create", "--bundle", &dir, &id]).quiet();
    let name = if environment::get().peer { "runc" } else { "floe" };
    assert!(runtime_dir.join(name).join(&id).is_dir(), "state below XDG_RUNTIME_DIR");
    call(&["start", &id]).quiet();
    call(&["kill", &id, "9"]).quiet();
    call(&["delete", "--force", &id]).quiet();
    assert!(!runtime_dir.join(name).join(&id).exists());
}

/// Podman's `--leave-running --leave-running`, here with switches of commands that exist.
fn switches_are_repeated(t: &mut Test) {
    let mut caller = Caller::new(t);
    caller
        .call(
            "--debug=false --debug=false --root $ROOT run --detach --detach --no-new-keyring --no-new-keyring \
             --no-pivot --no-pivot=false --bundle $BUNDLE $ID",
        )
        .quiet();
    caller.call("--root $ROOT delete --force --force $ID").quiet();
}

/// The last one counts, before and after the command.
fn values_are_repeated(t: &mut Test) {
    let mut caller = Caller::new(t);
    caller
        .call(
            "--root /nowhere --log /nowhere/log --log $DIR/log --root $ROOT create --bundle /nowhere \
             --pid-file /nowhere/pid --bundle=$BUNDLE --pid-file $DIR/pid $ID",
        )
        .quiet();
    assert!(caller.pid("pid") > 0);
    let list = caller.call("--root $ROOT list --format table --format json").quiet().json();
    assert_eq!(list[0]["id"], caller.bundle.id.as_str());
}

/// containerd's `-no-subreaper`, and everybody's own taste.
fn dashes_and_equals_signs(t: &mut Test) {
    let mut caller = Caller::new(t);
    for line in [
        "-root $ROOT run -detach -no-subreaper -bundle $BUNDLE $ID",
        "-root=$ROOT run -detach=true -bundle=$BUNDLE $ID",
        "--root=$ROOT run --detach=true --no-subreaper=true --bundle=$BUNDLE --pid-file=$DIR/pid $ID",
        "--root $ROOT run -d -b $BUNDLE $ID",
        "--root $ROOT run -d=1 -b=$BUNDLE $ID",
    ] {
        caller.call(line).quiet();
        assert_eq!(caller.status(), "running", "{line}");
        caller.delete();
        caller.again();
    }
}

/// conmon hands stderr to Podman; what is on stdout is lost.
fn misuse_goes_to_stderr(t: &mut Test) {
    let mut caller = Caller::new(t);
    for line in ["--no-such-flag list", "state --no-such-flag $ID", "create --bundle", "no-such-command"] {
        let output = caller.call(line);
        assert!(output.code != 0, "{line}");
        assert!(!output.stderr.is_empty(), "{line}");
        // runc has its usage there since 1.5.
        if !environment::get().peer {
            assert!(output.stderr.contains("Usage: floe"), "{line}: {}", output.stderr);
            assert_eq!(output.stdout, "", "{line}");
        }
    }
}

/// Podman and CRI-O probe a command with `--help`.
fn help_of_every_command(t: &mut Test) {
    let mut caller = Caller::new(t);
    for command in [
        "create",
        "start",
        "state",
        "kill",
        "delete",
        "run",
        "exec",
        "ps",
        "list",
        "pause",
        "resume",
        "update",
        "events",
        "spec",
        "features",
        "checkpoint",
        "restore",
    ] {
        for flag in ["--help", "-h"] {
            let output = caller.call(&format!("{command} {flag}")).quiet();
            assert!(output.stdout.contains(command), "{command}: {}", output.stdout);
        }
    }
}

/// containerd looks for `does not exist`; runc's words are `container does not exist`.
fn words_for_an_unknown_container(t: &mut Test) {
    let mut caller = Caller::new(t);
    for (line, status) in [
        ("state $ID", 1),
        ("start $ID", 1),
        ("kill $ID 9", 1),
        ("delete $ID", 1),
        ("pause $ID", 1),
        ("resume $ID", 1),
        ("ps $ID", 1),
        ("update --pids-limit 5 $ID", 1),
        ("events --stats $ID", 1),
        ("exec $ID true", 255),
        ("checkpoint $ID", 1),
    ] {
        let output = caller.call(&format!("--root $ROOT {line}")).exits(status);
        assert!(output.stderr.contains("container does not exist"), "{line}: {}", output.stderr);
    }
}

fn words_for_an_id(t: &mut Test) {
    let mut caller = Caller::new(t);
    caller.call("--root $ROOT create --bundle $BUNDLE $ID").quiet();
    let again = caller.call("--root $ROOT create --bundle $BUNDLE $ID").exits(1);
    assert!(again.stderr.contains("container with given ID already exists"), "{}", again.stderr);
    for id in ["a/b", "..", "a:b"] {
        let output = caller.call(&format!("--root $ROOT create --bundle $BUNDLE {id}")).exits(1);
        assert!(output.stderr.contains("invalid container ID format"), "{id}: {}", output.stderr);
    }
}

fn words_for_a_wrong_state(t: &mut Test) {
    let mut caller = Caller::new(t);
    caller.start();
    for (prepare, line, words) in [
        (None, "resume $ID", "container not paused"),
        (None, "delete $ID", "is not stopped"),
        (Some("pause $ID"), "exec $ID true", "paused"),
        (Some("kill $ID KILL"), "kill $ID TERM", "container not running"),
        (None, "pause $ID", "container not running"),
    ] {
        if let Some(prepare) = prepare {
            caller.call(&format!("--root $ROOT {prepare}")).quiet();
        }
        if words == "container not running" {
            caller.wait_status("stopped");
        }
        let output = caller.call(&format!("--root $ROOT {line}"));
        assert!(output.code != 0 && output.stderr.contains(words), "{line}: {}", output.stderr);
    }
}

/// runc says the first two of them, its test suite matches the third.
fn words_for_a_checkpoint(t: &mut Test) {
    let mut caller = Caller::new(t);
    caller.call("--root $ROOT create --bundle $BUNDLE $ID").quiet();
    let refused = |caller: &mut Caller<'_>, flags: &str, words: &str| {
        let line = format!("--root $ROOT checkpoint --image-path $DIR/images {flags} $ID");
        let output = caller.call(&line).exits(1);
        assert!(output.stderr.to_lowercase().contains(words), "{flags}: {}", output.stderr);
    };
    refused(&mut caller, "", "container cannot be checkpointed in created state");
    assert!(!caller.t.path("images").exists(), "made for nothing");
    caller.call("--root $ROOT start $ID").quiet();
    refused(&mut caller, "--parent-path /tmp", "--parent-path must be relative");
    refused(&mut caller, "--parent-path ../nothing", "invalid --parent-path");
    caller.call("--root $ROOT kill $ID KILL").quiet();
    caller.wait_status("stopped");
    refused(&mut caller, "", "container cannot be checkpointed in stopped state");
}

/// conmon's restore: a directory without images, a bundle with everything else.
fn failed_restore_leaves_nothing(t: &mut Test) {
    let mut caller = Caller::new(t);
    std::fs::create_dir(caller.t.path("images")).expect("mkdir");
    let line = "--root $ROOT restore --bundle $BUNDLE --pid-file $DIR/pid --detach --image-path $DIR/images \
                --work-path $DIR/work --tcp-established --file-locks $ID";
    let output = caller.call(line).exits(1);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    assert!(!caller.t.path("pid").exists());
    assert_eq!(caller.t.leftovers(), Vec::<String>::new());
    if environment::get().peer {
        skip("without CRIU there is no restore.log of other runtimes");
    }
    let log = std::fs::read_to_string(caller.t.path("work/restore.log")).expect("restore.log");
    let cause = output.stderr.trim_end().rsplit_once(": ").expect("a cause").1;
    assert!(log.contains("Error") && log.contains(cause), "{log}");
}

/// The two ways in which a program is not there: `podman: libpod/oci_util.go`.
fn podman_status(text: &str) -> i32 {
    let text = text.to_lowercase();
    let has = |list: &[&str]| list.iter().any(|words| text.contains(words));
    if has(&["permission denied", "operation not permitted"]) {
        return 126;
    }
    // The second three: `podman: libpod/define/exec_codes.go`.
    let not_found = ["executable file not found in", "no such file or directory", "open executable"];
    if has(&not_found) || has(&["not found", "executable path is empty", "no such file"]) { 127 } else { 126 }
}

/// `moby: daemon/errors.go`.
fn docker_status(text: &str) -> i32 {
    let text = text.to_lowercase();
    let has = |words: &str| text.contains(words);
    if has("executable file not found") || has("no such file or directory") || has("not a directory") {
        return 127;
    }
    if has("permission denied") || has("is a directory") { 126 } else { 128 }
}

/// Programs that cannot be executed, and what the user of an engine gets for them.
const PROGRAMS: [(&str, i32); 4] =
    [("no-such-program", 127), ("/no/such/program", 127), ("/etc/passwd", 126), ("/etc", 126)];

/// Without what a peer warns about on a host that has not all of cgroup v2.
fn without_warnings(text: &str) -> String {
    let is_warning = |line: &str| line.contains("level=warning") || line.contains(r#""level":"warning""#);
    let lines = text.lines().filter(|line| !(environment::get().peer && is_warning(line)));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The errors of `create` and `exec` for `program`.
fn errors_for(caller: &mut Caller<'_>, program: &str) -> [String; 3] {
    caller.bundle.args([program]).write();
    let create = caller.call("--root $ROOT create --bundle $BUNDLE --pid-file $DIR/pid $ID");
    if create.code == 0 {
        panic!("{program}: create must not leave it to start, whose error conmon does not see");
    }
    caller.again();
    caller.bundle.args(["/bin/floe-probe", "hold"]).write();
    caller.start();
    let exec = caller.call(&format!("--root $ROOT exec $ID {program}")).exits(255);
    caller.write_process(&[program]);
    let line = "--root $ROOT exec --pid-file $DIR/pid --process $DIR/process --detach $ID";
    let detached = caller.call(line).exits(255);
    caller.delete();
    caller.again();
    [create, exec, detached].map(|output| without_warnings(&output.stderr))
}

fn podman_maps_errors_to_126_and_127(t: &mut Test) {
    let mut podman = Caller::new(t);
    for (program, status) in PROGRAMS {
        for text in errors_for(&mut podman, program) {
            assert_eq!(podman_status(&text), status, "{program}: {text}");
        }
    }
    podman.bundle.set("/process/cwd", json!("/no/such/directory"));
    podman.bundle.args(["true"]).write();
    let text = podman.call("--root $ROOT run --bundle $BUNDLE $ID").stderr;
    assert!(!text.to_lowercase().contains("permission"), "{text}");
}

fn docker_maps_errors_to_126_and_127(t: &mut Test) {
    let mut docker = Caller::new(t);
    for (program, status) in PROGRAMS.into_iter().chain([("/etc/passwd/x", 127)]) {
        for text in errors_for(&mut docker, program) {
            assert_eq!(docker_status(&text), status, "{program}: {text}");
        }
    }
}

/// containerd's shim (`process/utils.go`, lower-cased) and CRI-O (`runtime_oci.go`, as it is) take these errors for
/// "it has ended", which is what they wanted.
fn containerd_and_crio_know_what_has_gone(t: &mut Test) {
    let mut caller = Caller::new(t);
    caller.stopped();
    let kill = caller.call("--root $ROOT kill $ID 9").exits(1).stderr;
    let exec = caller.call("--root $ROOT exec $ID true").exits(255).stderr;
    caller.delete();
    let containerd = |text: &str| {
        let text = text.to_lowercase();
        ["os: process already finished", "container not running", "no such process"]
            .iter()
            .any(|words| text.contains(words))
    };
    let crio = |text: &str| {
        ["no such process", "container not running", "invalid process"]
            .iter()
            .any(|words| text.contains(words))
    };
    assert!(containerd(&kill) && crio(&kill), "{kill}");
    assert!(environment::get().peer || crio(&exec), "{exec}");
    for line in ["kill $ID 9", "delete $ID"] {
        let text = caller.call(&format!("--root $ROOT {line}")).exits(1).stderr;
        assert!(text.to_lowercase().contains("does not exist"), "{text}");
    }
}

/// RFC 3339 as Go's `time.Time` decodes it from JSON.
fn is_rfc3339(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches('0'),
        None => rest,
    };
    ["Z", "+00:00", "-00:00"].contains(&zone)
}

/// The one object in a log, as Podman decodes the whole file: `{level, msg, time}`.
#[track_caller]
fn one_entry(text: &str) -> Value {
    let entry: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(entry["level"], "error", "{text}");
    assert!(entry["msg"].as_str().is_some_and(|message| !message.is_empty()), "{text}");
    assert!(entry["time"].as_str().is_some_and(is_rfc3339), "{text}");
    entry
}

/// Podman decodes the whole file as one object; containerd takes the last entry of level `error`.
fn log_has_one_object_for_each_failure(t: &mut Test) {
    let mut caller = Caller::new(t);
    let log = caller.t.path("log");
    let fail = |caller: &mut Caller<'_>, line: &str| {
        let output = caller.call(&format!("--root $ROOT --log $DIR/log --log-format json {line}"));
        assert!(output.code != 0, "{line}");
        let text = without_warnings(&read(&log));
        let message = one_entry(&text)["msg"].as_str().expect("text").to_owned();
        // The same error for those who read stderr.
        assert!(environment::get().peer || output.stderr == format!("floe: {message}\n"), "{line}: {text}");
        std::fs::remove_file(&log).expect("remove");
        message
    };
    for line in ["state nobody", "start nobody", "kill nobody 9", "delete nobody", "exec nobody true"] {
        assert!(fail(&mut caller, line).contains("does not exist"), "{line}");
    }
    fail(&mut caller, "create --bundle /nowhere $ID");
    // Init itself fails, long after clone3.
    caller.bundle.args(["no-such-program"]).write();
    assert!(fail(&mut caller, "create --bundle $BUNDLE $ID").contains("no-such-program"));
    assert!(fail(&mut caller, "run --bundle $BUNDLE $ID").contains("no-such-program"));
    caller.bundle.args(["/bin/floe-probe", "hold"]);
    caller.bundle.push("/hooks/createRuntime", json!({"path": "/bin/false"})).write();
    fail(&mut caller, "create --bundle $BUNDLE $ID");
    caller.bundle.remove("/hooks").write();
    caller.again();
    caller.start();
    caller.write_process(&["/etc/passwd"]);
    for line in [
        "exec $ID no-such-program",
        "exec --process $DIR/process --detach $ID",
        "exec --cwd /nowhere $ID true",
        "exec --process /nowhere $ID",
        "create --bundle $BUNDLE $ID",
        "delete $ID",
        "resume $ID",
        "kill $ID NOSUCH",
        "update --resources /nowhere $ID",
    ] {
        fail(&mut caller, line);
    }
}

/// containerd keeps one log.json for all commands of a container.
fn log_is_appended_to(t: &mut Test) {
    let mut caller = Caller::new(t);
    std::fs::write(caller.t.path("log"), "before\n").expect("write");
    for name in ["first", "second"] {
        caller.call(&format!("--root $ROOT --log $DIR/log --log-format json state {name}")).exits(1);
    }
    let text = read(caller.t.path("log"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "before"), "{text}");
    lines[1..].iter().for_each(|line| drop(one_entry(line)));
}

fn log_of_a_success_is_empty(t: &mut Test) {
    let mut caller = Caller::new(t);
    for line in [
        "create --bundle $BUNDLE $ID",
        "start $ID",
        "exec $ID true",
        "exec $ID sh -c false",
        "state $ID",
        "kill $ID 9",
    ] {
        caller.call(&format!("--root $ROOT --log $DIR/log --log-format json {line}"));
    }
    caller.wait_status("stopped");
    caller.call("--root $ROOT --log $DIR/log --log-format json delete $ID").quiet();
    assert_eq!(read(caller.t.path("log")), "");
}

/// conmon and containerd's shim read the file as soon as it is there: it gets its name when it is complete.
fn pid_file_is_never_half_written(t: &mut Test) {
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    let mut caller = Caller::new(t);
    let dir = caller.t.path("pids");
    std::fs::create_dir(&dir).expect("mkdir");
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).expect("inotify");
    inotify
        .add_watch(&dir, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVED_TO)
        .expect("watch");
    caller.call("--root $ROOT create --bundle $BUNDLE --pid-file $DIR/pids/init.pid $ID").quiet();
    caller.call("--root $ROOT start $ID").quiet();
    caller.call("--root $ROOT exec -d --pid-file $DIR/pids/exec.pid $ID true").quiet();
    let events = inotify.read_events().expect("events");
    for name in ["init.pid", "exec.pid"] {
        let own: Vec<AddWatchFlags> = events
            .iter()
            .filter(|event| event.name.as_deref().is_some_and(|n| n == name))
            .map(|event| event.mask)
            .collect();
        assert_eq!(own, [AddWatchFlags::IN_MOVED_TO], "{name}");
        let text = read(dir.join(name));
        assert!(text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty(), "{text:?}");
    }
    let left = std::fs::read_dir(&dir).expect("directory").count();
    assert_eq!(left, 2, "no temporary file");
}

/// conmon names the same file for each start of a container.
fn pid_file_is_replaced(t: &mut Test) {
    let mut caller = Caller::new(t);
    std::fs::write(caller.t.path("pid"), "4194304 and more").expect("write");
    caller.start();
    assert_eq!(caller.pid("pid"), caller.t.pid(&caller.bundle.id.clone()));
}

/// conmon takes the cgroup to watch from /proc/PID/cgroup as soon as `create` has ended.
fn pid_is_in_its_cgroup_when_create_returns(t: &mut Test) {
    let mut conmon = Caller::new(t);
    conmon.call("--root $ROOT create --bundle $BUNDLE --pid-file $DIR/pid $ID").quiet();
    let cgroup = read(format!("/proc/{}/cgroup", conmon.pid("pid")));
    assert!(
        cgroup.lines().any(|line| line.starts_with("0::") && line.ends_with(&conmon.bundle.id)),
        "{cgroup}"
    );
}

/// conmon: one descriptor, the master of a pseudo-terminal, with a payload that is not empty.
#[track_caller]
fn check_console(socket: &FdSocket) -> Terminal {
    let (payload, mut descriptors) = socket.receive();
    assert!(!payload.is_empty());
    assert_eq!(descriptors.len(), 1);
    let master = descriptors.remove(0);
    let name = std::fs::read_link(format!("/proc/self/fd/{}", master.as_raw_fd())).expect("link");
    assert!(name.ends_with("ptmx"), "{}", name.display());
    Terminal::new(master)
}

fn console_socket_of_create(t: &mut Test) {
    let mut conmon = Caller::new(t);
    conmon.bundle.set("/process/terminal", json!(true)).write();
    let socket = FdSocket::new(conmon.t.path("console"));
    conmon
        .call("--root $ROOT create --bundle $BUNDLE --pid-file $DIR/pid --console-socket $DIR/console $ID")
        .quiet();
    // It is there before `create` ends.
    let mut terminal = check_console(&socket);
    conmon.call("--root $ROOT start $ID").quiet();
    terminal.expect("ready");
    terminal.resize(20, 50);
    terminal.expect("sig 28");
}

fn console_socket_of_exec(t: &mut Test) {
    let mut conmon = Caller::new(t);
    conmon.start();
    let mut process = json!({"args": ["/bin/floe-probe", "hold"], "cwd": "/", "env": ["PATH=/bin"]});
    process["user"] = json!({"uid": 0, "gid": 0});
    process["terminal"] = json!(true);
    std::fs::write(conmon.t.path("process"), process.to_string()).expect("write");
    for line in [
        "exec --pid-file $DIR/exec-pid --process $DIR/process --detach --console-socket $DIR/0 $ID",
        // conmon-rs
        "exec -d --console-socket=$DIR/1 --tty --pid-file=$DIR/exec-pid $ID /bin/floe-probe hold",
    ] {
        let number = if line.contains("$DIR/0") { "0" } else { "1" };
        let socket = FdSocket::new(conmon.t.path(number));
        conmon.call(&format!("--root $ROOT {line}")).quiet();
        check_console(&socket).expect("ready");
    }
}

/// containerd, CRI-O and BuildKit decode it; the fields are runc's.
fn state_fields(t: &mut Test) {
    let mut caller = Caller::new(t);
    caller.bundle.set("/annotations", json!({"org.example.key": "value"})).write();
    caller.start();
    let state = caller.call("--root $ROOT state $ID").quiet().json();
    let object = state.as_object().expect("object");
    for field in ["ociVersion", "id", "status", "bundle", "rootfs", "created"] {
        assert!(object[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {state}");
    }
    assert!(object.contains_key("owner"), "{state}");
    assert_eq!(state["pid"], caller.pid("pid"));
    assert_eq!(state["annotations"], json!({"org.example.key": "value"}));
    // RFC3339Nano, with the fraction that Go leaves out only when it is zero.
    assert!(state["created"].as_str().is_some_and(is_rfc3339), "{state}");
    assert_eq!(object.len(), 9, "{state}");
    caller.call("--root $ROOT kill $ID 9").quiet();
    caller.wait_status("stopped");
    assert_eq!(caller.call("--root $ROOT state $ID").quiet().json()["pid"], 0);
}

/// CRI-O compares the words exactly.
fn state_words(t: &mut Test) {
    let mut crio = Caller::new(t);
    crio.call("--root $ROOT create --bundle $BUNDLE $ID").quiet();
    for (line, word) in [
        ("", "created"),
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("kill", "stopped"),
    ] {
        match line {
            "" => {}
            "kill" => drop(crio.call("--root $ROOT kill $ID 9").quiet()),
            line => drop(crio.call(&format!("--root $ROOT {line} $ID")).quiet()),
        }
        if word == "stopped" {
            crio.wait_status(word);
        }
        assert_eq!(crio.call("--root $ROOT state $ID").quiet().json()["status"], word);
    }
}

/// go-runc's `List` and `Ps`.
fn lists_in_json(t: &mut Test) {
    let mut client = Caller::new(t);
    // A nil slice of Go.
    assert_eq!(client.call("--root $ROOT list -f json").quiet().text(), "null");
    client.start();
    let list = client.call("--root $ROOT list --format json").quiet().json();
    let state = client.call("--root $ROOT state $ID").quiet().json();
    for field in ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created"] {
        assert_eq!(list[0][field], state[field], "{field}");
    }
    assert_eq!(list[0]["owner"], "root");
    let pids = client.call("--root $ROOT ps -f json $ID").quiet().json();
    assert_eq!(pids, json!([state["pid"]]));
}

/// runc's `types/events.go`, as go-runc decodes it.
fn statistics(t: &mut Test) {
    let mut client = Caller::new(t);
    client.start();
    let event = client.call("--root $ROOT events --stats $ID").quiet().json();
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(client.bundle.id)));
    let data = &event["data"];
    for field in ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt"] {
        assert!(data[field].is_object(), "{field}: {event}");
    }
    assert!(data["network_interfaces"].is_null() || data["network_interfaces"].is_array(), "{event}");
    for field in ["total", "kernel", "user"] {
        let value = data.pointer(&format!("/cpu/usage/{field}"));
        assert!(value.is_none_or(Value::is_u64), "{field}: {event}");
    }
    assert!(data["cpu"]["throttling"].is_object(), "{event}");
    for field in ["usage", "swap", "kernel", "kernelTCP"] {
        assert!(data["memory"][field]["limit"].is_u64(), "{field}: {event}");
    }
}

/// CRI-O, containerd and Podman each have their own way to hand resources over.
fn update_from_everywhere(t: &mut Test) {
    let mut caller = Caller::new(t);
    caller.start();
    let depth = |depth: u32| json!({"unified": {"cgroup.max.depth": depth.to_string()}}).to_string();
    std::fs::write(caller.t.path("resources"), depth(4)).expect("write");
    for (number, option) in [
        "--resources $DIR/resources",
        "--resources=$DIR/resources",
        "-r $DIR/resources",
        "--resources -",
        "--resources=-",
        "-r -",
    ]
    .iter()
    .enumerate()
    {
        let number = number as u32 + 11;
        std::fs::write(caller.t.path("resources"), depth(number)).expect("write");
        caller.call_with(&format!("--root $ROOT update {option} $ID"), &depth(number)).quiet();
        let value = read(cgroup_dir(&caller.bundle.id).join("cgroup.max.depth"));
        assert_eq!(value.trim(), number.to_string(), "{option}");
    }
    // What CRI-O sends for a pod without limits.
    caller.call_with("--root $ROOT update --resources - $ID", "{}").quiet();
}

/// BuildKit: a failed `RUN` has the status that `run` had.
fn exit_status_of_run(t: &mut Test) {
    let mut worker = Caller::new(t);
    for (script, status) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 125", 125),
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -HUP $$", 129),
    ] {
        // Not init, which signals of its own namespace do not kill.
        worker.bundle.args(["sh", "-c", &format!("sh -c '{script}'; exit $?")]).write();
        worker.call("--root $ROOT run --bundle $BUNDLE $ID").exits(status);
    }
    worker.bundle.args(["no-such-program"]).write();
    worker.call("--root $ROOT run --bundle $BUNDLE $ID").exits(1);
}

/// CRI-O's streaming exec; 255 is what `exec` has for its own failures.
fn exit_status_of_exec(t: &mut Test) {
    let mut crio = Caller::new(t);
    crio.start();
    for (script, status) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 126", 126),
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
        ("kill -SEGV $$", 139),
    ] {
        crio.write_process(&["sh", "-c", script]);
        crio.call("--root $ROOT exec --process $DIR/process $ID").exits(status);
    }
    for line in ["exec $ID no-such-program", "exec --process /nowhere $ID", "exec nobody true"] {
        crio.call(&format!("--root $ROOT {line}")).exits(255);
    }
}

/// All that a program can catch, but SIGWINCH, which is about the terminal of whoever is attached.
const SIGNALS: [(i32, &str); 9] = [
    (1, "sig 01"),
    (2, "sig 02"),
    (3, "sig 03"),
    (10, "sig 10"),
    (12, "sig 12"),
    (14, "sig 14"),
    (18, "sig 18"),
    (20, "sig 20"),
    (15, "sig 15"),
];

/// BuildKit and people signal the runtime and mean the container.
fn run_passes_signals_on(t: &mut Test) {
    let worker = Caller::new(t);
    let command = worker.command("--root $ROOT run --bundle $BUNDLE $ID");
    let running = worker.t.spawn(command);
    running.wait_for_output("ready");
    for (signal, line) in SIGNALS {
        running.signal(signal);
        running.wait_for_output(line);
    }
    running.wait().quiet();
}

fn exec_passes_signals_on(t: &mut Test) {
    let mut crio = Caller::new(t);
    crio.start();
    crio.write_process(&["/bin/floe-probe", "hold"]);
    let command = crio.command("--root $ROOT exec --process $DIR/process $ID");
    let running = crio.t.spawn(command);
    running.wait_for_output("ready");
    for (signal, line) in SIGNALS {
        running.signal(signal);
        running.wait_for_output(line);
    }
    running.wait().quiet();
    assert_eq!(crio.status(), "running");
}

/// Podman and containerd send numbers, CRI-O and people names; `--all` is hidden in runc and still sent.
fn kill_in_every_form(t: &mut Test) {
    let mut caller = Caller::new(t);
    let command = caller.command("--root $ROOT create --bundle $BUNDLE $ID");
    let mut running = caller.t.spawn(command);
    running.finish().quiet();
    caller.call("--root $ROOT start $ID").quiet();
    wait_for_text(&running.stdout, "ready");
    for (line, seen) in [
        ("kill $ID 10", "sig 10"),
        ("kill $ID SIGUSR2", "sig 12"),
        ("kill $ID HUP", "sig 01"),
        ("kill --all $ID 3", "sig 03"),
        ("kill -a $ID SIGALRM", "sig 14"),
        ("kill --all=true $ID CONT", "sig 18"),
        ("kill $ID", "sig 15"),
    ] {
        assert_eq!(caller.call(&format!("--root $ROOT {line}")).quiet().stdout, "");
        wait_for_text(&running.stdout, seen);
    }
    caller.wait_status("stopped");
    let after = caller.call("--root $ROOT kill $ID 9").exits(1);
    assert!(after.stderr.contains("container not running"), "{}", after.stderr);
    // There is nothing left to kill, which is what was wanted.
    caller.call("--root $ROOT kill --all $ID 9").quiet();
}

/// Podman deletes whatever state the container is in, twice if need be.
fn delete_in_every_form(t: &mut Test) {
    let mut podman = Caller::new(t);
    podman.call("--root $ROOT delete --force $ID").quiet();
    for line in [None, Some("start $ID"), Some("pause $ID")] {
        podman.call("--root $ROOT create --bundle $BUNDLE $ID").quiet();
        if let Some(line) = line {
            podman.call(&format!("--root $ROOT {line}")).quiet();
        }
        podman.call("--root $ROOT delete --force $ID").quiet();
        assert_eq!(podman.t.leftovers(), [""; 0], "{line:?}");
        podman.again();
    }
}

/// containerd and CRI-O allow user namespaces and recursive read-only mounts for what is said here.
fn features_for_kubernetes(t: &mut Test) {
    let features = t.call(["features"]).quiet().json();
    let has = |pointer: &str, word: &str| {
        let list = features.pointer(pointer).and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|value| value == word))
    };
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert!(features["ociVersionMax"].as_str().is_some_and(|version| version.starts_with("1.")));
    assert!(has("/mountOptions", "rro"));
    assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true);
    assert!(has("/linux/namespaces", "user") && has("/linux/namespaces", "time"));
    assert!(has("/linux/seccomp/archs", "SCMP_ARCH_X86_64"));
    assert!(has("/linux/seccomp/knownFlags", "SECCOMP_FILTER_FLAG_LOG"));
    assert!(has("/linux/seccomp/supportedFlags", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"));
    let annotations = features["annotations"].as_object().expect("annotations");
    assert!(annotations.keys().any(|key| key.ends_with(".version")), "{annotations:?}");
    assert!(annotations.keys().any(|key| key.ends_with(".checkpoint.enabled")), "{annotations:?}");
}

/// `moby: daemon/runtime_unix.go`: `NAME version X`, then `commit: H` and `spec: V` lines.
fn version_for_docker(t: &mut Test) {
    let output = Caller::new(t).call("--version").quiet().stdout;
    let mut lines = output.lines();
    let words: Vec<&str> = lines.next().expect("first line").split(' ').collect();
    assert_eq!((words.len(), words[1]), (3, "version"), "{output}");
    assert!(lines.next().is_some_and(|line| line.starts_with("commit: ")), "{output}");
    assert!(lines.next().is_some_and(|line| line.starts_with("spec: 1.")), "{output}");
}
