//! What Docker says, as we understand it (its form is bollard's matter).
//!
//! - A container is ours only by both labels; what only has a name like ours is
//!   somebody else's, and never both.
//! - An event concerns us only where it is about an image or carries our labels.
//! - A network is taken for ours only with our labels, range and separation.
//! - Docker's own words are the cause of a sentence, never in it.

use containers::{
    ContainerSettings,
    engine::Trouble,
    events::concerns,
    image::{split, why},
    listed::observed,
    network::check,
    words::{not_removed, not_started},
};
use domain::{AddressPlan, PublicKey, Slot, TenantName};
use provisioning::{ports::PortError, spec::ContainerSpec};
use serde_json::Value;

pub(crate) fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let settings = ContainerSettings::new("adguard/adguardhome:test", AddressPlan::default());
    match kind % 5 {
        0 => list(rest, &settings),
        1 => event(rest, &settings),
        2 => network(rest, &settings),
        3 => trouble(&String::from_utf8_lossy(rest)),
        _ => reference(&String::from_utf8_lossy(rest)),
    }
}

/// Whether JSON labels are ours, told without the reader.
fn ours(labels: &Value) -> bool {
    labels["maliknode.managed"] == "1" && labels["maliknode.installation"] == "maliknode"
}

fn list(json: &[u8], settings: &ContainerSettings) {
    let (Ok(list), Ok(raw)) = (serde_json::from_slice(json), serde_json::from_slice(json)) else {
        return;
    };
    let raw: Vec<Value> = raw;
    let seen = observed(list, true, settings);
    let labelled = raw.iter().filter(|c| ours(&c["Labels"])).count();
    assert!(seen.ours.len() <= labelled, "ours without labels");
    for c in &seen.ours {
        assert!(!c.name.contains('/'));
        let from = raw.iter().any(|r| {
            let id = r["Id"].as_str().unwrap_or_default();
            ours(&r["Labels"]) && id == c.id
        });
        assert!(from, "ours, and not labelled: {c:?}");
    }
    for name in &seen.foreign {
        assert!(name.starts_with("adguard_user_") && !name.contains('/'));
    }
}

fn event(json: &[u8], settings: &ContainerSettings) {
    let (Ok(event), Ok(raw)) = (
        serde_json::from_slice(json),
        serde_json::from_slice::<Value>(json),
    ) else {
        return;
    };
    let container = raw["Type"] == "container" && ours(&raw["Actor"]["Attributes"]);
    if concerns(&event, settings) {
        assert!(raw["Type"] == "image" || container, "{raw}");
    }
}

fn network(json: &[u8], settings: &ContainerSettings) {
    let (Ok(network), Ok(raw)) = (
        serde_json::from_slice(json),
        serde_json::from_slice::<Value>(json),
    ) else {
        return;
    };
    match check(&network, settings) {
        Ok(()) => {
            assert!(ours(&raw["Labels"]), "somebody else's: {raw}");
            let options = &raw["Options"];
            assert_eq!(options["com.docker.network.bridge.name"], settings.bridge);
            assert_eq!(options["com.docker.network.bridge.enable_icc"], "false");
            let ranges = raw["IPAM"]["Config"].as_array();
            let range = ranges
                .into_iter()
                .flatten()
                .find_map(|c| c["Subnet"].as_str());
            assert!(range.is_some());
        }
        Err(e) => assert!(e.sentence.contains("docker network rm maliknode")),
    }
}

fn trouble(message: &str) {
    let spec = ContainerSpec {
        slot: Slot::FIRST,
        tenant: TenantName::parse("abcd").expect("a fixed name is one"),
        image: "a/b:1".to_owned(),
        address: AddressPlan::default().container(Slot::FIRST),
        conf_dir: "/c".into(),
        work_dir: "/w".into(),
        lists_dir: "/l".into(),
        memory_bytes: 1,
        owner: PublicKey::from_bytes([7; 32]),
    };
    let said = |status| Trouble::Answer {
        status,
        message: message.to_owned(),
    };
    let holds = |e: PortError| {
        assert!(e.cause.is_some_and(|c| c.to_string().contains(message)));
        // Short texts may stand in a sentence of ours by chance.
        assert!(message.len() < 80 || !e.sentence.contains(message));
    };
    for status in [200, 404, 409, 500] {
        holds(not_started(said(status), &spec));
        holds(not_removed(said(status), "x"));
        assert!(!why(&said(status)).is_empty());
    }
}

fn reference(image: &str) {
    let (name, tag) = split(image);
    match tag {
        Some(tag) => assert_eq!(format!("{name}:{tag}"), image),
        None => assert_eq!(name, image),
    }
}
