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
    stream_to(nodes, false)
}

/// Returns the stream to a reader that understands [`NodeUpdate::raised`], or does not.
fn stream_to(nodes: &FakeNodes, is_raised_known: bool) -> BoxStream<'static, NodeUpdate> {
    let greeting = Greeting {
        version: "1.2.3".to_owned(),
        instance: "a".to_owned(),
        is_raised_known,
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

/// What a control plane has of a node by these updates.
#[derive(Default)]
struct Reader(BTreeMap<Slot, TenantState>);

impl Reader {
    fn take(&mut self, update: &NodeUpdate) {
        if let Some(raised) = update.raised {
            for (slot, state) in &mut self.0 {
                if !update.tenants.contains_key(slot) && state.applied == raised.from {
                    state.applied = raised.to;
                }
            }
        }
        for (slot, state) in &update.tenants {
            match state {
                Some(state) => drop(self.0.insert(*slot, state.clone())),
                None => drop(self.0.remove(slot)),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_generation_of_all_tenants_is_said_once() {
    let nodes = FakeNodes::new(NODE);
    for n in 1..=500 {
        nodes.set_tenant(slot(n), tenant(1));
    }
    let (mut short, mut long) = (stream_to(&nodes, true), stream_to(&nodes, false));
    let mut reader = Reader::default();
    reader.take(&short.next().await.unwrap());
    long.next().await.unwrap();

    // All but three are at the next generation; one of these has another state, one is gone.
    for n in 4..=500 {
        nodes.set_tenant(slot(n), tenant(2));
    }
    let mut other = tenant(1).unwrap();
    other.status.dns = domain::Part::Working;
    nodes.set_tenant(slot(2), Some(other.clone()));
    nodes.set_tenant(slot(3), None);
    let update = short.next().await.unwrap();
    assert_eq!(update.raised.map(|r| (r.from, r.to)), Some((1, 2)));
    let expected = BTreeMap::from([
        (slot(1), tenant(1)),
        (slot(2), Some(other)),
        (slot(3), None),
    ]);
    assert_eq!(update.tenants, expected, "those that stay are named");
    reader.take(&update);
    assert_eq!(reader.0[&slot(1)].applied, 1);
    assert_eq!(reader.0[&slot(500)].applied, 2);
    let update = long.next().await.unwrap();
    assert_eq!(
        (update.tenants.len(), update.raised),
        (499, None),
        "an older reader"
    );

    // Whatever changes, the reader has what the node has.
    let mut rng = testkit::sim::rng::SplitMix64::new(7);
    for generation in 3..60_u64 {
        for n in 1..=60 {
            match rng.below(20) {
                0 => nodes.set_tenant(slot(n), None),
                1 => {}
                _ => nodes.set_tenant(slot(n), tenant(generation - rng.below(2))),
            }
        }
        reader.take(&short.next().await.unwrap());
        for n in 1..=60 {
            let at = Location {
                node: NODE,
                slot: slot(n),
            };
            assert_eq!(reader.0.get(&slot(n)), nodes.tenant(at).as_ref(), "{n}");
        }
    }
}
