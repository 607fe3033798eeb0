//! Defences of floe's own making: each test fails when its defence is taken out.

use crate::cases;
use crate::harness::*;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        no_host_file_through_descriptors_in_run,
        no_host_file_through_descriptors_in_create,
        no_host_file_through_descriptors_in_exec,
        own_binary_is_not_a_program,
        own_binary_of_a_waiting_init,
        own_binary_for_a_tracer,
        hooks_inherit_no_descriptors,
        killed_in_a_hook,
        killed_while_recording,
        killed_before_the_cgroup,
        start_while_create_is_killed,
        concurrent_starts,
        closed_stdin_costs_nothing,
        start_socket_is_private,
        create_container_hook_sees_mounts,
        create_runtime_hook_mounts,
        listen_fds_and_preserved,
        preserved_descriptors_are_not_for_hooks,
        cwd_is_not_made_through_proc_root,
        damaged_state,
        few_descriptors,
        unwritable_root,
        full_state_directory,
        process_of_exec_is_opaque,
        process_of_exec_leads_a_tracer_nowhere,
        init_in_a_joined_pid_namespace_leads_a_tracer_nowhere,
        process_of_exec_has_no_more_capabilities_in_sight,
        init_in_a_joined_pid_namespace_has_no_more_capabilities_in_sight,
        rootfs_that_changes,
        device_node_that_changes,
        hostile_passwd,
        failed_exec_with_a_terminal,
        silent_client_of_the_start_socket,
        full_queue_of_the_pidfd_socket,
        notify_directory_is_read_only_and_private,
        image_files_are_looked_at_before_they_are_opened,
        sysctl_goes_to_procfs_only,
        procfs_of_the_host_is_verified,
        init_is_not_dumpable,
        huge_bundle,
        lost_state,
        lost_state_of_a_running_container,
    ]
}

/// A directory of the host with one program, which prints what it is told to.
fn host_program(t: &Test) -> PathBuf {
    let dir = t.path("host");
    std::fs::create_dir(&dir).expect("mkdir");
    std::fs::hard_link(&environment::get().busybox, dir.join("echo")).expect("link");
    dir
}

/// `dir` of the host as it is reached if descriptor `fd` leads to any directory out there.
fn through(fd: u32, dir: &Path) -> String {
    format!("/proc/self/fd/{fd}/{}{}", "../".repeat(12), dir.display())
}

#[track_caller]
fn check_nothing_ran(output: &Output, fd: u32, what: &str) {
    assert!(!output.stdout.contains("ESCAPED"), "descriptor {fd} as {what}: {output:?}");
    assert!(output.code != 0, "descriptor {fd} as {what}: no error: {output:?}");
}

fn script(path: &Path, interpreter: &str) {
    let _ = std::fs::remove_file(path);
    std::fs::write(path, format!("#!{interpreter} ESCAPED\n")).expect("write");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
}

fn no_host_file_through_descriptors_in_run(t: &mut Test) {
    let host = host_program(t);
    for fd in 3..=20 {
        let program = format!("{}/echo", through(fd, &host));
        let mut bundle = t.bundle();
        bundle.args([program.as_str(), "ESCAPED"]);
        check_nothing_ran(&t.run_bundle(&bundle), fd, "program");

        script(&bundle.rootfs("bin/script"), &program);
        bundle.args(["/bin/script"]);
        check_nothing_ran(&t.run_bundle(&bundle), fd, "interpreter");

        bundle.set("/process/cwd", json!(through(fd, &host))).args(["sh", "-c", "./echo ESCAPED"]);
        check_nothing_ran(&t.run_bundle(&bundle), fd, "cwd");
    }
    assert_eq!(std::fs::read_dir(&host).expect("dir").count(), 1, "something was made on the host");
}

fn no_host_file_through_descriptors_in_create(t: &mut Test) {
    // The interpreter is looked up by `start`, when only init's own descriptors are left.
    let host = host_program(t);
    for fd in 3..=20 {
        let mut bundle = t.bundle();
        script(&bundle.rootfs("bin/script"), &format!("{}/echo", through(fd, &host)));
        bundle.args(["/bin/script"]);
        let container = t.create(&bundle);
        t.call(["start", &container.id]).ok();
        t.wait_status(&container.id, "stopped");
        assert_eq!(container.output(), "", "descriptor {fd}");
        t.call(["delete", "--force", &container.id]).ok();
    }
}

fn no_host_file_through_descriptors_in_exec(t: &mut Test) {
    let host = host_program(t);
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    for fd in 3..=20 {
        let program = format!("{}/echo", through(fd, &host));
        check_nothing_ran(&t.call(["exec", &container.id, &program, "ESCAPED"]), fd, "program");
        script(&bundle.rootfs("bin/script"), &program);
        check_nothing_ran(&t.call(["exec", &container.id, "/bin/script"]), fd, "interpreter");
        let cwd = through(fd, &host);
        let args = ["exec", "--cwd", &cwd, &container.id, "sh", "-c", "./echo ESCAPED"];
        check_nothing_ran(&t.call(args), fd, "cwd");
    }
}

/// A copy of the binary under test that a test may lose.
struct OwnFloe {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl OwnFloe {
    fn new(t: &Test) -> OwnFloe {
        let path = t.path("floe");
        crate::programs::copy_program(&environment::get().floe, &path);
        OwnFloe { bytes: std::fs::read(&path).expect("read"), path }
    }

    fn command(&self, t: &Test, args: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir(&t.dir);
        command.arg("--root").arg(&t.root).args(args);
        command
    }

    fn create(&self, t: &mut Test, bundle: &Bundle) {
        bundle.write();
        let dir = bundle.dir.to_str().expect("utf-8");
        let command = self.command(t, &["create", "--bundle", dir, &bundle.id]);
        t.run(command).ok();
    }

