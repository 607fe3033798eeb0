//! What runs inside the new container, in order, from clone3 to execve.
//!
//! This process shares nothing with floe but a socket. It may not print, and whatever it opened is
//! close-on-exec. `run` is the list of steps; each module has one kind of step. Until it becomes the
//! container's user it is not dumpable, so that no process of the container can look into it.

pub(crate) mod devices;
pub(crate) mod mounts;
mod paths;
pub(crate) mod process;
pub(crate) mod protocol;

use crate::config::{CLONE_NEWTIME, Config, Namespace};
use crate::hooks::{self, HookOutput, HookState};
use crate::{Status, seccomp};
use checkpoint::Nursery;
use mounts::Place;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::accept4;
use nix::sys::stat::Mode;
use process::{Launch, Prepared, Program};
use protocol::{Channel, During, Failure, Inherited, InitResult, Message, Step};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use sys::Errno;
use sys::clone::{CloneArgs, spawn};
use sys::mount::{MountAttr, attach, set_attr};
use sys::process::{prctl, setns};

/// Everything that init takes over from the process that made it. All of it was opened, compiled and
/// checked before clone3.
#[derive(Debug)]
pub(crate) struct Init<'a> {
    pub(crate) id: &'a str,
    pub(crate) config: &'a Config,
    pub(crate) channel: Channel,
    /// Descriptors of floe's, to be closed at once.
    pub(crate) inherited: Vec<Inherited>,
    pub(crate) becomes: Becomes,
    /// The pid that it must have in a pid namespace which is not its own, if any will not do.
    pub(crate) pid: Option<i32>,
    pub(crate) seccomp: Option<&'a seccomp::Program>,
    /// The host's procfs.
    pub(crate) procfs: BorrowedFd<'a>,
    /// Root file system and bind sources as detached mounts, when floe could open them.
    pub(crate) rootfs: Option<OwnedFd>,
    pub(crate) sources: Vec<Option<OwnedFd>>,
    /// Namespaces to join, in order, that floe did not join for us.
    pub(crate) join: Vec<(Namespace, OwnedFd)>,
    /// To be entered last of all, which only a child of ours can.
    pub(crate) pid_namespace: Option<OwnedFd>,
    /// Gets the terminal's master.
    pub(crate) console_socket: Option<OwnedFd>,
    /// Where `start` connects; without it the start comes over `channel`.
    pub(crate) start_socket: Option<OwnedFd>,
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) hook_output: &'a HookOutput,
    pub(crate) no_pivot: bool,
    pub(crate) new_keyring: bool,
    /// mknod(2) of devices is allowed.
    pub(crate) may_mknod: bool,
    /// `run.oci.keep_original_groups`: the caller's supplementary groups stay.
    pub(crate) keep_groups: bool,
    /// Descriptors besides stdio that the program inherits.
    pub(crate) preserved: &'a [RawFd],
    /// How many of the preserved descriptors are announced by LISTEN_FDS, and their names.
    pub(crate) listen_fds: u32,
    pub(crate) listen_fdnames: Option<OsString>,
    pub(crate) extra_env: Vec<String>,
    pub(crate) apparmor: Option<&'a str>,
}

impl Init<'_> {
    /// For the process that is cloned first; where that stays outside of the pid namespace, the pid is its successor's.
    pub(crate) fn pid_at_birth(&self) -> Option<i32> {
        self.pid.filter(|_| self.pid_namespace.is_none())
    }
}

/// What init becomes when the container is set up.
#[derive(Debug)]
pub(crate) enum Becomes {
    /// The program of config.json.
    Program,
    /// The first task of a checkpoint, as the engine builds it.
    Task(Nursery),
}

/// What is done, and what is left to the process in the container, which may be a successor of the first.
enum Ready {
    Program(Prepared),
    Task(Nursery),
}

