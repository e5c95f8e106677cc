//! Moves between the control plane's own node and a worker, and a control plane that is
//! killed while a tenant's folder is copied.

use crate::{
    adguard_home,
    cluster::{Cluster, LOCAL, exclusive_bed},
    internet,
    machine::{Worker, text},
    moving::{add_rewrite, connect_machines, wait_until_back},
    netns::{self, at, tcp_reads},
    resolves,
    several::Several,
    stack::{Tenant, wait_for},
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    time::Duration,
};

/// The bytes of a large file of AdGuard Home.
const LARGE: u64 = 60 << 20;

fn assert_has_rewrites(tenant: &mut Tenant, expected: &[&str]) {
    let rewrites = adguard_home::get(tenant, "rewrite/list");
    for domain in expected {
        assert!(rewrites.contains(domain), "{domain}: {rewrites}");
    }
}

/// Waits until each control plane hears that the tenant's filter answers, and not the fallback.
fn wait_for_filter(tenant: &mut Tenant) {
    wait_for("the filter answers", Duration::from_secs(30), || {
        let mut answers = || tenant.get("/").body.contains("DNS answering");
        (answers() && answers()).then_some(())
    });
}

/// Returns whether the host under test has the tunnel of a slot.
fn is_here(slot: u16) -> bool {
    Path::new(&format!("/sys/class/net/wg{slot}")).exists()
}

#[test]
fn a_tenant_moves_from_the_control_planes_node_and_back() {
    let _bed = exclusive_bed();
    let mut cluster = Cluster::start("local", 1);
    connect_machines(&cluster);
    let mut lena = cluster.sign_up_on(LOCAL, "lena");
    let (_, slot) = cluster.id_and_slot("lena");
    let phone = cluster
        .stack
        .add_device(&mut lena, "c1", "Phone", "everything", true);
    wait_until_back(&phone, &lena);
    wait_for_filter(&mut lena);
    let here = netns::var("MALIKNODE_BED_HOST");
    let seen = || tcp_reads(&phone.namespace, at(internet(), crate::stack::ECHO));
    assert_eq!(seen(), Some(here.clone()), "by the control plane's machine");
    add_rewrite(&mut lena, "first.example.test");
    cluster.open_only(&[LOCAL, "w1"]);

    let moved = cluster.command(&["tenant", "move", "lena", "--to", "w1"]);
    assert!(moved.status.success(), "{}", text(&moved));
    assert_eq!(cluster.node_of(&lena), "w1");
    let back = wait_until_back(&phone, &lena);
    println!("the device was back after {back:?}");
    let there = cluster.workers[0].machine.outside().to_string();
    assert_eq!(seen(), Some(there), "by the worker");
    wait_for("it has left this machine", Duration::from_secs(20), || {
        (!is_here(slot)).then_some(())
    });
    assert_has_rewrites(&mut lena, &["first.example.test"]);
    add_rewrite(&mut lena, "second.example.test");
    // A device that knows the worker's host alone.
    let tablet = cluster.add_device(&mut lena, 0, 0, "Tablet", "everything");
    wait_until_back(&tablet, &lena);

    let moved = cluster.command(&["tenant", "move", "lena", "--to", LOCAL]);
    assert!(moved.status.success(), "{}", text(&moved));
    assert_eq!(cluster.node_of(&lena), LOCAL);
    let back = [&phone, &tablet].map(|device| wait_until_back(device, &lena));
    println!("the devices were back after {back:?}");
    assert_eq!(seen(), Some(here), "by the control plane's machine again");
    assert!(is_here(slot));
    wait_for("it has left the worker", Duration::from_secs(20), || {
        let machine = &cluster.workers[0].machine;
        let links = machine.run(&["ip", "-o", "link"]);
        let has_left =
            !links.contains(&format!(" wg{slot}:")) && machine.container("lena").is_none();
        has_left.then_some(())
    });
    assert_has_rewrites(&mut lena, &["first.example.test", "second.example.test"]);
}

/// Gives a tenant's AdGuard Home a file that takes long to copy.
fn add_large_file(worker: &Worker, tenant: &str) {
    let data = data_of(worker, tenant);
    let owner = fs::metadata(&data).expect("it exists").uid();
    let large = data.join("large.bin");
    let bytes = vec![7; usize::try_from(LARGE).expect("it fits")];
    fs::write(&large, bytes).expect("a file");
    chown(&large, Some(owner), Some(owner)).expect("it is given away");
}

