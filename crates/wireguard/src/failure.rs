//! What the machine's refusals mean, in sentences a person can act on.

use domain::{ErrorCode, Slot};
use nix::errno::Errno;
use provisioning::ports::PortError;
use std::io;

/// Whether an error is this errno.
pub(crate) fn is(e: &io::Error, errno: Errno) -> bool {
    e.raw_os_error() == Some(errno as i32)
}

/// A refusal while doing `action` (an infinitive: "create wg1").
pub(crate) fn refused(action: &str, e: io::Error) -> PortError {
    let code = ErrorCode::WireguardUnavailable;
    if is(&e, Errno::EPERM) || is(&e, Errno::EACCES) {
        let sentence =
            format!("MalikNode may not {action}: it needs root, or the capability CAP_NET_ADMIN.");
        return PortError::because(code, sentence, e);
    }
    PortError::because(code, format!("MalikNode could not {action}: {e}."), e)
}

/// Another program holds the slot's UDP port.
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

/// Somebody else's interface has the slot's name.
pub(crate) fn name_foreign(slot: Slot) -> PortError {
    let name = slot.interface();
    PortError::new(
        ErrorCode::NameForeign,
        format!(
            "There is an interface {name} that is not MalikNode's; it is left as it is. Rename or remove it, and MalikNode goes on by itself."
        ),
    )
}

/// A change of an interface that is not there.
pub(crate) fn absent(slot: Slot) -> PortError {
    PortError::new(
        ErrorCode::NotFound,
        format!("The interface {} is not there (yet).", slot.interface()),
    )
}

/// The machine did not answer in time.
pub(crate) fn late(action: &str) -> PortError {
    PortError::new(
        ErrorCode::WireguardUnavailable,
        format!("MalikNode could not {action}: the machine did not answer in time."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_said_as_such() {
        let e = refused(
            "create wg1",
            io::Error::from_raw_os_error(Errno::EPERM as i32),
        );
        assert_eq!(e.code, ErrorCode::WireguardUnavailable);
        assert!(e.sentence.contains("CAP_NET_ADMIN"), "{}", e.sentence);
        assert!(e.cause.is_some());
    }

    #[test]
    fn a_taken_port_is_named() {
        let slot = Slot::new(3).unwrap();
        let e = port_taken(slot, io::Error::from_raw_os_error(Errno::EADDRINUSE as i32));
        assert_eq!(e.code, ErrorCode::PortTaken);
        assert!(e.sentence.contains("51823"), "{}", e.sentence);
    }
}
