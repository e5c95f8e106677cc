//! Tests of external changes of the tables, and of the cost of reading and writing
//! them.

use crate::{
    bed::{Bed, Namespace},
    fixture::{TestFirewall, runtime, served, tenant},
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
fn a_changed_table_is_noticed_and_rebuilt() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    assert_eq!(firewall.observe(), ObservedFirewall::default());
    let all = [tenant(1, &[2]), tenant(2, &[])];
    firewall.rebuild(&all);
    for change in [
        "flush ruleset",
        "flush chain inet maliknode mesh_check",
        "delete table bridge maliknode",
        "delete table inet maliknode_limits",
        "flush chain inet maliknode_limits forward",
        "add rule inet maliknode_limits forward accept",
        "add chain inet maliknode_limits forward { policy drop ; }",
        "add table inet maliknode_limits { flags dormant ; }",
        "delete element bridge maliknode pairs { 02:42:0a:5c:01:01 . 10.92.1.1 }",
        "add element bridge maliknode pairs { 02:42:0a:5c:01:01 . 10.92.1.2 }",
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
    // With a missing element the tenant differs; the table is still complete.
    bed.host
        .command("nft", "delete element inet maliknode ours { \"wg1\" }");
    let now = firewall.observe();
    assert!(now.complete && !now.tenants[&Slot::FIRST].listed);
    // A change based on an outdated state fails as a whole; the next reading fixes it.
    let stale = FirewallChange {
        remove: [(Slot::FIRST, ObservedFirewallTenant::from_spec(&all[0]))].into(),
        ..FirewallChange::default()
    };
    let error = firewall.try_apply(stale).unwrap_err();
    assert_eq!(error.message, domain::Message::FirewallContended);
    assert_eq!(firewall.observe(), now);
    firewall.set(&all[0]);
    assert!(firewall.observe().tenants[&Slot::FIRST].listed);
}

#[test]
fn only_our_packets_pass_a_drop_policy() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
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
    // ufw sets the policy alone.
    iptables("-P FORWARD DROP");
    assert!(!works() && !firewall.observe().complete);
    firewall.rebuild(&all);
    assert!(works() && iptables("-S FORWARD").contains("maliknode"));
    // With Docker, DOCKER-USER is called first, and Docker's own chains drop packets.
    iptables("-F FORWARD");
    iptables("-N DOCKER-USER");
    iptables("-A DOCKER-USER -j RETURN");
    iptables("-A FORWARD -j DOCKER-USER");
    assert!(!works() && !firewall.observe().complete);
    firewall.rebuild(&all);
    assert!(works() && iptables("-S DOCKER-USER").contains("maliknode"));
    // The policy still applies to other packets.
    assert_eq!(bed.neighbour.ask("tcp 198.51.100.2:80"), None);
    assert_eq!(bed.alice.ask("tcp 192.168.77.2:80"), None);
    // The tables and the rule are all there is of ours; each one is missed.
    let delete = |table: &str| bed.host.command("nft", &format!("delete table {table}"));
    for table in [
        "inet maliknode_limits",
        "bridge maliknode",
        "inet maliknode",
    ] {
        delete(table);
        assert!(!firewall.observe().complete, "without {table}");
    }
    let rule = iptables("-S DOCKER-USER");
    let rule = rule.lines().find_map(|l| {
        l.strip_prefix("-A DOCKER-USER ")
            .filter(|l| l.contains("maliknode"))
    });
    iptables(&format!("-D DOCKER-USER {}", rule.unwrap()));
    let left = iptables("-S") + &bed.host.command("nft", "list ruleset");
    assert!(!left.contains("maliknode"), "{left}");
}

#[test]
fn only_external_changes_are_reported() {
    let bed = Bed::new();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[])]);
    let nft = firewall.nft.clone();
    let (ready, start) = std::sync::mpsc::channel();
    let (sender, reports) = std::sync::mpsc::channel();
    bed.host.start(move || {
        runtime().block_on(async move {
            let mut events = nft.events();
            ready.send(()).unwrap();
            while events.next().await.is_some() {
                if sender.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
    });
    start.recv().unwrap();
    let quiet = Duration::from_millis(600);
    firewall.set(&tenant(1, &[2]));
    firewall.rebuild(&[tenant(1, &[2, 3])]);
    firewall.observe();
    assert!(
        reports.recv_timeout(quiet).is_err(),
        "our own changes are not reported"
    );
    bed.host.command("nft", "add table inet other");
    assert!(
        reports.recv_timeout(quiet).is_err(),
        "changes of other tables are not reported"
    );
    for (program, args) in [
        ("nft", "flush ruleset"),
        ("iptables", "-P FORWARD DROP"),
        ("iptables", "-N DOCKER-USER"),
    ] {
        let start = Instant::now();
        bed.host.command(program, args);
        let at = reports
            .recv_timeout(Duration::from_secs(5))
            .unwrap_or_else(|_| panic!("{args}"));
        eprintln!("{program} {args}: reported after {:?}", at - start);
        assert!(
            reports.recv_timeout(quiet).is_err(),
            "a change is reported once"
        );
    }
}

#[test]
fn a_thousand_tenants_load_within_ten_seconds() {
    let host = Namespace::new();
    let firewall = TestFirewall::new(&host, FirewallSettings::default());
    let mesh: Vec<u8> = (2..12).collect();
    let all: Vec<_> = (1..=1000).map(|n| tenant(n, &mesh)).collect();
    let timed = |name: &str, work: &dyn Fn()| {
        let start = Instant::now();
        work();
        let took = start.elapsed();
        eprintln!("{name}: {took:.1?}");
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
        let observed = ObservedFirewallTenant::from_spec(&last);
        let removal = FirewallChange {
            remove: [(last.slot, observed.clone())].into(),
            ..FirewallChange::default()
        };
        timed("  delete a tenant", &|| firewall.apply(removal.clone()));
        let addition = FirewallChange {
            set: vec![(ObservedFirewallTenant::default(), last.clone())],
            ..FirewallChange::default()
        };
        timed("  add a tenant", &|| firewall.apply(addition.clone()));
        timed("  observe after own changes", &|| {
            assert_eq!(firewall.observe().tenants[&last.slot], observed)
        });
        let device = FirewallChange {
            set: vec![(observed.clone(), tenant(n, &mesh[1..]))],
            ..FirewallChange::default()
        };
        timed("  remove a device from the mesh", &|| {
            firewall.apply(device.clone())
        });
        assert!(firewall.observe().complete);
        // The computed state is the one that a new instance reads.
        let computed = firewall.observe();
        let fresh = TestFirewall::new(&host, FirewallSettings::default());
        assert_eq!(fresh.observe(), computed);
    }
}
