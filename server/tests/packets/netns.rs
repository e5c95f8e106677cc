//! Network namespaces of the test bed: what runs inside them, and what they
//! reach.

use nix::sched::{CloneFlags, setns};
use std::{
    fs::File,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::{Command, Output},
    thread,
    time::Duration,
};

/// How long to wait for an answer. Everything is on one machine: an answer that
/// arrives at all arrives within a few milliseconds.
pub const PATIENCE: Duration = Duration::from_millis(1500);

/// Checks that the tests were started by `./dev test`.
///
/// # Panics
/// They run outside a test bed.
pub fn require() {
    assert_eq!(
        std::env::var("MALIKNODE_BED").as_deref(),
        Ok("1"),
        "these tests change a machine's network and run in a test bed only: ./dev test packets"
    );
}

/// Returns a variable that the bed sets.
pub fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("the bed sets {name}"))
}

/// Returns an address that the bed sets.
pub fn address(name: &str) -> Ipv4Addr {
    var(name)
        .parse()
        .unwrap_or_else(|_| panic!("{name} is an address"))
}

/// Runs `work` in a namespace. Sockets made there stay in it.
pub fn inside<T: Send + 'static>(namespace: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let path = format!("/run/netns/{namespace}");
    // setns changes a thread permanently, so it gets a thread of its own.
    thread::spawn(move || {
        let file = File::open(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
        work()
    })
    .join()
    .unwrap_or_else(|e| std::panic::resume_unwind(e))
}

/// Runs a program in a namespace.
///
/// # Panics
/// The program fails.
pub fn run(namespace: &str, program: &[&str]) -> Output {
    let out = Command::new("nsenter")
        .arg(format!("--net=/run/netns/{namespace}"))
        .args(program)
        .output()
        .unwrap_or_else(|e| panic!("{program:?}: {e}"));
    assert!(
        out.status.success(),
        "{namespace}: {program:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    out
}

/// Returns whether a TCP connection can be made from a namespace.
pub fn tcp_reaches(namespace: &str, to: impl Into<SocketAddr>) -> bool {
    let to = to.into();
    inside(namespace, move || {
        TcpStream::connect_timeout(&to, PATIENCE).is_ok()
    })
}

/// Returns what a TCP service sends to a client in a namespace.
pub fn tcp_reads(namespace: &str, to: impl Into<SocketAddr>) -> Option<String> {
    let to = to.into();
    inside(namespace, move || {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    })
}

/// Returns whether a UDP echo service answers a client in a namespace, within
/// three attempts.
pub fn udp_reaches(namespace: &str, to: impl Into<SocketAddr>) -> bool {
    let to = to.into();
    inside(namespace, move || {
        let Ok(socket) = UdpSocket::bind("0.0.0.0:0") else {
            return false;
        };
        socket
            .set_read_timeout(Some(PATIENCE / 3))
            .expect("a time-out can be set");
        (0..3)
            .any(|_| socket.send_to(b"hello", to).is_ok() && socket.recv_from(&mut [0; 16]).is_ok())
    })
}

/// Returns whether an address answers ping from a namespace.
pub fn pings(namespace: &str, to: Ipv4Addr) -> bool {
    Command::new("nsenter")
        .arg(format!("--net=/run/netns/{namespace}"))
        .args([
            "ping",
            "-n",
            "-q",
            "-c",
            "3",
            "-i",
            "0.2",
            "-w",
            "2",
            &to.to_string(),
        ])
        .output()
        .is_ok_and(|o| o.status.success())
}

/// Serves in a namespace until the process ends: TCP that sends the caller's
/// address and closes, and UDP that echoes. It is bound to one address, so that
/// UDP answers have the source address that the client expects.
pub fn serve(namespace: &str, address: Ipv4Addr, port: u16) {
    inside(namespace, move || {
        let tcp = TcpListener::bind((address, port)).expect("the port is free");
        let udp = UdpSocket::bind((address, port)).expect("the port is free");
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let from = stream
                    .peer_addr()
                    .map(|a| a.ip().to_string())
                    .unwrap_or_default();
                let _ = (&stream).write_all(from.as_bytes());
            }
        });
        thread::spawn(move || echo(&udp));
    });
}

fn echo(udp: &UdpSocket) {
    let mut buffer = [0; 2048];
    while let Ok((n, from)) = udp.recv_from(&mut buffer) {
        let _ = udp.send_to(&buffer[..n], from);
    }
}

/// Starts a TCP service in a namespace that sends a byte every 20 ms while the
/// connection is open.
pub fn serve_stream(namespace: &str, port: u16) {
    inside(namespace, move || {
        let tcp = TcpListener::bind(("0.0.0.0", port)).expect("the port is free");
        thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                thread::spawn(move || {
                    while stream.write_all(b".").is_ok() {
                        thread::sleep(Duration::from_millis(20));
                    }
                });
            }
        });
    });
}

/// Starts a TCP service in a namespace that sends data as fast as they are taken.
pub fn serve_bulk(namespace: &str, port: u16) {
    inside(namespace, move || {
        let tcp = TcpListener::bind(("0.0.0.0", port)).expect("the port is free");
        thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                thread::spawn(move || while stream.write_all(&[b'.'; 65_536]).is_ok() {});
            }
        });
    });
}

/// Reads a stream to its end, or until nothing arrives for a while, and returns the
/// number of bytes.
pub fn read_all(mut stream: TcpStream) -> u64 {
    let (mut total, mut buffer) = (0, vec![0; 65_536]);
    while let Ok(n) = stream.read(&mut buffer)
        && n > 0
    {
        total += n as u64;
    }
    total
}

/// Opens a stream from [`serve_stream`] in a namespace.
pub fn open_stream(namespace: &str, to: impl Into<SocketAddr>) -> Option<TcpStream> {
    let to = to.into();
    inside(namespace, move || {
        let stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(stream)
    })
}

/// Returns whether a stream still receives data.
pub fn flows(stream: &mut TcpStream) -> bool {
    // Data that arrived before does not count.
    let _ = stream.set_nonblocking(true);
    while matches!(stream.read(&mut [0; 4096]), Ok(n) if n > 0) {}
    let _ = stream.set_nonblocking(false);
    matches!(stream.read(&mut [0; 1]), Ok(1))
}

/// Returns a socket address from an IPv4 address and a port.
pub fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(address), port)
}
