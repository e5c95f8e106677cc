//! The requests that a tenant's browser may send to AdGuard Home. It is a list of
//! what is allowed, not of what is forbidden: the image is pinned, so the list is
//! complete (`internal/**/*.go` of v0.107.79, every `Register` of a route), and
//! what a later version adds stays closed until it is reviewed.
//!
//! A path is compared and forwarded unchanged. A path that could be read in two
//! ways (encoded, doubled slashes, dots) is refused, so the comparison cannot be
//! bypassed.

use super::bodies::Body;
use axum::http::Method;

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it with its body unchanged.
    Forward,
    /// Forward it with its body parsed and rewritten.
    Check(Body),
    /// Sign out of this host.
    SignOut,
    /// Redirect to the first page: AdGuard Home's own sign-in is not used.
    ToStart,
    /// Refuse it with a message.
    Refuse(&'static str),
}

const NOT_CANONICAL: &str = "That address is not written the plain way.";
const NOT_SERVED: &str = "MalikNode does not serve that part of AdGuard Home.";
const MANAGED: &str = "MalikNode takes care of this setting itself.";

/// The longest path that is allowed.
const MAX_PATH: usize = 256;

/// The allowed calls below `/control/`, as method and path.
const API: &[(&str, &str)] = &[
    ("GET", "access/list"),
    ("POST", "access/set"),
    ("GET", "blocked_services/all"),
    ("GET", "blocked_services/get"),
    ("GET", "blocked_services/list"),
    ("GET", "blocked_services/services"),
    ("POST", "blocked_services/set"),
    ("PUT", "blocked_services/update"),
    ("POST", "cache_clear"),
    ("GET", "clients"),
    ("POST", "clients/add"),
    ("POST", "clients/delete"),
    ("GET", "clients/find"),
    ("POST", "clients/search"),
    ("POST", "clients/update"),
    ("POST", "dns_config"),
    ("GET", "dns_info"),
    ("POST", "filtering/add_url"),
    ("GET", "filtering/check_host"),
    ("POST", "filtering/config"),
    ("POST", "filtering/refresh"),
    ("POST", "filtering/remove_url"),
    ("POST", "filtering/set_rules"),
    ("POST", "filtering/set_url"),
    ("GET", "filtering/status"),
    ("POST", "i18n/change_language"),
    ("GET", "i18n/current_language"),
    ("POST", "parental/disable"),
    ("POST", "parental/enable"),
    ("GET", "parental/status"),
    ("GET", "profile"),
    ("PUT", "profile/update"),
    ("POST", "protection"),
    ("GET", "querylog"),
    ("GET", "querylog/config"),
    ("PUT", "querylog/config/update"),
    ("POST", "querylog_clear"),
    ("GET", "querylog_info"),
    ("POST", "rewrite/add"),
    ("POST", "rewrite/delete"),
    ("GET", "rewrite/list"),
    ("GET", "rewrite/settings"),
    ("PUT", "rewrite/settings/update"),
    ("PUT", "rewrite/update"),
    ("POST", "safebrowsing/disable"),
    ("POST", "safebrowsing/enable"),
    ("GET", "safebrowsing/status"),
    ("POST", "safesearch/disable"),
    ("POST", "safesearch/enable"),
    ("PUT", "safesearch/settings"),
    ("GET", "safesearch/status"),
    ("GET", "stats"),
    ("GET", "stats/config"),
    ("PUT", "stats/config/update"),
    ("GET", "stats_info"),
    ("POST", "stats_reset"),
    ("GET", "status"),
    ("POST", "test_upstream_dns"),
    ("GET", "tls/status"),
    // Always answers "disabled": the container runs with --no-check-update.
    ("GET", "version.json"),
    ("POST", "version.json"),
];

/// Decides about a request by its method and the path of its URI.
pub fn judge(method: &Method, path: &str) -> Verdict {
    if !is_canonical(path) {
        return Verdict::Refuse(NOT_CANONICAL);
    }
    // AdGuard Home's names are in lower case. Another spelling is not one of its
    // names, but must not pass the comparison as "not the API" either.
    let lower = path.to_ascii_lowercase();
    let first = lower[1..].split('/').next().unwrap_or_default();
    match first {
        "control" => judge_api(method, path),
        "login.html" => Verdict::ToStart,
        "install.html" | "install" | "dns-query" | "apple" | "debug" | "resolve" => {
            Verdict::Refuse(NOT_SERVED)
        }
        // Pages, scripts, styles and images.
        _ if matches!(*method, Method::GET | Method::HEAD) => Verdict::Forward,
        _ => Verdict::Refuse(NOT_SERVED),
    }
}

