//! `criu cpuinfo dump` and `check`: whether programs that have run on one processor can go on on another, asked before any
//! is dumped.

use crate::options::{NOTHING, Options, Result};
use checkpoint::Compared;
use std::os::fd::BorrowedFd;

/// Writes down in `cpuinfo.img` what this processor can do.
pub(crate) fn dump(images: BorrowedFd<'_>) -> Result<()> {
    checkpoint::write_processor(images).map_err(|error| error.to_string())
}

/// Compares this processor with the one of `cpuinfo.img`. Where nothing is to be compared, all is, as with CRIU.
pub(crate) fn check(options: &Options, images: BorrowedFd<'_>) -> Result<()> {
    let all = Compared { fpu: true, instructions: true, all: true };
    let compared = if options.processor == NOTHING { all } else { options.processor };
    checkpoint::check_processor(images, compared).map_err(|error| error.to_string())
}
