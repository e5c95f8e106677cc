//! Seals again, with a new key, what the former one sealed.

use crate::{
    Result, Store, StoreError,
    copy::{SEALED, SealedColumn},
    db::{Tx, execute, fetch_all, fetch_optional},
};
use seal::Purpose;
use sqlx::AssertSqlSafe;

/// The number of rows that are read at once.
const PAGE: i64 = 1_000;

/// The number of sealed values in a database, by the key that sealed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Values that the former key had sealed, and the current one now has.
    pub changed: u64,
    /// Values that the current key had sealed before.
    pub unchanged: u64,
}

impl Resealed {
    fn count(&mut self, is_changed: bool) {
        match is_changed {
            true => self.changed += 1,
            false => self.unchanged += 1,
        }
    }
}

impl Store {
    /// Seals all values with the current key, in one transaction: after it, the former key
    /// opens nothing that the database has.
    ///
    /// # Errors
    /// Returns [`StoreError::Seal`] for a value that neither key opens, and the database's
    /// errors. Nothing is changed then.
    pub async fn reseal(&self) -> Result<Resealed> {
        let mut resealed = Resealed::default();
        let mut tx = self.db.begin().await?;
        for column in &SEALED {
            self.reseal_column(&mut tx, column, &mut resealed).await?;
        }
        self.reseal_settings(&mut tx, &mut resealed).await?;
        tx.commit().await?;
        Ok(resealed)
    }

    async fn reseal_column(
        &self,
        tx: &mut Tx,
        place: &SealedColumn,
        resealed: &mut Resealed,
    ) -> Result<()> {
        let (table, column, identity) = (place.table, place.column, place.identity);
        // Names of ours alone. The identity of each of them is unique in its table.
        let page = format!(
            "SELECT {identity}, {column} FROM {table} WHERE {identity} > $1 \
             ORDER BY {identity} LIMIT $2"
        );
        let update = format!("UPDATE {table} SET {column} = $1 WHERE {identity} = $2");
        let mut last = String::new();
        loop {
            type Row = (String, Option<String>);
            let sql = AssertSqlSafe(page.clone());
            let rows = fetch_all!(tx.connection(), Row, sql, last.as_str(), PAGE)?;
            let Some((newest, _)) = rows.last() else {
                return Ok(());
            };
            last.clone_from(newest);
            for (identity, sealed) in rows {
                // A device whose browser made the key has an empty one.
                let Some(sealed) = sealed.filter(|sealed| !sealed.is_empty()) else {
                    continue;
                };
                let again = self.sealer.reseal(place.purpose, &identity, &sealed)?;
                resealed.count(again.is_some());
                if let Some(again) = again {
                    let sql = AssertSqlSafe(update.clone());
                    execute!(tx.connection(), sql, again.as_str(), identity.as_str())?;
                }
            }
        }
    }

    /// Seals the values in `settings`, whose form is each its own.
    async fn reseal_settings(&self, tx: &mut Tx, resealed: &mut Resealed) -> Result<()> {
        const CHECK: &str = "seal_check";
        const AUTHORITY: &str = "node_authority";
        for name in [CHECK, AUTHORITY] {
            let sql = "SELECT value FROM settings WHERE name = $1";
            let row: Option<(String,)> = fetch_optional!(tx.connection(), _, sql, name)?;
            let Some((value,)) = row else { continue };
            let again = match name {
                CHECK => self.sealer.reseal(Purpose::Check, CHECK, &value)?,
                // The sealed key, a line break, the certificate.
                _ => {
                    let corrupt = || StoreError::Corrupt(format!("settings.{AUTHORITY}"));
                    let (sealed, certificate) = value.split_once('\n').ok_or_else(corrupt)?;
                    let purpose = Purpose::AuthorityKey;
                    let again = self.sealer.reseal(purpose, certificate, sealed)?;
                    again.map(|sealed| format!("{sealed}\n{certificate}"))
                }
            };
            resealed.count(again.is_some());
            if let Some(again) = again {
                let sql = "UPDATE settings SET value = $1 WHERE name = $2";
                execute!(tx.connection(), sql, again.as_str(), name)?;
            }
        }
        Ok(())
    }
}
