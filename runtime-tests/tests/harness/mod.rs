//! A test's tools: bundles, the binary under test, and what must be gone afterwards.
//!
//! Every command has a deadline. Standard output and error are files, because a pipe stays open as long as the
//! container that inherited it.

pub(crate) mod environment;
mod isolation;
mod other_kernel;
mod outcome;
pub(crate) mod runner;
pub(crate) mod sockets;
pub(crate) mod subject;

pub(crate) use isolation::remove_cgroup_tree;
pub(crate) use outcome::skip;
pub(crate) use serde_json::{Value, json};

pub(crate) use nix::mount::{MsFlags, mount};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Far beyond what any command needs, even on a busy machine, or on one that is emulated.
pub(crate) fn timeout() -> Duration {
    Duration::from_secs(if environment::get().emulated { 300 } else { 30 })
}

/// What Podman gives to any container.
pub(crate) const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Where systemd puts the scopes of containers that name no slice.
const SYSTEM_SLICE: &str = "system.slice";

/// Programs of busybox that tests call by name.
const APPLETS: &str = "sh true false cat echo ls mount umount stat touch rm mkdir mknod sleep kill id hostname dd env \
    head grep ps ln readlink chmod chown test printf wc sync dmesg ip sed tr df find nproc pwd mv cp od seq xargs \
    killall unshare";

pub(crate) type Body = Box<dyn Fn(&mut Test) + Send + Sync>;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) body: Body,
    /// Runs after all others, with nothing beside it.
    pub(crate) alone: bool,
    /// Why this is not run unless asked for (`--ignored`).
    pub(crate) ignored: Option<String>,
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, body: impl Fn(&mut Test) + Send + Sync + 'static) -> Case {
        Case { name: name.into(), body: Box::new(body), alone: false, ignored: None }
    }
}

/// Names test functions of a module: `cases![hostname, umask]` → `process::hostname`, ….
#[macro_export]
macro_rules! cases {
    ($($function:ident),* $(,)?) => {
        vec![$({
            let module = module_path!().rsplit("::").next().expect("module");
            $crate::harness::Case::new(format!("{module}::{}", stringify!($function)), $function)
        }),*]
    };
}

/// One running test: its directory, its `--root`, its containers.
pub(crate) struct Test {
    pub(crate) dir: PathBuf,
    pub(crate) root: PathBuf,
    prefix: String,
    containers: u32,
    outputs: u32,
    helpers: Vec<Child>,
    own_mounts: Vec<PathBuf>,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    what: String,
}

