//! AdGuard Home's configuration: written by us with texts that people chose,
//! and read back from a folder that anything may have happened to.
//!
//! - What we write is one JSON document that says what it was made of, and no
//!   character in it is one that YAML takes otherwise than JSON does.
//! - A configuration is a tenant's only where it holds their password's hash.

use crate::bytes::Bytes;
use adguard::{
    AdGuardSettings, List, Source, config,
    prepare::{Stands, whose},
};
use domain::{AddressPlan, FilterPolicy, Secret, Slot};
use provisioning::spec::{DNS_USER, DnsClient, DnsInstance};
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
        source: Source::Path("/l".into()),
    }];
    let dns = DnsInstance {
        slot,
        address: plan.container(slot),
        subnet: plan.subnet(slot),
        user: DNS_USER,
        password: Secret::new("never written, hunter2"),
        password_hash: hash.clone(),
        conf_dir: "/c".into(),
        work_dir: "/w".into(),
    };
    let client = DnsClient {
        name: bytes.text(),
        address: plan.device(slot, 2),
        policy: bytes.pick(&FilterPolicy::ALL),
    };
    let clients = [("mn-1".to_owned(), client.clone())].into();
    let text = config::render(&settings, &lists, &dns, &clients);

    let yaml = |c: char| matches!(c, '\n' | ' '..='~' | '\u{10000}'..);
    assert!(text.chars().all(yaml), "YAML reads that otherwise: {text}");
    let read: Value = serde_json::from_str(&text).expect("what we write is JSON");
    assert_eq!(read["users"][0]["password"], hash);
    assert_eq!(read["users"].as_array().map(Vec::len), Some(1));
    assert_eq!(read["dns"]["upstream_dns"][0], settings.upstreams[0]);
    assert_eq!(read["dns"]["fallback_dns"][0], settings.fallback[0]);
    assert_eq!(read["filters"][0]["name"], lists[0].name);
    assert_eq!(read["clients"]["persistent"][0]["name"], client.name);
    assert!(!text.contains("hunter2") || data.windows(7).any(|w| w == b"hunter2"));

    let left = bytes.rest();
    let stands = whose(left, &hash);
    assert_eq!(stands == Stands::Nothing, left.is_empty());
    let holds = !hash.is_empty() && String::from_utf8_lossy(left).contains(&hash);
    if stands == Stands::Ours {
        assert!(
            holds || hash.contains('\u{fffd}'),
            "of nobody's, and taken for ours"
        );
    }
}
