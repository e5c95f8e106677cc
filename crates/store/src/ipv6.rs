//! The installation's prefix of IPv6 inside tunnels, a row of `settings`. It is made once;
//! several control planes agree on it through this row.

use crate::{
    Result, Store, StoreError,
    db::{Tx, execute, fetch_optional},
};
use domain::Ipv6Prefix;
use std::sync::{Mutex, MutexGuard, PoisonError};

const NAME: &str = "ipv6_prefix";
const SELECT: &str = "SELECT value FROM settings WHERE name = $1";

impl Store {
    /// Returns the prefix, or `None` where no control plane has made one yet. It is read
    /// once: with tenants it never changes.
    ///
    /// # Errors
    /// Returns [`StoreError::Corrupt`] for a row that is no prefix.
    pub async fn ipv6_prefix(&self) -> Result<Option<Ipv6Prefix>> {
        if let Some(known) = self.known_ipv6_prefix() {
            return Ok(Some(known));
        }
        let row = fetch_optional!(self.db.reader(), (String,), SELECT, NAME)?;
        self.keep(row)
    }

    /// Does the same within a transaction.
    pub(crate) async fn ipv6_prefix_in(&self, tx: &mut Tx) -> Result<Option<Ipv6Prefix>> {
        if let Some(known) = self.known_ipv6_prefix() {
            return Ok(Some(known));
        }
        let row = fetch_optional!(tx.connection(), (String,), SELECT, NAME)?;
        self.keep(row)
    }

    fn keep(&self, row: Option<(String,)>) -> Result<Option<Ipv6Prefix>> {
        let found = row.map(|(text,)| parse(&text)).transpose()?;
        if found.is_some() {
            *lock(&self.ipv6_prefix) = found;
        }
        Ok(found)
    }

    /// Returns the prefix if this process has read it.
    pub fn known_ipv6_prefix(&self) -> Option<Ipv6Prefix> {
        *lock(&self.ipv6_prefix)
    }

    /// Stores a prefix unless there is one, and returns the one that is stored. The spec
    /// of every tenant that exists then changes. A `wanted` one also replaces that of an
    /// installation without tenants.
    ///
    /// # Errors
    /// Returns the errors of [`ipv6_prefix`](Self::ipv6_prefix).
    pub async fn ensure_ipv6_prefix(
        &self,
        wanted: Option<Ipv6Prefix>,
        random: Ipv6Prefix,
    ) -> Result<Ipv6Prefix> {
        let mut tx = self.db.begin().await?;
        let sql =
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        let new = wanted.unwrap_or(random).to_string();
        let is_new = execute!(tx.connection(), sql, NAME, &new)? > 0;
        if is_new {
            let sql = "UPDATE nodes SET generation = generation + 1 \
                       WHERE id IN (SELECT node_id FROM users)";
            execute!(tx.connection(), sql)?;
            let sql = "UPDATE users SET generation = \
                       (SELECT generation FROM nodes WHERE nodes.id = users.node_id)";
            execute!(tx.connection(), sql)?;
        } else if let Some(wanted) = wanted {
            let sql = "UPDATE settings SET value = $2 \
                       WHERE name = $1 AND NOT EXISTS (SELECT 1 FROM users)";
            execute!(tx.connection(), sql, NAME, wanted.to_string())?;
        }
        let (text,) = fetch_optional!(tx.connection(), (String,), SELECT, NAME)?
            .ok_or(StoreError::NotFound)?;
        let stored = parse(&text)?;
        tx.commit().await?;
        *lock(&self.ipv6_prefix) = Some(stored);
        Ok(stored)
    }
}

/// Locks a value that is valid after any panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parse(text: &str) -> Result<Ipv6Prefix> {
    let parsed = text.parse();
    parsed.map_err(|_| StoreError::Corrupt(format!("settings.{NAME}")))
}
