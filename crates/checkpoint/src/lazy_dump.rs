//! A dump that leaves memory where it is: the tasks stay stopped, and a daemon that fills the memory of the restored ones
//! (`restore/pager.rs`, or CRIU's) gets their pages, until it says that it has all. When it is lost before, the tasks go on.

use crate::error::{At, Error, Result};
use crate::snapshot::{PAGE_SIZE, PageMap, Task, is_left, may_be_late, pagemap, run_end};
use crate::tree::{Member, Tree};
use images::messages::PagemapEntry;
use images::page_server::{Command, announce};
use nix::sys::socket::{setsockopt, sockopt};
use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::OwnedFd;

/// Pages of one answer at most.
const MOST: u64 = 256;

/// How long nobody may be at the other end, who has not said so: it is asked every so many seconds, so many times.
const KEEPALIVE: (u32, u32) = (5, 6);

/// Where the pages of a dump are asked for.
#[derive(Debug)]
pub struct PageSource(Source);

#[derive(Debug)]
enum Source {
    Listener(TcpListener),
    /// Any kind of socket that is a stream.
    Connection(TcpStream),
}

impl PageSource {
    pub fn listen(address: SocketAddr) -> Result<PageSource> {
        let listener = TcpListener::bind(address).at(|| format!("serve pages at {address}"))?;
        Ok(PageSource(Source::Listener(listener)))
    }

    /// A connection that is there already.
    pub fn connected(socket: OwnedFd) -> PageSource {
        PageSource(Source::Connection(socket.into()))
    }

    /// Serves what the dump has left of the tasks' memory, which are stopped.
    ///
    /// # Errors
    /// The other side does not say that it has all, or asks for something else.
    pub(crate) fn serve(&self, tree: &Tree<'_>, tasks: &[Task]) -> Result<()> {
        let lost = || "serve pages".to_owned();
        let mut stream = match &self.0 {
            Source::Listener(listener) => listener.accept().at(lost)?.0,
            Source::Connection(stream) => stream.try_clone().at(lost)?,
        };
        keep_alive(&stream);
        let mut buffer = vec![0; (MOST * PAGE_SIZE) as usize];
        // Who ends the session without a question has fetched nothing: a daemon that has failed, or a stranger.
        let has_left = |task: &Task| task.pages.iter().flat_map(|map| &map.runs).any(is_left);
        let mut must_ask = tasks.iter().any(has_left);
        loop {
            let command = Command::read(&mut stream).at(lost)?;
            match command {
                Some(Command::Get { pid, vaddr, nr_pages }) => {
                    let found = tree.members.iter().zip(tasks).find(|(_, task)| task.entry.pid == pid);
                    let left =
                        found.and_then(|(member, task)| Some((member, part(task.pages.as_ref()?, vaddr)?)));
                    let Some((member, left)) = left else {
                        return Err(Error::new(format!("{}: none of task {pid} are at {vaddr:#x}", lost())));
                    };
                    let size = (left.end - left.start).min(nr_pages.saturating_mul(PAGE_SIZE));
                    let bytes = &mut buffer[..size.min(MOST * PAGE_SIZE) as usize];
                    read(member, bytes, vaddr)?;
                    must_ask = false;
                    let count = bytes.len() as u64 / PAGE_SIZE;
                    let sent =
                        announce(&mut stream, pid, vaddr, count).and_then(|()| stream.write_all(bytes));
                    sent.at(lost)?;
                }
                Some(Command::Close) if must_ask => {
                    return Err(Error::new(format!("{}: none was asked for; the tasks go on", lost())));
                }
                Some(Command::Close) => return stream.write_all(&0_i32.to_le_bytes()).at(lost),
                Some(_) => return Err(Error::new(format!("{}: they are asked for, not taken", lost()))),
                None => {
                    return Err(Error::new(format!(
                        "{}: the connection ended before all memory was taken; the tasks go on",
                        lost()
                    )));
                }
            }
        }
    }
}

fn read(member: &Member, bytes: &mut [u8], at: u64) -> Result<()> {
    use std::os::unix::fs::FileExt;
    let memory: &File = member.memory();
    memory.read_exact_at(bytes, at).at(|| format!("task {}: read its memory at {at:#x}", member.pid))
}

/// Answers are waited for; and tasks wait, so whoever is gone without a word is to be noticed. A socket of another family
/// has neither delays nor such questions.
fn keep_alive(stream: &TcpStream) {
    let (seconds, times) = KEEPALIVE;
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(stream, sockopt::KeepAlive, &true)
        .and_then(|()| setsockopt(stream, sockopt::TcpKeepIdle, &seconds))
        .and_then(|()| setsockopt(stream, sockopt::TcpKeepInterval, &seconds))
        .and_then(|()| setsockopt(stream, sockopt::TcpKeepCount, &times));
}

/// What a map has left from an address on.
fn part(map: &PageMap, vaddr: u64) -> Option<Range<u64>> {
    let run = map.left_at(vaddr).filter(|_| vaddr.is_multiple_of(PAGE_SIZE))?;
    Some(vaddr..run_end(run))
}

/// Leaves all pages of a map that may come late; how many those are.
pub(crate) fn leave(runs: &mut [PagemapEntry]) -> u64 {
    let late = runs.iter_mut().filter(|run| may_be_late(run));
    late.map(|run| {
        run.flags = Some(pagemap::LAZY);
        run.nr_pages.unwrap_or(0)
    })
    .sum()
}
