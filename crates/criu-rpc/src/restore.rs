//! Restores as a request asks for them. Here is made what the tasks live in: a first process in namespaces as the images
//! have them, in its cgroup, with the root that the request names. All else the engine makes from there, the other mounts
//! included: there is no config.json, so the images are trusted as CRIU trusts them.
//!
//! The order: read the images → namespaces to join, mounts from outside, the cgroup → clone3 → the process enters all of it
//! and then the engine's nursery → the engine builds the tasks → they run. Until then an error kills them all.

use crate::dump::KINDS;
use crate::options::{NOBODY_LISTENS, Options, Result};
use cgroup::{Cgroup, Created, Resources};
use checkpoint::{
    Capabilities, CgroupMode, CgroupPolicy, ClockOffset, LazyPages, LogFile, NamespaceKind, Nursery, Origin,
    OwnCgroup, Policy, Restore, Setting, User, WorkDirectory,
};
use images::messages::{RestoreStatsEntry, StatsEntry};
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};
use sys::clone::{Child, CloneArgs, spawn};
use sys::mount::{MountAttr, attach, set_attr};
use sys::process::{prctl, setns};

/// clone(2)
const CLONE_NEWTIME: i32 = 0x80;

/// Takes the name of one of CRIU's scripts, the first task and a descriptor.
pub(crate) type Notify<'a> = dyn FnMut(&str, Option<i32>, Option<BorrowedFd<'_>>) -> Result<()> + 'a;

/// Restores the tree; the result is the pid of its first task, and what was counted.
pub(crate) fn restore(
    options: &Options,
    images: BorrowedFd<'_>,
    work: &WorkDirectory,
    notify: &mut Notify<'_>,
) -> Result<(i32, RestoreStatsEntry)> {
    if options.status_fd.is_some() {
        return Err(NOBODY_LISTENS.to_owned());
    }
    if options.page_server {
        return Err("page-server: memory is restored from the directory of the images".to_owned());
    }
    if options.lazy_pages && options.auto_dedup {
        return Err(
            "auto-dedup: pages that are still to be read are not given up; use it without lazy-pages"
                .to_owned(),
        );
    }
    // Whoever sees our first task's file cannot write to it; without privilege over our mounts it stays as it is.
    let _binary = sys::exe::protect();
    let mut log = options.log(work, "restore.log")?;
    let restored = bring_up(options, images, work, &mut log, notify).inspect_err(|error| log.error(error));
    let (pid, restored) = restored?;
    if options.auto_dedup
        && let Err(error) = checkpoint::give_up_pages(images)
    {
        // The tasks run in any case.
        log.line(&format!("dedup: {error}"));
    }
    let statistics = StatsEntry { dump: None, restore: Some(restored) };
    work.write_statistics("stats-restore", &statistics).map_err(|error| error.to_string())?;
    Ok((pid, restored))
}

fn bring_up(
    options: &Options,
    images: BorrowedFd<'_>,
    work: &WorkDirectory,
    log: &mut LogFile,
    notify: &mut Notify<'_>,
) -> Result<(i32, RestoreStatsEntry)> {
    let engine = |error: checkpoint::Error| error.to_string();
    let daemon = options.lazy_pages.then(|| LazyPages::connect(work, log)).transpose().map_err(engine)?;
    let mut line = |line: &str| log.line(line);
    if options.has_processor {
        checkpoint::check_processor(images, options.processor).map_err(engine)?;
    }
    let place = Place::new(options, Setting::read(images).map_err(engine)?)?;
    let mut tasks = Restore::open(images, place.policy(options)?, &mut line).map_err(engine)?;
    if let Some(daemon) = daemon {
        tasks.fill_lazily(daemon);
    }
    notify("pre-restore", None, None)?;
    let made = Made::new(&place, options, &tasks)?;
    let pid = made.child.pid;
    let mut build = || -> Result<()> {
        made.enter(&place)?;
        if place.has_namespaces() {
            notify("setup-namespaces", Some(pid), None)?;
        }
        tasks.build(pid, made.cgroup(), &mut line).map_err(engine)?;
        if place.has_namespaces() {
            notify("post-setup-namespaces", Some(pid), None)?;
        }
        if let Some(console) = tasks.console() {
            notify("orphan-pts-master", None, Some(console))?;
        }
        notify("post-restore", Some(pid), None)?;
        if !place.setting.namespaces.contains(&(NamespaceKind::Net, Origin::Host)) {
            notify("network-unlock", Some(pid), None)?;
        }
        notify("pre-resume", Some(pid), None)
    };
    if let Err(error) = build() {
        // Before the engine lets go of them, or they would run.
        made.undo();
        return Err(error);
    }
    let end = if options.leave_stopped { Restore::leave_stopped } else { Restore::resume };
    let statistics = end(tasks, &mut line).map_err(engine)?;
    // They run: nobody takes that back.
    let _ = notify("post-resume", Some(pid), None);
    Ok((pid, statistics))
}

