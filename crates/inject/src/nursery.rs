//! Where the tasks of a restore are born: memory that is at the same address in all of them, with the stub and a mailbox
//! for each thread, and nothing else that they need. So every mapping goes to its final place at once.
//!
//! A process enters it, gives up what it had, and becomes what the batches make of it; its children are born there
//! (`Batch::clone3`). When the supervisor dies they all end: nothing half-built stays.
#![allow(unsafe_code)] // Entering moves memory under our own feet.

use crate::arch;
use crate::batch::{Batch, MAILBOX, Outcome};
use crate::error::{At, Error, Result};
use crate::process::new_mailbox;
use crate::ptrace::Thread;
use crate::region::Region;
use crate::supervisor::{self, Life, Supervisor};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;
use sys::Errno;

const PAGE: usize = 4096;
/// Of the region: the page with the supervisor's life, the page of code, mailboxes, rooms for batches.
const CODE: usize = PAGE;
const STUB: usize = CODE;
const END: usize = CODE + 1024;
const USE_TILE: usize = CODE + 2048;
const TILES: usize = USE_TILE + 64;
const MAILBOXES: usize = 2 * PAGE;
/// Room for the batch of one task, touched as far as it is used.
const ROOM: usize = 4 << 20;
/// Between looks at whether the tasks still exist.
const LOOK: Duration = Duration::from_millis(20);

/// The supervisor's side.
#[derive(Debug)]
pub struct Nursery {
    _life: Life,
    region: Region,
    /// Where it is in the tasks.
    at: u64,
    tasks: usize,
    numbers: Vec<u32>,
}

/// Whoever is still in it ends, as when we die: after a restore that has failed.
impl Drop for Nursery {
    fn drop(&mut self) {
        supervisor::end_life(&self.region);
    }
}

impl Nursery {
    /// Bytes that a nursery for so many threads takes in each process.
    pub fn size(tasks: usize) -> usize {
        rooms(tasks) + tasks * ROOM
    }

    /// Makes the memory; `at` is where all tasks will have it. The process that enters is a child that is made later.
    pub fn new(supervisor: &Supervisor, at: u64, tasks: usize) -> Result<Nursery> {
        let region = Region::anonymous(Nursery::size(tasks)).at(|| "map the nursery".to_owned())?;
        let life = supervisor.watch(&region);
        region.write(STUB, arch::stub());
        region.write(END, arch::end());
        region.write(USE_TILE, arch::USE_TILE);
        region.write(TILES, &arch::one_tile());
        let mut nursery = Nursery { _life: life, region, at, tasks, numbers: vec![0; tasks] };
        (0..tasks).for_each(|nth| nursery.vacate(nth));
        Ok(nursery)
    }

    /// For the process that becomes the first task.
    pub fn entrance(&self) -> Entrance {
        Entrance { from: self.region.address(), len: self.region.len(), at: self.at }
    }

    /// The addresses that it takes in each task.
    pub fn range(&self) -> Range<u64> {
        self.at..self.at + self.region.len() as u64
    }

    /// Where a task finds its mailbox; 0 is that of the one that enters.
    pub fn mailbox(&self, nth: usize) -> u64 {
        assert!(nth < self.tasks);
        self.at + mailbox(nth) as u64
    }

    /// Makes a place what it was in the beginning, for another task. The one that had it has ended.
    pub fn vacate(&mut self, nth: usize) {
        let life = supervisor::life_word(&self.region);
        let new = new_mailbox(self.at, mailbox(nth), self.at + END as u64, life);
        self.region.write(mailbox(nth), &new);
        self.numbers[nth] = 0;
    }

    /// Lets a stopped thread, whose registers nobody needs, use a tile of AMX: only then does the kernel make room for tiles
    /// in its state (Documentation/arch/x86/xstate.rst). Its process has asked for them.
    pub fn make_room_for_tiles(&self, thread: &Thread) -> Result<()> {
        let call = [libc::SYS_getpid as u64, 0, 0, 0, 0, self.at + TILES as u64, 0];
        thread.call_at(self.at + USE_TILE as u64, call)?;
        Ok(())
    }

    /// Runs a batch in a task and waits for its end. `is_alive` tells whether the tasks still exist.
    pub fn run(&mut self, nth: usize, batch: &Batch, is_alive: &dyn Fn() -> bool) -> Result<Outcome> {
        self.start(nth, batch)?;
        self.finish(nth, batch, is_alive)
    }

    /// Gives a task a batch. Until `finish` it works on it, beside others and us.
    pub fn start(&mut self, nth: usize, batch: &Batch) -> Result<()> {
        if batch.size() > ROOM {
            return Err(Error::new(format!(
                "task {nth} of the restore: a batch of {} bytes has no room",
                batch.size()
            )));
        }
        let room = rooms(self.tasks) + nth * ROOM;
        let base = self.at + room as u64;
        self.region.write(room, &batch.encode(base));
        self.region.write(mailbox(nth) + 8, &base.to_le_bytes());
        self.numbers[nth] = self.numbers[nth].wrapping_add(1);
        self.region.word(mailbox(nth)).store(self.numbers[nth], Ordering::SeqCst);
        self.region.wake(mailbox(nth));
        Ok(())
    }

    /// Waits for the end of the batch that the task has got.
    pub fn finish(&mut self, nth: usize, batch: &Batch, is_alive: &dyn Fn() -> bool) -> Result<Outcome> {
        let done = mailbox(nth) + 4;
        loop {
            let found = self.region.word(done).load(Ordering::SeqCst);
            if found == self.numbers[nth] {
                break;
            }
            self.region.wait(done, found, LOOK);
            let is_done = || self.region.word(done).load(Ordering::SeqCst) == self.numbers[nth];
            if !is_alive() && !is_done() {
                return Err(Error::ended("a task of the restore has ended"));
            }
        }
        let room = rooms(self.tasks) + nth * ROOM;
        batch.outcome(nth as i32, self.region.read(room, batch.size()))
    }
}

fn mailbox(nth: usize) -> usize {
    MAILBOXES + nth * MAILBOX
}

fn rooms(tasks: usize) -> usize {
    (MAILBOXES + tasks * MAILBOX).next_multiple_of(PAGE)
}

/// What the process needs that enters. It is copied into a child with the rest of our memory.
#[derive(Clone, Copy, Debug)]
pub struct Entrance {
    from: usize,
    len: usize,
    at: u64,
}

impl Entrance {
    /// Becomes the first task. Called in a child of the supervisor that has its memory; nothing that was in it is used
    /// again.
    ///
    /// # Errors
    /// It returns only when the memory could not be moved to its place.
    pub fn enter(self) -> Errno {
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let (from, to) = (self.from as *mut libc::c_void, self.at as *mut libc::c_void);
        // SAFETY: moves a mapping of ours to an address that the caller has found to be free of what is still needed.
        if unsafe { libc::mremap(from, self.len, self.len, flags, to) } == libc::MAP_FAILED {
            return Errno::last();
        }
        let code = (self.at as usize + CODE) as *mut libc::c_void;
        // SAFETY: the page of code of the mapping that was just moved.
        if unsafe { libc::mprotect(code, PAGE, libc::PROT_READ | libc::PROT_EXEC) } != 0 {
            return Errno::last();
        }
        // SAFETY: the stub and the mailbox are there; `Nursery::new` has written them.
        unsafe { arch::become_stub(self.at as usize + STUB, self.at as usize + mailbox(0)) }
    }
}
