//! The dump: kernel to images.

use crate::Log;
use crate::error::{Error, Result};
use crate::target::{Blocker, DumpOptions, Target};
use images::messages::DumpStatsEntry;
use std::os::fd::BorrowedFd;

fn missing<T>() -> Result<T> {
    Err(Error::new("the checkpoint engine is not in this version"))
}

/// All that keeps the container from being dumped, while it runs: nothing is stopped or frozen.
pub fn check(_target: &Target<'_>, _options: &DumpOptions<'_>) -> Result<Vec<Blocker>> {
    missing()
}

/// Writes the container's images to the directory `images` and, unless `leave_running` or `pre_dump` say otherwise, kills
/// it. After an error it runs on, or stays paused, as before.
pub fn dump(
    _target: &Target<'_>,
    _images: BorrowedFd<'_>,
    _options: &DumpOptions<'_>,
    _log: &mut Log<'_>,
) -> Result<DumpStatsEntry> {
    missing()
}
