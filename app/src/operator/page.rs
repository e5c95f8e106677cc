//! The operator's home page, the sign-in and the page that confirms the deletion of
//! a tenant.

use super::{
    attention::{Attention, problems},
    figures::{Figure, Figures},
    listing::Wanted,
    logs::{Audit, Events},
    tenants::Tenants,
};
use crate::{
    context::{self, RequestContext},
    events::EventText,
    forms,
    loader::load,
    public::sign_in::passkey::PasskeySignIn,
    ui::{Area, Centered, Field, NavItem, Note, PageHead, PageShell, PasswordField, TopError},
};
use domain::{Failure, TenantId, view::OperatorView};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

/// `/` on the operator's host. `?q=` searches the tenants.
#[component]
pub fn OperatorPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let texts = context::texts();
    let message = forms::refusal_from_query(|key| query.get(key)).map(|f| f.message);
    let ready = context::control().and_then(|c| Ok((c, context::operator()?)));
    load(async move {
        let (control, scope) = ready?;
        let view = control.operators().overview(&scope).await?;
        let wanted = Wanted::from_query(|key| query.get(key));
        let (who, role) = (scope.name().to_owned(), scope.role());
        let (problems, figures) = (problems(&view, texts), Figure::all(&view));
        let OperatorView {
            now,
            wireguard,
            tenants,
            events,
            audit,
            ..
        } = view;
        let events = events.into_iter().map(|row| EventText {
            at: row.at,
            category: row.category,
            text: match row.node {
                Some(node) => format!("{node}: {}", texts.message(&row.message)),
                None => texts.message(&row.message),
            },
        });
        let events: Vec<_> = events.collect();
        Ok::<_, Failure>(view! {
            <PageShell area=Area::Operator current=NavItem::Home who=who title="Home">
                <PageHead title="Home">
                    <span class="s ms-auto">{wireguard}</span>
                </PageHead>
                // The bar of a phone has no entries for these.
                <p class="row s mob">
                    <a class="link" href="/sign-ups">"Sign-ups"</a>
                    <a class="link" href="/mail">"Mail"</a>
                    <a class="link" href="#events">"Events"</a>
                    <a class="link" href="/audit">"Audit log"</a>
                    <a class="link" href="/operators">"Operators"</a>
                </p>
                <TopError message=Signal::stored(message)/>
                <Attention problems=problems/>
                <Figures figures=figures/>
                <Tenants tenants=tenants wanted=wanted role=role/>
                <Events rows=events now=now/>
                <Audit rows=audit now=now/>
            </PageShell>
        })
    })
}

/// `/sign-in` on the operator's host. The form is sent to a route of the server,
/// which creates the session; a refusal is returned in the query.
#[component]
pub fn OperatorSignIn() -> impl IntoView {
    let query = use_query_map().get_untracked();
    if RequestContext::with(|c| c.operator.is_some()) == Ok(true) {
        forms::redirect("/");
    }
    let message = forms::refusal_from_query(|key| query.get(key)).map(|f| f.message);
    let notice = (query.get("notice").as_deref() == Some("password") && message.is_none())
        .then_some("Your new password is set. Sign in with it.");
    let name = query.get("name").unwrap_or_default();
    view! {
        <Centered title="Operator sign-in">
            <div>
                <h1 class="text-2xl">"Operator"</h1>
                <p class="s">
                    "The first operator is made with the link that the first start printed on the server, others by the link that they were given."
                </p>
            </div>
            <div role="status" class="empty:hidden">
                {notice.map(|text| view! { <p class="banner">"✓ " {text}</p> })}
            </div>
            <form method="post" action="/operator/sign-in" class="grid gap-4">
                <TopError message=Signal::stored(message)/>
                <Field id="name" label="Name" note=Signal::stored(Note::None)>
                    <input
                        id="name"
                        class="field"
                        type="text"
                        name="name"
                        value=name
                        autocomplete="username"
                        autocapitalize="none"
                        spellcheck="false"
                        required
                        maxlength="64"
                    />
                </Field>
                <PasswordField is_new=false error=None hint=String::new()/>
                <button class="btn btn-p btn-lg">"Sign in"</button>
            </form>
            <PasskeySignIn/>
            <p class="s">
                <a class="link" href="/recover">"Forgot your password?"</a>
            </p>
        </Centered>
    }
}

/// `/tenants/:id/delete`: confirms the deletion and lists what is deleted.
#[component]
pub fn DeleteTenantPage() -> impl IntoView {
    let id = use_params_map()
        .get_untracked()
        .get("id")
        .and_then(|id| id.parse::<TenantId>().ok())
        .ok_or_else(Failure::not_found);
    let ready = context::control().and_then(|c| Ok((c, context::operator()?, id?)));
    load(async move {
        let (control, operator, id) = ready?;
        let scope = control
            .auth()
            .operator_tenant(operator.owner()?, id)
            .await?;
        let name = scope.name().as_str().to_owned();
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Tenants
                who=operator.name().to_owned()
                title=format!("Delete {name}")
            >
                <PageHead title=format!("Delete {name}?")/>
                <div class="card grid max-w-[60ch] gap-4 p-5.5">
                    <p>
                        "This removes the account " <b>{name.clone()}</b>
                        ", its devices and keys, its tunnel, and its AdGuard Home with all settings and the query log. Its devices are cut off at once. It cannot be undone."
                    </p>
                    <form
                        class="row"
                        method="post"
                        action="/do/operator_delete_tenant"
                    >
                        <input type="hidden" name="id" value=id.to_string()/>
                        <button class="btn btn-pd">{format!("Delete {name}")}</button>
                        <a class="btn" href="/">"Keep it"</a>
                    </form>
                </div>
            </PageShell>
        })
    })
}
