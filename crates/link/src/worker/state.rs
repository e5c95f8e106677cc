//! The stream of this node's state: everything at first, then what has changed. A line is
//! made when the reader takes it, from what holds then, so a slow reader gets fewer lines
//! and costs no memory.

use super::raised::take_raised;
use bytes::Bytes;
use domain::{NodeId, Slot};
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream, SelectAll, Stream},
};
use protocol::{
    Location, Nodes, Reported, TenantState,
    wire::{HEARTBEAT, NodeUpdate, StateError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{task::unconstrained, time::Instant};

/// The least time between two lines: changes of a burst go together.
const GATHER: Duration = Duration::from_millis(20);
/// The most events of a line.
const MAX_EVENTS: usize = 256;

/// What this process says of itself in the first line.
pub(super) struct Greeting {
    pub version: String,
    pub instance: String,
    /// Whether the reader understands [`NodeUpdate::raised`].
    pub is_raised_known: bool,
}

/// What has changed.
#[derive(Clone, Copy)]
enum Change {
    Tenant(Slot),
    Node,
}

struct StateStream {
    node: NodeId,
    nodes: Arc<dyn Nodes>,
    changes: SelectAll<BoxStream<'static, Change>>,
    events: BoxStream<'static, Reported>,
    /// Slots whose state is to be sent.
    pending: BTreeSet<Slot>,
    node_pending: bool,
    events_pending: Vec<Reported>,
    /// What the reader has; `None` before the first line.
    sent: Option<NodeUpdate>,
    sent_tenants: BTreeMap<Slot, TenantState>,
    last_line: Instant,
}

/// Returns the lines of this node's state and of `events`. They end only where they cannot
/// be written.
pub(super) fn lines(
    node: NodeId,
    nodes: Arc<dyn Nodes>,
    events: BoxStream<'static, Reported>,
    greeting: Greeting,
) -> impl Stream<Item = Bytes> + Send + 'static {
    // Subscribed before anything is read, so that no change falls in between.
    let slot = |slot| {
        let changes = nodes.tenant_changes(Location { node, slot });
        changes.map(move |()| Change::Tenant(slot)).boxed()
    };
    let mut changes: SelectAll<_> = Slot::all().map(slot).collect();
    changes.push(nodes.node_changes(node).map(|()| Change::Node).boxed());
    let state = StateStream {
        node,
        events,
        nodes,
        changes,
        pending: Slot::all().collect(),
        node_pending: true,
        events_pending: Vec::new(),
        sent: None,
        sent_tenants: BTreeMap::new(),
        last_line: Instant::now(),
    };
    stream::unfold(Some((state, greeting)), async |state| {
        let (mut state, greeting) = state?;
        match state.next(&greeting).await {
            Ok(line) => Some((line.into(), Some((state, greeting)))),
            Err(e) => {
                tracing::error!(error = %e, "the node's state cannot be sent");
                None
            }
        }
    })
}

impl StateStream {
    /// Waits until there is something to say, at most until the next heartbeat.
    async fn next(&mut self, greeting: &Greeting) -> Result<Vec<u8>, StateError> {
        if self.pending.is_empty() && self.sent.is_some() {
            self.wait().await;
        }
        self.drain();
        let mut update = self.update(greeting);
        let mut raised = match greeting.is_raised_known {
            true => take_raised(&mut update, &self.sent_tenants),
            false => BTreeMap::new(),
        };
        let mut line = update.to_line();
        if matches!(line, Err(StateError::TooLong(_))) && update.raised.take().is_some() {
            // A line with less would say it of those that are left out.
            let all = std::mem::take(&mut raised).into_iter();
            update
                .tenants
                .extend(all.map(|(slot, state)| (slot, Some(state))));
            line = update.to_line();
        }
        // What does not fit goes into the next line.
        while matches!(line, Err(StateError::TooLong(_))) && update.tenants.len() > 1 {
            let middle = update.tenants.keys().nth(update.tenants.len() / 2).copied();
            let rest = middle.map(|slot| update.tenants.split_off(&slot));
            self.pending.extend(rest.unwrap_or_default().into_keys());
            line = update.to_line();
        }
        let line = line?;
        for (slot, state) in &update.tenants {
            match state {
                Some(state) => drop(self.sent_tenants.insert(*slot, state.clone())),
                None => drop(self.sent_tenants.remove(slot)),
            }
        }
        self.sent_tenants.extend(raised);
        let sent = self.sent.get_or_insert_default();
        sent.node = update.node.or_else(|| sent.node.take());
        sent.machine = update.machine.or_else(|| sent.machine.take());
        sent.holders = update.holders.or_else(|| sent.holders.take());
        self.last_line = Instant::now();
        Ok(line)
    }

    async fn wait(&mut self) {
        tokio::select! {
            Some(change) = self.changes.next() => self.note(change),
            Some(event) = self.events.next() => self.events_pending.push(event),
            () = tokio::time::sleep_until(self.last_line + HEARTBEAT) => {}
        }
        tokio::time::sleep_until(self.last_line + GATHER).await;
    }

    fn note(&mut self, change: Change) {
        match change {
            Change::Tenant(slot) => drop(self.pending.insert(slot)),
            Change::Node => self.node_pending = true,
        }
    }

    /// Takes every other change that has come.
    fn drain(&mut self) {
        // Without tokio's budget, after which 128 changes seem to be all.
        while let Some(Some(change)) = unconstrained(self.changes.next()).now_or_never() {
            self.note(change);
        }
        while self.events_pending.len() < MAX_EVENTS {
            match unconstrained(self.events.next()).now_or_never() {
                Some(Some(event)) => self.events_pending.push(event),
                _ => break,
            }
        }
    }

    /// Makes the next update from what holds now and the reader does not have.
    fn update(&mut self, greeting: &Greeting) -> NodeUpdate {
        let (node, nodes) = (self.node, &self.nodes);
        let whole = self.sent.is_none();
        let mut update = NodeUpdate {
            whole,
            version: whole.then(|| greeting.version.clone()),
            instance: whole.then(|| greeting.instance.clone()),
            ..NodeUpdate::default()
        };
        for slot in std::mem::take(&mut self.pending) {
            let state = nodes.tenant(Location { node, slot });
            if state.as_ref() != self.sent_tenants.get(&slot) {
                update.tenants.insert(slot, state);
            }
        }
        let sent = self.sent.as_ref();
        if std::mem::take(&mut self.node_pending) {
            let state = nodes.node(node);
            update.node = state.filter(|s| sent.and_then(|u| u.node.as_ref()) != Some(s));
        }
        let machine = nodes.machine(node);
        update.machine = machine.filter(|m| sent.and_then(|u| u.machine.as_ref()) != Some(m));
        let holders = nodes.holders(node);
        update.holders = holders.filter(|h| sent.and_then(|u| u.holders.as_ref()) != Some(h));
        for reported in std::mem::take(&mut self.events_pending) {
            match reported {
                Reported::Event { node, event } if node == self.node => update.events.push(event),
                Reported::Event { .. } => {}
                Reported::Missed { count, .. } => {
                    update.missed = update.missed.saturating_add(count);
                }
            }
        }
        update
    }
}

#[cfg(test)]
mod tests;
