//! Computes which peers to change. Neither WireGuard does that itself, and a peer
//! that is set without need may lose its session. This file makes no calls.

use domain::PublicKey;
use provisioning::{observed::ObservedPeer, ports::PeerChange, spec::PeerSpec};
use std::collections::BTreeMap;

/// Returns whether a peer matches its spec.
fn matches(spec: &PeerSpec, now: &ObservedPeer) -> bool {
    now.preshared_key.as_ref() == Some(&spec.preshared_key) && now.allowed_ips == spec.allowed_ips()
}

/// Returns the change that turns the existing peers into the desired ones.
///
/// Peers that match are not part of it. Removals are first; the other peers may be
/// set in any order, because setting an allowed IP takes it from the peer that has
/// it, and every peer that loses one is set itself.
pub(crate) fn peers(
    desired: &BTreeMap<PublicKey, PeerSpec>,
    now: &BTreeMap<PublicKey, ObservedPeer>,
) -> PeerChange {
    PeerChange {
        remove: now
            .keys()
            .filter(|k| !desired.contains_key(k))
            .copied()
            .collect(),
        set: desired
            .iter()
            .filter(|(k, spec)| !now.get(k).is_some_and(|n| matches(spec, n)))
            .map(|(k, spec)| (*k, spec.clone()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::PresharedKey;
    use proptest::prelude::*;
    use std::{
        collections::BTreeSet,
        net::{Ipv4Addr, Ipv6Addr},
    };

    type Now = BTreeMap<PublicKey, ObservedPeer>;

    /// Applies a change by WireGuard's rule: an allowed IP belongs to the peer on which
    /// it was set last.
    fn apply(now: &mut Now, change: &PeerChange) {
        for k in &change.remove {
            now.remove(k);
        }
        for (k, spec) in &change.set {
            for other in now.values_mut() {
                let own = spec.allowed_ips();
                other.allowed_ips.retain(|net| !own.contains(net));
            }
            now.insert(
                *k,
                ObservedPeer {
                    preshared_key: Some(spec.preshared_key.clone()),
                    allowed_ips: spec.allowed_ips(),
                },
            );
        }
    }

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    fn spec(psk: u8, host: u8) -> PeerSpec {
        PeerSpec {
            preshared_key: PresharedKey::from_random([psk; 32]),
            address: Ipv4Addr::new(10, 88, 1, host),
            address6: (psk > 0).then(|| Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, host.into())),
        }
    }

    fn observed(desired: &BTreeMap<PublicKey, PeerSpec>) -> Now {
        let mut now = Now::new();
        apply(
            &mut now,
            &PeerChange {
                remove: vec![],
                set: desired.clone(),
            },
        );
        now
    }

    /// Generates peers with distinct addresses, as a tenant's are.
    fn desired() -> impl Strategy<Value = BTreeMap<PublicKey, PeerSpec>> {
        let peer = (0u8..3, 0u8..12);
        prop::collection::btree_map(0u8..12, peer, 0..10).prop_map(|m| {
            let mut taken = BTreeSet::new();
            m.into_iter()
                .filter(|(_, (_, host))| taken.insert(*host))
                .map(|(k, (psk, host))| (key(k), spec(psk, host)))
                .collect()
        })
    }

    #[test]
    fn peers_that_swap_addresses_are_both_set() {
        let before: BTreeMap<_, _> = [(key(1), spec(0, 2)), (key(2), spec(0, 3))].into();
        let after: BTreeMap<_, _> = [(key(1), spec(0, 3)), (key(2), spec(0, 2))].into();
        let mut now = observed(&before);
        let change = peers(&after, &now);
        assert_eq!(change.set.len(), 2);
        apply(&mut now, &change);
        assert_eq!(now, observed(&after));
    }

    #[test]
    fn an_external_allowed_ip_is_removed() {
        let desired: BTreeMap<_, _> = [(key(1), spec(0, 2))].into();
        let mut now = observed(&desired);
        let extra = "192.168.0.0/16".parse().unwrap();
        now.get_mut(&key(1)).unwrap().allowed_ips.insert(extra);
        assert_eq!(peers(&desired, &now).set, desired);
    }

    #[test]
    fn a_peer_without_preshared_key_is_set_again() {
        let desired: BTreeMap<_, _> = [(key(1), spec(0, 2))].into();
        let mut now = observed(&desired);
        now.get_mut(&key(1)).unwrap().preshared_key = None;
        assert_eq!(peers(&desired, &now).set, desired);
    }

    proptest! {
        #[test]
        fn an_applied_difference_gives_the_desired_peers(from in desired(), to in desired()) {
            let mut now = observed(&from);
            let change = peers(&to, &now);
            apply(&mut now, &change);
            prop_assert_eq!(&now, &observed(&to));
            prop_assert!(peers(&to, &now).is_empty());
        }

        #[test]
        fn unchanged_peers_are_not_touched(from in desired(), to in desired()) {
            let change = peers(&to, &observed(&from));
            for (k, spec) in &from {
                if to.get(k) == Some(spec) {
                    prop_assert!(!change.remove.contains(k));
                    prop_assert!(!change.set.contains_key(k));
                }
            }
        }
    }
}
