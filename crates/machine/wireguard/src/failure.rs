//! Translates errors of the machine into messages.

use domain::{ErrorCode, Message, Slot};
use nix::errno::Errno;
use provisioning::ports::PortError;
use std::io;

/// Returns whether an error has this errno.
pub(crate) fn has_errno(e: &io::Error, errno: Errno) -> bool {
    e.raw_os_error() == Some(errno as i32)
}

/// Creates the error for a failed `action`, one of `Message::Action…`.
pub(crate) fn refused(action: &Message, e: io::Error) -> PortError {
    let action = Box::new(action.clone());
    let message = if has_errno(&e, Errno::EPERM) || has_errno(&e, Errno::EACCES) {
        Message::WireguardNotPermitted { action }
    } else {
        let reason = e.to_string();
        Message::WireguardFailed { action, reason }
    };
    PortError::because(ErrorCode::WireguardUnavailable, message, e)
}

/// Creates the error for a UDP port that another program uses.
pub(crate) fn port_taken(slot: Slot, e: io::Error) -> PortError {
    let message = Message::UdpPortTaken {
        port: slot.listen_port().into(),
        interface: slot.interface(),
    };
    PortError::because(ErrorCode::PortTaken, message, e)
}

/// Creates the error for an interface that is not ours and has the slot's name.
pub(crate) fn name_foreign(slot: Slot) -> PortError {
    let interface = slot.interface();
    PortError::new(
        ErrorCode::NameForeign,
        Message::InterfaceForeign { interface },
    )
}

/// Creates the error for a change of an interface that does not exist.
pub(crate) fn missing(slot: Slot) -> PortError {
    let interface = slot.interface();
    PortError::new(ErrorCode::NotFound, Message::InterfaceAbsent { interface })
}

/// Creates the error for an action that did not end in time.
pub(crate) fn timed_out(action: Message) -> PortError {
    let action = Box::new(action);
    PortError::new(
        ErrorCode::WireguardUnavailable,
        Message::WireguardTimedOut { action },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_capability_is_named() {
        let e = refused(
            &Message::ActionReadCounters,
            io::Error::from_raw_os_error(Errno::EPERM as i32),
        );
        assert_eq!(e.code, ErrorCode::WireguardUnavailable);
        let action = Box::new(Message::ActionReadCounters);
        assert_eq!(e.message, Message::WireguardNotPermitted { action });
        assert!(e.cause.is_some());
    }

    #[test]
    fn a_taken_port_is_named() {
        let slot = Slot::new(3).unwrap();
        let e = port_taken(slot, io::Error::from_raw_os_error(Errno::EADDRINUSE as i32));
        assert_eq!(e.code, ErrorCode::PortTaken);
        assert_eq!(
            e.message,
            Message::UdpPortTaken {
                port: 51_823,
                interface: "wg3".into(),
            }
        );
    }
}
