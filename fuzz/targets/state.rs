//! state.json, init.json, /proc/PID/stat, and descriptors.json of a checkpoint.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    container::fuzz::state(bytes);
    container::fuzz::descriptors(bytes);
});
