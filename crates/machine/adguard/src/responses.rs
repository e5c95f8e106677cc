//! The parts of AdGuard Home's API responses that we read
//! (`openapi/openapi.yaml` of v0.107.79). They come from a container that a
//! tenant may control, so only their form is checked, and nothing more is
//! assumed of their content.

use crate::{names::Rewrite, policy::Object};
use domain::view::QueryCounts;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Status {
    running: bool,
}

#[derive(Deserialize)]
struct ClientList {
    #[serde(default)]
    clients: Option<Vec<Object>>,
}

#[derive(Deserialize)]
struct FilterStatus {
    #[serde(default)]
    filters: Option<Vec<Filter>>,
}

#[derive(Deserialize)]
struct Filter {
    url: String,
    #[serde(default)]
    enabled: bool,
}

#[derive(Deserialize)]
struct HostCheck {
    #[serde(default)]
    rules: Option<Vec<HostRule>>,
}

#[derive(Deserialize)]
struct HostRule {
    text: String,
}

#[derive(Deserialize)]
struct Stats {
    num_dns_queries: u64,
    num_blocked_filtering: u64,
    num_replaced_safebrowsing: u64,
    num_replaced_parental: u64,
}

/// Reads `GET /control/status`: whether DNS answers.
///
/// # Errors
/// The response has another form.
pub fn running(response: &[u8]) -> serde_json::Result<bool> {
    serde_json::from_slice::<Status>(response).map(|s| s.running)
}

/// Reads `GET /control/clients`: the persistent clients with all their fields.
///
/// # Errors
/// The response has another form.
pub fn clients(response: &[u8]) -> serde_json::Result<Vec<Object>> {
    serde_json::from_slice::<ClientList>(response).map(|l| l.clients.unwrap_or_default())
}

/// Reads `GET /control/filtering/status`: whether each block list is on, by its address.
///
/// # Errors
/// The response has another form.
pub fn lists(response: &[u8]) -> serde_json::Result<BTreeMap<String, bool>> {
    let status = serde_json::from_slice::<FilterStatus>(response)?;
    let lists = status.filters.unwrap_or_default().into_iter();
    Ok(lists.map(|f| (f.url, f.enabled)).collect())
}

/// Reads `GET /control/filtering/check_host`: the rules that apply to a name.
///
/// # Errors
/// The response has another form.
pub fn rules_of_host(response: &[u8]) -> serde_json::Result<Vec<String>> {
    let check = serde_json::from_slice::<HostCheck>(response)?;
    let rules = check.rules.unwrap_or_default().into_iter();
    Ok(rules.map(|r| r.text).collect())
}

/// Reads `GET /control/rewrite/list`.
///
/// # Errors
/// The response has another form.
pub fn rewrites(response: &[u8]) -> serde_json::Result<Vec<Rewrite>> {
    serde_json::from_slice::<Option<Vec<Rewrite>>>(response).map(Option::unwrap_or_default)
}

/// Reads `GET /control/stats`: the counts of the statistics' interval.
///
/// # Errors
/// The response has another form.
pub fn counts(response: &[u8]) -> serde_json::Result<QueryCounts> {
    serde_json::from_slice::<Stats>(response).map(|s| QueryCounts {
        total: s.num_dns_queries,
        blocked: s
            .num_blocked_filtering
            .saturating_add(s.num_replaced_safebrowsing)
            .saturating_add(s.num_replaced_parental),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_at_their_maximum_do_not_overflow() {
        let max = u64::MAX;
        let response = format!(
            r#"{{"num_dns_queries":{max},"num_blocked_filtering":{max},"num_replaced_safebrowsing":1,"num_replaced_parental":1}}"#
        );
        assert_eq!(counts(response.as_bytes()).unwrap().blocked, max);
    }

    #[test]
    fn missing_clients_are_none_and_bad_forms_fail() {
        assert!(clients(br#"{"clients":null}"#).unwrap().is_empty());
        assert!(clients(b"{}").unwrap().is_empty());
        assert!(lists(br#"{"filters":null}"#).unwrap().is_empty());
        assert!(lists(b"").is_err() && lists(br#"{"filters":[1]}"#).is_err());
        assert!(rules_of_host(br#"{"rules":null}"#).unwrap().is_empty());
        assert!(rules_of_host(b"").is_err() && rules_of_host(br#"{"rules":[1]}"#).is_err());
        for bad in [&b""[..], br#"{"clients":[1]}"#, b"<html>"] {
            assert!(clients(bad).is_err() && running(bad).is_err() && counts(bad).is_err());
        }
    }
}
