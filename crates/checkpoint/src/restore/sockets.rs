//! Sockets: unix sockets with what they have received, TCP sockets that listen or are not connected, UDP. Those that are
//! connected are in `tcp.rs`.

use super::build::Build;
use super::files::describe;
use super::tcp;
use crate::error::{Error, Result};
use crate::files::{filter_of_kernel, icmp_filter};
use crate::snapshot::{Sender, Snapshot, USK_EXTERN};
use images::messages::{FileEntry, InetSkEntry, NetlinkSkEntry, SkOptsEntry, UnixSkEntry};
use inject::{Arg, Batch, Place};
use std::collections::{BTreeMap, BTreeSet};

/// States of sockets, those of TCP for all.
const ESTABLISHED: u32 = 1;
const CLOSE: u32 = 7;
const LISTEN: u32 = 10;

const NONBLOCK: u32 = libc::O_NONBLOCK as u32;

pub(super) fn open_all(build: &mut Build<'_>) -> Result<()> {
    open_unix(build)?;
    // A port that is listened at goes to that socket first; connections share it in any case.
    for connected in [false, true] {
        for file in &build.snapshot.files {
            let Some(entry) = file.isk.as_ref().filter(|entry| tcp::is_restored(build, entry) == connected)
            else {
                continue;
            };
            let opened = if connected { tcp::open(build, entry) } else { open_inet(build, entry) };
            opened.map_err(|error| Error::new(format!("files: {}: {error}", describe(file))))?;
        }
    }
    let netlink: Vec<_> = build.snapshot.files.iter().filter_map(|file| file.nlsk.as_deref()).collect();
    for entry in netlink {
        open_netlink(build, entry)
            .map_err(|error| Error::new(format!("files: netlink socket {}: {error}", entry.ino)))?;
    }
    Ok(())
}

/// Sets options that are there, and those that a new socket has otherwise.
pub(super) fn options(batch: &mut Batch, fd: Arg, opts: &SkOptsEntry) {
    let mut set = |level: i32, option: i32, value: u32| {
        let value = batch.bytes(&value.to_le_bytes());
        let arguments = [fd, level.into(), option.into(), value.into(), 4.into()];
        // Some want capabilities that the container may lack; what they tune is not what the program relies on.
        batch.call_may_fail("setsockopt", libc::SYS_setsockopt, &arguments);
    };
    const SO_SNDBUFFORCE: i32 = 32;
    const SO_RCVBUFFORCE: i32 = 33;
    // The kernel doubles what it is given.
    for (option, forced, value) in
        [(libc::SO_SNDBUF, SO_SNDBUFFORCE, opts.so_sndbuf), (libc::SO_RCVBUF, SO_RCVBUFFORCE, opts.so_rcvbuf)]
    {
        set(libc::SOL_SOCKET, option, value / 2);
        set(libc::SOL_SOCKET, forced, value / 2);
    }
    if let Some(lock) = opts.so_buf_lock {
        // Which of the two sizes the program has chosen; the kernel changes the others as it sees fit.
        const SO_BUF_LOCK: i32 = 72;
        set(libc::SOL_SOCKET, SO_BUF_LOCK, lock);
    }
    let flags = [
        (libc::SO_REUSEADDR, opts.reuseaddr),
        (libc::SO_PASSSEC, opts.so_passsec),
        (libc::SO_DONTROUTE, opts.so_dontroute),
        (libc::SO_NO_CHECK, opts.so_no_check),
        (libc::SO_REUSEPORT, opts.so_reuseport),
        (libc::SO_BROADCAST, opts.so_broadcast),
        (libc::SO_KEEPALIVE, opts.so_keepalive),
    ];
    for (option, value) in flags {
        if let Some(value) = value {
            set(libc::SOL_SOCKET, option, value.into());
        }
    }
    let numbers = [
        (libc::SOL_SOCKET, libc::SO_PRIORITY, opts.so_priority),
        (libc::SOL_SOCKET, libc::SO_RCVLOWAT, opts.so_rcvlowat),
        (libc::SOL_SOCKET, libc::SO_MARK, opts.so_mark),
        (libc::SOL_SOCKET, libc::SO_OOBINLINE, opts.so_oobinline),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, opts.tcp_keepcnt),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, opts.tcp_keepidle),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, opts.tcp_keepintvl),
    ];
    for (level, option, value) in numbers {
        if let Some(value) = value.filter(|value| *value != 0) {
            set(level, option, value);
        }
    }
    for (option, seconds, microseconds) in [
        (libc::SO_SNDTIMEO, opts.so_snd_tmo_sec, opts.so_snd_tmo_usec),
        (libc::SO_RCVTIMEO, opts.so_rcv_tmo_sec, opts.so_rcv_tmo_usec),
    ] {
        if seconds != 0 || microseconds != 0 {
            let time = batch.words(&[seconds, microseconds]);
            let arguments = [fd, libc::SOL_SOCKET.into(), option.into(), time.into(), 16.into()];
            batch.call("setsockopt", libc::SYS_setsockopt, &arguments);
        }
    }
}

