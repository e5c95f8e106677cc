//! The host part of an address, as a browser writes it.

use std::fmt;

/// The longest host name there can be (RFC 1035, 2.3.4).
const LONGEST: usize = 253;

/// A host with the port a browser wrote, if it wrote one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads `host` or `host:port`, in small letters and without the dot that
    /// may end a name. `None` for anything that is not a plain host name:
    /// user information, brackets, blanks, letters beyond ASCII, an empty part
    /// between dots.
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
        let whole = host.split('.').all(|part| !part.is_empty());
        if !whole || host.len() > LONGEST || !host.bytes().all(plain) {
            return None;
        }
        Some(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// The host, without its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether an `Origin` header names this very host (RFC 6454, 4): scheme,
    /// host and port.
    pub fn is_origin(&self, scheme: &str, origin: &str) -> bool {
        let Some((its_scheme, authority)) = origin.split_once("://") else {
            return false;
        };
        let usual = Some(if scheme == "https" { 443 } else { 80 });
        its_scheme.eq_ignore_ascii_case(scheme)
            && Self::parse(authority)
                .is_some_and(|o| o.host == self.host && o.port.or(usual) == self.port.or(usual))
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
    fn what_is_read_reads_the_same_again() {
        for text in [
            "a.example",
            "A.example.",
            "a.example.:80",
            "a.example:00080",
        ] {
            let read = Authority::parse(text).unwrap();
            assert_eq!(Authority::parse(&read.to_string()), Some(read), "{text}");
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
    fn an_origin_is_this_host_or_not() {
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
