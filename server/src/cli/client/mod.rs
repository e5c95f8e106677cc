//! The API as commands call it. Each command is a call, whichever way it takes: by the socket of
//! the server on this machine, by HTTPS with a token, or in this process on the database where
//! no server runs.
//!
//! # A new command
//!
//! 1. A file in `cli/` with the arguments (`clap`), as `plan.rs` has them, and
//!    `run(self, client: &Client, out: &Output) -> Result<(), CallError>`, which makes the call
//!    and prints what it answered:
//!
//!    ```text
//!    let plans = client.get(&["operator", "plans"]).list().await?;
//!    out.table(&plans, &[Column::text("ID", "id"), Column::number("DEVICES", "devices")]);
//!    ```
//! 2. A line in `CallCommand` and one in its `run` (`cli/calls.rs`).
//! 3. A row in the table of `server/tests/command_line/table.rs`, which runs every command of the
//!    tree and fails where one is missing; and `docs/CLI.md` (`UPDATE_CLI=1`).
//!
//! What a call refuses is printed, and becomes the exit code, without further work; so does 202,
//! which is "saved and not yet in force".

mod answer;
mod call;
mod failure;
mod local;
mod no_nodes;
mod remote;
mod request;
mod server_events;
mod stream;
mod target;
mod transport;

pub(crate) use answer::Answer;
pub(crate) use call::Call;
pub(crate) use failure::{CallError, EXIT_CODES, Exit, exit_codes};
pub(crate) use server_events::ServerEvents;
pub(crate) use stream::Stream;
pub(crate) use target::{Target, first_line};

use crate::config::Config;
use axum::http::Method;
use request::Request;
use std::sync::atomic::{AtomicBool, Ordering};
use transport::Transport;

/// The API.
pub(crate) struct Client {
    transport: Transport,
    /// The configuration of this machine, if it is this machine's installation.
    config: Option<Config>,
    /// Whether an answer said that its change is not yet in force.
    is_pending: AtomicBool,
}

impl Client {
    fn new(transport: Transport, config: Option<Config>) -> Self {
        Self {
            transport,
            config,
            is_pending: AtomicBool::new(false),
        }
    }

    /// Begins a call that reads, of the path below `/v1` with these segments.
    pub fn get(&self, path: &[&str]) -> Call<'_> {
        Call::new(self, Method::GET, path)
    }

    /// Begins a call that makes something.
    pub fn post(&self, path: &[&str]) -> Call<'_> {
        Call::new(self, Method::POST, path)
    }

    /// Begins a call that replaces something.
    pub fn put(&self, path: &[&str]) -> Call<'_> {
        Call::new(self, Method::PUT, path)
    }

    /// Begins a call that changes something.
    pub fn patch(&self, path: &[&str]) -> Call<'_> {
        Call::new(self, Method::PATCH, path)
    }

    /// Begins a call that deletes something.
    pub fn delete(&self, path: &[&str]) -> Call<'_> {
        Call::new(self, Method::DELETE, path)
    }

    async fn send(&self, request: Request) -> Result<Answer, CallError> {
        self.transport.send(request).await
    }

    fn note_pending(&self) {
        self.is_pending.store(true, Ordering::Relaxed);
    }

    /// Returns the configuration of this machine, if it is this machine's installation that is
    /// asked.
    pub const fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// Returns whether no server runs, so that what is changed is in force later.
    pub const fn is_database(&self) -> bool {
        matches!(self.transport, Transport::Database(_))
    }

    /// Returns whether a server that runs has saved a change and not yet put it in force. Of
    /// the database nothing else can be expected.
    pub fn is_pending(&self) -> bool {
        !self.is_database() && self.is_pending.load(Ordering::Relaxed)
    }

    /// Ends the calls.
    pub async fn close(self) {
        if let Transport::Database(database) = self.transport {
            database.close().await;
        }
    }
}
