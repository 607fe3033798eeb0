//! `criu`: what engines ask a CRIU before they ask their runtime for a checkpoint. The package floe-criu brings the name.

use super::output;
use crate::args::AsCriu;
use crate::host::{self, Finding, Status};
use anyhow::{Context, Result};
use criu_rpc::{Answer, Host, VERSION};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;

pub fn criu(args: &AsCriu) -> Result<()> {
    if args.version {
        return output::print(&format!("Version: {}.{}\n", VERSION.0, VERSION.1));
    }
    swrk(args.fd.context("swrk: the number of a descriptor is missing")?)
}

/// Actions whose options are read as criu(8) has them, and the exit status. `None` for other words behind `criu`.
pub fn command_line(words: &[OsString]) -> Option<Result<u8>> {
    let text = |word: &OsString| word.to_str().map(str::to_owned);
    let words: Vec<String> = words.iter().map(text).collect::<Option<_>>()?;
    let done = configuration().map(|files| criu_rpc::run(&words, &files, &ThisHost));
    let print = |answer: Answer| output::print(&answer.text).map(|()| answer.status);
    done.map_or_else(|error| Some(Err(error)), |done| Some(done?.map_err(anyhow::Error::msg).and_then(print)))
}

fn swrk(fd: i32) -> Result<()> {
    Ok(criu_rpc::serve(
        &sys::process::own_descriptor(fd).with_context(|| format!("swrk: descriptor {fd}"))?,
        &configuration()?,
        &ThisHost,
    )?)
}

/// The default configuration files that there are, in CRIU's order.
pub(super) fn configuration() -> Result<Vec<(PathBuf, String)>> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".criu/default.conf"));
    let named = std::env::var_os("CRIU_CONFIG_FILE").map(PathBuf::from);
    let mut files = Vec::new();
    for path in [Some("/etc/criu/default.conf".into()), home, named].into_iter().flatten() {
        match std::fs::read_to_string(&path) {
            Ok(text) => files.push((path, text)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        }
    }
    Ok(files)
}

struct ThisHost;

impl Host for ThisHost {
    fn missing(&self) -> Vec<String> {
        let missing = host::for_checkpoints().into_iter().filter(|finding| finding.status == Status::Missing);
        missing.map(|Finding { name, found, .. }| format!("{name} ({found})")).collect()
    }

    fn tracks_writes(&self) -> bool {
        host::tracks_writes()
    }

    fn fills_lazily(&self) -> bool {
        host::fills_lazily()
    }
}
