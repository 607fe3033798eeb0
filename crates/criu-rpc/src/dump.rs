//! Dumps as a request asks for them. What is the tasks' own is seen from what they are; what is from outside, the request
//! names.

use crate::options::{NOBODY_LISTENS, Options, Result};
use crate::{lazy_pages, page_server};
use cgroup::Cgroup;
use checkpoint::{
    Afterwards, DumpOptions, Event, ExternalMount, Externals, NamespaceKind, Origin, OtherMounts, Target,
    WorkDirectory,
};
use images::messages::{DumpStatsEntry, StatsEntry};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use sys::mount::mount_point;
use sys::path::resolve_in_root;

/// Where it is written down who keeps track of writes to the memory of a process, for the next dump of it.
const STATE: &str = "/run/floe-criu";

/// Dumps the tree below `options.tree`; `notify` takes the names of CRIU's scripts.
pub(crate) fn dump(
    options: &Options,
    pre_dump: bool,
    images: BorrowedFd<'_>,
    work: &WorkDirectory,
    notify: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<DumpStatsEntry> {
    if options.status_fd.is_some() && !options.lazy_pages {
        return Err(NOBODY_LISTENS.to_owned());
    }
    let init = options.tree.ok_or("tree: the pid of a process is needed: who asks cannot be dumped")?;
    let what = |error: sys::Errno| format!("task {init}: {error}");
    let pidfd = sys::process::pidfd_open(init).map_err(what)?;
    let text = |error: cgroup::Error| error.to_string();
    let cgroup = cgroup(options, init);
    let is_paused = cgroup.as_ref().map_or(Ok(false), Cgroup::is_frozen).map_err(text)?;
    let tracking = tracking(init)?;
    // The same options say where memory goes, or where it is served.
    let source = options.lazy_pages.then(|| page_server::source(options)).transpose()?;
    let page_server = if options.lazy_pages { None } else { page_server::connect(options)? };
    let mut status = options.status_fd.map(lazy_pages::status).transpose()?;
    let namespaces = namespaces(options, init)?;
    let recorded = if options.ignores_cgroups { None } else { recorded(cgroup.as_ref(), &namespaces, init) };
    // Scripts cut a network off from outside; that of the host is nobody's to cut off.
    let has_own_network = !namespaces.contains(&(NamespaceKind::Net, Origin::Host));
    let target = Target {
        init,
        pidfd: pidfd.as_fd(),
        cgroup: cgroup.as_ref(),
        recorded: recorded.as_ref(),
        is_paused,
        tracking: &tracking,
        externals: Externals {
            mounts: mounts(options, init)?,
            other_mounts: OtherMounts {
                are_made: true,
                are_found_here: options.finds_mounts,
                skipped: options.skipped_mounts.clone(),
                mounted_anew: options.mounted_anew.clone(),
            },
            namespaces,
            has_network: !options.empties_network,
            files: options.files.clone(),
            has_console: false,
        },
    };
    let processor = options.has_processor.then(checkpoint::processor).transpose();
    let processor = processor.map_err(|error| error.to_string())?;
    let dump_options = DumpOptions {
        afterwards: match (options.leave_stopped, options.leave_running) {
            (true, _) => Afterwards::Stopped,
            (false, true) => Afterwards::Running,
            (false, false) => Afterwards::Killed,
        },
        pre_dump,
        parent: options.parent.as_deref(),
        page_server: page_server.as_ref(),
        page_source: source.as_ref().map(|(source, _)| source),
        tcp_established: options.tcp_established,
        tcp_skip_in_flight: options.tcp_skip_in_flight,
        tcp_close: options.tcp_close,
        lock_network: !options.skips_network_lock,
        outer_unix_sockets: options.outer_unix_sockets(),
        shell_job: options.shell_job,
        file_locks: options.file_locks,
        link_remap: options.link_remap,
        processor: processor.as_ref(),
    };
    let mut log = options.log(work, "dump.log")?;
    if let Some((_, place)) = &source {
        log.line(&format!("memory is served at {place}"));
    }
    let mut line = |line: &str| log.line(line);
    let mut is_locked = false;
    let dumped = notify("pre-dump").and_then(|()| {
        let mut event = |event| match event {
            Event::Stopped => {
                is_locked = has_own_network;
                if has_own_network { notify("network-lock") } else { Ok(()) }
            }
            Event::Written => notify("post-dump"),
            Event::Serving => notify("status-ready").and_then(|()| lazy_pages::announce(status.take())),
        };
        let dumped = checkpoint::dump(&target, images, &dump_options, &mut line, &mut |_, _| {}, &mut event);
        dumped.map_err(|error| error.to_string())
    });
    // Who is not killed goes on.
    if is_locked && (dumped.is_err() || dump_options.afterwards != Afterwards::Killed) {
        let _ = notify("network-unlock");
    }
    let dumped = dumped.inspect_err(|error| log.error(error))?;
    // A page server does that itself, if it is told to.
    if options.auto_dedup && options.parent.is_some() && page_server.is_none() {
        // The dump is whole without it.
        match checkpoint::dedup(images) {
            Ok(()) => log.line("dedup: done"),
            Err(error) => log.line(&format!("dedup: {error}")),
        }
    }
    let statistics = StatsEntry { dump: Some(dumped), restore: None };
    work.write_statistics("stats-dump", &statistics).map_err(|error| error.to_string())?;
    Ok(dumped)
}

/// The one that is to be frozen, if all of the tree is in it. One of cgroup v1 is not: the tasks are stopped one by one.
fn cgroup(options: &Options, init: i32) -> Option<Cgroup> {
    let freezer = options.freeze_cgroup.as_ref()?;
    let own = Cgroup::of_process(init).ok()?;
    let is_its = own.path().starts_with(freezer) && freezer.join("cgroup.freeze").exists();
    Cgroup::open(freezer).ok().filter(|_| is_its)
}

/// Where a restore puts the tasks. Nowhere, if they are where we are, as with CRIU. What a namespace of cgroups begins with is
/// known only where somebody says which cgroup is the tasks' own.
fn recorded(frozen: Option<&Cgroup>, namespaces: &[(NamespaceKind, Origin)], init: i32) -> Option<Cgroup> {
    let ours = Cgroup::of_process(std::process::id() as i32).ok();
    let is_seen = namespaces.contains(&(NamespaceKind::Cgroup, Origin::Host));
    let own = Cgroup::of_process(init).ok().filter(|own| is_seen && Some(own) != ours.as_ref());
    frozen.cloned().or(own)
}

fn tracking(init: i32) -> Result<PathBuf> {
    let stat =
        fs::read_to_string(format!("/proc/{init}/stat")).map_err(|e| format!("/proc/{init}/stat: {e}"))?;
    // Field 22 of proc_pid_stat(5), the 20th behind the name.
    let started = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(19)).unwrap_or_default();
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(STATE);
    made.map_err(|error| format!("create {STATE}: {error}"))?;
    Ok(Path::new(STATE).join(format!("{init}-{started}.json")))
}

