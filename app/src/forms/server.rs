//! The server's side of every form: how a server function ends, and what a
//! query tells the page that a plain POST was sent back to.

use super::sentence::sentence;
use domain::{DeviceLabel, ErrorCode, Failure, Field, TenantName};
use leptos::{
    prelude::*,
    server_fn::{codec::JsonEncoding, error::ServerFnErrorErr},
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
            E::Args(_)
            | E::MissingArg(_)
            | E::Deserialization(_)
            | E::UnsupportedRequestMethod(_) => (
                ErrorCode::BadRequest,
                "Something was missing in the form. Reload the page and try again.",
            ),
            _ => (ErrorCode::Internal, sentence(ErrorCode::Internal)),
        };
        // Without it the answer would be a 500.
        set_status(code);
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
pub fn go(url: &str) {
    leptos_axum::redirect(url);
}

/// The address at which a tenant's own host makes the session, and goes on to
/// `to` (a path there).
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
pub fn refuse(failure: Failure, page: &str, typed: &[(&str, &str)]) -> AppError {
    if wants_html() {
        leptos_axum::redirect(&back_to(page, &failure, typed));
    } else {
        set_status(failure.code);
    }
    AppError(failure)
}

/// Sets the answer's HTTP status from a code.
pub fn set_status(code: ErrorCode) {
    let status = axum::http::StatusCode::from_u16(code.status());
    if let (Some(response), Ok(status)) = (use_context::<leptos_axum::ResponseOptions>(), status) {
        response.set_status(status);
    }
}

/// Whether a browser posted the form by itself, without a script.
fn wants_html() -> bool {
    with_context(|parts: &http::request::Parts| {
        parts
            .headers
            .get(http::header::ACCEPT)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"))
    })
    .unwrap_or_default()
}

/// As much of a typed value travels back in a query; the rest is cut off. Every
/// input of ours takes less, and a cut label is still too long to be one.
const LONGEST_KEPT: usize = 256;

/// `page?error=…&field=…&<typed>`.
fn back_to(page: &str, failure: &Failure, typed: &[(&str, &str)]) -> String {
    use leptos_router::params::ParamsMap;
    let mut query = ParamsMap::new();
    query.insert("error", failure.code.as_str().to_owned());
    if let Some(field) = failure.field {
        query.insert("field", field_name(field).to_owned());
    }
    for (name, value) in typed {
        let kept = value.floor_char_boundary(LONGEST_KEPT);
        query.insert((*name).to_owned(), value[..kept].to_owned());
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

    #[test]
    fn what_was_typed_travels_encoded_and_short() {
        let failure = Failure::at(Field::Label, ErrorCode::LabelTaken, "…");
        let long = "ü".repeat(LONGEST_KEPT);
        let url = back_to(
            "/devices/new",
            &failure,
            &[("label", "My ph&one\r\nSet-Cookie: a"), ("long", &long)],
        );
        assert!(url.starts_with("/devices/new?"), "{url}");
        assert!(url.contains("error=label%5Ftaken") && url.contains("field=label"));
        assert!(!url.contains(['\r', '\n', ' ']) && !url.contains("ph&one"));
        assert_eq!(url.matches("%C3%BC").count(), LONGEST_KEPT / 2);
    }

    #[test]
    fn a_label_of_any_length_is_told_to_be_too_long() {
        for label in ["x".repeat(70), "x".repeat(2_000), "ü".repeat(1_000)] {
            let refused = DeviceLabel::parse(&label).unwrap_err();
            let url = back_to("/devices/new", &refused, &[("label", &label)]);
            let kept = leptos_router::location::RequestUrl::new(&url);
            let kept = kept.parse().unwrap();
            let told = told(|key| kept.search_params().get(key)).unwrap();
            assert_eq!(told, refused);
        }
    }
}
