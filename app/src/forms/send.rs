//! The script's HTTP client: every request of an island is sent here.

use super::Refusal;
use domain::ErrorCode;

/// The answer to a request that succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The body, as JSON.
    pub text: String,
    /// The address the browser is redirected to.
    pub location: Option<String>,
}

/// Returns the refusal for a server that did not answer, or for which something
/// in front of it answered (a proxy's 502). The code says nothing about whether
/// the request took effect; the caller may try again.
fn unreachable() -> Refusal {
    Refusal {
        code: ErrorCode::Internal,
        field: None,
        message: "The server cannot be reached. Check your connection and try again.".to_owned(),
    }
}

/// Requests `url`, by POST if there is a form-encoded `body`.
///
/// # Errors
/// The server's refusal, or a failure that says it cannot be reached.
#[cfg(feature = "hydrate")]
pub async fn send(url: String, body: Option<String>) -> Result<Answer, Refusal> {
    match browser::fetch(&url, body).await {
        Ok((true, answer)) => Ok(answer),
        Ok((false, answer)) => {
            Err(serde_json::from_str(&answer.text).unwrap_or_else(|_| unreachable()))
        }
        Err(_) => Err(unreachable()),
    }
}

/// The server sends no requests to itself.
///
/// # Errors
/// Always.
#[cfg(not(feature = "hydrate"))]
pub async fn send(_url: String, _body: Option<String>) -> Result<Answer, Refusal> {
    Err(unreachable())
}

#[cfg(feature = "hydrate")]
pub(super) use browser::{form_request, navigate};

#[cfg(not(feature = "hydrate"))]
pub(super) fn form_request(_event: &leptos::ev::SubmitEvent) -> Option<(String, String)> {
    None
}

#[cfg(not(feature = "hydrate"))]
pub(super) fn navigate(_to: &str, _busy: leptos::prelude::RwSignal<bool>) {}

#[cfg(feature = "hydrate")]
mod browser {
    use super::Answer;
    use leptos::prelude::*;
    use std::time::Duration;
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{
        FormData, Headers, HtmlFormElement, RequestInit, Response, SubmitEvent, UrlSearchParams,
    };

    /// The header that marks a redirect for scripts (`leptos_axum::redirect`).
    const REDIRECT: &str = "serverfnredirect";

    /// Returns whether the status is a success, and the answer.
    pub async fn fetch(url: &str, body: Option<String>) -> Result<(bool, Answer), JsValue> {
        let headers = Headers::new()?;
        headers.set("Accept", "application/json")?;
        let init = RequestInit::new();
        if let Some(body) = body {
            headers.set("Content-Type", "application/x-www-form-urlencoded")?;
            init.set_method("POST");
            init.set_body(&JsValue::from_str(&body));
        }
        init.set_headers(&headers);
        let response = JsFuture::from(window().fetch_with_str_and_init(url, &init)).await?;
        let response: Response = response.dyn_into()?;
        let text = JsFuture::from(response.text()?).await?;
        let headers = response.headers();
        let location = if headers.has(REDIRECT)? {
            headers.get("Location")?
        } else {
            None
        };
        let text = text.as_string().unwrap_or_default();
        Ok((response.ok(), Answer { text, location }))
    }

    /// Returns address and encoded fields of a form, including the button that
    /// submitted it.
    pub fn form_request(event: &SubmitEvent) -> Option<(String, String)> {
        let form: HtmlFormElement = event.target()?.dyn_into().ok()?;
        let fields = FormData::new_with_form(&form).ok()?;
        let fields = UrlSearchParams::new_with_str_sequence_sequence(&fields).ok()?;
        let button = event.submitter();
        if let Some((name, value)) =
            button.and_then(|b| Some((b.get_attribute("name")?, b.get_attribute("value")?)))
        {
            fields.append(&name, &value);
        }
        Some((form.action(), String::from(fields.to_string())))
    }

    /// Opens another page. The button is enabled again after 5 s, for a user who
    /// returns to this page.
    pub fn navigate(to: &str, busy: RwSignal<bool>) {
        // Fails only for an invalid address.
        let _ = window().location().set_href(to);
        set_timeout(move || busy.set(false), Duration::from_secs(5));
    }
}
