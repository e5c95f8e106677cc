//! Reads the table and deletes entries, over sockets of ctnetlink.

use crate::{
    error::TableError,
    ipv6,
    wire::{Entry, NEW, write_dump, write_statistics},
};
use hostfs::netlink::{Channel, NETLINK_NETFILTER, NLMSG_ERROR, error_of};
use nix::errno::Errno;

/// How many deletions are sent in one datagram. Their acknowledgements have to fit
/// into the socket's buffer, where each counts as some 800 bytes of 208 KiB.
const BATCH: usize = 128;

/// Reads all entries of IPv4 in this thread's network namespace and passes each on, and
/// those of IPv6 where the installation has it.
/// An entry that begins or ends meanwhile may be missing.
///
/// # Errors
/// If the kernel refuses, or answers something else than its header files say.
pub fn dump(mut each: impl FnMut(&Entry<'_>) -> Result<(), TableError>) -> Result<(), TableError> {
    for ends in [None].into_iter().chain(ipv6::ends().map(Some)) {
        let mut request = Vec::new();
        write_dump(ends.is_some(), &mut request);
        Channel::open(NETLINK_NETFILTER)?.ask(&request, |message| {
            if message.message_type() != NEW {
                return Ok(());
            }
            let body = message.payload();
            match &ends {
                Some(ends) => each(&Entry::parse_ipv6(body, ends)?),
                None => each(&Entry::parse(body)?),
            }
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
    let mut request = Vec::new();
    write_statistics(&mut request);
    Channel::open(NETLINK_NETFILTER)?.ask(&request, |_| Ok(()))
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
            channel: Channel::open(NETLINK_NETFILTER)?,
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
            self.channel.receive(|message| -> Result<(), TableError> {
                if message.message_type() != NLMSG_ERROR {
                    return Ok(());
                }
                *waiting = waiting.saturating_sub(1);
                match error_of(message)? {
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
