//! `/account`.

use super::{DeleteAccountForm, time_zone::MonthCard, wrong_name};
use crate::{
    context,
    forms::{self, Refusal},
    loader::load,
    tenant::data,
    ui::{Glyph, Icon, NavItem, PageHead, PageShell, format, plan_text},
};
use domain::{
    Failure, Field, Plan,
    view::{DashboardView, DataView},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub fn AccountPage() -> impl IntoView {
    let ready = context::control().and_then(|c| Ok((c, context::tenant()?)));
    let texts = context::texts();
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    load(async move {
        let (control, scope) = ready?;
        let DashboardView { network, usage } = control.tenants().dashboard(&scope).await?;
        let name = network.name.clone();
        let saved = query.get("saved").is_some() && failure.is_none();
        // Only the form of the time zone returns one.
        let of_zone = query.get("time_zone").is_some();
        let (zone_failure, failure) = match failure {
            Some(f) if of_zone => (Some(f), None),
            other => (None, other),
        };
        let typed = failure.as_ref().and_then(|_| query.get("name"));
        // The query contains only the code; the message for a wrong name is made here.
        let failure = failure.map(|f| match f.field {
            Some(Field::Name) => Refusal::new(&wrong_name(&name), texts),
            _ => f,
        });
        Ok::<_, Failure>(view! {
            <PageShell current=NavItem::Account who=name.clone() title="Account">
                <PageHead title="Account"/>
                <PlanCard
                    plan=network.plan.clone()
                    devices=network.devices.len()
                    data=usage.data.clone()
                />
                <MonthCard plan=network.plan data=usage.data failure=zone_failure saved=saved/>
                <section class="card row px-[18px] py-4" aria-labelledby="out-title">
                    <div>
                        <h2 id="out-title">"Sign out"</h2>
                        <p class="s">"On this browser. Your devices stay connected."</p>
                    </div>
                    <form class="ms-auto" method="post" action="/sign-out">
                        <button class="btn">
                            <Icon glyph=Glyph::Leave class="icon-s"/>
                            "Sign out"
                        </button>
                    </form>
                </section>
                <section class="card grid max-w-[620px] gap-3 p-[18px]" aria-labelledby="end-title">
                    <h2 id="end-title">"Delete the account"</h2>
                    <p class="s">
                        "Every device is off at once. The tunnel, its keys, the DNS filter with its \
                         settings and its log are deleted, and the name becomes free. \
                         This cannot be undone."
                    </p>
                    <DeleteAccountForm name=name typed=typed.unwrap_or_default() failure=failure/>
                </section>
            </PageShell>
        })
    })
}

/// The limits of the plan and how much of them is used.
#[component]
fn PlanCard(plan: Plan, devices: usize, data: DataView) -> impl IntoView {
    let meter = |label: &'static str, class: &'static str, max: u64, value: u64| {
        view! { <progress class=class aria-label=label max=max value=value.min(max)></progress> }
    };
    let (number, unit) = format::bytes_parts(data.used_bytes);
    let notice = data::notice(&data).map(|n| format!("{} {}", n.title, n.text));
    view! {
        <section class="card" aria-labelledby="plan-title">
            <div class="hd border-b border-line">
                <h2 id="plan-title">"Plan and use"</h2>
                <span class="chip chip-accent">{plan.name.clone()}</span>
            </div>
            <div class="kpis grid-cols-3! max-md:grid-cols-1!">
                <div class="kpi">
                    <small>"Devices"</small>
                    <b>{devices} " " <span>{format!("of {}", plan.devices)}</span></b>
                    {meter(
                        "Devices in use",
                        "meter mt-[7px] mb-[3px]",
                        plan.devices.into(),
                        devices as u64,
                    )}
                </div>
                <div class="kpi">
                    <small>"Data this month"</small>
                    <b>{number} " " <span>{unit}</span></b>
                    {data::bar(&data)
                        .map(|b| meter("Used of this month's data", b.class, b.limit, b.used))}
                    <span class="xs">{data::note(&data)}</span>
                </div>
                <div class="kpi">
                    <small>"Speed"</small>
                    <p class="font-semibold">{plan_text::speed(&plan)}</p>
                    <span class="xs">{plan_text::data(&plan)}</span>
                    <span class="xs block">{plan_text::at_limit(&plan)}</span>
                </div>
            </div>
            {notice.map(|text| view! { <p class="s border-t border-line px-[18px] py-3">{text}</p> })}
        </section>
    }
}
