//! Kills the parts of an installation of several machines at random points of tenants'
//! changes: the control plane, a worker, a worker's Docker engine, and PostgreSQL, which is
//! stopped for up to 30 s. After each round every machine is what the database says, what
//! was acknowledged holds, deleted devices stay deleted, traffic is counted once, and
//! tenants that are not changed have lost few answers. `MALIKNODE_ROUNDS` sets the number
//! of rounds, and `MALIKNODE_SEED` replays a run: the same parts at the same moments of the
//! same changes (what the machines had done by that moment may differ).

mod change;

use crate::{
    ALLOWED,
    browser::Browser,
    cluster::{SharedCluster, shared_cluster},
    dns::{self, Answer},
    dns_probe::{DnsProbe, ProbeCounts},
    internet,
    machines::{self, Row},
    netns::{at, open_stream},
    resolves,
    stack::{Device, Tenant, operator, wait_for},
    transfer::{self, BULK},
};
use change::{Change, check, extra_key};
use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};
use testkit::sim::rng::SplitMix64;

/// The longest time from a kill to the machines as they should be. Most of it is the start
/// of a container engine.
const RECOVERY_LIMIT: Duration = Duration::from_secs(60);
/// The longest time from then to an answer through the tunnel: a client notices after 15 s
/// that its session has ended, and its first attempt may be lost.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);
/// What a tenant that is not changed downloads in each round.
const DOWNLOAD: u64 = 1_000_000;

/// After so many rounds, what is counted is compared with what has passed: one round's that
/// is counted twice is a fifth of it.
const COMPARED_ROUNDS: u64 = 5;

/// The part that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    ControlPlane,
    /// The worker of that number from 0.
    Worker(usize),
    /// The Docker engine of that worker.
    Engine(usize),
    /// PostgreSQL, which is stopped for so many milliseconds.
    Database(u64),
}

impl Victim {
    /// Returns how many answers a tenant may lose that is not changed. A tunnel needs none
    /// of the processes that are killed. The engine carries no packets either, but its end
    /// and its start change the machine's rules.
    const fn losses(self) -> u32 {
        match self {
            Self::Engine(_) => 5,
            Self::ControlPlane | Self::Worker(_) | Self::Database(_) => 1,
        }
    }
}

/// A tenant that is never changed, on the worker of its number, with a question to its
/// filter every 100 ms.
struct Witness {
    name: String,
    slot: u16,
    /// What was counted of it and what had passed when both were compared last.
    compared: (u64, (u64, u64)),
    device: Device,
    probe: DnsProbe,
}

/// A tenant that is changed, and the device that checks whether DNS answers.
struct Account {
    tenant: Tenant,
    device: Option<Device>,
}

struct Run {
    cluster: SharedCluster,
    rng: SplitMix64,
    accounts: BTreeMap<String, Account>,
    operator: Browser,
    count: u32,
    witnesses: Vec<Witness>,
    /// Where a device that was deleted still tries, and the gateway it asks.
    removed: (Device, std::net::Ipv4Addr),
    /// The keys of all devices whose deletion was acknowledged.
    removed_keys: BTreeSet<String>,
    /// Times from the start of the killed parts until the machines were right, and answers
    /// that were lost.
    figures: BTreeMap<&'static str, Vec<(Duration, u32)>>,
}

/// Returns whether a tenant is one of those that are changed.
fn is_ours(name: &str) -> bool {
    name.starts_with("kill")
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| {
        v.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {v:?}"))
    })
}

#[test]
fn an_installation_recovers_from_any_killed_part() {
    let random = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(1, |d| d.as_millis() as u64 % 1_000_000);
    let (seed, rounds) = (
        number("MALIKNODE_SEED", random),
        number("MALIKNODE_ROUNDS", 10),
    );
    println!("{rounds} rounds; again with MALIKNODE_SEED={seed} MALIKNODE_ROUNDS={rounds}");
    let mut run = Run::begin(seed);
    for round in 1..=rounds {
        run.round(round);
    }
    run.end();
}

impl Run {
    fn begin(seed: u64) -> Self {
        let mut cluster = shared_cluster();
        let operator = operator(&cluster.stack);
        transfer::serve();
        let mut witnesses = Vec::new();
        for (worker, node) in ["w1", "w2"].into_iter().enumerate() {
            let name = format!("witness{worker}");
            let mut tenant = cluster.sign_up_on(node, &name);
            let device = cluster.add_device(&mut tenant, worker, 0, "Witness", "everything");
            let gateway = tenant.gateway;
            wait_for("the witness has DNS", ANSWER_LIMIT, || {
                resolves(&device, gateway).then_some(())
            });
            let probe = DnsProbe::start(&device, gateway);
            witnesses.push(Witness {
                slot: cluster.id_and_slot(&name).1,
                compared: (0, (0, 0)),
                name,
                device,
                probe,
            });
        }
        let mut tenant = cluster.sign_up_on("w1", "kill0");
        let device = cluster.add_device(&mut tenant, 0, 2, "Removed", "network");
        let removed = tenant.post("/do/delete_device", &[("id", &device.id)]);
        assert_eq!(removed.status, 200, "{}", removed.body);
        cluster.open_only(&["w1", "w2"]);
        let removed = (device, tenant.gateway);
        let account = Account {
            tenant,
            device: None,
        };
        Self {
            cluster,
            rng: SplitMix64::new(seed),
            accounts: [("kill0".to_owned(), account)].into(),
            operator,
            count: 0,
            witnesses,
            removed,
            removed_keys: BTreeSet::new(),
            figures: BTreeMap::new(),
        }
    }

