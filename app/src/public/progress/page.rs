//! The progress page, on a tenant's host.

use super::Progress;
use crate::{
    context::{self, RequestContext},
    loader::load,
    ui::Centered,
};
use domain::Failure;
use leptos::prelude::*;

/// Renders `/progress`. Without JavaScript the page reloads each second until a
/// device can be added.
#[component]
pub fn ProgressPage() -> impl IntoView {
    let texts = context::texts();
    let ready = context::control()
        .and_then(|c| Ok((c, context::tenant()?, RequestContext::current()?.base)));
    load(async move {
        let (control, scope, base) = ready?;
        let progress = control.tenants().progress(&scope).await?;
        let progress = progress.map_problems(|p| texts.tenant_problem(&p));
        let refresh = super::usable(&progress).is_none().then(|| {
            view! {
                <noscript>
                    <meta http-equiv="refresh" content="1"/>
                </noscript>
            }
        });
        let name = progress.name.clone();
        Ok::<_, Failure>(view! {
            {refresh}
            <Centered title="Making your network">
                <div>
                    <h1 class="text-2xl" dir="ltr">
                        "Making " <span class="text-accent">{name}</span> {format!(".{base}")}
                    </h1>
                    <p class="s">
                        "About a second. You can close this page; the work continues without it."
                    </p>
                </div>
                <Progress initial=progress/>
                <p class="s">
                    <a class="link" href="/">"To the overview"</a>
                </p>
            </Centered>
        })
    })
}
