//! Runs the node's loop against a machine that fails on demand, in simulated time.
#![allow(clippy::unwrap_used)]

use domain::{ErrorCode, Message, Part, Slot};
use folders::DiskFolders;
use protocol::{DriftKind, Forward, MovedTenant};
use provisioning::{
    Node, NodeHandle, NodePorts, NodeSettings,
    pending::DiskHold,
    ports::DnsPart,
    spec::{docker_name, wg_conf_path},
};
use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};
use testkit::{
    fakes::{FakeMachine, FakeSpecs},
    samples,
    wait::NodeWait,
};

struct Fixture {
    machine: FakeMachine,
    specs: FakeSpecs,
    settings: NodeSettings,
    node: NodeHandle,
    _root: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let root = tempfile::tempdir().unwrap();
    let (machine, specs, settings) = (
        FakeMachine::new(),
        FakeSpecs::default(),
        samples::settings(root.path()),
    );
    let all = Arc::new(machine.clone());
    let ports = NodePorts {
        wireguard: all.clone(),
        firewall: all.clone(),
        shaping: all.clone(),
        connections: all.clone(),
        containers: all.clone(),
        dns: all,
        folders: Arc::new(DiskFolders::new(settings.clone())),
        specs: Arc::new(specs.clone()),
    };
    let (node, handle) = Node::new(ports, settings.clone());
    tokio::spawn(node.run(std::future::pending()));
    Fixture {
        machine,
        specs,
        settings,
        node: handle,
        _root: root,
    }
}

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

impl Fixture {
    async fn add(&self, n: u16, devices: u8) -> u64 {
        let t = samples::tenant(&self.settings, n, devices);
        let generation = self.specs.change(|s| {
            s.tenants.insert(t.slot, t.into());
        });
        self.node.nudge();
        generation
    }

    async fn ready(&self, n: u16) {
        let mut watch = self.node.watch(slot(n));
        let ready = watch.wait_for(|s| s.as_ref().is_some_and(|s| s.status.is_ready()));
        tokio::time::timeout(Duration::from_secs(120), ready)
            .await
            .unwrap_or_else(|_| panic!("{:?}", self.node.tenant(slot(n))))
            .unwrap();
    }

