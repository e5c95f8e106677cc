//! Sign-in and sign-out: the one-time ticket that hands a sign-in on to another
//! host, the operator's sign-in, and signing out.

use super::{
    return_to,
    scope::Granted,
    session::{self, Holder},
};
use crate::web::{
    errors,
    hosts::{RequestInfo, VirtualHost},
    redirect::{local_path, see_other},
    state::WebState,
};
use axum::{
    Extension, Form,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::HeaderMap,
    response::Response,
};
use control::{Audience, RedeemedTicket};
use domain::{ErrorCode, Failure, Secret};
use serde::Deserialize;
use tower_sessions::Session;

/// The query of `/arrive?ticket=&to=`.
#[derive(Deserialize)]
pub struct TicketQuery {
    #[serde(default)]
    ticket: String,
    to: Option<String>,
}

/// Answers GET `/arrive` on a tenant's hosts: redeems the ticket and creates a
/// session on this host. A client that is signed in here already is redirected
/// even if the ticket is used up (a reload, a link opened twice).
pub async fn redeem_ticket(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    Extension(granted): Extension<Granted>,
    session: Session,
    headers: HeaderMap,
    query: Result<Query<TicketQuery>, QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return errors::unreadable(e.status()),
    };
    let (audience, name) = match &info.host {
        VirtualHost::Tenant(name) => (Audience::Dashboard, name),
        VirtualHost::Dns(name) => (Audience::Dns, name),
        _ => return errors::failure(&Failure::not_found()),
    };
    let tls = state.is_tls();
    let return_to = match audience {
        Audience::Dashboard => return_to::get(&headers, tls),
        _ => None,
    };
    let to = match (local_path(query.to.as_deref()), return_to) {
        ("/", Some(path)) => path,
        (to, _) => to,
    };
    let RedeemedTicket { scope, parent } = match state
        .control
        .auth()
        .redeem(audience, name, &query.ticket)
        .await
    {
        Ok(redeemed) => redeemed,
        Err(_) if matches!(granted, Granted::Dashboard(_) | Granted::Dns(_)) => {
            return see_other(to);
        }
        Err(f) if f.code == ErrorCode::TicketInvalid => {
            return see_other(&match audience {
                // The dashboard makes a new ticket, after a sign-in if needed.
                Audience::Dns => state.site.url(info.scheme, name.as_str(), "/dns/open"),
                _ => format!("/sign-in?error={}", f.code),
            });
        }
        Err(f) => return errors::failure(&f),
    };
    let (id, name) = (scope.tenant(), scope.name().clone());
    let holder = match (audience, parent) {
        (Audience::Dns, Some(parent)) => Holder::Dns { id, name, parent },
        (Audience::Dashboard, None) => Holder::Dashboard { id, name },
        // Such a ticket is never issued.
        _ => return errors::failure(&Failure::not_found()),
    };
    match session::begin(&session, holder).await {
        Ok(()) => {
            let mut response = see_other(to);
            if return_to.is_some() {
                return_to::clear(&mut response, tls);
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

/// Answers POST `/operator/sign-in` on the operator's host.
pub async fn operator_sign_in(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    session: Session,
    form: Result<Form<Credentials>, FormRejection>,
) -> Response {
    if info.host != VirtualHost::Operator {
        return errors::failure(&Failure::not_found());
    }
    let form = match form {
        Ok(Form(form)) => form,
        Err(e) => return errors::unreadable(e.status()),
    };
    let password = Secret::new(form.password);
    let signed_in = state
        .control
        .auth()
        .operator_sign_in(&form.name, &password, info.client)
        .await;
    let operator = match signed_in {
        Ok(operator) => operator,
        Err(f) => return see_other(&form_with_error(&f, &form.name)),
    };
    let holder = Holder::Operator {
        name: operator.scope.name().to_owned(),
        proof: operator.proof,
    };
    match session::begin(&session, holder).await {
        Ok(()) => see_other("/"),
        Err(f) => see_other(&form_with_error(&f, &form.name)),
    }
}

/// Returns `/sign-in?error=…&field=…&name=…`.
fn form_with_error(f: &Failure, name: &str) -> String {
    let field = f.field.map_or("", app::forms::field_name);
    let name: String = name.chars().take(64).flat_map(escape).collect();
    format!("/sign-in?error={}&field={field}&name={name}", f.code)
}

/// Percent-encodes a character for a query.
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

/// Answers POST `/sign-out` on every host that has a sign-in.
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
    fn a_typed_name_is_returned_encoded() {
        let f = Failure::new(ErrorCode::SignInRefused, domain::Message::SignInRefused);
        let url = form_with_error(&f, "a&b=ä\r\nX: y");
        assert_eq!(
            url,
            "/sign-in?error=sign_in_refused&field=&name=a%26b%3D%C3%A4%0D%0AX%3A%20y"
        );
    }
}
