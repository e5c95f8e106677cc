//! The page that the table's forms return to.

use serde::{Deserialize, Serialize};

/// The page a plain POST of the table returns to. It is an enum instead of an
/// address, so that no input decides where a browser is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReturnPage {
    Overview,
    Devices,
}

impl ReturnPage {
    /// Returns its value in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Devices => "devices",
        }
    }

    /// Returns its path.
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
    fn forms_return_to_known_pages_only() {
        for page in [ReturnPage::Overview, ReturnPage::Devices] {
            assert!(page.path().starts_with('/') && !page.path().starts_with("//"));
            let json = format!("\"{}\"", page.as_str());
            assert_eq!(serde_json::from_str::<ReturnPage>(&json).ok(), Some(page));
        }
        assert!(serde_json::from_str::<ReturnPage>("\"https://mallory.example\"").is_err());
    }
}
