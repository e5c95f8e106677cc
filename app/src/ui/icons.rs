//! The icons. They are drawn once, in `style/icons.css`, and have the colour of
//! the text; a page only names them. An icon font or an icon crate would be
//! larger than all pages together.

use leptos::prelude::*;

/// The subject of an icon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    /// Overview.
    Home,
    Devices,
    Mesh,
    /// A shield with a tick: DNS protection.
    Shield,
    /// A person: the account.
    Person,
    /// Several people: tenants.
    People,
    Phone,
    Laptop,
    Router,
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
    Log,
    Theme,
    /// Sign out.
    Leave,
    Trash,
    Download,
    Copy,
    /// Back to the page before.
    Back,
    /// A price tag: plans.
    Tag,
    /// A gauge: use.
    Gauge,
    /// A rack: nodes.
    Server,
    /// Mail.
    Envelope,
}

impl Glyph {
    /// Returns the class that draws the icon on an element.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Home => "g-home",
            Self::Devices => "g-devices",
            Self::Mesh => "g-mesh",
            Self::Shield => "g-shield",
            Self::Person => "g-person",
            Self::People => "g-people",
            Self::Phone => "g-phone",
            Self::Laptop => "g-laptop",
            Self::Router => "g-router",
            Self::Tv => "g-tv",
            Self::Plus => "g-plus",
            Self::External => "g-external",
            Self::More => "g-more",
            Self::Check => "g-check",
            Self::Alert => "g-alert",
            Self::Log => "g-log",
            Self::Theme => "g-theme",
            Self::Leave => "g-leave",
            Self::Trash => "g-trash",
            Self::Download => "g-download",
            Self::Copy => "g-copy",
            Self::Back => "g-back",
            Self::Tag => "g-tag",
            Self::Gauge => "g-gauge",
            Self::Server => "g-server",
            Self::Envelope => "g-envelope",
        }
    }

    /// Returns the classes of a device's icon in a table row.
    pub const fn row_class(self) -> &'static str {
        match self {
            Self::Phone => "icon text-ink-3 g-phone",
            Self::Laptop => "icon text-ink-3 g-laptop",
            Self::Router => "icon text-ink-3 g-router",
            Self::Tv => "icon text-ink-3 g-tv",
            _ => "icon text-ink-3 g-devices",
        }
    }

    /// Returns the drawing of a kind of device as SVG shapes, for the mesh
    /// picture: CSS masks do not apply inside an SVG.
    pub(crate) const fn shapes(self) -> &'static str {
        match self {
            Self::Phone => {
                r#"<rect x="7" y="2.5" width="10" height="19" rx="2"/><path d="M11 18.5h2"/>"#
            }
            Self::Laptop => {
                r#"<rect x="4.5" y="5" width="15" height="10.5" rx="1.5"/><path d="M2.5 19h19"/>"#
            }
            Self::Tv => {
                r#"<rect x="3" y="5" width="18" height="12" rx="1.5"/><path d="M8 20.5h8"/>"#
            }
            Self::Router => {
                r#"<rect x="3" y="13" width="18" height="6.5" rx="1.5"/><path d="M7 16.3h.01M10.5 16.3h.01M16.5 13V9M13.6 7.5a4 4 0 0 1 5.8 0"/>"#
            }
            _ => {
                r#"<rect x="3" y="5" width="13" height="10" rx="1.5"/><path d="M2 19h12"/><rect x="17" y="9" width="5" height="10" rx="1.2"/>"#
            }
        }
    }
}

/// Shows an icon beside a text that says the same. It is hidden from screen
/// readers. `class` sets its size (`icon` is 17 px).
#[component]
pub fn Icon(
    glyph: Glyph,
    /// Classes instead of `icon`.
    #[prop(default = "icon")]
    class: &'static str,
) -> impl IntoView {
    view! { <i class=format!("{class} {}", glyph.class()) aria-hidden="true"></i> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_is_drawn() {
        const STYLE: &str = include_str!("../../../style/icons.css");
        for glyph in [
            Glyph::Home,
            Glyph::Devices,
            Glyph::Mesh,
            Glyph::Shield,
            Glyph::Person,
            Glyph::People,
            Glyph::Phone,
            Glyph::Laptop,
            Glyph::Router,
            Glyph::Tv,
            Glyph::Plus,
            Glyph::External,
            Glyph::More,
            Glyph::Check,
            Glyph::Alert,
            Glyph::Log,
            Glyph::Theme,
            Glyph::Leave,
            Glyph::Trash,
            Glyph::Download,
            Glyph::Copy,
            Glyph::Back,
            Glyph::Tag,
            Glyph::Gauge,
            Glyph::Server,
        ] {
            assert!(
                STYLE.contains(&format!(".{} {{", glyph.class())),
                "{glyph:?}"
            );
        }
    }
}
