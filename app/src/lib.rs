//! The pages of MalikNode: Leptos components, islands and server functions, one
//! folder per feature.
//!
//! A feature's `mod.rs` holds what the browser needs too (islands, server
//! functions, their forms). Its `page.rs` is compiled for the server only and
//! may call `control` directly. Pages are rendered completely before the first
//! byte is sent (`SsrMode::Async`), so they are readable without JavaScript.
#![recursion_limit = "512"]
#![allow(
    missing_docs,
    reason = "#[server] and #[island] make public structs whose fields cannot be documented"
)]

#[cfg(feature = "ssr")]
mod audit;
#[cfg(feature = "ssr")]
pub mod context;
#[cfg(feature = "ssr")]
pub mod cookies;
#[cfg(feature = "ssr")]
mod head;
#[cfg(feature = "ssr")]
mod loader;
#[cfg(feature = "ssr")]
mod shell;

pub mod errors;
pub mod event_stream;
pub mod forms;
pub mod tenant;
pub mod ui;

pub mod account;
pub mod devices;
#[cfg(feature = "ssr")]
pub mod events;
pub mod mesh;
#[cfg(feature = "ssr")]
pub mod operator;
pub mod overview;
pub mod public;

#[cfg(feature = "ssr")]
pub use head::Head;
#[cfg(feature = "ssr")]
pub use shell::{App, content_security_policy, shell};
