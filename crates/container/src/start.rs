//! `start`: lets the waiting init go on, hands a seccomp listener to its agent, runs poststart hooks.

use crate::config::Config;
use crate::create::{connect_to, init_error};
use crate::error::{At, Error, Kind, Result};
use crate::hooks::{self, HookOutput, HookState};
use crate::init::protocol::{Channel, Message};
use crate::notify::NotifySocket;
use crate::seccomp::Listener;
use crate::state::Container;
use crate::{Runtime, Status, notify};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use sys::Errno;

pub(crate) fn start(rt: &Runtime, id: &str, notify_socket: Option<&Path>) -> Result<()> {
    // What our caller has leaked is not for the hooks.
    sys::process::cloexec_from(3).at(|| "close_range")?;
    let container = Container::open(rt, id)?;
    let status = container.status()?;
    match status {
        Status::Created if container.is_held() => return release(&container, notify_socket),
        Status::Created => {}
        Status::Stopped => {
            return Err(Error::of_kind(Kind::NotRunning, "cannot start a container that has stopped"));
        }
        Status::Running => return Err(Error::new("cannot start an already running container")),
        Status::Paused => return Err(Error::of_kind(Kind::Paused, "cannot start a paused container")),
        Status::Creating => return Err(Error::new("cannot start a container that is still being created")),
    }
    let (Some((pid, pidfd)), Some(socket)) = (container.init(), container.connect_start()?) else {
        return Err(Error::of_kind(Kind::NotRunning, "cannot start a container that has stopped"));
    };
    let config = container.config()?;
    // Without NOTIFY_SOCKET at `create` the program does not know of ours.
    let notify_socket = notify_socket.filter(|_| NotifySocket::is_set_up(&container.dir));
    let notify = notify_socket.map(|host| NotifySocket::listen(&container.dir, host)).transpose()?;
    nix::fcntl::fcntl(&socket, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()))
        .map_err(Errno::from)
        .at(|| "start socket")?;
    let channel = Channel::new(socket);
    channel.send(&Message::Continue).at(|| "start init")?;
    if channel.receive().at(|| "start init")? != Some(Message::Continue) {
        return Err(Error::new("cannot start an already running container"));
    }
    await_exec(&channel, pid, pidfd.as_fd(), &container, &config)?;
    poststart(&container, &config)?;
    if let Some(notify) = notify {
        notify.relay(pidfd.as_fd(), pid)?;
    }
    Ok(())
}

/// Lets the tasks of a `restore --no-start` run. Whoever takes the note away does it; if we are killed right after that, the
/// container is paused.
fn release(container: &Container, notify_socket: Option<&Path>) -> Result<()> {
    let config = container.config()?;
    let cgroup = container.cgroup()?.ok_or_else(|| Error::new("the container has no cgroup"))?;
    // First: the note names it.
    container.unlock()?;
    if !container.take_hold()? {
        return Err(Error::new("cannot start an already running container"));
    }
    cgroup.thaw().at(|| "cgroup")?;
    poststart(container, &config)?;
    match notify_socket.filter(|_| NotifySocket::is_set_up(&container.dir)) {
        Some(host) => notify::is_ready(host, container.init_pid()),
        None => Ok(()),
    }
}

/// Waits for execve(2), which closes the channel, or for the reason why it did not come to it.
pub(crate) fn await_exec(
    channel: &Channel,
    pid: i32,
    pidfd: BorrowedFd<'_>,
    container: &Container,
    config: &Config,
) -> Result<()> {
    loop {
        match channel.receive().at(|| "talk to init")? {
            None => return Ok(()),
            Some(Message::Failed(failure)) => return Err(init_error(failure)),
            Some(Message::SeccompListener(number)) => {
                let profile = config.seccomp.as_ref();
                let listener = profile.and_then(|profile| {
                    Some(Listener {
                        path: profile.listener_path().clone()?,
                        metadata: profile.listener_metadata().clone().unwrap_or_default(),
                    })
                });
                let listener = listener.ok_or_else(|| Error::new("init sent a seccomp listener unasked"))?;
                hand_over(&listener, pid, pidfd, number, container)?;
                channel.send(&Message::Continue).at(|| "talk to init")?;
            }
            Some(message) => return Err(Error::new(format!("init sent {message:?} out of turn"))),
        }
    }
}

/// The container process state of runtime-spec `config-linux.md`, with the descriptor.
fn hand_over(
    listener: &Listener,
    pid: i32,
    pidfd: BorrowedFd<'_>,
    number: i32,
    container: &Container,
) -> Result<()> {
    let fd = sys::process::pidfd_getfd(pidfd, number).at(|| "take seccomp listener from init")?;
    let init = container.init_pid();
    let message = serde_json::json!({
        "ociVersion": container.stored.oci_version,
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": listener.metadata,
        "state": HookState::of(container, Status::Creating, init),
    });
    let socket = connect_to(&listener.path).at(|| "linux.seccomp.listenerPath")?;
    crate::init::devices::send_fd(socket.as_fd(), fd.as_fd(), message.to_string().as_bytes())
        .at(|| format!("send seccomp listener to {}", listener.path.display()))
}

/// A hook that fails stops the container (runtime.md, lifecycle 9: "the runtime MUST log a warning"; runc
/// kills, and callers rely on the error).
pub(crate) fn poststart(container: &Container, config: &Config) -> Result<()> {
    if config.hooks.poststart.is_empty() {
        return Ok(());
    }
    let pid = container.init_pid();
    let state = HookState::of(container, Status::Running, pid);
    let bundle = Some(container.stored.bundle.as_path());
    let ran = HookOutput::open(&config.hooks)
        .and_then(|output| hooks::run("poststart", &config.hooks.poststart, &output, &state, bundle));
    if let Err(e) = ran {
        let _ = crate::control::kill_all(container);
        return Err(e);
    }
    Ok(())
}
