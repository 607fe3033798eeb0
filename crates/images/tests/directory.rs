//! Directories with dumps: what the writer leaves behind when it is finished and when it is not, and what the manifest
//! tells of a directory that was changed.

use images::messages::{InventoryEntry, PstreeEntry};
use images::{Directory, DirectoryWriter, Kind, MANIFEST, format};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use tempfile::TempDir;

/// Bytes that are written at a time.
const PIECE: usize = 256 << 10;

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn fd(path: &Path) -> OwnedFd {
    File::open(path).expect("a directory").into()
}

fn writer(path: &Path) -> DirectoryWriter {
    DirectoryWriter::new(fd(path)).unwrap_or_else(|error| panic!("{error}"))
}

fn directory(path: &Path) -> images::Result<Directory> {
    Directory::new(fd(path))
}

fn inventory() -> InventoryEntry {
    InventoryEntry { img_version: 2, fdinfo_per_id: Some(true), ..InventoryEntry::default() }
}

fn pstree() -> PstreeEntry {
    PstreeEntry { pid: 1, pgid: 1, sid: 1, threads: vec![1], ..PstreeEntry::default() }
}

/// A dump with an image, two pieces of pages and a file of bytes.
fn dump(path: &Path) {
    let mut writer = writer(path);
    write(&mut writer).and_then(|()| writer.commit(&inventory())).unwrap_or_else(|error| panic!("{error}"));
}

fn write(writer: &mut DirectoryWriter) -> images::Result<()> {
    writer.image("pstree.img", &format::PSTREE, |image| image.entry(&pstree()))?;
    writer.raw("route-9.img", |output| output.write_all(b"routes"))?;
    let pages = writer.pages(1, 2 * PIECE as u64)?;
    // Out of order, as several threads may.
    pages.write(1, &[2; PIECE]).expect("memory");
    pages.write(0, &[1; PIECE]).expect("memory");
    writer.finish_pages(pages)
}

fn verify(path: &Path) -> images::Result<()> {
    let directory = directory(path)?;
    directory.verify()?;
    directory.verify_pages(|_| false)
}

/// The error of a verification. It says that something is damaged, not that something else failed.
fn refused(path: &Path) -> String {
    let error = verify(path).expect_err("the directory was changed");
    assert_eq!(error.kind(), Kind::Damaged, "{error}");
    error.to_string()
}

#[test]
fn what_is_written_is_read() {
    let dir = temporary();
    fs::write(dir.path().join("dump.log"), "a log").expect("a file");
    dump(dir.path());
    verify(dir.path()).unwrap_or_else(|error| panic!("{error}"));

    let directory = directory(dir.path()).expect("a manifest");
    assert!(directory.has_manifest());
    let names = directory.names().expect("a directory");
    assert_eq!(names, ["dump.log", MANIFEST, "inventory.img", "pages-1.img", "pstree.img", "route-9.img"]);
    for name in &names[1..] {
        let mode = fs::metadata(dir.path().join(name)).expect("a file").permissions().mode();
        assert_eq!(mode, 0o100_600, "{name}");
    }

    let image = directory.image("pstree.img", &format::PSTREE).expect("an image").expect("there");
    assert_eq!(image.messages::<PstreeEntry>().expect("messages"), [pstree()]);
    let error = directory.image("pstree.img", &format::CORE).expect_err("another type");
    assert_eq!(error.to_string(), "pstree.img: byte 0: an image of type PSTREE, not CORE");
    assert!(directory.image("core-1.img", &format::CORE).expect("nothing wrong").is_none());

    let mut routes = String::new();
    let file = directory.raw("route-9.img").expect("a file");
    file.expect("there").read_to_string(&mut routes).expect("memory");
    assert_eq!(routes, "routes");
    let error = directory.raw("dump.log").expect_err("not of the dump");
    assert_eq!(error.to_string(), "dump.log: not one of the files that floe-manifest.json has");
}

#[test]
fn a_dump_that_is_not_finished_leaves_nothing() {
    let dir = temporary();
    fs::write(dir.path().join("dump.log"), "a log").expect("a file");
    let mut writer = writer(dir.path());
    write(&mut writer).expect("written");
    assert!(!dir.path().join("inventory.img").exists());
    drop(writer);
    assert_eq!(directory(dir.path()).expect("no manifest").names().expect("names"), ["dump.log"]);
}

#[test]
fn pages_must_be_finished() {
    let dir = temporary();
    let mut unfinished = writer(dir.path());
    unfinished.pages(1, 0).expect("a file");
    assert_eq!(
        unfinished.commit(&inventory()).expect_err("unfinished").to_string(),
        "pages-1.img: not finished"
    );

    let mut writer = writer(dir.path());
    let pages = writer.pages(1, 2 * PIECE as u64).expect("a file");
    pages.write(1, &[1; PIECE]).expect("memory");
    let error = writer.finish_pages(pages).expect_err("half of it");
    assert_eq!(error.to_string(), "pages-1.img: not all of it was written");
    drop(writer);
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
}

