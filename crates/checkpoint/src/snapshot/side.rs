//! `floe-state.json`: state that CRIU's images have no place for. CRIU and crit ignore the file, and without it everything
//! is as CRIU restores it.
//!
//! JSON, because it is small and people read it. What an image says is not said here again; what is as a restore leaves it
//! anyway is left out, and a file without content is not written.

use super::{Snapshot, SocketSide, Task};
use crate::prctl::{OF_PROCESS, OF_THREAD, Setting, Settings};
use crate::scheduling::{Attributes, MemoryPolicy};
use images::{Directory, DirectoryWriter, Error, Result, STATE};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::Write;

const VERSION: u32 = 1;

/// Bytes: more than tens of thousands of threads need, or a thousand with tiles, and little enough to read.
const SIZE_LIMIT: u64 = 16 << 20;

/// The whole file. A field that is not known is refused: it is state that would be lost.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Versioned<T> {
    version: u32,
    state: T,
}

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Side {
    /// By the ids of threads.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub threads: BTreeMap<u32, ThreadSide>,
    /// By the ids of processes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<u32, ProcessSide>,
    /// Files of eventfd(2) that were made with `EFD_SEMAPHORE`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub semaphores: BTreeSet<u32>,
    /// Bytes of each packet in a pipe, by `pipe_id`, where it has packets (pipe(2), `O_DIRECT`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pipe_packets: BTreeMap<u32, Vec<u32>>,
    /// The same in a named pipe.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fifo_packets: BTreeMap<u32, Vec<u32>>,
    /// Who has sent messages that wait in sockets with `SO_PASSCRED`, by their place in `sk-queues.img`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub senders: BTreeMap<u32, Sender>,
    /// Message queues of the IPC namespace (mq_overview(7)).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub message_queues: Vec<PosixQueue>,
    /// Open files that are such queues.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub queue_files: BTreeMap<u32, QueueFile>,
    /// Sockets, by the ids of their files.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sockets: BTreeMap<u32, SocketSide>,
    /// Devices of the network namespace, by their index.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<u32, LinkSide>,
}

/// A network device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkSide {
    /// As `ip link add type` has it, where images have no type for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_length: Option<u32>,
    /// What of its kind can be set: attributes of rtnetlink(7) in `IFLA_INFO_DATA`.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "hex")]
    pub data: Vec<u8>,
}

/// A message queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PosixQueue {
    /// Without the slash; none when it was removed.
    pub name: Option<String>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub max_messages: u32,
    /// Bytes of a message.
    pub max_size: u32,
    /// In the order in which they are received.
    pub messages: Vec<PosixMessage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PosixMessage {
    pub priority: u32,
    #[serde(with = "hex")]
    pub content: Vec<u8>,
}

/// An open message queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueFile {
    /// Its place among `message_queues`.
    pub queue: u32,
    /// Access mode and `O_NONBLOCK`, as open(2) takes them.
    pub flags: u32,
}

/// Credentials of a message (unix(7), `SCM_CREDENTIALS`), in the container's namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    pub pid: u32,
    pub uid: u32,
    pub gid: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThreadSide {
    /// CPUs that it may run on, where that are not all of its cgroup: `0-3,7` (sched_setaffinity(2)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// prctl(2), `PR_SET_TIMERSLACK`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timer_slack_ns: Option<u64>,
    /// As ioprio_set(2) takes it: class and level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiles: Option<Tiles>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scheduling: Option<Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_policy: Option<MemoryPolicy>,
    /// Of prctl(2), as it takes them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) prctl: Settings,
}

/// AMX: components 17 and 18 of XSAVE.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tiles {
    #[serde(with = "hex")]
    pub configuration: Vec<u8>,
    #[serde(with = "hex")]
    pub data: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessSide {
    /// Components of XSAVE that it has asked for, a bit each (arch_prctl(2), `ARCH_REQ_XCOMP_PERM`).
    #[serde(skip_serializing_if = "is_zero")]
    pub permitted_components: u64,
    /// Protection keys that are allocated (pkeys(7)).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub protection_keys: BTreeSet<u32>,
    /// Memory that has another protection key than 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<Protected>,
    /// What the kernel does to semaphores when the process ends (semop(2), `SEM_UNDO`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<Undo>,
    /// Where mappings begin whose pages are locked when they are touched first (mlock2(2), `MLOCK_ONFAULT`).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub locked_on_fault: BTreeSet<u64>,
    /// What memory that it maps later has of mlockall(2): `MCL_FUTURE`, and `MCL_ONFAULT` with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locks_memory: Option<u32>,
    /// Of prctl(2), as it takes them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) prctl: Settings,
}

/// A range of addresses and its protection key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protected {
    pub start: u64,
    pub end: u64,
    pub key: u32,
}

/// An adjustment of a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// `ipc_desc_entry.id`
    pub set: u32,
    pub semaphore: u16,
    /// What is added to its value.
    pub adjustment: i32,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Bytes as hexadecimal digits.
