//! A configuration that a newer AdGuard Home has written, under one that cannot read it:
//! the real one ends at once. The tenant's DNS goes on, and the configuration that this
//! version has run with takes the newer one's place.

use super::crash_loops::{asks, damage, is_filtered};
use crate::{
    converges,
    dns::Answer,
    engine::{container, docker},
    netns::var,
    stack::{ServerOptions, Stack, eventually, wait_for},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// The longest time until the filter answers again where nothing has to be set aside.
const RESTORE_LIMIT: Duration = Duration::from_secs(20);
/// A name that only the tenant's own rule blocks.
const OWN_RULE: &str = "own-rule.example.test";

fn data(stack: &Stack) -> PathBuf {
    stack.root().join("users/user_alice/adguard_data")
}

/// Returns the configuration as a newer version would leave it.
fn newer(config: &Path) -> String {
    let text = fs::read_to_string(config).expect("the configuration");
    let (before, version) = text.split_once("schema_version: ").expect("a version");
    let (known, after) = version.split_once('\n').expect("a line");
    let known: u32 = known.trim().parse().expect("a number");
    format!("{before}schema_version: {}\n{after}", known + 1)
}

/// Runs the real image with this configuration and returns its status and its log. It has
/// to end by itself.
fn run_image(config: &str) -> (bool, String) {
    let folder = PathBuf::from(var("MALIKNODE_BED_DIR")).join("newer");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("AdGuardHome.yaml"), config).expect("a file");
    let mount = format!("{}:/opt/adguardhome/conf", folder.display());
    let output = Command::new("timeout")
        .args(["20", "docker", "run", "--rm", "--network", "none"])
        .args(["-v", &mount, &var("MALIKNODE_BED_IMAGE")])
        .output()
        .expect("docker runs");
    let log = [output.stdout, output.stderr].concat();
    let ended = output.status.code().is_some_and(|c| c != 124 && c != 0);
    (ended, String::from_utf8_lossy(&log).into_owned())
}

#[test]
fn a_newer_configuration_keeps_no_older_filter_away() {
    let _bed = crate::exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("newer_config"));
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
    eventually("it is filtered", || is_filtered(&phone, alice.gateway));
    let config = data(&stack).join("conf/AdGuardHome.yaml");

    // A rule of the tenant's own, in the configuration that this version runs with.
    docker(&["kill", &container("alice").expect("it is there")]);
    let text = fs::read_to_string(&config).expect("the configuration");
    let own = format!("user_rules:\n  - '||{OWN_RULE}^'\n");
    let text = text.replace("user_rules: []\n", &own);
    assert!(text.contains(OWN_RULE), "{text}");
    fs::write(&config, text).expect("root may write");
    let blocked = |name| {
        matches!(
            asks(&phone, alice.gateway, name),
            Answer::Address(addr) if addr.is_unspecified()
        )
    };
    eventually("the rule is in force", || blocked(OWN_RULE));
    let kept = data(&stack).join("kept");
    let has_copy = || {
        let files = fs::read_dir(&kept).into_iter().flatten().flatten();
        let texts = files.filter_map(|f| fs::read_to_string(f.path()).ok());
        texts.into_iter().any(|t| t.contains(OWN_RULE))
    };
    wait_for("a copy of it", Duration::from_secs(60), || {
        has_copy().then_some(())
    });

    // The real one ends at once with what a newer version wrote.
    let newer = newer(&config);
    let (ended, log) = run_image(&newer);
    println!("the image says: {}", log.lines().last().unwrap_or_default());
    assert!(ended, "{log}");

    // With a copy of its own: nothing of the tenant's is lost.
    docker(&["kill", &container("alice").expect("it is there")]);
    fs::write(&config, &newer).expect("root may write");
    let begun = Instant::now();
    let took = converges("the filter is back", RESTORE_LIMIT, || {
        is_filtered(&phone, alice.gateway)
            .then_some(())
            .ok_or_else(|| "no filter".to_owned())
    });
    assert!(blocked(OWN_RULE), "the tenant's own rule");
    println!(
        "with a copy: filtered again {:.1} s after it ended",
        took.as_secs_f32()
    );
    assert_ne!(
        fs::read_to_string(&config).expect("the configuration"),
        newer
    );
    assert!(begun.elapsed() < RESTORE_LIMIT);

    // Without: an image that has never run here. It keeps ending; the fallback answers.
    fs::remove_dir_all(&kept).expect("the copies");
    let file = "conf/AdGuardHome.yaml";
    let events = damage(&stack, &mut alice, &phone, file, newer.as_bytes());
    assert!(
        events.contains("its configuration was set aside"),
        "{events}"
    );
    let page = alice.get("/events").body;
    assert!(page.contains("its settings were set aside"), "{page}");
    let aside = data(&stack).join("aside/config/AdGuardHome.yaml");
    let aside = fs::read_to_string(aside).expect("the newer one is not lost");
    assert!(aside.contains(OWN_RULE), "{aside}");
}
