//! The bed for packet tests: network namespaces that are connected by veths.
//!
//! ```text
//! alice .1.2 ─┐ (isolated ports)          ┌─ container1 10.92.1.1
//! ally  .1.3 ─┴─ hub ── wg1 ┐       ┌ mn0 ┴─ container2 10.92.1.2
//! bob   .2.2 ────────── wg2 ┤ host ─┤
//!                           └───────┼ wan0 ── internet 198.51.100.2, 203.0.113.80
//!                                   └ lan0 ── neighbour 192.168.77.2
//! ```
//! The rules match interface names, so veths named `wg1` and `wg2` replace tunnels:
//! they carry the packets that WireGuard would have decrypted.

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    ops::Deref,
    os::fd::OwnedFd,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// The longest time a probe waits; without load an answer takes a millisecond.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// The host's own addresses.
pub const HOST: &str = "10.88.1.1 10.88.2.1 10.92.0.1 192.168.77.1 198.51.100.1";

/// The addresses of the namespace that simulates the internet, including those of
/// metadata services.
pub const INTERNET: &str =
    "198.51.100.2 203.0.113.80 203.0.113.53 169.254.169.254 100.100.100.200 168.63.129.16";

/// The MAC addresses of the containers, derived from their IPv4 addresses.
pub const MAC1: &str = "02:42:0a:5c:01:01";
pub const MAC2: &str = "02:42:0a:5c:01:02";

/// A network namespace with what the tests serve and ask there.
pub struct Namespace(testkit::namespace::Namespace);

impl Deref for Namespace {
    type Target = testkit::namespace::Namespace;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Namespace {
    pub fn new() -> Self {
        Self(testkit::namespace::Namespace::new())
    }

    /// Starts servers on a port, UDP and TCP, that answer with the client's address.
    /// UDP datagrams are recorded as `source payload`. Each address has a socket of
    /// its own, because an answer by UDP is sent from the address that the socket is
    /// bound to, or else from the interface's first.
    pub fn serve(&self, addresses: &str, port: u16) -> Arc<Mutex<Vec<String>>> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        for address in addresses.split(' ') {
            let at = SocketAddr::new(address.parse().unwrap(), port);
            let (udp, tcp) =
                self.run(move || (UdpSocket::bind(at).unwrap(), TcpListener::bind(at).unwrap()));
            let records = seen.clone();
            thread::spawn(move || {
                let mut buffer = [0; 2048];
                while let Ok((n, from)) = udp.recv_from(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..n]);
                    records
                        .lock()
                        .unwrap()
                        .push(format!("{} {text}", from.ip()));
                    let _ = udp.send_to(from.ip().to_string().as_bytes(), from);
                }
            });
            thread::spawn(move || {
                for stream in tcp.incoming().map_while(Result::ok) {
                    thread::spawn(move || echo(stream));
                }
            });
        }
        seen
    }

    /// Sends all probes at once, e.g. `udp 10.88.1.1:53` or `ping 10.88.1.1`, and
    /// returns the answers: the address that the server saw, or `None`.
    pub fn probe(&self, probes: &[&str]) -> Vec<Option<String>> {
        let running: Vec<_> = probes
            .iter()
            .map(|p| (*p).to_owned())
            .map(|p| self.start(move || ask(&p)))
            .collect();
        running.into_iter().map(|t| t.join().unwrap()).collect()
    }

    /// Sends one probe.
    pub fn ask(&self, probe: &str) -> Option<String> {
        self.probe(&[probe]).remove(0)
    }
}

/// Answers the first message with the client's address and repeats the others.
fn echo(mut stream: TcpStream) {
    let Ok(peer) = stream.peer_addr() else { return };
    let mut buffer = [0; 2048];
    let mut first = true;
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        let answer = if first {
            peer.ip().to_string().into_bytes()
        } else {
            buffer[..n].to_vec()
        };
        first = false;
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

fn ask(probe: &str) -> Option<String> {
    let (kind, target) = probe.split_once(' ').unwrap();
    match kind {
        "udp" => ask_udp(target.parse().unwrap()),
        "tcp" => ask_tcp(target.parse().unwrap()),
        "ping" => ping(target.parse().unwrap()),
        _ => panic!("{probe}"),
    }
}

fn ask_udp(target: SocketAddr) -> Option<String> {
    let any = if target.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket.connect(target).ok()?;
    socket.send(b"hello").ok()?;
    let mut buffer = [0; 2048];
    let n = socket.recv(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..n]).into_owned())
}

fn ask_tcp(target: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&target, TIMEOUT).ok()?;
    send(&mut stream, "hello")
}

/// Sends a text on a connection and returns the answer, if there is one.
pub fn send(stream: &mut TcpStream, text: &str) -> Option<String> {
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(text.as_bytes()).ok()?;
    let mut buffer = [0; 2048];
    match stream.read(&mut buffer) {
        Ok(n @ 1..) => Some(String::from_utf8_lossy(&buffer[..n]).into_owned()),
        _ => None,
    }
}

fn ping(target: IpAddr) -> Option<String> {
    // Echo request and echo reply: RFC 792, RFC 4443.
    let (family, protocol, request, reply) = match target {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp, 8, 0),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6, 128, 129),
    };
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd: OwnedFd = socket(family, SockType::Datagram, flags, protocol).unwrap();
    let socket = UdpSocket::from(fd);
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket.connect((target, 0)).ok()?;
    socket
        .send(&[request, 0, 0, 0, 0, 0, 0, 1, b'h', b'i'])
        .ok()?;
    let mut buffer = [0; 256];
    let n = socket.recv(&mut buffer).ok()?;
    (n > 0 && buffer[0] == reply).then(|| target.to_string())
}

