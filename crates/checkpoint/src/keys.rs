//! Protection keys of memory (pkeys(7)): which a process has allocated, and which memory has one. What a thread may do with
//! each is in its registers (PKRU).

use crate::proc::Mapping;
use crate::snapshot::Protected;
use inject::{Batch, Call, Outcome};
use std::collections::BTreeSet;

/// 0 is always allocated.
pub(crate) const KEYS: std::ops::Range<u32> = 1..16;

/// The last page of what a program could map, which the kernel never gives to one.
const NOWHERE: u64 = 0x7fff_ffff_f000;

/// Calls that ask which keys a process has.
#[derive(Debug)]
pub(crate) struct KeysQuestion(Vec<Call>);

impl KeysQuestion {
    /// pkey_mprotect(2) where nothing is mapped changes nothing, and looks at the key first: EINVAL for one that is not
    /// allocated, ENOMEM for one that is.
    pub(crate) fn ask(batch: &mut Batch) -> KeysQuestion {
        let ask = |key: u32| {
            let arguments = [NOWHERE.into(), 4096.into(), 0.into(), key.into()];
            batch.call_may_fail("pkey_mprotect", libc::SYS_pkey_mprotect, &arguments)
        };
        KeysQuestion(KEYS.map(ask).collect())
    }

    /// The keys, and the memory that has them. The kernel's own key of memory that can only be executed is neither: it
    /// comes back with such memory.
    pub(crate) fn answer(&self, mappings: &[Mapping], outcome: &Outcome) -> (BTreeSet<u32>, Vec<Protected>) {
        let is_there = |call: &Call| outcome.result(*call).is_err_and(|errno| errno.raw() == libc::ENOMEM);
        let keys: BTreeSet<u32> =
            KEYS.zip(&self.0).filter(|(_, call)| is_there(call)).map(|(key, _)| key).collect();
        let has_key = |mapping: &&Mapping| keys.contains(&mapping.protection_key);
        let protected = mappings.iter().filter(has_key).map(|mapping| Protected {
            start: mapping.start,
            end: mapping.end,
            key: mapping.protection_key,
        });
        let protected = protected.collect();
        (keys, protected)
    }
}
