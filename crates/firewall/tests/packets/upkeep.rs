//! What other hands do to the table, and what keeping it costs.

use crate::{
    bed::{Bed, Namespace},
    tested::{Tested, runtime, served, tenant},
};
use domain::Slot;
use firewall::FirewallSettings;
use futures_util::StreamExt;
use provisioning::{
    observed::{ObservedFirewall, ObservedFirewallTenant},
    ports::{Firewall, FirewallChange},
};
use std::time::{Duration, Instant};

#[test]
fn a_flushed_or_changed_table_is_noticed_and_written_anew() {
    let bed = served();
    let firewall = Tested::new(&bed.host, FirewallSettings::default());
    assert_eq!(firewall.observe(), ObservedFirewall::default());
    let all = [tenant(1, &[2]), tenant(2, &[])];
    firewall.rebuild(&all);
    for change in [
        "flush ruleset",
        "flush chain inet maliknode mesh_check",
        "delete table bridge maliknode",
        "add rule inet maliknode forward accept",
        "insert rule inet maliknode from_tunnel accept",
        "add table inet maliknode { flags dormant ; }",
        "chain inet maliknode forward { policy drop ; }",
        "add element inet maliknode ours { \"eth7\" }",
        "add element inet maliknode net { \"wg1\" . 10.0.0.3-10.0.0.9 }",
    ] {
        bed.host.command("nft", change);
        assert!(!firewall.observe().complete, "{change}");
        firewall.rebuild(&all);
        assert_eq!(
            bed.alice.ask("udp 10.88.1.1:53").as_deref(),
            Some("10.88.1.2"),
            "after {change}"
        );
    }
    // A missing element is a tenant that differs, not an incomplete table.
    bed.host
        .command("nft", "delete element inet maliknode ours { \"wg1\" }");
    let now = firewall.observe();
    assert!(now.complete && !now.tenants[&Slot::FIRST].listed);
    // Acting on what no longer stands fails whole; looking again mends it.
    let stale = FirewallChange {
        remove: [(Slot::FIRST, ObservedFirewallTenant::of(&all[0]))].into(),
        ..FirewallChange::default()
    };
    let error = firewall.try_apply(stale).unwrap_err();
    assert!(error.sentence.contains("another program"), "{error}");
    assert_eq!(firewall.observe(), now);
    firewall.set(&all[0]);
    assert!(firewall.observe().tenants[&Slot::FIRST].listed);
}

#[test]
fn dockers_and_ufws_drop_policy_lets_our_packets_pass_and_only_ours() {
    let bed = served();
    let firewall = Tested::new(&bed.host, FirewallSettings::default());
    let iptables = |args: &str| bed.host.command("iptables", args);
    let all = [tenant(1, &[2, 3])];
    let works = || {
        let answers = bed.alice.probe(&[
            "udp 10.88.1.1:53",
            "tcp 10.88.1.1:53",
            "tcp 203.0.113.80:443",
            "tcp 10.88.1.3:9000",
        ]);
        answers.iter().all(Option::is_some)
    };
    firewall.rebuild(&all);
    assert!(works() && !iptables("-S").contains("maliknode"));
    // ufw: the policy alone.
    iptables("-P FORWARD DROP");
    assert!(!works() && !firewall.observe().complete);
    firewall.rebuild(&all);
    assert!(works() && iptables("-S FORWARD").contains("maliknode"));
    // Docker comes: DOCKER-USER is called first, and its own chains drop.
    iptables("-F FORWARD");
    iptables("-N DOCKER-USER");
    iptables("-A DOCKER-USER -j RETURN");
    iptables("-A FORWARD -j DOCKER-USER");
    assert!(!works() && !firewall.observe().complete);
    firewall.rebuild(&all);
    assert!(works() && iptables("-S DOCKER-USER").contains("maliknode"));
    // Others' packets still meet the policy.
    assert_eq!(bed.neighbour.ask("tcp 198.51.100.2:80"), None);
    assert_eq!(bed.alice.ask("tcp 192.168.77.2:80"), None);
    // Nothing of ours stays behind.
    firewall
        .with(|nft| async move { nft.remove_all().await })
        .unwrap();
    firewall
        .with(|nft| async move { nft.remove_all().await })
        .unwrap();
    let left = iptables("-S") + &bed.host.command("nft", "list ruleset");
    assert!(!left.contains("maliknode"), "{left}");
}

