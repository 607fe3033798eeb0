//! The life cycle of an OCI container: bundle in, running process out, and every operation on it after.
//!
//! `config` decides (pure data, no kernel), `create` and `exec` act from outside, `init` acts inside the new
//! container. This crate prints nothing, reads no environment and never exits: the binary does.

mod attach;
mod checkpoint;
pub mod config;
mod control;
mod create;
mod descriptors;
mod error;
mod exec;
mod hooks;
mod init;
mod netdev;
mod notify;
mod rdt;
mod restore;
mod seccomp;
mod start;
mod state;
mod stream;
mod time;

/// Readers that are nobody's API, with what must hold of them for any input: the targets in `fuzz/` call these.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    pub use crate::descriptors::fuzz as descriptors;
    pub use crate::init::process::fuzz as passwd;
    pub use crate::init::protocol::fuzz as protocol;
    pub use crate::netdev::fuzz as netlink;
    pub use crate::rdt::fuzz as resctrl;
    pub use crate::seccomp::fuzz as seccomp;
    pub use crate::state::fuzz as state;
}

pub use error::{At, Error, Kind, Result};
pub use stream::Stream;
pub use time::rfc3339;

use cgroup::systemd;
use config::ProcessDocument;
use oci_spec::runtime::LinuxResources;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Who makes a container's cgroup. What exists is driven as its state says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupDriver {
    /// floe writes to cgroupfs itself.
    Cgroupfs,
    /// A systemd manager makes it, as a transient scope.
    Systemd(systemd::Manager),
    /// No cgroup is created or changed.
    Disabled,
}

/// What all operations share: where state lives and how this process may act.
#[derive(Debug)]
pub struct Runtime {
    /// Directory that holds one directory per container.
    pub root: PathBuf,
    pub cgroup_driver: CgroupDriver,
    /// `--rootless`: `None` is "auto", decided from the user namespace and the effective uid.
    pub rootless: Option<bool>,
    /// What went by that a person may want to know. The binary decides whether anybody sees it.
    pub warnings: RefCell<Vec<String>>,
}

impl Runtime {
    /// Without the rights of the host's root: another user, or root of a user namespace.
    pub fn is_rootless(&self) -> bool {
        create::is_rootless(self)
    }
}

/// Options of `create`, `run` and `restore`.
#[derive(Debug, Default)]
pub struct CreateOptions {
    pub bundle: PathBuf,
    /// `--config`: read instead of `bundle/config.json`.
    pub config: Option<PathBuf>,
    pub console_socket: Option<PathBuf>,
    pub pidfd_socket: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// Descriptors 3 .. 3+N that the container inherits besides stdio.
    pub preserve_fds: u32,
    /// `LISTEN_FDS` and `LISTEN_FDNAMES` of our environment: the descriptors from 3 on are the container's.
    pub listen_fds: u32,
    pub listen_fdnames: Option<OsString>,
    /// `NOTIFY_SOCKET` of our environment.
    pub notify_socket: Option<PathBuf>,
}

/// Options that `run` has besides those of `create`.
#[derive(Debug, Default)]
pub struct RunOptions {
    pub detach: bool,
    /// Leave the container's state behind when it ends.
    pub keep: bool,
    pub no_subreaper: bool,
}

/// Options of `checkpoint`.
#[derive(Debug, Default)]
pub struct CheckpointOptions {
    /// Where the images go, or a directory with them for each of several containers. Made if it is missing.
    pub image_path: PathBuf,
    /// Where dump.log and stats-dump go, made if it is missing; `None` is the directory of the images.
    pub work_path: Option<PathBuf>,
    /// In place of dump.log: a name in that directory, or an absolute path.
    pub log_file: Option<PathBuf>,
    /// Directory of an earlier pre-dump, relative to `image_path`.
    pub parent_path: Option<PathBuf>,
    /// Memory goes there, instead of `image_path`.
    pub page_server: Option<SocketAddr>,
    /// Or it stays where it is and is served there, until all is fetched. Not with a `stream` either.
    pub served_at: Option<SocketAddr>,
    /// Gets a byte of zero when somebody can connect.
    pub status: Option<File>,
    pub leave_running: bool,
    /// Memory only, for a later checkpoint to build on; the container runs on.
    pub pre_dump: bool,
    pub tcp_established: bool,
    pub tcp_skip_in_flight: bool,
    pub tcp_close: bool,
    /// Drop packets of established connections meanwhile.
    pub lock_network: bool,
    pub ext_unix_sk: bool,
    pub shell_job: bool,
    pub file_locks: bool,
    pub link_remap: bool,
    /// Pages in the directories before this one are given up where this checkpoint has them anew.
    pub auto_dedup: bool,
    /// Where the images go in place of `image_path`, of a container alone. It ends only when the other side has built it.
    pub stream: Option<Stream>,
}

/// Options that `restore` has besides those of `create` and `run`.
#[derive(Debug, Default)]
pub struct RestoreOptions {
    /// Where restore.log and stats-restore go, made if it is missing; `None` is the directory of the images.
    pub work_path: Option<PathBuf>,
    /// In place of restore.log: a name in that directory, or an absolute path.
    pub log_file: Option<PathBuf>,
    pub tcp_established: bool,
    pub tcp_close: bool,
    /// Unix sockets send to those outside again that have the same names.
    pub ext_unix_sk: bool,
    /// Drop packets of established connections until the container runs.
    pub lock_network: bool,
    /// `TYPE:LABEL` and a label, which config.json must have as well: it decides.
    pub lsm_profile: Option<String>,
    pub lsm_mount_context: Option<String>,
    /// Leave it in state `created`: all tasks are there, frozen, until `start`. Takes a cgroup of its own.
    pub no_start: bool,
    /// A daemon that listens in the work directory fills memory while the container runs.
    pub lazy_pages: bool,
}

