//! Logs as streams of server-sent events: the newest entries, and then each new one as it is
//! made. Each has an id; with the last one of them (`Last-Event-ID`) a client goes on where it
//! was, also after the server was started again.

use super::{audit::AuditEntry, events::Event as TenantEvent, operator::logs::NodeEvent};
use crate::{
    http::{
        client::Client,
        cursor,
        sse::{self, MIN_INTERVAL, StreamToken},
    },
    state::ApiState,
};
use axum::{
    http::{HeaderMap, HeaderName},
    response::{Response, sse::Event},
};
use control::{ApiPermission, AuditQuery, Numbered, SeenEntries};
use domain::{Access, ErrorCode, Failure, Message, OperatorScope, TenantScope, view::AuditRow};
use futures_util::stream;
use std::collections::VecDeque;
use tokio::{sync::watch, time::Instant};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The most entries with which a stream begins.
const MAX_RECENT: u16 = 1_000;
/// The entries that are read at once.
const BATCH: u32 = 200;
/// How many entries are known from the beginning on, so that one which was committed late is
/// found.
const MIN_KNOWN: u32 = 50;

/// A log, as one who may read it sees it.
pub enum Log {
    /// What was done to a tenant's account and network.
    OwnAudit {
        scope: TenantScope,
        query: AuditQuery,
    },
    /// What happened to a tenant's network.
    OwnEvents { scope: TenantScope },
    /// The audit log of the installation.
    Audit {
        operator: OperatorScope,
        query: AuditQuery,
    },
    /// The event log of the nodes.
    Events {
        operator: OperatorScope,
        tenant: Option<String>,
    },
}

/// An entry with its number.
struct Entry {
    id: i64,
    json: String,
}

/// Where in a log.
enum Place {
    /// At its end, newest first.
    End,
    /// Behind the entry with this number, oldest first.
    Behind(i64),
}

impl Log {
    /// Returns its name in the ids of events.
    const fn list(&self) -> &'static str {
        match self {
            Self::OwnAudit { .. } => "live.own-audit",
            Self::OwnEvents { .. } => "live.own-events",
            Self::Audit { .. } => "live.audit",
            Self::Events { .. } => "live.events",
        }
    }

    /// Returns the name of its events.
    const fn event(&self) -> &'static str {
        match self {
            Self::OwnAudit { .. } | Self::Audit { .. } => "audit",
            Self::OwnEvents { .. } | Self::Events { .. } => "events",
        }
    }

    async fn read(
        &self,
        state: &ApiState,
        client: Client,
        place: Place,
        limit: u32,
    ) -> Result<Vec<Entry>, Failure> {
        let control = &state.control;
        match self {
            Self::OwnAudit { scope, query } => {
                let tenants = control.tenants();
                let rows = match place {
                    Place::End => tenants.audit(scope, query, i64::MAX, limit).await,
                    Place::Behind(id) => tenants.audit_after(scope, query, id, limit).await,
                };
                entries(rows?, audit_entry)
            }
            Self::Audit { operator, query } => {
                let operators = control.operators();
                let rows = match place {
                    Place::End => operators.audit(operator, query, i64::MAX, limit).await,
                    Place::Behind(id) => operators.audit_after(operator, query, id, limit).await,
                };
                entries(rows?, audit_entry)
            }
            Self::OwnEvents { scope } => {
                let events = control.events();
                let most = limit as usize;
                let rows = match place {
                    Place::End => events.of_tenant_before(scope, None, i64::MAX, most).await,
                    Place::Behind(id) => events.of_tenant_after(scope, id, limit).await,
                };
                entries(rows?, |e| (e.id, TenantEvent::new(e, client)))
            }
            Self::Events { operator, tenant } => {
                let (operators, tenant) = (control.operators(), tenant.as_deref());
                let rows = match place {
                    Place::End => {
                        let rows = operators.events_before(operator, tenant, i64::MAX, limit);
                        rows.await
                    }
                    Place::Behind(id) => operators.events_after(operator, tenant, id, limit).await,
                };
                entries(rows?, |e| (e.id, NodeEvent::new(e, client)))
            }
        }
    }

    /// Checks that it may still be read with a permission, and that it is there.
    fn allows(&self, permission: &ApiPermission) -> Result<(), Failure> {
        match self {
            // An operator who acts for a tenant has another permission; the tenant's own was
            // refused before.
            Self::OwnAudit { .. } | Self::OwnEvents { .. } => Ok(()),
            Self::Audit { .. } | Self::Events { .. } => permission.operator(Access::Read).map(drop),
        }
    }

    /// Checks that it is still there.
    async fn exists(&self, state: &ApiState) -> Result<(), Failure> {
        match self {
            Self::OwnAudit { scope, .. } | Self::OwnEvents { scope } => {
                let found = state.control.tenants().progress(scope).await;
                match found {
                    Err(f) if f.code == ErrorCode::NotFound => Err(f),
                    _ => Ok(()),
                }
            }
            Self::Audit { .. } | Self::Events { .. } => Ok(()),
        }
    }
}

fn audit_entry(e: Numbered<AuditRow>) -> (i64, AuditEntry) {
    (e.id, e.row.into())
}

fn entries<T, U: serde::Serialize>(
    rows: Vec<T>,
    shown: impl Fn(T) -> (i64, U),
) -> Result<Vec<Entry>, Failure> {
    let entry = |row| {
        let (id, shown) = shown(row);
        let json = sse::json(&shown)?;
        Ok(Entry { id, json })
    };
    rows.into_iter().map(entry).collect()
}

