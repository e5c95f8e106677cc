//! Rules as the programs themselves write them, seen in a network namespace of Debian 12
//! (iptables 1.8.9, nft 1.0.6), and Oracle Cloud's as its images have them.

use super::*;
use crate::doctor::report::State;
use serde_json::{Value, json};

fn packet(port: u16) -> Packet {
    Packet {
        port,
        link: "eth0".to_owned(),
        to: "203.0.113.7".parse().ok(),
    }
}

fn checked(dumps: &Dumps) -> Check {
    judge(|port| dumps.hooked(&packet(port)), &PORTS)
}

fn of_iptables(dump: &str) -> Check {
    checked(&Dumps {
        nft: None,
        shows_iptables: true,
        iptables: vec![dump.to_owned()],
    })
}

fn of_nft(nft: Value) -> Check {
    checked(&Dumps {
        nft: Some(nft),
        shows_iptables: false,
        iptables: vec![],
    })
}

/// Returns who drops, and the command that opens.
fn shut_by(check: &Check) -> Option<(&str, &str)> {
    match (&check.message, &check.fix) {
        (Message::HostFirewallShut { by, .. }, Some(Message::FixHostFirewall { command })) => {
            Some((by, command))
        }
        _ => None,
    }
}

const ORACLE: &str = "-P INPUT ACCEPT
-P FORWARD ACCEPT
-P OUTPUT ACCEPT
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p udp -m udp --sport 123 -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
";

const UFW: &str = "-P INPUT DROP
-P FORWARD DROP
-P OUTPUT ACCEPT
-N ufw-after-input
-N ufw-before-input
-N ufw-logging-deny
-N ufw-not-local
-N ufw-reject-input
-N ufw-skip-to-policy-input
-N ufw-track-input
-N ufw-user-input
-A INPUT -j ufw-before-logging-input
-A INPUT -j ufw-before-input
-A INPUT -j ufw-after-input
-A INPUT -j ufw-reject-input
-A INPUT -j ufw-track-input
-A ufw-after-input -p udp -m udp --dport 137 -j ufw-skip-to-policy-input
-A ufw-after-input -m addrtype --dst-type BROADCAST -j ufw-skip-to-policy-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j ufw-logging-deny
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT
-A ufw-before-input -j ufw-not-local
-A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-logging-deny -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix \"[UFW BLOCK] \"
-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN
-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN
-A ufw-not-local -j DROP
-A ufw-skip-to-policy-input -j DROP
-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT
";

#[test]
fn oracles_reject_in_input_is_found() {
    let found = of_iptables(ORACLE);
    let (by, command) = shut_by(&found).unwrap();
    assert_eq!((found.state, by), (State::Bad, "iptables"));
    assert!(command.starts_with("iptables -I INPUT 1 -p udp --dport 51800:52800 -j ACCEPT"));
    let open = ORACLE.replacen(
        "-A INPUT",
        "-A INPUT -p udp -m udp --dport 51800:52800 -j ACCEPT\n-A INPUT",
        1,
    );
    assert_eq!(of_iptables(&open).state, State::Ok);
    // One port is not all of them.
    let one = open.replace("51800:52800", "51821");
    assert!(shut_by(&of_iptables(&one)).is_some());
    let listed = open.replace("-m udp --dport", "-m multiport --dports 22,");
    let listed = listed.replace(", 51800", ",51800");
    assert_eq!(of_iptables(&listed).state, State::Ok);
}

#[test]
fn a_ufw_that_is_on_is_found() {
    let found = of_iptables(UFW);
    let expected = ("ufw", "ufw allow 51800:52800/udp");
    assert_eq!(shut_by(&found), Some(expected));
    let allowed =
        format!("{UFW}-A ufw-user-input -p udp -m multiport --dports 51800:52800 -j ACCEPT\n");
    assert_eq!(of_iptables(&allowed).state, State::Ok);
}

