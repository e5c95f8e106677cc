//! `maliknode status [--tenant NAME]`.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    output::{Column, Output, bytes, date, print, text},
};
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The account and network of this tenant; without it, of the tenant whose token it is, or
    /// the whole installation
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

impl ApiCommand for Arguments {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let tenant = self.tenant.as_deref();
        let holder = client.get(&["auth", "holder"]).tenant(tenant);
        if holder.object().await?["account"] == "tenant" {
            let account = client.get(&["account"]).tenant(tenant).object().await?;
            print_account(&account, out);
        } else {
            let overview = client.get(&["operator", "overview"]).object().await?;
            print_overview(&overview, out);
        }
        Ok(())
    }
}

fn print_account(account: &Value, out: Output) {
    let part = |name: &'static str| {
        move |account: &Value| {
            let part = &account["network"][name];
            match part["message"].as_str() {
                Some(message) => format!("{}: {message}", text(&part["state"])),
                None => text(&part["state"]),
            }
        }
    };
    let data = |account: &Value| {
        let data = &account["data"];
        let until = date(&data["period_end"]);
        match data["limit_bytes"].is_null() {
            true => format!("{} until {until}", bytes(&data["used_bytes"])),
            false => format!(
                "{} of {} until {until}, {}",
                bytes(&data["used_bytes"]),
                bytes(&data["limit_bytes"]),
                text(&data["state"])
            ),
        }
    };
    let fields = [
        Column::text("name", "name"),
        Column::of("plan", |account| text(&account["plan"]["name"])),
        Column::of("firewall", part("firewall")),
        Column::of("tunnel", part("tunnel")),
        Column::of("DNS filter", part("dns")),
        Column::of("data", data),
        Column::text("devices", "devices"),
        Column::text("online", "online"),
        Column::text("time zone", "time_zone"),
    ];
    out.fields(account, &fields);
}

fn print_overview(overview: &Value, out: Output) {
    let fields = [
        Column::text("tenants", "tenants"),
        Column::of("more fit", |o| text(&o["capacity"]["more"])),
        Column::text("devices", "devices"),
        Column::text("online", "online"),
        Column::text("nodes", "nodes"),
        Column::text("WireGuard", "wireguard"),
    ];
    out.fields(overview, &fields);
    if !out.is_json() {
        for problem in overview["problems"].as_array().into_iter().flatten() {
            match problem["node"].as_str() {
                Some(node) => print(&format!("{node}: {}", text(&problem["message"]))),
                None => print(&text(&problem["message"])),
            }
        }
    }
}
