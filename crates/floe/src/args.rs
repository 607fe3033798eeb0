//! The command line: every flag of runc, and what crun adds.
//!
//! Definitions only. `command_line` reads the tolerant syntax that callers use and hands clap a canonical form;
//! `commands` interprets the values. Man pages and completions are generated from this file.

use clap::{ArgAction, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Runs containers as the Open Container Initiative specifies them
///
/// floe is called by Podman, CRI-O, containerd, Docker and BuildKit, and takes the
/// commands and flags of runc. A container comes from a bundle: a directory with a
/// config.json and a root file system.
#[derive(Debug, Parser)]
#[command(name = "floe", disable_version_flag = true, disable_help_subcommand = true, verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Args {
    /// The definitions of the program with those of one command only, which is a third of the work of
    /// `Args::command()`. They read a line exactly like the complete ones, but lack the texts for help.
    pub fn one_command(name: &str) -> Option<clap::Command> {
        use clap::{Args, Command};
        let command = match name {
            "create" => Create::augment_args(Command::new("create")),
            "start" => Id::augment_args(Command::new("start")),
            "state" => Id::augment_args(Command::new("state")),
            "kill" => Kill::augment_args(Command::new("kill")),
            "delete" => Delete::augment_args(Command::new("delete")),
            "run" => Run::augment_args(Command::new("run")),
            "exec" => Exec::augment_args(Command::new("exec")),
            "checkpoint" => Checkpoint::augment_args(Command::new("checkpoint")),
            "restore" => Restore::augment_args(Command::new("restore")),
            "ps" => Ps::augment_args(Command::new("ps")),
            "list" => List::augment_args(Command::new("list")),
            "pause" => Id::augment_args(Command::new("pause")),
            "resume" => Id::augment_args(Command::new("resume")),
            "update" => Update::augment_args(Command::new("update")),
            "events" => Events::augment_args(Command::new("events")),
            "spec" => Spec::augment_args(Command::new("spec")),
            "features" => Command::new("features"),
            "check" => Check::augment_args(Command::new("check")),
            "images" => ShowImages::augment_args(Command::new("images")),
            "criu" => AsCriu::augment_args(Command::new("criu")),
            _ => return None,
        };
        let program = Command::new("floe").disable_version_flag(true).disable_help_subcommand(true);
        Some(Global::augment_args(program).subcommand(command))
    }
}

#[derive(Debug, clap::Args)]
pub struct Global {
    /// Directory that holds the state of containers [default: /run/floe, rootless: $XDG_RUNTIME_DIR/floe]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Append the log to this file (also file:PATH, journald:IDENTIFIER, syslog:IDENTIFIER)
    #[arg(long, value_name = "FILE")]
    pub log: Option<OsString>,
    /// Log as text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: String,
    /// error, warning or debug
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Log what a developer wants to know
    #[arg(long)]
    pub debug: bool,
    /// Let systemd manage cgroups; same as --cgroup-manager systemd
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Who manages cgroups: cgroupfs, systemd or disabled
    #[arg(long, value_name = "MANAGER")]
    pub cgroup_manager: Option<String>,
    /// Ignore that cgroups may not be written: true, false or auto
    #[arg(long, value_name = "BOOL", default_value = "auto")]
    pub rootless: String,
    /// Without effect: no CRIU is called
    #[arg(long, value_name = "PATH", hide = true)]
    pub criu: Option<OsString>,
    /// Print the version
    #[arg(short = 'v', long)]
    pub version: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a container
    Create(Create),
    /// Start the process of a created container
    Start(Id),
    /// Print the state of a container
    State(Id),
    /// Send a signal to the first process of a container
    Kill(Kill),
    /// Delete a stopped container
    Delete(Delete),
    /// Create and start a container
    Run(Run),
    /// Run another process in a container
    Exec(Exec),
    /// Write running containers to disk
    Checkpoint(Checkpoint),
    /// Make a container from a checkpoint
    Restore(Restore),
    /// List the processes of a container
    Ps(Ps),
    /// List containers
    List(List),
    /// Suspend all processes of a container
    Pause(Id),
    /// Resume a paused container
    Resume(Id),
    /// Change the resource limits of a container
    Update(Update),
    /// Report out-of-memory kills and statistics of a container
    Events(Events),
    /// Write a config.json to start from
    Spec(Spec),
    /// Print what this runtime can do, as JSON
    Features,
    /// Print what this host offers to containers, with advice
    Check(Check),
    /// Look into image files of a checkpoint
    Images(ShowImages),
    /// Answer those who look for CRIU; also as a program named criu
    Criu(AsCriu),
}

