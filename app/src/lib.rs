//! The pages of MalikNode: Leptos components, islands and server functions, a
//! folder per feature.
//!
//! A feature's `mod.rs` holds what the browser needs too (islands, server
//! functions, their forms); its `page.rs` exists on the server only and may
//! call `control` directly. Pages are rendered whole before the first byte
//! leaves (`SsrMode::Async`), so nothing depends on JavaScript to appear.
#![recursion_limit = "512"]
#![allow(
    missing_docs,
    reason = "#[server] and #[island] make public structs whose fields cannot be documented"
)]

#[cfg(feature = "ssr")]
pub mod context;
#[cfg(feature = "ssr")]
mod head;
#[cfg(feature = "ssr")]
mod shell;

pub mod errors;
pub mod forms;
pub mod icons;
pub mod live;
pub mod ui;

pub mod account;
pub mod dashboard;
pub mod devices;
#[cfg(feature = "ssr")]
pub mod events;
pub mod landing;
pub mod mesh;
#[cfg(feature = "ssr")]
pub mod operator;
pub mod progress;
pub mod sign_in;
pub mod sign_up;

#[cfg(feature = "ssr")]
pub use head::Head;
#[cfg(feature = "ssr")]
pub use shell::{App, content_security_policy, shell};
