//! The operator's table of tenants.

use crate::{
    tenant::data,
    ui::{
        Chip, EmptyState, Glyph, Tone, format,
        quantity::{DATA, exact},
    },
};
use domain::{
    ErrorCode, QuotaState, TenantStatus,
    view::{DataView, TenantRow},
};
use leptos::prelude::*;

/// The tenants that match `search` (name, address or plan), with their actions.
#[component]
pub fn Tenants(tenants: Vec<TenantRow>, search: String) -> impl IntoView {
    let wanted = search.trim().to_lowercase();
    let none = tenants.is_empty();
    let matching: Vec<_> = tenants
        .into_iter()
        .filter(|t| matches(t, &wanted))
        .collect();
    let body = if none {
        view! {
            <EmptyState
                glyph=Glyph::People
                title="No tenant yet"
                text="The first one to sign up appears here."
            />
        }
        .into_any()
    } else if matching.is_empty() {
        view! {
            <EmptyState
                glyph=Glyph::People
                title=format!("Nothing matches “{}”", search.trim())
                text="Search for a part of a name, an address or a plan."
            >
                <a class="btn mt-2" href="/">"Show all"</a>
            </EmptyState>
        }
        .into_any()
    } else {
        view! {
            <div class="scroll">
                <table class="table cards">
                    <thead>
                        <tr>
                            <th scope="col">"Tenant"</th>
                            <th scope="col">"Slot"</th>
                            <th scope="col">"Plan"</th>
                            <th scope="col" class="e">"Devices"</th>
                            <th scope="col" class="e">"This month"</th>
                            <th scope="col">"State"</th>
                            <th scope="col"><span class="sr-only">"Actions"</span></th>
                        </tr>
                    </thead>
                    <tbody>
                        {matching.into_iter().map(|t| view! { <Row tenant=t/> }).collect_view()}
                    </tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! {
        <section class="card" aria-labelledby="tenants">
            <div class="hd">
                <h2 id="tenants">"Tenants"</h2>
                <form method="get" action="/" role="search" class="ms-auto">
                    <label class="sr-only" for="q">"Search tenants"</label>
                    <input
                        id="q"
                        class="field w-[220px]!"
                        type="search"
                        name="q"
                        value=search
                        placeholder="Name, address, plan"
                    />
                </form>
            </div>
            {body}
        </section>
    }
}

#[component]
fn Row(tenant: TenantRow) -> impl IntoView {
    let suspended = is_suspended(&tenant.status);
    // On a phone it is beside the name, where there is room for a word or two.
    let (tone, beside) = state(&tenant.status, &tenant.data);
    let state = match beside {
        SLOWER | STOPPED => format!("{beside} until {}", data::next_month(&tenant.data)),
        _ => beside.to_owned(),
    };
    let (verb, flag) = if suspended {
        ("Resume", "false")
    } else {
        ("Suspend", "true")
    };
    let name = tenant.name.clone();
    let slot = format!("wg{} · {}", tenant.slot, tenant.subnet);
    let devices = format!("{} / {}", tenant.online, tenant.devices);
    let (used, of) = month(&tenant.data);
    let phone = format!("{slot} · {devices} devices · {used} {of}");
    let plan_path = format!("/tenants/{}/plan", tenant.id);
    view! {
        <tr>
            <td class="wide">
                <span class="font-semibold">{tenant.name}</span>
                <span class="mob xs max-md:block">{phone}</span>
            </td>
            <td class="mono hide">{slot}</td>
            <td class="mob">
                <Chip tone=tone>{beside}</Chip>
            </td>
            <td class="full">
                <a
                    class="chip hover:underline"
                    href=plan_path
                    aria-label=format!("Plan of {name}: {}. Change", tenant.plan)
                >
                    {tenant.plan.clone()}
                </a>
            </td>
            <td class="e num hide">{devices}</td>
            <td class="e num hide">
                {used}
                <span class="xs block">{of}</span>
            </td>
            <td class="hide">
                <Chip tone=tone>{state}</Chip>
            </td>
            <td class="e full">
                <span class="inline-flex gap-1.5">
                    <form method="post" action="/do/suspend_tenant">
                        <input type="hidden" name="id" value=tenant.id.to_string()/>
                        <input type="hidden" name="suspended" value=flag/>
                        <button class="btn btn-s" aria-label=format!("{verb} {name}")>
                            {verb}
                        </button>
                    </form>
                    <a
                        class="btn btn-s btn-d"
                        href=format!("/tenants/{}/delete", tenant.id)
                        aria-label=format!("Delete {name}")
                    >
                        "Delete"
                    </a>
                </span>
            </td>
        </tr>
    }
}

fn is_suspended(status: &TenantStatus) -> bool {
    status
        .problem()
        .is_some_and(|p| p.code == ErrorCode::Suspended)
}

/// The state of a tenant whose data are used up, by the plan.
const SLOWER: &str = "Slower";
/// As [`SLOWER`].
const STOPPED: &str = "Stopped";

/// Returns tone and text of the chip for a tenant's state.
fn state(status: &TenantStatus, data: &DataView) -> (Tone, &'static str) {
    if is_suspended(status) {
        (Tone::Plain, "Suspended")
    } else if status.firewall.problem().is_some() || status.tunnel.problem().is_some() {
        (Tone::Bad, "No tunnel")
    } else if status.dns.problem().is_some() {
        (Tone::Warn, "No DNS filter")
    } else {
        match data.state {
            QuotaState::Slowed => (Tone::Warn, SLOWER),
            QuotaState::Stopped => (Tone::Bad, STOPPED),
            _ if status.is_ready() => (Tone::Live, "All well"),
            _ => (Tone::Plain, "Being made"),
        }
    }
}

/// Returns what is used of the month's data, and of how much.
fn month(data: &DataView) -> (String, String) {
    let of = match data.limit_bytes {
        Some(limit) => format!("of {}", exact(limit, &DATA)),
        None => "no limit".to_owned(),
    };
    (format::bytes(data.used_bytes), of)
}

fn matches(tenant: &TenantRow, wanted: &str) -> bool {
    wanted.is_empty()
        || tenant.name.contains(wanted)
        || tenant.subnet.contains(wanted)
        || tenant.plan.to_lowercase().contains(wanted)
        || format!("wg{}", tenant.slot) == wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Part, Problem, TenantId, Timestamp};

    fn row() -> TenantRow {
        TenantRow {
            id: TenantId(1),
            name: "abcd".into(),
            plan: "Home".into(),
            plan_id: "home".into(),
            data: domain::view::DataView::default(),
            slot: 1,
            subnet: "10.88.1.0/24".into(),
            devices: 6,
            online: 4,
            created_at: Timestamp(0),
            status: TenantStatus::default(),
        }
    }

    #[test]
    fn a_search_finds_names_addresses_plans_and_interfaces() {
        for hit in ["", "bc", "10.88.1", "home", "wg1"] {
            assert!(matches(&row(), hit), "{hit}");
        }
        assert!(!matches(&row(), "lina"));
    }

    #[test]
    fn the_state_shows_the_most_basic_problem() {
        let problem = |code| {
            Part::Problem(Problem {
                code,
                message: domain::Message::DnsSilent,
            })
        };
        let mut data = DataView::default();
        let ready = Part::Ready { took_ms: 0 };
        let mut status = TenantStatus {
            firewall: ready.clone(),
            tunnel: ready.clone(),
            dns: ready,
        };
        assert_eq!(state(&status, &data).1, "All well");
        data.state = QuotaState::Slowed;
        assert_eq!(state(&status, &data).1, SLOWER);
        status.dns = problem(ErrorCode::ImageMissing);
        assert_eq!(state(&status, &data).1, "No DNS filter");
        status.tunnel = problem(ErrorCode::WireguardUnavailable);
        assert_eq!(state(&status, &data).1, "No tunnel");
        status.firewall = problem(ErrorCode::Suspended);
        assert_eq!(state(&status, &data).1, "Suspended");
        let data = DataView::default();
        assert_eq!(state(&TenantStatus::default(), &data).1, "Being made");
    }
}
