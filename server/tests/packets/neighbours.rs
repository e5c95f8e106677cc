//! What one device does to what all tenants share, through the real server's tables:
//! ports, connections, ICMP, other protocols, DNS, mail; and settings of the limits.

use crate::{
    ALLOWED,
    dns::{self, Answer},
    exclusive_bed, host, internet,
    netns::{self, at, inside, tcp_reaches, udp_reaches},
    raw,
    stack::{Device, ECHO, ServerOptions, Stack},
};
use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    ops::RangeInclusive,
    sync::Once,
    thread,
    time::{Duration, Instant},
};

/// Sends an empty UDP datagram from each of these ports, and returns how long it took.
pub fn flood(device: &Device, port: u16, from: RangeInclusive<u16>) -> Duration {
    let begun = Instant::now();
    let datagram = |from: u16| {
        let mut d = from.to_be_bytes().to_vec();
        d.extend(port.to_be_bytes());
        d.extend([0, 8, 0, 0]);
        d
    };
    let all = from.map(datagram).collect();
    raw::send(&device.namespace, device.address, internet(), 17, all);
    begun.elapsed()
}

/// Returns how many of 20 new flows are answered. One that is not within 1 s is asked twice
/// more on the same port: a busy machine loses a packet, and a flow that is refused stays so.
pub fn answered(device: &Device, port: u16) -> usize {
    let to = at(internet(), port);
    inside(&device.namespace, move || {
        let sockets: Vec<UdpSocket> = (0..20)
            .map(|_| UdpSocket::bind("0.0.0.0:0").expect("a socket"))
            .collect();
        let mut waiting: Vec<&UdpSocket> = sockets.iter().collect();
        for _ in 0..3 {
            for socket in &waiting {
                socket.send_to(b"hello", to).expect("it is sent");
            }
            let until = Instant::now() + Duration::from_secs(1);
            waiting.retain(|socket| {
                let left = until.saturating_duration_since(Instant::now());
                let left = left.max(Duration::from_millis(1));
                socket.set_read_timeout(Some(left)).expect("a time-out");
                socket.recv(&mut [0; 16]).is_err()
            });
        }
        sockets.len() - waiting.len()
    })
}

/// Returns the number of the host's connections from an address.
pub fn connections(from: Ipv4Addr) -> usize {
    let table = fs::read_to_string("/proc/thread-self/net/nf_conntrack").expect("the table");
    // The first source is that of the request.
    let source = format!("src={from}");
    let requests = table
        .lines()
        .filter(|l| l.split(' ').find(|w| w.starts_with("src=")) == Some(source.as_str()));
    requests.count()
}

/// Serves mail on the internet, from now on.
fn serve_mail() {
    static SERVED: Once = Once::new();
    let wan = netns::var("MALIKNODE_BED_WAN");
    SERVED.call_once(|| netns::serve(&wan, internet(), 25));
}

#[test]
fn what_a_device_does_reaches_no_neighbour() {
    let _bed = exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("neighbours"));
    stack.wait_for_answer();
    let (mut alice, mut bob) = (stack.sign_up("alice"), stack.sign_up("bobby"));
    let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
    let laptop = stack.add_device(&mut alice, "c2", "Laptop", "everything", true);
    let bobs = stack.add_device(&mut bob, "c3", "Phone", "everything", true);
    let wan = netns::var("MALIKNODE_BED_WAN");
    serve_mail();

    assert_eq!(answered(&bobs, ECHO), 20, "before");
    source_ports_are_not_those_of_wireguard(&phone);
    icmp_errors_stay_at_their_sender(&phone, &bobs, bob.gateway, &wan);
    other_protocols_stay_in_the_mesh(&phone, &laptop, &wan);
    assert!(!tcp_reaches(&phone.namespace, at(internet(), 25)), "mail");
    assert!(tcp_reaches(&phone.namespace, at(internet(), ECHO)));
    ports_and_connections_are_left_to_others(&phone, &laptop, &bobs);
    queries_are_left_to_others(&phone, alice.gateway, &bobs, bob.gateway);
}

