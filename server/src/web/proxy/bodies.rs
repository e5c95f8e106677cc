//! Bodies of AdGuard Home's API that could reach beyond a tenant's own
//! filter, read and written anew.

use serde_json::{Map, Value};

/// Bodies that could reach beyond a tenant's own filter.
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

const FILES: &str = "A list is fetched from an address that begins with https:// or http://.";
const FORM: &str = "AdGuard Home would not understand that.";
const LOG: &str = "The query log is kept for 7 days at most.";

/// Longest time in the query log: it is on the node's disk. In milliseconds.
const LONGEST_LOG: f64 = 7.0 * 86_400_000.0;

/// The settings of DNS a tenant may change: all but `upstream_dns_file`, which
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

/// Reads a body and writes it anew with the keys that are known.
///
/// Not the body itself: Go takes keys in any case and the last of several, so
/// what we read would not be what it reads.
///
/// # Errors
/// A sentence for the tenant.
pub fn rewrite(kind: Body, body: &[u8]) -> Result<Vec<u8>, &'static str> {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        return Err(FORM);
    };
    let clean = match kind {
        Body::AddUrl => {
            let clean = keep(object, &["name", "url", "whitelist"]);
            is_list(clean.get("url"))?;
            clean
        }
        Body::SetUrl => {
            let mut clean = keep(object, &["url", "data", "whitelist"]);
            let Some(Value::Object(data)) = clean.remove("data") else {
                return Err(FORM);
            };
            let data = keep(data, &["name", "url", "enabled"]);
            is_list(data.get("url"))?;
            clean.insert("data".to_owned(), Value::Object(data));
            clean
        }
        Body::DnsConfig => keep(object, DNS_KEYS),
        Body::QueryLog => {
            let clean = keep(
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
                Some(v) if v.as_f64().is_some_and(|ms| ms <= LONGEST_LOG) => {}
                Some(_) => return Err(LOG),
            }
            clean
        }
    };
    serde_json::to_vec(&clean).map_err(|_| FORM)
}

fn keep(object: Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    object
        .into_iter()
        .filter(|(k, _)| known.contains(&k.as_str()))
        .collect()
}

/// A list's source: on the web, or one of the node's shared lists, which are
/// mounted at `/lists`.
fn is_list(url: Option<&Value>) -> Result<(), &'static str> {
    let Some(url) = url.and_then(Value::as_str) else {
        return Err(FORM);
    };
    let begins = |with: &str| {
        url.get(..with.len())
            .is_some_and(|p| p.eq_ignore_ascii_case(with))
    };
    let shared = url.strip_prefix("/lists/").is_some_and(|file| {
        file.strip_suffix(".txt")
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|c| c.is_ascii_digit()))
    });
    (shared || begins("https://") || begins("http://"))
        .then_some(())
        .ok_or(FILES)
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
    fn a_list_comes_from_the_web_or_is_a_shared_one() {
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
    fn what_go_would_read_otherwise_does_not_arrive() {
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
    fn the_query_log_stays_short() {
        let keep = |ms: &str| rewrite(Body::QueryLog, format!("{{\"interval\":{ms}}}").as_bytes());
        assert!(keep("86400000").is_ok() && keep("604800000").is_ok());
        assert!(keep("604800001").is_err() && keep("\"x\"").is_err() && keep("1e300").is_err());
    }
}
