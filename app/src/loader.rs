//! How a page that needs data is rendered. Server only.

use crate::{context, errors};
use domain::Failure;
use leptos::{prelude::*, tachys::html::InertElement};
use std::future::Future;

/// Renders a page that needs data: `data` asks `control` and returns the page. A
/// failure becomes a page of its own: signed out leads to the sign-in, anything
/// else to an error page with the code's HTTP status.
///
/// Read contexts (`control()`, `tenant()`, params) before the `async` block.
///
/// The page becomes text in one pass: nothing in it waits any more, and Leptos
/// would walk the whole tree again to find that out. Only islands hydrate, so
/// the rest is needed as text only.
pub fn load<V, F>(data: F) -> impl IntoView
where
    V: IntoView + 'static,
    F: Future<Output = Result<V, Failure>> + Send + 'static,
{
    let texts = context::texts();
    Suspend::new(async move {
        let html = match data.await {
            Ok(page) => page.into_view().to_html(),
            Err(failure) => errors::page::failure_page(&failure, texts).to_html(),
        };
        InertElement::new(html)
    })
}
