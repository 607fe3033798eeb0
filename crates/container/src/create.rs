//! `create` and `run`: everything that happens outside the new container.
//!
//! The order: decide (config, seccomp program, descriptors that must be open) → claim the id → cgroup →
//! clone3 → id maps and what only we may set → answer init until it is ready → write it down. From the claim
//! on everything made is in `Making`, whose drop undoes it backwards; `keep` ends that.

use crate::attach::{self, Relay, Signals, Terminal};
use crate::config::{self, CLONE_NEWTIME, Config, IdMap, MountKind, Namespace, TimeOffset};
use crate::descriptors;
use crate::error::{At, Error, Result};
use crate::hooks::{self, HookOutput, HookState};
use crate::init::mounts::PROC_SUPER_MAGIC;
use crate::init::process::CAP_SYS_ADMIN;
use crate::init::protocol::{Channel, Failure, Inherited, Message, Step};
use crate::init::{self, Becomes, Init, devices, mounts};
use crate::notify::NotifySocket;
use crate::seccomp::{self, Program};
use crate::state::{self, Container, Made, ProcStat, ProcessId, START_SOCKET, Stored, socket_address};
use crate::{CgroupDriver, CreateOptions, RunOptions, Runtime, Status, start};
use cgroup::systemd::{self, Property, Scope};
use cgroup::{Cgroup, Created, Resources};
use checkpoint::{ClockOffset, Restore};
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, bind, connect, listen, setsockopt, socket,
};
use nix::sys::stat::{Mode, fstat, stat};
use nix::sys::time::{TimeVal, TimeValLike};
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use sys::Errno;
use sys::clone::{Child, CloneArgs, spawn};
use sys::mount::FsContext;
use sys::process::setns;

pub(crate) fn create(rt: &Runtime, id: &str, options: &CreateOptions) -> Result<()> {
    let binary = protect_binary(rt);
    let plan = Plan::new(rt, id, options)?;
    if plan.config.process.terminal && options.console_socket.is_none() {
        return Err(Error::new("config.json: process.terminal: a detached container needs --console-socket"));
    }
    let (mut making, _) = Making::start(rt, &plan, binary, Starter::Socket, None)?;
    making.settle()?;
    making.keep();
    Ok(())
}

pub(crate) fn run(rt: &Runtime, id: &str, options: &CreateOptions, run: &RunOptions) -> Result<i32> {
    let binary = protect_binary(rt);
    let plan = Plan::new(rt, id, options)?;
    let (attachment, console) = Attachment::new(&plan, run)?;
    let (mut making, child) = Making::start(rt, &plan, binary, Starter::Floe, console)?;
    making.settle()?;
    let notify = plan.notify_listener(&making.container.dir)?;
    let attached = attachment.connect()?;
    making.channel.send(&Message::Continue).at(|| "start init")?;
    start::await_exec(&making.channel, child.pid, child.pidfd.as_fd(), &making.container, &plan.config)?;
    start::poststart(&making.container, &plan.config)?;
    let Some(attached) = attached else {
        making.keep();
        if let Some(notify) = notify {
            notify.relay(child.pidfd.as_fd(), child.pid)?;
        }
        return Ok(0);
    };
    let status = attached.wait(&child, notify.as_ref())?;
    if run.keep {
        making.keep();
    } else {
        making.remove()?;
    }
    Ok(status)
}

/// What makes this process stay with the container until it ends, unless it detaches.
pub(crate) struct Attachment {
    signals: Option<Signals>,
    terminal: Option<Terminal>,
}

/// The same once there is a container.
pub(crate) struct Attached {
    signals: Signals,
    relay: Option<Relay>,
}

impl Attachment {
    /// To be made before the container, so that no signal is lost. Init gets the old mask back, and the descriptor, if
    /// there is one, to send the master of its terminal to.
    pub(crate) fn new(plan: &Plan<'_>, run: &RunOptions) -> Result<(Attachment, Option<OwnedFd>)> {
        let wants_terminal = plan.config.process.terminal;
        let has_socket = plan.options.console_socket.is_some();
        if run.detach {
            if wants_terminal && !has_socket {
                return Err(Error::new(
                    "config.json: process.terminal: a detached container needs --console-socket",
                ));
            }
            return Ok((Attachment { signals: None, terminal: None }, None));
        }
        if has_socket {
            return Err(Error::new(
                "--console-socket: it needs --detach, attached floe is the terminal's other end",
            ));
        }
        let signals = Signals::block()?;
        if !run.no_subreaper {
            let _ = sys::process::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0);
        }
        let (terminal, console) = if wants_terminal { Some(Terminal::pair()?) } else { None }.unzip();
        Ok((Attachment { signals: Some(signals), terminal }, console))
    }

    /// Takes the terminal, which init has sent by now. `None` when we detach.
    pub(crate) fn connect(self) -> Result<Option<Attached>> {
        let Some(signals) = self.signals else { return Ok(None) };
        let relay = self.terminal.map(Terminal::relay).transpose()?;
        Ok(Some(Attached { signals, relay }))
    }
}

impl Attached {
    /// Stays until the container ends; the result is its exit status.
    pub(crate) fn wait(self, child: &Child, notify: Option<&NotifySocket>) -> Result<i32> {
        attach::wait(child, &self.signals, self.relay, notify)
    }
}

/// Who makes init, once it is ready, what it is to be.
#[derive(Clone, Copy)]
pub(crate) enum Starter<'a> {
    /// `floe start`, through the socket in the state directory.
    Socket,
    /// This process, by letting init go on.
    Floe,
    /// This process, by building the tasks of a checkpoint from it.
    Restore(&'a Restore),
}

