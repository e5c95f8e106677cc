//! SIGKILL of any part at random points of what people do; then nothing is
//! orphaned, what was acknowledged holds, and every tenant has DNS through the
//! tunnel. `MALIKNODE_KILL_ROUNDS` says how often, `MALIKNODE_KILL_SEED`
//! replays: the same victims at the same moments of the same changes (what the
//! machine had done by that moment is its own).

use super::{
    ALLOWED, bed,
    bed::{at, flows, open_stream},
    converges,
    dns::{self, Answer},
    engine::{self, Engine},
    internet, number, resolves,
    stack::{Device, STREAM, Stack, Start, Tenant, until},
    truth::{self, Row},
};
use std::{
    collections::BTreeMap,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};
use testkit::sim::rng::SplitMix64;

/// From a kill to the machine as it should be: a container engine that starts
/// again takes most of it.
const WHOLE: Duration = Duration::from_secs(60);
/// Then to an answer through the tunnel: a client notices after 15 s that the
/// session it knows has ended, and its second try may be the first that counts.
const ANSWERS: Duration = Duration::from_secs(40);
/// Everybody's namespaces, but for the witness's.
const CLIENTS: [&str; 3] = ["c2", "c3", "c4"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Server,
    Child,
    Engine,
    Container,
}

#[derive(Clone, Debug)]
enum Change {
    SignUp(String),
    AddDevice(String),
    SetDevice(String),
    DeleteDevice(String),
    Suspend(String, bool),
    Delete(String),
}

/// Somebody with an account, and the device that looks whether DNS answers.
struct Person {
    tenant: Tenant,
    device: Option<Device>,
}

struct World {
    stack: Stack,
    engine: Engine,
    chance: SplitMix64,
    people: BTreeMap<String, Person>,
    operator: super::browser::Browser,
    count: u32,
    took: BTreeMap<Victim, Vec<(Duration, Duration)>>,
}

#[test]
fn whatever_is_killed_whenever_nothing_is_orphaned_and_all_have_dns() {
    let _turn = super::turn();
    let usual = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(1, |d| d.as_millis() as u64 % 1_000_000);
    let seed = number("MALIKNODE_KILL_SEED", usual);
    let rounds = number("MALIKNODE_KILL_ROUNDS", 12);
    println!(
        "{rounds} kills; again with MALIKNODE_KILL_SEED={seed} MALIKNODE_KILL_ROUNDS={rounds}"
    );
    let mut world = World::begin(seed);
    let mut witness = world.witness();
    for round in 1..=rounds {
        world.round(round, &mut witness);
    }
    world.tell();
}

impl World {
    fn begin(seed: u64) -> Self {
        let mut stack = Stack::launch(Start::named("kills"));
        stack.wait_for_answer();
        let operator = operator(&stack);
        Self {
            stack,
            engine: Engine::running(),
            chance: SplitMix64::new(seed),
            people: BTreeMap::new(),
            operator,
            count: 0,
            took: BTreeMap::new(),
        }
    }

    /// Somebody nothing is ever changed of, with a stream that should flow on
    /// whatever dies but the tunnels' own process.
    fn witness(&mut self) -> (Device, TcpStream) {
        let mut tenant = self.stack.sign_up("witness");
        let device = self
            .stack
            .add_device(&mut tenant, "c1", "Witness", "everything", false);
        let stream = open(&device).expect("the internet is reached");
        self.people.insert(
            "witness".to_owned(),
            Person {
                tenant,
                device: None,
            },
        );
        (device, stream)
    }

