//! Which host of the installation a request asks, and from where it comes.
//! Everything behind this relies on it: a host that is not ours gets no
//! further than a 421 (RFC 9110, 15.5.20).

use crate::{
    config::Base,
    web::{authority::Authority, errors},
};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
    middleware::Next,
    response::Response,
};
use domain::TenantName;
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

/// What does not change from request to request.
#[derive(Clone, Debug)]
pub struct Site {
    /// The installation's name on the web.
    pub base: Base,
    /// `http` or `https`, unless a trusted proxy says otherwise.
    pub scheme: &'static str,
    /// Whose `X-Forwarded-*` headers count.
    pub trusted_proxies: Vec<IpNet>,
}

/// The hosts of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `<base>`.
    Base,
    /// `<name>.<base>`.
    Tenant(TenantName),
    /// `<name>-dns.<base>`.
    Dns(TenantName),
    /// `admin.<base>`.
    Operator,
    /// `api.<base>`.
    Api,
}

/// Who asks what, as far as the head of the request tells.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The host.
    pub asked: Asked,
    /// The same, as the browser wrote it.
    pub authority: Authority,
    /// `http` or `https`, as the browser sees it.
    pub scheme: &'static str,
    /// The client's address.
    pub from: IpAddr,
}

impl Asked {
    /// Which host of the installation that is. Ports do not count: a tunnel
    /// or a proxy may change them, and the Origin check compares them.
    pub fn of(base: &Base, authority: &Authority) -> Option<Self> {
        if authority.host() == base.host() {
            return Some(Self::Base);
        }
        let sub = authority
            .host()
            .strip_suffix(base.host())?
            .strip_suffix('.')?;
        match sub {
            "admin" => Some(Self::Operator),
            "api" => Some(Self::Api),
            // A name has no dots, so one label only.
            _ => match sub.strip_suffix("-dns") {
                Some(name) => TenantName::parse(name).ok().map(Self::Dns),
                None => TenantName::parse(sub).ok().map(Self::Tenant),
            },
        }
    }
}

impl Site {
    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|n| n.contains(&address))
    }

    /// Reads the head of a request that came from `peer`.
    pub fn asking(&self, parts: &Parts, peer: IpAddr) -> Option<Asking> {
        let peer = peer.to_canonical();
        let trusted = self.trusts(peer);
        let forwarded = |name: &'static str| {
            let value = parts.headers.get(HeaderName::from_static(name));
            value.filter(|_| trusted).and_then(|v| v.to_str().ok())
        };
        let authority = match forwarded("x-forwarded-host") {
            // Each proxy appends; the nearest one's word is the last.
            Some(list) => Authority::parse(list.rsplit(',').next()?.trim())?,
            None => authority(parts)?,
        };
        let scheme = match forwarded("x-forwarded-proto").and_then(|l| l.rsplit(',').next()) {
            Some(s) if s.trim().eq_ignore_ascii_case("https") => "https",
            Some(s) if s.trim().eq_ignore_ascii_case("http") => "http",
            _ => self.scheme,
        };
        Some(Asking {
            asked: Asked::of(&self.base, &authority)?,
            authority,
            scheme,
            from: if trusted {
                self.client(&parts.headers, peer)
            } else {
                peer
            },
        })
    }

    /// The client behind our proxies: the last address in the list that is
    /// not one of theirs. What stands before it, the client may have written.
    fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let lists = headers.get_all("x-forwarded-for");
        let mut client = peer;
        let all: Vec<&str> = lists
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|l| l.split(','))
            .collect();
        for text in all.into_iter().rev() {
            let Ok(address) = text.trim().trim_matches(['[', ']']).parse::<IpAddr>() else {
                break;
            };
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    /// `http://<sub>.<base><path>`.
    pub fn url(&self, scheme: &str, sub: &str, path: &str) -> String {
        let dot = if sub.is_empty() { "" } else { "." };
        format!("{scheme}://{sub}{dot}{}{path}", self.base)
    }
}

/// The host a request names: exactly once, and the same everywhere it does
/// (RFC 9112, 3.2). A request that says two things is an attack on somebody.
fn authority(parts: &Parts) -> Option<Authority> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let header = match hosts.next() {
        Some(value) => Some(Authority::parse(value.to_str().ok()?)?),
        None => None,
    };
    if hosts.next().is_some() {
        return None;
    }
    let target = match parts.uri.authority() {
        Some(a) => Some(Authority::parse(a.as_str())?),
        None => None,
    };
    match (header, target) {
        (Some(h), Some(t)) if h != t => None,
        (h, t) => h.or(t),
    }
}

/// Finds the host out, for every request.
pub async fn find(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |c| c.0.ip());
    match site.asking(&parts, peer) {
        Some(asking) => {
            parts.extensions.insert(asking);
            next.run(Request::from_parts(parts, body)).await
        }
        None => unknown(&site),
    }
}

