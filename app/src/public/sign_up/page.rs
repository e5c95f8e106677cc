//! The sign-up page, on the base.

use super::{NameRules, SignUpForm};
use crate::{
    context::{self, RequestContext},
    forms::{self, Refusal},
    loader::load,
    public::NodeFullBanner,
    ui::Centered,
};
use domain::{ErrorCode, Failure, Plan};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Renders `/sign-up?name=&plan=`. A name in the query is checked here, so that the
/// answer is shown without JavaScript too.
#[component]
pub fn SignUpPage() -> impl IntoView {
    let (texts, rules) = (context::texts(), NameRules::here());
    let query = use_query_map().get_untracked();
    let ready = context::control().and_then(|c| Ok((c, RequestContext::current()?)));
    load(async move {
        let (control, context) = ready?;
        let plans = control.plans().list().await?;
        let name = query.get("name").unwrap_or_default();
        let mut failure = forms::refusal_from_query(|key| query.get(key));
        let mut available = None;
        if failure.is_none() && !name.is_empty() {
            match control.tenants().check_name(&name).await {
                Ok(name) => available = Some(String::from(name)),
                Err(refused) => failure = Some(Refusal::new(&refused, texts)),
            }
        }
        // The form's failure may say already that the node is full.
        let refused = failure.as_ref().map(|f| f.code);
        let full = control.nodes().is_full().await? && refused != Some(ErrorCode::NodeFull);
        let plan = initial_plan(&plans, query.get("plan").as_deref());
        Ok::<_, Failure>(view! {
            <Centered title="Sign up" wide=true>
                <div>
                    <h1 class="text-2xl">"Make your network"</h1>
                    <p class="s">"Takes about a second. No e-mail address, no card."</p>
                </div>
                {full.then(|| view! { <NodeFullBanner/> })}
                <SignUpForm
                    base=context.base
                    rules=rules
                    plans=plans
                    name=name
                    available=available
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

/// Returns the plan that is checked first: the requested one, otherwise the
/// recommended, otherwise the first.
fn initial_plan(plans: &[Plan], requested: Option<&str>) -> String {
    plans
        .iter()
        .find(|p| Some(p.id.as_str()) == requested)
        .or_else(|| plans.iter().find(|p| p.recommended))
        .or(plans.first())
        .map(|p| p.id.clone())
        .unwrap_or_default()
}
