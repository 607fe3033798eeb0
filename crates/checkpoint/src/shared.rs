//! Which tasks and descriptors share a kernel object: kcmp(2) orders them, so that each is compared with few others.

use std::cmp::Ordering;
use sys::Result;

/// Objects of one kind, sorted by kcmp(2), with their ids.
#[derive(Debug)]
pub(crate) struct Sorted<T> {
    known: Vec<(T, u32)>,
}

impl<T> Default for Sorted<T> {
    fn default() -> Sorted<T> {
        Sorted { known: Vec::new() }
    }
}

impl<T> Sorted<T> {
    /// The id of an object, and whether it is new: then it has got what `new_id` gives.
    pub(crate) fn id(
        &mut self,
        object: T,
        compare: impl Fn(&T, &T) -> Result<Ordering>,
        new_id: impl FnOnce() -> u32,
    ) -> Result<(u32, bool)> {
        let mut failed = None;
        let found = self.known.binary_search_by(|(known, _)| {
            compare(known, &object).unwrap_or_else(|errno| {
                failed = Some(errno);
                Ordering::Equal
            })
        });
        match (failed, found) {
            (Some(errno), _) => Err(errno),
            (None, Ok(at)) => Ok((self.known[at].1, false)),
            (None, Err(at)) => {
                let id = new_id();
                self.known.insert(at, (object, id));
                Ok((id, true))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_objects_have_one_id() {
        let mut sorted = Sorted::default();
        let mut next = 0;
        let mut id = |object: u32| {
            let new_id = || {
                next += 1;
                next
            };
            sorted.id(object, |a, b| Ok(a.cmp(b)), new_id).expect("comparable")
        };
        let ids = [5, 3, 5, 9, 3, 1].map(&mut id);
        assert_eq!(ids, [(1, true), (2, true), (1, false), (3, true), (2, false), (4, true)]);
    }
}
