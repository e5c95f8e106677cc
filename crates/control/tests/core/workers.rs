//! Workers: how they join, where tenants are placed, and what the operator reads.

use crate::rig::{FROM, Options, Rig, code, device, form};
use async_trait::async_trait;
use control::{Certificates, IssuedCertificate, JoinToken, WorkerAccess};
use domain::{
    ErrorCode, Failure, Message, NodeId, NodeStanding, OwnerScope, Problem, Secret, Slot,
    TenantHolderScope, TenantName, Timestamp,
    view::{NodeRow, QueryCounts, WorkersAllowed},
};
use futures_util::stream::{BoxStream, StreamExt, pending};
use protocol::{
    CapacityEstimate, DnsStream, FolderCopy, FolderOwner, FolderReceipt, FolderStream, Location,
    MachineState, NodeState, NodeStatistics, Nodes, Reported, ResourceUsage, TenantState,
    wire::{JoinAnswer, JoinRequest, RenewRequest},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use store::{AuthorityPem, CertificateRecord, LOCAL_NODE};
use testkit::fakes::FakeNodes;

const DAY: i64 = 86_400_000;

/// Makes certificates without cryptography: a request is its key.
#[derive(Default)]
struct FakeCertificates(AtomicU64);

impl FakeCertificates {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

impl Certificates for FakeCertificates {
    fn new_authority(&self, _now: Timestamp) -> Result<AuthorityPem, Failure> {
        let n = self.next();
        Ok(AuthorityPem {
            certificate: format!("authority-{n}"),
            key: Secret::new(format!("key {n}")),
        })
    }

    fn new_token(&self, authority: &AuthorityPem) -> Result<JoinToken, Failure> {
        let id = format!("t{}", self.next());
        Ok(JoinToken {
            text: Secret::new(format!("mn1_{}_{id}_secret", authority.certificate)),
            secret: Secret::new("secret"),
            id,
        })
    }

    fn issue(
        &self,
        authority: &AuthorityPem,
        request: &str,
        node: NodeId,
        now: Timestamp,
    ) -> Result<IssuedCertificate, Failure> {
        if request.is_empty() {
            let message = Message::CertificateRequestInvalid;
            return Err(Failure::new(ErrorCode::BadRequest, message));
        }
        let serial = format!("s{}", self.next());
        Ok(IssuedCertificate {
            pem: format!("{serial} of {node} by {}", authority.certificate),
            record: CertificateRecord {
                serial,
                public_key: request.to_owned(),
                expires: now.plus_millis(30 * DAY),
            },
        })
    }
}

/// The local node, and workers with room for so many tenants.
struct WithWorkers {
    local: Arc<dyn Nodes>,
    workers: Arc<Mutex<BTreeMap<NodeId, u32>>>,
    /// Answers for all of them what is asked about folders.
    folders: FakeNodes,
}

impl WithWorkers {
    fn max_tenants(&self, node: NodeId) -> Option<u32> {
        self.workers.lock().unwrap().get(&node).copied()
    }
}

#[async_trait]
impl Nodes for WithWorkers {
    fn ids(&self) -> Vec<NodeId> {
        let workers = self.workers.lock().unwrap();
        self.local
            .ids()
            .into_iter()
            .chain(workers.keys().copied())
            .collect()
    }

    fn nudge(&self, node: NodeId) {
        self.local.nudge(node);
    }

    fn tenant(&self, at: Location) -> Option<TenantState> {
        self.local.tenant(at)
    }

    fn tenant_changes(&self, at: Location) -> BoxStream<'static, ()> {
        match self.max_tenants(at.node) {
            Some(_) => pending().boxed(),
            None => self.local.tenant_changes(at),
        }
    }

    fn node(&self, node: NodeId) -> Option<NodeState> {
        match self.max_tenants(node) {
            Some(_) => Some(NodeState::default()),
            None => self.local.node(node),
        }
    }

    fn node_changes(&self, node: NodeId) -> BoxStream<'static, ()> {
        self.local.node_changes(node)
    }

    fn machine(&self, node: NodeId) -> Option<MachineState> {
        let Some(max_tenants) = self.max_tenants(node) else {
            return self.local.machine(node);
        };
        let capacity = CapacityEstimate {
            max_tenants,
            per_tenant: 1,
            measured: 1,
            reserve: 0,
            total: 100,
            available: 50,
        };
        Some(MachineState {
            wireguard: "kernel".to_owned(),
            capacity: Some(capacity),
            ..MachineState::default()
        })
    }

    fn holders(&self, node: NodeId) -> Option<BTreeMap<Slot, TenantName>> {
        self.local.holders(node)
    }

    fn used_slots(&self, node: NodeId) -> BTreeSet<Slot> {
        self.local.used_slots(node)
    }

    fn events(&self) -> BoxStream<'static, Reported> {
        self.local.events()
    }

    async fn statistics(&self, node: NodeId) -> Result<NodeStatistics, Problem> {
        self.local.statistics(node).await
    }

    async fn resources(&self, node: NodeId) -> Result<Vec<ResourceUsage>, Problem> {
        self.local.resources(node).await
    }

    async fn dns_connect(&self, at: Location, name: &TenantName) -> Result<DnsStream, Problem> {
        self.local.dns_connect(at, name).await
    }

    async fn dns_counts(&self, at: Location, name: &TenantName) -> Result<QueryCounts, Problem> {
        self.local.dns_counts(at, name).await
    }

    async fn read_folder(&self, copy: &FolderCopy) -> Result<FolderStream, Problem> {
        self.folders.read_folder(copy).await
    }

    async fn write_folder(
        &self,
        copy: &FolderCopy,
        owner: &FolderOwner,
        archive: FolderStream,
    ) -> Result<FolderReceipt, Problem> {
        self.folders.write_folder(copy, owner, archive).await
    }

    async fn end_copy(&self, at: Location, name: &TenantName) -> Result<(), Problem> {
        self.folders.end_copy(at, name).await
    }
}

