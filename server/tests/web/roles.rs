//! What operators of each role reach: every page, form and operation, and the rest is
//! refused and changes nothing.

use crate::{
    api_client::{Call, Reply, Session},
    api_table::{Holder, Objects, operations},
    client::Answer,
    second_factor::Codes,
    stack::{BASE, PASSWORD, Stack},
    table::table,
};
use axum::http::{Method, StatusCode};
use domain::{OperatorRole, OwnerScope, Secret};
use serde_json::json;

const ADMIN: &str = "admin.localhost:8085";
const ROLES: [(OperatorRole, &str); 3] = [
    (OperatorRole::ReadOnly, "rita"),
    (OperatorRole::Support, "sam"),
    (OperatorRole::Owner, "olga"),
];

impl Stack {
    /// Invites an operator, who accepts.
    pub async fn add_operator(&self, name: &str, role: OperatorRole) {
        let operators = self.control().operators();
        let owner = OwnerScope::issue("test");
        let link = operators.invite(&owner, name, role).await.unwrap();
        let password = Secret::new(PASSWORD);
        let from = [127, 0, 0, 1].into();
        let accepted = operators.accept(&link.token, "", &password, from).await;
        assert_eq!(accepted.unwrap(), name, "the invitation has the name");
    }

    /// Signs an operator in. An owner has a second factor.
    pub async fn operator_cookie(&self, name: &str) -> String {
        if let Some(codes) = self.factor(name).await {
            let answer = self.operator_steps(name, PASSWORD, &codes, None).await;
            return answer.set_cookie("mn_session").expect("a session");
        }
        self.cookie_without_factor(name).await
    }

    /// Signs an operator in by the password alone.
    async fn cookie_without_factor(&self, name: &str) -> String {
        let body = format!("name={name}&password={PASSWORD}").replace(' ', "+");
        let answer = self.post(ADMIN, "/operator/sign-in", &body, None).await;
        assert_eq!(answer.location.as_deref(), Some("/"), "{answer:?}");
        answer.set_cookie("mn_session").expect("a session")
    }

    /// Signs an operator in to the interface. An owner has a second factor.
    pub async fn operator_session(&self, name: &str) -> Session {
        let codes = self.factor(name).await;
        let asked = self.operator_password_grant(name).await;
        match codes {
            Some(codes) => self.second_step(&asked, &codes).await,
            None => Session::of(&asked),
        }
    }

    async fn operator_password_grant(&self, name: &str) -> Reply {
        let body = json!({
            "grant": "password", "account": "operator", "name": name, "password": PASSWORD,
        });
        Call::post("/v1/auth/token", body).send(self).await
    }

    /// Gives an owner the second factor that it must have; another role needs none.
    async fn factor(&self, name: &str) -> Option<Codes> {
        let operator = self.store().operator_by_name(name).await.unwrap()?;
        match operator.role {
            OperatorRole::Owner => Some(Codes::give(self.store(), name).await),
            _ => None,
        }
    }
}