/// All that was decided, and what is open for it.
struct Place {
    setting: Setting,
    /// By kind: the file of a namespace that is joined.
    joined: Vec<(NamespaceKind, OwnedFd)>,
    /// The root with all that is mounted below it, when the tasks have mounts of their own.
    root: Option<OwnedFd>,
    /// Mounts from outside by their key.
    mounts: Vec<(Vec<u8>, OwnedFd)>,
    cgroup: Option<(Cgroup, OwnCgroup)>,
}

impl Place {
    fn new(options: &Options, mut setting: Setting) -> Result<Place> {
        let mut joined = Vec::new();
        for (kind, origin) in &mut setting.namespaces {
            let (_, name, key) =
                KINDS.iter().find(|(known, ..)| known == kind).expect("all are in the table");
            if *kind == NamespaceKind::Time {
                // Clocks go on from where they were, on whatever host; CRIU has it so.
                *origin = Origin::Own;
            }
            if let Some((_, file)) = options.join.iter().find(|(kind, _)| kind == name) {
                let file = File::open(file)
                    .map_err(|error| format!("join-ns {name}:{}: {error}", file.display()))?;
                joined.push((*kind, file.into()));
                *origin = Origin::Joined;
            } else if *origin == Origin::Joined {
                let inherited = options.inherit.iter().find(|(given, _)| given == key);
                let (_, number) = inherited.ok_or_else(|| {
                    format!("the {name} namespace is from outside; give it with inherit-fd as {key}")
                })?;
                joined.push((*kind, own_descriptor(*number)?));
            }
        }
        let mut place = Place { setting, joined, root: None, mounts: Vec::new(), cgroup: None };
        if place.owns(NamespaceKind::Mnt) {
            let root = options
                .root
                .as_deref()
                .ok_or("root: the images have mounts, a place for the root is needed")?;
            let entry = place.setting.root.as_ref().ok_or("mountpoints: the images have no root")?;
            // Read-only only when everything is mounted.
            let attributes = entry.attributes & !sys::mount::MOUNT_ATTR_RDONLY;
            let tree = open_tree(root, true, attributes, entry.is_slave);
            place.root = Some(tree.map_err(|error| format!("root {}: {error}", root.display()))?);
            place.open_mounts(options)?;
        }
        if !options.ignores_cgroups
            && let Some(own) = &place.setting.cgroup
        {
            let path = options.cgroup_root.as_deref().unwrap_or(own);
            let path = Path::new(cgroup::MOUNT).join(path.strip_prefix("/").unwrap_or(path));
            let cgroup = Cgroup::open(&path).map_err(|error| error.to_string())?;
            let origin = origin(&cgroup, options.cgroups)?;
            place.cgroup = Some((cgroup, origin));
        }
        Ok(place)
    }

    /// Whether any namespace is not the host's, but for that of clocks, which every tree gets.
    fn has_namespaces(&self) -> bool {
        let mut others = self.setting.namespaces.iter().filter(|(kind, _)| *kind != NamespaceKind::Time);
        others.any(|(_, origin)| *origin != Origin::Host)
    }

    fn owns(&self, kind: NamespaceKind) -> bool {
        self.setting.namespaces.contains(&(kind, Origin::Own))
    }

