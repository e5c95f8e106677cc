//! The operator's home, sign-in and the page that asks before a tenant goes.

use super::tenants::Tenants;
use crate::{
    context,
    events::EventList,
    forms,
    ui::{
        Area, Centered, EmptyState, Field, Glyph, Here, Note, PageHead, PageShell, RelativeTime,
        TopError, format, load,
    },
};
use domain::{
    ErrorCode, Failure, Problem, TenantId, Timestamp,
    view::{AuditRow, CapacityView, EventRow, OperatorView, TenantRow},
};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

/// `/` on the operator's host. `?q=` searches the tenants.
#[component]
pub fn OperatorPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let ready = context::control().and_then(|c| Ok((c, context::operator()?)));
    load(async move {
        let (control, scope) = ready?;
        let view = control.operator_view(&scope).await?;
        let told = forms::told(|key| query.get(key)).map(|f| f.sentence);
        let search = query.get("q").unwrap_or_default();
        let who = scope.name().to_owned();
        let (problems, figures) = (problems(&view), Figure::all(&view));
        let OperatorView {
            now,
            wireguard,
            tenants,
            events,
            audit,
            ..
        } = view;
        Ok::<_, Failure>(view! {
            <PageShell area=Area::Operator here=Here::Home who=who title="Home">
                <PageHead title="Home">
                    <span class="s ms-auto">{wireguard}</span>
                </PageHead>
                <TopError sentence=Signal::stored(told)/>
                <NeedsYou problems=problems/>
                <Figures figures=figures/>
                <Tenants tenants=tenants search=search/>
                <Events rows=events now=now/>
                <Audit rows=audit now=now/>
            </PageShell>
        })
    })
}

/// The node's own problems, then each tenant's first, with whom they concern.
fn problems(view: &OperatorView) -> Vec<(Option<String>, Problem)> {
    let own = view.problems.iter().map(|p| (None, p.clone()));
    let tenants = view.tenants.iter().filter_map(|t| {
        let problem = t.status.problem()?.clone();
        // Suspended is what the operator wanted, and shows in the table.
        (problem.code != ErrorCode::Suspended).then_some((Some(t.name.clone()), problem))
    });
    own.chain(tenants).collect()
}

#[component]
fn NeedsYou(problems: Vec<(Option<String>, Problem)>) -> impl IntoView {
    let count = problems.len();
    (count > 0).then(|| {
        view! {
            <section class="card" aria-labelledby="needs">
                <div class="hd">
                    <h2 id="needs">"Needs you"</h2>
                    <span class="chip chip-warn num">{count}</span>
                </div>
                <ul>
                    {problems
                        .into_iter()
                        .map(|(tenant, problem)| {
                            let (dot, about) = match tenant {
                                Some(name) => ("dot dot-warn", format!("{name}: ")),
                                None => ("dot dot-bad", String::new()),
                            };
                            view! {
                                <li class="flex items-center gap-3 border-t border-line px-4.5 py-3">
                                    <span class=dot aria-hidden="true"></span>
                                    <p>
                                        <b class="font-semibold">{about}</b>
                                        {problem.sentence}
                                    </p>
                                    <code class="xs ms-auto">{problem.code.as_str()}</code>
                                </li>
                            }
                        })
                        .collect_view()}
                </ul>
            </section>
        }
    })
}

/// One number of the row on top.
struct Figure {
    title: &'static str,
    number: String,
    of: String,
    note: String,
}

impl Figure {
    fn all(view: &OperatorView) -> [Figure; 4] {
        const WEEK_MILLIS: i64 = 7 * 86_400_000;
        let tenants = &view.tenants;
        let sum = |of: fn(&TenantRow) -> u32| tenants.iter().map(|t| u64::from(of(t))).sum();
        let count = |of: &dyn Fn(&&TenantRow) -> bool| tenants.iter().filter(of).count() as u64;
        let (devices, online): (u64, u64) = (sum(|t| t.devices), sum(|t| t.online));
        let new = count(&|t| view.now.millis_since(t.created_at) < WEEK_MILLIS);
        let well = count(&|t| t.status.is_ready());
        let total = tenants.len() as u64;
        let figure = |title, number, of: String, note: String| Figure {
            title,
            number: format::thousands(number),
            of,
            note,
        };
        [
            figure("Tenants", total, String::new(), format!("+{new} this week")),
            figure(
                "Devices online",
                online,
                format!("of {}", format::thousands(devices)),
                "handshake under 3 min".to_owned(),
            ),
            figure(
                "Tenants all well",
                well,
                format!("of {}", format::thousands(total)),
                "firewall, tunnel and DNS".to_owned(),
            ),
            figure(
                "Room for more",
                u64::from(view.capacity.more),
                "tenants".to_owned(),
                room_note(&view.capacity),
            ),
        ]
    }
}

/// What the room for more is made of.
fn room_note(capacity: &CapacityView) -> String {
    let slots = format!(
        "slots: {} free",
        format::thousands(capacity.slots_free.into())
    );
    let memory = match &capacity.memory {
        Some(m) => format!(
            "memory: {} of {} free, {} a tenant{}",
            format::bytes(m.free_bytes),
            format::bytes(m.total_bytes),
            format::bytes(m.each_bytes),
            match m.measured {
                0 => " as a guess",
                _ => "",
            }
        ),
        None => "memory: not measured".to_owned(),
    };
    match capacity.limit {
        Some(limit) => format!(
            "{memory}; {slots}; your limit: {}",
            format::thousands(limit.into())
        ),
        None => format!("{memory}; {slots}"),
    }
}

