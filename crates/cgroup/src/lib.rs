//! cgroup v2: create, limit, freeze, kill, measure and remove one container's cgroup.

/// Counters of a cgroup as `events --stats` prints them.
#[derive(Debug, Default, serde::Serialize)]
pub struct Stats {}
