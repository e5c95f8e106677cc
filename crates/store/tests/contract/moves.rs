//! Moves of tenants from one node to another.

use crate::{
    nodes::worker,
    test_database::{NOW, TestDatabase, new_device, scope, sign_up_on},
};
use domain::{
    AddressPlan, ErrorCode, Message, MoveReason, NodeId, NodeStanding, Problem, Slot, Timestamp,
};
use futures_util::future::join_all;
use protocol::{EventKind, EventTenant, Forward};
use std::{collections::BTreeSet, net::Ipv4Addr};
use store::{
    Evacuation, LOCAL_NODE, MoveRecord, NewMove, Placement, StatSample, Store, StoreError, Switch,
    TenantRecord,
};

const HOUR: i64 = 3_600_000;
const OPERATOR: &str = "operator:admin";
const NODE_ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

async fn begin(store: &Store, t: &TenantRecord, to: Option<NodeId>) -> Result<(), StoreError> {
    let new = NewMove {
        tenant: t.id,
        to,
        with_data: true,
        actor: OPERATOR.into(),
        now: NOW,
    };
    store.begin_move(new).await
}

fn switch(t: &TenantRecord, from: NodeId, to: NodeId) -> Switch<'static> {
    Switch {
        tenant: t.id,
        from,
        to,
        max_tenants: None,
        copied_bytes: None,
        forward_to: Some(NODE_ADDRESS),
        forward_until: NOW.plus_millis(24 * HOUR),
        kept_until: NOW.plus_millis(168 * HOUR),
        actor: OPERATOR,
        now: NOW,
    }
}

/// Begins a move and carries it out.
pub async fn move_to(store: &Store, t: &TenantRecord, from: NodeId, to: NodeId) {
    begin(store, t, Some(to)).await.unwrap();
    store.switch_tenant(&switch(t, from, to)).await.unwrap();
}

async fn the_move(store: &Store, t: &TenantRecord) -> MoveRecord {
    store.move_of(t.id).await.unwrap().unwrap()
}

async fn tenants_of(store: &Store, node: NodeId) -> u32 {
    store.node(node).await.unwrap().tenants
}

pub async fn a_moved_tenant_keeps_slot_and_devices(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let lina = sign_up_on(&store, "lina", LOCAL_NODE).await;
    let plan = AddressPlan::default();
    let device = new_device("Phone");
    store
        .add_device(&scope(&lina), device, &plan)
        .await
        .unwrap();
    let before = store.load_spec(LOCAL_NODE).await.unwrap();
    let target = store.load_spec(node).await.unwrap();
    begin(&store, &lina, Some(node)).await.unwrap();
    assert_eq!(the_move(&store, &lina).await.to, Some(node));
    let done = store.switch_tenant(&switch(&lina, LOCAL_NODE, node)).await;
    let done = done.unwrap();
    assert_eq!((done.node, done.slot), (node, lina.slot));
    let (left, there) = (
        store.load_spec(LOCAL_NODE).await.unwrap(),
        store.load_spec(node).await.unwrap(),
    );
    assert_eq!(there.generation, done.generation);
    assert!(left.generation > before.generation && there.generation > target.generation);
    assert_eq!(there.tenants[&lina.slot], before.tenants[&lina.slot]);
    assert!(left.tenants.is_empty());
    let moved = &left.moved[&lina.slot];
    assert_eq!(moved.name, lina.name);
    assert_eq!(moved.forward, Some(Forward { to: NODE_ADDRESS }));
    assert!(there.moved.is_empty());
    // Who has only the changes sees the same.
    for (spec, now) in [(before, left), (target, there)] {
        let mut patched = spec;
        let known = patched.tenants.keys().copied().collect();
        let node = if now.tenants.is_empty() {
            LOCAL_NODE
        } else {
            node
        };
        let changes = store.spec_changes(node, patched.generation, &known).await;
        changes.unwrap().apply(&mut patched);
        assert_eq!(patched, now);
    }
    assert_eq!(tenants_of(&store, LOCAL_NODE).await, 0);
    assert_eq!(tenants_of(&store, node).await, 1);
    let found = store.tenant(&scope(&lina)).await.unwrap();
    assert_eq!((found.node, found.slot), (node, lina.slot));
    assert_eq!(store.moves().await.unwrap(), []);
    let again = store.switch_tenant(&switch(&lina, LOCAL_NODE, node)).await;
    assert!(matches!(again, Err(StoreError::MoveUnknown)));
    let audit = store.audit_recent(2).await.unwrap();
    let audit: Vec<_> = audit.iter().map(|a| a.action.as_str()).collect();
    assert_eq!(audit, ["tenant.moved", "tenant.move"]);
    let events = store.tenant_events(&scope(&lina), 9).await.unwrap();
    assert_eq!((events.len(), events[0].kind.as_str()), (1, "tenant.moved"));
    // Back, with what its AdGuard Home has stored.
    begin(&store, &lina, Some(LOCAL_NODE)).await.unwrap();
    assert!(the_move(&store, &lina).await.with_data);
    let back = Switch {
        copied_bytes: Some(4 << 20),
        ..switch(&lina, node, LOCAL_NODE)
    };
    store.switch_tenant(&back).await.unwrap();
    let failed = EventKind::MoveFailed {
        tenant: EventTenant {
            slot: lina.slot,
            name: lina.name.clone(),
        },
        problem: Message::CopyBroken,
    };
    let recorded = store.record_tenant_event(LOCAL_NODE, lina.id, failed, NOW);
    recorded.await.unwrap();
    let events = store.tenant_events(&scope(&lina), 9).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|e| e.kind.as_str()).collect();
    let expected = [
        "tenant.move_failed",
        "tenant.moved_with_data",
        "tenant.moved",
    ];
    assert_eq!(kinds, expected);
}

