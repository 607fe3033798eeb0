//! `restore`: a container from config.json and the images of a checkpoint.
//!
//! Everything around the tasks is made as `create` makes it: config.json is the authority, and the images are a stranger's.
//! Only where `create` becomes the container's user and executes a program, init enters the engine's nursery, and the
//! engine builds the tasks from it. What they may have at most is decided here (`Policy`).

use crate::checkpoint::{namespaces, outer_unix_sockets};
use crate::config::{Mount, MountKind};
use crate::create::{Attached, Attachment, Making, Plan, Starter, keeps_groups, protect_binary};
use crate::error::{At, Error, Result};
use crate::stream::{Received, directory};
use crate::{
    CgroupDriver, CreateOptions, ImageSource, RestoreOptions, RunOptions, Runtime, descriptors, notify,
};
use checkpoint::{
    Capabilities, CgroupMode, CgroupPolicy, Filter, LazyPages, LogFile, OwnCgroup, Policy, Restore, User,
    WorkDirectory, open_directory,
};
use images::messages::{RestoreStatsEntry, StatsEntry};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use sys::Errno;
use sys::clone::Child;

pub(crate) fn restore(
    rt: &Runtime,
    id: &str,
    source: ImageSource,
    options: &CreateOptions,
    run: &RunOptions,
    restore: &RestoreOptions,
) -> Result<i32> {
    let binary = protect_binary(rt);
    let plan = Plan::new(rt, id, options)?;
    if restore.no_start && rt.cgroup_driver == CgroupDriver::Disabled {
        return Err(no_freezer());
    }
    check_labels(&plan, restore)?;
    let mut images = Images::open(source)?;
    let work = match &restore.work_path {
        Some(path) => WorkDirectory::open(path)?,
        None => WorkDirectory::of(&images.directory)?,
    };
    let mut log = work.log(restore.log_file.as_deref().unwrap_or(Path::new("restore.log")))?;
    let connect = || restore.lazy_pages.then(|| LazyPages::connect(&work, &log)).transpose();
    images.daemon = connect().inspect_err(|e| log.error(e))?;
    let restored =
        bring_up(rt, &plan, binary, run, restore, images, &mut log).inspect_err(|e| log.error(e))?;
    let Restored { mut making, child, attached, statistics } = restored;
    let statistics = StatsEntry { dump: None, restore: Some(statistics) };
    if let Err(e) = work.write_statistics("stats-restore", &statistics) {
        rt.warnings.borrow_mut().push(e.to_string());
    }
    if let Some(host) = options.notify_socket.as_ref().filter(|_| !restore.no_start)
        && let Err(e) = notify::is_ready(host, child.pid)
    {
        rt.warnings.borrow_mut().push(e.to_string());
    }
    let Some(attached) = attached else {
        making.keep();
        return Ok(0);
    };
    let status = attached.wait(&child, None)?;
    making.remove()?;
    Ok(status)
}

/// The images, whoever waits to hear that they have been taken, and who fills memory from them late.
struct Images {
    directory: OwnedFd,
    stream: Option<Received>,
    daemon: Option<LazyPages>,
}

impl Images {
    fn open(source: ImageSource) -> Result<Images> {
        match source {
            ImageSource::Directory(path) => {
                Ok(Images { directory: open_directory(&path)?, stream: None, daemon: None })
            }
            ImageSource::Stream(stream) => {
                let directory = directory()?;
                let stream = stream.receive(directory.as_fd())?;
                Ok(Images { directory, stream: Some(stream), daemon: None })
            }
        }
    }
}

/// A container whose tasks run.
struct Restored<'a> {
    making: Making<'a>,
    child: Child,
    attached: Option<Attached>,
    statistics: RestoreStatsEntry,
}

fn bring_up<'a>(
    rt: &'a Runtime,
    plan: &'a Plan<'a>,
    binary: Option<OwnedFd>,
    run: &RunOptions,
    restore: &RestoreOptions,
    Images { directory, stream, daemon }: Images,
    log: &mut LogFile,
) -> Result<Restored<'a>> {
    let images = directory.as_fd();
    let policy = policy(plan, restore, images)?;
    let mut log = |line: &str| log.line(line);
    let mut tasks = Restore::open(images, policy, &mut log)?;
    if let Some(daemon) = daemon {
        tasks.fill_lazily(daemon);
    }
    let (attachment, console) = Attachment::new(plan, run)?;
    let (mut making, child) = Making::start(rt, plan, binary, Starter::Restore(&tasks), console)?;
    let mut lock = None;
    let complete = || -> Result<Option<Attached>> {
        if restore.no_start {
            making.cgroup().ok_or_else(no_freezer)?;
        }
        tasks.build(child.pid, making.cgroup(), &mut log)?;
        if restore.no_start {
            lock = tasks.lock_name()?;
            // Counts only once they are frozen.
            making.container.hold(lock)?;
        }
        // Before the tasks run: if we are killed after this, there is a container to be found and deleted.
        making.record()?;
        let attached = attachment.connect()?;
        // Last, and while nothing runs: the other side ends its own upon this.
        stream.map_or(Ok(()), Received::acknowledge)?;
        Ok(attached)
    };
    let attached = match complete() {
        Ok(attached) => attached,
        Err(e) => {
            // Before the engine lets go of them, or they would run.
            making.kill();
            drop(tasks);
            return Err(e);
        }
    };
    let resumed = match making.cgroup().filter(|_| restore.no_start) {
        Some(cgroup) => tasks.resume_frozen(cgroup, lock, &mut log),
        None => tasks.resume(&mut log),
    };
    let statistics = resumed?;
    Ok(Restored { making, child, attached, statistics })
}