/// An installation that takes workers.
pub struct Installation {
    pub rig: Rig,
    pub workers: Arc<Mutex<BTreeMap<NodeId, u32>>>,
    /// What all nodes answer about folders.
    pub folders: FakeNodes,
    pub operator: OwnerScope,
}

impl Installation {
    /// Has a local node with room for so many tenants.
    pub async fn new(max_tenants: u32) -> Self {
        Self::with(max_tenants, false).await
    }

    /// The same, with or without the background jobs of the core.
    pub async fn with(max_tenants: u32, runs_jobs: bool) -> Self {
        let workers = Arc::<Mutex<BTreeMap<_, _>>>::default();
        let all = workers.clone();
        let folders = FakeNodes::new(LOCAL_NODE);
        let answering = folders.clone();
        let rig = Rig::with(Options {
            max_tenants: Some(max_tenants),
            workers: WorkerAccess::Allowed {
                address: "https://192.0.2.1:8443".to_owned(),
                certificates: Arc::new(FakeCertificates::default()),
            },
            with_nodes: Box::new(move |local| {
                let (workers, folders) = (all, answering);
                Arc::new(WithWorkers {
                    local,
                    workers,
                    folders,
                })
            }),
            runs_jobs,
            ..Options::default()
        })
        .await;
        Self {
            rig,
            workers,
            folders,
            operator: OwnerScope::issue("admin"),
        }
    }

    /// Makes a token for a new node, or one that joins again, in the form that a worker
    /// sends.
    async fn token(&self, node: Option<NodeId>) -> Result<Secret, Failure> {
        let made = self.rig.control.nodes().create_token(&self.operator, node);
        let made = made.await?;
        let mut parts = made.token.expose().rsplit('_');
        let (secret, id) = (parts.next().unwrap(), parts.next().unwrap());
        Ok(Secret::new(format!("{id}_{secret}")))
    }

    async fn join(&self, token: &Secret, name: &str, key: &str) -> Result<JoinAnswer, Failure> {
        let request = JoinRequest {
            token: token.clone(),
            csr: key.to_owned(),
            name: name.to_owned(),
            host: format!("{name}.example.org"),
            version: "1.0".to_owned(),
        };
        self.rig.control.nodes().join(request).await
    }

