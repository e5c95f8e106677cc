//! Kills any part by SIGKILL at random moments of tenants' changes. Afterwards
//! nothing is orphaned, what was acknowledged holds, and every tenant has DNS
//! through the tunnel. `MALIKNODE_KILL_ROUNDS` sets the number of kills, and
//! `MALIKNODE_KILL_SEED` replays a run: the same victims at the same moments of
//! the same changes (what the machine had done by that moment may differ).

mod change;
mod former_container;

use crate::{
    ALLOWED,
    browser::Browser,
    converges,
    db_vs_machine::{self, Row},
    dns::{self, Answer},
    engine::{self, Engine},
    env_number, internet,
    netns::{self, at, flows, open_stream},
    resolves,
    stack::{Device, STREAM, ServerOptions, Stack, Tenant, operator, wait_for},
};
use change::{Change, check};
use std::{
    collections::BTreeMap,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};
use testkit::sim::rng::SplitMix64;

/// The longest time from a kill to the machine as it should be. Most of it is
/// the start of the container engine.
const RECOVERY_LIMIT: Duration = Duration::from_secs(60);
/// The longest time from then to an answer through the tunnel: a client notices
/// after 15 s that its session has ended, and its first attempt may be lost.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);
/// The namespaces of every tenant but the witness.
const CLIENTS: [&str; 3] = ["c2", "c3", "c4"];

/// The part that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Server,
    WireGuard,
    Engine,
    Container,
}

/// A tenant, and the device that checks whether DNS answers.
struct Account {
    tenant: Tenant,
    device: Option<Device>,
}

struct KillRun {
    stack: Stack,
    engine: Engine,
    rng: SplitMix64,
    accounts: BTreeMap<String, Account>,
    operator: Browser,
    count: u32,
    /// Times from a kill until the machine was restored, and until every tenant
    /// had DNS.
    durations: BTreeMap<Victim, Vec<(Duration, Duration)>>,
}

#[test]
fn the_system_recovers_from_any_killed_process() {
    let _bed = crate::exclusive_bed();
    let default = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(1, |d| d.as_millis() as u64 % 1_000_000);
    let seed = env_number("MALIKNODE_KILL_SEED", default);
    let rounds = env_number("MALIKNODE_KILL_ROUNDS", 12);
    println!(
        "{rounds} kills; again with MALIKNODE_KILL_SEED={seed} MALIKNODE_KILL_ROUNDS={rounds}"
    );
    let mut run = KillRun::begin(seed);
    let mut witness = run.witness();
    for round in 1..=rounds {
        run.round(round, &mut witness);
    }
    run.print_summary();
}

impl KillRun {
    fn begin(seed: u64) -> Self {
        let mut stack = Stack::launch(ServerOptions::with_root("kills"));
        stack.wait_for_answer();
        let operator = operator(&stack);
        Self {
            stack,
            engine: Engine::running(),
            rng: SplitMix64::new(seed),
            accounts: BTreeMap::new(),
            operator,
            count: 0,
            durations: BTreeMap::new(),
        }
    }

    /// Signs up a tenant who is never changed, with a stream that must continue
    /// unless the WireGuard process dies.
    fn witness(&mut self) -> (Device, TcpStream) {
        let mut tenant = self.stack.sign_up("witness");
        let device = self
            .stack
            .add_device(&mut tenant, "c1", "Witness", "everything", false);
        let stream = open(&device).expect("the internet is reached");
        self.accounts.insert(
            "witness".to_owned(),
            Account {
                tenant,
                device: None,
            },
        );
        (device, stream)
    }

    fn round(&mut self, round: u64, witness: &mut (Device, TcpStream)) {
        self.count += 1;
        let before = db_vs_machine::rows(&self.stack);
        let change = self.draw(&before);
        let victims = self.victims();
        // A sign-up hashes a password and starts a container; the others change rows.
        let span = match change {
            Change::SignUp(_) => 1500,
            Change::Delete(_) | Change::Suspend(..) => 700,
            Change::AddDevice(_) | Change::SetDevice(_) | Change::DeleteDevice(_) => 250,
        };
        let moment = Duration::from_millis(self.rng.below(span));
        println!(
            "{round}: {victims:?} {} ms into {change:?}",
            moment.as_millis()
        );
        let request = self.request(&change, &before);
        thread::sleep(moment);
        let name = match &change {
            Change::SignUp(n) | Change::AddDevice(n) | Change::SetDevice(n) => n,
            Change::DeleteDevice(n) | Change::Suspend(n, _) | Change::Delete(n) => n,
        };
        for victim in &victims {
            self.kill(*victim, name);
        }
        let killed = Instant::now();
        let acknowledged = request.join().expect("the request ends");
        for victim in &victims {
            match victim {
                Victim::Server => self.stack.restart(),
                Victim::Engine => self.engine.start(),
                Victim::WireGuard | Victim::Container => {}
            }
        }
        converges("the machine matches the database", RECOVERY_LIMIT, || {
            db_vs_machine::matches(&self.stack)
        });
        let restored = killed.elapsed();
        let after = db_vs_machine::rows(&self.stack);
        check(&change, acknowledged, &before, &after);
        self.check_dns(&after, &change, acknowledged);
        if victims.contains(&Victim::WireGuard) {
            let stream = wait_for("the witness's device is connected", ANSWER_LIMIT, || {
                open(&witness.0)
            });
            witness.1 = stream;
        } else {
            assert!(flows(&mut witness.1), "the witness's stream continues");
        }
        let answers = killed.elapsed();
        println!(
            "{round}: acknowledged {acknowledged}, restored after {:.1} s, all DNS answers after {:.1} s",
            restored.as_secs_f32(),
            answers.as_secs_f32()
        );
        for victim in victims {
            self.durations
                .entry(victim)
                .or_default()
                .push((restored, answers));
        }
    }

