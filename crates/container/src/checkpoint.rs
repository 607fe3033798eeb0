//! `checkpoint`: running containers to disk. Here is decided what the engine may take for the container's own and what
//! came from outside; the dump itself is the engine's.

use crate::config::{CLONE_NEWTIME, Config, MountKind, NAMESPACES};
use crate::error::{At, Error, Kind, Result};
use crate::init::devices;
use crate::notify::NotifySocket;
use crate::state::Container;
use crate::{CheckpointOptions, Runtime, Status, control, descriptors, notify, stream};
use cgroup::Cgroup;
use checkpoint::{
    Afterwards, DumpOptions, Event, ExternalFile, ExternalMount, Externals, FileIdentity, LogFile,
    NamespaceKind, Origin, OtherMounts, OuterUnixSockets, PageSource, Part, Progress, Target, WorkDirectory,
    make_directory,
};
use images::messages::{DumpStatsEntry, StatsEntry};
use images::page_server::PageServer;
use nix::fcntl::{AT_FDCWD, Flock, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use sys::Errno;
use sys::mount::mount_point;
use sys::path::resolve_in_root;

/// Of the container's state: who keeps track of what is written since a pre-dump.
const TRACKING_FILE: &str = "pre-dump.json";

pub(crate) fn checkpoint(
    rt: &Runtime,
    ids: &[String],
    options: &CheckpointOptions,
    progress: &mut Progress<'_>,
) -> Result<()> {
    // What our caller has leaked is not for the hooks.
    sys::process::cloexec_from(3).at(|| "close_range")?;
    let open = |id| named(ids, id, || Job::open(rt, id, options, ids.len() > 1));
    let mut jobs: Vec<Job<'_>> = ids.iter().map(String::as_str).map(open).collect::<Result<_>>()?;
    let dumped = dump(&mut jobs, options, progress);
    let dumped = dumped.inspect_err(|e| jobs.iter_mut().for_each(|job| job.log.error(e)))?;
    // The images are complete, and the containers may be gone: what fails from here on undoes nothing of that.
    for (job, statistics) in jobs.iter().zip(dumped) {
        let statistics = StatsEntry { dump: Some(statistics), restore: None };
        let mut result = job.work.write_statistics("stats-dump", &statistics).map_err(Error::from);
        if !options.leave_running && !options.pre_dump {
            let subject = &job.subject;
            result = result.and(control::destroy(rt, &subject.container, Some(&subject.config)));
        }
        // A page server does that itself, if it is told to.
        if options.auto_dedup && options.parent_path.is_some() && options.page_server.is_none() {
            let given_up = checkpoint::dedup(job.images.as_fd());
            result = result.and(given_up.map_err(|e| Error::new(format!("dedup: {e}"))));
        }
        if let Err(e) = named(ids, job.id, || result) {
            rt.warnings.borrow_mut().push(e.to_string());
        }
    }
    Ok(())
}

pub(crate) fn check(rt: &Runtime, ids: &[String], options: &CheckpointOptions) -> Result<Vec<String>> {
    let mut blockers = Vec::new();
    for id in ids {
        let found = named(ids, id, || check_one(rt, id, options))?;
        let line = |line| if ids.len() > 1 { format!("{id}: {line}") } else { line };
        blockers.extend(found.into_iter().map(line));
    }
    Ok(blockers)
}

fn check_one(rt: &Runtime, id: &str, options: &CheckpointOptions) -> Result<Vec<String>> {
    let subject = Subject::open(rt, id)?;
    check_parent(options)?;
    let mut blockers: Vec<String> = subject.check_config().err().iter().map(Error::to_string).collect();
    let found = checkpoint::check(&subject.target()?, &dump_options(options));
    let found = found.map_err(|e| Error::new(e.to_string()))?;
    blockers.extend(found.iter().map(ToString::to_string));
    Ok(blockers)
}

/// Of several containers the one is named that an error is about.
fn named<T>(ids: &[String], id: &str, action: impl FnOnce() -> Result<T>) -> Result<T> {
    if ids.len() > 1 { action().at(|| id.to_owned()) } else { action() }
}

/// A container that is being dumped, and where.
struct Job<'a> {
    id: &'a str,
    subject: Subject,
    images: OwnedFd,
    work: WorkDirectory,
    log: LogFile,
}

