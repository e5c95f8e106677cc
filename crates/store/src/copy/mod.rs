//! Copies everything from SQLite to an empty PostgreSQL database, in one transaction: a
//! process that is killed on the way leaves the target empty or complete. Before it is
//! committed, the number of rows and a digest of each table are compared, and every
//! sealed value is opened.
//!
//! Rows pass one after another, so that memory does not grow with the database. Tables
//! and columns are read from the databases ([`schema`]); none is named here.

mod error;
mod rows;
mod schema;
mod sealed;
mod source;
mod target;

pub use error::{CopyError, TargetPlace};
pub use sealed::SealedValues;
pub(crate) use sealed::{SEALED, SealedColumn};

use crate::{DatabaseUrl, Store};
use domain::Secret;
use futures_util::TryStreamExt as _;
use rows::{RowsDigest, write_row};
use schema::{Table, last_given, quoted};
use seal::Sealer;
use source::{Source, cells};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use target::{Content, Target, failed};

/// How many bytes are sent to the target at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a copy is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStage {
    /// Rows are written to the target.
    Copy,
    /// Rows are read back from the target and compared.
    Verify,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug)]
pub struct CopyProgress<'a> {
    /// What it is doing.
    pub stage: CopyStage,
    /// The table.
    pub table: &'a str,
    /// The rows of it that are done.
    pub rows: u64,
    /// All rows of it.
    pub total: u64,
    /// Whether the table is done.
    pub is_done: bool,
}

/// What was copied, or found on both sides already.
#[derive(Clone, Debug)]
pub struct CopyReport {
    /// Whether the target had everything before: an earlier copy was complete.
    pub was_complete: bool,
    /// The number of rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// The sealed values of the target.
    pub sealed: SealedValues,
}

/// What a copy would do.
#[derive(Clone, Debug)]
pub struct CopyCheck {
    /// The number of rows of each table; `None` where the source's schema is older, and
    /// is brought up to date first.
    pub rows: Option<BTreeMap<String, u64>>,
    /// The sealed values of the source.
    pub sealed: SealedValues,
    /// Where it would be copied to, without a password.
    pub target: String,
    /// A table of the target that has rows: it is copied to only if it has everything
    /// that the source has.
    pub target_table_with_rows: Option<String>,
}

/// The tables of this program's schema.
struct Schema {
    /// All of them.
    tables: BTreeSet<String>,
    /// Those into which migrations insert, with what they insert.
    seeds: BTreeMap<String, RowsDigest>,
}

impl Schema {
    /// Reads it from a new database in memory.
    async fn read(sealer: &Sealer) -> Result<Self, CopyError> {
        let mut fresh = Source::as_migrated().await?;
        let mut seeds = BTreeMap::new();
        let mut none = SealedValues::default();
        for table in fresh.tables()? {
            let digest = fresh.digest(&table, sealer, &mut none).await?;
            seeds.insert(table.name.clone(), digest);
        }
        seeds.retain(|_, digest| digest.rows > 0);
        Ok(Self {
            tables: fresh.types.keys().cloned().collect(),
            seeds,
        })
    }

    async fn inspect(&self, target: &mut Target) -> Result<Content, CopyError> {
        let seeded = self.seeds.keys().cloned().collect();
        target.inspect(&self.tables, &seeded).await
    }
}

/// Checks what [`copy_database`] needs, and writes nothing.
///
/// # Errors
/// What [`copy_database`] would refuse.
pub async fn check_copy(
    source: &Path,
    target: &Secret,
    sealer: &Sealer,
) -> Result<CopyCheck, CopyError> {
    let mut check = CopyCheck {
        rows: None,
        sealed: SealedValues::default(),
        target: String::new(),
        target_table_with_rows: None,
    };
    if let Some(mut source) = Source::read(source).await? {
        let mut rows = BTreeMap::new();
        for table in source.tables()? {
            let digest = source.digest(&table, sealer, &mut check.sealed).await?;
            rows.insert(table.name, digest.rows);
        }
        source.close().await;
        check.rows = Some(rows);
    }
    if check
        .sealed
        .unopened
        .iter()
        .any(|place| place.starts_with("settings.seal_check"))
    {
        return Err(CopyError::Source(crate::StoreError::WrongKey));
    }
    let schema = Schema::read(sealer).await?;
    let mut target = Target::connect(target).await?;
    check.target_table_with_rows = match schema.inspect(&mut target).await? {
        Content::Nothing => None,
        Content::Rows { table } => Some(table),
    };
    check.target = target.place.target;
    Ok(check)
}

/// Copies a SQLite database to an empty PostgreSQL one. The source is locked against
/// writers and, except for missing migrations, not changed. A target that has exactly
/// what the source has is the result of an earlier copy, and is only compared.
///
/// # Errors
/// See [`CopyError`].
pub async fn copy_database(
    source: &Path,
    target: &Secret,
    sealer: &Sealer,
    progress: &mut (dyn FnMut(CopyProgress<'_>) + Send),
) -> Result<CopyReport, CopyError> {
    let schema = Schema::read(sealer).await?;
    let url = DatabaseUrl::Postgres(target.clone());
    let mut target = Target::connect(target).await?;
    let content = schema.inspect(&mut target).await?;
    let source = Source::lock(source, sealer).await?;
    target.migrate().await?;
    let types = source.types.clone();
    let tables =
        schema::tables(&types, &mut target.connection, |e| failed(&target.place, e)).await?;
    target.begin(&tables).await?;
    let mut copy = Copy {
        source,
        target,
        sealer,
        progress,
    };
    let report = match content {
        Content::Nothing => copy.run(&tables, &schema.seeds).await?,
        Content::Rows { .. } => copy.compare(&tables).await?,
    };
    copy.target.execute("COMMIT".to_owned()).await?;
    copy.source.close().await;
    // As the server will open it: the schema and the key fit.
    let store = Store::open(&url, sealer.clone()).await;
    store.map_err(CopyError::TargetSchema)?.close().await;
    Ok(report)
}

/// A copy in its transaction.
struct Copy<'a> {
    source: Source,
    target: Target,
    sealer: &'a Sealer,
    progress: &'a mut (dyn FnMut(CopyProgress<'_>) + Send),
}

