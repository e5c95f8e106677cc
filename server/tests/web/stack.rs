//! The router with a database and a machine in memory, without a socket.

use crate::{client::Answer, second_factor::Codes};
use agent::{Agent, FeedSource};
use async_trait::async_trait;
use control::{
    Control, ControlParts, ControlSettings, DeviceChange, EndpointNames, Entropy, MachineChecks,
    MailSetup, NewDevice, SignUp, StoreSpecs, WorkerAccess,
};
use domain::{
    AddressPlan, Clock, FilterPolicy, Message, OwnerScope, Routing, Secret, SystemClock,
    TenantHolderScope, TenantName, TenantScope, Timestamp,
    view::{CheckRow, CheckState},
};
use protocol::wire::JoinRequest;
use provisioning::NodePorts;
use server::{
    config::Base,
    metrics::{MetricSources, Metrics},
    readiness::{Dependencies, Readiness},
    web::{Web, WebParts, hosts::Site, web},
    workers::PkiCertificates,
};
use std::{sync::Arc, time::Duration};
use store::{LOCAL_NODE, NewEvent, StatSample, Store};
use testkit::{fakes::FakeMachine, samples};
use tokio::{sync::watch, task::JoinHandle};

pub const BASE: &str = "localhost:8085";
/// The origin whose pages may call the REST interface.
pub const CORS_ORIGIN: &str = "https://status.example";
/// The operator's own privacy notice.
pub const PRIVACY_NOTICE: &str = "https://example.org/our-notice";
pub const PASSWORD: &str = "correct horse battery staple";

pub struct Stack {
    pub web: Web,
    pub machine: Arc<FakeMachine>,
    control: Control,
    store: Store,
    operator: Secret,
    codes: Codes,
    node: JoinHandle<()>,
    close: watch::Sender<bool>,
    _root: tempfile::TempDir,
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.node.abort();
    }
}

/// Makes the operator `admin` through the first link, and returns its password.
async fn first_operator(control: &Control) -> Secret {
    let operators = control.operators();
    let password = Secret::new(PASSWORD);
    if let Some(link) = operators.first_link().await.unwrap() {
        let from = [127, 0, 0, 1].into();
        let accepted = operators.accept(&link.token, "admin", &password, from);
        accepted.await.unwrap();
    }
    password
}

/// Returns that workers may join.
fn workers_allowed() -> WorkerAccess {
    WorkerAccess::Allowed {
        address: "https://192.0.2.1:8443".to_owned(),
        certificates: Arc::new(PkiCertificates),
    }
}

/// Finds on the machine one thing in order, and one to fix.
struct PlantedChecks;

#[async_trait]
impl MachineChecks for PlantedChecks {
    async fn run(&self) -> Vec<CheckRow> {
        let row = |name, state, fix| CheckRow {
            name,
            state,
            message: Message::ProxyUntrusted,
            fix,
        };
        vec![
            row(Message::CheckDatabase, CheckState::Ok, None),
            row(
                Message::CheckForwarding,
                CheckState::Bad,
                Some(Message::Unexpected),
            ),
        ]
    }
}

/// A tenant with sessions on both hosts.
#[derive(Debug)]
pub struct Tenant {
    pub name: String,
    pub cookie: String,
    pub dns_cookie: String,
}

/// Servers of the operator's that an installation uses; by default none.
#[derive(Default)]
pub struct Services {
    pub names: Option<EndpointNames>,
    pub mail: Option<MailSetup>,
}

impl Stack {
    pub async fn new() -> Self {
        Self::with(AddressPlan::default(), None).await
    }

    /// Starts a node in an installation that has a worker, `worker-1`, which has joined and
    /// was not heard of since.
    pub async fn with_worker() -> Self {
        let stack = Self::build(AddressPlan::default(), None, workers_allowed()).await;
        stack.join_worker("worker-1").await;
        stack
    }

    /// Starts a node on this database, with this clock. Workers may join.
    pub async fn on(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self::with_services(store, clock, Services::default()).await
    }

    /// Does what [`on`](Self::on) does, with these servers of the operator's.
    pub async fn with_services(store: Store, clock: Arc<dyn Clock>, services: Services) -> Self {
        let workers = workers_allowed();
        let addresses = AddressPlan::default();
        Self::build_on(store, clock, addresses, None, workers, services).await
    }

    /// Lets a worker join, which is not heard of from then on.
    pub async fn join_worker(&self, name: &str) {
        let nodes = self.control.nodes();
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
    }

    /// Starts a node with these address ranges and a limit of tenants.
    pub async fn with(addresses: AddressPlan, max_tenants: Option<u32>) -> Self {
        Self::build(addresses, max_tenants, WorkerAccess::NeedsPostgres).await
    }

