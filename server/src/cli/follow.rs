//! `--follow`: what changes is printed as it changes, until Ctrl-C, or until who reads standard
//! output has enough. It comes by the API's live events. Of a state that is followed, the end of
//! the stream is the end; a log is followed further once the server answers again, behind the
//! last entry that was printed.

use super::{
    client::{Call, CallError, Client, ServerEvents},
    output::{Output, plain_lines},
};
use serde_json::Value;
use std::{
    collections::{HashSet, VecDeque},
    io::Write,
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The most entries with which the stream of a log begins.
const MAX_RECENT: u32 = 1_000;
/// How long to wait before a server is asked again that did not answer: at first, and at most.
const WAIT: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];
/// How many entries are known by their ids: some more than a server sends again.
const MAX_KNOWN: usize = 2_000;

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

/// How far a log has been followed.
#[derive(Default)]
struct Followed {
    /// The last event, once there was one.
    last: Option<String>,
    /// The ids of the last entries: a server may send those again.
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Followed {
    /// Notes behind which event a stream begins. Where that is not the last one, the server has
    /// another database than before: its entries have the same ids as other ones.
    fn begin(&mut self, id: String) {
        if self.last.as_ref().is_some_and(|last| *last != id) {
            self.known.clear();
            self.order.clear();
        }
        self.last = Some(id);
    }

    /// Notes an event of this id. Returns whether it is new.
    fn note(&mut self, id: &str) -> bool {
        self.last = Some(id.to_owned());
        if !self.known.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// Prints the entries of a log with which its stream begins, at most `recent`, and then each new
/// one, as a line. `wanted` picks those that are printed.
///
/// # Errors
/// The API refuses, or it does not answer at the beginning.
pub(super) async fn log<'a>(
    client: &'a Client,
    call: impl Fn() -> Call<'a>,
    recent: u32,
    out: Output,
    wanted: impl Fn(&Value) -> bool,
    line: impl Fn(&Value) -> String,
) -> Result<(), CallError> {
    let limit = recent;
    let recent = limit.min(MAX_RECENT).to_string();
    let shown = |entry: &Value| match wanted(entry) {
        true => say(out, entry, &line(entry)),
        false => Ok(()),
    };
    let following = async {
        if limit > MAX_RECENT {
            eprintln!("With --follow, at most the {MAX_RECENT} newest entries come first.");
        }
        let mut followed = Followed::default();
        let mut wait = WAIT[0];
        let mut is_lost = false;
        loop {
            let call = call().query("recent", &recent);
            let call = call.last_event(followed.last.as_deref());
            let lost = match call.stream(&[ServerEvents::KIND]).await {
                Ok(stream) => {
                    if std::mem::take(&mut is_lost) {
                        eprintln!("The server answers again.");
                    }
                    let mut events = ServerEvents::new(stream);
                    let begun = followed.last.clone();
                    let lost = entries(&mut events, &mut followed, &shown).await?;
                    if followed.last != begun {
                        wait = WAIT[0];
                    }
                    lost
                }
                Err(e) if followed.last.is_some() && is_passing(&e) => Some(e),
                Err(e) => return Err(e.into()),
            };
            if let Some(lost) = lost
                && !std::mem::replace(&mut is_lost, true)
            {
                eprintln!("{lost}. This goes on once it answers again.");
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT[1]);
        }
    };
    until_ended(client, following).await
}

/// Prints the entries of a stream until it ends. Returns why it was lost; `None` where the server
/// has ended it for a reason that the next request is told.
async fn entries(
    events: &mut ServerEvents,
    followed: &mut Followed,
    shown: &impl Fn(&Value) -> Result<(), End>,
) -> Result<Option<CallError>, End> {
    loop {
        let event = match events.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(Some(events.broken("the server has ended it"))),
            Err(e) if is_passing(&e) => return Ok(Some(e)),
            Err(e) => return Err(e.into()),
        };
        match event.name.as_str() {
            "ended" => return Ok(None),
            "begin" => followed.begin(event.id),
            _ => {
                let entry = serde_json::from_str(&event.data);
                let entry = entry.map_err(|_| events.nonsense("an event is no JSON"))?;
                if followed.note(&event.id) {
                    shown(&entry)?;
                }
            }
        }
    }
}

/// Returns whether a server may answer later that does not answer now.
fn is_passing(e: &CallError) -> bool {
    match e {
        CallError::Unreachable { .. } => true,
        CallError::Refused(p) => matches!(p.status, 429 | 502..=504),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_comes_again_is_known() {
        let mut followed = Followed::default();
        assert!(followed.note("a") && followed.note("b"));
        assert!(!followed.note("a"));
        for n in 0..MAX_KNOWN {
            assert!(followed.note(&n.to_string()));
        }
        assert_eq!(followed.known.len(), MAX_KNOWN);
        assert!(!followed.note("0"), "the oldest alone are forgotten");
        assert!(followed.note("a"));
    }

    #[test]
    fn entries_of_another_database_are_not_known() {
        let mut followed = Followed::default();
        followed.begin("0".to_owned());
        assert!(followed.note("a") && followed.note("b"));
        followed.begin("b".to_owned());
        assert!(!followed.note("a") && !followed.note("b"));
        followed.begin("a".to_owned());
        assert!(followed.note("b"));
        assert_eq!(followed.order.len(), followed.known.len());
    }
}
