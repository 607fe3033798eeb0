//! Restores of images that somebody has changed on purpose. Each case makes a real dump of a real container, forges its
//! images, and restores it: either it is refused in one line that names the object, and nothing is left behind, or what
//! runs has no more than config.json gives (docs/security.md).
//!
//! A forged image never makes floe wait, panic or allocate much: every command has a deadline, a panic is no exit status
//! 1, and address space is limited.

mod chance;
mod credentials;
mod files;
mod memory;
mod processes;

use crate::harness::*;
use crate::programs::{Program, wait_for};
use images::format::Type;
use images::messages::{FdTypes, FdinfoEntry, FileEntry, RegFileEntry};
use images::schema::Schema;
use images::{MANIFEST, Reader, Writer};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of addresses that floe and what it makes may have.
const ADDRESS_SPACE: u64 = 1 << 30;

pub(crate) fn cases() -> Vec<Case> {
    let forgeries =
        [credentials::FORGERIES, files::FORGERIES, memory::FORGERIES, processes::FORGERIES].concat();
    let case = |forgery: Forgery| {
        Case::new(format!("forged::{}", forgery.name), move |t| {
            needs_floe();
            Forged::prepare(t, forgery.program, forgery.adapt).forge(forgery.forge).expect(&forgery.then);
        })
    };
    let mut cases: Vec<Case> = forgeries.into_iter().map(case).collect();
    cases.extend(chance::cases());
    cases
}

/// A change to a dump, and what has to come of it.
#[derive(Clone, Copy)]
struct Forgery {
    name: &'static str,
    /// The program whose dump is forged, of `programs`.
    program: &'static str,
    /// What its container has that is not the default: user 1000 without capabilities, with no_new_privs.
    adapt: fn(&mut Bundle),
    forge: fn(&Images),
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    /// These words are in the error.
    Refused(&'static [&'static str]),
    /// It runs. The check gets the directory in /proc of its first process, and may use the container.
    Runs(fn(&Path)),
    /// Either: it is state of the program's own, which it may have had.
    Either,
}

fn as_it_is(_: &mut Bundle) {}

/// Root with all the capabilities that Docker gives, and setuid programs take effect.
fn as_docker_does(bundle: &mut Bundle) {
    const NAMES: &str = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE \
        SYS_CHROOT KILL AUDIT_WRITE";
    let names: Vec<String> = NAMES.split_whitespace().map(|name| format!("CAP_{name}")).collect();
    bundle.capabilities(&names.iter().map(String::as_str).collect::<Vec<_>>());
    bundle.set("/process/noNewPrivileges", json!(false)).set("/process/user", json!({"uid": 0, "gid": 0}));
}

/// A container of which there is a dump.
struct Forged<'a> {
    t: &'a mut Test,
    bundle: Bundle,
    images: Images,
    /// Its state directory, a mount that it may write to.
    state: PathBuf,
}

impl<'a> Forged<'a> {
    fn prepare(t: &'a mut Test, program: &str, adapt: fn(&mut Bundle)) -> Forged<'a> {
        let Program { mut bundle, state } = Program::prepare(t, program);
        bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})).capabilities(&[]);
        adapt(&mut bundle);
        bundle.write();
        let images = Images { dir: t.path("images") };
        let mut run = t.floe();
        run.args(["run", "--detach", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
        assert_eq!(t.run_silent(run), 0, "run");
        wait_for(&state, "ready");
        let mut dump = t.floe();
        dump.args(["checkpoint", "--file-locks", "--tcp-established", "--image-path"])
            .arg(&images.dir)
            .arg(&bundle.id);
        t.run(dump).ok();
        Forged { t, bundle, images, state }
    }

    /// An attacker writes what else is said of the images as well: the manifest goes.
    fn forge(self, change: fn(&Images)) -> Self {
        fs::remove_file(self.images.dir.join(MANIFEST)).expect("a manifest");
        change(&self.images);
        self
    }

    fn restore(&mut self) -> Output {
        let command = self.restoring();
        self.t.run(command)
    }

    fn restoring(&self) -> Command {
        self.bundle.write();
        let mut command = Command::new("sh");
        let limited = format!("ulimit -v {}; exec \"$@\"", ADDRESS_SPACE / 1024);
        let floe = self.t.floe();
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir(&self.t.dir)
            .args(["-c", &limited, "sh"]);
        command.arg(floe.get_program()).args(floe.get_args());
        command
            .args(["restore", "--tcp-established"])
            .arg("--image-path")
            .arg(&self.images.dir)
            .arg("--work-path")
            .arg(self.t.path("work"));
        command.args(["--detach", "--bundle"]).arg(&self.bundle.dir).arg(&self.bundle.id);
        command
    }

    #[track_caller]
    fn expect(mut self, then: &Then) {
        let before = self.names();
        let restored = self.restore();
        match then {
            Then::Refused(words) => {
                restored.exits(1).refused(words);
                self.expect_nothing(&before);
            }
            Then::Runs(check) => {
                restored.quiet();
                let pid = self.t.pid(&self.bundle.id);
                check(Path::new(&format!("/proc/{pid}")));
            }
            Then::Either if restored.code == 0 => {}
            Then::Either => {
                restored.exits(1).refused(&[]);
                self.expect_nothing(&before);
            }
        }
        let id = self.bundle.id.clone();
        self.t.call(["delete", "--force", &id]).ok();
    }

    /// What a failed restore leaves: no container, no cgroup, no process, no mount, no file.
    #[track_caller]
    fn expect_nothing(&mut self, before: &BTreeSet<PathBuf>) {
        let id = self.bundle.id.clone();
        self.t.call(["state", &id]).exits(1).refused(&["does not exist"]);
        assert_eq!(self.t.leftovers(), [""; 0]);
        assert_eq!(self.names(), *before, "files in the container");
    }

    /// The names of all files that the container has on a disk.
    fn names(&self) -> BTreeSet<PathBuf> {
        let mut names = BTreeSet::new();
        let mut directories = vec![self.bundle.rootfs(""), self.state.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("an entry"))
            {
                if entry.file_type().expect("a type").is_dir() {
                    directories.push(entry.path());
                }
                names.insert(entry.path());
            }
        }
        names
    }
}

