//! An event's kind, which is for programs; its message for the operator, which
//! is stored; and its message for the tenant, which depends on the kind alone
//! and is chosen when the event is read. So a tenant never reads a path, a
//! command or a container's name, whatever was stored.

use super::subject::PartKind;
use domain::{ErrorCode, Slot, TenantName, Timestamp, view::EventCategory};
use provisioning::drift::Drift;
use store::NewEvent;

/// Returns the event of an external change.
pub(super) fn drift(drift: &Drift, at: Timestamp) -> NewEvent {
    NewEvent {
        at,
        tenant: drift.tenant.clone(),
        kind: format!("drift.{}", drift.kind.code()),
        detail: drift.to_string(),
    }
}

/// Returns the event of a tenant's part that has failed, or works again.
pub(super) fn part(
    slot: Slot,
    name: &TenantName,
    kind: PartKind,
    fails: bool,
    message: &str,
    at: Timestamp,
) -> NewEvent {
    let (code, part) = match kind {
        PartKind::Firewall => ("firewall", "firewall"),
        PartKind::Tunnel => ("tunnel", "tunnel"),
        PartKind::Dns => ("dns", "DNS filter"),
    };
    let detail = if fails {
        format!("{name}'s {part} does not work. {message}")
    } else {
        format!("{name}'s {part} works again.")
    };
    NewEvent {
        at,
        tenant: Some((slot, name.clone())),
        kind: format!("part.{code}.{}", suffix(fails)),
        detail,
    }
}

/// Returns the event of a problem of the node itself that has begun or is over.
pub(super) fn node(code: ErrorCode, fails: bool, message: &str, at: Timestamp) -> NewEvent {
    NewEvent {
        at,
        tenant: None,
        kind: format!("node.{code}.{}", suffix(fails)),
        detail: if fails {
            message.to_owned()
        } else {
            format!("Over: {message}")
        },
    }
}

const fn suffix(fails: bool) -> &'static str {
    if fails { "failed" } else { "back" }
}

/// Returns the event that says how many events are missing.
pub(super) fn lost(count: u64, at: Timestamp) -> NewEvent {
    NewEvent {
        at,
        tenant: None,
        kind: "events.lost".to_owned(),
        detail: format!(
            "{count} more were not stored: there were too many, or the database was away. The server's log has them."
        ),
    }
}

/// Returns the category of an event of that kind.
pub(super) fn category(kind: &str) -> EventCategory {
    match kind.split('.').collect::<Vec<_>>()[..] {
        ["drift", _] => EventCategory::Drift,
        [.., "failed"] => EventCategory::Failed,
        [.., "back"] => EventCategory::Recovered,
        _ => EventCategory::Note,
    }
}

/// Returns the message for the tenant.
pub(super) fn for_tenant(kind: &str) -> &'static str {
    match kind {
        "drift.interface_gone" => "Your tunnel was gone from the server; it is created again.",
        "drift.key_changed" => "Your tunnel had another key; it gets its own back.",
        "drift.port_changed" => "Your tunnel listened on another port; it gets its own back.",
        "drift.interface_down" => "Your tunnel was switched off; it is brought up again.",
        "drift.address_changed" => "Your tunnel had lost its address; it gets it back.",
        "drift.peers_changed" => {
            "Your tunnel did not let in exactly the devices you have; it does so again."
        }
        "drift.elements_changed" => {
            "Your network's part of the firewall was gone or changed; it is written again."
        }
        "drift.container_gone" => "Your DNS filter was gone; it is created again.",
        "drift.container_stopped" => "Your DNS filter had stopped; it is started again.",
        "drift.container_paused" => "Your DNS filter was paused; it is recreated.",
        "drift.conf_changed" => {
            "Your tunnel's configuration on the server was edited or gone; it is written again."
        }
        "drift.keys_damaged" => {
            "Your keys on the server's disk were gone or damaged; they are written again."
        }
        "drift.folder_gone" => "Your folder on the server was gone; it is written again.",
        "drift.dns_conf_gone" => {
            "Your DNS filter's configuration was gone; it is recreated with a new one."
        }
        "drift.clients_changed" => {
            "Devices in your AdGuard Home were missing or changed; they are as in your dashboard again."
        }
        "part.firewall.failed" => {
            "Your network's part of the firewall could not be written; it is tried again until it can."
        }
        "part.firewall.back" => "Your network's part of the firewall is in force again.",
        "part.tunnel.failed" => "Your tunnel failed; it is tried again until it works.",
        "part.tunnel.back" => "Your tunnel works again.",
        "part.dns.failed" => "Your DNS filter failed; it is tried again until it works.",
        "part.dns.back" => "Your DNS filter works again.",
        // Stored by a newer version that had more kinds.
        _ => OTHER,
    }
}

