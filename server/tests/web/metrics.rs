//! Metrics and health of a running server: read by Prometheus' own parsers, bounded however many
//! paths are asked for, without the name of a tenant; and what the dashboard and the alerts ask
//! for is there.

use crate::{
    api_client::{API, Call, raw},
    stack::{BASE, Stack},
};
use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// Returns an operator's API token that may only read.
async fn token(s: &Stack) -> String {
    let operator = s.api_operator().await;
    s.api_token(&operator.access, "read").await.1
}

async fn scrape(s: &Stack, token: &str, accept: &str) -> String {
    let call = Call::get("/metrics").by(token).with("accept", accept);
    let reply = call.send(s).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.text
}

/// Runs a program on this text, and returns its output.
fn read_by(command: &mut Command, text: &str) -> String {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped
        .spawn()
        .expect("./dev setup --tests installs promtool and Python's parser");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {errors}{text}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the names of the samples, by OpenMetrics' parser.
fn open_metrics_names(text: &str) -> BTreeSet<String> {
    const PARSE: &str = "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families\nfor family in text_string_to_metric_families(sys.stdin.read()):\n    for sample in family.samples:\n        print(sample.name)";
    // Debian's, whichever Python is first on the path.
    let names = read_by(Command::new("/usr/bin/python3").args(["-c", PARSE]), text);
    names.lines().map(str::to_owned).collect()
}

/// Returns the label sets of each name.
fn label_sets(text: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut sets = BTreeMap::<_, BTreeSet<_>>::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        sets.entry(name).or_default().insert(labels);
    }
    sets
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_parsers_read_the_metrics() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    s.ready(&alice).await;
    let token = token(&s).await;
    let text = scrape(&s, &token, OPEN_METRICS).await;
    assert!(text.ends_with("# EOF\n"));
    let names = open_metrics_names(&text);
    for name in [
        "maliknode_http_requests_total",
        "maliknode_http_request_duration_seconds_bucket",
        "maliknode_reconcile_duration_seconds_bucket",
        "maliknode_sign_ins_total",
        "process_cpu_seconds_total",
        "process_open_fds",
    ] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
    for expected in [
        "maliknode_tenants{state=\"active\"} 1",
        "maliknode_sign_ups_total{outcome=\"accepted\"} 1",
        "maliknode_tenant_parts{part=\"dns\",state=\"ready\"} 1",
        "maliknode_dependency_ready{dependency=\"database\"} 1",
        "maliknode_nodes{state=\"up\"} 1",
        "maliknode_changes_not_in_force 0",
    ] {
        let is_there = text
            .lines()
            .any(|l| l.strip_suffix(".0").unwrap_or(l) == expected);
        assert!(is_there, "{expected} is not in {text}");
    }
    let plain = scrape(&s, &token, "text/plain").await;
    let findings = read_by(Command::new("promtool").args(["check", "metrics"]), &plain);
    assert_eq!(findings, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_paths_make_no_further_series() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let bob = s.sign_up("bob-and-carol").await;
    let device = s.add_device(&alice, "alices-phone").await;
    let token = token(&s).await;
    let ask = async |n: u32| {
        let host = "alice.localhost:8085";
        let cookie = Some(alice.cookie.as_str());
        s.get(BASE, &format!("/{n:x}?token=secret{n}"), None).await;
        s.get(host, &format!("/devices/{n}"), cookie).await;
        s.get(host, &format!("/devices/{device}/{n}"), cookie).await;
        // Its AdGuard Home does not answer, which takes a while.
        if n.is_multiple_of(60) {
            let dns = "alice-dns.localhost:8085";
            s.get(dns, &format!("/{n}"), Some(&alice.dns_cookie)).await;
        }
        s.get(&format!("nobody-{n}.localhost:8085"), "/", None)
            .await;
        s.get(&format!("{n}.evil.example"), "/", None).await;
        Call::get(&format!("/v1/devices/{n}"))
            .by(&token)
            .send(&s)
            .await;
        Call::get(&format!("/v1/{n}")).send(&s).await;
        let method = format!("METHOD{n}").parse().unwrap();
        s.send_from(method, host, "/", None, None).await;
    };
    // One of the numbers is the device's, whose page there is.
    for n in [0, 1, 2, 143] {
        ask(n).await;
    }
    scrape(&s, &token, OPEN_METRICS).await;
    let text = scrape(&s, &token, OPEN_METRICS).await;
    let before: usize = label_sets(&text).values().map(BTreeSet::len).sum();
    for n in 1..=143 {
        ask(n).await;
    }
    let text = scrape(&s, &token, OPEN_METRICS).await;
    let after = label_sets(&text);
    let count: usize = after.values().map(BTreeSet::len).sum();
    assert_eq!(
        count, before,
        "a thousand requests to paths that there are not"
    );
    let routes = &after["maliknode_http_requests_total"];
    assert!(
        routes.iter().any(|l| l.contains("route=\"/devices/{id}\"")),
        "{routes:?}"
    );
    for secret in [
        "alice", "bob", "carol", "nobody", "evil", "secret", &device, "METHOD",
    ] {
        let is_named = routes
            .iter()
            .any(|labels| labels.contains(&format!("\"{secret}\"")));
        assert!(!is_named, "{secret}");
    }
    for name in ["alice", "bob", "carol", "nobody", "evil", "secret"] {
        assert!(!text.contains(name), "{name} is in the metrics");
    }
    drop(bob);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operators_token_reads_metrics() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let refused = Call::get("/metrics").send(&s).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (401, "signed_out")
    );
    let wrong = Call::get("/metrics").by("mnt_wrong").send(&s).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.code()),
        (401, "token_invalid")
    );
    let tenant = s.api_session("alice", "write").await.access;
    let refused = Call::get("/metrics").by(&tenant).send(&s).await;
    assert!(refused.status.is_client_error(), "{refused:?}");
    assert!(!refused.text.contains("maliknode_"), "{refused:?}");
    for host in [BASE, "admin.localhost:8085", "alice.localhost:8085"] {
        let answer = s.get(host, "/metrics", None).await;
        assert!(!answer.contains("maliknode_"), "{host}");
    }
    let token = token(&s).await;
    assert!(
        scrape(&s, &token, OPEN_METRICS)
            .await
            .contains("maliknode_build_info")
    );
}

