//! Tests of devices whose policy is a lock: other resolvers are redirected or refused.

use crate::{
    bed::Namespace,
    fixture::{TestFirewall, served, tenant},
    refusals::{ask_udp, refusal},
};
use domain::{AddressPlan, Slot};
use firewall::FirewallSettings;
use provisioning::spec::FirewallTenant;
use std::{io::ErrorKind, net::UdpSocket, time::Duration};

/// The tenant whose device .2 is locked; .2 and .3 are in the mesh.
fn locked() -> FirewallTenant {
    let plan = AddressPlan::default();
    FirewallTenant {
        locked: [plan.device(Slot::FIRST, 2)].into(),
        ..tenant(1, &[2, 3])
    }
}

const REFUSED: Option<ErrorKind> = Some(ErrorKind::ConnectionRefused);

#[test]
fn plain_dns_of_a_locked_device_reaches_its_own_resolver() {
    let bed = served();
    bed.internet.ip("addr add 8.8.8.8/32 dev eth0");
    bed.internet.serve("8.8.8.8", 53);
    bed.host.ip("route add 8.8.8.8/32 via 198.51.100.2");
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[])]);
    let asked = |from: &Namespace| from.probe(&["udp 8.8.8.8:53", "tcp 8.8.8.8:53"]);
    // Without the lock the world sees the host's address.
    assert_eq!(asked(&bed.alice), vec![Some("198.51.100.1".to_owned()); 2]);
    firewall.set(&locked());
    // The container sees the device's own.
    assert_eq!(asked(&bed.alice), vec![Some("10.88.1.2".to_owned()); 2]);
    // Not only known resolvers, and not in private ranges or at the tenant's other devices.
    for to in [
        "udp 203.0.113.53:53",
        "udp 192.168.77.2:53",
        "udp 10.88.1.3:53",
        "udp 10.88.2.1:53",
        "udp 10.88.1.1:53",
    ] {
        assert_eq!(bed.alice.ask(to).as_deref(), Some("10.88.1.2"), "{to}");
    }
    // The tenant's other devices and other tenants are not locked.
    for other in [&bed.ally, &bed.bob] {
        assert_eq!(asked(other), vec![Some("198.51.100.1".to_owned()); 2]);
    }
    let now = firewall.observe();
    assert!(now.complete);
    assert_eq!(now.tenants[&Slot::FIRST].locked, locked().locked);
    firewall.set(&tenant(1, &[2, 3]));
    assert_eq!(asked(&bed.alice), vec![Some("198.51.100.1".to_owned()); 2]);
}

#[test]
fn encrypted_dns_of_a_locked_device_is_refused_at_once() {
    let bed = served();
    bed.internet.ip("addr add 8.8.8.8/32 dev eth0");
    bed.host.ip("route add 8.8.8.8/32 via 198.51.100.2");
    for port in [853, 443] {
        bed.internet.serve("8.8.8.8", port);
    }
    bed.internet.serve("203.0.113.80", 853);
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[])]);
    let encrypted = ["tcp 203.0.113.80:853", "tcp 8.8.8.8:853", "tcp 8.8.8.8:443"];
    for probe in encrypted {
        assert_eq!(refusal(&bed.alice, probe), None, "{probe} without the lock");
    }
    firewall.set(&locked());
    for probe in encrypted {
        assert_eq!(refusal(&bed.alice, probe), REFUSED, "{probe}");
    }
    // By QUIC: the refusal is an ICMP error.
    for to in ["8.8.8.8:443", "203.0.113.80:853"] {
        let to = to.parse().unwrap();
        let answer = bed.alice.run(move || ask_udp(to)).map_err(|e| e.kind());
        assert_eq!(answer, Err(ErrorKind::HostUnreachable), "{to}");
    }
    // Everything else stays open, ping to a resolver included.
    for open in [
        "tcp 203.0.113.80:443",
        "tcp 203.0.113.80:80",
        "ping 8.8.8.8",
    ] {
        assert!(bed.alice.ask(open).is_some(), "{open}");
    }
    assert_eq!(
        bed.alice.ask("tcp 10.88.1.3:9000").as_deref(),
        Some("10.88.1.2")
    );
    for probe in encrypted {
        assert_eq!(refusal(&bed.ally, probe), None, "{probe} of another device");
    }
}

#[test]
fn a_flow_that_is_older_than_the_lock_is_cut() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[])]);
    let ask = |socket: UdpSocket| {
        socket.send_to(b"name", "203.0.113.53:53").unwrap();
        let mut answer = [0; 64];
        let n = socket.recv(&mut answer).ok();
        (
            n.map(|n| String::from_utf8_lossy(&answer[..n]).into_owned()),
            socket,
        )
    };
    let socket = bed.alice.run(|| {
        let socket = UdpSocket::bind("10.88.1.2:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        socket
    });
    let (answer, socket) = ask(socket);
    assert_eq!(answer.as_deref(), Some("198.51.100.1"));
    firewall.set(&locked());
    assert_eq!(ask(socket).0, None, "the flow goes on");
    assert_eq!(
        bed.alice.ask("udp 203.0.113.53:53").as_deref(),
        Some("10.88.1.2")
    );
}

#[test]
fn a_locked_device_without_a_resolver_reaches_no_other() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    let without = FirewallTenant {
        dns: None,
        ..locked()
    };
    firewall.rebuild(&[without, tenant(2, &[])]);
    for to in [
        "udp 203.0.113.53:53",
        "tcp 203.0.113.53:53",
        "udp 10.88.1.3:53",
    ] {
        assert_eq!(bed.alice.ask(to), None, "{to}");
    }
    // The fallback answers while the container does not run.
    firewall.set(&FirewallTenant {
        dns: Some([203, 0, 113, 53].into()),
        ..locked()
    });
    assert_eq!(
        bed.alice.ask("udp 198.51.100.2:53").as_deref(),
        Some("198.51.100.1")
    );
}
