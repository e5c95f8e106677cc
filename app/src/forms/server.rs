//! The server's side of every form: how a server function ends, and how a page
//! reads the refusal of a plain POST from its query.

use super::Refusal;
use crate::context;
use domain::{DeviceLabel, ErrorCode, Failure, Field, Message, NodeHost, TenantName};
use leptos::{
    prelude::*,
    server_fn::{codec::JsonEncoding, error::ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The page on which an owner adds the second factor that it needs.
pub const ADD_FACTOR: &str = "/account/two-step";

/// A failure as server functions return it, in the language of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppError(pub Refusal);

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for AppError {}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    /// Turns a transport error into a message for people. Its own text is for
    /// programmers and is dropped here; the server has logged it.
    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        use ServerFnErrorErr as E;
        let (code, message) = match error {
            E::Args(_)
            | E::MissingArg(_)
            | E::Deserialization(_)
            | E::UnsupportedRequestMethod(_) => (
                ErrorCode::BadRequest,
                context::texts().message(&Message::FormIncomplete),
            ),
            _ => (
                ErrorCode::Internal,
                context::texts().code(ErrorCode::Internal),
            ),
        };
        // Otherwise the answer would be a 500.
        set_status(code);
        Self(Refusal {
            code,
            field: None,
            message,
        })
    }
}

impl From<Failure> for AppError {
    fn from(failure: Failure) -> Self {
        Self(Refusal::here(&failure))
    }
}

/// Ends a server function that succeeded by redirecting to `url`, which may be on
/// another host of this installation. With JavaScript the form's own client reads
/// the same header and opens the address.
pub fn redirect(url: &str) {
    leptos_axum::redirect(url);
}

/// Ends a server function that signed a tenant in: redirects to the tenant's own host,
/// where the ticket becomes a session, and then to `to` (a path there). The ticket
/// stays in a cookie of this host until the tenant's host asks for it
/// (`server/src/web/auth/arrival.rs`).
pub fn hand_over(context: &context::RequestContext, ticket: &control::SignInTicket, to: &str) {
    use crate::context::HostKind;
    crate::cookies::HANDOFF.set(ticket.ticket.expose());
    let from = match context.host {
        HostKind::Base => &[("from", "base")][..],
        HostKind::Operator => &[("from", "admin")],
        HostKind::Tenant(_) => &[],
    };
    let query = [from, &[("to", to)]].concat();
    redirect(&context.url(ticket.name.as_str(), &url_with("/arrive", &query)));
}

/// Ends a server function that failed. A plain POST is redirected to `page` (the
/// form's address on this host) with the error's code and the typed values; a
/// script receives the failure as JSON with its HTTP status.
pub fn refuse(failure: Failure, page: &str, typed: &[(&str, &str)]) -> AppError {
    if wants_html() {
        let url = match failure.code {
            // Any other page would lead there.
            ErrorCode::SecondFactorRequired => return_url(ADD_FACTOR, &failure, &[]),
            _ => return_url(page, &failure, typed),
        };
        leptos_axum::redirect(&url);
    } else {
        set_status(failure.code);
    }
    failure.into()
}

/// Sets the HTTP status of the answer from a code.
pub fn set_status(code: ErrorCode) {
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(crate::errors::status(code));
    }
}

/// Returns whether a browser posted the form itself, without a script.
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

/// The largest part of a typed value that is returned in a query, in bytes; the
/// rest is cut off. Every input allows less, and a cut label is still too long to
/// be valid.
const MAX_RETURNED_VALUE: usize = 256;

/// Returns `page?error=…&field=…&<typed>`.
fn return_url(page: &str, failure: &Failure, typed: &[(&str, &str)]) -> String {
    let mut query = vec![("error", failure.code.as_str())];
    if let Some(field) = failure.field {
        query.push(("field", field_name(field)));
    }
    query.extend(typed);
    url_with(page, &query)
}

/// Returns `page?<typed>`. Long values are cut.
pub fn url_with(page: &str, typed: &[(&str, &str)]) -> String {
    let mut query = leptos_router::params::ParamsMap::new();
    for (name, value) in typed {
        let end = value.floor_char_boundary(MAX_RETURNED_VALUE);
        query.insert((*name).to_owned(), value[..end].to_owned());
    }
    // ParamsMap's text begins with "?" and is percent-encoded: a line break in
    // a value cannot end the header.
    format!("{page}{}", query.to_query_string())
}

