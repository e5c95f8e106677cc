//! The program itself: what it prints and how it ends. Nothing here gets as
//! far as touching the machine.
// A test that cannot go on ends there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

fn maliknode(root: &Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maliknode"));
    command.env_clear().args(args).arg("--root").arg(root);
    let Output {
        status,
        stdout,
        stderr,
    } = command.envs(env.iter().copied()).output().unwrap();
    Run {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

fn root(config: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("central_api")).unwrap();
    fs::write(root.path().join("central_api/config.toml"), config).unwrap();
    root
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_file() {
    let root = root("listen = \"127.0.0.1:1\"\nbase = \"file.example\"\nscheme = \"https\"\n");
    let env = [
        ("MALIKNODE_BASE", "env.example"),
        ("MALIKNODE_LISTEN", "127.0.0.1:2"),
        ("MALIKNODE_DATABASE_URL", "postgres://u:geheim@h/d"),
    ];
    let run = maliknode(root.path(), &["config", "--listen", "127.0.0.1:3"], &env);
    assert_eq!(run.code, Some(0), "{}", run.err);
    for line in [
        "listen = \"127.0.0.1:3\"",
        "base = \"env.example\"",
        "scheme = \"https\"",
        "database_url = \"postgres://[redacted]\"",
    ] {
        assert!(run.out.lines().any(|l| l == line), "{line}: {}", run.out);
    }
    assert!(!run.out.contains("geheim"));
    let help = maliknode(root.path(), &["--help"], &env);
    assert!(!help.out.contains("geheim"), "{}", help.out);
}

#[test]
fn an_unknown_setting_ends_the_start_by_its_name() {
    let root = root("listn = \"127.0.0.1:1\"\n");
    for command in ["serve", "doctor", "config"] {
        let run = maliknode(root.path(), &[command], &[]);
        assert_eq!(run.code, Some(2));
        assert!(
            run.err
                .contains("there is no setting \"listn\" (did you mean listen?)"),
            "{}",
            run.err
        );
    }
}

#[test]
fn a_taken_port_ends_the_start_before_anything_is_made() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let root = tempfile::tempdir().unwrap();
    let run = maliknode(root.path(), &["serve", "--listen", &address], &[]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.err
            .contains(&format!("{address} is taken by another program")),
        "{}",
        run.err
    );
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn tenants_and_operators_are_managed_without_a_server() {
    let root = tempfile::tempdir().unwrap();
    let list = maliknode(root.path(), &["tenant", "list"], &[]);
    assert_eq!(list.code, Some(0), "{}", list.err);
    let none = maliknode(root.path(), &["tenant", "delete", "nobody", "--yes"], &[]);
    assert_eq!(none.code, Some(1));
    assert!(
        none.err.contains("there is no tenant nobody"),
        "{}",
        none.err
    );
    let reset = maliknode(root.path(), &["operator", "reset", "admin"], &[]);
    assert!(
        reset.out.contains("name admin   password "),
        "{}",
        reset.err
    );
    let again = maliknode(root.path(), &["operator", "reset", "admin"], &[]);
    assert!(again.out.contains("password ") && again.out != reset.out);
    let other = maliknode(root.path(), &["operator", "reset", "nobody"], &[]);
    assert_eq!(other.code, Some(1));
}
