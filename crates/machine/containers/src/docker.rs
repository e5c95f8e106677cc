//! The handle to the Docker engine. The other files of this crate add the
//! calls: `image`, `network`, `memory`, and `port` for the `Containers` port.

use crate::{ContainerSettings, engine::Engine};
use domain::{ErrorCode, Message};
use provisioning::ports::PortResult;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Timeout of the version query.
const VERSION_TIMEOUT: Duration = Duration::from_secs(15);

/// DNS containers in a Docker engine.
#[derive(Debug)]
pub struct Docker {
    pub(crate) settings: ContainerSettings,
    pub(crate) engine: Arc<Engine>,
    pub(crate) network_seen_at: Mutex<Option<Instant>>,
    pub(crate) image_seen_at: Mutex<Option<Instant>>,
    pub(crate) pulling: Mutex<()>,
}

impl Docker {
    /// Creates the handle. Nothing is connected until the first call.
    pub fn new(settings: ContainerSettings) -> Self {
        Self {
            engine: Arc::new(Engine::new(settings.host.as_deref())),
            settings,
            network_seen_at: Mutex::new(None),
            image_seen_at: Mutex::new(None),
            pulling: Mutex::new(()),
        }
    }

    /// Returns the engine's version, e.g. `20.10.24 (API 1.41)`.
    ///
    /// # Errors
    /// `DockerUnavailable`. The message says how to fix it.
    pub async fn ping(&self) -> PortResult<String> {
        let version = self
            .engine
            .call(VERSION_TIMEOUT, |api| async move { api.version().await })
            .await
            .map_err(|e| {
                e.into_port_error(ErrorCode::DockerUnavailable, Message::DockerVersionUnknown)
            })?;
        Ok(format!(
            "{} (API {})",
            version.version.as_deref().unwrap_or("unknown"),
            version.api_version.as_deref().unwrap_or("unknown")
        ))
    }
}