impl<'a> Job<'a> {
    /// Each of several has directories of its own.
    fn open(
        rt: &Runtime,
        id: &'a str,
        options: &CheckpointOptions,
        is_one_of_several: bool,
    ) -> Result<Job<'a>> {
        let subject = Subject::open(rt, id)?;
        check_parent(options)?;
        let own = |path: &Path| if is_one_of_several { path.join(id) } else { path.to_owned() };
        let images = match &options.stream {
            Some(_) => stream::directory()?,
            None => make_directory(&own(&options.image_path))?,
        };
        let work = match &options.work_path {
            Some(path) => WorkDirectory::open(&own(path))?,
            None => WorkDirectory::of(&images)?,
        };
        let log = work.log(options.log_file.as_deref().unwrap_or(Path::new("dump.log")))?;
        Ok(Job { id, subject, images, work, log })
    }
}

fn dump(
    jobs: &mut [Job<'_>],
    options: &CheckpointOptions,
    progress: &mut Progress<'_>,
) -> Result<Vec<DumpStatsEntry>> {
    let several = jobs.len() > 1;
    if several && options.stream.is_some() {
        return Err(Error::new("--stream is for one container alone"));
    }
    if several && options.page_server.or(options.served_at).is_some() {
        return Err(Error::new("--page-server is for one container alone"));
    }
    if several && (options.pre_dump || options.parent_path.is_some()) {
        let flag = if options.pre_dump { "--pre-dump" } else { "--parent-path" };
        return Err(Error::new(format!("{flag} is for one container alone")));
    }
    let page_server = options.page_server.map(PageServer::connect).transpose();
    let page_server = page_server.map_err(|error| Error::new(error.to_string()))?;
    let source = options.served_at.map(PageSource::listen).transpose();
    let source = source.map_err(|error| Error::new(error.to_string()))?;
    let (mut targets, mut logs) = (Vec::new(), Vec::new());
    for Job { id, subject, images, log, .. } in jobs {
        let (subject, images) = (&*subject, &*images);
        let prepare = || {
            subject.check_config()?;
            let target = subject.target()?;
            if !options.pre_dump {
                // Before the dump, after which there may be no container to try again with.
                let made = subject.container.made.as_ref().expect("it runs");
                descriptors::save(images.as_fd(), &made.outside, target.externals.has_console)?;
            }
            Ok(target)
        };
        let target = if several { prepare().at(|| (*id).to_owned()) } else { prepare() }?;
        targets.push((if several { id } else { "" }, target, images.as_fd()));
        logs.push(log);
    }
    let parts = targets.iter().map(|(name, target, images)| Part { name, target, images: *images });
    let parts: Vec<Part<'_>> = parts.collect();
    let mut log = |line: &str| logs.iter_mut().for_each(|log| log.line(line));
    // What runs on anyway does not wait for the other side.
    let stream = options.stream.as_ref().filter(|_| !options.leave_running);
    let mut notify = |event| match (event, stream, &parts[..]) {
        (Event::Written, Some(stream), [part]) => {
            let sent = stream.send(part.images).and_then(|()| stream.await_acknowledgement());
            sent.map_err(|e| e.to_string())
        }
        (Event::Serving, ..) => {
            let told = options.status.as_ref().map_or(Ok(()), |mut status| status.write_all(&[0]));
            told.map_err(|error| format!("--status-fd: {error}"))
        }
        _ => Ok(()),
    };
    let dump_options = DumpOptions {
        page_server: page_server.as_ref(),
        page_source: source.as_ref(),
        ..dump_options(options)
    };
    let dumped = match &parts[..] {
        [only] => {
            let Part { target, images, .. } = *only;
            let dumped = checkpoint::dump(target, images, &dump_options, &mut log, progress, &mut notify);
            dumped.map(|one| vec![one])
        }
        parts => checkpoint::dump_as_one(parts, &dump_options, &mut log, progress, &mut notify),
    };
    let dumped = dumped.map_err(|e| {
        parts.iter().for_each(|part| descriptors::remove(part.images));
        Error::new(e.to_string())
    })?;
    match (&options.stream, &parts[..]) {
        (Some(stream), [part]) if options.leave_running => stream.send(part.images)?,
        _ => {}
    }
    Ok(dumped)
}

/// Relative to the images, because the images name it, and they may be moved with it.
fn check_parent(options: &CheckpointOptions) -> Result<()> {
    let Some(parent) = &options.parent_path else { return Ok(()) };
    if parent.is_absolute() {
        return Err(Error::new("--parent-path must be relative"));
    }
    // As runc does it: without a look at the directory of images, which need not be there yet.
    let mut path = options.image_path.clone();
    for component in parent.components() {
        match component {
            Component::ParentDir if path.file_name().is_some() => _ = path.pop(),
            component => path.push(component),
        }
    }
    if path.as_os_str().is_empty() {
        path.push(".");
    }
    let metadata = path.metadata().map_err(Errno::from);
    let metadata = metadata.at(|| format!("invalid --parent-path: {}", path.display()))?;
    match metadata.is_dir() {
        true => Ok(()),
        false => {
            Err(Errno::from_raw(libc::ENOTDIR)).at(|| format!("invalid --parent-path: {}", path.display()))
        }
    }
}

fn dump_options(options: &CheckpointOptions) -> DumpOptions<'_> {
    DumpOptions {
        afterwards: if options.leave_running { Afterwards::Running } else { Afterwards::Killed },
        pre_dump: options.pre_dump,
        parent: options.parent_path.as_deref(),
        page_server: None,
        page_source: None,
        tcp_established: options.tcp_established,
        tcp_skip_in_flight: options.tcp_skip_in_flight,
        tcp_close: options.tcp_close,
        lock_network: options.lock_network,
        outer_unix_sockets: outer_unix_sockets(options.ext_unix_sk),
        shell_job: options.shell_job,
        file_locks: options.file_locks,
        link_remap: options.link_remap,
        processor: None,
    }
}

