//! Tests of the table that is in force before the server: at a boot, and beside a
//! server that runs.

use crate::{
    bed::{Bed, Namespace},
    fixture::{TestFirewall, served, tenant},
};
use firewall::{BaseTable, FirewallSettings};

fn ensure(firewall: &TestFirewall) -> BaseTable {
    firewall
        .with(|nft| async move { nft.ensure_base().await })
        .unwrap()
}

/// Returns the table with its handles: each rebuild gives it new ones.
fn listing(host: &Namespace) -> String {
    host.command("nft", "-s -a list table inet maliknode")
}

/// What a container must not reach, by ways that are open without the table.
const FROM_CONTAINER: [&str; 4] = [
    "tcp 169.254.169.254:80",
    "tcp 192.168.77.2:443",
    "tcp 198.51.100.1:8080",
    "tcp 10.88.1.2:9000",
];

fn reached(bed: &Bed) -> Vec<bool> {
    let answers = bed.container1.probe(&FROM_CONTAINER);
    answers.iter().map(Option::is_some).collect()
}

#[test]
fn the_base_table_holds_containers_and_tunnels() {
    let bed = served();
    assert_eq!(reached(&bed), [true; 4], "without a table all is reachable");
    assert!(bed.alice.ask("tcp 203.0.113.80:443").is_some());
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    assert_eq!(ensure(&firewall), BaseTable::Created);
    assert_eq!(reached(&bed), [false; 4]);
    assert_eq!(bed.alice.ask("tcp 203.0.113.80:443"), None);
    assert_eq!(bed.alice.ask("tcp 10.92.1.1:3000"), None);
    // Containers may update their lists.
    assert!(bed.container1.ask("tcp 203.0.113.80:443").is_some());
    // The server completes it, and it is then not touched again.
    assert_eq!(ensure(&firewall), BaseTable::Present);
    firewall.rebuild(&[tenant(1, &[2]), tenant(2, &[])]);
    assert!(bed.alice.ask("tcp 203.0.113.80:443").is_some());
}

#[test]
fn the_base_table_disturbs_no_running_server() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3])]);
    let before = listing(&bed.host);
    assert_eq!(ensure(&firewall), BaseTable::Present);
    // Another version, or the settings of a server that was not restarted yet.
    let settings = FirewallSettings {
        allowed_private: vec!["192.168.77.0/24".parse().unwrap()],
        ..FirewallSettings::default()
    };
    let other = TestFirewall::new(&bed.host, settings);
    assert_eq!(ensure(&other), BaseTable::LeftToServer);
    assert_eq!(listing(&bed.host), before);
}

#[test]
fn an_incomplete_table_without_tenants_is_replaced() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    assert_eq!(ensure(&firewall), BaseTable::Created);
    bed.host
        .command("nft", "flush chain inet maliknode from_container");
    // The host itself has its own chain.
    assert_eq!(reached(&bed)[..2], [true; 2]);
    assert_eq!(ensure(&firewall), BaseTable::Created);
    assert_eq!(reached(&bed), [false; 4]);
}
