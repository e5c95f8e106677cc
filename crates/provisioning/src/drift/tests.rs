//! Each external change is detected once and with its kind; nothing else is.

use super::*;
use crate::{
    Observation, Observed,
    observed::{DnsConf, FileStamp, ObservedDnsClient, ObservedPeer},
    ports::PortError,
};
use domain::{
    AddressPlan, DeviceId, DeviceLabel, ErrorCode, FilterPolicy, Message, PresharedKey, PrivateKey,
    Secret,
};
use std::{path::PathBuf, sync::Arc};

fn settings() -> NodeSettings {
    NodeSettings {
        addresses: AddressPlan::default(),
        ipv6: true,
        root: PathBuf::from("/nowhere"),
        dns_memory_bytes: 0,
        dns_cpu_thousandths: 0,
        tunnel_packets: crate::spec::PacketRate::LEAST,
        image: "image".to_owned(),
        fallback_dns: std::net::Ipv4Addr::LOCALHOST,
        key_files: true,
    }
}

fn tenant(n: u16) -> TenantSpec {
    let slot = Slot::new(n).unwrap();
    let device = protocol::DeviceSpec {
        label: DeviceLabel::parse("phone").unwrap(),
        address: AddressPlan::default().device(slot, 2),
        public_key: PrivateKey::from_random([100 + n as u8; 32]).public(),
        preshared_key: PresharedKey::from_random([3; 32]),
        mesh: true,
        policy: FilterPolicy::Standard,
        client_id: format!("mn-{n}"),
    };
    TenantSpec {
        name: TenantName::parse(&format!("tenant{n}")).unwrap(),
        slot,
        private_key: PrivateKey::from_random([n as u8; 32]),
        suspended: false,
        asleep: false,
        dns_password: Secret::new("password"),
        dns_password_hash: String::new(),
        limits: protocol::TenantLimits::default(),
        ipv6: Some(domain::Ipv6Prefix::from_random([7; 5]).subnet(slot)),
        devices: [(DeviceId(1), device)].into(),
    }
}

fn spec() -> NodeSpec {
    NodeSpec {
        generation: 1,
        tenants: [1, 2]
            .map(|n| (Slot::new(n).unwrap(), tenant(n).into()))
            .into(),
        ..NodeSpec::default()
    }
}

fn unreadable<T>() -> Observation<T> {
    Observation::Unreadable(Arc::new(PortError::new(
        ErrorCode::Busy,
        Message::NotReadYet,
    )))
}

fn nothing() -> Observed {
    Observed {
        wireguard: unreadable(),
        firewall: unreadable(),
        shaping: unreadable(),
        containers: unreadable(),
        dns: BTreeMap::new(),
        folders: unreadable(),
    }
}

fn kinds(before: &Before, now: &Observed) -> Vec<(Option<u16>, DriftKind)> {
    let found = drifts(&spec(), &settings(), before, now, |_| false);
    let of = |d: Drift| (d.tenant.map(|(slot, _)| slot.get()), d.kind);
    found.into_iter().map(of).collect()
}

fn interfaces() -> BTreeMap<Slot, ObservedInterface> {
    let of = |t: &TenantSpec| {
        let i = t.interface(&settings());
        let peer = |p: &crate::spec::PeerSpec| ObservedPeer {
            preshared_key: Some(p.preshared_key.clone()),
            allowed_ips: p.allowed_ips(),
        };
        ObservedInterface {
            owner: Some(t.owner()),
            public_key: Some(t.private_key.public()),
            listen_port: t.slot.listen_port(),
            addresses: i.addresses(),
            up: true,
            peers: i.peers.iter().map(|(k, p)| (*k, peer(p))).collect(),
        }
    };
    spec().tenants.values().map(|t| (t.slot, of(t))).collect()
}

fn tampered(change: impl FnOnce(&mut ObservedInterface)) -> Vec<(Option<u16>, DriftKind)> {
    let mut new = interfaces();
    change(new.get_mut(&Slot::FIRST).unwrap());
    let now = Observed {
        wireguard: Observation::Read(new),
        ..nothing()
    };
    kinds(&Before::Wireguard(interfaces()), &now)
}