fn judge_api(method: &Method, path: &str) -> Verdict {
    let Some(call) = path.strip_prefix("/control/") else {
        return Verdict::Refuse(NOT_SERVED);
    };
    match (method.as_str(), call) {
        ("GET" | "POST", "logout") => return Verdict::SignOut,
        ("POST", "login") => return Verdict::ToStart,
        (_, "update") => return Verdict::Refuse(MANAGED),
        _ if ["tls/", "dhcp/"].iter().any(|p| call.starts_with(p)) && call != "tls/status" => {
            return Verdict::Refuse(MANAGED);
        }
        _ => {}
    }
    if !API.contains(&(method.as_str(), call)) {
        return Verdict::Refuse(NOT_SERVED);
    }
    match call {
        "filtering/add_url" => Verdict::Check(Body::AddUrl),
        "filtering/set_url" => Verdict::Check(Body::SetUrl),
        "dns_config" => Verdict::Check(Body::DnsConfig),
        "querylog/config/update" => Verdict::Check(Body::QueryLog),
        _ => Verdict::Forward,
    }
}

/// Returns whether a path can be read in one way only.
fn is_canonical(path: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'/' | b'.' | b'-' | b'_' | b'~');
    path.len() <= MAX_PATH
        && path.bytes().all(plain)
        && path.strip_prefix('/').is_some_and(|rest| {
            rest.is_empty() || rest.split('/').all(|s| !matches!(s, "" | "." | ".."))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uis_requests_are_forwarded() {
        for path in [
            "/",
            "/index.html",
            "/main.3f9a.js",
            "/assets/favicon.png",
            "/control/status",
            "/control/tls/status",
        ] {
            assert_eq!(judge(&Method::GET, path), Verdict::Forward, "{path}");
        }
        for (method, path, verdict) in [
            (Method::POST, "/control/clients/add", Verdict::Forward),
            (Method::PUT, "/control/profile/update", Verdict::Forward),
            (
                Method::POST,
                "/control/filtering/add_url",
                Verdict::Check(Body::AddUrl),
            ),
            (
                Method::POST,
                "/control/dns_config",
                Verdict::Check(Body::DnsConfig),
            ),
            (Method::GET, "/control/logout", Verdict::SignOut),
            (Method::POST, "/control/login", Verdict::ToStart),
            (Method::GET, "/login.html", Verdict::ToStart),
        ] {
            assert_eq!(judge(&method, path), verdict, "{path}");
        }
    }

    /// Spellings of forbidden paths that were used in attacks on other proxies.
    #[test]
    fn a_closed_path_is_refused_in_every_spelling() {
        for path in [
            "/control/tls/configure",
            "/control/tls/validate",
            "/control/update",
            "/control/dhcp/set_config",
            "/control/dhcp/status",
            "/control/install/configure",
            "/control/install/get_addresses",
            "/control/querylog_config",
            "/control/unknown",
            "/control",
            "/control/",
            "/install.html",
            "/dns-query",
            "/dns-query/x",
            "/debug/pprof/",
            "//control/update",
            "/control//update",
            "/./control/update",
            "/control/./update",
            "/x/../control/update",
            "/control/tls/status/../configure",
            "/control/..;/update",
            "/control/update/",
            "/control/update;x",
            "/control/%75pdate",
            "/control%2fupdate",
            "/control%2Fupdate",
            "/%63ontrol/update",
            "/%2563ontrol/update",
            "/control/tls%2fconfigure",
            "/control\\update",
            "/control/update%00",
            "/control/update%20",
            "/control/update\u{0}",
            "/CONTROL/update",
            "/Control/tls/configure",
            "/control/UPDATE",
            "/control/Tls/Configure",
            "/cöntrol/update",
            "control/update",
            "",
        ] {
            for method in [
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::DELETE,
                Method::PATCH,
            ] {
                assert!(
                    matches!(judge(&method, path), Verdict::Refuse(_)),
                    "{method} {path}"
                );
            }
        }
        assert!(matches!(judge(&Method::POST, "/"), Verdict::Refuse(_)));
        assert!(matches!(
            judge(&Method::DELETE, "/control/clients"),
            Verdict::Refuse(_)
        ));
        assert!(matches!(
            judge(&Method::GET, &format!("/{}", "a".repeat(300))),
            Verdict::Refuse(_)
        ));
    }
}