/// How a process gets into its cgroup.
///
/// Since b69bb476dee9 ("cgroup: fix race between fork and cgroup.kill", Linux 6.14 and stable kernels) fork compares
/// how often `cgroup.kill` was written in the parent's cgroup and in the child's. With CLONE_INTO_CGROUP these are two:
/// if either was ever killed, the child dies at birth. Who has not heard a word of it tries the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Birth,
    // FIXME: remove when no supported kernel compares two cgroups.
    Move,
    /// By systemd, from where a user may move no process away: a login session, a service of the system.
    Attach,
}

/// All decisions and everything that can fail before something exists.
pub(crate) struct Plan<'a> {
    id: &'a str,
    pub(crate) options: &'a CreateOptions,
    document: Vec<u8>,
    pub(crate) config: Config,
    pub(crate) seccomp: Option<Program>,
    resources: Resources,
    /// With the systemd driver: the container's unit, and what annotations say of it.
    scope: Option<(Scope, Vec<Property>)>,
    hook_output: HookOutput,
    procfs: OwnedFd,
    pub(crate) apparmor: Option<String>,
    preserved: Vec<RawFd>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(rt: &Runtime, id: &'a str, options: &'a CreateOptions) -> Result<Plan<'a>> {
        state::check_id(id)?;
        // What our caller has leaked is nobody's business, hooks included.
        let preserved = preserved(options.preserve_fds, options.listen_fds)?;
        let (document, mut config) = config::load(&options.bundle, options.config.as_deref())?;
        rt.warnings.borrow_mut().append(&mut config.warnings);
        if !config.process.terminal && options.console_socket.is_some() {
            return Err(Error::new("--console-socket: config.json does not ask for a terminal"));
        }
        let strict = config.annotations.get("run.oci.seccomp_fail_unknown_syscall").is_some_and(|v| v == "1");
        let seccomp = config.seccomp.as_ref().map(|profile| seccomp::load(&rt.root, profile, strict));
        let seccomp = seccomp.transpose()?;
        let resources = config.resources.as_ref().map(Resources::from_oci).transpose();
        let resources = resources.at(|| "config.json: linux.resources")?.unwrap_or_default();
        let scope = match &rt.cgroup_driver {
            CgroupDriver::Systemd(manager) => {
                let properties = systemd::of_annotations(&config.annotations).at(|| "config.json")?;
                let path = config.cgroups_path.as_deref();
                let scope = Scope::resolve(manager.clone(), path, id, &properties).at(|| "config.json")?;
                Some((scope, properties))
            }
            CgroupDriver::Cgroupfs | CgroupDriver::Disabled => None,
        };
        let apparmor = check_labels(&config)?;
        Ok(Plan {
            id,
            options,
            document,
            hook_output: HookOutput::open(&config.hooks)?,
            config,
            seccomp,
            resources,
            scope,
            procfs: open_procfs()?,
            apparmor,
            preserved,
        })
    }

    fn notify_listener(&self, dir: &Path) -> Result<Option<NotifySocket>> {
        self.options.notify_socket.as_deref().map(|host| NotifySocket::listen(dir, host)).transpose()
    }
}

/// The descriptors from 3 on that the container gets. Everything is close-on-exec from here on, these too until the
/// program is executed: what our caller has leaked is nobody's business, and what it passes on not that of hooks.
/// Podman counts `LISTEN_FDS` twice and numbers that nobody opened, so closed ones are no error.
pub(crate) fn preserved(preserve_fds: u32, listen_fds: u32) -> Result<Vec<RawFd>> {
    /// No process has more (the default of sysctl fs.nr_open).
    const LIMIT: u32 = 1 << 20;
    let preserved = sys::process::inherited(3, preserve_fds.saturating_add(listen_fds).min(LIMIT));
    sys::process::cloexec_from(3).at(|| "close_range")?;
    Ok(preserved)
}

/// Keeps the container away from our binary (`sys::exe`). Without privilege over our mount namespace it stays
/// as it is: then root of the container is a user who can write to it only if it is theirs anyway.
///
/// To be called first: it unmaps our text, and each page is a fault again. The result is to be closed when there is
/// time (`sys::exe::protect`).
pub(crate) fn protect_binary(rt: &Runtime) -> Option<OwnedFd> {
    match sys::exe::protect() {
        Ok(mount) => Some(mount),
        Err(e) => {
            if !is_rootless(rt) {
                let text = format!("the floe binary is not protected from the container: {e}");
                rt.warnings.borrow_mut().push(text);
            }
            None
        }
    }
}

pub(crate) fn open_procfs() -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let procfs = openat(AT_FDCWD, "/proc", flags, Mode::empty()).map_err(Errno::from).at(|| "open /proc")?;
    /// Of its root (fs/proc/root.c): another directory of procfs may have been mounted there.
    const PROC_ROOT_INO: u64 = 1;
    let inode = fstat(&procfs).map_err(Errno::from).at(|| "/proc")?.st_ino;
    if sys::process::filesystem_type(procfs.as_fd()).at(|| "/proc")? != PROC_SUPER_MAGIC
        || inode != PROC_ROOT_INO
    {
        return Err(Error::new("/proc: it is not procfs; mount proc at /proc"));
    }
    Ok(procfs)
}

/// Labels need their LSM. The result is the AppArmor profile to apply.
pub(crate) fn check_labels(config: &Config) -> Result<Option<String>> {
    let process = &config.process;
    if let Some(label) = &process.selinux_label
        && !Path::new("/sys/fs/selinux/enforce").exists()
    {
        return Err(Error::new(format!(
            "config.json: process.selinuxLabel \"{label}\": SELinux is not enabled on this host"
        )));
    }
    let Some(profile) = process.apparmor_profile.as_deref().filter(|profile| *profile != "unconfined") else {
        return Ok(None);
    };
    let enabled = fs::read("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
    if enabled.first() != Some(&b'Y') {
        return Err(Error::new(format!(
            "config.json: process.apparmorProfile \"{profile}\": AppArmor is not enabled on this host"
        )));
    }
    Ok(Some(profile.to_owned()))
}

/// A container that is being made. Dropped before `keep`, it removes all that it made.
pub(crate) struct Making<'a> {
    rt: &'a Runtime,
    plan: &'a Plan<'a>,
    pub(crate) container: Container,
    channel: Channel,
    /// Of `protect_binary`, until init works and we wait.
    binary: Option<OwnedFd>,
    cgroup: Option<(Cgroup, Created)>,
    child: Option<(i32, OwnedFd)>,
    /// Init has said something, so it was not killed at birth.
    heard: bool,
    /// resctrl group that goes with the container.
    intel_rdt: Option<PathBuf>,
    /// The pid file is ours to remove.
    wrote_pid_file: bool,
    kept: bool,
}