fn ports_and_connections_are_left_to_others(phone: &Device, laptop: &Device, bobs: &Device) {
    // The echo server answers, so that these connections count as established.
    let took = flood(phone, ECHO, 1..=u16::MAX);
    let open = connections(phone.address);
    let others = answered(bobs, ECHO);
    println!(
        "65,535 datagrams to one destination in {took:.1?}: {open} connections; \
         {others} of 20 new flows of another tenant there are answered"
    );
    assert!((500..=2_100).contains(&open), "{open} connections");
    assert_eq!(others, 20);
    assert!(tcp_reaches(&bobs.namespace, at(internet(), ECHO)));
    assert!(tcp_reaches(&laptop.namespace, at(internet(), ECHO)));
}

fn queries_are_left_to_others(
    phone: &Device,
    gateway: Ipv4Addr,
    bobs: &Device,
    bobs_gateway: Ipv4Addr,
) {
    let answers = answers_at_once(phone, gateway, 5_000);
    let address = Answer::Address(internet());
    let once = Duration::from_millis(500);
    let other = dns::ask_once(&bobs.namespace, bobs_gateway, ALLOWED, once);
    println!("{answers} of 5,000 queries of one device at once are answered");
    // The table passes 500 at once, and AdGuard Home answers 200 of a second.
    assert!((100..=800).contains(&answers), "{answers}");
    assert_eq!(other, address, "another tenant's query");
}

/// Asks so many queries, 12,000 a second, and returns how many are answered.
fn answers_at_once(device: &Device, gateway: Ipv4Addr, queries: u32) -> u32 {
    inside(&device.namespace, move || {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.set_nonblocking(true).expect("it can be set");
        let mut answers = 0;
        for n in 1..=queries {
            dns::send_question(&socket, gateway, ALLOWED);
            // A tunnel's queue has room for some hundred packets.
            if n % 60 == 0 {
                thread::sleep(Duration::from_millis(5));
            }
            while socket.recv(&mut [0; 1500]).is_ok() {
                answers += 1;
            }
        }
        socket.set_nonblocking(false).expect("it can be set");
        let rest = Duration::from_millis(500);
        socket.set_read_timeout(Some(rest)).expect("a time-out");
        while socket.recv(&mut [0; 1500]).is_ok() {
            answers += 1;
        }
        answers
    })
}

fn source_ports_are_not_those_of_wireguard(phone: &Device) {
    let peer = inside(&netns::var("MALIKNODE_BED_WAN"), || {
        UdpSocket::bind((internet(), 7_100)).expect("the port is free")
    });
    let patience = Duration::from_secs(2);
    peer.set_read_timeout(Some(patience)).expect("a time-out");
    for port in [53, 51_822, 52_900] {
        let device = inside(&phone.namespace, move || {
            let socket = UdpSocket::bind(("0.0.0.0", port)).expect("the port is free");
            let to = at(internet(), 7_100);
            socket.send_to(b"hello", to).expect("it is sent");
            socket
        });
        let (_, seen) = peer.recv_from(&mut [0; 16]).expect("it arrives");
        assert_eq!(seen.ip(), host(), "the server's address");
        println!("source port {port} is seen as {}", seen.port());
        assert!((10_240..=51_799).contains(&seen.port()), "{port}: {seen}");
        // What is sent to the tunnel's port reaches the tunnel and not this device.
        let long = Some(Duration::from_millis(300));
        device.set_read_timeout(long).expect("a time-out");
        peer.send_to(b"handshake", (host(), 51_822))
            .expect("it is sent");
        assert!(device.recv(&mut [0; 16]).is_err(), "{port}");
        peer.send_to(b"answer", seen).expect("it is sent");
        assert!(device.recv(&mut [0; 16]).is_ok(), "{port}: its own answer");
    }
}