#[test]
fn an_old_dump_makes_way() {
    let dir = temporary();
    let at = |name: &str| dir.path().join(name);
    dump(dir.path());
    // What CRIU or a dump that was killed would leave.
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/states");
    fs::copy(images.join("core-19.img"), at("core-19.img")).expect("an image");
    fs::write(at("mm-19.img"), "").expect("a file");
    fs::write(at("outside"), "untouched").expect("a file");
    symlink("outside", at("stats-dump")).expect("a link");
    drop(writer(dir.path()));
    assert_eq!(directory(dir.path()).expect("empty").names().expect("names"), ["outside", "stats-dump"]);

    // A link is replaced, not followed.
    let mut replacing = writer(dir.path());
    replacing.raw("stats-dump", |output| output.write_all(b"stats")).expect("written");
    replacing.commit(&inventory()).expect("complete");
    assert!(at("stats-dump").symlink_metadata().expect("a file").is_file());
    assert_eq!(fs::read_to_string(at("outside")).expect("a file"), "untouched");

    fs::write(at("disk.img"), "a file system").expect("a file");
    let error = DirectoryWriter::new(fd(dir.path())).expect_err("in the way");
    assert_eq!(error.to_string(), "disk.img: in the way: named like an image, but none");
    assert!(at("disk.img").exists());
}

#[test]
fn changes_are_named() {
    let check = |change: &dyn Fn(&Path), expected: &str| {
        let dir = temporary();
        dump(dir.path());
        change(dir.path());
        assert_eq!(refused(dir.path()), expected);
    };
    let flip = |name: &'static str| {
        move |dir: &Path| {
            let mut bytes = fs::read(dir.join(name)).expect("a file");
            *bytes.last_mut().expect("not empty") ^= 1;
            fs::write(dir.join(name), bytes).expect("a file");
        }
    };
    let resize = |name: &'static str, size: u64| {
        move |dir: &Path| {
            let file = File::options().write(true).open(dir.join(name)).expect("a file");
            file.set_len(size).expect("a size");
        }
    };
    let replace = |name: &'static str, by: fn(&Path)| {
        move |dir: &Path| {
            fs::remove_file(dir.join(name)).expect("a file");
            by(&dir.join(name));
        }
    };
    let changed = |name| format!("{name}: not the content that was written: its digest is another");
    for name in ["pstree.img", "pages-1.img", "inventory.img", "route-9.img"] {
        check(&flip(name), &changed(name));
        check(&replace(name, |_| {}), &format!("{name}: missing"));
    }
    check(&resize("pages-1.img", 4096), "pages-1.img: byte 4096: cut off: 524288 bytes were written");
    check(
        &resize("pages-1.img", 524289),
        "pages-1.img: byte 524288: goes on: 524289 bytes, but 524288 were written",
    );
    check(&resize("pstree.img", 0), "pstree.img: byte 0: cut off: 22 bytes were written");
    check(
        &|dir| fs::write(dir.join("core-7.img"), "of another dump").expect("a file"),
        "core-7.img: not one of the files that floe-manifest.json has",
    );
    let irregular: [fn(&Path); 3] = [
        |path| fs::create_dir(path).expect("a directory"),
        |path| symlink("route-9.img", path).expect("a link"),
        |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO"),
    ];
    for by in irregular {
        check(&replace("pstree.img", by), "pstree.img: not a regular file");
    }
}

#[test]
fn no_byte_of_the_manifest_changes_unnoticed() {
    let dir = temporary();
    dump(dir.path());
    let path = dir.path().join(MANIFEST);
    let text = fs::read(&path).expect("a manifest");
    let mut reasons = BTreeSet::new();
    let file = File::options().write(true).open(&path).expect("a manifest");
    let mut check = |text: &[u8]| {
        file.write_all_at(text, 0).expect("written");
        file.set_len(text.len() as u64).expect("a size");
        let reason = refused(dir.path());
        assert!(reason.starts_with("floe-manifest.json: "), "{reason}");
        reasons.insert(reason);
    };
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut flipped = text.clone();
            flipped[at] ^= 1 << bit;
            check(&flipped);
        }
        check(&text[..at]);
    }
    check(&[text.as_slice(), b"\n"].concat());
    // Digits of a size, a digest, a name: the digest. Space and letters' case: the text.
    for reason in
        ["version 3 is not known, only 1", "not the content that was written", "not as floe writes it"]
    {
        assert!(reasons.iter().any(|found| found.contains(reason)), "{reason}: {reasons:?}");
    }
}

#[test]
fn what_criu_writes_needs_no_manifest() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/states");
    verify(&fixture).unwrap_or_else(|error| panic!("{error}"));
    let directory = directory(&fixture).expect("no manifest");
    assert!(!directory.has_manifest());
    assert!(directory.image("pstree.img", &format::PSTREE).expect("an image").is_some());
    let error = directory.raw("../states/pstree.img").expect_err("a path");
    assert_eq!(error.to_string(), "../states/pstree.img: not a name in a directory of images");
}