/// A directory of images, to be changed.
struct Images {
    dir: PathBuf,
}

impl Images {
    /// Changes all entries of an image that has one kind of message. What follows each, like the content of pipes, stays
    /// with it.
    #[track_caller]
    fn edit_all<M: Schema>(&self, name: &str, change: impl FnOnce(&mut Vec<(M, Vec<u8>)>)) {
        let path = self.dir.join(name);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut reader = Reader::new(name, bytes.as_slice()).expect("an image");
        let image = reader.image();
        let mut entries: Vec<(M, Vec<u8>)> = Vec::new();
        while let Some(entry) = reader.entry().expect("an entry") {
            let payload = bytes[entry.payload_offset() as usize..reader.offset() as usize].to_vec();
            entries.push((entry.decode(name).expect("a message"), payload));
        }
        change(&mut entries);
        let mut writer = Writer::new(Vec::new(), image).expect("memory");
        for (entry, payload) in &entries {
            writer.entry(entry).and_then(|()| writer.payload(payload)).expect("memory");
        }
        fs::write(&path, writer.finish().expect("memory")).expect("write");
    }

    /// Changes the first entry of an image.
    #[track_caller]
    fn edit<M: Schema>(&self, name: &str, change: impl FnOnce(&mut M)) {
        self.edit_all(name, |entries: &mut Vec<(M, Vec<u8>)>| {
            change(&mut entries.first_mut().expect("an entry").0)
        });
    }

    /// Writes an image that was not there.
    fn add<M: Schema>(&self, name: &str, image: &'static Type, entry: &M) {
        let mut writer = Writer::new(Vec::new(), image).expect("memory");
        writer.entry(entry).expect("memory");
        fs::write(self.dir.join(name), writer.finish().expect("memory")).expect("write");
    }

    /// The names of images that begin so.
    fn names(&self, start: &str) -> Vec<String> {
        let names =
            fs::read_dir(&self.dir).expect("images").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
        names.retain(|name| name.starts_with(start));
        names.sort();
        names
    }

    /// Changes all files of one kind.
    #[track_caller]
    fn edit_files(&self, mut change: impl FnMut(&mut FileEntry)) {
        self.edit_all("files.img", |files| files.iter_mut().for_each(|(file, _)| change(file)));
    }

    /// Adds an open file, as descriptor `ADDED` of the first task.
    fn add_file(&self, file: FileEntry) {
        let info = FdinfoEntry { id: file.id, fd: ADDED, r#type: file.r#type, ..FdinfoEntry::default() };
        self.edit_all("files.img", |files| files.push((file, Vec::new())));
        let table = self.names("fdinfo-").into_iter().next().expect("a table");
        self.edit_all(&table, |table| table.push((info, Vec::new())));
    }

    /// Adds an open file with a name.
    fn add_name(&self, name: &[u8], flags: i32) {
        let reg = RegFileEntry {
            id: ADDED_ID,
            flags: flags as u32,
            name: name.to_vec(),
            ..RegFileEntry::default()
        };
        let kind = FdTypes::Reg as i32;
        self.add_file(FileEntry {
            r#type: kind,
            id: ADDED_ID,
            reg: Some(Box::new(reg)),
            ..FileEntry::default()
        });
    }
}

/// The descriptor and the id of a file that was added.
const ADDED: u32 = 9;
const ADDED_ID: u32 = 4000;

/// A line of /proc/PID/status.
#[track_caller]
fn status(process: &Path, field: &str) -> String {
    let text = read(process.join("status"));
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in {text}")).trim().to_owned()
}