impl<'a> Making<'a> {
    /// Makes the container up to `Ready`. The master of its terminal goes to `console`, or where the options say.
    pub(crate) fn start(
        rt: &'a Runtime,
        plan: &'a Plan<'a>,
        binary: Option<OwnedFd>,
        starter: Starter<'_>,
        console: Option<OwnedFd>,
    ) -> Result<(Making<'a>, Child)> {
        let (ours, theirs) = Channel::pair().at(|| "socketpair")?;
        let dir = state::claim(rt, plan.id)?;
        let stored = Stored {
            oci_version: plan.config.oci_version.clone(),
            id: plan.id.to_owned(),
            bundle: plan.config.bundle.clone(),
            rootfs: plan.config.rootfs.clone(),
            created: crate::time::rfc3339(SystemTime::now()),
            annotations: plan.config.annotations.clone(),
            cgroup: None,
            scope: None,
            waits_for_start: matches!(starter, Starter::Socket),
        };
        let mut making = Making {
            rt,
            plan,
            container: Container { dir, stored, made: None },
            intel_rdt: None,
            channel: ours,
            binary,
            cgroup: None,
            child: None,
            heard: false,
            wrote_pid_file: false,
            kept: false,
        };
        making.container.save_config(&plan.document)?;
        let listener = match starter {
            Starter::Socket => Some(start_listener(&making.container.dir)?),
            Starter::Floe | Starter::Restore(_) => None,
        };
        let console_socket = match &plan.options.console_socket {
            Some(path) => Some(connect_to(path).at(|| "--console-socket")?),
            None => console,
        };
        making.make_cgroup()?;

        let mut config = plan.config.clone();
        if let Starter::Restore(restore) = starter
            && config.creates(CLONE_NEWTIME)
        {
            // Its clocks go on from where they were: that is state, not what config.json began with.
            config.time_offsets = restore.clock_offsets().iter().map(time_offset).collect();
        }
        let mut extra_env = Vec::new();
        if plan.options.notify_socket.is_some() {
            let (mount, variable) = crate::notify::in_container(&making.container.dir)?;
            config.mounts.push(mount);
            extra_env.push(variable);
        }
        if !config.creates(libc::CLONE_NEWUSER) {
            // In a pid namespace with others init is in their sight from its first instruction. With id maps
            // to write it is init's own to do: they are written through its /proc/PID.
            let _ = sys::process::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0);
        }
        let bring_up = |making: &mut Making<'a>, theirs: Channel, entry: Entry| -> Result<Child> {
            let init = Init {
                id: plan.id,
                config: &config,
                channel: theirs,
                inherited: making.inherited(),
                seccomp: plan.seccomp.as_ref(),
                procfs: plan.procfs.as_fd(),
                rootfs: None,
                sources: config.mounts.iter().map(|_| None).collect(),
                join: Vec::new(),
                pid_namespace: None,
                console_socket: duplicate(&console_socket)?,
                start_socket: duplicate(&listener)?,
                cgroup: making.cgroup.as_ref().map(|(cgroup, _)| cgroup.path().to_owned()),
                hook_output: &plan.hook_output,
                no_pivot: plan.options.no_pivot,
                new_keyring: !plan.options.no_new_keyring,
                may_mknod: !config.has_user_namespace(),
                keep_groups: keeps_groups(&config),
                becomes: match starter {
                    Starter::Socket | Starter::Floe => Becomes::Program,
                    Starter::Restore(restore) => Becomes::Task(restore.nursery()),
                },
                pid: match starter {
                    Starter::Restore(restore) if !config.creates(libc::CLONE_NEWPID) => Some(restore.pid()),
                    _ => None,
                },
                preserved: &plan.preserved,
                listen_fds: plan.options.listen_fds,
                listen_fdnames: plan.options.listen_fdnames.clone(),
                extra_env: extra_env.clone(),
                apparmor: plan.apparmor.as_deref(),
            };
            let child = making.spawn_init(init, entry)?;
            making.remember(&child)?;
            making.prepare_child(&child)?;
            making.converse(child)
        };
        let in_reach = making.cgroup().is_none_or(Cgroup::takes_our_processes);
        let entry = if plan.scope.is_some() && !in_reach { Entry::Attach } else { Entry::Birth };
        let child = match bring_up(&mut making, theirs, entry) {
            Err(_) if making.cgroup.is_some() && making.child.is_some() && !making.heard => {
                making.end_child();
                let (ours, theirs) = Channel::pair().at(|| "socketpair")?;
                making.channel = ours;
                bring_up(&mut making, theirs, Entry::Move)?
            }
            result => result?,
        };
        Ok((making, child))
    }

    /// The container's own, if it has one.
    pub(crate) fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref().map(|(cgroup, _)| cgroup)
    }

    /// The cgroup. Written down first: if we are killed after this, `delete --force` finds it.
    fn make_cgroup(&mut self) -> Result<()> {
        if let Some((scope, properties)) = &self.plan.scope {
            return self.make_scope(scope, properties);
        }
        if self.rt.cgroup_driver == CgroupDriver::Disabled {
            return self.container.save();
        }
        let resources = &self.plan.resources;
        // Without delegation a user has no cgroups; that is no error as long as nothing is asked of them.
        let dispensable = |error: &cgroup::Error| {
            matches!(error.kind(), cgroup::Kind::Permission | cgroup::Kind::Unsupported)
                && !resources.limits_anything()
                && is_rootless(self.rt)
        };
        let cgroup = match Cgroup::resolve(self.plan.config.cgroups_path.as_deref(), self.plan.id) {
            Ok(cgroup) => cgroup,
            Err(e) if dispensable(&e) => return self.container.save(),
            Err(e) => return Err(e).at(|| "cgroup"),
        };
        self.container.stored.cgroup = Some(cgroup.path().to_owned());
        self.container.save()?;
        let created = match cgroup.create(resources) {
            Ok(created) => created,
            Err(e) if dispensable(&e) => {
                self.container.stored.cgroup = None;
                return self.container.save();
            }
            Err(e) => {
                // It may be another container's: it is not ours to remove.
                self.container.stored.cgroup = None;
                let _ = self.container.save();
                return Err(e).at(|| "cgroup");
            }
        };
        self.cgroup = Some((cgroup, created));
        Ok(())
    }

    fn make_scope(&mut self, scope: &Scope, properties: &[Property]) -> Result<()> {
        let cgroup = scope.cgroup().at(|| "cgroup")?;
        self.container.stored.cgroup = Some(cgroup.path().to_owned());
        self.container.stored.scope = Some(scope.clone());
        self.container.save()?;
        match scope.create(&cgroup, &self.plan.resources, properties) {
            Ok(created) => {
                self.cgroup = Some((cgroup, created));
                Ok(())
            }
            Err(e) => {
                // As above.
                self.container.stored.cgroup = None;
                self.container.stored.scope = None;
                let _ = self.container.save();
                Err(e).at(|| "cgroup")
            }
        }
    }

    /// Limits and device rules, while init is already at its mounts: what init uses itself is not held
    /// against the container's first limits, and the two processes work side by side.
    fn limit_cgroup(&self) -> Result<()> {
        let Some((cgroup, created)) = &self.cgroup else { return Ok(()) };
        let resources = &self.plan.resources;
        created.limit(cgroup, resources).at(|| "cgroup")?;
        let rules = cgroup::with_default_rules(&resources.devices);
        match cgroup.set_devices(created.dir.as_fd(), &rules) {
            // No device program without privilege, but no device nodes either.
            Err(e) if e.kind() == cgroup::Kind::Permission && is_rootless(self.rt) => {}
            other => other.at(|| "cgroup: device rules")?,
        }
        let config = &self.plan.config;
        let writable =
            config.mounts.iter().any(|mount| mount.kind == MountKind::Cgroup && !mount.is_readonly());
        let own_namespaces = libc::CLONE_NEWUSER | libc::CLONE_NEWCGROUP;
        if writable
            && config.new_namespaces & own_namespaces == own_namespaces
            && let Some(uid) = host_id(&config.uid_maps, 0)
        {
            cgroup.delegate(uid).at(|| "cgroup: delegate")?;
        }
        Ok(())
    }

    /// clone3, directly or through a process that joins what we could not leave again.
    fn spawn_init(&self, mut init: Init<'_>, entry: Entry) -> Result<Child> {
        let config = init.config;
        let privileged = sys::process::capget().at(|| "capget")?.effective & CAP_SYS_ADMIN != 0;
        let mut joined: Vec<(Namespace, OwnedFd)> = config
            .joined_namespaces
            .iter()
            .map(|(namespace, path)| Ok((*namespace, open_namespace(namespace, path)?)))
            .collect::<Result<_>>()?;
        check_sysctls(config, &joined)?;
        if privileged && !config.joins(libc::CLONE_NEWNS) {
            init.rootfs =
                Some(mounts::open_rootfs(config).at(|| format!("open rootfs {}", config.rootfs.display()))?);
            self.open_sources(&mut init)?;
        }
        let flags = init::clone_flags(config);
        let cgroup = self.cgroup.as_ref().map(|(_, created)| created.dir.as_fd());
        let needs_joiner =
            config.joins(libc::CLONE_NEWUSER) || config.creates(libc::CLONE_NEWUSER) && !joined.is_empty();
        let is_pid = |(namespace, _): &(Namespace, OwnedFd)| namespace.flag == libc::CLONE_NEWPID;
        if !needs_joiner {
            let (pid, others): (Vec<_>, Vec<_>) = joined.into_iter().partition(is_pid);
            (joined, init.join) = (pid, others);
            // Init stays outside of the namespace until nothing of the host's is left to it (`init::run`).
            if joined.first().is_some_and(|(_, namespace)| can_mount_proc_of(namespace)) {
                init.pid_namespace = joined.pop().map(|(_, namespace)| namespace);
            }
        }
        if needs_joiner || entry != Entry::Birth {
            let scope = self.plan.scope.as_ref().map(|(scope, _)| scope);
            return spawn_through_helper(init, joined, flags, cgroup, entry, scope);
        }

        // FIXME: remove when 6.17 is the oldest supported kernel. A pid namespace is entered by the next
        // child, so ours for children is set and reset.
        let own_pid_namespace = match joined.first() {
            Some((namespace, fd)) => {
                let own = open_namespace(namespace, Path::new("/proc/self/ns/pid"))?;
                setns(fd.as_fd(), namespace.flag).at(|| "join pid namespace")?;
                Some(own)
            }
            None => None,
        };
        let pid = init.pid_at_birth();
        let child = spawn(&CloneArgs { flags, cgroup, sibling: false, pid }, || init::run(init));
        if let Some(own) = own_pid_namespace {
            setns(own.as_fd(), libc::CLONE_NEWPID).at(|| "return to our pid namespace")?;
        }
        child.map_err(|e| init_error(init::clone_failure(pid, e)))
    }

    fn open_sources(&self, init: &mut Init<'_>) -> Result<()> {
        let config = init.config;
        for (mount, source) in config.mounts.iter().zip(&mut init.sources) {
            let userns = match &mount.idmap {
                None => None,
                Some(idmap) if !idmap.uid_maps.is_empty() => {
                    Some(mapped_namespace(&idmap.uid_maps, &idmap.gid_maps)?)
                }
                Some(_) if config.creates(libc::CLONE_NEWUSER) => {
                    Some(mapped_namespace(&config.uid_maps, &config.gid_maps)?)
                }
                Some(_) => {
                    match config.joined_namespaces.iter().find(|(ns, _)| ns.flag == libc::CLONE_NEWUSER) {
                        Some((namespace, path)) => Some(open_namespace(namespace, path)?),
                        None => {
                            return Err(Error::new(format!(
                                "config.json: mounts: {}: idmap needs uidMappings or a user namespace",
                                mount.destination
                            )));
                        }
                    }
                }
            };
            *source =
                mounts::open_bind(mount, config, userns.as_ref().map(AsFd::as_fd)).map_err(init_error)?;
        }
        Ok(())
    }

    /// What needs our privileges: init may be root of a user namespace by now, or about to be.
    fn prepare_child(&mut self, child: &Child) -> Result<()> {
        let config = &self.plan.config;
        for limit in &config.process.rlimits {
            raise_hard_limit(child.pid, limit)?;
        }
        if let Some(value) = config.process.oom_score_adj {
            set_oom_score_adj(self.rt, &child.pid.to_string(), value)?;
        }
        if config.creates(libc::CLONE_NEWUSER) {
            write_id_maps(child.pid, &config.uid_maps, &config.gid_maps)?;
            self.channel.send(&Message::Continue).at(|| "talk to init")?;
        }
        self.limit_cgroup()?;
        if let Some(rdt) = &config.intel_rdt {
            self.intel_rdt = crate::rdt::apply(rdt, self.plan.id, child.pid)?;
        }
        self.binary = None;
        Ok(())
    }

    /// What init must not keep of ours.
    fn inherited(&self) -> Vec<Inherited> {
        let descriptors = [Some(self.channel.fd()), self.binary.as_ref().map(AsFd::as_fd)];
        descriptors.into_iter().flatten().map(Inherited::of).collect()
    }

    fn remember(&mut self, child: &Child) -> Result<()> {
        let pidfd = child.pidfd.try_clone().map_err(Errno::from).at(|| "dup")?;
        self.child = Some((child.pid, pidfd));
        Ok(())
    }

    /// Answers init until it is ready; the result is init, or the process that has taken its place.
    fn converse(&mut self, mut child: Child) -> Result<Child> {
        loop {
            let message = self.channel.receive().at(|| "talk to init")?;
            self.heard |= message.is_some();
            if let Some((_, created)) = self.cgroup.as_mut().filter(|_| self.heard) {
                created.release();
            }
            match message {
                Some(Message::RunHooks) => {
                    self.move_net_devices(child.pid)?;
                    let hooks = &self.plan.config.hooks;
                    let state = HookState::of(&self.container, Status::Creating, child.pid);
                    let bundle = Some(self.container.stored.bundle.as_path());
                    let output = &self.plan.hook_output;
                    hooks::run("prestart", &hooks.prestart, output, &state, bundle)?;
                    hooks::run("createRuntime", &hooks.create_runtime, output, &state, bundle)?;
                    self.channel.send(&Message::Continue).at(|| "talk to init")?;
                }
                // A process of ours enters the pid namespace last of all (`init::run`).
                Some(Message::Pid(pid)) if self.plan.config.joins(libc::CLONE_NEWPID) => {
                    let pidfd = sys::process::pidfd_open(pid).at(|| "pidfd_open")?;
                    // Fails for any process that is not our child.
                    sys::process::wait_pidfd(pidfd.as_fd(), false)
                        .at(|| format!("init named process {pid}"))?;
                    let before = std::mem::replace(&mut child, Child { pid, pidfd });
                    self.remember(&child)?;
                    let _ = sys::process::wait_pidfd(before.pidfd.as_fd(), true);
                    self.channel.send(&Message::Continue).at(|| "talk to init")?;
                }
                Some(Message::Ready) => return Ok(child),
                Some(Message::Failed(failure)) => return Err(init_error(failure)),
                Some(message) => return Err(Error::new(format!("init sent {message:?} out of turn"))),
                None => return Err(self.sudden_end(&child)),
            }
        }
    }

    fn move_net_devices(&self, pid: i32) -> Result<()> {
        let devices = &self.plan.config.net_devices;
        if devices.is_empty() {
            return Ok(());
        }
        let netns = fs::File::open(format!("/proc/{pid}/ns/net")).map_err(Errno::from).at(|| "open netns")?;
        for (host, name) in devices {
            crate::netdev::move_into(netns.as_fd(), host, name)?;
        }
        Ok(())
    }

    /// Init ended without a word: most often the memory limit.
    fn sudden_end(&self, child: &Child) -> Error {
        let status = sys::process::wait_pidfd(child.pidfd.as_fd(), true).ok().flatten();
        let how = match status {
            Some(status @ 129..) => format!("init was killed by signal {}", status - 128),
            Some(status) => format!("init exited with status {status}"),
            None => "init ended".to_owned(),
        };
        let killed_for_memory =
            self.cgroup.as_ref().is_some_and(|(cgroup, _)| cgroup.oom_kills().is_ok_and(|kills| kills > 0));
        let why = if killed_for_memory { "; linux.resources.memory.limit is too small" } else { "" };
        Error::new(format!("{how} before the container was set up{why}"))
    }

    /// Writes the container down and lets init go on to wait for its start.
    fn settle(&mut self) -> Result<()> {
        let (pid, _) = self.child.as_ref().expect("start has made it");
        set_scheduler(*pid, &self.plan.config.process)?;
        self.record()?;
        self.channel.send(&Message::Continue).at(|| "talk to init")
    }

    /// Writes the container down: from now on it exists.
    pub(crate) fn record(&mut self) -> Result<()> {
        let (pid, pidfd) = self.child.as_ref().expect("start has made it");
        let stat = ProcStat::read(*pid)
            .ok_or_else(|| Error::new(format!("read /proc/{pid}/stat: no such process")))?;
        let init = ProcessId { pid: *pid, start_time: stat.start_time };
        let outside = match self.plan.config.process.terminal {
            true => Vec::new(),
            false => descriptors::outside(self.plan.procfs.as_fd())?,
        };
        self.container.made = Some(Made { init, intel_rdt: self.intel_rdt.clone(), outside });
        self.container.save_made()?;
        self.wrote_pid_file = true;
        write_pid_files(
            *pid,
            pidfd.as_fd(),
            self.plan.options.pid_file.as_deref(),
            self.plan.options.pidfd_socket.as_deref().or(self.plan.config.pidfd_receiver.as_deref()),
        )
    }

    fn end_child(&mut self) {
        if let Some((_, pidfd)) = self.child.take() {
            let _ = sys::process::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
            let _ = sys::process::wait_pidfd(pidfd.as_fd(), true);
        }
    }

    /// Kills what runs of the container; the rest is left to the drop, as is the wait for it.
    pub(crate) fn kill(&self) {
        if let Some((_, pidfd)) = &self.child {
            let _ = sys::process::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
        }
        if let Some((cgroup, _)) = &self.cgroup {
            let _ = cgroup.kill();
        }
    }

    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }

    /// The end of an attached run.
    pub(crate) fn remove(mut self) -> Result<()> {
        self.kept = true;
        crate::control::destroy(self.rt, &self.container, Some(&self.plan.config))
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // Best effort and in reverse: the error that brought us here is the one to tell.
        self.kill();
        if let Some((pid, _)) = &self.child {
            wait_for_all_until(*pid);
        }
        if let Some((_, created)) = self.cgroup.take() {
            let _ = created.undo();
        }
        if let Some(dir) = &self.intel_rdt {
            let _ = crate::rdt::remove(dir);
        }
        // As runc: what was begun is ended, whichever step failed.
        if self.child.is_some() {
            let _ = crate::control::poststop(&self.container, &self.plan.config);
        }
        if let Some(pid_file) = self.plan.options.pid_file.as_ref().filter(|_| self.wrote_pid_file) {
            let _ = fs::remove_file(pid_file);
        }
        let _ = state::release(&self.container.dir);
    }
}

