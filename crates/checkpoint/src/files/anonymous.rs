//! Files that are nothing but a state in the kernel: eventfd, signalfd, timerfd, epoll. /proc says it all, except on old
//! kernels which eventfds are semaphores; those are asked last ([`Eventfd`]).

use super::{Descriptor, Files, Open, entry};
use crate::error::{At, Error, Result};
use crate::guardian::Guardian;
use crate::proc::{self, Fdinfo};
use images::messages::{
    EventfdFileEntry, EventpollFileEntry, EventpollTfdEntry, FdTypes, FileEntry, SignalfdEntry, TimerfdEntry,
};
use std::cmp::Ordering;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

impl Files<'_> {
    pub(super) fn eventfd(&mut self, open: &Open) -> Result<FileEntry> {
        let counter = value(open, "eventfd-count")?;
        let counter = u64::from_str_radix(counter, 16).map_err(|_| unexpected(open, "eventfd-count"))?;
        match open.info.value("eventfd-semaphore") {
            Some("0") => {}
            Some(_) => drop(self.side.semaphores.insert(open.id)),
            // FIXME: an error when 6.5 is the oldest supported kernel; before, it is not shown.
            None => {
                let file = open.file.try_clone().at(|| format!("{}: copy it", open.owner))?;
                self.eventfds.push(Eventfd { id: open.id, owner: open.owner.clone(), file });
            }
        }
        let efd = EventfdFileEntry { id: open.id, flags: open.info.flags, fown: self.owner(open)?, counter };
        Ok(FileEntry { efd: Some(Box::new(efd)), ..entry(FdTypes::Eventfd, open.id) })
    }

    pub(super) fn signalfd(&mut self, open: &Open) -> Result<FileEntry> {
        let mask = value(open, "sigmask")?;
        let sigmask = u64::from_str_radix(mask, 16).map_err(|_| unexpected(open, "sigmask"))?;
        let sgfd = SignalfdEntry { id: open.id, flags: open.info.flags, fown: self.owner(open)?, sigmask };
        Ok(FileEntry { sgfd: Some(Box::new(sgfd)), ..entry(FdTypes::Signalfd, open.id) })
    }

    pub(super) fn timerfd(&mut self, open: &Open) -> Result<FileEntry> {
        sys::time::count_expirations(open.file.as_fd()).at(|| format!("{}: its time", open.owner))?;
        let info = Fdinfo::of(open.descriptor.pid, open.descriptor.fd)?;
        let value = |key| info.value(key).ok_or_else(|| unexpected(open, key));
        let number = |key| {
            let digits = value(key)?.trim_start_matches('0');
            let digits = if digits.is_empty() { "0" } else { digits };
            digits.parse::<u64>().map_err(|_| unexpected(open, key))
        };
        let octal = |key| u32::from_str_radix(value(key)?, 8).map_err(|_| unexpected(open, key));
        // "it_value: (0, 49406829)"
        let time = |key| {
            let text = value(key)?.trim_matches(['(', ')']);
            let time =
                text.split_once(", ").and_then(|(sec, nsec)| Some((sec.parse().ok()?, nsec.parse().ok()?)));
            time.ok_or_else(|| unexpected(open, key))
        };
        let (vsec, vnsec) = time("it_value")?;
        let (isec, insec) = time("it_interval")?;
        let tfd = TimerfdEntry {
            id: open.id,
            flags: open.info.flags,
            fown: self.owner(open)?,
            clockid: number("clockid")? as u32,
            ticks: number("ticks")?,
            settime_flags: octal("settime flags")?,
            vsec,
            vnsec,
            isec,
            insec,
        };
        Ok(FileEntry { tfd: Some(Box::new(tfd)), ..entry(FdTypes::Timerfd, open.id) })
    }

    pub(super) fn epoll(&mut self, open: &Open) -> Result<FileEntry> {
        let lines = open.info.more.lines().filter(|line| line.starts_with("tfd:"));
        let tfd: Option<Vec<EventpollTfdEntry>> = lines.map(|line| watched(open.id, line)).collect();
        let mut tfd = tfd.ok_or_else(|| unexpected(open, "tfd"))?;
        self.find_watched(open, &mut tfd)?;
        let epfd = EventpollFileEntry { id: open.id, flags: open.info.flags, fown: self.owner(open)?, tfd };
        Ok(FileEntry { epfd: Some(Box::new(epfd)), ..entry(FdTypes::Eventpoll, open.id) })
    }
}

