//! Docker's responses (bollard parses their form).
//!
//! - A container is ours only with both labels. One that only has a name of ours
//!   is foreign.
//! - An event is relevant only if it is about an image or has our labels.
//! - A network is ours only with our labels, range and isolation.
//! - Docker's own text is the cause of an error, never in its message.

use containers::{
    ContainerSettings,
    engine::EngineError,
    errors::{remove_failed, start_failed},
    events::is_relevant,
    image::{pull_failure_reason, split_reference},
    list::observed,
    network::check,
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
        3 => engine_error(&String::from_utf8_lossy(rest)),
        _ => reference(&String::from_utf8_lossy(rest)),
    }
}

/// Returns whether JSON labels are ours, without using the parser.
fn ours(labels: &Value) -> bool {
    labels["maliknode.managed"] == "1" && labels["maliknode.installation"] == "maliknode"
}

fn list(json: &[u8], settings: &ContainerSettings) {
    let (Ok(list), Ok(raw)) = (serde_json::from_slice(json), serde_json::from_slice(json)) else {
        return;
    };
    let raw: Vec<Value> = raw;
    let found = observed(list, true, settings);
    let labelled = raw.iter().filter(|c| ours(&c["Labels"])).count();
    assert!(found.ours.len() <= labelled, "ours without labels");
    for c in &found.ours {
        assert!(!c.name.contains('/'));
        let from = raw.iter().any(|r| {
            let id = r["Id"].as_str().unwrap_or_default();
            ours(&r["Labels"]) && id == c.id
        });
        assert!(from, "ours without labels: {c:?}");
    }
    for name in &found.foreign {
        assert!(name.starts_with("adguard_") && !name.contains('/'));
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
    if is_relevant(&event, settings) {
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
            assert!(ours(&raw["Labels"]), "a foreign network: {raw}");
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
        Err(e) => assert!(e.to_string().contains("name=\"maliknode\"")),
    }
}

fn engine_error(message: &str) {
    let spec = ContainerSpec {
        slot: Slot::FIRST,
        tenant: TenantName::parse("abcd").expect("a fixed name is valid"),
        image: "a/b:1".to_owned(),
        address: AddressPlan::default().container(Slot::FIRST),
        conf_dir: "/c".into(),
        work_dir: "/w".into(),
        lists_dir: "/l".into(),
        memory_bytes: 1,
        cpu_thousandths: 500,
        owner: PublicKey::from_bytes([7; 32]),
    };
    let error = |status| EngineError::Response {
        status,
        message: message.to_owned(),
    };
    let check_cause = |e: PortError| {
        assert!(e.cause.is_some_and(|c| c.to_string().contains(message)));
        // A short text may be part of our message by chance.
        assert!(message.len() < 80 || !e.message.to_string().contains(message));
    };
    for status in [200, 404, 409, 500] {
        check_cause(start_failed(error(status), &spec));
        check_cause(remove_failed(error(status), "x"));
        assert!(
            pull_failure_reason(&error(status))
                .code()
                .starts_with("pull-")
        );
    }
}

fn reference(image: &str) {
    let (name, tag) = split_reference(image);
    match tag {
        Some(tag) => assert_eq!(format!("{name}:{tag}"), image),
        None => assert_eq!(name, image),
    }
}