#[test]
fn changes_by_another_hand_are_told_and_our_own_are_not() {
    let bed = Bed::new();
    let firewall = Tested::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[])]);
    let nft = firewall.nft.clone();
    let (ready, go) = std::sync::mpsc::channel();
    let (tell, told) = std::sync::mpsc::channel();
    bed.host.start(move || {
        runtime().block_on(async move {
            let mut events = nft.events();
            ready.send(()).unwrap();
            while events.next().await.is_some() {
                if tell.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
    });
    go.recv().unwrap();
    let quiet = Duration::from_millis(600);
    firewall.set(&tenant(1, &[2]));
    firewall.rebuild(&[tenant(1, &[2, 3])]);
    firewall.observe();
    assert!(
        told.recv_timeout(quiet).is_err(),
        "our own changes are silent"
    );
    bed.host.command("nft", "add table inet other");
    assert!(
        told.recv_timeout(quiet).is_err(),
        "others' tables are no matter"
    );
    for (program, args) in [
        ("nft", "flush ruleset"),
        ("iptables", "-P FORWARD DROP"),
        ("iptables", "-N DOCKER-USER"),
    ] {
        let start = Instant::now();
        bed.host.command(program, args);
        let at = told
            .recv_timeout(Duration::from_secs(5))
            .unwrap_or_else(|_| panic!("{args}"));
        eprintln!("{program} {args}: told after {:?}", at - start);
        assert!(told.recv_timeout(quiet).is_err(), "once is enough");
    }
}

#[test]
fn a_thousand_tenants_load_at_once_and_one_change_stays_small() {
    let host = Namespace::new();
    let firewall = Tested::new(&host, FirewallSettings::default());
    let mesh: Vec<u8> = (2..12).collect();
    let all: Vec<_> = (1..=1000).map(|n| tenant(n, &mesh)).collect();
    let timed = |what: &str, work: &dyn Fn()| {
        let start = Instant::now();
        work();
        let took = start.elapsed();
        eprintln!("{what}: {took:.1?}");
        took
    };
    for (n, tenants) in [(1, &all[..1]), (1000, &all[..])] {
        let set: Vec<_> = tenants
            .iter()
            .map(|t| (ObservedFirewallTenant::default(), t.clone()))
            .collect();
        let load = FirewallChange {
            rebuild: true,
            set,
            ..FirewallChange::default()
        };
        let took = timed(&format!("load {n} tenants, 10 mesh devices each"), &|| {
            firewall.apply(load.clone())
        });
        assert!(took < Duration::from_secs(10));
        timed("  observe by nft", &|| drop(firewall.observe()));
        timed("  observe unchanged", &|| drop(firewall.observe()));
        let last = tenant(n, &mesh);
        let stands = ObservedFirewallTenant::of(&last);
        let gone = FirewallChange {
            remove: [(last.slot, stands.clone())].into(),
            ..FirewallChange::default()
        };
        timed("  delete a tenant", &|| firewall.apply(gone.clone()));
        let come = FirewallChange {
            set: vec![(ObservedFirewallTenant::default(), last.clone())],
            ..FirewallChange::default()
        };
        timed("  add a tenant", &|| firewall.apply(come.clone()));
        timed("  observe after own changes", &|| {
            assert_eq!(firewall.observe().tenants[&last.slot], stands)
        });
        let device = FirewallChange {
            set: vec![(stands.clone(), tenant(n, &mesh[1..]))],
            ..FirewallChange::default()
        };
        timed("  take a device from the mesh", &|| {
            firewall.apply(device.clone())
        });
        assert!(firewall.observe().complete);
        // What was derived is what stands.
        let known = firewall.observe();
        let fresh = Tested::new(&host, FirewallSettings::default());
        assert_eq!(fresh.observe(), known);
    }
}
