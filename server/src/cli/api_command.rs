//! What the commands that are calls of the API share: where they are carried out, and how they
//! end.

use super::{
    client::{CallError, Client, Exit, Target},
    output::Output,
    report::failure,
};
use crate::config::Flags;
use clap::Subcommand;
use std::process::ExitCode;

/// A command that is calls of the API.
pub(super) trait ApiCommand {
    /// Makes the calls, and prints what is answered.
    ///
    /// # Errors
    /// The API refuses, or does not answer.
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError>;

    /// Returns whether a server elsewhere is asked with a token: with the operations that
    /// need none, such as a sign-in, there may be none yet.
    fn needs_token(&self) -> bool {
        true
    }
}

/// A group of commands that are calls of the API.
#[derive(Debug, clap::Args)]
pub(super) struct Calls<C: Subcommand> {
    #[command(subcommand)]
    command: C,
    #[command(flatten)]
    target: Target,
}

/// A command without others below it that is calls of the API.
#[derive(Debug, clap::Args)]
pub(super) struct Call<A: clap::Args> {
    #[command(flatten)]
    arguments: A,
    #[command(flatten)]
    target: Target,
}

impl<C: ApiCommand + Subcommand> Calls<C> {
    /// Runs the command to its end.
    pub async fn run(&self, flags: &Flags) -> ExitCode {
        call(&self.target, &self.command, flags).await
    }
}

impl<A: ApiCommand + clap::Args> Call<A> {
    /// Runs the command to its end.
    pub async fn run(&self, flags: &Flags) -> ExitCode {
        call(&self.target, &self.arguments, flags).await
    }
}

async fn call(target: &Target, command: &impl ApiCommand, flags: &Flags) -> ExitCode {
    let called = async {
        let client = target.connect(flags, command.needs_token()).await?;
        let done = command.run(&client, Output::new(target.json)).await;
        let is_pending = client.is_pending();
        client.close().await;
        done.map(|()| is_pending)
    };
    match called.await {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => {
            eprintln!("This is saved and not yet in force: the node is behind, and goes on.");
            Exit::NotYetInForce.into()
        }
        Err(e) => {
            failure(&e);
            e.exit().into()
        }
    }
}
