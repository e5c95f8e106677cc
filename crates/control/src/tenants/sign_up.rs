//! Sign-up: a new account with its slot and keys.

use super::Tenants;
use crate::{
    auth::{Auth, check_length},
    failures::store_failure,
    inputs::{SignInTicket, SignUp},
    mail::Mail,
    nodes::{NodesHandle, by_share},
    sign_ups::{InvitationOffer, SignUps},
};
use domain::{
    ErrorCode, Failure, Field, MailAddress, Message, Secret, SignUpMode, SupportScope, TenantName,
};
use std::net::IpAddr;
use store::{FirstMailAddress, NewTenant, Placement, StoreError, TenantRecord, TokenHash};

/// What the account is made with beside what was typed.
struct Terms {
    /// The plan's id.
    plan: String,
    invitation: Option<TokenHash>,
    /// The mail address that was given.
    mail: Option<FirstMailAddress>,
    /// The operator who creates it; `None` is the visitor.
    actor: Option<String>,
}

/// Returns whether a failed sign-up is not counted: the cause was not the
/// client's, or another client took the name first. Everything else counts,
/// because a client could repeat it to keep the server busy.
fn is_free_of_charge(f: &Failure) -> bool {
    matches!(
        f.code,
        ErrorCode::NameTaken
            | ErrorCode::InvitationUsedUp
            | ErrorCode::InvitationEnded
            | ErrorCode::NodesStarting
            | ErrorCode::Busy
            | ErrorCode::DatabaseUnavailable
            | ErrorCode::DiskUnavailable
            | ErrorCode::Internal
    )
}