#[component]
fn Figures(figures: [Figure; 4]) -> impl IntoView {
    view! {
        <div class="card kpis">
            {figures
                .into_iter()
                .map(|f| {
                    view! {
                        <div class="kpi">
                            <small>{f.title}</small>
                            <b>{f.number} " " <span>{f.of}</span></b>
                            <span class="xs">{f.note}</span>
                        </div>
                    }
                })
                .collect_view()}
        </div>
    }
}

#[component]
fn Events(rows: Vec<EventRow>, now: Timestamp) -> impl IntoView {
    let list = if rows.is_empty() {
        view! {
            <EmptyState
                glyph=Glyph::Alert
                title="Nothing has happened yet"
                text="What fails, what works again, and what another hand changed on this machine is told here."
            />
        }
        .into_any()
    } else {
        view! { <EventList rows=rows now=now/> }.into_any()
    };
    view! {
        <section class="card" aria-labelledby="events">
            <div class="hd">
                <h2 id="events">"Events"</h2>
                <span class="xs">"newest first; all of them: " <code>"maliknode events"</code></span>
            </div>
            {list}
        </section>
    }
}

#[component]
fn Audit(rows: Vec<AuditRow>, now: Timestamp) -> impl IntoView {
    let empty = rows.is_empty();
    view! {
        <section class="card" aria-labelledby="audit">
            <div class="hd">
                <h2 id="audit">"Audit log"</h2>
                <span class="xs">"newest first"</span>
            </div>
            {if empty {
                view! {
                    <EmptyState
                        glyph=Glyph::Log
                        title="Nothing yet"
                        text="Whatever somebody changes is written down here."
                    />
                }
                    .into_any()
            } else {
                view! {
                    <div class="scroll">
                        <table class="table">
                            <thead>
                                <tr>
                                    <th scope="col">"When"</th>
                                    <th scope="col">"Who"</th>
                                    <th scope="col">"What"</th>
                                    <th scope="col">"To what"</th>
                                </tr>
                            </thead>
                            <tbody>
                                {rows
                                    .into_iter()
                                    .map(|row| {
                                        view! {
                                            <tr>
                                                <td class="s">
                                                    <RelativeTime at=row.at now=now/>
                                                </td>
                                                <td>{row.actor}</td>
                                                <td class="mono">{row.action}</td>
                                                <td class="wrap">{row.object}</td>
                                            </tr>
                                        }
                                    })
                                    .collect_view()}
                            </tbody>
                        </table>
                    </div>
                }
                    .into_any()
            }}
        </section>
    }
}

/// `/sign-in` on the operator's host. The form goes to the server's own route,
/// which makes the session; a refusal comes back in the query.
#[component]
pub fn OperatorSignIn() -> impl IntoView {
    let query = use_query_map().get_untracked();
    if context::operator().is_ok() {
        forms::go("/");
    }
    let told = forms::told(|key| query.get(key)).map(|f| f.sentence);
    let name = query.get("name").unwrap_or_default();
    view! {
        <Centered title="Operator sign-in">
            <div>
                <h1 class="text-2xl">"Operator"</h1>
                <p class="s">
                    "The first start printed a name and a password on the server."
                </p>
            </div>
            <form method="post" action="/operator/sign-in" class="grid gap-4">
                <TopError sentence=Signal::stored(told)/>
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
                <Field id="password" label="Password" note=Signal::stored(Note::None)>
                    <input
                        id="password"
                        class="field"
                        type="password"
                        name="password"
                        autocomplete="current-password"
                        required
                        maxlength="256"
                    />
                </Field>
                <button class="btn btn-p btn-lg">"Sign in"</button>
            </form>
        </Centered>
    }
}

/// `/tenants/:id/delete`: asks once, naming what goes.
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
        let scope = control.operator_tenant(&operator, id).await?;
        let name = scope.name().as_str().to_owned();
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                here=Here::Tenants
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
                        action="/api/operator_delete_tenant"
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

#[cfg(test)]
mod tests {
    use super::*;
    use domain::view::MemoryView;

    #[test]
    fn the_room_for_more_says_what_it_is_made_of() {
        let mut capacity = CapacityView {
            more: 70,
            slots_free: 1_000,
            memory: Some(MemoryView {
                total_bytes: 4_000_000_000,
                free_bytes: 3_100_000_000,
                reserve_bytes: 400_000_000,
                each_bytes: 33_000_000,
                measured: 12,
            }),
            limit: None,
        };
        assert_eq!(
            room_note(&capacity),
            "memory: 3.1 GB of 4.0 GB free, 33.0 MB a tenant; slots: 1,000 free"
        );
        capacity.memory = None;
        capacity.limit = Some(50);
        assert_eq!(
            room_note(&capacity),
            "memory: not measured; slots: 1,000 free; your limit: 50"
        );
    }
}
