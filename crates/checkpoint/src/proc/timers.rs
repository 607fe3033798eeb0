//! /proc/PID/timers: what timer_create(2) was told.

use super::read;
use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PosixTimer {
    pub(crate) id: u32,
    pub(crate) signal: u32,
    /// `sigev_value`
    pub(crate) value: u64,
    /// `SIGEV_`
    pub(crate) notify: u32,
    /// The thread that gets the signal, in our pid namespace; 0 for none.
    pub(crate) thread: i32,
    pub(crate) clock: u32,
}

const SIGEV_THREAD_ID: u32 = 4;

pub(crate) fn posix_timers(pid: i32) -> Result<Vec<PosixTimer>> {
    let path = format!("/proc/{pid}/timers");
    parse(&read(&path)?).ok_or_else(|| Error::new(format!("{path}: not as expected")))
}

fn parse(text: &str) -> Option<Vec<PosixTimer>> {
    let mut timers: Vec<PosixTimer> = Vec::new();
    for line in text.lines() {
        let (key, value) = line.split_once(": ")?;
        if key == "ID" {
            timers.push(PosixTimer { id: value.parse().ok()?, ..PosixTimer::default() });
            continue;
        }
        let timer = timers.last_mut()?;
        match key {
            // "signal: 60/00007fff86fd1080"
            "signal" => {
                let (signal, value) = value.split_once('/')?;
                timer.signal = signal.parse().ok()?;
                timer.value = u64::from_str_radix(value, 16).ok()?;
            }
            // "notify: signal/pid.2634", "notify: none/tid.2634"
            "notify" => {
                let (kind, owner) = value.split_once('/')?;
                timer.notify = match kind {
                    "signal" => libc::SIGEV_SIGNAL as u32,
                    "none" => libc::SIGEV_NONE as u32,
                    "thread" => libc::SIGEV_THREAD as u32,
                    _ => return None,
                };
                if let Some(thread) = owner.strip_prefix("tid.") {
                    timer.notify |= SIGEV_THREAD_ID;
                    timer.thread = thread.parse().ok()?;
                }
            }
            // Clocks of processes have negative numbers.
            "ClockID" => timer.clock = value.parse::<i32>().ok()? as u32,
            _ => {}
        }
    }
    Some(timers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_timers() {
        let text = "ID: 1\nsignal: 60/00007fff86fd1080\nnotify: signal/pid.2634\nClockID: 0\n\
            ID: 0\nsignal: 34/0\nnotify: signal/tid.9\nClockID: -6\n";
        let timers = parse(text).expect("timers");
        assert_eq!(
            timers[0],
            PosixTimer { id: 1, signal: 60, value: 0x7fff86fd1080, ..PosixTimer::default() }
        );
        assert_eq!((timers[1].notify, timers[1].thread, timers[1].clock as i32), (SIGEV_THREAD_ID, 9, -6));
        assert_eq!(parse("signal: 1/0\n"), None);
    }
}