    /// Mounts come as often as the images have them, but are opened once; those that nothing is given for are below others.
    fn open_mounts(&mut self, options: &Options) -> Result<()> {
        for mount in &self.setting.mounts {
            if self.mounts.iter().any(|(key, _)| *key == mount.key) {
                continue;
            }
            if let Some(path) = &mount.path {
                if !options.finds_mounts {
                    return Err(format!(
                        "{} is mounted from the host; use --ext-mount-map auto",
                        path.display()
                    ));
                }
                let tree = open_tree(path, false, mount.attributes, mount.is_slave);
                let tree = tree.map_err(|error| format!("external mount {}: {error}", path.display()))?;
                self.mounts.push((mount.key.clone(), tree));
                continue;
            }
            let given = options.mounts.iter().find(|(key, _)| key.as_bytes() == mount.key);
            let Some((key, source)) = given else { continue };
            let is_below = |other: &&checkpoint::SettingMount| {
                let rest = other.key.strip_prefix(key.as_bytes());
                rest.is_some_and(|rest| rest.starts_with(b"/"))
                    && options.mounts.iter().all(|(key, _)| key.as_bytes() != other.key)
            };
            let recursive = self.setting.mounts.iter().any(|other| is_below(&other));
            let tree = open_tree(Path::new(source), recursive, mount.attributes, mount.is_slave);
            let tree = tree.map_err(|error| format!("external mount {key}: {source}: {error}"))?;
            self.mounts.push((mount.key.clone(), tree));
        }
        Ok(())
    }

    /// Everything that the images say.
    fn policy(&self, options: &Options) -> Result<Policy> {
        let all = u64::MAX;
        let (mut selinux_label, mut apparmor_profile) =
            (self.setting.selinux_label.clone(), self.setting.apparmor_profile.clone());
        if let Some(profile) = &options.lsm_profile {
            match profile.split_once(':') {
                Some(("selinux", label)) => selinux_label = Some(label.to_owned()),
                // What LXC says where there is no AppArmor, too.
                Some(("apparmor", "unconfined")) => apparmor_profile = None,
                Some(("apparmor", profile)) => apparmor_profile = Some(profile.to_owned()),
                _ => {
                    return Err(format!(
                        "lsm-profile {profile}: selinux:LABEL or apparmor:PROFILE is needed"
                    ));
                }
            }
        }
        let mounts = self.mounts.iter().map(|(key, tree)| (key.clone(), tree.as_raw_fd())).collect();
        Ok(Policy {
            namespaces: self.setting.namespaces.clone(),
            user: User::default(),
            capabilities: Capabilities {
                bounding: all,
                effective: all,
                permitted: all,
                inheritable: all,
                ambient: all,
            },
            no_new_privileges: false,
            seccomp: None,
            rlimits: Vec::new(),
            selinux_label,
            apparmor_profile,
            has_names: false,
            cgroups: CgroupPolicy {
                mode: options.cgroups,
                own: self.cgroup.as_ref().map_or(OwnCgroup::Found, |(_, own)| *own),
            },
            tmpfs: Vec::new(),
            mounts: self.root.is_some().then_some(mounts),
            inherited: options.inherit.clone(),
            has_console: options.orphan_pts_master && self.setting.has_console,
            tcp_established: options.tcp_established,
            tcp_close: options.tcp_close,
            outer_unix_sockets: options.outer_unix_sockets(),
            lock_network: !options.skips_network_lock,
            network: (self.owns(NamespaceKind::Net) && !options.empties_network)
                .then(|| options.outer_links.clone()),
            skips_missing_sysctls: options.weak_sysctls,
        })
    }
}

/// Whether it is there, which the mode may forbid, or ask for.
fn origin(cgroup: &Cgroup, mode: CgroupMode) -> Result<OwnCgroup> {
    let refused = |why: &str| Err(format!("manage-cgroups: cgroup {} {why}", cgroup.path().display()));
    match cgroup.exists() {
        true if mode == CgroupMode::Strict => refused("is there already, which strict does not allow"),
        true if cgroup.is_frozen().map_err(|error| error.to_string())? => refused("is frozen"),
        true => Ok(OwnCgroup::Found),
        false if !mode.makes_missing() => refused("is missing, and none and props make none"),
        false => Ok(OwnCgroup::Made),
    }
}

