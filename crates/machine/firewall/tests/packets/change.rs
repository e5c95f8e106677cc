//! Tests of changes: what becomes reachable, and which flows are cut.

use crate::{
    bed::{Namespace, send},
    fixture::{TestFirewall, served, tenant},
};
use domain::Slot;
use firewall::FirewallSettings;
use provisioning::{observed::ObservedFirewallTenant, ports::FirewallChange, spec::FirewallTenant};
use std::net::TcpStream;

#[test]
fn the_mesh_flag_opens_and_cuts_flows() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2]), tenant(2, &[2])]);
    assert_eq!(bed.alice.ask("tcp 10.88.1.3:9000"), None);
    firewall.set(&tenant(1, &[2, 3]));
    assert_eq!(
        bed.alice.ask("udp 10.88.1.3:9000").as_deref(),
        Some("10.88.1.2")
    );
    assert!(bed.ally.ask("ping 10.88.1.2").is_some());
    // The other tenant has a mesh of its own.
    assert_eq!(bed.bob.ask("tcp 10.88.1.2:9000"), None);
    assert_eq!(bed.alice.ask("tcp 10.88.2.2:9000"), None);

    let mut flow = bed
        .alice
        .run(|| TcpStream::connect("10.88.1.3:9000").unwrap());
    assert_eq!(send(&mut flow, "hello").as_deref(), Some("10.88.1.2"));
    assert_eq!(
        send(&mut flow, "still there").as_deref(),
        Some("still there")
    );
    firewall.set(&tenant(1, &[2]));
    assert_eq!(send(&mut flow, "cut"), None);
    assert_eq!(
        firewall.observe().tenants[&Slot::FIRST],
        ObservedFirewallTenant::from_spec(&tenant(1, &[2]))
    );
}

#[test]
fn dns_follows_the_configured_server() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    let to = |dns: [u8; 4]| FirewallTenant {
        dns: Some(dns.into()),
        ..tenant(1, &[])
    };
    firewall.rebuild(&[to([203, 0, 113, 53])]);
    let ask = || {
        let answers = bed.alice.probe(&["udp 10.88.1.1:53", "tcp 10.88.1.1:53"]);
        assert_eq!(answers[0], answers[1]);
        answers[0].clone()
    };
    assert_eq!(ask().as_deref(), Some("198.51.100.1"));
    firewall.set(&to([10, 92, 1, 1]));
    assert_eq!(ask().as_deref(), Some("10.88.1.2"));
    // A resolver in the operator's LAN works too and opens nothing else in the LAN.
    firewall.set(&to([192, 168, 77, 2]));
    assert_eq!(ask().as_deref(), Some("192.168.77.1"));
    assert_eq!(bed.alice.ask("udp 192.168.77.2:53"), None);
    // A resolver on the host itself works too.
    bed.host.serve("198.51.100.1", 53);
    firewall.set(&to([198, 51, 100, 1]));
    assert_eq!(ask().as_deref(), Some("10.88.1.2"));
    assert_eq!(bed.alice.ask("udp 198.51.100.1:53"), None);
}

#[test]
fn deleting_a_tenant_affects_no_other() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[2])]);
    let connect = |ns: &Namespace| {
        let mut flow = ns.run(|| TcpStream::connect("203.0.113.80:443").unwrap());
        assert_eq!(send(&mut flow, "hello").as_deref(), Some("198.51.100.1"));
        flow
    };
    let (mut alice, mut bob) = (connect(&bed.alice), connect(&bed.bob));
    let remove = firewall
        .observe()
        .tenants
        .into_iter()
        .filter(|(s, _)| *s == Slot::FIRST)
        .collect();
    firewall.apply(FirewallChange {
        remove,
        ..FirewallChange::default()
    });
    assert_eq!(send(&mut alice, "cut"), None);
    assert_eq!(send(&mut bob, "kept").as_deref(), Some("kept"));
    // Rebuilding the tables does not affect the other tenant either.
    firewall.rebuild(&[tenant(2, &[2])]);
    assert_eq!(send(&mut bob, "kept").as_deref(), Some("kept"));
    let probes = [
        "udp 10.88.1.1:53",
        "tcp 203.0.113.80:443",
        "ping 10.88.1.1",
        "tcp 10.88.1.3:9000",
    ];
    assert_eq!(bed.alice.probe(&probes), vec![None; probes.len()]);
    let now = firewall.observe();
    assert!(now.complete);
    assert_eq!(
        now.tenants.into_keys().collect::<Vec<_>>(),
        [Slot::new(2).unwrap()]
    );
}
