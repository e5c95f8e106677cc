//! Tests of DNS by IPv6: the gateway's address answers through the relay, and the resolver
//! sees the device by its IPv4 address.

use crate::{
    bed::{Bed, Namespace},
    fixture::{TestFirewall, prefix, runtime, tenant},
    ipv6::{ALICE, GATEWAY1, GATEWAY2, SERVER, WAN, bed},
    refusals::refusal,
};
use domain::{AddressPlan, Slot, marks::DNS_RELAY_PORT};
use firewall::{FirewallLimits, FirewallSettings};
use provisioning::spec::FirewallTenant;
use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// A relay in the bed's host, which ends when it is dropped.
struct Relay(
    Option<oneshot::Sender<()>>,
    Option<std::thread::JoinHandle<()>>,
);

impl Relay {
    fn start(bed: &Bed) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = bed.host.start(move || {
            runtime().block_on(async {
                tokio::select! {
                    () = dnsrelay::run(device) => {}
                    _ = stopped => {}
                }
            });
        });
        // It listens at once; the first question is repeated until it is answered.
        let began = Instant::now();
        while ask(&bed.alice, GATEWAY1).is_none() {
            assert!(began.elapsed() < Duration::from_secs(10));
        }
        Self(Some(stop), Some(thread))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.0.take());
        if let Some(thread) = self.1.take() {
            thread.join().unwrap();
        }
    }
}

/// Returns the device of tenants 1 and 2 with this address, as the node does.
fn device(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let slot = Slot::new(address.segments()[3])?;
    let plan = AddressPlan::default();
    let mut devices = [2, 3].map(|host| plan.device(slot, host)).into_iter();
    devices.find(|of| prefix().subnet(slot).device(*of) == address)
}

fn ask(ns: &Namespace, at: &str) -> Option<String> {
    ns.ask(&format!("udp [{at}]:53"))
}

/// Starts the resolvers: the containers of both tenants, and one in the internet.
fn served() -> Bed {
    let bed = bed();
    for resolver in [&bed.container1, &bed.container2] {
        resolver.serve("0.0.0.0", 53);
    }
    bed.internet.serve(SERVER, 53);
    bed.internet.serve("203.0.113.53", 53);
    bed
}

fn locked(dns: Option<Ipv4Addr>) -> FirewallTenant {
    FirewallTenant {
        locked6: [ALICE.parse().unwrap()].into(),
        dns,
        ..tenant(1, &[2, 3])
    }
}

#[test]
fn dns_at_the_gateways_ipv6_address_reaches_the_tenants_resolver() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[])]);
    let relay = Relay::start(&bed);
    for (ns, gateway, own) in [
        (&bed.alice, GATEWAY1, "10.88.1.2"),
        (&bed.ally, GATEWAY1, "10.88.1.3"),
        (&bed.bob, GATEWAY2, "10.88.2.2"),
    ] {
        for kind in ["udp", "tcp"] {
            let seen = ns.ask(&format!("{kind} [{gateway}]:53"));
            assert_eq!(seen.as_deref(), Some(own), "{kind} {gateway}");
        }
    }
    // Nothing else leads to the relay: another tenant's gateway, its own port, the world.
    for (ns, target) in [
        (&bed.alice, format!("[{GATEWAY2}]:53")),
        (&bed.alice, format!("[{GATEWAY1}]:{DNS_RELAY_PORT}")),
        (&bed.alice, format!("[{WAN}]:{DNS_RELAY_PORT}")),
        (&bed.internet, format!("[{WAN}]:{DNS_RELAY_PORT}")),
        (&bed.internet, format!("198.51.100.1:{DNS_RELAY_PORT}")),
        (&bed.internet, format!("[{GATEWAY1}]:53")),
    ] {
        for kind in ["udp", "tcp"] {
            assert_eq!(ns.ask(&format!("{kind} {target}")), None, "{kind} {target}");
        }
    }
    // Data that are used up do not end DNS.
    firewall.set(&crate::fixture::stopped(1, &[2, 3]));
    assert_eq!(ask(&bed.alice, GATEWAY1).as_deref(), Some("10.88.1.2"));
    // Without the relay, devices learn at once that they have to ask by IPv4.
    drop(relay);
    let began = Instant::now();
    let target: &'static str = Box::leak(format!("tcp [{GATEWAY1}]:53").into_boxed_str());
    assert_eq!(
        refusal(&bed.alice, target),
        Some(ErrorKind::ConnectionRefused)
    );
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(
        bed.alice.ask("udp 10.88.1.1:53").as_deref(),
        Some("10.88.1.2")
    );
}

