//! The database.

use super::report::Check;
use crate::{config::Config, database_file, start_error::key_message};
use domain::{Clock, Message, SystemClock};
use seal::Sealer;
use std::time::Duration;
use store::{DatabaseUrl, FirstHandshakes, Store};

/// The longest wait for the database.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Looks whether workers can connect to each of several control planes; nothing where the
/// database does not answer or there is one control plane at most.
pub(super) async fn control_planes(config: &Config) -> Option<Check> {
    const NAME: Message = Message::CheckControlPlanes;
    if matches!(config.database_url, DatabaseUrl::Sqlite(_)) {
        return None;
    }
    let heard = async {
        let sealer = Sealer::from_key_file(&config.seal_key).ok()?;
        let store = Store::open(&config.database_url, sealer).await.ok()?;
        let heard = store.heard_control_planes().await.ok();
        store.close().await;
        heard
    };
    let heard = tokio::time::timeout(TIMEOUT, heard).await.ok()??;
    match control::address_problem(&heard) {
        Some(message) => Some(Check::warn(NAME, message, Message::FixOwnAddress)),
        None if heard.len() < 2 => None,
        None => {
            let count = heard.len() as u64;
            Some(Check::ok(NAME, Message::ControlPlanesFound { count }))
        }
    }
}

/// How long a device may take to its first connection, in milliseconds.
const FIRST_CONNECTION_MILLIS: i64 = 15 * 60_000;
/// A device that was added longer ago was given up, in milliseconds.
const GIVEN_UP_MILLIS: i64 = 7 * 86_400_000;

/// Looks whether devices have connected; nothing where the database does not answer.
pub(super) async fn handshakes(config: &Config) -> Option<Check> {
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && !path.exists()
    {
        return None;
    }
    let found = async {
        let sealer = Sealer::from_key_file(&config.seal_key).ok()?;
        let store = Store::open(&config.database_url, sealer).await.ok()?;
        let now = SystemClock.now();
        let (from, to) = (-GIVEN_UP_MILLIS, -FIRST_CONNECTION_MILLIS);
        let found = store.first_handshakes(now.plus_millis(from), now.plus_millis(to));
        let found = found.await.ok();
        store.close().await;
        found
    };
    let found = tokio::time::timeout(TIMEOUT, found).await.ok()??;
    Some(judge_handshakes(&found))
}

fn judge_handshakes(found: &FirstHandshakes) -> Check {
    const NAME: Message = Message::CheckHandshakes;
    let devices = found.waiting.len() as u64;
    match (found.connected, found.waiting.first()) {
        (0, None) => Check::ok(NAME, Message::HandshakesNone),
        (devices, None) => Check::ok(NAME, Message::HandshakesSeen { devices }),
        (0, Some(_)) => Check::bad(
            NAME,
            Message::HandshakesNever { devices },
            Message::FixHandshakesNever,
        ),
        (_, Some(first)) => Check::warn(
            NAME,
            Message::HandshakesMissing {
                devices,
                first: format!("{}/{}", first.tenant, first.label),
            },
            Message::FixHandshakesMissing,
        ),
    }
}

/// Opens the database as the server would, which also brings its schema up to
/// date. It never creates one.
pub(super) async fn check(config: &Config) -> Check {
    const NAME: Message = Message::CheckDatabase;
    let key = &config.seal_key;
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && !path.exists()
    {
        if let Some(moved) = database_file::was_moved(path) {
            return Check::bad(NAME, moved, Message::FixDatabase);
        }
        return Check::ok(
            NAME,
            Message::CreatedAtFirstStart {
                path: path.display().to_string(),
            },
        );
    }
    if !key.exists() {
        return Check::warn(
            NAME,
            Message::SealKeyAbsent {
                path: key.display().to_string(),
            },
            Message::FixSealKeyAbsent,
        );
    }
    let opened = async {
        let sealer = Sealer::from_key_file(key).map_err(|e| key_message(&e))?;
        let store = Store::open(&config.database_url, sealer)
            .await
            .map_err(|e| e.failure().message)?;
        store.health().await.map_err(|e| e.failure().message)?;
        let kind = store.kind();
        let rows = store.row_counts().await.map_err(|e| e.failure().message)?;
        store.close().await;
        Ok::<_, Message>(Message::DatabaseAnswers {
            kind: kind.to_string(),
            tenants: rows.tenants.unsigned_abs(),
            devices: rows.devices.unsigned_abs(),
            sessions: rows.sessions.unsigned_abs(),
            entries: rows.audit.unsigned_abs(),
        })
    };
    match tokio::time::timeout(TIMEOUT, opened).await {
        Ok(Ok(message)) => Check::ok(NAME, message),
        Ok(Err(message)) => Check::bad(NAME, message, Message::FixDatabase),
        Err(_) => Check::bad(
            NAME,
            Message::DatabaseSlow {
                seconds: TIMEOUT.as_secs(),
            },
            Message::FixDatabase,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;
    use domain::Timestamp;
    use store::WaitingDevice;

    #[test]
    fn a_first_handshake_that_never_came_has_its_likely_cause() {
        let waiting = WaitingDevice {
            id: 1,
            tenant: "lina".to_owned(),
            slot: 1,
            label: "Phone".to_owned(),
            created_at: Timestamp(0),
        };
        let judged = |connected, waiting: &[&WaitingDevice]| {
            let waiting = waiting.iter().map(|d| (*d).clone()).collect();
            let check = judge_handshakes(&FirstHandshakes { connected, waiting });
            (check.state, check.message.code())
        };
        assert_eq!(judged(0, &[]), (State::Ok, "handshakes-none"));
        assert_eq!(judged(2, &[]), (State::Ok, "handshakes-seen"));
        assert_eq!(judged(0, &[&waiting]), (State::Bad, "handshakes-never"));
        assert_eq!(judged(2, &[&waiting]), (State::Warn, "handshakes-missing"));
    }
}
