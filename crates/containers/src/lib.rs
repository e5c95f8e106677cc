//! The real side of the containers port: AdGuard Home in Docker, over bollard.
//!
//! Invariants: only this crate names bollard; a container, network or image
//! that does not carry our labels is never changed; every call ends by itself
//! (a budget each), so an engine that hangs looks like one that is down.
//!
//! The engine is reached through its unix socket only: containers mount
//! folders of this machine, which an engine elsewhere would not have.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod body;
mod cgroup;
mod docker;
// Public for the fuzz targets (crates/fuzzing) only, as the hidden ones below.
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod events;
#[doc(hidden)]
pub mod image;
#[doc(hidden)]
pub mod listed;
mod memory;
#[doc(hidden)]
pub mod network;
#[doc(hidden)]
pub mod words;

pub use cgroup::private_bytes;
pub use docker::Docker;
pub use memory::ContainersMemory;
pub use network::clash;

use domain::AddressPlan;

/// What an installation's containers have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSettings {
    /// The engine's socket, `unix:///path` or a path; `None` takes
    /// `DOCKER_HOST` and, where that is not set, `/var/run/docker.sock`.
    pub host: Option<String>,
    /// Our Docker network's name.
    pub network: String,
    /// The name of its bridge on the host, at most 15 characters.
    pub bridge: String,
    /// The address ranges; the network takes `containers`.
    pub addresses: AddressPlan,
    /// Told apart from other installations on one engine by this label.
    pub installation: String,
    /// The AdGuard Home image, with its tag.
    pub image: String,
}

impl ContainerSettings {
    /// The settings of an ordinary installation: network `maliknode` on bridge
    /// `mn0`.
    pub fn new(image: impl Into<String>, addresses: AddressPlan) -> Self {
        Self {
            host: None,
            network: "maliknode".to_owned(),
            bridge: "mn0".to_owned(),
            addresses,
            installation: "maliknode".to_owned(),
            image: image.into(),
        }
    }
}
