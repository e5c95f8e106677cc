//! Whose configuration a file is: a folder of the tenant's name may have been left by
//! an earlier tenant.

/// Whose configuration is in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOwner {
    /// There is none, or an empty file, as a power cut leaves it. AdGuard Home
    /// would exit at once with an empty file, every time.
    Absent,
    /// The tenant's. AdGuard Home maintains it.
    ThisTenant,
    /// One without the tenant's password: an earlier tenant of that name left it.
    /// We could not sign in, and the new tenant must not see its query log.
    OtherTenant,
}

/// Returns whose configuration a text is, for the tenant whose password has this
/// hash.
pub fn owner_of(text: &[u8], password_hash: &str) -> ConfigOwner {
    let hash = password_hash.as_bytes();
    if text.is_empty() {
        ConfigOwner::Absent
    } else if !hash.is_empty() && text.windows(hash.len()).any(|part| part == hash) {
        ConfigOwner::ThisTenant
    } else {
        ConfigOwner::OtherTenant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_no_owner_without_a_hash() {
        assert_eq!(owner_of(b"password: x", ""), ConfigOwner::OtherTenant);
        assert_eq!(owner_of(b"password: x", "x"), ConfigOwner::ThisTenant);
        assert_eq!(owner_of(b"", ""), ConfigOwner::Absent);
    }
}
