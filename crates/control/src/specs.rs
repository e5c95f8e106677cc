//! The node's spec, from the database. What was read is kept, so that one
//! change among a thousand tenants is read, and unsealed, by itself.

use async_trait::async_trait;
use domain::NodeId;
use provisioning::{
    PortError, SpecSource,
    ports::PortResult,
    spec::{DeviceSpec, NodeSpec, TenantSpec},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::{SpecTenant, Store, StoreError};
use tokio::time::Instant;

/// How long what is kept is only added to. The whole is read from time to time
/// all the same: a row that somebody changed by hand, past the generations,
/// must not be overlooked for ever.
const WHOLE_EVERY: Duration = Duration::from_secs(600);

/// Loads a node's spec from the store.
pub struct StoreSpecs {
    store: Store,
    node: NodeId,
    kept: Mutex<Option<Kept>>,
}

/// The last spec read, and when it was read whole.
#[derive(Clone)]
struct Kept {
    spec: NodeSpec,
    whole: Instant,
}

impl StoreSpecs {
    /// The spec of that node.
    pub fn new(store: Store, node: NodeId) -> Self {
        Self {
            store,
            node,
            kept: Mutex::default(),
        }
    }

    async fn whole(&self) -> Result<Kept, StoreError> {
        let read = self.store.load_spec(self.node).await?;
        Ok(Kept {
            spec: NodeSpec {
                generation: read.generation,
                tenants: read
                    .tenants
                    .into_iter()
                    .map(|t| (t.slot, Arc::new(tenant(t))))
                    .collect(),
            },
            whole: Instant::now(),
        })
    }

    /// What was kept, with what came since; `None` where it is of no use.
    async fn newer(&self, mut kept: Kept) -> Result<Option<Kept>, StoreError> {
        if kept.whole.elapsed() >= WHOLE_EVERY {
            return Ok(None);
        }
        let spec = &mut kept.spec;
        let slots = spec.tenants.keys().copied().collect();
        let since = spec.generation;
        let changes = self.store.spec_changes(self.node, since, &slots).await?;
        if changes.generation < since {
            return Ok(None);
        }
        spec.generation = changes.generation;
        spec.tenants.retain(|slot, _| !changes.gone.contains(slot));
        let changed = changes.changed.into_iter();
        spec.tenants
            .extend(changed.map(|t| (t.slot, Arc::new(tenant(t)))));
        Ok(Some(kept))
    }

    async fn read(&self) -> Result<NodeSpec, StoreError> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept().clone();
        let newer = match before {
            Some(before) => self.newer(before).await?,
            None => None,
        };
        let now = match newer {
            Some(newer) => newer,
            None => self.whole().await?,
        };
        let spec = now.spec.clone();
        *kept() = Some(now);
        Ok(spec)
    }
}

#[async_trait]
impl SpecSource for StoreSpecs {
    async fn load(&self) -> PortResult<NodeSpec> {
        self.read().await.map_err(|e| {
            let f = e.failure();
            PortError::because(f.code, f.sentence, e)
        })
    }
}

fn tenant(t: SpecTenant) -> TenantSpec {
    TenantSpec {
        name: t.name,
        slot: t.slot,
        private_key: t.private_key,
        suspended: t.suspended,
        dns_password: t.dns_password,
        dns_password_hash: t.dns_password_hash,
        devices: t
            .devices
            .into_iter()
            .map(|d| {
                let spec = DeviceSpec {
                    label: d.label,
                    address: d.address,
                    public_key: d.public_key,
                    preshared_key: d.preshared_key,
                    mesh: d.mesh,
                    policy: d.policy,
                    client_id: d.client_id,
                };
                (d.id, spec)
            })
            .collect(),
    }
}