    /// Draws one part, or sometimes two at once.
    fn victims(&mut self) -> Vec<Victim> {
        let all = [
            Victim::Server,
            Victim::WireGuard,
            Victim::Engine,
            Victim::Container,
        ];
        let first = self.rng.pick(all).unwrap_or(Victim::Server);
        let mut victims = vec![first];
        if self.rng.percent(15) {
            victims.extend(self.rng.pick(all).filter(|second| *second != first));
        }
        victims
    }

    fn kill(&mut self, victim: Victim, name: &str) {
        match victim {
            Victim::Server => self.stack.kill(),
            Victim::WireGuard => engine::wireguard_process()
                .into_iter()
                .for_each(engine::kill),
            Victim::Engine => self.engine.kill(),
            Victim::Container => {
                // That of the changed tenant, if it exists already.
                engine::container_process(name)
                    .or_else(|| engine::container_process("witness"))
                    .into_iter()
                    .for_each(engine::kill);
            }
        }
    }

    /// Checks that every tenant who should have DNS has it through a tunnel, and
    /// that a tenant whose deletion was acknowledged has not.
    fn check_dns(&mut self, rows: &BTreeMap<String, Row>, change: &Change, acknowledged: bool) {
        for (name, account) in &mut self.accounts {
            if let Some(device) = account.device.as_ref().filter(|_| !rows.contains_key(name)) {
                if acknowledged && matches!(change, Change::Delete(n) if n == name) {
                    let once = Duration::from_millis(500);
                    let answer =
                        dns::ask_once(&device.namespace, account.tenant.gateway, ALLOWED, once);
                    assert_eq!(answer, Answer::Timeout, "{name} was deleted");
                }
                device.disconnect();
            }
        }
        self.accounts.retain(|name, _| rows.contains_key(name));
        for (name, row) in rows.iter().filter(|(n, r)| !r.suspended && *n != "witness") {
            if !self.accounts.contains_key(name) {
                let tenant = self.stack.sign_in(name);
                self.accounts.insert(
                    name.clone(),
                    Account {
                        tenant,
                        device: None,
                    },
                );
            }
            let account = self.accounts.get_mut(name).expect("just added");
            if account.device.is_none() {
                let client = CLIENTS[usize::from(row.slot) % CLIENTS.len()];
                account.tenant.wait_until_ready();
                let t = &mut account.tenant;
                account.device = Some(self.stack.add_device(t, client, "Own", "network", false));
            }
            let device = account.device.as_ref().expect("just added");
            let gateway = account.tenant.gateway;
            wait_for(&format!("{name} has DNS"), ANSWER_LIMIT, || {
                resolves(device, gateway).then_some(())
            });
        }
    }

    fn print_summary(&self) {
        println!("killed          times  restored: median, max   all DNS: median, max (seconds)");
        for (victim, took) in &self.durations {
            let statistics = |pick: fn(&(Duration, Duration)) -> Duration| {
                let mut all: Vec<f32> = took.iter().map(|t| pick(t).as_secs_f32()).collect();
                all.sort_by(f32::total_cmp);
                (all[all.len() / 2], all[all.len() - 1])
            };
            let (restored, answers) = (statistics(|t| t.0), statistics(|t| t.1));
            println!(
                "{:<15} {:>5}  {:>6.1} {:>6.1}          {:>6.1} {:>6.1}",
                format!("{victim:?}"),
                took.len(),
                restored.0,
                restored.1,
                answers.0,
                answers.1
            );
        }
    }
}

fn open(device: &Device) -> Option<TcpStream> {
    open_stream(&device.namespace, at(internet(), STREAM))
}

#[test]
fn restarts_and_upgrades_keep_streams_and_tunnels() {
    let _bed = crate::exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("upgrade"));
    stack.wait_for_answer();
    let mut tenant = stack.sign_up("alice");
    let device = stack.add_device(&mut tenant, "c1", "Phone", "everything", false);
    let mut stream = open(&device).expect("the internet is reached");
    let (wireguard, handshake) = (
        engine::wireguard_process().expect("tunnels are in userspace in a bed"),
        device.handshake(),
    );
    stack.stop();
    assert!(flows(&mut stream), "while the server is stopped");
    assert!(
        resolves(&device, tenant.gateway),
        "DNS, while the server is stopped"
    );
    stack.restart();
    assert!(flows(&mut stream), "after a restart");

    // The same version at another path, like after a package upgrade.
    let newer = std::path::PathBuf::from(netns::var("MALIKNODE_BED_DIR")).join("newer/maliknode");
    std::fs::create_dir_all(newer.parent().unwrap()).unwrap();
    std::fs::copy(&stack.options().program, &newer).unwrap();
    stack.stop();
    stack.upgrade(newer);
    assert!(flows(&mut stream), "after an upgrade");
    stack.kill_and_restart();
    assert!(flows(&mut stream), "after a SIGKILL");
    assert_eq!(
        engine::wireguard_process(),
        Some(wireguard),
        "the userspace WireGuard process stays the same"
    );
    assert_eq!(device.handshake(), handshake, "no new session was started");
    converges("the machine matches the database", RECOVERY_LIMIT, || {
        db_vs_machine::matches(&stack)
    });
}