/// Where the images of a restore come from.
#[derive(Debug)]
pub enum ImageSource {
    Directory(PathBuf),
    Stream(Stream),
}

/// Options of `exec`.
#[derive(Debug, Default)]
pub struct ExecOptions {
    /// The whole process, from `--process`. Otherwise `args` and the flags below change the container's own.
    pub process: Option<ProcessDocument>,
    pub args: Vec<String>,
    pub cwd: Option<PathBuf>,
    pub env: Vec<String>,
    pub tty: bool,
    /// uid and, when given, gid.
    pub user: Option<(u32, Option<u32>)>,
    pub additional_gids: Vec<u32>,
    pub process_label: Option<String>,
    pub apparmor: Option<String>,
    pub no_new_privs: bool,
    pub caps: Vec<String>,
    pub preserve_fds: u32,
    /// Path below the container's cgroup.
    pub cgroup: Option<PathBuf>,
    pub ignore_paused: bool,
    pub detach: bool,
    pub console_socket: Option<PathBuf>,
    pub pidfd_socket: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
}

/// Life-cycle states of runtime-spec `runtime.md`, and `paused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

/// What `state` and `list` tell, in the shape and order of runc's JSON.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub oci_version: String,
    pub id: String,
    /// 0 when stopped.
    pub pid: i32,
    pub status: Status,
    pub bundle: PathBuf,
    pub rootfs: PathBuf,
    /// RFC 3339 with nanoseconds.
    pub created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Name of the user that owns the state directory.
    pub owner: String,
}

/// A kernel event that `events` reports.
#[derive(Debug)]
pub enum Event {
    /// The kernel killed a process of the container for memory.
    Oom,
    Stats(Box<cgroup::Stats>),
}

/// Makes the container and leaves it in state `created`.
pub fn create(rt: &Runtime, id: &str, options: &CreateOptions) -> Result<()> {
    create::create(rt, id, options)
}

/// `create` and `start` in one; attached, it proxies signals and the terminal and returns the exit status.
pub fn run(rt: &Runtime, id: &str, options: &CreateOptions, run: &RunOptions) -> Result<i32> {
    create::run(rt, id, options, run)
}

/// Lets the program run. With `notify_socket` (NOTIFY_SOCKET of our environment) it returns when the
/// program says that it is ready.
pub fn start(rt: &Runtime, id: &str, notify_socket: Option<&Path>) -> Result<()> {
    start::start(rt, id, notify_socket)
}

pub fn state(rt: &Runtime, id: &str) -> Result<State> {
    state::Container::open(rt, id)?.describe()
}

/// All containers under the root, sorted by id; a damaged one is left out with a warning.
pub fn list(rt: &Runtime) -> Result<Vec<State>> {
    control::list(rt)
}

/// Sends `signal` to init, or with `all` to every process of the container (a stopped one is then no error).
pub fn kill(rt: &Runtime, id: &str, signal: i32, all: bool) -> Result<()> {
    control::kill(rt, id, signal, all)
}

/// Removes a stopped container; with `force` kills it first, and an unknown id is no error.
pub fn delete(rt: &Runtime, id: &str, force: bool) -> Result<()> {
    control::delete(rt, id, force)
}

/// Runs a process in a running container. Attached, it returns the exit status; detached, 0.
pub fn exec(rt: &Runtime, id: &str, options: &ExecOptions) -> Result<i32> {
    exec::exec(rt, id, options)
}

/// Writes running or paused containers to disk; several as of one moment, each to a directory with its id. Unless they are
/// left running or only pre-dumped, they end and are deleted. After an error each is what it was before. `progress` gets
/// the bytes of memory of one that are written, and of how many; the containers wait for it.
pub fn checkpoint(
    rt: &Runtime,
    ids: &[String],
    options: &CheckpointOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    checkpoint::checkpoint(rt, ids, options, progress)
}

/// What keeps containers from being checkpointed, a line for each thing. Nothing is stopped or written.
pub fn check_checkpoint(rt: &Runtime, ids: &[String], options: &CheckpointOptions) -> Result<Vec<String>> {
    checkpoint::check(rt, ids, options)
}

/// Makes a container from config.json and the images of a checkpoint. Attached, it returns the exit status; detached, 0.
pub fn restore(
    rt: &Runtime,
    id: &str,
    source: ImageSource,
    options: &CreateOptions,
    run: &RunOptions,
    restore: &RestoreOptions,
) -> Result<i32> {
    restore::restore(rt, id, source, options, run, restore)
}

/// Process ids in our pid namespace, sorted.
pub fn processes(rt: &Runtime, id: &str) -> Result<Vec<i32>> {
    control::processes(rt, id)
}

pub fn pause(rt: &Runtime, id: &str) -> Result<()> {
    control::pause(rt, id)
}

pub fn resume(rt: &Runtime, id: &str) -> Result<()> {
    control::resume(rt, id)
}

/// Writes the resources that are set; device rules are left alone, as runc does.
pub fn update(rt: &Runtime, id: &str, resources: &LinuxResources) -> Result<()> {
    control::update(rt, id, resources)
}

pub fn stats(rt: &Runtime, id: &str) -> Result<cgroup::Stats> {
    control::stats(rt, id)
}

/// Calls `report` with statistics every `interval_ms` and with each OOM kill, until the container ends.
pub fn events(rt: &Runtime, id: &str, interval_ms: u64, report: &mut dyn FnMut(Event)) -> Result<()> {
    control::events(rt, id, interval_ms, report)
}
