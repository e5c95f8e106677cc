//! The events of a tenant's network, and the list of events that the operator's
//! page uses too. Server only: the page is static text.

mod page;

pub use page::EventsPage;

use crate::ui::{RelativeTime, Tone};
use domain::{Timestamp, view::EventCategory};
use leptos::prelude::*;

/// One entry of the event log, in the words for its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventText {
    /// The time of the event.
    pub at: Timestamp,
    pub category: EventCategory,
    /// What happened.
    pub text: String,
}

/// Returns the tone and the word for a category.
const fn category_label(category: EventCategory) -> (Tone, &'static str) {
    match category {
        EventCategory::Drift => (Tone::Warn, "Noticed"),
        EventCategory::Failed => (Tone::Bad, "Failed"),
        EventCategory::Recovered => (Tone::Live, "Works again"),
        EventCategory::Limit => (Tone::Warn, "Limit"),
        EventCategory::Note => (Tone::Plain, "Note"),
    }
}

/// A list of events: one line each on a wide screen; on a phone the message, with
/// category and time below it.
#[component]
pub fn EventList(
    /// The events, newest first.
    rows: Vec<EventText>,
    /// The server's clock.
    now: Timestamp,
) -> impl IntoView {
    view! {
        <ul class="events">
            {rows
                .into_iter()
                .map(|row| {
                    let (tone, word) = category_label(row.category);
                    view! {
                        <li>
                            <span class=tone.dot() aria-hidden="true"></span>
                            <p>{row.text}</p>
                            <span class=tone.chip()>{word}</span>
                            <span class="s"><RelativeTime at=row.at now=now/></span>
                        </li>
                    }
                })
                .collect_view()}
        </ul>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_a_word() {
        let all = EventCategory::ALL;
        let rows = all.map(|category| EventText {
            at: Timestamp::from_secs(60),
            category,
            text: "Your <tunnel> was gone.".to_owned(),
        });
        let now = Timestamp::from_secs(180);
        let html = view! { <EventList rows=rows.to_vec() now=now/> }.to_html();
        for category in all {
            let word = format!(">{}<", category_label(category).1);
            assert_eq!(html.matches(&word).count(), 1, "{html}");
        }
        assert!(html.contains("2 min ago") && html.contains("1970-01-01 00:01:00 UTC"));
        assert!(html.contains("Your &lt;tunnel&gt; was gone."), "{html}");
    }
}
