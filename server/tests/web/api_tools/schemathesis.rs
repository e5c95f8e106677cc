//! Schemathesis over the whole description, with a tenant's token and with an operator's.

use super::{FastClock, Served, checkout, nul, outside::Outside, store};
use crate::api_client::API;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path, process::Stdio, sync::Arc};
use tokio::process::Command;

/// For how long each role is tested, in seconds, unless MALIKNODE_API_SECONDS says otherwise.
const SECONDS: u32 = 75;

/// What is tested with a tenant's token, and what with an operator's, as a pattern of paths.
const ROLES: [(&str, &str); 2] = [
    ("tenant", "^/(?!v1/operator/)"),
    ("operator", "^/v1/(operator|auth|tokens|status)"),
];

/// Runs Schemathesis for a role. Returns whether it found nothing, and its words.
async fn run(served: &Served, folder: &Path, role: &str, paths: &str) -> (bool, String) {
    let tools = checkout("tools/test/schemathesis");
    let program = std::env::var("MALIKNODE_SCHEMATHESIS");
    let program = program.unwrap_or_else(|_| "schemathesis".to_owned());
    let seconds = std::env::var("MALIKNODE_API_SECONDS");
    let seconds = seconds.unwrap_or_else(|_| SECONDS.to_string());
    let file = |name: &str| folder.join(name);
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(file(&format!("{role}.toml")))
        .args(["run", "openapi.json", "--no-color"])
        .args(["--url", &format!("http://127.0.0.1:{}", served.port)])
        .args(["--header", &format!("Host: {API}")])
        .args(["--include-path-regex", paths])
        .args(["--max-time", &seconds])
        .current_dir(folder)
        .env("MALIKNODE_API_ROLE", role)
        .env("MALIKNODE_API_SETUP", file("setup.json"))
        .env("MALIKNODE_API_SEEN", file(&format!("{role}.json")))
        .env("PYTHONPATH", tools)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("no_proxy", "*")
        .stdin(Stdio::null());
    let output = command.output().await.expect("./dev setup --tests");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// Writes what the tool reads: the description, who there is, and a configuration of each
/// role with the tokens of those who must not see each other's objects.
async fn prepare(served: &Served, folder: &Path) {
    let s = &served.stack;
    for name in ["alice", "mallory"] {
        s.sign_up(name).await;
    }
    for n in 1..=4 {
        s.join_worker(&format!("worker-{n}")).await;
    }
    let mut tokens = json!({});
    for name in ["alice", "mallory"] {
        let session = s.api_session(name, "write").await;
        tokens[name] = s.api_token(&session.access, "write").await.1.into();
    }
    let session = s.api_operator().await;
    tokens["operator"] = s.api_token(&session.access, "write").await.1.into();
    let entry = |name: &str| {
        let value = format!("Bearer {}", tokens[name].as_str().unwrap());
        json!({ "name": name, "fixedHeaders": [{ "name": "Authorization", "value": value }] })
    };
    let settings = fs::read_to_string(checkout("tools/test/schemathesis/schemathesis.toml"));
    let settings = settings.unwrap();
    for (role, names) in [
        ("tenant", &["alice", "mallory"][..]),
        ("operator", &["operator"]),
    ] {
        let users: Vec<Value> = names.iter().map(|name| entry(name)).collect();
        let path = folder.join(format!("{role}-auth.json"));
        fs::write(&path, json!({ "auth": users }).to_string()).unwrap();
        let mut text = format!("{settings}\n[auth.wfc]\npath = {path:?}\n");
        if names.len() > 1 {
            text += &format!("peers = {names:?}\n");
        }
        fs::write(folder.join(format!("{role}.toml")), text).unwrap();
    }
    let mut setup = tokens;
    setup["host"] = API.into();
    setup["url"] = format!("http://127.0.0.1:{}", served.port).into();
    fs::write(folder.join("setup.json"), setup.to_string()).unwrap();
    let description = api::openapi().to_string();
    fs::write(folder.join("openapi.json"), description).unwrap();
}

/// Returns the findings of a run in one line: which operations, which checks and how to ask again. The
/// whole text is printed before.
fn summary(text: &str) -> String {
    let is_finding = |line: &&str| {
        let line = line.trim_start();
        let starts = ["____", "- ", "curl ", "💥", "Error", "Unexpected"];
        starts.iter().any(|start| line.starts_with(start))
    };
    let findings = text.lines().filter(is_finding).map(str::trim);
    let findings: Vec<&str> = findings.collect();
    if findings.is_empty() {
        let end: Vec<&str> = text.lines().rev().take(5).collect();
        return end.into_iter().rev().collect::<Vec<_>>().join(" | ");
    }
    findings.join(" | ").replace("___", "")
}

/// Returns the operations that answered with 2xx in a run.
fn successful(folder: &Path, role: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(folder.join(format!("{role}.json"))).unwrap();
    let seen: Value = serde_json::from_str(&text).unwrap();
    let seen = seen.as_object().unwrap().iter();
    let is_success = |statuses: &Value| {
        let mut statuses = statuses.as_object().unwrap().keys();
        statuses.any(|status| status.starts_with('2'))
    };
    let successful = seen.filter(|(_, statuses)| is_success(statuses));
    successful.map(|(id, _)| id.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_requests_find_nothing_and_reach_every_operation() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let outside = Outside::start(&folder.join("mails")).await;
    let clock = Arc::new(FastClock::new());
    let served = Served::start(store().await, clock.clone(), outside.services()).await;
    let control = served.stack.control().clone();
    let jobs = tokio::spawn(async move { control.run().await });
    prepare(&served, folder).await;
    let mut missing = BTreeSet::new();
    for (_, item) in api::openapi()["paths"].as_object().unwrap() {
        let operations = item.as_object().unwrap().values();
        missing.extend(operations.map(|o| o["operationId"].as_str().unwrap().to_owned()));
    }
    let mut findings = String::new();
    for (role, paths) in ROLES {
        let (is_clean, text) = run(&served, folder, role, paths).await;
        println!("== {role}\n{text}");
        if !is_clean {
            findings += &format!("{role}: {}\n", summary(&text));
        }
        for id in successful(folder, role) {
            missing.remove(&id);
        }
    }
    let unanswered = nul::unanswered(&served.stack, &clock).await;
    jobs.abort();
    assert!(unanswered.is_empty(), "{}", unanswered.join("\n"));
    assert!(findings.is_empty(), "{findings}");
    assert!(
        missing.is_empty(),
        "never answered with 2xx; add them to EXAMPLES in tools/test/schemathesis/hooks.py: {missing:?}"
    );
}
