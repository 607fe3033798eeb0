//! The client at the other end of a socket of packets, each a message of rpc.proto.

use crate::messages::{Notification, Request, Response, Type};
use crate::{Error, failed};
use nix::sys::socket::{ControlMessage, MsgFlags, SockType, getsockopt, recv, sendmsg, sockopt};
use prost::Message;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(crate) struct Client<'a> {
    socket: &'a OwnedFd,
}

impl<'a> Client<'a> {
    pub(crate) fn new(socket: &'a OwnedFd) -> Result<Client<'a>, Error> {
        let kind = getsockopt(socket, sockopt::SockType).map_err(failed("find the kind of the socket"))?;
        if kind != SockType::SeqPacket {
            return Err(Error { what: "not a socket of packets (SOCK_SEQPACKET)", cause: None });
        }
        Ok(Client { socket })
    }

    /// The next request; `None` when the other end is closed. What is no request is `Err`.
    pub(crate) fn receive(&self) -> Result<Option<Result<Request, prost::DecodeError>>, Error> {
        Ok(receive(self.socket)?.map(|packet| Request::decode(packet.as_slice())))
    }

    pub(crate) fn send(&self, response: &Response, file: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        let files: Vec<_> = file.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&files)];
        let rights = if files.is_empty() { &[][..] } else { &rights };
        let (fd, packet) = (self.socket.as_raw_fd(), response.encode_to_vec());
        sendmsg::<()>(fd, &[IoSlice::new(&packet)], rights, MsgFlags::MSG_NOSIGNAL, None)
            .map_err(failed("answer"))?;
        Ok(())
    }

    /// Tells the client how far we are, and waits for its consent.
    pub(crate) fn notify(
        &self,
        script: &str,
        pid: Option<i32>,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<(), String> {
        let refused = |why: &str| Err(format!("notify {script}: {why}"));
        let notify = Some(Notification { script: Some(script.to_owned()), pid });
        let response = Response { r#type: Type::Notify as i32, success: true, notify, ..Response::default() };
        let answer = self.send(&response, file).and_then(|()| self.receive());
        match answer.map_err(|error| format!("notify {script}: {error}"))? {
            Some(Ok(Request { r#type, notify_success: Some(true), .. })) if r#type == Type::Notify as i32 => {
                Ok(())
            }
            Some(Ok(_)) => refused("the client says that it has failed"),
            Some(Err(_)) => refused("the client's answer is no criu_req"),
            None => refused("the client is gone"),
        }
    }

    /// Of the process that has connected, or made the pair.
    pub(crate) fn pid(&self) -> sys::Result<i32> {
        Ok(getsockopt(self.socket, sockopt::PeerCredentials)?.pid())
    }

    /// A copy of one of the client's descriptors.
    pub(crate) fn descriptor(&self, number: i32) -> sys::Result<OwnedFd> {
        let peer = sys::process::pidfd_open(self.pid()?)?;
        sys::process::pidfd_getfd(peer.as_fd(), number)
    }
}

/// A whole packet; `None` when the other end is closed.
pub(crate) fn receive(socket: &OwnedFd) -> Result<Option<Vec<u8>>, Error> {
    /// Bytes. Options can be long, but not that long.
    const LIMIT: usize = 1 << 20;
    let fd = socket.as_raw_fd();
    let size =
        recv(fd, &mut [], MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC).map_err(failed("read a request"))?;
    let mut packet = vec![0; size.min(LIMIT)];
    let read = recv(fd, &mut packet, MsgFlags::empty()).map_err(failed("read a request"))?;
    packet.truncate(read);
    Ok((!packet.is_empty()).then_some(packet))
}
