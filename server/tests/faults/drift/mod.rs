//! External changes of the machine: each is corrected within ten seconds and
//! logged, another tenant is not affected, and foreign objects stay.

mod changes;
mod crash_loops;
mod newer_config;
mod refused_password;

use crate::{
    converges, db_vs_machine,
    dns_probe::{DnsProbe, ProbeCounts},
    engine::docker,
    internet,
    netns::{self, at, flows, open_stream},
    resolves,
    stack::{Device, STREAM, ServerOptions, Stack, Tenant, run_here, wait_for},
};
use changes::ExternalChange;
use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long a correction may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Alice's objects are changed; Bobby must not be affected.
struct Scenario {
    stack: Stack,
    alice: Tenant,
    phone: Device,
    bobby_gateway: std::net::Ipv4Addr,
    bobby_phone: Device,
    probe: DnsProbe,
    report: Vec<String>,
}

#[test]
fn external_changes_are_corrected_within_ten_seconds() {
    let _bed = crate::exclusive_bed();
    let mut scenario = Scenario::begin();
    scenario.make_foreign_objects();
    for mut change in changes::all() {
        scenario.make(&mut change);
    }
    scenario.delete_client_inside_adguard_home();
    scenario.delete_folder_under_running_container();
    scenario.check_foreign_objects();
    scenario.check_event_log();
    println!("{}", scenario.report.join("\n"));
}

impl Scenario {
    fn begin() -> Self {
        let mut stack = Stack::launch(ServerOptions::with_root("drift"));
        stack.wait_for_answer();
        let (mut alice, mut bobby) = (stack.sign_up("alice"), stack.sign_up("bobby"));
        let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
        let bobby_phone = stack.add_device(&mut bobby, "c2", "Phone", "everything", true);
        wait_for("both have DNS", LIMIT, || {
            (resolves(&phone, alice.gateway) && resolves(&bobby_phone, bobby.gateway)).then_some(())
        });
        let report = vec![format!("{:<44} corrected after", "external change")];
        let probe = DnsProbe::start(&bobby_phone, bobby.gateway);
        Self {
            stack,
            alice,
            phone,
            bobby_gateway: bobby.gateway,
            bobby_phone,
            probe,
            report,
        }
    }

    /// Makes a change, and checks its correction, its log message and Bobby's
    /// traffic.
    fn make(&mut self, change: &mut ExternalChange) {
        let mut stream = open_stream(&self.bobby_phone.namespace, at(internet(), STREAM))
            .expect("Bobby's stream");
        let logged = self.stack.log().len();
        // What was lost by the change before, and was in flight, has ended with an answer.
        self.probe.take_counts();
        wait_for("Bobby's next answer", LIMIT, || {
            (self.probe.take_counts().answered > 0).then_some(())
        });
        let begun = Instant::now();
        (change.action)(self);
        converges(change.what, LIMIT.saturating_sub(begun.elapsed()), || {
            (change.corrected)(self)
        });
        let corrected = begun.elapsed();
        converges(change.what, LIMIT.saturating_sub(begun.elapsed()), || {
            let log = self.stack.log();
            let new = &log[logged..];
            new.contains(change.log)
                .then_some(())
                .ok_or_else(|| format!("{:?} is not in the log: {new}", change.log))
        });
        converges(change.what, LIMIT, || db_vs_machine::matches(&self.stack));
        // A new interface has no sessions. By itself the client would notice after 15 s.
        self.phone.reconnect();
        wait_for("Alice has DNS again", LIMIT, || {
            resolves(&self.phone, self.alice.gateway).then_some(())
        });
        // A question that was in flight before the change ends first.
        let mut counts = ProbeCounts::default();
        wait_for("Bobby has an answer", LIMIT, || {
            counts += self.probe.take_counts();
            (counts.answered > 0).then_some(())
        });
        assert!(
            counts.lost <= change.losses,
            "{}: Bobby counted {counts:?}",
            change.what
        );
        assert!(flows(&mut stream), "{}: Bobby's stream", change.what);
        self.note(change.what, corrected, counts.lost);
    }

    fn note(&mut self, what: &str, corrected: Duration, lost: u32) {
        let line = format!(
            "{what:<44} {:>5.2} s, another tenant lost {lost} answers",
            corrected.as_secs_f32()
        );
        println!("{line}");
        self.report.push(line);
    }

    fn folder(&self) -> PathBuf {
        self.stack.root().join("users/user_alice")
    }

    fn make_foreign_objects(&self) {
        run_here(&["ip", "link", "add", "foreign0", "type", "bridge"]);
        run_here(&["nft", "add", "table", "inet", "foreign"]);
        docker(&[
            "create",
            "--name",
            "foreign",
            &netns::var("MALIKNODE_BED_IMAGE"),
        ]);
        let users = self.stack.root().join("users");
        fs::create_dir(users.join("notes")).unwrap();
        fs::write(users.join("notes/readme"), "not ours").unwrap();
    }

    fn check_foreign_objects(&self) {
        run_here(&["ip", "link", "show", "foreign0"]);
        assert!(
            docker(&["ps", "-a", "--format", "{{.Names}}"])
                .lines()
                .any(|n| n == "foreign")
        );
        run_here(&["nft", "list", "table", "inet", "foreign"]);
        let notes = self.stack.root().join("users/notes");
        assert_eq!(
            fs::read_to_string(notes.join("readme")).unwrap(),
            "not ours"
        );
        assert!(resolves(&self.bobby_phone, self.bobby_gateway));
    }

