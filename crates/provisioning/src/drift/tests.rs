//! Each thing another hand can do is found once, by name, and nothing else is.

use super::*;
use crate::{
    Known, Observed,
    observed::{DnsConf, FileStamp, ObservedDnsClient, ObservedPeer},
    ports::PortError,
};
use domain::{
    AddressPlan, DeviceId, DeviceLabel, ErrorCode, FilterPolicy, PresharedKey, PrivateKey, Secret,
};
use std::{net::IpAddr, path::PathBuf, sync::Arc};

fn settings() -> NodeSettings {
    NodeSettings {
        addresses: AddressPlan::default(),
        root: PathBuf::from("/nowhere"),
        dns_memory_bytes: 0,
        image: "image".to_owned(),
        fallback_dns: std::net::Ipv4Addr::LOCALHOST,
    }
}

fn tenant(n: u16) -> TenantSpec {
    let slot = Slot::new(n).unwrap();
    let device = crate::spec::DeviceSpec {
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
        dns_password: Secret::new("password"),
        dns_password_hash: String::new(),
        devices: [(DeviceId(1), device)].into(),
    }
}

fn spec() -> NodeSpec {
    NodeSpec {
        generation: 1,
        tenants: [1, 2]
            .map(|n| (Slot::new(n).unwrap(), tenant(n).into()))
            .into(),
    }
}

fn unknown<T>() -> Known<T> {
    Known::Unknown(Arc::new(PortError::new(ErrorCode::Busy, "later")))
}

fn nothing() -> Observed {
    Observed {
        wireguard: unknown(),
        firewall: unknown(),
        containers: unknown(),
        dns: BTreeMap::new(),
        folders: unknown(),
    }
}

fn whats(before: &Before, now: &Observed) -> Vec<(Option<u16>, Found)> {
    let found = drifts(&spec(), &settings(), before, now, |_| false);
    let of = |d: Drift| (d.tenant.map(|(slot, _)| slot.get()), d.what);
    found.into_iter().map(of).collect()
}

fn interfaces() -> BTreeMap<Slot, ObservedInterface> {
    let of = |t: &TenantSpec| {
        let i = t.interface(&settings());
        let peer = |p: &crate::spec::PeerSpec| ObservedPeer {
            preshared_key: Some(p.preshared_key.clone()),
            allowed_ips: [IpAddr::from(p.address).into()].into(),
        };
        ObservedInterface {
            owner: Some(t.owner()),
            public_key: Some(t.private_key.public()),
            listen_port: t.slot.listen_port(),
            addresses: [i.address].into(),
            up: true,
            peers: i.peers.iter().map(|(k, p)| (*k, peer(p))).collect(),
        }
    };
    spec().tenants.values().map(|t| (t.slot, of(t))).collect()
}

fn meddled(change: impl FnOnce(&mut ObservedInterface)) -> Vec<(Option<u16>, Found)> {
    let mut new = interfaces();
    change(new.get_mut(&Slot::FIRST).unwrap());
    let now = Observed {
        wireguard: Known::Known(new),
        ..nothing()
    };
    whats(&Before::Wireguard(interfaces()), &now)
}

#[test]
fn what_became_of_an_interface_is_told_by_name() {
    assert_eq!(meddled(|_| {}), []);
    let one = |what| vec![(Some(1), what)];
    assert_eq!(meddled(|i| i.owner = None), one(Found::InterfaceGone));
    assert_eq!(meddled(|i| i.public_key = None), one(Found::KeyChanged));
    assert_eq!(meddled(|i| i.listen_port = 7), one(Found::PortChanged(7)));
    assert_eq!(meddled(|i| i.up = false), one(Found::InterfaceDown));
    assert_eq!(meddled(|i| i.addresses.clear()), one(Found::AddressChanged));
    let changed = |strange, missing| one(Found::PeersChanged { strange, missing });
    assert_eq!(meddled(|i| i.peers.clear()), changed(0, 1));
    let strange = PrivateKey::from_random([9; 32]).public();
    let add = |i: &mut ObservedInterface| {
        let peer = i.peers.values().next().unwrap().clone();
        i.peers.insert(strange, peer);
    };
    assert_eq!(meddled(add), changed(1, 0));

    let mut gone = interfaces();
    gone.remove(&Slot::FIRST);
    let now = Observed {
        wireguard: Known::Known(gone),
        ..nothing()
    };
    let before = Before::Wireguard(interfaces());
    assert_eq!(whats(&before, &now), one(Found::InterfaceGone));
    let at_work = |lane: &Lane| *lane == Lane::Tunnel(Slot::FIRST);
    assert_eq!(drifts(&spec(), &settings(), &before, &now, at_work), []);
}

#[test]
fn what_never_was_as_the_spec_wants_it_is_work_and_no_finding() {
    // A device that was deleted in the spec, and is removed by us.
    let mut before = interfaces();
    let strange = PrivateKey::from_random([9; 32]).public();
    let first = before.get_mut(&Slot::FIRST).unwrap();
    let peer = first.peers.values().next().unwrap().clone();
    first.peers.insert(strange, peer);
    let now = Observed {
        wireguard: Known::Known(interfaces()),
        ..nothing()
    };
    assert_eq!(whats(&Before::Wireguard(before), &now), []);
    // A tenant who was suspended, and whose interface we took away.
    let mut spec = spec();
    let first = spec.tenants.get_mut(&Slot::FIRST).unwrap();
    std::sync::Arc::make_mut(first).suspended = true;
    let mut gone = interfaces();
    gone.remove(&Slot::FIRST);
    let now = Observed {
        wireguard: Known::Known(gone),
        ..nothing()
    };
    let before = Before::Wireguard(interfaces());
    assert_eq!(drifts(&spec, &settings(), &before, &now, |_| false), []);
}

