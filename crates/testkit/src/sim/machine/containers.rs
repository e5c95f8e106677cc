//! The container engine.

use super::{Config, Extent, Machine, interrupted, refuse};
use domain::{ErrorCode, PublicKey};
use provisioning::{
    observed::{ContainerState, ObservedContainer, ObservedContainers},
    ports::PortResult,
    spec::{ContainerSpec, docker_name},
};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// A container of ours.
#[derive(Clone, Debug)]
pub struct Container {
    /// The container as the engine reports it.
    pub observed: ObservedContainer,
    /// The public key of its tenant's tunnel.
    pub owner: PublicKey,
    /// Its address on the bridge.
    pub address: Ipv4Addr,
    /// The folder its configuration is mounted from.
    pub folder: String,
    /// The configuration it serves with, while it runs.
    pub serving: Option<Config>,
    /// Whether the engine started it after the caller had given up: no later
    /// call could have prevented that.
    pub late: bool,
}

impl Machine {
    pub(in crate::sim) fn observe_containers(&self) -> ObservedContainers {
        let ours = self.containers.iter();
        ObservedContainers {
            image: self.image,
            ours: ours.map(|c| c.observed.clone()).collect(),
            foreign: self.foreign_containers.clone(),
        }
    }

    pub(in crate::sim) fn start(&mut self, spec: &ContainerSpec, extent: Extent) -> PortResult<()> {
        if self.foreign_containers.contains(&spec.docker_name()) {
            return refuse(ErrorCode::NameForeign, "the container is not ours");
        }
        if !self.containers.iter().any(|c| c.owner == spec.owner) {
            if !self.image {
                return refuse(ErrorCode::ImageMissing, "no image");
            }
            self.next_id += 1;
            self.containers.push(Container {
                observed: ObservedContainer {
                    id: format!("c{}", self.next_id),
                    name: spec.tenant.container(),
                    slot: Some(spec.slot),
                    revision: spec.revision(),
                    state: ContainerState::Stopped,
                },
                owner: spec.owner,
                address: spec.address,
                folder: spec.tenant.folder(),
                serving: None,
                late: self.applying_late,
            });
        }
        extent.result()?;
        let outdated = |c: &Container| !spec.is_fitting(&c.observed.revision, false);
        if self
            .containers
            .iter()
            .any(|c| c.owner == spec.owner && outdated(c))
        {
            return refuse(ErrorCode::Busy, "it was made from another spec");
        }
        let uses_address = |c: &Container| {
            c.address == spec.address && c.owner != spec.owner && c.serving.is_some()
        };
        let taken = self.containers.iter().any(uses_address);
        let Some(c) = self.containers.iter_mut().find(|c| c.owner == spec.owner) else {
            return interrupted();
        };
        match c.observed.state {
            ContainerState::Running => return Ok(()),
            ContainerState::Paused => {}
            ContainerState::Stopped if taken => {
                return refuse(ErrorCode::DnsUnavailable, "Address already in use");
            }
            ContainerState::Stopped => {
                let folder = self.folders.get(&c.folder).filter(|f| f.conf_dir);
                let Some(folder) = folder else {
                    return refuse(ErrorCode::DnsUnavailable, "bind source does not exist");
                };
                if folder.damaged.is_some() {
                    // It starts, and ends at once.
                    return Ok(());
                }
                // Without a configuration it serves an install wizard without
                // a password.
                c.serving = Some(folder.config.clone().unwrap_or(Config {
                    password_hash: "wizard".to_owned(),
                    clients: BTreeMap::new(),
                    names: BTreeMap::new(),
                }));
                c.late = self.applying_late;
            }
            _ => return refuse(ErrorCode::DnsUnavailable, "it is marked for removal"),
        }
        c.observed.state = ContainerState::Running;
        Ok(())
    }

    pub(in crate::sim) fn remove(&mut self, id: &str, mut extent: Extent) -> PortResult<()> {
        if self.foreign_containers.contains(id) {
            return refuse(ErrorCode::NameForeign, "the container is not ours");
        }
        let is = |c: &Container| c.observed.id == id || docker_name(&c.owner) == id;
        if let Extent::Partial(rng) = &mut extent {
            // It is stopped and not removed, or the engine is still removing it
            // (see `end_removals`).
            let state = match rng.percent(50) {
                true => ContainerState::Stopped,
                false => ContainerState::Removing,
            };
            for c in self.containers.iter_mut().filter(|c| is(c)) {
                c.observed.state = state;
                c.serving = None;
            }
        } else {
            self.containers.retain(|c| !is(c));
        }
        extent.result()
    }

    pub(in crate::sim) fn is_removing(&self) -> bool {
        let mut all = self.containers.iter();
        all.any(|c| c.observed.state == ContainerState::Removing)
    }

    /// Ends the removals that were interrupted, as the engine does by itself:
    /// the container is gone, or was busy and is reported dead.
    pub(in crate::sim) fn end_removals(&mut self, gone: bool) {
        let removing = |c: &Container| c.observed.state == ContainerState::Removing;
        self.containers.retain(|c| !(gone && removing(c)));
        for c in self.containers.iter_mut().filter(|c| removing(c)) {
            c.observed.state = ContainerState::Dead;
        }
    }
}
