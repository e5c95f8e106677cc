//! Detects changes of the ruleset over netlink (`linux/netfilter/nf_tables.h`):
//! the generation number, which grows with every transaction, and the multicast
//! group that announces every transaction. Both cost a few system calls, while
//! `nft` costs a process.

use crate::own_pids::OwnPids;
use futures_util::{StreamExt, stream, stream::BoxStream};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
        setsockopt, socket, sockopt,
    },
};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};
use tokio::{io::unix::AsyncFd, time::sleep};

/// `NFNLGRP_NFTABLES` is group 7; a netlink address contains groups as bits.
const GROUP: u32 = 1 << (7 - 1);
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN`.
const NEWGEN: u16 = 10 << 8 | 15;
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN`.
const GETGEN: u16 = 10 << 8 | 16;
/// `NFTA_GEN_ID`.
const GEN_ID: u16 = 1;
/// The length of a netlink message's header in bytes.
const HEADER: usize = 16;
/// The names whose changes are reported, as they are encoded in a message: our
/// table, and the chains of iptables that tenants' packets traverse.
const WATCHED_NAMES: [&[u8]; 3] = [b"maliknode\0", b"DOCKER-USER\0", b"FORWARD\0"];
/// How long to collect further changes into one event; changes come in bursts.
const DEBOUNCE: Duration = Duration::from_millis(200);

fn open(groups: u32) -> nix::Result<OwnedFd> {
    let fd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkNetFilter,
    )?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(fd)
}

/// Returns the ruleset's generation in this thread's network namespace, or `None`
/// if the kernel does not report it. It covers every table of nf_tables,
/// including those of iptables-nft.
pub(crate) fn generation() -> Option<u32> {
    let request = || -> nix::Result<Vec<u8>> {
        let fd = open(0)?;
        let mut message = Vec::with_capacity(HEADER + 4);
        message.extend(20_u32.to_ne_bytes());
        message.extend(GETGEN.to_ne_bytes());
        message.extend(1_u16.to_ne_bytes()); // NLM_F_REQUEST
        message.extend([0; 8]); // sequence and port: unused on a one-request socket
        message.extend([0; 4]); // nfgenmsg: any family, version 0
        send(fd.as_raw_fd(), &message, MsgFlags::empty())?;
        // The kernel responds within the call above, so this does not block.
        let mut response = vec![0; 1024];
        let length = recv(fd.as_raw_fd(), &mut response, MsgFlags::empty())?;
        response.truncate(length);
        Ok(response)
    };
    let response = request().ok()?;
    let (_, message) = Messages(&response).find(|(h, _)| h.kind == NEWGEN)?;
    let mut attributes = message.get(4..)?;
    while attributes.len() >= 8 {
        let length = usize::from(u16::from_ne_bytes([attributes[0], attributes[1]]));
        if u16::from_ne_bytes([attributes[2], attributes[3]]) == GEN_ID && length == 8 {
            let id = attributes[4..8].try_into().ok()?;
            return Some(u32::from_be_bytes(id));
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
    None
}

struct Header {
    kind: u16,
    port: u32,
}

/// Iterates over the messages of a datagram: each one's header and body.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (Header, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let head = self.0.first_chunk::<HEADER>()?;
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let header = Header {
            kind: u16::from_ne_bytes([head[4], head[5]]),
            port: u32::from_ne_bytes([head[12], head[13], head[14], head[15]]),
        };
        let body = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((header, body))
    }
}

/// Returns whether a datagram announces an external change of a watched name.
fn is_relevant(datagram: &[u8], own: &OwnPids) -> bool {
    Messages(datagram).any(|(header, body)| {
        let mentions = |name: &&[u8]| body.windows(name.len()).any(|w| w == *name);
        header.kind >> 8 == NEWGEN >> 8
            && !own.contains(header.port)
            && WATCHED_NAMES.iter().any(mentions)
    })
}

