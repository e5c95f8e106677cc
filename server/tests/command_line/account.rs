//! One's own account by command: signed in at the socket, with the token of its holder.

use crate::{
    follow::Following,
    server::{Installation, PASSWORD, Run},
};
use std::{fs, path::PathBuf};

/// What is wrong is refused with 1, with 3 where it is a link, or with 4 where it is a password.
const REFUSED: i32 = 1;
const OTHER_PASSWORD: &str = "another good long pass phrase";

/// Writes a file with a secret.
pub fn file(installation: &Installation, name: &str, text: &str) -> String {
    let path: PathBuf = installation.folder.path().join(name);
    fs::write(&path, format!("{text}\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs a command with a token, by the socket.
pub fn run_with(installation: &Installation, token: &str, args: &[&str]) -> Run {
    let mut command = installation.command(args);
    command.env("MALIKNODE_TOKEN", token);
    command.output().unwrap().into()
}

/// Signs an operator in, who needs that second step or none.
pub fn operator_token(installation: &Installation, name: &str, code: Option<&str>) -> String {
    let password = file(installation, "password", PASSWORD);
    let sign_in = ["account", "sign-in", name, "--operator"];
    let mut args = [&sign_in[..], &["--password-file", &password]].concat();
    if let Some(code) = code {
        let without = installation.run(&args).refusal(2);
        assert!(without.contains("--code"), "{without}");
        args.extend(["--code", code]);
    }
    installation.run(&args).output().trim().to_owned()
}

/// Runs the commands of an operator's own account, and what needs no account.
pub fn walk_with_a_token(installation: &Installation, token: &str) {
    let password = file(installation, "password", PASSWORD);
    let wrong = file(installation, "wrong", "wrong-0000");
    let (password, wrong) = (password.as_str(), wrong.as_str());
    let rows: &[(&[&str], i32)] = &[
        (&["account", "prove", "--password-file", wrong], REFUSED),
        (&["account", "recovery-codes"], 0),
        (&["account", "totp", "begin"], REFUSED),
        (&["account", "totp", "confirm", "000000"], REFUSED),
        (
            &["account", "mail", "confirm", "--link-file", wrong],
            REFUSED,
        ),
        (&["account", "mail", "warnings", "false"], REFUSED),
        (&["account", "session", "list"], 0),
        (&["account", "delete", "admin"], 4),
        (
            &[
                "account",
                "recover",
                "admin",
                "--operator",
                "--code-file",
                wrong,
                "--new-password-file",
                password,
            ],
            REFUSED,
        ),
        (
            &[
                "account",
                "reset",
                "--link-file",
                wrong,
                "--new-password-file",
                password,
            ],
            REFUSED,
        ),
        (
            &[
                "operator",
                "accept",
                "--link-file",
                wrong,
                "--new-password-file",
                password,
            ],
            REFUSED,
        ),
        (
            &[
                "account",
                "password",
                "--password-file",
                wrong,
                "--new-password-file",
                password,
            ],
            REFUSED,
        ),
        (&["token", "list"], 0),
        (&["account", "sign-out"], 0),
        (&["account", "show"], 4),
    ];
    for (args, code) in rows {
        let ended = run_with(installation, token, args);
        let is_refused = *code == REFUSED && matches!(ended.code, Some(1 | 3 | 4));
        assert!(
            is_refused || ended.code == Some(*code),
            "{args:?}: {ended:?}"
        );
        assert!(!ended.err.contains(token), "{ended:?}");
    }
}

/// Follows a tenant's devices until the first state.
pub fn follow_once(installation: &Installation) {
    let create = ["tenant", "create", "followed", "--plan", "home"];
    installation.run(&create).output();
    let list = ["device", "list", "--follow", "--tenant", "followed"];
    let mut following = Following::start(installation.command(&list));
    following.wait_for(|line| line == "There is no device.");
    following.interrupt();
}

#[test]
fn a_token_at_the_socket_is_its_holders_and_nothing_more() {
    let installation = Installation::new();
    let _server = installation.serve();
    let password = file(&installation, "password", PASSWORD);
    let create = ["tenant", "create", "lina", "--plan", "home"];
    let create = [&create[..], &["--password-file", &password]].concat();
    installation.run(&create).output();
    let sign_in = ["account", "sign-in", "lina", "--password-file", &password];
    let sign_in = || installation.run(&sign_in).output().trim().to_owned();
    let (lina, other) = (sign_in(), sign_in());
    let run = |args: &[&str]| run_with(&installation, &lina, args);

    run(&["device", "add", "Phone", "--no-qr"]).output();
    assert!(run(&["status"]).output().contains("lina"));
    // What the command line itself may do, she may not.
    run(&["tenant", "list"]).refusal(4);
    run(&["plan", "add", "x"]).refusal(4);

    // Her account: two sessions, of which the other one is ended.
    let sessions = run(&["account", "session", "list", "--json"]).json();
    assert_eq!(sessions.as_array().unwrap().len(), 2, "{sessions}");
    let current = sessions.as_array().unwrap().iter();
    assert_eq!(current.filter(|s| s["current"] == true).count(), 1);
    run(&["account", "session", "end-others"]).output();
    run_with(&installation, &other, &["account", "show"]).refusal(4);

    // A recovery code replaces the password, and so does an operator's link.
    run(&["account", "prove", "--password-file", &password]).output();
    let codes = run(&["account", "recovery-codes"]).output();
    let code = file(&installation, "code", codes.lines().next().unwrap());
    let new = file(&installation, "new", OTHER_PASSWORD);
    let recover = ["account", "recover", "lina", "--code-file", &code];
    let recover = [&recover[..], &["--new-password-file", &new]].concat();
    installation.run(&recover).output();
    installation.run(&recover).refusal(4);
    run(&["account", "show"]).refusal(4);
    let link = installation.run(&["tenant", "reset", "lina"]).output();
    assert!(
        link.contains("://lina.localhost:8085/reset?token="),
        "{link}"
    );
    let link = file(&installation, "link", link.trim());
    let reset = ["account", "reset", "--link-file", &link];
    let reset = [&reset[..], &["--new-password-file", &password]].concat();
    installation.run(&reset).output();
    installation.run(&reset).refusal(3);
    sign_in();
}

#[test]
fn operators_come_and_get_back_by_command() {
    let installation = Installation::new();
    let server = installation.serve();
    let password = file(&installation, "password", PASSWORD);
    let new = file(&installation, "new", OTHER_PASSWORD);
    let run = |args: &[&str]| installation.run(args);
    let added = run(&["operator", "add", "ada", "--role", "support"]).output();
    let link = file(&installation, "link", added.trim());
    // From anywhere, and without a token: there is none yet.
    let accept = ["operator", "accept", "--link-file", &link];
    let accept = [&accept[..], &["--new-password-file", &password]].concat();
    let mut command = installation.command(&accept);
    command.args(["--server", &server.address()]);
    let accepted = Run::from(command.output().unwrap()).output();
    assert!(accepted.contains("ada is an operator"), "{accepted}");
    let ada = operator_token(&installation, "ada", None);
    let as_ada = |args: &[&str]| run_with(&installation, &ada, args);
    as_ada(&["tenant", "create", "lina", "--plan", "home"]).output();
    as_ada(&["operator", "list"]).output();
    as_ada(&["operator", "remove", "admin"]).refusal(4);
    let audit = run(&["audit", "--actor", "operator:ada", "--json"]).json();
    let entries = audit.as_array().unwrap();
    let created = entries.iter().any(|e| e["action"] == "tenant.create");
    assert!(created, "the audit log names who it was: {audit}");

    let made = run(&["operator", "reset", "ada"]).output();
    let link = file(&installation, "link", made.trim());
    let reset = ["account", "reset", "--link-file", &link];
    run(&[&reset[..], &["--new-password-file", &new]].concat()).output();
    as_ada(&["tenant", "list"]).refusal(4);
    let sign_in = ["account", "sign-in", "ada", "--operator", "--password-file"];
    run(&[&sign_in[..], &[&password]].concat()).refusal(4);
    run(&[&sign_in[..], &[&new]].concat()).output();
}

#[test]
fn an_api_token_acts_on_the_database_where_no_server_runs() {
    let installation = Installation::new();
    let server = installation.serve();
    let create = ["tenant", "create", "lina", "--plan", "home"];
    installation.run(&create).output();
    let token = [
        "token", "create", "x", "--access", "write", "--tenant", "lina",
    ];
    let token = installation.run(&token).output();
    drop(server);
    let run = |args: &[&str]| run_with(&installation, token.trim(), args);
    run(&["device", "add", "Phone", "--no-qr"]).output();
    assert!(run(&["device", "list"]).output().contains("Phone"));
    run(&["tenant", "list"]).refusal(4);
    let none = run_with(&installation, "mnt_00ff_x", &["device", "list"]);
    none.refusal(4);
}
