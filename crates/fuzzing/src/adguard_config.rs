//! AdGuard Home's configuration: written by us with texts of users, and read
//! back from a folder whose content may have been changed.
//!
//! - The written file is one JSON document with the given values, and contains
//!   no character that YAML reads differently from JSON.
//! - What AdGuard Home stored is parsed or refused, and our bounds in it hold after one
//!   change. Our own file is read as it was written.
//! - A configuration belongs to a tenant only if it contains the hash of their
//!   password.

use crate::bytes::Bytes;
use adguard::{
    AdGuardSettings, List, ListSource, config,
    config_owner::{ConfigOwner, owner_of},
    policy::Means,
    stored_config,
};
use domain::{AddressPlan, FilterPolicy, Secret, Slot, marks::DNS_USER};
use provisioning::spec::{DnsClient, DnsInstance};
use serde_json::Value;

pub(crate) fn run(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (plan, slot) = (AddressPlan::default(), Slot::FIRST);
    let hash = bytes.text();
    let settings = AdGuardSettings {
        upstreams: vec![bytes.text()],
        fallback: vec![bytes.text()],
        ..AdGuardSettings::default()
    };
    let lists = [List {
        id: u32::from(bytes.byte()),
        name: bytes.text(),
        source: ListSource::Path("/l".into()),
    }];
    let dns = DnsInstance {
        slot,
        address: plan.container(slot),
        subnet: plan.subnet(slot),
        subnet6: None,
        domain: "alice.internal".into(),
        user: DNS_USER,
        password: Secret::new("never written, hunter2"),
        password_hash: hash.clone(),
        conf_dir: "/c".into(),
        work_dir: "/w".into(),
        image: "adguard/adguardhome:v0.107.79".into(),
    };
    let client = DnsClient {
        name: bytes.text(),
        address: plan.device(slot, 2),
        address6: None,
        policy: bytes.pick(&FilterPolicy::ALL),
        host_name: bytes.text(),
    };
    let clients = [("mn-1".to_owned(), client.clone())].into();
    let text = config::render(&settings, &lists, &dns, &clients, Means::FULL);

    let yaml = |c: char| matches!(c, '\n' | ' '..='~' | '\u{10000}'..);
    assert!(text.chars().all(yaml), "YAML reads it differently: {text}");
    let read: Value = serde_json::from_str(&text).expect("the written file is JSON");
    assert_eq!(read["users"][0]["password"], hash);
    assert_eq!(read["users"].as_array().map(Vec::len), Some(1));
    assert_eq!(read["dns"]["upstream_dns"][0], settings.upstreams[0]);
    assert_eq!(read["dns"]["fallback_dns"][0], settings.fallback[0]);
    assert_eq!(read["filters"][0]["name"], lists[0].name);
    assert_eq!(read["clients"]["persistent"][0]["name"], client.name);
    assert!(!text.contains("hunter2") || data.windows(7).any(|w| w == b"hunter2"));

    let stored = stored_config::parse(text.as_bytes());
    assert_eq!(stored, Some(read), "it is not read as it was written");

    let file = bytes.rest();
    if let Some(mut config) = stored_config::parse(file) {
        stored_config::enforce(&mut config);
        assert!(!stored_config::enforce(&mut config));
        stored_config::set_login(&mut config, dns.user, &hash);
        assert!(!stored_config::set_login(&mut config, dns.user, &hash));
        stored_config::remove_own_lists(&mut config, &lists, "/lists");
        assert!(!stored_config::remove_own_lists(
            &mut config,
            &lists,
            "/lists"
        ));
    }
    let owner = owner_of(file, &hash);
    assert_eq!(owner == ConfigOwner::Absent, file.is_empty());
    let holds = !hash.is_empty() && String::from_utf8_lossy(file).contains(&hash);
    if owner == ConfigOwner::ThisTenant {
        assert!(
            holds || hash.contains('\u{fffd}'),
            "the configuration has no hash, and belongs to the tenant"
        );
    }
}