/// Init's whole life before the program. The value is the exit status when it does not come to that.
pub(crate) fn run(mut init: Init<'_>) -> i32 {
    let ready = match prepare(&mut init) {
        Ok(ready) => ready,
        Err(failure) => return report(&init.channel, failure),
    };
    let Some(closed) = init.pid_namespace.take() else { return go_on(&init, ready) };
    // `prepare` has closed it.
    std::mem::forget(closed);
    // Others in that namespace, with CAP_SYS_PTRACE, see the root and the descriptors of whoever is in it, and do
    // what it may do. So only a process that has nothing of the host's any more, and none of its privileges,
    // goes in, as floe's child in our place.
    let successor = || {
        die_with_floe();
        match init.channel.wait() {
            Ok(()) => go_on(&init, ready),
            Err(failure) => report(&init.channel, failure),
        }
    };
    match spawn(&CloneArgs { sibling: true, pid: init.pid, ..CloneArgs::default() }, successor) {
        Ok(child) => i32::from(init.channel.send(&Message::Pid(child.pid)).is_err()),
        Err(e) => report(&init.channel, clone_failure(init.pid, e)),
    }
}

/// `pid` is the one that was asked for.
pub(crate) fn clone_failure(pid: Option<i32>, error: Errno) -> Failure {
    let object = pid.map(|pid| format!("with pid {pid}")).unwrap_or_default();
    Failure::new(Step::Clone, error.raw(), object)
}

fn prepare(init: &mut Init<'_>) -> InitResult<Ready> {
    let terminal = set_up(init)?;
    if let Some(namespace) = &init.pid_namespace {
        setns(namespace.as_fd(), libc::CLONE_NEWPID).during(Step::JoinNamespace, || "pid namespace")?;
    }
    match std::mem::replace(&mut init.becomes, Becomes::Program) {
        Becomes::Program => process::prepare(&launch(init), terminal).map(Ready::Program),
        Becomes::Task(nursery) => {
            let mut launch = launch(init);
            launch.keep.extend(nursery.descriptors());
            process::prepare_task(&launch, terminal)?;
            Ok(Ready::Task(nursery))
        }
    }
}

fn go_on(init: &Init<'_>, ready: Ready) -> i32 {
    match ready {
        Ready::Program(prepared) => become_program(init, &prepared),
        Ready::Task(nursery) => become_task(init, nursery),
    }
}

fn report(channel: &Channel, failure: Failure) -> i32 {
    let _ = channel.send(&Message::Failed(failure));
    1
}

fn launch<'a>(init: &'a Init<'_>) -> Launch<'a> {
    let mut keep = vec![init.channel.fd()];
    keep.extend(init.start_socket.as_ref().map(AsFd::as_fd));
    if !init.config.hooks.start_container.is_empty() {
        keep.extend(init.hook_output.files());
    }
    Launch {
        process: &init.config.process,
        seccomp: init.seccomp,
        procfs: init.procfs,
        preserved: init.preserved,
        keep,
        extra_env: environment(init),
        makes_cwd: true,
        keep_groups: init.keep_groups,
        personality: init.config.personality,
        memory_policy: init.config.memory_policy.as_ref(),
        apparmor: init.apparmor,
    }
}

/// Returns only with a failure, which it has told whoever waits for us.
fn become_program(init: &Init<'_>, prepared: &Prepared) -> i32 {
    let launch = launch(init);
    let wait = || -> InitResult<(Program, Option<Channel>)> {
        let program = process::settle(&launch, prepared)?;
        // From here on floe's death is seen as the end of the channel; `create` ends while we wait.
        let _ = prctl(libc::PR_SET_PDEATHSIG, 0, 0, 0);
        init.channel.ask(&Message::Ready)?;
        Ok((program, wait_for_start(init)?))
    };
    match wait() {
        Err(failure) => report(&init.channel, failure),
        Ok((program, starter)) => {
            let starter = starter.as_ref().unwrap_or(&init.channel);
            match start_hooks(init).and_then(|()| process::start(&launch, &program, starter)) {
                Ok(()) => process::NOT_EXECUTED,
                Err(failure) => report(starter, failure),
            }
        }
    }
}

