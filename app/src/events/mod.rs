//! What happened to a tenant's network, and the same log as the operator reads
//! it. Server only: it is a page of text, and nothing in it is live.

mod page;

pub use page::EventsPage;

use crate::ui::{RelativeTime, Tone};
use domain::{
    Timestamp,
    view::{EventRow, EventSort},
};
use leptos::prelude::*;

/// A dot's tone and the word beside it.
const fn told(sort: EventSort) -> (Tone, &'static str) {
    match sort {
        EventSort::Found => (Tone::Warn, "Noticed"),
        EventSort::Failed => (Tone::Bad, "Failed"),
        EventSort::Back => (Tone::Live, "Works again"),
        EventSort::Note => (Tone::Plain, "Note"),
    }
}

/// Events, one below the other: a line on a desk, on a phone a sentence with
/// its time and sort below it.
#[component]
pub fn EventList(
    /// The events, newest first.
    rows: Vec<EventRow>,
    /// The server's clock.
    now: Timestamp,
) -> impl IntoView {
    view! {
        <ul class="events">
            {rows
                .into_iter()
                .map(|row| {
                    let (tone, word) = told(row.sort);
                    view! {
                        <li>
                            <span class=tone.dot() aria-hidden="true"></span>
                            <p>{row.sentence}</p>
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
    fn an_event_is_told_by_words_and_not_by_colour_alone() {
        let all = [
            EventSort::Found,
            EventSort::Failed,
            EventSort::Back,
            EventSort::Note,
        ];
        let rows = all.map(|sort| EventRow {
            at: Timestamp::from_secs(60),
            sort,
            sentence: "Your <tunnel> was gone.".to_owned(),
        });
        let now = Timestamp::from_secs(180);
        let html = view! { <EventList rows=rows.to_vec() now=now/> }.to_html();
        for sort in all {
            let word = format!(">{}<", told(sort).1);
            assert_eq!(html.matches(&word).count(), 1, "{html}");
        }
        assert!(html.contains("2 min ago") && html.contains("1970-01-01 00:01:00 UTC"));
        assert!(html.contains("Your &lt;tunnel&gt; was gone."), "{html}");
    }
}
