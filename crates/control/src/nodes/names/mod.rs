//! Names of tenants' endpoints, `<name>-vpn.<domain>`, at a name server of the operator's.
//! A device that knows its endpoint by such a name follows its tenant to another node by
//! itself. Without a name server tenants get the host of their node.

mod check;
mod job;
mod server;

pub use check::{NameDifference, NamesView};
pub(crate) use job::run;
pub use server::{EndpointNames, EndpointRecord, NameServer, RECORDS_AT_ONCE};

use crate::{failures::store_failure, inner::Inner};
use domain::{Failure, Message, NodeId};

/// Returns a node's host: its own, or the setting of the local one.
pub(crate) fn node_host(inner: &Inner, node: NodeId, host: Option<String>) -> Option<String> {
    let is_local = inner.settings.local == Some(node);
    host.or_else(|| is_local.then(|| inner.settings.public_host.clone()))
}

/// Returns why the name server cannot be told; `None` if it can, or there is none.
pub(crate) async fn problem(inner: &Inner) -> Result<Option<Message>, Failure> {
    if inner.names.is_none() {
        return Ok(None);
    }
    let noted = inner.store.naming_problem().await.map_err(store_failure)?;
    let Some(reason) = noted.and_then(|text| serde_json::from_str::<Message>(&text).ok()) else {
        return Ok(None);
    };
    let counts = inner.store.name_counts().await.map_err(store_failure)?;
    Ok(Some(Message::EndpointNamesBehind {
        pending: counts.pending,
        reason: Box::new(reason),
    }))
}
