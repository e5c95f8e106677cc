//! Who may: users of this machine by the socket, and holders of tokens.

use crate::server::{Installation, PASSWORD, Run};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
};

/// A user and a group that no test needs, and that Debian has.
const NOBODY: u32 = 65_534;
/// A group of that user alone in these tests.
const GROUP: (&str, u32) = ("games", 60);

/// Lets everybody go through the folders to the socket, and the program be read.
fn open(installation: &Installation) {
    for folder in [installation.folder.path(), &installation.runtime_dir] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Runs a command as another user, in these groups.
fn run_as(installation: &Installation, groups: &[u32], args: &[&str]) -> Run {
    // The user may not read the folder of the build.
    let program = installation.folder.path().join("maliknode");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_maliknode"), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let command = installation.command(args);
    let mut as_other = std::process::Command::new("setpriv");
    as_other.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
    let groups = groups
        .iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(",");
    match groups.is_empty() {
        true => as_other.arg("--clear-groups"),
        false => as_other.arg(format!("--groups={groups}")),
    };
    as_other.arg(&program).args(command.get_args());
    as_other.env_clear().env("PATH", "/usr/bin:/bin");
    as_other.current_dir(Path::new("/"));
    as_other.process_group(0);
    as_other.output().unwrap().into()
}

#[test]
fn a_stranger_is_refused_at_the_socket() {
    let installation = Installation::new();
    let _server = installation.serve();
    fs::set_permissions(
        installation.folder.path(),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let closed = run_as(&installation, &[], &["tenant", "list"]).refusal(4);
    assert!(closed.contains("cli_group"), "{closed}");
    assert!(!closed.contains("straight to the database"), "{closed}");

    // Whatever the modes are, the kernel says who it is.
    open(&installation);
    let everybody = fs::Permissions::from_mode(0o666);
    fs::set_permissions(installation.socket(), everybody).unwrap();
    for args in [&["tenant", "list"][..], &["tenant", "delete", "x", "--yes"]] {
        let refused = run_as(&installation, &[], args).refusal(4);
        assert!(refused.contains("root and the members"), "{refused}");
    }
    installation.run(&["tenant", "list"]).output();
}

#[test]
fn a_member_of_the_group_administers_and_is_named() {
    let installation = Installation::new();
    let (name, gid) = GROUP;
    let _server = installation.serve_with(&format!("cli_group = \"{name}\"\n"));
    fs::set_permissions(
        installation.folder.path(),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let args = ["tenant", "create", "lina", "--plan", "home"];
    run_as(&installation, &[], &args).refusal(4);
    let created = run_as(&installation, &[gid], &args).output();
    assert!(created.starts_with("lina is created"), "{created}");
    let audit = installation.run(&["audit", "--json"]).json();
    let entries = audit.as_array().unwrap();
    let entry = entries.iter().find(|e| e["action"] == "tenant.create");
    assert_eq!(entry.unwrap()["actor"], "operator:cli:nobody", "{audit}");
}

#[test]
fn a_token_does_what_its_holder_may_until_it_is_revoked() {
    let installation = Installation::new();
    let server = installation.serve();
    let file = installation.folder.path().join("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let file = file.to_str().unwrap();
    let create = [
        "tenant",
        "create",
        "lina",
        "--plan",
        "home",
        "--password-file",
        file,
    ];
    let said = installation.run(&create).output();
    assert_eq!(said, "lina is created.\n");

    let token = server.token("tenant", "lina");
    let address = server.address();
    let with = |token: &str, args: &[&str]| -> Run {
        let mut command = installation.command(args);
        command.args(["--server", &address, "--token", token]);
        command.output().unwrap().into()
    };
    with(&token, &["device", "add", "Phone", "--no-qr"]).output();
    let devices = with(&token, &["device", "list", "--json"]).json();
    assert_eq!(devices[0]["label"], "Phone");
    assert!(with(&token, &["status"]).output().contains("lina"));
    for args in [
        &["tenant", "list"][..],
        &["plan", "add", "x"],
        &["audit"],
        &["device", "list", "--tenant", "other"],
    ] {
        with(&token, args).refusal(4);
    }

    let made = with(&token, &["token", "create", "reader", "--json"]).json();
    let reader = made["secret"].as_str().unwrap();
    with(reader, &["device", "list"]).output();
    with(reader, &["device", "add", "Other"]).refusal(4);
    with(reader, &["device", "config", "Phone"]).refusal(4);
    let id = made["id"].as_str().unwrap();
    installation
        .run(&["token", "revoke", id, "--tenant", "lina"])
        .output();
    let gone = with(reader, &["device", "list"]).refusal(4);
    assert!(!gone.contains(reader), "{gone}");
    for nonsense in ["", "x", "mnt_00ff_x", "ü", "a b"] {
        let refused = with(nonsense, &["device", "list"]);
        assert!(
            matches!(refused.code, Some(2 | 4)),
            "{nonsense}: {refused:?}"
        );
    }
}
