//! Operators: links, roles, and that an owner is left.

use crate::test_database::{NOW, TestDatabase, operator};
use domain::{ErrorCode, OperatorRole, Secret, Timestamp};
use futures_util::future::join_all;
use store::{ChangedBy, NewOperatorLink, OperatorId, Store, StoreError, TokenHash};

const BY: ChangedBy<'static> = ChangedBy {
    actor: "operator:ada",
    origin: "192.0.2.7",
    now: NOW,
};

fn token(text: &str) -> TokenHash {
    TokenHash::of(&Secret::new(text))
}

fn link(token: &TokenHash) -> NewOperatorLink<'_> {
    NewOperatorLink {
        token,
        now: NOW,
        expires: NOW.plus_millis(1_000),
    }
}

async fn use_link(store: &Store, link: &str, name: &str, now: Timestamp) -> Result<(), StoreError> {
    let (token, hash) = (token(link), Secret::new("h"));
    let used = store.use_operator_link(&token, name, &hash, "192.0.2.9", now);
    used.await.map(drop)
}

async fn roles(store: &Store) -> Vec<(String, OperatorRole)> {
    let all = store.operators().await.unwrap();
    all.into_iter().map(|o| (o.name, o.role)).collect()
}

pub async fn the_first_operator_has_a_link(db: &TestDatabase) {
    let store = db.store().await;
    assert_eq!(store.operator_count().await.unwrap(), 0);
    let [a, b] = [token("a"), token("b")];
    assert!(store.create_first_operator_link(link(&a)).await.unwrap());
    assert!(store.create_first_operator_link(link(&b)).await.unwrap());
    let found = store.operator_link(&a, NOW).await.unwrap().unwrap();
    assert_eq!((found.name, found.role), (None, OperatorRole::Owner));
    let late = NOW.plus_millis(1_000);
    assert_eq!(store.operator_link(&a, late).await.unwrap(), None);
    let refused = use_link(&store, "a", "ada", late).await;
    assert!(matches!(refused, Err(StoreError::OperatorLinkInvalid)));
    use_link(&store, "a", "ada", NOW).await.unwrap();
    for used in ["a", "b", "c"] {
        let refused = use_link(&store, used, "eve", NOW).await;
        assert!(
            matches!(refused, Err(StoreError::OperatorLinkInvalid)),
            "{used}"
        );
    }
    assert!(!store.create_first_operator_link(link(&b)).await.unwrap());
    assert_eq!(
        roles(&store).await,
        [("ada".to_owned(), OperatorRole::Owner)]
    );
    let log = store.audit_recent(9).await.unwrap();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(
        (log[0].action.as_str(), log[0].object.as_str()),
        ("operator.create", "operator:ada")
    );
    assert_eq!(
        (log[0].origin.as_str(), log[0].after.as_str()),
        ("192.0.2.9", "owner")
    );
}

pub async fn an_invitation_has_a_name_and_a_role(db: &TestDatabase) {
    let store = db.store().await;
    let ada = operator(&store, "ada", OperatorRole::Owner).await;
    let [old, new, other] = [token("old"), token("new"), token("other")];
    let invite = async |token: &TokenHash, name: &str, role| {
        store.invite_operator(link(token), name, role, BY).await
    };
    let taken = invite(&old, "ada", OperatorRole::Owner).await;
    assert!(matches!(taken, Err(StoreError::OperatorNameTaken)));
    invite(&old, "ben", OperatorRole::Owner).await.unwrap();
    invite(&new, "ben", OperatorRole::ReadOnly).await.unwrap();
    invite(&other, "eve", OperatorRole::Support).await.unwrap();
    let open = store.operator_invitations(NOW).await.unwrap();
    let open: Vec<_> = open.iter().map(|i| (i.name.as_str(), i.role)).collect();
    assert_eq!(
        open,
        [
            ("ben", OperatorRole::ReadOnly),
            ("eve", OperatorRole::Support)
        ]
    );
    let later = store.operator_invitations(NOW.plus_millis(1_000)).await;
    assert_eq!(later.unwrap(), []);
    store.withdraw_operator_invitation("eve", BY).await.unwrap();
    let refused = use_link(&store, "other", "eve", NOW).await;
    assert!(matches!(refused, Err(StoreError::OperatorLinkInvalid)));
    let refused = use_link(&store, "old", "ben", NOW).await;
    assert!(
        matches!(refused, Err(StoreError::OperatorLinkInvalid)),
        "replaced"
    );
    use_link(&store, "new", "eve", NOW).await.unwrap();
    assert_eq!(
        roles(&store).await,
        [
            ("ada".to_owned(), OperatorRole::Owner),
            ("ben".to_owned(), OperatorRole::ReadOnly)
        ],
        "the invitation says the name"
    );
    let found = store.operator_by_name("ada").await.unwrap();
    assert_eq!(found, Some(ada.clone()));
    assert_eq!(store.operator(ada.id).await.unwrap(), Some(ada.clone()));
    let hash = Secret::new("h3");
    let set = store.set_operator_password(ada.id, &hash, NOW);
    set.await.unwrap();
    let stored = store.operator(ada.id).await.unwrap().unwrap();
    assert_eq!(stored.password_hash.expose(), "h3");
    let unknown = OperatorId(ada.id.0 + 9);
    let missing = store.set_operator_password(unknown, &hash, NOW).await;
    assert!(matches!(missing, Err(StoreError::NotFound)));
}