fn own_descriptor(number: RawFd) -> Result<OwnedFd> {
    sys::process::own_descriptor(number).map_err(|error| format!("inherit-fd fd[{number}]: {error}"))
}

/// A detached copy of a mount, with these attributes (`MOUNT_ATTR_`) and no others.
fn open_tree(path: &Path, recursive: bool, attributes: u64, is_slave: bool) -> sys::Result<OwnedFd> {
    use sys::mount::*;
    const ALL: u64 = MOUNT_ATTR_RDONLY
        | MOUNT_ATTR_NOSUID
        | MOUNT_ATTR_NODEV
        | MOUNT_ATTR_NOEXEC
        | MOUNT_ATTR_NOSYMFOLLOW
        | MOUNT_ATTR_NODIRATIME;
    let tree = clone_tree(AT_FDCWD, path, recursive)?;
    set_attr(tree.as_fd(), recursive, &propagation(is_slave))?;
    let clear = ALL & !attributes | MOUNT_ATTR_ATIME;
    set_attr(tree.as_fd(), false, &MountAttr { set: attributes, clear, propagation: 0 })?;
    Ok(tree)
}

/// Never to the host.
fn propagation(is_slave: bool) -> MountAttr {
    let propagation = if is_slave { libc::MS_SLAVE } else { libc::MS_PRIVATE };
    MountAttr { propagation, ..MountAttr::default() }
}

/// What exists from clone3 on.
struct Made {
    child: Child,
    /// What the child has to say; its end says that it is in the nursery.
    said: PipeReader,
    /// For the id maps of its user namespace.
    go: PipeWriter,
    cgroup: Option<(Cgroup, Option<Created>)>,
}

impl Made {
    fn new(place: &Place, options: &Options, tasks: &Restore) -> Result<Made> {
        let create = |(cgroup, origin): &(Cgroup, OwnCgroup)| {
            let created = match origin {
                OwnCgroup::Made => cgroup.create(&Resources::default()).map(Some),
                OwnCgroup::Found | OwnCgroup::Configured => Ok(None),
            };
            created.map(|created| (cgroup.clone(), created)).map_err(|error| error.to_string())
        };
        let cgroup = place.cgroup.as_ref().map(create).transpose()?;
        let made = spawn_first(place, options, tasks, cgroup.as_ref().map(|(cgroup, _)| cgroup));
        match made {
            Ok((child, said, go)) => Ok(Made { child, said, go, cgroup }),
            Err(error) => {
                if let Some((_, Some(created))) = cgroup {
                    let _ = created.undo();
                }
                Err(error)
            }
        }
    }

    /// Waits until the first process is in its place, and in the nursery.
    fn enter(&self, place: &Place) -> Result<()> {
        if place.owns(NamespaceKind::User) {
            for (file, maps) in [("uid_map", &place.setting.uid_maps), ("gid_map", &place.setting.gid_maps)] {
                let path = format!("/proc/{}/{file}", self.child.pid);
                let lines: String = maps
                    .iter()
                    .map(|(inside, outside, count)| format!("{inside} {outside} {count}\n"))
                    .collect();
                fs::write(&path, lines).map_err(|error| format!("write {path}: {error}"))?;
            }
        }
        let mut text = String::new();
        let told = (&self.go).write_all(b"\n").and_then(|()| (&self.said).read_to_string(&mut text));
        told.map_err(|error| format!("task {}: {error}", self.child.pid))?;
        if text.is_empty() { Ok(()) } else { Err(text) }
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref().map(|(cgroup, _)| cgroup)
    }

    fn undo(self) {
        let _ = sys::process::pidfd_send_signal(self.child.pidfd.as_fd(), libc::SIGKILL);
        self.wait_for_its_end();
        if let Some((_, Some(created))) = self.cgroup {
            let _ = created.undo();
        }
    }
}

