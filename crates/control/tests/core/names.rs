//! Names of endpoints, at a name server in memory.

use crate::rig::{Options, Rig, code, device, form};
use async_trait::async_trait;
use control::{EndpointNames, EndpointRecord, NameServer};
use domain::{Clock, ErrorCode, Message, OwnerScope, TenantHolderScope};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

#[derive(Clone, Default)]
struct FakeServer(Arc<Mutex<ServerState>>);

#[derive(Default)]
struct ServerState {
    records: BTreeMap<String, String>,
    is_down: bool,
}

impl FakeServer {
    fn state(&self) -> std::sync::MutexGuard<'_, ServerState> {
        self.0.lock().unwrap()
    }

    fn check(&self) -> Result<(), Message> {
        match self.state().is_down {
            true => Err(down()),
            false => Ok(()),
        }
    }
}

fn down() -> Message {
    Message::NameServerTimedOut {
        server: "ns1.example.org:53".to_owned(),
        seconds: 5,
    }
}

#[async_trait]
impl NameServer for FakeServer {
    fn address(&self) -> &'static str {
        "ns1.example.org:53"
    }

    async fn set(&self, records: &[EndpointRecord]) -> Result<(), Message> {
        self.check()?;
        for EndpointRecord { name, host } in records.iter().cloned() {
            match host {
                Some(host) => drop(self.state().records.insert(name, host)),
                None => drop(self.state().records.remove(&name)),
            }
        }
        Ok(())
    }

    async fn compare(&self, expected: &[EndpointRecord]) -> Result<Vec<EndpointRecord>, Message> {
        self.check()?;
        let has = |name: &str| self.state().records.get(name).cloned();
        let found = expected.iter().map(|one| EndpointRecord {
            host: has(&one.name),
            name: one.name.clone(),
        });
        Ok(found.filter(|found| !expected.contains(found)).collect())
    }
}

const LINA: &str = "lina-vpn.example.org";

async fn running(server: &FakeServer) -> Rig {
    let names = EndpointNames {
        domain: "example.org".to_owned(),
        server: Arc::new(server.clone()),
    };
    Rig::with(Options {
        runs_jobs: true,
        names: Some(names),
        ..Options::default()
    })
    .await
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}");
}

/// Returns the host to which a new device of the tenant connects.
async fn endpoint(rig: &Rig, scope: &TenantHolderScope, label: &str) -> String {
    let devices = rig.control.devices();
    let device = devices.add(scope, device(label)).await.unwrap();
    let config = devices.config(scope, device.id, None).await.unwrap();
    let (host, _port) = config.endpoint.rsplit_once(':').unwrap();
    host.to_owned()
}

fn operator() -> OwnerScope {
    OwnerScope::issue("admin")
}

#[tokio::test]
async fn a_tenants_endpoint_has_its_name_from_sign_up_to_deletion() {
    let server = FakeServer::default();
    let rig = running(&server).await;
    let lina = rig.tenant("lina").await;
    rig.wait_until_ready(&lina).await;
    let has_name = async || server.state().records.contains_key(LINA);
    until("the record is there", has_name).await;
    assert_eq!(server.state().records[LINA], "vpn.example.org");
    until("it is acknowledged", async || {
        let counts = rig.store.name_counts().await.unwrap();
        counts.pending == 0
    })
    .await;
    assert_eq!(endpoint(&rig, &lina, "Phone").await, LINA);

    // Another record at the server is found and set again.
    let other = "192.0.2.66".to_owned();
    server.state().records.insert(LINA.to_owned(), other);
    let check = rig.control.nodes().check_names(&operator()).await.unwrap();
    assert_eq!((check.names, check.compared, check.problem), (1, 1, None));
    assert_eq!(check.differing[0].found.as_deref(), Some("192.0.2.66"));
    assert_eq!(check.differing[0].expected, "vpn.example.org");
    let is_set = async || server.state().records[LINA] == "vpn.example.org";
    until("the record is set again", is_set).await;

    rig.store
        .delete_tenant(&lina, rig.clock.now())
        .await
        .unwrap();
    let is_gone = async || server.state().records.is_empty();
    until("the record is removed", is_gone).await;
}

#[tokio::test]
async fn a_name_server_that_is_down_is_told_later_and_the_operator_at_once() {
    let server = FakeServer::default();
    server.state().is_down = true;
    let rig = running(&server).await;
    let lina = rig.tenant("lina").await;
    rig.wait_until_ready(&lina).await;
    let unnamed = async || {
        let nodes = rig.control.nodes().list(&operator()).await.unwrap();
        nodes.unnamed
    };
    let behind = Message::EndpointNamesBehind {
        pending: 1,
        reason: Box::new(down()),
    };
    until("the operator reads of it", async || {
        unnamed().await.as_ref() == Some(&behind)
    })
    .await;
    assert_eq!(endpoint(&rig, &lina, "Phone").await, "vpn.example.org");
    let check = rig.control.nodes().check_names(&operator()).await.unwrap();
    assert_eq!((check.problem, check.pending), (Some(down()), 1));

    server.state().is_down = false;
    let has_name = async || server.state().records.contains_key(LINA);
    until("the record is there", has_name).await;
    until("nothing is left to say", async || unnamed().await.is_none()).await;
    assert_eq!(endpoint(&rig, &lina, "Laptop").await, LINA);
}

#[tokio::test]
async fn without_a_name_server_there_is_nothing_to_check_but_names_are_reserved() {
    let rig = Rig::new().await;
    let checked = rig.control.nodes().check_names(&operator()).await;
    assert_eq!(code(checked), ErrorCode::NotFound);
    let tenants = rig.control.tenants();
    let checked = tenants.check_name("lina-vpn").await;
    assert_eq!(code(checked), ErrorCode::NameReserved);
    let signed_up = tenants.sign_up(form("lina-vpn"), crate::rig::FROM).await;
    assert_eq!(code(signed_up), ErrorCode::NameReserved);
}