/// Returns only when floe is gone or cannot be told. Dies with floe until the engine says otherwise: what it builds is
/// nobody else's to end.
fn become_task(init: &Init<'_>, nursery: Nursery) -> i32 {
    let ready = init.channel.send(&Message::Ready);
    // The channel among them: the task must not have what its image does not name.
    let kept: Vec<RawFd> = nursery.descriptors().iter().map(AsRawFd::as_raw_fd).collect();
    match ready.and_then(|()| sys::process::close_all_but(&kept)) {
        Ok(()) => nursery.enter(),
        Err(_) => return 1,
    };
    // Nobody is left to be told: the engine finds that we have ended.
    1
}

/// Everything that is done as root of the container. The result is its terminal.
fn set_up(init: &mut Init<'_>) -> InitResult<Option<OwnedFd>> {
    let config = init.config;
    die_with_floe();
    std::mem::take(&mut init.inherited).into_iter().for_each(Inherited::close);
    if config.creates(libc::CLONE_NEWUSER) {
        // For the id maps.
        init.channel.wait()?;
    }
    // Before our id changes: files in /proc/self then belong to the host's root, whom we can no longer be.
    if !config.time_offsets.is_empty() {
        new_time_namespace(init)?;
    }
    if config.has_user_namespace() {
        become_root(init)?;
    }
    // floe was so already, unless it had id maps to write through /proc/PID, which it then could not.
    let _ = prctl(libc::PR_SET_DUMPABLE, 0, 0, 0);
    for (namespace, fd) in std::mem::take(&mut init.join) {
        setns(fd.as_fd(), namespace.flag)
            .during(Step::JoinNamespace, || format!("{} namespace", namespace.name))?;
    }
    if init.new_keyring {
        new_keyring(init.id)?;
    }
    if config.creates(libc::CLONE_NEWNET) {
        loopback_up();
    }

    let root = mount_root(init)?;
    let place = Place {
        root: root.as_fd(),
        config,
        cgroup: init.cgroup.as_deref(),
        pid_namespace: init.pid_namespace.as_ref().map(AsFd::as_fd),
    };
    mounts::mount_all(&place, std::mem::take(&mut init.sources))?;
    let fills_dev = devices::fills_dev(config);
    if fills_dev {
        devices::make_all(root.as_fd(), config, init.may_mknod)?;
    }
    let null = openat(AT_FDCWD, "/dev/null", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());

    if asks_for_hooks(config) {
        init.channel.ask(&Message::RunHooks)?;
    }
    run_hooks(
        init,
        "createContainer",
        &config.hooks.create_container,
        Status::Creating,
        Some(&config.rootfs),
    )?;
    mounts::make_readonly(root.as_fd(), &config.readonly_paths)?;
    if !config.masked_paths.is_empty() {
        // Bound from the host's /dev/null, which can still be reached and which the image cannot replace.
        let null = null.during(Step::MaskedPath, || "with /dev/null")?;
        mounts::mask(root.as_fd(), &config.masked_paths, null.as_fd())?;
    }
    let terminal = match init.console_socket.take() {
        Some(socket) => {
            let size = config.process.console_size;
            Some(devices::open_console(root.as_fd(), init.procfs, socket.as_fd(), size, fills_dev)?)
        }
        None => None,
    };
    mounts::enter(root.as_fd(), init.no_pivot)?;
    // After the change of root: pivot_root(2) refuses a shared new root.
    mounts::finish(root.as_fd(), config)?;
    drop(root);

    if config.creates(libc::CLONE_NEWUTS) || config.joins(libc::CLONE_NEWUTS) {
        if let Some(name) = &config.hostname {
            sys::process::set_hostname(name).during(Step::Hostname, || name.as_str())?;
        }
        if let Some(name) = &config.domainname {
            sys::process::set_domainname(name).during(Step::Domainname, || name.as_str())?;
        }
    }
    for (file, value) in &config.sysctls {
        write_sysctl(init.procfs, file, value).during(Step::Sysctl, || format!("{file} = {value}"))?;
    }

    Ok(terminal)
}

/// Whether floe has something to do between the mounts and the change of root.
fn asks_for_hooks(config: &Config) -> bool {
    let hooks = &config.hooks;
    !(hooks.prestart.is_empty() && hooks.create_runtime.is_empty() && config.net_devices.is_empty())
}

