//! `kill`.

use super::{for_all, matching_ids};
use crate::args::Kill;
use crate::values;
use anyhow::Result;
use container::Runtime;

pub fn kill(rt: &Runtime, args: &Kill) -> Result<()> {
    let signal = values::signal(&args.signal)?;
    if !args.regex {
        return Ok(container::kill(rt, &args.id.id, signal, args.all)?);
    }
    for_all(&matching_ids(rt, &args.id.id)?, |id| Ok(container::kill(rt, id, signal, args.all)?))
}
