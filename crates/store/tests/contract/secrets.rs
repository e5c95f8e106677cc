//! Which values are in the database in clear text and which are not.

use crate::test_database::{KEY, NOW, TestDatabase, new_device, new_tenant, scope};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{AddressPlan, Message, Secret, TenantScope};
use seal::Sealer;
use std::{collections::BTreeSet, time::Duration};
use store::{
    DatabaseUrl, DeviceRecord, LOCAL_NODE, NewTicket, Sessions, Store, StoreError, TicketHolder,
    TokenHash,
};
use time::OffsetDateTime;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
};

/// Creates a tenant with two devices. Returns every secret that was stored.
async fn fill(store: &Store) -> (TenantScope, [DeviceRecord; 2], Vec<[u8; 32]>) {
    let plan = AddressPlan::default();
    let new = new_tenant("abcd");
    let mut secrets = vec![*new.private_key.as_bytes()];
    let t = store
        .create_tenant(new, &plan, &BTreeSet::new())
        .await
        .unwrap()
        .value;
    let mut devices = Vec::new();
    for text in ["One", "Two"] {
        let new = new_device(text);
        secrets.push(*new.private_key.as_ref().unwrap().as_bytes());
        secrets.push(*new.preshared_key.as_bytes());
        devices.push(
            store
                .add_device(&scope(&t), new, &plan)
                .await
                .unwrap()
                .value,
        );
    }
    (scope(&t), devices.try_into().unwrap(), secrets)
}

pub async fn a_new_key_seals_everything_again(db: &TestDatabase) {
    let path = db.dir.path().join("changed.key");
    std::fs::write(&path, format!("{}\n", STANDARD.encode(KEY))).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let store = db.store().await;
    let (scope, devices, _) = fill(&store).await;
    let pem = store::AuthorityPem {
        certificate: "the certificate".to_owned(),
        key: Secret::new("the authority's key"),
    };
    store.authority_or_insert(&pem).await.unwrap();
    store.close().await;

    let both = Sealer::begin_key_change(&path).unwrap();
    let store = Store::open(db.url(), both).await.unwrap();
    let resealed = store.reseal().await.unwrap();
    // Two values of the tenant, two of each device, the authority's key, the fixed word.
    assert_eq!((resealed.changed, resealed.unchanged), (8, 0));
    let again = store.reseal().await.unwrap();
    assert_eq!((again.changed, again.unchanged), (0, 8));
    store.close().await;
    Sealer::finish_key_change(&path).unwrap();

    let former = Store::open(db.url(), Sealer::from_key(KEY)).await;
    assert!(matches!(former, Err(StoreError::WrongKey)), "{former:?}");
    let store = Store::open(db.url(), Sealer::from_key_file(&path).unwrap());
    let store = store.await.unwrap();
    for device in &devices {
        store.device_secret(&scope, device.id).await.unwrap();
    }
    assert_eq!(store.authority().await.unwrap(), Some(pem));
    store.close().await;
}

pub async fn sealed_columns_contain_no_clear_text(db: &TestDatabase) {
    let store = db.store().await;
    let (_, _, secrets) = fill(&store).await;
    store.close().await;
    let mut columns = Vec::new();
    for (table, column) in [
        ("users", "wg_private_key"),
        ("users", "dns_password"),
        ("peers", "private_key"),
        ("peers", "preshared_key"),
    ] {
        columns.extend(db.texts(&format!("SELECT {column} FROM {table}")).await);
    }
    assert_eq!(columns.len(), 6);
    for c in &columns {
        assert!(c.starts_with("v1:"), "{c}");
        let raw = STANDARD.decode(&c[3..]).unwrap();
        assert!(!secrets.iter().any(|s| raw.windows(32).any(|w| w == s)));
    }
    // Nor are they anywhere else in the file, in either form.
    if let DatabaseUrl::Sqlite(path) = db.url() {
        let file = std::fs::read(path).unwrap();
        let mut needles: Vec<Vec<u8>> = vec![b"dns-password-of".to_vec()];
        for s in &secrets {
            needles.push(s.to_vec());
            needles.push(STANDARD.encode(s).into_bytes());
        }
        for n in needles {
            assert!(
                !file.windows(n.len()).any(|w| w == n),
                "a secret is in the file"
            );
        }
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o600);
    }
}

pub async fn another_key_is_refused_at_opening(db: &TestDatabase) {
    fill(&db.store().await).await;
    let e = Store::open(db.url(), Sealer::from_key([1; 32]))
        .await
        .unwrap_err();
    assert!(matches!(e, StoreError::WrongKey), "{e}");
    assert_eq!(e.failure().message, Message::SealKeyOther);
    Store::open(db.url(), Sealer::from_key(KEY)).await.unwrap();
}

pub async fn a_sealed_value_moved_to_another_row_does_not_open(db: &TestDatabase) {
    let store = db.store().await;
    let (s, [one, two], _) = fill(&store).await;
    let copy = |column: &str| {
        format!(
            "UPDATE peers SET {column} = (SELECT {column} FROM peers WHERE id = {}) WHERE id = {}",
            one.id, two.id
        )
    };
    db.raw(&copy("private_key")).await;
    let e = store.device_secret(&s, two.id).await.unwrap_err();
    assert!(matches!(e, StoreError::Seal(_)), "{e}");
    assert!(store.device_secret(&s, one.id).await.is_ok());
    assert!(
        store.load_spec(LOCAL_NODE).await.is_ok(),
        "the node does not need it"
    );
    db.raw(&copy("preshared_key")).await;
    let spec = store.load_spec(LOCAL_NODE).await.unwrap();
    assert!(spec.tenants.is_empty());
    let refused = spec.unreadable.values().next().unwrap();
    assert_eq!(refused.name.as_ref().unwrap().as_str(), "abcd");
    let place = format!(
        "a sealed value (peers.preshared_key of {}) cannot be opened",
        two.public_key
    );
    assert_eq!(refused.place, place);
    // A preshared key does not open in the column of the private key.
    db.raw("UPDATE peers SET private_key = preshared_key").await;
    assert!(store.device_secret(&s, one.id).await.is_err());
}

pub async fn session_ids_and_tokens_are_stored_hashed(db: &TestDatabase) {
    let store = db.store().await;
    let (s, _, _) = fill(&store).await;
    let holder = TicketHolder::Tenant(s.tenant());
    let token = TokenHash::of(&Secret::new("the-token"));
    let new = NewTicket {
        token: &token,
        holder,
        audience: "h",
        parent: None,
        proof: "proof",
        stays: false,
        now: NOW,
        expires: NOW,
        entry: None,
    };
    store.create_ticket(new).await.unwrap();
    let mut record = Record {
        id: Id(99),
        data: Default::default(),
        expiry_date: OffsetDateTime::now_utc() + Duration::from_secs(60),
    };
    Sessions::new(store).create(&mut record).await.unwrap();
    let stored = [
        db.texts("SELECT token_hash FROM tickets").await,
        db.texts("SELECT id FROM sessions").await,
    ]
    .concat();
    assert_eq!(stored.len(), 2);
    assert!(!stored.contains(&"the-token".to_owned()) && !stored.contains(&record.id.to_string()));
}
