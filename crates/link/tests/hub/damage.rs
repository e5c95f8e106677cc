//! Workers that say what no worker says.

use super::{
    client::{StateWriter, ask, refusal},
    rig::{Rig, name, slot, until},
};
use domain::{ErrorCode, NodeId};
use futures_util::StreamExt;
use http::Method;
use protocol::{
    DriftKind, EventKind, EventTenant, NodeState, Reported,
    wire::{JOIN, MAX_LINE_BYTES, MAX_REQUEST_BYTES, NodeUpdate},
};

const NODE: NodeId = NodeId(2);

#[tokio::test]
async fn damaged_state_closes_the_connection_and_changes_nothing() {
    let rig = Rig::start().await;
    let identity = rig.identity(NODE.0, 0);
    let node = NodeState {
        generation: 3,
        ..NodeState::default()
    };
    let whole = NodeUpdate {
        whole: true,
        node: Some(node.clone()),
        ..NodeUpdate::default()
    };
    let whole = whole.to_line().unwrap();
    let damaged: [Vec<u8>; 6] = [
        b"{\"node\":7}\n".to_vec(),
        b"GET / HTTP/1.1\n".to_vec(),
        vec![0xff, 0xfe, b'\n'],
        b"{\"tenants\":{\"1001\":null}}\n".to_vec(),
        b"{\"tenants\":{\"0\":null}}\n".to_vec(),
        vec![b' '; MAX_LINE_BYTES + 1],
    ];
    for line in damaged {
        let mut calls = StateWriter::connect(&rig, &identity).await;
        calls.send(whole.clone());
        until("the state is known", || rig.nodes.node(NODE).is_some()).await;
        calls.send(line);
        calls.is_closed().await;
        assert_eq!(rig.nodes.node(NODE), Some(node.clone()));
    }
}

#[tokio::test]
async fn a_first_update_that_is_not_whole_or_is_cut_is_refused() {
    let rig = Rig::start().await;
    let identity = rig.identity(NODE.0, 0);
    let mut calls = StateWriter::connect(&rig, &identity).await;
    calls.send("{\"holders\":{}}\n");
    calls.is_closed().await;
    let mut calls = StateWriter::connect(&rig, &identity).await;
    calls.send("{\"whole\":true,\"holders\":{}");
    calls.cut();
    calls.is_closed().await;
    assert_eq!(rig.nodes.ids(), []);
    assert_eq!(rig.nodes.holders(NODE), None);
}

#[tokio::test]
async fn fields_of_a_newer_version_are_ignored() {
    let rig = Rig::start().await;
    let calls = StateWriter::connect(&rig, &rig.identity(NODE.0, 0)).await;
    calls.send("{\"whole\":true,\"weather\":{\"rain\":1},\"holders\":{\"5\":\"lina\"}}\n\n{}\n");
    until("the holders are known", || {
        rig.nodes.holders(NODE).is_some()
    })
    .await;
    assert_eq!(rig.nodes.used_slots(NODE), [slot(5)].into());
    assert!(calls.is_open());
}

#[tokio::test]
async fn what_a_newer_version_says_is_reported_as_that() {
    let rig = Rig::start().await;
    let mut events = rig.nodes.events();
    let calls = StateWriter::connect(&rig, &rig.identity(NODE.0, 0)).await;
    let node = r#"{"generation":3,"problems":[{"code":"moon_full","message":{"code":"moon-full"}}],"foreign_slots":[],"leaving":null}"#;
    calls.send(format!("{{\"whole\":true,\"node\":{node}}}\n"));
    calls.send("{\"events\":[7,{\"event\":\"moon_full\",\"phase\":3}]}\n");
    let code = "moon_full".to_owned();
    let expected = [
        EventKind::OtherVersion { tenant: None, code },
        EventKind::EventsLost { count: 1 },
    ];
    for event in expected {
        let node = NODE;
        assert_eq!(events.next().await, Some(Reported::Event { node, event }));
    }
    let problems = rig.nodes.node(NODE).unwrap().problems;
    assert_eq!(problems[0].code, ErrorCode::OtherVersion);
    assert!(calls.is_open());
}

#[tokio::test]
async fn an_event_of_another_nodes_tenant_is_refused_and_reported() {
    let rig = Rig::start().await;
    rig.feed(2).set(1, &[(1, 1)]);
    rig.feed(3).set(1, &[(7, 1)]);
    let _other = rig.worker(NodeId(3), rig.identity(3, 0), rig.address);
    until("the other reports", || rig.nodes.ids() == [NodeId(3)]).await;
    let mut events = rig.nodes.events();
    let calls = StateWriter::connect(&rig, &rig.identity(2, 0)).await;
    let drift = |n, tenant: &str| EventKind::Drift {
        tenant: Some(EventTenant {
            slot: slot(n),
            name: name(tenant),
        }),
        drift: DriftKind::InterfaceGone,
    };
    let update = NodeUpdate {
        whole: true,
        events: vec![
            drift(7, "tenant7"),
            drift(9, "stranger"),
            drift(1, "tenant1"),
        ],
        missed: 4,
        ..NodeUpdate::default()
    };
    calls.send(update.to_line().unwrap());
    let node = NODE;
    let foreign = EventKind::ForeignTenant {
        name: name("tenant7"),
    };
    for event in [foreign, drift(1, "tenant1")] {
        assert_eq!(events.next().await, Some(Reported::Event { node, event }));
    }
    assert_eq!(
        events.next().await,
        Some(Reported::Missed { node, count: 4 })
    );
}

#[tokio::test]
async fn damaged_requests_are_refused() {
    let rig = Rig::start().await;
    let identity = rig.identity(NODE.0, 0);
    for query in [
        "",
        "since",
        "since=x",
        "since=1&digest=zz",
        "since=-1",
        "since=1&wait=x",
    ] {
        let path = format!("/node/v1/spec?{query}");
        let (status, problem) = refusal(&rig, Some(&identity), (Method::GET, &path), "").await;
        assert_eq!(
            (status, problem.code),
            (400, ErrorCode::BadRequest),
            "{query}"
        );
    }
    let long = vec![b'{'; MAX_REQUEST_BYTES + 1];
    let join = (Method::POST, JOIN);
    for body in [b"{".to_vec(), b"[]".to_vec(), vec![0xff; 9]] {
        let (status, _) = refusal(&rig, None, join.clone(), body).await;
        assert_eq!(status, 400);
    }
    // The hub may close while the client still writes.
    match ask(&rig, None, join, long).await {
        Ok((status, _)) => assert_eq!(status, 400),
        Err(e) => println!("the connection was closed: {e}"),
    }
    let path = format!("/{}", "x".repeat(20_000));
    match ask(&rig, Some(&identity), (Method::GET, &path), "").await {
        Ok((status, _)) => assert_eq!(status, 431),
        Err(e) => println!("the connection was closed: {e}"),
    }
}
