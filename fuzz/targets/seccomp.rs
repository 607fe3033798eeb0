//! linux.seccomp, compiled by libseccomp with our prologue before it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| container::fuzz::seccomp(bytes));
