//! Error pages inside the app.

use crate::{forms::set_status, ui::Centered};
use domain::{ErrorCode, Failure};
use leptos::prelude::*;

/// The page for an address under which there is nothing.
#[component]
pub fn NotFound() -> impl IntoView {
    set_status(ErrorCode::NotFound);
    view! { <ErrorPage code=ErrorCode::NotFound sentence=Failure::not_found().sentence/> }
}

/// The page for a failure that is not a form's: signed out leads to the
/// sign-in, all else tells the sentence with the code's HTTP status.
pub fn failed(failure: Failure) -> AnyView {
    if failure.code == ErrorCode::SignedOut {
        crate::forms::go("/sign-in");
    } else {
        set_status(failure.code);
    }
    view! { <ErrorPage code=failure.code sentence=failure.sentence/> }.into_any()
}

#[component]
fn ErrorPage(code: ErrorCode, sentence: String) -> impl IntoView {
    let title = title(code);
    let signed_out = code == ErrorCode::SignedOut;
    view! {
        <Centered title=title>
            <div class="grid gap-2">
                <p class="xs num">{code.status()}</p>
                <h1 class="text-2xl">{title}</h1>
                <p class="text-ink-2">{sentence}</p>
            </div>
            <div class="row">
                {if signed_out {
                    view! { <a class="btn btn-p" href="/sign-in">"Sign in"</a> }
                } else {
                    view! { <a class="btn" href="/">"To the start"</a> }
                }}
            </div>
        </Centered>
    }
}

/// A heading for each kind of failure; the sentence below says more.
const fn title(code: ErrorCode) -> &'static str {
    match code.status() {
        401 => "Signed out",
        403 => "Not allowed",
        404 => "Not found",
        421 => "Unknown address",
        429 => "Too many tries",
        503 => "Not now",
        500.. => "Something went wrong",
        _ => "That did not work",
    }
}
