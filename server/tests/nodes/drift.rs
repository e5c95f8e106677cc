//! External changes of a worker: each is corrected there, told to the tenant and to the
//! operator, and does not affect a neighbour on the same worker.

use crate::{
    blocks,
    cluster::{Cluster, shared_cluster},
    dns_probe::{DnsProbe, ProbeCounts},
    resolves,
    stack::{Device, Tenant, operator, wait_for},
};
use std::time::{Duration, Instant};

/// How long a correction may take, and until it is told.
const LIMIT: Duration = Duration::from_secs(10);

/// An external change on the worker.
struct Change {
    what: &'static str,
    command: Vec<String>,
    /// The kind of its event, and whether the event is the tenant's.
    kind: &'static str,
    is_tenants: bool,
    /// Answers that a neighbour may lose.
    losses: u32,
}

/// What the changes are made of: a tenant whose objects are changed, and a neighbour.
struct Scene {
    alice: Tenant,
    phone: Device,
    probe: DnsProbe,
    slot: u16,
}

impl Scene {
    fn changes(&self, cluster: &Cluster) -> [Change; 4] {
        let link = format!("wg{}", self.slot);
        let container = cluster.workers[0].machine.container(&self.alice.name);
        let container = container.expect("it runs");
        let change = |what, command: &[&str], kind, losses| Change {
            what,
            command: command.iter().map(|&word| word.to_owned()).collect(),
            kind,
            is_tenants: kind != "drift.rules_gone",
            losses,
        };
        let table = ["nft", "flush", "table", "inet", "maliknode"];
        [
            change(
                "deletes an interface",
                &["ip", "link", "delete", &link],
                "drift.interface_gone",
                0,
            ),
            change(
                "kills a container",
                &["docker", "kill", &container],
                "drift.container_stopped",
                0,
            ),
            // The table has the rules of every tenant.
            change("flushes our table", &table, "drift.rules_gone", 20),
            change(
                "removes a container",
                &["docker", "rm", "-f", &container],
                "drift.container_gone",
                0,
            ),
        ]
    }

    /// Makes a change, and checks that it is corrected and told.
    fn make(&mut self, cluster: &Cluster, change: &Change) {
        let told = |kind: &str| {
            let tenant = change.is_tenants.then_some(self.alice.name.as_str());
            let events = cluster.events(tenant);
            events.iter().filter(|e| e["kind"] == kind).count()
        };
        let before = told(change.kind);
        // What was lost by the change before, and was in flight, has ended.
        self.probe.take_counts();
        wait_for("the neighbour's next answer", LIMIT, || {
            (self.probe.take_counts().answered > 0).then_some(())
        });
        let begun = Instant::now();
        let command: Vec<&str> = change.command.iter().map(String::as_str).collect();
        cluster.workers[0].machine.run(&command);
        wait_for(change.what, LIMIT, || {
            (told(change.kind) > before).then_some(())
        });
        // A new interface has no sessions. By itself the client would notice after 15 s.
        self.phone.reconnect();
        wait_for(change.what, LIMIT, || {
            let gateway = self.alice.gateway;
            (resolves(&self.phone, gateway) && blocks(&self.phone, gateway)).then_some(())
        });
        let corrected = begun.elapsed();
        let mut counts = ProbeCounts::default();
        wait_for("the neighbour has an answer", LIMIT, || {
            counts += self.probe.take_counts();
            (counts.answered > 0).then_some(())
        });
        println!(
            "{:<24} filtered and told {:.1} s after, a neighbour lost {} answers",
            change.what,
            corrected.as_secs_f32(),
            counts.lost
        );
        assert!(counts.lost <= change.losses, "{}: {counts:?}", change.what);
    }
}

#[test]
fn external_changes_of_a_worker_are_corrected_and_told() {
    let mut cluster = shared_cluster();
    let [mut alice, mut bob] = cluster.sign_up_all_on("w1", ["drifts", "beside"]);
    let phone = cluster.add_device(&mut alice, 0, 0, "Phone", "network");
    let tablet = cluster.add_device(&mut bob, 0, 1, "Tablet", "network");
    wait_for("both are filtered", LIMIT, || {
        (blocks(&phone, alice.gateway) && blocks(&tablet, bob.gateway)).then_some(())
    });
    let (_, slot) = cluster.id_and_slot("drifts");
    let mut scene = Scene {
        alice,
        phone,
        probe: DnsProbe::start(&tablet, bob.gateway),
        slot,
    };
    for change in scene.changes(&cluster) {
        scene.make(&cluster, &change);
    }

    // The tenant reads what happened, in words without a name of the machine's.
    let page = scene.alice.get("/events").body;
    for text in [
        "Your tunnel was gone from the server",
        "Your DNS filter had stopped",
        "Your DNS filter was gone",
    ] {
        assert!(page.contains(text), "{text:?} is not told: {page}");
    }
    assert!(!page.contains("w1"), "{page}");
    // The operator reads on which machine it was.
    let mut panel = operator(&cluster.stack);
    let home = panel.get("http://admin.localhost:8085/").body;
    assert!(home.contains("w1: "), "no event of the worker: {home}");
    let of_bob = cluster.events(Some("beside"));
    let drift = |e: &serde_json::Value| e["kind"].as_str().unwrap_or_default().contains("drift");
    assert!(!of_bob.iter().any(drift), "{of_bob:?}");
}
