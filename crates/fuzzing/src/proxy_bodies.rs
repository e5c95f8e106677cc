//! Request bodies of AdGuard Home's API that the proxy parses and rewrites.
//!
//! - A rewritten body is one object with known keys, each once and in its exact
//!   spelling, and a second rewrite changes nothing (except for the last digits
//!   of floating point numbers, which serde_json does not preserve).
//! - The source of a list is on the web or a shared list, and the query log is
//!   stored for a week at most.

use serde_json::{Map, Value};
use server::web::proxy::bodies::{Body, rewrite};

pub(crate) fn run(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    let kind = [Body::AddUrl, Body::SetUrl, Body::DnsConfig, Body::QueryLog][usize::from(kind % 4)];
    let Ok(clean) = rewrite(kind, body) else {
        return;
    };
    let again = rewrite(kind, &clean).expect("a rewritten body is accepted");
    assert_eq!(
        rounded(&again),
        rounded(&clean),
        "the second rewrite changes it"
    );
    assert!(clean.is_ascii() || std::str::from_utf8(&clean).is_ok());
    let object: Map<String, Value> = serde_json::from_slice(&clean).expect("an object");
    let known = |o: &Map<String, Value>| {
        // Go folds some letters beyond ASCII to others, so ASCII is required.
        let plain = |k: &String| {
            k.bytes()
                .all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        };
        assert!(o.keys().all(plain), "{o:?}");
        assert!(!o.contains_key("upstream_dns_file"));
    };
    known(&object);
    match kind {
        Body::AddUrl => source(&object["url"]),
        Body::SetUrl => {
            let data = object["data"].as_object().expect("data is an object");
            known(data);
            source(&data["url"]);
        }
        Body::QueryLog => {
            let interval = object
                .get("interval")
                .map(|v| v.as_f64().expect("a number"));
            assert!(interval.is_none_or(|ms| ms <= 7.0 * 86_400_000.0));
        }
        Body::DnsConfig => {}
    }
}

/// Parses the text, rounding each number that is no integer to twelve digits.
fn rounded(text: &[u8]) -> Value {
    fn round(v: Value) -> Value {
        match v {
            Value::Number(n) if n.is_f64() => {
                format!("{:.11e}", n.as_f64().unwrap_or(f64::NAN)).into()
            }
            Value::Array(all) => all.into_iter().map(round).collect(),
            Value::Object(all) => all.into_iter().map(|(k, v)| (k, round(v))).collect(),
            other => other,
        }
    }
    round(serde_json::from_slice(text).expect("JSON"))
}

fn source(url: &Value) {
    let url = url.as_str().expect("a text").to_ascii_lowercase();
    let shared = url
        .strip_prefix("/lists/")
        .and_then(|f| f.strip_suffix(".txt"));
    let shared = shared.is_some_and(|id| id.parse::<u128>().is_ok() || id.len() > 30);
    assert!(
        shared || url.starts_with("https://") || url.starts_with("http://"),
        "{url}"
    );
    assert!(!shared || !url.contains(".."));
}
