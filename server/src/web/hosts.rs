//! Determines the host of the installation to which a request is addressed, and the
//! client that sent it. Everything behind this relies on it: a request to any other
//! host is answered with a 421 (RFC 9110, 15.5.20).

use crate::{
    config::Base,
    web::{authority::Authority, errors, host_label::HostLabel},
};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
    middleware::Next,
    response::Response,
};
use domain::{ErrorCode, Failure, Message, TenantName};
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Once},
};

/// The installation's addresses, the same for every request.
#[derive(Clone, Debug)]
pub struct Site {
    /// The installation's name on the web.
    pub base: Base,
    /// `http` or `https`, unless a trusted proxy says otherwise.
    pub scheme: &'static str,
    /// The proxies whose `X-Forwarded-*` headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether a trusted proxy's `X-Forwarded-Host` says which host is meant. Otherwise `Host`
    /// does alone: many proxies pass that header on as the visitor wrote it.
    pub forwarded_host: bool,
    /// The origins whose pages may call the REST interface.
    pub cors_origins: Vec<String>,
    /// Where operators are answered from; empty for all.
    pub operator_from: Vec<IpNet>,
    /// The address of the operator's own privacy notice.
    pub privacy_notice: Option<String>,
}

/// The hosts of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VirtualHost {
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

/// What the head of a request says about its host and its client.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    pub host: VirtualHost,
    /// The host as the browser wrote it.
    pub authority: Authority,
    /// `http` or `https`, as the browser sees it.
    pub scheme: &'static str,
    pub client: IpAddr,
}

impl VirtualHost {
    /// Returns which host of the installation this is. Ports are ignored: a tunnel
    /// or a proxy may change them, and the Origin check compares them.
    pub fn resolve(base: &Base, authority: &Authority) -> Option<Self> {
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
            // A tenant's name has no dots, so this is one label.
            _ => match sub.strip_suffix("-dns") {
                Some(name) => TenantName::parse(name).ok().map(Self::Dns),
                None => TenantName::parse(sub).ok().map(Self::Tenant),
            },
        }
    }
}

impl VirtualHost {
    /// Returns the kind of host, without a name.
    pub const fn label(&self) -> HostLabel {
        HostLabel(match self {
            Self::Base => "base",
            Self::Tenant(_) => "tenant",
            Self::Dns(_) => "dns",
            Self::Operator => "admin",
            Self::Api => "api",
        })
    }
}

impl Site {
    /// Returns whether this is a proxy whose headers are trusted.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|n| n.contains(&address))
    }

    /// Returns whether operators are answered at this address.
    pub fn answers_operators(&self, client: IpAddr) -> bool {
        let ranges = &self.operator_from;
        ranges.is_empty() || ranges.iter().any(|range| range.contains(&client))
    }

    /// Reads the head of a request from `peer`. Returns `None` where it names no host
    /// of the installation.
    pub fn request_info(&self, parts: &Parts, peer: IpAddr) -> Option<RequestInfo> {
        let peer = peer.to_canonical();
        let trusted = self.trusts(peer);
        let forwarded = |name: &'static str| {
            let value = parts.headers.get(HeaderName::from_static(name));
            value.filter(|_| trusted).and_then(|v| v.to_str().ok())
        };
        let named = forwarded("x-forwarded-host").filter(|_| self.forwarded_host);
        let authority = match named {
            // Each proxy appends, so the nearest proxy wrote the last value.
            Some(list) => Authority::parse(list.rsplit(',').next()?.trim())?,
            None => authority(parts)?,
        };
        let scheme = match forwarded("x-forwarded-proto").and_then(|l| l.rsplit(',').next()) {
            Some(s) if s.trim().eq_ignore_ascii_case("https") => {
                self.warn_of_scheme();
                "https"
            }
            Some(s) if s.trim().eq_ignore_ascii_case("http") => "http",
            _ => self.scheme,
        };
        Some(RequestInfo {
            host: VirtualHost::resolve(&self.base, &authority)?,
            authority,
            scheme,
            client: if trusted {
                self.client(&parts.headers, peer)
            } else {
                peer
            },
        })
    }

    /// Returns the client behind our proxies: the last address in the list that is
    /// not a proxy's. The client may have written what is before it.
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

    /// Warns once where a proxy terminates TLS and `scheme` does not say so: cookies are not
    /// marked Secure then.
    fn warn_of_scheme(&self) {
        static WARNED: Once = Once::new();
        if self.scheme == "http" && !self.base.is_local() {
            WARNED.call_once(|| {
                let problem = Message::SchemeBehindTls;
                tracing::warn!("{}", texts::english().message(&problem));
            });
        }
    }

    /// Returns `http://<sub>.<base><path>`.
    pub fn url(&self, scheme: &str, sub: &str, path: &str) -> String {
        let dot = if sub.is_empty() { "" } else { "." };
        format!("{scheme}://{sub}{dot}{}{path}", self.base)
    }
}

/// Returns the host that a request names. It must have at most one `Host` header,
/// and the header must agree with the request's target (RFC 9112, 3.2): a request
/// with two different hosts is an attack.
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

/// Adds a [`RequestInfo`] to every request.
pub async fn resolve_host(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |c| c.0.ip());
    match site.request_info(&parts, peer) {
        Some(info)
            if info.host == VirtualHost::Operator && !site.answers_operators(info.client) =>
        {
            not_from_here(info.client)
        }
        Some(info) => {
            let label = info.host.label();
            parts.extensions.insert(info);
            let mut response = next.run(Request::from_parts(parts, body)).await;
            response.extensions_mut().insert(label);
            response
        }
        None => unknown_host(&site),
    }
}

