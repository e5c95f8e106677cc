//! The file `central_api/config.toml` or `config.json`, with the same settings in
//! either format.

use super::{
    error::ConfigError,
    settings::{Settings, file_keys},
};
use serde_ignored::Path as KeyPath;
use serde_json::{Map, Value};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Reads the file in this folder. A missing file counts as an empty one.
pub(super) fn read(folder: &Path) -> Result<Settings, ConfigError> {
    match find(folder)? {
        Some((path, text)) => parse(path, &text),
        None => Ok(Settings::default()),
    }
}

/// Returns the file in this folder with its text, if there is one.
pub(super) fn find(folder: &Path) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let (toml, json) = (folder.join("config.toml"), folder.join("config.json"));
    match (read_if_present(&toml)?, read_if_present(&json)?) {
        (Some(_), Some(_)) => Err(ConfigError::Both(toml)),
        (Some(text), None) => Ok(Some((toml, text))),
        (None, Some(text)) => Ok(Some((json, text))),
        (None, None) => Ok(None),
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
        Ok(map) => match not_a_number("", &map) {
            None => from_map(path, map),
            Some(key) => Err(ConfigError::Form {
                path,
                key,
                message: "expected a number".to_owned(),
            }),
        },
        Err(e) => Err(ConfigError::Syntax {
            path,
            line: e.span().map_or(0, |s| {
                1 + text.get(..s.start).unwrap_or("").matches('\n').count()
            }),
            message: e.message().replace('\n', " "),
        }),
    }
}

/// Returns the name of a setting that is `nan` or `inf`. TOML has these numbers and no
/// null, and JSON's values have a null in their place.
fn not_a_number(prefix: &str, map: &Map<String, Value>) -> Option<String> {
    map.iter().find_map(|(key, value)| match value {
        Value::Null => Some(format!("{prefix}{key}")),
        Value::Object(inner) => not_a_number(&format!("{prefix}{key}."), inner),
        _ => None,
    })
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
    let map = without_nulls("", map);
    let (mut unknown, mut wrong) = (Vec::new(), None);
    // Each setting is parsed alone first, so that the error can name it.
    for (key, alone) in single_settings(&map) {
        let parsed: Result<Settings, _> =
            serde_ignored::deserialize(alone, |key| unknown.push(setting_name(&key)));
        if let (Err(e), None) = (parsed, &wrong) {
            wrong = Some(wrong_form(path.clone(), &key, &e));
        }
    }
    if !unknown.is_empty() {
        let keys = unknown.iter().map(|name| with_suggestion(name)).collect();
        return Err(ConfigError::Unknown { path, keys });
    }
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    serde_json::from_value(Value::Object(map)).map_err(|e| wrong_form(path, "the file", &e))
}

/// Returns each setting with its name, as a file that has nothing else.
fn single_settings(map: &Map<String, Value>) -> Vec<(String, Value)> {
    let one = |key: &String, value: Value| Value::Object(Map::from_iter([(key.clone(), value)]));
    let keys = file_keys();
    let mut settings = Vec::new();
    for (key, value) in map {
        let below = format!("{key}.");
        match value {
            Value::Object(inner) if keys.iter().any(|k| k.starts_with(&below)) => {
                let inner = inner.iter();
                settings.extend(
                    inner.map(|(k, v)| (format!("{key}.{k}"), one(key, one(k, v.clone())))),
                );
            }
            value => settings.push((key.clone(), one(key, value.clone()))),
        }
    }
    settings
}

/// Removes the settings and tables that JSON sets to null: they are not set. A null of
/// an unknown name stays, to be refused.
fn without_nulls(prefix: &str, map: Map<String, Value>) -> Map<String, Value> {
    let keys = file_keys();
    let known = |name: &str| {
        let below = format!("{name}.");
        keys.iter().any(|k| k == name || k.starts_with(&below))
    };
    let mut set = Map::new();
    for (key, value) in map {
        let name = format!("{prefix}{key}");
        match value {
            Value::Null if known(&name) => {}
            Value::Object(inner) => {
                let inner = without_nulls(&format!("{name}."), inner);
                set.insert(key, Value::Object(inner));
            }
            value => drop(set.insert(key, value)),
        }
    }
    set
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

/// Returns a setting's name as the operator knows it, such as `dns.lists.id`:
/// without the numbers of the lists.
fn setting_name(path: &KeyPath<'_>) -> String {
    match path {
        KeyPath::Root => String::new(),
        KeyPath::Map { parent, key } => match setting_name(parent) {
            table if table.is_empty() => key.clone(),
            table => format!("{table}.{key}"),
        },
        KeyPath::Seq { parent, .. }
        | KeyPath::Some { parent }
        | KeyPath::NewtypeStruct { parent }
        | KeyPath::NewtypeVariant { parent } => setting_name(parent),
    }
}

/// Returns an unknown name in quotes, with the most similar setting if at most two
/// letters differ.
fn with_suggestion(name: &str) -> String {
    let plain = |s: &str| s.replace(['-', '_', '.'], "").to_ascii_lowercase();
    let wanted = plain(name);
    let near = file_keys()
        .into_iter()
        // The longest name has 20 letters; comparing a long text takes long.
        .filter(|_| wanted.len() <= 40)
        .map(|key| (strsim::levenshtein(&plain(&key), &wanted), key))
        .filter(|(distance, _)| *distance <= 2)
        .min();
    match near {
        Some((_, near)) => format!("{name:?} (did you mean {near}?)"),
        None => format!("{name:?}"),
    }
}
