//! What several unit tests are built on: a database, a tenant, and a node over
//! the fake machine. Integration tests have `tests/rig`.

use crate::{
    ControlSettings, StoreSpecs,
    control_planes::{Leases, SharedClock},
};
use agent::{Agent, FeedSource};
use domain::{AddressPlan, Secret, TenantName, TenantScope, Timestamp};
use protocol::Nodes;
use provisioning::{NodePorts, SpecSource};
use seal::Sealer;
use std::{collections::BTreeSet, path::Path, sync::Arc};
use store::{DatabaseUrl, LOCAL_NODE, NewTenant, Store};
use testkit::{
    fakes::{FakeClock, FakeMachine},
    samples,
};

/// The time at which tests begin: 2026-11-24.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_478_400);

/// Returns a node over the machine that does not run yet.
pub(crate) fn agent(machine: &FakeMachine, specs: Arc<dyn SpecSource>, root: &Path) -> Agent {
    let all = Arc::new(machine.clone());
    let ports = NodePorts {
        wireguard: all.clone(),
        firewall: all.clone(),
        shaping: all.clone(),
        connections: all.clone(),
        containers: all.clone(),
        dns: all.clone(),
        folders: all,
        specs,
    };
    Agent::new(LOCAL_NODE, ports, samples::settings(root))
}

/// Returns the source of specs over the database.
pub(crate) fn specs(store: &Store) -> Arc<dyn SpecSource> {
    let clock = Arc::new(FakeClock::at(NOW));
    let feed = StoreSpecs::new(store.clone(), LOCAL_NODE, clock);
    Arc::new(FeedSource::new(Arc::new(feed), None))
}

/// Returns the settings of a control plane of that name.
pub(crate) fn control_settings(name: &str) -> ControlSettings {
    ControlSettings {
        control_plane: name.to_owned(),
        address: None,
        addresses: AddressPlan::default(),
        public_host: "vpn.example.org".to_owned(),
        local: Some(LOCAL_NODE),
        excluded_slots: BTreeSet::new(),
        max_tenants: None,
        base_url: "https://vpn.example.org".to_owned(),
        sign_up: domain::SignUpMode::Open,
        sign_ups_per_hour: 0,
        sign_ups_per_hour_total: 0,
        sleep_after: std::time::Duration::ZERO,
        forward_time: std::time::Duration::from_secs(86_400),
        time_zone: "UTC".to_owned(),
    }
}

/// Returns the leases of the only control plane.
pub(crate) fn leases(store: &Store, nodes: Arc<dyn Nodes>) -> Arc<Leases> {
    let clock = Arc::new(SharedClock::new(Arc::new(FakeClock::at(NOW))));
    let settings = control_settings("a");
    Arc::new(Leases::new(store.clone(), nodes, clock, &settings))
}

/// Opens the database in that folder, once more if it is open already.
pub(crate) async fn store(root: &Path) -> Store {
    let url = DatabaseUrl::Sqlite(root.join("database.sqlite"));
    Store::open(&url, Sealer::from_key([1; 32])).await.unwrap()
}

/// Creates a tenant. Names of different lengths have different keys.
pub(crate) async fn tenant(store: &Store, name: &str) -> TenantScope {
    let name = TenantName::parse(name).unwrap();
    let tenant = NewTenant {
        actor: None,
        name: name.clone(),
        password_hash: Secret::new("hash"),
        plan: "home".to_owned(),
        private_key: samples::key(name.as_str().len().try_into().unwrap(), 0),
        dns_password: Secret::new("dns"),
        time_zone: "UTC".to_owned(),
        invitation: None,
        mail: None,
        dns_password_hash: "hash".to_owned(),
        now: NOW,
    };
    let created = store
        .create_tenant(tenant, &AddressPlan::default(), &BTreeSet::new())
        .await
        .unwrap();
    TenantScope::issue(created.value.id, name, "test")
}
