//! The choices of a device in words: what it sends through its tunnel, and what its
//! DNS filter blocks.

use domain::{FilterPolicy, Routing};

/// A choice of a menu.
pub trait Choice {
    /// Returns the text of the menu entry.
    fn title(self) -> &'static str;

    /// Returns an explanation of the choice.
    fn meaning(self) -> &'static str;
}

impl Choice for Routing {
    fn title(self) -> &'static str {
        match self {
            Self::Everything => "Everything",
            Self::Internet => "Everything but the home network",
            Self::Network => "Only this network",
            Self::Dns => "Only DNS",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Everything => "All traffic goes through your tunnel.",
            Self::Internet => {
                "The internet and your other devices; printers and shares at home stay in reach."
            }
            Self::Network => "Your other devices and your DNS; the rest takes the usual way.",
            Self::Dns => "Ads are blocked; all other traffic takes the usual way.",
        }
    }
}

impl Choice for FilterPolicy {
    fn title(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::Strict => "Strict",
            Self::Family => "Family",
            Self::Off => "Off",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Standard => "Blocks ads and trackers.",
            Self::Strict => {
                "Blocks ads, trackers, and sites known for malware or phishing; other resolvers are locked out."
            }
            Self::Family => "Strict, and blocks adult sites; search is set to safe.",
            Self::Off => "Blocks nothing.",
        }
    }
}
