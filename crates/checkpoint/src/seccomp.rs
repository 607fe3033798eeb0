//! Filters of seccomp(2). In images a thread has its oldest filter, and `prev` of a filter is the one that was installed
//! after it: the order in which a restore installs them.

use images::messages::{SeccompEntry, SeccompFilter};

/// All filters so far.
#[derive(Debug, Default)]
pub(crate) struct Filters(SeccompEntry);

impl Filters {
    /// Adds the filters of a thread, the oldest first, and returns the index of the oldest. Threads with the same filters
    /// have the same index.
    pub(crate) fn add(&mut self, chain: &[(Vec<u8>, u64)]) -> Option<u32> {
        let mut next = None;
        for (program, flags) in chain.iter().rev() {
            let filter = SeccompFilter { filter: program.clone(), prev: next, flags: Some(*flags as u32) };
            let known = self.0.seccomp_filters.iter().position(|known| *known == filter);
            next = Some(known.unwrap_or_else(|| {
                self.0.seccomp_filters.push(filter);
                self.0.seccomp_filters.len() - 1
            }) as u32);
        }
        next
    }

    pub(crate) fn into_entry(self) -> SeccompEntry {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_filters_are_there_once() {
        let (a, b, c) = ((vec![1; 8], 0), (vec![2; 8], 1), (vec![3; 8], 0));
        let mut filters = Filters::default();
        assert_eq!(filters.add(&[]), None);
        assert_eq!(filters.add(&[a.clone(), b.clone()]), Some(1));
        assert_eq!(filters.add(&[a.clone(), c]), Some(3));
        assert_eq!(filters.add(&[a.clone(), b.clone()]), Some(1));
        assert_eq!(filters.add(&[b]), Some(0));
        // The same program on top of itself is another one.
        assert_eq!(filters.add(&[a.clone(), a]), Some(5));
        assert_eq!(filters.into_entry().seccomp_filters[1].prev, Some(0));
    }
}