/// The filter of what it receives, its device, and how long it waits when it is closed.
/// And whether it gets credentials: with that, what is delivered anew would get ours.
pub(super) fn settings(batch: &mut Batch, fd: Arg, opts: &SkOptsEntry) {
    let set = |batch: &mut Batch, option: i32, value: Place, len: usize| {
        let arguments = [fd, libc::SOL_SOCKET.into(), option.into(), value.into(), len.into()];
        batch.call("setsockopt", libc::SYS_setsockopt, &arguments);
    };
    if let Some(passed) = opts.so_passcred {
        let value = batch.bytes(&u32::from(passed).to_le_bytes());
        set(batch, libc::SO_PASSCRED, value, 4);
    }
    if !opts.so_filter.is_empty() {
        let program: Vec<u64> = opts.so_filter.iter().copied().map(filter_of_kernel).collect();
        let program = batch.words(&program);
        // struct sock_fprog: the number of instructions, where they are.
        let value = batch.words(&[opts.so_filter.len() as u64, 0]);
        batch.point(value.plus(8), program);
        set(batch, libc::SO_ATTACH_FILTER, value, 16);
    }
    if let Some(device) = &opts.so_bound_dev {
        let value = batch.bytes(device);
        set(batch, libc::SO_BINDTODEVICE, value, device.len());
    }
    if let Some(seconds) = opts.so_linger {
        let value = batch.bytes(&[1u32.to_le_bytes(), seconds.to_le_bytes()].concat());
        set(batch, libc::SO_LINGER, value, 8);
    }
}

pub(super) fn status(batch: &mut Batch, fd: Arg, flags: u32) {
    if flags & NONBLOCK != 0 {
        batch.call("F_SETFL", libc::SYS_fcntl, &[fd, libc::F_SETFL.into(), NONBLOCK.into()]);
    }
}

fn shut(batch: &mut Batch, fd: Arg, shutdown: Option<i32>) {
    // 1 reading, 2 writing, 3 both; shutdown(2) counts from 0.
    if let Some(how) = shutdown.filter(|how| (1..=3).contains(how)) {
        batch.call_may_fail("shutdown", libc::SYS_shutdown, &[fd, (how - 1).into()]);
    }
}

/// Whether it is only the name of a socket that is outside.
pub(super) fn is_outside(file: &FileEntry) -> bool {
    file.usk.as_ref().is_some_and(|entry| entry.uflags & USK_EXTERN != 0)
}

/// Those of the tasks, and by their inodes the names of those outside.
fn unix_sockets(snapshot: &Snapshot) -> (Vec<&UnixSkEntry>, BTreeMap<u32, &UnixSkEntry>) {
    let (outside, inside): (Vec<_>, Vec<_>) = snapshot.files.iter().partition(|file| is_outside(file));
    let outside = outside.into_iter().filter_map(|file| file.usk.as_deref());
    let inside = inside.into_iter().filter_map(|file| file.usk.as_deref());
    (inside.collect(), outside.map(|entry| (entry.ino, entry)).collect())
}

/// The one among those outside that a socket sends datagrams to.
fn sends_to<'a>(entry: &UnixSkEntry, outer: &BTreeMap<u32, &'a UnixSkEntry>) -> Option<&'a UnixSkEntry> {
    outer.get(&entry.peer).copied().filter(|_| entry.r#type == libc::SOCK_DGRAM as u32)
}

