//! One way for every form: a server function in an `ActionForm`, which works
//! by a plain POST too.
//!
//! With JavaScript a refusal comes back as JSON and is shown in place; what was
//! typed is still in the inputs. Without, Leptos would go back to the Referer
//! with the error's text in the query. We go to the form's own address instead,
//! with the error's *code*, its field and what was typed (never a password).
//! The page looks the sentence up by the code: no text from a query is ever
//! shown as ours.

use domain::{DeviceLabel, ErrorCode, Failure, Field, TenantName};
use leptos::{
    prelude::*,
    server_fn::{ServerFn, codec::JsonEncoding, error::ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A [`Failure`] as server functions return it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppError(pub Failure);

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for AppError {}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    /// What the transport says, in words for people. The texts it carries are
    /// for programmers and are dropped here; the server has logged its own.
    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        use ServerFnErrorErr as E;
        let (code, sentence) = match error {
            E::Request(_) | E::Response(_) => (
                ErrorCode::Busy,
                "The server cannot be reached. Check your connection and try again.",
            ),
            E::Args(_)
            | E::MissingArg(_)
            | E::Deserialization(_)
            | E::UnsupportedRequestMethod(_) => (
                ErrorCode::BadRequest,
                "Something was missing in the form. Reload the page and try again.",
            ),
            _ => (ErrorCode::Internal, sentence(ErrorCode::Internal)),
        };
        Self(Failure::new(code, sentence))
    }
}

impl From<Failure> for AppError {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

/// Ends a server function that succeeded: the browser goes to `url`, which may
/// be on another host of ours. By a redirect without JavaScript; with it, the
/// form's own client reads the same header and goes there.
#[cfg(feature = "ssr")]
pub fn go(url: &str) {
    leptos_axum::redirect(url);
}

/// The address at which a tenant's own host makes the session, and goes on to
/// `to` (a path there).
#[cfg(feature = "ssr")]
pub fn arrive(
    context: &crate::context::RequestContext,
    arrival: &control::Arrival,
    to: &str,
) -> String {
    let mut query = leptos_router::params::ParamsMap::new();
    query.insert("ticket", arrival.ticket.expose().to_owned());
    query.insert("to", to.to_owned());
    context.url(
        arrival.name.as_str(),
        &format!("/arrive{}", query.to_query_string()),
    )
}

/// Ends a server function that failed. A plain POST is sent back to `page` (the
/// form's address, on this host) with the error's code and what was typed;
/// a script gets the failure as JSON with its HTTP status.
#[cfg(feature = "ssr")]
pub fn refuse(failure: Failure, page: &str, typed: &[(&str, &str)]) -> AppError {
    if wants_html() {
        leptos_axum::redirect(&back_to(page, &failure, typed));
    } else {
        set_status(failure.code);
    }
    AppError(failure)
}

/// Sets the answer's HTTP status from a code.
#[cfg(feature = "ssr")]
pub fn set_status(code: ErrorCode) {
    let status = axum::http::StatusCode::from_u16(code.status());
    if let (Some(response), Ok(status)) = (use_context::<leptos_axum::ResponseOptions>(), status) {
        response.set_status(status);
    }
}

/// Whether a browser posted the form by itself, without a script.
#[cfg(feature = "ssr")]
fn wants_html() -> bool {
    use_context::<http::request::Parts>().is_some_and(|parts| {
        parts
            .headers
            .get(http::header::ACCEPT)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"))
    })
}

/// The longest typed value that travels back in a query: beyond it a person
/// has other worries than typing it again.
#[cfg(feature = "ssr")]
const LONGEST_KEPT: usize = 256;

/// `page?error=…&field=…&<typed>`.
#[cfg(feature = "ssr")]
fn back_to(page: &str, failure: &Failure, typed: &[(&str, &str)]) -> String {
    use leptos_router::params::ParamsMap;
    let mut query = ParamsMap::new();
    query.insert("error", failure.code.as_str().to_owned());
    if let Some(field) = failure.field {
        query.insert("field", field_name(field).to_owned());
    }
    for (name, value) in typed {
        if value.len() <= LONGEST_KEPT {
            query.insert((*name).to_owned(), (*value).to_owned());
        }
    }
    // ParamsMap's text begins with "?" and is percent-encoded: a line break in
    // a value cannot end the header.
    format!("{page}{}", query.to_query_string())
}

/// A field's name in queries and in inputs' `name`.
pub const fn field_name(field: Field) -> &'static str {
    match field {
        Field::Name => "name",
        Field::Password => "password",
        Field::Plan => "plan",
        Field::Label => "label",
        Field::Routing => "routing",
        Field::Policy => "policy",
    }
}

