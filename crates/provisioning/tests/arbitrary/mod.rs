//! Strategies for arbitrary specs and observations, for the planner's properties.
#![allow(clippy::unwrap_used)]

use domain::Slot;
use proptest::prelude::*;
use protocol::{Forward, MovedTenant, NodeSpec, SpeedLimits, TenantLimits, UnreadableTenant};
use provisioning::{
    NodeSettings, Observation, Observed, TenantSpecExt,
    hash::content_hash,
    observed::{
        ContainerState, ObservedContainer, ObservedContainers, ObservedFirewall,
        ObservedFirewallTenant, ObservedFolder, ObservedInterface, ObservedPeer, ObservedSpeed,
    },
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};
use testkit::samples;

/// Returns settings with the default ranges.
pub fn settings() -> NodeSettings {
    samples::settings(Path::new("/nowhere"))
}

/// The slots that are used.
pub const SLOTS: std::ops::RangeInclusive<u16> = 1..=4;

prop_compose! {
    /// What a tenant is allowed, with two speeds and none.
    pub fn any_limits()(down in 0u64..3, up in 0u64..3, stopped in any::<bool>()) -> TenantLimits {
        let speed = |n: u64| (n > 0).then_some(n * 1_000_000);
        let speed = SpeedLimits { down_bps: speed(down), up_bps: speed(up) };
        TenantLimits { speed, stopped }
    }
}

prop_compose! {
    /// Some of four tenants; some of them are suspended, others asleep.
    pub fn any_spec()(
        picks in prop::collection::vec((0u8..4, any::<bool>(), any::<bool>()), 4),
        limits in prop::collection::vec(any_limits(), 4),
        unreadable in prop::collection::vec(prop::option::weighted(0.2, (any::<bool>(), any::<bool>())), 4),
        moved in prop::collection::vec(prop::option::weighted(0.3, prop::option::of(1u8..4)), 4),
        is_earlier in prop::bool::weighted(0.3),
    ) -> NodeSpec {
        let s = settings();
        let picks = SLOTS.zip(picks).zip(limits);
        let tenants = picks.filter(|((_, (_, there, _)), _)| *there).map(|((n, (devices, _, suspended)), limits)| {
            let mut t = samples::tenant(&s, n, devices);
            t.limits = limits;
            t.suspended = suspended && devices == 3;
            t.asleep = suspended && devices == 1;
            (t.slot, t.into())
        }).collect();
        let unreadable = SLOTS.zip(unreadable).filter_map(|(n, known)| {
            let (name, owner) = known?;
            let t = samples::tenant(&s, n, 0);
            let lost = UnreadableTenant {
                name: Some(t.name.clone()).filter(|_| name),
                owner: Some(t.private_key.public()).filter(|_| owner),
                place: "a row".to_owned(),
            };
            Some((t.slot, lost))
        }).collect();
        let tenants: BTreeMap<_, _> = tenants;
        let moved = SLOTS.zip(moved).filter_map(|(n, to)| {
            let forward = to?.map(|n| Forward { to: [192, 0, 2, n].into() });
            let name = samples::tenant(&s, n, 0).name;
            Some((Slot::new(n).unwrap(), MovedTenant { name, forward }))
        });
        let moved = moved.filter(|(slot, _)| !tenants.contains_key(slot)).collect();
        NodeSpec { generation: 1, tenants, unreadable, moved, is_earlier }
    }
}

fn any_interface(n: u16) -> impl Strategy<Value = Option<ObservedInterface>> {
    (0u8..6, 0u8..5, any::<bool>(), any::<bool>()).prop_map(move |(kind, devices, up, right)| {
        let s = settings();
        let t = samples::tenant(&s, n, devices);
        let owner = match kind {
            0 | 1 => return None,
            2 => None,
            3 => Some("maliknode another-tenant".to_owned()),
            _ => Some(t.owner()),
        };
        let key = if right {
            t.private_key.public()
        } else {
            samples::key(n, 99).public()
        };
        Some(ObservedInterface {
            owner,
            public_key: Some(key),
            listen_port: if right { t.slot.listen_port() } else { 1 },
            addresses: if right {
                t.interface(&s).addresses()
            } else {
                [].into()
            },
            up,
            peers: t
                .devices
                .values()
                .map(|d| {
                    let allowed_ips = if right {
                        t.interface(&s).peers[&d.public_key].allowed_ips()
                    } else {
                        [IpAddr::from(s.addresses.device(t.slot, 200)).into()].into()
                    };
                    let psk = Some(d.preshared_key.clone()).filter(|_| right);
                    (
                        d.public_key,
                        ObservedPeer {
                            preshared_key: psk,
                            allowed_ips,
                        },
                    )
                })
                .collect(),
        })
    })
}

