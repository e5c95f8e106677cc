//! `/plans`.

use super::{change::tenants, edit_path, ready};
use crate::{
    loader::load,
    ui::{
        Area, Chip, EmptyState, Glyph, Icon, NavItem, PageHead, PageShell, Tone, TopError,
        plan_text,
    },
};
use domain::{Failure, view::PlanUse};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Lists the plans with the number of their tenants.
#[component]
pub fn PlansPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let refusal = crate::forms::refusal_from_query(|key| query.get(key)).map(|f| f.message);
    let ready = ready();
    load(async move {
        let (control, operator) = ready?;
        let plans = control.plans().all(&operator).await?;
        let may_change = operator.owner().is_ok();
        let id = query.get("saved").unwrap_or_default();
        let saved = plans.iter().find(|p| p.plan.id == id);
        let saved = saved.map(|p| format!("“{}” is saved.", p.plan.name));
        let none_visible = !plans.is_empty() && !plans.iter().any(|p| p.plan.visible);
        let body = if plans.is_empty() {
            view! {
                <EmptyState
                    glyph=Glyph::Tag
                    title="No plan yet"
                    text="Visitors cannot sign up without one. Make one with the button above."
                />
            }
            .into_any()
        } else {
            view! { <Table plans=plans may_change=may_change/> }.into_any()
        };
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Plans
                who=operator.name().to_owned()
                title="Plans"
            >
                <PageHead title="Plans">
                    {may_change
                        .then(|| {
                            view! {
                                <a class="btn btn-p ms-auto" href="/plans/new">
                                    <Icon glyph=Glyph::Plus class="icon-s"/>
                                    "New plan"
                                </a>
                            }
                        })}
                </PageHead>
                <TopError message=Signal::stored(refusal)/>
                <div role="status" class="empty:hidden">
                    {saved.map(|text| view! { <p class="banner">"✓ "{text}</p> })}
                </div>
                {none_visible
                    .then(|| {
                        view! {
                            <p class="banner banner-warn">
                                <Icon glyph=Glyph::Alert/>
                                "No plan is visible: visitors cannot sign up."
                            </p>
                        }
                    })}
                <section class="card" aria-label="Plans">{body}</section>
            </PageShell>
        })
    })
}

#[component]
fn Table(plans: Vec<PlanUse>, may_change: bool) -> impl IntoView {
    view! {
        <div class="scroll">
            <table class="table cards">
                <thead>
                    <tr>
                        <th scope="col">"Plan"</th>
                        <th scope="col" class="e">"Devices"</th>
                        <th scope="col">"Data"</th>
                        <th scope="col">"Speed"</th>
                        <th scope="col" class="e">"Tenants"</th>
                        <th scope="col"><span class="sr-only">"Actions"</span></th>
                    </tr>
                </thead>
                <tbody>
                    {plans
                        .into_iter()
                        .map(|p| view! { <Row listed=p may_change=may_change/> })
                        .collect_view()}
                </tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(listed: PlanUse, may_change: bool) -> impl IntoView {
    let PlanUse {
        plan,
        tenants: count,
    } = listed;
    let (data, then) = (plan_text::data(&plan), plan_text::at_limit(&plan));
    let speed = plan_text::speed(&plan);
    let path = edit_path(&plan.id);
    let phone = format!(
        "{} · {speed} · {}",
        plan_text::devices(&plan),
        tenants(count)
    );
    let name = match may_change {
        true => view! {
            <a class="font-semibold hover:underline" href=path.clone()>{plan.name.clone()}</a>
        }
        .into_any(),
        false => view! { <span class="font-semibold">{plan.name.clone()}</span> }.into_any(),
    };
    let edit = may_change.then(|| {
        view! {
            <a class="btn btn-s" href=path aria-label=format!("Edit {}", plan.name)>
                "Edit"
            </a>
        }
    });
    view! {
        <tr>
            <td class="wide">
                <span class="row gap-y-1!">
                    {name}
                    {plan.recommended.then(|| view! { <Chip tone=Tone::Accent>"Recommended"</Chip> })}
                    {(!plan.visible).then(|| view! { <Chip>"Hidden"</Chip> })}
                </span>
                <span class="mob xs max-md:block">{phone}</span>
            </td>
            <td class="e num hide">{plan.devices}</td>
            <td class="wrap full">
                {data}
                <span class="xs block">{then}</span>
            </td>
            <td class="hide">{speed}</td>
            <td class="e num hide">{count}</td>
            <td class="e full">
                {edit}
            </td>
        </tr>
    }
}
