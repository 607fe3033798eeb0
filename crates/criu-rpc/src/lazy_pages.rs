//! `criu lazy-pages`: a daemon that fills the memory of a restore whose tasks run already. It serves one restore and ends.

use crate::command_line::Line;
use crate::options::Result;
use crate::page_server;
use crate::service::leave_terminal;
use checkpoint::{LogFile, Pager, WorkDirectory};
use images::page_server::PageServer;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use sys::clone::{CloneArgs, spawn};

/// Fills memory until none is missing; with `--daemon`, in a process of its own. The working directory is the work
/// directory, where it listens.
pub(crate) fn run(line: &Line, images: &OwnedFd, work: &WorkDirectory) -> Result<()> {
    let named = line.options.log_file.as_ref();
    let mut log = named.map(|_| line.options.log(work, "")).transpose()?;
    let mut status = line.options.status_fd.map(status).transpose()?;
    // All that can fail before a restore has begun.
    let ready = || -> Result<_> {
        let pager = Pager::open(images.as_fd()).map_err(|error| error.to_string())?;
        let source = page_server::connect(&line.options)?;
        if source.is_none() && pager.needs_source() {
            return Err(
                "page-server: the dump has left memory where it was, and serves it; it is needed".to_owned()
            );
        }
        Ok((pager, source, Pager::listen().map_err(|error| error.to_string())?))
    };
    let (pager, source, listener) = match ready() {
        Ok(ready) => ready,
        Err(error) => {
            if let Some(log) = &mut log {
                log.error(&error);
            }
            return Err(error);
        }
    };
    if !line.detached {
        line.write_pidfile(std::process::id())?;
        announce(status)?;
        return serve(&pager, listener, source, log.as_mut());
    }
    let mut given = Some((listener, source));
    let daemon = spawn(&CloneArgs::default(), || {
        // Who reads there may wait for the end.
        drop(status.take());
        match (leave_terminal(), given.take()) {
            (Ok(()), Some((listener, source))) => {
                i32::from(serve(&pager, listener, source, log.as_mut()).is_err())
            }
            _ => 1,
        }
    });
    line.write_pidfile(daemon.map_err(|error| format!("make the daemon: {error}"))?.pid as u32)?;
    announce(status)
}

fn serve(
    pager: &Pager,
    listener: UnixListener,
    source: Option<PageServer>,
    log: Option<&mut LogFile>,
) -> Result<()> {
    let served = pager.serve(listener, source).map_err(|error| format!("lazy-pages: {error}"));
    if let Some(log) = log {
        match &served {
            Ok(()) => log.line("no memory is missing any more"),
            Err(why) => log.error(why),
        }
    }
    served
}

/// Our copy of the descriptor on which it is said that we listen.
pub(crate) fn status(number: RawFd) -> Result<File> {
    let copy = sys::process::own_descriptor(number);
    copy.map(File::from).map_err(|error| format!("status-fd {number}: {error}"))
}

/// A byte of zero, as with CRIU.
pub(crate) fn announce(status: Option<File>) -> Result<()> {
    match status {
        Some(mut status) => status.write_all(&[0]).map_err(|error| format!("status-fd: {error}")),
        None => Ok(()),
    }
}
