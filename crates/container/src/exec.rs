//! `exec`: another process in a running container.
//!
//! The namespaces are entered through init's pidfd by a process between, the cgroup by clone3, and the rest
//! is what init does for its own program (`init::process`).

use crate::attach::{self, Relay, Terminal};
use crate::config::{Config, Process};
use crate::create::{
    Entry, check_labels, connect_to, init_error, made_by, move_into, open_procfs, preserved, protect_binary,
    raise_hard_limit, set_oom_score_adj, set_scheduler, write_pid_files,
};
use crate::error::{At, Error, Kind, Result};
use crate::init::protocol::{Channel, During, Failure, Inherited, InitResult, Message, Step};
use crate::init::{devices, process};
use crate::seccomp::{self, Program};
use crate::state::Container;
use crate::{ExecOptions, Runtime, Status, start};
use cgroup::Cgroup;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Component;
use sys::Errno;
use sys::clone::{Child, CloneArgs, spawn};
use sys::process::setns;

pub(crate) fn exec(rt: &Runtime, id: &str, options: &ExecOptions) -> Result<i32> {
    let preserved = preserved(options.preserve_fds, 0)?;
    let binary = protect_binary(rt);
    let container = Container::open(rt, id)?;
    match container.status()? {
        Status::Created if container.is_held() && !options.ignore_paused => {
            return Err(Error::of_kind(
                Kind::Paused,
                "cannot exec in a container that is frozen until its start",
            ));
        }
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
    let seccomp =
        config.seccomp.as_ref().map(|profile| seccomp::load(&rt.root, profile, false)).transpose()?;
    let procfs = open_procfs()?;
    let cgroup = open_cgroup(&container, init_pid, options)?;

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
    // The child is in sight of the container's processes from its first instruction, and inherits this.
    let _ = sys::process::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0);
    let tenant = Tenant {
        config: &config,
        channel: theirs,
        console,
        seccomp: seccomp.as_ref(),
        apparmor: apparmor.as_deref(),
        procfs: procfs.as_fd(),
        preserved: &preserved,
    };
    let child = spawn_tenant(cgroup.as_ref().map(AsFd::as_fd), init.as_fd(), tenant)?;
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
        set_scheduler(child.pid, &config.process)?;
        let (pid_file, socket) = (options.pid_file.as_deref(), options.pidfd_socket.as_deref());
        write_pid_files(child.pid, child.pidfd.as_fd(), pid_file, socket)?;
        let relay = terminal.map(Terminal::relay).transpose()?;
        ours.send(&Message::Continue).at(|| "talk to process")?;
        start::await_exec(&ours, child.pid, child.pidfd.as_fd(), &container, &config)?;
        // The process has closed its own when it was sealed.
        drop(binary);
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

/// A process with CAP_SYS_PTRACE in the container can look into ours as soon as it is in the pid namespace, at its
/// root and its descriptors, and do whatever it may do. So another process, which is not, enters everything, closes
/// what is the host's and becomes the user before it makes ours as our child (`CLONE_PARENT`).
fn spawn_tenant(cgroup: Option<BorrowedFd<'_>>, init: BorrowedFd<'_>, tenant: Tenant<'_>) -> Result<Child> {
    let mut child = spawn_by_helper(cgroup, Entry::Birth, init, &tenant)?;
    if child.is_none() && cgroup.is_some() {
        child = spawn_by_helper(cgroup, Entry::Move, init, &tenant)?;
    }
    child.ok_or_else(|| Error::new("join namespaces: the helper process ended"))
}

/// `None` when the helper ended without a word.
fn spawn_by_helper(
    cgroup: Option<BorrowedFd<'_>>,
    entry: Entry,
    init: BorrowedFd<'_>,
    tenant: &Tenant<'_>,
) -> Result<Option<Child>> {
    let (ours, theirs) = Channel::pair().at(|| "socketpair")?;
    let at_birth = cgroup.filter(|_| entry == Entry::Birth);
    let launch = tenant.launch(&theirs);
    let helpers_end = Inherited::of(theirs.fd());
    let helper = spawn(&CloneArgs { cgroup: at_birth, ..CloneArgs::default() }, || {
        let prepare = || -> InitResult<process::Prepared> {
            if let (Entry::Move, Some(cgroup)) = (entry, cgroup) {
                move_into(cgroup, 0).during(Step::Clone, || "in the cgroup")?;
            }
            enter_namespaces(tenant.config, init)?;
            prepare(tenant, &launch)
        };
        let answer = match prepare() {
            Err(failure) => Message::Failed(failure),
            Ok(prepared) => {
                let run = || {
                    // Or the helper's death would not be the end of the channel.
                    helpers_end.close();
                    run(tenant, &launch, &prepared)
                };
                match spawn(&CloneArgs { sibling: true, ..CloneArgs::default() }, run) {
                    Ok(child) => Message::Pid(child.pid),
                    Err(e) => Message::Failed(Failure::new(Step::Clone, e.raw(), "")),
                }
            }
        };
        i32::from(theirs.send(&answer).is_err())
    })
    .at(|| "clone3")?;
    // Or the helper's death would not be the end of the channel.
    drop(theirs);
    made_by(&helper, &ours)
}

/// Enters the container's namespaces; the pid namespace is that of the next child.
fn enter_namespaces(config: &Config, init: BorrowedFd<'_>) -> InitResult<()> {
    let mut kinds =
        config.joined_namespaces.iter().fold(config.new_namespaces, |bits, (ns, _)| bits | ns.flag);
    if kinds & libc::CLONE_NEWUSER != 0 {
        let same = same_user_namespace(init);
        if same.map_err(|e| Failure::new(Step::JoinNamespace, 0, format!("user namespace: {e}")))? {
            // setns(2) into our own user namespace is EINVAL.
            kinds &= !libc::CLONE_NEWUSER;
        }
    }
    if kinds & libc::CLONE_NEWPID != 0 {
        match setns(init, libc::CLONE_NEWPID) {
            Ok(()) => kinds &= !libc::CLONE_NEWPID,
            // Only root of the container's user namespace may, which the whole set makes us.
            Err(e) if e.raw() == libc::EPERM && kinds & libc::CLONE_NEWUSER != 0 => {
                let both = libc::CLONE_NEWUSER | libc::CLONE_NEWPID;
                setns(init, both).during(Step::JoinNamespace, || "user and pid namespace")?;
                kinds &= !both;
            }
            Err(e) => return Err(e).during(Step::JoinNamespace, || "pid namespace"),
        }
    }
    if kinds != 0 {
        setns(init, kinds).during(Step::JoinNamespace, || "the container's namespaces")?;
    }
    Ok(())
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
    console: Option<OwnedFd>,
    seccomp: Option<&'a Program>,
    apparmor: Option<&'a str>,
    procfs: BorrowedFd<'a>,
    preserved: &'a [RawFd],
}

impl<'a> Tenant<'a> {
    fn launch(&'a self, helpers_channel: &'a Channel) -> process::Launch<'a> {
        process::Launch {
            process: &self.config.process,
            seccomp: self.seccomp,
            procfs: self.procfs,
            preserved: self.preserved,
            keep: vec![self.channel.fd(), helpers_channel.fd()],
            extra_env: Vec::new(),
            makes_cwd: false,
            keep_groups: false,
            personality: self.config.personality,
            memory_policy: None,
            apparmor: self.apparmor,
        }
    }
}

/// What takes privileges, in the helper.
fn prepare(tenant: &Tenant<'_>, launch: &process::Launch<'_>) -> InitResult<process::Prepared> {
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
            Some(devices::open_console(root.as_fd(), tenant.procfs, socket.as_fd(), size, false)?)
        }
        None => None,
    };
    process::prepare(launch, terminal)
}

/// The process's whole life before the program.
fn run(tenant: &Tenant<'_>, launch: &process::Launch<'_>, prepared: &process::Prepared) -> i32 {
    let wait = || -> InitResult<process::Program> {
        let program = process::settle(launch, prepared)?;
        tenant.channel.ask(&Message::Ready)?;
        Ok(program)
    };
    let started = wait().and_then(|program| process::start(launch, &program, &tenant.channel));
    if let Err(failure) = started {
        let _ = tenant.channel.send(&Message::Failed(failure));
    }
    process::NOT_EXECUTED
}