    #[track_caller]
    fn check(&self) {
        assert!(std::fs::read(&self.path).expect("read") == self.bytes, "the runtime was overwritten");
    }
}

/// A program that the kernel would start through the dynamic loader `interpreter`.
fn elf_with_interpreter(interpreter: &str) -> Vec<u8> {
    let machine: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
    let mut name = interpreter.as_bytes().to_vec();
    name.push(0);
    let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (headers, start) = (64u64, 64 + 2 * 56u64);
    elf.extend(2u16.to_le_bytes()); // ET_EXEC
    elf.extend(machine.to_le_bytes());
    elf.extend(1u32.to_le_bytes());
    for word in [0x40_0000 + start, headers, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 2, 64, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    let length = name.len() as u64;
    // PT_INTERP, then PT_LOAD of the whole file.
    for (kind, flags, offset, size) in [(3u32, 4u32, start, length), (1, 5, 0, start + length)] {
        elf.extend(kind.to_le_bytes());
        elf.extend(flags.to_le_bytes());
        for word in [offset, 0x40_0000 + offset, 0x40_0000 + offset, size, size, 0x1000] {
            elf.extend(word.to_le_bytes());
        }
    }
    elf.extend(name);
    elf
}

fn own_binary_is_not_a_program(t: &mut Test) {
    let floe = OwnFloe::new(t);
    let mut bundle = t.bundle();
    symlink("/proc/self/exe", bundle.rootfs("bin/link")).expect("symlink");
    script(&bundle.rootfs("bin/script"), "/proc/self/exe");
    std::fs::write(bundle.rootfs("bin/elf"), elf_with_interpreter("/proc/self/exe")).expect("write");
    std::fs::set_permissions(bundle.rootfs("bin/elf"), std::fs::Permissions::from_mode(0o755))
        .expect("chmod");
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    for program in ["/proc/self/exe", "/bin/link", "/bin/script", "/bin/elf"] {
        bundle.args([program, "--version"]).write();
        let command = floe.command(t, &["run", "--bundle", &dir, &bundle.id]);
        let output = t.run(command).refused(&["EACCES"]);
        assert_eq!(output.stdout, "", "{program}");
    }
    let container = t.start_holding(&mut bundle);
    for program in ["/proc/self/exe", "/bin/link", "/bin/script", "/bin/elf"] {
        let command = floe.command(t, &["exec", &container.id, program, "--version"]);
        let output = t.run(command).refused(&["EACCES"]);
        assert_eq!(output.stdout, "", "{program}");
    }
    floe.check();
}

fn own_binary_of_a_waiting_init(t: &mut Test) {
    let floe = OwnFloe::new(t);
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "hold"]);
    floe.create(t, &bundle);
    let exe = format!("/proc/{}/exe", t.pid(&bundle.id));
    let write = |path: &str| std::fs::OpenOptions::new().write(true).open(path).map(drop);
    write(&exe).expect_err("init's binary can be written");
    let kept = std::fs::File::open(&exe).expect("open");
    t.call(["start", &bundle.id]).ok();
    // Nobody executes it any more, so ETXTBSY is no longer what protects it.
    use std::os::fd::AsRawFd as _;
    let error = write(&format!("/proc/self/fd/{}", kept.as_raw_fd())).expect_err("it can be written");
    assert_eq!(error.raw_os_error(), Some(libc::EROFS));
    floe.check();
}

fn own_binary_for_a_tracer(t: &mut Test) {
    // CVE-2019-5736 from the inside: with CAP_SYS_PTRACE the link of every process can be followed. What is
    // found is kept open until floe has ended.
    let floe = OwnFloe::new(t);
    let mut bundle = t.bundle();
    bundle.capabilities(&["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]);
    let script = "echo ready; while :; do for p in /proc/[0-9]*; do \
        { sleep 0.02; echo damage > /proc/self/fd/9; } 9< $p/exe; echo damage > $p/exe; done 2>/dev/null; done";
    bundle.args(["sh", "-c", script]);
    let container = t.start(&bundle);
    container.wait_for_output("ready");
    for _ in 0..20 {
        let command = floe.command(t, &["exec", &container.id, "sleep", "0.02"]);
        t.run(command);
    }
    t.call(["delete", "--force", &container.id]).ok();
    floe.check();
}

/// A hook that is one script of the host's shell.
fn shell_hook(script: &str) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]})
}

fn hooks_inherit_no_descriptors(t: &mut Test) {
    let out = t.path("out");
    std::fs::create_dir(&out).expect("mkdir");
    let inside = out.to_str().expect("utf-8").to_owned();
    let mut bundle = t.bundle();
    bundle.bind(&out, &inside, &["bind"]).args(["/bin/floe-probe", "hold"]);
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        // By number and through `self`: a createContainer hook's pid is not the one that its /proc shows.
        let numbers: Vec<String> = (3..30).map(|number| number.to_string()).collect();
        let numbers = numbers.join(" ");
        let script = format!(
            "{{ echo ran; for n in {numbers}; do readlink /proc/self/fd/$n; done; }} > {inside}/{kind}; true"
        );
        let hook = match kind {
            "startContainer" => {
                json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"]})
            }
            _ => shell_hook(&script),
        };
        bundle.push(&format!("/hooks/{kind}"), hook);
    }
    bundle.write();
    let leaky = |t: &Test, args: &[&str]| {
        let mut command = t.floe();
        command.args(args);
        let fds = (0..18).map(|_| std::fs::File::open("/").expect("open").into()).collect();
        sockets::pass_fds(&mut command, fds);
        command
    };
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    for args in
        [&["create", "--bundle", &dir, &bundle.id][..], &["start", &bundle.id], &["delete", "-f", &bundle.id]]
    {
        let command = leaky(t, args);
        t.run(command).ok();
    }
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let text = read(out.join(kind));
        assert!(!text.is_empty(), "{kind} did not run");
        assert!(!text.lines().any(|line| line == "/"), "{kind} inherited descriptors: {text}");
    }
}

fn processes(id: &str) -> String {
    read(cgroup_dir(id).join("cgroup.procs"))
}

