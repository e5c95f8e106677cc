//! Sign-up: its form, its limits, and concurrent requests.

use crate::rig::{FROM, Options, PASSWORD, Rig, code, form};
use control::{Audience, Entropy, PresentedTicket, SignUp};
use domain::{ErrorCode, Message, Secret, Slot, TenantName};
use seal::Sealer;
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};
use store::{DatabaseUrl, Store};

#[tokio::test]
async fn a_wrong_form_is_refused_at_its_field() {
    let rig = Rig::new().await;
    rig.tenant("taken").await;
    let with = |name: &str, password: &str, plan: &str| SignUp {
        name: name.into(),
        password: Secret::new(password),
        plan: plan.into(),
        invitation: None,
        mail: String::new(),
    };
    let (long_name, long_password) = ("x".repeat(10_000), "y".repeat(100_000));
    for (form, expected) in [
        (with("Taken", PASSWORD, "home"), ErrorCode::NameTaken),
        (with("admin", PASSWORD, "home"), ErrorCode::NameReserved),
        (with("lina-dns", PASSWORD, "home"), ErrorCode::NameReserved),
        (with("a", PASSWORD, "home"), ErrorCode::NameMalformed),
        (with(&long_name, PASSWORD, "home"), ErrorCode::NameMalformed),
        (with("fresh", "", "home"), ErrorCode::PasswordWeak),
        (
            with("fresh", "aaaaaaaaaaaa", "home"),
            ErrorCode::PasswordWeak,
        ),
        (
            with("fresh", &long_password, "home"),
            ErrorCode::PasswordWeak,
        ),
        (
            with("fresh", PASSWORD, "free-for-ever"),
            ErrorCode::PlanUnknown,
        ),
    ] {
        let failure = rig.control.tenants().sign_up(form, FROM).await.unwrap_err();
        assert_eq!(failure.code, expected);
        assert!(failure.field.is_some() && !failure.message.code().is_empty());
    }
    assert!(
        rig.control.tenants().check_name("fresh").await.is_ok(),
        "the name is still available"
    );
}

#[tokio::test]
async fn a_full_node_refuses_and_creates_nothing() {
    let rig = Rig::with(Options {
        excluded_slots: Slot::all().filter(|s| s.get() > 2).collect(),
        ..Options::default()
    })
    .await;
    rig.tenant("one-1").await;
    rig.tenant("two-2").await;
    assert_eq!(
        code(rig.control.tenants().sign_up(form("three"), FROM).await),
        ErrorCode::NodeFull
    );
    assert!(rig.control.tenants().check_name("three").await.is_ok());
}

#[tokio::test]
async fn expensive_sign_ups_count_even_if_refused() {
    let limited = async |excluded_slots: BTreeSet<Slot>| {
        Rig::with(Options {
            excluded_slots,
            sign_ups_per_hour: 2,
            ..Options::default()
        })
        .await
    };
    let codes = async |rig: &Rig, form: &dyn Fn(usize) -> SignUp| {
        let mut codes = Vec::new();
        for n in 0..3 {
            codes.push(code(rig.control.tenants().sign_up(form(n), FROM).await));
        }
        codes
    };
    let (node_full, weak) = (ErrorCode::NodeFull, ErrorCode::PasswordWeak);
    let many = ErrorCode::TooManyTries;
    let full = limited(Slot::all().collect()).await;
    let refused = codes(&full, &|n| form(&format!("name{n}"))).await;
    assert_eq!(refused, [node_full, node_full, many]);
    let guessable = |n: usize| SignUp {
        password: Secret::new("aaaaaaaaaaaa"),
        ..form(&format!("name{n}"))
    };
    let rig = limited(BTreeSet::new()).await;
    assert_eq!(codes(&rig, &guessable).await, [weak, weak, many]);
    // A request that costs no processor time does not count.
    let short = |n: usize| SignUp {
        password: Secret::new("short"),
        ..form(&format!("name{n}"))
    };
    let rig = limited(BTreeSet::new()).await;
    assert_eq!(codes(&rig, &short).await, [weak, weak, weak]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_ticket_is_reported_as_created() {
    let root = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(root.path().join("d.sqlite"));
    let open = async || {
        let sealer = Sealer::from_key([7; 32]);
        Store::open(&url, sealer).await.unwrap()
    };
    let store = open().await;
    // The second token is the ticket's, drawn once the account exists.
    let (tokens, closes) = (AtomicUsize::new(0), store.clone());
    let entropy = Entropy::from_fn(move |into| {
        if into.len() == 24 && tokens.fetch_add(1, Ordering::SeqCst) == 1 {
            let close = || tokio::runtime::Handle::current().block_on(closes.close());
            tokio::task::block_in_place(close);
        }
        getrandom::fill(into).map_err(|e| e.to_string())
    });
    let rig = Rig::with(Options {
        store: Some(store),
        entropy,
        ..Options::default()
    })
    .await;
    let failure = rig
        .control
        .tenants()
        .sign_up(form("lina"), FROM)
        .await
        .unwrap_err();
    assert_eq!(failure.code, ErrorCode::DatabaseUnavailable);
    assert!(
        failure.message
            == Message::CreatedWithoutTicket {
                name: "lina".into()
            },
        "{failure}"
    );
    let name = TenantName::parse("lina").unwrap();
    assert!(open().await.name_taken(&name).await.unwrap());
}

#[tokio::test]
async fn concurrent_sign_ups_share_nothing() {
    let rig = Rig::new().await;
    let tasks: Vec<_> = (0..12)
        .map(|i| {
            let control = rig.control.clone();
            tokio::spawn(async move {
                control
                    .tenants()
                    .sign_up(form(&format!("crowd{i}")), FROM)
                    .await
            })
        })
        .collect();
    let mut subnets = BTreeSet::new();
    for task in tasks {
        let ticket = task.await.unwrap().unwrap();
        let scope = rig
            .control
            .auth()
            .redeem(
                Audience::Dashboard,
                &ticket.name,
                PresentedTicket::Cookie(ticket.ticket.expose()),
                FROM,
            )
            .await
            .unwrap()
            .scope;
        assert!(subnets.insert(rig.control.tenants().progress(&scope).await.unwrap().subnet));
    }
    // Of twelve sign-ups with the same name, one succeeds.
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let control = rig.control.clone();
            tokio::spawn(async move { control.tenants().sign_up(form("the-one"), FROM).await })
        })
        .collect();
    let mut succeeded = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => succeeded += 1,
            Err(f) => assert_eq!(f.code, ErrorCode::NameTaken),
        }
    }
    assert_eq!(succeeded, 1);
}

#[tokio::test]
async fn questions_for_names_are_counted_by_address() {
    let rig = Rig::with(Options {
        sign_ups_per_hour: 1,
        ..Options::default()
    })
    .await;
    let ask = |from: [u8; 4]| {
        rig.control
            .tenants()
            .answer_name_check("fresh", from.into())
    };
    for _ in 0..60 {
        ask([192, 0, 2, 1]).await.unwrap();
    }
    let refused = ask([192, 0, 2, 1]).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::TooManyTries);
    assert!(ask([192, 0, 2, 2]).await.is_ok(), "another address");
    // A sign-up is counted by itself.
    assert!(rig.control.tenants().check_name("fresh").await.is_ok());
}