    /// Makes a worker of that name that reports room for so many tenants.
    pub async fn worker(&self, name: &str, max_tenants: u32) -> NodeId {
        let token = self.token(None).await.unwrap();
        let node = self.join(&token, name, name).await.unwrap().node;
        self.workers.lock().unwrap().insert(node, max_tenants);
        self.rig.control.nodes().heard(node, "1.0").await;
        node
    }

    pub async fn sign_up(&self, name: &str) -> Result<NodeId, Failure> {
        self.rig.control.tenants().sign_up(form(name), FROM).await?;
        let name = TenantName::parse(name).unwrap();
        let tenant = self.rig.store.tenant_by_name(&name).await.unwrap();
        Ok(tenant.unwrap().node)
    }

    pub async fn row(&self, node: NodeId) -> NodeRow {
        let view = self.rig.control.nodes().list(&self.operator).await.unwrap();
        view.nodes.into_iter().find(|n| n.id == node).unwrap()
    }
}

#[tokio::test]
async fn a_machine_becomes_a_node_with_a_token() {
    let i = Installation::new(5).await;
    let nodes = i.rig.control.nodes();
    let made = nodes.create_token(&i.operator, None).await.unwrap();
    let command = nodes.join_command(made.token.expose()).unwrap();
    assert_eq!(
        command.expose(),
        "maliknode worker join mn1_authority-0_t1_secret --to https://192.0.2.1:8443"
    );
    for evil in ["", "x --to evil", "$(x)", "a;b", "a\nb"] {
        assert_eq!(code(nodes.join_command(evil)), ErrorCode::NodeRefused);
    }
    let token = i.token(None).await.unwrap();
    let bad = i.join(&token, "fra1", "").await;
    assert_eq!(code(bad), ErrorCode::BadRequest);
    let bad = i.join(&token, "fra 1", "key").await;
    assert_eq!(code(bad), ErrorCode::NodeMalformed);
    let answer = i.join(&token, "FRA1", "key").await.unwrap();
    assert_eq!(answer.node, NodeId(2));
    let authority = nodes.authority().await.unwrap();
    assert_eq!(answer.authority, authority.certificate, "made once");
    assert!(answer.certificate.ends_with(&authority.certificate));
    for (token, message) in [
        (token.clone(), Message::JoinTokenUsed),
        (Secret::new("t1_other"), Message::JoinTokenUnknown),
        (Secret::new("none"), Message::JoinTokenUnknown),
    ] {
        let refused = i.join(&token, "fra2", "another key").await.unwrap_err();
        assert_eq!(
            (refused.code, refused.message),
            (ErrorCode::NodeRefused, message)
        );
    }
    let late = i.token(None).await.unwrap();
    i.rig.clock.advance(3_600_000);
    let refused = i.join(&late, "fra2", "key").await.unwrap_err();
    assert_eq!(refused.message, Message::JoinTokenExpired);
    let row = i.row(answer.node).await;
    assert_eq!((row.name.as_str(), row.is_local), ("fra1", false));
    assert_eq!(row.host.as_deref(), Some("fra1.example.org"));
    assert_eq!(row.problems[0].message, Message::NodeNeverHeard);
    let found = nodes.find(&i.operator, " FRA1").await.unwrap();
    assert_eq!(found.id, answer.node);
    assert_eq!(
        code(nodes.find(&i.operator, "x").await),
        ErrorCode::NotFound
    );
}

#[tokio::test]
async fn an_installation_on_sqlite_takes_no_worker() {
    let rig = Rig::new().await;
    let (nodes, operator) = (rig.control.nodes(), OwnerScope::issue("admin"));
    let refused = nodes.create_token(&operator, None).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::WorkersUnavailable);
    assert_eq!(refused.message, Message::WorkersNeedPostgres);
    let view = nodes.list(&operator).await.unwrap();
    assert_eq!(view.workers, WorkersAllowed::NeedsPostgres);
    let [local] = &view.nodes[..] else {
        panic!("{view:?}");
    };
    assert_eq!((local.id, local.is_local), (LOCAL_NODE, true));
    assert_eq!(local.host.as_deref(), Some("vpn.example.org"));
    assert_eq!((local.capacity.more, local.problems.len()), (1_000, 0));
}

