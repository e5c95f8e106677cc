//! Secrets that a command sends: they come from files or standard input, because the list of
//! processes shows the command line to others.

use super::client::{CallError, first_line};
use domain::Secret;
use std::path::{Path, PathBuf};

/// The file of a password.
#[derive(Debug, clap::Args)]
pub(super) struct PasswordFile {
    /// The file whose first line is the password; - is standard input
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
}

/// The file of a new password.
#[derive(Debug, clap::Args)]
pub(super) struct NewPasswordFile {
    /// The file whose first line is the new password; - is standard input
    #[arg(long, value_name = "FILE")]
    new_password_file: PathBuf,
}

impl PasswordFile {
    /// Reads it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> Result<Secret, CallError> {
        first_line("password", &self.password_file)
    }
}

impl NewPasswordFile {
    /// Reads it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> Result<Secret, CallError> {
        first_line("new password", &self.new_password_file)
    }
}

/// Reads the token of a link, or a code, from the first line of a file.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read(what: &str, path: &Path) -> Result<Secret, CallError> {
    first_line(what, path)
}

/// Returns the token of a link; what is no link is the token.
pub(super) fn token_of(link: &Secret) -> &str {
    let link = link.expose();
    let (_, token) = link.rsplit_once("token=").unwrap_or(("", link));
    token.split(['&', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_or_its_token_are_the_same() {
        for link in [
            "abc-_1",
            "/reset?token=abc-_1",
            "https://lina.example.org/reset?token=abc-_1",
            "https://lina.example.org/reset?x=1&token=abc-_1&y=2#z",
        ] {
            assert_eq!(token_of(&Secret::new(link)), "abc-_1", "{link}");
        }
    }
}
