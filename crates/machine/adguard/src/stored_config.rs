//! Reads and changes a configuration that AdGuard Home has written. Only our keys are
//! set, and only before a start; all others stay as they are. The file is written as
//! JSON, which is YAML too ([`crate::config`]), so only reading YAML is needed.

use crate::{
    config,
    limits::{LOG_MEMORY_ENTRIES, MAX_LIST_SIZE, RATE_LIMIT},
    lists::List,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Parses a configuration. It comes from a container that a tenant may control; the
/// parser bounds depth, aliases and the number of nodes.
///
/// Returns `None` where it is not a YAML mapping. AdGuard Home would not start with it.
pub fn parse(text: &[u8]) -> Option<Value> {
    let mut options = serde_saphyr::Options::default();
    options.strict_booleans = true;
    let value: Value = serde_saphyr::from_slice_with_options(text, options).ok()?;
    value.is_object().then_some(value)
}

/// Renders a configuration.
pub(crate) fn render(config: &Value) -> String {
    config::escaped(config)
}

/// Sets what bounds the load that a tenant can cause, whatever the tenant has chosen.
/// Returns whether anything changed.
pub fn enforce(config: &mut Value) -> bool {
    let before = config.clone();
    let limit = number(config, "dns", "ratelimit").filter(|n| (1..=RATE_LIMIT).contains(n));
    set(
        config,
        "dns",
        "ratelimit",
        limit.unwrap_or(RATE_LIMIT).into(),
    );
    // Each address counts by itself: the devices of a tenant share a /24.
    set(config, "dns", "ratelimit_subnet_len_ipv4", 32.into());
    set(config, "dns", "ratelimit_whitelist", json!([]));
    set(config, "filtering", "max_http_size", MAX_LIST_SIZE.into());
    let entries = number(config, "querylog", "size_memory");
    let entries = entries
        .unwrap_or(LOG_MEMORY_ENTRIES)
        .min(LOG_MEMORY_ENTRIES);
    set(config, "querylog", "size_memory", entries.into());
    *config != before
}

/// Returns whether the configuration lets this user in with the password of this hash.
pub(crate) fn has_login(config: &Value, user: &str, hash: &str) -> bool {
    let users = config.get("users").and_then(Value::as_array);
    let mut named = users.into_iter().flatten().filter(|u| {
        let name = u.get("name").and_then(Value::as_str);
        name == Some(user)
    });
    // AdGuard Home takes the first of a name.
    named
        .next()
        .is_some_and(|u| u.get("password").and_then(Value::as_str) == Some(hash))
}

/// Makes this user, with the password of this hash, the only one where it cannot sign
/// in. Returns whether anything changed.
pub fn set_login(config: &mut Value, user: &str, hash: &str) -> bool {
    if has_login(config, user, hash) {
        return false;
    }
    let users = json!([{"name": user, "password": hash}]);
    let sections = config.as_object_mut();
    sections
        .map(|s| s.insert("users".to_owned(), users))
        .is_some()
}

fn number(config: &Value, section: &str, key: &str) -> Option<u64> {
    config.get(section)?.get(key)?.as_u64()
}

fn set(config: &mut Value, section: &str, key: &str, value: Value) {
    let section = config.as_object_mut().map(|c| c.entry(section));
    let section = section.map(|s| s.or_insert_with(|| json!({})));
    if let Some(section) = section.and_then(Value::as_object_mut) {
        section.insert(key.to_owned(), value);
    }
}

/// Returns the version of the configuration's form. An older AdGuard Home does not
/// start with a newer one.
pub(crate) fn schema_version(config: &Value) -> u64 {
    let version = config.get("schema_version").and_then(Value::as_u64);
    version.unwrap_or(0)
}

const FILTERS: [&str; 2] = ["filters", "whitelist_filters"];

/// Returns the file names of the lists that are configured, the tenant's own included.
pub(crate) fn list_files(config: &Value) -> BTreeSet<String> {
    let filters = FILTERS.into_iter().filter_map(|key| config.get(key));
    let filters = filters.filter_map(Value::as_array).flatten();
    let ids = filters.filter_map(|f| f.get("id").and_then(Value::as_u64));
    ids.map(|id| format!("{id}.txt")).collect()
}

/// Removes the lists that the tenant added. Returns whether there were any.
pub fn remove_own_lists(config: &mut Value, lists: &[List], mount: &str) -> bool {
    let ours: BTreeSet<String> = lists.iter().map(|l| config::list_url(mount, l)).collect();
    let is_ours = |filter: &Value| {
        let url = filter.get("url").and_then(Value::as_str);
        url.is_some_and(|url| ours.contains(url))
    };
    let mut removed = false;
    for key in FILTERS {
        if let Some(filters) = config.get_mut(key).and_then(Value::as_array_mut) {
            let before = filters.len();
            filters.retain(is_ours);
            removed |= filters.len() != before;
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str = "http:\n  address: 0.0.0.0:3000\nusers:\n  - name: tenant\n    password: $2b$04$hash\ndns:\n  bind_hosts:\n    - 0.0.0.0\n  ratelimit: 0\n  ratelimit_whitelist:\n    - 10.88.1.2\n  upstream_timeout: 5s\n  blocked_hosts:\n    - version.bind\nquerylog:\n  size_memory: 100000\n  interval: 24h\nfilters:\n  - enabled: true\n    url: /lists/1.txt\n    name: Ours\n    id: 1\n  - enabled: true\n    url: https://example.org/huge.txt\n    name: \"on\"\n    id: 1764000000\nwhitelist_filters: []\nuser_rules:\n  - '@@||ok.example^'\n  - \"null\"\nschema_version: 34\n";

    #[test]
    fn only_our_keys_of_a_stored_configuration_change() {
        let mut config = parse(STORED.as_bytes()).unwrap();
        let before = config.clone();
        assert!(enforce(&mut config));
        assert!(!enforce(&mut config), "it changed twice");
        assert_eq!(config["dns"]["ratelimit"], RATE_LIMIT);
        assert_eq!(config["dns"]["ratelimit_subnet_len_ipv4"], 32);
        assert_eq!(config["dns"]["ratelimit_whitelist"], json!([]));
        assert_eq!(config["filtering"]["max_http_size"], MAX_LIST_SIZE);
        assert_eq!(config["querylog"]["size_memory"], LOG_MEMORY_ENTRIES);
        assert_eq!(config["querylog"]["interval"], "24h");
        for key in ["http", "users", "filters", "user_rules", "schema_version"] {
            assert_eq!(config[key], before[key], "{key}");
        }
        assert_eq!(config["dns"]["blocked_hosts"], json!(["version.bind"]));
        assert_eq!(config["user_rules"][1], "null");
        assert_eq!(parse(render(&config).as_bytes()), Some(config));
    }

    #[test]
    fn the_user_is_corrected_and_nothing_else() {
        let mut config = parse(STORED.as_bytes()).unwrap();
        let before = config.clone();
        assert!(!set_login(&mut config, "tenant", "$2b$04$hash"));
        assert_eq!(config, before);
        for (user, hash) in [("tenant", "$2b$04$other"), ("root", "$2b$04$hash")] {
            assert!(set_login(&mut config, user, hash), "{user}");
            assert!(has_login(&config, user, hash));
            assert!(!set_login(&mut config, user, hash), "it changed twice");
        }
        config["users"] = before["users"].clone();
        assert_eq!(config, before);
        for text in [
            "a: 1",
            "users: {}",
            "users: [1, {name: tenant}]",
            "users: text",
        ] {
            let mut config = parse(text.as_bytes()).unwrap();
            assert!(set_login(&mut config, "tenant", "x"), "{text}");
            assert!(has_login(&config, "tenant", "x"), "{text}");
        }
        // AdGuard Home takes the first.
        let mut two = parse(b"users: [{name: t, password: a}, {name: t, password: b}]").unwrap();
        assert!(has_login(&two, "t", "a") && !has_login(&two, "t", "b"));
        assert!(set_login(&mut two, "t", "b") && has_login(&two, "t", "b"));
    }

    #[test]
    fn a_stricter_limit_of_the_tenant_stays() {
        let mut config = parse(b"dns: {ratelimit: 20}\nquerylog: {size_memory: 10}\n").unwrap();
        enforce(&mut config);
        assert_eq!(config["dns"]["ratelimit"], 20);
        assert_eq!(config["querylog"]["size_memory"], 10);
    }

    #[test]
    fn damaged_and_hostile_configurations_are_refused() {
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
        let deep = format!("a: {}", "[".repeat(100_000));
        for text in [
            "",
            "- a list",
            "text",
            "a: [",
            "\0\0\0\0",
            "a: 1\na: 2",
            bomb,
            &deep,
        ] {
            assert_eq!(
                parse(text.as_bytes()),
                None,
                "{}",
                &text[..text.len().min(40)]
            );
        }
        assert_eq!(parse(&[0xff, 0xfe, 0x80]), None);
    }

    #[test]
    fn only_the_tenants_own_lists_are_removed() {
        let mut config = parse(STORED.as_bytes()).unwrap();
        let files = |config: &Value| list_files(config).into_iter().collect::<Vec<_>>();
        assert_eq!(files(&config), ["1.txt", "1764000000.txt"]);
        assert!(remove_own_lists(&mut config, &List::defaults(), "/lists"));
        assert_eq!(files(&config), ["1.txt"]);
        assert!(!remove_own_lists(&mut config, &List::defaults(), "/lists"));
    }
}
