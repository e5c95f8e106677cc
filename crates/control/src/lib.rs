//! The product's core: accounts, sign-in, devices, statistics, events.
//!
//! The web server and the command line call this one core. A request changes
//! rows in one transaction, commits, then nudges the node; it never touches a
//! machine itself, and sees nodes through the port [`Nodes`](protocol::Nodes)
//! alone. There is a folder for each capability, and each capability is
//! a handle: `control.devices().add(…)`.

mod account;
mod answers;
mod audit;
mod auth;
mod control_planes;
mod devices;
mod dns;
mod entropy;
mod events;
mod failures;
mod figures;
mod follow;
mod inner;
mod inputs;
mod jobs;
mod mail;
mod nodes;
mod operators;
mod parts;
mod plans;
mod quota;
mod sign_ups;
mod tenants;
#[cfg(test)]
mod test_node;
mod traffic;
mod watch;

pub use account::{Account, MAX_PASSKEY_NAME, MAX_PASSKEYS, ResetLink, ResetTarget};
pub use answers::{Answers, ClaimedKey, Repeat};
pub use audit::{AuditExport, AuditFormat, AuditQuery, Numbered};
pub use auth::{
    AccountScope, ApiCaller, ApiGrant, ApiPermission, ApiStep, ApiToken, ApiTokens, Auth,
    ChangeBudget, CreatedToken, FactorScope, Grant, LookingIn, NewApiToken, Presence,
    PresentedTicket, RecoveryCodes, SignInClient, TenantSession, TotpEnrolment, address_prefix,
    browser_hash,
};
pub use devices::{Devices, ListForm, Peer, PeerList};
pub use dns::Dns;
pub use entropy::Entropy;
pub use events::{Events, TenantEvent};
pub use failures::{incident_id, internal, with_incident_id};
pub use figures::{ActivityFigures, Figures, InstallationFigures, Outcome, PendingFigures};
pub use follow::SeenEntries;
pub use inputs::{
    Audience, ChangedDevice, DeviceChange, DnsTarget, NewDevice, OperatorSession, OperatorStep,
    PasskeyChallenge, PendingSignIn, RedeemedTicket, SignInStep, SignInTicket, SignUp,
    WaitingSignIn,
};
pub use mail::{DeliveryError, Mail, MailSetup, MailTransport, OutgoingMail};
pub use nodes::{
    Certificates, EndpointNames, EndpointRecord, IssuedCertificate, JoinToken, NameDifference,
    NameServer, NamesView, NewToken, NodeChange, NodesHandle, RECORDS_AT_ONCE, StoreSpecs,
    WorkerAccess, address_problem,
};
pub use operators::{LoggedEvent, MachineChecks, OperatorLink, OperatorWelcome, Operators};
pub use parts::{ControlParts, ControlSettings};
pub use plans::Plans;
pub use sign_ups::{InvitationOffer, MadeInvitation, SignUpSetting, SignUps};
pub use tenants::{TenantTerms, Tenants, TermsChange};
pub use traffic::Traffic;
pub use watch::Watch;

use domain::Timestamp;
use inner::Inner;
use std::sync::Arc;

/// The core. It is cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

impl Control {
    /// Builds the core. Its background jobs begin with [`Control::run`].
    pub fn new(parts: ControlParts) -> Self {
        Self::with_mail(parts, None)
    }

    /// Does what [`Control::new`] does, for an installation that sends mail, if there is a setup.
    pub fn with_mail(parts: ControlParts, mail: Option<MailSetup>) -> Self {
        Self(Arc::new(Inner::new(parts, mail)))
    }

    /// Runs the background jobs until the future is dropped. The server runs one
    /// of these.
    pub async fn run(&self) {
        jobs::run(&self.0).await;
    }

    /// Returns the time by the clock that everything here goes by.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Returns the handle on sign-in, sessions and permissions.
    pub fn auth(&self) -> Auth<'_> {
        Auth(&self.0)
    }

    /// Returns the handle on the own account.
    pub fn account(&self) -> Account<'_> {
        Account(&self.0)
    }

    /// Returns the handle on mail.
    pub fn mail(&self) -> Mail<'_> {
        Mail(&self.0)
    }

    /// Returns the handle on answers that are given again.
    pub fn answers(&self) -> Answers<'_> {
        Answers(&self.0)
    }

    /// Returns the handle on the tenants' accounts and overviews.
    pub fn tenants(&self) -> Tenants<'_> {
        Tenants(&self.0)
    }

    /// Returns the handle on the tenants' devices.
    pub fn devices(&self) -> Devices<'_> {
        Devices(&self.0)
    }

    /// Returns the handle on the tenants' DNS filters.
    pub fn dns(&self) -> Dns<'_> {
        Dns(&self.0)
    }

    /// Returns the handle on past traffic.
    pub fn traffic(&self) -> Traffic<'_> {
        Traffic(&self.0)
    }

    /// Returns the handle on the event log.
    pub fn events(&self) -> Events<'_> {
        Events(&self.0)
    }

    /// Returns the handle on the plans.
    pub fn plans(&self) -> Plans<'_> {
        Plans(&self.0)
    }

    /// Returns the handle on the operators and their overview.
    pub fn operators(&self) -> Operators<'_> {
        Operators(&self.0)
    }

    /// Returns the handle on who may sign up.
    pub fn sign_ups(&self) -> SignUps<'_> {
        SignUps(&self.0)
    }

    /// Returns the handle on the nodes.
    pub fn nodes(&self) -> NodesHandle<'_> {
        NodesHandle(&self.0)
    }

    /// Names what checks this machine, for the operators' page.
    pub fn set_machine_checks(&self, machine: Arc<dyn MachineChecks>) {
        self.0.checks.set(machine);
    }

    /// Returns the handle on figures of the whole installation.
    pub fn figures(&self) -> Figures<'_> {
        Figures(&self.0)
    }

    /// Returns the handle on what changes while a page is open.
    pub fn watch(&self) -> Watch<'_> {
        Watch(&self.0)
    }
}
