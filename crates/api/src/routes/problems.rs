//! The refusals that every operation may answer with.

use crate::http::problem::Problem;
use utoipa::IntoResponses;

/// What every operation may answer with instead.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "it describes answers; `http::problem` makes them")]
pub enum Problems {
    /// The request was refused. `code` says why.
    #[response(status = "default", content_type = "application/problem+json")]
    Refused(Problem),
}
