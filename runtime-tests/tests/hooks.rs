//! The six hooks: order, namespaces, what they are given, failures and timeouts.

use crate::cases;
use crate::harness::*;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        failing_poststart_kills,
        failing_poststop_is_a_warning,
        environment_is_exact,
        pid_is_the_hosts_outside,
        standard_output_is_not_the_containers,
        output_goes_to_files,
        output_file_that_cannot_be_opened,
        poststop_after_a_failed_create,
        order,
        arguments_and_environment,
        environment_is_not_inherited,
        several_of_one_kind,
        hook_without_args,
        relative_path_is_refused
    ];
    for kind in KINDS {
        cases.push(Case::new(format!("hooks::state_of_{kind}"), move |t| state(t, kind)));
        cases.push(Case::new(format!("hooks::namespace_of_{kind}"), move |t| namespace(t, kind)));
        cases.push(Case::new(format!("hooks::failing_{kind}"), move |t| failing(t, kind, "exit 3", None)));
        cases.push(Case::new(format!("hooks::hanging_{kind}"), move |t| {
            failing(t, kind, "exec sleep 1000", Some(1))
        }));
        cases.push(Case::new(format!("hooks::missing_{kind}"), move |t| missing(t, kind)));
    }
    cases
}

/// A bundle that holds, with a directory that is the same inside and outside, so that one path works for all hooks.
fn prepared(t: &mut Test) -> (Bundle, PathBuf) {
    let dir = t.path("hooks");
    std::fs::create_dir(&dir).expect("mkdir");
    std::fs::hard_link(&environment::get().busybox, dir.join("busybox")).expect("link");
    for name in ["sh", "cat", "sleep", "readlink", "ls", "env"] {
        std::os::unix::fs::symlink("busybox", dir.join(name)).expect("symlink");
    }
    let mut bundle = t.bundle();
    let inside = dir.to_str().expect("utf-8").to_owned();
    bundle.bind(&dir, &inside, &["bind"]).args(["/bin/floe-probe", "hold"]);
    (bundle, dir)
}

/// A script in the shared directory that works with or without the container's root.
fn hook(dir: &std::path::Path, name: &str, body: &str) -> Value {
    let path = dir.join(name);
    let dir = dir.display();
    std::fs::write(&path, format!("#!{dir}/sh\nPATH={dir}; D={dir}\n{body}\n")).expect("write");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    json!({"path": path})
}

fn live_and_die(t: &mut Test, bundle: &Bundle) -> i32 {
    let container = t.create(bundle);
    let pid = t.pid(&container.id);
    t.call(["start", &container.id]).ok();
    t.call(["delete", "--force", &container.id]).ok();
    pid
}

fn order(t: &mut Test) {
    let (mut bundle, dir) = prepared(t);
    for kind in KINDS {
        let body = format!("echo {kind} >> $D/order");
        bundle.push(&format!("/hooks/{kind}"), hook(&dir, kind, &body));
    }
    bundle.args(["sh", "-c", &format!("echo program >> {}/order; sleep 100", dir.display())]);
    let container = t.create(&bundle);
    assert_eq!(read(dir.join("order")), "prestart\ncreateRuntime\ncreateContainer\n");
    t.call(["start", &container.id]).ok();
    wait_until("poststart and the program", || read(dir.join("order")).lines().count() == 6);
    t.call(["delete", "--force", &container.id]).ok();
    let text = read(dir.join("order"));
    let mut words: Vec<&str> = text.lines().collect();
    assert_eq!(words.last(), Some(&"poststop"));
    // The program runs beside poststart.
    words.retain(|w| *w != "program");
    assert_eq!(words, KINDS);
}

fn state(t: &mut Test, kind: &str) {
    let (mut bundle, dir) = prepared(t);
    bundle.set("/annotations", json!({"key": "value"}));
    bundle.push(&format!("/hooks/{kind}"), hook(&dir, "hook", "cat > $D/state"));
    let pid = live_and_die(t, &bundle);
    let text = read(dir.join("state"));
    let state: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{kind}: {e}: {text}"));
    assert_eq!(state["id"], bundle.id.as_str());
    assert_eq!(state["bundle"], bundle.dir.to_str().expect("utf-8"));
    assert_eq!(state["annotations"], json!({"key": "value"}));
    let status: &[&str] = match kind {
        "prestart" | "createRuntime" | "createContainer" => &["creating", "created"],
        "startContainer" => &["created"],
        "poststart" => &["running"],
        _ => &["stopped"],
    };
    assert!(status.iter().any(|s| state["status"] == *s), "{kind}: {state}");
    match kind {
        "poststop" => assert!(state["pid"].as_i64().unwrap_or(0) == 0, "{state}"),
        // runc gives the container's own view where the hook runs inside.
        _ => assert!(state["pid"] == pid || state["pid"] == 1, "{state}"),
    }
}

