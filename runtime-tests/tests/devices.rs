//! TODO
use crate::harness::*;

pub(crate) fn cases() -> Vec<Case> {
    Vec::new()
}
