//! Capabilities of the tasks while they are built: all that whoever made the first one has, but for what follows names of
//! the images, or asks for a share of what the host has. There the kernel decides as it would for the container's user.

use super::build::Build;
use crate::error::Result;
use crate::policy::Capabilities;
use inject::{Batch, Outcome, Place};

/// The kernel's struct __user_cap_header_struct: the version with 64 bits, the calling thread.
const HEADER: u64 = 0x2008_0522;

/// Adds capset(2). The bounding and the ambient set are no part of it.
pub(super) fn set(batch: &mut Batch, sets: Capabilities) {
    let header = batch.words(&[HEADER]);
    let halves =
        |shift: u32| [sets.effective, sets.permitted, sets.inheritable].map(|set| (set >> shift) as u32);
    let words: Vec<u8> =
        [halves(0), halves(32)].iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
    let data = batch.bytes(&words);
    batch.call("capset", libc::SYS_capset, &[header.into(), data.into()]);
}

/// Adds capget(2): where the answer will be.
pub(super) fn get(batch: &mut Batch) -> Place {
    let header = batch.words(&[HEADER]);
    let data = batch.space(24);
    batch.call("capget", libc::SYS_capget, &[header.into(), data.into()]);
    data
}

/// The permitted set out of the answer to `get`.
pub(super) fn permitted(outcome: &Outcome, data: Place) -> u64 {
    u64::from(outcome.u32(data.plus(4))) | u64::from(outcome.u32(data.plus(16))) << 32
}

impl Build<'_> {
    /// Adds to a batch what is done with no capabilities but these.
    pub(super) fn with_only<R>(
        &self,
        batch: &mut Batch,
        capabilities: u64,
        calls: impl FnOnce(&mut Batch) -> R,
    ) -> R {
        set(batch, self.effective(capabilities));
        let result = calls(batch);
        set(batch, self.effective(self.lowered.unwrap_or(self.capabilities)));
        result
    }

    /// Lets the first task do what follows with no capabilities but these, until `raise`.
    pub(super) fn lower(&mut self, capabilities: u64) -> Result<()> {
        self.lowered = Some(capabilities);
        let mut batch = Batch::new();
        set(&mut batch, self.effective(capabilities));
        self.run(0, &batch)?;
        Ok(())
    }

    /// Takes `lower` back.
    pub(super) fn raise(&mut self) -> Result<()> {
        self.lowered = None;
        let mut batch = Batch::new();
        set(&mut batch, self.effective(self.capabilities));
        self.run(0, &batch)?;
        Ok(())
    }

    fn effective(&self, capabilities: u64) -> Capabilities {
        Capabilities {
            effective: capabilities & self.capabilities,
            permitted: self.capabilities,
            ..Capabilities::default()
        }
    }
}
