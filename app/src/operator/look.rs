//! Looking in: an operator opens a tenant's dashboard from the table of tenants, and may allow
//! itself changes there for a while on `/tenants/:id/look`. On the tenant's host every page has a
//! banner then ([`LookBanner`]).

use super::{refused, refused_with};
use crate::{
    account::ask_address,
    context::{self, RequestContext},
    forms::{self, AppError},
    loader::load,
    ui::{Area, NavItem, PageHead, PageShell, TopError},
};
use domain::{ErrorCode, Failure, TenantId};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

/// Begins a look and leads to the tenant's host.
///
/// # Errors
/// Signed out, or the failures of `Auth::look_in`.
#[server(prefix = "/do", endpoint = "look_in")]
pub async fn look_in(id: i64) -> Result<(), AppError> {
    let begun = async {
        let (control, operator) = (context::control()?, context::operator()?);
        let (context, account) = (RequestContext::current()?, context::account()?);
        let auth = control.auth();
        let ticket = auth.look_in(&operator, &account, TenantId(id)).await?;
        Ok((context, ticket))
    };
    let (context, ticket) = begun.await.map_err(|f| refused(f, "/"))?;
    forms::hand_over(&context, &ticket, "/");
    Ok(())
}

/// Lets the look change things for a quarter of an hour and returns to the tenant's host. A proof
/// of presence may be asked for first.
///
/// # Errors
/// Signed out, or the failures of `Auth::allow_changes`.
#[server(prefix = "/do", endpoint = "allow_look_changes")]
pub async fn allow_look_changes(id: i64) -> Result<(), AppError> {
    let page = format!("/tenants/{id}/look");
    let allowed = async {
        let (control, operator) = (context::control()?, context::operator()?);
        let (context, account) = (RequestContext::current()?, context::account()?);
        let support = operator.support()?;
        let presence = control.account().presence(&account).await?;
        let (auth, tenant) = (control.auth(), TenantId(id));
        auth.allow_changes(support, &account, presence, tenant)
            .await?;
        let scope = auth.operator_tenant(support, tenant).await?;
        Ok::<_, Failure>(context.url(scope.name().as_str(), "/"))
    };
    match allowed.await {
        Ok(url) => forms::redirect(&url),
        Err(f) if f.code == ErrorCode::PresenceNeeded => {
            forms::redirect(&ask_address(&page, None));
        }
        Err(f) => return Err(refused_with(f, &page, &[])),
    }
    Ok(())
}

/// Asks whether the look may change things.
#[component]
pub fn LookPage() -> impl IntoView {
    let id = use_params_map().get_untracked().get("id");
    let id = id.and_then(|id| id.parse::<TenantId>().ok());
    let id = id.ok_or_else(Failure::not_found);
    let query = use_query_map().get_untracked();
    let message = forms::refusal_from_query(|key| query.get(key)).map(|f| f.message);
    let ready = context::control()
        .and_then(|c| Ok((c, context::operator()?, RequestContext::current()?, id?)));
    load(async move {
        let (control, operator, context, id) = ready?;
        let auth = control.auth();
        let scope = auth.operator_tenant(operator.support()?, id).await?;
        let name = scope.name().as_str().to_owned();
        let title = format!("Make changes as {name}?");
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Tenants
                who=operator.name().to_owned()
                title=title.clone()
            >
                <PageHead title=title/>
                <form
                    class="card grid max-w-[620px] gap-4 p-[22px] max-md:p-4"
                    method="post"
                    action="/do/allow_look_changes"
                >
                    <TopError message=Signal::stored(message)/>
                    <p>
                        {format!(
                            "For 15 minutes you can change the devices of {name}. What you change, and when you looked in, is in your audit log and in that of {name}.",
                        )}
                    </p>
                    <p class="s">
                        "Keys of devices, passwords, second factors, API tokens and AdGuard Home stay closed to you."
                    </p>
                    <input type="hidden" name="id" value=id.to_string()/>
                    <div class="row">
                        <button class="btn btn-p">"Allow changes for 15 minutes"</button>
                        <a class="btn btn-q" href=context.url(&name, "/")>"Only read"</a>
                    </div>
                </form>
            </PageShell>
        })
    })
}

/// The banner of a look, on every page of the tenant's host: who looks in, what that allows and
/// until when, and the way out. Nothing for the tenant itself.
#[component]
pub fn LookBanner() -> impl IntoView {
    let context = RequestContext::current().ok()?;
    let look = context.look.clone()?;
    let now = context::control().ok()?.now();
    let name = match &context.tenant {
        Some(tenant) => tenant.name().as_str().to_owned(),
        None => return None,
    };
    // A begun minute counts as one.
    let left =
        |until: domain::Timestamp| format!("{} min", (until.millis_since(now) + 59_999) / 60_000);
    let what = match look.changes_until {
        Some(until) => format!("You may change things for {}.", left(until)),
        None => "You only read.".to_owned(),
    };
    let text = format!(
        "Operator {} looks in at {name}, for {} at most. {what}",
        look.operator,
        left(look.expires)
    );
    let allow = (look.may_allow_changes && look.changes_until.is_none()).then(|| {
        let url = context.url("admin", &format!("/tenants/{}/look", look.tenant));
        // Not a link: the page's first link leads past the navigation.
        view! {
            <form method="get" action=url>
                <button class="btn btn-s">"Make changes"</button>
            </form>
        }
    });
    Some(view! {
        <aside class="banner banner-warn m-2 flex-wrap" aria-label="Looking in">
            <p class="grow" id="look">{text}</p>
            {allow}
            <form method="post" action="/sign-out">
                <button class="btn btn-s">"Leave"</button>
            </form>
        </aside>
    })
}
