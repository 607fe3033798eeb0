//! `events`: one JSON object per line.

use super::output;
use crate::args::Events;
use crate::values;
use anyhow::{Result, bail};
use container::{Event, Runtime};
use serde::Serialize;

pub fn events(rt: &Runtime, args: &Events) -> Result<()> {
    let id = &args.id.id;
    if args.stats {
        let stats = container::stats(rt, id)?;
        return output::print_json(&Line { kind: "stats", id, data: Some(&stats) });
    }
    let interval_ms = values::duration_ms(&args.interval)?;
    if interval_ms == 0 {
        bail!("--interval must be longer than zero");
    }
    let mut report = |event: Event| {
        let written = match &event {
            Event::Oom => output::print_json(&Line { kind: "oom", id, data: None }),
            Event::Stats(stats) => output::print_json(&Line { kind: "stats", id, data: Some(stats) }),
        };
        // Whoever read the events has gone: what SIGPIPE would have done.
        if written.is_err() {
            std::process::exit(1);
        }
    };
    Ok(container::events(rt, id, interval_ms, &mut report)?)
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a cgroup::Stats>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_runcs_shape() {
        let oom = serde_json::to_string(&Line { kind: "oom", id: "web1", data: None }).expect("JSON");
        assert_eq!(oom, r#"{"type":"oom","id":"web1"}"#);
        let stats = cgroup::Stats::default();
        let stats =
            serde_json::to_string(&Line { kind: "stats", id: "a", data: Some(&stats) }).expect("JSON");
        assert!(stats.starts_with(r#"{"type":"stats","id":"a","data":{"#), "{stats}");
    }
}
