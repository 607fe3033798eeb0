//! Timers of a process: those of setitimer(2) and those of timer_create(2).

use crate::proc::PosixTimer;
use images::messages::{ItimerEntry, PosixTimerEntry, TaskTimersEntry};
use inject::{Batch, Call, Outcome, Place};

/// Bytes of struct itimerval and struct itimerspec.
const ITIMER: usize = 32;

/// Calls that ask for a process's timers.
#[derive(Debug)]
pub(crate) struct TimersQuestion {
    interval: Place,
    posix: Vec<(PosixTimer, Place, Call)>,
}

impl TimersQuestion {
    pub(crate) fn ask(batch: &mut Batch, timers: Vec<PosixTimer>) -> TimersQuestion {
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
        TimersQuestion { interval, posix: timers.into_iter().map(ask).collect() }
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