pub async fn a_move_that_cannot_be_is_refused(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let lina = sign_up_on(&store, "lina", LOCAL_NODE).await;
    let same = begin(&store, &lina, Some(LOCAL_NODE)).await;
    assert!(matches!(same, Err(StoreError::MoveSameNode { node }) if node == "local"));
    let unknown = begin(&store, &lina, Some(NodeId(99))).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
    assert!(matches!(
        store.cancel_move(lina.id, OPERATOR, NOW).await,
        Err(StoreError::MoveUnknown)
    ));
    begin(&store, &lina, None).await.unwrap();
    let twice = begin(&store, &lina, Some(node)).await;
    assert!(matches!(twice, Err(StoreError::MovePending { name }) if name == "lina"));
    // The target has no room, is closed, or has a tenant in the slot.
    let attempt = switch(&lina, LOCAL_NODE, node);
    let full = Switch {
        max_tenants: Some(0),
        ..attempt.clone()
    };
    let refused = store.switch_tenant(&full).await;
    assert!(matches!(refused, Err(StoreError::NodeFull)));
    let closed = NodeStanding::Closed;
    store
        .set_standing(node, closed, OPERATOR, NOW)
        .await
        .unwrap();
    let refused = store.switch_tenant(&attempt).await;
    assert!(matches!(refused, Err(StoreError::NodeFull)));
    let open = NodeStanding::Open;
    store.set_standing(node, open, OPERATOR, NOW).await.unwrap();
    let omar = sign_up_on(&store, "omar", node).await;
    assert_eq!(omar.slot, lina.slot);
    assert!(!store.has_slot_free(node, lina.slot, lina.id).await.unwrap());
    let refused = store.switch_tenant(&attempt).await;
    assert!(matches!(refused, Err(StoreError::SlotTaken { slot }) if slot == lina.slot));
    assert_eq!(store.tenant(&scope(&lina)).await.unwrap().node, LOCAL_NODE);
    assert!(store.load_spec(LOCAL_NODE).await.unwrap().moved.is_empty());
    // It stays noted with its problem, and is tried again later.
    let problem = Problem {
        code: ErrorCode::MoveRefused,
        message: Message::MoveNowhere { slot: 1 },
    };
    let later = NOW.plus_millis(30_000);
    store.note_move_copied(lina.id, 77).await.unwrap();
    assert_eq!(the_move(&store, &lina).await.copied_bytes, 77);
    store
        .note_move_failed(lina.id, &problem, later)
        .await
        .unwrap();
    assert_eq!(store.next_move(NOW).await.unwrap(), None);
    let due = store.next_move(later).await.unwrap().unwrap();
    assert_eq!((due.tenant, due.problem), (lina.id, Some(problem)));
    assert_eq!((due.copied_bytes, due.owner), (0, lina.public_key));
    store.cancel_move(lina.id, OPERATOR, NOW).await.unwrap();
    assert_eq!(store.next_move(later).await.unwrap(), None);
    let refused = store.switch_tenant(&attempt).await;
    assert!(matches!(refused, Err(StoreError::MoveUnknown)));
}

