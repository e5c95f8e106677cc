//! The sessions of an account, and what was done lately.

use crate::ui::{Chip, EmptyState, Glyph, RelativeTime, Tone};
use domain::{
    Timestamp,
    view::{ActivityRow, SessionKind, SessionRow},
};
use leptos::prelude::*;

/// Where the account is signed in. Each session but this one has a button that ends it.
#[component]
pub fn Sessions(rows: Vec<SessionRow>, now: Timestamp) -> impl IntoView {
    let has_others = rows.iter().any(|row| !row.is_current);
    view! {
        <section class="card" aria-labelledby="sessions-title">
            <div class="hd border-b border-line">
                <h2 id="sessions-title">"Where you are signed in"</h2>
                {has_others
                    .then(|| {
                        view! {
                            <form class="ms-auto" method="post" action="/do/end_other_sessions">
                                <button class="btn btn-s">"End all others"</button>
                            </form>
                        }
                    })}
            </div>
            <ul class="rows">
                {rows.into_iter().map(|row| view! { <Session row=row now=now/> }).collect_view()}
            </ul>
        </section>
    }
}

/// Returns what a session is, in words.
fn device(row: &SessionRow) -> String {
    let program = match (row.kind, row.browser.as_str()) {
        (SessionKind::Api, "") => "A program",
        (_, "") => "A browser",
        (_, browser) => browser,
    };
    match row.system.as_str() {
        "" => program.to_owned(),
        system => format!("{program} on {system}"),
    }
}

const fn kind(kind: SessionKind) -> Option<&'static str> {
    match kind {
        SessionKind::Dashboard | SessionKind::Operator => None,
        SessionKind::Dns => Some("AdGuard Home"),
        SessionKind::Api => Some("API"),
    }
}

#[component]
fn Session(row: SessionRow, now: Timestamp) -> impl IntoView {
    let device = device(&row);
    let end = (!row.is_current).then(|| {
        let label = format!("End the session: {device}, {}", row.address);
        view! {
            <form method="post" action="/do/end_session">
                <input type="hidden" name="id" value=row.id.clone()/>
                <button class="btn btn-s" aria-label=label>"End"</button>
            </form>
        }
    });
    view! {
        <li>
            <div class="min-w-0 flex-1">
                <p class="row gap-y-1!">
                    <span class="font-semibold">{device}</span>
                    {row.is_current.then(|| view! { <Chip tone=Tone::Live>"This one"</Chip> })}
                    {kind(row.kind).map(|text| view! { <Chip>{text}</Chip> })}
                </p>
                <p class="s">
                    <span class="mono" dir="ltr">{row.address}</span>
                    " · used " <RelativeTime at=row.used now=now/>
                    " · since " <RelativeTime at=row.begun now=now/>
                </p>
            </div>
            {end}
        </li>
    }
}

/// Returns an action of the audit log in words; one without words as it is.
fn action_text(action: &str) -> Option<&'static str> {
    Some(match action {
        "session.begin" => "Signed in",
        "session.password" => "The password was right, a code was asked for",
        "session.end" => "Ended a session",
        "session.end-others" => "Ended all other sessions",
        "session.refused" => "A sign-in was refused",
        "session.limited" => "Sign-ins have to wait: too many wrong passwords",
        "session.replayed" => "A session of the API was ended: two programs had it",
        "password.change" => "Changed the password",
        "password.recover" => "Set a new password with a recovery code",
        "password.reset" => "Set a new password with a link",
        "password.reset-link" => "A link for a new password was made",
        "factor.add" => "Switched two-step sign-in on",
        "factor.remove" => "Switched two-step sign-in off",
        "recovery.replace" => "Made new recovery codes",
        "recovery.use" => "Used a recovery code",
        "presence.prove" => "Typed the password for a change",
        "token.create" => "Made an API token",
        "token.delete" => "Deleted an API token",
        "tenant.create" => "Signed up",
        "tenant.plan" => "Another plan",
        "tenant.time_zone" => "Changed the time zone",
        "tenant.suspend" => "Suspended",
        "tenant.resume" => "Resumed",
        "tenant.sleep" => "Put to sleep: nothing was connected",
        "tenant.wake" => "Woken",
        "device.add" => "Added a device",
        "device.change" => "Changed a device",
        "device.delete" => "Deleted a device",
        "device.config" => "Downloaded a device's configuration",
        "device.new_key" => "Made a new key for a device",
        _ => return None,
    })
}