    async fn build(
        addresses: AddressPlan,
        max_tenants: Option<u32>,
        workers: WorkerAccess,
    ) -> Self {
        let store = Store::memory().await.unwrap();
        let clock = Arc::new(SystemClock);
        let services = Services::default();
        Self::build_on(store, clock, addresses, max_tenants, workers, services).await
    }

    async fn build_on(
        store: Store,
        clock: Arc<dyn Clock>,
        addresses: AddressPlan,
        max_tenants: Option<u32>,
        workers: WorkerAccess,
        services: Services,
    ) -> Self {
        let root = tempfile::tempdir().unwrap();
        let machine = Arc::new(FakeMachine::new());
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
        let mut settings = samples::settings(root.path());
        settings.addresses = addresses;
        let agent = Agent::following(LOCAL_NODE, ports, settings, &source);
        let nodes = Arc::new(agent.nodes());
        let engine = agent.nodes().engine().clone();
        let readiness = Readiness::new(Dependencies {
            store: Some(store.clone()),
            node: Some((LOCAL_NODE, nodes.clone())),
            link: None,
        });
        let node = tokio::spawn(agent.run(std::future::pending()));
        let parts = ControlParts {
            names: services.names,
            store: store.clone(),
            nodes,
            clock,
            entropy: Entropy::system(),
            settings: ControlSettings {
                control_plane: "a".to_owned(),
                address: None,
                addresses,
                public_host: "vpn.example".to_owned(),
                local: Some(LOCAL_NODE),
                excluded_slots: Default::default(),
                max_tenants,
                base_url: format!("http://{BASE}"),
                sign_up: domain::SignUpMode::Open,
                sign_ups_per_hour: 0,
                sign_ups_per_hour_total: 0,
                sleep_after: std::time::Duration::ZERO,
                forward_time: std::time::Duration::from_secs(86_400),
                time_zone: "UTC".to_owned(),
            },
            workers,
        };
        let control = Control::with_mail(parts, services.mail);
        control.set_machine_checks(Arc::new(PlantedChecks));
        let operator = first_operator(&control).await;
        let codes = Codes::give(&store, "admin").await;
        let sources = MetricSources {
            control: Some(control.clone()),
            engine: Some(engine),
            ..MetricSources::default()
        };
        let (close, closing) = watch::channel(false);
        let web = web(WebParts {
            control: control.clone(),
            store: store.clone(),
            metrics: Metrics::new(sources, readiness),
            site: Site {
                base: Base::parse(BASE).unwrap(),
                scheme: "http",
                trusted_proxies: Vec::new(),
                forwarded_host: false,
                cors_origins: vec![CORS_ORIGIN.to_owned()],
                operator_from: Vec::new(),
                privacy_notice: Some(PRIVACY_NOTICE.to_owned()),
            },
            files: root.path().join("site"),
            closing,
        });
        Self {
            web,
            machine,
            control,
            store,
            operator,
            codes,
            node,
            close,
            _root: root,
        }
    }

    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Tells the router that the server shuts down.
    pub fn close(&self) {
        self.close.send(true).unwrap();
    }

    pub async fn sign_up(&self, name: &str) -> Tenant {
        let plan = self.control.plans().list().await.unwrap().remove(0).id;
        let form = SignUp {
            name: name.to_owned(),
            password: Secret::new(PASSWORD),
            plan,
            invitation: None,
            mail: String::new(),
        };
        let sign_in = self
            .control
            .tenants()
            .sign_up(form, [127, 0, 0, 1].into())
            .await
            .unwrap();
        self.redeem(name, sign_in.ticket.expose()).await
    }

    pub async fn sign_in(&self, name: &str) -> Tenant {
        let password = Secret::new(PASSWORD);
        let sign_in = self
            .control
            .auth()
            .sign_in(name, &password, std::net::IpAddr::from([127, 0, 0, 1]))
            .await
            .unwrap();
        let ticket = sign_in.done().unwrap().ticket;
        self.redeem(name, ticket.expose()).await
    }

    /// Returns an unused ticket for a tenant's dashboard, and the cookie of the browser
    /// that it is bound to.
    pub async fn ticket(&self, name: &str) -> (String, String) {
        let ticket = self.unbound_ticket(name).await;
        let auth = self.control.auth();
        let nonce = auth.browser_nonce().unwrap();
        let browser = control::browser_hash(nonce.expose());
        auth.bind_ticket(&ticket, &browser).await.unwrap();
        (ticket, format!("mn_arrival={}", nonce.expose()))
    }

