//! `restore`.

use super::checkpoint::{paths, refuse_foreign};
use super::create::options_of_flags;
use super::environment;
use crate::args::Restore;
use anyhow::{Result, bail};
use container::{RestoreOptions, RunOptions, Runtime};

pub fn restore(rt: &Runtime, args: &Restore) -> Result<i32> {
    refuse_foreign(&args.criu)?;
    if args.container.preserve_fds > 0 {
        bail!(
            "--preserve-fds {}: descriptors from 3 on are those of the checkpoint",
            args.container.preserve_fds
        );
    }
    let (image_path, work_path) = paths(&args.images)?;
    // What --tcp-established, --ext-unix-sk, --shell-job and --file-locks let a checkpoint take in is restored wherever it
    // can be: the images say what there is.
    let restore = RestoreOptions {
        image_path,
        work_path,
        tcp_close: args.outside.tcp_close,
        lsm_profile: args.lsm_profile.clone(),
        lsm_mount_context: args.lsm_mount_context.clone(),
    };
    let run = RunOptions { detach: args.detach, keep: false, no_subreaper: args.container.no_subreaper };
    environment::make_rootless_root(&rt.root)?;
    let mut options = options_of_flags(&args.container)?;
    options.notify_socket = environment::notify_socket();
    Ok(container::restore(rt, &args.id.id, &options, &run, &restore)?)
}
