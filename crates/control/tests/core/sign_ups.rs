//! Who may sign up: the mode, invitations, reserved names, and the limits that count.

use crate::rig::{FROM, Options, Rig, code, form};
use control::{MadeInvitation, SignUp};
use domain::{
    ErrorCode, Field, InvitationState, InvitationTerms, OwnerScope, Plan, Secret, SignUpMode,
};
use std::net::IpAddr;
use store::Store;

fn owner() -> OwnerScope {
    OwnerScope::issue("ada")
}

fn terms(plan: Option<&str>, uses: u32) -> InvitationTerms {
    InvitationTerms {
        plan: plan.map(str::to_owned),
        uses,
        hours: 1,
        note: String::new(),
    }
}

async fn invite(rig: &Rig, terms: &InvitationTerms) -> MadeInvitation {
    let made = rig.control.sign_ups().create(&owner(), terms, 1).await;
    made.unwrap().remove(0)
}

fn invited(name: &str, code: &str) -> SignUp {
    SignUp {
        invitation: Some(Secret::new(code)),
        ..form(name)
    }
}

/// Adds a plan that visitors do not see.
async fn hidden_plan(rig: &Rig) {
    let plans = rig.control.plans();
    let home = plans.get(&owner(), "home").await.unwrap();
    let hidden = Plan {
        id: "hidden".to_owned(),
        visible: false,
        ..home
    };
    plans.create(&owner(), hidden).await.unwrap();
}

#[tokio::test]
async fn the_mode_is_in_force_everywhere_with_the_next_request() {
    let store = Store::memory().await.unwrap();
    let rig = async |sign_up| {
        let options = Options {
            store: Some(store.clone()),
            sign_up,
            ..Options::default()
        };
        Rig::with(options).await
    };
    let (one, two) = (rig(SignUpMode::Open).await, rig(SignUpMode::Invite).await);
    let setting = two.control.sign_ups().setting(&owner()).await.unwrap();
    assert_eq!((setting.mode, setting.is_set), (SignUpMode::Invite, false));
    assert_eq!(
        one.control.sign_ups().mode().await.unwrap(),
        SignUpMode::Open
    );
    one.tenant("first").await;

    let set = async |mode| {
        one.control
            .sign_ups()
            .set_mode(&owner(), mode)
            .await
            .unwrap()
    };
    set(Some(SignUpMode::Closed)).await;
    for rig in [&one, &two] {
        let refused = rig.control.tenants().sign_up(form("lina"), FROM).await;
        assert_eq!(code(refused), ErrorCode::SignUpClosed);
    }
    set(Some(SignUpMode::Open)).await;
    two.tenant("second").await;
    set(None).await;
    let refused = two
        .control
        .tenants()
        .sign_up(form("lina"), FROM)
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvitationNeeded);
    assert_eq!(refused.field, Some(Field::Invitation));
    one.tenant("third").await;
}

