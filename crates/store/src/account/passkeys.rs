//! Passkeys, and the challenges that they sign. A passkey is a factor (`factors.rs`) that is found
//! by the hash of its credential id too.

use super::{
    factors::{FactorKind, FactorRecord, Row},
    owners_factor::{is_owner, keep_a_factor},
};
use crate::{
    Result, Store, StoreError, TicketHolder, TokenHash,
    audit::{self, AuditEntry},
    db::{execute, fetch_optional},
};
use domain::Timestamp;
use seal::Purpose;

/// The most challenges of a holder; the newest stay.
const MAX_CHALLENGES_PER_HOLDER: i64 = 10;

/// What a challenge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengePurpose {
    /// A new passkey.
    Register,
    /// A sign-in with a passkey alone. It has no holder yet.
    SignIn,
    /// The second step of a sign-in.
    SecondStep,
    /// A proof that the account's holder is present.
    Presence,
}

impl ChallengePurpose {
    const ALL: [Self; 4] = [
        Self::Register,
        Self::SignIn,
        Self::SecondStep,
        Self::Presence,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::SignIn => "sign-in",
            Self::SecondStep => "second-step",
            Self::Presence => "presence",
        }
    }
}

/// A challenge that is given out.
#[derive(Clone, Copy, Debug)]
pub struct NewChallenge<'a> {
    pub challenge: &'a TokenHash,
    pub purpose: ChallengePurpose,
    /// `None` for a sign-in with a passkey alone.
    pub holder: Option<TicketHolder>,
    /// The host that the passkey is for.
    pub host: &'a str,
    /// The hash of what it is given to.
    pub binding: &'a str,
    pub now: Timestamp,
    pub expires: Timestamp,
}

/// A challenge that was answered, and is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeRecord {
    pub purpose: ChallengePurpose,
    pub holder: Option<TicketHolder>,
    pub host: String,
    pub binding: String,
}

/// A passkey to add. It holds at once.
#[derive(Clone, Debug)]
pub struct NewPasskey<'a> {
    pub id: &'a str,
    pub holder: TicketHolder,
    /// What its holder calls it.
    pub name: &'a str,
    /// The hash of its credential id.
    pub credential: &'a TokenHash,
    /// The counter of its first signature.
    pub counter: u32,
    /// The most passkeys of a holder.
    pub most: u32,
    pub entry: AuditEntry,
}