    async fn until(&self, what: &str, f: impl Fn() -> bool) {
        for _ in 0..600 {
            if f() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never happened: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_tenant_leaves_nothing_behind() {
    let fixture = fixture();
    fixture.add(1, 3).await;
    fixture.ready(1).await;
    let dir = fixture
        .settings
        .tenant_dir(&samples::tenant(&fixture.settings, 1, 0).name);
    let conf = wg_conf_path(&dir, slot(1));
    fixture
        .until("the configuration is written", || conf.exists())
        .await;
    assert_eq!(
        std::fs::metadata(&conf).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert!(dir.join("keys/private.key").exists());
    let text = std::fs::read_to_string(&conf).unwrap();
    assert_eq!(domain::wgconf::parse(&text).unwrap().len(), 4);

    fixture.specs.change(|s| s.tenants.clear());
    fixture.node.nudge();
    fixture
        .until("everything is removed", || {
            let s = fixture.machine.state();
            s.interfaces.is_empty()
                && s.firewall.tenants.is_empty()
                && s.containers.ours.is_empty()
                && !dir.exists()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_moved_tenant_leaves_its_folder_and_a_way_to_its_node() {
    let fixture = fixture();
    fixture.add(1, 3).await;
    fixture.add(2, 1).await;
    fixture.ready(1).await;
    fixture.ready(2).await;
    let tenant = samples::tenant(&fixture.settings, 1, 3);
    let dir = fixture.settings.tenant_dir(&tenant.name);
    let conf = wg_conf_path(&dir, slot(1));
    fixture.until("it is written", || conf.exists()).await;
    let leave = |forward: Option<[u8; 4]>| {
        fixture.specs.change(|s| {
            s.tenants.remove(&slot(1));
            let forward = forward.map(|to| Forward { to: to.into() });
            let name = tenant.name.clone();
            s.moved.insert(slot(1), MovedTenant { name, forward });
        });
        fixture.node.nudge();
    };
    let redirects = || {
        let s = fixture.machine.state();
        let redirect = ("connections.redirect", Some(slot(1)));
        s.calls.iter().filter(|call| **call == redirect).count()
    };
    let to: [u8; 4] = [203, 0, 113, 9];
    leave(Some(to));
    let has_left = || {
        let s = fixture.machine.state();
        let has_other = s.interfaces.keys().eq([&slot(2)]) && s.containers.ours.len() == 1;
        let forwards = [(slot(1), to.into())].into();
        has_other && s.firewall.tenants.len() == 1 && s.firewall.forwards == forwards
    };
    fixture.until("it has left", has_left).await;
    fixture.until("its flows follow", || redirects() == 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(has_left() && conf.exists(), "its folder stays");
    assert_eq!(redirects(), 1, "once");
    // A node that does not know its forwarding yet gets it back with the table.
    fixture.machine.state().firewall = Default::default();
    fixture.until("the table is whole again", has_left).await;

    leave(None);
    fixture
        .until("nothing is sent on", || {
            fixture.machine.state().firewall.forwards.is_empty()
        })
        .await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(conf.exists());
    fixture.specs.change(|s| s.moved.clear());
    fixture.node.nudge();
    fixture.until("its folder goes", || !dir.exists()).await;

    // It comes back, while its former node still sent its packets on.
    leave(Some(to));
    fixture
        .until("it is sent on", || {
            !fixture.machine.state().firewall.forwards.is_empty()
        })
        .await;
    fixture.specs.change(|s| s.moved.clear());
    fixture.add(1, 3).await;
    fixture.ready(1).await;
    assert!(fixture.machine.state().firewall.forwards.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_interface_never_exists_without_its_elements() {
    let fixture = fixture();
    fixture.machine.fail("firewall.apply", true);
    fixture.add(1, 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fixture.machine.state().interfaces.is_empty());
    let status = fixture.node.tenant(slot(1)).unwrap().status;
    assert_eq!(status.firewall.problem().unwrap().code, ErrorCode::Internal);
    fixture.machine.fail("firewall.apply", false);
    fixture.ready(1).await;

    // When a tenant leaves, the elements stay for as long as the interface does.
    fixture.machine.fail("wireguard.delete", true);
    fixture.specs.change(|s| s.tenants.clear());
    fixture.node.nudge();
    tokio::time::sleep(Duration::from_secs(60)).await;
    {
        let s = fixture.machine.state();
        assert_eq!((s.interfaces.len(), s.firewall.tenants.len()), (1, 1));
    }
    assert!(
        fixture.machine.state().firewall.tenants[&slot(1)]
            .mesh
            .is_empty()
    );
    fixture.machine.fail("wireguard.delete", false);
    fixture
        .until("everything is removed", || {
            fixture.machine.state().firewall.tenants.is_empty()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_hanging_container_engine_delays_no_tunnel() {
    let fixture = fixture();
    fixture.machine.hang("containers.start");
    let generation = fixture.add(1, 2).await;
    assert!(
        fixture
            .node
            .applied(slot(1), generation, Duration::from_secs(5))
            .await
    );
    let generation = fixture.add(2, 1).await;
    assert!(
        fixture
            .node
            .applied(slot(2), generation, Duration::from_secs(5))
            .await
    );
    assert_eq!(fixture.machine.state().interfaces.len(), 2);
    assert!(!fixture.node.tenant(slot(1)).unwrap().status.dns.is_ready());
}

#[tokio::test(start_paused = true)]
async fn unreadable_ports_are_left_alone() {
    let fixture = fixture();
    fixture.add(1, 1).await;
    fixture.ready(1).await;
    for call in [
        "wireguard.observe",
        "containers.observe",
        "firewall.observe",
    ] {
        fixture.machine.fail(call, true);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    fixture.machine.state().calls.clear();
    fixture.specs.change(|s| s.tenants.clear());
    fixture.node.nudge();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(fixture.machine.state().calls, []);
    assert_eq!(fixture.node.node().borrow().problems.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn drift_repair_touches_no_other_tenant() {
    let fixture = fixture();
    fixture.add(1, 2).await;
    fixture.add(2, 2).await;
    fixture.ready(1).await;
    fixture.ready(2).await;
    fixture
        .until("quiet", || fixture.machine.state().calls.len() >= 4)
        .await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    {
        let mut s = fixture.machine.state();
        s.calls.clear();
        s.interfaces.remove(&slot(1));
        s.containers.ours.retain(|c| c.slot != Some(slot(1)));
    }
    tokio::time::sleep(Duration::from_secs(25)).await;
    let s = fixture.machine.state();
    assert!(s.interfaces.contains_key(&slot(1)) && s.containers.ours.len() == 2);
    assert!(
        s.calls.iter().all(|(_, at)| *at == Some(slot(1))),
        "{:?}",
        s.calls
    );
}

#[tokio::test(start_paused = true)]
async fn foreign_interfaces_and_containers_are_reported_and_stay() {
    let fixture = fixture();
    {
        let mut s = fixture.machine.state();
        let foreign = provisioning::observed::ObservedInterface {
            owner: None,
            public_key: None,
            listen_port: 1,
            addresses: Default::default(),
            up: true,
            peers: Default::default(),
        };
        s.interfaces.insert(slot(1), foreign);
        s.containers
            .foreign
            .insert(docker_name(&samples::key(1, 0).public()));
    }
    fixture.add(1, 1).await;
    fixture
        .until("both are reported", || {
            fixture.node.tenant(slot(1)).is_some_and(|t| {
                [&t.status.tunnel, &t.status.dns].iter().all(|p| {
                    p.problem()
                        .is_some_and(|p| p.code == ErrorCode::NameForeign)
                })
            })
        })
        .await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(fixture.machine.state().interfaces[&slot(1)].owner, None);
    assert!(
        fixture
            .node
            .node()
            .borrow()
            .foreign_slots
            .contains(&slot(1))
    );
}

#[tokio::test(start_paused = true)]
async fn tunnels_use_plain_dns_without_the_image() {
    let fixture = fixture();
    fixture.machine.state().containers.image = false;
    let generation = fixture.add(1, 1).await;
    assert!(
        fixture
            .node
            .applied(slot(1), generation, Duration::from_secs(5))
            .await
    );
    fixture
        .until("the missing image is reported", || {
            fixture.node.tenant(slot(1)).is_some_and(|t| {
                t.status
                    .dns
                    .problem()
                    .is_some_and(|p| p.code == ErrorCode::ImageMissing)
            })
        })
        .await;
    assert_eq!(
        fixture.machine.state().firewall.tenants[&slot(1)].dns,
        Some(fixture.settings.fallback_dns)
    );
    fixture.machine.state().containers.image = true;
    fixture.ready(1).await;
    let container = fixture.settings.addresses.container(slot(1));
    fixture
        .until("DNS goes to the container", || {
            fixture.machine.state().firewall.tenants[&slot(1)].dns == Some(container)
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_change_is_one_call_per_lane() {
    let fixture = fixture();
    for n in 1..=5 {
        fixture.add(n, 3).await;
        fixture.ready(n).await;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    fixture.machine.state().calls.clear();
    let generation = fixture.specs.change(|s| {
        let (id, device) = samples::device(&fixture.settings, slot(3), 7);
        let tenant = s.tenants.get_mut(&slot(3)).unwrap();
        Arc::make_mut(tenant).devices.insert(id, device);
    });
    assert!(
        fixture
            .node
            .applied(slot(3), generation, Duration::from_secs(5))
            .await
    );
    fixture
        .until("AdGuard Home has the client", || {
            fixture.machine.state().calls.len() >= 2
        })
        .await;
    // The two lanes run concurrently: either may be first.
    let calls: std::collections::BTreeSet<_> =
        fixture.machine.state().calls.iter().copied().collect();
    let wanted = [
        ("wireguard.change_peers", Some(slot(3))),
        ("dns.set_clients", Some(slot(3))),
    ];
    assert_eq!(calls, wanted.into());
    assert_eq!(fixture.machine.state().calls.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_tenant_keeps_only_its_folder() {
    let fixture = fixture();
    fixture.add(1, 1).await;
    fixture.ready(1).await;
    fixture
        .specs
        .change(|s| Arc::make_mut(s.tenants.get_mut(&slot(1)).unwrap()).suspended = true);
    fixture.node.nudge();
    fixture
        .until("tunnel, elements and container are removed", || {
            let s = fixture.machine.state();
            s.interfaces.is_empty() && s.firewall.tenants.is_empty() && s.containers.ours.is_empty()
        })
        .await;
    assert!(fixture.settings.users_dir().join("user_tenant1").exists());
    assert_eq!(
        fixture
            .node
            .tenant(slot(1))
            .unwrap()
            .status
            .tunnel
            .problem()
            .unwrap()
            .code,
        ErrorCode::Suspended
    );
}

#[tokio::test(start_paused = true)]
async fn a_reused_name_gets_no_old_data() {
    let fixture = fixture();
    fixture.add(1, 1).await;
    fixture.ready(1).await;
    let dir = fixture.settings.users_dir().join("user_tenant1");
    fixture
        .until("the folder is written", || {
            dir.join("keys/public.key").exists()
        })
        .await;
    std::fs::write(dir.join("query.log"), "queries of the first tenant").unwrap();
    // Deleted and created again before the node noticed: the name and the slot are the
    // same, the keys are not.
    fixture.specs.change(|s| {
        Arc::make_mut(s.tenants.get_mut(&slot(1)).unwrap()).private_key = samples::key(9, 9)
    });
    fixture.node.nudge();
    let key = samples::key(9, 9).public().to_string();
    fixture
        .until("the folder is the new tenant's", || {
            std::fs::read_to_string(dir.join("keys/public.key")).is_ok_and(|k| k == key)
        })
        .await;
    assert!(!dir.join("query.log").exists());
    fixture.ready(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_load_names_the_generation_in_force() {
    let fixture = fixture();
    let generation = fixture.add(1, 1).await;
    assert_eq!(fixture.specs.in_force(), 0);
    fixture.ready(1).await;
    fixture.node.nudge();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fixture.specs.in_force(), generation);
}

#[tokio::test(start_paused = true)]
async fn a_spec_from_a_backup_is_followed() {
    let fixture = fixture();
    fixture.add(1, 1).await;
    fixture.ready(1).await;
    let backup = fixture.specs.change(|_| {});
    fixture.add(2, 1).await;
    fixture.ready(2).await;
    // A source that cannot raise the generation does not wedge the node either.
    fixture.specs.change(|s| {
        s.tenants.remove(&slot(2));
        s.generation = backup - 1;
    });
    fixture.node.nudge();
    fixture
        .until("the later tenant is removed", || {
            let interfaces = &fixture.machine.state().interfaces;
            interfaces.keys().eq([&slot(1)])
        })
        .await;
    assert_eq!(fixture.node.node().borrow().generation, backup);
    assert_eq!(fixture.node.node().borrow().problems, []);
}

#[tokio::test(start_paused = true)]
async fn speed_limits_follow_the_spec() {
    let fixture = fixture();
    fixture.add(1, 1).await;
    fixture.ready(1).await;
    assert!(fixture.machine.state().speeds.is_empty());
    let limit = |down_bps: Option<u64>| {
        fixture.specs.change(|s| {
            let t = s.tenants.get_mut(&slot(1)).unwrap();
            Arc::make_mut(t).limits.speed.down_bps = down_bps;
        });
        fixture.node.nudge();
    };
    let down = || {
        let s = fixture.machine.state();
        s.speeds.get(&slot(1)).map(|speed| speed.limits.down_bps)
    };
    limit(Some(50_000_000));
    fixture
        .until("the limit is set", || down() == Some(Some(50_000_000)))
        .await;
    // A new interface has no limits.
    {
        let mut s = fixture.machine.state();
        s.interfaces.clear();
        s.speeds.clear();
    }
    fixture
        .until("it is set again", || down() == Some(Some(50_000_000)))
        .await;
    fixture.machine.fail("shaping.apply", true);
    limit(Some(1_000_000));
    tokio::time::sleep(Duration::from_secs(20)).await;
    let problems = fixture.node.node().borrow().problems.clone();
    assert_eq!(problems.len(), 1, "{problems:?}");
    fixture.machine.fail("shaping.apply", false);
    limit(None);
    fixture.until("it is removed", || down().is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_tenant_gets_a_slot_only_after_the_earlier_ones_connections_have_ended() {
    let fixture = fixture();
    fixture.add(1, 1).await;
    fixture.ready(1).await;
    fixture.machine.fail("connections.end", true);
    let mut next = samples::tenant(&fixture.settings, 1, 1);
    next.private_key = samples::key(1, 77);
    next.name = domain::TenantName::parse("another").unwrap();
    let key = next.private_key.public();
    let generation = fixture.specs.change(|s| {
        s.tenants.insert(slot(1), next.into());
    });
    fixture.node.nudge();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fixture.machine.state().interfaces.is_empty());
    fixture.machine.fail("connections.end", false);
    let applied = fixture
        .node
        .applied(slot(1), generation, Duration::from_secs(60));
    assert!(applied.await);
    let s = fixture.machine.state();
    assert_eq!(s.interfaces[&slot(1)].public_key, Some(key));
    let addresses = &fixture.settings.addresses;
    assert!(s.ended.contains(&addresses.subnet(slot(1)).trunc()));
    assert!(s.ended.contains(&addresses.container(slot(1)).into()));
}

#[tokio::test(start_paused = true)]
async fn a_removed_devices_connections_are_ended_and_no_others() {
    let fixture = fixture();
    fixture.add(1, 2).await;
    fixture.ready(1).await;
    let mut removed = None;
    fixture.specs.change(|s| {
        let t = Arc::make_mut(s.tenants.get_mut(&slot(1)).unwrap());
        removed = t.devices.pop_first().map(|(_, device)| device.address);
    });
    fixture.node.nudge();
    let expected = std::collections::BTreeSet::from([removed.unwrap().into()]);
    fixture
        .until("they are ended", || {
            fixture.machine.state().ended == expected
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn no_container_starts_without_the_table() {
    let fixture = fixture();
    fixture.machine.fail("firewall.apply", true);
    fixture.add(1, 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fixture.machine.state().containers.ours.is_empty());
    fixture.machine.fail("firewall.apply", false);
    fixture.ready(1).await;
    // The table is lost, and so is the container.
    fixture.machine.fail("firewall.apply", true);
    {
        let mut s = fixture.machine.state();
        s.firewall = Default::default();
        s.containers.ours.clear();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fixture.machine.state().containers.ours.is_empty());
    fixture.machine.fail("firewall.apply", false);
    fixture.ready(1).await;
}

#[tokio::test(start_paused = true)]
async fn an_adguard_home_that_keeps_ending_is_repaired_part_by_part() {
    let fixture = fixture();
    let mut drifts = fixture.node.drifts();
    fixture.machine.state().damaged = [(slot(1), DnsPart::Lists)].into();
    fixture.add(1, 1).await;
    let dns = || {
        let s = fixture.machine.state();
        s.firewall.tenants.get(&slot(1)).and_then(|t| t.dns)
    };
    let fallback = Some(fixture.settings.fallback_dns);
    fixture.until("DNS falls back", || dns() == fallback).await;
    let container = Some(fixture.settings.addresses.container(slot(1)));
    fixture
        .until("the container answers", || dns() == container)
        .await;
    fixture.ready(1).await;
    let aside = fixture.machine.state().aside.clone();
    let parts = [DnsPart::Statistics, DnsPart::QueryLog, DnsPart::Lists];
    assert_eq!(aside, parts.map(|part| (slot(1), part)));
    let mut kinds = Vec::new();
    while let Ok(drift) = drifts.try_recv() {
        kinds.push(drift.kind);
    }
    kinds.retain(|kind| *kind != DriftKind::ContainerStopped);
    let expected = [
        DriftKind::StatisticsDamaged,
        DriftKind::QueryLogDamaged,
        DriftKind::ListsDamaged,
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test(start_paused = true)]
async fn an_adguard_home_that_uses_too_much_of_the_disk_is_stopped() {
    let fixture = fixture();
    fixture.add(1, 1).await;
    fixture.ready(1).await;
    let holds = [(slot(1), DiskHold::Full)].into();
    fixture.node.set_disk_holds(holds);
    let dns = || {
        let s = fixture.machine.state();
        s.firewall.tenants.get(&slot(1)).and_then(|t| t.dns)
    };
    fixture
        .until("it is stopped", || {
            fixture.machine.state().containers.ours.is_empty()
                && dns() == Some(fixture.settings.fallback_dns)
        })
        .await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fixture.machine.state().containers.ours.is_empty());
    let status = || {
        let state = fixture.node.tenant(slot(1)).unwrap();
        state.status.dns.problem().cloned().unwrap()
    };
    let full = (ErrorCode::DnsUnavailable, Message::DnsDiskFull);
    assert_eq!((status().code, status().message), full);
    let holds = [(slot(1), DiskHold::Low)].into();
    fixture.node.set_disk_holds(holds);
    fixture
        .until("it says that the disk is", || {
            (status().code, status().message) == (ErrorCode::DiskLow, Message::DnsDiskHeld)
        })
        .await;
    assert!(fixture.machine.state().containers.ours.is_empty());
    fixture.node.set_disk_holds(Default::default());
    fixture.ready(1).await;
    assert_eq!(dns(), Some(fixture.settings.addresses.container(slot(1))));
}

#[tokio::test(start_paused = true)]
async fn an_adguard_home_is_stopped_while_it_is_copied() {
    let fixture = fixture();
    fixture.add(1, 1).await;
    fixture.add(2, 1).await;
    fixture.ready(1).await;
    fixture.ready(2).await;
    let mut drifts = fixture.node.drifts();
    let mut stopped = fixture.node.stopped();
    fixture.node.set_copied(slot(1), true);
    stopped.wait_for(|s| s.contains(&slot(1))).await.unwrap();
    let ours = || fixture.machine.state().containers.ours.clone();
    let slots: Vec<_> = ours().iter().map(|c| c.slot).collect();
    assert_eq!(slots, [Some(slot(2))], "only that one, and it is stopped");
    let state = fixture.node.tenant(slot(1)).unwrap();
    assert_eq!(state.status.dns, Part::Working);
    assert!(state.status.tunnel.is_ready());
    let dns = || {
        let s = fixture.machine.state();
        s.firewall.tenants.get(&slot(1)).and_then(|t| t.dns)
    };
    fixture
        .until("names are resolved meanwhile", || {
            dns() == Some(fixture.settings.fallback_dns)
        })
        .await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(ours().len(), 1);
    fixture.node.set_copied(slot(1), false);
    fixture.ready(1).await;
    assert_eq!(dns(), Some(fixture.settings.addresses.container(slot(1))));
    assert!(!stopped.borrow_and_update().contains(&slot(1)));
    assert!(
        drifts.try_recv().is_err(),
        "nothing of it is an external change"
    );
}

#[tokio::test(start_paused = true)]
async fn an_asleep_tenant_has_a_tunnel_and_no_container() {
    let fixture = fixture();
    fixture.add(1, 1).await;
    fixture.ready(1).await;
    let sleep = |asleep: bool| {
        fixture
            .specs
            .change(|s| Arc::make_mut(s.tenants.get_mut(&slot(1)).unwrap()).asleep = asleep);
        fixture.node.nudge();
    };
    let dns = || {
        let s = fixture.machine.state();
        s.firewall.tenants.get(&slot(1)).and_then(|t| t.dns)
    };
    let mut drifts = fixture.node.drifts();
    sleep(true);
    fixture
        .until("its container is gone", || {
            fixture.machine.state().containers.ours.is_empty()
                && dns() == Some(fixture.settings.fallback_dns)
        })
        .await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fixture.machine.state().containers.ours.is_empty());
    assert_eq!(
        fixture.machine.state().interfaces.len(),
        1,
        "the tunnel stays"
    );
    let status = fixture.node.tenant(slot(1)).unwrap().status;
    assert!(status.tunnel.is_ready() && status.firewall.is_ready());
    let problem = status.dns.problem().unwrap();
    let asleep = (ErrorCode::Asleep, Message::DnsAsleep);
    assert_eq!((problem.code, problem.message.clone()), asleep);
    assert!(drifts.try_recv().is_err(), "it is no external change");
    sleep(false);
    fixture.ready(1).await;
    assert_eq!(dns(), Some(fixture.settings.addresses.container(slot(1))));
}
