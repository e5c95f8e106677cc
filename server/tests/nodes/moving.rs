//! Tenants that move between machines: one is moved, a machine is drained, one is lost.
//! Devices keep the configuration that they have.

use crate::{
    ALLOWED, adguard_home,
    cluster::{Cluster, exclusive_bed},
    internet,
    machine::text,
    netns::{self, at, flows, open_stream, tcp_reads},
    resolves,
    stack::{Device, ECHO, STREAM, Tenant, wait_for},
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    time::{Duration, Instant},
};

/// A device begins a handshake again 15 s after it sent something that was not answered
/// (WireGuard's whitepaper, 6.5), and the first of them may be lost.
const DEVICE_BACK: Duration = Duration::from_secs(25);

/// Lets machines reach each other's hosts, as over the internet.
pub fn connect_machines(cluster: &Cluster) {
    let wan = netns::var("MALIKNODE_BED_WAN");
    netns::inside(&wan, || {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("it forwards");
    });
    // The address from which a worker sends there: the userspace WireGuard answers from it.
    for worker in &cluster.workers {
        let (name, host) = (&worker.machine.name, worker.machine.outside());
        cluster.query(&format!(
            "UPDATE nodes SET host = '{host}' WHERE name = '{name}'"
        ));
    }
}

fn has_interface(cluster: &Cluster, worker: usize, slot: u16) -> bool {
    let links = cluster.workers[worker].machine.run(&["ip", "-o", "link"]);
    links.contains(&format!(" wg{slot}:"))
}

/// Waits until a device's traffic and DNS work, and returns how long that took.
pub fn wait_until_back(device: &Device, tenant: &Tenant) -> Duration {
    let begun = Instant::now();
    wait_for("the device is back", DEVICE_BACK, || {
        let is_back = resolves(device, tenant.gateway)
            && tcp_reads(&device.namespace, at(internet(), ECHO)).is_some();
        is_back.then_some(())
    });
    begun.elapsed()
}

/// A setting that a tenant makes in AdGuard Home itself.
pub fn add_rewrite(tenant: &mut Tenant, domain: &str) {
    let body = format!("{{\"domain\":\"{domain}\",\"answer\":\"192.0.2.77\"}}");
    adguard_home::post(tenant, "rewrite/add", &body);
}

/// Returns how many queries AdGuard Home has counted.
fn queries(tenant: &mut Tenant) -> u64 {
    let text = adguard_home::get(tenant, "stats");
    let stats: serde_json::Value = serde_json::from_str(&text).expect("statistics in JSON");
    stats["num_dns_queries"].as_u64().expect("a number")
}

/// Asserts that AdGuard Home has what it had before: a rule and a rewrite of the tenant, its
/// statistics and its log.
fn assert_has_data(tenant: &mut Tenant, rewrite: &str, counted: u64) {
    let rules = adguard_home::get(tenant, "filtering/status");
    assert!(rules.contains("||own-rule.example^"), "{rules}");
    let rewrites = adguard_home::get(tenant, "rewrite/list");
    assert!(rewrites.contains(rewrite), "{rewrites}");
    let now = queries(tenant);
    assert!(now >= counted, "{counted} queries before, {now} now");
    let log = adguard_home::get(tenant, "querylog?limit=500");
    assert!(log.contains(ALLOWED), "{log}");
}

fn kinds(cluster: &Cluster, tenant: &str) -> Vec<String> {
    let events = cluster.events(Some(tenant)).into_iter();
    let kinds = events.filter_map(|e| e["kind"].as_str().map(str::to_owned));
    kinds.collect()
}