/// After floe's death: init ends by itself, `start` fails, `delete --force` leaves nothing.
#[track_caller]
fn check_abandoned(t: &mut Test, id: &str) {
    wait_until("init's end", || processes(id).is_empty());
    t.call(["start", id]).exits(1);
    t.call(["delete", "--force", id]).quiet();
    assert_eq!(t.leftovers(), [""; 0]);
}

fn killed_in_a_hook(t: &mut Test) {
    for kind in ["prestart", "createRuntime"] {
        let mut bundle = t.bundle();
        bundle.push(&format!("/hooks/{kind}"), shell_hook("kill -9 $PPID; sleep 0.1"));
        bundle.args(["sleep", "1000"]).write();
        let mut command = t.floe();
        command.arg("create").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
        t.run(command).exits(128 + libc::SIGKILL);
        check_abandoned(t, &bundle.id);
    }
}

/// A socket whose queue is full: who connects waits.
fn busy_socket(path: &Path) -> Vec<std::os::fd::OwnedFd> {
    use nix::sys::socket::*;
    use std::os::fd::AsRawFd as _;
    let make = |flags| socket(AddressFamily::Unix, SockType::Stream, flags, None).expect("socket");
    let address = UnixAddr::new(path).expect("address");
    let listener = make(SockFlag::SOCK_CLOEXEC);
    bind(listener.as_raw_fd(), &address).expect("bind");
    listen(&listener, Backlog::new(1).expect("backlog")).expect("listen");
    let mut held = vec![listener];
    loop {
        let client = make(SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK);
        if connect(client.as_raw_fd(), &address).is_err() {
            return held;
        }
        held.push(client);
    }
}

/// `create` that hangs once the container is written down.
fn hanging_create(t: &mut Test, bundle: &Bundle) -> (Running, Vec<std::os::fd::OwnedFd>) {
    bundle.write();
    let socket = t.path("pidfd");
    let held = busy_socket(&socket);
    let mut command = t.floe();
    command.arg("create").arg("--pidfd-socket").arg(&socket).arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    let running = t.spawn(command);
    let recorded = t.root.join(&bundle.id).join("init.json");
    wait_until("init.json", || recorded.exists());
    (running, held)
}

fn killed_while_recording(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sleep", "1000"]);
    let (running, _held) = hanging_create(t, &bundle);
    assert!(!processes(&bundle.id).is_empty());
    running.signal(libc::SIGKILL);
    running.wait();
    check_abandoned(t, &bundle.id);
}

fn start_while_create_is_killed(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sleep", "1000"]);
    let (running, _held) = hanging_create(t, &bundle);
    let mut command = t.floe();
    command.args(["start", &bundle.id]);
    let start = t.spawn(command);
    std::thread::sleep(Duration::from_millis(100));
    running.signal(libc::SIGKILL);
    running.wait();
    start.wait().exits(1);
    check_abandoned(t, &bundle.id);
}

fn killed_before_the_cgroup(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/process/terminal", json!(true)).write();
    let socket = t.path("console");
    let _held = busy_socket(&socket);
    let mut command = t.floe();
    command.arg("create").arg("--console-socket").arg(&socket);
    command.arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    let running = t.spawn(command);
    let claimed = t.root.join(&bundle.id).join("start.sock");
    wait_until("the state directory", || claimed.exists());
    running.signal(libc::SIGKILL);
    running.wait();
    check_abandoned(t, &bundle.id);
}

fn concurrent_starts(t: &mut Test) {
    for _ in 0..10 {
        let mut bundle = t.bundle();
        bundle.args(["sleep", "1000"]);
        let container = t.create(&bundle);
        let starts: Vec<Running> = (0..4)
            .map(|_| {
                let mut command = t.floe();
                command.args(["start", &container.id]);
                t.spawn(command)
            })
            .collect();
        let codes: Vec<i32> = starts.into_iter().map(|start| start.wait().code).collect();
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| **code == 1).count(), 3, "{codes:?}");
        assert_eq!(t.status(&container.id), "running");
        t.call(["delete", "--force", &container.id]).ok();
    }
}

/// Clock ticks that a process has used.
fn ticks(pid: i32) -> u64 {
    let stat = read(format!("/proc/{pid}/stat"));
    let fields = stat.rsplit_once(')').expect("stat").1.split_ascii_whitespace();
    fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("number")).sum()
}

fn closed_stdin_costs_nothing(t: &mut Test) {
    let mut all = Vec::new();
    for stdin in ["<&-", "</dev/null", "< \"$0\""] {
        let pipe = t.path(format!("pipe{}", all.len()));
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("mkfifo");
        // A pipe whose writer has gone.
        let writer = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("open");
        let mut bundle = t.bundle();
        bundle.set("/process/terminal", json!(true)).args(["/bin/floe-probe", "hold"]).write();
        let line = format!(
            "exec {} --root {} run --bundle {} {} {stdin}",
            environment::get().floe.display(),
            t.root.display(),
            bundle.dir.display(),
            bundle.id
        );
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &line]).arg(&pipe);
        let running = t.spawn(command);
        running.wait_for_output("ready");
        drop(writer);
        all.push((running, bundle.id, stdin));
    }
    let started: Vec<u64> = all.iter().map(|(running, ..)| ticks(running.pid())).collect();
    std::thread::sleep(Duration::from_secs(2));
    for ((running, id, stdin), started) in all.into_iter().zip(started) {
        let used = ticks(running.pid()) - started;
        t.call(["kill", &id, "KILL"]).ok();
        running.wait().exits(128 + libc::SIGKILL);
        assert!(used < 30, "stdin {stdin}: {used} ticks");
    }
}

