//! A password that no longer fits: AdGuard Home's user is changed in its file, and the
//! container starts with that. Our calls are refused until the file is corrected.

use super::crash_loops::{ContainerEnds, is_filtered};
use crate::{
    engine::{container, docker},
    stack::{ServerOptions, Stack, wait_for},
};
use std::{
    fs,
    time::{Duration, Instant},
};

/// The longest time from the start with another password to the filter that takes ours.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_changed_password_is_corrected_by_one_restart() {
    let _bed = crate::exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("refused_password"));
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
    wait_for("it is filtered", LIMIT, || {
        is_filtered(&phone, alice.gateway).then_some(())
    });
    let data = stack.root().join("users/user_alice/adguard_data");
    let copies = || fs::read_dir(data.join("kept")).is_ok_and(|mut all| all.next().is_some());
    wait_for("a copy is kept", LIMIT, || copies().then_some(()));

    let config = data.join("conf/AdGuardHome.yaml");
    let own = fs::read_to_string(&config).expect("the configuration");
    let (_, after) = own.split_once("password: ").expect("a user");
    let hash = after
        .lines()
        .next()
        .expect("a hash")
        .trim_matches(['"', '\'', ' ', ',']);
    let other = "$2b$04$abcdefghijklmnopqrstuuYvPgW3cQyz9dU5dLJyAHDK3V6kDMCBq";
    let ends = ContainerEnds::watch("alice");
    // A rule of the tenant's own has to stay.
    let edited = own
        .replace(hash, other)
        .replace("user_rules: []", "user_rules:\n  - '||own-rule.example^'");
    assert_ne!(edited, own);
    // While the server runs, it corrects the file before it starts the container.
    stack.kill();
    fs::write(&config, &edited).expect("root may write");
    let first = container("alice").expect("it is there");
    docker(&["restart", "-t", "0", &first]);
    stack.restart();
    let begun = Instant::now();
    let page = wait_for("it is told", LIMIT, || {
        let page = alice.get("/events").body;
        page.contains("did not take the server").then_some(page)
    });
    wait_for("another container is filtered", LIMIT, || {
        let replaced = container("alice").is_some_and(|id| id != first);
        (replaced && is_filtered(&phone, alice.gateway)).then_some(())
    });
    println!("corrected {:.1} s after", begun.elapsed().as_secs_f32());
    let text = fs::read_to_string(&config).expect("the configuration");
    assert!(text.contains(hash) && !text.contains(other), "{text}");
    assert!(text.contains("own-rule.example"), "{text}");
    // The end by us, and that of the container that is replaced; then none.
    std::thread::sleep(Duration::from_secs(20));
    assert!(ends.times().len() <= 2, "{:?}", ends.times());
    let events = stack.options().command(&["events", "--tenant", "alice"]);
    let events = { events }.output().expect("the program runs");
    let events = String::from_utf8_lossy(&events.stdout).into_owned();
    let told = events.matches("did not take our password").count();
    assert_eq!(told, 1, "{events}{page}");
}