#[test]
fn a_tenant_moves_and_its_device_goes_on() {
    let _bed = exclusive_bed();
    let mut cluster = Cluster::start("moving", 2);
    connect_machines(&cluster);
    let mut mona = cluster.sign_up_on("w1", "mona");
    let (_, slot) = cluster.id_and_slot("mona");
    let phone = cluster.add_device(&mut mona, 0, 0, "Phone", "everything");
    wait_until_back(&phone, &mona);
    let outside = cluster.workers[0].machine.outside().to_string();
    let seen = tcp_reads(&phone.namespace, at(internet(), ECHO));
    assert_eq!(seen, Some(outside), "by the first machine");
    cluster.open_only(&["w1", "w2"]);

    // What it sets in AdGuard Home itself, and what that has counted.
    let rule = "{\"rules\":[\"||own-rule.example^\"]}";
    adguard_home::post(&mut mona, "filtering/set_rules", rule);
    add_rewrite(&mut mona, "first.example.test");
    for _ in 0..20 {
        assert!(resolves(&phone, mona.gateway));
    }
    let counted = queries(&mut mona);
    assert!(counted >= 20, "{counted} queries");

    // What cannot be is refused.
    for (arguments, says) in [
        (
            &["tenant", "move", "mona", "--to", "w1"][..],
            "is on w1 already",
        ),
        (
            &["tenant", "move", "mona", "--to", "w9", "--without-data"],
            "No node is called w9",
        ),
        (&["tenant", "move", "absent", "--without-data"], "absent"),
        (&["node", "lose", "w1"], "is heard"),
    ] {
        let out = cluster.command(arguments);
        assert!(
            !out.status.success() && text(&out).contains(says),
            "{}",
            text(&out)
        );
    }

    let begun = Instant::now();
    let moved = cluster.command(&["tenant", "move", "mona", "--to", "w2"]);
    assert!(moved.status.success(), "{}", text(&moved));
    assert!(text(&moved).contains("mona is on w2."), "{}", text(&moved));
    println!("the command took {:?}", begun.elapsed());
    assert_eq!(cluster.node_of(&mona), "w2");
    let back = wait_until_back(&phone, &mona);
    println!("the device was back after {back:?}");
    // Through its former machine, which it connects to, and the new one.
    let outside = cluster.workers[1].machine.outside().to_string();
    let seen = tcp_reads(&phone.namespace, at(internet(), ECHO));
    assert_eq!(seen, Some(outside), "by the second machine");
    let mut stream = open_stream(&phone.namespace, at(internet(), STREAM)).expect("a stream");
    assert!(flows(&mut stream));
    wait_for(
        "it has left the first machine",
        Duration::from_secs(20),
        || {
            let machine = &cluster.workers[0].machine;
            let has_left = !has_interface(&cluster, 0, slot) && machine.container("mona").is_none();
            has_left.then_some(())
        },
    );
    assert!(cluster.workers[0].root().join("users/user_mona").exists());
    assert!(has_interface(&cluster, 1, slot));
    // A new configuration has the new machine's host; pages show what it reports.
    let host = cluster.workers[1].machine.outside().to_string();
    let page = mona.get(&format!("/devices/{}/config", phone.id));
    assert!(
        page.body.contains(&format!("Endpoint = {host}:")),
        "{}",
        page.body
    );
    wait_for("it is shown as connected", Duration::from_secs(20), || {
        mona.get("/devices")
            .body
            .contains("Connected")
            .then_some(())
    });
    let kinds_now = kinds(&cluster, "mona");
    let with_data = "tenant.moved_with_data".to_owned();
    assert!(kinds_now.contains(&with_data), "{kinds_now:?}");
    assert_has_data(&mut mona, "first.example.test", counted);
    let data = cluster.workers[1]
        .root()
        .join("users/user_mona/adguard_data");
    let owner = fs::metadata(data.join("work/data"))
        .expect("it exists")
        .uid();
    assert_eq!(owner, 300_000 + u32::from(slot));
    add_rewrite(&mut mona, "second.example.test");
    let counted = queries(&mut mona);

    // The second machine is drained: back to the first, where its slot was kept.
    let drained = cluster.command(&["node", "drain", "w2", "--json"]);
    assert!(drained.status.success(), "{}", text(&drained));
    assert_eq!(cluster.node_of(&mona), "w1");
    println!(
        "back after the drain in {:?}",
        wait_until_back(&phone, &mona)
    );
    // What it had left there is older, and replaced.
    assert_has_data(&mut mona, "second.example.test", counted);
    for worker in &cluster.workers {
        let users = fs::read_dir(worker.root().join("users")).expect("a folder");
        let names = users.map(|e| e.expect("an entry").file_name());
        let names: Vec<_> = names.filter(|n| *n != "user_mona").collect();
        assert!(names.is_empty(), "{names:?}");
    }
    let standing = |name: &str| {
        let nodes = cluster.list();
        let node = nodes.iter().find(|n| n["name"] == name).expect("the node");
        node["standing"].clone()
    };
    assert_eq!(standing("w2"), "closed");

    // The first machine is stolen: the tenant is placed on the second again.
    cluster.open_only(&["w2"]);
    let revoked = cluster.command(&["node", "revoke", "w1"]);
    assert!(revoked.status.success(), "{}", text(&revoked));
    let lost = cluster.command(&["node", "lose", "w1"]);
    assert!(lost.status.success(), "{}", text(&lost));
    assert_eq!(cluster.node_of(&mona), "w2");
    wait_for(
        "the second machine serves it",
        Duration::from_secs(20),
        || has_interface(&cluster, 1, slot).then_some(()),
    );
}

