//! What version 1 says today stays. `openapi.json` is what clients rely on: a change that adds
//! is written into it (`UPDATE_OPENAPI=1 cargo test -p api`), one that takes away fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod breaking;
mod page;

use breaking::breaking_changes;
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

fn golden_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi.json")
}

fn golden() -> Value {
    serde_json::from_str(&fs::read_to_string(golden_file()).unwrap()).unwrap()
}

#[test]
fn what_version_1_says_stays() {
    let current = api::openapi();
    let update = std::env::var_os("UPDATE_OPENAPI").is_some();
    let pretty = serde_json::to_string_pretty(current).unwrap() + "\n";
    if update && !golden_file().exists() {
        fs::write(golden_file(), &pretty).unwrap();
    }
    let golden = golden();
    let broken = breaking_changes(&golden, current);
    assert!(broken.is_empty(), "this breaks clients: {broken:#?}");
    if update {
        fs::write(golden_file(), &pretty).unwrap();
    } else {
        let is_same = golden == *current;
        assert!(
            is_same,
            "the description has changed: UPDATE_OPENAPI=1 cargo test -p api"
        );
    }
}

#[test]
fn every_operation_is_described() {
    let api = api::openapi();
    assert_eq!(api["openapi"], "3.1.0");
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is twice");
            assert!(
                !operation["summary"].as_str().unwrap_or_default().is_empty(),
                "{place}"
            );
            assert!(operation["responses"].get("default").is_some(), "{place}");
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let text = answer["description"].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{place}: {status}");
            }
            let tag = &operation["tags"][0];
            let tags = api["tags"].as_array().unwrap();
            assert!(tags.iter().any(|t| t["name"] == *tag), "{place}: {tag}");
        }
    }
}

#[test]
fn a_change_that_takes_away_is_found() {
    type Change = fn(&mut Value);
    let operation = "/v1/devices";
    let changes: &[(&str, Change)] = &[
        ("an operation", |api| {
            api["paths"]["/v1/devices"]
                .as_object_mut()
                .unwrap()
                .remove("post");
        }),
        ("a member of an answer", |api| {
            let device = &mut api["components"]["schemas"]["Device"];
            device["properties"]
                .as_object_mut()
                .unwrap()
                .remove("label");
        }),
        ("another type", |api| {
            api["components"]["schemas"]["Device"]["properties"]["id"]["type"] = json!("string");
        }),
        ("a member that may be missing", |api| {
            let required = &mut api["components"]["schemas"]["Device"]["required"];
            required.as_array_mut().unwrap().retain(|n| n != "label");
        }),
        ("a member that must be sent", |api| {
            let required = &mut api["components"]["schemas"]["DeviceToAdd"]["required"];
            required.as_array_mut().unwrap().push(json!("policy"));
        }),
        ("a choice", |api| {
            let values = &mut api["components"]["schemas"]["Policy"]["enum"];
            values.as_array_mut().unwrap().pop();
        }),
        ("a parameter", |api| {
            api["paths"]["/v1/devices"]["get"]["parameters"] = json!([]);
        }),
        ("a parameter that must be sent", |api| {
            let parameter = json!({ "name": "x", "in": "query", "required": true, "schema": {} });
            let list = &mut api["paths"]["/v1/devices"]["get"]["parameters"];
            list.as_array_mut().unwrap().push(parameter);
        }),
        ("an answer", |api| {
            let answers = &mut api["paths"]["/v1/devices/{id}"]["patch"]["responses"];
            answers.as_object_mut().unwrap().remove("202");
        }),
        ("a range", |api| {
            api["components"]["schemas"]["NewToken"]["properties"]["days"]["maximum"] = json!(30);
        }),
        ("an operation without a token", |api| {
            api["paths"]["/v1/plans"]["get"]["security"] = json!([{ "bearer": [] }]);
        }),
    ];
    let api = api::openapi();
    assert!(api["paths"].get(operation).is_some());
    assert_eq!(breaking_changes(api, api), Vec::<String>::new());
    for (what, change) in changes {
        let mut changed = api.clone();
        change(&mut changed);
        assert!(!breaking_changes(api, &changed).is_empty(), "{what}");
        // What is only added breaks nothing.
        if ["a member that must be sent", "an operation without a token"].contains(what) {
            assert!(
                breaking_changes(&changed, api).is_empty(),
                "{what}, the other way"
            );
        }
    }
}
