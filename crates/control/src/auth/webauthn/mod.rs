//! What a browser answers to a challenge, for a passkey (WebAuthn Level 3, sections 7.1 and 7.2).
//!
//! Attestation is not asked for: nothing depends on who made the passkey, so the statement about
//! it is not read. What is checked is what section 7 demands without it: the kind of answer, the
//! challenge, the origin, the host's hash, that a person was there, the counter, the signature.

mod cose;

pub(crate) use cose::{ALGORITHMS, PublicKey};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{ErrorCode, Failure, Message, Secret};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1_024;
/// The longest credential id, in bytes (WebAuthn Level 3, section 4).
const MAX_CREDENTIAL: usize = 1_023;
/// The length of a host's hash, the flags and the counter.
const HEAD: usize = 37;
/// A person touched it.
const PRESENT: u8 = 0x01;
/// It checked that it is its owner: by a fingerprint, a face or a PIN.
const VERIFIED: u8 = 0x04;
/// A new key follows.
const WITH_KEY: u8 = 0x40;

/// Returns a failure of a passkey, with its reason.
pub(crate) fn invalid(message: Message) -> Failure {
    Failure::new(ErrorCode::PasskeyInvalid, message)
}

/// The host that passkeys are for: its name is the *relying party*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelyingParty {
    /// The host without the port.
    pub host: String,
    /// The scheme, host and port, as a browser names it.
    pub origin: String,
}

impl RelyingParty {
    /// Returns the host of that name below an installation's address.
    pub fn below(base_url: &str, name: &str) -> Self {
        let (scheme, base) = base_url.split_once("://").unwrap_or(("https", base_url));
        let base = base.trim_end_matches('/');
        let host = base.split(':').next().unwrap_or(base);
        Self {
            host: format!("{name}.{host}"),
            origin: format!("{scheme}://{name}.{base}"),
        }
    }
}

/// A public key and what it is found by, as it is stored. It is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredPasskey {
    /// The credential id, in base64url.
    pub id: String,
    /// The key as the authenticator wrote it, in base64url.
    key: String,
    /// The host that it is for.
    pub host: String,
}

/// What a browser sends of a new passkey or a signature: `PublicKeyCredential.toJSON()`, whose
/// further members are not read.
#[derive(Deserialize)]
struct AnswerJson {
    id: String,
    response: ResponseJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseJson {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: Option<String>,
    user_handle: Option<String>,
}

/// What the browser says it signed for (WebAuthn Level 3, section 5.8.1).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

/// The kind of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    /// A new passkey.
    Create,
    /// A signature of one.
    Get,
}

impl AnswerKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

/// An answer that could be read. Nothing of it is checked yet but its kind.
pub(crate) struct Answer {
    /// The credential id, in base64url.
    pub id: String,
    /// The challenge that it answers.
    pub challenge: Secret,
    /// Whose passkey it says it is.
    pub user_handle: Option<String>,
    origin: String,
    is_framed: bool,
    authenticator: Vec<u8>,
    signature: Vec<u8>,
    /// The hash of what the browser says it signed for.
    client_hash: [u8; 32],
}

/// What a signature that is right says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub counter: u32,
    /// Whether it was checked that it is the passkey's owner.
    pub is_verified: bool,
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

impl Answer {
    /// Reads an answer of that kind.
    ///
    /// # Errors
    /// `PasskeyInvalid` for anything else.
    pub fn read(kind: AnswerKind, json: &str) -> Result<Self, Failure> {
        Self::parse(kind, json).ok_or_else(|| invalid(Message::PasskeyUnreadable))
    }

