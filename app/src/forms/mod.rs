//! One mechanism for every form: a `<form method="post">` to a server function,
//! which works without a script.
//!
//! Without JavaScript Leptos would redirect to the Referer with the error's text
//! in the query. Here the redirect goes to the form's own address with the
//! error's *code*, its field and the typed values (never a password). The page
//! looks the message up by the code: a text from a query is never shown.
//!
//! With JavaScript a [`Form`] sends the same fields to the same address. A
//! refusal returns as JSON and is shown in place; the inputs keep their values.
//! Server functions exist on the server only: the script has one sender for all
//! of them instead of a typed client for each.

mod refusal;
mod send;
#[cfg(feature = "ssr")]
mod server;

pub use refusal::Refusal;
pub use send::{Answer, send};
#[cfg(feature = "ssr")]
pub use server::{
    ADD_FACTOR, AppError, field_name, hand_over, redirect, refusal_from_query, refuse, set_status,
    url_with,
};

use domain::Field;
use leptos::{ev::SubmitEvent, prelude::*};

/// A form's requests to the server and their results.
#[derive(Clone, Copy)]
pub struct Form {
    failure: RwSignal<Option<Refusal>>,
    /// Whether its button is disabled: during a request and, after a success,
    /// while the browser leaves the page.
    pub busy: RwSignal<bool>,
}

impl Form {
    /// Creates a form that shows `initial`, the failure of a plain POST.
    pub fn new(initial: Option<Refusal>) -> Self {
        Self {
            failure: RwSignal::new(initial),
            busy: RwSignal::new(false),
        }
    }

    /// Handles `on:submit`: sends the form's fields, shows a refusal, and follows
    /// the redirect of a success.
    pub fn submit(self, event: SubmitEvent) {
        event.prevent_default();
        if self.busy.get_untracked() {
            return;
        }
        let Some((url, body)) = send::form_request(&event) else {
            return;
        };
        self.busy.set(true);
        leptos::task::spawn_local(async move {
            match send(url, Some(body)).await {
                Ok(Answer {
                    location: Some(to), ..
                }) => send::navigate(&to, self.busy),
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

    /// Returns the message for one field.
    pub fn at(self, field: Field) -> Signal<Option<String>> {
        self.message(move |f| f.field == Some(field))
    }

    /// Returns the message for one of several fields.
    pub fn at_any(self, fields: &'static [Field]) -> Signal<Option<String>> {
        self.message(move |f| f.field.is_some_and(|at| fields.contains(&at)))
    }

    /// Returns the message for the whole form: of a failure whose field the form does not
    /// have.
    pub fn outside(
        self,
        has: impl Fn(Field) -> bool + Send + Sync + 'static,
    ) -> Signal<Option<String>> {
        self.message(move |f| f.field.is_none_or(|at| !has(at)))
    }

    /// Returns the message for the whole form: of a failure that belongs to none
    /// of `fields`, the fields the form has.
    pub fn on_top(self, fields: &'static [Field]) -> Signal<Option<String>> {
        self.message(move |f| f.field.is_none_or(|at| !fields.contains(&at)))
    }

    fn message(
        self,
        belongs: impl Fn(&Refusal) -> bool + Send + Sync + 'static,
    ) -> Signal<Option<String>> {
        Signal::derive(move || {
            self.failure.with(|f| {
                let f = f.as_ref().filter(|f| belongs(f))?;
                Some(f.message.clone())
            })
        })
    }
}
