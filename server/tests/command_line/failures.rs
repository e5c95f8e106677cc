//! What goes wrong on the way: a server that is away, one that answers nonsense, a socket that a
//! server left behind.

use crate::server::{Installation, Run};
use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    thread,
};

fn at(installation: &Installation, address: &str, args: &[&str]) -> Run {
    let mut command = installation.command(args);
    command.args(["--server", address]);
    command.env("MALIKNODE_TOKEN", "mnt_00ff_secret");
    command.output().unwrap().into()
}

/// Answers every connection with these bytes.
fn answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().take(4) {
            let mut stream = stream.unwrap();
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(bytes);
        }
    });
    address
}

#[test]
fn a_server_that_is_away_is_told_apart() {
    let installation = Installation::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let away = at(&installation, &address, &["tenant", "list"]).refusal(5);
    assert!(away.contains("cannot be reached"), "{away}");
    assert!(!away.contains("secret"), "{away}");
    let unknown = at(
        &installation,
        "https://api.example.invalid",
        &["tenant", "list"],
    );
    unknown.refusal(5);
    assert!(
        !installation
            .root
            .join("central_api/database.sqlite")
            .exists(),
        "nothing is looked for here"
    );
}

#[test]
fn a_server_that_answers_nonsense_is_told_apart() {
    let installation = Installation::new();
    let ok = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]";
    for (bytes, says) in [
        (&ok[..], "does not answer as MalikNode's API does"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<h1>\x1b[2J</h1>",
            "does not answer as MalikNode's API does",
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            "502",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "302",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be reached"),
        (b"", "cannot be reached"),
    ] {
        let address = answering(bytes);
        let refused = at(&installation, &address, &["tenant", "list"]).refusal(5);
        assert!(refused.contains(says), "{says}: {refused}");
        assert!(!refused.contains('\x1b'), "{refused:?}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let installation = Installation::new();
    let run = |args: &[&str]| installation.run(args).refusal(2);
    let server = ["tenant", "list", "--server", "https://api.example.org"];
    assert!(run(&server).contains("needs an API token"));
    // Here, too, it is the token's holder that acts, and this one is no token.
    let token = ["tenant", "list", "--token", "mnt_00ff_secret"];
    let alone = installation.run(&token).refusal(4);
    assert!(!alone.contains("secret"), "{alone}");
    let open = [
        "tenant",
        "list",
        "--server",
        "http://api.example.org",
        "--token",
        "mnt_1_x",
    ];
    assert!(run(&open).contains("readable on the way"));
    let folder = installation.folder.path().join(".config/maliknode");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("client.toml"), "sever = \"x\"\n").unwrap();
    assert!(run(&["tenant", "list"]).contains("client.toml"));
}

#[test]
fn a_socket_without_a_server_leads_to_the_database() {
    let installation = Installation::new();
    fs::create_dir_all(&installation.runtime_dir).unwrap();
    let socket = installation.socket();
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let run = installation.run(&["tenant", "list"]);
    assert!(run.err.contains("straight to the database"), "{run:?}");
    assert_eq!(run.output(), "There is no tenant.\n");

    // The next server replaces it, and takes it along.
    let server = installation.serve();
    assert_eq!(installation.run(&["tenant", "list"]).err, "");
    drop(server);
    let again = installation.run(&["tenant", "list"]);
    assert!(again.err.contains("straight to the database"), "{again:?}");
}

#[test]
fn a_change_by_the_socket_is_in_force_at_once() {
    let installation = Installation::new();
    let _server = installation.serve();
    let run = |args: &[&str]| installation.run(args);
    run(&["tenant", "create", "lina", "--plan", "home"]).output();
    let begun = std::time::Instant::now();
    run(&["device", "add", "Phone", "--tenant", "lina", "--no-qr"]).output();
    run(&["device", "policy", "Phone", "strict", "--tenant", "lina"]).output();
    let took = begun.elapsed();
    assert!(took.as_secs() < 5, "{took:?}");
    println!("two changes took {took:?}");
}
