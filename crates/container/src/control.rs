//! Everything that is done to a container from outside once it exists, except `start` and `exec`.

use crate::config::Config;
use crate::error::{At, Error, Kind, Result};
use crate::hooks::{self, HookOutput, HookState};
use crate::state::{Container, check_id, release};
use crate::{Event, Runtime, State, Status};
use cgroup::{Cgroup, OomEvent, Resources, Stats};
use oci_spec::runtime::LinuxResources;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use sys::Errno;
use sys::process::pidfd_send_signal;

fn not_running() -> Error {
    Error::of_kind(Kind::NotRunning, "container not running")
}

pub(crate) fn list(rt: &Runtime) -> Result<Vec<State>> {
    let entries = match fs::read_dir(&rt.root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Errno::from(e)).at(|| format!("read {}", rt.root.display())),
    };
    let mut states = Vec::new();
    for entry in entries.flatten() {
        let id = entry.file_name().to_string_lossy().into_owned();
        if check_id(&id).is_err() || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        match Container::open(rt, &id).and_then(|container| container.describe()) {
            Ok(state) => states.push(state),
            // Being created or deleted at this moment.
            Err(e) if e.kind() == Kind::NotFound => {}
            Err(e) => rt.warnings.borrow_mut().push(format!("{id}: {e}")),
        }
    }
    states.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(states)
}

pub(crate) fn kill(rt: &Runtime, id: &str, signal: i32, all: bool) -> Result<()> {
    let container = Container::open(rt, id)?;
    let init = container.init();
    if all {
        if let Some(cgroup) = container.cgroup()? {
            // A container without its own pid namespace may have outlived its init.
            return signal_all(&cgroup, signal);
        }
        if init.is_none() {
            return Ok(());
        }
    }
    let Some((_, pidfd)) = init else { return Err(not_running()) };
    match pidfd_send_signal(pidfd.as_fd(), signal) {
        Err(e) if e.raw() == libc::ESRCH => Err(not_running()),
        other => other.at(|| format!("send signal {signal}")),
    }
}

fn signal_all(cgroup: &Cgroup, signal: i32) -> Result<()> {
    if signal == libc::SIGKILL {
        return cgroup.kill().at(|| "cgroup");
    }
    let number = signal;
    match cgroup::Signal::try_from(signal) {
        Ok(signal) => cgroup.signal_all(signal).at(|| "cgroup"),
        // Real-time signals, which nix has no names for.
        Err(_) => {
            for pid in cgroup.processes().at(|| "cgroup")? {
                if let Ok(pidfd) = sys::process::pidfd_open(pid) {
                    let _ = pidfd_send_signal(pidfd.as_fd(), number);
                }
            }
            Ok(())
        }
    }
}

/// Kills every process of a container; errors are for who wants them.
pub(crate) fn kill_all(container: &Container) -> Result<()> {
    if let Some((_, pidfd)) = container.init() {
        let _ = pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
    }
    if let Some(cgroup) = container.cgroup()? {
        cgroup.kill().at(|| "cgroup")?;
    }
    Ok(())
}

pub(crate) fn delete(rt: &Runtime, id: &str, force: bool) -> Result<()> {
    // What our caller has leaked is not for the hooks.
    sys::process::cloexec_from(3).at(|| "close_range")?;
    let container = match Container::open(rt, id) {
        Ok(container) => container,
        Err(e) if e.kind() == Kind::NotFound => {
            // `create` was killed before its first note, or the note was lost.
            return match force {
                true if rt.root.join(id).is_dir() => destroy_damaged(rt, id),
                true => Ok(()),
                false => Err(e),
            };
        }
        Err(e) if force && e.kind() == Kind::Other => {
            return destroy_damaged(rt, id).at(|| format!("clean up after: {e}"));
        }
        Err(e) => return Err(e),
    };
    match container.status()? {
        Status::Stopped => {}
        // Nothing of the user's runs in it yet.
        Status::Created => {}
        Status::Creating if force => {}
        _ if force => {}
        _ => {
            return Err(Error::of_kind(
                Kind::StillRunning,
                format!("cannot delete container {id} that is not stopped"),
            ));
        }
    }
    // Read first: it goes with the state.
    let config = container.config();
    destroy(rt, &container, config.as_ref().ok())
}

