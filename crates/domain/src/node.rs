//! A node as the operator names it, the host that devices connect to, and whether it
//! gets tenants.

use crate::{
    code::ErrorCode,
    failure::{Failure, Field},
    message::Message,
};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// The longest name of a host (RFC 1035, 2.3.4), and of a node.
const MAX_NAME: usize = 253;
/// The longest part between two dots (RFC 1035, 2.3.4).
const MAX_LABEL: usize = 63;

/// What the operator calls a node: a machine's host name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// Parses a name: letters, digits, hyphens and dots, as in a host name.
    ///
    /// # Errors
    /// [`ErrorCode::NodeMalformed`] at [`Field::Name`].
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let name = text.trim().to_ascii_lowercase();
        if is_host_name(&name) {
            return Ok(Self(name));
        }
        let (code, message) = (ErrorCode::NodeMalformed, Message::NodeNameMalformed);
        Err(Failure::at(Field::Name, code, message))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The host that devices connect to, in the form that it has before `:port`: a name, an
/// IPv4 address, or an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeHost(String);

impl NodeHost {
    /// Parses a host without a port.
    ///
    /// # Errors
    /// [`ErrorCode::NodeMalformed`] at [`Field::Host`].
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        match bare.unwrap_or(text).parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() || address.is_multicast() => {}
            Ok(IpAddr::V4(a)) if bare.is_none() => return Ok(Self(a.to_string())),
            Ok(IpAddr::V6(a)) => return Ok(Self(format!("[{a}]"))),
            // A number at the end would be an address (RFC 3696, 2).
            Err(_) if is_host_name(&name) && !ends_with_number(&name) => return Ok(Self(name)),
            _ => {}
        }
        let (code, message) = (ErrorCode::NodeMalformed, Message::NodeHostMalformed);
        Err(Failure::at(Field::Host, code, message))
    }

    /// Returns the host.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (1..=MAX_LABEL).contains(&label.len())
            && label.chars().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= MAX_NAME && name.split('.').all(is_label)
}

fn ends_with_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a node gets new tenants, and whether it may speak to the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStanding {
    /// It gets new tenants.
    Open,
    /// It serves the tenants that it has and gets no more.
    Closed,
    /// Its certificate is refused, so it gets no changes. It serves what it has until it
    /// is switched off or joins again.
    Revoked,
}

impl NodeStanding {
    const ALL: [Self; 3] = [Self::Open, Self::Closed, Self::Revoked];

    /// Returns its name in the database and at the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Revoked => "revoked",
        }
    }

    /// Parses the name in the database.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

impl fmt::Display for NodeStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a tenant is moved to another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveReason {
    /// The operator moves this tenant.
    Move,
    /// All tenants leave the node, which goes on serving them until then.
    Drain,
    /// The node is lost: its tenants are placed without it.
    Lose,
}

impl MoveReason {
    const ALL: [Self; 3] = [Self::Move, Self::Drain, Self::Lose];

    /// Returns its name in the database and at the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Drain => "drain",
            Self::Lose => "lose",
        }
    }

    /// Parses the name in the database.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_called_as_its_machine() {
        for (text, name) in [
            (" Worker-1\n", "worker-1"),
            ("fra1.example.org", "fra1.example.org"),
            ("2", "2"),
        ] {
            assert_eq!(NodeName::parse(text).unwrap().as_str(), name);
        }
        let long = format!("{}a", "a.".repeat(127));
        for text in ["", "-a", "a-", "a..b", "a b", "#7", "ü", "a/b", &long] {
            let failure = NodeName::parse(text).unwrap_err();
            assert_eq!(failure.message, Message::NodeNameMalformed, "{text}");
        }
    }

    #[test]
    fn a_host_has_the_form_of_an_endpoint() {
        for (text, host) in [
            (" FRA1.Example.org. ", "fra1.example.org"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:DB8::1", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("worker", "worker"),
        ] {
            assert_eq!(NodeHost::parse(text).unwrap().as_str(), host);
        }
        for text in [
            "",
            "192.0.2.7:51820",
            "[192.0.2.7]",
            "0.0.0.0",
            "::",
            "ff02::1",
            "192.0.2",
            "10.1",
            "a b",
            "https://worker",
            "a,b",
        ] {
            let failure = NodeHost::parse(text).unwrap_err();
            assert_eq!(failure.message, Message::NodeHostMalformed, "{text}");
        }
    }

    #[test]
    fn a_standing_is_stored_by_its_name() {
        for standing in NodeStanding::ALL {
            assert_eq!(NodeStanding::parse(standing.as_str()), Some(standing));
        }
        assert_eq!(NodeStanding::parse("removed"), None);
    }
}
