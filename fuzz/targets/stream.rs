//! A header of a stream: a name in a directory and a size, which are written as they were read, or it is refused. A
//! compressed stream: it ends in an error, with little memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| images::fuzz_stream(bytes));