pub(super) mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in crate::snapshot) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    pub(in crate::snapshot) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
        let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        bytes.collect::<Option<_>>().ok_or_else(|| de::Error::custom("not pairs of hexadecimal digits"))
    }
}

impl ThreadSide {
    /// The CPUs as the bits of sched_setaffinity(2): CPU n is bit n % 64 of word n / 64.
    pub(crate) fn cpu_mask(&self) -> Option<Vec<u64>> {
        cpu_mask(self.cpus.as_ref()?)
    }
}

fn cpu_mask(list: &str) -> Option<Vec<u64>> {
    /// More than any kernel is built for (CONFIG_NR_CPUS).
    const CPUS: usize = 8192;
    let mut mask = vec![0u64; CPUS / 64];
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= CPUS {
            return None;
        }
        for cpu in first..=last {
            mask[cpu / 64] |= 1 << (cpu % 64);
        }
    }
    Some(mask)
}

impl Side {
    /// What a thread has, for additions.
    pub(crate) fn thread(&self, tid: u32) -> Option<&ThreadSide> {
        self.threads.get(&tid)
    }

    pub(crate) fn process(&self, pid: u32) -> Option<&ProcessSide> {
        self.processes.get(&pid)
    }

    pub(super) fn read(directory: &Directory) -> Result<Side> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Some(text) = directory.bytes(STATE, SIZE_LIMIT)? else { return Ok(Side::default()) };
        // First, because another version may have other fields.
        let Version { version } =
            serde_json::from_slice(&text).map_err(|error| Error::refused(STATE, error))?;
        if version != VERSION {
            return refused(format!("version {version} is not known, only {VERSION}"));
        }
        let side: Versioned<Side> =
            serde_json::from_slice(&text).map_err(|error| Error::refused(STATE, error))?;
        Ok(side.state)
    }

    pub(super) fn write(&self, directory: &mut DirectoryWriter) -> Result<()> {
        if *self == Side::default() {
            return Ok(());
        }
        let file = Versioned { version: VERSION, state: self };
        let text = serde_json::to_string_pretty(&file).expect("keys are numbers") + "\n";
        if text.len() as u64 > SIZE_LIMIT {
            return refused(format!("of {} bytes; {SIZE_LIMIT} are the limit", text.len()));
        }
        directory.raw(STATE, |output| output.write_all(text.as_bytes()))
    }

    /// Whether it belongs to the images and has values that can be.
    pub(super) fn check(&self, snapshot: &Snapshot) -> Result<()> {
        for (tid, thread) in &self.threads {
            let mut tids = snapshot.living().flat_map(|task| &task.entry.threads);
            if !tids.any(|known| known == tid) {
                return refused(format!("threads.{tid}: there is no such thread"));
            }
            check_settings(&format!("threads.{tid}"), &thread.prctl, &OF_THREAD)?;
            if thread.cpus.is_some() && thread.cpu_mask().is_none() {
                return refused(format!("threads.{tid}.cpus: not a list of CPUs"));
            }
        }
        for (pid, process) in &self.processes {
            let Some(task) = snapshot.living().find(|task| task.entry.pid == *pid) else {
                return refused(format!("processes.{pid}: there is no such process"));
            };
            check_process(process, task, snapshot)?;
        }
        for id in &self.semaphores {
            if !snapshot.files.iter().any(|file| file.id == *id && file.efd.is_some()) {
                return refused(format!("semaphores: file {id} is no eventfd"));
            }
        }
        for (id, socket) in &self.sockets {
            let is_socket = |file: &&images::messages::FileEntry| {
                file.isk.is_some() || file.usk.is_some() || file.nlsk.is_some() || file.psk.is_some()
            };
            if !snapshot.files.iter().filter(is_socket).any(|file| file.id == *id) {
                return refused(format!("sockets.{id}: there is no such socket"));
            }
            socket.check().or_else(|why| refused(format!("sockets.{id}: {why}")))?;
        }
        for (packet, sender) in &self.senders {
            if *packet as usize >= snapshot.queues.len() || !(1..=i32::MAX as u32).contains(&sender.pid) {
                return refused(format!("senders.{packet}: there is no such message, or no such sender"));
            }
        }
        self.check_queues(snapshot)?;
        check_packets("pipe_packets", &self.pipe_packets, |id| content(&snapshot.pipes, id))?;
        check_packets("fifo_packets", &self.fifo_packets, |id| content(&snapshot.fifos, id))
    }
}

