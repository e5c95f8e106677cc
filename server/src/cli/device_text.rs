//! Devices as people read them.

use super::output::{Column, Output, bits, bytes, date, table_text, text};
use app::ui::format;
use domain::{Clock, SystemClock};
use serde_json::Value;

const NONE: &str = "There is no device.";

fn columns() -> [Column<'static>; 9] {
    [
        Column::number("ID", "id"),
        Column::text("LABEL", "label"),
        Column::text("ADDRESS", "address"),
        Column::text("NAME", "host_name"),
        Column::text("POLICY", "policy"),
        Column::text("MESH", "mesh"),
        Column::text("ONLINE", "online"),
        Column::of("DOWN", |d| bytes(&d["down_bytes"])).right(),
        Column::of("UP", |d| bytes(&d["up_bytes"])).right(),
    ]
}

/// Prints devices.
pub(super) fn print_table(devices: &[Value], out: Output) {
    out.table(devices, &columns(), NONE);
}

/// Returns devices as a table.
pub(super) fn devices_text(devices: &[Value]) -> String {
    table_text(devices, &columns(), NONE)
}

/// Returns what changes of a device as a line.
pub(super) fn device_line(device: &Value) -> String {
    let online = match device["online"] == true {
        true => "online",
        false => "offline",
    };
    let way = |name: &str| {
        let (sum, rate) = (
            &device[format!("{name}_bytes")],
            &device[format!("{name}_bps")],
        );
        format!("{name} {}, {}", bytes(sum), bits(rate))
    };
    let (heard, label) = (date(&device["last_handshake"]), text(&device["label"]));
    let (down, up) = (way("down"), way("up"));
    format!(
        "{}  {label}  {online}  last heard {heard}  {down}  {up}",
        now()
    )
}

/// Returns the time at which a state is printed.
pub(super) fn now() -> String {
    format::exact(SystemClock.now())
}

/// Prints a device.
pub(super) fn print_device(device: &Value, out: Output) {
    let fields = [
        Column::text("id", "id"),
        Column::text("label", "label"),
        Column::text("address", "address"),
        Column::text("public key", "public_key"),
        Column::text("routing", "routing"),
        Column::text("small packets", "small_packets"),
        Column::text("IPv4 only", "ipv4_only"),
        Column::text("policy", "policy"),
        Column::text("mesh", "mesh"),
        Column::date("since", "created_at"),
        Column::of("last heard", |d| date(&d["last_handshake"])),
        Column::text("online", "online"),
        Column::text("endpoint", "endpoint"),
        Column::of("down", |d| {
            format!("{}, {}", bytes(&d["down_bytes"]), bits(&d["down_bps"]))
        }),
        Column::of("up", |d| {
            format!("{}, {}", bytes(&d["up_bytes"]), bits(&d["up_bps"]))
        }),
    ];
    out.fields(device, &fields);
}