    /// Returns an unused ticket as the host has it that issued it.
    pub async fn unbound_ticket(&self, name: &str) -> String {
        let password = Secret::new(PASSWORD);
        let sign_in = self
            .control
            .auth()
            .sign_in(name, &password, std::net::IpAddr::from([127, 0, 0, 1]))
            .await
            .unwrap();
        sign_in.done().unwrap().ticket.expose().to_owned()
    }

    /// Signs in with a ticket that the tenant's own host has issued, and opens AdGuard
    /// Home from there.
    async fn redeem(&self, name: &str, ticket: &str) -> Tenant {
        let host = format!("{name}.{BASE}");
        let issued = format!("mn_handoff={ticket}");
        let cookie = self.session(&host, "/arrive", Some(&issued)).await;
        let (path, arrival) = self.dns_ticket(name, &cookie).await;
        let dns_host = format!("{name}-dns.{BASE}");
        let dns_cookie = self.session(&dns_host, &path, Some(&arrival)).await;
        Tenant {
            name: name.to_owned(),
            cookie,
            dns_cookie,
        }
    }

    /// Opens AdGuard Home from the dashboard as a browser does. Returns the address with
    /// the ticket there, and the cookie of the browser that the ticket is bound to.
    pub async fn dns_ticket(&self, name: &str, cookie: &str) -> (String, String) {
        let (host, dns_host) = (format!("{name}.{BASE}"), format!("{name}-dns.{BASE}"));
        let path = |answer: &crate::client::Answer, host: &str| {
            let url = answer.location.clone().expect("a redirect");
            let path = url.strip_prefix(&format!("http://{host}"));
            path.unwrap_or_else(|| panic!("{url}")).to_owned()
        };
        let open = self.get(&host, "/dns/open", Some(cookie)).await;
        let begun = self.get(&dns_host, &path(&open, &dns_host), None).await;
        let arrival = begun.set_cookie("mn_arrival").expect("a nonce");
        let bound = self.get(&host, &path(&begun, &host), Some(cookie)).await;
        (path(&bound, &dns_host), arrival)
    }

    async fn session(&self, host: &str, url: &str, cookie: Option<&str>) -> String {
        let answer = self.get(host, url, cookie).await;
        let cookie = answer
            .cookie
            .clone()
            .unwrap_or_else(|| panic!("no session: {answer:?}"));
        cookie.split(';').next().unwrap().to_owned()
    }

    pub async fn operator(&self) -> String {
        self.operator_sign_in(None).await
    }

    /// Signs the operator in, in a browser that has this cookie already.
    pub async fn operator_sign_in(&self, cookie: Option<&str>) -> String {
        let password = self.operator.expose();
        let answer = self.operator_steps("admin", password, &self.codes, cookie);
        answer.await.set_cookie("mn_session").expect("a session")
    }

    /// Signs an operator in with its password and a second factor.
    pub async fn operator_steps(
        &self,
        name: &str,
        password: &str,
        codes: &Codes,
        cookie: Option<&str>,
    ) -> Answer {
        let host = format!("admin.{BASE}");
        let body = format!("name={name}&password={password}").replace(' ', "+");
        let asked = self.post(&host, "/operator/sign-in", &body, cookie).await;
        assert_eq!(
            asked.location.as_deref(),
            Some("/sign-in/code"),
            "{asked:?}"
        );
        let set = ["mn_pending", "mn_browser"].map(|name| asked.set_cookie(name).unwrap());
        let cookies = [cookie.unwrap_or_default(), &set[0], &set[1]].join("; ");
        let body = format!("code={}", codes.next());
        let done = self.post(&host, "/operator/sign-in/code", &body, Some(&cookies));
        let done = done.await;
        assert_eq!(done.location.as_deref(), Some("/"), "{done:?}");
        done
    }

    /// The codes that stand for the operator's second factor.
    pub fn operator_codes(&self) -> &Codes {
        &self.codes
    }

