//! Many rows in one statement, on either database.

use crate::{
    Result,
    db::{Either, Tx},
};
use sqlx::{AssertSqlSafe, FromRow, postgres::PgRow, sqlite::SqliteRow};

/// Rows of one statement: six values each stay far below SQLite's 32,766 and
/// PostgreSQL's 65,535, and a full statement is worth keeping prepared.
pub(crate) const CHUNK: usize = 500;

/// One value of a row.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number(i64),
    Nothing,
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(n) => Some(*n),
            Self::Nothing | Self::Text(_) | Self::Bytes(_) => None,
        }
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Number(n)
    }
}

/// Nothing is a number that is not there.
impl From<Option<i64>> for Value {
    fn from(n: Option<i64>) -> Self {
        n.map_or(Self::Nothing, Self::Number)
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

/// `($1, $2), ($3, $4)`. Made of numbers only, so nothing in it can be
/// somebody's input.
pub(crate) fn tuples(rows: usize, columns: usize) -> String {
    let row = |r: usize| {
        let row: Vec<String> = (1..=columns)
            .map(|c| format!("${}", r * columns + c))
            .collect();
        format!("({})", row.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Runs `before`, so many tuples of the rows, `after`: as often as it takes.
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
                        Value::Nothing => q.bind(None::<i64>),
                        Value::Text(s) => q.bind(s.as_str()),
                        Value::Bytes(b) => q.bind(b.as_slice()),
                    };
                }
                q.execute($c).await.map(drop)?
            }};
        }
        match tx.on() {
            Either::Sqlite(c) => run!(c),
            Either::Postgres(c) => run!(c),
        }
    }
    Ok(())
}

/// `before ($1, $2, …) after` for so many ids.
pub(crate) fn select_in(before: &str, ids: usize, after: &str) -> String {
    format!("{before} {} {after}", tuples(1, ids))
}

/// The rows of [`select_in`], as many statements as it takes.
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
        rows.extend(match tx.on() {
            Either::Sqlite(c) => run!(c),
            Either::Postgres(c) => run!(c),
        });
    }
    Ok(rows)
}