fn start_socket_is_private(t: &mut Test) {
    for umask in ["0000", "0022"] {
        let mut bundle = t.bundle();
        bundle.args(["sleep", "1000"]).write();
        let root = t.path(format!("state{umask}"));
        let floe = environment::get().floe.display();
        let line = format!(
            "umask {umask}; exec {floe} --root {} create --bundle {} {}",
            root.display(),
            bundle.dir.display(),
            bundle.id
        );
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &line]);
        t.run(command).ok();
        let dir = root.join(&bundle.id);
        assert_eq!(std::fs::metadata(&dir).expect("stat").mode() & 0o7777, 0o700, "umask {umask}");
        assert_eq!(std::fs::metadata(&root).expect("stat").mode() & 0o022, 0, "umask {umask}");
        for file in std::fs::read_dir(&dir).expect("dir").flatten() {
            let mode = file.metadata().expect("stat").mode();
            assert!(mode & 0o022 == 0 || mode & libc::S_IFMT == libc::S_IFSOCK, "{file:?}: {mode:o}");
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "54321", "--regid", "54321", "--clear-groups", "stat"]);
        command.arg(dir.join("start.sock"));
        t.run(command).refused(&["denied"]);
        let mut command = t.floe();
        command.arg("--root").arg(&root).args(["delete", "--force", &bundle.id]);
        t.run(command).ok();
    }
}

fn create_container_hook_sees_mounts(t: &mut Test) {
    let out = t.path("out");
    let mut bundle = t.bundle();
    let rootfs = bundle.rootfs("");
    let script = format!(
        "test -e {0}/proc/self && test -c {0}/dev/null && echo yes > {1}",
        rootfs.display(),
        out.display()
    );
    bundle.push("/hooks/createContainer", shell_hook(&script)).args(["true"]);
    t.run_bundle(&bundle).quiet();
    assert_eq!(read(out), "yes\n");
}

fn create_runtime_hook_mounts(t: &mut Test) {
    let source = t.path("source");
    std::fs::create_dir(&source).expect("mkdir");
    std::fs::write(source.join("file"), "from the hook").expect("write");
    let mut bundle = t.bundle();
    std::fs::create_dir(bundle.rootfs("mnt")).expect("mkdir");
    let script = format!(
        "pid=$(sed -n 's/.*\"pid\":\\([0-9]*\\).*/\\1/p'); nsenter -t $pid -m mount --bind {} {}",
        source.display(),
        bundle.rootfs("mnt").display()
    );
    bundle.push("/hooks/createRuntime", shell_hook(&script));
    assert_eq!(t.sh(&mut bundle, "cat /mnt/file"), "from the hook");
    assert_eq!(std::fs::read_dir(bundle.rootfs("mnt")).expect("dir").count(), 0, "it is seen on the host");
}

fn listen_fds_and_preserved(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "facts"]).write();
    let mut command = t.floe();
    command.env("LISTEN_FDS", "1").args(["run", "--preserve-fds", "1"]);
    command.arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    let files: Vec<PathBuf> = ["a", "b", "c", "d"].map(|name| t.path(name)).to_vec();
    let fds = files.iter().map(|path| std::fs::File::create(path).expect("create").into()).collect();
    sockets::pass_fds(&mut command, fds);
    let facts = t.run(command).ok().json();
    let fds: Vec<&String> = facts["fds"].as_object().expect("fds").keys().collect();
    assert_eq!(fds, ["0", "1", "2", "3", "4"], "{}", facts["fds"]);
}

