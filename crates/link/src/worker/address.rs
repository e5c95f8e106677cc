//! The address of a control plane's port for workers, as the operator writes it.

use std::{fmt, str::FromStr};

/// `https://HOST:PORT`, with an IPv6 address in brackets. The scheme may be left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ControlPlane {
    /// The host and the port, as they are dialled.
    authority: String,
}

/// A text that is no address of a control plane.
#[derive(Debug, thiserror::Error)]
#[error("not an address with a port, such as https://203.0.113.7:8443")]
pub struct AddressError;

impl ControlPlane {
    /// Returns `HOST:PORT`.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl fmt::Display for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority)
    }
}

impl FromStr for ControlPlane {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let rest = text.strip_prefix("https://").unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: http::uri::Authority = rest.parse().map_err(|_| AddressError)?;
        let has_port = authority.port_u16().is_some_and(|port| port > 0);
        let is_plain = !rest.contains('@') && !authority.host().is_empty();
        match has_port && is_plain {
            true => Ok(Self {
                authority: rest.to_ascii_lowercase(),
            }),
            false => Err(AddressError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (text, printed) in [
            ("https://203.0.113.7:8443", "https://203.0.113.7:8443"),
            (" https://Control.Example:1/ ", "https://control.example:1"),
            ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ] {
            let parsed: ControlPlane = text.parse().unwrap();
            assert_eq!(parsed.to_string(), printed);
        }
        for text in [
            "",
            "https://",
            "https://a",
            "http://a:1",
            "https://a:0",
            "https://a:70000",
            "https://a:1/path",
            "https://user@a:1",
            ":1",
            "a b:1",
            "2001:db8::1:8443",
        ] {
            assert!(text.parse::<ControlPlane>().is_err(), "{text}");
        }
    }
}