#[tokio::test]
async fn an_invitation_admits_as_many_as_it_says() {
    let rig = Rig::with(Options {
        sign_up: SignUpMode::Invite,
        ..Options::default()
    })
    .await;
    hidden_plan(&rig).await;
    let made = invite(&rig, &terms(Some("hidden"), 2)).await;
    let link = format!(
        "https://vpn.example.org/sign-up?invitation={}",
        made.code.expose()
    );
    assert_eq!(made.link.expose(), link);
    let offer = rig
        .control
        .sign_ups()
        .offer(made.code.expose(), FROM)
        .await
        .unwrap();
    assert_eq!(offer.plan.unwrap().id, "hidden");

    let sign_up = async |name: &str, code: &str| {
        rig.control
            .tenants()
            .sign_up(invited(name, code), FROM)
            .await
    };
    // Blanks around it come with copying.
    sign_up("one-1", &format!(" {}\n", made.code.expose()))
        .await
        .unwrap();
    let scope = rig.scope("one-1").await;
    let dashboard = rig.control.tenants().dashboard(&scope).await.unwrap();
    assert_eq!(dashboard.network.plan.id, "hidden", "it is not the form's");
    let row = &rig.operator_view().await.tenants[0];
    assert_eq!(row.invitation, Some(made.id));

    // What is refused for another reason uses nothing up.
    assert_eq!(
        code(sign_up("one-1", made.code.expose()).await),
        ErrorCode::NameTaken
    );
    let weak = SignUp {
        password: Secret::new("aaaaaaaaaaaaaa"),
        ..invited("two-2", made.code.expose())
    };
    let weak = rig.control.tenants().sign_up(weak, FROM).await;
    assert_eq!(code(weak), ErrorCode::PasswordWeak);
    sign_up("two-2", made.code.expose()).await.unwrap();
    let used_up = sign_up("three", made.code.expose()).await.unwrap_err();
    assert_eq!(used_up.code, ErrorCode::InvitationUsedUp);
    assert_eq!(used_up.field, Some(Field::Invitation));

    let late = invite(&rig, &terms(None, 1)).await;
    rig.clock.advance(3_600_000);
    assert_eq!(
        code(sign_up("three", late.code.expose()).await),
        ErrorCode::InvitationEnded
    );
    let revoked = invite(&rig, &terms(None, 1)).await;
    let sign_ups = rig.control.sign_ups();
    sign_ups.revoke(&owner(), revoked.id).await.unwrap();
    assert_eq!(
        code(sign_up("three", revoked.code.expose()).await),
        ErrorCode::InvitationEnded
    );
    let listed = sign_ups.list(&owner(), i64::MAX, 10).await.unwrap();
    let states: Vec<_> = listed.iter().map(|i| i.state).collect();
    let expected = [
        InvitationState::Revoked,
        InvitationState::Expired,
        InvitationState::UsedUp,
    ];
    assert_eq!(states, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_is_not_given_twice() {
    let rig = Rig::with(Options {
        sign_up: SignUpMode::Invite,
        ..Options::default()
    })
    .await;
    let made = invite(&rig, &terms(None, 1)).await;
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let (control, form) = (
                rig.control.clone(),
                invited(&format!("guest{n}"), made.code.expose()),
            );
            tokio::spawn(async move { control.tenants().sign_up(form, FROM).await })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => admitted += 1,
            Err(f) => assert_eq!(f.code, ErrorCode::InvitationUsedUp),
        }
    }
    assert_eq!(admitted, 1);
}

#[tokio::test]
async fn guessed_invitations_are_counted_by_address() {
    let rig = Rig::new().await;
    let made = invite(&rig, &terms(None, 1)).await;
    let offer = async |code: &str, from: &str| {
        let from: IpAddr = from.parse().unwrap();
        rig.control.sign_ups().offer(code, from).await
    };
    for n in 0..20 {
        let guess = offer(&format!("guess{n}"), "2001:db8:1:2::1").await;
        assert_eq!(code(guess), ErrorCode::InvitationUnknown);
    }
    // Of the same /64; even the right one waits.
    let locked = offer(made.code.expose(), "2001:db8:1:2::2").await;
    assert_eq!(code(locked), ErrorCode::TooManyTries);
    for _ in 0..30 {
        offer(made.code.expose(), "2001:db8:1:3::1").await.unwrap();
    }
    assert_eq!(
        code(offer(&"x".repeat(10_000), "192.0.2.7").await),
        ErrorCode::InvitationUnknown
    );
    rig.clock.advance(60_000);
    offer(made.code.expose(), "2001:db8:1:2::2").await.unwrap();
}

