//! Connections to tenants' AdGuard Homes for the proxy's client. The client keeps
//! its connections by the authority of the address, so an authority names the place
//! and the tenant: a connection is never used for another tenant.

use axum::http::Uri;
use control::Control;
use domain::{NodeId, Slot, TenantName};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use protocol::{DnsStream, Location};
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tower::Service;

/// Returns the authority that stands for a tenant's AdGuard Home: `1-7.alice` is
/// that of the tenant alice in slot 7 of node 1.
pub(super) fn authority(at: Location, name: &TenantName) -> String {
    format!("{}-{}.{name}", at.node.0, at.slot.get())
}

/// Returns what an authority of [`authority`] stands for.
fn place(uri: &Uri) -> Option<(Location, TenantName)> {
    let (at, name) = uri.host()?.split_once('.')?;
    let (node, slot) = at.split_once('-')?;
    let at = Location {
        node: NodeId(node.parse().ok()?),
        slot: Slot::new(slot.parse().ok()?)?,
    };
    Some((at, TenantName::parse(name).ok()?))
}

/// Connects through the core, which knows where each tenant is.
#[derive(Clone)]
pub(super) struct Connector(Control);

impl Connector {
    pub(super) fn new(control: Control) -> Self {
        Self(control)
    }
}

impl Service<Uri> for Connector {
    type Response = DnsConnection;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<DnsConnection>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let control = self.0.clone();
        Box::pin(async move {
            let (at, name) = place(&uri).ok_or(io::ErrorKind::InvalidInput)?;
            match control.dns().connect(at, &name).await {
                Ok(stream) => Ok(DnsConnection(TokioIo::new(stream))),
                Err(problem) => Err(io::Error::other(problem.code.as_str())),
            }
        })
    }
}

/// A connection to an AdGuard Home, as the HTTP client needs it.
pub(super) struct DnsConnection(TokioIo<DnsStream>);

impl Connection for DnsConnection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for DnsConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for DnsConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_names_place_and_tenant() {
        let at = Location {
            node: NodeId(12),
            slot: Slot::LAST,
        };
        for name in ["alice", "a-b-c", "x1000-2"] {
            let name = TenantName::parse(name).unwrap();
            let uri = format!("http://{}/control/status?x=1", authority(at, &name));
            assert_eq!(place(&uri.parse().unwrap()), Some((at, name)));
        }
    }

    #[test]
    fn other_authorities_stand_for_nothing() {
        for uri in [
            "http://10.92.1.1:3000/",
            "http://1-0.alice/",
            "http://1-7/",
            "http://1-7.A/",
            "/",
        ] {
            assert_eq!(place(&uri.parse().unwrap()), None, "{uri}");
        }
    }
}
