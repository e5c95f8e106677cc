//! `maliknode worker` as an operator meets it: joining, joining twice, what is no control
//! plane, and a control plane's commands on a worker. No test here changes the machine.
// A test that cannot continue panics.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use async_trait::async_trait;
use domain::{AddressPlan, Clock, ErrorCode, Message, NodeId, Problem, SystemClock};
use link::hub::{Hub, Registry};
use pki::{Authority, JoinToken};
use protocol::{
    NodeSpec, SpecAnswer, SpecFeed,
    wire::{CALLS, JoinAnswer, JoinRequest, REQUESTS, RenewAnswer, RenewRequest},
};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

fn maliknode(root: &Path, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maliknode"));
    command.env_clear().args(args).arg("--root").arg(root);
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Run {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// A control plane that lets a machine join once.
struct ControlPlane {
    authority: Authority,
    token: Mutex<Option<JoinToken>>,
    asked: Mutex<Vec<JoinRequest>>,
}

fn refused() -> Problem {
    Problem {
        code: ErrorCode::NodeRefused,
        message: Message::JoinTokenUsed,
    }
}

#[async_trait]
impl Registry for ControlPlane {
    async fn join(&self, request: JoinRequest) -> Result<JoinAnswer, Problem> {
        let token = self.token.lock().unwrap().take();
        token
            .filter(|token| token.credential() == request.token)
            .ok_or_else(refused)?;
        let issued = self
            .authority
            .issue_node(&request.csr, NodeId(17), SystemClock.now());
        self.asked.lock().unwrap().push(request);
        Ok(JoinAnswer {
            node: NodeId(17),
            certificate: issued.unwrap().pem,
            authority: self.authority.certificate_pem().to_owned(),
            addresses: AddressPlan {
                tunnels: "10.64.0.0/14".parse().unwrap(),
                ..AddressPlan::default()
            },
        })
    }

    async fn renew(&self, _: NodeId, _: RenewRequest) -> Result<RenewAnswer, Problem> {
        Err(refused())
    }

    async fn admits(&self, _: NodeId, _: &str) -> Result<bool, Problem> {
        Ok(true)
    }

    fn feed(&self, _: NodeId) -> Arc<dyn SpecFeed> {
        Arc::new(Empty)
    }

    async fn generation(&self, _: NodeId) -> Result<u64, Problem> {
        Ok(1)
    }

    async fn heard(&self, _: NodeId, _: &str) {}
}

struct Empty;

#[async_trait]
impl SpecFeed for Empty {
    async fn load(&self, _: u64) -> Result<SpecAnswer, Problem> {
        let spec = NodeSpec {
            generation: 1,
            ..NodeSpec::default()
        };
        let restored = false;
        Ok(SpecAnswer { spec, restored })
    }
}

/// Serves it in the background for as long as the test runs.
fn serve() -> (Arc<ControlPlane>, SocketAddr, JoinToken) {
    let authority = Authority::generate(SystemClock.now()).unwrap();
    let token = JoinToken::generate(authority.hash()).unwrap();
    let tls = authority
        .server_config(SystemClock.now(), &[REQUESTS, CALLS])
        .unwrap();
    let control = Arc::new(ControlPlane {
        authority,
        token: Mutex::new(Some(token.clone())),
        asked: Mutex::default(),
    });
    let hub = Hub::new(control.clone(), Arc::new(SystemClock));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            hub.run(listener, tls, std::future::pending()).await;
        });
    });
    (control, address, token)
}