#[tokio::test]
async fn sign_ups_are_counted_by_address_site_and_in_all() {
    let limited = async |per_hour, total| {
        Rig::with(Options {
            sign_ups_per_hour: per_hour,
            sign_ups_per_hour_total: total,
            ..Options::default()
        })
        .await
    };
    let sign_up = async |rig: &Rig, name: &str, from: &str| {
        let ticket = rig
            .control
            .tenants()
            .sign_up(form(name), from.parse().unwrap());
        ticket.await.map(drop)
    };
    let many = ErrorCode::TooManyTries;
    // One from each address of a /64 is one from the same customer.
    let rig = limited(1, 0).await;
    sign_up(&rig, "one-1", "2001:db8:1:1::1").await.unwrap();
    assert_eq!(code(sign_up(&rig, "two-2", "2001:db8:1:1::2").await), many);
    // Five of a /48, though each is from another /64.
    for n in 2..=5 {
        let from = format!("2001:db8:1:{n}::1");
        sign_up(&rig, &format!("site-{n}"), &from).await.unwrap();
    }
    assert_eq!(code(sign_up(&rig, "site-6", "2001:db8:1:6::1").await), many);
    sign_up(&rig, "other", "2001:db8:2::1").await.unwrap();
    // A refusal by one limit is not counted by the others.
    rig.clock.advance(3_600_000);
    sign_up(&rig, "site-6", "2001:db8:1:6::1").await.unwrap();

    let rig = limited(0, 2).await;
    let taken = form("one-1");
    sign_up(&rig, "one-1", "192.0.2.1").await.unwrap();
    for n in 2..10 {
        let from = format!("192.0.2.{n}").parse().unwrap();
        let weak = SignUp {
            name: format!("weak{n}"),
            password: Secret::new("aaaaaaaaaaaaaa"),
            invitation: None,
            plan: taken.plan.clone(),
            mail: String::new(),
        };
        let refused = rig.control.tenants().sign_up(weak, from).await;
        assert_eq!(
            code(refused),
            ErrorCode::PasswordWeak,
            "refused ones leave room"
        );
    }
    sign_up(&rig, "two-2", "192.0.2.2").await.unwrap();
    assert_eq!(code(sign_up(&rig, "three", "192.0.2.3").await), many);
    rig.clock.advance(3_600_000);
    sign_up(&rig, "three", "192.0.2.3").await.unwrap();
}

#[tokio::test]
async fn a_reserved_name_is_refused_wherever_it_is_typed() {
    let rig = Rig::new().await;
    let sign_ups = rig.control.sign_ups();
    let names = [" Intranet ".to_owned(), "shop".to_owned()];
    assert_eq!(sign_ups.reserve(&owner(), &names).await.unwrap(), 2);
    let check = async |name: &str| rig.control.tenants().check_name(name).await;
    assert_eq!(code(check("intranet").await), ErrorCode::NameReserved);
    let refused = rig.control.tenants().sign_up(form("INTRANET"), FROM).await;
    assert_eq!(code(refused), ErrorCode::NameReserved);
    for (typed, expected) in [
        ("www", ErrorCode::NameReserved),
        ("lina-dns", ErrorCode::NameReserved),
        ("a", ErrorCode::NameMalformed),
        ("../etc", ErrorCode::NameMalformed),
    ] {
        let names = ["fresh".to_owned(), typed.to_owned()];
        assert_eq!(code(sign_ups.reserve(&owner(), &names).await), expected);
    }
    assert!(check("fresh").await.is_ok(), "all or none");
    sign_ups.release(&owner(), "Intranet").await.unwrap();
    assert!(check("intranet").await.is_ok());
    assert_eq!(
        code(sign_ups.release(&owner(), "intranet").await),
        ErrorCode::NotFound
    );
    let listed = sign_ups.reserved(&owner()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].added_by, "operator:ada");
}

#[tokio::test]
async fn terms_out_of_range_make_no_invitation() {
    let rig = Rig::new().await;
    let sign_ups = rig.control.sign_ups();
    let malformed = ErrorCode::InvitationMalformed;
    for count in [0, 1_001, u32::MAX] {
        assert_eq!(
            code(sign_ups.create(&owner(), &terms(None, 1), count).await),
            malformed
        );
    }
    assert_eq!(
        code(sign_ups.create(&owner(), &terms(None, 0), 1).await),
        malformed
    );
    let unknown = sign_ups.create(&owner(), &terms(Some("nope"), 1), 1).await;
    assert_eq!(code(unknown), ErrorCode::PlanUnknown);
    assert!(
        sign_ups
            .list(&owner(), i64::MAX, 10)
            .await
            .unwrap()
            .is_empty()
    );
    let made = sign_ups
        .create(&owner(), &terms(None, 1), 1_000)
        .await
        .unwrap();
    let codes: std::collections::BTreeSet<_> = made.iter().map(|m| m.code.expose()).collect();
    assert_eq!(codes.len(), 1_000);
}