/// A container that can be checkpointed as far as its state tells.
struct Subject {
    container: Container,
    _lock: Flock<File>,
    config: Config,
    pid: i32,
    pidfd: OwnedFd,
    cgroup: Option<Cgroup>,
    is_paused: bool,
    /// `TRACKING_FILE`
    tracking: PathBuf,
}

impl Subject {
    fn open(rt: &Runtime, id: &str) -> Result<Subject> {
        let container = Container::open(rt, id)?;
        // Before the status, which a dump changes while it lasts.
        let lock = container.lock()?;
        let status = container.status()?;
        let refuse = |kind, state| {
            Err(Error::of_kind(kind, format!("container cannot be checkpointed in {state} state")))
        };
        match status {
            Status::Running | Status::Paused => {}
            Status::Creating => return refuse(Kind::Other, "creating"),
            // Nothing of the user's runs in it yet.
            Status::Created => return refuse(Kind::Other, "created"),
            Status::Stopped => return refuse(Kind::NotRunning, "stopped"),
        }
        let Some((pid, pidfd)) = container.init() else { return refuse(Kind::NotRunning, "stopped") };
        let config = container.config()?;
        let cgroup = container.cgroup()?;
        Ok(Subject {
            tracking: container.dir.join(TRACKING_FILE),
            container,
            _lock: lock,
            config,
            pid,
            pidfd,
            cgroup,
            is_paused: status == Status::Paused,
        })
    }

    /// What config.json tells about it that could not be restored.
    fn check_config(&self) -> Result<()> {
        let profile = self.config.seccomp.as_ref();
        match profile.and_then(|profile| profile.listener_path().as_ref()) {
            Some(path) => Err(Error::new(format!(
                "linux.seccomp: its filter asks the agent at {} (SCMP_ACT_NOTIFY), which a dump cannot hold",
                path.display()
            ))),
            None => Ok(()),
        }
    }

