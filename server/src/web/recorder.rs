//! A router that remembers its routes, so that the isolation test can walk
//! every one of them: axum's own does not tell.

use crate::web::WebState;
use axum::{
    Router,
    handler::Handler,
    routing::{MethodRouter, get, post},
};

/// See the module.
pub struct Recorder {
    router: Router<WebState>,
    routes: Vec<(&'static str, &'static str)>,
}

impl Recorder {
    /// Without routes.
    pub fn new() -> Self {
        Self {
            router: Router::new(),
            routes: Vec::new(),
        }
    }

    /// Answers GET (and HEAD).
    pub fn get<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, WebState>,
        T: 'static,
    {
        self.add("GET", path, get(handler))
    }

    /// Answers POST.
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

    /// The router, and its routes as (method, path).
    pub fn finish(self) -> (Router<WebState>, Vec<(&'static str, &'static str)>) {
        (self.router, self.routes)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}
