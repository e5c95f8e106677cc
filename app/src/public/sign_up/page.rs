//! The sign-up page, on the base.

use super::{NameRules, SignUpForm};
use crate::{
    context::{self, RequestContext},
    forms::{self, Refusal},
    loader::load,
    public::{ClosedBanner, NodeFullBanner},
    ui::Centered,
};
use domain::{ErrorCode, Failure, Plan, SignUpMode};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Renders `/sign-up?name=&plan=&invitation=`. A name and an invitation in the query are
/// checked here, so that the answer is shown without JavaScript too. The address of the page
/// holds the invitation's code: pages send their address as `Referer` to their own origin
/// only (`server/src/web/middleware/headers.rs`).
#[component]
pub fn SignUpPage() -> impl IntoView {
    let (texts, rules) = (context::texts(), NameRules::here());
    let query = use_query_map().get_untracked();
    let ready = context::control().and_then(|c| Ok((c, RequestContext::current()?)));
    load(async move {
        let (control, context) = ready?;
        let mode = control.sign_ups().mode().await?;
        if mode == SignUpMode::Closed {
            return Ok(view! { <Closed/> }.into_any());
        }
        let mut plans = control.plans().list().await?;
        let name = query.get("name").unwrap_or_default();
        let mut failure = forms::refusal_from_query(|key| query.get(key));
        let code = query
            .get("invitation")
            .filter(|code| !code.trim().is_empty());
        // A code that the form was just refused for as unknown is not tried once more.
        let is_unknown = failure
            .as_ref()
            .is_some_and(|f| f.code == ErrorCode::InvitationUnknown);
        if let Some(code) = code.as_ref().filter(|_| !is_unknown) {
            match control.sign_ups().offer(code, context.from).await {
                Ok(offer) => {
                    if let Some(plan) = offer.plan {
                        plans = vec![plan];
                    }
                }
                Err(refused) => failure = Some(Refusal::new(&refused, texts)),
            }
        }
        let invitation = code.or_else(|| (mode == SignUpMode::Invite).then(String::new));
        let mut available = None;
        if failure.is_none() && !name.is_empty() {
            match control
                .tenants()
                .answer_name_check(&name, context.from)
                .await
            {
                Ok(name) => available = Some(String::from(name)),
                Err(refused) => failure = Some(Refusal::new(&refused, texts)),
            }
        }
        // The form's failure may say already that the node is full.
        let refused = failure.as_ref().map(|f| f.code);
        let full = control.nodes().is_full().await? && refused != Some(ErrorCode::NodeFull);
        let has_mail = control.mail().is_set_up();
        let mail = has_mail.then(|| query.get("mail").unwrap_or_default());
        let plan = initial_plan(&plans, query.get("plan").as_deref());
        let page = view! {
            <Centered title="Sign up" wide=true>
                <div>
                    <h1 class="text-2xl">"Make your network"</h1>
                    <p class="s">"Takes about a second. No mail address needed, no card."</p>
                </div>
                {full.then(|| view! { <NodeFullBanner/> })}
                <SignUpForm
                    base=context.base
                    rules=rules
                    plans=plans
                    name=name
                    available=available
                    plan=plan
                    invitation=invitation
                    mail=mail
                    failure=failure
                />
                <p class="s">
                    "You have one already? " <a class="link" href="/sign-in">"Sign in"</a>
                </p>
                <p class="s">
                    "What is stored about you, for how long, and how you delete it: "
                    <a class="link" href="/privacy">"Privacy"</a>
                </p>
            </Centered>
        };
        Ok::<_, Failure>(page.into_any())
    })
}

/// The page while sign-ups are closed: there is no form.
#[component]
fn Closed() -> impl IntoView {
    view! {
        <Centered title="Sign up">
            <h1 class="text-2xl">"Sign-ups are closed"</h1>
            <ClosedBanner/>
            <p class="s">"You have a network? " <a class="link" href="/sign-in">"Sign in"</a></p>
        </Centered>
    }
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
