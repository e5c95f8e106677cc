//! The hash by which written content is compared.

/// Returns a content's FNV-1a hash, 64 bit. It detects changes, not attacks.
pub fn content_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    })
}
