//! Access tokens: JWTs, signed with EdDSA (RFC 8037). Algorithm, issuer and audience are
//! fixed, so that a token of any other kind is none (RFC 8725, 3.1 and 3.8).

use super::read_token::{ReadToken, subject};
use crate::{auth::Auth, failures::internal};
use domain::{ErrorCode, Failure, Message, Secret, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use store::CredentialRecord;

/// How long an access token is valid.
pub(super) const ACCESS_TOKEN_SECS: i64 = 15 * 60;
/// The longest token that is read, in bytes. Ours are shorter than 400.
const MAX_TOKEN_BYTES: usize = 1_024;
const ISSUER: &str = "maliknode";
const AUDIENCE: &str = "maliknode-api";

/// What a token says (RFC 7519, 4.1).
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The holder.
    sub: String,
    /// The credential.
    sid: String,
    iat: i64,
    exp: i64,
}

/// Returns the failure of a token that is not valid, whatever the reason.
pub(super) fn invalid() -> Failure {
    Failure::new(ErrorCode::TokenInvalid, Message::TokenInvalid)
}

impl Auth<'_> {
    /// Issues an access token of a credential. Returns it with when it expires.
    pub(super) async fn issue_access_token(
        self,
        credential: &CredentialRecord,
    ) -> Result<(Secret, Timestamp), Failure> {
        let inner = self.0;
        let now = inner.clock.now();
        let keys = &inner.signing_keys;
        let key = keys.signing(&inner.store, &inner.entropy, now).await?;
        let expires = now
            .plus_millis(ACCESS_TOKEN_SECS * 1_000)
            .min(credential.expires_at);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: subject(credential.holder),
            sid: credential.id.clone(),
            iat: now.secs(),
            exp: expires.secs(),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key.kid.clone());
        let signed = encode(
            &header,
            &claims,
            &EncodingKey::from_ed_der(key.seed.as_slice()),
        );
        let token =
            signed.map_err(|e| internal(&e, |incident| Message::InternalError { incident }))?;
        Ok((Secret::new(token), expires))
    }

    /// Reads an access token.
    ///
    /// # Errors
    /// `TokenInvalid`, `TokenExpired`, `DatabaseUnavailable`.
    pub(super) async fn read_access_token(self, token: &str) -> Result<ReadToken, Failure> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(invalid());
        }
        let now = self.0.clock.now();
        let read = match self.0.verified_tokens.get(token) {
            Some(read) => read,
            None => {
                let read = self.verify_access_token(token, now).await?;
                self.0.verified_tokens.keep(token, read.clone(), now);
                read
            }
        };
        if read.has_expired(now) {
            let code = ErrorCode::TokenExpired;
            return Err(Failure::new(code, Message::TokenExpired));
        }
        Ok(read)
    }

    /// Verifies a token's signature. It may have expired.
    async fn verify_access_token(self, token: &str, now: Timestamp) -> Result<ReadToken, Failure> {
        let inner = self.0;
        // The head decides nothing but which of our keys is tried.
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        let kid = header.kid.ok_or_else(invalid)?;
        let key = inner.signing_keys.find(&inner.store, &kid, now).await?;
        let key = key.ok_or_else(invalid)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // By its reader, with the clock that issued it.
        validation.validate_exp = false;
        let key = DecodingKey::from_ed_der(&key.public_key);
        let claims = decode::<Claims>(token, &key, &validation);
        let claims = claims.map_err(|_| invalid())?.claims;
        Ok(ReadToken::new(claims.sid, claims.sub, claims.exp))
    }
}
