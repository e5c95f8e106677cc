//! The commands that are calls of the API.

use super::{
    account,
    api_command::{Call, Calls},
    audit, device, dns, events, invite, mail, node, operator, plan, sign_up, status, tenant, token,
    traffic,
};
use crate::config::Flags;
use clap::Subcommand;
use std::process::ExitCode;

/// The commands that are calls of the API.
#[derive(Debug, Subcommand)]
pub(super) enum CallCommand {
    /// Print how the installation or a tenant's network is
    Status(Call<status::Arguments>),
    /// Manage the tenants
    Tenant(Calls<tenant::TenantCommand>),
    /// Manage a tenant's devices
    Device(Call<device::DeviceCommands>),
    /// Print how a tenant's DNS filter is
    Dns(Call<dns::Arguments>),
    /// Manage the plans
    Plan(Calls<plan::PlanCommand>),
    /// Say who may sign up
    SignUp(Calls<sign_up::SignUpCommand>),
    /// Manage invitations, with which visitors sign up
    Invite(Calls<invite::InviteCommand>),
    /// See the mail that waits or was given up, and test mail
    Mail(Calls<mail::MailCommand>),
    /// Manage the names that no tenant may have
    Reserved(Calls<sign_up::ReservedCommand>),
    /// Manage the nodes: the machines that hold tenants
    Node(Calls<node::NodeCommand>),
    /// Sign in, and manage the account of the token
    Account(Calls<account::AccountCommand>),
    /// Manage API tokens, by which programs use the API
    Token(Call<token::TokenCommands>),
    /// Print how much data devices have sent and received
    Traffic(Call<traffic::Arguments>),
    /// Print the event log: failures, recoveries and external changes
    Events(Call<events::Arguments>),
    /// Manage the operators' accounts
    Operator(Calls<operator::OperatorCommand>),
    /// Print the audit log: who has done what
    Audit(Call<audit::Arguments>),
}

impl CallCommand {
    /// Runs a command to its end.
    pub async fn run(&self, flags: &Flags) -> ExitCode {
        match self {
            Self::Status(call) => call.run(flags).await,
            Self::Tenant(calls) => calls.run(flags).await,
            Self::Device(call) => call.run(flags).await,
            Self::Dns(call) => call.run(flags).await,
            Self::Account(calls) => calls.run(flags).await,
            Self::Plan(calls) => calls.run(flags).await,
            Self::SignUp(calls) => calls.run(flags).await,
            Self::Invite(calls) => calls.run(flags).await,
            Self::Mail(calls) => calls.run(flags).await,
            Self::Reserved(calls) => calls.run(flags).await,
            Self::Node(calls) => calls.run(flags).await,
            Self::Token(call) => call.run(flags).await,
            Self::Traffic(call) => call.run(flags).await,
            Self::Events(call) => call.run(flags).await,
            Self::Operator(calls) => calls.run(flags).await,
            Self::Audit(call) => call.run(flags).await,
        }
    }
}
