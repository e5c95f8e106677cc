//! Tests the plan of clients with a model of AdGuard Home's rules.

use super::*;
use crate::policy::{LOCK_TAG, OFF_TAG};
use proptest::prelude::*;

/// Returns the clients that are ours.
fn ours(home: &Model) -> BTreeMap<String, ObservedDnsClient> {
    our_clients(&home.0, |c| policy_of(c, Means::FULL))
}

/// A model of AdGuard Home's rules: each client has a name and ids, all unique.
#[derive(Clone, Debug, Default)]
struct Model(Vec<Object>);

impl Model {
    fn put(&mut self, i: Option<usize>, data: &Object) {
        assert!(
            !name_of(data).is_empty() && !ids_of(data).is_empty(),
            "{data:?}"
        );
        for (other, client) in self.0.iter().enumerate() {
            if Some(other) != i {
                assert_ne!(name_of(client), name_of(data), "a duplicate name");
                assert!(
                    ids_of(client).is_disjoint(&ids_of(data)),
                    "a duplicate id: {data:?}"
                );
            }
        }
        match i {
            Some(i) => self.0[i] = data.clone(),
            None => self.0.push(data.clone()),
        }
    }

    fn apply(&mut self, change: &Change) {
        let find = |s: &Self, name: &str| s.0.iter().position(|c| name_of(c) == name);
        match change {
            Change::Add(data) => self.put(None, data),
            Change::Update { name, data } => {
                let i = find(self, name).expect("a client of this name");
                self.put(Some(i), data);
            }
            Change::Delete(name) => {
                let i = find(self, name).expect("a client of this name");
                self.0.remove(i);
            }
        }
    }

    fn apply_plan(&mut self, wanted: &BTreeMap<String, DnsClient>) -> usize {
        let changes = plan(&self.0, wanted, Means::FULL);
        changes.iter().for_each(|c| self.apply(c));
        changes.len()
    }
}

fn client(name: &str, ids: &[&str]) -> Object {
    let mut object = Object::new();
    object.insert("name".into(), name.into());
    object.insert("ids".into(), json!(ids));
    object.insert("use_global_settings".into(), true.into());
    object.insert("upstreams".into(), json!([format!("tls://{name}")]));
    object
}

fn wanted(devices: &[(&str, &str, u8, FilterPolicy)]) -> BTreeMap<String, DnsClient> {
    let each = |&(mark, name, host, policy): &(&str, &str, u8, FilterPolicy)| {
        let client = DnsClient {
            address6: None,
            host_name: String::new(),
            name: name.into(),
            address: Ipv4Addr::new(10, 88, 1, host),
            policy,
        };
        (mark.to_owned(), client)
    };
    devices.iter().map(each).collect()
}

use FilterPolicy::{Off, Standard, Strict};

const NO_LOOKUPS: Means = Means {
    lookups: false,
    pass_rule: true,
};
const NO_PASS_RULE: Means = Means {
    lookups: true,
    pass_rule: false,
};

#[test]
fn each_addition_change_and_deletion_is_one_call() {
    let mut home = Model::default();
    assert_eq!(
        home.apply_plan(&wanted(&[("mn-1", "Phone", 2, Standard)])),
        1
    );
    assert_eq!(
        home.apply_plan(&wanted(&[("mn-1", "Phone", 2, Standard)])),
        0
    );
    assert_eq!(home.apply_plan(&wanted(&[("mn-1", "My phone", 2, Off)])), 1);
    assert_eq!(ours(&home)["mn-1"].policy, Some(Off));
    assert_eq!(home.apply_plan(&wanted(&[])), 1);
    assert!(home.0.is_empty());
}

#[test]
fn a_tenants_settings_survive_our_change() {
    let mut home = Model::default();
    home.apply_plan(&wanted(&[("mn-1", "Phone", 2, Standard)]));
    home.0[0].insert("tags".into(), json!(["device_phone"]));
    home.apply_plan(&wanted(&[("mn-1", "Phone", 2, Strict)]));
    assert_eq!(home.0[0]["tags"], json!(["device_phone", LOCK_TAG]));
    home.apply_plan(&wanted(&[("mn-1", "Phone", 2, Standard)]));
    assert_eq!(home.0[0]["tags"], json!(["device_phone"]));
}

