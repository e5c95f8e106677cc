//! Visitors: plans, names, sign-up, sign-in, and the tickets that carry a
//! person from one host of the installation to another.

use crate::{
    Control,
    failures::store_failure,
    limiter::address_key,
    password,
    requests::{Arrival, Audience, SignUp},
};
use domain::{ErrorCode, Failure, Field, Plan, Secret, TenantId, TenantName, TenantScope};
use std::net::IpAddr;
use store::{NewTenant, TenantRecord, TicketHolder, TokenHash};

/// How long a ticket is good for.
const TICKET_MILLIS: i64 = 60_000;

pub(crate) fn too_many(wait_millis: i64) -> Failure {
    let secs = (wait_millis + 999) / 1000;
    let wait = if secs > 90 {
        format!("{} minutes", (secs + 59) / 60)
    } else {
        format!("{secs} seconds")
    };
    Failure::new(
        ErrorCode::TooManyTries,
        format!("Too many tries. Try again in {wait}."),
    )
}

impl Control {
    /// The plans to choose from, in the order the landing page shows them.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn plans(&self) -> Result<Vec<Plan>, Failure> {
        self.0.store.plans().await.map_err(store_failure)
    }

    /// Whether a typed name could be had now; the checked name if so.
    ///
    /// # Errors
    /// `NameMalformed`, `NameReserved`, `NameTaken`.
    pub async fn check_name(&self, typed: &str) -> Result<TenantName, Failure> {
        let name = TenantName::parse(typed)?;
        match self
            .0
            .store
            .name_taken(&name)
            .await
            .map_err(store_failure)?
        {
            true => Err(Failure::at(
                Field::Name,
                ErrorCode::NameTaken,
                format!("“{name}” is taken. Choose another name."),
            )),
            false => Ok(name),
        }
    }

    /// Makes a tenant: account, slot and keys in one transaction. The node
    /// makes the rest; it is nudged and not waited for.
    ///
    /// # Errors
    /// What is wrong with the form at its field; `NodeFull` with nothing made;
    /// `TooManyTries`.
    pub async fn sign_up(&self, form: SignUp, from: IpAddr) -> Result<Arrival, Failure> {
        let inner = &self.0;
        let name = self.check_name(&form.name).await?;
        let (password, own) = (form.password.clone(), name.to_string());
        tokio::task::spawn_blocking(move || password::check(&password, &own))
            .await
            .unwrap_or_else(|_| {
                Err(Failure::new(
                    ErrorCode::Internal,
                    "The password could not be checked. Try again.",
                ))
            })?;
        if inner
            .store
            .plan(&form.plan)
            .await
            .map_err(store_failure)?
            .is_none()
        {
            return Err(Failure::at(
                Field::Plan,
                ErrorCode::PlanUnknown,
                "Choose one of the plans.",
            ));
        }
        let counted = inner
            .sign_ups
            .begin(vec![address_key(from)], inner.clock.now())
            .map_err(too_many)?;
        let made = self.make_tenant(&form, name).await;
        if made.is_err() {
            inner.sign_ups.forgive(counted);
        }
        let tenant = made?;
        inner.node.nudge();
        self.arrival(&tenant, Audience::Dashboard).await
    }

    async fn make_tenant(&self, form: &SignUp, name: TenantName) -> Result<TenantRecord, Failure> {
        let inner = &self.0;
        let password_hash = inner.hasher.hash(&form.password).await?;
        let dns_password = inner.entropy.token()?;
        let dns_password_hash = inner.hasher.dns_hash(&dns_password).await?;
        let new = NewTenant {
            name,
            password_hash,
            plan: form.plan.clone(),
            private_key: inner.entropy.private_key()?,
            dns_password,
            dns_password_hash,
            now: inner.clock.now(),
        };
        let mut excluded = inner.settings.excluded_slots.clone();
        excluded.extend(inner.node.node().borrow().foreign_slots.iter());
        inner
            .store
            .create_tenant(new, &inner.settings.addresses, &excluded)
            .await
            .map_err(store_failure)
    }

    /// Checks a name and password. At most 5 failures a minute for an account
    /// and for an address.
    ///
    /// # Errors
    /// `SignInRefused` (the same for an unknown name and a wrong password),
    /// `TooManyTries`, `Busy`.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &Secret,
        from: IpAddr,
    ) -> Result<Arrival, Failure> {
        let inner = &self.0;
        let refused = || {
            Failure::at(
                Field::Password,
                ErrorCode::SignInRefused,
                "The name or the password is wrong.",
            )
        };
        // A name that cannot be is checked like any other, so that the answer tells nothing.
        let parsed = TenantName::parse(name).ok();
        let account = parsed
            .as_ref()
            .map_or_else(|| "?".to_owned(), |n| format!("tenant {n}"));
        let counted = inner
            .sign_ins
            .begin(vec![account, address_key(from)], inner.clock.now())
            .map_err(too_many)?;
        if password.expose().len() > password::MAX {
            return Err(refused());
        }
        let tenant = match &parsed {
            Some(name) => inner
                .store
                .tenant_by_name(name)
                .await
                .map_err(store_failure)?,
            None => None,
        };
        let fits = inner
            .hasher
            .verify(password, tenant.as_ref().map(|t| t.password_hash.clone()))
            .await?;
        let tenant = tenant.filter(|_| fits).ok_or_else(refused)?;
        inner.sign_ins.forgive(counted);
        self.arrival(&tenant, Audience::Dashboard).await
    }

    async fn arrival(&self, tenant: &TenantRecord, audience: Audience) -> Result<Arrival, Failure> {
        let ticket = self.ticket(tenant.id, audience).await?;
        Ok(Arrival {
            name: tenant.name.clone(),
            ticket,
        })
    }

    async fn ticket(&self, tenant: TenantId, audience: Audience) -> Result<Secret, Failure> {
        let ticket = self.0.entropy.token()?;
        let expires = self.0.clock.now().plus_millis(TICKET_MILLIS);
        let (hash, holder) = (TokenHash::of(&ticket), TicketHolder::Tenant(tenant));
        let made = self
            .0
            .store
            .create_ticket(&hash, holder, audience.as_str(), expires);
        made.await.map_err(store_failure)?;
        Ok(ticket)
    }

    /// A ticket for the tenant's AdGuard Home host.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn dns_ticket(&self, scope: &TenantScope) -> Result<Secret, Failure> {
        self.ticket(scope.tenant(), Audience::Dns).await
    }

    /// Uses a ticket up, on the host of the tenant it must belong to.
    ///
    /// # Errors
    /// `TicketInvalid` for one that was used, has expired, never was, or
    /// belongs to another tenant or host.
    pub async fn redeem_tenant(
        &self,
        audience: Audience,
        host: &TenantName,
        ticket: &str,
    ) -> Result<TenantScope, Failure> {
        let invalid = || {
            Failure::new(
                ErrorCode::TicketInvalid,
                "This link was used already or is too old. Sign in to go on.",
            )
        };
        if ticket.len() > 64 {
            return Err(invalid());
        }
        let hash = TokenHash::of(&Secret::new(ticket));
        let redeemed = self
            .0
            .store
            .redeem_ticket(&hash, audience.as_str(), self.0.clock.now());
        let Some(TicketHolder::Tenant(id)) = redeemed.await.map_err(store_failure)? else {
            return Err(invalid());
        };
        match self.tenant_exists(id, host).await? {
            true => Ok(TenantScope::issue(id, host.clone(), host.as_str())),
            false => Err(invalid()),
        }
    }

    /// Whether that tenant is there, under that name.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn tenant_exists(&self, id: TenantId, name: &TenantName) -> Result<bool, Failure> {
        let found = self
            .0
            .store
            .tenant_by_name(name)
            .await
            .map_err(store_failure)?;
        Ok(found.is_some_and(|t| t.id == id))
    }

    /// Removes a tenant with everything of theirs; the node clears up after.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_tenant(&self, scope: &TenantScope) -> Result<(), Failure> {
        self.0
            .store
            .delete_tenant(scope, self.0.clock.now())
            .await
            .map_err(store_failure)?;
        self.0.node.nudge();
        self.0.watching.changed(scope.tenant());
        Ok(())
    }
}
