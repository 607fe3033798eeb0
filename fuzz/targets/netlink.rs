//! rtnetlink's answers, read when a network device moves.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| container::fuzz::netlink(bytes));
