//! `/mesh`.

use super::LiveMesh;
use crate::{
    context,
    loader::load,
    ui::{NavItem, PageShell},
};
use domain::Failure;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Renders the mesh as a picture, or with `?show=list` as a list.
#[component]
pub fn MeshPage() -> impl IntoView {
    let texts = context::texts();
    let ready = context::control().and_then(|c| Ok((c, context::tenant_view()?)));
    let list = use_query_map().get_untracked().get("show").as_deref() == Some("list");
    load(async move {
        let (control, scope) = ready?;
        let view = control.tenants().network(&scope).await?;
        let view = view.map_problems(|p| texts.tenant_problem(&p));
        Ok::<_, Failure>(view! {
            <PageShell current=NavItem::Mesh who=view.name.clone() title="Mesh">
                <LiveMesh initial=view list=list/>
            </PageShell>
        })
    })
}