fn preserved_descriptors_are_not_for_hooks(t: &mut Test) {
    let out = t.path("out");
    std::fs::create_dir(&out).expect("mkdir");
    let inside = out.to_str().expect("utf-8").to_owned();
    let kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    let mut bundle = t.bundle();
    bundle.bind(&out, &inside, &["bind"]).args(["/bin/floe-probe", "facts"]);
    for kind in kinds {
        // The shell's own descriptors are above 9.
        let numbers = "3 4 5 6 7 8 9";
        let script = format!(
            "{{ echo ran; for n in {numbers}; do readlink /proc/self/fd/$n; done; }} > {inside}/{kind}; true"
        );
        let hook = match kind {
            "startContainer" => {
                json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"]})
            }
            _ => shell_hook(&script),
        };
        bundle.push(&format!("/hooks/{kind}"), hook);
    }
    bundle.write();
    let mut command = t.floe();
    command.args(["run", "--preserve-fds", "2", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    let fds = (0..2).map(|_| std::fs::File::open("/").expect("open").into()).collect();
    sockets::pass_fds(&mut command, fds);
    let facts = t.run(command).ok().json();
    let fds: Vec<&String> = facts["fds"].as_object().expect("fds").keys().collect();
    assert_eq!(fds, ["0", "1", "2", "3", "4"], "{}", facts["fds"]);
    for kind in kinds {
        let text = read(out.join(kind));
        assert!(text.starts_with("ran"), "{kind} did not run");
        assert!(!text.lines().any(|line| line == "/"), "{kind} inherited descriptors: {text}");
    }
}

fn cwd_is_not_made_through_proc_root(t: &mut Test) {
    // With the host's pids, root of the container could follow /proc/PID/root before it gives up its
    // privileges.
    let host = t.path("host");
    std::fs::create_dir(&host).expect("mkdir");
    let pid = std::process::id();
    let mut bundle = t.bundle();
    bundle.without_namespace("pid").remove("/linux/maskedPaths").remove("/linux/readonlyPaths");
    bundle.set("/process/cwd", json!(format!("/proc/{pid}/root{}/made", host.display()))).args(["true"]);
    assert!(t.run_bundle(&bundle).code != 0);
    symlink(format!("/proc/{pid}/root{}", host.display()), bundle.rootfs("out")).expect("symlink");
    bundle.set("/process/cwd", json!("/out/made"));
    assert!(t.run_bundle(&bundle).code != 0);
    assert_eq!(std::fs::read_dir(&host).expect("dir").count(), 0, "a directory was made on the host");
}

fn damaged_state(t: &mut Test) {
    for (file, contents) in [
        ("state.json", ""),
        ("state.json", "{\"ociVersion\":\"1.2"),
        ("state.json", "{}"),
        ("init.json", ""),
        ("init.json", "{\"pid\":"),
        ("init.json", "{\"pid\":-1,\"startTime\":0}"),
        ("init.json", "{\"pid\":1,\"startTime\":0}"),
        ("init.json", "{\"pid\":99999999999,\"startTime\":0}"),
        ("init.json", "[[[[["),
        ("config.json", ""),
        ("config.json", "{"),
    ] {
        let mut bundle = t.bundle();
        let container = t.start_holding(&mut bundle);
        let id = container.id.as_str();
        let pid = t.pid(id);
        std::fs::write(t.root.join(id).join(file), contents).expect("write");
        for args in [
            &["state", id][..],
            &["start", id],
            &["exec", id, "true"],
            &["kill", id, "0"],
            &["ps", id],
            &["pause", id],
            &["resume", id],
            &["delete", id],
        ] {
            let output = t.call(args);
            if output.code != 0 {
                output.refused(&[]);
            }
        }
        t.call(["list"]).ok();
        t.call(["delete", "--force", id]).ok();
        let what = format!("{file}: {contents}");
        wait_until(&what, || !Path::new(&format!("/proc/{pid}")).exists());
        assert_eq!(t.leftovers(), [""; 0], "{what}");
    }
}

/// `floe ARGS` under limits of the shell.
fn limited(t: &Test, limits: &str, args: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    let line =
        format!("{limits}; exec {} --root {} \"$@\"", environment::get().floe.display(), t.root.display());
    command.args(["-c", &line, "sh"]).args(args);
    command
}

fn few_descriptors(t: &mut Test) {
    let mut succeeded = 0;
    for limit in 3..40 {
        let mut bundle = t.bundle();
        bundle.args(["true"]).write();
        let dir = bundle.dir.to_str().expect("utf-8").to_owned();
        let limits = format!("ulimit -n {limit}");
        let command = limited(t, &limits, &["run", "--bundle", &dir, &bundle.id]);
        let output = t.run(command);
        if output.code == 0 {
            succeeded += 1;
        } else {
            // Below the standard ones the shell cannot even start it.
            assert!(limit < 30, "{limit}: {output:?}");
            if limit > 4 {
                output.exits(1).refused(&[]);
            }
        }
        assert_eq!(t.leftovers(), [""; 0], "{limit} descriptors");
    }
    assert!(succeeded > 0);
}

fn unwritable_root(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["true"]).write();
    let dir = bundle.dir.to_str().expect("utf-8").to_owned();
    std::fs::write(t.path("file"), "").expect("write");
    for root in ["/proc/floe", "/sys/floe", t.path("file").to_str().expect("utf-8")] {
        let mut command = t.floe();
        command.args(["--root", root, "run", "--bundle", &dir, &bundle.id]);
        t.run(command).exits(1).refused(&[root]);
    }
    assert_eq!(t.leftovers(), [""; 0]);
}

fn full_state_directory(t: &mut Test) {
    // Room for ever more pages and inodes: every write of state gets its turn to fail.
    let none: Option<&str> = None;
    let small = t.path("small");
    t.mount_tmpfs(&small, MsFlags::empty());
    let mut succeeded = 0;
    for (inodes, blocks) in (2..14).map(|n| (n, 64)).chain((1..6).map(|n| (100, n))) {
        let options = format!("nr_inodes={inodes},nr_blocks={blocks}");
        mount(none, &small, none, MsFlags::MS_REMOUNT, Some(options.as_str())).expect("remount");
        let mut bundle = t.bundle();
        bundle.args(["true"]).write();
        let mut command = t.floe();
        command.arg("--root").arg(&small).arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
        let output = t.run(command);
        if output.code == 0 {
            succeeded += 1;
        } else {
            output.exits(1).refused(&["ENOSPC"]);
        }
        assert_eq!(std::fs::read_dir(&small).expect("dir").count(), 0, "{options}");
    }
    assert!(succeeded > 0);
}

fn process_of_exec_is_opaque(t: &mut Test) {
    // CVE-2016-9962: what exec starts has descriptors and memory of the host until it is the program.
    let mut bundle = t.bundle();
    // It may be the program by the time it is looked at, but that has no sockets.
    let script = "echo ready; while :; do for p in /proc/[0-9]*; do case $(cat $p/comm) in floe*) \
        cat $p/environ; readlink $p/fd/*; cat $p/fd/5 $p/task/*/environ;; esac; done; done 2>/dev/null";
    bundle.args(["sh", "-c", script]);
    let container = t.start(&bundle);
    container.wait_for_output("ready");
    for number in 0..80 {
        let mut command = t.floe();
        command.env("SECRET", "of the host").arg("exec");
        if number % 2 == 0 {
            command.args(["--user", "1000"]);
        }
        command.args([&container.id, "true"]);
        t.run(command).ok();
    }
    t.call(["delete", "--force", &container.id]).ok();
    let output = container.output();
    assert!(!output.contains("SECRET") && !output.contains("socket:"), "{output}");
}

/// A container whose root can follow root and descriptors of every process in sight, and which says when
/// that has led it to the file `marker` of the host.
fn start_tracer(t: &mut Test, marker: &Path) -> Container {
    std::fs::write(marker, "of the host\n").expect("write");
    let mut bundle = t.bundle();
    let marker = marker.display();
    let script = format!(
        "echo ready; while :; do for p in /proc/[0-9]*; do read x < $p/root{marker} && echo root $x; \
        for f in 3 4 5 6 7 8 9; do read x < $p/fd/$f/1/root{marker} && echo fd $f $x; done; done; done 2>/dev/null"
    );
    bundle.capabilities(&["CAP_SYS_PTRACE"]).args(["sh", "-c", &script]);
    let container = t.start(&bundle);
    container.wait_for_output("ready");
    container
}

fn process_of_exec_leads_a_tracer_nowhere(t: &mut Test) {
    let container = start_tracer(t, &t.path("marker"));
    for _ in 0..100 {
        t.call(["exec", &container.id, "true"]).ok();
    }
    t.call(["delete", "--force", &container.id]).ok();
    assert!(!container.output().contains("of the host"), "{}", container.output());
}

/// The capabilities of `base_spec`: AUDIT_WRITE, KILL, NET_BIND_SERVICE.
const OWN: &str = "20000420";

fn process_of_exec_has_no_more_capabilities_in_sight(t: &mut Test) {
    // What has CAP_SYS_PTRACE in the container can make it do whatever it is allowed.
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "watch-capabilities", OWN]);
    let container = t.start(&bundle);
    container.wait_for_output("ready");
    let process = json!({"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]});
    let file = t.path("process.json");
    std::fs::write(&file, process.to_string()).expect("write");
    for _ in 0..50 {
        t.call(["exec", &container.id, "true"]).ok();
        t.call(["exec", "--user", "1000", "--tty", &container.id, "true"]).ok();
        t.call(["exec", "--process", file.to_str().expect("utf-8"), &container.id]).ok();
    }
    t.call(["delete", "--force", &container.id]).ok();
    assert_eq!(container.output().trim(), "ready");
}

fn need_procfs_of_another_pid_namespace() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("osrelease");
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) < (Some(6), Some(17)) {
        skip("procfs has no option pidns before Linux 6.17");
    }
}