    fn parse(kind: AnswerKind, json: &str) -> Option<Self> {
        if json.len() > MAX_ANSWER {
            return None;
        }
        let answer: AnswerJson = serde_json::from_str(json).ok()?;
        let id = decoded(&answer.id)?;
        let client_data = decoded(&answer.response.client_data)?;
        let client: ClientData = serde_json::from_slice(&client_data).ok()?;
        let authenticator = decoded(&answer.response.authenticator_data)?;
        let is_right = client.r#type == kind.as_str()
            && (1..=MAX_CREDENTIAL).contains(&id.len())
            && authenticator.len() >= HEAD;
        let signature = match (kind, answer.response.signature) {
            (AnswerKind::Create, _) => Vec::new(),
            (AnswerKind::Get, signature) => decoded(&signature?)?,
        };
        is_right.then(|| Self {
            // Written again: each id has one text.
            id: URL_SAFE_NO_PAD.encode(id),
            challenge: Secret::new(client.challenge),
            user_handle: answer.response.user_handle.filter(|h| !h.is_empty()),
            origin: client.origin,
            is_framed: client.cross_origin,
            authenticator,
            signature,
            client_hash: Sha256::digest(&client_data).into(),
        })
    }

    /// Checks that the answer is for that host, and that a person was there.
    fn check(&self, party: &RelyingParty) -> Result<Signed, Failure> {
        let hash: [u8; 32] = Sha256::digest(&party.host).into();
        if self.origin != party.origin || self.is_framed || self.authenticator[..32] != hash {
            return Err(invalid(Message::PasskeyOtherHost));
        }
        let flags = self.authenticator[32];
        if flags & PRESENT == 0 {
            return Err(invalid(Message::PasskeyUnverified));
        }
        let mut counter = [0; 4];
        counter.copy_from_slice(&self.authenticator[33..HEAD]);
        Ok(Signed {
            counter: u32::from_be_bytes(counter),
            is_verified: flags & VERIFIED != 0,
        })
    }

    /// Returns the new passkey of an answer for that host, whose challenge was checked.
    ///
    /// # Errors
    /// `PasskeyInvalid`.
    pub fn new_passkey(&self, party: &RelyingParty) -> Result<(StoredPasskey, u32), Failure> {
        let signed = self.check(party)?;
        let key = self.new_key()?;
        let passkey = StoredPasskey {
            id: self.id.clone(),
            key: URL_SAFE_NO_PAD.encode(key),
            host: party.host.clone(),
        };
        Ok((passkey, signed.counter))
    }

    /// Returns the bytes of the new key (WebAuthn Level 3, section 6.5.2).
    fn new_key(&self) -> Result<&[u8], Failure> {
        let unreadable = || invalid(Message::PasskeyUnreadable);
        let data = &self.authenticator;
        // After the head: 16 bytes for the model, two for the id's length, the id, the key.
        let length = data.get(HEAD + 16..HEAD + 18).ok_or_else(unreadable)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let rest = &data[HEAD + 18..];
        let (id, rest) = rest.split_at_checked(length).ok_or_else(unreadable)?;
        if data[32] & WITH_KEY == 0 || URL_SAFE_NO_PAD.encode(id) != self.id {
            return Err(unreadable());
        }
        let unsupported = || invalid(Message::PasskeyAlgorithm);
        let (_, read) = PublicKey::read(rest).ok_or_else(unsupported)?;
        Ok(&rest[..read])
    }

    /// Checks that the answer, whose challenge was checked, is that passkey's, for that host.
    ///
    /// # Errors
    /// `PasskeyInvalid`.
    pub fn signed(&self, party: &RelyingParty, by: &StoredPasskey) -> Result<Signed, Failure> {
        let signed = self.check(party)?;
        let unknown = || invalid(Message::PasskeyUnknown);
        if by.host != party.host || by.id != self.id {
            return Err(unknown());
        }
        let key = decoded(&by.key).ok_or_else(unknown)?;
        let (key, _) = PublicKey::read(&key).ok_or_else(unknown)?;
        let message = [&self.authenticator[..], &self.client_hash].concat();
        match key.verifies(&message, &self.signature) {
            true => Ok(signed),
            false => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests;
