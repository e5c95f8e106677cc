//! The account's passkeys, and the proof of presence by one.

use super::Account;
use crate::{
    auth::{
        AccountScope, Answer, AnswerKind, ChallengeRequest, FactorScope, Presence, Refusal,
        SignInClient, StoredPasskey, because, logged, stored_passkeys, unverified_passkey,
    },
    failures::{internal, store_failure},
};
use domain::{ErrorCode, Failure, Message, Secret, Timestamp, view::PasskeyRow};
use std::net::IpAddr;
use store::{
    AccountRecord, ChallengePurpose, NewPasskey, SessionRef, StoreError, TicketHolder, TokenHash,
};
use zeroize::Zeroizing;

/// The most passkeys of an account.
pub const MAX_PASSKEYS: u32 = 20;
/// The longest name of a passkey, in characters.
pub const MAX_PASSKEY_NAME: usize = 40;

/// Returns a passkey's name without blanks around it.
fn checked_name(name: &str) -> Result<&str, Failure> {
    let name = name.trim();
    let length = name.chars().count();
    match (1..=MAX_PASSKEY_NAME).contains(&length) && !name.chars().any(char::is_control) {
        true => Ok(name),
        false => {
            let most = MAX_PASSKEY_NAME as u64;
            let message = Message::PasskeyName { most };
            Err(Failure::at(
                domain::Field::Name,
                ErrorCode::PasskeyName,
                message,
            ))
        }
    }
}

/// Returns the hash of the session in which a challenge is answered.
fn binding(session: &SessionRef) -> TokenHash {
    let (kind, id) = match session {
        SessionRef::Browser(key) => ("browser", key.as_str()),
        SessionRef::Api(id) => ("api", id.as_str()),
    };
    TokenHash::of(&Secret::new(format!("{kind} {id}")))
}

