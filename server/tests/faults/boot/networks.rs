//! Starts where another network uses our address ranges.

use super::{LIMIT, failed_command};
use crate::{
    converges, engine, resolves,
    stack::{ServerOptions, Stack, operator, run_here, wait_for},
};
use std::process::Command;

#[test]
fn a_host_network_in_our_range_is_reported() {
    let _bed = crate::exclusive_bed();
    run_here(&["ip", "link", "add", "lan0", "type", "bridge"]);
    run_here(&["ip", "addr", "add", "10.88.7.1/16", "dev", "lan0"]);
    run_here(&["ip", "link", "set", "lan0", "up"]);
    let message = "this machine's network 10.88.0.0/16 on lan0 overlaps with our 10.88.0.0/14";
    let mut stack = Stack::launch(ServerOptions::with_root("clash"));
    stack.wait_for_answer();
    assert!(stack.log().contains(message), "{}", stack.log());
    let (code, report) = failed_command(stack.options(), &["doctor"]);
    assert!(
        code == 1 && report.contains(message) && report.contains("[addresses]"),
        "{report}"
    );
    // The tunnel's own range is narrower, so its route takes precedence.
    let mut alice = stack.sign_up("alice");
    let device = stack.add_device(&mut alice, "c1", "Phone", "network", false);
    wait_for("DNS answers", LIMIT, || {
        resolves(&device, alice.gateway).then_some(())
    });
    run_here(&["ip", "link", "del", "lan0"]);
}

#[test]
fn a_docker_network_in_our_range_is_reported() {
    let _bed = crate::exclusive_bed();
    for id in engine::docker(&["ps", "-aq"]).lines() {
        engine::docker(&["rm", "-f", id]);
    }
    let _ = Command::new("docker")
        .args(["network", "rm", "maliknode"])
        .output();
    engine::docker(&["network", "create", "--subnet", "10.92.0.0/22", "foreign"]);
    let mut stack = Stack::launch(ServerOptions::with_root("pool"));
    stack.wait_for_answer();
    let mut alice = stack.register("alice");
    converges("the tenant sees the problem", LIMIT, || {
        let page = alice.get("/").body;
        assert!(!page.contains("10.92.0.0/21"), "{page}");
        let reported = page.contains("The server is not set up correctly. Ask the operator.");
        reported.then_some(()).ok_or_else(|| stack.log())
    });
    let home = operator(&stack).get("http://admin.localhost:8085/").body;
    assert!(home.contains("The range 10.92.0.0/21"), "{home}");
    engine::docker(&["network", "rm", "foreign"]);
    alice.wait_until_ready();
}