#[derive(Debug, clap::Args)]
pub struct ShowImages {
    /// show: print images as JSON, as `crit show` does
    #[arg(value_name = "ACTION", value_parser = ["show"])]
    pub action: String,
    /// An image, or a directory with images
    #[arg(value_name = "FILE|DIR")]
    pub path: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct AsCriu {
    /// swrk: answer and do what criu's RPC on a socket asks for; check, dump, pre-dump, restore, dedup, service: with options
    /// of criu(8)
    #[arg(value_name = "ACTION", value_parser = ["swrk"], required_unless_present = "criu_version")]
    pub action: Option<String>,
    /// Of swrk: the number of the socket's descriptor
    #[arg(value_name = "FD", value_parser = clap::value_parser!(i32).range(0..))]
    pub fd: Option<i32>,
    /// Print the version of CRIU whose images and answers these are
    #[arg(short = 'V', long = "version", id = "criu_version")]
    pub version: bool,
}

#[derive(Debug, clap::Args)]
pub struct Id {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,
}

#[derive(Debug, clap::Args)]
pub struct Create {
    #[command(flatten)]
    pub container: NewContainer,
    #[command(flatten)]
    pub id: Id,
}

#[derive(Debug, clap::Args)]
pub struct Run {
    #[command(flatten)]
    pub container: NewContainer,
    /// Do not wait for the container to end
    #[arg(short, long)]
    pub detach: bool,
    /// Do not delete the container when it ends
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    pub id: Id,
}

#[derive(Debug, clap::Args)]
pub struct NewContainer {
    /// Bundle directory [default: the current directory]
    #[arg(short, long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Read this file in place of the bundle's config.json
    #[arg(short = 'f', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Socket that receives the master end of the container's terminal
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Socket that receives a pidfd of the container's first process
    #[arg(long, value_name = "SOCKET")]
    pub pidfd_socket: Option<PathBuf>,
    /// Write the process id to this file
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Do not use pivot_root(2), for a root file system on a ramdisk
    #[arg(long)]
    pub no_pivot: bool,
    /// Leave the session keyring as it is
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Do not become the subreaper of the container's processes
    #[arg(long)]
    pub no_subreaper: bool,
    /// Pass N more descriptors than stdio and LISTEN_FDS to the container
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
}

#[derive(Debug, clap::Args)]
pub struct Checkpoint {
    /// Say what keeps the container from being checkpointed, and do nothing else
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    pub images: Images,
    /// Directory of an earlier pre-dump, relative to --image-path
    #[arg(long, value_name = "DIR")]
    pub parent_path: Option<PathBuf>,
    #[command(flatten)]
    pub stream: Stream,
    /// With --stream: compress it by zstd; restore sees it by itself
    #[arg(long, value_name = "FORMAT")]
    pub compress: Option<String>,
    /// Let the container run on
    #[arg(long)]
    pub leave_running: bool,
    /// Write memory only, for a later checkpoint with --parent-path; the container runs on
    #[arg(long)]
    pub pre_dump: bool,
    /// Leave out TCP connections that are not established yet
    #[arg(long)]
    pub tcp_skip_in_flight: bool,
    /// Link deleted files back that have another name
    #[arg(long)]
    pub link_remap: bool,
    #[command(flatten)]
    pub outside: Outside,
    #[command(flatten)]
    pub criu: Criu,
    /// ADDRESS:PORT of a page server, which gets the memory; with --lazy-pages, where memory is served
    #[arg(long, value_name = "ADDRESS")]
    pub page_server: Option<String>,
    /// With --lazy-pages: descriptor that gets a byte of zero when memory can be fetched
    #[arg(long, value_name = "FD")]
    pub status_fd: Option<String>,
    /// Names of containers; several are written as of one moment, to DIR/ID each
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub struct Restore {
    #[command(flatten)]
    pub images: Images,
    #[command(flatten)]
    pub container: NewContainer,
    /// Do not wait for the container to end
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    pub stream: Stream,
    /// Leave the container in state created: its tasks run from `floe start` on
    #[arg(long)]
    pub no_start: bool,
    #[command(flatten)]
    pub outside: Outside,
    /// TYPE:LABEL that config.json gives to the process
    #[arg(long, value_name = "TYPE:LABEL")]
    pub lsm_profile: Option<String>,
    /// Label that config.json gives to mounts
    #[arg(long, value_name = "LABEL")]
    pub lsm_mount_context: Option<String>,
    #[command(flatten)]
    pub criu: Criu,
    /// Accepted for callers that name it as for checkpoint: the images do so too
    #[arg(long, value_name = "DIR", hide = true)]
    pub parent_path: Option<PathBuf>,
    /// Accepted for callers that name it as for checkpoint: deleted files are linked back as the images say
    #[arg(long, hide = true)]
    pub link_remap: bool,
    #[command(flatten)]
    pub id: Id,
}

/// A checkpoint that goes from one floe to another.
#[derive(Debug, clap::Args)]
pub struct Stream {
    /// The images are one stream: standard output of checkpoint, standard input of restore
    #[arg(long)]
    pub stream: bool,
    /// With --stream: descriptor by which restore tells checkpoint that it has taken all
    #[arg(long, value_name = "FD", value_parser = clap::value_parser!(i32).range(0..))]
    pub ack_fd: Option<i32>,
}

/// Where a checkpoint is.
#[derive(Debug, clap::Args)]
pub struct Images {
    /// Directory of the images [default: ./checkpoint]
    #[arg(long, value_name = "DIR")]
    pub image_path: Option<PathBuf>,
    /// Directory for the log and statistics [default: that of the images]
    #[arg(long, value_name = "DIR")]
    pub work_path: Option<PathBuf>,
}

/// What may be dumped and restored although a part of it is outside of the container.
#[derive(Debug, clap::Args)]
pub struct Outside {
    /// Allow established TCP connections
    #[arg(long)]
    pub tcp_established: bool,
    /// Turn established TCP connections into closed ones
    #[arg(long)]
    pub tcp_close: bool,
    /// Allow unix sockets whose peer is outside
    #[arg(long)]
    pub ext_unix_sk: bool,
    /// Allow terminals and sessions of outside
    #[arg(long)]
    pub shell_job: bool,
    /// Allow file locks
    #[arg(long)]
    pub file_locks: bool,
}

/// Flags that mean something to CRIU alone.
#[derive(Debug, clap::Args)]
pub struct Criu {
    /// soft, full, strict or ignore: without effect, as cgroup and limits are those of config.json
    #[arg(long, value_name = "MODE", default_value = "soft")]
    pub manage_cgroups_mode: String,
    /// network: without effect, as the network is never part of a checkpoint
    #[arg(long, value_name = "NAMESPACE", action = ArgAction::Append)]
    pub empty_ns: Vec<String>,
    /// Of checkpoint with --parent-path: free the space of pages there that this checkpoint has, too
    #[arg(long)]
    pub auto_dedup: bool,
    /// Without effect: connections are locked one by one
    #[arg(long, value_name = "METHOD", hide = true)]
    pub network_lock: Option<String>,
    /// A daemon, `floe criu lazy-pages`, fills memory while the restored container runs; a checkpoint leaves it where it is
    /// until then, and serves it at --page-server
    #[arg(long)]
    pub lazy_pages: bool,
}

#[derive(Debug, clap::Args)]
pub struct Kill {
    /// Signal every process of the container
    #[arg(short, long, hide = true)]
    pub all: bool,
    /// ID is a regular expression: signal every container whose id it matches
    #[arg(short, long)]
    pub regex: bool,
    #[command(flatten)]
    pub id: Id,
    /// Number or name, with or without SIG
    #[arg(value_name = "SIGNAL", default_value = "TERM")]
    pub signal: String,
}

#[derive(Debug, clap::Args)]
pub struct Delete {
    /// Kill the container first; an unknown one is no error
    #[arg(short, long)]
    pub force: bool,
    /// ID is a regular expression: delete every container whose id it matches
    #[arg(short, long)]
    pub regex: bool,
    #[command(flatten)]
    pub id: Id,
}

#[derive(Debug, clap::Args)]
pub struct Exec {
    /// Socket that receives the master end of the process's terminal
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Socket that receives a pidfd of the process
    #[arg(long, value_name = "SOCKET")]
    pub pidfd_socket: Option<PathBuf>,
    /// Working directory in the container
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Set an environment variable; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", action = ArgAction::Append)]
    pub env: Vec<String>,
    /// Give the process a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Run as this user
    #[arg(short, long, value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// Add a supplementary group; may be repeated
    #[arg(short = 'g', long, value_name = "GID", action = ArgAction::Append)]
    pub additional_gids: Vec<String>,
    /// Read the process from this JSON file
    #[arg(short, long, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Do not wait for the process to end
    #[arg(short, long)]
    pub detach: bool,
    /// Write the process id to this file
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// SELinux label of the process
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// AppArmor profile of the process
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// Set no_new_privs
    #[arg(long)]
    pub no_new_privs: bool,
    /// Add a capability; may be repeated
    #[arg(short, long, value_name = "CAPABILITY", action = ArgAction::Append)]
    pub cap: Vec<String>,
    /// Pass N more descriptors than stdio to the process
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Run the process in this sub-cgroup of the container
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub cgroup: Vec<String>,
    /// Do not refuse a paused container
    #[arg(long)]
    pub ignore_paused: bool,
    /// Accepted for old callers
    #[arg(long, hide = true)]
    pub no_subreaper: bool,
    #[command(flatten)]
    pub id: Id,
    /// The command and its arguments, unless --process names them
    #[arg(value_name = "COMMAND", trailing_var_arg = true, required_unless_present = "process")]
    pub command: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub struct Ps {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    #[command(flatten)]
    pub id: Id,
    /// Options of ps(1) for the table [default: -ef]
    #[arg(value_name = "PS_OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    pub ps_options: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Print ids only
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Default, clap::Args)]
pub struct Update {
    /// Read LinuxResources from this JSON file, or from standard input with -; flags override it
    #[arg(short, long, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// Weight of block I/O, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<String>,
    /// CPU period in microseconds
    #[arg(long, value_name = "USEC")]
    pub cpu_period: Option<String>,
    /// CPU time allowed in each period, in microseconds
    #[arg(long, value_name = "USEC")]
    pub cpu_quota: Option<String>,
    /// CPU time that may be saved up for a burst, in microseconds
    #[arg(long, value_name = "USEC")]
    pub cpu_burst: Option<String>,
    /// CPU shares, relative to other containers
    #[arg(long, value_name = "SHARES")]
    pub cpu_share: Option<String>,
    /// Real-time CPU period in microseconds
    #[arg(long, value_name = "USEC")]
    pub cpu_rt_period: Option<String>,
    /// Real-time CPU time allowed in each period, in microseconds
    #[arg(long, value_name = "USEC")]
    pub cpu_rt_runtime: Option<String>,
    /// CPUs to use
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Obsolete, without effect
    #[arg(long, value_name = "SIZE", hide = true)]
    pub kernel_memory: Option<String>,
    /// Obsolete, without effect
    #[arg(long, value_name = "SIZE", hide = true)]
    pub kernel_memory_tcp: Option<String>,
    /// Memory limit in bytes, or with k, m, g; -1 is unlimited
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// 1 makes the container's processes idle class, 0 normal
    #[arg(long, value_name = "0|1")]
    pub cpu_idle: Option<String>,
    /// Soft memory limit in bytes, or with k, m, g
    #[arg(long, value_name = "SIZE")]
    pub memory_reservation: Option<String>,
    /// Limit of memory and swap together; -1 is unlimited
    #[arg(long, value_name = "SIZE")]
    pub memory_swap: Option<String>,
    /// Number of processes; -1 is unlimited
    #[arg(long, value_name = "N")]
    pub pids_limit: Option<String>,
    /// Intel RDT L3 cache schema
    #[arg(long, value_name = "SCHEMA")]
    pub l3_cache_schema: Option<String>,
    /// Intel RDT memory bandwidth schema
    #[arg(long, value_name = "SCHEMA")]
    pub mem_bw_schema: Option<String>,
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,
}

#[derive(Debug, clap::Args)]
pub struct Events {
    /// Time between two statistics
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub interval: String,
    /// Print the statistics once
    #[arg(long)]
    pub stats: bool,
    #[command(flatten)]
    pub id: Id,
}

#[derive(Debug, clap::Args)]
pub struct Spec {
    /// Directory to write config.json to
    #[arg(short, long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// For a container without root privileges
    #[arg(long)]
    pub rootless: bool,
    /// Write to this file
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Check {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Say whether these paths can be mounted idmapped [default: / /var/lib]
    #[arg(value_name = "PATH")]
    pub path: Vec<PathBuf>,
}
