//! Tests the upkeep of running instances with a fake AdGuard Home whose calls fail on demand.

use super::*;
use crate::lists::lock;
use domain::Secret;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What the fake has.
#[derive(Debug, Default)]
struct Home {
    clients: Vec<Value>,
    rewrites: Vec<Value>,
    /// Whether the list for locked devices is there, and whether it is on.
    list: Option<bool>,
    /// Whether the rules in force are those of its present text.
    is_read: bool,
    failing: BTreeSet<&'static str>,
    calls: Vec<String>,
}

impl Home {
    /// Answers a call, or `None` where it fails.
    fn answer(&mut self, path: &str, body: &Value, url: &str) -> Option<Value> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        self.calls.push(path.to_owned());
        if self.failing.contains(path) {
            return None;
        }
        match path {
            "status" => return Some(json!({"running": true})),
            "clients" => return Some(json!({"clients": self.clients})),
            "rewrite/list" => return Some(json!(self.rewrites)),
            "filtering/status" => {
                let list = self.list.map(|on| json!({"url": url, "enabled": on}));
                return Some(json!({"filters": list.as_slice()}));
            }
            "filtering/check_host" => {
                let is_mark = query == format!("name={}", lock::mark_name());
                let applies = is_mark && self.is_read && self.list == Some(true);
                let rule = applies.then(|| json!({"text": lock::mark_rule()}));
                return Some(json!({"rules": rule.as_slice()}));
            }
            "clients/add" => self.clients.push(body.clone()),
            "clients/update" => {
                let i = self
                    .clients
                    .iter()
                    .position(|c| c["name"] == body["name"])?;
                self.clients[i] = body["data"].clone();
            }
            "rewrite/add" => self.rewrites.push(body.clone()),
            "filtering/add_url" if self.list.is_none() => {
                (self.list, self.is_read) = (Some(true), true);
            }
            "filtering/refresh" => self.is_read = true,
            _ => return None,
        }
        Some(json!({}))
    }
}

struct Fixture {
    _dir: tempfile::TempDir,
    home: Arc<Mutex<Home>>,
    adguard: AdGuard,
    dns: DnsInstance,
    wanted: BTreeMap<String, DnsClient>,
}

impl Fixture {
    /// Starts a fake, and the port for it, which waits for nothing after a failure.
    async fn new(home: Home) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lists = Arc::new(Lists::new(dir.path().join("lists"), vec![]).unwrap());
        lists.install_starter().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = AdGuardSettings::default();
        let url = config::list_url(&settings.lists_mount, &lists.shared()[0]);
        let mut adguard = AdGuard::new(settings, lists).unwrap();
        adguard.api = Api::new(listener.local_addr().unwrap().port()).unwrap();
        adguard.retry = Duration::ZERO;
        let home = Arc::new(Mutex::new(home));
        tokio::spawn(serve(listener, Arc::clone(&home), url));
        let dns = DnsInstance {
            slot: Slot::FIRST,
            address: [127, 0, 0, 1].into(),
            subnet: "10.88.1.0/24".parse().unwrap(),
            subnet6: None,
            domain: "alice.internal".into(),
            user: "tenant",
            password: Secret::new("secret"),
            password_hash: "$2b$04$hash".into(),
            conf_dir: dir.path().join("conf"),
            work_dir: dir.path().join("work"),
            image: "adguard/adguardhome:v0.107.79".into(),
        };
        let tv = DnsClient {
            name: "TV".into(),
            address: [10, 88, 1, 3].into(),
            address6: None,
            policy: FilterPolicy::Off,
            host_name: "tv.alice.internal".into(),
        };
        Self {
            _dir: dir,
            home,
            adguard,
            dns,
            wanted: [("mn-2".to_owned(), tv)].into(),
        }
    }

    fn home<T>(&self, f: impl FnOnce(&mut Home) -> T) -> T {
        f(&mut self.home.lock().unwrap())
    }

    async fn set(&self) {
        let set = self.adguard.set_clients(&self.dns, &self.wanted);
        set.await.unwrap();
    }

    /// Observes, and checks that nothing seems changed. Returns whether filtering is on.
    async fn observe(&self) -> bool {
        let observed = self.adguard.observe(&self.dns).await.unwrap();
        let policy = observed.clients["mn-2"].policy;
        assert_eq!(policy, Some(FilterPolicy::Off), "the policy seems changed");
        self.home(|h| {
            let filtering = h.clients[0]["filtering_enabled"] == json!(true);
            let tags = if filtering {
                json!(["user_admin"])
            } else {
                json!([])
            };
            assert_eq!(h.clients[0].get("tags").unwrap_or(&json!([])), &tags);
            filtering
        })
    }

    async fn observe_until(&self, what: &str, is_so: impl Fn(&Home, bool) -> bool) {
        for _ in 0..1000 {
            let filtering = self.observe().await;
            if self.home(|h| is_so(h, filtering)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("not {what}");
    }

    /// Checks that further observations change nothing.
    async fn is_settled(&self) {
        let changes = |h: &mut Home| {
            let is_change = |c: &&String| !c.ends_with("status") && !c.ends_with("check_host");
            let calls = h.calls.iter().filter(is_change);
            calls
                .filter(|c| *c != "clients" && *c != "rewrite/list")
                .count()
        };
        let is_idle = |s: &mut InstanceState| {
            let mut attempts = [&s.refresh, &s.lock_list, &s.forms].into_iter();
            s.lists_generation.is_some() && s.has_lock_list && !attempts.any(|a| a.runs())
        };
        for _ in 0..1000 {
            self.observe().await;
            if self.adguard.with_state(self.dns.slot, is_idle) {
                break;
            }
            tokio::task::yield_now().await;
        }
        let before = self.home(changes);
        for _ in 0..10 {
            self.observe().await;
        }
        assert_eq!(self.home(changes), before, "changed without a reason");
    }
}

async fn serve(listener: TcpListener, home: Arc<Mutex<Home>>, url: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = answer(stream, &home, &url).await;
    }
}

