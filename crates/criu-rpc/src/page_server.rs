//! The page server, which takes the pages of one dump: `criu page-server` and the request of that name. And the connection
//! of a dump to one.

use crate::command_line::Line;
use crate::lazy_pages;
use crate::messages;
use crate::options::{Options, Result};
use crate::service::leave_terminal;
use checkpoint::{LogFile, PageReceiver, PageSource, WorkDirectory};
use images::page_server::PageServer;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use sys::clone::{Child, CloneArgs, spawn};

/// The server that pages of a dump go to, if the options name one.
pub(crate) fn connect(options: &Options) -> Result<Option<PageServer>> {
    if !options.page_server {
        return Ok(None);
    }
    let connected = match options.ps_socket {
        Some(number) => {
            PageServer::connected(own("ps-socket", number)?, format!("page server at descriptor {number}"))
        }
        None => {
            let address = options.address.as_deref().ok_or("page-server: an address is needed")?;
            let port = options.port.filter(|port| *port > 0).ok_or("page-server: a port is needed")?;
            PageServer::connect(SocketAddr::new(ip(address)?, port))
        }
    };
    connected.map(Some).map_err(|error| error.to_string())
}

/// Where a dump serves memory that it leaves with the tasks, and how that is called.
pub(crate) fn source(options: &Options) -> Result<(PageSource, String)> {
    if let Some(number) = options.ps_socket {
        let source = PageSource::connected(own("ps-socket", number)?);
        return Ok((source, format!("descriptor {number}")));
    }
    let place = place(options)?;
    if place.port() == 0 {
        return Err("lazy-pages: a port is needed, where the dump serves memory".to_owned());
    }
    let source = PageSource::listen(place).map_err(|error| error.to_string())?;
    Ok((source, place.to_string()))
}

/// Serves one dump; with `--daemon`, in a process of its own.
pub(crate) fn run(line: &Line, images: BorrowedFd<'_>, mut log: Option<LogFile>) -> Result<()> {
    let server = Server::prepare(&line.options, images).and_then(|mut server| {
        server.status = line.options.status_fd.map(lazy_pages::status).transpose()?;
        Ok(server)
    });
    let server = noted(server, log.as_mut())?;
    if let Some(log) = &mut log {
        log.line(&format!("pages come from {}", server.place()));
    }
    if line.detached {
        line.write_pidfile(server.spawn(log)?.pid as u32)
    } else {
        line.write_pidfile(std::process::id()).and_then(|()| server.serve(log))
    }
}

/// Starts a process that serves one dump, and tells where.
pub(crate) fn start(
    options: &Options,
    images: BorrowedFd<'_>,
    work: &WorkDirectory,
) -> Result<messages::PageServer> {
    let mut log = options.log(work, "page-server.log")?;
    let server = noted(Server::prepare(options, images), Some(&mut log))?;
    log.line(&format!("pages come from {}", server.place()));
    let port = server.port();
    let pid = server.spawn(Some(log))?.pid;
    Ok(messages::PageServer { address: None, port: port.map(i32::from), pid: Some(pid), fd: None })
}

struct Server {
    receiver: PageReceiver,
    source: Source,
    images: OwnedFd,
    status: Option<File>,
    auto_dedup: bool,
}

/// Where pages come from.
enum Source {
    Listener(TcpListener, SocketAddr),
    /// Any kind of socket that is a stream.
    Connection(TcpStream),
}

impl Server {
    fn prepare(options: &Options, images: BorrowedFd<'_>) -> Result<Server> {
        let source = match options.ps_socket {
            Some(number) => Source::Connection(own("ps-socket", number)?.into()),
            None => {
                let address = place(options)?;
                let bound = TcpListener::bind(address)
                    .and_then(|listener| listener.local_addr().map(|address| (listener, address)));
                let (listener, address) = bound.map_err(|error| format!("listen at {address}: {error}"))?;
                Source::Listener(listener, address)
            }
        };
        let copy = || images.try_clone_to_owned().map_err(|error| format!("images-dir: {error}"));
        let receiver = PageReceiver::new(copy()?, options.parent.as_deref());
        let receiver = receiver.map_err(|error| error.to_string())?;
        Ok(Server { receiver, source, images: copy()?, status: None, auto_dedup: options.auto_dedup })
    }

    fn port(&self) -> Option<u16> {
        match &self.source {
            Source::Listener(_, address) => Some(address.port()),
            Source::Connection(_) => None,
        }
    }

    fn place(&self) -> String {
        match &self.source {
            Source::Listener(_, address) => address.to_string(),
            Source::Connection(_) => "a connection that was given".to_owned(),
        }
    }

    fn spawn(self, log: Option<LogFile>) -> Result<Child> {
        let serve = || match leave_terminal() {
            Ok(()) => i32::from(self.serve(log).is_err()),
            Err(_) => 1,
        };
        spawn(&CloneArgs::default(), serve).map_err(|error| format!("make the server's process: {error}"))
    }

    fn serve(self, mut log: Option<LogFile>) -> Result<()> {
        noted(self.take_pages(), log.as_mut())
    }

    fn take_pages(self) -> Result<()> {
        lazy_pages::announce(self.status)?;
        let mut stream = match self.source {
            Source::Connection(stream) => stream,
            Source::Listener(listener, address) => {
                listener.accept().map_err(|error| format!("accept at {address}: {error}"))?.0
            }
        };
        // Answers are waited for. A socket of another family has no such delay.
        let _ = stream.set_nodelay(true);
        self.receiver.receive(&mut stream).map_err(|error| error.to_string())?;
        match self.auto_dedup {
            true => checkpoint::dedup(self.images.as_fd()).map_err(|error| format!("auto-dedup: {error}")),
            false => Ok(()),
        }
    }
}

/// Errors are in the log, too.
fn noted<T>(result: Result<T>, log: Option<&mut LogFile>) -> Result<T> {
    if let (Err(error), Some(log)) = (&result, log) {
        log.error(error);
    }
    result
}

/// Where to listen.
fn place(options: &Options) -> Result<SocketAddr> {
    let ip = options.address.as_deref().map_or(Ok(Ipv4Addr::UNSPECIFIED.into()), ip)?;
    Ok(SocketAddr::new(ip, options.port.unwrap_or(0)))
}

fn ip(address: &str) -> Result<IpAddr> {
    address.parse().map_err(|_| format!("address {address}: not an IP address"))
}

/// A descriptor that we were given.
fn own(option: &str, number: RawFd) -> Result<OwnedFd> {
    sys::process::own_descriptor(number).map_err(|error| format!("{option} {number}: {error}"))
}
