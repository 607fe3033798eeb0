//! Timers of a process: those of setitimer(2) and those of timer_create(2).
//!
//! A periodic timer whose signal waits does not run. How often it would have expired since, its overruns, is found out when
//! the signal is taken, and nobody else can ask for it. So a process takes such a signal and sends it to itself again, with
//! its overruns, in one batch; its timer goes on meanwhile.

use crate::proc::PosixTimer;
use images::messages::{ItimerEntry, PosixTimerEntry, TaskTimersEntry};
use inject::{Batch, Call, Outcome, Place, Signals};
use std::time::Duration;

/// Bytes of struct itimerval and struct itimerspec.
const ITIMER: usize = 32;

/// Calls that ask for a process's timers.
#[derive(Debug)]
pub(crate) struct TimersQuestion {
    interval: Place,
    posix: Vec<(PosixTimer, Place, Call)>,
    /// Signals of timers that wait for the process: their timers, and where they are with their overruns.
    taken: Vec<(u32, Place)>,
}

/// Where a siginfo_t has its parts (sigaction(2)).
mod siginfo {
    pub(super) const SIGNAL: usize = 0;
    pub(super) const CODE: usize = 8;
    pub(super) const TIMER: usize = 16;
    pub(super) const OVERRUNS: usize = 20;
}

fn number(info: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_le_bytes(info.get(at..at + 4)?.try_into().ok()?))
}

/// The timer whose signal this is, and its overruns.
pub(crate) fn of_timer(info: &[u8]) -> Option<(u32, u32)> {
    const SI_TIMER: i32 = -2;
    let is_timers = number(info, siginfo::CODE) == Some(SI_TIMER);
    is_timers
        .then(|| Some((number(info, siginfo::TIMER)? as u32, number(info, siginfo::OVERRUNS)?.max(0) as u32)))
        .flatten()
}

impl TimersQuestion {
    /// `pending` are the signals that wait for the process, and for the thread that is asked.
    pub(crate) fn ask(
        batch: &mut Batch,
        timers: Vec<PosixTimer>,
        pending: [&[[u8; 128]]; 2],
    ) -> TimersQuestion {
        let interval = batch.space(3 * ITIMER);
        for (nth, which) in
            [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF].into_iter().enumerate()
        {
            let to = interval.plus(nth * ITIMER);
            batch.call("getitimer", libc::SYS_getitimer, &[which.into(), to.into()]);
        }
        let ask = |timer: PosixTimer| {
            let place = batch.space(ITIMER);
            batch.call("timer_gettime", libc::SYS_timer_gettime, &[timer.id.into(), place.into()]);
            (timer, place, batch.call("timer_getoverrun", libc::SYS_timer_getoverrun, &[timer.id.into()]))
        };
        let posix = timers.into_iter().map(ask).collect();
        TimersQuestion { interval, posix, taken: take(batch, pending) }
    }

    /// Gives signals that wait their overruns.
    pub(crate) fn complete(&self, outcome: &Outcome, pending: &[[u8; 128]]) -> Vec<[u8; 128]> {
        let complete = |info: &[u8; 128]| {
            let mut info = *info;
            let taken = of_timer(&info).and_then(|(id, _)| self.taken.iter().find(|(known, _)| *known == id));
            let taken = taken.map(|(_, place)| outcome.bytes(*place, info.len()));
            // It may have been taken by nobody.
            if let Some((_, overruns)) = taken.and_then(of_timer) {
                info[siginfo::OVERRUNS..siginfo::OVERRUNS + 4].copy_from_slice(&overruns.to_le_bytes());
            }
            info
        };
        pending.iter().map(complete).collect()
    }

    /// `tid_of` gives the thread's number in the container.
    pub(crate) fn answer(&self, outcome: &Outcome, tid_of: impl Fn(i32) -> Option<u32>) -> TaskTimersEntry {
        let interval = |nth: usize| {
            let word = |word: usize| outcome.u64(self.interval.plus(nth * ITIMER + word * 8));
            ItimerEntry { isec: word(0), iusec: word(1), vsec: word(2), vusec: word(3) }
        };
        let posix = |(timer, place, overrun): &(PosixTimer, Place, Call)| {
            let word = |word: usize| outcome.u64(place.plus(word * 8));
            PosixTimerEntry {
                it_id: timer.id,
                clock_id: timer.clock,
                si_signo: timer.signal,
                it_sigev_notify: timer.notify,
                sival_ptr: timer.value,
                overrun: outcome.result(*overrun).map_or(0, |overrun| overrun as u32),
                isec: word(0),
                insec: word(1),
                vsec: word(2),
                vnsec: word(3),
                notify_thread_id: tid_of(timer.thread).map(|tid| tid as i32),
            }
        };
        TaskTimersEntry {
            real: interval(0),
            virt: interval(1),
            prof: interval(2),
            posix: self.posix.iter().map(posix).collect(),
        }
    }
}

/// What has sent a signal by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Of timer_create(2), by its number.
    Timer(u32),
    /// Of setitimer(2), by the signal.
    Interval(i32),
}

impl Source {
    fn of(info: &[u8; 128]) -> Option<Source> {
        const SI_KERNEL: i32 = 0x80;
        let signal = number(info, siginfo::SIGNAL)?;
        let is_interval = [libc::SIGALRM, libc::SIGVTALRM, libc::SIGPROF].contains(&signal)
            && number(info, siginfo::CODE) == Some(SI_KERNEL);
        let timer = of_timer(info).map(|(timer, _)| Source::Timer(timer));
        timer.or(is_interval.then_some(Source::Interval(signal)))
    }

