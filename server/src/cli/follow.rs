//! `--follow`: what changes is printed as it changes, until Ctrl-C, or until who reads standard
//! output has enough. A topic of the API's live events comes by its stream; a log is read again
//! every two seconds.

use super::{
    client::{Call, CallError, Client, ServerEvents},
    output::{Output, plain_lines},
};
use serde_json::Value;
use std::{io::Write, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often a log is read again.
const INTERVAL: Duration = Duration::from_secs(2);
/// How many entries of a log are read each time.
const PAGE: usize = 200;
/// How many are read where more than a page is new.
const MOST: usize = 20_000;

/// Why following ends.
enum End {
    /// The person wants no more, which is no failure.
    Enough,
    Failed(CallError),
}

impl From<CallError> for End {
    fn from(e: CallError) -> Self {
        Self::Failed(e)
    }
}

/// The signals that end following.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, CallError> {
        let made = |kind| signal(kind).map_err(|e| CallError::Failed(e.to_string()));
        Ok(Self {
            interrupt: made(SignalKind::interrupt())?,
            terminate: made(SignalKind::terminate())?,
        })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Runs until it fails or is ended.
async fn until_ended(
    client: &Client,
    following: impl Future<Output = Result<(), End>>,
) -> Result<(), CallError> {
    if client.is_database() {
        return Err(CallError::Unreachable {
            server: "the server on this machine".to_owned(),
            reason: "it is not running, and nothing changes until it does".to_owned(),
        });
    }
    let mut signals = Signals::new()?;
    let ended = tokio::select! {
        ended = following => ended,
        () = signals.recv() => Err(End::Enough),
    };
    match ended {
        Ok(()) | Err(End::Enough) => Ok(()),
        Err(End::Failed(e)) => Err(e),
    }
}

/// Prints lines, for programs the JSON in one.
fn say(out: Output, json: &Value, lines: &str) -> Result<(), End> {
    let text = match out.is_json() {
        true => json.to_string(),
        false => plain_lines(lines),
    };
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    written.map_err(|_| End::Enough)
}

/// Prints each state of a topic of a tenant. `shown` picks what is of interest and says it; the
/// same state twice is printed once.
///
/// # Errors
/// The API refuses, or the stream ends without the person's wish.
pub(super) async fn topic(
    client: &Client,
    tenant: Option<&str>,
    topic: &str,
    out: Output,
    shown: impl Fn(Value) -> Result<(Value, String), CallError>,
) -> Result<(), CallError> {
    let following = async {
        let call = client.get(&["live"]).query("topic", topic).tenant(tenant);
        let stream = call.stream(&[ServerEvents::KIND]).await?;
        let mut events = ServerEvents::new(stream);
        let mut last = Value::Null;
        while let Some(event) = events.next().await? {
            if event.name == "ended" {
                return Err(ended(client, tenant, &event.data).await.into());
            }
            let state = serde_json::from_str(&event.data);
            let state = state.map_err(|_| events.nonsense("an event is no JSON"))?;
            let (state, lines) = shown(state)?;
            if state != last {
                say(out, &state, &lines)?;
                last = state;
            }
        }
        Err(events.broken("the server has ended it").into())
    };
    until_ended(client, following).await
}

/// Asks why a stream has ended: the same token is refused in words.
async fn ended(client: &Client, tenant: Option<&str>, code: &str) -> CallError {
    match client.get(&["account"]).tenant(tenant).send().await {
        Err(e) => e,
        Ok(_) => CallError::Failed(format!("the server has ended the stream: {code}")),
    }
}

/// Prints the entries `first` of a log, which is read with the newest first, and then each new
/// one, as a line.
///
/// # Errors
/// The API refuses, or does not answer.
pub(super) async fn log<'a>(
    client: &'a Client,
    call: impl Fn() -> Call<'a>,
    out: Output,
    first: impl Fn(&[Value]) -> Vec<Value>,
    line: impl Fn(&Value) -> String,
) -> Result<(), CallError> {
    let following = async {
        let mut known = call().items(PAGE).await?;
        for entry in first(&known).iter().rev() {
            say(out, entry, &line(entry))?;
        }
        loop {
            tokio::time::sleep(INTERVAL).await;
            let mut now = call().items(PAGE).await?;
            let mut new = new_entries(&known, &now);
            if new == now.len() && new == PAGE {
                now = call().items(MOST).await?;
                new = new_entries(&known, &now);
            }
            for entry in now[..new].iter().rev() {
                say(out, entry, &line(entry))?;
            }
            now.truncate(PAGE);
            known = now;
        }
    };
    until_ended(client, following).await
}

/// Returns how many entries at the beginning of `now` were not in `known`. Entries have no
/// numbers, and two may be alike.
fn new_entries(known: &[Value], now: &[Value]) -> usize {
    let goes_on = |new: &usize| {
        let rest = &now[*new..];
        // Of both, the oldest may be missing: lists are cut off, and old entries deleted.
        let common = rest.len().min(known.len());
        let is_longer = rest.len() > known.len() && known.len() < PAGE;
        !is_longer && rest[..common] == known[..common]
    };
    (0..=now.len()).find(goes_on).unwrap_or(now.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &str) -> Vec<Value> {
        names.chars().map(|c| c.to_string().into()).collect()
    }

    #[test]
    fn an_entry_of_a_log_is_new_once() {
        for (known, now, new) in [
            ("", "", 0),
            ("", "a", 1),
            ("a", "a", 0),
            ("a", "aa", 1),
            ("cba", "edcba", 2),
            // The oldest are deleted.
            ("cba", "dcb", 1),
            ("cba", "", 0),
            // Nothing of it is known any more.
            ("cba", "fed", 3),
        ] {
            let found = new_entries(&entries(known), &entries(now));
            assert_eq!(found, new, "{known} {now}");
        }
        // A full page was read before, and more of it comes now.
        let page: Vec<Value> = (0..PAGE).rev().map(Value::from).collect();
        let more: Vec<Value> = (0..PAGE + 300).rev().map(Value::from).collect();
        assert_eq!(new_entries(&page, &more), 300);
        assert_eq!(new_entries(&page, &more[..PAGE]), PAGE);
    }
}
