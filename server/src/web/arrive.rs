//! Coming and going: the ticket that makes a session on a host, the operator's
//! sign-in, and signing out.

use crate::web::{
    WebState, errors,
    host::{Asked, Asking},
    onward,
    scope::Granted,
    session::{self, Holder},
};
use axum::{
    Extension, Form,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::{Audience, Redeemed};
use domain::{ErrorCode, Failure, Secret};
use serde::Deserialize;
use tower_sessions::Session;

/// `/arrive?ticket=&to=`.
#[derive(Deserialize)]
pub struct Ticket {
    #[serde(default)]
    ticket: String,
    to: Option<String>,
}

/// A redirect the browser follows by GET, and nobody keeps.
pub fn see_other(to: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else {
        return errors::failure(&Failure::not_found());
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// A path on this host, or `/`. What a browser would read as another host
/// (`//x`, `/\x`, a tab or line break, which browsers drop) is none.
pub fn path_here(to: Option<&str>) -> &str {
    let plain = |c: u8| (0x21..0x7f).contains(&c) && !matches!(c, b'\\' | b'"' | b'<' | b'>');
    to.filter(|t| {
        t.starts_with('/') && !t.starts_with("//") && t.len() <= 512 && t.bytes().all(plain)
    })
    .unwrap_or("/")
}

/// GET `/arrive` on a tenant's hosts: uses the ticket up and makes a session
/// on this host. Somebody who is signed in here already just goes on (a
/// reload, a link opened twice).
pub async fn arrive(
    State(state): State<WebState>,
    Extension(asking): Extension<Asking>,
    Extension(granted): Extension<Granted>,
    session: Session,
    headers: HeaderMap,
    query: Result<Query<Ticket>, QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return errors::unreadable(e.status()),
    };
    let (audience, name) = match &asking.asked {
        Asked::Tenant(name) => (Audience::Dashboard, name),
        Asked::Dns(name) => (Audience::Dns, name),
        _ => return errors::failure(&Failure::not_found()),
    };
    let tls = state.is_tls();
    let kept = match audience {
        Audience::Dashboard => onward::remembered(&headers, tls),
        _ => None,
    };
    let to = match (path_here(query.to.as_deref()), kept) {
        ("/", Some(kept)) => kept,
        (to, _) => to,
    };
    let Redeemed { scope, parent } = match state
        .control
        .redeem_tenant(audience, name, &query.ticket)
        .await
    {
        Ok(redeemed) => redeemed,
        Err(_) if matches!(granted, Granted::Dashboard(_) | Granted::Dns(_)) => {
            return see_other(to);
        }
        Err(f) if f.code == ErrorCode::TicketInvalid => {
            return see_other(&match audience {
                // A new ticket, or first the sign-in.
                Audience::Dns => state.site.url(asking.scheme, name.as_str(), "/dns/open"),
                _ => format!("/sign-in?error={}", f.code),
            });
        }
        Err(f) => return errors::failure(&f),
    };
    let (id, name) = (scope.tenant(), scope.name().clone());
    let holder = match (audience, parent) {
        (Audience::Dns, Some(parent)) => Holder::Dns { id, name, parent },
        (Audience::Dashboard, None) => Holder::Dashboard { id, name },
        // No ticket is made like that.
        _ => return errors::failure(&Failure::not_found()),
    };
    match session::begin(&session, holder).await {
        Ok(()) => {
            let mut response = see_other(to);
            if kept.is_some() {
                onward::forget(&mut response, tls);
            }
            response
        }
        Err(f) => errors::failure(&f),
    }
}

/// The operator's sign-in form.
#[derive(Deserialize)]
pub struct Credentials {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
}

/// POST `/operator/sign-in`, on the operator's host.
pub async fn operator_sign_in(
    State(state): State<WebState>,
    Extension(asking): Extension<Asking>,
    session: Session,
    form: Result<Form<Credentials>, FormRejection>,
) -> Response {
    if asking.asked != Asked::Operator {
        return errors::failure(&Failure::not_found());
    }
    let form = match form {
        Ok(Form(form)) => form,
        Err(e) => return errors::unreadable(e.status()),
    };
    let password = Secret::new(form.password);
    let signed_in = state
        .control
        .operator_sign_in(&form.name, &password, asking.from)
        .await;
    let arrival = match signed_in {
        Ok(arrival) => arrival,
        Err(f) => return see_other(&back(&f, &form.name)),
    };
    let holder = Holder::Operator {
        name: arrival.scope.name().to_owned(),
        proof: arrival.proof,
    };
    match session::begin(&session, holder).await {
        Ok(()) => see_other("/"),
        Err(f) => see_other(&back(&f, &form.name)),
    }
}

/// `/sign-in?error=…&field=…&name=…`.
fn back(f: &Failure, name: &str) -> String {
    let field = f.field.map_or("", app::forms::field_name);
    let kept: String = name.chars().take(64).flat_map(escape).collect();
    format!("/sign-in?error={}&field={field}&name={kept}", f.code)
}

/// A character as it may stand in a query.
fn escape(c: char) -> Vec<char> {
    if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
        return vec![c];
    }
    let mut buffer = [0; 4];
    let bytes = c.encode_utf8(&mut buffer).bytes();
    bytes
        .flat_map(|b| format!("%{b:02X}").chars().collect::<Vec<_>>())
        .collect()
}

/// POST `/sign-out`, on every host with sign-in.
pub async fn sign_out(session: Session) -> Response {
    match session::end(&session).await {
        Ok(()) => see_other("/sign-in"),
        Err(f) => errors::failure(&f),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_host_is_gone_to() {
        for path in ["/", "/progress", "/devices/3?x=1&y=%2f", "/a//b"] {
            assert_eq!(path_here(Some(path)), path);
        }
        for path in [
            "",
            "//evil.example",
            "/\\evil.example",
            "\\/evil",
            "https://evil",
            "javascript:x",
            "/\t/evil.example",
            "/\n/evil",
            "/a b",
            "/ä",
            "evil",
            " /",
        ] {
            assert_eq!(path_here(Some(path)), "/", "{path:?}");
        }
        assert_eq!(path_here(None), "/");
    }

    #[test]
    fn a_typed_name_goes_back_encoded() {
        let f = Failure::new(ErrorCode::SignInRefused, "");
        let url = back(&f, "a&b=ä\r\nX: y");
        assert_eq!(
            url,
            "/sign-in?error=sign_in_refused&field=&name=a%26b%3D%C3%A4%0D%0AX%3A%20y"
        );
    }
}
