//! The HTTP status of answers. Codes are made below, where there is no HTTP.

use axum::http::StatusCode;
use domain::ErrorCode;

/// Returns the HTTP status of an answer with this code.
pub const fn status(code: ErrorCode) -> StatusCode {
    use ErrorCode as C;
    match code {
        C::BadRequest | C::CursorInvalid => StatusCode::BAD_REQUEST,
        C::SignInRefused | C::SignedOut | C::TicketInvalid | C::TokenInvalid | C::TokenExpired => {
            StatusCode::UNAUTHORIZED
        }
        C::CodeInvalid | C::SecondFactorNeeded | C::SignInExpired => StatusCode::UNAUTHORIZED,
        C::PresenceNeeded => StatusCode::FORBIDDEN,
        C::ResetInvalid => StatusCode::NOT_FOUND,
        C::MailLinkInvalid => StatusCode::NOT_FOUND,
        C::MailAddressMalformed | C::TextMalformed => StatusCode::UNPROCESSABLE_ENTITY,
        C::MailUnavailable => StatusCode::CONFLICT,
        C::SignUpClosed => StatusCode::FORBIDDEN,
        C::InvitationUsedUp | C::InvitationEnded => StatusCode::CONFLICT,
        C::InvitationNeeded | C::InvitationUnknown | C::InvitationMalformed => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        C::PasskeyInvalid => StatusCode::UNAUTHORIZED,
        C::SecondFactorRequired => StatusCode::FORBIDDEN,
        C::FactorExists | C::LastFactor | C::PasskeyLimit => StatusCode::CONFLICT,
        C::WrongOrigin | C::Suspended | C::NodeRefused | C::NotPermitted => StatusCode::FORBIDDEN,
        C::NotFound | C::OperatorLinkInvalid => StatusCode::NOT_FOUND,
        C::NameTaken
        | C::PlanTaken
        | C::PlanInUse
        | C::LabelTaken
        | C::DeviceLimit
        | C::NodeTaken
        | C::NodeInUse
        | C::NodeFixed
        | C::MoveRefused
        | C::TokenLimit
        | C::LastOwner
        | C::KeyPending
        | C::WorkersUnavailable => StatusCode::CONFLICT,
        C::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        C::ChangedMeanwhile => StatusCode::PRECONDITION_FAILED,
        C::PreconditionNeeded => StatusCode::PRECONDITION_REQUIRED,
        C::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        C::MediaTypeWrong => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        C::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
        C::NameMalformed
        | C::NameReserved
        | C::PasswordWeak
        | C::PlanUnknown
        | C::PlanMalformed
        | C::TimeZoneUnknown
        | C::LabelMalformed
        | C::PasskeyName
        | C::ChoiceUnknown
        | C::RoleUnknown
        | C::OperatorMalformed
        | C::KeyReused
        | C::NodeMalformed => StatusCode::UNPROCESSABLE_ENTITY,
        C::TooManyTries => StatusCode::TOO_MANY_REQUESTS,
        C::BadConfiguration | C::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        C::NodeFull
        | C::NodesStarting
        | C::Asleep
        | C::ImageMissing
        | C::DockerUnavailable
        | C::FirewallUnavailable
        | C::ShapingUnavailable
        | C::WireguardUnavailable
        | C::PortTaken
        | C::NameForeign
        | C::DnsUnavailable
        | C::DiskUnavailable
        | C::DiskLow
        | C::MemoryUnknown
        | C::DatabaseUnavailable
        | C::TenantUnreadable
        | C::Busy
        | C::NodeUnreachable
        | C::OtherVersion
        | C::NotYetInForce => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Returns the heading of an error page for this code; a message below it has the
/// details.
pub const fn heading(code: ErrorCode) -> &'static str {
    match status(code).as_u16() {
        401 => "Signed out",
        403 => "Not allowed",
        404 => "Not found",
        421 => "Unknown address",
        429 => "Too many tries",
        503 => "Not now",
        500.. => "Something went wrong",
        _ => "That did not work",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_an_error_of_http() {
        for code in ErrorCode::ALL {
            let status = status(*code);
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{code}"
            );
        }
    }

    #[test]
    fn clients_tell_kinds_of_errors_apart() {
        for (code, number, text) in [
            (ErrorCode::BadRequest, 400, "That did not work"),
            (ErrorCode::SignedOut, 401, "Signed out"),
            (ErrorCode::Suspended, 403, "Not allowed"),
            (ErrorCode::NotFound, 404, "Not found"),
            (ErrorCode::NameTaken, 409, "That did not work"),
            (ErrorCode::UnknownHost, 421, "Unknown address"),
            (ErrorCode::LabelMalformed, 422, "That did not work"),
            (ErrorCode::TooManyTries, 429, "Too many tries"),
            (ErrorCode::Internal, 500, "Something went wrong"),
            (ErrorCode::NodeFull, 503, "Not now"),
        ] {
            assert_eq!(
                (status(code).as_u16(), heading(code)),
                (number, text),
                "{code}"
            );
        }
    }
}
