//! The messages for what Docker refuses, each with how to fix it. Docker's own
//! text is kept as the cause and is never part of a message.

use crate::engine::EngineError;
use domain::ErrorCode;
use provisioning::{ports::PortError, spec::ContainerSpec};

/// Returns the error for a container that has one of our names but not our
/// labels.
pub(crate) fn foreign_container(name: &str) -> PortError {
    PortError::new(
        ErrorCode::NameForeign,
        format!(
            "A container called {name} is not MalikNode's. Rename or remove it: docker rename {name} {name}_old"
        ),
    )
}

/// Returns the message for an image that the engine does not have. The tenant's
/// DNS waits for it, and the operator can act on it.
pub(crate) fn image_missing(image: &str) -> String {
    format!("Waiting for the AdGuard Home image: run `./dev image`, or `docker pull {image}`.")
}

/// Returns the error for a container that was not created or not started.
pub fn start_failed(e: EngineError, spec: &ContainerSpec) -> PortError {
    let name = spec.tenant.container();
    if e.message_contains("address already in use") {
        let address = spec.address;
        return e.into_port_error(
            ErrorCode::DnsUnavailable,
            format!("Another container has the address {address} of {name}: docker network inspect maliknode"),
        );
    }
    if e.message_contains("no space left") {
        return e.into_port_error(
            ErrorCode::DiskUnavailable,
            "The disk is full: docker system df shows what uses the space.",
        );
    }
    if e.message_contains("bind source path does not exist") {
        return e.into_port_error(
            ErrorCode::DiskUnavailable,
            format!("A folder of {name} is missing. The next try creates it."),
        );
    }
    e.into_port_error(
        ErrorCode::DnsUnavailable,
        format!("Docker does not start {name}: docker logs {name}"),
    )
}

/// Returns the error for a container that was not removed.
pub fn remove_failed(e: EngineError, id: &str) -> PortError {
    e.into_port_error(
        ErrorCode::DnsUnavailable,
        format!("Docker does not remove a DNS container: docker rm -f {id}"),
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
        assert!(e.message.contains("10.92.1.1"), "{}", e.message);
        let e = error("write /x: no space left on device");
        assert_eq!(e.code, ErrorCode::DiskUnavailable);
        let e = error("OCI runtime create failed: boom");
        assert!(!e.message.contains("boom"));
        assert!(e.cause.unwrap().to_string().contains("boom"));
    }
}