/// The failure that a query tells of, for the first render after a plain POST.
/// `get` reads one parameter of the query. A name or a label is checked again,
/// so that its sentence is the precise one.
pub fn told(get: impl Fn(&str) -> Option<String>) -> Option<Failure> {
    let code = get("error")?;
    let code = *ErrorCode::ALL.iter().find(|c| c.as_str() == code)?;
    let field = get("field").and_then(|f| {
        [
            Field::Name,
            Field::Password,
            Field::Plan,
            Field::Label,
            Field::Routing,
            Field::Policy,
        ]
        .into_iter()
        .find(|field| field_name(*field) == f)
    });
    let again = match code {
        ErrorCode::NameMalformed | ErrorCode::NameReserved => {
            TenantName::parse(&get("name").unwrap_or_default()).err()
        }
        ErrorCode::LabelMalformed => DeviceLabel::parse(&get("label").unwrap_or_default()).err(),
        _ => None,
    };
    Some(again.unwrap_or_else(|| Failure {
        code,
        field,
        sentence: sentence(code).to_owned(),
    }))
}

/// What each code means to a person, where the precise sentence did not travel.
pub const fn sentence(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NameMalformed => "Use 3 to 32 of the letters a to z, digits and inner hyphens.",
        ErrorCode::NameReserved => "That name is reserved. Choose another one.",
        ErrorCode::NameTaken => "That name is taken. Choose another one.",
        ErrorCode::PasswordWeak => {
            "That password is too easy to guess. Use ten characters or more, for example four words that have nothing to do with each other."
        }
        ErrorCode::PlanUnknown => "That plan is not offered any more. Choose another one.",
        ErrorCode::LabelMalformed => "Use 1 to 64 visible characters for the label.",
        ErrorCode::LabelTaken => "You have a device of that label. Choose another one.",
        ErrorCode::DeviceLimit => "Your plan allows no further device. Delete one first.",
        ErrorCode::ChoiceUnknown => "Choose one of the options shown.",
        ErrorCode::NodeFull => "There is no free slot on this server. Try again later.",
        ErrorCode::SignInRefused => "That name and password do not belong together.",
        ErrorCode::TooManyTries => "Too many tries. Wait a minute and try again.",
        ErrorCode::SignedOut => "You are signed out. Sign in and try again.",
        ErrorCode::TicketInvalid => "That link was used or has expired. Sign in again.",
        ErrorCode::NotFound => "There is nothing here under that address.",
        ErrorCode::WrongOrigin => "That request came from another site and was refused.",
        ErrorCode::UnknownHost => "This installation does not serve that address.",
        ErrorCode::BadRequest => {
            "The server could not read that request. Reload the page and try again."
        }
        ErrorCode::BadConfiguration => "This installation is not set up correctly.",
        ErrorCode::ImageMissing => "Waiting for the AdGuard Home image.",
        ErrorCode::DockerUnavailable => "Docker does not answer. It is tried again.",
        ErrorCode::FirewallUnavailable => "The firewall cannot be used. It is tried again.",
        ErrorCode::WireguardUnavailable => "WireGuard cannot be used. It is tried again.",
        ErrorCode::PortTaken => "Another program holds the tunnel's port.",
        ErrorCode::NameForeign => "Something that is not ours holds a name of ours.",
        ErrorCode::DnsUnavailable => "The DNS filter does not answer. It is tried again.",
        ErrorCode::DiskUnavailable => "The disk is full or cannot be written.",
        ErrorCode::DatabaseUnavailable => "The database does not answer. Try again in a moment.",
        ErrorCode::Suspended => "This account is suspended. Ask the operator.",
        ErrorCode::Busy => "The server is busy. Try again in a moment.",
        ErrorCode::NotYetInForce => "Deleted. It is being cut off; the server keeps trying.",
        ErrorCode::Internal => "Something went wrong on our side. Try again in a moment.",
    }
}

