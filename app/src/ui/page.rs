//! The frames of pages, and how a page that needs data is rendered. Server only.

use super::parts::{Brand, ThemeSwitch};
use crate::{
    errors,
    icons::{Glyph, Icon},
};
use domain::Failure;
use leptos::{prelude::*, tachys::html::InertElement};
use leptos_meta::Title;
use std::future::Future;

/// Whose pages these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// A tenant's dashboard.
    Tenant,
    /// The operator's pages.
    Operator,
}

/// The entry of the navigation that is shown as the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    /// A tenant's overview.
    Overview,
    /// A tenant's devices.
    Devices,
    /// A tenant's mesh.
    Mesh,
    /// A tenant's events.
    Events,
    /// A tenant's account.
    Account,
    /// The operator's home.
    Home,
    /// The operator's tenants.
    Tenants,
    /// The operator's event log.
    Log,
    /// The operator's audit log.
    Audit,
}

type Entry = (Option<Here>, Glyph, &'static str, &'static str);

/// Address, text and picture of each entry. DNS is AdGuard Home itself for now:
/// it opens on its own host, signed on.
const TENANT: [Entry; 6] = [
    (Some(Here::Overview), Glyph::Home, "/", "Overview"),
    (Some(Here::Devices), Glyph::Devices, "/devices", "Devices"),
    (Some(Here::Mesh), Glyph::Mesh, "/mesh", "Mesh"),
    (None, Glyph::Shield, "/dns/open", "DNS"),
    (Some(Here::Events), Glyph::Log, "/events", "Events"),
    (Some(Here::Account), Glyph::Person, "/account", "Account"),
];

const OPERATOR: [Entry; 4] = [
    (Some(Here::Home), Glyph::Home, "/", "Home"),
    (Some(Here::Tenants), Glyph::People, "/#tenants", "Tenants"),
    (Some(Here::Log), Glyph::Alert, "/#events", "Events"),
    (Some(Here::Audit), Glyph::Log, "/#audit", "Audit log"),
];

fn entries(area: Area) -> &'static [Entry] {
    match area {
        Area::Tenant => &TENANT,
        Area::Operator => &OPERATOR,
    }
}

fn links(area: Area, here: Here) -> impl IntoView {
    entries(area)
        .iter()
        .map(|(entry, glyph, href, text)| {
            let current = (*entry == Some(here)).then_some("page");
            view! {
                <a href=*href aria-current=current>
                    <Icon glyph=*glyph/>
                    {*text}
                </a>
            }
        })
        .collect_view()
}

/// A signed-in page: side bar (a tab bar on a phone) and content. The content
/// begins with a [`PageHead`].
#[component]
pub fn PageShell(
    /// Whose pages these are.
    #[prop(default = Area::Tenant)]
    area: Area,
    /// The present entry.
    here: Here,
    /// Who is signed in.
    #[prop(into)]
    who: String,
    /// The browser's title.
    #[prop(into)]
    title: String,
    /// The content.
    children: Children,
) -> impl IntoView {
    let initial = who
        .chars()
        .next()
        .map(|c| c.to_uppercase().to_string())
        .unwrap_or_default();
    view! {
        <Title text=title/>
        <SkipLink/>
        <div class="shell">
            <nav class="nav" aria-label="Main">
                <Brand/>
                {links(area, here)}
                <span class="grow"></span>
                <div class="nav-foot">
                    <span class="avatar" aria-hidden="true">{initial}</span>
                    <span class="truncate" title=who.clone()>{who.clone()}</span>
                    <span class="ms-auto flex">
                        <ThemeSwitch/>
                        <SignOut/>
                    </span>
                </div>
            </nav>
            <header class="topbar">
                <Brand/>
                <span class="ms-auto flex">
                    <ThemeSwitch/>
                    <SignOut/>
                </span>
            </header>
            <main class="main" id="main" tabindex="-1">{children()}</main>
        </div>
        <nav class="tabbar" aria-label="Main">{links(area, here)}</nav>
    }
}

/// Signing out changes something, so it is a POST and not a link.
#[component]
fn SignOut() -> impl IntoView {
    view! {
        <form method="post" action="/sign-out">
            <button class="btn btn-q btn-icon" aria-label="Sign out" title="Sign out">
                <Icon glyph=Glyph::Leave/>
            </button>
        </form>
    }
}

/// The first thing a keyboard reaches: past the navigation.
#[component]
fn SkipLink() -> impl IntoView {
    view! { <a class="skip" href="#main">"Skip to the content"</a> }
}

/// A page's heading with what stands beside it (chips, then actions).
#[component]
pub fn PageHead(
    /// The heading.
    #[prop(into)]
    title: String,
    /// What stands beside it; give the first action `class="ms-auto"`.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="row">
            <h1>{title}</h1>
            {children.map(|c| c())}
        </div>
    }
}

/// A page of one column in the middle: sign-in, sign-up, progress, errors.
#[component]
pub fn Centered(
    /// The browser's title.
    #[prop(into)]
    title: String,
    /// Wide enough for cards side by side.
    #[prop(optional)]
    wide: bool,
    /// The content.
    children: Children,
) -> impl IntoView {
    view! {
        <Title text=title/>
        <div class="centered">
            <main class=if wide { "centered-main centered-wide" } else { "centered-main" } id="main">
                <div class="row">
                    <Brand/>
                    <span class="-me-2 ms-auto"><ThemeSwitch/></span>
                </div>
                {children()}
            </main>
        </div>
    }
}

/// A page that needs data: `data` asks `control`, and its view is the page. A
/// failure becomes the right page of its own: signed out leads to the sign-in,
/// all else to an error page with the code's HTTP status.
///
/// Read contexts (`control()`, `tenant()`, params) before the `async` block.
///
/// The page becomes text at once, in one pass: nothing in it waits any more, and
/// Leptos would walk the whole tree again to find that out. Only islands
/// hydrate, so nothing but the text is needed of the rest.
pub fn load<V, F>(data: F) -> impl IntoView
where
    V: IntoView + 'static,
    F: Future<Output = Result<V, Failure>> + Send + 'static,
{
    Suspend::new(async move {
        let html = match data.await {
            Ok(page) => page.into_view().to_html(),
            Err(failure) => errors::page::failed(failure).to_html(),
        };
        InertElement::new(html)
    })
}
/// That no network can be made just now. Whoever has one is not concerned.
#[component]
pub fn Full() -> impl IntoView {
    view! {
        <div class="banner banner-warn" role="status">
            <Icon glyph=Glyph::Alert/>
            <p>
                <b>"This server is full just now. "</b>
                "A new network can be made as soon as a place becomes free. Those that are there go on as ever."
            </p>
        </div>
    }
}