/// Variables that only floe knows.
fn environment(init: &Init<'_>) -> Vec<String> {
    let mut env = init.extra_env.clone();
    if init.listen_fds > 0 {
        env.push(format!("LISTEN_FDS={}", init.listen_fds));
        // sd_listen_fds(3) wants the pid of the process that reads it.
        env.push(format!("LISTEN_PID={}", std::process::id()));
        if let Some(names) = &init.listen_fdnames {
            env.push(format!("LISTEN_FDNAMES={}", names.to_string_lossy()));
        }
    }
    env
}

/// The root directory as it is now.
pub(crate) fn open_root() -> sys::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(openat(AT_FDCWD, "/", flags, Mode::empty())?)
}

/// Until floe has recorded the container, its death must be ours: nobody else knows of us.
fn die_with_floe() {
    let _ = prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0, 0);
}

fn become_root(init: &Init<'_>) -> InitResult<()> {
    let become_root = || -> sys::Result<()> {
        sys::process::setresgid(0)?;
        sys::process::setresuid(0)?;
        if !init.keep_groups {
            process::set_groups(init.procfs, &[])?;
        }
        Ok(())
    };
    become_root().during(Step::UserNamespace, || "(is id 0 mapped?)")?;
    die_with_floe();
    Ok(())
}

/// Offsets can be set only while no process is in the namespace (time_namespaces(7)): it is made for our
/// children, set, and then entered.
fn new_time_namespace(init: &Init<'_>) -> InitResult<()> {
    let enter = || -> sys::Result<()> {
        sys::process::unshare(CLONE_NEWTIME)?;
        let open = |file: &str, flags| openat(init.procfs, file, flags | OFlag::O_CLOEXEC, Mode::empty());
        let mut offsets = File::from(open("self/timens_offsets", OFlag::O_WRONLY)?);
        let lines: String = init
            .config
            .time_offsets
            .iter()
            .map(|offset| format!("{} {} {}\n", offset.clock, offset.seconds, offset.nanoseconds))
            .collect();
        offsets.write_all(lines.as_bytes())?;
        setns(open("self/ns/time_for_children", OFlag::O_RDONLY)?.as_fd(), CLONE_NEWTIME)
    };
    enter().during(Step::TimeOffsets, String::new)
}

/// An anonymous keyring, so that the container does not share the caller's keys. Possession gives all
/// rights; the user keeps the right to see it, as runc sets it.
fn new_keyring(id: &str) -> InitResult<()> {
    const USER_SEARCH: u32 = 0x0008_0000;
    const POSSESSOR_ALL: u32 = 0x3f00_0000;
    let name = CString::new(format!("_ses.{id}")).unwrap_or_default();
    match sys::process::join_session_keyring(&name) {
        Ok(key) => {
            let _ = sys::process::set_key_permissions(key, POSSESSOR_ALL | USER_SEARCH);
            Ok(())
        }
        // A kernel without keys, or a filter around us that forbids them, has none to protect.
        Err(e) if [libc::ENOSYS, libc::EPERM, libc::EDQUOT].contains(&e.raw()) => Ok(()),
        Err(e) => Err(e).during(Step::Keyring, String::new),
    }
}

/// A kernel without IPv4 has no loopback to bring up.
fn loopback_up() {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    if let Ok(socket) = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None) {
        let _ = sys::process::interface_up(socket.as_fd(), "lo");
    }
}

/// Attaches the root file system where it lies, so that hooks which look there see the container's mounts.
/// Root of a user namespace may not reach that place, and without pivot_root(2) the root must be the top of
/// the namespace for `exec` to find it: then it goes over `/`, which is always there.
fn mount_root(init: &mut Init<'_>) -> InitResult<OwnedFd> {
    let slash = open_root().during(Step::Rootfs, || "/")?;
    // Nothing that happens here may be seen on the host.
    let attr = MountAttr { propagation: libc::MS_SLAVE, ..MountAttr::default() };
    set_attr(slash.as_fd(), true, &attr).during(Step::Propagation, || "/")?;
    let rootfs = init.config.rootfs.display();
    let tree = match init.rootfs.take() {
        Some(tree) => tree,
        None => mounts::open_rootfs(init.config).during(Step::Rootfs, || rootfs.to_string())?,
    };
    let place = match init.no_pivot {
        true => slash,
        false => {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            openat(AT_FDCWD, &init.config.rootfs, flags, Mode::empty()).unwrap_or(slash)
        }
    };
    attach(tree.as_fd(), place.as_fd()).during(Step::Rootfs, || rootfs.to_string())?;
    Ok(tree)
}

