//! Tests of a device's configuration: what goes through the tunnel, and that the file is
//! read back as it was written.

use super::*;
use crate::slot::{AddressPlan, Slot};
use crate::wgconf;
use ipnet::IpNet;
use proptest::prelude::*;
use std::net::IpAddr;

fn config(n: u16, host: u8, routing: Routing, seed: u8) -> ClientConfig {
    let (plan, slot) = (AddressPlan::default(), Slot::new(n).unwrap());
    ClientConfig {
        private_key: PrivateKey::from_random([seed; 32]),
        address: plan.device(slot, host),
        gateway: plan.gateway(slot),
        subnet: plan.subnet(slot),
        server_key: PrivateKey::from_random([seed ^ 0x55; 32]).public(),
        preshared_key: PresharedKey::from_random([seed; 32]),
        endpoint: format!("vpn.example.org:{}", slot.listen_port()),
        routing,
        options: TunnelOptions::default(),
        ipv6: None,
    }
}

fn with_ipv6(routing: Routing) -> ClientConfig {
    ClientConfig {
        ipv6: Some(ClientIpv6 {
            address: "fd00:1:1:1::2".parse().unwrap(),
            gateway: "fd00:1:1:1::1".parse().unwrap(),
            subnet: "fd00:1:1:1::/64".parse().unwrap(),
        }),
        ..config(1, 2, routing, 1)
    }
}

fn without_ipv6(config: ClientConfig) -> ClientConfig {
    let options = TunnelOptions {
        ipv4_only: true,
        ..config.options
    };
    ClientConfig { options, ..config }
}

/// Returns whether a packet to `address` goes through the tunnel.
fn takes(config: &ClientConfig, address: &str) -> bool {
    let address: IpAddr = address.parse().unwrap();
    let routes = config.allowed_ips();
    let mut routes = routes.split(", ").map(|r| r.parse::<IpNet>().unwrap());
    routes.any(|route| route.contains(&address))
}

#[test]
fn routing_decides_the_allowed_ips() {
    let of = |routing| config(1, 2, routing, 1).allowed_ips();
    assert_eq!(of(Routing::Everything), "0.0.0.0/0, ::/0");
    assert_eq!(of(Routing::Network), "10.88.1.0/24");
    assert_eq!(of(Routing::Dns), "10.88.1.1/32");
    let of = |routing| with_ipv6(routing).allowed_ips();
    assert_eq!(of(Routing::Everything), "0.0.0.0/0, ::/0");
    assert_eq!(of(Routing::Network), "10.88.1.0/24, fd00:1:1:1::/64");
    assert_eq!(of(Routing::Dns), "10.88.1.1/32, fd00:1:1:1::1/128");
}

#[test]
fn dns_is_named_by_both_addresses_and_goes_through_the_tunnel() {
    for routing in Routing::ALL {
        let config = with_ipv6(routing);
        let resolvers = config.resolvers();
        assert_eq!(resolvers, "10.88.1.1, fd00:1:1:1::1", "that of IPv4 first");
        for resolver in resolvers.split(", ") {
            assert!(takes(&config, resolver), "{routing}: {resolver}");
        }
        let ipv4 = without_ipv6(config).resolvers();
        assert_eq!(ipv4, "10.88.1.1");
    }
}

#[test]
fn everything_but_the_home_network_leaves_private_addresses_where_they_are() {
    let config = with_ipv6(Routing::Internet);
    for direct in [
        "10.0.0.1",
        "10.88.0.255",
        "10.88.2.0",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "169.254.7.7",
        "224.0.0.251",
        "239.255.255.250",
        "255.255.255.255",
        "fc00::1",
        "fd00:1:1:2::1",
        "fe80::1",
        "ff02::fb",
    ] {
        assert!(!takes(&config, direct), "{direct}");
    }
    for tunnelled in [
        "10.88.1.1",
        "10.88.1.254",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "223.255.255.255",
        "fd00:1:1:1::1",
        "2001:db8::1",
        "64:ff9b::1",
        "fbff::1",
    ] {
        assert!(takes(&config, tunnelled), "{tunnelled}");
    }
    // With exactly this route Windows' app would block all that is not in the tunnel.
    assert!(!config.allowed_ips().contains("/0"));
    // The longest file is drawn as a code.
    assert!(config.render().len() < 1_600, "{}", config.render().len());
}

#[test]
fn a_file_for_ipv4_alone_has_no_ipv6() {
    for routing in Routing::ALL {
        for config in [config(1, 2, routing, 1), with_ipv6(routing)] {
            let config = without_ipv6(config);
            let [interface, peer] = &wgconf::parse(&config.render()).unwrap()[..] else {
                panic!("not two sections");
            };
            for value in [
                interface.get("Address").unwrap(),
                interface.get("DNS").unwrap(),
                peer.get("AllowedIPs").unwrap(),
            ] {
                assert!(!value.contains(':'), "{routing}: {value}");
            }
        }
    }
}

#[test]
fn without_ipv6_in_the_tunnel_it_does_not_leak() {
    for routing in [Routing::Everything, Routing::Internet] {
        let config = config(1, 2, routing, 1);
        assert!(takes(&config, "2001:db8::1"), "{routing}");
        assert_eq!(config.addresses(), "10.88.1.2/32");
    }
}

#[test]
fn small_packets_are_a_line_of_the_interface() {
    let mtu = |config: &ClientConfig| {
        let sections = wgconf::parse(&config.render()).unwrap();
        sections[0].get("MTU").map(str::to_owned)
    };
    let mut config = config(1, 2, Routing::Everything, 1);
    assert_eq!(mtu(&config), None);
    config.options.small_packets = true;
    assert_eq!(mtu(&config).as_deref(), Some("1280"));
}

proptest! {
    #[test]
    fn a_rendered_configuration_parses_to_the_same_values(
        n in 1u16..=1000, host in 2u8..=254, r in 0usize..4, seed: u8, small: bool, only4: bool, v6: bool,
    ) {
        let mut c = config(n, host, Routing::ALL[r], seed);
        c.options = TunnelOptions { small_packets: small, ipv4_only: only4 };
        c.ipv6 = with_ipv6(c.routing).ipv6.filter(|_| v6);
        let text = c.render();
        let s = wgconf::parse(&text).unwrap();
        prop_assert_eq!(s.len(), 2);
        prop_assert_eq!((s[0].name.as_str(), s[1].name.as_str()), ("Interface", "Peer"));
        prop_assert_eq!(PrivateKey::parse(s[0].get("PrivateKey").unwrap()).unwrap(), c.private_key.clone());
        prop_assert_eq!(s[0].get("Address").unwrap(), c.addresses());
        prop_assert_eq!(s[0].get("DNS").unwrap(), c.resolvers());
        prop_assert_eq!(s[0].get("MTU").is_some(), small);
        prop_assert_eq!(PublicKey::parse(s[1].get("PublicKey").unwrap()).unwrap(), c.server_key);
        prop_assert_eq!(PresharedKey::parse(s[1].get("PresharedKey").unwrap()).unwrap(), c.preshared_key.clone());
        prop_assert_eq!(s[1].get("AllowedIPs").unwrap(), c.allowed_ips());
        prop_assert_eq!(s[1].get("Endpoint").unwrap(), c.endpoint.as_str());
    }
}
