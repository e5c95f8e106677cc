//! The design system: what pages are composed of. Looks are classes in
//! `style/tailwind.css` (`btn`, `card`, `chip` …) on top of the design tokens;
//! components are here where structure or accessibility repeats.

pub mod chart;
mod form;
pub mod format;
mod icons;
mod new_password;
#[cfg(feature = "ssr")]
mod page;
mod parts;
mod password_input;
pub mod plan_text;
pub mod quantity;
mod strength;

pub use form::{Field, Note, Submit, TopError};
pub use icons::{Glyph, Icon};
pub use new_password::NewPasswordInput;
#[cfg(feature = "ssr")]
pub use page::{Area, Centered, NavItem, PageHead, PageShell};
pub use parts::{Banner, Brand, Chip, EmptyState, RelativeTime, Segmented, ThemeSwitch, Tone};
pub use password_input::{PasswordField, PasswordInput, PasswordKind};
