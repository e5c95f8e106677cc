//! AdGuard Home's answers (`openapi/openapi.yaml` of v0.107.79), as much of
//! them as we read. A tenant's own container gives them: what is in them is
//! believed as far as its form goes.

use crate::policy::Object;
use domain::view::QueryCounts;
use serde::Deserialize;

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
struct Stats {
    num_dns_queries: u64,
    num_blocked_filtering: u64,
    num_replaced_safebrowsing: u64,
    num_replaced_parental: u64,
}

/// `GET /control/status`: whether DNS answers.
///
/// # Errors
/// Where it is something else.
pub fn running(answer: &[u8]) -> serde_json::Result<bool> {
    serde_json::from_slice::<Status>(answer).map(|s| s.running)
}

/// `GET /control/clients`: the persistent clients, whole.
///
/// # Errors
/// Where it is something else.
pub fn clients(answer: &[u8]) -> serde_json::Result<Vec<Object>> {
    serde_json::from_slice::<ClientList>(answer).map(|l| l.clients.unwrap_or_default())
}

/// `GET /control/stats`: what was counted over its interval.
///
/// # Errors
/// Where it is something else.
pub fn counts(answer: &[u8]) -> serde_json::Result<QueryCounts> {
    serde_json::from_slice::<Stats>(answer).map(|s| QueryCounts {
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
    fn counters_at_their_end_stay_there() {
        let most = u64::MAX;
        let answer = format!(
            r#"{{"num_dns_queries":{most},"num_blocked_filtering":{most},"num_replaced_safebrowsing":1,"num_replaced_parental":1}}"#
        );
        assert_eq!(counts(answer.as_bytes()).unwrap().blocked, most);
    }

    #[test]
    fn no_clients_are_none_and_something_else_is_an_error() {
        assert!(clients(br#"{"clients":null}"#).unwrap().is_empty());
        assert!(clients(b"{}").unwrap().is_empty());
        for bad in [&b""[..], br#"{"clients":[1]}"#, b"<html>"] {
            assert!(clients(bad).is_err() && running(bad).is_err() && counts(bad).is_err());
        }
    }
}