fn init_in_a_joined_pid_namespace_has_no_more_capabilities_in_sight(t: &mut Test) {
    need_procfs_of_another_pid_namespace();
    let mut first = t.bundle();
    first.args(["/bin/floe-probe", "watch-capabilities", OWN]);
    let container = t.start(&first);
    container.wait_for_output("ready");
    let pid = t.pid(&container.id);
    let mut bundle = t.bundle();
    bundle.namespace("pid", Some(Path::new(&format!("/proc/{pid}/ns/pid")))).args(["true"]);
    for _ in 0..50 {
        bundle.id = t.id();
        t.run_bundle(&bundle).ok();
    }
    t.call(["delete", "--force", &container.id]).ok();
    assert_eq!(container.output().trim(), "ready");
}

fn init_in_a_joined_pid_namespace_leads_a_tracer_nowhere(t: &mut Test) {
    need_procfs_of_another_pid_namespace();
    let container = start_tracer(t, &t.path("marker"));
    let pid = t.pid(&container.id);
    let mut bundle = t.bundle();
    bundle.namespace("pid", Some(Path::new(&format!("/proc/{pid}/ns/pid")))).args(["true"]);
    for _ in 0..30 {
        let output = t.run_bundle(&bundle).ok();
        bundle.id = t.id();
        drop(output);
    }
    t.call(["delete", "--force", &container.id]).ok();
    assert!(!container.output().contains("of the host"), "{}", container.output());
}

/// Swaps `rootfs/NAME` between a directory and a link to `outside`, until dropped.
pub(crate) struct Swapper(std::sync::Arc<std::sync::atomic::AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Swapper {
    pub(crate) fn new(name: PathBuf, target: PathBuf) -> Swapper {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = stop.clone();
        let other = name.with_extension("other");
        symlink(target, &other).expect("symlink");
        let work = move || {
            while !seen.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                let here = nix::fcntl::AT_FDCWD;
                let _ = nix::fcntl::renameat2(here, &name, here, &other, flags);
            }
        };
        Swapper(stop, Some(std::thread::spawn(work)))
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        let _ = self.1.take().map(std::thread::JoinHandle::join);
    }
}

/// Names, types, modes and owners of everything below a directory, mounts included.
pub(crate) fn listing(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).expect("dir").flatten() {
            let meta = entry.metadata().expect("stat");
            found.push(format!("{} {:o} {} {}", entry.path().display(), meta.mode(), meta.uid(), meta.dev()));
            if meta.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn rootfs_that_changes(t: &mut Test) {
    // CVE-2021-30465, CVE-2024-45310: directories become links to the host between two looks at them.
    let outside = t.path("outside");
    for name in ["sub", "sub/deep", "pts", "mqueue"] {
        std::fs::create_dir(outside.join(name))
            .or_else(|_| std::fs::create_dir_all(outside.join(name)))
            .expect("mkdir");
    }
    for name in ["null", "console", "file", "sub/file"] {
        std::fs::write(outside.join(name), "untouched").expect("write");
    }
    let before = listing(&outside);
    let source = t.path("source");
    std::fs::write(&source, "x").expect("write");
    for name in ["data", "dev", "data/sub", "proc"] {
        let mut bundle = t.bundle();
        std::fs::create_dir_all(bundle.rootfs("data/sub/deep")).expect("mkdir");
        if name == "dev" {
            for mount in ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"] {
                bundle.remove_mount(mount);
            }
        }
        bundle.mount("/data/sub/deep/new/tmpfs", "tmpfs", "tmpfs", &["tmpcopyup"]);
        bundle.mount("/data/sub", "tmpfs", "tmpfs", &["tmpcopyup"]);
        bundle.bind(&source, "/data/sub/made/file", &["bind"]);
        bundle
            .push("/linux/maskedPaths", json!("/data/sub/file"))
            .push("/linux/readonlyPaths", json!("/data/file"));
        bundle.push(
            "/linux/devices",
            json!({"path": "/data/node", "type": "c", "major": 1, "minor": 3, "uid": 7, "fileMode": 511}),
        );
        bundle.set("/process/cwd", json!("/data/cwd/made")).args([
            "sh",
            "-c",
            "ls /data/sub/deep; echo x > /data/written",
        ]);
        let swapper = Swapper::new(bundle.rootfs(name), outside.clone());
        let mut codes = [0; 2];
        for _ in 0..60 {
            bundle.id = t.id();
            let output = t.run_bundle(&bundle);
            codes[usize::from(output.code != 0)] += 1;
        }
        drop(swapper);
        assert_eq!(listing(&outside), before, "{name}: {codes:?}");
    }
}

