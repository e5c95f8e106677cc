//! Slow clients of every kind.

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

/// Ends a test that would hang.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends an endless answer and counts the bytes that hyper asks for.
async fn endless(State(produced): State<Arc<AtomicU64>>) -> Body {
    Body::from_stream(stream::repeat_with(move || {
        produced.fetch_add(8192, Ordering::SeqCst);
        Ok::<_, io::Error>(vec![b'x'; 8192])
    }))
}

async fn start(limits: Limits) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let (address, end, server, _) = start_counted(limits).await;
    (address, end, server)
}

async fn start_counted(
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
    let produced = Arc::new(AtomicU64::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel();
    let router = Router::new()
        .route("/", get(peer))
        .route("/endless", get(endless))
        .with_state(produced.clone());
    let server = tokio::spawn(run(listener, router, limits, async move {
        let _ = ended.await;
    }));
    (address, end, server, produced)
}

async fn connect(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Reads until the server closes the connection.
async fn read_all(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    let read = tokio::time::timeout(TEST_TIMEOUT, read).await;
    // A reset is an end as well.
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&all).into_owned()
}

const COMPLETE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn short(connections: usize) -> Limits {
    Limits {
        head: Duration::from_millis(300),
        stalled: Duration::from_millis(500),
        connections,
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_slow_head_times_out() {
    let (address, _end, _server) = start(short(8)).await;
    let slow = connect(address, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow").await;
    assert!(!read_all(slow).await.contains("200 OK"));
    let answer = read_all(connect(address, COMPLETE).await).await;
    assert!(answer.ends_with("you are 127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn idle_connections_beyond_the_limit_do_not_block_others() {
    let (address, _end, _server) = start(short(2)).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(connect(address, "").await);
    }
    let answer = read_all(connect(address, COMPLETE).await).await;
    assert!(answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut_off() {
    let (address, _end, _server, produced) = start_counted(short(1)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stalled = socket.connect(address).await.unwrap();
    let request = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
    stalled.write_all(request).await.unwrap();
    // The stalled client has the only permit until it is cut off.
    let answer = read_all(connect(address, COMPLETE).await).await;
    assert!(answer.contains("200 OK"), "{answer}");
    let buffered = produced.load(Ordering::SeqCst);
    assert!(buffered < 1 << 20, "{buffered} bytes for a stalled client");
    drop(stalled);
}

#[tokio::test]
async fn a_slow_but_steady_reader_is_not_cut_off() {
    let (address, _end, _server, produced) = start_counted(short(1)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut slow = socket.connect(address).await.unwrap();
    let request = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
    slow.write_all(request).await.unwrap();
    let mut chunk = vec![0; 256 << 10];
    let before = produced.load(Ordering::SeqCst);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        slow.read_exact(&mut chunk).await.unwrap();
    }
    assert!(produced.load(Ordering::SeqCst) > before + (2 << 20));
}

#[tokio::test]
async fn an_oversized_head_is_refused_and_not_buffered() {
    let limits = Limits {
        head: TEST_TIMEOUT,
        ..short(8)
    };
    let (address, _end, _server) = start(limits).await;
    let long = "x".repeat(BUFFER);
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {long}");
    let begun = std::time::Instant::now();
    let answer = read_all(connect(address, &head).await).await;
    assert!(
        begun.elapsed() < TEST_TIMEOUT / 2,
        "the server waits for more"
    );
    assert!(answer.is_empty() || answer.contains("431"), "{answer}");
    let allowed = "x".repeat(16 << 10);
    let head = COMPLETE.replace("\r\n\r\n", &format!("\r\nCookie: {allowed}\r\n\r\n"));
    let answer = read_all(connect(address, &head).await).await;
    assert!(answer.contains("200 OK"), "{answer}");
}

/// Returns the private memory of this process, in bytes.
fn own_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_unfinished_heads_block_no_other_client() {
    raise_file_limit();
    let limits = Limits {
        head: Duration::from_secs(20),
        per_address: 4096,
        ..Limits::default()
    };
    let (address, _end, _server) = start(limits).await;
    let before = own_memory();
    let mut slow = Vec::new();
    for n in 0..2_000 {
        let head = format!("GET /{n} HTTP/1.1\r\nHost: x\r\nX-Slow: ");
        slow.push(connect(address, &head).await);
    }
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        let answer = read_all(connect(address, COMPLETE).await).await;
        assert!(answer.ends_with("you are 127.0.0.1"), "{answer}");
    }
    let took = begun.elapsed() / 20;
    let per_connection = own_memory().saturating_sub(before) / 2_000;
    println!("beside 2,000 slow heads: {took:?} a request, {per_connection} bytes a connection");
    assert!(took < Duration::from_millis(500), "{took:?}");
    // The clients' ends of the connections are in this process too.
    assert!(
        per_connection < 48 << 10,
        "{per_connection} bytes a connection"
    );
    for stream in slow {
        assert!(
            !read_all(stream).await.contains("200 OK"),
            "all are cut off"
        );
    }
}

#[tokio::test]
async fn a_persistent_connection_does_not_delay_the_shutdown() {
    let limits = Limits {
        head: Duration::from_secs(3600),
        connections: 2,
        ..Limits::default()
    };
    let (address, end, server) = start(limits).await;
    let mut persistent = connect(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut first = [0; 15];
    persistent.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    end.send(()).unwrap();
    tokio::time::timeout(TEST_TIMEOUT, server)
        .await
        .expect("the server ends")
        .unwrap();
}

/// Connects from another address of this machine: all of 127.0.0.0/8 are.
async fn connect_from(source: &str, address: SocketAddr, text: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    // It may be closed already.
    let _ = stream.write_all(text.as_bytes()).await;
    stream
}

#[tokio::test]
async fn one_address_cannot_have_all_connections() {
    let limits = Limits {
        head: TEST_TIMEOUT,
        stalled: TEST_TIMEOUT,
        connections: 64,
        per_address: 8,
        ..Limits::default()
    };
    let (address, _end, _server) = start(limits).await;
    let mut open = Vec::new();
    for n in 0..8 {
        // Half of them send a head for ever, half of them read nothing.
        let text = match n % 2 {
            0 => "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
            _ => "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n",
        };
        open.push(connect_from("127.0.0.2", address, text).await);
    }
    // Until the server has accepted these.
    let answer = read_all(connect(address, COMPLETE).await).await;
    assert!(answer.ends_with("you are 127.0.0.1"), "{answer}");
    for _ in 0..100 {
        let answer = read_all(connect_from("127.0.0.2", address, COMPLETE).await).await;
        assert_eq!(answer, "", "closed at once");
    }
    for source in ["127.0.0.1", "127.0.0.3"] {
        let answer = read_all(connect_from(source, address, COMPLETE).await).await;
        assert!(answer.contains("200 OK"), "{source}: {answer}");
    }
    drop(open);
    // The server notices the ends of both kinds.
    let begun = std::time::Instant::now();
    loop {
        let answer = read_all(connect_from("127.0.0.2", address, COMPLETE).await).await;
        if answer.ends_with("you are 127.0.0.2") {
            break;
        }
        assert!(
            begun.elapsed() < TEST_TIMEOUT,
            "the address may connect again"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_address_that_stalls_is_freed_in_time() {
    let limits = Limits {
        per_address: 2,
        ..short(64)
    };
    let (address, _end, _server) = start(limits).await;
    let endless = "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
    let _stalled = [
        connect_from("127.0.0.2", address, endless).await,
        connect_from("127.0.0.2", address, "GET / HT").await,
    ];
    let begun = std::time::Instant::now();
    loop {
        let answer = read_all(connect_from("127.0.0.2", address, COMPLETE).await).await;
        if answer.contains("200 OK") {
            break;
        }
        assert!(begun.elapsed() < TEST_TIMEOUT / 2, "both are cut off");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_trusted_proxy_has_all_connections() {
    let limits = Limits {
        per_address: 1,
        unlimited: vec!["127.0.0.2/32".parse().unwrap()],
        connections: 64,
        ..Limits::default()
    };
    let (address, _end, _server) = start(limits).await;
    let mut idle = Vec::new();
    for _ in 0..32 {
        idle.push(connect_from("127.0.0.2", address, "").await);
    }
    let answer = read_all(connect_from("127.0.0.2", address, COMPLETE).await).await;
    assert!(answer.contains("200 OK"), "{answer}");
}
