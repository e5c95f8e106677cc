//! The chains of nftables that packets to this host pass, from `nft -j list ruleset`
//! (libnftables-json(5)).

use super::{
    packet::{Packet, Truth},
    walk::{Action, Chains, Hooked, Rule},
};
use ipnet::Ipv4Net;
use serde_json::Value;
use std::{collections::BTreeMap, net::Ipv4Addr};

/// A table's family and name.
type Table<'a> = (&'a str, &'a str);

/// A table as it is read.
#[derive(Default)]
struct ReadTable<'a> {
    chains: Chains,
    sets: BTreeMap<&'a str, &'a Value>,
    /// The base chains at the hook `input`.
    hooked: Vec<&'a str>,
}

/// Returns the chains at the hook `input` of all tables.
pub(super) fn input(json: &Value, packet: &Packet) -> Vec<Hooked> {
    let mut tables: BTreeMap<Table<'_>, ReadTable<'_>> = BTreeMap::new();
    let objects = || json["nftables"].as_array().into_iter().flatten();
    let text = |object: &'_ Value, key: &str| object[key].as_str().map(str::to_owned);
    for object in objects() {
        let Some((kind, object)) = object.as_object().and_then(|o| o.iter().next()) else {
            continue;
        };
        let (Some(family), Some(table)) = (object["family"].as_str(), object["table"].as_str())
        else {
            continue;
        };
        let table = tables.entry((family, table)).or_default();
        let name = object["name"].as_str().unwrap_or_default();
        match kind.as_str() {
            "set" | "map" => {
                table.sets.insert(name, &object["elem"]);
            }
            "chain" => {
                table.chains.add(name);
                let is_filter = text(object, "type").as_deref() == Some("filter");
                if is_filter && text(object, "hook").as_deref() == Some("input") {
                    table.hooked.push(name);
                }
                if text(object, "policy").as_deref() == Some("drop") {
                    table.chains.drop_by_policy(name);
                }
            }
            _ => {}
        }
    }
    for object in objects() {
        let rule = &object["rule"];
        let (Some(family), Some(name), Some(chain)) = (
            rule["family"].as_str(),
            rule["table"].as_str(),
            rule["chain"].as_str(),
        ) else {
            continue;
        };
        let Some(table) = tables.get_mut(&(family, name)) else {
            continue;
        };
        let statements = rule["expr"].as_array();
        for parsed in rules(statements.map_or(&[], Vec::as_slice), packet, &table.sets) {
            table.chains.push(chain, parsed);
        }
    }
    let mut all = Vec::new();
    for ((family, name), table) in tables {
        // Of another family than the packet.
        if !matches!(family, "ip" | "inet") {
            continue;
        }
        for first in table.hooked {
            all.push(Hooked {
                place: format!("{family} {name} {first}"),
                chains: table.chains.clone(),
                first: first.to_owned(),
            });
        }
    }
    all
}

/// Returns what one rule does with the packet: more than one thing where it has a verdict
/// map.
fn rules(statements: &[Value], packet: &Packet, sets: &BTreeMap<&str, &Value>) -> Vec<Rule> {
    let mut applies = Truth::Yes;
    for statement in statements {
        let Some((kind, value)) = statement.as_object().and_then(|s| s.iter().next()) else {
            continue;
        };
        let action = match kind.as_str() {
            "match" => {
                applies = applies.and(holds(value, packet, sets));
                continue;
            }
            // What nft's own program cannot translate.
            "xt" | "limit" | "quota" | "ct count" | "meter" => {
                applies = applies.and(Truth::Perhaps);
                continue;
            }
            "vmap" => return of_map(value, applies, packet, sets),
            _ => verdict(statement),
        };
        if action != Action::Nothing {
            return vec![Rule { applies, action }];
        }
    }
    Vec::new()
}

fn verdict(statement: &Value) -> Action {
    let Some((kind, value)) = statement.as_object().and_then(|s| s.iter().next()) else {
        return Action::Nothing;
    };
    let to = || value["target"].as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "accept" => Action::Accept,
        "drop" | "reject" => Action::Drop,
        "return" => Action::Return,
        "jump" => Action::Jump(to()),
        "goto" => Action::Goto(to()),
        _ => Action::Nothing,
    }
}

/// Returns a rule for each entry of a verdict map.
fn of_map(
    map: &Value,
    applies: Truth,
    packet: &Packet,
    sets: &BTreeMap<&str, &Value>,
) -> Vec<Rule> {
    let data = &map["data"];
    let named = data.as_str().and_then(|name| name.strip_prefix('@'));
    let entries = match named {
        Some(name) => sets.get(name).and_then(|elements| elements.as_array()),
        None => data["set"].as_array(),
    };
    let entry = |entry: &Value| {
        let holds = compare(&map["key"], &entry[0], packet, sets);
        Rule {
            applies: applies.and(holds),
            action: verdict(&entry[1]),
        }
    };
    entries.into_iter().flatten().map(entry).collect()
}

/// Returns whether a comparison holds.
fn holds(comparison: &Value, packet: &Packet, sets: &BTreeMap<&str, &Value>) -> Truth {
    let found = compare(&comparison["left"], &comparison["right"], packet, sets);
    match comparison["op"].as_str() {
        Some("==" | "in") | None => found,
        Some("!=") => found.negated(true),
        Some(_) => match found {
            // Smaller and larger, of what the packet has not at all.
            Truth::No if is_foreign(&comparison["left"]) => Truth::No,
            _ => Truth::Perhaps,
        },
    }
}

