//! Translates errors of the machine into messages that say what to do.

use domain::{ErrorCode, Slot};
use nix::errno::Errno;
use provisioning::ports::PortError;
use std::io;

/// Returns whether an error has this errno.
pub(crate) fn has_errno(e: &io::Error, errno: Errno) -> bool {
    e.raw_os_error() == Some(errno as i32)
}

/// Creates the error for a failed `action` (an infinitive: "create wg1").
pub(crate) fn refused(action: &str, e: io::Error) -> PortError {
    let code = ErrorCode::WireguardUnavailable;
    if has_errno(&e, Errno::EPERM) || has_errno(&e, Errno::EACCES) {
        let message =
            format!("MalikNode may not {action}: it needs root, or the capability CAP_NET_ADMIN.");
        return PortError::because(code, message, e);
    }
    PortError::because(code, format!("MalikNode could not {action}: {e}."), e)
}

/// Creates the error for a UDP port that another program uses.
pub(crate) fn port_taken(slot: Slot, e: io::Error) -> PortError {
    let port = slot.listen_port();
    PortError::because(
        ErrorCode::PortTaken,
        format!(
            "UDP port {port} of {} is held by another program. `ss -lunp sport = :{port}` shows which; stop it, and MalikNode goes on by itself.",
            slot.interface()
        ),
        e,
    )
}

/// Creates the error for an interface that is not ours and has the slot's name.
pub(crate) fn name_foreign(slot: Slot) -> PortError {
    let name = slot.interface();
    PortError::new(
        ErrorCode::NameForeign,
        format!(
            "There is an interface {name} that is not MalikNode's; it is left as it is. Rename or remove it, and MalikNode goes on by itself."
        ),
    )
}

/// Creates the error for a change of an interface that does not exist.
pub(crate) fn missing(slot: Slot) -> PortError {
    PortError::new(
        ErrorCode::NotFound,
        format!("The interface {} is not there (yet).", slot.interface()),
    )
}

/// Creates the error for an action that did not end in time.
pub(crate) fn timed_out(action: &str) -> PortError {
    PortError::new(
        ErrorCode::WireguardUnavailable,
        format!("MalikNode could not {action}: the machine did not answer in time."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_capability_is_named() {
        let e = refused(
            "create wg1",
            io::Error::from_raw_os_error(Errno::EPERM as i32),
        );
        assert_eq!(e.code, ErrorCode::WireguardUnavailable);
        assert!(e.message.contains("CAP_NET_ADMIN"), "{}", e.message);
        assert!(e.cause.is_some());
    }

    #[test]
    fn a_taken_port_is_named() {
        let slot = Slot::new(3).unwrap();
        let e = port_taken(slot, io::Error::from_raw_os_error(Errno::EADDRINUSE as i32));
        assert_eq!(e.code, ErrorCode::PortTaken);
        assert!(e.message.contains("51823"), "{}", e.message);
    }
}