#[test]
fn what_is_not_understood_raises_no_alarm() {
    for open in [
        "-P INPUT ACCEPT\n",
        "",
        // From some countries.
        "-P INPUT DROP\n-A INPUT -m set --match-set home src -j ACCEPT\n",
        // Some are blocked.
        "-P INPUT ACCEPT\n-A INPUT -m set --match-set blocked src -j DROP\n-A INPUT -s 192.0.2.0/24 -j DROP\n",
        "-P INPUT ACCEPT\n-A INPUT -i eth1 -j DROP\n-A INPUT -p tcp -j DROP\n",
        "-P INPUT DROP\n-A INPUT ! -i eth1 -p udp -j ACCEPT\n",
        "-P INPUT DROP\n-A INPUT -m comment --comment \"a b -j DROP\" -j ACCEPT\n",
    ] {
        assert_eq!(of_iptables(open).state, State::Ok, "{open}");
    }
}

fn table(name: &str, policy: &str, rules: &[Value]) -> Value {
    let mut objects = vec![
        json!({"metainfo": {"json_schema_version": 1}}),
        json!({"table": {"family": "inet", "name": name, "handle": 1}}),
        json!({"set": {"family": "inet", "name": "open", "table": name, "type": "inet_service",
            "flags": ["interval"], "elem": [{"range": [51800, 52800]}]}}),
        json!({"chain": {"family": "inet", "table": name, "name": "input", "handle": 1,
            "type": "filter", "hook": "input", "prio": 0, "policy": policy}}),
        json!({"chain": {"family": "inet", "table": name, "name": "public", "handle": 2}}),
    ];
    for (chain, expressions) in rules.iter().map(|r| (&r[0], &r[1])) {
        objects.push(
            json!({"rule": {"family": "inet", "table": name, "chain": chain,
            "handle": 5, "expr": expressions}}),
        );
    }
    json!({ "nftables": objects })
}

/// What most rule sets begin with.
fn usual() -> Vec<Value> {
    vec![
        json!(["input", [{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [
            ["invalid", {"drop": null}], ["established", {"accept": null}], ["related", {"accept": null}]]}}}]]),
        json!(["input", [{"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}}, {"accept": null}]]),
        json!(["input", [{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}, {"accept": null}]]),
        json!(["input", [{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": ["icmp", "ipv6-icmp"]}}}, {"accept": null}]]),
        json!(["input", [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [22, 80, 443]}}}, {"accept": null}]]),
        json!(["input", [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}}, {"accept": null}]]),
        json!(["input", [{"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": [
            ["lo", {"accept": null}], ["eth0", {"jump": {"target": "public"}}]]}}}]]),
    ]
}

#[test]
fn a_plain_policy_of_nft_is_found() {
    let found = of_nft(table("filter", "drop", &usual()));
    let expected = (
        "nftables",
        "nft insert rule inet filter input udp dport 51800-52800 accept",
    );
    assert_eq!(shut_by(&found), Some(expected));
    assert_eq!(of_nft(table("filter", "accept", &usual())).state, State::Ok);
    for right in [
        json!({"range": [51800, 52800]}),
        json!("@open"),
        json!({"set": [53, {"range": [50000, 60000]}]}),
    ] {
        let mut rules = usual();
        let left = json!({"payload": {"protocol": "udp", "field": "dport"}});
        rules.push(json!(["public", [{"match": {"op": "==", "left": left, "right": right}}, {"accept": null}]]));
        let open = of_nft(table("filter", "drop", &rules));
        assert_eq!(open.state, State::Ok, "{right}");
    }
}

#[test]
fn firewalld_that_rejects_is_found() {
    let mut rules = usual();
    rules.push(json!(["input", [{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}]]));
    let found = of_nft(table("firewalld", "accept", &rules));
    let (by, command) = shut_by(&found).unwrap();
    assert_eq!(by, "firewalld");
    assert!(command.contains("--add-port=51800-52800/udp"));
}

#[test]
fn our_own_table_raises_no_alarm() {
    let rules = [json!(["input", [{"drop": null}]])];
    for ours in OURS {
        assert_eq!(of_nft(table(ours, "drop", &rules)).state, State::Ok);
    }
}
