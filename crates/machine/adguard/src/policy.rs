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

/// The tag of clients whose policy is *off* and whose filtering stays on: the shared rule that
/// lets every name pass applies to it. AdGuard Home applies no rewrite without filtering, and
/// the names of the tenant's devices are rewrites. The tag says that the device's user is its
/// administrator.
pub const OFF_TAG: &str = "user_admin";

/// The tags that are ours.
const OUR_TAGS: [&str; 2] = [LOCK_TAG, OFF_TAG];

/// What policies can rely on at present. Without a part of it, other switches express them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    /// Whether AdGuard's look-up service can be reached, which safe browsing and parental
    /// control ask about every new name: without it such a name would not be answered at all,
    /// so lists and safe search alone decide.
    pub lookups: bool,
    /// Whether the instance applies the rule that lets every name pass ([`crate::lists::lock`]).
    /// Without it the policy *off* is filtering that is off, and such a device finds no names
    /// of others.
    pub pass_rule: bool,
}

impl Means {
    /// All means.
    pub const FULL: Self = Self {
        lookups: true,
        pass_rule: true,
    };

    /// Every combination.
    const ALL: [Self; 4] = [
        Self::FULL,
        Self {
            lookups: false,
            pass_rule: true,
        },
        Self {
            lookups: true,
            pass_rule: false,
        },
        Self {
            lookups: false,
            pass_rule: false,
        },
    ];
}

/// What a policy sets: switches, and a tag of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    tag: Option<&'static str>,
    filtering: bool,
    safe_browsing: bool,
    parental: bool,
    safe_search: bool,
}

/// Returns the form that a policy has with these means.
const fn form(policy: FilterPolicy, means: Means) -> Form {
    let (tag, safe_browsing, family) = match policy {
        FilterPolicy::Standard => (None, false, false),
        FilterPolicy::Strict => (Some(LOCK_TAG), true, false),
        FilterPolicy::Family => (Some(LOCK_TAG), true, true),
        FilterPolicy::Off if means.pass_rule => (Some(OFF_TAG), false, false),
        FilterPolicy::Off => (None, false, false),
    };
    Form {
        tag,
        filtering: means.pass_rule || !matches!(policy, FilterPolicy::Off),
        safe_browsing: safe_browsing && means.lookups,
        parental: family && means.lookups,
        safe_search: family,
    }
}

/// Returns the form that a policy has for a client. The rule that lets every name pass would
/// do so for services too that the tenant has blocked for this client: with such ones the
/// policy *off* does without that rule.
fn form_for(client: &Object, policy: FilterPolicy, means: Means) -> Form {
    let pass_rule = means.pass_rule && has_no_services(client);
    form(policy, Means { pass_rule, ..means })
}

/// Sets a client's switches. Keeps what a tenant chose beyond the policy: the
/// engines that use safe search, and the services blocked for this client.
pub fn set(client: &mut Object, policy: FilterPolicy, means: Means) {
    if policy == FilterPolicy::Off && policy_in_any_form(client) != Some(FilterPolicy::Off) {
        client.insert("blocked_services".to_owned(), json!([]));
    }
    let form = form_for(client, policy, means);
    let mut insert = |key: &str, value: Value| client.insert(key.to_owned(), value);
    // The client has its own settings, never the global ones. So the dashboard is
    // right, whatever was switched in AdGuard Home's own pages.
    insert("use_global_settings", false.into());
    insert("filtering_enabled", form.filtering.into());
    insert("safebrowsing_enabled", form.safe_browsing.into());
    insert("parental_enabled", form.parental.into());
    set_tag(client, form.tag);
    set_safe_search(client, form.safe_search);
    if policy == FilterPolicy::Off {
        client.insert("use_global_blocked_services".to_owned(), false.into());
    } else if has_no_services(client) {
        // The client blocks no services of its own, so it follows the global ones.
        client.insert("use_global_blocked_services".to_owned(), true.into());
    }
}

/// Gives a client this tag alone of ours. The other tags are the tenant's.
fn set_tag(client: &mut Object, tag: Option<&str>) {
    if has_tag(client, tag) {
        return;
    }
    let tags = client.entry("tags").or_insert_with(|| json!([]));
    if !tags.is_array() {
        *tags = json!([]);
    }
    if let Some(tags) = tags.as_array_mut() {
        tags.retain(|t| !is_our_tag(t));
        tags.extend(tag.map(Value::from));
    }
}