#[test]
fn a_machine_joins_once_and_serves_no_pages() {
    let (control, address, token) = serve();
    let root = tempfile::tempdir().unwrap();
    let url = format!("https://{address}");
    let join = |token: &str| {
        let name = ["--name", "fra-1", "--host", "203.0.113.7"];
        let args = [&["worker", "join", token, "--to", &url][..], &name].concat();
        maliknode(root.path(), &args)
    };
    let joined = join(&token.to_string());
    assert_eq!(joined.code, Some(0), "{}", joined.err);
    assert!(
        joined.out.contains("node 17 now, called fra-1"),
        "{}",
        joined.out
    );
    let asked = control.asked.lock().unwrap().pop().unwrap();
    assert_eq!(
        (asked.name.as_str(), asked.host.as_str()),
        ("fra-1", "203.0.113.7")
    );

    let folder = root.path().join("worker");
    let membership = fs::read_to_string(folder.join("worker.toml")).unwrap();
    for expected in ["node = 17", "10.64.0.0/14", &url] {
        assert!(membership.contains(expected), "{membership}");
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("identity.pem")), 0o600);
    let identity = fs::read_to_string(folder.join("identity.pem")).unwrap();
    assert!(identity.contains("PRIVATE KEY") && identity.contains("CERTIFICATE"));
    assert!(!membership.contains("PRIVATE"));

    let again = join(&token.to_string());
    assert_eq!(again.code, Some(1));
    let says = "joined already, as node 17. To leave:";
    assert!(again.err.contains(says), "{}", again.err);
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["tenant", "list"],
        &["operator", "list"],
    ] {
        let refused = maliknode(root.path(), command);
        assert_eq!(refused.code, Some(1));
        let says = "start it with `maliknode worker run`";
        assert!(refused.err.contains(says), "{command:?}: {}", refused.err);
    }

    let report = maliknode(root.path(), &["doctor", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    let state = |code: &str| {
        let checks = json["checks"].as_array().unwrap();
        let check = checks.iter().find(|c| c["code"] == code);
        check.map(|c| c["state"].as_str().unwrap().to_owned())
    };
    for code in ["link", "certificate", "clocks"] {
        assert_eq!(state(code).as_deref(), Some("ok"), "{code}: {}", report.out);
    }
    for code in ["database", "http-port", "pages"] {
        assert_eq!(state(code), None);
    }
}

#[test]
fn a_used_token_leaves_nothing_behind() {
    let (control, address, token) = serve();
    *control.token.lock().unwrap() = None;
    let root = tempfile::tempdir().unwrap();
    let (token, url) = (token.to_string(), format!("https://{address}"));
    let refused = maliknode(root.path(), &["worker", "join", &token, "--to", &url]);
    assert_eq!(refused.code, Some(1));
    let says = texts::english().message(&Message::JoinTokenUsed);
    assert!(refused.err.contains(&says), "{}", refused.err);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_token_of_another_installation_is_refused() {
    let (control, address, _) = serve();
    let other = Authority::generate(SystemClock.now()).unwrap();
    let token = JoinToken::generate(other.hash()).unwrap().to_string();
    let root = tempfile::tempdir().unwrap();
    let url = format!("https://{address}");
    let refused = maliknode(root.path(), &["worker", "join", &token, "--to", &url]);
    assert_eq!(refused.code, Some(1));
    let says = texts::english().message(&Message::AuthorityOther);
    assert!(refused.err.contains(&says), "{}", refused.err);
    assert!(control.asked.lock().unwrap().is_empty());
    assert!(control.token.lock().unwrap().is_some(), "nothing was said");
}

#[test]
fn what_cannot_work_is_explained() {
    let authority = Authority::generate(SystemClock.now()).unwrap();
    let token = JoinToken::generate(authority.hash()).unwrap().to_string();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", closed.local_addr().unwrap());
    drop(closed);
    let root = tempfile::tempdir().unwrap();
    let join =
        |token: &str, to: &str| maliknode(root.path(), &["worker", "join", token, "--to", to]);
    for (run, says) in [
        (join(&token, &url), "cannot be connected to"),
        (join(&token, "control.example"), "write it with its port"),
        (join("mn1_nonsense", &url), "begins with mn1_"),
        (maliknode(root.path(), &["worker", "run"]), "has not joined"),
    ] {
        assert_eq!(run.code, Some(1), "{says}");
        assert!(run.err.contains(says), "{says}: {}", run.err);
        assert!(!run.err.contains("nonsense"), "{}", run.err);
    }
    // A control plane with a node of its own.
    let central = root.path().join("central_api");
    fs::create_dir_all(&central).unwrap();
    fs::write(central.join("database.sqlite"), "").unwrap();
    let serves = join(&token, &url);
    assert!(
        serves.err.contains("this machine is a control plane"),
        "{}",
        serves.err
    );
    assert_eq!(serves.code, Some(1));
}