#[test]
fn a_locked_device_asks_its_own_resolver_by_ipv6_too() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    let container = AddressPlan::default().container(Slot::FIRST);
    firewall.rebuild(&[locked(Some(container)), tenant(2, &[])]);
    let _relay = Relay::start(&bed);
    for kind in ["udp", "tcp"] {
        let probe = format!("{kind} [{SERVER}]:53");
        assert_eq!(bed.alice.ask(&probe).as_deref(), Some("10.88.1.2"));
        assert_eq!(bed.ally.ask(&probe).as_deref(), Some(WAN), "is not locked");
    }
}

#[test]
fn while_there_is_no_container_dns_by_ipv6_is_answered_by_the_fallback() {
    let bed = served();
    let own = bed.alice.serve("10.88.1.2", 53);
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    let with = |dns| FirewallTenant {
        dns,
        ..tenant(1, &[2, 3])
    };
    let fallback = Some(Ipv4Addr::new(203, 0, 113, 53));
    firewall.rebuild(&[with(fallback), tenant(2, &[])]);
    let _relay = Relay::start(&bed);
    for kind in ["udp", "tcp"] {
        let seen = bed.alice.ask(&format!("{kind} [{GATEWAY1}]:53"));
        assert_eq!(seen.as_deref(), Some("198.51.100.1"), "the host's address");
    }
    // Without any resolver the answer is a refusal, and the device is not asked itself.
    firewall.set(&with(None));
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    let (answer, took) = bed.alice.run(|| {
        let socket = UdpSocket::bind("[::]:0").unwrap();
        let wait = Some(Duration::from_secs(5));
        socket.set_read_timeout(wait).unwrap();
        socket.connect((GATEWAY1, 53)).unwrap();
        let began = Instant::now();
        socket.send(question).unwrap();
        let mut answer = [0; 64];
        let length = socket.recv(&mut answer).unwrap();
        (answer[..length].to_vec(), began.elapsed())
    });
    assert_eq!(answer[..4], [0x12, 0x34, 0x81, 0x05], "REFUSED");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(*own.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn a_device_asks_by_ipv6_no_more_than_its_share() {
    let bed = served();
    let settings = FirewallSettings {
        limits: FirewallLimits {
            dns_per_second: 5,
            dns_burst: 40,
            ..FirewallLimits::default()
        },
        ..FirewallSettings::default()
    };
    let firewall = TestFirewall::new(&bed.host, settings);
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    let _relay = Relay::start(&bed);
    let answered = |ns: &Namespace, gateway: &'static str| {
        ns.run(move || {
            let socket = UdpSocket::bind("[::]:0").unwrap();
            socket.connect((gateway, 53)).unwrap();
            let wait = Some(Duration::from_millis(300));
            socket.set_read_timeout(wait).unwrap();
            let mut count = 0;
            for _ in 0..100 {
                socket.send(b"question").unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
            while socket.recv(&mut [0; 64]).is_ok() {
                count += 1;
            }
            count
        })
    };
    let of_alice = answered(&bed.alice, GATEWAY1);
    assert!((30..=50).contains(&of_alice), "{of_alice} of 100");
    let of_bob = answered(&bed.bob, GATEWAY2);
    assert!((30..=50).contains(&of_bob), "{of_bob} of another tenant's");
}

#[test]
fn a_port_that_is_taken_is_tried_again() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    let other = bed
        .host
        .run(|| TcpListener::bind(("::", DNS_RELAY_PORT)).unwrap());
    let waiting = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        drop(other);
    });
    let began = Instant::now();
    let (stop, stopped) = oneshot::channel::<()>();
    let relay = bed.host.start(move || {
        runtime().block_on(async {
            tokio::select! {
                () = dnsrelay::run(device) => {}
                _ = stopped => {}
            }
        });
    });
    while ask(&bed.alice, GATEWAY1).is_none() {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(began.elapsed() > Duration::from_secs(1));
    waiting.join().unwrap();
    drop(stop);
    relay.join().unwrap();
}
