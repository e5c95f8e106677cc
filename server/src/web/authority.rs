//! The host part of a URL, as a browser writes it.

use std::fmt;

/// The longest possible host name (RFC 1035, 2.3.4).
const MAX_LENGTH: usize = 253;

/// A host, with the port if the browser wrote one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Parses `host` or `host:port`, in lower case and without the dot that may end a
    /// name. Returns `None` for everything that is not a plain host name: user
    /// information, brackets, spaces, letters beyond ASCII, an empty label.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.split_once(':') {
            None => (text, None),
            // A browser may write an empty port; RFC 3986, 3.2.3 allows it.
            Some((host, "")) => (host, None),
            Some((host, port)) => {
                let digits = port.len() <= 5 && port.bytes().all(|c| c.is_ascii_digit());
                (host, Some(port.parse().ok().filter(|_| digits)?))
            }
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-');
        let complete = host.split('.').all(|label| !label.is_empty());
        if !complete || host.len() > MAX_LENGTH || !host.bytes().all(plain) {
            return None;
        }
        Some(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// Returns the host without its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns whether an `Origin` header names this host (RFC 6454, 4) with the same
    /// scheme and port.
    pub fn is_origin(&self, scheme: &str, origin: &str) -> bool {
        let Some((origin_scheme, authority)) = origin.split_once("://") else {
            return false;
        };
        let default_port = Some(if scheme == "https" { 443 } else { 80 });
        origin_scheme.eq_ignore_ascii_case(scheme)
            && Self::parse(authority).is_some_and(|o| {
                o.host == self.host && o.port.or(default_port) == self.port.or(default_port)
            })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |p| write!(f, ":{p}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_authority_parses_again() {
        for text in [
            "a.example",
            "A.example.",
            "a.example.:80",
            "a.example:00080",
        ] {
            let parsed = Authority::parse(text).unwrap();
            assert_eq!(
                Authority::parse(&parsed.to_string()),
                Some(parsed),
                "{text}"
            );
        }
        for text in [
            ".",
            "..",
            ".a.example",
            "a..example",
            "a.example..",
            "a.example..:80",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_origin_must_equal_scheme_host_and_port() {
        let is = |host: &str, scheme: &str, origin: &str| {
            Authority::parse(host).unwrap().is_origin(scheme, origin)
        };
        for (host, scheme, origin) in [
            ("abcd.localhost:8085", "http", "http://abcd.localhost:8085"),
            ("abcd.example", "https", "https://abcd.example"),
            ("abcd.example:443", "https", "https://abcd.example"),
            ("abcd.example.", "http", "http://abcd.example"),
            ("ABCD.example", "http", "http://abcd.example:80"),
        ] {
            assert!(is(host, scheme, origin), "{host} {origin}");
        }
        for (host, scheme, origin) in [
            ("abcd.localhost:8085", "http", "http://mal.localhost:8085"),
            (
                "abcd.localhost:8085",
                "http",
                "http://abcd-dns.localhost:8085",
            ),
            ("abcd.localhost:8085", "http", "http://localhost:8085"),
            ("abcd.localhost:8085", "http", "http://abcd.localhost:8086"),
            ("abcd.localhost:8085", "http", "http://abcd.localhost"),
            ("abcd.localhost:8085", "http", "https://abcd.localhost:8085"),
            ("abcd.localhost:8085", "http", "null"),
            ("abcd.localhost:8085", "http", ""),
            ("abcd.localhost:8085", "http", "abcd.localhost:8085"),
            ("abcd.localhost:8085", "http", "http://abcd.localhost:8085/"),
            (
                "abcd.localhost:8085",
                "http",
                "http://abcd.localhost:8085.evil.example",
            ),
            (
                "abcd.localhost:8085",
                "http",
                "http://abcd.localhost:8085 http://evil",
            ),
            (
                "abcd.localhost:8085",
                "http",
                "http://evil@abcd.localhost:8085",
            ),
        ] {
            assert!(!is(host, scheme, origin), "{host} {origin}");
        }
    }
}
