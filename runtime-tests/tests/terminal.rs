//! `process.terminal`: console sockets, sizes, resizing, and an attached run on a terminal of ours.

use crate::cases;
use crate::harness::sockets::{FdSocket, Terminal, control_terminal, open_pty};
use crate::harness::*;
use std::process::Stdio;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        attached_in_a_pipeline,
        attached_interrupt,
        attached_output_is_complete,
        exec_output_is_complete,
        attached_without_input_is_idle,
        attached_hangs_up_with_its_terminal,
        attached_with_a_directory_as_input,
        attached_terminal_is_opened_again,
        create_in_the_background,
        console_socket,
        console_size,
        console_resize,
        console_is_dev_console,
        console_owner,
        console_without_socket_is_refused,
        socket_without_terminal_is_refused,
        dead_socket_is_refused,
        controlling_terminal,
        attached,
        attached_resize,
        attached_restores_the_terminal,
        exec_console_socket,
        exec_attached,
    ]
}

fn with_terminal(t: &mut Test, args: &[&str]) -> (Container, Terminal, Bundle) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true)).set("/process/args", json!(args));
    bundle.set("/process/consoleSize", json!({"height": 33, "width": 77}));
    let socket = FdSocket::new(t.path("console"));
    let path = socket.path().to_owned();
    let container = t.create_with(&bundle, &["--console-socket", &path]);
    let terminal = Terminal::new(socket.receive_fd());
    t.call(["start", &container.id]).ok();
    (container, terminal, bundle)
}

fn console_socket(t: &mut Test) {
    let (_, mut terminal, _) = with_terminal(
        t,
        &["sh", "-c", "test -t 0 && test -t 1 && test -t 2 && echo all; read x; echo got $x"],
    );
    terminal.expect("all");
    terminal.write("words\n");
    terminal.expect("got words");
}

fn console_size(t: &mut Test) {
    let (_, mut terminal, _) = with_terminal(t, &["/bin/floe-probe", "winch"]);
    terminal.expect("size 33x77");
    assert_eq!(terminal.size(), [33, 77]);
}

fn console_resize(t: &mut Test) {
    let (_, mut terminal, _) = with_terminal(t, &["/bin/floe-probe", "winch"]);
    terminal.expect("size 33x77");
    terminal.resize(20, 50);
    terminal.expect("resized 20x50");
}

fn console_is_dev_console(t: &mut Test) {
    let (_, mut terminal, _) =
        with_terminal(t, &["sh", "-c", "echo hello > /dev/console; readlink /proc/self/fd/0; sleep 100"]);
    terminal.expect("hello");
    terminal.expect("/dev/pts/0");
}

fn console_owner(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true)).set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.args([
        "sh",
        "-c",
        "stat -L -c uid=%u /proc/self/fd/0; echo x > /dev/tty && echo writable; sleep 100",
    ]);
    let socket = FdSocket::new(t.path("console"));
    let path = socket.path().to_owned();
    let container = t.create_with(&bundle, &["--console-socket", &path]);
    let mut terminal = Terminal::new(socket.receive_fd());
    t.call(["start", &container.id]).ok();
    terminal.expect("uid=1000");
    terminal.expect("writable");
}

fn create(t: &mut Test, bundle: &Bundle, options: &[&str]) -> Output {
    bundle.write();
    let mut command = t.floe();
    command.arg("create").args(options).arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    t.run(command)
}

