//! Translates the errors of `nft` and `iptables` into messages.

use domain::{ErrorCode, Message};
use hostfs::CommandError;
use provisioning::ports::PortError;

/// Converts the error into one with a message that says what to do.
pub(crate) fn explain(error: CommandError) -> PortError {
    let message = match (&error, error.not_run()) {
        (CommandError::Failed { program, stderr }, _) => {
            let contains_any = |any: &[&str]| any.iter().any(|text| stderr.contains(text));
            if contains_any(&["not permitted", "Permission denied", "must be root"]) {
                Message::FirewallNotPermitted
            } else if error.is_not_found()
                || contains_any(&["File exists", "Device or resource busy"])
            {
                Message::FirewallContended
            } else if contains_any(&["not supported", "Unable to initialize Netlink socket"]) {
                Message::FirewallUnsupported
            } else {
                Message::FirewallRulesRefused {
                    program: (*program).to_owned(),
                }
            }
        }
        (_, not_run) => not_run.unwrap_or(Message::Unexpected),
    };
    PortError::because(ErrorCode::FirewallUnavailable, message, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_programs_are_explained() {
        for (stderr, message) in [
            (
                "Operation not permitted (you must be root)",
                Message::FirewallNotPermitted,
            ),
            (
                "iptables v1.8.9 (nf_tables): Permission denied (you must be root)",
                Message::FirewallNotPermitted,
            ),
            (
                "Error: Could not process rule: No such file or directory",
                Message::FirewallContended,
            ),
            (
                "Error: Could not process rule: Operation not supported",
                Message::FirewallUnsupported,
            ),
            (
                "Error: syntax error, unexpected '}'",
                Message::FirewallRulesRefused {
                    program: "nft".to_owned(),
                },
            ),
        ] {
            let failed = CommandError::Failed {
                program: "nft",
                stderr: stderr.to_owned(),
            };
            let error = explain(failed);
            assert_eq!(error.code, ErrorCode::FirewallUnavailable);
            assert_eq!(error.message, message, "{stderr}");
            assert!(error.cause.is_some());
        }
    }
}
