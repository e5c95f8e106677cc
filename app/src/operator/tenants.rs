//! The operator's table of tenants.

use super::listing::{Page, SortKey, Wanted, heading, pages, search};
use crate::{
    tenant::data,
    ui::{
        Chip, EmptyState, Glyph, Tone, format,
        quantity::{DATA, exact},
    },
};
use domain::{
    ErrorCode, OperatorRole, QuotaState, TenantId, TenantStatus,
    view::{DataView, TenantRow},
};
use leptos::prelude::*;

/// The page with the table.
const PATH: &str = "/";

/// By what the tenants are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    #[default]
    Slot,
    Name,
    Plan,
    Devices,
    Data,
    SignUp,
}

impl SortKey for SortBy {
    fn all() -> Vec<Self> {
        vec![
            Self::Name,
            Self::Slot,
            Self::Plan,
            Self::Devices,
            Self::Data,
            Self::SignUp,
        ]
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Slot => "slot",
            Self::Name => "name",
            Self::Plan => "plan",
            Self::Devices => "devices",
            Self::Data => "data",
            Self::SignUp => "new",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Slot => "Slot",
            Self::Name => "Tenant",
            Self::Plan => "Plan",
            Self::Devices => "Devices",
            Self::Data => "This month",
            Self::SignUp => "Newest",
        }
    }

    fn is_ascending(self) -> bool {
        matches!(self, Self::Slot | Self::Name | Self::Plan)
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Devices | Self::Data)
    }
}

/// Returns the page of the tenants that match, in the order that is asked for.
fn page(mut tenants: Vec<TenantRow>, wanted: &Wanted<SortBy>) -> Page<TenantRow> {
    tenants.retain(|t| matches(t, &wanted.search));
    tenants.sort_by(|a, b| {
        let order = match wanted.sort {
            SortBy::Slot => std::cmp::Ordering::Equal,
            SortBy::Name => a.name.cmp(&b.name),
            SortBy::Plan => a.plan.cmp(&b.plan),
            SortBy::Devices => b.devices.cmp(&a.devices),
            SortBy::Data => b.data.used_bytes.cmp(&a.data.used_bytes),
            SortBy::SignUp => b.created_at.cmp(&a.created_at),
        };
        // Every order is the same at each request.
        order.then(a.slot.cmp(&b.slot)).then(a.id.cmp(&b.id))
    });
    if wanted.turned {
        tenants.reverse();
    }
    Page::of(tenants, wanted.page)
}

/// A page of the tenants that match a search (name, address or plan), with their actions.
#[component]
pub fn Tenants(
    tenants: Vec<TenantRow>,
    wanted: Wanted<SortBy>,
    role: OperatorRole,
) -> impl IntoView {
    let total = tenants.len();
    let page = page(tenants, &wanted);
    let count = match wanted.search.is_empty() {
        true => format::thousands(total as u64),
        false => format!("{} of {total}", page.matching),
    };
    let links = pages(&page, &wanted, PATH);
    let head = |sort| heading(sort, &wanted, PATH);
    let body = if total == 0 {
        view! {
            <EmptyState
                glyph=Glyph::People
                title="No tenant yet"
                text="The first one to sign up appears here."
            />
        }
        .into_any()
    } else if page.rows.is_empty() {
        view! {
            <EmptyState
                glyph=Glyph::People
                title=format!("Nothing matches “{}”", wanted.search)
                text="Search for a part of a name, an address or a plan."
            >
                <a class="btn mt-2" href=PATH>"Show all"</a>
            </EmptyState>
        }
        .into_any()
    } else {
        view! {
            <div class="scroll">
                <table class="table cards">
                    <thead>
                        <tr>
                            {head(SortBy::Name)}
                            {head(SortBy::Slot)}
                            {head(SortBy::Plan)}
                            {head(SortBy::Devices)}
                            {head(SortBy::Data)}
                            <th scope="col">"State"</th>
                            <th scope="col"><span class="sr-only">"Actions"</span></th>
                        </tr>
                    </thead>
                    <tbody>
                        {page.rows.into_iter().map(|t| view! { <Row tenant=t role=role/> }).collect_view()}
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
                <span class="chip num">{count}</span>
                {search(&wanted, PATH, "Name, address, plan")}
            </div>
            {body}
            {links}
        </section>
    }
}

/// The plan of a tenant: a link for those who may change it.
#[component]
fn Plan(id: TenantId, name: String, plan: String, may_change: bool) -> AnyView {
    if !may_change {
        return view! { <span class="chip">{plan}</span> }.into_any();
    }
    let label = format!("Plan of {name}: {plan}. Change");
    view! {
        <a class="chip hover:underline" href=format!("/tenants/{id}/plan") aria-label=label>
            {plan}
        </a>
    }
    .into_any()
}

/// What an operator of this role may do to a tenant.
#[component]
fn Actions(id: TenantId, name: String, suspended: bool, role: OperatorRole) -> impl IntoView {
    let (verb, flag) = match suspended {
        true => ("Resume", "false"),
        false => ("Suspend", "true"),
    };
    let suspend = (role >= OperatorRole::Support).then(|| {
        view! {
            <form method="post" action="/do/suspend_tenant">
                <input type="hidden" name="id" value=id.to_string()/>
                <input type="hidden" name="suspended" value=flag/>
                <button class="btn btn-s" aria-label=format!("{verb} {name}")>
                    {verb}
                </button>
            </form>
        }
    });
    let delete = (role >= OperatorRole::Owner).then(|| {
        view! {
            <a
                class="btn btn-s btn-d"
                href=format!("/tenants/{id}/delete")
                aria-label=format!("Delete {name}")
            >
                "Delete"
            </a>
        }
    });
    let password = (role >= OperatorRole::Support).then(|| {
        view! {
            <a
                class="btn btn-s"
                href=format!("/tenants/{id}/reset")
                aria-label=format!("New password for {name}")
            >
                "Password"
            </a>
        }
    });
    let look = view! {
        <form method="post" action="/do/look_in">
            <input type="hidden" name="id" value=id.to_string()/>
            <button class="btn btn-s" aria-label=format!("Look in at {name}")>
                "Look in"
            </button>
        </form>
    };
    view! { <span class="inline-flex gap-1.5">{look} {suspend} {password} {delete}</span> }
}

#[component]
fn Row(tenant: TenantRow, role: OperatorRole) -> impl IntoView {
    let suspended = is_suspended(&tenant.status);
    // On a phone it is beside the name, where there is room for a word or two.
    let (tone, beside) = state(&tenant.status, &tenant.data);
    let state = match beside {
        SLOWER | STOPPED => format!("{beside} until {}", data::next_month(&tenant.data)),
        _ => beside.to_owned(),
    };
    let name = tenant.name.clone();
    let slot = format!("wg{} · {}", tenant.slot, tenant.subnet);
    let devices = format!("{} / {}", tenant.online, tenant.devices);
    let (used, of) = month(&tenant.data);
    let may_change = role >= OperatorRole::Support;
    let phone = format!("{slot} · {devices} devices · {used} {of}");
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
                <Plan
                    id=tenant.id
                    name=name.clone()
                    plan=tenant.plan
                    may_change=may_change
                />
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
                <Actions id=tenant.id name=name suspended=suspended role=role/>
            </td>
        </tr>
    }
}