fn data_of(worker: &Worker, tenant: &str) -> PathBuf {
    let data = format!("users/user_{tenant}/adguard_data/work/data");
    worker.root().join(data)
}

/// Returns the number, from 1, of the control plane that has the lease to carry moves out.
fn carries_moves(several: &Several) -> usize {
    let holder = several
        .cluster
        .query("SELECT holder FROM leases WHERE name = 'jobs'");
    let all = several
        .cluster
        .query("SELECT id, address FROM control_planes ORDER BY address");
    let place = all
        .lines()
        .position(|line| line.starts_with(&format!("{}|", holder.trim())));
    1 + place.unwrap_or_else(|| panic!("{holder} is none of {all}"))
}

#[test]
fn a_control_plane_that_dies_while_it_copies_loses_nothing() {
    let _bed = exclusive_bed();
    let mut several = Several::start("dying", 2, 2);
    connect_machines(&several.cluster);
    let mut nora = several.cluster.sign_up_on("w1", "nora");
    let phone = several
        .cluster
        .add_device(&mut nora, 0, 0, "Phone", "everything");
    wait_until_back(&phone, &nora);
    wait_for_filter(&mut nora);
    add_rewrite(&mut nora, "first.example.test");
    several.cluster.open_only(&["w1", "w2"]);
    add_large_file(&several.cluster.workers[0], "nora");
    let slow = "tc qdisc add dev eth0 root tbf rate 16mbit burst 128kb latency 400ms";
    let slow: Vec<_> = slow.split(' ').collect();
    several.cluster.workers[0].machine.run(&slow);
    let begun = several
        .cluster
        .command(&["tenant", "move", "nora", "--to", "w2", "--no-wait"]);
    assert!(begun.status.success(), "{}", text(&begun));
    let staging = several.cluster.workers[1]
        .root()
        .join("users/.incoming_user_nora");
    wait_for("it is copied", Duration::from_secs(30), || {
        let copied = several.cluster.query("SELECT copied_bytes FROM moves");
        let copied = copied.trim().parse::<u64>();
        (copied.is_ok_and(|bytes| bytes > 1 << 20) && staging.exists()).then_some(())
    });

    let victim = carries_moves(&several);
    match victim {
        1 => several.cluster.stack.kill(),
        n => several.others[n - 2].kill(),
    }
    println!("control plane {victim} was killed");
    assert_eq!(
        several.cluster.node_of(&nora),
        "w1",
        "it stays where it was"
    );
    assert!(resolves(&phone, nora.gateway));
    assert!(tcp_reads(&phone.namespace, at(internet(), crate::stack::ECHO)).is_some());
    assert_has_rewrites(&mut nora, &["first.example.test"]);

    // The other one goes on with the move, as soon as the lease is its.
    let whole = ["tc", "qdisc", "delete", "dev", "eth0", "root"];
    several.cluster.workers[0].machine.run(&whole);
    wait_for("it arrives", Duration::from_secs(120), || {
        assert!(resolves(&phone, nora.gateway) || several.cluster.node_of(&nora) == "w2");
        (several.cluster.node_of(&nora) == "w2").then_some(())
    });
    wait_until_back(&phone, &nora);
    wait_for_filter(&mut nora);
    assert_has_rewrites(&mut nora, &["first.example.test"]);
    let large = data_of(&several.cluster.workers[1], "nora").join("large.bin");
    let bytes = fs::metadata(large).expect("it has arrived").len();
    assert_eq!(bytes, LARGE);
    wait_for("nothing of a copy is left", Duration::from_secs(60), || {
        let left = several.cluster.workers.iter().any(|worker| {
            let users = fs::read_dir(worker.root().join("users")).expect("a folder");
            users
                .map(|e| e.expect("an entry").file_name())
                .any(|name| name.to_string_lossy().starts_with('.'))
        });
        (!left && several.cluster.query("SELECT count(*) FROM moves").trim() == "0").then_some(())
    });
    let logs = several.logs();
    assert!(!logs.contains("panicked"), "{logs}");
}