impl Copy<'_> {
    async fn run(
        &mut self,
        tables: &[Table],
        seeds: &BTreeMap<String, RowsDigest>,
    ) -> Result<CopyReport, CopyError> {
        self.refuse_rows(tables, seeds).await?;
        self.target.clear(tables).await?;
        let mut copied = Vec::with_capacity(tables.len());
        for table in tables {
            copied.push(self.copy_table(table).await?);
            self.continue_numbers(table).await?;
        }
        let mut sealed = SealedValues::default();
        let mut rows = BTreeMap::new();
        for (table, copied) in tables.iter().zip(copied) {
            self.report(CopyStage::Verify, table, 0, copied.rows, false);
            let found = self.target.digest(table, self.sealer, &mut sealed).await?;
            let counted = self.source.count(table).await?;
            if found != copied || counted != copied.rows {
                return Err(differs(table));
            }
            self.report(CopyStage::Verify, table, found.rows, found.rows, true);
            rows.insert(table.name.clone(), found.rows);
        }
        // The planner would take the tables for empty ones.
        let names = tables.iter().map(|t| quoted(&t.name));
        let names = names.collect::<Vec<_>>().join(", ");
        self.target.execute(format!("ANALYZE {names}")).await?;
        Ok(CopyReport {
            was_complete: false,
            rows,
            sealed,
        })
    }

    /// Refuses a target that was filled since it was inspected.
    async fn refuse_rows(
        &mut self,
        tables: &[Table],
        seeds: &BTreeMap<String, RowsDigest>,
    ) -> Result<(), CopyError> {
        for table in tables {
            let is_empty = match seeds.get(&table.name) {
                None => !self.target.has_rows(&table.name).await?,
                Some(seeds) => {
                    let mut none = SealedValues::default();
                    self.target.digest(table, self.sealer, &mut none).await? == *seeds
                }
            };
            if !is_empty {
                return Err(self.target.not_empty(&table.name));
            }
        }
        Ok(())
    }

    /// Copies the rows of a table and returns the digest of those that were read.
    async fn copy_table(&mut self, table: &Table) -> Result<RowsDigest, CopyError> {
        let total = self.source.count(table).await?;
        self.report(CopyStage::Copy, table, 0, total, false);
        let (name, columns) = (quoted(&table.name), table.column_list());
        let place = self.target.place.clone();
        let failed = |e| failed(&place, e);
        let sql = format!("COPY {name} ({columns}) FROM STDIN");
        let copy = self.target.connection.copy_in_raw(&sql).await;
        let mut copy = copy.map_err(failed)?;
        let mut digest = RowsDigest::default();
        let mut chunk = Vec::with_capacity(CHUNK_BYTES * 2);
        let source_failed = self.source.failure();
        let mut rows = self.source.rows(table);
        while let Some(row) = rows.try_next().await.map_err(&source_failed)? {
            let row = cells(&row, table)?;
            digest.add(&row);
            write_row(&mut chunk, &row);
            if chunk.len() >= CHUNK_BYTES {
                copy.send(chunk.as_slice()).await.map_err(failed)?;
                chunk.clear();
                (self.progress)(CopyProgress {
                    stage: CopyStage::Copy,
                    table: &table.name,
                    rows: digest.rows,
                    total,
                    is_done: false,
                });
            }
        }
        copy.send(chunk.as_slice()).await.map_err(failed)?;
        copy.finish().await.map_err(failed)?;
        drop(rows);
        self.report(CopyStage::Copy, table, digest.rows, total, true);
        Ok(digest)
    }

    /// Lets the numbers that PostgreSQL gives continue after those that SQLite gave.
    async fn continue_numbers(&mut self, table: &Table) -> Result<(), CopyError> {
        for column in table.columns.iter().filter(|c| c.is_identity) {
            let last = last_given(&mut self.source.connection, &table.name, &column.name).await;
            let last = last.map_err(|e| self.source.failed(e))?;
            self.target.continue_after(table, column, last).await?;
            if self.target.next_number(table, column).await? <= last {
                return Err(differs(table));
            }
        }
        Ok(())
    }

    /// Compares a target that has rows with the source.
    async fn compare(&mut self, tables: &[Table]) -> Result<CopyReport, CopyError> {
        let mut sealed = SealedValues::default();
        let mut rows = BTreeMap::new();
        for table in tables {
            let mut none = SealedValues::default();
            let total = self.source.count(table).await?;
            self.report(CopyStage::Verify, table, 0, total, false);
            let ours = self.source.digest(table, self.sealer, &mut none).await?;
            let found = self.target.digest(table, self.sealer, &mut sealed).await?;
            if found != ours {
                return Err(self.target.not_empty(&table.name));
            }
            self.report(CopyStage::Verify, table, total, total, true);
            rows.insert(table.name.clone(), total);
        }
        Ok(CopyReport {
            was_complete: true,
            rows,
            sealed,
        })
    }

    fn report(&mut self, stage: CopyStage, table: &Table, rows: u64, total: u64, is_done: bool) {
        (self.progress)(CopyProgress {
            stage,
            table: &table.name,
            rows,
            total,
            is_done,
        });
    }
}

fn differs(table: &Table) -> CopyError {
    CopyError::Differs {
        table: table.name.clone(),
    }
}