/// Waits for the end of init, and of what else ends before: init of a pid namespace ends last of all in it, and the tasks
/// that the engine was tracing end for us to see (ptrace(2)).
fn wait_for_all_until(init: i32) {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) if pid.as_raw() == init => return,
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return,
        }
    }
}

fn time_offset(offset: &ClockOffset) -> TimeOffset {
    TimeOffset { clock: offset.clock.to_owned(), seconds: offset.seconds, nanoseconds: offset.nanoseconds }
}

/// Whether the kernel shows a pid namespace's procfs to a process that is not in it.
fn can_mount_proc_of(pid_namespace: &OwnedFd) -> bool {
    let set = |context: FsContext| context.set_pid_namespace(pid_namespace.as_fd());
    FsContext::open("proc").and_then(set).is_ok()
}

pub(crate) fn init_error(failure: Failure) -> Error {
    Error::new(failure.to_string())
}

/// A network namespace by path may be the one that we are in ourselves; its sysctls are the host's.
fn check_sysctls(config: &Config, joined: &[(Namespace, OwnedFd)]) -> Result<()> {
    let network = joined.iter().find(|(namespace, _)| namespace.flag == libc::CLONE_NEWNET);
    let sysctl = config.sysctls.iter().find(|(file, _)| file.starts_with("net/"));
    let (Some((_, network)), Some((file, _))) = (network, sysctl) else { return Ok(()) };
    let own = stat("/proc/self/ns/net").map_err(Errno::from).at(|| "/proc/self/ns/net")?;
    let joined = fstat(network).map_err(Errno::from).at(|| "network namespace")?;
    if (own.st_dev, own.st_ino) == (joined.st_dev, joined.st_ino) {
        return Err(Error::new(format!(
            "config.json: linux.sysctl: {file} is not allowed: the network namespace to join is the host's"
        )));
    }
    Ok(())
}

