//! `checkpoint`, and what its flags have in common with those of `restore`.

use super::{absolute, absolute_if_given, output};
use crate::args::{Checkpoint, Criu, Images, Outside};
use crate::progress::Progress;
use anyhow::{Context, Result, bail};
use container::{CheckpointOptions, Runtime, Stream};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// The annotation that names a file with options of CRIU's for a container.
pub(super) const CONFIGURATION: &str = "org.criu.config";

pub fn checkpoint(rt: &Runtime, args: &Checkpoint) -> Result<i32> {
    let options = options(rt, args)?;
    if !args.check {
        let mut progress = Progress::default();
        container::checkpoint(rt, &args.ids, &options, &mut |done, total| progress.show(done, total))?;
        return Ok(0);
    }
    let blockers = container::check_checkpoint(rt, &args.ids, &options)?;
    let lines = blockers.iter().map(|line| crate::compat::one_line(line) + "\n");
    output::print(&lines.collect::<String>())?;
    Ok(i32::from(!blockers.is_empty()))
}

impl Checkpoint {
    /// Errors about several containers name the one that they are about.
    pub fn only_id(&self) -> Option<&str> {
        if let [id] = &self.ids[..] { Some(id) } else { None }
    }
}

fn options(rt: &Runtime, args: &Checkpoint) -> Result<CheckpointOptions> {
    refuse_foreign(&args.criu)?;
    let page_server = args.page_server.as_ref().map(|address| {
        let parsed: Result<SocketAddr, _> = address.parse();
        parsed.with_context(|| format!("--page-server {address}: ADDRESS:PORT is needed, as numbers"))
    });
    let page_server = page_server.transpose()?;
    let stream = stream(&args.stream, io::stdout().as_fd())?;
    if stream.is_some() && (args.images.image_path.is_some() || args.pre_dump || args.parent_path.is_some()) {
        bail!("--stream: it goes without --image-path, --pre-dump and --parent-path");
    }
    if stream.is_some() && page_server.is_some() {
        bail!("--stream: it goes without --page-server");
    }
    let stream = match (stream, args.compress.as_deref()) {
        (stream, None) => stream,
        (Some(stream), Some("zstd")) => Some(stream.compressed()),
        (Some(_), Some(format)) => bail!("--compress {format}: zstd is supported"),
        (None, Some(format)) => bail!("--compress {format}: it needs --stream"),
    };
    let (image_path, work_path) = paths(&args.images)?;
    // Several are dumped with the same options.
    let annotations =
        args.only_id().and_then(|id| container::state(rt, id).ok()).map(|state| state.annotations);
    let named = annotations.as_ref().and_then(|annotations| annotations.get(CONFIGURATION));
    let own = [
        ("leave-running", args.leave_running),
        ("skip-in-flight", args.tcp_skip_in_flight),
        ("link-remap", args.link_remap),
        ("auto-dedup", args.criu.auto_dedup),
        ("lazy-pages", args.criu.lazy_pages),
    ];
    let criu = configured(&args.outside, &own, &args.criu, named.map(String::as_str))?;
    // Where memory goes, or where it is served.
    let (page_server, served_at) = match (criu.lazy_pages, page_server) {
        (true, None) => bail!("--lazy-pages: --page-server ADDRESS:PORT is needed, where memory is served"),
        (true, served_at) => (None, served_at),
        (false, page_server) => (page_server, None),
    };
    // -1 is runc's default.
    let status = args.status_fd.as_ref().filter(|number| *number != "-1");
    if let Some(number) = status.filter(|_| served_at.is_none()) {
        bail!("--status-fd {number}: it announces that memory is served, with --lazy-pages");
    }
    let status = status.map(|number| {
        let given = number.parse().with_context(|| format!("--status-fd {number}"))?;
        let own = sys::process::own_descriptor(given);
        own.map(File::from).with_context(|| format!("--status-fd {number}"))
    });
    Ok(CheckpointOptions {
        image_path,
        work_path,
        log_file: criu.log_file,
        parent_path: args.parent_path.clone(),
        page_server,
        served_at,
        status: status.transpose()?,
        leave_running: criu.leave_running,
        pre_dump: args.pre_dump,
        tcp_established: criu.tcp_established,
        tcp_skip_in_flight: criu.tcp_skip_in_flight,
        tcp_close: criu.tcp_close,
        lock_network: !criu.skips_network_lock,
        ext_unix_sk: criu.ext_unix_sk,
        shell_job: criu.shell_job,
        file_locks: criu.file_locks,
        link_remap: criu.link_remap,
        auto_dedup: criu.auto_dedup,
        stream,
    })
}

