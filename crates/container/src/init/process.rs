//! From root in the container's namespaces to the program: shared by init and by exec'd processes.
//!
//! Three parts. `prepare` does everything that takes privileges, closes what is the host's, and gives up all
//! privileges but one: a filter without no_new_privs needs CAP_SYS_ADMIN, which therefore stays permitted until
//! the filter is in. All that it sets, a child inherits: where others of the container would see the process, only
//! a child made after it is in their sight. `settle` takes none; after it `create` knows that the program can be
//! started. `start` runs after `floe start` and does what must be last. Its order is fixed: limits that would
//! hinder us, then the filter, then nothing but execve(2), as the filter may forbid all else.

use super::paths::{Kind, is_device, open_or_create, reopen};
use super::protocol::{Channel, During, Failure, InitResult, Message, Step};
use crate::config::{Capabilities, Process};
use crate::seccomp;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{AccessFlags, Uid, fchown};
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use sys::cstr;
use sys::path::{RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV, openat2, resolve_in_root};
use sys::process::{CapSets, capget, capset, prctl};
use sys::security::{SockFilter, install_filter};

/// capabilities(7), as a bit of a set.
pub(crate) const CAP_SYS_ADMIN: u64 = 1 << 21;

/// What a process needs besides its section of config.json.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) process: &'a Process,
    pub(crate) seccomp: Option<&'a seccomp::Program>,
    /// The host's procfs, opened and checked before any namespace was entered. The container's own /proc
    /// is never used for writing (CVE-2025-52881).
    pub(crate) procfs: BorrowedFd<'a>,
    /// Descriptors besides stdio that the program inherits. They are close-on-exec until then: hooks do not.
    pub(crate) preserved: &'a [RawFd],
    /// Sockets and files that are needed until the program runs. Everything else is closed before the first path of
    /// config.json is looked up, or it could lead out through /proc/self/fd (CVE-2024-21626).
    pub(crate) keep: Vec<BorrowedFd<'a>>,
    /// Variables that floe adds: LISTEN_FDS and the like.
    pub(crate) extra_env: Vec<String>,
    /// A missing working directory is made, as runc does: for the container, not for exec, whose caller is mistaken.
    pub(crate) makes_cwd: bool,
    /// The supplementary groups stay what they are (`run.oci.keep_original_groups`).
    pub(crate) keep_groups: bool,
    pub(crate) personality: Option<u64>,
    pub(crate) memory_policy: Option<&'a crate::config::MemoryPolicy>,
    pub(crate) apparmor: Option<&'a str>,
}

/// What `prepare` leaves to the process in the container.
#[derive(Debug)]
pub(crate) struct Prepared {
    home: String,
    caps: CapSets,
    /// Standard input is to be the controlling terminal.
    has_terminal: bool,
    /// The working directory has been reached.
    is_in_cwd: bool,
}

/// All that execve(2) needs, and the capabilities that remain to be set before it.
#[derive(Debug)]
pub(crate) struct Program {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    caps: CapSets,
}

/// After this no descriptor but those of `keep` and of the program may be used.
pub(crate) fn prepare(launch: &Launch<'_>, terminal: Option<OwnedFd>) -> InitResult<Prepared> {
    let process = launch.process;
    set_label(launch)?;
    if !launch.keep_groups {
        set_groups(launch.procfs, &process.additional_gids)
            .during(Step::Groups, || format!("{:?}", process.additional_gids))?;
    }
    let has_terminal = terminal.is_some();
    let root = super::open_root().during(Step::Stdio, || "/")?;
    set_stdio(launch, root.as_fd(), terminal)?;
    let home = home_directory(root.as_fd(), launch.procfs, process.uid);
    drop(root);
    close_others(launch)?;
    set_inherited(launch)?;
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    // A missing working directory is made, as runc does; not through /proc/PID/root, which root of a
    // container with the host's pids could follow.
    if launch.makes_cwd
        && let (Ok(root), Some(cwd)) = (super::open_root(), process.cwd.to_str())
    {
        let _ = open_or_create(root.as_fd(), cwd, Kind::Directory);
    }
    let is_in_cwd = nix::unistd::chdir(&process.cwd).is_ok();
    let caps = become_user(launch)?;
    // Changing ids has made us dumpable again.
    let _ = prctl(libc::PR_SET_DUMPABLE, 0, 0, 0);
    Ok(Prepared { home, caps, has_terminal, is_in_cwd })
}