/// The page for a host that is not ours, or of nobody's.
pub fn unknown(site: &Site) -> Response {
    let home = site.url(site.scheme, "", "/");
    errors::page(
        StatusCode::MISDIRECTED_REQUEST,
        "Unknown address",
        &format!("This installation does not serve that address. It is at {home}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TenantName {
        TenantName::parse(text).unwrap()
    }

    fn site(trusted: &[&str]) -> Site {
        Site {
            base: Base::parse("localhost:8085").unwrap(),
            scheme: "http",
            trusted_proxies: trusted.iter().map(|t| t.parse().unwrap()).collect(),
        }
    }

    fn ask(headers: &[(&str, &str)], uri: &str, trusted: &[&str]) -> Option<Asking> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        site(trusted).asking(&parts, "127.0.0.1".parse().unwrap())
    }

    #[test]
    fn hosts_are_told_apart_and_everything_else_is_none_of_ours() {
        let base = Base::parse("maliknode.app").unwrap();
        let of = |text: &str| Authority::parse(text).and_then(|a| Asked::of(&base, &a));
        for (host, asked) in [
            ("maliknode.app", Asked::Base),
            ("maliknode.app:8443", Asked::Base),
            ("maliknode.app.", Asked::Base),
            ("MALIKNODE.App:", Asked::Base),
            ("abcd.maliknode.app", Asked::Tenant(name("abcd"))),
            ("ABCD.maliknode.app.:443", Asked::Tenant(name("abcd"))),
            ("abcd-dns.maliknode.app", Asked::Dns(name("abcd"))),
            ("a-b-dns.maliknode.app", Asked::Dns(name("a-b"))),
            ("admin.maliknode.app", Asked::Operator),
            ("api.maliknode.app", Asked::Api),
        ] {
            assert_eq!(of(host), Some(asked), "{host}");
        }
        for host in [
            "",
            ".",
            "maliknode.app..",
            ".maliknode.app",
            "evil.app",
            "xmaliknode.app",
            "maliknode.app.evil.example",
            "a.b.maliknode.app",
            "abcd.admin.maliknode.app",
            "ab.maliknode.app",
            "-dns.maliknode.app",
            "ab-dns.maliknode.app",
            "abcd-dns-dns.maliknode.app",
            "www.maliknode.app",
            "admin-dns.maliknode.app",
            "api-dns.maliknode.app",
            "xn--bcher-kva.maliknode.app",
            "bücher.maliknode.app",
            "ａbcd.maliknode.app",
            "abcd@maliknode.app",
            "abcd:pw@maliknode.app",
            "maliknode.app@evil.example",
            "maliknode.app:80:80",
            "maliknode.app:+80",
            "maliknode.app:99999",
            "maliknode.app/x",
            "maliknode.app\\x",
            "maliknode.app#",
            "abcd%2emaliknode.app",
            "abcd maliknode.app",
            "[::1]",
            "127.0.0.1:8085",
            "maliknode.app,evil.example",
        ] {
            assert_eq!(of(host), None, "{host}");
        }
        assert_eq!(of(&format!("{}.maliknode.app", "a".repeat(300))), None);
    }

    #[test]
    fn a_request_names_its_host_once() {
        let asked = |headers: &[(&str, &str)], uri: &str| ask(headers, uri, &[]).map(|a| a.asked);
        assert_eq!(asked(&[("host", "localhost:1")], "/"), Some(Asked::Base));
        assert_eq!(asked(&[], "/"), None, "no host at all");
        assert_eq!(
            asked(&[("host", "localhost"), ("host", "admin.localhost")], "/"),
            None
        );
        assert_eq!(
            asked(&[("host", "localhost")], "http://admin.localhost/"),
            None
        );
        assert_eq!(
            asked(&[("host", "admin.localhost")], "http://admin.localhost/"),
            Some(Asked::Operator)
        );
    }

    #[test]
    fn forwarded_headers_count_from_a_trusted_proxy_only() {
        let headers = [
            ("host", "localhost"),
            ("x-forwarded-host", "admin.localhost"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "198.51.100.7"),
        ];
        let plain = ask(&headers, "/", &[]).unwrap();
        assert_eq!((plain.asked, plain.scheme), (Asked::Base, "http"));
        assert_eq!(plain.from.to_string(), "127.0.0.1");
        let behind = ask(&headers, "/", &["127.0.0.0/8"]).unwrap();
        assert_eq!((behind.asked, behind.scheme), (Asked::Operator, "https"));
        assert_eq!(behind.from.to_string(), "198.51.100.7");
    }

    #[test]
    fn a_client_cannot_write_its_own_address() {
        let from = |list: &str| {
            let headers = [("host", "localhost"), ("x-forwarded-for", list)];
            ask(&headers, "/", &["127.0.0.0/8", "10.0.0.0/8"])
                .unwrap()
                .from
                .to_string()
        };
        assert_eq!(from("192.0.2.66, 198.51.100.7"), "198.51.100.7");
        assert_eq!(from("192.0.2.66, 198.51.100.7, 10.1.1.1"), "198.51.100.7");
        assert_eq!(from("192.0.2.66, nonsense"), "127.0.0.1");
        assert_eq!(from("::ffff:198.51.100.7"), "198.51.100.7");
        assert_eq!(from(""), "127.0.0.1");
    }
}
