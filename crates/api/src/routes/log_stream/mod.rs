//! Logs as streams of server-sent events: the newest entries, and then each new one as it is
//! made. Each has an id; with the last one of them (`Last-Event-ID`) a client goes on where it
//! was, also after the server was started again.

mod last_read;

use super::{audit::AuditEntry, events::Event as TenantEvent, operator::logs::NodeEvent};
use crate::{
    http::{
        client::Client,
        cursor, permission,
        sse::{self, StreamToken},
        streams::StreamKind,
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
use last_read::LastRead;
use std::collections::VecDeque;
use tokio::{sync::watch, time::Instant};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The most entries with which a stream begins.
const MAX_RECENT: u16 = 1_000;
/// The entries that are read at once.
const BATCH: u32 = 200;
/// How many entries are known from the beginning on, so that one which was committed late is
/// found.
const MIN_KNOWN: usize = 50;

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

/// What was read at once.
struct Batch {
    /// The numbers of all entries.
    ids: Vec<i64>,
    /// Those that were wanted.
    entries: Vec<Entry>,
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

    /// Returns what its streams are counted as.
    const fn kind(&self) -> StreamKind {
        match self {
            Self::OwnAudit { .. } | Self::OwnEvents { .. } => StreamKind::TenantLog,
            Self::Audit { .. } | Self::Events { .. } => StreamKind::InstallationLog,
        }
    }

    /// Reads at most `limit` entries. Those alone are made into text whose numbers are wanted.
    async fn read(
        &self,
        state: &ApiState,
        client: Client,
        place: Place,
        limit: u32,
        is_wanted: impl FnMut(i64) -> bool,
    ) -> Result<Batch, Failure> {
        let control = &state.control;
        match self {
            Self::OwnAudit { scope, query } => {
                let tenants = control.tenants();
                let rows = match place {
                    Place::End => tenants.audit(scope, query, i64::MAX, limit).await,
                    Place::Behind(id) => tenants.audit_after(scope, query, id, limit).await,
                };
                batch(rows?, is_wanted, |e| e.id, audit_entry)
            }
            Self::Audit { operator, query } => {
                let operators = control.operators();
                let rows = match place {
                    Place::End => operators.audit(operator, query, i64::MAX, limit).await,
                    Place::Behind(id) => operators.audit_after(operator, query, id, limit).await,
                };
                batch(rows?, is_wanted, |e| e.id, audit_entry)
            }
            Self::OwnEvents { scope } => {
                let events = control.events();
                let most = limit as usize;
                let rows = match place {
                    Place::End => events.of_tenant_before(scope, None, i64::MAX, most).await,
                    Place::Behind(id) => events.of_tenant_after(scope, id, limit).await,
                };
                batch(rows?, is_wanted, |e| e.id, |e| TenantEvent::new(e, client))
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
                batch(rows?, is_wanted, |e| e.id, |e| NodeEvent::new(e, client))
            }
        }
    }

    /// Returns the number of its newest entry; 0 where there is none.
    async fn newest(&self, state: &ApiState, client: Client) -> Result<i64, Failure> {
        let newest = self.read(state, client, Place::End, 1, |_| false).await?;
        Ok(newest.ids.first().copied().unwrap_or(0))
    }

    /// Checks that it may still be read with a permission.
    fn allows(&self, permission: &ApiPermission) -> Result<(), Failure> {
        match self {
            Self::OwnAudit { scope, .. } | Self::OwnEvents { scope } => {
                permission::reads(permission, scope)
            }
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

fn audit_entry(e: Numbered<AuditRow>) -> AuditEntry {
    e.row.into()
}

/// Makes text of the rows whose numbers are wanted, in their order.
fn batch<T, U: serde::Serialize>(
    rows: Vec<T>,
    mut is_wanted: impl FnMut(i64) -> bool,
    id: impl Fn(&T) -> i64,
    shown: impl Fn(T) -> U,
) -> Result<Batch, Failure> {
    let ids = rows.iter().map(&id).collect();
    let mut entries = Vec::new();
    for row in rows {
        let id = id(&row);
        if is_wanted(id) {
            let json = sse::json(&shown(row))?;
            entries.push(Entry { id, json });
        }
    }
    Ok(Batch { ids, entries })
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
/// names the last event that it has gets what came behind it; where there is no such event any
/// more, as in a database that was restored, what comes behind the newest entry.
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
    let token = StreamToken::open(&state, permission, headers, log.kind())?;
    let watch = state.control.watch();
    // Before the log is read: what is written meanwhile is read again.
    let writes = watch.writes();
    let now = Instant::now();
    let last = cursor::parse(log.list(), last_event(headers)?)?;
    let recent = last.map_or(usize::from(recent), |_| 0);
    let begun_at = match last {
        Some(last) if last <= log.newest(&state, client).await? => Some(last),
        _ => None,
    };
    let (begin, seen, first) = match begun_at {
        Some(last) => {
            let mut seen = watch.seen_until(last);
            let place = Place::Behind(seen.place(now));
            let is_new = |id| seen.note(id, now);
            let first = log.read(&state, client, place, BATCH, is_new).await?;
            seen.has_read(first.read_to());
            (last, seen, first.entries)
        }
        None => {
            let known = recent.max(MIN_KNOWN);
            let limit = u32::try_from(known).unwrap_or(u32::MAX);
            let mut left = recent;
            let is_recent = |_| {
                let is_recent = left > 0;
                left = left.saturating_sub(1);
                is_recent
            };
            let newest = log.read(&state, client, Place::End, limit, is_recent);
            let Batch { ids, mut entries } = newest.await?;
            let is_all = ids.len() < known;
            let floor = ids.last().filter(|_| !is_all).map_or(0, |id| id - 1);
            let end = ids.first().copied().unwrap_or(0);
            let seen = watch.seen_entries(floor, ids);
            entries.reverse();
            // What is sent comes behind it.
            let begin = entries.first().map_or(end, |entry| entry.id - 1);
            (begin, seen, entries)
        }
    };
    let id = cursor::encode(log.list(), begin);
    let begin = Event::default().event("begin").id(id).data("{}");
    let first = first.iter().map(|entry| event(&log, entry));
    let waiting = [begin].into_iter().chain(first).collect();
    let follower = Follower {
        closing: state.closing.clone(),
        last_read: LastRead {
            at: now,
            writes,
            has_failed: false,
        },
        has_ended: false,
        state,
        client,
        log,
        token,
        seen,
        waiting,
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

impl Batch {
    /// Returns the entry up to which it goes, if there may be more behind it.
    fn read_to(&self) -> Option<i64> {
        let last = self.ids.last().copied();
        last.filter(|_| self.ids.len() == BATCH as usize)
    }
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
    last_read: LastRead,
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
            let LastRead { at, writes, .. } = self.last_read;
            let written = self.state.control.watch().written_since(writes, at);
            let is_due = self.last_read.is_due(self.seen.is_behind(), written);
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
        let writes = self.state.control.watch().writes();
        let now = Instant::now();
        self.last_read.at = now;
        self.last_read.has_failed = true;
        let place = Place::Behind(self.seen.place(now));
        let (log, is_new) = (&self.log, |id| self.seen.note(id, now));
        let read = log.read(&self.state, self.client, place, BATCH, is_new);
        let batch = read.await?;
        self.seen.has_read(batch.read_to());
        self.last_read.has_failed = false;
        self.last_read.writes = writes;
        let events = batch.entries.iter().map(|entry| event(log, entry));
        self.waiting.extend(events);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn what_a_reader_has_is_not_made_into_text() {
        let made = Cell::new(0);
        let shown = |id| {
            made.set(made.get() + 1);
            id
        };
        let rows: Vec<i64> = (1..=i64::from(BATCH)).collect();
        let read = batch(rows, |id| id % 2 == 0, |id| *id, shown);
        let read = read.unwrap();
        assert_eq!(made.get(), BATCH / 2);
        assert_eq!(read.read_to(), Some(BATCH.into()), "whatever was wanted");
        let ids = read.entries.iter().map(|e| (e.id, e.json.as_str()));
        assert_eq!(ids.take(2).collect::<Vec<_>>(), [(2, "2"), (4, "4")]);
    }
}
