//! What chance does to the messages of a dump that nothing vouches for: it is refused, or what runs has no more than
//! config.json gives. Never does floe wait or panic, and never is anything left.

use super::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Programs with much state, of all kinds.
const PROGRAMS: [&str; 8] =
    ["busy", "fifo", "memory_shared", "memory_sysv", "posix_timers", "threads", "tree", "unix_named"];

/// Restores of each, unless `FLOE_FORGERIES` says how many.
const ROUNDS: u32 = 50;

pub(super) fn cases() -> Vec<Case> {
    let case = |program: &'static str| {
        Case::new(format!("forged::chance::{program}"), move |t| {
            needs_floe();
            run(t, program);
        })
    };
    let mut cases: Vec<Case> = PROGRAMS.map(case).into();
    cases.push(Case::new("forged::chance::task_that_ends_meanwhile", |t| {
        needs_floe();
        task_that_ends_meanwhile(t);
    }));
    cases
}

/// A task that ends or is stopped while it is built, as what an image says may bring about: the restore ends, too.
fn task_that_ends_meanwhile(t: &mut Test) {
    const INSTANTS: u32 = 40;
    let mut forged = Forged::prepare(t, "tree", as_it_is);
    let id = forged.bundle.id.clone();
    let began = Instant::now();
    forged.restore().quiet();
    let whole = began.elapsed();
    forged.t.call(["delete", "--force", &id]).ok();
    let mut refused = 0;
    let mut rounds = 0;
    // Few instants are between the birth of a child and the end of the restore.
    while rounds < INSTANTS || refused == 0 && rounds < 10 * INSTANTS {
        let instant = rounds % INSTANTS;
        rounds += 1;
        let command = forged.restoring();
        let restore = forged.t.spawn(command);
        std::thread::sleep(whole * instant / INSTANTS);
        // The first task is on its way to the engine before it has children.
        let tasks = read(cgroup_dir(&id).join("cgroup.procs"));
        let signal = if instant.is_multiple_of(2) { Signal::SIGKILL } else { Signal::SIGSTOP };
        if let Some(task) = tasks.lines().skip(1).last().and_then(|pid| pid.parse().ok()) {
            // It may have ended already.
            let _ = kill(Pid::from_raw(task), signal);
        }
        if restore.wait().code != 0 {
            refused += 1;
            assert_eq!(forged.t.leftovers(), [""; 0], "instant {instant}");
        } else {
            forged.t.call(["delete", "--force", &id]).ok();
        }
    }
    println!("{refused} of {rounds} ended");
    assert!(refused > 0, "none ended in time");
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize % end
    }
}

fn run(t: &mut Test, program: &str) {
    let rounds = std::env::var("FLOE_FORGERIES").map_or(ROUNDS, |count| count.parse().expect("a number"));
    // The seed is what a failure names: `FLOE_SEED` repeats it.
    let seed = std::env::var("FLOE_SEED").map_or_else(
        |_| SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos() as u64 | 1,
        |seed| seed.parse().expect("a number"),
    );
    let mut random = Random(seed);
    let mut forged = Forged::prepare(t, program, with_data).forge(|_| {});
    let names = forged.images.names("");
    let images: Vec<String> =
        names.into_iter().filter(|name| is_of_messages(&forged.images.dir.join(name))).collect();
    let mut refused = 0;
    for round in 0..rounds {
        let count = 1 + random.below(3);
        let changed: Vec<Change> = (0..count).map(|_| change(&forged.images, &images, &mut random)).collect();
        let what: Vec<String> = changed.iter().map(|change| change.what.clone()).collect();
        let what = format!("seed {seed} round {round}: {}", what.join(", "));
        println!("{what}");
        let before = forged.names();
        let restored = forged.restore();
        if restored.code == 0 {
            has_no_more(&mut forged, &what);
            let id = forged.bundle.id.clone();
            forged.t.call(["delete", "--force", &id]).ok();
        } else {
            assert!(restored.code == 1 && restored.stderr.lines().count() == 1, "{what}: {restored:?}");
            refused += 1;
        }
        assert_eq!(forged.t.leftovers(), [""; 0], "{what}: {restored:?}");
        if restored.code != 0 {
            assert_eq!(forged.names(), before, "{what}: {restored:?}");
        }
        changed.into_iter().rev().for_each(|change| change.undo());
    }
    println!("{program}: {refused} of {rounds} refused");
}

fn with_data(bundle: &mut Bundle) {
    std::os::unix::fs::chown(bundle.rootfs("data"), Some(1000), Some(1000)).expect("chown");
}

/// Everything that runs is of user 1000, without capabilities, and stays so.
fn has_no_more(forged: &mut Forged, what: &str) {
    let tasks = read(cgroup_dir(&forged.bundle.id).join("cgroup.procs"));
    for process in tasks.lines().map(|pid| PathBuf::from(format!("/proc/{pid}"))) {
        let text = read(process.join("status"));
        // It may have ended: what it is told by its memory is its own.
        if text.is_empty() || text.contains("State:\tZ") {
            continue;
        }
        for (field, value) in
            [("Uid", "1000\t1000\t1000\t1000"), ("CapPrm", "0000000000000000"), ("NoNewPrivs", "1")]
        {
            assert_eq!(status(&process, field), value, "{what}: {field}");
        }
    }
}

fn is_of_messages(path: &Path) -> bool {
    let bytes = fs::read(path).expect("a file");
    Reader::new("", bytes.as_slice()).is_ok()
}

/// A file that was changed, and what it was.
struct Change {
    path: PathBuf,
    bytes: Vec<u8>,
    what: String,
}

impl Change {
    fn undo(self) {
        fs::write(self.path, self.bytes).expect("write");
    }
}

/// Changes a byte of a message in a way that the image can still be read.
fn change(images: &Images, names: &[String], random: &mut Random) -> Change {
    loop {
        let name = &names[random.below(names.len())];
        let path = images.dir.join(name);
        let bytes = fs::read(&path).expect("an image");
        let mut places = Vec::new();
        let mut reader = Reader::new(name, bytes.as_slice()).expect("an image");
        let mut at = reader.offset();
        while let Ok(Some(entry)) = reader.entry() {
            // Behind the size of the entry.
            places.extend(at + 4..entry.payload_offset());
            at = reader.offset();
        }
        if places.is_empty() {
            continue;
        }
        let place = places[random.below(places.len())] as usize;
        let mut changed = bytes.clone();
        changed[place] = match random.below(3) {
            0 => 0,
            1 => 0xff >> random.below(2),
            _ => changed[place] ^ 1 << random.below(8),
        };
        let what = format!("{name} at {place}: {:#x} to {:#x}", bytes[place], changed[place]);
        let mut reader = Reader::new(name, changed.as_slice()).expect("the first bytes are the same");
        let is_read = loop {
            match reader.entry() {
                Ok(Some(_)) => {}
                end => break end.is_ok(),
            }
        };
        if is_read && changed != bytes {
            fs::write(&path, &changed).expect("write");
            return Change { path, bytes, what };
        }
    }
}