fn icmp_errors_stay_at_their_sender(phone: &Device, bobs: &Device, gateway: Ipv4Addr, wan: &str) {
    const ERRORS: &str = "icmp type { destination-unreachable, source-quench, redirect, \
                          time-exceeded, parameter-problem }";
    let (bed_host, server) = (host(), internet());
    for namespace in [wan, bobs.namespace.as_str()] {
        raw::forget_counters(namespace);
        raw::count(namespace, "errors", ERRORS);
    }
    let open = |port: u16, to: (Ipv4Addr, u16), text: &'static [u8]| {
        inside(&bobs.namespace, move || {
            let socket = UdpSocket::bind(("0.0.0.0", port)).expect("the port is free");
            socket.connect(to).expect("a route");
            let patience = Duration::from_secs(2);
            socket.set_read_timeout(Some(patience)).expect("a time-out");
            socket.send(text).expect("it is sent");
            socket.recv(&mut [0; 16]).expect("an answer");
            socket
        })
    };
    let flow = open(40_000, (server, ECHO), b"hello");
    let all = |from, to| {
        let kinds = [(3, 3), (3, 4), (4, 0), (5, 1), (11, 0), (12, 0)];
        kinds
            .iter()
            .map(|&(kind, code)| raw::icmp_error(kind, code, from, to))
            .collect::<Vec<_>>()
    };
    let answers = || all((server, ECHO), (bed_host, 40_000));
    let requests = || all((bobs.address, 40_000), (server, ECHO));
    let from = (&phone.namespace, phone.address);
    for target in [server, gateway, bobs.address, bed_host] {
        raw::send(from.0, from.1, target, 1, answers());
        raw::send(from.0, from.1, target, 1, requests());
    }
    thread::sleep(Duration::from_millis(300));
    for namespace in [wan, bobs.namespace.as_str()] {
        assert_eq!(raw::counted(namespace, "errors"), 0, "{namespace}");
    }
    flow.send(b"again").expect("nothing refused it");
    assert!(flow.recv(&mut [0; 16]).is_ok());
    let route = netns::run(wan, &["ip", "route", "get", &bed_host.to_string()]);
    let route = String::from_utf8_lossy(&route.stdout).into_owned();
    assert!(!route.contains("mtu"), "{route}");
}

fn other_protocols_stay_in_the_mesh(phone: &Device, laptop: &Device, wan: &str) {
    const OTHERS: &str = "ip protocol { 4, 47, 50, 51, 115, 132 }";
    for namespace in [wan, laptop.namespace.as_str()] {
        raw::count(namespace, "others", OTHERS);
    }
    for protocol in [4, 47, 50, 51, 115, 132] {
        for target in [internet(), laptop.address] {
            let packet = vec![vec![0; 32]];
            raw::send(&phone.namespace, phone.address, target, protocol, packet);
        }
    }
    thread::sleep(Duration::from_millis(300));
    assert_eq!(raw::counted(wan, "others"), 0, "IPIP, GRE, ESP, AH, …");
    assert_eq!(raw::counted(&laptop.namespace, "others"), 6, "the mesh");
    raw::forget_counters(wan);
    raw::forget_counters(&laptop.namespace);
}

#[test]
fn configured_limits_are_in_force() {
    let _bed = exclusive_bed();
    let options = ServerOptions::with_root("limits");
    let central = options.root.join("central_api");
    fs::create_dir_all(&central).unwrap();
    let text = "[limits]\nconnections_per_device = 100\nnew_per_device = 100000\n\
                new_per_tenant = 100000\ndns_per_second = 5\ndns_burst = 5\nsmtp_open = true\n";
    fs::write(central.join("config.toml"), text).unwrap();
    let mut stack = Stack::launch(options);
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
    serve_mail();
    assert!(udp_reaches(&phone.namespace, at(internet(), ECHO)));
    assert!(tcp_reaches(&phone.namespace, at(internet(), 25)), "mail");

    let answers = answers_at_once(&phone, alice.gateway, 50);
    println!("{answers} of 50 queries at once, where 5 are allowed, and 5 more a second");
    assert!((5..=10).contains(&answers), "{answers}");

    flood(&phone, ECHO, 1..=5_000);
    let open = connections(phone.address);
    println!("{open} connections, where 100 are allowed");
    assert!((50..=130).contains(&open), "{open}");
}
