//! The settings of mail that need more than a type: the server's address, and the sender.

use domain::MailAddress;
use std::{fmt, net::IpAddr};

/// The port of SMTP with TLS from the beginning (RFC 8314, 3.3).
const TLS_PORT: u16 = 465;
/// The port of submission, with STARTTLS (RFC 6409).
const SUBMISSION_PORT: u16 = 587;
/// The port of a mail server on this machine.
const RELAY_PORT: u16 = 25;
/// The longest name of a sender, in characters.
const MAX_NAME: usize = 64;

/// How a connection to the server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// TLS from the beginning.
    Tls,
    /// STARTTLS, without which nothing is sent.
    StartTls,
    /// None, to a loopback address alone.
    None,
}

/// The server that takes the mail: `smtps://HOST[:PORT]` or `smtp://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    pub(crate) encryption: Encryption,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// A setting of the wrong form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("no server such as smtps://mail.example.org or smtp://mail.example.org:587")]
    Server,
    #[error("no sender such as MalikNode <vpn@example.org>")]
    Sender,
}

impl MailServer {
    /// Parses an address. `smtps` has TLS from the beginning, `smtp` has STARTTLS and insists on
    /// it, except for a loopback address such as 127.0.0.1, which has neither.
    ///
    /// # Errors
    /// [`SettingError::Server`], also for a user or password in it: those are settings of
    /// their own.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(SettingError::Server)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(SettingError::Server)?;
                let port = match port.strip_prefix(':') {
                    None if port.is_empty() => None,
                    port => Some(port.ok_or(SettingError::Server)?),
                };
                (host, port)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let address: Option<IpAddr> = host.parse().ok();
        let is_name = |c: u8| c.is_ascii_alphanumeric() || b"-.".contains(&c);
        if address.is_none() && (host.is_empty() || !host.bytes().all(is_name)) {
            return Err(SettingError::Server);
        }
        let encryption = match scheme {
            "smtps" => Encryption::Tls,
            "smtp" if address.is_some_and(|a| a.is_loopback()) => Encryption::None,
            "smtp" => Encryption::StartTls,
            _ => return Err(SettingError::Server),
        };
        let usual = match encryption {
            Encryption::Tls => TLS_PORT,
            Encryption::StartTls => SUBMISSION_PORT,
            Encryption::None => RELAY_PORT,
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0),
            None => Some(usual),
        };
        Ok(Self {
            encryption,
            host: host.to_ascii_lowercase(),
            port: port.ok_or(SettingError::Server)?,
        })
    }
}

impl fmt::Display for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.encryption {
            Encryption::Tls => "smtps",
            Encryption::StartTls | Encryption::None => "smtp",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// Whom mail comes from: an address, with a name where people read one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub(crate) name: Option<String>,
    pub(crate) address: MailAddress,
}

impl Sender {
    /// Parses `NAME <ADDRESS>` or an address alone.
    ///
    /// # Errors
    /// [`SettingError::Sender`], also for a name with a control character.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        let text = text.trim();
        let (name, address) = match text.strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
            Some((name, address)) => (name.trim(), address),
            None => ("", text),
        };
        let is_plain = |c: char| !c.is_control() && !"<>\"\\\u{2028}\u{2029}".contains(c);
        if name.chars().count() > MAX_NAME || !name.chars().all(is_plain) {
            return Err(SettingError::Sender);
        }
        Ok(Self {
            name: (!name.is_empty()).then(|| name.to_owned()),
            address: MailAddress::parse(address).map_err(|_| SettingError::Sender)?,
        })
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => self.address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_its_encryption_and_port() {
        for (text, expected, encryption) in [
            (
                "smtps://Mail.Example.org",
                "smtps://mail.example.org:465",
                Encryption::Tls,
            ),
            (
                "smtp://mail.example.org",
                "smtp://mail.example.org:587",
                Encryption::StartTls,
            ),
            (
                "smtp://localhost:2525/",
                "smtp://localhost:2525",
                Encryption::StartTls,
            ),
            ("smtp://127.0.0.1", "smtp://127.0.0.1:25", Encryption::None),
            ("smtp://[::1]:26", "smtp://[::1]:26", Encryption::None),
            (
                "smtp://192.0.2.1",
                "smtp://192.0.2.1:587",
                Encryption::StartTls,
            ),
        ] {
            let server = MailServer::parse(text).unwrap();
            assert_eq!(
                (server.to_string().as_str(), server.encryption),
                (expected, encryption)
            );
        }
        for text in [
            "",
            "mail.example.org",
            "http://mail.example.org",
            "smtp://",
            "smtp://user:secret@mail.example.org",
            "smtp://mail.example.org:0",
            "smtp://mail.example.org:99999",
            "smtp://mail.example.org/path",
            "smtp://[::1",
            "smtp://a b",
        ] {
            assert_eq!(MailServer::parse(text), Err(SettingError::Server), "{text}");
        }
    }

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        let shown = |text| Sender::parse(text).unwrap().to_string();
        assert_eq!(shown("vpn@example.org"), "vpn@example.org");
        assert_eq!(
            shown("Zoë’s VPN <vpn@Example.org>"),
            "Zoë’s VPN <vpn@example.org>"
        );
        for text in [
            "",
            "vpn",
            "A\r\nBcc: b@example.org <vpn@example.org>",
            "A <vpn@example.org\r\nBcc: b@example.org>",
            "A <a@example.org> <vpn@example.org>",
            "\"A <vpn@example.org>",
        ] {
            assert_eq!(Sender::parse(text), Err(SettingError::Sender), "{text:?}");
        }
    }
}
