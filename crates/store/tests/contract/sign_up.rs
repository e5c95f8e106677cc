//! Who may sign up, invitations, reserved names and tenants that sleep.

use crate::{
    statistics::{sample, tenant_with},
    test_database::{NOW, TestDatabase, name, new_device, new_tenant, scope, sign_up},
};
use domain::{
    AddressPlan, ErrorCode, Field, Invitation, InvitationState, InvitationTerms,
    OperatorPermission, OwnerScope, Plan, Secret, SignUpMode, TenantId, Timestamp,
};
use std::{collections::BTreeSet, sync::Arc};
use store::{LOCAL_NODE, Store, StoreError, TenantRecord, TenantState, TokenHash};

const HOUR: i64 = 3_600_000;

fn owner() -> OwnerScope {
    OwnerScope::issue("ada")
}

fn terms(plan: Option<&str>, uses: u32) -> InvitationTerms {
    InvitationTerms {
        plan: plan.map(str::to_owned),
        uses,
        hours: 24,
        note: "for the fair".to_owned(),
    }
}

fn code(text: &str) -> TokenHash {
    TokenHash::of(&Secret::new(text))
}

async fn invite(store: &Store, terms: &InvitationTerms, text: &str) {
    let made = store
        .create_invitations(&owner(), terms, &[code(text)], NOW)
        .await;
    assert_eq!(made.unwrap().len(), 1);
}

async fn find(store: &Store, text: &str, now: Timestamp) -> Invitation {
    let found = store.invitation_by_code(&code(text), now).await.unwrap();
    found.unwrap()
}

async fn sign_up_with(
    store: &Store,
    tenant: &str,
    invitation: &str,
    plan: &str,
    now: Timestamp,
) -> Result<TenantRecord, StoreError> {
    let mut new = new_tenant(tenant);
    new.invitation = Some(code(invitation));
    plan.clone_into(&mut new.plan);
    new.now = now;
    let none = BTreeSet::new();
    let created = store
        .create_tenant(new, &AddressPlan::default(), &none)
        .await;
    created.map(|c| c.value)
}

async fn actions(store: &Store) -> Vec<String> {
    let entries = store.audit_recent(20).await.unwrap();
    entries.into_iter().map(|e| e.action).collect()
}

pub async fn a_set_mode_counts_until_it_is_taken_back(db: &TestDatabase) {
    let store = db.store().await;
    assert_eq!(store.sign_up_mode().await.unwrap(), None);
    for mode in [SignUpMode::Closed, SignUpMode::Invite] {
        store
            .set_sign_up_mode(&owner(), Some(mode), NOW)
            .await
            .unwrap();
        assert_eq!(store.sign_up_mode().await.unwrap(), Some(mode));
    }
    // What holds already is no change.
    let again = store
        .set_sign_up_mode(&owner(), Some(SignUpMode::Invite), NOW)
        .await;
    again.unwrap();
    store.set_sign_up_mode(&owner(), None, NOW).await.unwrap();
    assert_eq!(store.sign_up_mode().await.unwrap(), None);
    assert_eq!(actions(&store).await, ["sign_up.mode"; 3]);
}

pub async fn a_reserved_name_is_refused_at_the_sign_up(db: &TestDatabase) {
    let store = db.store().await;
    let taken = sign_up(&store, "shop").await;
    let names = ["intranet".to_owned(), "shop".to_owned()];
    assert_eq!(store.reserve_names(&owner(), &names, NOW).await.unwrap(), 2);
    assert_eq!(store.reserve_names(&owner(), &names, NOW).await.unwrap(), 0);
    assert!(store.is_reserved("intranet").await.unwrap());
    let listed = store.reserved_names().await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|r| (r.name.as_str(), r.added_by.as_str()))
        .collect();
    assert_eq!(
        listed,
        [("intranet", "operator:ada"), ("shop", "operator:ada")]
    );
    // It was checked before an operator reserved it.
    let none = BTreeSet::new();
    let plan = AddressPlan::default();
    let refused = store
        .create_tenant(new_tenant("intranet"), &plan, &none)
        .await;
    let failure = refused.unwrap_err().failure();
    assert_eq!(
        (failure.code, failure.field),
        (ErrorCode::NameReserved, Some(Field::Name))
    );
    assert_eq!(
        store.tenant(&scope(&taken)).await.unwrap().name,
        name("shop")
    );
    store.release_name(&owner(), "intranet", NOW).await.unwrap();
    let again = store.release_name(&owner(), "intranet", NOW).await;
    assert!(matches!(again, Err(StoreError::NotFound)));
    sign_up(&store, "intranet").await;
    let found = actions(&store).await;
    let expected = [
        "tenant.create",
        "name.release",
        "name.reserve",
        "name.reserve",
    ];
    assert_eq!(found[..4], expected);
}

