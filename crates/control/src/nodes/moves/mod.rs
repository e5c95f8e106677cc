//! Moving tenants to other nodes. What the operator wants is noted in the database; the
//! control plane with the lease `jobs` carries it out ([`job`]), so that it goes on whatever
//! process ends, and a command need not wait for it.

mod copy;
mod job;
mod target;

pub(crate) use job::run;

use super::{NodesHandle, actor::actor, silence::worker_problem};
use crate::failures::store_failure;
use domain::{
    ErrorCode, Failure, Message, MoveReason, NodeId, NodeStanding, OperatorScope, OwnerScope,
    TenantScope, view::MoveRow,
};
use store::{Evacuation, MoveRecord, NewMove, StoreError};

impl NodesHandle<'_> {
    /// Lets a tenant be moved to a node, or to the emptiest that has its slot free. Its
    /// keys, port, addresses, devices and policies stay; what its AdGuard Home has stored
    /// is copied unless `without_data` leaves it behind.
    ///
    /// # Errors
    /// `MoveRefused` if it is there already or is being moved; `NotFound`,
    /// `DatabaseUnavailable`.
    pub async fn move_tenant(
        self,
        operator: &OwnerScope,
        tenant: &TenantScope,
        to: Option<NodeId>,
        without_data: bool,
    ) -> Result<(), Failure> {
        let name = operator.actor();
        let new = NewMove {
            tenant: tenant.tenant(),
            to,
            with_data: !without_data,
            actor: actor(&name, operator),
            now: self.0.clock.now(),
        };
        self.0.store.begin_move(new).await.map_err(store_failure)
    }

    /// Ends the move of a tenant that was not carried out yet.
    ///
    /// # Errors
    /// `MoveRefused` if there is none, `DatabaseUnavailable`.
    pub async fn cancel_move(
        self,
        operator: &OwnerScope,
        tenant: &TenantScope,
    ) -> Result<(), Failure> {
        let (name, now) = (operator.actor(), self.0.clock.now());
        let (store, actor) = (&self.0.store, actor(&name, operator));
        let cancelled = store.cancel_move(tenant.tenant(), actor, now).await;
        cancelled.map_err(|e| match e {
            StoreError::MoveUnknown => {
                let name = tenant.name().to_string();
                Failure::new(ErrorCode::MoveRefused, Message::MoveUnknown { name })
            }
            e => store_failure(e),
        })
    }

    /// Returns the move of a tenant that is still to be carried out, if there is one.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn move_of(
        self,
        _operator: &OperatorScope,
        tenant: &TenantScope,
    ) -> Result<Option<MoveRow>, Failure> {
        let found = self.0.store.move_of(tenant.tenant()).await;
        Ok(found.map_err(store_failure)?.map(move_row))
    }

    /// Returns the node that a tenant is on.
    ///
    /// # Errors
    /// `NotFound`, `DatabaseUnavailable`.
    pub async fn node_of(
        self,
        _operator: &OperatorScope,
        tenant: &TenantScope,
    ) -> Result<NodeId, Failure> {
        let record = self.0.store.tenant(tenant).await;
        Ok(record.map_err(store_failure)?.node)
    }

    /// Closes a node and lets all its tenants be moved to others. It serves each until it
    /// has left. Returns how many are to be moved. Said again, it changes whether what
    /// AdGuard Homes have stored is left behind.
    ///
    /// # Errors
    /// `NotFound`, `DatabaseUnavailable`.
    pub async fn drain(
        self,
        operator: &OwnerScope,
        node: NodeId,
        without_data: bool,
    ) -> Result<u64, Failure> {
        let reason = MoveReason::Drain;
        self.evacuate(operator, node, reason, !without_data).await
    }

    /// Places all tenants of a worker that is silent or revoked on other nodes. Returns
    /// how many are to be placed.
    ///
    /// # Errors
    /// `MoveRefused` for a worker that is heard, `NodeFixed` for the local node,
    /// `NotFound`, `DatabaseUnavailable`.
    pub async fn lose(self, operator: &OwnerScope, node: NodeId) -> Result<u64, Failure> {
        let inner = self.0;
        let record = inner.store.node(node).await.map_err(store_failure)?;
        if !record.is_worker() {
            return Err(store_failure(StoreError::NodeIsLocal));
        }
        let is_revoked = record.standing == NodeStanding::Revoked;
        if !is_revoked && worker_problem(&record, inner.clock.now()).is_none() {
            let message = Message::NodeNotLost { name: record.name };
            return Err(Failure::new(ErrorCode::MoveRefused, message));
        }
        self.evacuate(operator, node, MoveReason::Lose, false).await
    }

    async fn evacuate(
        self,
        operator: &OwnerScope,
        node: NodeId,
        reason: MoveReason,
        with_data: bool,
    ) -> Result<u64, Failure> {
        let name = operator.actor();
        let new = Evacuation {
            node,
            reason,
            with_data,
            actor: actor(&name, operator),
            now: self.0.clock.now(),
        };
        let begun = self.0.store.begin_evacuation(new).await;
        begun.map_err(store_failure)
    }
}

pub(super) fn move_row(record: MoveRecord) -> MoveRow {
    MoveRow {
        name: record.name,
        from: record.from,
        to: record.to,
        reason: record.reason,
        begun_at: record.begun_at,
        copied_bytes: record.with_data.then_some(record.copied_bytes),
        problem: record.problem,
    }
}
