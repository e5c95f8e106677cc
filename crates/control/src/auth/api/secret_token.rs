//! The form of refresh tokens and API tokens: a prefix by which people and scanners of
//! repositories recognise them, the id of the credential, and a secret.

use crate::entropy::Entropy;
use domain::{Failure, Secret};
use store::TokenHash;

/// The longest token that is read, in bytes.
const MAX_BYTES: usize = 96;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Refresh,
    Api,
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "mnr_",
            Self::Api => "mnt_",
        }
    }

    /// Returns whether a text is a token of this kind, by its beginning.
    pub fn begins(self, text: &str) -> bool {
        text.starts_with(self.prefix())
    }
}

/// Makes a token of a credential. Returns it and its hash.
pub(super) fn make(
    kind: TokenKind,
    id: &str,
    entropy: &Entropy,
) -> Result<(Secret, TokenHash), Failure> {
    let secret = entropy.token()?;
    let token = Secret::new(format!("{}{id}_{}", kind.prefix(), secret.expose()));
    let hash = TokenHash::of(&token);
    Ok((token, hash))
}

/// Returns the id of a token's credential and the token's hash, if it has the form.
pub(super) fn parse(kind: TokenKind, token: &Secret) -> Option<(&str, TokenHash)> {
    let text = token.expose();
    if text.len() > MAX_BYTES {
        return None;
    }
    let (id, _) = text.strip_prefix(kind.prefix())?.split_once('_')?;
    let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then(|| (id, TokenHash::of(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_the_kind_it_is() {
        let entropy = Entropy::system();
        let (token, hash) = make(TokenKind::Api, "00ff", &entropy).unwrap();
        assert_eq!(parse(TokenKind::Api, &token), Some(("00ff", hash)));
        assert_eq!(parse(TokenKind::Refresh, &token), None);
        for bad in ["", "mnt_", "mnt__x", "mnt_zz_x", "mnt_00ff", "00ff_x"] {
            assert_eq!(parse(TokenKind::Api, &Secret::new(bad)), None, "{bad}");
        }
        let long = Secret::new(format!("mnt_00ff_{}", "x".repeat(1_000)));
        assert_eq!(parse(TokenKind::Api, &long), None);
    }
}
