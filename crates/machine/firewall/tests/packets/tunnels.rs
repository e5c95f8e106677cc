//! Tests of the limits on packets that arrive at tenants' ports of WireGuard. A socket
//! of the host is WireGuard, sockets of the internet are devices and strangers.

use crate::{
    bed::{Bed, Namespace},
    fixture::{TestFirewall, tenant},
};
use firewall::FirewallSettings;
use provisioning::{
    ports::FirewallChange,
    spec::{FirewallTenant, PacketRate},
};
use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// The first bytes of WireGuard's messages.
const RESPONSE: [u8; 32] = message(2);
const COOKIE: [u8; 32] = message(3);
const DATA: [u8; 32] = message(4);
/// A handshake initiation has this length.
const INITIATION: [u8; 148] = {
    let mut bytes = [0; 148];
    bytes[0] = 1;
    bytes
};

const fn message(kind: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = kind;
    bytes
}

const HOST: &str = "198.51.100.1";
const HOST6: &str = "fd00:2::1";
const DEVICE: &str = "203.0.113.80";
const OTHER: &str = "203.0.113.53";
const STRANGER: &str = "198.51.100.2";
/// Packets per second of the tenants, and how many may come at once.
const RATE: u64 = 1_000;
const BURST: u64 = 250;

fn limited(n: u16, packets: u64) -> FirewallTenant {
    FirewallTenant {
        tunnel_packets: PacketRate::at_least(packets),
        ..tenant(n, &[])
    }
}

fn socket(ns: &Namespace, address: &str, port: u16) -> UdpSocket {
    let at = SocketAddr::new(address.parse().unwrap(), port);
    ns.run(move || UdpSocket::bind(at).unwrap())
}

/// The tunnels of two tenants, and what arrives there.
struct Tunnels<'a> {
    bed: &'a Bed,
    sockets: [UdpSocket; 2],
}

impl<'a> Tunnels<'a> {
    fn new(bed: &'a Bed) -> Self {
        let nft = |args: &str| drop(bed.host.command("nft", args));
        nft("add table inet arrived");
        nft("add chain inet arrived in { type filter hook prerouting priority -200 ; }");
        for port in [51_821, 51_822] {
            nft(&format!("add counter inet arrived of{port}"));
            nft(&format!(
                "add rule inet arrived in udp dport {port} counter name of{port}"
            ));
        }
        Self {
            bed,
            sockets: [51_821, 51_822].map(|port| socket(&bed.host, "::", port)),
        }
    }

    fn arrived(&self, tenant: u16) -> u64 {
        let list = format!("list counter inet arrived of{}", 51_820 + tenant);
        let text = self.bed.host.command("nft", &list);
        let (_, rest) = text.split_once("packets ").unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    }

    /// WireGuard of the tenant sends a message to an endpoint.
    fn answer(&self, tenant: u16, message: &[u8], to: &UdpSocket) {
        let to = match to.local_addr().unwrap() {
            SocketAddr::V4(v4) => SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port()),
            v6 => v6,
        };
        let own = &self.sockets[usize::from(tenant - 1)];
        own.send_to(message, to).unwrap();
    }

    /// Sends a message so often to the tenant's port. Returns how many arrived, and how
    /// many a rate of one per second would let pass meanwhile, rounded up.
    fn flood(&self, tenant: u16, message: &[u8], from: &[&UdpSocket], count: u64) -> (u64, f64) {
        let before = self.arrived(tenant);
        let begun = Instant::now();
        for n in 0..count {
            let from = from[usize::try_from(n).unwrap() % from.len()];
            let host = if from.local_addr().unwrap().is_ipv4() {
                HOST
            } else {
                HOST6
            };
            from.send_to(message, (host, 51_820 + tenant)).unwrap();
        }
        let seconds = begun.elapsed().as_secs_f64() + 0.01;
        (self.arrived(tenant) - before, seconds)
    }
}

/// Checks that a flood was limited to a rate with a burst.
fn assert_limited((arrived, seconds): (u64, f64), rate: f64, burst: u64) {
    println!("{arrived} arrived in {seconds:.3} s");
    assert!(arrived >= burst, "{arrived} of at least {burst}");
    let most = burst as f64 + rate * seconds + 1.0;
    assert!(arrived as f64 <= most, "{arrived} of at most {most}");
}

