//! An event's kind, for programs; its sentence for the operator, which is
//! written down; and its sentence for the tenant, which is made of the kind
//! alone when it is read. So no word of a machine reaches a tenant, whatever
//! was written.

use super::troubles::Of;
use domain::{ErrorCode, Slot, TenantName, Timestamp, view::EventSort};
use provisioning::drift::Drift;
use store::NewEvent;

/// What another hand did.
pub(super) fn found(found: &Drift, at: Timestamp) -> NewEvent {
    NewEvent {
        at,
        tenant: found.tenant.clone(),
        kind: format!("drift.{}", found.what.code()),
        detail: found.to_string(),
    }
}

/// A tenant's part has failed, or works again.
pub(super) fn part(
    slot: Slot,
    name: &TenantName,
    of: Of,
    fails: bool,
    sentence: &str,
    at: Timestamp,
) -> NewEvent {
    let (code, part) = match of {
        Of::Firewall => ("firewall", "firewall"),
        Of::Tunnel => ("tunnel", "tunnel"),
        Of::Dns => ("dns", "DNS filter"),
    };
    let detail = if fails {
        format!("{name}'s {part} does not work. {sentence}")
    } else {
        format!("{name}'s {part} works again.")
    };
    NewEvent {
        at,
        tenant: Some((slot, name.clone())),
        kind: format!("part.{code}.{}", turn(fails)),
        detail,
    }
}

/// A problem of the node's own has begun or is over.
pub(super) fn node(code: ErrorCode, fails: bool, sentence: &str, at: Timestamp) -> NewEvent {
    NewEvent {
        at,
        tenant: None,
        kind: format!("node.{code}.{}", turn(fails)),
        detail: if fails {
            sentence.to_owned()
        } else {
            format!("Over: {sentence}")
        },
    }
}

const fn turn(fails: bool) -> &'static str {
    if fails { "failed" } else { "back" }
}

/// Events are missing.
pub(super) fn lost(count: u64, at: Timestamp) -> NewEvent {
    NewEvent {
        at,
        tenant: None,
        kind: "events.lost".to_owned(),
        detail: format!(
            "{count} more were not kept: there were too many, or the database was away. The server's log has them."
        ),
    }
}

/// What sort of event it was.
pub(super) fn sort(kind: &str) -> EventSort {
    match kind.split('.').collect::<Vec<_>>()[..] {
        ["drift", _] => EventSort::Found,
        [.., "failed"] => EventSort::Failed,
        [.., "back"] => EventSort::Back,
        _ => EventSort::Note,
    }
}

/// What a tenant reads.
pub(super) fn to_tenant(kind: &str) -> &'static str {
    match kind {
        "drift.interface_gone" => "Your tunnel was gone from the server; it is made again.",
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
        "drift.container_gone" => "Your DNS filter was gone; it is made again.",
        "drift.container_stopped" => "Your DNS filter had stopped; it is started again.",
        "drift.container_paused" => "Your DNS filter was paused; it is made anew.",
        "drift.conf_changed" => {
            "Your tunnel's configuration on the server was edited or gone; it is written again."
        }
        "drift.keys_damaged" => {
            "Your keys on the server's disk were gone or damaged; they are written again."
        }
        "drift.folder_gone" => "Your folder on the server was gone; it is written again.",
        "drift.dns_conf_gone" => {
            "Your DNS filter's configuration was gone; it is made anew with a new one."
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
        // Of a version that knew more.
        _ => OTHER,
    }
}

const OTHER: &str = "Something about your network was noticed and is seen to.";

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning::drift::Found;
    use std::collections::BTreeSet;

    /// Everything that can be found of a tenant.
    fn all() -> Vec<Found> {
        let (strange, missing) = (1, 2);
        let all = vec![
            Found::InterfaceGone,
            Found::KeyChanged,
            Found::PortChanged(1),
            Found::InterfaceDown,
            Found::AddressChanged,
            Found::PeersChanged { strange, missing },
            Found::ElementsChanged,
            Found::ContainerGone,
            Found::ContainerStopped,
            Found::ContainerPaused,
            Found::ConfChanged,
            Found::KeysDamaged,
            Found::FolderGone,
            Found::DnsConfGone,
            Found::ClientsChanged { missing, strange },
        ];
        for found in &all {
            // Does not compile once something new can be found: add it above,
            // or below where it is no tenant's.
            match found {
                Found::InterfaceGone
                | Found::KeyChanged
                | Found::PortChanged(_)
                | Found::InterfaceDown
                | Found::AddressChanged
                | Found::PeersChanged { .. }
                | Found::ElementsChanged
                | Found::ContainerGone
                | Found::ContainerStopped
                | Found::ContainerPaused
                | Found::ConfChanged
                | Found::KeysDamaged
                | Found::FolderGone
                | Found::DnsConfGone
                | Found::ClientsChanged { .. } => {}
                Found::RulesGone | Found::ImageGone => panic!("{found:?} is nobody's"),
            }
        }
        all
    }

    #[test]
    fn whatever_concerns_a_tenant_has_a_sentence_of_its_own() {
        let name = TenantName::parse("lina").unwrap();
        let at = Timestamp(0);
        let drifts = all().into_iter().map(|what| {
            let tenant = Some((Slot::FIRST, name.clone()));
            found(&Drift { tenant, what }, at)
        });
        let parts = [Of::Firewall, Of::Tunnel, Of::Dns].into_iter();
        let parts = parts.flat_map(|of| {
            [true, false].map(|fails| part(Slot::FIRST, &name, of, fails, "Why.", at))
        });
        let mut sentences = BTreeSet::new();
        for event in drifts.chain(parts) {
            let sentence = to_tenant(&event.kind);
            assert_ne!(sentence, OTHER, "{event:?}");
            assert!(sentences.insert(sentence), "{sentence} says two things");
            assert!(sentence.starts_with("Your ") || sentence.contains("your "));
            assert!(sentence.ends_with('.'), "{sentence}");
            assert!(event.detail.contains("lina") && event.detail.ends_with('.'));
            let expected = match event.kind.as_str() {
                k if k.starts_with("drift.") => EventSort::Found,
                k if k.ends_with(".failed") => EventSort::Failed,
                _ => EventSort::Back,
            };
            assert_eq!(sort(&event.kind), expected);
        }
        assert_eq!(to_tenant("<script>"), OTHER);
        assert_eq!(sort(&lost(3, at).kind), EventSort::Note);
        assert_eq!(sort("node.docker_unavailable.failed"), EventSort::Failed);
    }
}
