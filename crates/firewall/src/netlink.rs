//! The kernel's word about changes of the ruleset, over netlink
//! (`linux/netfilter/nf_tables.h`): the generation, which grows with every
//! transaction, and the multicast group that tells of each of them. Both cost a
//! few system calls where asking `nft` costs a process.

use futures_util::{StreamExt, stream, stream::BoxStream};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
        setsockopt, socket, sockopt,
    },
};
use std::{
    collections::VecDeque,
    io,
    os::fd::{AsRawFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{io::unix::AsyncFd, time::sleep};

/// `NFNLGRP_NFTABLES` is group 7; a socket's address holds groups as bits.
const GROUP: u32 = 1 << (7 - 1);
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN`.
const NEWGEN: u16 = 10 << 8 | 15;
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN`.
const GETGEN: u16 = 10 << 8 | 16;
/// `NFTA_GEN_ID`.
const GEN_ID: u16 = 1;
const HEADER: usize = 16;
/// What the names we watch look like inside a message: our table, and the
/// chains of iptables that our packets pass.
const NAMES: [&[u8]; 3] = [b"maliknode\0", b"DOCKER-USER\0", b"FORWARD\0"];
/// A change seldom comes alone; this is how long others may join it.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// The process ids of commands we ran of late: the kernel names a change's
/// netlink port, which for `nft` and `iptables` is their process id. Where it is
/// not (a process id namespace, a port that was taken), we are told of our own
/// changes, which costs a look and finds nothing to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnChanges(Arc<Mutex<VecDeque<u32>>>);

impl OwnChanges {
    /// Remembers a command of ours.
    pub(crate) fn note(&self, id: u32) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() == 32 {
            ids.pop_front();
        }
        ids.push_back(id);
    }

    fn has(&self, port: u32) -> bool {
        let ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.contains(&port)
    }
}

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

/// The ruleset's generation in this thread's network namespace, where the
/// kernel tells it. It covers every table of nf_tables, iptables-nft's included.
pub(crate) fn generation() -> Option<u32> {
    let ask = || -> nix::Result<Vec<u8>> {
        let fd = open(0)?;
        let mut request = Vec::with_capacity(HEADER + 4);
        request.extend(20_u32.to_ne_bytes());
        request.extend(GETGEN.to_ne_bytes());
        request.extend(1_u16.to_ne_bytes()); // NLM_F_REQUEST
        request.extend([0; 8]); // sequence and port: one question, one answer
        request.extend([0; 4]); // nfgenmsg: any family, version 0
        send(fd.as_raw_fd(), &request, MsgFlags::empty())?;
        // The kernel answers within the call above, so nothing is waited for.
        let mut answer = vec![0; 1024];
        let length = recv(fd.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        answer.truncate(length);
        Ok(answer)
    };
    let answer = ask().ok()?;
    let (_, message) = Messages(&answer).find(|(h, _)| h.kind == NEWGEN)?;
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

/// The messages of a datagram, each as its header and what follows it.
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

/// Whether a datagram tells of a change that concerns us, by another hand.
fn concerns_us(datagram: &[u8], own: &OwnChanges) -> bool {
    Messages(datagram).any(|(header, body)| {
        let named = |name: &&[u8]| body.windows(name.len()).any(|w| w == *name);
        header.kind >> 8 == NEWGEN >> 8 && !own.has(header.port) && NAMES.iter().any(named)
    })
}

/// Says, debounced, that tables of ours or chains we pass were changed by
/// another hand. Ends never; says nothing where the kernel does not tell.
pub(crate) fn changes(own: OwnChanges) -> BoxStream<'static, ()> {
    let fd = open(GROUP).inspect(|fd| {
        // Room for Docker's bursts; an overrun counts as a change anyway.
        let _ = setsockopt(fd, sockopt::RcvBuf, &(1 << 20));
    });
    // Registered at the first poll: only then is a runtime certain.
    let start = fd
        .map(Watch::Opened)
        .map_err(|error| tracing::warn!(%error, "the kernel does not tell of firewall changes; they are found by the timer"))
        .unwrap_or(Watch::Deaf);
    stream::unfold(start, move |watch| {
        let own = own.clone();
        async move {
            let watch = watch.next_change(&own).await;
            Some(((), watch))
        }
    })
    .boxed()
}

enum Watch {
    Opened(OwnedFd),
    Ready(AsyncFd<OwnedFd>),
    Deaf,
}

impl Watch {
    async fn next_change(self, own: &OwnChanges) -> Self {
        let ready = match self {
            // SAFETY: an `OwnedFd` is open as long as it lives, names the same
            // socket throughout, and the `AsyncFd` owns it until it is dropped.
            Watch::Opened(fd) => unsafe { AsyncFd::register(fd) }.map_err(io::Error::from),
            Watch::Ready(fd) => Ok(fd),
            Watch::Deaf => return std::future::pending().await,
        };
        let seen = match ready {
            Ok(fd) => listen(&fd, own).await.map(|()| fd),
            Err(e) => Err(e),
        };
        match seen {
            Ok(fd) => Watch::Ready(fd),
            Err(error) => {
                tracing::warn!(%error, "listening for firewall changes ended; they are found by the timer");
                std::future::pending().await
            }
        }
    }
}

/// Returns after a change that concerns us, and what came along with it.
async fn listen(fd: &AsyncFd<OwnedFd>, own: &OwnChanges) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let mut guard = fd.readable().await?;
        let mut change = false;
        while let Ok(got) = guard.try_io(|fd| receive(fd.get_ref(), &mut buffer)) {
            change |= match got {
                Ok(length) => concerns_us(&buffer[..length], own),
                // Messages were lost: whatever they were may concern us.
                Err(e) if e.raw_os_error() == Some(Errno::ENOBUFS as i32) => true,
                Err(e) => return Err(e),
            };
        }
        if change {
            break;
        }
    }
    sleep(DEBOUNCE).await;
    // What joined in the meantime is covered by this event: the look that
    // follows is younger.
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
    fn changes_of_our_names_by_another_hand_concern_us() {
        let own = OwnChanges::default();
        own.note(42);
        let table = message(10 << 8, 7, b"\0\0\0\0\x0e\0\x01\0maliknode\0");
        assert!(concerns_us(&table, &own));
        let by_us = message(10 << 8, 42, b"\0\0\0\0\x0e\0\x01\0maliknode\0");
        assert!(!concerns_us(&by_us, &own));
        let other = message(10 << 8, 7, b"\0\0\0\0\x0e\0\x01\0maliknodes\0");
        assert!(!concerns_us(&other, &own));
        let second = [other, message(10 << 8 | 6, 7, b"DOCKER-USER\0")].concat();
        assert!(concerns_us(&second, &own));
    }

    #[test]
    fn cut_and_empty_datagrams_are_no_trouble() {
        let own = OwnChanges::default();
        let whole = message(10 << 8, 7, b"maliknode\0");
        for end in 0..whole.len() - 2 {
            assert!(!concerns_us(&whole[..end], &own));
        }
        assert!(!concerns_us(&[0; 64], &own));
        assert!(!concerns_us(&[0xff; 64], &own));
    }

    #[test]
    fn only_the_latest_commands_are_remembered() {
        let own = OwnChanges::default();
        (0..100).for_each(|id| own.note(id));
        assert!(own.has(99) && own.has(68) && !own.has(67));
    }
}
