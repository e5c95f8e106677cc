//! The operator's pages of nodes, without a script, as a browser sends their forms.

use crate::{
    client::Answer,
    stack::{BASE, Stack},
};
use axum::http::{StatusCode, header};
use domain::NodeId;
use pki::NodeKey;
use protocol::wire::JoinRequest;

const ADMIN: &str = "admin.localhost:8085";
const COOKIE: &str = "mn_join=";

/// Returns the cookies of that name that an answer sets.
fn set_cookies(answer: &Answer) -> Vec<String> {
    let all = answer.headers.get_all(header::SET_COOKIE).iter();
    let all = all.map(|v| v.to_str().unwrap().to_owned());
    all.filter(|c| c.starts_with(COOKIE)).collect()
}

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
async fn one_machine_is_told_how_to_get_a_second() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    let page = s.get(ADMIN, "/nodes", Some(&operator)).await;
    for text in [
        ">local<",
        "vpn.example",
        "0, room for 1,000 more",
        "this machine",
        "No other machine yet",
        "SQLite, a file that one machine alone can use",
    ] {
        assert!(page.contains(text), "no {text}");
    }
    assert!(!page.contains("Add a machine"));
    let page = s.get(ADMIN, "/nodes/join", Some(&operator)).await;
    assert!(page.contains("Other machines need PostgreSQL"));
    assert!(!page.contains("/do/create_join_token"), "no form in vain");
    let (to, page) = send(&s, &operator, "/do/create_join_token", "").await;
    assert_eq!(to, "/nodes/join?error=workers%5Funavailable");
    assert!(page.contains("This installation takes no workers."));
    let page = s.get(ADMIN, "/nodes/1", Some(&operator)).await;
    assert!(page.contains("Node local") && page.contains("Host for devices"));
    assert!(!page.contains("Revoke") && !page.contains("/do/set_node_host"));
    for path in ["/nodes/2", "/nodes/x"] {
        let page = s.get(ADMIN, path, Some(&operator)).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    let home = s.get(ADMIN, "/", Some(&operator)).await;
    assert!(home.contains("href=\"/nodes\""), "it is in the navigation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_command_is_shown_once() {
    let s = Stack::with_worker().await;
    let operator = s.operator().await;
    let list = s.get(ADMIN, "/nodes", Some(&operator)).await;
    assert!(list.contains("Add a machine") && !list.contains("No other machine yet"));
    let page = s.get(ADMIN, "/nodes/join", Some(&operator)).await;
    assert!(page.contains("/do/create_join_token"));

    let made = s
        .post(ADMIN, "/do/create_join_token", "", Some(&operator))
        .await;
    let to = made.location.clone().unwrap();
    assert_eq!(to, "/nodes/join", "no secret in an address");
    let [cookie] = &set_cookies(&made)[..] else {
        panic!("{made:?}");
    };
    for part in ["HttpOnly", "SameSite=Strict", "Max-Age=60", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    let token = pair.strip_prefix(COOKIE).unwrap();
    let both = format!("{operator}; {pair}");
    let page = s.get(ADMIN, &to, Some(&both)).await;
    let command = format!("maliknode worker join {token} --to https://192.0.2.1:8443");
    assert!(page.contains(&command), "{page:?}");
    assert_eq!(
        set_cookies(&page)[0].split(';').next(),
        Some(COOKIE),
        "removed"
    );
    assert_eq!(page.headers["cache-control"], "no-store");
    let again = s.get(ADMIN, &to, Some(&operator)).await;
    assert!(!again.contains(token));

    // Neither another host nor a client that is signed out is shown it.
    for (host, cookie) in [(ADMIN, pair), (BASE, pair), (BASE, both.as_str())] {
        let page = s.get(host, "/nodes/join", Some(cookie)).await;
        assert!(!page.contains(token), "{host}");
    }
    // A cookie that another host planted is no command.
    for evil in ["x%20--to%20evil", "$(x)", "a&b"] {
        let planted = format!("{operator}; {COOKIE}{evil}");
        let page = s.get(ADMIN, "/nodes/join", Some(&planted)).await;
        assert!(!page.contains("worker join"), "{evil}: {page:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_joins_with_the_command_of_the_page() {
    let s = Stack::with_worker().await;
    let operator = s.operator().await;
    let made = s
        .post(ADMIN, "/do/create_join_token", "", Some(&operator))
        .await;
    let cookie = set_cookies(&made).remove(0);
    let token = cookie.split(';').next().unwrap().strip_prefix(COOKIE);
    let token: pki::JoinToken = token.unwrap().parse().unwrap();
    let join = |name: &str| JoinRequest {
        token: token.credential(),
        csr: NodeKey::generate().unwrap().csr().unwrap(),
        name: name.to_owned(),
        host: "192.0.2.7".to_owned(),
        version: "9.8.7".to_owned(),
    };
    let nodes = s.control().nodes();
    let answer = nodes.join(join("fra1")).await.unwrap();
    assert_eq!(answer.node, NodeId(3));
    assert!(nodes.join(join("fra2")).await.is_err());
    let list = s.get(ADMIN, "/nodes", Some(&operator)).await;
    for text in [
        "fra1",
        "192.0.2.7",
        "9.8.7",
        "Silent",
        "was not heard of since",
    ] {
        assert!(list.contains(text), "no {text}");
    }
    nodes.heard(answer.node, "9.8.7").await;
    let list = s.get(ADMIN, "/nodes", Some(&operator)).await;
    assert_eq!(list.count("was not heard of since"), 1, "of worker-1 alone");
    // The other one's problem is on the first page, by its name.
    let home = s.get(ADMIN, "/", Some(&operator)).await;
    assert!(home.contains("worker-1: ") && home.contains("on 3 nodes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_closed_renamed_in_dns_and_removed() {
    let s = Stack::with_worker().await;
    let operator = s.operator().await;
    s.control().nodes().heard(NodeId(2), "1.0").await;
    let (to, list) = send(&s, &operator, "/do/open_node", "id=2&open=false").await;
    assert_eq!((to.as_str(), list.contains("Closed")), ("/nodes", true));
    let (_, list) = send(&s, &operator, "/do/open_node", "id=2&open=true").await;
    assert!(!list.contains("Closed"));

    let (to, page) = send(&s, &operator, "/do/set_node_host", "id=2&host=new.example").await;
    assert_eq!(to, "/nodes/2?devices=0");
    assert!(page.contains("No device connects to the former host."));
    assert!(page.contains("value=\"new.example\""));
    let (_, page) = send(&s, &operator, "/do/set_node_host", "id=2&host=a%20b").await;
    assert!(page.contains("aria-invalid=\"true\"") && page.contains("value=\"a b\""));
    assert!(
        page.contains("without a port: fra1.example.org"),
        "{page:?}"
    );

    let (to, page) = send(&s, &operator, "/do/remove_node", "id=2&name=other").await;
    assert!(to.starts_with("/nodes/2?error=node"), "{to}");
    assert!(page.contains("⚠ Type worker-1 to confirm."), "{page:?}");
    let (_, page) = send(&s, &operator, "/do/revoke_node", "id=2").await;
    assert!(page.contains("Revoked") && !page.contains("/do/revoke_node"));
    assert!(page.contains("Make a join command for worker-1"));
    let (to, page) = send(&s, &operator, "/do/open_node", "id=2&open=true").await;
    assert!(to.starts_with("/nodes?error=node"), "{to}");
    assert!(page.contains("role=\"alert\""));
    let (to, page) = send(&s, &operator, "/do/remove_node", "id=2&name=Worker-1").await;
    assert_eq!((to.as_str(), page.contains("worker-1")), ("/nodes", false));
    let home = s.get(ADMIN, "/", Some(&operator)).await;
    for action in ["node.close", "node.host", "node.revoke", "node.remove"] {
        assert!(home.contains(action), "{action} is not in the audit log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_drained_and_its_moves_are_listed() {
    let s = Stack::with_worker().await;
    let operator = s.operator().await;
    s.sign_up("lina").await;
    let page = s.get(ADMIN, "/nodes/1", Some(&operator)).await;
    assert!(page.contains("/do/drain_node") && !page.contains("/do/lose_node"));
    // The worker has no tenant that could leave it.
    let page = s.get(ADMIN, "/nodes/2", Some(&operator)).await;
    assert!(!page.contains("/do/drain_node") && !page.contains("/do/lose_node"));
    const LEFT_BEHIND: &str = "without AdGuard Home's data";
    let (to, list) = send(&s, &operator, "/do/drain_node", "id=1").await;
    assert_eq!((to.as_str(), list.contains(LEFT_BEHIND)), ("/nodes", false));
    let (to, list) = send(&s, &operator, "/do/drain_node", "id=1&without_data=true").await;
    assert_eq!(to, "/nodes");
    for text in [
        "Tenants still to be moved: 1",
        "lina",
        "the node is drained",
        LEFT_BEHIND,
    ] {
        assert!(list.contains(text), "no {text}: {list:?}");
    }
    // Opening it again ends that.
    let (_, list) = send(&s, &operator, "/do/open_node", "id=1&open=true").await;
    assert!(!list.contains("Tenants still to be moved"));
    let (to, _) = send(&s, &operator, "/do/lose_node", "id=1").await;
    assert!(to.starts_with("/nodes/1?error=node"), "the local one: {to}");
    let home = s.get(ADMIN, "/", Some(&operator)).await;
    assert!(home.contains("node.drain"), "not in the audit log");
}
