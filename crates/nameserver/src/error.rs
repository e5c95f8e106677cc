//! What goes wrong with a name server.

use std::fmt;

/// Why nothing was changed or read.
#[derive(Debug, thiserror::Error)]
pub enum NameServerError {
    /// There is no connection.
    #[error("{address} cannot be reached: {source}")]
    Unreachable {
        address: String,
        source: std::io::Error,
    },
    /// It did not answer in time.
    #[error("{address} did not answer within {seconds} s")]
    TimedOut { address: String, seconds: u64 },
    /// The answer cannot be read, is another question's, or is not signed as it must be.
    #[error("the answer of {address} is not usable: {reason}")]
    Unusable {
        address: String,
        reason: &'static str,
    },
    /// It refuses.
    #[error("{address} refuses: {refused}")]
    Refused { address: String, refused: Refused },
}

/// A code of RFC 1035, RFC 2136 or RFC 8945 with which a server refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub u16);

impl Refused {
    /// There is no such name.
    pub(crate) const NO_NAME: Self = Self(3);

    /// Returns the code's name in IANA's registry, e.g. `REFUSED`.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            6 => "YXDOMAIN",
            7 => "YXRRSET",
            8 => "NXRRSET",
            9 => "NOTAUTH",
            10 => "NOTZONE",
            16 => "BADSIG",
            17 => "BADKEY",
            18 => "BADTIME",
            22 => "BADTRUNC",
            _ => return None,
        })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name().unwrap_or("code"), self.0)
    }
}
