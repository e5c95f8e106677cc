//! The API in this process, on the database of this machine: for the time when no server runs.

use super::{
    failure::CallError,
    no_nodes::NoNodes,
    remote::bearer,
    request::{MAX_ANSWER, Raw, Request},
};
use crate::{config::Config, mail, start_error::StartError, storage::open_store, wiring};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::header,
    response::Response,
};
use control::{Control, Entropy};
use domain::{Failure, Secret};
use std::sync::Arc;
use store::{LOCAL_NODE, Store};
use tokio::sync::watch;
use tower::ServiceExt;

/// Builds the core, which does nothing in the background and hears from no node.
fn control(config: &Config, store: &Store) -> Result<Control, Failure> {
    let own = (!config.no_node).then_some(LOCAL_NODE);
    let nodes = Arc::new(NoNodes { own });
    let name = Entropy::system().process_name()?;
    // A command that sends no mail needs none of its files.
    let mail = mail::setup(config).ok().flatten();
    Ok(wiring::control(config, store.clone(), nodes, name, mail))
}

/// The API on the database.
pub(super) struct Database {
    router: Router,
    /// Whose holder acts in place of the command line.
    token: Option<Secret>,
    store: Store,
    // The streams of the API end once it is dropped.
    _close: watch::Sender<bool>,
}

impl Database {
    /// Opens the database.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(config: &Config, token: Option<Secret>) -> Result<Self, CallError> {
        let store = open_store(config).await?;
        let control = control(config, &store).map_err(StartError::from)?;
        let (close, closing) = watch::channel(false);
        Ok(Self {
            router: api::api(control, closing).router,
            token,
            store,
            _close: close,
        })
    }

    /// Answers a request, with the permission of the token or else of the command line.
    ///
    /// # Errors
    /// The answer breaks off.
    pub async fn send(&self, request: Request) -> Result<Raw, CallError> {
        let (parts, body) = self.begin(request).await?.into_parts();
        let body = to_bytes(body, MAX_ANSWER).await;
        let body = body.map_err(|e| CallError::Failed(e.to_string()))?;
        Ok((parts.status, parts.headers, body.to_vec()))
    }

    /// Answers a request; the answer is read as it comes.
    ///
    /// # Errors
    /// It is no request.
    pub async fn begin(&self, request: Request) -> Result<Response, CallError> {
        let failed = |e: &dyn std::error::Error| CallError::Failed(e.to_string());
        let mut call = axum::http::Request::builder()
            .method(request.method.clone())
            .uri(request.target())
            .extension(api::Client::default())
            .extension(api::CommandLine::default());
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        if let Some(token) = &self.token {
            call = call.header(header::AUTHORIZATION, bearer(token)?);
        }
        if request.body.is_some() {
            call = call.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Body::from(request.body.unwrap_or_default());
        let call = call.body(body).map_err(|e| failed(&e))?;
        match self.router.clone().oneshot(call).await {
            Ok(answer) => Ok(answer),
            Err(never) => match never {},
        }
    }

    /// Closes the database.
    pub async fn close(self) {
        self.store.close().await;
    }
}
