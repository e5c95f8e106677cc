//! Signatures of messages with a shared key (TSIG, RFC 8945).

use crate::name::{CLASS_ANY, DnsName};
use base64::{Engine, prelude::BASE64_STANDARD};
use domain::Secret;
use ring::hmac;
use std::fmt;

/// The type of the record that signs.
pub(crate) const TYPE_TSIG: u16 = 250;
/// How far the clocks may be apart, in seconds (RFC 8945, 10).
const FUDGE: u16 = 300;
/// The bytes of a time in a signature.
const TIME_BYTES: usize = 6;

/// The algorithms that are offered. Those with MD5 and SHA-1 are not.
const ALGORITHMS: [(&str, hmac::Algorithm); 3] = [
    ("hmac-sha256", hmac::HMAC_SHA256),
    ("hmac-sha384", hmac::HMAC_SHA384),
    ("hmac-sha512", hmac::HMAC_SHA512),
];

/// A key that the server and this program share.
#[derive(Clone)]
pub struct TsigKey {
    name: DnsName,
    algorithm: DnsName,
    key: hmac::Key,
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TsigKey({} {})", self.algorithm, self.name)
    }
}

/// What a server's signature says.
pub(crate) struct Signature<'a> {
    pub key: &'a DnsName,
    pub algorithm: &'a DnsName,
    pub time: u64,
    pub fudge: u16,
    pub mac: &'a [u8],
    pub error: u16,
    pub other: &'a [u8],
}

impl TsigKey {
    /// Parses a key in the form of `nsupdate -y`: `[algorithm:]name:secret`, the secret in
    /// base64. Without an algorithm it is hmac-sha256. `None` for any other text.
    pub fn parse(text: &Secret) -> Option<Self> {
        let mut parts = text.expose().trim().rsplitn(3, ':');
        let (secret, name) = (parts.next()?, parts.next()?);
        let algorithm = parts.next().unwrap_or("hmac-sha256").to_ascii_lowercase();
        let (algorithm, hash) = ALGORITHMS.iter().find(|(name, _)| *name == algorithm)?;
        let secret = BASE64_STANDARD.decode(secret).ok()?;
        (!secret.is_empty()).then_some(())?;
        Some(Self {
            name: DnsName::parse(name)?,
            algorithm: DnsName::parse(algorithm)?,
            key: hmac::Key::new(*hash, &secret),
        })
    }

    /// Signs a message at a time, in seconds since 1970. Returns the signature's code,
    /// which the answer's depends on.
    pub(crate) fn sign(&self, message: &mut Vec<u8>, now: u64) -> Vec<u8> {
        let mut signed = message.clone();
        self.write_variables(&mut signed, now, FUDGE, 0, &[]);
        let mac = hmac::sign(&self.key, &signed).as_ref().to_vec();
        self.append(message, &mac, now);
        mac
    }

    /// Signs an answer as a server does.
    #[cfg(test)]
    pub(crate) fn sign_answer(&self, message: &mut Vec<u8>, request: &[u8], now: u64) {
        let mut signed = length(request).to_vec();
        signed.extend_from_slice(request);
        signed.extend_from_slice(message);
        self.write_variables(&mut signed, now, FUDGE, 0, &[]);
        let mac = hmac::sign(&self.key, &signed).as_ref().to_vec();
        self.append(message, &mac, now);
    }

    fn append(&self, message: &mut Vec<u8>, mac: &[u8], now: u64) {
        let id = [message[0], message[1]];
        self.name.write(message);
        message.extend_from_slice(&TYPE_TSIG.to_be_bytes());
        message.extend_from_slice(&CLASS_ANY.to_be_bytes());
        message.extend_from_slice(&[0; 4]);
        let mut data = Vec::new();
        self.algorithm.write(&mut data);
        data.extend_from_slice(&time(now));
        data.extend_from_slice(&FUDGE.to_be_bytes());
        data.extend_from_slice(&length(mac));
        data.extend_from_slice(mac);
        data.extend_from_slice(&id);
        data.extend_from_slice(&[0; 4]);
        message.extend_from_slice(&length(&data));
        message.extend_from_slice(&data);
        let additional = u16::from_be_bytes([message[10], message[11]]).saturating_add(1);
        message[10..12].copy_from_slice(&additional.to_be_bytes());
    }

    /// Checks the signature of an answer to the request with that code. `message` is the
    /// answer without its signature, of which the count is not yet taken away.
    pub(crate) fn is_answer(
        &self,
        message: &[u8],
        signature: &Signature<'_>,
        request: &[u8],
        now: u64,
    ) -> bool {
        if *signature.key != self.name || *signature.algorithm != self.algorithm {
            return false;
        }
        let mut signed = length(request).to_vec();
        signed.extend_from_slice(request);
        let begin = signed.len();
        signed.extend_from_slice(message);
        let count = u16::from_be_bytes([signed[begin + 10], signed[begin + 11]]);
        let count = count.saturating_sub(1).to_be_bytes();
        signed[begin + 10..begin + 12].copy_from_slice(&count);
        let Signature { time, fudge, .. } = *signature;
        self.write_variables(&mut signed, time, fudge, signature.error, signature.other);
        let is_timely = now.abs_diff(time) <= u64::from(fudge);
        is_timely && hmac::verify(&self.key, &signed, signature.mac).is_ok()
    }

    fn write_variables(&self, out: &mut Vec<u8>, at: u64, fudge: u16, error: u16, other: &[u8]) {
        self.name.write(out);
        out.extend_from_slice(&CLASS_ANY.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        self.algorithm.write(out);
        out.extend_from_slice(&time(at));
        out.extend_from_slice(&fudge.to_be_bytes());
        out.extend_from_slice(&error.to_be_bytes());
        out.extend_from_slice(&length(other));
        out.extend_from_slice(other);
    }
}

fn time(seconds: u64) -> [u8; TIME_BYTES] {
    let [_, _, time @ ..] = seconds.to_be_bytes();
    time
}

fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parsed_and_not_printed() {
        let parse = |text: &str| TsigKey::parse(&Secret::new(text));
        let key = parse("hmac-sha512:MalikNode.:c2VjcmV0").unwrap();
        assert_eq!(format!("{key:?}"), "TsigKey(hmac-sha512 maliknode)");
        assert!(parse("maliknode:c2VjcmV0").is_some());
        for bad in [
            "",
            "maliknode",
            "hmac-md5:maliknode:c2VjcmV0",
            "maliknode:",
            "maliknode:%",
            ":c2VjcmV0",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
