//! Real connections of two tenants through address translation, as on a host:
//!
//! ```text
//! alice 10.88.1.2 ── wg1 ┐        ┌ wan0 ── outside 198.51.100.2
//! bob   10.88.2.2 ── wg2 ┴─ host ─┴ c1 ──── container 10.92.1.1
//! ```

use crate::{counts, run};
use conntrack::Conntrack;
use ipnet::Ipv4Net;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use provisioning::ports::Connections;
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};
use testkit::namespace::Namespace;

/// The longest time a packet takes; without load it is far below a millisecond.
const WAIT: Duration = Duration::from_millis(600);

/// What stands between tenants and the world here: answers pass, and nothing else.
const RULES: &str = r#"
table ip test {
  chain to_container {
    type nat hook prerouting priority -105;
    iifname "wg1" ip daddr 10.88.1.1 udp dport 53 dnat to 10.92.1.1
  }
  chain out {
    type nat hook postrouting priority 100;
    oifname "wan0" masquerade
  }
  chain pass {
    type filter hook forward priority 0; policy drop;
    iifname { "wg1", "wg2" } accept
    ct state established,related accept
  }
}
"#;

struct Bed {
    host: Namespace,
    alice: Namespace,
    bob: Namespace,
    container: Namespace,
    outside: Namespace,
}

/// Connects `link` of the host to `eth0` of another namespace, with an address there and a
/// default route to the host.
fn link(host: &Namespace, link: &str, own: &str, other: &Namespace, address: &str) {
    host.connect(link, other, "eth0");
    host.ip(&format!("addr add {own}/24 dev {link}"));
    other.ip(&format!("addr add {address}/24 dev eth0"));
    other.ip(&format!("route add default via {own}"));
}

impl Bed {
    fn new() -> Self {
        let bed = Self {
            host: Namespace::new(),
            alice: Namespace::new(),
            bob: Namespace::new(),
            container: Namespace::new(),
            outside: Namespace::new(),
        };
        let host = &bed.host;
        host.sysctl("ipv4/ip_forward", "1");
        link(host, "wg1", "10.88.1.1", &bed.alice, "10.88.1.2");
        link(host, "wg2", "10.88.2.1", &bed.bob, "10.88.2.2");
        link(host, "c1", "10.92.1.254", &bed.container, "10.92.1.1");
        link(host, "wan0", "198.51.100.1", &bed.outside, "198.51.100.2");
        for device in [&bed.alice, &bed.bob] {
            device.sysctl("ipv4/ping_group_range", "0 0");
        }
        host.nft(RULES);
        bed
    }

    fn end(&self, networks: &[&str]) -> u64 {
        let networks: BTreeSet<Ipv4Net> = networks.iter().map(|n| n.parse().unwrap()).collect();
        run(
            &self.host,
            move || async move { Conntrack.end(&networks).await },
        )
        .unwrap()
    }
}

/// A device's connections to the outside, one of each kind, all answered.
struct Connected {
    /// At the outside: the socket of the server, and where the device seems to be.
    server: UdpSocket,
    device_seen_at: SocketAddr,
    /// The device's own socket, with its port.
    udp: UdpSocket,
    tcp: TcpStream,
    tcp_server: TcpStream,
}

/// Opens the connections of a device: UDP and TCP to these ports, and ICMP.
fn connect(bed: &Bed, device: &Namespace, port: u16) -> Connected {
    let (server, listener) = bed.outside.run(move || {
        let udp = bind(&format!("198.51.100.2:{port}"));
        (udp, TcpListener::bind(("198.51.100.2", port)).unwrap())
    });
    let (udp, tcp) = device.run(move || {
        let udp = bind("0.0.0.0:5000");
        udp.send_to(b"hello", ("198.51.100.2", port)).unwrap();
        ping();
        (udp, TcpStream::connect(("198.51.100.2", port)).unwrap())
    });
    let (tcp_server, _) = listener.accept().unwrap();
    let (_, device_seen_at) = server.recv_from(&mut [0; 64]).unwrap();
    assert_eq!(
        device_seen_at.ip().to_string(),
        "198.51.100.1",
        "translated"
    );
    let connected = Connected {
        server,
        device_seen_at,
        udp,
        tcp,
        tcp_server,
    };
    assert!(connected.datagram_arrives(), "an answer arrives");
    connected
}