    pub fn operator_password(&self) -> &str {
        self.operator.expose()
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Suspends a tenant or resumes it.
    pub async fn suspend(&self, name: &str, suspended: bool) {
        let scope = self.scope(name).await;
        let tenants = self.control.tenants();
        let owner = OwnerScope::issue("test");
        let done = tenants.set_suspended(&owner, &scope, suspended).await;
        done.unwrap();
    }

    /// Gives the operator another password by a link that `maliknode operator reset` makes.
    pub async fn reset_operator(&self) {
        let owner = OwnerScope::issue("test");
        let operators = self.control.operators();
        let link = operators.reset_link(&owner, "admin", false).await.unwrap();
        let (account, new) = (
            self.control.account(),
            Secret::new("another long pass phrase"),
        );
        let from = [127, 0, 0, 1].into();
        account
            .reset_password(&link.token, &new, from)
            .await
            .unwrap();
    }

    async fn scope(&self, name: &str) -> TenantHolderScope {
        let name = TenantName::parse(name).unwrap();
        let tenant = self.store.tenant_by_name(&name).await.unwrap().unwrap();
        TenantHolderScope::issue(tenant.id, name)
    }

    pub async fn tenant_id(&self, tenant: &Tenant) -> String {
        self.scope(&tenant.name).await.tenant().to_string()
    }

    pub async fn add_device(&self, tenant: &Tenant, label: &str) -> String {
        let new = NewDevice {
            label: label.to_owned(),
            routing: Routing::Everything,
            options: domain::TunnelOptions::default(),
            policy: FilterPolicy::Standard,
            mesh: true,
        };
        let scope = self.scope(&tenant.name).await;
        self.control
            .devices()
            .add(&scope, new)
            .await
            .unwrap()
            .id
            .to_string()
    }

    pub async fn rename_device(&self, tenant: &Tenant, id: &str, label: &str) {
        let change = DeviceChange {
            label: Some(label.to_owned()),
            ..DeviceChange::default()
        };
        let scope = self.scope(&tenant.name).await;
        let id = id.parse().unwrap();
        self.control
            .devices()
            .change(&scope, id, change)
            .await
            .unwrap();
    }

    /// Waits until all of a tenant's parts are ready.
    pub async fn ready(&self, tenant: &Tenant) {
        let scope = self.scope(&tenant.name).await;
        for _ in 0..500 {
            if self
                .control
                .tenants()
                .progress(&scope)
                .await
                .unwrap()
                .status
                .is_ready()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} is not ready", tenant.name);
    }

    /// Counts so many further bytes of a tenant's first device, as the meter does: its
    /// interface was made again, and its counters began at 0.
    pub async fn count_data(&self, tenant: &Tenant, more: u64) {
        let scope = self.scope(&tenant.name).await;
        let device = self.store.devices(&scope).await.unwrap().remove(0);
        let now = SystemClock.now();
        for rx_bytes in [0, more] {
            let sample = StatSample {
                public_key: device.public_key,
                rx_bytes,
                tx_bytes: 0,
                last_handshake: Some(now),
                endpoint: None,
            };
            let samples = [sample];
            let counted = self
                .store
                .record_statistics(LOCAL_NODE, &samples, None, now);
            counted.await.unwrap();
        }
        let tenants = [scope.tenant()];
        let changed = self.store.settle_quotas(LOCAL_NODE, &tenants, now);
        changed.await.unwrap();
    }

    /// Writes an event of a tenant, or of the node, into the event log.
    pub async fn record_event(&self, tenant: Option<&Tenant>, kind: &str, detail: &str) {
        let mut subject = None;
        if let Some(tenant) = tenant {
            let scope = self.scope(&tenant.name).await;
            let record = self.store.tenant(&scope).await;
            let record = record.unwrap();
            subject = Some((record.slot, record.name));
        }
        let event = NewEvent {
            at: SystemClock.now(),
            tenant: subject,
            kind: kind.to_owned(),
            detail: detail.to_owned(),
        };
        let written = self.store.record_events(LOCAL_NODE, &[event]).await;
        written.unwrap();
    }

    pub async fn delete(&self, name: &str) {
        let scope = self.scope(name).await;
        self.control.tenants().delete(&scope).await.unwrap();
    }

    pub async fn device_count(&self, name: &str) -> usize {
        let scope = self.scope(name).await;
        self.store.devices(&scope).await.unwrap().len()
    }

    async fn listings(&self) -> Vec<store::TenantListing> {
        let now = SystemClock.now();
        self.store.tenants(Timestamp(0), now).await.unwrap()
    }

    /// Returns everything that a request could have changed, as text.
    pub async fn snapshot(&self) -> String {
        let mut all = String::new();
        for listing in self.listings().await {
            let scope = TenantScope::issue(listing.tenant.id, listing.tenant.name.clone(), "test");
            all += &format!("{} {:?}", listing.tenant.name, listing.tenant.state);
            for d in self.store.devices(&scope).await.unwrap() {
                all += &format!(" {} {} {:?} {}", d.id, d.label, d.policy, d.mesh);
            }
        }
        all += &self.store.generation(LOCAL_NODE).await.unwrap().to_string();
        all += &format!(" {:?}", self.store.row_counts().await.unwrap());
        for row in self.store.audit_recent(1000).await.unwrap() {
            all += &format!(" {} {} {}", row.actor, row.action, row.object);
        }
        all
    }
}
