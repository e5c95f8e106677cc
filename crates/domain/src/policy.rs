//! A device's DNS filtering policy: four choices that a user understands without
//! knowing AdGuard Home.

use crate::code::ErrorCode;
use crate::failure::{Failure, Field};
use crate::message::Message;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A device's DNS filtering policy (`peers.dns_filtering_policy`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum FilterPolicy {
    /// Ads and trackers are blocked.
    #[default]
    Standard,
    /// Standard; sites known for malware and phishing are blocked too.
    Strict,
    /// Strict; adult sites are blocked and search engines are set to safe search.
    Family,
    /// Nothing is blocked.
    Off,
}

impl FilterPolicy {
    /// Every policy, in the order of the menu.
    pub const ALL: [FilterPolicy; 4] = [Self::Standard, Self::Strict, Self::Family, Self::Off];

    /// Returns whether a device with this policy reaches no other resolver: what it asks
    /// elsewhere is answered by its tenant's AdGuard Home, or refused.
    pub const fn is_lock(self) -> bool {
        matches!(self, Self::Strict | Self::Family)
    }

    /// Returns the value used in forms and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Strict => "strict",
            Self::Family => "family",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for FilterPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FilterPolicy {
    type Err = Failure;
    fn from_str(s: &str) -> Result<Self, Failure> {
        Self::ALL
            .into_iter()
            .find(|p| p.as_str() == s)
            .ok_or_else(|| {
                Failure::at(
                    Field::Policy,
                    ErrorCode::ChoiceUnknown,
                    Message::PolicyUnknown,
                )
            })
    }
}
