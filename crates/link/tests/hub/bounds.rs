//! Clients that take and give nothing.

use super::{
    client::{ask, dial, refusal},
    rig::{LIMIT, Rig},
};
use domain::{ErrorCode, Message, NodeId};
use http::Method;
use protocol::wire::{JOIN, REQUESTS};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

const GET: (Method, &str) = (Method::GET, "/node/v1/spec?since=0&wait=0");

/// Connects from this address.
async fn connect(from: &str, rig: &Rig) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let from: SocketAddr = format!("{from}:0").parse().unwrap();
    socket.bind(from).unwrap();
    socket.connect(rig.address).await.unwrap()
}

/// Waits until the hub has closed the connection.
async fn is_closed(mut stream: impl tokio::io::AsyncRead + Unpin) {
    let mut bytes = [0; 1024];
    let reading = async { while stream.read(&mut bytes).await.unwrap_or(0) > 0 {} };
    tokio::time::timeout(LIMIT, reading)
        .await
        .expect("the connection is closed");
}

#[tokio::test]
async fn silent_clients_take_no_workers_place() {
    let rig = Rig::start().await;
    rig.feed(2).set(1, &[(1, 1)]);
    let identity = rig.identity(2, 0);
    let worker = rig.worker(NodeId(2), identity.clone(), rig.address);
    worker.has(&rig.feed(2).get()).await;
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(connect("127.0.0.2", &rig).await);
    }
    // One more of this address is closed, another address is served.
    is_closed(connect("127.0.0.2", &rig).await).await;
    let (status, _) = ask(&rig, Some(&identity), GET, "").await.unwrap();
    assert_eq!(status, 200);
    // A hello that does not end is no better than none.
    for stream in silent.iter_mut().take(4) {
        stream.write_all(&[22, 3, 1, 2, 0, 1, 0]).await.unwrap();
    }
    for stream in silent {
        is_closed(stream).await;
    }
    connect("127.0.0.2", &rig).await;
    rig.feed(2).set(2, &[(1, 2)]);
    rig.nodes.nudge(NodeId(2));
    worker.has(&rig.feed(2).get()).await;
}

#[tokio::test]
async fn a_request_that_never_ends_is_closed() {
    let rig = Rig::start().await;
    let mut heads = Vec::new();
    let identity = rig.identity(2, 0);
    for identity in [None, Some(&identity)] {
        let mut stream = dial(&rig, identity, REQUESTS).await.unwrap();
        stream
            .write_all(b"GET /node/v1/spec HTTP/1.1\r\nhost: x\r\nx-slow: ")
            .await
            .unwrap();
        heads.push(stream);
        let mut stream = dial(&rig, identity, REQUESTS).await.unwrap();
        let head = "POST /node/v1/join HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        heads.push(stream);
        heads.push(dial(&rig, identity, REQUESTS).await.unwrap());
    }
    for stream in heads {
        is_closed(stream).await;
    }
}

#[tokio::test]
async fn tokens_cannot_be_tried_one_after_another() {
    let rig = Rig::start().await;
    let body = r#"{"token":"a_b","csr":"","name":"","host":"","version":""}"#;
    for _ in 0..10 {
        let (status, problem) = refusal(&rig, None, (Method::POST, JOIN), body).await;
        assert_eq!((status, problem.message), (403, Message::JoinTokenUnknown));
    }
    let (status, problem) = refusal(&rig, None, (Method::POST, JOIN), body).await;
    assert_eq!((status, problem.code), (429, ErrorCode::TooManyTries));
}
