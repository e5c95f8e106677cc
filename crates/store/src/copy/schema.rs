//! The tables and columns of both databases, read from the databases themselves: a table
//! or column that a later migration adds is copied too. Where the two differ, nothing is
//! copied.

use super::error::CopyError;
use sqlx::{AssertSqlSafe, PgConnection, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

/// The table of the migrations.
pub(super) const MIGRATIONS: &str = "_sqlx_migrations";

/// Tables whose rows are not copied, and why.
pub(super) const TRANSIENT: &[(&str, &str)] = &[
    (
        MIGRATIONS,
        "each dialect's migrations have hashes of their own",
    ),
    ("control_planes", "none runs while the database is copied"),
    (
        "leases",
        "none is held while no control plane runs, and SQLite has none",
    ),
    (
        "attempts",
        "the limits of sign-ins look back on minutes, by the other database's clock",
    ),
];

/// What a column's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    /// A number, 0 or 1, that PostgreSQL stores as a boolean.
    Flag,
    Text,
    Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub kind: Kind,
    /// PostgreSQL gives its numbers from a sequence.
    pub is_identity: bool,
}

/// A table that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub name: String,
    pub columns: Vec<Column>,
}

impl Table {
    /// Returns the columns' names for a statement.
    pub fn column_list(&self) -> String {
        let names = self.columns.iter().map(|c| quoted(&c.name));
        names.collect::<Vec<_>>().join(", ")
    }

