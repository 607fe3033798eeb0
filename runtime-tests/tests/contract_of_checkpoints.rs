//! What the callers of `checkpoint` and `restore` rely on, as `contract` is for everything else: how they look for a
//! criu, their command lines, the files that they read, and what they find when a command has returned.
//!
//! Parts of it are pinned elsewhere: docs/callers.md has the list.

use crate::cases;
use crate::contract::Caller;
use crate::harness::sockets::FdSocket;
use crate::harness::*;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, recv, send, setsockopt, socketpair, sockopt,
};
use nix::sys::time::TimeVal;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        criu_is_asked_for_its_version,
        criu_is_asked_for_a_feature,
        probes_need_nothing_of_the_host,
        podman,
        crio,
        containerd,
        flags_of_every_caller,
        logs_are_written_in_place,
        configuration_files_of_criu,
        statistics_are_in_criu_s_form,
        images_are_flat,
        link_to_a_parent_is_tolerated,
        restored_process_is_its_callers,
        errors_are_one_line,
        failure_leaves_it_as_it_was,
    ]
}

/// A host on which nothing is: no configuration, no /run, no variables.
const BARE: &str = "mount -t tmpfs -o ro none /run && mount -t tmpfs -o ro none /etc && exec \"$@\"";

/// The binary under the name `name`, called as a daemon does, on a bare host. `before` is what the shell does first.
fn on_a_bare_host(t: &Test, before: &str, name: &str, arguments: &[&str]) -> Command {
    let link = t.path(name);
    if !link.exists() {
        symlink(&environment::get().floe, &link).expect("symlink");
    }
    let mut command = Command::new("/usr/bin/unshare");
    let script = format!("{before}{BARE}");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", &script, "sh"]).arg(link);
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// One of go-criu's conversations: a request, its answer, and the end.
fn ask_criu(t: &mut Test, request: &[u8]) -> Vec<u8> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).expect("a pair");
    setsockopt(&ours, sockopt::ReceiveTimeout, &TimeVal::new(timeout().as_secs() as i64, 0))
        .expect("timeout");
    let mut command = on_a_bare_host(t, "exec 3<&0 </dev/null && ", "criu", &["swrk", "3"]);
    let mut criu = command.stdin(theirs).spawn().expect("spawn");
    // Who is left at the other end is criu.
    drop(command);
    send(ours.as_raw_fd(), request, MsgFlags::empty()).expect("send");
    let mut answer = vec![0; 4096];
    let size = recv(ours.as_raw_fd(), &mut answer, MsgFlags::empty()).expect("an answer");
    answer.truncate(size);
    drop(ours);
    assert!(criu.wait().expect("wait").success(), "go-criu takes any other status for an error");
    answer
}

/// Podman, CRI-O and containerd; they want 3.16 or newer.
fn criu_is_asked_for_its_version(t: &mut Test) {
    needs_floe();
    // type = VERSION; the same, success, version { major_number = 4, minor_number = 2 }
    assert_eq!(ask_criu(t, b"\x08\x0a"), b"\x08\x0a\x10\x01\x52\x04\x08\x04\x10\x02");
}

/// Podman before a pre-checkpoint.
fn criu_is_asked_for_a_feature(t: &mut Test) {
    needs_floe();
    need_kernel(6, 7, "userfaultfd with WP_ASYNC");
    // type = FEATURE_CHECK, features { mem_track = true }; the same, success, features { mem_track = true }
    assert_eq!(ask_criu(t, b"\x08\x09\x2a\x02\x08\x01"), b"\x08\x09\x10\x01\x42\x02\x08\x01");
}

