//! Starts with an invalid configuration or key file, and with a database of
//! another version.

use super::{failed_command, failed_start};
use crate::stack::{ServerOptions, Stack, run_here};
use std::{fs, path::Path};

#[test]
fn an_invalid_configuration_is_named() {
    let _bed = crate::exclusive_bed();
    let options = ServerOptions::with_root("config");
    let central = options.root.join("central_api");
    fs::create_dir_all(&central).unwrap();
    for (content, named) in [
        ("listen = [", "config.toml"),
        ("tunnels_per_moon = 3", "tunnels_per_moon"),
        ("[addresses]\ntunnels = \"10.88.0.0/30\"", "addresses"),
        ("\u{0}\u{1}\u{2}", "config.toml"),
    ] {
        fs::write(central.join("config.toml"), content).unwrap();
        let (code, output) = failed_command(&options, &["serve"]);
        assert!(
            code == 2 && output.contains(named) && !output.contains("panicked"),
            "{content}: {code}: {output}"
        );
    }
    fs::remove_file(central.join("config.toml")).unwrap();
    fs::write(central.join("seal.key"), "not a key").unwrap();
    fs::set_permissions(
        central.join("seal.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let (code, output) = failed_command(&options, &["serve"]);
    assert!(
        code == 1 && output.contains("does not hold a key"),
        "{output}"
    );
}

/// Makes a database of an earlier version, with the first two migrations only.
const OLDER: &str = "import hashlib, pathlib, sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute('''create table _sqlx_migrations (version bigint primary key, description text not null,
  installed_on timestamp not null default current_timestamp, success boolean not null,
  checksum blob not null, execution_time bigint not null)''')
for f in sorted(pathlib.Path(sys.argv[2]).glob('*.sql'))[:2]:
    sql = f.read_bytes()
    c.executescript(sql.decode())
    number, name = f.stem.split('_', 1)
    c.execute('insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (?, ?, 1, ?, 1)',
              (int(number), name.replace('_', ' '), hashlib.sha384(sql).digest()))
";

#[test]
fn older_schemas_are_migrated_and_newer_ones_refused() {
    let _bed = crate::exclusive_bed();
    let options = ServerOptions::with_root("schema");
    let central = options.root.join("central_api");
    fs::create_dir_all(&central).unwrap();
    let database = central.join("database.sqlite");
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/sqlite");
    run_here(&[
        "python3",
        "-c",
        OLDER,
        &database.to_string_lossy(),
        &migrations.to_string_lossy(),
    ]);
    let mut stack = Stack::launch(options);
    stack.wait_for_answer();
    stack.sign_up("alice");
    stack.stop();
    const NEWER: &str = "import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute(\"insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'later', 1, x'00', 1)\")";
    run_here(&["python3", "-c", NEWER, &database.to_string_lossy()]);
    stack.spawn();
    let output = failed_start(&mut stack);
    assert!(output.contains("changed by a newer MalikNode"), "{output}");
}
