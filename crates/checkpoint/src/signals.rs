//! Signals: what each does, and which wait.

use images::messages::{SaEntry, SiginfoEntry, SignalQueueEntry, ThreadSasEntry};
use inject::{Batch, Outcome, Place};

/// Signals whose action can be changed, in the order of images.
fn changeable() -> impl Iterator<Item = i32> {
    (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal))
}

/// Bytes of the kernel's struct sigaction, and of its signal set.
const SIGACTION: usize = 32;
const SIGSET: usize = 8;

/// Calls that ask for a process's actions.
#[derive(Debug)]
pub(crate) struct ActionsQuestion(Place);

impl ActionsQuestion {
    pub(crate) fn ask(batch: &mut Batch) -> ActionsQuestion {
        let place = batch.space(changeable().count() * SIGACTION);
        for (nth, signal) in changeable().enumerate() {
            let to = place.plus(nth * SIGACTION);
            let arguments = [signal.into(), 0.into(), to.into(), SIGSET.into()];
            batch.call("rt_sigaction", libc::SYS_rt_sigaction, &arguments);
        }
        ActionsQuestion(place)
    }

    pub(crate) fn answer(&self, outcome: &Outcome) -> Vec<SaEntry> {
        let action = |(nth, _)| {
            let word = |word: usize| outcome.u64(self.0.plus(nth * SIGACTION + word * 8));
            SaEntry {
                sigaction: word(0),
                flags: word(1),
                restorer: word(2),
                mask: word(3),
                compat_sigaction: Some(false),
                mask_extended: None,
            }
        };
        changeable().enumerate().map(action).collect()
    }
}

/// The call that asks for a thread's alternate stack.
#[derive(Debug)]
pub(crate) struct AltstackQuestion(Place);

impl AltstackQuestion {
    pub(crate) fn ask(batch: &mut Batch) -> AltstackQuestion {
        let place = batch.space(24);
        batch.call("sigaltstack", libc::SYS_sigaltstack, &[0.into(), place.into()]);
        AltstackQuestion(place)
    }

    pub(crate) fn answer(&self, outcome: &Outcome) -> ThreadSasEntry {
        ThreadSasEntry {
            ss_sp: outcome.u64(self.0),
            ss_flags: outcome.u32(self.0.plus(8)),
            ss_size: outcome.u64(self.0.plus(16)),
        }
    }
}

pub(crate) fn queue(pending: &[[u8; 128]]) -> SignalQueueEntry {
    SignalQueueEntry {
        signals: pending.iter().map(|siginfo| SiginfoEntry { siginfo: siginfo.to_vec() }).collect(),
    }
}
