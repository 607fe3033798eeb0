//! CRIU's command line (`command_line.rs`, `words.rs`) and its RPC: `criu swrk FD` for those who look for a CRIU. Podman,
//! CRI-O and containerd ask whether there is one before they ask their runtime for a checkpoint, with go-criu; runc and crun
//! have it dump and restore their containers.
//!
//! Requests come over a socket of packets, inherited or that of the service (`service.rs`), each a message of rpc.proto
//! (`messages.rs`), with notifications in between (`client.rs`). What one asks for is in `options.rs`; `dump.rs` and
//! `restore.rs` tell the engine of it in its own words, and `check.rs` what is true of the host. There is no config.json
//! here: what is from outside the request names, and all else the images say.
#![forbid(unsafe_code)]

mod check;
mod client;
mod command_line;
mod cpuinfo;
mod dump;
mod lazy_pages;
mod messages;
mod options;
mod page_server;
mod restore;
mod service;
mod words;

use checkpoint::WorkDirectory;
use client::Client;
pub use command_line::{Answer, run};
use messages::{Dumped, Features, Opts, PageServer, Request, Response, Restored, Type, Version};
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
pub use options::Options;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// The version of CRIU whose images and answers these are: major and minor.
pub const VERSION: (i32, i32) = (4, 2);

/// What is true of this host.
pub trait Host {
    /// What keeps every checkpoint and restore from working; empty when nothing does.
    fn missing(&self) -> Vec<String>;
    /// Whether writes to memory can be tracked, as `--pre-dump` needs.
    fn tracks_writes(&self) -> bool;
    /// Whether memory can be filled while its tasks run, as `--lazy-pages` needs.
    fn fills_lazily(&self) -> bool;
}

/// An error as *object + cause*.
#[derive(Debug)]
pub struct Error {
    what: &'static str,
    cause: Option<Errno>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Some(errno) => write!(f, "{}: {}", self.what, sys::Errno::from(errno)),
            None => f.write_str(self.what),
        }
    }
}

impl std::error::Error for Error {}

fn failed(what: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error { what, cause: Some(errno) }
}

/// Answers the requests that come through a socket: one, or as many as come while they say `keep_open`. `files` are the
/// default configuration files of options, with their names.
///
/// # Errors
/// It is no SOCK_SEQPACKET socket, or nobody takes the answer.
pub fn serve(socket: &OwnedFd, files: &[(PathBuf, String)], host: &dyn Host) -> Result<(), Error> {
    answer_all(socket, Peer::Parent, files, host)
}

/// Who is at the other end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// Who has started us: we have its descriptors, and tasks can be its children.
    Parent,
    /// One of many that the service has.
    Client,
}

