//! Written by `tests/generated.rs` from `proto/`, and compared with it there.

#[rustfmt::skip]
#[allow(clippy::all)]
pub mod messages;
#[rustfmt::skip]
pub(crate) mod schema;
