//! linux.resources, as config.json and `update --resources` give it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(resources) = serde_json::from_slice(bytes) {
        cgroup::fuzz::resources(&resources);
    }
});