/// The daemons of CRI-O and containerd ask once, when they start.
fn probes_need_nothing_of_the_host(t: &mut Test) {
    needs_floe();
    for (name, arguments, code, words) in [
        ("criu", &["--version"][..], 0, &["Version: 4.2\n"][..]),
        ("criu", &["check"], 0, &["Looks good.\n"]),
        // Tests of runc's ask for these.
        ("criu", &["check", "--feature", "external_net_ns"], 0, &["Looks good.\n"]),
        ("criu", &["check", "--feature", "uffd-noncoop"], 0, &["Looks good.\n"]),
        ("criu", &["check", "--feature", "autofs"], 1, &["missing: autofs"]),
        ("floe", &["checkpoint", "--help"], 0, &["--leave-running"]),
        // Podman takes either of the two, CRI-O the first.
        ("floe", &["restore", "--lsm-mount-context"], 1, &["flag needs an argument", "requires an argument"]),
    ] {
        let command = on_a_bare_host(t, "", name, arguments);
        let output = t.run(command).exits(code);
        let said = output.stdout + &output.stderr;
        for words in words {
            assert!(said.contains(words), "{name} {arguments:?}: {said}");
        }
    }
}

/// It ends by its own hand, which the first process of a pid namespace does only when it runs its handler.
fn expect_it_runs(caller: &mut Caller<'_>) {
    assert_eq!(caller.status(), "running");
    caller.call("--root $ROOT kill $ID 15").quiet();
    caller.wait_status("stopped");
    caller.delete();
    assert_eq!(caller.t.leftovers(), [""; 0]);
}

/// It freezes nothing itself, says `--leave-running` twice, and restores through conmon.
fn podman(t: &mut Test) {
    needs_floe();
    let mut podman = Caller::new(t);
    podman.start();
    let line = "--root=$ROOT checkpoint --image-path $BUNDLE/checkpoint --work-path $BUNDLE";
    podman
        .call(&format!("{line} --leave-running --tcp-established --file-locks --leave-running $ID"))
        .quiet();
    assert_eq!(podman.status(), "running");
    podman.call(&format!("{line} --tcp-established --file-locks $ID")).quiet();
    // It looks for that before it calls conmon.
    assert!(podman.bundle.dir.join("checkpoint/inventory.img").exists());
    podman
        .call(
            "--log-format=json --log $DIR/oci-log --root=$ROOT restore --bundle $BUNDLE --pid-file $DIR/pidfile \
             --no-pivot --no-new-keyring --detach --image-path $BUNDLE/checkpoint --work-path $BUNDLE \
             --tcp-established --tcp-close --file-locks $ID",
        )
        .quiet();
    assert_eq!(read(podman.t.path("oci-log")), "");
    expect_it_runs(&mut podman);
}

/// It pauses, and resumes what is still paused.
fn crio(t: &mut Test) {
    needs_floe();
    let mut crio = Caller::new(t);
    crio.start();
    let line =
        "--root $ROOT --systemd-cgroup checkpoint --file-locks --image-path $DIR/checkpoint --work-path $DIR";
    for (leave_running, status) in [("--leave-running", "paused"), ("", "gone")] {
        crio.call("--root $ROOT pause $ID").quiet();
        crio.call(&format!("{line} {leave_running} $ID")).quiet();
        if status == "gone" {
            crio.call("--root $ROOT state $ID").exits(1);
            break;
        }
        assert_eq!(crio.status(), status);
        crio.call("--root $ROOT resume $ID").quiet();
    }
    assert!(crio.t.path("checkpoint/inventory.img").exists());
    crio.call(
        "--root=$ROOT restore --bundle $BUNDLE --pid-file $DIR/pidfile --detach --image-path $DIR/checkpoint \
         --work-path $BUNDLE --file-locks $ID",
    )
    .quiet();
    expect_it_runs(&mut crio);
}

/// Its client pauses before, and resumes after, whatever has become of it; so does Docker's.
fn containerd(t: &mut Test) {
    needs_floe();
    let mut shim = Caller::new(t);
    shim.start();
    let prefix = "--root $ROOT --log $BUNDLE/log.json --log-format json";
    let flags = "--image-path $DIR/images --work-path $DIR/work --tcp-established --ext-unix-sk --shell-job \
                 --file-locks --empty-ns network";
    shim.call(&format!("{prefix} pause $ID")).quiet();
    shim.call(&format!("{prefix} checkpoint {flags} --leave-running $ID")).quiet();
    shim.call(&format!("{prefix} resume $ID")).quiet();
    // Not through the shim, and with `--exit`.
    shim.call(&format!("{prefix} checkpoint {flags} $ID")).quiet();
    shim.call(&format!("{prefix} resume $ID")).exits(1);
    fs::remove_file(shim.bundle.dir.join("log.json")).expect("its error is in there");
    shim.call(&format!(
        "{prefix} restore {flags} --detach --pid-file $BUNDLE/init.pid --no-pivot -no-subreaper --bundle $BUNDLE $ID"
    ))
    .quiet();
    assert_eq!(shim.pid("bundle-1/init.pid"), shim.t.pid(&shim.bundle.id.clone()));
    assert_eq!(read(shim.bundle.dir.join("log.json")), "");
    expect_it_runs(&mut shim);
}