const OTHER: &str = "Something about your network was noticed and is seen to.";

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning::drift::DriftKind;
    use std::collections::BTreeSet;

    /// Every kind of drift that concerns a tenant.
    fn all() -> Vec<DriftKind> {
        let (unexpected, missing) = (1, 2);
        let all = vec![
            DriftKind::InterfaceGone,
            DriftKind::KeyChanged,
            DriftKind::PortChanged(1),
            DriftKind::InterfaceDown,
            DriftKind::AddressChanged,
            DriftKind::PeersChanged {
                unexpected,
                missing,
            },
            DriftKind::ElementsChanged,
            DriftKind::ContainerGone,
            DriftKind::ContainerStopped,
            DriftKind::ContainerPaused,
            DriftKind::ConfChanged,
            DriftKind::KeysDamaged,
            DriftKind::FolderGone,
            DriftKind::DnsConfGone,
            DriftKind::ClientsChanged {
                missing,
                unexpected,
            },
        ];
        for kind in &all {
            // Does not compile once there is a new kind: add it above, or below
            // if it concerns no tenant.
            match kind {
                DriftKind::InterfaceGone
                | DriftKind::KeyChanged
                | DriftKind::PortChanged(_)
                | DriftKind::InterfaceDown
                | DriftKind::AddressChanged
                | DriftKind::PeersChanged { .. }
                | DriftKind::ElementsChanged
                | DriftKind::ContainerGone
                | DriftKind::ContainerStopped
                | DriftKind::ContainerPaused
                | DriftKind::ConfChanged
                | DriftKind::KeysDamaged
                | DriftKind::FolderGone
                | DriftKind::DnsConfGone
                | DriftKind::ClientsChanged { .. } => {}
                DriftKind::RulesGone | DriftKind::ImageGone => {
                    panic!("{kind:?} concerns no tenant")
                }
            }
        }
        all
    }

    #[test]
    fn every_event_of_a_tenant_has_its_message() {
        let name = TenantName::parse("lina").unwrap();
        let at = Timestamp(0);
        let drifts = all().into_iter().map(|kind| {
            let tenant = Some((Slot::FIRST, name.clone()));
            drift(&Drift { tenant, kind }, at)
        });
        let parts = [PartKind::Firewall, PartKind::Tunnel, PartKind::Dns].into_iter();
        let parts = parts.flat_map(|kind| {
            [true, false].map(|fails| part(Slot::FIRST, &name, kind, fails, "Why.", at))
        });
        let mut messages = BTreeSet::new();
        for event in drifts.chain(parts) {
            let message = for_tenant(&event.kind);
            assert_ne!(message, OTHER, "{event:?}");
            assert!(messages.insert(message), "{message} means two things");
            assert!(message.starts_with("Your ") || message.contains("your "));
            assert!(message.ends_with('.'), "{message}");
            assert!(event.detail.contains("lina") && event.detail.ends_with('.'));
            let expected = match event.kind.as_str() {
                k if k.starts_with("drift.") => EventCategory::Drift,
                k if k.ends_with(".failed") => EventCategory::Failed,
                _ => EventCategory::Recovered,
            };
            assert_eq!(category(&event.kind), expected);
        }
        assert_eq!(for_tenant("<script>"), OTHER);
        assert_eq!(category(&lost(3, at).kind), EventCategory::Note);
        assert_eq!(
            category("node.docker_unavailable.failed"),
            EventCategory::Failed
        );
    }
}