fn write_sysctl(procfs: BorrowedFd<'_>, file: &str, value: &str) -> sys::Result<()> {
    use sys::path::{RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2};
    let resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    let file = openat2(procfs, format!("sys/{file}"), libc::O_WRONLY, 0, resolve)?;
    Ok(File::from(file).write_all(value.as_bytes())?)
}

fn run_hooks(
    init: &Init<'_>,
    kind: &str,
    list: &[crate::config::Hook],
    status: Status,
    cwd: Option<&Path>,
) -> InitResult<()> {
    if list.is_empty() {
        return Ok(());
    }
    let config = init.config;
    let state = HookState {
        oci_version: &config.oci_version,
        id: init.id,
        status,
        // As the hook's own /proc has it: these hooks run in the container's pid namespace.
        pid: std::process::id() as i32,
        bundle: &config.bundle,
        annotations: &config.annotations,
    };
    hooks::run(kind, list, init.hook_output, &state, cwd)
        .map_err(|e| Failure::new(Step::Hook, 0, e.to_string()))
}

fn start_hooks(init: &Init<'_>) -> InitResult<()> {
    run_hooks(init, "startContainer", &init.config.hooks.start_container, Status::Created, None)
}

/// Waits for `floe start` (its connection is the result), or for floe itself when it runs us.
fn wait_for_start(init: &Init<'_>) -> InitResult<Option<Channel>> {
    let Some(listener) = &init.start_socket else {
        init.channel.wait()?;
        return Ok(None);
    };
    /// Who connects is root or the container's owner; more is no use of it.
    const SILENT_LIMIT: usize = 16;
    // Whoever says nothing may not keep a `start` from being heard.
    let mut silent: Vec<Channel> = Vec::new();
    loop {
        let watched: Vec<BorrowedFd<'_>> =
            std::iter::once(listener.as_fd()).chain(silent.iter().map(Channel::fd)).collect();
        let mut fds: Vec<PollFd<'_>> =
            watched.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            other => other.during(Step::Wait, String::new)?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
        drop(fds);
        for index in (0..silent.len()).rev().filter(|index| ready[index + 1]) {
            let channel = silent.remove(index);
            // `state` connects too, to see whether we wait, and says nothing.
            if matches!(channel.receive(), Ok(Some(Message::Continue))) {
                // Whoever gets no answer has come too late: another `start` was first.
                channel.send(&Message::Continue).during(Step::Wait, String::new)?;
                return Ok(Some(channel));
            }
        }
        if ready[0] {
            match accept4(listener.as_raw_fd(), nix::sys::socket::SockFlag::SOCK_CLOEXEC) {
                Ok(fd) => silent.push(Channel::new(own(fd))),
                Err(nix::Error::EINTR | nix::Error::ECONNABORTED) => {}
                Err(e) => return Err(e).during(Step::Wait, String::new),
            }
            if silent.len() > SILENT_LIMIT {
                silent.remove(0);
            }
        }
    }
}

#[allow(unsafe_code)] // nix gives accepted sockets as numbers.
fn own(fd: i32) -> OwnedFd {
    // SAFETY: accept4 succeeded, so `fd` is a new descriptor that nobody else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Namespaces that are made by clone3. A time namespace with offsets is made by init instead.
pub(crate) fn clone_flags(config: &Config) -> u64 {
    let mut flags = config.new_namespaces;
    if !config.time_offsets.is_empty() {
        flags &= !CLONE_NEWTIME;
    }
    flags as u32 as u64
}