/// What is left of `prepare` for the first task of a checkpoint: whose user it is, what it may do and where it works is
/// the engine's to set, last of all and within what config.json allows.
pub(crate) fn prepare_task(launch: &Launch<'_>, terminal: Option<OwnedFd>) -> InitResult<()> {
    let root = super::open_root().during(Step::Stdio, || "/")?;
    set_stdio(launch, root.as_fd(), terminal)?;
    drop(root);
    close_others(launch)?;
    set_inherited(launch)
}

fn close_others(launch: &Launch<'_>) -> InitResult<()> {
    let keep: Vec<RawFd> =
        launch.keep.iter().map(AsRawFd::as_raw_fd).chain(launch.preserved.iter().copied()).collect();
    sys::process::close_all_but(&keep).during(Step::Stdio, || "close descriptors")
}

/// What every process of the container inherits from its first.
fn set_inherited(launch: &Launch<'_>) -> InitResult<()> {
    let process = launch.process;
    if let Some(persona) = launch.personality {
        sys::sched::set_personality(persona).during(Step::Personality, || format!("{persona:#x}"))?;
    }
    if let Some(attr) = process.scheduler.as_ref().filter(|attr| attr.is_inherited()) {
        sys::sched::set_scheduler(0, attr).during(Step::Scheduler, || format!("policy {}", attr.policy))?;
    }
    if let Some(priority) = process.io_priority {
        sys::sched::set_io_priority(priority.class, priority.level)
            .during(Step::IoPriority, || format!("class {} level {}", priority.class, priority.level))?;
    }
    if let Some(policy) = launch.memory_policy {
        sys::sched::set_memory_policy(policy.mode, &policy.nodes)
            .during(Step::MemoryPolicy, || format!("mode {:#x}", policy.mode))?;
    }
    Ok(())
}

/// What takes no privileges, and what only the process itself can do: lead a session, and find what config.json names,
/// which may be below /proc/self.
pub(crate) fn settle(launch: &Launch<'_>, prepared: &Prepared) -> InitResult<Program> {
    let process = launch.process;
    nix::unistd::setsid().during(Step::Session, String::new)?;
    if prepared.has_terminal {
        sys::process::set_controlling_tty(std::io::stdin().as_fd()).during(Step::Stdio, String::new)?;
    }
    if !prepared.is_in_cwd {
        // Root may be shut out where the user is not: NFS with root_squash, FUSE.
        nix::unistd::chdir(&process.cwd).during(Step::Cwd, || format!("\"{}\"", process.cwd.display()))?;
    }
    check_cwd(process)?;
    nix::sys::stat::umask(Mode::from_bits_truncate(process.umask.unwrap_or(0o022)));

    let env = environment(process, &launch.extra_env, &prepared.home);
    let path = find_program(&process.args[0], &env)?;
    let cstrings = |list: &[String]| -> InitResult<Vec<CString>> {
        list.iter().map(|text| cstr(text).during(Step::Exec, || text.as_str())).collect()
    };
    Ok(Program { path, args: cstrings(&process.args)?, env: cstrings(&env)?, caps: prepared.caps })
}

/// Status of a process that the kernel would not execute, as runc has it.
pub(crate) const NOT_EXECUTED: i32 = 255;

/// Becomes the program; returns only when that fails, with nothing more to report when the kernel refuses the file.
/// `channel` is where a seccomp listener is announced.
pub(crate) fn start(launch: &Launch<'_>, program: &Program, channel: &Channel) -> InitResult<()> {
    apply_last(launch, &program.caps, channel)?;
    let errno = sys::process::execve(&program.path, &program.args, &program.env);
    // Another architecture, a missing interpreter. As under runc the container has then started and ended: people
    // and engines look for the reason in its log and status.
    let line = format!("exec {}: {errno}\n", program.path.to_string_lossy());
    let _ = nix::unistd::write(std::io::stderr(), line.as_bytes());
    Ok(())
}

