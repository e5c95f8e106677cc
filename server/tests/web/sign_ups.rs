//! Who may sign up, invitations and reserved names, on the pages and by the API. Without a
//! script, as a browser sends forms.

use crate::{
    api_client::{Call, Reply},
    client::Answer,
    stack::{BASE, Stack},
    table::plan,
};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

const ADMIN: &str = "admin.localhost:8085";

/// Sends a form of the operator's and follows the redirect.
async fn send(s: &Stack, operator: &str, form: &str, body: &str) -> (String, Answer) {
    let answer = s.post(ADMIN, form, body, Some(operator)).await;
    assert_eq!(answer.status, StatusCode::FOUND, "{answer:?}");
    let to = answer.location.clone().unwrap_or_default();
    let path = to.split('#').next().unwrap_or_default();
    let cookies = match answer.set_cookie("mn_invitation") {
        Some(cookie) => format!("{operator}; {cookie}"),
        None => operator.to_owned(),
    };
    let page = s.get(ADMIN, path, Some(&cookies)).await;
    assert_eq!(page.status, StatusCode::OK, "{to}: {page:?}");
    (to, page)
}

/// Makes an invitation and returns the path of its link.
async fn invite(s: &Stack, operator: &str, body: &str) -> String {
    let (_, page) = send(s, operator, "/do/create_invitation", body).await;
    let link = format!("http://{BASE}/sign-up?invitation=");
    let begin = page.find(&link).expect("the link is shown");
    let rest = page.text_from(begin + link.len() - "/sign-up?invitation=".len());
    let end = rest.find(|c: char| "<\n ".contains(c)).unwrap();
    rest[..end].to_owned()
}

/// Makes a request to the API.
async fn api(
    s: &Stack,
    method: Method,
    path: &str,
    token: Option<&String>,
    body: Option<Value>,
) -> Reply {
    let mut call = Call::new(method, path);
    call.token = token.cloned();
    call.body = body;
    call.send(s).await
}

