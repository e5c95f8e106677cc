//! Clients that are slow in every way there is.

use super::*;
use axum::{extract::State, routing::get};
use futures_util::stream;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    sync::oneshot,
    task::JoinHandle,
};

/// Only against a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer without end, and how much of it was asked for.
async fn endless(State(asked): State<Arc<AtomicU64>>) -> Body {
    Body::from_stream(stream::repeat_with(move || {
        asked.fetch_add(8192, Ordering::SeqCst);
        Ok::<_, io::Error>(vec![b'x'; 8192])
    }))
}

async fn served(limits: Limits) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let (address, end, server, _) = served_counted(limits).await;
    (address, end, server)
}

async fn served_counted(
    limits: Limits,
) -> (
    SocketAddr,
    oneshot::Sender<()>,
    JoinHandle<()>,
    Arc<AtomicU64>,
) {
    async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
        format!("you are {}", peer.ip())
    }
    let asked = Arc::new(AtomicU64::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel();
    let router = Router::new()
        .route("/", get(peer))
        .route("/endless", get(endless))
        .with_state(asked.clone());
    let server = tokio::spawn(run(listener, router, limits, async move {
        let _ = ended.await;
    }));
    (address, end, server, asked)
}

async fn connect(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the server closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    let read = tokio::time::timeout(PATIENCE, read).await;
    // A reset is an end too.
    let _ = read.expect("the server closes");
    String::from_utf8_lossy(&all).into_owned()
}

const WHOLE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn short(connections: usize) -> Limits {
    Limits {
        head: Duration::from_millis(300),
        stalled: Duration::from_millis(500),
        connections,
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let (address, _end, _server) = served(short(8)).await;
    let slow = connect(address, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow").await;
    assert!(!rest(slow).await.contains("200 OK"));
    let whole = rest(connect(address, WHOLE).await).await;
    assert!(whole.ends_with("you are 127.0.0.1"), "{whole}");
}

#[tokio::test]
async fn more_idle_connections_than_places_do_not_stop_the_service() {
    let (address, _end, _server) = served(short(2)).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(connect(address, "").await);
    }
    let whole = rest(connect(address, WHOLE).await).await;
    assert!(whole.contains("200 OK"), "{whole}");
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_an_answer_is_cut_off() {
    let (address, _end, _server, asked) = served_counted(short(1)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut lazy = socket.connect(address).await.unwrap();
    let ask = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
    lazy.write_all(ask).await.unwrap();
    // The only place is taken until it is cut off.
    let whole = rest(connect(address, WHOLE).await).await;
    assert!(whole.contains("200 OK"), "{whole}");
    let gathered = asked.load(Ordering::SeqCst);
    assert!(gathered < 1 << 20, "{gathered} bytes for who does not read");
    drop(lazy);
}

#[tokio::test]
async fn a_client_that_takes_little_by_little_is_served_on() {
    let (address, _end, _server, asked) = served_counted(short(1)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut slow = socket.connect(address).await.unwrap();
    let ask = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
    slow.write_all(ask).await.unwrap();
    let mut some = vec![0; 256 << 10];
    let begun = asked.load(Ordering::SeqCst);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        slow.read_exact(&mut some).await.unwrap();
    }
    assert!(asked.load(Ordering::SeqCst) > begun + (2 << 20));
}

#[tokio::test]
async fn a_head_beyond_all_measure_is_refused_and_not_gathered() {
    let limits = Limits {
        head: PATIENCE,
        ..short(8)
    };
    let (address, _end, _server) = served(limits).await;
    let long = "x".repeat(BUFFER);
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {long}");
    let begun = std::time::Instant::now();
    let answer = rest(connect(address, &head).await).await;
    assert!(begun.elapsed() < PATIENCE / 2, "it waits for more");
    assert!(answer.is_empty() || answer.contains("431"), "{answer}");
    let fair = "x".repeat(16 << 10);
    let head = WHOLE.replace("\r\n\r\n", &format!("\r\nCookie: {fair}\r\n\r\n"));
    let answer = rest(connect(address, &head).await).await;
    assert!(answer.contains("200 OK"), "{answer}");
}

/// What this process holds in memory of its own, bytes.
fn own_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_that_never_finish_a_head_keep_nobody_out() {
    raise_file_limit();
    let limits = Limits {
        head: Duration::from_secs(20),
        ..Limits::default()
    };
    let (address, _end, _server) = served(limits).await;
    let before = own_memory();
    let mut slow = Vec::new();
    for n in 0..2_000 {
        let head = format!("GET /{n} HTTP/1.1\r\nHost: x\r\nX-Slow: ");
        slow.push(connect(address, &head).await);
    }
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        let whole = rest(connect(address, WHOLE).await).await;
        assert!(whole.ends_with("you are 127.0.0.1"), "{whole}");
    }
    let took = begun.elapsed() / 20;
    let each = own_memory().saturating_sub(before) / 2_000;
    println!("beside 2,000 slow heads: {took:?} a request, {each} bytes a connection");
    assert!(took < Duration::from_millis(500), "{took:?}");
    // The clients' own ends are counted too.
    assert!(each < 48 << 10, "{each} bytes a connection");
    for stream in slow {
        assert!(!rest(stream).await.contains("200 OK"), "all are cut off");
    }
}

#[tokio::test]
async fn a_kept_connection_does_not_hold_the_end_up() {
    let limits = Limits {
        head: Duration::from_secs(3600),
        connections: 2,
        ..Limits::default()
    };
    let (address, end, server) = served(limits).await;
    let mut kept = connect(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut first = [0; 15];
    kept.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    end.send(()).unwrap();
    tokio::time::timeout(PATIENCE, server)
        .await
        .expect("it ends")
        .unwrap();
}
