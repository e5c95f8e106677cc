//! Rules that a list shared by all tenants must not have (syntax:
//! `urlfilter/rules/{network,host}.go` of v0.23.4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses with which a line of a hosts file blocks a name.
const BLOCKING: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// Returns whether a rule does more than block a name for everybody, or permit it:
///
/// - `$dnsrewrite`, or a line of a hosts file with an address that is not one for
///   blocking: it would send every tenant to a server that the list's author chose;
/// - `$client` and `$ctag`: it would treat some tenants' devices differently;
/// - an exception (`@@…`) that is not for one name and what is below it: it could end
///   all filtering.
///
/// Exceptions for a name stay. Lists correct themselves and each other with them
/// (AdGuard's own has hundreds), and the worst they do is what a list without the rule
/// does: the name is not blocked.
pub(super) fn is_harmful(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let line = line.trim();
    is_redirecting_host(line) || is_wide_exception(line) || has_harmful_modifier(line)
}

/// Returns whether it is a line of a hosts file that gives a name a real address.
fn is_redirecting_host(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default();
    // A zone ("fe80::1%eth0") is part of an address in Go (`netip.ParseAddr`).
    let (address, zone) = first.split_once('%').unwrap_or((first, ""));
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    words.next().is_some() && !(zone.is_empty() && BLOCKING.contains(&address))
}

/// Returns whether it is an exception for anything but a name of two labels or more,
/// like `@@||ads.example^`.
fn is_wide_exception(line: &str) -> bool {
    let Some(rule) = line.strip_prefix("@@") else {
        return false;
    };
    let rule = rule.trim_start_matches('|');
    let name = rule.split(['^', '$', '|']).next().unwrap_or_default();
    let label = |l: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii();
        !l.is_empty() && l.chars().all(inner)
    };
    !(name.contains('.') && name.split('.').all(label))
}

/// Returns whether there is such a modifier. Where a value or a regular expression
/// only looks like one, the rule is left out too.
fn has_harmful_modifier(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    if line.contains("dnsrewrite") {
        return true;
    }
    let Some((_, modifiers)) = line.split_once('$') else {
        return false;
    };
    let mut modifiers = modifiers.split(['$', ',']).map(str::trim);
    modifiers.any(|m| matches!(m.split('=').next(), Some("client" | "ctag")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_redirect_or_single_out_are_harmful() {
        for line in [
            "203.0.113.9 bank.example",
            "  203.0.113.9\tbank.example # note",
            "::ffff:203.0.113.9 bank.example",
            "::ffff:0.0.0.0 bank.example",
            "fe80::1%eth0 bank.example",
            "::1%lo bank.example",
            "0.0.0.1 bank.example",
            "\u{a0}203.0.113.9 bank.example",
            "||bank.example^$dnsrewrite=203.0.113.9",
            "||bank.example^$dnsrewrite=NOERROR;A;203.0.113.9",
            "||bank.example^$important,dnsrewrite=evil.example",
            "@@||bank.example^$dnsrewrite",
            "||bank.example^$DNSREWRITE=203.0.113.9",
            "||ads.example^$client=10.88.7.2",
            "||ads.example^$important,client='a$b'",
            "||ads.example^$ctag=device_pc",
            "@@*$important",
            "@@||*^",
            "@@/.*/",
            "@@||example^$important",
            "@@.",
            "@@",
            "@@||ads.*^",
        ] {
            assert!(is_harmful(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn rules_that_block_or_permit_are_not() {
        for line in [
            "||ads.example^",
            "||ads.example^$important",
            "||ads.example^$dnstype=AAAA,denyallow=x.example",
            "||client.example^",
            "@@||ok.example^",
            "@@||ok.example^|",
            "@@||ok.example^$important",
            "@@|ok.example|",
            "@@ok.example",
            "0.0.0.0 ads.example other.example",
            "127.0.0.1 localhost",
            "::1 ads.example",
            ":: ads.example",
            "ads.example",
            "/banner[0-9]+$/",
            "203.0.113.9",
            "||203.0.113.9^",
        ] {
            assert!(!is_harmful(line.as_bytes()), "{line}");
        }
    }
}