impl Account<'_> {
    /// Lists the account's passkeys, the oldest first.
    ///
    /// # Errors
    /// `SignedOut`, `DatabaseUnavailable`.
    pub async fn passkeys(self, scope: &FactorScope) -> Result<Vec<PasskeyRow>, Failure> {
        let account = self.record(scope).await?;
        let factors = self.0.store.factors(account.holder).await;
        Ok(super::passkey_rows(&factors.map_err(store_failure)?))
    }

    async fn stored_passkeys(self, of: TicketHolder) -> Result<Vec<StoredPasskey>, Failure> {
        let factors = self.0.store.factors(of).await.map_err(store_failure)?;
        let stored = stored_passkeys(&factors).into_iter();
        Ok(stored.map(|(_, passkey)| passkey).collect())
    }

    /// Returns what a browser is asked for a new passkey (`PublicKeyCredentialCreationOptions` in
    /// JSON). It is answered once, within five minutes, in this session.
    ///
    /// # Errors
    /// `PresenceNeeded`, `PasskeyLimit`, `TooManyTries`.
    pub async fn begin_passkey(self, scope: &FactorScope) -> Result<String, Failure> {
        let account = self.present(scope).await?;
        self.count_change(&account)?;
        let passkeys = self.stored_passkeys(account.holder).await?;
        if passkeys.len() >= MAX_PASSKEYS as usize {
            let allowed = MAX_PASSKEYS;
            return Err(store_failure(StoreError::PasskeyLimit { allowed }));
        }
        let party = self.auth().relying_party(&account);
        let binding = binding(scope.session());
        let asked = ChallengeRequest {
            purpose: ChallengePurpose::Register,
            holder: Some(account.holder),
            party: &party,
            binding: binding.as_str(),
        };
        let auth = self.auth();
        auth.creation_options(asked, &account, &passkeys).await
    }

    /// Adds a passkey, with a browser's answer to [`Account::begin_passkey`]. Each sign-in with the
    /// password asks for a second step from then on.
    ///
    /// # Errors
    /// `PresenceNeeded`, `PasskeyInvalid`, `PasskeyName`, `PasskeyLimit`, `FactorExists` for a
    /// passkey that is stored already, `TooManyTries`.
    pub async fn add_passkey(
        self,
        scope: &FactorScope,
        name: &str,
        answer: &str,
        from: IpAddr,
    ) -> Result<(), Failure> {
        let account = self.present(scope).await?;
        let name = checked_name(name)?;
        self.count_change(&account)?;
        let answer = Answer::read(AnswerKind::Create, answer)?;
        let party = self.auth().relying_party(&account);
        let binding = binding(scope.session());
        let asked = ChallengeRequest {
            purpose: ChallengePurpose::Register,
            holder: Some(account.holder),
            party: &party,
            binding: binding.as_str(),
        };
        self.auth().take_challenge(&answer, &asked).await?;
        let (passkey, counter) = answer.new_passkey(&party)?;
        let written = serde_json::to_vec(&passkey)
            .map_err(|e| internal(&e, |incident| Message::InternalError { incident }))?;
        let mut entry = self.entry(&account, "factor.add", Some(from));
        entry.detail = format!("passkey {name}");
        let id = self.0.entropy.process_name()?;
        let credential = TokenHash::of(&Secret::new(passkey.id.as_str()));
        let new = NewPasskey {
            id: &id,
            holder: account.holder,
            name,
            credential: &credential,
            counter,
            most: MAX_PASSKEYS,
            entry,
        };
        let written = Zeroizing::new(written);
        let added = self.0.store.add_passkey(new, &written).await;
        added.map_err(store_failure)
    }

    /// Gives a passkey another name.
    ///
    /// # Errors
    /// `NotFound`, `PasskeyName`, `TooManyTries`.
    pub async fn rename_passkey(
        self,
        scope: &AccountScope,
        id: &str,
        name: &str,
    ) -> Result<(), Failure> {
        let account = self.record(scope).await?;
        let name = checked_name(name)?;
        self.count_change(&account)?;
        let mut entry = self.entry(&account, "factor.rename", None);
        entry.detail = format!("passkey {name}");
        let store = &self.0.store;
        let renamed = store.rename_passkey(account.holder, id, name, entry);
        renamed.await.map_err(store_failure)
    }

    /// Removes a passkey. It signs in no more.
    ///
    /// # Errors
    /// `PresenceNeeded`, `NotFound`, `LastFactor` for an owner's, `TooManyTries`.
    pub async fn remove_passkey(self, scope: &AccountScope, id: &str) -> Result<(), Failure> {
        let account = self.present(scope).await?;
        self.count_change(&account)?;
        let factors = self.0.store.factors(account.holder).await;
        let factors = factors.map_err(store_failure)?;
        let name = factors.iter().find(|f| f.id == id).map(|f| f.name.as_str());
        let mut entry = self.entry(&account, "factor.remove", None);
        entry.detail = format!("passkey {}", name.unwrap_or_default());
        let removed = self.0.store.remove_passkey(account.holder, id, entry);
        removed.await.map_err(store_failure)
    }

    /// Returns what a browser is asked for the proof that the holder is present
    /// (`PublicKeyCredentialRequestOptions` in JSON).
    ///
    /// # Errors
    /// `NotFound` without a passkey.
    pub async fn presence_challenge(self, scope: &FactorScope) -> Result<String, Failure> {
        let account = self.record(scope).await?;
        let passkeys = self.stored_passkeys(account.holder).await?;
        if passkeys.is_empty() {
            return Err(Failure::not_found());
        }
        self.count_change(&account)?;
        let party = self.auth().relying_party(&account);
        let binding = binding(scope.session());
        let asked = ChallengeRequest {
            purpose: ChallengePurpose::Presence,
            holder: Some(account.holder),
            party: &party,
            binding: binding.as_str(),
        };
        self.auth().request_options(asked, &passkeys, true).await
    }

    /// Checks that the holder is present by a passkey, which has checked that it is its owner: in
    /// place of the password and a code. Returns until when it holds.
    ///
    /// # Errors
    /// `PasskeyInvalid`, `TooManyTries`.
    pub async fn prove_presence_by_passkey(
        self,
        scope: &FactorScope,
        answer: &str,
        from: IpAddr,
    ) -> Result<Timestamp, Failure> {
        let account = self.record(scope).await?;
        self.check_passkey(scope, &account, answer, from).await?;
        let mut entry = self.entry(&account, "presence.prove", Some(from));
        "passkey".clone_into(&mut entry.detail);
        let at = entry.at;
        let store = &self.0.store;
        let noted = store.note_presence(account.holder, scope.session(), entry);
        noted.await.map_err(|e| match e {
            // The session has ended meanwhile.
            StoreError::NotFound => Failure::signed_out(),
            e => store_failure(e),
        })?;
        Ok(Presence::until(at))
    }

    async fn check_passkey(
        self,
        scope: &FactorScope,
        account: &AccountRecord,
        answer: &str,
        from: IpAddr,
    ) -> Result<(), Failure> {
        let (auth, client) = (self.auth(), SignInClient::from(from));
        let party = auth.relying_party(account);
        let binding = binding(scope.session());
        let asked = ChallengeRequest {
            purpose: ChallengePurpose::Presence,
            holder: Some(account.holder),
            party: &party,
            binding: binding.as_str(),
        };
        let mut reason = None;
        let check = async {
            let (_, signed) = auth.use_passkey(answer, asked, &client).await?;
            match signed.is_verified {
                true => Ok(()),
                false => Err(unverified_passkey()),
            }
        };
        let check = because(check, &mut reason);
        let name = logged(account);
        let refusal = Refusal::passkey(&name);
        let checked = self.attempt(scope, account, refusal, from, check).await;
        checked.map_err(|f| reason.unwrap_or(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_characters_and_no_line_breaks() {
        assert_eq!(checked_name("  Lina’s phone "), Ok("Lina’s phone"));
        assert!(checked_name(&"ä".repeat(MAX_PASSKEY_NAME)).is_ok());
        for wrong in ["", "  ", "a\nb", &"a".repeat(MAX_PASSKEY_NAME + 1)] {
            assert_eq!(
                checked_name(wrong).unwrap_err().code,
                ErrorCode::PasskeyName
            );
        }
    }
}