    /// Returns the columns as PostgreSQL is asked for them: numbers of every size as
    /// `BIGINT`.
    pub fn postgres_columns(&self) -> String {
        let column = |c: &Column| match c.kind {
            Kind::Number => format!("{}::bigint", quoted(&c.name)),
            Kind::Flag => format!("{}::int::bigint", quoted(&c.name)),
            Kind::Text | Kind::Bytes => quoted(&c.name),
        };
        let columns = self.columns.iter().map(column);
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// Returns a name as an identifier of SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The names and types of each table's columns, in SQLite's order.
pub(super) type Types = BTreeMap<String, Vec<(String, String)>>;

/// Returns every table of the open schema of PostgreSQL, even those of other programs.
///
/// # Errors
/// The database's.
pub(super) async fn postgres_tables(c: &mut PgConnection) -> Result<BTreeSet<String>, sqlx::Error> {
    let sql = "SELECT relname::text FROM pg_class \
               JOIN pg_namespace n ON n.oid = relnamespace AND nspname = current_schema() \
               WHERE relkind IN ('r', 'p', 'f')";
    let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(c).await?;
    Ok(names.into_iter().collect())
}

/// Returns the schema of a SQLite database.
///
/// # Errors
/// The database's.
pub(super) async fn sqlite_types(c: &mut SqliteConnection) -> Result<Types, sqlx::Error> {
    let sql = "SELECT t.name, c.name, c.type FROM sqlite_schema t, pragma_table_info(t.name) c \
               WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
               ORDER BY t.name, c.cid";
    let rows: Vec<(String, String, String)> = sqlx::query_as(sql).fetch_all(c).await?;
    let mut types = Types::new();
    for (table, column, kind) in rows {
        types.entry(table).or_default().push((column, kind));
    }
    Ok(types)
}

/// Returns whether the rows of a table are copied.
pub(super) fn is_copied(table: &str) -> bool {
    !TRANSIENT.iter().any(|(name, _)| *name == table)
}

fn differs(table: &str, column: &str) -> CopyError {
    CopyError::SchemaDiffers {
        object: format!("{table}.{column}"),
    }
}

/// A column of PostgreSQL: its type, and whether its numbers are from a sequence.
type PostgresColumn = (String, bool);

/// Returns the tables to copy, in no order. `pair` returns PostgreSQL's column for a table
/// and a column of SQLite.
fn copied_tables(
    types: &Types,
    mut pair: impl FnMut(&str, &str) -> Option<PostgresColumn>,
) -> Result<Vec<Table>, CopyError> {
    let mut column = |table: &str, name: &str, sqlite: &str| {
        let found = pair(table, name).ok_or_else(|| differs(table, name))?;
        let kind = match (sqlite, found.0.as_str()) {
            ("INTEGER", "bigint" | "integer" | "smallint") => Kind::Number,
            ("INTEGER", "boolean") => Kind::Flag,
            ("TEXT", "text") => Kind::Text,
            ("BLOB", "bytea") => Kind::Bytes,
            _ => return Err(differs(table, name)),
        };
        Ok(Column {
            name: name.to_owned(),
            kind,
            is_identity: found.1,
        })
    };
    let copied = types.iter().filter(|(table, _)| is_copied(table));
    let tables = copied.map(|(table, columns)| {
        let columns = columns.iter().map(|(name, kind)| column(table, name, kind));
        Ok(Table {
            columns: columns.collect::<Result<_, _>>()?,
            name: table.clone(),
        })
    });
    tables.collect()
}

/// Returns the tables to copy, as SQLite alone has them, in no order.
///
/// # Errors
/// [`CopyError::SchemaDiffers`] where a column is of a type that is not copied.
pub(super) fn sqlite_tables(types: &Types) -> Result<Vec<Table>, CopyError> {
    let postgres = |table: &str, name: &str| {
        let (_, sqlite) = types
            .get(table)?
            .iter()
            .find(|(column, _)| column == name)?;
        let postgres = match sqlite.as_str() {
            "INTEGER" => "bigint",
            "TEXT" => "text",
            "BLOB" => "bytea",
            _ => return None,
        };
        Some((postgres.to_owned(), false))
    };
    copied_tables(types, postgres)
}

/// Compares the two schemas and returns the tables to copy, each after those that it
/// refers to.
///
/// # Errors
/// [`CopyError::SchemaDiffers`]; the database's error by `failed`.
pub(super) async fn tables(
    source: &Types,
    target: &mut PgConnection,
    failed: impl Fn(sqlx::Error) -> CopyError,
) -> Result<Vec<Table>, CopyError> {
    const COLUMNS: &str = "SELECT t.relname::text, a.attname::text, \
           format_type(a.atttypid, NULL), a.attidentity <> '' \
         FROM pg_class t \
         JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = current_schema() \
         JOIN pg_attribute a ON a.attrelid = t.oid \
         WHERE t.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped";
    const REFERENCES: &str = "SELECT t.relname::text, r.relname::text FROM pg_constraint c \
         JOIN pg_class t ON t.oid = c.conrelid \
         JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = current_schema() \
         JOIN pg_class r ON r.oid = c.confrelid WHERE c.contype = 'f' AND t.oid <> r.oid";
    let columns: Vec<(String, String, String, bool)> = sqlx::query_as(COLUMNS)
        .fetch_all(&mut *target)
        .await
        .map_err(&failed)?;
    let references: Vec<(String, String)> = sqlx::query_as(REFERENCES)
        .fetch_all(&mut *target)
        .await
        .map_err(&failed)?;
    let mut columns: BTreeMap<(String, String), PostgresColumn> = columns
        .into_iter()
        .filter(|(table, ..)| is_copied(table))
        .map(|(table, name, kind, is_identity)| ((table, name), (kind, is_identity)))
        .collect();
    let tables = copied_tables(source, |table, name| {
        columns.remove(&(table.to_owned(), name.to_owned()))
    })?;
    match columns.first_key_value() {
        Some(((table, column), _)) => Err(differs(table, column)),
        None => in_order(tables, &references),
    }
}

/// Orders tables so that each is after those that it refers to.
fn in_order(
    mut tables: Vec<Table>,
    references: &[(String, String)],
) -> Result<Vec<Table>, CopyError> {
    let mut ordered: Vec<Table> = Vec::new();
    while !tables.is_empty() {
        let is_ready = |table: &Table| {
            let mut to = references.iter().filter(|(from, _)| *from == table.name);
            to.all(|(_, to)| !tables.iter().any(|t| t.name == *to))
        };
        let Some(ready) = tables.iter().position(is_ready) else {
            // Tables that refer to each other need another way; there are none.
            return Err(CopyError::SchemaDiffers {
                object: tables.swap_remove(0).name,
            });
        };
        ordered.push(tables.remove(ready));
    }
    Ok(ordered)
}

/// Returns the last number that SQLite gave in a table. It is higher than the highest
/// number in the table where the newest row was deleted, and must not be given again.
///
/// # Errors
/// The database's.
pub(super) async fn last_given(
    c: &mut SqliteConnection,
    table: &str,
    column: &str,
) -> Result<i64, sqlx::Error> {
    let (table, column, name) = (quoted(table), quoted(column), table);
    let sql = AssertSqlSafe(format!(
        "SELECT MAX(COALESCE((SELECT seq FROM sqlite_sequence WHERE name = $1), 0), \
                    COALESCE((SELECT MAX({column}) FROM {table}), 0))"
    ));
    sqlx::query_scalar(sql).bind(name).fetch_one(c).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::migrate;
    use sqlx::Connection as _;

    async fn types() -> Types {
        let mut c = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        migrate::run_on_sqlite(&mut c).await.unwrap();
        sqlite_types(&mut c).await.unwrap()
    }

    #[tokio::test]
    async fn every_table_is_copied_or_named_with_a_reason() {
        let types = types().await;
        for (table, reason) in TRANSIENT {
            assert!(types.contains_key(*table), "{table} does not exist");
            assert!(!reason.is_empty());
        }
        let copied = sqlite_tables(&types).unwrap();
        assert_eq!(copied.len(), types.len() - TRANSIENT.len());
        for table in &copied {
            assert_eq!(table.columns.len(), types[&table.name].len(), "{table:?}");
        }
    }

    #[test]
    fn a_column_that_differs_is_named() {
        let types = |columns: &[(&str, &str)]| {
            let columns = columns
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            Types::from([("notes".to_owned(), columns.collect())])
        };
        let ours = types(&[("id", "INTEGER"), ("is_read", "INTEGER"), ("text", "TEXT")]);
        let paired = |read: Option<&str>| {
            let tables = copied_tables(&ours, |table, column| match (table, column) {
                ("notes", "id") => Some(("bigint".to_owned(), true)),
                ("notes", "is_read") => read.map(|kind| (kind.to_owned(), false)),
                ("notes", "text") => Some(("text".to_owned(), false)),
                _ => None,
            });
            tables.map_err(|e| match e {
                CopyError::SchemaDiffers { object } => object,
                e => panic!("{e:?}"),
            })
        };
        let kinds = |read| {
            let tables = paired(Some(read)).unwrap();
            let columns = tables[0].columns.iter();
            columns.map(|c| (c.kind, c.is_identity)).collect::<Vec<_>>()
        };
        let (number, text) = (Kind::Number, (Kind::Text, false));
        assert_eq!(kinds("smallint"), [(number, true), (number, false), text]);
        assert_eq!(
            kinds("boolean"),
            [(number, true), (Kind::Flag, false), text]
        );
        for wrong in [
            None,
            Some("text"),
            Some("numeric"),
            Some("double precision"),
        ] {
            assert_eq!(paired(wrong).unwrap_err(), "notes.is_read", "{wrong:?}");
        }
        let real = sqlite_tables(&types(&[("id", "INTEGER"), ("share", "REAL")]));
        assert!(
            matches!(real, Err(CopyError::SchemaDiffers { object }) if object == "notes.share")
        );
    }

    #[test]
    fn tables_follow_those_that_they_refer_to() {
        let tables = |names: &[&str]| {
            let table = |name: &&str| Table {
                name: (*name).to_owned(),
                columns: Vec::new(),
            };
            names.iter().map(table).collect::<Vec<_>>()
        };
        let references = |pairs: &[(&str, &str)]| {
            let pair = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
            pairs.iter().map(pair).collect::<Vec<_>>()
        };
        let names = |tables: Vec<Table>| tables.into_iter().map(|t| t.name).collect::<Vec<_>>();
        let to = references(&[("a", "b"), ("b", "c"), ("a", "c")]);
        let ordered = in_order(tables(&["a", "b", "c", "d"]), &to).unwrap();
        assert_eq!(names(ordered), ["c", "b", "a", "d"]);
        let circle = references(&[("a", "b"), ("b", "a")]);
        assert!(in_order(tables(&["a", "b"]), &circle).is_err());
    }
}
