//! `list`.

use super::output;
use crate::args::List;
use anyhow::Result;
use container::{Runtime, State, Status};

pub fn list(rt: &Runtime, args: &List) -> Result<()> {
    let wants_json = output::wants_json(&args.format)?;
    let states = container::list(rt)?;
    if args.quiet {
        return output::print(&states.iter().map(|state| format!("{}\n", state.id)).collect::<String>());
    }
    match wants_json {
        false => output::print(&output::table(&rows(&states))),
        // runc prints Go's nil slice.
        true if states.is_empty() => output::print("null\n"),
        true => output::print_json(&states),
    }
}

fn rows(states: &[State]) -> Vec<Vec<String>> {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(String::from).to_vec();
    let row = |state: &State| {
        vec![
            state.id.clone(),
            state.pid.to_string(),
            status(state.status).to_owned(),
            state.bundle.display().to_string(),
            state.created.clone(),
            state.owner.clone(),
        ]
    };
    std::iter::once(header).chain(states.iter().map(row)).collect()
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Creating => "creating",
        Status::Created => "created",
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Stopped => "stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_follows_the_header() {
        let state = State {
            oci_version: "1.3.0".into(),
            id: "web1".into(),
            pid: 41,
            status: Status::Paused,
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "2026-11-21T22:50:28.5Z".into(),
            annotations: Default::default(),
            owner: "root".into(),
        };
        assert_eq!(rows(&[state])[1], ["web1", "41", "paused", "/b", "2026-11-21T22:50:28.5Z", "root"]);
    }
}
