//! Finds what a newer description takes away from clients of an older one.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Which way a value goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Server,
    Client,
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    found: Vec<String>,
}

/// Returns what of `old` a client of it can no longer rely on.
pub fn breaking_changes(old: &Value, new: &Value) -> Vec<String> {
    let mut c = Comparison {
        old,
        new,
        found: Vec::new(),
    };
    for (path, item) in members(&old["paths"]) {
        for (method, operation) in members(item) {
            let place = format!("{method} {path}");
            let Some(newer) = new["paths"][path].get(method) else {
                c.found.push(format!("{place} is gone"));
                continue;
            };
            c.operation(&place, operation, newer);
        }
    }
    c.found
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn names(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::String(one) => BTreeSet::from([one.as_str()]),
        many => items(many).filter_map(Value::as_str).collect(),
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        Some(name) => &document["components"]["schemas"][name],
        None => schema,
    }
}

impl Comparison<'_> {
    fn operation(&mut self, place: &str, old: &Value, new: &Value) {
        if old.get("security").is_none() && new.get("security").is_some() {
            self.found.push(format!("{place} needs a token"));
        }
        if old["operationId"] != new["operationId"] {
            self.found.push(format!("{place} is called otherwise"));
        }
        let is = |a: &Value, b: &Value| a["name"] == b["name"] && a["in"] == b["in"];
        for p in items(&old["parameters"]) {
            let name = p["name"].as_str().unwrap_or_default();
            match items(&new["parameters"]).find(|q| is(p, q)) {
                None => self
                    .found
                    .push(format!("{place}: the parameter {name} is gone")),
                Some(q) => {
                    if q["required"] == true && p["required"] != true {
                        self.found.push(format!("{place}: {name} is required"));
                    }
                    let place = format!("{place}: {name}");
                    self.schema(&place, &p["schema"], &q["schema"], To::Server);
                }
            }
        }
        for q in items(&new["parameters"]).filter(|q| q["required"] == true) {
            if !items(&old["parameters"]).any(|p| is(p, q)) {
                self.found
                    .push(format!("{place}: {} is new and required", q["name"]));
            }
        }
        let (body, newer) = (&old["requestBody"], &new["requestBody"]);
        if body.is_null() && !newer.is_null() {
            self.found.push(format!("{place} needs a body"));
        }
        self.content(&format!("{place}: body"), body, newer, To::Server);
        for (status, response) in members(&old["responses"]) {
            let place = format!("{place}: {status}");
            match new["responses"].get(status) {
                None => self.found.push(format!("{place} is gone")),
                Some(newer) => self.content(&place, response, newer, To::Client),
            }
        }
    }

    fn content(&mut self, place: &str, old: &Value, new: &Value, to: To) {
        for (kind, content) in members(&old["content"]) {
            match new["content"].get(kind) {
                None => self.found.push(format!("{place}: {kind} is gone")),
                Some(newer) => self.schema(place, &content["schema"], &newer["schema"], to),
            }
        }
    }

    fn schema(&mut self, place: &str, old: &Value, new: &Value, to: To) {
        let (old, new) = (resolve(self.old, old), resolve(self.new, new));
        let (types, newer) = (names(&old["type"]), names(&new["type"]));
        let is_wider = match to {
            To::Server => types.is_subset(&newer),
            To::Client => newer.is_subset(&types) && newer.is_empty() == types.is_empty(),
        };
        if !is_wider {
            self.found
                .push(format!("{place}: the type is {newer:?} and was {types:?}"));
        }
        if to == To::Server {
            let (values, newer) = (names(&old["enum"]), names(&new["enum"]));
            if !newer.is_empty() && !values.is_subset(&newer) {
                self.found.push(format!("{place}: a value is gone"));
            }
            let tightened = |bound: &str, is_tighter: fn(f64, f64) -> bool| {
                let newer = new[bound].as_f64();
                newer.is_some_and(|n| old[bound].as_f64().is_none_or(|o| is_tighter(n, o)))
            };
            if tightened("minimum", |n, o| n > o) || tightened("maximum", |n, o| n < o) {
                self.found.push(format!("{place}: the range is smaller"));
            }
        }
        let (required, newer) = (names(&old["required"]), names(&new["required"]));
        let lost: Vec<_> = match to {
            To::Server => newer.difference(&required).collect(),
            To::Client => required.difference(&newer).collect(),
        };
        for name in lost {
            self.found.push(format!(
                "{place}.{name}: whether it is required has changed"
            ));
        }
        let empty = Map::new();
        let newer = new["properties"].as_object().unwrap_or(&empty);
        for (name, property) in members(&old["properties"]) {
            let place = format!("{place}.{name}");
            match newer.get(name) {
                None => self.found.push(format!("{place} is gone")),
                Some(newer) => self.schema(&place, property, newer, to),
            }
        }
        if old.get("items").is_some() {
            self.schema(&format!("{place}[]"), &old["items"], &new["items"], to);
        }
        for kind in ["oneOf", "allOf", "anyOf"] {
            let (variants, newer): (Vec<_>, Vec<_>) =
                (items(&old[kind]).collect(), items(&new[kind]).collect());
            if newer.len() < variants.len() || (to == To::Client && newer.len() > variants.len()) {
                self.found
                    .push(format!("{place}: {kind} has {} forms", newer.len()));
                continue;
            }
            for (i, (variant, newer)) in variants.iter().zip(newer).enumerate() {
                self.schema(&format!("{place}#{i}"), variant, newer, to);
            }
        }
    }
}