fn device_node_that_changes(t: &mut Test) {
    // The node is replaced by a link to a file of the host between mknod and what follows it.
    let victim = t.path("victim");
    std::fs::write(&victim, "x").expect("write");
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    let mut bundle = t.bundle();
    let node = json!({"path": "/data/node", "type": "c", "major": 1, "minor": 3, "uid": 7, "gid": 7, "fileMode": 511});
    bundle.push("/linux/devices", node).args(["true"]);
    let (data, link) = (bundle.rootfs("data"), bundle.rootfs("tmp/link"));
    symlink(&victim, &link).expect("symlink");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = stop.clone();
    let racer = std::thread::spawn(move || {
        while !seen.load(std::sync::atomic::Ordering::Relaxed) {
            let (flags, here) = (nix::fcntl::RenameFlags::RENAME_EXCHANGE, nix::fcntl::AT_FDCWD);
            if nix::fcntl::renameat2(here, &data.join("node"), here, &link, flags).is_ok() {
                let _ = nix::fcntl::renameat2(here, &data.join("node"), here, &link, flags);
                let _ = std::fs::remove_file(data.join("node"));
            }
        }
    });
    for _ in 0..60 {
        bundle.id = t.id();
        t.run_bundle(&bundle);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    racer.join().expect("racer");
    let meta = std::fs::metadata(&victim).expect("stat");
    assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o600, 0), "the host's file was changed");
}

fn hostile_passwd(t: &mut Test) {
    let mut bundle = t.bundle();
    let passwd = bundle.rootfs("etc/passwd");
    bundle.args(["sh", "-c", "echo $HOME"]);
    type Make = fn(&Path);
    let kinds: [Make; 6] = [
        |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o666)).expect("mkfifo"),
        |path| symlink("/dev/zero", path).expect("symlink"),
        |path| symlink("/proc/self/fd/3", path).expect("symlink"),
        |path| symlink("passwd", path).expect("symlink"),
        |path| std::fs::create_dir(path).expect("mkdir"),
        |path| std::fs::File::create(path).and_then(|file| file.set_len(1 << 40)).expect("huge file"),
    ];
    for make in kinds {
        let _ = std::fs::remove_file(&passwd);
        let _ = std::fs::remove_dir(&passwd);
        make(&passwd);
        bundle.id = t.id();
        assert_eq!(t.run_bundle(&bundle).ok().text(), "/");
    }
}

fn failed_exec_with_a_terminal(t: &mut Test) {
    // The process has closed all descriptors by then, those of its console too.
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["exec", "--tty", &container.id, "/no/such/program"]).refused(&["/no/such/program"]);
}

fn silent_client_of_the_start_socket(t: &mut Test) {
    // Root, or the container's owner, connects and says nothing: `start` is heard all the same.
    use nix::sys::socket::*;
    use std::os::fd::AsRawFd as _;
    let mut bundle = t.bundle();
    bundle.args(["echo", "up"]);
    let container = t.create(&bundle);
    let address = UnixAddr::new(&t.root.join(&container.id).join("start.sock")).expect("address");
    let clients: Vec<std::os::fd::OwnedFd> = (0..40)
        .map(|_| {
            let client = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None);
            let client = client.expect("socket");
            connect(client.as_raw_fd(), &address).expect("connect");
            client
        })
        .collect();
    assert_eq!(t.status(&container.id), "created");
    t.call(["start", &container.id]).ok();
    container.wait_for_output("up");
    drop(clients);
}

fn full_queue_of_the_pidfd_socket(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sleep", "1000"]);
    let (running, _held) = hanging_create(t, &bundle);
    let mut command = t.floe();
    command.args(["start", &bundle.id]);
    let start = t.spawn(command);
    running.wait().exits(1).refused(&["--pidfd-socket", "nobody accepts"]);
    start.wait().exits(1);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn notify_directory_is_read_only_and_private(t: &mut Test) {
    let path = t.path("notify");
    let _socket = sockets::datagram_socket(&path);
    // The state directory is on a shared mount, and the container's mounts are to be shared, too.
    let state = t.root.clone();
    t.mount_tmpfs(&state, MsFlags::empty());
    t.make_shared(&state);
    let mut bundle = t.bundle();
    bundle.set("/linux/rootfsPropagation", json!("rshared"));
    let script = "touch /run/notify/file 2>/dev/null || echo refused; floe-probe notify READY=1; \
        grep ' /run/notify ' /proc/self/mountinfo";
    bundle.args(["sh", "-c", script]).write();
    let mut command = t.floe();
    command.args(["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.id).env("NOTIFY_SOCKET", &path);
    let text = t.run(command).ok().stdout;
    assert!(text.starts_with("refused\nsent\n"), "{text}");
    let mounts = read("/proc/self/mountinfo");
    let here = format!(" {} ", state.display());
    let line = mounts.lines().find(|line| line.contains(&here)).expect("the state directory's mount");
    let group = line.split(' ').find_map(|word| word.strip_prefix("shared:")).expect("it is shared");
    // rootfsPropagation may have given it a group of its own.
    assert!(!text.contains(&format!(":{group} ")), "{text} is of the group of {line}");
}

/// `delete --force` without state.json: what config.json names is removed if nobody else has it.
fn lost_state(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["true"]);
    let container = t.start(&bundle);
    t.wait_status(&container.id, "stopped");
    std::fs::remove_file(t.root.join(&container.id).join("state.json")).expect("remove");
    assert!(container.cgroup().exists(), "nothing is to be cleaned up");
    t.call(["delete", "--force", &container.id]).quiet();
    assert_eq!(t.leftovers(), [""; 0]);

    // The cgroup is another container's by now.
    let mut first = t.bundle();
    first.args(["true"]);
    let lost = t.start(&first);
    t.wait_status(&lost.id, "stopped");
    std::fs::remove_file(t.root.join(&lost.id).join("state.json")).expect("remove");
    let mut second = t.bundle();
    second.set("/linux/cgroupsPath", first.spec["linux"]["cgroupsPath"].clone());
    let other = t.start_holding(&mut second);
    t.call(["delete", "--force", &lost.id]).quiet();
    assert_eq!(t.status(&other.id), "running");
    t.call(["kill", &other.id, "KILL"]).ok();
    t.wait_status(&other.id, "stopped");
    assert!(lost.cgroup().exists(), "the other container's cgroup was removed");
    t.call(["delete", &other.id]).ok();
}

fn lost_state_of_a_running_container(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let pid = t.pid(&container.id);
    std::fs::remove_file(t.root.join(&container.id).join("state.json")).expect("remove");
    t.call(["delete", "--force", &container.id]).quiet();
    wait_until("init's end", || !Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(t.leftovers(), [""; 0]);
}

fn image_files_are_looked_at_before_they_are_opened(t: &mut Test) {
    // Devices of an image may act when they are opened; whoever waits for a pipe's reader tells.
    for name in ["etc/passwd", "dev/null", "dev/pts/ptmx"] {
        let mut bundle = t.bundle();
        for mount in ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"] {
            bundle.remove_mount(mount);
        }
        bundle.remove("/linux/maskedPaths").set("/process/terminal", json!(name.ends_with("ptmx")));
        std::fs::create_dir(bundle.rootfs("dev/pts")).expect("mkdir");
        let pipe = bundle.rootfs(name);
        let _ = std::fs::remove_file(&pipe);
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o666)).expect("mkfifo");
        let told = t.path("told");
        let mut writer = Command::new("/bin/sh");
        writer.arg("-c").arg(format!("exec 3> {}; echo opened > {}", pipe.display(), told.display()));
        t.helper(writer);
        std::thread::sleep(Duration::from_millis(100));
        bundle.args(["true"]);
        let output = t.run_bundle(&bundle);
        std::thread::sleep(Duration::from_millis(100));
        assert!(!told.exists(), "{name} was opened: {output:?}");
        assert_eq!(output.code, i32::from(name.ends_with("ptmx")), "{name}: {output:?}");
    }
}

