//! `maliknode events [--tenant NAME] [--since TIME] [--limit COUNT] [--own] [--follow]`.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    follow,
    output::{Output, date, print, text, timestamp},
};
use domain::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only this tenant's events
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// As the tenant reads them: those of the network of --tenant, or of whose token it is
    #[arg(long)]
    own: bool,
    /// Only the events of the last e.g. 30m, 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_time_span)]
    since: Option<Duration>,
    /// How many events to print at most, newest first; 20,000 are stored, for 90 days
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
    /// Go on with each new event, until Ctrl-C; --json prints one in each line
    #[arg(long)]
    follow: bool,
}

impl ApiCommand for Arguments {
    /// Prints the events, oldest first, as in a log file.
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let tenant = self.tenant.as_deref();
        let since = self.since.map(since);
        let wanted =
            |e: &Value| since.is_none_or(|since| timestamp(&e["at"]).is_none_or(|at| at >= since));
        if self.follow {
            let call = || match self.own {
                true => client
                    .get(&["live"])
                    .query("topic", "events")
                    .tenant(tenant),
                false => {
                    let call = client.get(&["operator", "live"]).query("topic", "events");
                    call.query_if("tenant", tenant)
                }
            };
            return follow::log(client, call, self.limit, out, wanted, line).await;
        }
        let call = match self.own {
            true => client.get(&["events"]).tenant(tenant),
            false => {
                let call = client.get(&["operator", "events"]);
                call.query_if("tenant", tenant)
            }
        };
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut events = call.items(most).await?;
        events.retain(wanted);
        events.reverse();
        if out.is_json() || events.is_empty() {
            out.say(&json!(events), "Nothing has happened.");
            return Ok(());
        }
        for e in &events {
            print(&line(e));
        }
        Ok(())
    }
}

fn line(event: &Value) -> String {
    let (at, kind) = (date(&event["at"]), text(&event["kind"]));
    format!("{at}  {kind:<28} {}", text(&event["message"]))
}

fn since(span: Duration) -> Timestamp {
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    SystemClock.now().plus_millis(millis.saturating_neg())
}

/// Parses `30m`, `12h`, `7d` and what else humantime knows, such as `1h 30m`, up to
/// a thousand years.
pub(super) fn parse_time_span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|_| "say e.g. 30m, 12h or 7d")?;
    if span > Duration::from_secs(365_000 * 86_400) {
        return Err("that is before there were computers".to_owned());
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_is_a_number_with_a_unit() {
        for (text, seconds) in [
            ("30m", 1_800),
            ("12h", 43_200),
            ("7d", 604_800),
            ("0m", 0),
            ("7 d", 604_800),
            ("1.5h", 5_400),
            ("1h 30m", 5_400),
            ("365000d", 31_536_000_000),
        ] {
            assert_eq!(parse_time_span(text).map(|d| d.as_secs()), Ok(seconds));
        }
        for text in ["", "7", "d", "-1d", "99999999999d", "365001d", "7ü"] {
            assert!(parse_time_span(text).is_err(), "{text}");
        }
    }
}
