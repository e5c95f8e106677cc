//! The operator's sign-in, and signing out.

use super::{
    arrival::{remove, set},
    client::sign_in_client,
    scope::Granted,
    session,
};
use crate::web::{
    errors,
    hosts::{RequestInfo, VirtualHost},
    redirect::{see_other, url_with},
    state::WebState,
};
use app::{
    cookies::{BROWSER, PENDING},
    public::sign_in::{code_page::CODE_PAGE, passkey::SECOND},
};
use axum::{
    Extension, Form,
    extract::{State, rejection::FormRejection},
    http::HeaderMap,
    response::Response,
};
use control::{OperatorSession, OperatorStep};
use domain::{ErrorCode, Failure, Secret};
use serde::Deserialize;
use tower_sessions::Session;

/// The operator's sign-in form.
#[derive(Deserialize)]
pub struct Credentials {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
}

/// Answers POST `/operator/sign-in` on the operator's host: begins a session, or asks for
/// the second step.
pub async fn operator_sign_in(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    session: Session,
    headers: HeaderMap,
    form: Result<Form<Credentials>, FormRejection>,
) -> Response {
    if info.host != VirtualHost::Operator {
        return errors::failure(&Failure::not_found());
    }
    let form = match form {
        Ok(Form(form)) => form,
        Err(e) => return errors::unreadable(e.status()),
    };
    let (password, tls) = (Secret::new(form.password), info.scheme == "https");
    let client = sign_in_client(&info, &headers);
    let auth = state.control.auth();
    match auth.operator_sign_in(&form.name, &password, client).await {
        Ok(OperatorStep::Done(operator)) => begin(&session, operator, tls)
            .await
            .unwrap_or_else(|f| see_other(&form_with_error(&f, &form.name))),
        Ok(OperatorStep::SecondFactor(pending)) => {
            let mut response = see_other(CODE_PAGE);
            set(&mut response, BROWSER, pending.browser.expose(), tls);
            set(&mut response, PENDING, pending.token.expose(), tls);
            response
        }
        Err(f) => see_other(&form_with_error(&f, &form.name)),
    }
}

/// The form of the operator's second step.
#[derive(Deserialize)]
pub struct SecondStep {
    #[serde(default)]
    code: String,
    /// What the page asked for.
    #[serde(default)]
    with: String,
}

/// Answers POST `/operator/sign-in/code` on the operator's host.
pub async fn operator_second_step(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    session: Session,
    headers: HeaderMap,
    form: Result<Form<SecondStep>, FormRejection>,
) -> Response {
    if info.host != VirtualHost::Operator {
        return errors::failure(&Failure::not_found());
    }
    let form = match form {
        Ok(Form(form)) => form,
        Err(e) => return errors::unreadable(e.status()),
    };
    let tls = info.scheme == "https";
    let pending = Secret::new(PENDING.read(&headers, tls).unwrap_or_default());
    let client = sign_in_client(&info, &headers);
    let auth = state.control.auth();
    let done = auth
        .operator_second_factor(&pending, &form.code, client)
        .await;
    let begun = match done {
        Ok(operator) => begin(&session, operator, tls).await,
        Err(f) => Err(f),
    };
    match begun {
        Ok(mut response) => {
            remove(&mut response, PENDING, tls);
            response
        }
        Err(f) if f.code == ErrorCode::SignInExpired => {
            let mut response = see_other(&form_with_error(&f, ""));
            remove(&mut response, PENDING, tls);
            response
        }
        Err(f) => {
            let with = if form.with == "recovery" {
                "recovery"
            } else {
                ""
            };
            see_other(&url_with(
                CODE_PAGE,
                &[("error", f.code.as_str()), ("with", with)],
            ))
        }
    }
}

/// A browser's answer to a passkey's challenge.
#[derive(Deserialize)]
pub struct PasskeyAnswer {
    #[serde(default)]
    answer: String,
    /// Whether it is the second step.
    #[serde(default)]
    step: String,
}

/// Answers POST `/operator/sign-in/passkey` on the operator's host: a passkey alone, or as the
/// second step.
pub async fn operator_passkey(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    session: Session,
    headers: HeaderMap,
    form: Result<Form<PasskeyAnswer>, FormRejection>,
) -> Response {
    if info.host != VirtualHost::Operator {
        return errors::failure(&Failure::not_found());
    }
    let form = match form {
        Ok(Form(form)) => form,
        Err(e) => return errors::unreadable(e.status()),
    };
    let tls = info.scheme == "https";
    let client = sign_in_client(&info, &headers);
    let (auth, answer) = (state.control.auth(), &form.answer);
    let is_second = form.step == SECOND;
    let done = match is_second {
        true => {
            let pending = Secret::new(PENDING.read(&headers, tls).unwrap_or_default());
            auth.operator_passkey_second_factor(&pending, answer, client)
                .await
        }
        false => auth.operator_passkey_sign_in(answer, client).await,
    };
    let begun = match done {
        Ok(operator) => begin(&session, operator, tls).await,
        Err(f) => Err(f),
    };
    match begun {
        Ok(mut response) => {
            remove(&mut response, PENDING, tls);
            response
        }
        Err(f) if is_second && f.code != ErrorCode::SignInExpired => {
            see_other(&url_with(CODE_PAGE, &[("error", f.code.as_str())]))
        }
        Err(f) => {
            let mut response = see_other(&form_with_error(&f, ""));
            remove(&mut response, PENDING, tls);
            response
        }
    }
}

/// Begins an operator's session and redirects to the home page.
async fn begin(
    session: &Session,
    operator: OperatorSession,
    tls: bool,
) -> Result<Response, Failure> {
    session::begin(session, operator.session).await?;
    let mut response = see_other("/");
    set(&mut response, BROWSER, operator.browser.expose(), tls);
    Ok(response)
}

/// Returns `/sign-in?error=…&field=…&name=…`.
fn form_with_error(f: &Failure, name: &str) -> String {
    let field = f.field.map_or("", app::forms::field_name);
    let name: String = name.chars().take(64).collect();
    let fields = [
        ("error", f.code.as_str()),
        ("field", field),
        ("name", &name),
    ];
    url_with("/sign-in", &fields)
}

/// Answers POST `/sign-out` on every host that has a sign-in. An operator who looked in
/// returns to the operators' host.
pub async fn sign_out(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    Extension(granted): Extension<Granted>,
    session: Session,
) -> Response {
    let left = async {
        if let Some(look) = granted.look() {
            state.control.auth().leave(look).await?;
        }
        session::end(&session).await
    };
    match left.await {
        Ok(()) if granted.look().is_some() => see_other(&state.site.url(info.scheme, "admin", "/")),
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
