//! A general message for each code.

use domain::ErrorCode;

/// Returns the general message for a code, for a failure whose precise message
/// is not available.
pub const fn message(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NameMalformed => "Use 3 to 32 of the letters a to z, digits and inner hyphens.",
        ErrorCode::NameReserved => "That name is reserved. Choose another one.",
        ErrorCode::NameTaken => "That name is taken. Choose another one.",
        ErrorCode::PasswordWeak => {
            "That password is too easy to guess. Use ten characters or more, for example four words that have nothing to do with each other."
        }
        ErrorCode::PlanUnknown => "That plan is not offered any more. Choose another one.",
        ErrorCode::LabelMalformed => "Use 1 to 64 visible characters for the label.",
        ErrorCode::LabelTaken => "You have a device with that label. Choose another one.",
        ErrorCode::DeviceLimit => "Your plan allows no further device. Delete one first.",
        ErrorCode::ChoiceUnknown => "Choose one of the options shown.",
        ErrorCode::NodeFull => "This server is full. Nothing was made. Try again later.",
        ErrorCode::SignInRefused => "That name and password do not belong together.",
        ErrorCode::TooManyTries => "Too many tries. Wait a minute and try again.",
        ErrorCode::SignedOut => "You are signed out. Sign in and try again.",
        ErrorCode::TicketInvalid => "That link was used or has expired. Sign in again.",
        ErrorCode::NotFound => "There is nothing here under that address.",
        ErrorCode::WrongOrigin => "That request came from another site and was refused.",
        ErrorCode::UnknownHost => "This installation does not serve that address.",
        ErrorCode::BadRequest => {
            "The server could not read that request. Reload the page and try again."
        }
        ErrorCode::BadConfiguration => "This installation is not set up correctly.",
        ErrorCode::ImageMissing => "Waiting for the AdGuard Home image.",
        ErrorCode::DockerUnavailable => "Docker does not answer. The server keeps trying.",
        ErrorCode::FirewallUnavailable => "The firewall cannot be used. The server keeps trying.",
        ErrorCode::WireguardUnavailable => "WireGuard cannot be used. The server keeps trying.",
        ErrorCode::PortTaken => "Another program uses the tunnel's port.",
        ErrorCode::NameForeign => "Something else on the server uses a name that MalikNode needs.",
        ErrorCode::DnsUnavailable => "The DNS filter does not answer. The server keeps trying.",
        ErrorCode::DiskUnavailable => "The disk is full or cannot be written.",
        ErrorCode::MemoryUnknown => "The server's memory cannot be read. The server keeps trying.",
        ErrorCode::DatabaseUnavailable => "The database does not answer. Try again in a moment.",
        ErrorCode::Suspended => "This account is suspended. Ask the operator.",
        ErrorCode::Busy => "The server is busy. Try again in a moment.",
        ErrorCode::NotYetInForce => "Deleted. It is being cut off; the server keeps trying.",
        ErrorCode::Internal => "Something went wrong on our side. Try again in a moment.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_message() {
        let mut seen = std::collections::HashSet::new();
        for code in ErrorCode::ALL {
            assert!(message(*code).ends_with('.'), "{code}");
            assert!(seen.insert(message(*code)), "{code}");
        }
    }
}