fn open_unix(build: &mut Build<'_>) -> Result<()> {
    let (all, outer) = unix_sockets(build.snapshot);
    let by_inode: BTreeMap<u32, &UnixSkEntry> = all.iter().map(|entry| (entry.ino, *entry)).collect();
    let mut done = BTreeSet::new();
    let mut accepted = Vec::new();
    let is_pair = |entry: &UnixSkEntry| {
        let peer = by_inode.get(&entry.peer);
        entry.peer != 0 && peer.is_some_and(|peer| peer.peer == entry.ino && peer.ino != entry.ino)
    };
    let leads_outside = |entry: &UnixSkEntry| entry.peer != 0 && !by_inode.contains_key(&entry.peer);
    let mut singles = Vec::new();
    for entry in &all {
        if done.contains(&entry.id) {
            continue;
        }
        if is_pair(entry) {
            let peer = by_inode[&entry.peer];
            match [(peer, *entry), (*entry, peer)].iter().find_map(|(client, server)| {
                listener_of(&all, server).map(|listener| Connection { client, server, listener })
            }) {
                Some(connection) => accepted.push(connection),
                None => open_pair(build, entry, Some(peer)).map_err(|error| named(entry, &error))?,
            }
            done.insert(peer.id);
        } else if entry.state == ESTABLISHED && entry.peer == 0 && entry.r#type != libc::SOCK_DGRAM as u32 {
            open_pair(build, entry, None).map_err(|error| named(entry, &error))?;
        } else if leads_outside(entry) && !build.policy.outer_unix_sockets.allow(entry.peer) {
            let why = "it is connected to a socket outside of the container; use --ext-unix-sk";
            return Err(named(entry, &Error::new(why)));
        } else if leads_outside(entry) && sends_to(entry, &outer).is_none() {
            // A connection cannot be made again by one end alone: it has ended.
            open_pair(build, entry, None).map_err(|error| named(entry, &error))?;
        } else {
            open_single(build, entry).map_err(|error| named(entry, &error))?;
            singles.push(*entry);
        }
        done.insert(entry.id);
    }
    // Names that were removed go before others get them.
    for is_deleted in [true, false] {
        let is_of_round = |entry: &UnixSkEntry| (entry.deleted == Some(true)) == is_deleted;
        for entry in singles.iter().filter(|entry| is_of_round(entry)) {
            enter_mounts_of(build, entry)?;
            bind(build, entry).map_err(|error| named(entry, &error))?;
        }
        // Before those that wait to be accepted, which would be accepted instead.
        for connection in accepted.iter().filter(|connection| is_of_round(connection.listener)) {
            check_is_ours(&singles, connection.listener).map_err(|error| named(connection.server, &error))?;
            enter_mounts_of(build, connection.listener)?;
            open_accepted(build, connection).map_err(|error| named(connection.server, &error))?;
        }
        for entry in singles.iter().filter(|entry| entry.peer != 0 && !leads_outside(entry)) {
            let peer = by_inode[&entry.peer];
            check_is_ours(&singles, peer).map_err(|error| named(entry, &error))?;
            if is_of_round(peer) {
                enter_mounts_of(build, peer)?;
                let mut batch = Batch::new();
                connect(&mut batch, build.number(entry.id).into(), peer);
                build.run(0, &batch).map_err(|error| named(entry, &error))?;
            }
        }
        for entry in singles.iter().filter(|entry| is_deleted && is_of_round(entry)) {
            enter_mounts_of(build, entry)?;
            let mut batch = Batch::new();
            let path = batch.string(path_of(entry));
            batch.call("unlink", libc::SYS_unlink, &[path.into()]);
            build.run(0, &batch).map_err(|error| named(entry, &error))?;
        }
    }
    build.enter_mounts_of(None)?;
    for entry in singles {
        let mut batch = Batch::new();
        let flags = entry.flags & NONBLOCK;
        let arguments = [build.number(entry.id).into(), libc::F_SETFL.into(), flags.into()];
        batch.call("F_SETFL", libc::SYS_fcntl, &arguments);
        build.run(0, &batch).map_err(|error| named(entry, &error))?;
    }
    Ok(())
}

/// Lets the first task find the file of a socket's name.
fn enter_mounts_of(build: &mut Build<'_>, entry: &UnixSkEntry) -> Result<()> {
    build.enter_mounts_of(entry.mnt_id.map(|id| id as u32))
}