pub async fn more_names_than_the_limit_are_not_reserved(db: &TestDatabase) {
    let store = db.store().await;
    let names: Vec<String> = (0..=store::MAX_RESERVED_NAMES)
        .map(|n| format!("name{n}"))
        .collect();
    let refused = store.reserve_names(&owner(), &names, NOW).await;
    assert!(matches!(
        refused,
        Err(StoreError::TooManyReserved {
            allowed: store::MAX_RESERVED_NAMES
        })
    ));
    assert!(store.reserved_names().await.unwrap().is_empty());
    let reserved = store.reserve_names(&owner(), &names[1..], NOW).await;
    assert_eq!(reserved.unwrap(), store::MAX_RESERVED_NAMES);
}

pub async fn an_invitation_is_used_as_often_as_it_may_be(db: &TestDatabase) {
    let store = db.store().await;
    invite(&store, &terms(None, 2), "ab").await;
    let stored = find(&store, "ab", NOW).await;
    assert_eq!(
        (stored.state, stored.used, stored.uses),
        (InvitationState::Open, 0, 2)
    );
    assert_eq!(stored.expires_at, NOW.plus_millis(24 * HOUR));
    let first = sign_up_with(&store, "one-1", "ab", "home", NOW)
        .await
        .unwrap();
    assert_eq!(first.invitation, Some(stored.id));
    // A refused sign-up uses nothing up.
    let taken = sign_up_with(&store, "one-1", "ab", "home", NOW).await;
    assert!(matches!(taken, Err(StoreError::NameTaken)));
    assert_eq!(find(&store, "ab", NOW).await.used, 1);
    sign_up_with(&store, "two-2", "ab", "studio", NOW)
        .await
        .unwrap();
    assert_eq!(find(&store, "ab", NOW).await.state, InvitationState::UsedUp);
    let failure = sign_up_with(&store, "three", "ab", "home", NOW)
        .await
        .unwrap_err()
        .failure();
    let expected = (ErrorCode::InvitationUsedUp, Some(Field::Invitation));
    assert_eq!((failure.code, failure.field), expected);
    let unknown = sign_up_with(&store, "three", "cd", "home", NOW).await;
    assert!(matches!(unknown, Err(StoreError::InvitationUnknown)));
    assert!(!store.name_taken(&name("three")).await.unwrap());
}

pub async fn the_last_use_of_an_invitation_is_given_once(db: &TestDatabase) {
    let store = Arc::new(db.store().await);
    invite(&store, &terms(None, 3), "ab").await;
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let store = store.clone();
            let tenant = format!("guest{n}");
            tokio::spawn(async move { sign_up_with(&store, &tenant, "ab", "home", NOW).await })
        })
        .collect();
    let mut given = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => given += 1,
            Err(StoreError::InvitationNotOpen { state }) => {
                assert_eq!(state, InvitationState::UsedUp);
            }
            Err(e) => panic!("{e}"),
        }
    }
    assert_eq!((given, find(&store, "ab", NOW).await.used), (3, 3));
    assert_eq!(store.row_counts().await.unwrap().tenants, 3);
}