fn namespace(t: &mut Test, kind: &str) {
    let (mut bundle, dir) = prepared(t);
    let body = "readlink /proc/self/ns/mnt > $D/mnt; readlink /proc/self/ns/net > $D/net; ls / > $D/root";
    bundle.push(&format!("/hooks/{kind}"), hook(&dir, "hook", body));
    live_and_die(t, &bundle);
    let outside = namespace_of("self", "mnt");
    let inside = ["createContainer", "startContainer"].contains(&kind);
    if kind != "createContainer" {
        // Before pivot_root the hook sees the runtime's files in the container's namespaces.
        assert_eq!(read(dir.join("mnt")).trim() != outside, inside, "{kind}");
        assert_eq!(read(dir.join("net")).trim() != namespace_of("self", "net"), inside, "{kind}");
    } else {
        assert_ne!(read(dir.join("mnt")).trim(), outside);
    }
    let sees_container_root = read(dir.join("root")).lines().any(|name| name == "data");
    assert_eq!(sees_container_root, kind == "startContainer", "{kind}: {}", read(dir.join("root")));
}

fn failing(t: &mut Test, kind: &str, body: &str, timeout: Option<u32>) {
    let (mut bundle, dir) = prepared(t);
    let mut entry = hook(&dir, "hook", body);
    if let Some(seconds) = timeout {
        entry["timeout"] = json!(seconds);
    }
    bundle.push(&format!("/hooks/{kind}"), entry).write();
    let begin = std::time::Instant::now();
    let mut command = t.floe();
    command.arg("create").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    let output = t.run(command);
    match kind {
        "prestart" | "createRuntime" | "createContainer" => {
            output.exits(1).refused(&["hook"]);
            assert_eq!(t.leftovers(), [""; 0]);
        }
        "startContainer" => {
            output.ok();
            // runc's start has answered before init runs the hook; the container ends either way.
            t.call(["start", &bundle.id]);
            wait_until("the container's end", || {
                let state = t.call(["state", &bundle.id]);
                state.code != 0 || state.stdout.contains("\"stopped\"")
            });
        }
        // What follows the program's start or end does not change the container.
        "poststart" => {
            output.ok();
            t.call(["start", &bundle.id]);
        }
        _ => {
            output.ok();
            t.call(["start", &bundle.id]).ok();
            t.call(["delete", "--force", &bundle.id]);
            assert_eq!(t.leftovers(), [""; 0]);
        }
    }
    if timeout.is_some() {
        assert!(begin.elapsed().as_secs() < 15, "the timeout is one second");
    }
}

fn missing(t: &mut Test, kind: &str) {
    let (mut bundle, _) = prepared(t);
    bundle.push(&format!("/hooks/{kind}"), json!({"path": "/no/such/hook"})).write();
    let mut command = t.floe();
    command.arg("create").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    let output = t.run(command);
    if ["prestart", "createRuntime", "createContainer"].contains(&kind) {
        output.exits(1).refused(&["/no/such/hook"]);
        assert_eq!(t.leftovers(), [""; 0]);
    }
}

fn arguments_and_environment(t: &mut Test) {
    let (mut bundle, dir) = prepared(t);
    let mut entry = hook(&dir, "hook", "echo \"$0,$1,$2,$A\" > $D/seen");
    // The kernel replaces argument 0 of a script by its path.
    entry["args"] = json!(["name", "one", "two words"]);
    entry["env"] = json!(["A=b=c"]);
    bundle.push("/hooks/createRuntime", entry);
    live_and_die(t, &bundle);
    assert_eq!(read(dir.join("seen")), format!("{},one,two words,b=c\n", dir.join("hook").display()));
}

fn environment_is_not_inherited(t: &mut Test) {
    let (mut bundle, dir) = prepared(t);
    let mut entry = hook(&dir, "hook", "env > $D/seen");
    entry["env"] = json!(["ONLY=this"]);
    bundle.push("/hooks/createRuntime", entry).write();
    let mut command = t.floe();
    command.env("SECRET", "x").arg("create").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    t.run(command).ok();
    let seen = read(dir.join("seen"));
    assert!(seen.contains("ONLY=this") && !seen.contains("SECRET"), "{seen}");
}

fn several_of_one_kind(t: &mut Test) {
    let (mut bundle, dir) = prepared(t);
    for name in ["one", "two", "three"] {
        bundle.push("/hooks/createRuntime", hook(&dir, name, &format!("echo {name} >> $D/seen")));
    }
    live_and_die(t, &bundle);
    assert_eq!(read(dir.join("seen")), "one\ntwo\nthree\n");
}

fn hook_without_args(t: &mut Test) {
    let (mut bundle, dir) = prepared(t);
    bundle.push("/hooks/poststop", hook(&dir, "hook", "echo $# > $D/seen"));
    live_and_die(t, &bundle);
    assert_eq!(read(dir.join("seen")), "0\n");
}

