//! Converts between a policy and AdGuard Home's switches on a persistent client.
//! The same five switches are in its configuration and in its API.

use domain::FilterPolicy;
use serde_json::{Map, Value, json};

/// A JSON object: a client in the form of the API or the configuration.
pub type Object = Map<String, Value>;

/// The search engines that safe search supports in v0.107.79
/// (`filtering.SafeSearchConfig`).
const ENGINES: [&str; 7] = [
    "bing",
    "duckduckgo",
    "ecosia",
    "google",
    "pixabay",
    "yandex",
    "youtube",
];

/// The tag of clients whose policy is a lock: the shared rules against encrypted DNS apply
/// to it ([`crate::lists::lock`]). AdGuard Home knows a fixed set of tags
/// (`client.allowedTags`); this one says that the device's user is not its administrator.
pub const LOCK_TAG: &str = "user_regular";

/// The tag of clients whose policy is *off*: the shared rule that lets every name pass applies
/// to it. Their filtering stays on, because AdGuard Home applies no rewrite without it, and
/// the names of the tenant's devices are rewrites. The tag says that the device's user is its
/// administrator.
pub const OFF_TAG: &str = "user_admin";

/// The tags that are ours.
const OUR_TAGS: [&str; 2] = [LOCK_TAG, OFF_TAG];

/// The switches that a policy sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Switches {
    filtering: bool,
    safe_browsing: bool,
    parental: bool,
    safe_search: bool,
}

/// Returns the switches of a policy. `lookups` says whether AdGuard's look-up service can
/// be reached, which safe browsing and parental control ask about every new name: without it
/// such a name would not be answered at all, so lists and safe search alone decide.
const fn switches(policy: FilterPolicy, lookups: bool) -> Switches {
    let (filtering, safe_browsing, family) = match policy {
        FilterPolicy::Standard => (true, false, false),
        FilterPolicy::Strict => (true, true, false),
        FilterPolicy::Family => (true, true, true),
        FilterPolicy::Off => (true, false, false),
    };
    Switches {
        filtering,
        safe_browsing: safe_browsing && lookups,
        parental: family && lookups,
        safe_search: family,
    }
}

/// Sets a client's switches. Keeps what a tenant chose beyond the policy: the
/// engines that use safe search, and the services blocked for this client.
pub fn set(client: &mut Object, policy: FilterPolicy, lookups: bool) {
    let previous = policy_of(client, lookups);
    let switches = switches(policy, lookups);
    let mut insert = |key: &str, value: Value| client.insert(key.to_owned(), value);
    // The client has its own settings, never the global ones. So the dashboard is
    // right, whatever was switched in AdGuard Home's own pages.
    insert("use_global_settings", false.into());
    insert("filtering_enabled", switches.filtering.into());
    insert("safebrowsing_enabled", switches.safe_browsing.into());
    insert("parental_enabled", switches.parental.into());
    set_tag(client, policy);
    set_safe_search(client, switches.safe_search);
    if policy == FilterPolicy::Off {
        client.insert("use_global_blocked_services".to_owned(), false.into());
        if previous != Some(FilterPolicy::Off) {
            client.insert("blocked_services".to_owned(), json!([]));
        }
    } else if has_no_services(client) {
        // The client blocks no services of its own, so it follows the global ones.
        client.insert("use_global_blocked_services".to_owned(), true.into());
    }
}

/// Returns the tag of a policy's clients, if it has one.
const fn tag(policy: FilterPolicy) -> Option<&'static str> {
    match policy {
        FilterPolicy::Standard => None,
        FilterPolicy::Strict | FilterPolicy::Family => Some(LOCK_TAG),
        FilterPolicy::Off => Some(OFF_TAG),
    }
}

/// Gives a client its policy's tag alone of ours. The other tags are the tenant's.
fn set_tag(client: &mut Object, policy: FilterPolicy) {
    if has_tag_of(client, policy) {
        return;
    }
    let tags = client.entry("tags").or_insert_with(|| json!([]));
    if !tags.is_array() {
        *tags = json!([]);
    }
    if let Some(tags) = tags.as_array_mut() {
        tags.retain(|t| !is_our_tag(t));
        tags.extend(tag(policy).map(Value::from));
    }
}

/// Returns whether a tag is set by policies.
pub fn is_our_tag(tag: &Value) -> bool {
    OUR_TAGS.iter().any(|ours| tag == ours)
}

fn has_tag_of(client: &Object, policy: FilterPolicy) -> bool {
    let tags = client.get("tags").and_then(Value::as_array);
    let ours = tags.into_iter().flatten().filter(|t| is_our_tag(t));
    ours.eq(tag(policy).iter())
}

fn set_safe_search(client: &mut Object, on: bool) {
    let search = client.entry("safe_search").or_insert_with(|| json!({}));
    if !search.is_object() {
        *search = json!({});
    }
    if let Some(search) = search.as_object_mut() {
        let was_on = flag(search, "enabled");
        search.insert("enabled".to_owned(), on.into());
        if on && !was_on {
            for engine in ENGINES {
                search.insert(engine.to_owned(), true.into());
            }
        }
    }
    // The older switch, which the API still reports.
    if client.contains_key("safesearch_enabled") {
        client.insert("safesearch_enabled".to_owned(), on.into());
    }
}

