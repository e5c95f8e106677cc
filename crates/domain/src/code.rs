//! The codes of errors, for programs: coarse and stable. What a person reads is a
//! [`Message`](crate::Message), which is precise and may change.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Defines each code's documentation, JSON name and HTTP status in one list, so
/// that the three cannot contradict each other.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal $status:literal,)*) => {
        /// A stable, documented code. Scripts compare it; pages never show it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order of definition.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name),*];

            /// Returns the name in JSON and query strings, e.g. `name_taken`.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $text,)* }
            }

            /// Returns the HTTP status of a response with this code.
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// A tenant name of the wrong form.
    NameMalformed "name_malformed" 422,
    /// A tenant name that is reserved for the installation.
    NameReserved "name_reserved" 422,
    /// A tenant name that is in use.
    NameTaken "name_taken" 409,
    /// A password that is too short or too easily guessed.
    PasswordWeak "password_weak" 422,
    /// A plan that does not exist, or no longer does.
    PlanUnknown "plan_unknown" 422,
    /// A plan with a value that cannot be kept.
    PlanMalformed "plan_malformed" 422,
    /// A plan's id that is in use.
    PlanTaken "plan_taken" 409,
    /// A plan that tenants have and that cannot be deleted.
    PlanInUse "plan_in_use" 409,
    /// A time zone that does not exist.
    TimeZoneUnknown "time_zone_unknown" 422,
    /// A device label of the wrong form.
    LabelMalformed "label_malformed" 422,
    /// A device label the tenant already uses.
    LabelTaken "label_taken" 409,
    /// The plan allows no further device.
    DeviceLimit "device_limit" 409,
    /// A filter policy, routing or other choice that does not exist.
    ChoiceUnknown "choice_unknown" 422,
    /// No further tenant fits on the node: its slots or its memory are used up,
    /// or the operator's limit is reached.
    NodeFull "node_full" 503,
    /// Wrong name or password.
    SignInRefused "sign_in_refused" 401,
    /// Too many attempts; the client has to wait.
    TooManyTries "too_many_tries" 429,
    /// The request has no valid session.
    SignedOut "signed_out" 401,
    /// A one-time ticket that was used, has expired or never existed.
    TicketInvalid "ticket_invalid" 401,
    /// The object does not exist, or belongs to another tenant.
    NotFound "not_found" 404,
    /// A changing request from another origin.
    WrongOrigin "wrong_origin" 403,
    /// A host this installation does not serve.
    UnknownHost "unknown_host" 421,
    /// A request that is too large or has the wrong form.
    BadRequest "bad_request" 400,
    /// An invalid configuration file or flag.
    BadConfiguration "bad_configuration" 500,
    /// The AdGuard Home image has not been pulled yet.
    ImageMissing "image_missing" 503,
    /// Docker does not answer.
    DockerUnavailable "docker_unavailable" 503,
    /// nftables cannot be used.
    FirewallUnavailable "firewall_unavailable" 503,
    /// Traffic control, which limits speeds, cannot be used.
    ShapingUnavailable "shaping_unavailable" 503,
    /// WireGuard, kernel or userspace, cannot be used.
    WireguardUnavailable "wireguard_unavailable" 503,
    /// Another program uses a UDP port of a tunnel.
    PortTaken "port_taken" 503,
    /// An interface or container that MalikNode did not create has a name it needs.
    NameForeign "name_foreign" 503,
    /// The tenant's DNS container does not start or answer.
    DnsUnavailable "dns_unavailable" 503,
    /// The disk is full or read-only.
    DiskUnavailable "disk_unavailable" 503,
    /// So little of the node's disk is free that tenants may write no more.
    DiskLow "disk_low" 503,
    /// The machine's memory cannot be read.
    MemoryUnknown "memory_unknown" 503,
    /// The database does not answer.
    DatabaseUnavailable "database_unavailable" 503,
    /// The tenant is suspended by the operator.
    Suspended "suspended" 403,
    /// The server is overloaded; the client should try again.
    Busy "busy" 503,
    /// The change is saved, but the node has not confirmed yet that it is in force.
    NotYetInForce "not_yet_in_force" 503,
    /// An unforeseen error; the message contains an id to quote.
    Internal "internal" 500,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_serialises_as_its_name() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json, format!("\"{code}\""));
            assert_eq!(serde_json::from_str::<ErrorCode>(&json).unwrap(), *code);
            assert!((400..600).contains(&code.status()));
        }
    }
}
