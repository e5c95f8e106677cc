//! Error pages inside the app.

use super::status::{heading, status};
use crate::{
    context,
    forms::{self, set_status},
    ui::Centered,
};
use domain::{ErrorCode, Failure};
use leptos::prelude::*;
use texts::Texts;

/// The page for an unknown address.
#[component]
pub fn NotFound() -> impl IntoView {
    set_status(ErrorCode::NotFound);
    let message = context::texts().failure(&Failure::not_found());
    view! { <ErrorPage code=ErrorCode::NotFound message=message/> }
}

/// Returns the page for a failure outside a form: signed out leads to the sign-in, an owner
/// without a second factor to the page that adds one, anything else shows the message with
/// the code's HTTP status.
pub fn failure_page(failure: &Failure, texts: &Texts) -> AnyView {
    match failure.code {
        ErrorCode::SignedOut => forms::redirect("/sign-in"),
        ErrorCode::SecondFactorRequired => forms::redirect(forms::ADD_FACTOR),
        code => set_status(code),
    }
    view! { <ErrorPage code=failure.code message=texts.failure(failure)/> }.into_any()
}

#[component]
fn ErrorPage(code: ErrorCode, message: String) -> impl IntoView {
    let heading = heading(code);
    let signed_out = code == ErrorCode::SignedOut;
    view! {
        <Centered title=heading>
            <div class="grid gap-2">
                <p class="xs num">{status(code).as_u16()}</p>
                <h1 class="text-2xl">{heading}</h1>
                <p class="text-ink-2">{message}</p>
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
