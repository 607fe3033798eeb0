//! Where the engines run: Debian sid's tree as the root directory, with namespaces, a cgroup and files of its own.
//!
//! The tree is the lower layer of an overlay, so nothing of it changes. Engines want to be below a root that is a
//! mount (a chroot is not enough: conmon and the runtime pivot), with a cgroup namespace whose root is theirs.

use crate::isolation;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs `body` inside. When it is done nothing is left of it: that is checked too.
pub(crate) fn within(body: impl FnOnce() -> ExitCode) -> ExitCode {
    let variable = |name: &str, remedy: &str| {
        let value = std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: {remedy}"));
        fs::canonicalize(&value).unwrap_or_else(|error| panic!("{name}={}: {error}", value.display()))
    };
    let floe = variable("FLOE_BIN", "use make test-callers");
    let tree = variable("FLOE_PEERS", "use make test-callers").join("sid");
    let root = tempfile::Builder::new().prefix("floe-callers-").tempdir().expect("temporary directory");
    let cgroup = PathBuf::from(format!("/sys/fs/cgroup/floe-callers-{}", std::process::id()));
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    let set_up = || {
        enter_cgroup(&cgroup);
        let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib");
        script(include_str!("world.sh"), &[&tree, root.path(), &floe, &contrib]);
        let old = root.path().join("root");
        std::env::set_current_dir(&old).expect("chdir");
        nix::unistd::pivot_root(".", ".").expect("pivot_root");
        umount2(".", MntFlags::MNT_DETACH).expect("umount the old root");
        std::env::set_current_dir("/").expect("chdir");
        script(include_str!("engines.sh"), &[]);
    };
    let code = isolation::within(namespaces, set_up, body);
    // Processes ended with the pid namespace, mounts with theirs, unless one has got out.
    let mounts =
        fs::read_to_string(format!("/proc/{}/mountinfo", nix::unistd::getppid())).expect("mountinfo");
    let left = match isolation::remove_cgroup(&cgroup) {
        Err(error) => error,
        Ok(()) if mounts.contains(&*root.path().to_string_lossy()) => "mounts".to_owned(),
        Ok(()) => return code,
    };
    println!("left on the host: {left}");
    ExitCode::FAILURE
}

/// A cgroup namespace whose root has no processes, as a host's root has none that count.
fn enter_cgroup(cgroup: &Path) {
    script(
        "mount --make-rprivate /
        [ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup",
        &[],
    );
    fs::create_dir(cgroup).expect("create the cgroup of this run");
    fs::write(cgroup.join("cgroup.procs"), "0").expect("enter the cgroup");
    // The outer process keeps the mounts from which it can remove the cgroup.
    unshare(CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWNS).expect("unshare");
    let own = cgroup.join("tests");
    fs::create_dir(&own).expect("create a cgroup");
    fs::write(own.join("cgroup.procs"), "0").expect("enter the cgroup");
    for dir in [Path::new("/sys/fs/cgroup"), cgroup] {
        let controllers = fs::read_to_string(dir.join("cgroup.controllers")).expect("cgroup.controllers");
        for controller in controllers.split_whitespace() {
            // Some cannot be enabled below the root (cpu with realtime tasks); engines then see them missing.
            let _ = fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
}

fn script(text: &str, arguments: &[&Path]) {
    let mut command = Command::new("bash");
    command.args(["-euc", text, "bash"]).args(arguments).env("PATH", PATH);
    assert!(command.status().expect("bash runs").success(), "the world cannot be made");
}