/// A path that is no mount of the container's is passed over, as CRIU does: runc names all devices that it may have bound.
fn mounts(options: &Options, init: i32) -> Result<Vec<ExternalMount>> {
    let path = format!("/proc/{init}/root");
    let root = fs::File::open(&path).map_err(|error| format!("open {path}: {error}"))?;
    let mut mounts: Vec<ExternalMount> = Vec::new();
    for (path, name) in &options.mounts {
        let Ok(file) = resolve_in_root(root.as_fd(), path, 0) else { continue };
        let place = mount_point(file.as_fd()).map_err(|error| format!("mount {path}: {error}"))?;
        if place.is_root && !mounts.iter().any(|mount| mount.id == place.id) {
            let key = name.as_bytes().to_vec();
            mounts.push(ExternalMount { id: place.id, key, is_recursive: false });
        }
    }
    Ok(mounts)
}

/// Those that are ours, too, are the host's; those that the request names are somebody else's.
fn namespaces(options: &Options, init: i32) -> Result<Vec<(NamespaceKind, Origin)>> {
    let inode = |pid: &str, name: &str| -> Result<u64> {
        let path = format!("/proc/{pid}/ns/{name}");
        let link = fs::read_link(&path).map_err(|error| format!("{path}: {error}"))?;
        let inode = link.to_str().and_then(|link| link.split_once('[')?.1.strip_suffix(']')?.parse().ok());
        inode.ok_or_else(|| format!("{path}: not as expected"))
    };
    let mut namespaces = Vec::new();
    for (kind, name, key) in KINDS {
        let (ours, theirs) = (inode("self", name)?, inode(&init.to_string(), name)?);
        let external = options.namespaces.iter().find(|(kind, inode, _)| kind == name && *inode == theirs);
        let origin = match external {
            _ if ours == theirs => Origin::Host,
            None => Origin::Own,
            Some((_, _, given)) if given == key => Origin::Joined,
            Some((_, _, given)) => {
                return Err(format!("external {name}[{theirs}]:{given}: the name {key} is needed"));
            }
        };
        namespaces.push((kind, origin));
    }
    Ok(namespaces)
}

/// Kinds, their names in /proc/PID/ns, and what those from outside are called in the images.
pub(crate) const KINDS: [(NamespaceKind, &str, &str); 8] = [
    (NamespaceKind::User, "user", ""),
    (NamespaceKind::Ipc, "ipc", ""),
    (NamespaceKind::Uts, "uts", ""),
    (NamespaceKind::Net, "net", "extRootNetNS"),
    (NamespaceKind::Pid, "pid", "extRootPidNS"),
    (NamespaceKind::Cgroup, "cgroup", ""),
    (NamespaceKind::Time, "time", ""),
    (NamespaceKind::Mnt, "mnt", ""),
];