async fn answer(mut stream: TcpStream, home: &Mutex<Home>, url: &str) -> std::io::Result<()> {
    let mut received = Vec::new();
    let (head, body) = loop {
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&received);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut lines = head.lines();
        let length = lines.find_map(|l| {
            let (key, value) = l.split_once(": ")?;
            key.eq_ignore_ascii_case("content-length")
                .then(|| value.parse().unwrap())
        });
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let path = head.split(' ').nth(1).unwrap_or_default();
    let path = path.trim_start_matches("/control/");
    let body = serde_json::from_str(&body).unwrap_or_default();
    let answer = home.lock().unwrap().answer(path, &body, url);
    let status = if answer.is_some() {
        "200 OK"
    } else {
        "500 Failed"
    };
    let text = answer.unwrap_or_default().to_string();
    let length = text.len();
    let response =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}");
    stream.write_all(response.as_bytes()).await
}

#[tokio::test]
async fn no_device_without_a_filter_waits_for_a_list_that_cannot_be_added() {
    let fixture = Fixture::new(Home {
        failing: ["filtering/add_url"].into(),
        ..Home::default()
    })
    .await;
    fixture.set().await;
    let added = |h: &Home| h.calls.iter().filter(|c| *c == "filtering/add_url").count();
    fixture
        .observe_until("tried again", |h, filtering| {
            assert!(!filtering, "filtered without the rule that lets names pass");
            added(h) >= 3
        })
        .await;
    fixture.home(|h| h.failing.clear());
    fixture
        .observe_until("converged", |_, filtering| filtering)
        .await;
    fixture.is_settled().await;
}

#[tokio::test]
async fn an_earlier_list_is_read_again_until_it_is_in_force() {
    // An upgrade: the list is there, with the rules of before, and so is the client.
    let fixture = Fixture::new(Home {
        list: Some(true),
        failing: ["filtering/refresh"].into(),
        ..Home::default()
    })
    .await;
    fixture.set().await;
    let mut client = fixture.home(|h| h.clients[0].clone());
    client["blocked_services"] = json!([]);
    fixture.home(|h| h.clients[0] = client);
    let read = |h: &Home| h.calls.iter().filter(|c| *c == "filtering/refresh").count();
    fixture
        .observe_until("tried again", |h, filtering| {
            assert!(!filtering, "filtered without the rule that lets names pass");
            read(h) >= 3
        })
        .await;
    fixture.home(|h| h.failing.clear());
    fixture
        .observe_until("converged", |_, filtering| filtering)
        .await;
    fixture.is_settled().await;
    // The answer to the question whether it is in force is missing.
    fixture.home(|h| h.failing.insert("filtering/check_host"));
    fixture
        .observe_until("without filtering", |_, filtering| !filtering)
        .await;
    fixture.home(|h| h.failing.clear());
    fixture
        .observe_until("converged", |_, filtering| filtering)
        .await;
}

#[tokio::test]
async fn a_list_that_the_tenant_switches_off_or_removes_stays_so() {
    let fixture = Fixture::new(Home {
        list: Some(true),
        is_read: true,
        ..Home::default()
    })
    .await;
    fixture.set().await;
    assert!(fixture.observe().await);
    fixture.is_settled().await;
    for list in [Some(false), None] {
        fixture.home(|h| h.list = list);
        fixture
            .observe_until("without filtering", |_, filtering| !filtering)
            .await;
        fixture.is_settled().await;
        // A change of a device meanwhile does not bring the filter back.
        fixture.set().await;
        assert!(!fixture.observe().await);
        assert_eq!(fixture.home(|h| h.list), list);
        fixture.home(|h| h.list = Some(true));
        fixture
            .observe_until("converged", |_, filtering| filtering)
            .await;
        fixture.is_settled().await;
    }
}