impl Tenants<'_> {
    /// Creates a tenant: account, slot and keys in one transaction. The node is
    /// nudged to set up the rest, and not waited for.
    ///
    /// # Errors
    /// What is wrong with the form, at its field; `SignUpClosed`; `NodeFull` with nothing
    /// created; `TooManyTries`. If the tenant was created and only the ticket
    /// failed, the message says so.
    pub async fn sign_up(self, form: SignUp, from: IpAddr) -> Result<SignInTicket, Failure> {
        let signed_up = self.new_account(form, from).await;
        self.0.counters.sign_ups.count(signed_up)
    }

    async fn new_account(self, form: SignUp, from: IpAddr) -> Result<SignInTicket, Failure> {
        let inner = self.0;
        let mode = SignUps(inner).mode().await?;
        if mode == SignUpMode::Closed {
            let code = ErrorCode::SignUpClosed;
            return Err(Failure::new(code, Message::SignUpClosed));
        }
        let name = self.check_name(&form.name).await?;
        check_length(&form.password)?;
        let address = self.mail_address(&form)?;
        // After the name: a request that is sent again finds its name taken.
        let invitation = self.invitation(mode, &form, from).await?;
        let terms = Terms {
            plan: self.plan(&form, invitation.as_ref()).await?,
            invitation: invitation.map(|i| i.code),
            mail: Mail(inner).first_address(address)?,
            actor: None,
        };
        // Counted before anything that takes processor time.
        let limits = &inner.limits;
        let attempt = limits.begin_sign_up(from, inner.clock.now()).await?;
        let tenant = match self.create_tenant(&form, name, terms).await {
            Ok(tenant) => tenant,
            Err(f) => {
                match is_free_of_charge(&f) {
                    true => limits.refund_sign_up(attempt).await,
                    false => limits.refund_refused_sign_up(attempt).await,
                }
                return Err(f);
            }
        };
        inner.nodes.nudge(tenant.node);
        // Committed: whatever fails from here on, the account exists.
        Auth(inner)
            .sign_in_ticket(&tenant, None)
            .await
            .map_err(|f| match f.code {
                // It was deleted again meanwhile.
                ErrorCode::NotFound => f,
                code => {
                    let name = tenant.name.to_string();
                    Failure::new(code, Message::CreatedWithoutTicket { name })
                }
            })
    }

    /// Creates a tenant as an operator: whether and how often visitors may sign up does not
    /// count, and the plan may be one that they do not see. Returns the name.
    ///
    /// # Errors
    /// What is wrong with the form, at its field; `NodeFull`.
    pub async fn create(
        self,
        operator: &SupportScope,
        form: SignUp,
    ) -> Result<TenantName, Failure> {
        let inner = self.0;
        let name = self.check_name(&form.name).await?;
        check_length(&form.password)?;
        let plan = inner.store.plan(&form.plan).await.map_err(store_failure)?;
        let unknown = || {
            let code = ErrorCode::PlanUnknown;
            Failure::at(Field::Plan, code, Message::PlanUnknown)
        };
        let terms = Terms {
            plan: plan.ok_or_else(unknown)?.id,
            invitation: None,
            mail: None,
            actor: Some(operator.actor()),
        };
        let tenant = self.create_tenant(&form, name, terms).await?;
        inner.nodes.nudge(tenant.node);
        Ok(tenant.name)
    }

    /// Returns the form's mail address, where mail is set up.
    fn mail_address(self, form: &SignUp) -> Result<Option<MailAddress>, Failure> {
        match form.mail.trim() {
            "" => Ok(None),
            _ if !Mail(self.0).is_set_up() => Ok(None),
            text => MailAddress::parse(text).map(Some),
        }
    }

    /// Returns what the form's invitation offers, if it has one, which `mode` may demand.
    async fn invitation(
        self,
        mode: SignUpMode,
        form: &SignUp,
        from: IpAddr,
    ) -> Result<Option<InvitationOffer>, Failure> {
        let code = form.invitation.as_ref().map(Secret::expose);
        match code.filter(|code| !code.trim().is_empty()) {
            Some(code) => SignUps(self.0).offer(code, from).await.map(Some),
            None if mode != SignUpMode::Invite => Ok(None),
            None => Err(Failure::at(
                Field::Invitation,
                ErrorCode::InvitationNeeded,
                Message::InvitationNeeded,
            )),
        }
    }

    /// Returns the id of the tenant's plan: the invitation's, or a visible one that was
    /// chosen.
    async fn plan(
        self,
        form: &SignUp,
        invitation: Option<&InvitationOffer>,
    ) -> Result<String, Failure> {
        if let Some(plan) = invitation.and_then(|i| i.plan.as_ref()) {
            return Ok(plan.id.clone());
        }
        let plan = self.0.store.plan(&form.plan).await.map_err(store_failure)?;
        let plan = plan.filter(|p| p.visible).ok_or_else(|| {
            let code = ErrorCode::PlanUnknown;
            Failure::at(Field::Plan, code, Message::PlanNotChosen)
        })?;
        Ok(plan.id)
    }

    async fn create_tenant(
        self,
        form: &SignUp,
        name: TenantName,
        terms: Terms,
    ) -> Result<TenantRecord, Failure> {
        let inner = self.0;
        NodesHandle(inner).wait_for_room().await?;
        inner
            .hasher
            .check_strength(&form.password, name.as_str())
            .await?;
        let password_hash = inner.hasher.hash(&form.password).await?;
        let dns_password = inner.entropy.token()?;
        let dns_password_hash = inner.hasher.dns_hash(&dns_password).await?;
        let new = NewTenant {
            actor: terms.actor,
            name,
            password_hash,
            plan: terms.plan,
            invitation: terms.invitation,
            mail: terms.mail,
            private_key: inner.entropy.private_key()?,
            dns_password,
            dns_password_hash,
            time_zone: inner.settings.time_zone.clone(),
            now: inner.clock.now(),
        };
        let created = self.place(new).await.map_err(store_failure)?;
        // What it uses is compared with its plan from the first reading on.
        inner.quotas.forget(created.node);
        Ok(created)
    }

    /// Creates a tenant on the emptiest node that takes it. A node may have become full
    /// or closed meanwhile; the next one is tried then.
    async fn place(self, new: NewTenant) -> Result<TenantRecord, StoreError> {
        let inner = self.0;
        for known in by_share(inner.known_nodes().await?) {
            let node = known.record.id;
            let placement = Placement {
                node,
                excluded: &inner.unusable_slots(node),
                max_tenants: known.capacity.max_tenants(),
            };
            let addresses = &inner.settings.addresses;
            let created = inner.store.create_tenant(new.clone(), addresses, placement);
            match created.await {
                Err(StoreError::NodeFull) => {}
                created => return created.map(|c| c.value),
            }
        }
        Err(StoreError::NodeFull)
    }
}
