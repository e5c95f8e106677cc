//! `maliknode audit [--since TIME] [--until TIME] [--actor NAME] [--action NAME]
//! [--tenant NAME] [--limit COUNT]`.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    output::{Column, Output, text},
};
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only entries from then on: a date such as 2026-11-27, or a time in UTC such as
    /// 2026-11-27T20:15:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only entries until then, of a date the whole of that day
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only what this one did: a tenant's name, or operator: and an operator's
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only this kind of entry, such as device.add
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// Only what is about this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// How many entries to print at most
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
}

impl ApiCommand for Arguments {
    /// Prints the entries, newest first.
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let call = client
            .get(&["operator", "audit"])
            .query_if("since", self.since.as_deref())
            .query_if("until", self.until.as_deref())
            .query_if("actor", self.actor.as_deref())
            .query_if("action", self.action.as_deref())
            .query_if("tenant", self.tenant.as_deref());
        let entries = call.items(most).await?;
        let columns = [
            Column::date("AT", "at"),
            Column::text("WHO", "actor"),
            Column::text("FROM", "origin"),
            Column::text("DID", "action"),
            Column::text("TO", "object"),
            Column::of("CHANGE", change),
        ];
        out.table(&entries, &columns, "There are no entries.");
        Ok(())
    }
}

/// Returns what an entry changed, or its details.
fn change(entry: &Value) -> String {
    let member = |name: &str| text(&entry[name]);
    let (before, after) = (member("before"), member("after"));
    match (before.as_str(), after.as_str()) {
        ("", "") => member("detail"),
        ("", after) => after.to_owned(),
        (before, "") => format!("was {before}"),
        (before, after) => format!("{before} to {after}"),
    }
}