fn any_container(n: u16) -> impl Strategy<Value = Vec<ObservedContainer>> {
    prop::collection::vec((0u8..6, any::<bool>(), any::<bool>(), any::<bool>()), 0..3).prop_map(
        move |list| {
            let s = settings();
            let t = samples::tenant(&s, n, 0);
            list.into_iter()
                .enumerate()
                .map(|(i, (state, named, revised, slotted))| ObservedContainer {
                    id: format!("c{n}-{i}"),
                    // In the engine, names are unique.
                    name: if named && i == 0 {
                        t.name.container()
                    } else {
                        format!("adguard_user_old{n}-{i}")
                    },
                    slot: slotted.then_some(t.slot),
                    revision: if revised {
                        t.container(&s).revision()
                    } else {
                        "old".to_owned()
                    },
                    state: [
                        ContainerState::Running,
                        ContainerState::Stopped,
                        ContainerState::Restarting,
                        ContainerState::Paused,
                        ContainerState::Running,
                        ContainerState::Dead,
                    ][usize::from(state)],
                })
                .collect()
        },
    )
}

/// The nodes that the packets of some slots are sent on to.
pub fn any_forwards() -> impl Strategy<Value = BTreeMap<Slot, Ipv4Addr>> {
    let nodes = prop::collection::vec(prop::option::weighted(0.2, 1u8..4), 4);
    nodes.prop_map(|nodes| {
        let forwards = SLOTS.filter_map(Slot::new).zip(nodes);
        let forwards = forwards.filter_map(|(slot, n)| Some((slot, [192, 0, 2, n?].into())));
        forwards.collect()
    })
}

prop_compose! {
    /// A machine in any state, with every port readable.
    pub fn any_observed()(
        interfaces in SLOTS.map(any_interface).collect::<Vec<_>>(),
        containers in SLOTS.map(any_container).collect::<Vec<_>>(),
        image in any::<bool>(),
        complete in any::<bool>(),
        elements in prop::collection::vec((any::<bool>(), any::<bool>()), 4),
        folders in prop::collection::vec(0u8..4, 4),
        speeds in prop::collection::vec(prop::option::of((any_limits(), any::<bool>())), 4),
        forwards in any_forwards(),
    ) -> Observed {
        let s = settings();
        let slot = |i: usize| Slot::new(i as u16 + 1).unwrap();
        let interfaces: BTreeMap<_, _> = interfaces.into_iter().enumerate().filter_map(|(i, x)| Some((slot(i), x?))).collect();
        let tenants = elements.iter().enumerate().filter(|(_, (there, _))| *there).map(|(i, (_, right))| {
            let t = samples::tenant(&s, slot(i).get(), 2);
            let e = if *right { ObservedFirewallTenant::from_spec(&t.firewall(&s, Some(s.fallback_dns))) } else { ObservedFirewallTenant { listed: true, ..Default::default() } };
            (slot(i), e)
        }).collect();
        let folders = folders.iter().enumerate().filter(|(_, k)| **k > 0).map(|(i, k)| {
            let t = samples::tenant(&s, slot(i).get(), 1);
            let conf = (format!("wg{}.conf", if *k == 2 { 77 } else { slot(i).get() }), content_hash(t.wg_conf().expose().as_bytes()));
            (t.name.folder(), ObservedFolder { wg_confs: [conf].into(), owner: Some(if *k == 3 { "an earlier tenant's key".to_owned() } else { t.private_key.public().to_string() }), ..ObservedFolder::default() })
        }).collect();
        let speeds = speeds.into_iter().enumerate().filter_map(|(i, speed)| {
            let (limits, intact) = speed?;
            Some((slot(i), ObservedSpeed { limits: limits.speed, intact }))
        }).collect();
        Observed {
            shaping: Observation::Read(speeds),
            wireguard: Observation::Read(interfaces),
            firewall: Observation::Read(ObservedFirewall { complete, tenants, forwards }),
            containers: Observation::Read(ObservedContainers { image, ours: containers.into_iter().flatten().collect(), foreign: Default::default() }),
            dns: BTreeMap::new(),
            folders: Observation::Read(folders),
        }
    }
}
