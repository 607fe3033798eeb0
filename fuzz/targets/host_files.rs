//! Files of the host and of the image: mountinfo and resctrl's schemata, and the container's /etc/passwd.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    container::fuzz::resctrl(bytes);
    container::fuzz::passwd(bytes);
});
