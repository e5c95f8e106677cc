//! `maliknode status [--tenant NAME] [--follow | --numbers]`.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    device_text::now,
    follow,
    output::{Column, Output, bytes, date, fields_text, print, text},
};
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The account and network of this tenant; without it, of the tenant whose token it is, or
    /// the whole installation
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Go on with each change of a tenant's account, until Ctrl-C; --json prints one state in
    /// each line
    #[arg(long, conflicts_with = "numbers")]
    follow: bool,
    /// Print the three numbers for status pages alone: devices, those online, and problems
    #[arg(long)]
    numbers: bool,
}

impl ApiCommand for Arguments {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let tenant = self.tenant.as_deref();
        if self.numbers {
            let numbers = client.get(&["status"]).tenant(tenant).object().await?;
            let fields = ["devices", "online", "problems"].map(|name| Column::text(name, name));
            out.fields(&numbers, &fields);
            return Ok(());
        }
        if self.follow {
            let shown = |account: Value| {
                let lines = format!("{}\n{}\n", now(), fields_text(&account, &account_fields()));
                Ok((account, lines))
            };
            return follow::topic(client, tenant, "account", out, shown).await;
        }
        let holder = client.get(&["auth", "holder"]).tenant(tenant);
        if holder.object().await?["account"] == "tenant" {
            let account = client.get(&["account"]).tenant(tenant).object().await?;
            out.fields(&account, &account_fields());
        } else {
            let overview = client.get(&["operator", "overview"]).object().await?;
            print_overview(&overview, out);
        }
        Ok(())
    }
}

fn account_fields() -> [Column<'static>; 9] {
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
    [
        Column::text("name", "name"),
        Column::of("plan", |account| text(&account["plan"]["name"])),
        Column::of("firewall", part("firewall")),
        Column::of("tunnel", part("tunnel")),
        Column::of("DNS filter", part("dns")),
        Column::of("data", data),
        Column::text("devices", "devices"),
        Column::text("online", "online"),
        Column::text("time zone", "time_zone"),
    ]
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