fn console_without_socket_is_refused(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true));
    create(t, &bundle, &[]).exits(1).refused(&["console"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn socket_without_terminal_is_refused(t: &mut Test) {
    let socket = FdSocket::new(t.path("console"));
    let bundle = t.bundle();
    create(t, &bundle, &["--console-socket", socket.path()]).exits(1).refused(&["console"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn dead_socket_is_refused(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true));
    create(t, &bundle, &["--console-socket", "/no/such/socket"]).exits(1).refused(&["/no/such/socket"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn controlling_terminal(t: &mut Test) {
    // Ctrl-C reaches the foreground process group only through a controlling terminal.
    let (container, mut terminal, _) = with_terminal(t, &["/bin/floe-probe", "hold"]);
    terminal.expect("ready");
    terminal.write("\x03");
    terminal.expect("sig 02");
    t.call(["kill", &container.id, "KILL"]).ok();
}

/// An attached command; ended with the test.
struct Attached(std::process::Child);

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `floe ARGS` as the leader of a session on a pseudo-terminal of ours.
fn on_a_terminal(t: &mut Test, args: &[&str]) -> (Attached, Terminal, std::os::fd::OwnedFd) {
    let (terminal, inner) = open_pty(24, 80);
    let mut command = t.floe();
    command.args(args);
    command.stdin(inner.try_clone().expect("dup"));
    command.stdout(inner.try_clone().expect("dup")).stderr(Stdio::from(inner.try_clone().expect("dup")));
    control_terminal(&mut command);
    (Attached(command.spawn().expect("spawn")), terminal, inner)
}

fn attached_bundle(t: &mut Test, args: &[&str]) -> (Attached, Terminal, std::os::fd::OwnedFd) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true)).set("/process/args", json!(args)).write();
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    on_a_terminal(t, &["run", "--bundle", &dir, &bundle.id])
}

fn exit_code(child: &mut Attached) -> Option<i32> {
    let mut code = None;
    wait_until("the attached command's end", || {
        code = child.0.try_wait().expect("wait");
        code.is_some()
    });
    code.and_then(|status| status.code())
}

fn attached(t: &mut Test) {
    let (mut child, mut terminal, _inner) = attached_bundle(
        t,
        &["sh", "-c", "tty=$(readlink /proc/self/fd/0); echo on $tty; read x; echo got $x; exit 7"],
    );
    terminal.expect("on /dev/pts/0");
    terminal.write("words\r");
    terminal.expect("got words");
    assert_eq!(exit_code(&mut child), Some(7));
}

fn attached_resize(t: &mut Test) {
    let (mut child, mut terminal, _inner) = attached_bundle(t, &["/bin/floe-probe", "winch"]);
    terminal.expect("size 24x80");
    terminal.resize(30, 90);
    terminal.expect("resized 30x90");
    assert_eq!(exit_code(&mut child), Some(0));
}

fn attached_restores_the_terminal(t: &mut Test) {
    let (mut child, _terminal, inner) = attached_bundle(t, &["sleep", "0.3"]);
    let raw = |fd: &std::os::fd::OwnedFd| {
        let settings = nix::sys::termios::tcgetattr(fd).expect("tcgetattr");
        !settings.local_flags.contains(nix::sys::termios::LocalFlags::ICANON)
    };
    wait_until("raw mode", || raw(&inner));
    assert_eq!(exit_code(&mut child), Some(0));
    assert!(!raw(&inner), "the terminal stays raw");
}

fn exec_console_socket(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let socket = FdSocket::new(t.path("console"));
    let mut command = t.floe();
    command.args(["exec", "--tty", "--detach", "--console-socket", socket.path(), &container.id]);
    command.args(["sh", "-c", "test -t 0 && echo yes; read x; echo got $x"]);
    let running = t.spawn(command);
    let mut terminal = Terminal::new(socket.receive_fd());
    running.wait().ok();
    terminal.expect("yes");
    terminal.write("words\n");
    terminal.expect("got words");
}

fn exec_attached(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let (mut child, mut terminal, _inner) = on_a_terminal(
        t,
        &["exec", "--tty", &container.id, "sh", "-c", "test -t 0 && echo on; read x; exit $x"],
    );
    terminal.expect("on");
    terminal.write("9\r");
    assert_eq!(exit_code(&mut child), Some(9));
}

/// `… | floe run | …`: the container has a terminal although floe has none.
fn attached_in_a_pipeline(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true));
    bundle.args(["sh", "-c", "test -t 0 && test -t 1 && read x && echo got $x"]).write();
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(r#"echo words | "$0" --root "$1" run --bundle "$2" "$3" | cat"#);
    command.arg(&environment::get().floe).arg(&t.root).arg(&bundle.dir).arg(&bundle.id);
    // The terminal echoes what is typed.
    assert_eq!(t.run(command).ok().stdout, "words\r\ngot words\r\n");
}

fn attached_interrupt(t: &mut Test) {
    let (mut child, mut terminal, _inner) = attached_bundle(t, &["/bin/floe-probe", "hold"]);
    terminal.expect("ready");
    terminal.write("\x03");
    terminal.expect("sig 02");
    terminal.write("\x1c");
    terminal.expect("sig 03");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.0.id() as i32),
        nix::sys::signal::Signal::SIGTERM,
    )
    .expect("kill");
    assert_eq!(exit_code(&mut child), Some(0));
}