pub async fn all_tenants_of_a_node_are_to_be_moved(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let (lina, omar, zoe) = (
        sign_up_on(&store, "lina", node).await,
        sign_up_on(&store, "omar", node).await,
        sign_up_on(&store, "zoe", LOCAL_NODE).await,
    );
    begin(&store, &omar, Some(LOCAL_NODE)).await.unwrap();
    let drain = MoveReason::Drain;
    let evacuation = |node, reason, with_data| Evacuation {
        node,
        reason,
        with_data,
        actor: OPERATOR.into(),
        now: NOW,
    };
    let count = store.begin_evacuation(evacuation(node, drain, true)).await;
    assert_eq!(count.unwrap(), 2);
    assert!(the_move(&store, &lina).await.with_data);
    // Said again, it changes what goes along; but not of what was wanted by itself.
    let again = store.begin_evacuation(evacuation(node, drain, false)).await;
    assert_eq!(again.unwrap(), 2);
    assert!(!the_move(&store, &lina).await.with_data);
    assert!(the_move(&store, &omar).await.with_data);
    assert_eq!(
        store.node(node).await.unwrap().standing,
        NodeStanding::Closed
    );
    assert_eq!(the_move(&store, &lina).await.reason, drain);
    let own = the_move(&store, &omar).await;
    assert_eq!((own.reason, own.to), (MoveReason::Move, Some(LOCAL_NODE)));
    assert_eq!(store.move_of(zoe.id).await.unwrap(), None);
    // The operator opens it again: only what was wanted by itself stays.
    let open = NodeStanding::Open;
    store.set_standing(node, open, OPERATOR, NOW).await.unwrap();
    assert_eq!(store.move_of(lina.id).await.unwrap(), None);
    the_move(&store, &omar).await;
    let lose = MoveReason::Lose;
    let lost = store.begin_evacuation(evacuation(node, lose, false)).await;
    assert_eq!(lost.unwrap(), 2);
    assert!(!the_move(&store, &omar).await.with_data);
    assert_eq!(the_move(&store, &omar).await.reason, lose);
    assert_eq!(the_move(&store, &lina).await.reason, lose);
    // A tenant that is deleted is not moved.
    store.delete_tenant(&scope(&lina), NOW).await.unwrap();
    assert_eq!(store.moves().await.unwrap().len(), 1);
    let unknown = evacuation(NodeId(99), drain, true);
    let unknown = store.begin_evacuation(unknown).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
}

pub async fn what_a_tenant_left_ends_in_time(db: &TestDatabase) {
    let store = db.store().await;
    let (second, third) = (worker(&store, "fra1").await, worker(&store, "fra2").await);
    let lina = sign_up_on(&store, "lina", LOCAL_NODE).await;
    move_to(&store, &lina, LOCAL_NODE, second).await;
    // Its slot is not given to another tenant meanwhile, by a sign-up or a move.
    let excluded = &Slot::all()
        .filter(|s| *s != lina.slot)
        .collect::<BTreeSet<_>>();
    let placement = Placement {
        node: LOCAL_NODE,
        excluded,
        max_tenants: None,
    };
    let omar = crate::test_database::new_tenant("omar");
    let plan = AddressPlan::default();
    let refused = store.create_tenant(omar, &plan, placement).await;
    assert!(matches!(refused, Err(StoreError::NodeFull)));
    let zoe = sign_up_on(&store, "zoe", third).await;
    assert_eq!(zoe.slot, lina.slot);
    assert!(
        !store
            .has_slot_free(LOCAL_NODE, zoe.slot, zoe.id)
            .await
            .unwrap()
    );
    assert!(
        store
            .has_slot_free(LOCAL_NODE, lina.slot, lina.id)
            .await
            .unwrap()
    );
    store.delete_tenant(&scope(&zoe), NOW).await.unwrap();

    // It moves on: the first node sends its packets to the newest one.
    let next = Ipv4Addr::new(203, 0, 113, 10);
    begin(&store, &lina, Some(third)).await.unwrap();
    let on = Switch {
        forward_to: Some(next),
        ..switch(&lina, second, third)
    };
    let generation = store.generation(LOCAL_NODE).await.unwrap();
    store.switch_tenant(&on).await.unwrap();
    for node in [LOCAL_NODE, second] {
        let moved = store.load_spec(node).await.unwrap().moved;
        assert_eq!(moved[&lina.slot].forward, Some(Forward { to: next }));
    }
    assert!(store.generation(LOCAL_NODE).await.unwrap() > generation);
    // Back at the first node, nothing of it has moved from there.
    move_to(&store, &lina, third, LOCAL_NODE).await;
    assert!(store.load_spec(LOCAL_NODE).await.unwrap().moved.is_empty());

    assert_eq!(store.end_moved(NOW).await.unwrap(), []);
    let day = NOW.plus_millis(24 * HOUR);
    let generation = store.generation(second).await.unwrap();
    assert_eq!(store.end_moved(day).await.unwrap(), [second, third]);
    let left = store.load_spec(second).await.unwrap();
    assert!(left.generation > generation);
    assert_eq!(left.moved[&lina.slot].forward, None, "its folder stays");
    assert_eq!(store.end_moved(day).await.unwrap(), []);
    let week = NOW.plus_millis(168 * HOUR);
    assert_eq!(store.end_moved(week).await.unwrap(), [second, third]);
    assert!(store.load_spec(second).await.unwrap().moved.is_empty());
    // A deleted tenant's ends at once.
    move_to(&store, &lina, LOCAL_NODE, second).await;
    store.delete_tenant(&scope(&lina), NOW).await.unwrap();
    assert!(store.load_spec(LOCAL_NODE).await.unwrap().moved.is_empty());
    assert_eq!(store.end_moved(NOW).await.unwrap(), [LOCAL_NODE]);
}

