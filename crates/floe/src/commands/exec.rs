//! `exec`.

use super::absolute_if_given;
use crate::args::Exec;
use crate::values;
use anyhow::{Context, Result, bail};
use container::config::ProcessDocument;
use container::{ExecOptions, Runtime};
use std::fs;
use std::path::{Path, PathBuf};

pub fn exec(rt: &Runtime, args: &Exec) -> Result<i32> {
    Ok(container::exec(rt, &args.id.id, &options(args)?)?)
}

fn options(args: &Exec) -> Result<ExecOptions> {
    Ok(ExecOptions {
        process: args.process.as_deref().map(read_process).transpose()?,
        args: args.command.clone(),
        cwd: args.cwd.clone(),
        env: args.env.clone(),
        tty: args.tty,
        user: args.user.as_deref().map(values::user).transpose()?,
        additional_gids: groups(&args.additional_gids)?,
        process_label: args.process_label.clone(),
        apparmor: args.apparmor.clone(),
        no_new_privs: args.no_new_privs,
        caps: args.cap.clone(),
        preserve_fds: args.preserve_fds,
        cgroup: cgroup(&args.cgroup)?,
        ignore_paused: args.ignore_paused,
        detach: args.detach,
        console_socket: absolute_if_given(&args.console_socket)?,
        pidfd_socket: absolute_if_given(&args.pidfd_socket)?,
        pid_file: absolute_if_given(&args.pid_file)?,
    })
}

fn read_process(path: &Path) -> Result<ProcessDocument> {
    let parse = || -> Result<ProcessDocument> { Ok(container::config::parse_process(&fs::read(path)?)?) };
    parse().with_context(|| format!("read process {}", path.display()))
}

fn groups(texts: &[String]) -> Result<Vec<u32>> {
    texts.iter().map(|text| values::id(text).with_context(|| "--additional-gids")).collect()
}

/// cgroup v2 has one hierarchy, so there is one path and no controller to choose.
fn cgroup(paths: &[String]) -> Result<Option<PathBuf>> {
    match paths {
        [] => Ok(None),
        [path] if path.contains(':') => {
            bail!("invalid --cgroup argument: {path}: cgroup v2 has no hierarchies to choose from")
        }
        [path] => Ok(Some(path.into())),
        _ => bail!("invalid --cgroup argument: {}: cgroup v2 has one hierarchy", paths[1]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cgroup_without_controller() {
        let strings = |list: &[&str]| list.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        assert_eq!(cgroup(&[]).expect("none"), None);
        assert_eq!(cgroup(&strings(&["sub"])).expect("one"), Some("sub".into()));
        assert!(cgroup(&strings(&["cpu:sub"])).is_err());
        assert!(cgroup(&strings(&["a", "b"])).is_err());
    }
}
