//! `maliknode audit [--since TIME] [--until TIME] [--actor NAME] [--action NAME]
//! [--tenant NAME] [--own] [--limit COUNT] [--follow]`, and `… --export FORMAT [--out FILE]`.

use super::{
    api_command::ApiCommand,
    client::{Call, CallError, Client},
    export::ExportTarget,
    follow,
    output::{Column, Output, date, text, timestamp},
};
use clap::ValueEnum;
use domain::Timestamp;
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
    /// As the tenant reads it: what was done to the account and network of --tenant, or of whose
    /// token it is
    #[arg(long)]
    own: bool,
    /// How many entries to print at most
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
    /// Go on with each new entry, oldest first, until Ctrl-C; --json prints one in each line
    #[arg(long, conflicts_with_all = ["export", "until"])]
    follow: bool,
    /// Write all entries that match, newest first, as a file: csv for spreadsheets, jsonl with
    /// an object in each line
    #[arg(long, value_name = "FORMAT")]
    export: Option<Format>,
    #[command(flatten)]
    to: ExportTarget,
}

/// The format of an export.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

impl Format {
    /// Returns its name in the API, and the type of its content.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Csv => ("csv", "text/csv"),
            Self::Jsonl => ("jsonl", "application/jsonl"),
        }
    }
}

impl ApiCommand for Arguments {
    /// Prints the entries, newest first.
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        if let Some(format) = self.export {
            let (name, kind) = format.names();
            let call = match self.own {
                true => client.get(&["audit", "export"]),
                false => client.get(&["operator", "audit", "export"]),
            };
            let call = self.of_whom(self.at_times(self.matching(call)));
            let call = call.query("format", name);
            return self.to.write(call, kind, out).await;
        }
        if self.follow {
            let since = self.since.as_deref().map(time).transpose()?;
            let call = || {
                let call = match self.own {
                    true => client.get(&["live"]),
                    false => client.get(&["operator", "live"]),
                };
                self.of_whom(self.matching(call.query("topic", "audit")))
            };
            let wanted = |e: &Value| since.is_none_or(|since| timestamp(&e["at"]) >= Some(since));
            return follow::log(client, call, self.limit, out, wanted, line).await;
        }
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let call = match self.own {
            true => client.get(&["audit"]),
            false => client.get(&["operator", "audit"]),
        };
        let call = self.of_whom(self.at_times(self.matching(call)));
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

impl Arguments {
    /// Asks for the entries of an actor or a kind alone.
    fn matching<'a>(&self, call: Call<'a>) -> Call<'a> {
        call.query_if("actor", self.actor.as_deref())
            .query_if("action", self.action.as_deref())
    }

    /// Asks for the entries of a time alone.
    fn at_times<'a>(&self, call: Call<'a>) -> Call<'a> {
        call.query_if("since", self.since.as_deref())
            .query_if("until", self.until.as_deref())
    }

    /// Asks as the tenant, or for the entries about it.
    fn of_whom<'a>(&self, call: Call<'a>) -> Call<'a> {
        match self.own {
            true => call.tenant(self.tenant.as_deref()),
            false => call.query_if("tenant", self.tenant.as_deref()),
        }
    }
}

/// Reads a time as the API does.
fn time(typed: &str) -> Result<Timestamp, CallError> {
    let malformed = || {
        let text = "--since is a date such as 2026-11-27, or a time such as 2026-11-27T20:15:00Z";
        CallError::Usage(text.to_owned())
    };
    Timestamp::parse_utc(typed.trim()).ok_or_else(malformed)
}

fn line(entry: &Value) -> String {
    let member = |name: &str| text(&entry[name]);
    let (at, actor, action) = (date(&entry["at"]), member("actor"), member("action"));
    let line = format!(
        "{at}  {actor}  {action}  {}  {}",
        member("object"),
        change(entry)
    );
    line.trim_end().to_owned()
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
