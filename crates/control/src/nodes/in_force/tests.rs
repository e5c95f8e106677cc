//! Waiting for a change over a node whose database is closed.

use super::*;
use crate::{ControlParts, Entropy, WorkerAccess, test_node};
use domain::TenantId;
use std::sync::Arc;
use store::LOCAL_NODE;
use testkit::{
    fakes::{FakeClock, FakeMachine, FakeSpecs},
    samples,
};

#[tokio::test]
async fn waiting_for_a_change_queries_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (machine, specs) = (FakeMachine::new(), FakeSpecs::default());
    let agent = test_node::agent(&machine, Arc::new(specs.clone()), root.path());
    let nodes = Arc::new(agent.nodes());
    tokio::spawn(agent.run(std::future::pending()));
    let store = test_node::store(root.path()).await;
    store.close().await;
    let inner = Inner::new(
        ControlParts {
            names: None,
            store,
            nodes,
            clock: Arc::new(FakeClock::at(test_node::NOW)),
            entropy: Entropy::system(),
            settings: test_node::control_settings("a"),
            workers: WorkerAccess::NeedsPostgres,
        },
        None,
    );

    let tenant = samples::tenant(&samples::settings(root.path()), 7, 2);
    let (slot, name) = (tenant.slot, tenant.name.clone());
    let scope = TenantScope::issue(TenantId(1), name, "test");
    let at = |generation| Committed {
        value: (),
        node: LOCAL_NODE,
        slot,
        generation,
    };
    let generation = specs.change(|spec| drop(spec.tenants.insert(slot, tenant.into())));
    assert!(inner.in_force(&scope, &at(generation)).await);
    assert!(!inner.in_force(&scope, &at(generation + 1)).await);
    let generation = specs.change(|spec| spec.tenants.clear());
    assert!(inner.is_cut_off(&at(generation)).await);
    assert!(!inner.is_cut_off(&at(generation + 1)).await);
    // A slot with this number on another node is another tenant's.
    let elsewhere = |generation| Committed {
        node: domain::NodeId(2),
        ..at(generation)
    };
    assert!(!inner.in_force(&scope, &elsewhere(1)).await);
    assert!(!inner.is_cut_off(&elsewhere(1)).await);
}
