//! Running OCI hooks: state on stdin, exactly the hook's environment, a deadline without polling.

use crate::Status;
use crate::config::{Hook, Hooks};
use crate::error::{At, Error, Result};
use crate::state::Container;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use sys::Errno;

/// The state that a hook reads on stdin (runtime.md, State).
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HookState<'a> {
    pub(crate) oci_version: &'a str,
    pub(crate) id: &'a str,
    pub(crate) status: Status,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) pid: i32,
    pub(crate) bundle: &'a Path,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: &'a BTreeMap<String, String>,
}

fn is_zero(pid: &i32) -> bool {
    *pid == 0
}

impl<'a> HookState<'a> {
    pub(crate) fn of(container: &'a Container, status: Status, pid: i32) -> HookState<'a> {
        let stored = &container.stored;
        HookState {
            oci_version: &stored.oci_version,
            id: &stored.id,
            status,
            pid,
            bundle: &stored.bundle,
            annotations: &stored.annotations,
        }
    }
}

/// Where hooks write to: files on the host, or what an error quotes.
#[derive(Debug)]
pub(crate) struct HookOutput {
    stdout: Option<File>,
    stderr: Option<File>,
}

impl HookOutput {
    /// Opens the files that `hooks` names. To be called outside of the container.
    pub(crate) fn open(hooks: &Hooks) -> Result<HookOutput> {
        let open = |path: &Option<PathBuf>, name: &str| -> Result<Option<File>> {
            let Some(path) = path else { return Ok(None) };
            let file = OpenOptions::new().append(true).create(true).open(path).map_err(Errno::from);
            file.map(Some).at(|| format!("{name}: open {}", path.display()))
        };
        Ok(HookOutput {
            stdout: open(&hooks.stdout, "run.oci.hooks.stdout")?,
            stderr: open(&hooks.stderr, "run.oci.hooks.stderr")?,
        })
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.stdout.iter().chain(&self.stderr).map(File::as_fd)
    }
}

/// Runs the hooks of one kind in order and stops at the first that fails. Paths mean what they mean in the
/// caller's mount namespace and root.
pub(crate) fn run(
    kind: &str,
    hooks: &[Hook],
    output: &HookOutput,
    state: &HookState<'_>,
    cwd: Option<&Path>,
) -> Result<()> {
    for (number, hook) in hooks.iter().enumerate() {
        let name = || format!("{kind} hook #{number} {}", hook.path);
        run_one(hook, output, state, cwd).at(name)?;
    }
    Ok(())
}

pub(crate) fn run_one(
    hook: &Hook,
    files: &HookOutput,
    state: &HookState<'_>,
    cwd: Option<&Path>,
) -> Result<()> {
    let memfd = |name| -> Result<File> {
        Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC).map_err(Errno::from).at(|| "memfd_create")?.into())
    };
    // Files instead of pipes: nobody has to be reading, and a hook's descendants cannot make us wait.
    let mut stdin = memfd(c"hook-state")?;
    let json = serde_json::to_vec(state).at(|| "state")?;
    stdin
        .write_all(&json)
        .and_then(|()| stdin.seek(SeekFrom::Start(0)))
        .map_err(Errno::from)
        .at(|| "state")?;
    let mut output = memfd(c"hook-output")?;
    let share = |file: &File| file.try_clone().map_err(Errno::from).at(|| "dup");

    let mut command = Command::new(&hook.path);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    command.env_clear();
    command.envs(hook.env.iter().filter_map(|variable| variable.split_once('=')));
    command
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(share(files.stdout.as_ref().unwrap_or(&output))?))
        .stderr(Stdio::from(share(files.stderr.as_ref().unwrap_or(&output))?));
    if let Some(cwd) = cwd {
        command.current_dir(PathBuf::from(cwd));
    }
    let mut child = command.spawn().map_err(Errno::from).at(|| "exec")?;

    if let Some(timeout_s) = hook.timeout_s {
        let pidfd = sys::process::pidfd_open(child.id() as i32).at(|| "pidfd_open")?;
        let deadline = Instant::now() + Duration::from_secs(timeout_s.into());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout =
                PollTimeout::try_from(left.as_millis().min(60_000) as i32 + 1).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(1) => break,
                Ok(_) if left.is_zero() => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(Error::new(format!("ran past its timeout of {timeout_s} s")));
                }
                _ => {}
            }
        }
    }
    let status = child.wait().map_err(Errno::from).at(|| "wait")?;
    if status.success() {
        return Ok(());
    }
    let end = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    let said = last_output(&mut output);
    Err(Error::new(if said.is_empty() { end } else { format!("{end}, it said: {said}") }))
}

/// The end of what a hook printed, on one line.
fn last_output(output: &mut File) -> String {
    const KEEP: u64 = 2048;
    let length = output.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = Vec::new();
    let _ = output
        .seek(SeekFrom::Start(length.saturating_sub(KEEP)))
        .and_then(|_| output.take(KEEP).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
