//! Netlink sockets (netlink(7)): requests by hand, and multicast groups by which the
//! kernel announces changes.

use futures_util::{StreamExt, stream, stream::BoxStream};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv,
        setsockopt, socket, sockopt,
    },
};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};
use tokio::{io::unix::AsyncFd, time::sleep};

/// The length of a netlink message's header in bytes.
pub const HEADER: usize = 16;
/// How long to collect further changes into one event; changes come in bursts.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Opens a socket that does not block, in the calling thread's network namespace.
/// `groups` has a bit for each multicast group: bit 0 is group 1.
///
/// # Errors
/// The kernel lacks the protocol, or the process may not.
pub fn open(protocol: SockProtocol, groups: u32) -> nix::Result<OwnedFd> {
    let fd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        protocol,
    )?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(fd)
}

/// The parts of a message's header that listeners need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The message's type.
    pub kind: u16,
    /// The flags (`NLM_F_…`).
    pub flags: u16,
    /// The port of the socket that caused it; 0 is the kernel.
    pub port: u32,
}

/// Iterates over the messages of a datagram: each one's header and body.
#[derive(Clone, Debug)]
pub struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (Header, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let head = self.0.first_chunk::<HEADER>()?;
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let header = Header {
            kind: u16::from_ne_bytes([head[4], head[5]]),
            flags: u16::from_ne_bytes([head[6], head[7]]),
            port: u32::from_ne_bytes([head[12], head[13], head[14], head[15]]),
        };
        let body = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((header, body))
    }
}

/// Iterates over the attributes of a message: each one's type, without the flags, and
/// its value.
#[derive(Clone, Debug)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let head = self.0.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        // NLA_F_NESTED and NLA_F_NET_BYTEORDER are the two highest bits.
        let kind = u16::from_ne_bytes([head[2], head[3]]) & 0x3fff;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// Returns a stream with an event, debounced, for datagrams that are relevant. It
/// never ends. `subject` is what changes, for the log. Where the kernel does not
/// report changes the stream stays silent.
pub fn changes(
    protocol: SockProtocol,
    groups: u32,
    subject: &'static str,
    is_relevant: impl Fn(&[u8]) -> bool + Send + Sync + Clone + 'static,
) -> BoxStream<'static, ()> {
    let fd = open(protocol, groups).inspect(|fd| {
        // This is room for bursts; an overrun counts as a change anyway.
        let _ = setsockopt(fd, sockopt::RcvBuf, &(1 << 20));
    });
    // The descriptor is registered at the first poll, when a runtime is certain.
    let start = fd
        .map(Listener::Opened)
        .map_err(|error| tracing::warn!(%error, subject, "the kernel does not report changes; only the timer finds them"))
        .unwrap_or(Listener::Unavailable);
    stream::unfold(start, move |listener| {
        let is_relevant = is_relevant.clone();
        async move {
            let listener = listener.next_change(subject, is_relevant).await;
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
    async fn next_change(self, subject: &str, is_relevant: impl Fn(&[u8]) -> bool) -> Self {
        let registered = match self {
            // SAFETY: an `OwnedFd` stays open and refers to the same socket while
            // it exists, and the `AsyncFd` owns it until it is dropped.
            Listener::Opened(fd) => unsafe { AsyncFd::register(fd) }.map_err(io::Error::from),
            Listener::Registered(fd) => Ok(fd),
            Listener::Unavailable => return std::future::pending().await,
        };
        let heard = match registered {
            Ok(fd) => listen(&fd, is_relevant).await.map(|()| fd),
            Err(e) => Err(e),
        };
        match heard {
            Ok(fd) => Listener::Registered(fd),
            Err(error) => {
                tracing::warn!(%error, subject, "listening for changes failed; only the timer finds them now");
                std::future::pending().await
            }
        }
    }
}

/// Returns after a relevant change and the burst that follows it.
async fn listen(fd: &AsyncFd<OwnedFd>, is_relevant: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let mut guard = fd.readable().await?;
        let mut change = false;
        while let Ok(received) = guard.try_io(|fd| receive(fd.get_ref(), &mut buffer)) {
            change |= match received {
                Ok(length) => is_relevant(&buffer[..length]),
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

    #[test]
    fn truncated_messages_and_attributes_end_the_iteration() {
        let message = [
            20, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 6, 0, 3, 0x80,
        ];
        let all: Vec<_> = Messages(&message).collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].0.kind, all[0].0.port), (7, 9));
        for end in 0..message.len() {
            assert_eq!(Messages(&message[..end]).count(), 0);
        }
        assert_eq!(Messages(&[0; 64]).count(), 0);
        assert_eq!(Messages(&[0xff; 64]).count(), 0);

        let attributes = [6, 0, 3, 0x80, b'a', b'b', 0, 0, 4, 0, 1, 0];
        let all: Vec<_> = Attributes(&attributes).collect();
        assert_eq!(all, [(3, &b"ab"[..]), (1, &b""[..])]);
        assert_eq!(Attributes(&attributes[..5]).count(), 0);
        assert_eq!(Attributes(&[0; 64]).count(), 0);
        assert_eq!(Attributes(&[0xff; 64]).count(), 0);
    }
}
