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

/// What of an engine decides whether tenants' DNS and limits can work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineFacts {
    /// It runs without root's rights, in a network of its own.
    pub is_rootless: bool,
    /// Users in containers are others outside (`userns-remap`).
    pub remaps_users: bool,
    /// Whether the kernel limits containers' memory.
    pub limits_memory: bool,
    /// Where it keeps its data.
    pub root_dir: String,
}

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

    /// Returns what kind of engine it is.
    ///
    /// # Errors
    /// `DockerUnavailable`. The message says how to fix it.
    pub async fn facts(&self) -> PortResult<EngineFacts> {
        let info = self
            .engine
            .call(VERSION_TIMEOUT, |api| async move { api.info().await })
            .await
            .map_err(|e| {
                e.into_port_error(ErrorCode::DockerUnavailable, Message::DockerVersionUnknown)
            })?;
        let options = info.security_options.unwrap_or_default();
        // E.g. `name=rootless` and `name=seccomp,profile=default`.
        let has = |name: &str| {
            let named = format!("name={name}");
            options
                .iter()
                .any(|o| o.split(',').any(|part| part == named))
        };
        Ok(EngineFacts {
            is_rootless: has("rootless"),
            remaps_users: has("userns"),
            limits_memory: info.memory_limit.unwrap_or(true),
            root_dir: info.docker_root_dir.unwrap_or_default(),
        })
    }
}