#[test]
fn a_flushed_table_is_one_finding_and_lost_elements_are_their_tenants() {
    let s = settings();
    let of = |t: &TenantSpec| ObservedFirewallTenant::of(&t.firewall(&s, s.fallback_dns));
    let whole = ObservedFirewall {
        complete: true,
        tenants: spec().tenants.values().map(|t| (t.slot, of(t))).collect(),
    };
    let before = Before::Firewall(whole.clone());
    let now = |f: ObservedFirewall| Observed {
        firewall: Known::Known(f),
        ..nothing()
    };
    assert_eq!(whats(&before, &now(whole.clone())), []);
    let flushed = ObservedFirewall::default();
    assert_eq!(whats(&before, &now(flushed)), [(None, Found::RulesGone)]);
    let mut less = whole;
    let second = less.tenants.get_mut(&Slot::new(2).unwrap()).unwrap();
    second.mesh.clear();
    let found = whats(&before, &now(less));
    assert_eq!(found, [(Some(2), Found::ElementsChanged)]);
}

#[test]
fn containers_and_the_image_are_missed() {
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
            containers: Known::Known(c),
            ..nothing()
        };
        whats(&before, &now)
    };
    assert_eq!(found(with(ContainerState::Running)), []);
    for (state, what) in [
        (ContainerState::Stopped, Found::ContainerStopped),
        (ContainerState::Paused, Found::ContainerPaused),
        (ContainerState::Dead, Found::ContainerGone),
    ] {
        assert_eq!(found(with(state)), [(Some(1), what)]);
    }
    let mut gone = with(ContainerState::Running);
    gone.ours.remove(0);
    gone.image = false;
    let both = [(Some(1), Found::ContainerGone), (None, Found::ImageGone)];
    assert_eq!(found(gone), both);
}

#[test]
fn folders_are_compared_and_a_new_dns_configuration_has_its_owner_asked() {
    let stamp = |length| {
        DnsConf::There(FileStamp {
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
    let whole: BTreeMap<String, ObservedFolder> = spec()
        .tenants
        .values()
        .map(|t| (t.name.folder(), of(t)))
        .collect();
    let before = Before::Folders(whole.clone());
    let look = |change: &dyn Fn(&mut BTreeMap<String, ObservedFolder>)| {
        let mut new = whole.clone();
        change(&mut new);
        let now = Observed {
            folders: Known::Known(new),
            ..nothing()
        };
        (whats(&before, &now), changed_dns(&spec(), &before, &now))
    };
    assert_eq!(look(&|_| {}), (vec![], vec![]));
    let gone = look(&|f| drop(f.remove("user_tenant1")));
    assert_eq!(gone, (vec![(Some(1), Found::FolderGone)], vec![]));
    let damaged = look(&|f| {
        let first = f.get_mut("user_tenant1").unwrap();
        first.wg_confs.clear();
        first.owner = None;
    });
    let both = vec![(Some(1), Found::ConfChanged), (Some(1), Found::KeysDamaged)];
    assert_eq!(damaged, (both, vec![]));
    let lost = look(&|f| f.get_mut("user_tenant2").unwrap().dns_conf = DnsConf::Missing);
    assert_eq!(lost, (vec![(Some(2), Found::DnsConfGone)], vec![]));
    let rewritten = look(&|f| f.get_mut("user_tenant2").unwrap().dns_conf = stamp(2));
    assert_eq!(rewritten, (vec![], vec![Slot::new(2).unwrap()]));
}

#[test]
fn a_client_deleted_inside_adguard_home_is_counted() {
    let t = tenant(1);
    let client = |c: crate::spec::DnsClient| ObservedDnsClient {
        name: format!("{} (2)", c.name),
        addresses: [c.address].into(),
        policy: Some(c.policy),
    };
    let whole = ObservedDns {
        running: true,
        clients: t
            .clients()
            .into_iter()
            .map(|(id, c)| (id, client(c)))
            .collect(),
    };
    let before = Before::Dns(Slot::FIRST, whole.clone());
    let found = |d: ObservedDns| {
        let now = Observed {
            dns: [(Slot::FIRST, Known::Known(d))].into(),
            ..nothing()
        };
        whats(&before, &now)
    };
    assert_eq!(found(whole.clone()), []);
    let mut less = whole.clone();
    less.clients.clear();
    let gone = Found::ClientsChanged {
        missing: 1,
        strange: 0,
    };
    assert_eq!(found(less), [(Some(1), gone)]);
    let mut more = whole;
    let another = more.clients.values().next().unwrap().clone();
    more.clients.insert("mn-999".to_owned(), another);
    let strange = Found::ClientsChanged {
        missing: 0,
        strange: 1,
    };
    assert_eq!(found(more), [(Some(1), strange)]);
}

#[test]
fn every_finding_is_a_sentence_that_names_its_tenant() {
    let tenant = Some((Slot::FIRST, TenantName::parse("alice").unwrap()));
    let what = Found::KeyChanged;
    let text = Drift { tenant, what }.to_string();
    assert_eq!(text, "wg1 of alice had another key; it gets its own back.");
    let what = Found::RulesGone;
    let everybodys = Drift { tenant: None, what }.to_string();
    assert!(everybodys.starts_with("The firewall's table was gone"));
}
