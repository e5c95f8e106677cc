//! Tells the name server where tenants' endpoints are: after sign-ups, moves and deletions,
//! by what has changed of each node. One control plane does it. What was acknowledged is
//! read back now and then, because it may have been changed by hand at the server.

use super::{EndpointNames, EndpointRecord, RECORDS_AT_ONCE, node_host};
use crate::inner::Inner;
use domain::{Message, NodeId};
use std::{collections::BTreeMap, time::Duration};
use store::{NamingNode, PendingName, StoreError};
use tokio::time::Instant;

/// How often it is looked for changes.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the name server is left alone after a failure: at first, and at most.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// How often some records are read back.
const COMPARE_INTERVAL: Duration = Duration::from_secs(60);
/// How often all tenants are looked through, whatever their generations say.
const FULL_INTERVAL: Duration = Duration::from_secs(3_600);

/// Why a round ended early.
enum Stopped {
    Database(StoreError),
    NameServer(Message),
}

impl From<StoreError> for Stopped {
    fn from(e: StoreError) -> Self {
        Self::Database(e)
    }
}

/// What the job remembers between its rounds. Nothing of it is needed after a restart.
#[derive(Default)]
struct Progress {
    /// The nodes as their tenants were looked through last.
    seen: BTreeMap<NodeId, NamingNode>,
    looked_at: Option<Instant>,
    /// The name after which records are read back next.
    compared: String,
    compared_at: Option<Instant>,
}

/// Tells the name server until the future is dropped; without one it waits.
pub(crate) async fn run(inner: &Inner) {
    let Some(names) = &inner.names else {
        return;
    };
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut progress = Progress::default();
    let mut retry = FIRST_RETRY;
    let mut noted: Option<Option<Message>> = None;
    loop {
        ticks.tick().await;
        if !inner.leases.holds_jobs() {
            // Another one tells meanwhile, and notes its problems.
            progress = Progress::default();
            noted = None;
            inner.leases.jobs_are_held().await;
        }
        let problem = match round(inner, names, &mut progress).await {
            Ok(()) => None,
            Err(Stopped::NameServer(message)) => Some(message),
            Err(Stopped::Database(error)) => {
                tracing::debug!(
                    ?error,
                    "names of endpoints cannot be read; it is tried again"
                );
                continue;
            }
        };
        if noted.as_ref() != Some(&problem) && note(inner, problem.as_ref()).await {
            noted = Some(problem.clone());
        }
        if problem.is_some() {
            tokio::time::sleep(retry).await;
            retry = LAST_RETRY.min(retry * 2);
        } else {
            retry = FIRST_RETRY;
        }
    }
}

/// Notes why the name server cannot be told, for the operator. Returns whether it is noted.
async fn note(inner: &Inner, problem: Option<&Message>) -> bool {
    match problem {
        Some(problem) => tracing::warn!(%problem, "names of endpoints are not up to date"),
        None => tracing::debug!("names of endpoints are up to date"),
    }
    let text = problem.and_then(|problem| serde_json::to_string(problem).ok());
    let noted = inner.store.note_naming_problem(text.as_deref()).await;
    noted.is_ok()
}

async fn round(
    inner: &Inner,
    names: &EndpointNames,
    progress: &mut Progress,
) -> Result<(), Stopped> {
    if is_due(progress.looked_at, FULL_INTERVAL) {
        progress.seen.clear();
        progress.looked_at = Some(Instant::now());
    }
    for node in inner.store.naming_nodes().await? {
        look_through(inner, names, node, progress).await?;
    }
    tell_pending(inner, names).await?;
    if is_due(progress.compared_at, COMPARE_INTERVAL) {
        compare_next(inner, names, &mut progress.compared).await?;
        progress.compared_at = Some(Instant::now());
    }
    Ok(())
}

fn is_due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|at| at.elapsed() >= interval)
}

/// Notes the names of a node's tenants that are not what the server was told.
async fn look_through(
    inner: &Inner,
    names: &EndpointNames,
    node: NamingNode,
    progress: &mut Progress,
) -> Result<(), StoreError> {
    let since = match progress.seen.get(&node.id) {
        Some(seen) if *seen == node => return Ok(()),
        Some(seen) if seen.host == node.host => seen.generation.saturating_add(1),
        _ => 0,
    };
    let Some(host) = node_host(inner, node.id, node.host.clone()) else {
        return Ok(());
    };
    for tenant in inner.store.named_tenants(node.id, since).await? {
        let wanted = names.name(&tenant.username);
        let is_told = tenant.host.is_none_or(|told| told == host);
        if tenant.name.as_ref() != Some(&wanted) || !is_told {
            inner.store.note_name(&wanted, tenant.tenant).await?;
        }
    }
    progress.seen.insert(node.id, node);
    Ok(())
}

/// Tells the server what it has not acknowledged, until nothing is left.
async fn tell_pending(inner: &Inner, names: &EndpointNames) -> Result<(), Stopped> {
    let mut after = String::new();
    while inner.leases.holds_jobs() {
        let pending = inner.store.pending_names(&after, RECORDS_AT_ONCE / 2);
        let mut pending = pending.await?;
        // Its zone may not be the server's any more.
        for former in pending.extract_if(.., |p| !names.is_own(&p.name)) {
            inner.store.forget_name(&former.name).await?;
        }
        if pending.is_empty() {
            return Ok(());
        }
        let record = |pending: &PendingName| {
            let host = match &pending.place {
                Some(place) => Some(node_host(inner, place.node, place.host.clone())?),
                None => None,
            };
            let name = pending.name.clone();
            Some(EndpointRecord { name, host })
        };
        let mut told = Vec::new();
        let mut records = Vec::new();
        for one in pending {
            if one.place.is_some() {
                after = after.max(one.name.clone());
            }
            if let Some(record) = record(&one) {
                told.push(one);
                records.push(record);
            }
        }
        if records.is_empty() {
            continue;
        }
        let set = names.server.set(&records).await;
        set.map_err(Stopped::NameServer)?;
        for (pending, record) in told.iter().zip(&records) {
            let host = record.host.as_deref();
            inner.store.acknowledge_name(pending, host).await?;
        }
    }
    Ok(())
}

/// Reads the next records back, and has those told again that differ.
async fn compare_next(
    inner: &Inner,
    names: &EndpointNames,
    compared: &mut String,
) -> Result<(), Stopped> {
    let acknowledged = inner.store.acknowledged_names(compared, RECORDS_AT_ONCE);
    let acknowledged = acknowledged.await?;
    *compared = acknowledged
        .last()
        .map(|(name, _)| name.clone())
        .unwrap_or_default();
    let record = |(name, host)| EndpointRecord {
        name,
        host: Some(host),
    };
    let expected: Vec<_> = acknowledged.into_iter().map(record).collect();
    if expected.is_empty() {
        return Ok(());
    }
    let differing = names.server.compare(&expected).await;
    for found in differing.map_err(Stopped::NameServer)? {
        let EndpointRecord { name, host } = found;
        tracing::warn!(
            name,
            ?host,
            "the name server has another record; it is told again"
        );
        inner.store.doubt_name(&name).await?;
    }
    Ok(())
}
