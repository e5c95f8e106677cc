//! The messages for what Docker refuses. Docker's own text is kept as the cause
//! and is never an argument of a message.

use crate::engine::EngineError;
use domain::{ErrorCode, Message};
use provisioning::{ports::PortError, spec::ContainerSpec};

/// Returns the error for a container that has one of our names but not our
/// labels.
pub(crate) fn foreign_container(name: &str) -> PortError {
    PortError::new(
        ErrorCode::NameForeign,
        Message::ContainerForeign {
            name: name.to_owned(),
        },
    )
}

/// Returns the message for an image that the engine does not have. The tenant's
/// DNS waits for it, and the operator can act on it.
pub(crate) fn image_missing(image: &str) -> Message {
    Message::ImageMissing {
        image: image.to_owned(),
    }
}

/// Returns the error for a container that was not created or not started.
pub fn start_failed(e: EngineError, spec: &ContainerSpec) -> PortError {
    let name = spec.docker_name();
    if e.message_contains("address already in use") {
        let address = spec.address.to_string();
        return e.into_port_error(
            ErrorCode::DnsUnavailable,
            Message::ContainerAddressTaken { name, address },
        );
    }
    if e.message_contains("no space left") {
        return e.into_port_error(ErrorCode::DiskUnavailable, Message::ContainerDiskFull);
    }
    if e.message_contains("bind source path does not exist") {
        return e.into_port_error(
            ErrorCode::DiskUnavailable,
            Message::ContainerFolderMissing { name },
        );
    }
    e.into_port_error(
        ErrorCode::DnsUnavailable,
        Message::ContainerNotStarted { name },
    )
}

/// Returns the error for a container that was not removed.
pub fn remove_failed(e: EngineError, id: &str) -> PortError {
    e.into_port_error(
        ErrorCode::DnsUnavailable,
        Message::ContainerNotRemoved { id: id.to_owned() },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ContainerSpec {
        ContainerSpec {
            slot: domain::Slot::FIRST,
            tenant: domain::TenantName::parse("abcd").unwrap(),
            image: "a/b:1".into(),
            address: [10, 92, 1, 1].into(),
            conf_dir: "/c".into(),
            work_dir: "/w".into(),
            lists_dir: "/l".into(),
            memory_bytes: 1,
            cpu_thousandths: 500,
            owner: domain::PublicKey::from_bytes([7; 32]),
        }
    }

    #[test]
    fn the_engines_text_is_only_the_cause() {
        let error = |message: &str| {
            start_failed(
                EngineError::Response {
                    status: 500,
                    message: message.into(),
                },
                &spec(),
            )
        };
        let e = error("Address already in use");
        assert_eq!(
            e.message,
            Message::ContainerAddressTaken {
                name: spec().docker_name(),
                address: "10.92.1.1".into(),
            }
        );
        let e = error("write /x: no space left on device");
        assert_eq!(e.code, ErrorCode::DiskUnavailable);
        assert_eq!(e.message, Message::ContainerDiskFull);
        let e = error("OCI runtime create failed: boom");
        assert!(!e.message.to_string().contains("boom"));
        assert!(e.cause.unwrap().to_string().contains("boom"));
    }
}
