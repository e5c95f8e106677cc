//! `/plans/:id/confirm`: whom a change touches, before it is saved.

use super::{
    change::{changes, consequences, tenants},
    edit_url,
    input::PlanInput,
    parsed, ready_to_change,
};
use crate::{
    loader::load,
    ui::{Area, Glyph, Icon, NavItem, PageHead, PageShell},
};
use domain::Failure;
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

/// Tells what changes and for whom, and asks once.
#[component]
pub fn ConfirmPlanPage() -> impl IntoView {
    let id = use_params_map().get_untracked().get("id");
    let query = use_query_map().get_untracked();
    let ready = ready_to_change();
    load(async move {
        let (control, operator) = ready?;
        let id = id.ok_or_else(Failure::not_found)?;
        let input = PlanInput {
            id,
            ..PlanInput::default().with_query(|key| query.get(key))
        };
        let (before, after) = parsed(&control, &operator, &input).await?;
        let impact = control.plans().preview(&operator, &after).await?;
        let (changed, told) = (changes(&before, &after), consequences(&impact, &after));
        let title = format!("Change {}?", before.name);
        let back = edit_url(&input);
        let whom = match impact.tenants {
            0 => "No tenant has this plan, so no tenant is touched.".to_owned(),
            1 => "1 tenant has this plan. The change holds for it at once.".to_owned(),
            n => format!(
                "{} have this plan. The change holds for all of them at once.",
                tenants(n)
            ),
        };
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Plans
                who=operator.name().to_owned()
                title=title.clone()
            >
                <PageHead title=title/>
                <div class="card grid max-w-[620px] gap-4 p-[22px] max-md:p-4">
                    <p>{whom}</p>
                    <table class="table">
                        <thead>
                            <tr>
                                <th scope="col">"What"</th>
                                <th scope="col">"Now"</th>
                                <th scope="col">"Then"</th>
                            </tr>
                        </thead>
                        <tbody>
                            {changed
                                .into_iter()
                                .map(|c| {
                                    view! {
                                        <tr>
                                            <th scope="row" class="wrap">{c.term}</th>
                                            <td class="wrap num">{c.before}</td>
                                            <td class="wrap num font-semibold">{c.after}</td>
                                        </tr>
                                    }
                                })
                                .collect_view()}
                        </tbody>
                    </table>
                    {told
                        .into_iter()
                        .map(|(is_worse, text)| {
                            let (class, glyph) = if is_worse {
                                ("banner banner-warn", Glyph::Alert)
                            } else {
                                ("banner", Glyph::Check)
                            };
                            view! {
                                <p class=class>
                                    <Icon glyph=glyph/>
                                    <span>{text}</span>
                                </p>
                            }
                        })
                        .collect_view()}
                    <form class="row" method="post" action="/do/change_plan">
                        {input
                            .pairs()
                            .into_iter()
                            .map(|(name, value)| {
                                view! { <input type="hidden" name=name value=value/> }
                            })
                            .collect_view()}
                        <input type="hidden" name="confirmed" value="true"/>
                        <button class="btn btn-p" autofocus>"Change the plan"</button>
                        <a class="btn" href=back>"Back to the form"</a>
                    </form>
                </div>
            </PageShell>
        })
    })
}
