//! What a caller sees of the binary without a container: streams, exit status, log. No root.

use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

struct Outcome {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Runs floe with an environment like Podman's for `kill`: nothing but XDG_RUNTIME_DIR.
fn floe(arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floe"));
    let output =
        command.args(arguments).env_clear().env("XDG_RUNTIME_DIR", "/nonexistent").output().expect("run");
    Outcome {
        status: output.status.code().expect("an exit status"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A path of this test's own, with nothing there.
fn fresh_path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("floe-cli-test-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn version_is_what_docker_reads() {
    for arguments in [&["--version"][..], &["-v"], &["--root", "/r", "--version"]] {
        let outcome = floe(arguments);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
        let lines: Vec<_> = outcome.stdout.lines().collect();
        assert!(lines[0].starts_with("floe version "), "{lines:?}");
        assert!(lines[1].starts_with("commit: "), "{lines:?}");
        assert_eq!(lines[2], "spec: 1.3.0");
    }
}

#[test]
fn features_say_nothing_else() {
    let outcome = floe(&["features"]);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let features: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(features["ociVersionMax"], "1.3.0");
}

#[test]
fn help_goes_to_stdout() {
    for arguments in [&["exec", "--help"][..], &["create", "-h"], &["help", "update"], &["--help"], &[]] {
        let outcome = floe(arguments);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(outcome.stdout.contains("Usage: floe"), "{arguments:?}");
    }
}

#[test]
fn misuse_goes_to_stderr_and_log() {
    let log = fresh_path("misuse");
    let log_name = log.to_str().expect("UTF-8");
    for (arguments, expected) in [
        (&["state"][..], "state: the following required arguments were not provided: <ID>"),
        (&["state", "a", "b"], "state: unexpected argument 'b' found"),
        (&["run", "--frob", "a"], "run: unknown flag \"--frob\""),
        (&["run", "a", "--preserve-fds", "x"], "run: invalid value 'x' for '--preserve-fds <N>'"),
        (&["frob"], "unknown command \"frob\""),
    ] {
        let outcome = floe(&[&["--log", log_name, "--log-format", "json"], arguments].concat());
        assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(outcome.stderr.starts_with(&format!("floe: {expected}")), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("\n\nUsage: floe"), "{}", outcome.stderr);
        // Podman decodes the whole file.
        let entry: Value = serde_json::from_slice(&std::fs::read(&log).expect("log")).expect("one object");
        assert!(entry["msg"].as_str().expect("msg").starts_with(expected), "{entry}");
        std::fs::remove_file(&log).expect("remove");
    }
}

#[test]
fn failure_is_one_line_in_both_places() {
    let log = fresh_path("failure");
    let prefix = ["--root", "/nonexistent", "--log", log.to_str().expect("UTF-8"), "--log-format=json"];
    for (arguments, status, expected) in [
        (&["kill", "web1", "FOO"][..], 1, "kill web1: unknown signal \"FOO\""),
        (
            &["exec", "-u", "root", "web1", "sh"],
            255,
            "exec web1: invalid user \"root\": UID[:GID] in numbers is needed",
        ),
        (
            &["update", "--memory", "x", "web1"],
            1,
            "update web1: invalid value for memory: invalid size \"x\"",
        ),
        (&["list", "--format", "xml"], 1, "list: invalid format option \"xml\"; table and json are known"),
    ] {
        let outcome = floe(&[&prefix, arguments].concat());
        assert_eq!((outcome.status, outcome.stdout.as_str()), (status, ""), "{arguments:?}");
        assert_eq!(outcome.stderr, format!("floe: {expected}\n"));
        let entry: Value = serde_json::from_slice(&std::fs::read(&log).expect("log")).expect("one object");
        assert_eq!((&entry["level"], &entry["msg"]), (&"error".into(), &expected.into()));
        std::fs::remove_file(&log).expect("remove");
    }
}

#[test]
fn a_users_systemd_is_looked_for_only_where_it_is_needed() {
    let floe = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floe"));
        command.args(["--rootless", "true", "--root", "/nonexistent"]).args(arguments);
        let output = command.env_clear().output().expect("floe runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).expect("utf-8")
    };
    for arguments in [
        &["--systemd-cgroup", "create", "a"][..],
        &["--cgroup-manager", "systemd", "run", "a"],
        &["--systemd-cgroup", "restore", "a"],
    ] {
        let said = floe(arguments);
        assert!(said.contains("neither XDG_RUNTIME_DIR nor DBUS_SESSION_BUS_ADDRESS is set"), "{said}");
    }
    let said = floe(&["--systemd-cgroup", "kill", "a", "FOO"]);
    assert!(said.contains("unknown signal"), "{said}");
}

/// What floe cannot do is refused by its name, before anything is looked at.
#[test]
fn flags_of_a_checkpoint_are_refused_by_name() {
    for (flag, expected) in [
        (
            "--manage-cgroups-mode=some",
            "invalid manage-cgroups-mode \"some\"; soft, full, strict and ignore are known",
        ),
        ("--empty-ns=pid", "--empty-ns: namespace \"pid\" is not supported; network is"),
        ("--network-lock=x", "invalid --network-lock \"x\"; iptables, nftables and skip are known"),
    ] {
        for command in ["checkpoint", "restore"] {
            let outcome = floe(&["--root", "/nonexistent", command, flag, "web1"]);
            assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""), "{command} {flag}");
            assert_eq!(outcome.stderr, format!("floe: {command} web1: {expected}\n"));
        }
    }
    for (arguments, expected) in [
        (
            ["checkpoint", "--page-server", "example.org:80"],
            "checkpoint web1: --page-server example.org:80: ADDRESS:PORT is needed, as numbers: invalid socket \
             address syntax",
        ),
        (
            ["checkpoint", "--lazy-pages", "--"],
            "checkpoint web1: --lazy-pages: --page-server ADDRESS:PORT is needed, where memory is served",
        ),
        (
            ["checkpoint", "--status-fd", "3"],
            "checkpoint web1: --status-fd 3: it announces that memory is served, with --lazy-pages",
        ),
    ] {
        let outcome = floe(&[&arguments[..], &["web1"]].concat());
        assert_eq!((outcome.status, outcome.stderr), (1, format!("floe: {expected}\n")));
    }
}

/// All that any caller sends: none of it keeps floe from looking for the container or its bundle.
#[test]
fn flags_of_a_checkpoint_are_accepted() {
    let both = "--image-path /i --work-path /w --tcp-established --tcp-close --ext-unix-sk --shell-job --file-locks \
                --link-remap --manage-cgroups-mode strict --empty-ns network --auto-dedup --network-lock nftables \
                --parent-path ../p";
    let checkpoint =
        "--leave-running --leave-running --pre-dump --tcp-skip-in-flight --status-fd -1 --page-server=";
    let restore = "--bundle /nonexistent --pid-file /p --console-socket /s --detach -no-subreaper --no-pivot \
                   --no-new-keyring --preserve-fds 1 --lsm-profile selinux:a:b:c --lsm-mount-context a:b:c \
                   --pidfd-socket /f";
    for (command, own, expected) in [
        ("checkpoint", checkpoint, "checkpoint web1: container does not exist"),
        ("restore", restore, "restore web1: bundle /nonexistent: no such file or directory (ENOENT)"),
    ] {
        let line = format!("--root /nonexistent {command} {both} {own} web1");
        let outcome = floe(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!((outcome.status, outcome.stderr), (1, format!("floe: {expected}\n")));
    }
}

/// How Podman and CRI-O find out whether a runtime can restore into a pod.
#[test]
fn restore_knows_the_mount_context() {
    let outcome = floe(&["restore", "--lsm-mount-context"]);
    assert_eq!(outcome.status, 1);
    for words in ["flag needs an argument", "requires an argument"] {
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
}

#[test]
fn config_decides_labels_of_a_restore() {
    let bundle = fresh_path("restore");
    std::fs::create_dir_all(bundle.join("rootfs")).expect("a bundle");
    let bundle = bundle.to_str().expect("UTF-8");
    assert_eq!(floe(&["spec", "--bundle", bundle]).status, 0);
    let restore = |arguments: &[&str]| {
        floe(&[&["--root", "/nonexistent", "restore", "-b", bundle], arguments, &["a"]].concat())
    };
    for (arguments, expected) in [
        (
            ["--lsm-profile", "selinux:u:r:t"],
            "--lsm-profile selinux:u:r:t: process.selinuxLabel of config.json decides, and it has none",
        ),
        (
            ["--lsm-profile", "apparmor:x"],
            "--lsm-profile apparmor:x: process.apparmorProfile of config.json decides, and it has none",
        ),
        (["--lsm-profile", "x"], "--lsm-profile x: selinux:LABEL or apparmor:PROFILE is needed"),
        (
            ["--lsm-mount-context", "u:r:t"],
            "--lsm-mount-context u:r:t: linux.mountLabel of config.json decides, and it has none",
        ),
        (["--image-path", "/nonexistent/i"], "open /nonexistent/i: no such file or directory (ENOENT)"),
    ] {
        let outcome = restore(&arguments);
        assert_eq!((outcome.status, outcome.stderr), (1, format!("floe: restore a: {expected}\n")));
    }
    std::fs::remove_dir_all(bundle).expect("ours");
}

#[test]
fn spec_is_written_once() {
    let path = fresh_path("spec");
    let name = path.to_str().expect("UTF-8");
    let first = floe(&["spec", "--rootless", "--file", name]);
    assert_eq!((first.status, first.stdout.as_str(), first.stderr.as_str()), (0, "", ""));
    let document: Value = serde_json::from_slice(&std::fs::read(&path).expect("spec")).expect("JSON");
    assert_eq!(document["hostname"], "runc");
    let second = floe(&["spec", "-f", name]);
    std::fs::remove_file(&path).expect("remove");
    assert_eq!(second.stderr, format!("floe: spec: File {name} exists. Remove it first\n"));
}

#[test]
fn images_are_shown_as_json_or_refused() {
    let states = concat!(env!("CARGO_MANIFEST_DIR"), "/../images/fixtures/states");
    let shown = floe(&["images", "show", states]);
    assert_eq!((shown.status, shown.stderr.as_str()), (0, ""));
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(shown["pstree.img"]["magic"], "PSTREE");

    let directory = fresh_path("images");
    std::fs::create_dir(&directory).expect("a directory");
    let image = directory.join("pstree.img");
    let whole = std::fs::read(format!("{states}/pstree.img")).expect("fixture");
    for (damaged, why) in
        [(&whole[..20], "byte 8: an entry of 12 bytes, but only 8 are left"), (&[0; 70], "byte 4")]
    {
        std::fs::write(&image, damaged).expect("an image");
        for path in [&directory, &image] {
            let refused = floe(&["images", "show", path.to_str().expect("UTF-8")]);
            assert_eq!(refused.status, 1);
            assert!(
                refused.stderr.contains("pstree.img") && refused.stderr.contains(why),
                "{}",
                refused.stderr
            );
        }
    }
    std::fs::remove_dir_all(&directory).expect("ours");
}
