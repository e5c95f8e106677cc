//! Translates errors of `tc` and of netlink into messages.

use domain::{ErrorCode, Message};
use hostfs::CommandError;
use nix::errno::Errno;
use provisioning::ports::PortError;
use std::io;

const CODE: ErrorCode = ErrorCode::ShapingUnavailable;

/// What a program wrote to stderr.
struct Stderr<'a>(&'a str);

impl<'a> Stderr<'a> {
    fn of(error: &'a CommandError) -> Self {
        match error {
            CommandError::Failed { stderr, .. } => Self(stderr),
            _ => Self(""),
        }
    }

    fn contains_any(&self, parts: &[&str]) -> bool {
        parts.iter().any(|part| self.0.contains(part))
    }
}

/// Returns whether the kernel has no such kind of queueing discipline, filter or action
/// as a command named.
pub(crate) fn is_unknown_kind(error: &CommandError) -> bool {
    Stderr::of(error).contains_any(&[
        "qdisc kind is unknown",
        "qdisc not found",
        "TC classifier not found",
        "Failed to load TC action module",
        "not supported",
        "Unknown qdisc",
    ])
}

/// Returns whether a command failed because an object of ours or an interface is gone or
/// another's.
pub(crate) fn is_contended(error: &CommandError) -> bool {
    Stderr::of(error).contains_any(&[
        "Cannot find device",
        "No such device",
        "No such file or directory",
        "File exists",
        "Invalid handle",
        "handle of zero",
        "Cannot find specified",
    ])
}

/// Converts a command's error into one with a message that says what to do.
pub(crate) fn explain(error: CommandError) -> PortError {
    let message = match (&error, error.not_run()) {
        (_, Some(not_run)) => not_run,
        (e, _) if Stderr::of(e).contains_any(&["not permitted"]) => Message::ShapingNotPermitted,
        (e, _) if is_unknown_kind(e) => Message::ShapingUnsupported,
        (e, _) if is_contended(e) => Message::ShapingContended,
        _ => Message::ShapingRefused {
            program: "tc".to_owned(),
        },
    };
    PortError::because(CODE, message, error)
}

/// Converts the error of a call on a link, e.g. the slot's ifb.
pub(crate) fn explain_link(interface: &str, error: io::Error) -> PortError {
    let is = |errno: Errno| error.raw_os_error() == Some(errno as i32);
    let message = if is(Errno::EPERM) || is(Errno::EACCES) {
        Message::ShapingNotPermitted
    } else if is(Errno::EOPNOTSUPP) {
        Message::ShapingUnsupported
    } else {
        Message::ShapingLinkFailed {
            interface: interface.to_owned(),
            reason: error.to_string(),
        }
    };
    PortError::because(CODE, message, error)
}

/// Converts the error of parsing tc's output.
pub(crate) fn unreadable(error: serde_json::Error) -> PortError {
    PortError::because(CODE, Message::ShapingListingUnreadable, error)
}

/// Creates the error for a machine that changes faster than it can be read.
pub(crate) fn busy() -> PortError {
    PortError::new(CODE, Message::ShapingContended)
}

/// Creates the error for an interface that is not there to be limited.
pub(crate) fn gone(interface: String) -> PortError {
    PortError::new(CODE, Message::ShapingInterfaceGone { interface })
}

/// Creates the error for a link that is not ours and has an ifb's name.
pub(crate) fn foreign(interface: String) -> PortError {
    PortError::new(
        ErrorCode::NameForeign,
        Message::InterfaceForeign { interface },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_tc_are_explained() {
        for (stderr, message) in [
            (
                "RTNETLINK answers: Operation not permitted",
                Message::ShapingNotPermitted,
            ),
            (
                "Error: Specified qdisc kind is unknown.\nCommand failed -:1",
                Message::ShapingUnsupported,
            ),
            (
                "Error: TC classifier not found.\nWe have an error talking to the kernel",
                Message::ShapingUnsupported,
            ),
            (
                "Cannot find device \"wg1\"\nCommand failed -:1",
                Message::ShapingContended,
            ),
            (
                "Error: Invalid handle.\nCommand failed -:1",
                Message::ShapingContended,
            ),
            (
                "Illegal \"rate\"",
                Message::ShapingRefused {
                    program: "tc".to_owned(),
                },
            ),
        ] {
            let failed = CommandError::Failed {
                program: "tc",
                stderr: stderr.to_owned(),
            };
            let error = explain(failed);
            assert_eq!(error.code, CODE);
            assert_eq!(error.message, message, "{stderr}");
            assert!(error.cause.is_some());
        }
        let missing = CommandError::NotInstalled {
            program: "tc",
            source: io::ErrorKind::NotFound.into(),
        };
        assert!(matches!(
            explain(missing).message,
            Message::ProgramMissing { .. }
        ));
        let errno = |e: Errno| explain_link("mnup1", io::Error::from(e)).message;
        assert_eq!(errno(Errno::EPERM), Message::ShapingNotPermitted);
        assert_eq!(errno(Errno::EOPNOTSUPP), Message::ShapingUnsupported);
        assert!(matches!(
            errno(Errno::ENOMEM),
            Message::ShapingLinkFailed { .. }
        ));
    }
}
