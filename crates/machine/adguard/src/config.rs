//! Renders `AdGuardHome.yaml` for a first start: schema 34, v0.107.79
//! (`internal/home/config.go`; docs/adguard-home wiki "Configuration").
//!
//! The file is JSON, which is valid YAML 1.2 and quotes every text by one rule.
//! AdGuard Home reads it once and writes its own YAML from then on. A missing
//! key gets AdGuard Home's default, so only the differences are here.

use crate::{
    AdGuardSettings, clients,
    limits::{LOG_MEMORY_ENTRIES, MAX_LIST_SIZE, RATE_LIMIT},
    lists::List,
    names,
    policy::Means,
};
use domain::marks::DNS_UI_PORT;
use provisioning::spec::{DnsClient, DnsInstance};
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// The schema of v0.107.79. Without it AdGuard Home assumes its oldest schema
/// and fails.
const SCHEMA_VERSION: u32 = 34;

/// Returns the text of the file. Each client has the form of its policy with these means.
pub fn render(
    settings: &AdGuardSettings,
    lists: &[List],
    dns: &DnsInstance,
    clients: &BTreeMap<String, DnsClient>,
    means: Means,
) -> String {
    let config = json!({
        "schema_version": SCHEMA_VERSION,
        "http": {"address": format!("0.0.0.0:{DNS_UI_PORT}"), "session_ttl": "1h"},
        "users": [{"name": dns.user, "password": dns.password_hash}],
        // Every sign-in comes from our proxy's address, so a lock-out would lock
        // the tenant out. The proxy limits the attempts.
        "auth_attempts": 0,
        "block_auth_min": 0,
        "dns": resolver(settings, dns),
        "tls": {"enabled": false},
        "dhcp": {"enabled": false},
        "querylog": {
            "enabled": true, "file_enabled": true, "interval": "24h",
            "size_memory": LOG_MEMORY_ENTRIES,
        },
        "statistics": {"enabled": true, "interval": "24h"},
        // An empty list of filters is written: without the key, the vendor's
        // default lists would apply.
        "filters": lists.iter().map(|l| filter(&settings.lists_mount, l)).collect::<Vec<_>>(),
        "whitelist_filters": [],
        "user_rules": [],
        "filtering": {
            "protection_enabled": true,
            "filtering_enabled": true,
            "filters_update_interval": 24,
            "max_http_size": MAX_LIST_SIZE,
            "safe_fs_patterns": [format!("{}/*.txt", settings.lists_mount)],
            "safebrowsing_cache_size": 262_144,
            "safesearch_cache_size": 262_144,
            "parental_cache_size": 262_144,
            "blocked_response_ttl": 60,
            "rewrites_enabled": true,
            "rewrites": names::wanted(clients),
        },
        "clients": {
            // All devices of a tunnel are known; none need to be discovered.
            "runtime_sources": {
                "whois": false, "arp": false, "rdns": false, "dhcp": false, "hosts": false,
            },
            "persistent": persistent(clients, means),
        },
        "log": {"enabled": true, "file": "", "verbose": false},
    });
    escaped(&config)
}

fn resolver(settings: &AdGuardSettings, dns: &DnsInstance) -> Value {
    let mut allowed = vec![dns.subnet.to_string(), Ipv4Addr::LOCALHOST.to_string()];
    allowed.extend(settings.also_allowed.iter().map(Ipv4Addr::to_string));
    json!({
        "bind_hosts": ["0.0.0.0"],
        "port": 53,
        "upstream_dns": settings.upstreams,
        "bootstrap_dns": settings.bootstrap,
        "fallback_dns": settings.fallback,
        "upstream_timeout": "5s",
        "allowed_clients": allowed,
        "trusted_proxies": [],
        "ratelimit": RATE_LIMIT,
        // Each device counts by itself. By default a /24 does: all of the tenant's.
        "ratelimit_subnet_len_ipv4": 32,
        "ratelimit_whitelist": [],
        "refuse_any": true,
        "cache_enabled": true,
        // Zero is fatal while the cache is enabled. A tenant has few devices.
        "cache_size": 1_048_576,
        "use_private_ptr_resolvers": false,
        "hostsfile_enabled": false,
    })
}

