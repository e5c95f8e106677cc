//! Who may sign up: the mode, invitations and reserved names.
//!
//! All of it is read from the database where it decides something, so that a change is in
//! force on all control planes with the next request.

mod invitations;
mod sleep;

pub use invitations::{InvitationOffer, MadeInvitation};
pub(crate) use sleep::run_sleep;

use crate::{failures::store_failure, inner::Inner};
use domain::{
    ErrorCode, Failure, Field, Message, NameError, OperatorScope, OwnerScope, SignUpMode,
    TenantName, view::ReservedName,
};

/// The handle on who may sign up.
#[derive(Clone, Copy)]
pub struct SignUps<'a>(pub(crate) &'a Inner);

/// Who may sign up, as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignUpSetting {
    /// What holds.
    pub mode: SignUpMode,
    /// What the configuration of this control plane says.
    pub configured: SignUpMode,
    /// Whether an operator has set it, so that the configuration does not count.
    pub is_set: bool,
}

impl SignUps<'_> {
    /// Returns who may sign up.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn mode(self) -> Result<SignUpMode, Failure> {
        let set = self.0.store.sign_up_mode().await.map_err(store_failure)?;
        Ok(set.unwrap_or(self.0.settings.sign_up))
    }

    /// Returns who may sign up, and where that is set.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn setting(self, _operator: &OperatorScope) -> Result<SignUpSetting, Failure> {
        let set = self.0.store.sign_up_mode().await.map_err(store_failure)?;
        let configured = self.0.settings.sign_up;
        Ok(SignUpSetting {
            mode: set.unwrap_or(configured),
            configured,
            is_set: set.is_some(),
        })
    }

    /// Sets who may sign up, with the next request to any control plane; `None` leaves it to
    /// the configuration.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn set_mode(
        self,
        operator: &OwnerScope,
        mode: Option<SignUpMode>,
    ) -> Result<(), Failure> {
        let now = self.0.clock.now();
        let set = self.0.store.set_sign_up_mode(operator, mode, now).await;
        set.map_err(store_failure)
    }

    /// Returns the names that operators have reserved, in alphabetical order. Those of the
    /// program are not among them.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn reserved(self, _operator: &OperatorScope) -> Result<Vec<ReservedName>, Failure> {
        self.0.store.reserved_names().await.map_err(store_failure)
    }

    /// Reserves names, all or none: no further tenant signs up with one. A tenant that has
    /// one keeps it. Returns how many were not reserved before.
    ///
    /// # Errors
    /// `NameMalformed` for the first that could be no tenant's, `NameReserved` for one of the
    /// program's.
    pub async fn reserve(self, operator: &OwnerScope, typed: &[String]) -> Result<u32, Failure> {
        let mut names = Vec::with_capacity(typed.len());
        for name in typed {
            names.push(parse(name)?);
        }
        let now = self.0.clock.now();
        let reserved = self.0.store.reserve_names(operator, &names, now).await;
        reserved.map_err(store_failure)
    }

    /// Releases a name that an operator has reserved.
    ///
    /// # Errors
    /// `NotFound`; `NameReserved` for one of the program's.
    pub async fn release(self, operator: &OwnerScope, typed: &str) -> Result<(), Failure> {
        let name = parse(typed)?;
        let now = self.0.clock.now();
        let released = self.0.store.release_name(operator, &name, now).await;
        released.map_err(store_failure)
    }
}

/// Returns the name that a tenant would have.
fn parse(typed: &str) -> Result<String, Failure> {
    match TenantName::parse(typed) {
        Ok(name) => Ok(name.into()),
        Err(NameError::Reserved(name)) => {
            let message = Message::ReservedBuiltIn { name };
            Err(Failure::at(Field::Name, ErrorCode::NameReserved, message))
        }
        Err(e) => Err(e.into()),
    }
}
