//! `ps`: the process ids themselves, or ps(1)'s lines about them.

use super::output;
use crate::args::Ps;
use anyhow::{Context, Result, bail};
use container::Runtime;
use std::ffi::OsString;
use std::process::Command;

pub fn ps(rt: &Runtime, args: &Ps) -> Result<()> {
    let wants_json = output::wants_json(&args.format)?;
    let pids = container::processes(rt, &args.id.id)?;
    if wants_json {
        return output::print_json(&pids);
    }
    output::print(&lines_of(&listing(&args.ps_options)?, &pids)?)
}

fn listing(options: &[OsString]) -> Result<String> {
    let default = [OsString::from("-ef")];
    let options = if options.is_empty() { &default } else { options };
    let output = Command::new("ps").args(options).output().context("run ps(1); --format json needs none")?;
    if !output.status.success() {
        bail!("ps(1): {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The header of a listing and the lines whose PID column holds one of `pids`.
fn lines_of(listing: &str, pids: &[i32]) -> Result<String> {
    let mut lines = listing.lines();
    let header = lines.next().unwrap_or_default();
    let column = header.split_whitespace().position(|title| title == "PID");
    let column = column.context("ps(1) printed no PID column")?;
    let is_ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|pid| pid.parse::<i32>().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    Ok(std::iter::once(header).chain(lines.filter(is_ours)).map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::lines_of;

    #[test]
    fn only_the_containers_lines() {
        let listing =
            "UID   PID PPID CMD\nroot    1    0 init\nroot   41    1 sleep 4\nroot  410    1 PID 41\n\n";
        assert_eq!(
            lines_of(listing, &[41, 7]).expect("lines"),
            "UID   PID PPID CMD\nroot   41    1 sleep 4\n"
        );
        assert!(lines_of("USER COMMAND\nroot x\n", &[41]).is_err());
        assert!(lines_of("", &[41]).is_err());
    }
}
