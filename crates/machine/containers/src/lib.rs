//! The Docker implementation of the `Containers` port, through bollard: one
//! AdGuard Home container for each tenant.
//!
//! Invariants: only this crate names bollard. A container, network or image
//! that does not carry our labels is never changed. Every call has a timeout,
//! so an engine that hangs looks like one that is down.
//!
//! The engine is reached through its unix socket only, because containers mount
//! folders of this machine. An engine on another machine would not have them.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cgroup;
// Hidden modules are public for the fuzz targets (crates/fuzzing) only.
mod create_request;
mod docker;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod errors;
#[doc(hidden)]
pub mod events;
#[doc(hidden)]
pub mod image;
#[doc(hidden)]
pub mod list;
mod memory;
#[doc(hidden)]
pub mod network;
mod port;
mod reference;
mod usage;

pub use cgroup::private_bytes;
pub use docker::{Docker, EngineFacts};
pub use memory::ContainersMemory;
pub use usage::ContainerUsage;

use domain::{AddressPlan, marks::BRIDGE};

/// Settings that all containers of an installation share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSettings {
    /// The engine's socket, as `unix:///path` or a path. `None` selects
    /// `DOCKER_HOST` and, where that is not set, `/var/run/docker.sock`.
    pub host: Option<String>,
    /// The name of our Docker network.
    pub network: String,
    /// The name of the network's bridge on the host, at most 15 characters.
    pub bridge: String,
    /// The address ranges. The network uses `containers`.
    pub addresses: AddressPlan,
    /// The label value that tells this installation's containers from those of
    /// other installations on the same engine.
    pub installation: String,
    /// The AdGuard Home image, with its tag, under which the engine has it.
    pub image: String,
    /// The digest by which it is pulled, e.g. `sha256:…`; `None` pulls what the tag is then.
    pub digest: Option<String>,
}

impl ContainerSettings {
    /// Returns the settings of an ordinary installation: network `maliknode` on
    /// bridge `mn0`. The image may have a digest behind its tag.
    pub fn new(image: impl AsRef<str>, addresses: AddressPlan) -> Self {
        let (image, digest) = reference::split_digest(image.as_ref());
        Self {
            host: None,
            network: "maliknode".to_owned(),
            bridge: BRIDGE.to_owned(),
            addresses,
            installation: "maliknode".to_owned(),
            image: image.to_owned(),
            digest: digest.map(str::to_owned),
        }
    }
}
