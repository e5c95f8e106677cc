//! The database.

use super::report::Check;
use crate::{config::Config, database_file, start_error::key_message};
use domain::Message;
use seal::Sealer;
use std::time::Duration;
use store::{DatabaseUrl, Store};

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
