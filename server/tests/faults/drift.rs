//! Other hands on the machine: each thing they do is put right within ten
//! seconds of its doing and told in the log, nobody else notices, and what
//! others made stays.

use super::{
    ALLOWED, bed,
    bed::{at, flows, open_stream},
    converges,
    dns::{self, Answer},
    engine::docker,
    flow::{Flow, Seen},
    internet, resolves,
    stack::{Device, STREAM, Stack, Start, Tenant, run_here, until},
    truth,
};
use domain::{PrivateKey, PublicKey, Slot};
use provisioning::{
    observed::ObservedInterface,
    ports::{PeerChange, WireGuard},
    spec::{InterfaceSpec, PeerSpec},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::PathBuf,
    time::{Duration, Instant},
};
use wireguard::Userspace;

/// From the meddling to everything as it should be.
const LIMIT: Duration = Duration::from_secs(10);
/// What a flush may cost somebody else: the table holds everybody's rules.
const FLUSHED: u32 = 20;

/// Alice is meddled with; Bobby must not notice.
struct World {
    stack: Stack,
    alice: Tenant,
    phone: Device,
    bobs_gateway: std::net::Ipv4Addr,
    bobs: Device,
    flow: Flow,
    report: Vec<String>,
}

/// Says what is not as it should be yet.
type Mended<'w> = Box<dyn FnMut(&World) -> Result<(), String> + 'w>;

/// Something another hand does, and how it is known to be mended.
struct Meddling<'w> {
    what: &'static str,
    /// What the log must say, without the name of whose it is.
    told: &'static str,
    doing: Box<dyn FnMut(&mut World) + 'w>,
    mended: Mended<'w>,
    /// Answers that Bobby may miss.
    losses: u32,
}

#[test]
fn what_other_hands_do_is_put_right_in_ten_seconds_and_nobody_else_notices() {
    let _turn = super::turn();
    let mut world = World::begin();
    world.others_make_things();
    for mut meddling in interfaces()
        .into_iter()
        .chain(containers())
        .chain(firewall())
        .chain(folders())
    {
        world.meddle(&mut meddling);
    }
    world.a_client_inside_adguard_home();
    world.a_folder_lost_under_a_running_container();
    world.what_others_made_stands();
    world.the_event_log_has_it();
    println!("{}", world.report.join("\n"));
}

impl World {
    fn begin() -> Self {
        let mut stack = Stack::launch(Start::named("drift"));
        stack.wait_for_answer();
        let (mut alice, mut bob) = (stack.sign_up("alice"), stack.sign_up("bobby"));
        let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
        let bobs = stack.add_device(&mut bob, "c2", "Phone", "everything", true);
        until("both have DNS", LIMIT, || {
            (resolves(&phone, alice.gateway) && resolves(&bobs, bob.gateway)).then_some(())
        });
        let report = vec![format!("{:<44} mended after", "what another hand did")];
        let flow = Flow::start(&bobs, bob.gateway);
        Self {
            stack,
            alice,
            phone,
            bobs_gateway: bob.gateway,
            bobs,
            flow,
            report,
        }
    }

    fn meddle(&mut self, m: &mut Meddling) {
        let mut stream =
            open_stream(&self.bobs.namespace, at(internet(), STREAM)).expect("Bobby's stream");
        let logged = self.stack.log().len();
        self.flow.seen();
        let begun = Instant::now();
        (m.doing)(self);
        converges(m.what, LIMIT.saturating_sub(begun.elapsed()), || {
            (m.mended)(self)
        });
        let mended = begun.elapsed();
        converges(m.what, LIMIT.saturating_sub(begun.elapsed()), || {
            let log = self.stack.log();
            let new = &log[logged..];
            new.contains(m.told)
                .then_some(())
                .ok_or_else(|| format!("{:?} is not in the log: {new}", m.told))
        });
        converges(m.what, LIMIT, || truth::stands_as_the_rows_say(&self.stack));
        // A new interface knows no session; the client would notice by itself after 15 s.
        self.phone.reconnect();
        until("Alice has DNS again", LIMIT, || {
            resolves(&self.phone, self.alice.gateway).then_some(())
        });
        // A question that is under way since before has its end first.
        let mut seen = Seen::default();
        until("Bobby has an answer", LIMIT, || {
            seen += self.flow.seen();
            (seen.answered > 0).then_some(())
        });
        assert!(seen.lost <= m.losses, "{}: Bobby saw {seen:?}", m.what);
        assert!(flows(&mut stream), "{}: Bobby's stream", m.what);
        self.note(m.what, mended, seen.lost);
    }

