//! `/tenants/:id/reset`: a one-time link with which a tenant sets a new password.

use super::{acting_for, refused};
use crate::{
    context::{self, RequestContext},
    cookies::RESET_LINK,
    devices::CopyConfig,
    forms::{self, AppError},
    loader::load,
    ui::{Area, NavItem, PageHead, PageShell, TopError},
};
use domain::{Failure, TenantId};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

/// Makes a link, which the next page shows once. With `without_factors` it also takes the
/// second step and the recovery codes away.
///
/// # Errors
/// Signed out, or the failures of `Account::tenant_reset_link`.
#[server(prefix = "/do", endpoint = "make_reset_link")]
pub async fn make_reset_link(id: i64, without_factors: Option<String>) -> Result<(), AppError> {
    let made = async {
        let operator = context::operator()?;
        let (control, scope) = acting_for(id).await?;
        let handle = control.account();
        handle
            .tenant_reset_link(operator.support()?, &scope, without_factors.is_some())
            .await
    };
    let page = format!("/tenants/{id}/reset");
    let link = made.await.map_err(|f| refused(f, &page))?;
    RESET_LINK.set(link.token.expose());
    forms::redirect(&page);
    Ok(())
}

/// Shows the link that was just made, or a form that makes one.
#[component]
pub fn ResetLinkPage() -> impl IntoView {
    let id = use_params_map().get_untracked().get("id");
    let id = id.and_then(|id| id.parse::<TenantId>().ok());
    let id = id.ok_or_else(Failure::not_found);
    let query = use_query_map().get_untracked();
    let message = forms::refusal_from_query(|key| query.get(key)).map(|f| f.message);
    let ready = context::control().and_then(|c| {
        let context = RequestContext::current()?;
        Ok((c, context::operator()?, context, id?))
    });
    // Only to a signed-in operator, whose browser brings it.
    let token = ready.is_ok().then(|| RESET_LINK.take()).flatten();
    load(async move {
        let (control, operator, context, id) = ready?;
        let scope = control
            .auth()
            .operator_tenant(operator.support()?, id)
            .await?;
        let name = scope.name().as_str().to_owned();
        let body = match token {
            Some(token) => {
                let path = forms::url_with("/reset", &[("token", &token)]);
                view! { <Made name=name.clone() url=context.url(&name, &path)/> }.into_any()
            }
            None => view! { <Make id=id name=name.clone() message=message/> }.into_any(),
        };
        let title = format!("New password for {name}");
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Tenants
                who=operator.name().to_owned()
                title=title.clone()
            >
                <PageHead title=title/>
                <div class="max-w-[620px]">{body}</div>
            </PageShell>
        })
    })
}

#[component]
fn Made(name: String, url: String) -> impl IntoView {
    view! {
        <section class="card grid gap-3 p-[22px] max-md:p-4" aria-label="The link">
            <p>
                {format!("Send this link to {name}, on a way that only they read. It works once and is shown ")}
                <b>"only now"</b> "."
            </p>
            // A click selects all of it.
            <pre
                id="link"
                class="mono select-all whitespace-pre-wrap break-all rounded-s border border-line bg-sunken p-3"
                dir="ltr"
                tabindex="0"
                aria-label="Link"
            >
                {url}
            </pre>
            <div class="row">
                <CopyConfig target="link".to_owned() holds="the link".to_owned()/>
                <a class="btn" href="/#tenants">"Done"</a>
            </div>
        </section>
    }
}

#[component]
fn Make(id: TenantId, name: String, message: Option<String>) -> impl IntoView {
    view! {
        <form
            class="card grid gap-4 p-[22px] max-md:p-4"
            method="post"
            action="/do/make_reset_link"
        >
            <TopError message=Signal::stored(message)/>
            <p>
                {format!(
                    "With the link {name} sets a new password. The present one works until then; a former link stops working.",
                )}
            </p>
            <input type="hidden" name="id" value=id.to_string()/>
            <label class="choice">
                <input type="checkbox" name="without_factors" value="on"/>
                <span>
                    <span class="block font-semibold">"Also without the second step"</span>
                    <span class="s">
                        "For a tenant who lost the phone and the recovery codes. Make sure first that it is them: who has this link has the account."
                    </span>
                </span>
            </label>
            <div class="row">
                <button class="btn btn-p">"Make the link"</button>
                <a class="btn btn-q" href="/#tenants">"Back"</a>
            </div>
        </form>
    }
}
