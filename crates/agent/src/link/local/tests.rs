//! What a control plane in the same process sees of the node.

use crate::{Agent, FeedSource};
use domain::{ErrorCode, NodeId, Problem, Slot, TenantName};
use futures_util::{FutureExt, StreamExt};
use protocol::{
    DriftKind, EventKind, EventTenant, Location, NodeSpec, Nodes, Reported, SpecAnswer, SpecFeed,
};
use provisioning::NodePorts;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use testkit::{fakes::FakeMachine, samples};

const HERE: NodeId = NodeId(1);
const TIMEOUT: Duration = Duration::from_secs(60);

/// A feed whose answer the test sets.
struct Feed(Mutex<SpecAnswer>);

#[async_trait::async_trait]
impl SpecFeed for Feed {
    async fn load(&self, _in_force: u64) -> Result<SpecAnswer, Problem> {
        Ok(self.0.lock().unwrap().clone())
    }
}

struct Rig {
    nodes: Arc<dyn Nodes>,
    machine: FakeMachine,
    feed: Arc<Feed>,
    _root: tempfile::TempDir,
}

impl Rig {
    /// Starts a node with that many tenants.
    fn new(tenants: u16) -> Self {
        let root = tempfile::tempdir().unwrap();
        let settings = samples::settings(root.path());
        let tenants = (1..=tenants).map(|n| samples::tenant(&settings, n, 1));
        let spec = NodeSpec {
            generation: 1,
            tenants: tenants.map(|t| (t.slot, t.into())).collect(),
            ..NodeSpec::default()
        };
        let restored = false;
        let feed = Arc::new(Feed(Mutex::new(SpecAnswer { spec, restored })));
        let source = Arc::new(FeedSource::new(feed.clone(), None));
        let machine = FakeMachine::new();
        let all = Arc::new(machine.clone());
        let ports = NodePorts {
            wireguard: all.clone(),
            firewall: all.clone(),
            shaping: all.clone(),
            connections: all.clone(),
            containers: all.clone(),
            dns: all.clone(),
            folders: all,
            specs: source.clone(),
        };
        let agent = Agent::following(HERE, ports, settings, &source);
        let nodes = Arc::new(agent.nodes());
        tokio::spawn(agent.run(std::future::pending()));
        Self {
            nodes,
            machine,
            feed,
            _root: root,
        }
    }

    fn change(&self, change: impl FnOnce(&mut SpecAnswer)) -> u64 {
        let mut answer = self.feed.0.lock().unwrap();
        answer.spec.generation += 1;
        change(&mut answer);
        answer.spec.generation
    }

    /// Waits as `control` does.
    async fn until_applied(&self, at: Location, generation: u64) {
        let mut changes = self.nodes.tenant_changes(at);
        self.nodes.nudge(at.node);
        let applied = async {
            while self.nodes.tenant(at).is_none_or(|t| t.applied < generation) {
                changes.next().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(TIMEOUT, applied).await;
        assert!(waited.is_ok(), "{at:?} is not at {generation}");
    }
}

fn at(node: NodeId, n: u16) -> Location {
    let slot = Slot::new(n).unwrap();
    Location { node, slot }
}

#[tokio::test(start_paused = true)]
async fn the_node_in_this_process_reports_all_of_itself() {
    let rig = Rig::new(2);
    assert_eq!(rig.nodes.ids(), [HERE]);
    assert_eq!(rig.nodes.holders(HERE), None, "there is no spec yet");
    rig.until_applied(at(HERE, 2), 1).await;
    let name = TenantName::parse("tenant2").unwrap();
    assert_eq!(rig.nodes.tenant(at(HERE, 2)).unwrap().name, name);
    assert_eq!(rig.nodes.node(HERE).unwrap().generation, 1);
    let machine = rig.nodes.machine(HERE).unwrap();
    assert_eq!(machine.wireguard, "WireGuard of the test kit");
    assert_eq!(
        rig.nodes.holders(HERE).unwrap()[&Slot::new(2).unwrap()],
        name
    );
    assert_eq!(rig.nodes.used_slots(HERE).len(), 2);
    assert_eq!(rig.nodes.statistics(HERE).await.unwrap().peers.len(), 2);
    let resources = rig.nodes.resources(HERE).await.unwrap();
    let of = |n| resources.iter().find(|r| Slot::new(n) == Some(r.slot));
    assert_eq!(of(2).unwrap().name, name);
    assert_eq!(
        of(1).unwrap().disk_bytes,
        None,
        "nothing is measured without a meter"
    );
    let other = TenantName::parse("other").unwrap();
    let refused = rig.nodes.dns_connect(at(HERE, 2), &other).await;
    assert_eq!(refused.err().unwrap().code, ErrorCode::DnsUnavailable);
    let counts = rig.nodes.dns_counts(at(HERE, 2), &other).await;
    assert_eq!(counts.unwrap_err().code, ErrorCode::DnsUnavailable);
}

#[tokio::test(start_paused = true)]
async fn another_node_reports_nothing() {
    let rig = Rig::new(1);
    rig.until_applied(at(HERE, 1), 1).await;
    let (there, name) = (NodeId(2), TenantName::parse("tenant1").unwrap());
    assert_eq!(rig.nodes.tenant(at(there, 1)), None);
    assert_eq!(rig.nodes.node(there), None);
    assert_eq!(rig.nodes.machine(there), None);
    assert_eq!(rig.nodes.holders(there), None);
    assert!(rig.nodes.used_slots(there).is_empty());
    assert!(rig.nodes.dns_connect(at(there, 1), &name).await.is_err());
    let unknown = rig.nodes.statistics(there).await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::NotFound);
    assert!(rig.nodes.dns_counts(at(there, 1), &name).await.is_err());
    assert!(rig.nodes.resources(there).await.is_err());
    let mut changes = rig.nodes.tenant_changes(at(there, 1));
    assert_eq!(changes.next().now_or_never(), None, "it never ends");
}

#[tokio::test(start_paused = true)]
async fn events_of_the_machine_and_of_the_feed_are_reported() {
    let rig = Rig::new(2);
    rig.until_applied(at(HERE, 2), 1).await;
    let mut events = rig.nodes.events();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let slot = Slot::FIRST;
    rig.machine.state().interfaces.remove(&slot);
    let name = TenantName::parse("tenant1").unwrap();
    let gone = EventKind::Drift {
        tenant: Some(EventTenant { slot, name }),
        drift: DriftKind::InterfaceGone,
    };
    let node = HERE;
    let next = events.next().await.unwrap();
    assert_eq!(next, Reported::Event { node, event: gone });

    rig.change(|answer| drop(answer.spec.tenants.pop_last()));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let generation = rig.change(|answer| {
        let settings = samples::settings(std::path::Path::new("/nowhere"));
        let tenant = samples::tenant(&settings, 2, 1);
        answer.spec.tenants.insert(tenant.slot, tenant.into());
        answer.restored = true;
    });
    rig.until_applied(at(HERE, 2), generation).await;
    let event = EventKind::DatabaseRestored {
        tenants: 1,
        devices: 1,
    };
    let next = events.next().await.unwrap();
    assert_eq!(next, Reported::Event { node, event });
}
