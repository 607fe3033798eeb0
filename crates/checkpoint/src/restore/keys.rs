//! Protection keys of memory (pkeys(7)).

use super::build::Build;
use crate::error::Result;
use crate::keys::KEYS;
use crate::snapshot::{Protected, Task, vma};
use inject::Batch;
use std::collections::BTreeSet;

/// Allocates the keys of each process and gives them to its memory. When its memory has its content, and when there are no
/// more children, which would inherit both.
pub(super) fn restore(build: &mut Build<'_>) -> Result<()> {
    for (index, task) in build.living() {
        let Some(side) = build.snapshot.side.process(task.entry.pid) else { continue };
        if side.protection_keys.is_empty() {
            continue;
        }
        let mut batch = Batch::new();
        allocate(&mut batch, &side.protection_keys);
        for Protected { start, end, key } in &side.protected {
            let arguments =
                [(*start).into(), (end - start).into(), prot_at(task, *start).into(), (*key).into()];
            batch.call("pkey_mprotect", libc::SYS_pkey_mprotect, &arguments);
        }
        build.run(index, &batch)?;
    }
    Ok(())
}

/// The kernel gives the lowest key that is free: all that are, and then those back that are not wanted. One that it keeps
/// for memory that can only be executed is none of them.
fn allocate(batch: &mut Batch, wanted: &BTreeSet<u32>) {
    /// What a thread starts with for a key that nobody has allocated; its registers say what it has.
    const PKEY_DISABLE_ACCESS: u32 = 1;
    for _ in KEYS {
        let arguments = [0.into(), PKEY_DISABLE_ACCESS.into()];
        batch.call_may_fail("pkey_alloc", libc::SYS_pkey_alloc, &arguments);
    }
    for key in KEYS.filter(|key| !wanted.contains(key)) {
        batch.call_may_fail("pkey_free", libc::SYS_pkey_free, &[key.into()]);
    }
}

fn prot_at(task: &Task, start: u64) -> u32 {
    let mappings = task.mm.iter().flat_map(|mm| &mm.vmas).filter(|mapping| mapping.status & vma::GUARD == 0);
    let mut of_start = mappings.filter(|mapping| mapping.start <= start && start < mapping.end);
    of_start.next().map_or(0, |mapping| mapping.prot)
}
