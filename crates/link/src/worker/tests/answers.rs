//! Answers that cannot be used: too long, cut short, of something else.

use super::control_plane::{Database, Link, NODE, spec, url};
use crate::worker::{LinkError, requests::Connection};
use domain::{Clock, SystemClock};
use http::Method;
use protocol::{
    SpecFeed,
    wire::{CALLS, MAX_SPEC_BYTES, REQUESTS, SPEC, SpecFingerprints, SpecUpdate},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// Gives these answers, one on each connection for requests, then the last one again.
async fn answering(database: &Arc<Database>, answers: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let now = SystemClock.now();
    let tls = database.authority.server_config(now, &[REQUESTS, CALLS]);
    let tls = TlsAcceptor::from(tls.unwrap());
    tokio::spawn(async move {
        let mut given = 0;
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = tls.accept(stream).await else {
                continue;
            };
            if stream.get_ref().1.alpn_protocol() != Some(REQUESTS) {
                continue;
            }
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let answer = &answers[given.min(answers.len() - 1)];
            given += 1;
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

fn ok(body: &[u8], length: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn whole() -> Vec<u8> {
    let spec = spec(1, 2);
    let prints = SpecFingerprints::of(&spec, None).unwrap();
    let update = SpecUpdate::between(None, &spec, &prints, false);
    update.to_bytes().unwrap().to_vec()
}

async fn ask(database: &Arc<Database>, answer: Vec<u8>) -> Result<Vec<u8>, LinkError> {
    let to = url(answering(database, vec![answer]).await);
    let identity = database.identity(SystemClock.now());
    let tls = identity.tls(REQUESTS).unwrap();
    let mut connection = Connection::open(&to, tls).await.unwrap();
    let get = Connection::request(Method::GET, SPEC);
    let asking = connection.ask(get, Vec::new(), Duration::ZERO, MAX_SPEC_BYTES);
    asking.await.map(|answer| answer.body.to_vec())
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let database = Database::new(spec(1, 2));
    let announced = ask(&database, ok(b"x", MAX_SPEC_BYTES + 1)).await;
    assert!(matches!(announced, Err(LinkError::Answer { .. })));
    // Without a length, it is read as far as the limit: 64 KiB for a refusal.
    let mut endless = b"HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..100 {
        endless.extend_from_slice(b"1000\r\n");
        endless.resize(endless.len() + 0x1000, b'x');
        endless.extend_from_slice(b"\r\n");
    }
    let refused = ask(&database, endless).await;
    match refused {
        Err(LinkError::Answer { reason, .. }) => assert_eq!(reason, "more than 65536 bytes"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_asked_for_again() {
    let database = Database::new(spec(1, 2));
    let body = whole();
    let cut = ask(&database, ok(&body[..body.len() / 2], body.len())).await;
    assert!(matches!(cut, Err(LinkError::Broken { .. })));
    let cut = ok(&body[..body.len() / 2], body.len());
    let answers = vec![cut, ok(&body, body.len())];
    let to = url(answering(&database, answers).await);
    let link = Link::start(database.identity(SystemClock.now()), &[to]);
    assert_eq!(link.until(1).await, spec(1, 2));
}

#[tokio::test]
async fn garbage_changes_nothing() {
    let database = Database::new(spec(1, 2));
    let body = whole();
    let garbage = b"{\"full\":true}\n{\"version\":99}";
    let answers = vec![ok(&body, body.len()), ok(garbage, garbage.len())];
    let to = url(answering(&database, answers).await);
    let link = Link::start(database.identity(SystemClock.now()), &[to]);
    link.until(1).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(link.feed.load(1).await.unwrap().spec, spec(1, 2));
    assert_eq!(link.nodes.nudges(), 1, "{NODE}");
}
