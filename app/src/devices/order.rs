//! Which devices the table shows and in which order. Pure.
//!
//! The order is made anew when somebody searches, sorts, adds or deletes, and
//! not at every event: rows that change places under a pointer or a focus are
//! worse than an order that is two seconds old.

use domain::{DeviceId, view::DeviceRow};
use std::cmp::Reverse;

/// What the table is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// As they were added.
    #[default]
    Added,
    /// By label.
    Label,
    /// By last handshake, the newest first.
    Handshake,
    /// By speed now, the fastest first.
    Speed,
    /// By bytes in all, the most first.
    Total,
}

/// The ids to show, in order. `query` is matched against label, address and
/// policy, without regard to case; all its words have to be found.
pub fn order(devices: &[DeviceRow], query: &str, by: Column) -> Vec<DeviceId> {
    let words: Vec<String> = query
        .to_lowercase()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let mut shown: Vec<&DeviceRow> = devices
        .iter()
        .filter(|d| {
            let text = format!("{} {} {}", d.label, d.address, d.policy.title()).to_lowercase();
            words.iter().all(|w| text.contains(w))
        })
        .collect();
    match by {
        Column::Added => {}
        Column::Label => shown.sort_by_key(|d| d.label.to_lowercase()),
        Column::Handshake => shown.sort_by_key(|d| Reverse(d.last_handshake)),
        Column::Speed => shown.sort_by_key(|d| Reverse(d.down_bps.saturating_add(d.up_bps))),
        Column::Total => shown.sort_by_key(|d| Reverse(d.down_bytes.saturating_add(d.up_bytes))),
    }
    shown.iter().map(|d| d.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::state::tests::device;

    fn ids(order: Vec<DeviceId>) -> Vec<i64> {
        order.into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn every_word_of_a_search_has_to_be_found() {
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
    fn sorting_puts_first_what_one_looks_for_and_keeps_ties() {
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