/// The rate of the worker's line while a copy is interrupted.
const SLOW: &str = "16mbit";

#[test]
fn a_copy_that_is_interrupted_leaves_the_tenant_where_it_is() {
    let _bed = exclusive_bed();
    let mut cluster = Cluster::start("copying", 2);
    connect_machines(&cluster);
    let mut nora = cluster.sign_up_on("w1", "nora");
    let phone = cluster.add_device(&mut nora, 0, 0, "Phone", "everything");
    wait_until_back(&phone, &nora);
    add_rewrite(&mut nora, "first.example.test");
    cluster.open_only(&["w1", "w2"]);
    // 100 MB take 50 s on this line.
    let data = cluster.workers[0]
        .root()
        .join("users/user_nora/adguard_data/work/data");
    let owner = fs::metadata(&data).expect("it exists").uid();
    let large = data.join("large.bin");
    fs::write(&large, vec![7; 100 << 20]).expect("a file");
    chown(&large, Some(owner), Some(owner)).expect("it is given away");
    let line = [
        "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", SLOW,
    ];
    let burst = ["burst", "128kb", "latency", "400ms"];
    cluster.workers[0]
        .machine
        .run(&[&line[..], &burst[..]].concat());
    let staging = cluster.workers[1].root().join("users/.incoming_user_nora");
    let is_copying = |cluster: &Cluster| {
        let copied = cluster.query("SELECT copied_bytes FROM moves");
        copied
            .trim()
            .parse::<u64>()
            .is_ok_and(|bytes| bytes > 1 << 20)
    };
    let begin = |cluster: &Cluster| {
        let begun = cluster.command(&["tenant", "move", "nora", "--to", "w2", "--no-wait"]);
        assert!(begun.status.success(), "{}", text(&begun));
        wait_for("it is copied", Duration::from_secs(30), || {
            (is_copying(cluster) && staging.exists()).then_some(())
        });
        let moves = cluster.command(&["node", "moves"]);
        assert!(text(&moves).contains("copied"), "{}", text(&moves));
    };
    let assert_stays = |cluster: &mut Cluster, nora: &mut Tenant| {
        wait_for("the move has failed", Duration::from_secs(60), || {
            let problem = cluster.query("SELECT problem FROM moves WHERE problem IS NOT NULL");
            (!problem.trim().is_empty()).then_some(())
        });
        assert_eq!(cluster.node_of(nora), "w1");
        assert!(resolves(&phone, nora.gateway));
        assert!(kinds(cluster, "nora").contains(&"tenant.move_failed".to_owned()));
        let cancelled = cluster.command(&["tenant", "move", "nora", "--cancel"]);
        assert!(cancelled.status.success(), "{}", text(&cancelled));
    };

    // The new machine dies.
    begin(&cluster);
    cluster.workers[1].kill();
    assert_stays(&mut cluster, &mut nora);
    cluster.workers[1].start();
    wait_for("it is heard again", Duration::from_secs(30), || {
        let nodes = cluster.list();
        let node = nodes.iter().find(|n| n["name"] == "w2").expect("the node");
        node["problems"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(())
    });

    // The former machine dies; its tunnels and its AdGuard Home go on.
    begin(&cluster);
    cluster.workers[0].kill();
    assert!(resolves(&phone, nora.gateway));
    cluster.workers[0].start();
    assert_stays(&mut cluster, &mut nora);
    wait_for("what came is removed", Duration::from_secs(60), || {
        (!staging.exists()).then_some(())
    });

    // On a line that is not slow it goes, with everything.
    let line = ["tc", "qdisc", "delete", "dev", "eth0", "root"];
    cluster.workers[0].machine.run(&line);
    wait_for("it is moved", Duration::from_secs(120), || {
        let moved = cluster.command(&["tenant", "move", "nora", "--to", "w2"]);
        let has_moved = moved.status.success() || cluster.node_of(&nora) == "w2";
        has_moved.then_some(())
    });
    wait_until_back(&phone, &nora);
    let rewrites = adguard_home::get(&mut nora, "rewrite/list");
    assert!(rewrites.contains("first.example.test"), "{rewrites}");
}
