//! An installation whose node is in memory, with a server that runs as `maliknode serve` does:
//! on a port and on the command line's socket.

use crate::{
    second_factor::Codes,
    services::{Mails, Services},
};
use agent::{Agent, FeedSource};
use async_trait::async_trait;
use axum::{
    extract::Request,
    middleware::{Next, from_fn},
};
use control::{Control, ControlParts, ControlSettings, Entropy, MachineChecks, StoreSpecs};
use domain::{
    AddressPlan, Clock, Message, OwnerScope, Secret, SystemClock, TenantName,
    view::{CheckRow, CheckState},
};
use protocol::{Nodes, wire::JoinRequest};
use provisioning::NodePorts;
use seal::Sealer;
use serde_json::{Value, json};
use server::{
    config::{Base, Config},
    control_socket,
    metrics::{MetricSources, Metrics},
    readiness::{Dependencies, Readiness},
    web::{WebParts, hosts::Site, web},
};
use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use store::{
    AuditEntry, DatabaseUrl, LOCAL_NODE, NewEvent, NewPasskey, Store, TicketHolder, TokenHash,
};
use testkit::{fakes::FakeMachine, samples};
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};

pub const PASSWORD: &str = "correct horse battery staple";

/// How a command ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// The output of a command that succeeded.
    pub fn output(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The same as JSON.
    pub fn json(self) -> Value {
        let out = self.output();
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }

    /// The error output of a command that failed with this exit code.
    pub fn refusal(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        self.err
    }
}

/// An installation.
pub struct Installation {
    pub folder: tempfile::TempDir,
    pub root: PathBuf,
    pub runtime_dir: PathBuf,
}

/// Which requests of the API were done, with method and path. Refused ones are left out.
pub type RequestLog = Arc<Mutex<BTreeSet<(String, String)>>>;

/// The server of an installation; it stops when it is dropped.
pub struct Server {
    pub port: u16,
    /// What the API has done.
    pub done: RequestLog,
    codes: Codes,
    control: Control,
    store: Store,
    close: watch::Sender<bool>,
    runtime: Option<Runtime>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.close.send(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

impl Installation {
    /// Makes the folders; there is no database yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let runtime_dir = folder.path().join("run");
        fs::create_dir_all(root.join("central_api")).unwrap();
        Self {
            folder,
            root,
            runtime_dir,
        }
    }

    fn config(&self, more: &str) -> Config {
        let text = format!("runtime_dir = \"{}\"\n{more}", self.runtime_dir.display());
        Config::from_text(self.root.clone(), "config.toml".into(), &text).unwrap()
    }

    /// Returns the path of the command line's socket.
    pub fn socket(&self) -> PathBuf {
        control_socket::path(&self.config(""))
    }

    /// Returns a command of the program, on this installation.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maliknode"));
        command.env_clear().args(args).stdin(Stdio::null());
        command.env("HOME", self.folder.path());
        command.arg("--root").arg(&self.root);
        command.arg("--runtime-dir").arg(&self.runtime_dir);
        command
    }

    /// Runs a command of the program, on this installation.
    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }

    /// Starts the server.
    pub fn serve(&self) -> Server {
        self.serve_with("")
    }

    /// Starts the server with further settings.
    pub fn serve_with(&self, settings: &str) -> Server {
        self.serve_on(settings, Services::default(), 0)
    }

    /// Starts the server again on the port that it had.
    pub fn serve_at(&self, port: u16) -> Server {
        self.serve_on("", Services::default(), port)
    }

    /// Starts the server with everything that an operator may bring. Returns the mails, too.
    pub fn serve_all(&self) -> (Server, Mails) {
        let (services, mails) = Services::all();
        (self.serve_on("", services, 0), mails)
    }

    fn serve_on(&self, settings: &str, services: Services, port: u16) -> Server {
        let runtime = Runtime::new().unwrap();
        let (close, closing) = watch::channel(false);
        let config = self.config(settings);
        let done = RequestLog::default();
        let started = start(&config, closing, done.clone(), services, port);
        let started = runtime.block_on(started);
        let until = Instant::now() + Duration::from_secs(10);
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < until, "the socket is answered");
            std::thread::sleep(Duration::from_millis(20));
        }
        Server {
            port: started.port,
            done,
            codes: started.codes,
            control: started.control,
            store: started.store,
            close,
            runtime: Some(runtime),
        }
    }
}