/// Whether the name of a socket was given to one of the images: connected is only to those, never to somebody outside
/// who is called the same.
fn check_is_ours(bound: &[&UnixSkEntry], to: &UnixSkEntry) -> Result<()> {
    match bound.iter().any(|entry| entry.id == to.id && !entry.name.is_empty()) {
        true => Ok(()),
        false => Err(Error::new(format!("it is connected to {}, which nobody is bound to", to.ino))),
    }
}

/// A connection that was made by name, so that both ends know it.
struct Connection<'a> {
    client: &'a UnixSkEntry,
    server: &'a UnixSkEntry,
    listener: &'a UnixSkEntry,
}

/// The socket that has accepted a connection: it gave its name to this end.
fn listener_of<'a>(all: &[&'a UnixSkEntry], server: &UnixSkEntry) -> Option<&'a UnixSkEntry> {
    let has_accepted = |entry: &&&UnixSkEntry| {
        entry.state == LISTEN
            && (entry.r#type, &entry.name, entry.deleted) == (server.r#type, &server.name, server.deleted)
    };
    all.iter().find(has_accepted).copied().filter(|_| !server.name.is_empty())
}

fn open_accepted(build: &mut Build<'_>, connection: &Connection<'_>) -> Result<()> {
    let Connection { client, server, listener } = connection;
    let mut batch = Batch::new();
    // A queue that is full is an error, not a reason to wait.
    let kind = client.r#type | NONBLOCK;
    let fd = batch.call("socket", libc::SYS_socket, &[libc::AF_UNIX.into(), kind.into(), 0.into()]);
    connect(&mut batch, fd.into(), listener);
    let from = build.number(listener.id);
    let flags = NONBLOCK.into();
    let other = batch.call("accept4", libc::SYS_accept4, &[from.into(), 0.into(), 0.into(), flags]);
    for (fd, entry) in [(fd, client), (other, server)] {
        options(&mut batch, fd.into(), &entry.opts);
        let flags = entry.flags & NONBLOCK;
        batch.call("F_SETFL", libc::SYS_fcntl, &[fd.into(), libc::F_SETFL.into(), flags.into()]);
        build.settle(&mut batch, fd, entry.id);
    }
    build.run(0, &batch)?;
    Ok(())
}

fn connect(batch: &mut Batch, fd: Arg, to: &UnixSkEntry) {
    let (address, len) = address(batch, &to.name);
    batch.call("connect", libc::SYS_connect, &[fd, address, len.into()]);
}

fn path_of(entry: &UnixSkEntry) -> &[u8] {
    entry.name.strip_suffix(b"\0").unwrap_or(&entry.name)
}

/// Sends what sockets have received, and shuts those down that were. Descriptors may have been sent: all files are open.
pub(super) fn deliver_all(build: &mut Build<'_>) -> Result<()> {
    let (all, outer) = unix_sockets(build.snapshot);
    let by_inode: BTreeMap<u32, &UnixSkEntry> = all.iter().map(|entry| (entry.ino, *entry)).collect();
    let mut senders = Senders::default();
    for entry in &all {
        deliver(build, entry, &by_inode, &mut senders).map_err(|error| named(entry, &error))?;
    }
    senders.end(build)?;
    // From then on nobody else can send to them.
    for (entry, peer) in all.iter().filter_map(|entry| Some((entry, sends_to(entry, &outer)?))) {
        enter_mounts_of(build, entry)?;
        let mut batch = Batch::new();
        connect(&mut batch, build.number(entry.id).into(), peer);
        build.run(0, &batch).map_err(|error| named(peer, &error))?;
    }
    build.enter_mounts_of(None)?;
    for entry in &all {
        let mut batch = Batch::new();
        let fd = build.number(entry.id);
        // What was delivered is in the queue already; the filter is for what comes.
        settings(&mut batch, fd.into(), &entry.opts);
        shut(&mut batch, fd.into(), entry.shutdown);
        build.run(0, &batch)?;
    }
    Ok(())
}

/// Processes that exist only to be named in messages: the kernel takes no number that nobody has.
#[derive(Default)]
struct Senders(BTreeMap<u32, (usize, u64)>);

