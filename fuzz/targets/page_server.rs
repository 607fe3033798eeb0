//! What somebody sends to a page server, whose parent has two pages of a task: all of it is taken, or nothing is left of
//! it.
#![no_main]

use checkpoint::PageReceiver;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// An empty directory beside that of the parent.
static IMAGES: LazyLock<PathBuf> = LazyLock::new(|| {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/page_server");
    // libFuzzer ends without destructors: a place that the next run takes over.
    let _ = fs::remove_dir_all(&top);
    let [parent, images] = ["parent", "images"].map(|name| top.join(name));
    [&parent, &images].iter().for_each(|path| fs::create_dir_all(path).expect("a directory"));
    let record = |words: [u64; 4]| words.map(u64::to_le_bytes).concat();
    let (open, pages, close, task) = (4, 4 << 16 | 6, 0x1023, 1 << 8 | 1);
    let two_pages = [record([open, 0, 0, task]), record([pages, 2, 0x1000, task]), vec![1; 2 * 4096]];
    let session = [two_pages.concat(), record([close, 0, 0, 0])].concat();
    receive(&parent, None, &session).expect("a session");
    images
});

/// Answers go nowhere.
struct Sent<'a>(&'a [u8]);

impl Read for Sent<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Sent<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn receive(images: &Path, parent: Option<&Path>, bytes: &[u8]) -> Result<(), checkpoint::Error> {
    let images = File::open(images).expect("a directory").into();
    PageReceiver::new(images, parent).expect("a parent").receive(&mut Sent(bytes))
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let received = receive(&IMAGES, Some(Path::new("../parent")), bytes);
    let is_empty = fs::read_dir(&*IMAGES).expect("read").next().is_none();
    assert!(received.is_ok() != is_empty, "{received:?}");
});
