//! `/plans/new` and `/plans/:id`: the form. It needs no script: a refusal returns to
//! the form's own address with what was typed.

use super::{
    PlanInput,
    change::tenants,
    inputs::{AtLimitChoice, Errors, FIELDS, Line, Quantity, Switch},
    ready_to_change,
};
use crate::{
    context,
    forms::{self, Refusal},
    loader::load,
    ui::{
        Area, Glyph, Icon, NavItem, PageHead, PageShell, TopError,
        quantity::{DATA, SPEED},
    },
};
use domain::{ErrorCode, Failure, Field};
use leptos::prelude::*;
use leptos_router::{
    hooks::{use_params_map, use_query_map},
    params::ParamsMap,
};

/// `/plans/new`.
#[component]
pub fn NewPlanPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let input = PlanInput {
        id: String::new(),
        ..PlanInput::new().with_query(|key| query.get(key))
    };
    let failure = refusal(&query, &input, context::texts());
    let ready = ready_to_change();
    load(async move {
        let (_, operator) = ready?;
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Plans
                who=operator.name().to_owned()
                title="New plan"
            >
                <BackToPlans/>
                <PageHead title="New plan"/>
                <PlanForm input=input failure=failure action="/do/create_plan" button="Create the plan"/>
            </PageShell>
        })
    })
}

/// `/plans/:id`.
#[component]
pub fn EditPlanPage() -> impl IntoView {
    let id = use_params_map().get_untracked().get("id");
    let id = id.unwrap_or_default();
    let query = use_query_map().get_untracked();
    let texts = context::texts();
    let ready = ready_to_change();
    load(async move {
        let (control, operator) = ready?;
        let plans = control.plans().all(&operator).await?;
        let listed = plans.into_iter().find(|p| p.plan.id == id);
        let listed = listed.ok_or_else(Failure::not_found)?;
        let input = PlanInput {
            id,
            ..PlanInput::of(&listed.plan).with_query(|key| query.get(key))
        };
        let failure = refusal(&query, &input, texts);
        let count = listed.tenants;
        let name = listed.plan.name;
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Plans
                who=operator.name().to_owned()
                title=format!("Plan {name}")
            >
                <BackToPlans/>
                <PageHead title=name.clone()>
                    <span class="chip">{tenants(count)}</span>
                </PageHead>
                <PlanForm
                    input=input.clone()
                    failure=failure
                    action="/do/change_plan"
                    button="Save the plan"
                />
                {(count == 0).then(|| view! { <Delete id=input.id name=name/> })}
            </PageShell>
        })
    })
}

#[component]
fn BackToPlans() -> impl IntoView {
    view! {
        <a class="s row w-fit gap-1.5! hover:underline" href="/plans">
            <Icon glyph=Glyph::Back class="icon-s"/>
            "Plans"
        </a>
    }
}

/// Returns the refusal that a query names. A value that no plan may have is looked at
/// again, so that its message is the precise one.
fn refusal(query: &ParamsMap, input: &PlanInput, texts: &texts::Texts) -> Option<Refusal> {
    let code = query.get("error")?;
    let is_malformed = code == ErrorCode::PlanMalformed.as_str();
    match input.plan(0) {
        Err(precise) if is_malformed => Some(Refusal::new(&precise, texts)),
        _ => {
            let mut general = general(&code, texts)?;
            let field = query.get("field");
            let mut fields = FIELDS.into_iter();
            general.field = field.and_then(|f| fields.find(|x| forms::field_name(*x) == f));
            Some(general)
        }
    }
}

fn general(code: &str, texts: &texts::Texts) -> Option<Refusal> {
    let code = ErrorCode::ALL.iter().find(|c| c.as_str() == code)?;
    Some(Refusal {
        code: *code,
        field: None,
        message: texts.code(*code),
    })
}

#[component]
fn PlanForm(
    input: PlanInput,
    failure: Option<Refusal>,
    action: &'static str,
    button: &'static str,
) -> impl IntoView {
    let errors = Errors::new(failure);
    view! {
        <form class="card grid max-w-[620px] gap-5 p-[22px] max-md:p-4" method="post" action=action>
            <TopError message=Signal::stored(errors.on_top())/>
            <input type="hidden" name="id" value=input.id/>
            <Line
                errors=errors
                field=Field::Name
                label="Name"
                hint="As visitors read it."
                value=input.name
                also=Field::PlanId
            />
            <div class="grid gap-5 sm:grid-cols-2">
                <Line
                    errors=errors
                    field=Field::Devices
                    label="Devices"
                    hint="At one time, for each tenant."
                    value=input.devices
                    numeric=true
                />
                <Quantity
                    errors=errors
                    field=Field::Data
                    label="Data a month"
                    hint="Both directions together. Empty: no limit."
                    value=input.data
                    unit=input.data_unit
                    units=DATA
                />
                <Quantity
                    errors=errors
                    field=Field::Down
                    label="Speed down"
                    hint="To all devices together. Empty: no limit."
                    value=input.down
                    unit=input.down_unit
                    units=SPEED
                />
                <Quantity
                    errors=errors
                    field=Field::Up
                    label="Speed up"
                    hint="From all devices together. Empty: no limit."
                    value=input.up
                    unit=input.up_unit
                    units=SPEED
                />
            </div>
            <AtLimitChoice errors=errors chosen=input.at_limit/>
            <div class="grid gap-5 sm:grid-cols-2">
                <Quantity
                    errors=errors
                    field=Field::Slow
                    label="Speed once slower"
                    hint="Each way; for “slower” only."
                    value=input.slow
                    unit=input.slow_unit
                    units=SPEED
                />
                <Line
                    errors=errors
                    field=Field::MonthDay
                    label="The month begins on day"
                    hint="1 to 31; in shorter months on the last day."
                    value=input.month_day
                    numeric=true
                />
            </div>
            <div class="grid gap-3">
                <Switch
                    name="visible"
                    title="Visible"
                    text="Visitors may choose it. Tenants who have it keep it in any case."
                    on=input.visible == "on"
                />
                <Switch
                    name="recommended"
                    title="Recommended"
                    text="The landing page marks it, and it is chosen first."
                    on=input.recommended == "on"
                />
            </div>
            <div class="row">
                <button class="btn btn-p">{button}</button>
                <a class="btn btn-q" href="/plans">"Cancel"</a>
            </div>
        </form>
    }
}

/// Deletes a plan that no tenant has; it asks once.
#[component]
fn Delete(id: String, name: String) -> impl IntoView {
    view! {
        <details class="card max-w-[620px] p-[18px]">
            <summary class="text-bad">{format!("Delete {name} …")}</summary>
            <form class="mt-3 grid gap-3" method="post" action="/do/delete_plan">
                <p class="s">
                    "No tenant has this plan. It cannot be brought back; to keep it for later, hide it instead."
                </p>
                <input type="hidden" name="id" value=id/>
                <div>
                    <button class="btn btn-pd">{format!("Delete {name}")}</button>
                </div>
            </form>
        </details>
    }
}
