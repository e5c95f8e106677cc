//! Opens the sealed columns of `users` and `peers`.

use crate::{Result, Store, StoreError};
use domain::{PresharedKey, Secret};
use seal::Purpose;
use zeroize::Zeroizing;

impl Store {
    /// Opens a key whose identity is a public key.
    pub(crate) fn open_key(
        &self,
        purpose: Purpose,
        public_key: &str,
        sealed: &str,
    ) -> Result<Zeroizing<[u8; 32]>> {
        let plain = self.sealer.open(purpose, public_key, sealed)?;
        let key = plain.as_slice().try_into().map(Zeroizing::new);
        key.map_err(|_| StoreError::Corrupt(format!("{purpose} of {public_key}")))
    }

    /// Opens a device's preshared key.
    pub(crate) fn open_preshared_key(
        &self,
        public_key: &str,
        sealed: &str,
    ) -> Result<PresharedKey> {
        self.open_key(Purpose::DevicePresharedKey, public_key, sealed)
            .map(|bytes| PresharedKey::from_random(*bytes))
    }

    /// Opens the AdGuard Home password of the tenant with that name.
    pub(crate) fn open_dns_password(&self, name: &str, sealed: &str) -> Result<Secret> {
        let plain = self.sealer.open(Purpose::DnsPassword, name, sealed)?;
        let text = std::str::from_utf8(&plain)
            .map_err(|_| StoreError::Corrupt(format!("users.dns_password of {name}")))?;
        Ok(Secret::new(text))
    }
}
