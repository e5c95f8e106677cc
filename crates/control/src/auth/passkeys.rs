//! Passkeys: what is asked of a browser, and signing in with its answer.
//!
//! A challenge is a row, found by the hash of the challenge itself, which comes back in what the
//! browser says it signed for. It lasts five minutes, is used up by the first answer, right or
//! wrong, and belongs to what it was given to: the browser that signs in, the sign-in that waits,
//! or the session. Passkeys are for the holder's own host, never for the base: a tenant's host
//! can ask for no other tenant's.

use super::{
    Auth,
    account_limits::TriedAccount,
    client::SignInClient,
    logged_name::logged,
    sessions::Refusal,
    webauthn::{ALGORITHMS, Answer, AnswerKind, RelyingParty, Signed, StoredPasskey, invalid},
};
use crate::{
    failures::store_failure,
    inputs::{OperatorSession, PasskeyChallenge, SignInStep, SignInTicket},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Failure, Message, Secret, TenantName};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{
    AccountRecord, ChallengePurpose, ChallengeRecord, FactorKind, FactorRecord, NewChallenge,
    TicketHolder, TokenHash,
};

/// How long a challenge waits for its answer.
const CHALLENGE_MILLIS: i64 = 300_000;
/// The name of the host below the base on which operators sign in.
const OPERATORS_HOST: &str = "admin";
/// Who asks, as a browser shows it.
const ISSUER: &str = "MalikNode";

/// What a challenge is given for, and to.
pub(crate) struct ChallengeRequest<'a> {
    pub purpose: ChallengePurpose,
    /// `None` for a sign-in with a passkey alone.
    pub holder: Option<TicketHolder>,
    pub party: &'a RelyingParty,
    /// The hash of what it is given to.
    pub binding: &'a str,
}

/// Returns the passkeys among factors, with their ids.
pub(crate) fn stored(factors: &[FactorRecord]) -> Vec<(&FactorRecord, StoredPasskey)> {
    let passkeys = factors.iter().filter(|f| f.kind == FactorKind::Passkey);
    let read = passkeys.filter_map(|f| Some((f, serde_json::from_slice(&f.secret).ok()?)));
    read.collect()
}

fn descriptors(passkeys: &[StoredPasskey]) -> serde_json::Value {
    let all = passkeys.iter();
    all.map(|p| json!({ "type": "public-key", "id": p.id }))
        .collect()
}

/// Returns what a passkey calls its account: no name, and no other installation's.
pub(crate) fn user_handle(holder: TicketHolder, party: &RelyingParty) -> String {
    let id = match holder {
        TicketHolder::Tenant(id) => format!("tenant {id}"),
        TicketHolder::Operator(id) => format!("operator {}", id.0),
    };
    let digest = Sha256::digest(format!("passkey {} {id}", party.host));
    URL_SAFE_NO_PAD.encode(&digest[..24])
}