#[test]
fn each_change_of_an_interface_has_its_kind() {
    assert_eq!(tampered(|_| {}), []);
    let one = |kind| vec![(Some(1), kind)];
    assert_eq!(tampered(|i| i.owner = None), one(DriftKind::InterfaceGone));
    assert_eq!(
        tampered(|i| i.public_key = None),
        one(DriftKind::KeyChanged)
    );
    assert_eq!(
        tampered(|i| i.listen_port = 7),
        one(DriftKind::PortChanged { port: 7 })
    );
    assert_eq!(tampered(|i| i.up = false), one(DriftKind::InterfaceDown));
    assert_eq!(
        tampered(|i| i.addresses.clear()),
        one(DriftKind::AddressChanged)
    );
    let changed = |unexpected, missing| {
        one(DriftKind::PeersChanged {
            unexpected,
            missing,
        })
    };
    assert_eq!(tampered(|i| i.peers.clear()), changed(0, 1));
    let unexpected = PrivateKey::from_random([9; 32]).public();
    let add = |i: &mut ObservedInterface| {
        let peer = i.peers.values().next().unwrap().clone();
        i.peers.insert(unexpected, peer);
    };
    assert_eq!(tampered(add), changed(1, 0));

    let mut gone = interfaces();
    gone.remove(&Slot::FIRST);
    let now = Observed {
        wireguard: Observation::Read(gone),
        ..nothing()
    };
    let before = Before::Wireguard(interfaces());
    assert_eq!(kinds(&before, &now), one(DriftKind::InterfaceGone));
    let is_running = |lane: &Lane| *lane == Lane::Tunnel(Slot::FIRST);
    assert_eq!(drifts(&spec(), &settings(), &before, &now, is_running), []);
}

#[test]
fn a_part_that_never_matched_is_no_drift() {
    // A device that was deleted from the spec, so that we remove it.
    let mut before = interfaces();
    let unexpected = PrivateKey::from_random([9; 32]).public();
    let first = before.get_mut(&Slot::FIRST).unwrap();
    let peer = first.peers.values().next().unwrap().clone();
    first.peers.insert(unexpected, peer);
    let now = Observed {
        wireguard: Observation::Read(interfaces()),
        ..nothing()
    };
    assert_eq!(kinds(&Before::Wireguard(before), &now), []);
    // A suspended tenant, whose interface we removed.
    let mut spec = spec();
    let first = spec.tenants.get_mut(&Slot::FIRST).unwrap();
    std::sync::Arc::make_mut(first).suspended = true;
    let mut gone = interfaces();
    gone.remove(&Slot::FIRST);
    let now = Observed {
        wireguard: Observation::Read(gone),
        ..nothing()
    };
    let before = Before::Wireguard(interfaces());
    assert_eq!(drifts(&spec, &settings(), &before, &now, |_| false), []);
}

#[test]
fn lost_elements_are_drift_of_their_tenants() {
    let s = settings();
    let of =
        |t: &TenantSpec| ObservedFirewallTenant::from_spec(&t.firewall(&s, Some(s.fallback_dns)));
    let complete = ObservedFirewall {
        complete: true,
        tenants: spec().tenants.values().map(|t| (t.slot, of(t))).collect(),
        ..ObservedFirewall::default()
    };
    let before = Before::Firewall(complete.clone());
    let now = |f: ObservedFirewall| Observed {
        firewall: Observation::Read(f),
        ..nothing()
    };
    assert_eq!(kinds(&before, &now(complete.clone())), []);
    let flushed = ObservedFirewall::default();
    assert_eq!(
        kinds(&before, &now(flushed)),
        [(None, DriftKind::RulesGone)]
    );
    let mut fewer = complete;
    let second = fewer.tenants.get_mut(&Slot::new(2).unwrap()).unwrap();
    second.mesh.clear();
    let found = kinds(&before, &now(fewer));
    assert_eq!(found, [(Some(2), DriftKind::ElementsChanged)]);
}

