//! The sealed columns: after a copy, every value in them is opened once.

use super::{rows::Cell, schema::Table};
use seal::{Purpose, Sealer};

/// A sealed column and the column that its values belong to.
pub(crate) struct SealedColumn {
    pub table: &'static str,
    pub column: &'static str,
    /// Unique in the table.
    pub identity: &'static str,
    pub purpose: Purpose,
}

/// The migrations mark each of them with "-- sealed", which a test compares.
pub(crate) const SEALED: [SealedColumn; 8] = [
    SealedColumn {
        table: "users",
        column: "wg_private_key",
        identity: "wg_public_key",
        purpose: Purpose::TunnelKey,
    },
    SealedColumn {
        table: "users",
        column: "dns_password",
        identity: "username",
        purpose: Purpose::DnsPassword,
    },
    SealedColumn {
        table: "peers",
        column: "private_key",
        identity: "public_key",
        purpose: Purpose::DeviceKey,
    },
    SealedColumn {
        table: "peers",
        column: "preshared_key",
        identity: "public_key",
        purpose: Purpose::DevicePresharedKey,
    },
    SealedColumn {
        table: "api_keys",
        column: "private_key",
        identity: "kid",
        purpose: Purpose::ApiKey,
    },
    SealedColumn {
        table: "api_answers",
        column: "answer",
        identity: "key",
        purpose: Purpose::ApiAnswer,
    },
    SealedColumn {
        table: "factors",
        column: "secret",
        identity: "id",
        purpose: Purpose::FactorSecret,
    },
    SealedColumn {
        table: "mail_outbox",
        column: "secret",
        identity: "token_hash",
        purpose: Purpose::MailToken,
    },
];

/// How many sealed values were opened, and where those are that could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedValues {
    /// The number of values that opened.
    pub opened: u64,
    /// The table, column and row of each value that did not.
    pub unopened: Vec<String>,
}

/// Where the sealed values of a table are in its rows.
pub(super) struct SealedPlaces {
    /// The column's name, its index, the index of its identity, the purpose.
    columns: Vec<(String, usize, usize, Purpose)>,
    is_settings: bool,
}

impl SealedPlaces {
    pub fn of(table: &Table) -> Self {
        let index = |name: &str| table.columns.iter().position(|c| c.name == name);
        let columns = SEALED.iter().filter(|s| s.table == table.name);
        let columns = columns.filter_map(|s| {
            let name = format!("{}.{}", s.table, s.column);
            Some((name, index(s.column)?, index(s.identity)?, s.purpose))
        });
        Self {
            columns: columns.collect(),
            is_settings: table.name == "settings",
        }
    }

    /// Opens the sealed values of a row.
    pub fn open(&self, row: &[Cell<'_>], sealer: &Sealer, values: &mut SealedValues) {
        let mut open = |name: &str, purpose, identity: &str, sealed: &str| match sealer
            .open(purpose, identity, sealed)
        {
            Ok(_) => values.opened += 1,
            Err(_) => values.unopened.push(format!("{name} ({identity})")),
        };
        for (name, column, identity, purpose) in &self.columns {
            // A device whose browser made the key has an empty one here.
            if let (Some(Cell::Text(sealed)), Some(Cell::Text(identity))) =
                (row.get(*column), row.get(*identity))
                && !sealed.is_empty()
            {
                open(name, *purpose, identity, sealed);
            }
        }
        if let (true, [Cell::Text(name), Cell::Text(value)]) = (self.is_settings, row) {
            let place = format!("settings.{name}");
            match (*name, value.split_once('\n')) {
                ("seal_check", _) => open(&place, Purpose::Check, name, value),
                // The sealed key, a line break, the certificate.
                ("node_authority", Some((sealed, certificate))) => {
                    open(&place, Purpose::AuthorityKey, certificate, sealed);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_column_that_a_migration_calls_sealed_is_opened() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/postgres");
        let mut marked = BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let mut table = String::new();
            for line in text.lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                if let ["CREATE" | "ALTER", "TABLE", name, ..] = words[..] {
                    name.clone_into(&mut table);
                }
                if line.contains("-- sealed") {
                    let at = words.iter().position(|w| *w == "COLUMN");
                    let column = words[at.map_or(0, |at| at + 1)];
                    marked.insert(format!("{table}.{column}"));
                }
            }
        }
        let known = SEALED.iter().map(|s| format!("{}.{}", s.table, s.column));
        assert_eq!(marked, known.collect());
    }
}
