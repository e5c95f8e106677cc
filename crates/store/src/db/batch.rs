//! Statements with many rows or ids, on either database.

use super::{Either, Tx};
use crate::Result;
use sqlx::{AssertSqlSafe, FromRow, postgres::PgRow, sqlite::SqliteRow};

/// The number of rows in one statement. With six values each they stay far below
/// SQLite's limit of 32,766 parameters and PostgreSQL's of 65,535; a statement of
/// this size is kept prepared.
const CHUNK: usize = 500;

/// A value of a row.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number(i64),
    Null,
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(n) => Some(*n),
            Self::Null | Self::Text(_) | Self::Bytes(_) => None,
        }
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Number(n)
    }
}

impl From<Option<i64>> for Value {
    fn from(n: Option<i64>) -> Self {
        n.map_or(Self::Null, Self::Number)
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::Text(s)
    }
}

impl From<Vec<u8>> for Value {
    fn from(b: Vec<u8>) -> Self {
        Self::Bytes(b)
    }
}

/// Returns placeholders, e.g. `($1, $2), ($3, $4)`. They consist of numbers only
/// and so can contain no user input.
fn tuples(rows: usize, columns: usize) -> String {
    let row = |r: usize| {
        let row: Vec<String> = (1..=columns)
            .map(|c| format!("${}", r * columns + c))
            .collect();
        format!("({})", row.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Runs `before (…), (…) after` with the rows, in as many statements as needed.
pub(crate) async fn write<const COLUMNS: usize>(
    tx: &mut Tx,
    before: &str,
    rows: &[[Value; COLUMNS]],
    after: &str,
) -> Result<()> {
    for chunk in rows.chunks(CHUNK) {
        let values = tuples(chunk.len(), COLUMNS);
        let sql = AssertSqlSafe(format!("{before} {values} {after}"));
        macro_rules! run {
            ($c:expr) => {{
                let mut q = sqlx::query(sql).persistent(chunk.len() == CHUNK);
                for value in chunk.as_flattened() {
                    q = match value {
                        Value::Number(n) => q.bind(*n),
                        Value::Null => q.bind(None::<i64>),
                        Value::Text(s) => q.bind(s.as_str()),
                        Value::Bytes(b) => q.bind(b.as_slice()),
                    };
                }
                q.execute($c).await.map(drop)?
            }};
        }
        match tx.connection() {
            Either::Sqlite(c) => run!(c),
            Either::Postgres(c) => run!(c),
        }
    }
    Ok(())
}

/// Returns `before ($1, $2, …) after` for a number of ids.
pub(crate) fn select_in(before: &str, ids: usize, after: &str) -> String {
    format!("{before} {} {after}", tuples(1, ids))
}

/// Returns the rows of [`select_in`] for texts, in as many statements as needed.
pub(crate) async fn fetch_by_text<Row>(
    tx: &mut Tx,
    before: &str,
    texts: &[String],
) -> Result<Vec<Row>>
where
    Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let mut rows = Vec::new();
    for chunk in texts.chunks(CHUNK) {
        let sql = AssertSqlSafe(select_in(before, chunk.len(), ""));
        macro_rules! run {
            ($c:expr) => {{
                let mut q = sqlx::query_as::<_, Row>(sql).persistent(chunk.len() == CHUNK);
                for text in chunk {
                    q = q.bind(text.as_str());
                }
                q.fetch_all($c).await?
            }};
        }
        rows.extend(match tx.connection() {
            Either::Sqlite(c) => run!(c),
            Either::Postgres(c) => run!(c),
        });
    }
    Ok(rows)
}

/// Returns the rows of [`select_in`], in as many statements as needed.
pub(crate) async fn fetch<Row>(
    tx: &mut Tx,
    before: &str,
    ids: &[i64],
    after: &str,
) -> Result<Vec<Row>>
where
    Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let mut rows = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let sql = AssertSqlSafe(select_in(before, chunk.len(), after));
        macro_rules! run {
            ($c:expr) => {{
                let mut q = sqlx::query_as::<_, Row>(sql).persistent(chunk.len() == CHUNK);
                for id in chunk {
                    q = q.bind(*id);
                }
                q.fetch_all($c).await?
            }};
        }
        rows.extend(match tx.connection() {
            Either::Sqlite(c) => run!(c),
            Either::Postgres(c) => run!(c),
        });
    }
    Ok(rows)
}