    fn note(&mut self, what: &str, mended: Duration, lost: u32) {
        let line = format!(
            "{what:<44} {:>5.2} s, another tenant lost {lost} answers",
            mended.as_secs_f32()
        );
        println!("{line}");
        self.report.push(line);
    }

    fn folder(&self) -> PathBuf {
        self.stack.root().join("users/user_alice")
    }

    fn others_make_things(&self) {
        run_here(&["ip", "link", "add", "foreign0", "type", "bridge"]);
        run_here(&["nft", "add", "table", "inet", "somebodys"]);
        docker(&[
            "create",
            "--name",
            "somebodys",
            &bed::var("MALIKNODE_BED_IMAGE"),
        ]);
        let users = self.stack.root().join("users");
        fs::create_dir(users.join("notes")).unwrap();
        fs::write(users.join("notes/readme"), "not ours").unwrap();
    }

    fn what_others_made_stands(&self) {
        run_here(&["ip", "link", "show", "foreign0"]);
        assert!(
            docker(&["ps", "-a", "--format", "{{.Names}}"])
                .lines()
                .any(|n| n == "somebodys")
        );
        run_here(&["nft", "list", "table", "inet", "somebodys"]);
        let notes = self.stack.root().join("users/notes");
        assert_eq!(
            fs::read_to_string(notes.join("readme")).unwrap(),
            "not ours"
        );
        assert!(resolves(&self.bobs, self.bobs_gateway));
    }

    /// Each kind of meddling stands in Alice's events, and none in Bobby's.
    fn the_event_log_has_it(&self) {
        let kinds = |tenant: &str| -> BTreeSet<String> {
            let mut command = (self.stack.how()).command(&["events", "--tenant", tenant, "--json"]);
            let out = command.output().expect("the program runs");
            assert!(out.status.success(), "{out:?}");
            let events: Vec<serde_json::Value> =
                serde_json::from_slice(&out.stdout).expect("it is JSON");
            let kinds = events.iter().filter_map(|e| e["kind"].as_str());
            kinds.map(str::to_owned).collect()
        };
        let meddlings = [
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
            let missing = meddlings
                .iter()
                .find(|k| !found.contains(&format!("drift.{k}")));
            missing.map_or(Ok(()), |k| Err(format!("no {k} in {found:?}")))
        });
        let bobs = kinds("bobby");
        assert!(
            meddlings
                .iter()
                .all(|k| !bobs.contains(&format!("drift.{k}"))),
            "{bobs:?}"
        );
    }

    /// By AdGuard Home's own API, as its web interface does it.
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

    fn a_client_inside_adguard_home(&mut self) {
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
        // Whichever moment of the timer it hits.
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
                    .contains("In alice's AdGuard Home 1 devices were missing")
            );
        }
        assert!(
            names(self.clients()).contains(&"Printer".to_owned()),
            "the tenant's own client"
        );
        let lost = self.flow.seen().lost;
        assert_eq!(lost, 0);
        self.note("deletes a client inside AdGuard Home", slowest, lost);
    }

    /// The folder goes while AdGuard Home runs from it: afterwards it must be
    /// able to keep a change again.
    fn a_folder_lost_under_a_running_container(&mut self) {
        let logged = self.stack.log().len();
        self.flow.seen();
        let begun = Instant::now();
        fs::remove_dir_all(self.folder()).unwrap();
        let conf = self.folder().join("adguard_data/conf/AdGuardHome.yaml");
        converges("the folder is back", LIMIT, || {
            truth::stands_as_the_rows_say(&self.stack)?;
            fs::read_to_string(&conf)
                .map(drop)
                .map_err(|e| format!("AdGuard Home's configuration: {e}"))
        });
        let mended = begun.elapsed();
        assert!(self.stack.log()[logged..].contains("alice's folder was gone"));
        until("Alice has DNS", LIMIT, || {
            resolves(&self.phone, self.alice.gateway).then_some(())
        });
        let page = self.alice.post(
            "/api/add_device",
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
        let lost = self.flow.seen().lost;
        assert_eq!(lost, 0);
        self.note("deletes the folder under a running container", mended, lost);
    }
}

