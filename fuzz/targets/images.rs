//! An image file of any type: it is read to its end and shown, or refused with a place that is in the file.
#![no_main]

use images::Reader;

fn read(bytes: &[u8]) -> images::Result<()> {
    let mut reader = Reader::new("x", bytes)?;
    while reader.entry()?.is_some() {}
    let mut text = Vec::new();
    images::show::image(Reader::new("x", bytes)?, &mut text)?;
    // What is read is shown, and what is shown is JSON.
    serde_json::from_slice::<serde_json::Value>(&text).expect("JSON");
    Ok(())
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Err(error) = read(bytes) else { return };
    let text = error.to_string();
    let place = text.strip_prefix("x: byte ").and_then(|rest| rest.split(':').next());
    let place: usize = place.and_then(|place| place.parse().ok()).expect("a place");
    assert!(place <= bytes.len(), "{text}");
});