impl Made {
    /// It ends last in its pid namespace, and only when those that the engine traces have ended for us to see (ptrace(2)).
    fn wait_for_its_end(&self) {
        use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
        let deadline = Instant::now() + Duration::from_secs(10);
        let is_running = || matches!(sys::process::pidfd_is_running(self.child.pidfd.as_fd()), Ok(true));
        while is_running() && Instant::now() < deadline {
            match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(_) => std::thread::sleep(Duration::from_millis(1)),
                Ok(_) => {}
            }
        }
    }
}

/// Namespaces that are joined are entered by us for as long as it takes to clone, because who is in a user namespace of its
/// own may not enter others.
fn spawn_first(
    place: &Place,
    options: &Options,
    tasks: &Restore,
    cgroup: Option<&Cgroup>,
) -> Result<(Child, PipeReader, PipeWriter)> {
    let pipe = || std::io::pipe().map_err(|error| format!("pipe: {error}"));
    let ((said, says), (goes, go)) = (pipe()?, pipe()?);
    let procs = match cgroup {
        Some(cgroup) => {
            let file = cgroup.path().join("cgroup.procs");
            let open = fs::OpenOptions::new().write(true).open(&file);
            Some(open.map_err(|error| format!("open {}: {error}", file.display()))?)
        }
        None => None,
    };
    let is_own_pid = place.owns(NamespaceKind::Pid);
    let own: Vec<(i32, File)> =
        place.joined.iter().map(|(kind, _)| own_namespace(*kind)).collect::<Result<_>>()?;
    let first = First {
        place,
        root: options.root.as_deref(),
        offsets: tasks.clock_offsets(),
        nursery: tasks.nursery(),
        inherited: options.inherit.iter().map(|(_, number)| *number).collect(),
        procs,
    };
    let arguments = CloneArgs {
        flags: flags(place),
        cgroup: None,
        sibling: options.restore_sibling,
        pid: (!is_own_pid).then(|| tasks.pid()),
    };
    let joined =
        place.joined.iter().zip(&own).try_for_each(|((_, file), (flag, _))| setns(file.as_fd(), *flag));
    let mut ends = Some((said, go));
    let child = joined.and_then(|()| {
        spawn(&arguments, || {
            // The child's copies: the other ends are to end with us.
            drop(ends.take());
            first.run(&goes, says)
        })
    });
    // All of them, however far it came.
    let mut back = Ok(());
    for (flag, file) in &own {
        back = back.and(setns(file.as_fd(), *flag));
    }
    let child = child.map_err(|error| format!("make the first task: {error}"))?;
    back.map_err(|error| format!("return to our namespaces: {error}"))?;
    drop(first);
    let (said, go) = ends.expect("only the child has taken them");
    Ok((child, said, go))
}

fn own_namespace(kind: NamespaceKind) -> Result<(i32, File)> {
    let (_, name, _) = KINDS.iter().find(|(known, ..)| *known == kind).expect("all are in the table");
    let path = format!("/proc/self/ns/{name}");
    let file = File::open(&path).map_err(|error| format!("open {path}: {error}"))?;
    Ok((flag(kind), file))
}

fn flag(kind: NamespaceKind) -> i32 {
    match kind {
        NamespaceKind::User => libc::CLONE_NEWUSER,
        NamespaceKind::Ipc => libc::CLONE_NEWIPC,
        NamespaceKind::Uts => libc::CLONE_NEWUTS,
        NamespaceKind::Net => libc::CLONE_NEWNET,
        NamespaceKind::Pid => libc::CLONE_NEWPID,
        NamespaceKind::Cgroup => libc::CLONE_NEWCGROUP,
        NamespaceKind::Time => CLONE_NEWTIME,
        NamespaceKind::Mnt => libc::CLONE_NEWNS,
    }
}

/// Those that clone3 makes. A time namespace has offsets, and one of cgroups begins where its process is: both come later.
fn flags(place: &Place) -> u64 {
    let later = [NamespaceKind::Time, NamespaceKind::Cgroup];
    let kinds = KINDS.iter().map(|(kind, ..)| *kind);
    let own = kinds.filter(|kind| place.owns(*kind) && !later.contains(kind));
    own.map(|kind| flag(kind) as u32 as u64).sum()
}