    fn round(&mut self, round: u64, witness: &mut (Device, TcpStream)) {
        self.count += 1;
        let before = truth::rows(&self.stack);
        let change = self.draw(&before);
        let victims = self.victims();
        // A sign-up hashes a password and starts a container; the rest is a row.
        let span = match change {
            Change::SignUp(_) => 1500,
            Change::Delete(_) | Change::Suspend(..) => 700,
            Change::AddDevice(_) | Change::SetDevice(_) | Change::DeleteDevice(_) => 250,
        };
        let moment = Duration::from_millis(self.chance.below(span));
        println!(
            "{round}: {victims:?} {} ms into {change:?}",
            moment.as_millis()
        );
        let request = self.request(&change, &before);
        thread::sleep(moment);
        let whose = match &change {
            Change::SignUp(n) | Change::AddDevice(n) | Change::SetDevice(n) => n,
            Change::DeleteDevice(n) | Change::Suspend(n, _) | Change::Delete(n) => n,
        };
        for victim in &victims {
            self.kill(*victim, whose);
        }
        let killed = Instant::now();
        let acknowledged = request.join().expect("a request ends");
        for victim in &victims {
            match victim {
                Victim::Server => self.stack.start_again(),
                Victim::Engine => self.engine.start(),
                Victim::Child | Victim::Container => {}
            }
        }
        converges("the machine is what the rows say", WHOLE, || {
            truth::stands_as_the_rows_say(&self.stack)
        });
        let whole = killed.elapsed();
        let after = truth::rows(&self.stack);
        check(&change, acknowledged, &before, &after);
        self.all_answer(&after, &change, acknowledged);
        if victims.contains(&Victim::Child) {
            let stream = until("the witness's device is back", ANSWERS, || open(&witness.0));
            witness.1 = stream;
        } else {
            assert!(flows(&mut witness.1), "the witness's stream flows on");
        }
        let answers = killed.elapsed();
        println!(
            "{round}: acknowledged {acknowledged}, whole after {:.1} s, all answer after {:.1} s",
            whole.as_secs_f32(),
            answers.as_secs_f32()
        );
        for victim in victims {
            self.took.entry(victim).or_default().push((whole, answers));
        }
    }

    /// Something to do that is possible now.
    fn draw(&mut self, rows: &BTreeMap<String, Row>) -> Change {
        let mut others = rows.clone();
        others.remove("witness");
        let name = |chance: &mut SplitMix64, of: &dyn Fn(&Row) -> bool| {
            let fitting = others.iter().filter(|(_, r)| of(r)).map(|(n, _)| n.clone());
            chance.pick(fitting)
        };
        let extra = |r: &Row| !r.suspended && r.devices.keys().any(|l| l.starts_with("Extra"));
        loop {
            let c = &mut self.chance;
            let drawn = match c.below(7) {
                0 | 1 if others.len() < 3 => Some(Change::SignUp(format!("user{}", self.count))),
                2 => name(c, &|r| !r.suspended).map(Change::AddDevice),
                3 => name(c, &extra).map(Change::SetDevice),
                4 => name(c, &extra).map(Change::DeleteDevice),
                5 => name(c, &|_| true).map(|n| {
                    let suspended = others[&n].suspended;
                    Change::Suspend(n, !suspended)
                }),
                6 if others.len() > 1 => name(c, &|_| true).map(Change::Delete),
                _ => None,
            };
            if let Some(change) = drawn {
                return change;
            }
        }
    }

    /// One part; now and then two at once.
    fn victims(&mut self) -> Vec<Victim> {
        let all = [
            Victim::Server,
            Victim::Child,
            Victim::Engine,
            Victim::Container,
        ];
        let first = self.chance.pick(all).unwrap_or(Victim::Server);
        let mut victims = vec![first];
        if self.chance.percent(15) {
            victims.extend(self.chance.pick(all).filter(|second| *second != first));
        }
        victims
    }

