//! What the API stores: the keys of its access tokens, what access is granted by, and the
//! answers of requests that may be repeated.

mod answers;
mod credentials;
mod keys;

pub use answers::{AnswerKey, Claim};
pub use credentials::{
    CredentialKind, CredentialRecord, DatabaseState, NewCredential, Revision, Rotation,
};
#[cfg(test)]
pub(crate) use credentials::{ONE as CREDENTIAL, TOKENS_OF_TENANT};
pub use keys::SigningKeyRecord;
