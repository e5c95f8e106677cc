//! A refusal on the wire: what a form's page and its script receive.

use domain::{ErrorCode, Field};
use serde::{Deserialize, Serialize};

/// Why a request was refused, in the words for its reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What happened, for programs to compare.
    pub code: ErrorCode,
    /// The form field, if the refusal belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Field>,
    /// What happened and what to do, rendered.
    pub message: String,
}

#[cfg(feature = "ssr")]
impl Refusal {
    /// Renders a failure.
    pub fn new(failure: &domain::Failure, texts: &texts::Texts) -> Self {
        Self {
            code: failure.code,
            field: failure.field,
            message: texts.failure(failure),
        }
    }

    /// Renders a failure in the language of the current request. It is called before
    /// anything is awaited, or in a server function.
    pub fn here(failure: &domain::Failure) -> Self {
        Self::new(failure, crate::context::texts())
    }
}