impl Senders {
    /// Sees to it that there is a process with this number.
    fn make(&mut self, build: &mut Build<'_>, pid: u32) -> Result<()> {
        if pid == build.snapshot.tasks[0].entry.pid || self.0.contains_key(&pid) {
            return Ok(());
        }
        if !build.has_room_for_helpers() {
            self.end(build)?;
        }
        // Who chooses a process's number needs more than the container's user has.
        let lowered = build.lowered;
        build.raise()?;
        self.0.insert(pid, super::tree::make_helper(build, 0, pid)?);
        lowered.map_or(Ok(()), |capabilities| build.lower(capabilities))
    }

    fn end(&mut self, build: &mut Build<'_>) -> Result<()> {
        for (helper, pid) in std::mem::take(&mut self.0).into_values() {
            super::tree::end(build, helper, build.layout.first[0], pid)?;
        }
        Ok(())
    }
}

fn named(entry: &UnixSkEntry, error: &Error) -> Error {
    let name = String::from_utf8_lossy(&entry.name).replace('\0', "@");
    Error::new(format!("files: unix socket {} {name}: {error}", entry.ino))
}

/// A struct sockaddr_un, and its length.
fn address(batch: &mut Batch, name: &[u8]) -> (Arg, usize) {
    let mut bytes = (libc::AF_UNIX as u16).to_le_bytes().to_vec();
    bytes.extend_from_slice(name);
    // A path is NUL-terminated in the images; an abstract name begins with NUL and has its own length.
    let len = bytes.len();
    let place = batch.bytes(&bytes);
    batch.bytes(&[0]);
    (place.into(), len)
}