#[tokio::test]
async fn a_certificate_is_renewed_for_its_own_key() {
    let i = Installation::new(5).await;
    let node = i.worker("fra1", 5).await;
    let nodes = i.rig.control.nodes();
    let renew = async |csr: &str| {
        let request = RenewRequest {
            csr: csr.to_owned(),
            version: "1.1".to_owned(),
        };
        nodes.renew(node, request).await
    };
    let serial = |certificate: &str| certificate.split(' ').next().unwrap().to_owned();
    let second = renew("fra1").await.unwrap().certificate;
    assert!(nodes.admits(node, &serial(&second)).await.unwrap());
    assert!(!nodes.admits(node, "s1").await.unwrap());
    assert!(!nodes.admits(LOCAL_NODE, &serial(&second)).await.unwrap());
    let refused = renew("stolen").await.unwrap_err();
    assert_eq!(refused.message, Message::RenewalOtherKey);
    // 89 days after its end, and 90.
    i.rig.clock.advance((30 + 90) * DAY - 1_000);
    let third = renew("fra1").await.unwrap().certificate;
    i.rig.clock.advance((30 + 90) * DAY);
    let refused = renew("fra1").await.unwrap_err();
    assert_eq!(refused.message, Message::RenewalTooLate { days: 90 });
    assert!(nodes.admits(node, &serial(&third)).await.unwrap());
    nodes.revoke(&i.operator, node).await.unwrap();
    assert!(!nodes.admits(node, &serial(&third)).await.unwrap());
    // Its machine joins again, with a new key.
    let token = i.token(Some(node)).await.unwrap();
    let again = i.join(&token, "fra1", "new key").await.unwrap();
    assert_eq!(again.node, node);
    assert_eq!(i.row(node).await.standing, NodeStanding::Open);
}

#[tokio::test]
async fn a_sign_up_lands_on_the_emptiest_node() {
    let i = Installation::new(4).await;
    assert_eq!(i.sign_up("local-1").await.unwrap(), LOCAL_NODE);
    // 1 of 4, 0 of 2, 0 of 8.
    let small = i.worker("small", 2).await;
    let large = i.worker("large", 8).await;
    let mut placed = Vec::new();
    for n in 0..10 {
        placed.push(i.sign_up(&format!("tenant-{n}")).await.unwrap());
    }
    assert_eq!(
        placed[..4],
        [large, small, large, large],
        "by share; of equals the larger one"
    );
    let count = |node| placed.iter().filter(|n| **n == node).count();
    assert_eq!((count(LOCAL_NODE), count(small), count(large)), (2, 2, 6));
    for n in 10..13 {
        i.sign_up(&format!("tenant-{n}")).await.unwrap();
    }
    assert!(i.rig.control.nodes().is_full().await.unwrap());
    assert_eq!(code(i.sign_up("too-many").await), ErrorCode::NodeFull);
    i.worker("more", 1).await;
    assert!(!i.rig.control.nodes().is_full().await.unwrap());
    i.sign_up("too-many").await.unwrap();
    let view = i.rig.operator_view().await;
    assert_eq!((view.nodes, view.capacity.more), (4, 0));
    let full = view
        .problems
        .iter()
        .filter(|p| p.problem.code == ErrorCode::NodeFull);
    assert_eq!(full.count(), 4, "each says what it lacks");
    assert_eq!(view.tenants.last().unwrap().node.as_deref(), Some("more"));
}

