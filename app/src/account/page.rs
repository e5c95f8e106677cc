//! `/account`.

use super::{
    DeleteAccountForm,
    area::Area,
    sessions::{Activity, Sessions},
    time_zone::MonthCard,
    tokens::Tokens,
    wrong_name,
};
use crate::{
    context,
    forms::{self, Refusal},
    loader::load,
    tenant::data,
    ui::{Chip, Glyph, Icon, PageHead, RelativeTime, Tone, TopError, format, plan_text},
};
use domain::{
    Failure, Field, Plan, Timestamp,
    view::{DashboardView, DataView, MailView, SecurityView},
};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};

/// Returns what the page says of a change that was just made.
fn notice(saved: &str) -> Option<&'static str> {
    Some(match saved {
        "password" => "The password is changed. Every other browser is signed out.",
        "two_step" => "Two-step sign-in is on.",
        "two_step_off" => "Two-step sign-in is off.",
        "recovery_codes" => "Keep your recovery codes safe.",
        "session" => "That session has ended.",
        "sessions" => "All other sessions have ended.",
        "token" => "The token is deleted.",
        _ => return None,
    })
}

/// Renders the account: for a tenant with plan, month and deletion.
#[component]
pub fn AccountPage() -> impl IntoView {
    let ready = Area::ready();
    let tenant = context::tenant_view();
    let texts = context::texts();
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    load(async move {
        let (control, account, area) = ready?;
        let handle = control.account();
        let security = handle.security(&account).await?;
        let mail = control.mail().address(&account).await?;
        let sessions = handle.sessions(&account).await?;
        let activity = handle.activity(&account).await?;
        let auth = control.auth();
        let by = auth.account_permission(&account).await?;
        let tokens = auth.api_tokens(&by).await?;
        let now = control.now();
        let saved = query.get("saved").filter(|_| failure.is_none());
        let notice = saved.as_deref().and_then(notice);
        let (own, end, on_top) = match (area.is_operator(), tenant) {
            (false, Ok(scope)) => {
                let DashboardView { network, usage } = control.tenants().dashboard(&scope).await?;
                let parts =
                    TenantParts::new(&network.name, failure, saved.as_deref(), &query, texts);
                let own = view! {
                    <PlanCard
                        plan=network.plan.clone()
                        devices=network.devices.len()
                        data=usage.data.clone()
                    />
                    <MonthCard
                        plan=network.plan
                        data=usage.data
                        failure=parts.zone_failure
                        saved=parts.zone_saved
                    />
                };
                let end = view! {
                    <section
                        class="card grid max-w-[620px] gap-3 p-[18px]"
                        aria-labelledby="end-title"
                    >
                        <h2 id="end-title">"Delete the account"</h2>
                        <p class="s">
                            "Every device is off at once. The tunnel, its keys, the DNS filter with its \
                             settings and its log are deleted, and the name becomes free. \
                             This cannot be undone."
                        </p>
                        <DeleteAccountForm
                            name=network.name
                            typed=parts.typed
                            failure=parts.delete_failure
                        />
                    </section>
                };
                (Some(own), Some(end), parts.on_top)
            }
            _ => (None, None, failure.map(|f| f.message)),
        };
        let all = match area.is_operator() {
            true => "/audit",
            false => "/account/audit",
        };
        let name = area.name().to_owned();
        let actor = match area.is_operator() {
            true => format!("operator:{name}"),
            false => name,
        };
        Ok::<_, Failure>(area.frame(
            "Account",
            view! {
                <PageHead title="Account"/>
                <div role="status" class="empty:hidden">
                    {notice
                        .map(|text| {
                            view! {
                                <p class="banner">
                                    <span class="text-live"><Icon glyph=Glyph::Check/></span>
                                    {text}
                                </p>
                            }
                        })}
                </div>
                <TopError message=Signal::stored(on_top)/>
                {own}
                <SignInCard security=security mail=mail now=now/>
                <Sessions rows=sessions now=now/>
                <Tokens tokens=tokens now=now/>
                <Activity rows=activity own=actor all=all now=now/>
                <section class="card row px-[18px] py-4" aria-labelledby="out-title">
                    <div>
                        <h2 id="out-title">"Sign out"</h2>
                        <p class="s">
                            {if area.is_operator() {
                                "On this browser."
                            } else {
                                "On this browser. Your devices stay connected."
                            }}
                        </p>
                    </div>
                    <form class="ms-auto" method="post" action="/sign-out">
                        <button class="btn">
                            <Icon glyph=Glyph::Leave class="icon-s"/>
                            "Sign out"
                        </button>
                    </form>
                </section>
                {end}
            },
        ))
    })
}

