//! The core over a real store and a node with the fake machine, and what tests
//! ask of it.

pub mod settings;

use agent::{Agent, DiskLimits, FeedSource, Resources};
use control::{
    Audience, Control, ControlParts, ControlSettings, EndpointNames, Entropy, MailSetup, NewDevice,
    PresentedTicket, SignUp, StoreSpecs, WorkerAccess,
};
use domain::{
    Clock, ErrorCode, Failure, FilterPolicy, OwnerScope, Routing, Secret, SignUpMode, Slot,
    SystemClock, TenantHolderScope, TenantName, TenantScope, Timestamp, view::OperatorView,
};
use protocol::Nodes;
use provisioning::{NodePorts, capacity::Memory};
use settings::control_settings;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};
use store::{LOCAL_NODE, Store};
use testkit::{
    fakes::{FakeClock, FakeMachine},
    samples,
};
use tokio::task::JoinHandle;

/// The address that requests come from.
pub const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
pub const PASSWORD: &str = "correct horse battery staple";
/// How long tests wait for a condition.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Puts nodes beside the one of the rig.
pub type WithNodes = Box<dyn FnOnce(Arc<dyn Nodes>) -> Arc<dyn Nodes> + Send>;

/// What differs between rigs.
pub struct Options {
    /// The database; `None` is a new one in memory.
    pub store: Option<Store>,
    pub entropy: Entropy,
    pub excluded_slots: BTreeSet<Slot>,
    pub sign_ups_per_hour: u32,
    pub sign_ups_per_hour_total: u32,
    pub sign_up: SignUpMode,
    /// How long after its sign-up an unused tenant is put to sleep.
    pub sleep_after: Duration,
    /// Where the node reads its memory, with the bytes to keep free.
    pub memory: Option<(Arc<dyn Memory>, Option<u64>)>,
    pub max_tenants: Option<u32>,
    /// Where the node reads what tenants use.
    pub resources: Option<(Arc<dyn Resources>, DiskLimits)>,
    /// Whether the core reads the system's clock instead of [`Rig::clock`].
    pub has_system_clock: bool,
    /// Whether the core's background jobs run.
    pub runs_jobs: bool,
    pub workers: WorkerAccess,
    /// How mail is sent.
    pub mail: Option<MailSetup>,
    /// What endpoints are called.
    pub names: Option<EndpointNames>,
    /// Adds nodes to the one of the rig.
    pub with_nodes: WithNodes,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: None,
            entropy: Entropy::system(),
            excluded_slots: BTreeSet::new(),
            sign_ups_per_hour: 0,
            sign_ups_per_hour_total: 0,
            sign_up: SignUpMode::Open,
            sleep_after: Duration::ZERO,
            memory: None,
            max_tenants: None,
            resources: None,
            has_system_clock: false,
            runs_jobs: false,
            workers: WorkerAccess::NeedsPostgres,
            mail: None,
            names: None,
            with_nodes: Box::new(|nodes| nodes),
        }
    }
}

