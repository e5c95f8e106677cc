//! A WireGuard that may not exist yet, because the kernel module is not loaded
//! or the userspace child does not start. It is detected at the first use, and
//! after a failure again some seconds later.

use async_trait::async_trait;
use domain::{ErrorCode, Message, Slot};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use protocol::PeerStatistics;
use provisioning::{
    WireGuard,
    observed::ObservedInterface,
    ports::{PeerChange, PortError, PortResult},
    spec::InterfaceSpec,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};
use wireguard::Detection;

/// The time between two detections.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Detects the WireGuard at the first use. Cheap to clone.
#[derive(Clone)]
pub struct LazyWireGuard {
    settings: wireguard::Settings,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    wireguard: Option<Arc<dyn WireGuard>>,
    last_failure: Option<(Instant, ErrorCode, Message)>,
}

impl LazyWireGuard {
    /// Returns a WireGuard that is not detected yet.
    pub fn new(settings: wireguard::Settings) -> Self {
        Self {
            settings,
            state: Arc::default(),
        }
    }

    /// Detects it now. Returns which one was chosen and why.
    ///
    /// # Errors
    /// `WireguardUnavailable` with what to do.
    pub async fn detect(&self) -> PortResult<Detection> {
        self.detect_into(&mut *self.state.lock().await).await
    }

    async fn detect_into(&self, state: &mut State) -> PortResult<Detection> {
        match wireguard::detect(&self.settings).await {
            Ok(detected) => {
                let Detection { chosen, why } = &detected.detection;
                tracing::info!(%chosen, why = why.code(), "WireGuard found");
                state.wireguard = Some(detected.wireguard);
                Ok(detected.detection)
            }
            Err(e) => {
                state.last_failure = Some((Instant::now(), e.code, e.message.clone()));
                Err(e)
            }
        }
    }

    async fn get(&self) -> PortResult<Arc<dyn WireGuard>> {
        let mut state = self.state.lock().await;
        if let Some(wireguard) = &state.wireguard {
            return Ok(wireguard.clone());
        }
        if let Some((at, code, message)) = &state.last_failure
            && at.elapsed() < RETRY_INTERVAL
        {
            return Err(PortError::new(*code, message.clone()));
        }
        self.detect_into(&mut state).await?;
        state.wireguard.clone().ok_or_else(|| {
            PortError::new(
                ErrorCode::WireguardUnavailable,
                Message::WireguardUndetected,
            )
        })
    }
}

#[async_trait]
impl WireGuard for LazyWireGuard {
    fn describe(&self) -> String {
        let state = self.state.try_lock().ok();
        let wireguard = state.and_then(|s| s.wireguard.clone());
        wireguard.map_or_else(|| "no WireGuard yet".to_owned(), |w| w.describe())
    }

    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        self.get().await?.observe().await
    }

    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        self.get().await?.ensure(spec).await
    }

    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        self.get().await?.change_peers(slot, change).await
    }

    async fn delete(&self, slot: Slot) -> PortResult<()> {
        self.get().await?.delete(slot).await
    }

    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        self.get().await?.statistics().await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        let lazy = self.clone();
        let detected = async move {
            loop {
                if let Ok(wireguard) = lazy.get().await {
                    return wireguard;
                }
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        };
        // The detection itself is an event: the state can be read from now on.
        stream::once(detected)
            .flat_map(|w| stream::once(async {}).chain(w.events()))
            .boxed()
    }
}
