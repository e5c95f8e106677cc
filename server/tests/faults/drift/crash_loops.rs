//! Damaged files under a running AdGuard Home that is then started again: it keeps
//! ending, its tenant's DNS goes to the fallback resolver meanwhile, and what is
//! damaged is set aside until it answers again.

use crate::{
    ALLOWED,
    dns::{self, Answer},
    dns_probe::DnsProbe,
    engine::{container, docker},
    internet,
    netns::var,
    stack::{Device, ServerOptions, Stack, Tenant, wait_for},
};
use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A name on the starter list: the filter blocks it, and the fallback does not.
const LISTED: &str = "doubleclick.net";
/// The longest time from the third end to an answer of the fallback.
const FALLBACK_LIMIT: Duration = Duration::from_secs(10);
/// The longest time until the filter answers again: some starts, each after a pause.
const REPAIR_LIMIT: Duration = Duration::from_secs(120);

/// The ends of a tenant's container, as Docker tells them.
pub(super) struct ContainerEnds {
    docker: Child,
    file: PathBuf,
}

impl ContainerEnds {
    pub(super) fn watch(tenant: &str) -> Self {
        let file = PathBuf::from(var("MALIKNODE_BED_DIR")).join("ends");
        let label = format!("label=maliknode.name=adguard_user_{tenant}");
        let docker = Command::new("docker")
            .args(["events", "--filter", "event=die", "--filter", &label])
            .args(["--format", "{{.TimeNano}}"])
            .stdout(File::create(&file).expect("a file"))
            .spawn()
            .expect("docker runs");
        // It has to be connected before the first end.
        std::thread::sleep(Duration::from_secs(1));
        Self { docker, file }
    }

    /// Returns the times of the ends so far.
    pub(super) fn times(&self) -> Vec<SystemTime> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let nanos = text.lines().filter_map(|l| l.parse().ok());
        nanos
            .map(|n| UNIX_EPOCH + Duration::from_nanos(n))
            .collect()
    }
}

impl Drop for ContainerEnds {
    fn drop(&mut self) {
        let _ = self.docker.kill();
        let _ = self.docker.wait();
    }
}

pub(super) fn asks(device: &Device, gateway: Ipv4Addr, name: &str) -> Answer {
    dns::ask_once(&device.namespace, gateway, name, Duration::from_millis(700))
}

/// Returns whether the tenant's own filter answers.
pub(super) fn is_filtered(device: &Device, gateway: Ipv4Addr) -> bool {
    let blocked = matches!(
        asks(device, gateway, LISTED),
        Answer::Address(Ipv4Addr::UNSPECIFIED) | Answer::Empty(_)
    );
    blocked && asks(device, gateway, ALLOWED) == Answer::Address(internet())
}

/// Damages a file, ends the container, and follows what happens until the filter
/// answers again. Returns the tenant's events.
pub(super) fn damage(
    stack: &Stack,
    alice: &mut Tenant,
    phone: &Device,
    file: &str,
    content: &[u8],
) -> String {
    let data = stack.root().join("users/user_alice/adguard_data");
    assert!(data.join(file).exists(), "{file} is there");
    let ends = ContainerEnds::watch("alice");
    fs::write(data.join(file), content).expect("root may write");
    docker(&["kill", &container("alice").expect("it is there")]);
    let third = wait_for("the third end", Duration::from_secs(60), || {
        ends.times().get(2).copied()
    });
    let answer = Answer::Address(internet());
    wait_for("the fallback answers", FALLBACK_LIMIT, || {
        (asks(phone, alice.gateway, LISTED) == answer).then_some(())
    });
    let fallback = third.elapsed().expect("it was before");
    assert!(fallback < FALLBACK_LIMIT, "{fallback:?}");
    wait_for("the filter answers again", REPAIR_LIMIT, || {
        is_filtered(phone, alice.gateway).then_some(())
    });
    println!(
        "{file} damaged: the fallback answers {:.1} s after the third end, the filter again \
         {:.1} s after it, {} ends in all",
        fallback.as_secs_f32(),
        third.elapsed().unwrap_or_default().as_secs_f32(),
        ends.times().len()
    );
    let events = stack.options().command(&["events", "--tenant", "alice"]);
    let events = { events }.output().expect("the program runs");
    String::from_utf8_lossy(&events.stdout).into_owned()
}

#[test]
fn a_filter_that_keeps_ending_is_repaired_and_dns_never_stays_away() {
    let _bed = crate::exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("crash_loops"));
    stack.wait_for_answer();
    let (mut alice, mut bobby) = (stack.sign_up("alice"), stack.sign_up("bobby"));
    let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
    let other = stack.add_device(&mut bobby, "c2", "Phone", "everything", true);
    wait_for("it is filtered", REPAIR_LIMIT, || {
        is_filtered(&phone, alice.gateway).then_some(())
    });
    let probe = DnsProbe::start(&other, bobby.gateway);

    let noise = b"this is no database, and long enough to be read as one: ".repeat(1_000);
    let stats = "work/data/stats.db";
    let events = damage(&stack, &mut alice, &phone, stats, &noise);
    assert!(events.contains("its statistics were set aside"), "{events}");
    assert!(
        !events.contains("its configuration was set aside"),
        "{events}"
    );
    let page = alice.get("/events").body;
    assert!(page.contains("its statistics were set aside"), "{page}");

    let yaml = "conf/AdGuardHome.yaml";
    let events = damage(&stack, &mut alice, &phone, yaml, b"dns: [ }{ no YAML");
    assert!(
        events.contains("its configuration was set aside"),
        "{events}"
    );
    let page = alice.get("/events").body;
    assert!(page.contains("its settings were set aside"), "{page}");

    let counts = probe.take_counts();
    println!("another tenant meanwhile: {counts:?}");
    assert!(counts.lost <= 1 && counts.answered > 50, "{counts:?}");
}
