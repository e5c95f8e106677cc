//! Typed row ids, so that a device's id cannot be passed as a tenant's.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
    };
}

id!(
    /// A row of `users`: one customer.
    TenantId
);
id!(
    /// A row of `peers`: one WireGuard peer of a tenant.
    DeviceId
);
id!(
    /// A row of `invitations`: permission to sign up, once or several times.
    InvitationId
);
id!(
    /// A machine that runs tunnels and DNS containers. The local one is 1.
    NodeId
);