/// Returns how many entries a stream begins with.
///
/// # Errors
/// `BadRequest` above 1,000.
pub fn recent(wanted: Option<u16>) -> Result<u16, Failure> {
    let recent = wanted.unwrap_or(0);
    if recent <= MAX_RECENT {
        return Ok(recent);
    }
    let reason = format!("recent is 0 to {MAX_RECENT}");
    let message = Message::QueryUnreadable { reason };
    Err(Failure::new(ErrorCode::BadRequest, message))
}

/// Answers with the newest entries of a log, oldest first, and then each new one. A request that
/// names the last event that it has gets what came behind that one.
///
/// # Errors
/// `CursorInvalid` for an event of another log, `Busy`, and what reading the log fails with.
pub async fn follow(
    state: ApiState,
    client: Client,
    permission: &ApiPermission,
    headers: &HeaderMap,
    log: Log,
    recent: u16,
) -> Result<Response, Failure> {
    let token = StreamToken::open(&state, permission, headers)?;
    let watch = state.control.watch();
    // Before the log is read: what is written meanwhile is read again.
    let writes = watch.writes();
    let now = Instant::now();
    let (begin, seen, first, is_behind) = match cursor::parse(log.list(), last_event(headers)?)? {
        Some(last) => {
            let mut seen = watch.seen_until(last);
            let place = Place::Behind(seen.floor(now));
            let mut first = log.read(&state, client, place, BATCH).await?;
            let is_behind = behind(&first);
            first.retain(|entry| seen.note(entry.id, now));
            (last, seen, first, is_behind)
        }
        None => {
            let known = u32::from(recent).max(MIN_KNOWN);
            let mut newest = log.read(&state, client, Place::End, known).await?;
            let is_all = newest.len() < known as usize;
            let floor = newest.last().filter(|_| !is_all).map_or(0, |e| e.id - 1);
            let seen = watch.seen_entries(floor, newest.iter().map(|entry| entry.id));
            let end = newest.first().map_or(0, |entry| entry.id);
            newest.truncate(recent.into());
            newest.reverse();
            // What is sent comes behind it.
            let begin = newest.first().map_or(end, |entry| entry.id - 1);
            (begin, seen, newest, None)
        }
    };
    let id = cursor::encode(log.list(), begin);
    let begin = Event::default().event("begin").id(id).data("{}");
    let first = first.iter().map(|entry| event(&log, entry));
    let waiting = [begin].into_iter().chain(first).collect();
    let follower = Follower {
        closing: state.closing.clone(),
        is_behind,
        read_at: now,
        has_ended: false,
        state,
        client,
        log,
        token,
        seen,
        waiting,
        writes,
    };
    Ok(sse::answer(stream::unfold(follower, Follower::next)))
}

/// Returns the last event that a client has, if it names one.
///
/// # Errors
/// `CursorInvalid` for other characters than ids have.
fn last_event(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let invalid = |_| Failure::new(ErrorCode::CursorInvalid, Message::CursorInvalid);
    let value = headers.get(LAST_EVENT_ID);
    value.map(|v| v.to_str().map_err(invalid)).transpose()
}

/// Returns the entry up to which a batch goes, if there may be more.
fn behind(entries: &[Entry]) -> Option<i64> {
    let last = entries.last().map(|entry| entry.id);
    last.filter(|_| entries.len() == BATCH as usize)
}

fn event(log: &Log, entry: &Entry) -> Event {
    let id = cursor::encode(log.list(), entry.id);
    Event::default().event(log.event()).id(id).data(&entry.json)
}

/// A stream of a log.
struct Follower {
    state: ApiState,
    client: Client,
    log: Log,
    token: StreamToken,
    closing: watch::Receiver<bool>,
    seen: SeenEntries,
    /// The events that are to be sent next.
    waiting: VecDeque<Event>,
    /// The entry up to which was read, where there may be more at once.
    is_behind: Option<i64>,
    /// The number of writes when the log was read last.
    writes: u64,
    read_at: Instant,
    has_ended: bool,
}

impl Follower {
    /// Waits for the next event. Returns `None` once the stream is over.
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some((event, self));
            }
            if self.has_ended || *self.closing.borrow() {
                return None;
            }
            let is_due = async {
                if self.is_behind.is_none() {
                    self.state.control.watch().written_since(self.writes).await;
                    tokio::time::sleep_until(self.read_at + MIN_INTERVAL).await;
                }
            };
            let checked = tokio::select! {
                () = is_due => self.read().await,
                () = self.token.is_due() => self.check().await,
                closing = self.closing.changed() => match closing {
                    Ok(()) => Ok(()),
                    Err(_) => return None,
                },
            };
            if let Err(f) = checked
                && f.code != ErrorCode::DatabaseUnavailable
            {
                self.has_ended = true;
                return Some((sse::ended(f.code), self));
            }
        }
    }

    /// Reads what is new.
    async fn read(&mut self) -> Result<(), Failure> {
        self.writes = self.state.control.watch().writes();
        let now = Instant::now();
        self.read_at = now;
        let last = self.is_behind.take();
        let last = last.unwrap_or_else(|| self.seen.floor(now));
        let place = Place::Behind(last);
        let entries = self
            .log
            .read(&self.state, self.client, place, BATCH)
            .await?;
        self.is_behind = behind(&entries);
        for entry in entries {
            if self.seen.note(entry.id, now) {
                self.waiting.push_back(event(&self.log, &entry));
            }
        }
        Ok(())
    }

    /// Checks that the log may still be read.
    async fn check(&mut self) -> Result<(), Failure> {
        let log = &self.log;
        let enough = |permission: &ApiPermission| log.allows(permission);
        self.token.check(&self.state, enough).await?;
        self.log.exists(&self.state).await
    }
}