/// Flags, and CRIU's configuration files: those that every CRIU reads come before flags, and what runc has it read has the
/// last word. That is `named`, what the container's annotation says, `None` without one; the empty name is none.
pub(super) fn configured(
    outside: &Outside,
    own: &[(&str, bool)],
    criu: &Criu,
    named: Option<&str>,
) -> Result<criu_rpc::Options> {
    let mut options = criu_rpc::Options::default();
    let read = |options: &mut criu_rpc::Options, path: &Path, text: &str| {
        options.read_for_container(path, text).map_err(anyhow::Error::msg)
    };
    for (path, text) in super::criu::configuration()? {
        read(&mut options, &path, &text)?;
    }
    let flags = [
        ("tcp-established", outside.tcp_established),
        ("tcp-close", outside.tcp_close),
        ("ext-unix-sk", outside.ext_unix_sk),
        ("shell-job", outside.shell_job),
        ("file-locks", outside.file_locks),
    ];
    for (name, _) in flags.iter().chain(own).filter(|(_, is_given)| *is_given) {
        options.set(name, "").map_err(anyhow::Error::msg)?;
    }
    if let Some(method) = &criu.network_lock {
        options.set("network-lock", method).map_err(anyhow::Error::msg)?;
    }
    let path = Path::new(named.unwrap_or("/etc/criu/runc.conf"));
    match std::fs::read_to_string(path) {
        Ok(text) => read(&mut options, path, &text)?,
        Err(error) if path.as_os_str().is_empty() || error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    }
    Ok(options)
}

/// What `--stream` and `--ack-fd` say; `data` is the standard descriptor that it is about.
pub(super) fn stream(args: &crate::args::Stream, data: BorrowedFd<'_>) -> Result<Option<Stream>> {
    if !args.stream {
        return match args.ack_fd {
            Some(number) => bail!("--ack-fd {number}: it needs --stream"),
            None => Ok(None),
        };
    }
    if data.is_terminal() {
        bail!("--stream: a terminal is no place for images");
    }
    let acknowledgement = args
        .ack_fd
        .map(|number| sys::process::own_descriptor(number).with_context(|| format!("--ack-fd {number}")));
    Ok(Some(Stream::new(data.try_clone_to_owned()?, acknowledgement.transpose()?)))
}

/// The directory of the images and that of the logs.
pub(super) fn paths(images: &Images) -> Result<(PathBuf, Option<PathBuf>)> {
    let image_path = images.image_path.as_deref().unwrap_or(Path::new("checkpoint"));
    Ok((absolute(image_path)?, absolute_if_given(&images.work_path)?))
}

/// Refuses what floe cannot do, and values that have no meaning to anybody.
pub(super) fn refuse_foreign(criu: &Criu) -> Result<()> {
    if !matches!(criu.manage_cgroups_mode.as_str(), "soft" | "full" | "strict" | "ignore") {
        bail!(
            "invalid manage-cgroups-mode {:?}; soft, full, strict and ignore are known",
            criu.manage_cgroups_mode
        );
    }
    if let Some(namespace) = criu.empty_ns.iter().find(|namespace| *namespace != "network") {
        bail!("--empty-ns: namespace {namespace:?} is not supported; network is");
    }
    match criu.network_lock.as_deref() {
        None | Some("iptables" | "nftables" | "skip") => Ok(()),
        Some(method) => bail!("invalid --network-lock {method:?}; iptables, nftables and skip are known"),
    }
}
