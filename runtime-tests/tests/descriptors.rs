//! What a container inherits: the descriptors that were asked for and no variable of the caller's.

use crate::cases;
use crate::harness::*;
use std::process::Command;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        preserved_in_exec,
        preserved_one_that_is_closed,
        preserved_is_not_our_log,
        preserved_in_exec_is_not_our_log,
        preserved_in_exec_is_no_way_out,
        environment_of_run,
        environment_of_exec
    ];
    for verb in ["run", "run_detached", "create", "exec"] {
        cases.push(Case::new(format!("descriptors::{verb}_passes_none"), move |t| none_of_ours(t, verb)));
    }
    cases
}

/// Files as descriptors 3, 4, ….
fn pass(t: &Test, command: &mut Command, count: usize) {
    let open = |n| std::fs::File::create(t.path(format!("passed.{n}"))).expect("create").into();
    sockets::pass_fds(command, (0..count).map(open).collect());
}

/// The caller leaks three descriptors, floe opens a log, a pid file and sockets: none may arrive.
fn none_of_ours(t: &mut Test, verb: &str) {
    let mut bundle = t.bundle();
    let (log, pid_file) = (t.path("log"), t.path("pid"));
    let facts = ["/bin/floe-probe", "facts"];
    let mut command = t.floe();
    command.arg("--log").arg(&log);
    let id = match verb {
        "exec" => t.start_holding(&mut bundle).id,
        _ => {
            bundle.args(facts).write();
            bundle.id.clone()
        }
    };
    match verb {
        "exec" => command.args(["exec", "--pid-file"]).arg(&pid_file).arg(&id).args(facts),
        "run" => command.args(["run", "--pid-file"]).arg(&pid_file).arg("--bundle").arg(&bundle.dir).arg(&id),
        "run_detached" => command.args(["run", "--detach", "--bundle"]).arg(&bundle.dir).arg(&id),
        _ => command.args(["create", "--bundle"]).arg(&bundle.dir).arg(&id),
    };
    pass(t, &mut command, 3);
    let running = t.spawn(command);
    let stdout = running.stdout.clone();
    running.wait().ok();
    if verb == "create" {
        t.call(["start", &id]).ok();
    }
    wait_until("the program's output", || read(&stdout).ends_with("}\n"));
    let facts: Value = serde_json::from_str(&read(&stdout)).expect("json");
    let numbers: Vec<&String> = facts["fds"].as_object().expect("object").keys().collect();
    assert_eq!(numbers, ["0", "1", "2"], "{}", facts["fds"]);
}

fn preserved_in_exec(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let mut command = t.floe();
    command.args(["exec", "--preserve-fds", "2", &container.id, "/bin/floe-probe", "facts"]);
    pass(t, &mut command, 3);
    let facts = t.run(command).ok().json();
    let numbers: Vec<&String> = facts["fds"].as_object().expect("object").keys().collect();
    assert_eq!(numbers, ["0", "1", "2", "3", "4"], "{}", facts["fds"]);
}

/// What the program of `command` has open.
fn open_numbers(t: &mut Test, command: Command) -> Vec<String> {
    let facts = t.run(command).ok().json();
    facts["fds"].as_object().expect("object").keys().cloned().collect()
}

fn preserved_one_that_is_closed(t: &mut Test) {
    // Podman counts socket activation twice: what is not open is not inherited.
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "facts"]).write();
    let mut command = t.floe();
    command.args(["run", "--preserve-fds", "3", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    pass(t, &mut command, 2);
    assert_eq!(open_numbers(t, command), ["0", "1", "2", "3", "4"]);
}

fn preserved_is_not_our_log(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "facts"]).write();
    let mut command = t.floe();
    command.arg("--log").arg(t.path("log"));
    command.args(["run", "--preserve-fds", "1", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    assert_eq!(open_numbers(t, command), ["0", "1", "2"]);
}

fn preserved_in_exec_is_not_our_log(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let mut command = t.floe();
    command.arg("--log").arg(t.path("log"));
    command.args(["exec", "--preserve-fds", "1", &container.id, "/bin/floe-probe", "facts"]);
    assert_eq!(open_numbers(t, command), ["0", "1", "2"]);
}

/// Close-on-exec is too late for the working directory, which is looked up before (CVE-2024-21626).
fn preserved_in_exec_is_no_way_out(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    for number in 3..10 {
        let cwd = format!("/proc/self/fd/{number}");
        let mut command = Command::new("sh");
        command.arg("-c").arg(r#"exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec "$0" "$@""#);
        command.arg(&environment::get().floe).arg("--root").arg(&t.root);
        command.args(["exec", "--preserve-fds", "7", "--cwd", &cwd, &container.id, "true"]);
        t.run(command).exits(255).refused(&[&cwd]);
    }
}

fn environment_of_run(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "facts"]).write();
    let mut command = t.floe();
    command.env("SECRET", "x").env("LANG", "C").args(["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    let facts = t.run(command).ok().json();
    assert_eq!(facts["env"], json!(["PATH=/bin", "TERM=xterm", "HOME=/root"]));
}

fn environment_of_exec(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let mut command = t.floe();
    command.env("SECRET", "x").args(["exec", "--env", "A=b", &container.id, "/bin/floe-probe", "facts"]);
    let facts = t.run(command).ok().json();
    assert_eq!(facts["env"], json!(["PATH=/bin", "TERM=xterm", "A=b", "HOME=/root"]));
}