/// Returns whether a tag is set by policies.
pub fn is_our_tag(tag: &Value) -> bool {
    OUR_TAGS.iter().any(|ours| tag == ours)
}

/// Returns whether a client has this tag alone of ours.
fn has_tag(client: &Object, tag: Option<&str>) -> bool {
    let tags = client.get("tags").and_then(Value::as_array);
    let ours = tags.into_iter().flatten().filter(|t| is_our_tag(t));
    ours.eq(tag.iter())
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

/// Returns the policy whose form with these means the client has, or `None` if it has none.
pub fn policy_of(client: &Object, means: Means) -> Option<FilterPolicy> {
    let is_form = |p: &FilterPolicy| has_form(client, *p, form_for(client, *p, means));
    FilterPolicy::ALL.into_iter().find(is_form)
}

/// Returns the policy of which the client has any form. No form is that of two policies.
pub fn policy_in_any_form(client: &Object) -> Option<FilterPolicy> {
    let is_form = |p: &FilterPolicy| {
        let mut forms = Means::ALL.into_iter().map(|means| form(*p, means));
        forms.any(|form| has_form(client, *p, form))
    };
    FilterPolicy::ALL.into_iter().find(is_form)
}

/// Returns whether a client has the switches and the tag of a policy's form.
fn has_form(client: &Object, policy: FilterPolicy, form: Form) -> bool {
    let search = client.get("safe_search").and_then(Value::as_object);
    let set = Form {
        tag: form.tag,
        filtering: flag(client, "filtering_enabled"),
        safe_browsing: flag(client, "safebrowsing_enabled"),
        parental: flag(client, "parental_enabled"),
        safe_search: search.is_some_and(|s| flag(s, "enabled")),
    };
    let global_services = flag(client, "use_global_blocked_services");
    !flag(client, "use_global_settings")
        && set == form
        && has_tag(client, form.tag)
        && !(policy == FilterPolicy::Off && global_services)
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

    const FULL: Means = Means::FULL;
    const NO_LOOKUPS: Means = Means::ALL[1];
    const NO_PASS_RULE: Means = Means::ALL[2];

    #[test]
    fn every_policy_reads_back_after_any_other() {
        for before in FilterPolicy::ALL {
            for after in FilterPolicy::ALL {
                let mut client = Object::new();
                set(&mut client, before, FULL);
                assert_eq!(policy_of(&client, FULL), Some(before));
                set(&mut client, after, FULL);
                assert_eq!(policy_of(&client, FULL), Some(after), "{before} to {after}");
            }
        }
    }

    #[test]
    fn policy_off_also_unblocks_services() {
        let mut client = Object::new();
        set(&mut client, FilterPolicy::Standard, FULL);
        assert!(flag(&client, "use_global_blocked_services"));
        client.insert("blocked_services".into(), json!(["tiktok"]));
        set(&mut client, FilterPolicy::Off, FULL);
        assert!(!flag(&client, "use_global_blocked_services"));
        assert_eq!(client["blocked_services"], json!([]));
        set(&mut client, FilterPolicy::Strict, FULL);
        assert!(flag(&client, "use_global_blocked_services"));
    }

    #[test]
    fn a_tenants_own_choices_survive_a_policy() {
        let mut client = Object::new();
        set(&mut client, FilterPolicy::Family, FULL);
        client["safe_search"]["youtube"] = false.into();
        client.insert("use_global_blocked_services".into(), false.into());
        client.insert("blocked_services".into(), json!(["tiktok"]));
        assert_eq!(policy_of(&client, FULL), Some(FilterPolicy::Family));
        set(&mut client, FilterPolicy::Family, FULL);
        assert_eq!(client["safe_search"]["youtube"], json!(false));
        set(&mut client, FilterPolicy::Standard, FULL);
        assert_eq!(client["blocked_services"], json!(["tiktok"]));
        assert!(!flag(&client, "use_global_blocked_services"));
    }

    #[test]
    fn a_lock_is_a_tag_beside_the_tenants_own() {
        let mut client = Object::new();
        set(&mut client, FilterPolicy::Standard, FULL);
        assert!(client.get("tags").is_none());
        client.insert("tags".into(), json!(["device_phone"]));
        set(&mut client, FilterPolicy::Strict, FULL);
        assert_eq!(client["tags"], json!(["device_phone", LOCK_TAG]));
        set(&mut client, FilterPolicy::Family, FULL);
        assert_eq!(client["tags"], json!(["device_phone", LOCK_TAG]));
        // Without the tag the rules against encrypted DNS do not apply.
        client.insert("tags".into(), Value::Null);
        assert_eq!(policy_of(&client, FULL), None);
        set(&mut client, FilterPolicy::Family, FULL);
        assert_eq!(policy_of(&client, FULL), Some(FilterPolicy::Family));
        set(&mut client, FilterPolicy::Standard, FULL);
        assert_eq!(client["tags"], json!([]));
        // The tag is ours alone.
        client.insert("tags".into(), json!([LOCK_TAG]));
        assert_eq!(policy_of(&client, FULL), None);
        set(&mut client, FilterPolicy::Off, FULL);
        assert_eq!(client["tags"], json!([OFF_TAG]));
        // Without the tag the lists would apply.
        client.insert("tags".into(), json!([]));
        assert_eq!(policy_of(&client, FULL), Some(FilterPolicy::Standard));
    }

    #[test]
    fn without_the_look_up_service_the_lists_decide() {
        for policy in FilterPolicy::ALL {
            let mut client = Object::new();
            set(&mut client, policy, FULL);
            // A lock reads as no other policy while it is not switched over.
            let expected = (!policy.is_lock()).then_some(policy);
            assert_eq!(policy_of(&client, NO_LOOKUPS), expected, "{policy}");
            set(&mut client, policy, NO_LOOKUPS);
            assert_eq!(policy_of(&client, NO_LOOKUPS), Some(policy));
            assert_eq!(policy_of(&client, FULL), expected, "{policy}");
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
        set(&mut client, FilterPolicy::Standard, FULL);
        client.insert("use_global_settings".into(), true.into());
        assert_eq!(policy_of(&client, FULL), None);
    }

    #[test]
    fn without_the_pass_rule_the_policy_off_is_no_filtering() {
        let mut client = Object::new();
        set(&mut client, FilterPolicy::Off, FULL);
        let new = client.clone();
        assert_eq!(
            (&client["filtering_enabled"], &client["tags"]),
            (&json!(true), &json!([OFF_TAG]))
        );
        assert_eq!(policy_of(&client, NO_PASS_RULE), None);
        assert_eq!(policy_in_any_form(&client), Some(FilterPolicy::Off));
        set(&mut client, FilterPolicy::Off, NO_PASS_RULE);
        assert_eq!(
            (&client["filtering_enabled"], &client["tags"]),
            (&json!(false), &json!([]))
        );
        assert_eq!(policy_of(&client, NO_PASS_RULE), Some(FilterPolicy::Off));
        assert_eq!(policy_of(&client, FULL), None);
        assert_eq!(policy_in_any_form(&client), Some(FilterPolicy::Off));
        set(&mut client, FilterPolicy::Off, FULL);
        assert_eq!(client, new);
        // Of a tag alone, or filtering alone, no policy is read.
        client.insert("filtering_enabled".into(), false.into());
        assert_eq!(policy_in_any_form(&client), None);
    }

    #[test]
    fn services_that_are_blocked_for_a_device_stay_so_with_the_policy_off() {
        // A client of an earlier version.
        let mut client = Object::new();
        set(&mut client, FilterPolicy::Off, NO_PASS_RULE);
        client.insert("blocked_services".into(), json!(["tiktok"]));
        set(&mut client, FilterPolicy::Off, FULL);
        assert_eq!(client["blocked_services"], json!(["tiktok"]));
        assert_eq!(client["filtering_enabled"], json!(false));
        assert_eq!(policy_of(&client, FULL), Some(FilterPolicy::Off));
        // One of this version, for which the tenant blocks a service now.
        let mut client = Object::new();
        set(&mut client, FilterPolicy::Off, FULL);
        client.insert("blocked_services".into(), json!(["tiktok"]));
        assert_eq!(policy_of(&client, FULL), None);
        assert_eq!(policy_in_any_form(&client), Some(FilterPolicy::Off));
        set(&mut client, FilterPolicy::Off, FULL);
        assert_eq!(client["blocked_services"], json!(["tiktok"]));
        assert_eq!(
            (&client["filtering_enabled"], &client["tags"]),
            (&json!(false), &json!([]))
        );
        client.insert("blocked_services".into(), json!([]));
        set(&mut client, FilterPolicy::Off, FULL);
        assert_eq!(client["filtering_enabled"], json!(true));
    }
}