/// None of them serves all callers with either of runc and crun. But for labels, which are config.json's (cli.rs).
fn flags_of_every_caller(t: &mut Test) {
    needs_floe();
    let mut caller = Caller::new(t);
    caller.start();
    let both = "--image-path $DIR/images --work-path $DIR/work --tcp-established --tcp-close --ext-unix-sk --shell-job \
                --file-locks --link-remap --manage-cgroups-mode soft --network-lock nftables --empty-ns network \
                --auto-dedup";
    caller
        .call(&format!(
            "--root $ROOT --criu /usr/sbin/criu checkpoint {both} --tcp-skip-in-flight --status-fd -1 --page-server= $ID"
        ))
        .quiet();
    let pidfd = FdSocket::new(caller.t.path("pidfd"));
    caller
        .call(&format!(
            "--root $ROOT restore {both} --parent-path ../nothing --bundle $BUNDLE --pid-file $DIR/pid --detach \
             --no-subreaper --no-pivot --no-new-keyring --preserve-fds 2 --console-socket= --lsm-profile= \
             --lsm-mount-context= --pidfd-socket $DIR/pidfd $ID"
        ))
        .quiet();
    let pidfd = pidfd.receive_fd();
    let shown = read(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
    assert!(shown.contains(&format!("\nPid:\t{}\n", caller.pid("pid"))), "{shown}");
    expect_it_runs(&mut caller);
}

/// Podman and CRI-O make them beforehand, with the container's label.
fn logs_are_written_in_place(t: &mut Test) {
    needs_floe();
    let mut podman = Caller::new(t);
    podman.start();
    let logs = ["dump.log", "restore.log"].map(|name| podman.bundle.dir.join(name));
    let before = logs.each_ref().map(|log| {
        fs::write(log, "of an earlier one\n").expect("write");
        fs::metadata(log).expect("stat").ino()
    });
    podman.call("--root $ROOT checkpoint --image-path $DIR/images --work-path $BUNDLE $ID").quiet();
    let line =
        "--root $ROOT restore --detach --bundle $BUNDLE --image-path $DIR/images --work-path $BUNDLE $ID";
    podman.call(line).quiet();
    for (log, inode) in logs.iter().zip(before) {
        assert_eq!(fs::metadata(log).expect("stat").ino(), inode, "{}", log.display());
        let text = read(log);
        assert!(!text.is_empty() && !text.contains("of an earlier one"), "{text}");
    }
    expect_it_runs(&mut podman);
}

/// What administrators write in files of CRIU's, because no flag of their engine says it: those that every CRIU reads, and
/// the one that runc adds.
fn configuration_files_of_criu(t: &mut Test) {
    needs_floe();
    let mut runc = Caller::new(t);
    let [default, own] = ["default.conf", "own.conf"].map(|name| runc.t.path(name));
    runc.bundle.set("/annotations", json!({"org.criu.config": own})).write();
    fs::write(&default, "# of all containers\nleave-running\nlog-file other.log\n").expect("write");
    fs::write(&own, "log-file=own.log\n").expect("write");
    let logs = |runc: &Caller<'_>| {
        ["dump.log", "restore.log", "other.log", "own.log"]
            .map(|log| fs::remove_file(runc.bundle.dir.join(log)).is_ok())
    };
    let checkpoint = "--root $ROOT checkpoint --image-path $DIR/images --work-path $BUNDLE $ID";
    runc.start();
    let mut command = runc.command(checkpoint);
    command.env("CRIU_CONFIG_FILE", &default);
    runc.t.run(command).quiet();
    assert_eq!((runc.status().as_str(), logs(&runc)), ("running", [false, false, false, true]));
    runc.call(checkpoint).quiet();
    assert_eq!(logs(&runc), [false, false, false, true]);
    let line =
        "--root $ROOT restore --detach --bundle $BUNDLE --image-path $DIR/images --work-path $BUNDLE $ID";
    runc.call(line).quiet();
    assert_eq!(logs(&runc), [false, false, false, true]);

    for (text, refused) in [
        ("tls", "own.conf: tls: the option is not supported"),
        ("enable-fs tracefs", "own.conf: enable-fs: that is config.json's to say"),
    ] {
        fs::write(&own, text).expect("write");
        runc.call(checkpoint).exits(1).refused(&[refused]);
    }
    fs::remove_file(&own).expect("remove");
    runc.call("--root $ROOT checkpoint --leave-running --image-path $DIR/images $ID").quiet();
    expect_it_runs(&mut runc);
}