pub async fn a_former_nodes_reading_is_not_counted(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let lina = sign_up_on(&store, "lina", LOCAL_NODE).await;
    let device = new_device("Phone");
    let public_key = device.public_key;
    let plan = AddressPlan::default();
    let id = store.add_device(&scope(&lina), device, &plan).await;
    let id = id.unwrap().value.id;
    let reading = |rx_bytes| StatSample {
        public_key,
        rx_bytes,
        tx_bytes: 0,
        last_handshake: None,
        endpoint: None,
    };
    let record = async |node, rx, at: Timestamp| {
        let readings = [reading(rx)];
        let recorded = store.record_statistics(node, &readings, None, at).await;
        recorded.unwrap();
        store.device(&scope(&lina), id).await.unwrap().rx_total
    };
    let at = |seconds: i64| NOW.plus_millis(seconds * 1_000);
    assert_eq!(record(LOCAL_NODE, 1_000, at(0)).await, 1_000);
    move_to(&store, &lina, LOCAL_NODE, node).await;
    assert_eq!(
        record(node, 10, at(10)).await,
        1_010,
        "counters begin again"
    );
    // The former node is partitioned and still serves; its counters grow.
    assert_eq!(record(LOCAL_NODE, 5_000, at(20)).await, 1_010);
    assert_eq!(record(node, 30, at(30)).await, 1_030);
}

pub async fn two_moves_into_one_slot_are_told_apart(db: &TestDatabase) {
    let store = db.store().await;
    let (second, third) = (worker(&store, "fra1").await, worker(&store, "fra2").await);
    let tenants = [
        sign_up_on(&store, "lina", LOCAL_NODE).await,
        sign_up_on(&store, "omar", second).await,
    ];
    assert_eq!(tenants[0].slot, tenants[1].slot);
    for t in &tenants {
        begin(&store, t, None).await.unwrap();
    }
    let moves = tenants.iter().map(|t| {
        let store = store.clone();
        let switch = switch(t, t.node, third);
        async move { store.switch_tenant(&switch).await }
    });
    let results = join_all(moves).await;
    let done = results.iter().filter(|r| r.is_ok()).count();
    assert_eq!(done, 1, "{results:?}");
    let refused = results.iter().find_map(|r| r.as_ref().err()).unwrap();
    assert!(
        matches!(refused, StoreError::SlotTaken { .. }),
        "{refused:?}"
    );
    let counts = [LOCAL_NODE, second, third].map(|node| tenants_of(&store, node));
    assert_eq!(join_all(counts).await.iter().sum::<u32>(), 2);
}

/// Tenants move to and fro between the same nodes at the same time.
pub async fn moves_in_both_directions_do_not_deadlock(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    // The worker's tenants have other slots than the local node's.
    for n in 0..3 {
        let t = sign_up_on(&store, &format!("former{n}"), node).await;
        store.delete_tenant(&scope(&t), NOW).await.unwrap();
    }
    let mut tenants = Vec::new();
    for n in 0..6 {
        let home = if n % 2 == 0 { LOCAL_NODE } else { node };
        let t = sign_up_on(&store, &format!("tenant{n}"), home).await;
        tenants.push(t);
    }
    let pairs = tenants.iter().map(|t| {
        let store = store.clone();
        let (t, other) = (t.clone(), if t.node == node { LOCAL_NODE } else { node });
        async move {
            for (from, to) in [(t.node, other), (other, t.node)] {
                move_to(&store, &t, from, to).await;
            }
        }
    });
    join_all(pairs).await;
    let counts = [LOCAL_NODE, node].map(|node| tenants_of(&store, node));
    assert_eq!(join_all(counts).await, [3, 3]);
}
