//! The installation's name on the web, e.g. `maliknode.app` or
//! `localhost:8085`. Tenants' hosts are subdomains of it.

use super::error::{ConfigError, bad};
use std::{fmt, net::IpAddr};

/// A host name, with the port that people type, if they type one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    host: String,
    port: Option<u16>,
}

impl Base {
    /// Parses what the operator wrote.
    ///
    /// # Errors
    /// A message about `base`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        if text.contains("://") || text.contains('/') {
            return Err(bad(
                "base",
                format!(
                    "{text:?}: write the host alone, such as localhost:8085; set scheme = \"https\" separately."
                ),
            ));
        }
        if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Err(no_names_below(text));
        }
        let (host, port) = match text.rsplit_once(':') {
            None => (text, None),
            Some((host, port)) => {
                let number = port.parse::<u16>().ok().filter(|p| *p > 0);
                let number = number
                    .ok_or_else(|| bad("base", format!("{text:?}: {port:?} is not a port.")))?;
                (host, Some(number))
            }
        };
        if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Err(no_names_below(text));
        }
        let host = host_name(host).ok_or_else(|| {
            bad(
                "base",
                format!("{text:?} is not a host name, such as maliknode.app."),
            )
        })?;
        Ok(Self { host, port })
    }

    /// Returns the base of an installation that is used from its own machine only.
    pub fn localhost(port: u16) -> Self {
        Self {
            host: "localhost".to_owned(),
            port: Some(port),
        }
    }

    /// Returns the host without its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port that people type, if they type one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns whether the name always means this machine (RFC 6761, 6.3).
    pub fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.ends_with(".localhost")
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |p| write!(f, ":{p}"))
    }
}

fn no_names_below(text: &str) -> ConfigError {
    bad(
        "base",
        format!(
            "{text:?} is an address, and tenants need names below it. For trying out use localhost:8085."
        ),
    )
}

/// Returns a host name in lower case, or `None` where it is not one (RFC 1123,
/// 2.1). It has at most 200 characters, so that a tenant's name fits before it.
pub(super) fn host_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    (name.len() <= 200 && name.split('.').all(label)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_host_with_an_optional_port() {
        for (text, printed) in [
            ("localhost:8085", "localhost:8085"),
            ("MalikNode.App", "maliknode.app"),
            ("vpn.example.org.", "vpn.example.org"),
        ] {
            assert_eq!(Base::parse(text).unwrap().to_string(), printed);
        }
        for text in [
            "",
            "127.0.0.1:8085",
            "[::1]:80",
            "::1",
            "http://x.y",
            "x.y/",
            "a b",
            "x:0",
            "x:99999",
            "-a.b",
            "a..b",
            "x:",
        ] {
            let e = Base::parse(text).unwrap_err().to_string();
            assert!(e.starts_with("base: "), "{text}: {e}");
        }
    }
}
