//! A container that moves by a stream: it ends on one side when it is there on the other, and whatever goes wrong in between
//! leaves it running where it was.

use crate::checkpoint::{Dumper, Scene};
use crate::harness::sockets::open_pty;
use crate::harness::*;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Stdio};

pub(crate) fn cases() -> Vec<Case> {
    type Body = fn(&mut Scene<'_>);
    let bodies: [(&str, Body); 12] = [
        ("piped", |scene| piped(scene, &[])),
        ("compressed", |scene| piped(scene, COMPRESSED)),
        ("attached", attached),
        ("by_a_socket", |scene| by_a_socket(scene, &[])),
        ("compressed_by_a_socket", |scene| by_a_socket(scene, COMPRESSED)),
        ("acknowledged_behind_another_program", acknowledged_behind_another_program),
        ("cut", cut),
        ("compressed_and_cut", compressed_and_cut),
        ("refused_on_the_other_side", |scene| refused_on_the_other_side(scene, &[])),
        ("compressed_and_refused", |scene| refused_on_the_other_side(scene, COMPRESSED)),
        ("left_running_to_an_archive", left_running_to_an_archive),
        ("flags", flags),
    ];
    let case = |(name, body): &(&str, Body)| {
        let body = *body;
        Case::new(format!("streams::{name}"), move |t| Scene::play(t, Dumper::Floe, body))
    };
    bodies.iter().map(case).collect()
}

const COMPRESSED: &[&str] = &["--compress", "zstd"];

/// What a frame of zstd begins with (RFC 8878).
const FRAME: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Where it goes to: another id, and with it another cgroup. Returns the one that runs.
fn prepare(scene: &mut Scene<'_>) -> String {
    scene.run();
    scene.wait_for_count(3);
    let id = scene.t.id();
    let cgroup = format!("/{}/{id}", environment::get().cgroup);
    scene.bundle.set("/linux/cgroupsPath", json!(cgroup));
    scene.bundle.write();
    std::mem::replace(&mut scene.bundle.id, id)
}

fn sender(scene: &Scene<'_>, id: &str, options: &[&str]) -> Command {
    let mut command = scene.t.floe();
    command.args(["checkpoint", "--stream"]).args(options).arg(id);
    command.stdin(Stdio::null()).stderr(File::create(scene.t.path("sender")).expect("a file"));
    command
}

fn receiver(scene: &Scene<'_>, options: &[&str]) -> Command {
    let mut command = scene.t.floe();
    command.args(["restore", "--stream", "--bundle"]).arg(&scene.bundle.dir).args(options);
    command.arg(&scene.bundle.id).stdout(Stdio::null());
    command.stderr(File::create(scene.t.path("receiver")).expect("a file"));
    command
}

#[track_caller]
fn expect_end(scene: &Scene<'_>, mut child: Child, name: &str, code: i32) -> String {
    let status = child.wait().expect("wait");
    let said = read(scene.t.path(name));
    assert!(status.code() == Some(code), "{name}: {status}: {said}");
    said
}

/// It is where it was, and nothing of it is elsewhere.
#[track_caller]
fn expect_unmoved(scene: &mut Scene<'_>, id: &str) {
    assert_eq!(scene.t.status(id), "running");
    scene.expect_to_go_on(scene.count());
    let there = scene.bundle.id.clone();
    scene.t.call(["state", &there]).exits(1).refused(&["does not exist"]);
    assert!(!cgroup_dir(&there).exists());
}

#[track_caller]
fn expect_moved(scene: &mut Scene<'_>, id: &str, count: u64) {
    scene.t.call(["state", id]).exits(1).refused(&["does not exist"]);
    assert!(!cgroup_dir(id).exists());
    scene.expect_to_go_on(count);
    scene.call("delete", &["--force"]).quiet();
    scene.expect_gone();
}

fn piped(scene: &mut Scene<'_>, options: &[&str]) {
    let id = prepare(scene);
    let count = scene.count();
    let mut from = sender(scene, &id, options).stdout(Stdio::piped()).spawn().expect("spawn");
    let stream = from.stdout.take().expect("a pipe");
    let to = receiver(scene, &["--detach"]).stdin(stream).spawn().expect("spawn");
    expect_end(scene, from, "sender", 0);
    expect_end(scene, to, "receiver", 0);
    let seen = scene.call("exec", &["readlink", "/proc/1/fd/0"]).ok();
    assert_eq!(seen.text(), "/dev/null");
    expect_moved(scene, &id, count);
}

/// Who receives it may stay.
fn attached(scene: &mut Scene<'_>) {
    let id = prepare(scene);
    let count = scene.count();
    let mut from = sender(scene, &id, &[]).stdout(Stdio::piped()).spawn().expect("spawn");
    let stream = from.stdout.take().expect("a pipe");
    let to = receiver(scene, &[]).stdin(stream).spawn().expect("spawn");
    expect_end(scene, from, "sender", 0);
    scene.expect_to_go_on(count);
    scene.call("kill", &["TERM"]).quiet();
    expect_end(scene, to, "receiver", 5);
    scene.expect_gone();
}

/// Which brings the answer back.
fn by_a_socket(scene: &mut Scene<'_>, options: &[&str]) {
    let id = prepare(scene);
    let count = scene.count();
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let from = sender(scene, &id, options).stdout(OwnedFd::from(ours)).spawn().expect("spawn");
    let to = receiver(scene, &["--no-start"]).stdin(OwnedFd::from(theirs)).spawn().expect("spawn");
    expect_end(scene, from, "sender", 0);
    expect_end(scene, to, "receiver", 0);
    scene.call("start", &[]).quiet();
    expect_moved(scene, &id, count);
}

/// Which takes everything, whatever becomes of it. So the answer has a way of its own.
fn acknowledged_behind_another_program(scene: &mut Scene<'_>) {
    let id = prepare(scene);
    let fails = json!({"path": "/bin/false", "args": ["false"]});
    scene.bundle.push("/hooks/createRuntime", fails).write();
    for code in [1, 0] {
        let count = scene.count();
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        // As descriptor 3 of both, by way of a shell's standard error and input.
        let wrap = |command: Command, script: &str| {
            let mut shell = Command::new("/bin/sh");
            shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
            shell
        };
        let log = |name: &str| format!("exec \"$@\" 2>'{}'", scene.t.path(name).display());
        let send = sender(scene, &id, &["--ack-fd", "3"]);
        let mut send = wrap(send, &format!("exec 3<&0 </dev/null; {}", log("sender")));
        let mut from = send.stdin(OwnedFd::from(ours)).stdout(Stdio::piped()).spawn().expect("spawn");
        drop(send);
        let mut between = Command::new("cat");
        between.stdin(from.stdout.take().expect("a pipe")).stdout(Stdio::piped());
        let mut between = between.spawn().expect("cat");
        let take = receiver(scene, &["--detach", "--ack-fd", "3"]);
        let mut take = wrap(take, &format!("exec 3>&1 >/dev/null; {}", log("receiver")));
        take.stdin(between.stdout.take().expect("a pipe")).stdout(OwnedFd::from(theirs));
        let to = take.spawn().expect("spawn");
        drop(take);
        let said = expect_end(scene, from, "sender", code);
        expect_end(scene, to, "receiver", code);
        between.wait().expect("wait");
        if code == 0 {
            expect_moved(scene, &id, count);
        } else {
            assert!(said.contains("the other side has not taken it"), "{said}");
            expect_unmoved(scene, &id);
            scene.bundle.remove("/hooks").write();
        }
    }
}

/// At any place: not one of the two is left with half of it.
fn cut(scene: &mut Scene<'_>) {
    let id = prepare(scene);
    let whole = sender(scene, &id, &["--leave-running"]).output().expect("it runs");
    assert!(whole.status.success(), "{}", read(scene.t.path("sender")));
    let len = whole.stdout.len();
    assert_eq!(len % 512, 0);
    // Of the beginning, or of the end: no two streams are of one length.
    let places = [0, 1, 511, 512, 4096, len / 2].map(Ok).into_iter().chain([1025, 1024, 513, 512].map(Err));
    for place in places {
        expect_cut(scene, &id, &[], |stream| match place {
            Ok(first) => take(stream, first),
            Err(last) => {
                let mut taken = Vec::new();
                while !ends(&taken) {
                    let mut block = [0; 512];
                    stream.read_exact(&mut block).expect("read");
                    taken.extend_from_slice(&block);
                }
                taken.truncate(taken.len() + 512 - last);
                taken
            }
        });
    }
    scene.t.call(["delete", "--force", &id]).quiet();
}

/// Also within the last frame, which has nothing but the end.
fn compressed_and_cut(scene: &mut Scene<'_>) {
    let id = prepare(scene);
    let plain = sender(scene, &id, &["--leave-running"]).output().expect("it runs").stdout;
    let options = [COMPRESSED, &["--leave-running"]].concat();
    let whole = sender(scene, &id, &options).output().expect("it runs").stdout;
    assert!(whole.starts_with(FRAME) && whole.len() * 2 < plain.len(), "{} {}", whole.len(), plain.len());
    for first in [0, 1, 3, 4, 5, 20, whole.len() / 2] {
        expect_cut(scene, &id, COMPRESSED, |stream| take(stream, first));
    }
    expect_cut(scene, &id, COMPRESSED, |stream| {
        let mut taken = take(stream, FRAME.len());
        while taken.len() == FRAME.len() || !taken.ends_with(FRAME) {
            taken.extend(take(stream, 1));
        }
        taken
    });
    scene.t.call(["delete", "--force", &id]).quiet();
}

fn take(stream: &mut ChildStdout, first: usize) -> Vec<u8> {
    let mut taken = vec![0; first];
    stream.read_exact(&mut taken).expect("read");
    taken
}

/// The receiver gets what is taken of the stream, and nobody the rest.
fn expect_cut(
    scene: &mut Scene<'_>,
    id: &str,
    options: &[&str],
    take: impl FnOnce(&mut ChildStdout) -> Vec<u8>,
) {
    let mut from = sender(scene, id, options).stdout(Stdio::piped()).spawn().expect("spawn");
    let mut stream = from.stdout.take().expect("a pipe");
    let taken = take(&mut stream);
    drop(stream);
    expect_end(scene, from, "sender", 1);
    let mut to = receiver(scene, &["--detach"]).stdin(Stdio::piped()).spawn().expect("spawn");
    // It may end before it has heard all.
    let _ = to.stdin.take().expect("a pipe").write_all(&taken);
    expect_end(scene, to, "receiver", 1);
    expect_unmoved(scene, id);
}

/// Whether an archive is complete but for its last block: the manifest is its last file.
fn ends(archive: &[u8]) -> bool {
    let mut at = 0;
    while let Some(header) = archive.get(at..at + 512).filter(|header| **header != [0; 512]) {
        let size = std::str::from_utf8(&header[124..135]).expect("digits");
        at += 512 + usize::from_str_radix(size, 8).expect("a number").next_multiple_of(512);
    }
    archive.get(at..at + 512) == Some(&[0; 512])
}

/// When all has been read, and before it says so.
fn refused_on_the_other_side(scene: &mut Scene<'_>, options: &[&str]) {
    let id = prepare(scene);
    scene.bundle.push("/hooks/createRuntime", json!({"path": "/bin/false", "args": ["false"]})).write();
    let mut from = sender(scene, &id, options).stdout(Stdio::piped()).spawn().expect("spawn");
    let stream = from.stdout.take().expect("a pipe");
    let to = receiver(scene, &["--detach"]).stdin(stream).spawn().expect("spawn");
    let said = expect_end(scene, from, "sender", 1);
    assert!(said.contains("stream: the other side has not taken it"), "{said}");
    let said = expect_end(scene, to, "receiver", 1);
    assert!(said.contains("createRuntime hook"), "{said}");
    expect_unmoved(scene, &id);
    scene.t.call(["delete", "--force", &id]).quiet();
}

/// Which tar(1) reads, and what it makes of it is a directory of images.
fn left_running_to_an_archive(scene: &mut Scene<'_>) {
    let id = prepare(scene);
    let archive = scene.t.path("archive");
    let count = scene.count();
    let file = File::create(&archive).expect("a file");
    let from = sender(scene, &id, &["--leave-running"]).stdout(file).spawn().expect("spawn");
    expect_end(scene, from, "sender", 0);
    assert_eq!(scene.t.status(&id), "running");
    scene.expect_to_go_on(count);
    scene.t.call(["delete", "--force", &id]).quiet();
    std::fs::create_dir(&scene.images).expect("mkdir");
    let unpacked = Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&scene.images).status();
    assert!(unpacked.is_ok_and(|status| status.success()), "tar");
    for from_archive in [true, false] {
        if from_archive {
            let file = File::open(&archive).expect("a file");
            let to = receiver(scene, &["--detach"]).stdin(file).spawn().expect("spawn");
            expect_end(scene, to, "receiver", 0);
        } else {
            scene.restore(&[]);
        }
        scene.wait_for_count(count + 3);
        scene.call("delete", &["--force"]).quiet();
        scene.expect_gone();
    }
}

fn flags(scene: &mut Scene<'_>) {
    let id = prepare(scene);
    for (options, words) in [
        (&["--stream", "--image-path", "x"][..], "--stream: it goes without --image-path"),
        (&["--stream", "--pre-dump"], "--stream: it goes without"),
        (&["--ack-fd", "1"], "--ack-fd 1: it needs --stream"),
        (&["--compress", "zstd"], "--compress zstd: it needs --stream"),
        (&["--stream", "--compress", "gzip"], "--compress gzip: zstd is supported"),
        (&["--stream", "--ack-fd", "99"], "--ack-fd 99: bad file number"),
        (&["--stream", &scene.bundle.id.clone()], "does not exist"),
    ] {
        scene.t.call([&["checkpoint"], options, &[&id]].concat()).exits(1).refused(&[words]);
    }
    let (_terminal, inner) = open_pty(24, 80);
    let mut command = sender(scene, &id, &[]);
    let from = command.stdout(inner).spawn().expect("spawn");
    drop(command);
    let said = expect_end(scene, from, "sender", 1);
    assert!(said.contains("--stream: a terminal is no place for images"), "{said}");
    expect_unmoved(scene, &id);
    scene.t.call(["delete", "--force", &id]).quiet();
}
