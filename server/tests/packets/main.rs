//! Packet tests: the real binary, a real Docker engine, the real AdGuard Home,
//! and clients in namespaces. The clients use the configuration that the HTTP
//! interface returned and wireguard-go, another WireGuard implementation than
//! ours.
//!
//! They run in a test bed only: `./dev test packets`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod boot_table;
#[allow(dead_code, reason = "the fault tests use the rest")]
mod browser;
mod containers;
mod crowd;
mod dns;
mod dual_stack;
mod files;
mod iperf;
mod moving;
mod names;
mod neighbours;
mod neighbours_tunnel;
mod netns;
mod plans;
#[path = "../../../crates/store/tests/contract/postgres.rs"]
mod postgres;
mod proxies;
mod raw;
#[allow(dead_code, reason = "the fault tests use the rest")]
mod stack;
mod tenancies;

use dns::{Answer, ask_tcp, ask_udp};
use netns::{at, flows, open_stream, pings, tcp_reaches, tcp_reads, udp_reaches};
use stack::{Device, ECHO, PORT, STREAM, Stack, eventually};
use std::{
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Waits for exclusive use of the bed: each scenario starts with an empty root.
fn exclusive_bed() -> MutexGuard<'static, ()> {
    static BED: Mutex<()> = Mutex::new(());
    BED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name on the starter list, which works without a download.
const LISTED: &str = "doubleclick.net";
const ALLOWED: &str = "allowed.example.test";

/// Returns the address that the test upstream gives for every name.
fn internet() -> Ipv4Addr {
    netns::address("MALIKNODE_BED_INTERNET")
}

fn host() -> Ipv4Addr {
    netns::address("MALIKNODE_BED_HOST")
}

fn blocked(a: Answer) -> bool {
    matches!(a, Answer::Address(Ipv4Addr::UNSPECIFIED) | Answer::Empty(_))
}

/// Plays every scenario over one stack, which takes a minute to start.
#[test]
fn devices_are_connected_filtered_and_isolated() {
    let _bed = exclusive_bed();
    let mut stack = Stack::start();
    let mut alice = stack.sign_up("alice");
    let mut bob = stack.sign_up("bobby");
    assert_ne!(alice.gateway, bob.gateway);

    let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
    let laptop = stack.add_device(&mut alice, "c2", "Laptop", "everything", true);
    let bobs = stack.add_device(&mut bob, "c3", "Phone", "everything", true);

    dns_is_filtered(&phone, alice.gateway);
    traffic_is_masqueraded(&phone);
    a_second_tenant_reaches_nothing(&bobs, &phone, alice.gateway);
    the_host_and_private_ranges_are_closed(&phone);
    mesh_can_be_switched(&mut alice, &phone, &laptop);
    a_new_device_disturbs_no_other(&mut stack, &mut alice, &phone, &laptop);
    policies_are_per_device(&mut alice, &phone, &laptop);
    a_server_restart_keeps_streams(&mut stack, &phone);
    a_deleted_device_loses_its_running_flow(&mut alice, &phone, &laptop);
    files_are_private_and_wg_accepts_the_configuration(&stack);
    a_deleted_tenant_leaves_nothing(&stack, &mut bob);
    secrets_stay_out_of_the_log(&stack);
}

fn dns_is_filtered(phone: &Device, gateway: Ipv4Addr) {
    for (how, ask) in [
        ("UDP", ask_udp as fn(&str, Ipv4Addr, &str) -> Answer),
        ("TCP", ask_tcp),
    ] {
        assert_eq!(
            ask(&phone.namespace, gateway, ALLOWED),
            Answer::Address(internet()),
            "allowed over {how}"
        );
        assert!(
            blocked(ask(&phone.namespace, gateway, LISTED)),
            "listed over {how}"
        );
    }
    assert!(pings(&phone.namespace, gateway), "the gateway answers ping");
}

fn traffic_is_masqueraded(phone: &Device) {
    let address = tcp_reads(&phone.namespace, at(internet(), ECHO));
    assert_eq!(
        address,
        Some(host().to_string()),
        "the internet sees the server's address"
    );
    assert!(udp_reaches(&phone.namespace, at(internet(), ECHO)));
}

fn a_second_tenant_reaches_nothing(bobs: &Device, phone: &Device, gateway: Ipv4Addr) {
    netns::serve(&phone.namespace, phone.address, 9000);
    let from = &bobs.namespace;
    assert_eq!(
        ask_udp(from, gateway, ALLOWED),
        Answer::Timeout,
        "the other's gateway"
    );
    assert!(!pings(from, gateway), "the other's gateway, ping");
    assert!(!pings(from, phone.address), "the other's device, ping");
    assert!(
        !tcp_reaches(from, at(phone.address, 9000)),
        "the other's device, TCP"
    );
    assert!(
        !udp_reaches(from, at(phone.address, 9000)),
        "the other's device, UDP"
    );
    // The container of slot n is at 10.92.1.n (domain::AddressPlan).
    for slot in [1, 2] {
        let container = Ipv4Addr::new(10, 92, 1, slot);
        assert!(
            !tcp_reaches(from, at(container, 3000)),
            "container {slot}, UI"
        );
        assert_eq!(
            ask_tcp(from, container, ALLOWED),
            Answer::Timeout,
            "container {slot}, DNS"
        );
        assert!(!pings(from, container), "container {slot}, ping");
    }
    assert!(!tcp_reaches(from, at(gateway, 3000)));
}

fn the_host_and_private_ranges_are_closed(phone: &Device) {
    let own_gateway = Ipv4Addr::from(u32::from(phone.address) & 0xffff_ff00 | 1);
    // The host's outer address is left out: c1 reaches it outside the tunnel. The firewall's own
    // packet tests cover it.
    for target in [
        own_gateway,
        Ipv4Addr::new(10, 92, 0, 1),
        Ipv4Addr::new(172, 31, 255, 1),
    ] {
        assert!(
            !tcp_reaches(&phone.namespace, at(target, PORT)),
            "the dashboard's port at {target}"
        );
        assert!(
            !tcp_reaches(&phone.namespace, at(target, 22)),
            "ssh at {target}"
        );
    }
    assert!(
        !udp_reaches(
            &phone.namespace,
            at(Ipv4Addr::new(169, 254, 169, 254), ECHO)
        ),
        "the cloud's metadata address"
    );
}

fn mesh_can_be_switched(alice: &mut stack::Tenant, phone: &Device, laptop: &Device) {
    netns::serve_stream(&laptop.namespace, 9001);
    let mut stream = open_stream(&phone.namespace, at(laptop.address, 9001))
        .expect("two mesh devices reach each other");
    assert!(flows(&mut stream));
    let page = alice.post("/do/set_device", &[("id", &laptop.id), ("mesh", "off")]);
    assert_eq!(page.status, 200, "{}", page.body);
    eventually("leaving the mesh ends the running flow", || {
        !flows(&mut stream)
    });
    assert!(!tcp_reaches(&phone.namespace, at(laptop.address, 9001)));
    alice.post("/do/set_device", &[("id", &laptop.id), ("mesh", "on")]);
    assert!(
        tcp_reaches(&phone.namespace, at(laptop.address, 9001)),
        "switched on again"
    );
}

fn a_new_device_disturbs_no_other(
    stack: &mut Stack,
    alice: &mut stack::Tenant,
    phone: &Device,
    laptop: &Device,
) {
    let before = (phone.handshake(), laptop.handshake());
    let mut stream =
        open_stream(&phone.namespace, at(internet(), STREAM)).expect("the internet is reached");
    let third = stack.add_device(alice, "c4", "Tablet", "network", false);
    assert!(flows(&mut stream), "a running flow continues");
    assert_eq!(
        (phone.handshake(), laptop.handshake()),
        before,
        "no new session was started"
    );
    assert!(
        !tcp_reaches(&third.namespace, at(laptop.address, 9001)),
        "a device outside the mesh"
    );
    assert!(
        !tcp_reaches(&third.namespace, at(internet(), ECHO)),
        "it routes its own network only"
    );
    third.disconnect();
}

fn policies_are_per_device(alice: &mut stack::Tenant, phone: &Device, laptop: &Device) {
    alice.post("/do/set_device", &[("id", &laptop.id), ("policy", "off")]);
    let gateway = alice.gateway;
    eventually("policy off blocks nothing", || {
        ask_udp(&laptop.namespace, gateway, LISTED) == Answer::Address(internet())
    });
    assert!(
        blocked(ask_udp(&phone.namespace, gateway, LISTED)),
        "the other device is filtered as before"
    );
}

fn a_server_restart_keeps_streams(stack: &mut Stack, phone: &Device) {
    let mut stream =
        open_stream(&phone.namespace, at(internet(), STREAM)).expect("the internet is reached");
    stack.kill_and_restart();
    assert!(
        flows(&mut stream),
        "an open stream survives a SIGKILL of the server"
    );
}

fn a_deleted_device_loses_its_running_flow(
    alice: &mut stack::Tenant,
    phone: &Device,
    laptop: &Device,
) {
    let mut stream =
        open_stream(&laptop.namespace, at(internet(), STREAM)).expect("the internet is reached");
    assert!(flows(&mut stream));
    let page = alice.post("/do/delete_device", &[("id", &laptop.id)]);
    assert_eq!(page.status, 200, "{}", page.body);
    // The response says that the device is cut off, so nothing is waited for.
    assert!(!flows(&mut stream), "the deleted device's flow");
    assert_eq!(
        ask_udp(&laptop.namespace, alice.gateway, ALLOWED),
        Answer::Timeout
    );
    assert_eq!(
        ask_udp(&phone.namespace, alice.gateway, ALLOWED),
        Answer::Address(internet()),
        "the other device"
    );
    assert_eq!(alice.get(&format!("/devices/{}", laptop.id)).status, 404);
}

fn files_are_private_and_wg_accepts_the_configuration(stack: &Stack) {
    let mode = |p: &std::path::Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    let dir = stack.root().join("users/user_alice");
    let conf = dir.join("wg1.conf");
    assert_eq!(
        (mode(&dir), mode(&conf), mode(&dir.join("keys"))),
        (0o700, 0o600, 0o700)
    );
    assert!(
        dir.join("adguard_data/conf/AdGuardHome.yaml").exists()
            && dir.join("adguard_data/work").is_dir()
    );
    // wireguard-tools itself must accept the file as it is.
    netns::run("c4", &["wireguard-go", "scratch0"]);
    netns::run(
        "c4",
        &["wg", "setconf", "scratch0", &conf.to_string_lossy()],
    );
    let shown = netns::run("c4", &["wg", "show", "scratch0", "peers"]);
    assert_eq!(
        String::from_utf8_lossy(&shown.stdout).lines().count(),
        2,
        "phone and tablet"
    );
    netns::run("c4", &["ip", "link", "del", "scratch0"]);
}

fn a_deleted_tenant_leaves_nothing(stack: &Stack, bob: &mut stack::Tenant) {
    let page = bob.post("/do/delete_account", &[("name", "bobby")]);
    assert!(page.status < 500, "{}", page.body);
    let out = |program: &str, args: &[&str]| {
        let out = std::process::Command::new(program)
            .args(args)
            .output()
            .expect("the tool runs");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    const LABEL: &str = "{{.Label \"maliknode.name\"}}";
    eventually("interface, elements, container and folder are gone", || {
        !out("ip", &["-o", "link"]).contains(" wg2:")
            && !out("nft", &["list", "table", "inet", "maliknode"]).contains("\"wg2\"")
            && !out("docker", &["ps", "-a", "--format", LABEL]).contains("bobby")
            && !stack.root().join("users/user_bobby").exists()
    });
    assert!(out("docker", &["ps", "--format", LABEL]).contains("adguard_user_alice"));
}

fn secrets_stay_out_of_the_log(stack: &Stack) {
    let log = stack.log();
    assert!(!log.contains("correct horse"), "a password in the log");
    let key =
        std::fs::read_to_string(stack.root().join("users/user_alice/keys/private.key")).unwrap();
    assert!(!log.contains(key.trim()), "a private key in the log");
}