    fn round(&mut self, round: u64) {
        self.count += 1;
        let before = machines::rows(&self.cluster);
        let change = self.draw(&before);
        let victims = self.victims();
        // A sign-up hashes a password and starts a container; the others change rows.
        let span = match change {
            Change::SignUp(_) => 1500,
            Change::Delete(_) | Change::Suspend(..) => 700,
            Change::AddDevice(_) | Change::SetDevice(_) | Change::DeleteDevice(_) => 250,
        };
        let moment = Duration::from_millis(self.rng.below(span));
        println!("{round}: {victims:?} {moment:?} into {change:?}");
        for witness in &self.witnesses {
            witness.probe.take_counts();
        }
        let request = self.request(&change, &before);
        thread::sleep(moment);
        self.kill(&victims);
        let killed = Instant::now();
        let acknowledged = request.join().expect("the request ends");
        self.converge("the machines match the database", || {
            machines::match_database(&self.cluster)
        });
        let restored = killed.elapsed();
        let after = machines::rows(&self.cluster);
        check(&change, acknowledged, &before, &after);
        if let (Change::DeleteDevice(name), true) = (&change, acknowledged) {
            let key = extra_key(&before[name]).to_owned();
            self.removed_keys.insert(key);
        }
        self.check_removed(&after);
        self.check_dns(&after, &change, acknowledged);
        let lost = self.lost();
        println!(
            "{round}: acknowledged {acknowledged}, restored after {:.1} s, all DNS answers after \
             {:.1} s, others lost {lost} answers",
            restored.as_secs_f32(),
            killed.elapsed().as_secs_f32()
        );
        let allowed = victims.iter().map(|v| v.losses()).max().unwrap_or(0);
        assert!(lost <= allowed, "{victims:?}: {lost} answers were lost");
        self.transfer();
        if round.is_multiple_of(COMPARED_ROUNDS) {
            self.compare_counters();
        }
        for victim in victims {
            let kind = match victim {
                Victim::ControlPlane => "control plane",
                Victim::Worker(_) => "worker",
                Victim::Engine(_) => "Docker engine",
                Victim::Database(_) => "PostgreSQL, stopped",
            };
            self.figures.entry(kind).or_default().push((restored, lost));
        }
    }

    /// Draws one part, or sometimes two at once.
    fn victims(&mut self) -> Vec<Victim> {
        let count = if self.rng.percent(20) { 2 } else { 1 };
        let mut victims: Vec<Victim> = Vec::new();
        while victims.len() < count {
            let worker = usize::from(self.rng.percent(50));
            let victim = match self.rng.below(4) {
                0 => Victim::ControlPlane,
                1 => Victim::Worker(worker),
                2 => Victim::Engine(worker),
                // Short ones are more frequent: the mean is 8 s.
                _ => Victim::Database(self.rng.below(31).pow(3) * 1_000 / 900),
            };
            let same = std::mem::discriminant(&victim);
            if victims.iter().all(|v| std::mem::discriminant(v) != same) {
                victims.push(victim);
            }
        }
        // What waits comes last, so that all are away at the same time.
        victims.sort_by_key(|v| matches!(v, Victim::Database(_)));
        victims
    }

    /// Kills parts, and starts them again once PostgreSQL goes on.
    fn kill(&mut self, victims: &[Victim]) {
        let mut engines = Vec::new();
        let cluster = &mut *self.cluster;
        for victim in victims {
            match *victim {
                Victim::ControlPlane => cluster.stack.kill(),
                Victim::Worker(n) => cluster.workers[n].kill(),
                Victim::Engine(n) => engines.push((n, cluster.workers[n].machine.kill_engine())),
                Victim::Database(millis) => {
                    cluster.signal_database("STOP");
                    thread::sleep(Duration::from_millis(millis));
                    cluster.signal_database("CONT");
                }
            }
        }
        // A service manager waits for some time, too.
        thread::sleep(Duration::from_millis(self.rng.below(1500)));
        for victim in victims {
            match *victim {
                Victim::ControlPlane => cluster.stack.restart(),
                Victim::Worker(n) => cluster.workers[n].start(),
                Victim::Engine(_) | Victim::Database(_) => {}
            }
        }
        for (n, command) in engines {
            cluster.workers[n].machine.start_engine(&command);
        }
    }

