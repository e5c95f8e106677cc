//! The address of the database, as the configuration gives it.

use domain::{ErrorCode, Failure, Message, Secret};
use std::{fmt, path::PathBuf, str::FromStr};

/// The address of a database. It prints without the password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A `postgres://` URL; secret, because it may contain a password.
    Postgres(Secret),
}

impl DatabaseUrl {
    /// Parses `sqlite:/path`, `sqlite:///path`, a path, `postgres://…` or
    /// `postgresql://…`.
    ///
    /// # Errors
    /// Returns [`ErrorCode::BadConfiguration`] with the accepted forms.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Secret::new(text)));
        }
        let path = match text.strip_prefix("sqlite:") {
            Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
            None => text,
        };
        // ":memory:" and "?mode=…" would become file names.
        let usable = path.contains('/') && !path.contains("://") && !path.contains('?');
        if !usable || path.ends_with('/') {
            // The message omits the text: it may be a mistyped "postgres" URL with
            // a password.
            return Err(Failure::new(
                ErrorCode::BadConfiguration,
                Message::DatabaseUrl,
            ));
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl FromStr for DatabaseUrl {
    type Err = Failure;
    fn from_str(s: &str) -> Result<Self, Failure> {
        Self::parse(s)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite, {}", path.display()),
            Self::Postgres(_) => f.write_str("PostgreSQL"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_are_accepted() {
        let file = DatabaseUrl::Sqlite("/etc/maliknode/central_api/database.sqlite".into());
        for text in [
            "sqlite:///etc/maliknode/central_api/database.sqlite",
            "sqlite:/etc/maliknode/central_api/database.sqlite",
            " /etc/maliknode/central_api/database.sqlite\n",
        ] {
            assert_eq!(DatabaseUrl::parse(text), Ok(file.clone()), "{text}");
        }
        let relative = DatabaseUrl::parse("./data/db.sqlite");
        assert_eq!(relative, Ok(DatabaseUrl::Sqlite("./data/db.sqlite".into())));
        for text in ["postgres://a:b@h/d", "postgresql:///d?host=/run/postgresql"] {
            let url = DatabaseUrl::parse(text);
            assert_eq!(url, Ok(DatabaseUrl::Postgres(Secret::new(text))));
        }
    }

    #[test]
    fn other_text_is_refused_and_not_repeated() {
        for text in [
            "",
            "mysql://a:geheim@h/d",
            "sqlite::memory:",
            "sqlite:",
            "/",
            "db",
            "/x?mode=ro",
        ] {
            let e = DatabaseUrl::parse(text).unwrap_err();
            assert_eq!(e.code, ErrorCode::BadConfiguration, "{text}");
            assert_eq!(e.message, Message::DatabaseUrl);
        }
    }

    #[test]
    fn the_password_is_not_printed() {
        let url = DatabaseUrl::parse("postgres://a:geheim@h/d").unwrap();
        assert_eq!(format!("{url} {url:?}"), "PostgreSQL PostgreSQL");
    }
}
