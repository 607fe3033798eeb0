//! `delete`.

use super::{for_all, matching_ids};
use crate::args::Delete;
use anyhow::Result;
use container::Runtime;

pub fn delete(rt: &Runtime, args: &Delete) -> Result<()> {
    if !args.regex {
        return Ok(container::delete(rt, &args.id.id, args.force)?);
    }
    for_all(&matching_ids(rt, &args.id.id)?, |id| Ok(container::delete(rt, id, args.force)?))
}
