//! The lines of a node's state, and what a slow reader costs.

use super::*;
use domain::{TenantName, TenantStatus};
use protocol::{EventKind, NodeState};
use testkit::fakes::FakeNodes;

const NODE: NodeId = NodeId(3);

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

fn tenant(applied: u64) -> Option<TenantState> {
    Some(TenantState {
        name: TenantName::parse("lina").unwrap(),
        applied,
        status: TenantStatus::default(),
    })
}

fn stream(nodes: &FakeNodes) -> BoxStream<'static, NodeUpdate> {
    let greeting = Greeting {
        version: "1.2.3".to_owned(),
        instance: "a".to_owned(),
    };
    let lines = lines(NODE, Arc::new(nodes.clone()), nodes.events(), greeting);
    lines
        .map(|line| NodeUpdate::from_line(&line).unwrap())
        .boxed()
}

#[tokio::test(start_paused = true)]
async fn the_first_line_is_whole_and_others_hold_changes() {
    let nodes = FakeNodes::new(NODE);
    nodes.set_tenant(slot(1), tenant(1));
    nodes.set_tenant(slot(2), tenant(1));
    let mut stream = stream(&nodes);
    let first = stream.next().await.unwrap();
    assert!(first.whole && first.version.as_deref() == Some("1.2.3"));
    assert_eq!(first.tenants.len(), 2);

    nodes.set_tenant(slot(2), tenant(2));
    nodes.set_tenant(slot(1), tenant(1));
    let second = stream.next().await.unwrap();
    assert!(!second.whole && second.version.is_none());
    let expected = BTreeMap::from([(slot(2), tenant(2))]);
    assert_eq!(second.tenants, expected, "slot 1 is as before");

    nodes.set_tenant(slot(2), None);
    nodes.set_node(NodeState::default());
    let third = stream.next().await.unwrap();
    assert_eq!(third.tenants, BTreeMap::from([(slot(2), None)]));
    assert_eq!(third.node, Some(NodeState::default()));

    let before = Instant::now();
    let heartbeat = stream.next().await.unwrap();
    assert_eq!(heartbeat, NodeUpdate::default());
    assert!(before.elapsed() <= HEARTBEAT);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_the_newest_and_what_it_missed() {
    let nodes = FakeNodes::new(NODE);
    let mut stream = stream(&nodes);
    stream.next().await.unwrap();
    let events = 1000;
    for n in 0..100_000_u32 {
        let of = u16::try_from(1 + n % 1000).unwrap();
        nodes.set_tenant(slot(of), tenant(n.into()));
        if n < events {
            nodes.report(EventKind::DatabaseRestored {
                tenants: n.into(),
                devices: 0,
            });
        }
    }
    let (mut lines, mut told) = (0, 0);
    let mut last = BTreeMap::new();
    loop {
        let update = stream.next().await.unwrap();
        if update == NodeUpdate::default() {
            break;
        }
        lines += 1;
        told += update.events.len() as u64 + update.missed;
        last.extend(update.tenants);
    }
    assert!(lines <= 3, "{lines} lines for 100,000 changes");
    assert_eq!(told, u64::from(events));
    assert_eq!(last.len(), 1000);
    assert_eq!(last[&slot(1000)], tenant(99_999));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_for_a_line_comes_in_several() {
    let nodes = FakeNodes::new(NODE);
    let reason = "x".repeat(6000);
    for slot in Slot::all() {
        let mut state = tenant(1).unwrap();
        let problem = domain::Problem {
            code: domain::ErrorCode::Internal,
            message: domain::Message::Verbatim {
                text: reason.clone(),
            },
        };
        state.status.dns = domain::Part::Problem(problem);
        nodes.set_tenant(slot, Some(state));
    }
    let mut stream = stream(&nodes);
    let first = stream.next().await.unwrap();
    assert!(first.whole && first.tenants.len() < 1000);
    let mut tenants = first.tenants;
    while tenants.len() < 1000 {
        let update = stream.next().await.unwrap();
        assert!(!update.whole);
        tenants.extend(update.tenants);
    }
}