pub struct Rig {
    pub control: Control,
    pub store: Store,
    pub machine: FakeMachine,
    pub clock: FakeClock,
    jobs: Option<JoinHandle<()>>,
    _root: tempfile::TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(jobs) = &self.jobs {
            jobs.abort();
        }
    }
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let root = tempfile::tempdir().unwrap();
        let machine = FakeMachine::new();
        let clock = FakeClock::at(Timestamp::from_secs(1_795_478_400));
        let store = match options.store {
            Some(store) => store,
            None => Store::memory().await.unwrap(),
        };
        let core_clock: Arc<dyn Clock> = match options.has_system_clock {
            true => Arc::new(SystemClock),
            false => Arc::new(clock.clone()),
        };
        let feed = StoreSpecs::new(store.clone(), LOCAL_NODE, core_clock.clone());
        let source = Arc::new(FeedSource::new(Arc::new(feed), None));
        let ports = ports(&machine, source.clone());
        let settings = samples::settings(root.path());
        let mut agent = Agent::following(LOCAL_NODE, ports, settings, &source);
        if let Some((memory, reserve)) = options.memory {
            agent = agent.measuring(memory, reserve);
        }
        if let Some((resources, limits)) = options.resources {
            agent = agent.watching(resources, limits, 16_000);
        }
        let nodes = (options.with_nodes)(Arc::new(agent.nodes()));
        tokio::spawn(agent.run(std::future::pending()));
        let parts = ControlParts {
            store: store.clone(),
            nodes,
            clock: core_clock,
            entropy: options.entropy,
            settings: ControlSettings {
                max_tenants: options.max_tenants,
                sign_ups_per_hour: options.sign_ups_per_hour,
                sign_ups_per_hour_total: options.sign_ups_per_hour_total,
                sign_up: options.sign_up,
                sleep_after: options.sleep_after,
                ..control_settings(options.excluded_slots)
            },
            workers: options.workers,
            names: options.names,
        };
        let control = Control::with_mail(parts, options.mail);
        let jobs = options.runs_jobs.then(|| {
            let control = control.clone();
            tokio::spawn(async move { control.run().await })
        });
        Self {
            control,
            store,
            machine,
            clock,
            jobs,
            _root: root,
        }
    }

    /// Signs a tenant up and redeems the ticket.
    pub async fn tenant(&self, name: &str) -> TenantHolderScope {
        let ticket = self
            .control
            .tenants()
            .sign_up(form(name), FROM)
            .await
            .unwrap();
        self.control
            .auth()
            .redeem(
                Audience::Dashboard,
                &ticket.name,
                PresentedTicket::Cookie(ticket.ticket.expose()),
                FROM,
            )
            .await
            .unwrap()
            .scope
    }

    /// Makes the first operator through its link, and returns its name and password.
    pub async fn first_operator(&self) -> (String, Secret) {
        first_operator(&self.control).await
    }

    /// Returns the permission of a tenant that exists.
    pub async fn scope(&self, name: &str) -> TenantHolderScope {
        let name = TenantName::parse(name).unwrap();
        let tenant = self.store.tenant_by_name(&name).await.unwrap().unwrap();
        TenantHolderScope::issue(tenant.id, name)
    }

    /// Waits until all parts of a tenant are ready.
    pub async fn wait_until_ready(&self, scope: &TenantScope) {
        let is_ready = async || {
            let progress = self.control.tenants().progress(scope).await.unwrap();
            progress.status.is_ready()
        };
        let wait = async {
            while !is_ready().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(TIMEOUT, wait).await;
        assert!(waited.is_ok(), "{} is not ready", scope.name());
    }

    /// Returns the content of the operator's page.
    pub async fn operator_view(&self) -> OperatorView {
        let operator = OwnerScope::issue("admin");
        self.control.operators().overview(&operator).await.unwrap()
    }
}

/// Makes the first operator of an installation through its link.
pub async fn first_operator(control: &Control) -> (String, Secret) {
    let operators = control.operators();
    let link = operators.first_link().await.unwrap().unwrap();
    let password = Secret::new(PASSWORD);
    let accepted = operators
        .accept(&link.token, "admin", &password, FROM)
        .await;
    (accepted.unwrap(), password)
}

/// Returns the ports of a node over the machine.
pub fn ports(machine: &FakeMachine, specs: Arc<FeedSource>) -> NodePorts {
    let all = Arc::new(machine.clone());
    NodePorts {
        wireguard: all.clone(),
        firewall: all.clone(),
        shaping: all.clone(),
        connections: all.clone(),
        containers: all.clone(),
        dns: all.clone(),
        folders: all,
        specs,
    }
}

/// Returns a sign-up form that is in order.
pub fn form(name: &str) -> SignUp {
    SignUp {
        name: name.to_owned(),
        password: Secret::new(PASSWORD),
        plan: "personal".to_owned(),
        invitation: None,
        mail: String::new(),
    }
}

pub fn device(label: &str) -> NewDevice {
    NewDevice {
        label: label.to_owned(),
        routing: Routing::Everything,
        options: domain::TunnelOptions::default(),
        policy: FilterPolicy::Standard,
        mesh: true,
    }
}

/// Returns the code of a failure that is expected.
pub fn code<T: std::fmt::Debug>(r: Result<T, Failure>) -> ErrorCode {
    r.unwrap_err().code
}
