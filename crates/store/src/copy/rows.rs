//! Rows on their way: how a value is read from either database, the digest by which both
//! are compared, and PostgreSQL's text format for many rows (postgresql.org/docs/current/
//! sql-copy.html, "Text Format").

use super::schema::Kind;
use sha2::{Digest as _, Sha256};
use sqlx::{ColumnIndex, Decode, Row, Type};

/// A value, borrowed from its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell<'r> {
    Null,
    Number(i64),
    Text(&'r str),
    Bytes(&'r [u8]),
}

impl<'r> Cell<'r> {
    /// Reads a value of a row of either database.
    ///
    /// # Errors
    /// The value is of another type, or a text is not UTF-8.
    pub fn read<R>(row: &'r R, index: usize, kind: Kind) -> Result<Self, sqlx::Error>
    where
        R: Row,
        usize: ColumnIndex<R>,
        i64: Decode<'r, R::Database> + Type<R::Database>,
        &'r str: Decode<'r, R::Database> + Type<R::Database>,
        &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
    {
        let cell = match kind {
            Kind::Number | Kind::Flag => row.try_get::<Option<i64>, _>(index)?.map(Self::Number),
            Kind::Text => row.try_get::<Option<&str>, _>(index)?.map(Self::Text),
            Kind::Bytes => row.try_get::<Option<&[u8]>, _>(index)?.map(Self::Bytes),
        };
        Ok(cell.unwrap_or(Self::Null))
    }

    /// Returns the value as an operator finds it in the table.
    pub fn short(self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Text(text) => text.chars().filter(|c| !c.is_control()).take(64).collect(),
            Self::Null | Self::Bytes(_) => "?".to_owned(),
        }
    }
}

/// The number of rows of a table, and a sum over their hashes. The order of the rows does
/// not matter: the two databases sort text differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RowsDigest {
    pub rows: u64,
    /// The sum of the rows' SHA-256 modulo 2^256, lowest byte first.
    sum: [u8; 32],
}

impl RowsDigest {
    /// Adds a row: of each value its type, its length and its bytes.
    pub fn add(&mut self, row: &[Cell<'_>]) {
        let mut hash = Sha256::new();
        for cell in row {
            let number;
            let (tag, bytes): (u8, &[u8]) = match cell {
                Cell::Null => (0, &[]),
                Cell::Number(n) => {
                    number = n.to_le_bytes();
                    (1, &number)
                }
                Cell::Text(text) => (2, text.as_bytes()),
                Cell::Bytes(bytes) => (3, bytes),
            };
            hash.update([tag]);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        self.rows += 1;
        let mut carry = false;
        for (sum, byte) in self.sum.iter_mut().zip(hash.finalize()) {
            (*sum, carry) = add_bytes(*sum, byte, carry);
        }
    }
}

/// Adds two bytes and a carry; returns the sum and the next carry.
fn add_bytes(a: u8, b: u8, carry: bool) -> (u8, bool) {
    let (sum, over) = a.overflowing_add(b);
    let (sum, again) = sum.overflowing_add(u8::from(carry));
    (sum, over || again)
}

/// Appends a row in the text format of `COPY`.
pub(super) fn write_row(out: &mut Vec<u8>, row: &[Cell<'_>]) {
    for (index, cell) in row.iter().enumerate() {
        if index > 0 {
            out.push(b'\t');
        }
        match cell {
            Cell::Null => out.extend_from_slice(b"\\N"),
            Cell::Number(n) => out.extend_from_slice(n.to_string().as_bytes()),
            Cell::Text(text) => write_text(out, text),
            Cell::Bytes(bytes) => write_bytes(out, bytes),
        }
    }
    out.push(b'\n');
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        let escaped = match byte {
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            byte => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escaped]);
    }
}

/// Writes `\x…` in hexadecimal digits; the backslash is escaped.
fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\\\x");
    for byte in bytes {
        let digits = [byte >> 4, byte & 15].map(|d| DIGITS[usize::from(d)]);
        out.extend_from_slice(&digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_escaped_for_copy() {
        let mut out = Vec::new();
        let row = [
            Cell::Number(-7),
            Cell::Null,
            Cell::Text("a\tb\nc\r\\N\\."),
            Cell::Text(""),
            Cell::Text("Zoë’s 电话"),
            Cell::Bytes(&[0, 0xff, b'\\']),
        ];
        write_row(&mut out, &row);
        let expected = "-7\t\\N\ta\\tb\\nc\\r\\\\N\\\\.\t\tZoë’s 电话\t\\\\x00ff5c\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_digest_depends_on_every_value_and_no_order() {
        let digest = |rows: &[&[Cell<'_>]]| {
            let mut digest = RowsDigest::default();
            rows.iter().for_each(|row| digest.add(row));
            digest
        };
        let (a, b) = ([Cell::Number(1), Cell::Null], [Cell::Number(2), Cell::Null]);
        assert_eq!(digest(&[&a, &b]), digest(&[&b, &a]));
        // Many rows carry into every byte.
        let many = vec![&a[..]; 700];
        assert_ne!(digest(&many), digest(&many[1..]));
        for (left, right) in [
            ([Cell::Null, Cell::Null], [Cell::Text(""), Cell::Null]),
            ([Cell::Text(""), Cell::Null], [Cell::Bytes(b""), Cell::Null]),
            (
                [Cell::Text("ab"), Cell::Text("c")],
                [Cell::Text("a"), Cell::Text("bc")],
            ),
            ([Cell::Number(1), Cell::Null], [Cell::Null, Cell::Number(1)]),
        ] {
            assert_ne!(digest(&[&left]), digest(&[&right]), "{left:?} {right:?}");
        }
        // Two rows twice are not one row four times.
        assert_ne!(digest(&[&a, &a, &b, &b]), digest(&[&a, &a, &a, &b]));
    }
}