    fn converge(&self, what: &str, mut check: impl FnMut() -> Result<(), String>) {
        let begun = Instant::now();
        while let Err(why) = check() {
            assert!(
                begun.elapsed() < RECOVERY_LIMIT,
                "{what}: still after {RECOVERY_LIMIT:?}: {why}"
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Checks that no device whose deletion was acknowledged is there, and that one of
    /// them, which still tries, gets no answer.
    fn check_removed(&self, rows: &BTreeMap<String, Row>) {
        let back = rows.iter().flat_map(|(name, row)| {
            let keys = row.devices.values();
            keys.filter(|k| self.removed_keys.contains(*k))
                .map(move |k| format!("{k} of {name}"))
        });
        let back: Vec<String> = back.collect();
        assert!(back.is_empty(), "deleted devices are back: {back:?}");
        let (device, gateway) = &self.removed;
        let once = Duration::from_millis(500);
        let answer = dns::ask_once(&device.namespace, *gateway, ALLOWED, once);
        assert_eq!(answer, Answer::Timeout, "a deleted device gets an answer");
    }

    /// Checks that every tenant who should have DNS has it through a tunnel, and that a
    /// tenant whose deletion was acknowledged has not.
    fn check_dns(&mut self, rows: &BTreeMap<String, Row>, change: &Change, acknowledged: bool) {
        for (name, account) in &mut self.accounts {
            if let Some(device) = account.device.as_ref().filter(|_| !rows.contains_key(name)) {
                if acknowledged && matches!(change, Change::Delete(n) if n == name) {
                    let once = Duration::from_millis(500);
                    let gateway = account.tenant.gateway;
                    let answer = dns::ask_once(&device.namespace, gateway, ALLOWED, once);
                    assert_eq!(answer, Answer::Timeout, "{name} was deleted");
                }
                device.disconnect();
            }
        }
        self.accounts.retain(|name, _| rows.contains_key(name));
        for (name, row) in rows.iter().filter(|(n, r)| !r.suspended && is_ours(n)) {
            let cluster = &mut *self.cluster;
            let account = self
                .accounts
                .entry(name.clone())
                .or_insert_with(|| Account {
                    tenant: cluster.stack.sign_in(name),
                    device: None,
                });
            if account.device.is_none() {
                let tenant = &mut account.tenant;
                tenant.wait_until_ready();
                let worker = usize::from(row.node == "w2");
                let device = cluster.add_device(tenant, worker, 1, "Own", "network");
                account.device = Some(device);
            }
            let device = account.device.as_ref().expect("just added");
            let gateway = account.tenant.gateway;
            wait_for(&format!("{name} has DNS"), ANSWER_LIMIT, || {
                resolves(device, gateway).then_some(())
            });
        }
    }

    /// Returns the answers that a tenant that is not changed has lost at most, of those
    /// asked since the round began.
    fn lost(&self) -> u32 {
        let of = |witness: &Witness| {
            let mut counts = ProbeCounts::default();
            wait_for("the witness has an answer", ANSWER_LIMIT, || {
                counts += witness.probe.take_counts();
                (counts.answered > 0).then_some(())
            });
            counts.lost
        };
        self.witnesses.iter().map(of).max().unwrap_or(0)
    }

    /// Lets the witnesses download.
    fn transfer(&self) {
        thread::scope(|s| {
            for witness in &self.witnesses {
                s.spawn(|| {
                    let namespace = &witness.device.namespace;
                    // A tunnel that begins again loses the first packets.
                    let stream = wait_for("the internet is reached", ANSWER_LIMIT, || {
                        open_stream(namespace, at(internet(), BULK))
                    });
                    let read = transfer::read_slowly(stream, DOWNLOAD);
                    assert!(read >= DOWNLOAD, "{} read {read} bytes", witness.name);
                });
            }
        });
    }

    /// Checks that what has passed since the last comparison is counted, and once.
    fn compare_counters(&mut self) {
        for (worker, witness) in self.witnesses.iter_mut().enumerate() {
            let machine = &self.cluster.workers[worker].machine;
            let (counted, (least, most)) = witness.compared;
            wait_for("all is counted, and once", Duration::from_secs(25), || {
                let passed = transfer::passed(machine, witness.slot);
                let all = transfer::counted(&self.cluster, &witness.name);
                witness.compared = (all, passed);
                let since = (passed.0 - least, passed.1 - most);
                transfer::is_all_of(all - counted, since).then_some(())
            });
        }
    }

    /// Prints the figures.
    fn end(&self) {
        println!("killed                times  restored: median, max (s)   answers lost at most");
        for (kind, all) in &self.figures {
            let mut restored: Vec<f32> = all.iter().map(|f| f.0.as_secs_f32()).collect();
            restored.sort_by(f32::total_cmp);
            let lost = all.iter().map(|f| f.1).max().unwrap_or(0);
            println!(
                "{kind:<20} {:>6}  {:>8.1} {:>8.1}            {lost:>6}",
                all.len(),
                restored[all.len() / 2],
                restored[all.len() - 1],
            );
        }
    }
}
