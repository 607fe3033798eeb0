//! An image of any type in the place of the one that a dump has: the dump is read, and could be written as it was read,
//! or is refused with the name of an image. The dumps are those of CRIU in `crates/images/fixtures`.
#![no_main]

use checkpoint::snapshot::Snapshot;
use images::{Directory, DirectoryWriter, Reader};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A copy of a fixture that is changed and restored.
struct Dump {
    path: PathBuf,
    /// A file of each type of image, with its content.
    images: BTreeMap<u32, (PathBuf, Vec<u8>)>,
}

static DUMPS: LazyLock<[Dump; 2]> = LazyLock::new(|| ["states", "namespaces"].map(Dump::copy));

impl Dump {
    fn copy(name: &str) -> Dump {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        // libFuzzer ends without destructors: a place that the next run takes over.
        let path = top.join("target/snapshot").join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory");
        let mut images = BTreeMap::new();
        for file in fs::read_dir(top.join("../crates/images/fixtures").join(name)).expect("fixtures") {
            let from = file.expect("a file").path();
            if from.extension().is_none_or(|extension| extension != "img") {
                continue;
            }
            let bytes = fs::read(&from).expect("a file");
            let to = path.join(from.file_name().expect("a name"));
            fs::write(&to, &bytes).expect("a file");
            let image = Reader::new("x", bytes.as_slice()).expect("an image").image();
            images.insert(image.magic, (to, bytes));
        }
        // Holes in place of the pages, more than there are.
        for pages_id in 1..=16 {
            let pages = File::create(path.join(format!("pages-{pages_id}.img"))).expect("a file");
            pages.set_len(1 << 30).expect("a size");
        }
        let dump = Dump { path, images };
        dump.read().unwrap_or_else(|error| panic!("{name}: {error}"));
        dump
    }

    fn read(&self) -> images::Result<Snapshot> {
        Snapshot::read(&Directory::new(File::open(&self.path).expect("a directory").into())?)
    }
}

fn overwrite(path: &Path, bytes: &[u8]) {
    let file = File::options().write(true).open(path).expect("a file");
    file.write_all_at(bytes, 0).expect("written");
    file.set_len(bytes.len() as u64).expect("a size");
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(image) = Reader::new("x", bytes).map(|reader| reader.image()) else { return };
    for dump in DUMPS.iter() {
        let Some((path, whole)) = dump.images.get(&image.magic) else { continue };
        overwrite(path, bytes);
        match dump.read() {
            Ok(snapshot) => {
                let to = dump.path.with_extension("written");
                fs::create_dir_all(&to).expect("a directory");
                let mut writer =
                    DirectoryWriter::new(File::open(&to).expect("a directory").into()).expect("empty");
                snapshot.write(&mut writer).expect("what was read");
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.split_once(": ").is_some_and(|(name, _)| name.ends_with(".img")), "{text}");
            }
        }
        overwrite(path, whole);
    }
});
