//! The database.

use super::report::Check;
use crate::{config::Config, start_error::key_message};
use seal::Sealer;
use std::time::Duration;
use store::{DatabaseUrl, Store};
use texts::english;

/// Opens the database as the server would, which also brings its schema up to
/// date. It never creates one.
pub(super) async fn check(config: &Config) -> Check {
    const NAME: &str = "Database";
    let key = config.central().join("seal.key");
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && !path.exists()
    {
        return Check::ok(
            NAME,
            format!("{} is created at the first start", path.display()),
        );
    }
    if !key.exists() {
        return Check::warn(
            NAME,
            format!(
                "{} does not exist: a new installation, or a lost key",
                key.display()
            ),
            "restore it from the backup; without it no tunnel's key can be read",
        );
    }
    let opened = async {
        let sealer =
            Sealer::from_key_file(&key).map_err(|e| english().message(&key_message(&e)))?;
        let store = Store::open(&config.database_url, sealer)
            .await
            .map_err(|e| english().failure(&e.failure()))?;
        store
            .health()
            .await
            .map_err(|e| english().failure(&e.failure()))?;
        let kind = store.kind();
        let rows = store
            .row_counts()
            .await
            .map_err(|e| english().failure(&e.failure()))?;
        store.close().await;
        Ok::<_, String>(format!(
            "{kind} answers: {} tenants, {} devices, {} sessions, {} audit entries",
            rows.tenants, rows.devices, rows.sessions, rows.audit
        ))
    };
    match tokio::time::timeout(Duration::from_secs(15), opened).await {
        Ok(Ok(message)) => Check::ok(NAME, message),
        Ok(Err(message)) => Check::bad(
            NAME,
            message,
            "maliknode config shows which database is meant",
        ),
        Err(_) => Check::bad(
            NAME,
            "does not answer within 15 seconds",
            "maliknode config shows which database is meant",
        ),
    }
}
