//! A connection of the control plane to a tenant's AdGuard Home: the only thing of this
//! machine that can be reached through the wire.

use domain::{ErrorCode, Message, NodeId, Problem, Slot, TenantName};
use http::Request;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use protocol::{DnsStream, Location, Nodes};
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// The most connections at a time.
const MAX_TUNNELS: usize = 256;
/// How long without a byte in either direction before a connection is closed.
const IDLE_TIME: Duration = Duration::from_secs(600);

/// The connections to AdGuard Homes.
#[derive(Clone)]
pub(super) struct Tunnels {
    node: NodeId,
    nodes: Arc<dyn Nodes>,
    permits: Arc<Semaphore>,
    idle: Duration,
}

/// A connection to an AdGuard Home that waits for the other side.
pub(super) struct Opened {
    dns: DnsStream,
    upgrade: OnUpgrade,
    permit: OwnedSemaphorePermit,
    idle: Duration,
}

impl Tunnels {
    pub fn new(node: NodeId, nodes: Arc<dyn Nodes>) -> Self {
        Self {
            node,
            nodes,
            permits: Arc::new(Semaphore::new(MAX_TUNNELS)),
            idle: IDLE_TIME,
        }
    }

    /// Connects to the AdGuard Home that a CONNECT names.
    ///
    /// # Errors
    /// `DnsUnavailable`; `Busy` if there are [`MAX_TUNNELS`].
    pub async fn open(&self, request: Request<Incoming>) -> Result<Opened, Problem> {
        let problem = |code| Problem {
            code,
            message: Message::DnsUnanswered,
        };
        let host = request.uri().authority().map(|a| a.host().to_owned());
        let named = host.as_deref().and_then(named);
        let (slot, name) = named.ok_or_else(|| problem(ErrorCode::DnsUnavailable))?;
        let permit = self.permits.clone().try_acquire_owned();
        let permit = permit.map_err(|_| problem(ErrorCode::Busy))?;
        let node = self.node;
        let dns = self.nodes.dns_connect(Location { node, slot }, &name);
        Ok(Opened {
            dns: dns.await?,
            upgrade: hyper::upgrade::on(request),
            permit,
            idle: self.idle,
        })
    }
}

/// Reads `<slot>.<name>`.
fn named(host: &str) -> Option<(Slot, TenantName)> {
    let (slot, name) = host.split_once('.')?;
    let slot = Slot::new(slot.parse().ok()?)?;
    Some((slot, TenantName::parse(name).ok()?))
}

impl Opened {
    /// Copies in both directions until either side closes, or nothing moves.
    pub async fn copy(self) {
        let upgraded = match self.upgrade.await {
            Ok(upgraded) => upgraded,
            Err(e) => {
                tracing::debug!(error = %e, "a connection to a DNS filter was not taken up");
                return;
            }
        };
        copy(TokioIo::new(upgraded), self.dns, self.idle).await;
        drop(self.permit);
    }
}

async fn copy(
    mut one: impl AsyncRead + AsyncWrite + Unpin,
    other: impl AsyncRead + AsyncWrite + Unpin,
    idle: Duration,
) {
    let moved = Arc::new(Mutex::new(Instant::now()));
    let mut other = ActivityStream {
        io: other,
        moved: moved.clone(),
    };
    tokio::select! {
        ended = copy_bidirectional(&mut one, &mut other) => {
            if let Err(e) = ended {
                tracing::debug!(error = %e, "a connection to a DNS filter broke");
            }
        }
        () = nothing_moves(&moved, idle) => {
            tracing::debug!("a connection to a DNS filter was idle and is closed");
        }
    }
}

/// Completes once nothing has moved for that long.
async fn nothing_moves(moved: &Mutex<Instant>, idle: Duration) {
    loop {
        let last = *moved.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= idle {
            return;
        }
        tokio::time::sleep_until(last + idle).await;
    }
}

/// A stream that notes when bytes moved.
struct ActivityStream<T> {
    io: T,
    moved: Arc<Mutex<Instant>>,
}

impl<T> ActivityStream<T> {
    fn note(&self) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ActivityStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        self.note();
        Poll::Ready(read)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ActivityStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf));
        self.note();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[test]
    fn a_tunnel_names_a_slot_and_its_tenant() {
        let (slot, name) = named("17.lina").unwrap();
        assert_eq!((slot.get(), name.as_str()), (17, "lina"));
        for host in [
            "",
            "lina",
            "17",
            "17.",
            "0.lina",
            "1001.lina",
            "17.lina.x",
            "17.Lina!",
        ] {
            assert!(named(host).is_none(), "{host}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_tunnel_is_closed_and_a_busy_one_is_not() {
        let ((mut client, one), (other, mut dns)) = (duplex(64), duplex(64));
        let idle = Duration::from_secs(600);
        let copying = tokio::spawn(copy(one, other, idle));
        let mut byte = [0];
        for _ in 0..3 {
            tokio::time::sleep(idle - Duration::from_secs(1)).await;
            client.write_all(b"x").await.unwrap();
            dns.read_exact(&mut byte).await.unwrap();
        }
        assert!(!copying.is_finished());
        tokio::time::sleep(idle + Duration::from_secs(1)).await;
        assert_eq!(client.read(&mut byte).await.unwrap(), 0);
        assert_eq!(dns.read(&mut byte).await.unwrap(), 0);
        copying.await.unwrap();
    }
}
