//! Where the database is, as the configuration says it.

use domain::{ErrorCode, Failure, Secret};
use std::{fmt, path::PathBuf, str::FromStr};

/// A SQLite file or a PostgreSQL server. Prints without the password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A `postgres://` URL; secret, because it may hold a password.
    Postgres(Secret),
}

impl DatabaseUrl {
    /// Reads `sqlite:/path`, `sqlite:///path`, a path, `postgres://…` or
    /// `postgresql://…`.
    ///
    /// # Errors
    /// [`ErrorCode::BadConfiguration`] with what would be right.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Secret::new(text)));
        }
        let path = match text.strip_prefix("sqlite:") {
            Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
            None => text,
        };
        // ":memory:" and "?mode=…" would be taken for files' names.
        let usable = path.contains('/') && !path.contains("://") && !path.contains('?');
        if !usable || path.ends_with('/') {
            // Without the text itself: somebody may have mistyped "postgres".
            return Err(Failure::new(
                ErrorCode::BadConfiguration,
                "database_url: write sqlite:///path/to/database.sqlite or postgres://user:password@host/database.",
            ));
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }

    /// "SQLite" or "PostgreSQL".
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
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
    fn the_usual_ways_to_write_it_are_understood() {
        let file = DatabaseUrl::Sqlite("/etc/maliknode/central_api/database.sqlite".into());
        for text in [
            "sqlite:///etc/maliknode/central_api/database.sqlite",
            "sqlite:/etc/maliknode/central_api/database.sqlite",
            " /etc/maliknode/central_api/database.sqlite\n",
        ] {
            assert_eq!(DatabaseUrl::parse(text), Ok(file.clone()), "{text}");
        }
        let there = DatabaseUrl::parse("./data/db.sqlite");
        assert_eq!(there, Ok(DatabaseUrl::Sqlite("./data/db.sqlite".into())));
        for text in ["postgres://a:b@h/d", "postgresql:///d?host=/run/postgresql"] {
            assert_eq!(DatabaseUrl::parse(text).map(|u| u.kind()), Ok("PostgreSQL"));
        }
    }

    #[test]
    fn what_is_neither_is_refused_without_repeating_it() {
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
            assert!(!e.sentence.contains("geheim"));
        }
    }

    #[test]
    fn a_password_does_not_print() {
        let url = DatabaseUrl::parse("postgres://a:geheim@h/d").unwrap();
        assert_eq!(format!("{url} {url:?}"), "PostgreSQL PostgreSQL");
    }
}
