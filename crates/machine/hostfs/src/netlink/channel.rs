//! A socket for requests and their answers.

use crate::netlink::wire::{Message, Messages};
use netlink_packet_core::{DecodeError, ErrorBuffer, NLMSG_DONE, NLMSG_ERROR};
use netlink_sys::{Socket, SocketAddr};
use nix::sys::{
    socket::{setsockopt, sockopt::ReceiveTimeout},
    time::TimeVal,
};
use std::io;

/// The largest datagram of a dump, in bytes: the kernel fills up to 32 KiB if the
/// buffer has room for it (`netlink_dump` in `net/netlink/af_netlink.c`).
const DATAGRAM: usize = 32 * 1024;

/// The longest wait for an answer, in seconds. The kernel answers within the call,
/// so it only ends a wait for an answer that was lost.
const ANSWER_TIMEOUT: i64 = 10;

/// A socket for requests to the kernel and the buffer of its answers. Its calls block.
#[derive(Debug)]
pub struct Channel {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Channel {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// The kernel lacks the protocol, or the process may not.
    pub fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // An acknowledgement does not repeat the request.
        socket.set_cap_ack(true)?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(ANSWER_TIMEOUT, 0))?;
        Ok(Self {
            socket,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Sends requests, in one datagram.
    ///
    /// # Errors
    /// The kernel does not take them.
    pub fn send(&self, requests: &[u8]) -> io::Result<()> {
        self.socket.send(requests, 0).map(drop)
    }

    /// Receives a datagram and passes each of its messages on.
    ///
    /// # Errors
    /// There is no answer, it is malformed (`InvalidData`), or `each` fails.
    pub fn receive<E: From<io::Error>>(
        &mut self,
        mut each: impl FnMut(&Message<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let length = self.socket.recv(&mut &mut self.buffer[..], 0)?;
        for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
            each(&message.map_err(malformed)?)?;
        }
        Ok(())
    }

    /// Sends one request, for a dump or with `NLM_F_ACK`, and passes the messages of the
    /// answer on, without the one that ends it.
    ///
    /// # Errors
    /// The kernel refuses, also in the midst of a dump, or [`receive`](Self::receive) fails.
    pub fn ask<E: From<io::Error>>(
        &mut self,
        request: &[u8],
        mut each: impl FnMut(&Message<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.send(request)?;
        let mut ended = false;
        while !ended {
            self.receive(|message| match message.message_type() {
                NLMSG_DONE | NLMSG_ERROR => {
                    ended = true;
                    error_of(message)?.map_or(Ok(()), |e| Err(e.into()))
                }
                _ => each(message),
            })?;
        }
        Ok(())
    }
}

/// Returns the error in the body of an acknowledgement or of a dump's end, which both
/// begin with zero or a negative errno(3).
///
/// # Errors
/// The body is too short (`InvalidData`).
pub fn error_of(message: &Message<'_>) -> io::Result<Option<io::Error>> {
    let body = message.payload();
    if body.is_empty() {
        return Ok(None);
    }
    let code = ErrorBuffer::new_checked(body).map_err(malformed)?.code();
    Ok(code.map(|code| io::Error::from_raw_os_error(code.get().saturating_neg())))
}

fn malformed(e: DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, e)
}
