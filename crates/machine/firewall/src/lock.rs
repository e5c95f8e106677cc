//! The rules for devices whose policy is a lock: their plain DNS is redirected to their
//! tenant's own resolver, and encrypted DNS is refused where its port or a known
//! resolver's address shows it. A resolver that is not on the list, and a VPN inside the
//! tunnel, get past.

use crate::model::{Rule, rule};
use provisioning::known_resolvers;

/// The ports of DNS over TLS and over QUIC (RFC 7858, RFC 9250), and the two that
/// resolvers used for QUIC before that had one (draft-ietf-dprive-dnsoquic-00).
const ENCRYPTED: &str = "{ 784, 853, 8853 }";

/// Returns the rules that a locked device's packets meet, of both families; `refuse` is what
/// happens to what it may not have.
pub(crate) fn rules(refuse: &str) -> Vec<Rule> {
    let ipv4: Vec<_> = known_resolvers::ipv4().iter().map(text).collect();
    let ipv6: Vec<_> = known_resolvers::ipv6().iter().map(text).collect();
    vec![
        rule(
            "meta l4proto { tcp, udp } th dport 53 accept",
            "DNS: it is redirected, or refused on its way out",
        ),
        rule(
            format!("meta l4proto {{ tcp, udp }} th dport {ENCRYPTED} {refuse}"),
            "DNS over TLS or QUIC",
        ),
        rule(
            format!(
                "ip daddr {{ {} }} meta l4proto {{ tcp, udp }} {refuse}",
                ipv4.join(", ")
            ),
            "a known resolver",
        ),
        rule(
            format!(
                "ip6 daddr {{ {} }} meta l4proto {{ tcp, udp }} {refuse}",
                ipv6.join(", ")
            ),
            "a known resolver, by IPv6",
        ),
    ]
}

/// Returns a network as nft writes it: a single address without its length.
fn text(network: &impl ToString) -> String {
    let text = network.to_string();
    let single = text.strip_suffix("/32").or(text.strip_suffix("/128"));
    single.unwrap_or(&text).to_owned()
}
