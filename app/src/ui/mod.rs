//! The design system: what pages are put together from. Looks are classes in
//! `style/tailwind.css` (`btn`, `card`, `chip` …) on top of the look's tokens;
//! components are here where structure or accessibility repeats.

mod form;
pub mod format;
#[cfg(feature = "ssr")]
mod page;
mod parts;

pub use form::{Field, Note, Submit, TopError};
#[cfg(feature = "ssr")]
pub use page::{Area, Centered, Full, Here, PageHead, PageShell, load};
pub use parts::{
    Banner, Brand, Chip, EmptyState, RelativeTime, Segmented, StatusDot, ThemeSwitch, Tone,
};

pub use crate::icons::{Glyph, Icon};
