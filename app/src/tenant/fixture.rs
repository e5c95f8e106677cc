//! Devices and networks for the tests of pages.

use domain::{
    AtLimit, DeviceId, FilterPolicy, Plan, TenantStatus, Timestamp,
    view::{DeviceRow, NetworkView},
};

/// Returns a device whose last handshake was at `handshake`, in seconds.
pub fn device(id: i64, label: &str, handshake: Option<i64>) -> DeviceRow {
    DeviceRow {
        id: DeviceId(id),
        label: label.to_owned(),
        address: format!("10.88.1.{}", id + 1),
        host_name: format!("device-{}.alice.internal", id + 1),
        policy: FilterPolicy::Standard,
        mesh: true,
        last_handshake: handshake.map(Timestamp::from_secs),
        down_bytes: 0,
        up_bytes: 0,
        down_bps: 8_200_000,
        up_bps: 600_000,
    }
}

/// Returns a plan with a limit of data and none of speed.
pub fn plan() -> Plan {
    Plan {
        id: "home".into(),
        name: "Home".into(),
        devices: 10,
        monthly_bytes: Some(500_000_000_000),
        down_bps: None,
        up_bps: None,
        at_limit: AtLimit::Slow,
        slow_bps: 1_000_000,
        month_day: 1,
        recommended: true,
        visible: true,
        position: 2,
    }
}

/// Returns a network with these devices, at 1,000 s.
pub fn view(devices: Vec<DeviceRow>) -> NetworkView {
    NetworkView {
        now: Timestamp::from_secs(1_000),
        name: "abcd".into(),
        plan: plan(),
        gateway: "10.88.1.1".into(),
        status: TenantStatus::default(),
        devices,
    }
}
