//! One module per command: what its arguments mean, and the call into `container`.

mod check;
mod checkpoint;
mod create;
mod criu;
pub use criu::command_line as criu_command_line;
mod delete;
mod events;
mod exec;
mod features;
mod images;
mod kill;
mod list;
mod ps;
mod restore;
mod spec;
mod state;
mod update;

use crate::args::Command;
use crate::{environment, output};
use anyhow::{Context, Result, anyhow};
use container::{Runtime, State};
use std::path::{Path, PathBuf};

impl Command {
    /// Name and container, as an error line begins.
    pub fn subject(&self) -> (&'static str, Option<&str>) {
        match self {
            Command::Create(args) => ("create", Some(&args.id.id)),
            Command::Start(args) => ("start", Some(&args.id)),
            Command::State(args) => ("state", Some(&args.id)),
            Command::Kill(args) => ("kill", Some(&args.id.id)),
            Command::Delete(args) => ("delete", Some(&args.id.id)),
            Command::Run(args) => ("run", Some(&args.id.id)),
            Command::Exec(args) => ("exec", Some(&args.id.id)),
            Command::Checkpoint(args) => ("checkpoint", args.only_id()),
            Command::Restore(args) => ("restore", Some(&args.id.id)),
            Command::Ps(args) => ("ps", Some(&args.id.id)),
            Command::List(_) => ("list", None),
            Command::Pause(args) => ("pause", Some(&args.id)),
            Command::Resume(args) => ("resume", Some(&args.id)),
            Command::Update(args) => ("update", Some(&args.id)),
            Command::Events(args) => ("events", Some(&args.id.id)),
            Command::Spec(_) => ("spec", None),
            Command::Features => ("features", None),
            Command::Check(_) => ("check", None),
            Command::Images(_) => ("images", None),
            Command::Criu(_) => ("criu", None),
        }
    }

    /// Does what the command says and returns the status to exit with.
    pub fn run(&self, rt: &Runtime) -> Result<i32> {
        match self {
            Command::Create(args) => create::create(rt, args)?,
            Command::Run(args) => return create::run(rt, args),
            Command::Exec(args) => return exec::exec(rt, args),
            Command::Checkpoint(args) => return checkpoint::checkpoint(rt, args),
            Command::Restore(args) => return restore::restore(rt, args),
            Command::Start(args) => container::start(rt, &args.id, environment::notify_socket().as_deref())?,
            Command::Pause(args) => container::pause(rt, &args.id)?,
            Command::Resume(args) => container::resume(rt, &args.id)?,
            Command::State(args) => state::state(rt, args)?,
            Command::Kill(args) => kill::kill(rt, args)?,
            Command::Delete(args) => delete::delete(rt, args)?,
            Command::Ps(args) => ps::ps(rt, args)?,
            Command::List(args) => list::list(rt, args)?,
            Command::Update(args) => update::update(rt, args)?,
            Command::Events(args) => events::events(rt, args)?,
            Command::Spec(args) => spec::spec(args)?,
            Command::Features => features::features()?,
            Command::Check(args) => check::check(rt, args)?,
            Command::Images(args) => images::show(args)?,
            Command::Criu(args) => criu::criu(args)?,
        }
        Ok(0)
    }
}

/// Relative paths are the caller's, and the library may change directory.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("find {}", path.display()))
}

fn absolute_if_given(path: &Option<PathBuf>) -> Result<Option<PathBuf>> {
    path.as_deref().map(absolute).transpose()
}

/// The ids of all containers that `pattern`, anchored nowhere, matches.
fn matching_ids(rt: &Runtime, pattern: &str) -> Result<Vec<String>> {
    let pattern = regex_lite::Regex::new(pattern).map_err(|error| {
        // The lines before the last draw the place.
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        anyhow!("invalid regular expression {pattern:?}: {reason}")
    })?;
    let ids = container::list(rt)?.into_iter().map(|State { id, .. }| id);
    Ok(ids.filter(|id| pattern.is_match(id)).collect())
}

/// Applies `act` to all of `ids`, whatever happens to some, and returns the first error.
fn for_all(ids: &[String], mut act: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let results: Vec<Result<()>> =
        ids.iter().map(|id| act(id).with_context(|| format!("container {id}"))).collect();
    results.into_iter().collect()
}
