//! Who is refused what.

use super::{
    client::{StateWriter, ask, dial, refusal},
    rig::{Rig, at, until},
};
use domain::{Clock, ErrorCode, Message, NodeId, SystemClock};
use http::Method;
use link::worker::Identity;
use pki::{Authority, NodeKey};
use protocol::wire::{CALLS, JOIN, RENEW, RenewAnswer, RenewRequest, SPEC, SpecUpdate};
use tokio::io::AsyncReadExt;

const ALL: &str = "/node/v1/spec?since=0&wait=0";
const GET: (Method, &str) = (Method::GET, ALL);

fn renewal(identity: &Identity) -> Vec<u8> {
    let key = NodeKey::from_pem(&identity.key).unwrap();
    let request = RenewRequest {
        csr: key.csr().unwrap(),
        version: "1.2.3".to_owned(),
    };
    serde_json::to_vec(&request).unwrap()
}

/// Returns whether the hub ends a connection for calls without using it.
async fn is_call_refused(rig: &Rig, identity: Option<&Identity>) -> bool {
    let Ok(mut stream) = dial(rig, identity, CALLS).await else {
        return true;
    };
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes).await;
    // The other side's HTTP/2 would begin with its preface.
    read.is_err() || bytes.is_empty()
}

#[tokio::test]
async fn without_a_certificate_a_machine_can_only_try_to_join() {
    let rig = Rig::start().await;
    rig.feed(2).set(1, &[(1, 1)]);
    for request in [GET, (Method::POST, RENEW)] {
        let (status, problem) = refusal(&rig, None, request, "{}").await;
        assert_eq!(
            (status, problem.message),
            (401, Message::WorkerCertificateMissing)
        );
    }
    let (status, _) = refusal(&rig, None, (Method::POST, JOIN), "{}").await;
    assert_eq!(status, 400);
    for (method, path) in [
        (Method::GET, JOIN),
        (Method::POST, SPEC),
        (Method::GET, "/"),
    ] {
        let (status, _) = refusal(&rig, None, (method, path), "").await;
        assert_eq!(status, 404);
    }
    assert!(is_call_refused(&rig, None).await);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let rig = Rig::start().await;
    let now = SystemClock.now();
    let other = Authority::generate(now).unwrap();
    let key = NodeKey::generate().unwrap();
    let issued = other
        .issue_node(&key.csr().unwrap(), NodeId(2), now)
        .unwrap();
    let foreign = Identity {
        authority: rig.memory.authority.certificate_pem().to_owned(),
        certificate: issued.pem,
        key: key.pem().clone(),
    };
    assert!(ask(&rig, Some(&foreign), GET, "").await.is_err());
    assert!(is_call_refused(&rig, Some(&foreign)).await);
}

#[tokio::test]
async fn an_expired_certificate_can_only_be_renewed() {
    let rig = Rig::start().await;
    rig.feed(2).set(1, &[(1, 1)]);
    let expired = rig.identity(2, 40);
    let (status, problem) = refusal(&rig, Some(&expired), GET, "").await;
    let message = Message::WorkerCertificateExpired { days: 10 };
    assert_eq!((status, problem.message), (401, message));
    assert!(is_call_refused(&rig, Some(&expired)).await);
    let renew = (Method::POST, RENEW);
    let (status, body) = ask(&rig, Some(&expired), renew.clone(), renewal(&expired))
        .await
        .unwrap();
    assert_eq!(status, 200);
    let answer: RenewAnswer = serde_json::from_slice(&body).unwrap();
    let renewed = Identity {
        certificate: answer.certificate,
        ..expired
    };
    let (status, _) = ask(&rig, Some(&renewed), GET, "").await.unwrap();
    assert_eq!(status, 200);

    let late = rig.identity(2, 30 + 91);
    let (status, problem) = refusal(&rig, Some(&late), renew, renewal(&late)).await;
    assert_eq!(
        (status, problem.message),
        (401, Message::RenewalTooLate { days: 91 })
    );
}

#[tokio::test]
async fn a_revoked_node_gets_nothing_more() {
    let rig = Rig::start().await;
    rig.feed(2).set(1, &[(1, 1)]);
    let identity = rig.identity(2, 0);
    let (status, body) = ask(&rig, Some(&identity), GET, "").await.unwrap();
    assert_eq!(status, 200);
    let digest = SpecUpdate::from_bytes(&body).unwrap().digest;
    let calls = StateWriter::connect(&rig, &identity).await;
    calls.send("{\"whole\":true}\n");
    until("the worker reports", || rig.nodes.ids() == [NodeId(2)]).await;

    // A query that waits when the node is revoked brings nothing either.
    let wait = format!("{SPEC}?since=1&digest={digest}&wait=25");
    let waiting = refusal(&rig, Some(&identity), (Method::GET, &wait), "");
    let revoking = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        rig.memory.revoke(NodeId(2));
        rig.feed(2).set(2, &[(1, 2)]);
        rig.nodes.nudge(NodeId(2));
    };
    let ((status, problem), ()) = tokio::join!(waiting, revoking);
    assert_eq!(
        (status, problem.message),
        (403, Message::WorkerCertificateRefused)
    );
    let beating = async {
        loop {
            calls.send("\n");
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            if !calls.is_open() {
                return;
            }
        }
    };
    tokio::time::timeout(super::rig::LIMIT, beating)
        .await
        .expect("the connection is closed");
    let (status, _) = refusal(
        &rig,
        Some(&identity),
        (Method::POST, RENEW),
        renewal(&identity),
    )
    .await;
    assert_eq!(status, 403);
    assert!(is_call_refused(&rig, Some(&identity)).await);
}

#[tokio::test]
async fn a_certificate_opens_its_own_node_alone() {
    let rig = Rig::start().await;
    rig.feed(2).set(1, &[(1, 1)]);
    rig.feed(3).set(1, &[(7, 1)]);
    let second = rig.identity(2, 0);
    let path = format!("{ALL}&node=3");
    let (_, body) = ask(&rig, Some(&second), (Method::GET, &path), "")
        .await
        .unwrap();
    assert_eq!(
        SpecUpdate::from_bytes(&body).unwrap().spec,
        rig.feed(2).get()
    );
    // What it reports is its own too.
    let calls = StateWriter::connect(&rig, &second).await;
    calls.send("{\"whole\":true,\"holders\":{\"7\":\"tenant7\"}}\n");
    until("the worker reports", || {
        rig.nodes.holders(NodeId(2)).is_some()
    })
    .await;
    assert_eq!(rig.nodes.holders(NodeId(3)), None);
    assert_eq!(rig.nodes.tenant(at(3, 7)), None);
    let unknown = rig.nodes.statistics(NodeId(3)).await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::NodeUnreachable);
}
