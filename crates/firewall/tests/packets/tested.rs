//! The firewall under test in the bed's host, tenants for it, and a bed where
//! everything that could answer does.

use crate::bed::{Bed, HOST, INTERNET, Namespace};
use domain::{AddressPlan, Slot};
use firewall::{FirewallSettings, Nft};
use provisioning::{
    observed::{ObservedFirewall, ObservedFirewallTenant},
    ports::{Firewall, FirewallChange, PortResult},
    spec::FirewallTenant,
};
use std::{future::Future, sync::Arc};

/// The firewall under test, inside the bed's host.
pub struct Tested<'a> {
    pub host: &'a Namespace,
    pub nft: Arc<Nft>,
}

impl<'a> Tested<'a> {
    pub fn new(host: &'a Namespace, settings: FirewallSettings) -> Self {
        let nft = Arc::new(Nft::new(settings).unwrap());
        Self { host, nft }
    }

    /// Works with the firewall in the host's namespace: a runtime of one thread
    /// forks from that thread, so `nft` runs where the thread is.
    pub fn with<T, F>(&self, work: impl FnOnce(Arc<Nft>) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        let nft = self.nft.clone();
        self.host.run(move || runtime().block_on(work(nft)))
    }

    pub fn observe(&self) -> ObservedFirewall {
        self.with(|nft| async move { nft.observe().await }).unwrap()
    }

    pub fn try_apply(&self, change: FirewallChange) -> PortResult<()> {
        self.with(move |nft| async move { nft.apply(&change).await })
    }

    pub fn apply(&self, change: FirewallChange) {
        self.try_apply(change).unwrap();
    }

    pub fn rebuild(&self, tenants: &[FirewallTenant]) {
        let set = tenants
            .iter()
            .map(|t| (ObservedFirewallTenant::default(), t.clone()));
        self.apply(FirewallChange {
            rebuild: true,
            set: set.collect(),
            ..FirewallChange::default()
        });
        let now = self.observe();
        assert!(now.complete, "what was just written is complete");
        for t in tenants {
            assert_eq!(
                now.tenants.get(&t.slot),
                Some(&ObservedFirewallTenant::of(t))
            );
        }
    }

    /// Brings one tenant from what stands to what should.
    pub fn set(&self, tenant: &FirewallTenant) {
        let stands = self
            .observe()
            .tenants
            .remove(&tenant.slot)
            .unwrap_or_default();
        self.apply(FirewallChange {
            set: vec![(stands, tenant.clone())],
            ..FirewallChange::default()
        });
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A tenant with the design's addresses; `mesh` are host parts of devices.
pub fn tenant(n: u16, mesh: &[u8]) -> FirewallTenant {
    let (plan, slot) = (AddressPlan::default(), Slot::new(n).unwrap());
    FirewallTenant {
        slot,
        subnet: plan.subnet(slot),
        gateway: plan.gateway(slot),
        dns: plan.container(slot),
        mesh: mesh.iter().map(|&h| plan.device(slot, h)).collect(),
    }
}

/// A bed where everything that could answer does.
pub fn served() -> Bed {
    let bed = Bed::new();
    for port in [22, 8080] {
        bed.host.serve(HOST, port);
    }
    bed.host.serve("fd00:1::1", 8080);
    for c in [&bed.container1, &bed.container2] {
        c.serve("0.0.0.0", 53);
        c.serve("0.0.0.0", 3000);
    }
    for d in [&bed.alice, &bed.ally, &bed.bob] {
        d.serve("0.0.0.0", 9000);
    }
    for port in [53, 80, 443] {
        bed.internet.serve(INTERNET, port);
        bed.neighbour.serve("0.0.0.0", port);
    }
    bed.internet.serve("fd00:2::2", 443);
    bed
}
