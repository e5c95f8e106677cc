//! The multicast groups by which the kernel announces changes.

use futures_util::{FutureExt, StreamExt, stream, stream::BoxStream};
use netlink_sys::{AsyncSocket, AsyncSocketExt, Socket, SocketAddr, TokioSocket};
use nix::errno::Errno;
use std::{io, time::Duration};
use tokio::time::sleep;

/// How long to collect further changes into one event; changes come in bursts.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// The room for announcements in the kernel, in bytes: bursts. An overrun counts as a
/// change.
const ROOM: i32 = 1 << 20;
/// The largest datagram of an announcement, in bytes.
const DATAGRAM: usize = 1 << 16;

/// Opens a socket that does not block, in the calling thread's network namespace, with
/// room for announcements, in bytes. `groups` has a bit for each multicast group: bit 0 is
/// group 1.
///
/// # Errors
/// The kernel lacks the protocol, or the process may not.
pub fn subscribe(protocol: isize, groups: u32, room: i32) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.set_non_blocking(true)?;
    join(&mut socket, groups, room)?;
    Ok(socket)
}

fn join(socket: &mut Socket, groups: u32, room: i32) -> io::Result<()> {
    // With less room there are more overruns, which are noticed.
    let _ = socket.set_rx_buf_sz(room);
    socket.bind(&SocketAddr::new(0, groups))
}

/// Returns a stream with an event, debounced, for datagrams that are relevant. It
/// never ends. `subject` is what changes, for the log. Where the kernel does not
/// report changes the stream stays silent. It must be called within a tokio runtime.
pub fn changes(
    protocol: isize,
    groups: u32,
    subject: &'static str,
    is_relevant: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
) -> BoxStream<'static, ()> {
    // It is opened at once, so that no change after this call is missed.
    let opened = TokioSocket::new(protocol).and_then(|mut socket| {
        join(socket.socket_mut(), groups, ROOM)?;
        Ok(socket)
    });
    stream::unfold((opened, is_relevant), move |(opened, is_relevant)| async move {
        let next = async {
            let socket = opened?;
            next_change(&socket, &is_relevant).await?;
            Ok::<_, io::Error>(socket)
        };
        match next.await {
            Ok(socket) => Some(((), (Ok(socket), is_relevant))),
            Err(error) => {
                tracing::warn!(%error, subject, "the kernel does not report changes; only the timer finds them");
                std::future::pending().await
            }
        }
    })
    .boxed()
}

/// Returns after a relevant change and the burst that follows it.
async fn next_change(socket: &TokioSocket, is_relevant: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    let mut datagram = Vec::with_capacity(DATAGRAM);
    loop {
        datagram.clear();
        match socket.recv(&mut datagram).await {
            Ok(()) if is_relevant(&datagram) => break,
            Ok(()) => {}
            Err(e) if is_overrun(&e) => break,
            Err(e) => return Err(e),
        }
    }
    sleep(DEBOUNCE).await;
    // This event covers the changes that arrived in the meantime: the reading that
    // follows it is more recent.
    loop {
        datagram.clear();
        match socket.recv(&mut datagram).now_or_never() {
            Some(Ok(())) => {}
            Some(Err(e)) if is_overrun(&e) => {}
            // What fails now fails again at the next change.
            Some(Err(_)) | None => return Ok(()),
        }
    }
}

/// Returns whether messages were lost, any of which may have been relevant.
pub fn is_overrun(e: &io::Error) -> bool {
    e.raw_os_error() == Some(Errno::ENOBUFS as i32)
}
