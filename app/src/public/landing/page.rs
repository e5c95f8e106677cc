//! The landing page. The plans are read from the database; if it does not answer,
//! the page says so instead of showing an offer that might be wrong.

use super::NamePicker;
use crate::{
    context::{self, RequestContext},
    loader::load,
    public::{ClosedBanner, InvitationBanner, NodeFullBanner, sign_up::NameRules},
    ui::{Brand, Chip, Glyph, Icon, ThemeSwitch, Tone, plan_text},
};
use domain::{Failure, Plan, SignUpMode};
use leptos::prelude::*;
use leptos_meta::{Meta, Title};

/// Renders `/` on the base.
#[component]
pub fn LandingPage() -> impl IntoView {
    let rules = NameRules::here();
    let ready = context::control().and_then(|c| Ok((c, RequestContext::current()?)));
    load(async move {
        let (control, context) = ready?;
        let mode = control.sign_ups().mode().await?;
        let plans = control.plans().list().await?;
        let offer = match mode {
            SignUpMode::Closed => Offer::Closed,
            _ if control.nodes().is_full().await? => Offer::Full,
            SignUpMode::Invite => Offer::Invite,
            SignUpMode::Open => Offer::Open,
        };
        Ok::<_, Failure>(view! { <Landing base=context.base rules=rules plans=plans offer=offer/> })
    })
}

/// What a visitor can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Open,
    Invite,
    Full,
    Closed,
}

#[component]
fn Landing(base: String, rules: NameRules, plans: Vec<Plan>, offer: Offer) -> impl IntoView {
    let way = match offer {
        Offer::Open => view! { <NamePicker base=base rules=rules/> }.into_any(),
        Offer::Invite => view! { <InvitationBanner/> }.into_any(),
        Offer::Full => view! { <NodeFullBanner/> }.into_any(),
        Offer::Closed => view! { <ClosedBanner/> }.into_any(),
    };
    view! {
        <Title text=""/>
        <Meta
            name="description"
            content="A private network of your own: a WireGuard tunnel, ad-free DNS and an address, in one minute."
        />
        <a class="skip" href="#main">"Skip to the content"</a>
        <div class="mx-auto grid min-h-dvh max-w-[1120px] grid-cols-[minmax(0,1fr)] grid-rows-[auto_1fr_auto] px-5 md:px-7">
            <header class="row py-4">
                <Brand/>
                <span class="ms-auto flex items-center gap-1.5">
                    <ThemeSwitch/>
                    <a class="btn btn-q" href="/sign-in">"Sign in"</a>
                    {matches!(offer, Offer::Open | Offer::Invite)
                        .then(|| {
                            view! {
                                <a class="btn btn-p max-sm:hidden" href="/sign-up">"Start"</a>
                            }
                        })}
                </span>
            </header>
            <main id="main" tabindex="-1" class="grid grid-cols-[minmax(0,1fr)] content-start gap-13 py-8 md:py-11">
                <div class="two items-center">
                    <div class="grid gap-4.5">
                        <h1 class="text-[clamp(32px,5vw,50px)] leading-[1.08] tracking-[-0.03em]">
                            "A private network of your own, in one minute."
                        </h1>
                        <p class="max-w-[46ch] text-[17px] text-ink-2">
                            "Your own tunnel, your own ad-free DNS, your own address. Scan a code and your phone is on it. Nobody shares any of it with you."
                        </p>
                        {way}
                    </div>
                    <Picture/>
                </div>
                <section aria-labelledby="plans" class="grid gap-3.5">
                    <h2 id="plans" class="sr-only">"Plans"</h2>
                    <ul class="grid gap-3.5 grid-cols-[repeat(auto-fit,minmax(min(230px,100%),1fr))]">
                        {plans.into_iter().map(|plan| view! { <PlanCard plan=plan offer=offer/> }).collect_view()}
                    </ul>
                </section>
                <section aria-labelledby="how" class="grid gap-3.5">
                    <h2 id="how">"How it goes"</h2>
                    <ol class="grid gap-3.5 grid-cols-[repeat(auto-fit,minmax(min(230px,100%),1fr))]">
                        <How n="1" title="Take a name">
                            "It becomes your address and your dashboard."
                        </How>
                        <How n="2" title="Watch it being made">
                            "A network, a firewall and a DNS filter that are yours alone."
                        </How>
                        <How n="3" title="Scan a code">
                            "The WireGuard app does the rest. Ads stay outside."
                        </How>
                    </ol>
                </section>
            </main>
            <footer class="row border-t border-line py-5 text-ink-3">
                <span class="xs">"MalikNode is free software (AGPL-3.0-or-later)."</span>
                <a class="link xs" href="/privacy">"Privacy"</a>
                <span class="xs ms-auto">"WireGuard is a registered trademark of Jason A. Donenfeld."</span>
            </footer>
        </div>
    }
}

/// A drawing of a tenant's mesh.
#[component]
fn Picture() -> impl IntoView {
    view! {
        <svg
            viewBox="0 0 420 330"
            class="mx-auto block w-full max-w-[460px]"
            role="img"
            aria-label="Six devices around a gateway; four are connected."
            inner_html=include_str!("mesh.svg")
        ></svg>
    }
}

#[component]
fn How(n: &'static str, title: &'static str, children: Children) -> impl IntoView {
    view! {
        <li class="flex gap-3">
            <span class="avatar" aria-hidden="true">{n}</span>
            <div>
                <h3>{title}</h3>
                <p class="s">{children()}</p>
            </div>
        </li>
    }
}

#[component]
fn PlanCard(plan: Plan, offer: Offer) -> impl IntoView {
    let then = plan_text::at_limit(&plan);
    let features = [
        (plan_text::devices(&plan), None),
        (plan_text::speed(&plan), None),
        (plan_text::data(&plan), then),
    ];
    let (card, button) = if plan.recommended {
        (
            "card grid grid-rows-[auto_1fr_auto] gap-3 p-5.5 border-accent!",
            "btn btn-p",
        )
    } else {
        ("card grid grid-rows-[auto_1fr_auto] gap-3 p-5.5", "btn")
    };
    view! {
        <li class=card>
            <div class="row">
                <h3 class="text-[15px]">{plan.name.clone()}</h3>
                {plan
                    .recommended
                    .then(|| {
                        view! {
                            <span class="ms-auto">
                                <Chip tone=Tone::Accent>"Most take this"</Chip>
                            </span>
                        }
                    })}
            </div>
            <ul class="grid content-start gap-3">
                {features
                    .into_iter()
                    .map(|(text, then)| {
                        view! {
                            <li class="flex items-start gap-2 text-ink-2">
                                <span class="text-live"><Icon glyph=Glyph::Check class="icon-s"/></span>
                                <span>
                                    {text}
                                    {then.map(|then| view! { <span class="s block">{then}</span> })}
                                </span>
                            </li>
                        }
                    })
                    .collect_view()}
            </ul>
            {match offer {
                Offer::Full => view! { <p class="s">"No place is free just now."</p> }.into_any(),
                Offer::Closed => view! { <p class="s">"Sign-ups are closed."</p> }.into_any(),
                Offer::Invite => view! { <p class="s">"By invitation."</p> }.into_any(),
                Offer::Open => {
                    view! {
                        <a class=button href=format!("/sign-up?plan={}", plan.id)>
                            {format!("Choose {}", plan.name)}
                        </a>
                    }
                        .into_any()
                }
            }}
        </li>
    }
}