fn open_pair(build: &mut Build<'_>, entry: &UnixSkEntry, peer: Option<&UnixSkEntry>) -> Result<()> {
    let mut batch = Batch::new();
    let both = batch.space(8);
    let arguments = [libc::AF_UNIX.into(), entry.r#type.into(), 0.into(), both.into()];
    batch.call("socketpair", libc::SYS_socketpair, &arguments);
    let outcome = build.run(0, &batch)?;
    let numbers = [outcome.u32(both), outcome.u32(both.plus(4))];
    let lone = entry.id;
    let mut batch = Batch::new();
    for (number, entry) in numbers.iter().zip([Some(entry), peer]) {
        if let Some(entry) = entry {
            options(&mut batch, (*number).into(), &entry.opts);
            status(&mut batch, (*number).into(), entry.flags);
            let fd = batch.call("dup", libc::SYS_dup, &[(*number).into()]);
            build.settle(&mut batch, fd, entry.id);
        } else {
            // Nobody has this end: what is queued comes from it before it closes, `deliver`.
            build.lost.insert(lone, *number as i32);
            continue;
        }
        batch.call("close", libc::SYS_close, &[(*number).into()]);
    }
    build.run(0, &batch)?;
    Ok(())
}

/// Neither has it a name yet, nor does it wait for anything.
fn open_single(build: &mut Build<'_>, entry: &UnixSkEntry) -> Result<()> {
    let mut batch = Batch::new();
    let kind = entry.r#type | NONBLOCK;
    let fd = batch.call("socket", libc::SYS_socket, &[libc::AF_UNIX.into(), kind.into(), 0.into()]);
    options(&mut batch, fd.into(), &entry.opts);
    build.settle(&mut batch, fd, entry.id);
    build.run(0, &batch)?;
    Ok(())
}

/// Whether its name is that of a socket, which may go for the new one. The image has no say about other files.
fn is_socket(build: &mut Build<'_>, entry: &UnixSkEntry) -> Result<bool> {
    let mut batch = Batch::new();
    let path = batch.string(path_of(entry));
    let found = batch.space(144);
    let looked = batch.call_may_fail("lstat", libc::SYS_lstat, &[path.into(), found.into()]);
    let outcome = build.run(0, &batch)?;
    // struct stat: st_mode at 24.
    Ok(outcome.result(looked).is_ok() && outcome.u32(found.plus(24)) & libc::S_IFMT == libc::S_IFSOCK)
}

/// Gives a socket its name, and lets it listen.
fn bind(build: &mut Build<'_>, entry: &UnixSkEntry) -> Result<()> {
    let mut batch = Batch::new();
    let fd = build.number(entry.id);
    if let Some(first) = entry.name.first() {
        let path = batch.string(path_of(entry));
        let is_path = *first != 0;
        if is_path && is_socket(build, entry)? {
            batch.call("unlink", libc::SYS_unlink, &[path.into()]);
        }
        let (address, len) = address(&mut batch, &entry.name);
        batch.call("bind", libc::SYS_bind, &[fd.into(), address, len.into()]);
        if let Some(perms) = entry.file_perms.as_ref().filter(|_| is_path) {
            batch.call("chmod", libc::SYS_chmod, &[path.into(), (perms.mode & 0o7777).into()]);
            batch.call("chown", libc::SYS_chown, &[path.into(), perms.uid.into(), perms.gid.into()]);
        }
    }
    if entry.state == LISTEN {
        batch.call("listen", libc::SYS_listen, &[fd.into(), entry.backlog.into()]);
    }
    build.run(0, &batch)?;
    Ok(())
}

/// Sends what a socket has received once more, from its peer or from a stranger.
fn deliver(
    build: &mut Build<'_>,
    entry: &UnixSkEntry,
    by_inode: &BTreeMap<u32, &UnixSkEntry>,
    senders: &mut Senders,
) -> Result<()> {
    if let Some(from) = build.lost.remove(&entry.id) {
        send_all(build, from, entry, senders)?;
        let mut batch = Batch::new();
        batch.call("close", libc::SYS_close, &[from.into()]);
        build.run(0, &batch)?;
        return Ok(());
    }
    if !build.snapshot.queues.iter().any(|(packet, _)| packet.id_for == entry.id) {
        return Ok(());
    }
    if let Some(peer) = by_inode.get(&entry.peer).filter(|peer| peer.peer == entry.ino) {
        let from = build.number(peer.id);
        return send_all(build, from, entry, senders);
    }
    // Datagrams of a sender that is not there: from a new socket.
    let mut batch = Batch::new();
    let fd = batch.call("socket", libc::SYS_socket, &[libc::AF_UNIX.into(), entry.r#type.into(), 0.into()]);
    let (address, len) = address(&mut batch, &entry.name);
    batch.call("connect", libc::SYS_connect, &[fd.into(), address, len.into()]);
    let from = build.run(0, &batch)?.result(fd).unwrap_or(0) as i32;
    send_all(build, from, entry, senders)?;
    let mut batch = Batch::new();
    batch.call("close", libc::SYS_close, &[from.into()]);
    build.run(0, &batch)?;
    Ok(())
}

fn send_all(build: &mut Build<'_>, from: i32, to: &UnixSkEntry, senders: &mut Senders) -> Result<()> {
    let snapshot = build.snapshot;
    let packets = snapshot.queues.iter().enumerate().filter(|(_, (packet, _))| packet.id_for == to.id);
    for (nth, (packet, bytes)) in packets {
        let mut batch = Batch::new();
        let data = batch.bytes(bytes);
        let vector = batch.words(&[0, bytes.len() as u64]);
        batch.point(vector, data);
        let mut rights = Vec::new();
        for id in packet.scm.iter().flat_map(|scm| &scm.rights) {
            let number = build
                .open
                .get(id)
                .ok_or_else(|| Error::new(format!("file {id}, which was sent, is not there")))?;
            rights.extend_from_slice(&number.to_le_bytes());
        }
        let mut control = Vec::new();
        if !rights.is_empty() {
            control.extend(control_message(libc::SCM_RIGHTS, &rights));
        }
        if let Some(Sender { pid, uid, gid }) = snapshot.side.senders.get(&(nth as u32)) {
            senders.make(build, *pid)?;
            let credentials = [pid, uid, gid].map(|number| number.to_le_bytes()).concat();
            control.extend(control_message(libc::SCM_CREDENTIALS, &credentials));
        }
        // struct msghdr: name, namelen, iov, iovlen, control, controllen, flags
        let header = batch.words(&[0, 0, 0, 1, 0, control.len() as u64, 0]);
        batch.point(header.plus(16), vector);
        if !control.is_empty() {
            let place = batch.bytes(&control);
            batch.point(header.plus(32), place);
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let send = |batch: &mut Batch| {
            batch.call("sendmsg", libc::SYS_sendmsg, &[from.into(), header.into(), flags.into()]);
        };
        // Nobody sends in another's name without these.
        match snapshot.side.senders.contains_key(&(nth as u32)) {
            true => build.with_only(&mut batch, build.capabilities, send),
            false => send(&mut batch),
        }
        build.run(0, &batch)?;
    }
    Ok(())
}

/// A struct cmsghdr with its data, and what aligns the next.
fn control_message(kind: i32, data: &[u8]) -> Vec<u8> {
    let mut message = ((16 + data.len()) as u64).to_le_bytes().to_vec();
    message.extend_from_slice(&libc::SOL_SOCKET.to_le_bytes());
    message.extend_from_slice(&kind.to_le_bytes());
    message.extend_from_slice(data);
    message.resize(message.len().next_multiple_of(8), 0);
    message
}

fn open_inet(build: &mut Build<'_>, entry: &InetSkEntry) -> Result<()> {
    // Whatever the protocol: to connect a stream is to speak to somebody.
    let is_stream = entry.r#type != libc::SOCK_DGRAM as u32 && entry.r#type != libc::SOCK_RAW as u32;
    if is_stream && ![CLOSE, LISTEN].contains(&entry.state) {
        if build.policy.tcp_close {
            return open_inet_as(build, entry, false);
        }
        return Err(Error::new("an established TCP connection; use --tcp-established, or --tcp-close"));
    }
    open_inet_as(build, entry, true)
}

/// `has_names`: with its addresses, as far as it has any.
fn open_inet_as(build: &mut Build<'_>, entry: &InetSkEntry, has_names: bool) -> Result<()> {
    let mut batch = Batch::new();
    if ![libc::AF_INET as u32, libc::AF_INET6 as u32].contains(&entry.family) {
        return Err(Error::new(format!("family {} is not supported", entry.family)));
    }
    let arguments = [entry.family.into(), entry.r#type.into(), entry.proto.into()];
    let fd = batch.call("socket", libc::SYS_socket, &arguments);
    if let Some(only) = entry.v6only.filter(|_| entry.family == libc::AF_INET6 as u32) {
        set(&mut batch, fd.into(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only.into());
    }
    // The port may be in use by one that is being restored too.
    set(&mut batch, fd.into(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1);
    if entry.opts.so_reuseport == Some(true) {
        set(&mut batch, fd.into(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1);
    }
    if has_names && (entry.src_port != 0 || entry.src_addr.iter().any(|word| *word != 0)) {
        let (address, len) = inet_address(&mut batch, entry.family, &entry.src_addr, entry.src_port)?;
        batch.call("bind", libc::SYS_bind, &[fd.into(), address, len.into()]);
    }
    if has_names && entry.state == LISTEN {
        batch.call("listen", libc::SYS_listen, &[fd.into(), entry.backlog.into()]);
    }
    if has_names && entry.state == ESTABLISHED && entry.dst_port != 0 {
        let (address, len) = inet_address(&mut batch, entry.family, &entry.dst_addr, entry.dst_port)?;
        batch.call("connect", libc::SYS_connect, &[fd.into(), address, len.into()]);
    }
    let reuses_address = entry.opts.reuseaddr == Some(true);
    set(&mut batch, fd.into(), libc::SOL_SOCKET, libc::SO_REUSEADDR, reuses_address.into());
    set_up(&mut batch, fd.into(), entry);
    status(&mut batch, fd.into(), entry.flags);
    shut(&mut batch, fd.into(), entry.shutdown);
    build.settle(&mut batch, fd, entry.id);
    build.run(0, &batch)?;
    Ok(())
}

/// All options of a socket that has its addresses.
pub(super) fn set_up(batch: &mut Batch, fd: Arg, entry: &InetSkEntry) {
    options(batch, fd, &entry.opts);
    settings(batch, fd, &entry.opts);
    protocol_options(batch, fd, entry);
}

fn open_netlink(build: &mut Build<'_>, entry: &NetlinkSkEntry) -> Result<()> {
    let mut batch = Batch::new();
    let arguments = [libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), entry.protocol.into()];
    let fd = batch.call("socket", libc::SYS_socket, &arguments);
    // struct sockaddr_nl: family, pid, groups
    let name = |port: u32, groups: u32| {
        let mut bytes = (libc::AF_NETLINK as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(&port.to_le_bytes());
        bytes.extend_from_slice(&groups.to_le_bytes());
        bytes
    };
    if entry.portid != 0 {
        let own = batch.bytes(&name(entry.portid, entry.groups.first().copied().unwrap_or(0)));
        batch.call("bind", libc::SYS_bind, &[fd.into(), own.into(), 12.into()]);
    }
    if entry.dst_portid != 0 || entry.dst_group != 0 {
        let other = batch.bytes(&name(entry.dst_portid, entry.dst_group));
        batch.call("connect", libc::SYS_connect, &[fd.into(), other.into(), 12.into()]);
    }
    options(&mut batch, fd.into(), &entry.opts);
    settings(&mut batch, fd.into(), &entry.opts);
    status(&mut batch, fd.into(), entry.flags);
    build.settle(&mut batch, fd, entry.id);
    build.run(0, &batch)?;
    Ok(())
}

fn protocol_options(batch: &mut Batch, fd: Arg, entry: &InetSkEntry) {
    let is_v6 = entry.family == libc::AF_INET6 as u32;
    if let Some(ip) = &entry.ip_opts {
        let (level, tos, ttl, pktinfo) = match is_v6 {
            true => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS, libc::IPV6_UNICAST_HOPS, libc::IPV6_RECVPKTINFO),
            false => (libc::IPPROTO_IP, libc::IP_TOS, libc::IP_TTL, libc::IP_PKTINFO),
        };
        let numbers = [
            (libc::IPPROTO_IP, libc::IP_FREEBIND, ip.freebind.map(u32::from)),
            (level, pktinfo, ip.pktinfo.map(u32::from)),
            (level, tos, ip.tos),
            (level, ttl, ip.ttl),
        ];
        for (level, option, value) in numbers {
            if let Some(value) = value.filter(|value| *value != 0) {
                set(batch, fd, level, option, value);
            }
        }
        if let Some(raw) = &ip.raw {
            let header = if is_v6 { libc::IPV6_HDRINCL } else { libc::IP_HDRINCL };
            for (option, value) in [(header, raw.hdrincl), (libc::IP_NODEFRAG, raw.nodefrag)] {
                if value == Some(true) {
                    set(batch, fd, level, option, 1);
                }
            }
            let filter = icmp_filter(entry.family as i32, entry.proto as i32);
            if let Some((level, name, words)) = filter.filter(|(.., words)| raw.icmpv_filter.len() == *words)
            {
                let bytes: Vec<u8> = raw.icmpv_filter.iter().flat_map(|word| word.to_le_bytes()).collect();
                let value = batch.bytes(&bytes);
                let arguments = [fd, level.into(), name.into(), value.into(), (words * 4).into()];
                batch.call("setsockopt", libc::SYS_setsockopt, &arguments);
            }
        }
    }
    if let Some(tcp) = &entry.tcp_opts {
        let numbers = [
            (libc::TCP_CORK, tcp.cork.map(u32::from)),
            (libc::TCP_NODELAY, tcp.nodelay.map(u32::from)),
            (libc::TCP_KEEPCNT, tcp.keepcnt),
            (libc::TCP_KEEPIDLE, tcp.keepidle),
            (libc::TCP_KEEPINTVL, tcp.keepintvl),
        ];
        for (option, value) in numbers {
            if let Some(value) = value.filter(|value| *value != 0) {
                set(batch, fd, libc::IPPROTO_TCP, option, value);
            }
        }
    }
}

pub(super) fn set(batch: &mut Batch, fd: Arg, level: i32, option: i32, value: u32) {
    let value = batch.bytes(&value.to_le_bytes());
    let arguments = [fd, level.into(), option.into(), value.into(), 4.into()];
    batch.call("setsockopt", libc::SYS_setsockopt, &arguments);
}

/// Memory with an address, and its length.
pub(super) fn inet_address(batch: &mut Batch, family: u32, words: &[u32], port: u32) -> Result<(Arg, usize)> {
    let bytes = sockaddr(family, words, port)?;
    Ok((batch.bytes(&bytes).into(), bytes.len()))
}

/// A struct sockaddr_in or sockaddr_in6. Addresses are in network order as they are, ports are not.
pub(super) fn sockaddr(family: u32, words: &[u32], port: u32) -> Result<Vec<u8>> {
    let mut bytes = (family as u16).to_le_bytes().to_vec();
    bytes.extend_from_slice(&(port as u16).to_be_bytes());
    let count = if family == libc::AF_INET6 as u32 { 4 } else { 1 };
    if words.len() < count {
        return Err(Error::new("its address is cut off"));
    }
    if count == 4 {
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes.extend(words[..count].iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend_from_slice(if count == 4 { &[0; 4] } else { &[0; 8] });
    Ok(bytes)
}