fn apply_last(launch: &Launch<'_>, caps: &CapSets, channel: &Channel) -> InitResult<()> {
    // Rust's start-up ignores SIGPIPE, and our callers have ignored what they like.
    sys::process::default_signals();
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
    for limit in &launch.process.rlimits {
        sys::process::set_rlimit(0, limit.resource, limit.soft, limit.hard)
            .during(Step::Rlimit, || format!("{} to {}:{}", limit.name, limit.soft, limit.hard))?;
    }
    for number in launch.preserved {
        sys::process::pass_on(*number).during(Step::Stdio, || format!("descriptor {number}"))?;
    }
    if launch.process.no_new_privileges {
        capset(caps).during(Step::Capabilities, String::new)?;
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0).during(Step::NoNewPrivileges, String::new)?;
        set_filter(launch, channel)
    } else {
        set_filter(launch, channel)?;
        capset(caps).during(Step::Capabilities, String::new)
    }
}

fn set_filter(launch: &Launch<'_>, channel: &Channel) -> InitResult<()> {
    let Some(program) = launch.seccomp else { return Ok(()) };
    if !launch.process.no_new_privileges {
        let caps = capget().during(Step::Capabilities, String::new)?;
        let admin = CapSets { effective: caps.effective | caps.permitted & CAP_SYS_ADMIN, ..caps };
        capset(&admin).during(Step::Capabilities, String::new)?;
    }
    let listener = install(&program.filter, program.flags)?;
    if let Some(listener) = listener {
        use std::os::fd::AsRawFd;
        // Only read(2) and write(2) from here on: the filter may notify about everything else.
        channel.ask_plainly(&Message::SeccompListener(listener.as_raw_fd()))?;
    }
    Ok(())
}

fn install(filter: &[SockFilter], flags: u64) -> InitResult<Option<OwnedFd>> {
    install_filter(filter, flags).during(Step::Seccomp, || format!("of {} instructions", filter.len()))
}

fn set_label(launch: &Launch<'_>) -> InitResult<()> {
    let write = |file: &str, text: &str| -> sys::Result<()> {
        // On procfs itself: what is mounted over the file would take the label (CVE-2019-16884).
        let resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
        let file = openat2(launch.procfs, file, libc::O_WRONLY, 0, resolve)?;
        Ok(File::from(file).write_all(text.as_bytes())?)
    };
    if let Some(label) = &launch.process.selinux_label {
        write("self/attr/exec", label).during(Step::SecurityLabel, || label.as_str())?;
    }
    if let Some(profile) = launch.apparmor {
        let text = format!("exec {profile}");
        write("self/attr/apparmor/exec", &text)
            .or_else(|_| write("self/attr/exec", &text))
            .during(Step::SecurityLabel, || profile)?;
    }
    Ok(())
}