/// Ends what still runs, removes the cgroup and the state, runs poststop hooks. A container whose creation was
/// cut short has no `config`, or one whose hooks have not begun.
pub(crate) fn destroy(rt: &Runtime, container: &Container, config: Option<&Config>) -> Result<()> {
    // Before the peers are told that it ends; what cannot be taken away ends by itself.
    let _ = container.unlock();
    let init = container.init().map(|(_, pidfd)| pidfd);
    let cgroup = container.cgroup()?;
    let scope = container.stored.scope.as_ref();
    // A scope's cgroup is systemd's to remove: it would not always hear of it.
    let remove_empty = |cgroup: &Cgroup| scope.is_none() && cgroup.remove_empty();
    if init.is_some() || !cgroup.as_ref().is_some_and(remove_empty) {
        kill_all(container)?;
        if let Some(init) = init {
            wait_end(&init)?;
        }
        if let Some(cgroup) = cgroup {
            scope
                .map_or(Ok(()), |scope| scope.stop(&cgroup))
                .and_then(|()| cgroup.delete())
                .at(|| "cgroup")?;
        }
    }
    if let Some(dir) = container.made.as_ref().and_then(|made| made.intel_rdt.as_ref()) {
        crate::rdt::remove(dir)?;
    }
    if !release(&container.dir)? {
        // An attached `run` and a `checkpoint` end their container both.
        return Ok(());
    }
    // A failure of theirs is only logged (runtime.md, lifecycle 13).
    if let Some(config) = config
        && let Err(e) = poststop(container, config)
    {
        rt.warnings.borrow_mut().push(e.to_string());
    }
    Ok(())
}

/// The state is damaged: what of it can be read is still used, the rest is lost.
fn destroy_damaged(rt: &Runtime, id: &str) -> Result<()> {
    let salvaged = Container::salvage(rt, id);
    let init = salvaged.init;
    if let Some(init) = &init {
        let _ = pidfd_send_signal(init.as_fd(), libc::SIGKILL);
    }
    // What is no cgroup's path is damage too.
    if let Some(Ok(cgroup)) = salvaged.cgroup.map(|dir| Cgroup::open(&dir)) {
        cgroup.kill().and_then(|()| cgroup.delete()).at(|| "cgroup")?;
    }
    if let Some(cgroup) = salvaged.maybe_cgroup
        && !cgroups_of_others(rt, id)?.contains(&cgroup.path().to_owned())
        && cgroup.processes().at(|| "cgroup")?.is_empty()
    {
        cgroup.delete().at(|| "cgroup")?;
    }
    if let Some(init) = &init {
        wait_end(init)?;
    }
    release(&rt.root.join(id))?;
    Ok(())
}

/// The cgroups that the other containers under this root have written down.
fn cgroups_of_others(rt: &Runtime, id: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(&rt.root).map_err(Errno::from).at(|| format!("read {}", rt.root.display()))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let others = names.filter(|name| name != id).filter_map(|name| Container::open(rt, &name).ok());
    Ok(others.filter_map(|container| container.stored.cgroup).collect())
}

/// The process is not our child, so its end is read from the pidfd.
fn wait_end(pidfd: &OwnedFd) -> Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    /// A killed process ends at once unless it is in an uninterruptible call.
    const LIMIT: Duration = Duration::from_secs(10);
    let deadline = Instant::now() + LIMIT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_millis() as i32).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(Error::new("init did not end within 10 s of SIGKILL")),
            Ok(_) => return Ok(()),
            Err(nix::Error::EINTR) => {}
            Err(e) => return Err(Errno::from(e)).at(|| "poll"),
        }
    }
}

/// All poststop hooks run, whatever the others do (runtime.md, lifecycle 13); the first error is told.
pub(crate) fn poststop(container: &Container, config: &Config) -> Result<()> {
    let state = HookState::of(container, Status::Stopped, 0);
    if config.hooks.poststop.is_empty() {
        return Ok(());
    }
    let output = HookOutput::open(&config.hooks)?;
    let mut result = Ok(());
    for (number, hook) in config.hooks.poststop.iter().enumerate() {
        let ran = hooks::run_one(hook, &output, &state, Some(container.stored.bundle.as_path()))
            .at(|| format!("poststop hook #{number} {}", hook.path));
        result = result.and(ran);
    }
    result
}