impl Store {
    /// Stores a challenge. Removes all but the newest of the holder's others.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the holder was deleted.
    pub async fn create_challenge(&self, new: NewChallenge<'_>) -> Result<()> {
        let (user, operator) = new.holder.map_or((None, None), TicketHolder::columns);
        let mut tx = self.db.begin().await?;
        if new.holder.is_some() {
            let sql = "DELETE FROM passkey_challenges WHERE (user_id = $1 OR operator_id = $2) \
                       AND (expires <= $3 OR challenge_hash NOT IN \
                       (SELECT challenge_hash FROM passkey_challenges \
                        WHERE user_id = $1 OR operator_id = $2 \
                        ORDER BY expires DESC, challenge_hash LIMIT $4))";
            let most = MAX_CHALLENGES_PER_HOLDER - 1;
            execute!(tx.connection(), sql, user, operator, new.now.0, most)?;
        }
        let sql = "INSERT INTO passkey_challenges \
                   (challenge_hash, purpose, user_id, operator_id, host, binding, expires) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let inserted = execute!(
            tx.connection(),
            sql,
            new.challenge.as_str(),
            new.purpose.as_str(),
            user,
            operator,
            new.host,
            new.binding,
            new.expires.0
        );
        match inserted {
            Ok(_) => tx.commit().await,
            Err(e) if e.is_foreign_key_violation() => Err(StoreError::NotFound),
            Err(e) => Err(e),
        }
    }

    /// Takes a challenge that has not expired: it is answered, rightly or not.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn take_challenge(
        &self,
        challenge: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<ChallengeRecord>> {
        type Taken = (String, Option<i64>, Option<i64>, String, String, i64);
        let sql = "DELETE FROM passkey_challenges WHERE challenge_hash = $1 \
                   RETURNING purpose, user_id, operator_id, host, binding, expires";
        let row = fetch_optional!(self.db.writer(), Taken, sql, challenge.as_str())?;
        Ok(
            row.and_then(|(purpose, user, operator, host, binding, expires)| {
                let mut all = ChallengePurpose::ALL.into_iter();
                let purpose = all.find(|p| p.as_str() == purpose)?;
                (expires > now.0).then_some(ChallengeRecord {
                    purpose,
                    holder: TicketHolder::of_columns(user, operator),
                    host,
                    binding,
                })
            }),
        )
    }

    /// Removes challenges that have expired. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_challenges(&self, now: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM passkey_challenges WHERE expires <= $1";
        execute!(self.db.writer(), sql, now.0)
    }

    /// Adds a passkey. `secret` is sealed.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the holder was deleted,
    /// [`StoreError::PasskeyLimit`] if it has too many, and [`StoreError::PasskeyTaken`] if the
    /// passkey is stored already.
    pub async fn add_passkey(&self, new: NewPasskey<'_>, secret: &[u8]) -> Result<()> {
        let (user, operator) = new.holder.columns();
        let sealed = self.sealer.seal(Purpose::FactorSecret, new.id, secret)?;
        let mut tx = self.db.begin().await?;
        let sql = "SELECT COUNT(*) FROM factors \
                   WHERE (user_id = $1 OR operator_id = $2) AND kind = $3";
        let kind = FactorKind::Passkey.as_str();
        let count = fetch_optional!(tx.connection(), (i64,), sql, user, operator, kind)?;
        if count.is_some_and(|(n,)| n >= i64::from(new.most)) {
            return Err(StoreError::PasskeyLimit { allowed: new.most });
        }
        let at = new.entry.at.0;
        let sql = "INSERT INTO factors (id, kind, user_id, operator_id, name, secret, last_step, \
                   created_at, confirmed_at, credential) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)";
        let inserted = execute!(
            tx.connection(),
            sql,
            new.id,
            kind,
            user,
            operator,
            new.name,
            sealed.as_str(),
            i64::from(new.counter),
            at,
            new.credential.as_str()
        );
        match inserted {
            Ok(_) => {}
            Err(e) if e.is_foreign_key_violation() => return Err(StoreError::NotFound),
            Err(e) if e.is_unique_violation() => return Err(StoreError::PasskeyTaken),
            Err(e) => return Err(e),
        }
        audit::write(&mut tx, new.entry).await?;
        tx.commit().await
    }

    /// Finds a passkey by the hash of its credential id, with its holder.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn passkey(
        &self,
        credential: &TokenHash,
    ) -> Result<Option<(TicketHolder, FactorRecord)>> {
        type Holder = (Option<i64>, Option<i64>);
        let sql = "SELECT id, kind, name, secret, last_step, created_at, confirmed_at, used_at \
                   FROM factors WHERE credential = $1";
        let key = credential.as_str();
        let Some(row) = fetch_optional!(self.db.reader(), Row, sql, key)? else {
            return Ok(None);
        };
        let sql = "SELECT user_id, operator_id FROM factors WHERE credential = $1";
        let holder = fetch_optional!(self.db.reader(), Holder, sql, key)?;
        let holder = holder.and_then(|(user, operator)| TicketHolder::of_columns(user, operator));
        let factor = self.factor(row)?;
        Ok(holder.map(|holder| (holder, factor)))
    }

    /// Notes the counter of a signature. Returns whether it is later than the last one's, or the
    /// passkey does not count (WebAuthn Level 3, section 7.2, step 22): else there is a copy of it.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn accept_counter(&self, id: &str, counter: u32, now: Timestamp) -> Result<bool> {
        let sql = "UPDATE factors SET last_step = $2, used_at = $3 WHERE id = $1 \
                   AND (last_step < $2 OR (last_step = 0 AND $2 = 0))";
        let changed = execute!(self.db.writer(), sql, id, i64::from(counter), now.0)?;
        Ok(changed > 0)
    }

    /// Gives a passkey another name.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the holder has no such passkey.
    pub async fn rename_passkey(
        &self,
        holder: TicketHolder,
        id: &str,
        name: &str,
        entry: AuditEntry,
    ) -> Result<()> {
        let (user, operator) = holder.columns();
        let mut tx = self.db.begin().await?;
        let sql = "UPDATE factors SET name = $4 WHERE id = $1 \
                   AND (user_id = $2 OR operator_id = $3) AND kind = 'passkey'";
        if execute!(tx.connection(), sql, id, user, operator, name)? == 0 {
            return Err(StoreError::NotFound);
        }
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Removes a passkey.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the holder has no such passkey, and
    /// [`StoreError::LastFactor`] if an owner would be left without a second factor.
    pub async fn remove_passkey(
        &self,
        holder: TicketHolder,
        id: &str,
        entry: AuditEntry,
    ) -> Result<()> {
        let (user, operator) = holder.columns();
        let mut tx = self.db.begin().await?;
        let is_owner = is_owner(&mut tx, holder).await?;
        let sql = "DELETE FROM factors WHERE id = $1 \
                   AND (user_id = $2 OR operator_id = $3) AND kind = 'passkey'";
        if execute!(tx.connection(), sql, id, user, operator)? == 0 {
            return Err(StoreError::NotFound);
        }
        keep_a_factor(&mut tx, holder, is_owner).await?;
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }
}
