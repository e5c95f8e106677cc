//! The node's spec, from the database.

use async_trait::async_trait;
use domain::NodeId;
use provisioning::{
    PortError, SpecSource,
    ports::PortResult,
    spec::{DeviceSpec, NodeSpec, TenantSpec},
};
use store::{SpecSnapshot, SpecTenant, Store};

/// Loads a node's spec from the store.
#[derive(Clone)]
pub struct StoreSpecs {
    store: Store,
    node: NodeId,
}

impl StoreSpecs {
    /// The spec of that node.
    pub fn new(store: Store, node: NodeId) -> Self {
        Self { store, node }
    }
}

#[async_trait]
impl SpecSource for StoreSpecs {
    async fn load(&self) -> PortResult<NodeSpec> {
        let SpecSnapshot {
            generation,
            tenants,
        } = self.store.load_spec(self.node).await.map_err(|e| {
            let f = e.failure();
            PortError::because(f.code, f.sentence, e)
        })?;
        Ok(NodeSpec {
            generation,
            tenants: tenants.into_iter().map(|t| (t.slot, tenant(t))).collect(),
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
