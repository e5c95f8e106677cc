//! Tests of links with small packets, where a router between sends no error.

use crate::{
    bed::{Bed, Namespace},
    fixture::{TestFirewall, tenant},
};
use firewall::FirewallSettings;
use nix::sys::socket::{getsockopt, sockopt::TcpMaxSeg};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

const SERVER: &str = "203.0.113.80:443";
const DOWNLOAD: usize = 300_000;
/// The longest wait for the next bytes.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Starts a server that sends a download, and before it the largest segment that it may
/// send to this client.
fn serve(ns: &Namespace) {
    let listener = ns.run(|| TcpListener::bind(SERVER).unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let segment = getsockopt(&stream, TcpMaxSeg).unwrap();
            let _ = stream.write_all(&segment.to_be_bytes());
            thread::spawn(move || stream.write_all(&[7; DOWNLOAD]));
        }
    });
}

/// What a client sees of the download.
#[derive(Debug)]
struct Download {
    /// The largest segments that server and client may send, in bytes.
    segments: (u32, u32),
    bytes: usize,
}

fn download(ns: &Namespace) -> Download {
    ns.run(|| {
        let server: SocketAddr = SERVER.parse().unwrap();
        let mut stream = TcpStream::connect_timeout(&server, TIMEOUT).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut first = [0; 4];
        stream.read_exact(&mut first).unwrap();
        let segments = (
            u32::from_be_bytes(first),
            getsockopt(&stream, TcpMaxSeg).unwrap(),
        );
        let (mut bytes, mut buffer) = (0, vec![0; 65_536]);
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            bytes += n;
        }
        Download { segments, bytes }
    })
}

/// A server that never learns that its packets are too large, as behind a firewall that
/// drops ICMP.
fn bed_with_a_deaf_server() -> Bed {
    let bed = Bed::new();
    serve(&bed.internet);
    bed.internet.nft(
        "table ip deaf {
           chain input {
             type filter hook input priority 0
             icmp type destination-unreachable drop
           }
         }",
    );
    bed
}

#[test]
fn a_download_arrives_where_a_router_drops_large_packets() {
    for small in ["wg1", "wan0"] {
        let bed = bed_with_a_deaf_server();
        bed.host.ip(&format!("link set {small} mtu 1380"));
        let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
        let open = download(&bed.alice);
        assert!(open.segments.0 > 1340, "{small}: {open:?}");
        if small == "wg1" {
            // The other link's packets come in, whatever their size.
            assert!(open.bytes < DOWNLOAD, "{small}: {open:?}");
        }
        firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
        let clamped = download(&bed.alice);
        assert!(
            clamped.segments.0 <= 1340 && clamped.segments.1 <= 1340,
            "{small}: {clamped:?}"
        );
        assert_eq!(clamped.bytes, DOWNLOAD, "{small}");
    }
}