fn links(w: &World) -> Result<String, String> {
    let _ = w;
    Ok(run_here(&["ip", "-o", "addr", "show"]) + &run_here(&["ip", "-o", "link", "show"]))
}

fn up(w: &World) -> Result<(), String> {
    let links = links(w)?;
    let up = links
        .lines()
        .any(|l| l.contains(": wg1:") && l.contains(",UP"));
    let addressed = links
        .lines()
        .any(|l| l.contains(" wg1 ") && l.contains(" 10.88.1.1/24 "));
    (up && addressed).then_some(()).ok_or(links)
}

/// The userspace child, talked to as the server talks to it: it is the only
/// way to its keys and peers.
fn child<T>(work: impl AsyncFnOnce(Userspace) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (exe, log) = (
            PathBuf::from(bed::var("MALIKNODE_BIN")),
            "/run/maliknode/test.log".into(),
        );
        let socket = wireguard::userspace::DEFAULT_SOCKET.into();
        work(Userspace::connect_or_spawn(exe, socket, log).await.unwrap()).await
    })
}

fn first() -> ObservedInterface {
    child(async |w| w.observe().await.unwrap()[&Slot::FIRST].clone())
}

fn is_as(before: &ObservedInterface) -> Result<(), String> {
    let now = child(async |w| w.observe().await).map_err(|e| e.to_string())?;
    let now = now.get(&Slot::FIRST);
    (now == Some(before))
        .then_some(())
        .ok_or_else(|| format!("it is {now:?}"))
}

fn interfaces() -> Vec<Meddling<'static>> {
    let before = first();
    let (for_key, for_peer, for_strange) = (before.clone(), before.clone(), before.clone());
    let key = move |_: &mut World| {
        let peers = for_key.peers.iter().map(|(k, p)| {
            let address = p.allowed_ips.iter().find_map(|n| match n.addr() {
                IpAddr::V4(a) => Some(a),
                IpAddr::V6(_) => None,
            });
            let spec = PeerSpec {
                preshared_key: p.preshared_key.clone().unwrap(),
                address: address.unwrap(),
            };
            (*k, spec)
        });
        let spec = InterfaceSpec {
            slot: Slot::FIRST,
            owner: for_key.owner.clone().unwrap(),
            private_key: PrivateKey::from_random([42; 32]),
            address: *for_key.addresses.first().unwrap(),
            peers: peers.collect(),
        };
        child(async |w| w.ensure(&spec).await.unwrap());
    };
    let peer_gone = move |_: &mut World| {
        let change = PeerChange {
            remove: for_peer.peers.keys().copied().collect(),
            set: BTreeMap::new(),
        };
        child(async |w| w.change_peers(Slot::FIRST, &change).await.unwrap());
    };
    let strange = move |_: &mut World| {
        let (_, known) = for_strange.peers.first_key_value().unwrap();
        let spec = PeerSpec {
            preshared_key: known.preshared_key.clone().unwrap(),
            address: "10.88.1.66".parse().unwrap(),
        };
        let key: PublicKey = PrivateKey::from_random([66; 32]).public();
        let change = PeerChange {
            remove: vec![],
            set: [(key, spec)].into(),
        };
        child(async |w| w.change_peers(Slot::FIRST, &change).await.unwrap());
    };
    let as_before = |before: &ObservedInterface| {
        let before = before.clone();
        Box::new(move |_: &World| is_as(&before))
    };
    let ip = |words: &'static [&'static str]| Box::new(move |_: &mut World| drop(run_here(words)));
    let of = |what, told, doing, mended| Meddling {
        what,
        told,
        doing,
        mended,
        losses: 0,
    };
    vec![
        of(
            "deletes an interface",
            "alice's interface wg1 was gone",
            ip(&["ip", "link", "del", "wg1"]),
            as_before(&before),
        ),
        of(
            "takes an interface down",
            "wg1 of alice was down",
            ip(&["ip", "link", "set", "wg1", "down"]),
            Box::new(up),
        ),
        of(
            "takes its address",
            "wg1 of alice had other addresses",
            ip(&["ip", "addr", "flush", "dev", "wg1"]),
            Box::new(up),
        ),
        of(
            "changes its key",
            "wg1 of alice had another key",
            Box::new(key),
            as_before(&before),
        ),
        of(
            "removes its peers",
            "wg1 of alice had 0 strange peers, and 1 devices",
            Box::new(peer_gone),
            as_before(&before),
        ),
        of(
            "adds a strange peer",
            "wg1 of alice had 1 strange peers",
            Box::new(strange),
            as_before(&before),
        ),
    ]
}

