//! The frames of pages: navigation, heading and content. Server only.

use super::{
    icons::{Glyph, Icon},
    parts::{Brand, ThemeSwitch},
};
use leptos::prelude::*;
use leptos_meta::Title;

/// The kind of account a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    Tenant,
    Operator,
    /// An operator who has to add a second factor before anything else.
    Enrolment,
}

/// An entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NavItem {
    Overview,
    Devices,
    Mesh,
    Events,
    Account,
    /// The operator's home page.
    Home,
    Tenants,
    Plans,
    /// Who uses how much of what.
    Use,
    /// The machines.
    Nodes,
    /// Who may sign up.
    SignUps,
    /// Mail that waits or was given up.
    Mail,
    /// Who runs the installation.
    Operators,
    /// The operator's event log.
    Log,
    /// The operator's audit log.
    Audit,
}

/// Entry, icon, address and text.
type NavLink = (Option<NavItem>, Glyph, &'static str, &'static str);

/// DNS leads to AdGuard Home itself: it opens on its own host, signed in.
const TENANT: [NavLink; 6] = [
    (Some(NavItem::Overview), Glyph::Home, "/", "Overview"),
    (
        Some(NavItem::Devices),
        Glyph::Devices,
        "/devices",
        "Devices",
    ),
    (Some(NavItem::Mesh), Glyph::Mesh, "/mesh", "Mesh"),
    (None, Glyph::Shield, "/dns/open", "DNS"),
    (Some(NavItem::Events), Glyph::Log, "/events", "Events"),
    (Some(NavItem::Account), Glyph::Person, "/account", "Account"),
];

const OPERATOR: [NavLink; 11] = [
    (Some(NavItem::Home), Glyph::Home, "/", "Home"),
    (
        Some(NavItem::Tenants),
        Glyph::People,
        "/#tenants",
        "Tenants",
    ),
    (Some(NavItem::Plans), Glyph::Tag, "/plans", "Plans"),
    (Some(NavItem::Use), Glyph::Gauge, "/use", "Use"),
    (Some(NavItem::Nodes), Glyph::Server, "/nodes", "Nodes"),
    (
        Some(NavItem::SignUps),
        Glyph::Person,
        "/sign-ups",
        "Sign-ups",
    ),
    (Some(NavItem::Mail), Glyph::Envelope, "/mail", "Mail"),
    (Some(NavItem::Log), Glyph::Alert, "/#events", "Events"),
    (Some(NavItem::Audit), Glyph::Log, "/audit", "Audit log"),
    (
        Some(NavItem::Operators),
        Glyph::People,
        "/operators",
        "Operators",
    ),
    (Some(NavItem::Account), Glyph::Person, "/account", "Account"),
];

fn nav_links(area: Area) -> &'static [NavLink] {
    match area {
        Area::Tenant => &TENANT,
        Area::Operator => &OPERATOR,
        Area::Enrolment => &[],
    }
}

/// Returns the entries of a phone's bar. The operator's home page links to the sign-ups, the mail,
/// the logs and the operators, and the operator's account is above the page: with them, the bar
/// would have more than five entries.
fn tabs(area: Area) -> impl Iterator<Item = &'static NavLink> {
    let is_elsewhere = move |item| match item {
        Some(
            NavItem::SignUps | NavItem::Mail | NavItem::Log | NavItem::Audit | NavItem::Operators,
        ) => true,
        Some(NavItem::Account) => area == Area::Operator,
        _ => false,
    };
    let links = nav_links(area).iter();
    links.filter(move |(item, ..)| !is_elsewhere(*item))
}

fn nav(links: impl Iterator<Item = &'static NavLink>, current: NavItem) -> impl IntoView {
    links
        .map(|(item, glyph, href, text)| {
            let aria_current = (*item == Some(current)).then_some("page");
            view! {
                <a href=*href aria-current=aria_current>
                    <Icon glyph=*glyph/>
                    {*text}
                </a>
            }
        })
        .collect_view()
}

/// A page for signed-in users: side bar (a tab bar on a phone) and content. The
/// content begins with a [`PageHead`].
#[component]
pub fn PageShell(
    /// The kind of account the page belongs to.
    #[prop(default = Area::Tenant)]
    area: Area,
    /// The entry of the navigation that is highlighted.
    current: NavItem,
    /// The name of the signed-in account.
    #[prop(into)]
    who: String,
    /// The browser's title.
    #[prop(into)]
    title: String,
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
                {nav(nav_links(area).iter(), current)}
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
                    {(area == Area::Operator)
                        .then(|| {
                            view! {
                                <a
                                    class="btn btn-q btn-icon"
                                    href="/account"
                                    aria-label="Account"
                                    title="Account"
                                >
                                    <Icon glyph=Glyph::Person/>
                                </a>
                            }
                        })}
                    <ThemeSwitch/>
                    <SignOut/>
                </span>
            </header>
            <main class="main" id="main" tabindex="-1">{children()}</main>
        </div>
        <nav class="tabbar" aria-label="Main">{nav(tabs(area), current)}</nav>
    }
}

/// The sign-out button. Signing out changes state, so it is a POST and not a link.
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

/// The first element a keyboard reaches: it leads past the navigation.
#[component]
fn SkipLink() -> impl IntoView {
    view! { <a class="skip" href="#main">"Skip to the content"</a> }
}

/// A page's heading, with chips and actions beside it.
#[component]
pub fn PageHead(
    #[prop(into)] title: String,
    /// The content beside it; give the first action `class="ms-auto"`.
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

/// A page with one centred column: sign-in, sign-up, progress, errors.
#[component]
pub fn Centered(
    /// The browser's title.
    #[prop(into)]
    title: String,
    /// Whether it is wide enough for cards side by side.
    #[prop(optional)]
    wide: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phones_bar_is_short() {
        assert_eq!(tabs(Area::Operator).count(), 5);
        assert_eq!(tabs(Area::Tenant).count(), TENANT.len());
    }
}
