//! The icons, drawn on a 24 x 24 grid with a stroke of the text's colour. Kept
//! as markup in one place: an icon font or a crate of thousands would weigh
//! more than all pages together.

use leptos::prelude::*;

/// What an icon shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    /// Overview.
    Home,
    /// Devices.
    Devices,
    /// The mesh.
    Mesh,
    /// A shield with a tick: DNS protection.
    Shield,
    /// A person: the account.
    Person,
    /// Several people: tenants.
    People,
    /// A phone.
    Phone,
    /// A laptop.
    Laptop,
    /// A router.
    Router,
    /// A television.
    Tv,
    /// Add.
    Plus,
    /// Leads to another site.
    External,
    /// Further actions.
    More,
    /// Done.
    Check,
    /// Something is wrong.
    Alert,
    /// A machine.
    Node,
    /// A log.
    Log,
    /// A plan.
    Tag,
    /// The theme switch.
    Theme,
    /// Sign out.
    Leave,
    /// Delete.
    Trash,
    /// Download.
    Download,
    /// Copy.
    Copy,
    /// Back to the page before.
    Back,
}

impl Glyph {
    /// The shapes inside the `<svg>`.
    pub(crate) const fn shapes(self) -> &'static str {
        match self {
            Self::Home => r#"<path d="M4 11l8-7 8 7v8a1 1 0 0 1-1 1h-4v-6H9v6H5a1 1 0 0 1-1-1z"/>"#,
            Self::Devices => {
                r#"<rect x="3" y="5" width="13" height="10" rx="1.5"/><path d="M2 19h12"/><rect x="17" y="9" width="5" height="10" rx="1.2"/>"#
            }
            Self::Mesh => {
                r#"<circle cx="12" cy="12" r="2.4"/><circle cx="5" cy="5" r="1.8"/><circle cx="19" cy="6" r="1.8"/><circle cx="18" cy="19" r="1.8"/><circle cx="5" cy="18" r="1.8"/><path d="M6.3 6.3l4 4M17.6 7.2l-4 3.4M16.7 17.6l-3.2-3.9M6.3 16.8l4-3.4"/>"#
            }
            Self::Shield => {
                r#"<path d="M12 3l7.5 3v5.5c0 4.6-3.2 8-7.5 9.5-4.3-1.5-7.5-4.9-7.5-9.5V6z"/><path d="M9 12l2.2 2.2L15.5 10"/>"#
            }
            Self::Person => {
                r#"<circle cx="12" cy="8" r="3.6"/><path d="M4.5 20c1-3.6 4-5.4 7.5-5.4s6.5 1.8 7.5 5.4"/>"#
            }
            Self::People => {
                r#"<circle cx="9" cy="8" r="3.2"/><path d="M3 19c.7-3.2 3-4.8 6-4.8s5.3 1.6 6 4.8M16 5.2a3.2 3.2 0 0 1 0 5.8M17.5 14.5c2 .7 3.2 2.2 3.6 4.5"/>"#
            }
            Self::Phone => {
                r#"<rect x="7" y="2.5" width="10" height="19" rx="2"/><path d="M11 18.5h2"/>"#
            }
            Self::Laptop => {
                r#"<rect x="4.5" y="5" width="15" height="10.5" rx="1.5"/><path d="M2.5 19h19"/>"#
            }
            Self::Router => {
                r#"<rect x="3" y="13" width="18" height="6.5" rx="1.5"/><path d="M7 16.3h.01M10.5 16.3h.01M16.5 13V9M13.6 7.5a4 4 0 0 1 5.8 0"/>"#
            }
            Self::Tv => {
                r#"<rect x="3" y="5" width="18" height="12" rx="1.5"/><path d="M8 20.5h8"/>"#
            }
            Self::Plus => r#"<path d="M12 5v14M5 12h14"/>"#,
            Self::External => {
                r#"<path d="M14 5h5v5M19 5l-8 8M11 6H6a1 1 0 0 0-1 1v11a1 1 0 0 0 1 1h11a1 1 0 0 0 1-1v-5"/>"#
            }
            Self::More => r#"<path stroke-width="2.6" d="M5 12h.01M12 12h.01M19 12h.01"/>"#,
            Self::Check => r#"<path stroke-width="2.2" d="M5 12.5l4.5 4.5L19 7.5"/>"#,
            Self::Alert => r#"<path d="M12 4l9 16H3zM12 10v4M12 17h.01"/>"#,
            Self::Node => {
                r#"<rect x="3.5" y="4" width="17" height="6.5" rx="1.5"/><rect x="3.5" y="13.5" width="17" height="6.5" rx="1.5"/><path d="M7 7.2h.01M7 16.7h.01"/>"#
            }
            Self::Log => r#"<path d="M6 4h9l4 4v12H6zM9.5 12h6M9.5 16h6"/>"#,
            Self::Tag => r#"<path d="M4 12V5a1 1 0 0 1 1-1h7l8 8-8 8z"/><path d="M8.5 8.5h.01"/>"#,
            Self::Theme => {
                r#"<circle cx="12" cy="12" r="8"/><path fill="currentColor" stroke="none" d="M12 4a8 8 0 0 1 0 16z"/>"#
            }
            Self::Leave => r#"<path d="M14 4H6v16h8M10 12h10M17 9l3 3-3 3"/>"#,
            Self::Trash => {
                r#"<path d="M4 7h16M9 7V4.5h6V7M6.5 7l1 13h9l1-13M10 11v5.5M14 11v5.5"/>"#
            }
            Self::Download => r#"<path d="M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14"/>"#,
            Self::Copy => {
                r#"<rect x="9" y="9" width="11" height="11" rx="1.5"/><path d="M15 6V5a1 1 0 0 0-1-1H5a1 1 0 0 0-1 1v9a1 1 0 0 0 1 1h1"/>"#
            }
            Self::Back => r#"<path d="M15 5l-7 7 7 7"/>"#,
        }
    }
}

/// An icon beside a text that says the same: hidden from screen readers.
/// `class` sizes it (`icon` is 18 px).
#[component]
pub fn Icon(
    /// What it shows.
    glyph: Glyph,
    /// Classes in place of `icon`.
    #[prop(default = "icon")]
    class: &'static str,
) -> impl IntoView {
    view! {
        <svg
            class=class
            viewBox="0 0 24 24"
            fill="none"
            stroke="currentColor"
            stroke-width="1.7"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
            inner_html=glyph.shapes()
        ></svg>
    }
}
