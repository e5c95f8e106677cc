//! docs/API.md lists the operations as the description has them.

use serde_json::Value;
use std::{fmt::Write, fs, path::PathBuf};

const BEGIN: &str = "<!-- operations: made by UPDATE_OPENAPI=1 cargo test -p api -->\n";
const END: &str = "<!-- operations: end -->\n";

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/API.md")
}

/// Returns a table for each tag, in the order of the description.
fn tables(api: &Value) -> String {
    let mut text = String::new();
    for tag in api["tags"].as_array().unwrap() {
        let name = tag["name"].as_str().unwrap();
        let mut rows = String::new();
        for (path, item) in api["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if operation["tags"][0] != name {
                    continue;
                }
                let summary = operation["summary"].as_str().unwrap();
                let method = method.to_uppercase();
                writeln!(rows, "| `{method} {path}` | {summary} |").unwrap();
            }
        }
        let what = tag["description"].as_str().unwrap_or_default();
        write!(text, "\n### {name}\n{what}\n\n| | |\n|---|---|\n{rows}").unwrap();
    }
    text
}

#[test]
fn the_page_lists_every_operation() {
    let old = fs::read_to_string(page()).unwrap();
    let (before, rest) = old.split_once(BEGIN).unwrap();
    let (listed, after) = rest.split_once(END).unwrap();
    let tables = tables(api::openapi());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        let new = format!("{before}{BEGIN}{tables}\n{END}{after}");
        fs::write(page(), new).unwrap();
        return;
    }
    let is_same = listed.trim_end() == tables.trim_end();
    assert!(
        is_same,
        "docs/API.md is old: UPDATE_OPENAPI=1 cargo test -p api"
    );
    for (path, item) in api::openapi()["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let operation = format!("`{} {path}`", method.to_uppercase());
            assert!(listed.contains(&operation), "{operation} has no tag");
        }
    }
}
