//! Joining, and what can be wrong with it.

use super::control_plane::{Database, NODE, Plane, spec, url};
use crate::worker::{ControlPlane, JoinParts, Joined, LinkError, join};
use domain::{Clock, Message, SystemClock};
use pki::{Authority, JoinToken};
use tokio::net::TcpListener;

async fn try_join(to: &ControlPlane, token: &JoinToken) -> Result<Joined, LinkError> {
    let parts = JoinParts {
        token: token.clone(),
        name: "fra-1".to_owned(),
        host: "203.0.113.7".to_owned(),
        version: "1.2.3".to_owned(),
    };
    join(to, parts, SystemClock.now()).await
}

#[tokio::test]
async fn a_token_makes_a_worker_once() {
    let database = Database::new(spec(1, 2));
    let plane = Plane::start(&database).await;
    let token = JoinToken::generate(database.authority.hash()).unwrap();
    *database.token.lock().unwrap() = Some(token.clone());
    let joined = try_join(&plane.url(), &token).await.unwrap();
    assert_eq!(joined.node, NODE);
    let peer = joined.identity.check(SystemClock.now()).unwrap();
    assert_eq!(peer.node, NODE);
    let again = try_join(&plane.url(), &token).await.unwrap_err();
    assert_eq!(again.message(), Message::JoinTokenUsed);
}

#[tokio::test]
async fn a_token_of_another_installation_is_not_said() {
    let database = Database::new(spec(1, 2));
    let plane = Plane::start(&database).await;
    let other = Authority::generate(SystemClock.now()).unwrap();
    let token = JoinToken::generate(other.hash()).unwrap();
    *database.token.lock().unwrap() = Some(token.clone());
    let refused = try_join(&plane.url(), &token).await.unwrap_err();
    assert_eq!(refused.message(), Message::AuthorityOther);
    assert!(database.token.lock().unwrap().is_some(), "it was not said");
}

#[tokio::test]
async fn what_is_no_control_plane_is_named() {
    let database = Database::new(spec(1, 2));
    let token = JoinToken::generate(database.authority.hash()).unwrap();
    // A port on which nothing listens.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let error = try_join(&url(address), &token).await.unwrap_err();
    assert!(matches!(error, LinkError::Unreachable { .. }), "{error:?}");
    // A port that speaks something else, as that of the pages.
    let pages = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = url(pages.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut stream, _)) = pages.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = try_join(&to, &token).await.unwrap_err();
    assert!(matches!(error, LinkError::Protocol { .. }), "{error:?}");
}
