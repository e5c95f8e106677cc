//! One way for every form: a `<form method="post">` to a server function, which
//! works by itself.
//!
//! Without JavaScript Leptos would go back to the Referer with the error's text
//! in the query. We go to the form's own address instead, with the error's
//! *code*, its field and what was typed (never a password). The page looks the
//! sentence up by the code: no text from a query is ever shown as ours.
//!
//! With JavaScript a [`Form`] sends the same fields to the same address; a
//! refusal comes back as JSON and is shown in place, and what was typed is
//! still in the inputs. Server functions exist on the server only: the script
//! has one sender for all of them instead of a typed client for each.

mod send;
#[cfg(feature = "ssr")]
mod sentence;
#[cfg(feature = "ssr")]
mod server;

pub use send::{Answer, send};
#[cfg(feature = "ssr")]
pub use sentence::sentence;
#[cfg(feature = "ssr")]
pub use server::{AppError, arrive, field_name, go, refuse, set_status, told};

use domain::{Failure, Field};
use leptos::{ev::SubmitEvent, prelude::*};

/// A form's conversation with the server.
#[derive(Clone, Copy)]
pub struct Form {
    failure: RwSignal<Option<Failure>>,
    /// Whether its button waits: while the answer is under way and, after a
    /// success, while the browser is leaving the page.
    pub busy: RwSignal<bool>,
}

impl Form {
    /// Begins with what the page was opened with, after a plain POST.
    pub fn new(first: Option<Failure>) -> Self {
        Self {
            failure: RwSignal::new(first),
            busy: RwSignal::new(false),
        }
    }

    /// Answers `on:submit`: sends what the form holds and shows what is refused;
    /// a success leads on.
    pub fn submit(self, event: SubmitEvent) {
        event.prevent_default();
        if self.busy.get_untracked() {
            return;
        }
        let Some((url, body)) = send::filled(&event) else {
            return;
        };
        self.busy.set(true);
        leptos::task::spawn_local(async move {
            match send(url, Some(body)).await {
                Ok(Answer {
                    leads_to: Some(to), ..
                }) => send::leave(&to, self.busy),
                Ok(_) => {
                    self.failure.set(None);
                    self.busy.set(false);
                }
                Err(failure) => {
                    self.failure.set(Some(failure));
                    self.busy.set(false);
                }
            }
        });
    }

    /// The sentence for one field.
    pub fn at(self, field: Field) -> Signal<Option<String>> {
        self.sentence(move |f| f.field == Some(field))
    }

    /// The sentence for the whole form: what belongs to none of `fields`, the
    /// fields the form has.
    pub fn on_top(self, fields: &'static [Field]) -> Signal<Option<String>> {
        self.sentence(move |f| f.field.is_none_or(|at| !fields.contains(&at)))
    }

    fn sentence(
        self,
        belongs: impl Fn(&Failure) -> bool + Send + Sync + 'static,
    ) -> Signal<Option<String>> {
        Signal::derive(move || {
            self.failure.with(|f| {
                let f = f.as_ref().filter(|f| belongs(f))?;
                Some(f.sentence.clone())
            })
        })
    }
}
