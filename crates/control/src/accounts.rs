//! Accounts: plans, names, sign-up, and their end.

use crate::{
    Control,
    devices::PATIENCE,
    failures::store_failure,
    limiter::address_key,
    password,
    requests::{Arrival, SignUp},
    signing_in::too_many,
};
use domain::{ErrorCode, Failure, Field, Plan, Slot, TenantId, TenantName, TenantScope};
use std::{collections::BTreeSet, net::IpAddr};
use store::{NewTenant, Places, StoreError, TenantRecord};

/// What a sign-up that failed does not cost: what was not the visitor's doing,
/// and a name that somebody else was quicker to take. All else may be asked
/// over and over by somebody who wants to see us work.
fn costs_nothing(f: &Failure) -> bool {
    matches!(
        f.code,
        ErrorCode::NameTaken
            | ErrorCode::Busy
            | ErrorCode::DatabaseUnavailable
            | ErrorCode::DiskUnavailable
            | ErrorCode::Internal
    )
}

/// What somebody is told whose account was made, and who could not be let in.
const MADE: &str =
    "is made, but you could not be signed in just now. Sign in with your new password.";

impl Control {
    /// The plans to choose from, in the order the landing page shows them.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn plans(&self) -> Result<Vec<Plan>, Failure> {
        self.0.store.plans().await.map_err(store_failure)
    }

    /// Slots that are never given away: by the operator's word, or because the
    /// host has their interface in use.
    pub(crate) fn unusable_slots(&self) -> BTreeSet<Slot> {
        let mut slots = self.0.settings.excluded_slots.clone();
        slots.extend(self.0.node.node().borrow().foreign_slots.iter());
        slots
    }

    /// Whether no further tenant fits, as far as is known without asking
    /// anybody: pages say so before somebody fills a form in.
    pub fn is_full(&self) -> bool {
        self.0.capacity.is_full(&self.unusable_slots())
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
    /// `TooManyTries`. Where the tenant was made and only the ticket could not
    /// be, the sentence says so.
    pub async fn sign_up(&self, form: SignUp, from: IpAddr) -> Result<Arrival, Failure> {
        let inner = &self.0;
        let name = self.check_name(&form.name).await?;
        password::check_length(&form.password)?;
        let plan = inner.store.plan(&form.plan).await.map_err(store_failure)?;
        if plan.is_none() {
            return Err(Failure::at(
                Field::Plan,
                ErrorCode::PlanUnknown,
                "Choose one of the plans.",
            ));
        }
        // Counted before anything that takes the processor's time.
        let counted = inner
            .sign_ups
            .begin(vec![address_key(from)], inner.clock.now())
            .map_err(too_many)?;
        let tenant = match self.make_tenant(&form, name).await {
            Ok(tenant) => tenant,
            Err(f) => {
                if costs_nothing(&f) {
                    inner.sign_ups.forgive(counted);
                }
                return Err(f);
            }
        };
        inner.node.nudge();
        // Committed: it is done, whatever fails from here on.
        self.arrival(&tenant, None).await.map_err(|f| match f.code {
            // Deleted again since.
            ErrorCode::NotFound => f,
            code => Failure::new(code, format!("“{}” {MADE}", tenant.name)),
        })
    }

    async fn make_tenant(&self, form: &SignUp, name: TenantName) -> Result<TenantRecord, Failure> {
        let inner = &self.0;
        if self.is_full() {
            return Err(store_failure(StoreError::NodeFull));
        }
        inner.hasher.judge(&form.password, name.as_str()).await?;
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
        let places = Places {
            excluded: &self.unusable_slots(),
            most: inner.capacity.most(),
        };
        inner
            .store
            .create_tenant(new, &inner.settings.addresses, places)
            .await
            .map_err(store_failure)
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

    /// Whether somebody has that name: their hosts are served.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn is_name_taken(&self, name: &TenantName) -> Result<bool, Failure> {
        self.0.store.name_taken(name).await.map_err(store_failure)
    }

    /// Removes a tenant with everything of theirs, and waits (3 s at most)
    /// until nothing carries packets for them any more. Whether that is so; the
    /// node clears up after them in any case.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_tenant(&self, scope: &TenantScope) -> Result<bool, Failure> {
        let inner = &self.0;
        let tenant = inner.store.tenant(scope).await.map_err(store_failure)?;
        inner
            .store
            .delete_tenant(scope, inner.clock.now())
            .await
            .map_err(store_failure)?;
        // Committed: it is done, whatever we cannot find out.
        let gone = match inner.store.generation(tenant.node).await {
            Ok(generation) => {
                let gone = inner.node.gone(tenant.slot, generation, PATIENCE);
                gone.await
            }
            Err(e) => {
                inner.node.nudge();
                tracing::warn!(error = ?e, "whether a tenant is cut off cannot be found out");
                false
            }
        };
        if !gone {
            tracing::warn!(tenant = %tenant.name, "deleted, but the node has not let go of it yet");
        }
        inner.watching.changed(scope.tenant());
        Ok(gone)
    }
}