fn answer_all(
    socket: &OwnedFd,
    peer: Peer,
    files: &[(PathBuf, String)],
    host: &dyn Host,
) -> Result<(), Error> {
    let client = Client::new(socket)?;
    while let Some(request) = client.receive()? {
        // A pre-dump is followed by another, or by the dump, unless it is said to be the only one.
        let is_last = !matches!(&request, Ok(request)
            if request.keep_open == Some(true) || request.r#type == Type::PreDump as i32);
        let answer =
            request.map_or_else(|_| malformed(), |request| answer(&request, peer, &client, files, host));
        client.send(&answer, None)?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// As CRIU answers what it cannot read (EBADRQC).
fn malformed() -> Response {
    refused(Type::Empty as i32, Errno::EBADRQC, "not a criu_req")
}

/// Clients of go-criu have 8 KiB for a response, and a line is enough.
fn refused(request: i32, errno: Errno, why: &str) -> Response {
    const LENGTH: usize = 1024;
    let (cr_errno, why) = (Some(errno as i32), why.chars().take(LENGTH).collect());
    Response { r#type: request, cr_errno, cr_errmsg: Some(why), ..Response::default() }
}

fn answer(
    request: &Request,
    peer: Peer,
    client: &Client<'_>,
    files: &[(PathBuf, String)],
    host: &dyn Host,
) -> Response {
    let refuse = |why: String| refused(request.r#type, Errno::EBADRQC, &why);
    let done = Response { r#type: request.r#type, success: true, ..Response::default() };
    match Type::try_from(request.r#type) {
        Ok(Type::Version) => {
            let (major_number, minor_number) = VERSION;
            Response { version: Some(Version { major_number, minor_number, ..Version::default() }), ..done }
        }
        Ok(Type::FeatureCheck) => {
            let asked = request.features.unwrap_or_default();
            let features = Features {
                mem_track: asked.mem_track.map(|_| host.tracks_writes()),
                lazy_pages: asked.lazy_pages.map(|_| host.fills_lazily()),
                pidfd_store: asked.pidfd_store.map(|_| true),
            };
            Response { features: Some(features), ..done }
        }
        Ok(Type::Check) => match host.missing().as_slice() {
            [] => done,
            missing => {
                refused(request.r#type, Errno::EOPNOTSUPP, &format!("missing: {}", missing.join(", ")))
            }
        },
        Ok(kind @ (Type::Dump | Type::PreDump | Type::SinglePreDump | Type::Restore)) => {
            let Some(opts) = &request.opts else { return refuse("criu_req.opts: missing".to_owned()) };
            match act(kind, opts, peer, client, files) {
                Ok(restore) => {
                    let dump = (kind == Type::Dump).then_some(Dumped { restored: None });
                    Response { dump, restore, ..done }
                }
                Err(why) => refuse(why),
            }
        }
        // Either is a child of ours, and has CRIU's one answer.
        Ok(Type::PageServer | Type::PageServerChild) => {
            let started = match &request.opts {
                Some(opts) => start_page_server(opts, peer, client, files),
                None => Err("criu_req.opts: missing".to_owned()),
            };
            let answered = Type::PageServer as i32;
            match started {
                Ok(server) => Response { r#type: answered, ps: Some(server), ..done },
                Err(why) => refused(answered, Errno::EBADRQC, &why),
            }
        }
        Ok(kind @ (Type::CpuinfoDump | Type::CpuinfoCheck)) => {
            let Some(opts) = &request.opts else { return refuse("criu_req.opts: missing".to_owned()) };
            match of_processor(kind, opts, client, files) {
                Ok(()) => done,
                Err(why) => refuse(why),
            }
        }
        Ok(Type::WaitPid) => match wait_for(request.pid) {
            Ok(status) => Response { status: Some(status), ..done },
            Err(errno) => refused(request.r#type, errno, &format!("wait for a process: {}", errno.desc())),
        },
        Ok(Type::Empty | Type::Notify) | Err(_) => {
            refused(request.r#type, Errno::EOPNOTSUPP, "the request is not supported")
        }
    }
}

/// Waits for a process that an earlier request has started. Its status is that of wait(2).
fn wait_for(pid: Option<u32>) -> nix::Result<i32> {
    // Below that it would be any.
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0).ok_or(Errno::ECHILD)?;
    loop {
        match waitpid(Pid::from_raw(pid), None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(code << 8),
            Ok(WaitStatus::Signaled(_, signal, has_core)) => {
                return Ok(signal as i32 | i32::from(has_core) << 7);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn act(
    kind: Type,
    opts: &Opts,
    peer: Peer,
    client: &Client<'_>,
    files: &[(PathBuf, String)],
) -> Result<Option<Restored>, String> {
    let mut options = Options::of(opts, files)?;
    if peer == Peer::Client {
        of_client(&mut options, client)?;
    }
    let (images, work) = directories(opts, client)?;
    let wants_notes = opts.notify_scripts == Some(true);
    if kind != Type::Restore {
        let mut notify = |script: &str| if wants_notes { client.notify(script, None, None) } else { Ok(()) };
        return dump::dump(&options, kind != Type::Dump, images.as_fd(), &work, &mut notify).map(|_| None);
    }
    let mut notify = |script: &str, pid, file: Option<std::os::fd::BorrowedFd<'_>>| match wants_notes {
        true => client.notify(script, pid, file),
        false => Ok(()),
    };
    let (pid, _) = restore::restore(&options, images.as_fd(), &work, &mut notify)?;
    Ok(Some(Restored { pid }))
}

fn of_processor(
    kind: Type,
    opts: &Opts,
    client: &Client<'_>,
    files: &[(PathBuf, String)],
) -> Result<(), String> {
    let options = Options::of(opts, files)?;
    let images = client.descriptor(opts.images_dir_fd);
    let images = images.map_err(|error| format!("images_dir_fd {}: {error}", opts.images_dir_fd))?;
    match kind {
        Type::CpuinfoDump => cpuinfo::dump(images.as_fd()),
        _ => cpuinfo::check(&options, images.as_fd()),
    }
}

fn start_page_server(
    opts: &Opts,
    peer: Peer,
    client: &Client<'_>,
    files: &[(PathBuf, String)],
) -> Result<PageServer, String> {
    let options = Options::of(opts, files)?;
    if peer == Peer::Client {
        refuse_for_clients(&options)?;
    }
    let (images, work) = directories(opts, client)?;
    page_server::start(&options, images.as_fd(), &work)
}

/// Those of the images and of the log.
fn directories(opts: &Opts, client: &Client<'_>) -> Result<(OwnedFd, WorkDirectory), String> {
    let descriptor = |name: &str, number: i32| {
        client.descriptor(number).map_err(|error| format!("{name} {number}: {error}"))
    };
    let images = descriptor("images_dir_fd", opts.images_dir_fd)?;
    let work = descriptor("work_dir_fd", opts.work_dir_fd.unwrap_or(opts.images_dir_fd))?;
    Ok((images, WorkDirectory::from(work)))
}

/// What only a child of who asks could do is refused.
fn refuse_for_clients(options: &Options) -> Result<(), String> {
    let names = [
        ("restore-sibling", options.restore_sibling),
        ("inherit-fd", !options.inherit.is_empty()),
        ("ps-socket", options.ps_socket.is_some()),
        ("status-fd", options.status_fd.is_some()),
    ];
    match names.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(format!("{name}: only with swrk, which is the child of who asks")),
        None => Ok(()),
    }
}

/// A client that names no process is the one to dump.
fn of_client(options: &mut Options, client: &Client<'_>) -> Result<(), String> {
    refuse_for_clients(options)?;
    if options.tree.is_none() {
        options.tree = Some(client.pid().map_err(|error| format!("find who asks: {error}"))?);
        // Its end of our connection is among its files.
        options.ext_unix_sk = true;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use client::receive;
    use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
    use prost::Message;
    use std::os::fd::AsRawFd;

    struct Here {
        tracks_writes: bool,
        missing: Vec<String>,
    }

    impl Host for Here {
        fn missing(&self) -> Vec<String> {
            self.missing.clone()
        }

        fn tracks_writes(&self) -> bool {
            self.tracks_writes
        }

        fn fills_lazily(&self) -> bool {
            true
        }
    }

    /// What comes back for packets, and whether more would be answered.
    fn talk(packets: &[&[u8]], host: &Here) -> Vec<Vec<u8>> {
        let pair =
            |kind| socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).expect("a socket");
        let (client, server) = pair(SockType::SeqPacket);
        for packet in packets {
            send(client.as_raw_fd(), packet, MsgFlags::empty()).expect("sent");
        }
        nix::sys::socket::shutdown(client.as_raw_fd(), nix::sys::socket::Shutdown::Write).expect("shut down");
        serve(&server, &[], host).expect("answered");
        drop(server);
        let answer = || loop {
            match receive(&client) {
                // Told once, before the answer, where a packet was left unread.
                Err(Error { cause: Some(Errno::ECONNRESET), .. }) => {}
                received => return received.expect("received"),
            }
        };
        std::iter::from_fn(answer).collect()
    }

    const HERE: Here = Here { tracks_writes: true, missing: Vec::new() };

    #[test]
    fn bytes_of_go_criu() {
        assert_eq!(talk(&[b"\x08\x0a"], &HERE), [b"\x08\x0a\x10\x01\x52\x04\x08\x04\x10\x02"]);
        let ask = b"\x08\x09\x2a\x02\x08\x01";
        assert_eq!(talk(&[ask], &HERE), [b"\x08\x09\x10\x01\x42\x02\x08\x01"]);
        let elsewhere = Here { tracks_writes: false, ..HERE };
        assert_eq!(talk(&[ask], &elsewhere), [b"\x08\x09\x10\x01\x42\x02\x08\x00"]);
    }

    #[test]
    fn one_request_unless_more_are_announced() {
        assert_eq!(talk(&[b"\x08\x0a", b"\x08\x0a"], &HERE).len(), 1);
        assert_eq!(talk(&[b"\x08\x0a\x20\x01", b"\x08\x0a"], &HERE).len(), 2);
        assert_eq!(talk(&[], &HERE).len(), 0);
    }

    #[test]
    fn what_is_refused() {
        let response = |packet: &[u8], host: &Here| {
            let [answer] = <[Vec<u8>; 1]>::try_from(talk(&[packet], host)).expect("one");
            Response::decode(answer.as_slice()).expect("a response")
        };
        let dump = response(b"\x08\x01", &HERE);
        assert_eq!((dump.r#type, dump.success, dump.cr_errno), (1, false, Some(56)));
        let notify = response(b"\x08\x06", &HERE);
        assert_eq!((notify.r#type, notify.success, notify.cr_errno), (6, false, Some(95)));
        // Of pid 0, and of none.
        for packet in [&b"\x08\x0b\x30\x00"[..], b"\x08\x0b"] {
            let wait = response(packet, &HERE);
            assert_eq!((wait.r#type, wait.success, wait.cr_errno), (11, false, Some(10)));
        }
        assert!(!response(b"no message", &HERE).success);
        assert!(response(b"\x08\x03", &HERE).success);
        let without = Here { missing: vec!["ptrace (scope 3)".to_owned()], ..HERE };
        assert_eq!(response(b"\x08\x03", &without).cr_errmsg.as_deref(), Some("missing: ptrace (scope 3)"));
    }

    #[test]
    fn another_kind_of_socket() {
        let pair = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC);
        let error = serve(&pair.expect("a socket").0, &[], &HERE).expect_err("a stream");
        assert_eq!(error.to_string(), "not a socket of packets (SOCK_SEQPACKET)");
    }
}
