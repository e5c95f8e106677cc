//! Where the second step of a sign-in is.

/// The address of the page.
pub const CODE_PAGE: &str = "/sign-in/code";
