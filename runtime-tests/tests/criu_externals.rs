//! Files and terminals from outside that are open in a tree (`criu --external`), and what a restore puts in their place
//! (`--inherit-fd`), beside CRIU. Only with `FLOE_CRIU`, as all of `as_criu`.

use crate::criu_command::Counter;
use crate::harness::sockets::open_pty;
use crate::harness::subject::criu_directory;
use crate::harness::*;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    if criu_directory().is_none() {
        return Vec::new();
    }
    type Body = fn(&mut Counter<'_>);
    let bodies: [(&str, Body); 3] =
        [("file", file), ("skipped_mount", skipped_mount), ("terminal", terminal)];
    let case = |(name, body): (&str, Body)| {
        Case::new(format!("as_criu::externals::{name}"), move |t| body(&mut Counter::start(t)))
    };
    bodies.into_iter().map(case).collect()
}

/// Dumped by CRIU or not, and restored.
const WAYS: [(bool, bool); 3] = [(false, false), (true, false), (false, true)];

/// `ACTION` of floe's or CRIU's, with `inherited` as descriptor 5.
#[track_caller]
fn call(counter: &Counter<'_>, is_criu: bool, action: &str, inherited: Stdio, options: &[&str]) {
    let mut command = Command::new("sh");
    command.args(["-c", "exec 5<&0 </dev/null; exec \"$@\"", "sh"]);
    if is_criu {
        command.arg(criu_directory().expect("asked for by cases").join("criu"));
        command.args([action, "--network-lock", "skip"]);
    } else {
        command.arg(counter.t.floe().get_program()).args(["criu", action]);
    }
    command.args(["--no-default-config", "-v4", "-o", "log", "-D"]).arg(&counter.images).args(options);
    command.current_dir(&counter.t.dir).env_clear().env("PATH", "/usr/bin:/bin").stdin(inherited);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs");
    assert!(status.success(), "{action}: {}", read(counter.images.join("log")));
}

/// A shell that writes to `output` is dumped, and restored with `other` in its place. Returns its pid.
fn move_to(
    counter: &Counter<'_>,
    (dumper_is_criu, restorer_is_criu): (bool, bool),
    output: OwnedFd,
    other: OwnedFd,
    key: impl FnOnce(u32) -> String,
) -> i32 {
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", "while :; do echo tick; sleep .02; done"]).current_dir(&counter.t.dir);
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).stderr(Stdio::null());
    let mut shell = command.stdout(output).spawn().expect("spawn");
    drop(command);
    std::thread::sleep(Duration::from_millis(100));
    let pid = shell.id();
    let key = key(pid);
    call(counter, dumper_is_criu, "dump", Stdio::null(), &["--tree", &pid.to_string(), "--external", &key]);
    shell.wait().expect("wait");
    let inherit = format!("fd[5]:{key}");
    call(counter, restorer_is_criu, "restore", other.into(), &["-d", "--inherit-fd", &inherit]);
    pid as i32
}

fn end(pid: i32) {
    let group = nix::unistd::Pid::from_raw(pid);
    wait_until("it is gone", || nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).is_err());
}

/// What it has open goes on in another file.
fn file(counter: &mut Counter<'_>) {
    for way in WAYS {
        let (first, second) = (counter.t.path("first"), counter.t.path("second"));
        let make = |path| OwnedFd::from(File::create(path).expect("a file"));
        let inode = fs::metadata({
            make(&first);
            &first
        })
        .expect("metadata")
        .ino();
        let output = File::options().append(true).open(&first).expect("open");
        let pid = move_to(counter, way, output.into(), make(&second), |pid| {
            let mount = read(format!("/proc/{pid}/fdinfo/1"));
            let mount = mount.lines().find_map(|line| line.strip_prefix("mnt_id:")).expect("a mount");
            format!("file[{:x}:{inode:x}]", mount.trim().parse::<u64>().expect("a number"))
        });
        let before = read(&first).len();
        wait_until("it writes to the other file", || read(&second).contains("tick\ntick\n"));
        assert_eq!(read(&first).len(), before, "{way:?}");
        end(pid);
        counter.begin_anew();
    }
}

/// What it writes to goes on as another terminal.
fn terminal(counter: &mut Counter<'_>) {
    for way in WAYS {
        let ((_first, inner), (mut second, other)) = (open_pty(24, 80), open_pty(24, 80));
        let terminal = File::from(inner.try_clone().expect("dup")).metadata().expect("metadata");
        let key = format!("tty[{:x}:{:x}]", terminal.rdev(), terminal.dev());
        let pid = move_to(counter, way, inner, other, |_| key);
        second.expect("tick\r\ntick\r\n");
        end(pid);
        counter.begin_anew();
    }
}

/// A mount that is skipped does not come back, nor what was in it; the host's do.
fn skipped_mount(counter: &mut Counter<'_>) {
    let place = counter.t.path("mounted");
    fs::create_dir(&place).expect("mkdir");
    let place = place.to_str().expect("text");
    let script = format!(
        "exec </dev/null >/dev/null 2>&1
        umount --lazy /sys # What is mounted there is hidden in parts.
        mount -t tmpfs none {place}; echo yes >{place}/file; while :; do sleep .1; done"
    );
    let mut command = Command::new("setsid");
    command.args(["unshare", "--mount", "--propagation", "private", "sh", "-c", &script]);
    command.current_dir(&counter.t.dir).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    let mut shell = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("spawn");
    let pid = shell.id();
    let file = format!("/proc/{pid}/root{place}/file");
    wait_until("it has mounted", || fs::read_to_string(&file).is_ok_and(|text| text == "yes\n"));
    let found = ["--ext-mount-map", "auto"];
    let tree = ["--tree", &pid.to_string(), "--skip-mnt", place];
    call(counter, false, "dump", Stdio::null(), &[&tree[..], &found].concat());
    shell.wait().expect("wait");
    let entries = fs::read_dir(&counter.images).expect("read");
    let mut names = entries.map(|entry| entry.expect("an entry").file_name());
    assert!(names.all(|name| !name.to_string_lossy().starts_with("tmpfs-")));
    call(counter, false, "restore", Stdio::null(), &[&["-d", "--root", "/"][..], &found].concat());
    let mounts = read(format!("/proc/{pid}/mountinfo"));
    assert!(!mounts.contains(place) && mounts.contains(" /proc "), "{mounts}");
    assert!(!Path::new(&file).exists());
    end(pid as i32);
}
