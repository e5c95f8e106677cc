//! The settings of the core in tests and benchmarks.

use control::ControlSettings;
use domain::{AddressPlan, Slot};
use std::collections::BTreeSet;
use store::LOCAL_NODE;

/// Returns settings that never assign the `excluded` slots.
pub fn control_settings(excluded: BTreeSet<Slot>) -> ControlSettings {
    ControlSettings {
        control_plane: "a".to_owned(),
        address: None,
        addresses: AddressPlan::default(),
        public_host: "vpn.example.org".to_owned(),
        local: Some(LOCAL_NODE),
        excluded_slots: excluded,
        max_tenants: None,
        base_url: "https://vpn.example.org".to_owned(),
        sign_up: domain::SignUpMode::Open,
        sign_ups_per_hour: 0,
        sign_ups_per_hour_total: 0,
        sleep_after: std::time::Duration::ZERO,
        forward_time: std::time::Duration::from_secs(86_400),
        time_zone: "UTC".to_owned(),
    }
}
