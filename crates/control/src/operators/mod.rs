//! The operator: the account and the overview of the nodes.

mod log;
mod names;
mod overview;
mod resources;

pub use log::Numbered;

use crate::{failures::store_failure, inner::Inner};
use domain::{ErrorCode, Failure, Message, Secret};
use store::StoreError;

/// The first operator's name.
const FIRST_OPERATOR: &str = "admin";

/// The handle on the operators and their overview.
#[derive(Clone, Copy)]
pub struct Operators<'a>(pub(crate) &'a Inner);

impl Operators<'_> {
    /// Creates the first operator at the first start, and returns its name and
    /// password, which are shown once.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn ensure_first(self) -> Result<Option<(String, Secret)>, Failure> {
        if self.0.store.operator_count().await.map_err(store_failure)? > 0 {
            return Ok(None);
        }
        let password = self.0.entropy.password()?;
        let hash = self.0.hasher.hash(&password).await?;
        let now = self.0.clock.now();
        let created = self.0.store.create_operator(FIRST_OPERATOR, &hash, now);
        match created.await {
            Ok(_) => Ok(Some((FIRST_OPERATOR.to_owned(), password))),
            // Another control plane has started at the same time, and shows its password.
            Err(StoreError::NameTaken) => Ok(None),
            Err(e) => Err(store_failure(e)),
        }
    }

    /// Sets a new password for an operator and returns it, to be shown once.
    /// Sessions that began with the old one end.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn reset(self, name: &str) -> Result<Secret, Failure> {
        let operator = self
            .0
            .store
            .operator_by_name(name)
            .await
            .map_err(store_failure)?;
        let operator = operator.ok_or_else(|| {
            let name = name.to_owned();
            Failure::new(ErrorCode::NotFound, Message::OperatorUnknown { name })
        })?;
        let password = self.0.entropy.password()?;
        let hash = self.0.hasher.hash(&password).await?;
        self.0
            .store
            .set_operator_password(operator.id, &hash, self.0.clock.now())
            .await
            .map_err(store_failure)?;
        Ok(password)
    }
}
