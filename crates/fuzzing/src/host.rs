//! The head of a request: its Host, its target, what proxies in front say.
//! A line of the input each.
//!
//! - A host that is read reads the same again, and is a plain name.
//! - It is a tenant's only where it is exactly `<name>.<base>` or
//!   `<name>-dns.<base>` with a well-formed name.
//! - What a proxy would say changes nothing where no proxy is trusted, and a
//!   client is never an address that nobody named.
//! - An `Origin` is this host's only where scheme and host are the same.

use crate::names::is_name;
use axum::http::{HeaderName, HeaderValue, Request, request::Parts};
use server::{
    config::Base,
    web::{
        authority::Authority,
        host::{Asked, Asking, Site},
    },
};
use std::net::{IpAddr, Ipv4Addr};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

pub(crate) fn run(data: &[u8]) {
    let mut lines = data.split(|b| *b == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (hosts, target, forwarded, origin) = (
        [line(), line()],
        line(),
        [
            ("x-forwarded-host", line()),
            ("x-forwarded-proto", line()),
            ("x-forwarded-for", line()),
        ],
        line(),
    );
    for base in ["maliknode.app", "localhost:8085"] {
        let base = Base::parse(base).expect("a fixed base is one");
        let text = String::from_utf8_lossy(hosts[0]);
        if let Some(authority) = Authority::parse(&text) {
            authority_holds(&base, &authority, &String::from_utf8_lossy(origin));
        }
        let bare = head(hosts, target, &[]);
        let whole = head(hosts, target, &forwarded);
        if let (Some(bare), Some(whole)) = (bare, whole) {
            asking_holds(&base, &bare, &whole, &forwarded);
        }
    }
}

fn authority_holds(base: &Base, authority: &Authority, origin: &str) {
    let host = authority.host();
    let again = Authority::parse(&authority.to_string());
    assert_eq!(
        again.as_ref(),
        Some(authority),
        "another host when read again"
    );
    let plain = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    assert!((1..=253).contains(&host.len()) && host.bytes().all(plain));
    let below = |name: &str| host == format!("{name}.{}", base.host());
    match Asked::of(base, authority) {
        Some(Asked::Base) => assert_eq!(host, base.host()),
        Some(Asked::Operator) => assert!(below("admin")),
        Some(Asked::Api) => assert!(below("api")),
        Some(Asked::Tenant(name)) => assert!(is_name(name.as_str()) && below(name.as_str())),
        Some(Asked::Dns(name)) => {
            assert!(is_name(name.as_str()) && below(&format!("{name}-dns")));
        }
        None => assert_ne!(host, base.host()),
    }
    for scheme in ["http", "https"] {
        if authority.is_origin(scheme, origin) {
            let origin = origin.to_ascii_lowercase();
            let rest = origin
                .strip_prefix(scheme)
                .and_then(|o| o.strip_prefix("://"));
            let name = rest
                .unwrap_or_default()
                .split(':')
                .next()
                .unwrap_or_default();
            assert_eq!(name.strip_suffix('.').unwrap_or(name), host, "{origin}");
        }
    }
}

fn head(hosts: [&[u8]; 2], target: &[u8], forwarded: &[(&'static str, &[u8])]) -> Option<Parts> {
    let target = if target.is_empty() { b"/" } else { target };
    let mut request = Request::builder().uri(target);
    for host in hosts.iter().filter(|h| !h.is_empty()) {
        request = request.header("host", HeaderValue::from_bytes(host).ok()?);
    }
    for (name, value) in forwarded.iter().filter(|(_, v)| !v.is_empty()) {
        let value = HeaderValue::from_bytes(value).ok()?;
        request = request.header(HeaderName::from_static(name), value);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

fn asking_holds(base: &Base, bare: &Parts, whole: &Parts, forwarded: &[(&str, &[u8])]) {
    let site = |trusted: &[&str]| Site {
        base: base.clone(),
        scheme: "http",
        trusted_proxies: trusted.iter().filter_map(|t| t.parse().ok()).collect(),
    };
    let same = |a: &Option<Asking>| {
        a.as_ref()
            .map(|a| (a.asked.clone(), a.authority.clone(), a.scheme, a.from))
    };
    let alone = site(&[]).asking(bare, PEER);
    assert_eq!(same(&alone), same(&site(&[]).asking(whole, PEER)));
    assert!(alone.is_none_or(|a| a.from == PEER && a.scheme == "http"));
    if let Some(a) = site(&["192.0.2.0/24", "10.0.0.0/8"]).asking(whole, PEER) {
        assert_eq!(Asked::of(base, &a.authority).as_ref(), Some(&a.asked));
        let list = String::from_utf8_lossy(forwarded[2].1);
        let named = list.split(',').any(|t| {
            let t = t.trim().trim_matches(['[', ']']);
            t.parse::<IpAddr>()
                .is_ok_and(|t| t.to_canonical() == a.from)
        });
        assert!(a.from == PEER || named, "{} is nobody's", a.from);
    }
}