fn containers() -> Vec<Meddling<'static>> {
    const NAME: &str = "adguard_user_alice";
    let running = |w: &World| -> Result<(), String> {
        let state = docker(&["ps", "--format", "{{.Names}} {{.State}}"]);
        let runs = state.lines().any(|l| l == format!("{NAME} running"));
        let answers = dns::ask_once(
            &w.phone.namespace,
            w.alice.gateway,
            ALLOWED,
            Duration::from_millis(300),
        );
        let right = answers == Answer::Address(internet());
        (runs && right)
            .then_some(())
            .ok_or(format!("{state}, {answers:?}"))
    };
    let of = |what, told, words: &'static [&'static str]| Meddling {
        what,
        told,
        doing: Box::new(move |_: &mut World| drop(docker(words))),
        mended: Box::new(running),
        losses: 0,
    };
    vec![
        of(
            "removes a container",
            "alice's DNS container was gone",
            &["rm", "-f", NAME],
        ),
        of(
            "stops a container",
            "alice's DNS container had stopped",
            &["stop", "-t", "1", NAME],
        ),
        of(
            "pauses a container",
            "alice's DNS container was paused",
            &["pause", NAME],
        ),
    ]
}

fn firewall() -> Vec<Meddling<'static>> {
    let whole = |w: &World| -> Result<(), String> {
        truth::stands_as_the_rows_say(&w.stack)?;
        resolves(&w.phone, w.alice.gateway)
            .then_some(())
            .ok_or("Alice has no DNS".to_owned())
    };
    let of = |what, told, words: &'static [&'static str], losses| Meddling {
        what,
        told,
        doing: Box::new(move |_: &mut World| drop(run_here(words))),
        mended: Box::new(whole),
        losses,
    };
    let own = &["nft", "delete", "table", "inet", "maliknode"];
    let element = &[
        "nft",
        "delete",
        "element",
        "inet",
        "maliknode",
        "dns",
        "{ \"wg1\" }",
    ];
    vec![
        of(
            "deletes our table",
            "The firewall's table was gone",
            own,
            FLUSHED,
        ),
        of(
            "deletes a tenant's DNS element",
            "alice's entries in the firewall",
            element,
            0,
        ),
    ]
}

fn folders() -> Vec<Meddling<'static>> {
    let conf = |w: &World| w.folder().join("wg1.conf");
    let same = move |w: &World| -> Result<(), String> {
        let text = fs::read_to_string(conf(w)).map_err(|e| e.to_string())?;
        (!text.contains("edited"))
            .then_some(())
            .ok_or("it is still edited".to_owned())?;
        truth::stands_as_the_rows_say(&w.stack)
    };
    let edit = move |w: &mut World| {
        let text = fs::read_to_string(conf(w)).unwrap();
        fs::write(conf(w), text + "# edited\n").unwrap();
    };
    let key = |w: &World| w.folder().join("keys/private.key");
    let whole = move |w: &World| -> Result<(), String> {
        let text = fs::read_to_string(key(w)).map_err(|e| e.to_string())?;
        (text.len() > 40)
            .then_some(())
            .ok_or("the key is cut off".to_owned())
    };
    let of = |what, told, doing: Box<dyn FnMut(&mut World)>, mended: Mended<'static>| Meddling {
        what,
        told,
        doing,
        mended,
        losses: 0,
    };
    vec![
        of(
            "edits wg1.conf",
            "wg1.conf of alice was edited",
            Box::new(edit),
            Box::new(same),
        ),
        of(
            "removes wg1.conf",
            "wg1.conf of alice was edited or gone",
            Box::new(move |w: &mut World| fs::remove_file(conf(w)).unwrap()),
            Box::new(same),
        ),
        of(
            "cuts a key file off",
            "The keys in alice's folder",
            Box::new(move |w: &mut World| fs::write(key(w), "x").unwrap()),
            Box::new(whole),
        ),
    ]
}