impl Server {
    /// Returns the address for `--server`.
    pub fn address(&self) -> String {
        format!("http://api.localhost:{}", self.port)
    }

    /// Returns an access token of an operator or a tenant.
    pub fn token(&self, account: &str, name: &str) -> String {
        let mut answer = self.token_request(&json!({
            "grant": "password", "account": account, "name": name, "password": PASSWORD,
        }));
        if answer["step"] == "second_factor" {
            answer = self.token_request(&json!({
                "grant": "second_factor", "pending": answer["pending"], "code": self.codes.next(),
            }));
        }
        let token = answer["tokens"]["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Returns a recovery code of the first operator, for a sign-in's second step.
    pub fn code(&self) -> String {
        self.codes.next()
    }

    /// Lets a worker join, which is not heard of from then on.
    pub fn join_worker(&self, name: &str) {
        let nodes = self.control.nodes();
        let joined = async {
            let operator = OwnerScope::issue("test");
            let made = nodes.create_token(&operator, None).await.unwrap();
            let token: pki::JoinToken = made.token.expose().parse().unwrap();
            let request = JoinRequest {
                token: token.credential(),
                csr: pki::NodeKey::generate().unwrap().csr().unwrap(),
                name: name.to_owned(),
                host: format!("{name}.example"),
                version: "1.0".to_owned(),
            };
            nodes.join(request).await.unwrap();
        };
        self.runtime.as_ref().unwrap().block_on(joined);
    }

    /// Gives a tenant a passkey, which no browser has.
    pub fn give_passkey(&self, tenant: &str, id: &str) {
        let given = async {
            let name = TenantName::parse(tenant).unwrap();
            let found = self.store.tenant_by_name(&name).await.unwrap();
            let new = NewPasskey {
                id,
                holder: TicketHolder::Tenant(found.unwrap().id),
                name: "Key",
                credential: &TokenHash::of(&Secret::new(id)),
                counter: 0,
                most: 10,
                entry: AuditEntry {
                    at: SystemClock.now(),
                    ..AuditEntry::default()
                },
            };
            self.store.add_passkey(new, b"no key").await.unwrap();
        };
        self.runtime.as_ref().unwrap().block_on(given);
    }

    /// Writes an event of a tenant's network into the event log.
    pub fn record_event(&self, tenant: &str, kind: &str) {
        let recorded = async {
            let name = TenantName::parse(tenant).unwrap();
            let found = self.store.tenant_by_name(&name).await.unwrap().unwrap();
            let event = NewEvent {
                at: SystemClock.now(),
                tenant: Some((found.slot, found.name)),
                kind: kind.to_owned(),
                detail: String::new(),
            };
            let events = [event];
            let written = self.store.record_events(LOCAL_NODE, &events);
            written.await.unwrap();
        };
        self.runtime.as_ref().unwrap().block_on(recorded);
    }

    fn token_request(&self, body: &Value) -> Value {
        let url = format!("http://127.0.0.1:{}/v1/auth/token", self.port);
        let host = format!("Host: api.localhost:{}", self.port);
        let output = Command::new("curl")
            .args(["-sS", "--noproxy", "*", "-H", &host, &url])
            .args([
                "-H",
                "Content-Type: application/json",
                "-d",
                &body.to_string(),
            ])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Checks of a machine on which nothing is wrong.
struct PlantedChecks;

#[async_trait]
impl MachineChecks for PlantedChecks {
    async fn run(&self) -> Vec<CheckRow> {
        vec![CheckRow {
            name: Message::CheckDatabase,
            state: CheckState::Warn,
            message: Message::ProxyUntrusted,
            fix: Some(Message::CheckDatabase),
        }]
    }
}

/// A server that runs.
struct Started {
    port: u16,
    codes: Codes,
    control: Control,
    store: Store,
}

async fn start(
    config: &Config,
    closing: watch::Receiver<bool>,
    done: RequestLog,
    services: Services,
    port: u16,
) -> Started {
    let root = &config.root;
    let sealer = Sealer::from_key_file(&root.join("central_api/seal.key")).unwrap();
    let url = DatabaseUrl::Sqlite(root.join("central_api/database.sqlite"));
    let store = Store::open(&url, sealer).await.unwrap();
    let machine = Arc::new(FakeMachine::new());
    let clock = Arc::new(SystemClock);
    let feed = StoreSpecs::new(store.clone(), LOCAL_NODE, clock.clone());
    let source = Arc::new(FeedSource::new(Arc::new(feed), None));
    let ports = NodePorts {
        wireguard: machine.clone(),
        firewall: machine.clone(),
        shaping: machine.clone(),
        connections: machine.clone(),
        containers: machine.clone(),
        dns: machine.clone(),
        folders: machine.clone(),
        specs: source.clone(),
    };
    let settings = samples::settings(root);
    let agent = Agent::following(LOCAL_NODE, ports, settings, &source);
    let nodes: Arc<dyn Nodes> = Arc::new(agent.nodes());
    tokio::spawn(agent.run(std::future::pending()));
    let parts = ControlParts {
        names: services.names,
        store: store.clone(),
        nodes: nodes.clone(),
        clock,
        entropy: Entropy::system(),
        settings: ControlSettings {
            control_plane: "a".to_owned(),
            address: None,
            addresses: AddressPlan::default(),
            public_host: "vpn.example".to_owned(),
            local: Some(LOCAL_NODE),
            excluded_slots: Default::default(),
            max_tenants: None,
            base_url: "http://localhost:8085".to_owned(),
            sign_up: domain::SignUpMode::Open,
            sign_ups_per_hour: 0,
            sign_ups_per_hour_total: 0,
            sleep_after: Duration::ZERO,
            forward_time: Duration::from_secs(86_400),
            time_zone: "UTC".to_owned(),
        },
        workers: services.workers,
    };
    let control = Control::with_mail(parts, services.mail);
    control.set_machine_checks(Arc::new(PlantedChecks));
    let operators = control.operators();
    if let Some(link) = operators.first_link().await.unwrap() {
        let from = [127, 0, 0, 1].into();
        let password = Secret::new(PASSWORD);
        let accepted = operators.accept(&link.token, "admin", &password, from);
        accepted.await.unwrap();
    }
    let codes = Codes::give(&store, "admin").await;
    let core = control.clone();
    tokio::spawn(async move { core.run().await });
    let readiness = Readiness::new(Dependencies {
        store: Some(store.clone()),
        node: Some((LOCAL_NODE, nodes)),
        link: None,
    });
    let web = web(WebParts {
        control: control.clone(),
        store: store.clone(),
        metrics: Metrics::new(MetricSources::default(), readiness),
        site: Site {
            base: Base::parse("localhost:8085").unwrap(),
            scheme: "http",
            trusted_proxies: Vec::new(),
            forwarded_host: false,
            cors_origins: Vec::new(),
            operator_from: Vec::new(),
            privacy_notice: None,
        },
        files: root.join("site"),
        closing: closing.clone(),
    });
    let note = from_fn(move |request: Request, next: Next| {
        let path = request.uri().path().to_owned();
        let asked = (request.method().to_string(), path);
        let done = done.clone();
        async move {
            let answer = next.run(request).await;
            if answer.status().is_success() {
                done.lock().unwrap().insert(asked);
            }
            answer
        }
    });
    let api = web.api.layer(note.clone());
    tokio::spawn(control_socket::run(config.clone(), api, closing));
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = web
        .router
        .layer(note)
        .into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Started {
        port,
        codes,
        control,
        store,
    }
}