pub async fn the_last_owner_stays(db: &TestDatabase) {
    let store = db.store().await;
    let ada = operator(&store, "ada", OperatorRole::Owner).await;
    let ben = operator(&store, "ben", OperatorRole::Support).await;
    let role = async |id, role| store.set_operator_role(id, role, BY).await;
    let lowered = role(ada.id, OperatorRole::Support).await;
    assert!(matches!(lowered, Err(StoreError::LastOwner)));
    let removed = store.remove_operator(ada.id, BY).await;
    assert!(matches!(removed, Err(StoreError::LastOwner)));
    role(ada.id, OperatorRole::Owner).await.unwrap();
    role(ben.id, OperatorRole::Owner).await.unwrap();
    role(ada.id, OperatorRole::ReadOnly).await.unwrap();
    let removed = store.remove_operator(ben.id, BY).await;
    assert!(matches!(removed, Err(StoreError::LastOwner)));
    store.remove_operator(ada.id, BY).await.unwrap();
    let again = store.remove_operator(ada.id, BY).await;
    assert!(matches!(again, Err(StoreError::NotFound)));
    assert_eq!(
        roles(&store).await,
        [("ben".to_owned(), OperatorRole::Owner)]
    );
    let log = store.audit_recent(2).await.unwrap();
    let texts: Vec<_> = log
        .iter()
        .map(|e| [&e.action, &e.before, &e.after].map(String::as_str))
        .collect();
    assert_eq!(
        texts,
        [
            ["operator.remove", "read-only", ""],
            ["operator.role", "owner", "read-only"]
        ]
    );
}

/// Each of ten owners is lowered or removed at once: whatever the order, one is left.
pub async fn of_owners_who_leave_at_once_one_stays(db: &TestDatabase) {
    let store = db.store().await;
    let mut owners = Vec::new();
    for n in 0..10 {
        let name = format!("owner-{n}");
        owners.push(operator(&store, &name, OperatorRole::Owner).await.id);
    }
    let leaving = owners.into_iter().enumerate().map(|(n, id)| {
        let store = store.clone();
        tokio::spawn(async move {
            match n % 2 {
                0 => store.remove_operator(id, BY).await,
                _ => store.set_operator_role(id, OperatorRole::Support, BY).await,
            }
        })
    });
    let left = join_all(leaving).await;
    let refused = left.iter().filter(|r| r.as_ref().unwrap().is_err());
    assert_eq!(refused.count(), 1);
    let owners = roles(&store).await;
    let owners = owners
        .iter()
        .filter(|(_, role)| *role == OperatorRole::Owner);
    assert_eq!(owners.count(), 1);
}

pub async fn a_name_with_nul_is_no_fault_of_the_database(db: &TestDatabase) {
    let store = db.store().await;
    match store.operator_by_name("ad\0a").await {
        // SQLite stores such a text, so it can look for it.
        Ok(found) => assert!(found.is_none() && db.is_sqlite()),
        Err(e) => assert_eq!(e.failure().code, ErrorCode::TextMalformed, "{e:?}"),
    }
}