    /// How long it had to go, in nanoseconds; 0 where it was not armed.
    fn remaining(self, timers: &TaskTimersEntry) -> u128 {
        let nanoseconds = |seconds: u64, rest: u64| u128::from(seconds) * 1_000_000_000 + u128::from(rest);
        match self {
            Source::Timer(id) => {
                let timer = timers.posix.iter().find(|timer| timer.it_id == id);
                timer.map_or(0, |timer| nanoseconds(timer.vsec, timer.vnsec))
            }
            Source::Interval(signal) => {
                let timer = match signal {
                    libc::SIGALRM => &timers.real,
                    libc::SIGVTALRM => &timers.virt,
                    _ => &timers.prof,
                };
                nanoseconds(timer.vsec, timer.vusec * 1000)
            }
        }
    }
}

/// The signals that wait `now`, without those of timers that have expired since they were asked, which is at most `since`
/// ago: what was asked is restored, so these timers expire once more. `then` is what waited before.
pub(crate) fn without_late(
    timers: &TaskTimersEntry,
    then: &[[u8; 128]],
    now: Signals,
    since: Duration,
) -> Signals {
    let count =
        |infos: &[[u8; 128]], source| infos.iter().filter(|info| Source::of(info) == Some(source)).count();
    let is_late = |nth: usize| {
        let Some(source) = Source::of(&now[nth]) else { return false };
        let remaining = source.remaining(timers);
        remaining > 0 && remaining <= since.as_nanos() && count(&now[..nth], source) >= count(then, source)
    };
    (0..now.len()).filter(|nth| !is_late(*nth)).map(|nth| now[nth]).collect()
}

/// Takes signals of timers and sends them again. Of several with one number it cannot be said which would be taken.
fn take(batch: &mut Batch, pending: [&[[u8; 128]]; 2]) -> Vec<(u32, Place)> {
    let [of_process, _] = pending;
    let signal = |info: &[u8; 128]| number(info, siginfo::SIGNAL);
    let is_alone = |info: &&[u8; 128]| {
        pending.iter().flat_map(|queue| queue.iter()).filter(|other| signal(other) == signal(info)).count()
            == 1
    };
    let mut taken = Vec::new();
    for info in of_process.iter().filter(is_alone) {
        let (Some((timer, _)), Some(signal)) =
            (of_timer(info), signal(info).filter(|it| (1..=64).contains(it)))
        else {
            continue;
        };
        let set = batch.words(&[1 << (signal - 1)]);
        let now = batch.words(&[0, 0]);
        let place = batch.bytes(info);
        let arguments = [set.into(), place.into(), now.into(), 8.into()];
        batch.call_may_fail("rt_sigtimedwait", libc::SYS_rt_sigtimedwait, &arguments);
        let pid = batch.call("getpid", libc::SYS_getpid, &[]);
        let arguments = [pid.into(), signal.into(), place.into()];
        batch.call("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, &arguments);
        taken.push((timer, place));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(signal: i32, code: i32, timer: u8) -> [u8; 128] {
        let mut info = [0; 128];
        info[siginfo::SIGNAL..][..4].copy_from_slice(&signal.to_le_bytes());
        info[siginfo::CODE..][..4].copy_from_slice(&code.to_le_bytes());
        info[siginfo::TIMER] = timer;
        info
    }

    #[test]
    fn timers_that_have_expired_since_they_were_asked() {
        let posix = |it_id, vnsec| PosixTimerEntry { it_id, vnsec, ..PosixTimerEntry::default() };
        let timers = TaskTimersEntry {
            real: ItimerEntry { vusec: 2, ..ItimerEntry::default() },
            posix: vec![posix(1, 1000), posix(2, 0), posix(3, 900_000_000)],
            ..TaskTimersEntry::default()
        };
        let left = |then: &[[u8; 128]], now: &[[u8; 128]]| {
            without_late(&timers, then, now.to_vec(), Duration::from_millis(1))
        };
        // Armed, and expired; expired before; expired before, and armed anew; of somebody else.
        let [late, earlier, periodic, other] =
            [info(34, -2, 1), info(34, -2, 2), info(34, -2, 3), info(34, -1, 1)];
        assert_eq!(left(&[], &[late, earlier, periodic, other]), [earlier, periodic, other]);
        // It waited already, and then once more.
        assert_eq!(left(&[late], &[late]), [late]);
        assert_eq!(left(&[late], &[late, late]), [late]);
        let [alarm, sent] = [info(libc::SIGALRM, 0x80, 0), info(libc::SIGALRM, 0, 0)];
        assert_eq!(left(&[], &[alarm, sent]), [sent]);
    }

    #[test]
    fn signals_of_timers() {
        let mut info = [0; 128];
        info[siginfo::CODE..][..4].copy_from_slice(&(-2i32).to_le_bytes());
        info[siginfo::TIMER] = 7;
        info[siginfo::OVERRUNS] = 9;
        assert_eq!(of_timer(&info), Some((7, 9)));
        info[siginfo::CODE] = 0;
        assert_eq!(of_timer(&info), None);
        assert_eq!(of_timer(&[]), None);
    }
}