#[test]
fn locks_do_without_the_look_up_service_and_get_it_back() {
    let mut home = Model(vec![client("Own", &["10.88.1.77"])]);
    let all = wanted(&[
        ("mn-1", "Phone", 2, Strict),
        ("mn-2", "TV", 3, FilterPolicy::Family),
        ("mn-3", "Laptop", 4, Standard),
    ]);
    home.apply_plan(&all);
    let (before, without) = (home.0.clone(), NO_LOOKUPS);
    assert!(form_changes(&home.0, Means::FULL).is_empty());
    let away = form_changes(&home.0, without);
    assert_eq!(away.len(), 2, "{away:?}");
    for change in away {
        home.apply(&change);
    }
    assert!(form_changes(&home.0, without).is_empty());
    let policies = our_clients(&home.0, |c| policy_of(c, without));
    for (mark, client) in &all {
        assert_eq!(policies[mark].policy, Some(client.policy));
    }
    assert!(plan(&home.0, &all, without).is_empty());
    for change in form_changes(&home.0, Means::FULL) {
        home.apply(&change);
    }
    assert_eq!(home.0, before);
}

#[test]
fn the_policy_off_does_without_the_pass_rule_and_gets_it_back() {
    let mut home = Model(vec![client("Own", &["10.88.1.77"])]);
    let all = wanted(&[
        ("mn-1", "Phone", 2, Off),
        ("mn-2", "TV", 3, Off),
        ("mn-3", "Laptop", 4, Strict),
    ]);
    home.apply_plan(&all);
    home.0[2].insert("blocked_services".into(), json!(["tiktok"]));
    for (means, filters) in [
        (NO_PASS_RULE, [false, false]),
        // A service that the tenant blocks for one device would pass.
        (Means::FULL, [true, false]),
    ] {
        let changes = form_changes(&home.0, means);
        assert!(!changes.is_empty());
        for change in changes {
            home.apply(&change);
        }
        assert!(form_changes(&home.0, means).is_empty());
        assert!(plan(&home.0, &all, means).is_empty());
        let of = |client: &Object| client["filtering_enabled"] == json!(true);
        assert_eq!([of(&home.0[1]), of(&home.0[2])], filters);
        assert_eq!(home.0[1]["tags"] == json!([OFF_TAG]), filters[0]);
        assert_eq!(home.0[2]["blocked_services"], json!(["tiktok"]));
        assert_eq!(without_filter(&home.0).count(), 2);
    }
    // A device that gets the policy now has no services of its own any more.
    let mut all = all;
    all.get_mut("mn-3").unwrap().policy = Off;
    for change in plan(&home.0, &all, NO_PASS_RULE) {
        home.apply(&change);
    }
    assert!(form_changes(&home.0, NO_PASS_RULE).is_empty());
    assert_eq!(home.0[3]["filtering_enabled"], json!(false));
}

#[test]
fn a_tenants_client_keeps_its_name() {
    let own = client("Phone", &["10.88.1.77"]);
    let mut home = Model(vec![own.clone()]);
    let want = wanted(&[("mn-1", "Phone", 2, Standard)]);
    home.apply_plan(&want);
    assert_eq!(home.0[0], own);
    assert_eq!(ours(&home)["mn-1"].name, "Phone (2)");
    assert_eq!(home.apply_plan(&want), 0);
    home.apply_plan(&wanted(&[]));
    assert_eq!(home.0, [own]);
}

#[test]
fn a_client_without_its_mark_is_recognised() {
    let mut home = Model(vec![client("Mine", &["10.88.1.2"])]);
    home.apply_plan(&wanted(&[("mn-1", "Phone", 2, Standard)]));
    assert_eq!(home.0.len(), 1);
    assert_eq!(home.0[0]["upstreams"], json!(["tls://Mine"]));
    assert_eq!(ours(&home)["mn-1"].name, "Phone");
}

