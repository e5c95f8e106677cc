//! What is ours is brought to what is wanted; the tenant's own rewrites stay.

use super::*;
use domain::{FilterPolicy, Ipv6Subnet, Secret, Slot};

fn instance() -> DnsInstance {
    DnsInstance {
        slot: Slot::FIRST,
        address: [10, 92, 1, 1].into(),
        subnet: "10.88.1.0/24".parse().unwrap(),
        subnet6: Ipv6Subnet::new("fd12:3456:789a:1::/64".parse().unwrap()),
        domain: "alice.internal".to_owned(),
        user: "tenant",
        password: Secret::new("secret"),
        password_hash: String::new(),
        conf_dir: "/c".into(),
        work_dir: "/w".into(),
        image: String::new(),
    }
}

fn clients(names: &[(&str, u8)]) -> BTreeMap<String, DnsClient> {
    let client = |(name, host): &(&str, u8)| {
        let client = DnsClient {
            name: (*name).to_owned(),
            address: [10, 88, 1, *host].into(),
            address6: Some(format!("fd12:3456:789a:1::{host:x}").parse().unwrap()),
            policy: FilterPolicy::Standard,
            host_name: format!("{name}.alice.internal"),
        };
        (format!("mn-{host}"), client)
    };
    names.iter().map(client).collect()
}

fn rewrite(domain: &str, answer: &str) -> Rewrite {
    Rewrite {
        domain: domain.to_owned(),
        answer: answer.to_owned(),
        enabled: true,
    }
}

/// Does what AdGuard Home does (`internal/filtering/rewritehttp.go`).
fn apply(rewrites: &mut Vec<Rewrite>, changes: Vec<RewriteChange>) {
    for change in changes {
        match change {
            RewriteChange::Add(r) => rewrites.push(r),
            RewriteChange::Delete(d) => rewrites.retain(|r| key(r) != key(&d)),
        }
    }
}

/// Brings the rewrites to the clients, and checks that nothing is left to do then.
fn converge(rewrites: &mut Vec<Rewrite>, clients: &BTreeMap<String, DnsClient>) {
    let dns = instance();
    let changes = plan(&dns, rewrites, clients);
    apply(rewrites, changes);
    assert_eq!(plan(&dns, rewrites, clients), [], "a second plan is empty");
    let (names, own_names) = observed(&dns, rewrites);
    let seen = provisioning::observed::ObservedDns {
        names,
        own_names,
        ..Default::default()
    };
    assert!(seen.has_names_of(clients), "{seen:?}");
}

#[test]
fn names_follow_devices() {
    let mut rewrites = vec![];
    converge(&mut rewrites, &clients(&[("phone", 2), ("nas", 3)]));
    let expected = [
        rewrite("nas.alice.internal", "10.88.1.3"),
        rewrite("nas.alice.internal", "fd12:3456:789a:1::3"),
        rewrite("phone.alice.internal", "10.88.1.2"),
        rewrite("phone.alice.internal", "fd12:3456:789a:1::2"),
    ];
    assert_eq!(rewrites, expected);
    // Renamed; swapped; deleted.
    converge(&mut rewrites, &clients(&[("tablet", 2), ("nas", 3)]));
    converge(&mut rewrites, &clients(&[("nas", 2), ("tablet", 3)]));
    assert!(rewrites.contains(&rewrite("tablet.alice.internal", "10.88.1.3")));
    assert_eq!(rewrites.len(), 4);
    converge(&mut rewrites, &clients(&[]));
    assert_eq!(rewrites, []);
}

#[test]
fn the_tenants_own_rewrites_stay() {
    let own = vec![
        rewrite("nas.home", "10.88.1.3"),
        rewrite("alice.internal", "10.88.1.2"),
        rewrite("*.alice.internal", "10.88.1.2"),
        rewrite("a.phone.alice.internal", "10.88.1.2"),
        rewrite("media.alice.internal", "nas.alice.internal"),
        rewrite("printer.alice.internal", "192.168.1.9"),
        rewrite("phone.bob.internal", "10.88.1.2"),
    ];
    let mut rewrites = own.clone();
    let devices = clients(&[("phone", 2), ("printer", 3)]);
    converge(&mut rewrites, &devices);
    assert_eq!(rewrites[..own.len()], own);
    let added: Vec<_> = rewrites[own.len()..]
        .iter()
        .map(|r| r.domain.as_str())
        .collect();
    assert_eq!(
        added, ["phone.alice.internal"; 2],
        "the printer's name is the tenant's"
    );
    converge(&mut rewrites, &clients(&[]));
    assert_eq!(rewrites, own);
}

#[test]
fn an_external_change_is_undone() {
    let devices = clients(&[("phone", 2)]);
    let mut rewrites = vec![];
    converge(&mut rewrites, &devices);
    let complete = rewrites.clone();
    let dns = instance();
    // Removed, switched off, sent elsewhere in the tunnel, added for a device that is not.
    let mut off = complete.clone();
    off[0].enabled = false;
    let mut moved = complete.clone();
    moved[0].answer = "10.88.1.9".to_owned();
    let mut more = complete.clone();
    more.push(rewrite("gone.alice.internal", "10.88.1.7"));
    for mut found in [vec![complete[0].clone()], off, moved, more] {
        let (names, own_names) = observed(&dns, &found);
        let seen = provisioning::observed::ObservedDns {
            names,
            own_names,
            ..Default::default()
        };
        assert!(!seen.has_names_of(&devices), "not noticed: {found:?}");
        converge(&mut found, &devices);
        let found: BTreeSet<_> = found.into_iter().collect();
        assert_eq!(found, complete.iter().cloned().collect());
    }
}
