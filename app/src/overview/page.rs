//! `/` on a tenant's host.

use super::LiveDashboard;
use crate::{
    context, forms,
    loader::load,
    ui::{NavItem, PageShell},
};
use domain::Failure;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub fn OverviewPage() -> impl IntoView {
    let texts = context::texts();
    let ready = context::control().and_then(|c| Ok((c, context::tenant_view()?)));
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    load(async move {
        let (control, scope) = ready?;
        let view = control.tenants().dashboard(&scope).await?;
        let view = view.map_problems(|p| texts.tenant_problem(&p));
        Ok::<_, Failure>(view! {
            <PageShell current=NavItem::Overview who=view.network.name.clone() title="Overview">
                <LiveDashboard initial=view failure=failure/>
            </PageShell>
        })
    })
}
