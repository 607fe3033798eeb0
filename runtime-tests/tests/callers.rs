//! What an engine sends, word for word: argv of conmon and go-runc, and parts of config.json that only engines write.

use crate::cases;
use crate::harness::*;

pub(crate) fn cases() -> Vec<Case> {
    cases![conmon_exec_in_a_missing_directory,]
}

/// `podman exec -w /nosuch`: 127 for the user, and nothing is made in the container.
fn conmon_exec_in_a_missing_directory(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let process = json!({
        "terminal": false, "user": {"uid": 0, "gid": 0, "umask": 18}, "args": ["pwd"],
        "env": ["PATH=/bin"], "cwd": "/nosuch",
    });
    std::fs::write(t.path("process"), process.to_string()).expect("write");
    let mut command = t.floe();
    command.arg("exec").arg("--pid-file").arg(t.path("exec-pid")).arg("--process").arg(t.path("process"));
    command.args(["--detach", &container.id]);
    t.run(command).exits(255).refused(&["/nosuch", "no such file or directory"]);
    assert!(!bundle.rootfs("nosuch").exists());
    assert!(!t.path("exec-pid").exists());
}