    /// Sends the request from a thread of its own; whether it was acknowledged.
    fn request(
        &mut self,
        change: &Change,
        rows: &BTreeMap<String, Row>,
    ) -> thread::JoinHandle<bool> {
        let signed_in = |people: &mut BTreeMap<String, Person>, name: &str| {
            let t = &people[name].tenant;
            (t.browser.clone(), t.url(""))
        };
        let done = |page: std::io::Result<super::browser::Page>, refused: &'static str| {
            // A refusal leads back to the form with what is wrong.
            page.is_ok_and(|p| {
                let to = p.header("location").unwrap_or_default();
                p.status < 400 && !to.contains(refused) && !to.contains("error")
            })
        };
        let n = self.count;
        let extra = |name: &str| {
            let labels = rows[name].devices.keys();
            labels
                .rev()
                .find(|l| l.starts_with("Extra"))
                .cloned()
                .expect("it has one")
        };
        match change {
            Change::SignUp(name) => {
                let (name, mut browser) = (
                    name.clone(),
                    super::browser::Browser::new(super::stack::PORT),
                );
                thread::spawn(move || {
                    let form = [
                        ("name", name.as_str()),
                        ("password", super::stack::PASSWORD),
                        ("plan", "studio"),
                    ];
                    done(
                        browser.try_post("http://localhost:8085/api/sign_up", &form),
                        "/sign-up",
                    )
                })
            }
            Change::AddDevice(name) => {
                let (mut browser, url) = signed_in(&mut self.people, name);
                thread::spawn(move || {
                    let label = format!("Extra {n}");
                    let form = [
                        ("label", label.as_str()),
                        ("routing", "network"),
                        ("policy", "standard"),
                    ];
                    done(
                        browser.try_post(&format!("{url}/api/add_device"), &form),
                        "add_device",
                    )
                })
            }
            Change::SetDevice(name) | Change::DeleteDevice(name) => {
                let (mut browser, url) = signed_in(&mut self.people, name);
                let key = &rows[name].devices[&extra(name)];
                let query = format!("select id from peers where public_key = '{key}'");
                let id = truth::sql(&self.stack, &query)[0][0].clone();
                let deletes = matches!(change, Change::DeleteDevice(_));
                thread::spawn(move || {
                    if deletes {
                        let page =
                            browser.try_post(&format!("{url}/api/delete_device"), &[("id", &id)]);
                        return done(page, "delete_device");
                    }
                    let form = [("id", id.as_str()), ("policy", "off")];
                    done(
                        browser.try_post(&format!("{url}/api/set_device"), &form),
                        "set_device",
                    )
                })
            }
            Change::Suspend(name, suspended) => {
                let (mut browser, id, flag) = (
                    self.operator.clone(),
                    rows[name].id.clone(),
                    suspended.to_string(),
                );
                thread::spawn(move || {
                    let form = [("id", id.as_str()), ("suspended", flag.as_str())];
                    done(
                        browser.try_post("http://admin.localhost:8085/api/suspend_tenant", &form),
                        "sign-in",
                    )
                })
            }
            Change::Delete(name) => {
                let (mut browser, url) = signed_in(&mut self.people, name);
                let name = name.clone();
                thread::spawn(move || {
                    done(
                        browser.try_post(&format!("{url}/api/delete_account"), &[("name", &name)]),
                        "/account",
                    )
                })
            }
        }
    }

    fn kill(&mut self, victim: Victim, whose: &str) {
        match victim {
            Victim::Server => self.stack.kill(),
            Victim::Child => engine::child().into_iter().for_each(engine::kill_nine),
            Victim::Engine => self.engine.kill(),
            Victim::Container => {
                // Of whom something is being changed, if there is one already.
                let of = |name: &str| engine::container_process(name);
                of(whose)
                    .or_else(|| of("witness"))
                    .into_iter()
                    .for_each(engine::kill_nine);
            }
        }
    }

    /// Every tenant who should have DNS has it, through a tunnel; a device
    /// whose deletion was acknowledged has not.
    fn all_answer(&mut self, rows: &BTreeMap<String, Row>, change: &Change, acknowledged: bool) {
        for (name, person) in &mut self.people {
            if let Some(device) = person.device.as_ref().filter(|_| !rows.contains_key(name)) {
                if acknowledged && matches!(change, Change::Delete(n) if n == name) {
                    let once = Duration::from_millis(500);
                    let answer =
                        dns::ask_once(&device.namespace, person.tenant.gateway, ALLOWED, once);
                    assert_eq!(answer, Answer::Silence, "{name}, who was deleted");
                }
                device.disconnect();
            }
        }
        self.people.retain(|name, _| rows.contains_key(name));
        for (name, row) in rows.iter().filter(|(n, r)| !r.suspended && *n != "witness") {
            if !self.people.contains_key(name) {
                let tenant = self.stack.sign_in(name);
                self.people.insert(
                    name.clone(),
                    Person {
                        tenant,
                        device: None,
                    },
                );
            }
            let person = self.people.get_mut(name).expect("just added");
            if person.device.is_none() {
                let client = CLIENTS[usize::from(row.slot) % CLIENTS.len()];
                person.tenant.wait_until_ready();
                let t = &mut person.tenant;
                person.device = Some(self.stack.add_device(t, client, "Own", "network", false));
            }
            let device = person.device.as_ref().expect("just added");
            let gateway = person.tenant.gateway;
            until(&format!("{name} has DNS"), ANSWERS, || {
                resolves(device, gateway).then_some(())
            });
        }
    }

    fn tell(&self) {
        println!("killed          times  whole: median, most   all answer: median, most (seconds)");
        for (victim, took) in &self.took {
            let of = |pick: fn(&(Duration, Duration)) -> Duration| {
                let mut all: Vec<f32> = took.iter().map(|t| pick(t).as_secs_f32()).collect();
                all.sort_by(f32::total_cmp);
                (all[all.len() / 2], all[all.len() - 1])
            };
            let (whole, answers) = (of(|t| t.0), of(|t| t.1));
            println!(
                "{:<15} {:>5}  {:>6.1} {:>6.1}          {:>6.1} {:>6.1}",
                format!("{victim:?}"),
                took.len(),
                whole.0,
                whole.1,
                answers.0,
                answers.1
            );
        }
    }
}

