//! What a sealed value is.

use std::fmt;

/// What a sealed value is; part of its associated data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A tunnel's private key; its identity is the tunnel's public key.
    TunnelKey,
    /// A tenant's AdGuard Home password; its identity is the tenant's name.
    DnsPassword,
    /// A device's private key; its identity is the device's public key.
    DeviceKey,
    /// A device's preshared key; its identity is the device's public key.
    DevicePresharedKey,
    /// A node's last specification on disk; its identity is the node's number.
    LastSpec,
    /// The private key of the installation's certificate authority; its identity is the
    /// authority's certificate.
    AuthorityKey,
    /// A key that signs the API's access tokens; its identity is the key's id.
    ApiKey,
    /// An answer of the API that may be given again; its identity is the hash of the
    /// request's key.
    ApiAnswer,
    /// The secret of a second factor; its identity is the factor's id.
    FactorSecret,
    /// The token of a link in a mail that waits; its identity is the token's hash.
    MailToken,
    /// A fixed word, which shows whether a key file belongs to a database.
    Check,
}

impl Purpose {
    /// Returns the name in the associated data. If a name changes, values that
    /// were sealed before become unreadable.
    const fn as_str(self) -> &'static str {
        match self {
            Self::TunnelKey => "users.wg_private_key",
            Self::DnsPassword => "users.dns_password",
            Self::DeviceKey => "peers.private_key",
            Self::DevicePresharedKey => "peers.preshared_key",
            Self::LastSpec => "last_spec",
            Self::AuthorityKey => "settings.node_authority",
            Self::ApiKey => "api_keys.private_key",
            Self::ApiAnswer => "api_answers.answer",
            Self::FactorSecret => "factors.secret",
            Self::MailToken => "mail_outbox.secret",
            Self::Check => "settings.seal_check",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