/// The numbers of the fields of a message, each a varint, in the order of the bytes.
fn fields(mut message: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    while let Some((tag, rest)) = message.split_first() {
        assert_eq!(tag & 7, 0, "field {} is no varint", tag >> 3);
        numbers.push(tag >> 3);
        let last = rest.iter().position(|byte| byte & 0x80 == 0).expect("the last byte of a varint");
        message = &rest[last + 1..];
    }
    numbers
}

/// For `podman --print-stats`, which reads them with go-criu: there all of these fields are required.
fn statistics_are_in_criu_s_form(t: &mut Test) {
    needs_floe();
    let mut podman = Caller::new(t);
    podman.start();
    podman.call("--root $ROOT checkpoint --image-path $DIR/images --work-path $DIR $ID").quiet();
    podman
        .call("--root $ROOT restore --detach --bundle $BUNDLE --image-path $DIR/images --work-path $DIR $ID")
        .quiet();
    // freezing_time, frozen_time, memdump_time, memwrite_time, pages_scanned, pages_skipped_parent, pages_written; and
    // pages_compared, pages_skipped_cow, forking_time, restore_time.
    for (name, entry, required) in [("stats-dump", 1, 1..=7), ("stats-restore", 2, 1..=4)] {
        let bytes = fs::read(podman.t.path(name)).expect("statistics");
        // IMG_SERVICE_MAGIC, STATS_MAGIC.
        assert_eq!(bytes[..8], [0x40, 0x59, 0x10, 0x55, 0x06, 0x33, 0x09, 0x57], "{name}");
        let (size, message) = (u32::from_le_bytes(bytes[8..12].try_into().expect("4 bytes")), &bytes[12..]);
        assert_eq!(message.len(), size as usize, "{name}");
        let [tag, length, message @ ..] = message else { panic!("{name}: {message:?}") };
        assert_eq!((*tag, usize::from(*length)), (entry << 3 | 2, message.len()), "{name}");
        let there = fields(message);
        assert!(required.clone().all(|number| there.contains(&number)), "{name}: {there:?}");
    }
    expect_it_runs(&mut podman);
}

/// containerd unpacks them with os.Create, file by file: nothing but names and bytes arrives.
fn images_are_flat(t: &mut Test) {
    needs_floe();
    let mut containerd = Caller::new(t);
    let script = "echo kept >/dev/shm/file; trap 'exit 0' TERM; sleep 1000 | cat & wait";
    containerd.bundle.args(["sh", "-c", script]).write();
    containerd.start();
    let shared = "--root $ROOT exec $ID cat /dev/shm/file";
    wait_until("the program's files", || containerd.call(shared).stdout == "kept\n");
    containerd.call("--root $ROOT checkpoint --image-path $DIR/images $ID").quiet();
    let unpacked = containerd.t.path("unpacked");
    fs::create_dir(&unpacked).expect("mkdir");
    let changed = |path: &Path| {
        let stat = fs::symlink_metadata(path).expect("stat");
        (stat.ctime(), stat.ctime_nsec())
    };
    let images = containerd.t.path("images");
    let last = changed(&images.join("inventory.img"));
    for entry in fs::read_dir(&images).expect("images") {
        let path = entry.expect("an entry").path();
        assert!(fs::symlink_metadata(&path).expect("stat").is_file(), "{}", path.display());
        // Whoever finds an inventory finds everything.
        assert!(
            path.extension().is_none_or(|name| name != "img") || changed(&path) <= last,
            "{}",
            path.display()
        );
        let name = path.file_name().expect("a name");
        fs::write(unpacked.join(name), fs::read(&path).expect("read")).expect("write");
    }
    fs::remove_dir_all(&images).expect("remove");
    containerd.call("--root $ROOT restore --detach --bundle $BUNDLE --image-path $DIR/unpacked $ID").quiet();
    assert_eq!(containerd.call(shared).quiet().stdout, "kept\n");
    expect_it_runs(&mut containerd);
}