pub(crate) fn processes(rt: &Runtime, id: &str) -> Result<Vec<i32>> {
    let container = Container::open(rt, id)?;
    match container.cgroup()? {
        Some(cgroup) => cgroup.processes().at(|| "cgroup"),
        None => Ok(container.init().map(|(pid, _)| pid).into_iter().collect()),
    }
}

fn cgroup_of(container: &Container) -> Result<Cgroup> {
    container.cgroup()?.ok_or_else(|| Error::new("the container has no cgroup"))
}

pub(crate) fn pause(rt: &Runtime, id: &str) -> Result<()> {
    let container = Container::open(rt, id)?;
    match container.status()? {
        Status::Created if container.is_held() => {
            return Err(Error::of_kind(Kind::Paused, "container is frozen until its start"));
        }
        Status::Running | Status::Created => {}
        Status::Paused => return Err(Error::of_kind(Kind::Paused, "container is already paused")),
        _ => return Err(not_running()),
    }
    cgroup_of(&container)?.freeze().at(|| "cgroup")
}

pub(crate) fn resume(rt: &Runtime, id: &str) -> Result<()> {
    let container = Container::open(rt, id)?;
    if container.status()? != Status::Paused {
        return Err(Error::of_kind(Kind::NotPaused, "container not paused"));
    }
    cgroup_of(&container)?.thaw().at(|| "cgroup")
}

pub(crate) fn update(rt: &Runtime, id: &str, resources: &LinuxResources) -> Result<()> {
    let container = Container::open(rt, id)?;
    if matches!(container.status()?, Status::Stopped | Status::Creating) {
        return Err(not_running());
    }
    let resources = Resources::from_oci(resources).at(|| "resources")?;
    let cgroup = cgroup_of(&container)?;
    let dir = cgroup.dirfd().at(|| "cgroup")?;
    match &container.stored.scope {
        Some(scope) => scope.update(&cgroup, dir.as_fd(), &resources),
        None => cgroup.apply(dir.as_fd(), &resources),
    }
    .at(|| "cgroup")?;
    if resources.devices.is_empty() {
        return Ok(());
    }
    let rules = cgroup::with_default_rules(&resources.devices);
    cgroup.set_devices(dir.as_fd(), &rules).at(|| "cgroup: device rules")
}

pub(crate) fn stats(rt: &Runtime, id: &str) -> Result<Stats> {
    let container = Container::open(rt, id)?;
    if matches!(container.status()?, Status::Stopped | Status::Creating) {
        return Err(not_running());
    }
    cgroup_of(&container)?.stats().at(|| "cgroup")
}

pub(crate) fn events(rt: &Runtime, id: &str, interval_ms: u64, report: &mut dyn FnMut(Event)) -> Result<()> {
    let container = Container::open(rt, id)?;
    let Some((_, pidfd)) = container.init() else { return Err(not_running()) };
    let cgroup = cgroup_of(&container)?;
    // Without the memory controller there is no OOM event to watch, but there are statistics.
    let mut watch = match cgroup.watch_oom() {
        Ok(watch) => Some(watch),
        Err(e) if e.kind() == cgroup::Kind::Unsupported => None,
        Err(e) => return Err(e).at(|| "cgroup"),
    };
    let interval = Duration::from_millis(interval_ms);
    loop {
        report(Event::Stats(Box::new(cgroup.stats().at(|| "cgroup")?)));
        let next = Instant::now() + interval;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            match &mut watch {
                Some(watch) => match watch.wait(Some(left)).at(|| "cgroup")? {
                    OomEvent::Killed { .. } => report(Event::Oom),
                    OomEvent::Empty => return Ok(()),
                    OomEvent::Timeout => break,
                },
                None => {
                    if ended_within(&pidfd, left)? {
                        return Ok(());
                    }
                    break;
                }
            }
        }
    }
}

fn ended_within(pidfd: &OwnedFd, time: Duration) -> Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let timeout =
        PollTimeout::try_from(time.as_millis().min(i32::MAX as u128) as i32).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout) {
        Err(nix::Error::EINTR) => Ok(false),
        other => Ok(other.map_err(Errno::from).at(|| "poll")? > 0),
    }
}