impl Auth<'_> {
    /// Returns the host of the holder's passkeys.
    pub(crate) fn relying_party(self, account: &AccountRecord) -> RelyingParty {
        match account.holder {
            TicketHolder::Tenant(_) => self.party_of(Some(&account.name)),
            TicketHolder::Operator(_) => self.party_of(None),
        }
    }

    fn party_of(self, tenant: Option<&str>) -> RelyingParty {
        let name = tenant.unwrap_or(OPERATORS_HOST);
        RelyingParty::below(&self.0.settings.base_url, name)
    }

    /// Gives out a challenge.
    pub(crate) async fn challenge(self, asked: ChallengeRequest<'_>) -> Result<Secret, Failure> {
        let (challenge, now) = (self.0.entropy.token()?, self.0.clock.now());
        let hash = TokenHash::of(&challenge);
        let created = self.0.store.create_challenge(NewChallenge {
            challenge: &hash,
            purpose: asked.purpose,
            holder: asked.holder,
            host: &asked.party.host,
            binding: asked.binding,
            now,
            expires: now.plus_millis(CHALLENGE_MILLIS),
        });
        created.await.map_err(store_failure)?;
        Ok(challenge)
    }

    /// Returns what a browser is asked for a signature (`PublicKeyCredentialRequestOptions` in
    /// JSON). Without passkeys it offers those that it has for the host.
    pub(crate) async fn request_options(
        self,
        asked: ChallengeRequest<'_>,
        passkeys: &[StoredPasskey],
        is_alone: bool,
    ) -> Result<String, Failure> {
        let host = asked.party.host.clone();
        let challenge = self.challenge(asked).await?;
        Ok(json!({
            "challenge": challenge.expose(),
            "rpId": host,
            "timeout": CHALLENGE_MILLIS,
            "allowCredentials": descriptors(passkeys),
            "userVerification": if is_alone { "required" } else { "preferred" },
        })
        .to_string())
    }

    /// Returns what a browser is asked for a new passkey (`PublicKeyCredentialCreationOptions` in
    /// JSON).
    pub(crate) async fn creation_options(
        self,
        asked: ChallengeRequest<'_>,
        account: &AccountRecord,
        passkeys: &[StoredPasskey],
    ) -> Result<String, Failure> {
        let party = asked.party.clone();
        let challenge = self.challenge(asked).await?;
        let algorithms = ALGORITHMS
            .iter()
            .map(|a| json!({ "type": "public-key", "alg": a }));
        Ok(json!({
            "rp": { "id": party.host, "name": ISSUER },
            "user": {
                "id": user_handle(account.holder, &party),
                "name": account.name,
                "displayName": account.name,
            },
            "challenge": challenge.expose(),
            "pubKeyCredParams": algorithms.collect::<Vec<_>>(),
            "timeout": CHALLENGE_MILLIS,
            "excludeCredentials": descriptors(passkeys),
            "authenticatorSelection": {
                "residentKey": "preferred",
                "userVerification": "preferred",
            },
            "attestation": "none",
        })
        .to_string())
    }

    /// Takes the challenge of an answer, if it was given out for that.
    ///
    /// # Errors
    /// `PasskeyInvalid`.
    pub(crate) async fn take_challenge(
        self,
        answer: &Answer,
        asked: &ChallengeRequest<'_>,
    ) -> Result<(), Failure> {
        let (store, now) = (&self.0.store, self.0.clock.now());
        let hash = TokenHash::of(&answer.challenge);
        let taken = store.take_challenge(&hash, now).await;
        let taken = taken.map_err(store_failure)?;
        let expected = ChallengeRecord {
            purpose: asked.purpose,
            holder: asked.holder,
            host: asked.party.host.clone(),
            binding: asked.binding.to_owned(),
        };
        match taken == Some(expected) {
            true => Ok(()),
            false => Err(invalid(Message::PasskeyInvalid)),
        }
    }

    /// Checks the signature of a passkey, and notes its counter. Returns whose passkey it is.
    ///
    /// # Errors
    /// `PasskeyInvalid`, `DatabaseUnavailable`.
    pub(crate) async fn use_passkey(
        self,
        answer: &str,
        asked: ChallengeRequest<'_>,
        client: &SignInClient,
    ) -> Result<(TicketHolder, Signed), Failure> {
        let (store, now) = (&self.0.store, self.0.clock.now());
        let unknown = || invalid(Message::PasskeyUnknown);
        let answer = Answer::read(AnswerKind::Get, answer)?;
        self.take_challenge(&answer, &asked).await?;
        let credential = TokenHash::of(&Secret::new(answer.id.as_str()));
        let found = store.passkey(&credential).await.map_err(store_failure)?;
        let (holder, factor) = found.ok_or_else(unknown)?;
        if asked.holder.is_some_and(|asked| asked != holder) {
            return Err(unknown());
        }
        let handle = user_handle(holder, asked.party);
        if answer.user_handle.as_ref().is_some_and(|h| *h != handle) {
            return Err(unknown());
        }
        let passkey = serde_json::from_slice(&factor.secret).map_err(|_| unknown())?;
        let signed = answer.signed(asked.party, &passkey)?;
        let accepted = store.accept_counter(&factor.id, signed.counter, now).await;
        if accepted.map_err(store_failure)? {
            return Ok((holder, signed));
        }
        if let Some(account) = store.account(holder).await.map_err(store_failure)? {
            let mut entry = self.account_entry(&account, "factor.copied", client);
            entry.detail = factor.name;
            store.audit(entry).await.map_err(store_failure)?;
        }
        Err(invalid(Message::PasskeyCopied))
    }

    /// Returns what a visitor's browser is asked for a sign-in with a passkey alone: on the host
    /// of that tenant, or on the operators'.
    ///
    /// # Errors
    /// `TooManyTries`, `DatabaseUnavailable`.
    pub async fn passkey_challenge(
        self,
        tenant: Option<&TenantName>,
        client: impl Into<SignInClient>,
    ) -> Result<PasskeyChallenge, Failure> {
        let client = client.into().checked();
        let (limits, now) = (&self.0.limits, self.0.clock.now());
        limits.count_challenge(client.address, now)?;
        let browser = self.browser_cookie(&client)?;
        let party = self.party_of(tenant.map(TenantName::as_str));
        let binding = TokenHash::of(&browser);
        let asked = ChallengeRequest {
            purpose: ChallengePurpose::SignIn,
            holder: None,
            party: &party,
            binding: binding.as_str(),
        };
        let options = self.request_options(asked, &[], true).await?;
        Ok(PasskeyChallenge { options, browser })
    }

    /// Signs a tenant in with a passkey alone, on its own host. The passkey has checked that it is
    /// its owner, so there is no second step.
    ///
    /// # Errors
    /// `PasskeyInvalid`, `TooManyTries`.
    pub async fn passkey_sign_in(
        self,
        host: &TenantName,
        answer: &str,
        client: impl Into<SignInClient>,
    ) -> Result<SignInTicket, Failure> {
        let client = client.into().checked();
        let holder = self.passkey_alone(Some(host), answer, &client).await?;
        let tenant = self.0.store.tenant_by_name(host).await;
        let tenant = tenant.map_err(store_failure)?;
        let is_holder = |t: &store::TenantRecord| TicketHolder::Tenant(t.id) == holder;
        let unknown = || invalid(Message::PasskeyUnknown);
        let tenant = tenant.filter(is_holder).ok_or_else(unknown)?;
        match self.finish_sign_in(&tenant, client, "passkey").await? {
            SignInStep::Done(ticket) => Ok(ticket),
            SignInStep::SecondFactor(_) => Err(unknown()),
        }
    }

    /// Signs an operator in with a passkey alone, as [`Auth::passkey_sign_in`] does a tenant.
    ///
    /// # Errors
    /// As [`Auth::passkey_sign_in`].
    pub async fn operator_passkey_sign_in(
        self,
        answer: &str,
        client: impl Into<SignInClient>,
    ) -> Result<OperatorSession, Failure> {
        let client = client.into().checked();
        let holder = self.passkey_alone(None, answer, &client).await?;
        let unknown = || invalid(Message::PasskeyUnknown);
        let account = self.0.store.account(holder).await.map_err(store_failure)?;
        let name = account.ok_or_else(unknown)?.name;
        let operator = self.0.store.operator_by_name(&name).await;
        let operator = operator.map_err(store_failure)?;
        let operator = operator.filter(|o| TicketHolder::Operator(o.id) == holder);
        let operator = operator.ok_or_else(unknown)?;
        self.finish_operator_sign_in(operator, client, "passkey")
            .await
    }

    async fn passkey_alone(
        self,
        tenant: Option<&TenantName>,
        answer: &str,
        client: &SignInClient,
    ) -> Result<TicketHolder, Failure> {
        let party = self.party_of(tenant.map(TenantName::as_str));
        let browser = client.browser.as_ref().map(TokenHash::of);
        let browser = browser.ok_or_else(|| invalid(Message::PasskeyInvalid));
        let mut reason = None;
        let check = async {
            let browser = browser?;
            let asked = ChallengeRequest {
                purpose: ChallengePurpose::SignIn,
                holder: None,
                party: &party,
                binding: browser.as_str(),
            };
            let (holder, signed) = self.use_passkey(answer, asked, client).await?;
            match signed.is_verified {
                true => Ok(holder),
                false => Err(invalid(Message::PasskeyUnverified)),
            }
        };
        let check = because(check, &mut reason);
        let checked = self.attempt_address(client.address, check).await;
        let checked = self.0.counters.sign_ins.count(checked);
        checked.map_err(|f| reason.unwrap_or(f))
    }

    /// Checks an account's passkey as one try at the account, and returns what it signed.
    pub(super) async fn second_step_passkey(
        self,
        account: &AccountRecord,
        answer: &str,
        binding: &TokenHash,
        client: &SignInClient,
    ) -> Result<Signed, Failure> {
        let party = self.relying_party(account);
        let asked = ChallengeRequest {
            purpose: ChallengePurpose::SecondStep,
            holder: Some(account.holder),
            party: &party,
            binding: binding.as_str(),
        };
        let logged = logged(account);
        let tried = TriedAccount::of(Some(account.holder), "", "");
        let mut reason = None;
        let check = async {
            let (_, signed) = self.use_passkey(answer, asked, client).await?;
            Ok(signed)
        };
        let check = because(check, &mut reason);
        let refusal = Refusal::passkey(&logged);
        let checked = self.attempt(&tried, refusal, client, check).await;
        checked.map_err(|f| reason.unwrap_or(f))
    }
}

/// Counts a passkey that is not right as a wrong try, and keeps the reason of it.
pub(crate) async fn because<T>(
    check: impl Future<Output = Result<T, Failure>>,
    reason: &mut Option<Failure>,
) -> Result<Option<T>, Failure> {
    match check.await {
        Ok(done) => Ok(Some(done)),
        Err(f) if f.code == domain::ErrorCode::PasskeyInvalid => {
            *reason = Some(f);
            Ok(None)
        }
        Err(f) => Err(f),
    }
}
