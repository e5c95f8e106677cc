//! What every handler may need.

use super::{hosts::Site, per_tenant_limit::PerTenantLimit, proxy::Client};
use axum::extract::FromRef;
use control::Control;
use leptos::prelude::LeptosOptions;
use std::sync::Arc;
use store::Sessions;
use tokio::sync::watch;

/// Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    pub(super) control: Control,
    pub(super) sessions: Sessions,
    pub(super) site: Arc<Site>,
    pub(super) leptos: LeptosOptions,
    pub(super) streams: PerTenantLimit,
    pub(super) forwarded: PerTenantLimit,
    pub(super) proxy: Client,
    pub(super) closing: watch::Receiver<bool>,
}

impl WebState {
    /// Returns whether browsers use TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.site.scheme == "https"
    }
}

impl FromRef<WebState> for LeptosOptions {
    fn from_ref(state: &WebState) -> Self {
        state.leptos.clone()
    }
}
