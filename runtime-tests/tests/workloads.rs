//! Real programs (`workloads/*.sh`) that find out for themselves whether their data and their service are still there,
//! each in every way of harness/subject.rs: `workloads::WAY::WORKLOAD`.
//!
//! They need `FLOE_WORKLOADS`, Debian's tree with these programs (`make test-workloads`); without it they do not exist.

use crate::harness::subject::{self, Subject, Way};
use crate::harness::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const UNSUPPORTED: &str = include_str!("../workloads/unsupported.txt");

const WAYS: [Way; 12] = [
    subject::PLAIN,
    subject::LEAVE_RUNNING,
    subject::RESTORE,
    subject::TWENTY_TIMES,
    subject::TO_CRIU,
    subject::FROM_CRIU,
    subject::CRIU,
    subject::RUNC,
    subject::CRUN,
    subject::RUNC_LEAVE_RUNNING,
    subject::RUNC_TO_CRIU,
    subject::RUNC_FROM_CRIU,
];

pub(crate) fn cases() -> Vec<Case> {
    if tree().is_none() {
        return Vec::new();
    }
    subject::cases("workloads", &WAYS, &subject::names("workloads", "sh"), UNSUPPORTED, run)
}

fn tree() -> Option<PathBuf> {
    let tree = std::env::var_os("FLOE_WORKLOADS")?;
    Some(fs::canonicalize(&tree).unwrap_or_else(|e| panic!("FLOE_WORKLOADS={}: {e}", tree.display())))
}

fn run(t: &mut Test, way: &Way, workload: &str) {
    let mut bundle = t.bundle();
    let rootfs = bundle.rootfs("");
    t.mount_overlay(&tree().expect("FLOE_WORKLOADS is set"), &rootfs);
    fs::create_dir(rootfs.join("data")).expect("mkdir");
    fs::set_permissions(rootfs.join("data"), fs::Permissions::from_mode(0o1777)).expect("chmod");
    fs::create_dir(rootfs.join("workloads")).expect("mkdir");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
    bundle.bind(&scripts, "/workloads", &["rbind", "ro"]);
    bundle.mount("/tmp", "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=1777"]);
    bundle.args(["sh", "/workloads/run", workload, "start"]);
    bundle.set("/process/env", json!(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LC_ALL=C.UTF-8"]));
    bundle.capabilities(&CAPABILITIES).set("/process/noNewPrivileges", json!(false));
    // Databases do not run as root. The id is that of the user in the tree.
    if let Some(user) =
        [("mariadb", "mysql"), ("postgresql", "postgres")].iter().find(|(name, _)| *name == workload)
    {
        let user = user_of(&rootfs, user.1);
        bundle.set("/process/user", json!({"uid": user, "gid": user}));
        fs::set_permissions(rootfs.join("data"), fs::Permissions::from_mode(0o777)).expect("chmod");
    }
    // As the profiles of engines do, which is why node has no io_uring in a container.
    let refused = ["io_uring_setup", "io_uring_enter", "io_uring_register"];
    bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": refused, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}),
    );
    let network = t.network();
    bundle.namespace("network", Some(&network));

    let mut subject = Subject::start(t, bundle, way.first);
    let ask = |subject: &mut Subject, function: &str| {
        let output = subject.exec(&["sh", "/workloads/run", workload, function]);
        assert!(output.code == 0, "{function}: {}{}", output.stdout, output.stderr);
    };
    ask(&mut subject, "prepare");
    subject.go(way, |subject| ask(subject, "check"));
    // Twice, because a check may leave the workload in another state.
    ask(&mut subject, "check");
    subject.call(&["delete", "--force"]).ok();
}

/// The id of a user in a tree's /etc/passwd.
fn user_of(rootfs: &Path, name: &str) -> u32 {
    let passwd = read(rootfs.join("etc/passwd"));
    let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:")));
    let id = line.and_then(|line| line.split(':').nth(2)).unwrap_or_else(|| panic!("no user {name}"));
    id.parse().expect("a number")
}