/// Signs up by the form of a page, and returns where it leads to.
async fn sign_up(s: &Stack, name: &str, plan: &str, link: &str) -> String {
    let invitation = link.rsplit('=').next().unwrap_or_default();
    let body = format!(
        "name={name}&password=correct+horse+battery+staple&plan={plan}&invitation={invitation}"
    );
    let answer = s.post(BASE, "/do/sign_up", &body, None).await;
    answer.location.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_sign_ups_have_no_form() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    let page = s.get(ADMIN, "/sign-ups", Some(&operator)).await;
    assert!(
        page.contains("This comes from the configuration"),
        "{page:?}"
    );
    let (_, page) = send(&s, &operator, "/do/set_sign_up_mode", "mode=closed").await;
    assert!(page.contains("An operator has set this"), "{page:?}");
    for path in ["/", "/sign-up", "/sign-up?plan=home"] {
        let page = s.get(BASE, path, None).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.contains("Sign-ups are closed"), "{path}");
        assert!(
            !page.contains("/do/sign_up") && !page.contains("name=\"name\""),
            "{path}"
        );
    }
    let to = sign_up(&s, "lina", "home", "").await;
    assert!(to.contains("error=sign%5Fup%5Fclosed"), "{to}");
    send(&s, &operator, "/do/set_sign_up_mode", "mode=configured").await;
    assert!(s.get(BASE, "/sign-up", None).await.contains("/do/sign_up"));
    let (to, page) = send(&s, &operator, "/do/set_sign_up_mode", "mode=members").await;
    assert!(
        to.contains("error=choice%5Funknown") && page.contains("Choose one"),
        "{to}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitations_link_leads_to_its_plan() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    let hidden = plan("", "Club", "7").replace("&visible=on", "");
    send(&s, &operator, "/do/create_plan", &hidden).await;
    send(&s, &operator, "/do/set_sign_up_mode", "mode=invite").await;
    assert!(s.get(BASE, "/", None).await.contains("By invitation."));
    let page = s.get(BASE, "/sign-up", None).await;
    assert!(page.contains("name=\"invitation\"") && !page.contains("Club"));
    let to = sign_up(&s, "lina", "home", "").await;
    assert!(
        to.contains("error=invitation%5Fneeded") && to.contains("field=invitation"),
        "{to}"
    );

    let link = invite(
        &s,
        &operator,
        "plan=club&uses=1&lifetime=24&note=Ada%27s+friends",
    )
    .await;
    let page = s.get(BASE, &link, None).await;
    let code = link.rsplit('=').next().unwrap();
    assert!(
        page.contains("Club") && !page.contains("Studio"),
        "{page:?}"
    );
    assert!(
        page.contains(&format!("value=\"{code}\"")),
        "it is filled in"
    );
    assert!(!page.contains("friends"), "the note is the operators'");
    assert_eq!(page.headers["referrer-policy"], "same-origin");

    // Another visitor uses it up while the form is open: what was typed stays.
    let to = sign_up(&s, "first", "club", &link).await;
    assert!(to.contains("first.localhost"), "{to}");
    let to = sign_up(&s, "second", "club", &link).await;
    assert!(
        to.starts_with("/sign-up?error=invitation%5Fused%5Fup"),
        "{to}"
    );
    let page = s.get(BASE, &to, None).await;
    assert!(page.contains("was used as often as it may be"), "{page:?}");
    assert!(page.contains("value=\"second\"") && page.contains(&format!("value=\"{code}\"")));

    let list = s.get(ADMIN, "/sign-ups", Some(&operator)).await;
    assert!(
        list.contains("Used up") && list.contains("0 of 1"),
        "{list:?}"
    );
    assert!(
        list.contains("friends") && !list.contains(code),
        "shown once"
    );
    let (_, tenants) = (0, s.get(ADMIN, "/", Some(&operator)).await);
    assert!(tenants.contains("Club"), "{tenants:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_invitations_says_what_is_wrong() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    for (body, field) in [
        ("uses=0&lifetime=24", "uses"),
        ("uses=10001&lifetime=24", "uses"),
        ("uses=many&lifetime=24", "uses"),
        ("uses=1&lifetime=8761", "lifetime"),
        ("uses=1", "lifetime"),
    ] {
        let (to, page) = send(&s, &operator, "/do/create_invitation", body).await;
        assert!(to.contains(&format!("field={field}")), "{body}: {to}");
        assert!(page.contains("aria-invalid=\"true\""), "{body}");
    }
    let note = format!("uses=3&lifetime=24&note={}", "x".repeat(201));
    let (to, page) = send(&s, &operator, "/do/create_invitation", &note).await;
    assert!(to.contains("field=note"), "{to}");
    assert!(page.contains("value=\"3\""), "what was typed stays");
    assert!(page.contains("No invitation yet"));
    let (to, _) = send(&s, &operator, "/do/revoke_invitation", "id=7").await;
    assert!(to.contains("error=not%5Ffound"), "{to}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_invitations_are_listed_by_pages() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    let token = s.api_operator().await.access;
    let new = json!({ "count": 120, "uses": 2, "note": "fair" });
    let made = api(
        &s,
        Method::POST,
        "/v1/operator/invitations",
        Some(&token),
        Some(new),
    )
    .await;
    assert_eq!(made.status, 201, "{made:?}");
    let items = made.json["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 120);
    let link = items[0]["link"].as_str().unwrap();
    assert!(
        link.starts_with(&format!("http://{BASE}/sign-up?invitation=")),
        "{link}"
    );

    let (mut path, mut seen) = ("/sign-ups".to_owned(), 0);
    for _ in 0..3 {
        let page = s.get(ADMIN, &path, Some(&operator)).await;
        seen += page.count("/do/revoke_invitation");
        let Some(at) = page.find("/sign-ups?before=") else {
            break;
        };
        let rest = page.text_from(at);
        path = rest[..rest.find(['#', '"']).unwrap()].to_owned();
    }
    assert_eq!(seen, 120);

    let (mut cursor, mut seen) = (None::<String>, 0);
    loop {
        let query = cursor.map_or(String::new(), |c| format!("&cursor={c}"));
        let path = format!("/v1/operator/invitations?limit=50{query}");
        let page = api(&s, Method::GET, &path, Some(&token), None).await;
        seen += page.json["items"].as_array().unwrap().len();
        assert!(page.json["items"][0].get("code").is_none(), "shown once");
        match page.json["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, 120);
    let revoke = format!("/v1/operator/invitations/{}/revoke", items[0]["id"]);
    let revoked = api(&s, Method::POST, &revoke, Some(&token), None).await;
    assert_eq!(revoked.json["state"], "revoked", "{revoked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_signs_up_with_an_invitation() {
    let s = Stack::new().await;
    let token = s.api_operator().await.access;
    let mode = async |mode: Value| {
        let body = json!({ "mode": mode });
        let path = "/v1/operator/sign-up";
        let set = api(&s, Method::PUT, path, Some(&token), Some(body)).await;
        assert_eq!(set.status, 200, "{set:?}");
        api(&s, Method::GET, "/v1/sign-up", None, None).await.json["mode"].clone()
    };
    assert_eq!(mode(json!("invite")).await, "invite");
    let new = json!({ "plan": "home" });
    let made = api(
        &s,
        Method::POST,
        "/v1/operator/invitations",
        Some(&token),
        Some(new),
    )
    .await;
    let code = made.json["items"][0]["code"].clone();
    let sign_up = async |name: &str, invitation: Value| {
        let password = "correct horse battery staple";
        let body = json!({ "name": name, "password": password, "invitation": invitation });
        api(&s, Method::POST, "/v1/tenants", None, Some(body)).await
    };
    let needed = sign_up("lina", Value::Null).await;
    assert_eq!(
        (needed.status.as_u16(), &needed.json["code"]),
        (422, &json!("invitation_needed"))
    );
    assert_eq!(needed.json["field"], "invitation");
    assert_eq!(sign_up("lina", code.clone()).await.status, 201);
    let used_up = sign_up("max", code).await;
    assert_eq!(
        (used_up.status.as_u16(), &used_up.json["code"]),
        (409, &json!("invitation_used_up"))
    );
    let tenants = api(&s, Method::GET, "/v1/operator/tenants", Some(&token), None).await;
    assert_eq!(
        tenants.json["items"][0]["invitation"],
        made.json["items"][0]["id"]
    );
    assert_eq!(tenants.json["items"][0]["asleep_since"], Value::Null);

    assert_eq!(mode(json!("closed")).await, "closed");
    let closed = sign_up("max", Value::Null).await;
    assert_eq!(
        (closed.status.as_u16(), &closed.json["code"]),
        (403, &json!("sign_up_closed"))
    );
    assert_eq!(mode(Value::Null).await, "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_names_are_edited_on_the_page() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    let names = "names=intranet%0D%0AShop%2C+news-desk";
    let (_, page) = send(&s, &operator, "/do/reserve_names", names).await;
    for name in ["intranet", "shop", "news-desk"] {
        assert!(
            page.contains(&format!("Release {name}")),
            "{name}: {page:?}"
        );
    }
    let to = sign_up(&s, "shop", "home", "").await;
    assert!(to.contains("error=name%5Freserved"), "{to}");
    let (_, page) = send(&s, &operator, "/do/release_name", "name=shop").await;
    assert!(!page.contains("Release shop"));
    let (to, page) = send(&s, &operator, "/do/reserve_names", "names=fresh+www").await;
    assert!(to.contains("error=name%5Freserved"), "{to}");
    assert!(
        page.contains("fresh www") && !page.contains("Release fresh"),
        "{page:?}"
    );
    assert!(
        sign_up(&s, "shop", "home", "")
            .await
            .contains("shop.localhost")
    );
}