/// Returns whether it is of a protocol that the packet is not of.
fn is_foreign(left: &Value) -> bool {
    let protocol = left["payload"]["protocol"].as_str();
    protocol.is_some_and(|p| !matches!(p, "ip" | "udp" | "th" | "ether"))
}

/// Returns whether a property of the packet has a value, or one of a set's.
fn compare(left: &Value, right: &Value, packet: &Packet, sets: &BTreeMap<&str, &Value>) -> Truth {
    if is_foreign(left) {
        return Truth::No;
    }
    if let Some(name) = right.as_str().and_then(|text| text.strip_prefix('@')) {
        return match sets.get(name).and_then(|elements| elements.as_array()) {
            Some(elements) => any(elements, |e| compare(left, e, packet, sets)),
            None => Truth::Perhaps,
        };
    }
    let list = right["set"].as_array().or_else(|| right.as_array());
    if let Some(list) = list {
        return any(list, |e| compare(left, e, packet, sets));
    }
    // An element with a comment, a counter or a timeout.
    let right = match right.get("elem") {
        Some(element) => &element["val"],
        None => right,
    };
    let (meta, ct) = (left["meta"]["key"].as_str(), left["ct"]["key"].as_str());
    let (protocol, field) = (
        left["payload"]["protocol"].as_str(),
        left["payload"]["field"].as_str(),
    );
    match (meta, ct, protocol, field) {
        (Some("l4proto"), ..) | (_, _, Some("ip"), Some("protocol")) => {
            one_of(right, &["udp", "17"])
        }
        (Some("nfproto"), ..) => one_of(right, &["ipv4", "2"]),
        (Some("protocol"), ..) | (_, _, Some("ether"), Some("type")) => one_of(right, &["ip", "8"]),
        (Some("iifname" | "iif"), ..) => right
            .as_str()
            .map_or(Truth::Perhaps, |link| packet.comes_by(link)),
        (Some("oifname" | "oif"), ..) => Truth::No,
        (Some("pkttype"), ..) => one_of(right, &["unicast", "host"]),
        (Some("mark"), ..) | (_, Some("mark"), ..) => one_of(right, &["0"]),
        (_, Some("state"), ..) => one_of(right, &["new"]),
        (_, Some("status"), ..) => Truth::No,
        (_, Some("direction"), ..) => one_of(right, &["original"]),
        (_, _, Some("udp" | "th"), Some("dport")) => number(right, packet.port.into()),
        (_, _, Some("udp" | "th"), Some("sport")) => number(right, Packet::FROM_PORT.into()),
        (_, _, Some("ip"), Some("saddr")) => address(right, Some(Packet::FROM)),
        (_, _, Some("ip"), Some("daddr")) => address(right, packet.to),
        _ if left["fib"]["result"].as_str() == Some("type") => one_of(right, &["local"]),
        _ => Truth::Perhaps,
    }
}

/// Returns whether one of them holds.
fn any(list: &[Value], holds: impl Fn(&Value) -> Truth) -> Truth {
    list.iter().map(holds).fold(Truth::No, |a, b| match (a, b) {
        (Truth::Yes, _) | (_, Truth::Yes) => Truth::Yes,
        (Truth::No, Truth::No) => Truth::No,
        _ => Truth::Perhaps,
    })
}

fn one_of(right: &Value, values: &[&str]) -> Truth {
    match right {
        Value::String(text) => Truth::of(values.contains(&text.as_str())),
        Value::Number(number) => Truth::of(values.contains(&number.to_string().as_str())),
        _ => Truth::Perhaps,
    }
}

fn number(right: &Value, value: u64) -> Truth {
    match (right.as_u64(), right["range"].as_array()) {
        (Some(one), _) => Truth::of(one == value),
        (_, Some(range)) => {
            let end = |n: usize| range.get(n).and_then(Value::as_u64);
            match (end(0), end(1)) {
                (Some(first), Some(last)) => Truth::of((first..=last).contains(&value)),
                _ => Truth::Perhaps,
            }
        }
        // The name of a service, of which none of ours has one.
        _ if right.is_string() => Truth::No,
        _ => Truth::Perhaps,
    }
}

fn address(right: &Value, value: Option<Ipv4Addr>) -> Truth {
    let Some(value) = value else {
        return Truth::Perhaps;
    };
    let parse = |v: &Value| v.as_str().and_then(|text| text.parse::<Ipv4Addr>().ok());
    if let Some(one) = parse(right) {
        return Truth::of(one == value);
    }
    let prefix = &right["prefix"];
    if let (Some(start), Some(length)) = (parse(&prefix["addr"]), prefix["len"].as_u64()) {
        let net = u8::try_from(length)
            .ok()
            .and_then(|l| Ipv4Net::new(start, l).ok());
        return net.map_or(Truth::Perhaps, |net| Truth::of(net.contains(&value)));
    }
    let range = right["range"].as_array();
    let end = |n: usize| range.and_then(|r| r.get(n)).and_then(parse);
    match (end(0), end(1)) {
        (Some(first), Some(last)) => Truth::of((first..=last).contains(&value)),
        _ => Truth::Perhaps,
    }
}
