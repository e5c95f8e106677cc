//! Parses what `tc -j qdisc show` and `tc -j filter show` print.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One queueing discipline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qdisc {
    /// Its kind, e.g. `tbf`.
    pub kind: String,
    /// The major number of its handle; 0 for one that the kernel made.
    pub handle: u16,
    /// Where it is attached.
    pub place: Place,
    /// Its parameters, for a token bucket.
    pub bucket: Option<Bucket>,
}

/// Where a queueing discipline is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It takes what the interface sends.
    Root,
    /// It takes what arrives on the interface (`ingress` and `clsact`).
    Ingress,
    /// It is below the one whose handle has this major number.
    Below(u16),
}

/// The parameters of a token bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// The rate in bytes per second.
    pub rate: u64,
    /// The burst in bytes.
    pub burst: u64,
    /// The longest delay in microseconds, which tc computes from the queue's length.
    pub latency: u64,
}

/// One filter, or a hash table of filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Its preference.
    pub preference: u32,
    /// The interface to which it redirects every packet; `None` for any other filter.
    pub redirect: Option<String>,
    /// Whether it is a filter, and not only a table of them.
    pub matches: bool,
}

#[derive(Deserialize)]
struct QdiscRow {
    kind: String,
    handle: String,
    dev: Option<String>,
    #[serde(default)]
    root: bool,
    parent: Option<String>,
    #[serde(default)]
    options: Value,
}

#[derive(Deserialize)]
struct FilterRow {
    protocol: Option<String>,
    #[serde(default)]
    pref: u32,
    kind: Option<String>,
    #[serde(default)]
    options: Value,
}

/// Parses the output of `qdisc show` for all interfaces, by interface.
///
/// # Errors
/// It is not the JSON of tc.
pub fn qdiscs(json: &[u8]) -> serde_json::Result<BTreeMap<String, Vec<Qdisc>>> {
    let rows: Vec<QdiscRow> = serde_json::from_slice(json)?;
    let mut all: BTreeMap<String, Vec<Qdisc>> = BTreeMap::new();
    for row in rows {
        let place = match row.parent.as_deref() {
            _ if row.root => Some(Place::Root),
            // TC_H_INGRESS of linux/pkt_sched.h.
            Some("ffff:fff1") => Some(Place::Ingress),
            Some(parent) => major(parent).map(Place::Below),
            None => None,
        };
        let (Some(dev), Some(place), Some(handle)) = (row.dev, place, major(&row.handle)) else {
            continue;
        };
        let number = |name: &str| row.options[name].as_u64();
        let bucket = (row.kind == "tbf").then(|| Bucket {
            rate: number("rate").unwrap_or_default(),
            burst: number("burst").unwrap_or_default(),
            latency: number("lat").unwrap_or_default(),
        });
        all.entry(dev).or_default().push(Qdisc {
            kind: row.kind,
            handle,
            place,
            bucket,
        });
    }
    Ok(all)
}

/// Parses the output of `filter show` commands in one batch: a list for each command.
///
/// # Errors
/// It is not the JSON of tc.
pub fn filters(json: &[u8]) -> serde_json::Result<Vec<Vec<Filter>>> {
    serde_json::Deserializer::from_slice(json)
        .into_iter::<Vec<FilterRow>>()
        .map(|rows| Ok(rows?.into_iter().map(filter).collect()))
        .collect()
}

fn filter(row: FilterRow) -> Filter {
    let options = &row.options;
    let everything = row.protocol.as_deref() == Some("all")
        && row.kind.as_deref() == Some("u32")
        && options["match"]["value"] == "0"
        && options["match"]["mask"] == "0";
    let redirect = match options["actions"].as_array().map(Vec::as_slice) {
        Some([a]) if everything && a["kind"] == "mirred" => {
            let redirects = a["mirred_action"] == "redirect" && a["direction"] == "egress";
            a["to_dev"].as_str().filter(|_| redirects)
        }
        _ => None,
    };
    Filter {
        preference: row.pref,
        redirect: redirect.map(str::to_owned),
        // The rows of u32's tables have no key.
        matches: row.kind.as_deref() != Some("u32") || options.get("match").is_some(),
    }
}

/// Returns the major number of a handle such as `4d40:` or `4d40:1`.
fn major(handle: &str) -> Option<u16> {
    let (major, _) = handle.split_once(':')?;
    match major {
        "" => Some(0),
        _ => u16::from_str_radix(major, 16).ok(),
    }
}

#[cfg(test)]
mod tests;
