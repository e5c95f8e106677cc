//! Who becomes a node, and who does not.

use crate::{
    cluster::Cluster,
    exclusive_bed,
    machine::{Machine, Worker, text},
    stack::{ServerOptions, Stack, eventually},
};

#[test]
fn a_token_serves_once_and_a_revoked_worker_is_refused() {
    let _bed = exclusive_bed();
    let mut cluster = Cluster::start("joining", 0);
    let mut worker = Worker::new(Machine::start("w1", 10));
    let token = cluster.token();

    // Not a token, and one of another installation.
    let refused = worker.try_join("mn1_rubbish");
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let (head, id_and_secret) = token.rsplit_once('_').map_or(("", ""), |(rest, secret)| {
        let (head, _) = rest.rsplit_once('_').expect("an id");
        (head, secret)
    });
    assert!(head.len() > 20 && !id_and_secret.is_empty());
    let wrong: String = token
        .char_indices()
        .map(|(i, c)| {
            if i == 8 {
                if c == 'a' { 'b' } else { 'a' }
            } else {
                c
            }
        })
        .collect();
    let refused = worker.try_join(&wrong);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(!worker.root().join("worker/identity.pem").exists());

    let joined = worker.try_join(&token);
    assert!(joined.status.success(), "{}", text(&joined));
    let again = worker.try_join(&token);
    assert_eq!(
        again.status.code(),
        Some(1),
        "a worker joins once: {}",
        text(&again)
    );
    let second = Worker::new(Machine::start("w2", 11));
    let used = second.try_join(&token);
    assert_eq!(
        used.status.code(),
        Some(1),
        "a token serves once: {}",
        text(&used)
    );

    worker.start();
    let name = worker.machine.name.clone();
    let heard = |cluster: &Cluster| {
        let nodes = cluster.list();
        nodes
            .iter()
            .any(|n| n["name"] == name.as_str() && !n["last_heard"].is_null())
    };
    eventually("the worker reports", || heard(&cluster));
    let alice = cluster.sign_up_on(&name, "alice");
    let revoked = cluster.command(&["node", "revoke", &name]);
    assert!(revoked.status.success(), "{}", text(&revoked));
    let placed = cluster.stack.register("later");
    assert_ne!(
        cluster.node_of(&placed),
        name,
        "a revoked node gets no tenant"
    );
    eventually("its connection is closed", || {
        cluster.stack.log().contains("no longer admitted")
    });
    let nodes = cluster.list();
    let of = nodes.iter().find(|n| n["name"] == name.as_str());
    assert_eq!(
        of.expect("it is listed")["standing"],
        "revoked",
        "{nodes:?}"
    );
    drop(alice);
    cluster.workers.push(worker);
}

#[test]
fn sqlite_refuses_workers_with_the_way_to_postgresql() {
    let _bed = exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("sqlite"));
    stack.wait_for_answer();
    let out = stack.options().command(&["worker", "token"]).output();
    let out = out.expect("maliknode runs");
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert!(text(&out).contains("PostgreSQL"), "{}", text(&out));
}
