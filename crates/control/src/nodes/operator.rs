//! What the operator sees of the nodes and changes of them.

use super::{
    NodesHandle, actor::actor, certificates::WorkerAccess, control_planes::address_problem,
    known::KnownNode, moves::move_row,
};
use crate::failures::store_failure;
use domain::{
    ErrorCode, Failure, Field, Message, NodeHost, NodeId, NodeStanding, OperatorScope, OwnerScope,
    Secret, Timestamp,
    view::{DiskView, NodeRow, NodesView, WorkersAllowed},
};
use protocol::DiskSpace;
use store::NewJoinToken;

/// How long a join token is valid.
const TOKEN_MILLIS: i64 = 3_600_000;

/// A join token that was made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The token, as an operator copies it.
    pub token: Secret,
    /// The whole command with which a machine joins.
    pub command: Secret,
    /// Where the machine reaches the control plane.
    pub address: String,
    /// Until when it is valid.
    pub expires: Timestamp,
}

/// What an operator changes of a node. What is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct NodeChange {
    /// The host that devices connect to.
    pub host: Option<String>,
    /// Whether it gets new tenants.
    pub open: Option<bool>,
}

impl NodesHandle<'_> {
    /// Returns the nodes of the installation.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn list(self, _operator: &OperatorScope) -> Result<NodesView, Failure> {
        let inner = self.0;
        let now = inner.clock.now();
        let known = inner.known_nodes().await.map_err(store_failure)?;
        let moves = inner.store.moves().await.map_err(store_failure)?;
        let is_open = known.iter().any(KnownNode::takes_tenants);
        let row = |known: KnownNode| {
            let machine = inner.nodes.machine(known.record.id).unwrap_or_default();
            let problems = known.problems(now, is_open);
            let record = known.record;
            let own_host = known.is_local.then(|| inner.settings.public_host.clone());
            NodeRow {
                id: record.id,
                name: record.name,
                host: own_host.or(record.host),
                is_local: known.is_local,
                standing: record.standing,
                tenants: record.tenants,
                capacity: known.view,
                disk: machine.disk.map(disk_view),
                wireguard: machine.wireguard,
                version: record.version,
                last_heard: record.last_heard,
                certificate_expires: record.certificate_expires,
                problems,
            }
        };
        let workers = match inner.workers {
            WorkerAccess::Allowed { .. } => WorkersAllowed::Yes,
            WorkerAccess::NeedsPostgres => WorkersAllowed::NeedsPostgres,
            WorkerAccess::NoAddress => WorkersAllowed::NoAddress,
        };
        Ok(NodesView {
            now,
            workers,
            nodes: known.into_iter().map(row).collect(),
            moves: moves.into_iter().map(move_row).collect(),
            unreached: address_problem(&self.control_planes()),
            unnamed: super::names::problem(inner).await?,
        })
    }

    /// Returns the node that the operator calls so.
    ///
    /// # Errors
    /// `NotFound`, `DatabaseUnavailable`.
    pub async fn find(self, operator: &OperatorScope, name: &str) -> Result<NodeRow, Failure> {
        let nodes = self.list(operator).await?.nodes;
        let wanted = name.trim().to_ascii_lowercase();
        let found = nodes.into_iter().find(|n| n.name == wanted);
        found.ok_or_else(|| {
            let message = Message::NodeNotFound { name: wanted };
            Failure::new(ErrorCode::NotFound, message)
        })
    }

    /// Makes a join token and returns it, to be shown once. It works once, for an hour:
    /// for a new machine, or for that of a worker that lost its key or was revoked. The node
    /// that a control plane had of its own becomes a worker once no control plane has it.
    ///
    /// # Errors
    /// `WorkersUnavailable`, `NotFound`, `NodeFixed` for the local node of this one,
    /// `DatabaseUnavailable`.
    pub async fn create_token(
        self,
        operator: &OwnerScope,
        node: Option<NodeId>,
    ) -> Result<NewToken, Failure> {
        let (address, certificates) = self.access()?;
        let authority = self.authority().await?;
        let token = certificates.new_token(&authority)?;
        let now = self.0.clock.now();
        let expires = now.plus_millis(TOKEN_MILLIS);
        let name = operator.actor();
        let new = NewJoinToken {
            id: &token.id,
            secret: &token.secret,
            node,
            may_be_local: self.0.settings.local.is_none(),
            actor: actor(&name, operator),
            now,
            expires,
        };
        let created = self.0.store.create_join_token(new).await;
        created.map_err(store_failure)?;
        Ok(NewToken {
            command: self.join_command(token.text.expose())?,
            token: token.text,
            address,
            expires,
        })
    }

    /// Returns the command with which a machine joins: with that token, at the address of
    /// this installation.
    ///
    /// # Errors
    /// `NodeRefused` for a text that is no token, `WorkersUnavailable`.
    pub fn join_command(self, token: &str) -> Result<Secret, Failure> {
        let (address, _) = self.access()?;
        // It is pasted into a shell.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if token.is_empty() || !token.chars().all(is_plain) {
            let message = Message::JoinTokenMalformed;
            return Err(Failure::new(ErrorCode::NodeRefused, message));
        }
        Ok(Secret::new(format!(
            "maliknode worker join {token} --to {address}"
        )))
    }

    /// Opens a node for new tenants or closes it. Its tenants are served in any case.
    ///
    /// # Errors
    /// `NodeFixed` for a revoked node, `NotFound`, `DatabaseUnavailable`.
    pub async fn set_open(
        self,
        operator: &OwnerScope,
        node: NodeId,
        is_open: bool,
    ) -> Result<(), Failure> {
        self.set_standing(operator, node, standing(is_open)).await
    }

    /// Does what [`NodesHandle::set_host`] and [`NodesHandle::set_open`] do, together and only
    /// if what of the node can be changed is still as in `expected`.
    ///
    /// # Errors
    /// As there; `ChangedMeanwhile`. Nothing is changed then.
    pub async fn change_if(
        self,
        operator: &OwnerScope,
        node: NodeId,
        change: NodeChange,
        expected: Option<&NodeRow>,
    ) -> Result<u64, Failure> {
        let host = change.host.as_deref().map(NodeHost::parse).transpose()?;
        let change = store::NodeChange {
            host: host.as_ref(),
            standing: change.open.map(standing),
        };
        let expected = expected.map(|row| store::NodeTerms {
            host: row.host.clone(),
            standing: row.standing,
        });
        let (name, now) = (operator.actor(), self.0.clock.now());
        let actor = actor(&name, operator);
        let store = &self.0.store;
        let changed = store.change_node_if(node, change, expected.as_ref(), actor, now);
        changed.await.map_err(host_failure)
    }

    /// Refuses a worker's certificate from now on. What it holds goes on working there;
    /// no change reaches it.
    ///
    /// # Errors
    /// `NodeFixed` for the local node, `NotFound`, `DatabaseUnavailable`.
    pub async fn revoke(self, operator: &OwnerScope, node: NodeId) -> Result<(), Failure> {
        let standing = NodeStanding::Revoked;
        self.set_standing(operator, node, standing).await?;
        // Its question is answered with the refusal.
        self.0.nodes.nudge(node);
        Ok(())
    }

    async fn set_standing(
        self,
        operator: &OwnerScope,
        node: NodeId,
        standing: NodeStanding,
    ) -> Result<(), Failure> {
        let (name, now) = (operator.actor(), self.0.clock.now());
        let actor = actor(&name, operator);
        let store = &self.0.store;
        let set = store.set_standing(node, standing, actor, now).await;
        set.map_err(store_failure)
    }

    /// Gives a worker another host. Returns the number of devices that have to be
    /// configured again, because they connect to the former one.
    ///
    /// # Errors
    /// `NodeMalformed`, `NodeFixed` for the local node, whose host is a setting,
    /// `NotFound`, `DatabaseUnavailable`.
    pub async fn set_host(
        self,
        operator: &OwnerScope,
        node: NodeId,
        typed: &str,
    ) -> Result<u64, Failure> {
        let host = NodeHost::parse(typed)?;
        let (name, now) = (operator.actor(), self.0.clock.now());
        let actor = actor(&name, operator);
        let set = self.0.store.set_node_host(node, &host, actor, now).await;
        set.map_err(host_failure)
    }

    /// Removes a worker that has no tenants; `typed` is its name, which confirms it.
    ///
    /// # Errors
    /// `NodeMalformed` for another name, `NodeInUse`, `NodeFixed` for the local node,
    /// `NotFound`, `DatabaseUnavailable`.
    pub async fn remove(
        self,
        operator: &OwnerScope,
        node: NodeId,
        typed: &str,
    ) -> Result<(), Failure> {
        let store = &self.0.store;
        let record = store.node(node).await.map_err(store_failure)?;
        if typed.trim().to_ascii_lowercase() != record.name {
            let message = Message::NodeNameWrong { name: record.name };
            return Err(Failure::at(Field::Name, ErrorCode::NodeMalformed, message));
        }
        let (name, now) = (operator.actor(), self.0.clock.now());
        let actor = actor(&name, operator);
        let removed = store.remove_node(node, actor, now).await;
        removed.map_err(store_failure)
    }
}

/// Returns the standing of a node that is open or closed.
const fn standing(is_open: bool) -> NodeStanding {
    match is_open {
        true => NodeStanding::Open,
        false => NodeStanding::Closed,
    }
}

/// Turns an error into a failure, which for the local node is about its host.
fn host_failure(e: store::StoreError) -> Failure {
    match e {
        store::StoreError::NodeIsLocal => {
            let (code, message) = (ErrorCode::NodeFixed, Message::NodeHostLocal);
            Failure::at(Field::Host, code, message)
        }
        e => store_failure(e),
    }
}

/// Returns the operator's view of a disk.
pub(crate) fn disk_view(disk: DiskSpace) -> DiskView {
    DiskView {
        total_bytes: disk.total,
        free_bytes: disk.available,
        low: disk.low,
    }
}
