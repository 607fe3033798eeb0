//! `restore`.

use super::checkpoint::{CONFIGURATION, configured, paths, refuse_foreign, stream};
use super::create::options_of_flags;
use super::environment;
use crate::args::Restore;
use anyhow::{Result, bail};
use container::{CreateOptions, ImageSource, RestoreOptions, RunOptions, Runtime};
use serde_json::Value;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

pub fn restore(rt: &Runtime, args: &Restore) -> Result<i32> {
    refuse_foreign(&args.criu)?;
    let source = stream(&args.stream, io::stdin().as_fd())?;
    if source.is_some() && args.images.image_path.is_some() {
        bail!("--stream: it goes without --image-path");
    }
    let (image_path, work_path) = paths(&args.images)?;
    let source = match source {
        Some(stream) => {
            // The container gets our standard descriptors.
            nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
            ImageSource::Stream(stream)
        }
        None => ImageSource::Directory(image_path),
    };
    // What --shell-job and --file-locks let a checkpoint take in is restored wherever it can be: the images say what there
    // is. A connection is more than a program could have made of itself.
    let mut options = options_of_flags(&args.container)?;
    let named = annotation(&options);
    let criu =
        configured(&args.outside, &[("lazy-pages", args.criu.lazy_pages)], &args.criu, named.as_deref())?;
    if criu.lazy_pages && args.stream.stream {
        bail!("--lazy-pages: the daemon reads a directory; it goes without --stream");
    }
    let restore = RestoreOptions {
        work_path,
        log_file: criu.log_file,
        tcp_established: criu.tcp_established,
        tcp_close: criu.tcp_close,
        ext_unix_sk: criu.ext_unix_sk,
        lock_network: !criu.skips_network_lock,
        lsm_profile: args.lsm_profile.clone(),
        lsm_mount_context: args.lsm_mount_context.clone(),
        no_start: args.no_start,
        lazy_pages: criu.lazy_pages,
    };
    let run = RunOptions {
        detach: args.detach || args.no_start,
        keep: false,
        no_subreaper: args.container.no_subreaper,
    };
    environment::make_rootless_root(&rt.root)?;
    // Podman says it whenever the container was made with it. No checkpoint has descriptors from 3 on that came from
    // outside, so there are none that these could replace.
    options.preserve_fds = 0;
    options.notify_socket = environment::notify_socket();
    Ok(container::restore(rt, &args.id.id, source, &options, &run, &restore)?)
}

/// What config.json says, if it can be read: if not, the restore says why.
fn annotation(options: &CreateOptions) -> Option<String> {
    let path = options.config.clone().unwrap_or_else(|| options.bundle.join("config.json"));
    let text = std::fs::read_to_string(path).ok()?;
    let config: Value = serde_json::from_str(&text).ok()?;
    config["annotations"][CONFIGURATION].as_str().map(str::to_owned)
}
