//! `/tenants/:id/plan`: another plan for a tenant. Each plan says what it would mean
//! for this tenant before one is chosen.

use super::{acting_for, refused_with};
use crate::{
    context,
    forms::{self, AppError},
    loader::load,
    ui::{
        Area, Chip, NavItem, PageHead, PageShell, Tone, TopError, format, plan_text,
        quantity::{DATA, SPEED, exact},
    },
};
use domain::{Failure, Plan, QuotaState, TenantId, view::DataView};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

/// Gives a tenant another plan.
///
/// # Errors
/// Signed out, or the failures of `Tenants::set_plan`.
#[server(prefix = "/do", endpoint = "set_tenant_plan")]
pub async fn set_tenant_plan(id: i64, #[server(default)] plan: String) -> Result<(), AppError> {
    let done = async {
        let operator = context::operator()?;
        let (control, scope) = acting_for(id).await?;
        control
            .tenants()
            .set_plan(operator.support()?, &scope, &plan)
            .await
    }
    .await;
    let page = format!("/tenants/{id}/plan");
    done.map_err(|f| refused_with(f, &page, &[("plan", &plan)]))?;
    forms::redirect(&format!("{page}?saved"));
    Ok(())
}

/// Renders the plans to choose from, hidden ones too.
#[component]
pub fn TenantPlanPage() -> impl IntoView {
    let id = use_params_map().get_untracked().get("id");
    let id = id.and_then(|id| id.parse::<TenantId>().ok());
    let id = id.ok_or_else(Failure::not_found);
    let query = use_query_map().get_untracked();
    let message = forms::refusal_from_query(|key| query.get(key)).map(|f| f.message);
    let saved = query.get("saved").is_some() && message.is_none();
    let ready = context::control().and_then(|c| Ok((c, context::operator()?, id?)));
    load(async move {
        let (control, operator, id) = ready?;
        let scope = control
            .auth()
            .operator_tenant(operator.support()?, id)
            .await?;
        let view = control.tenants().dashboard(&scope).await?;
        let plans = control.plans().all(&operator).await?;
        let (name, devices) = (view.network.name, view.network.devices.len());
        let data = view.usage.data;
        let current = view.network.plan.id;
        let checked = query.get("plan").unwrap_or_else(|| current.clone());
        let uses = format!(
            "{} {}, {} used this month.",
            devices,
            if devices == 1 { "device" } else { "devices" },
            format::bytes(data.used_bytes)
        );
        let choices = plans.into_iter().map(|listed| {
            let plan = listed.plan;
            let told = (plan.id != current).then(|| consequences(&plan, devices, &data));
            let (checked, is_current) = (plan.id == checked, plan.id == current);
            view! { <Choice plan=plan is_current=is_current checked=checked told=told.unwrap_or_default()/> }
        });
        let choices = choices.collect_view();
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Tenants
                who=operator.name().to_owned()
                title=format!("Plan of {name}")
            >
                <PageHead title=format!("Plan of {name}")/>
                <div role="status" class="empty:hidden">
                    {saved.then(|| view! { <p class="banner">"✓ Saved. It holds at once."</p> })}
                </div>
                <form
                    class="card grid max-w-[620px] gap-4 p-[22px] max-md:p-4"
                    method="post"
                    action="/do/set_tenant_plan"
                >
                    <TopError message=Signal::stored(message)/>
                    <input type="hidden" name="id" value=id.to_string()/>
                    <fieldset class="grid gap-2.5">
                        <legend class="s mb-1.5">{format!("{name} has {uses}")}</legend>
                        {choices}
                    </fieldset>
                    <div class="row">
                        <button class="btn btn-p">{format!("Change the plan of {name}")}</button>
                        <a class="btn btn-q" href="/#tenants">"Back"</a>
                    </div>
                </form>
            </PageShell>
        })
    })
}

#[component]
fn Choice(plan: Plan, is_current: bool, checked: bool, told: Vec<String>) -> impl IntoView {
    let summary = plan_text::summary(&plan);
    view! {
        <label class="choice">
            <input type="radio" name="plan" value=plan.id checked=checked required/>
            <span>
                <span class="row gap-y-1!">
                    <span class="font-semibold">{plan.name}</span>
                    {is_current.then(|| view! { <Chip tone=Tone::Accent>"Now"</Chip> })}
                    {(!plan.visible).then(|| view! { <Chip>"Hidden"</Chip> })}
                </span>
                <span class="s block">{summary}</span>
                {told
                    .into_iter()
                    .map(|text| view! { <span class="s block text-warn!">"⚠ "{text}</span> })
                    .collect_view()}
            </span>
        </label>
    }
}

/// Returns what a plan would mean for a tenant with so many devices and that use.
fn consequences(plan: &Plan, devices: usize, data: &DataView) -> Vec<String> {
    let mut told = Vec::new();
    if devices > usize::from(plan.devices) {
        told.push("It has more devices than that, keeps them and can add none.".to_owned());
    }
    let limit = plan.monthly_bytes.unwrap_or_default();
    match QuotaState::of(data.used_bytes, plan) {
        QuotaState::Slowed => told.push(format!(
            "It has used {} already: {} from now on until its month ends.",
            exact(limit, &DATA),
            exact(plan.slow_bps, &SPEED)
        )),
        QuotaState::Stopped => told.push(format!(
            "It has used {} already: stopped from now on until its month ends.",
            exact(limit, &DATA)
        )),
        QuotaState::Open | QuotaState::Warned => {}
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::fixture;
    use domain::AtLimit;

    #[test]
    fn a_smaller_plan_says_what_it_takes() {
        let mut plan = fixture::plan();
        let mut data = DataView {
            used_bytes: 499_000_000_000,
            ..DataView::default()
        };
        assert!(consequences(&plan, 10, &data).is_empty());
        data.used_bytes = 500_000_000_000;
        let told = consequences(&plan, 11, &data);
        assert!(told[0].contains("more devices"), "{told:?}");
        assert!(told[1].contains("used 500 GB already: 1 Mb/s"), "{told:?}");
        plan.at_limit = AtLimit::Stop;
        let told = consequences(&plan, 1, &data);
        assert!(told[0].contains("stopped from now on"), "{told:?}");
    }
}
