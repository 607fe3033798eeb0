//! What chance does to a dump: to single bytes and to the ends of files. With a manifest each change is refused with the
//! file's name. Without one, where it may go unnoticed, nothing panics, and memory stays below twice the size of the
//! dump. A binary of its own, because of its allocator.

mod fixture;

use checkpoint::snapshot::{PageMap, Snapshot};
use images::format::{self, Type};
use images::schema::Schema;
use images::{Directory, Kind, MANIFEST, Writer, messages as m};
use peak_alloc::PeakAlloc;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Held by a test: the allocator counts for all threads.
static ALONE: Mutex<()> = Mutex::new(());

/// For each fixture.
const CORRUPTIONS: usize = 2_000;

/// xorshift64*: the same numbers in each run.
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.number() >> 32) as usize % end
    }
}

/// A dump as floe writes it, with a few pages in each file.
fn dump(name: &str, random: &mut Random) -> TempDir {
    let (from, to) = (fixture::fixture(name), fixture::temporary());
    let mut snapshot = fixture::read(from.path()).expect("a dump");
    let tasks = snapshot.tasks.iter_mut().filter_map(|task| task.pages.as_mut());
    for map in tasks.chain(snapshot.shmem.values_mut()) {
        map.runs.truncate(8);
        map.runs.iter_mut().for_each(|run| run.nr_pages = Some(1));
        fill(map, from.path(), random);
    }
    fixture::write(&snapshot, from.path(), to.path()).unwrap_or_else(|error| panic!("{error}"));
    to
}

fn fill(map: &PageMap, dir: &Path, random: &mut Random) {
    let pages = File::options().write(true).open(dir.join(format!("pages-{}.img", map.pages_id)));
    let bytes: Vec<u8> = (0..map.size().expect("a few pages")).map(|_| random.number() as u8).collect();
    pages.expect("pages").write_all_at(&bytes, 0).expect("written");
}

/// Not `fs::write`: a file that is cut off before it is written is waited for on the disk.
fn overwrite(path: &Path, bytes: &[u8]) {
    let file = File::options().write(true).open(path).expect("a file");
    file.write_all_at(bytes, 0).expect("written");
    file.set_len(bytes.len() as u64).expect("a size");
}

/// Changes a file in a way that it shows: returns what the file was.
fn corrupt(path: &Path, random: &mut Random) -> Vec<u8> {
    let whole = fs::read(path).expect("a file");
    let mut bytes = whole.clone();
    let at = random.below(bytes.len());
    if random.below(4) == 0 {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 1 << random.below(8);
    }
    overwrite(path, &bytes);
    whole
}

/// What a restore does first.
fn verify_and_read(path: &Path) -> images::Result<Snapshot> {
    let directory = Directory::new(fixture::fd(path))?;
    directory.verify()?;
    directory.verify_pages(|_| false)?;
    Snapshot::read(&directory)
}

/// What messages become in memory: images that consist of the smallest that there are, of one kind each.
#[test]
fn images_made_to_grow() {
    let _alone = ALONE.lock();
    let file = m::FileEntry { id: 1, ..Default::default() };
    let cgroup = m::CgroupEntry {
        controllers: vec![m::CgControllerEntry {
            dirs: vec![Default::default(); 100_000],
            ..Default::default()
        }],
        ..Default::default()
    };
    let tasks = |count| (1..count).map(|pid| m::PstreeEntry { pid, ppid: pid - 1, ..Default::default() });
    check_growth("files.img", &format::FILES, &vec![file; 100_000]);
    check_growth("cgroup.img", &format::CGROUP, &[cgroup]);
    check_growth("pstree.img", &format::PSTREE, &tasks(100_000).collect::<Vec<_>>());
}

fn check_growth<M: Schema>(name: &str, image: &'static Type, entries: &[M]) {
    let dir = fixture::fixture("states");
    let mut writer = Writer::new(Vec::new(), image).expect("memory");
    entries.iter().try_for_each(|entry| writer.entry(entry)).expect("memory");
    let bytes = writer.finish().expect("memory");
    fs::write(dir.path().join(name), &bytes).expect("a file");
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    // What else it is good for is the same.
    drop(fixture::read(dir.path()));
    let peak = ALLOCATOR.peak_usage() - before;
    println!("{name} of {} bytes: {peak} allocated", bytes.len());
    assert!(peak < 50 * bytes.len(), "{peak} bytes allocated for {}", bytes.len());
}

#[test]
fn corrupted_dumps_are_refused() {
    let _alone = ALONE.lock();
    let random = &mut Random(0x5eed);
    for fixture in fixture::FIXTURES {
        let dir = dump(fixture, random);
        let whole = verify_and_read(dir.path()).unwrap_or_else(|error| panic!("{error}"));
        let mut names = Directory::new(fixture::fd(dir.path())).and_then(|dir| dir.names()).expect("names");
        let len = |name: &String| fs::metadata(dir.path().join(name)).expect("a file").len();
        names.retain(|name| len(name) != 0);
        for _ in 0..CORRUPTIONS {
            let name = &names[random.below(names.len())];
            let bytes = corrupt(&dir.path().join(name), random);
            let error = verify_and_read(dir.path()).expect_err(name);
            assert!(error.to_string().starts_with(&format!("{name}: ")), "{name}: {error}");
            assert_eq!(error.kind(), Kind::Damaged, "{error}");
            overwrite(&dir.path().join(name), &bytes);
        }

        names.retain(|name| name != MANIFEST);
        fs::remove_file(dir.path().join(MANIFEST)).expect("a manifest");
        let size = names.iter().map(len).sum::<u64>() as usize;
        let (mut peak, mut refused) = (0, 0);
        for _ in 0..CORRUPTIONS {
            let name = &names[random.below(names.len())];
            let bytes = corrupt(&dir.path().join(name), random);
            ALLOCATOR.reset_peak_usage();
            let before = ALLOCATOR.current_usage();
            let read = verify_and_read(dir.path());
            peak = peak.max(ALLOCATOR.peak_usage() - before);
            refused += usize::from(read.is_err());
            overwrite(&dir.path().join(name), &bytes);
        }
        println!(
            "{fixture}: {size} bytes, at most {peak} allocated; {refused} of {CORRUPTIONS} refused without manifest"
        );
        assert!(peak <= 2 * size, "{fixture}: {peak} bytes allocated for images of {size}");
        // Nothing was left changed.
        assert_eq!(verify_and_read(dir.path()).expect("whole"), whole);
    }
}