fn open_namespace(namespace: &Namespace, path: &Path) -> Result<OwnedFd> {
    let file = openat(AT_FDCWD, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())
        .map_err(Errno::from)
        .at(|| format!("open {} namespace {}", namespace.name, path.display()))?;
    const NSFS_MAGIC: i64 = 0x6e73_6673;
    let what = || format!("{} namespace {}", namespace.name, path.display());
    if sys::process::filesystem_type(file.as_fd()).at(what)? != NSFS_MAGIC {
        return Err(Error::new(format!(
            "{} namespace {}: it is not a namespace",
            namespace.name,
            path.display()
        )));
    }
    let flag = sys::process::namespace_kind(file.as_fd()).at(what)?;
    if flag != namespace.flag {
        let kind =
            config::NAMESPACES.iter().find(|kind| kind.flag == flag).map_or("another", |kind| kind.name);
        return Err(Error::new(format!("{}: it is a {kind} namespace", what())));
    }
    Ok(file)
}

/// A process that enters the user namespace cannot come back, so another one does it, makes init as our
/// child (`CLONE_PARENT`), reports its pid and ends.
fn spawn_through_helper(
    init: Init<'_>,
    joined: Vec<(Namespace, OwnedFd)>,
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    entry: Entry,
    scope: Option<&Scope>,
) -> Result<Child> {
    let (ours, theirs) = Channel::pair().at(|| "socketpair")?;
    let helper = spawn(&CloneArgs::default(), || {
        let join = || -> std::result::Result<(), Failure> {
            // Then parent and child have one cgroup.
            match (entry, cgroup, scope) {
                (Entry::Move, Some(cgroup), _) => {
                    move_into(cgroup, 0).map_err(|e| Failure::new(Step::Clone, e.raw(), "in the cgroup"))?;
                }
                (Entry::Attach, _, Some(scope)) => {
                    scope.enter().map_err(|e| Failure::new(Step::Clone, 0, e.to_string()))?;
                }
                _ => {}
            }
            let failure = |namespace: &Namespace, e: Errno| {
                Failure::new(Step::JoinNamespace, e.raw(), format!("{} namespace", namespace.name))
            };
            // Namespaces of the host need our privileges over them; those that belong to the user namespace
            // need the privileges that entering it gives.
            let (user, others): (Vec<_>, Vec<_>) =
                joined.into_iter().partition(|(namespace, _)| namespace.flag == libc::CLONE_NEWUSER);
            let mut left = Vec::new();
            for (namespace, fd) in others {
                match setns(fd.as_fd(), namespace.flag) {
                    Ok(()) => {}
                    Err(e) if e.raw() == libc::EPERM => left.push((namespace, fd)),
                    Err(e) => return Err(failure(&namespace, e)),
                }
            }
            for (namespace, fd) in user.into_iter().chain(left) {
                setns(fd.as_fd(), namespace.flag).map_err(|e| failure(&namespace, e))?;
            }
            Ok(())
        };
        let answer = match join() {
            Err(failure) => Message::Failed(failure),
            Ok(()) => {
                let pid = init.pid_at_birth();
                match spawn(&CloneArgs { flags, cgroup, sibling: true, pid }, || init::run(init)) {
                    Ok(child) => Message::Pid(child.pid),
                    Err(e) => Message::Failed(init::clone_failure(pid, e)),
                }
            }
        };
        i32::from(theirs.send(&answer).is_err())
    })
    .at(|| "clone3")?;
    // Or the helper's death would not be the end of the channel.
    drop(theirs);
    made_by(&helper, &ours)?.ok_or_else(|| Error::new("join namespaces: the helper process ended"))
}