/// Refuses an operator at another address than `operator_from` names. The first one is
/// logged, so that the reason is found.
fn not_from_here(client: IpAddr) -> Response {
    static LOGGED: Once = Once::new();
    LOGGED.call_once(|| {
        tracing::info!(from = %client, "operators are not answered at this address (operator_from); said once");
    });
    let message = Message::OperatorAddress;
    errors::failure(&Failure::new(ErrorCode::NotPermitted, message))
}

/// Returns the page for a host that is not ours, or that no tenant has.
pub fn unknown_host(site: &Site) -> Response {
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
            forwarded_host: false,
            cors_origins: Vec::new(),
            operator_from: Vec::new(),
            privacy_notice: None,
        }
    }

    fn info_at(site: &Site, headers: &[(&str, &str)], uri: &str) -> Option<RequestInfo> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        site.request_info(&parts, "127.0.0.1".parse().unwrap())
    }

    fn info(headers: &[(&str, &str)], uri: &str, trusted: &[&str]) -> Option<RequestInfo> {
        info_at(&site(trusted), headers, uri)
    }

    #[test]
    fn operators_are_answered_in_their_ranges() {
        let answers = |ranges: &[&str], client: &str| {
            let site = Site {
                operator_from: ranges.iter().map(|r| r.parse().unwrap()).collect(),
                ..site(&[])
            };
            site.answers_operators(client.parse().unwrap())
        };
        assert!(answers(&[], "203.0.113.7"));
        let ranges = ["10.0.0.0/8", "2001:db8::/32"];
        for client in ["10.1.2.3", "2001:db8:1::7"] {
            assert!(answers(&ranges, client), "{client}");
        }
        for client in ["203.0.113.7", "2001:db9::1", "::1"] {
            assert!(!answers(&ranges, client), "{client}");
        }
    }

    #[test]
    fn only_hosts_of_the_installation_are_resolved() {
        let base = Base::parse("maliknode.app").unwrap();
        let of = |text: &str| Authority::parse(text).and_then(|a| VirtualHost::resolve(&base, &a));
        for (host, expected) in [
            ("maliknode.app", VirtualHost::Base),
            ("maliknode.app:8443", VirtualHost::Base),
            ("maliknode.app.", VirtualHost::Base),
            ("MALIKNODE.App:", VirtualHost::Base),
            ("abcd.maliknode.app", VirtualHost::Tenant(name("abcd"))),
            ("ABCD.maliknode.app.:443", VirtualHost::Tenant(name("abcd"))),
            ("abcd-dns.maliknode.app", VirtualHost::Dns(name("abcd"))),
            ("a-b-dns.maliknode.app", VirtualHost::Dns(name("a-b"))),
            ("admin.maliknode.app", VirtualHost::Operator),
            ("api.maliknode.app", VirtualHost::Api),
        ] {
            assert_eq!(of(host), Some(expected), "{host}");
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
        let host = |headers: &[(&str, &str)], uri: &str| info(headers, uri, &[]).map(|i| i.host);
        assert_eq!(
            host(&[("host", "localhost:1")], "/"),
            Some(VirtualHost::Base)
        );
        assert_eq!(host(&[], "/"), None, "no host at all");
        assert_eq!(
            host(&[("host", "localhost"), ("host", "admin.localhost")], "/"),
            None
        );
        assert_eq!(
            host(&[("host", "localhost")], "http://admin.localhost/"),
            None
        );
        assert_eq!(
            host(&[("host", "admin.localhost")], "http://admin.localhost/"),
            Some(VirtualHost::Operator)
        );
    }

    #[test]
    fn only_a_trusted_proxys_headers_are_used() {
        let headers = [
            ("host", "localhost"),
            ("x-forwarded-host", "admin.localhost"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "198.51.100.7"),
        ];
        let plain = info(&headers, "/", &[]).unwrap();
        assert_eq!((plain.host, plain.scheme), (VirtualHost::Base, "http"));
        assert_eq!(plain.client.to_string(), "127.0.0.1");
        let behind = info(&headers, "/", &["127.0.0.0/8"]).unwrap();
        assert_eq!((behind.host, behind.scheme), (VirtualHost::Base, "https"));
        assert_eq!(behind.client.to_string(), "198.51.100.7");
    }

    #[test]
    fn a_setting_lets_a_proxy_name_the_host() {
        let headers = [
            ("host", "localhost"),
            ("x-forwarded-host", "mallory.localhost, admin.localhost"),
        ];
        let host = |trusted: &[&str], forwarded_host| {
            let site = Site {
                forwarded_host,
                ..site(trusted)
            };
            info_at(&site, &headers, "/").unwrap().host
        };
        assert_eq!(host(&["127.0.0.0/8"], false), VirtualHost::Base);
        assert_eq!(host(&["127.0.0.0/8"], true), VirtualHost::Operator);
        assert_eq!(host(&[], true), VirtualHost::Base, "it is not trusted");
    }

    #[test]
    fn a_client_cannot_choose_its_address() {
        let client = |list: &str| {
            let headers = [("host", "localhost"), ("x-forwarded-for", list)];
            info(&headers, "/", &["127.0.0.0/8", "10.0.0.0/8"])
                .unwrap()
                .client
                .to_string()
        };
        assert_eq!(client("192.0.2.66, 198.51.100.7"), "198.51.100.7");
        assert_eq!(client("192.0.2.66, 198.51.100.7, 10.1.1.1"), "198.51.100.7");
        assert_eq!(client("192.0.2.66, nonsense"), "127.0.0.1");
        assert_eq!(client("::ffff:198.51.100.7"), "198.51.100.7");
        assert_eq!(client(""), "127.0.0.1");
    }
}
