//! The MTU of tunnels, on links of namespaces. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use testkit::namespace::Namespace;
use wireguard::tunnel_mtu;

#[test]
fn a_tunnel_fits_into_the_link_to_the_internet() {
    let (host, internet) = (Namespace::new(), Namespace::new());
    assert_eq!(host.run(tunnel_mtu), 1420, "without a route");
    host.connect("wan0", &internet, "eth0");
    host.ip("addr add 198.51.100.1/24 dev wan0");
    host.ip("route add default via 198.51.100.2");
    assert_eq!(host.run(tunnel_mtu), 1420);
    host.ip("link set wan0 mtu 1400");
    assert_eq!(host.run(tunnel_mtu), 1320);
    host.ip("link set wan0 mtu 1000");
    assert_eq!(host.run(tunnel_mtu), 1280);
}
