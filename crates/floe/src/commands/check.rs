//! `check`: what this host offers, and what to do about what it does not.

use super::{absolute, output};
use crate::args::Check;
use crate::host::{self, Finding, Status};
use anyhow::{Result, bail};
use container::Runtime;
use serde::Serialize;

#[derive(Serialize)]
struct Answer {
    /// Containers run.
    usable: bool,
    checks: Vec<Finding>,
}

pub fn check(rt: &Runtime, args: &Check) -> Result<()> {
    let wants_json = output::wants_json(&args.format)?;
    let paths = args.path.iter().map(|path| absolute(path)).collect::<Result<Vec<_>>>()?;
    let checks = host::look(rt, &paths);
    let missing: Vec<String> = checks
        .iter()
        .filter(|finding| finding.prevents_containers())
        .map(|finding| format!("{} ({})", finding.name, finding.found))
        .collect();
    match wants_json {
        true => output::print_json(&Answer { usable: missing.is_empty(), checks })?,
        false => output::print(&text(&checks))?,
    }
    if !missing.is_empty() {
        bail!("no container can run: {}", missing.join(", "));
    }
    Ok(())
}

/// A paragraph for each group, with the columns of all of them in line.
fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    let mut group = "";
    for finding in findings {
        if finding.group != group {
            group = finding.group;
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{group}\n"));
        }
        let said: Vec<&str> =
            [finding.found.as_str(), finding.advice].into_iter().filter(|part| !part.is_empty()).collect();
        let line = format!("  {:<width$}  {:<8} {}", finding.name, word(finding.status), said.join("; "));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Limited => "limited",
        Status::Missing => "missing",
    }
}
