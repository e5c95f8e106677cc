//! Which devices the table shows, and in which order. The functions are pure.
//!
//! The order is computed on a search, a change of the sorting, an addition or a
//! deletion, and not at every event: rows that move under a pointer or a focus
//! are worse than an order that is two seconds old.

use super::choices::Choice;
use domain::{DeviceId, view::DeviceRow};
use std::cmp::Reverse;

/// The sorting of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// In the order of addition.
    #[default]
    Added,
    Label,
    /// By last handshake, newest first.
    Handshake,
    /// By current speed, fastest first.
    Speed,
    /// By total bytes, most first.
    Total,
}

/// Returns the ids to show, in order. A device matches if each word of `query`
/// occurs in its label, name, address or policy, in any case.
pub fn order(devices: &[DeviceRow], query: &str, by: Column) -> Vec<DeviceId> {
    let words: Vec<String> = query
        .to_lowercase()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let mut matching: Vec<&DeviceRow> = devices
        .iter()
        .filter(|d| {
            let parts = [&d.label, &d.host_name, &d.address, d.policy.title()];
            let text = parts.join(" ").to_lowercase();
            words.iter().all(|w| text.contains(w))
        })
        .collect();
    match by {
        Column::Added => {}
        Column::Label => matching.sort_by_key(|d| d.label.to_lowercase()),
        Column::Handshake => matching.sort_by_key(|d| Reverse(d.last_handshake)),
        Column::Speed => matching.sort_by_key(|d| Reverse(d.down_bps.saturating_add(d.up_bps))),
        Column::Total => matching.sort_by_key(|d| Reverse(d.down_bytes.saturating_add(d.up_bytes))),
    }
    matching.iter().map(|d| d.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::fixture::device;

    fn ids(order: Vec<DeviceId>) -> Vec<i64> {
        order.into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_search_matches_all_its_words() {
        let all = [
            device(1, "My phone", None),
            device(2, "Work Laptop", None),
            device(3, "Anna's phone", None),
        ];
        assert_eq!(ids(order(&all, "PHONE", Column::Added)), [1, 3]);
        assert_eq!(ids(order(&all, "phone anna", Column::Added)), [3]);
        assert_eq!(ids(order(&all, "10.88.1.3", Column::Added)), [2]);
        assert_eq!(ids(order(&all, " standard ", Column::Added)), [1, 2, 3]);
        assert!(order(&all, "tv", Column::Added).is_empty());
    }

    #[test]
    fn sorting_is_descending_and_stable() {
        let mut all = vec![
            device(1, "b", None),
            device(2, "A", Some(50)),
            device(3, "c", Some(90)),
        ];
        all[2].down_bps = 0;
        all[0].up_bytes = 7;
        assert_eq!(ids(order(&all, "", Column::Label)), [2, 1, 3]);
        assert_eq!(ids(order(&all, "", Column::Handshake)), [3, 2, 1]);
        assert_eq!(ids(order(&all, "", Column::Speed)), [1, 2, 3]);
        assert_eq!(ids(order(&all, "", Column::Total)), [1, 2, 3]);
    }
}
