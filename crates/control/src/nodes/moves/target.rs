//! Where a tenant can be moved to, and where its former node sends its packets on to.

use crate::{
    inner::Inner,
    nodes::{KnownNode, by_share},
};
use domain::{ErrorCode, Message, NodeId, NodeStanding, Problem, Slot};
use std::{net::Ipv4Addr, time::Duration};
use store::{MoveRecord, StoreError};

/// How long the address of a node's host is looked up.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// Why there is no target.
pub(super) enum NoTarget {
    Refused(Message),
    /// A node cannot copy what AdGuard Home has stored.
    Problem(Problem),
    Store(StoreError),
}

impl From<StoreError> for NoTarget {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl NoTarget {
    /// Returns the problem for the operator.
    pub fn problem(self) -> Problem {
        match self {
            Self::Refused(message) => Problem {
                code: ErrorCode::MoveRefused,
                message,
            },
            Self::Problem(problem) => problem,
            Self::Store(e) => {
                let failure = e.failure();
                Problem {
                    code: failure.code,
                    message: failure.message,
                }
            }
        }
    }
}

/// Returns the nodes that a tenant can be moved to, the best first: never none.
///
/// # Errors
/// Why there is none.
pub(super) async fn targets(inner: &Inner, m: &MoveRecord) -> Result<Vec<KnownNode>, NoTarget> {
    let known = inner.known_nodes().await?;
    let candidates = match m.to {
        Some(to) => vec![check(inner, known, m, to)?],
        None => {
            let mut others = by_share(known);
            others.retain(|n| n.record.id != m.node);
            others
        }
    };
    let mut targets = Vec::new();
    for candidate in candidates {
        let node = candidate.record.id;
        let is_usable = !inner.unusable_slots(node).contains(&m.slot);
        if is_usable && inner.store.has_slot_free(node, m.slot, m.tenant).await? {
            targets.push(candidate);
        }
    }
    if !targets.is_empty() {
        return Ok(targets);
    }
    let slot = m.slot.get().into();
    Err(NoTarget::Refused(match m.to {
        None => Message::MoveNowhere { slot },
        Some(to) => Message::MoveSlotTaken {
            node: inner.store.node(to).await?.name,
            slot,
        },
    }))
}

/// Returns the node that the operator chose, if it takes a tenant now.
fn check(
    inner: &Inner,
    known: Vec<KnownNode>,
    m: &MoveRecord,
    to: NodeId,
) -> Result<KnownNode, NoTarget> {
    let found = known.into_iter().find(|n| n.record.id == to);
    // It was removed, or is the node of a control plane without one.
    let gone = || {
        NoTarget::Refused(Message::MoveNowhere {
            slot: m.slot.get().into(),
        })
    };
    let found = found.ok_or_else(gone)?;
    let node = found.record.name.clone();
    let is_full = found.view.more == 0;
    let refused = match found.record.standing {
        NodeStanding::Closed | NodeStanding::Revoked => Message::MoveTargetClosed { node },
        NodeStanding::Open if !inner.nodes.ids().contains(&to) || !found.reports => {
            Message::MoveTargetSilent { node }
        }
        NodeStanding::Open if is_full => Message::MoveTargetFull { node },
        NodeStanding::Open => return Ok(found),
    };
    Err(NoTarget::Refused(refused))
}

/// Returns the address at which devices reach a node; `None` if its host has none of
/// IPv4, or is that of the node that the tenant leaves.
pub(super) async fn forward_address(
    inner: &Inner,
    from: NodeId,
    to: &KnownNode,
    slot: Slot,
) -> Option<Ipv4Addr> {
    if inner.settings.forward_time.is_zero() {
        return None;
    }
    let former = inner.store.node(from).await.ok();
    let former = match inner.settings.local == Some(from) {
        true => Some(inner.settings.public_host.clone()),
        false => former.and_then(|node| node.host),
    };
    let new = match to.is_local {
        true => Some(inner.settings.public_host.clone()),
        false => to.record.host.clone(),
    };
    let new = address_of(new?, slot).await?;
    let former = match former {
        Some(host) => address_of(host, slot).await,
        None => None,
    };
    (former != Some(new)).then_some(new)
}

async fn address_of(host: String, slot: Slot) -> Option<Ipv4Addr> {
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    let looked_up = tokio::net::lookup_host((host.as_str(), slot.listen_port()));
    let looked_up = tokio::time::timeout(LOOKUP_TIMEOUT, looked_up).await;
    match looked_up {
        Ok(Ok(mut addresses)) => addresses.find_map(|at| match at {
            std::net::SocketAddr::V4(at) => Some(*at.ip()),
            std::net::SocketAddr::V6(_) => None,
        }),
        Ok(Err(error)) => {
            tracing::warn!(host, ?error, "the address of a node cannot be looked up");
            None
        }
        Err(_) => {
            tracing::warn!(host, "the address of a node was not found in time");
            None
        }
    }
}
