//! An installation is moved from SQLite to PostgreSQL. A device's stream and its DNS go
//! on while the server is stopped, the database is moved, and the server is started, and
//! everything is as it was.

use super::{ALLOWED, STREAM, exclusive_bed, internet};
use crate::{
    dns::{self, Answer},
    netns::{at, flows, open_stream, tcp_reaches},
    postgres::PostgresServer,
    stack::{Device, ECHO, ServerOptions, Stack, Tenant, run_here, wait_for},
};
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The longest time without data of the stream. A byte is sent every 20 ms.
const LONGEST_GAP: Duration = Duration::from_millis(1500);

/// Reads a stream and asks the filter of a device, until it is stopped.
struct Watch {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU32>,
    threads: [JoinHandle<Result<(), String>>; 2],
}

impl Watch {
    fn start(device: &Device, gateway: Ipv4Addr) -> Self {
        let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let mut stream = open_stream(&device.namespace, at(internet(), STREAM)).expect("a stream");
        let stopped = stop.clone();
        let reader = thread::spawn(move || {
            let mut last = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                if !flows(&mut stream) {
                    return Err("the stream has ended".to_owned());
                }
                if last.elapsed() > LONGEST_GAP {
                    return Err(format!("no data for {:?}", last.elapsed()));
                }
                last = Instant::now();
            }
            Ok(())
        });
        let (stopped, counted) = (stop.clone(), answers.clone());
        let namespace = device.namespace.clone();
        let asker = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let answer = dns::ask_once(&namespace, gateway, ALLOWED, Duration::from_secs(2));
                if answer != Answer::Address(internet()) {
                    return Err(format!("{answer:?}"));
                }
                counted.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        });
        Self {
            stop,
            answers,
            threads: [reader, asker],
        }
    }

    /// # Panics
    /// The stream or the filter was away.
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("it does not panic").expect("no gap");
        }
        let answers = self.answers.load(Ordering::Relaxed);
        assert!(answers > 20, "{answers} answers");
    }
}

/// What of the machine must stay the same: the tunnel's file with all keys, the interface
/// and the container.
fn machine(stack: &Stack) -> [String; 3] {
    let conf = stack.root().join("users/user_alice/wg1.conf");
    let read = |path: &Path| fs::read_to_string(path).expect("the tunnel's file and interface");
    let containers = "{{.ID}} {{.CreatedAt}}";
    [
        read(&conf),
        read(Path::new("/sys/class/net/wg1/ifindex")),
        run_here(&["docker", "ps", "--no-trunc", "--format", containers]),
    ]
}

fn psql(url: &str, sql: &str) -> String {
    run_here(&["psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql, url])
}

fn text(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

#[test]
fn a_database_is_moved_while_tunnels_stay_up() {
    let _bed = exclusive_bed();
    let postgres = PostgresServer::start().expect("PostgreSQL starts");
    psql(&postgres.url, "CREATE DATABASE moving");
    let url = postgres.url.replacen("/postgres?", "/moving?", 1);
    let mut stack = Stack::launch(ServerOptions::with_root("moving"));
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let phone = stack.add_device(&mut alice, "c1", "Zoë’s phone", "everything", true);
    let watch = Watch::start(&phone, alice.gateway);
    let before = (machine(&stack), phone.handshake());
    let used = "select period_bytes from tenant_traffic where period_bytes > 0";
    wait_for("the traffic is counted", Duration::from_secs(60), || {
        stack.query(used).pop()
    });

    let move_it = |stack: &Stack, more: &[&str]| {
        let mut command: Command = stack.options().command(&["database", "move", "--to", &url]);
        command.args(more).output().expect("maliknode runs")
    };
    let check = move_it(&stack, &["--dry-run"]);
    assert!(check.status.success(), "{}", text(&check));
    let refused = move_it(&stack, &[]);
    assert!(
        text(&refused).contains("Stop it first"),
        "{}",
        text(&refused)
    );

    stack.stop();
    let counters = "select user_id, hex(counters), period_bytes from tenant_traffic";
    let counters = stack.query(counters).concat().join("|");
    let moved = move_it(&stack, &[]);
    assert!(moved.status.success(), "{}", text(&moved));
    let there = "SELECT user_id, upper(encode(counters, 'hex')), period_bytes FROM tenant_traffic";
    assert_eq!(psql(&url, there).trim(), counters);
    stack.restart();
    assert_eq!(psql(&url, "SELECT COUNT(*) FROM users").trim(), "1");
    assert!(!stack.root().join("central_api/database.sqlite").exists());

    everything_is_as_before(&mut stack, &mut alice, &phone);
    // The node has compared the machine with PostgreSQL's rows by now.
    let bytes = psql(&url, "SELECT period_bytes FROM tenant_traffic");
    wait_for("more traffic is counted", Duration::from_secs(60), || {
        let now = psql(&url, "SELECT period_bytes FROM tenant_traffic");
        (now.trim().parse::<u64>().ok()? > bytes.trim().parse::<u64>().ok()?).then_some(())
    });
    assert_eq!(machine(&stack), before.0);
    watch.end();
    assert!(phone.handshake() >= before.1);

    // It goes on from there.
    let laptop = stack.add_device(&mut alice, "c2", "Laptop", "everything", true);
    assert!(tcp_reaches(&laptop.namespace, at(internet(), ECHO)));
    let bob = stack.sign_up("bobby");
    assert_ne!(bob.gateway, alice.gateway);
    let ids = psql(&url, "SELECT id FROM users ORDER BY id");
    assert_eq!(ids.split_whitespace().collect::<Vec<_>>(), ["1", "2"]);
}

/// The session, the password, the device and its file are the same.
fn everything_is_as_before(stack: &mut Stack, alice: &mut Tenant, phone: &Device) {
    alice.wait_until_ready();
    let page = alice.get(&format!("/devices/{}", phone.id));
    assert_eq!(page.status, 200, "the session is still signed in");
    assert!(page.body.contains("Zoë’s phone"), "{}", page.body);
    let again = stack.sign_in("alice");
    assert!(again.name == "alice");
    let file = alice.get(&format!("/devices/{}/config", phone.id));
    assert!(file.body.contains("PrivateKey"), "{}", file.body);
    assert!(
        file.body.contains(&phone.address.to_string()),
        "{}",
        file.body
    );
}