#[test]
fn a_tenants_devices_have_one_rate_together() {
    let bed = Bed::new();
    let tunnels = Tunnels::new(&bed);
    let devices = [
        socket(&bed.internet, DEVICE, 4_001),
        socket(&bed.internet, DEVICE, 4_002),
        socket(&bed.internet, OTHER, 4_003),
    ];
    let all: Vec<_> = devices.iter().collect();
    let (arrived, _) = tunnels.flood(1, &DATA, &all, 5_000);
    assert_eq!(arrived, 5_000, "without the table");

    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[limited(1, RATE), limited(2, RATE)]);
    for device in &devices {
        tunnels.answer(1, &RESPONSE, device);
    }
    let neighbour = socket(&bed.internet, OTHER, 4_004);
    tunnels.answer(2, &DATA, &neighbour);
    assert_limited(tunnels.flood(1, &DATA, &all, 5_000), RATE as f64, BURST);
    // An initiation of a known endpoint is one of its packets.
    let (arrived, seconds) = tunnels.flood(1, &INITIATION, &all, 1_000);
    assert!(arrived as f64 <= RATE as f64 * (seconds + 0.1));
    let (arrived, _) = tunnels.flood(2, &DATA, &[&neighbour], BURST);
    assert_eq!(arrived, BURST, "the other tenant");
}

#[test]
fn a_change_of_the_plan_is_in_force_at_once() {
    let bed = Bed::new();
    let tunnels = Tunnels::new(&bed);
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[limited(1, RATE), limited(2, RATE)]);
    let device = socket(&bed.internet, DEVICE, 4_001);
    tunnels.answer(1, &RESPONSE, &device);
    assert_limited(
        tunnels.flood(1, &DATA, &[&device], 5_000),
        RATE as f64,
        BURST,
    );
    let slot = tenant(1, &[]).slot;
    firewall.set(&limited(1, 40_000));
    let observed = |slot| firewall.observe().tenants[&slot].tunnel_packets;
    assert_eq!(observed(slot), Some(PacketRate::at_least(40_000)));
    // The device is still known.
    let (arrived, _) = tunnels.flood(1, &DATA, &[&device], 5_000);
    assert_eq!(arrived, 5_000);
    firewall.set(&limited(1, RATE));
    let (arrived, _) = tunnels.flood(1, &DATA, &[&device], 5_000);
    assert!(arrived < 1_000, "{arrived}");
    let map = || {
        let map = "list map inet maliknode_limits tunnels";
        bed.host.command("nft", map)
    };
    assert!(map().contains("51821 : goto at_1000"), "{}", map());
    let remove = firewall
        .observe()
        .tenants
        .into_iter()
        .filter(|(s, _)| *s == slot)
        .collect();
    firewall.apply(FirewallChange {
        remove,
        ..FirewallChange::default()
    });
    assert!(!map().contains("51821"), "{}", map());
}

#[test]
fn a_removed_or_other_limit_is_noticed() {
    let bed = Bed::new();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[limited(1, RATE), limited(2, RATE)]);
    let nft = |args: &str| drop(bed.host.command("nft", args));
    nft("delete element inet maliknode_limits tunnels { 51821 }");
    let now = firewall.observe();
    assert!(now.complete);
    assert_eq!(now.tenants[&tenant(1, &[]).slot].tunnel_packets, None);
    let rate = Some(PacketRate::at_least(RATE));
    assert_eq!(now.tenants[&tenant(2, &[]).slot].tunnel_packets, rate);
    firewall.set(&limited(1, RATE));
    nft("delete element inet maliknode_limits tunnels { 51821 }");
    nft("add element inet maliknode_limits tunnels { 51821 : goto at_64000 }");
    let now = firewall.observe();
    let other = Some(PacketRate::at_least(64_000));
    assert_eq!(now.tenants[&tenant(1, &[]).slot].tunnel_packets, other);
    firewall.set(&limited(1, RATE));
    nft("add element inet maliknode_limits tunnels { 51900 : accept }");
    assert!(!firewall.observe().complete);
    firewall.rebuild(&[limited(1, RATE), limited(2, RATE)]);
}

