//! The firewall under test, running in the bed's host, its tenants, and a bed with
//! a server at every target.

use crate::bed::{Bed, HOST, INTERNET, Namespace};
use domain::{AddressPlan, Ipv6Prefix, Slot};
use firewall::{FirewallSettings, Nft};
use provisioning::{
    observed::{ObservedFirewall, ObservedFirewallTenant},
    ports::{Firewall, FirewallChange, PortResult},
    spec::{FirewallTenant, PacketRate},
};
use std::{collections::BTreeSet, future::Future, sync::Arc};

/// The firewall under test, running in the bed's host.
pub struct TestFirewall<'a> {
    pub host: &'a Namespace,
    pub nft: Arc<Nft>,
}

impl<'a> TestFirewall<'a> {
    pub fn new(host: &'a Namespace, settings: FirewallSettings) -> Self {
        let nft = Arc::new(Nft::new(settings).unwrap());
        Self { host, nft }
    }

    /// Runs `work` in the host's namespace. The runtime has a single thread, which
    /// starts `nft`, so `nft` inherits that thread's namespace.
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
        assert!(now.complete, "a rebuilt firewall is complete");
        for t in tenants {
            assert_eq!(
                now.tenants.get(&t.slot),
                Some(&ObservedFirewallTenant::from_spec(t))
            );
        }
    }

    /// Changes one tenant from its observed to the given state.
    pub fn set(&self, tenant: &FirewallTenant) {
        let observed = self
            .observe()
            .tenants
            .remove(&tenant.slot)
            .unwrap_or_default();
        self.apply(FirewallChange {
            set: vec![(observed, tenant.clone())],
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

/// Returns the installation's prefix of IPv6, fd01:203:405::/48.
pub fn prefix() -> Ipv6Prefix {
    Ipv6Prefix::from_random([1, 2, 3, 4, 5])
}

/// Returns a tenant with its default addresses. `mesh` contains host parts of
/// devices.
pub fn tenant(n: u16, mesh: &[u8]) -> FirewallTenant {
    let (plan, slot) = (AddressPlan::default(), Slot::new(n).unwrap());
    let subnet6 = prefix().subnet(slot);
    FirewallTenant {
        slot,
        subnet: plan.subnet(slot),
        gateway: plan.gateway(slot),
        dns: Some(plan.container(slot)),
        mesh: mesh.iter().map(|&h| plan.device(slot, h)).collect(),
        locked: BTreeSet::new(),
        subnet6: Some(subnet6),
        mesh6: mesh
            .iter()
            .map(|&h| subnet6.device(plan.device(slot, h)))
            .collect(),
        locked6: BTreeSet::new(),
        stopped: false,
        tunnel_packets: PacketRate::at_least(18_028),
    }
}

/// Returns a tenant whose data are used up.
pub fn stopped(n: u16, mesh: &[u8]) -> FirewallTenant {
    FirewallTenant {
        stopped: true,
        ..tenant(n, mesh)
    }
}

/// Creates a bed with a server at every target.
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
    for port in [25, 53, 80, 443] {
        bed.internet.serve(INTERNET, port);
        bed.neighbour.serve("0.0.0.0", port);
    }
    bed.internet.serve("fd00:2::2", 443);
    bed
}
