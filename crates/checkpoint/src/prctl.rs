//! What prctl(2) sets and images have no place for, mostly hardening. What a new thread has, is not kept.

use inject::{Batch, Call, Outcome, Place};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Values of settings, as they are set.
pub(crate) type Settings = BTreeMap<Setting, u32>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Setting {
    /// `PR_SET_SPECULATION_CTRL` with `PR_SPEC_STORE_BYPASS`
    StoreBypass,
    /// The same with `PR_SPEC_INDIRECT_BRANCH`
    IndirectBranch,
    /// The same with `PR_SPEC_L1D_FLUSH`
    L1dFlush,
    /// `PR_MCE_KILL_SET`
    MachineCheck,
    /// `PR_SET_TSC`
    TimestampCounter,
    /// `PR_SET_MDWE`
    DenyWriteExecute,
    /// `PR_SET_MEMORY_MERGE`
    MergeMemory,
}
use Setting::*;

/// Those that each thread has.
pub(crate) const OF_THREAD: [Setting; 5] =
    [StoreBypass, IndirectBranch, L1dFlush, MachineCheck, TimestampCounter];

/// Those that a process has, or its memory.
pub(crate) const OF_PROCESS: [Setting; 2] = [DenyWriteExecute, MergeMemory];

// linux/prctl.h
const PR_SET_TSC: i32 = 26;
const PR_GET_TSC: i32 = 25;
const PR_MCE_KILL: i32 = 33;
const PR_MCE_KILL_GET: i32 = 34;
const PR_MCE_KILL_SET: i32 = 1;
const PR_GET_SPECULATION_CTRL: i32 = 52;
const PR_SET_SPECULATION_CTRL: i32 = 53;
const PR_SET_MDWE: i32 = 65;
const PR_GET_MDWE: i32 = 66;
const PR_SET_MEMORY_MERGE: i32 = 67;
const PR_GET_MEMORY_MERGE: i32 = 68;

/// It can be set; the other bits are how it is.
const PR_SPEC_PRCTL: u32 = 1;
const PR_SPEC_ENABLE: u32 = 2;
const PR_SPEC_DISABLE: u32 = 4;

impl Setting {
    /// What a new thread has.
    fn default(self) -> u32 {
        const PR_MCE_KILL_DEFAULT: u32 = 2;
        const PR_TSC_ENABLE: u32 = 1;
        match self {
            StoreBypass | IndirectBranch => PR_SPEC_ENABLE,
            L1dFlush => PR_SPEC_DISABLE,
            MachineCheck => PR_MCE_KILL_DEFAULT,
            TimestampCounter => PR_TSC_ENABLE,
            DenyWriteExecute | MergeMemory => 0,
        }
    }

    /// The second argument for what is called speculation.
    fn speculation(self) -> Option<i32> {
        [StoreBypass, IndirectBranch, L1dFlush]
            .iter()
            .position(|known| *known == self)
            .map(|which| which as i32)
    }

    /// Adds the call that sets it.
    pub(crate) fn set(self, batch: &mut Batch, value: u32) {
        let value = i64::from(value);
        let (name, arguments) = match self {
            StoreBypass | IndirectBranch | L1dFlush => {
                let which = self.speculation().unwrap_or(0);
                ("PR_SET_SPECULATION_CTRL", [PR_SET_SPECULATION_CTRL.into(), which.into(), value])
            }
            MachineCheck => ("PR_MCE_KILL", [PR_MCE_KILL.into(), PR_MCE_KILL_SET.into(), value]),
            TimestampCounter => ("PR_SET_TSC", [PR_SET_TSC.into(), value, 0]),
            DenyWriteExecute => ("PR_SET_MDWE", [PR_SET_MDWE.into(), value, 0]),
            MergeMemory => ("PR_SET_MEMORY_MERGE", [PR_SET_MEMORY_MERGE.into(), value, 0]),
        };
        let [first, second, third] = arguments.map(|argument| (argument as u64).into());
        let arguments = [first, second, third, 0.into(), 0.into()];
        match self {
            // A processor without the weakness has no such setting, nor a kernel that merges no memory.
            StoreBypass | IndirectBranch | L1dFlush | MergeMemory => {
                batch.call_may_fail(name, libc::SYS_prctl, &arguments)
            }
            _ => batch.call(name, libc::SYS_prctl, &arguments),
        };
    }
}

/// A question for settings, each with its call; the timestamp counter's is answered in memory.
#[derive(Debug)]
pub(crate) struct SettingsQuestion(Vec<(Setting, Call, Place)>);

impl SettingsQuestion {
    /// What a kernel does not know fails.
    pub(crate) fn ask(batch: &mut Batch, settings: &[Setting]) -> SettingsQuestion {
        let ask = |setting: &Setting| {
            let place = batch.space(8);
            let (option, argument) = match setting {
                StoreBypass | IndirectBranch | L1dFlush => {
                    (PR_GET_SPECULATION_CTRL, setting.speculation().unwrap_or(0).into())
                }
                MachineCheck => (PR_MCE_KILL_GET, 0.into()),
                TimestampCounter => (PR_GET_TSC, place.into()),
                DenyWriteExecute => (PR_GET_MDWE, 0.into()),
                MergeMemory => (PR_GET_MEMORY_MERGE, 0.into()),
            };
            let arguments = [option.into(), argument, 0.into(), 0.into(), 0.into()];
            (*setting, batch.call_may_fail("prctl", libc::SYS_prctl, &arguments), place)
        };
        SettingsQuestion(settings.iter().map(ask).collect())
    }

    /// Those that are not as in a new thread.
    pub(crate) fn answer(&self, outcome: &Outcome) -> Settings {
        let value = |(setting, call, place): &(Setting, Call, Place)| {
            let result = outcome.result(*call).ok()? as u32;
            let value = match setting {
                TimestampCounter => outcome.u32(*place),
                StoreBypass | IndirectBranch | L1dFlush if result & PR_SPEC_PRCTL == 0 => return None,
                StoreBypass | IndirectBranch | L1dFlush => result & !PR_SPEC_PRCTL,
                _ => result,
            };
            (value != setting.default()).then_some((*setting, value))
        };
        self.0.iter().filter_map(value).collect()
    }
}
