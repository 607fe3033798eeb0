//! `exec`: another process in a running container.
//!
//! The namespaces are entered through init's pidfd in one setns(2), the cgroup by clone3, and the rest is
//! what init does for its own program (`init::process`).

use crate::attach::{self, Relay, Terminal};
use crate::config::{Config, Process};
use crate::create::{
    check_labels, connect_to, init_error, open_procfs, preserved, protect_binary, raise_hard_limit,
    set_oom_score_adj, write_pid_files,
};
use crate::error::{At, Error, Kind, Result};
use crate::init::protocol::{Channel, During, InheritedEnd, InitResult, Message, Step};
use crate::init::{devices, process};
use crate::seccomp::{self, Program};
use crate::state::Container;
use crate::{ExecOptions, Runtime, Status, start};
use cgroup::Cgroup;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Component;
use sys::Errno;
use sys::clone::{CloneArgs, spawn};
use sys::process::setns;

pub(crate) fn exec(rt: &Runtime, id: &str, options: &ExecOptions) -> Result<i32> {
    let container = Container::open(rt, id)?;
    match container.status()? {
        Status::Running | Status::Created => {}
        Status::Paused if options.ignore_paused => {}
        Status::Paused => {
            return Err(Error::of_kind(
                Kind::Paused,
                "cannot exec in a paused container (use --ignore-paused to override)",
            ));
        }
        _ => return Err(Error::of_kind(Kind::NotRunning, "cannot exec in a stopped container")),
    }
    let Some((init_pid, init)) = container.init() else {
        return Err(Error::of_kind(Kind::NotRunning, "cannot exec in a stopped container"));
    };
    let mut config = container.config()?;
    config.process = tenant_process(rt, &config, options)?;
    if config.process.terminal && options.detach && options.console_socket.is_none() {
        return Err(Error::new("--tty: a detached process needs --console-socket"));
    }
    if !config.process.terminal && options.console_socket.is_some() {
        return Err(Error::new("--console-socket: the process has no terminal; use --tty"));
    }
    let apparmor = check_labels(&config)?;
    let seccomp = config.seccomp.as_ref().map(|profile| seccomp::compile(profile, false)).transpose()?;
    let procfs = open_procfs()?;
    let cgroup = open_cgroup(&container, init_pid, options)?;
    protect_binary(rt);

    let attached = if options.detach { None } else { Some(attach::Signals::block()?) };
    let (terminal, console) = match &options.console_socket {
        Some(path) => (None, Some(connect_to(path).at(|| "--console-socket")?)),
        None if config.process.terminal => {
            Terminal::pair().map(|(ours, theirs)| (Some(ours), Some(theirs)))?
        }
        None => (None, None),
    };
    let (ours, theirs) = Channel::pair().at(|| "socketpair")?;
    if let Some(mask) = &config.process.affinity_initial {
        // Inherited by the child until it is in the container's cgroup.
        sys::sched::set_affinity(mask).at(|| "process.execCPUAffinity.initial")?;
    }
    if let Some(value) = config.process.oom_score_adj {
        // Ours, for the child to inherit: its own file is closed to other users once it is not dumpable.
        set_oom_score_adj(rt, "self", value)?;
    }
    // The child is in sight of the container's processes from its first instruction.
    let _ = sys::process::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0);
    let kinds = enter_pid_namespace(&config, init.as_fd())?;
    let tenant = Tenant {
        config: &config,
        channel: theirs,
        floes_end: Some(ours.inherited_end()),
        init: init.as_fd(),
        kinds,
        console,
        seccomp: seccomp.as_ref(),
        apparmor: apparmor.as_deref(),
        procfs: procfs.as_fd(),
        preserve_fds: preserved(options.preserve_fds, 0),
    };
    let args = CloneArgs { cgroup: cgroup.as_ref().map(AsFd::as_fd), ..CloneArgs::default() };
    let child = spawn(&args, || run(tenant)).at(|| "clone3")?;
    let run = || -> Result<Option<Relay>> {
        for limit in &config.process.rlimits {
            raise_hard_limit(child.pid, limit)?;
        }
        match ours.receive().at(|| "talk to process")? {
            Some(Message::Ready) => {}
            Some(Message::Failed(failure)) => return Err(init_error(failure)),
            Some(message) => return Err(Error::new(format!("process sent {message:?} out of turn"))),
            None => return Err(Error::new("the process ended before it was set up")),
        }
        let (pid_file, socket) = (options.pid_file.as_deref(), options.pidfd_socket.as_deref());
        write_pid_files(child.pid, child.pidfd.as_fd(), pid_file, socket)?;
        let relay = terminal.map(Terminal::relay).transpose()?;
        ours.send(&Message::Continue).at(|| "talk to process")?;
        start::await_exec(&ours, child.pid, child.pidfd.as_fd(), &container, &config)?;
        Ok(relay)
    };
    match (run(), attached) {
        (Ok(_), None) => Ok(0),
        (Ok(relay), Some(signals)) => attach::wait(&child, &signals, relay, None),
        (Err(e), _) => {
            let _ = sys::process::pidfd_send_signal(child.pidfd.as_fd(), libc::SIGKILL);
            let _ = sys::process::wait_pidfd(child.pidfd.as_fd(), true);
            Err(e)
        }
    }
}

