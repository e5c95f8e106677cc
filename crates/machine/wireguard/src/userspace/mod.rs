//! The userspace implementation: a client of the child process that embeds
//! WireGuard.
//!
//! The child owns the interfaces and creates and changes them; their links are
//! read here, over rtnetlink. The child is started when its socket does not
//! answer, and again when it has died. Its interfaces are removed with it;
//! [`WireGuard::events`] reports that, and the node creates them again.

mod child;
mod connection;
mod device;
mod devices;
pub mod host;
// `line_codec`, `protocol` and `wire` are public only for the fuzz targets
// (crates/fuzzing).
mod answering_socket;
#[doc(hidden)]
pub mod line_codec;
mod paging;
#[doc(hidden)]
pub mod protocol;
mod sockets;
mod spawn;
#[doc(hidden)]
pub mod wire;

pub use spawn::Host;

use crate::{events, failure::refused, links::Links};
use ::protocol::PeerStatistics;
use async_trait::async_trait;
use child::{ABSENT_INTERVAL, ChildProcess};
use connection::{ConnectError, Connection, unavailable, unexpected};
use domain::{Message, Slot};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use protocol::{Reply, Request};
use provisioning::{
    observed::ObservedInterface,
    ports::{PeerChange, PortResult, WireGuard},
    spec::InterfaceSpec,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::time::sleep;

/// The default path of the child's socket.
pub const DEFAULT_SOCKET: &str = "/run/maliknode/wg-userspace.sock";

/// The WireGuard in our child process.
#[derive(Clone)]
pub struct Userspace {
    child: Arc<ChildProcess>,
}

impl Userspace {
    /// Creates a client of the child behind `socket`. Where no child answers, it is
    /// started as `exe wg-userspace --socket SOCKET` with its output in the file
    /// `log`, and again whenever it is found dead. A child of another version is
    /// replaced. All paths should be absolute.
    ///
    /// # Errors
    /// `WireguardUnavailable` if the child does not start.
    pub async fn connect_or_spawn(exe: PathBuf, socket: PathBuf, log: PathBuf) -> PortResult<Self> {
        Self::connect_or_start(Host::Child(exe), socket, log).await
    }

    /// Does the same with a child or a unit.
    ///
    /// # Errors
    /// `WireguardUnavailable` if it does not start.
    pub async fn connect_or_start(host: Host, socket: PathBuf, log: PathBuf) -> PortResult<Self> {
        let child = Arc::new(ChildProcess::new(host, socket, log));
        child.open().await?;
        Ok(Self { child })
    }

    /// Returns the child's process id.
    ///
    /// # Errors
    /// `WireguardUnavailable` if the child does not start.
    pub async fn pid(&self) -> PortResult<u32> {
        Ok(self.child.open().await?.hello.pid)
    }

    /// Returns the process id of the child behind `socket` if one answers. It does
    /// not start one.
    pub async fn running(socket: &Path) -> Option<u32> {
        Some(Connection::open(socket).await.ok()?.hello.pid)
    }

    /// Stops the child and removes every interface with it; the next call starts it
    /// again. This is for an installation that changes to the kernel's WireGuard, or
    /// is removed.
    ///
    /// # Errors
    /// `WireguardUnavailable` if the child does not end in time.
    pub async fn stop(socket: &Path) -> PortResult<()> {
        match Connection::open(socket).await {
            Ok(connection) => connection.stop_child(socket).await,
            Err(ConnectError::NotListening(_)) => Ok(()),
            Err(e) => Err(unavailable(Message::HelperSilent, e)),
        }
    }

    /// Sends a request that has no result.
    async fn execute(&self, request: Request) -> PortResult<()> {
        match self.child.call(&request).await? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

#[async_trait]
impl WireGuard for Userspace {
    fn describe(&self) -> String {
        "userspace WireGuard (gotatun)".to_owned()
    }

    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        let fail = |e| refused(&Message::ActionReadInterfaces, e);
        // The child is read first: a link that it creates afterwards appears without
        // WireGuard, and is read again. In the other order, live links would look
        // dead.
        let devices = paging::devices(&self.child).await?;
        let links = Links::open().map_err(fail)?;
        let mut found = links.observed().await.map_err(fail)?;
        for device in devices {
            let Some((link, interface)) = found.get_mut(&device.slot) else {
                continue;
            };
            if link.index != device.index {
                continue;
            }
            interface.public_key = Some(device.public_key);
            interface.listen_port = device.listen_port;
            let peers = device.peers.into_iter().map(|p| p.observed());
            interface.peers = peers
                .collect::<Result<_, _>>()
                .map_err(|e| unavailable(Message::HelperBadKey, e))?;
        }
        Ok(found.into_iter().map(|(s, (_, i))| (s, i)).collect())
    }

    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        self.execute(Request::Ensure(spec.into())).await
    }

    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        self.execute(Request::change(slot, change)).await
    }

    async fn delete(&self, slot: Slot) -> PortResult<()> {
        self.execute(Request::Delete { slot }).await
    }

    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        // Two connections are used, so that the child collects one half while the
        // other is read here.
        let middle = Slot::new(Slot::LAST.get() / 2);
        let (mut all, rest) = tokio::try_join!(
            paging::counters(&self.child, None, middle),
            paging::counters(&self.child, middle, None)
        )?;
        all.extend(rest);
        Ok(all)
    }

    fn events(&self) -> BoxStream<'static, ()> {
        let child = self.child.clone();
        let deaths = stream::unfold((child, false), |(child, repeated)| async move {
            if repeated {
                // This limits the events of a child that closes every connection.
                sleep(ABSENT_INTERVAL).await;
            }
            child.wait_for_death().await;
            Some(((), (child, true)))
        });
        stream::select(events::link_changes(), deaths.boxed()).boxed()
    }
}
