//! Recovery codes: each stands once for a second factor, or for a password that was lost.

use crate::entropy::Entropy;
use domain::{Failure, Secret};
use store::TokenHash;

/// How many an account has.
pub(crate) const RECOVERY_CODES: usize = 10;
/// The characters of a code without its hyphens: 120 random bits. OWASP ASVS 2.6.2 asks for 112
/// where no salt is stored with the hash.
const CHARACTERS: usize = 24;
/// Those of codes that former versions made: 80 random bits. They still work.
const FORMER_CHARACTERS: usize = 16;

/// The recovery codes of an account. They are shown this once.
#[derive(Debug)]
pub struct RecoveryCodes(pub Vec<Secret>);

/// Makes new codes. Returns them and their hashes.
pub(crate) fn new_codes(entropy: &Entropy) -> Result<(RecoveryCodes, Vec<TokenHash>), Failure> {
    let codes = (0..RECOVERY_CODES).map(|_| entropy.password());
    let codes = codes.collect::<Result<Vec<_>, _>>()?;
    let plain = |code: &Secret| Secret::new(code.expose().replace('-', ""));
    let hashes = codes.iter().map(|code| TokenHash::of(&plain(code)));
    let hashes = hashes.collect();
    Ok((RecoveryCodes(codes), hashes))
}

/// Returns the hash of a code that was typed, in small letters and without hyphens, if it has
/// the form of a recovery code. It is random, so one round of SHA-256 hides it.
pub(crate) fn recovery_hash(code: &str) -> Option<TokenHash> {
    let is_code = [CHARACTERS, FORMER_CHARACTERS].contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_alphanumeric());
    is_code.then(|| TokenHash::of(&Secret::new(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_as_it_is_typed() {
        let (codes, hashes) = new_codes(&Entropy::system()).unwrap();
        assert_eq!(
            (codes.0.len(), hashes.len()),
            (RECOVERY_CODES, RECOVERY_CODES)
        );
        for (code, hash) in codes.0.iter().zip(&hashes) {
            assert_eq!(code.expose().len(), CHARACTERS + 5, "six groups");
            let typed = code.expose().replace('-', "");
            assert_eq!(recovery_hash(&typed).as_ref(), Some(hash));
        }
        let former = "abcdefghjkmnp234";
        let stored = TokenHash::of(&Secret::new(former));
        assert_eq!(recovery_hash(former), Some(stored), "one of 80 bits");
        for bad in [
            "",
            "123456",
            "abcdabcdabcdabc",
            "abcdabcdabcdabc!",
            "abcdabcdabcdabcda",
        ] {
            assert_eq!(recovery_hash(bad), None, "{bad}");
        }
    }
}
