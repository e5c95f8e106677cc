//! The installation's name on the web, e.g. `maliknode.app` or
//! `localhost:8085`: tenants' hosts stand below it.

use super::error::{ConfigError, bad};
use std::{fmt, net::IpAddr};

/// A host name, and the port people type if they type one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    host: String,
    port: Option<u16>,
}

impl Base {
    /// Checks what the operator wrote.
    ///
    /// # Errors
    /// A sentence about `base`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        if text.contains("://") || text.contains('/') {
            return Err(bad(
                "base",
                format!(
                    "{text:?}: write the host alone, such as localhost:8085; set scheme = \"https\" apart."
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

    /// The base of a machine that is only used by itself.
    pub fn localhost(port: u16) -> Self {
        Self {
            host: "localhost".to_owned(),
            port: Some(port),
        }
    }

    /// The host without its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether only this machine resolves it (RFC 6761, 6.3).
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

/// A host name in small letters; `None` for what is none (RFC 1123, 2.1). At
/// most 200 characters, so that a tenant's name fits in front.
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
    fn a_base_is_a_host_name_with_or_without_a_port() {
        for (text, shown) in [
            ("localhost:8085", "localhost:8085"),
            ("MalikNode.App", "maliknode.app"),
            ("vpn.example.org.", "vpn.example.org"),
        ] {
            assert_eq!(Base::parse(text).unwrap().to_string(), shown);
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
