//! Codes of authenticator apps: RFC 6238 with SHA-1, 30 s and 6 digits, which every app has.

use crate::failures::internal;
use domain::{Failure, Message, Secret, Timestamp};
use totp_rs::{Algorithm, Builder, Totp};

/// The length of a secret in bytes (RFC 4226, 4: 160 bits are recommended).
pub(crate) const SECRET_BYTES: usize = 20;
const STEP_SECS: u64 = 30;
const DIGITS: u8 = 6;
/// How many steps a clock may be off.
const SKEW: u16 = 1;
/// Who issues it, as an app shows it.
const ISSUER: &str = "MalikNode";

/// A secret to enter in an authenticator app. It is shown until it is confirmed.
#[derive(Debug)]
pub struct TotpEnrolment {
    /// The secret in base32 (RFC 4648, 6), to be typed.
    pub secret: Secret,
    /// `otpauth://totp/…`, to be shown as a QR code.
    pub uri: Secret,
}

fn totp(secret: &[u8]) -> Result<Totp, Failure> {
    let built = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_skew(SKEW)
        .with_step_duration(STEP_SECS)
        .with_secret(secret.to_vec())
        .build();
    built.map_err(|e| internal(&e, |incident| Message::InternalError { incident }))
}

/// Returns what an app needs of a secret, for the account of that name.
pub(crate) fn enrolment(secret: &[u8], account: &str) -> TotpEnrolment {
    let base32 = totp_rs::Secret::from(secret.to_vec()).to_base32();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let account: String = account.chars().filter(|c| is_plain(*c)).collect();
    let uri = format!(
        "otpauth://totp/{ISSUER}:{account}?secret={base32}&issuer={ISSUER}&algorithm=SHA1\
         &digits={DIGITS}&period={STEP_SECS}"
    );
    TotpEnrolment {
        secret: Secret::new(base32),
        uri: Secret::new(uri),
    }
}

/// Returns the time step of a code, if it is one of the secret at that time.
pub(crate) fn step_of(secret: &[u8], code: &str, now: Timestamp) -> Result<Option<i64>, Failure> {
    if code.len() != usize::from(DIGITS) || !code.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let secs = u64::try_from(now.secs()).unwrap_or(0);
    let step = totp(secret)?.check(code, secs);
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, cut to six digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = b"12345678901234567890";
        for (secs, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let step = |at: i64| step_of(secret, code, Timestamp::from_secs(at)).unwrap();
            assert_eq!(step(secs), Some(secs / 30));
            assert_eq!(step(secs + 30), Some(secs / 30), "a step late");
            assert_eq!(step(secs - 30), Some(secs / 30), "a step early");
            assert_eq!(step(secs + 60), None, "the step before last");
        }
        for bad in ["", "28708", "2870822", "28708x", "２８７０８２"] {
            let at = Timestamp::from_secs(59);
            assert_eq!(step_of(secret, bad, at).unwrap(), None, "{bad}");
        }
    }

    #[test]
    fn the_uri_is_one_that_apps_read() {
        let made = enrolment(b"12345678901234567890", "operator:ada");
        assert_eq!(
            made.uri.expose(),
            "otpauth://totp/MalikNode:operatorada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=MalikNode&algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(made.secret.expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