/// Returns the policy whose switches and tag are set, or `None` if they match none.
pub fn policy_of(client: &Object, lookups: bool) -> Option<FilterPolicy> {
    if flag(client, "use_global_settings") {
        return None;
    }
    let search = client.get("safe_search").and_then(Value::as_object);
    let set = Switches {
        filtering: flag(client, "filtering_enabled"),
        safe_browsing: flag(client, "safebrowsing_enabled"),
        parental: flag(client, "parental_enabled"),
        safe_search: search.is_some_and(|s| flag(s, "enabled")),
    };
    let policy = FilterPolicy::ALL
        .into_iter()
        .find(|p| switches(*p, lookups) == set && has_tag_of(client, *p))?;
    let services = flag(client, "use_global_blocked_services");
    (policy != FilterPolicy::Off || !services).then_some(policy)
}

fn flag(object: &Object, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn has_no_services(client: &Object) -> bool {
    let services = client.get("blocked_services").and_then(Value::as_array);
    services.is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_reads_back_after_any_other() {
        for before in FilterPolicy::ALL {
            for after in FilterPolicy::ALL {
                let mut client = Object::new();
                set(&mut client, before, true);
                assert_eq!(policy_of(&client, true), Some(before));
                set(&mut client, after, true);
                assert_eq!(policy_of(&client, true), Some(after), "{before} to {after}");
            }
        }
    }

    #[test]
    fn policy_off_also_unblocks_services() {
        let mut client = Object::new();
        set(&mut client, FilterPolicy::Standard, true);
        assert!(flag(&client, "use_global_blocked_services"));
        client.insert("blocked_services".into(), json!(["tiktok"]));
        set(&mut client, FilterPolicy::Off, true);
        assert!(!flag(&client, "use_global_blocked_services"));
        assert_eq!(client["blocked_services"], json!([]));
        set(&mut client, FilterPolicy::Strict, true);
        assert!(flag(&client, "use_global_blocked_services"));
    }

    #[test]
    fn a_tenants_own_choices_survive_a_policy() {
        let mut client = Object::new();
        set(&mut client, FilterPolicy::Family, true);
        client["safe_search"]["youtube"] = false.into();
        client.insert("use_global_blocked_services".into(), false.into());
        client.insert("blocked_services".into(), json!(["tiktok"]));
        assert_eq!(policy_of(&client, true), Some(FilterPolicy::Family));
        set(&mut client, FilterPolicy::Family, true);
        assert_eq!(client["safe_search"]["youtube"], json!(false));
        set(&mut client, FilterPolicy::Standard, true);
        assert_eq!(client["blocked_services"], json!(["tiktok"]));
        assert!(!flag(&client, "use_global_blocked_services"));
    }

    #[test]
    fn a_lock_is_a_tag_beside_the_tenants_own() {
        let mut client = Object::new();
        set(&mut client, FilterPolicy::Standard, true);
        assert!(client.get("tags").is_none());
        client.insert("tags".into(), json!(["device_phone"]));
        set(&mut client, FilterPolicy::Strict, true);
        assert_eq!(client["tags"], json!(["device_phone", LOCK_TAG]));
        set(&mut client, FilterPolicy::Family, true);
        assert_eq!(client["tags"], json!(["device_phone", LOCK_TAG]));
        // Without the tag the rules against encrypted DNS do not apply.
        client.insert("tags".into(), Value::Null);
        assert_eq!(policy_of(&client, true), None);
        set(&mut client, FilterPolicy::Family, true);
        assert_eq!(policy_of(&client, true), Some(FilterPolicy::Family));
        set(&mut client, FilterPolicy::Standard, true);
        assert_eq!(client["tags"], json!([]));
        // The tag is ours alone.
        client.insert("tags".into(), json!([LOCK_TAG]));
        assert_eq!(policy_of(&client, true), None);
        set(&mut client, FilterPolicy::Off, true);
        assert_eq!(client["tags"], json!([OFF_TAG]));
        // Without the tag the lists would apply.
        client.insert("tags".into(), json!([]));
        assert_eq!(policy_of(&client, true), Some(FilterPolicy::Standard));
    }

    #[test]
    fn without_the_look_up_service_the_lists_decide() {
        for policy in FilterPolicy::ALL {
            let mut client = Object::new();
            set(&mut client, policy, true);
            // A lock reads as no other policy while it is not switched over.
            let expected = (!policy.is_lock()).then_some(policy);
            assert_eq!(policy_of(&client, false), expected, "{policy}");
            set(&mut client, policy, false);
            assert_eq!(policy_of(&client, false), Some(policy));
            assert_eq!(policy_of(&client, true), expected, "{policy}");
            for key in ["safebrowsing_enabled", "parental_enabled"] {
                assert!(!flag(&client, key), "{policy}: {key}");
            }
            let search = policy == FilterPolicy::Family;
            assert_eq!(client["safe_search"]["enabled"], json!(search));
        }
    }

    #[test]
    fn global_settings_are_no_policy() {
        let mut client = Object::new();
        set(&mut client, FilterPolicy::Standard, true);
        client.insert("use_global_settings".into(), true.into());
        assert_eq!(policy_of(&client, true), None);
    }
}
