//! What runc and crun ask of a `criu` that is floe, beside the state of processes (programs.rs, workloads.rs): terminals,
//! streams, options that are refused, and what is left of a restore that fails. Only with `FLOE_CRIU`.

use crate::harness::sockets::{FdSocket, Terminal};
use crate::harness::subject::{criu_directory, with_floe};
use crate::harness::*;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

type Body = fn(&mut Scene<'_>);

pub(crate) fn cases() -> Vec<Case> {
    if criu_directory().is_none() {
        return Vec::new();
    }
    let bodies: [(&str, Body); 4] = [
        ("terminal", terminal),
        ("streams", streams),
        ("option_that_is_refused", option_that_is_refused),
        ("restore_that_fails", restore_that_fails),
    ];
    let case = |runtime: &'static str, (name, body): (&str, Body)| {
        Case::new(format!("as_criu::{runtime}::{name}"), move |t| {
            let bundle = t.bundle();
            let images = t.path("images");
            let mut scene = Scene { t, runtime, bundle, images };
            body(&mut scene);
            scene.command("delete", &["--force"]).status().expect("delete");
        })
    };
    ["runc", "crun"].into_iter().flat_map(|runtime| bodies.map(|body| case(runtime, body))).collect()
}

struct Scene<'a> {
    t: &'a mut Test,
    runtime: &'static str,
    bundle: Bundle,
    images: PathBuf,
}

impl Scene<'_> {
    /// `RUNTIME VERB OPTIONS... ID`
    fn command(&self, verb: &str, options: &[&str]) -> Command {
        let mut command = with_floe(self.t, self.runtime);
        command.arg(verb).args(options).arg(&self.bundle.id);
        command
    }

    fn images(&self) -> String {
        self.images.to_str().expect("utf-8").to_owned()
    }

    fn dump(&mut self) {
        let command = self.command("checkpoint", &["--image-path", &self.images()]);
        self.t.run(command).ok();
    }

    /// Runs a container that does nothing.
    fn sleep(&mut self) {
        self.bundle.args(["sh", "-c", "echo ready; exec sleep 1000"]).write();
        let (_input, output) = self.with_pipes("run", &[]);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("read");
        assert_eq!(line, "ready\n");
    }

    /// Runs or restores the container with what it says at its console socket.
    fn with_console(&mut self, verb: &str, options: &[&str]) -> Terminal {
        let socket = FdSocket::new(self.t.path(format!("console.{verb}")));
        let bundle = self.bundle.dir.to_str().expect("utf-8").to_owned();
        let first = ["--detach", "--bundle", &bundle, "--console-socket", socket.path()];
        let command = self.command(verb, &[&first, options].concat());
        assert_eq!(self.t.run_silent(command), 0, "{verb}: {}", read(self.images.join("restore.log")));
        Terminal::new(socket.receive_fd())
    }

    /// The same with pipes.
    fn with_pipes(&mut self, verb: &str, options: &[&str]) -> (ChildStdin, ChildStdout) {
        let bundle = self.bundle.dir.to_str().expect("utf-8").to_owned();
        let mut command = self.command(verb, &[&["--detach", "--bundle", &bundle], options].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("spawn");
        let streams = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
        let status = child.wait().expect("wait");
        assert!(status.success(), "{verb}: {status} {}", read(self.images.join("restore.log")));
        streams
    }
}

/// The master of a new terminal comes through the runtime; the terminal is as the old one was.
fn terminal(scene: &mut Scene<'_>) {
    scene.bundle.args(["sh", "-c", "stty -echo; echo ready; while read word; do echo got $word; done"]);
    scene.bundle.set("/process/terminal", json!(true)).write();
    let mut first = scene.with_console("run", &[]);
    first.expect("ready");
    first.resize(33, 77);
    first.write("one\n");
    first.expect("got one");
    scene.dump();
    drop(first);
    let images = scene.images();
    let mut second = scene.with_console("restore", &["--image-path", &images]);
    second.write("two\n");
    let seen = second.expect("got two");
    assert!(!seen.contains("\ntwo"), "it echoes: {seen}");
    assert_eq!(second.size(), [33, 77]);
    let command = scene.command("exec", &[]);
    let mut inside = command;
    inside.args(["readlink", "/proc/1/fd/0"]);
    assert_eq!(scene.t.run(inside).ok().text(), "/dev/pts/0");
}

/// Pipes of the restore take the place of those of the run.
fn streams(scene: &mut Scene<'_>) {
    scene.bundle.args(["sh", "-c", "while read word; do echo got $word; done 2>&1"]).write();
    let talk = |(mut input, output): (ChildStdin, ChildStdout), word: &str| {
        writeln!(input, "{word}").expect("write");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("read");
        assert_eq!(line, format!("got {word}\n"));
        // Until it was dumped: a reader at its end would end it.
        input
    };
    let first = talk(scene.with_pipes("run", &[]), "one");
    scene.dump();
    drop(first);
    let images = scene.images();
    talk(scene.with_pipes("restore", &["--image-path", &images]), "two");
}

/// Nothing happens to the container, and the log says what is not supported.
fn option_that_is_refused(scene: &mut Scene<'_>) {
    scene.sleep();
    fs::write(scene.t.path("refused.conf"), "lazy-pages\n").expect("write");
    let mut command = scene.command("checkpoint", &["--image-path", &scene.images()]);
    command.env("CRIU_CONFIG_FILE", scene.t.path("refused.conf"));
    assert_ne!(scene.t.run(command).code, 0);
    assert!(!scene.images.join("inventory.img").exists());
    let state = scene.command("state", &[]);
    assert_eq!(scene.t.run(state).ok().json()["status"], "running");
}

/// Damaged images are refused by name, and no process and no cgroup is left.
fn restore_that_fails(scene: &mut Scene<'_>) {
    scene.sleep();
    scene.dump();
    let pages = scene.images.join("pages-1.img");
    let mut bytes = fs::read(&pages).expect("pages");
    bytes[17] ^= 1;
    fs::write(&pages, bytes).expect("write");
    let bundle = scene.bundle.dir.to_str().expect("utf-8").to_owned();
    let options = ["--detach", "--bundle", &bundle, "--image-path", &scene.images()];
    let command = scene.command("restore", &options);
    assert_ne!(scene.t.run(command).code, 0);
    let log = read(scene.images.join("restore.log"));
    assert!(log.contains("Error: pages-1.img: "), "{log}");
    // crun has made it before it calls criu, and leaves it there.
    let cgroup = cgroup_dir(&scene.bundle.id);
    if scene.runtime == "crun" {
        fs::remove_dir(&cgroup).expect("nobody is in it");
    }
    assert!(!cgroup.exists());
}