pub async fn an_ended_invitation_says_why(db: &TestDatabase) {
    let store = db.store().await;
    let fair = Plan {
        id: "fair".to_owned(),
        visible: false,
        ..store.plan("home").await.unwrap().unwrap()
    };
    store.create_plan(&owner(), &fair, NOW).await.unwrap();
    for text in ["expired", "revoked", "gone"] {
        invite(&store, &terms(Some("fair"), 5), text).await;
    }
    let unknown = store
        .create_invitations(&owner(), &terms(Some("nope"), 1), &[code("x")], NOW)
        .await;
    assert!(matches!(unknown, Err(StoreError::PlanUnknown)));
    // Its plan decides.
    let other = sign_up_with(&store, "guest", "gone", "home", NOW).await;
    assert!(matches!(other, Err(StoreError::PlanUnknown)));
    let guest = sign_up_with(&store, "guest", "gone", "fair", NOW)
        .await
        .unwrap();
    assert_eq!(guest.plan.id, "fair");
    let id = find(&store, "revoked", NOW).await.id;
    let revoked = store.revoke_invitation(&owner(), id, NOW).await.unwrap();
    assert_eq!(revoked.state, InvitationState::Revoked);
    store.revoke_invitation(&owner(), id, NOW).await.unwrap();
    let nothing = store
        .revoke_invitation(&owner(), domain::InvitationId(4_711), NOW)
        .await;
    assert!(matches!(nothing, Err(StoreError::NotFound)));
    let later = NOW.plus_millis(24 * HOUR);
    for (text, now, expected) in [
        ("expired", later, InvitationState::Expired),
        ("revoked", NOW, InvitationState::Revoked),
    ] {
        let refused = sign_up_with(&store, "late", text, "fair", now).await;
        let Err(StoreError::InvitationNotOpen { state }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(state, expected);
    }
    // A plan may be deleted all the same.
    store.set_plan(&scope(&guest), "home", NOW).await.unwrap();
    store.delete_plan(&owner(), "fair", NOW).await.unwrap();
    assert_eq!(
        find(&store, "gone", NOW).await.state,
        InvitationState::PlanGone
    );
    let found = actions(&store).await;
    assert_eq!(
        found.iter().filter(|a| *a == "invitation.revoke").count(),
        1
    );
    assert_eq!(store.prune_invitations(later).await.unwrap(), 0);
    assert_eq!(
        store.prune_invitations(later.plus_millis(1)).await.unwrap(),
        3
    );
}

pub async fn ten_thousand_invitations_are_listed_by_pages(db: &TestDatabase) {
    let store = db.store().await;
    for thousand in 0..10 {
        let codes: Vec<_> = (0..1_000)
            .map(|n| code(&format!("{thousand}-{n}")))
            .collect();
        let made = store
            .create_invitations(&owner(), &terms(None, 1), &codes, NOW)
            .await;
        let ids: BTreeSet<_> = made.unwrap().into_iter().collect();
        assert_eq!(ids.len(), 1_000);
    }
    let (mut before, mut seen) = (i64::MAX, 0);
    loop {
        let page = store.invitations_before(before, 200, NOW).await.unwrap();
        let Some(last) = page.last() else {
            break;
        };
        assert!(page.is_sorted_by(|a, b| a.id > b.id) && page[0].id.0 < before);
        before = last.id.0;
        seen += page.len();
    }
    assert_eq!(seen, 10_000);
    assert_eq!(actions(&store).await, ["invitation.create"; 10]);
}

/// Returns whether the node's spec has the tenant asleep.
async fn is_asleep(store: &Store, tenant: &TenantRecord) -> bool {
    let spec = store.load_spec(LOCAL_NODE).await.unwrap();
    let asleep = spec.tenants[&tenant.slot].asleep;
    let stored = store.tenant(&scope(tenant)).await.unwrap();
    assert_eq!(stored.asleep_since.is_some(), asleep);
    asleep
}

async fn due(store: &Store, until: Timestamp) -> Vec<TenantId> {
    store.tenants_due_to_sleep(until, 10).await.unwrap()
}

pub async fn an_unused_tenant_sleeps_and_wakes(db: &TestDatabase) {
    let store = db.store().await;
    let lina = sign_up(&store, "lina").await;
    assert!(due(&store, NOW.plus_millis(-1)).await.is_empty());
    assert_eq!(due(&store, NOW).await, [lina.id]);
    let later = NOW.plus_millis(24 * HOUR);
    let slept = store
        .put_to_sleep(lina.id, NOW, later)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((slept.slot, slept.node), (lina.slot, LOCAL_NODE));
    assert_eq!(
        store.generation(LOCAL_NODE).await.unwrap(),
        slept.generation
    );
    assert!(is_asleep(&store, &lina).await);
    assert!(due(&store, later).await.is_empty());
    assert_eq!(store.sleeping_tenants(10).await.unwrap(), [lina.id]);
    // Once is enough, also of two that do it at once.
    assert_eq!(
        store.put_to_sleep(lina.id, later, later).await.unwrap(),
        None
    );
    let changed = store
        .spec_changes(LOCAL_NODE, slept.generation - 1, &[lina.slot].into())
        .await;
    assert!(changed.unwrap().changed[0].asleep);

    assert!(store.wake(lina.id, "lina", later).await.unwrap().is_some());
    assert!(!is_asleep(&store, &lina).await);
    assert_eq!(store.wake(lina.id, "lina", later).await.unwrap(), None);
    // The time begins with the wake-up.
    assert!(due(&store, later.plus_millis(-1)).await.is_empty());
    assert_eq!(due(&store, later).await, [lina.id]);
    assert_eq!(actions(&store).await[..2], ["tenant.wake", "tenant.sleep"]);
    let kinds = store.tenant_events(&scope(&lina), 10).await.unwrap();
    let kinds: Vec<_> = kinds.into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["tenant.awake", "tenant.asleep"]);

    // A suspended tenant has nothing that could sleep.
    let suspended = store
        .set_state(&scope(&lina), TenantState::Suspended, later)
        .await;
    suspended.unwrap();
    assert!(due(&store, later).await.is_empty());
    assert_eq!(
        store.put_to_sleep(lina.id, later, later).await.unwrap(),
        None
    );
    store.delete_tenant(&scope(&lina), later).await.unwrap();
    let gone = store.wake(lina.id, "lina", later).await;
    assert!(matches!(gone, Err(StoreError::NotFound)));
}

