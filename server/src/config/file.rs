//! The file `central_api/config.toml` or `config.json`, with the same settings in
//! either format.

use super::{
    error::ConfigError,
    settings::{KNOWN, Settings},
};
use serde_json::{Map, Value};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Reads the file in this folder. A missing file counts as an empty one.
pub(super) fn read(folder: &Path) -> Result<Settings, ConfigError> {
    let (toml, json) = (folder.join("config.toml"), folder.join("config.json"));
    match (read_if_present(&toml)?, read_if_present(&json)?) {
        (Some(_), Some(_)) => Err(ConfigError::Both(toml)),
        (Some(text), None) => parse(toml, &text),
        (None, Some(text)) => parse(json, &text),
        (None, None) => Ok(Settings::default()),
    }
}

fn read_if_present(path: &Path) -> Result<Option<String>, ConfigError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Parses a file's text as JSON or TOML, depending on the file's name.
pub(super) fn parse(path: PathBuf, text: &str) -> Result<Settings, ConfigError> {
    if path.extension().is_some_and(|e| e == "json") {
        parse_json(path, text)
    } else {
        parse_toml(path, text)
    }
}

/// Parses TOML. The error has the parser's message without its excerpt of the
/// file.
pub(super) fn parse_toml(path: PathBuf, text: &str) -> Result<Settings, ConfigError> {
    let parsed: Result<Map<String, Value>, toml::de::Error> = toml::from_str(text);
    match parsed {
        Ok(map) => from_map(path, map),
        Err(e) => Err(ConfigError::Syntax {
            path,
            line: e.span().map_or(0, |s| {
                1 + text.get(..s.start).unwrap_or("").matches('\n').count()
            }),
            message: e.message().replace('\n', " "),
        }),
    }
}

fn parse_json(path: PathBuf, text: &str) -> Result<Settings, ConfigError> {
    match serde_json::from_str(text) {
        Ok(map) => from_map(path, map),
        Err(e) => Err(ConfigError::Syntax {
            path,
            line: e.line(),
            message: "this is not JSON".to_owned(),
        }),
    }
}

fn from_map(path: PathBuf, map: Map<String, Value>) -> Result<Settings, ConfigError> {
    let mut keys = Vec::new();
    collect_unknown("", &map, &mut keys);
    if !keys.is_empty() {
        return Err(ConfigError::Unknown { path, keys });
    }
    // Each setting is parsed alone first, so that the error can name it.
    for (key, value) in &map {
        let alone = Map::from_iter([(key.clone(), value.clone())]);
        if let Err(e) = serde_json::from_value::<Settings>(Value::Object(alone)) {
            return Err(wrong_form(path, key, &e));
        }
    }
    serde_json::from_value(Value::Object(map)).map_err(|e| wrong_form(path, "the file", &e))
}

fn wrong_form(path: PathBuf, key: &str, e: &serde_json::Error) -> ConfigError {
    // serde quotes the value ("invalid type: …, expected …"), which may be a secret.
    let message = e.to_string();
    let expected = message.rsplit_once("expected ").map_or("", |(_, e)| e);
    ConfigError::Form {
        path,
        key: key.to_owned(),
        message: format!("expected {expected}"),
    }
}

fn collect_unknown(prefix: &str, map: &Map<String, Value>, found: &mut Vec<String>) {
    for (key, value) in map {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(inner) if matches!(name.as_str(), "addresses" | "dns") => {
                collect_unknown(&format!("{name}."), inner, found);
            }
            Value::Array(items) if name == "dns.lists" => {
                for inner in items.iter().filter_map(Value::as_object) {
                    collect_unknown("dns.lists.", inner, found);
                }
            }
            _ if KNOWN.contains(&name.as_str())
                || matches!(name.as_str(), "addresses" | "dns" | "dns.lists") => {}
            _ => found.push(match nearest(&name) {
                Some(near) => format!("{name:?} (did you mean {near}?)"),
                None => format!("{name:?}"),
            }),
        }
    }
}

/// Returns the most similar setting, if at most two letters differ.
fn nearest(name: &str) -> Option<&'static str> {
    let plain = |s: &str| s.replace(['-', '_', '.'], "").to_ascii_lowercase();
    let wanted = plain(name);
    KNOWN
        .iter()
        .map(|k| (distance(&plain(k), &wanted), *k))
        .filter(|(d, _)| *d <= 2)
        .min()
        .map(|(_, k)| k)
}

/// Returns the Levenshtein distance of two short names.
fn distance(a: &str, b: &str) -> usize {
    if a.len().max(b.len()) > 40 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
