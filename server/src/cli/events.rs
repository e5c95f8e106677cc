//! `maliknode events [--tenant NAME] [--since TIME] [--limit COUNT] [--json]`.

use super::database::{core, no_such_tenant, tenants};
use crate::{config::Config, start_error::StartError};
use app::ui::format;
use domain::{Clock, ErrorCode, SystemClock, TenantId, TenantName};
use protocol::recorded_message;
use std::{collections::HashMap, time::Duration};
use store::Event;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only this tenant's events
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only the events of the last e.g. 30m, 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_time_span)]
    since: Option<Duration>,
    /// How many events to print at most, newest first; 20,000 are stored, for 90 days
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the events, oldest first, as in a log file.
///
/// # Errors
/// No such tenant, no database.
pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<(), StartError> {
    let (store, control) = core(config).await?;
    let events = match &arguments.tenant {
        None => store.events_recent(arguments.limit).await?,
        Some(name) => {
            let name = TenantName::parse(name)?;
            let scope = match control.auth().command_line(&name).await {
                Err(f) if f.code == ErrorCode::NotFound => return Err(no_such_tenant(&name).into()),
                scope => scope?,
            };
            store.tenant_events(&scope, arguments.limit).await?
        }
    };
    let since = arguments.since.map(|span| {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        SystemClock.now().plus_millis(millis.saturating_neg())
    });
    let events = events.into_iter().rev();
    let events: Vec<_> = events.filter(|e| since.is_none_or(|s| e.at >= s)).collect();
    let all = tenants(&store).await?.into_iter();
    let names = all.map(|l| (l.tenant.id, l.tenant.name)).collect();
    store.close().await;
    if arguments.json {
        println!("{}", to_json(&events, &names));
    } else if events.is_empty() {
        println!("Nothing has happened.");
    } else {
        for e in &events {
            println!("{}  {:<28} {}", format::exact(e.at), e.kind, message(e));
        }
    }
    Ok(())
}

fn message(e: &Event) -> String {
    texts::english().message(&recorded_message(&e.kind, &e.detail))
}

/// Returns an array of objects. `tenant` is null for an event of the node and
/// for a tenant that no longer exists.
fn to_json(events: &[Event], names: &HashMap<TenantId, TenantName>) -> serde_json::Value {
    let event = |e: &Event| {
        serde_json::json!({
            "at": format::iso(e.at),
            "tenant": e.tenant.and_then(|id| names.get(&id)).map(TenantName::as_str),
            "kind": e.kind,
            "message": message(e),
        })
    };
    events.iter().map(event).collect()
}

/// Parses `30m`, `12h`, `7d` and what else humantime knows, such as `1h 30m`, up to
/// a thousand years.
fn parse_time_span(text: &str) -> Result<Duration, String> {
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
