//! Carries moves out, one after another, and ends what they left behind when its time is
//! over. One control plane does it at a time; of two that believe they do, the
//! transaction lets one move a tenant.

use super::{
    copy::{self, Copied},
    target::{NoTarget, forward_address, targets},
};
use crate::{inner::Inner, nodes::KnownNode};
use domain::{MoveReason, Problem, Timestamp};
use protocol::{EventKind, EventTenant};
use std::time::Duration;
use store::{MoveRecord, StoreError, Switch};

/// How often moves that are due are looked for.
const INTERVAL: Duration = Duration::from_secs(2);
/// After how long a move that failed is tried again.
const RETRY_MILLIS: i64 = 15_000;
/// How long a node keeps the folder of a tenant that has left: a week.
const KEPT_MILLIS: i64 = 7 * 86_400_000;

/// Carries moves out until the future is dropped.
pub(crate) async fn run(inner: &Inner) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        inner.leases.jobs_are_held().await;
        if let Err(error) = end_moved(inner).await {
            tracing::debug!(?error, "what moved tenants left could not be ended");
        }
        // One after another, so that what goes wrong at a new node stops the others.
        while inner.leases.holds_jobs() {
            match carry_out_next(inner).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(?error, "moves cannot be carried out; it is tried again");
                    break;
                }
            }
        }
    }
}

async fn end_moved(inner: &Inner) -> Result<(), StoreError> {
    let ended = inner.store.end_moved(inner.clock.now()).await?;
    ended.into_iter().for_each(|node| inner.nodes.nudge(node));
    Ok(())
}

/// Carries out the next move that is due, or notes why it failed. Returns whether there
/// was one.
async fn carry_out_next(inner: &Inner) -> Result<bool, StoreError> {
    let Some(due) = inner.store.next_move(inner.clock.now()).await? else {
        return Ok(false);
    };
    let problem = match carry_out(inner, &due).await {
        Ok(()) => return Ok(true),
        // The database does not answer: nothing can be noted either.
        Err(NoTarget::Store(e)) if e.is_outage() => return Err(e),
        Err(NoTarget::Store(StoreError::MoveUnknown)) => {
            // It was cancelled, or somewhere else by now.
            let actor = "system";
            match inner
                .store
                .cancel_move(due.tenant, actor, inner.clock.now())
                .await
            {
                Ok(()) | Err(StoreError::MoveUnknown) => return Ok(true),
                Err(e) => return Err(e),
            }
        }
        Err(no_target) => no_target.problem(),
    };
    note_failed(inner, &due, &problem).await?;
    Ok(true)
}

async fn note_failed(inner: &Inner, due: &MoveRecord, problem: &Problem) -> Result<(), StoreError> {
    if due.problem.as_ref() != Some(problem) {
        tracing::warn!(tenant = %due.name, problem = %problem.message, "a tenant is not moved yet");
        report_failed(inner, due, problem).await;
    }
    let retry_at = inner.clock.now().plus_millis(RETRY_MILLIS);
    let noted = inner.store.note_move_failed(due.tenant, problem, retry_at);
    noted.await
}

/// Reports that a tenant stays where it is for now. Each reason is reported once.
async fn report_failed(inner: &Inner, due: &MoveRecord, problem: &Problem) {
    let event = EventKind::MoveFailed {
        tenant: EventTenant {
            slot: due.slot,
            name: due.name.clone(),
        },
        problem: problem.message.clone(),
    };
    let now = inner.clock.now();
    let recorded = inner
        .store
        .record_tenant_event(due.node, due.tenant, event, now);
    if let Err(error) = recorded.await {
        tracing::debug!(?error, "a move that failed cannot be reported");
    }
}

/// Moves a tenant to the first node that takes it.
async fn carry_out(inner: &Inner, due: &MoveRecord) -> Result<(), NoTarget> {
    let targets = targets(inner, due).await?;
    if inner.nodes.ids().contains(&due.node) {
        inner.meter.count_before_end(due.node, due.tenant).await;
    }
    let mut refused = StoreError::SlotTaken { slot: due.slot }.into();
    for target in targets {
        match move_to(inner, due, &target).await {
            Ok(()) => return Ok(()),
            Err(e @ NoTarget::Store(StoreError::NodeFull | StoreError::SlotTaken { .. })) => {
                refused = e
            }
            Err(e) => return Err(e),
        }
    }
    Err(refused)
}

/// Moves a tenant to a node. Where that fails, it stays as it was.
async fn move_to(inner: &Inner, due: &MoveRecord, target: &KnownNode) -> Result<(), NoTarget> {
    if !due.with_data || due.reason == MoveReason::Lose {
        // What an earlier attempt has copied there is not to be found by it.
        copy::forget(inner, due, target.record.id).await?;
        return switch(inner, due, target, None).await;
    }
    let moved = match copy::copy(inner, due, target).await {
        Ok(copied) => switch(inner, due, target, Some(copied)).await,
        Err(e) => Err(e),
    };
    if moved.is_err() {
        copy::end(inner, due, target.record.id).await;
    }
    moved
}

async fn switch(
    inner: &Inner,
    due: &MoveRecord,
    target: &KnownNode,
    copied: Option<Copied>,
) -> Result<(), NoTarget> {
    let forward_to = forward_address(inner, due.node, target, due.slot).await;
    copied.as_ref().map_or(Ok(()), Copied::check)?;
    let copied_bytes = copied.map(|copied| copied.bytes);
    let now = inner.clock.now();
    let forward_until = after(now, inner.settings.forward_time);
    let switch = Switch {
        tenant: due.tenant,
        from: due.from,
        to: target.record.id,
        max_tenants: target.capacity.max_tenants(),
        copied_bytes,
        forward_to,
        forward_until,
        kept_until: now.plus_millis(KEPT_MILLIS).max(forward_until),
        actor: &due.actor,
        now,
    };
    let done = inner.store.switch_tenant(&switch).await?;
    // Committed: from here on the move never fails.
    inner.nodes.nudge(due.from);
    inner.quotas.forget_all();
    let is_in_force = inner.in_force_of(due.tenant, &done).await;
    let (from, to) = (due.from.0, target.record.id.0);
    tracing::info!(tenant = %due.name, from, to, is_in_force, ?copied_bytes, ?forward_to, "a tenant was moved");
    Ok(())
}

fn after(now: Timestamp, time: Duration) -> Timestamp {
    now.plus_millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2))
}