/// Returns a stream with an event, debounced, for external changes of our tables
/// and of the chains that tenants' packets traverse. It never ends. Where the
/// kernel does not report changes it stays silent.
pub(crate) fn changes(own: OwnPids) -> BoxStream<'static, ()> {
    let fd = open(GROUP).inspect(|fd| {
        // This is room for Docker's bursts; an overrun counts as a change anyway.
        let _ = setsockopt(fd, sockopt::RcvBuf, &(1 << 20));
    });
    // The descriptor is registered at the first poll, when a runtime is certain.
    let start = fd
        .map(Listener::Opened)
        .map_err(|error| tracing::warn!(%error, "the kernel does not report firewall changes; only the timer finds them"))
        .unwrap_or(Listener::Unavailable);
    stream::unfold(start, move |listener| {
        let own = own.clone();
        async move {
            let listener = listener.next_change(&own).await;
            Some(((), listener))
        }
    })
    .boxed()
}

/// The socket of the multicast group.
enum Listener {
    Opened(OwnedFd),
    Registered(AsyncFd<OwnedFd>),
    Unavailable,
}

impl Listener {
    /// Waits for the next external change.
    async fn next_change(self, own: &OwnPids) -> Self {
        let registered = match self {
            // SAFETY: an `OwnedFd` stays open and refers to the same socket while
            // it exists, and the `AsyncFd` owns it until it is dropped.
            Listener::Opened(fd) => unsafe { AsyncFd::register(fd) }.map_err(io::Error::from),
            Listener::Registered(fd) => Ok(fd),
            Listener::Unavailable => return std::future::pending().await,
        };
        let heard = match registered {
            Ok(fd) => listen(&fd, own).await.map(|()| fd),
            Err(e) => Err(e),
        };
        match heard {
            Ok(fd) => Listener::Registered(fd),
            Err(error) => {
                tracing::warn!(%error, "listening for firewall changes failed; only the timer finds them now");
                std::future::pending().await
            }
        }
    }
}

/// Returns after a relevant change and the burst that follows it.
async fn listen(fd: &AsyncFd<OwnedFd>, own: &OwnPids) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let mut guard = fd.readable().await?;
        let mut change = false;
        while let Ok(received) = guard.try_io(|fd| receive(fd.get_ref(), &mut buffer)) {
            change |= match received {
                Ok(length) => is_relevant(&buffer[..length], own),
                // Messages were lost, and any of them may have been relevant.
                Err(e) if e.raw_os_error() == Some(Errno::ENOBUFS as i32) => true,
                Err(e) => return Err(e),
            };
        }
        if change {
            break;
        }
    }
    sleep(DEBOUNCE).await;
    // This event covers the changes that arrived in the meantime: the reading that
    // follows it is more recent.
    while let Ok(_) | Err(Errno::ENOBUFS) =
        recv(fd.get_ref().as_raw_fd(), &mut buffer, MsgFlags::empty())
    {}
    Ok(())
}

fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    recv(fd.as_raw_fd(), buffer, MsgFlags::empty()).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, port: u32, body: &[u8]) -> Vec<u8> {
        let mut m = Vec::new();
        m.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        m.extend(kind.to_ne_bytes());
        m.extend([0; 6]);
        m.extend(port.to_ne_bytes());
        m.extend(body);
        m.resize(m.len().next_multiple_of(4), 0);
        m
    }

    #[test]
    fn external_changes_of_watched_names_are_relevant() {
        let own = OwnPids::default();
        own.add(42);
        let table = message(10 << 8, 7, b"\0\0\0\0\x0e\0\x01\0maliknode\0");
        assert!(is_relevant(&table, &own));
        let by_us = message(10 << 8, 42, b"\0\0\0\0\x0e\0\x01\0maliknode\0");
        assert!(!is_relevant(&by_us, &own));
        let other = message(10 << 8, 7, b"\0\0\0\0\x0e\0\x01\0maliknodes\0");
        assert!(!is_relevant(&other, &own));
        let second = [other, message(10 << 8 | 6, 7, b"DOCKER-USER\0")].concat();
        assert!(is_relevant(&second, &own));
    }

    #[test]
    fn truncated_and_empty_datagrams_are_ignored() {
        let own = OwnPids::default();
        let datagram = message(10 << 8, 7, b"maliknode\0");
        for end in 0..datagram.len() - 2 {
            assert!(!is_relevant(&datagram[..end], &own));
        }
        assert!(!is_relevant(&[0; 64], &own));
        assert!(!is_relevant(&[0xff; 64], &own));
    }
}
