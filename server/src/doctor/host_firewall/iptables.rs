//! The chains of iptables, from `iptables -S` (iptables(8), iptables-extensions(8)).

use super::{
    packet::{Packet, Truth},
    walk::{Action, Chains, Hooked, Rule},
};
use ipnet::Ipv4Net;

/// Where packets to this host begin.
pub(super) const PLACE: &str = "iptables INPUT";
const FIRST: &str = "INPUT";

/// Returns the chain INPUT; `None` where the dump has none.
pub(super) fn input(dump: &str, packet: &Packet) -> Option<Hooked> {
    let mut chains = Chains::default();
    let mut has_input = false;
    for line in dump.lines() {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["-P", chain, policy] => {
                has_input |= *chain == FIRST;
                chains.add(chain);
                if *policy == "DROP" {
                    chains.drop_by_policy(chain);
                }
            }
            ["-N", chain] => chains.add(chain),
            ["-A", chain, rest @ ..] => chains.push(chain, rule(rest, packet)),
            _ => {}
        }
    }
    has_input.then(|| Hooked {
        place: PLACE.to_owned(),
        chains,
        first: FIRST.to_owned(),
    })
}

/// Splits a line into its words; a quoted one may have spaces.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut is_quoted, mut is_escaped) = (false, false);
    for c in line.chars() {
        match c {
            _ if is_escaped => {
                word.push(c);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|w| !w.is_empty());
    words
}

/// Parses a rule behind its chain.
fn rule(words: &[&str], packet: &Packet) -> Rule {
    let mut applies = Truth::Yes;
    let mut action = Action::Nothing;
    let mut negated = false;
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().unwrap_or_default();
        let holds = match word {
            "!" => {
                negated = true;
                continue;
            }
            "-j" => {
                action = target(value());
                // Its own options follow.
                break;
            }
            "-g" => {
                action = Action::Goto(value().to_owned());
                break;
            }
            "-p" => Truth::of(matches!(value(), "udp" | "17" | "all" | "0")),
            "-s" | "--source" => contains(value(), Some(Packet::FROM)),
            "-d" | "--destination" => contains(value(), packet.to),
            "-i" => packet.comes_by(value()),
            "-o" => Truth::No,
            // The options of a module follow its name.
            "-m" => match value() {
                "comment" | "udp" | "conntrack" | "state" | "multiport" | "addrtype" | "mark"
                | "pkttype" => Truth::Yes,
                "tcp" | "icmp" | "sctp" => Truth::No,
                _ => Truth::Perhaps,
            },
            "--comment" => {
                value();
                Truth::Yes
            }
            "--dport" | "--dports" | "--destination-ports" => has_port(value(), packet.port),
            "--sport" | "--sports" | "--source-ports" => has_port(value(), Packet::FROM_PORT),
            "--ctstate" | "--state" => Truth::of(value().split(',').any(|state| state == "NEW")),
            "--dst-type" => Truth::of(value() == "LOCAL"),
            "--src-type" => Truth::of(value() == "UNICAST"),
            "--pkt-type" => Truth::of(value() == "unicast"),
            "--mark" => Truth::of(value().split('/').next().is_some_and(|m| m == "0x0")),
            "--icmp-type" | "--tcp-flags" => Truth::No,
            _ => Truth::Perhaps,
        };
        applies = applies.and(holds.negated(std::mem::take(&mut negated)));
    }
    Rule { applies, action }
}

fn target(name: &str) -> Action {
    match name {
        "ACCEPT" => Action::Accept,
        "DROP" | "REJECT" => Action::Drop,
        "RETURN" => Action::Return,
        "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "TRACE" | "SET" | "AUDIT" | "ULOG" => {
            Action::Nothing
        }
        chain => Action::Jump(chain.to_owned()),
    }
}

fn contains(range: &str, address: Option<std::net::Ipv4Addr>) -> Truth {
    let range = match range.parse::<Ipv4Net>() {
        Ok(range) => Some(range),
        Err(_) => range.parse().ok().and_then(|a| Ipv4Net::new(a, 32).ok()),
    };
    match (range, address) {
        (Some(range), Some(address)) => Truth::of(range.contains(&address)),
        _ => Truth::Perhaps,
    }
}

/// Returns whether `51820,51830:51840` has the port.
fn has_port(list: &str, port: u16) -> Truth {
    let has = |part: &str| {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let range = first.parse().unwrap_or(0)..=last.parse().unwrap_or(u16::MAX);
        range.contains(&port)
    };
    Truth::of(list.split(',').any(has))
}
