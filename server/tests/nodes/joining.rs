//! Who becomes a node, and who does not.

use crate::{
    cluster::{LOCAL, shared_cluster},
    machine::{Machine, Worker, text},
    netns,
    stack::{ServerOptions, eventually},
};

#[test]
fn a_token_serves_once_and_a_revoked_worker_is_refused() {
    let cluster = shared_cluster();
    let mut worker = Worker::new(Machine::start("w3", 12));
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
    let second = Worker::new(Machine::start("w4", 13));
    let used = second.try_join(&token);
    assert_eq!(
        used.status.code(),
        Some(1),
        "a token serves once: {}",
        text(&used)
    );

    worker.start();
    let name = worker.machine.name.clone();
    let of = |nodes: &[serde_json::Value]| {
        let node = nodes.iter().find(|n| n["name"] == name.as_str());
        node.expect("it is listed").clone()
    };
    eventually("the worker reports", || {
        !of(&cluster.list())["last_heard"].is_null()
    });
    cluster.sign_up_on(&name, "joiner");
    cluster.open_only(&[LOCAL, &name]);
    let revoked = cluster.command(&["node", "revoke", &name]);
    assert!(revoked.status.success(), "{}", text(&revoked));
    let placed = cluster.stack.register("later");
    let node = cluster.node_of(&placed);
    assert_eq!(node, LOCAL, "a revoked node gets no tenant");
    eventually("its connection is closed", || {
        cluster.stack.log().contains("no longer admitted")
    });
    let node = of(&cluster.list());
    assert_eq!(node["standing"], "revoked", "{node}");
}

#[test]
fn sqlite_refuses_workers_with_the_way_to_postgresql() {
    netns::require();
    let options = ServerOptions::with_root("sqlite");
    let out = options.command(&["worker", "token"]).output();
    let out = out.expect("maliknode runs");
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert!(text(&out).contains("PostgreSQL"), "{}", text(&out));
}
