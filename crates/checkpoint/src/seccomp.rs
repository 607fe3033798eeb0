//! Filters of seccomp(2). Threads share them: a filter is in the images once, behind the one that was there before it.

use images::messages::{SeccompEntry, SeccompFilter};

/// All filters so far.
#[derive(Debug, Default)]
pub(crate) struct Filters(SeccompEntry);

impl Filters {
    /// Adds the filters of a thread, the oldest first, and returns the index of the newest.
    pub(crate) fn add(&mut self, chain: &[(Vec<u8>, u64)]) -> Option<u32> {
        let mut prev = None;
        for (program, flags) in chain {
            let filter = SeccompFilter { filter: program.clone(), prev, flags: Some(*flags as u32) };
            let known = self.0.seccomp_filters.iter().position(|known| *known == filter);
            prev = Some(known.unwrap_or_else(|| {
                self.0.seccomp_filters.push(filter);
                self.0.seccomp_filters.len() - 1
            }) as u32);
        }
        prev
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
        assert_eq!(filters.add(&[a.clone(), c]), Some(2));
        assert_eq!(filters.add(&[a.clone(), b.clone()]), Some(1));
        // The same program on top of itself is another one.
        assert_eq!(filters.add(&[a.clone(), a]), Some(3));
        assert_eq!(filters.into_entry().seccomp_filters[2].prev, Some(0));
    }
}