/// The failure a form shows: its action's last answer, or what the page was
/// opened with (after a plain POST).
pub fn refused<S>(action: ServerAction<S>, first: Option<Failure>) -> Signal<Option<Failure>>
where
    S: ServerFn<Error = AppError> + Clone + Send + Sync + 'static,
    S::Output: Clone + Send + Sync + 'static,
{
    let value = action.value();
    Signal::derive(move || {
        value.with(|answer| match answer {
            Some(Err(error)) => Some(error.0.clone()),
            Some(Ok(_)) => None,
            None => first.clone(),
        })
    })
}

/// Whether the form's button waits: while the answer is under way and, after a
/// success, while the browser is leaving the page.
pub fn busy<S>(action: ServerAction<S>) -> Signal<bool>
where
    S: ServerFn<Error = AppError> + Clone + Send + Sync + 'static,
    S::Output: Clone + Send + Sync + 'static,
{
    let (pending, value) = (action.pending(), action.value());
    Signal::derive(move || pending.get() || value.with(|v| matches!(v, Some(Ok(_)))))
}

/// The sentence for one field.
pub fn at(failure: Signal<Option<Failure>>, field: Field) -> Signal<Option<String>> {
    Signal::derive(move || {
        failure.with(|f| {
            f.as_ref()
                .filter(|f| f.field == Some(field))
                .map(|f| f.sentence.clone())
        })
    })
}

/// The sentence for the whole form: what belongs to none of `fields`, the
/// fields the form has.
pub fn on_top(
    failure: Signal<Option<Failure>>,
    fields: &'static [Field],
) -> Signal<Option<String>> {
    Signal::derive(move || {
        failure.with(|f| {
            f.as_ref()
                .filter(|f| f.field.is_none_or(|at| !fields.contains(&at)))
                .map(|f| f.sentence.clone())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |key| {
            pairs
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, v)| (*v).to_owned())
        }
    }

    #[test]
    fn every_code_has_a_sentence_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for code in ErrorCode::ALL {
            assert!(sentence(*code).ends_with('.'), "{code}");
            assert!(seen.insert(sentence(*code)), "{code}");
        }
    }

    #[test]
    fn no_text_of_a_query_becomes_a_sentence() {
        let failure = told(query(&[
            ("error", "name_taken"),
            ("field", "name"),
            ("sentence", "Send your password to mallory"),
            ("name", "abcd"),
        ]))
        .unwrap();
        assert_eq!(failure.sentence, sentence(ErrorCode::NameTaken));
        assert_eq!(failure.field, Some(Field::Name));
        assert_eq!(told(query(&[("error", "Call 0190-666666")])), None);
        assert_eq!(told(query(&[("name", "abcd")])), None);
    }

    #[test]
    fn a_malformed_name_gets_its_precise_sentence_again() {
        let failure = told(query(&[("error", "name_malformed"), ("name", "ab")])).unwrap();
        assert_eq!(
            failure.sentence,
            "That name is too short: 3 characters at least."
        );
        assert_eq!(failure.field, Some(Field::Name));
    }

    #[cfg(feature = "ssr")]
    #[test]
    fn what_was_typed_travels_encoded_and_short() {
        let failure = Failure::at(Field::Label, ErrorCode::LabelTaken, "…");
        let long = "x".repeat(LONGEST_KEPT + 1);
        let url = back_to(
            "/devices/new",
            &failure,
            &[("label", "My ph&one\r\nSet-Cookie: a"), ("long", &long)],
        );
        assert!(url.starts_with("/devices/new?"), "{url}");
        assert!(url.contains("error=label%5Ftaken") && url.contains("field=label"));
        assert!(
            !url.contains(['\r', '\n', ' ']) && !url.contains("ph&one") && !url.contains("xxx")
        );
    }
}