/// The process of `--process`, or the container's own changed by the flags.
fn tenant_process(rt: &Runtime, config: &Config, options: &ExecOptions) -> Result<Process> {
    let mut warnings = rt.warnings.borrow_mut();
    let mut process = match &options.process {
        Some(document) => Process::from_document(document, &mut warnings)?,
        None => {
            if options.args.is_empty() {
                return Err(Error::new("process.args is empty: give a command or --process"));
            }
            Process {
                args: options.args.clone(),
                terminal: false,
                console_size: None,
                ..config.process.clone()
            }
        }
    };
    process.terminal |= options.tty;
    if options.process.is_none() {
        if let Some(cwd) = &options.cwd {
            if !cwd.is_absolute() {
                return Err(Error::new(format!("--cwd: \"{}\" is not absolute", cwd.display())));
            }
            process.cwd.clone_from(cwd);
        }
        process.env.extend(options.env.iter().cloned());
        if let Some((uid, gid)) = options.user {
            process.uid = uid;
            process.gid = gid.unwrap_or(0);
            process.additional_gids.clear();
        }
        process.additional_gids.extend(&options.additional_gids);
        process.selinux_label = options.process_label.clone().or(process.selinux_label);
        process.apparmor_profile = options.apparmor.clone().or(process.apparmor_profile);
        process.no_new_privileges |= options.no_new_privs;
        add_capabilities(&mut process, &options.caps)?;
    }
    Ok(process)
}

/// `--cap` adds to all sets but the ambient one, which would raise privileges of programs that expect none.
fn add_capabilities(process: &mut Process, names: &[String]) -> Result<()> {
    for name in names {
        let bit = crate::config::capability_bit(name)
            .ok_or_else(|| Error::new(format!("--cap: unknown capability \"{name}\"")))?;
        let sets = process.capabilities.get_or_insert_default();
        sets.bounding |= bit;
        sets.effective |= bit;
        sets.permitted |= bit;
    }
    Ok(())
}

/// The container's cgroup, or `--cgroup` below it. Where the container keeps its processes in sub-cgroups,
/// only init's own is sure to take another.
fn open_cgroup(container: &Container, init_pid: i32, options: &ExecOptions) -> Result<Option<OwnedFd>> {
    let Some(cgroup) = container.cgroup()? else { return Ok(None) };
    if let Some(path) = &options.cgroup {
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(Error::new(format!("--cgroup: {} leaves the container's cgroup", path.display())));
        }
        let cgroup = cgroup.child(path);
        if !cgroup.exists() {
            return Err(Error::new(format!("--cgroup: {} does not exist", cgroup.path().display())));
        }
        return cgroup.dirfd().map(Some).at(|| "--cgroup");
    }
    let own = Cgroup::of_process(init_pid).at(|| "cgroup of init")?;
    let within = own.path().starts_with(cgroup.path());
    (if within { own } else { cgroup }).dirfd().map(Some).at(|| "cgroup")
}