#[test]
fn a_stranger_does_not_use_up_a_tenants_rate() {
    let bed = Bed::new();
    let tunnels = Tunnels::new(&bed);
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[limited(1, RATE)]);
    let device = socket(&bed.internet, DEVICE, 4_001);
    tunnels.answer(1, &RESPONSE, &device);
    let stranger = socket(&bed.internet, STRANGER, 4_000);
    // Neither a cookie nor its own packets make it a device.
    tunnels.answer(1, &COOKIE, &stranger);
    assert_limited(
        tunnels.flood(1, &INITIATION, &[&stranger], 20_000),
        20.0,
        100,
    );
    // Another device's handshake is not affected by it, nor is a new address.
    let other = socket(&bed.internet, OTHER, 4_002);
    let (arrived, _) = tunnels.flood(1, &INITIATION, &[&other], 100);
    assert_eq!(arrived, 100);
    assert_limited(
        tunnels.flood(1, &DATA, &[&stranger], 20_000),
        1_000.0,
        1_000,
    );
    let (arrived, _) = tunnels.flood(1, &DATA, &[&other], 500);
    assert_eq!(arrived, 500);
    let (arrived, _) = tunnels.flood(1, &DATA, &[&device], BURST);
    assert_eq!(arrived, BURST, "the device");
}

/// Sends messages to the first tenant's port, each from an address of its own.
fn forged(bed: &Bed, payload: &'static [u8], count: u16) {
    let length = u16::try_from(payload.len()).unwrap() + 8;
    for n in 0..count {
        let [high, low] = n.to_be_bytes();
        let header = [4_000_u16, 51_821, length, 0].map(u16::to_be_bytes);
        let datagram = [header.concat(), payload.to_vec()].concat();
        let source = [203, 100 + high / 64, high, low];
        bed.internet
            .send_raw(source, [198, 51, 100, 1], 17, vec![datagram]);
    }
}

#[test]
fn forged_addresses_keep_no_device_out() {
    let bed = Bed::new();
    let tunnels = Tunnels::new(&bed);
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[limited(1, RATE)]);
    let device = socket(&bed.internet, DEVICE, 4_001);
    tunnels.answer(1, &RESPONSE, &device);
    let other = socket(&bed.internet, OTHER, 4_002);
    let counted = |send: &dyn Fn()| {
        let before = tunnels.arrived(1);
        let begun = Instant::now();
        send();
        (
            tunnels.arrived(1) - before,
            begun.elapsed().as_secs_f64() + 0.01,
        )
    };
    assert_limited(counted(&|| forged(&bed, &DATA, 20_000)), 2_000.0, 2_000);
    // That does not concern handshakes, and the other way round.
    let (arrived, _) = tunnels.flood(1, &INITIATION, &[&other], 10);
    assert_eq!(arrived, 10);
    // As many initiations a second arrive as WireGuard can answer.
    let (arrived, _) = counted(&|| forged(&bed, &INITIATION, 4_000));
    assert_eq!(arrived, 4_000);
    let (arrived, _) = tunnels.flood(1, &DATA, &[&device], BURST);
    assert_eq!(arrived, BURST, "the device");
}

#[test]
fn a_device_with_a_new_address_is_known_after_an_answer() {
    let bed = Bed::new();
    let tunnels = Tunnels::new(&bed);
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[limited(1, 40_000)]);
    for (address, answer) in [(DEVICE, DATA), ("fd00:2::2", RESPONSE)] {
        let device = socket(&bed.internet, address, 4_001);
        let (arrived, _) = tunnels.flood(1, &DATA, &[&device], 5_000);
        assert!((1_000..2_000).contains(&arrived), "{address}: {arrived}");
        tunnels.answer(1, &answer, &device);
        let (arrived, _) = tunnels.flood(1, &DATA, &[&device], 5_000);
        assert_eq!(arrived, 5_000, "{address}");
        // Another program behind the same address is not.
        let neighbour = socket(&bed.internet, address, 4_002);
        let (arrived, _) = tunnels.flood(1, &DATA, &[&neighbour], 5_000);
        assert!(arrived < 3_000, "{address}: {arrived}");
        std::thread::sleep(Duration::from_millis(1_100));
    }
}

#[test]
fn ports_of_other_servers_are_not_limited() {
    let bed = Bed::new();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[limited(1, RATE)]);
    bed.internet.count("forwarded", "udp dport 51821");
    let device = socket(&bed.alice, "10.88.1.2", 4_001);
    for _ in 0..5_000 {
        device.send_to(&DATA, (DEVICE, 51_821)).unwrap();
    }
    assert_eq!(bed.internet.counted("forwarded"), 5_000);
}