fn relative_path_is_refused(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/hooks/createRuntime", json!({"path": "relative/hook"}));
    t.run_bundle(&bundle).exits(1).refused(&["relative/hook"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn failing_poststart_kills(t: &mut Test) {
    let (mut bundle, dir) = prepared(t);
    bundle.push("/hooks/poststart", hook(&dir, "hook", "echo said; exit 3"));
    let container = t.create(&bundle);
    t.call(["start", &container.id]).exits(1).refused(&["poststart", "3"]);
    t.wait_status(&container.id, "stopped");
    t.call(["delete", &container.id]).ok();
    bundle.id = t.id();
    t.run_bundle(&bundle).exits(1).refused(&["poststart"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn failing_poststop_is_a_warning(t: &mut Test) {
    let (mut bundle, dir) = prepared(t);
    let log = t.path("log");
    bundle.push("/hooks/poststop", hook(&dir, "one", "exit 3"));
    bundle.push("/hooks/poststop", hook(&dir, "two", "echo ran > $D/seen"));
    let container = t.start(&bundle);
    let mut command = t.floe();
    command.arg("--log").arg(&log).args(["delete", "--force", &container.id]);
    t.run(command).ok();
    assert_eq!(read(dir.join("seen")), "ran\n", "the other hooks run as well");
    assert!(read(&log).contains("poststop") || environment::get().peer, "{}", read(&log));
    assert_eq!(t.leftovers(), [""; 0]);
}

fn environment_is_exact(t: &mut Test) {
    for (env, expected) in [(json!(["A=b", "EMPTY="]), "A=b\0EMPTY=\0"), (json!([]), "")] {
        let (mut bundle, dir) = prepared(t);
        let mut entry = hook(&dir, "hook", "cat /proc/$$/environ > $D/seen");
        entry["env"] = env;
        bundle.push("/hooks/createRuntime", entry).write();
        let mut command = t.floe();
        command.env("SECRET", "x").arg("create").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
        t.run(command).ok();
        assert_eq!(read(dir.join("seen")), expected);
        t.call(["delete", "--force", &bundle.id]).ok();
        std::fs::remove_dir_all(&dir).expect("remove");
    }
}

fn pid_is_the_hosts_outside(t: &mut Test) {
    let (mut bundle, dir) = prepared(t);
    for kind in ["prestart", "createRuntime", "poststart"] {
        bundle.push(&format!("/hooks/{kind}"), hook(&dir, kind, &format!("cat > $D/{kind}.state")));
    }
    let pid = live_and_die(t, &bundle);
    for kind in ["prestart", "createRuntime", "poststart"] {
        let state: Value = serde_json::from_str(&read(dir.join(format!("{kind}.state")))).expect("json");
        assert_eq!(state["pid"], pid, "{kind}");
    }
}

fn standard_output_is_not_the_containers(t: &mut Test) {
    let (mut bundle, dir) = prepared(t);
    bundle.push("/hooks/createRuntime", hook(&dir, "hook", "echo noise; echo noise >&2"));
    bundle.args(["echo", "up"]);
    assert_eq!(t.run_bundle(&bundle).quiet().stdout, "up\n");
}

/// crun's annotations: one file each for the hooks of all kinds, wherever they run.
fn output_goes_to_files(t: &mut Test) {
    needs_floe();
    let (mut bundle, dir) = prepared(t);
    let (stdout, stderr) = (t.path("stdout"), t.path("stderr"));
    std::fs::write(&stdout, "before\n").expect("write");
    bundle.set("/annotations", json!({"run.oci.hooks.stdout": stdout, "run.oci.hooks.stderr": stderr}));
    for kind in KINDS {
        bundle.push(&format!("/hooks/{kind}"), hook(&dir, kind, &format!("echo {kind}; echo to {kind} >&2")));
    }
    live_and_die(t, &bundle);
    assert_eq!(read(&stdout), format!("before\n{}\n", KINDS.join("\n")));
    assert_eq!(read(&stderr), KINDS.map(|kind| format!("to {kind}\n")).concat());
}

fn output_file_that_cannot_be_opened(t: &mut Test) {
    needs_floe();
    let mut bundle = t.bundle();
    bundle.set("/annotations", json!({"run.oci.hooks.stderr": "/no/such/file"}));
    t.run_bundle(&bundle).exits(1).refused(&["run.oci.hooks.stderr", "/no/such/file"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

/// "If any hook fails, the runtime MUST … continue the lifecycle at step 12": poststop hooks run.
fn poststop_after_a_failed_create(t: &mut Test) {
    let (mut bundle, dir) = prepared(t);
    bundle.push("/hooks/createRuntime", hook(&dir, "hook", "exit 1"));
    bundle.push("/hooks/poststop", hook(&dir, "after", "echo ran > $D/seen"));
    t.run_bundle(&bundle).exits(1).refused(&["createRuntime"]);
    assert_eq!(read(dir.join("seen")), "ran\n");
}