    fn target(&self) -> Result<Target<'_>> {
        let made = self.container.made.as_ref().expect("it runs");
        let files = made.outside.iter();
        let files = files.map(|file| ExternalFile {
            identity: FileIdentity::Inode { dev: file.dev, ino: file.ino },
            key: file.key.clone(),
        });
        Ok(Target {
            init: self.pid,
            pidfd: self.pidfd.as_fd(),
            cgroup: self.cgroup.as_ref(),
            recorded: self.cgroup.as_ref(),
            is_paused: self.is_paused,
            tracking: &self.tracking,
            externals: Externals {
                mounts: self.external_mounts()?,
                other_mounts: OtherMounts::default(),
                namespaces: namespaces(&self.config),
                // Who makes the network of a container makes it again.
                has_network: false,
                files: files.collect(),
                has_console: self.config.process.terminal,
            },
        })
    }

    /// Of what config.json mounts: all that is from outside, and that a restore makes again. They are found by their
    /// destinations, as the container sees them now; what it has unmounted is not among them.
    fn external_mounts(&self) -> Result<Vec<ExternalMount>> {
        let path = format!("/proc/{}/root", self.pid);
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = openat(AT_FDCWD, path.as_str(), flags, Mode::empty()).map_err(Errno::from).at(|| path)?;
        let mut mounts: Vec<ExternalMount> = Vec::new();
        for (destination, is_recursive) in self.external_destinations() {
            let Ok(file) = resolve_in_root(root.as_fd(), destination, 0) else { continue };
            let place = mount_point(file.as_fd()).at(|| destination.to_owned())?;
            if place.is_root && !mounts.iter().any(|mount| mount.id == place.id) {
                mounts.push(ExternalMount {
                    id: place.id,
                    key: destination.as_bytes().to_vec(),
                    is_recursive,
                });
            }
        }
        for masked in &self.config.masked_paths {
            let Ok(file) = resolve_in_root(root.as_fd(), masked, 0) else { continue };
            let mode = fstat(&file).map_err(Errno::from).at(|| masked.clone())?.st_mode;
            // Over a directory lies an empty tmpfs, which is the container's own.
            if SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == SFlag::S_IFDIR {
                continue;
            }
            let place = mount_point(file.as_fd()).at(|| masked.clone())?;
            if place.is_root {
                // As runc names what it masks.
                let key = b"/dev/null".to_vec();
                mounts.push(ExternalMount { id: place.id, key, is_recursive: false });
            }
        }
        Ok(mounts)
    }

    fn external_destinations(&self) -> Vec<(&str, bool)> {
        let binds = self.config.mounts.iter().filter_map(|mount| match mount.kind {
            MountKind::Bind { recursive, .. } => Some((mount.destination.as_str(), recursive)),
            _ => None,
        });
        // Nodes are bound where mknod(2) is not allowed.
        let defaults = devices::DEFAULTS.iter().map(|(path, ..)| *path);
        let devices = self.config.devices.iter().map(|device| device.path.as_str());
        let devices = devices.chain(defaults).map(|path| (path, false));
        let notify = NotifySocket::is_set_up(&self.container.dir).then_some((notify::IN_CONTAINER, false));
        binds.chain(devices).chain(notify).collect()
    }
}

/// Where each namespace of a container comes from.
pub(crate) fn namespaces(config: &Config) -> Vec<(NamespaceKind, Origin)> {
    let kind = |flag| match flag {
        libc::CLONE_NEWUSER => NamespaceKind::User,
        libc::CLONE_NEWIPC => NamespaceKind::Ipc,
        libc::CLONE_NEWUTS => NamespaceKind::Uts,
        libc::CLONE_NEWNET => NamespaceKind::Net,
        libc::CLONE_NEWPID => NamespaceKind::Pid,
        libc::CLONE_NEWCGROUP => NamespaceKind::Cgroup,
        CLONE_NEWTIME => NamespaceKind::Time,
        _ => NamespaceKind::Mnt,
    };
    let origin = |flag| match flag {
        _ if config.creates(flag) => Origin::Own,
        _ if config.joins(flag) => Origin::Joined,
        _ => Origin::Host,
    };
    NAMESPACES.iter().map(|namespace| (kind(namespace.flag), origin(namespace.flag))).collect()
}

/// What `--ext-unix-sk` allows.
pub(crate) fn outer_unix_sockets(are_allowed: bool) -> OuterUnixSockets {
    if are_allowed { OuterUnixSockets::All } else { OuterUnixSockets::default() }
}