/// Makes our children start in the container's pid namespace. The result are the `CLONE_NEW*` bits of the
/// namespaces that the child has still to enter.
fn enter_pid_namespace(config: &Config, init: BorrowedFd<'_>) -> Result<i32> {
    let mut kinds =
        config.joined_namespaces.iter().fold(config.new_namespaces, |bits, (ns, _)| bits | ns.flag);
    if kinds & libc::CLONE_NEWUSER != 0 && same_user_namespace(init)? {
        // setns(2) into our own user namespace is EINVAL.
        kinds &= !libc::CLONE_NEWUSER;
    }
    if kinds & libc::CLONE_NEWPID == 0 {
        return Ok(kinds);
    }
    match setns(init, libc::CLONE_NEWPID) {
        Ok(()) => Ok(kinds & !libc::CLONE_NEWPID),
        // Only root of the container's user namespace may: there is no way back, but none is needed.
        Err(e) if e.raw() == libc::EPERM && kinds & libc::CLONE_NEWUSER != 0 => {
            let both = libc::CLONE_NEWUSER | libc::CLONE_NEWPID;
            setns(init, both).at(|| "join user and pid namespace")?;
            Ok(kinds & !both)
        }
        Err(e) => Err(e).at(|| "join pid namespace"),
    }
}

fn same_user_namespace(init: BorrowedFd<'_>) -> Result<bool> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    // The pid of a pidfd we hold is stable as long as we do not wait for it.
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", init.as_raw_fd()))
        .map_err(Errno::from)
        .at(|| "pidfd")?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap_or_default().trim().to_owned();
    let inode = |pid: &str| fs::metadata(format!("/proc/{pid}/ns/user")).map(|file| file.ino());
    Ok(matches!((inode(&pid), inode("self")), (Ok(theirs), Ok(ours)) if theirs == ours))
}

/// What the new process takes over.
struct Tenant<'a> {
    config: &'a Config,
    channel: Channel,
    floes_end: Option<InheritedEnd>,
    init: BorrowedFd<'a>,
    kinds: i32,
    console: Option<OwnedFd>,
    seccomp: Option<&'a Program>,
    apparmor: Option<&'a str>,
    procfs: BorrowedFd<'a>,
    preserve_fds: u32,
}

/// The child's whole life before the program.
fn run(mut tenant: Tenant<'_>) -> i32 {
    tenant.floes_end.take().into_iter().for_each(InheritedEnd::close);
    let launch = process::Launch {
        process: &tenant.config.process,
        seccomp: tenant.seccomp,
        procfs: tenant.procfs,
        preserve_fds: tenant.preserve_fds,
        keep: vec![tenant.channel.fd()],
        extra_env: Vec::new(),
        makes_cwd: false,
        keep_groups: false,
        personality: tenant.config.personality,
        memory_policy: None,
        apparmor: tenant.apparmor,
    };
    let failure = match enter(&tenant, &launch) {
        Ok(prepared) => process::start(&launch, &prepared, &tenant.channel),
        Err(failure) => failure,
    };
    let _ = tenant.channel.send(&Message::Failed(failure));
    255
}

fn enter(tenant: &Tenant<'_>, launch: &process::Launch<'_>) -> InitResult<process::Prepared> {
    if tenant.kinds != 0 {
        setns(tenant.init, tenant.kinds).during(Step::JoinNamespace, || "the container's namespaces")?;
    }
    nix::unistd::setsid().during(Step::Session, String::new)?;
    if tenant.config.has_user_namespace() {
        // Root of the user namespace, to have a mapped id; its groups are set with the user's.
        let root = sys::process::setresgid(0).and_then(|()| sys::process::setresuid(0));
        root.during(Step::UserNamespace, || "(is id 0 mapped?)")?;
    }
    if let Some(mask) = &tenant.config.process.affinity_final {
        sys::sched::set_affinity(mask).during(Step::Affinity, || "process.execCPUAffinity.final")?;
    }
    let terminal = match &tenant.console {
        Some(socket) => {
            let root = crate::init::open_root().during(Step::Console, || "/")?;
            let size = tenant.config.process.console_size;
            Some(devices::open_console(root.as_fd(), socket.as_fd(), size, false)?)
        }
        None => None,
    };
    let prepared = process::prepare(launch, terminal)?;
    let _ = sys::process::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0);
    tenant.channel.ask(&Message::Ready)?;
    Ok(prepared)
}
