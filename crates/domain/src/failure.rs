//! What goes wrong, as people and scripts see it: a stable code, the field it
//! belongs to, and a sentence that says what to do. Causes stay on the server.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One list for each code's doc, name in JSON and HTTP status, so that the
/// three cannot drift apart.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal $status:literal,)*) => {
        /// A stable, documented code. Scripts compare it; people never see it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl ErrorCode {
            /// Every code, for tables and tests.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name),*];

            /// Its name in JSON and query strings, e.g. `name_taken`.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $text,)* }
            }

            /// The HTTP status that carries it.
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// A tenant name of the wrong form.
    NameMalformed "name_malformed" 422,
    /// A tenant name that is kept for the installation.
    NameReserved "name_reserved" 422,
    /// A tenant name somebody has.
    NameTaken "name_taken" 409,
    /// A password that is too short or too easily guessed.
    PasswordWeak "password_weak" 422,
    /// A plan that does not exist (any more).
    PlanUnknown "plan_unknown" 422,
    /// A device label of the wrong form.
    LabelMalformed "label_malformed" 422,
    /// A device label the tenant already uses.
    LabelTaken "label_taken" 409,
    /// The plan allows no further device.
    DeviceLimit "device_limit" 409,
    /// A filter policy, routing or other choice that does not exist.
    ChoiceUnknown "choice_unknown" 422,
    /// No further tenant fits on the node: its slots are held, its memory is
    /// taken, or the operator's limit is reached.
    NodeFull "node_full" 503,
    /// Wrong name or password.
    SignInRefused "sign_in_refused" 401,
    /// Too many tries.
    TooManyTries "too_many_tries" 429,
    /// Nobody is signed in.
    SignedOut "signed_out" 401,
    /// A one-time ticket that was used, has expired or never was.
    TicketInvalid "ticket_invalid" 401,
    /// Not there, or not theirs.
    NotFound "not_found" 404,
    /// A change that came from another origin.
    WrongOrigin "wrong_origin" 403,
    /// A host this installation does not serve.
    UnknownHost "unknown_host" 421,
    /// A request that is too large or has the wrong form.
    BadRequest "bad_request" 400,
    /// A configuration file or flag that cannot be.
    BadConfiguration "bad_configuration" 500,
    /// The AdGuard Home image is not there yet.
    ImageMissing "image_missing" 503,
    /// Docker does not answer.
    DockerUnavailable "docker_unavailable" 503,
    /// nftables cannot be used.
    FirewallUnavailable "firewall_unavailable" 503,
    /// WireGuard, kernel or userspace, cannot be used.
    WireguardUnavailable "wireguard_unavailable" 503,
    /// Another program holds a UDP port of ours.
    PortTaken "port_taken" 503,
    /// An interface or container of somebody else's has a name of ours.
    NameForeign "name_foreign" 503,
    /// The tenant's DNS container does not start or answer.
    DnsUnavailable "dns_unavailable" 503,
    /// The disk is full or read-only.
    DiskUnavailable "disk_unavailable" 503,
    /// The machine's memory cannot be read.
    MemoryUnknown "memory_unknown" 503,
    /// The database does not answer.
    DatabaseUnavailable "database_unavailable" 503,
    /// The tenant is suspended by the operator.
    Suspended "suspended" 403,
    /// The server does too much at once; try again.
    Busy "busy" 503,
    /// Saved, but the node has not confirmed yet that it does what was asked.
    NotYetInForce "not_yet_in_force" 503,
    /// Something we did not foresee; the sentence carries an id to quote.
    Internal "internal" 500,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The field of a form that a failure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// A tenant's name.
    Name,
    /// A password.
    Password,
    /// A plan.
    Plan,
    /// A device's label.
    Label,
    /// What a device routes.
    Routing,
    /// A device's filter policy.
    Policy,
}

/// A failure as it crosses the edge: to a page, a server function's caller or
/// a REST client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What happened, for programs.
    pub code: ErrorCode,
    /// Where in the form, if anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Field>,
    /// What happened and what to do, for people.
    pub sentence: String,
}

impl Failure {
    /// A failure of the whole request.
    pub fn new(code: ErrorCode, sentence: impl Into<String>) -> Self {
        Self {
            code,
            field: None,
            sentence: sentence.into(),
        }
    }

    /// A failure of one field.
    pub fn at(field: Field, code: ErrorCode, sentence: impl Into<String>) -> Self {
        Self {
            code,
            field: Some(field),
            sentence: sentence.into(),
        }
    }

    /// What is not there, or belongs to somebody else: the two look the same.
    pub fn not_found() -> Self {
        Self::new(
            ErrorCode::NotFound,
            "There is nothing here under that address.",
        )
    }

    /// Nobody is signed in.
    pub fn signed_out() -> Self {
        Self::new(
            ErrorCode::SignedOut,
            "You are signed out. Sign in and try again.",
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_travels_as_its_name_and_has_an_error_status() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json, format!("\"{code}\""));
            assert_eq!(serde_json::from_str::<ErrorCode>(&json).unwrap(), *code);
            assert!((400..600).contains(&code.status()));
        }
    }
}