fn set_stdio(launch: &Launch<'_>, root: BorrowedFd<'_>, terminal: Option<OwnedFd>) -> InitResult<()> {
    let process = launch.process;
    let set = || -> sys::Result<()> {
        if let Some(terminal) = terminal {
            fchown(&terminal, Some(Uid::from_raw(process.uid)), None)?;
            for number in 0..3 {
                sys::process::dup_onto(terminal.as_fd(), number)?;
            }
            return Ok(());
        }
        let stdio = [
            std::io::stdin().as_fd().try_clone_to_owned(),
            std::io::stdout().as_fd().try_clone_to_owned(),
            std::io::stderr().as_fd().try_clone_to_owned(),
        ];
        for (number, file) in stdio.into_iter().enumerate() {
            // A closed descriptor stays closed.
            let Ok(file) = file else { continue };
            if is_device(file.as_fd(), 1, 3) {
                // The host's /dev/null would be a way to a file outside the container.
                if let Ok(null) = resolve_in_root(root, "/dev/null", libc::O_NOFOLLOW)
                    && is_device(null.as_fd(), 1, 3)
                    && let Ok(null) = reopen(launch.procfs, null.as_fd(), OFlag::O_RDWR)
                {
                    sys::process::dup_onto(null.as_fd(), number as i32)?;
                }
                continue;
            }
            // The user must be able to open /dev/stdout again.
            if fstat(&file)?.st_uid != process.uid {
                match fchown(&file, Some(Uid::from_raw(process.uid)), None) {
                    // An id without a mapping, no privilege, or a file system that has no owners.
                    Ok(())
                    | Err(nix::Error::EINVAL | nix::Error::EPERM | nix::Error::EROFS | nix::Error::ENOSYS) => {
                    }
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(())
    };
    set().during(Step::Stdio, String::new)
}

/// Changes ids and capabilities. The result is what remains to be set once the filter is installed.
fn become_user(launch: &Launch<'_>) -> InitResult<CapSets> {
    let process = launch.process;
    let have = capget().during(Step::Capabilities, String::new)?;
    let wanted = process.capabilities.unwrap_or_default();
    // "A runtime MUST NOT fail if the configuration requests capabilities that cannot be granted".
    let grant = |set: u64| set & have.permitted;
    let wanted = Capabilities {
        bounding: wanted.bounding,
        permitted: grant(wanted.permitted),
        effective: grant(wanted.effective) & grant(wanted.permitted),
        inheritable: grant(wanted.inheritable),
        ambient: grant(wanted.ambient) & grant(wanted.permitted) & grant(wanted.inheritable),
    };
    drop_bounding(wanted.bounding).during(Step::Capabilities, || "bounding")?;
    prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0).during(Step::Capabilities, || "keep")?;
    sys::process::setresgid(process.gid).during(Step::User, || format!("gid {}", process.gid))?;
    sys::process::setresuid(process.uid).during(Step::User, || format!("uid {}", process.uid))?;
    prctl(libc::PR_SET_KEEPCAPS, 0, 0, 0).during(Step::Capabilities, || "keep")?;

    let last =
        CapSets { effective: wanted.effective, permitted: wanted.permitted, inheritable: wanted.inheritable };
    let admin = match launch.seccomp {
        Some(_) if !process.no_new_privileges => have.permitted & CAP_SYS_ADMIN,
        _ => 0,
    };
    let now = CapSets { permitted: last.permitted | admin, ..last };
    capset(&now).during(Step::Capabilities, String::new)?;
    let _ = prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0, 0);
    for capability in (0..64).filter(|bit| wanted.ambient & 1 << bit != 0) {
        prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, capability, 0)
            .during(Step::Capabilities, || format!("ambient {capability}"))?;
    }
    Ok(last)
}

/// setgroups(2). A user namespace made without privilege denies it for good (user_namespaces(7)): then the
/// groups stay, which is no error unless others are asked for.
pub(crate) fn set_groups(procfs: BorrowedFd<'_>, groups: &[u32]) -> sys::Result<()> {
    match sys::process::setgroups(groups) {
        Err(e) if e.raw() == libc::EPERM && groups.is_empty() => {
            let mut text = [0u8; 4];
            let file = openat(procfs, "self/setgroups", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
            let _ = File::from(file).read(&mut text);
            if text == *b"deny" { Ok(()) } else { Err(e) }
        }
        other => other,
    }
}

fn drop_bounding(keep: u64) -> sys::Result<()> {
    for capability in 0..64 {
        if keep & 1 << capability != 0 {
            continue;
        }
        match prctl(libc::PR_CAPBSET_DROP, capability, 0, 0) {
            Ok(_) => {}
            // One past the kernel's last.
            Err(e) if e.raw() == libc::EINVAL => break,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// A working directory that came through a leaked descriptor is outside the root (CVE-2024-21626).
fn check_cwd(process: &Process) -> InitResult<()> {
    match nix::unistd::getcwd() {
        Ok(path) if path.is_absolute() => Ok(()),
        // "(unreachable)" of getcwd(2), or a directory that has been removed.
        Ok(_) | Err(nix::Error::ENOENT) => Err(Failure::new(
            Step::Cwd,
            0,
            format!("\"{}\": it is outside of the container's root", process.cwd.display()),
        )),
        Err(e) => Err(e).during(Step::Cwd, || process.cwd.display().to_string()),
    }
}

/// The user's home from the container's /etc/passwd; `/` when it says nothing.
fn home_directory(root: BorrowedFd<'_>, procfs: BorrowedFd<'_>, uid: u32) -> String {
    let read = || -> sys::Result<String> {
        let file = resolve_in_root(root, "/etc/passwd", 0)?;
        // Opening a device of the image's would already do something.
        if fstat(&file)?.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(sys::Errno::from_raw(libc::EINVAL));
        }
        let mut text = String::new();
        File::from(reopen(procfs, file.as_fd(), OFlag::O_RDONLY)?).take(1 << 20).read_to_string(&mut text)?;
        Ok(text)
    };
    let Ok(passwd) = read() else { return "/".to_owned() };
    home_in(&passwd, uid).unwrap_or("/").to_owned()
}

/// The home of a user in the text of passwd(5): `name:password:uid:gid:comment:home:shell`.
fn home_in(passwd: &str, uid: u32) -> Option<&str> {
    let home = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(uid)).then(|| fields.get(5).copied())?
    });
    home.filter(|home| !home.is_empty())
}