impl Output {
    #[track_caller]
    pub(crate) fn ok(self) -> Output {
        assert!(
            self.code == 0,
            "{}: exit {}\nstdout: {}\nstderr: {}",
            self.what,
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// A success is silent.
    #[track_caller]
    pub(crate) fn quiet(self) -> Output {
        let output = self.ok();
        assert!(output.stderr.is_empty(), "{}: stderr: {}", output.what, output.stderr);
        output
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Output {
        assert!(
            self.code == code,
            "{}: exit {}, not {code}\nstdout: {}\nstderr: {}",
            self.what,
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output without the last line feed.
    pub(crate) fn text(&self) -> &str {
        self.stdout.trim_end()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{}: {e}: {}", self.what, self.stdout))
    }

    /// The rule for errors: status 1, one line on standard error that names what is asked for, nothing else said.
    #[track_caller]
    pub(crate) fn refused(self, words: &[&str]) -> Output {
        assert!(self.code != 0, "{}: no error\nstdout: {}\nstderr: {}", self.what, self.stdout, self.stderr);
        // A peer (FLOE_BIN=runc) may warn as well; floe may not.
        let peer = environment::get().peer;
        let lines = self.stderr.lines().filter(|line| !(peer && line.contains("level=warning"))).count();
        assert!(lines == 1, "{}: {lines} lines on stderr: {}", self.what, self.stderr);
        for word in words {
            assert!(
                self.stderr.to_lowercase().contains(&word.to_lowercase()),
                "{}: `{word}` is not in: {}",
                self.what,
                self.stderr
            );
        }
        self
    }
}

impl Test {
    pub(crate) fn new(name: &str) -> Test {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Short, because paths of sockets below it have at most 107 bytes.
        let name = name.rsplit("::").next().unwrap_or(name);
        let word: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(16).collect();
        let prefix = format!("t{number}-{word}");
        let dir = environment::get().work.join(&prefix);
        let root = dir.join("state");
        fs::create_dir(&dir).expect("test directory");
        fs::create_dir(&root).expect("state directory");
        Test { dir, root, prefix, containers: 0, outputs: 0, helpers: Vec::new(), own_mounts: Vec::new() }
    }

    /// A new container id.
    pub(crate) fn id(&mut self) -> String {
        self.containers += 1;
        format!("{}-{}", self.prefix, self.containers)
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.join(name)
    }

    /// The binary under test with `--root`, ready for more arguments; only PATH in its environment.
    pub(crate) fn floe(&self) -> Command {
        let mut command = Command::new(&environment::get().floe);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.current_dir(&self.dir).arg("--root").arg(&self.root);
        command
    }

    /// `floe` with the options that making the bundle's container needs.
    pub(crate) fn floe_for(&self, bundle: &Bundle) -> Command {
        let mut command = self.floe();
        if bundle.driver == Driver::Systemd {
            command.arg("--systemd-cgroup");
        }
        command
    }

    /// Runs `floe ARGS` to its end.
    pub(crate) fn call<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> Output {
        let mut command = self.floe();
        command.args(args);
        self.run(command)
    }

    /// Runs a command to its end, or kills it at the deadline and fails.
    pub(crate) fn run(&mut self, command: Command) -> Output {
        self.spawn(command).wait()
    }

    pub(crate) fn spawn(&mut self, mut command: Command) -> Running {
        self.outputs += 1;
        let stdout = self.path(format!("stdout.{}", self.outputs));
        let stderr = self.path(format!("stderr.{}", self.outputs));
        let what = format!("{command:?}");
        command.stdin(Stdio::null());
        self.spawn_with(command, stdout, stderr, what)
    }

    fn spawn_with(
        &mut self,
        mut command: Command,
        stdout: PathBuf,
        stderr: PathBuf,
        what: String,
    ) -> Running {
        command.stdout(fs::File::create(&stdout).expect("stdout file"));
        command.stderr(fs::File::create(&stderr).expect("stderr file"));
        command.process_group(0);
        let child = command.spawn().unwrap_or_else(|e| panic!("{what}: {e}"));
        Running { child: Some(child), stdout, stderr, what }
    }

    /// Runs a command to its end with nothing but /dev/null open; its exit status. For a command whose standard
    /// streams become a container's that is to be dumped.
    pub(crate) fn run_silent(&mut self, mut command: Command) -> i32 {
        let what = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let child = command.spawn().unwrap_or_else(|e| panic!("{what}: {e}"));
        let none = PathBuf::new();
        Running { child: Some(child), stdout: none.clone(), stderr: none, what }.wait().code
    }

    /// A process that lives as long as the test.
    pub(crate) fn helper(&mut self, mut command: Command) -> u32 {
        command.stdin(Stdio::null());
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let pid = child.id();
        self.helpers.push(child);
        pid
    }

    /// A network namespace with a loopback interface, for as long as the test runs.
    pub(crate) fn network(&mut self) -> PathBuf {
        let mut holder = Command::new("unshare");
        holder.args(["--net", "sh", "-c", "ip link set lo up && exec sleep 1000"]);
        let holder = self.helper(holder);
        wait_until("a network namespace", || read(format!("/proc/{holder}/comm")) == "sleep\n");
        PathBuf::from(format!("/proc/{holder}/ns/net"))
    }

    /// A tmpfs outside the container, for as long as the test runs.
    pub(crate) fn mount_tmpfs(&mut self, path: &Path, flags: MsFlags) {
        fs::create_dir_all(path).expect("mkdir");
        mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some("mode=755")).expect("mount tmpfs");
        self.own_mounts.push(path.to_owned());
    }

    /// A writable view of a tree at an existing directory, for as long as the test runs. What is written stays in
    /// memory.
    pub(crate) fn mount_overlay(&mut self, lower: &Path, target: &Path) {
        let name = target.display().to_string().replace('/', "-");
        let (upper, work) = (self.path(format!("upper{name}")), self.path(format!("work{name}")));
        fs::create_dir(&upper).expect("mkdir");
        fs::create_dir(&work).expect("mkdir");
        let options =
            format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        mount(Some("overlay"), target, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .expect("mount overlay");
        self.own_mounts.push(target.to_owned());
    }

    /// A view of the tree `source` in which the host's ids from 0 are those from `first`, for as long as the test runs.
    pub(crate) fn mount_idmapped(&mut self, source: &Path, target: &Path, first: u32) {
        fs::create_dir(target).expect("mkdir");
        let mut command = Command::new("mount");
        command.args(["--bind", "--options", &format!("X-mount.idmap=b:0:{first}:65536")]);
        command.args([source, target]);
        self.run(command).ok();
        self.own_mounts.push(target.to_owned());
    }

    pub(crate) fn make_shared(&self, path: &Path) {
        let none: Option<&str> = None;
        mount(none, path, none, MsFlags::MS_SHARED, none).expect("make shared");
    }

    pub(crate) fn bundle(&mut self) -> Bundle {
        let number = self.containers + 1;
        self.bundle_named(&format!("bundle-{number}"))
    }

    pub(crate) fn bundle_named(&mut self, name: &str) -> Bundle {
        let id = self.id();
        Bundle::new(self.path(name), id)
    }

    /// `floe run` of the bundle, attached.
    pub(crate) fn run_bundle(&mut self, bundle: &Bundle) -> Output {
        bundle.write();
        let mut command = self.floe_for(bundle);
        command.arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
        self.run(command)
    }

    /// Runs a shell script in the bundle and returns its trimmed standard output.
    #[track_caller]
    pub(crate) fn sh(&mut self, bundle: &mut Bundle, script: &str) -> String {
        bundle.args(["sh", "-c", script]);
        self.run_bundle(bundle).ok().text().to_owned()
    }

    /// Runs the probe in the bundle.
    #[track_caller]
    pub(crate) fn facts(&mut self, bundle: &mut Bundle) -> Value {
        bundle.args(["/bin/floe-probe", "facts"]);
        self.run_bundle(bundle).ok().json()
    }

    /// `facts` with a new id: the first run has used the bundle's.
    #[track_caller]
    pub(crate) fn facts_again(&mut self, bundle: &mut Bundle) -> Value {
        bundle.id = self.id();
        self.facts(bundle)
    }

    /// `floe create`, not yet started. Its output file is what the container writes to.
    #[track_caller]
    pub(crate) fn create(&mut self, bundle: &Bundle) -> Container {
        self.create_with(bundle, &[])
    }

    #[track_caller]
    pub(crate) fn create_with(&mut self, bundle: &Bundle, options: &[&str]) -> Container {
        bundle.write();
        let mut command = self.floe_for(bundle);
        command.arg("create").args(options).arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
        let mut running = self.spawn(command);
        running.finish().ok();
        Container { id: bundle.id.clone(), stdout: running.stdout.clone(), cgroup: bundle.cgroup() }
    }

    /// `create` and `start`.
    #[track_caller]
    pub(crate) fn start(&mut self, bundle: &Bundle) -> Container {
        let container = self.create(bundle);
        self.call(["start", &container.id]).ok();
        container
    }

    /// A container whose first process runs until it is killed.
    #[track_caller]
    pub(crate) fn start_holding(&mut self, bundle: &mut Bundle) -> Container {
        bundle.args(["/bin/floe-probe", "hold"]);
        let container = self.start(bundle);
        container.wait_for_output("ready");
        container
    }

    pub(crate) fn status(&mut self, id: &str) -> String {
        let state = self.call(["state", id]).ok().json();
        state["status"].as_str().expect("status").to_owned()
    }

    pub(crate) fn pid(&mut self, id: &str) -> i32 {
        let state = self.call(["state", id]).ok().json();
        state["pid"].as_i64().expect("pid") as i32
    }

    #[track_caller]
    pub(crate) fn wait_status(&mut self, id: &str, status: &str) {
        let deadline = Instant::now() + timeout();
        loop {
            let now = self.status(id);
            if now == status {
                return;
            }
            assert!(Instant::now() < deadline, "{id} is {now}, not {status}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends everything the test started; what a correct runtime would not have left is returned.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        for mut helper in self.helpers.drain(..) {
            let _ = helper.kill();
            let _ = helper.wait();
        }
        for path in self.own_mounts.drain(..).rev() {
            let _ = nix::mount::umount2(&path, nix::mount::MntFlags::MNT_DETACH);
        }
        let mut leaks = Vec::new();
        for id in self.known_ids() {
            let output = self.call(["delete", "--force", &id]);
            if output.code != 0 {
                leaks.push(format!("{id} (delete --force: {})", output.stderr.trim()));
            }
        }
        leaks.extend(self.leftovers());
        let prefix = format!("{}-", self.prefix);
        let base = Path::new("/sys/fs/cgroup").join(&environment::get().cgroup);
        for name in cgroup_children(&environment::get().cgroup).iter().filter(|n| n.starts_with(&prefix)) {
            let _ = fs::write(base.join(name).join("cgroup.kill"), "1");
            std::thread::sleep(Duration::from_millis(50));
            remove_cgroup_tree(&base.join(name));
        }
        for mount in mounts_below(&self.dir).iter().rev() {
            let _ = nix::mount::umount2(mount.as_path(), nix::mount::MntFlags::MNT_DETACH);
        }
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            leaks.push(format!("{}: {error}", self.dir.display()));
        }
        leaks
    }

    fn known_ids(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
        // crun keeps a directory of its own beside the containers, and floe its compiled seccomp programs.
        names.filter(|name| !name.starts_with(if environment::get().peer { '.' } else { '@' })).collect()
    }

    /// Traces of this test's containers: cgroups, mounts, state directories. Waits a little: cgroups empty late.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let prefix = format!("{}-", self.prefix);
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            let cgroups = cgroup_children(&environment::get().cgroup);
            let scopes = cgroup_children(SYSTEM_SLICE);
            let mut found: Vec<String> = cgroups
                .iter()
                .chain(&scopes)
                .filter(|name| name.strip_prefix("floe-").unwrap_or(name).starts_with(&prefix))
                .map(|name| format!("cgroup {name}"))
                .collect();
            let mounts = mounts_below(&self.dir);
            let mounts = mounts.iter().filter(|mount| !self.own_mounts.contains(mount));
            found.extend(mounts.map(|m| format!("mount {}", m.display())));
            found.extend(self.known_ids().iter().map(|id| format!("state {id}")));
            if found.is_empty() || Instant::now() > deadline {
                return found;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A command that was started.
pub(crate) struct Running {
    child: Option<Child>,
    pub(crate) stdout: PathBuf,
    pub(crate) stderr: PathBuf,
    what: String,
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        self.child.as_ref().expect("running").id() as i32
    }

    pub(crate) fn signal(&self, signal: i32) {
        let signal = nix::sys::signal::Signal::try_from(signal).expect("signal");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).expect("kill");
    }

    #[track_caller]
    pub(crate) fn wait(mut self) -> Output {
        self.finish()
    }

    #[track_caller]
    pub(crate) fn wait_for_output(&self, text: &str) {
        wait_for_text(&self.stdout, text);
    }

    #[track_caller]
    pub(crate) fn finish(&mut self) -> Output {
        let mut child = self.child.take().expect("not yet waited for");
        let deadline = Instant::now() + timeout();
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = child.try_wait().expect("wait") {
                break status;
            }
            if Instant::now() > deadline {
                kill_group(&mut child);
                panic!("{}: still running after {:?}\n{}", self.what, timeout(), read(&self.stderr));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        };
        Output {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            what: self.what.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            kill_group(child);
        }
    }
}

fn kill_group(child: &mut Child) {
    let group = nix::unistd::Pid::from_raw(child.id() as i32);
    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    let _ = child.wait();
}

/// A container that `create` made.
pub(crate) struct Container {
    pub(crate) id: String,
    stdout: PathBuf,
    cgroup: PathBuf,
}

impl Container {
    pub(crate) fn output(&self) -> String {
        read(&self.stdout)
    }

    /// Waits until the container has written `text`.
    #[track_caller]
    pub(crate) fn wait_for_output(&self, text: &str) {
        wait_for_text(&self.stdout, text);
    }

    pub(crate) fn cgroup(&self) -> &Path {
        &self.cgroup
    }
}

pub(crate) fn cgroup_dir(id: &str) -> PathBuf {
    Path::new("/sys/fs/cgroup").join(&environment::get().cgroup).join(id)
}

#[track_caller]
pub(crate) fn wait_for_text(path: &Path, text: &str) {
    let deadline = Instant::now() + timeout();
    loop {
        let now = read(path);
        if now.contains(text) {
            return;
        }
        assert!(Instant::now() < deadline, "{}: no `{text}` in: {now}", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Calls `done` until it is true.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + timeout();
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {:?}", timeout());
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Who makes a container's cgroup.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    Cgroupfs,
    Systemd,
}

/// A directory with `rootfs` and, once written, `config.json`.
pub(crate) struct Bundle {
    pub(crate) dir: PathBuf,
    pub(crate) id: String,
    pub(crate) spec: Value,
    driver: Driver,
}

impl Bundle {
    fn new(dir: PathBuf, id: String) -> Bundle {
        let rootfs = dir.join("rootfs");
        let environment = environment::get();
        for name in ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "var", "data"] {
            fs::create_dir_all(rootfs.join(name)).expect("mkdir");
        }
        fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("chmod");
        fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")
            .expect("passwd");
        fs::write(rootfs.join("etc/group"), "root:x:0:\nuser:x:1000:\n").expect("group");
        fs::hard_link(&environment.busybox, rootfs.join("bin/busybox")).expect("link");
        fs::hard_link(&environment.probe, rootfs.join("bin/floe-probe")).expect("link");
        for applet in APPLETS.split_whitespace() {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(applet)).expect("symlink");
        }
        let spec = base_spec(&format!("/{}/{id}", environment.cgroup));
        Bundle { dir, id, spec, driver: Driver::Cgroupfs }
    }

    /// Its cgroup will be the scope `floe-ID.scope` in `slice`, systemd's own choice if that is empty.
    pub(crate) fn in_scope(&mut self, slice: &str) -> &mut Bundle {
        need_systemd();
        self.driver = Driver::Systemd;
        let path = format!("{slice}:floe:{}", self.id);
        self.set("/linux/cgroupsPath", json!(path))
    }

    /// The unit of a bundle that is `in_scope`.
    pub(crate) fn unit(&self) -> String {
        format!("floe-{}.scope", self.id)
    }

    /// Where its container is unless config.json says something else.
    pub(crate) fn cgroup(&self) -> PathBuf {
        match self.driver {
            Driver::Cgroupfs => cgroup_dir(&self.id),
            Driver::Systemd => Path::new("/sys/fs/cgroup").join(SYSTEM_SLICE).join(self.unit()),
        }
    }

    pub(crate) fn rootfs(&self, path: &str) -> PathBuf {
        self.dir.join("rootfs").join(path)
    }

    pub(crate) fn write(&self) {
        let text = serde_json::to_vec_pretty(&self.spec).expect("serialise");
        fs::write(self.dir.join("config.json"), text).expect("write config.json");
    }

    pub(crate) fn args<const N: usize>(&mut self, args: [&str; N]) -> &mut Bundle {
        self.set("/process/args", json!(args.as_slice()))
    }

    /// Sets the value at a JSON pointer; objects on the way are made.
    pub(crate) fn set(&mut self, pointer: &str, value: Value) -> &mut Bundle {
        *self.at(pointer) = value;
        self
    }

    /// Appends to the array at a JSON pointer.
    pub(crate) fn push(&mut self, pointer: &str, value: Value) -> &mut Bundle {
        let list = self.at(pointer);
        if list.is_null() {
            *list = json!([]);
        }
        list.as_array_mut().expect("array").push(value);
        self
    }

    pub(crate) fn remove(&mut self, pointer: &str) -> &mut Bundle {
        let (parent, key) = pointer.rsplit_once('/').expect("pointer");
        if let Some(object) = self.spec.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.remove(key);
        }
        self
    }

    fn at(&mut self, pointer: &str) -> &mut Value {
        let mut place = &mut self.spec;
        for key in pointer.split('/').skip(1) {
            if place.is_null() {
                *place = json!({});
            }
            place = match place {
                Value::Array(list) => &mut list[key.parse::<usize>().expect("index")],
                other => &mut other[key],
            };
        }
        place
    }

    pub(crate) fn mount(
        &mut self,
        destination: &str,
        kind: &str,
        source: &str,
        options: &[&str],
    ) -> &mut Bundle {
        let entry = json!({"destination": destination, "type": kind, "source": source, "options": options});
        self.push("/mounts", entry)
    }

    pub(crate) fn bind(&mut self, source: &Path, destination: &str, options: &[&str]) -> &mut Bundle {
        self.mount(destination, "bind", &source.display().to_string(), options)
    }

    pub(crate) fn remove_mount(&mut self, destination: &str) -> &mut Bundle {
        let mounts = self.spec["mounts"].as_array_mut().expect("mounts");
        mounts.retain(|mount| mount["destination"] != destination);
        self
    }

    pub(crate) fn without_namespace(&mut self, kind: &str) -> &mut Bundle {
        let namespaces = self.spec["linux"]["namespaces"].as_array_mut().expect("namespaces");
        namespaces.retain(|namespace| namespace["type"] != kind);
        self
    }

    pub(crate) fn namespace(&mut self, kind: &str, path: Option<&Path>) -> &mut Bundle {
        self.without_namespace(kind);
        match path {
            Some(path) => self.push("/linux/namespaces", json!({"type": kind, "path": path})),
            None => self.push("/linux/namespaces", json!({"type": kind})),
        }
    }

    /// Gives the process these capabilities in all sets but the ambient and inheritable.
    pub(crate) fn capabilities(&mut self, names: &[&str]) -> &mut Bundle {
        for set in ["bounding", "effective", "permitted"] {
            self.set(&format!("/process/capabilities/{set}"), json!(names));
        }
        self
    }

    /// A user namespace in which container ids 0.. are `first`.. outside; the root file system is made to fit.
    pub(crate) fn user_namespace(&mut self, first: u32, count: u32) -> &mut Bundle {
        self.namespace("user", None);
        let mapping = json!([{"containerID": 0, "hostID": first, "size": count}]);
        self.set("/linux/uidMappings", mapping.clone()).set("/linux/gidMappings", mapping);
        // The programs are shared by all tests and readable by everybody; only the directories are the container's.
        let own = |path: &Path| std::os::unix::fs::lchown(path, Some(first), Some(first)).expect("chown");
        own(&self.rootfs(""));
        for name in ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "var", "data"] {
            own(&self.rootfs(name));
        }
        self
    }
}

/// What `spec` of a runtime writes, without a terminal, writable, in a cgroup of this run.
fn base_spec(cgroup: &str) -> Value {
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["true"],
            "env": ["PATH=/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities
            },
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs"},
        "hostname": "floe-test",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
                "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                {"type": "cgroup"}
            ],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

pub(crate) fn need_systemd() {
    if !Path::new("/run/systemd/private").exists() {
        skip("systemd is not process 1 here");
    }
}

/// Skips unless containers can have this cgroup controller.
pub(crate) fn need_controller(name: &str) {
    let environment = environment::get();
    if !environment.controllers.iter().any(|c| c == name) {
        skip(format!("cgroup v2 has no {name} controller here"));
    }
}

/// Skips on a kernel before `major.minor`, which lacks what the test needs.
pub(crate) fn need_kernel(major: u32, minor: u32, what: &str) {
    if !is_kernel(major, minor) {
        skip(format!("needs Linux {major}.{minor}: {what}"));
    }
}

/// Whether the kernel is `major.minor` or newer.
fn is_kernel(major: u32, minor: u32) -> bool {
    let release = read("/proc/sys/kernel/osrelease");
    let mut numbers = release.split(['.', '-', '+']).map(|word| word.trim().parse().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

/// The tests' files are on tmpfs.
pub(crate) fn need_idmapped_tmpfs() {
    if !has_idmapped_tmpfs() {
        skip("needs Linux 6.3: tmpfs mounted idmapped");
    }
}

pub(crate) fn has_idmapped_tmpfs() -> bool {
    is_kernel(6, 3)
}

/// Skips where the binary under test is another runtime, which has no such thing.
pub(crate) fn needs_floe() {
    if environment::get().peer {
        skip("only floe has this");
    }
}

/// The namespace that `/proc/PID/ns/KIND` of a process stands for.
pub(crate) fn namespace_of(pid: impl std::fmt::Display, kind: &str) -> String {
    let link = format!("/proc/{pid}/ns/{kind}");
    fs::read_link(&link).unwrap_or_else(|e| panic!("{link}: {e}")).display().to_string()
}

pub(crate) fn cgroup_children(name: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(Path::new("/sys/fs/cgroup").join(name)) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Mount points below a directory, outermost first.
fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    read("/proc/self/mountinfo")
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from)
        .filter(|path| path.starts_with(dir))
        .collect()
}

/// The mountinfo line of a mount point, the topmost if several lie on each other.
pub(crate) fn mount_line(facts: &Value, destination: &str) -> String {
    let text = facts["mountinfo"].as_str().expect("mountinfo");
    let found = text.lines().rfind(|line| line.split(' ').nth(4) == Some(destination));
    found.unwrap_or_else(|| panic!("{destination} is not mounted:\n{text}")).to_owned()
}

/// Per-mount options, propagation fields, file system type and superblock options of a mountinfo line.
pub(crate) struct MountFields {
    pub(crate) options: Vec<String>,
    pub(crate) propagation: Vec<String>,
    pub(crate) kind: String,
    pub(crate) super_options: Vec<String>,
}

pub(crate) fn mount_fields(facts: &Value, destination: &str) -> MountFields {
    let line = mount_line(facts, destination);
    let (mount, superblock) = line.split_once(" - ").expect("separator");
    let mount: Vec<&str> = mount.split(' ').collect();
    let superblock: Vec<&str> = superblock.split(' ').collect();
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    MountFields {
        options: list(mount[5]),
        propagation: mount[6..].iter().map(|s| s.to_string()).collect(),
        kind: superblock[0].to_owned(),
        super_options: list(superblock[2]),
    }
}