#[tokio::test]
async fn a_silent_or_closed_node_gets_no_tenant() {
    let i = Installation::new(0).await;
    let node = i.worker("fra1", 9).await;
    assert_eq!(i.sign_up("tenant-1").await.unwrap(), node);
    let nodes = i.rig.control.nodes();
    nodes.set_open(&i.operator, node, false).await.unwrap();
    assert_eq!(code(i.sign_up("tenant-2").await), ErrorCode::NodeFull);
    nodes.set_open(&i.operator, node, true).await.unwrap();
    i.sign_up("tenant-2").await.unwrap();

    i.rig.clock.advance(60_000);
    i.sign_up("tenant-3").await.unwrap();
    i.rig.clock.advance(1_000);
    assert!(nodes.is_full().await.unwrap());
    assert_eq!(code(i.sign_up("tenant-4").await), ErrorCode::NodeFull);
    let view = i.rig.operator_view().await;
    let silent = view
        .problems
        .iter()
        .find(|p| p.node.as_deref() == Some("fra1"));
    let expected = Message::WorkerSilent { seconds: 61 };
    assert_eq!(silent.unwrap().problem.message, expected);
    assert_eq!(view.capacity.more, 0);
    nodes.heard(node, "1.1").await;
    i.sign_up("tenant-4").await.unwrap();
    let row = i.row(node).await;
    assert_eq!((row.tenants, row.version.as_deref()), (4, Some("1.1")));
    assert_eq!(row.problems, []);
    // It has joined, and this control plane does not hear it.
    i.workers.lock().unwrap().clear();
    assert!(nodes.is_full().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_sign_ups_fill_all_nodes_and_no_more() {
    let i = Arc::new(Installation::new(3).await);
    for (name, max) in [("fra1", 2), ("fra2", 4)] {
        i.worker(name, max).await;
    }
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let i = i.clone();
            tokio::spawn(async move {
                loop {
                    match i.sign_up(&format!("crowd-{n}")).await {
                        Err(f) if f.code == ErrorCode::Busy => {
                            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                        }
                        result => return result,
                    }
                }
            })
        })
        .collect();
    let mut placed = BTreeMap::<NodeId, u32>::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(node) => *placed.entry(node).or_default() += 1,
            Err(f) => assert_eq!(f.code, ErrorCode::NodeFull),
        }
    }
    let expected = [(LOCAL_NODE, 3), (NodeId(2), 2), (NodeId(3), 4)];
    assert_eq!(placed, expected.into());
}

#[tokio::test]
async fn a_devices_endpoint_is_its_own_node() {
    let i = Installation::new(1).await;
    let here = i.rig.tenant("local-1").await;
    let node = i.worker("fra1", 9).await;
    i.sign_up("tenant-1").await.unwrap();
    let there = i.rig.scope("tenant-1").await;
    let endpoint = async |scope: &TenantHolderScope| {
        let devices = i.rig.control.devices();
        let network = i.rig.control.tenants().network(scope).await.unwrap();
        let added = match network.devices.first() {
            Some(device) => device.id,
            None => devices.add(scope, device("Phone")).await.unwrap().id,
        };
        devices.config(scope, added, None).await.map(|c| c.endpoint)
    };
    assert_eq!(endpoint(&here).await.unwrap(), "vpn.example.org:51821");
    assert_eq!(endpoint(&there).await.unwrap(), "fra1.example.org:51821");
    let nodes = i.rig.control.nodes();
    let set = async |node, host: &str| nodes.set_host(&i.operator, node, host).await;
    assert_eq!(
        code(set(node, "192.0.2.7:1").await),
        ErrorCode::NodeMalformed
    );
    assert_eq!(
        code(set(LOCAL_NODE, "192.0.2.7").await),
        ErrorCode::NodeFixed
    );
    assert_eq!(
        set(node, "2001:db8::7").await.unwrap(),
        1,
        "a device to configure"
    );
    assert_eq!(endpoint(&there).await.unwrap(), "[2001:db8::7]:51821");
    assert_eq!(endpoint(&here).await.unwrap(), "vpn.example.org:51821");
}

#[tokio::test]
async fn a_worker_is_removed_by_its_name() {
    let i = Installation::new(0).await;
    let node = i.worker("fra1", 9).await;
    i.sign_up("tenant-1").await.unwrap();
    let nodes = i.rig.control.nodes();
    let remove = async |node, name: &str| nodes.remove(&i.operator, node, name).await;
    let refused = remove(node, "fra2").await.unwrap_err();
    let name = "fra1".to_owned();
    assert_eq!(refused.message, Message::NodeNameWrong { name });
    let refused = remove(node, "fra1").await.unwrap_err();
    assert_eq!(refused.message, Message::NodeHasTenants { tenants: 1 });
    assert_eq!(
        code(remove(LOCAL_NODE, "local").await),
        ErrorCode::NodeFixed
    );
    let scope = i.rig.scope("tenant-1").await;
    i.rig
        .store
        .delete_tenant(&scope, Timestamp(0))
        .await
        .unwrap();
    remove(node, " FRA1 ").await.unwrap();
    assert_eq!(code(remove(node, "fra1").await), ErrorCode::NotFound);
}
