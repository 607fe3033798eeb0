//! `create` and `run`.

use super::{absolute, absolute_if_given, environment};
use crate::args::{Create, NewContainer, Run};
use anyhow::Result;
use container::{CreateOptions, RunOptions, Runtime};
use std::path::Path;

pub fn create(rt: &Runtime, args: &Create) -> Result<()> {
    environment::make_rootless_root(&rt.root)?;
    Ok(container::create(rt, &args.id.id, &options(&args.container)?)?)
}

pub fn run(rt: &Runtime, args: &Run) -> Result<i32> {
    environment::make_rootless_root(&rt.root)?;
    let run = RunOptions { detach: args.detach, keep: args.keep, no_subreaper: args.container.no_subreaper };
    Ok(container::run(rt, &args.id.id, &options(&args.container)?, &run)?)
}

fn options(args: &NewContainer) -> Result<CreateOptions> {
    let mut options = options_of_flags(args)?;
    environment::add_sockets(&mut options);
    Ok(options)
}

/// Without what the environment adds.
pub(super) fn options_of_flags(args: &NewContainer) -> Result<CreateOptions> {
    Ok(CreateOptions {
        bundle: absolute(args.bundle.as_deref().unwrap_or(Path::new(".")))?,
        config: absolute_if_given(&args.config)?,
        console_socket: absolute_if_given(&args.console_socket)?,
        pidfd_socket: absolute_if_given(&args.pidfd_socket)?,
        pid_file: absolute_if_given(&args.pid_file)?,
        no_pivot: args.no_pivot,
        no_new_keyring: args.no_new_keyring,
        preserve_fds: args.preserve_fds,
        ..CreateOptions::default()
    })
}