/// The first process, on its way into the nursery.
struct First<'a> {
    place: &'a Place,
    root: Option<&'a Path>,
    offsets: Vec<ClockOffset>,
    nursery: Nursery,
    inherited: Vec<RawFd>,
    /// `cgroup.procs` of the cgroup to go to.
    procs: Option<File>,
}

impl First<'_> {
    /// Returns only when it fails, which it has told then.
    fn run(&self, goes: &PipeReader, mut says: PipeWriter) -> i32 {
        if let Err(error) = self.settle(goes) {
            let _ = says.write_all(error.as_bytes());
            return 1;
        }
        let kept = self.nursery.descriptors().iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>();
        let mounts = self.place.mounts.iter().map(|(_, tree)| tree.as_raw_fd());
        let kept: Vec<RawFd> = kept.into_iter().chain(mounts).chain(self.inherited.iter().copied()).collect();
        // `says` among the others, whose end is what the engine waits for.
        if sys::process::close_all_but(&kept).is_ok() {
            self.nursery.enter();
        }
        1
    }

    fn settle(&self, mut goes: &PipeReader) -> Result<()> {
        goes.read_exact(&mut [0]).map_err(|error| format!("first task: {error}"))?;
        let failed = |what: &'static str| move |error: sys::Errno| format!("first task: {what}: {error}");
        if let Some(mut procs) = self.procs.as_ref() {
            procs.write_all(b"0").map_err(|error| format!("first task: enter its cgroup: {error}"))?;
        }
        if self.place.owns(NamespaceKind::Cgroup) {
            sys::process::unshare(libc::CLONE_NEWCGROUP).map_err(failed("make a cgroup namespace"))?;
        }
        if self.place.owns(NamespaceKind::Time) {
            self.new_time_namespace().map_err(failed("make a time namespace"))?;
        }
        if self.place.owns(NamespaceKind::User) {
            sys::process::setresgid(0).map_err(failed("become root"))?;
            sys::process::setresuid(0).map_err(failed("become root"))?;
        }
        // What is seen of it is not what the tasks will be.
        let _ = prctl(libc::PR_SET_DUMPABLE, 0, 0, 0);
        if self.place.owns(NamespaceKind::Net) {
            loopback_up();
        }
        match (&self.place.root, self.root) {
            (Some(tree), Some(root)) => change_root(tree, root).map_err(failed("change its root")),
            _ => Ok(()),
        }
    }

    /// Offsets can be set only while nobody is in it (time_namespaces(7)): it is made for children, set, and then entered.
    fn new_time_namespace(&self) -> sys::Result<()> {
        sys::process::unshare(CLONE_NEWTIME)?;
        let lines: String = self
            .offsets
            .iter()
            .map(|it| format!("{} {} {}\n", it.clock, it.seconds, it.nanoseconds))
            .collect();
        fs::OpenOptions::new().write(true).open("/proc/self/timens_offsets")?.write_all(lines.as_bytes())?;
        setns(File::open("/proc/self/ns/time_for_children")?.as_fd(), CLONE_NEWTIME)
    }
}

/// A kernel without IPv4 has no loopback to bring up.
fn loopback_up() {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    if let Ok(socket) = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None) {
        let _ = sys::process::interface_up(socket.as_fd(), "lo");
    }
}

fn change_root(tree: &OwnedFd, root: &Path) -> sys::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let slash = openat(AT_FDCWD, "/", flags, Mode::empty())?;
    // Nothing that happens here may be seen on the host.
    set_attr(slash.as_fd(), true, &propagation(true))?;
    // Root of a user namespace may not reach the place; `/` is always there.
    let place = openat(AT_FDCWD, root, flags, Mode::empty()).unwrap_or(slash);
    attach(tree.as_fd(), place.as_fd())?;
    nix::unistd::fchdir(tree)?;
    // The current directory is now the old root, stacked over the new one. The engine takes it away.
    sys::mount::pivot_root_to_cwd()
}