/// The namespaces of the diagram above.
pub struct Bed {
    pub host: Namespace,
    pub alice: Namespace,
    pub ally: Namespace,
    pub bob: Namespace,
    pub container1: Namespace,
    pub container2: Namespace,
    pub internet: Namespace,
    pub neighbour: Namespace,
    _hub: Namespace,
}

impl Bed {
    pub fn new() -> Self {
        let bed = Self {
            host: Namespace::new(),
            alice: Namespace::new(),
            ally: Namespace::new(),
            bob: Namespace::new(),
            container1: Namespace::new(),
            container2: Namespace::new(),
            internet: Namespace::new(),
            neighbour: Namespace::new(),
            _hub: Namespace::new(),
        };
        bed.host();
        bed.tunnels();
        bed.containers();
        bed.outside();
        bed
    }

    fn host(&self) {
        // Otherwise the kernel itself would drop forged sources, and send devices
        // redirects for shorter routes that a tunnel does not have.
        for path in ["ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter"] {
            self.host.sysctl(path, "0");
        }
        for path in [
            "ipv4/conf/all/send_redirects",
            "ipv4/conf/default/send_redirects",
        ] {
            self.host.sysctl(path, "0");
        }
        self.host.run(firewall::enable_forwarding).unwrap();
        self.host.sysctl("ipv6/conf/all/forwarding", "1");
    }

    fn tunnels(&self) {
        let (host, hub) = (&self.host, &self._hub);
        host.connect("wg1", hub, "uplink");
        host.connect("wg2", &self.bob, "eth0");
        hub.ip("link add hub0 type bridge");
        hub.ip("link set hub0 up");
        hub.ip("link set uplink master hub0");
        for (device, link) in [(&self.alice, "port2"), (&self.ally, "port3")] {
            hub.connect(link, device, "eth0");
            hub.ip(&format!("link set {link} master hub0"));
            hub.ip(&format!("link set {link} type bridge_slave isolated on"));
        }
        host.ip("addr add 10.88.1.1/24 dev wg1");
        host.ip("addr add 10.88.2.1/24 dev wg2");
        host.ip("addr add fd00:1::1/64 dev wg1 nodad");
        self.device(&self.alice, "10.88.1.2", "10.88.1.1");
        self.device(&self.ally, "10.88.1.3", "10.88.1.1");
        self.device(&self.bob, "10.88.2.2", "10.88.2.1");
        self.alice.ip("addr add fd00:1::2/64 dev eth0 nodad");
        self.alice.ip("route add default via fd00:1::1");
    }

    /// Configures a device as wg-quick does: its own address alone, and a default
    /// route into the tunnel.
    fn device(&self, ns: &Namespace, address: &str, gateway: &str) {
        ns.sysctl("ipv4/ping_group_range", "0 0");
        ns.ip(&format!("addr add {address}/32 dev eth0"));
        ns.ip(&format!("route add {gateway} dev eth0"));
        ns.ip(&format!("route add default via {gateway}"));
    }

    fn containers(&self) {
        self.host.ip("link add mn0 type bridge");
        self.host.ip("addr add 10.92.0.1/21 dev mn0");
        self.host.ip("link set mn0 up");
        for (ns, link, address, mac) in [
            (&self.container1, "c1", "10.92.1.1", MAC1),
            (&self.container2, "c2", "10.92.1.2", MAC2),
        ] {
            self.host.connect(link, ns, "eth0");
            ns.ip(&format!("link set eth0 address {mac}"));
            self.host.ip(&format!("link set {link} master mn0"));
            ns.ip(&format!("addr add {address}/21 dev eth0"));
            ns.ip("route add default via 10.92.0.1");
        }
    }

    /// Configures the outside with routes to everything, so that only the rules block
    /// its packets.
    fn outside(&self) {
        self.host.connect("wan0", &self.internet, "eth0");
        self.host.connect("lan0", &self.neighbour, "eth0");
        self.host.ip("addr add 198.51.100.1/24 dev wan0");
        self.host.ip("addr add fd00:2::1/64 dev wan0 nodad");
        self.host.ip("addr add 192.168.77.1/24 dev lan0");
        self.host.ip("route add default via 198.51.100.2");
        // Link-local and reserved ranges need a route too.
        self.host.ip("route add 169.254.169.254 via 198.51.100.2");
        let internet = &self.internet;
        internet.ip("addr add 198.51.100.2/24 dev eth0");
        internet.ip("addr add fd00:2::2/64 dev eth0 nodad");
        internet.ip("route add fd00:1::/64 via fd00:2::1");
        for address in INTERNET.split(' ').skip(1) {
            internet.ip(&format!("addr add {address}/32 dev lo"));
        }
        self.neighbour.ip("addr add 192.168.77.2/24 dev eth0");
        for (ns, host) in [
            (internet, "198.51.100.1"),
            (&self.neighbour, "192.168.77.1"),
        ] {
            ns.ip(&format!("route add 10.88.0.0/14 via {host}"));
            ns.ip(&format!("route add 10.92.0.0/21 via {host}"));
        }
    }
}
