//! `checkpoint`, and what its flags have in common with those of `restore`.

use super::{absolute, absolute_if_given, output};
use crate::args::{Checkpoint, Criu, Images};
use crate::progress::Progress;
use anyhow::{Result, bail};
use container::{CheckpointOptions, Runtime};
use std::path::{Path, PathBuf};

pub fn checkpoint(rt: &Runtime, args: &Checkpoint) -> Result<i32> {
    let options = options(args)?;
    if !args.check {
        let mut progress = Progress::default();
        container::checkpoint(rt, &args.id.id, &options, &mut |done, total| progress.show(done, total))?;
        return Ok(0);
    }
    let blockers = container::check_checkpoint(rt, &args.id.id, &options)?;
    let lines = blockers.iter().map(|line| crate::compat::one_line(line) + "\n");
    output::print(&lines.collect::<String>())?;
    Ok(i32::from(!blockers.is_empty()))
}

fn options(args: &Checkpoint) -> Result<CheckpointOptions> {
    refuse_foreign(&args.criu)?;
    if let Some(address) = &args.page_server {
        bail!("--page-server {address} is not supported; use --image-path");
    }
    // -1 is runc's default.
    if let Some(number) = args.status_fd.as_ref().filter(|number| *number != "-1") {
        bail!("--status-fd {number} is not supported: it announces --lazy-pages");
    }
    let (image_path, work_path) = paths(&args.images)?;
    let outside = &args.outside;
    Ok(CheckpointOptions {
        image_path,
        work_path,
        parent_path: args.parent_path.clone(),
        leave_running: args.leave_running,
        pre_dump: args.pre_dump,
        tcp_established: outside.tcp_established,
        tcp_skip_in_flight: args.tcp_skip_in_flight,
        tcp_close: outside.tcp_close,
        ext_unix_sk: outside.ext_unix_sk,
        shell_job: outside.shell_job,
        file_locks: outside.file_locks,
        link_remap: args.link_remap,
    })
}

/// The directory of the images and that of the logs.
pub(super) fn paths(images: &Images) -> Result<(PathBuf, Option<PathBuf>)> {
    let image_path = images.image_path.as_deref().unwrap_or(Path::new("checkpoint"));
    Ok((absolute(image_path)?, absolute_if_given(&images.work_path)?))
}

/// Refuses what floe cannot do, and values that have no meaning to anybody.
pub(super) fn refuse_foreign(criu: &Criu) -> Result<()> {
    if criu.lazy_pages {
        bail!("--lazy-pages is not supported");
    }
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
