//! Writes `database_url` into the file. Everything else in it stays as it was written,
//! comments included; mode and owner stay too.

use super::{
    error::ConfigError,
    file::{self, parse},
    redacted,
};
use domain::Secret;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use std::path::{Path, PathBuf};
use toml::Spanned;

const KEY: &str = "database_url";

/// A file with another `database_url`, which is not written yet. It has no `Debug`: the
/// text may have a password.
pub struct DatabaseUrlEdit {
    path: PathBuf,
    text: String,
}

impl DatabaseUrlEdit {
    /// Reads the file in this folder, or begins a new one, and checks that it would mean
    /// the same but for the new value.
    ///
    /// # Errors
    /// The file cannot be read, or is no file that can be changed safely.
    pub fn prepare(folder: &Path, url: &Secret) -> Result<Self, ConfigError> {
        let (path, text) = file::find(folder)?.unwrap_or_else(|| {
            let path = folder.join("config.toml");
            (path, String::new())
        });
        let mut expected = parse(path.clone(), &text)?;
        expected.database_url = Some(url.clone());
        let is_json = path.extension().is_some_and(|e| e == "json");
        let candidates = match is_json {
            true => in_json(&text, url),
            false => in_toml(&text, url),
        };
        let fits = |text: &String| {
            let parsed = parse(path.clone(), text);
            parsed.is_ok_and(|settings| settings == expected)
        };
        match candidates.into_iter().find(fits) {
            Some(text) => Ok(Self { path, text }),
            None => Err(ConfigError::NotChanged { path, key: KEY }),
        }
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file's text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Returns the value as a string of TOML or JSON.
fn quoted(url: &Secret) -> String {
    redacted::toml(&Value::String(url.expose().to_owned()))
}

/// Returns the text with another value, or with a new line: below the commented line of
/// the example, or else at the beginning, where no table has begun.
fn in_toml(text: &str, url: &Secret) -> Vec<String> {
    #[derive(Deserialize)]
    struct File {
        database_url: Option<Spanned<IgnoredAny>>,
    }
    let value = quoted(url);
    let insert = |at: usize, line: &str| format!("{}{line}{}", &text[..at], &text[at..]);
    let span = toml::from_str::<File>(text).ok();
    if let Some(value_of) = span.and_then(|file| file.database_url) {
        let span = value_of.span();
        return vec![format!(
            "{}{value}{}",
            &text[..span.start],
            &text[span.end..]
        )];
    }
    let line = format!("{KEY} = {value}\n");
    let mut candidates = Vec::new();
    let mut end = 0;
    for existing in text.split_inclusive('\n') {
        end += existing.len();
        let comment = existing.trim_start().strip_prefix('#');
        let named = comment.and_then(|c| c.trim_start().strip_prefix(KEY));
        if named.is_some_and(|rest| rest.trim_start().starts_with('=')) {
            let newline = if existing.ends_with('\n') { "" } else { "\n" };
            candidates.push(insert(end, &format!("{newline}{line}")));
            break;
        }
    }
    candidates.push(insert(0, &line));
    candidates
}

/// Returns the text with a new line at the beginning of the object. A value that is there
/// already is replaced, which JSON cannot do without formatting the file again.
fn in_json(text: &str, url: &Secret) -> Vec<String> {
    let mut candidates = Vec::new();
    let Ok(Value::Object(mut object)) = serde_json::from_str(text) else {
        return candidates;
    };
    let begin = text.find('{').map_or(0, |at| at + 1);
    if !object.contains_key(KEY) {
        let comma = if object.is_empty() { "" } else { "," };
        let (before, after) = text.split_at(begin);
        let value = quoted(url);
        candidates.push(format!("{before}\n  \"{KEY}\": {value}{comma}{after}"));
    }
    object.insert(KEY.to_owned(), Value::String(url.expose().to_owned()));
    let pretty = serde_json::to_string_pretty(&object);
    candidates.extend(pretty.map(|text| text + "\n"));
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const URL: &str = "postgres://maliknode:p%40ss\"\\word@10.0.0.5/maliknode";

    fn edited(name: &str, text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        let edit = DatabaseUrlEdit::prepare(folder.path(), &Secret::new(URL)).unwrap();
        assert_eq!(edit.path(), folder.path().join(name));
        edit.text().to_owned()
    }

    const LINE: &str = r#"database_url = "postgres://maliknode:p%40ss\"\\word@10.0.0.5/maliknode""#;

    #[test]
    fn everything_else_in_a_toml_file_stays_as_written() {
        let text = "# ours\r\nlisten = '0.0.0.0:80'   # all\n\n[dns]\nmemory_mb = 300\n";
        assert_eq!(edited("config.toml", text), format!("{LINE}\n{text}"));
        for value in [
            "'sqlite:///old'",
            "\"sqlite:/o\\u006cd\"",
            "\"\"\"/old/x\"\"\"",
        ] {
            let with =
                |line: &str| format!("base = \"a.example\"\n{line}  # the database\n[nodes]\n");
            let old = with(&format!("\"database_url\"   = {value}"));
            let new = with(&format!(
                "\"database_url\"   = {}",
                &LINE["database_url = ".len()..]
            ));
            assert_eq!(edited("config.toml", &old), new);
        }
    }

    #[test]
    fn the_new_line_is_below_the_examples() {
        let example = include_str!("../../../deploy/config.example.toml");
        let new = edited("config.toml", example);
        let commented =
            "\n#database_url = \"sqlite:///etc/maliknode/central_api/database.sqlite\"\n";
        assert_eq!(
            new,
            example.replacen(commented, &format!("{commented}{LINE}\n"), 1)
        );
        // Below a table's heading it would belong to the table.
        let text = "listen = \"0.0.0.0:80\"\n[nodes]\n#database_url = \"x\"";
        assert_eq!(edited("config.toml", text), format!("{LINE}\n{text}"));
        assert_eq!(
            edited("config.toml", "#database_url=1"),
            format!("#database_url=1\n{LINE}\n")
        );
        assert_eq!(edited("config.toml", ""), format!("{LINE}\n"));
    }

    #[test]
    fn a_json_file_stays_one() {
        let value = &LINE["database_url = ".len()..];
        let text = "{ \"base\": \"a.example\", \"dns\": {\"memory_mb\": 300} }\n";
        let new = format!("{{\n  \"database_url\": {value},{}", &text[1..]);
        assert_eq!(edited("config.json", text), new);
        assert_eq!(
            edited("config.json", "{}"),
            format!("{{\n  \"database_url\": {value}}}")
        );
        let old = "{\"scheme\": \"https\", \"database_url\": null}";
        let new = format!("{{\n  \"database_url\": {value},\n  \"scheme\": \"https\"\n}}\n");
        assert_eq!(edited("config.json", old), new);
    }

    #[test]
    fn no_file_becomes_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let edit = DatabaseUrlEdit::prepare(folder.path(), &Secret::new(URL)).unwrap();
        assert_eq!(edit.path(), folder.path().join("config.toml"));
        assert_eq!(edit.text(), format!("{LINE}\n"));
    }
}
