//! One kind of work on many pieces of memory, in several threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// More threads than these only wait for memory.
const MOST: usize = 4;
/// Pieces that are worth a thread of their own.
const WORTH: usize = 4;

/// Does `work` for every number below `count`, each thread with a buffer of its own. After an error no further ones begin.
/// `progress` is called now and then, and in the end, by the thread of the caller.
pub(crate) fn for_each<E: Send>(
    count: usize,
    work: impl Fn(usize, &mut Vec<u8>) -> Result<(), E> + Sync,
    progress: &mut dyn FnMut(),
) -> Result<(), E> {
    let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let share = |progress: &mut dyn FnMut()| {
        let mut buffer = Vec::new();
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= count || has_failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            work(nth, &mut buffer).inspect_err(|_| has_failed.store(true, Ordering::Relaxed))?;
            progress();
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let others = processors.min(MOST).min(count / WORTH).saturating_sub(1);
    thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(|| share(&mut || ()))).collect();
        let own = share(progress);
        let done =
            others.into_iter().fold(own, |done, other| done.and(other.join().expect("work does not panic")));
        progress();
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    #[test]
    fn every_piece_is_done_once() {
        let done = Mutex::new(Vec::new());
        let work = |nth, _: &mut Vec<u8>| -> Result<(), ()> {
            done.lock().expect("a lock").push(nth);
            Ok(())
        };
        let result = for_each(1000, work, &mut || ());
        let done = done.into_inner().expect("a lock");
        assert_eq!((result, done.len()), (Ok(()), 1000));
        assert_eq!(done.into_iter().collect::<BTreeSet<_>>(), (0..1000).collect());
    }

    #[test]
    fn an_error_ends_it() {
        let done = AtomicUsize::new(0);
        let work = |nth, _: &mut Vec<u8>| {
            done.fetch_add(1, Ordering::Relaxed);
            if nth == 10 { Err(nth) } else { Ok(()) }
        };
        assert_eq!(for_each(1_000_000, work, &mut || ()), Err(10));
        assert!(done.into_inner() < 1_000_000);
    }
}
