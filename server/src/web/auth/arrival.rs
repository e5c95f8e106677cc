//! The end of a sign-in: a one-time ticket becomes a session on the host that it is
//! for. A ticket from another host is bound to the browser that asked for it
//! (`control/src/auth/ticket_binding.rs` says why and how): the browser goes to the
//! host that the ticket is for, back to the host that issued it, and there again.

use super::{client::sign_in_client, return_to, scope::Granted, session};
use crate::web::{
    errors,
    hosts::{RequestInfo, VirtualHost},
    redirect::{local_path, see_other, url_with},
    state::WebState,
};
use app::cookies::{ARRIVAL, BROWSER, HANDOFF, HostCookie};
use axum::{
    Extension,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, header},
    response::Response,
};
use control::{Audience, PresentedTicket, browser_hash};
use domain::{ErrorCode, Failure, Message, TenantName};
use serde::Deserialize;
use store::SessionDetails;
use tower_sessions::Session;

/// The query of `/arrive`.
#[derive(Deserialize)]
pub struct ArrivalQuery {
    /// The ticket, once it is bound to this browser.
    #[serde(default)]
    ticket: String,
    /// The host that has issued a ticket to this browser: `base` or `admin`. Without it
    /// and without a ticket it is this host.
    #[serde(default)]
    from: String,
    /// The path to open then.
    to: Option<String>,
}

/// Answers GET `/arrive` on a tenant's hosts. A client that is signed in here already
/// is redirected even if the ticket is used up (a reload, a link opened twice).
pub async fn arrive(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    Extension(granted): Extension<Granted>,
    session: Session,
    headers: HeaderMap,
    query: Result<Query<ArrivalQuery>, QueryRejection>,
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
    let tls = info.scheme == "https";
    let presented = if !query.ticket.is_empty() {
        PresentedTicket::Address {
            ticket: &query.ticket,
            nonce: ARRIVAL.read(&headers, tls).unwrap_or_default(),
        }
    } else if audience == Audience::Dns || !query.from.is_empty() {
        return begin(&state, &info, name, &query);
    } else {
        PresentedTicket::Cookie(HANDOFF.read(&headers, tls).unwrap_or_default())
    };
    let return_to = match audience {
        Audience::Dashboard => return_to::get(&headers, state.is_tls()),
        _ => None,
    };
    let to = match (local_path(query.to.as_deref()), return_to) {
        ("/", Some(path)) => path,
        (to, _) => to,
    };
    let client = sign_in_client(&info, &headers);
    let auth = state.control.auth();
    let redeemed = match auth.redeem(audience, name, presented, client.clone()).await {
        Ok(redeemed) => redeemed,
        // It may be the ticket of an operator who looks in.
        Err(f) if f.code == ErrorCode::TicketInvalid && audience == Audience::Dashboard => {
            match auth.arrive_to_look(name, presented, client).await {
                Ok(details) => return arrive_to_look(&session, details, tls).await,
                Err(_) if granted.tenant().is_some() => return see_other(to),
                Err(_) => return see_other(&format!("/sign-in?error={}", f.code)),
            }
        }
        Err(_) if matches!(granted, Granted::Dashboard(_) | Granted::Dns(_)) => {
            return see_other(to);
        }
        Err(f) if f.code == ErrorCode::TicketInvalid => {
            // The dashboard makes a new ticket, after a sign-in if needed.
            return see_other(&state.site.url(info.scheme, name.as_str(), "/dns/open"));
        }
        Err(f) => return errors::failure(&f),
    };
    match session::begin(&session, redeemed.session).await {
        Ok(()) => {
            let mut response = see_other(to);
            if return_to.is_some() {
                return_to::clear(&mut response, state.is_tls());
            }
            remove(&mut response, ARRIVAL, tls);
            remove(&mut response, HANDOFF, tls);
            // No password is typed on the host of AdGuard Home.
            if audience == Audience::Dashboard {
                set(&mut response, BROWSER, redeemed.browser.expose(), tls);
            }
            response
        }
        Err(f) => errors::failure(&f),
    }
}

/// Begins the session of an operator who looks in.
async fn arrive_to_look(session: &Session, details: SessionDetails, tls: bool) -> Response {
    match session::begin(session, details).await {
        Ok(()) => {
            let mut response = see_other("/");
            remove(&mut response, ARRIVAL, tls);
            response
        }
        Err(f) => errors::failure(&f),
    }
}

/// Sets a cookie of this host.
pub(super) fn set(response: &mut Response, cookie: HostCookie, value: &str, tls: bool) {
    if let Some(value) = cookie.header(value, tls) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Removes a cookie of this host.
pub(super) fn remove(response: &mut Response, cookie: HostCookie, tls: bool) {
    if let Some(value) = cookie.removal(tls) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Gives the browser a nonce and redirects to the host that has a ticket for it.
fn begin(
    state: &WebState,
    info: &RequestInfo,
    name: &TenantName,
    query: &ArrivalQuery,
) -> Response {
    let nonce = match state.control.auth().browser_nonce() {
        Ok(nonce) => nonce,
        Err(f) => return errors::failure(&f),
    };
    let browser = browser_hash(nonce.expose());
    let to = local_path(query.to.as_deref());
    let url = match (&info.host, query.from.as_str()) {
        (VirtualHost::Dns(_), _) => {
            let path = url_with("/dns/open", &[("browser", &browser)]);
            state.site.url(info.scheme, name.as_str(), &path)
        }
        (_, source @ ("base" | "admin")) => {
            let sub = if source == "base" { "" } else { source };
            let fields = [("name", name.as_str()), ("browser", &browser), ("to", to)];
            let path = url_with("/hand-over", &fields);
            state.site.url(info.scheme, sub, &path)
        }
        _ => return errors::failure(&Failure::not_found()),
    };
    let mut response = see_other(&url);
    set(
        &mut response,
        ARRIVAL,
        nonce.expose(),
        info.scheme == "https",
    );
    response
}

/// The query of `/hand-over`.
#[derive(Deserialize)]
pub struct HandOverQuery {
    /// The tenant whose dashboard the browser comes from.
    #[serde(default)]
    name: String,
    /// The hash of the nonce that the browser has there.
    #[serde(default)]
    browser: String,
    to: Option<String>,
}

/// Answers GET `/hand-over` on the hosts where a sign-in to a tenant's host begins:
/// binds the ticket that the browser has here, and redirects with it.
pub async fn hand_over(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    headers: HeaderMap,
    query: Result<Query<HandOverQuery>, QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return errors::unreadable(e.status()),
    };
    let is_issuer = matches!(info.host, VirtualHost::Base | VirtualHost::Operator);
    let (true, Ok(name)) = (is_issuer, TenantName::parse(&query.name)) else {
        return errors::failure(&Failure::not_found());
    };
    let tls = info.scheme == "https";
    let bound = match HANDOFF.read(&headers, tls) {
        Some(ticket) => {
            let bound = state.control.auth().bind_ticket(ticket, &query.browser);
            bound.await.map(|()| ticket)
        }
        None => Err(Failure::new(
            ErrorCode::TicketInvalid,
            Message::TicketInvalid,
        )),
    };
    let path = match bound {
        Ok(ticket) => {
            let to = local_path(query.to.as_deref());
            url_with("/arrive", &[("ticket", ticket), ("to", to)])
        }
        Err(f) if f.code == ErrorCode::TicketInvalid => format!("/sign-in?error={}", f.code),
        Err(f) => return errors::failure(&f),
    };
    let mut response = see_other(&state.site.url(info.scheme, name.as_str(), &path));
    remove(&mut response, HANDOFF, tls);
    response
}