impl Side {
    /// ipc/mqueue.c: `HARD_MSGMAX`, `HARD_MSGSIZEMAX`; limits.h: `MQ_PRIO_MAX`.
    fn check_queues(&self, snapshot: &Snapshot) -> Result<()> {
        const MESSAGES: std::ops::RangeInclusive<u32> = 1..=65536;
        const SIZE: std::ops::RangeInclusive<u32> = 1..=16 << 20;
        const PRIORITIES: u32 = 32768;
        for (id, file) in &self.queue_files {
            let is_file = snapshot.files.iter().any(|file| file.id == *id && file.ext.is_some());
            if !is_file || file.queue as usize >= self.message_queues.len() {
                return refused(format!("queue_files.{id}: no such file, or no such queue"));
            }
        }
        let mut names = BTreeSet::new();
        for (nth, queue) in self.message_queues.iter().enumerate() {
            let refuse = |why: &str| refused(format!("message_queues.{nth}: {why}"));
            let is_open = self.queue_files.values().any(|file| file.queue as usize == nth);
            match &queue.name {
                Some(name) => {
                    let is_name = (1..=255).contains(&name.len()) && !name.contains(['/', '\0']);
                    if !is_name || [".", ".."].contains(&name.as_str()) || !names.insert(name) {
                        return refuse("its name is none, or another's");
                    }
                }
                None if !is_open => return refuse("nobody has it, and it has no name"),
                None => {}
            }
            if !MESSAGES.contains(&queue.max_messages) || !SIZE.contains(&queue.max_size) {
                return refuse("no queue is so large");
            }
            if queue.mode & !0o7777 != 0 || queue.messages.len() > queue.max_messages as usize {
                return refuse("no mode, or more messages than it takes");
            }
            let is_message = |message: &PosixMessage| {
                message.content.len() <= queue.max_size as usize && message.priority < PRIORITIES
            };
            if !queue.messages.iter().all(is_message) {
                return refuse("a message that it does not take");
            }
        }
        Ok(())
    }
}

fn check_process(process: &ProcessSide, task: &Task, snapshot: &Snapshot) -> Result<()> {
    let pid = task.entry.pid;
    check_settings(&format!("processes.{pid}"), &process.prctl, &OF_PROCESS)?;
    if process.locks_memory.is_some_and(|flags| flags & !(libc::MCL_FUTURE | libc::MCL_ONFAULT) as u32 != 0) {
        return refused(format!("processes.{pid}.locks_memory: not flags for memory to come"));
    }
    let is_key = |key: &u32| (1..16).contains(key);
    if let Some(key) = process.protection_keys.iter().find(|key| !is_key(key)) {
        return refused(format!("processes.{pid}.protection_keys: {key} is none"));
    }
    let mappings = || task.mm.iter().flat_map(|mm| &mm.vmas);
    for Protected { start, end, key } in &process.protected {
        let is_mapped = mappings().any(|mapping| mapping.start <= *start && *end <= mapping.end);
        if start >= end || !is_mapped || !process.protection_keys.contains(key) {
            return refused(format!(
                "processes.{pid}.protected: {start:#x} to {end:#x}, key {key}: not of its memory"
            ));
        }
    }
    for Undo { set, semaphore, adjustment } in &process.undo {
        let mut sets = snapshot.namespaces.ipc.values().flat_map(|ipc| &ipc.sem);
        let is_there =
            sets.any(|(entry, values)| entry.desc.id == *set && usize::from(*semaphore) < values.len());
        if !is_there || !(-0x8000..0x8000).contains(adjustment) {
            return refused(format!(
                "processes.{pid}.undo: semaphore {semaphore} of {set}: {adjustment} is impossible"
            ));
        }
    }
    Ok(())
}

fn check_settings(whose: &str, settings: &Settings, known: &[Setting]) -> Result<()> {
    match settings.keys().find(|setting| !known.contains(setting)) {
        Some(setting) => refused(format!("{whose}.prctl: {setting:?} is not one of its settings")),
        None => Ok(()),
    }
}

fn content(pipes: &[(images::messages::PipeDataEntry, Vec<u8>)], id: u32) -> Option<usize> {
    pipes.iter().find(|(entry, _)| entry.pipe_id == id).map(|(_, content)| content.len())
}

/// The kernel makes a packet for each page of what is written at once.
fn check_packets(
    name: &str,
    packets: &BTreeMap<u32, Vec<u32>>,
    content: impl Fn(u32) -> Option<usize>,
) -> Result<()> {
    for (id, sizes) in packets {
        let sum = sizes.iter().map(|size| *size as usize).sum::<usize>();
        let is_possible = sizes.iter().all(|size| (1..=4096).contains(size));
        if !is_possible || content(*id) != Some(sum) {
            return refused(format!("{name}.{id}: not the bytes that it has"));
        }
    }
    Ok(())
}

fn refused<T>(why: impl Display) -> Result<T> {
    Err(Error::refused(STATE, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        let bits = |list: &str| cpu_mask(list).map(|mask| mask[0]);
        assert_eq!(bits("0-3,7"), Some(0b1000_1111));
        assert_eq!(cpu_mask("64").map(|mask| mask[1]), Some(1));
        for wrong in ["", "a", "3-1", "0-99999999999", "8192"] {
            assert_eq!(bits(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_text() {
        let text = r#"{"cpus": "1", "tiles": {"configuration": "0aff", "data": ""}}"#;
        let thread: ThreadSide = serde_json::from_str(text).expect("a thread");
        assert_eq!(thread.tiles.expect("tiles").configuration, [0x0a, 0xff]);
        assert!(serde_json::from_str::<ThreadSide>(r#"{"cpu": "1"}"#).is_err());
        assert!(serde_json::from_str::<Tiles>(r#"{"configuration": "abc", "data": ""}"#).is_err());
    }
}
