//! What commands print: JSON for programs, tables for people. There is no colour, so a terminal
//! and a file get the same.

mod table;
mod text;

pub(crate) use table::Column;
pub(crate) use text::{bits, bytes, date, id, name_of, text, timestamp};

use serde_json::Value;

/// How a command writes its output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Writes JSON, or what people read.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Returns whether programs read the output.
    pub const fn is_json(self) -> bool {
        self.json
    }

    /// Prints JSON as the API wrote it, or else a table with a row for each item; `none` is
    /// what is said where there are none.
    pub fn table(self, items: &[Value], columns: &[Column<'_>], none: &str) {
        match self.json {
            true => print_json(&Value::Array(items.to_vec())),
            false => print(&table_text(items, columns, none)),
        }
    }

    /// Prints JSON as the API wrote it, or else a line for each field of an object. Fields
    /// without a value have none.
    pub fn fields(self, object: &Value, fields: &[Column<'_>]) {
        match self.json {
            true => print_json(object),
            false => print(&fields_text(object, fields)),
        }
    }

    /// Prints JSON as the API wrote it, or else a message.
    pub fn say(self, json: &Value, message: &str) {
        match self.json {
            true => print_json(json),
            false => print(message),
        }
    }

    /// Says that something is done that has no answer; for programs the exit
    /// code says it.
    pub fn done(self, message: &str) {
        if !self.json {
            print(message);
        }
    }
}

/// Returns a table with a row for each item, or `none`.
pub(crate) fn table_text(items: &[Value], columns: &[Column<'_>], none: &str) -> String {
    match items {
        [] => none.to_owned(),
        items => table::render(items, columns),
    }
}

/// Returns a line for each field of an object.
pub(crate) fn fields_text(object: &Value, fields: &[Column<'_>]) -> String {
    table::render_fields(object, fields)
}

/// Prints a line, or several. A closed pipe does not end the command.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{}", plain_lines(text));
}

/// Replaces the control characters of each line, so that what a server says cannot direct the
/// terminal.
pub(crate) fn plain_lines(text: &str) -> String {
    let lines = text.split('\n').map(text::plain);
    lines.collect::<Vec<_>>().join("\n")
}

fn print_json(value: &Value) {
    print(&serde_json::to_string_pretty(value).unwrap_or_default());
}
