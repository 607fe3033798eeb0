//! `state`. go-runc and CRI-O decode what this prints, with stderr mixed in.

use super::output;
use crate::args::Id;
use anyhow::Result;
use container::Runtime;

pub fn state(rt: &Runtime, args: &Id) -> Result<()> {
    output::print_pretty_json(&container::state(rt, &args.id)?)
}