#[test]
fn a_missing_container_or_image_is_drift() {
    let s = settings();
    let with = |state| ObservedContainers {
        image: true,
        ours: spec()
            .tenants
            .values()
            .map(|t| ObservedContainer {
                id: t.name.to_string(),
                name: t.name.container(),
                slot: Some(t.slot),
                revision: t.container(&s).revision(),
                state: if t.slot == Slot::FIRST {
                    state
                } else {
                    ContainerState::Running
                },
            })
            .collect(),
        ..ObservedContainers::default()
    };
    let before = Before::Containers(with(ContainerState::Running));
    let found = |c: ObservedContainers| {
        let now = Observed {
            containers: Observation::Read(c),
            ..nothing()
        };
        kinds(&before, &now)
    };
    assert_eq!(found(with(ContainerState::Running)), []);
    for (state, kind) in [
        (ContainerState::Stopped, DriftKind::ContainerStopped),
        (ContainerState::Paused, DriftKind::ContainerPaused),
        (ContainerState::Dead, DriftKind::ContainerGone),
    ] {
        assert_eq!(found(with(state)), [(Some(1), kind)]);
    }
    let mut gone = with(ContainerState::Running);
    gone.ours.remove(0);
    gone.image = false;
    let both = [
        (Some(1), DriftKind::ContainerGone),
        (None, DriftKind::ImageGone),
    ];
    assert_eq!(found(gone), both);
}

#[test]
fn changed_files_are_drift_unless_adguard_wrote_them() {
    let stamp = |length| {
        DnsConf::Present(FileStamp {
            inode: 1,
            written: 1,
            length,
        })
    };
    let of = |t: &TenantSpec| ObservedFolder {
        wg_confs: [(
            format!("{}.conf", t.slot.interface()),
            content_hash(t.wg_conf().expose().as_bytes()),
        )]
        .into(),
        owner: Some(t.private_key.public().to_string()),
        dns_conf: stamp(1),
    };
    let complete: BTreeMap<String, ObservedFolder> = spec()
        .tenants
        .values()
        .map(|t| (t.name.folder(), of(t)))
        .collect();
    let before = Before::Folders(complete.clone());
    let compare = |change: &dyn Fn(&mut BTreeMap<String, ObservedFolder>)| {
        let mut new = complete.clone();
        change(&mut new);
        let now = Observed {
            folders: Observation::Read(new),
            ..nothing()
        };
        (kinds(&before, &now), changed_dns(&spec(), &before, &now))
    };
    assert_eq!(compare(&|_| {}), (vec![], vec![]));
    let gone = compare(&|f| drop(f.remove("user_tenant1")));
    assert_eq!(gone, (vec![(Some(1), DriftKind::FolderGone)], vec![]));
    let damaged = compare(&|f| {
        let first = f.get_mut("user_tenant1").unwrap();
        first.wg_confs.clear();
        first.owner = None;
    });
    let both = vec![
        (Some(1), DriftKind::ConfChanged),
        (Some(1), DriftKind::KeysDamaged),
    ];
    assert_eq!(damaged, (both, vec![]));
    let lost = compare(&|f| f.get_mut("user_tenant2").unwrap().dns_conf = DnsConf::Missing);
    assert_eq!(lost, (vec![(Some(2), DriftKind::DnsConfGone)], vec![]));
    let rewritten = compare(&|f| f.get_mut("user_tenant2").unwrap().dns_conf = stamp(2));
    assert_eq!(rewritten, (vec![], vec![Slot::new(2).unwrap()]));
}

#[test]
fn missing_and_unexpected_dns_clients_are_counted() {
    let t = tenant(1);
    let client = |c: crate::spec::DnsClient| ObservedDnsClient {
        name: format!("{} (2)", c.name),
        addresses: [c.address].into(),
        policy: Some(c.policy),
    };
    let wanted = t.clients(&settings());
    let complete = ObservedDns {
        running: true,
        clients: wanted.into_iter().map(|(id, c)| (id, client(c))).collect(),
        ..ObservedDns::default()
    };
    let before = Before::Dns(Slot::FIRST, complete.clone());
    let found = |d: ObservedDns| {
        let now = Observed {
            dns: [(Slot::FIRST, Observation::Read(d))].into(),
            ..nothing()
        };
        kinds(&before, &now)
    };
    assert_eq!(found(complete.clone()), []);
    let mut fewer = complete.clone();
    fewer.clients.clear();
    let gone = DriftKind::ClientsChanged {
        missing: 1,
        unexpected: 0,
    };
    assert_eq!(found(fewer), [(Some(1), gone)]);
    let mut extra = complete;
    let another = extra.clients.values().next().unwrap().clone();
    extra.clients.insert("mn-999".to_owned(), another);
    let unexpected = DriftKind::ClientsChanged {
        missing: 0,
        unexpected: 1,
    };
    assert_eq!(found(extra), [(Some(1), unexpected)]);
}
