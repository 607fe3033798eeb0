//! What a thread has asked of scheduler and memory beside what images have: sched_setattr(2), set_mempolicy(2).

use inject::{Batch, Call, Outcome, Place};
use serde::{Deserialize, Serialize};

/// struct sched_attr of linux/sched/types.h, as of Linux 5.3: size, policy; flags; nice, priority; runtime; deadline; period;
/// util_min, util_max.
const ATTRIBUTES: usize = 56;
/// More nodes than any kernel is built for (CONFIG_NODES_SHIFT), in bits and in words.
const NODES: usize = 1024;
const NODE_WORDS: usize = NODES / 64;

/// linux/sched.h
const SCHED_FLAG_RESET_ON_FORK: u64 = 1;
const SCHED_FLAG_RECLAIM: u64 = 2;
const SCHED_FLAG_DL_OVERRUN: u64 = 4;
const SCHED_FLAG_UTIL_CLAMP: u64 = 0x60;
pub(crate) const SCHED_DEADLINE: u32 = 6;

/// What sched_setattr(2) takes, where that is more than policy and priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Attributes {
    /// `SCHED_FLAG_`
    pub(crate) flags: u64,
    /// Runtime, deadline and period of SCHED_DEADLINE, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<[u64; 3]>,
    /// The least and the greatest utilization that the scheduler counts on, of 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clamp: Option<[u32; 2]>,
}

/// The policy by which a thread gets memory of NUMA nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemoryPolicy {
    /// `MPOL_`, with its flags.
    pub(crate) mode: u32,
    pub(crate) nodes: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct SchedulingQuestion {
    attributes: (Call, Place),
    policy: (Call, Place),
}

impl SchedulingQuestion {
    pub(crate) fn ask(batch: &mut Batch) -> SchedulingQuestion {
        let attributes = batch.space(ATTRIBUTES);
        let arguments = [0.into(), attributes.into(), ATTRIBUTES.into(), 0.into()];
        let asked = batch.call_may_fail("sched_getattr", libc::SYS_sched_getattr, &arguments);
        // The mode, then the nodes.
        let policy = batch.space(8 + NODES / 8);
        let arguments = [policy.into(), policy.plus(8).into(), NODES.into(), 0.into(), 0.into()];
        let answered = batch.call_may_fail("get_mempolicy", libc::SYS_get_mempolicy, &arguments);
        SchedulingQuestion { attributes: (asked, attributes), policy: (answered, policy) }
    }

    /// `None` when it has nothing but a policy and a priority.
    pub(crate) fn attributes(&self, outcome: &Outcome) -> Option<Attributes> {
        let (asked, at) = self.attributes;
        outcome.result(asked).ok()?;
        let is_deadline = outcome.u32(at.plus(4)) == SCHED_DEADLINE;
        let clamp = [outcome.u32(at.plus(48)), outcome.u32(at.plus(52))];
        // The kernel's own, of normal threads and of realtime ones, and those of a kernel without them.
        let is_clamped = ![[0, 1024], [1024, 1024], [0, 0]].contains(&clamp);
        let kept = SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_RECLAIM | SCHED_FLAG_DL_OVERRUN;
        let attributes = Attributes {
            flags: outcome.u64(at.plus(8)) & kept,
            deadline: is_deadline.then(|| [24, 32, 40].map(|offset| outcome.u64(at.plus(offset)))),
            clamp: is_clamped.then_some(clamp),
        };
        (attributes != Attributes::default()).then_some(attributes)
    }

    /// `None` for the kernel's own.
    pub(crate) fn memory_policy(&self, outcome: &Outcome) -> Option<MemoryPolicy> {
        let (asked, at) = self.policy;
        outcome.result(asked).ok()?;
        let has = |node: &u32| outcome.u64(at.plus(8 + *node as usize / 64 * 8)) & 1 << (node % 64) != 0;
        let policy = MemoryPolicy { mode: outcome.u32(at), nodes: (0..NODES as u32).filter(has).collect() };
        (policy.mode != libc::MPOL_DEFAULT as u32).then_some(policy)
    }
}

impl Attributes {
    /// Adds the call that sets them, with what images have of the thread.
    pub(crate) fn set(&self, batch: &mut Batch, policy: u32, nice: i32, priority: u32) {
        let mut flags = self.flags;
        let [least, greatest] = self.clamp.unwrap_or_default();
        if self.clamp.is_some() {
            flags |= SCHED_FLAG_UTIL_CLAMP;
        }
        let [runtime, deadline, period] = self.deadline.unwrap_or_default();
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let attributes = batch.words(&[
            pair(ATTRIBUTES as u32, policy),
            flags,
            pair(nice as u32, priority),
            runtime,
            deadline,
            period,
            pair(least, greatest),
        ]);
        batch.call("sched_setattr", libc::SYS_sched_setattr, &[0.into(), attributes.into(), 0.into()]);
    }
}

impl MemoryPolicy {
    /// Adds the call that sets it. Where the nodes are not there it fails, and memory comes from any.
    pub(crate) fn set(&self, batch: &mut Batch) {
        let mut mask = [0u64; NODE_WORDS];
        for node in &self.nodes {
            if let Some(word) = mask.get_mut(*node as usize / 64) {
                *word |= 1 << (node % 64);
            }
        }
        let nodes = batch.words(&mask);
        // The kernel counts one bit less than it is told (mempolicy.c, get_nodes).
        let arguments = [self.mode.into(), nodes.into(), (NODES + 1).into()];
        batch.call_may_fail("set_mempolicy", libc::SYS_set_mempolicy, &arguments);
    }
}
