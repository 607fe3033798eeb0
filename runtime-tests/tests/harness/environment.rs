//! The world in which the tests run: mount and pid namespaces of our own, cgroup v2 at /sys/fs/cgroup, a tmpfs for
//! all files.

use super::isolation;
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

/// What is found before the namespaces are entered.
#[derive(Debug)]
pub(crate) struct Inputs {
    floe: PathBuf,
    probe: PathBuf,
    busybox: PathBuf,
}

/// Where everything is, once inside.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) floe: PathBuf,
    /// The binary under test is another runtime, run to validate the tests.
    pub(crate) peer: bool,
    /// In a virtual machine of vm.sh, which is some ten times slower.
    pub(crate) emulated: bool,
    pub(crate) probe: PathBuf,
    pub(crate) busybox: PathBuf,
    /// A tmpfs of this run.
    pub(crate) work: PathBuf,
    /// Name of the cgroup below /sys/fs/cgroup under which all containers live.
    pub(crate) cgroup: String,
    /// Controllers that containers can have.
    pub(crate) controllers: Vec<String>,
}

static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();

pub(crate) fn get() -> &'static Environment {
    ENVIRONMENT.get().expect("tests run inside the environment")
}

impl Inputs {
    pub(crate) fn find() -> Inputs {
        let busybox =
            ["/usr/bin/busybox", "/bin/busybox"].map(PathBuf::from).into_iter().find(|p| p.exists());
        Inputs {
            floe: match std::env::var_os("FLOE_BIN") {
                Some(path) => fs::canonicalize(path).expect("FLOE_BIN names a file"),
                None => built_floe(),
            },
            probe: PathBuf::from(env!("CARGO_BIN_EXE_floe-probe")),
            busybox: busybox.expect("busybox-static is installed (make deps)"),
        }
    }
}

/// `cargo test -p runtime-tests` does not build other packages' binaries, so this does.
fn built_floe() -> PathBuf {
    let profile_dir = Path::new(env!("CARGO_BIN_EXE_floe-probe")).parent().expect("target directory");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    build.args(["build", "--quiet", "--package", "floe", "--manifest-path"]);
    build.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"));
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile_dir.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo runs").success(), "cargo build --package floe");
    profile_dir.join("floe")
}

/// Runs `body` inside and returns its exit code, after everything it started is gone.
pub(crate) fn within(inputs: &Inputs, body: impl FnOnce() -> ExitCode) -> ExitCode {
    let outside = tempfile::Builder::new().prefix("floe-tests-").tempdir().expect("temporary directory");
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let cgroup = format!("floe-tests-{}", std::process::id());
    let code = isolation::within(
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID,
        || set_up_mounts(outside.path()),
        || {
            let environment = populate(inputs, outside.path(), &cgroup);
            ENVIRONMENT.set(environment).expect("set once");
            body()
        },
    );
    if let Err(error) = isolation::remove_cgroup(&Path::new("/sys/fs/cgroup").join(&cgroup)) {
        eprintln!("{error}");
    }
    let _ = nix::mount::umount2(outside.path(), nix::mount::MntFlags::MNT_DETACH);
    code
}

fn set_up_mounts(work: &Path) {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).expect("make / private");
    mount(
        Some("proc"),
        "/proc",
        Some("proc"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        none,
    )
    .expect("mount proc");
    mount(Some("tmpfs"), work, Some("tmpfs"), MsFlags::MS_NODEV, Some("mode=755,size=4g"))
        .expect("mount tmpfs");
    // What floe as criu writes down is by pids, and ours are those of other runs, too.
    fs::create_dir_all("/run/floe-criu").expect("mkdir");
    mount(Some("tmpfs"), "/run/floe-criu", Some("tmpfs"), MsFlags::empty(), Some("mode=700"))
        .expect("mount tmpfs");
    if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("cgroup2"), "/sys/fs/cgroup", Some("cgroup2"), flags, none).expect("mount cgroup2");
    }
}

fn populate(inputs: &Inputs, work: &Path, cgroup: &str) -> Environment {
    let copy = |from: &Path, name: &str| {
        let to = work.join("bin").join(name);
        fs::copy(from, &to).unwrap_or_else(|e| panic!("copy {}: {e}", from.display()));
        to
    };
    fs::create_dir(work.join("bin")).expect("mkdir");
    let base = Path::new("/sys/fs/cgroup");
    let controllers = fs::read_to_string(base.join("cgroup.controllers")).expect("read cgroup.controllers");
    let controllers: Vec<String> = controllers.split_whitespace().map(str::to_owned).collect();
    fs::create_dir(base.join(cgroup)).expect("create the cgroup of this run");
    for dir in [base.to_owned(), base.join(cgroup)] {
        for controller in &controllers {
            // Some cannot be enabled below the root (cpu with realtime tasks); the tests then see them missing.
            let _ = fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    let enabled = fs::read_to_string(base.join(cgroup).join("cgroup.subtree_control")).expect("read");
    let floe = copy(&inputs.floe, "floe");
    let version = Command::new(&floe).arg("--version").output().expect("the binary under test runs");
    Environment {
        emulated: std::env::var_os("FLOE_VM").is_some(),
        peer: !version.stdout.starts_with(b"floe"),
        floe,
        probe: copy(&inputs.probe, "floe-probe"),
        busybox: copy(&inputs.busybox, "busybox"),
        work: work.to_owned(),
        cgroup: cgroup.to_owned(),
        controllers: enabled.split_whitespace().map(str::to_owned).collect(),
    }
}
