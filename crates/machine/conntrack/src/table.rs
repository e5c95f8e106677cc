//! Reads the table and deletes entries, over sockets of ctnetlink.

use crate::{
    error::TableError,
    wire::{Entry, NEW, write_dump, write_statistics},
};
use netlink_packet_core::{DecodeError, ErrorBuffer, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::{
    errno::Errno,
    sys::{
        socket::{setsockopt, sockopt::ReceiveTimeout},
        time::TimeVal,
    },
};
use std::{io, num::NonZeroI32};

/// The largest datagram of a dump, in bytes: the kernel fills up to 32 KiB if the
/// buffer has room for it (`netlink_dump` in `net/netlink/af_netlink.c`).
const DATAGRAM: usize = 32 * 1024;

/// How many deletions are sent in one datagram. Their acknowledgements have to fit
/// into the socket's buffer, where each counts as some 800 bytes of 208 KiB.
const BATCH: usize = 128;

/// The longest wait for an answer, in seconds. The kernel answers within the call,
/// so it only ends a wait for an answer that was lost.
const ANSWER_TIMEOUT: i64 = 10;

/// A socket for requests and the buffer of its answers.
struct Channel {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Channel {
    fn open() -> Result<Self, TableError> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // An acknowledgement does not repeat the request.
        socket.set_cap_ack(true)?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(ANSWER_TIMEOUT, 0))
            .map_err(io::Error::from)?;
        Ok(Self {
            socket,
            buffer: vec![0; DATAGRAM],
        })
    }

    fn send(&self, requests: &[u8]) -> Result<(), TableError> {
        self.socket.send(requests, 0)?;
        Ok(())
    }

    /// Receives a datagram and passes each of its messages on: the type, and the body.
    fn receive(
        &mut self,
        mut message: impl FnMut(u16, &[u8]) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        let length = self.socket.recv(&mut &mut self.buffer[..], 0)?;
        let mut rest = self.buffer.get(..length).unwrap_or_default();
        while !rest.is_empty() {
            let next = NetlinkBuffer::new_checked(rest)?;
            message(next.message_type(), next.payload())?;
            let end = (next.length() as usize).next_multiple_of(4);
            rest = rest.get(end..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Reads all entries of IPv4 in this thread's network namespace and passes each on.
/// An entry that begins or ends meanwhile may be missing.
///
/// # Errors
/// If the kernel refuses, or answers something else than its header files say.
pub fn dump(mut each: impl FnMut(&Entry<'_>) -> Result<(), TableError>) -> Result<(), TableError> {
    let mut channel = Channel::open()?;
    let mut request = Vec::new();
    write_dump(&mut request);
    channel.send(&request)?;
    let mut done = false;
    while !done {
        channel.receive(|kind, body| match kind {
            NEW => each(&Entry::parse(body)?),
            // A dump that fails in its midst ends with the error.
            NLMSG_DONE | NLMSG_ERROR => {
                done = true;
                error_of(body)?.map_or(Ok(()), |e| Err(e.into()))
            }
            _ => Ok(()),
        })?;
    }
    Ok(())
}

/// Asks for the table's statistics, and returns once the kernel has answered. It then
/// has loaded the modules with the table and its settings, if they were not loaded.
///
/// # Errors
/// If the kernel has no such table, or refuses.
pub fn probe() -> Result<(), TableError> {
    let mut channel = Channel::open()?;
    let mut request = Vec::new();
    write_statistics(&mut request);
    channel.send(&request)?;
    let mut answered = false;
    while !answered {
        channel.receive(|kind, body| match kind {
            NLMSG_ERROR => {
                answered = true;
                error_of(body)?.map_or(Ok(()), |e| Err(e.into()))
            }
            _ => Ok(()),
        })?;
    }
    Ok(())
}

/// Deletes entries, in batches.
pub struct Deletions {
    channel: Channel,
    requests: Vec<u8>,
    waiting: usize,
    deleted: u64,
}

impl Deletions {
    /// Opens a socket of its own, so that deletions can be sent during a dump.
    ///
    /// # Errors
    /// If the kernel has no such socket.
    pub fn open() -> Result<Self, TableError> {
        Ok(Self {
            channel: Channel::open()?,
            requests: Vec::new(),
            waiting: 0,
            deleted: 0,
        })
    }

    /// Deletes an entry, at the latest in [`finish`](Self::finish).
    ///
    /// # Errors
    /// If the kernel refused this deletion or an earlier one.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), TableError> {
        entry.write_deletion(&mut self.requests);
        self.waiting += 1;
        match self.waiting {
            BATCH.. => self.send(),
            _ => Ok(()),
        }
    }

    /// Sends what is left and returns how many entries were deleted. One that ended by
    /// itself, or was replaced by a newer connection, does not count.
    ///
    /// # Errors
    /// If the kernel refused a deletion.
    pub fn finish(mut self) -> Result<u64, TableError> {
        self.send()?;
        Ok(self.deleted)
    }

    fn send(&mut self) -> Result<(), TableError> {
        if self.waiting == 0 {
            return Ok(());
        }
        self.channel.send(&self.requests)?;
        self.requests.clear();
        // After a refusal all answers are still received: the socket is used again.
        let mut refused = None;
        let (waiting, deleted) = (&mut self.waiting, &mut self.deleted);
        while *waiting > 0 {
            self.channel.receive(|kind, body| {
                if kind != NLMSG_ERROR {
                    return Ok(());
                }
                *waiting = waiting.saturating_sub(1);
                match error_of(body)? {
                    None => *deleted += 1,
                    Some(e) if e.raw_os_error() == Some(Errno::ENOENT as i32) => {}
                    Some(e) => {
                        // Without the right to change the table there is one answer
                        // for the whole batch.
                        if e.raw_os_error() == Some(Errno::EPERM as i32) {
                            *waiting = 0;
                        }
                        refused = Some(e);
                    }
                }
                Ok(())
            })?;
        }
        refused.map_or(Ok(()), |e| Err(e.into()))
    }
}

/// Returns the error in the body of an acknowledgement or of a dump's end, which both
/// begin with zero or a negative errno(3).
fn error_of(body: &[u8]) -> Result<Option<io::Error>, DecodeError> {
    if body.is_empty() {
        return Ok(None);
    }
    let code = ErrorBuffer::new_checked(body)?.code().map(NonZeroI32::get);
    Ok(code.map(|code| io::Error::from_raw_os_error(code.saturating_neg())))
}
