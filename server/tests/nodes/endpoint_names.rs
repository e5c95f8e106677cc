//! Names of endpoints at a real name server: they are there after a sign-up, follow a tenant
//! to another machine, and are told later where the server is down.

use crate::{
    cluster::{Cluster, NODES_PORT, exclusive_bed},
    machine::text,
    moving::connect_machines,
    named::{KEY, Named},
    stack::{ServerOptions, Stack, wait_for},
};
use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const NINA: &str = "nina-vpn.example.org";
const OLGA: &str = "olga-vpn.example.org";
/// The control plane looks for changes every second.
const TOLD: Duration = Duration::from_secs(10);
/// After failures it lets the server alone for longer.
const RETRIED: Duration = Duration::from_secs(90);

fn start(named: &Named) -> Cluster {
    let server = named.address();
    Cluster::start_with("names", 2, |url| {
        let mut options = ServerOptions::with_root("names");
        let listen = format!("0.0.0.0:{NODES_PORT}");
        let arguments = [
            ["--database-url", url],
            ["--nodes-listen", &listen],
            ["--names-server", &server],
            ["--names-domain", "example.org"],
            ["--names-key", KEY],
        ];
        options.extra_args = arguments.concat().into_iter().map(str::to_owned).collect();
        let mut stack = Stack::launch(options);
        stack.wait_for_answer();
        stack
    })
}

/// Returns the host to which a new device of a tenant connects.
fn endpoint(cluster: &Cluster, tenant: &str, label: &str) -> String {
    let root = &cluster.stack.options().root;
    let file = root.join(format!("{tenant}-{label}.conf"));
    let file = file.to_str().expect("a plain path");
    let added = [
        "device", "--tenant", tenant, "add", label, "--no-qr", "--out", file,
    ];
    let added = cluster.command(&added);
    assert!(added.status.success(), "{}", text(&added));
    let config = fs::read_to_string(file).expect("it is written");
    let line = config.lines().find_map(|l| l.strip_prefix("Endpoint = "));
    let (host, _port) = line.and_then(|l| l.rsplit_once(':')).expect("an endpoint");
    host.to_owned()
}

/// Changes a record by hand.
fn update_by_hand(named: &Named, commands: &str) {
    let (server, port) = named
        .address()
        .rsplit_once(':')
        .map(|(s, p)| (s.to_owned(), p.to_owned()))
        .expect("a port");
    let mut nsupdate = Command::new("nsupdate")
        .args(["-y", KEY])
        .stdin(Stdio::piped())
        .spawn()
        .expect("nsupdate is there");
    let script = format!("server {server} {port}\nzone example.org\n{commands}\nsend\n");
    let mut input = nsupdate.stdin.take().expect("a pipe");
    input.write_all(script.as_bytes()).expect("it reads");
    drop(input);
    assert!(nsupdate.wait().expect("it ends").success());
}

/// Returns what the doctor says of the name server.
fn doctor_says(cluster: &Cluster) -> String {
    let said = text(&cluster.command(&["doctor"]));
    let row = said.lines().find(|line| line.contains("Name server"));
    row.unwrap_or_else(|| panic!("no row in {said}")).to_owned()
}

#[test]
fn an_endpoints_name_follows_its_tenant() {
    let _bed = exclusive_bed();
    let mut named = Named::start();
    let cluster = start(&named);
    connect_machines(&cluster);
    let host = |n: usize| [cluster.workers[n].machine.outside().to_string()];
    let stands_for = |named: &Named, name: &str, within, expected: &[String]| {
        let begun = Instant::now();
        wait_for("the name is there", within, || {
            (named.dig(name, "A") == expected).then_some(())
        });
        println!("{name}: {expected:?} after {:?}", begun.elapsed());
    };

    let row = doctor_says(&cluster);
    assert!(row.contains("accepts changes"), "{row}");
    cluster.sign_up_on("w1", "nina");
    stands_for(&named, NINA, TOLD, &host(0));
    wait_for("devices get it", TOLD, || {
        let told = "SELECT is_told FROM endpoint_names WHERE host IS NOT NULL";
        (cluster.query(told).trim() == "1").then_some(())
    });
    assert_eq!(endpoint(&cluster, "nina", "Phone"), NINA);

    cluster.open_only(&["w1", "w2"]);
    let moved = cluster.command(&["tenant", "move", "nina", "--to", "w2", "--without-data"]);
    assert!(moved.status.success(), "{}", text(&moved));
    stands_for(&named, NINA, TOLD, &host(1));
    assert_eq!(endpoint(&cluster, "nina", "Laptop"), NINA);

    // Another record at the server is found.
    update_by_hand(
        &named,
        &format!("update delete {NINA} A\nupdate add {NINA} 60 A 192.0.2.66"),
    );
    let check = cluster.command(&["node", "dns", "check"]);
    let said = text(&check);
    assert!(
        check.status.success() && said.contains("stood for 192.0.2.66"),
        "{said}"
    );
    stands_for(&named, NINA, TOLD, &host(1));

    // The server is down: the operator reads of it, and devices get the machine's own host.
    named.stop();
    cluster.sign_up_on("w1", "olga");
    let problem = wait_for("the operator reads of it", TOLD, || {
        let noted = "SELECT value FROM settings WHERE name = 'endpoint_names.problem'";
        Some(cluster.query(noted)).filter(|noted| !noted.trim().is_empty())
    });
    assert!(problem.contains("name-server-unreachable"), "{problem}");
    let [own] = host(0);
    assert_eq!(endpoint(&cluster, "olga", "Phone"), own);
    let check = cluster.command(&["node", "dns", "check"]);
    let said = text(&check);
    assert!(
        !check.status.success() && said.contains("cannot be reached"),
        "{said}"
    );
    let row = doctor_says(&cluster);
    assert!(row.contains("cannot be reached"), "{row}");
    named.run();
    stands_for(&named, OLGA, RETRIED, &host(0));
    let check = cluster.command(&["node", "dns", "check"]);
    assert!(check.status.success(), "{}", text(&check));

    // A deleted tenant's name leads to what it did before.
    let deleted = cluster.command(&["tenant", "delete", "olga", "--yes"]);
    assert!(deleted.status.success(), "{}", text(&deleted));
    stands_for(&named, OLGA, TOLD, &["192.0.2.10".to_owned()]);
    assert_eq!(named.dig(NINA, "A"), host(1), "the other one stays");
}