/// What the query says of the parts that only a tenant's page has.
struct TenantParts {
    zone_failure: Option<Refusal>,
    zone_saved: bool,
    delete_failure: Option<Refusal>,
    /// The name as typed before.
    typed: String,
    on_top: Option<String>,
}

impl TenantParts {
    fn new(
        name: &str,
        failure: Option<Refusal>,
        saved: Option<&str>,
        query: &ParamsMap,
        texts: &texts::Texts,
    ) -> Self {
        let mut parts = Self {
            zone_failure: None,
            zone_saved: saved == Some("time_zone"),
            delete_failure: None,
            typed: String::new(),
            on_top: None,
        };
        let Some(failure) = failure else { return parts };
        // Only the form of the time zone and that of the deletion return what was typed.
        if query.get("time_zone").is_some() {
            parts.zone_failure = Some(failure);
        } else if let Some(typed) = query.get("name") {
            parts.typed = typed;
            // The query contains only the code; the message for a wrong name is made here.
            parts.delete_failure = Some(match failure.field {
                Some(Field::Name) => Refusal::new(&wrong_name(name), texts),
                _ => failure,
            });
        } else {
            parts.on_top = Some(failure.message);
        }
        parts
    }
}

/// What a sign-in needs: the password, the second step, the recovery codes.
#[component]
fn SignInCard(security: SecurityView, mail: Option<MailView>, now: Timestamp) -> impl IntoView {
    let row = |title: &'static str, state: AnyView, href: &'static str, button: &'static str| {
        let label = format!("{title}: {button}");
        view! {
            <li>
                <div class="min-w-0 flex-1">
                    <p class="font-semibold">{title}</p>
                    <div class="s">{state}</div>
                </div>
                <a class="btn btn-s" href=href aria-label=label>{button}</a>
            </li>
        }
    };
    let left = security.recovery_codes_left;
    let codes = match left {
        0 => view! { <Chip tone=Tone::Warn>"None"</Chip> " You could not get in without your password or phone." }
            .into_any(),
        1 => view! { <Chip tone=Tone::Warn>"1 left"</Chip> }.into_any(),
        _ => format!("{left} left").into_any(),
    };
    let (two_step, button) = match security.totp_since {
        Some(at) => (
            view! { <Chip tone=Tone::Live>"On"</Chip> " since " <RelativeTime at=at now=now/> }
                .into_any(),
            "Change",
        ),
        None if !security.passkeys.is_empty() => (
            view! { <Chip>"Off"</Chip> " A sign-in asks for a passkey." }.into_any(),
            "Set up",
        ),
        None => (
            view! { <Chip>"Off"</Chip> " The password alone is enough to sign in." }.into_any(),
            "Set up",
        ),
    };
    let passkeys = match security.passkeys.len() {
        0 => "None. With one you sign in without typing a password.".into_any(),
        1 => "1 passkey".into_any(),
        n => format!("{n} passkeys").into_any(),
    };
    view! {
        <section class="card" aria-labelledby="sign-in-title">
            <div class="hd border-b border-line">
                <h2 id="sign-in-title">"Signing in"</h2>
            </div>
            <ul class="rows">
                {row(
                    "Password",
                    "Asked for at every sign-in.".into_any(),
                    "/account/password",
                    "Change",
                )}
                {row("Two-step sign-in", two_step, "/account/two-step", button)}
                {row("Passkeys", passkeys, "/account/passkeys", "Manage")}
                {row("Recovery codes", codes, "/account/recovery-codes", "Make new ones")}
                {mail.map(|mail| row("Mail address", mail_state(mail), "/account/mail", "Change"))}
            </ul>
        </section>
    }
}

/// Returns what is said of the mail address.
fn mail_state(mail: MailView) -> AnyView {
    match (mail.address, mail.pending) {
        (Some(address), _) => {
            view! { <span dir="ltr" class="wrap-anywhere">{address}</span> }.into_any()
        }
        (None, Some(_)) => {
            view! { <Chip tone=Tone::Warn>"Not confirmed"</Chip> " Open the link in the mail." }
                .into_any()
        }
        (None, None) => "None. With one you can set a new password if you forget yours.".into_any(),
    }
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
