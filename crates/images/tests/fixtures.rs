//! Images that CRIU 4.2 wrote and what crit prints of them (`runtime-tests/fixtures/images.sh`): reading and writing gives
//! the same bytes, and `show` the same text. What is done to such an image by chance or malice is named with its place.

use images::format::{self, Payload, Type};
use images::messages as m;
use images::schema::Schema;
use images::{Entry, Kind, Reader, Writer};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// All images of the fixtures, with their bytes.
fn fixtures() -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for dir in ["states", "namespaces"] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(dir);
        for file in std::fs::read_dir(dir).expect("fixtures") {
            let path = file.expect("a file").path();
            if path.extension().is_none_or(|extension| extension != "json") {
                let bytes = std::fs::read(&path).expect("a file");
                files.push((path, bytes));
            }
        }
    }
    assert!(files.len() > 50, "{} images", files.len());
    files
}

fn reader<'a>(path: &Path, bytes: &'a [u8]) -> Reader<&'a [u8]> {
    Reader::new(&path.display().to_string(), bytes).unwrap_or_else(|error| panic!("{error}"))
}

/// Reads an entry into its Rust type and writes it again.
fn rewrite(writer: &mut Writer<Vec<u8>>, entry: &Entry) {
    fn via<M: Schema>(writer: &mut Writer<Vec<u8>>, entry: &Entry) -> bool {
        let is_it = std::ptr::eq(entry.schema(), M::SCHEMA);
        if is_it {
            writer.entry(&entry.decode::<M>("an image").expect("checked")).expect("memory");
        }
        is_it
    }
    macro_rules! one_of {
        ($($message:ident)*) => { $(via::<m::$message>(writer, entry))||* };
    }
    let written = one_of!(
        InventoryEntry PstreeEntry CoreEntry TaskKobjIdsEntry MmEntry VmaEntry PagemapHead PagemapEntry
        MemfdInodeEntry FdinfoEntry FileEntry PipeDataEntry TtyInfoEntry TtyDataEntry RemapFilePathEntry
        GhostFileEntry GhostChunkEntry FileLockEntry TcpStreamEntry SkPacketEntry FsEntry SeccompEntry
        CgroupEntry MntEntry UtsnsEntry TimensEntry PidnsEntry UsernsEntry IpcVarEntry IpcShmEntry IpcMsgEntry
        IpcMsg IpcSemEntry NetnsEntry NetDeviceEntry CpuinfoEntry StatsEntry IrmapCacheEntry ApparmorEntry
    );
    assert!(written, "{} is not in the list", entry.schema().name);
}

#[test]
fn reading_and_writing_gives_the_same_bytes() {
    for (path, bytes) in fixtures() {
        let mut reader = reader(&path, &bytes);
        let image = format::ALL.iter().find(|image| image.magic == reader.image().magic).expect("known");
        let mut writer = Writer::new(Vec::new(), image).expect("memory");
        while let Some(entry) = reader.entry().unwrap_or_else(|error| panic!("{error}")) {
            rewrite(&mut writer, &entry);
            let len = match entry.payload() {
                Payload::None | Payload::Messages { .. } => continue,
                Payload::Bytes { len, pad } => len.next_multiple_of(pad),
                Payload::Queues { received, sent } => received + sent,
                Payload::Semaphores { count } => (count * 2).next_multiple_of(8),
                Payload::Rest => bytes.len() as u64 - entry.payload_offset(),
            };
            writer.payload(&reader.payload(&entry, 0, len).expect("it is there")).expect("memory");
        }
        assert!(writer.finish().expect("memory") == bytes, "{}", path.display());
    }
}

#[test]
fn images_are_shown_as_crit_does() {
    let mut types = BTreeSet::new();
    for (path, bytes) in fixtures() {
        let reader = reader(&path, &bytes);
        types.insert(reader.image().name);
        let mut text = Vec::new();
        images::show::image(reader, &mut text).unwrap_or_else(|error| panic!("{error}"));
        let text = String::from_utf8(text).expect("ASCII") + "\n";
        let golden =
            path.with_file_name(format!("{}.json", path.file_name().expect("a file").to_string_lossy()));
        let golden =
            std::fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        // crit looks for a segment's content here when it is in a pagemap, and finds nothing.
        let golden =
            golden.replace("\"in_pagemaps\": true,\n            \"extra\": \"\"", "\"in_pagemaps\": true");
        let differing = text.lines().zip(golden.lines()).position(|(ours, theirs)| ours != theirs);
        let line = differing.unwrap_or(0);
        assert!(
            text == golden,
            "{}: line {}: {:?}, crit prints {:?}",
            path.display(),
            line + 1,
            text.lines().nth(line),
            golden.lines().nth(line)
        );
    }
    assert!(types.len() > 20, "{types:?}");
}

/// Reads to the end.
fn read_all(bytes: &[u8]) -> Result<(), images::Error> {
    let mut reader = Reader::new("x.img", bytes)?;
    while reader.entry()?.is_some() {}
    Ok(())
}

#[test]
fn cut_off_images_are_refused_or_end_between_entries() {
    for (path, bytes) in fixtures() {
        // Where an entry ends, an image may end too: a manifest is what tells.
        let mut ends = BTreeSet::new();
        let mut reader = reader(&path, &bytes);
        ends.insert(if reader.is_framed() { 8 } else { 4 });
        while reader.entry().expect("whole").is_some() {
            ends.insert(reader.offset() as usize);
        }
        let has_rest = reader.image().name == "GHOST_FILE";
        for len in (0..bytes.len()).filter(|len| !ends.contains(len)) {
            match read_all(&bytes[..len]) {
                Ok(()) => assert!(has_rest, "{} cut off at {len}", path.display()),
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Damaged);
                    assert!(error.to_string().starts_with("x.img: byte "), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_size_is_believed_only_when_the_file_is_as_long() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, &format::PSTREE).expect("memory");
    writer.entry(&m::PstreeEntry { pid: 1, ..m::PstreeEntry::default() }).expect("memory");
    bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = read_all(&bytes).expect_err("too large");
    assert_eq!(error.to_string(), "x.img: byte 8: an entry of 4294967295 bytes, but only 8 are left");
    bytes.truncate(10);
    assert_eq!(
        read_all(&bytes).expect_err("cut").to_string(),
        "x.img: byte 8: cut off in the size of an entry"
    );
    bytes.truncate(3);
    assert_eq!(
        read_all(&bytes).expect_err("cut").to_string(),
        "x.img: byte 3: cut off before the type of image"
    );

    let mut writer = Writer::new(Vec::new(), &format::PIPES_DATA).expect("memory");
    writer.entry(&m::PipeDataEntry { pipe_id: 1, bytes: 5, size: None }).expect("memory");
    writer.payload(b"four").expect("memory");
    let error = read_all(&writer.finish().expect("memory")).expect_err("cut off");
    assert_eq!(error.to_string(), "x.img: byte 16: pipe_data_entry: 5 bytes follow, but only 4 are left");
}

#[test]
fn types_of_images_are_told_apart() {
    let numbers: BTreeSet<u32> = format::ALL.iter().map(|image: &Type| image.magic).collect();
    assert_eq!(numbers.len(), format::ALL.len());
    let bytes = Writer::new(Vec::new(), &format::PSTREE).and_then(Writer::finish).expect("memory");
    let error = Reader::new("core-1.img", bytes.as_slice()).and_then(|image| image.expect(&format::CORE));
    assert_eq!(
        error.expect_err("another type").to_string(),
        "core-1.img: byte 0: an image of type PSTREE, not CORE"
    );
}