/// Returns whether its DNS filter sleeps, because no device has connected yet.
fn is_asleep(status: &TenantStatus) -> bool {
    let problem = status.dns.problem();
    problem.is_some_and(|p| p.code == ErrorCode::Asleep)
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
    } else if is_asleep(status) {
        (Tone::Plain, "Asleep")
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
    use domain::{Part, Problem, Timestamp};

    fn row() -> TenantRow {
        TenantRow {
            id: TenantId(1),
            name: "abcd".into(),
            plan: "Home".into(),
            plan_id: "home".into(),
            data: domain::view::DataView::default(),
            node: None,
            slot: 1,
            subnet: "10.88.1.0/24".into(),
            dns_address: "10.92.0.3".into(),
            public_key: String::new(),
            devices: 6,
            online: 4,
            created_at: Timestamp(0),
            invitation: None,
            asleep_since: None,
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
    fn tenants_are_drawn_by_the_page_in_their_order() {
        let tenants: Vec<TenantRow> = (1..=250)
            .map(|n| TenantRow {
                id: TenantId(n),
                name: format!("tenant-{n:03}"),
                slot: n as u16,
                devices: (n % 7) as u32,
                ..row()
            })
            .collect();
        let slots = |sort, turned, number| {
            let wanted = Wanted {
                sort,
                turned,
                search: String::new(),
                page: number,
            };
            let page = page(tenants.clone(), &wanted);
            page.rows.iter().map(|t| t.slot).collect::<Vec<_>>()
        };
        assert_eq!(
            slots(SortBy::Slot, false, 2),
            (201..=250).collect::<Vec<_>>()
        );
        assert_eq!(slots(SortBy::Name, true, 0)[..2], [250, 249]);
        assert_eq!(slots(SortBy::Devices, false, 0)[..3], [6, 13, 20]);
        assert_eq!(slots(SortBy::Devices, true, 0)[..2], [245, 238]);
        let mut all: Vec<u16> = (0..3)
            .flat_map(|n| slots(SortBy::Devices, false, n))
            .collect();
        all.sort_unstable();
        assert_eq!(all, (1..=250).collect::<Vec<_>>(), "each one once");
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
        status.dns = problem(ErrorCode::Asleep);
        assert_eq!(state(&status, &data).1, "Asleep");
        status.tunnel = problem(ErrorCode::WireguardUnavailable);
        assert_eq!(state(&status, &data).1, "No tunnel");
        status.firewall = problem(ErrorCode::Suspended);
        assert_eq!(state(&status, &data).1, "Suspended");
        let data = DataView::default();
        assert_eq!(state(&TenantStatus::default(), &data).1, "Being made");
    }
}
