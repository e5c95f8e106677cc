//! Plans, data and time zones on the pages: what a visitor, a tenant and the operator
//! read, and what their forms do. Without a script, as a browser sends them.

use crate::{
    client::Answer,
    stack::{BASE, Stack},
    table::plan,
};
use axum::http::StatusCode;

const HOST: &str = "alice.localhost:8085";
const ADMIN: &str = "admin.localhost:8085";

/// Sends a form of the operator's and follows the redirect.
async fn send(s: &Stack, operator: &str, form: &str, body: &str) -> (String, Answer) {
    let answer = s.post(ADMIN, form, body, Some(operator)).await;
    assert_eq!(answer.status, StatusCode::FOUND, "{answer:?}");
    let to = answer.location.unwrap_or_default();
    let page = s.get(ADMIN, &to, Some(operator)).await;
    assert_eq!(page.status, StatusCode::OK, "{to}: {page:?}");
    (to, page)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_reads_what_a_plan_gives() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    for path in ["/", "/sign-up"] {
        let page = s.get(BASE, path, None).await;
        for text in [
            "5 devices",
            "50 Mb/s each way",
            "100 GB a month",
            "then 1 Mb/s until your month begins again",
            "2 TB a month",
        ] {
            assert!(page.contains(text), "{path}: no {text}");
        }
    }
    let hidden = plan("home", "Family", "10")
        .replace("&visible=on", "")
        .replace("at_limit=slow", "at_limit=stop");
    let (_, list) = send(&s, &operator, "/do/change_plan", &hidden).await;
    assert!(list.contains("Hidden") && list.contains("“Family” is saved."));
    for path in ["/", "/sign-up", "/sign-up?plan=home"] {
        assert!(!s.get(BASE, path, None).await.contains("Family"), "{path}");
    }
    let stopping = plan("studio", "Studio", "50").replace("at_limit=slow", "at_limit=stop");
    send(&s, &operator, "/do/change_plan", &stopping).await;
    let page = s.get(BASE, "/", None).await;
    assert!(page.contains("then only DNS and your devices among each other"));
    assert!(page.contains("200 Mb/s down, no limit up") && page.contains("1.5 TB a month"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_plan_tells_whom_it_touches_first() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    s.add_device(&alice, "phone").await;
    s.add_device(&alice, "laptop").await;
    let operator = s.operator().await;
    let list = s.get(ADMIN, "/plans", Some(&operator)).await;
    assert!(list.contains("Personal") && list.contains("Recommended"));

    let before = s.snapshot().await;
    let change = plan("personal", "Personal", "1");
    let (to, page) = send(&s, &operator, "/do/change_plan", &change).await;
    assert!(to.starts_with("/plans/personal/confirm?"), "{to}");
    for text in [
        "1 tenant has this plan.",
        "1 tenant has more than 1 device, keeps them and can add none: alice.",
        "50 Mb/s",
        "200 Mb/s",
        "1.5 TB",
        "name=\"confirmed\" value=\"true\"",
    ] {
        assert!(page.contains(text), "no {text}: {page:?}");
    }
    assert_eq!(s.snapshot().await, before, "nothing is changed yet");
    // What was typed is in the form that the step leads back to.
    let back = to.replace("/confirm?", "?");
    let form = s.get(ADMIN, &back, Some(&operator)).await;
    assert!(form.contains("name=\"data\" value=\"1.5\""), "{form:?}");

    let (to, _) = send(
        &s,
        &operator,
        "/do/change_plan",
        &format!("{change}&confirmed=true"),
    )
    .await;
    assert!(to.starts_with("/plans?saved=personal"), "{to}");
    let account = s.get(HOST, "/account", Some(&alice.cookie)).await;
    for text in ["of 1<", "200 Mb/s down, no limit up", "1.5 TB a month"] {
        assert!(account.contains(text), "no {text}");
    }
    let add = s.get(HOST, "/devices/new", Some(&alice.cookie)).await;
    assert!(add.contains("2 of 1"));
    // Nothing about a name touches a tenant, so nothing is asked.
    let renamed = plan("personal", "Solo", "1");
    let (to, _) = send(&s, &operator, "/do/change_plan", &renamed).await;
    assert!(to.starts_with("/plans?saved="), "{to}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_cannot_be_is_refused_and_kept_as_typed() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    let before = s.snapshot().await;
    for (form, id) in [("/do/create_plan", ""), ("/do/change_plan", "home")] {
        for (typed, value, message) in [
            ("down=200", "0", "A speed is 64 kb/s to 10 Tb/s"),
            (
                "down=200&down_unit=Mb/s",
                "10.000000000001&down_unit=Tb/s",
                "A speed is 64 kb/s to 10 Tb/s",
            ),
            ("data=1.5", "0", "1 MB to 1 PB a month"),
            ("devices=7", "0", "1 to 253 devices"),
            ("devices=7", "seven", "1 to 253 devices"),
            ("slow=1&", "201&", "must not be higher"),
            ("month_day=1", "32", "from 1 to 31"),
        ] {
            let (name, _) = typed.split_once('=').unwrap();
            let body = plan(id, "Odd <name>", "7").replace(typed, &format!("{name}={value}"));
            let (to, page) = send(&s, &operator, form, &body).await;
            let shown = value.split('&').next().unwrap();
            assert!(page.contains(message), "{to}: {page:?}");
            assert!(page.contains("aria-invalid=\"true\""), "{to}");
            for kept in [
                format!("name=\"{name}\" value=\"{shown}\""),
                "value=\"Odd &lt;name&gt;\"".to_owned(),
            ] {
                assert!(page.contains(&kept), "{to}: no {kept}");
            }
        }
    }
    let unit = plan("home", "Home", "7").replace("data_unit=TB", "data_unit=PB");
    let (_, page) = send(&s, &operator, "/do/change_plan", &unit.replace("1.5", "2")).await;
    assert!(page.contains("<option value=\"PB\" selected>"), "{page:?}");
    assert_eq!(s.snapshot().await, before, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_created_and_deleted_while_unused() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let operator = s.operator().await;
    let (to, list) = send(&s, &operator, "/do/create_plan", &plan("", "Home", "7")).await;
    assert_eq!(to, "/plans?saved=home%2D2", "an id of its own");
    assert!(list.contains("“Home” is saved."));
    let form = s.get(ADMIN, "/plans/home-2", Some(&operator)).await;
    assert!(form.contains("Delete Home") && form.contains("0 tenants"));
    let id = s.tenant_id(&alice).await;
    let choice = s
        .get(ADMIN, &format!("/tenants/{id}/plan"), Some(&operator))
        .await;
    assert!(choice.contains("alice has 0 devices, 0 B used this month."));
    let body = format!("id={id}&plan=home-2");
    let (_, page) = send(&s, &operator, "/do/set_tenant_plan", &body).await;
    assert!(page.contains("Saved. It holds at once."));
    let account = s.get(HOST, "/account", Some(&alice.cookie)).await;
    assert!(account.contains("of 7<"), "{account:?}");

    let form = s.get(ADMIN, "/plans/home-2", Some(&operator)).await;
    assert!(!form.contains("Delete Home") && form.contains("1 tenant<"));
    let (to, page) = send(&s, &operator, "/do/delete_plan", "id=home-2").await;
    assert!(to.starts_with("/plans/home-2?error=plan"), "{to}");
    assert!(page.contains("Hide it instead."), "{page:?}");
    let (_, page) = send(
        &s,
        &operator,
        "/do/set_tenant_plan",
        &format!("id={id}&plan=none"),
    )
    .await;
    assert!(page.contains("role=\"alert\""), "{page:?}");
    let body = format!("id={id}&plan=studio");
    send(&s, &operator, "/do/set_tenant_plan", &body).await;
    let (to, list) = send(&s, &operator, "/do/delete_plan", "id=home-2").await;
    assert_eq!(
        (to.as_str(), list.contains("/plans/home-2")),
        ("/plans", false)
    );
    for path in ["/plans/home-2", "/plans/x/confirm", "/tenants/99/plan"] {
        let answer = s.get(ADMIN, path, Some(&operator)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sets_the_time_zone_of_the_month() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let cookie = Some(alice.cookie.as_str());
    let page = s.get(HOST, "/account", cookie).await;
    assert!(page.contains("<option value=\"UTC\" selected>"), "{page:?}");
    assert!(page.contains("It begins on day 1 at midnight in your time zone."));
    let set = |zone: &'static str| {
        let s = &s;
        async move {
            let body = format!("time_zone={zone}");
            let answer = s.post(HOST, "/do/set_time_zone", &body, cookie).await;
            let to = answer.location.unwrap_or_default();
            s.get(HOST, &to, cookie).await
        }
    };
    let page = set("Asia/Kolkata").await;
    assert!(page.contains("✓ Saved."), "{page:?}");
    assert!(page.contains("<option value=\"Asia/Kolkata\" selected>"));
    let page = set("Mars/Olympus").await;
    assert!(
        page.contains("<option value=\"Asia/Kolkata\" selected>"),
        "nothing is changed"
    );
    assert!(page.contains("aria-invalid=\"true\""), "{page:?}");
    assert_eq!(page.count("role=\"alert\"><"), 0, "told at the field only");
    let script = s.get(HOST, "/time-zone.js", None).await;
    assert_ne!(script.status, StatusCode::FOUND, "served on every host");
}

#[tokio::test(flavor = "multi_thread")]
async fn used_data_are_told_to_tenant_and_operator() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let bob = s.sign_up("bob-b").await;
    s.add_device(&alice, "phone").await;
    s.add_device(&bob, "phone").await;
    let operator = s.operator().await;
    let overview = |more: u64| {
        let (s, alice) = (&s, &alice);
        async move {
            s.count_data(alice, more).await;
            s.get(HOST, "/", Some(&alice.cookie)).await
        }
    };
    let page = overview(50_000_000_000).await;
    assert!(page.contains("of 100 GB · 50 % · until"), "{page:?}");
    assert!(!page.contains("this month's data is used"));
    let page = overview(30_000_000_000).await;
    assert!(page.contains("Most of this month's data is used."));
    assert!(page.contains("your network runs at 1 Mb/s only, until"));
    let page = overview(21_000_000_000).await;
    assert!(page.contains("of 100 GB · used up: slower until"));
    assert!(page.contains("DNS and this dashboard work as before."));

    let home = s.get(ADMIN, "/", Some(&operator)).await;
    assert!(home.contains("Slower until") && home.contains("101 GB"));
    // By what is closest to its limit, and turned around.
    for (path, first, second) in [
        ("/use", "alice", "bob-b"),
        ("/use?sort=data&order=turned", "bob-b", "alice"),
        ("/use?sort=name", "alice", "bob-b"),
    ] {
        let page = s.get(ADMIN, path, Some(&operator)).await;
        let [first, second] = [first, second].map(|name| page.find(&format!(">{name}<")));
        assert!(first.is_some() && first < second, "{path}");
        assert!(page.contains("⚠ 101 % of 100 GB"), "{path}: {page:?}");
    }
    let none = s.get(ADMIN, "/use?q=carol", Some(&operator)).await;
    assert!(none.contains("No tenant is called “carol”"));
    // A smaller plan says what it would mean before it is chosen.
    let id = s.tenant_id(&alice).await;
    let path = format!("/tenants/{id}/plan");
    let choice = s.get(ADMIN, &path, Some(&operator)).await;
    assert!(choice.contains("alice has 1 device, 101 GB used this month."));
    let body = format!("id={id}&plan=home");
    send(&s, &operator, "/do/set_tenant_plan", &body).await;
    let page = s.get(HOST, "/", Some(&alice.cookie)).await;
    assert!(page.contains("of 500 GB · 20 % · until"), "{page:?}");
    let choice = s.get(ADMIN, &path, Some(&operator)).await;
    assert!(choice.contains("It has used 100 GB already: 1 Mb/s from now on"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_use_of_nobody_has_an_empty_state() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    let page = s.get(ADMIN, "/use", Some(&operator)).await;
    assert!(page.contains("No tenant yet") && !page.contains("<table"));
}
