//! The sign-up page, on the base.

use super::SignUpForm;
use crate::{
    context::{self, RequestContext},
    forms,
    ui::{Centered, Full, load},
};
use domain::{ErrorCode, Failure, Plan};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// `/sign-up?name=&plan=`. A name that came along is checked as the page is
/// made, so that the answer is there without JavaScript too.
#[component]
pub fn SignUpPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let ready = context::control().and_then(|c| Ok((c, RequestContext::current()?)));
    load(async move {
        let (control, context) = ready?;
        let plans = control.plans().await?;
        let name = query.get("name").unwrap_or_default();
        let mut failure = forms::told(|key| query.get(key));
        let mut good = None;
        if failure.is_none() && !name.is_empty() {
            match control.check_name(&name).await {
                Ok(name) => good = Some(String::from(name)),
                Err(refused) => failure = Some(refused),
            }
        }
        // Once said is enough.
        let refused = failure.as_ref().map(|f| f.code);
        let full = control.is_full() && refused != Some(ErrorCode::NodeFull);
        let plan = chosen(&plans, query.get("plan").as_deref());
        Ok::<_, Failure>(view! {
            <Centered title="Sign up" wide=true>
                <div>
                    <h1 class="text-2xl">"Make your network"</h1>
                    <p class="s">"Takes about a second. No e-mail address, no card."</p>
                </div>
                {full.then(|| view! { <Full/> })}
                <SignUpForm
                    base=context.base
                    plans=plans
                    name=name
                    good=good
                    plan=plan
                    failure=failure
                />
                <p class="s">
                    "You have one already? " <a class="link" href="/sign-in">"Sign in"</a>
                </p>
            </Centered>
        })
    })
}

/// The plan to begin with: the one asked for, else the recommended, else the first.
fn chosen(plans: &[Plan], asked: Option<&str>) -> String {
    plans
        .iter()
        .find(|p| Some(p.id.as_str()) == asked)
        .or_else(|| plans.iter().find(|p| p.recommended))
        .or(plans.first())
        .map(|p| p.id.clone())
        .unwrap_or_default()
}