#[test]
fn a_tenants_group_loses_only_the_devices_address() {
    let mut home = Model(vec![client(
        "Kids",
        &["10.88.1.2", "10.88.1.99", "aa:bb:cc:dd:ee:ff"],
    )]);
    home.apply_plan(&wanted(&[("mn-1", "Phone", 2, Standard)]));
    let group = ids_of(&home.0[0]);
    assert_eq!(
        group,
        ["10.88.1.99".to_owned(), "aa:bb:cc:dd:ee:ff".to_owned()].into()
    );
    assert_eq!(home.0.len(), 2);
}

#[test]
fn labels_and_addresses_can_be_swapped() {
    let mut home = Model::default();
    home.apply_plan(&wanted(&[
        ("mn-1", "A", 2, Standard),
        ("mn-2", "B", 3, Standard),
    ]));
    home.0[0].insert("tags".into(), json!(["x"]));
    let swapped = wanted(&[("mn-1", "B", 3, Standard), ("mn-2", "A", 2, Standard)]);
    assert_eq!(
        home.apply_plan(&swapped),
        3,
        "one is parked and then updated"
    );
    assert_eq!(ours(&home)["mn-1"].name, "B");
    assert_eq!(home.0[0]["tags"], json!(["x"]));
    assert_eq!(home.apply_plan(&swapped), 0);
}

fn some_wanted() -> impl Strategy<Value = BTreeMap<String, DnsClient>> {
    let one = (0usize..4, 2u8..8, 0usize..4);
    prop::collection::btree_map(0u8..6, one, 0..6).prop_map(|m| {
        let (mut hosts, mut labels) = (BTreeSet::new(), BTreeSet::new());
        let mut wanted = BTreeMap::new();
        for (mark, (label, host, policy)) in m {
            // A tenant's labels and addresses are unique.
            if hosts.insert(host) && labels.insert(label) {
                let client = DnsClient {
                    address6: None,
                    host_name: String::new(),
                    name: ["A", "B", "A (2)", "C"][label].into(),
                    address: Ipv4Addr::new(10, 88, 1, host),
                    policy: FilterPolicy::ALL[policy],
                };
                wanted.insert(format!("mn-{mark}"), client);
            }
        }
        wanted
    })
}

/// Any clients that a tenant may have made, also with marks, addresses and names
/// like ours.
fn some_home() -> impl Strategy<Value = Model> {
    let id = prop_oneof![
        (2u8..10).prop_map(|h| format!("10.88.1.{h}")),
        (0u8..8).prop_map(|m| format!("mn-{m}")),
        (0u8..4).prop_map(|m| format!("own-{m}")),
    ];
    let name = prop::sample::select(vec!["A", "B", "C", "A (2)", "B (2)", "mn-1", "Mine"]);
    prop::collection::vec((name, prop::collection::btree_set(id, 1..4)), 0..6).prop_map(|all| {
        let mut model = Model::default();
        let (mut names, mut seen) = (BTreeSet::new(), BTreeSet::new());
        for (name, ids) in all {
            let ids: Vec<String> = ids
                .into_iter()
                .filter(|id| seen.insert(id.clone()))
                .collect();
            if !ids.is_empty() && names.insert(name) {
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                model.0.push(client(name, &ids));
            }
        }
        model
    })
}

proptest! {
    #[test]
    fn the_plan_reaches_the_target_from_any_state(mut home in some_home(), want in some_wanted()) {
        // Parking needs a name like a mark. Where a tenant's own client has it,
        // a second round is allowed.
        home.apply_plan(&want);
        home.apply_plan(&want);
        let observed = ours(&home);
        prop_assert_eq!(observed.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
        let names = assign_names(&home.0, &want);
        for (mark, client) in &want {
            prop_assert_eq!(&observed[mark].addresses, &[client.address].into());
            prop_assert_eq!(observed[mark].policy, Some(client.policy));
            prop_assert_eq!(&observed[mark].name, &names[mark]);
        }
        prop_assert_eq!(home.apply_plan(&want), 0);
    }

    #[test]
    fn a_tenants_own_ids_are_never_lost(mut home in some_home(), want in some_wanted()) {
        let own = |m: &Model| -> BTreeSet<String> {
            m.0.iter().flat_map(ids_of).filter(|id| id.starts_with("own-")).collect()
        };
        let before = own(&home);
        home.apply_plan(&want);
        prop_assert_eq!(own(&home), before);
    }
}
