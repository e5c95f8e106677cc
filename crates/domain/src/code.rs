//! The codes of errors, for programs: coarse and stable. What a person reads is a
//! [`Message`](crate::Message), which is precise and may change.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Defines each code's documentation and JSON name in one list, so that the two cannot
/// contradict each other.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
        /// A stable, documented code. Scripts compare it; pages never show it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
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

            /// Returns the code of this name; [`OtherVersion`](ErrorCode::OtherVersion) if
            /// this version has none.
            fn named(text: &str) -> Self {
                match text {
                    $($text => ErrorCode::$name,)*
                    _ => ErrorCode::OtherVersion,
                }
            }
        }
    };
}

codes! {
    /// A tenant name of the wrong form.
    NameMalformed "name_malformed",
    /// A tenant name that is reserved for the installation.
    NameReserved "name_reserved",
    /// A tenant name that is in use.
    NameTaken "name_taken",
    /// A password that is too short or too easily guessed.
    PasswordWeak "password_weak",
    /// A plan that does not exist, or no longer does.
    PlanUnknown "plan_unknown",
    /// A plan with a value that cannot be kept.
    PlanMalformed "plan_malformed",
    /// A plan's id that is in use.
    PlanTaken "plan_taken",
    /// A plan that tenants have and that cannot be deleted.
    PlanInUse "plan_in_use",
    /// A time zone that does not exist.
    TimeZoneUnknown "time_zone_unknown",
    /// A device label of the wrong form.
    LabelMalformed "label_malformed",
    /// A device label the tenant already uses.
    LabelTaken "label_taken",
    /// The plan allows no further device.
    DeviceLimit "device_limit",
    /// A filter policy, routing or other choice that does not exist.
    ChoiceUnknown "choice_unknown",
    /// No further tenant fits on the node: its slots or its memory are used up,
    /// or the operator's limit is reached.
    NodeFull "node_full",
    /// This control plane has just started, and no node has connected to it yet.
    NodesStarting "nodes_starting",
    /// A node's name or host of the wrong form.
    NodeMalformed "node_malformed",
    /// A node's name that is in use.
    NodeTaken "node_taken",
    /// A node that has tenants and that cannot be removed.
    NodeInUse "node_in_use",
    /// A change that this node does not allow, because it is local or revoked.
    NodeFixed "node_fixed",
    /// A tenant that cannot be moved so.
    MoveRefused "move_refused",
    /// This installation takes no workers: it has SQLite, or no address for them.
    WorkersUnavailable "workers_unavailable",
    /// Wrong name or password.
    SignInRefused "sign_in_refused",
    /// Too many attempts; the client has to wait.
    TooManyTries "too_many_tries",
    /// The request has no valid session.
    SignedOut "signed_out",
    /// A token of the API that is malformed, of another issuer, or no longer valid.
    TokenInvalid "token_invalid",
    /// An access token of the API that has expired; a refresh token gives another one.
    TokenExpired "token_expired",
    /// The holder has as many API tokens as it may have.
    TokenLimit "token_limit",
    /// The token's holder, or this token, may not do that.
    NotPermitted "not_permitted",
    /// A wrong code of an authenticator app, or a recovery code that is not valid.
    CodeInvalid "code_invalid",
    /// A sign-in that needs a second factor, where only a password can be given.
    SecondFactorNeeded "second_factor_needed",
    /// A sign-in that waited too long for its second factor, or had too many wrong codes.
    SignInExpired "sign_in_expired",
    /// The act needs a proof that the account's holder is present, not older than 10 minutes.
    PresenceNeeded "presence_needed",
    /// A link to a new password that was used, has expired, was replaced or never existed.
    ResetInvalid "reset_invalid",
    /// The account has a second factor of that kind already.
    FactorExists "factor_exists",
    /// A passkey's answer that is not right: another account's or host's, a challenge that was used
    /// or has expired, a wrong signature.
    PasskeyInvalid "passkey_invalid",
    /// The account has as many passkeys as it may have.
    PasskeyLimit "passkey_limit",
    /// A passkey's name of the wrong form.
    PasskeyName "passkey_name",
    /// An owner has to set up a second factor before anything else.
    SecondFactorRequired "second_factor_required",
    /// A change after which an owner would have no second factor.
    LastFactor "last_factor",
    /// A mail address of the wrong form.
    MailAddressMalformed "mail_address_malformed",
    /// A link that verifies a mail address, which was used, has expired or never existed.
    MailLinkInvalid "mail_link_invalid",
    /// This installation sends no mail, or its mail server does not take it.
    MailUnavailable "mail_unavailable",
    /// A change after which the installation would have no owner.
    LastOwner "last_owner",
    /// An operator's name of the wrong form.
    OperatorMalformed "operator_malformed",
    /// A link for an operator that was used, has expired or never existed.
    OperatorLinkInvalid "operator_link_invalid",
    /// A role that does not exist.
    RoleUnknown "role_unknown",
    /// A one-time ticket that was used, has expired or never existed.
    TicketInvalid "ticket_invalid",
    /// The object does not exist, or belongs to another tenant.
    NotFound "not_found",
    /// A changing request from another origin.
    WrongOrigin "wrong_origin",
    /// A host this installation does not serve.
    UnknownHost "unknown_host",
    /// A request that is too large or has the wrong form.
    BadRequest "bad_request",
    /// Text with a character that cannot be stored (NUL).
    TextMalformed "text_malformed",
    /// A method that the path does not accept.
    MethodNotAllowed "method_not_allowed",
    /// A body of another media type than the one that is accepted.
    MediaTypeWrong "media_type_wrong",
    /// A body that is too large.
    TooLarge "too_large",
    /// A cursor of another list, or none at all.
    CursorInvalid "cursor_invalid",
    /// The object is not any more what the client last read.
    ChangedMeanwhile "changed_meanwhile",
    /// A change that must say which state of the object it is made to.
    PreconditionNeeded "precondition_needed",
    /// An idempotency key that was used for another request.
    KeyReused "key_reused",
    /// A request with this idempotency key is being carried out.
    KeyPending "key_pending",
    /// An invalid configuration file or flag.
    BadConfiguration "bad_configuration",
    /// The AdGuard Home image has not been pulled yet.
    ImageMissing "image_missing",
    /// Docker does not answer.
    DockerUnavailable "docker_unavailable",
    /// nftables cannot be used.
    FirewallUnavailable "firewall_unavailable",
    /// Traffic control, which limits speeds, cannot be used.
    ShapingUnavailable "shaping_unavailable",
    /// WireGuard, kernel or userspace, cannot be used.
    WireguardUnavailable "wireguard_unavailable",
    /// Another program uses a UDP port of a tunnel.
    PortTaken "port_taken",
    /// An interface or container that MalikNode did not create has a name it needs.
    NameForeign "name_foreign",
    /// The tenant's DNS container does not start or answer.
    DnsUnavailable "dns_unavailable",
    /// The disk is full or read-only.
    DiskUnavailable "disk_unavailable",
    /// So little of the node's disk is free that tenants may write no more.
    DiskLow "disk_low",
    /// The machine's memory cannot be read.
    MemoryUnknown "memory_unknown",
    /// The database does not answer.
    DatabaseUnavailable "database_unavailable",
    /// A tenant's data cannot be read; what it has in force stays.
    TenantUnreadable "tenant_unreadable",
    /// The tenant is suspended by the operator.
    Suspended "suspended",
    /// The tenant has no DNS filter until a device connects or it signs in.
    Asleep "asleep",
    /// Sign-ups are closed at present.
    SignUpClosed "sign_up_closed",
    /// A sign-up needs an invitation.
    InvitationNeeded "invitation_needed",
    /// An invitation that does not exist.
    InvitationUnknown "invitation_unknown",
    /// An invitation that was used as often as it may be.
    InvitationUsedUp "invitation_used_up",
    /// An invitation that has expired or was revoked, or whose plan is gone.
    InvitationEnded "invitation_ended",
    /// An invitation with a value that is not possible.
    InvitationMalformed "invitation_malformed",
    /// The server is overloaded; the client should try again.
    Busy "busy",
    /// The node's machine is not connected or does not answer.
    NodeUnreachable "node_unreachable",
    /// A machine whose certificate, or whose token, is not valid here.
    NodeRefused "node_refused",
    /// The change is saved, but the node has not confirmed yet that it is in force.
    NotYetInForce "not_yet_in_force",
    /// A code that only another version of MalikNode has.
    OtherVersion "other_version",
    /// An unforeseen error; the message contains an id to quote.
    Internal "internal",
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::named(&String::deserialize(from)?))
    }
}

/// The longest code, in bytes.
const MAX_CODE_BYTES: usize = 64;

/// Returns whether a text has the form of a code, of this version or another: small letters,
/// digits, and `-`, `_` or `.` in between.
pub fn is_code(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    !text.is_empty() && text.len() <= MAX_CODE_BYTES && text.bytes().all(is_plain)
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
            assert!(is_code(code.as_str()));
        }
    }

    #[test]
    fn a_code_of_another_version_is_read_as_one() {
        let read = |json| serde_json::from_str::<ErrorCode>(json);
        assert_eq!(read(r#""moon_full""#).unwrap(), ErrorCode::OtherVersion);
        assert!(read("7").is_err());
        for text in ["", "Moon full.", "moon\n", &"a".repeat(65)] {
            assert!(!is_code(text), "{text}");
        }
    }
}