/// Every field that a query may name.
const FIELDS: [Field; 24] = [
    Field::Name,
    Field::Password,
    Field::NewPassword,
    Field::Code,
    Field::Plan,
    Field::Label,
    Field::Routing,
    Field::Policy,
    Field::PlanId,
    Field::Devices,
    Field::Data,
    Field::Down,
    Field::Up,
    Field::AtLimit,
    Field::Slow,
    Field::MonthDay,
    Field::TimeZone,
    Field::Host,
    Field::Role,
    Field::Invitation,
    Field::Uses,
    Field::Lifetime,
    Field::Note,
    Field::Mail,
];

/// Returns a field's name in queries and in the `name` of inputs.
pub const fn field_name(field: Field) -> &'static str {
    match field {
        Field::Name => "name",
        Field::Password => "password",
        Field::NewPassword => "new_password",
        Field::Code => "code",
        Field::Plan => "plan",
        Field::Label => "label",
        Field::Routing => "routing",
        Field::Policy => "policy",
        Field::PlanId => "id",
        Field::Devices => "devices",
        Field::Data => "data",
        Field::Down => "down",
        Field::Up => "up",
        Field::AtLimit => "at_limit",
        Field::Slow => "slow",
        Field::MonthDay => "month_day",
        Field::TimeZone => "time_zone",
        Field::Host => "host",
        Field::Role => "role",
        Field::Invitation => "invitation",
        Field::Uses => "uses",
        Field::Lifetime => "lifetime",
        Field::Note => "note",
        Field::Mail => "mail",
    }
}

/// Returns the refusal that a query names, for the first render after a plain
/// POST. `get` reads one parameter of the query. A name or a label is validated
/// again, so that its message is the precise one.
pub fn refusal_from_query(get: impl Fn(&str) -> Option<String>) -> Option<Refusal> {
    let code = get("error")?;
    let code = *ErrorCode::ALL.iter().find(|c| c.as_str() == code)?;
    let field = get("field").and_then(|f| FIELDS.into_iter().find(|x| field_name(*x) == f));
    let precise = match code {
        ErrorCode::NameMalformed | ErrorCode::NameReserved => {
            let parsed = TenantName::parse(&get("name").unwrap_or_default());
            parsed.err().map(Failure::from)
        }
        ErrorCode::NodeMalformed if field == Some(Field::Host) => {
            NodeHost::parse(&get("host").unwrap_or_default()).err()
        }
        ErrorCode::LabelMalformed => DeviceLabel::parse(&get("label").unwrap_or_default()).err(),
        _ => None,
    };
    Some(match precise {
        Some(failure) => Refusal::here(&failure),
        None => Refusal {
            code,
            field,
            message: context::texts().code(code),
        },
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
    fn text_from_a_query_is_never_shown() {
        let failure = refusal_from_query(query(&[
            ("error", "name_taken"),
            ("field", "name"),
            ("message", "Send your password to mallory"),
            ("name", "abcd"),
        ]))
        .unwrap();
        let general = texts::english().code(ErrorCode::NameTaken);
        assert_eq!(failure.message, general);
        assert_eq!(failure.field, Some(Field::Name));
        assert_eq!(
            refusal_from_query(query(&[("error", "Call 0190-666666")])),
            None
        );
        assert_eq!(refusal_from_query(query(&[("name", "abcd")])), None);
    }

    #[test]
    fn a_malformed_name_gets_its_precise_message() {
        let failure =
            refusal_from_query(query(&[("error", "name_malformed"), ("name", "ab")])).unwrap();
        assert_eq!(
            failure.message,
            "That name is too short: 3 characters at least."
        );
        assert_eq!(failure.field, Some(Field::Name));
    }

    #[test]
    fn typed_values_are_encoded_and_cut() {
        let failure = Failure::at(Field::Label, ErrorCode::LabelTaken, Message::LabelTaken);
        let long = "ü".repeat(MAX_RETURNED_VALUE);
        let url = return_url(
            "/devices/new",
            &failure,
            &[("label", "My ph&one\r\nSet-Cookie: a"), ("long", &long)],
        );
        assert!(url.starts_with("/devices/new?"), "{url}");
        assert!(url.contains("error=label%5Ftaken") && url.contains("field=label"));
        assert!(!url.contains(['\r', '\n', ' ']) && !url.contains("ph&one"));
        assert_eq!(url.matches("%C3%BC").count(), MAX_RETURNED_VALUE / 2);
    }

    #[test]
    fn a_long_label_is_reported_as_too_long() {
        for label in ["x".repeat(70), "x".repeat(2_000), "ü".repeat(1_000)] {
            let refused = DeviceLabel::parse(&label).unwrap_err();
            let url = return_url("/devices/new", &refused, &[("label", &label)]);
            let request = leptos_router::location::RequestUrl::new(&url);
            let parsed = request.parse().unwrap();
            let failure = refusal_from_query(|key| parsed.search_params().get(key)).unwrap();
            assert_eq!(failure, Refusal::here(&refused));
        }
    }
}