/// The process that a helper has made as our child; `None` when the helper ended without a word.
pub(crate) fn made_by(helper: &Child, channel: &Channel) -> Result<Option<Child>> {
    let answer = channel.receive();
    let _ = sys::process::wait_pidfd(helper.pidfd.as_fd(), true);
    match answer.at(|| "join namespaces")? {
        Some(Message::Pid(pid)) => {
            // It is our child and we have not waited for it, so the pid is still its own.
            let pidfd = sys::process::pidfd_open(pid).at(|| "pidfd_open")?;
            Ok(Some(Child { pid, pidfd }))
        }
        Some(Message::Failed(failure)) => Err(init_error(failure)),
        _ => Ok(None),
    }
}

/// Puts a process into a cgroup; 0 is ourselves.
pub(crate) fn move_into(cgroup: BorrowedFd<'_>, pid: i32) -> sys::Result<()> {
    let procs = openat(cgroup, "cgroup.procs", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    Ok(fs::File::from(procs).write_all(pid.to_string().as_bytes())?)
}

pub(crate) fn duplicate(fd: &Option<OwnedFd>) -> Result<Option<OwnedFd>> {
    fd.as_ref().map(OwnedFd::try_clone).transpose().map_err(Errno::from).at(|| "dup")
}

/// A user namespace with these mappings, held by a descriptor only.
fn mapped_namespace(uid_maps: &[IdMap], gid_maps: &[IdMap]) -> Result<OwnedFd> {
    let (ours, theirs) = Channel::pair().at(|| "socketpair")?;
    let flags = libc::CLONE_NEWUSER as u64;
    let inherited = Inherited::of(ours.fd());
    let holder = spawn(&CloneArgs { flags, ..CloneArgs::default() }, || {
        inherited.close();
        let _ = theirs.receive();
        0
    })
    .at(|| "clone3")?;
    let open = || {
        write_id_maps(holder.pid, uid_maps, gid_maps)?;
        let user = config::NAMESPACES[0];
        open_namespace(&user, Path::new(&format!("/proc/{}/ns/user", holder.pid)))
    };
    let namespace = open();
    let _ = sys::process::pidfd_send_signal(holder.pidfd.as_fd(), libc::SIGKILL);
    let _ = sys::process::wait_pidfd(holder.pidfd.as_fd(), true);
    namespace
}

/// The host's id of a container's id.
fn host_id(maps: &[IdMap], id: u32) -> Option<u32> {
    maps.iter()
        .find(|map| id >= map.container_id && id - map.container_id < map.size)
        .map(|map| map.host_id + (id - map.container_id))
}

/// Writes both maps ourselves where the kernel lets us, through newuidmap(1) and newgidmap(1) where only
/// /etc/subuid and /etc/subgid do (user_namespaces(7)).
fn write_id_maps(pid: i32, uid_maps: &[IdMap], gid_maps: &[IdMap]) -> Result<()> {
    let write = |file: &str, text: &str| {
        fs::OpenOptions::new()
            .write(true)
            .open(format!("/proc/{pid}/{file}"))
            .and_then(|mut f| f.write_all(text.as_bytes()))
    };
    let lines = |maps: &[IdMap]| -> String {
        maps.iter().map(|map| format!("{} {} {}\n", map.container_id, map.host_id, map.size)).collect()
    };
    if let Err(e) = write("uid_map", &lines(uid_maps)) {
        map_with_tool("newuidmap", pid, uid_maps, Errno::from(e))?;
    }
    if write("gid_map", &lines(gid_maps)).is_ok() {
        return Ok(());
    }
    // Our own group alone is allowed once setgroups(2) is not.
    let own = nix::unistd::getegid().as_raw();
    if matches!(gid_maps, [map] if map.size == 1 && map.host_id == own) {
        write("setgroups", "deny").map_err(Errno::from).at(|| format!("write /proc/{pid}/setgroups"))?;
        return write("gid_map", &lines(gid_maps)).map_err(Errno::from).at(|| "write gid map");
    }
    map_with_tool("newgidmap", pid, gid_maps, Errno::from_raw(libc::EPERM))
}

fn map_with_tool(tool: &str, pid: i32, maps: &[IdMap], refused: Errno) -> Result<()> {
    let what = || format!("write id map {maps:?}: {refused}; {tool}");
    let output = Command::new(tool)
        .arg(pid.to_string())
        .args(maps.iter().flat_map(|map| [map.container_id, map.host_id, map.size]).map(|n| n.to_string()))
        .output()
        .map_err(Errno::from)
        .at(what)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(Error::new(said)).at(what)
}

/// Init lowers limits itself, last; raising a hard limit takes CAP_SYS_RESOURCE on the host, which it may
/// not have any more.
pub(crate) fn raise_hard_limit(pid: i32, limit: &config::Rlimit) -> Result<()> {
    let what = || format!("set rlimit {} to {}:{}", limit.name, limit.soft, limit.hard);
    let (soft, hard) = sys::process::rlimit(limit.resource).at(what)?;
    if limit.hard <= hard {
        return Ok(());
    }
    sys::process::set_rlimit(pid, limit.resource, soft, limit.hard)
        .at(|| format!("{}: above the hard limit {hard}, which needs CAP_SYS_RESOURCE", what()))
}

/// A policy that no child of its inherits; the others a process sets itself.
pub(crate) fn set_scheduler(pid: i32, process: &config::Process) -> Result<()> {
    match process.scheduler.as_ref().filter(|attr| !attr.is_inherited()) {
        Some(attr) => {
            sys::sched::set_scheduler(pid, attr).at(|| format!("set scheduler policy {}", attr.policy))
        }
        None => Ok(()),
    }
}

/// `process` is a pid or `self`.
pub(crate) fn set_oom_score_adj(rt: &Runtime, process: &str, value: i32) -> Result<()> {
    let file = format!("/proc/{process}/oom_score_adj");
    let written = fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .and_then(|mut f| f.write_all(value.to_string().as_bytes()))
        .map_err(Errno::from);
    match written {
        // Lowering takes CAP_SYS_RESOURCE: a container without it is only more likely to be killed.
        Err(e) if [libc::EACCES, libc::EPERM].contains(&e.raw()) => {
            rt.warnings.borrow_mut().push(format!("process.oomScoreAdj: {value} is not permitted: {e}"));
            Ok(())
        }
        other => other.at(|| format!("write {value} to {file}")),
    }
}

/// `run.oci.keep_original_groups`: the caller's supplementary groups stay.
pub(crate) fn keeps_groups(config: &Config) -> bool {
    config.annotations.get("run.oci.keep_original_groups").is_some_and(|value| value == "1")
}

/// Without the rights of the host's root: another user, or root of a user namespace.
pub(crate) fn is_rootless(rt: &Runtime) -> bool {
    rt.rootless.unwrap_or_else(|| {
        !nix::unistd::geteuid().is_root()
            || !fs::read_to_string("/proc/self/uid_map")
                .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
    })
}

fn start_listener(dir: &Path) -> Result<OwnedFd> {
    let make = || -> sys::Result<OwnedFd> {
        let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
        let (_dir, address) = socket_address(dir, START_SOCKET).map_err(|_| Errno::from_raw(libc::EINVAL))?;
        bind(listener.as_raw_fd(), &address)?;
        listen(&listener, Backlog::new(16)?)?;
        Ok(listener)
    };
    make().at(|| format!("create {}", dir.join(START_SOCKET).display()))
}

/// A stream connection to a socket at any path. Its owner has ten seconds to make room in a full queue: a
/// `create` that waits for ever would make `start` and `delete` wait too.
pub(crate) fn connect_to(path: &Path) -> Result<OwnedFd> {
    let what = || format!("connect to {}", path.display());
    let absolute = std::path::absolute(path).map_err(Errno::from).at(what)?;
    let (Some(dir), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(Error::new(format!("{}: not a socket", path.display())));
    };
    let (_dir, address) = socket_address(dir, &name.to_string_lossy()).at(what)?;
    let client = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .map_err(Errno::from)
        .at(what)?;
    // Counts for connect(2), too (socket(7), SO_SNDTIMEO).
    setsockopt(&client, SendTimeout, &TimeVal::seconds(10)).map_err(Errno::from).at(what)?;
    match connect(client.as_raw_fd(), &address) {
        Err(nix::Error::EAGAIN) => Err(Error::new(format!("{}: nobody accepts the connection", what()))),
        other => other.map(|()| client).map_err(Errno::from).at(what),
    }
}

/// `--pid-file` and `--pidfd-socket`.
pub(crate) fn write_pid_files(
    pid: i32,
    pidfd: BorrowedFd<'_>,
    pid_file: Option<&Path>,
    pidfd_socket: Option<&Path>,
) -> Result<()> {
    if let Some(file) = pid_file {
        // No newline: go-runc parses the whole file as a number.
        state::write_atomically(file, pid.to_string().as_bytes()).at(|| "--pid-file")?;
    }
    if let Some(path) = pidfd_socket {
        let socket = connect_to(path).at(|| "--pidfd-socket")?;
        devices::send_fd(socket.as_fd(), pidfd, b"pidfd").at(|| "--pidfd-socket")?;
    }
    Ok(())
}