/// Podman makes it, and it may lead nowhere. Images that have no parent do not follow it.
fn link_to_a_parent_is_tolerated(t: &mut Test) {
    needs_floe();
    let mut podman = Caller::new(t);
    podman.start();
    let images = podman.t.path("images");
    fs::create_dir(&images).expect("mkdir");
    symlink("../pre-checkpoint", images.join("parent")).expect("symlink");
    podman.call("--root $ROOT checkpoint --image-path $DIR/images $ID").quiet();
    let _ = fs::remove_file(images.join("parent"));
    symlink("../pre-checkpoint", images.join("parent")).expect("symlink");
    podman.call("--root $ROOT restore --detach --bundle $BUNDLE --image-path $DIR/images $ID").quiet();
    expect_it_runs(&mut podman);
}

/// conmon and containerd's shim are subreapers: what is restored becomes their child, and they take its cgroup from
/// /proc as soon as `restore` has ended.
fn restored_process_is_its_callers(t: &mut Test) {
    needs_floe();
    let mut conmon = Caller::new(t);
    let parent = |pid: i32| {
        let status = read(format!("/proc/{pid}/status"));
        status.lines().find(|line| line.starts_with("PPid:")).expect("PPid").to_owned()
    };
    let images = conmon.t.path("images");
    conmon.start();
    let created = parent(conmon.pid("pid"));
    conmon.call(&format!("--root $ROOT checkpoint --image-path {} $ID", images.display())).quiet();
    conmon
        .call(
            "--root $ROOT restore --detach --pid-file $DIR/pid --bundle $BUNDLE --image-path $DIR/images $ID",
        )
        .quiet();
    let pid = conmon.pid("pid");
    assert_eq!(parent(pid), created);
    let cgroup = read(format!("/proc/{pid}/cgroup"));
    assert!(
        cgroup.lines().any(|line| line.starts_with("0::") && line.ends_with(&conmon.bundle.id)),
        "{cgroup}"
    );
    expect_it_runs(&mut conmon);
}

/// containerd's shim keeps the first line and copies dump.log from the work directory.
fn errors_are_one_line(t: &mut Test) {
    needs_floe();
    let mut shim = Caller::new(t);
    shim.start();
    shim.write_process(&["sleep", "1000"]);
    shim.call("--root $ROOT exec --process $DIR/process --detach $ID").quiet();
    let cause = "sleep is no descendant of the container's first process";
    let line = "checkpoint --image-path $DIR/images --work-path $DIR/work $ID";
    shim.call(&format!("--root $ROOT {line}")).exits(1).refused(&[cause]);
    let log = read(shim.t.path("work/dump.log"));
    assert!(log.lines().any(|line| line.contains("Error") && line.contains(cause)), "{log}");
    // CRI-O and Podman look for it before a restore.
    assert!(!shim.t.path("images/inventory.img").exists());
    assert_eq!(shim.status(), "running");
}

/// One that was frozen stays so: its caller thaws it.
fn failure_leaves_it_as_it_was(t: &mut Test) {
    needs_floe();
    let mut crio = Caller::new(t);
    crio.start();
    fs::write(crio.t.path("file"), "").expect("write");
    let checkpoint = "--root $ROOT checkpoint --image-path $DIR/file/images $ID";
    crio.call("--root $ROOT pause $ID").quiet();
    crio.call(checkpoint).exits(1).refused(&["not a directory"]);
    assert_eq!(crio.status(), "paused");
    crio.call("--root $ROOT resume $ID").quiet();
    crio.call(checkpoint).exits(1).refused(&["not a directory"]);
    expect_it_runs(&mut crio);
}