fn filter(mount: &str, list: &List) -> Value {
    json!({
        "enabled": true,
        "id": list.id,
        "name": list.name,
        "url": list_url(mount, list),
    })
}

/// Returns the address of a list in a configuration: its path in the container.
pub(crate) fn list_url(mount: &str, list: &List) -> String {
    format!("{mount}/{}", list.file_name())
}

fn persistent(wanted: &BTreeMap<String, DnsClient>, means: Means) -> Vec<Value> {
    // A duplicate name would be fatal at start. Labels are unique; if they are
    // not, they get numbers here.
    let names = clients::assign_names(&[], wanted);
    wanted
        .iter()
        .map(|(mark, client)| {
            let mut object = clients::new_client(mark, &names[mark], client, means);
            // In the file this is an object of ids and schedule; missing means empty.
            object.remove("blocked_services");
            Value::Object(object)
        })
        .collect()
}

/// Returns JSON with all characters beyond ASCII escaped for which YAML has the
/// same escape: in YAML, U+0085, U+2028 and U+2029 end a line.
pub(crate) fn escaped(value: &Value) -> String {
    let json = format!("{value:#}\n");
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match u32::from(c) {
            // Beyond U+FFFF, JSON escapes in pairs, which YAML does not support.
            n @ 0x7f..=0xffff => text.push_str(&format!("\\u{n:04x}")),
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{FilterPolicy, Secret, Slot};

    fn instance() -> DnsInstance {
        DnsInstance {
            slot: Slot::FIRST,
            address: [10, 92, 1, 1].into(),
            subnet: "10.88.1.0/24".parse().unwrap(),
            subnet6: None,
            domain: "alice.internal".into(),
            user: "tenant",
            password: Secret::new("never written"),
            password_hash: "$2b$04$hash".into(),
            conf_dir: "/c".into(),
            work_dir: "/w".into(),
            image: "adguard/adguardhome:v0.107.79".into(),
        }
    }

    fn render_with(label: &str) -> String {
        let client = DnsClient {
            name: label.into(),
            address: [10, 88, 1, 2].into(),
            address6: None,
            policy: FilterPolicy::Strict,
            host_name: "phone.alice.internal".into(),
        };
        let wanted = [("mn-1".to_owned(), client)].into();
        render(
            &AdGuardSettings::default(),
            &List::defaults(),
            &instance(),
            &wanted,
            Means::FULL,
        )
    }

    #[test]
    fn the_file_has_the_safety_settings() {
        let text = render_with("Phone");
        let config: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config["schema_version"], 34);
        assert_eq!(
            config["users"][0],
            json!({"name": "tenant", "password": "$2b$04$hash"})
        );
        assert_eq!(
            config["dns"]["allowed_clients"],
            json!(["10.88.1.0/24", "127.0.0.1"])
        );
        assert_eq!(config["dns"]["ratelimit"], 200);
        assert_eq!(config["auth_attempts"], 0);
        assert_eq!(config["querylog"]["interval"], "24h");
        assert_eq!(config["filters"][0]["url"], "/lists/1.txt");
        assert_eq!(
            config["filtering"]["safe_fs_patterns"],
            json!(["/lists/*.txt"])
        );
        let client = &config["clients"]["persistent"][0];
        assert_eq!(client["ids"], json!(["10.88.1.2", "mn-1"]));
        assert_eq!(client["safebrowsing_enabled"], true);
        let name =
            json!({"domain": "phone.alice.internal", "answer": "10.88.1.2", "enabled": true});
        assert_eq!(config["filtering"]["rewrites"], json!([name]));
        assert_eq!(client["use_global_settings"], false);
        assert!(!text.contains("never written"));
    }

    #[test]
    fn any_label_stays_one_line_and_reads_back() {
        for label in [
            "书房",
            "a\u{2028}b",
            "\"x\": {y}\\",
            "# no comment",
            "📱",
            "- a",
        ] {
            let text = render_with(label);
            assert!(!text.contains('\u{2028}'));
            let config: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(config["clients"]["persistent"][0]["name"], label);
        }
    }
}