impl Files<'_> {
    /// A registration has the number under which it was made; the file may have others by now, and the number another
    /// file.
    fn find_watched(&self, open: &Open, watched: &mut [EventpollTfdEntry]) -> Result<()> {
        let Descriptor { pid, fd } = open.descriptor;
        let numbers: Vec<u32> = watched.iter().map(|each| each.tfd).collect();
        for (at, each) in watched.iter_mut().enumerate() {
            // Of those with the same number, the how manyeth.
            let nth = numbers[..at].iter().filter(|number| **number == each.tfd).count() as u32;
            let is_it = |candidate: i32| {
                sys::inspect::epoll_watches(pid, candidate, fd as u32, each.tfd, nth).unwrap_or(false)
            };
            if is_it(each.tfd as i32) {
                continue;
            }
            let all = proc::numbers(format!("/proc/{pid}/fd"))?;
            let Some(found) = all.into_iter().find(|candidate| is_it(*candidate)) else {
                let what = format!(
                    "{}: it watches a file, once fd {}, that task {pid} has no more",
                    open.owner, each.tfd
                );
                return Err(Error::new(what));
            };
            each.tfd = found as u32;
        }
        Ok(())
    }
}

/// An eventfd of which /proc does not tell whether it is a semaphore.
#[derive(Debug)]
pub(crate) struct Eventfd {
    pub(crate) id: u32,
    owner: String,
    file: File,
}

impl Eventfd {
    /// Whether it was made with `EFD_SEMAPHORE`.
    pub(crate) fn is_semaphore(&self, guardian: &Guardian) -> Result<bool> {
        let answer = guardian.look_at_eventfd(self.file.as_fd());
        answer.map_err(|error| Error::new(format!("{}: {error}", self.owner)))
    }
}

/// Whether a read takes only one of what an eventfd counts. The counter is as before afterwards; who waits for it by epoll(7)
/// with `EPOLLET` may be told of it once more.
pub(crate) fn look_at_eventfd(eventfd: BorrowedFd<'_>) -> Result<bool> {
    let what = || "look at how its counter is read".to_owned();
    let info = Fdinfo::of(std::process::id() as i32, eventfd.as_raw_fd())?;
    let counter = info.value("eventfd-count").and_then(|count| u64::from_str_radix(count, 16).ok());
    let counter = counter.ok_or_else(|| Error::new(format!("{}: /proc does not tell it", what())))?;
    if counter == u64::MAX {
        // Only the kernel counts as far; nobody can put that back.
        return Err(Error::new(format!("{}: it has overflowed", what())));
    }
    let mut file = File::from(eventfd.try_clone_to_owned().at(what)?);
    let mut add = |count: u64| file.write_all(&count.to_ne_bytes()).at(what);
    let take = || sys::inspect::take_events(eventfd).at(what);
    // One of it and all of it must not be the same.
    let added = 2_u64.saturating_sub(counter);
    if added > 0 {
        add(added)?;
    }
    let taken = take()?;
    match taken.cmp(&added) {
        Ordering::Greater => add(taken - added)?,
        Ordering::Equal => {}
        // One of the two is left.
        Ordering::Less => drop(take()?),
    }
    Ok(taken == 1)
}

/// "tfd:        5 events:       1d data: ffffffffffffffff pos:0 ino:61af sdev:7"
fn watched(id: u32, line: &str) -> Option<EventpollTfdEntry> {
    let word = |key: &str| line.split(key).nth(1)?.split_whitespace().next();
    let hex = |key| u64::from_str_radix(word(key)?, 16).ok();
    Some(EventpollTfdEntry {
        id,
        tfd: word("tfd:")?.parse().ok()?,
        events: hex("events:")? as u32,
        data: hex("data:")?,
        dev: hex("sdev:").map(|dev| dev as u32),
        inode: hex("ino:"),
        pos: word("pos:").and_then(|pos| pos.parse().ok()),
    })
}

fn value<'a>(open: &'a Open, key: &str) -> Result<&'a str> {
    open.info.value(key).ok_or_else(|| unexpected(open, key))
}

fn unexpected(open: &Open, key: &str) -> Error {
    Error::new(format!("{}: fdinfo: {key}: not as expected", open.owner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::eventfd::{EfdFlags, EventFd};

    #[test]
    fn a_semaphore_by_its_reads() {
        let max = u64::MAX - 1;
        for (counter, is_semaphore) in
            [0, 1, 2, 3, 0x1_0000_0001, max].map(|n| [(n, true), (n, false)]).concat()
        {
            let flags = if is_semaphore { EfdFlags::EFD_SEMAPHORE } else { EfdFlags::empty() };
            let eventfd = EventFd::from_flags(flags | EfdFlags::EFD_NONBLOCK).expect("an eventfd");
            eventfd.write(counter).expect("write");
            let found = look_at_eventfd(eventfd.as_fd()).expect("an answer");
            let info = Fdinfo::of(std::process::id() as i32, eventfd.as_fd().as_raw_fd()).expect("fdinfo");
            let left = info.value("eventfd-count").expect("a counter");
            assert_eq!((found, left), (is_semaphore, &*format!("{counter:x}")), "{counter:x}");
        }
    }

    #[test]
    fn a_watched_descriptor() {
        let line = "tfd:        5 events:       1d data: ffffffffffffffff pos:7 ino:61af sdev:7";
        let entry = watched(3, line).expect("an entry");
        assert_eq!((entry.tfd, entry.events, entry.data), (5, 0x1d, u64::MAX));
        assert_eq!((entry.dev, entry.inode, entry.pos), (Some(7), Some(0x61af), Some(7)));
    }
}
