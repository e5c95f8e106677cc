//! The one sender: everything a script asks the server goes through here.

use domain::{ErrorCode, Failure};

/// What a success came back with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The answer, as JSON.
    pub text: String,
    /// Where the browser is to go.
    pub leads_to: Option<String>,
}

/// The server did not answer, or something before it answered in its place (a
/// proxy's 502). No code that means "done, but": the caller may try again.
fn unreachable() -> Failure {
    Failure::new(
        ErrorCode::Internal,
        "The server cannot be reached. Check your connection and try again.",
    )
}

/// Asks `url`, by POST where there is a form-encoded `body`.
///
/// # Errors
/// What the server refused, or that it cannot be reached.
#[cfg(feature = "hydrate")]
pub async fn send(url: String, body: Option<String>) -> Result<Answer, Failure> {
    match browser::fetch(&url, body).await {
        Ok((true, answer)) => Ok(answer),
        Ok((false, answer)) => {
            Err(serde_json::from_str(&answer.text).unwrap_or_else(|_| unreachable()))
        }
        Err(_) => Err(unreachable()),
    }
}

/// On the server nobody asks.
///
/// # Errors
/// Always.
#[cfg(not(feature = "hydrate"))]
pub async fn send(_url: String, _body: Option<String>) -> Result<Answer, Failure> {
    Err(unreachable())
}

#[cfg(feature = "hydrate")]
pub(super) use browser::{filled, leave};

#[cfg(not(feature = "hydrate"))]
pub(super) fn filled(_event: &leptos::ev::SubmitEvent) -> Option<(String, String)> {
    None
}

#[cfg(not(feature = "hydrate"))]
pub(super) fn leave(_to: &str, _busy: leptos::prelude::RwSignal<bool>) {}

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

    /// The header that tells a script's redirect from a browser's
    /// (`leptos_axum::redirect`).
    const REDIRECT: &str = "serverfnredirect";

    /// Whether it is a success, and what came.
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
        let leads_to = if headers.has(REDIRECT)? {
            headers.get("Location")?
        } else {
            None
        };
        let text = text.as_string().unwrap_or_default();
        Ok((response.ok(), Answer { text, leads_to }))
    }

    /// Address and fields of a form, with the button that was pressed.
    pub fn filled(event: &SubmitEvent) -> Option<(String, String)> {
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

    /// Goes to another page. Whoever comes back from it finds the form as it
    /// was, with a button that works.
    pub fn leave(to: &str, busy: RwSignal<bool>) {
        // Fails only for an address that is none.
        let _ = window().location().set_href(to);
        set_timeout(move || busy.set(false), Duration::from_secs(5));
    }
}
