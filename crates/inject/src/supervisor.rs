//! How a task learns that we are gone.
//!
//! A word in the memory that we share with the task holds our thread id and is on the robust futex list of our thread
//! (get_robust_list(2)). However we end, SIGKILL included, the kernel walks that list, sets FUTEX_OWNER_DIED in each
//! word, and wakes one waiter. No time limit, no heartbeat: a slow supervisor is not a dead one.
#![allow(unsafe_code)] // The list is linked by addresses that only the kernel follows.

use crate::region::Region;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use sys::{Errno, Result};

/// Where in a region the word is, and behind it the link of the list.
const WORD: usize = 0;
const LINK: usize = 8;

const FUTEX_WAITERS: u32 = 0x8000_0000;
const FUTEX_OWNER_DIED: u32 = 0x4000_0000;

/// The kernel's struct robust_list_head.
#[repr(C)]
#[derive(Debug)]
struct Head {
    first: usize,
    offset: isize,
    pending: usize,
}

/// This thread as the one that tasks depend on. It takes the place of the C library's robust list: no robust mutex may
/// be held while it exists.
#[derive(Clone, Debug)]
pub struct Supervisor {
    list: Rc<RefCell<List>>,
}

#[derive(Debug)]
struct List {
    head: Box<Head>,
    /// Addresses of links.
    links: Vec<usize>,
    of_libc: (usize, usize),
}

/// A region whose users learn when we are gone; dropping it takes the word off the list.
#[derive(Debug)]
pub(crate) struct Life {
    list: Rc<RefCell<List>>,
    link: usize,
}

impl Supervisor {
    /// # Errors
    /// Those of set_robust_list(2).
    pub fn new() -> Result<Supervisor> {
        let (mut head, mut len) = (0usize, 0usize);
        // SAFETY: both are places for what the call returns.
        Errno::check(unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut len) })?;
        let of_libc = (head, len);
        let mut head = Box::new(Head { first: 0, offset: WORD as isize - LINK as isize, pending: 0 });
        head.first = &raw const *head as usize;
        let address = &raw const *head;
        // SAFETY: the head is on the heap and stays there until `List::drop` has put back the former one.
        Errno::check(unsafe { libc::syscall(libc::SYS_set_robust_list, address, size_of::<Head>()) })?;
        Ok(Supervisor { list: Rc::new(RefCell::new(List { head, links: Vec::new(), of_libc })) })
    }

    /// Puts the word at the start of a region onto the list.
    pub(crate) fn watch(&self, region: &Region) -> Life {
        // SAFETY: no arguments.
        let tid = unsafe { libc::gettid() } as u32;
        region.word(WORD).store(tid | FUTEX_WAITERS, Ordering::SeqCst);
        let link = region.address() + LINK;
        self.list.borrow_mut().change(|links| links.push(link));
        Life { list: self.list.clone(), link }
    }
}

/// What the word is while we live.
pub(crate) fn life_word(region: &Region) -> u32 {
    region.word(WORD).load(Ordering::SeqCst)
}

/// Does to the word and to who waits what the kernel does when we end.
pub(crate) fn end_life(region: &Region) {
    region.word(WORD).fetch_or(FUTEX_OWNER_DIED, Ordering::SeqCst);
    region.wake(WORD);
}

impl List {
    fn change(&mut self, how: impl FnOnce(&mut Vec<usize>)) {
        how(&mut self.links);
        let head = &raw const *self.head as usize;
        // From the end, so that the list is whole whenever we die: it then lacks some, but leads nowhere else.
        let mut next = head;
        for link in self.links.iter().rev() {
            // SAFETY: a link is in a region that is mapped until its `Life` has taken it off the list.
            unsafe { (*link as *mut usize).write_volatile(next) };
            next = *link;
        }
        // SAFETY: the head is ours; the kernel reads it behind the compiler's back.
        unsafe { (&raw mut self.head.first).write_volatile(next) };
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: what get_robust_list(2) has returned for this thread.
        unsafe { libc::syscall(libc::SYS_set_robust_list, self.of_libc.0, self.of_libc.1) };
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.list.borrow_mut().change(|links| links.retain(|link| *link != self.link));
    }
}