impl Connected {
    /// Sends a datagram from the outside to where the device was seen, and returns
    /// whether it reaches the holder of the device's address and port.
    fn datagram_arrives(&self) -> bool {
        self.server.send_to(b"answer", self.device_seen_at).unwrap();
        self.udp.recv_from(&mut [0; 64]).is_ok()
    }

    /// Sends on the TCP connection from the outside, and returns whether it arrives.
    fn stream_arrives(&mut self) -> bool {
        self.tcp.set_read_timeout(Some(WAIT)).unwrap();
        let _ = self.tcp_server.write_all(b"x");
        matches!(self.tcp.read(&mut [0; 64]), Ok(1..))
    }

    /// Gives the device's address and port to the next holder.
    fn with_next_holder(mut self, device: &Namespace) -> Self {
        let any = device.run(|| bind("0.0.0.0:0"));
        drop(std::mem::replace(&mut self.udp, any));
        self.udp = device.run(|| bind("0.0.0.0:5000"));
        self
    }
}

fn bind(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    socket
}

fn ping() {
    let fd = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::Icmp,
    );
    let socket = UdpSocket::from(fd.unwrap());
    socket.set_read_timeout(Some(WAIT)).unwrap();
    socket.connect("198.51.100.2:0").unwrap();
    socket.send(&[8, 0, 0, 0, 0, 0, 0, 1, b'h', b'i']).unwrap();
    socket
        .recv(&mut [0; 64])
        .expect("the outside answers a ping");
}

#[test]
fn a_former_peers_packets_do_not_reach_the_next_holder() {
    let bed = Bed::new();
    let alice = connect(&bed, &bed.alice, 9001);
    let mut bob = connect(&bed, &bed.bob, 9002);
    assert_eq!(counts(&bed.host), [(1, 3), (2, 3)].into());
    // What this is about: the table alone decides, for any holder of the address.
    let mut alice = alice.with_next_holder(&bed.alice);
    assert!(alice.datagram_arrives() && alice.stream_arrives());

    assert_eq!(bed.end(&["10.88.1.0/24", "10.92.1.1/32"]), 3);
    assert_eq!(counts(&bed.host), [(2, 3)].into());
    assert!(!alice.datagram_arrives());
    assert!(!alice.stream_arrives());
    assert!(bob.datagram_arrives() && bob.stream_arrives(), "bob's stay");
    // The next holder's own connections work.
    drop(alice);
    connect(&bed, &bed.alice, 9003);
}

impl Drop for Connected {
    fn drop(&mut self) {
        let _ = self.tcp.shutdown(std::net::Shutdown::Both);
    }
}

#[test]
fn a_query_counts_once_and_ends_with_its_container() {
    let bed = Bed::new();
    let server = bed.container.run(|| bind("10.92.1.1:53"));
    let device = bed.alice.run(|| bind("0.0.0.0:5000"));
    device.send_to(b"query", "10.88.1.1:53").unwrap();
    let (_, from) = server.recv_from(&mut [0; 64]).unwrap();
    server.send_to(b"answer", from).unwrap();
    let (_, from) = device.recv_from(&mut [0; 64]).unwrap();
    assert_eq!(from.to_string(), "10.88.1.1:53");
    assert_eq!(counts(&bed.host), [(1, 1)].into());
    assert_eq!(bed.end(&["10.92.1.2/32", "10.88.2.0/24"]), 0);
    assert_eq!(bed.end(&["10.92.1.1/32"]), 1);
    assert!(counts(&bed.host).is_empty());
}

