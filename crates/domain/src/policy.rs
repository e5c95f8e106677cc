//! A device's DNS filtering policy: four choices that a user understands without
//! knowing AdGuard Home.

use crate::failure::{ErrorCode, Failure, Field};
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

    /// Returns the value used in forms and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Strict => "strict",
            Self::Family => "family",
            Self::Off => "off",
        }
    }

    /// Returns the text of the menu entry.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::Strict => "Strict",
            Self::Family => "Family",
            Self::Off => "Off",
        }
    }

    /// Returns an explanation of the policy.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Standard => "Blocks ads and trackers.",
            Self::Strict => "Blocks ads, trackers, and sites known for malware or phishing.",
            Self::Family => "Strict, and blocks adult sites; search is set to safe.",
            Self::Off => "Blocks nothing.",
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
                    "Choose standard, strict, family or off.",
                )
            })
    }
}
