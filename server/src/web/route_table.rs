//! A router that lists its routes, which axum's router does not. The isolation test
//! requests every one of them.

use super::state::WebState;
use axum::{
    Router,
    handler::Handler,
    routing::{MethodRouter, get, post},
};

/// Collects routes.
pub struct RouteTable {
    router: Router<WebState>,
    routes: Vec<(&'static str, &'static str)>,
}

impl RouteTable {
    /// Returns a table without routes.
    pub fn new() -> Self {
        Self {
            router: Router::new(),
            routes: Vec::new(),
        }
    }

    /// Adds a handler of GET (and HEAD).
    pub fn get<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, WebState>,
        T: 'static,
    {
        self.add("GET", path, get(handler))
    }

    /// Adds a handler of POST.
    pub fn post<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, WebState>,
        T: 'static,
    {
        self.add("POST", path, post(handler))
    }

    fn add(
        mut self,
        method: &'static str,
        path: &'static str,
        handler: MethodRouter<WebState>,
    ) -> Self {
        self.router = self.router.route(path, handler);
        self.routes.push((method, path));
        self
    }

    /// Returns the router, and its routes as (method, path).
    pub fn finish(self) -> (Router<WebState>, Vec<(&'static str, &'static str)>) {
        (self.router, self.routes)
    }
}

impl Default for RouteTable {
    fn default() -> Self {
        Self::new()
    }
}
