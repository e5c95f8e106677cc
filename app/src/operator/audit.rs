//! `/audit`: the audit log with a filter, page by page, and as a file.

use crate::{
    audit::{Entries, Files, Filter, READ_ROWS, audit_query, before, found_or_refused},
    context,
    loader::load,
    ui::{Area, NavItem, PageHead, PageShell},
};
use domain::Failure;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

const EXPORT: &str = "/audit/export";
const PAGE: &str = "/audit";

/// Renders the entries that match the filter of the query.
#[component]
pub fn AuditPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let filter = audit_query(|name| query.get(name));
    let before = before(&query);
    let texts = context::texts();
    let ready = context::control().and_then(|c| Ok((c, context::operator()?)));
    load(async move {
        let (control, operator) = ready?;
        let operators = control.operators();
        let found = operators.audit(&operator, &filter, before, READ_ROWS);
        let (rows, refused) = found_or_refused(found.await, texts)?;
        let (now, is_refused) = (control.now(), refused.is_some());
        let files = view! { <Files export=EXPORT filter=filter.clone()/> };
        let form =
            view! { <Filter page=PAGE filter=filter.clone() refused=refused about_tenants=true/> };
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Audit
                who=operator.name().to_owned()
                title="Audit log"
            >
                <PageHead title="Audit log">
                    {files}
                </PageHead>
                {form}
                <section class="card" aria-label="Entries">
                    <Entries page=PAGE rows=rows filter=filter now=now refused=is_refused/>
                </section>
            </PageShell>
        })
    })
}
