//! The node's loop against a machine that fails on demand, in simulated time.
#![allow(clippy::unwrap_used)]

use domain::{ErrorCode, Slot};
use provisioning::{Node, NodeHandle, NodePorts, NodeSettings, disk::Disk, spec::wg_conf_path};
use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};
use testkit::{
    fakes::{FakeMachine, FakeSpecs},
    samples,
};

struct Bed {
    machine: FakeMachine,
    specs: FakeSpecs,
    settings: NodeSettings,
    node: NodeHandle,
    _root: tempfile::TempDir,
}

fn bed() -> Bed {
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
        containers: all.clone(),
        dns: all,
        folders: Arc::new(Disk::new(settings.clone())),
        specs: Arc::new(specs.clone()),
    };
    let (node, handle) = Node::new(ports, settings.clone());
    tokio::spawn(node.run(std::future::pending()));
    Bed {
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

impl Bed {
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
        panic!("never: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_comes_to_be_and_leaves_without_a_trace() {
    let bed = bed();
    bed.add(1, 3).await;
    bed.ready(1).await;
    let dir = bed
        .settings
        .tenant_dir(&samples::tenant(&bed.settings, 1, 0).name);
    let conf = wg_conf_path(&dir, slot(1));
    bed.until("the configuration is written", || conf.exists())
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

    bed.specs.change(|s| s.tenants.clear());
    bed.node.nudge();
    bed.until("all is gone", || {
        let s = bed.machine.state();
        s.interfaces.is_empty()
            && s.firewall.tenants.is_empty()
            && s.containers.ours.is_empty()
            && !dir.exists()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_interface_never_stands_without_its_elements() {
    let bed = bed();
    bed.machine.fail("firewall.apply", true);
    bed.add(1, 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(bed.machine.state().interfaces.is_empty());
    let status = bed.node.tenant(slot(1)).unwrap().status;
    assert_eq!(status.firewall.problem().unwrap().code, ErrorCode::Internal);
    bed.machine.fail("firewall.apply", false);
    bed.ready(1).await;

    // On the way out the elements stay for as long as the interface does.
    bed.machine.fail("wireguard.delete", true);
    bed.specs.change(|s| s.tenants.clear());
    bed.node.nudge();
    tokio::time::sleep(Duration::from_secs(60)).await;
    {
        let s = bed.machine.state();
        assert_eq!((s.interfaces.len(), s.firewall.tenants.len()), (1, 1));
    }
    assert!(
        bed.machine.state().firewall.tenants[&slot(1)]
            .mesh
            .is_empty()
    );
    bed.machine.fail("wireguard.delete", false);
    bed.until("all is gone", || {
        bed.machine.state().firewall.tenants.is_empty()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hanging_container_engine_delays_no_tunnel() {
    let bed = bed();
    bed.machine.hang("containers.start");
    let generation = bed.add(1, 2).await;
    assert!(
        bed.node
            .applied(slot(1), generation, Duration::from_secs(5))
            .await
    );
    let generation = bed.add(2, 1).await;
    assert!(
        bed.node
            .applied(slot(2), generation, Duration::from_secs(5))
            .await
    );
    assert_eq!(bed.machine.state().interfaces.len(), 2);
    assert!(!bed.node.tenant(slot(1)).unwrap().status.dns.is_ready());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_left_alone() {
    let bed = bed();
    bed.add(1, 1).await;
    bed.ready(1).await;
    for call in [
        "wireguard.observe",
        "containers.observe",
        "firewall.observe",
    ] {
        bed.machine.fail(call, true);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    bed.machine.state().calls.clear();
    bed.specs.change(|s| s.tenants.clear());
    bed.node.nudge();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bed.machine.state().calls, []);
    assert_eq!(bed.node.node().borrow().problems.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn drift_is_healed_within_two_ticks_and_nobody_else_is_touched() {
    let bed = bed();
    bed.add(1, 2).await;
    bed.add(2, 2).await;
    bed.ready(1).await;
    bed.ready(2).await;
    bed.until("quiet", || bed.machine.state().calls.len() >= 4)
        .await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    {
        let mut s = bed.machine.state();
        s.calls.clear();
        s.interfaces.remove(&slot(1));
        s.containers.ours.retain(|c| c.slot != Some(slot(1)));
    }
    tokio::time::sleep(Duration::from_secs(25)).await;
    let s = bed.machine.state();
    assert!(s.interfaces.contains_key(&slot(1)) && s.containers.ours.len() == 2);
    assert!(
        s.calls.iter().all(|(_, at)| *at == Some(slot(1))),
        "{:?}",
        s.calls
    );
}

#[tokio::test(start_paused = true)]
async fn a_foreign_interface_or_container_is_told_and_stays() {
    let bed = bed();
    {
        let mut s = bed.machine.state();
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
            .insert("adguard_user_tenant1".to_owned());
    }
    bed.add(1, 1).await;
    bed.until("both are told", || {
        bed.node.tenant(slot(1)).is_some_and(|t| {
            [&t.status.tunnel, &t.status.dns].iter().all(|p| {
                p.problem()
                    .is_some_and(|p| p.code == ErrorCode::NameForeign)
            })
        })
    })
    .await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(bed.machine.state().interfaces[&slot(1)].owner, None);
    assert!(bed.node.node().borrow().foreign_slots.contains(&slot(1)));
}

#[tokio::test(start_paused = true)]
async fn without_the_image_tunnels_work_with_plain_dns_until_it_is_there() {
    let bed = bed();
    bed.machine.state().containers.image = false;
    let generation = bed.add(1, 1).await;
    assert!(
        bed.node
            .applied(slot(1), generation, Duration::from_secs(5))
            .await
    );
    bed.until("the wait is told", || {
        bed.node.tenant(slot(1)).is_some_and(|t| {
            t.status
                .dns
                .problem()
                .is_some_and(|p| p.code == ErrorCode::ImageMissing)
        })
    })
    .await;
    assert_eq!(
        bed.machine.state().firewall.tenants[&slot(1)].dns,
        Some(bed.settings.fallback_dns)
    );
    bed.machine.state().containers.image = true;
    bed.ready(1).await;
    let container = bed.settings.addresses.container(slot(1));
    bed.until("DNS goes to the container", || {
        bed.machine.state().firewall.tenants[&slot(1)].dns == Some(container)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_change_is_one_call_to_one_tunnel() {
    let bed = bed();
    for n in 1..=5 {
        bed.add(n, 3).await;
        bed.ready(n).await;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    bed.machine.state().calls.clear();
    let generation = bed.specs.change(|s| {
        let (id, device) = samples::device(&bed.settings, slot(3), 7);
        let tenant = s.tenants.get_mut(&slot(3)).unwrap();
        Arc::make_mut(tenant).devices.insert(id, device);
    });
    assert!(
        bed.node
            .applied(slot(3), generation, Duration::from_secs(5))
            .await
    );
    bed.until("AdGuard Home knows it", || {
        bed.machine.state().calls.len() >= 2
    })
    .await;
    // The two lanes run side by side: either may be first.
    let calls: std::collections::BTreeSet<_> = bed.machine.state().calls.iter().copied().collect();
    let wanted = [
        ("wireguard.change_peers", Some(slot(3))),
        ("dns.set_clients", Some(slot(3))),
    ];
    assert_eq!(calls, wanted.into());
    assert_eq!(bed.machine.state().calls.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_tenant_keeps_its_folder_and_nothing_else() {
    let bed = bed();
    bed.add(1, 1).await;
    bed.ready(1).await;
    bed.specs
        .change(|s| Arc::make_mut(s.tenants.get_mut(&slot(1)).unwrap()).suspended = true);
    bed.node.nudge();
    bed.until("tunnel, elements and container are gone", || {
        let s = bed.machine.state();
        s.interfaces.is_empty() && s.firewall.tenants.is_empty() && s.containers.ours.is_empty()
    })
    .await;
    assert!(bed.settings.users_dir().join("user_tenant1").exists());
    assert_eq!(
        bed.node
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
async fn a_new_tenant_of_an_old_name_gets_none_of_the_old_ones_data() {
    let bed = bed();
    bed.add(1, 1).await;
    bed.ready(1).await;
    let dir = bed.settings.users_dir().join("user_tenant1");
    bed.until("the folder is written", || {
        dir.join("keys/public.key").exists()
    })
    .await;
    std::fs::write(dir.join("query.log"), "what somebody looked up").unwrap();
    // Deleted and taken again before the node looked: same name, same slot, other keys.
    bed.specs.change(|s| {
        Arc::make_mut(s.tenants.get_mut(&slot(1)).unwrap()).private_key = samples::key(9, 9)
    });
    bed.node.nudge();
    let key = samples::key(9, 9).public().to_string();
    bed.until("the folder is the new tenant's", || {
        std::fs::read_to_string(dir.join("keys/public.key")).is_ok_and(|k| k == key)
    })
    .await;
    assert!(!dir.join("query.log").exists());
    bed.ready(1).await;
}
