//! Public keys of passkeys, as authenticators write them (RFC 9052, 7; RFC 9053, 7), and their
//! signatures. ring verifies these.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

/// ECDSA over P-256 with SHA-256 (COSE algorithm -7).
const ES256: i64 = -7;
/// Ed25519 (COSE algorithm -8).
const EDDSA: i64 = -8;
/// RSASSA-PKCS1-v1_5 with SHA-256 (COSE algorithm -257), which Windows Hello may have.
const RS256: i64 = -257;
/// The algorithms that are asked for, the best first.
pub const ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];

/// The most entries of a key that is read.
const MAX_ENTRIES: usize = 8;

/// A value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value<'a> {
    Number(i64),
    Bytes(&'a [u8]),
}

/// Reads the numbers and byte strings of CBOR (RFC 8949, 3), of definite length and up to 64 KiB.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads an item's major type and its argument.
    fn head(&mut self) -> Option<(u8, u32)> {
        let (first, rest) = self.0.split_first()?;
        let (major, short) = (first >> 5, first & 0x1f);
        let size = match short {
            0..=23 => 0,
            24 => 1,
            25 => 2,
            _ => return None,
        };
        let (argument, rest) = rest.split_at_checked(size)?;
        self.0 = rest;
        let long = argument.iter().fold(0, |n, b| n << 8 | u32::from(*b));
        let argument = if size == 0 { u32::from(short) } else { long };
        Some((major, argument))
    }

    fn value(&mut self) -> Option<Value<'a>> {
        let (major, argument) = self.head()?;
        match major {
            0 => Some(Value::Number(i64::from(argument))),
            1 => Some(Value::Number(-1 - i64::from(argument))),
            2 => {
                let size = usize::try_from(argument).ok()?;
                let (bytes, rest) = self.0.split_at_checked(size)?;
                self.0 = rest;
                Some(Value::Bytes(bytes))
            }
            _ => None,
        }
    }
}

/// A public key that can verify signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// A point that is not compressed (SEC 1, 2.3.3).
    Es256(Vec<u8>),
    Ed25519(Vec<u8>),
    Rs256 {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl PublicKey {
    /// Reads a key, and returns how many bytes it has. `None` for another kind of key, and for
    /// what is no key.
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut reader = Reader(bytes);
        let (major, count) = reader.head()?;
        let count = usize::try_from(count).ok()?;
        if major != 5 || count > MAX_ENTRIES {
            return None;
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let Value::Number(label) = reader.value()? else {
                return None;
            };
            entries.push((label, reader.value()?));
        }
        let read = bytes.len() - reader.0.len();
        let get = |label: i64| entries.iter().find(|(l, _)| *l == label).map(|(_, v)| *v);
        let number = |label| match get(label)? {
            Value::Number(n) => Some(n),
            Value::Bytes(_) => None,
        };
        let bytes = |label, sizes: std::ops::RangeInclusive<usize>| match get(label)? {
            Value::Bytes(b) if sizes.contains(&b.len()) => Some(b),
            _ => None,
        };
        // Labels: 1 the type of key, 3 the algorithm, -1 to -3 its parameters.
        let key = match (number(1)?, number(3)?) {
            (2, ES256) if number(-1)? == 1 => {
                let (x, y) = (bytes(-2, 32..=32)?, bytes(-3, 32..=32)?);
                Self::Es256([&[4], x, y].concat())
            }
            (1, EDDSA) if number(-1)? == 6 => Self::Ed25519(bytes(-2, 32..=32)?.to_vec()),
            (3, RS256) => Self::Rs256 {
                n: bytes(-1, 256..=512)?.to_vec(),
                e: bytes(-2, 1..=8)?.to_vec(),
            },
            _ => return None,
        };
        Some((key, read))
    }

    /// Returns whether the signature of the message is this key's.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let with = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature)
        };
        let verified = match self {
            Self::Es256(point) => with(&signature::ECDSA_P256_SHA256_ASN1, point),
            Self::Ed25519(key) => with(&signature::ED25519, key),
            Self::Rs256 { n, e } => signature::RsaPublicKeyComponents { n, e }.verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
        };
        verified.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ES256 key with 32 bytes of 1 and of 2.
    fn es256() -> Vec<u8> {
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend([1; 32]);
        key.extend([0x22, 0x58, 0x20]);
        key.extend([2; 32]);
        key
    }

    #[test]
    fn keys_of_the_three_algorithms_are_read_with_their_length() {
        let mut bytes = es256();
        let length = bytes.len();
        bytes.extend(b"extensions");
        let (key, read) = PublicKey::read(&bytes).unwrap();
        assert_eq!(read, length);
        assert_eq!(
            key,
            PublicKey::Es256([&[4][..], &[1; 32], &[2; 32]].concat())
        );

        let mut ed25519 = vec![0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
        ed25519.extend([3; 32]);
        let (key, _) = PublicKey::read(&ed25519).unwrap();
        assert_eq!(key, PublicKey::Ed25519(vec![3; 32]));

        let mut rs256 = vec![
            0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59, 0x01, 0x00,
        ];
        rs256.extend([5; 256]);
        rs256.extend([0x21, 0x43, 1, 0, 1]);
        let (key, _) = PublicKey::read(&rs256).unwrap();
        let (n, e) = (vec![5; 256], vec![1, 0, 1]);
        assert_eq!(key, PublicKey::Rs256 { n, e });
    }

    #[test]
    fn a_key_that_is_cut_or_changed_is_none_and_panics_nowhere() {
        let whole = es256();
        for length in 0..whole.len() {
            assert_eq!(PublicKey::read(&whole[..length]), None, "{length}");
        }
        for at in 0..10 {
            for value in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = value;
                let read = PublicKey::read(&changed);
                assert!(read.is_none_or(|(k, _)| matches!(k, PublicKey::Es256(_))));
            }
        }
        // P-384, and a label twice as deep.
        let mut other = whole.clone();
        other[6] = 2;
        assert_eq!(PublicKey::read(&other), None);
        assert_eq!(PublicKey::read(&[0xa1, 0xa1, 0x01, 0x02]), None);
    }

    #[test]
    fn a_signature_of_another_key_is_refused() {
        let (key, _) = PublicKey::read(&es256()).unwrap();
        assert!(!key.verifies(b"message", &[0; 70]));
        assert!(!PublicKey::Ed25519(vec![3; 32]).verifies(b"message", &[0; 64]));
    }
}