/// `floe run` in a mount namespace of its own, after `script`.
fn run_after(t: &mut Test, script: &str, bundle: &Bundle) -> Output {
    bundle.write();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("{script} && exec \"$@\""), "sh"]);
    command.arg(&environment::get().floe).arg("--root").arg(&t.root);
    command.args(["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    t.run(command)
}

fn sysctl_goes_to_procfs_only(t: &mut Test) {
    // CVE-2025-52881: the write is redirected by a mount over the file or a directory above it.
    let victim = t.path("victim");
    std::fs::create_dir(&victim).expect("mkdir");
    std::fs::write(victim.join("msgmax"), "untouched").expect("write");
    let mut bundle = t.bundle();
    bundle.set("/linux/sysctl", json!({"kernel.msgmax": "4242"})).args(["true"]);
    let mount = format!("mount --bind {} /proc/sys/kernel", victim.display());
    run_after(t, &mount, &bundle).exits(1).refused(&["sysctl"]);
    assert_eq!(read(victim.join("msgmax")), "untouched");
}

fn procfs_of_the_host_is_verified(t: &mut Test) {
    // CVE-2019-16884: what is written to /proc must reach the kernel.
    let mut bundle = t.bundle();
    bundle.args(["true"]);
    for mount in ["mount -t tmpfs tmpfs /proc", "mount --bind /proc/sys /proc"] {
        run_after(t, mount, &bundle).exits(1).refused(&["/proc"]);
        assert_eq!(t.leftovers(), [""; 0]);
    }
}

fn init_is_not_dumpable(t: &mut Test) {
    // The kernel gives the files of such a process to root (proc(5), /proc/PID), and nobody else may trace it.
    let owner = |pid: i32| std::fs::metadata(format!("/proc/{pid}/environ")).expect("stat").uid();
    let mut bundle = t.bundle();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})).args(["/bin/floe-probe", "hold"]);
    let container = t.create(&bundle);
    let pid = t.pid(&container.id);
    assert_eq!(owner(pid), 0);
    t.call(["start", &container.id]).ok();
    container.wait_for_output("ready");
    assert_eq!(owner(pid), 1000);

    // Before it has joined anything, as root of a user namespace.
    let out = t.path("out");
    let mut bundle = t.bundle();
    bundle.user_namespace(100_000, 65536).args(["true"]);
    let script = format!(
        "pid=$(sed -n 's/.*\"pid\":\\([0-9]*\\).*/\\1/p'); stat -c %u /proc/$pid/environ > {}",
        out.display()
    );
    bundle.push("/hooks/createRuntime", shell_hook(&script));
    t.run_bundle(&bundle).ok();
    assert_eq!(read(&out), "0\n");
}

fn huge_bundle(t: &mut Test) {
    // CVE-2021-43784: lengths that overflow a message between the processes.
    let mut bundle = t.bundle();
    for number in 0..400 {
        bundle.mount(&format!("/data/{}/{number}", "long/".repeat(40)), "tmpfs", "tmpfs", &["size=4k"]);
    }
    let annotations: serde_json::Map<String, Value> =
        (0..20_000).map(|number| (format!("org.example.{number}"), json!("x".repeat(100)))).collect();
    bundle.set("/annotations", Value::Object(annotations));
    assert_eq!(t.sh(&mut bundle, "grep -c ' /data/long' /proc/self/mountinfo"), "400");

    let long = "x".repeat(1 << 20);
    let mut bundle = t.bundle();
    bundle.args(["true", &long]);
    t.run_bundle(&bundle).exits(255).refused(&["E2BIG"]);
    let mut bundle = t.bundle();
    bundle.args([&format!("/{long}")]);
    t.run_bundle(&bundle).exits(1).refused(&["exec"]);
    let mut bundle = t.bundle();
    bundle.mount(&format!("/{long}"), "tmpfs", "tmpfs", &[]).args(["true"]);
    t.run_bundle(&bundle).exits(1).refused(&["mount"]);
    let mut bundle = t.bundle();
    bundle.set("/process/env", json!([format!("LONG={long}")])).set("/hostname", json!(long)).args(["true"]);
    t.run_bundle(&bundle).exits(1).refused(&["hostname"]);
    assert_eq!(t.leftovers(), [""; 0]);
}
