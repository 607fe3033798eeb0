//! Files of cgroupfs, /proc/PID/cgroup, and the paths in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cgroup::fuzz::files(bytes));
