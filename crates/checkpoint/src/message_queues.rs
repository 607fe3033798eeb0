//! Message queues of POSIX (mq_overview(7)): those of the container's IPC namespace, whether somebody has them open or not, and
//! those that are open and have lost their names. CRIU does not know them; they are in floe-state.json.
//!
//! A message can only be taken. So the guardian takes all and puts them back, as with terminals, while the tasks are frozen:
//! last of all, like connections. Nobody can be told of a message meanwhile (mq_notify(3)), because no queue is dumped of which
//! somebody wants to be told.

use crate::credentials::IdMaps;
use crate::error::{At, Error, Result};
use crate::guardian::Guardian;
use crate::namespaces;
use crate::snapshot::{PosixMessage, PosixQueue};
use crate::target::NamespaceKind;
use nix::dir::Dir;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use sys::mount::FsContext;
use sys::mqueue::{attributes, receive, send};

/// Why one cannot be dumped that is somebody else's.
pub(crate) const NOT_OWN: &str = "a message queue of an IPC namespace that is not the container's own";

/// The file system with the queues of an IPC namespace.
#[derive(Debug)]
pub(crate) struct QueueFiles {
    root: OwnedFd,
    dev: u64,
}

impl QueueFiles {
    /// Those of a task; `None` when the kernel has no such queues.
    pub(crate) fn of(pid: i32) -> Result<Option<QueueFiles>> {
        let mount = || {
            let context = FsContext::open("mqueue")?;
            context.create()?;
            context.mount(0)
        };
        namespaces::inside(pid, NamespaceKind::Ipc, || match mount() {
            Ok(root) => {
                let dev = look(root.as_fd()).at(|| "message queues".to_owned())?.dev();
                Ok(Some(QueueFiles { root, dev }))
            }
            Err(errno) if errno.raw() == libc::ENODEV => Ok(None),
            Err(errno) => Err(Error::of_kernel("mount the message queues", errno)),
        })
    }

    /// Whether a file is one of these queues.
    pub(crate) fn has(&self, file: &Metadata) -> bool {
        file.dev() == self.dev && file.is_file()
    }

    /// All that have names.
    pub(crate) fn named(&self, maps: &IdMaps) -> Result<Vec<Queue>> {
        let failed = || "read the message queues".to_owned();
        let mut directory =
            Dir::openat(&self.root, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).at(failed)?;
        let mut queues = Vec::new();
        for entry in directory.iter() {
            let entry = entry.at(failed)?;
            let name = entry.file_name();
            if [&b"."[..], b".."].contains(&name.to_bytes()) {
                continue;
            }
            let text = name
                .to_str()
                .map_err(|_| Error::new(format!("message queue {name:?}: its name is no text")))?;
            let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let file =
                openat(&self.root, name, flags, Mode::empty()).at(|| format!("open message queue {text}"))?;
            queues.push(Queue::of(File::from(file), Some(text), maps)?);
        }
        Ok(queues)
    }
}

fn look(file: BorrowedFd<'_>) -> std::io::Result<Metadata> {
    File::from(file.try_clone_to_owned()?).metadata()
}

/// Why a queue cannot be dumped.
pub(crate) fn refused(queue: &File) -> Result<Option<String>> {
    let mut text = String::new();
    // The file says what the queue has, in words (mq_overview(7)).
    open_again(queue)?.read_to_string(&mut text).at(|| "read a message queue".to_owned())?;
    let notified = text.split_whitespace().find_map(|word| word.strip_prefix("NOTIFY_PID:"));
    match notified.and_then(|pid| pid.parse::<i32>().ok()) {
        Some(0) => Ok(None),
        Some(pid) => Ok(Some(format!(
            "process {pid} wants to be told of a message in a queue (mq_notify), and nobody can see how"
        ))),
        None => Err(Error::new(format!("message queue: {text}: not as expected"))),
    }
}

/// With another access.
fn open_again(queue: &File) -> Result<File> {
    let path = format!("/proc/self/fd/{}", queue.as_raw_fd());
    let opened = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path);
    opened.at(|| "open a message queue once more".to_owned())
}

/// A queue that is being dumped.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) ino: u64,
    /// Without messages.
    state: PosixQueue,
    has_messages: bool,
    /// For reading and writing, without waiting.
    file: File,
}

impl Queue {
    /// `name` is `None` for one that has none any more.
    fn of(file: File, name: Option<&str>, maps: &IdMaps) -> Result<Queue> {
        let what = || format!("message queue {}", name.unwrap_or("without a name"));
        if let Some(reason) = refused(&file)? {
            return Err(Error::new(format!("{}: {reason}", what())));
        }
        let (metadata, attributes) = (file.metadata().at(what)?, attributes(file.as_fd()).at(what)?);
        let state = PosixQueue {
            name: name.map(str::to_owned),
            mode: metadata.mode() & 0o7777,
            uid: maps.uid(metadata.uid()),
            gid: maps.gid(metadata.gid()),
            max_messages: attributes.max_messages,
            max_size: attributes.max_size,
            messages: Vec::new(),
        };
        Ok(Queue { ino: metadata.ino(), state, has_messages: attributes.messages > 0, file })
    }

    /// The queue of a descriptor, which has no name.
    pub(crate) fn removed(file: &File, maps: &IdMaps) -> Result<Queue> {
        Queue::of(open_again(file)?, None, maps)
    }

    pub(crate) fn has_messages(&self) -> bool {
        self.has_messages
    }

    /// With its messages, which are still there afterwards.
    pub(crate) fn read(&self, guardian: &Guardian) -> Result<PosixQueue> {
        if !self.has_messages {
            return Ok(self.state.clone());
        }
        let mut answer = &*guardian.look_at_queue(self.file.as_fd())?;
        let mut messages = Vec::new();
        while let Some((priority, rest)) = answer.split_first_chunk() {
            let (len, rest) = rest.split_first_chunk().ok_or_else(|| Error::new("message queue: cut off"))?;
            let (content, rest) = rest.split_at(u32::from_ne_bytes(*len) as usize);
            messages
                .push(PosixMessage { priority: u32::from_ne_bytes(*priority), content: content.to_vec() });
            answer = rest;
        }
        Ok(PosixQueue { messages, ..self.state.clone() })
    }
}

/// All messages of a queue: priority, length and bytes of each. They are still there afterwards, in the same order.
pub(crate) fn look_at(queue: BorrowedFd<'_>) -> Result<Vec<u8>> {
    let what = || "look at the messages of a queue".to_owned();
    let max_size = attributes(queue).at(what)?.max_size;
    let mut taken = Vec::new();
    let received = loop {
        match receive(queue, max_size) {
            Ok(message) => taken.push(message),
            Err(errno) if errno.raw() == libc::EAGAIN => break Ok(()),
            Err(errno) => break Err(errno),
        }
    };
    // Those of a priority come in the order in which they are put.
    let put = taken.iter().try_for_each(|(priority, bytes)| send(queue, *priority, bytes));
    received.and(put).at(what)?;
    let numbers =
        |priority: u32, bytes: &[u8]| [priority.to_ne_bytes(), (bytes.len() as u32).to_ne_bytes()].concat();
    Ok(taken
        .iter()
        .flat_map(|(priority, bytes)| [numbers(*priority, bytes), bytes.clone()].concat())
        .collect())
}

/// Puts a message into a queue that is being restored.
pub(crate) fn put(queue: BorrowedFd<'_>, message: &PosixMessage) -> sys::Result<()> {
    send(queue, message.priority, &message.content)
}
