//! The head of a request: its Host, its target, and the headers of proxies. Each
//! is a line of the input.
//!
//! - An accepted host is a plain name, and is the same when it is read again.
//! - It is a tenant's only if it is exactly `<name>.<base>` or
//!   `<name>-dns.<base>` with a valid name.
//! - Forwarding headers change nothing without a trusted proxy, and the client's
//!   address is always the peer's or one of those in the header.
//! - An `Origin` matches this host only if scheme and host are the same.

use crate::names::is_name;
use axum::http::{HeaderName, HeaderValue, Request, request::Parts};
use server::{
    config::Base,
    web::{
        authority::Authority,
        hosts::{RequestInfo, Site, VirtualHost},
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
        let base = Base::parse(base).expect("a fixed base is valid");
        let text = String::from_utf8_lossy(hosts[0]);
        if let Some(authority) = Authority::parse(&text) {
            authority_holds(&base, &authority, &String::from_utf8_lossy(origin));
        }
        let bare = head(hosts, target, &[]);
        let proxied = head(hosts, target, &forwarded);
        if let (Some(bare), Some(proxied)) = (bare, proxied) {
            request_info_holds(&base, &bare, &proxied, &forwarded);
        }
    }
}

fn authority_holds(base: &Base, authority: &Authority, origin: &str) {
    let host = authority.host();
    let again = Authority::parse(&authority.to_string());
    assert_eq!(
        again.as_ref(),
        Some(authority),
        "another host when it is read again"
    );
    let plain = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    assert!((1..=253).contains(&host.len()) && host.bytes().all(plain));
    let below = |name: &str| host == format!("{name}.{}", base.host());
    match VirtualHost::resolve(base, authority) {
        Some(VirtualHost::Base) => assert_eq!(host, base.host()),
        Some(VirtualHost::Operator) => assert!(below("admin")),
        Some(VirtualHost::Api) => assert!(below("api")),
        Some(VirtualHost::Tenant(name)) => assert!(is_name(name.as_str()) && below(name.as_str())),
        Some(VirtualHost::Dns(name)) => {
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

fn request_info_holds(base: &Base, bare: &Parts, proxied: &Parts, forwarded: &[(&str, &[u8])]) {
    let site = |trusted: &[&str]| Site {
        forwarded_host: true,
        base: base.clone(),
        scheme: "http",
        trusted_proxies: trusted.iter().filter_map(|t| t.parse().ok()).collect(),
        cors_origins: Vec::new(),
        operator_from: Vec::new(),
        privacy_notice: None,
    };
    let same = |a: &Option<RequestInfo>| {
        a.as_ref()
            .map(|a| (a.host.clone(), a.authority.clone(), a.scheme, a.client))
    };
    let alone = site(&[]).request_info(bare, PEER);
    assert_eq!(same(&alone), same(&site(&[]).request_info(proxied, PEER)));
    assert!(alone.is_none_or(|a| a.client == PEER && a.scheme == "http"));
    if let Some(a) = site(&["192.0.2.0/24", "10.0.0.0/8"]).request_info(proxied, PEER) {
        assert_eq!(
            VirtualHost::resolve(base, &a.authority).as_ref(),
            Some(&a.host)
        );
        let list = String::from_utf8_lossy(forwarded[2].1);
        let named = list.split(',').any(|t| {
            let t = t.trim().trim_matches(['[', ']']);
            t.parse::<IpAddr>()
                .is_ok_and(|t| t.to_canonical() == a.client)
        });
        assert!(
            a.client == PEER || named,
            "{} is not in the header",
            a.client
        );
    }
}
