//! The sign-in page, on the base and on a tenant's host.

use super::{SignInForm, passkey::PasskeySignIn};
use crate::{context::RequestContext, forms, ui::Centered};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Renders `/sign-in`. With `name` it is that tenant's own page. A signed-in tenant
/// is redirected to the dashboard.
#[component]
pub fn SignInPage(
    /// The host's tenant.
    #[prop(optional, into)]
    name: Option<String>,
) -> impl IntoView {
    let query = use_query_map().get_untracked();
    let context = RequestContext::current().ok();
    if context.as_ref().is_some_and(|c| c.tenant.is_some()) {
        forms::redirect("/");
    }
    let (base, elsewhere) = match &context {
        Some(c) => (c.base.clone(), format!("{}://{}/sign-in", c.scheme, c.base)),
        None => (String::new(), "/sign-in".to_owned()),
    };
    let failure = forms::refusal_from_query(|key| query.get(key));
    let typed = query.get("name").unwrap_or_default();
    let stays = query.get("stay").as_deref() == Some("on");
    let notice = (query.get("notice").as_deref() == Some("password") && failure.is_none())
        .then_some("Your new password is set. Sign in with it.");
    let fixed = name.is_some();
    let heading = match name.clone() {
        Some(name) => view! {
            <h1 class="text-2xl">
                "Sign in to " <span class="text-accent" dir="ltr">{name}</span>
            </h1>
        }
        .into_any(),
        None => view! { <h1 class="text-2xl">"Sign in"</h1> }.into_any(),
    };
    view! {
        <Centered title="Sign in">
            {heading}
            <div role="status" class="empty:hidden">
                {notice.map(|text| view! { <p class="banner">"✓ " {text}</p> })}
            </div>
            <SignInForm base=base fixed=name name=typed stays=stays failure=failure/>
            {fixed.then(|| view! { <PasskeySignIn/> })}
            <p class="s">
                <a class="link" href="/recover">"Forgot your password?"</a>
            </p>
            {if fixed {
                view! {
                    <p class="s">
                        "Not your network? "
                        <a class="link" href=elsewhere>"Sign in to another one"</a>
                    </p>
                }
            } else {
                view! {
                    <p class="s">
                        "No network yet? "
                        <a class="link" href="/sign-up".to_owned()>"Make one"</a>
                    </p>
                }
            }}
        </Centered>
    }
}