/// What was done lately: sign-ins, changes, keys that were shown.
#[component]
pub fn Activity(
    rows: Vec<ActivityRow>,
    /// The account as the audit log names it.
    own: String,
    /// Where all entries are.
    all: &'static str,
    now: Timestamp,
) -> impl IntoView {
    let list = if rows.is_empty() {
        view! {
            <EmptyState
                glyph=Glyph::Log
                title="Nothing yet"
                text="Sign-ins and changes of this account are listed here."
            />
        }
        .into_any()
    } else {
        view! {
            <ul class="rows">
                {rows
                    .into_iter()
                    .map(|row| {
                        let what = match action_text(&row.action) {
                            Some(text) => text.to_owned(),
                            None => row.action,
                        };
                        // The account's own name says nothing here.
                        let object = row.object.strip_prefix(&own).unwrap_or(&row.object);
                        let object = object.trim_start_matches('/').to_owned();
                        let by = (row.actor != own).then_some(row.actor);
                        let details: Vec<String> = [Some(object), Some(row.detail), Some(row.origin), by]
                            .into_iter()
                            .flatten()
                            .filter(|text| !text.is_empty())
                            .collect();
                        view! {
                            <li>
                                <div class="min-w-0 flex-1">
                                    <p>{what}</p>
                                    <p class="s wrap-anywhere empty:hidden">{details.join(" · ")}</p>
                                </div>
                                <span class="s"><RelativeTime at=row.at now=now/></span>
                            </li>
                        }
                    })
                    .collect_view()}
            </ul>
        }
        .into_any()
    };
    view! {
        <section class="card" aria-labelledby="activity-title">
            <div class="hd border-b border-line">
                <h2 id="activity-title">"Recent activity"</h2>
                <span class="xs">"newest first; "<a class="link" href=all>"all of it"</a></span>
            </div>
            {list}
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(kind: SessionKind, browser: &str, system: &str, is_current: bool) -> SessionRow {
        SessionRow {
            id: "s1".to_owned(),
            kind,
            browser: browser.to_owned(),
            system: system.to_owned(),
            address: "192.0.2.7".to_owned(),
            begun: Timestamp::from_secs(0),
            used: Timestamp::from_secs(60),
            expires: Timestamp::from_secs(600),
            is_current,
        }
    }

    #[test]
    fn a_session_says_what_it_is() {
        for (browser, system, kind, text) in [
            (
                "Firefox",
                "Android",
                SessionKind::Dashboard,
                "Firefox on Android",
            ),
            ("", "", SessionKind::Dns, "A browser"),
            ("", "Linux", SessionKind::Api, "A program on Linux"),
        ] {
            assert_eq!(device(&session(kind, browser, system, false)), text);
        }
    }

    #[test]
    fn the_present_session_has_no_button() {
        let rows = vec![
            session(SessionKind::Dashboard, "Firefox", "Linux", true),
            session(SessionKind::Api, "curl", "", false),
        ];
        let now = Timestamp::from_secs(120);
        let html = view! { <Sessions rows=rows now=now/> }.to_html();
        assert_eq!(html.matches("/do/end_session").count(), 1, "{html}");
        assert!(html.contains("This one") && html.contains("End all others"));
        let alone = vec![session(SessionKind::Dashboard, "Firefox", "Linux", true)];
        let html = view! { <Sessions rows=alone now=now/> }.to_html();
        assert!(!html.contains("End all others") && !html.contains("/do/end_session"));
    }
}
