//! `criu service`: requests through a socket of packets to which those may connect who may write to it, root alone. Each
//! client has a process of ours for itself, as tasks are cloned from where nobody else is at work.

use crate::command_line::Line;
use crate::options::Result;
use crate::{Host, Peer, answer_all};
use checkpoint::LogFile;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};
use std::fs::{self, File, Permissions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use sys::clone::{Child, CloneArgs, spawn};

/// As CRIU has it, in the work directory.
const ADDRESS: &str = "criu_service.socket";

/// Listens until it is killed; with `--daemon`, in a process of its own.
pub(crate) fn run(line: &Line, files: &[(PathBuf, String)], host: &dyn Host) -> Result<()> {
    let work = line.work.as_deref().unwrap_or(line.images());
    let address = work.join(line.address.as_deref().unwrap_or(Path::new(ADDRESS)));
    let mut log = line.log("")?;
    let listener =
        listen_at(&address).map_err(|error| format!("listen at {}: {error}", address.display()))?;
    let pid = |pid: u32| match &line.pidfile {
        Some(path) => {
            let path = work.join(path);
            fs::write(&path, pid.to_string()).map_err(|error| format!("write {}: {error}", path.display()))
        }
        None => Ok(()),
    };
    if !line.detached {
        pid(std::process::id())?;
        return serve(&listener, files, host, log.as_mut());
    }
    let daemon = spawn(&CloneArgs::default(), || match leave_terminal() {
        Ok(()) => i32::from(serve(&listener, files, host, log.as_mut()).is_err()),
        Err(_) => 1,
    });
    pid(daemon.map_err(|error| format!("make the daemon: {error}"))?.pid as u32)
}

/// A socket that was left behind is replaced; one where somebody listens is not.
fn listen_at(address: &Path) -> sys::Result<UnixListener> {
    let new = || socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None);
    let (listener, name) = (new()?, UnixAddr::new(address)?);
    if let Err(nix::Error::ECONNREFUSED) = connect(new()?.as_raw_fd(), &name) {
        fs::remove_file(address)?;
    }
    bind(listener.as_raw_fd(), &name)?;
    // Nobody can connect before it listens.
    fs::set_permissions(address, Permissions::from_mode(0o600))?;
    listen(&listener, Backlog::MAXCONN)?;
    Ok(listener.into())
}

pub(crate) fn leave_terminal() -> sys::Result<()> {
    nix::unistd::setsid()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(())
}

fn serve(
    listener: &UnixListener,
    files: &[(PathBuf, String)],
    host: &dyn Host,
    mut log: Option<&mut LogFile>,
) -> Result<()> {
    let mut workers: Vec<Child> = Vec::new();
    loop {
        let sources = workers.iter().map(|worker| worker.pidfd.as_fd());
        let mut polled: Vec<PollFd<'_>> = [listener.as_fd()]
            .into_iter()
            .chain(sources)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match poll(&mut polled, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            ready => ready.map_err(|error| format!("wait for clients: {error}"))?,
        };
        let is_asked = polled[0].any() == Some(true);
        // Those that have ended are reaped by that.
        workers.retain(|worker| matches!(sys::process::wait_pidfd(worker.pidfd.as_fd(), false), Ok(None)));
        if !is_asked {
            continue;
        }
        let (client, _) = listener.accept().map_err(|error| format!("accept: {error}"))?;
        let client = OwnedFd::from(client);
        let work = || i32::from(answer_all(&client, Peer::Client, files, host).is_err());
        let worker = spawn(&CloneArgs::default(), work);
        let line = match &worker {
            Ok(worker) => format!("a client is served by process {}", worker.pid),
            Err(error) => format!("serve a client: {error}"),
        };
        if let Some(log) = log.as_deref_mut() {
            log.line(&line);
        }
        workers.extend(worker);
    }
}
