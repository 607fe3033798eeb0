//! What a container's init that has been taken over could send.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| container::fuzz::protocol(bytes));
