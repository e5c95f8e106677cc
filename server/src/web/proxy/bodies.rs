//! Request bodies of AdGuard Home's API that could affect more than the tenant's
//! own filter. They are parsed and serialised again.

use serde_json::{Map, Value};

/// The API calls whose body is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `filtering/add_url`.
    AddUrl,
    /// `filtering/set_url`.
    SetUrl,
    /// `dns_config`.
    DnsConfig,
    /// `querylog/config/update`.
    QueryLog,
}

const NOT_A_WEB_ADDRESS: &str =
    "A list is fetched from an address that begins with https:// or http://.";
const MALFORMED: &str = "AdGuard Home would not understand that.";
const RETENTION_TOO_LONG: &str = "The query log is kept for 7 days at most.";

/// The longest retention of the query log, which is on the node's disk, in
/// milliseconds.
const MAX_RETENTION_MILLIS: f64 = 7.0 * 86_400_000.0;

/// The DNS settings that a tenant may change: all except `upstream_dns_file`, which
/// names a file.
const DNS_KEYS: &[&str] = &[
    "upstream_dns",
    "bootstrap_dns",
    "fallback_dns",
    "protection_enabled",
    "ratelimit",
    "ratelimit_subnet_len_ipv4",
    "ratelimit_subnet_len_ipv6",
    "upstream_timeout",
    "ratelimit_whitelist",
    "blocking_mode",
    "edns_cs_enabled",
    "edns_cs_use_custom",
    "edns_cs_custom_ip",
    "dnssec_enabled",
    "disable_ipv6",
    "upstream_mode",
    "blocked_response_ttl",
    "cache_size",
    "cache_ttl_min",
    "cache_ttl_max",
    "cache_enabled",
    "cache_optimistic",
    "resolve_clients",
    "use_private_ptr_resolvers",
    "local_ptr_upstreams",
    "blocking_ipv4",
    "blocking_ipv6",
    "protection_disabled_until",
];

/// Parses a body and serialises it again with the allowed keys only.
///
/// The body itself is not forwarded: Go matches keys in any case and uses the last
/// of several, so AdGuard Home could read something else than was checked here.
///
/// # Errors
/// A message for the tenant.
pub fn rewrite(kind: Body, body: &[u8]) -> Result<Vec<u8>, &'static str> {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        return Err(MALFORMED);
    };
    let clean = match kind {
        Body::AddUrl => {
            let clean = keep_keys(object, &["name", "url", "whitelist"]);
            check_list_source(clean.get("url"))?;
            clean
        }
        Body::SetUrl => {
            let mut clean = keep_keys(object, &["url", "data", "whitelist"]);
            let Some(Value::Object(data)) = clean.remove("data") else {
                return Err(MALFORMED);
            };
            let data = keep_keys(data, &["name", "url", "enabled"]);
            check_list_source(data.get("url"))?;
            clean.insert("data".to_owned(), Value::Object(data));
            clean
        }
        Body::DnsConfig => keep_keys(object, DNS_KEYS),
        Body::QueryLog => {
            let clean = keep_keys(
                object,
                &[
                    "enabled",
                    "anonymize_client_ip",
                    "interval",
                    "ignored",
                    "ignored_enabled",
                ],
            );
            match clean.get("interval") {
                None => {}
                Some(v) if v.as_f64().is_some_and(|ms| ms <= MAX_RETENTION_MILLIS) => {}
                Some(_) => return Err(RETENTION_TOO_LONG),
            }
            clean
        }
    };
    serde_json::to_vec(&clean).map_err(|_| MALFORMED)
}

fn keep_keys(object: Map<String, Value>, allowed: &[&str]) -> Map<String, Value> {
    object
        .into_iter()
        .filter(|(k, _)| allowed.contains(&k.as_str()))
        .collect()
}

/// Checks a list's source: a web address, or one of the node's shared lists, which
/// are mounted at `/lists`.
fn check_list_source(url: Option<&Value>) -> Result<(), &'static str> {
    let Some(url) = url.and_then(Value::as_str) else {
        return Err(MALFORMED);
    };
    let has_prefix = |prefix: &str| {
        url.get(..prefix.len())
            .is_some_and(|p| p.eq_ignore_ascii_case(prefix))
    };
    let shared = url.strip_prefix("/lists/").is_some_and(|file| {
        file.strip_suffix(".txt")
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|c| c.is_ascii_digit()))
    });
    (shared || has_prefix("https://") || has_prefix("http://"))
        .then_some(())
        .ok_or(NOT_A_WEB_ADDRESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(url: &str) -> Result<Vec<u8>, &'static str> {
        rewrite(
            Body::AddUrl,
            &serde_json::to_vec(&serde_json::json!({"name": "x", "url": url})).unwrap(),
        )
    }

    #[test]
    fn a_list_is_a_web_address_or_shared() {
        for url in [
            "https://a.example/l.txt",
            "http://a.example",
            "HTTPS://a.example",
            "/lists/1.txt",
        ] {
            assert!(add(url).is_ok(), "{url}");
        }
        for url in [
            "/etc/passwd",
            "/opt/adguardhome/conf/AdGuardHome.yaml",
            "file:///etc/passwd",
            "//a.example/x",
            "/lists/../etc/passwd",
            "/lists/.txt",
            "/lists/1.txt/../../x",
            "/lists/a.txt",
            "lists/1.txt",
            "",
            " /etc/passwd",
            "ftp://a",
            "\\\\a\\b",
            "C:\\x",
        ] {
            assert!(add(url).is_err(), "{url}");
        }
    }

    #[test]
    fn ambiguous_keys_are_not_forwarded() {
        let bodies = [
            r#"{"url":"https://ok.example","URL":"/etc/passwd"}"#,
            r#"{"url":"https://ok.example","Url":"/etc/passwd","uRL":"/x"}"#,
            "{\"url\":\"https://ok.example\",\"ur\u{17f}\":\"/etc/passwd\"}",
            r#"{"url":"/etc/passwd","url":"https://ok.example"}"#,
        ];
        for body in bodies {
            let sent = rewrite(Body::AddUrl, body.as_bytes()).unwrap();
            assert_eq!(sent, br#"{"url":"https://ok.example"}"#, "{body}");
        }
        for body in [
            "",
            "[]",
            "{",
            r#"{"url":1}"#,
            "{}",
            r#"{"url":"https://a"} {"url":"/x"}"#,
        ] {
            assert!(rewrite(Body::AddUrl, body.as_bytes()).is_err(), "{body}");
        }
        let moved = r#"{"url":"https://a","data":{"name":"n","url":"/etc/passwd","enabled":true}}"#;
        assert!(rewrite(Body::SetUrl, moved.as_bytes()).is_err());
        let toggled =
            r#"{"url":"/lists/1.txt","data":{"name":"n","url":"/lists/1.txt","enabled":false}}"#;
        assert!(rewrite(Body::SetUrl, toggled.as_bytes()).is_ok());
        let dns = r#"{"cache_size":1,"upstream_dns_file":"/etc/passwd","Upstream_DNS_File":"/x"}"#;
        assert_eq!(
            rewrite(Body::DnsConfig, dns.as_bytes()).unwrap(),
            br#"{"cache_size":1}"#
        );
    }

    #[test]
    fn the_query_logs_retention_is_limited() {
        let set = |ms: &str| rewrite(Body::QueryLog, format!("{{\"interval\":{ms}}}").as_bytes());
        assert!(set("86400000").is_ok() && set("604800000").is_ok());
        assert!(set("604800001").is_err() && set("\"x\"").is_err() && set("1e300").is_err());
    }
}