/// What was acknowledged holds; what was not may have happened or not.
fn check(
    change: &Change,
    acknowledged: bool,
    before: &BTreeMap<String, Row>,
    after: &BTreeMap<String, Row>,
) {
    let devices =
        |rows: &BTreeMap<String, Row>, name: &str| rows.get(name).map_or(0, |r| r.devices.len());
    let holds = match change {
        Change::SignUp(name) => after.contains_key(name),
        Change::Delete(name) => !after.contains_key(name),
        Change::Suspend(name, suspended) => after[name].suspended == *suspended,
        Change::AddDevice(name) => devices(after, name) == devices(before, name) + 1,
        Change::DeleteDevice(name) => devices(after, name) == devices(before, name) - 1,
        Change::SetDevice(name) => after[name].devices == before[name].devices,
    };
    assert!(
        holds || !acknowledged,
        "{change:?} was acknowledged: {after:?}"
    );
    for (name, row) in before {
        let is_about = matches!(change, Change::Delete(n) if n == name);
        assert!(
            is_about || after.get(name).is_some_and(|r| r.slot == row.slot),
            "{name} is lost: {after:?}"
        );
    }
}

fn open(device: &Device) -> Option<TcpStream> {
    open_stream(&device.namespace, at(internet(), STREAM))
}

/// The operator, signed in with what the first start printed.
fn operator(stack: &Stack) -> super::browser::Browser {
    let log = stack.log();
    let line = log
        .lines()
        .find(|l| l.contains("Operator") && l.contains("password"));
    let line = line.unwrap_or_else(|| panic!("no operator in the log: {log}"));
    let password = line.rsplit(' ').next().expect("a password");
    let mut browser = super::browser::Browser::new(super::stack::PORT);
    let form = [("name", "admin"), ("password", password)];
    let page = browser.post("http://admin.localhost:8085/operator/sign-in", &form);
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(!page.url.contains("sign-in"), "{}", page.body);
    browser
}

#[test]
fn a_restart_and_an_upgrade_leave_streams_and_tunnels_alone() {
    let _turn = super::turn();
    let mut stack = Stack::launch(Start::named("upgrade"));
    stack.wait_for_answer();
    let mut tenant = stack.sign_up("alice");
    let device = stack.add_device(&mut tenant, "c1", "Phone", "everything", false);
    let mut stream = open(&device).expect("the internet is reached");
    let (child, handshake) = (
        engine::child().expect("tunnels are userspace here"),
        device.handshake(),
    );
    stack.stop();
    assert!(flows(&mut stream), "while the server is away");
    assert!(
        resolves(&device, tenant.gateway),
        "DNS, while the server is away"
    );
    stack.start_again();
    assert!(flows(&mut stream), "after a restart");

    // The same version at another path, as a package's upgrade leaves it.
    let newer = std::path::PathBuf::from(bed::var("MALIKNODE_BED_DIR")).join("newer/maliknode");
    std::fs::create_dir_all(newer.parent().unwrap()).unwrap();
    std::fs::copy(&stack.how().program, &newer).unwrap();
    stack.stop();
    stack.upgrade(newer);
    assert!(flows(&mut stream), "after an upgrade");
    stack.restart_hard();
    assert!(flows(&mut stream), "after a SIGKILL");
    assert_eq!(
        engine::child(),
        Some(child),
        "the userspace WireGuard is the same"
    );
    assert_eq!(device.handshake(), handshake, "no session began anew");
    converges("the machine is what the rows say", WHOLE, || {
        truth::stands_as_the_rows_say(&stack)
    });
}