    /// Checks that every kind of change is in Alice's events and none in
    /// Bobby's.
    fn check_event_log(&self) {
        let kinds = |tenant: &str| -> BTreeSet<String> {
            let mut command =
                (self.stack.options()).command(&["events", "--tenant", tenant, "--json"]);
            let out = command.output().expect("the program runs");
            assert!(out.status.success(), "{out:?}");
            let events: Vec<serde_json::Value> =
                serde_json::from_slice(&out.stdout).expect("it is JSON");
            let kinds = events.iter().filter_map(|e| e["kind"].as_str());
            kinds.map(str::to_owned).collect()
        };
        let changes = [
            "interface_gone",
            "interface_down",
            "address_changed",
            "key_changed",
            "peers_changed",
            "container_gone",
            "container_stopped",
            "container_paused",
            "elements_changed",
            "conf_changed",
            "keys_damaged",
            "clients_changed",
        ];
        converges("Alice's events", LIMIT, || {
            let found = kinds("alice");
            let missing = changes
                .iter()
                .find(|k| !found.contains(&format!("drift.{k}")));
            missing.map_or(Ok(()), |k| Err(format!("no {k} in {found:?}")))
        });
        let of_bobby = kinds("bobby");
        assert!(
            changes
                .iter()
                .all(|k| !of_bobby.contains(&format!("drift.{k}"))),
            "{of_bobby:?}"
        );
    }

    /// Calls AdGuard Home's API, like its web interface.
    fn adguard(&mut self, path: &str, body: Option<&str>) -> String {
        let url = format!("http://alice-dns.localhost:8085/control/{path}");
        let content = body.map(|b| ("application/json", b));
        let method = if body.is_some() { "POST" } else { "GET" };
        let page = self.alice.browser.send(method, &url, content).unwrap();
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        page.body
    }

    fn clients(&mut self) -> Vec<serde_json::Value> {
        let all: serde_json::Value = serde_json::from_str(&self.adguard("clients", None)).unwrap();
        all["clients"].as_array().cloned().unwrap_or_default()
    }

    fn delete_client_inside_adguard_home(&mut self) {
        self.alice.get("/dns/open");
        let names = |all: Vec<serde_json::Value>| -> Vec<String> {
            all.iter()
                .filter_map(|c| c["name"].as_str())
                .map(str::to_owned)
                .collect()
        };
        let made = r#"{"name":"Printer","ids":["10.88.1.200"],"use_global_settings":true,"use_global_blocked_services":true}"#;
        self.adguard("clients/add", Some(made));
        assert!(names(self.clients()).contains(&"Phone".to_owned()));
        // The moments differ relative to the node's timer.
        let mut slowest = Duration::ZERO;
        for _ in 0..3 {
            let logged = self.stack.log().len();
            let begun = Instant::now();
            self.adguard("clients/delete", Some(r#"{"name":"Phone"}"#));
            converges("the client is back", LIMIT, || {
                let found = names(self.clients());
                found
                    .contains(&"Phone".to_owned())
                    .then_some(())
                    .ok_or(format!("{found:?}"))
            });
            slowest = slowest.max(begun.elapsed());
            assert!(
                self.stack.log()[logged..]
                    .contains(r#"drift-clients-changed name="alice" missing=1"#)
            );
        }
        assert!(
            names(self.clients()).contains(&"Printer".to_owned()),
            "the tenant's own client"
        );
        let lost = self.probe.take_counts().lost;
        assert_eq!(lost, 0);
        self.note("deletes a client inside AdGuard Home", slowest, lost);
    }

    /// Deletes the folder that AdGuard Home runs from. Afterwards it must be able
    /// to store a change again.
    fn delete_folder_under_running_container(&mut self) {
        let logged = self.stack.log().len();
        // What was lost by the change before, and was in flight, has ended with an answer.
        self.probe.take_counts();
        wait_for("Bobby's next answer", LIMIT, || {
            (self.probe.take_counts().answered > 0).then_some(())
        });
        let begun = Instant::now();
        fs::remove_dir_all(self.folder()).unwrap();
        let conf = self.folder().join("adguard_data/conf/AdGuardHome.yaml");
        converges("the folder is back", LIMIT, || {
            db_vs_machine::matches(&self.stack)?;
            fs::read_to_string(&conf)
                .map(drop)
                .map_err(|e| format!("AdGuard Home's configuration: {e}"))
        });
        let corrected = begun.elapsed();
        assert!(self.stack.log()[logged..].contains(r#"drift-folder-gone name="alice""#));
        wait_for("Alice has DNS", LIMIT, || {
            resolves(&self.phone, self.alice.gateway).then_some(())
        });
        let page = self.alice.post(
            "/do/add_device",
            &[
                ("label", "After"),
                ("routing", "network"),
                ("policy", "off"),
            ],
        );
        assert_eq!(page.status, 200, "{}", page.body);
        converges("a new device reaches AdGuard Home's file", LIMIT, || {
            let text = fs::read_to_string(&conf).map_err(|e| e.to_string())?;
            text.contains("name: After")
                .then_some(())
                .ok_or_else(|| "it is not in the file".to_owned())
        });
        let lost = self.probe.take_counts().lost;
        assert_eq!(lost, 0);
        self.note(
            "deletes the folder under a running container",
            corrected,
            lost,
        );
    }
}