/// What is found becomes a variable of the environment: it cannot bring a second one.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let passwd = String::from_utf8_lossy(bytes);
    for uid in [0, 1000] {
        let home = home_in(&passwd, uid).unwrap_or_default();
        assert!(passwd.contains(home) && !home.contains(['\n', ':']));
    }
}

/// config.json's variables, the last of a name winning, then floe's.
fn environment(process: &Process, extra: &[String], home: &str) -> Vec<String> {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let mut env: Vec<String> = Vec::with_capacity(process.env.len() + extra.len() + 1);
    for variable in process.env.iter().chain(extra) {
        match env.iter_mut().find(|other| name(other) == name(variable)) {
            Some(other) => other.clone_from(variable),
            None => env.push(variable.clone()),
        }
    }
    if !env.iter().any(|variable| name(variable) == "HOME") {
        env.push(format!("HOME={home}"));
    }
    env
}

/// What execvp(3) would run, looked up as the user in the container so that `create` can already fail.
fn find_program(program: &str, env: &[String]) -> InitResult<CString> {
    let check = |path: &str| -> nix::Result<()> {
        let stat = nix::sys::stat::stat(path)?;
        if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
            return Err(nix::Error::EISDIR);
        }
        nix::unistd::faccessat(nix::fcntl::AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS)
    };
    let done = |path: &str| cstr(path).during(Step::FindProgram, || format!("{program:?}"));
    if program.contains('/') {
        return match check(program) {
            Ok(()) => done(program),
            // With execve(2)'s error: Podman looks for these words, Docker for the first three.
            Err(nix::Error::EISDIR) => {
                Err(Failure::new(Step::FindProgram, libc::EACCES, format!("{program:?}: is a directory")))
            }
            Err(errno) => Err(errno).during(Step::FindProgram, || format!("{program:?}")),
        };
    }
    let path = env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
    let mut denied = false;
    for directory in path.split(':') {
        let candidate =
            if directory.is_empty() { format!("./{program}") } else { format!("{directory}/{program}") };
        match check(&candidate) {
            Ok(()) => return done(&candidate),
            Err(nix::Error::EACCES) => denied = true,
            Err(_) => {}
        }
    }
    if denied {
        return Err(Failure::new(Step::FindProgram, libc::EACCES, format!("{program:?}")));
    }
    // Docker, Podman and BuildKit look for these words.
    Err(Failure::new(Step::FindProgram, 0, format!("{program:?}: executable file not found in $PATH")))
}

impl Channel {
    /// As `ask`, with write(2) and read(2) only.
    fn ask_plainly(&self, message: &Message) -> InitResult<()> {
        let bytes = message.encode();
        nix::unistd::write(self.fd(), &bytes).during(Step::Sync, String::new)?;
        let mut answer = [0u8; 64];
        let length = nix::unistd::read(self.fd(), &mut answer).during(Step::Sync, String::new)?;
        match Message::decode(&answer[..length]) {
            Some(Message::Continue) => Ok(()),
            _ => Err(Failure::new(Step::Seccomp, libc::EPIPE, "the listener was not handed over")),
        }
    }
}
