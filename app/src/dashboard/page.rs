//! `/` on a tenant's host.

use super::LiveDashboard;
use crate::{
    context, forms,
    ui::{Here, PageShell, load},
};
use domain::Failure;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The overview.
#[component]
pub fn OverviewPage() -> impl IntoView {
    let ready = context::control().and_then(|c| Ok((c, context::tenant()?)));
    let query = use_query_map().get_untracked();
    let failure = forms::told(|key| query.get(key));
    load(async move {
        let (control, scope) = ready?;
        let view = control.dashboard(&scope).await?;
        Ok::<_, Failure>(view! {
            <PageShell here=Here::Overview who=view.name.clone() title="Overview">
                <LiveDashboard initial=view failure=failure/>
            </PageShell>
        })
    })
}