fn no_freezer() -> Error {
    Error::new("--no-start: it takes a cgroup of the container's own, in which its tasks wait")
}

/// Labels are config.json's to give. Podman and CRI-O name them a second time, for runtimes that restore the image's.
fn check_labels(plan: &Plan<'_>, restore: &RestoreOptions) -> Result<()> {
    let differs = |option: &str, given: &str, field: &str, label: Option<&str>| {
        let has = label.map_or("it has none".to_owned(), |label| format!("it has \"{label}\""));
        Err(Error::new(format!("{option} {given}: {field} of config.json decides, and {has}")))
    };
    let process = &plan.config.process;
    if let Some(profile) = &restore.lsm_profile {
        let (field, label, given) = match profile.split_once(':') {
            Some(("selinux", given)) => ("process.selinuxLabel", process.selinux_label.as_deref(), given),
            Some(("apparmor", given)) => {
                ("process.apparmorProfile", process.apparmor_profile.as_deref(), given)
            }
            _ => {
                return Err(Error::new(format!(
                    "--lsm-profile {profile}: selinux:LABEL or apparmor:PROFILE is needed"
                )));
            }
        };
        if label != Some(given) {
            return differs("--lsm-profile", profile, field, label);
        }
    }
    match (&restore.lsm_mount_context, &plan.config.mount_label) {
        (Some(given), label) if label.as_ref() != Some(given) => {
            differs("--lsm-mount-context", given, "linux.mountLabel", label.as_deref())
        }
        _ => Ok(()),
    }
}

fn is_tmpfs(mount: &Mount) -> bool {
    matches!(&mount.kind, MountKind::Filesystem { fstype, .. } if fstype == "tmpfs")
}

fn policy(plan: &Plan<'_>, restore: &RestoreOptions, images: BorrowedFd<'_>) -> Result<Policy> {
    let config = &plan.config;
    let process = &config.process;
    if plan.seccomp.as_ref().is_some_and(|program| program.listener.is_some()) {
        return Err(Error::new(
            "config.json: linux.seccomp: a filter with SCMP_ACT_NOTIFY cannot be restored",
        ));
    }
    let filter = plan.seccomp.as_ref();
    let filter = filter.map(|program| Filter { program: program.filter.clone(), flags: program.flags });
    let capabilities = process.capabilities.unwrap_or_default();
    let groups = match keeps_groups(config) {
        true => nix::unistd::getgroups()
            .map_err(Errno::from)
            .at(|| "groups")?
            .iter()
            .map(|gid| gid.as_raw())
            .collect(),
        false => process.additional_gids.clone(),
    };
    Ok(Policy {
        namespaces: namespaces(config),
        user: User { uid: process.uid, gid: process.gid, groups },
        capabilities: Capabilities {
            bounding: capabilities.bounding,
            effective: capabilities.effective,
            permitted: capabilities.permitted,
            inheritable: capabilities.inheritable,
            ambient: capabilities.ambient,
        },
        no_new_privileges: process.no_new_privileges,
        seccomp: filter,
        rlimits: process.rlimits.iter().map(|limit| (limit.resource, limit.hard)).collect(),
        selinux_label: process.selinux_label.clone(),
        apparmor_profile: plan.apparmor.clone(),
        has_names: config.hostname.is_some() || config.domainname.is_some(),
        cgroups: CgroupPolicy { mode: CgroupMode::Full, own: OwnCgroup::Configured },
        tmpfs: config
            .mounts
            .iter()
            .filter(|mount| is_tmpfs(mount))
            .map(|mount| (&mount.destination).into())
            .collect(),
        mounts: None,
        inherited: if process.terminal { Vec::new() } else { descriptors::load(images)? },
        has_console: process.terminal,
        tcp_established: restore.tcp_established,
        tcp_close: restore.tcp_close,
        outer_unix_sockets: outer_unix_sockets(restore.ext_unix_sk),
        lock_network: restore.lock_network,
        // The runtime makes it, and whoever calls it what is in it.
        network: None,
        skips_missing_sysctls: false,
    })
}
