//! Where the table's forms lead back to.

use serde::{Deserialize, Serialize};

/// The page a plain POST of the table returns to. An enum and not an address:
/// nothing typed decides where a browser is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Back {
    /// The overview.
    Overview,
    /// The devices page.
    Devices,
}

impl Back {
    /// Its key in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Devices => "devices",
        }
    }

    /// Its address.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Devices => "/devices",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_can_send_a_browser_only_to_pages_of_ours() {
        for back in [Back::Overview, Back::Devices] {
            assert!(back.path().starts_with('/') && !back.path().starts_with("//"));
            let json = format!("\"{}\"", back.as_str());
            assert_eq!(serde_json::from_str::<Back>(&json).ok(), Some(back));
        }
        assert!(serde_json::from_str::<Back>("\"https://mallory.example\"").is_err());
    }
}