fn is_not_permitted(answer: &Answer) -> bool {
    answer.status == StatusCode::FORBIDDEN
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_reaches_its_routes_and_no_other() {
    let s = Stack::with_worker().await;
    let alice = s.sign_up("alice").await;
    let device = s.add_device(&alice, "alices-phone").await;
    let rows = table(&device, "alice", &s.tenant_id(&alice).await);
    for (role, name) in ROLES {
        s.add_operator(name, role).await;
        let cookie = s.operator_cookie(name).await;
        let before = s.snapshot().await;
        let operators = rows.iter().filter_map(|route| Some((route, route.role()?)));
        for (route, least) in operators {
            let is_page = route.method == Method::GET;
            if role >= least && !is_page {
                // The owner's changes are made in another test, support's below.
                continue;
            }
            let answer = s.request(route, ADMIN, Some(&cookie)).await;
            match role >= least {
                true => assert_eq!(
                    answer.status,
                    StatusCode::OK,
                    "{name}: {route:?} {answer:?}"
                ),
                false => assert!(is_not_permitted(&answer), "{name}: {route:?} {answer:?}"),
            }
        }
        assert_eq!(before, s.snapshot().await, "{name}: nothing has changed");
    }
    let sam = s.operator_cookie("sam").await;
    // A look of its own is what changes are allowed to.
    let looked_at = format!("id={}", s.tenant_id(&alice).await);
    s.post(ADMIN, "/do/look_in", &looked_at, Some(&sam)).await;
    let of_support = rows
        .iter()
        .filter(|route| route.role() == Some(OperatorRole::Support));
    for route in of_support {
        let answer = s.request(route, ADMIN, Some(&sam)).await;
        // An id that does not exist is refused to all, but not for the role.
        let is_refused = route.refuses_wrong_credentials() && !is_not_permitted(&answer);
        assert!(
            answer.status.is_success() || answer.status.is_redirection() || is_refused,
            "{route:?} {answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_offer_what_the_role_may_do() {
    let s = Stack::with_worker().await;
    let alice = s.sign_up("alice").await;
    let page = async |path: &str, cookie: &str| s.get(ADMIN, path, Some(cookie)).await;
    let id = s.tenant_id(&alice).await;
    for (role, name) in ROLES {
        s.add_operator(name, role).await;
        let cookie = s.operator_cookie(name).await;
        let (may_help, is_owner) = (role >= OperatorRole::Support, role >= OperatorRole::Owner);
        for (path, offer, is_offered) in [
            ("/", "/do/suspend_tenant".to_owned(), may_help),
            ("/", format!("/tenants/{id}/plan"), may_help),
            ("/", format!("/tenants/{id}/delete"), is_owner),
            ("/plans", "/plans/new".to_owned(), is_owner),
            ("/plans", "/plans/home".to_owned(), is_owner),
            ("/nodes", "/nodes/join".to_owned(), is_owner),
            ("/nodes", "/do/open_node".to_owned(), is_owner),
            ("/nodes/2", "/do/revoke_node".to_owned(), is_owner),
            ("/operators", "/do/invite_operator".to_owned(), is_owner),
            ("/operators", "/do/remove_operator".to_owned(), is_owner),
        ] {
            let answer = page(path, &cookie).await;
            assert_eq!(answer.status, StatusCode::OK, "{name} {path}");
            assert_eq!(answer.contains(&offer), is_offered, "{name} {path} {offer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_calls_its_operations_and_no_other() {
    let s = Stack::with_worker().await;
    let alice = s.sign_up("alice").await;
    let device = s.add_device(&alice, "alices-phone").await;
    let objects = Objects {
        tenant: s.tenant_id(&alice).await,
        name: "alice".to_owned(),
        token: "none".to_owned(),
        session: "b-none".to_owned(),
        device,
    };
    for (role, name) in ROLES {
        s.add_operator(name, role).await;
        let session = s.operator_session(name).await;
        let before = s.snapshot().await;
        for operation in operations(&objects) {
            if operation.holder != Holder::Operator || role >= operation.role {
                continue;
            }
            let reply = operation.call.by(&session.access).send(&s).await;
            assert_eq!(
                (reply.status.as_u16(), reply.code()),
                (403, "not_permitted"),
                "{name}: {} {reply:?}",
                operation.id
            );
        }
        assert_eq!(before, s.snapshot().await, "{name}: nothing has changed");
        for operation in operations(&objects) {
            if operation.holder == Holder::Operator && operation.reads && role >= operation.role {
                let reply = operation.call.by(&session.access).send(&s).await;
                assert!(
                    reply.status.is_success(),
                    "{name}: {} {reply:?}",
                    operation.id
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_without_a_second_factor_reaches_nothing_until_it_has_one() {
    let s = Stack::with_worker().await;
    let alice = s.sign_up("alice").await;
    let device = s.add_device(&alice, "alices-phone").await;
    let id = s.tenant_id(&alice).await;
    s.add_operator("olga", OperatorRole::Owner).await;
    let cookie = s.cookie_without_factor("olga").await;
    let session = Session::of(&s.operator_password_grant("olga").await);
    let before = s.snapshot().await;

    let leads_to_it = |answer: &Answer| {
        let to = answer.location.as_deref().unwrap_or_default();
        answer.status == StatusCode::FORBIDDEN || to.starts_with("/account/two-step")
    };
    for route in table(&device, "alice", &id) {
        if route.role().is_some() {
            let answer = s.request(&route, ADMIN, Some(&cookie)).await;
            assert!(leads_to_it(&answer), "{route:?} {answer:?}");
        }
    }
    for path in [
        "/",
        "/account",
        "/account/password",
        "/account/tokens/new",
        "/sign-in",
    ] {
        let answer = s.get(ADMIN, path, Some(&cookie)).await;
        assert!(answer.status.is_redirection(), "{path} {answer:?}");
    }
    let account = [
        "change_password",
        "create_api_token",
        "make_recovery_codes",
        "end_other_sessions",
    ];
    for act in account {
        let path = format!("/do/{act}");
        let answer = s.post(ADMIN, &path, "", Some(&cookie)).await;
        assert!(leads_to_it(&answer), "{act} {answer:?}");
    }
    let objects = Objects {
        tenant: id.clone(),
        name: "alice".to_owned(),
        token: "none".to_owned(),
        session: "b-none".to_owned(),
        device,
    };
    for operation in operations(&objects) {
        if operation.holder == Holder::Operator {
            let reply = operation.call.by(&session.access).send(&s).await;
            let refused = (reply.status.as_u16(), reply.code());
            assert_eq!(refused, (403, "second_factor_required"), "{}", operation.id);
        }
    }
    let for_alice = Call::get("/v1/devices").with("maliknode-tenant", "alice");
    for call in [
        for_alice,
        Call::get("/v1/tokens"),
        Call::get("/v1/account/sessions"),
    ] {
        let reply = call.by(&session.access).send(&s).await;
        assert_eq!(reply.code(), "second_factor_required", "{reply:?}");
    }
    assert_eq!(before, s.snapshot().await, "nothing has changed");

    // It adds one on the page that is left, and has its role with the next request.
    let page = s.get(ADMIN, "/account/two-step", Some(&cookie)).await;
    assert!(
        page.contains("Welcome, ") && page.contains("totp-key"),
        "{page:?}"
    );
    let begun = Call::post("/v1/account/totp", json!({})).by(&session.access);
    assert!(begun.send(&s).await.expect(200)["secret"].is_string());
    s.factor("olga").await.expect("an owner");
    let home = s.get(ADMIN, "/", Some(&cookie)).await;
    assert_eq!(home.status, StatusCode::OK, "{home:?}");
    let tenants = Call::get("/v1/operator/tenants").by(&session.access);
    tenants.send(&s).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_token_is_refused_while_its_owner_has_no_second_factor() {
    let s = Stack::new().await;
    s.add_operator("sam", OperatorRole::Support).await;
    let session = s.operator_session("sam").await;
    let (_, token) = s.api_token(&session.access, "write").await;
    let ask = async || Call::get("/v1/operator/tenants").by(&token).send(&s).await;
    ask().await.expect(200);
    let (owner, operators) = (OwnerScope::issue("test"), s.control().operators());
    let raised = operators.set_role(&owner, "sam", OperatorRole::Owner);
    raised.await.unwrap();
    assert_eq!(ask().await.code(), "second_factor_required");
    let body = json!({ "grant": "api_token", "token": token });
    let exchanged = Call::post("/v1/auth/token", body).send(&s).await;
    assert_eq!(exchanged.code(), "second_factor_required");
    s.factor("sam").await.expect("an owner");
    ask().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lowered_role_is_in_force_with_the_next_request() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let id = s.tenant_id(&alice).await;
    s.add_operator("olga", OperatorRole::Owner).await;
    let (cookie, session) = (
        s.operator_cookie("olga").await,
        s.operator_session("olga").await,
    );
    let page = async || {
        s.get(ADMIN, &format!("/tenants/{id}/plan"), Some(&cookie))
            .await
    };
    let change = async || {
        let path = format!("/v1/operator/tenants/{id}");
        let call = Call::new(Method::PATCH, &path).body(json!({ "suspended": false }));
        call.by(&session.access).send(&s).await.status.as_u16()
    };
    assert_eq!((page().await.status, change().await), (StatusCode::OK, 200));
    let operators = s.control().operators();
    let owner = OwnerScope::issue("test");
    let lowered = operators.set_role(&owner, "olga", OperatorRole::ReadOnly);
    lowered.await.unwrap();
    assert_eq!(
        (page().await.status, change().await),
        (StatusCode::FORBIDDEN, 403)
    );
    operators.remove(&owner, "olga").await.unwrap();
    assert!(page().await.status.is_redirection());
    assert_eq!(change().await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_invited_by_a_link_that_works_once() {
    let s = Stack::new().await;
    let admin = s.operator().await;
    let invite = async |name: &str, role: &str| {
        let body = format!("name={name}&role={role}");
        s.post(ADMIN, "/do/invite_operator", &body, Some(&admin))
            .await
    };
    let refused = invite("ben", "").await;
    assert!(
        !refused.location.unwrap_or_default().eq("/operators"),
        "a role is needed"
    );
    let made = invite("ben", "support").await;
    assert_eq!(made.location.as_deref(), Some("/operators"), "{made:?}");
    let link = made.set_cookie("mn_operator_link").expect("the link");
    let both = format!("{admin}; {link}");
    let list = s.get(ADMIN, "/operators", Some(&both)).await;
    let token = link.split_once('~').unwrap().1;
    assert!(list.contains(&format!("/welcome?token={token}")) && list.contains("Invited"));
    let later = s.get(ADMIN, "/operators", Some(&admin)).await;
    assert!(!later.contains(token), "it is shown once");

    let opened = s.get(ADMIN, &format!("/welcome?token={token}"), None).await;
    assert_eq!(opened.location.as_deref(), Some("/welcome"));
    let cookie = opened.set_cookie("mn_welcome").expect("the token");
    let page = s.get(ADMIN, "/welcome", Some(&cookie)).await;
    assert!(page.contains("Welcome, ben"), "{page:?}");
    let accept = async |password: &str| {
        let body = format!("name=other&password={password}");
        s.post(ADMIN, "/do/accept_operator_link", &body, Some(&cookie))
            .await
    };
    let weak = accept("password").await.location.unwrap_or_default();
    assert!(
        weak.contains("password%5Fweak") && weak.contains("field=password"),
        "{weak}"
    );
    let accepted = accept(&PASSWORD.replace(' ', "+")).await;
    assert_eq!(
        accepted.location.as_deref(),
        Some("/sign-in?name=ben"),
        "{accepted:?}"
    );
    s.operator_cookie("ben").await;
    let again = accept(&PASSWORD.replace(' ', "+"))
        .await
        .location
        .unwrap_or_default();
    assert!(again.contains("operator%5Flink%5Finvalid"), "{again}");
    let gone = s.get(ADMIN, "/welcome", Some(&cookie)).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let elsewhere = s.get(BASE, &format!("/welcome?token={token}"), None).await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_shown_and_exported() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    s.add_operator("olga", OperatorRole::Owner).await;
    let cookie = s.operator_cookie("olga").await;
    let page = async |path: &str| s.get(ADMIN, path, Some(&cookie)).await;
    let all = page("/audit").await;
    assert!(all.contains("operator.create") && all.contains("session.begin"));
    let invited = page("/audit?action=operator.invite").await;
    assert!(invited.contains("operator:olga") && !invited.contains(">session.begin<"));
    let bad = page("/audit?since=yesterday").await;
    assert_eq!(bad.status, StatusCode::OK);
    assert!(bad.contains("Write a date such as"));
    let unknown = page("/audit?tenant=nobody").await;
    assert!(unknown.contains("there is no tenant nobody") || unknown.contains("no tenant"));
    let csv = page("/audit/export?format=csv&action=operator.invite").await;
    assert_eq!(
        csv.headers["content-type"],
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(
        csv.headers["content-disposition"],
        "attachment; filename=\"audit.csv\""
    );
    assert!(csv.contains("at,actor,action,object,origin,before,after,detail\r\n"));
    assert!(csv.contains("\"operator.invite\",\"operator:olga\""));
    let lines = page("/audit/export?format=jsonl").await;
    assert!(lines.contains("\"action\":\"operator.create\""));
    assert_eq!(
        page("/audit/export?format=xls").await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reads_and_exports_what_the_audit_log_says_of_it() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    s.sign_up("bob").await;
    let page = async |path: &str| {
        s.get("alice.localhost:8085", path, Some(&alice.cookie))
            .await
    };
    let account = page("/account").await;
    assert!(account.contains("href=\"/account/audit\""));
    let all = page("/account/audit").await;
    assert!(all.contains("tenant.create") && all.contains("alice") && !all.contains("bob"));
    let none = page("/account/audit?action=device.add").await;
    assert!(none.contains("Nothing matches") && !none.contains("tenant.create"));
    let bad = page("/account/audit?since=yesterday").await;
    assert_eq!(bad.status, StatusCode::OK);
    assert!(bad.contains("Write a date such as"));
    // A tenant's filter names no other tenant.
    for other in ["tenant=bob", "tenant=bob&action=tenant.create"] {
        let page = page(&format!("/account/audit?{other}")).await;
        assert!(page.contains("tenant.create") && !page.contains(">bob<"));
    }
    let csv = page("/account/audit/export?format=csv&tenant=bob").await;
    assert_eq!(
        csv.headers["content-disposition"],
        "attachment; filename=\"audit.csv\""
    );
    assert!(csv.contains("at,actor,action,object,origin,before,after,detail\r\n"));
    assert!(csv.contains("\"tenant.create\",\"alice\"") && !csv.contains("bob"));
    let lines = page("/account/audit/export?format=jsonl&action=tenant.create").await;
    assert!(lines.contains("\"action\":\"tenant.create\"") && !lines.contains("session.begin"));
    let wrong = page("/account/audit/export?format=xls").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}
