//! state.json, init.json and /proc/PID/stat.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| container::fuzz::state(bytes));
