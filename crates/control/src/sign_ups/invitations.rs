//! Invitations: operators make, list and revoke them; a visitor signs up with one.

use super::SignUps;
use crate::{auth::address_key, failures::store_failure};
use domain::{
    ErrorCode, Failure, Field, Invitation, InvitationId, InvitationTerms, Message, OperatorScope,
    Plan, Secret, SupportScope,
};
use std::net::IpAddr;
use store::TokenHash;

/// Longest code that is looked up, in bytes.
const MAX_CODE_BYTES: usize = 64;

/// An invitation that was just made.
#[derive(Debug)]
pub struct MadeInvitation {
    pub id: InvitationId,
    /// What a visitor signs up with. It is shown once.
    pub code: Secret,
    /// The page to sign up with it.
    pub link: Secret,
}

/// What an invitation offers to the visitor who has it.
#[derive(Debug)]
pub struct InvitationOffer {
    /// The plan, which may be a hidden one; `None` for a choice of the visible ones.
    pub plan: Option<Plan>,
    pub(crate) code: TokenHash,
}

impl SignUps<'_> {
    /// Makes `count` invitations of the same terms, all or none.
    ///
    /// # Errors
    /// `InvitationMalformed` at the field, `PlanUnknown`.
    pub async fn create(
        self,
        operator: &SupportScope,
        terms: &InvitationTerms,
        count: u32,
    ) -> Result<Vec<MadeInvitation>, Failure> {
        terms.check()?;
        if !(1..=InvitationTerms::MAX_COUNT).contains(&count) {
            let most = InvitationTerms::MAX_COUNT.into();
            let message = Message::InvitationCount { most };
            return Err(Failure::new(ErrorCode::InvitationMalformed, message));
        }
        let codes = (0..count).map(|_| self.0.entropy.token());
        let codes = codes.collect::<Result<Vec<_>, _>>()?;
        let hashes: Vec<_> = codes.iter().map(TokenHash::of).collect();
        let now = self.0.clock.now();
        let store = &self.0.store;
        let made = store.create_invitations(operator, terms, &hashes, now);
        let ids = made.await.map_err(store_failure)?.into_iter();
        let base = &self.0.settings.base_url;
        let made = ids.zip(codes).map(|(id, code)| MadeInvitation {
            id,
            link: Secret::new(format!("{base}/sign-up?invitation={}", code.expose())),
            code,
        });
        Ok(made.collect())
    }

    /// Returns at most `limit` invitations, the newest first, from before the one with the id
    /// `before`.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn list(
        self,
        _operator: &OperatorScope,
        before: i64,
        limit: u32,
    ) -> Result<Vec<Invitation>, Failure> {
        let now = self.0.clock.now();
        let read = self.0.store.invitations_before(before, limit, now).await;
        read.map_err(store_failure)
    }

    /// Revokes an invitation. Tenants that signed up with it stay.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn revoke(
        self,
        operator: &SupportScope,
        id: InvitationId,
    ) -> Result<Invitation, Failure> {
        let now = self.0.clock.now();
        let revoked = self.0.store.revoke_invitation(operator, id, now).await;
        revoked.map_err(store_failure)
    }

    /// Returns what the invitation with this code offers. A code that does not exist counts
    /// as an attempt of its sender, as a wrong password does, of 20 in a minute.
    ///
    /// # Errors
    /// `InvitationUnknown`, `InvitationUsedUp`, `InvitationEnded`, `TooManyTries`.
    pub async fn offer(self, code: &str, from: IpAddr) -> Result<InvitationOffer, Failure> {
        let inner = self.0;
        let now = inner.clock.now();
        let guesses = &inner.limits.invitation_guesses;
        let attempt = guesses.begin(vec![address_key(from)], now).await?;
        match self.find(code.trim()).await {
            Err(f) if f.code == ErrorCode::InvitationUnknown => Err(f),
            found => {
                guesses.refund(attempt).await;
                found
            }
        }
    }

    async fn find(self, code: &str) -> Result<InvitationOffer, Failure> {
        let store = &self.0.store;
        let unknown = || {
            let code = ErrorCode::InvitationUnknown;
            Failure::at(Field::Invitation, code, Message::InvitationUnknown)
        };
        if code.len() > MAX_CODE_BYTES {
            return Err(unknown());
        }
        let code = TokenHash::of(&Secret::new(code));
        let found = store.invitation_by_code(&code, self.0.clock.now()).await;
        let found = found.map_err(store_failure)?.ok_or_else(unknown)?;
        if let Some(failure) = found.state.failure() {
            return Err(failure);
        }
        let plan = match &found.plan {
            None => None,
            Some(id) => {
                let plan = store.plan(id).await.map_err(store_failure)?;
                // It was deleted since the invitation was read.
                let gone = domain::InvitationState::PlanGone.failure();
                Some(plan.ok_or_else(|| gone.unwrap_or_else(unknown))?)
            }
        };
        Ok(InvitationOffer { plan, code })
    }
}