const MEGABYTE: &str = "head -c 1000000 /dev/zero | tr '\\0' x";

fn attached_output_is_complete(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true));
    bundle.args(["sh", "-c", MEGABYTE]);
    assert_eq!(t.run_bundle(&bundle).ok().stdout.len(), 1_000_000);
}

fn exec_output_is_complete(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let output = t.call(["exec", "--tty", &container.id, "sh", "-c", MEGABYTE]).ok();
    assert_eq!(output.stdout.len(), 1_000_000);
}

/// A standard input whose writer has gone must not keep floe busy.
fn attached_without_input_is_idle(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true)).args(["sh", "-c", "touch /data/up; sleep 1"]).write();
    let (reader, writer) = nix::unistd::pipe().expect("pipe");
    drop(writer);
    let mut command = t.floe();
    command.arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    command.stdin(reader).stdout(Stdio::null());
    let mut child = Attached(command.spawn().expect("spawn"));
    wait_until("the container runs", || bundle.rootfs("data/up").exists());
    let ticks = || -> u64 {
        let stat = read(format!("/proc/{}/stat", child.0.id()));
        let fields: Vec<&str> = stat.rsplit_once(") ").expect("stat").1.split(' ').collect();
        fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
    };
    let before = ticks();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let used = ticks() - before;
    assert!(used < 20, "{used} ticks of processor time while nothing happened");
    assert_eq!(exit_code(&mut child), Some(0));
}

/// The window is closed: the container's terminal is not, but SIGHUP arrives.
fn attached_hangs_up_with_its_terminal(t: &mut Test) {
    let mut bundle = t.bundle();
    let output = t.path("output");
    std::fs::write(&output, "").expect("write");
    bundle.set("/process/terminal", json!(true)).bind(&output, "/data/output", &["bind"]);
    bundle.set(
        "/process/args",
        json!([
            "sh",
            "-c",
            "trap 'echo hup > /data/output; exit 5' HUP; echo up; while :; do sleep 0.05; done"
        ]),
    );
    bundle.write();
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    let (mut child, mut terminal, inner) = on_a_terminal(t, &["run", "--bundle", &dir, &bundle.id]);
    terminal.expect("up");
    drop((terminal, inner));
    exit_code(&mut child);
    assert_eq!(read(&output).trim(), "hup");
}

/// `create` with a console socket needs no terminal of its own and touches none.
fn create_in_the_background(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true)).args(["sh", "-c", "echo up; sleep 100"]).write();
    let socket = FdSocket::new(t.path("console"));
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    let path = socket.path().to_owned();
    let (mut child, _outer, inner) =
        on_a_terminal(t, &["create", "--console-socket", &path, "--bundle", &dir, &bundle.id]);
    let mut terminal = Terminal::new(socket.receive_fd());
    assert_eq!(exit_code(&mut child), Some(0));
    let settings = nix::sys::termios::tcgetattr(&inner).expect("tcgetattr");
    assert!(settings.local_flags.contains(nix::sys::termios::LocalFlags::ICANON));
    t.call(["start", &bundle.id]).ok();
    terminal.expect("up");
}

fn attached_with_a_directory_as_input(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true)).args(["sh", "-c", "sleep 0.3; echo up; exit 7"]).write();
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(r#"exec "$0" --root "$1" run --bundle "$2" "$3" < /"#);
    command.arg(&environment::get().floe).arg(&t.root).arg(&bundle.dir).arg(&bundle.id);
    assert_eq!(t.run(command).exits(7).stdout, "up\r\n");
}

/// A program may close its terminal and open it again: what it then says is not lost.
fn attached_terminal_is_opened_again(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true));
    let script = "t=/dev/pts/0; echo one; exec 0<&- 1>&- 2>&-; sleep 0.5; echo two > $t; sleep 0.3; echo three > $t; exit 7";
    bundle.args(["sh", "-c", script]);
    assert_eq!(t.run_bundle(&bundle).exits(7).stdout, "one\r\ntwo\r\nthree\r\n");
}
