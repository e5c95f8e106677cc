//! The output of `maliknode config`: the configuration in force, as TOML that the
//! file could have, with secrets redacted.

use super::settings::{ListSetting, described};
use adguard::List;
use serde::Serializer;
use serde_json::Value;
use std::{
    fmt::{Display, Write},
    path::Path,
};
use store::DatabaseUrl;
use wireguard::Choice;

/// Returns the values as TOML, in the order of the help. What is not set is a comment
/// that says what applies instead.
pub(super) fn to_toml(values: &Value) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{key} = {value}");
    };
    let mut section = String::new();
    for setting in described() {
        let (table, key) = setting.key.split_once('.').unwrap_or(("", &setting.key));
        let heading = match table == section {
            true => String::new(),
            false => format!("\n[{table}]\n"),
        };
        table.clone_into(&mut section);
        let pointer = format!("/{}", setting.key.replace('.', "/"));
        match values.pointer(&pointer).filter(|value| !value.is_null()) {
            Some(root) if key == "root" => line("# root", &toml(root)),
            Some(value) => line(&format!("{heading}{key}"), &toml(value)),
            None => line(&format!("{heading}# {key}"), &setting.default),
        }
    }
    let lists = values["dns"]["lists"].as_array();
    for list in lists.into_iter().flatten() {
        for key in ListSetting::KEYS {
            let heading = match key == ListSetting::KEYS[0] {
                true => "\n[[dns.lists]]\n",
                false => "",
            };
            if !list[key].is_null() {
                line(&format!("{heading}{key}"), &toml(&list[key]));
            }
        }
    }
    out
}

/// Returns a text, a number or an array of them as TOML. TOML's basic strings are
/// escaped as JSON's are, except for one control character that JSON does not escape.
pub(super) fn toml(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(toml).collect();
            format!("[{}]", values.join(", "))
        }
        value => value.to_string().replace('\u{7f}', "\\u007f"),
    }
}

pub(super) fn text<S: Serializer>(value: &impl Display, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}

pub(super) fn path<S: Serializer>(path: &Path, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&path.display())
}

/// Serialises where the database is. An address of PostgreSQL has a password.
pub(super) fn database_url<S: Serializer>(url: &DatabaseUrl, s: S) -> Result<S::Ok, S::Error> {
    match url {
        DatabaseUrl::Sqlite(path) => s.collect_str(&format_args!("sqlite://{}", path.display())),
        DatabaseUrl::Postgres(_) => s.serialize_str("postgres://[redacted]"),
    }
}

pub(super) fn choice<S: Serializer>(choice: &Choice, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&format!("{choice:?}").to_lowercase())
}

pub(super) fn lists<S: Serializer>(lists: &[List], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(lists.iter().map(ListSetting::from))
}