pub async fn a_new_device_wakes_its_tenant(db: &TestDatabase) {
    let store = db.store().await;
    let lina = sign_up(&store, "lina").await;
    store
        .put_to_sleep(lina.id, NOW, NOW)
        .await
        .unwrap()
        .unwrap();
    let plan = AddressPlan::default();
    let added = store
        .add_device(&scope(&lina), new_device("Phone"), &plan)
        .await;
    let added = added.unwrap();
    let spec = store.load_spec(LOCAL_NODE).await.unwrap();
    assert_eq!(spec.generation, added.generation, "one change");
    assert!(!is_asleep(&store, &lina).await);
    assert_eq!(
        due(&store, NOW).await,
        [lina.id],
        "no device has connected yet"
    );
}

pub async fn a_handshake_wakes_a_tenant_for_good(db: &TestDatabase) {
    let store = db.store().await;
    let (s, devices) = tenant_with(&store, 2).await;
    let tenant = store.tenant(&s).await.unwrap();
    store
        .put_to_sleep(s.tenant(), NOW, NOW)
        .await
        .unwrap()
        .unwrap();
    let record = async |handshake: Option<Timestamp>, at: i64| {
        let mut read = sample(&devices[0], 0, 0);
        read.last_handshake = handshake;
        let at = NOW.plus_millis(at);
        store
            .record_statistics(LOCAL_NODE, &[read], None, at)
            .await
            .unwrap();
    };
    record(None, 0).await;
    assert!(store.newly_used_tenants().await.unwrap().is_empty());
    record(Some(NOW), 10_000).await;
    assert_eq!(store.newly_used_tenants().await.unwrap(), [s.tenant()]);
    assert!(
        store
            .note_first_use(s.tenant(), NOW)
            .await
            .unwrap()
            .is_some()
    );
    assert!(!is_asleep(&store, &tenant).await);
    assert!(store.newly_used_tenants().await.unwrap().is_empty());
    assert!(due(&store, NOW.plus_millis(1_000 * HOUR)).await.is_empty());

    // Of one that is awake no node learns anything.
    let other = sign_up(&store, "other").await;
    let before = store.generation(LOCAL_NODE).await.unwrap();
    assert_eq!(store.note_first_use(other.id, NOW).await.unwrap(), None);
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), before);
    assert!(due(&store, NOW).await.is_empty());
}

pub async fn a_handshake_that_was_not_noted_prevents_sleep(db: &TestDatabase) {
    let store = db.store().await;
    let (s, devices) = tenant_with(&store, 1).await;
    let mut read = sample(&devices[0], 0, 0);
    read.last_handshake = Some(NOW);
    store
        .record_statistics(LOCAL_NODE, &[read], None, NOW)
        .await
        .unwrap();
    assert_eq!(due(&store, NOW).await, [s.tenant()]);
    assert_eq!(
        store.put_to_sleep(s.tenant(), NOW, NOW).await.unwrap(),
        None
    );
}

pub async fn what_is_set_of_sign_ups_says_where_it_came_from(db: &TestDatabase) {
    let store = db.store().await;
    let ada = OperatorPermission::Owner(owner()).with_origin("192.0.2.7");
    let ada = ada.owner().unwrap();
    let invite = Some(SignUpMode::Invite);
    store.set_sign_up_mode(ada, invite, NOW).await.unwrap();
    let names = ["imprint".to_owned()];
    store.reserve_names(ada, &names, NOW).await.unwrap();
    store.release_name(ada, "imprint", NOW).await.unwrap();
    let codes = [code("one")];
    let terms = terms(None, 1);
    let made = store.create_invitations(ada, &terms, &codes, NOW);
    let made = made.await.unwrap();
    store.revoke_invitation(ada, made[0], NOW).await.unwrap();
    let log = store.audit_recent(20).await.unwrap();
    assert_eq!(log.len(), 5);
    for row in &log {
        assert_eq!(row.origin, "192.0.2.7", "{row:?}");
    }
    let mode = log.last().unwrap();
    assert_eq!(
        (mode.before.as_str(), mode.after.as_str()),
        ("as configured", "invite")
    );
}