/// Returns the metrics that a text of queries names.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_name(c));
    let metrics = words.filter(|w| w.starts_with("maliknode_") || w.starts_with("process_"));
    metrics.map(str::to_owned).collect()
}

fn deploy(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join("../deploy").join(path)).unwrap()
}

/// Returns every query of a dashboard.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "expr" || key == "query" => {
                        found.push(text.clone());
                    }
                    _ => queries(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let token = token(&s).await;
    s.get(BASE, "/", None).await;
    let mut there = open_metrics_names(&scrape(&s, &token, OPEN_METRICS).await);
    // These are those of processes with a link.
    for name in ["workers", "control_planes"] {
        there.insert(format!("maliknode_link_{name}_connected"));
    }
    let dashboard: Value = serde_json::from_str(&deploy("grafana/maliknode.json")).unwrap();
    let mut asked = Vec::new();
    queries(&dashboard, &mut asked);
    assert!(asked.len() > 30, "{asked:?}");
    for (what, text) in [
        ("the dashboard", asked.join("\n")),
        ("the alerts", deploy("prometheus/alerts.yml")),
        ("the alerts' tests", deploy("prometheus/alerts_test.yml")),
    ] {
        let names = named(&text);
        assert!(names.len() > 5, "{what}: {names:?}");
        let missing: Vec<_> = names.difference(&there).collect();
        assert!(
            missing.is_empty(),
            "{what} asks for {missing:?} of {there:?}"
        );
    }
    // Each metric is explained.
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/MONITORING.md");
    let explained = named(&fs::read_to_string(document).unwrap());
    let ours = there.iter().map(|name| {
        let ends = ["_bucket", "_count", "_sum"];
        let base = ends.iter().find_map(|end| name.strip_suffix(end));
        base.unwrap_or(name)
    });
    let ours = ours.filter(|name| name.starts_with("maliknode_"));
    let missing: BTreeSet<_> = ours.filter(|name| !explained.contains(*name)).collect();
    assert!(missing.is_empty(), "docs/MONITORING.md lacks {missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_works_and_no_more() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    s.ready(&alice).await;
    for host in [
        BASE,
        "admin.localhost:8085",
        API,
        "alice.localhost:8085",
        "192.0.2.7:8085",
    ] {
        let live = s.get(host, "/healthz", None).await;
        assert!(
            live.status == StatusCode::OK && live.is("ok\n"),
            "{host} {live:?}"
        );
        let ready = s.get(host, "/readyz", None).await;
        assert_eq!(ready.status, StatusCode::OK, "{host} {ready:?}");
        let expected = r#"{"ready":true,"dependencies":{"database":true,"disk":true,"docker":true,"firewall":true,"node":true,"tunnels":true}}"#;
        assert!(ready.is(expected), "{ready:?}");
    }
    // A thousand questions are one check.
    let count = || -> u64 {
        let operations = store::database_figures().into_iter();
        operations.map(|d| d.durations.count).sum()
    };
    let before = count();
    let asked = (0..1_000).map(|_| s.get(BASE, "/readyz", None));
    futures_util::future::join_all(asked).await;
    let queries = count() - before;
    assert!(
        queries < 300,
        "{queries} statements, those of other tests included"
    );
    // Without the database it lives, and is not ready.
    s.store().close().await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let live = s.get(BASE, "/healthz", None).await;
    assert_eq!(live.status, StatusCode::OK);
    let ready = s.get(BASE, "/readyz", None).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        ready.contains(r#""ready":false,"dependencies":{"database":false,"#),
        "{ready:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_an_id_that_a_visitor_cannot_choose() {
    let s = Stack::new().await;
    let id = "0af7651916cd43dd8448eb211c80319c";
    let asked = async |peer: Option<[u8; 4]>| {
        let mut request = Request::builder()
            .uri("/")
            .header("host", BASE)
            .header("traceparent", format!("00-{id}-b7ad6b7169203331-01"));
        if let Some(peer) = peer {
            let peer = SocketAddr::from((peer, 4711));
            request = request.extension(ConnectInfo(peer));
        }
        let reply = raw(&s, request.body(Body::empty()).unwrap()).await;
        reply.header("traceparent").to_owned()
    };
    for peer in [None, Some([192, 0, 2, 1])] {
        let given = asked(peer).await;
        assert!(!given.contains(id) && given.len() == 55, "{given}");
    }
}
