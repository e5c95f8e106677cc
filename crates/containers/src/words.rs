//! What Docker refuses, as a sentence with what mends it. Docker's own words
//! stay below it as the cause.

use crate::engine::Trouble;
use domain::ErrorCode;
use provisioning::{ports::PortError, spec::ContainerSpec};

/// A container of our name that is not ours.
pub fn foreign(name: &str) -> PortError {
    PortError::new(
        ErrorCode::NameForeign,
        format!(
            "A container called {name} is not MalikNode's. Rename or remove it: docker rename {name} {name}_old"
        ),
    )
}

/// Why a container was not made or started, in words.
pub fn not_started(t: Trouble, spec: &ContainerSpec) -> PortError {
    let name = spec.tenant.container();
    if t.says("address already in use") {
        let address = spec.address;
        return t.with(
            ErrorCode::DnsUnavailable,
            format!("Another container has the address {address} of {name}: docker network inspect maliknode"),
        );
    }
    if t.says("no space left") {
        return t.with(
            ErrorCode::DiskUnavailable,
            "The disk is full: docker system df shows what takes the room.",
        );
    }
    if t.says("bind source path does not exist") {
        return t.with(
            ErrorCode::DiskUnavailable,
            format!("A folder of {name} is not there; it is made at the next try."),
        );
    }
    t.with(
        ErrorCode::DnsUnavailable,
        format!("Docker does not start {name}: docker logs {name}"),
    )
}

/// Why a container was not removed, in words.
pub fn not_removed(t: Trouble, id: &str) -> PortError {
    t.with(
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
    fn the_engines_words_become_a_sentence_and_stay_as_the_cause() {
        let say = |message: &str| {
            not_started(
                Trouble::Answer {
                    status: 500,
                    message: message.into(),
                },
                &spec(),
            )
        };
        let e = say("Address already in use");
        assert!(e.sentence.contains("10.92.1.1"), "{}", e.sentence);
        let e = say("write /x: no space left on device");
        assert_eq!(e.code, ErrorCode::DiskUnavailable);
        let e = say("OCI runtime create failed: boom");
        assert!(!e.sentence.contains("boom"));
        assert!(e.cause.unwrap().to_string().contains("boom"));
    }
}