#[test]
fn a_sweep_ends_what_a_former_life_left() {
    let bed = Bed::new();
    let alice = connect(&bed, &bed.alice, 9001);
    let bob = connect(&bed, &bed.bob, 9002);
    let swept = run(&bed.host, || async {
        let ranges = [
            "10.88.0.0/14".parse().unwrap(),
            "10.92.0.0/21".parse().unwrap(),
        ];
        Conntrack
            .sweep(&ranges, &["10.88.2.2".parse().unwrap()].into())
            .await
    });
    assert_eq!(swept.unwrap(), 3);
    assert!(!alice.datagram_arrives());
    assert!(bob.datagram_arrives());
    assert_eq!(counts(&bed.host), [(2, 3)].into());
}

/// Sends the packets of a port on to another machine, as for a tenant that has moved.
const FORWARD: &str = r#"
table ip moved {
  chain forward {
    type nat hook prerouting priority -105;
    fib daddr type local udp dport 51821 dnat to 10.88.2.2
  }
  chain out {
    type nat hook postrouting priority 99;
    ct status dnat udp dport 51821 masquerade
  }
}
"#;

#[test]
fn a_tracked_flow_follows_a_moved_tenant() {
    let bed = Bed::new();
    bed.host
        .nft("add rule ip test pass iifname \"wan0\" accept");
    let here = bed.host.run(|| bind("198.51.100.1:51821"));
    let node = bed.bob.run(|| bind("10.88.2.2:51821"));
    let (device, neighbour) = bed
        .outside
        .run(|| (bind("0.0.0.0:5000"), bind("0.0.0.0:5001")));
    let other = bed.host.run(|| bind("198.51.100.1:51822"));
    let send = |device: &UdpSocket| device.send_to(b"data", "198.51.100.1:51821").unwrap();
    let arrives = |at: &UdpSocket| at.recv_from(&mut [0; 64]).ok();
    let redirect = |to: Option<[u8; 4]>| {
        let ports = [(51_821, to.map(Into::into))].into();
        let ended = run(&bed.host, move || async move {
            Conntrack.redirect(&ports).await
        });
        ended.unwrap()
    };
    send(&device);
    assert!(arrives(&here).is_some());
    neighbour.send_to(b"data", "198.51.100.1:51822").unwrap();
    assert!(arrives(&other).is_some());
    bed.host.nft(FORWARD);
    send(&device);
    assert!(
        arrives(&here).is_some(),
        "a tracked flow goes on as it began"
    );
    assert_eq!(redirect(Some([10, 88, 2, 2])), 1);
    send(&device);
    let (_, from) = arrives(&node).expect("it follows");
    node.send_to(b"answer", from).unwrap();
    let (_, from) = device.recv_from(&mut [0; 64]).unwrap();
    assert_eq!(from.to_string(), "198.51.100.1:51821");
    assert_eq!(redirect(Some([10, 88, 2, 2])), 0, "it does already");
    // The tunnel here may have sent something since: that flow is one of its own.
    here.send_to(b"keepalive", "198.51.100.2:5001").unwrap();
    assert!(arrives(&neighbour).is_some());
    assert_eq!(redirect(Some([10, 88, 2, 2])), 1, "one that began here");
    send(&neighbour);
    assert!(arrives(&node).is_some(), "it follows too");

    bed.host.nft("delete table ip moved");
    send(&device);
    assert!(arrives(&node).is_some(), "a tracked flow goes on");
    assert_eq!(redirect(None), 2);
    send(&device);
    assert!(arrives(&here).is_some(), "the tenant came back");
    assert_eq!(redirect(None), 0);

    // A process that starts does not know what a former one has redirected.
    bed.host.nft(FORWARD);
    redirect(Some([10, 88, 2, 2]));
    send(&device);
    assert!(arrives(&node).is_some());
    bed.host.nft("delete table ip moved");
    let swept = run(&bed.host, || async {
        Conntrack.sweep(&[], &BTreeSet::new()).await
    });
    assert_eq!(swept.unwrap(), 1);
    send(&device);
    assert!(arrives(&here).is_some());
}
